/* Instructions that KVM does not get past, executed by the software CPU. */
#include "accel/kvm/rescue.h"

#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "accel/debug.h"
#include "accel/kvm/kvm.h"
#include "accel/soft/debug.h"
#include "accel/soft/decode.h"
#include "accel/soft/op/tsc.h"
#include "accel/soft/run.h"
#include "accel/soft/tlb.h"
#include "accel/soft/uop.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "cpu/disas.h"
#include "cpu/msr.h"

enum {
    /* Instructions of a stretch: a millisecond or two; where interrupts wait in the kernel meanwhile; where KVM emulates. */
    LONGEST = 1 << 17,
    LONGEST_BLIND = 1 << 12,
    LONGEST_EMULATED = 1 << 20,
    SINGLY = 64,        /* the longest block: with less left, one instruction at a time */
    /* KVM should run for WORTH times of what handing over costs; where it ran for ENOUGH times, the next rescue is one instruction
     * again.  Where it emulates it is the slower one, and milliseconds are a short time. */
    WORTH = 4,
    ENOUGH = 64,
    EMULATED_COST_NS = 5000000,
    WATCH_NS = 4000000, /* from one look at a KVM that emulates to the next, at first and at last */
    WATCH_MAX_NS = 128000000,
    PATIENCE = 16,      /* rescues that change nothing, before it is called a failure */
};

static bool off;

bool kvm_rescue_option(const char *value, GError **error)
{
    if (strcmp(value, "on") && strcmp(value, "off")) {
        return error_fail(error, "-accel kvm: rescue=%s is not one of on, off", value);
    }
    off = !strcmp(value, "off");
    return true;
}

void kvm_rescue_debug(Cpu *c)
{
    if (!off && soft_cpu(c)->tlb) {
        soft_debug_apply(soft_cpu(c));
    }
}

bool kvm_rescue_stays(void)
{
    return !off && kvm.emulates && kvm.irqchip == IRQCHIP_OFF;
}

void kvm_rescue_start(void)
{
    if (off) {
        return;
    }
    soft_prepare();
    /* Without this the guest's own code gets #UD for what KVM's emulator lacks, and only its kernel's failures come here. */
    if (kvm_extension(KVM_CAP_EXIT_ON_EMULATION_FAILURE)) {
        kvm_enable_cap(KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1, 0);
    }
    if (kvm.emulates) {
        kvm_shadow_start();
    }
}

const KvmRescue *kvm_rescue_counts(const Cpu *c)
{
    return accel == &kvm_accel && !off && c->accel ? &kvm_cpu(c)->rescue : NULL;
}

/* ---- What is not for the software CPU ---- */

static size_t code_at(Cpu *c, uint64_t rip, uint8_t bytes[DISAS_MAX_LENGTH])
{
    size_t n = 0;
    uint64_t linear = cpu_mode(&c->state) == CPU_LONG ? rip : (uint32_t)(c->state.seg[SEG_CS].base + rip);
    loop_lock();
    while (n < DISAS_MAX_LENGTH && cpu_memory_debug(c, linear + n, &bytes[n], 1, false)) {
        n++;
    }
    loop_unlock();
    return n;
}

/* Whether the bytes are an instruction of a kind that the software CPU does not have at all, while the guest's model or KVM may. */
static bool is_foreign(Cpu *c, uint64_t rip)
{
    uint8_t bytes[DISAS_MAX_LENGTH];
    size_t n = code_at(c, rip, bytes);
    ZydisDecoder decoder;
    ZydisDecodedInstruction i;
    if (cpu_mode(&c->state) == CPU_LONG) {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    } else if (cpu_code_size(&c->state) == 32) {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    } else {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    }
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, n, &i))) {
        return false;
    }
    switch (i.mnemonic) {
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2: return false;
    default: break;
    }
    if (i.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX || i.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX ||
        i.meta.isa_ext == ZYDIS_ISA_EXT_AVX512VEX || i.meta.isa_ext == ZYDIS_ISA_EXT_AMD_INVLPGB) {
        return true;
    }
    Insn insn;
    SoftCpu *s = soft_cpu(c);
    return insn_decode_as(&insn, bytes, n, s->mode, rip, s->code->traits) == DECODE_OK && !insn_op(&insn) &&
           !borrow_stub(s, &insn, s->mode);
}

/* What KVM does not run at all without hardware behind it: paging other than long mode's. */
static bool cannot_run(const Cpu *c)
{
    return kvm.emulates && cpu_paging(&c->state) && !cpu_long_active(&c->state);
}

static bool is_debugged(const Cpu *c)
{
    return debug_wanted() || debug_stepping(c);
}

/* Such a KVM gets more wrong in protected mode without asking us: INT n of 16- and 32-bit programs is #UD there, SYSCALL of 64-bit
 * ones leaves them in user mode, CPUID has features of the host that the guest was not given.  So a CPU that came here in protected
 * mode stays until it is back in real mode, if it gets its interrupts here.  The others than the first are in their kernel's 64-bit
 * code microseconds after SIPI, before any timer has looked at them: they begin here.  So does what is debugged: there breakpoints
 * need no memory, watchpoints no registers, and INT3 is one. */
static bool must_stay(const Cpu *c)
{
    return kvm_rescue_stays() && (c->state.cr0 & CR0_PE || !c->is_bsp || is_debugged(c));
}

static bool is_guest(SoftCpu *s)
{
    return !must_stay(&s->cpu);
}

/* Nothing has been done since KVM failed, and the instruction is the one that it failed at. */
static bool at_start(const SoftCpu *s, bool faulted)
{
    const KvmRescue *r = &kvm_cpu(&s->cpu)->rescue;
    return !r->progress && s->count - r->from <= faulted && cpu_linear_ip(&s->cpu.state) == r->failed_at;
}

/* Whether an instruction exists depends on CPUID, which KVM knows best, unless it has given up at this one. */
static bool declines(SoftCpu *s)
{
    if (s->fault.vector != EXC_UD || must_stay(&s->cpu)) {
        return s->fault.vector == EXC_DECLINED;
    }
    return !at_start(s, true) || is_foreign(&s->cpu, s->cpu.state.rip);
}

static void apic_access(SoftCpu *s, unsigned offset, bool write)
{
    enum { ICR_LOW = 0x300 };
    if (kvm.irqchip != IRQCHIP_OFF) {
        soft_decline(s);
    }
    if (write && offset == ICR_LOW) { /* others may be told to forget a page that was changed here */
        kvm_shadow_forget();
    }
}

/* ---- In and out ---- */

static uint64_t kernel_tsc(Cpu *c)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } m = {.head.nmsrs = 1, .entry.index = MSR_TSC};
    return kvm_cpu_ioctl(c, KVM_GET_MSRS, (uintptr_t)&m) == 1 ? m.entry.data : c->state.msr.tsc;
}

/* While a debugger steps and time stands still (DEBUG_STEP_NOTIMER), what was counted last holds. */
static void follow_tsc(Cpu *c, uint64_t now)
{
    if (clock_held()) {
        return;
    }
    soft_tsc_follow(soft_cpu(c), now, kvm_cpu(c)->rescue.tsc_hz);
}

/* False: there is no room for a software CPU. */
static bool set_up(Cpu *c)
{
    SoftCpu *s = soft_cpu(c);
    if (!s->tlb) {
        loop_lock();
        bool ok = soft_cpu_setup(c, NULL);
        loop_unlock();
        if (!ok) {
            return false;
        }
        block_unheard(s);
        s->counting = true;
        s->short_budget = SINGLY;
        s->is_guest = is_guest;
        s->declines = declines;
        s->apic_access = apic_access;
        int khz = kvm_cpu_ioctl(c, KVM_GET_TSC_KHZ, 0);
        kvm_cpu(c)->rescue.tsc_hz = khz > 0 ? (uint64_t)khz * 1000 : 0;
        loop_lock();
        kvm_rescue_debug(c);
        loop_unlock();
    }
    return true;
}

/* Registers are complete in CpuState.  Translations and what is known of code date from before KVM ran. */
static void take_over(Cpu *c)
{
    SoftCpu *s = soft_cpu(c);
    KvmRescue *r = &kvm_cpu(c)->rescue;
    atomic_store(&s->code->dormant, false);
    soft_sync_in(s);
    block_unlink(s);
    s->recheck = s->triple = false;
    s->delivering = EXC_NONE;
    r->running = true;
    c->state_valid = false;
    borrow_enter(s);
}

static void hand_over(Cpu *c)
{
    SoftCpu *s = soft_cpu(c);
    KvmRescue *r = &kvm_cpu(c)->rescue;
    borrow_leave(s);
    soft_sync_out(s);
    r->running = false;
    atomic_store(&s->code->dormant, true);
    c->state.msr.tsc = soft_tsc(s);
    kvm_tsc_noted(c);
    c->memory = space_memory(); /* KVM's exits say for themselves whether they come from SMM */
    c->state_valid = c->state_dirty = true;
}

/* ---- A stretch ---- */

static bool same_registers(const CpuState *a, const CpuState *b)
{
    return a->rip == b->rip && a->rflags == b->rflags && !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) &&
           a->seg[SEG_CS].selector == b->seg[SEG_CS].selector;
}

/* What the loop of the software CPU came back with; false: nobody can execute the next instruction. */
static bool conclude(Cpu *c, SoftExit e, RunResult *result)
{
    KvmRescue *r = &kvm_cpu(c)->rescue;
    *result = RUN_AGAIN;
    switch (e) {
    case SOFT_WANTED: return true; /* what is left is done when the thread comes back */
    case SOFT_HALTED:
        if (kvm.irqchip == IRQCHIP_OFF) {
            *result = RUN_HALTED;
        } else {
            r->left = 0; /* the kernel knows what ends the halt */
        }
        return true;
    case SOFT_DEBUG: *result = RUN_STOPPED; return true;
    case SOFT_TRIPLE:
        r->left = 0;
        soft_cpu(c)->triple = false;
        *result = run_triple_fault(c);
        return true;
    case SOFT_FAULT:
        r->left = 0;
        r->declined++;
        return r->progress && !must_stay(c);
    default: r->left = 0; return true;
    }
}

/* False: a device was accessed, where the clock is looked at when it counts instructions too, or the CPU has to stay. */
static bool is_over(SoftCpu *s, SoftExit e)
{
    if (e == SOFT_COUNTED && s->left <= 0 && must_stay(&s->cpu)) {
        s->left = LONGEST_EMULATED;
    }
    return e != SOFT_COUNTED || s->left <= 0;
}

static bool run_stretch(Cpu *c, RunResult *result)
{
    SoftCpu *s = soft_cpu(c);
    KvmRescue *r = &kvm_cpu(c)->rescue;
    SoftExit e;
    r->from = s->count;
    bool paging = cpu_paging(&c->state);
    take_over(c);
    if (kvm_cpu(c)->debug.over) { /* its trace points have been called */
        soft_debug_told(s);
    }
    s->left = r->left;
    do {
        e = soft_execute(s);
        mem_quiescent();
    } while (!is_over(s, e));
    hand_over(c);
    r->left = s->left <= 0 && must_stay(c) ? LONGEST_EMULATED : s->left;
    uint64_t n = s->count - r->from - (e == SOFT_FAULT && s->count > r->from);
    r->instructions += n;
    r->progress |= e != SOFT_WANTED && !at_start(s, e == SOFT_FAULT);
    if (paging || cpu_paging(&c->state)) {
        kvm_shadow_forget();
    }
    TRACE(kvm_rescue_end, "cpu%u: %u after %" PRIu64 " at %04x:%" PRIx64 " cpl %u", c->index, e, n, c->state.seg[SEG_CS].selector,
          c->state.rip, cpu_cpl(&c->state));
    bool ok = conclude(c, e, result);
    if (r->left <= 0) {
        r->left = 0;
        r->given_back = clock_now(CLOCK_RT);
    }
    return ok;
}

bool kvm_rescue_go_on(Cpu *c, RunResult *result)
{
    KvmRescue *r = &kvm_cpu(c)->rescue;
    *result = RUN_AGAIN;
    /* It was reset, and the kernel keeps it waiting; or there are breakpoints now, which are KVM's. */
    if (c->wait_sipi || (is_debugged(c) && !must_stay(c) && !cannot_run(c))) {
        r->left = 0;
        return true;
    }
    follow_tsc(c, kernel_tsc(c));
    return run_stretch(c, result);
}

/* ---- When KVM fails ---- */

/* Doubled while KVM fails again before it has earned what handing over costs. */
static unsigned next_stretch(Cpu *c, int64_t now)
{
    KvmRescue *r = &kvm_cpu(c)->rescue;
    int64_t ran = now - r->given_back, cost = kvm.emulates ? EMULATED_COST_NS : MAX(2 * r->fetch_cost, 1);
    unsigned longest = kvm.emulates ? LONGEST_EMULATED : LONGEST;
    unsigned n = !r->stretch           ? 1
                 : ran < WORTH * cost  ? MIN(r->stretch * 2, longest)
                 : ran < ENOUGH * cost ? MAX(r->stretch / 2, 1)
                                       : 1;
    r->stretch = n;
    return n;
}

static unsigned choose_stretch(Cpu *c, RescueWhy why, int64_t now)
{
    bool sees_all = kvm.irqchip == IRQCHIP_OFF;
    unsigned n = why == RESCUE_STUCK  ? 1
                 : why == RESCUE_SLOW ? LONGEST_EMULATED
                                      : next_stretch(c, now);
    return is_debugged(c) && !must_stay(c) ? 1 : sees_all ? n : MIN(n, LONGEST_BLIND);
}

/* Some kernels queue #UD for the guest when they tell of a failure of their emulator. */
static void drop_invalid_opcode(CpuEvents *e)
{
    if ((e->exception_injected || e->exception_pending) && e->exception_vector == EXC_UD) {
        e->exception_injected = e->exception_pending = e->exception_has_payload = false;
    }
}

static void trace(Cpu *c, RescueWhy why, unsigned n)
{
    static const char *const reasons[] = {"emulation", "delivery", "exit", "stuck", "slow"};
    if (G_UNLIKELY(trace_generation)) {
        uint8_t bytes[DISAS_MAX_LENGTH];
        g_autoptr(GString) text = g_string_new(NULL);
        size_t len = code_at(c, c->state.rip, bytes);
        disas_one(bytes, len, cpu_code_size(&c->state), c->state.rip, text);
        TRACE(kvm_rescue, "cpu%u: %s, %u from %04x:%" PRIx64 ": %s", c->index, reasons[why], n,
              c->state.seg[SEG_CS].selector, c->state.rip, text->str);
    }
}

static void fetch(Cpu *c)
{
    KvmRescue *r = &kvm_cpu(c)->rescue;
    if (!c->state_valid) {
        int64_t from = clock_now(CLOCK_RT);
        kvm_fetch(c);
        c->state_valid = true;
        int64_t cost = clock_now(CLOCK_RT) - from;
        r->fetch_cost = r->fetch_cost ? (7 * r->fetch_cost + MIN(cost, 2 * r->fetch_cost)) / 8 : cost;
    }
}

bool kvm_rescue(Cpu *c, RescueWhy why, RunResult *result)
{
    KvmRescue *r = &kvm_cpu(c)->rescue;
    int64_t now = clock_now(CLOCK_RT);
    if (off) {
        return false;
    }
    fetch(c);
    if (!set_up(c)) {
        return false;
    }
    if (why == RESCUE_EMULATION) {
        drop_invalid_opcode(&c->state.event);
    }
    follow_tsc(c, c->state.msr.tsc ? c->state.msr.tsc : kernel_tsc(c));
    r->left = choose_stretch(c, why, now);
    r->progress = false;
    r->failed_at = cpu_linear_ip(&c->state);
    r->rescues[why]++;
    trace(c, why, (unsigned)r->left);
    CpuState before = c->state;
    bool one = r->left == 1, ok = run_stretch(c, result);
    r->in_vain = one && *result == RUN_AGAIN && !r->left && same_registers(&before, &c->state) ? r->in_vain + 1 : 0;
    if (!ok || r->in_vain > PATIENCE) {
        r->given_up += why < RESCUE_STUCK;
        return false;
    }
    return true;
}

/* ---- Where KVM emulates ---- */

static void arm(KvmRescue *r, long ns)
{
    struct itimerspec t = {.it_value = {0, ns}, .it_interval = {0, ns}};
    if (!r->timer_made) {
        struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KVM_KICK_SIGNAL};
        e._sigev_un._tid = (pid_t)syscall(SYS_gettid);
        r->timer_made = timer_create(CLOCK_MONOTONIC, &e, &r->timer) == 0;
    }
    if (r->timer_made) {
        timer_settime(r->timer, 0, &t, NULL);
    }
}

/* Only where halts are ours: a signal that meets an interrupt may leave a CPU of such a KVM halted in the kernel for ever. */
void kvm_rescue_watch(Cpu *c, bool on)
{
    KvmRescue *r = &kvm_cpu(c)->rescue;
    if (kvm_rescue_stays() && on != r->watching) {
        r->watching = on;
        r->watch_ns = r->watch_ns ? r->watch_ns : WATCH_NS;
        r->quiet_since = on ? clock_now(CLOCK_RT) : 0;
        arm(r, on ? r->watch_ns : 0);
    }
}

void kvm_rescue_exited(Cpu *c)
{
    KvmRescue *r = &kvm_cpu(c)->rescue;
    if (r->watching) {
        r->quiet_since = clock_now(CLOCK_RT);
    }
}

/* A program's 64-bit code runs at full speed under such a KVM as well. */
static bool is_emulated(const Cpu *c)
{
    return !c->halted && !c->wait_sipi && (must_stay(c) || cpu_cpl(&c->state) < 3 || cpu_mode(&c->state) != CPU_LONG);
}

bool kvm_rescue_interrupted(Cpu *c, RunResult *result)
{
    KvmRescue *r = &kvm_cpu(c)->rescue;
    if (!r->watching || atomic_load(&c->kicked) || is_debugged(c) || kvm_cpu(c)->steps_left ||
        clock_now(CLOCK_RT) - r->quiet_since < WATCH_NS) {
        return false;
    }
    fetch(c);
    bool emulated = is_emulated(c);
    r->watch_ns = emulated ? WATCH_NS : MIN(2 * r->watch_ns, WATCH_MAX_NS);
    kvm_rescue_watch(c, false); /* and on again with the new period, when KVM runs again */
    return emulated && kvm_rescue(c, RESCUE_SLOW, result);
}

bool kvm_rescue_instead(Cpu *c, RunResult *result)
{
    return !off && (c->state_dirty || is_debugged(c)) && !c->wait_sipi && must_stay(c) && kvm_rescue(c, RESCUE_SLOW, result);
}

bool kvm_rescue_shutdown(Cpu *c, RunResult *result)
{
    if (off || !kvm.emulates || kvm.irqchip != IRQCHIP_OFF) {
        return false;
    }
    fetch(c);
    CpuEvents *e = &c->state.event;
    e->exception_injected = e->exception_pending = e->exception_has_payload = e->triple_fault_pending = false;
    return kvm_rescue(c, RESCUE_DELIVERY, result);
}

/* ---- Others ---- */

void kvm_rescue_kick(Cpu *c)
{
    if (!off) {
        soft_poll(soft_cpu(c), POLL_KICK);
    }
}

void kvm_rescue_free(Cpu *c)
{
    if (kvm_cpu(c)->rescue.timer_made) {
        timer_delete(kvm_cpu(c)->rescue.timer);
    }
    if (!off) {
        soft_cpu_teardown(c);
    }
}

bool kvm_rescue_sync(Cpu *c)
{
    if (!kvm_cpu(c)->rescue.running) {
        return false;
    }
    soft_sync_out(soft_cpu(c));
    c->state.msr.tsc = soft_tsc(soft_cpu(c));
    kvm_tsc_noted(c);
    return true;
}
