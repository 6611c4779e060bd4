/* Commands about the machine as a whole: names, CPUs, memory. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "accel/accel.h"
#include "accel/kvm/rescue.h"
#include "accel/debug.h"
#include "hw/machine.h"
#include "hw/memory/numa.h"
#include "hw/misc/vmgenid.h"
#include "hw/virtio/virtio-balloon.h"
#include "qapi/hmp.h"
#include "qapi/schema/qapi-commands.h"

bool qmp_query_name(const void *args, QNameInfo *ret, GError **error)
{
    ret->name = g_strdup(machine.name);
    return true;
}

bool qmp_query_vm_generation_id(const void *args, QGuidInfo *ret, GError **error)
{
    Device *d = vmgenid_find();
    if (!d) {
        return error_fail(error, "VM Generation ID device not found");
    }
    ret->guid = vmgenid_text(d);
    return true;
}

bool qmp_query_uuid(const void *args, QUuidInfo *ret, GError **error)
{
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < sizeof(machine.uuid); i++) {
        g_string_append_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                               machine.uuid[i]);
    }
    ret->UUID = g_string_free(text, FALSE);
    return true;
}

bool qmp_query_target(const void *args, QTargetInfo *ret, GError **error)
{
    ret->arch = Q_SYS_EMU_TARGET_X86_64;
    return true;
}

bool qmp_query_kvm(const void *args, QKvmInfo *ret, GError **error)
{
    ret->present = accel_find("kvm");
    ret->enabled = accel && !strcmp(accel->name, "kvm");
    return true;
}

bool qmp_x_query_kvm_rescue(const void *args, QKvmRescueInfoList *ret, GError **error)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        const KvmRescue *r = kvm_rescue_counts(cpu_at(i));
        if (r) {
            QKvmRescueInfo *info = QLIST_ADD(ret);
            info->cpu_index = cpu_at(i)->index;
            info->emulation = (int64_t)r->rescues[RESCUE_EMULATION];
            info->delivery = (int64_t)r->rescues[RESCUE_DELIVERY];
            info->unexpected_exit = (int64_t)r->rescues[RESCUE_EXIT];
            info->stuck = (int64_t)r->rescues[RESCUE_STUCK];
            info->slow = (int64_t)r->rescues[RESCUE_SLOW];
            info->instructions = (int64_t)r->instructions;
            info->declined = (int64_t)r->declined;
            info->given_up = (int64_t)r->given_up;
            info->stretch = r->stretch;
        }
    }
    return true;
}

/* ---- CPUs ---- */

static void place_of(unsigned index, QCpuInstanceProperties *p)
{
    TopologyPlace at = topology_place(&machine.topology, index);
    p->has_thread_id = p->has_core_id = p->has_socket_id = true;
    p->thread_id = at.thread;
    p->core_id = at.core;
    p->has_die_id = machine.topology.dies > 1;
    p->die_id = at.die;
    p->socket_id = at.socket;
    p->has_node_id = numa.nodes;
    p->node_id = numa.nodes ? numa_cpu_node(index) : 0;
}

static char *path_of(const Cpu *c)
{
    return g_strdup(c && c->device ? ((const Device *)c->device)->path : NULL);
}

bool qmp_query_cpus_fast(const void *args, QCpuInfoFastList *ret, GError **error)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        const Cpu *c = cpu_at(i);
        QCpuInfoFast *info = QLIST_ADD(ret);
        info->cpu_index = c->index;
        info->qom_path = path_of(c);
        info->thread_id = c->thread_id;
        info->props = g_new0(QCpuInstanceProperties, 1);
        place_of(c->index, info->props);
        info->target = Q_SYS_EMU_TARGET_X86_64;
    }
    return true;
}

bool qmp_query_hotpluggable_cpus(const void *args, QHotpluggableCPUList *ret, GError **error)
{
    if (machine.class && !machine.class->default_cpu) {
        return error_fail(error, "machine does not support hot-plugging CPUs");
    }
    const char *type = machine.cpu_model ? machine.cpu_model->type_name : "x86_64-cpu";
    for (unsigned i = machine.max_cpus; i-- > 0;) {
        QHotpluggableCPU *info = QLIST_ADD(ret);
        info->type = g_strdup(type);
        info->vcpus_count = 1;
        place_of(i, &info->props);
        info->qom_path = path_of(cpu_by_index(i));
    }
    return true;
}

bool qmp_query_cpu_definitions(const void *args, QCpuDefinitionInfoList *ret, GError **error)
{
    ModelEnv env = {.supported = accel ? accel->supported_cpuid : NULL,
                    .kvm = accel && !strcmp(accel->name, "kvm"),
                    .topology = {1, 1, 1, 1}};
    g_autoptr(GPtrArray) models = model_list(accel ? &env : NULL);
    for (unsigned i = 0; i < models->len; i++) {
        const ModelInfo *m = g_ptr_array_index(models, i);
        QCpuDefinitionInfo *info = QLIST_ADD(ret);
        info->name = g_strdup(m->name);
        info->typename = g_strdup(m->type_name);
        info->alias_of = g_strdup(m->alias_of);
        info->q_static = m->is_static;
        info->deprecated = m->deprecated;
        info->has_migration_safe = true;
        info->migration_safe = m->migration_safe;
        info->has_unavailable_features = m->unavailable;
        for (char **f = m->unavailable; f && *f; f++) {
            *QLIST_ADD(&info->unavailable_features) = g_strdup(*f);
        }
    }
    return true;
}

/* ---- Machine types ---- */

bool qmp_query_machines(const void *args, QMachineInfoList *ret, GError **error)
{
    const MachineClass *m;
    for (unsigned i = 0; (m = machine_class_at(i)); i++) {
        QMachineInfo *info = QLIST_ADD(ret);
        info->name = g_strdup(m->name);
        info->alias = g_strdup(m->alias);
        info->has_is_default = info->is_default = m->is_default;
        info->cpu_max = m->max_cpus;
        info->deprecated = m->deprecated;
        info->default_cpu_type =
            m->default_cpu ? g_strdup_printf("%s-x86_64-cpu", m->default_cpu) : NULL;
        info->default_ram_id = g_strdup(m->default_cpu ? "pc.ram" : "ram");
    }
    return true;
}

bool qmp_query_current_machine(const void *args, QCurrentMachineParams *ret, GError **error)
{
    ret->wakeup_suspend_support = machine.class && machine.acpi != OFA_OFF && cpu_count();
    return true;
}

/* ---- The balloon ---- */

static VirtioBalloon *find_balloon(GError **error)
{
    VirtioBalloon *b = virtio_balloon();
    if (!b) {
        error_fail_class(error, ERROR_DEVICE_NOT_ACTIVE, "No balloon device has been activated");
    }
    return b;
}

bool qmp_query_balloon(const void *args, QBalloonInfo *ret, GError **error)
{
    const VirtioBalloon *b = find_balloon(error);
    ret->actual = b ? virtio_balloon_actual(b) : 0;
    return b;
}

bool qmp_balloon(const BalloonArgs *args, void *ret, GError **error)
{
    VirtioBalloon *b = find_balloon(error);
    if (b && args->value <= 0) {
        return error_fail(error, "Parameter 'value' expects a size");
    }
    if (b) {
        virtio_balloon_set(b, (uint64_t)args->value);
    }
    return b;
}

/* ---- Guest memory to files ---- */

static bool save_memory(Cpu *c, int64_t from, int64_t size, const char *path, GError **error)
{
    if (size < 0) {
        return error_fail(error, "Parameter 'size' expects a number of bytes that is not negative");
    }
    FILE *f = fopen(path, "wb");
    if (!f) {
        return error_fail_errno(error, errno, "Could not open '%s'", path);
    }
    bool ok = true;
    uint64_t at = (uint64_t)from, left = (uint64_t)size;
    while (ok && left) {
        uint8_t page[4096];
        size_t n = MIN(left, sizeof(page) - (at & (sizeof(page) - 1)));
        if (!c) {                       /* device windows too (a text screen at b8000); nothing reads as ones */
            space_read(space_memory(), at, page, n);
        } else if (!debug_read(c, at, page, n)) {
            ok = error_fail(error, "Invalid addr 0x%016" PRIx64 "/size %" PRId64 " specified", (uint64_t)from, size);
        }
        if (!ok) {
            break;
        }
        if (fwrite(page, 1, n, f) != n) {
            ok = error_fail_errno(error, errno, "Could not write '%s'", path);
        }
        at += n;
        left -= n;
    }
    if (fclose(f) && ok) {
        ok = error_fail_errno(error, errno, "Could not write '%s'", path);
    }
    return ok;
}

bool qmp_memsave(const MemsaveArgs *args, void *ret, GError **error)
{
    int64_t index = args->has_cpu_index ? args->cpu_index : 0;
    Cpu *c = hmp_cpu_valid(index) ? cpu_by_index((unsigned)index) : NULL;
    if (!c) {
        return error_fail(error, "Parameter 'cpu-index' expects a CPU number");
    }
    return save_memory(c, args->val, args->size, args->filename, error);
}

bool qmp_pmemsave(const PmemsaveArgs *args, void *ret, GError **error)
{
    return save_memory(NULL, args->val, args->size, args->filename, error);
}
