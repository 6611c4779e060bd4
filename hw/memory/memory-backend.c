#include "hw/memory/memory-backend.h"

#include "hw/machine.h"

// clang-format off
static const Row backend_rows[] = {
    PROP(MemoryBackend, size, "0", "Bytes", .type = TYPE_SIZE),
    PROP(MemoryBackend, share, "off", "Other processes may see the memory, and its file what is written"),
    PROP(MemoryBackend, prealloc, "off", "Back all of it now"),
    PROP_AS(MemoryBackend, prealloc_threads, "prealloc-threads", "1", "Threads that do so", .max = 256),
    PROP(MemoryBackend, merge, NULL, "Let the host merge equal pages"),
    PROP(MemoryBackend, dump, NULL, "Part of core dumps"),
    END
};
static const Row memfd_rows[] = {
    PROP(MemoryBackend, hugetlb, "off", "Huge pages"),
    PROP_AS(MemoryBackend, hugetlb_size, "hugetlbsize", "0", "Size of the huge pages, 0: the host's default", .type = TYPE_SIZE),
    END
};
static const Row file_rows[] = {
    PROP_AS(MemoryBackend, mem_path, "mem-path", NULL, "The file, or a folder (hugetlbfs) to make one in"),
    PROP(MemoryBackend, readonly, "off", "Only read the file"),
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

static bool make(MemoryBackend *b, RamKind kind, GError **error)
{
    if (!b->size) {
        return error_fail(error, "%s: size is missing", b->object.type->name);
    }
    RamOptions options = {.kind = kind,
                          .path = b->mem_path,
                          .share = b->share,
                          .prealloc = b->prealloc,
                          .prealloc_threads = b->prealloc_threads,
                          .hugetlb = b->hugetlb,
                          .hugetlb_size = b->hugetlb_size,
                          .merge = b->merge,
                          .dump = b->dump,
                          .readonly = b->readonly};
    b->block = ram_new(b->object.id, b->size, &options, error);
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

static void unmake(void *object)
{
    ram_free(((MemoryBackend *)object)->block);
}

const ObjectType memory_backend_type = {
    .name = "memory-backend", .abstract = true, .size = sizeof(MemoryBackend), .rows = backend_rows};
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
    if (b && b->readonly) {
        error_fail(error, "%s: memory backend '%s' is read-only, expected: one that can be written", user, id);
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
