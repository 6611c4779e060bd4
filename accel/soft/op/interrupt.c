/* Interrupts and exceptions: from an event to its handler's first instruction (SDM vol 3 ch. 6, 20.3; vol 2
 * INT n).
 *
 * All is looked up, checked and pushed first; registers change behind the last push, so a fault on the way
 * finds the interrupted program as it was. */
#include "accel/soft/op/far.h"
#include "core/log.h"
#include "cpu/blackbox/print.h"
#include "cpu/blackbox/report.h"

enum { DR6_TRAPS = 0xf, DR6_SET = 0xe000 /* BD BS BT */, DR7_GD = 1 << 13 };
enum { DEBUGCTL_LBR = 1 << 0, DEBUGCTL_BTF = 1 << 1 };
#define DR6_ONES UINT64_C(0xffff0ff0)

typedef struct Event {
    uint8_t vector;
    SoftIntKind kind;
    bool has_error;
    uint32_t error;
} Event;

/* ---- -d int ---- */

static const char *event_name(const Event *e)
{
    bool named = e->kind == INT_EXCEPTION || e->kind == INT_ICEBP || e->vector == EXC_NMI;
    const char *name = named ? box_exception_name(e->vector) : NULL;
    return name ? name : "";
}

static void log_event(const SoftCpu *s, const Event *e)
{
    static const char *const kinds[] = {"exception", "external", "software", "icebp"};
    const CpuState *st = &s->cpu.state;
    char error[24] = "", cr2[40] = "";
    if (e->has_error) {
        g_snprintf(error, sizeof(error), " e=%04x", e->error);
    }
    if (e->vector == EXC_PF && e->kind == INT_EXCEPTION) {
        g_snprintf(cr2, sizeof(cr2), " cr2=%016" G_GINT64_MODIFIER "x", st->cr2);
    }
    const char *name = event_name(e);
    log_printf("int: cpu %u %s v=%02x%s%s%s cpl=%u ip=%04x:%016" G_GINT64_MODIFIER "x sp=%04x:%016" G_GINT64_MODIFIER
               "x flags=%08x%s\n",
               s->cpu.index, kinds[e->kind], e->vector, *name ? " " : "", name, error, soft_cpl(s),
               st->seg[SEG_CS].selector, st->rip, st->seg[SEG_SS].selector, st->gpr[CPU_RSP],
               (unsigned)soft_flags(s), cr2);
}

/* ---- The black box ---- */

static void note_event(SoftCpu *s, const Event *e)
{
    const CpuState *st = &s->cpu.state;
    BoxKind kind = e->kind == INT_SOFTWARE                             ? BOX_SOFTWARE
                   : e->kind == INT_EXCEPTION || e->kind == INT_ICEBP ? BOX_EXCEPTION
                   : e->vector == EXC_NMI                             ? BOX_NMI
                                                                       : BOX_INTERRUPT;
    uint64_t detail = kind != BOX_EXCEPTION ? 0 : e->vector == EXC_PF ? st->cr2 : e->vector == EXC_DB ? st->dr[6] : 0;
    box_deliver(&s->cpu, kind, e->vector, e->has_error, e->error, detail);
}

/* ---- Handlers found as the 8086 does ---- */

/* Through a table of far pointers at `table`: the IVT in real mode, and a virtual-8086 task's own with VME.
 * `image` is what is pushed as FLAGS, `flags` what they become. */
static void deliver_by_paragraph(SoftCpu *s, uint64_t table, unsigned vector, uint64_t image, uint64_t flags)
{
    CpuState *st = &s->cpu.state;
    unsigned cpl = soft_cpl(s);
    uint64_t rip = soft_load_at(s, (uint32_t)(table + 4 * vector), 2, cpl);
    Segment cs = segment_by_paragraph(s, SEG_CS, (uint16_t)soft_load_at(s, (uint32_t)(table + 4 * vector + 2), 2, cpl));
    Stack k = stack_current(s);
    check_entry(s, &cs, rip);
    stack_push(s, &k, 2, image);
    stack_push(s, &k, 2, st->seg[SEG_CS].selector);
    stack_push(s, &k, 2, st->rip);
    stack_commit(s, &k);
    st->seg[SEG_CS] = cs;
    st->rip = rip;
    soft_set_flags(s, flags);
    soft_changed(s);
}

static void deliver_real(SoftCpu *s, const Event *e)
{
    const TableReg *idtr = &s->cpu.state.idtr;
    uint64_t flags = soft_flags(s);
    if (4u * e->vector + 3 > idtr->limit) {
        plain_fault(s, EXC_GP);
    }
    deliver_by_paragraph(s, idtr->base, e->vector, flags, flags & ~(uint64_t)(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF));
}

/* ---- Gates ---- */

static _Noreturn void idt_fault(SoftCpu *s, unsigned vector, const Event *e)
{
    soft_fault_error(s, vector, e->vector << 3 | 2 | s->delivering_external);
}

/* Type and DPL; INT n may not use a gate that its program has no right to. */
static void check_idt_gate(SoftCpu *s, const Event *e, const Descriptor *gate, unsigned types)
{
    if (descriptor_s(gate) || !(types >> descriptor_type(gate) & 1) ||
        (e->kind == INT_SOFTWARE && descriptor_dpl(gate) < soft_cpl(s))) {
        idt_fault(s, EXC_GP, e);
    }
    if (!descriptor_p(gate)) {
        idt_fault(s, EXC_NP, e);
    }
}

/* The handler's code segment; *inner: it runs at a more privileged level.  The selector's RPL becomes the
 * new CPL. */
static void handler_segment(SoftCpu *s, uint16_t selector, Descriptor *code, bool *inner)
{
    unsigned cpl = soft_cpl(s);
    descriptor_get(s, selector, code, EXC_GP);
    unsigned dpl = descriptor_dpl(code);
    bool in_long = long_active(s);
    if (!descriptor_is_code(code) || dpl > cpl || (in_long && (!segment_l(&code->seg) || segment_db(&code->seg)))) {
        selector_fault(s, EXC_GP, selector);
    }
    if (!descriptor_p(code)) {
        selector_fault(s, EXC_NP, selector);
    }
    *inner = !descriptor_conforming(code) && dpl < cpl;
    if (cpu_mode(&s->cpu.state) == CPU_VM86 && (!*inner || dpl != 0)) {
        selector_fault(s, EXC_GP, selector);
    }
    code->seg.selector = (uint16_t)((selector & ~3u) | (*inner ? dpl : cpl));
}

static void push_frame(SoftCpu *s, Stack *k, const Event *e, unsigned size, uint64_t flags)
{
    const CpuState *st = &s->cpu.state;
    stack_push(s, k, size, flags);
    stack_push(s, k, size, st->seg[SEG_CS].selector);
    stack_push(s, k, size, st->rip);
    if (e->has_error) {
        stack_push(s, k, size, e->error);
    }
}

static void enter_handler(SoftCpu *s, const Descriptor *gate, const Descriptor *code, uint64_t rip, uint64_t flags)
{
    uint64_t cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM;
    if (!(descriptor_type(gate) & 1)) { /* an interrupt gate, not a trap gate */
        cleared |= FLAG_IF;
    }
    s->cpu.state.seg[SEG_CS] = code->seg;
    s->cpu.state.rip = rip;
    soft_set_flags(s, flags & ~cleared);
    soft_changed(s);
}

/* Out of virtual-8086 mode the data segments are saved too, and null for the handler (SDM vol 3 §20.3.1). */
static void push_v86_segments(SoftCpu *s, Stack *k, unsigned size)
{
    static const uint8_t order[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};
    for (unsigned n = 0; n < sizeof(order); n++) {
        stack_push(s, k, size, s->cpu.state.seg[order[n]].selector);
    }
}

static void drop_v86_segments(SoftCpu *s)
{
    static const uint8_t regs[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};
    for (unsigned n = 0; n < sizeof(regs); n++) {
        s->cpu.state.seg[regs[n]] = segment_null(0, 0);
    }
}

/* 16- and 32-bit interrupt and trap gates (SDM vol 3 §6.12.1). */
static void deliver_gate(SoftCpu *s, const Event *e, const Descriptor *gate)
{
    CpuState *st = &s->cpu.state;
    unsigned size = descriptor_type(gate) & 8 ? 4 : 2;
    uint64_t flags = soft_flags(s), rip = size == 2 ? (uint16_t)gate_offset(gate) : gate_offset(gate);
    bool v86 = flags & FLAG_VM, inner;
    Descriptor code;
    handler_segment(s, gate_selector(gate), &code, &inner);
    Stack k = inner ? stack_from_tss(s, descriptor_dpl(&code)) : stack_current(s);
    check_entry(s, &code.seg, rip);
    if (v86) {
        push_v86_segments(s, &k, size);
    }
    if (inner) {
        stack_push(s, &k, size, st->seg[SEG_SS].selector);
        stack_push(s, &k, size, st->gpr[CPU_RSP]);
    }
    push_frame(s, &k, e, size, flags);
    descriptor_accessed(s, &code);
    if (v86) {
        drop_v86_segments(s);
    }
    st->seg[SEG_SS] = k.ss;
    stack_commit(s, &k);
    enter_handler(s, gate, &code, rip, flags);
}

static void deliver_protected(SoftCpu *s, const Event *e)
{
    enum {
        TYPES = 1 << SYSTEM_TASK_GATE | 1 << SYSTEM_INT16 | 1 << SYSTEM_TRAP16 | 1 << SYSTEM_INT | 1 << SYSTEM_TRAP
    };
    const TableReg *idtr = &s->cpu.state.idtr;
    Descriptor gate = {.at = (uint32_t)(idtr->base + 8u * e->vector)};
    if (8u * e->vector + 7 > idtr->limit) {
        idt_fault(s, EXC_GP, e);
    }
    gate.low = soft_load_system(s, gate.at, 8);
    check_idt_gate(s, e, &gate, TYPES);
    if (descriptor_type(&gate) == SYSTEM_TASK_GATE) {
        task_gate(s, gate_selector(&gate), TASK_INT, e->has_error, e->error);
    } else {
        deliver_gate(s, e, &gate);
    }
}

/* Long mode: 16-byte gates, IST, and SS:RSP always pushed, 16-byte aligned (SDM vol 3 §6.14). */
static void deliver_long(SoftCpu *s, const Event *e)
{
    CpuState *st = &s->cpu.state;
    Descriptor gate = {.at = st->idtr.base + 16u * e->vector}, code;
    bool inner;
    if (16u * e->vector + 15 > st->idtr.limit) {
        idt_fault(s, EXC_GP, e);
    }
    gate.low = soft_load_system(s, gate.at, 8);
    gate.high = soft_load_system(s, gate.at + 8, 8) & UINT32_MAX;
    check_idt_gate(s, e, &gate, 1 << SYSTEM_INT | 1 << SYSTEM_TRAP);
    handler_segment(s, gate_selector(&gate), &code, &inner);
    unsigned ist = gate.low >> 32 & 7, cpl = inner ? descriptor_dpl(&code) : soft_cpl(s);
    uint64_t flags = soft_flags(s), rip = gate_offset(&gate);
    uint64_t rsp = ist ? ist_from_tss(s, ist) : inner ? rsp_from_tss(s, cpl) : st->gpr[CPU_RSP];
    Segment ss = inner ? segment_null((uint16_t)cpl, cpl) : st->seg[SEG_SS];
    Stack k = stack_new(s, ss, rsp & ~UINT64_C(15), cpl, true);
    check_entry(s, &code.seg, rip);
    stack_push(s, &k, 8, st->seg[SEG_SS].selector);
    stack_push(s, &k, 8, st->gpr[CPU_RSP]);
    push_frame(s, &k, e, 8, flags);
    descriptor_accessed(s, &code);
    st->seg[SEG_SS] = k.ss;
    stack_commit(s, &k);
    enter_handler(s, &gate, &code, rip, flags);
}

/* ---- Any event ---- */

/* Exceptions that report an instruction which did not complete: RF in the saved flags keeps its breakpoint
 * from firing again when it is restarted (SDM vol 3 §17.3.1.1).  #DB decides for itself. */
static bool is_fault(unsigned vector)
{
    enum {
        FAULTS = 1 << EXC_DE | 1 << EXC_BR | 1 << EXC_UD | 1 << EXC_NM | 1 << EXC_TS | 1 << EXC_NP | 1 << EXC_SS | 1 << EXC_GP |
                 1 << EXC_PF | 1 << EXC_MF | 1 << EXC_AC | 1 << EXC_XM
    };
    return vector < 32 && (unsigned)FAULTS >> vector & 1;
}

/* Entering a #DB handler lets it at the debug registers, and ends branch stepping (SDM vol 3 §17.2.4,
 * 17.4.1). */
static void debug_handler_entered(SoftCpu *s)
{
    s->cpu.state.dr[7] &= ~(uint64_t)DR7_GD;
    s->cpu.state.msr.debugctl &= ~(uint64_t)(DEBUGCTL_LBR | DEBUGCTL_BTF);
}

void soft_interrupt(SoftCpu *s, unsigned vector, SoftIntKind kind, bool has_error, uint32_t error)
{
    CpuState *st = &s->cpu.state;
    Event e = {.vector = (uint8_t)vector, .kind = kind, .has_error = has_error, .error = error};
    if (kind == INT_EXCEPTION || kind == INT_EXTERNAL) {
        s->insn_rip = st->rip; /* a fault on the way is one of the interrupted instruction */
    }
    if (kind == INT_EXCEPTION && is_fault(vector)) {
        st->rflags |= FLAG_RF;
    }
    s->delivering = kind == INT_EXCEPTION ? e.vector : EXC_NONE;
    s->delivering_external = kind != INT_SOFTWARE;
    if (log_enabled(LOG_INT) && log_filtered(log_linear(s, st->rip), 1)) {
        log_event(s, &e);
    }
    note_event(s, &e);
    if (cpu_mode(st) == CPU_REAL) {
        deliver_real(s, &e);
    } else if (long_active(s)) {
        deliver_long(s, &e);
    } else {
        deliver_protected(s, &e);
    }
    box_delivered(&s->cpu);
    s->delivering = EXC_NONE;
    s->delivering_external = false;
    st->event.interrupt_shadow = 0;
    if (vector == EXC_DB && (kind == INT_EXCEPTION || kind == INT_ICEBP)) {
        debug_handler_entered(s);
    }
}

/* ---- INT n in virtual-8086 mode ---- */

/* The bit for `vector` in the software interrupt redirection bitmap, the 32 bytes below the I/O bitmap (SDM
 * vol 3 §20.3.3); what lies beyond the limit reads as "not redirected". */
static bool v86_to_monitor(SoftCpu *s, unsigned vector)
{
    const Segment *tr = &s->cpu.state.seg[SEG_TR];
    enum { IO_MAP_BASE = 0x66, REDIRECTION = 32 };
    if (segment_unusable(tr) || !(segment_type(tr) & 8) || tr->limit < IO_MAP_BASE + 1) {
        return true;
    }
    uint32_t map = (uint32_t)soft_load_system(s, (uint32_t)(tr->base + IO_MAP_BASE), 2);
    uint32_t at = map - REDIRECTION + vector / 8;
    if (map < REDIRECTION || at > tr->limit) {
        return true;
    }
    return soft_load_system(s, (uint32_t)(tr->base + at), 1) >> (vector & 7) & 1;
}

/* The program's own handler: IOPL 3 as on an 8086; below it the flags that it sees have VIF for IF (table
 * 20-2, methods 5, 6). */
static void v86_own_handler(SoftCpu *s, unsigned vector)
{
    uint64_t flags = soft_flags(s), image = flags, after = flags & ~(uint64_t)(FLAG_TF | FLAG_RF);
    if ((flags & FLAG_IOPL) == FLAG_IOPL) {
        after &= ~(uint64_t)FLAG_IF;
    } else {
        image = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
        after &= ~(uint64_t)FLAG_VIF;
    }
    deliver_by_paragraph(s, 0, vector, image, after);
}

void interrupt_int_n(SoftCpu *s, unsigned vector)
{
    const CpuState *st = &s->cpu.state;
    if (cpu_mode(st) == CPU_VM86) {
        if (st->cr4 & CR4_VME && !v86_to_monitor(s, vector)) {
            v86_own_handler(s, vector);
            return;
        }
        if ((st->rflags & FLAG_IOPL) != FLAG_IOPL) {
            plain_fault(s, EXC_GP);
        }
    }
    soft_interrupt(s, vector, INT_SOFTWARE, false, 0);
}

/* ---- Exceptions ---- */

/* Classes of SDM vol 3 table 6-4. */
typedef enum FaultClass { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE } FaultClass;

static FaultClass fault_class(unsigned vector)
{
    switch (vector) {
    case EXC_DE: case EXC_TS: case EXC_NP: case EXC_SS: case EXC_GP: return CLASS_CONTRIBUTORY;
    case EXC_PF: return CLASS_PAGE_FAULT;
    case EXC_DF: return CLASS_DOUBLE;
    default: return CLASS_BENIGN;
    }
}

/* Table 6-5: what becomes of `second` while `first` was being delivered. */
static unsigned combined(unsigned first, unsigned second)
{
    FaultClass a = first == EXC_NONE ? CLASS_BENIGN : fault_class(first), b = fault_class(second);
    bool both = a == CLASS_CONTRIBUTORY ? b == CLASS_CONTRIBUTORY : a != CLASS_BENIGN && b != CLASS_BENIGN;
    if (!both) {
        return second;
    }
    return a == CLASS_DOUBLE ? EXC_NONE : EXC_DF;
}

/* B0-B3 tell of this event, the others stay until software clears them (SDM vol 3 §17.2.3). */
static void dr6_put(SoftCpu *s, uint64_t bits)
{
    uint64_t *dr6 = &s->cpu.state.dr[6];
    *dr6 = (*dr6 & ~(uint64_t)DR6_TRAPS) | (bits & (DR6_TRAPS | DR6_SET)) | DR6_ONES;
}

static void shut_down(SoftCpu *s)
{
    if (log_enabled(LOG_INT)) {
        log_printf("int: cpu %u triple fault at %04x:%016" G_GINT64_MODIFIER "x\n", s->cpu.index,
                   s->cpu.state.seg[SEG_CS].selector, s->cpu.state.rip);
    }
    box_shutdown(&s->cpu, BOX_TRIPLE_FAULT);
    s->triple = true;
}

void soft_take_fault(SoftCpu *s)
{
    SoftFault f = s->fault;
    unsigned vector = combined(s->delivering, f.vector);
    box_fault(&s->cpu, f.vector, f.has_error, f.error, f.payload);
    s->delivering = EXC_NONE;
    s->delivering_external = false;
    if (f.vector == EXC_PF) {
        s->cpu.state.cr2 = f.payload;
        if (log_enabled(LOG_MMU)) {
            box_log_page_fault(&s->cpu, f.payload, f.error);
        }
    } else if (f.vector == EXC_DB) {
        dr6_put(s, f.payload);
        if (!(f.payload & DR6_TRAPS)) { /* general detect is a fault as others; a breakpoint on the instruction leaves RF */
            s->cpu.state.rflags |= FLAG_RF;
        }
    }
    if (vector == EXC_NONE) {
        shut_down(s);
    } else if (vector != f.vector) {
        soft_interrupt(s, vector, INT_EXCEPTION, true, 0);
    } else {
        soft_interrupt(s, vector, INT_EXCEPTION, f.has_error, f.error);
    }
}

void soft_debug_trap(SoftCpu *s, uint64_t dr6)
{
    dr6_put(s, dr6);
    soft_interrupt(s, EXC_DB, INT_EXCEPTION, false, 0);
}
