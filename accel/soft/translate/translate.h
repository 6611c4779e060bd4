/* The translator: hot blocks as host code.
 *
 *   translate.c  a block: when, and what holds it together     area.c   where code lies; entering and leaving it
 *   insn.c       instructions on registers and memory          flow.c   jumps, calls, the stack
 *   vector.c     those of the vector unit                       memory.c guest memory
 *
 * A guest instruction becomes the same instruction on other registers: eleven of the guest's are in host registers, five stay
 * in CpuState; RDI is the SoftCpu, RAX and RSI are free, R13 is memory.c's.  A memory operand is looked for in the same tables
 * as the micro-ops' and is then [rax]; what is not there, and every instruction that has no code of its own, is done by its
 * micro-ops, with all registers in CpuState (area.c: "alone").  Flags that somebody looks at are in SoftCpu.cc, as everywhere.
 *
 * Blocks jump to one another by Block.entry, which also tells those that are not translated, and those that were thrown away.
 * Nothing that was once run is written again but by translate_flush.
 * Only code of 32 and 64 bits in flat segments; not where instructions are counted, logged, stepped or watched. */
#ifndef ACCEL_SOFT_TRANSLATE_TRANSLATE_H
#define ACCEL_SOFT_TRANSLATE_TRANSLATE_H

#include "accel/soft/twice.h"
#include "accel/soft/uop.h"

enum {
    TRANSLATE_ROOM = 64 << 20,          /* of code, for each CPU */
    TRANSLATE_INSNS = 128,              /* together, at most */
    TRANSLATE_COLDS = 4 * TRANSLATE_INSNS + 8,
};

struct Translator {
    Twice code;
    size_t used, lasting;               /* bytes; those of area.c stay when the others go */
    bool full;                          /* everything is to go before the next block is made */
    /* Where the pieces of area.c run. */
    const Uop *(*enter)(SoftCpu *s, Block *b);          /* runs from there on; what is next for the micro-ops, or NULL */
    const uint8_t *interpret, *stale, *moved;           /* entries of blocks without code: RAX is the block */
    const uint8_t *leave;               /* to the loop, at SoftCpu.block's first instruction */
    const uint8_t *go_to;               /* RAX is RIP: to its block, if that is easily found, else to the loop */
    const uint8_t *go_on;               /* with the micro-op in RSI */
    const uint8_t *alone;               /* call: the instruction whose first micro-op is in RSI */
    Block *unlinked[2];                 /* what jumps lead to that have not been linked */
    Uop instruction[UOPS_PER_INSN + 1]; /* the one that is done alone */
    uint64_t made, instructions;        /* statistics: blocks, and instructions with code of their own */
    uint64_t left_alone;                /* and those without */
};

extern bool translate_off;              /* -accel soft,translate=off */
extern unsigned translate_heat;         /* how often a block is run by micro-ops first; for tests */

/* `room`: TRANSLATE_ROOM bytes of address space within 2 GiB of every block, which stay the caller's.  NULL: not on this host. */
Translator *translate_new(void *room);
void translate_free(Translator *t);
void translate_flush(Translator *t);    /* every block goes */
typedef enum BlockStandIn { BLOCK_NEW, BLOCK_STALE, BLOCK_MOVED } BlockStandIn;
/* What code meets that jumps to a block without code: one that the interpreter has, one that was thrown away, one that `to[0]`
 * stands for. */
void translate_stand_in(SoftCpu *s, Block *b, BlockStandIn what);
bool translate_possible(const SoftCpu *s, const Block *b);
/* The block that is about to run; whatever comes of it, its first micro-op is what to go on with. */
void translate_block(SoftCpu *s, Block *b);

/* ---- Between its files ---- */
#include "accel/soft/emit.h"

extern const uint8_t translate_host[CPU_GPRS];  /* guest register -> HostReg, or H_NONE */

/* The guest's vector registers that are in the host's, by their numbers; bit n: register n. */
typedef struct WorkVectors {
    uint16_t here, changed;             /* bits 0-127; changed: CpuState does not have that yet */
    uint16_t high, high_changed;        /* bits 128-255 */
    bool wide;                          /* upper halves may be in use since the last VZEROUPPER */
    uint8_t in_use;                     /* what CpuState's XSTATE_BV was told */
} WorkVectors;

/* Accesses that need no look-up: see memory.c.  Offsets from what the register was when it was opened. */
typedef struct WorkWindow {
    bool open, write;
    uint8_t reg;
    int64_t low, high, moved;
} WorkWindow;
enum { WINDOW = H_R13 };                /* added to the guest's address of `low`, with the register at hand: where it is */

typedef enum ColdKind { COLD_ALONE, COLD_GO_ON, COLD_GO_TO, COLD_LEAVE, COLD_SIDE /* a jump out of the middle */ } ColdKind;
typedef struct Cold {                   /* what seldom happens, written behind the block */
    ColdKind kind;
    bool flags;                         /* the host has to have the flags behind it; SIDE: has them alone */
    uint8_t *from;                      /* jump there */
    const uint8_t *back;
    const Uop *u;
    Block *b;
    uint64_t rip;
    WorkVectors before, behind;         /* to be stored, and loaded again */
} Cold;

typedef struct Work {                   /* a block being translated */
    Emit e;
    SoftCpu *s;
    Translator *t;
    Block *b;                           /* the present one of those that are translated together */
    const Insn *i;                      /* the present instruction */
    const Insn *goes_on;                /* the jump that ends `b`, if the next block follows in the code */
    const Uop *u;                       /* its first micro-op */
    uint16_t live;                      /* flags that somebody looks at behind it */
    bool wide;                          /* 64-bit code */
    bool host_flags;                    /* the host's flags are the guest's, as well as SoftCpu.cc */
    bool unsaved;                       /* which does not have them yet: `goes_on` sees to it */
    bool ended;
    bool constant;                      /* RAX is `address` */
    uint64_t address;
    unsigned left;                      /* instructions from the present one to the end */
    WorkWindow window;
    WorkVectors vectors;
    unsigned colds;
    Cold *cold;                         /* TRANSLATE_COLDS */
} Work;

/* Each says whether it knows the instruction, and has written nothing otherwise. */
bool translate_insn(Work *w);           /* insn.c */
bool translate_explicit(const Insn *i); /* it is known there, and its operands tell all registers that it changes */
bool translate_flow(Work *w);           /* flow.c: jumps, calls, the stack */
bool translate_vector(Work *w);         /* vector.c */
void translate_fall_through(Work *w, uint64_t rip);
bool translate_goes_on(const Work *w, const Insn *i);   /* a jump that can be in the middle */
void translate_side(Work *w, uint64_t rip);             /* that jump, taken */

static inline Rm work_field(size_t offset) { return rm_mem(H_RDI, offset); }
#define FIELD(name) work_field(offsetof(SoftCpu, name))
static inline Rm work_home(unsigned reg) { return work_field(GPR_OFFSET(reg)); }
/* A guest register where it is: in a host register or at home. */
static inline Rm work_place(unsigned reg)
{
    return translate_host[reg] == H_NONE ? work_home(reg) : rm_reg(translate_host[reg]);
}
/* Vector registers to CpuState, so that others may work with them, and out of it again. */
void work_store_vectors(Work *w);
void vectors_store(Emit *e, const WorkVectors *v);
void vectors_load(Emit *e, const WorkVectors *v);
Cold *work_cold(Work *w, ColdKind kind, uint8_t *from);
void work_offset(Work *w, unsigned width, unsigned to); /* the memory operand's, without its segment; RAX and RSI are lost */
bool work_can_address(const Work *w);   /* the memory operand's address needs no checks of segments */
/* The memory operand, and a word of the stack at `disp` from a register: where it is in the host's memory, perhaps by RAX.
 * Misses end as `kind` says.  RAX, RSI and flags are lost. */
Rm work_memory(Work *w, unsigned size, bool write, ColdKind kind);
Rm work_stack(Work *w, unsigned reg, int disp, bool write, ColdKind kind);
void work_window_behind(Work *w);       /* the present instruction is done */
void work_flags_in(Work *w);            /* all arithmetic flags into the host's; RAX is lost */
void work_flags_out(Work *w);           /* the host's into SoftCpu.cc; RAX is lost */
void work_flags_made(Work *w);          /* the present instruction has made them: the same, if and where somebody looks */

#endif
