#include "hw/memory/memory-slots.h"

#include <inttypes.h>

#include "hw/hotplug.h"
#include "hw/memory/numa.h"
#include "hw/pci/acpi-ost.h"
#include "hw/pci/acpi-pm.h"
#include "qapi/schema/qapi-events.h"

static MemorySlots *the_slots;

MemorySlots *memory_slots(void)
{
    return the_slots;
}

void memory_slots_foreach(void (*fn)(void *arg, const PcDimm *d), void *arg)
{
    for (unsigned i = 0; the_slots && i < the_slots->slots; i++) {
        if (the_slots->dimm[i]) {
            fn(arg, the_slots->dimm[i]);
        }
    }
}

uint64_t memory_slots_plugged(int node)
{
    uint64_t sum = 0;
    for (unsigned i = 0; the_slots && i < the_slots->slots; i++) {
        const PcDimm *d = the_slots->dimm[i];
        sum += d && (node < 0 || d->node == (unsigned)node) ? d->memdev->size : 0;
    }
    return sum;
}

/* ---- Registers ---- */

static PcDimm *selected(const MemorySlots *s)
{
    return s->select < s->slots ? s->dimm[s->select] : NULL;
}

enum { ADDRESS_LOW, ADDRESS_HIGH, SIZE_LOW, SIZE_HIGH, NODE };

/* Beyond the slots all bits are ones; a slot that is empty has no memory. */
static uint64_t dimm_get(const void *dev, unsigned arg, unsigned i)
{
    const MemorySlots *s = dev;
    const PcDimm *d = selected(s);
    if (s->select >= s->slots) {
        return UINT32_MAX;
    }
    switch (d ? arg : UINT_MAX) {
    case ADDRESS_LOW: return (uint32_t)d->addr;
    case ADDRESS_HIGH: return d->addr >> 32;
    case SIZE_LOW: return (uint32_t)d->memdev->size;
    case SIZE_HIGH: return d->memdev->size >> 32;
    case NODE: return d->node;
    default: return 0;
    }
}

enum { ENABLED = 1 << 0, INSERTED = 1 << 1, REMOVING = 1 << 2, EJECT = 1 << 3 };

static uint64_t status_get(const void *dev, unsigned arg, unsigned i)
{
    const MemorySlots *s = dev;
    if (s->select >= s->slots) {
        return UINT8_MAX;
    }
    return (s->dimm[s->select] ? ENABLED : 0) | (s->inserted[s->select] ? INSERTED : 0) |
           (s->removing[s->select] ? REMOVING : 0);
}

static void control_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    MemorySlots *s = dev;
    if (s->select >= s->slots) {
        guest_error(&s->dev, "control of slot %u, which is none", s->select);
        return;
    }
    if (value & INSERTED) {
        s->inserted[s->select] = false;
    }
    if (value & REMOVING) {
        s->removing[s->select] = false;
    }
    if (value & EJECT && s->dimm[s->select]) {
        device_unplugged(&s->dimm[s->select]->dev);
    }
}

static void ost_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    MemorySlots *s = dev;
    PcDimm *d = selected(s);
    if (s->select >= s->slots) {
        guest_error(&s->dev, "_OST of slot %u, which is none", s->select);
        return;
    }
    acpi_ost_said(Q_ACPI_SLOT_TYPE_DIMM, s->select, s->ost_event, (uint32_t)value);
    if (d && d->dev.removing && acpi_ost_refuses(s->ost_event, (uint32_t)value)) {
        event_mem_unplug_error(d->dev.id ? d->dev.id : "", "the guest keeps the memory");
        device_unplug_refused(&d->dev);
    }
}

// clang-format off
static const Row slots_rows[] = {
    PROP(MemorySlots, slots, "0", "Slots that there are", .max = MEMORY_SLOTS_MOST),
    REG(MemorySlots, select, 0x00, .wo = true, .rw = UINT32_MAX, .doc = "Slot that all else is about"),
    REG(MemorySlots, ost_event, 0x04, .wo = true, .rw = UINT32_MAX, .doc = "_OST: what the guest speaks of"),
    CALC(ost_status, 4, 0x08, .wo = true, .on_write = ost_write, .doc = "_OST: how it went"),
    CALC(address_low, 4, 0x00, .ro = true, .get = dimm_get, .arg = ADDRESS_LOW, .doc = "Address, lower half"),
    CALC(address_high, 4, 0x04, .ro = true, .get = dimm_get, .arg = ADDRESS_HIGH, .doc = "Address, upper half"),
    CALC(size_low, 4, 0x08, .ro = true, .get = dimm_get, .arg = SIZE_LOW, .doc = "Bytes, lower half"),
    CALC(size_high, 4, 0x0c, .ro = true, .get = dimm_get, .arg = SIZE_HIGH, .doc = "Bytes, upper half"),
    CALC(node, 4, 0x10, .ro = true, .get = dimm_get, .arg = NODE, .doc = "Proximity domain"),
    CALC(status, 1, 0x14, .ro = true, .get = status_get, .doc = "Status", .bits = "ENABLED INSERTED REMOVING"),
    CALC(control, 1, 0x14, .wo = true, .on_write = control_write, .doc = "Control", .bits = "- INSERTED REMOVING EJECT"),
    STATES(MemorySlots, inserted),
    STATES(MemorySlots, removing),
    DERIVED(MemorySlots, dimm),
    END
};
// clang-format on

/* ---- The bus ---- */

static void dimm_plugged(Bus *bus, Device *dev)
{
    MemorySlots *s = bus->impl;
    s->inserted[((PcDimm *)dev)->slot] = true;
    acpi_gpe(GPE_MEMORY_HOTPLUG);
}

static UnplugAnswer dimm_unplug_request(Bus *bus, Device *dev, GError **error)
{
    MemorySlots *s = bus->impl;
    s->removing[((PcDimm *)dev)->slot] = true;
    acpi_gpe(GPE_MEMORY_HOTPLUG);
    return UNPLUG_ASKED;
}

static const BusClass dimm_bus_class = {.type = "dimm",
                                        .hotplug = true,
                                        .reset_removes = true,
                                        .plugged = dimm_plugged,
                                        .unplug_request = dimm_unplug_request};

static const char *device_in(unsigned slot)
{
    const PcDimm *d = the_slots ? the_slots->dimm[slot] : NULL;
    return d ? d->dev.id : NULL;
}

static bool slots_realize(void *dev, GError **error)
{
    MemorySlots *s = dev;
    s->bus = bus_new(&dimm_bus_class, &s->dev, "dimm", s);
    if (s->slots) {
        acpi_ost_offer(Q_ACPI_SLOT_TYPE_DIMM, s->slots, device_in);
    }
    the_slots = s;
    return true;
}

static void slots_unrealize(void *dev)
{
    if (the_slots == dev) {
        acpi_ost_offer(Q_ACPI_SLOT_TYPE_DIMM, 0, NULL);
        the_slots = NULL;
    }
}

const DeviceClass memory_slots_class = {
    .name = "memory-slots",
    .doc = "Slots for DIMMs, with their hot-plug by ACPI",
    .internal = true,
    .open = 1 << 0,
    .size = sizeof(MemorySlots),
    .rows = slots_rows,
    .realize = slots_realize,
    .unrealize = slots_unrealize,
};

Device *memory_slots_new(unsigned slots, Region *room, uint64_t room_at, uint64_t budget,
                         GError **error)
{
    g_autofree char *number = g_strdup_printf("%u", slots);
    MemorySlots *s = device_new(&memory_slots_class, "memory-slots");
    s->room = room;
    s->room_at = room_at;
    s->budget = budget;
    if (!device_set(&s->dev, "slots", number, error) || !device_realize(&s->dev, NULL, error)) {
        device_free(&s->dev);
        return NULL;
    }
    return &s->dev;
}
