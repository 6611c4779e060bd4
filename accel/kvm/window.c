/* Finding the moment at which an emulating KVM would take an interrupt.
 *
 * A KVM without hardware behind it emulates kernel-mode code in bursts and looks for interrupts
 * only between them.  Code that opens its window for two instructions ("STI; NOP; PAUSE; CLI",
 * firmware waiting for a disk) can run for ever without a burst ending there.  So, while an
 * interrupt waits for its window, a timer breaks the burst now and then, and for a while the CPU
 * goes on in single steps: then the window cannot be missed.  Where hardware reports the window,
 * none of this runs. */
#include "accel/kvm/kvm.h"

#include "accel/debug.h"
#include "core/loop.h"
#include "cpu/paging.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

enum {
    /* Time between searches: doubled each time, so that a guest that has interrupts off for long
       loses little speed. */
    PATIENCE_NS = 500000,
    PATIENCE_MAX_NS = 64000000,
    STEPS = 300, /* the longest polling loop that is searched in one go, in instructions */
};

bool kvm_emulates(void)
{
#if defined(__x86_64__) || defined(__i386__)
    unsigned a, b, c, d;
    bool vmx = __get_cpuid(1, &a, &b, &c, &d) && c >> 5 & 1;
    bool svm = __get_cpuid(0x80000001, &a, &b, &c, &d) && c >> 2 & 1;
    return !vmx && !svm;
#else
    return false;
#endif
}

static void set_stepping(Cpu *c, KvmCpu *k, bool on)
{
    struct kvm_guest_debug d = {.control = on ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP : 0};
    k->steps_left = on && kvm_cpu_ioctl(c, KVM_SET_GUEST_DEBUG, (uintptr_t)&d) >= 0 ? STEPS : 0;
    if (!on) {
        kvm_debug_set(c, NULL); /* whatever a debugger asked for */
    }
}

static void arm(KvmCpu *k, long ns)
{
    struct itimerspec t = {.it_value = {0, ns},
                           .it_interval = {0, PATIENCE_NS}}; /* a signal may come too early */
    if (!k->window_timer_made) {
        struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KVM_KICK_SIGNAL};
        e._sigev_un._tid = (pid_t)syscall(SYS_gettid);
        k->window_timer_made = timer_create(CLOCK_MONOTONIC, &e, &k->window_timer) == 0;
    }
    if (k->window_timer_made) {
        timer_settime(k->window_timer, 0, &t, NULL);
    }
}

void kvm_window_wait(Cpu *c, bool waiting)
{
    KvmCpu *k = kvm_cpu(c);
    if (!kvm.emulates || waiting == k->window_waiting) {
        return;
    }
    k->window_waiting = waiting;
    k->patience = PATIENCE_NS;
    arm(k, waiting ? k->patience : 0);
    if (!waiting && k->steps_left) {
        set_stepping(c, k, false);
    }
}

void kvm_window_interrupted(Cpu *c)
{
    KvmCpu *k = kvm_cpu(c);
    if (k->window_waiting && !k->steps_left && !debug_stepping(c)) {
        arm(k, 0);
        set_stepping(c, k, true);
    }
}

/* A KVM that emulates may execute an instruction again and again, to no effect (INT n of 16-bit protected mode is one). */
static bool is_stuck(KvmCpu *k)
{
    enum { TIMES = 3 };
    uint64_t at = k->run->debug.arch.pc;
    k->stepped_there = at == k->stepped_at ? k->stepped_there + 1 : 0;
    k->stepped_at = at;
    return k->stepped_there >= TIMES;
}

bool kvm_window_stepped(Cpu *c, RunResult *result)
{
    KvmCpu *k = kvm_cpu(c);
    if (!k->steps_left) {
        return false;
    }
    if (is_stuck(k)) { /* whatever it is: the software CPU does the same, or gets on */
        kvm_rescue(c, RESCUE_STUCK, result);
    }
    if (--k->steps_left == 0) {
        set_stepping(c, k, false);
        k->patience = MIN(k->patience * 2, PATIENCE_MAX_NS);
        arm(k, k->patience);
    }
    return true;
}

void kvm_window_free(KvmCpu *k)
{
    if (k->window_timer_made) {
        timer_delete(k->window_timer);
    }
}

/* An interrupt that was queued may be delivered in the same KVM_RUN as the HLT before it, which is
 * reported all the same: then the CPU already stands in the handler, with interrupts off. */
bool kvm_window_halted(Cpu *c)
{
    enum { HLT = 0xf4 };
    uint8_t byte = HLT;
    if (!kvm.emulates || kvm_cpu(c)->run->if_flag) {
        return true;
    }
    loop_lock();
    cpu_sync(c);
    cpu_memory_debug(c, c->state.seg[SEG_CS].base + c->state.rip - 1, &byte, 1, false);
    loop_unlock();
    return byte == HLT;
}
