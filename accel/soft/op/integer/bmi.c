/* BMI1 and BMI2, but for the shifts (integer-shift.c), MULX (integer-multiply.c) and the counts
 * (integer-bits.c). AF and PF, which these leave undefined, are as AND has them. */
#include "accel/soft/op/integer/integer.h"

static void finish(SoftCpu *s, const Insn *i, uint64_t v, uint16_t carry)
{
    soft_put(s, i, 0, v);
    s->cc = cc_of(i->op[0].size, v) | carry;
}

void op_andn(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI1);
    uint64_t a = soft_get(s, i, 1);
    finish(s, i, ~a & soft_get(s, i, 2), 0);
}

/* Bits start .. start + length - 1, from the second source's two low bytes; SF is undefined, only ZF tells. */
void op_bextr(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI1);
    uint64_t v = soft_get(s, i, 1), control = soft_get(s, i, 2);
    unsigned start = control & 0xff, length = control >> 8 & 0xff;
    v = start < 64 ? v >> start : 0;
    finish(s, i, length < 64 ? v & ((UINT64_C(1) << length) - 1) : v, 0);
}

void op_blsi(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI1);
    uint64_t v = soft_get(s, i, 1);
    finish(s, i, v & -v, v ? CC_CF : 0);
}

void op_blsmsk(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI1);
    uint64_t v = soft_get(s, i, 1);
    finish(s, i, v ^ (v - 1), v ? 0 : CC_CF);
}

void op_blsr(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI1);
    uint64_t v = soft_get(s, i, 1);
    finish(s, i, v & (v - 1), v ? 0 : CC_CF);
}

void op_bzhi(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI2);
    unsigned bits = 8 * i->op[0].size;
    uint64_t v = soft_get(s, i, 1);
    unsigned n = soft_get(s, i, 2) & 0xff;
    finish(s, i, n < bits ? v & ((UINT64_C(1) << n) - 1) : v, n > bits - 1 ? CC_CF : 0);
}

void op_pdep(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI2);
    uint64_t v = soft_get(s, i, 1), mask = soft_get(s, i, 2), r = 0;
    for (; mask; mask &= mask - 1, v >>= 1) {
        r |= v & 1 ? mask & -mask : 0;
    }
    soft_put(s, i, 0, r);
}

void op_pext(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI2);
    uint64_t v = soft_get(s, i, 1), mask = soft_get(s, i, 2), r = 0;
    for (unsigned n = 0; mask; mask &= mask - 1, n++) {
        r |= v & mask & -mask ? UINT64_C(1) << n : 0;
    }
    soft_put(s, i, 0, r);
}
