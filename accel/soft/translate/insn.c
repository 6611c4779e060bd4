/* Instructions on registers and memory: the guest's own bytes with other registers.
 *
 * Prefixes that count, opcode and immediate are copied; ModRM gets the host's registers, RSI in place of one that has none, or
 * [rax] for memory. */
#include <Zydis/Zydis.h>

#include "accel/soft/translate/translate.h"

/* What an instruction does with flags. */
typedef enum FlagUse {
    FLAGS_UNKNOWN,                      /* not an instruction for here */
    FLAGS_NONE,
    FLAGS_SET,                          /* all of them, whatever they were */
    FLAGS_CARRY,                        /* all but CF, or all but with CF as an operand */
    FLAGS_SOME,                         /* perhaps some: the others stay */
    FLAGS_TEST,                         /* reads them */
} FlagUse;

typedef struct Form {
    uint8_t prefix;                     /* E_* */
    bool extended;                      /* ModRM.reg is a part of the opcode */
    bool byte;
    uint16_t opcode;
    uint8_t reg, rm;                    /* as in the ModRM byte, with REX */
    uint8_t imm[8], imms;
    FlagUse flags;
} Form;

/* ---- Reading the bytes ---- */

static bool is_prefix(uint8_t b)
{
    return b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 || b == 0x64 ||
           b == 0x65 || b == 0xf0;
}

/* Bytes of ModRM, SIB and displacement with addresses of 32 and 64 bits (SDM vol 2 table 2-2). */
static unsigned address_bytes(const uint8_t *modrm)
{
    unsigned mod = modrm[0] >> 6, rm = modrm[0] & 7, n = 1;
    if (mod == 3) {
        return n;
    }
    bool absolute = mod == 0 && rm == 5;
    if (rm == 4) {
        n++;
        absolute = mod == 0 && (modrm[1] & 7) == 5;
    }
    return n + (mod == 1 ? 1 : mod == 2 || absolute ? 4 : 0);
}

static bool is_group(unsigned opcode)
{
    switch (opcode) {
    case 0x80: case 0x81: case 0x83: case 0xc0: case 0xc1: case 0xc6: case 0xc7: case 0xd0: case 0xd1: case 0xd2: case 0xd3:
    case 0xf6: case 0xf7: case 0xfe: case 0xff: case 0x1ba: return true;
    default: return opcode >> 4 == 0x19; /* SETcc */
    }
}

static bool is_byte(const Insn *i)
{
    for (unsigned n = 0; n < i->operands; n++) {
        if (i->op[n].kind != OPERAND_IMM && i->op[n].size == 1) {
            return true;
        }
    }
    return false;
}

static bool has_modrm(unsigned opcode)
{
    if (opcode >> 8) {
        return (opcode & 0xf8) != 0xc8; /* BSWAP */
    }
    return opcode < 0x40 ? (opcode & 7) < 4 : opcode == 0x63 || opcode == 0x69 || opcode == 0x6b || (opcode & 0xf0) == 0x80 ||
                                                  is_group(opcode);
}

/* The opcodes without ModRM that have a longer form with one. */
static bool short_form(const Work *w, Form *f, unsigned rex_b)
{
    unsigned op = f->opcode, group = op >> 3 & 7;
    f->rm = CPU_RAX;
    f->extended = true;
    if (op < 0x40 && (op & 6) == 4) { /* accumulator and immediate */
        f->opcode = op & 1 ? 0x81 : 0x80;
        f->reg = (uint8_t)group;
    } else if (op == 0xa8 || op == 0xa9) {
        f->opcode = op & 1 ? 0xf7 : 0xf6;
        f->reg = 0;
    } else if (op >= 0x40 && op < 0x50 && !w->wide) {
        f->opcode = 0xff;
        f->reg = op >> 3 & 1;
        f->rm = op & 7;
    } else if (op >= 0xb0 && op < 0xc0) { /* MOV */
        f->opcode = op & 8 ? 0xc7 : 0xc6;
        f->reg = 0;
        f->rm = (uint8_t)((op & 7) | rex_b);
    } else if (op > 0x90 && op < 0x98) {
        f->opcode = 0x87;
        f->extended = false;
        f->reg = (uint8_t)((op & 7) | rex_b);
    } else {
        return false;
    }
    return true;
}

/* False: not of a form that can be copied. */
static bool parse(const Work *w, Form *f)
{
    const Insn *i = w->i;
    const uint8_t *p = i->bytes, *end = i->bytes + i->length;
    uint8_t rex = 0;
    for (; p < end && is_prefix(*p); p++) {
        f->prefix |= *p == 0x66 ? E_66 : 0;
    }
    if (w->wide && p < end && (*p & 0xf0) == 0x40) {
        rex = *p++;
    }
    f->prefix |= rex & 8 ? E_W : 0;
    f->prefix &= (uint8_t)(f->prefix & E_W ? ~E_66 : ~0);
    f->prefix |= i->lock ? E_LOCK : 0;
    f->byte = is_byte(i);
    f->opcode = i->opcode == 0x82 ? 0x80 : i->opcode; /* the same, but not in 64-bit code */
    if (i->opcode >> 8 > 1 || i->vex || p + 1 + (i->opcode >> 8) > end) {
        return false;
    }
    p += 1 + (i->opcode >> 8);
    if (has_modrm(f->opcode)) {
        f->reg = (uint8_t)((*p >> 3 & 7) | (rex & 4) << 1);
        f->rm = (uint8_t)((*p & 7) | (rex & 1) << 3);
        f->extended = is_group(f->opcode);
        f->reg &= f->extended ? 7 : 15;
        p += address_bytes(p);
    } else if (!short_form(w, f, (rex & 1u) << 3)) {
        return false;
    }
    f->imms = (uint8_t)(end - p);
    if (p > end || f->imms > sizeof(f->imm)) {
        return false;
    }
    memcpy(f->imm, p, f->imms);
    return true;
}

/* ---- Which instructions ---- */

static bool shift_by_number(const Insn *i, unsigned operand)
{
    uint64_t count = i->imm[0] & (i->op[0].size == 8 ? 63 : 31);
    return i->op[operand].kind == OPERAND_IMM && count && count < 8u * i->op[0].size;
}

static FlagUse flag_use(const Insn *i, uint8_t *prefix)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_XCHG: return FLAGS_NONE;
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_XADD:
    case ZYDIS_MNEMONIC_NEG: return FLAGS_SET;
    case ZYDIS_MNEMONIC_IMUL: return i->operands >= 2 ? FLAGS_SET : FLAGS_UNKNOWN;
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC: return FLAGS_CARRY;
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR: return shift_by_number(i, 1) ? FLAGS_SET : FLAGS_SOME;
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
        return i->op[0].size == 2 ? FLAGS_UNKNOWN : shift_by_number(i, 2) ? FLAGS_SET : FLAGS_SOME;
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR: return FLAGS_SOME;
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        return i->op[0].kind == OPERAND_MEM && i->op[1].kind == OPERAND_REG ? FLAGS_UNKNOWN : FLAGS_SOME;
    case ZYDIS_MNEMONIC_BSF:
    case ZYDIS_MNEMONIC_BSR: return FLAGS_SOME;
    case ZYDIS_MNEMONIC_TZCNT: *prefix |= E_F3; return __builtin_cpu_supports("bmi") ? FLAGS_SET : FLAGS_UNKNOWN;
    case ZYDIS_MNEMONIC_LZCNT: *prefix |= E_F3; return __builtin_cpu_supports("lzcnt") ? FLAGS_SET : FLAGS_UNKNOWN;
    case ZYDIS_MNEMONIC_POPCNT: *prefix |= E_F3; return __builtin_cpu_supports("popcnt") ? FLAGS_SET : FLAGS_UNKNOWN;
    default:
        return i->opcode >> 4 == 0x14 || i->opcode >> 4 == 0x19 ? FLAGS_TEST /* CMOVcc, SETcc */ : FLAGS_UNKNOWN;
    }
}

/* Operands that host instructions cannot have here: AH to BH beside REX, segment and control registers. */
static bool ordinary_operands(const Work *w)
{
    const Insn *i = w->i;
    for (unsigned n = 0; n < i->operands; n++) {
        const Operand *o = &i->op[n];
        if (o->kind == OPERAND_FAR || (o->kind == OPERAND_REG && (o->bank != BANK_GPR || o->high))) {
            return false;
        }
        if (o->kind == OPERAND_MEM && o->size && (o->size > 8 || !work_can_address(w))) {
            return false;
        }
    }
    return true;
}

static const Operand *memory_operand(const Insn *i)
{
    for (unsigned n = 0; n < i->operands; n++) {
        if (i->op[n].kind == OPERAND_MEM) {
            return &i->op[n];
        }
    }
    return NULL;
}

/* ---- Writing ---- */

static void write_form(Work *w, const Form *f, unsigned reg, Rm rm)
{
    emit_op(&w->e, f->prefix | (f->byte ? E_BYTE : 0), f->opcode, reg, rm, f->imms);
    emit_bytes(&w->e, f->imm, f->imms);
}

/* The carry alone, which costs no register. */
static void carry_in(Work *w)
{
    if (!w->host_flags) {
        emit_op(&w->e, E_66, 0x1ba, 4, FIELD(cc), 1); /* bt word, 8 */
        emit_8(&w->e, 8);
    }
}

static void flags_before(Work *w, const Form *f)
{
    if (f->flags == FLAGS_CARRY) {
        carry_in(w);
    } else if (f->flags == FLAGS_TEST || (f->flags == FLAGS_SOME && (w->live || w->i->flags_read))) {
        work_flags_in(w);
    }
}

static void flags_behind(Work *w, const Form *f)
{
    if (f->flags == FLAGS_NONE || f->flags == FLAGS_TEST) {
        return;
    }
    work_flags_made(w);
}

/* What is done to a general register, which two operands may name. */
typedef struct Use {
    bool needed;                        /* something of its old value: it is read, or written in part */
    bool changed;
    bool cleared;                       /* its upper half */
} Use;

static Use register_use(const Insn *i, unsigned reg)
{
    Use u = {0};
    for (unsigned n = 0; n < i->operands; n++) {
        const Operand *o = &i->op[n];
        if (operand_gpr(o) && o->reg == reg) {
            u.needed |= o->read || o->size < 4;
            u.changed |= o->write;
            u.cleared |= o->write && o->size == 4;
        }
    }
    return u;
}

/* The register field: RSI has it meanwhile where no host register does. */
static unsigned reg_begin(Work *w, const Form *f)
{
    if (f->extended) {
        return f->reg;
    }
    unsigned host = translate_host[f->reg];
    if (host == H_NONE) {
        host = H_RSI;
        if (register_use(w->i, f->reg).needed || f->flags == FLAGS_TEST || f->flags == FLAGS_SOME) {
            emit_move(&w->e, E_W, H_RSI, work_home(f->reg));
        }
    }
    return host;
}

static void spare_end(Work *w, unsigned guest, unsigned host, unsigned spare)
{
    if (host == spare && register_use(w->i, guest).changed) {
        emit_store(&w->e, E_W, work_home(guest), spare);
    }
}

static void write_registers(Work *w, const Form *f)
{
    flags_before(w, f);
    unsigned reg = reg_begin(w, f), host = translate_host[f->rm];
    Rm rm = rm_reg(host);
    if (reg == H_RSI && f->reg == f->rm && !f->extended) {
        rm = rm_reg(H_RSI);
    } else if (host == H_NONE && !register_use(w->i, f->rm).cleared && f->flags != FLAGS_SOME) { /* BT would go beyond */
        rm = work_home(f->rm);
    } else if (host == H_NONE) {
        rm = rm_reg(H_RAX);
        emit_move(&w->e, E_W, H_RAX, work_home(f->rm));
    }
    write_form(w, f, reg, rm);
    if (!f->extended) {
        spare_end(w, f->reg, reg, H_RSI);
    }
    if (!rm.memory) {
        spare_end(w, f->rm, rm.base, H_RAX);
    }
    flags_behind(w, f);
}

/* The memory operand by other registers than RAX. */
static Rm memory_by_rsi(Work *w, const Operand *m)
{
    Rm rm = work_memory(w, m->size, m->write, COLD_ALONE);
    if (rm.base == H_RAX) {
        emit_move(&w->e, E_W, H_RSI, rm_reg(H_RAX));
        rm.base = H_RSI;
    }
    return rm;
}

/* Memory, and flags that need RAX. */
static bool write_tested_memory(Work *w, const Form *f, const Operand *m)
{
    if (!f->extended && translate_host[f->reg] == H_NONE) {
        return false;
    }
    Rm rm = memory_by_rsi(w, m);
    flags_before(w, f);
    write_form(w, f, f->extended ? f->reg : translate_host[f->reg], rm);
    flags_behind(w, f);
    return true;
}

static bool write_memory(Work *w, const Form *f, const Operand *m)
{
    if (f->flags == FLAGS_TEST || f->flags == FLAGS_SOME) {
        return write_tested_memory(w, f, m);
    }
    Rm rm = work_memory(w, m->size, m->write, COLD_ALONE);
    unsigned reg = reg_begin(w, f);
    flags_before(w, f);
    write_form(w, f, reg, rm);
    if (!f->extended) {
        spare_end(w, f->reg, reg, H_RSI);
    }
    flags_behind(w, f);
    return true;
}

static bool copied(Work *w)
{
    Form f = {0};
    f.flags = flag_use(w->i, &f.prefix);
    if (f.flags == FLAGS_UNKNOWN || !ordinary_operands(w) || !parse(w, &f)) {
        return false;
    }
    const Operand *m = memory_operand(w->i);
    if (m) {
        return write_memory(w, &f, m);
    }
    write_registers(w, &f);
    return true;
}

/* ---- Those with forms of their own ---- */

/* Into a guest register of `size` bytes, of which 4 clear the upper half. */
static void put_number(Work *w, unsigned reg, unsigned size, uint64_t v)
{
    unsigned host = translate_host[reg];
    if (host == H_NONE) {
        emit_number(&w->e, H_RSI, v);
        emit_store(&w->e, E_W, work_home(reg), H_RSI);
    } else {
        emit_number(&w->e, host, size == 4 ? (uint32_t)v : v);
    }
}

static bool move_number(Work *w)
{
    const Insn *i = w->i;
    unsigned size = i->op[0].size;
    if (i->mnemonic != ZYDIS_MNEMONIC_MOV || !operand_gpr(&i->op[0]) || i->op[1].kind != OPERAND_IMM || size < 4) {
        return false;
    }
    put_number(w, i->op[0].reg, size, size == 4 ? (uint32_t)i->imm[0] : i->imm[0]);
    return true;
}

/* Of whole registers; what is cut to 32 bits, by the address or the register, is zero above. */
static bool address_of(Work *w)
{
    const Insn *i = w->i;
    unsigned size = i->op[0].size, reg = i->op[0].reg, to = translate_host[reg] == H_NONE ? H_RAX : translate_host[reg];
    if (size < 4 || i->address_size < 4) {
        return false;
    }
    work_offset(w, size == 8 && i->address_size == 8 ? E_W : 0, to);
    spare_end(w, reg, to, H_RAX);
    return true;
}

/* CBW, CWDE, CDQE; CWD, CDQ, CQO: by RAX and RDX, whose places are known. */
static bool widened(Work *w)
{
    unsigned rax = translate_host[CPU_RAX], rdx = translate_host[CPU_RDX];
    switch (w->i->mnemonic) {
    case ZYDIS_MNEMONIC_CWDE: emit_op(&w->e, 0, 0x1bf, rax, rm_reg(rax), 0); return true;
    case ZYDIS_MNEMONIC_CDQE: emit_op(&w->e, E_W, 0x63, rax, rm_reg(rax), 0); return true;
    case ZYDIS_MNEMONIC_CDQ:
    case ZYDIS_MNEMONIC_CQO: {
        unsigned width = w->i->mnemonic == ZYDIS_MNEMONIC_CQO ? E_W : 0;
        emit_move(&w->e, width, rdx, rm_reg(rax));
        emit_op(&w->e, width, 0xc1, 7, rm_reg(rdx), 1); /* sar rdx, 31 or 63 */
        emit_8(&w->e, width ? 63 : 31);
        w->host_flags = false;
        return true;
    }
    default: return false;
    }
}

static bool swapped_bytes(Work *w)
{
    const Insn *i = w->i;
    if (i->mnemonic != ZYDIS_MNEMONIC_BSWAP || i->op[0].size < 4) {
        return false;
    }
    unsigned reg = i->op[0].reg, host = translate_host[reg] == H_NONE ? H_RAX : translate_host[reg];
    if (host == H_RAX) {
        emit_move(&w->e, E_W, H_RAX, work_home(reg));
    }
    unsigned rex = (i->op[0].size == 8 ? 8u : 0) | (host >> 3 & 1);
    emit_8(&w->e, 0x40 | rex);
    emit_8(&w->e, 0x0f);
    emit_8(&w->e, 0xc8 | (host & 7));
    spare_end(w, reg, host, H_RAX);
    return true;
}

/* MUL and IMUL with one operand, of 4 and 8 bytes: the product is in RDX:RAX. */
static bool multiplied(Work *w)
{
    const Insn *i = w->i;
    bool is_signed = i->mnemonic == ZYDIS_MNEMONIC_IMUL;
    unsigned size = i->op[0].size;
    if ((i->mnemonic != ZYDIS_MNEMONIC_MUL && !is_signed) || i->operands != 1 || size < 4 || !ordinary_operands(w)) {
        return false;
    }
    unsigned width = size == 8 ? E_W : 0, rax = translate_host[CPU_RAX];
    Rm by = rm_reg(H_RSI);
    if (i->op[0].kind == OPERAND_MEM) {
        emit_move(&w->e, width, H_RSI, work_memory(w, size, false, COLD_ALONE));
    } else {
        by = work_place(i->op[0].reg);
    }
    emit_move(&w->e, E_W, H_RAX, rm_reg(rax));
    emit_op(&w->e, width, 0xf7, is_signed ? 5 : 4, by, 0);
    emit_move(&w->e, E_W, rax, rm_reg(H_RAX));
    Form f = {.flags = FLAGS_SET};
    flags_behind(w, &f);
    return true;
}

/* DIV and IDIV of 4 and 8 bytes that cannot fault: the quotient fits if the upper half is below the divisor, or the dividend
 * is one of single width and the divisor neither 0 nor -1. */
static bool divided(Work *w)
{
    const Insn *i = w->i;
    Emit *e = &w->e;
    bool is_signed = i->mnemonic == ZYDIS_MNEMONIC_IDIV;
    unsigned size = i->op[0].size;
    if ((i->mnemonic != ZYDIS_MNEMONIC_DIV && !is_signed) || size < 4 || !ordinary_operands(w)) {
        return false;
    }
    unsigned width = size == 8 ? E_W : 0, rax = translate_host[CPU_RAX];
    if (i->op[0].kind == OPERAND_MEM) {
        emit_move(e, width, H_RSI, work_memory(w, size, false, COLD_ALONE));
    } else {
        emit_move(e, width, H_RSI, work_place(i->op[0].reg));
    }
    if (is_signed) {
        emit_move(e, width, H_RAX, rm_reg(rax));
        emit_op(e, width, 0xc1, 7, rm_reg(H_RAX), 1); /* sar rax, 31 or 63 */
        emit_8(e, width ? 63 : 31);
        emit_op(e, width, 0x3b, H_RAX, rm_reg(H_RDX), 0);
        work_cold(w, COLD_ALONE, emit_jump_if(e, IF_NE, NULL));
        emit_op(e, width, 0x8d, H_RAX, rm_mem(H_RSI, 1), 0);
        emit_op(e, width, 0x83, 7, rm_reg(H_RAX), 1); /* cmp rax, 1 */
        emit_8(e, 1);
        work_cold(w, COLD_ALONE, emit_jump_if(e, IF_BE, NULL));
    } else {
        emit_op(e, width, 0x3b, H_RDX, rm_reg(H_RSI), 0);
        work_cold(w, COLD_ALONE, emit_jump_if(e, IF_AE, NULL));
    }
    emit_move(e, width, H_RAX, rm_reg(rax));
    emit_op(e, width, 0xf7, is_signed ? 7 : 6, rm_reg(H_RSI), 0);
    emit_move(e, width, rax, rm_reg(H_RAX));
    w->host_flags = false;
    return true;
}

/* CMPXCHG with memory, of which RAX is an operand. */
static bool compared(Work *w)
{
    Form f = {.flags = FLAGS_SET};
    const Operand *m = &w->i->op[0];
    if (w->i->mnemonic != ZYDIS_MNEMONIC_CMPXCHG || m->kind != OPERAND_MEM || !ordinary_operands(w) || !parse(w, &f) ||
        translate_host[f.reg] == H_NONE) {
        return false;
    }
    Rm rm = memory_by_rsi(w, m);
    emit_move(&w->e, E_W, H_RAX, rm_reg(translate_host[CPU_RAX]));
    write_form(w, &f, translate_host[f.reg], rm);
    emit_move(&w->e, E_W, translate_host[CPU_RAX], rm_reg(H_RAX));
    flags_behind(w, &f);
    return true;
}

/* MOVZX of AH to BH, into a register that exists. */
static bool second_byte(Work *w)
{
    const Insn *i = w->i;
    if (i->mnemonic != ZYDIS_MNEMONIC_MOVZX || !operand_gpr(&i->op[1]) || !i->op[1].high || i->op[0].size < 4) {
        return false;
    }
    unsigned to = translate_host[i->op[0].reg];
    if (to == H_NONE) {
        return false;
    }
    emit_op(&w->e, 0, 0x1b7, to, rm_reg(translate_host[i->op[1].reg]), 0); /* movzx to, word */
    emit_op(&w->e, 0, 0xc1, 5, rm_reg(to), 1);
    emit_8(&w->e, 8);
    w->host_flags = false;
    return true;
}

bool translate_explicit(const Insn *i)
{
    uint8_t prefix = 0;
    return flag_use(i, &prefix) != FLAGS_UNKNOWN;
}

bool translate_insn(Work *w)
{
    const Insn *i = w->i;
    if (i->mnemonic == ZYDIS_MNEMONIC_LEA) {
        return address_of(w);
    }
    return move_number(w) || widened(w) || swapped_bytes(w) || multiplied(w) || divided(w) || compared(w) || second_byte(w) ||
           copied(w);
}
