/* What CPUID answers (SDM vol 2 CPUID; APM vol 3 appendix E). */
#include <string.h>

#include "cpu/model-tables.h"

enum { EAX, EBX, ECX, EDX };

static uint32_t ask(const CpuModel *m, uint32_t leaf, uint32_t subleaf, int reg)
{
    return m->env.supported ? (uint32_t)m->env.supported(leaf, subleaf, reg) : 0;
}

static uint32_t apic_id(const Cpu *c)
{
    return c ? c->apic_id : 0;
}

/* CPUs in a package. */
static unsigned package_cpus(const CpuModel *m)
{
    return m->env.topology.dies * m->env.topology.cores * m->env.topology.threads;
}

/* ---- Leaves 1, 2, 4 ---- */

static void leaf_1(const CpuModel *m, const Cpu *c, uint32_t r[4])
{
    r[EAX] = model_signature(m);
    r[EBX] = apic_id(c) << 24 | (model_has(m, FEATURE_CLFLUSH) ? 8 << 8 : 0);
    if (package_cpus(m) > 1) {
        r[EBX] |= MIN(package_cpus(m), 255) << 16;
    }
    r[ECX] = m->words[WORD_1_ECX];
    r[EDX] = m->words[WORD_1_EDX];
    if (c && c->state.cr4 & CR4_OSXSAVE) {
        r[ECX] |= 1u << 27;
    }
    if (c && !(c->state.msr.apic_base & 0x800)) {
        r[EDX] &= ~(1u << 9); /* the APIC is switched off */
    }
}

/* Descriptors: L1D 32K 8-way (2CH), L1I 32K 8-way (30H), L2 2M 8-way (7DH), L3 16M 16-way (4DH). */
static void leaf_2(const CpuModel *m, uint32_t r[4])
{
    if (!model_is_amd(m)) {
        r[EAX] = 1;
        r[ECX] = m->l3_cache ? 0x4d : 0;
        r[EDX] = 0x2c << 16 | 0x30 << 8 | 0x7d;
    }
}

static const ModelCache *cache_at(const CpuModel *m, const ModelCacheInfo *info, uint32_t n)
{
    const ModelCache *const all[] = {&info->l1d, &info->l1i, &info->l2,
                                     m->l3_cache ? &info->l3 : NULL};
    return n < G_N_ELEMENTS(all) ? all[n] : NULL;
}

/* Leaf 4 and, without the core count, 8000001DH. */
static void cache_leaf(const CpuModel *m, const ModelCache *cache, bool intel, uint32_t r[4])
{
    const Topology *t = &m->env.topology;
    unsigned shift = cache->shared == SHARED_DIE ? topology_die_shift(t) : topology_core_shift(t);
    r[EAX] = cache->type | (uint32_t)cache->level << 5 | (uint32_t)cache->self_init << 8 |
             ((1u << shift) - 1) << 14;
    if (intel) {
        uint32_t cores = 1u << (topology_package_shift(t) - topology_core_shift(t));
        r[EAX] |= (MIN(cores, 64) - 1) << 26;
    }
    r[EBX] = (cache->line - 1u) | (cache->partitions - 1u) << 12 | (cache->ways - 1u) << 22;
    r[ECX] = cache->sets - 1;
    r[EDX] = (uint32_t)cache->no_invd_sharing | (uint32_t)cache->inclusive << 1 |
             (uint32_t)cache->complex_index << 2;
}

static void leaf_4(const CpuModel *m, uint32_t sub, uint32_t r[4])
{
    if (m->host_cache && m->env.supported) {
        for (int i = 0; i < 4; i++) {
            r[i] = ask(m, 4, sub, i);
        }
        return;
    }
    const ModelCache *cache = cache_at(m, model_is_amd(m) ? &caches_generic_intel : m->caches, sub);
    if (cache && !model_is_amd(m)) {
        cache_leaf(m, cache, true, r);
    }
}

/* ---- 7, BH, DH, 1FH ---- */

static uint32_t last_of_leaf_7(const CpuModel *m)
{
    if (m->words[WORD_7_2_EDX]) {
        return 2;
    }
    return m->words[WORD_7_1_EAX] || m->words[WORD_7_1_EDX] ? 1 : 0;
}

static void leaf_7(const CpuModel *m, const Cpu *c, uint32_t sub, uint32_t r[4])
{
    if (sub == 0) {
        r[EAX] = last_of_leaf_7(m);
        r[EBX] = m->words[WORD_7_0_EBX];
        r[ECX] = m->words[WORD_7_0_ECX];
        r[EDX] = m->words[WORD_7_0_EDX];
        if (c && c->state.cr4 & CR4_PKE && model_has(m, FEATURE_PKU)) {
            r[ECX] |= 1u << 4;
        }
    } else if (sub == 1) {
        r[EAX] = m->words[WORD_7_1_EAX];
        r[EDX] = m->words[WORD_7_1_EDX];
    } else if (sub == 2) {
        r[EDX] = m->words[WORD_7_2_EDX];
    }
}

/* Extended topology.  Types: 1 thread, 2 core, 5 die; leaf BH knows the first two only. */
static void leaf_topology(const CpuModel *m, const Cpu *c, uint32_t leaf, uint32_t sub,
                          uint32_t r[4])
{
    const Topology *t = &m->env.topology;
    bool dies = leaf == 0x1f;
    r[ECX] = sub & 0xff;
    r[EDX] = apic_id(c);
    if (sub == 0) {
        r[EAX] = topology_core_shift(t);
        r[EBX] = t->threads;
        r[ECX] |= 1 << 8;
    } else if (sub == 1) {
        r[EAX] = dies ? topology_die_shift(t) : topology_package_shift(t);
        r[EBX] = dies ? t->cores * t->threads : package_cpus(m);
        r[ECX] |= 2 << 8;
    } else if (sub == 2 && dies) {
        r[EAX] = topology_package_shift(t);
        r[EBX] = package_cpus(m);
        r[ECX] |= 5 << 8;
    }
}

/* Size and offset of an XSAVE component: the accelerator's, since its XSAVE instruction writes
 * them. */
static void component(const CpuModel *m, unsigned i, uint32_t r[4])
{
    for (int reg = 0; reg < 3 && m->env.supported; reg++) {
        r[reg] = ask(m, 0xd, i, reg);
    }
    if (!r[EAX] && i < G_N_ELEMENTS(xsave_layout_intel.size)) {
        r[EAX] = xsave_layout_intel.size[i];
        r[EBX] = xsave_layout_intel.offset[i];
    }
}

static uint32_t xsave_size(const CpuModel *m, uint64_t xcr0, bool compacted)
{
    uint32_t size = 576;
    for (unsigned i = 2; i < 63; i++) {
        if (xcr0 >> i & 1) {
            uint32_t r[4] = {0};
            component(m, i, r);
            uint32_t at = compacted ? (r[ECX] & 2 ? (size + 63) & ~63u : size) : r[EBX];
            size = MAX(size, at + r[EAX]);
        }
    }
    return size;
}

static void leaf_d(const CpuModel *m, const Cpu *c, uint32_t sub, uint32_t r[4])
{
    uint64_t all = model_xcr0(m), xcr0 = c ? c->state.xcr0 : XSTATE_FP;
    if (!model_has(m, FEATURE_XSAVE)) {
        return;
    }
    if (sub == 0) {
        r[EAX] = (uint32_t)all;
        r[EBX] = xsave_size(m, xcr0, false);
        r[ECX] = xsave_size(m, all, false);
        r[EDX] = (uint32_t)(all >> 32);
    } else if (sub == 1) {
        r[EAX] = m->words[WORD_XSAVE];
        if (r[EAX] & (1u << 1 | 1u << 3)) {
            r[EBX] = xsave_size(m, xcr0 | (c ? c->state.msr.xss : 0), true);
        }
        r[ECX] = (uint32_t)model_xss(m);
        r[EDX] = (uint32_t)(model_xss(m) >> 32);
    } else if (sub < 63 && all >> sub & 1) {
        component(m, sub, r);
    }
}

/* ---- Hypervisors ---- */

static void leaf_hypervisor(const CpuModel *m, uint32_t leaf, uint32_t r[4])
{
    bool hyperv = model_has(m, HV_ANY);
    if (hyperv && leaf <= HYPERV_LAST) {
        hyperv_cpuid(m, leaf, r);
        return;
    }
    uint32_t base = hyperv ? 0x40000100 : 0x40000000;
    if (leaf == base) {
        r[EAX] = base + 1;
        memcpy(&r[EBX], m->kvm_signature ? "KVMKVMKVM\0\0" : "TCGTCGTCGTCG", 12);
    } else if (leaf == base + 1 && m->kvm_signature) {
        r[EAX] = m->words[WORD_KVM];
        r[EDX] = m->words[WORD_KVM_HINTS];
    }
}

/* The last leaf of the hypervisor range that answers. */
static uint32_t hypervisor_limit(const CpuModel *m)
{
    if (!m->hypervisor_leaves) {
        return 0;
    }
    return !model_has(m, HV_ANY) ? 0x40000001 : m->kvm_signature ? 0x40000101 : HYPERV_LAST;
}

/* ---- Extended leaves ---- */

/* APM vol 3 table E-4: associativity in leaf 80000006H. */
static uint32_t assoc_code(unsigned ways)
{
    static const struct {
        uint8_t ways, code;
    } codes[] = {{1, 1},    {2, 2},    {4, 4},    {8, 6},    {16, 8},
                 {32, 0xa}, {48, 0xb}, {64, 0xc}, {96, 0xd}, {128, 0xe}};
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (codes[i].ways == ways) {
            return codes[i].code;
        }
    }
    return 0xf;
}

static uint32_t l1_amd(const ModelCache *c)
{
    return (cache_size(c) / 1024) << 24 | (uint32_t)c->ways << 16 |
           (uint32_t)c->lines_per_tag << 8 | c->line;
}

static const ModelCacheInfo *amd_caches(const CpuModel *m)
{
    return model_is_amd(m) && !m->legacy_cache ? m->caches : &caches_generic_amd;
}

static void leaf_8000_0005(const CpuModel *m, uint32_t r[4])
{
    const ModelCacheInfo *i = amd_caches(m);
    if (model_is_amd(m)) { /* 64 fully associative TLB entries of each kind */
        r[EAX] = r[EBX] = 0xff40ff40;
        r[ECX] = l1_amd(&i->l1d);
        r[EDX] = l1_amd(&i->l1i);
    }
}

static void leaf_8000_0006(const CpuModel *m, uint32_t r[4])
{
    const ModelCacheInfo *i = model_is_amd(m) ? amd_caches(m) : &caches_generic_amd;
    const ModelCache *l2 = &i->l2, *l3 = &i->l3;
    r[ECX] = (cache_size(l2) / 1024) << 16 | assoc_code(l2->ways) << 12 |
             (uint32_t)l2->lines_per_tag << 8 | l2->line;
    if (model_is_amd(m)) {
        r[EAX] = 0x22004200; /* 512 4K data entries 4-way, 512 code entries 4-way */
        r[EBX] = 0x42004200;
        if (m->l3_cache) {
            r[EDX] = (cache_size(l3) / (512 * 1024)) << 18 | assoc_code(l3->ways) << 12 |
                     (uint32_t)l3->lines_per_tag << 8 | l3->line;
        }
    }
}

static void leaf_8000_0008(const CpuModel *m, uint32_t r[4])
{
    const Topology *t = &m->env.topology;
    r[EAX] = m->phys_bits;
    if (model_has(m, FEATURE_LM)) {
        r[EAX] |= model_linear_bits(m) << 8;
    } else {
        r[EAX] |= 32 << 8;
    }
    r[EBX] = m->words[WORD_8000_0008_EBX];
    if (model_is_amd(m) && package_cpus(m) > 1) { /* NC has 8 bits, ApicIdSize 4 */
        r[ECX] = MIN(topology_package_shift(t), 15) << 12 | (MIN(package_cpus(m), 256) - 1);
    }
}

/* Core and node of this CPU; a die is a node. */
static void leaf_8000_001e(const CpuModel *m, const Cpu *c, uint32_t r[4])
{
    const Topology *t = &m->env.topology;
    uint32_t id = apic_id(c), core = id >> topology_core_shift(t);
    if (!model_has(m, FEATURE_TOPOEXT)) {
        return;
    }
    r[EAX] = id;
    r[EBX] = (core & 0xff) | (t->threads - 1) << 8;
    r[ECX] = ((id >> topology_die_shift(t)) & 0xff) | (t->dies - 1) << 8;
}

static void leaf_extended(const CpuModel *m, const Cpu *c, uint32_t leaf, uint32_t sub,
                          uint32_t r[4])
{
    switch (leaf) {
    case 0x80000000:
        r[EAX] = m->xlevel;
        if (model_is_amd(m)) {
            memcpy(&r[EBX], m->vendor, 4);
            memcpy(&r[EDX], m->vendor + 4, 4);
            memcpy(&r[ECX], m->vendor + 8, 4);
        }
        break;
    case 0x80000001:
        r[ECX] = m->words[WORD_8000_0001_ECX];
        r[EDX] = m->words[WORD_8000_0001_EDX];
        if (model_is_amd(m)) { /* repeats the signature and most of leaf 1's bits */
            r[EAX] = model_signature(m);
            r[EDX] |= m->words[WORD_1_EDX] & 0x0183f3ff;
        }
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: memcpy(r, m->model_id + 16 * (leaf - 0x80000002), 16); break;
    case 0x80000005: leaf_8000_0005(m, r); break;
    case 0x80000006: leaf_8000_0006(m, r); break;
    case 0x80000007: r[EDX] = m->words[WORD_8000_0007_EDX]; break;
    case 0x80000008: leaf_8000_0008(m, r); break;
    case 0x8000000a:
        if (model_has(m, FEATURE_SVM)) {
            r[EAX] = 1;
            r[EBX] = 16; /* ASIDs */
            r[EDX] = m->words[WORD_SVM];
        }
        break;
    case 0x8000001d: {
        const ModelCache *cache = cache_at(m, amd_caches(m), sub);
        if (model_has(m, FEATURE_TOPOEXT) && cache) {
            cache_leaf(m, cache, false, r);
        }
        break;
    }
    case 0x8000001e: leaf_8000_001e(m, c, r); break;
    case 0x80000021: r[EAX] = m->words[WORD_8000_0021_EAX]; break;
    }
}

/* ---- All ---- */

static void leaf_basic(const CpuModel *m, const Cpu *c, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    switch (leaf) {
    case 0:
        r[EAX] = m->level;
        memcpy(&r[EBX], m->vendor, 4);
        memcpy(&r[EDX], m->vendor + 4, 4);
        memcpy(&r[ECX], m->vendor + 8, 4);
        break;
    case 1: leaf_1(m, c, r); break;
    case 2: leaf_2(m, r); break;
    case 4: leaf_4(m, sub, r); break;
    case 5:
        if (model_has(m, FEATURE_MONITOR)) {
            r[EAX] = r[EBX] = 64; /* smallest and largest monitored line */
            r[ECX] = 3;           /* extensions; interrupts break MWAIT even when masked */
        }
        break;
    case 6: r[EAX] = m->words[WORD_6_EAX]; break;
    case 7: leaf_7(m, c, sub, r); break;
    case 0xa:
        for (int i = 0; i < 4 && m->pmu; i++) {
            r[i] = ask(m, 0xa, 0, i);
        }
        break;
    case 0xb:
        if (m->cpuid_0xb) {
            leaf_topology(m, c, leaf, sub, r);
        }
        break;
    case 0xd: leaf_d(m, c, sub, r); break;
    case 0x14:
        for (int i = 0; i < 4 && model_has(m, FEATURE_INTEL_PT) && sub <= 1; i++) {
            r[i] = ask(m, 0x14, sub, i);
        }
        break;
    case 0x1f:
        if (m->env.topology.dies > 1) {
            leaf_topology(m, c, leaf, sub, r);
        }
        break;
    }
}

void model_cpuid(const CpuModel *m, const Cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
    memset(regs, 0, 4 * sizeof(regs[0]));
    uint32_t limit = leaf >= 0xc0000000   ? m->xlevel2
                     : leaf >= 0x80000000 ? m->xlevel
                     : leaf >= 0x40000000 ? hypervisor_limit(m)
                                          : m->level;
    if (leaf > limit) {
        /* Beyond the end Intel repeats the highest basic leaf (SDM vol 2 CPUID), AMD answers zeros.
         */
        if (model_is_amd(m) || !m->level) {
            return;
        }
        leaf = m->level;
    }
    if (leaf >= 0xc0000000) {
        regs[EAX] = leaf == 0xc0000000 ? m->xlevel2 : 0;
        regs[EDX] = leaf == 0xc0000001 ? m->words[WORD_C000_0001_EDX] : 0;
    } else if (leaf >= 0x80000000) {
        leaf_extended(m, c, leaf, subleaf, regs);
    } else if (leaf >= 0x40000000) {
        leaf_hypervisor(m, leaf, regs);
    } else {
        leaf_basic(m, c, leaf, subleaf, regs);
    }
}

/* ---- The list ---- */

static void add_entry(GArray *list, const CpuModel *m, const Cpu *c, uint32_t leaf, uint32_t sub,
                      bool has_sub)
{
    CpuidEntry e = {.leaf = leaf, .subleaf = sub, .has_subleaf = has_sub};
    model_cpuid(m, c, leaf, sub, e.regs);
    g_array_append_val(list, e);
}

/* Sub-leaf n of a leaf that has some; false: n is beyond the last. */
static bool has_subleaf(const CpuModel *m, const Cpu *c, uint32_t leaf, uint32_t n)
{
    uint32_t r[4];
    switch (leaf) {
    case 4:
    case 0x8000001d: /* ends with a cache of type "none", which is listed */
        if (n == 0) {
            return true;
        }
        model_cpuid(m, c, leaf, n - 1, r);
        return r[EAX] & 31;
    case 7:
    case 0x14: model_cpuid(m, c, leaf, 0, r); return n <= (leaf == 0x14 ? MIN(r[EAX], 1) : r[EAX]);
    case 0xb: return n <= 2;
    case 0x1f: return n <= 3;
    case 0xd: return n < 63;
    default: return n == 0;
    }
}

static void add_leaf(GArray *list, const CpuModel *m, const Cpu *c, uint32_t leaf)
{
    bool indexed = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x14 ||
                   leaf == 0x1f || leaf == 0x8000001d;
    for (uint32_t n = 0; has_subleaf(m, c, leaf, n); n++) {
        uint64_t components = model_xcr0(m) | model_xss(m);
        if (leaf != 0xd || n < 2 || components >> n & 1) {
            add_entry(list, m, c, leaf, n, indexed);
        }
    }
}

GArray *model_cpuid_list(const CpuModel *m, const Cpu *c)
{
    GArray *list = g_array_new(false, true, sizeof(CpuidEntry));
    uint32_t hv = hypervisor_limit(m);
    for (uint32_t leaf = 0; leaf <= MIN(m->level, 0x40); leaf++) {
        add_leaf(list, m, c, leaf);
    }
    for (uint32_t leaf = 0x40000000; leaf <= hv; leaf++) {
        if (leaf <= HYPERV_LAST || leaf >= 0x40000100) {
            add_leaf(list, m, c, leaf);
        }
    }
    for (uint32_t leaf = 0x80000000; leaf <= MIN(m->xlevel, 0x80000040); leaf++) {
        add_leaf(list, m, c, leaf);
    }
    for (uint32_t leaf = 0xc0000000; leaf <= MIN(m->xlevel2, 0xc0000008); leaf++) {
        add_leaf(list, m, c, leaf);
    }
    return list;
}
