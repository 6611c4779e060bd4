/* Instructions about EFLAGS that privilege matters to (SDM vol 2; vol 3 §21.2, 21.3 for VME and PVI). */
#include "accel/soft/op/system.h"

static unsigned iopl(const SoftCpu *s)
{
    return s->cpu.state.rflags >> 12 & 3;
}

/* Who may change IF, and who changes VIF instead: virtual-8086 code under VME, and CPL 3 under PVI. */
typedef enum IfRight { IF_REAL, IF_VIRTUAL, IF_NONE } IfRight;

static IfRight if_right(const SoftCpu *s)
{
    const CpuState *st = &s->cpu.state;
    CpuMode mode = cpu_mode(st);
    if (mode == CPU_REAL || soft_cpl(s) <= iopl(s)) {
        return IF_REAL;
    }
    if (mode == CPU_VM86) {
        return st->cr4 & CR4_VME ? IF_VIRTUAL : IF_NONE;
    }
    return st->cr4 & CR4_PVI && soft_cpl(s) == 3 ? IF_VIRTUAL : IF_NONE;
}

void op_cli(SoftCpu *s, const Insn *i)
{
    IfRight right = if_right(s);
    system_gp(s, right == IF_NONE);
    s->cpu.state.rflags &= ~(uint64_t)(right == IF_REAL ? FLAG_IF : FLAG_VIF);
}

void op_sti(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    IfRight right = if_right(s);
    system_gp(s, right == IF_NONE);
    if (right == IF_VIRTUAL) {
        system_gp(s, st->rflags & FLAG_VIP);
        st->rflags |= FLAG_VIF;
    } else if (!(st->rflags & FLAG_IF)) {
        st->rflags |= FLAG_IF;
        st->event.interrupt_shadow |= SHADOW_STI;
        soft_leave(s);
    }
}

/* VM and RF are pushed as 0.  Under VME, IF is VIF and IOPL reads as 3. */
void op_pushf(SoftCpu *s, const Insn *i)
{
    uint64_t flags = soft_flags(s);
    unsigned size = i->operand_size;
    if (cpu_mode(&s->cpu.state) == CPU_VM86 && iopl(s) < 3) {
        system_gp(s, !(s->cpu.state.cr4 & CR4_VME) || size != 2);
        flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
    }
    soft_push(s, size, flags & ~(uint64_t)(FLAG_VM | FLAG_RF));
}

enum { POPF_16 = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT, POPF_32 = POPF_16 | FLAG_AC | FLAG_ID };

/* What POPF may change, by operand size and privilege; VIP, VIF and VM never. */
static uint64_t popf_mask(const SoftCpu *s, unsigned size)
{
    uint64_t mask = size == 2 ? POPF_16 : POPF_32;
    unsigned cpl = soft_cpl(s);
    if (cpl == 0) {
        mask |= FLAG_IOPL;
    }
    return cpl <= iopl(s) ? mask | FLAG_IF : mask;
}

/* Virtual-8086 mode with IOPL below 3: only with VME, and IF goes to VIF. */
static uint64_t popf_vme(SoftCpu *s, unsigned size, uint64_t v)
{
    uint64_t old = soft_flags(s);
    system_gp(s, v & FLAG_TF || (v & FLAG_IF && old & FLAG_VIP));
    uint64_t mask = POPF_16 | FLAG_VIF;
    return (old & ~mask) | (v & POPF_16) | (v & FLAG_IF ? FLAG_VIF : 0);
}

void op_popf(SoftCpu *s, const Insn *i)
{
    unsigned size = i->operand_size;
    bool virtual = cpu_mode(&s->cpu.state) == CPU_VM86 && iopl(s) < 3;
    system_gp(s, virtual && (!(s->cpu.state.cr4 & CR4_VME) || size != 2));
    uint64_t sp = s->cpu.state.gpr[CPU_RSP], v = soft_pop_at(s, &sp, size), flags;
    if (virtual) {
        flags = popf_vme(s, size, v);
    } else {
        uint64_t mask = popf_mask(s, size);
        flags = (soft_flags(s) & ~mask) | (v & mask);
    }
    soft_sp_put(s, sp);
    soft_set_flags(s, flags & ~(uint64_t)FLAG_RF);
}

/* Whether supervisor code may touch user pages (SDM vol 3 §4.6.1). */
static void ac_set(SoftCpu *s, bool on)
{
    CpuState *st = &s->cpu.state;
    system_ud(s, !system_has(s, FEATURE_SMAP) || soft_cpl(s) != 0);
    st->rflags = on ? st->rflags | FLAG_AC : st->rflags & ~(uint64_t)FLAG_AC;
    soft_changed(s);
}

void op_clac(SoftCpu *s, const Insn *i)
{
    ac_set(s, false);
}

void op_stac(SoftCpu *s, const Insn *i)
{
    ac_set(s, true);
}
