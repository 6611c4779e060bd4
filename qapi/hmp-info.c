/* The human monitor's `info`. */
#include <inttypes.h>
#include <string.h>

#include "accel/soft/soft.h"
#include "core/error.h"
#include "cpu/blackbox/print.h"
#include "cpu/blackbox/report.h"
#include "cpu/paging.h"
#include "hw/machine.h"
#include "hw/pci/pci.h"
#include "hw/platform.h"
#include "hw/qom.h"
#include "mem/ram.h"
#include "qapi/hmp-internal.h"
#include "qapi/qmp.h"
#include "qapi/schema/qapi-commands.h"

/* What a QMP query answers, to be printed and freed. */
#define QUERY(type, var, call)                                                                     \
    GError *error = NULL;                                                                          \
    QUERY_INTO(type, var, call)
/* The next one of the same function. */
#define QUERY_INTO(type, var, call)                                                                \
    Q##type var = {0};                                                                             \
    if (!call(NULL, &var, &error)) {                                                               \
        hmp_error(h, error);                                                                       \
        return;                                                                                    \
    }

static void info_status(Hmp *h, const HmpArgs *a)
{
    QUERY(StatusInfo, s, qmp_query_status);
    hmp_print(h, "VM status: %s", s.running ? "running" : "paused");
    if (!s.running && s.status != Q_RUN_STATE_PAUSED) {
        hmp_print(h, " (%s)", qtype_enum_name(&qtype_RunState, s.status));
    }
    hmp_print(h, "\n");
}

static void info_version(Hmp *h, const HmpArgs *a)
{
    hmp_print(h, "%d.%d.%dostler %s\n", QMP_VERSION_MAJOR, QMP_VERSION_MINOR, QMP_VERSION_MICRO,
              OSTLER_VERSION);
}

static void info_name(Hmp *h, const HmpArgs *a)
{
    if (machine.name) {
        hmp_print(h, "%s\n", machine.name);
    }
}

/* One line for each network device and its back end: none are built. */
static void info_network(Hmp *h, const HmpArgs *a)
{
}

static void info_uuid(Hmp *h, const HmpArgs *a)
{
    QUERY(UuidInfo, u, qmp_query_uuid);
    hmp_print(h, "%s\n", u.UUID);
    qtype_free(&qtype_UuidInfo, &u);
}

static void info_kvm(Hmp *h, const HmpArgs *a)
{
    QUERY(KvmInfo, k, qmp_query_kvm);
    hmp_print(h, "kvm support: %s\n",
              k.enabled   ? "enabled"
              : k.present ? "disabled"
                          : "not compiled");
    QUERY_INTO(KvmRescueInfoList, list, qmp_x_query_kvm_rescue);
    for (size_t i = 0; i < list.n; i++) {
        const QKvmRescueInfo *r = &list.at[i];
        hmp_print(h,
                  "CPU #%" PRId64 ": rescued %" PRId64 " times (emulation %" PRId64 ", delivery %" PRId64
                  ", unexpected exit %" PRId64 ", stuck %" PRId64 ", slow %" PRId64 "), %" PRId64
                  " instructions in software\n",
                  r->cpu_index, r->emulation + r->delivery + r->unexpected_exit + r->stuck + r->slow, r->emulation,
                  r->delivery, r->unexpected_exit, r->stuck, r->slow, r->instructions);
    }
    qtype_free(&qtype_list_KvmRescueInfo, &list);
}

static void info_cpus(Hmp *h, const HmpArgs *a)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        const Cpu *c = cpu_at(i);
        hmp_print(h, "%c CPU #%u: thread_id=%d\n", (int)c->index == MAX(h->cpu, 0) ? '*' : ' ',
                  c->index, c->thread_id);
    }
}

static void info_chardev(Hmp *h, const HmpArgs *a)
{
    QUERY(ChardevInfoList, list, qmp_query_chardev);
    for (size_t i = 0; i < list.n; i++) {
        hmp_print(h, "%s: filename=%s\n", list.at[i].label, list.at[i].filename);
    }
    qtype_free(&qtype_list_ChardevInfo, &list);
}

static void print_drive(Hmp *h, const QBlockInfo *b)
{
    if (b->inserted) {
        hmp_print(h, "%s%s%s%s: %s (%s%s)\n", b->device, b->inserted->node_name ? " (" : "",
                  b->inserted->node_name ? b->inserted->node_name : "",
                  b->inserted->node_name ? ")" : "", b->inserted->file, b->inserted->drv,
                  b->inserted->ro ? ", read-only" : "");
    } else {
        hmp_print(h, "%s: [not inserted]\n", b->device);
    }
    if (b->qdev) {
        hmp_print(h, "    Attached to:      %s\n", b->qdev);
    }
    if (b->has_io_status && b->io_status != Q_BLOCK_DEVICE_IO_STATUS_OK) {
        hmp_print(h, "    I/O status:       %s\n",
                  qtype_enum_name(&qtype_BlockDeviceIoStatus, b->io_status));
    }
    if (b->removable) {
        hmp_print(h, "    Removable device: %slocked, tray %s\n", b->locked ? "" : "not ",
                  b->has_tray_open && b->tray_open ? "open" : "closed");
    }
    if (b->inserted) {
        hmp_print(h, "    Cache mode:       %s%s%s\n",
                  b->inserted->cache.writeback ? "writeback" : "writethrough",
                  b->inserted->cache.direct ? ", direct" : "",
                  b->inserted->cache.no_flush ? ", ignore flushes" : "");
    }
}

static void info_block(Hmp *h, const HmpArgs *a)
{
    const char *only = hmp_text(a, "device");
    QUERY(BlockInfoList, list, qmp_query_block);
    bool first = true;
    for (size_t i = 0; i < list.n; i++) {
        if (!only || !strcmp(only, list.at[i].device)) {
            hmp_print(h, "%s", first ? "" : "\n");
            print_drive(h, &list.at[i]);
            first = false;
        }
    }
    qtype_free(&qtype_list_BlockInfo, &list);
}

static void info_jit(Hmp *h, const HmpArgs *a)
{
    g_autoptr(GString) text = g_string_new(NULL);
    soft_print_statistics(text);
    hmp_print(h, "%s", text->len ? text->str : "No CPU runs in software.\n");
}

static void info_mtree(Hmp *h, const HmpArgs *a)
{
    space_print(space_memory(), h->out, hmp_flag(a, "f"));
    hmp_print(h, "\n");
    space_print(space_io(), h->out, hmp_flag(a, "f"));
}

/* ---- Devices ---- */

static void print_bus(Hmp *h, const Bus *bus, int depth);

typedef struct Props {
    Hmp *h;
    const Device *dev;
    int depth;
} Props;

static void print_property(void *arg, const Row *r, const char *name)
{
    Props *p = arg;
    if (r->kind != ROW_PROP) {
        return;
    }
    g_autofree char *text = device_get(p->dev, name);
    bool quoted = r->type == TYPE_STR || r->type == TYPE_CHAR || r->type == TYPE_DRIVE ||
                  r->type == TYPE_LINK || r->type == TYPE_NET || r->type == TYPE_AUDIO;
    hmp_print(p->h, quoted ? "%*s%s = \"%s\"\n" : "%*s%s = %s\n", p->depth, "", name,
              text ? text : "");
}

static void print_device(Hmp *h, const Device *d, int depth)
{
    hmp_print(h, "%*sdev: %s, id \"%s\"\n", depth, "", d->class->name, d->id ? d->id : "");
    device_class_rows(d->class, print_property, &(Props){h, d, depth + 2});
    if (d->bus && d->bus->class->print) {
        GString *extra = g_string_new(NULL);
        d->bus->class->print(d, extra);
        g_auto(GStrv) lines = g_strsplit(g_strchomp(extra->str), "\n", -1);
        for (char **l = lines; *l && **l; l++) {
            hmp_print(h, "%*s%s\n", depth + 2, "", *l);
        }
        g_string_free(extra, TRUE);
    }
    for (GSList *l = d->buses; l; l = l->next) {
        print_bus(h, l->data, depth + 2);
    }
}

static void print_bus(Hmp *h, const Bus *bus, int depth)
{
    hmp_print(h, "%*sbus: %s\n%*stype %s\n", depth, "", bus->name, depth + 2, "", bus->class->type);
    for (guint i = 0; i < bus->devices->len; i++) {
        print_device(h, g_ptr_array_index(bus->devices, i), depth + 2);
    }
}

static void print_wired(void *arg, Device *d)
{
    if (!d->bus) {
        print_device(arg, d, 2);
    }
}

static void print_root_bus(void *arg, Bus *bus)
{
    if (!bus->parent) {
        print_bus(arg, bus, 2);
    }
}

static void info_qtree(Hmp *h, const HmpArgs *a)
{
    hmp_print(h, "bus: main-system-bus\n  type System\n");
    device_foreach(print_wired, h);
    bus_foreach(print_root_bus, h);
}

typedef struct Tree {
    Hmp *h;
    const QomNode *node;
    int depth;
} Tree;

static void print_tree(Hmp *h, const QomNode *node, const char *name, int depth);

static void print_child(void *arg, const QomProperty *p)
{
    Tree *t = arg;
    QomNode child;
    if (g_str_has_prefix(p->type, "child<") && qom_child(t->node, p->name, &child)) {
        print_tree(t->h, &child, p->name, t->depth);
    }
}

static void print_tree(Hmp *h, const QomNode *node, const char *name, int depth)
{
    hmp_print(h, "%*s/%s (%s)\n", depth, "", name, qom_type(node));
    qom_properties(node, print_child, &(Tree){h, node, depth + 2});
}

static void info_qom_tree(Hmp *h, const HmpArgs *a)
{
    const char *path = hmp_text(a, "path");
    QomNode node;
    GError *error = NULL;
    if (!qom_find(path ? path : "/machine", &node, &error)) {
        hmp_error(h, error);
        return;
    }
    const char *name = path ? path : "machine";
    print_tree(h, &node, *name == '/' ? name + 1 : name, 0);
}

static void info_qdm(Hmp *h, const HmpArgs *a)
{
    for (const DeviceClass *const *p = device_classes; *p; p++) {
        const DeviceClass *c = *p;
        if (c->abstract || c->plain) {
            continue;
        }
        hmp_print(h, "name \"%s\"", c->name);
        hmp_print(h, c->bus ? ", bus %s" : "%s", c->bus ? c->bus : "");
        hmp_print(h, c->alias ? ", alias \"%s\"" : "%s", c->alias ? c->alias : "");
        hmp_print(h, c->doc ? ", desc \"%s\"" : "%s", c->doc ? c->doc : "");
        hmp_print(h, "%s\n", c->internal ? ", no-user" : "");
    }
}

static void info_pci(Hmp *h, const HmpArgs *a)
{
    if (pci_root()) {
        pci_print(pci_root(), h->out);
    }
}

/* ---- CPUs ---- */

static void print_registers(Hmp *h, Cpu *c)
{
    cpu_sync(c);
    bool a20 = !cpu_platform.a20 || cpu_platform.a20();
    hmp_print(h, "\nCPU#%u\n", c->index);
    cpu_state_print(&c->state, h->out, CPU_DUMP_FPU, a20, c->halted);
}

static void info_registers(Hmp *h, const HmpArgs *a)
{
    int64_t wanted = hmp_number(a, "vcpu", MAX(h->cpu, 0));
    if (hmp_flag(a, "a")) {
        for (unsigned i = 0; i < cpu_count(); i++) {
            print_registers(h, cpu_at(i));
        }
    } else if (hmp_cpu_valid(wanted)) {
        print_registers(h, cpu_by_index((unsigned)wanted));
    } else {
        hmp_print(h, "CPU#%" PRId64 " not available\n", wanted);
    }
}

static void print_box(Cpu *c, void *arg)
{
    Hmp *h = arg;
    cpu_sync(c);
    g_autoptr(GArray) events = box_read(c->box);
    hmp_print(h, "CPU #%u: the last %u events, newest last; time is %s\n", c->index, events->len,
              c->box->instructions ? "the number of the instruction" : "in seconds since the start");
    for (guint i = 0; i < events->len; i++) {
        box_event_print(c->box, &g_array_index(events, BoxEvent, i), h->out);
    }
    if (c->box->faults) {
        hmp_print(h, "The last exception, and why, as far as the state still tells:\n");
        box_print_chain(c, h->out);
    }
}

static void info_blackbox(Hmp *h, const HmpArgs *a)
{
    int64_t wanted = hmp_number(a, "cpu", MAX(h->cpu, 0));
    g_autofree char *report = box_last_report();
    if (!hmp_cpu_valid(wanted)) {
        hmp_print(h, "CPU#%" PRId64 " not available\n", wanted);
        return;
    }
    Cpu *c = cpu_by_index((unsigned)wanted);
    if (c->box) {
        cpu_run_on(c, print_box, h);
    } else {
        hmp_print(h, "The black box is off (-blackbox).\n");
    }
    if (report) {
        hmp_print(h, "The last shutdown of a CPU:\n%s", report);
    }
}

static void info_mem(Hmp *h, const HmpArgs *a)
{
    Cpu *c = hmp_cpu(h);
    if (c) {
        paging_print_mem(c, h->out);
    }
}

static void info_tlb(Hmp *h, const HmpArgs *a)
{
    Cpu *c = hmp_cpu(h);
    if (c) {
        paging_print_tlb(c, h->out);
    }
}

/* ---- The rest ---- */

static void print_rom(void *arg, const FlatRange *fr)
{
    if (flat_range_is_ram(fr) && fr->readonly) {
        hmp_print(arg, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=rom name=\"%s\"\n", fr->at,
                  fr->size, region_name(fr->region));
    }
}

static void info_roms(Hmp *h, const HmpArgs *a)
{
    space_foreach_range(space_memory(), print_rom, h);
}

static void print_block(void *arg, RamBlock *b)
{
    hmp_print(arg, "%-32s %#018" PRIx64 "\n", ram_name(b), ram_size(b));
}

static void info_ramblock(Hmp *h, const HmpArgs *a)
{
    hmp_print(h, "%-32s %s\n", "Block Name", "Total");
    ram_foreach(print_block, h);
}

static void info_mice(Hmp *h, const HmpArgs *a)
{
    QUERY(MouseInfoList, list, qmp_query_mice);
    if (!list.n) {
        hmp_print(h, "No mouse devices connected\n");
    }
    for (size_t i = 0; i < list.n; i++) {
        const QMouseInfo *m = &list.at[i];
        hmp_print(h, "%c Mouse #%" PRId64 ": %s%s\n", m->current ? '*' : ' ', m->index, m->name,
                  m->absolute ? " (absolute)" : "");
    }
    qtype_free(&qtype_list_MouseInfo, &list);
}

static void info_history(Hmp *h, const HmpArgs *a)
{
    for (guint i = 0; h->history && i < h->history->len; i++) {
        hmp_print(h, "%u: '%s'\n", i, (char *)g_ptr_array_index(h->history, i));
    }
}

static void info_balloon(Hmp *h, const HmpArgs *a)
{
    QUERY(BalloonInfo, b, qmp_query_balloon);
    hmp_print(h, "balloon: actual=%" PRId64 "\n", b.actual >> 20);
}

static void info_memory_size(Hmp *h, const HmpArgs *a)
{
    QUERY(MemoryInfo, m, qmp_query_memory_size_summary);
    hmp_print(h, "base memory: %" PRIu64 "\nplugged memory: %" PRIu64 "\n", m.base_memory,
              m.plugged_memory);
}

static void info_hotpluggable(Hmp *h, const HmpArgs *a)
{
    QUERY(HotpluggableCPUList, list, qmp_query_hotpluggable_cpus);
    hmp_print(h, "Hotpluggable CPUs:\n");
    for (size_t i = 0; i < list.n; i++) {
        const QHotpluggableCPU *c = &list.at[i];
        hmp_print(h, "  type: \"%s\"\n  vcpus_count: \"%" PRId64 "\"\n", c->type, c->vcpus_count);
        if (c->qom_path) {
            hmp_print(h, "  qom_path: \"%s\"\n", c->qom_path);
        }
        hmp_print(h, "  CPUInstance Properties:\n");
        if (c->props.has_node_id) {
            hmp_print(h, "    node-id: \"%" PRId64 "\"\n", c->props.node_id);
        }
        hmp_print(h, "    socket-id: \"%" PRId64 "\"\n", c->props.socket_id);
        if (c->props.has_die_id) {
            hmp_print(h, "    die-id: \"%" PRId64 "\"\n", c->props.die_id);
        }
        hmp_print(h, "    core-id: \"%" PRId64 "\"\n    thread-id: \"%" PRId64 "\"\n",
                  c->props.core_id, c->props.thread_id);
    }
    qtype_free(&qtype_list_HotpluggableCPU, &list);
}

const HmpCommand hmp_info_commands[] = {
    {"balloon", "", "", "how much memory the guest has left, in MiB", info_balloon},
    {"blackbox", "cpu:i?", "[cpu]",
     "last events of a CPU, why it raised its last exception, and the last triple fault",
     info_blackbox},
    {"block", "device:s?", "[device]", "drives, or one of them: medium, mode, tray", info_block},
    {"chardev", "", "", "character back ends and where they lead", info_chardev},
    {"cpus", "", "", "CPUs and their threads", info_cpus},
    {"dump", "", "", "how far the dump of guest memory is, or how the last one ended", hmp_info_dump},
    {"history", "", "", "lines typed at this monitor", info_history},
    {"hotpluggable-cpus", "", "", "CPU slots of the board, filled or free", info_hotpluggable},
    {"iothreads", "", "", "threads of -object iothread", hmp_info_iothreads},
    {"irq", "", "", "interrupt lines of both PICs", hmp_info_irq},
    {"kvm", "", "", "whether KVM runs the CPUs", info_kvm},
    {"lapic", "apic-id:i?", "[apic-id]",
     "registers of a local APIC (of the chosen CPU unless told)", hmp_info_lapic},
    {"mem", "", "", "ranges that the page tables map, with their rights", info_mem},
    {"memdev", "", "", "memory back ends", hmp_info_memdev},
    {"memory-devices", "", "", "DIMMs", hmp_info_memory_devices},
    {"memory_size_summary", "", "", "bytes of RAM at start and plugged since", info_memory_size},
    {"mice", "", "", "pointing devices, and which one gets the events", info_mice},
    {"jit", NULL, "", "what the software CPU has decoded and translated", info_jit},
    {"mtree", "-f", "[-f]", "regions of memory and ports (-f: as the CPUs see them)", info_mtree},
    {"name", "", "", "name given with -name", info_name},
    {"network", "", "", "network devices and back ends", info_network},
    {"numa", "", "", "NUMA nodes with their CPUs and memory", hmp_info_numa},
    {"pci", "", "", "PCI functions with their BARs and interrupts", info_pci},
    {"pic", "", "", "registers of the PICs and the I/O APIC", hmp_info_pic},
    {"qdm", "", "", "kinds of devices", info_qdm},
    {"qom-tree", "path:s?", "[path]", "objects, each below its owner", info_qom_tree},
    {"qtree", "", "", "devices on their buses, with their properties", info_qtree},
    {"ramblock", "", "", "pieces of RAM and ROM behind the regions", info_ramblock},
    {"registers", "-a vcpu:i?", "[-a|vcpu]", "registers of a CPU (-a: of all)", info_registers},
    {"roms", "", "", "read-only memory that the CPUs see", info_roms},
    {"status", "", "", "whether the guest runs, or why not", info_status},
    {"tlb", "", "", "pages that the page tables map", info_tlb},
    {"trace-events", "name:s?", "[name]", "trace events that there are, and which are on (name: or a pattern, or a device)",
     hmp_info_trace_events},
    {"uuid", "", "", "UUID of the machine", info_uuid},
    {"version", "", "", "version of the command set and of the program", info_version},
    {NULL},
};
