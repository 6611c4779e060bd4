/* Making a CPU model from `-cpu` text. */
#include "cpu/model.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "cpu/model-tables.h"

/* Text options that are not part of the result, or only after more thought. */
typedef struct Options {
    CpuModel *m;
    char *type; /* "Nehalem-x86_64-cpu" */
    bool check, enforce, kvm, host_phys_bits, cpuid_0xb, tcg_cpuid;
    bool level_set, xlevel_set, xlevel2_set, host_phys_bits_set;
    uint32_t min_level, min_xlevel, min_xlevel2, phys_bits, phys_bits_limit;
    uint32_t on[FEATURE_WORDS], off[FEATURE_WORDS];     /* what the user said by name */
    uint32_t plus[FEATURE_WORDS], minus[FEATURE_WORDS]; /* +x and -x: these win      */
} Options;

/* ---- What the accelerator can give ---- */

/* What CpuState has no place for, so that nobody can offer it: AMX tiles, processor trace, last
 * branch records, SGX. */
static uint32_t not_held(FeatureWord w)
{
    switch (w) {
    case WORD_7_0_EBX: return 1u << 2 | 1u << 25;
    case WORD_7_0_ECX: return 1u << 30;
    case WORD_7_0_EDX: return 1u << 19 | 1u << 22 | 1u << 24 | 1u << 25;
    case WORD_7_1_EAX: return 1u << 21;
    case WORD_7_1_EDX: return 1u << 8;
    case WORD_XSAVE: return 1u << 4;
    default: return 0;
    }
}

static uint32_t word_supported(const ModelEnv *env, FeatureWord w)
{
    const FeatureWordInfo *info = &feature_words[w];
    bool paravirtual = w == WORD_KVM || w == WORD_KVM_HINTS || w == WORD_HYPERV;
    if (paravirtual && !env->kvm) {
        return 0;
    }
    if (info->synthetic) {
        return feature_named_bits(w);
    }
    if (!env->supported) {
        return (feature_named_bits(w) & ~not_held(w)) | info->static_bits;
    }
    uint32_t bits = (uint32_t)env->supported(info->leaf, info->subleaf, info->reg) & ~info->dynamic;
    return (bits & ~not_held(w)) | info->static_bits;
}

/* ---- Finding a model ---- */

static const ModelRow *find_row(const char *name, size_t len)
{
    for (unsigned t = 0; model_tables[t]; t++) {
        for (const ModelRow *r = model_tables[t]; r->name; r++) {
            if (strlen(r->name) == len && !memcmp(r->name, name, len)) {
                return r;
            }
        }
    }
    return NULL;
}

/* "Nehalem", "Nehalem-v2" and "Nehalem-IBRS" to row and version. */
static const ModelRow *find_model(const char *name, unsigned *version)
{
    const ModelRow *r = find_row(name, strlen(name));
    *version = 1;
    if (r) {
        return r;
    }
    for (const ModelVersion *v = model_versions; v->name; v++) {
        g_autofree char *versioned = g_strdup_printf("%s-v%u", v->name, v->version);
        if (!g_strcmp0(v->alias, name) || !strcmp(versioned, name)) {
            *version = v->version;
            return find_row(v->name, strlen(v->name));
        }
    }
    return g_str_has_suffix(name, "-v1") ? find_row(name, strlen(name) - 3) : NULL;
}

/* Sets or clears every feature of a list of names. */
static void apply_list(uint32_t words[FEATURE_WORDS], const char *list, bool on)
{
    g_auto(GStrv) names = list ? g_strsplit(list, " ", 0) : NULL;
    for (char **n = names; n && *n; n++) {
        unsigned f = feature_find(*n);
        g_assert(f); /* our table, our spelling */
        if (on) {
            words[f / 32] |= 1u << f % 32;
        } else {
            words[f / 32] &= ~(1u << f % 32);
        }
    }
}

static void row_features(uint32_t words[FEATURE_WORDS], const ModelRow *r)
{
    if (r->base) {
        row_features(words, find_row(r->base, strlen(r->base)));
    }
    apply_list(words, r->add, true);
    apply_list(words, r->remove, false);
}

/* What every model gets where the interrupt chips are the kernel's; nobody asked for it, so nobody
 * is told. */
static void set_as_offered(CpuModel *m, unsigned f)
{
    uint32_t bit = 1u << f % 32;
    bool offered = !m->env.supported || word_supported(&m->env, f / 32) & bit;
    m->words[f / 32] = offered ? m->words[f / 32] | bit : m->words[f / 32] & ~bit;
}

static void load_row(CpuModel *m, const ModelRow *r, unsigned version)
{
    row_features(m->words, r);
    g_strlcpy(m->vendor, r->vendor, sizeof(m->vendor));
    g_strlcpy(m->model_id, r->id ? r->id : "", sizeof(m->model_id));
    m->family = r->family;
    m->model = r->model;
    m->stepping = r->stepping;
    m->caches = r->caches;
    for (const ModelVersion *v = model_versions; v->name; v++) {
        if (!strcmp(v->name, r->name) && v->version <= version) {
            apply_list(m->words, v->add, true);
            apply_list(m->words, v->remove, false);
            m->stepping = v->stepping ? v->stepping : m->stepping;
            m->model = v->model ? v->model : m->model;
            if (v->id) {
                g_strlcpy(m->model_id, v->id, sizeof(m->model_id));
            }
        }
    }
    if (m->env.kvm) { /* what every KVM guest gets, and what it cannot use */
        apply_list(m->words,
                   "kvmclock kvmclock-new kvm-nopiodelay kvm-asyncpf kvm-steal-time "
                   "kvmclock-stable-bit",
                   true);
        set_as_offered(m, FEATURE_KVM_PV_EOI);
        set_as_offered(m, FEATURE_X2APIC);
        apply_list(m->words, "acpi monitor svm", false);
    } else if (m->env.supported) {
        apply_list(m->words, "svm npt nrip-save", false); /* models that have them are older than that was known of */
    }
    if (!m->env.kvm && m->env.supported && !(word_supported(&m->env, WORD_1_EDX) & 1u << 1)) {
        apply_list(m->words, "vme", false); /* every model has it; not worth a warning each time */
    }
    apply_list(m->words, "hypervisor", true);
}

/* The brand string; not every KVM passes it on. */
static void host_brand(CpuModel *m)
{
    for (unsigned i = 0; i < 12; i++) {
        uint32_t part = (uint32_t)m->env.supported(0x80000002 + i / 4, 0, i % 4);
        memcpy(m->model_id + 4 * i, &part, 4);
    }
    if (m->model_id[0]) {
        return;
    }
    for (unsigned leaf = 0; leaf < 3; leaf++) {
        uint32_t r[4] = {0};
        __get_cpuid(0x80000002 + leaf, &r[0], &r[1], &r[2], &r[3]);
        memcpy(m->model_id + 16 * leaf, r, 16);
    }
}

/* "host" and "max": all there is, and under KVM the host's identity. */
static void load_max(Options *o)
{
    CpuModel *m = o->m;
    const ModelEnv *env = &m->env;
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS; w++) {
        const FeatureWordInfo *info = &feature_words[w];
        uint32_t keep = m->migratable ? feature_named_bits(w) & ~info->unmigratable : ~0u;
        if (!info->synthetic && w != WORD_KVM_HINTS) {
            m->words[w] = word_supported(env, w) & keep & ~info->static_bits & ~info->by_name_only;
        }
    }
    apply_list(m->words, "hypervisor", true);
    if (env->kvm && env->supported) {
        uint32_t vendor[3] = {env->supported(0, 0, 1), env->supported(0, 0, 3),
                              env->supported(0, 0, 2)};
        uint32_t sig = env->supported(1, 0, 0);
        memcpy(m->vendor, vendor, sizeof(vendor));
        m->family = (sig >> 8 & 15) + ((sig >> 8 & 15) == 15 ? sig >> 20 & 0xff : 0);
        m->model = (sig >> 4 & 15) | (sig >> 12 & 0xf0);
        m->stepping = sig & 15;
        host_brand(m);
        o->min_level = env->supported(0, 0, 0);
        o->min_xlevel = env->supported(0x80000000, 0, 0);
        o->host_phys_bits = true;
    }
    if (!m->vendor[0]) {
        g_strlcpy(m->vendor, "AuthenticAMD", sizeof(m->vendor));
        m->family = 6;
        m->model = 6;
        m->stepping = 3;
        g_strlcpy(m->model_id, "QEMU TCG CPU version 2.5+", sizeof(m->model_id));
        o->min_level = 0xd;
        o->min_xlevel = 0x80000008;
    }
}

/* ---- Properties ---- */

typedef enum { P_BOOL, P_U32, P_INT64, P_SIZE, P_TEXT, P_IGNORED } PropType;
typedef struct Prop {
    const char *name;
    PropType type;
    size_t field; /* in Options, or with .in_model in CpuModel */
    bool in_model;
    uint64_t max; /* P_U32: largest; P_TEXT: size of the array */
    size_t set;   /* a bool of Options that remembers it; 0: none */
} Prop;
#define OPT(n, t, f, ...)                                                                          \
    {                                                                                              \
        n, t, offsetof(Options, f), false, __VA_ARGS__                                             \
    }
#define MOD(n, t, f, ...)                                                                          \
    {                                                                                              \
        n, t, offsetof(CpuModel, f), true, __VA_ARGS__                                             \
    }

// clang-format off
static const Prop props[] = {
    OPT("check", P_BOOL, check), OPT("enforce", P_BOOL, enforce), OPT("kvm", P_BOOL, kvm),
    OPT("host-phys-bits", P_BOOL, host_phys_bits, .set = offsetof(Options, host_phys_bits_set)),
    OPT("cpuid-0xb", P_BOOL, cpuid_0xb), OPT("tcg-cpuid", P_BOOL, tcg_cpuid),
    OPT("min-level", P_U32, min_level, UINT32_MAX), OPT("min-xlevel", P_U32, min_xlevel, UINT32_MAX),
    OPT("min-xlevel2", P_U32, min_xlevel2, UINT32_MAX),
    OPT("phys-bits", P_U32, phys_bits, UINT32_MAX),
    OPT("host-phys-bits-limit", P_U32, phys_bits_limit, 255),
    MOD("level", P_U32, level, UINT32_MAX, offsetof(Options, level_set)),
    MOD("xlevel", P_U32, xlevel, UINT32_MAX, offsetof(Options, xlevel_set)),
    MOD("xlevel2", P_U32, xlevel2, UINT32_MAX, offsetof(Options, xlevel2_set)),
    MOD("family", P_U32, family, 270), MOD("model", P_U32, model, 255), MOD("stepping", P_U32, stepping, 15),
    MOD("vendor", P_TEXT, vendor, 13), MOD("model-id", P_TEXT, model_id, 49),
    MOD("hv-vendor-id", P_TEXT, hv_vendor, 13), MOD("hv-spinlocks", P_U32, hv_spinlocks, UINT32_MAX),
    MOD("pmu", P_BOOL, pmu), MOD("l3-cache", P_BOOL, l3_cache), MOD("legacy-cache", P_BOOL, legacy_cache),
    MOD("host-cache-info", P_BOOL, host_cache), MOD("migratable", P_BOOL, migratable),
    MOD("full-cpuid-auto-level", P_BOOL, full_cpuid_auto),
    MOD("tsc-frequency", P_SIZE, tsc_frequency), MOD("tsc-freq", P_SIZE, tsc_frequency),
    MOD("apic-id", P_INT64, apic_id),
    /* Known to management tools, of no consequence here. */
    {"fill-mtrr-mask", P_IGNORED}, {"lmce", P_IGNORED}, {"vmware-cpuid-freq", P_IGNORED},
    {"x-vendor-cpuid-only", P_IGNORED}, {"x-intel-pt-auto-level", P_IGNORED}, {"x-migrate-smi-count", P_IGNORED},
    {"start-powered-off", P_IGNORED}, {"hv-passthrough", P_IGNORED}, {"hv-enforce-cpuid", P_IGNORED},
    {"socket-id", P_IGNORED}, {"die-id", P_IGNORED}, {"core-id", P_IGNORED}, {"thread-id", P_IGNORED},
    {"node-id", P_IGNORED}, {"ucode-rev", P_IGNORED}, {"level-func7", P_IGNORED},
    {"hv-no-nonarch-coresharing", P_IGNORED}, {"hv-version-id-build", P_IGNORED},
    {"hv-version-id-major", P_IGNORED}, {"hv-version-id-minor", P_IGNORED}, {"hv-version-id-spack", P_IGNORED},
    {"hv-version-id-sbranch", P_IGNORED}, {"hv-version-id-snumber", P_IGNORED},
};
// clang-format on

static bool parse_bool(const char *name, const char *value, bool *out, GError **error)
{
    if (!strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true") ||
        !strcmp(value, "y")) {
        *out = true;
    } else if (!strcmp(value, "off") || !strcmp(value, "no") || !strcmp(value, "false") ||
               !strcmp(value, "n")) {
        *out = false;
    } else {
        return error_fail(error, "Parameter '%s' expects 'on' or 'off'", name);
    }
    return true;
}

/* A whole number, decimal, 0x or octal; with `suffix` also 2.4G and such (decimal multiples). */
static bool parse_number(const char *text, bool suffix, uint64_t *out)
{
    char *end;
    errno = 0;
    uint64_t v = g_ascii_strtoull(text, &end, 0);
    if (errno || end == text || *text == '-' || g_ascii_isspace(*text)) {
        return false;
    }
    if (suffix && (*end == '.' || (*end && !end[1]))) {
        static const char letters[] = "KMGT";
        double d = g_ascii_strtod(text, &end);
        const char *l = *end ? strchr(letters, g_ascii_toupper(*end)) : NULL;
        for (int i = 0; l && i <= l - letters; i++) {
            d *= 1000;
        }
        if ((*end && !l) || (l && end[1]) || !(d >= 0 && d < 9e18)) {
            return false;
        }
        *out = (uint64_t)d;
        return true;
    }
    *out = v;
    return *end == '\0';
}

static bool set_text(const Prop *p, char *to, const char *value, GError **error)
{
    if (!strcmp(p->name, "vendor") && strlen(value) != 12) {
        return error_fail(
            error, "Property '.vendor' doesn't take value '%s': 12 characters are expected", value);
    }
    memset(to, 0, p->max);
    memcpy(to, value, MIN(strlen(value), p->max - 1));
    return true;
}

static bool set_prop(Options *o, const Prop *p, const char *value, GError **error)
{
    char *to = (p->in_model ? (char *)o->m : (char *)o) + p->field;
    uint64_t v = 0;
    if (p->set) {
        *((char *)o + p->set) = true;
    }
    switch (p->type) {
    case P_BOOL: return parse_bool(p->name, value, (bool *)to, error);
    case P_TEXT: return set_text(p, to, value, error);
    case P_IGNORED: return true;
    case P_U32:
        if (!parse_number(value, false, &v) || (v > UINT32_MAX && p->max == UINT32_MAX)) {
            return error_fail(error, "Parameter '%s' expects uint32", p->name);
        }
        if (v > p->max) {
            return error_fail(error, "Property .%s doesn't take value %s (minimum: 0, maximum: %u)",
                              p->name, value, (unsigned)p->max);
        }
        *(uint32_t *)to = (uint32_t)v;
        return true;
    case P_INT64:
    case P_SIZE:
        if (!parse_number(value, p->type == P_SIZE, &v) || v > INT64_MAX) {
            return error_fail(error, "Parameter '%s' expects int64", p->name);
        }
        *(int64_t *)to = (int64_t)v;
        return true;
    }
    return true;
}

static bool same_prop(const char *user, const char *name)
{
    for (; *user && *name; user++, name++) {
        if ((*user == '_' ? '-' : *user) != *name) {
            return false;
        }
    }
    return *user == *name;
}

/* The bits that a feature's name stands for. */
static uint32_t feature_bits(unsigned f)
{
    return f == FEATURE_KVM_CLOCK_OLD ? 1u << 0 | 1u << 3 : 1u << f % 32;
}

static bool apply_option(Options *o, const char *text, GError **error)
{
    if (*text == '+' || *text == '-') {
        unsigned f = feature_find(text + 1);
        if (!f) {
            return error_fail(error, "Property '%s.%s' not found", o->type, text + 1);
        }
        (*text == '+' ? o->plus : o->minus)[f / 32] |= feature_bits(f);
        return true;
    }
    const char *equals = strchr(text, '=');
    g_autofree char *name = equals ? g_strndup(text, equals - text) : g_strdup(text);
    const char *value = equals ? equals + 1 : "on";
    for (size_t i = 0; i < G_N_ELEMENTS(props); i++) {
        if (same_prop(name, props[i].name)) {
            return set_prop(o, &props[i], value, error);
        }
    }
    unsigned f = feature_find(name);
    if (!f) {
        return error_fail(error, "Property '%s.%s' not found", o->type, name);
    }
    bool on;
    if (!parse_bool(name, value, &on, error)) {
        return false;
    }
    uint32_t bits = feature_bits(f);
    o->on[f / 32] = on ? o->on[f / 32] | bits : o->on[f / 32] & ~bits;
    o->off[f / 32] = on ? o->off[f / 32] & ~bits : o->off[f / 32] | bits;
    return true;
}

/* ---- From what was asked to what there is ---- */

static void warn(const CpuModel *m, const char *text)
{
    if (m->env.warn) {
        m->env.warn(text);
    } else {
        warn_report("%s", text);
    }
}

static void apply_dependencies(CpuModel *m)
{
    for (const FeatureDependency *d = feature_dependencies; d->needs; d++) {
        if (!model_has(m, d->needs)) {
            m->words[d->word] &= ~d->bits;
        }
    }
}

/* XCR0 follows from the features (SDM vol 1 §13.3), cut to what the accelerator's XSAVE has. */
static void derive_xcr0(CpuModel *m)
{
    uint32_t x = XSTATE_FP | XSTATE_SSE;
    x |= model_has(m, FEATURE_AVX) ? XSTATE_AVX : 0;
    x |= model_has(m, FEATURE_MPX) ? XSTATE_BNDREGS | XSTATE_BNDCSR : 0;
    x |= model_has(m, FEATURE_AVX512F) ? XSTATE_AVX512 : 0;
    x |= model_has(m, FEATURE_PKU) ? XSTATE_PKRU : 0;
    if (m->env.supported) {
        x &= (uint32_t)m->env.supported(0xd, 0, 0);
    }
    m->words[WORD_XCR0_LO] = model_has(m, FEATURE_XSAVE) ? x : 0;
    m->words[WORD_XCR0_HI] = 0;
}

/* Takes out what is not supported; with check or enforce, says so.  False: enforce and something is
 * missing. */
static bool filter(CpuModel *m, bool check, bool enforce, GError **error)
{
    const char *who = m->env.kvm ? "host" : "TCG";
    bool missing = false;
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS; w++) {
        if (w == WORD_XCR0_LO || w == WORD_XCR0_HI) {
            continue;
        }
        m->filtered[w] = m->words[w] & ~word_supported(&m->env, w);
        m->words[w] &= ~m->filtered[w];
        for (unsigned b = 0; b < 32 && (check || enforce); b++) {
            if (m->filtered[w] >> b & 1 && !feature_words[w].synthetic) {
                g_autofree char *what = feature_text(w, b);
                g_autofree char *text =
                    g_strdup_printf("%s doesn't support requested feature: %s", who, what);
                warn(m, text);
                missing = true;
            }
        }
    }
    if (missing && enforce) {
        return error_fail(error, "%s doesn't support requested features",
                          m->env.kvm ? "Host" : "TCG");
    }
    return true;
}

/* The highest leaves: at least the documented ones, and enough for the features to be seen. */
static void derive_levels(Options *o)
{
    CpuModel *m = o->m;
    uint32_t level = o->min_level, xlevel = o->min_xlevel, xlevel2 = o->min_xlevel2;
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS && m->full_cpuid_auto; w++) {
        uint32_t leaf = feature_words[w].leaf;
        bool real = !feature_words[w].synthetic && !feature_words[w].msr;
        uint32_t asked =
            ((o->on[w] & ~o->off[w]) | o->plus[w]) & ~o->minus[w]; /* even if in vain */
        if (!(m->words[w] | asked) || !real || leaf >> 28 == 4) {
            continue;
        }
        if (leaf >= 0xc0000000) {
            xlevel2 = MAX(xlevel2, leaf);
        } else if (leaf >= 0x80000000) {
            xlevel = MAX(xlevel, leaf);
        } else {
            level = MAX(level, leaf);
        }
    }
    if (model_has(m, FEATURE_SVM) && m->full_cpuid_auto) {
        xlevel = MAX(xlevel, 0x8000000a);
    }
    if (m->env.topology.dies > 1 && m->full_cpuid_auto && !model_is_amd(m)) {
        level = MAX(level, 0x1f);
    }
    m->level = o->level_set ? m->level : level;
    m->xlevel = o->xlevel_set ? m->xlevel : xlevel;
    m->xlevel2 = o->xlevel2_set ? m->xlevel2 : xlevel2;
}

static bool derive_phys_bits(Options *o, GError **error)
{
    CpuModel *m = o->m;
    if (o->phys_bits) {
        if (o->phys_bits < 32 || o->phys_bits > 52) {
            return error_fail(error, "phys-bits should be between 32 and 52  (but is %u)",
                              o->phys_bits);
        }
        m->phys_bits = o->phys_bits;
    } else if (o->host_phys_bits && m->env.phys_bits) {
        m->phys_bits = m->env.phys_bits;
        if (o->phys_bits_limit && m->phys_bits > o->phys_bits_limit) {
            m->phys_bits = o->phys_bits_limit;
        }
    } else {
        unsigned most = m->env.phys_bits ? m->env.phys_bits : 52;
        m->phys_bits = model_has(m, FEATURE_LM)      ? MAX(40, MIN(m->env.memory_bits, most))
                       : model_has(m, FEATURE_PSE36) ? 36
                                                     : 32;
    }
    if (!model_has(m, FEATURE_LM)) {
        m->phys_bits =
            MIN(m->phys_bits, model_has(m, FEATURE_PSE36) || model_has(m, FEATURE_PAE) ? 36 : 32);
    }
    return true;
}

/* Bits that say how many CPUs there are. */
static void derive_topology_bits(CpuModel *m)
{
    const Topology *t = &m->env.topology;
    bool many = t->dies * t->cores * t->threads > 1;
    m->words[WORD_1_EDX] = (m->words[WORD_1_EDX] & ~(1u << 28)) | (uint32_t)many << 28;
    m->words[WORD_8000_0001_ECX] &= ~2u;
    if (model_is_amd(m) && many) {
        m->words[WORD_8000_0001_ECX] |= 2;
    }
}

/* "+x" and "-x" win over "x=on" and "x=off" wherever they stand, which not everyone expects. */
static void warn_of_mixed_spellings(const Options *o)
{
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS; w++) {
        uint32_t mixed = (o->on[w] | o->off[w]) & (o->plus[w] | o->minus[w]);
        for (; mixed; mixed &= mixed - 1) {
            unsigned bit = (unsigned)__builtin_ctz(mixed);
            const char *name = feature_name(w, bit);
            g_autofree char *text =
                g_strdup_printf("Ambiguous CPU model string. Don't mix both \"%c%s\" and \"%s=%s\"",
                                o->minus[w] >> bit & 1 ? '-' : '+', name, name,
                                o->off[w] >> bit & 1 ? "off" : "on");
            warn(o->m, text);
        }
    }
}

/* Where APIC IDs are wider than the destination of an MSI, a guest needs to know that messages here carry seven bits more; it
 * takes KVM's word for it (Linux, Documentation/virt/kvm/x86/cpuid.rst), and for x2APIC without interrupt remapping. */
static bool derive_wide_messages(Options *o)
{
    enum { MESSAGE_MOST = 254 };
    const Topology *t = &o->m->env.topology;
    unsigned bit = FEATURE_KVM_MSI_EXT_DEST_ID % 32;
    bool wanted = !o->m->env.kvm && o->kvm && o->tcg_cpuid && model_has(o->m, FEATURE_X2APIC) &&
                  topology_apic_id(t, topology_cpus(t) - 1) > MESSAGE_MOST &&
                  !((o->off[WORD_KVM] | o->minus[WORD_KVM]) >> bit & 1);
    if (wanted) {
        o->m->words[WORD_KVM] = 1u << bit;
    }
    return wanted;
}

static bool finish(Options *o, GError **error)
{
    CpuModel *m = o->m;
    warn_of_mixed_spellings(o);
    for (FeatureWord w = 0; w < FEATURE_WORDS; w++) {
        m->words[w] = (((m->words[w] | o->on[w]) & ~o->off[w]) | o->plus[w]) & ~o->minus[w];
    }
    if (!o->kvm) {
        m->words[WORD_KVM] = m->words[WORD_KVM_HINTS] = 0;
    }
    apply_dependencies(m);
    if (!filter(m, o->check, o->enforce, error)) {
        return false;
    }
    apply_dependencies(m);
    derive_xcr0(m);
    if (!model_has(m, FEATURE_XSAVE)) {
        m->words[WORD_XSAVE] = 0;
    }
    if (m->env.kvm && (m->words[WORD_HYPERV] || m->hv_spinlocks != UINT32_MAX)) {
        m->words[WORD_HYPERV] |= 1u << HV_ANY % 32;
    }
    derive_topology_bits(m);
    derive_levels(o);
    m->kvm_signature = (m->env.kvm && o->kvm) || derive_wide_messages(o);
    m->hypervisor_leaves =
        m->kvm_signature || model_has(m, HV_ANY) || (!m->env.kvm && o->tcg_cpuid);
    if (!m->caches) {
        m->caches = model_is_amd(m) ? &caches_generic_amd : &caches_generic_intel;
    }
    return hyperv_check(m, error) && derive_phys_bits(o, error);
}

static bool load_model(Options *o, const char *name, GError **error)
{
    CpuModel *m = o->m;
    unsigned version;
    if (!strcmp(name, "host") && !m->env.kvm) {
        return error_fail(error, "CPU model 'host' requires KVM");
    }
    if (!strcmp(name, "host") || !strcmp(name, "max")) {
        load_max(o);
        return true;
    }
    if (!strcmp(name, "base")) {
        g_strlcpy(m->vendor, "GenuineIntel", sizeof(m->vendor));
        return true;
    }
    const ModelRow *r = find_model(name, &version);
    if (!r) {
        return error_fail(error, "unable to find CPU model '%s'", name);
    }
    load_row(m, r, version);
    o->min_level = r->level;
    o->min_xlevel = r->xlevel;
    return true;
}

CpuModel *model_new(const char *option, const ModelEnv *env, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(option, ",", 0);
    CpuModel *m = g_new0(CpuModel, 1);
    m->env = *env;
    Topology *t = &m->env.topology;
    *t = (Topology){MAX(t->sockets, 1), MAX(t->dies, 1), MAX(t->cores, 1), MAX(t->threads, 1)};
    const char *name = parts[0] ? parts[0] : "";
    m->name = g_intern_string(name);
    m->type_name = g_strdup_printf("%s-x86_64-cpu", name);
    m->l3_cache = m->full_cpuid_auto = m->migratable = true;
    m->hv_spinlocks = UINT32_MAX;
    m->apic_id = -1;
    Options o = {.m = m,
                 .type = m->type_name,
                 .check = true,
                 .kvm = true,
                 .cpuid_0xb = true,
                 .tcg_cpuid = true};
    /* migratable=off changes what "host" starts from, so it is looked for first. */
    for (unsigned i = 1; parts[0] && parts[i]; i++) {
        if (same_prop(parts[i], "migratable=off")) {
            m->migratable = false;
        }
    }
    bool ok = load_model(&o, name, error);
    for (unsigned i = 1; ok && parts[i]; i++) {
        ok = apply_option(&o, parts[i], error);
    }
    if (!ok || !finish(&o, error)) {
        model_free(m);
        return NULL;
    }
    m->cpuid_0xb = o.cpuid_0xb;
    return m;
}

void model_free(CpuModel *m)
{
    if (m) {
        g_free(m->type_name);
        g_free(m);
    }
}

/* ---- What follows from CPUID for control registers ---- */

uint64_t model_xcr0(const CpuModel *m)
{
    return m->words[WORD_XCR0_LO] | (uint64_t)m->words[WORD_XCR0_HI] << 32;
}

uint64_t model_xss(const CpuModel *m)
{
    return 0; /* no supervisor component (PT, CET, LBR) is offered */
}

uint32_t model_signature(const CpuModel *m)
{
    unsigned base = MIN(m->family, 15);
    return m->stepping | (m->model & 15) << 4 | base << 8 | (m->model >> 4) << 16 |
           (m->family - base) << 20;
}

uint64_t model_cr4(const CpuModel *m)
{
    static const struct {
        unsigned feature;
        uint64_t bits;
    } rules[] = {
        {FEATURE(WORD_1_EDX, 1), CR4_VME | CR4_PVI},
        {FEATURE(WORD_1_EDX, 2), CR4_DE},
        {FEATURE_TSC, CR4_TSD},
        {FEATURE_PSE, CR4_PSE},
        {FEATURE_PAE, CR4_PAE},
        {FEATURE_MCE, CR4_MCE},
        {FEATURE(WORD_1_EDX, 13), CR4_PGE},
        {FEATURE_FXSR, CR4_OSFXSR},
        {FEATURE_SSE, CR4_OSXMMEXCPT},
        {FEATURE(WORD_7_0_ECX, 2), CR4_UMIP},
        {FEATURE_LA57, CR4_LA57},
        {FEATURE_VMX, CR4_VMXE},
        {FEATURE(WORD_1_ECX, 6), CR4_SMXE},
        {FEATURE_FSGSBASE, CR4_FSGSBASE},
        {FEATURE(WORD_1_ECX, 17), CR4_PCIDE},
        {FEATURE_XSAVE, CR4_OSXSAVE},
        {FEATURE_SMEP, CR4_SMEP},
        {FEATURE_SMAP, CR4_SMAP},
        {FEATURE_PKU, CR4_PKE},
        {FEATURE_PKS, CR4_PKS},
    };
    uint64_t bits = CR4_PCE;
    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        bits |= model_has(m, rules[i].feature) ? rules[i].bits : 0;
    }
    return bits;
}

uint64_t model_efer(const CpuModel *m)
{
    return (model_has(m, FEATURE_SYSCALL) ? EFER_SCE : 0) |
           (model_has(m, FEATURE_LM) ? EFER_LME : 0) | (model_has(m, FEATURE_NX) ? EFER_NXE : 0) |
           (model_has(m, FEATURE_SVM) ? EFER_SVME : 0) |
           (model_has(m, FEATURE_FXSR_OPT) ? EFER_FFXSR : 0);
}
