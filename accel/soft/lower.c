/* From instructions to micro-ops: the frame, addresses, and what is left to C functions. */
#include <Zydis/Zydis.h>

#include "accel/soft/uop.h"
#include "core/log.h"

/* MOVSD and CMPSD are names of string operations and of vector ones, which alone have visible operands. */
const Op *insn_op(const Insn *i)
{
    if (i->operands && (i->mnemonic == ZYDIS_MNEMONIC_MOVSD || i->mnemonic == ZYDIS_MNEMONIC_CMPSD)) {
        return NULL;
    }
    return op_find(i->mnemonic);
}

/* Loads of segment, control and debug registers share their names with ordinary moves. */
bool insn_ends(const Insn *i)
{
    const Op *op = insn_op(i);
    const Operand *o = &i->op[0];
    bool special = o->kind == OPERAND_REG && (o->bank == BANK_SEG || o->bank == BANK_CR || o->bank == BANK_DR);
    if (i->mnemonic == ZYDIS_MNEMONIC_MOV || i->mnemonic == ZYDIS_MNEMONIC_POP) {
        return special && o->write;
    }
    return op && op->flags & OP_END;
}

Uop *lower_new(Lowering *l, const Insn *i, UopFn *fn)
{
    Uop *u = l->out++;
    *u = (Uop){.fn = fn, .ip = (uint16_t)(i->rip - l->rip), .length = i->length, .aux = (uint16_t)l->number};
    u->base = u->index = offsetof(SoftCpu, zero);
    u->seg = offsetof(SoftCpu, zero);
    return u;
}

void lower_op(Lowering *l, const Insn *i, const Op *op)
{
    OpInsn *o = block_alloc(l->s, sizeof(*o));
    bool ends = insn_ends(i);
    *o = (OpInsn){.fn = op->fn, .flags = op->flags, .next_rip = l->next_rip, .insn = *i};
    Uop *u = lower_new(l, i, ends ? exec_op_end : exec_op);
    u->ptr = o;
    l->ended |= ends;
}

static void lower_fault(Lowering *l, const Insn *i, unsigned vector)
{
    Uop *u = lower_new(l, i, exec_fault);
    u->imm = (int32_t)vector;
    l->ended = true;
}

/* ---- Addresses ---- */

static uint16_t base_offset(unsigned seg)
{
    return (uint16_t)(offsetof(SoftCpu, cpu.state.seg) + seg * sizeof(Segment) + offsetof(Segment, base));
}

/* Whether a segment needs no checks, and what its base adds. */
static bool plain_segment(const Lowering *l, const Insn *i, bool write, uint16_t *offset)
{
    unsigned seg = i->mem.seg, size = l->mode & MODE_SIZE;
    *offset = seg == SEG_SS ? offsetof(SoftCpu, zero_ss) : offsetof(SoftCpu, zero);
    if (size == MODE_64) {
        if (seg == SEG_FS || seg == SEG_GS) {
            *offset = base_offset(seg);
        }
        return i->address_size == 8;
    }
    if (i->address_size != 4 || size != MODE_32) {
        return false;
    }
    return (seg == SEG_SS && l->mode & MODE_FLAT_STACK) ||
           ((seg == SEG_DS || seg == SEG_ES) && l->mode & MODE_FLAT_DATA);
}

static uint16_t register_offset(uint8_t reg)
{
    return reg == NO_REG ? offsetof(SoftCpu, zero) : GPR_OFFSET(reg);
}

bool lower_address(Lowering *l, const Insn *i, UopAddress *a, unsigned size, bool write)
{
    const MemOperand *m = &i->mem;
    int64_t disp = m->rip_relative ? (int64_t)((uint64_t)m->disp - l->rip) : m->disp;
    if (disp != (int32_t)disp) {
        return false;
    }
    *a = (UopAddress){.base = m->rip_relative ? offsetof(SoftCpu, rip_base) : register_offset(m->base),
                      .index = register_offset(m->index), .scale = m->scale, .disp = (int32_t)disp};
    if (plain_segment(l, i, write, &a->seg)) {
        bool based = a->seg == offsetof(SoftCpu, zero) || a->seg == offsetof(SoftCpu, zero_ss);
        a->plain = (l->mode & MODE_SIZE) == MODE_64 && m->index == NO_REG && based;
        return true;
    }
    Uop *u = lower_new(l, i, exec_linear);
    uop_address(u, a);
    u->imm = i->address_size | write << 8;
    u->d = m->seg;
    u->s = (uint16_t)size;
    *a = (UopAddress){.base = offsetof(SoftCpu, tmp[3]), .index = offsetof(SoftCpu, zero),
                      .seg = m->seg == SEG_SS ? offsetof(SoftCpu, zero_ss) : offsetof(SoftCpu, zero)};
    return true;
}

/* ---- Blocks ---- */

/* Others are #UD where CPUID does not have them. */
static bool in_every_cpu(const Insn *i)
{
    switch (i->isa_set) {
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_LONGMODE:
    case ZYDIS_ISA_SET_CMOV: return true; /* that one as good as always: not worth keeping flags for */
    default: return false;
    }
}

/* Whether an instruction may stop half-way and so shows its flags to somebody. */
static bool may_fault(const Insn *i)
{
    const Op *op = insn_op(i);
    if (insn_ends(i) || (op && !op_is_integer(op))) {
        return true;
    }
    for (unsigned n = 0; n < i->operands; n++) {
        const Operand *o = &i->op[n];
        if (o->kind == OPERAND_FAR || (o->kind == OPERAND_MEM && o->size) || (o->kind == OPERAND_REG && o->bank != BANK_GPR)) {
            return true;
        }
    }
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_POP:
    case ZYDIS_MNEMONIC_LEAVE:
    case ZYDIS_MNEMONIC_ENTER: return true;
    default: return !i->operands || !in_every_cpu(i);
    }
}

void lower_live_flags(const Insn *insns, unsigned n, uint16_t *live)
{
    uint16_t now = FLAGS_ARITH;
    for (unsigned k = n; k-- > 0;) {
        const Insn *i = &insns[k];
        live[k] = now;
        now = may_fault(i) ? FLAGS_ARITH : (uint16_t)((now & ~i->flags_written) | i->flags_read);
    }
}

static void lower_insn(Lowering *l, const Insn *i)
{
    if (i->mnemonic == ZYDIS_MNEMONIC_MAX_VALUE) { /* block.c's mark of one that is too long */
        lower_fault(l, i, EXC_GP);
        return;
    }
    const Op *op = i->mnemonic == ZYDIS_MNEMONIC_INVALID ? NULL : insn_op(i);
    BorrowCheck check = i->mnemonic == ZYDIS_MNEMONIC_INVALID ? BORROW_UD : borrow_check(l->s, i, l->mode);
    if (check != BORROW_OK) {
        lower_fault(l, i, check == BORROW_NM ? EXC_NM : EXC_UD);
        return;
    }
    if (!i->lock && (lower_flow(l, i) || lower_move(l, i) || lower_alu(l, i))) {
        return;
    }
    if (op) {
        lower_op(l, i, op);
    } else if (!lower_vector(l, i)) {
        if (log_enabled(LOG_UNIMP) && i->mnemonic != ZYDIS_MNEMONIC_INVALID) {
            log_printf("unimp: cpu %u %s ip=%016" G_GINT64_MODIFIER "x: not built, #UD\n", l->s->cpu.index,
                       ZydisMnemonicGetString(i->mnemonic), i->rip);
        }
        lower_fault(l, i, EXC_UD);
    }
}

Uop *lower_block(SoftCpu *s, Uop *out, const Insn *insns, unsigned n, uint32_t mode, uint64_t next_rip)
{
    Lowering l = {.s = s, .mode = mode, .rip = insns[0].rip, .out = out};
    uint16_t live[64];
    g_assert(n <= G_N_ELEMENTS(live));
    lower_live_flags(insns, n, live);
    lower_new(&l, &insns[0], log_enabled(LOG_EXEC) || log_enabled(LOG_CPU) ? exec_enter_logging
                             : s->counting || mode & MODE_SINGLE          ? exec_enter_counting
                                                                          : exec_enter);
    for (unsigned k = 0; k < n; k++) {
        l.number = k;
        l.next = k + 1 < n ? &insns[k + 1] : NULL;
        l.live = live[k];
        l.fused = false;
        l.next_rip = insns[k].rip + insns[k].length;
        if ((mode & MODE_SIZE) == MODE_16) {
            l.next_rip = (uint32_t)l.next_rip;
        }
        lower_insn(&l, &insns[k]);
        k += l.fused;
    }
    if (!l.ended) {
        l.number = n;
        lower_fall_through(&l, next_rip);
    }
    return l.out;
}
