/* Inside of the CPU models: what each feature word is, and the tables of models.  Used by cpu/ only. */
#ifndef CPU_MODEL_TABLES_H
#define CPU_MODEL_TABLES_H

#include "cpu/model.h"

typedef struct FeatureWordInfo {
    uint32_t leaf, subleaf;             /* MODEL_LEAF_MSR | index for a feature MSR            */
    bool subleaves;                     /* the leaf has sub-leaves                             */
    uint8_t reg;                        /* 0 EAX .. 3 EDX                                      */
    const char *names;                  /* low bit first, "-" for none                         */
    const char *msr;                    /* the MSR's name                                      */
    bool synthetic;                     /* no register: only a set of names                    */
    uint32_t dynamic;                   /* follow CR4 and such: never part of a model          */
    uint32_t static_bits;               /* made by us whatever the accelerator says            */
    uint32_t unmigratable;              /* in "max" and "host" only with migratable=off        */
    uint32_t by_name_only;              /* in "max" and "host" only when asked for by name     */
} FeatureWordInfo;
extern const FeatureWordInfo feature_words[FEATURE_WORDS];
uint32_t feature_named_bits(FeatureWord w);

typedef struct FeatureDependency {
    unsigned needs;                     /* without this feature ...                            */
    FeatureWord word;                   /* ... these bits are gone; needs 0 ends the table     */
    uint32_t bits;
} FeatureDependency;
extern const FeatureDependency feature_dependencies[];

/* A model as its maker's documents describe it: another model, plus and minus features. */
typedef struct ModelRow {
    const char *name;                   /* without version: the row is NAME-v1; NULL ends the table */
    const char *base;                   /* features to start from, by row name ("Penryn-v1"); NULL: none */
    const char *add, *remove;           /* feature names, separated by blanks                   */
    const char *vendor;
    uint8_t family, model, stepping;
    uint32_t level, xlevel;
    const char *id;                     /* the brand string                                     */
    const ModelCacheInfo *caches;
    bool deprecated;
} ModelRow;
extern const ModelRow models_intel[], models_amd[];
extern const ModelRow *const model_tables[];    /* NULL-terminated */

/* A later version of a model: what changed since the one before. */
typedef struct ModelVersion {
    const char *name;                   /* "Nehalem"                                            */
    unsigned version;                   /* 2 ...                                                */
    const char *alias;                  /* "Nehalem-IBRS", or NULL                              */
    const char *add, *remove;
    uint8_t model, stepping;            /* 0: unchanged                                         */
    const char *id;                     /* NULL: unchanged                                      */
    const char *note;                   /* for -cpu help                                        */
} ModelVersion;
extern const ModelVersion model_versions[];     /* name NULL ends it */

/* Caches as AMD's leaves 8000001DH and Intel's leaf 4 describe them. */
enum { CACHE_NONE, CACHE_DATA, CACHE_CODE, CACHE_UNIFIED };
typedef struct ModelCache {
    uint8_t level, type;                /* CACHE_*, as leaf 4 has it                            */
    uint16_t line, ways, partitions;
    uint32_t sets;
    bool self_init, no_invd_sharing, inclusive, complex_index;
    uint8_t lines_per_tag;              /* for the old AMD leaves 8000005H and 6H               */
    enum { SHARED_CORE, SHARED_DIE } shared;
} ModelCache;
struct ModelCacheInfo {
    ModelCache l1d, l1i, l2, l3;
};
extern const ModelCacheInfo caches_generic_intel, caches_generic_amd, caches_epyc, caches_epyc_rome, caches_epyc_milan;
static inline uint32_t cache_size(const ModelCache *c)
{
    return (uint32_t)c->line * c->ways * c->partitions * c->sets;
}

/* Hyper-V enlightenments, as bits of WORD_HYPERV in the order of their names there. */
enum {
    HV_RELAXED = FEATURE(WORD_HYPERV, 0), HV_VAPIC, HV_TIME, HV_CRASH, HV_RESET, HV_VPINDEX, HV_RUNTIME, HV_SYNIC,
    HV_STIMER, HV_FREQUENCIES, HV_REENLIGHTENMENT, HV_TLBFLUSH, HV_EVMCS, HV_IPI, HV_STIMER_DIRECT, HV_AVIC, HV_SYNDBG,
    HV_EMSR_BITMAP, HV_XMM_INPUT, HV_TLBFLUSH_EXT, HV_TLBFLUSH_DIRECT,
    HV_ANY,                             /* set with any of them; has no name */
};
/* Leaves 40000000H and up with Hyper-V's interface (cpu/hyperv.c); the first and the last leaf. */
enum { HYPERV_FIRST = 0x40000000, HYPERV_LAST = 0x4000000a };
void hyperv_cpuid(const CpuModel *m, uint32_t leaf, uint32_t regs[4]);
/* Enlightenments that need others which are off: false with a message. */
bool hyperv_check(const CpuModel *m, GError **error);

#endif
