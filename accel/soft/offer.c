/* What of CPUID the software CPU can be told to have: the instructions that are in C, those that the host's
 * unit lends, and the system features of op/ and of the chips in hw/.
 *
 * Not offered, and so #UD or a reserved bit: VMX, SVM, SMX, AVX-512, MPX, RTM and HLE, CET, PMU, processor
 * trace. */
#include "accel/soft/offer.h"

#include <glib.h>

#include "accel/soft/borrow/borrow.h"
#include "cpu/model.h"

/* By the names of cpu/features.c. */
static const char in_c[] =
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush fxsr ss ht "
    "monitor cx16 pcid x2apic movbe popcnt tsc-deadline xsave rdrand hypervisor "
    "fsgsbase tsc-adjust bmi1 smep bmi2 erms invpcid rdseed adx smap clflushopt clwb "
    "umip pku la57 rdpid cldemote movdiri movdir64b fsrm serialize "
    "syscall nx fxsr-opt pdpe1gb rdtscp lm "
    "lahf-lm cmp-legacy abm 3dnowprefetch topoext "
    "invtsc wbnoinvd "
    "xsaveopt xsavec xgetbv1 xsaves "
    "arat";

/* Vector instructions, as far as the host has them. */
static const char lent[] = "mmx sse sse2 pni pclmulqdq ssse3 fma sse4.1 sse4.2 aes avx f16c "
                           "avx2 sha-ni gfni vaes vpclmulqdq avx-vnni "
                           "mmxext sse4a";

/* What guests do against speculation costs much here and holds nothing back: the registers for it exist and have nothing to do,
 * and a guest that asks is told that it need not defend itself (SDM vol 4,
 * IA32_ARCH_CAPABILITIES), which saves it page table switches and slow indirect calls. */
static const char speculation[] = "md-clear spec-ctrl stibp arch-capabilities ssbd "
                                  "ibpb ibrs amd-stibp amd-ssbd amd-no-ssb "
                                  "rdctl-no ibrs-all skip-l1dfl-vmentry ssb-no mds-no pschange-mc-no "
                                  "taa-no sbdr-ssdp-no fbsdp-no psdp-no fb-clear "
                                  "pbrsb-no gds-no";

typedef struct Offer {
    uint32_t own[FEATURE_WORDS], lent[FEATURE_WORDS];
} Offer;

static void add(uint32_t words[FEATURE_WORDS], const char *names)
{
    g_auto(GStrv) list = g_strsplit(names, " ", 0);
    for (char **name = list; *name; name++) {
        unsigned f = feature_find(*name);
        g_assert(f); /* our spelling */
        words[f / 32] |= 1u << f % 32;
    }
}

static const Offer *offer(void)
{
    static Offer made;
    static gsize done;
    if (g_once_init_enter(&done)) {
        add(made.own, in_c);
        add(made.own, speculation);
        add(made.lent, lent);
        g_once_init_leave(&done, 1);
    }
    return &made;
}

/* The word that a register's bits are called by; WORD_NONE: this register has no features. */
static FeatureWord word_of(uint32_t leaf, uint32_t subleaf, int reg)
{
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS; w++) {
        FeatureRegister r;
        if (feature_register(w, &r) && r.leaf == leaf && r.reg == reg &&
            (!r.has_subleaf || r.subleaf == subleaf)) {
            return w;
        }
    }
    return WORD_NONE;
}

/* Leaf DH: XCR0's components in sub-leaf 0, then size and offset of each in Intel's layout, which XSAVE in
 * op/ writes. */
static uint64_t xsave_leaf(uint32_t subleaf, int reg)
{
    enum { EAX, EBX, COMPONENTS = XSTATE_FP | XSTATE_SSE | XSTATE_AVX | XSTATE_PKRU };
    if (subleaf == 0) {
        return reg == EAX ? COMPONENTS : 0;
    }
    if (subleaf >= G_N_ELEMENTS(xsave_layout_intel.size) || !(COMPONENTS >> subleaf & 1)) {
        return 0;
    }
    return reg == EAX   ? xsave_layout_intel.size[subleaf]
           : reg == EBX ? xsave_layout_intel.offset[subleaf]
                        : 0;
}

uint64_t soft_supported_cpuid(uint32_t leaf, uint32_t subleaf, int reg)
{
    const Offer *o = offer();
    if (leaf == (MODEL_LEAF_MSR | 0x10a)) {
        return reg == 0 ? o->own[WORD_ARCH_CAPABILITIES] : 0;
    }
    FeatureWord w = word_of(leaf, subleaf, reg);
    if (w == WORD_XCR0_LO || w == WORD_XCR0_HI || (leaf == 0xd && subleaf != 1)) {
        return xsave_leaf(subleaf, reg);
    }
    if (w == WORD_NONE || leaf >> 28 == 4) {
        return 0;
    }
    uint32_t bits = o->lent[w];
    return o->own[w] | (bits ? borrow_supported(leaf, subleaf, reg, bits) & bits : 0);
}
