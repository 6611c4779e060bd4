/* Memory back ends: RAM that users make by -object, for the machine, its NUMA nodes and its DIMMs to show. */
#ifndef HW_MEMORY_MEMORY_BACKEND_H
#define HW_MEMORY_MEMORY_BACKEND_H

#include "hw/object.h"
#include "mem/ram.h"

typedef struct MemoryBackend {
    UserObject object;
    /* properties */
    uint64_t size;                      /* bytes */
    bool share, prealloc, merge, dump;
    uint32_t prealloc_threads;
    char *mem_path;                     /* -file */
    bool readonly;
    bool hugetlb;                       /* -memfd */
    uint64_t hugetlb_size;
    RamBlock *block;
} MemoryBackend;
extern const ObjectType memory_backend_type, memory_backend_ram_type, memory_backend_memfd_type, memory_backend_file_type;

/* The back end `id`, which nobody uses yet, for one who shows all of it and holds it from now on; `user` names who asks. */
MemoryBackend *memory_backend_claim(const char *id, const char *user, GError **error);
void memory_backend_release(MemoryBackend *b);

#endif
