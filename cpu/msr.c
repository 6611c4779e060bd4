#include "cpu/msr.h"

#include <string.h>

#include "cpu/model-tables.h"

/* ---- What masks cannot say ---- */

bool address_canonical(uint64_t va, bool la57)
{
    unsigned shift = la57 ? 7 : 16;
    return (uint64_t)((int64_t)(va << shift) >> shift) == va;
}

bool base_canonical(const Cpu *c, uint64_t va)
{
    return address_canonical(va, c->model && model_has(c->model, FEATURE_LA57));
}

static uint64_t phys_mask(const Cpu *c)
{
    unsigned bits = c->model ? model_phys_bits(c->model) : 40;
    return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static bool memory_type_valid(unsigned type, bool pat)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

/* PAT and the fixed MTRRs: eight memory types, one a byte (SDM vol 3 §12.11.2.2, §12.12.2). */
static bool types_write(uint64_t value, bool pat)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!memory_type_valid(value >> (8 * i) & 0xff, pat)) {
            return false;
        }
    }
    return true;
}

static bool pat_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return types_write(*v, true);
}

static bool mtrr_fixed_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return types_write(*v, false);
}

static bool mtrr_base_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return !(*v & ~(phys_mask(c) & ~UINT64_C(0xfff)) & ~UINT64_C(0xff)) &&
           memory_type_valid(*v & 0xff, false);
}

static bool mtrr_mask_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return !(*v & ~(phys_mask(c) & ~UINT64_C(0xfff)) & ~UINT64_C(0x800));
}

static bool mtrr_type_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return memory_type_valid(*v & 0xff, false);
}

static bool apic_base_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    const uint64_t extd = 1 << 10, enable = 1 << 11;
    if (*v & ~(phys_mask(c) | 0xfff) ||
        (*v & extd && !(c->model && model_has(c->model, FEATURE_X2APIC)))) {
        return false;
    }
    /* SDM vol 3 §11.12.5: x2APIC mode is entered from xAPIC mode and left only to "disabled". */
    uint64_t from = old & (extd | enable), to = *v & (extd | enable);
    if (to == extd || (from == (extd | enable) && to == enable) ||
        (from == 0 && to == (extd | enable))) {
        return false;
    }
    return !cpu_platform.apic_base_set || !c->apic || cpu_platform.apic_base_set(c, *v);
}

static uint64_t apic_base_read(Cpu *c, unsigned i, uint64_t stored)
{
    return cpu_platform.apic_base_get && c->apic ? cpu_platform.apic_base_get(c) : stored;
}

static bool efer_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    uint64_t allowed = c->model ? model_efer(c->model) : UINT64_MAX;
    if (*v & ~(allowed | EFER_LMA)) {
        return false;
    }
    /* LME cannot change while paging is on; LMA follows by itself (SDM vol 3 §4.1.1, §9.8.5). */
    if (cpu_paging(&c->state) && ((*v ^ old) & EFER_LME)) {
        return false;
    }
    *v = (*v & ~EFER_LMA) | (old & EFER_LMA);
    return true;
}

static uint64_t tsc_read(Cpu *c, unsigned i, uint64_t stored)
{
    return cpu_ops.tsc ? cpu_ops.tsc(c) : stored;
}

/* A write to one of TSC and TSC_ADJUST moves the other by as much (SDM vol 3 §18.17.3). */
static bool tsc_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    c->state.msr.tsc_adjust += *v - tsc_read(c, 0, old);
    return true;
}

static bool tsc_adjust_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    c->state.msr.tsc = tsc_read(c, 0, c->state.msr.tsc) + (*v - old);
    if (cpu_ops.msr_written) {
        cpu_ops.msr_written(c, MSR_TSC);
    }
    return true;
}

static bool feature_control_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return !(old & 1); /* locked until the next reset */
}

/* MCi_CTL: all zeros or all ones, less a bit of bank 4 that kernels clear on AMD's early chips.  MCi_STATUS can only be
 * cleared (SDM vol 3 §16.3.2.1, .2); the address and the rest take all, as AMD's do. */
static bool mc_ctl_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return *v == 0 || (*v | 1 << 10) == UINT64_MAX;
}

static bool mc_status_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return *v == 0;
}

static bool mcg_ctl_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return *v == 0 || *v == UINT64_MAX;
}

static bool xss_write(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    return !c->model || !(*v & ~model_xss(c->model));
}

static bool pmc_status_ctl(Cpu *c, unsigned i, uint64_t old, uint64_t *v)
{
    c->state.msr.pmc_global_status &= ~*v;
    *v = 0;
    return true;
}

static uint64_t arch_capabilities_read(Cpu *c, unsigned i, uint64_t stored)
{
    return c->model ? c->model->words[WORD_ARCH_CAPABILITIES] : stored;
}

static uint64_t core_capability_read(Cpu *c, unsigned i, uint64_t stored)
{
    return c->model ? c->model->words[WORD_CORE_CAPABILITY] : 0;
}

static uint64_t vp_index_read(Cpu *c, unsigned i, uint64_t stored)
{
    return c->index;
}

/* ---- The table ---- */

#define FIELD(f)    .field = offsetof(CpuState, f)
#define MSRF(f)     .field = offsetof(CpuState, msr.f)
#define ALL         UINT64_MAX
#define CONSTANT(v) .constant = true, .reset = v
#define PATS        UINT64_C(0x0007040600070406)

// clang-format off
const Msr msr_table[] = {
    {0x00, .name = "p5_mc_addr", CONSTANT(0), .ignored = ALL},
    {0x01, .name = "p5_mc_type", CONSTANT(0), .ignored = ALL},
    {0x10, .name = "tsc", MSRF(tsc), .writable = ALL, .feature = FEATURE_TSC,
     .write = tsc_write, .read = tsc_read},
    {0x17, .name = "platform_id", CONSTANT(0), .read_only = true},
    {0x1b, .name = "apic_base", MSRF(apic_base), .reset = 0xfee00900, .writable = ALL & ~UINT64_C(0x2ff),
     .feature = FEATURE_APIC, .write = apic_base_write, .read = apic_base_read},
    {0x2a, .name = "ebl_cr_poweron", CONSTANT(0), .ignored = ALL},
    {0x33, .name = "test_ctl", CONSTANT(0), .ignored = UINT64_C(1) << 29 | UINT64_C(1) << 31,
     .feature = FEATURE_CORE_CAPABILITY},
    {0x3a, .name = "feature_control", MSRF(feature_control), .writable = 0xff07 | 1 << 17 | 1 << 18 | 1 << 20,
     .feature = FEATURE_VMX, .write = feature_control_write},
    {0x3b, .name = "tsc_adjust", MSRF(tsc_adjust), .writable = ALL, .feature = FEATURE_TSC_ADJUST,
     .write = tsc_adjust_write},
    {0x48, .name = "spec_ctrl", MSRF(spec_ctrl), .writable = 7, .feature = FEATURE_SPEC_CTRL,
     .feature2 = FEATURE_AMD_IBPB},
    {0x49, .name = "pred_cmd", CONSTANT(0), .write_only = true, .ignored = 1, .feature = FEATURE_SPEC_CTRL,
     .feature2 = FEATURE_AMD_IBPB},
    {0x79, .name = "bios_updt_trig", CONSTANT(0), .ignored = ALL},
    {0x8b, .name = "bios_sign_id", MSRF(microcode_revision), .reset = UINT64_C(0x100000000), .writable = ALL,
     },
    {0x9e, .name = "smbase", MSRF(smbase), .reset = 0x30000, .read_only = true},
    {0xc1, .count = CPU_PMCS, .name = "pmc", MSRF(pmc), .writable = ALL, .feature = FEATURE_PDCM},
    {0xcd, .name = "fsb_freq", CONSTANT(3), .read_only = true},
    {0xce, .name = "platform_info", MSRF(platform_info), .writable = UINT64_C(1) << 31},
    {0xcf, .name = "core_capabilities", CONSTANT(0), .read_only = true, .feature = FEATURE_CORE_CAPABILITY,
     .read = core_capability_read},
    {0xe1, .name = "umwait_control", MSRF(umwait_control), .writable = 0xfffffffd, .feature = FEATURE_WAITPKG},
    {0xfe, .name = "mtrrcap", CONSTANT(1 << 10 | 1 << 8 | CPU_MTRR_VARIABLE), .read_only = true,
     .feature = FEATURE_MTRR},
    {0x10a, .name = "arch_capabilities", MSRF(arch_capabilities), .read_only = true,
     .feature = FEATURE_ARCH_CAPABILITIES, .read = arch_capabilities_read},
    {0x11e, .name = "bbl_cr_ctl3", CONSTANT(0xbe702111), .ignored = ALL},
    {0x122, .name = "tsx_ctrl", MSRF(tsx_ctrl), .writable = 3, .feature = FEATURE(WORD_ARCH_CAPABILITIES, 7)},
    {0x140, .name = "misc_features_enables", MSRF(misc_features_enables), .writable = 1, .feature = FEATURE_PDCM},
    {0x174, .name = "sysenter_cs", MSRF(sysenter_cs), .writable = UINT32_MAX, .ignored = ALL,
     .feature = FEATURE_SEP},
    {0x175, .name = "sysenter_esp", MSRF(sysenter_esp), .writable = ALL, .canonical = true, .feature = FEATURE_SEP},
    {0x176, .name = "sysenter_eip", MSRF(sysenter_eip), .writable = ALL, .canonical = true, .feature = FEATURE_SEP},
    /* Ten banks, MCG_CTL present, software error recovery */
    {0x179, .name = "mcg_cap", MSRF(mcg_cap), .reset = CPU_MC_BANKS | 1 << 8 | 1 << 24, .read_only = true,
     .feature = FEATURE_MCA},
    {0x17a, .name = "mcg_status", MSRF(mcg_status), .writable = 7, .feature = FEATURE_MCA},
    {0x17b, .name = "mcg_ctl", MSRF(mcg_ctl), .reset = ALL, .writable = ALL, .feature = FEATURE_MCA,
     .write = mcg_ctl_write},
    {0x186, .count = CPU_PMCS, .name = "perfevtsel", MSRF(pmc_select), .writable = UINT64_C(0xffffffff),
     .feature = FEATURE_PDCM},
    {0x198, .name = "perf_status", CONSTANT(1000 | UINT64_C(4) << 40), .read_only = true},
    {0x199, .name = "perf_ctl", CONSTANT(0), .ignored = ALL},
    {0x19a, .name = "clock_modulation", CONSTANT(0), .ignored = 0x1f, .feature = FEATURE(WORD_1_EDX, 22)},
    {0x19b, .name = "therm_interrupt", CONSTANT(0), .ignored = ALL, .feature = FEATURE(WORD_1_EDX, 22)},
    {0x19c, .name = "therm_status", CONSTANT(0), .ignored = ALL, .feature = FEATURE(WORD_1_EDX, 22)},
    /* Fast strings on; the bits that switch CPUID answers are kept but not obeyed. */
    {0x1a0, .name = "misc_enable", MSRF(misc_enable), .reset = 1, .writable = UINT64_C(0x4ffffffff),
     },
    {0x1d9, .name = "debugctl", MSRF(debugctl), .writable = 0x3, .ignored = 0xffc0},
    {0x1db, .count = 4, .name = "lastbranch", CONSTANT(0), .ignored = ALL},
    {0x200, .count = CPU_MTRR_VARIABLE, .step = 2, .stride = 16, .name = "mtrr_physbase", MSRF(mtrr[0].base),
     .writable = ALL, .feature = FEATURE_MTRR, .write = mtrr_base_write},
    {0x201, .count = CPU_MTRR_VARIABLE, .step = 2, .stride = 16, .name = "mtrr_physmask", MSRF(mtrr[0].mask),
     .writable = ALL, .feature = FEATURE_MTRR, .write = mtrr_mask_write},
    {0x250, .name = "mtrr_fix64k_00000", MSRF(mtrr_fixed[0]), .writable = ALL, .feature = FEATURE_MTRR,
     .write = mtrr_fixed_write},
    {0x258, .count = 2, .name = "mtrr_fix16k", MSRF(mtrr_fixed[1]), .writable = ALL, .feature = FEATURE_MTRR,
     .write = mtrr_fixed_write},
    {0x268, .count = 8, .name = "mtrr_fix4k", MSRF(mtrr_fixed[3]), .writable = ALL, .feature = FEATURE_MTRR,
     .write = mtrr_fixed_write},
    {0x277, .name = "pat", MSRF(pat), .reset = PATS, .writable = ALL, .feature = FEATURE_PAT,
     .write = pat_write},
    {0x2ff, .name = "mtrr_def_type", MSRF(mtrr_def_type), .writable = 0xcff, .feature = FEATURE_MTRR,
     .write = mtrr_type_write},
    {0x309, .count = CPU_PMC_FIXED, .name = "fixed_ctr", MSRF(pmc_fixed), .writable = ALL, .feature = FEATURE_PDCM},
    {0x345, .name = "perf_capabilities", CONSTANT(0), .read_only = true, .feature = FEATURE_PDCM},
    {0x38d, .name = "fixed_ctr_ctrl", MSRF(pmc_fixed_ctrl), .writable = 0xffff, .feature = FEATURE_PDCM},
    {0x38e, .name = "perf_global_status", MSRF(pmc_global_status), .read_only = true, .feature = FEATURE_PDCM},
    {0x38f, .name = "perf_global_ctrl", MSRF(pmc_global_ctrl), .writable = UINT64_C(0xf000000ff),
     .feature = FEATURE_PDCM},
    {0x390, .name = "perf_global_ovf_ctrl", CONSTANT(0), .ignored = ALL, .feature = FEATURE_PDCM,
     .write = pmc_status_ctl},
    {0x400, .count = CPU_MC_BANKS, .step = 4, .stride = 32, .name = "mc_ctl", MSRF(mc[0].ctl), .reset = ALL,
     .writable = ALL, .feature = FEATURE_MCA, .write = mc_ctl_write},
    {0x401, .count = CPU_MC_BANKS, .step = 4, .stride = 32, .name = "mc_status", MSRF(mc[0].status), .writable = ALL,
     .feature = FEATURE_MCA, .write = mc_status_write},
    {0x402, .count = CPU_MC_BANKS, .step = 4, .stride = 32, .name = "mc_addr", MSRF(mc[0].addr), .writable = ALL,
     .feature = FEATURE_MCA},
    {0x403, .count = CPU_MC_BANKS, .step = 4, .stride = 32, .name = "mc_misc", MSRF(mc[0].misc), .writable = ALL,
     .feature = FEATURE_MCA},
    {0x4d0, .name = "mcg_ext_ctl", MSRF(mcg_ext_ctl), .writable = 1, .feature = FEATURE_VMX},
    {0x606, .name = "rapl_power_unit", CONSTANT(0), .read_only = true},
    {0x6e0, .name = "tsc_deadline", MSRF(tsc_deadline), .writable = ALL, .feature = FEATURE_TSC_DEADLINE},
    {0x6e1, .name = "pkrs", MSRF(pkrs), .writable = UINT32_MAX, .feature = FEATURE_PKS},
    {0xd90, .name = "bndcfgs", MSRF(bndcfgs), .writable = ~UINT64_C(0xffc), .canonical = true,
     .feature = FEATURE_MPX},
    {0xda0, .name = "xss", MSRF(xss), .writable = ALL, .feature = FEATURE_XSAVES,
     .write = xss_write},
    {0x11, .name = "kvm_wall_clock", .alias = true, MSRF(kvm_wall_clock), .writable = ALL, .feature = FEATURE_KVM_CLOCK_OLD},
    {0x12, .name = "kvm_system_time", .alias = true, MSRF(kvm_system_time), .writable = ALL, .feature = FEATURE_KVM_CLOCK_OLD},
    {0x4b564d00, .name = "kvm_wall_clock_new", MSRF(kvm_wall_clock), .writable = ALL, .feature = FEATURE_KVM_CLOCK},
    {0x4b564d01, .name = "kvm_system_time_new", MSRF(kvm_system_time), .writable = ALL,
     .feature = FEATURE_KVM_CLOCK},
    {0x4b564d02, .name = "kvm_async_pf_en", MSRF(kvm_async_pf_en), .writable = ~UINT64_C(0x30),
     .feature = FEATURE_KVM_ASYNC_PF},
    {0x4b564d03, .name = "kvm_steal_time", MSRF(kvm_steal_time), .writable = ~UINT64_C(0x3e),
     .feature = FEATURE_KVM_STEAL_TIME},
    {0x4b564d04, .name = "kvm_pv_eoi_en", MSRF(kvm_pv_eoi), .writable = ~UINT64_C(0x2),
     .feature = FEATURE_KVM_PV_EOI},
    {0x4b564d05, .name = "kvm_poll_control", MSRF(kvm_poll_control), .reset = 1, .writable = 1,
     .feature = FEATURE_KVM_POLL_CONTROL},
    {0x4b564d06, .name = "kvm_async_pf_int", MSRF(kvm_async_pf_int), .writable = 0xff,
     .feature = FEATURE_KVM_ASYNC_PF_INT},
    /* Hyper-V TLFS appendix */
    {0x40000000, .name = "hv_guest_os_id", MSRF(hv_guest_os_id), .writable = ALL, .feature = HV_ANY},
    {0x40000001, .name = "hv_hypercall", MSRF(hv_hypercall), .writable = ALL, .feature = HV_ANY},
    {0x40000002, .name = "hv_vp_index", CONSTANT(0), .read_only = true, .feature = HV_VPINDEX, .read = vp_index_read},
    {0x40000010, .name = "hv_vp_runtime", MSRF(hv_runtime), .writable = ALL, .feature = HV_RUNTIME},
    {0x40000021, .name = "hv_reference_tsc", MSRF(hv_reference_tsc), .writable = ALL, .feature = HV_TIME},
    {0x40000073, .name = "hv_vp_assist", MSRF(hv_vp_assist), .writable = ALL, .feature = HV_VAPIC},
    {0x40000080, .name = "hv_scontrol", MSRF(hv_scontrol), .writable = 1, .feature = HV_SYNIC},
    {0x40000082, .name = "hv_siefp", MSRF(hv_siefp), .writable = ALL, .feature = HV_SYNIC},
    {0x40000083, .name = "hv_simp", MSRF(hv_simp), .writable = ALL, .feature = HV_SYNIC},
    {0x40000090, .count = 16, .name = "hv_sint", MSRF(hv_sint), .reset = 0x10000, .writable = ALL,
     .feature = HV_SYNIC},
    {0x400000b0, .count = 4, .step = 2, .stride = 16, .name = "hv_stimer_config", MSRF(hv_stimer[0].config),
     .writable = ALL, .feature = HV_STIMER},
    {0x400000b1, .count = 4, .step = 2, .stride = 16, .name = "hv_stimer_count", MSRF(hv_stimer[0].count),
     .writable = ALL, .feature = HV_STIMER},
    {0x40000100, .count = 5, .name = "hv_crash", MSRF(hv_crash), .writable = ALL, .feature = HV_CRASH},
    {0x40000105, .name = "hv_crash_ctl", MSRF(hv_crash_ctl), .writable = ALL, .feature = HV_CRASH},
    {0x40000106, .name = "hv_reenlightenment", MSRF(hv_reenlightenment), .writable = ALL,
     .feature = HV_REENLIGHTENMENT},
    {0x40000107, .name = "hv_tsc_emulation_ctl", MSRF(hv_tsc_emulation_ctl), .writable = ALL,
     .feature = HV_REENLIGHTENMENT},
    {0x40000108, .name = "hv_tsc_emulation_status", MSRF(hv_tsc_emulation_status), .writable = ALL,
     .feature = HV_REENLIGHTENMENT},
    {0xc0000080, .name = "efer", FIELD(efer), .writable = ALL, .init_resets = true, .write = efer_write},
    {0xc0000081, .name = "star", MSRF(star), .writable = ALL, .feature = FEATURE_SYSCALL},
    {0xc0000082, .name = "lstar", MSRF(lstar), .writable = ALL, .canonical = true, .feature = FEATURE_LM,
     },
    {0xc0000083, .name = "cstar", MSRF(cstar), .writable = ALL, .canonical = true, .feature = FEATURE_LM,
     },
    {0xc0000084, .name = "fmask", MSRF(fmask), .writable = UINT32_MAX, .ignored = ALL, .feature = FEATURE_LM,
     },
    {0xc0000100, .name = "fs_base", FIELD(seg[SEG_FS].base), .writable = ALL, .canonical = true,
     .feature = FEATURE_LM},
    {0xc0000101, .name = "gs_base", FIELD(seg[SEG_GS].base), .writable = ALL, .canonical = true,
     .feature = FEATURE_LM},
    {0xc0000102, .name = "kernel_gs_base", MSRF(kernel_gs_base), .writable = ALL, .canonical = true,
     .feature = FEATURE_LM},
    {0xc0000103, .name = "tsc_aux", MSRF(tsc_aux), .writable = UINT32_MAX, .ignored = ALL,
     .feature = FEATURE_RDTSCP, .feature2 = FEATURE_RDPID},
    {0xc0000104, .name = "tsc_ratio", MSRF(tsc_ratio), .reset = UINT64_C(1) << 32,
     .writable = UINT64_C(0xffffffffff), .feature = FEATURE(WORD_SVM, 4)},
    {0xc0010000, .count = 8, .name = "perf_legacy", CONSTANT(0), .ignored = ALL}, /* counters that count nothing */
    {0xc0010010, .name = "syscfg", CONSTANT(0), .ignored = ALL},
    {0xc0010015, .name = "hwcr", MSRF(hwcr), .writable = UINT64_C(1) << 24 | 1 << 18, .ignored = 0x148,
     },
    {0xc001001f, .name = "nb_cfg", CONSTANT(0), .ignored = ALL},
    {0xc0010055, .name = "int_pending_msg", CONSTANT(0), .ignored = ALL},
    {0xc0010058, .name = "mmio_cfg_base", CONSTANT(0), .ignored = ALL},
    {0xc0010114, .name = "vm_cr", MSRF(vm_cr), .writable = 0x1f, .feature = FEATURE_SVM},
    {0xc0010117, .name = "vm_hsave_pa", MSRF(vm_hsave_pa), .writable = ~UINT64_C(0xfff), .feature = FEATURE_SVM},
    {0xc001011f, .name = "virt_ssbd", MSRF(virt_ssbd), .writable = 4, .feature = FEATURE_VIRT_SSBD},
    {0xc0010140, .count = 2, .name = "osvw", CONSTANT(0), .ignored = ALL, .feature = FEATURE(WORD_8000_0001_ECX, 9)},
    {0xc0011022, .name = "dc_cfg", CONSTANT(0), .ignored = ALL},
    {0xc0011029, .name = "de_cfg", CONSTANT(2), .ignored = ALL},
    {0}
};
// clang-format on

/* A linear search is for rare registers: RDMSR and WRMSR cost an exit anyway, and the software CPU
 * asks for the hot ones (FS, GS and kernel GS base, TSC_DEADLINE) by name. */
const Msr *msr_find(uint32_t index, unsigned *element)
{
    for (const Msr *m = msr_table; m->name; m++) {
        unsigned step = m->step ? m->step : 1, n = m->count ? m->count : 1;
        uint32_t at = index - m->index;
        if (index >= m->index && at % step == 0 && at / step < n) {
            *element = at / step;
            return m;
        }
    }
    return NULL;
}

bool msr_exists(const Cpu *c, const Msr *m)
{
    if (!c->model || !m->feature) {
        return true;
    }
    return model_has(c->model, m->feature) || (m->feature2 && model_has(c->model, m->feature2));
}

static bool is_x2apic(const Cpu *c, uint32_t index)
{
    return index >= MSR_X2APIC && index <= MSR_X2APIC_LAST && c->apic;
}

bool msr_read(Cpu *c, uint32_t index, uint64_t *value)
{
    unsigned i = 0;
    *value = 0;
    if (is_x2apic(c, index)) {
        return cpu_platform.x2apic_read && cpu_platform.x2apic_read(c, index - MSR_X2APIC, value);
    }
    const Msr *m = msr_find(index, &i);
    if (!m || !msr_exists(c, m) || m->write_only) {
        return false;
    }
    uint64_t stored = m->constant ? m->reset : *msr_slot(m, &c->state, i);
    *value = m->read ? m->read(c, i, stored) : stored;
    return true;
}

bool msr_write(Cpu *c, uint32_t index, uint64_t value)
{
    unsigned i = 0;
    if (is_x2apic(c, index)) {
        return cpu_platform.x2apic_write && cpu_platform.x2apic_write(c, index - MSR_X2APIC, value);
    }
    const Msr *m = msr_find(index, &i);
    if (!m || !msr_exists(c, m) || m->read_only || value & ~(m->writable | m->ignored)) {
        return false;
    }
    if (m->canonical && !base_canonical(c, value)) {
        return false;
    }
    uint64_t *slot = m->constant ? NULL : msr_slot(m, &c->state, i);
    uint64_t old = slot ? *slot : m->reset;
    /* What is outside `writable` keeps its value. */
    uint64_t v = (value & m->writable) | (old & ~m->writable & (m->ignored ? m->ignored : 0));
    if (m->constant) {
        v = value;
    }
    if (m->write && !m->write(c, i, old, &v)) {
        return false;
    }
    if (slot) {
        *slot = v;
        c->state_dirty = true;
    }
    if (cpu_ops.msr_written) {
        cpu_ops.msr_written(c, index);
    }
    return true;
}

void msr_reset(Cpu *c, bool init)
{
    CpuState *s = &c->state;
    if (!init) {
        memset(&s->msr, 0, sizeof(s->msr));
    }
    for (const Msr *m = msr_table; m->name; m++) {
        if (m->constant || (init && !m->init_resets)) {
            continue;
        }
        for (unsigned i = 0; i < (m->count ? m->count : 1); i++) {
            *msr_slot(m, s, i) = m->reset;
        }
    }
    if (!init) {
        s->msr.apic_base = 0xfee00800 | (c->is_bsp ? 0x100 : 0);
        s->msr.arch_capabilities = c->model ? c->model->words[WORD_ARCH_CAPABILITIES] : 0;
    }
}
