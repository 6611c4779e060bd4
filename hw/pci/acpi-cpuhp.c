/* CPU hot-plug by ACPI: registers (QEMU docs/specs/acpi_cpu_hotplug.txt; ACPI 6.4 §5.6.6, §6.3).
 *
 * After power-up the ports show a bitmap of the CPUs that are there, by APIC ID, for tables of old.  A
 * zero written to the first of them changes over to registers for one CPU at a time, which stay. */
#include "hw/pci/acpi-cpuhp.h"

#include "cpu/cpu.h"
#include "hw/cpu-device.h"
#include "hw/hotplug.h"
#include "hw/machine.h"
#include "hw/pci/acpi-ost.h"
#include "hw/pci/acpi-pm.h"

enum { ENABLED = 1 << 0, INSERTED = 1 << 1, REMOVE = 1 << 2, EJECT = 1 << 3, BY_FIRMWARE = 1 << 4 };
enum { NEXT_EVENT, OST_SOURCE, OST_STATUS, ARCH_ID };
enum { BITMAP_BYTES = ACPI_CPUHP_ALL_PORTS };

typedef struct AcpiCpuhp {
    Device dev;
    bool modern;
    uint32_t selector;
    uint8_t command;
    uint8_t events[CPU_MOST];           /* INSERTED, REMOVE, BY_FIRMWARE */
    uint32_t ost_source;
    bool hears;
} AcpiCpuhp;

static AcpiCpuhp *the_chip; /* a machine has one at most */

/* ---- CPUs ---- */

static Device *device_at(unsigned index)
{
    const Cpu *c = cpu_by_index(index);
    return c ? c->device : NULL;
}

static bool is_there(unsigned index)
{
    const Device *d = device_at(index);
    return d && !d->going;
}

static bool selected(const AcpiCpuhp *s)
{
    return s->selector < MIN(machine.max_cpus, CPU_MOST);
}

/* ---- The older interface ---- */

static uint64_t bitmap_get(const void *dev, unsigned arg, unsigned i)
{
    uint64_t bits = 0;
    for (unsigned bit = 0; bit < 8; bit++) {
        bits |= (uint64_t)(cpu_by_apic_id(8 * i + bit) != NULL) << bit;
    }
    return bits;
}

static void change_over(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AcpiCpuhp *s = dev;
    s->modern |= !value;
}

/* ---- One CPU at a time ---- */

static uint64_t status_get(const void *dev, unsigned arg, unsigned i)
{
    const AcpiCpuhp *s = dev;
    if (!selected(s)) {
        return 0;
    }
    bool there = is_there(s->selector);
    return s->events[s->selector] | (there ? ENABLED : 0);
}

static void control_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AcpiCpuhp *s = dev;
    if (!selected(s)) {
        return;
    }
    uint8_t *events = &s->events[s->selector];
    *events &= (uint8_t)~(value & (INSERTED | REMOVE));
    if (value & EJECT) {
        *events = 0;
        if (s->selector && is_there(s->selector)) { /* nobody runs without the first */
            device_unplugged(device_at(s->selector));
        } else {
            guest_error(&s->dev, "CPU %u cannot be ejected", s->selector);
        }
    } else if (value & BY_FIRMWARE && is_there(s->selector)) {
        *events |= BY_FIRMWARE;
    }
}

/* From the selected one on, so that each has its turn. */
static void select_next_event(AcpiCpuhp *s)
{
    unsigned n = MIN(machine.max_cpus, CPU_MOST);
    for (unsigned i = 0; i < n; i++) {
        unsigned index = (s->selector + i) % n;
        if (s->events[index] & (INSERTED | REMOVE)) {
            s->selector = index;
            return;
        }
    }
}

static void command_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AcpiCpuhp *s = dev;
    if (!selected(s)) {
        s->command = (uint8_t)old;
    } else if (value == NEXT_EVENT) {
        select_next_event(s);
    }
}

static uint64_t data_get(const void *dev, unsigned arg, unsigned i)
{
    const AcpiCpuhp *s = dev;
    switch (selected(s) ? s->command : UINT8_MAX) {
    case NEXT_EVENT: return s->selector;
    case ARCH_ID: return topology_apic_id(&machine.topology, s->selector);
    default: return 0;
    }
}

static const char *id_at(unsigned index)
{
    Device *d = device_at(index);
    return d ? d->id : NULL;
}

static void hear(AcpiCpuhp *s, uint32_t status)
{
    Device *d = device_at(s->selector);
    acpi_ost_said(Q_ACPI_SLOT_TYPE_CPU, s->selector, s->ost_source, status);
    if (d && acpi_ost_refuses(s->ost_source, status)) {
        device_unplug_refused(d);
    }
}

static void data_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AcpiCpuhp *s = dev;
    if (!selected(s)) {
        return;
    }
    if (s->command == OST_SOURCE) {
        s->ost_source = (uint32_t)value;
    } else if (s->command == OST_STATUS) {
        hear(s, (uint32_t)value);
    }
}

#define OLD WHEN(AcpiCpuhp, modern, 0xff, false)
#define NEW WHEN(AcpiCpuhp, modern, 0xff, true)
// clang-format off
static const Row rows[] = {
    {.kind = ROW_REG, .name = "present", .size = 1, .count = BITMAP_BYTES, .ro = true, OLD, .get = bitmap_get,
     .doc = "CPUs that are there, by APIC ID"},
    CALC(change_over, 1, 0, OLD, .wo = true, .on_write = change_over, .doc = "0: registers for one CPU at a time"),
    REG(AcpiCpuhp, selector, 0, NEW, .wo = true, .rw = UINT32_MAX, .keep = true, .doc = "CPU that the others are about"),
    CALC(data2, 4, 0, NEW, .ro = true, .is = 0, .doc = "Upper half of what was asked for"),
    CALC(flags, 1, 4, NEW, .get = status_get, .on_write = control_write, .doc = "What it is, and what was done about it",
         .bits = "ENABLED INSERTED REMOVE EJECT BY_FIRMWARE"),
    REG(AcpiCpuhp, command, 5, NEW, .wo = true, .rw = 0xff, .on_write = command_write, .doc = "What the data are about"),
    CALC(data, 4, 8, NEW, .get = data_get, .on_write = data_write, .doc = "What was asked for, or is told"),
    STATE(AcpiCpuhp, modern, .keep = true),
    STATES(AcpiCpuhp, events, .max = INSERTED | REMOVE | BY_FIRMWARE),
    DERIVED(AcpiCpuhp, hears),
    STATE(AcpiCpuhp, ost_source, .doc = "What the status that comes next is about"),
    END
};
// clang-format on

/* ---- The machine's ---- */

void acpi_cpuhp_plugged(unsigned index)
{
    if (the_chip) {
        the_chip->events[index] |= INSERTED;
        acpi_gpe(GPE_CPU_HOTPLUG);
    }
}

bool acpi_cpuhp_request(unsigned index, GError **error)
{
    if (!the_chip || !the_chip->modern) {
        return error_fail(error, "CPU %u cannot be unplugged: %s", index,
                          the_chip ? "the guest's system has not taken over CPU hot-plug by ACPI"
                                   : "the machine has no ACPI (acpi=off)");
    }
    the_chip->events[index] |= REMOVE;
    acpi_gpe(GPE_CPU_HOTPLUG);
    return true;
}

static bool cpuhp_realize(void *dev, GError **error)
{
    the_chip = dev;
    return true;
}

static void cpuhp_unrealize(void *dev)
{
    if (the_chip == dev) {
        the_chip = NULL;
        acpi_ost_offer(Q_ACPI_SLOT_TYPE_CPU, 0, NULL);
    }
}

/* A guest that starts anew will not answer what was asked of the one before. */
static void cpuhp_reset(void *dev, bool power_on)
{
    for (unsigned i = 0; i < MIN(machine.max_cpus, CPU_MOST); i++) {
        Device *d = device_at(i);
        if (d && d->removing) {
            device_unplug_refused(d);
        }
    }
}

/* Only the tables' interface has words for what the guest says. */
static void cpuhp_update(void *dev)
{
    AcpiCpuhp *s = dev;
    if (s->modern != s->hears) {
        s->hears = s->modern;
        acpi_ost_offer(Q_ACPI_SLOT_TYPE_CPU, s->modern ? MIN(machine.max_cpus, CPU_MOST) : 0, id_at);
    }
}

const DeviceClass acpi_cpuhp_class = {
    .name = "acpi-cpuhp",
    .doc = "CPU hot-plug by ACPI",
    .category = "misc",
    .internal = true,
    .size = sizeof(AcpiCpuhp),
    .rows = rows,
    .realize = cpuhp_realize,
    .unrealize = cpuhp_unrealize,
    .reset = cpuhp_reset,
    .update = cpuhp_update,
};
