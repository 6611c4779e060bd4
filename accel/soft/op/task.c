/* Hardware task switches (SDM vol 3 ch. 7).
 *
 * The new TSS is read, the old one written, link and busy bits changed, in this order, so that a page fault
 * on the way finds the old task as it was.  Then the registers are loaded; segment faults from there on
 * belong to the new task (§7.3). */
#include "accel/soft/debug.h"
#include "accel/soft/op/far.h"
#include "cpu/blackbox/ring.h"

/* Where things are in the two forms of TSS (figures 7-2 and 7-10). */
typedef struct TssLayout {
    uint8_t word;                       /* size of EIP, EFLAGS and the general registers */
    uint8_t limit;                      /* the least */
    uint8_t ip, flags, gpr, seg, seg_step, segs, ldt;
} TssLayout;
static const TssLayout layout_16 = {2, 0x2b, 0x0e, 0x10, 0x12, 0x22, 2, 4, 0x2a};
static const TssLayout layout_32 = {4, 0x67, 0x20, 0x24, 0x28, 0x48, 4, 6, 0x60};
enum { TSS_LINK = 0, TSS_CR3 = 0x1c, TSS_TRAP = 0x64 };
enum { DR6_BT = 1 << 15, DR7_LOCAL = 0x155 /* L0-L3, LE */ };

typedef struct TaskImage {
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t seg[6], ldt;               /* seg: SEG_ES .. SEG_GS */
    bool trap;
} TaskImage;

static const TssLayout *tss_layout(const Segment *tss)
{
    return segment_type(tss) & 8 ? &layout_32 : &layout_16;
}

static uint64_t tss_get(SoftCpu *s, const Segment *tss, unsigned offset, unsigned size)
{
    return soft_load_system(s, (uint32_t)(tss->base + offset), size);
}

static void tss_put(SoftCpu *s, const Segment *tss, unsigned offset, unsigned size, uint64_t value)
{
    soft_store_system(s, (uint32_t)(tss->base + offset), size, value);
}

static TaskImage image_load(SoftCpu *s, const Segment *tss)
{
    const TssLayout *l = tss_layout(tss);
    TaskImage t = {
        .eip = (uint32_t)tss_get(s, tss, l->ip, l->word),
        .eflags = (uint32_t)tss_get(s, tss, l->flags, l->word),
        .ldt = (uint16_t)tss_get(s, tss, l->ldt, 2),
    };
    for (unsigned n = 0; n < 8; n++) {
        t.gpr[n] = (uint32_t)tss_get(s, tss, l->gpr + n * l->word, l->word);
    }
    for (unsigned n = 0; n < l->segs; n++) {
        t.seg[n] = (uint16_t)tss_get(s, tss, l->seg + n * l->seg_step, 2);
    }
    if (l == &layout_32) {
        t.cr3 = (uint32_t)tss_get(s, tss, TSS_CR3, 4);
        t.trap = tss_get(s, tss, TSS_TRAP, 1) & 1;
    }
    return t;
}

/* The state of the task that is left, into its TSS: nothing else of it is written. */
static void image_save(SoftCpu *s, const Segment *tss, uint64_t flags)
{
    const CpuState *st = &s->cpu.state;
    const TssLayout *l = tss_layout(tss);
    if (segment_unusable(tss) || tss->limit < l->limit) {
        selector_fault(s, EXC_TS, tss->selector);
    }
    tss_put(s, tss, l->ip, l->word, st->rip);
    tss_put(s, tss, l->flags, l->word, flags);
    for (unsigned n = 0; n < 8; n++) {
        tss_put(s, tss, l->gpr + n * l->word, l->word, st->gpr[n]);
    }
    for (unsigned n = 0; n < l->segs; n++) {
        tss_put(s, tss, l->seg + n * l->seg_step, 2, st->seg[n].selector);
    }
}

/* ---- The new task's registers ---- */

static void load_ldt(SoftCpu *s, uint16_t selector)
{
    Segment *ldtr = &s->cpu.state.seg[SEG_LDTR];
    Descriptor d;
    *ldtr = segment_null(selector, 0);
    if (selector_null(selector)) {
        return;
    }
    if (selector_local(selector) || !descriptor_find(s, selector, &d) || descriptor_s(&d) ||
        descriptor_type(&d) != SYSTEM_LDT || !descriptor_p(&d)) {
        selector_fault(s, EXC_TS, selector);
    }
    *ldtr = d.seg;
}

static void load_code(SoftCpu *s, uint16_t selector)
{
    Descriptor d;
    unsigned rpl = selector & 3;
    if (!descriptor_find(s, selector, &d) || !descriptor_is_code(&d) ||
        (descriptor_conforming(&d) ? descriptor_dpl(&d) > rpl : descriptor_dpl(&d) != rpl)) {
        selector_fault(s, EXC_TS, selector);
    }
    if (!descriptor_p(&d)) {
        selector_fault(s, EXC_NP, selector);
    }
    descriptor_accessed(s, &d);
    s->cpu.state.seg[SEG_CS] = d.seg;
}

static void load_data(SoftCpu *s, unsigned reg, uint16_t selector)
{
    Descriptor d;
    if (selector_null(selector)) {
        return;
    }
    if (!descriptor_find(s, selector, &d)) {
        selector_fault(s, EXC_TS, selector);
    }
    SegmentFault f = segment_check_load(&s->cpu.state, reg, selector, &d.seg);
    if (f.vector != FAULT_NONE) {
        selector_fault(s, f.vector == EXC_GP ? EXC_TS : f.vector, selector);
    }
    descriptor_accessed(s, &d);
    s->cpu.state.seg[reg] = d.seg;
}

/* What is left where one of the descriptors faults: every register has its selector.  CS and SS still have the
 * old task's hidden part, with CPL the new task's, so that a handler which is no task of its own finds a stack
 * (§6.15 warns that it may not rely on anything there); the others cannot be used. */
static void load_selectors(SoftCpu *s, const TaskImage *t)
{
    CpuState *st = &s->cpu.state;
    unsigned cpl = t->seg[SEG_CS] & 3;
    for (unsigned n = SEG_ES; n <= SEG_GS; n++) {
        Segment *g = &st->seg[n];
        if (st->rflags & FLAG_VM) {
            *g = segment_v86(t->seg[n]);
        } else if (n == SEG_CS || n == SEG_SS) {
            g->selector = t->seg[n];
            g->attr = (g->attr & ~(uint32_t)ATTR_DPL) | cpl << ATTR_DPL_SHIFT;
        } else {
            *g = segment_null(t->seg[n], 0);
        }
    }
}

static void load_segments(SoftCpu *s, const TaskImage *t)
{
    CpuState *st = &s->cpu.state;
    load_ldt(s, t->ldt);
    if (!(st->rflags & FLAG_VM)) {
        load_code(s, t->seg[SEG_CS]);
        st->seg[SEG_SS] = segment_for_stack(s, t->seg[SEG_SS], t->seg[SEG_CS] & 3, EXC_TS);
        load_data(s, SEG_ES, t->seg[SEG_ES]);
        load_data(s, SEG_DS, t->seg[SEG_DS]);
        load_data(s, SEG_FS, t->seg[SEG_FS]);
        load_data(s, SEG_GS, t->seg[SEG_GS]);
    }
    check_entry(s, &st->seg[SEG_CS], st->rip);
}

static void load_registers(SoftCpu *s, const TaskImage *t, const TssLayout *l, bool nested)
{
    CpuState *st = &s->cpu.state;
    if (l == &layout_32 && cpu_paging(st)) {
        st->cr3 = t->cr3;
        st->pdpte_valid = false; /* PAE: the next walk reads them */
        soft_tlb_flush(s, false);
    }
    for (unsigned n = 0; n < 8; n++) {
        soft_gpr_put(s, n, l->word, t->gpr[n]);
    }
    st->rip = t->eip;
    s->insn_rip = t->eip;
    /* IOPL, IF, VM ... are the image's, whatever CPL was. */
    uint64_t known = FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC |
                     FLAG_VIF | FLAG_VIP | FLAG_ID;
    soft_set_flags(s, (t->eflags & known) | FLAG_ONE | (nested ? FLAG_NT : 0));
    load_selectors(s, t);
    soft_changed(s);
}

/* ---- The switch ---- */

/* Which of the two tasks is busy afterwards (table 7-2).  The new one first: where that faults nothing has
 * happened. */
static void change_busy(SoftCpu *s, Descriptor *new, TaskSwitch how)
{
    Descriptor old;
    if (how != TASK_IRET && !descriptor_set_busy(s, new, true)) {
        selector_fault(s, EXC_GP, new->seg.selector);
    }
    if ((how == TASK_JMP || how == TASK_IRET) && descriptor_find(s, s->cpu.state.seg[SEG_TR].selector, &old)) {
        descriptor_set_busy(s, &old, false);
    }
}

static void switch_to(SoftCpu *s, Descriptor *new, TaskSwitch how, bool has_error, uint32_t error)
{
    CpuState *st = &s->cpu.state;
    const TssLayout *l = tss_layout(&new->seg);
    bool nested = how == TASK_CALL || how == TASK_INT;
    if (!descriptor_p(new)) {
        selector_fault(s, EXC_NP, new->seg.selector);
    }
    if (new->seg.limit < l->limit) {
        selector_fault(s, EXC_TS, new->seg.selector);
    }
    if (G_UNLIKELY(s->debug)) {
        soft_debug_alone(s); /* behind change_busy it could not begin anew */
    }
    TaskImage t = image_load(s, &new->seg);
    uint64_t flags = soft_flags(s);
    image_save(s, &st->seg[SEG_TR], how == TASK_IRET ? flags & ~(uint64_t)FLAG_NT : flags);
    if (nested) {
        tss_put(s, &new->seg, TSS_LINK, 2, st->seg[SEG_TR].selector);
    }
    change_busy(s, new, how);
    box_note(&s->cpu, BOX_TASK, 0, new->seg.selector, 0, st->seg[SEG_TR].selector, s->insn_rip);
    st->seg[SEG_TR] = new->seg;
    st->cr0 |= CR0_TS;
    st->dr[7] &= ~(uint64_t)DR7_LOCAL;
    load_registers(s, &t, l, nested);
    load_segments(s, &t);
    if (has_error) {
        Stack k = stack_current(s);
        stack_push(s, &k, l->word, error);
        stack_commit(s, &k);
    }
    if (t.trap) {
        soft_debug_trap(s, DR6_BT);
    }
}

void task_switch(SoftCpu *s, Descriptor *tss, TaskSwitch how)
{
    switch_to(s, tss, how, false, 0);
}

void task_gate(SoftCpu *s, uint16_t selector, TaskSwitch how, bool has_error, uint32_t error)
{
    Descriptor d;
    if (selector_local(selector) || !descriptor_find(s, selector, &d) || descriptor_s(&d) ||
        (descriptor_type(&d) != SYSTEM_TSS && descriptor_type(&d) != SYSTEM_TSS16)) {
        selector_fault(s, EXC_GP, selector);
    }
    switch_to(s, &d, how, has_error, error);
}

void task_return(SoftCpu *s)
{
    uint16_t link = (uint16_t)tss_get(s, &s->cpu.state.seg[SEG_TR], TSS_LINK, 2);
    Descriptor d;
    if (selector_local(link) || !descriptor_find(s, link, &d) || descriptor_s(&d) ||
        (descriptor_type(&d) != SYSTEM_TSS_BUSY && descriptor_type(&d) != SYSTEM_TSS16_BUSY)) {
        selector_fault(s, EXC_TS, link);
    }
    switch_to(s, &d, TASK_IRET, false, 0);
}
