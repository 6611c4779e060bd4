/* Taking vector instructions apart and putting them together again for the host.
 *
 * Opcode, prefixes and immediates stay byte for byte; only what names the memory operand goes, and what
 * 64-bit code would take for more than 16 and 32-bit code does (SDM vol 2 §2.3: VEX fields outside 64-bit
 * mode).  So encodings that an assembler would never choose work as well as others. */
#include <Zydis/Zydis.h>
#include <string.h>

#include "accel/soft/borrow/code.h"

typedef struct Bytes {
    const Insn *insn;
    unsigned at;
} Bytes;

static uint8_t bytes_next(Bytes *b)
{
    return b->at < b->insn->length ? b->insn->bytes[b->at++] : 0;
}

static void parse_rex(VecCode *c, uint8_t rex)
{
    c->w = rex >> 3 & 1;
    c->r = rex >> 2 & 1;
    c->b = rex & 1;
    c->vsib_index = (uint8_t)((rex >> 1 & 1) << 3);
}

/* Up to and without the opcode map; a REX prefix counts only right before that. */
static void parse_prefixes(VecCode *c, Bytes *b, bool long_mode)
{
    uint8_t rex = 0;
    for (; b->at < b->insn->length; b->at++) {
        uint8_t v = b->insn->bytes[b->at];
        switch (v) {
        case 0x66: c->prefix66 = v; break;
        case 0xf2:
        case 0xf3: c->prefix_rep = v; break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x67:
        case 0xf0: break;
        default:
            if (long_mode && (v & 0xf0) == 0x40) {
                rex = v;
                continue;
            }
            parse_rex(c, rex);
            return;
        }
        rex = 0;
    }
}

static bool parse_vex(VecCode *c, Bytes *b, bool long_mode)
{
    uint8_t lead = bytes_next(b), first = bytes_next(b), last = first;
    c->map = 1;
    if (lead == 0xc4) {
        last = bytes_next(b);
        c->map = first & 0x1f;
        c->w = last >> 7;
        c->b = !(first & 0x20);
        c->vsib_index = first & 0x40 ? 0 : 8;
    } else if (lead != 0xc5) {
        return false;
    }
    c->r = !(first & 0x80);
    c->vvvv = (uint8_t)(~last >> 3 & 0xf);
    c->l = last >> 2 & 1;
    c->pp = last & 3;
    if (!long_mode) {
        c->r = c->b = false;
        c->vsib_index = 0;
        c->vvvv &= 7;
    }
    return c->map >= 1 && c->map <= 3;
}

static bool parse_map(VecCode *c, Bytes *b, bool long_mode)
{
    if (c->vex) {
        return parse_vex(c, b, long_mode);
    }
    if (bytes_next(b) != 0x0f) {
        return false;
    }
    uint8_t second = b->at < b->insn->length ? b->insn->bytes[b->at] : 0;
    c->map = second == 0x38 ? 2 : second == 0x3a ? 3 : 1;
    b->at += c->map != 1;
    return true;
}

/* ModRM, SIB and displacement (SDM vol 2 §2.1.5). */
static void parse_modrm(VecCode *c, Bytes *b)
{
    unsigned address_size = b->insn->address_size;
    c->modrm = bytes_next(b);
    unsigned mod = c->modrm >> 6, rm = c->modrm & 7;
    c->memory = mod != 3;
    if (!c->memory) {
        return;
    }
    unsigned disp = mod == 1 ? 1 : mod == 2 ? (address_size == 2 ? 2 : 4) : 0;
    if (address_size == 2) {
        disp = mod == 0 && rm == 6 ? 2 : disp;
    } else {
        uint8_t sib = rm == 4 ? bytes_next(b) : 0;
        c->vsib_index |= sib >> 3 & 7;
        disp = mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5)) ? 4 : disp;
    }
    b->at += disp;
    c->b = false;
    c->modrm = (uint8_t)((c->modrm & 0x38) | 6); /* [rsi] */
}

/* VEX.W that only picks a 64-bit general register is ignored outside 64-bit mode. */
static bool w_is_for_gpr(const VecCode *c)
{
    switch (c->map << 8 | c->opcode) {
    case 0x12a:
    case 0x12c:
    case 0x12d: /* VCVTSI2SS, VCVT(T)SS2SI and those of SD */
    case 0x16e:
    case 0x17e: /* VMOVD, VMOVQ */
    case 0x316:
    case 0x322: /* VPEXTRD, VPINSRD */
    case 0x360:
    case 0x361: return true; /* VPCMPESTRx */
    default: return false;
    }
}

/* VEX has registers in bits 7-4 of an immediate: VBLENDVPS, VBLENDVPD, VPBLENDVB and FMA4. */
static bool imm_names_register(const VecCode *c)
{
    return c->map == 3 && ((c->opcode >= 0x4a && c->opcode <= 0x4c) || (c->opcode >= 0x5c && c->opcode <= 0x5f) ||
                           (c->opcode >= 0x68 && c->opcode <= 0x7f));
}

bool vec_parse(VecCode *c, const Insn *i, uint32_t mode)
{
    bool long_mode = (mode & MODE_SIZE) == MODE_64;
    Bytes b = {i, 0};
    memset(c, 0, sizeof(*c));
    c->vex = i->vex;
    parse_prefixes(c, &b, long_mode);
    if (!parse_map(c, &b, long_mode)) {
        return false;
    }
    c->opcode = bytes_next(&b);
    c->has_modrm = c->map != 1 || c->opcode != 0x77; /* EMMS, VZEROUPPER */
    if (c->has_modrm) {
        parse_modrm(c, &b);
    }
    if (b.at > i->length || i->length - b.at > sizeof(c->imm)) {
        return false;
    }
    while (b.at < i->length) {
        c->imm[c->imms++] = bytes_next(&b);
    }
    if (c->vex && !long_mode) {
        c->w &= !w_is_for_gpr(c);
        c->imm[0] &= imm_names_register(c) ? 0x7f : 0xff;
    }
    return true;
}

unsigned vec_encode(const VecCode *c, uint8_t out[VEC_CODE_MAX])
{
    uint8_t *p = out;
    if (c->vex) {
        *p++ = 0xc4;
        *p++ = (uint8_t)((c->r ? 0 : 0x80) | 0x40 | (c->b ? 0 : 0x20) | c->map);
        *p++ = (uint8_t)(c->w << 7 | (~c->vvvv & 0xf) << 3 | c->l << 2 | c->pp);
    } else {
        if (c->prefix66) {
            *p++ = c->prefix66;
        }
        if (c->prefix_rep) {
            *p++ = c->prefix_rep;
        }
        if (c->w || c->r || c->b) {
            *p++ = (uint8_t)(0x40 | c->w << 3 | c->r << 2 | c->b);
        }
        *p++ = 0x0f;
        if (c->map > 1) {
            *p++ = c->map == 2 ? 0x38 : 0x3a;
        }
    }
    *p++ = c->opcode;
    if (c->has_modrm) {
        *p++ = c->modrm;
    }
    for (unsigned n = 0; n < c->imms; n++) {
        *p++ = c->imm[n];
    }
    return (unsigned)(p - out);
}

/* ---- What it does ---- */
static bool info_gpr(VecInfo *n, const ZydisDecodedOperand *o, bool read, bool write)
{
    unsigned reg = (unsigned)ZydisRegisterGetId(o->reg.value);
    switch (o->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG: n->gpr_field = GPR_FIELD_REG; break;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM: n->gpr_field = GPR_FIELD_RM; break;
    default:
        n->string_lengths |= read && (reg == CPU_RAX || reg == CPU_RDX);
        n->string_index |= write && reg == CPU_RCX;
        return read ? reg == CPU_RAX || reg == CPU_RDX : reg == CPU_RCX;
    }
    n->gpr = (uint8_t)reg;
    n->gpr_read = read;
    n->gpr_write = write;
    return true;
}

static bool info_register(VecInfo *n, const ZydisDecodedOperand *o)
{
    bool read = o->actions & ZYDIS_OPERAND_ACTION_MASK_READ, write = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    unsigned reg = (unsigned)ZydisRegisterGetId(o->reg.value);
    switch (ZydisRegisterGetClass(o->reg.value)) {
    case ZYDIS_REGCLASS_XMM:
        n->xmm_read |= (uint16_t)(read << reg);
        n->xmm_write |= (uint16_t)(write << reg);
        return reg < 16;
    case ZYDIS_REGCLASS_YMM:
        n->ymm_read |= (uint16_t)(read << reg);
        n->ymm_write |= (uint16_t)(write << reg);
        return reg < 16;
    case ZYDIS_REGCLASS_MMX:
        n->mm_read |= (uint8_t)(read << reg);
        n->mm_write |= (uint8_t)(write << reg);
        n->transition = true;
        return true;
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64: return info_gpr(n, o, read, write);
    case ZYDIS_REGCLASS_FLAGS: n->flags |= write; return !read;
    default: return o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
    }
}

static bool info_operand(VecInfo *n, const ZydisDecodedOperand *o)
{
    switch (o->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: return info_register(n, o);
    case ZYDIS_OPERAND_TYPE_IMMEDIATE: return true;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        n->mem_size = (uint16_t)(o->size / 8);
        n->mem_read = o->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
        n->mem_write = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        return o->mem.type == ZYDIS_MEMOP_TYPE_MEM && o->mem.base == ZYDIS_REGISTER_RSI && n->mem_size > 0 &&
               n->mem_size <= 32;
    default: return false;
    }
}

/* SDM vol 2 §2.4: legacy SSE wants 16-byte operands aligned, save a few; VEX only the moves that say so. */
static uint16_t info_align(const VecInfo *n, ZydisMnemonic mnemonic, bool vex)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM: return 1;
    case ZYDIS_MNEMONIC_VMOVAPS:
    case ZYDIS_MNEMONIC_VMOVAPD:
    case ZYDIS_MNEMONIC_VMOVDQA:
    case ZYDIS_MNEMONIC_VMOVNTPS:
    case ZYDIS_MNEMONIC_VMOVNTPD:
    case ZYDIS_MNEMONIC_VMOVNTDQ:
    case ZYDIS_MNEMONIC_VMOVNTDQA: return n->mem_size;
    default: return !vex && n->mem_size == 16 ? 16 : 1;
    }
}

static bool isa_can_be_borrowed(ZydisISASet isa)
{
    switch (isa) {
    case ZYDIS_ISA_SET_PENTIUMMMX:
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSE2:
    case ZYDIS_ISA_SET_SSE2MMX:
    case ZYDIS_ISA_SET_SSE3:
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX:
    case ZYDIS_ISA_SET_SSE4:
    case ZYDIS_ISA_SET_SSE42:
    case ZYDIS_ISA_SET_SSE4A:
    case ZYDIS_ISA_SET_AES:
    case ZYDIS_ISA_SET_PCLMULQDQ:
    case ZYDIS_ISA_SET_SHA:
    case ZYDIS_ISA_SET_GFNI:
    case ZYDIS_ISA_SET_AVX:
    case ZYDIS_ISA_SET_AVX2:
    case ZYDIS_ISA_SET_AVXAES:
    case ZYDIS_ISA_SET_AVX_GFNI:
    case ZYDIS_ISA_SET_AVX_VNNI:
    case ZYDIS_ISA_SET_FMA:
    case ZYDIS_ISA_SET_FMA4:
    case ZYDIS_ISA_SET_F16C:
    case ZYDIS_ISA_SET_VAES:
    case ZYDIS_ISA_SET_VPCLMULQDQ: return true;
    default: return false;
    }
}

/* SDM vol 2 §2.4: exception classes 2, 3 and 11 are those of floating-point arithmetic; the conversions
 * from and to MMX registers are in none of them. */
static bool info_fp(const ZydisDecodedInstructionMeta *m)
{
    switch (m->exception_class) {
    case ZYDIS_EXCEPTION_CLASS_SSE2:
    case ZYDIS_EXCEPTION_CLASS_SSE3:
    case ZYDIS_EXCEPTION_CLASS_AVX2:
    case ZYDIS_EXCEPTION_CLASS_AVX3:
    case ZYDIS_EXCEPTION_CLASS_AVX11: return true;
    default:
        return m->category == ZYDIS_CATEGORY_CONVERT || m->isa_set == ZYDIS_ISA_SET_FMA ||
               m->isa_set == ZYDIS_ISA_SET_FMA4;
    }
}

/* General instructions that came with vector extensions; others do them. */
static bool is_general(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_CRC32:
    case ZYDIS_MNEMONIC_POPCNT:
    case ZYDIS_MNEMONIC_SFENCE:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_PAUSE:
    case ZYDIS_MNEMONIC_VLDMXCSR:
    case ZYDIS_MNEMONIC_VSTMXCSR: return true;
    default: return false;
    }
}

bool vec_info(VecInfo *n, const VecCode *c)
{
    uint8_t bytes[VEC_CODE_MAX];
    unsigned length = vec_encode(c, bytes);
    ZydisDecoder decoder;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    memset(n, 0, sizeof(*n));
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &z, ops)) || z.length != length ||
        !isa_can_be_borrowed(z.meta.isa_set) || is_general(z.mnemonic)) {
        return false;
    }
    for (unsigned k = 0; k < z.operand_count; k++) {
        if (!info_operand(n, &ops[k])) {
            return false;
        }
    }
    n->align = info_align(n, z.mnemonic, c->vex);
    n->fp = info_fp(&z.meta);
    /* Legacy instructions leave what they do not write of a register; to be sure of each, its old value
     * is loaded. */
    n->xmm_read |= c->vex ? 0 : n->xmm_write;
    return c->memory == (n->mem_size != 0);
}
