#include "tests/cpu/cpu-test.h"

static GString *warnings;

static void collect(const char *text)
{
    g_string_append_printf(warnings, "%s\n", text);
}

static CpuModel *model;

static const char *failure(const char *option, const ModelEnv *env)
{
    GError *error = NULL;
    model = model_new(option, env, &error);
    ck_assert_msg(!model, "%s was accepted", option);
    const char *text = g_intern_string(error->message);
    g_error_free(error);
    return text;
}

/* A host of the Westmere kind, without AES and VMX. */
static uint64_t host(uint32_t leaf, uint32_t subleaf, int reg)
{
    switch (leaf) {
    case 0: return reg == 0 ? 0xb : reg == 1 ? 0x756e6547 : reg == 3 ? 0x49656e69 : 0x6c65746e;
    case 1: return reg == 0 ? 0x206c1 : reg == 3 ? 0x0f8bfbff : reg == 2 ? 0x80b82203 : 0;
    case 0x40000001: return reg == 0 ? 0x0100007b : 0;
    case 0x80000000: return reg == 0 ? 0x80000008 : 0;
    case 0x80000001: return reg == 3 ? 0x28100800 : reg == 2 ? 1 : 0;
    case 0x80000002: return reg == 0 ? 0x74736554 : 0;
    default: return 0;
    }
}

START_TEST(test_names)
{
    ck_assert_uint_eq(feature_find("sse4.1"), FEATURE(WORD_1_ECX, 19));
    ck_assert_uint_eq(feature_find("sse4_1"), FEATURE(WORD_1_ECX, 19));
    ck_assert_uint_eq(feature_find("sse4-1"), FEATURE(WORD_1_ECX, 19));
    ck_assert_uint_eq(feature_find("lahf_lm"), FEATURE(WORD_8000_0001_ECX, 0));
    ck_assert_uint_eq(feature_find("nx"), FEATURE_NX);
    ck_assert_uint_eq(feature_find("xd"), FEATURE_NX);
    ck_assert_uint_eq(feature_find("hypervisor"), FEATURE_HYPERVISOR);
    ck_assert_uint_eq(feature_find("avx512_vpopcntdq"), FEATURE(WORD_7_0_ECX, 14));
    ck_assert_uint_eq(feature_find("ssbd"), FEATURE(WORD_7_0_EDX, 31));
    ck_assert_uint_eq(feature_find("fma4"), FEATURE(WORD_8000_0001_ECX, 16));
    ck_assert_uint_eq(feature_find("topoext"), FEATURE_TOPOEXT);
    ck_assert_uint_eq(feature_find("3dnow"), FEATURE(WORD_8000_0001_EDX, 31));
    ck_assert_uint_eq(feature_find("v-vmsave-vmload"), FEATURE(WORD_SVM, 15));
    ck_assert_uint_eq(feature_find("kvmclock-stable-bit"), FEATURE(WORD_KVM, 24));
    ck_assert_uint_eq(feature_find("ibpb"), FEATURE_AMD_IBPB);
    ck_assert_uint_eq(feature_find("SSE"), 0);
    ck_assert_uint_eq(feature_find("-"), 0);
    ck_assert_uint_eq(feature_find(""), 0);
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS; w++) { /* each name finds its own bit */
        for (unsigned b = 0; b < 32; b++) {
            const char *n = feature_name(w, b);
            if (n && !(w == WORD_KVM && b == 3)) {
                ck_assert_msg(feature_find(n) == FEATURE(w, b), "%s", n);
            }
        }
    }
    g_autofree char *text = feature_text(WORD_1_ECX, 21);
    ck_assert_str_eq(text, "CPUID.01H:ECX.x2apic [bit 21]");
    g_autofree char *ext = feature_text(WORD_8000_0001_ECX, 2);
    ck_assert_str_eq(ext, "CPUID.80000001H:ECX.svm [bit 2]");
}
END_TEST

/* What the makers' documents say of some. */
START_TEST(test_documented)
{
    static const struct {
        const char *name, *vendor;
        uint32_t signature, edx1, ecx1, ebx7, edx8;
    } known[] = {
        {"486", "GenuineIntel", 0x480, 0x0000000b, 0x80000000, 0, 0},
        {"pentium", "GenuineIntel", 0x543, 0x008003bf, 0x80000000, 0, 0},
        {"pentium3", "GenuineIntel", 0x673, 0x0383fbff, 0x80000000, 0, 0},
        {"qemu64", "AuthenticAMD", 0x60fb1, 0x078bfbfd, 0x80002001, 0, 0x20100800},
        {"kvm64", "GenuineIntel", 0xf61, 0x078bfbff, 0x80002001, 0, 0x20100800},
        {"core2duo", "GenuineIntel", 0x6fb, 0x0fcbfbff, 0x80002209, 0, 0x20100800},
        {"Penryn", "GenuineIntel", 0x10673, 0x078bfbff, 0x80082201, 0, 0x20100800},
        {"Nehalem", "GenuineIntel", 0x106a3, 0x078bfbff, 0x80982201, 0, 0x20100800},
        {"Westmere", "GenuineIntel", 0x206c1, 0x078bfbff, 0x82982203, 0, 0x20100800},
        {"SandyBridge", "GenuineIntel", 0x206a1, 0x078bfbff, 0x97b82203, 0, 0x28100800},
        {"Haswell", "GenuineIntel", 0x306c4, 0x078bfbff, 0xf7fa3203, 0x00000fb9, 0x28100800},
        {"Haswell-noTSX", "GenuineIntel", 0x306c1, 0x078bfbff, 0xf7fa3203, 0x000007a9, 0x28100800},
        {"Broadwell", "GenuineIntel", 0x306d2, 0x078bfbff, 0xf7fa3203, 0x001c0fb9, 0x28100800},
        {"Skylake-Server", "GenuineIntel", 0x50654, 0x078bfbff, 0xf7fa3203, 0xd19f0fb9, 0x2c100800},
        {"Opteron_G3", "AuthenticAMD", 0x100f23, 0x078bfbff, 0x80802009, 0, 0x28100800},
        {"EPYC", "AuthenticAMD", 0x800f12, 0x078bfbff, 0xf6d8320b, 0x209c01a9, 0x2e500800},
        {"EPYC-Milan", "AuthenticAMD", 0xa00f11, 0x078bfbff, 0xf6da320b, 0x219c07a9, 0x2e500800},
    };
    ModelEnv env = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        CpuModel *m = model_or_fail(known[i].name, &env);
        ck_assert_str_eq(m->vendor, known[i].vendor);
        ck_assert_msg(model_signature(m) == known[i].signature, "%s: %x", known[i].name,
                      model_signature(m));
        ck_assert_msg(m->words[WORD_1_EDX] == known[i].edx1, "%s 1.EDX %x", known[i].name,
                      m->words[WORD_1_EDX]);
        ck_assert_msg(m->words[WORD_1_ECX] == known[i].ecx1, "%s 1.ECX %x", known[i].name,
                      m->words[WORD_1_ECX]);
        ck_assert_msg(m->words[WORD_7_0_EBX] == known[i].ebx7, "%s 7.EBX %x", known[i].name,
                      m->words[WORD_7_0_EBX]);
        ck_assert_msg(m->words[WORD_8000_0001_EDX] == known[i].edx8, "%s 80000001.EDX %x",
                      known[i].name, m->words[WORD_8000_0001_EDX]);
        model_free(m);
    }
}
END_TEST

START_TEST(test_versions)
{
    ModelEnv env = {0};
    CpuModel *v1 = model_or_fail("Haswell-v1", &env), *plain = model_or_fail("Haswell", &env);
    CpuModel *v4 = model_or_fail("Haswell-v4", &env),
             *alias = model_or_fail("Haswell-noTSX-IBRS", &env);
    ck_assert_mem_eq(v1->words, plain->words, sizeof(v1->words));
    ck_assert_mem_eq(v4->words, alias->words, sizeof(v4->words));
    ck_assert(model_has(v1, FEATURE_RTM) && !model_has(v4, FEATURE_RTM) &&
              model_has(v4, FEATURE_SPEC_CTRL));
    ck_assert_str_eq(alias->model_id, "Intel Core Processor (Haswell, no TSX, IBRS)");
    ck_assert_str_eq(alias->type_name, "Haswell-noTSX-IBRS-x86_64-cpu");
    model_free(v1);
    model_free(plain);
    model_free(v4);
    model_free(alias);
    ck_assert_str_eq(failure("Haswell-v5", &env), "unable to find CPU model 'Haswell-v5'");
    ck_assert_str_eq(failure("Haswell-v", &env), "unable to find CPU model 'Haswell-v'");
}
END_TEST

START_TEST(test_properties)
{
    ModelEnv env = {.topology = {1, 1, 1, 1}};
    CpuModel *m = model_or_fail(
        "qemu64,+avx,-sse2,x2apic=on,cx16=off,popcnt,level=11,xlevel=0x80000004,family=6,"
        "model=0x2a,stepping=7,vendor=GenuineIntel,model-id=Some CPU,phys-bits=36,"
        "tsc-frequency=2.5G,l3-cache=off,hv-vendor-id=abc",
        &env);
    ck_assert(model_has(m, FEATURE_AVX) && model_has(m, FEATURE_X2APIC) &&
              model_has(m, FEATURE(WORD_1_ECX, 23)));
    ck_assert(!model_has(m, FEATURE(WORD_1_EDX, 26)) && !model_has(m, FEATURE(WORD_1_ECX, 13)));
    ck_assert_uint_eq(m->level, 11);
    ck_assert_uint_eq(m->xlevel, 0x80000004);
    ck_assert_uint_eq(model_signature(m), 0x206a7);
    ck_assert_str_eq(m->vendor, "GenuineIntel");
    ck_assert_str_eq(m->model_id, "Some CPU");
    ck_assert_uint_eq(m->phys_bits, 36);
    ck_assert_int_eq(m->tsc_frequency, 2500000000);
    ck_assert(!m->l3_cache);
    model_free(m);
    m = model_or_fail("qemu64,+sse3,-sse3,avx=off,+avx", &env); /* -x beats +x, both beat x= */
    ck_assert(!model_has(m, FEATURE(WORD_1_ECX, 0)) && model_has(m, FEATURE_AVX));
    model_free(m);
    m = model_or_fail("base", &env);
    ck_assert_uint_eq(m->words[WORD_1_EDX] | m->words[WORD_1_ECX], 0);
    model_free(m);
}
END_TEST

START_TEST(test_bad_properties)
{
    ModelEnv env = {0};
    ck_assert_str_eq(failure("foo", &env), "unable to find CPU model 'foo'");
    ck_assert_str_eq(failure("", &env), "unable to find CPU model ''");
    ck_assert_str_eq(failure("qemu64,foo=on", &env), "Property 'qemu64-x86_64-cpu.foo' not found");
    ck_assert_str_eq(failure("qemu64,+foo", &env), "Property 'qemu64-x86_64-cpu.foo' not found");
    ck_assert_str_eq(failure("qemu64,foo", &env), "Property 'qemu64-x86_64-cpu.foo' not found");
    ck_assert_str_eq(failure("qemu64,=5", &env), "Property 'qemu64-x86_64-cpu.' not found");
    ck_assert_str_eq(failure("qemu64,", &env), "Property 'qemu64-x86_64-cpu.' not found");
    ck_assert_str_eq(failure("qemu64,level=xyz", &env), "Parameter 'level' expects uint32");
    ck_assert_str_eq(failure("qemu64,level=-1", &env), "Parameter 'level' expects uint32");
    ck_assert_str_eq(failure("qemu64,level=500000000000", &env),
                     "Parameter 'level' expects uint32");
    ck_assert_str_eq(failure("qemu64,avx=maybe", &env), "Parameter 'avx' expects 'on' or 'off'");
    ck_assert_str_eq(failure("qemu64,family=9999", &env),
                     "Property .family doesn't take value 9999 (minimum: 0, maximum: 270)");
    ck_assert_str_eq(failure("qemu64,phys-bits=99", &env),
                     "phys-bits should be between 32 and 52  (but is 99)");
    ck_assert_ptr_nonnull(strstr(failure("qemu64,vendor=abc", &env), "doesn't take value 'abc'"));
    ck_assert_str_eq(failure("qemu64,tsc-frequency=1Q", &env),
                     "Parameter 'tsc-frequency' expects int64");
    ck_assert_str_eq(failure("host", &env), "CPU model 'host' requires KVM");
}
END_TEST

/* The same host, but the interrupt chips are not the kernel's. */
static uint64_t host_without_apic(uint32_t leaf, uint32_t subleaf, int reg)
{
    uint64_t v = host(leaf, subleaf, reg);
    if (leaf == 1 && reg == 2) {
        return v & ~(1u << 21);
    }
    return leaf == 0x40000001 && reg == 0 ? v & ~(1u << 6) : v;
}

START_TEST(test_filter)
{
    warnings = g_string_new(NULL);
    ModelEnv env = {.supported = host, .kvm = true, .phys_bits = 39, .warn = collect};
    CpuModel *m = model_or_fail("Westmere", &env);
    ck_assert_str_eq(warnings->str,
                     "host doesn't support requested feature: CPUID.01H:ECX.aes [bit 25]\n"
                     "host doesn't support requested feature: CPUID.06H:EAX.arat [bit 2]\n");
    ck_assert(!model_has(m, FEATURE(WORD_1_ECX, 25)));
    ck_assert(model_has(m, FEATURE_KVM_CLOCK) && model_has(m, FEATURE_KVM_CLOCK_OLD));
    ck_assert(model_has(m, FEATURE_X2APIC) && model_has(m, FEATURE_HYPERVISOR));
    ck_assert_uint_eq(m->phys_bits, 40);
    model_free(m);
    g_string_truncate(warnings, 0);
    m = model_or_fail("Westmere,check=off,kvm=off,host-phys-bits=on", &env);
    ck_assert_str_eq(warnings->str, "");
    ck_assert_uint_eq(m->words[WORD_KVM], 0);
    ck_assert_uint_eq(m->phys_bits, 39);
    model_free(m);
    m = model_or_fail("Westmere,-aes,arat=off,enforce", &env);
    ck_assert_str_eq(warnings->str, "");
    model_free(m);
    ck_assert_str_eq(failure("Nehalem,+vmx,enforce", &env),
                     "Host doesn't support requested features");
    ck_assert_str_eq(warnings->str,
                     "host doesn't support requested feature: CPUID.01H:ECX.vmx [bit 5]\n");
    /* Where the interrupt chips are ours, what only the default asked for goes without a word. */
    g_string_truncate(warnings, 0);
    env.supported = host_without_apic;
    m = model_or_fail("Nehalem", &env);
    ck_assert_str_eq(warnings->str, "");
    ck_assert(!model_has(m, FEATURE_X2APIC) && !model_has(m, FEATURE_KVM_PV_EOI));
    ck_assert(model_has(m, FEATURE_KVM_CLOCK));
    model_free(m);
    m = model_or_fail("Nehalem,+x2apic", &env);
    ck_assert_str_eq(warnings->str,
                     "host doesn't support requested feature: CPUID.01H:ECX.x2apic [bit 21]\n");
    model_free(m);
    env.supported = host;
    env.kvm = false;
    g_string_truncate(warnings, 0);
    ck_assert_str_eq(failure("Nehalem,+avx,enforce", &env),
                     "TCG doesn't support requested features");
    ck_assert_str_eq(warnings->str,
                     "TCG doesn't support requested feature: CPUID.01H:ECX.avx [bit 28]\n");
    g_string_free(warnings, true);
}
END_TEST

START_TEST(test_host)
{
    ModelEnv env = {.supported = host, .kvm = true, .phys_bits = 39};
    CpuModel *m = model_or_fail("host,-sse4.2", &env);
    ck_assert_uint_eq(m->words[WORD_1_EDX], 0x0f8bfbff & ~(1u << 28));
    ck_assert_uint_eq(m->words[WORD_1_ECX], 0x80a82203);
    ck_assert_uint_eq(m->words[WORD_KVM], 0x0100007b);
    ck_assert_str_eq(m->vendor, "GenuineIntel");
    ck_assert_uint_eq(model_signature(m), 0x206c1);
    ck_assert_str_eq(m->model_id, "Test");
    ck_assert_uint_eq(m->phys_bits, 39);
    ck_assert_uint_eq(m->level, 0xb);
    model_free(m);
}
END_TEST

START_TEST(test_derived)
{
    ModelEnv env = {0};
    CpuModel *m = model_or_fail("Skylake-Server", &env);
    ck_assert_uint_eq(model_xcr0(m), 0x2e7);
    ck_assert_uint_eq(m->level, 0xd);
    ck_assert(model_cr4(m) & CR4_SMAP && model_cr4(m) & CR4_PKE && !(model_cr4(m) & CR4_LA57));
    ck_assert_uint_eq(model_efer(m), EFER_SCE | EFER_LME | EFER_NXE);
    model_free(m);
    m = model_or_fail("Skylake-Server,-xsave", &env);
    ck_assert_uint_eq(model_xcr0(m) | m->words[WORD_XSAVE], 0);
    model_free(m);
    m = model_or_fail("qemu64,-svm,+npt,+smep", &env);
    ck_assert_uint_eq(m->words[WORD_SVM], 0); /* nothing without svm */
    model_free(m);
    m = model_or_fail("pentium3,+smep", &env);
    ck_assert_uint_eq(m->level, 7); /* so that the guest can see it */
    ck_assert_uint_eq(m->phys_bits, 36);
    model_free(m);
    m = model_or_fail("phenom,+xsaveopt", &env);
    ck_assert_uint_eq(m->level, 0xd); /* even though it cannot be had without xsave */
    model_free(m);
    m = model_or_fail("athlon,svm=on", &env);
    ck_assert_uint_eq(m->xlevel, 0x8000000a);
    model_free(m);
    m = model_or_fail("486", &env);
    ck_assert_uint_eq(m->phys_bits, 32);
    model_free(m);
}
END_TEST

START_TEST(test_lists)
{
    g_autofree char *help = model_help();
    ck_assert(g_str_has_prefix(help, "Available CPUs:\nx86 486 "));
    ck_assert_ptr_nonnull(strstr(help, "\nx86 Nehalem-IBRS          (alias of Nehalem-v2)\n"));
    ck_assert_ptr_nonnull(
        strstr(help, "\nx86 Nehalem-v1            Intel Core i7 9xx (Nehalem Class Core i7)\n"));
    ck_assert_ptr_nonnull(strstr(help, "\nRecognized CPUID flags:\n  3dnow 3dnowext "));
    ModelEnv env = {.supported = host, .kvm = true};
    g_autoptr(GPtrArray) list = model_list(&env);
    bool nehalem = false, westmere = false;
    for (guint i = 0; i < list->len; i++) {
        const ModelInfo *m = list->pdata[i];
        if (!strcmp(m->name, "Nehalem")) {
            nehalem = true;
            ck_assert_str_eq(m->alias_of, "Nehalem-v1");
            ck_assert_str_eq(m->type_name, "Nehalem-x86_64-cpu");
            ck_assert(m->migration_safe && !m->is_static);
            ck_assert_ptr_null(m->unavailable[0]);
        } else if (!strcmp(m->name, "Westmere-v1")) {
            westmere = true;
            ck_assert_ptr_null(m->alias_of);
            ck_assert_str_eq(m->unavailable[0], "aes");
            ck_assert_str_eq(m->unavailable[1], "arat");
        } else if (!strcmp(m->name, "host")) {
            ck_assert(!m->migration_safe);
        }
    }
    ck_assert(nehalem && westmere);
    ck_assert_uint_gt(list->len, 120);
}
END_TEST

START_TEST(test_hyperv)
{
    ModelEnv env = {.kvm = true};
    CpuModel *m = model_or_fail(
        "Nehalem,hv-relaxed,hv_vapic,hv-time=on,hv-spinlocks=0x1fff,hv-vendor-id=KVM Hv", &env);
    uint32_t r[4];
    model_cpuid(m, NULL, 0x40000000, 0, r);
    ck_assert_uint_eq(r[0], 0x40000005);
    ck_assert_mem_eq(&r[1], "KVM Hv\0\0\0\0\0\0", 12);
    model_cpuid(m, NULL, 0x40000001, 0, r);
    ck_assert_uint_eq(r[0], 0x31237648);
    model_cpuid(m, NULL, 0x40000003, 0, r);
    ck_assert_uint_eq(r[0], 1 << 1 | 1 << 4 | 1 << 5 | 1 << 9);
    model_cpuid(m, NULL, 0x40000004, 0, r);
    ck_assert_uint_eq(r[0], 1 << 3 | 1 << 5);
    ck_assert_uint_eq(r[1], 0x1fff);
    model_cpuid(m, NULL, 0x40000100, 0, r);
    ck_assert_uint_eq(r[0], 0x40000101);
    ck_assert_mem_eq(&r[1], "KVMKVMKVM\0\0\0", 12);
    model_free(m);
    ck_assert_str_eq(failure("Nehalem,hv-stimer", &env),
                     "CPU property 'hv-stimer' needs 'hv-synic' as well");
}
END_TEST

SUITE("cpu models", test_names, test_documented, test_versions, test_properties,
      test_bad_properties, test_filter, test_host, test_derived, test_lists, test_hyperv)
