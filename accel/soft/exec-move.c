/* Moves between registers, memory and the stack; LEA, CMOVcc, SETcc. */
#include <Zydis/Zydis.h>

#include "accel/soft/uop.h"

#define SIZES(M) M(8) M(16) M(32) M(64)
#define TABLE(name) {name##_8, name##_16, name##_32, name##_64}
#define MEM_TABLE(name) {MEM_FN(name##_8), MEM_FN(name##_16), MEM_FN(name##_32), MEM_FN(name##_64)}

/* ---- MOV ---- */

#define MOV(bits)                                                                                                      \
    static const Uop *mov_rr_##bits(SoftCpu *s, const Uop *u)                                                          \
    {                                                                                                                  \
        PUT_##bits(u->d, AT(s, uint##bits##_t, u->s));                                                                 \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *mov_ri_##bits(SoftCpu *s, const Uop *u)                                                          \
    {                                                                                                                  \
        PUT_##bits(u->d, u->imm64);                                                                                    \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    LOAD_UOP(mov_rm_##bits, uint##bits##_t, PUT_##bits(u->d, m))                                                       \
    STORE_UOP(mov_mr_##bits, uint##bits##_t, AT(s, uint##bits##_t, u->s))                                              \
    STORE_UOP(mov_mi_##bits, uint##bits##_t, (int64_t)u->imm)                                                          \
    static const Uop *xchg_rr_##bits(SoftCpu *s, const Uop *u)                                                         \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d), b = AT(s, uint##bits##_t, u->s);                               \
        PUT_##bits(u->d, b);                                                                                           \
        PUT_##bits(u->s, a);                                                                                           \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *lea_base_##bits(SoftCpu *s, const Uop *u)                                                        \
    {                                                                                                                  \
        PUT_##bits(u->d, uop_ea_base(s, u, u->disp));                                                                  \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *lea_##bits(SoftCpu *s, const Uop *u)                                                             \
    {                                                                                                                  \
        uint64_t ea = (uint64_t)(int64_t)u->disp + AT(s, uint64_t, u->base) + (AT(s, uint64_t, u->index) << u->scale);  \
        PUT_##bits(u->d, ea & (u->seg ? (uint64_t)(uint32_t)u->aux_mask : UINT64_MAX));                                \
        NEXT(s, u);                                                                                                    \
    }
SIZES(MOV)
static UopFn *const mov_rr[4] = TABLE(mov_rr), *const mov_ri[4] = TABLE(mov_ri), *const xchg_rr[4] = TABLE(xchg_rr),
                    *const lea[4] = TABLE(lea), *const lea_base[4] = TABLE(lea_base);
static const MemFn mov_rm[4] = MEM_TABLE(mov_rm), mov_mr[4] = MEM_TABLE(mov_mr), mov_mi[4] = MEM_TABLE(mov_mi);

/* ---- MOVZX, MOVSX, MOVSXD ---- */

#define EXTEND(name, to, from, T)                                                                                      \
    static const Uop *name##_rr_##to##_##from(SoftCpu *s, const Uop *u)                                                \
    {                                                                                                                  \
        PUT_##to(u->d, AT(s, T, u->s));                                                                                \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    LOAD_UOP(name##_rm_##to##_##from, T, PUT_##to(u->d, m))
#define EXTEND_FROM(name, P)                                                                                           \
    EXTEND(name, 16, 8, P##8_t)                                                                                        \
    EXTEND(name, 32, 8, P##8_t)                                                                                        \
    EXTEND(name, 64, 8, P##8_t)                                                                                        \
    EXTEND(name, 16, 16, P##16_t)                                                                                      \
    EXTEND(name, 32, 16, P##16_t)                                                                                      \
    EXTEND(name, 64, 16, P##16_t)                                                                                      \
    EXTEND(name, 32, 32, P##32_t)                                                                                      \
    EXTEND(name, 64, 32, P##32_t)
EXTEND_FROM(zx, uint)
EXTEND_FROM(sx, int)
#define NO_FN {NULL, NULL}
#define EXTEND_RR(name)                                                                                                \
    {                                                                                                                  \
        {NULL, name##_rr_16_8, name##_rr_32_8, name##_rr_64_8}, {NULL, name##_rr_16_16, name##_rr_32_16, name##_rr_64_16}, \
        {NULL, NULL, name##_rr_32_32, name##_rr_64_32},                                                                \
    }
#define EXTEND_RM(name)                                                                                                \
    {                                                                                                                  \
        {NO_FN, MEM_FN(name##_rm_16_8), MEM_FN(name##_rm_32_8), MEM_FN(name##_rm_64_8)},                               \
        {NO_FN, MEM_FN(name##_rm_16_16), MEM_FN(name##_rm_32_16), MEM_FN(name##_rm_64_16)},                            \
        {NO_FN, NO_FN, MEM_FN(name##_rm_32_32), MEM_FN(name##_rm_64_32)},                                              \
    }
static UopFn *const extend_rr[2][3][4] = {EXTEND_RR(zx), EXTEND_RR(sx)};      /* signed; from; to */
static const MemFn extend_rm[2][3][4] = {EXTEND_RM(zx), EXTEND_RM(sx)};

/* ---- CMOVcc and SETcc ---- */

#define ON_CONDITION(c)                                                                                                \
    static const Uop *set_##c(SoftCpu *s, const Uop *u)                                                                \
    {                                                                                                                  \
        AT(s, uint8_t, u->d) = cc_holds(s->cc, c);                                                                        \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *cmov_16_##c(SoftCpu *s, const Uop *u)                                                            \
    {                                                                                                                  \
        AT(s, uint16_t, u->d) = AT(s, uint16_t, cc_holds(s->cc, c) ? u->s : u->d);                                        \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *cmov_32_##c(SoftCpu *s, const Uop *u)                                                            \
    {                                                                                                                  \
        AT(s, uint64_t, u->d) = AT(s, uint32_t, cc_holds(s->cc, c) ? u->s : u->d);                                        \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *cmov_64_##c(SoftCpu *s, const Uop *u)                                                            \
    {                                                                                                                  \
        AT(s, uint64_t, u->d) = AT(s, uint64_t, cc_holds(s->cc, c) ? u->s : u->d);                                        \
        NEXT(s, u);                                                                                                    \
    }
#define CONDITIONS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
CONDITIONS(ON_CONDITION)
#define CMOV_ROW(c) {NULL, cmov_16_##c, cmov_32_##c, cmov_64_##c},
#define SET_ROW(c) set_##c,
static UopFn *const cmov[16][4] = {CONDITIONS(CMOV_ROW)};
static UopFn *const set[16] = {CONDITIONS(SET_ROW)};

/* ---- The stack: flat, of the code's width ---- */

#define STACK(bits, T)                                                                                                 \
    static inline __attribute__((always_inline)) const Uop *push_##bits(SoftCpu *s, const Uop *u, T v)                 \
    {                                                                                                                  \
        uint64_t sp = (T)(s->cpu.state.gpr[CPU_RSP] - sizeof(T));                                                      \
        uint8_t *p = tlb_hit(s->store, sp, sizeof(T));                                                                 \
        if (G_LIKELY(p)) {                                                                                             \
            PLACE(T, p) = v;                                                                                           \
        } else {                                                                                                       \
            tlb_store(s, u, sp, sizeof(T), v);                                                                         \
        }                                                                                                              \
        s->cpu.state.gpr[CPU_RSP] = sp;                                                                                \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *push_r_##bits(SoftCpu *s, const Uop *u)                                                          \
    {                                                                                                                  \
        return push_##bits(s, u, AT(s, T, u->s));                                                                      \
    }                                                                                                                  \
    static const Uop *push_i_##bits(SoftCpu *s, const Uop *u)                                                          \
    {                                                                                                                  \
        return push_##bits(s, u, (T)(int64_t)u->imm);                                                                  \
    }                                                                                                                  \
    static const Uop *pop_r_##bits(SoftCpu *s, const Uop *u)                                                           \
    {                                                                                                                  \
        uint64_t sp = (T)s->cpu.state.gpr[CPU_RSP];                                                                    \
        uint8_t *p = tlb_hit(s->load, sp, sizeof(T));                                                                  \
        T v = G_LIKELY(p) ? PLACE(T, p) : (T)tlb_load(s, u, sp, sizeof(T));                                            \
        s->cpu.state.gpr[CPU_RSP] = (T)(sp + sizeof(T));                                                               \
        AT(s, uint64_t, u->d) = v; /* POP RSP: what was popped stays */                                                \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *leave_##bits(SoftCpu *s, const Uop *u)                                                           \
    {                                                                                                                  \
        uint64_t sp = (T)s->cpu.state.gpr[CPU_RBP];                                                                    \
        uint8_t *p = tlb_hit(s->load, sp, sizeof(T));                                                                  \
        T v = G_LIKELY(p) ? PLACE(T, p) : (T)tlb_load(s, u, sp, sizeof(T));                                            \
        s->cpu.state.gpr[CPU_RSP] = (T)(sp + sizeof(T));                                                               \
        s->cpu.state.gpr[CPU_RBP] = v;                                                                                 \
        NEXT(s, u);                                                                                                    \
    }
STACK(64, uint64_t)
STACK(32, uint32_t)

static const Uop *sign_cdq(SoftCpu *s, const Uop *u)
{
    s->cpu.state.gpr[CPU_RDX] = (uint32_t)((int32_t)s->cpu.state.gpr[CPU_RAX] >> 31);
    NEXT(s, u);
}

static const Uop *sign_cqo(SoftCpu *s, const Uop *u)
{
    s->cpu.state.gpr[CPU_RDX] = (uint64_t)((int64_t)s->cpu.state.gpr[CPU_RAX] >> 63);
    NEXT(s, u);
}

static const Uop *sign_cdqe(SoftCpu *s, const Uop *u)
{
    s->cpu.state.gpr[CPU_RAX] = (uint64_t)(int64_t)(int32_t)s->cpu.state.gpr[CPU_RAX];
    NEXT(s, u);
}

/* ---- Lowering ---- */

static bool lower_from_memory(Lowering *l, const Insn *i, const MemFn fn, unsigned size)
{
    UopAddress a;
    if (!fn[0] || !lower_address(l, i, &a, size, false)) {
        return false;
    }
    Uop *u = lower_new(l, i, fn[a.plain]);
    uop_address(u, &a);
    u->d = operand_offset(&i->op[0]);
    return true;
}

static bool lower_to_memory(Lowering *l, const Insn *i, unsigned size)
{
    const Operand *b = &i->op[1];
    bool imm = b->kind == OPERAND_IMM;
    UopAddress a;
    if ((imm && (int64_t)i->imm[0] != (int32_t)i->imm[0]) || !lower_address(l, i, &a, i->op[0].size, true)) {
        return false;
    }
    Uop *u = lower_new(l, i, (imm ? mov_mi : mov_mr)[size][a.plain]);
    uop_address(u, &a);
    if (imm) {
        u->imm = (int32_t)i->imm[0];
    } else {
        u->s = operand_offset(b);
    }
    return true;
}

static bool lower_mov(Lowering *l, const Insn *i)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    unsigned size = size_index(a->size);
    if ((a->kind == OPERAND_REG && a->bank != BANK_GPR) || (b->kind == OPERAND_REG && b->bank != BANK_GPR)) {
        return false;
    }
    if (a->kind == OPERAND_MEM) {
        return lower_to_memory(l, i, size);
    }
    if (b->kind == OPERAND_MEM) {
        return lower_from_memory(l, i, mov_rm[size], b->size);
    }
    Uop *u = lower_new(l, i, b->kind == OPERAND_IMM ? mov_ri[size] : mov_rr[size]);
    u->d = operand_offset(a);
    if (b->kind == OPERAND_IMM) {
        u->imm64 = i->imm[b->imm];
    } else {
        u->s = operand_offset(b);
    }
    return true;
}

static bool lower_extend(Lowering *l, const Insn *i, bool is_signed)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    unsigned from = size_index(b->size), to = size_index(a->size);
    if (from > 2) {
        return false; /* MOVSXD without a REX prefix of 64 bits: op/ */
    }
    if (b->kind == OPERAND_MEM) {
        return lower_from_memory(l, i, extend_rm[is_signed][from][to], b->size);
    }
    if (!extend_rr[is_signed][from][to]) {
        return false;
    }
    Uop *u = lower_new(l, i, extend_rr[is_signed][from][to]);
    u->d = operand_offset(a);
    u->s = operand_offset(b);
    return true;
}

/* LEA needs no segment, but may cut to the address size. */
static bool lower_lea(Lowering *l, const Insn *i)
{
    const MemOperand *m = &i->mem;
    int64_t disp = m->rip_relative ? (int64_t)((uint64_t)m->disp - l->rip) : m->disp;
    if (disp != (int32_t)disp) {
        return false;
    }
    bool plain = m->index == NO_REG && i->address_size == 8;
    Uop *u = lower_new(l, i, (plain ? lea_base : lea)[size_index(i->op[0].size)]);
    u->base = m->rip_relative ? offsetof(SoftCpu, rip_base) : m->base == NO_REG ? offsetof(SoftCpu, zero) : GPR_OFFSET(m->base);
    u->index = m->index == NO_REG ? offsetof(SoftCpu, zero) : GPR_OFFSET(m->index);
    u->scale = m->scale;
    u->disp = (int32_t)disp;
    u->seg = i->address_size != 8;
    u->aux_mask = i->address_size == 4 ? -1 : UINT16_MAX;
    u->d = operand_offset(&i->op[0]);
    return true;
}

static bool stack_plain(const Lowering *l, unsigned size)
{
    unsigned mode = l->mode & MODE_SIZE, stack = l->mode & MODE_STACK;
    return l->mode & MODE_FLAT_STACK && ((mode == MODE_64 && size == 8 && stack == MODE_STACK_64) ||
                                         (mode == MODE_32 && size == 4 && stack == MODE_STACK_32));
}

static bool lower_push(Lowering *l, const Insn *i)
{
    const Operand *o = &i->op[0];
    bool imm = o->kind == OPERAND_IMM, wide = i->operand_size == 8;
    if (!stack_plain(l, i->operand_size) || !(imm || operand_gpr(o))) {
        return false;
    }
    Uop *u = lower_new(l, i, imm ? (wide ? push_i_64 : push_i_32) : (wide ? push_r_64 : push_r_32));
    u->seg = offsetof(SoftCpu, zero_ss); /* faults are those of the stack */
    if (imm) {
        u->imm = (int32_t)i->imm[0];
    } else {
        u->s = operand_offset(o);
    }
    return true;
}

static bool lower_pop(Lowering *l, const Insn *i)
{
    if (!stack_plain(l, i->operand_size) || !operand_gpr(&i->op[0])) {
        return false;
    }
    Uop *u = lower_new(l, i, i->operand_size == 8 ? pop_r_64 : pop_r_32);
    u->seg = offsetof(SoftCpu, zero_ss);
    u->d = operand_offset(&i->op[0]);
    return true;
}

static bool lower_conditional(Lowering *l, const Insn *i)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    if (i->opcode >> 8 != 1 || !operand_gpr(a)) {
        return false;
    }
    if ((i->opcode & 0xf0) == 0x90) {
        lower_new(l, i, set[insn_condition(i)])->d = operand_offset(a);
        return true;
    }
    if ((i->opcode & 0xf0) != 0x40 || !operand_gpr(b)) {
        return false;
    }
    Uop *u = lower_new(l, i, cmov[insn_condition(i)][size_index(a->size)]);
    u->d = operand_offset(a);
    u->s = operand_offset(b);
    return true;
}

bool lower_move(Lowering *l, const Insn *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_MOV: return lower_mov(l, i);
    case ZYDIS_MNEMONIC_MOVZX: return lower_extend(l, i, false);
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD: return lower_extend(l, i, true);
    case ZYDIS_MNEMONIC_LEA: return lower_lea(l, i);
    case ZYDIS_MNEMONIC_PUSH: return lower_push(l, i);
    case ZYDIS_MNEMONIC_POP: return lower_pop(l, i);
    case ZYDIS_MNEMONIC_LEAVE:
        if (stack_plain(l, i->operand_size)) {
            lower_new(l, i, i->operand_size == 8 ? leave_64 : leave_32)->seg = offsetof(SoftCpu, zero_ss);
            return true;
        }
        return false;
    case ZYDIS_MNEMONIC_XCHG:
        if (operand_gpr(&i->op[0]) && operand_gpr(&i->op[1])) {
            Uop *u = lower_new(l, i, xchg_rr[size_index(i->op[0].size)]);
            u->d = operand_offset(&i->op[0]);
            u->s = operand_offset(&i->op[1]);
            return true;
        }
        return false;
    case ZYDIS_MNEMONIC_CDQ: lower_new(l, i, sign_cdq); return true;
    case ZYDIS_MNEMONIC_CQO: lower_new(l, i, sign_cqo); return true;
    case ZYDIS_MNEMONIC_CDQE: lower_new(l, i, sign_cdqe); return true;
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_ENDBR32: return true;
    default: return lower_conditional(l, i);
    }
}
