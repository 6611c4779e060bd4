/* Branches within the code segment, and BOUND. */
#include "accel/soft/op/far.h"
#include "accel/soft/op/integer/integer.h"

void branch_check(SoftCpu *s, uint64_t target)
{
    if (code_64(s)) {
        unsigned unused = s->cpu.state.cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;
        if ((uint64_t)((int64_t)(target << unused) >> unused) != target) {
            soft_fault_error(s, EXC_GP, 0);
        }
    } else if (target > s->cpu.state.seg[SEG_CS].limit) {
        soft_fault_error(s, EXC_GP, 0);
    }
}

/* A relative branch's target was computed by the decoder; a register or memory holds another's. */
static uint64_t branch_target(SoftCpu *s, const Insn *i)
{
    uint64_t target = soft_get(s, i, 0) & size_mask(i->operand_size);
    branch_check(s, target);
    return target;
}

/* FF /3, FF /5 and the forms with a pointer. */
static bool is_far(const Insn *i)
{
    unsigned digit = i->modrm >> 3 & 7;
    return i->op[0].kind == OPERAND_FAR || (i->opcode == 0xff && (digit == 3 || digit == 5));
}

void op_call(SoftCpu *s, const Insn *i)
{
    if (is_far(i)) {
        op_call_far(s, i);
        return;
    }
    uint64_t target = branch_target(s, i);
    soft_push(s, i->operand_size, s->cpu.state.rip);
    s->cpu.state.rip = target;
}

void op_jmp(SoftCpu *s, const Insn *i)
{
    if (is_far(i)) {
        op_jmp_far(s, i);
        return;
    }
    s->cpu.state.rip = branch_target(s, i);
}

void op_ret(SoftCpu *s, const Insn *i)
{
    if (i->opcode == 0xca || i->opcode == 0xcb) {
        op_ret_far(s, i);
        return;
    }
    uint64_t sp = s->cpu.state.gpr[CPU_RSP];
    uint64_t target = soft_pop_at(s, &sp, i->operand_size);
    branch_check(s, target);
    soft_sp_put(s, sp + (i->operands ? i->imm[0] & 0xffff : 0));
    s->cpu.state.rip = target;
}

void op_jcc(SoftCpu *s, const Insn *i)
{
    if (cc_test(s->cc, i->opcode)) {
        s->cpu.state.rip = branch_target(s, i);
    }
}

/* The count register has the address size. */
void op_jcxz(SoftCpu *s, const Insn *i)
{
    if (soft_gpr(s, CPU_RCX, i->address_size) == 0) {
        s->cpu.state.rip = branch_target(s, i);
    }
}

static void loop_while(SoftCpu *s, const Insn *i, bool condition)
{
    uint64_t count = (soft_gpr(s, CPU_RCX, i->address_size) - 1) & size_mask(i->address_size);
    uint64_t target = s->cpu.state.rip;
    if (count && condition) {
        target = branch_target(s, i);
    }
    soft_gpr_put(s, CPU_RCX, i->address_size, count);
    s->cpu.state.rip = target;
}

void op_loop(SoftCpu *s, const Insn *i) { loop_while(s, i, true); }
void op_loope(SoftCpu *s, const Insn *i) { loop_while(s, i, s->cc & CC_ZF); }
void op_loopne(SoftCpu *s, const Insn *i) { loop_while(s, i, !(s->cc & CC_ZF)); }

/* Two signed bounds, the lower one first. */
void op_bound(SoftCpu *s, const Insn *i)
{
    unsigned size = i->op[0].size;
    uint64_t linear = soft_operand_linear(s, i, 2 * size, false);
    int64_t index = sign_extend(soft_get(s, i, 0), size);
    int64_t lower = sign_extend(soft_load(s, linear, size), size);
    int64_t upper = sign_extend(soft_load(s, (uint32_t)(linear + size), size), size);
    if (index < lower || index > upper) {
        soft_fault(s, EXC_BR);
    }
}
