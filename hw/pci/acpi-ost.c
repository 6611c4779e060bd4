#include "hw/pci/acpi-ost.h"

#include "qapi/schema/qapi-events.h"

typedef struct Said {
    uint32_t source, status;
} Said;
static struct Slots {
    unsigned n;
    const char *(*device)(unsigned slot);
    Said *said;
} slots[2]; /* by QACPISlotType */

void acpi_ost_offer(QACPISlotType type, unsigned n, const char *(*device)(unsigned slot))
{
    struct Slots *s = &slots[type];
    g_free(s->said);
    *s = (struct Slots){n, device, g_new0(Said, n)};
}

static void describe(QACPIOSTInfo *info, QACPISlotType type, unsigned slot)
{
    const struct Slots *s = &slots[type];
    info->device = g_strdup(s->device(slot));
    info->slot = g_strdup_printf("%u", slot);
    info->slot_type = type;
    info->source = s->said[slot].source;
    info->status = s->said[slot].status;
}

void acpi_ost_said(QACPISlotType type, unsigned slot, uint32_t source, uint32_t status)
{
    QACPIOSTInfo info = {0};
    if (slot < slots[type].n) {
        slots[type].said[slot] = (Said){source, status};
        describe(&info, type, slot);
        event_acpi_device_ost(&info);
        g_free(info.device);
        g_free(info.slot);
    }
}

void acpi_ost_list(QACPIOSTInfoList *list)
{
    for (unsigned type = 0; type < G_N_ELEMENTS(slots); type++) {
        for (unsigned slot = 0; slot < slots[type].n; slot++) {
            describe(QLIST_ADD(list), (QACPISlotType)type, slot);
        }
    }
}
