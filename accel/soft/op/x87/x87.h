/* The x87 unit, shared by x87*.c and xsave.c.
 *
 * Arithmetic is done by the host's own x87 (x87-host.c), in one of two ways.
 *
 *   Quick: the operands are valid and nothing that the guest unmasks happens.  The host's unit, empty
 * between instructions, computes on one or two operands with every exception masked; flags and results are
 * merged here.
 *
 *   Whole: all else (empty operand, full stack, an unmasked exception).  The guest's complete state goes
 * into the host's unit, its exceptions unmasked, the instruction runs, and the state is taken out by
 * FNSAVE, which does not wait and so does not trap.  What a real unit does is then what the guest sees:
 * indefinite values, biased results, nothing popped.
 *
 * Pointers: FIP and FDP are kept as offsets of every instruction that is not a control instruction; FCS and
 * FDS read as 0, as on processors that deprecate them (SDM vol 1 §8.1.8). */
#ifndef ACCEL_SOFT_OP_X87_H
#define ACCEL_SOFT_OP_X87_H

#include "accel/soft/soft.h"

// clang-format off
enum {                                  /* status word (SDM vol 1 §8.1.3) */
    FSW_IE = 1 << 0, FSW_DE = 1 << 1, FSW_ZE = 1 << 2, FSW_OE = 1 << 3, FSW_UE = 1 << 4, FSW_PE = 1 << 5,
    FSW_SF = 1 << 6, FSW_ES = 1 << 7, FSW_C0 = 1 << 8, FSW_C1 = 1 << 9, FSW_C2 = 1 << 10, FSW_TOP = 7 << 11,
    FSW_C3 = 1 << 14, FSW_B = 1 << 15,
    FSW_EXCEPTIONS = 0x3f, FSW_STICKY = 0x7f, FSW_CONDITION = FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3,
    FCW_MASKS = 0x3f, FCW_PRECISION = 3 << 8, FCW_ROUNDING = 3 << 10,
    FCW_ONE = 1 << 6,                   /* reads as 1 */
    FCW_BITS = 0x1f3f,                  /* those that can be written */
    FCW_INIT = 0x37f,
};
// clang-format on

/* ---- State ---- */
static inline Xsave *x87_state(SoftCpu *s)
{
    return &s->cpu.state.fpu;
}
static inline bool x87_valid(const Xsave *x, unsigned n) /* ST(n) is not empty */
{
    return x->ftw >> ((fpu_top(x) + n) & 7) & 1;
}
static inline void x87_set_top(Xsave *x, unsigned top)
{
    x->fsw = (uint16_t)((x->fsw & ~FSW_TOP) | (top & 7) << 11);
}
/* A register's contents, moved in two parts: FSTP m80 stores them so, and a wider load would wait for both
 * stores to reach the cache. */
typedef struct X87Value {
    uint64_t mantissa;
    uint16_t sign_exponent;
} X87Value;
_Static_assert(sizeof(X87Value) == 16, "spacing that x87_host_1_2 relies on");
static inline X87Value x87_get(const Xsave *x, unsigned n)
{
    return (X87Value){x->st[n].mantissa, x->st[n].sign_exponent};
}
static inline void x87_put(Xsave *x, unsigned n, X87Value v)
{
    x->st[n].mantissa = v.mantissa;
    x->st[n].sign_exponent = v.sign_exponent;
}
/* TOP moves up or down; contents stay in their physical registers, so the stack-ordered array turns. */
static inline void x87_top_up(Xsave *x)
{
    X87Value first = x87_get(x, 0);
    for (unsigned n = 0; n < 7; n++) {
        x->st[n].mantissa = x->st[n + 1].mantissa;
        x->st[n].sign_exponent = x->st[n + 1].sign_exponent;
    }
    x87_put(x, 7, first);
    x87_set_top(x, fpu_top(x) + 1);
}
static inline void x87_top_down(Xsave *x)
{
    X87Value last = x87_get(x, 7);
    for (unsigned n = 7; n > 0; n--) {
        x->st[n].mantissa = x->st[n - 1].mantissa;
        x->st[n].sign_exponent = x->st[n - 1].sign_exponent;
    }
    x87_put(x, 0, last);
    x87_set_top(x, fpu_top(x) - 1);
}
static inline void x87_pop(Xsave *x)
{
    x->ftw &= (uint8_t) ~(1u << fpu_top(x));
    x87_top_up(x);
}
static inline void x87_push(Xsave *x, X87Value v) /* ST(7) is known to be empty */
{
    x87_top_down(x);
    x->ftw |= (uint8_t)(1u << fpu_top(x));
    x87_put(x, 0, v);
}
/* ES and B follow from flags and masks. */
static inline void x87_summarise(Xsave *x)
{
    x->fsw &= (uint16_t) ~(FSW_ES | FSW_B);
    x->fsw |= x->fsw & ~x->fcw & FSW_EXCEPTIONS ? FSW_ES | FSW_B : 0;
}
/* Values from memory for the control and status words. */
static inline void x87_set_control(Xsave *x, uint16_t fcw)
{
    x->fcw = (fcw & FCW_BITS) | FCW_ONE;
}
/* After flags or masks were loaded or cleared: summarises, and lets go of FERR when it can. */
void x87_settle(SoftCpu *s);

/* A waiting instruction begins: #MF when an unmasked exception is pending (SDM vol 1 §8.7).  With CR0.NE
 * clear the processor would assert FERR and freeze until IGNNE comes from the IRQ 13 handler; here FERR is
 * asserted and the instruction goes on as if IGNNE were there already. */
void x87_pending(SoftCpu *s);
static inline void x87_wait(SoftCpu *s)
{
    if (G_UNLIKELY(s->cpu.state.fpu.fsw & FSW_ES)) {
        x87_pending(s);
    }
}
/* FERR, the pin that a PC wires to IRQ 13. */
void x87_ferr(SoftCpu *s);

/* The instruction is done: last instruction and data pointers, opcode. */
static inline void x87_done(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x->fip = s->insn_rip;
    x->fop = (uint16_t)((i->opcode & 7) << 8 | i->modrm);
    x->xstate_bv |= XSTATE_FP;
}
static inline void x87_done_memory(SoftCpu *s, const Insn *i)
{
    x87_done(s, i);
    x87_state(s)->fdp = soft_ea(s, i);
}

/* ---- The host's unit (x87-host.c) ---- */
/* Instructions with a register or with [RDI], each followed by RET. */
typedef struct X87Stub {
    uint8_t bytes[4];
} X87Stub;
extern const X87Stub x87_stubs[8 * 64], x87_memory_stubs[8 * 8];
static inline const X87Stub *x87_stub(unsigned opcode, unsigned modrm)
{
    return modrm >= 0xc0 ? &x87_stubs[(opcode & 7) << 6 | (modrm & 0x3f)]
                         : &x87_memory_stubs[(opcode & 7) << 3 | (modrm >> 3 & 7)];
}

/* Quick.  The names tell operands taken and results given; _pop: the instruction pops one itself; a, b:
 * ST(0), ST(1); `mem` for a memory stub.  What a name does not have is ignored.  Each returns the status
 * word. */
typedef unsigned X87HostFn(void *mem, const FpReg *a, const X87Stub *stub, const FpReg *b,
                           X87Value *result);
X87HostFn x87_host_0_1, x87_host_1_0, x87_host_1_0_pop, x87_host_1_1, x87_host_1_2, x87_host_2_0,
    x87_host_2_1, x87_host_2_1_pop;
X87HostFn x87_host_1_2_partial; /* 1_2, but no second result when C2 says "out of range" (FPTAN, FSINCOS) */

static inline bool x87_odd_control(const Xsave *x)
{
    return (x->fcw & (FCW_PRECISION | FCW_ROUNDING)) != FCW_PRECISION;
}
static inline void x87_host_control(unsigned fcw)
{
    uint16_t word = (uint16_t)(fcw | FCW_MASKS | FCW_ONE);
    __asm__ volatile("fldcw %0" : : "m"(word));
}
/* Computes in the guest's precision and rounding.  False: an exception that the guest unmasks; nothing
 * counts, do it the whole way.  Unmasked underflow does not show here: a tiny exact result raises it only
 * where it is unmasked (SDM vol 1 §4.9.1.5), so such a guest always goes that way.
 *
 * The host's sticky flags are not cleared first, which takes longer than adding: what they say is already
 * so in the guest most of the time.  Only when they would be news is the instruction done again with clean
 * flags. */
static inline bool x87_quick(const Xsave *x, X87HostFn *fn, void *mem, const FpReg *a, const X87Stub *stub,
                             const FpReg *b, X87Value *result, unsigned *sw)
{
    if (G_UNLIKELY(x87_odd_control(x))) {
        x87_host_control(x->fcw & (FCW_PRECISION | FCW_ROUNDING));
    }
    *sw = fn(mem, a, stub, b, result);
    if (*sw & FSW_EXCEPTIONS & (~x->fsw | ~x->fcw)) {
        __asm__ volatile("fnclex");
        *sw = fn(mem, a, stub, b, result);
    }
    if (G_UNLIKELY(x87_odd_control(x))) {
        x87_host_control(FCW_INIT);
    }
    return !((*sw | FSW_UE) & ~x->fcw & FSW_EXCEPTIONS);
}
/* Sticky flags are added; of the condition codes those in `mask` are set. */
static inline void x87_merge(Xsave *x, unsigned sw, unsigned mask)
{
    x->fsw = (uint16_t)((x->fsw & ~mask) | (sw & (mask | FSW_EXCEPTIONS)));
}

/* Whole: what the x87 holds after an instruction. */
typedef struct X87Whole {
    uint16_t fsw, cc;
    uint8_t ftw;
    X87Value st[8];
} X87Whole;
/* Runs the instruction on the guest's complete x87 state, which does not change yet.  `mem`: at the memory
 * operand's bytes, or NULL.  False: an unmasked exception other than inexact, after which a destination in
 * memory stays as it was (SDM vol 1 §8.5). */
bool x87_whole_run(SoftCpu *s, const Insn *i, void *mem, X87Whole *after);
void x87_whole_commit(SoftCpu *s, const X87Whole *after);
void x87_whole(SoftCpu *s, const Insn *i, void *mem); /* both */

/* m32 and m64 as a register, for those that take no arithmetic: normal numbers, zeros, infinities
 * (x87-move.c). */
bool x87_widen(const void *real, unsigned size, X87Value *r);

/* ---- Instructions, for the table in x87.c ---- */
OpFn x87_op_fld, x87_op_fst, x87_op_fxch, x87_op_fcmov, x87_op_constant, x87_op_ffree, x87_op_move_top;

#endif
