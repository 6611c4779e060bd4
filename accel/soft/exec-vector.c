/* Vector instructions: plain moves of XMM registers as micro-ops, everything else by borrowed stubs. */
#include <Zydis/Zydis.h>

#include "accel/soft/op/x87/x87.h"
#include "accel/soft/uop.h"

/* ---- Stubs ---- */

static void slow(SoftCpu *s, const Uop *u)
{
    s->cur = u;
    s->insn_rip = s->rip_base + u->ip;
}

/* An unmasked exception: #XM, or #UD where the guest's system does not know it (SDM vol 1 §11.5.3). */
static _Noreturn void stub_refused(SoftCpu *s, const Uop *u)
{
    slow(s, u);
    soft_fault(s, s->cpu.state.cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

static inline __attribute__((always_inline)) void stub_call(SoftCpu *s, const Uop *u, void *mem)
{
    const StubUop *t = u->ptr;
    if (G_UNLIKELY(!t->code(s, mem))) {
        stub_refused(s, u);
    }
}

/* MMX instructions may find an x87 exception that waits: before their operand is looked for. */
static const Uop *stub_mmx(SoftCpu *s, const Uop *u)
{
    slow(s, u);
    x87_wait(s);
    NEXT(s, u);
}

static const Uop *stub_registers(SoftCpu *s, const Uop *u)
{
    stub_call(s, u, NULL);
    NEXT(s, u);
}

static uint64_t stub_address(SoftCpu *s, const Uop *u)
{
    const StubUop *t = u->ptr;
    uint64_t ea = uop_ea(s, u, u->disp2);
    if (G_UNLIKELY(ea & (t->stub->align - 1u))) {
        slow(s, u);
        soft_fault_error(s, EXC_GP, 0);
    }
    return ea;
}

static const Uop *stub_load(SoftCpu *s, const Uop *u)
{
    const StubUop *t = u->ptr;
    uint64_t ea = stub_address(s, u);
    void *p = tlb_hit(s->load, ea, t->stub->mem_size);
    if (G_UNLIKELY(!p)) {
        slow(s, u);
        soft_read(s, ea, s->buffer, t->stub->mem_size);
        p = s->buffer;
    }
    stub_call(s, u, p);
    NEXT(s, u);
}

/* Results go through the buffer where the page is not plain: what faults or is strict must not have half-written it. */
static const Uop *stub_store(SoftCpu *s, const Uop *u)
{
    const StubUop *t = u->ptr;
    uint64_t ea = stub_address(s, u);
    void *p = tlb_hit(s->store, ea, t->stub->mem_size);
    if (G_LIKELY(p)) {
        stub_call(s, u, p);
    } else {
        slow(s, u);
        soft_probe(s, ea, t->stub->mem_size, true);
        if (t->stub->reads) {
            soft_read(s, ea, s->buffer, t->stub->mem_size);
        }
        stub_call(s, u, s->buffer);
        soft_write(s, ea, s->buffer, t->stub->mem_size);
    }
    NEXT(s, u);
}

/* ---- Moves that need no stub (legacy encodings) ---- */

#define XMM_OFFSET(n) ((uint16_t)(offsetof(SoftCpu, cpu.state.fpu.xmm) + 16 * (n)))
typedef struct Vector {
    uint64_t half[2];
} Vector;

static const Uop *xmm_rr(SoftCpu *s, const Uop *u)
{
    AT(s, Vector, u->d) = AT(s, Vector, u->s);
    NEXT(s, u);
}

static inline __attribute__((always_inline)) void check_aligned(SoftCpu *s, const Uop *u, uint64_t ea)
{
    if (G_UNLIKELY(u->imm && ea & 15)) {
        slow(s, u);
        soft_fault_error(s, EXC_GP, 0);
    }
}

static const Uop *xmm_rm(SoftCpu *s, const Uop *u)
{
    uint64_t ea = uop_ea(s, u, u->disp);
    check_aligned(s, u, ea);
    uint8_t *p = tlb_hit(s->load, ea, 16);
    if (G_LIKELY(p)) {
        memcpy(&AT(s, Vector, u->d), p, 16);
    } else {
        slow(s, u);
        soft_read(s, ea, s->buffer, 16);
        memcpy(&AT(s, Vector, u->d), s->buffer, 16);
    }
    NEXT(s, u);
}

static const Uop *xmm_mr(SoftCpu *s, const Uop *u)
{
    uint64_t ea = uop_ea(s, u, u->disp);
    check_aligned(s, u, ea);
    uint8_t *p = tlb_hit(s->store, ea, 16);
    if (G_LIKELY(p)) {
        memcpy(p, &AT(s, Vector, u->s), 16);
    } else {
        slow(s, u);
        soft_write(s, ea, &AT(s, Vector, u->s), 16);
    }
    NEXT(s, u);
}

/* MOVSS, MOVSD, MOVD, MOVQ from memory clear what they do not load. */
#define SCALAR(bits)                                                                                                   \
    static const Uop *scalar_load_##bits(SoftCpu *s, const Uop *u)                                                     \
    {                                                                                                                  \
        uint64_t ea = uop_ea(s, u, u->disp);                                                                           \
        uint8_t *p = tlb_hit(s->load, ea, bits / 8);                                                                   \
        uint64_t v = G_LIKELY(p) ? PLACE(uint##bits##_t, p) : tlb_load(s, u, ea, bits / 8);                            \
        AT(s, Vector, u->d) = (Vector){{v, 0}};                                                                        \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *scalar_store_##bits(SoftCpu *s, const Uop *u)                                                    \
    {                                                                                                                  \
        uint64_t ea = uop_ea(s, u, u->disp);                                                                           \
        uint##bits##_t v = AT(s, uint##bits##_t, u->s);                                                                \
        uint8_t *p = tlb_hit(s->store, ea, bits / 8);                                                                  \
        if (G_LIKELY(p)) {                                                                                             \
            PLACE(uint##bits##_t, p) = v;                                                                              \
        } else {                                                                                                       \
            tlb_store(s, u, ea, bits / 8, v);                                                                          \
        }                                                                                                              \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *scalar_from_gpr_##bits(SoftCpu *s, const Uop *u)                                                 \
    {                                                                                                                  \
        AT(s, Vector, u->d) = (Vector){{AT(s, uint##bits##_t, u->s), 0}};                                              \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *scalar_to_gpr_##bits(SoftCpu *s, const Uop *u)                                                   \
    {                                                                                                                  \
        AT(s, uint64_t, u->d) = AT(s, uint##bits##_t, u->s);                                                           \
        NEXT(s, u);                                                                                                    \
    }
SCALAR(32)
SCALAR(64)

/* ---- Lowering ---- */

static void mark_used(Lowering *l)
{
    /* XSTATE_BV only tells XSAVEOPT and XGETBV(1) what is surely initial: code that has such instructions uses them. */
    l->s->cpu.state.fpu.xstate_bv |= XSTATE_SSE;
}

static bool lower_xmm_move(Lowering *l, const Insn *i, bool aligned)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    UopAddress at;
    bool store = a->kind == OPERAND_MEM, load = b->kind == OPERAND_MEM;
    if ((load || store) && !lower_address(l, i, &at, 16, store)) {
        return false;
    }
    Uop *u = lower_new(l, i, store ? xmm_mr : load ? xmm_rm : xmm_rr);
    if (load || store) {
        uop_address(u, &at);
    }
    u->imm = aligned;
    u->d = XMM_OFFSET(a->reg);
    u->s = XMM_OFFSET(b->reg);
    return true;
}

static bool lower_scalar(Lowering *l, const Insn *i, unsigned size)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    bool wide = size == 8, xmm_a = a->kind == OPERAND_REG && a->bank == BANK_XMM, xmm_b = b->kind == OPERAND_REG && b->bank == BANK_XMM;
    UopAddress at;
    if ((a->kind == OPERAND_MEM) != (b->kind == OPERAND_MEM)) {
        bool load = b->kind == OPERAND_MEM;
        if (!(load ? xmm_a : xmm_b) || !lower_address(l, i, &at, size, !load)) {
            return false;
        }
        Uop *u = lower_new(l, i, load ? (wide ? scalar_load_64 : scalar_load_32) : (wide ? scalar_store_64 : scalar_store_32));
        uop_address(u, &at);
        u->d = XMM_OFFSET(a->reg);
        u->s = XMM_OFFSET(b->reg);
        return true;
    }
    if (xmm_a && operand_gpr(b)) {
        Uop *u = lower_new(l, i, wide ? scalar_from_gpr_64 : scalar_from_gpr_32);
        u->d = XMM_OFFSET(a->reg);
        u->s = operand_offset(b);
        return true;
    }
    if (operand_gpr(a) && xmm_b) {
        Uop *u = lower_new(l, i, wide ? scalar_to_gpr_64 : scalar_to_gpr_32);
        u->d = operand_offset(a);
        u->s = XMM_OFFSET(b->reg);
        return true;
    }
    return false; /* MOVSS xmm, xmm merges; MMX */
}

static bool lower_plain(Lowering *l, const Insn *i)
{
    if (i->vex || (i->op[0].bank != BANK_XMM && i->op[1].bank != BANK_XMM)) {
        return false;
    }
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVDQA: return lower_xmm_move(l, i, true);
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU: return lower_xmm_move(l, i, false);
    case ZYDIS_MNEMONIC_MOVSS:
    case ZYDIS_MNEMONIC_MOVD: return lower_scalar(l, i, 4);
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVQ: return lower_scalar(l, i, 8);
    default: return false;
    }
}

static bool touches_mmx(const Insn *i)
{
    for (unsigned n = 0; n < i->operands; n++) {
        if (i->op[n].kind == OPERAND_REG && i->op[n].bank == BANK_MM) {
            return true;
        }
    }
    return false;
}

bool lower_vector(Lowering *l, const Insn *i)
{
    if (lower_plain(l, i) || lower_sse(l, i)) {
        mark_used(l);
        return true;
    }
    const Stub *stub = borrow_stub(l->s, i, l->mode);
    if (!stub) {
        return false;
    }
    if (stub->op) {
        Op op = {.fn = stub->op};
        lower_op(l, i, &op);
        return true;
    }
    UopAddress at = {.base = offsetof(SoftCpu, zero), .index = offsetof(SoftCpu, zero), .seg = offsetof(SoftCpu, zero)};
    if (touches_mmx(i)) {
        lower_new(l, i, stub_mmx);
    }
    if (stub->mem_size && !lower_address(l, i, &at, stub->mem_size, stub->writes)) {
        return false;
    }
    StubUop *t = block_alloc(l->s, sizeof(*t));
    *t = (StubUop){.code = stub->code, .stub = stub, .insn = *i};
    Uop *u = lower_new(l, i, !stub->mem_size ? stub_registers : stub->writes ? stub_store : stub_load);
    uop_address(u, &at);
    u->disp2 = at.disp;
    u->ptr = t;
    return true;
}
