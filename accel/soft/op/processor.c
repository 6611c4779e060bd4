/* Waiting, CPUID, caches, and what exists only to be refused. */
#include <Zydis/Zydis.h>
#include <sched.h>
#include <time.h>

#include "accel/soft/op/system.h"
#include "core/clock.h"
#include "core/log.h"
#include "cpu/blackbox/ring.h"

/* The loop sleeps until an interrupt, NMI, SMI, INIT or RESET (SDM vol 2 HLT). */
void op_hlt(SoftCpu *s, const Insn *i)
{
    system_privileged(s);
    s->cpu.halted = true;
    box_note(&s->cpu, BOX_HALT, 0, 0, 0, 0, s->insn_rip);
    soft_leave(s);
}

/* ---- MONITOR and MWAIT (SDM vol 3 §9.10.5) ----
 * A wait may end at any time.  Ours sleeps for moments, while nothing asks for this CPU, and is over after
 * a millisecond at the latest; so no store to the monitored line, which nobody tells us of, goes unseen for
 * longer. */

void op_monitor(SoftCpu *s, const Insn *i)
{
    unsigned size = system_64bit(s) ? 8 : 4;
    system_ud(s, !system_has(s, FEATURE_MONITOR) || soft_cpl(s) != 0);
    system_gp(s, soft_gpr(s, CPU_RCX, size));
    uint64_t offset = soft_gpr(s, CPU_RAX, i->address_size);
    soft_probe(s, soft_linear(s, i->mem.seg, offset, 1, false), 1, false);
}

static bool is_wanted(SoftCpu *s)
{
    return atomic_load(&s->poll) || atomic_load(&s->cpu.events) || atomic_load(&s->cpu.kicked);
}

void op_mwait(SoftCpu *s, const Insn *i)
{
    enum {
        FIRST_NS = 10 * NS_PER_US,
        LONGEST_NS = 160 * NS_PER_US,
        TOTAL_NS = NS_PER_MS,
        BREAK_WHEN_MASKED = 1
    };
    system_ud(s, !system_has(s, FEATURE_MONITOR) || soft_cpl(s) != 0);
    system_gp(s, soft_gpr(s, CPU_RCX, 4) & ~(uint64_t)BREAK_WHEN_MASKED);
    if (clock_is_manual()) {
        return; /* virtual time stands still while we sleep: go on counting instructions */
    }
    sched_yield();
    for (long ns = FIRST_NS, slept = 0; slept < TOTAL_NS && !is_wanted(s); slept += ns) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = ns}, NULL);
        ns = 2 * ns < LONGEST_NS ? 2 * ns : LONGEST_NS;
    }
}

/* Whoever spins waits for another CPU, which may need this host processor. */
void op_pause(SoftCpu *s, const Insn *i)
{
    enum { PAUSES = 64 };
    static __thread unsigned pauses;
    if (cpu_count() > 1 && ++pauses % PAUSES == 0) {
        sched_yield();
    }
}

/* ---- CPUID ---- */

void op_cpuid(SoftCpu *s, const Insn *i)
{
    if (soft_is_guest(s)) { /* KVM adds its own leaves */
        soft_decline(s);
    }
    uint32_t regs[4] = {0};
    uint64_t *gpr = s->cpu.state.gpr;
    if (s->cpu.model) {
        model_cpuid(s->cpu.model, &s->cpu, (uint32_t)gpr[CPU_RAX], (uint32_t)gpr[CPU_RCX], regs);
    }
    gpr[CPU_RAX] = regs[0];
    gpr[CPU_RBX] = regs[1];
    gpr[CPU_RCX] = regs[2];
    gpr[CPU_RDX] = regs[3];
}

/* ---- Caches, which nobody can tell from none ---- */

void op_invd(SoftCpu *s, const Insn *i)
{
    system_privileged(s);
}

/* The address is checked as a read's (SDM vol 2 CLFLUSH). */
static void flush_line(SoftCpu *s, const Insn *i, unsigned feature)
{
    system_ud(s, !system_has(s, feature));
    soft_probe(s, soft_operand_linear(s, i, 1, false), 1, false);
}

void op_clflush(SoftCpu *s, const Insn *i)
{
    flush_line(s, i, FEATURE_CLFLUSH);
}

void op_clflushopt(SoftCpu *s, const Insn *i)
{
    flush_line(s, i, FEATURE_CLFLUSHOPT);
}

void op_clwb(SoftCpu *s, const Insn *i)
{
    flush_line(s, i, FEATURE_CLWB);
}

void op_undefined(SoftCpu *s, const Insn *i)
{
    if (soft_is_guest(s)) { /* hypercalls, virtual machines in the guest */
        soft_decline(s);
    }
    if (log_enabled(LOG_UNIMP) && i->mnemonic != ZYDIS_MNEMONIC_UD0 && i->mnemonic != ZYDIS_MNEMONIC_UD1 &&
        i->mnemonic != ZYDIS_MNEMONIC_UD2) {
        log_printf("unimp: cpu %u %s ip=%04x:%016" G_GINT64_MODIFIER "x: not built, #UD\n", s->cpu.index,
                   ZydisMnemonicGetString(i->mnemonic), s->cpu.state.seg[SEG_CS].selector, s->insn_rip);
    }
    soft_fault(s, EXC_UD);
}
