/* x87 arithmetic and comparison (SDM vol 1 §8.3, vol 2; APM vol 5), and the table of all x87 instructions
 * that are not control instructions. */
#include <Zydis/Zydis.h>

#include "accel/soft/op/x87/x87.h"

/* Reads a memory operand of 1 to 10 bytes into a buffer from which the host loads it. */
static void *read_operand(SoftCpu *s, const Insn *i, unsigned size, uint8_t buf[16])
{
    uint64_t linear = soft_operand_linear(s, i, size, false);
    uint64_t v = soft_load(s, linear, size);
    memcpy(buf, &v, sizeof(v));
    return buf;
}

/* Memory operands of D8 to DF with arithmetic: m32, m32 integer, m64, m16 integer. */
static unsigned arith_size(const Insn *i)
{
    static const uint8_t size[8] = {[0] = 4, [2] = 4, [4] = 8, [6] = 2};
    return size[i->opcode & 7];
}

/* ---- FADD FMUL FSUB FSUBR FDIV FDIVR in all forms ---- */
static void arith_memory(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    uint8_t buf[16];
    void *mem = read_operand(s, i, arith_size(i), buf);
    X87Value r;
    unsigned sw;
    if (x87_valid(x, 0) &&
        x87_quick(x, x87_host_1_1, mem, &x->st[0], x87_stub(i->opcode, i->modrm), NULL, &r, &sw)) {
        x87_merge(x, sw, FSW_C1);
        x87_put(x, 0, r);
    } else {
        x87_whole(s, i, mem);
    }
    x87_done_memory(s, i);
}

static void arith_register(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    unsigned n = i->modrm & 7, sw;
    /* D8 /r computes with ST(1) here whatever n is; DC and DE compute the same and put it elsewhere. */
    const X87Stub *stub = x87_stub(0xd8, 0xc1 | (i->modrm & 0x38));
    X87Value r;
    if (x87_valid(x, 0) && x87_valid(x, n) &&
        x87_quick(x, x87_host_2_1, NULL, &x->st[0], stub, &x->st[n], &r, &sw)) {
        x87_merge(x, sw, FSW_C1);
        x87_put(x, i->opcode == 0xd8 ? 0 : n, r);
        if (i->opcode == 0xde) {
            x87_pop(x);
        }
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

static void arith(SoftCpu *s, const Insn *i)
{
    x87_wait(s);
    if (i->modrm >= 0xc0) {
        arith_register(s, i);
    } else {
        arith_memory(s, i);
    }
}

/* ---- FCOM, FUCOM, FICOM, FTST and their kin ---- */
/* Normal numbers and zeros need no arithmetic and raise nothing. */
static bool simple(X87Value v)
{
    unsigned exponent = v.sign_exponent & 0x7fff;
    return v.mantissa >> 63 ? exponent - 1 < 0x7ffe : !(v.mantissa | exponent);
}
static unsigned compare_simple(X87Value a, X87Value b)
{
    unsigned exponent_a = a.sign_exponent & 0x7fff, exponent_b = b.sign_exponent & 0x7fff;
    bool negative = a.sign_exponent >> 15;
    if (!(a.mantissa | b.mantissa)) {
        return FSW_C3;
    }
    if ((a.sign_exponent ^ b.sign_exponent) >> 15) {
        return negative ? FSW_C0 : 0;
    }
    if (exponent_a == exponent_b && a.mantissa == b.mantissa) {
        return FSW_C3;
    }
    bool smaller = exponent_a != exponent_b ? exponent_a < exponent_b : a.mantissa < b.mantissa;
    return smaller != negative ? FSW_C0 : 0;
}

static void compare_memory(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    uint8_t buf[16];
    unsigned size = arith_size(i), sw;
    void *mem = read_operand(s, i, size, buf);
    X87Value a = x87_get(x, 0), b;
    bool quick = x87_valid(x, 0);
    if (quick && !(i->opcode & 2) && simple(a) && x87_widen(mem, size, &b) && simple(b)) {
        sw = compare_simple(a, b);
    } else {
        quick =
            quick && x87_quick(x, x87_host_1_0, mem, &x->st[0], x87_stub(i->opcode, 0x10), NULL, NULL, &sw);
    }
    if (quick) {
        x87_merge(x, sw, FSW_CONDITION);
        if (i->modrm & 8) {
            x87_pop(x);
        }
    } else {
        x87_whole(s, i, mem);
    }
    x87_done_memory(s, i);
}

/* ST(0) with ST(n), by FCOM or FUCOM; false: to be done the whole way.  Nothing is changed. */
static bool compare_register(const Xsave *x, unsigned n, bool unordered, unsigned *sw)
{
    if (!x87_valid(x, 0) || !x87_valid(x, n)) {
        return false;
    }
    X87Value a = x87_get(x, 0), b = x87_get(x, n);
    if (simple(a) && simple(b)) {
        *sw = compare_simple(a, b);
        return true;
    }
    const X87Stub *stub = unordered ? x87_stub(0xdd, 0xe1) : x87_stub(0xd8, 0xd1);
    return x87_quick(x, x87_host_2_0, NULL, &x->st[0], stub, &x->st[n], NULL, sw);
}

/* FCOM FCOMP FUCOM FUCOMP FCOMPP FUCOMPP FICOM FICOMP. */
static void compare(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    if (i->modrm < 0xc0) {
        compare_memory(s, i);
        return;
    }
    unsigned m = i->mnemonic;
    bool both = m == ZYDIS_MNEMONIC_FCOMPP || m == ZYDIS_MNEMONIC_FUCOMPP;
    bool unordered = m == ZYDIS_MNEMONIC_FUCOM || m == ZYDIS_MNEMONIC_FUCOMP || m == ZYDIS_MNEMONIC_FUCOMPP;
    bool pops = both || m == ZYDIS_MNEMONIC_FCOMP || m == ZYDIS_MNEMONIC_FUCOMP;
    unsigned sw;
    if (compare_register(x, i->modrm & 7, unordered, &sw)) {
        x87_merge(x, sw, FSW_CONDITION);
        if (pops) {
            x87_pop(x);
        }
        if (both) {
            x87_pop(x);
        }
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

/* FCOMI FCOMIP FUCOMI FUCOMIP: C0, C2, C3 of the comparison become CF, PF, ZF; SF, AF, OF are cleared. */
static void compare_flags(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    unsigned sw;
    if (compare_register(x, i->modrm & 7, i->modrm < 0xf0, &sw)) {
        x87_merge(x, sw, FSW_C1);
        soft_set_cc(s, (sw & FSW_C0 ? FLAG_CF : 0) | (sw & FSW_C2 ? FLAG_PF : 0) |
                           (sw & FSW_C3 ? FLAG_ZF : 0));
        if (i->opcode == 0xdf) {
            x87_pop(x);
        }
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

static void ftst(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    unsigned sw;
    if (x87_valid(x, 0) &&
        x87_quick(x, x87_host_1_0, NULL, &x->st[0], x87_stub(i->opcode, i->modrm), NULL, NULL, &sw)) {
        x87_merge(x, sw, FSW_CONDITION);
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

/* SDM vol 2 table 3-52 */
static void fxam(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    X87Value r = x87_get(x, 0);
    unsigned exponent = r.sign_exponent & 0x7fff, code;
    if (!x87_valid(x, 0)) {
        code = FSW_C3 | FSW_C0;
    } else if (!exponent) {
        code = r.mantissa ? FSW_C3 | FSW_C2 : FSW_C3;
    } else if (!(r.mantissa >> 63)) {
        code = 0; /* unsupported: unnormals, pseudo-infinities and pseudo-NaNs */
    } else if (exponent == 0x7fff) {
        code = r.mantissa << 1 ? FSW_C0 : FSW_C2 | FSW_C0;
    } else {
        code = FSW_C2;
    }
    code |= r.sign_exponent >> 15 ? FSW_C1 : 0;
    x->fsw = (uint16_t)((x->fsw & ~FSW_CONDITION) | code);
    x87_done(s, i);
}

/* ---- One operand ---- */
static void sign(SoftCpu *s, const Insn *i) /* FCHS FABS: no exception but the stack's */
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    if (x87_valid(x, 0)) {
        x->st[0].sign_exponent =
            i->modrm & 1 ? x->st[0].sign_exponent & 0x7fff : x->st[0].sign_exponent ^ 0x8000;
        x->fsw &= (uint16_t)~FSW_C1;
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

static void unary(SoftCpu *s, const Insn *i, unsigned codes)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    X87Value r;
    unsigned sw;
    if (x87_valid(x, 0) &&
        x87_quick(x, x87_host_1_1, NULL, &x->st[0], x87_stub(i->opcode, i->modrm), NULL, &r, &sw)) {
        x87_merge(x, sw, codes);
        x87_put(x, 0, r);
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}
static void unary_round(SoftCpu *s, const Insn *i)
{
    unary(s, i, FSW_C1);
} /* FSQRT FRNDINT F2XM1 */
static void unary_range(SoftCpu *s, const Insn *i)
{
    unary(s, i, FSW_C1 | FSW_C2);
} /* FSIN FCOS           */

/* ---- ST(0) and ST(1) ---- */
static bool is_nan(X87Value v)
{
    return (v.sign_exponent & 0x7fff) == 0x7fff && v.mantissa << 1;
}

static void fprem(SoftCpu *s, const Insn *i) /* FPREM FPREM1 FSCALE */
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    X87Value r;
    unsigned sw;
    bool scale = i->mnemonic == ZYDIS_MNEMONIC_FSCALE;
    /* Quotient bits are in C0, C3, C1; what a NaN does to them depends on what they were. */
    if (x87_valid(x, 0) && x87_valid(x, 1) &&
        x87_quick(x, x87_host_2_1, NULL, &x->st[0], x87_stub(i->opcode, i->modrm), &x->st[1], &r, &sw) &&
        (scale || !is_nan(r))) {
        x87_merge(x, sw, scale ? FSW_C1 : FSW_CONDITION);
        x87_put(x, 0, r);
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

static void binary_pop(SoftCpu *s, const Insn *i) /* FYL2X FYL2XP1 FPATAN */
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    X87Value r;
    unsigned sw;
    if (x87_valid(x, 0) && x87_valid(x, 1) &&
        x87_quick(x, x87_host_2_1_pop, NULL, &x->st[0], x87_stub(i->opcode, i->modrm), &x->st[1], &r,
                  &sw)) {
        x87_merge(x, sw, FSW_C1);
        x87_pop(x);
        x87_put(x, 0, r);
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

/* ---- Two results: FPTAN FSINCOS FXTRACT ---- */
static void split(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    X87Value r[2];
    bool extract = i->mnemonic == ZYDIS_MNEMONIC_FXTRACT;
    unsigned sw;
    if (x87_valid(x, 0) && !x87_valid(x, 7) &&
        x87_quick(x, extract ? x87_host_1_2 : x87_host_1_2_partial, NULL, &x->st[0],
                  x87_stub(i->opcode, i->modrm), NULL, r, &sw)) {
        x87_merge(x, sw, extract ? FSW_C1 : FSW_C1 | FSW_C2);
        if (extract || !(sw & FSW_C2)) {
            x87_put(x, 0, r[1]);
            x87_push(x, r[0]);
        }
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

static void fnop(SoftCpu *s, const Insn *i)
{
    x87_wait(s);
    x87_done(s, i);
}

// clang-format off
#define M(name) ZYDIS_MNEMONIC_##name, 0
const Op ops_x87[] = {
    {M(FADD), arith}, {M(FADDP), arith}, {M(FIADD), arith}, {M(FMUL), arith}, {M(FMULP), arith},
    {M(FIMUL), arith}, {M(FSUB), arith}, {M(FSUBP), arith}, {M(FISUB), arith}, {M(FSUBR), arith},
    {M(FSUBRP), arith}, {M(FISUBR), arith}, {M(FDIV), arith}, {M(FDIVP), arith}, {M(FIDIV), arith},
    {M(FDIVR), arith}, {M(FDIVRP), arith}, {M(FIDIVR), arith}, {M(FCOM), compare}, {M(FCOMP), compare},
    {M(FCOMPP), compare}, {M(FUCOM), compare}, {M(FUCOMP), compare}, {M(FUCOMPP), compare},
    {M(FICOM), compare}, {M(FICOMP), compare}, {M(FCOMI), compare_flags}, {M(FCOMIP), compare_flags},
    {M(FUCOMI), compare_flags}, {M(FUCOMIP), compare_flags}, {M(FTST), ftst}, {M(FXAM), fxam},
    {M(FCHS), sign}, {M(FABS), sign}, {M(FSQRT), unary_round}, {M(FRNDINT), unary_round},
    {M(F2XM1), unary_round}, {M(FSIN), unary_range}, {M(FCOS), unary_range}, {M(FSCALE), fprem},
    {M(FPREM), fprem}, {M(FPREM1), fprem}, {M(FYL2X), binary_pop}, {M(FYL2XP1), binary_pop},
    {M(FPATAN), binary_pop}, {M(FPTAN), split}, {M(FSINCOS), split}, {M(FXTRACT), split}, {M(FNOP), fnop},
    /* x87-move.c */
    {M(FLD), x87_op_fld}, {M(FILD), x87_op_fld}, {M(FBLD), x87_op_fld}, {M(FLD1), x87_op_constant},
    {M(FLDL2T), x87_op_constant}, {M(FLDL2E), x87_op_constant}, {M(FLDPI), x87_op_constant},
    {M(FLDLG2), x87_op_constant}, {M(FLDLN2), x87_op_constant}, {M(FLDZ), x87_op_constant},
    {M(FST), x87_op_fst}, {M(FSTP), x87_op_fst}, {M(FSTPNCE), x87_op_fst}, {M(FIST), x87_op_fst},
    {M(FISTP), x87_op_fst}, {M(FISTTP), x87_op_fst}, {M(FBSTP), x87_op_fst}, {M(FXCH), x87_op_fxch},
    {M(FFREE), x87_op_ffree}, {M(FFREEP), x87_op_ffree}, {M(FINCSTP), x87_op_move_top},
    {M(FDECSTP), x87_op_move_top}, {M(FCMOVB), x87_op_fcmov}, {M(FCMOVE), x87_op_fcmov},
    {M(FCMOVBE), x87_op_fcmov}, {M(FCMOVU), x87_op_fcmov}, {M(FCMOVNB), x87_op_fcmov},
    {M(FCMOVNE), x87_op_fcmov}, {M(FCMOVNBE), x87_op_fcmov}, {M(FCMOVNU), x87_op_fcmov},
    {0},
};
// clang-format on
