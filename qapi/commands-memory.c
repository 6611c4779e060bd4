/* Commands about memory: back ends, DIMMs, NUMA nodes. */
#include <inttypes.h>

#include "hw/machine.h"
#include "hw/memory/memory-slots.h"
#include "hw/memory/node-list.h"
#include "hw/memory/numa.h"
#include "hw/pci/acpi-ost.h"
#include "qapi/hmp-internal.h"
#include "qapi/schema/qapi-commands.h"

static void add_memdev(void *arg, UserObject *o)
{
    const MemoryBackend *b = (const MemoryBackend *)o;
    if (!object_type_is(o->type, "memory-backend")) {
        return;
    }
    QMemdev *m = QLIST_ADD((QMemdevList *)arg);
    m->id = g_strdup(o->id);
    m->size = b->size;
    m->merge = b->merge;
    m->dump = b->dump;
    m->prealloc = b->prealloc;
    m->share = b->share;
    m->has_reserve = b->reserve != RAM_RESERVE_AUTO;
    m->reserve = b->reserve == RAM_RESERVE_ON;
    m->policy = (QHostMemPolicy)b->policy;
    for (unsigned i = 0; i < RAM_HOST_NODES; i++) {
        if (node_list_has(b->nodes, i)) {
            *QLIST_ADD(&m->host_nodes) = i;
        }
    }
}

bool qmp_query_memdev(const void *args, QMemdevList *ret, GError **error)
{
    object_foreach(add_memdev, ret);
    return true;
}

static void add_dimm(void *arg, const PcDimm *d)
{
    QMemoryDeviceInfo *info = QLIST_ADD((QMemoryDeviceInfoList *)arg);
    QPCDIMMDeviceInfo *p = &info->u.dimm.data;
    info->type = Q_MEMORY_DEVICE_INFO_KIND_DIMM;
    p->id = g_strdup(d->dev.id);
    p->addr = (int64_t)d->addr;
    p->size = (int64_t)d->memdev->size;
    p->slot = d->slot;
    p->node = d->node;
    p->memdev = g_strdup_printf("/objects/%s", d->memdev->object.id);
    p->hotplugged = d->dev.hotplugged;
    p->hotpluggable = true;
}

bool qmp_query_memory_devices(const void *args, QMemoryDeviceInfoList *ret, GError **error)
{
    memory_slots_foreach(add_dimm, ret);
    return true;
}

bool qmp_query_memory_size_summary(const void *args, QMemoryInfo *ret, GError **error)
{
    ret->base_memory = machine.ram_size;
    ret->has_plugged_memory = true;
    ret->plugged_memory = memory_slots_plugged(-1);
    return true;
}

bool qmp_query_acpi_ospm_status(const void *args, QACPIOSTInfoList *ret, GError **error)
{
    acpi_ost_list(ret);
    return true;
}

static const char *truth(bool on)
{
    return on ? "true" : "false";
}

void hmp_info_memdev(Hmp *h, const HmpArgs *a)
{
    QMemdevList list = {0};
    qmp_query_memdev(NULL, &list, NULL);
    for (size_t i = 0; i < list.n; i++) {
        const QMemdev *m = &list.at[i];
        hmp_print(h,
                  "memory backend: %s\n  size:  %" PRIu64
                  "\n  merge: %s\n  dump: %s\n  prealloc: %s\n  share: %s\n",
                  m->id, m->size, truth(m->merge), truth(m->dump), truth(m->prealloc),
                  truth(m->share));
        if (m->has_reserve) {
            hmp_print(h, "  reserve: %s\n", truth(m->reserve));
        }
        hmp_print(h, "  policy: %s\n  host nodes:", memory_policy_names[m->policy]);
        for (size_t n = 0; n < m->host_nodes.n; n++) {
            hmp_print(h, "%s%" PRId64, n ? "," : " ", m->host_nodes.at[n]);
        }
        hmp_print(h, "\n\n");
    }
    qtype_free(&qtype_list_Memdev, &list);
}

static void print_dimm(void *arg, const PcDimm *d)
{
    Hmp *h = arg;
    hmp_print(h, "Memory device [dimm]: \"%s\"\n  addr: 0x%" PRIx64 "\n  slot: %d\n  node: %u\n",
              d->dev.id ? d->dev.id : "", d->addr, d->slot, d->node);
    hmp_print(
        h, "  size: %" PRIu64 "\n  memdev: /objects/%s\n  hotplugged: %s\n  hotpluggable: true\n",
        d->memdev->size, d->memdev->object.id, truth(d->dev.hotplugged));
}

void hmp_info_memory_devices(Hmp *h, const HmpArgs *a)
{
    memory_slots_foreach(print_dimm, h);
}

void hmp_info_numa(Hmp *h, const HmpArgs *a)
{
    hmp_print(h, "%u nodes\n", numa.nodes);
    for (unsigned i = 0; i < numa.nodes; i++) {
        hmp_print(h, "node %u cpus:", i);
        for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
            if (numa_cpu_node(cpu_at(cpu)->index) == i) {
                hmp_print(h, " %u", cpu_at(cpu)->index);
            }
        }
        uint64_t plugged = memory_slots_plugged((int)i);
        hmp_print(h, "\nnode %u size: %" PRIu64 " MB\nnode %u plugged: %" PRIu64 " MB\n", i,
                  (numa.node[i].size + plugged) >> 20, i, plugged >> 20);
    }
}
