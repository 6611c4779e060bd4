/* The table of the system instructions (SDM vol 2; vol 3 §2.8). */
#include "accel/soft/op/system.h"

#include <Zydis/Zydis.h>

#define OP(name, flags, fn) {ZYDIS_MNEMONIC_##name, flags, fn}

// clang-format off
const Op ops_system[] = {
    OP(CLTS, OP_END, op_clts), OP(LMSW, OP_END, op_lmsw), OP(SMSW, 0, op_smsw),
    OP(XGETBV, 0, op_xgetbv), OP(XSETBV, OP_END, op_xsetbv),
    OP(INVLPG, OP_END, op_invlpg), OP(INVPCID, OP_END, op_invpcid),
    OP(RDPKRU, 0, op_rdpkru), OP(WRPKRU, OP_END, op_wrpkru),
    OP(INVD, 0, op_invd), OP(WBINVD, 0, op_invd),       /* WBNOINVD is the latter with F3H */
    OP(CLFLUSH, 0, op_clflush), OP(CLFLUSHOPT, 0, op_clflushopt), OP(CLWB, 0, op_clwb),

    OP(HLT, OP_END, op_hlt), OP(PAUSE, 0, op_pause), OP(CPUID, 0, op_cpuid),
    OP(MONITOR, 0, op_monitor), OP(MWAIT, OP_END, op_mwait),

    OP(RDMSR, OP_LOOP, op_rdmsr), OP(WRMSR, OP_END | OP_LOOP, op_wrmsr),
    OP(RDTSC, OP_LOOP, op_rdtsc), OP(RDTSCP, OP_LOOP, op_rdtscp), OP(RDPID, 0, op_rdpid),
    OP(RDPMC, 0, op_rdpmc),

    OP(SYSCALL, OP_END, op_syscall), OP(SYSRET, OP_END, op_sysret),
    OP(SYSENTER, OP_END, op_sysenter), OP(SYSEXIT, OP_END, op_sysexit),
    OP(SWAPGS, 0, op_swapgs), OP(RDFSBASE, 0, op_rdfsbase), OP(RDGSBASE, 0, op_rdgsbase),
    OP(WRFSBASE, 0, op_wrfsbase), OP(WRGSBASE, 0, op_wrgsbase),

    /* CLI need not end a block: interrupts are looked at between blocks, and found masked. */
    OP(CLI, 0, op_cli), OP(STI, OP_END, op_sti), OP(CLAC, OP_END, op_clac), OP(STAC, OP_END, op_stac),
    OP(PUSHF, 0, op_pushf), OP(PUSHFD, 0, op_pushf), OP(PUSHFQ, 0, op_pushf),
    OP(POPF, OP_END, op_popf), OP(POPFD, OP_END, op_popf), OP(POPFQ, OP_END, op_popf),

    OP(IN, OP_END | OP_LOOP, op_in), OP(OUT, OP_END | OP_LOOP, op_out),

    OP(UD0, OP_END, op_undefined), OP(UD1, OP_END, op_undefined), OP(UD2, OP_END, op_undefined),
    /* Virtualization and safer mode do not exist here: no VMX, SVM, SMX in CPUID. */
    OP(VMCALL, OP_END, op_undefined), OP(VMMCALL, OP_END, op_undefined), OP(VMFUNC, OP_END, op_undefined),
    OP(VMXON, OP_END, op_undefined), OP(VMXOFF, OP_END, op_undefined), OP(VMCLEAR, OP_END, op_undefined),
    OP(VMPTRLD, OP_END, op_undefined), OP(VMPTRST, OP_END, op_undefined), OP(VMREAD, OP_END, op_undefined),
    OP(VMWRITE, OP_END, op_undefined), OP(VMLAUNCH, OP_END, op_undefined), OP(VMRESUME, OP_END, op_undefined),
    OP(INVEPT, OP_END, op_undefined), OP(INVVPID, OP_END, op_undefined),
    OP(VMRUN, OP_END, op_undefined), OP(VMLOAD, OP_END, op_undefined), OP(VMSAVE, OP_END, op_undefined),
    OP(STGI, OP_END, op_undefined), OP(CLGI, OP_END, op_undefined), OP(SKINIT, OP_END, op_undefined),
    OP(INVLPGA, OP_END, op_undefined), OP(GETSEC, OP_END, op_undefined),
    {0}
};
// clang-format on
