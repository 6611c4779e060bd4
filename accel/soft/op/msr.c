/* RDMSR and WRMSR: the hot registers and those that this CPU keeps itself; all others by cpu/msr.c. */
#include "cpu/msr.h"

#include "accel/soft/op/system.h"
#include "accel/soft/op/tsc.h"
#include "core/log.h"
#include "core/loop.h"
#include "cpu/blackbox/ring.h"
#include "hw/intc/apic.h"
#include "hw/platform.h"

/* The register of a base that has an MSR of its own in 64-bit processors; NULL: none of those. */
static uint64_t *base_register(SoftCpu *s, uint32_t index)
{
    CpuState *st = &s->cpu.state;
    if (!system_has(s, FEATURE_LM)) {
        return NULL;
    }
    return index == MSR_FS_BASE          ? &st->seg[SEG_FS].base
           : index == MSR_GS_BASE        ? &st->seg[SEG_GS].base
           : index == MSR_KERNEL_GS_BASE ? &st->msr.kernel_gs_base
                                         : NULL;
}

/* The deadline is our own APIC's, which clears it when it has passed. */
static bool deadline_is_ours(const SoftCpu *s)
{
    return s->cpu.apic && platform.irqchip == IRQCHIP_OFF && system_has(s, FEATURE_TSC_DEADLINE);
}

static bool read_any(SoftCpu *s, uint32_t index, uint64_t *value)
{
    const uint64_t *base = base_register(s, index);
    if (base) {
        *value = *base;
        return true;
    }
    if (index == MSR_TSC && system_has(s, FEATURE_TSC)) {
        *value = soft_tsc(s);
        return true;
    }
    loop_lock();
    bool ok = true;
    if (index == MSR_TSC_DEADLINE && deadline_is_ours(s)) {
        *value = apic_tsc_deadline(s->cpu.apic);
    } else {
        ok = msr_read(&s->cpu, index, value);
    }
    loop_unlock();
    return ok;
}

/* A guest of KVM's: registers that are no more than their value in CpuState, which is copied both ways; the others do something
 * where they are. */
static bool is_kvms(uint32_t index, bool write)
{
    switch (index) {
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_STAR:
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FMASK:
    case MSR_SYSENTER_CS:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
    case MSR_TSC_AUX: return false;
    case MSR_TSC: return write;
    default: return true;
    }
}

/* -d unimp: a register that is not in our table. */
static void log_unknown(const SoftCpu *s, uint32_t index, const char *what)
{
    unsigned element;
    if (log_enabled(LOG_UNIMP) && !msr_find(index, &element)) {
        log_printf("unimp: cpu %u %s of MSR 0x%x ip=%04x:%016" G_GINT64_MODIFIER "x: no such register, #GP\n", s->cpu.index, what,
                   index, s->cpu.state.seg[SEG_CS].selector, s->insn_rip);
    }
}

void op_rdmsr(SoftCpu *s, const Insn *i)
{
    uint64_t value = 0;
    system_privileged(s);
    if (soft_is_guest(s) && is_kvms((uint32_t)soft_gpr(s, CPU_RCX, 4), false)) {
        soft_decline(s);
    }
    uint32_t index = (uint32_t)soft_gpr(s, CPU_RCX, 4);
    if (!read_any(s, index, &value)) {
        log_unknown(s, index, "RDMSR");
        system_gp(s, true);
    }
    system_put_edx_eax(s, value);
}

static void deadline_write(SoftCpu *s, uint64_t value)
{
    soft_tsc_load(s); /* the APIC must know the counter before it can wait for it */
    loop_lock();
    apic_set_tsc_deadline(s->cpu.apic, value);
    s->cpu.state.msr.tsc_deadline = apic_tsc_deadline(s->cpu.apic);
    loop_unlock();
}

/* Registers that the table only stores. */
static bool write_other(SoftCpu *s, uint32_t index, uint64_t value)
{
    uint64_t efer = s->cpu.state.efer;
    loop_lock();
    bool ok = msr_write(&s->cpu, index, value);
    loop_unlock();
    if ((s->cpu.state.efer ^ efer) & EFER_NXE) {
        soft_tlb_flush(s, true); /* bit 63 of an entry means something else now */
    }
    soft_changed(s);
    soft_leave(s); /* the x2APIC's registers: interrupts may have come or gone */
    return ok;
}

static bool write_any(SoftCpu *s, uint32_t index, uint64_t value)
{
    uint64_t *base = base_register(s, index);
    if (base) {
        if (!base_canonical(&s->cpu, value)) {
            return false;
        }
        *base = value;
    } else if (index == MSR_TSC_DEADLINE && deadline_is_ours(s)) {
        deadline_write(s, value);
    } else if (index == MSR_TSC && system_has(s, FEATURE_TSC)) {
        soft_tsc_write(s, value);
    } else if (index == MSR_TSC_ADJUST && system_has(s, FEATURE_TSC_ADJUST)) {
        soft_tsc_adjust_write(s, value);
    } else {
        return write_other(s, index, value);
    }
    s->cpu.state_dirty = true;
    return true;
}

void op_wrmsr(SoftCpu *s, const Insn *i)
{
    system_privileged(s);
    if (soft_is_guest(s) && is_kvms((uint32_t)soft_gpr(s, CPU_RCX, 4), true)) {
        soft_decline(s);
    }
    uint32_t index = (uint32_t)soft_gpr(s, CPU_RCX, 4);
    uint64_t value = system_edx_eax(s), old = index == MSR_EFER ? s->cpu.state.efer : 0;
    if (!write_any(s, index, value)) {
        log_unknown(s, index, "WRMSR");
        system_gp(s, true);
    }
    box_note(&s->cpu, BOX_MSR, 0, index, value, old, s->insn_rip);
}
