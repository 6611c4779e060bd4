/* The stack.  SP is changed when nothing can fail any more. */
#include "accel/soft/op/integer/integer.h"

void op_push(SoftCpu *s, const Insn *i)
{
    if (i->op[0].kind == OPERAND_REG && i->op[0].bank == BANK_SEG) {
        op_push_sreg(s, i);
        return;
    }
    soft_push(s, i->operand_size, soft_get(s, i, 0));
}

/* The address of a destination in memory is computed with the stack pointer as it will be (SDM vol 2 POP). */
static void pop_memory(SoftCpu *s, const Insn *i, unsigned size)
{
    uint64_t *rsp = &s->cpu.state.gpr[CPU_RSP], old = *rsp, sp = old;
    uint64_t v = soft_pop_at(s, &sp, size);
    soft_sp_put(s, sp);
    uint64_t offset = soft_ea(s, i);
    *rsp = old;
    soft_store(s, soft_linear(s, i->mem.seg, offset, size, true), size, v);
    soft_sp_put(s, sp);
}

void op_pop(SoftCpu *s, const Insn *i)
{
    if (i->op[0].kind == OPERAND_REG && i->op[0].bank == BANK_SEG) {
        op_pop_sreg(s, i);
    } else if (i->op[0].kind == OPERAND_MEM) {
        pop_memory(s, i, i->operand_size);
    } else {
        uint64_t v = soft_pop(s, i->operand_size);
        soft_put(s, i, 0, v);
    }
}

/* PUSHA, PUSHAD; SP is stored as it was. */
void op_pusha(SoftCpu *s, const Insn *i)
{
    uint64_t sp = s->cpu.state.gpr[CPU_RSP];
    for (unsigned n = CPU_RAX; n <= CPU_RDI; n++) {
        soft_push_at(s, &sp, i->operand_size, s->cpu.state.gpr[n]);
    }
    soft_sp_put(s, sp);
}

/* POPA, POPAD; SP's image is skipped. */
void op_popa(SoftCpu *s, const Insn *i)
{
    uint64_t sp = s->cpu.state.gpr[CPU_RSP], v[8];
    for (int n = CPU_RDI; n >= CPU_RAX; n--) {
        v[n] = soft_pop_at(s, &sp, i->operand_size);
    }
    soft_sp_put(s, sp);
    for (unsigned n = CPU_RAX; n <= CPU_RDI; n++) {
        if (n != CPU_RSP) {
            soft_gpr_put(s, n, i->operand_size, v[n]);
        }
    }
}

/* Nested procedures: the frame pointers of the levels outside are copied from the old frame (SDM vol 2
 * ENTER). */
void op_enter(SoftCpu *s, const Insn *i)
{
    unsigned size = i->operand_size, level = i->imm[1] & 31;
    uint64_t mask = soft_sp_mask(s), sp = s->cpu.state.gpr[CPU_RSP], bp = s->cpu.state.gpr[CPU_RBP];
    soft_push_at(s, &sp, size, bp);
    uint64_t frame = (sp & mask) | (s->cpu.state.gpr[CPU_RSP] & ~mask); /* a 16-bit stack: ESP's upper half comes along */
    for (unsigned n = 1; n < level; n++) {
        bp -= size;
        soft_push_at(s, &sp, size, soft_load(s, soft_linear(s, SEG_SS, bp & mask, size, false), size));
    }
    if (level) {
        soft_push_at(s, &sp, size, frame);
    }
    sp = (sp - (i->imm[0] & 0xffff)) & mask;
    /* the bottom of the new frame must be writable, though nothing is written */
    soft_probe(s, soft_linear(s, SEG_SS, sp, size, true), size, true);
    soft_gpr_put(s, CPU_RBP, size, frame);
    soft_sp_put(s, sp);
}

void op_leave(SoftCpu *s, const Insn *i)
{
    uint64_t sp = s->cpu.state.gpr[CPU_RBP];
    uint64_t v = soft_pop_at(s, &sp, i->operand_size);
    soft_sp_put(s, sp);
    soft_gpr_put(s, CPU_RBP, i->operand_size, v);
}
