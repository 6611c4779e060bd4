#include "hw/memory/numa.h"

#include <inttypes.h>
#include <string.h>

#include "core/keyval.h"
#include "hw/machine.h"
#include "hw/memory/node-list.h"

Numa numa;
static int16_t *cpu_node; /* by CPU number, -1: not said; NULL: of none it was said */

/* ---- -numa ---- */

static bool take_number(KeyVal *kv, const char *key, unsigned most, bool needed, int *n,
                        GError **error)
{
    g_autofree char *text = keyval_take(kv, key);
    guint64 v;
    *n = -1;
    if (!text) {
        return !needed || error_fail(error, "-numa: %s is missing", key);
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, most, &v, NULL)) {
        return error_fail(error, "-numa: %s=%s, expected: a number from 0 to %u", key, text, most);
    }
    *n = (int)v;
    return true;
}

static bool nothing_left(const KeyVal *kv, const char *accepted, GError **error)
{
    return !kv->items->len || error_fail(error, "-numa: unknown parameter '%s', expected: %s",
                                         g_array_index(kv->items, KeyValue, 0).key, accepted);
}

static bool put_cpu(unsigned cpu, unsigned node, GError **error)
{
    if (!cpu_node) {
        cpu_node = g_new(int16_t, machine.max_cpus);
        memset(cpu_node, 0xff, machine.max_cpus * sizeof(*cpu_node));
    }
    if (cpu_node[cpu] >= 0 && cpu_node[cpu] != (int)node) {
        return error_fail(error, "-numa: CPU %u is in node %d already, not in node %u too", cpu,
                          cpu_node[cpu], node);
    }
    cpu_node[cpu] = (int16_t)node;
    return true;
}

static bool put_cpus(KeyVal *kv, unsigned node, GError **error)
{
    g_autofree uint64_t *set = g_new0(uint64_t, machine.max_cpus / 64 + 1);
    for (unsigned i = 0; i < kv->items->len; i++) {
        const KeyValue *item = &g_array_index(kv->items, KeyValue, i);
        if (!strcmp(item->key, "cpus") && !node_list_parse(item->value, set, machine.max_cpus)) {
            return error_fail(error,
                              "-numa: cpus=%s, expected: numbers below %u (maxcpus), such as 0-1",
                              item->value, machine.max_cpus);
        }
    }
    for (unsigned cpu = 0; cpu < machine.max_cpus; cpu++) {
        if (node_list_has(set, cpu) && !put_cpu(cpu, node, error)) {
            return false;
        }
    }
    g_free(keyval_take(kv, "cpus"));
    return true;
}

static bool put_memory(KeyVal *kv, NumaNode *n, GError **error)
{
    g_autofree char *mem = keyval_take(kv, "mem"), *memdev = keyval_take(kv, "memdev");
    if (mem && memdev) {
        return error_fail(error, "-numa: mem=%s and memdev=%s, expected: one of them", mem, memdev);
    }
    if (mem && !row_parse_size(mem, 'M', &n->size)) {
        return error_fail(error, "-numa: mem=%s, expected: MiB or a size such as 512M or 4G", mem);
    }
    if (memdev) {
        n->backend = memory_backend_claim(memdev, "-numa", error);
        n->size = n->backend ? n->backend->size : 0;
    }
    return !memdev || n->backend;
}

static bool option_node(KeyVal *kv, GError **error)
{
    int id;
    if (!take_number(kv, "nodeid", NUMA_NODES - 1, false, &id, error)) {
        return false;
    }
    if (id < 0) { /* the next free one */
        for (id = 0; id < NUMA_NODES - 1 && numa.node[id].present; id++) {
        }
    }
    if (numa.node[id].present) {
        return error_fail(error, "-numa: node %d was described already", id);
    }
    g_autofree char *initiator = keyval_take(kv, "initiator");
    if (initiator) {
        return error_fail(error,
                          "-numa: initiator=%s needs the heterogeneous memory attributes table, "
                          "which is not built",
                          initiator);
    }
    NumaNode *n = &numa.node[id];
    n->present = true;
    numa.nodes++;
    return put_cpus(kv, (unsigned)id, error) && put_memory(kv, n, error) &&
           nothing_left(kv, "nodeid, cpus, mem, memdev", error);
}

static bool option_dist(KeyVal *kv, GError **error)
{
    int src, dst, val;
    if (!take_number(kv, "src", NUMA_NODES - 1, true, &src, error) ||
        !take_number(kv, "dst", NUMA_NODES - 1, true, &dst, error) ||
        !take_number(kv, "val", NUMA_FARTHEST, true, &val, error)) {
        return false;
    }
    if (!numa.node[src].present || !numa.node[dst].present) {
        return error_fail(
            error,
            "-numa: dist,src=%d,dst=%d: there is no node %d yet (-numa node,nodeid=%d goes first)",
            src, dst, numa.node[src].present ? dst : src, numa.node[src].present ? dst : src);
    }
    if (src == dst ? val != NUMA_LOCAL : val <= NUMA_LOCAL) {
        return error_fail(error, "-numa: dist,src=%d,dst=%d,val=%d, expected: %s", src, dst, val,
                          src == dst ? "10, a node's distance from itself"
                                     : "11 to 255 (255: not reachable)");
    }
    numa.node[src].distance[dst] = (uint8_t)val;
    numa.distances = true;
    return nothing_left(kv, "src, dst, val", error);
}

static bool option_cpu(KeyVal *kv, GError **error)
{
    const Topology *t = &machine.topology;
    int node, socket, die, core, thread;
    if (!take_number(kv, "node-id", NUMA_NODES - 1, true, &node, error) ||
        !take_number(kv, "socket-id", t->sockets - 1, false, &socket, error) ||
        !take_number(kv, "die-id", t->dies - 1, false, &die, error) ||
        !take_number(kv, "core-id", t->cores - 1, false, &core, error) ||
        !take_number(kv, "thread-id", t->threads - 1, false, &thread, error) ||
        !nothing_left(kv, "node-id, socket-id, die-id, core-id, thread-id", error)) {
        return false;
    }
    if (!numa.node[node].present) {
        return error_fail(
            error,
            "-numa: cpu,node-id=%d: there is no such node yet (-numa node,nodeid=%d goes first)",
            node, node);
    }
    for (unsigned cpu = 0; cpu < machine.max_cpus; cpu++) {
        unsigned c = cpu / t->threads, d = c / t->cores;
        bool meant = (thread < 0 || cpu % t->threads == (unsigned)thread) &&
                     (core < 0 || c % t->cores == (unsigned)core) &&
                     (die < 0 || d % t->dies == (unsigned)die) &&
                     (socket < 0 || d / t->dies == (unsigned)socket);
        if (meant && !put_cpu(cpu, (unsigned)node, error)) {
            return false;
        }
    }
    return true;
}

bool numa_option(const char *text, GError **error)
{
    static const struct {
        const char *type;
        bool (*parse)(KeyVal *kv, GError **error);
    } types[] = {{"node", option_node}, {"dist", option_dist}, {"cpu", option_cpu}};
    g_autoptr(KeyVal) kv = keyval_parse(text, "type", error);
    if (!kv) {
        return false;
    }
    g_autofree char *type = keyval_take(kv, "type");
    for (unsigned i = 0; type && i < G_N_ELEMENTS(types); i++) {
        if (!strcmp(types[i].type, type)) {
            return types[i].parse(kv, error);
        }
    }
    if (type && g_str_has_prefix(type, "hmat-")) {
        return error_fail(
            error,
            "-numa %s: heterogeneous memory attributes are not built, expected: node, dist, cpu",
            type);
    }
    return error_fail(error, "-numa: type '%s', expected: node, dist, cpu", type ? type : "");
}

/* ---- Completing it ---- */

static bool nodes_complete(GError **error)
{
    for (unsigned i = 0; i < numa.nodes; i++) {
        if (!numa.node[i].present) {
            return error_fail(
                error, "-numa: node %u is missing: nodes are numbered from 0 without gaps", i);
        }
    }
    return true;
}

bool numa_has_backends(void)
{
    for (unsigned i = 0; i < numa.nodes; i++) {
        if (numa.node[i].backend) {
            return true;
        }
    }
    return false;
}

static bool memory_complete(GError **error)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < numa.nodes; i++) {
        const NumaNode *n = &numa.node[i];
        if (numa_has_backends() && n->size && !n->backend) {
            return error_fail(
                error,
                "-numa: node %u has mem=, others memdev=, expected: one or the other for all", i);
        }
        sum += n->size;
    }
    if (numa_has_backends() && machine.memory_backend) {
        return error_fail(error,
                          "-numa memdev= cannot be used together with -machine memory-backend=%s",
                          machine.memory_backend);
    }
    return sum == machine.ram_size ||
           error_fail(error,
                      "-numa: the nodes have %" PRIu64 " bytes together, the machine %" PRIu64
                      " (-m; give each node memdev= or mem=)",
                      sum, machine.ram_size);
}

/* What one direction says holds for the other, unless some pair differs by direction: then each
 * must be said. */
static bool distances_complete(GError **error)
{
    bool mirrored = true;
    for (unsigned i = 0; i < numa.nodes; i++) {
        for (unsigned j = 0; j < numa.nodes; j++) {
            uint8_t a = numa.node[i].distance[j], b = numa.node[j].distance[i];
            mirrored &= !a || !b || a == b;
        }
    }
    for (unsigned i = 0; i < numa.nodes; i++) {
        for (unsigned j = 0; j < numa.nodes; j++) {
            uint8_t *a = &numa.node[i].distance[j], b = numa.node[j].distance[i];
            *a = i == j ? NUMA_LOCAL : !*a && mirrored ? b : *a;
            if (!*a) {
                return error_fail(
                    error, "-numa: the distance from node %u to node %u is missing%s", i, j,
                    mirrored ? "" : ": where some differ by direction, all are to be said");
            }
        }
    }
    return true;
}

/* Where nothing is said, sockets go round. */
static void place_cpus(void)
{
    const Topology *t = &machine.topology;
    g_autoptr(GString) lost = g_string_new(NULL);
    bool said = cpu_node != NULL;
    for (unsigned i = 0; i < machine.max_cpus; i++) {
        if (!said) {
            put_cpu(i, i / (t->threads * t->cores * t->dies) % numa.nodes, NULL);
        } else if (cpu_node[i] < 0) {
            g_string_append_printf(lost, "%s%u", lost->len ? ", " : "", i);
            cpu_node[i] = 0;
        }
    }
    if (lost->len) {
        warn_report("-numa: CPUs that are in no node go to node 0: %s", lost->str);
    }
}

static bool cpus_complete(GError **error)
{
    for (unsigned i = 0; cpu_node && i < machine.max_cpus; i++) {
        if (cpu_node[i] >= (int)numa.nodes) {
            return error_fail(error, "-numa: CPU %u is in node %d, which was not described", i,
                              cpu_node[i]);
        }
    }
    place_cpus();
    return true;
}

bool numa_finish(GError **error)
{
    if (!numa.nodes && machine.ram_slots && machine.class->default_cpu) {
        numa.nodes = 1;
        numa.node[0] = (NumaNode){.present = true, .size = machine.ram_size};
    }
    if (!numa.nodes) {
        return true;
    }
    if (!machine.class->default_cpu) {
        return error_fail(error, "-numa: machine type '%s' has no nodes", machine.class->name);
    }
    return nodes_complete(error) && memory_complete(error) &&
           (!numa.distances || distances_complete(error)) && cpus_complete(error);
}

unsigned numa_cpu_node(unsigned cpu)
{
    return (unsigned)cpu_node[cpu];
}
