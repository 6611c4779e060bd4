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
    int32_t reserve, policy;            /* enum RamReserve, RamPolicy */
    char *host_nodes;                   /* "0-1,3": nodes of the host */
    char *mem_path;                     /* -file */
    bool readonly, discard_data;
    uint64_t align;
    bool hugetlb, seal;                 /* -memfd */
    uint64_t hugetlb_size;
    uint64_t nodes[RAM_HOST_NODES / 64];/* host_nodes as bits */
    RamBlock *block;
    Region *region;                     /* shows the block, for one who plugs and unplugs it                 */
} MemoryBackend;
extern const char *const memory_policy_names[];         /* by RamPolicy */
extern const ObjectType memory_backend_type, memory_backend_ram_type, memory_backend_memfd_type, memory_backend_file_type;

/* The back end `id`, which nobody uses yet, for one who shows all of it and holds it from now on; `user` names who asks. */
MemoryBackend *memory_backend_claim(const char *id, const char *user, GError **error);
void memory_backend_release(MemoryBackend *b);

#endif
