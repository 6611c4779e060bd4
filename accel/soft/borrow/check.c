/* Which vector and x87 instructions mode and CPUID let run, and what the host's CPUID can lend. */
#include <Zydis/Zydis.h>
#include <cpuid.h>

#include "accel/soft/borrow/code.h"

typedef enum Rule {
    RULE_NONE,                          /* general: CPUID alone                                     */
    RULE_SSE,                           /* EM: #UD; OSFXSR 0: #UD; TS: #NM                          */
    RULE_VEX,                           /* protected mode, OSXSAVE, XCR0: else #UD; TS: #NM         */
    RULE_VEX_GPR,                       /* protected mode, else #UD                                 */
    RULE_MMX,                           /* EM: #UD; TS: #NM                                         */
    RULE_X87,                           /* EM or TS: #NM; FWAIT: TS and MP                          */
    RULE_NEVER,
} Rule;

/* SDM vol 2 §2.4 tables 2-18 to 2-29 (VEX), vol 3 §23.25.3 (legacy SIMD), vol 1 table 11-3; APM vol 3
 * appendix D. */
typedef struct Need {
    uint8_t rule;
    uint16_t feature, feature2;         /* FEATURE(); both needed.  0: none */
} Need;

#define F1D(bit) FEATURE(WORD_1_EDX, bit)
#define F1C(bit) FEATURE(WORD_1_ECX, bit)
#define F7B(bit) FEATURE(WORD_7_0_EBX, bit)
#define F7C(bit) FEATURE(WORD_7_0_ECX, bit)
#define FXC(bit) FEATURE(WORD_8000_0001_ECX, bit)
#define ISA(name) ZYDIS_ISA_SET_##name

enum { HAS_MMX = F1D(23), HAS_SSE = F1D(25), HAS_SSE2 = F1D(26), HAS_MMXEXT = FEATURE(WORD_8000_0001_EDX, 22) };

static const Need needs[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
    [ISA(X87)] = {RULE_X87},
    [ISA(FCMOV)] = {RULE_X87, F1D(15)},
    [ISA(SSE3X87)] = {RULE_X87, F1C(0)},
    [ISA(PENTIUMMMX)] = {RULE_MMX, HAS_MMX},
    [ISA(AMD3DNOW)] = {RULE_MMX, FEATURE(WORD_8000_0001_EDX, 31)},
    [ISA(SSE)] = {RULE_SSE, HAS_SSE},
    [ISA(SSEMXCSR)] = {RULE_SSE, HAS_SSE},
    [ISA(SSE2)] = {RULE_SSE, HAS_SSE2},
    [ISA(SSE2MMX)] = {RULE_SSE, HAS_SSE2},
    [ISA(SSE3)] = {RULE_SSE, F1C(0)},
    [ISA(SSSE3)] = {RULE_SSE, F1C(9)},
    [ISA(SSSE3MMX)] = {RULE_SSE, F1C(9)},
    [ISA(SSE4)] = {RULE_SSE, F1C(19)},
    [ISA(SSE42)] = {RULE_SSE, F1C(20)},
    [ISA(SSE4A)] = {RULE_SSE, FXC(6)},
    [ISA(AES)] = {RULE_SSE, F1C(25)},
    [ISA(PCLMULQDQ)] = {RULE_SSE, F1C(1)},
    [ISA(SHA)] = {RULE_SSE, F7B(29)},
    [ISA(GFNI)] = {RULE_SSE, F7C(8)},
    [ISA(AVX)] = {RULE_VEX, FEATURE_AVX},
    [ISA(AVX2)] = {RULE_VEX, F7B(5)},
    [ISA(AVX2GATHER)] = {RULE_VEX, F7B(5)},
    [ISA(AVXAES)] = {RULE_VEX, FEATURE_AVX, F1C(25)},
    [ISA(AVX_GFNI)] = {RULE_VEX, FEATURE_AVX, F7C(8)},
    [ISA(AVX_VNNI)] = {RULE_VEX, FEATURE(WORD_7_1_EAX, 4)},
    [ISA(FMA)] = {RULE_VEX, F1C(12)},
    [ISA(FMA4)] = {RULE_VEX, FXC(16)},
    [ISA(F16C)] = {RULE_VEX, F1C(29)},
    [ISA(VAES)] = {RULE_VEX, FEATURE_AVX, F7C(9)},
    [ISA(VPCLMULQDQ)] = {RULE_VEX, FEATURE_AVX, F7C(10)},
    [ISA(BMI1)] = {RULE_VEX_GPR, F7B(3)},
    [ISA(BMI2)] = {RULE_VEX_GPR, F7B(8)},
    [ISA(ADOX_ADCX)] = {RULE_NONE, F7B(19)},
    [ISA(CET)] = {RULE_NONE, F7C(7)},
    [ISA(CLFLUSHOPT)] = {RULE_NONE, F7B(23)},
    [ISA(CLFSH)] = {RULE_NONE, FEATURE_CLFLUSH},
    [ISA(CLWB)] = {RULE_NONE, F7B(24)},
    [ISA(CLZERO)] = {RULE_NONE, FEATURE(WORD_8000_0008_EBX, 0)},
    [ISA(CMOV)] = {RULE_NONE, F1D(15)},
    [ISA(CMPXCHG16B)] = {RULE_NONE, F1C(13)},
    [ISA(FXSAVE)] = {RULE_X87, FEATURE_FXSR},
    [ISA(FXSAVE64)] = {RULE_X87, FEATURE_FXSR},
    [ISA(INVPCID)] = {RULE_NONE, F7B(10)},
    [ISA(MONITOR)] = {RULE_NONE, FEATURE_MONITOR},
    [ISA(MONITORX)] = {RULE_NONE, FXC(29)},
    [ISA(MOVBE)] = {RULE_NONE, F1C(22)},
    [ISA(PKU)] = {RULE_NONE, FEATURE_PKU},
    [ISA(POPCNT)] = {RULE_NONE, F1C(23)},
    [ISA(RDPID)] = {RULE_NONE, FEATURE_RDPID},
    [ISA(RDPRU)] = {RULE_NONE, FEATURE(WORD_8000_0008_EBX, 4)},
    [ISA(RDRAND)] = {RULE_NONE, F1C(30)},
    [ISA(RDSEED)] = {RULE_NONE, F7B(18)},
    [ISA(RDTSCP)] = {RULE_NONE, FEATURE_RDTSCP},
    [ISA(RDWRFSGS)] = {RULE_NONE, FEATURE_FSGSBASE},
    [ISA(RTM)] = {RULE_NONE, FEATURE_RTM},
    [ISA(SERIALIZE)] = {RULE_NONE, FEATURE(WORD_7_0_EDX, 14)},
    [ISA(SMAP)] = {RULE_NONE, FEATURE_SMAP},
    [ISA(TBM)] = {RULE_NONE, FXC(21)},
    [ISA(WAITPKG)] = {RULE_NONE, FEATURE_WAITPKG},
    [ISA(XSAVE)] = {RULE_NONE, FEATURE_XSAVE},
    [ISA(XSAVEC)] = {RULE_NONE, FEATURE(WORD_XSAVE, 1)},
    [ISA(XSAVEOPT)] = {RULE_NONE, FEATURE(WORD_XSAVE, 0)},
    [ISA(XSAVES)] = {RULE_NONE, FEATURE_XSAVES},
    [ISA(XOP)] = {RULE_NEVER},
    [ISA(LWP)] = {RULE_NEVER},
    [ISA(AMX_BF16)] = {RULE_NEVER},
    [ISA(AMX_INT8)] = {RULE_NEVER},
    [ISA(AMX_TILE)] = {RULE_NEVER},
};

/* MMX instructions that SSE added, and AMD before it (APM vol 3: MmxExt). */
static bool is_mmx_extension(const Insn *i)
{
    switch (i->opcode & 0xff) {
    case 0x70:
    case 0xc4:
    case 0xc5:
    case 0xd7:
    case 0xda:
    case 0xde:
    case 0xe0:
    case 0xe3:
    case 0xe4:
    case 0xe7:
    case 0xea:
    case 0xee:
    case 0xf6:
    case 0xf7: return i->opcode >> 8 == ZYDIS_OPCODE_MAP_0F;
    default: return false;
    }
}

static bool uses_bank(const Insn *i, unsigned bank)
{
    for (unsigned n = 0; n < i->operands; n++) {
        if (i->op[n].kind == OPERAND_REG && i->op[n].bank == bank) {
            return true;
        }
    }
    return false;
}

/* Those that the ISA set alone does not tell. */
static Need need_of(const Insn *i)
{
    Need n = i->isa_set <= ZYDIS_ISA_SET_MAX_VALUE ? needs[i->isa_set] : (Need){RULE_NEVER};
    if (i->isa_set >= ISA(AVX512BW_128) && i->isa_set <= ISA(AVX512_VPOPCNTDQ_512)) {
        n.rule = RULE_NEVER;
    }
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_TZCNT: return (Need){RULE_NONE};        /* BSF without BMI1: the decoder has seen to it */
    case ZYDIS_MNEMONIC_MOVNTI:
    case ZYDIS_MNEMONIC_SFENCE:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_CRC32:
    case ZYDIS_MNEMONIC_POPCNT: n.rule = RULE_NONE; return n;
    case ZYDIS_MNEMONIC_PAUSE: return (Need){RULE_NONE};
    case ZYDIS_MNEMONIC_VPCLMULQDQ:
        n.feature2 = i->isa_set == ISA(AVX) ? F1C(1) : n.feature2;
        return n;
    case ZYDIS_MNEMONIC_MOVDIRI: return (Need){RULE_NONE, F7C(27)};
    case ZYDIS_MNEMONIC_MOVDIR64B: return (Need){RULE_NONE, F7C(28)};
    case ZYDIS_MNEMONIC_ENDBR32:
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_RDSSPD:
    case ZYDIS_MNEMONIC_RDSSPQ: return (Need){RULE_NONE};       /* NOPs without CET */
    default: break;
    }
    /* OSFXSR is for what touches XMM registers; SDM vol 3 tables 23-4 to 23-9. */
    if (n.rule == RULE_SSE && uses_bank(i, BANK_MM) && !uses_bank(i, BANK_XMM)) {
        n.rule = RULE_MMX;
    }
    return n;
}

static bool has(const SoftCpu *s, unsigned feature)
{
    return !feature || !s->cpu.model || model_has(s->cpu.model, feature);
}

static BorrowCheck check_rule(Rule rule, const Insn *i, uint32_t mode)
{
    BorrowCheck ts = mode & MODE_FPU_TS ? BORROW_NM : BORROW_OK;
    switch (rule) {
    case RULE_NONE: return BORROW_OK;
    case RULE_SSE: return (mode & MODE_FPU_EM) || !(mode & MODE_SSE) ? BORROW_UD : ts;
    case RULE_MMX: return mode & MODE_FPU_EM ? BORROW_UD : ts;
    case RULE_VEX: return !(mode & MODE_PROTECTED) || !(mode & MODE_AVX) ? BORROW_UD : ts;
    case RULE_VEX_GPR: return mode & MODE_PROTECTED ? BORROW_OK : BORROW_UD;
    case RULE_X87:
        if (i->mnemonic == ZYDIS_MNEMONIC_FWAIT) {
            return mode & MODE_FPU_MP ? ts : BORROW_OK;
        }
        return mode & MODE_FPU_EM ? BORROW_NM : ts;
    default: return BORROW_UD;
    }
}

BorrowCheck borrow_check(const SoftCpu *s, const Insn *i, uint32_t mode)
{
    Need n = need_of(i);
    if (!has(s, n.feature) || !has(s, n.feature2)) {
        return BORROW_UD;
    }
    if (i->isa_set == ISA(PENTIUMMMX) && is_mmx_extension(i) && !has(s, HAS_SSE) && !has(s, HAS_MMXEXT)) {
        return BORROW_UD;
    }
    bool lahf = i->mnemonic == ZYDIS_MNEMONIC_LAHF || i->mnemonic == ZYDIS_MNEMONIC_SAHF;
    if (lahf && (mode & MODE_SIZE) == MODE_64 && !has(s, FXC(0))) {
        return BORROW_UD;
    }
    return check_rule(n.rule, i, mode);
}

/* ---- What the host can lend ---- */
typedef struct Lend {
    uint32_t leaf, subleaf;
    int reg;
    uint32_t always, with_avx;          /* the second: only where the host's system keeps YMM registers */
} Lend;

static const Lend lends[] = {
    {1, 0, 3, 1u << 23 | 1u << 25 | 1u << 26, 0},                                       /* MMX SSE SSE2 */
    {1, 0, 2, 1u << 0 | 1u << 1 | 1u << 9 | 1u << 19 | 1u << 20 | 1u << 25,             /* SSE3 PCLMULQDQ SSSE3 SSE4 AES */
     1u << 12 | 1u << 28 | 1u << 29},                                                   /* FMA AVX F16C */
    {7, 0, 1, 1u << 29, 1u << 5},                                                       /* SHA; AVX2 */
    {7, 0, 2, 1u << 8, 1u << 9 | 1u << 10},                                             /* GFNI; VAES VPCLMULQDQ */
    {7, 1, 0, 0, 1u << 4},                                                              /* AVX-VNNI */
    {0x80000001, 0, 3, 1u << 22 | 1u << 23, 0},                                         /* MMXEXT MMX */
    {0x80000001, 0, 2, 1u << 6, 1u << 16},                                              /* SSE4A; FMA4 */
};

static bool host_keeps_ymm(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) { /* OSXSAVE */
        return false;
    }
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & (XSTATE_SSE | XSTATE_AVX)) == (XSTATE_SSE | XSTATE_AVX);
}

static uint32_t host_register(const Lend *l)
{
    uint32_t r[4];
    if (l->subleaf && (!__get_cpuid_count(l->leaf, 0, &r[0], &r[1], &r[2], &r[3]) || r[0] < l->subleaf)) {
        return 0;
    }
    return __get_cpuid_count(l->leaf, l->subleaf, &r[0], &r[1], &r[2], &r[3]) ? r[l->reg] : 0;
}

uint64_t borrow_supported(uint32_t leaf, uint32_t subleaf, int reg, uint64_t bits)
{
    for (size_t k = 0; k < G_N_ELEMENTS(lends); k++) {
        const Lend *l = &lends[k];
        if (l->leaf == leaf && l->subleaf == subleaf && l->reg == reg) {
            return bits & host_register(l) & (l->always | (host_keeps_ymm() ? l->with_avx : 0));
        }
    }
    return 0;
}
