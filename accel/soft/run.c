/* The loop around blocks: faults come here, events go out from here, between instructions as SDM vol 3 §6.9 orders them. */
#include "accel/soft/run.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "accel/soft/debug.h"
#include "accel/soft/tlb.h"
#include "accel/soft/uop.h"
#include "core/log.h"
#include "core/loop.h"
#include "cpu/blackbox/ring.h"
#include "hw/platform.h"

enum { DEBUGCTL_BTF = 1 << 1, MXCSR_MASKS = 0x1f80 };

/* ---- Faults ---- */

static _Noreturn void raise_fault(SoftCpu *s, SoftFault f)
{
    s->fault = f;
    soft_bus_unlock();
    siglongjmp(s->jump, 1);
}

void soft_fault(SoftCpu *s, unsigned vector)
{
    raise_fault(s, (SoftFault){.vector = (uint8_t)vector});
}

void soft_fault_error(SoftCpu *s, unsigned vector, uint32_t error)
{
    raise_fault(s, (SoftFault){.vector = (uint8_t)vector, .has_error = true, .error = error});
}

void soft_page_fault(SoftCpu *s, uint64_t linear, uint32_t error)
{
    raise_fault(s, (SoftFault){.vector = EXC_PF, .has_error = true, .error = error, .payload = linear});
}

void soft_decline(SoftCpu *s)
{
    raise_fault(s, (SoftFault){.vector = EXC_DECLINED});
}

void soft_restart(SoftCpu *s)
{
    raise_fault(s, (SoftFault){.vector = EXC_NONE});
}

void soft_poll(SoftCpu *s, unsigned why)
{
    atomic_fetch_or(&s->poll, why);
}

/* ---- Mode ---- */

static bool flat_segment(const Segment *g)
{
    return !g->base && g->limit == UINT32_MAX && segment_s(g) && segment_p(g) && !segment_unusable(g) &&
           (segment_type(g) & (SEGMENT_CODE | SEGMENT_EXPAND_DOWN | SEGMENT_WRITABLE)) == SEGMENT_WRITABLE;
}

static uint32_t mode_of(const CpuState *c)
{
    CpuMode m = cpu_mode(c);
    unsigned code = cpu_code_size(c), stack = cpu_stack_size(c);
    uint32_t mode = code == 64 ? MODE_64 : code == 32 ? MODE_32 : MODE_16;
    mode |= stack == 64 ? MODE_STACK_64 : stack == 32 ? MODE_STACK_32 : MODE_STACK_16;
    if (code == 64) {
        mode |= MODE_FLAT_DATA | MODE_FLAT_STACK | MODE_FLAT_CODE;
    } else {
        const Segment *cs = &c->seg[SEG_CS];
        mode |= flat_segment(&c->seg[SEG_DS]) && flat_segment(&c->seg[SEG_ES]) ? MODE_FLAT_DATA : 0;
        mode |= flat_segment(&c->seg[SEG_SS]) ? MODE_FLAT_STACK : 0;
        mode |= !cs->base && cs->limit == UINT32_MAX ? MODE_FLAT_CODE : 0;
    }
    mode |= c->cr0 & CR0_EM ? MODE_FPU_EM : 0;
    mode |= c->cr0 & CR0_TS ? MODE_FPU_TS : 0;
    mode |= c->cr0 & CR0_MP ? MODE_FPU_MP : 0;
    mode |= c->cr4 & CR4_OSFXSR ? MODE_SSE : 0;
    mode |= c->cr4 & CR4_OSXSAVE && (c->xcr0 & (XSTATE_SSE | XSTATE_AVX)) == (XSTATE_SSE | XSTATE_AVX) ? MODE_AVX : 0;
    mode |= m == CPU_REAL || m == CPU_VM86 ? 0 : MODE_PROTECTED;
    mode |= m == CPU_VM86 ? MODE_V86 : 0;
    mode |= cpu_cpl(c) == 3 ? MODE_USER : 0;
    mode |= (c->fpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS ? MODE_MXCSR : 0;
    return mode;
}

static void set_mode(SoftCpu *s, uint32_t mode)
{
    s->mode = mode;
    s->jump_key = (s->jump_key & ~UINT64_C(0xffffffff)) | mode;
}

static void refresh_mode(SoftCpu *s)
{
    const CpuState *c = &s->cpu.state;
    s->mode_stale = false;
    uint32_t old = s->plain_mode;
    s->plain_mode = mode_of(c);
    if ((old ^ s->plain_mode) & (MODE_SIZE | MODE_PROTECTED | MODE_V86)) { /* what else makes a mode is in CR0 */
        box_mode(&s->cpu);
    }
    bool wide = (s->plain_mode & MODE_SIZE) == MODE_64;
    s->ea_mask = wide ? UINT64_MAX : UINT32_MAX;
    s->canonical_shift = !wide ? 0 : c->cr4 & CR4_LA57 ? 7 : 16;
    if (s->code_limit != c->seg[SEG_CS].limit) { /* jumps remember that their targets lie within it */
        s->code_limit = c->seg[SEG_CS].limit;
        block_forget_jumps(s);
    }
    tlb_select(s);
    set_mode(s, s->plain_mode);
}

void soft_set_flags(SoftCpu *s, uint64_t value)
{
    uint64_t *flags = &s->cpu.state.rflags;
    if ((*flags ^ value) & (FLAG_TF | FLAG_VM | FLAG_AC | FLAG_RF)) {
        soft_changed(s);
    }
    *flags = value | FLAG_ONE;
    soft_set_cc(s, value);
}

/* ---- State in and out ---- */

void soft_sync_out(SoftCpu *s)
{
    s->cpu.state.rflags = soft_flags(s);
    borrow_mxcsr_read(s);
    if (s->in_block && s->cur && s->cur->fn != exec_op && s->cur->fn != exec_op_end) {
        s->cpu.state.rip = s->insn_rip;
    }
}

void soft_sync_in(SoftCpu *s)
{
    soft_set_cc(s, s->cpu.state.rflags);
    box_mode(&s->cpu);
    s->cpu.memory = s->cpu.state.event.smm && platform.smm_space ? platform.smm_space : space_memory();
    s->tlb->limits = paging_limits(&s->cpu);
    tlb_forget_map(s);
    soft_changed(s);
    soft_debug_moved(s);
}

/* ---- Events ---- */

static void accept_nmi(SoftCpu *s)
{
    CpuEvents *e = &s->cpu.state.event;
    if (atomic_load(&s->cpu.events) & CPU_EVENT_NMI) {
        cpu_lower(&s->cpu, CPU_EVENT_NMI);
        e->nmi_pending = 1;
    }
    if (e->nmi_pending && !e->nmi_masked) {
        e->nmi_pending--;
        e->nmi_masked = true;
        soft_interrupt(s, EXC_NMI, INT_EXTERNAL, false, 0);
    }
}

static void accept_interrupt(SoftCpu *s)
{
    loop_lock();
    int vector = cpu_platform.interrupt ? cpu_platform.interrupt(&s->cpu) : -1;
    loop_unlock();
    if (vector >= 0) {
        soft_interrupt(s, (unsigned)vector, INT_EXTERNAL, false, 0);
    }
}

static void machine_check(SoftCpu *s)
{
    cpu_lower(&s->cpu, CPU_EVENT_MCE);
    if (s->cpu.state.cr4 & CR4_MCE) {
        soft_interrupt(s, EXC_MC, INT_EXCEPTION, false, 0);
    } else {
        box_shutdown(&s->cpu, BOX_MACHINE_CHECK);
        s->triple = true; /* a machine check that nobody takes shuts the processor down (SDM vol 3 §15.3.2) */
    }
}

/* Exceptions that others have put into the state: a debugger, a snapshot, KVM before a rescue. */
static void accept_injected(SoftCpu *s)
{
    CpuEvents *e = &s->cpu.state.event;
    if (e->exception_pending || e->exception_injected) {
        e->exception_pending = e->exception_injected = false;
        s->fault = (SoftFault){.vector = e->exception_vector, .has_error = e->exception_has_error,
                               .error = e->exception_error, .payload = e->exception_payload};
        if (!e->exception_has_payload && e->exception_vector == EXC_PF) {
            s->fault.payload = s->cpu.state.cr2;
        }
        soft_take_fault(s);
    } else if (e->interrupt_injected) {
        e->interrupt_injected = false;
        soft_interrupt(s, e->interrupt_vector, e->interrupt_soft ? INT_SOFTWARE : INT_EXTERNAL, false, 0);
    } else if (e->nmi_injected) {
        e->nmi_injected = false;
        e->nmi_masked = true;
        soft_interrupt(s, EXC_NMI, INT_EXTERNAL, false, 0);
    }
}

static bool any_injected(const CpuEvents *e)
{
    return e->exception_pending || e->exception_injected || e->interrupt_injected || e->nmi_injected;
}

/* What may come between two instructions.  False: the CPU sleeps. */
static bool take_events(SoftCpu *s)
{
    Cpu *c = &s->cpu;
    CpuEvents *e = &c->state.event;
    s->insn_rip = c->state.rip;
    if (G_UNLIKELY(any_injected(e))) {
        accept_injected(s);
    }
    unsigned events = atomic_load(&c->events);
    bool interrupts = c->state.rflags & FLAG_IF;
    if (G_UNLIKELY(c->halted)) {
        if (s->singly & SINGLY_NO_IRQ && !(events & CPU_EVENT_MCE)) {
            return false;
        }
        bool nmi = (events & CPU_EVENT_NMI || e->nmi_pending) && !e->nmi_masked;
        if (!nmi && !(events & (CPU_EVENT_SMI | CPU_EVENT_MCE)) && !e->smi_pending && !(events & CPU_EVENT_INTR && interrupts)) {
            return false;
        }
        if (!(events & CPU_EVENT_SMI) && !e->smi_pending) { /* an SMI tells RSM where it came from */
            c->halted = false;
        }
    }
    if (!events && !e->smi_pending && !e->nmi_pending) {
        return true;
    }
    if (G_UNLIKELY(s->singly & SINGLY_NO_IRQ) && !(events & CPU_EVENT_MCE)) {
        return true;
    }
    if (events & CPU_EVENT_MCE) {
        machine_check(s);
    } else if ((events & CPU_EVENT_SMI || e->smi_pending) && !e->smm && !e->interrupt_shadow) {
        cpu_lower(c, CPU_EVENT_SMI);
        e->smi_pending = false;
        soft_enter_smm(s);
        c->halted = false;
    } else if (events & CPU_EVENT_SMI && e->smm) {
        cpu_lower(c, CPU_EVENT_SMI);
        e->smi_pending = true;
    } else if ((events & CPU_EVENT_NMI || e->nmi_pending) && !(e->interrupt_shadow & SHADOW_MOV_SS)) {
        accept_nmi(s);
    }
    if (atomic_load(&c->events) & CPU_EVENT_INTR && c->state.rflags & FLAG_IF && !e->interrupt_shadow &&
        !(s->singly & SINGLY_NO_IRQ)) {
        s->insn_rip = c->state.rip;
        accept_interrupt(s);
    }
    return true;
}

/* False: a debugger wants the CPU to stop. */
static bool process_poll(SoftCpu *s)
{
    unsigned why = atomic_exchange(&s->poll, 0);
    if (why & POLL_FLUSH) {
        mem_quiescent();
        tlb_forget_map(s);
    }
    if (why & POLL_CODE) {
        block_process_inbox(s);
    }
    s->cpu.state_valid = false;
    return !(why & POLL_DEBUG) || !soft_debug_serve(s);
}

/* ---- One instruction at a time: TF, breakpoints, shadows ---- */

static bool breakpoint_here(const SoftCpu *s)
{
    const CpuState *c = &s->cpu.state;
    uint64_t linear = cpu_linear_ip(c);
    for (unsigned i = 0; i < 4 && !(c->rflags & FLAG_RF); i++) {
        bool enabled = c->dr[7] >> (2 * i) & 3, execute = !(c->dr[7] >> (16 + 4 * i) & 3);
        if (enabled && execute && c->dr[i] == linear) {
            return true;
        }
    }
    return false;
}

static uint64_t breakpoints_at(const SoftCpu *s, uint64_t linear)
{
    const CpuState *c = &s->cpu.state;
    uint64_t hit = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (!(c->dr[7] >> (16 + 4 * i) & 3) && c->dr[i] == linear) {
            hit |= 1u << i;
        }
    }
    return hit;
}

/* DR6 bits of the traps that this instruction has earned. */
static uint64_t traps_after(SoftCpu *s, bool stepping, const Block *b, uint64_t old_rip)
{
    const CpuState *c = &s->cpu.state;
    uint64_t dr6 = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (s->watch_hit >> i & 1 && c->dr[7] >> (2 * i) & 3) {
            dr6 |= s->watch_hit;
        }
    }
    s->watch_hit = 0;
    bool taken = c->rip != old_rip + b->size;
    if (stepping && (taken || !(c->msr.debugctl & DEBUGCTL_BTF))) {
        dr6 |= DR6_BS;
    }
    return dr6;
}

static ZydisMnemonic only_insn(const Block *b)
{
    const Uop *u = &b->uops[1];
    return u->fn == exec_op_end ? ((const OpInsn *)u->ptr)->insn.mnemonic : ZYDIS_MNEMONIC_INVALID;
}

/* INT n and its kin clear TF on their way and are not followed by a trap (SDM vol 3 §18.3.1.4); SYSCALL and SYSRET see
 * to theirs themselves. */
static bool steps_itself(const SoftCpu *s, const Block *b)
{
    switch (only_insn(b)) {
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSRET: return true;
    case ZYDIS_MNEMONIC_INTO: return s->cc & 1; /* OF */
    default: return false;
    }
}

static void run_block(SoftCpu *s, Block *b)
{
    const Uop *u = b->uops;
    s->block = b;
    s->rip_base = b->rip;
    s->counted = false;
    s->in_block = true;
    while (u) {
        u = u->fn(s, u);
    }
    s->in_block = false;
}

static void run_single(SoftCpu *s)
{
    CpuState *c = &s->cpu.state;
    uint64_t old_rip = c->rip, flags = c->rflags;
    if (G_UNLIKELY(s->debug) && !soft_debug_begin(s)) {
        return;
    }
    s->insn_rip = old_rip;
    /* Behind MOV SS Intel's holds code breakpoints back too (SDM vol 3 §6.8.3), AMD's does not. */
    bool held = c->event.interrupt_shadow & SHADOW_MOV_SS && !(s->cpu.model && model_is_amd(s->cpu.model));
    if (G_UNLIKELY(c->dr[7] & 0xff) && !held && breakpoint_here(s)) {
        s->fault = (SoftFault){.vector = EXC_DB, .payload = breakpoints_at(s, cpu_linear_ip(c))};
        soft_take_fault(s);
        if (G_UNLIKELY(s->debug)) {
            soft_debug_end(s);
        }
        return;
    }
    set_mode(s, s->plain_mode | MODE_SINGLE);
    Block *b = block_find(s);
    bool stepping = flags & FLAG_TF && !steps_itself(s, b);
    uint8_t shadow = c->event.interrupt_shadow;
    c->event.interrupt_shadow = 0;
    s->watch_hit = 0;
    if (s->held_hits && only_insn(b) == ZYDIS_MNEMONIC_INT1) { /* it is the #DB that tells of them */
        c->dr[6] |= s->held_hits;
        s->held_hits = 0;
    }
    if (s->left < 1) { /* counted all the same: it is one that an event asks for */
        s->left = 1;
    }
    run_block(s, b);
    if (c->rip == old_rip && !s->counted) { /* a poll came first: nothing was done */
        c->event.interrupt_shadow = shadow;
        return;
    }
    if (flags & FLAG_RF && c->rflags & FLAG_RF && !s->mode_stale) {
        c->rflags &= ~(uint64_t)FLAG_RF;
    }
    uint64_t dr6 = traps_after(s, stepping, b, old_rip) | s->held_hits;
    s->held_hits = 0;
    if (c->event.interrupt_shadow & SHADOW_MOV_SS) { /* no traps behind it (SDM vol 3 §6.8.3); the single step is lost */
        s->held_hits = dr6 & 0xf;
    } else if (dr6) {
        s->cpu.halted = false; /* HLT was the instruction: the trap ends it */
        s->insn_rip = c->rip;
        soft_debug_trap(s, dr6);
    }
    if (G_UNLIKELY(s->debug)) {
        soft_debug_end(s);
    }
}

/* ---- The loop ---- */

static bool wanted(const Cpu *c)
{
    return atomic_load(&c->kicked) || atomic_load(&c->events) & (CPU_EVENT_RESET | CPU_EVENT_INIT | CPU_EVENT_SIPI);
}

static bool needs_single(SoftCpu *s)
{
    CpuState *c = &s->cpu.state;
    if (c->rflags & FLAG_RF && !(c->dr[7] & 0xff)) {
        c->rflags &= ~(uint64_t)FLAG_RF; /* nobody is there to be held off */
    }
    return s->singly || c->rflags & FLAG_TF || c->event.interrupt_shadow || c->dr[7] & 0xff ||
           (s->counting && s->left < s->short_budget);
}

/* A fault in a block that was counted as a whole: what comes behind the faulting instruction was not run. */
static void uncount(SoftCpu *s)
{
    if (s->in_block && s->counted && s->cur) {
        unsigned undone = s->block->insns - s->cur->aux - 1;
        s->left += undone;
        s->count -= undone;
    } else if (!s->in_block && (s->counting || s->stepping)) { /* it was not fetched: something must count, lest a handler that */
        s->left--;                                             /* cannot be fetched either keeps us here */
        s->count++;
    }
    s->in_block = false;
}

SoftExit soft_execute(SoftCpu *s)
{
    Cpu *c = &s->cpu;
    if (sigsetjmp(s->jump, 0)) {
        uncount(s);
        c->state.rip = s->insn_rip;
        c->state.event.interrupt_shadow = 0;
        bool fault = s->fault.vector != EXC_NONE;
        if (G_UNLIKELY(s->debug)) {
            soft_debug_faulted(s);
        }
        if ((fault && s->catch_faults) || (G_UNLIKELY(s->declines != NULL) && s->declines(s))) {
            box_delivered(c);
            s->delivering = EXC_NONE;
            s->delivering_external = false;
            return SOFT_FAULT;
        }
        if (fault) {
            soft_take_fault(s);
            if (G_UNLIKELY(s->debug)) {
                soft_debug_end(s);
            }
        }
    }
    for (;;) {
        if (G_UNLIKELY(s->triple)) {
            return SOFT_TRIPLE;
        }
        if (atomic_load_explicit(&s->poll, memory_order_relaxed)) {
            if (!process_poll(s)) {
                return SOFT_DEBUG;
            }
        }
        if (!s->stepping && wanted(c)) {
            return SOFT_WANTED;
        }
        if (!take_events(s)) {
            return soft_debug_halted(s) ? SOFT_DEBUG : SOFT_HALTED;
        }
        if ((s->counting || s->stepping) && (s->left <= 0 || s->recheck)) {
            if (s->left <= 0 || !s->stepping) {
                s->recheck = false;
                return SOFT_COUNTED;
            }
        }
        if (G_UNLIKELY(s->logged != (log_mask & (LOG_EXEC | LOG_CPU)))) { /* they came or went: blocks are made for them */
            s->logged = log_mask & (LOG_EXEC | LOG_CPU);
            block_flush(s);
        }
        if (s->mode_stale) {
            refresh_mode(s);
        }
        if (G_UNLIKELY(needs_single(s))) {
            run_single(s);
            s->mode_stale = true;
            continue;
        }
        if (G_UNLIKELY(s->mode & MODE_SINGLE)) {
            set_mode(s, s->plain_mode);
        }
        run_block(s, block_find(s));
    }
}

SoftStep soft_step(SoftCpu *s, unsigned n, bool catch)
{
    s->stepping = true;
    s->singly |= SINGLY_STEP;
    s->catch_faults = catch;
    s->left = n;
    borrow_enter(s);
    SoftExit e = soft_execute(s);
    borrow_leave(s);
    s->stepping = s->catch_faults = false;
    s->singly &= ~SINGLY_STEP;
    soft_sync_out(s);
    s->cpu.state_valid = true;
    return e == SOFT_FAULT ? STEP_FAULT : e == SOFT_HALTED ? STEP_HALTED : e == SOFT_TRIPLE ? STEP_TRIPLE : STEP_DONE;
}
