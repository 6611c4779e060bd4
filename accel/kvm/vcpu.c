/* A CPU in KVM: entering the guest, answering its exits, giving it interrupts.
 *
 * Entry is race-free by KVM's immediate_exit: whoever wants this CPU sets c->kicked, then
 * immediate_exit, then sends the signal (kvm_interrupt); the thread clears immediate_exit, then
 * looks at c->kicked.  Either it sees the kick, or KVM_RUN sees immediate_exit, or the signal ends
 * KVM_RUN. */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "accel/debug.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "cpu/blackbox/ring.h"
#include "cpu/msr.h"

static void on_kick_signal(int unused) {}

/* ---- Life ---- */

static void install_signal(void)
{
    struct sigaction action = {.sa_handler = on_kick_signal}; /* no SA_RESTART: KVM_RUN must end */
    sigset_t set;
    sigaction(KVM_KICK_SIGNAL, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, KVM_KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* KVM keeps a virtual CPU as long as its VM: one that was unplugged waits here for its return.  Main lock held. */
static GHashTable *parked; /* APIC ID -> descriptor */

static void park(const Cpu *c, int fd)
{
    if (!parked) {
        parked = g_hash_table_new(NULL, NULL);
    }
    g_hash_table_insert(parked, GUINT_TO_POINTER(c->apic_id), GINT_TO_POINTER(fd));
}

static bool unpark(const Cpu *c, KvmCpu *k)
{
    gpointer key = GUINT_TO_POINTER(c->apic_id), fd;
    if (!parked || !g_hash_table_steal_extended(parked, key, NULL, &fd)) {
        return false;
    }
    k->fd = GPOINTER_TO_INT(fd);
    return true;
}

static bool create(Cpu *c, KvmCpu *k, GError **error)
{
    if (!unpark(c, k)) {
        k->fd = kvm_vm_ioctl(KVM_CREATE_VCPU, c->apic_id);
    }
    if (k->fd < 0) {
        int max = kvm_extension(KVM_CAP_MAX_VCPUS);
        return error_fail(
            error,
            "KVM cannot make CPU %u (APIC id %u): %s; it has at most %d CPUs and APIC ids up to %d",
            c->index, c->apic_id, g_strerror(-k->fd), max, kvm_extension(KVM_CAP_MAX_VCPU_ID) - 1);
    }
    void *p = mmap(NULL, kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, k->fd, 0);
    if (p == MAP_FAILED) {
        return error_fail_errno(error, errno, "cannot map KVM's area of CPU %u", c->index);
    }
    k->run = p;
    return true;
}

bool kvm_cpu_init(Cpu *c, GError **error)
{
    KvmCpu *k = g_new0(KvmCpu, 1);
    k->fd = -1;
    k->thread = pthread_self();
    install_signal();
    c->accel = k;
    if (create(c, k, error) && kvm_cpuid_set(c, error)) {
        if (kvm.irqchip != IRQCHIP_OFF && c->apic) { /* in reset, whatever it has been through */
            kvm_chip_flush(c->apic);
        }
        kvm_memory_start_smm();
        kvm_coalesced_map(k->run);
        kvm_dirty_ring_map(c);
        return true;
    }
    kvm_cpu_free(c);
    return false;
}

void kvm_cpu_free(Cpu *c)
{
    KvmCpu *k = kvm_cpu(c);
    loop_lock(); /* others look at c->accel with it */
    if (k->run) {
        kvm_coalesced_unmap(k->run);
    }
    kvm_rescue_free(c);
    c->accel = NULL;
    if (k->fd >= 0) {
        park(c, k->fd);
    }
    loop_unlock();
    kvm_window_free(k);
    if (k->dirty) {
        munmap(k->dirty, kvm.dirty_ring);
    }
    if (k->run) {
        munmap(k->run, kvm.run_size);
    }
    g_free(k->msrs);
    g_free(k);
}

void kvm_interrupt(Cpu *c)
{
    KvmCpu *k = kvm_cpu(c);
    if (k && k->run) {
        kvm_rescue_kick(c);
        __atomic_store_n(&k->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        pthread_kill(k->thread, KVM_KICK_SIGNAL);
    }
}

/* ---- The black box ---- */

/* What exits show; where the guest was is known only when somebody has asked for its registers. */
static void note(Cpu *c, BoxKind kind, unsigned size, uint32_t what, uint64_t value)
{
    if (c->state_valid) {
        box_mode(c);
    }
    box_note(c, kind, size, what, value, 0, c->state_valid ? c->state.rip : BOX_NO_RIP);
}

/* ---- Interrupts ---- */

/* OFF: every interrupt comes from here.  SPLIT: those of the PIC.  c->events has CPU_EVENT_INTR
 * while one waits. */
static void inject_interrupt(Cpu *c, KvmCpu *k)
{
    struct kvm_run *run = k->run;
    run->request_interrupt_window = 0;
    if (!(atomic_load(&c->events) & CPU_EVENT_INTR)) {
        kvm_window_wait(c, false);
        return;
    }
    if (!c->state_valid && run->ready_for_interrupt_injection) {
        loop_lock();
        int vector = cpu_platform.interrupt ? cpu_platform.interrupt(c) : -1;
        loop_unlock();
        if (vector >= 0) {
            struct kvm_interrupt irq = {.irq = (uint32_t)vector};
            kvm_cpu_ioctl(c, KVM_INTERRUPT, (uintptr_t)&irq);
            note(c, BOX_INTERRUPT, 0, (unsigned)vector, 0);
            run->ready_for_interrupt_injection = 0;
        }
        if (!(atomic_load(&c->events) & CPU_EVENT_INTR)) {
            kvm_window_wait(c, false);
            return;
        }
    }
    run->request_interrupt_window = 1;
    kvm_window_wait(c, true);
}

/* HLT ends the shadow of the STI before it (SDM vol 3 §6.8.3), but a KVM that emulates instructions keeps it beyond: the
 * CLI behind "STI; HLT" would then run before the interrupt that ended the halt, for ever. */
static void end_shadow(Cpu *c, KvmCpu *k)
{
    struct kvm_vcpu_events e;
    if (k->run->ready_for_interrupt_injection || c->state_valid || kvm_cpu_ioctl(c, KVM_GET_VCPU_EVENTS, (uintptr_t)&e)) {
        return;
    }
    if (e.interrupt.shadow && !e.interrupt.injected && !e.exception.injected) {
        e.flags = KVM_VCPUEVENT_VALID_SHADOW;
        e.interrupt.shadow = 0;
        k->run->ready_for_interrupt_injection = !kvm_cpu_ioctl(c, KVM_SET_VCPU_EVENTS, (uintptr_t)&e);
    }
}

/* False: it halts and nothing wakes it (only where the local APIC is not the kernel's, which
 * otherwise does this). */
static bool before_entry(Cpu *c, KvmCpu *k)
{
    unsigned events = atomic_load(&c->events);
    if (G_UNLIKELY(c->halted) && kvm.irqchip == IRQCHIP_OFF) {
        bool iflag = c->state_valid ? c->state.rflags & FLAG_IF : k->run->if_flag;
        if ((!(events & (CPU_EVENT_NMI | CPU_EVENT_SMI | CPU_EVENT_MCE)) && !(events & CPU_EVENT_INTR && iflag)) ||
            kvm_debug_no_irq(c)) {
            return false;
        }
        c->halted = false;
        end_shadow(c, k);
    }
    if (c->state_dirty) {
        kvm_flush(c);
        c->state_dirty = false;
    }
    /* A guest that reads kvmclock is told that it was stopped, so that its watchdogs are lenient. */
    if (G_UNLIKELY(atomic_load_explicit(&k->was_stopped, memory_order_relaxed))) {
        atomic_store(&k->was_stopped, false);
        kvm_cpu_ioctl(c, KVM_KVMCLOCK_CTRL, 0);
    }
    if (G_UNLIKELY(kvm_debug_no_irq(c))) {
        k->run->request_interrupt_window = 0;
        return true;
    }
    if (G_UNLIKELY(events & CPU_EVENT_NMI)) {
        cpu_lower(c, CPU_EVENT_NMI);
        note(c, BOX_NMI, 0, 2, 0);
        kvm_cpu_ioctl(c, KVM_NMI, 0);
        c->state_valid = false;
    }
    if (G_UNLIKELY(events & CPU_EVENT_SMI)) {
        cpu_lower(c, CPU_EVENT_SMI);
        if (kvm.smm) {
            note(c, BOX_SMI, 0, 0, 0);
            kvm_cpu_ioctl(c, KVM_SMI, 0);
            c->state_valid = false;
        }
    }
    if (kvm.irqchip != IRQCHIP_ON) {
        inject_interrupt(c, k);
        if (kvm.irqchip == IRQCHIP_OFF && cpu_platform.tpr_get && c->apic) {
            k->run->cr8 = k->cr8 = cpu_platform.tpr_get(c);
        }
    }
    return true;
}

/* The guest may have moved CR8 and APIC_BASE of an APIC that is ours. */
static void after_exit(Cpu *c, KvmCpu *k)
{
    if (kvm.irqchip != IRQCHIP_OFF || !c->apic ||
        (k->run->cr8 == k->cr8 && k->run->apic_base == k->apic_base)) {
        return;
    }
    loop_lock();
    if (k->run->cr8 != k->cr8 && cpu_platform.tpr_set) {
        cpu_platform.tpr_set(c, (uint8_t)k->run->cr8);
    }
    if (k->run->apic_base != k->apic_base && cpu_platform.apic_base_set) {
        cpu_platform.apic_base_set(c, k->run->apic_base);
    }
    k->apic_base = k->run->apic_base;
    loop_unlock();
}

/* ---- Exits ---- */

static void exit_io(Cpu *c, KvmCpu *k)
{
    struct kvm_run *run = k->run;
    uint8_t *p = (uint8_t *)run + run->io.data_offset;
    unsigned port = run->io.port, size = run->io.size, count = run->io.count;
    bool many = count > 1;
    if (many) {
        loop_lock(); /* once for all of a string instruction */
    }
    for (; count--; p += size) {
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            note(c, BOX_OUT, size, port, load_le(p, size));
            space_store(space_io(), port, size, load_le(p, size));
        } else {
            store_le(p, size, space_load(space_io(), port, size));
            note(c, BOX_IN, size, port, load_le(p, size));
        }
    }
    if (many) {
        loop_unlock();
    }
    k->unfinished = true;
}

static void exit_mmio(Cpu *c, KvmCpu *k)
{
    struct kvm_run *run = k->run;
    bool smm = run->flags & KVM_RUN_X86_SMM && platform.smm_space;
    Space *memory = smm ? platform.smm_space : c->memory;
    uint64_t at = run->mmio.phys_addr;
    unsigned len = run->mmio.len;
    if (len & (len - 1)) { /* an access across a page's end comes in odd pieces */
        space_rw(memory, at, run->mmio.data, len, run->mmio.is_write);
    } else if (run->mmio.is_write) {
        space_store(memory, at, len, load_le(run->mmio.data, len));
    } else {
        store_le(run->mmio.data, len, space_load(memory, at, len));
    }
    k->unfinished = true;
}

/* Registers that the kernel does not know may be in our table. */
static void exit_msr(Cpu *c, KvmCpu *k, bool write)
{
    struct kvm_run *run = k->run;
    uint32_t index = run->msr.index;
    uint64_t value = run->msr.data;
    loop_lock();
    bool ok = write ? msr_write(c, index, value) : msr_read(c, index, &value);
    loop_unlock();
    if (!ok && log_enabled(LOG_UNIMP)) {
        log_printf("unimp: cpu %u %s of MSR 0x%x: no such register, #GP\n", c->index, write ? "WRMSR" : "RDMSR", index);
    }
    if (write) {
        note(c, BOX_MSR, 0, index, value);
    }
    run->msr.data = value;
    run->msr.error = !ok;
    k->unfinished = true;
}

static void panicked(void *unused)
{
    machine_guest_panicked();
}

static RunResult exit_system_event(KvmCpu *k)
{
    switch (k->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
        return RUN_STOPPED;
    case KVM_SYSTEM_EVENT_RESET: machine_request_reset(CAUSE_GUEST_RESET); return RUN_STOPPED;
    case KVM_SYSTEM_EVENT_CRASH: loop_post(loop_main(), panicked, NULL); return RUN_AGAIN;
    default: return RUN_AGAIN;
    }
}

static RunResult stop_internal_error(void)
{
    machine_request_stop(RUN_INTERNAL_ERROR);
    return RUN_STOPPED;
}

static RunResult exit_internal_error(Cpu *c, KvmCpu *k)
{
    RescueWhy why = k->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION              ? RESCUE_EMULATION
                    : k->run->internal.suberror == KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON ? RESCUE_EXIT
                                                                                             : RESCUE_DELIVERY;
    RunResult result;
    if (kvm_rescue(c, why, &result)) {
        return result;
    }
    kvm_report_internal_error(c);
    return stop_internal_error();
}

static RunResult exit_debug(Cpu *c)
{
    RunResult result = RUN_AGAIN;
    return kvm_window_stepped(c, &result) ? result : kvm_exit_debug(c);
}

static RunResult exit_shutdown(Cpu *c)
{
    RunResult result;
    if (kvm_rescue_shutdown(c, &result)) {
        return result;
    }
    return run_triple_fault(c);
}

static RunResult handle_exit(Cpu *c, KvmCpu *k)
{
    struct kvm_run *run = k->run;
    switch (run->exit_reason) {
    case KVM_EXIT_IO: exit_io(c, k); return RUN_AGAIN;
    case KVM_EXIT_MMIO: exit_mmio(c, k); return RUN_AGAIN;
    case KVM_EXIT_HLT:
        note(c, BOX_HALT, 0, 0, 0);
        c->halted = kvm_window_halted(c);
        return RUN_AGAIN;
    case KVM_EXIT_X86_RDMSR: exit_msr(c, k, false); return RUN_AGAIN;
    case KVM_EXIT_X86_WRMSR: exit_msr(c, k, true); return RUN_AGAIN;
    case KVM_EXIT_IOAPIC_EOI: kvm_eoi(run->eoi.vector); return RUN_AGAIN;
    case KVM_EXIT_DIRTY_RING_FULL: kvm_dirty_ring_collect(c); return RUN_AGAIN;
    case KVM_EXIT_SHUTDOWN: return exit_shutdown(c);
    case KVM_EXIT_SYSTEM_EVENT: return exit_system_event(k);
    case KVM_EXIT_DEBUG: return exit_debug(c);
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:
    case KVM_EXIT_TPR_ACCESS:
    case KVM_EXIT_INTR:
    case KVM_EXIT_X86_BUS_LOCK:
    case KVM_EXIT_NOTIFY: return RUN_AGAIN;
    case KVM_EXIT_INTERNAL_ERROR: return exit_internal_error(c, k);
    case KVM_EXIT_FAIL_ENTRY:
        kvm_report_exit(c, "entry failed, hardware reason",
                        run->fail_entry.hardware_entry_failure_reason);
        return stop_internal_error();
    case KVM_EXIT_UNKNOWN:
        kvm_report_exit(c, "unknown hardware exit", run->hw.hardware_exit_reason);
        return stop_internal_error();
    default: kvm_report_exit(c, "unknown exit", run->exit_reason); return stop_internal_error();
    }
}

/* ---- Running ---- */

static bool wanted(Cpu *c)
{
    return atomic_load(&c->kicked) ||
           atomic_load(&c->events) & (CPU_EVENT_RESET | CPU_EVENT_INIT | CPU_EVENT_SIPI);
}

/* One entry; 0, or the negative errno of KVM_RUN. */
static int enter(Cpu *c, KvmCpu *k)
{
    c->state_valid = k->msrs_known = false;
    int r = ioctl(k->fd, KVM_RUN, 0) < 0 ? -errno : 0;
    kvm_leave(c);
    k->unfinished = false;
    after_exit(c, k);
    kvm_coalesced_flush(); /* what was written before the exit comes before it */
    return r;
}

/* The stretch of a rescue that something else came into. */
static RunResult go_on_rescuing(Cpu *c)
{
    RunResult result;
    if (kvm_rescue_go_on(c, &result)) {
        return result;
    }
    kvm_report_internal_error(c);
    return stop_internal_error();
}

static RunResult run(Cpu *c)
{
    KvmCpu *k = kvm_cpu(c);
    RunResult result = RUN_AGAIN;
    for (;;) {
        /* An answered exit must be handed over before anyone may see or set the registers. */
        if (!k->unfinished && (result != RUN_AGAIN || wanted(c))) {
            return result;
        }
        if (kvm_rescue_pending(&k->rescue)) {
            result = go_on_rescuing(c);
            continue;
        }
        if (!k->unfinished && kvm_rescue_instead(c, &result)) {
            continue;
        }
        if (!k->unfinished && !before_entry(c, k)) {
            return kvm_debug_halted(c) ? RUN_STOPPED : RUN_HALTED;
        }
        __atomic_store_n(&k->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (result != RUN_AGAIN || wanted(c)) {
            if (!k->unfinished) {
                return result;
            }
            k->run->immediate_exit = 1;
        } else if (k->unfinished && atomic_load(&c->events)) {
            k->run->immediate_exit = 1; /* an event that its own access caused: give it before the guest goes on */
        }
        if (!kvm_enter(c)) {
            continue;
        }
        kvm_rescue_watch(c, true);
        bool over = k->debug.over;
        int r = enter(c, k);
        if (r == 0) {
            kvm_rescue_exited(c);
            RunResult now = handle_exit(c, k);
            result = now != RUN_AGAIN ? now : result;
        } else if (r == -EINTR) {
            if (result != RUN_AGAIN || !kvm_rescue_interrupted(c, &result)) {
                kvm_window_interrupted(c);
            }
        } else if (r != -EAGAIN) {
            kvm_report_exit(c, "KVM_RUN failed, errno", (uint64_t)-r);
            return stop_internal_error();
        }
        if (G_UNLIKELY(over) && !k->unfinished) {
            kvm_debug_ran(c);
        }
        mem_quiescent();
    }
}

RunResult kvm_run(Cpu *c)
{
    if (G_UNLIKELY(kvm_cpu(c)->debug.later) && kvm_debug_later(c)) {
        return RUN_STOPPED;
    }
    RunResult result = run(c);
    if (kvm_cpu(c)->debug.over) { /* it did not come to that: others are not kept waiting */
        kvm_debug_ran(c);
    }
    kvm_rescue_watch(c, false);
    return result;
}

void kvm_stopped(bool stopped)
{
    kvm_memory_stopped(stopped);
    kvm_chips_stopped(stopped);
    for (unsigned i = 0; !stopped && i < cpu_count(); i++) {
        if (cpu_at(i)->accel) {
            atomic_store(&kvm_cpu(cpu_at(i))->was_stopped, true);
        }
    }
}
