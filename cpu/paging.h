/* Page tables (SDM vol 3 ch. 4): 32-bit with and without PSE-36, PAE, 4-level, 5-level.
 *
 * The walk only reads; setting accessed and dirty bits is left to a CPU that executes, which finds in the result where
 * the entries are. */
#ifndef CPU_PAGING_H
#define CPU_PAGING_H

#include "cpu/cpu.h"

enum {                                  /* what the access is */
    WALK_READ = 0,
    WALK_WRITE = 1 << 0,
    WALK_FETCH = 1 << 1,
    WALK_USER = 1 << 2,                 /* at CPL 3                                                     */
    WALK_IMPLICIT = 1 << 3,             /* supervisor access of the CPU itself (TSS, GDT): SMAP ignores AC */
    WALK_DEBUG = 1 << 4,                /* translate what is present; no rights, no reserved bits       */
};
enum {                                  /* page-fault error code */
    PF_P = 1 << 0, PF_W = 1 << 1, PF_U = 1 << 2, PF_RSVD = 1 << 3, PF_I = 1 << 4, PF_PK = 1 << 5,
};
#define PTE_P (UINT64_C(1) << 0)
#define PTE_W (UINT64_C(1) << 1)
#define PTE_U (UINT64_C(1) << 2)
#define PTE_PWT (UINT64_C(1) << 3)
#define PTE_PCD (UINT64_C(1) << 4)
#define PTE_A (UINT64_C(1) << 5)
#define PTE_D (UINT64_C(1) << 6)
#define PTE_PS (UINT64_C(1) << 7)
#define PTE_G (UINT64_C(1) << 8)
#define PTE_NX (UINT64_C(1) << 63)

typedef enum WalkFault { WALK_OK, WALK_NON_CANONICAL /* #GP or #SS */, WALK_PAGE_FAULT } WalkFault;

typedef struct PageWalk {
    WalkFault fault;
    uint32_t error;                     /* error code of the #PF                                         */
    uint64_t phys;                      /* of the address itself                                         */
    uint64_t page_size;                 /* 4K, 2M, 4M, 1G                                                */
    uint64_t leaf;                      /* the entry that maps the page, with W, U and NX of all levels  */
    uint8_t pkey;
    /* The entries read, from the root down: levels 5..1 as the manuals number them.  On a fault the last is the one
     * that refused. */
    unsigned entries;
    struct {
        uint8_t level;
        uint64_t at, value;
    } entry[5];
    uint8_t entry_size;                 /* 4 or 8 bytes; 0: paging is off                                */
    uint64_t reserved;                  /* with PF_RSVD: the bits of the last entry that had to be 0     */
} PageWalk;

/* `phys_bits` is MAXPHYADDR; `pse36`, `gigabyte`: CPUID has them. */
typedef struct PagingLimits {
    unsigned phys_bits;
    bool pse36, gigabyte;
} PagingLimits;
PagingLimits paging_limits(const Cpu *c);

/* Translates a linear address through the tables in `memory`; true: it may be accessed.  The A20 gate is not applied. */
bool paging_walk(const CpuState *s, const PagingLimits *limits, Space *memory, uint64_t va, unsigned access,
                 PageWalk *out);

/* For debuggers: no rights are checked.  State must be in sync.  False: not mapped. */
bool cpu_translate_debug(const Cpu *c, uint64_t va, uint64_t *phys);
/* Guest memory by linear address, across pages; devices are not touched, ROM can be written (breakpoints).  False: some
 * byte is not there; what came before it was copied. */
bool cpu_memory_debug(const Cpu *c, uint64_t va, void *buf, size_t len, bool write);

/* Every present page, in order of address; fn returns false to stop.  leaf as in PageWalk. */
typedef bool PageFn(void *arg, uint64_t va, uint64_t phys, uint64_t size, uint64_t leaf);
void paging_foreach(const CpuState *s, const PagingLimits *limits, Space *memory, PageFn *fn, void *arg);

/* `info tlb` and `info mem`; append.  "PG disabled" when there is no paging. */
void paging_print_tlb(const Cpu *c, GString *out);
void paging_print_mem(const Cpu *c, GString *out);

#endif
