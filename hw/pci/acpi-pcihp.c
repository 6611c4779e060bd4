/* PCI hot-plug by ACPI: registers (QEMU docs/specs/acpi_pci_hotplug; ACPI 6.4 §5.6.4, §6.3).
 *
 * What is asked to go is not kept here: it is what hw/hotplug.h waits for.  So a request stays until
 * the guest ejects the slot or the machine is reset. */
#include "hw/pci/acpi-pcihp.h"

#include "hw/pci/acpi-pci-index.h"
#include "hw/pci/acpi-pm.h"

enum { SLOTS = 32 };

static PciBus *selected(const AcpiPcihp *s)
{
    return acpi_bus_selected(s->root, s->select);
}

/* ---- Which slots ---- */

static bool offered(const AcpiPcihp *s, const PciBus *bus)
{
    return pci_bus_selector(bus) >= 0 && (pci_bus_bridge(bus) ? s->behind_bridges : s->on_root);
}

static void highest(void *arg, PciBus *bus)
{
    int *next = arg;
    *next = MAX(*next, pci_bus_selector(bus) + 1);
}

static void number(void *arg, PciBus *bus)
{
    int *next = arg;
    const PciDevice *bridge = pci_bus_bridge(bus);
    if (pci_bus_selector(bus) < 0 && *next < PCIHP_BUSES && !(bridge && bridge->dev.hotplugged)) {
        pci_bus_set_selector(bus, (*next)++);
    }
}

void acpi_pcihp_number(PciBus *root)
{
    int next = 0;
    pci_bus_foreach(root, highest, &next);
    pci_bus_foreach(root, number, &next);
}

static bool is_removable(const PciDevice *pd)
{
    return pd->dev.class->hotpluggable && !(pd->is_bridge && !pd->dev.hotplugged);
}

bool acpi_pcihp_slot(const PciBus *bus, unsigned slot)
{
    for (unsigned fn = 0; fn < 8; fn++) {
        const PciDevice *pd = pci_find(bus, PCI_DEVFN(slot, fn));
        if (pd && !is_removable(pd)) {
            return false;
        }
    }
    return true;
}

/* ---- Registers ---- */

static uint64_t inserted_get(const void *part, unsigned arg, unsigned i)
{
    const AcpiPcihp *s = part;
    return s->select < PCIHP_BUSES ? s->inserted[s->select] : 0;
}

static void inserted_read(void *part, unsigned arg, unsigned i)
{
    AcpiPcihp *s = part;
    if (s->select < PCIHP_BUSES) {
        s->inserted[s->select] = 0;
    }
}

static uint32_t slots_that(const PciBus *bus, bool (*are)(const PciBus *bus, unsigned slot))
{
    uint32_t bits = 0;
    for (unsigned slot = 0; bus && slot < SLOTS; slot++) {
        bits |= are(bus, slot) ? UINT32_C(1) << slot : 0;
    }
    return bits;
}

static bool leaves(const PciBus *bus, unsigned slot)
{
    for (unsigned fn = 0; fn < 8; fn++) {
        const PciDevice *pd = pci_find(bus, PCI_DEVFN(slot, fn));
        if (pd && pd->dev.removing && !pd->dev.going) {
            return true;
        }
    }
    return false;
}

static uint64_t down_get(const void *part, unsigned arg, unsigned i)
{
    return slots_that(selected(part), leaves);
}

static uint64_t removable_get(const void *part, unsigned arg, unsigned i)
{
    return slots_that(selected(part), acpi_pcihp_slot);
}

static void eject_write(void *part, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AcpiPcihp *s = part;
    PciBus *bus = selected(s);
    for (uint32_t bits = bus && offered(s, bus) ? (uint32_t)value : 0; bits; bits &= bits - 1) {
        unsigned slot = (unsigned)__builtin_ctz(bits);
        if (acpi_pcihp_slot(bus, slot)) {
            pci_slot_gone(bus, slot);
        }
    }
}

static uint64_t index_get(const void *part, unsigned arg, unsigned i)
{
    const AcpiPcihp *s = part;
    return acpi_index_at(s->root, s->select, s->index_slot);
}

// clang-format off
static const Row rows[] = {
    CALC(up, 4, PCIHP_UP, .ro = true, .get = inserted_get, .on_read = inserted_read, .doc = "Slots with something new; reading clears"),
    CALC(down, 4, PCIHP_DOWN, .ro = true, .get = down_get, .doc = "Slots whose devices are asked to go"),
    CALC(eject, 4, PCIHP_EJECT, .on_write = eject_write, .doc = "Written: slots to empty; read: features, none"),
    CALC(removable, 4, PCIHP_REMOVABLE, .ro = true, .get = removable_get, .doc = "Slots that can be emptied"),
    REG(AcpiPcihp, select, PCIHP_SELECT, .rw = UINT32_MAX, .doc = "Bus that the others are about"),
    REG(AcpiPcihp, index_slot, PCIHP_INDEX, .rw = UINT32_MAX, .get = index_get,
        .doc = "Written: a slot; read: the acpi-index of what is there"),
    STATES(AcpiPcihp, inserted),
    END
};
// clang-format on

const DeviceClass acpi_pcihp_class = {
    .name = "acpi-pcihp",
    .plain = true,
    .abstract = true,
    .size = sizeof(AcpiPcihp),
    .rows = rows,
};

/* ---- The controller of the root bus ---- */

static bool accepts(void *opaque, const PciBus *bus)
{
    return offered(opaque, bus);
}

static void plugged(void *opaque, PciBus *bus, unsigned slot)
{
    AcpiPcihp *s = opaque;
    s->inserted[pci_bus_selector(bus)] |= UINT32_C(1) << slot;
    acpi_gpe(GPE_PCI_HOTPLUG);
}

static UnplugAnswer unplug_request(void *opaque, PciBus *bus, PciDevice *pd, GError **error)
{
    if (!acpi_pcihp_slot(bus, PCI_SLOT(pd->devfn))) {
        error_fail(error, "Device '%s' cannot be unplugged: its slot %u holds a bridge that was "
                   "there from the start, or a function that does not support hotplugging",
                   device_label(&pd->dev), PCI_SLOT(pd->devfn));
        return UNPLUG_ERROR;
    }
    acpi_gpe(GPE_PCI_HOTPLUG);
    return UNPLUG_ASKED;
}

void acpi_pcihp_init(AcpiPcihp *s, PciBus *root, bool on_root, bool behind_bridges)
{
    static const PciSlots slots = {accepts, plugged, unplug_request, NULL};
    s->root = root;
    s->on_root = on_root;
    s->behind_bridges = behind_bridges;
    pci_bus_set_slots(root, &slots, s);
}

void acpi_pcihp_exit(AcpiPcihp *s)
{
    if (s->root) {
        pci_bus_set_slots(s->root, NULL, NULL);
    }
}
