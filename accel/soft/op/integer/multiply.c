/* Multiplication by the host; division in C, for the host's would raise its own #DE. */
#include "accel/soft/op/integer/integer.h"

typedef unsigned __int128 U128;
typedef __int128 S128;

/* RDX:RAX (AH:AL) as operand or result of the one-operand forms. */
static U128 pair_get(const SoftCpu *s, unsigned size)
{
    if (size == 1) {
        return soft_gpr(s, CPU_RAX, 2);
    }
    return (U128)soft_gpr(s, CPU_RDX, size) << 8 * size | soft_gpr(s, CPU_RAX, size);
}

static void pair_put(SoftCpu *s, unsigned size, uint64_t low, uint64_t high)
{
    if (size == 1) {
        soft_gpr_put(s, CPU_RAX, 2, (low & 0xff) | (high & 0xff) << 8);
        return;
    }
    soft_gpr_put(s, CPU_RAX, size, low);
    soft_gpr_put(s, CPU_RDX, size, high);
}

/* Flags go in as well, for some processors leave those that are undefined. */
#define FLAGS_IN "addb $0x7f, %%al\n\tsahf\n\t"

#define WIDE_CASE(bytes, insn, suffix, mod)                                                         \
    case bytes:                                                                                     \
        __asm__(FLAGS_IN "movq %[a], %%rax\n\t" insn suffix " %" mod "[b]\n\t"                      \
                "movq %%rax, %[a]\n\tlahf\n\tseto %%al"                                             \
                : [a] "+&r"(a), "+&a"(ax), "=&d"(high)                                              \
                : [b] "r"(b)                                                                        \
                : "cc");                                                                            \
        break
#define WIDE(name, insn)                                                                            \
    static void name(SoftCpu *s, unsigned size, uint64_t b)                                         \
    {                                                                                               \
        uint64_t a = s->cpu.state.gpr[CPU_RAX], ax = s->cc, high = 0;                               \
        switch (size) {                                                                             \
            WIDE_CASE(1, insn, "b", "b");                                                           \
            WIDE_CASE(2, insn, "w", "w");                                                           \
            WIDE_CASE(4, insn, "l", "k");                                                           \
            WIDE_CASE(8, insn, "q", "q");                                                           \
        }                                                                                           \
        pair_put(s, size, a, size == 1 ? a >> 8 : high);                                            \
        s->cc = (uint16_t)ax;                                                                       \
    }
WIDE(multiply_unsigned, "mul")
WIDE(multiply_signed, "imul")

void op_mul(SoftCpu *s, const Insn *i) { multiply_unsigned(s, i->op[0].size, soft_get(s, i, 0)); }

#define IMUL_CASE(bytes, suffix, mod)                                                               \
    case bytes:                                                                                     \
        __asm__(FLAGS_IN "imul" suffix " %" mod "[b], %" mod "[a]\n\tlahf\n\tseto %%al"             \
                : [a] "+&r"(a), "+&a"(ax)                                                           \
                : [b] "r"(b)                                                                        \
                : "cc");                                                                            \
        break

void op_imul(SoftCpu *s, const Insn *i)
{
    unsigned size = i->op[0].size;
    if (i->operands < 2) {
        multiply_signed(s, size, soft_get(s, i, 0));
        return;
    }
    uint64_t a = soft_get(s, i, i->operands - 2), b = soft_get(s, i, i->operands - 1);
    uint16_t ax = s->cc;
    switch (size) {
        IMUL_CASE(2, "w", "w");
        IMUL_CASE(4, "l", "k");
        IMUL_CASE(8, "q", "q");
    }
    soft_put(s, i, 0, a);
    s->cc = ax;
}

/* The high half is written last: it stays where both destinations are one register (SDM vol 2 MULX). */
void op_mulx(SoftCpu *s, const Insn *i)
{
    require_vex(s, FEATURE_BMI2);
    unsigned size = i->op[0].size;
    U128 product = (U128)soft_gpr(s, CPU_RDX, size) * soft_get(s, i, 2);
    soft_put(s, i, 1, (uint64_t)product);
    soft_put(s, i, 0, (uint64_t)(product >> 8 * size));
}

/* RDX:RAX by a divisor above RDX, so that the host raises no #DE. */
static void divide_128(SoftCpu *s, uint64_t divisor)
{
    uint64_t low = s->cpu.state.gpr[CPU_RAX], high = s->cpu.state.gpr[CPU_RDX];
    __asm__("divq %[d]" : "+a"(low), "+d"(high) : [d] "r"(divisor) : "cc");
    pair_put(s, 8, low, high);
}

/* Flags are undefined after a division; here they stay. */
void op_div(SoftCpu *s, const Insn *i)
{
    unsigned size = i->op[0].size;
    uint64_t divisor = soft_get(s, i, 0);
    U128 dividend = pair_get(s, size);
    if (divisor == 0 || dividend >> 8 * size >= divisor) {
        soft_fault(s, EXC_DE);
    }
    if (size == 8) {
        divide_128(s, divisor);
    } else {
        uint64_t n = (uint64_t)dividend;
        pair_put(s, size, n / divisor, n % divisor);
    }
}

/* By magnitudes: the most negative dividend has no positive counterpart. */
static void divide_signed_128(SoftCpu *s, S128 dividend, S128 divisor)
{
    U128 a = dividend < 0 ? -(U128)dividend : (U128)dividend, b = divisor < 0 ? -(U128)divisor : (U128)divisor;
    bool negative = (dividend < 0) != (divisor < 0);
    U128 limit = ((U128)1 << 63) - !negative;
    if (b == 0 || a / b > limit) {
        soft_fault(s, EXC_DE);
    }
    U128 quotient = a / b, remainder = a % b;
    pair_put(s, 8, (uint64_t)(negative ? -quotient : quotient), (uint64_t)(dividend < 0 ? -remainder : remainder));
}

void op_idiv(SoftCpu *s, const Insn *i)
{
    unsigned size = i->op[0].size, spare = 128 - 16 * size;
    int64_t divisor = (int64_t)sign_extend(soft_get(s, i, 0), size);
    S128 dividend = (S128)(pair_get(s, size) << spare) >> spare;
    if (dividend != (int64_t)dividend || (divisor == -1 && (int64_t)dividend == INT64_MIN)) {
        divide_signed_128(s, dividend, divisor);
        return;
    }
    int64_t most = INT64_MAX >> (64 - 8 * size), quotient = divisor ? (int64_t)dividend / divisor : 0;
    if (!divisor || quotient > most || quotient < -most - 1) {
        soft_fault(s, EXC_DE);
    }
    pair_put(s, size, (uint64_t)quotient, (uint64_t)((int64_t)dividend % divisor));
}
