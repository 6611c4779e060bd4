/* The state of an x86 CPU, as its manuals name it.
 *
 * One struct and one table of rows (cpu_state_rows) serve the KVM copy, the software CPU, the debugger, the monitor,
 * migration and reset.  References: Intel SDM vol 1 (XSAVE: ch. 13), vol 3 (segments: ch. 3, 24.4; reset: 9.1), vol 4
 * (MSRs); AMD APM vol 2.
 *
 * What lives elsewhere: the local APIC (its device), what CPUID answers (cpu/model.h), whether the CPU sleeps or waits
 * for SIPI (struct Cpu, cpu_run_rows). */
#ifndef CPU_STATE_H
#define CPU_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/row.h"

/* General registers, in the order in which instructions encode them. */
enum {
    CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI,
    CPU_R8, CPU_R9, CPU_R10, CPU_R11, CPU_R12, CPU_R13, CPU_R14, CPU_R15,
    CPU_GPRS
};

/* Segment registers, the first six likewise. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, CPU_SEGS };

/* A segment register with its hidden part.
 *
 * attr has the encoding of the VMX guest access rights (SDM vol 3 table 24-2), which is bits 8-23 of the descriptor's
 * second half with the limit's nibble cleared:
 *   3:0 type   4 S (code or data)   6:5 DPL   7 P   12 AVL   13 L   14 D/B   15 G   16 unusable (a null selector)
 * limit is in bytes, already expanded for G. */
typedef struct Segment {
    uint64_t base;
    uint32_t limit;
    uint32_t attr;
    uint16_t selector;
} Segment;

enum {
    ATTR_TYPE = 0xf, ATTR_S = 1 << 4, ATTR_DPL_SHIFT = 5, ATTR_DPL = 3 << 5, ATTR_P = 1 << 7,
    ATTR_AVL = 1 << 12, ATTR_L = 1 << 13, ATTR_DB = 1 << 14, ATTR_G = 1 << 15, ATTR_UNUSABLE = 1 << 16,
    ATTR_ALL = 0x1f0ff,
    /* bits of the type field when S is set */
    SEGMENT_ACCESSED = 1, SEGMENT_WRITABLE = 2, SEGMENT_READABLE = 2, SEGMENT_EXPAND_DOWN = 4,
    SEGMENT_CONFORMING = 4, SEGMENT_CODE = 8,
};
static inline unsigned segment_type(const Segment *s) { return s->attr & ATTR_TYPE; }
static inline bool segment_s(const Segment *s) { return s->attr & ATTR_S; }
static inline unsigned segment_dpl(const Segment *s) { return (s->attr & ATTR_DPL) >> ATTR_DPL_SHIFT; }
static inline bool segment_p(const Segment *s) { return s->attr & ATTR_P; }
static inline bool segment_avl(const Segment *s) { return s->attr & ATTR_AVL; }
static inline bool segment_l(const Segment *s) { return s->attr & ATTR_L; }
static inline bool segment_db(const Segment *s) { return s->attr & ATTR_DB; }
static inline bool segment_g(const Segment *s) { return s->attr & ATTR_G; }
static inline bool segment_unusable(const Segment *s) { return s->attr & ATTR_UNUSABLE; }
/* attr from the parts, for those whose interface has them apart (KVM). */
static inline uint32_t segment_attr(unsigned type, bool s, unsigned dpl, bool p, bool avl, bool l, bool db, bool g,
                                    bool unusable)
{
    return (type & 15) | (uint32_t)s << 4 | (dpl & 3) << 5 | (uint32_t)p << 7 | (uint32_t)avl << 12 |
           (uint32_t)l << 13 | (uint32_t)db << 14 | (uint32_t)g << 15 | (uint32_t)unusable << 16;
}

typedef struct TableReg {               /* GDTR, IDTR */
    uint64_t base;
    uint16_t limit;
} TableReg;

enum {
    FLAG_CF = 1 << 0, FLAG_ONE = 1 << 1, FLAG_PF = 1 << 2, FLAG_AF = 1 << 4, FLAG_ZF = 1 << 6, FLAG_SF = 1 << 7,
    FLAG_TF = 1 << 8, FLAG_IF = 1 << 9, FLAG_DF = 1 << 10, FLAG_OF = 1 << 11, FLAG_IOPL = 3 << 12, FLAG_NT = 1 << 14,
    FLAG_RF = 1 << 16, FLAG_VM = 1 << 17, FLAG_AC = 1 << 18, FLAG_VIF = 1 << 19, FLAG_VIP = 1 << 20, FLAG_ID = 1 << 21,
};
#define CR0_PE (UINT64_C(1) << 0)
#define CR0_MP (UINT64_C(1) << 1)
#define CR0_EM (UINT64_C(1) << 2)
#define CR0_TS (UINT64_C(1) << 3)
#define CR0_ET (UINT64_C(1) << 4)
#define CR0_NE (UINT64_C(1) << 5)
#define CR0_WP (UINT64_C(1) << 16)
#define CR0_AM (UINT64_C(1) << 18)
#define CR0_NW (UINT64_C(1) << 29)
#define CR0_CD (UINT64_C(1) << 30)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_VME (UINT64_C(1) << 0)
#define CR4_PVI (UINT64_C(1) << 1)
#define CR4_TSD (UINT64_C(1) << 2)
#define CR4_DE (UINT64_C(1) << 3)
#define CR4_PSE (UINT64_C(1) << 4)
#define CR4_PAE (UINT64_C(1) << 5)
#define CR4_MCE (UINT64_C(1) << 6)
#define CR4_PGE (UINT64_C(1) << 7)
#define CR4_PCE (UINT64_C(1) << 8)
#define CR4_OSFXSR (UINT64_C(1) << 9)
#define CR4_OSXMMEXCPT (UINT64_C(1) << 10)
#define CR4_UMIP (UINT64_C(1) << 11)
#define CR4_LA57 (UINT64_C(1) << 12)
#define CR4_VMXE (UINT64_C(1) << 13)
#define CR4_SMXE (UINT64_C(1) << 14)
#define CR4_FSGSBASE (UINT64_C(1) << 16)
#define CR4_PCIDE (UINT64_C(1) << 17)
#define CR4_OSXSAVE (UINT64_C(1) << 18)
#define CR4_SMEP (UINT64_C(1) << 20)
#define CR4_SMAP (UINT64_C(1) << 21)
#define CR4_PKE (UINT64_C(1) << 22)
#define CR4_CET (UINT64_C(1) << 23)
#define CR4_PKS (UINT64_C(1) << 24)
#define EFER_SCE (UINT64_C(1) << 0)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)
#define EFER_NXE (UINT64_C(1) << 11)
#define EFER_SVME (UINT64_C(1) << 12)
#define EFER_LMSLE (UINT64_C(1) << 13)
#define EFER_FFXSR (UINT64_C(1) << 14)
#define EFER_TCE (UINT64_C(1) << 15)
/* XSTATE_BV, XCR0 */
enum {
    XSTATE_FP = 1 << 0, XSTATE_SSE = 1 << 1, XSTATE_AVX = 1 << 2, XSTATE_BNDREGS = 1 << 3, XSTATE_BNDCSR = 1 << 4,
    XSTATE_OPMASK = 1 << 5, XSTATE_ZMM_HI256 = 1 << 6, XSTATE_HI16_ZMM = 1 << 7, XSTATE_PKRU = 1 << 9,
    XSTATE_AVX512 = 7 << 5,
};

/* The x87, MMX, SSE and AVX registers, in the image that XSAVE writes in its standard form (SDM vol 1 §13.4), with
 * Intel's offsets.  A host may place the components after AVX elsewhere (AMD does): xsave_import and xsave_export
 * convert.  A component whose bit is clear in xstate_bv holds its initial values, so that readers need not look there:
 * the image always has the registers' values, and xstate_bv only tells XSAVEOPT and XGETBV(1).  PKRU is a field of
 * CpuState, not of the image. */
typedef struct FpReg {
    uint64_t mantissa;                  /* MMn is this alone */
    uint16_t sign_exponent;
    uint16_t reserved[3];
} FpReg;

typedef struct Xsave {
    uint16_t fcw, fsw;
    uint8_t ftw;                        /* abridged: bit n set when physical register n is in use */
    uint8_t reserved1;
    uint16_t fop;
    uint64_t fip, fdp;                  /* 64-bit form; FCS and FDS of the 32-bit form are not kept  */
    uint32_t mxcsr, mxcsr_mask;
    FpReg st[8];                        /* ST(0) first: stack order, as FXSAVE stores them           */
    uint64_t xmm[16][2];                /* low half first */
    uint8_t reserved2[96];
    uint64_t xstate_bv, xcomp_bv;       /* offset 512: the header */
    uint8_t reserved3[48];
    uint64_t ymmh[16][2];               /* 576: bits 128-255 of YMM0-15 */
    uint8_t reserved4[128];
    uint64_t bndregs[4][2];             /* 960 */
    uint64_t bndcsr[8];                 /* 1024: BNDCFGU, BNDSTATUS */
    uint64_t opmask[8];                 /* 1088 */
    uint64_t zmmh[16][4];               /* 1152: bits 256-511 of ZMM0-15 */
    uint64_t zmm_hi[16][8];             /* 1664: ZMM16-31 */
} Xsave;
_Static_assert(offsetof(Xsave, mxcsr) == 24 && offsetof(Xsave, st) == 32 && offsetof(Xsave, xmm) == 160, "FXSAVE");
_Static_assert(offsetof(Xsave, xstate_bv) == 512 && offsetof(Xsave, ymmh) == 576, "XSAVE");
_Static_assert(offsetof(Xsave, bndregs) == 960 && offsetof(Xsave, opmask) == 1088, "XSAVE");
_Static_assert(offsetof(Xsave, zmmh) == 1152 && offsetof(Xsave, zmm_hi) == 1664 && sizeof(Xsave) == 2688, "XSAVE");

enum { CPU_MTRR_VARIABLE = 8, CPU_MTRR_FIXED = 11, CPU_MC_BANKS = 10, CPU_PMCS = 8, CPU_PMC_FIXED = 4 };

/* Model-specific registers that hold something; cpu/msr.c has their indices, masks and conditions.  EFER, FS and GS
 * base are elsewhere in CpuState, the x2APIC's in its device. */
typedef struct CpuMsrs {
    uint64_t tsc;                       /* the counter when the state was last copied from the accelerator */
    uint64_t tsc_adjust, tsc_deadline, tsc_aux;
    uint64_t apic_base;
    uint64_t feature_control, misc_enable, misc_features_enables;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t pat;
    uint64_t mtrr_def_type, mtrr_fixed[CPU_MTRR_FIXED];     /* fixed: 64K, 16K 80000 A0000, 4K C0000 .. F8000 */
    struct {
        uint64_t base, mask;
    } mtrr[CPU_MTRR_VARIABLE];
    uint64_t mcg_cap, mcg_status, mcg_ctl, mcg_ext_ctl;
    struct {
        uint64_t ctl, status, addr, misc;
    } mc[CPU_MC_BANKS];
    uint64_t spec_ctrl, virt_ssbd, tsx_ctrl;
    uint64_t smbase, smi_count;
    uint64_t debugctl;
    uint64_t xss, bndcfgs, umwait_control, pkrs;
    uint64_t platform_info, arch_capabilities, microcode_revision;
    uint64_t vm_cr, vm_hsave_pa, hwcr, tsc_ratio;           /* AMD */
    /* architectural performance monitoring */
    uint64_t pmc[CPU_PMCS], pmc_select[CPU_PMCS], pmc_fixed[CPU_PMC_FIXED];
    uint64_t pmc_fixed_ctrl, pmc_global_ctrl, pmc_global_status;
    /* KVM's paravirtual ones */
    uint64_t kvm_wall_clock, kvm_system_time, kvm_async_pf_en, kvm_async_pf_int, kvm_steal_time, kvm_pv_eoi,
        kvm_poll_control;
    /* Hyper-V's */
    uint64_t hv_guest_os_id, hv_hypercall, hv_reference_tsc, hv_vp_assist, hv_runtime;
    uint64_t hv_crash_ctl, hv_crash[5];
    uint64_t hv_scontrol, hv_siefp, hv_simp, hv_sint[16];
    struct {
        uint64_t config, count;
    } hv_stimer[4];
    uint64_t hv_reenlightenment, hv_tsc_emulation_ctl, hv_tsc_emulation_status;
} CpuMsrs;

enum { SHADOW_MOV_SS = 1, SHADOW_STI = 2 };

/* Events between two instructions.  "Injected": its delivery has begun and must be (re)started before the next
 * instruction; "pending": it waits, and may still be lost to a higher one (SDM vol 3 §6.9). */
typedef struct CpuEvents {
    bool exception_pending, exception_injected, exception_has_error, exception_has_payload;
    uint8_t exception_vector;
    uint32_t exception_error;
    uint64_t exception_payload;         /* #PF: CR2; #DB: DR6 bits */
    bool interrupt_injected, interrupt_soft;
    uint8_t interrupt_vector;
    uint8_t interrupt_shadow;           /* SHADOW_* */
    bool nmi_injected, nmi_masked;
    uint8_t nmi_pending;                /* one in service, one latched: at most 2 */
    bool smm;                           /* in system-management mode */
    bool smm_inside_nmi;                /* SMI came while NMIs were masked: RSM leaves them so */
    bool smi_pending, init_latched;
    bool triple_fault_pending;
} CpuEvents;

typedef struct CpuState {
    uint64_t gpr[CPU_GPRS];
    uint64_t rip;
    uint64_t rflags;                    /* complete; whoever keeps flags lazily writes them here before others look */
    Segment seg[CPU_SEGS];
    TableReg gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, cr8;   /* cr8: 0-15; the APIC's TPR bits 4-7 are the same thing */
    uint64_t xcr0, efer;
    uint64_t pdpte[4];                  /* PAE: loaded by MOV CR3 (SDM vol 3 §4.4.1) */
    bool pdpte_valid;                   /* false: the walk reads them from memory */
    uint32_t pkru;
    uint64_t dr[8];                     /* 4 and 5 stay 0 */
    _Alignas(64) Xsave fpu;
    CpuMsrs msr;
    CpuEvents event;
} CpuState;

/* ---- The table ---- */
typedef enum CpuGroup {                 /* .arg of each row */
    CPU_GROUP_GPR = 1 << 0, CPU_GROUP_SEG = 1 << 1, CPU_GROUP_CTL = 1 << 2, CPU_GROUP_FPU = 1 << 3,
    CPU_GROUP_MSR = 1 << 4, CPU_GROUP_EVENT = 1 << 5,
    CPU_GROUPS_ALL = (1 << 6) - 1,
} CpuGroup;
extern const Row cpu_state_rows[];       /* of CpuState, ROW_END last */

/* ---- Modes ---- */
typedef enum CpuMode { CPU_REAL, CPU_VM86, CPU_PROTECTED, CPU_COMPAT, CPU_LONG } CpuMode;

static inline bool cpu_paging(const CpuState *s) { return s->cr0 & CR0_PG; }
static inline bool cpu_long_active(const CpuState *s) { return s->efer & EFER_LMA; }
static inline CpuMode cpu_mode(const CpuState *s)
{
    if (!(s->cr0 & CR0_PE)) {
        return CPU_REAL;
    }
    if (cpu_long_active(s)) {
        return segment_l(&s->seg[SEG_CS]) ? CPU_LONG : CPU_COMPAT;
    }
    return s->rflags & FLAG_VM ? CPU_VM86 : CPU_PROTECTED;
}
/* Default operand and address size of code: 16, 32 or 64. */
static inline unsigned cpu_code_size(const CpuState *s)
{
    CpuMode m = cpu_mode(s);
    return m == CPU_LONG ? 64 : segment_db(&s->seg[SEG_CS]) && m != CPU_VM86 ? 32 : 16;
}
/* Width of the stack pointer: 16, 32 or 64. */
static inline unsigned cpu_stack_size(const CpuState *s)
{
    CpuMode m = cpu_mode(s);
    return m == CPU_LONG ? 64 : segment_db(&s->seg[SEG_SS]) && m != CPU_VM86 ? 32 : 16;
}
/* The DPL of SS (SDM vol 3 §5.5 and 24.4.1 have it so for every accelerator). */
static inline unsigned cpu_cpl(const CpuState *s)
{
    CpuMode m = cpu_mode(s);
    return m == CPU_REAL ? 0 : m == CPU_VM86 ? 3 : segment_dpl(&s->seg[SEG_SS]);
}
/* Linear address of the next instruction. */
static inline uint64_t cpu_linear_ip(const CpuState *s)
{
    return cpu_mode(s) == CPU_LONG ? s->rip : (uint32_t)(s->seg[SEG_CS].base + s->rip);
}
/* Loads a segment register as real mode does: base = selector * 16; limit and rights are left (SDM vol 3 §20.1.1). */
void segment_set_real(Segment *s, uint16_t selector);

/* ---- Vector and x87 state ---- */
/* Where a host's XSAVE places each component (CPUID.0DH: sub-leaf i, EBX and EAX); size 0: the host lacks it. */
typedef struct XsaveLayout {
    uint32_t offset[10], size[10];
} XsaveLayout;
extern const XsaveLayout xsave_layout_intel;    /* the one of struct Xsave, and PKRU at 2688 */
/* From an image in standard form to s->fpu and s->pkru, and back; components that do not fit in `len` are left out.
 * Absent components (XSTATE_BV) import as their initial values; export states every component that the layout has
 * and that `mask` (an XSTATE_* set, as XCR0) permits. */
void xsave_import(CpuState *s, const void *image, size_t len, const XsaveLayout *layout);
void xsave_export(const CpuState *s, void *image, size_t len, const XsaveLayout *layout, uint64_t mask);
/* FNINIT and the initial values of every other component; the header says "all initial". */
void fpu_reset(CpuState *s);
/* The full tag word (2 bits for each physical register: valid, zero, special, empty) from the abridged one. */
uint16_t fpu_tag_word(const Xsave *x);
uint8_t fpu_abridge_tags(uint16_t tag_word);
static inline unsigned fpu_top(const Xsave *x) { return x->fsw >> 11 & 7; }

/* ---- Text ---- */
/* `info registers`: what people know, 32-bit form unless long mode is active.  `a20` and `halted` are not CPU state.
 * Appends; ends with a newline. */
enum { CPU_DUMP_FPU = 1 };
void cpu_state_print(const CpuState *s, GString *out, unsigned flags, bool a20, bool halted);

#endif
