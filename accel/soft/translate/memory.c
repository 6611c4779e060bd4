/* Guest memory: looked for in the tables, once for all accesses of a block that are near to one another.
 *
 * A window is a range of bytes around a register of which one look-up has told that all of it is within one page of plain
 * memory, and where that is.  While the register keeps its value, or moves by known steps as the stack pointer does, accesses
 * within the range are made directly.  Whatever may change translations closes it: what is done by micro-ops. */
#include <Zydis/Zydis.h>

#include "accel/soft/translate/translate.h"

enum { WINDOW_MOST = 1024 /* bytes */, WORD = 8 };

/* ---- One access ---- */

bool work_can_address(const Work *w)
{
    const Insn *i = w->i;
    if (w->wide) {
        return i->address_size == 8;
    }
    unsigned seg = i->mem.seg, mode = w->b->mode;
    return i->address_size == 4 && ((seg == SEG_SS && mode & MODE_FLAT_STACK) ||
                                    ((seg == SEG_DS || seg == SEG_ES) && mode & MODE_FLAT_DATA));
}

/* A guest register that a host instruction can name, if need be by way of `spare`. */
static unsigned in_register(Work *w, unsigned reg, unsigned spare)
{
    if (reg == NO_REG || translate_host[reg] != H_NONE) {
        return reg == NO_REG ? H_NONE : translate_host[reg];
    }
    emit_move(&w->e, E_W, spare, work_home(reg));
    return spare;
}

void work_offset(Work *w, unsigned width, unsigned to)
{
    const MemOperand *m = &w->i->mem;
    w->constant = m->rip_relative || (m->base == NO_REG && m->index == NO_REG);
    if (w->constant) {
        w->address = width ? (uint64_t)m->disp : (uint32_t)m->disp;
        emit_number(&w->e, to, w->address);
        return;
    }
    Rm rm = {.memory = true, .scale = m->scale, .disp = (int32_t)m->disp};
    rm.base = (uint8_t)in_register(w, m->base, H_RAX);
    rm.index = (uint8_t)in_register(w, m->index, H_RSI);
    if (rm.index == H_NONE && !rm.disp) {
        emit_move(&w->e, width, to, rm_reg(rm.base));
    } else {
        emit_op(&w->e, width, 0x8d, to, rm, 0);
    }
}

static void work_address(Work *w)
{
    const MemOperand *m = &w->i->mem;
    work_offset(w, w->wide ? E_W : 0, H_RAX);
    if (w->wide && (m->seg == SEG_FS || m->seg == SEG_GS)) {
        size_t base = offsetof(SoftCpu, cpu.state.seg) + m->seg * sizeof(Segment) + offsetof(Segment, base);
        emit_op(&w->e, E_W, 0x03, H_RAX, work_field(base), 0);
        w->constant = false;
        w->host_flags = false;
    }
}

static void work_probe(Work *w, unsigned size, bool write, ColdKind kind)
{
    _Static_assert(sizeof(TlbEntry) == 16 && TLB_SIZE == 4096, "how an address finds its entry");
    Emit *e = &w->e;
    size_t slot = 0;
    if (w->constant) {
        slot = (w->address >> 12 & (TLB_SIZE - 1)) * sizeof(TlbEntry);
        emit_move(e, E_W, H_RSI, write ? FIELD(store) : FIELD(load));
    } else {
        emit_move(e, 0, H_RSI, rm_reg(H_RAX));
        emit_op(e, 0, 0xc1, 5, rm_reg(H_RSI), 1); /* shr esi, 8 */
        emit_8(e, 12 - 4);
        emit_op(e, 0, 0x81, 4, rm_reg(H_RSI), 4); /* and esi, ... */
        emit_32(e, (TLB_SIZE - 1) << 4);
        emit_op(e, E_W, 0x03, H_RSI, write ? FIELD(store) : FIELD(load), 0);
    }
    emit_op(e, E_W, 0x2b, H_RAX, rm_mem(H_RSI, slot + offsetof(TlbEntry, tag)), 0);
    emit_8(e, 0x48); /* cmp rax, ... */
    emit_8(e, 0x3d);
    emit_32(e, 4096 - size);
    work_cold(w, kind, emit_jump_if(e, IF_A, NULL));
    emit_op(e, E_W, 0x03, H_RAX, rm_mem(H_RSI, slot + offsetof(TlbEntry, host)), 0);
    w->host_flags = false;
}

/* ---- What instructions do to a register ---- */

typedef enum Effect { EFFECT_KEEP, EFFECT_MOVE, EFFECT_LOSE } Effect;

/* Those that change no register but what their operands tell. */
static bool explicit_only(const Insn *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_LEA:
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_BSWAP:
    case ZYDIS_MNEMONIC_JMP: return true;
    default: return insn_is_jcc(i) || !insn_op(i) || translate_explicit(i);
    }
}

static bool takes_rax(const Insn *i, bool *rdx)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_CDQ:
    case ZYDIS_MNEMONIC_CQO:
    case ZYDIS_MNEMONIC_MUL:
    case ZYDIS_MNEMONIC_IMUL:
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV: *rdx = true; return true;
    case ZYDIS_MNEMONIC_CDQE:
    case ZYDIS_MNEMONIC_CWDE:
    case ZYDIS_MNEMONIC_CMPXCHG: return true;
    default: return false;
    }
}

static bool writes(const Insn *i, unsigned reg)
{
    for (unsigned n = 0; n < i->operands; n++) {
        if (i->op[n].kind == OPERAND_REG && i->op[n].bank == BANK_GPR && i->op[n].reg == reg && i->op[n].write) {
            return true;
        }
    }
    return false;
}

/* ADD, SUB, INC, DEC, LEA by a number. */
static bool steps(const Insn *i, unsigned reg, int64_t *by)
{
    const Operand *a = &i->op[0];
    bool number = i->op[1].kind == OPERAND_IMM;
    if (!operand_gpr(a) || a->reg != reg || a->size != 8) {
        return false;
    }
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_ADD: *by = (int64_t)i->imm[0]; return number;
    case ZYDIS_MNEMONIC_SUB: *by = -(int64_t)i->imm[0]; return number;
    case ZYDIS_MNEMONIC_INC: *by = 1; return true;
    case ZYDIS_MNEMONIC_DEC: *by = -1; return true;
    case ZYDIS_MNEMONIC_LEA:
        *by = i->mem.disp;
        return i->mem.base == reg && i->mem.index == NO_REG && i->address_size == 8;
    default: return false;
    }
}

static Effect effect(const Insn *i, unsigned reg, int64_t *by)
{
    bool stack = i->mnemonic == ZYDIS_MNEMONIC_PUSH || i->mnemonic == ZYDIS_MNEMONIC_POP, rdx = false;
    if (stack) {
        bool popped = i->mnemonic == ZYDIS_MNEMONIC_POP && writes(i, reg);
        *by = i->mnemonic == ZYDIS_MNEMONIC_PUSH ? -WORD : WORD;
        return popped || i->operand_size != WORD ? EFFECT_LOSE : reg == CPU_RSP ? EFFECT_MOVE : EFFECT_KEEP;
    }
    if (takes_rax(i, &rdx)) {
        return reg == CPU_RAX || (rdx && reg == CPU_RDX) || writes(i, reg) ? EFFECT_LOSE : EFFECT_KEEP;
    }
    if (!explicit_only(i)) {
        return EFFECT_LOSE;
    }
    if (!writes(i, reg)) {
        return EFFECT_KEEP;
    }
    return steps(i, reg, by) && *by >= -WINDOW_MOST && *by <= WINDOW_MOST ? EFFECT_MOVE : EFFECT_LOSE;
}

/* ---- Windows ---- */

typedef struct Access {
    int64_t disp;
    unsigned size;
    bool write;
} Access;

/* The access of an instruction by `reg` and a number. */
static bool access_by(const Insn *i, unsigned reg, Access *a)
{
    bool returns = i->mnemonic == ZYDIS_MNEMONIC_RET || i->mnemonic == ZYDIS_MNEMONIC_POP;
    for (unsigned n = 0; n < i->operands; n++) {
        const Operand *o = &i->op[n];
        if (o->kind == OPERAND_MEM && o->size && o->size <= 32 && i->mem.base == reg && i->mem.index == NO_REG &&
            i->mem.seg != SEG_FS && i->mem.seg != SEG_GS && i->address_size == 8) {
            *a = (Access){i->mem.disp, o->size, o->write};
            return true;
        }
    }
    if (reg == CPU_RSP && (returns || i->mnemonic == ZYDIS_MNEMONIC_PUSH || i->mnemonic == ZYDIS_MNEMONIC_CALL)) {
        *a = (Access){returns ? 0 : -WORD, WORD, !returns};
        return true;
    }
    *a = (Access){0, WORD, false};
    return reg == CPU_RBP && i->mnemonic == ZYDIS_MNEMONIC_LEAVE;
}

/* The accesses by `reg` from here on, as long as its value is known by the present one. */
static unsigned look_ahead(const Work *w, unsigned reg, int64_t *low, int64_t *high, bool *write)
{
    int64_t moved = 0, by = 0;
    unsigned n = 0;
    for (unsigned k = 0; k < w->left; k++) {
        const Insn *i = w->i + k;
        Access a;
        if (access_by(i, reg, &a)) {
            int64_t from = MIN(*low, moved + a.disp), to = MAX(*high, moved + a.disp + a.size);
            if (n && to - from > WINDOW_MOST) {
                break;
            }
            *low = n ? from : moved + a.disp;
            *high = n ? to : moved + a.disp + a.size;
            *write |= a.write;
            n++;
        }
        Effect e = effect(i, reg, &by);
        if (e == EFFECT_LOSE) {
            break;
        }
        moved += e == EFFECT_MOVE ? by : 0;
    }
    return n;
}

static bool covers(const WorkWindow *v, unsigned reg, const Access *a)
{
    int64_t at = v->moved + a->disp;
    return v->open && v->reg == reg && at >= v->low && at + a->size <= v->high && (v->write || !a->write);
}

static void open_window(Work *w, unsigned reg)
{
    WorkWindow v = {.open = true, .reg = (uint8_t)reg};
    unsigned n = look_ahead(w, reg, &v.low, &v.high, &v.write);
    int64_t low = 0, high = 0;
    bool write = false;
    bool rival = w->window.open && w->window.reg != reg && look_ahead(w, w->window.reg, &low, &high, &write) >= n;
    if (n < 2 || v.low != (int32_t)v.low || rival) {
        return;
    }
    unsigned host = translate_host[reg];
    emit_op(&w->e, E_W, 0x8d, H_RAX, rm_mem(host, (size_t)v.low), 0);
    w->constant = false;
    work_probe(w, (unsigned)(v.high - v.low), v.write, COLD_GO_ON);
    emit_move(&w->e, E_W, WINDOW, rm_reg(H_RAX));
    emit_op(&w->e, E_W, 0x2b, WINDOW, rm_reg(host), 0);
    w->window = v;
}

/* By a window, if there is one or one is worth it. */
static bool by_window(Work *w, unsigned reg, const Access *a, Rm *rm)
{
    if (!w->wide || reg == NO_REG || translate_host[reg] == H_NONE) {
        return false;
    }
    if (!covers(&w->window, reg, a)) {
        open_window(w, reg);
        if (!covers(&w->window, reg, a)) {
            return false;
        }
    }
    *rm = (Rm){.memory = true, .base = WINDOW, .index = translate_host[reg], .disp = (int32_t)(a->disp - w->window.low)};
    return true;
}

void work_window_behind(Work *w)
{
    int64_t by = 0;
    if (w->window.open) {
        Effect e = effect(w->i, w->window.reg, &by);
        w->window.open = e != EFFECT_LOSE;
        w->window.moved += e == EFFECT_MOVE ? by : 0;
    }
}

Rm work_memory(Work *w, unsigned size, bool write, ColdKind kind)
{
    const MemOperand *m = &w->i->mem;
    Access a = {m->disp, size, write};
    Rm rm;
    if (!m->rip_relative && m->index == NO_REG && m->seg != SEG_FS && m->seg != SEG_GS && by_window(w, m->base, &a, &rm)) {
        return rm;
    }
    work_address(w);
    work_probe(w, size, write, kind);
    return rm_mem(H_RAX, 0);
}

Rm work_stack(Work *w, unsigned reg, int disp, bool write, ColdKind kind)
{
    Access a = {disp, w->wide ? 8 : 4, write};
    Rm rm;
    if (by_window(w, reg, &a, &rm)) {
        return rm;
    }
    emit_op(&w->e, w->wide ? E_W : 0, 0x8d, H_RAX, rm_mem(translate_host[reg], (size_t)(ptrdiff_t)disp), 0);
    w->constant = false;
    work_probe(w, a.size, write, kind);
    return rm_mem(H_RAX, 0);
}
