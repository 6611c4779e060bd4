/* Guest debugging by KVM: breakpoints, watchpoints and single steps of accel/debug.h. */
#include "accel/kvm/kvm.h"

#include "accel/debug.h"
#include "core/loop.h"
#include "core/runstate.h"

enum { VECTOR_DB = 1, VECTOR_BP = 3 };

/* DR7's R/W and LEN fields (SDM vol 3 §18.2.4). */
static uint64_t dr7_fields(const DebugPoint *p, unsigned i)
{
    bool code = p->kind == DEBUG_HARDWARE || p->kind == DEBUG_SOFTWARE;
    unsigned rw = code ? 0 : p->kind == DEBUG_WATCH_WRITE ? 1 : 3;
    unsigned len = code ? 0 : p->len == 8 ? 2 : p->len - 1;
    return (uint64_t)2 << (2 * i) | (uint64_t)(rw | len << 2) << (16 + 4 * i);
}

bool kvm_guest_debug(Cpu *c, GError **error)
{
    struct kvm_guest_debug d = {0};
    DebugPoint points[4];
    unsigned n = debug_hardware(points);
    if (debug_stepping(c)) {
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    }
    if (debug_wanted()) {
        d.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
    }
    if (n) {
        d.control |= KVM_GUESTDBG_USE_HW_BP;
        d.arch.debugreg[7] = 0x600;
        for (unsigned i = 0; i < n; i++) {
            d.arch.debugreg[i] = points[i].at;
            d.arch.debugreg[7] |= dr7_fields(&points[i], i);
        }
    }
    int r = kvm_cpu_ioctl(c, KVM_SET_GUEST_DEBUG, (uintptr_t)&d);
    return r >= 0 || error_fail_errno(error, r, "KVM cannot debug its guest this way");
}

bool kvm_translate(Cpu *c, uint64_t linear, uint64_t *physical)
{
    struct kvm_translation t = {.linear_address = linear};
    if (kvm_cpu_ioctl(c, KVM_TRANSLATE, (uintptr_t)&t) < 0 || !t.valid) {
        return false;
    }
    *physical = t.physical_address;
    return true;
}

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

static bool debug_is_ours(Cpu *c, const struct kvm_debug_exit_arch *d, DebugStop *stop)
{
    *stop = (DebugStop){.cpu = c, .at = d->pc};
    if (d->exception == VECTOR_BP) {
        stop->why = DEBUG_STOP_BREAK;
        return debug_software_at(d->pc);
    }
    DebugPoint points[4];
    unsigned n = debug_hardware(points);
    for (unsigned i = 0; i < n; i++) {
        if (d->dr6 >> i & 1) {
            bool code = points[i].kind == DEBUG_HARDWARE || points[i].kind == DEBUG_SOFTWARE;
            stop->why = code ? DEBUG_STOP_BREAK : DEBUG_STOP_WATCH;
            stop->kind = points[i].kind;
            stop->at = points[i].at;
            return true;
        }
    }
    stop->why = DEBUG_STOP_STEP;
    return debug_stepping(c);
}

RunResult kvm_exit_debug(Cpu *c)
{
    const struct kvm_debug_exit_arch d = kvm_cpu(c)->run->debug.arch;
    DebugStop stop;
    RunResult result = RUN_STOPPED;
    loop_lock();
    if (debug_is_ours(c, &d, &stop)) {
        debug_stop = stop;
        machine_request_stop(RUN_DEBUG);
    } else {
        result = give_back(c, &d);
    }
    loop_unlock();
    return result;
}
