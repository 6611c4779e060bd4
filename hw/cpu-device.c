#include "hw/cpu-device.h"

#include <string.h>

#include "hw/machine.h"
#include "hw/memory/numa.h"
#include "hw/pci/acpi-cpuhp.h"
#include "hw/platform.h"
#include "hw/qom.h"

#define NO_APIC_ID UINT32_MAX

typedef struct CpuDevice {
    Device dev;
    int32_t socket_id, die_id, core_id, thread_id, node_id; /* properties; below 0: not given */
    uint32_t apic_id;
    Cpu *cpu;
} CpuDevice;

Cpu *cpu_of_device(const Device *d)
{
    return ((const CpuDevice *)d)->cpu;
}

/* ---- Where it sits ---- */

static bool in_range(const char *name, int32_t id, unsigned n, GError **error)
{
    if (id < 0) {
        return error_fail(error, "CPU %s is not set", name);
    }
    return (unsigned)id < n ||
           error_fail(error, "Invalid CPU %s: %d must be in range 0:%u", name, id, n - 1);
}

static bool index_by_ids(const CpuDevice *s, unsigned *index, GError **error)
{
    const Topology *t = &machine.topology;
    int32_t die = s->die_id < 0 && t->dies == 1 ? 0 : s->die_id;
    if (!in_range("socket-id", s->socket_id, t->sockets, error) ||
        !in_range("die-id", die, t->dies, error) ||
        !in_range("core-id", s->core_id, t->cores, error) ||
        !in_range("thread-id", s->thread_id, t->threads, error)) {
        return false;
    }
    *index = topology_index(t, (TopologyPlace){(unsigned)s->socket_id, (unsigned)die,
                                               (unsigned)s->core_id, (unsigned)s->thread_id});
    return true;
}

static bool index_by_apic_id(const CpuDevice *s, unsigned *index, GError **error)
{
    for (unsigned i = 0; i < machine.max_cpus; i++) {
        if (topology_apic_id(&machine.topology, i) == s->apic_id) {
            *index = i;
            return true;
        }
    }
    return error_fail(error, "Invalid CPU with APIC ID %u: -smp has none of it", s->apic_id);
}

static bool agrees(const char *name, int32_t *id, unsigned is, GError **error)
{
    if (*id >= 0 && (unsigned)*id != is) {
        return error_fail(error, "property %s: %d doesn't match its place, which has %u", name, *id,
                          is);
    }
    *id = (int32_t)is;
    return true;
}

/* Either the APIC ID says it or the rest does; what is not given follows. */
static bool choose_place(CpuDevice *s, unsigned *index, GError **error)
{
    if (!(s->apic_id == NO_APIC_ID ? index_by_ids : index_by_apic_id)(s, index, error)) {
        return false;
    }
    s->apic_id = topology_apic_id(&machine.topology, *index);
    if (cpu_by_index(*index)) {
        return error_fail(error, "CPU[%u] with APIC ID %u exists", *index, s->apic_id);
    }
    TopologyPlace at = topology_place(&machine.topology, *index);
    return agrees("socket-id", &s->socket_id, at.socket, error) &&
           agrees("die-id", &s->die_id, at.die, error) &&
           agrees("core-id", &s->core_id, at.core, error) &&
           agrees("thread-id", &s->thread_id, at.thread, error) &&
           agrees("node-id", &s->node_id, numa.nodes ? numa_cpu_node(*index) : 0, error);
}

/* ---- Coming and going; the others stand still meanwhile: they look at the list without a lock ---- */

static void hold_others(bool hold)
{
    if (platform.hold_cpus) {
        platform.hold_cpus(hold);
    }
}

static void take_away(CpuDevice *s)
{
    Cpu *c = g_steal_pointer(&s->cpu);
    Device *apic = c->apic;
    c->apic = NULL;
    device_free(apic);
    cpu_free(c);
}

static bool cpu_realize(void *dev, GError **error)
{
    CpuDevice *s = dev;
    unsigned index;
    if (!choose_place(s, &index, error)) {
        return false;
    }
    hold_others(true);
    s->cpu = cpu_new(machine.cpu_model, s->apic_id, space_memory());
    s->cpu->index = index;
    s->cpu->device = dev;
    bool ok = (!machine.wire_cpu || machine.wire_cpu(s->cpu, error)) &&
              (!platform.start_cpu || platform.start_cpu(s->cpu, error));
    if (!ok) {
        take_away(s);
    }
    hold_others(false);
    return ok;
}

static void cpu_unrealize(void *dev)
{
    CpuDevice *s = dev;
    hold_others(true);
    if (platform.stop_cpu) {
        platform.stop_cpu(s->cpu);
    }
    take_away(s);
    hold_others(false);
}

static void cpu_plugged(void *dev)
{
    acpi_cpuhp_plugged(((CpuDevice *)dev)->cpu->index);
}

static UnplugAnswer cpu_unplug_request(void *dev, GError **error)
{
    const Cpu *c = ((CpuDevice *)dev)->cpu;
    if (!c->index) {
        error_fail(error, "Boot CPU is unpluggable");
        return UNPLUG_ERROR;
    }
    return acpi_cpuhp_request(c->index, error) ? UNPLUG_ASKED : UNPLUG_ERROR;
}

/* ---- By name ---- */

Device *cpu_device_new(unsigned index, GError **error)
{
    CpuDevice *s = device_new(&cpu_device_class, NULL);
    s->apic_id = topology_apic_id(&machine.topology, index);
    if (!device_realize(&s->dev, NULL, error)) {
        device_free(&s->dev);
        return NULL;
    }
    return &s->dev;
}

bool cpu_device_names(const char *driver)
{
    return g_str_has_suffix(driver, "-x86_64-cpu") && qom_type_exists(driver);
}

const DeviceClass *cpu_device_type(const char *driver, GError **error)
{
    if (!cpu_device_names(driver)) {
        return NULL;
    }
    if (!machine.cpu_model) {
        error_fail(error, "machine '%s' has no CPUs", machine.class->name);
        return NULL;
    }
    if (strcmp(driver, machine.cpu_model->type_name) != 0) {
        error_fail(error, "Invalid CPU type, expected cpu type: '%s'", machine.cpu_model->type_name);
        return NULL;
    }
    return &cpu_device_class;
}

// clang-format off
static const Row rows[] = {
    PROP_AS(CpuDevice, socket_id, "socket-id", "-1", "Socket"),
    PROP_AS(CpuDevice, die_id, "die-id", "-1", "Die in the socket"),
    PROP_AS(CpuDevice, core_id, "core-id", "-1", "Core in the die"),
    PROP_AS(CpuDevice, thread_id, "thread-id", "-1", "Thread in the core"),
    PROP_AS(CpuDevice, node_id, "node-id", "-1", "NUMA node, which -numa has said"),
    PROP_AS(CpuDevice, apic_id, "apic-id", "0xffffffff", "The place by APIC ID, instead of all these"),
    DERIVED(CpuDevice, cpu),
    END
};
// clang-format on

const DeviceClass cpu_device_class = {
    .name = "x86_64-cpu",
    .doc = "CPU: its types are the models of -cpu",
    .category = "cpu",
    .abstract = true,
    .hotpluggable = true,
    .size = sizeof(CpuDevice),
    .rows = rows,
    .realize = cpu_realize,
    .unrealize = cpu_unrealize,
    .plugged = cpu_plugged,
    .unplug_request = cpu_unplug_request,
};
