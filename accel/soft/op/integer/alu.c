/* Addition, subtraction and logic. The host's own instruction computes, and its flags are the guest's, so
 * that even those which the manuals leave undefined are some processor's. */
#include "accel/soft/op/integer/integer.h"

/* The guest's flags into the host's: OF by an addition that overflows when it is set, the others by SAHF. */
#define FLAGS_IN "addb $0x7f, %%al\n\tsahf\n\t"
#define FLAGS_OUT "\n\tlahf\n\tseto %%al"

#define BINARY_CASE(bytes, insn, suffix, mod)                                                       \
    case bytes:                                                                                     \
        __asm__(FLAGS_IN insn suffix " %" mod "[b], %" mod "[a]" FLAGS_OUT                          \
                : [a] "+&r"(a), "+&a"(ax)                                                           \
                : [b] "r"(b)                                                                        \
                : "cc");                                                                            \
        break
#define BINARY(name, insn)                                                                          \
    uint64_t name(unsigned size, uint64_t a, uint64_t b, uint16_t *cc)                              \
    {                                                                                               \
        uint16_t ax = *cc;                                                                          \
        switch (size) {                                                                             \
            BINARY_CASE(1, insn, "b", "b");                                                         \
            BINARY_CASE(2, insn, "w", "w");                                                         \
            BINARY_CASE(4, insn, "l", "k");                                                         \
            BINARY_CASE(8, insn, "q", "q");                                                         \
        }                                                                                           \
        *cc = ax;                                                                                   \
        return a;                                                                                   \
    }
BINARY(alu_add, "add")
BINARY(alu_or, "or")
BINARY(alu_adc, "adc")
BINARY(alu_sbb, "sbb")
BINARY(alu_and, "and")
BINARY(alu_sub, "sub")
BINARY(alu_xor, "xor")

#define UNARY_CASE(bytes, insn, suffix, mod)                                                        \
    case bytes:                                                                                     \
        __asm__(FLAGS_IN insn suffix " %" mod "[a]" FLAGS_OUT : [a] "+&r"(a), "+&a"(ax) : : "cc");  \
        break
#define UNARY(name, insn)                                                                           \
    uint64_t name(unsigned size, uint64_t a, uint64_t b, uint16_t *cc)                              \
    {                                                                                               \
        uint16_t ax = *cc;                                                                          \
        switch (size) {                                                                             \
            UNARY_CASE(1, insn, "b", "b");                                                          \
            UNARY_CASE(2, insn, "w", "w");                                                          \
            UNARY_CASE(4, insn, "l", "k");                                                          \
            UNARY_CASE(8, insn, "q", "q");                                                          \
        }                                                                                           \
        *cc = ax;                                                                                   \
        return a;                                                                                   \
    }
UNARY(alu_inc, "inc")
UNARY(alu_dec, "dec")
UNARY(alu_neg, "neg")

uint64_t alu_not(unsigned size, uint64_t a, uint64_t b, uint16_t *cc) { return ~a; }
uint64_t alu_xchg(unsigned size, uint64_t a, uint64_t b, uint16_t *cc) { return b; }

uint16_t cc_of(unsigned size, uint64_t v)
{
    uint16_t cc = 0;
    alu_and(size, v, v, &cc);           /* AND clears CF and OF ... */
    return (uint16_t)(cc & ~CC_AF);     /* ... and may do what it likes to AF */
}

/* ---- Instructions ---- */
void op_add(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_add, soft_get(s, i, 1)); }
void op_or(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_or, soft_get(s, i, 1)); }
void op_adc(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_adc, soft_get(s, i, 1)); }
void op_sbb(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_sbb, soft_get(s, i, 1)); }
void op_and(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_and, soft_get(s, i, 1)); }
void op_sub(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_sub, soft_get(s, i, 1)); }
void op_xor(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_xor, soft_get(s, i, 1)); }
void op_inc(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_inc, 0); }
void op_dec(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_dec, 0); }
void op_neg(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_neg, 0); }
void op_not(SoftCpu *s, const Insn *i) { operand_update(s, i, alu_not, 0); }

void op_cmp(SoftCpu *s, const Insn *i)
{
    uint64_t a = soft_get(s, i, 0), b = soft_get(s, i, 1);
    alu_sub(i->op[0].size, a, b, &s->cc);
}

void op_test(SoftCpu *s, const Insn *i)
{
    uint64_t a = soft_get(s, i, 0), b = soft_get(s, i, 1);
    alu_and(i->op[0].size, a, b, &s->cc);
}

/* Addition with one flag as carry in and out; the others stay. */
static void add_with(SoftCpu *s, const Insn *i, uint16_t flag)
{
    require(s, FEATURE_ADX);
    unsigned size = i->op[0].size;
    uint64_t a = soft_get(s, i, 0), b = soft_get(s, i, 1);
    unsigned __int128 sum = (unsigned __int128)a + b + !!(s->cc & flag);
    soft_put(s, i, 0, (uint64_t)sum);
    cc_set(&s->cc, flag, sum >> 8 * size & 1);
}

void op_adcx(SoftCpu *s, const Insn *i) { add_with(s, i, CC_CF); }
void op_adox(SoftCpu *s, const Insn *i) { add_with(s, i, CC_OF); }
