/* CPU models: AMD and Hygon.
 *
 * Each row: the model it grew from, what came, what went (SDM vol 1 and vol 2 CPUID; AMD's revision
 * guides and APM vol 3), as management tools have documented these names. */
#include "cpu/model-tables.h"

#define AMD   "AuthenticAMD"
#define HYGON "HygonGenuine"

// clang-format off
const ModelRow models_amd[] = {
    {.name = "qemu64", .base = "qemu32", .vendor = AMD, .family = 15, .model = 107, .stepping = 1,
     .level = 0xd, .xlevel = 0x8000000a,
     .id = "QEMU Virtual CPU version 2.5+",
     .add = "mtrr mca pse36 clflush cx16 syscall nx lm lahf-lm svm"},
    {.name = "athlon", .base = "pentium3", .vendor = AMD, .family = 6, .model = 2, .stepping = 3,
     .level = 0x2, .xlevel = 0x80000008,
     .id = "QEMU Virtual CPU version 2.5+",
     .add = "sse2 mmxext 3dnowext 3dnow"},
    {.name = "phenom", .base = "kvm64", .vendor = AMD, .family = 16, .model = 2, .stepping = 3,
     .level = 0x5, .xlevel = 0x8000001a,
     .id = "AMD Phenom(tm) 9550 Quad-Core Processor",
     .add = "monitor popcnt mmxext fxsr-opt pdpe1gb rdtscp 3dnowext 3dnow lahf-lm svm abm sse4a npt"},
    {.name = "Opteron_G1", .base = "kvm32", .vendor = AMD, .family = 15, .model = 6, .stepping = 1,
     .level = 0x5, .xlevel = 0x80000008,
     .id = "AMD Opteron 240 (Gen 1 Class Opteron)",
     .add = "syscall nx lm"},
    {.name = "Opteron_G2", .base = "Opteron_G1", .vendor = AMD, .family = 15, .model = 6, .stepping = 1,
     .level = 0x5, .xlevel = 0x8000000a,
     .id = "AMD Opteron 22xx (Gen 2 Class Opteron)",
     .add = "cx16 lahf-lm svm"},
    {.name = "Opteron_G3", .base = "Opteron_G2", .vendor = AMD, .family = 16, .model = 2, .stepping = 3,
     .level = 0x5, .xlevel = 0x8000000a,
     .id = "AMD Opteron 23xx (Gen 3 Class Opteron)",
     .add = "monitor popcnt rdtscp abm sse4a misalignsse"},
    {.name = "Opteron_G4", .base = "Opteron_G2", .vendor = AMD, .family = 21, .model = 1, .stepping = 2,
     .level = 0xd, .xlevel = 0x8000001a,
     .id = "AMD Opteron 62xx class CPU",
     .add =
         "pclmulqdq ssse3 sse4.1 sse4.2 popcnt aes xsave avx pdpe1gb rdtscp abm sse4a misalignsse "
         "3dnowprefetch xop fma4 npt nrip-save"},
    {.name = "Opteron_G5", .base = "Opteron_G4", .vendor = AMD, .family = 21, .model = 2, .stepping = 0,
     .level = 0xd, .xlevel = 0x8000001a,
     .id = "AMD Opteron 63xx class CPU",
     .add = "fma f16c tbm"},
    {.name = "EPYC", .base = "Opteron_G3", .vendor = AMD, .family = 23, .model = 1, .stepping = 2,
     .level = 0xd, .xlevel = 0x8000001e,
     .id = "AMD EPYC Processor", .caches = &caches_epyc,
     .add =
         "pclmulqdq ssse3 fma sse4.1 sse4.2 movbe aes xsave avx f16c rdrand fsgsbase bmi1 avx2 smep "
         "bmi2 rdseed adx smap clflushopt sha-ni mmxext fxsr-opt pdpe1gb cr8legacy 3dnowprefetch osvw "
         "topoext npt nrip-save xsaveopt xsavec xgetbv1 arat"},
    {.name = "EPYC-Rome", .base = "EPYC", .vendor = AMD, .family = 23, .model = 49, .stepping = 0,
     .level = 0xd, .xlevel = 0x8000001e,
     .id = "AMD EPYC-Rome Processor", .caches = &caches_epyc_rome,
     .add = "clwb umip rdpid perfctr-core clzero xsaveerptr wbnoinvd ibpb amd-stibp xsaves"},
    {.name = "EPYC-Milan", .base = "EPYC-Rome", .vendor = AMD, .family = 25, .model = 1, .stepping = 1,
     .level = 0xd, .xlevel = 0x8000001e,
     .id = "AMD EPYC-Milan Processor", .caches = &caches_epyc_milan,
     .add = "pcid erms invpcid pku fsrm ibrs amd-ssbd svme-addr-chk"},
    {.name = "Dhyana", .base = "EPYC", .vendor = HYGON, .family = 24, .model = 0, .stepping = 1,
     .level = 0xd, .xlevel = 0x8000001e,
     .id = "Hygon Dhyana Processor", .caches = &caches_epyc,
     .add = "ibpb",
     .remove = "pclmulqdq aes sha-ni"},
    {0}
};
// clang-format on
