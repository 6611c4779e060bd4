/* Far CALL, JMP and RET (SDM vol 2; vol 3 §5.8). */
#include "accel/soft/op/far.h"
#include "core/log.h"
#include "cpu/blackbox/ring.h"

typedef struct FarPointer {
    uint64_t offset;
    uint16_t selector;
    unsigned size;                      /* of the offset, and of what CALL pushes: 2, 4, 8 */
} FarPointer;

static FarPointer far_operand(SoftCpu *s, const Insn *i)
{
    FarPointer p = {.size = i->operand_size};
    if (i->op[0].kind == OPERAND_FAR) {
        p.offset = i->imm[0];
        p.selector = (uint16_t)i->imm[1];
    } else if (i->op[0].kind == OPERAND_MEM) {
        uint64_t at = soft_operand_linear(s, i, p.size + 2, false);
        p.offset = soft_load(s, at, p.size);
        at += p.size;
        p.selector = (uint16_t)soft_load(s, cpu_mode(&s->cpu.state) == CPU_LONG ? at : (uint32_t)at, 2);
    } else {
        soft_fault(s, EXC_UD);
    }
    if (p.size < 8) {
        p.offset = p.size == 2 ? (uint16_t)p.offset : (uint32_t)p.offset;
    }
    return p;
}

static void enter_code(SoftCpu *s, const Segment *cs, uint64_t rip)
{
    CpuState *st = &s->cpu.state;
    if (log_enabled(LOG_PCALL)) {
        log_printf("pcall: cpu %u far from %04x:%016" G_GINT64_MODIFIER "x to %04x:%016" G_GINT64_MODIFIER "x, cpl %u\n",
                   s->cpu.index, st->seg[SEG_CS].selector, s->insn_rip, cs->selector, rip, segment_dpl(cs));
    }
    st->seg[SEG_CS] = *cs;
    st->rip = rip;
    soft_changed(s);
}

/* Present and of a kind that far transfers know, at the caller's privilege: else #GP or #NP of the gate. */
static void check_gate(SoftCpu *s, const Descriptor *gate)
{
    if (descriptor_dpl(gate) < soft_cpl(s) || descriptor_dpl(gate) < (gate->seg.selector & 3u)) {
        selector_fault(s, EXC_GP, gate->seg.selector);
    }
    if (!descriptor_p(gate)) {
        selector_fault(s, EXC_NP, gate->seg.selector);
    }
}

/* The code segment that a call gate names (SDM vol 3 §5.8.4); *inner: the call goes to a more privileged
 * level. */
static void call_gate_target(SoftCpu *s, const Descriptor *gate, bool call, Descriptor *code, bool *inner)
{
    unsigned cpl = soft_cpl(s);
    uint16_t selector = gate_selector(gate);
    descriptor_get(s, selector, code, EXC_GP);
    unsigned dpl = descriptor_dpl(code);
    bool conforming = descriptor_conforming(code);
    if (!descriptor_is_code(code) || dpl > cpl || (!call && !conforming && dpl != cpl)) {
        selector_fault(s, EXC_GP, selector);
    }
    if (long_active(s) && (!segment_l(&code->seg) || segment_db(&code->seg))) {
        selector_fault(s, EXC_GP, selector);
    }
    if (!descriptor_p(code)) {
        selector_fault(s, EXC_NP, selector);
    }
    *inner = !conforming && dpl < cpl;
    code->seg.selector = (uint16_t)((selector & ~3u) | (*inner ? dpl : cpl));
}

/* Transfers by a system descriptor.  True: it was a call gate, which is checked and its target found; false:
 * a task switch, done. */
static bool system_transfer(SoftCpu *s, Descriptor *d, TaskSwitch how, unsigned *size, uint64_t *offset)
{
    bool in_long = long_active(s);
    switch (descriptor_type(d)) {
    case SYSTEM_CALL16:
    case SYSTEM_CALL:
        if (in_long && (descriptor_type(d) == SYSTEM_CALL16 || !descriptor_extend(s, d))) {
            break;
        }
        check_gate(s, d);
        *size = in_long ? 8 : descriptor_type(d) == SYSTEM_CALL ? 4 : 2;
        *offset = *size == 2 ? (uint16_t)gate_offset(d) : gate_offset(d);
        return true;
    case SYSTEM_TASK_GATE:
        if (in_long) {
            break;
        }
        check_gate(s, d);
        task_gate(s, gate_selector(d), how, false, 0);
        return false;
    case SYSTEM_TSS16:
    case SYSTEM_TSS:
        if (in_long || descriptor_dpl(d) < soft_cpl(s) || descriptor_dpl(d) < (d->seg.selector & 3u)) {
            break;
        }
        task_switch(s, d, how);
        return false;
    default:
        break;
    }
    selector_fault(s, EXC_GP, d->seg.selector);
}

/* ---- JMP ---- */

void op_jmp_far(SoftCpu *s, const Insn *i)
{
    FarPointer p = far_operand(s, i);
    Descriptor d, code;
    if (mode_real_or_v86(s)) {
        Segment cs = segment_by_paragraph(s, SEG_CS, p.selector);
        check_entry(s, &cs, p.offset);
        enter_code(s, &cs, p.offset);
        return;
    }
    descriptor_get(s, p.selector, &d, EXC_GP);
    if (descriptor_is_code(&d)) {
        Segment cs = segment_for_jump(s, &d);
        check_entry(s, &cs, p.offset);
        enter_code(s, &cs, p.offset);
        return;
    }
    if (descriptor_s(&d)) {
        selector_fault(s, EXC_GP, p.selector);
    }
    unsigned size;
    bool inner;
    if (system_transfer(s, &d, TASK_JMP, &size, &p.offset)) {
        call_gate_target(s, &d, false, &code, &inner);
        check_entry(s, &code.seg, p.offset);
        descriptor_accessed(s, &code);
        enter_code(s, &code.seg, p.offset);
    }
}

/* ---- CALL ---- */

static void push_return(SoftCpu *s, Stack *k, unsigned size)
{
    stack_push(s, k, size, s->cpu.state.seg[SEG_CS].selector);
    stack_push(s, k, size, s->cpu.state.rip);
}

static void call_same_level(SoftCpu *s, Stack k, const Segment *cs, uint64_t rip, unsigned size)
{
    check_entry(s, cs, rip);
    push_return(s, &k, size);
    stack_commit(s, &k);
    enter_code(s, cs, rip);
}

/* Parameters from the caller's stack, the last pushed last again; read as the caller reads them. */
static void copy_parameters(SoftCpu *s, Stack *to, unsigned count, unsigned size)
{
    Stack from = stack_current(s);
    from.sp += (uint64_t)size * count;
    while (count--) {
        from.sp -= size;
        Stack top = from;
        stack_push(s, to, size, stack_pop(s, &top, size));
    }
}

static void call_inner_level(SoftCpu *s, const Descriptor *gate, Descriptor *code, uint64_t rip, unsigned size)
{
    CpuState *st = &s->cpu.state;
    Stack k = stack_from_tss(s, descriptor_dpl(code));
    check_entry(s, &code->seg, rip);
    stack_push(s, &k, size, st->seg[SEG_SS].selector);
    stack_push(s, &k, size, st->gpr[CPU_RSP]);
    if (size != 8) { /* 64-bit call gates have no count */
        copy_parameters(s, &k, gate->low >> 32 & 31, size);
    }
    push_return(s, &k, size);
    descriptor_accessed(s, code);
    box_note(&s->cpu, BOX_CALL, 0, code->seg.selector, rip, 0, s->insn_rip);
    st->seg[SEG_SS] = k.ss;
    stack_commit(s, &k);
    enter_code(s, &code->seg, rip);
}

static void call_gate(SoftCpu *s, const Descriptor *gate, uint64_t offset, unsigned size)
{
    Descriptor code;
    bool inner;
    call_gate_target(s, gate, true, &code, &inner);
    if (inner) {
        call_inner_level(s, gate, &code, offset, size);
        return;
    }
    Stack k = stack_current(s);
    if (size == 8) { /* also out of compatibility mode: pushed as 64-bit code sees the stack */
        k = stack_new(s, k.ss, k.sp, soft_cpl(s), true);
    }
    descriptor_accessed(s, &code);
    call_same_level(s, k, &code.seg, offset, size);
}

void op_call_far(SoftCpu *s, const Insn *i)
{
    FarPointer p = far_operand(s, i);
    Descriptor d;
    if (mode_real_or_v86(s)) {
        Segment cs = segment_by_paragraph(s, SEG_CS, p.selector);
        call_same_level(s, stack_current(s), &cs, p.offset, p.size);
        return;
    }
    descriptor_get(s, p.selector, &d, EXC_GP);
    if (descriptor_is_code(&d)) {
        Segment cs = segment_for_jump(s, &d);
        call_same_level(s, stack_current(s), &cs, p.offset, p.size);
        return;
    }
    if (descriptor_s(&d)) {
        selector_fault(s, EXC_GP, p.selector);
    }
    if (system_transfer(s, &d, TASK_CALL, &p.size, &p.offset)) {
        call_gate(s, &d, p.offset, p.size);
    }
}

/* ---- RET ---- */

/* A null SS is what 64-bit code below level 3 may have (SDM vol 3 §5.8.5). */
Stack outer_stack(SoftCpu *s, const Segment *cs, uint16_t selector, uint64_t sp)
{
    unsigned cpl = cs->selector & 3;
    bool to_64 = long_active(s) && segment_l(cs);
    if (!selector_null(selector)) {
        return stack_new(s, segment_for_stack(s, selector, cpl, EXC_GP), sp, cpl, to_64);
    }
    if (!to_64 || cpl == 3 || (selector & 3u) != cpl) {
        plain_fault(s, EXC_GP);
    }
    return stack_new(s, segment_null(selector, cpl), sp, cpl, true);
}

void op_ret_far(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    unsigned size = i->operand_size, release = i->operands ? (uint16_t)i->imm[0] : 0;
    Stack k = stack_current(s);
    uint64_t rip = stack_pop(s, &k, size);
    uint16_t selector = (uint16_t)stack_pop(s, &k, size);
    k.sp += release;
    if (mode_real_or_v86(s)) {
        Segment cs = segment_by_paragraph(s, SEG_CS, selector);
        check_entry(s, &cs, rip);
        stack_commit(s, &k);
        enter_code(s, &cs, rip);
        return;
    }
    Segment cs = segment_for_return(s, selector);
    unsigned cpl = cs.selector & 3;
    if (cpl == soft_cpl(s)) {
        check_entry(s, &cs, rip);
        stack_commit(s, &k);
        enter_code(s, &cs, rip);
        return;
    }
    uint64_t sp = stack_pop(s, &k, size);
    Stack outer = outer_stack(s, &cs, (uint16_t)stack_pop(s, &k, size), sp);
    check_entry(s, &cs, rip);
    outer.sp += release;
    st->seg[SEG_SS] = outer.ss;
    stack_commit(s, &outer);
    enter_code(s, &cs, rip);
    invalidate_inner_segments(s, cpl);
}
