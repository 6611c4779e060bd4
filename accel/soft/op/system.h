/* Private to the system instructions: control.c debug-registers.c eflags.c io.c msr.c processor.c syscall.c
 * tsc.c, whose table is in system.c. */
#ifndef ACCEL_SOFT_OP_SYSTEM_H
#define ACCEL_SOFT_OP_SYSTEM_H

#include "accel/soft/soft.h"

/* ---- Checks.  Each returns only when it is passed. ---- */
static inline void system_gp(SoftCpu *s, bool bad)
{
    if (bad) {
        soft_fault_error(s, EXC_GP, 0);
    }
}
static inline void system_ud(SoftCpu *s, bool bad)
{
    if (bad) {
        soft_fault(s, EXC_UD);
    }
}
static inline bool system_has(const SoftCpu *s, unsigned feature)
{
    return !s->cpu.model || model_has(s->cpu.model, feature);
}
static inline bool system_is_amd(const SoftCpu *s) { return s->cpu.model && model_is_amd(s->cpu.model); }
static inline bool system_64bit(const SoftCpu *s) { return cpu_mode(&s->cpu.state) == CPU_LONG; }
/* What CPL 0 may do only; virtual-8086 mode has CPL 3. */
static inline void system_privileged(SoftCpu *s) { system_gp(s, soft_cpl(s) != 0); }
/* Bits of a register or paging entry above MAXPHYADDR. */
static inline uint64_t system_beyond_phys(const SoftCpu *s)
{
    return UINT64_MAX << (s->cpu.model ? model_phys_bits(s->cpu.model) : 52);
}

/* EDX:EAX. */
static inline uint64_t system_edx_eax(const SoftCpu *s)
{
    return soft_gpr(s, CPU_RAX, 4) | soft_gpr(s, CPU_RDX, 4) << 32;
}
static inline void system_put_edx_eax(SoftCpu *s, uint64_t v)
{
    s->cpu.state.gpr[CPU_RAX] = (uint32_t)v;
    s->cpu.state.gpr[CPU_RDX] = v >> 32;
}

enum {
    FEATURE_CLFLUSHOPT = FEATURE(WORD_7_0_EBX, 23), FEATURE_CLWB = FEATURE(WORD_7_0_EBX, 24),
    FEATURE_INVPCID = FEATURE(WORD_7_0_EBX, 10), FEATURE_XGETBV1 = FEATURE(WORD_XSAVE, 2),
};

/* ---- The instructions, by file ---- */
/* control.c */
OpFn op_mov_cr, op_clts, op_lmsw, op_smsw, op_xgetbv, op_xsetbv, op_invlpg, op_invpcid, op_rdpkru,
    op_wrpkru;
/* debug-registers.c */
OpFn op_mov_dr;
/* eflags.c */
OpFn op_cli, op_sti, op_pushf, op_popf, op_clac, op_stac;
/* io.c */
OpFn op_in, op_out;
/* msr.c */
OpFn op_rdmsr, op_wrmsr;
/* processor.c */
OpFn op_hlt, op_monitor, op_mwait, op_pause, op_cpuid, op_invd, op_clflush, op_clflushopt, op_clwb,
    op_undefined;
/* syscall.c */
OpFn op_syscall, op_sysret, op_sysenter, op_sysexit, op_swapgs, op_rdfsbase, op_rdgsbase, op_wrfsbase,
    op_wrgsbase;
/* tsc.c */
OpFn op_rdtsc, op_rdtscp, op_rdpid, op_rdpmc;

#endif
