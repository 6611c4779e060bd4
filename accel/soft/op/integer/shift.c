/* Shifts and rotations, by the host's instructions, with the guest's flags going in: a count of 0 leaves all
 * of them, a rotation leaves most. */
#include "accel/soft/op/integer/integer.h"

#define FLAGS_IN "addb $0x7f, %%al\n\tsahf\n\t"
#define FLAGS_OUT "\n\tlahf\n\tseto %%al"

#define SHIFT_CASE(bytes, insn, suffix, mod)                                                        \
    case bytes:                                                                                     \
        __asm__(FLAGS_IN insn suffix " %%cl, %" mod "[a]" FLAGS_OUT                                 \
                : [a] "+&r"(a), "+&a"(ax)                                                           \
                : "c"(count)                                                                        \
                : "cc");                                                                            \
        break
#define SHIFT(name, insn)                                                                           \
    static uint64_t shift_##name(unsigned size, uint64_t a, uint64_t count, uint16_t *cc)           \
    {                                                                                               \
        uint16_t ax = *cc;                                                                          \
        switch (size) {                                                                             \
            SHIFT_CASE(1, insn, "b", "b");                                                          \
            SHIFT_CASE(2, insn, "w", "w");                                                          \
            SHIFT_CASE(4, insn, "l", "k");                                                          \
            SHIFT_CASE(8, insn, "q", "q");                                                          \
        }                                                                                           \
        *cc = ax;                                                                                   \
        return a;                                                                                   \
    }                                                                                               \
    void op_##name(SoftCpu *s, const Insn *i) { operand_update(s, i, shift_##name, soft_get(s, i, 1)); }
SHIFT(shl, "shl")
SHIFT(shr, "shr")
SHIFT(sar, "sar")
SHIFT(rol, "rol")
SHIFT(ror, "ror")
SHIFT(rcl, "rcl")
SHIFT(rcr, "rcr")

#define DOUBLE_CASE(bytes, insn, suffix, mod)                                                       \
    case bytes:                                                                                     \
        __asm__(FLAGS_IN insn suffix " %%cl, %" mod "[b], %" mod "[a]" FLAGS_OUT                    \
                : [a] "+&r"(a), "+&a"(ax)                                                           \
                : [b] "r"(b), "c"(count)                                                            \
                : "cc");                                                                            \
        break
#define DOUBLE_SHIFT(name, insn)                                                                    \
    void op_##name(SoftCpu *s, const Insn *i)                                                       \
    {                                                                                               \
        uint64_t a = soft_get_rmw(s, i, 0), b = soft_get(s, i, 1), count = soft_get(s, i, 2);       \
        uint16_t ax = s->cc;                                                                        \
        switch (i->op[0].size) {                                                                    \
            DOUBLE_CASE(2, insn, "w", "w");                                                         \
            DOUBLE_CASE(4, insn, "l", "k");                                                         \
            DOUBLE_CASE(8, insn, "q", "q");                                                         \
        }                                                                                           \
        soft_put(s, i, 0, a);                                                                       \
        s->cc = ax;                                                                                 \
    }
DOUBLE_SHIFT(shld, "shld")
DOUBLE_SHIFT(shrd, "shrd")

/* ---- BMI2: three operands, no flags ---- */
static void shift_plain(SoftCpu *s, const Insn *i, AluFn *fn)
{
    require_vex(s, FEATURE_BMI2);
    uint16_t cc = 0;
    uint64_t a = soft_get(s, i, 1);
    soft_put(s, i, 0, fn(i->op[0].size, a, soft_get(s, i, 2), &cc));
}

void op_rorx(SoftCpu *s, const Insn *i) { shift_plain(s, i, shift_ror); }
void op_sarx(SoftCpu *s, const Insn *i) { shift_plain(s, i, shift_sar); }
void op_shlx(SoftCpu *s, const Insn *i) { shift_plain(s, i, shift_shl); }
void op_shrx(SoftCpu *s, const Insn *i) { shift_plain(s, i, shift_shr); }
