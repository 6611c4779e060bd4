/* The names of CPUID's feature bits.
 *
 * SDM vol 2 CPUID; APM vol 3 appendix E; the KVM and VIA ones from their interface documents.  The
 * spelling is the one of QEMU's command line.  A bit without a name cannot be asked for by a user,
 * but passes with "host" and "max". */
#include "cpu/model-tables.h"

#include <string.h>

// clang-format off
const FeatureWordInfo feature_words[FEATURE_WORDS] = {
    [WORD_1_EDX] = {.leaf = 1, .reg = 3, .names =
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov "
        "pat pse36 pn clflush - ds acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
        .static_bits = 1u << 28},
    [WORD_1_ECX] = {.leaf = 1, .reg = 2, .names =
        "pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid - fma cx16 xtpr pdcm "
        "- pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave - avx f16c rdrand hypervisor",
        .dynamic = 1u << 27 /* OSXSAVE */, .static_bits = 1u << 31},
    [WORD_7_0_EBX] = {.leaf = 7, .subleaves = true, .reg = 1, .names =
        "fsgsbase tsc-adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - "
        "avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt "
        "clwb intel-pt avx512pf avx512er avx512cd sha-ni avx512bw avx512vl"},
    [WORD_7_0_ECX] = {.leaf = 7, .subleaves = true, .reg = 2, .names =
        "- avx512vbmi umip pku - waitpkg avx512vbmi2 - gfni vaes vpclmulqdq avx512vnni avx512bitalg - "
        "avx512-vpopcntdq - la57 - - - - - rdpid - bus-lock-detect cldemote - movdiri movdir64b - sgxlc pks",
        .dynamic = 1u << 4 /* OSPKE */},
    [WORD_7_0_EDX] = {.leaf = 7, .subleaves = true, .reg = 3, .names =
        "- - avx512-4vnniw avx512-4fmaps fsrm - - - avx512-vp2intersect - md-clear - - - serialize - "
        "tsx-ldtrk - - arch-lbr - - amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp - "
        "arch-capabilities core-capability ssbd"},
    [WORD_7_1_EAX] = {.leaf = 7, .subleaves = true, .subleaf = 1, .reg = 0, .names =
        "- - - - avx-vnni avx512-bf16 - cmpccxadd - - fzrm fsrs fsrc - - - "
        "- - - - - amx-fp16 - avx-ifma - - - - - - - -"},
    [WORD_7_1_EDX] = {.leaf = 7, .subleaves = true, .subleaf = 1, .reg = 3, .names =
        "- - - - avx-vnni-int8 avx-ne-convert - - amx-complex - - - - - prefetchiti -"},
    [WORD_7_2_EDX] = {.leaf = 7, .subleaves = true, .subleaf = 2, .reg = 3, .names = "- - - - - mcdt-no"},
    [WORD_8000_0001_EDX] = {.leaf = 0x80000001, .reg = 3, .names =
        "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr-opt pdpe1gb rdtscp - lm 3dnowext 3dnow"},
    [WORD_8000_0001_ECX] = {.leaf = 0x80000001, .reg = 2, .names =
        "lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp "
        "fma4 tce - nodeid-msr - tbm topoext perfctr-core perfctr-nb - - - - - - -",
        .static_bits = 1u << 1, .by_name_only = 1u << 22 /* TOPOEXT */},
    [WORD_8000_0007_EDX] = {.leaf = 0x80000007, .reg = 3, .names = "- - - - - - - - invtsc",
        .unmigratable = 1u << 8},
    [WORD_8000_0008_EBX] = {.leaf = 0x80000008, .reg = 1, .names =
        "clzero - xsaveerptr - - - - - - wbnoinvd - - ibpb - ibrs amd-stibp "
        "- stibp-always-on - - - - - - amd-ssbd virt-ssbd amd-no-ssb - amd-psfd"},
    [WORD_8000_0021_EAX] = {.leaf = 0x80000021, .reg = 0, .names =
        "no-nested-data-bp - lfence-always-serializing - - - null-sel-clr-base - auto-ibrs"},
    [WORD_C000_0001_EDX] = {.leaf = 0xc0000001, .reg = 3, .names =
        "- - xstore xstore-en - - xcrypt xcrypt-en ace2 ace2-en phe phe-en pmm pmm-en"},
    [WORD_KVM] = {.leaf = 0x40000001, .reg = 0, .names =
        "kvmclock kvm-nopiodelay kvm-mmu kvmclock-new kvm-asyncpf kvm-steal-time kvm-pv-eoi kvm-pv-unhalt - "
        "kvm-pv-tlb-flush - kvm-pv-ipi kvm-poll-control kvm-pv-sched-yield kvm-asyncpf-int kvm-msi-ext-dest-id "
        "- - - - - - - - kvmclock-stable-bit"},
    [WORD_KVM_HINTS] = {.leaf = 0x40000001, .reg = 3, .names = "kvm-hint-dedicated", .static_bits = 1},
    [WORD_SVM] = {.leaf = 0x8000000a, .reg = 3, .names =
        "npt lbrv svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists - - pause-filter - pfthreshold "
        "avic - v-vmsave-vmload vgif - - - - - - - - vnmi - - svme-addr-chk"},
    [WORD_XSAVE] = {.leaf = 0xd, .subleaves = true, .subleaf = 1, .reg = 0, .names =
        "xsaveopt xsavec xgetbv1 xsaves xfd"},
    [WORD_6_EAX] = {.leaf = 6, .reg = 0, .names = "- - arat"},
    [WORD_ARCH_CAPABILITIES] = {.leaf = MODEL_LEAF_MSR | 0x10a, .reg = 0, .msr = "ARCH_CAPABILITIES", .names =
        "rdctl-no ibrs-all rsba skip-l1dfl-vmentry ssb-no mds-no pschange-mc-no tsx-ctrl taa-no - - - - "
        "sbdr-ssdp-no fbsdp-no psdp-no - fb-clear - - - - - - pbrsb-no - gds-no"},
    [WORD_CORE_CAPABILITY] = {.leaf = MODEL_LEAF_MSR | 0xcf, .reg = 0, .msr = "CORE_CAPABILITY", .names =
        "- - - - - split-lock-detect"},
    [WORD_XCR0_LO] = {.leaf = 0xd, .subleaves = true, .reg = 0},
    [WORD_XCR0_HI] = {.leaf = 0xd, .subleaves = true, .reg = 3},
    [WORD_14_0_ECX] = {.leaf = 0x14, .subleaves = true, .reg = 2, .names =
        "- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - intel-pt-lip"},
    [WORD_HYPERV] = {.synthetic = true, .names =
        "hv-relaxed hv-vapic hv-time hv-crash hv-reset hv-vpindex hv-runtime hv-synic hv-stimer hv-frequencies "
        "hv-reenlightenment hv-tlbflush hv-evmcs hv-ipi hv-stimer-direct hv-avic hv-syndbg hv-emsr-bitmap "
        "hv-xmm-input hv-tlbflush-ext hv-tlbflush-direct"},
};

/* A feature that is of no use without another one: the second goes when the first does. */
const FeatureDependency feature_dependencies[] = {
    {FEATURE_ARCH_CAPABILITIES, WORD_ARCH_CAPABILITIES, ~0u},
    {FEATURE_CORE_CAPABILITY, WORD_CORE_CAPABILITY, ~0u},
    {FEATURE_SVM, WORD_SVM, ~0u},
    {FEATURE_XSAVE, WORD_XSAVE, ~0u},
    {FEATURE_XSAVE, WORD_XCR0_LO, ~0u},
    {FEATURE_XSAVE, WORD_XCR0_HI, ~0u},
    {FEATURE_INTEL_PT, WORD_14_0_ECX, ~0u},
    {0, 0, 0},
};
// clang-format on

/* Spellings that older command lines use. */
static const struct {
    const char *name, *is;
} aliases[] = {
    {"sse3", "pni"}, {"pclmuldq", "pclmulqdq"}, {"sse4-1", "sse4.1"}, {"sse4-2", "sse4.2"},
    {"xd", "nx"},    {"ffxsr", "fxsr-opt"},     {"i64", "lm"},
};

/* The n-th word of `names`; false: "-" or beyond the end. */
static bool nth_name(const char *names, unsigned n, const char **start, size_t *len)
{
    const char *p = names;
    while (p && n--) {
        p = strchr(p, ' ');
        p = p ? p + 1 : NULL;
    }
    if (!p || !*p) {
        return false;
    }
    *start = p;
    *len = strcspn(p, " ");
    return !(*len == 1 && *p == '-');
}

const char *feature_name(FeatureWord w, unsigned bit)
{
    const char *start;
    size_t len;
    if (w == WORD_KVM && bit == 3) {
        return "kvmclock"; /* both clocks go by one name */
    }
    if (!nth_name(feature_words[w].names, bit, &start, &len)) {
        return NULL;
    }
    char name[32];
    g_strlcpy(name, start, MIN(len + 1, sizeof(name)));
    return g_intern_string(name);
}

char *feature_text(FeatureWord w, unsigned bit)
{
    static const char *const regs[] = {"EAX", "EBX", "ECX", "EDX"};
    const FeatureWordInfo *info = &feature_words[w];
    const char *name = feature_name(w, bit);
    if (info->msr) {
        return g_strdup_printf("MSR(%XH).%s [bit %u]", info->leaf & ~MODEL_LEAF_MSR,
                               name ? name : "", bit);
    }
    return g_strdup_printf("CPUID.%02XH:%s%s%s [bit %u]", info->leaf, regs[info->reg],
                           name ? "." : "", name ? name : "", bit);
}

/* One spelling for both separators. */
static bool same_name(const char *user, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((user[i] == '_' ? '-' : user[i]) != (name[i] == '_' ? '-' : name[i])) {
            return false;
        }
    }
    return user[len] == '\0';
}

/* Walks the names of a word: the next one, its length and its bit.  False: no more. */
static bool next_name(const char **p, size_t *len, unsigned *bit, bool first)
{
    if (!first) {
        *p += *len;
        ++*bit;
    }
    for (;; ++*bit) {
        *p += **p == ' ';
        *len = strcspn(*p, " ");
        if (*len == 0) {
            return false;
        }
        if (!(*len == 1 && **p == '-')) {
            return true;
        }
        *p += *len;
    }
}

uint32_t feature_named_bits(FeatureWord w)
{
    const char *p = feature_words[w].names;
    size_t len = 0;
    unsigned bit = 0;
    uint32_t bits = 0;
    for (bool first = true; p && next_name(&p, &len, &bit, first); first = false) {
        bits |= 1u << bit;
    }
    return bits;
}

bool feature_register(FeatureWord w, FeatureRegister *r)
{
    const FeatureWordInfo *info = &feature_words[w];
    if (info->msr || info->synthetic || w == WORD_NONE) {
        return false;
    }
    *r = (FeatureRegister){info->leaf, info->subleaf, info->subleaves, info->reg};
    return true;
}
unsigned feature_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(aliases); i++) {
        if (same_name(name, aliases[i].name, strlen(aliases[i].name))) {
            name = aliases[i].is;
            break;
        }
    }
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS; w++) {
        const char *p = feature_words[w].names;
        size_t len = 0;
        unsigned bit = 0;
        for (bool first = true; p && next_name(&p, &len, &bit, first); first = false) {
            if (same_name(name, p, len)) {
                return FEATURE(w, bit);
            }
        }
    }
    return 0;
}
