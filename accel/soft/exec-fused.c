/* Arithmetic on a register and the conditional jump behind it as one micro-op: the ends of most loops. */
#include <Zydis/Zydis.h>

#include "accel/soft/uop.h"

#define FLAGS "lahf\n\tseto %%al"

#define FUSED(name, insn, bits, source, c)                                                                             \
    static const Uop *name##_##bits##_##c(SoftCpu *s, const Uop *u)                                                    \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d), b = (uint##bits##_t)(source);                                  \
        uint16_t ax;                                                                                                   \
        __asm__(insn " %[y], %[x]\n\t" FLAGS : [x] "+r"(a), "=&a"(ax) : [y] "r"(b) : "cc");                            \
        s->cc = ax;                                                                                                    \
        PUT_##bits(u->d, a);                                                                                           \
        if (cc_holds(ax, c)) {                                                                                         \
            FOLLOW(s, uop_jump(s, u));                                                                                 \
        }                                                                                                              \
        NEXT(s, u);                                                                                                    \
    }
/* INC and DEC leave CF. */
#define FUSED_ONE(name, insn, bits, unused, c)                                                                         \
    static const Uop *name##_##bits##_##c(SoftCpu *s, const Uop *u)                                                    \
    {                                                                                                                  \
        uint##bits##_t a = AT(s, uint##bits##_t, u->d);                                                                \
        uint16_t ax;                                                                                                   \
        __asm__("btw $8, %[k]\n\t" insn " %[x]\n\t" FLAGS : [x] "+r"(a), "=&a"(ax) : [k] "r"(s->cc) : "cc");          \
        s->cc = ax;                                                                                                    \
        PUT_##bits(u->d, a);                                                                                           \
        if (cc_holds(ax, c)) {                                                                                         \
            FOLLOW(s, uop_jump(s, u));                                                                                 \
        }                                                                                                              \
        NEXT(s, u);                                                                                                    \
    }
#define CONDITIONS(M, name, insn, bits, source)                                                                        \
    M(name, insn, bits, source, 2) M(name, insn, bits, source, 3) M(name, insn, bits, source, 4)                       \
    M(name, insn, bits, source, 5) M(name, insn, bits, source, 8) M(name, insn, bits, source, 9)                       \
    M(name, insn, bits, source, 12) M(name, insn, bits, source, 13) M(name, insn, bits, source, 14)                    \
    M(name, insn, bits, source, 15)
#define BOTH(M, name, insn, source) CONDITIONS(M, name, insn, 32, source) CONDITIONS(M, name, insn, 64, source)
BOTH(FUSED, add_rr, "add", AT(s, uint64_t, u->s))
BOTH(FUSED, add_ri, "add", (int64_t)u->imm)
BOTH(FUSED, sub_rr, "sub", AT(s, uint64_t, u->s))
BOTH(FUSED, sub_ri, "sub", (int64_t)u->imm)
BOTH(FUSED, and_rr, "and", AT(s, uint64_t, u->s))
BOTH(FUSED, and_ri, "and", (int64_t)u->imm)
BOTH(FUSED_ONE, inc, "inc", 0)
BOTH(FUSED_ONE, dec, "dec", 0)

#define ENTRY(name, insn, bits, source, c) [c] = name##_##bits##_##c,
#define ROW(name) {{CONDITIONS(ENTRY, name, , 32, )}, {CONDITIONS(ENTRY, name, , 64, )}}
static UopFn *const table[][2][2][16] = { /* operation; immediate; 64 bits; condition */
    {ROW(add_rr), ROW(add_ri)}, {ROW(sub_rr), ROW(sub_ri)}, {ROW(and_rr), ROW(and_ri)}, {ROW(inc)}, {ROW(dec)},
};

UopFn *exec_fused_alu(unsigned mnemonic, bool imm, unsigned size, unsigned condition)
{
    static const uint16_t order[] = {ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_SUB, ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_INC,
                                     ZYDIS_MNEMONIC_DEC};
    for (unsigned n = 0; n < G_N_ELEMENTS(order) && size >= 4; n++) {
        if (order[n] == mnemonic) {
            return table[n][imm][size == 8][condition];
        }
    }
    return NULL;
}
