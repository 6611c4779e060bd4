/* Fast system calls, and the bases of FS and GS (SDM vol 2; APM vol 3).
 *
 * Code and stack segments become flat without a look at the descriptor tables.  CPL is the DPL of SS, so SS
 * always gets one. */
#include "accel/soft/op/system.h"
#include "cpu/msr.h"

static void flat(Segment *seg, uint16_t selector, unsigned type, unsigned dpl, bool l)
{
    bool db = !l;
    seg->selector = selector;
    seg->base = 0;
    seg->limit = UINT32_MAX;
    seg->attr = segment_attr(type, true, dpl, true, false, l, db, true, false);
}

static void set_cs(SoftCpu *s, uint16_t selector, unsigned dpl, bool l)
{
    flat(&s->cpu.state.seg[SEG_CS], selector, SEGMENT_CODE | SEGMENT_READABLE | SEGMENT_ACCESSED, dpl, l);
}

static void set_ss(SoftCpu *s, uint16_t selector, unsigned dpl)
{
    flat(&s->cpu.state.seg[SEG_SS], selector, SEGMENT_WRITABLE | SEGMENT_ACCESSED, dpl, false);
}

static bool canonical(const SoftCpu *s, uint64_t v)
{
    return address_canonical(v, s->cpu.state.cr4 & CR4_LA57);
}

/* ---- SYSCALL, SYSRET ---- */

/* Whether a single step follows is decided by the flags that they load, not by those before: SYSCALL with TF masked out
 * is not followed by one, SYSRET that sets TF is, before anything else runs. */
static void step_behind(SoftCpu *s, uint64_t flags)
{
    if (flags & FLAG_TF) {
        s->insn_rip = s->cpu.state.rip;
        soft_debug_trap(s, DR6_BS);
    }
}

/* AMD has it outside long mode as well, by STAR's low half. */
static void syscall_legacy(SoftCpu *s, uint16_t selector)
{
    CpuState *st = &s->cpu.state;
    uint64_t flags = soft_flags(s) & ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF);
    st->gpr[CPU_RCX] = (uint32_t)st->rip;
    st->rip = (uint32_t)st->msr.star;
    set_cs(s, selector & 0xfffc, 0, false);
    set_ss(s, (uint16_t)(selector + 8), 0);
    soft_set_flags(s, flags);
}

void op_syscall(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    bool amd = system_is_amd(s), code64 = system_64bit(s);
    uint16_t selector = (uint16_t)(st->msr.star >> 32);
    system_ud(s, !(st->efer & EFER_SCE) || (!amd && !code64));
    uint64_t flags = soft_flags(s) & ~(uint64_t)FLAG_RF;
    if (!cpu_long_active(st)) {
        syscall_legacy(s, selector);
    } else {
        st->gpr[CPU_RCX] = code64 ? st->rip : (uint32_t)st->rip;
        st->gpr[CPU_R11] = flags;
        st->rip = code64 ? st->msr.lstar : st->msr.cstar;
        set_cs(s, selector & 0xfffc, 0, true);
        set_ss(s, (uint16_t)(selector + 8), 0);
        flags = (flags & ~st->msr.fmask) | FLAG_ONE;
        soft_set_flags(s, flags);
    }
    soft_changed(s);
    step_behind(s, flags);
}

enum { SYSRET_FLAGS = 0x3c7fd7 }; /* all but RF and VM */

/* To CPL 3.  AMD leaves base, limit and rights of SS as they are. */
static void sysret_segments(SoftCpu *s, bool to64)
{
    Segment *ss = &s->cpu.state.seg[SEG_SS];
    uint16_t selector = (uint16_t)(s->cpu.state.msr.star >> 48);
    set_cs(s, (uint16_t)(to64 ? selector + 16 : selector) | 3, 3, to64);
    if (system_is_amd(s)) {
        ss->selector = (uint16_t)(selector + 8) | 3;
        ss->attr |= ATTR_DPL;
    } else {
        set_ss(s, (uint16_t)(selector + 8) | 3, 3);
    }
}

void op_sysret(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    bool amd = system_is_amd(s), code64 = system_64bit(s), to64 = code64 && i->operand_size == 8;
    system_ud(s, !(st->efer & EFER_SCE) || (!amd && !code64));
    system_gp(s, !(st->cr0 & CR0_PE) || soft_cpl(s) != 0);
    uint64_t rip = to64 ? st->gpr[CPU_RCX] : (uint32_t)st->gpr[CPU_RCX];
    system_gp(s, !amd && !canonical(s, rip));
    uint64_t flags = code64 ? (st->gpr[CPU_R11] & SYSRET_FLAGS) | FLAG_ONE : soft_flags(s) | FLAG_IF;
    sysret_segments(s, to64);
    st->rip = rip;
    soft_set_flags(s, flags);
    soft_changed(s);
    step_behind(s, flags);
}

/* ---- SYSENTER, SYSEXIT: AMD has neither in long mode ---- */

static uint16_t sysenter_cs(SoftCpu *s)
{
    const CpuState *st = &s->cpu.state;
    system_ud(s, !system_has(s, FEATURE_SEP) || (system_is_amd(s) && cpu_long_active(st)));
    system_gp(s, !(st->cr0 & CR0_PE) || !(st->msr.sysenter_cs & 0xfffc));
    return (uint16_t)st->msr.sysenter_cs;
}

void op_sysenter(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    uint16_t selector = sysenter_cs(s) & 0xfffc;
    bool lma = cpu_long_active(st);
    uint64_t flags = soft_flags(s) & ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF);
    st->rip = lma ? st->msr.sysenter_eip : (uint32_t)st->msr.sysenter_eip;
    st->gpr[CPU_RSP] = lma ? st->msr.sysenter_esp : (uint32_t)st->msr.sysenter_esp;
    set_cs(s, selector, 0, lma);
    set_ss(s, (uint16_t)(selector + 8), 0);
    soft_set_flags(s, flags);
    soft_changed(s);
}

void op_sysexit(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    uint16_t selector = sysenter_cs(s);
    bool to64 = system_64bit(s) && i->operand_size == 8;
    system_privileged(s);
    uint64_t rip = st->gpr[CPU_RDX], rsp = st->gpr[CPU_RCX];
    system_gp(s, to64 && (!canonical(s, rip) || !canonical(s, rsp)));
    st->rip = to64 ? rip : (uint32_t)rip;
    st->gpr[CPU_RSP] = to64 ? rsp : (uint32_t)rsp;
    set_cs(s, (uint16_t)(selector + (to64 ? 32 : 16)) | 3, 3, to64);
    set_ss(s, (uint16_t)(selector + (to64 ? 40 : 24)) | 3, 3);
    soft_changed(s);
}

/* ---- FS and GS ---- */

void op_swapgs(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    system_ud(s, !system_64bit(s));
    system_privileged(s);
    uint64_t base = st->seg[SEG_GS].base;
    st->seg[SEG_GS].base = st->msr.kernel_gs_base;
    st->msr.kernel_gs_base = base;
}

static Segment *base_of(SoftCpu *s, unsigned seg)
{
    system_ud(s, !system_64bit(s) || !(s->cpu.state.cr4 & CR4_FSGSBASE));
    return &s->cpu.state.seg[seg];
}

static void base_read(SoftCpu *s, const Insn *i, unsigned seg)
{
    soft_gpr_put(s, i->op[0].reg, i->op[0].size, base_of(s, seg)->base);
}

static void base_write(SoftCpu *s, const Insn *i, unsigned seg)
{
    Segment *to = base_of(s, seg);
    uint64_t v = soft_gpr(s, i->op[0].reg, i->op[0].size);
    system_gp(s, !canonical(s, v));
    to->base = v;
}

void op_rdfsbase(SoftCpu *s, const Insn *i)
{
    base_read(s, i, SEG_FS);
}

void op_rdgsbase(SoftCpu *s, const Insn *i)
{
    base_read(s, i, SEG_GS);
}

void op_wrfsbase(SoftCpu *s, const Insn *i)
{
    base_write(s, i, SEG_FS);
}

void op_wrgsbase(SoftCpu *s, const Insn *i)
{
    base_write(s, i, SEG_GS);
}
