/* Private to op/integer*.c and op/string.c: the general-purpose instructions. */
#ifndef ACCEL_SOFT_OP_INTEGER_H
#define ACCEL_SOFT_OP_INTEGER_H

#include "accel/soft/soft.h"

/* ---- Arithmetic with the host's own flags ----
 * *cc has the format of SoftCpu.cc, in and out.  Operands need not be cut to `size`, results are not. */
typedef uint64_t AluFn(unsigned size, uint64_t a, uint64_t b, uint16_t *cc);
AluFn alu_add, alu_or, alu_adc, alu_sbb, alu_and, alu_sub, alu_xor, alu_inc, alu_dec, alu_neg, alu_not;
AluFn alu_xchg;                         /* the second operand, flags kept */

enum { CC_OF = 1 << 0, CC_CF = 1 << 8, CC_PF = 1 << 10, CC_AF = 1 << 12, CC_ZF = 1 << 14, CC_SF = 1 << 15 };
_Static_assert(CC_CF == FLAG_CF << 8 && CC_ZF == FLAG_ZF << 8 && CC_SF == FLAG_SF << 8, "as LAHF leaves them");

/* SF, ZF, PF of a result, and no other flag. */
uint16_t cc_of(unsigned size, uint64_t v);
static inline void cc_set(uint16_t *cc, uint16_t flag, bool on)
{
    *cc = (uint16_t)(on ? *cc | flag : *cc & ~flag);
}

/* The condition that the low four bits of Jcc, SETcc and CMOVcc encode (SDM vol 1 appendix B). */
static inline bool cc_test(uint16_t cc, unsigned code)
{
    bool less = !(cc & CC_SF) != !(cc & CC_OF), r;
    switch (code >> 1 & 7) {
    case 0:
        r = cc & CC_OF;
        break;
    case 1:
        r = cc & CC_CF;
        break;
    case 2:
        r = cc & CC_ZF;
        break;
    case 3:
        r = cc & (CC_CF | CC_ZF);
        break;
    case 4:
        r = cc & CC_SF;
        break;
    case 5:
        r = cc & CC_PF;
        break;
    case 6:
        r = less;
        break;
    default:
        r = less || cc & CC_ZF;
        break;
    }
    return r != (code & 1);
}

static inline int64_t sign_extend(uint64_t v, unsigned size)
{
    unsigned shift = 64 - 8 * size;
    return (int64_t)(v << shift) >> shift;
}

/* ---- Read, modify, write ---- */
/* Operand 0 becomes fn(operand 0, src); with LOCK in one piece. Returns what it was. Flags are changed last. */
uint64_t operand_update(SoftCpu *s, const Insn *i, AluFn *fn, uint64_t src);
/* The same of memory at an address that has passed the segment's checks, always in one piece. */
uint64_t memory_update(SoftCpu *s, uint64_t linear, unsigned size, AluFn *fn, uint64_t src, uint16_t *cc);

/* ---- Features ---- */
enum {
    FEATURE_CX8 = FEATURE(WORD_1_EDX, 8), FEATURE_CMOV = FEATURE(WORD_1_EDX, 15),
    FEATURE_SSE2 = FEATURE(WORD_1_EDX, 26),
    FEATURE_CX16 = FEATURE(WORD_1_ECX, 13), FEATURE_SSE42 = FEATURE(WORD_1_ECX, 20),
    FEATURE_MOVBE = FEATURE(WORD_1_ECX, 22), FEATURE_POPCNT = FEATURE(WORD_1_ECX, 23),
    FEATURE_RDRAND = FEATURE(WORD_1_ECX, 30),
    FEATURE_BMI1 = FEATURE(WORD_7_0_EBX, 3), FEATURE_BMI2 = FEATURE(WORD_7_0_EBX, 8),
    FEATURE_RDSEED = FEATURE(WORD_7_0_EBX, 18), FEATURE_ADX = FEATURE(WORD_7_0_EBX, 19),
    FEATURE_MOVDIRI = FEATURE(WORD_7_0_ECX, 27), FEATURE_SERIALIZE = FEATURE(WORD_7_0_EDX, 14),
    FEATURE_LAHF_LM = FEATURE(WORD_8000_0001_ECX, 0), FEATURE_ABM = FEATURE(WORD_8000_0001_ECX, 5),
};
static inline bool cpu_has(const SoftCpu *s, unsigned feature) { return model_has(s->cpu.model, feature); }
static inline void require(SoftCpu *s, unsigned feature)
{
    if (!cpu_has(s, feature)) {
        soft_fault(s, EXC_UD);
    }
}
/* VEX-encoded general-purpose instructions exist in protected mode only (SDM vol 2 table 2-29, type 13). */
static inline void require_vex(SoftCpu *s, unsigned feature)
{
    require(s, feature);
    if (!(s->mode & MODE_PROTECTED)) {
        soft_fault(s, EXC_UD);
    }
}
static inline bool code_64(const SoftCpu *s) { return (s->mode & MODE_SIZE) == MODE_64; }

/* ---- Prefixes that apply to operands which Insn does not show (strings, XLAT) ---- */
typedef struct Prefixes {
    uint8_t seg;                        /* SEG_*: the override, or SEG_DS */
    bool rep, repne;                    /* the last of F3H and F2H        */
} Prefixes;
Prefixes insn_prefixes(const SoftCpu *s, const Insn *i);

/* A near branch to here is permitted, or #GP(0). */
void branch_check(SoftCpu *s, uint64_t target);

/* Random bits for RDRAND and RDSEED: the one source of them. */
uint64_t soft_random(SoftCpu *s);

/* ---- The instructions, by file ---- */
/* integer-alu.c */
OpFn op_add, op_or, op_adc, op_sbb, op_and, op_sub, op_xor, op_cmp, op_test, op_inc, op_dec, op_neg, op_not;
OpFn op_adcx, op_adox;
/* integer-atomic.c */
OpFn op_xchg, op_xadd, op_cmpxchg, op_cmpxchg8b, op_cmpxchg16b;
/* integer-shift.c */
OpFn op_shl, op_shr, op_sar, op_rol, op_ror, op_rcl, op_rcr, op_shld, op_shrd;
OpFn op_rorx, op_sarx, op_shlx, op_shrx;
/* integer-multiply.c */
OpFn op_mul, op_imul, op_div, op_idiv, op_mulx;
/* integer-bits.c */
OpFn op_bt, op_bts, op_btr, op_btc, op_bsf, op_bsr, op_tzcnt, op_lzcnt, op_popcnt, op_crc32;
/* integer-bmi.c */
OpFn op_andn, op_bextr, op_blsi, op_blsmsk, op_blsr, op_bzhi, op_pdep, op_pext;
/* integer-bcd.c */
OpFn op_aaa, op_aas, op_daa, op_das, op_aam, op_aad;
/* integer-move.c */
OpFn op_mov, op_movzx, op_movsx, op_lea, op_xlat, op_cmov, op_setcc, op_cbw, op_cwd, op_bswap, op_movbe;
OpFn op_movnti, op_movdiri;
/* integer-flags.c */
OpFn op_lahf, op_sahf, op_clc, op_stc, op_cmc, op_cld, op_std, op_salc;
OpFn op_nop, op_fence_sse, op_fence_sse2, op_serialize, op_rdrand, op_rdseed;
/* integer-stack.c */
OpFn op_push, op_pop, op_pusha, op_popa, op_enter, op_leave;
/* integer-near-flow.c */
OpFn op_call, op_jmp, op_ret, op_jcc, op_jcxz, op_loop, op_loope, op_loopne, op_bound;

/* ---- Forms of MOV, PUSH and POP that others do: an operand is in BANK_SEG, BANK_CR, BANK_DR ---- */
OpFn op_mov_sreg, op_push_sreg, op_pop_sreg;    /* segment.c */
OpFn op_mov_cr, op_mov_dr;                      /* system.h  */

#endif
