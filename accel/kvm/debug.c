/* Guest debugging by KVM: breakpoints, watchpoints and single steps of accel/debug.h. */
#include "accel/kvm/kvm.h"

#include "accel/debug.h"
#include "core/loop.h"

enum { VECTOR_DB = 1, VECTOR_BP = 3 };

/* DR7's R/W and LEN fields (SDM vol 3 §18.2.4). */
static uint64_t dr7_fields(const DebugPoint *p, unsigned i)
{
    bool code = debug_is_code(p->kind);
    unsigned rw = code ? 0 : p->kind == DEBUG_WATCH_WRITE ? 1 : 3;
    unsigned len = code ? 0 : p->len == 8 ? 2 : p->len - 1;
    return (uint64_t)2 << (2 * i) | (uint64_t)(rw | len << 2) << (16 + 4 * i);
}

static unsigned block_irq(void)
{
    static int known = -1;
    if (known < 0) {
        known = kvm_extension(KVM_CAP_SET_GUEST_DEBUG2);
    }
    return known > 0 ? (unsigned)known & KVM_GUESTDBG_BLOCKIRQ : 0;
}

/* Past a trace point breakpoints do not count, for one instruction. */
bool kvm_debug_set(Cpu *c, GError **error)
{
    KvmCpu *k = kvm_cpu(c);
    struct kvm_guest_debug d = {0};
    DebugPoint points[4];
    loop_lock();
    bool ours = !kvm_rescue_stays(), wanted = ours && debug_wanted(), step = ours && debug_stepping(c);
    unsigned n = wanted ? debug_hardware(points) : 0;
    loop_unlock();
    if (step || k->debug.over) {
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
        d.control |= k->debug.over || debug_step_flags() & DEBUG_STEP_NOIRQ ? block_irq() : 0;
    }
    if (wanted) {
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
    }
    k->debug.n = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!k->debug.over || !debug_is_code(points[i].kind)) {
            d.control |= KVM_GUESTDBG_USE_HW_BP;
            d.arch.debugreg[k->debug.n] = points[i].at;
            d.arch.debugreg[7] |= 0x600 | dr7_fields(&points[i], k->debug.n);
            k->debug.set[k->debug.n++] = points[i];
        }
    }
    int r = kvm_cpu_ioctl(c, KVM_SET_GUEST_DEBUG, (uintptr_t)&d);
    return r >= 0 || error_fail_errno(error, r, "KVM cannot debug its guest this way");
}

bool kvm_guest_debug(Cpu *c, GError **error)
{
    kvm_rescue_debug(c);
    return kvm_debug_set(c, error);
}

/* ---- Past a trace point ---- */

/* The instruction there, in one step.  Where an INT3 lies over it nobody else may come by meanwhile. */
static void step_over(Cpu *c, uint64_t at)
{
    KvmCpu *k = kvm_cpu(c);
    uint8_t own;
    if (debug_planted(at, &own)) {
        if (!kvm_alone(c, true)) {
            return; /* once more when the other is through */
        }
        k->debug.alone = true;
        debug_lift(at);
    }
    k->debug.over = true;
    kvm_debug_set(c, NULL);
}

void kvm_debug_ran(Cpu *c)
{
    KvmCpu *k = kvm_cpu(c);
    loop_lock();
    k->debug.over = false;
    if (k->debug.alone) {
        debug_plant(c);
        k->debug.alone = false;
        kvm_alone(c, false);
    }
    kvm_debug_set(c, NULL);
    loop_unlock();
}

/* ---- Exits ---- */

/* A debug exception that is the guest's own: hand it over. */
static RunResult give_back(Cpu *c, const struct kvm_debug_exit_arch *d)
{
    cpu_sync(c);
    CpuEvents *e = &c->state.event;
    e->exception_injected = true;
    e->exception_pending = e->exception_has_payload = e->exception_has_error = false;
    e->exception_vector = (uint8_t)d->exception;
    if (d->exception == VECTOR_DB) {
        c->state.dr[6] = d->dr6;
    }
    c->state_dirty = true;
    return RUN_AGAIN;
}

/* At a breakpoint, before its instruction. */
static RunResult meet_code(Cpu *c, uint64_t at)
{
    KvmCpu *k = kvm_cpu(c);
    cpu_sync(c);
    DebugMeeting m = debug_meet_code(c, at, k->debug.told && k->debug.told_at == at, false);
    k->debug.told = true;
    k->debug.told_at = at;
    if (m != DEBUG_GO_ON) {
        return RUN_STOPPED;
    }
    if (cpu_linear_ip(&c->state) == at) {
        step_over(c, at);
    }
    return RUN_AGAIN;
}

static RunResult stepped(Cpu *c)
{
    KvmCpu *k = kvm_cpu(c);
    k->debug.told = false;
    cpu_sync(c);
    return debug_meet_step(c) == DEBUG_GO_ON ? RUN_AGAIN : RUN_STOPPED;
}

/* Of the guest, not one of ours that was taken away after it had been executed. */
static bool is_int3(Cpu *c, uint64_t at)
{
    enum { INT3 = 0xcc };
    uint8_t byte = INT3;
    debug_read(c, at, &byte, 1);
    return byte == INT3;
}

static RunResult meet(Cpu *c, const struct kvm_debug_exit_arch *d)
{
    KvmCpu *k = kvm_cpu(c);
    RunResult result = RUN_AGAIN;
    bool ours = false;
    if (d->exception == VECTOR_BP) {
        return debug_software_at(d->pc) ? meet_code(c, d->pc) : is_int3(c, d->pc) ? give_back(c, d) : RUN_AGAIN;
    }
    for (unsigned i = 0; i < k->debug.n; i++) {
        const DebugPoint *p = &k->debug.set[i];
        if (!(d->dr6 >> i & 1)) {
            continue;
        }
        ours = true;
        if (debug_is_code(p->kind)) {
            return meet_code(c, p->at);
        }
        cpu_sync(c);
        result = debug_meet_data(c, p, p->at) == DEBUG_GO_ON ? result : RUN_STOPPED;
    }
    if (result == RUN_AGAIN && (k->debug.over || debug_stepping(c))) {
        return stepped(c);
    }
    return ours ? result : give_back(c, d);
}

RunResult kvm_exit_debug(Cpu *c)
{
    const struct kvm_debug_exit_arch d = kvm_cpu(c)->run->debug.arch;
    loop_lock();
    RunResult result = meet(c, &d);
    loop_unlock();
    return result;
}

/* ---- Steps ---- */

bool kvm_debug_no_irq(const Cpu *c)
{
    return debug_stepping(c) && debug_step_flags() & DEBUG_STEP_NOIRQ;
}

bool kvm_debug_halted(Cpu *c)
{
    loop_lock();
    cpu_sync(c);
    bool stop = debug_idle(c);
    loop_unlock();
    return stop;
}
