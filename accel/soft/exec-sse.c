/* The commonest SSE instructions without the detour of a stub: the same instruction on the host, its operands where CpuState or
 * guest memory has them.  Legacy encodings, with every exception masked (MODE_MXCSR goes by stubs). */
#include <Zydis/Zydis.h>

#include "accel/soft/uop.h"

#define XMM_OFFSET(n) ((uint16_t)(offsetof(SoftCpu, cpu.state.fpu.xmm) + 16 * (n)))

static __attribute__((noinline, cold)) const void *read_slowly(SoftCpu *s, const Uop *u, uint64_t ea, unsigned size, bool aligned)
{
    s->cur = u;
    s->insn_rip = s->rip_base + u->ip;
    if (aligned && ea & 15) {
        soft_fault_error(s, EXC_GP, 0);
    }
    soft_read(s, ea, s->buffer, size);
    return s->buffer;
}

static inline __attribute__((always_inline)) const void *operand(SoftCpu *s, const Uop *u, unsigned size, bool aligned)
{
    uint64_t ea = uop_ea(s, u, u->disp);
    const void *p = tlb_hit(s->load, ea, size);
    return G_LIKELY(p && !(aligned && ea & 15)) ? p : read_slowly(s, u, ea, size, aligned);
}

/* ---- destination = destination OP source ---- */

#define BODY2(move, insn, source)                                                                                      \
    __asm__ volatile(move " (%[d]), %%xmm0\n\t" insn " (%[s]), %%xmm0\n\t" move " %%xmm0, (%[d])"                       \
                     :                                                                                                 \
                     : [d] "r"(&AT(s, char, u->d)), [s] "r"(source)                                                    \
                     : "xmm0", "memory")
#define OP2(name, insn, move, bytes)                                                                                   \
    static const Uop *name##_rr(SoftCpu *s, const Uop *u)                                                              \
    {                                                                                                                  \
        BODY2(move, #insn, &AT(s, char, u->s));                                                                        \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *name##_rm(SoftCpu *s, const Uop *u)                                                              \
    {                                                                                                                  \
        const void *p = operand(s, u, bytes, bytes == 16);                                                             \
        BODY2(move, #insn, p);                                                                                         \
        NEXT(s, u);                                                                                                    \
    }
/* CVTSI2SD and the like: nothing of the destination is read, what is not written stays. */
#define BODY1(insn, move, source)                                                                                      \
    __asm__ volatile("pxor %%xmm0, %%xmm0\n\t" insn " (%[s]), %%xmm0\n\t" move " %%xmm0, (%[d])"                        \
                     :                                                                                                 \
                     : [d] "r"(&AT(s, char, u->d)), [s] "r"(source)                                                    \
                     : "xmm0", "memory")
#define OP1(name, insn, move, bytes, out)                                                                              \
    static const Uop *name##_rr(SoftCpu *s, const Uop *u)                                                              \
    {                                                                                                                  \
        BODY1(#insn, move, &AT(s, char, u->s));                                                                        \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *name##_rm(SoftCpu *s, const Uop *u)                                                              \
    {                                                                                                                  \
        const void *p = operand(s, u, bytes, false);                                                                   \
        BODY1(#insn, move, p);                                                                                         \
        NEXT(s, u);                                                                                                    \
    }
/* CVTTSD2SI and the like, into a general register. */
#define BODY_GPR(insn, source)                                                                                         \
    do {                                                                                                               \
        uint64_t v_ = 0;                                                                                               \
        __asm__ volatile(insn : [v] "=r"(v_) : [s] "r"(source) : "memory");                                            \
        AT(s, uint64_t, u->d) = v_;                                                                                    \
    } while (0)
#define OP_GPR(name, insn, bytes)                                                                                      \
    static const Uop *name##_rr(SoftCpu *s, const Uop *u)                                                              \
    {                                                                                                                  \
        BODY_GPR(insn, &AT(s, char, u->s));                                                                            \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *name##_rm(SoftCpu *s, const Uop *u)                                                              \
    {                                                                                                                  \
        const void *p = operand(s, u, bytes, false);                                                                   \
        BODY_GPR(insn, p);                                                                                             \
        NEXT(s, u);                                                                                                    \
    }
#define BODY_COMPARE(move, insn, source)                                                                               \
    do {                                                                                                               \
        uint16_t ax_;                                                                                                  \
        __asm__ volatile(move " (%[d]), %%xmm0\n\t" insn " (%[s]), %%xmm0\n\tlahf\n\tseto %%al"                         \
                         : "=&a"(ax_)                                                                                  \
                         : [d] "r"(&AT(s, char, u->d)), [s] "r"(source)                                                \
                         : "xmm0", "cc", "memory");                                                                    \
        s->cc = ax_;                                                                                                   \
    } while (0)
#define COMPARE(name, insn, move, bytes)                                                                               \
    static const Uop *name##_rr(SoftCpu *s, const Uop *u)                                                              \
    {                                                                                                                  \
        BODY_COMPARE(move, #insn, &AT(s, char, u->s));                                                                 \
        NEXT(s, u);                                                                                                    \
    }                                                                                                                  \
    static const Uop *name##_rm(SoftCpu *s, const Uop *u)                                                              \
    {                                                                                                                  \
        const void *p = operand(s, u, bytes, false);                                                                   \
        BODY_COMPARE(move, #insn, p);                                                                                  \
        NEXT(s, u);                                                                                                    \
    }

#define FLOATING(X) X(add, ADD) X(sub, SUB) X(mul, MUL) X(div, DIV) X(min, MIN) X(max, MAX)
#define FLOAT_FORMS(insn, NAME)                                                                                        \
    OP2(insn##ss, insn##ss, "movss", 4)                                                                                \
    OP2(insn##sd, insn##sd, "movsd", 8)                                                                                \
    OP2(insn##ps, insn##ps, "movaps", 16)                                                                              \
    OP2(insn##pd, insn##pd, "movaps", 16)
FLOATING(FLOAT_FORMS)
OP1(sqrtss, sqrtss, "movss", 4, 4)
OP1(sqrtsd, sqrtsd, "movsd", 8, 8)
OP1(cvtss2sd, cvtss2sd, "movsd", 4, 8)
OP1(cvtsd2ss, cvtsd2ss, "movss", 8, 4)
OP1(cvtsi2sd_32, cvtsi2sdl, "movsd", 4, 8)
OP1(cvtsi2sd_64, cvtsi2sdq, "movsd", 8, 8)
OP1(cvtsi2ss_32, cvtsi2ssl, "movss", 4, 4)
OP1(cvtsi2ss_64, cvtsi2ssq, "movss", 8, 4)
OP_GPR(cvttsd2si_32, "cvttsd2si (%[s]), %k[v]", 8)
OP_GPR(cvttsd2si_64, "cvttsd2si (%[s]), %q[v]", 8)
OP_GPR(cvttss2si_32, "cvttss2si (%[s]), %k[v]", 4)
OP_GPR(cvttss2si_64, "cvttss2si (%[s]), %q[v]", 4)
COMPARE(ucomiss, ucomiss, "movss", 4)
COMPARE(ucomisd, ucomisd, "movsd", 8)
COMPARE(comiss, comiss, "movss", 4)
COMPARE(comisd, comisd, "movsd", 8)

/* Whole registers, without exceptions: right in strict mode too. */
#define PACKED(X)                                                                                                      \
    X(pxor, PXOR) X(por, POR) X(pand, PAND) X(pandn, PANDN) X(xorps, XORPS) X(andps, ANDPS) X(orps, ORPS)              \
    X(andnps, ANDNPS) X(xorpd, XORPD) X(andpd, ANDPD) X(orpd, ORPD) X(andnpd, ANDNPD) X(paddb, PADDB) X(paddw, PADDW)  \
    X(paddd, PADDD) X(paddq, PADDQ) X(psubb, PSUBB) X(psubw, PSUBW) X(psubd, PSUBD) X(psubq, PSUBQ)                    \
    X(pcmpeqb, PCMPEQB) X(pcmpeqw, PCMPEQW) X(pcmpeqd, PCMPEQD) X(pcmpgtb, PCMPGTB) X(pcmpgtd, PCMPGTD)                \
    X(pminub, PMINUB) X(pmaxub, PMAXUB) X(punpcklbw, PUNPCKLBW) X(punpckldq, PUNPCKLDQ) X(punpcklqdq, PUNPCKLQDQ)      \
    X(punpckhdq, PUNPCKHDQ) X(punpckhqdq, PUNPCKHQDQ) X(unpcklpd, UNPCKLPD) X(unpckhpd, UNPCKHPD) X(pmuludq, PMULUDQ)  \
    X(pmullw, PMULLW) X(unpcklps, UNPCKLPS)
#define PACKED_FORM(insn, NAME) OP2(insn, insn, "movaps", 16)
PACKED(PACKED_FORM)

/* ---- Lowering ---- */

typedef struct Sse {
    uint16_t mnemonic;
    uint8_t gpr_size;                   /* of the general register that takes part; 0: none, or memory of that size */
    uint8_t bytes;                      /* of the memory operand */
    bool rounds;                        /* MXCSR matters */
    UopFn *rr, *rm;
} Sse;

#define FLOAT_ROWS(insn, NAME)                                                                                         \
    {ZYDIS_MNEMONIC_##NAME##SS, 0, 4, true, insn##ss_rr, insn##ss_rm},                                                 \
    {ZYDIS_MNEMONIC_##NAME##SD, 0, 8, true, insn##sd_rr, insn##sd_rm},                                                 \
    {ZYDIS_MNEMONIC_##NAME##PS, 0, 16, true, insn##ps_rr, insn##ps_rm},                                                \
    {ZYDIS_MNEMONIC_##NAME##PD, 0, 16, true, insn##pd_rr, insn##pd_rm},
#define PACKED_ROW(insn, NAME) {ZYDIS_MNEMONIC_##NAME, 0, 16, false, insn##_rr, insn##_rm},
#define ROW(NAME, size, bytes, fn) {ZYDIS_MNEMONIC_##NAME, size, bytes, true, fn##_rr, fn##_rm},
static const Sse table[] = {
    FLOATING(FLOAT_ROWS)
    PACKED(PACKED_ROW)
    ROW(SQRTSS, 0, 4, sqrtss) ROW(SQRTSD, 0, 8, sqrtsd) ROW(CVTSS2SD, 0, 4, cvtss2sd) ROW(CVTSD2SS, 0, 8, cvtsd2ss)
    ROW(CVTSI2SD, 4, 4, cvtsi2sd_32) ROW(CVTSI2SD, 8, 8, cvtsi2sd_64)
    ROW(CVTSI2SS, 4, 4, cvtsi2ss_32) ROW(CVTSI2SS, 8, 8, cvtsi2ss_64)
    ROW(CVTTSD2SI, 4, 8, cvttsd2si_32) ROW(CVTTSD2SI, 8, 8, cvttsd2si_64)
    ROW(CVTTSS2SI, 4, 4, cvttss2si_32) ROW(CVTTSS2SI, 8, 4, cvttss2si_64)
    ROW(UCOMISS, 0, 4, ucomiss) ROW(UCOMISD, 0, 8, ucomisd) ROW(COMISS, 0, 4, comiss) ROW(COMISD, 0, 8, comisd)
};

static const Sse *sse_find(const Insn *i, unsigned gpr_size)
{
    for (unsigned n = 0; n < G_N_ELEMENTS(table); n++) {
        if (table[n].mnemonic == i->mnemonic && table[n].gpr_size == gpr_size) {
            return &table[n];
        }
    }
    return NULL;
}

static bool is_vector(const Operand *o)
{
    return o->kind == OPERAND_REG && o->bank == BANK_XMM;
}

/* Size of the integer side of a conversion: a general register, or what CVTSI2SD loads. */
static unsigned integer_size(const Insn *i)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    bool from = i->mnemonic == ZYDIS_MNEMONIC_CVTSI2SD || i->mnemonic == ZYDIS_MNEMONIC_CVTSI2SS;
    return operand_gpr(a) ? a->size : from ? b->size : 0;
}

static uint16_t place(const Operand *o)
{
    return is_vector(o) ? XMM_OFFSET(o->reg) : operand_offset(o);
}

bool lower_sse(Lowering *l, const Insn *i)
{
    const Operand *a = &i->op[0], *b = &i->op[1];
    if (i->vex || i->operands != 2 || !(is_vector(a) || is_vector(b) || b->kind == OPERAND_MEM) ||
        (b->kind == OPERAND_REG && b->bank == BANK_MM) || (a->kind == OPERAND_REG && a->bank == BANK_MM)) {
        return false;
    }
    const Sse *e = sse_find(i, integer_size(i));
    if (!e || (e->rounds && l->mode & MODE_MXCSR)) {
        return false;
    }
    UopAddress at;
    bool memory = b->kind == OPERAND_MEM;
    if (memory && !lower_address(l, i, &at, e->bytes, false)) {
        return false;
    }
    Uop *u = lower_new(l, i, memory ? e->rm : e->rr);
    if (memory) {
        uop_address(u, &at);
    } else {
        u->s = place(b);
    }
    u->d = place(a);
    return true;
}
