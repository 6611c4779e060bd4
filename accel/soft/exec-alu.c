/* Arithmetic and logic.  Flags are the host's own: the same instruction, then LAHF and SETO, which cost two cycles; where nobody
 * looks at them before they are written again, C does the work without. */
#include <Zydis/Zydis.h>

#include "accel/soft/uop.h"

enum { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, TWO_OPERANDS };
enum { INC, DEC, NEG, NOT, ONE_OPERAND };
enum { SHL, SHR, SAR, ROL, ROR, SHIFTS };

#define FLAGS "lahf\n\tseto %%al"
/* a = a OP b; flags into s->cc. */
#define HOST_OP2(insn, a, b)                                                                                           \
    do {                                                                                                               \
        uint16_t ax_;                                                                                                  \
        __asm__(insn " %[y], %[x]\n\t" FLAGS : [x] "+q"(a), "=&a"(ax_) : [y] "q"(b) : "cc");                           \
        s->cc = ax_;                                                                                                   \
    } while (0)
#define HOST_OP2_CARRY(insn, a, b)                                                                                     \
    do {                                                                                                               \
        uint16_t ax_;                                                                                                  \
        __asm__("btw $8, %[c]\n\t" insn " %[y], %[x]\n\t" FLAGS                                                        \
                : [x] "+q"(a), "=&a"(ax_)                                                                              \
                : [y] "q"(b), [c] "r"(s->cc)                                                                           \
                : "cc");                                                                                               \
        s->cc = ax_;                                                                                                   \
    } while (0)
/* INC and DEC leave CF. */
#define HOST_OP1(insn, a)                                                                                              \
    do {                                                                                                               \
        uint16_t ax_;                                                                                                  \
        __asm__("btw $8, %[c]\n\t" insn " %[x]\n\t" FLAGS : [x] "+q"(a), "=&a"(ax_) : [c] "r"(s->cc) : "cc");          \
        s->cc = ax_;                                                                                                   \
    } while (0)

#define DO_ADD(a, b) HOST_OP2("add", a, b)
#define DO_OR(a, b) HOST_OP2("or", a, b)
#define DO_ADC(a, b) HOST_OP2_CARRY("adc", a, b)
#define DO_SBB(a, b) HOST_OP2_CARRY("sbb", a, b)
#define DO_AND(a, b) HOST_OP2("and", a, b)
#define DO_SUB(a, b) HOST_OP2("sub", a, b)
#define DO_XOR(a, b) HOST_OP2("xor", a, b)
#define DO_CMP(a, b) HOST_OP2("cmp", a, b)
#define DO_TEST(a, b) HOST_OP2("test", a, b)
#define DEAD_ADD(a, b) (a += b)
#define DEAD_OR(a, b) (a |= b)
#define DEAD_ADC(a, b) (a += b + (s->cc >> 8 & 1))
#define DEAD_SBB(a, b) (a -= b + (s->cc >> 8 & 1))
#define DEAD_AND(a, b) (a &= b)
#define DEAD_SUB(a, b) (a -= b)
#define DEAD_XOR(a, b) (a ^= b)

/* ---- Two operands ---- */

#define BINARY(OP, mode, bits)                                                                                         \
    static const Uop *mode##_##OP##_rr_##bits(SoftCpu *s, const Uop *u)                                                \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d), b = AT(s, uint##bits##_t, u->s);                               \
        mode##_##OP(a, b);                                                                                             \
        PUT_##bits(u->d, a);                                                                                           \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *mode##_##OP##_ri_##bits(SoftCpu *s, const Uop *u)                                                \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d), b = (uint##bits##_t)(int64_t)u->imm;                           \
        mode##_##OP(a, b);                                                                                             \
        PUT_##bits(u->d, a);                                                                                           \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    LOAD_UOP(mode##_##OP##_rm_##bits, uint##bits##_t, uint##bits##_t a = AT(s, uint##bits##_t, u->d);                  \
             mode##_##OP(a, m); PUT_##bits(u->d, a))

/* Into memory: the flags count only once the store has succeeded, so the slow way asks for the page first. */
#define MEMORY(OP, bits, form, source)                                                                                 \
    MODIFY_UOP(DO_##OP##_##form##_##bits, uint##bits##_t, uint##bits##_t b = (uint##bits##_t)source; DO_##OP(m, b))

#define COMPARE(OP, bits)                                                                                              \
    static const Uop *DO_##OP##_rr_##bits(SoftCpu *s, const Uop *u)                                                    \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d), b = AT(s, uint##bits##_t, u->s);                               \
        DO_##OP(a, b);                                                                                                 \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *DO_##OP##_ri_##bits(SoftCpu *s, const Uop *u)                                                    \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d), b = (uint##bits##_t)(int64_t)u->imm;                           \
        DO_##OP(a, b);                                                                                                 \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    COMPARE_MEMORY(OP, bits, rm, AT(s, uint##bits##_t, u->d), m)                                                       \
    COMPARE_MEMORY(OP, bits, mr, m, AT(s, uint##bits##_t, u->s))                                                       \
    COMPARE_MEMORY(OP, bits, mi, m, (int64_t)u->imm)
#define COMPARE_MEMORY(OP, bits, form, left, right)                                                                    \
    LOAD_UOP(DO_##OP##_##form##_##bits, uint##bits##_t, uint##bits##_t a = left; uint##bits##_t b = (uint##bits##_t)right; \
             DO_##OP(a, b))

#define SIZES(M, ...) M(__VA_ARGS__, 8) M(__VA_ARGS__, 16) M(__VA_ARGS__, 32) M(__VA_ARGS__, 64)
#define MODIFY(OP, bits)                                                                                               \
    BINARY(OP, DO, bits)                                                                                               \
    BINARY(OP, DEAD, bits)                                                                                             \
    MEMORY(OP, bits, mr, AT(s, uint##bits##_t, u->s))                                                                  \
    MEMORY(OP, bits, mi, (int64_t)u->imm)
SIZES(MODIFY, ADD)
SIZES(MODIFY, OR)
SIZES(MODIFY, ADC)
SIZES(MODIFY, SBB)
SIZES(MODIFY, AND)
SIZES(MODIFY, SUB)
SIZES(MODIFY, XOR)
SIZES(COMPARE, CMP)
SIZES(COMPARE, TEST)

#define FORM(mode, OP, form)                                                                                           \
    {mode##_##OP##_##form##_8, mode##_##OP##_##form##_16, mode##_##OP##_##form##_32, mode##_##OP##_##form##_64}
#define MEM_FORM(mode, OP, form)                                                                                       \
    {MEM_FN(mode##_##OP##_##form##_8), MEM_FN(mode##_##OP##_##form##_16), MEM_FN(mode##_##OP##_##form##_32),           \
     MEM_FN(mode##_##OP##_##form##_64)}
enum { FROM_MEMORY, TO_MEMORY, TO_MEMORY_IMM };
#define ROW2(OP) [OP] = {FORM(DO, OP, rr), FORM(DO, OP, ri)}
#define ROW2_MEM(OP) [OP] = {MEM_FORM(DO, OP, rm), MEM_FORM(DO, OP, mr), MEM_FORM(DO, OP, mi)}
static UopFn *const binary[TWO_OPERANDS][2][4] = {ROW2(ADD), ROW2(OR), ROW2(ADC), ROW2(SBB), ROW2(AND), ROW2(SUB),
                                                  ROW2(XOR), ROW2(CMP), ROW2(TEST)};
static const MemFn binary_mem[TWO_OPERANDS][3][4] = {ROW2_MEM(ADD), ROW2_MEM(OR), ROW2_MEM(ADC), ROW2_MEM(SBB), ROW2_MEM(AND),
                                                     ROW2_MEM(SUB), ROW2_MEM(XOR), ROW2_MEM(CMP), ROW2_MEM(TEST)};
#define ROW2_DEAD(OP) [OP] = {FORM(DEAD, OP, rr), FORM(DEAD, OP, ri)}
static UopFn *const binary_dead[CMP][2][4] = {ROW2_DEAD(ADD), ROW2_DEAD(OR), ROW2_DEAD(ADC), ROW2_DEAD(SBB), ROW2_DEAD(AND),
                                              ROW2_DEAD(SUB), ROW2_DEAD(XOR)};
#define ROW2_DEAD_MEM(OP) [OP] = MEM_FORM(DEAD, OP, rm)
static const MemFn binary_dead_mem[CMP][4] = {ROW2_DEAD_MEM(ADD), ROW2_DEAD_MEM(OR), ROW2_DEAD_MEM(ADC), ROW2_DEAD_MEM(SBB),
                                              ROW2_DEAD_MEM(AND), ROW2_DEAD_MEM(SUB), ROW2_DEAD_MEM(XOR)};

/* ---- One operand ---- */

#define DO_INC(a) HOST_OP1("inc", a)
#define DO_DEC(a) HOST_OP1("dec", a)
#define DO_NEG(a) HOST_OP1("neg", a)
#define DO_NOT(a) (a = ~a)
#define DEAD_INC(a) (a++)
#define DEAD_DEC(a) (a--)
#define DEAD_NEG(a) (a = -a)
#define DEAD_NOT(a) (a = ~a)

#define UNARY(OP, bits)                                                                                                \
    UNARY_REGISTER(OP, DO, bits)                                                                                       \
    UNARY_REGISTER(OP, DEAD, bits)                                                                                     \
    MODIFY_UOP(DO_##OP##_m_##bits, uint##bits##_t, DO_##OP(m))
#define UNARY_REGISTER(OP, mode, bits)                                                                                 \
    static const Uop *mode##_##OP##_r_##bits(SoftCpu *s, const Uop *u)                                                 \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d);                                                                \
        mode##_##OP(a);                                                                                                \
        PUT_##bits(u->d, a);                                                                                           \
        NEXT(s, u);                                                                                                    \
    }
SIZES(UNARY, INC)
SIZES(UNARY, DEC)
SIZES(UNARY, NEG)
SIZES(UNARY, NOT)
#define ROW1(OP) [OP] = {FORM(DO, OP, r), FORM(DEAD, OP, r)}
#define ROW1_MEM(OP) [OP] = MEM_FORM(DO, OP, m)
static UopFn *const unary[ONE_OPERAND][2][4] = {ROW1(INC), ROW1(DEC), ROW1(NEG), ROW1(NOT)};
static const MemFn unary_mem[ONE_OPERAND][4] = {ROW1_MEM(INC), ROW1_MEM(DEC), ROW1_MEM(NEG), ROW1_MEM(NOT)};

/* ---- Shifts of registers by a constant, or by CL ---- */

/* A count of 0 leaves the flags (SDM vol 2, SAL); rotates leave all but CF and OF. */
#define SHIFT_FLAGS(insn, a, n, pre)                                                                                   \
    do {                                                                                                               \
        uint16_t ax_ = s->cc;                                                                                          \
        __asm__(pre insn " %%cl, %[x]\n\t" FLAGS : [x] "+&q"(a), "+&a"(ax_) : "c"(n) : "cc");                          \
        s->cc = ax_;                                                                                                   \
    } while (0)
#define DO_SHL(a, n) SHIFT_FLAGS("shl", a, n, "")
#define DO_SHR(a, n) SHIFT_FLAGS("shr", a, n, "")
#define DO_SAR(a, n) SHIFT_FLAGS("sar", a, n, "")
#define DO_ROL(a, n) SHIFT_FLAGS("rol", a, n, "sahf\n\t")
#define DO_ROR(a, n) SHIFT_FLAGS("ror", a, n, "sahf\n\t")
#define PLAIN_SHIFT(insn, a, n) __asm__(insn " %%cl, %[x]" : [x] "+q"(a) : "c"(n) : "cc")
#define DEAD_SHL(a, n) PLAIN_SHIFT("shl", a, n)
#define DEAD_SHR(a, n) PLAIN_SHIFT("shr", a, n)
#define DEAD_SAR(a, n) PLAIN_SHIFT("sar", a, n)
#define DEAD_ROL(a, n) PLAIN_SHIFT("rol", a, n)
#define DEAD_ROR(a, n) PLAIN_SHIFT("ror", a, n)

#define SHIFT(OP, mode, bits)                                                                                          \
    static const Uop *mode##_##OP##_ri_##bits(SoftCpu *s, const Uop *u)                                                \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d);                                                                \
        mode##_##OP(a, (uint8_t)u->imm);                                                                               \
        PUT_##bits(u->d, a);                                                                                           \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *mode##_##OP##_rc_##bits(SoftCpu *s, const Uop *u)                                                \
    {                                                                                                                  \
        uint8_t n = AT(s, uint8_t, GPR_OFFSET(CPU_RCX)) & (bits == 64 ? 63 : 31);                                      \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d);                                                                \
        if (n) {                                                                                                       \
            mode##_##OP(a, n);                                                                                         \
        }                                                                                                              \
        PUT_##bits(u->d, a);                                                                                           \
        NEXT(s, u);                                                                                                    \
    }
#define SHIFT_BOTH(OP, bits) SHIFT(OP, DO, bits) SHIFT(OP, DEAD, bits)
SIZES(SHIFT_BOTH, SHL)
SIZES(SHIFT_BOTH, SHR)
SIZES(SHIFT_BOTH, SAR)
SIZES(SHIFT_BOTH, ROL)
SIZES(SHIFT_BOTH, ROR)
#define ROW_SHIFT(OP) [OP] = {{FORM(DO, OP, ri), FORM(DO, OP, rc)}, {FORM(DEAD, OP, ri), FORM(DEAD, OP, rc)}}
static UopFn *const shift[SHIFTS][2][2][4] = {ROW_SHIFT(SHL), ROW_SHIFT(SHR), ROW_SHIFT(SAR), ROW_SHIFT(ROL),
                                              ROW_SHIFT(ROR)};

/* ---- IMUL into a register; BT ---- */

#define IMUL(bits)                                                                                                     \
    static const Uop *imul_rr_##bits(SoftCpu *s, const Uop *u)                                                         \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d), b = AT(s, uint##bits##_t, u->s);                               \
        HOST_OP2("imul", a, b);                                                                                        \
        PUT_##bits(u->d, a);                                                                                           \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *imul_rri_##bits(SoftCpu *s, const Uop *u)                                                        \
    {                                                                                                                  \
        uint##bits##_t a = (uint##bits##_t)(int64_t)u->imm, b = AT(s, uint##bits##_t, u->s);                           \
        HOST_OP2("imul", a, b);                                                                                        \
        PUT_##bits(u->d, a);                                                                                           \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    LOAD_UOP(imul_rm_##bits, uint##bits##_t, uint##bits##_t a = AT(s, uint##bits##_t, u->d); HOST_OP2("imul", a, m);    \
             PUT_##bits(u->d, a))                                                                                      \
    static const Uop *bt_rr_##bits(SoftCpu *s, const Uop *u)                                                           \
    {                                                                                                                  \
        unsigned bit = AT(s, uint8_t, u->s) & (bits - 1);                                                              \
        s->cc = (uint16_t)((s->cc & ~0x100) | (AT(s, uint##bits##_t, u->d) >> bit & 1) << 8);                          \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *bt_ri_##bits(SoftCpu *s, const Uop *u)                                                           \
    {                                                                                                                  \
        s->cc = (uint16_t)((s->cc & ~0x100) | (AT(s, uint##bits##_t, u->d) >> u->imm & 1) << 8);                       \
        NEXT(s, u);                                                                                                    \
    }
IMUL(16)
IMUL(32)
IMUL(64)
#define ROW3(name) {NULL, name##_16, name##_32, name##_64}
#define NO_FN {NULL, NULL}
static UopFn *const imul_rr[4] = ROW3(imul_rr), *const imul_rri[4] = ROW3(imul_rri);
static const MemFn imul_rm[4] = {NO_FN, MEM_FN(imul_rm_16), MEM_FN(imul_rm_32), MEM_FN(imul_rm_64)};
static UopFn *const bt_rr[4] = ROW3(bt_rr), *const bt_ri[4] = ROW3(bt_ri);

/* ---- Lowering ---- */

static bool imm_fits(const Insn *i, const Operand *o)
{
    return (int64_t)i->imm[o->imm] == (int32_t)i->imm[o->imm];
}

static bool lower_two(Lowering *l, const Insn *i, unsigned op)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    unsigned size = size_index(a->size);
    bool dead = op < CMP && !(l->live & i->flags_written);
    bool writes = op < CMP;
    UopAddress at;
    Uop *u;
    if (b->kind == OPERAND_IMM && !imm_fits(i, b)) {
        return false;
    }
    if (a->kind == OPERAND_MEM || b->kind == OPERAND_MEM) {
        unsigned form = b->kind == OPERAND_MEM ? FROM_MEMORY : b->kind == OPERAND_IMM ? TO_MEMORY_IMM : TO_MEMORY;
        if (!lower_address(l, i, &at, a->size, writes && form != FROM_MEMORY)) {
            return false;
        }
        bool quiet = dead && form == FROM_MEMORY;
        u = lower_new(l, i, (quiet ? binary_dead_mem[op] : binary_mem[op][form])[size][at.plain]);
        uop_address(u, &at);
    } else {
        u = lower_new(l, i, (dead ? binary_dead : binary)[op][b->kind == OPERAND_IMM][size]);
    }
    if (a->kind == OPERAND_REG) {
        u->d = operand_offset(a);
    }
    if (b->kind == OPERAND_REG) {
        u->s = operand_offset(b);
    } else if (b->kind == OPERAND_IMM) {
        u->imm = (int32_t)i->imm[b->imm];
    }
    return true;
}

static bool lower_one(Lowering *l, const Insn *i, unsigned op)
{
    const Operand *a = &i->op[0];
    unsigned size = size_index(a->size);
    if (a->kind == OPERAND_MEM) {
        UopAddress at;
        if (!lower_address(l, i, &at, a->size, true)) {
            return false;
        }
        uop_address(lower_new(l, i, unary_mem[op][size][at.plain]), &at);
        return true;
    }
    bool dead = !(l->live & i->flags_written);
    lower_new(l, i, unary[op][dead][size])->d = operand_offset(a);
    return true;
}

static bool lower_shift(Lowering *l, const Insn *i, unsigned op)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    if (a->kind != OPERAND_REG) {
        return false;
    }
    bool dead = !(l->live & FLAGS_ARITH);
    unsigned count = (unsigned)i->imm[0] & (a->size == 8 ? 63 : 31);
    if (b->kind == OPERAND_IMM && !count) {
        return false; /* it still clears the upper half of a 32-bit register: op/ */
    }
    Uop *u = lower_new(l, i, shift[op][dead][b->kind != OPERAND_IMM][size_index(a->size)]);
    u->d = operand_offset(a);
    u->imm = (int32_t)count;
    return true;
}

static bool lower_imul(Lowering *l, const Insn *i)
{
    const Operand *a = &i->op[0], *b = &i->op[1], *c = &i->op[2];
    unsigned size = size_index(a->size);
    if (i->operands == 3 && operand_gpr(b) && imm_fits(i, c)) {
        Uop *u = lower_new(l, i, imul_rri[size]);
        u->d = operand_offset(a);
        u->s = operand_offset(b);
        u->imm = (int32_t)i->imm[c->imm];
        return true;
    }
    UopAddress at;
    if (i->operands != 2 || (b->kind == OPERAND_MEM && !lower_address(l, i, &at, a->size, false))) {
        return false;
    }
    Uop *u = lower_new(l, i, b->kind == OPERAND_MEM ? imul_rm[size][at.plain] : imul_rr[size]);
    u->d = operand_offset(a);
    if (b->kind == OPERAND_MEM) {
        uop_address(u, &at);
    } else {
        u->s = operand_offset(b);
    }
    return true;
}

static bool lower_bt(Lowering *l, const Insn *i)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    if (a->kind != OPERAND_REG) {
        return false;
    }
    unsigned size = size_index(a->size);
    Uop *u = lower_new(l, i, b->kind == OPERAND_IMM ? bt_ri[size] : bt_rr[size]);
    u->d = operand_offset(a);
    if (b->kind == OPERAND_IMM) {
        u->imm = (int32_t)(i->imm[0] & (8u * a->size - 1));
    } else {
        u->s = operand_offset(b);
    }
    return true;
}

bool lower_alu(Lowering *l, const Insn *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_ADD: return lower_two(l, i, ADD);
    case ZYDIS_MNEMONIC_OR: return lower_two(l, i, OR);
    case ZYDIS_MNEMONIC_ADC: return lower_two(l, i, ADC);
    case ZYDIS_MNEMONIC_SBB: return lower_two(l, i, SBB);
    case ZYDIS_MNEMONIC_AND: return lower_two(l, i, AND);
    case ZYDIS_MNEMONIC_SUB: return lower_two(l, i, SUB);
    case ZYDIS_MNEMONIC_XOR: return lower_two(l, i, XOR);
    case ZYDIS_MNEMONIC_CMP: return lower_two(l, i, CMP);
    case ZYDIS_MNEMONIC_TEST: return lower_two(l, i, TEST);
    case ZYDIS_MNEMONIC_INC: return lower_one(l, i, INC);
    case ZYDIS_MNEMONIC_DEC: return lower_one(l, i, DEC);
    case ZYDIS_MNEMONIC_NEG: return lower_one(l, i, NEG);
    case ZYDIS_MNEMONIC_NOT: return lower_one(l, i, NOT);
    case ZYDIS_MNEMONIC_SHL: return lower_shift(l, i, SHL);
    case ZYDIS_MNEMONIC_SHR: return lower_shift(l, i, SHR);
    case ZYDIS_MNEMONIC_SAR: return lower_shift(l, i, SAR);
    case ZYDIS_MNEMONIC_ROL: return lower_shift(l, i, ROL);
    case ZYDIS_MNEMONIC_ROR: return lower_shift(l, i, ROR);
    case ZYDIS_MNEMONIC_IMUL: return lower_imul(l, i);
    case ZYDIS_MNEMONIC_BT: return lower_bt(l, i);
    default: return false;
    }
}
