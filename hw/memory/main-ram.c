#include "hw/memory/main-ram.h"

#include <inttypes.h>

#include "hw/machine.h"
#include "hw/memory/memory-backend.h"
#include "hw/memory/numa.h"

static MemoryBackend *chosen; /* -machine memory-backend=ID; NULL: none */

bool main_ram_choose(GError **error)
{
    if (machine.memory_backend) {
        chosen = memory_backend_claim(machine.memory_backend, "-machine memory-backend", error);
        if (!chosen) {
            return false;
        }
        if (machine.ram_size && machine.ram_size != chosen->size) {
            return error_fail(error,
                              "-machine memory-backend=%s: it has %" PRIu64
                              " bytes, -m says %" PRIu64 " (leave one out, or say the same)",
                              machine.memory_backend, chosen->size, machine.ram_size);
        }
        if (machine.mem_path) {
            return error_fail(error,
                              "-mem-path cannot be used together with -machine memory-backend");
        }
        machine.ram_size = chosen->size;
    }
    if (!machine.ram_size) {
        machine.ram_size = machine.class->default_ram;
    }
    if (machine.max_ram && machine.max_ram < machine.ram_size) {
        return error_fail(error,
                          "-m: maxmem=%" PRIu64 ", expected: at least the RAM's %" PRIu64 " bytes",
                          machine.max_ram, machine.ram_size);
    }
    if (!machine.ram_slots != (machine.max_ram <= machine.ram_size)) {
        return error_fail(error,
                          machine.ram_slots
                              ? "-m: slots=%u needs maxmem=, more than the RAM's %" PRIu64 " bytes"
                              : "-m: maxmem= needs slots= (slots=%u, RAM of %" PRIu64 " bytes)",
                          machine.ram_slots, machine.ram_size);
    }
    return true;
}

static Region *of_block(RamBlock *b)
{
    return b ? region_ram("pc.ram", b, 0, ram_size(b)) : NULL;
}

static Region *of_nodes(void)
{
    uint64_t at = 0;
    Region *all = region_container("pc.ram", machine.ram_size);
    for (unsigned i = 0; i < numa.nodes; i++) {
        const NumaNode *n = &numa.node[i];
        if (n->backend) {
            region_map(all, region_ram(n->backend->object.id, n->backend->block, 0, n->size), at,
                       0);
        }
        at += n->size;
    }
    return all;
}

Region *main_ram_region(GError **error)
{
    if (chosen) {
        return of_block(chosen->block);
    }
    if (numa_has_backends()) {
        return of_nodes();
    }
    RamOptions options = {.kind = machine.mem_path ? RAM_FILE : RAM_ANON,
                          .path = machine.mem_path,
                          .prealloc = machine.mem_prealloc,
                          .merge = machine.mem_merge,
                          .dump = machine.dump_guest_core};
    return of_block(ram_new("pc.ram", machine.ram_size, &options, error));
}
