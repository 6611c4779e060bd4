/* Near jumps, calls and returns. */
#include <Zydis/Zydis.h>

#include "accel/soft/uop.h"

/* ---- Where a jump goes ---- */

static inline __attribute__((always_inline)) const Uop *jump_by_table(SoftCpu *s, const Uop *u)
{
    return exec_go(s, s->rip_base + (uint64_t)(int64_t)u->target);
}

static const Uop *exec_jump(SoftCpu *s, const Uop *u)
{
    FOLLOW(s, uop_jump(s, u));
}

static const Uop *exec_jump_away(SoftCpu *s, const Uop *u)
{
    FOLLOW(s, jump_by_table(s, u));
}

/* ---- Conditions ---- */

#define CONDITIONS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

#define JCC(c)                                                                                                         \
    static const Uop *exec_jcc_##c(SoftCpu *s, const Uop *u)                                                           \
    {                                                                                                                  \
        if (cc_holds(s->cc, c)) {                                                                                     \
            FOLLOW(s, uop_jump(s, u));                                                                              \
        }                                                                                                              \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *exec_jcc_away_##c(SoftCpu *s, const Uop *u)                                                      \
    {                                                                                                                  \
        if (cc_holds(s->cc, c)) {                                                                                     \
            FOLLOW(s, jump_by_table(s, u));                                                                            \
        }                                                                                                              \
        NEXT(s, u);                                                                                                    \
    }
CONDITIONS(JCC)
#define JCC_ROW(c) {exec_jcc_##c, exec_jcc_away_##c},
static UopFn *const jcc[16][2] = {CONDITIONS(JCC_ROW)};

/* ---- CMP or TEST, and the jump on its outcome, in one ---- */

#define FLAGS_OF_CMP(T, a, b)                                                                                          \
    do {                                                                                                               \
        uint16_t ax_;                                                                                                  \
        __asm__("cmp %[y], %[x]\n\tlahf\n\tseto %%al" : "=&a"(ax_) : [x] "q"((T)(a)), [y] "q"((T)(b)) : "cc");          \
        s->cc = ax_;                                                                                                   \
    } while (0)
#define FLAGS_OF_TEST(T, a, b)                                                                                         \
    do {                                                                                                               \
        uint16_t ax_;                                                                                                  \
        __asm__("test %[y], %[x]\n\tlahf\n\tseto %%al" : "=&a"(ax_) : [x] "q"((T)(a)), [y] "q"((T)(b)) : "cc");         \
        s->cc = ax_;                                                                                                   \
    } while (0)

#define FUSED(name, kind, T, S, source, c, test)                                                                       \
    static const Uop *exec_##name##_##T##_##c(SoftCpu *s, const Uop *u)                                                \
    {                                                                                                                  \
        T a = AT(s, T, u->d), b = (T)(source);                                                                         \
        S sa = (S)a, sb = (S)b;                                                                                        \
        (void)sa, (void)sb;                                                                                            \
        FLAGS_OF_##kind(T, a, b);                                                                                      \
        if (test) {                                                                                                    \
            FOLLOW(s, uop_jump(s, u));                                                                              \
        }                                                                                                              \
        NEXT(s, u);                                                                                                    \
    }
#define CMP_ALL(name, T, S, source)                                                                                    \
    FUSED(name, CMP, T, S, source, 2, a < b)                                                                           \
    FUSED(name, CMP, T, S, source, 3, a >= b)                                                                          \
    FUSED(name, CMP, T, S, source, 4, a == b)                                                                          \
    FUSED(name, CMP, T, S, source, 5, a != b)                                                                          \
    FUSED(name, CMP, T, S, source, 6, a <= b)                                                                          \
    FUSED(name, CMP, T, S, source, 7, a > b)                                                                           \
    FUSED(name, CMP, T, S, source, 12, sa < sb)                                                                        \
    FUSED(name, CMP, T, S, source, 13, sa >= sb)                                                                       \
    FUSED(name, CMP, T, S, source, 14, sa <= sb)                                                                       \
    FUSED(name, CMP, T, S, source, 15, sa > sb)
#define TEST_ALL(name, T, S, source)                                                                                   \
    FUSED(name, TEST, T, S, source, 4, !(a & b))                                                                       \
    FUSED(name, TEST, T, S, source, 5, a & b)                                                                          \
    FUSED(name, TEST, T, S, source, 8, (S)(a & b) < 0)                                                                 \
    FUSED(name, TEST, T, S, source, 9, (S)(a & b) >= 0)                                                                \
    FUSED(name, TEST, T, S, source, 14, (S)(a & b) <= 0)                                                               \
    FUSED(name, TEST, T, S, source, 15, (S)(a & b) > 0)
#define EACH_SIZE(M, name, source)                                                                                     \
    M(name, uint8_t, int8_t, source)                                                                                   \
    M(name, uint16_t, int16_t, source)                                                                                 \
    M(name, uint32_t, int32_t, source)                                                                                 \
    M(name, uint64_t, int64_t, source)
EACH_SIZE(CMP_ALL, cmp_rr, AT(s, uint64_t, u->s))
EACH_SIZE(CMP_ALL, cmp_ri, (int64_t)u->imm)
EACH_SIZE(TEST_ALL, test_rr, AT(s, uint64_t, u->s))
EACH_SIZE(TEST_ALL, test_ri, (int64_t)u->imm)

#define CMP_ROW(name, T, S, source)                                                                                    \
    {                                                                                                                  \
        [2] = exec_##name##_##T##_2, [3] = exec_##name##_##T##_3, [4] = exec_##name##_##T##_4,                         \
        [5] = exec_##name##_##T##_5, [6] = exec_##name##_##T##_6, [7] = exec_##name##_##T##_7,                         \
        [12] = exec_##name##_##T##_12, [13] = exec_##name##_##T##_13, [14] = exec_##name##_##T##_14,                   \
        [15] = exec_##name##_##T##_15,                                                                                 \
    },
#define TEST_ROW(name, T, S, source)                                                                                   \
    {                                                                                                                  \
        [4] = exec_##name##_##T##_4, [5] = exec_##name##_##T##_5, [8] = exec_##name##_##T##_8,                         \
        [9] = exec_##name##_##T##_9, [14] = exec_##name##_##T##_14, [15] = exec_##name##_##T##_15,                     \
    },
static UopFn *const fused[2][2][4][16] = { /* test; immediate; size; condition */
    {{EACH_SIZE(CMP_ROW, cmp_rr, )}, {EACH_SIZE(CMP_ROW, cmp_ri, )}},
    {{EACH_SIZE(TEST_ROW, test_rr, )}, {EACH_SIZE(TEST_ROW, test_ri, )}},
};

/* ---- Calls and returns, with a flat stack of 32 or 64 bits ---- */

#define STACK_OPS(B, T)                                                                                                \
    static inline __attribute__((always_inline)) void push_##B(SoftCpu *s, const Uop *u, uint64_t v)                   \
    {                                                                                                                  \
        uint64_t sp = (T)(s->cpu.state.gpr[CPU_RSP] - sizeof(T));                                                      \
        uint8_t *p = tlb_hit(s->store, sp, sizeof(T));                                                                 \
        if (G_LIKELY(p)) {                                                                                             \
            PLACE(T, p) = (T)v;                                                                                        \
        } else {                                                                                                       \
            tlb_store(s, u, sp, sizeof(T), v);                                                                         \
        }                                                                                                              \
        s->cpu.state.gpr[CPU_RSP] = sp;                                                                                \
    }                                                                                                                  \
    static const Uop *exec_call_##B(SoftCpu *s, const Uop *u)                                                          \
    {                                                                                                                  \
        push_##B(s, u, s->rip_base + u->ip + u->length);                                                               \
        FOLLOW(s, jump_by_table(s, u));                                                                                \
    }                                                                                                                  \
    static const Uop *exec_call_near_##B(SoftCpu *s, const Uop *u)                                                     \
    {                                                                                                                  \
        push_##B(s, u, s->rip_base + u->ip + u->length);                                                               \
        FOLLOW(s, uop_jump(s, u));                                                                                  \
    }                                                                                                                  \
    static const Uop *exec_call_to_##B(SoftCpu *s, const Uop *u)                                                       \
    {                                                                                                                  \
        uint64_t to = AT(s, T, u->s);                                                                                  \
        check_target(s, u, to);                                                                                        \
        push_##B(s, u, s->rip_base + u->ip + u->length);                                                               \
        FOLLOW(s, exec_go(s, to));                                                                                     \
    }                                                                                                                  \
    static const Uop *exec_jump_to_##B(SoftCpu *s, const Uop *u)                                                       \
    {                                                                                                                  \
        uint64_t to = AT(s, T, u->s);                                                                                  \
        check_target(s, u, to);                                                                                        \
        FOLLOW(s, exec_go(s, to));                                                                                     \
    }                                                                                                                  \
    static const Uop *exec_ret_##B(SoftCpu *s, const Uop *u)                                                           \
    {                                                                                                                  \
        uint64_t sp = (T)s->cpu.state.gpr[CPU_RSP];                                                                    \
        uint8_t *p = tlb_hit(s->load, sp, sizeof(T));                                                                  \
        uint64_t to = G_LIKELY(p) ? PLACE(T, p) : tlb_load(s, u, sp, sizeof(T));                                       \
        check_target(s, u, to);                                                                                        \
        s->cpu.state.gpr[CPU_RSP] = (T)(sp + sizeof(T) + (uint32_t)u->imm);                                            \
        FOLLOW(s, exec_go(s, to));                                                                                     \
    }

/* A target must be canonical, or within the limit: a plain code segment has no other. */
static inline __attribute__((always_inline)) void check_target(SoftCpu *s, const Uop *u, uint64_t to)
{
    if (G_UNLIKELY((uint64_t)((int64_t)(to << s->canonical_shift) >> s->canonical_shift) != to)) {
        s->cur = u;
        s->insn_rip = s->rip_base + u->ip;
        soft_fault_error(s, EXC_GP, 0);
    }
}
LOAD_UOP(load_target_64, uint64_t, s->tmp[0] = m)
LOAD_UOP(load_target_32, uint32_t, s->tmp[0] = m)
static const MemFn load_target[2] = {MEM_FN(load_target_32), MEM_FN(load_target_64)};
STACK_OPS(64, uint64_t)
STACK_OPS(32, uint32_t)

/* ---- Lowering ---- */

/* In the block's own page?  Such a target keeps the translation that the block was found by. */
static bool near_target(const Lowering *l, uint64_t target)
{
    return !(l->mode & MODE_SINGLE) && l->mode & MODE_FLAT_CODE && !((target ^ l->rip) & ~UINT64_C(0xfff));
}

/* A micro-op holds 32 bits of distance, and a jump of 32-bit code may go further: from above 3 GiB into the first megabyte,
 * as firmware does that has moved itself to the end of much RAM. */
static bool reachable(const Lowering *l, const Insn *i)
{
    return (int64_t)(i->imm[0] - l->rip) == (int32_t)(i->imm[0] - l->rip);
}

static Uop *new_jump(Lowering *l, const Insn *i, uint64_t target, UopFn *near, UopFn *away)
{
    Uop *u = lower_new(l, i, near_target(l, target) ? near : away);
    u->target = (int32_t)(target - l->rip);
    u->seg = offsetof(SoftCpu, zero_ss); /* of calls */
    return u;
}

void lower_fall_through(Lowering *l, uint64_t rip)
{
    Insn end = {.rip = rip};
    new_jump(l, &end, rip, exec_jump, exec_jump_away);
}

/* Targets of 16-bit jumps, and of those in segments with a base, have limits that op/ checks. */
static bool plain_code(const Lowering *l, const Insn *i)
{
    return l->mode & MODE_FLAT_CODE && i->operand_size == ((l->mode & MODE_SIZE) == MODE_64 ? 8 : 4) &&
           (l->mode & MODE_SIZE) != MODE_16;
}

static bool lower_jcc(Lowering *l, const Insn *i)
{
    bool is_jcc = (i->opcode >> 8 == 0 && (i->opcode & 0xf0) == 0x70) || (i->opcode >> 8 == 1 && (i->opcode & 0xf0) == 0x80);
    if (!is_jcc || !plain_code(l, i) || !reachable(l, i)) {
        return false;
    }
    unsigned c = insn_condition(i);
    new_jump(l, i, i->imm[0], jcc[c][0], jcc[c][1]);
    lower_fall_through(l, l->next_rip);
    l->ended = true;
    return true;
}

/* Comparisons and arithmetic of registers and small numbers, followed by a Jcc to the same page. */
static bool lower_fused(Lowering *l, const Insn *i)
{
    const Insn *j = l->next;
    bool test = i->mnemonic == ZYDIS_MNEMONIC_TEST, compare = test || i->mnemonic == ZYDIS_MNEMONIC_CMP;
    if (!j || j->opcode >> 8 > 1 || !plain_code(l, j) || (j->opcode & 0xf0) != (j->opcode >> 8 ? 0x80 : 0x70) ||
        !near_target(l, j->imm[0])) {
        return false;
    }
    const Operand *a = &i->op[0], *b = &i->op[1];
    bool imm = b->kind == OPERAND_IMM, one = b->kind == OPERAND_NONE;
    if (!operand_gpr(a) || !(one || operand_gpr(b) || (imm && (int64_t)i->imm[0] == (int32_t)i->imm[0]))) {
        return false;
    }
    unsigned c = insn_condition(j);
    UopFn *fn = compare ? fused[test][imm][size_index(a->size)][c] : exec_fused_alu(i->mnemonic, imm, a->size, c);
    if (!fn) {
        return false;
    }
    Uop *u = new_jump(l, i, j->imm[0], fn, fn);
    u->d = operand_offset(a);
    if (imm) {
        u->imm = (int32_t)i->imm[0];
    } else if (!one) {
        u->s = operand_offset(b);
    }
    l->number++;
    lower_fall_through(l, j->rip + j->length);
    l->fused = l->ended = true;
    return true;
}

static bool flat_stack(const Lowering *l)
{
    unsigned size = (l->mode & MODE_SIZE) == MODE_64 ? MODE_STACK_64 : MODE_STACK_32;
    return l->mode & MODE_FLAT_STACK && (l->mode & MODE_STACK) == size;
}

static bool lower_indirect(Lowering *l, const Insn *i, bool call, bool wide)
{
    Uop *u;
    uint16_t from = offsetof(SoftCpu, tmp[0]);
    if (operand_gpr(&i->op[0])) {
        from = operand_offset(&i->op[0]);
    } else {
        UopAddress a;
        if (!lower_address(l, i, &a, wide ? 8 : 4, false)) {
            return false;
        }
        u = lower_new(l, i, load_target[wide][a.plain]);
        uop_address(u, &a);
    }
    u = lower_new(l, i, call ? (wide ? exec_call_to_64 : exec_call_to_32) : (wide ? exec_jump_to_64 : exec_jump_to_32));
    u->s = from;
    u->seg = offsetof(SoftCpu, zero_ss);
    return true;
}

static bool lower_transfer(Lowering *l, const Insn *i)
{
    bool wide = (l->mode & MODE_SIZE) == MODE_64, call = i->mnemonic == ZYDIS_MNEMONIC_CALL;
    Uop *u;
    switch (i->opcode) {
    case 0xe9:
    case 0xeb:
        if (!reachable(l, i)) {
            return false;
        }
        new_jump(l, i, i->imm[0], exec_jump, exec_jump_away);
        return true;
    case 0xe8:
        if (!flat_stack(l) || !reachable(l, i)) {
            return false;
        }
        new_jump(l, i, i->imm[0], wide ? exec_call_near_64 : exec_call_near_32, wide ? exec_call_64 : exec_call_32);
        return true;
    case 0xff: { /* /2 and /4 are near */
        unsigned reg = i->modrm >> 3 & 7;
        return (reg == 2 || reg == 4) && (!call || flat_stack(l)) && lower_indirect(l, i, call, wide);
    }
    case 0xc2:
    case 0xc3:
        if (!flat_stack(l)) {
            return false;
        }
        u = lower_new(l, i, wide ? exec_ret_64 : exec_ret_32);
        u->imm = i->opcode == 0xc2 ? (int32_t)(i->imm[0] & 0xffff) : 0;
        u->seg = offsetof(SoftCpu, zero_ss);
        return true;
    default: return false;
    }
}

bool lower_flow(Lowering *l, const Insn *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_RET:
        if (plain_code(l, i) && lower_transfer(l, i)) {
            l->ended = true;
            return true;
        }
        return false;
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC: return lower_fused(l, i);
    default: return lower_jcc(l, i);
    }
}
