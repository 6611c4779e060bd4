#include "hw/memory/memory-backend.h"

#include <inttypes.h>
#include <string.h>

#include "hw/machine.h"

#include "hw/memory/node-list.h"

const char *const memory_policy_names[] = {"default", "preferred", "bind", "interleave", NULL};
static const char *const reserve_names[] = {"auto", "on", "off", NULL};

// clang-format off
static const Row backend_rows[] = {
    PROP(MemoryBackend, size, "0", "Bytes", .type = TYPE_SIZE),
    PROP(MemoryBackend, share, "off", "Other processes may see the memory, and its file what is written"),
    PROP(MemoryBackend, prealloc, "off", "Back all of it now"),
    PROP_AS(MemoryBackend, prealloc_threads, "prealloc-threads", "1", "Threads that do so", .max = 256),
    PROP(MemoryBackend, merge, NULL, "Let the host merge equal pages"),
    PROP(MemoryBackend, dump, NULL, "Part of core dumps"),
    PROP(MemoryBackend, reserve, "auto", "Have the host set the memory aside now; auto: only huge pages", .type = TYPE_ENUM, .names = reserve_names),
    PROP(MemoryBackend, policy, "default", "How the host picks its NUMA nodes", .type = TYPE_ENUM, .names = memory_policy_names),
    PROP_AS(MemoryBackend, host_nodes, "host-nodes", NULL, "The host's NUMA nodes for that, such as 0-1"),
    END
};
static const Row memfd_rows[] = {
    PROP(MemoryBackend, hugetlb, "off", "Huge pages"),
    PROP_AS(MemoryBackend, hugetlb_size, "hugetlbsize", "0", "Size of the huge pages, 0: the host's default", .type = TYPE_SIZE),
    PROP(MemoryBackend, seal, "on", "Its size cannot change any more"),
    END
};
static const Row file_rows[] = {
    PROP_AS(MemoryBackend, mem_path, "mem-path", NULL, "The file, or a folder (hugetlbfs) to make one in"),
    PROP(MemoryBackend, readonly, "off", "Only read the file"),
    PROP(MemoryBackend, align, "0", "The memory begins at a multiple of this in the process", .type = TYPE_SIZE),
    PROP_AS(MemoryBackend, discard_data, "discard-data", "off", "The file's contents need not survive"),
    END
};
// clang-format on

static void backend_init(void *object)
{
    MemoryBackend *b = object;
    b->merge = machine.mem_merge;
    b->dump = machine.dump_guest_core;
}

/* Other processes can only share a file; by default that of a memfd is. */
static void memfd_init(void *object)
{
    backend_init(object);
    ((MemoryBackend *)object)->share = true;
}

static bool power_of_two_pages(const MemoryBackend *b, const char *property, uint64_t value,
                               GError **error)
{
    return !value || (!(value & (value - 1)) && value >= RAM_PAGE) ||
           error_fail(error,
                      "Property '%s.%s' doesn't take value '%" PRIu64
                      "', expected: a power of two from 4K on",
                      b->object.type->name, property, value);
}

static bool check(MemoryBackend *b, GError **error)
{
    const char *type = b->object.type->name;
    if (!b->size) {
        return error_fail(error, "%s: size is missing", type);
    }
    if (b->host_nodes && !node_list_parse(b->host_nodes, b->nodes, RAM_HOST_NODES)) {
        return error_fail(error,
                          "Property '%s.host-nodes' doesn't take value '%s', expected: numbers "
                          "below %d such as 0-1,3",
                          type, b->host_nodes, RAM_HOST_NODES);
    }
    if (!b->host_nodes != (b->policy == RAM_POLICY_DEFAULT)) {
        return error_fail(
            error,
            b->host_nodes
                ? "%s: host-nodes=%s needs a policy other than default: preferred, bind, interleave"
                : "%s: policy=%s needs host-nodes",
            type, b->host_nodes ? b->host_nodes : memory_policy_names[b->policy]);
    }
    if (b->hugetlb_size && !b->hugetlb) {
        return error_fail(error, "%s: hugetlbsize needs hugetlb=on", type);
    }
    return power_of_two_pages(b, "hugetlbsize", b->hugetlb_size, error) &&
           power_of_two_pages(b, "align", b->align, error);
}

static bool make(MemoryBackend *b, RamKind kind, GError **error)
{
    if (!check(b, error)) {
        return false;
    }
    RamOptions options = {.kind = kind,
                          .path = b->mem_path,
                          .share = b->share,
                          .prealloc = b->prealloc,
                          .prealloc_threads = b->prealloc_threads,
                          .hugetlb = b->hugetlb,
                          .hugetlb_size = b->hugetlb_size,
                          .seal = b->seal,
                          .align = b->align,
                          .discard = b->discard_data,
                          .reserve = (enum RamReserve)b->reserve,
                          .policy = (enum RamPolicy)b->policy,
                          .merge = b->merge,
                          .dump = b->dump,
                          .readonly = b->readonly};
    memcpy(options.host_nodes, b->nodes, sizeof(b->nodes));
    b->block = ram_new(b->object.id, b->size, &options, error);
    b->region = b->block ? region_ram(b->object.id, b->block, 0, b->size) : NULL;
    return b->block;
}

static bool make_ram(void *object, GError **error)
{
    MemoryBackend *b = object;
    return make(b, b->share ? RAM_MEMFD : RAM_ANON, error);
}

static bool make_memfd(void *object, GError **error)
{
    return make(object, RAM_MEMFD, error);
}

static bool make_file(void *object, GError **error)
{
    MemoryBackend *b = object;
    if (!b->mem_path) {
        return error_fail(error, "memory-backend-file: mem-path is missing");
    }
    return make(b, RAM_FILE, error);
}

static void forget(Cpu *c, void *unused)
{
    if (cpu_ops.forget_memory) {
        cpu_ops.forget_memory(c);
    }
}

/* It may have been a DIMM, of which CPUs that run still know; DMA in flight holds the block itself.
 */
static void unmake(void *object)
{
    MemoryBackend *b = object;
    mem_commit();
    for (unsigned i = 0; i < cpu_count(); i++) {
        cpu_run_on(cpu_at(i), forget, NULL);
    }
    region_free(b->region);
    ram_free(b->block);
}

const ObjectType memory_backend_type = {.name = "memory-backend",
                                        .abstract = true,
                                        .size = sizeof(MemoryBackend),
                                        .rows = backend_rows};
const ObjectType memory_backend_ram_type = {.name = "memory-backend-ram",
                                            .doc = "Memory of the host's",
                                            .base = &memory_backend_type,
                                            .size = sizeof(MemoryBackend),
                                            .init = backend_init,
                                            .make = make_ram,
                                            .unmake = unmake};
const ObjectType memory_backend_memfd_type = {.name = "memory-backend-memfd",
                                              .doc = "A memory file without a name",
                                              .base = &memory_backend_type,
                                              .size = sizeof(MemoryBackend),
                                              .rows = memfd_rows,
                                              .init = memfd_init,
                                              .make = make_memfd,
                                              .unmake = unmake};
const ObjectType memory_backend_file_type = {.name = "memory-backend-file",
                                             .doc = "A file",
                                             .base = &memory_backend_type,
                                             .size = sizeof(MemoryBackend),
                                             .rows = file_rows,
                                             .init = backend_init,
                                             .make = make_file,
                                             .unmake = unmake};

MemoryBackend *memory_backend_claim(const char *id, const char *user, GError **error)
{
    MemoryBackend *b = object_find_type(id, "memory-backend", error);
    if (b && b->object.users) {
        error_fail(error, "%s: memory backend '%s' is in use already", user, id);
        return NULL;
    }
    if (b && b->size % RAM_PAGE) {
        error_fail(error,
                   "%s: memory backend '%s' has %" PRIu64 " bytes, expected: a multiple of 4K",
                   user, id, b->size);
        return NULL;
    }
    if (b && b->readonly) {
        error_fail(error, "%s: memory backend '%s' is read-only, expected: one that can be written",
                   user, id);
        return NULL;
    }
    if (b) {
        b->object.users++;
    }
    return b;
}

void memory_backend_release(MemoryBackend *b)
{
    b->object.users--;
}
