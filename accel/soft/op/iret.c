/* IRET in all sizes and modes, and the instructions that it returns from: INT n, INT3, INTO, INT1 (SDM vol
 * 2). */
#include <Zydis/Zydis.h>

#include "accel/soft/op/far.h"

/* EFLAGS bits that exist beside VM, VIF and VIP. */
enum {
    FLAGS_16 = FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT,
    FLAGS_32 = FLAGS_16 | FLAG_RF | FLAG_AC | FLAG_ID,
};
_Static_assert(FLAGS_16 == 0x7fd5 && FLAGS_32 == 0x257fd5, "as SDM vol 2 IRET has them");

typedef struct Frame {
    uint64_t rip, flags;
    uint16_t cs;
} Frame;

static Frame frame_pop(SoftCpu *s, Stack *k, unsigned size)
{
    Frame f;
    f.rip = stack_pop(s, k, size);
    f.cs = (uint16_t)stack_pop(s, k, size);
    f.flags = stack_pop(s, k, size);
    return f;
}

/* The bits of `mask` from the frame, and RF: that ends with the instruction unless the frame brings it (a
 * 16-bit one is cut and does not). */
static void flags_return(SoftCpu *s, uint64_t image, uint64_t mask)
{
    mask |= FLAG_RF;
    soft_set_flags(s, (soft_flags(s) & ~mask) | (image & mask));
}

static void return_by_paragraph(SoftCpu *s, const Stack *k, const Frame *f, uint64_t flags, uint64_t mask)
{
    Segment cs = segment_by_paragraph(s, SEG_CS, f->cs);
    check_entry(s, &cs, f->rip);
    stack_commit(s, k);
    s->cpu.state.seg[SEG_CS] = cs;
    s->cpu.state.rip = f->rip;
    flags_return(s, flags, mask);
    soft_changed(s);
}

static void iret_real(SoftCpu *s, unsigned size)
{
    Stack k = stack_current(s);
    Frame f = frame_pop(s, &k, size);
    return_by_paragraph(s, &k, &f, size == 2 ? (uint16_t)f.flags : f.flags, size == 2 ? FLAGS_16 : FLAGS_32);
}

/* IOPL 3, or with VME a 16-bit frame whose IF is VIF (SDM vol 3 §20.2.7, 20.3.3.4). */
static void iret_v86(SoftCpu *s, unsigned size)
{
    uint64_t now = soft_flags(s), mask = (size == 2 ? FLAGS_16 : FLAGS_32) & ~FLAG_IOPL;
    bool direct = (now & FLAG_IOPL) == FLAG_IOPL;
    if (!direct && (size != 2 || !(s->cpu.state.cr4 & CR4_VME))) {
        plain_fault(s, EXC_GP);
    }
    Stack k = stack_current(s);
    Frame f = frame_pop(s, &k, size);
    uint64_t flags = size == 2 ? (uint16_t)f.flags : f.flags;
    if (!direct) {
        if (flags & FLAG_TF || (flags & FLAG_IF && now & FLAG_VIP)) {
            plain_fault(s, EXC_GP);
        }
        mask = (mask & ~(uint64_t)FLAG_IF) | FLAG_VIF;
        flags |= flags & FLAG_IF ? FLAG_VIF : 0;
    }
    return_by_paragraph(s, &k, &f, flags, mask);
}

static void return_to_v86(SoftCpu *s, Stack *k, const Frame *f)
{
    static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    CpuState *st = &s->cpu.state;
    Segment seg[CPU_SEGS], cs = segment_v86(f->cs);
    uint64_t sp = stack_pop(s, k, 4);
    for (unsigned n = 0; n < sizeof(order); n++) {
        seg[order[n]] = segment_v86((uint16_t)stack_pop(s, k, 4));
    }
    check_entry(s, &cs, f->rip);
    for (unsigned n = 0; n < sizeof(order); n++) {
        st->seg[order[n]] = seg[order[n]];
    }
    st->seg[SEG_CS] = cs;
    st->gpr[CPU_RSP] = (uint32_t)sp;
    st->rip = f->rip;
    soft_set_flags(s, (f->flags & (FLAGS_32 | FLAG_VM | FLAG_VIF | FLAG_VIP)) | FLAG_ONE);
    soft_changed(s);
}

/* Flags that a frame may change at this privilege (SDM vol 2 IRET). */
static uint64_t return_mask(SoftCpu *s, unsigned size)
{
    unsigned cpl = soft_cpl(s), iopl = soft_flags(s) >> 12 & 3;
    uint64_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    if (size != 2) {
        mask |= FLAG_RF | FLAG_AC | FLAG_ID | (cpl == 0 ? FLAG_VIF | FLAG_VIP : 0);
    }
    return mask | (cpl <= iopl ? FLAG_IF : 0) | (cpl == 0 ? FLAG_IOPL : 0);
}

static void return_protected(SoftCpu *s, Stack *k, const Frame *f, unsigned size)
{
    CpuState *st = &s->cpu.state;
    Segment cs = segment_for_return(s, f->cs);
    unsigned cpl = cs.selector & 3;
    bool outward = cpl > soft_cpl(s);
    Stack to = *k;
    if (outward || cpu_mode(st) == CPU_LONG) { /* 64-bit code always returns to a stack of the frame's */
        uint64_t sp = stack_pop(s, k, size);
        to = outer_stack(s, &cs, (uint16_t)stack_pop(s, k, size), sp);
    }
    check_entry(s, &cs, f->rip);
    uint64_t mask = return_mask(s, size);
    st->seg[SEG_SS] = to.ss;
    stack_commit(s, &to);
    st->seg[SEG_CS] = cs;
    st->rip = f->rip;
    flags_return(s, size == 2 ? (uint16_t)f->flags : f->flags, mask);
    if (outward) {
        invalidate_inner_segments(s, cpl);
    }
    soft_changed(s);
}

static void iret_protected(SoftCpu *s, unsigned size)
{
    if (soft_flags(s) & FLAG_NT) {
        if (long_active(s)) {
            plain_fault(s, EXC_GP);
        }
        task_return(s);
        return;
    }
    Stack k = stack_current(s);
    Frame f = frame_pop(s, &k, size);
    if (size == 4 && f.flags & FLAG_VM && soft_cpl(s) == 0 && !long_active(s)) {
        return_to_v86(s, &k, &f);
    } else {
        return_protected(s, &k, &f, size);
    }
}

static void op_iret(SoftCpu *s, const Insn *i)
{
    CpuMode mode = cpu_mode(&s->cpu.state);
    /* NMIs are no longer blocked, even when the return itself faults (SDM vol 3 §6.7.1, 25.3). */
    if (s->cpu.state.event.nmi_masked) {
        s->cpu.state.event.nmi_masked = false;
        soft_leave(s);
    }
    if (mode == CPU_REAL) {
        iret_real(s, i->operand_size);
    } else if (mode == CPU_VM86) {
        iret_v86(s, i->operand_size);
    } else {
        iret_protected(s, i->operand_size);
    }
}

/* ---- INT ---- */

static void op_int(SoftCpu *s, const Insn *i)
{
    interrupt_int_n(s, i->imm[0] & 0xff);
}

static void op_int3(SoftCpu *s, const Insn *i)
{
    soft_interrupt(s, EXC_BP, INT_SOFTWARE, false, 0);
}

static void op_into(SoftCpu *s, const Insn *i)
{
    if (cpu_mode(&s->cpu.state) == CPU_LONG) {
        soft_fault(s, EXC_UD);
    }
    if (soft_flags(s) & FLAG_OF) {
        soft_interrupt(s, EXC_OF, INT_SOFTWARE, false, 0);
    }
}

static void op_int1(SoftCpu *s, const Insn *i)
{
    soft_interrupt(s, EXC_DB, INT_ICEBP, false, 0);
}

const Op ops_flow[] = {
    {ZYDIS_MNEMONIC_IRET, OP_END, op_iret},  {ZYDIS_MNEMONIC_IRETD, OP_END, op_iret},
    {ZYDIS_MNEMONIC_IRETQ, OP_END, op_iret}, {ZYDIS_MNEMONIC_INT, OP_END, op_int},
    {ZYDIS_MNEMONIC_INT3, OP_END, op_int3},  {ZYDIS_MNEMONIC_INTO, OP_END, op_into},
    {ZYDIS_MNEMONIC_INT1, OP_END, op_int1},  {ZYDIS_MNEMONIC_RSM, OP_END, op_rsm},
    {0},
};
