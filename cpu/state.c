#include "cpu/state.h"

#include <string.h>

#define GPR(i, n) WORD_(n, gpr[i], CPU_GROUP_GPR)
/* One row with a name of its own for a field that lies inside arrays or structs. */
#define WORD_(n, f, g, ...)                                                                        \
    {                                                                                              \
        .kind = ROW_STATE, .name = n, .stored = true, .field = offsetof(CpuState, f),              \
        .size = sizeof(((CpuState *)0)->f), .count = 1, .type = ROW_TYPE(CpuState, f), .arg = g,   \
        __VA_ARGS__                                                                                \
    }
#define SEGMENT(n, i)                                                                              \
    WORD_(n ".selector", seg[i].selector, CPU_GROUP_SEG),                                          \
        WORD_(n ".base", seg[i].base, CPU_GROUP_SEG),                                              \
        WORD_(n ".limit", seg[i].limit, CPU_GROUP_SEG),                                            \
        WORD_(n ".attr", seg[i].attr, CPU_GROUP_SEG, .max = ATTR_ALL)
#define CTL(f, ...)   WORD_(#f, f, CPU_GROUP_CTL, __VA_ARGS__)
#define MSR(f)        WORD_(#f, msr.f, CPU_GROUP_MSR)
#define EVENT(f, ...) WORD_(#f, event.f, CPU_GROUP_EVENT, __VA_ARGS__)
#define FPU(f)        WORD_("fpu." #f, fpu.f, CPU_GROUP_FPU)
/* An array within a struct or of structs, seen as `n_` words of 8 bytes. */
#define WORDS(n, f, g, n_)                                                                         \
    {                                                                                              \
        .kind = ROW_STATE, .name = n, .stored = true, .field = offsetof(CpuState, f), .size = 8,   \
        .count = n_, .type = TYPE_UINT, .arg = g                                                   \
    }
/* Field f of each element of the struct array u. */
#define UNITS(n, u, f, g)                                                                          \
    {                                                                                              \
        .kind = ROW_STATE, .name = n, .stored = true, .field = offsetof(CpuState, u[0].f),         \
        .size = sizeof(((CpuState *)0)->u[0].f), .count = G_N_ELEMENTS(((CpuState *)0)->u),        \
        .stride = sizeof(((CpuState *)0)->u[0]), .type = TYPE_UINT, .arg = g                       \
    }

// clang-format off
const Row cpu_state_rows[] = {
    GPR(CPU_RAX, "rax"), GPR(CPU_RCX, "rcx"), GPR(CPU_RDX, "rdx"), GPR(CPU_RBX, "rbx"),
    GPR(CPU_RSP, "rsp"), GPR(CPU_RBP, "rbp"), GPR(CPU_RSI, "rsi"), GPR(CPU_RDI, "rdi"),
    GPR(CPU_R8, "r8"), GPR(CPU_R9, "r9"), GPR(CPU_R10, "r10"), GPR(CPU_R11, "r11"),
    GPR(CPU_R12, "r12"), GPR(CPU_R13, "r13"), GPR(CPU_R14, "r14"), GPR(CPU_R15, "r15"),
    WORD_("rip", rip, CPU_GROUP_GPR),
    WORD_("rflags", rflags, CPU_GROUP_GPR, .max = 0x3fffff,
          .bits = "CF ONE PF - AF - ZF SF TF IF DF OF IOPL0 IOPL1 NT - RF VM AC VIF VIP ID"),
    SEGMENT("es", SEG_ES), SEGMENT("cs", SEG_CS), SEGMENT("ss", SEG_SS), SEGMENT("ds", SEG_DS),
    SEGMENT("fs", SEG_FS), SEGMENT("gs", SEG_GS), SEGMENT("ldtr", SEG_LDTR), SEGMENT("tr", SEG_TR),
    WORD_("gdtr.base", gdtr.base, CPU_GROUP_SEG), WORD_("gdtr.limit", gdtr.limit, CPU_GROUP_SEG),
    WORD_("idtr.base", idtr.base, CPU_GROUP_SEG), WORD_("idtr.limit", idtr.limit, CPU_GROUP_SEG),
    CTL(cr0, .max = UINT32_MAX,
        .bits = "PE MP EM TS ET NE - - - - - - - - - - WP - AM - - - - - - - - - - NW CD PG"),
    CTL(cr2), CTL(cr3),
    CTL(cr4, .bits = "VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP LA57 VMXE SMXE - "
                     "FSGSBASE PCIDE OSXSAVE - SMEP SMAP PKE CET PKS"),
    CTL(cr8, .max = 15), CTL(xcr0),
    CTL(efer, .bits = "SCE - - - - - - - LME - LMA NXE SVME LMSLE FFXSR TCE"),
    WORDS("pdpte", pdpte, CPU_GROUP_CTL, 4), CTL(pdpte_valid), CTL(pkru),
    WORD_("dr0", dr[0], CPU_GROUP_CTL), WORD_("dr1", dr[1], CPU_GROUP_CTL), WORD_("dr2", dr[2], CPU_GROUP_CTL),
    WORD_("dr3", dr[3], CPU_GROUP_CTL), WORD_("dr6", dr[6], CPU_GROUP_CTL), WORD_("dr7", dr[7], CPU_GROUP_CTL),
    FPU(fcw), FPU(fsw), FPU(ftw), FPU(fop), FPU(fip), FPU(fdp), FPU(mxcsr), FPU(mxcsr_mask),
    UNITS("fpu.st.mantissa", fpu.st, mantissa, CPU_GROUP_FPU),
    UNITS("fpu.st.sign_exponent", fpu.st, sign_exponent, CPU_GROUP_FPU),
    FPU(xstate_bv),
    WORDS("fpu.xmm", fpu.xmm, CPU_GROUP_FPU, 32), WORDS("fpu.ymmh", fpu.ymmh, CPU_GROUP_FPU, 32),
    WORDS("fpu.bndregs", fpu.bndregs, CPU_GROUP_FPU, 8), WORDS("fpu.bndcsr", fpu.bndcsr, CPU_GROUP_FPU, 8),
    WORDS("fpu.opmask", fpu.opmask, CPU_GROUP_FPU, 8), WORDS("fpu.zmmh", fpu.zmmh, CPU_GROUP_FPU, 64),
    WORDS("fpu.zmm_hi", fpu.zmm_hi, CPU_GROUP_FPU, 128),
    MSR(tsc), MSR(tsc_adjust), MSR(tsc_deadline), MSR(tsc_aux), MSR(apic_base), MSR(feature_control),
    MSR(misc_enable), MSR(misc_features_enables), MSR(sysenter_cs), MSR(sysenter_esp), MSR(sysenter_eip),
    MSR(star), MSR(lstar), MSR(cstar), MSR(fmask), MSR(kernel_gs_base), MSR(pat), MSR(mtrr_def_type),
    WORDS("mtrr_fixed", msr.mtrr_fixed, CPU_GROUP_MSR, CPU_MTRR_FIXED),
    UNITS("mtrr.base", msr.mtrr, base, CPU_GROUP_MSR), UNITS("mtrr.mask", msr.mtrr, mask, CPU_GROUP_MSR),
    MSR(mcg_cap), MSR(mcg_status), MSR(mcg_ctl), MSR(mcg_ext_ctl),
    UNITS("mc.ctl", msr.mc, ctl, CPU_GROUP_MSR), UNITS("mc.status", msr.mc, status, CPU_GROUP_MSR),
    UNITS("mc.addr", msr.mc, addr, CPU_GROUP_MSR), UNITS("mc.misc", msr.mc, misc, CPU_GROUP_MSR),
    MSR(spec_ctrl), MSR(virt_ssbd), MSR(tsx_ctrl), MSR(smbase), MSR(smi_count), MSR(debugctl), MSR(xss),
    MSR(bndcfgs), MSR(umwait_control), MSR(pkrs), MSR(platform_info), MSR(arch_capabilities),
    MSR(microcode_revision), MSR(vm_cr), MSR(vm_hsave_pa), MSR(hwcr), MSR(tsc_ratio),
    WORDS("pmc", msr.pmc, CPU_GROUP_MSR, CPU_PMCS), WORDS("pmc_select", msr.pmc_select, CPU_GROUP_MSR, CPU_PMCS),
    WORDS("pmc_fixed", msr.pmc_fixed, CPU_GROUP_MSR, CPU_PMC_FIXED),
    MSR(pmc_fixed_ctrl), MSR(pmc_global_ctrl), MSR(pmc_global_status),
    MSR(kvm_wall_clock), MSR(kvm_system_time), MSR(kvm_async_pf_en), MSR(kvm_async_pf_int), MSR(kvm_steal_time),
    MSR(kvm_pv_eoi), MSR(kvm_poll_control),
    MSR(hv_guest_os_id), MSR(hv_hypercall), MSR(hv_reference_tsc), MSR(hv_vp_assist), MSR(hv_runtime),
    MSR(hv_crash_ctl), WORDS("hv_crash", msr.hv_crash, CPU_GROUP_MSR, 5),
    MSR(hv_scontrol), MSR(hv_siefp), MSR(hv_simp), WORDS("hv_sint", msr.hv_sint, CPU_GROUP_MSR, 16),
    UNITS("hv_stimer.config", msr.hv_stimer, config, CPU_GROUP_MSR),
    UNITS("hv_stimer.count", msr.hv_stimer, count, CPU_GROUP_MSR),
    MSR(hv_reenlightenment), MSR(hv_tsc_emulation_ctl), MSR(hv_tsc_emulation_status),
    EVENT(exception_pending), EVENT(exception_injected), EVENT(exception_has_error), EVENT(exception_has_payload),
    EVENT(exception_vector, .max = 31), EVENT(exception_error), EVENT(exception_payload),
    EVENT(interrupt_injected), EVENT(interrupt_soft), EVENT(interrupt_vector),
    EVENT(interrupt_shadow, .max = SHADOW_MOV_SS | SHADOW_STI),
    EVENT(nmi_injected), EVENT(nmi_masked), EVENT(nmi_pending, .max = 2),
    EVENT(smm), EVENT(smm_inside_nmi), EVENT(smi_pending), EVENT(init_latched), EVENT(triple_fault_pending),
    END
};

const XsaveLayout xsave_layout_intel = {
    .offset = {0, 160, 576, 960, 1024, 1088, 1152, 1664, 0, 2688},
    .size = {160, 256, 256, 64, 64, 64, 512, 1024, 0, 8},
};
// clang-format on

void segment_set_real(Segment *s, uint16_t selector)
{
    s->selector = selector;
    s->base = (uint32_t)selector << 4;
}

void fpu_reset(CpuState *s)
{
    memset(&s->fpu, 0, sizeof(s->fpu));
    s->fpu.fcw = 0x37f;
    s->fpu.mxcsr = 0x1f80;
    s->fpu.mxcsr_mask = 0xffff;
    s->pkru = 0;
}

uint16_t fpu_tag_word(const Xsave *x)
{
    uint16_t word = 0;
    for (unsigned phys = 0; phys < 8; phys++) {
        const FpReg *r = &x->st[(phys - fpu_top(x)) & 7];
        unsigned exponent = r->sign_exponent & 0x7fff, tag = 0;
        if (!(x->ftw >> phys & 1)) {
            tag = 3;
        } else if (exponent == 0 && r->mantissa == 0) {
            tag = 1;
        } else if (exponent == 0 || exponent == 0x7fff || !(r->mantissa >> 63)) {
            tag = 2;
        }
        word |= tag << (2 * phys);
    }
    return word;
}

uint8_t fpu_abridge_tags(uint16_t tag_word)
{
    uint8_t in_use = 0;
    for (unsigned phys = 0; phys < 8; phys++) {
        in_use |= (tag_word >> (2 * phys) & 3) != 3 ? 1 << phys : 0;
    }
    return in_use;
}

/* ---- XSAVE images ---- */

enum { LEGACY = 512, HEADER_END = 576, BV_AT = 512 };

/* Whether component i of the layout lies wholly in an image of `len` bytes. */
static bool component_fits(const XsaveLayout *l, unsigned i, size_t len)
{
    return l->size[i] && l->offset[i] >= HEADER_END && l->size[i] <= len &&
           l->offset[i] <= len - l->size[i];
}

/* Where struct Xsave has component i >= 2, or NULL. */
static void *component_at(Xsave *x, unsigned i)
{
    return i >= 2 && i <= 7 ? (char *)x + xsave_layout_intel.offset[i] : NULL;
}

void xsave_import(CpuState *s, const void *image, size_t len, const XsaveLayout *layout)
{
    const char *from = image;
    uint64_t bv = XSTATE_FP | XSTATE_SSE;
    fpu_reset(s);
    if (len < LEGACY) {
        return;
    }
    if (len >= HEADER_END) {
        memcpy(&bv, from + BV_AT, sizeof(bv));
    }
    Xsave *x = &s->fpu;
    if (bv & XSTATE_FP) {
        memcpy(x, from, offsetof(Xsave, mxcsr));
        memcpy(x->st, from + offsetof(Xsave, st), sizeof(x->st));
    }
    /* MXCSR belongs to no component: SSE and AVX both load it (SDM vol 1 §13.8.1). */
    memcpy(&x->mxcsr, from + offsetof(Xsave, mxcsr), 4);
    memcpy(&x->mxcsr_mask, from + offsetof(Xsave, mxcsr_mask), 4);
    if (bv & XSTATE_SSE) {
        memcpy(x->xmm, from + offsetof(Xsave, xmm), sizeof(x->xmm));
    }
    for (unsigned i = 2; i <= 7; i++) {
        if (bv >> i & 1 && component_fits(layout, i, len)) {
            memcpy(component_at(x, i), from + layout->offset[i],
                   MIN(layout->size[i], xsave_layout_intel.size[i]));
        }
    }
    if (bv & XSTATE_PKRU && component_fits(layout, 9, len)) {
        memcpy(&s->pkru, from + layout->offset[9], 4);
    }
    x->xstate_bv = bv & ~(uint64_t)XSTATE_PKRU;
}

void xsave_export(const CpuState *s, void *image, size_t len, const XsaveLayout *layout,
                  uint64_t mask)
{
    char *to = image;
    memset(to, 0, len);
    if (len < LEGACY) {
        return;
    }
    Xsave x = s->fpu;
    memcpy(to, &x, offsetof(Xsave, reserved2));
    uint64_t bv = mask & (XSTATE_FP | XSTATE_SSE);
    for (unsigned i = 2; i <= 7; i++) {
        if (mask >> i & 1 && component_fits(layout, i, len)) {
            memcpy(to + layout->offset[i], component_at(&x, i),
                   MIN(layout->size[i], xsave_layout_intel.size[i]));
            bv |= UINT64_C(1) << i;
        }
    }
    if (mask & XSTATE_PKRU && component_fits(layout, 9, len)) {
        memcpy(to + layout->offset[9], &s->pkru, 4);
        bv |= XSTATE_PKRU;
    }
    if (len >= HEADER_END) {
        memcpy(to + BV_AT, &bv, sizeof(bv));
    }
}
