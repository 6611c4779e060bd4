/* NUMA: which node has which memory and CPUs, and how far nodes are from one another.  -numa fills it in; numa_finish
 * completes it, then it is read only.  Main lock held. */
#ifndef HW_MEMORY_NUMA_H
#define HW_MEMORY_NUMA_H

#include "core/error.h"
#include "hw/memory/memory-backend.h"

enum { NUMA_NODES = 128, NUMA_LOCAL = 10, NUMA_REMOTE = 20, NUMA_FARTHEST = 255 };

typedef struct NumaNode {
    bool present;
    uint64_t size;                      /* bytes of main memory, without what is plugged */
    MemoryBackend *backend;             /* memdev=; NULL: a part of the RAM that -m makes */
    uint8_t distance[NUMA_NODES];       /* 0: not said */
} NumaNode;
typedef struct Numa {
    unsigned nodes;                     /* 0: the machine is not NUMA */
    NumaNode node[NUMA_NODES];
    bool distances;                     /* some were said: the SLIT tells them all */
} Numa;
extern Numa numa;

bool numa_option(const char *text, GError **error);     /* -numa; -smp is known */
/* Every node is there, has memory that adds up to -m's, distances are complete, each CPU has a node.  A machine into which
 * memory can be plugged has at least one node: only the SRAT tells systems where that will be (ACPI 6.4 §5.2.16.2). */
bool numa_finish(GError **error);
bool numa_has_backends(void);
unsigned numa_cpu_node(unsigned cpu);   /* of CPU number `cpu`, below machine.max_cpus; numa.nodes is not 0 */

#endif
