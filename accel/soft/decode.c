/* Decoding, by Zydis: its generous answer cut down to what engines need. */
#include "accel/soft/decode.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "accel/soft/soft.h"

enum { MACHINES = 3, TRAITS = 8 };

static ZydisMachineMode machine_of(unsigned m)
{
    static const ZydisMachineMode modes[MACHINES] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32,
                                                     ZYDIS_MACHINE_MODE_LONG_64};
    return modes[m];
}

static void decoder_make(ZydisDecoder *d, unsigned m, unsigned traits)
{
    ZydisMachineMode mode = machine_of(m);
    ZydisDecoderInit(d, mode, m == 2 ? ZYDIS_STACK_WIDTH_64 : m == 1 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE); /* its instructions are NOPs then, CET's too */
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_LZCNT, !!(traits & DECODE_LZCNT));
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_TZCNT, !!(traits & DECODE_TZCNT));
    ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_AMD_BRANCHES, !!(traits & DECODE_AMD));
}

static const ZydisDecoder *decoder_for(uint32_t mode, unsigned traits)
{
    static ZydisDecoder decoders[MACHINES][TRAITS];
    static gsize made;
    if (g_once_init_enter(&made)) {
        for (unsigned m = 0; m < MACHINES; m++) {
            for (unsigned t = 0; t < TRAITS; t++) {
                decoder_make(&decoders[m][t], m, t);
            }
        }
        g_once_init_leave(&made, 1);
    }
    return &decoders[mode & MODE_SIZE][traits]; /* what real mode does not have is the instructions' own to refuse */
}

static void operand_register(Operand *o, ZydisRegister r)
{
    static const uint8_t banks[] = {
        [ZYDIS_REGCLASS_GPR8] = BANK_GPR, [ZYDIS_REGCLASS_GPR16] = BANK_GPR, [ZYDIS_REGCLASS_GPR32] = BANK_GPR,
        [ZYDIS_REGCLASS_GPR64] = BANK_GPR, [ZYDIS_REGCLASS_SEGMENT] = BANK_SEG, [ZYDIS_REGCLASS_CONTROL] = BANK_CR,
        [ZYDIS_REGCLASS_DEBUG] = BANK_DR, [ZYDIS_REGCLASS_X87] = BANK_ST, [ZYDIS_REGCLASS_MMX] = BANK_MM,
        [ZYDIS_REGCLASS_XMM] = BANK_XMM, [ZYDIS_REGCLASS_YMM] = BANK_YMM,
    };
    ZydisRegisterClass class = ZydisRegisterGetClass(r);
    o->kind = OPERAND_REG;
    o->bank = (unsigned)class < sizeof(banks) && banks[class] ? banks[class] : BANK_OTHER;
    o->reg = (uint8_t)ZydisRegisterGetId(r);
    if (class == ZYDIS_REGCLASS_GPR8) { /* AL CL DL BL AH CH DH BH SPL BPL SIL DIL R8B ... */
        o->high = r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH;
        o->reg = (uint8_t)(o->high                        ? r - ZYDIS_REGISTER_AH
                           : r >= ZYDIS_REGISTER_SPL ? r - ZYDIS_REGISTER_SPL + 4
                                                          : r - ZYDIS_REGISTER_AL);
    }
}

static uint8_t gpr_of(ZydisRegister r)
{
    ZydisRegisterClass class = ZydisRegisterGetClass(r);
    bool gpr = class == ZYDIS_REGCLASS_GPR16 || class == ZYDIS_REGCLASS_GPR32 || class == ZYDIS_REGCLASS_GPR64;
    return gpr ? (uint8_t)ZydisRegisterGetId(r) : NO_REG;
}

static void operand_memory(Insn *out, Operand *o, const ZydisDecodedOperand *z)
{
    MemOperand *m = &out->mem;
    o->kind = OPERAND_MEM;
    if (z->mem.type == ZYDIS_MEMOP_TYPE_AGEN) {
        o->size = 0;
    }
    m->seg = (uint8_t)ZydisRegisterGetId(z->mem.segment);
    m->base = gpr_of(z->mem.base);
    m->index = gpr_of(z->mem.index);
    m->scale = z->mem.scale >= 8 ? 3 : z->mem.scale >= 4 ? 2 : z->mem.scale >= 2 ? 1 : 0;
    m->disp = z->mem.disp.has_displacement ? z->mem.disp.value : 0;
    m->rip_relative = z->mem.base == ZYDIS_REGISTER_RIP || z->mem.base == ZYDIS_REGISTER_EIP;
    if (m->rip_relative) {
        m->disp += (int64_t)(out->rip + out->length);
    }
}

static void operand_from(Insn *out, unsigned n, const ZydisDecodedOperand *z, unsigned *imms)
{
    Operand *o = &out->op[n];
    o->size = (uint16_t)(z->size / 8);
    o->read = z->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    o->write = z->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    switch (z->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: operand_register(o, z->reg.value); break;
    case ZYDIS_OPERAND_TYPE_MEMORY: operand_memory(out, o, z); break;
    case ZYDIS_OPERAND_TYPE_POINTER:
        o->kind = OPERAND_FAR;
        out->imm[0] = z->ptr.offset;
        out->imm[1] = z->ptr.segment;
        *imms = 2;
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        o->kind = OPERAND_IMM;
        o->imm = (uint8_t)MIN(*imms, 1u);
        out->imm[o->imm] = z->imm.is_signed ? (uint64_t)z->imm.value.s : z->imm.value.u;
        if (z->imm.is_relative) {
            uint64_t target = out->rip + out->length + out->imm[o->imm];
            out->imm[o->imm] = out->operand_size == 8   ? target
                               : out->operand_size == 4 ? (uint32_t)target
                                                        : (uint16_t)target;
        }
        ++*imms;
        break;
    default: break;
    }
}

static uint16_t flags_of(ZydisAccessedFlagsMask f)
{
    return (uint16_t)(f & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF));
}

/* Undefined ones that no processor keeps: AF behind logic; any behind a shift by a number that is not 0 (SDM vol 2). */
static uint16_t certainly_lost(const Insn *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_TEST: return FLAG_AF;
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
        return i->op[1].kind == OPERAND_IMM && i->imm[0] & (i->op[0].size == 8 ? 63 : 31)
                   ? FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF
                   : 0;
    default: return 0;
    }
}

/* Flags that an instruction may leave as they were are not "written": a shift by CL of 0, a REP that counts 0. */
static void flags_from(Insn *out, const ZydisDecodedInstruction *z)
{
    if (!z->cpu_flags) {
        return;
    }
    bool may_keep = z->meta.category == ZYDIS_CATEGORY_SHIFT || z->meta.category == ZYDIS_CATEGORY_ROTATE ||
                    z->meta.category == ZYDIS_CATEGORY_STRINGOP || z->mnemonic == ZYDIS_MNEMONIC_SHLD ||
                    z->mnemonic == ZYDIS_MNEMONIC_SHRD;
    out->flags_read = flags_of(z->cpu_flags->tested);
    if (!may_keep) {
        out->flags_written = flags_of(z->cpu_flags->modified | z->cpu_flags->set_0 | z->cpu_flags->set_1);
    }
    out->flags_written |= certainly_lost(out);
}

/* String operations, XLAT and MASKMOV address memory by registers that they do not encode; a prefix still names the segment. */
static uint8_t segment_prefix(uint64_t attributes)
{
    static const struct {
        uint64_t attribute;
        uint8_t seg;
    } prefixes[] = {{ZYDIS_ATTRIB_HAS_SEGMENT_CS, SEG_CS}, {ZYDIS_ATTRIB_HAS_SEGMENT_SS, SEG_SS},
                    {ZYDIS_ATTRIB_HAS_SEGMENT_DS, SEG_DS}, {ZYDIS_ATTRIB_HAS_SEGMENT_ES, SEG_ES},
                    {ZYDIS_ATTRIB_HAS_SEGMENT_FS, SEG_FS}, {ZYDIS_ATTRIB_HAS_SEGMENT_GS, SEG_GS}};
    for (unsigned i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        if (attributes & prefixes[i].attribute) {
            return prefixes[i].seg;
        }
    }
    return SEG_DS;
}

static void insn_from(Insn *out, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops, const uint8_t *bytes,
                      uint64_t rip)
{
    memset(out, 0, sizeof(*out));
    out->rip = rip;
    out->length = z->length;
    memcpy(out->bytes, bytes, z->length);
    out->mnemonic = (uint16_t)z->mnemonic;
    out->isa_set = (uint16_t)z->meta.isa_set;
    out->operand_size = (uint8_t)(z->operand_width / 8);
    out->address_size = (uint8_t)(z->address_width / 8);
    out->lock = z->attributes & ZYDIS_ATTRIB_HAS_LOCK;
    out->rep = z->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE);
    out->repne = z->attributes & ZYDIS_ATTRIB_HAS_REPNE;
    out->vex = z->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    out->opcode = (uint16_t)(z->opcode_map << 8 | z->opcode);
    out->modrm = z->attributes & ZYDIS_ATTRIB_HAS_MODRM ? bytes[z->raw.modrm.offset] : 0;
    out->mem.base = out->mem.index = NO_REG;
    out->mem.seg = segment_prefix(z->attributes);
    out->operands = MIN(z->operand_count_visible, INSN_OPERANDS);
    unsigned imms = 0;
    for (unsigned n = 0; n < out->operands; n++) {
        operand_from(out, n, &ops[n], &imms);
    }
    flags_from(out, z);
    /* Zydis 4.0 takes a SIB byte's "no base" for R13 when REX.B is set and the address size overridden. */
    if (out->modrm && (out->modrm & 0xc7) == 4 && out->address_size != 2 && z->raw.sib.base == 5) {
        out->mem.base = NO_REG;
        out->mem.disp = z->raw.disp.value;
    }
}

DecodeResult insn_decode_as(Insn *out, const uint8_t *bytes, size_t len, uint32_t mode, uint64_t rip, unsigned traits)
{
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZyanStatus status = ZydisDecoderDecodeFull(decoder_for(mode, traits), bytes, len, &z, ops);
    if (ZYAN_SUCCESS(status)) {
        if (z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX || z.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX ||
            z.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP || z.encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW) {
            return DECODE_BAD;
        }
        insn_from(out, &z, ops, bytes, rip);
        return DECODE_OK;
    }
    return status == ZYDIS_STATUS_NO_MORE_DATA             ? DECODE_SHORT
           : status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? DECODE_LONG
                                                           : DECODE_BAD;
}

bool insn_decode(Insn *out, const uint8_t *bytes, size_t len, uint32_t mode, uint64_t rip)
{
    return insn_decode_as(out, bytes, len, mode, rip, DECODE_LZCNT | DECODE_TZCNT) == DECODE_OK;
}
