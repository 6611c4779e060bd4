#include "accel/soft/op/tsc.h"

#include "accel/soft/op/system.h"
#include "core/clock.h"
#include "core/loop.h"
#include "hw/intc/apic.h"
#include "hw/platform.h"

uint64_t soft_tsc_hz(const SoftCpu *s)
{
    const CpuModel *m = s->cpu.model;
    return s->tsc.hz ? s->tsc.hz : m && m->tsc_frequency > 0 ? (uint64_t)m->tsc_frequency : (uint64_t)NS_PER_SECOND;
}

/* The counter with an offset of 0, the same for all CPUs of this frequency. */
static uint64_t common(const SoftCpu *s)
{
    uint64_t hz = soft_tsc_hz(s), ns = (uint64_t)clock_now(CLOCK_VIRTUAL);
    return hz == (uint64_t)NS_PER_SECOND ? ns : muldiv64(ns, hz, NS_PER_SECOND);
}

uint64_t soft_tsc(SoftCpu *s)
{
    return common(s) + (uint64_t)s->tsc.offset;
}

static void publish(SoftCpu *s)
{
    if (s->cpu.apic && platform.irqchip == IRQCHIP_OFF) {
        loop_lock();
        apic_set_tsc(s->cpu.apic, soft_tsc_hz(s), s->tsc.offset);
        loop_unlock();
        s->tsc.published = true;
    }
}

static void offset_add(SoftCpu *s, uint64_t difference)
{
    s->tsc.offset = (int64_t)((uint64_t)s->tsc.offset + difference);
    publish(s);
}

void soft_tsc_follow(SoftCpu *s, uint64_t value, uint64_t hz)
{
    s->tsc.hz = hz;
    s->tsc.offset = (int64_t)(value - common(s));
}

void soft_tsc_store(SoftCpu *s)
{
    s->tsc.stored = s->cpu.state.msr.tsc = soft_tsc(s);
}

void soft_tsc_load(SoftCpu *s)
{
    SoftTsc *c = &s->tsc;
    uint64_t value = s->cpu.state.msr.tsc;
    if (value != c->stored) {
        c->stored = value;
        c->offset = value ? (int64_t)(value - common(s)) : 0;
        publish(s);
    } else if (!c->published) {
        publish(s);
    }
}

void soft_tsc_write(SoftCpu *s, uint64_t value)
{
    uint64_t difference = value - soft_tsc(s);
    s->cpu.state.msr.tsc_adjust += difference;
    offset_add(s, difference);
}

void soft_tsc_adjust_write(SoftCpu *s, uint64_t value)
{
    uint64_t difference = value - s->cpu.state.msr.tsc_adjust;
    s->cpu.state.msr.tsc_adjust = value;
    offset_add(s, difference);
}

/* ---- Instructions ---- */

static void check_tsd(SoftCpu *s)
{
    system_gp(s, s->cpu.state.cr4 & CR4_TSD && soft_cpl(s) != 0);
}

void op_rdtsc(SoftCpu *s, const Insn *i)
{
    system_ud(s, !system_has(s, FEATURE_TSC));
    check_tsd(s);
    system_put_edx_eax(s, soft_tsc(s));
}

void op_rdtscp(SoftCpu *s, const Insn *i)
{
    system_ud(s, !system_has(s, FEATURE_RDTSCP));
    check_tsd(s);
    system_put_edx_eax(s, soft_tsc(s));
    s->cpu.state.gpr[CPU_RCX] = (uint32_t)s->cpu.state.msr.tsc_aux;
}

void op_rdpid(SoftCpu *s, const Insn *i)
{
    system_ud(s, !system_has(s, FEATURE_RDPID));
    soft_gpr_put(s, i->op[0].reg, system_64bit(s) ? 8 : 4, (uint32_t)s->cpu.state.msr.tsc_aux);
}

/* No counters are offered (CPUID.0AH is empty); AMD's four, which no feature bit announces, stand still
 * (APM vol 2 §13.2.1). */
void op_rdpmc(SoftCpu *s, const Insn *i)
{
    enum { AMD_COUNTERS = 4 };
    if (soft_is_guest(s)) {
        soft_decline(s);
    }
    system_gp(s, !(s->cpu.state.cr4 & CR4_PCE) && soft_cpl(s) != 0);
    system_gp(s, !system_is_amd(s) || soft_gpr(s, CPU_RCX, 4) >= AMD_COUNTERS);
    system_put_edx_eax(s, 0);
}
