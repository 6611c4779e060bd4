/* CPU models: what all have in common; later versions; caches.
 *
 * A later version of a model is what microcode updates and errata made of it; the plain name means
 * version 1. */
#include "cpu/model-tables.h"

const ModelRow *const model_tables[] = {models_intel, models_amd, NULL};

// clang-format off
const ModelVersion model_versions[] = {
    {"Nehalem", 2, .alias = "Nehalem-IBRS", .add = "spec-ctrl",
     .id = "Intel Core i7 9xx (Nehalem Core i7, IBRS update)"},
    {"Westmere", 2, .alias = "Westmere-IBRS", .add = "spec-ctrl",
     .id = "Westmere E56xx/L56xx/X56xx (IBRS update)"},
    {"SandyBridge", 2, .alias = "SandyBridge-IBRS", .add = "spec-ctrl",
     .id = "Intel Xeon E312xx (Sandy Bridge, IBRS update)"},
    {"IvyBridge", 2, .alias = "IvyBridge-IBRS", .add = "spec-ctrl",
     .id = "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)"},
    {"Haswell", 2, .alias = "Haswell-noTSX", .remove = "hle rtm", .stepping = 1,
     .id = "Intel Core Processor (Haswell, no TSX)"},
    {"Haswell", 3, .alias = "Haswell-IBRS", .add = "hle rtm spec-ctrl", .stepping = 4,
     .id = "Intel Core Processor (Haswell, IBRS)"},
    {"Haswell", 4, .alias = "Haswell-noTSX-IBRS", .remove = "hle rtm", .stepping = 1,
     .id = "Intel Core Processor (Haswell, no TSX, IBRS)"},
    {"Broadwell", 2, .alias = "Broadwell-noTSX", .remove = "hle rtm",
     .id = "Intel Core Processor (Broadwell, no TSX)"},
    {"Broadwell", 3, .alias = "Broadwell-IBRS", .add = "hle rtm spec-ctrl",
     .id = "Intel Core Processor (Broadwell, IBRS)"},
    {"Broadwell", 4, .alias = "Broadwell-noTSX-IBRS", .remove = "hle rtm",
     .id = "Intel Core Processor (Broadwell, no TSX, IBRS)"},
    {"Skylake-Client", 2, .alias = "Skylake-Client-IBRS", .add = "spec-ctrl",
     .id = "Intel Core Processor (Skylake, IBRS)"},
    {"Skylake-Client", 3, .alias = "Skylake-Client-noTSX-IBRS", .remove = "hle rtm",
     .id = "Intel Core Processor (Skylake, IBRS, no TSX)"},
    {"Skylake-Client", 4, .add = "xsaves",
     .note = "IBRS, XSAVES, no TSX"},
    {"Skylake-Server", 2, .alias = "Skylake-Server-IBRS", .add = "spec-ctrl", .remove = "clflushopt",
     .id = "Intel Xeon Processor (Skylake, IBRS)"},
    {"Skylake-Server", 3, .alias = "Skylake-Server-noTSX-IBRS", .remove = "hle rtm",
     .id = "Intel Xeon Processor (Skylake, IBRS, no TSX)"},
    {"Skylake-Server", 4,
     .note = "IBRS, EPT switching, no TSX"},
    {"Skylake-Server", 5, .add = "xsaves",
     .note = "IBRS, XSAVES, EPT switching, no TSX"},
    {"Cascadelake-Server", 2, .add = "arch-capabilities rdctl-no ibrs-all skip-l1dfl-vmentry mds-no",
     .note = "ARCH_CAPABILITIES"},
    {"Cascadelake-Server", 3, .alias = "Cascadelake-Server-noTSX", .remove = "hle rtm",
     .note = "ARCH_CAPABILITIES, no TSX"},
    {"Cascadelake-Server", 4,
     .note = "ARCH_CAPABILITIES, EPT switching, no TSX"},
    {"Cascadelake-Server", 5, .add = "xsaves",
     .note = "ARCH_CAPABILITIES, EPT switching, XSAVES, no TSX"},
    {"Cooperlake", 2, .add = "xsaves",
     .note = "XSAVES"},
    {"Icelake-Server", 2, .alias = "Icelake-Server-noTSX", .remove = "hle rtm",
     .note = "no TSX"},
    {"Icelake-Server", 3, .add = "arch-capabilities rdctl-no ibrs-all skip-l1dfl-vmentry mds-no pschange-mc-no taa-no"},
    {"Icelake-Server", 4, .add = "avx512ifma sha-ni rdpid fsrm", .model = 106},
    {"Icelake-Server", 5, .add = "xsaves",
     .note = "XSAVES"},
    {"Icelake-Server", 6,
     .note = "5-level EPT"},
    {"Denverton", 2, .remove = "monitor mpx",
     .note = "no MPX, no MONITOR"},
    {"Denverton", 3, .add = "xsaves",
     .note = "XSAVES, no MPX, no MONITOR"},
    {"Snowridge", 2, .remove = "mpx",
     .id = "Intel Atom Processor (Snowridge, no MPX)"},
    {"Snowridge", 3, .add = "xsaves",
     .note = "XSAVES, no MPX"},
    {"Snowridge", 4, .remove = "core-capability split-lock-detect",
     .note = "no split lock detect, no core-capability"},
    {"EPYC", 2, .alias = "EPYC-IBPB", .add = "ibpb",
     .id = "AMD EPYC Processor (with IBPB)"},
    {"EPYC", 3, .add = "perfctr-core clzero xsaveerptr xsaves",
     .id = "AMD EPYC Processor"},
    {"EPYC-Rome", 2, .add = "ibrs amd-ssbd"},
    {"Dhyana", 2, .add = "xsaves",
     .note = "XSAVES"},
    {0}
};

/* SDM vol 2 CPUID leaves 2 and 4: a Core of the years before Nehalem, and an L3 that its successors brought. */
const ModelCacheInfo caches_generic_intel = {
    .l1d = {.level = 1, .type = CACHE_DATA, .line = 64, .ways = 8, .partitions = 1, .sets = 64, .self_init = true,
            .no_invd_sharing = true, .lines_per_tag = 1},
    .l1i = {.level = 1, .type = CACHE_CODE, .line = 64, .ways = 8, .partitions = 1, .sets = 64, .self_init = true,
            .no_invd_sharing = true, .lines_per_tag = 1},
    .l2 = {.level = 2, .type = CACHE_UNIFIED, .line = 64, .ways = 16, .partitions = 1, .sets = 4096,
           .self_init = true, .no_invd_sharing = true, .lines_per_tag = 1},
    .l3 = {.level = 3, .type = CACHE_UNIFIED, .line = 64, .ways = 16, .partitions = 1, .sets = 16384,
           .self_init = true, .inclusive = true, .complex_index = true, .lines_per_tag = 1, .shared = SHARED_DIE},
};

/* The same for the old AMD leaves 80000005H and 80000006H: a K8's. */
const ModelCacheInfo caches_generic_amd = {
    .l1d = {.level = 1, .type = CACHE_DATA, .line = 64, .ways = 2, .partitions = 1, .sets = 512, .self_init = true,
            .no_invd_sharing = true, .lines_per_tag = 1},
    .l1i = {.level = 1, .type = CACHE_CODE, .line = 64, .ways = 2, .partitions = 1, .sets = 512, .self_init = true,
            .no_invd_sharing = true, .lines_per_tag = 1},
    .l2 = {.level = 2, .type = CACHE_UNIFIED, .line = 64, .ways = 16, .partitions = 1, .sets = 512,
           .lines_per_tag = 1},
    .l3 = {.level = 3, .type = CACHE_UNIFIED, .line = 64, .ways = 16, .partitions = 1, .sets = 16384,
           .self_init = true, .inclusive = true, .complex_index = true, .lines_per_tag = 1, .shared = SHARED_DIE},
};

/* AMD's processor programming references for families 17H and 19H. */
#define ZEN(name_, l1i_ways, l1i_sets, l3_sets)                                                                        \
    const ModelCacheInfo name_ = {                                                                                     \
        .l1d = {.level = 1, .type = CACHE_DATA, .line = 64, .ways = 8, .partitions = 1, .sets = 64,                    \
                .self_init = true, .no_invd_sharing = true, .lines_per_tag = 1},                                       \
        .l1i = {.level = 1, .type = CACHE_CODE, .line = 64, .ways = l1i_ways, .partitions = 1, .sets = l1i_sets,       \
                .self_init = true, .no_invd_sharing = true, .lines_per_tag = 1},                                       \
        .l2 = {.level = 2, .type = CACHE_UNIFIED, .line = 64, .ways = 8, .partitions = 1, .sets = 1024,                \
               .lines_per_tag = 1},                                                                                    \
        .l3 = {.level = 3, .type = CACHE_UNIFIED, .line = 64, .ways = 16, .partitions = 1, .sets = l3_sets,            \
               .self_init = true, .inclusive = true, .complex_index = true, .lines_per_tag = 1,                        \
               .shared = SHARED_DIE},                                                                                  \
    }
ZEN(caches_epyc, 4, 256, 8192);         /* L1I 64K, L3 8M  */
ZEN(caches_epyc_rome, 8, 64, 16384);    /* L1I 32K, L3 16M */
ZEN(caches_epyc_milan, 8, 64, 32768);   /* L1I 32K, L3 32M */
// clang-format on
