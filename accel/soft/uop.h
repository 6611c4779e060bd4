/* Micro-ops of the interpreter: 32 bytes each, run by calling one after the other.
 *
 * A function does its work and goes on with the next one: where the compiler makes tail calls of that, as a jump; in builds
 * without optimisation or with sanitizers by returning it to the loop in run.c.  NULL leaves to the loop, which finds the next
 * block from state.rip.  Registers are named by their offset in SoftCpu, so AH is one byte behind AL. */
#ifndef ACCEL_SOFT_UOP_H
#define ACCEL_SOFT_UOP_H

#include <string.h>

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/soft.h"

typedef const Uop *UopFn(SoftCpu *s, const Uop *u);
typedef struct Translator Translator;

struct Uop {
    UopFn *fn;
    union {
        struct {
            int32_t disp;               /* of an address; of a jump: the linked block, in the arena (0: none yet) */
            union {
                int32_t imm;
                int32_t aux_mask;       /* LEA: what the address is cut to, if seg is set */
            };
        };
        uint64_t imm64;
        const void *ptr;                /* OpInsn, Stub */
    };
    union {
        struct {
            uint16_t base, index;       /* offsets in SoftCpu; `zero` for none */
        };
        int32_t target;                 /* of a jump: RIP minus the block's */
    };
    uint16_t seg;                       /* offset of the segment's base, or zero, zero_ss */
    uint16_t ip;                        /* of the instruction, from the block's start */
    union {
        struct {
            uint16_t d, s;              /* destination and source: offsets */
        };
        int32_t disp2;                  /* of an address where ptr takes the place of disp */
    };
    uint8_t scale, length;              /* length of the instruction */
    uint16_t aux;                       /* number of the instruction in the block */
};
_Static_assert(sizeof(Uop) == 32, "two to a cache line");

typedef struct OpInsn {                 /* an instruction done in C */
    OpFn *fn;
    unsigned flags;                     /* OP_* */
    uint64_t next_rip;
    Insn insn;
} OpInsn;

typedef struct StubUop {                /* one on the host's vector unit */
    StubFn *code;
    const Stub *stub;
    Insn insn;
} StubUop;

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
#define NEXT(s, u) return (u)[1].fn(s, (u) + 1)
#define GO(s, u) return (u)->fn(s, u)
#else
#define NEXT(s, u) return (u) + 1
#define GO(s, u) return (u)
#endif

/* What is in the guest's memory, or anywhere else, of any size and alignment. */
#define PLACE(type, p) (((struct __attribute__((packed, may_alias)) { type v; } *)(p))->v)
/* A register, of any size, by its offset. */
#define AT(s, type, offset) PLACE(type, (char *)(s) + (offset))
/* A result into a register of SoftCpu *s: 32 bits clear the upper half. */
#define PUT_8(offset, v) (AT(s, uint8_t, offset) = (uint8_t)(v))
#define PUT_16(offset, v) (AT(s, uint16_t, offset) = (uint16_t)(v))
#define PUT_32(offset, v) (AT(s, uint64_t, offset) = (uint32_t)(v))
#define PUT_64(offset, v) (AT(s, uint64_t, offset) = (uint64_t)(v))
#define GPR_OFFSET(n) ((uint16_t)(offsetof(SoftCpu, cpu.state.gpr) + 8 * (n)))

/* ---- Blocks ---- */
struct Block {
    Block *hash_next, *page_next, *page2_next;  /* page2: in the list of host2's page */
    const uint8_t *host;                /* where its first byte is */
    const uint8_t *host2;               /* its last instruction lies across two pages: the second one; else NULL */
    const uint8_t *bytes;               /* what was decoded, where SoftCode.unheard; else NULL */
    uint64_t rip;
    uint32_t mode;
    uint16_t size, insns, uop_count;    /* bytes, instructions, micro-ops */
    bool dead;
    bool special;                       /* to be entered by its first micro-op: counted, or dead */
    uint32_t linear;                    /* linear address when it was made, the low half */
    uint32_t reach;                     /* bytes that its translated code was made from; at least size */
    const uint8_t *entry;               /* translated code, or what stands for it (translate/) */
    Block *to[2];                       /* where its last micro-op leads, and the one before; read by its translated code */
    Uop uops[];                         /* first of all "enter" */
};

typedef struct JumpEntry {
    uint64_t rip, base;                 /* base: of CS */
    uint64_t key;                       /* generation << 32 | mode */
    Block *block;
} JumpEntry;
enum { JUMP_BITS = 11, JUMP_SIZE = 1 << JUMP_BITS };

struct SoftCode {
    uint8_t *arena;
    size_t used, size;
    Block *link_from_block;             /* a jump that wants to be linked to the block that is found next */
    Uop *link_from;
    unsigned traits;                    /* DECODE_* */
    Block **hash;
    GHashTable *pages;                  /* host page -> its blocks, by page_next */
    GMutex inbox_lock;
    GArray *inbox;                      /* code that others have written: see block.c */
    /* Code may change without a word to us, because KVM runs the guest most of the time: blocks are compared with memory when they
     * are found, and found anew after block_unlink, with several CPUs each time. */
    bool unheard;
    GArray *links;                      /* of Uop *: linked since then */
    atomic_bool dormant;                /* and now KVM has this CPU: whatever is written, it will be compared */
    uint64_t made, thrown;              /* statistics */
    Translator *translator;             /* NULL: none, or none yet */
    bool translator_asked;              /* made when the first block is, if ever */
    JumpEntry jumps[JUMP_SIZE];
};
/* The block at state.rip in the present mode; raises faults of the fetch.  May throw all blocks away to make room. */
Block *block_find(SoftCpu *s);
/* The same where that needs no walk and makes no block: of `rip` in the present mode; NULL: let block_find see to it. */
Block *block_known(SoftCpu *s, uint64_t rip);
void block_process_inbox(SoftCpu *s);
void block_flush(SoftCpu *s);           /* throw away all of them; not from within a block */
void block_forget_jumps(SoftCpu *s);    /* translations changed */
void block_unheard(SoftCpu *s);         /* from now on: see SoftCode.unheard */
void block_unlink(SoftCpu *s);          /* code may have changed; not from within a block */
/* Room that lasts as long as the blocks do. */
void *block_alloc(SoftCpu *s, size_t size);
void block_watch_ram(void);             /* hear what devices write */
bool block_code_setup(SoftCpu *s, GError **error);
void block_code_teardown(SoftCpu *s);
/* `len` bytes at `host` (within a page) are about to be written by this CPU's instruction at insn_rip, and the page has code.
 * True: it no longer has. */
bool block_written(SoftCpu *s, RamBlock *ram, uint8_t *host, size_t len);
/* The instructions of a block that is about to run, anew.  False: memory has others by now. */
bool block_decode(SoftCpu *s, const Block *b, Insn *out);
/* The block that begins behind this one in the same page; NULL: none yet. */
Block *block_behind(SoftCpu *s, const Block *b);

/* ---- lower.c ---- */
typedef struct Lowering {
    SoftCpu *s;
    uint32_t mode;
    uint64_t rip;                       /* of the block */
    uint64_t next_rip;                  /* behind the present instruction */
    Uop *out;                           /* being written */
    unsigned number;                    /* of the instruction in the block */
    uint16_t live;                      /* arithmetic flags that somebody looks at behind the present instruction */
    const Insn *next;                   /* what follows in the block, or NULL */
    bool fused;                         /* the next one is done already */
    bool ended;                         /* nothing falls through */
} Lowering;
enum { UOPS_PER_INSN = 3 };             /* at most */

typedef struct UopAddress {
    uint16_t base, index, seg;
    uint8_t scale;
    bool plain;                         /* base and displacement in 64-bit code: take form [1] of a MemFn */
    int32_t disp;
} UopAddress;

/* The micro-ops of `n` instructions; returns the end of the list.  `next_rip` follows the last. */
Uop *lower_block(SoftCpu *s, Uop *out, const Insn *insns, unsigned n, uint32_t mode, uint64_t next_rip);
/* For each, the arithmetic flags that somebody looks at behind it. */
void lower_live_flags(const Insn *insns, unsigned n, uint16_t *live);
const Op *insn_op(const Insn *i);       /* NULL: a vector instruction, or none at all */
bool insn_ends(const Insn *i);          /* OP_END, for this form of it */
void lower_op(Lowering *l, const Insn *i, const Op *op);
Uop *lower_new(Lowering *l, const Insn *i, UopFn *fn);
/* Where the memory operand is, after a micro-op that checks and computes it if it is not plain.  False: leave it to op/. */
bool lower_address(Lowering *l, const Insn *i, UopAddress *a, unsigned size, bool write);
static inline void uop_address(Uop *u, const UopAddress *a)
{
    u->base = a->base;
    u->index = a->index;
    u->seg = a->seg;
    u->scale = a->scale;
    u->disp = a->disp;
}
/* Each says whether it knows the instruction. */
bool lower_alu(Lowering *l, const Insn *i);
bool lower_move(Lowering *l, const Insn *i);
bool lower_flow(Lowering *l, const Insn *i);
bool lower_sse(Lowering *l, const Insn *i);
bool lower_vector(Lowering *l, const Insn *i);
void lower_fall_through(Lowering *l, uint64_t rip);
static inline uint16_t operand_offset(const Operand *o) { return (uint16_t)(GPR_OFFSET(o->reg) + o->high); }
static inline bool operand_gpr(const Operand *o) { return o->kind == OPERAND_REG && o->bank == BANK_GPR; }
/* 1, 2, 4, 8 bytes as 0 to 3. */
static inline unsigned size_index(unsigned size) { return (unsigned)__builtin_ctz(size); }
/* The condition of Jcc, SETcc, CMOVcc by its encoding; -1: another instruction. */
static inline unsigned insn_condition(const Insn *i) { return i->opcode & 15; }
static inline bool insn_is_jcc(const Insn *i) { return (i->opcode & 0xfff0) == 0x70 || (i->opcode & 0xfff0) == 0x180; }

/* ---- The slow half of memory accesses (tlb.c) ---- */
uint64_t tlb_load(SoftCpu *s, const Uop *u, uint64_t linear, unsigned size);
void tlb_store(SoftCpu *s, const Uop *u, uint64_t linear, unsigned size, uint64_t value);
uint64_t tlb_load_rmw(SoftCpu *s, const Uop *u, uint64_t linear, unsigned size);
/* Host pointer to `size` bytes at `linear` or NULL (device, two pages); checks are done either way. */
uint8_t *tlb_host(SoftCpu *s, const Uop *u, uint64_t linear, unsigned size, bool write);

static inline __attribute__((always_inline)) uint64_t uop_ea(SoftCpu *s, const Uop *u, int32_t disp)
{
    return ((uint64_t)(int64_t)disp + AT(s, uint64_t, u->base) + (AT(s, uint64_t, u->index) << u->scale) +
            AT(s, uint64_t, u->seg)) & s->ea_mask;
}
/* The same of an address that is a base and a displacement in 64-bit code. */
static inline __attribute__((always_inline)) uint64_t uop_ea_base(SoftCpu *s, const Uop *u, int32_t disp)
{
    return (uint64_t)(int64_t)disp + AT(s, uint64_t, u->base);
}
/* Host pointer when the access hits, else NULL. */
static inline __attribute__((always_inline)) uint8_t *tlb_hit(TlbEntry *table, uint64_t linear, unsigned size)
{
    TlbEntry *e = &table[linear >> 12 & (TLB_SIZE - 1)];
    uint64_t in = linear - e->tag;
    return G_LIKELY(in <= 4096 - size) ? e->host + in : NULL;
}

/* ---- Leaving ---- */
UopFn exec_enter, exec_enter_cold, exec_translated, exec_moved, exec_back, exec_enter_counting, exec_enter_logging, exec_enter_debug, exec_stale, exec_leave, exec_op, exec_op_end, exec_linear, exec_fault;
static inline __attribute__((always_inline)) void exec_call_op(SoftCpu *s, const Uop *u)
{
    const OpInsn *o = u->ptr;
    s->cur = u;
    s->insn_rip = s->rip_base + u->ip;
    s->cpu.state.rip = o->next_rip;
    o->fn(s, &o->insn);
}
/* On to a block: by its first micro-op only where that has something to do. */
static inline __attribute__((always_inline)) const Uop *exec_into(SoftCpu *s, Block *b)
{
    if (G_UNLIKELY(b->special || atomic_load_explicit(&s->poll, memory_order_relaxed))) {
        return b->uops;
    }
    s->block = b;
    s->rip_base = b->rip;
    return b->uops + 1;
}
const Uop *exec_look(SoftCpu *s, uint64_t rip);         /* what the table of jumps does not have (any more) */
/* A transfer to `rip` within CS: what was seen there last, or NULL for the loop. */
static inline __attribute__((always_inline)) const Uop *exec_go(SoftCpu *s, uint64_t rip)
{
    SoftCode *code = s->code;
    JumpEntry *e = &code->jumps[(rip ^ rip >> JUMP_BITS) & (JUMP_SIZE - 1)];
    if (G_LIKELY(e->rip == rip && e->key == s->jump_key && e->base == s->cpu.state.seg[SEG_CS].base)) {
        return exec_into(s, e->block);
    }
    return exec_look(s, rip);
}

/* ---- Jumps and conditions ---- */
/* Within the page of the block: linked for good once the loop has found the block there. */
static inline __attribute__((always_inline)) const Uop *uop_jump(SoftCpu *s, const Uop *u)
{
    if (G_LIKELY(u->disp)) {
        return exec_into(s, (Block *)(s->code->arena + (uint32_t)u->disp));
    }
    s->code->link_from = (Uop *)u;
    s->code->link_from_block = s->block;
    s->cpu.state.rip = s->rip_base + (uint64_t)(int64_t)u->target;
    return NULL;
}
#define FOLLOW(s, to)                                                                                                  \
    do {                                                                                                               \
        const Uop *to_ = (to);                                                                                         \
        if (G_UNLIKELY(!to_)) {                                                                                        \
            return NULL;                                                                                               \
        }                                                                                                              \
        GO(s, to_);                                                                                                    \
    } while (0)
/* Whether the condition that Jcc encodes as `c` holds. */
static inline __attribute__((always_inline)) bool cc_holds(uint16_t cc, unsigned c)
{
    bool cf = cc >> 8 & 1, zf = cc >> 14 & 1, sf = cc >> 15, of = cc & 1, pf = cc >> 10 & 1, r;
    switch (c >> 1) {
    case 0: r = of; break;
    case 1: r = cf; break;
    case 2: r = zf; break;
    case 3: r = cf || zf; break;
    case 4: r = sf; break;
    case 5: r = pf; break;
    case 6: r = sf != of; break;
    default: r = zf || sf != of; break;
    }
    return r != (c & 1);
}
/* Arithmetic and the jump on its outcome in one (exec-fused.c); NULL: no such. */
UopFn *exec_fused_alu(unsigned mnemonic, bool imm, unsigned size, unsigned condition);

/* ---- Micro-ops with a memory operand ----
 * Each comes for any address and for the plain ones of 64-bit code; what does not hit does everything once more in a function of
 * its own, so that the quick one needs no stack frame.  BODY uses `m`, the value in memory. */
typedef UopFn *MemFn[2];
#define MEM_FN(name) {name, name##_base}
#define SLOW static __attribute__((noinline, cold)) const Uop *
#define LOAD_FORM(name, T, ea_of, slow, BODY)                                                                          \
    static const Uop *name(SoftCpu *s, const Uop *u)                                                                   \
    {                                                                                                                  \
        const uint8_t *p = tlb_hit(s->load, ea_of(s, u, u->disp), sizeof(T));                                          \
        if (G_UNLIKELY(!p)) {                                                                                          \
            return slow(s, u);                                                                                         \
        }                                                                                                              \
        T m = PLACE(T, p);                                                                                             \
        BODY;                                                                                                          \
        NEXT(s, u);                                                                                                    \
    }
#define LOAD_UOP(name, T, BODY)                                                                                        \
    SLOW name##_slow(SoftCpu *s, const Uop *u)                                                                         \
    {                                                                                                                  \
        T m = (T)tlb_load(s, u, uop_ea(s, u, u->disp), sizeof(T));                                                     \
        BODY;                                                                                                          \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    LOAD_FORM(name, T, uop_ea, name##_slow, BODY)                                                                      \
    LOAD_FORM(name##_base, T, uop_ea_base, name##_slow, BODY)
#define STORE_FORM(name, T, ea_of, slow, value)                                                                        \
    static const Uop *name(SoftCpu *s, const Uop *u)                                                                   \
    {                                                                                                                  \
        uint8_t *p = tlb_hit(s->store, ea_of(s, u, u->disp), sizeof(T));                                               \
        if (G_UNLIKELY(!p)) {                                                                                          \
            return slow(s, u);                                                                                         \
        }                                                                                                              \
        PLACE(T, p) = (T)(value);                                                                                      \
        NEXT(s, u);                                                                                                    \
    }
#define STORE_UOP(name, T, value)                                                                                      \
    SLOW name##_slow(SoftCpu *s, const Uop *u)                                                                         \
    {                                                                                                                  \
        tlb_store(s, u, uop_ea(s, u, u->disp), sizeof(T), (T)(value));                                                 \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    STORE_FORM(name, T, uop_ea, name##_slow, value)                                                                    \
    STORE_FORM(name##_base, T, uop_ea_base, name##_slow, value)
/* BODY changes `m`. */
#define MODIFY_FORM(name, T, ea_of, slow, BODY)                                                                        \
    static const Uop *name(SoftCpu *s, const Uop *u)                                                                   \
    {                                                                                                                  \
        void *p = tlb_hit(s->store, ea_of(s, u, u->disp), sizeof(T));                                                  \
        if (G_UNLIKELY(!p)) {                                                                                          \
            return slow(s, u);                                                                                         \
        }                                                                                                              \
        T m = PLACE(T, p);                                                                                             \
        BODY;                                                                                                          \
        PLACE(T, p) = m;                                                                                               \
        NEXT(s, u);                                                                                                    \
    }
#define MODIFY_UOP(name, T, BODY)                                                                                      \
    SLOW name##_slow(SoftCpu *s, const Uop *u)                                                                         \
    {                                                                                                                  \
        uint64_t ea = uop_ea(s, u, u->disp);                                                                           \
        T m = (T)tlb_load_rmw(s, u, ea, sizeof(T));                                                                    \
        BODY;                                                                                                          \
        tlb_store(s, u, ea, sizeof(T), m);                                                                             \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    MODIFY_FORM(name, T, uop_ea, name##_slow, BODY)                                                                    \
    MODIFY_FORM(name##_base, T, uop_ea_base, name##_slow, BODY)

#endif
