/* Model-specific registers: one table for RDMSR/WRMSR, reset, the KVM copy and the monitor.
 *
 * SDM vol 4; AMD APM vol 2 appendix A; the hypervisors' own from their public interface documents. */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#include "cpu/cpu.h"

/* Indices that others name. */
enum {
    MSR_TSC = 0x10, MSR_APIC_BASE = 0x1b, MSR_FEATURE_CONTROL = 0x3a, MSR_TSC_ADJUST = 0x3b, MSR_SPEC_CTRL = 0x48,
    MSR_SMBASE = 0x9e, MSR_MTRR_CAP = 0xfe, MSR_ARCH_CAPABILITIES = 0x10a, MSR_CORE_CAPABILITIES = 0xcf,
    MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176, MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a, MSR_MCG_CTL = 0x17b, MSR_MISC_ENABLE = 0x1a0, MSR_DEBUGCTL = 0x1d9, MSR_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800, MSR_X2APIC_LAST = 0x8ff,
    MSR_KVM_WALL_CLOCK = 0x4b564d00, MSR_KVM_SYSTEM_TIME = 0x4b564d01,
};
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_FMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

typedef struct Msr {
    uint32_t index;
    uint8_t count;                      /* registers: index, index + step ...                                */
    uint8_t step;                       /* 0: 1                                                              */
    bool canonical;                     /* a value that is no canonical address is #GP                       */
    bool read_only;                     /* every write is #GP                                                */
    bool write_only;                    /* every read is #GP                                                 */
    bool init_resets;                   /* INIT resets it too; the others survive (SDM vol 3 table 9-1)      */
    bool alias;                         /* another index of the same field: no need to copy or save it       */
    bool constant;                      /* no field: reads as `reset`, takes writes that `ignored` permits   */
    uint16_t field, stride;             /* in CpuState; stride 0: 8                                          */
    uint16_t feature;                   /* exists when CPUID has it (cpu/model.h FEATURE_*); 0: always       */
    uint16_t feature2;                  /* ... or this one                                                   */
    const char *name;                   /* the manual's, lower case                                          */
    uint64_t reset;
    uint64_t writable;                  /* other bits: #GP when set, unless in `ignored`                     */
    uint64_t ignored;                   /* bits of a write that are dropped                                  */
    /* What the masks cannot say: false is #GP; may change *value to what is stored, and has the side effects. */
    bool (*write)(Cpu *c, unsigned i, uint64_t old, uint64_t *value);
    uint64_t (*read)(Cpu *c, unsigned i, uint64_t stored);
} Msr;

extern const Msr msr_table[];           /* index 0 with name NULL ends it */

static inline uint32_t msr_index(const Msr *m, unsigned i) { return m->index + i * (m->step ? m->step : 1); }
/* The stored value of element i; not for .constant. */
static inline uint64_t *msr_slot(const Msr *m, CpuState *s, unsigned i)
{
    return (uint64_t *)((char *)s + m->field + (size_t)i * (m->stride ? m->stride : 8));
}
/* The row of an index; *element is its place in the range.  NULL: no such register in the table. */
const Msr *msr_find(uint32_t index, unsigned *element);
/* Whether this CPU has it, by CPUID. */
bool msr_exists(const Cpu *c, const Msr *m);

/* RDMSR and WRMSR (privilege is the caller's to check), on the CPU's own thread or while it is stopped.
 * False: #GP(0).  The x2APIC range goes to the APIC device. */
bool msr_read(Cpu *c, uint32_t index, uint64_t *value);
bool msr_write(Cpu *c, uint32_t index, uint64_t value);
/* Reset values; with `init`, only of those that INIT changes. */
void msr_reset(Cpu *c, bool init);

bool address_canonical(uint64_t va, bool la57);
/* Whether a base register of the system takes this: FS, GS, LDTR, TR, GDTR, IDTR, and MSRs with an address.  What counts
 * is the width that the CPU has, not CR4.LA57 (SDM vol 1 §3.3.7.1). */
bool base_canonical(const Cpu *c, uint64_t va);

#endif
