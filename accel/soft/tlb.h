/* Address translation of the software CPU, for its engine.
 *
 * Three privileges have a load and a store table each: user, supervisor, and supervisor with EFLAGS.AC, which SMAP lets at
 * user pages.  A fourth pair never has entries: it serves where every access must be looked at (alignment checks, data
 * breakpoints).  Store tables hold only pages whose next write nobody needs to hear of: dirty for every client, without
 * code, D set in the guest's tables. */
#ifndef ACCEL_SOFT_TLB_H
#define ACCEL_SOFT_TLB_H

#include "accel/soft/soft.h"
#include "mem/ram.h"

enum { TLB_USER, TLB_SUPER, TLB_SUPER_AC, TLB_STRICT, TLB_TABLES };

/* A physical page of the CPU's space. */
typedef struct PhysPage {
    uint64_t at;                        /* its address; 1: none here */
    uint8_t *host;                      /* NULL: a device, nothing, or a page of several things */
    RamBlock *ram;
    uint64_t offset;                    /* of the page in the block */
    bool writable, direct;              /* direct: reads come from memory */
} PhysPage;

typedef struct FetchPage {
    uint64_t tag;                       /* linear address of the page | privilege; 1 << 8: none */
    uint64_t phys;
    uint64_t page_size;                 /* of the guest's page around it */
    bool global;
    PhysPage page;
} FetchPage;
enum { FETCH_SIZE = 256, PHYS_SIZE = 512 };

struct SoftTlb {
    TlbEntry load[TLB_TABLES][TLB_SIZE], store[TLB_TABLES][TLB_SIZE];
    /* Entries in use, to be forgotten; GLOBAL_ENTRY: of a global page. */
    uint16_t used[2][TLB_TABLES][TLB_SIZE];
    uint16_t used_count[2][TLB_TABLES];
    uint8_t state[2][TLB_TABLES][TLB_SIZE];     /* 0, or IN_USE with GLOBAL and the page's size */
    bool large;                         /* an entry is part of a large page */
    FetchPage fetch[FETCH_SIZE];
    PhysPage phys[PHYS_SIZE];
    GMutex lock;                        /* filling a store entry, and others taking it away */
    PagingLimits limits;
    unsigned selected;                  /* TLB_*: the present tables */
    uint64_t flushes, fills;
};

void tlb_setup(SoftCpu *s);
void tlb_teardown(SoftCpu *s);
void tlb_select(SoftCpu *s);            /* s->load and s->store for the present privilege */
/* Everything, physical pages too: the memory map changed. */
void tlb_forget_map(SoftCpu *s);
/* The page that code at `linear` is in; raises #PF.  Valid until the next call for another page. */
const FetchPage *tlb_fetch(SoftCpu *s, uint64_t linear);
const FetchPage *tlb_fetched(const SoftCpu *s, uint64_t linear);        /* NULL: it would have to be looked for */
/* Nobody may write these bytes unheard any more; any thread. */
void tlb_revoke_stores(const uint8_t *host, uint64_t len);

uint64_t tlb_load_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size);
void tlb_store_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, uint64_t value);
/* A page's translation is checked for an access; host pointer to `linear` when it is plain memory. */
uint8_t *tlb_host_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, bool write);
/* Faults where the access would; nothing is read. */
void tlb_probe(SoftCpu *s, unsigned table, uint64_t linear, bool write);
unsigned tlb_table_for(const SoftCpu *s, unsigned cpl);

#endif
