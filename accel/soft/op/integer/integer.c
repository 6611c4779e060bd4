/* The general-purpose instructions: which C function does which. Forms that the interpreter has micro-ops for
 * come here only for comparison; what it has none for is done by these. */
#include "accel/soft/op/integer/integer.h"

#include <Zydis/Zydis.h>

Prefixes insn_prefixes(const SoftCpu *s, const Insn *i)
{
    Prefixes p = {.seg = SEG_DS};
    bool in_64 = code_64(s);
    for (unsigned n = 0; n < i->length; n++) {
        uint8_t b = i->bytes[n];
        switch (b) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
            if (!in_64) {               /* there they mean nothing, and do not cancel FS and GS */
                p.seg = (uint8_t)(SEG_ES + (b >> 3 & 3));
            }
            break;
        case 0x64:
        case 0x65:
            p.seg = (uint8_t)(SEG_FS + (b & 1));
            break;
        case 0x66:
        case 0x67:
        case 0xf0:
            break;
        case 0xf2:
        case 0xf3:
            p.rep = b == 0xf3;
            p.repne = b == 0xf2;
            break;
        default:
            if (!in_64 || (b & 0xf0) != 0x40) {
                return p;
            }
        }
    }
    return p;
}

#define M(name) ZYDIS_MNEMONIC_##name
#define CONDITIONS(name, flags, fn)                                                                 \
    {M(name##O), flags, fn}, {M(name##NO), flags, fn},                                              \
    {M(name##B), flags, fn}, {M(name##NB), flags, fn},                                              \
    {M(name##Z), flags, fn}, {M(name##NZ), flags, fn},                                              \
    {M(name##BE), flags, fn}, {M(name##NBE), flags, fn},                                            \
    {M(name##S), flags, fn}, {M(name##NS), flags, fn},                                              \
    {M(name##P), flags, fn}, {M(name##NP), flags, fn},                                              \
    {M(name##L), flags, fn}, {M(name##NL), flags, fn},                                              \
    {M(name##LE), flags, fn}, {M(name##NLE), flags, fn}

const Op ops_integer[] = {
    {M(ADD), 0, op_add}, {M(OR), 0, op_or}, {M(ADC), 0, op_adc}, {M(SBB), 0, op_sbb}, {M(AND), 0, op_and},
    {M(SUB), 0, op_sub}, {M(XOR), 0, op_xor}, {M(CMP), 0, op_cmp}, {M(TEST), 0, op_test}, {M(INC), 0, op_inc},
    {M(DEC), 0, op_dec}, {M(NEG), 0, op_neg}, {M(NOT), 0, op_not}, {M(ADCX), 0, op_adcx}, {M(ADOX), 0, op_adox},

    {M(XCHG), 0, op_xchg}, {M(XADD), 0, op_xadd}, {M(CMPXCHG), 0, op_cmpxchg}, {M(CMPXCHG8B), 0, op_cmpxchg8b},
    {M(CMPXCHG16B), 0, op_cmpxchg16b},

    {M(SHL), 0, op_shl}, {M(SHR), 0, op_shr}, {M(SAR), 0, op_sar}, {M(ROL), 0, op_rol}, {M(ROR), 0, op_ror},
    {M(RCL), 0, op_rcl}, {M(RCR), 0, op_rcr}, {M(SHLD), 0, op_shld}, {M(SHRD), 0, op_shrd},
    {M(RORX), 0, op_rorx}, {M(SARX), 0, op_sarx}, {M(SHLX), 0, op_shlx}, {M(SHRX), 0, op_shrx},

    {M(MUL), 0, op_mul}, {M(IMUL), 0, op_imul}, {M(DIV), 0, op_div}, {M(IDIV), 0, op_idiv},
    {M(MULX), 0, op_mulx},

    {M(BT), 0, op_bt}, {M(BTS), 0, op_bts}, {M(BTR), 0, op_btr}, {M(BTC), 0, op_btc}, {M(BSF), 0, op_bsf},
    {M(BSR), 0, op_bsr}, {M(TZCNT), 0, op_tzcnt}, {M(LZCNT), 0, op_lzcnt}, {M(POPCNT), 0, op_popcnt},
    {M(CRC32), 0, op_crc32},

    {M(ANDN), 0, op_andn}, {M(BEXTR), 0, op_bextr}, {M(BLSI), 0, op_blsi}, {M(BLSMSK), 0, op_blsmsk},
    {M(BLSR), 0, op_blsr}, {M(BZHI), 0, op_bzhi}, {M(PDEP), 0, op_pdep}, {M(PEXT), 0, op_pext},

    {M(AAA), 0, op_aaa}, {M(AAS), 0, op_aas}, {M(DAA), 0, op_daa}, {M(DAS), 0, op_das}, {M(AAM), 0, op_aam},
    {M(AAD), 0, op_aad},

    /* What of MOV and POP has no micro-op loads a segment, control or debug register: OP_END is for those. */
    {M(MOV), OP_END, op_mov}, {M(MOVZX), 0, op_movzx}, {M(MOVSX), 0, op_movsx}, {M(MOVSXD), 0, op_movsx},
    {M(LEA), 0, op_lea}, {M(XLAT), 0, op_xlat}, {M(CBW), 0, op_cbw}, {M(CWDE), 0, op_cbw}, {M(CDQE), 0, op_cbw},
    {M(CWD), 0, op_cwd}, {M(CDQ), 0, op_cwd}, {M(CQO), 0, op_cwd}, {M(BSWAP), 0, op_bswap},
    {M(MOVBE), 0, op_movbe}, {M(MOVNTI), 0, op_movnti}, {M(MOVDIRI), 0, op_movdiri},
    CONDITIONS(CMOV, 0, op_cmov), CONDITIONS(SET, 0, op_setcc),

    {M(LAHF), 0, op_lahf}, {M(SAHF), 0, op_sahf}, {M(CLC), 0, op_clc}, {M(STC), 0, op_stc}, {M(CMC), 0, op_cmc},
    {M(CLD), 0, op_cld}, {M(STD), 0, op_std}, {M(SALC), 0, op_salc},

    {M(PUSH), 0, op_push}, {M(POP), OP_END, op_pop}, {M(PUSHA), 0, op_pusha}, {M(PUSHAD), 0, op_pusha},
    {M(POPA), 0, op_popa}, {M(POPAD), 0, op_popa}, {M(ENTER), 0, op_enter}, {M(LEAVE), 0, op_leave},

    {M(CALL), OP_END, op_call}, {M(JMP), OP_END, op_jmp}, {M(RET), OP_END, op_ret},
    CONDITIONS(J, OP_END, op_jcc), {M(JCXZ), OP_END, op_jcxz}, {M(JECXZ), OP_END, op_jcxz},
    {M(JRCXZ), OP_END, op_jcxz}, {M(LOOP), OP_END, op_loop}, {M(LOOPE), OP_END, op_loope}, {M(LOOPNE), OP_END, op_loopne}, {M(BOUND), 0, op_bound},

    {M(NOP), 0, op_nop}, {M(ENDBR32), 0, op_nop}, {M(ENDBR64), 0, op_nop}, {M(RDSSPD), 0, op_nop},
    {M(RDSSPQ), 0, op_nop}, {M(CLDEMOTE), 0, op_nop}, {M(PREFETCH), 0, op_nop}, {M(PREFETCHW), 0, op_nop},
    {M(PREFETCHWT1), 0, op_nop}, {M(PREFETCHNTA), 0, op_nop}, {M(PREFETCHT0), 0, op_nop},
    {M(PREFETCHT1), 0, op_nop},
    {M(PREFETCHT2), 0, op_nop}, {M(SFENCE), 0, op_fence_sse}, {M(LFENCE), 0, op_fence_sse2},
    {M(MFENCE), 0, op_fence_sse2}, {M(SERIALIZE), OP_END, op_serialize}, {M(RDRAND), 0, op_rdrand},
    {M(RDSEED), 0, op_rdseed},
    {0},
};
