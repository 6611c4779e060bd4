/* CPU models: `-cpu NAME,feature...` and what CPUID answers.
 *
 * A model is made once for the machine and read by all its CPUs.  Feature names, model names and messages are those
 * that users know from QEMU; the bits are the manuals' (SDM vol 2 CPUID, APM vol 3 appendix E). */
#ifndef CPU_MODEL_H
#define CPU_MODEL_H

#include "cpu/cpu.h"

/* Registers full of feature bits. */
typedef enum FeatureWord {
    WORD_NONE,                          /* so that feature number 0 means "none"                             */
    WORD_1_EDX, WORD_1_ECX,
    WORD_7_0_EBX, WORD_7_0_ECX, WORD_7_0_EDX, WORD_7_1_EAX, WORD_7_1_EDX, WORD_7_2_EDX,
    WORD_8000_0001_EDX, WORD_8000_0001_ECX, WORD_8000_0007_EDX, WORD_8000_0008_EBX, WORD_8000_0021_EAX,
    WORD_C000_0001_EDX,
    WORD_KVM, WORD_KVM_HINTS,           /* 40000001H EAX, EDX                                                */
    WORD_SVM,                           /* 8000000AH EDX                                                     */
    WORD_XSAVE,                         /* 0DH sub-leaf 1 EAX                                                */
    WORD_6_EAX,
    WORD_ARCH_CAPABILITIES, WORD_CORE_CAPABILITY,       /* MSRs                                              */
    WORD_XCR0_LO, WORD_XCR0_HI,         /* 0DH sub-leaf 0 EAX, EDX: derived from the features, not settable  */
    WORD_14_0_ECX,
    WORD_HYPERV,                        /* enlightenments, numbered by cpu/hyperv.c; no register of its own     */
    FEATURE_WORDS
} FeatureWord;
#define FEATURE(word, bit) ((word) * 32 + (bit))

/* Features that code asks for. */
enum {
    FEATURE_PSE = FEATURE(WORD_1_EDX, 3), FEATURE_TSC = FEATURE(WORD_1_EDX, 4), FEATURE_MSR = FEATURE(WORD_1_EDX, 5),
    FEATURE_PAE = FEATURE(WORD_1_EDX, 6), FEATURE_MCE = FEATURE(WORD_1_EDX, 7), FEATURE_APIC = FEATURE(WORD_1_EDX, 9),
    FEATURE_SEP = FEATURE(WORD_1_EDX, 11), FEATURE_MTRR = FEATURE(WORD_1_EDX, 12),
    FEATURE_MCA = FEATURE(WORD_1_EDX, 14), FEATURE_PAT = FEATURE(WORD_1_EDX, 16),
    FEATURE_PSE36 = FEATURE(WORD_1_EDX, 17), FEATURE_CLFLUSH = FEATURE(WORD_1_EDX, 19),
    FEATURE_FXSR = FEATURE(WORD_1_EDX, 24), FEATURE_SSE = FEATURE(WORD_1_EDX, 25), FEATURE_HT = FEATURE(WORD_1_EDX, 28),
    FEATURE_MONITOR = FEATURE(WORD_1_ECX, 3), FEATURE_VMX = FEATURE(WORD_1_ECX, 5),
    FEATURE_PDCM = FEATURE(WORD_1_ECX, 15), FEATURE_X2APIC = FEATURE(WORD_1_ECX, 21),
    FEATURE_TSC_DEADLINE = FEATURE(WORD_1_ECX, 24), FEATURE_XSAVE = FEATURE(WORD_1_ECX, 26),
    FEATURE_AVX = FEATURE(WORD_1_ECX, 28), FEATURE_HYPERVISOR = FEATURE(WORD_1_ECX, 31),
    FEATURE_FSGSBASE = FEATURE(WORD_7_0_EBX, 0), FEATURE_TSC_ADJUST = FEATURE(WORD_7_0_EBX, 1),
    FEATURE_SMEP = FEATURE(WORD_7_0_EBX, 7), FEATURE_RTM = FEATURE(WORD_7_0_EBX, 11),
    FEATURE_MPX = FEATURE(WORD_7_0_EBX, 14), FEATURE_AVX512F = FEATURE(WORD_7_0_EBX, 16),
    FEATURE_SMAP = FEATURE(WORD_7_0_EBX, 20), FEATURE_INTEL_PT = FEATURE(WORD_7_0_EBX, 25),
    FEATURE_PKU = FEATURE(WORD_7_0_ECX, 3), FEATURE_WAITPKG = FEATURE(WORD_7_0_ECX, 5),
    FEATURE_LA57 = FEATURE(WORD_7_0_ECX, 16), FEATURE_RDPID = FEATURE(WORD_7_0_ECX, 22),
    FEATURE_PKS = FEATURE(WORD_7_0_ECX, 31),
    FEATURE_SPEC_CTRL = FEATURE(WORD_7_0_EDX, 26), FEATURE_ARCH_CAPABILITIES = FEATURE(WORD_7_0_EDX, 29),
    FEATURE_CORE_CAPABILITY = FEATURE(WORD_7_0_EDX, 30),
    FEATURE_SYSCALL = FEATURE(WORD_8000_0001_EDX, 11), FEATURE_NX = FEATURE(WORD_8000_0001_EDX, 20),
    FEATURE_FXSR_OPT = FEATURE(WORD_8000_0001_EDX, 25), FEATURE_PDPE1GB = FEATURE(WORD_8000_0001_EDX, 26),
    FEATURE_RDTSCP = FEATURE(WORD_8000_0001_EDX, 27), FEATURE_LM = FEATURE(WORD_8000_0001_EDX, 29),
    FEATURE_CMP_LEGACY = FEATURE(WORD_8000_0001_ECX, 1), FEATURE_SVM = FEATURE(WORD_8000_0001_ECX, 2),
    FEATURE_TOPOEXT = FEATURE(WORD_8000_0001_ECX, 22), FEATURE_PERFCTR_CORE = FEATURE(WORD_8000_0001_ECX, 23),
    FEATURE_AMD_IBPB = FEATURE(WORD_8000_0008_EBX, 12), FEATURE_AMD_STIBP = FEATURE(WORD_8000_0008_EBX, 15),
    FEATURE_AMD_SSBD = FEATURE(WORD_8000_0008_EBX, 24), FEATURE_VIRT_SSBD = FEATURE(WORD_8000_0008_EBX, 25),
    FEATURE_XSAVES = FEATURE(WORD_XSAVE, 3), FEATURE_ARAT = FEATURE(WORD_6_EAX, 2),
    FEATURE_KVM_CLOCK_OLD = FEATURE(WORD_KVM, 0), FEATURE_KVM_CLOCK = FEATURE(WORD_KVM, 3),
    FEATURE_KVM_ASYNC_PF = FEATURE(WORD_KVM, 4), FEATURE_KVM_STEAL_TIME = FEATURE(WORD_KVM, 5),
    FEATURE_KVM_PV_EOI = FEATURE(WORD_KVM, 6), FEATURE_KVM_POLL_CONTROL = FEATURE(WORD_KVM, 12),
    FEATURE_KVM_ASYNC_PF_INT = FEATURE(WORD_KVM, 14), FEATURE_KVM_MSI_EXT_DEST_ID = FEATURE(WORD_KVM, 15),
};

/* Sockets x dies x cores x threads; every count is at least 1.  APIC ids give each level as many bits as it needs
 * (SDM vol 3 §8.9). */
typedef struct Topology {
    unsigned sockets, dies, cores, threads;             /* dies per socket, cores per die, threads per core */
} Topology;
unsigned topology_cpus(const Topology *t);
typedef struct TopologyPlace { unsigned socket, die, core, thread; } TopologyPlace;
TopologyPlace topology_place(const Topology *t, unsigned index);        /* of a CPU by number: threads first */
unsigned topology_index(const Topology *t, TopologyPlace at);
uint32_t topology_apic_id(const Topology *t, unsigned index);
unsigned topology_core_shift(const Topology *t);        /* APIC id bits below the core number ... */
unsigned topology_die_shift(const Topology *t);
unsigned topology_package_shift(const Topology *t);

/* What the machine and its accelerator bring. */
typedef struct ModelEnv {
    /* Bits that can be offered: reg 0 EAX .. 3 EDX.  Feature MSRs are asked for as leaf MODEL_LEAF_MSR | index, sub-leaf
     * 0, reg 0 (low) or 3 (high half).  NULL: everything that is known. */
    uint64_t (*supported)(uint32_t leaf, uint32_t subleaf, int reg);
    bool kvm;                           /* KVM runs it: its CPUID leaves, "host" can be had                  */
    unsigned phys_bits;                 /* the host's MAXPHYADDR; 0: unknown                                 */
    unsigned memory_bits;               /* address bits that the machine's memory wants; 0: no matter        */
    Topology topology;
    void (*warn)(const char *text);     /* NULL: warn_report                                                 */
} ModelEnv;
#define MODEL_LEAF_MSR 0xf0000000u

typedef struct ModelCacheInfo ModelCacheInfo;

struct CpuModel {                       /* read-only once made */
    const char *name;                   /* as the user wrote it: "Nehalem-v1"                                */
    char *type_name;                    /* "Nehalem-v1-x86_64-cpu"                                           */
    uint32_t words[FEATURE_WORDS];      /* what the guest sees                                               */
    uint32_t filtered[FEATURE_WORDS];   /* asked for and not supported                                       */
    char vendor[13];
    unsigned family, model, stepping;
    char model_id[49];
    uint32_t level, xlevel, xlevel2;    /* highest basic, extended, Centaur leaf                             */
    unsigned phys_bits;
    bool cpuid_0xb;
    bool kvm_signature;                 /* leaf 40000000H says KVMKVMKVM                                     */
    bool hypervisor_leaves;
    bool pmu, l3_cache, full_cpuid_auto, legacy_cache, host_cache, migratable;
    uint32_t hv_spinlocks;
    char hv_vendor[13];
    int64_t tsc_frequency;              /* Hz; 0: the accelerator's                                          */
    int64_t apic_id;                    /* apic-id=, -1                                                      */
    const ModelCacheInfo *caches;
    ModelEnv env;
};

/* "Nehalem,+vmx,-aes,enforce,level=11".  NULL with *error: unknown model or property, bad value, enforce not met. */
CpuModel *model_new(const char *option, const ModelEnv *env, GError **error);
void model_free(CpuModel *m);
static inline bool model_has(const CpuModel *m, unsigned feature)
{
    return m->words[feature / 32] >> (feature % 32) & 1;
}
static inline bool model_is_amd(const CpuModel *m)      /* Hygon follows AMD */
{
    return !__builtin_memcmp(m->vendor, "AuthenticAMD", 12) || !__builtin_memcmp(m->vendor, "HygonGenuine", 12);
}
/* MAXPHYADDR and linear-address width. */
static inline unsigned model_phys_bits(const CpuModel *m) { return m->phys_bits; }
static inline unsigned model_linear_bits(const CpuModel *m) { return model_has(m, FEATURE_LA57) ? 57 : 48; }
/* XCR0 bits that XSETBV accepts, and IA32_XSS bits. */
uint64_t model_xcr0(const CpuModel *m);
uint64_t model_xss(const CpuModel *m);
/* Bits of CR4 that may be set; others are #GP. */
uint64_t model_cr4(const CpuModel *m);
uint64_t model_efer(const CpuModel *m);
/* The reset value of EDX (family, model, stepping). */
uint32_t model_signature(const CpuModel *m);

/* ---- CPUID ---- */
/* regs: EAX, EBX, ECX, EDX.  `c` (may be NULL) gives APIC id and the bits that follow CR4, XCR0 and APIC_BASE. */
void model_cpuid(const CpuModel *m, const Cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
typedef struct CpuidEntry {
    uint32_t leaf, subleaf;
    bool has_subleaf;                   /* the answer depends on ECX */
    uint32_t regs[4];
} CpuidEntry;
/* Every leaf and sub-leaf in order, for KVM_SET_CPUID2; bits that follow CR4 and such as they are now. */
GArray *model_cpuid_list(const CpuModel *m, const Cpu *c);      /* of CpuidEntry; g_array_unref */

/* ---- For people and management ---- */
char *model_help(void);                 /* -cpu help; caller frees */
typedef struct ModelInfo {              /* query-cpu-definitions */
    const char *name, *alias_of;        /* alias_of: NULL when it is none */
    char *type_name;
    bool migration_safe, is_static, deprecated;
    char **unavailable;                 /* feature names that `env` lacks, NULL-terminated; NULL: env is NULL */
} ModelInfo;
GPtrArray *model_list(const ModelEnv *env);     /* of ModelInfo *, freed with the array */

/* Feature names, for messages and properties: NULL for a bit without one. */
const char *feature_name(FeatureWord w, unsigned bit);
/* "CPUID.01H:ECX.x2apic [bit 21]"; caller frees. */
char *feature_text(FeatureWord w, unsigned bit);
typedef struct FeatureRegister {
    uint32_t leaf, subleaf;
    bool has_subleaf;                   /* the leaf has sub-leaves */
    int reg;                            /* 0 EAX .. 3 EDX */
} FeatureRegister;
/* The CPUID register of a word; false: it is an MSR or none. */
bool feature_register(FeatureWord w, FeatureRegister *r);
/* '-' and '_' are the same, case counts.  0: no such feature. */
unsigned feature_find(const char *name);

#endif
