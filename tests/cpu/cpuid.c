#include "tests/cpu/cpu-test.h"

static uint32_t r[4];

START_TEST(test_basic)
{
    ModelEnv env = {0};
    CpuModel *m = model_or_fail("Nehalem", &env);
    Cpu *c = cpu_new(m, 5, NULL);
    model_cpuid(m, c, 0, 0, r);
    ck_assert_uint_eq(r[0], 0xb);
    ck_assert_mem_eq(&r[1], "Genu", 4);
    ck_assert_mem_eq(&r[3], "ineI", 4);
    ck_assert_mem_eq(&r[2], "ntel", 4);
    model_cpuid(m, c, 1, 0, r);
    ck_assert_uint_eq(r[0], 0x106a3);
    ck_assert_uint_eq(r[1], 0x05000800);
    ck_assert(r[3] & 1 << 9);
    c->state.msr.apic_base &= ~UINT64_C(0x800);
    model_cpuid(m, c, 1, 0, r);
    ck_assert(!(r[3] & 1 << 9));
    model_cpuid(m, c, 2, 0, r);
    ck_assert_uint_eq(r[0] & 0xff, 1);
    char brand[49] = "";
    for (unsigned i = 0; i < 3; i++) {
        model_cpuid(m, c, 0x80000002 + i, 0, r);
        memcpy(brand + 16 * i, r, 16);
    }
    ck_assert_str_eq(brand, "Intel Core i7 9xx (Nehalem Class Core i7)");
    model_cpuid(m, c, 0x80000008, 0, r);
    ck_assert_uint_eq(r[0], 0x3028);
    cpu_free_all();
    model_free(m);
}
END_TEST

/* SDM vol 2: a leaf beyond the last gives the last basic leaf; AMD gives zeros. */
START_TEST(test_out_of_range)
{
    ModelEnv env = {.kvm = true};
    uint32_t last[4];
    CpuModel *m = model_or_fail("Nehalem,level=1,kvm=off", &env);
    model_cpuid(m, NULL, 1, 0, last);
    static const uint32_t beyond[] = {2,          0x1000,     0x40000000, 0x7fffffff,
                                      0x80000009, 0xc0000000, UINT32_MAX};
    for (size_t i = 0; i < G_N_ELEMENTS(beyond); i++) {
        model_cpuid(m, NULL, beyond[i], 0, r);
        ck_assert_msg(!memcmp(r, last, sizeof(r)), "%x", beyond[i]);
    }
    model_free(m);
    m = model_or_fail("EPYC", &env);
    model_cpuid(m, NULL, 0x1000, 0, r);
    ck_assert_uint_eq(r[0] | r[1] | r[2] | r[3], 0);
    model_free(m);
}
END_TEST

START_TEST(test_dynamic)
{
    ModelEnv env = {0};
    CpuModel *m = model_or_fail("Skylake-Server", &env);
    Cpu *c = cpu_new(m, 0, NULL);
    model_cpuid(m, c, 1, 0, r);
    ck_assert(!(r[2] & 1u << 27));
    model_cpuid(m, c, 7, 0, r);
    ck_assert_uint_eq(r[2] & 0x18, 8);
    c->state.cr4 |= CR4_OSXSAVE | CR4_PKE;
    c->state.xcr0 = 7;
    model_cpuid(m, c, 1, 0, r);
    ck_assert(r[2] & 1u << 27);
    model_cpuid(m, c, 7, 0, r);
    ck_assert_uint_eq(r[2] & 0x18, 0x18);
    cpu_free_all();
    model_free(m);
}
END_TEST

START_TEST(test_xsave)
{
    ModelEnv env = {0};
    CpuModel *m = model_or_fail("Skylake-Server", &env);
    Cpu *c = cpu_new(m, 0, NULL);
    model_cpuid(m, c, 0xd, 0, r);
    ck_assert_uint_eq(r[0], 0x2e7);
    ck_assert_uint_eq(r[1], 576);
    ck_assert_uint_eq(r[2], 2696);
    c->state.xcr0 = 7;
    model_cpuid(m, c, 0xd, 0, r);
    ck_assert_uint_eq(r[1], 832);
    c->state.xcr0 = 0xe7;
    model_cpuid(m, c, 0xd, 0, r);
    ck_assert_uint_eq(r[1], 2688);
    model_cpuid(m, c, 0xd, 1, r);
    ck_assert_uint_eq(r[0], 7);
    ck_assert_uint_eq(r[1], 576 + 256 + 64 + 512 + 1024); /* compacted */
    model_cpuid(m, c, 0xd, 2, r);
    ck_assert_uint_eq(r[0], 256);
    ck_assert_uint_eq(r[1], 576);
    model_cpuid(m, c, 0xd, 9, r);
    ck_assert_uint_eq(r[1], 2688);
    model_cpuid(m, c, 0xd, 3, r); /* no MPX */
    ck_assert_uint_eq(r[0] | r[1], 0);
    model_cpuid(m, c, 0xd, 64, r);
    ck_assert_uint_eq(r[0] | r[1], 0);
    cpu_free_all();
    model_free(m);
    m = model_or_fail("Westmere,level=0xd", &env);
    model_cpuid(m, NULL, 0xd, 0, r);
    ck_assert_uint_eq(r[0] | r[1] | r[2] | r[3], 0);
    model_free(m);
}
END_TEST

START_TEST(test_apic_ids)
{
    Topology t = {2, 1, 3, 2};
    static const uint32_t ids[] = {0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13};
    ck_assert_uint_eq(topology_cpus(&t), 12);
    for (unsigned i = 0; i < 12; i++) {
        ck_assert_uint_eq(topology_apic_id(&t, i), ids[i]);
    }
    Topology dies = {2, 2, 2, 1};
    ck_assert_uint_eq(topology_apic_id(&dies, 3), 3);
    ck_assert_uint_eq(topology_apic_id(&dies, 4), 4);
    ck_assert_uint_eq(topology_package_shift(&dies), 2);
    Topology one = {1, 1, 1, 1};
    ck_assert_uint_eq(topology_package_shift(&one), 0);
}
END_TEST

START_TEST(test_topology_intel)
{
    ModelEnv env = {.topology = {2, 1, 3, 2}};
    CpuModel *m = model_or_fail("Haswell", &env);
    Cpu *c = cpu_new(m, 11, NULL);
    model_cpuid(m, c, 1, 0, r);
    ck_assert_uint_eq(r[1] >> 16, 0x0b06);
    ck_assert(r[3] & 1u << 28);
    model_cpuid(m, c, 4, 0, r);
    ck_assert_uint_eq(r[0], 0x0c004121);
    model_cpuid(m, c, 4, 3, r);
    ck_assert_uint_eq(r[0] >> 14 & 0xfff, 7);
    ck_assert_uint_eq(r[2], 16383);
    model_cpuid(m, c, 4, 4, r);
    ck_assert_uint_eq(r[0], 0);
    model_cpuid(m, c, 0xb, 0, r);
    ck_assert_uint_eq(r[0], 1);
    ck_assert_uint_eq(r[1], 2);
    ck_assert_uint_eq(r[2], 0x100);
    ck_assert_uint_eq(r[3], 11);
    model_cpuid(m, c, 0xb, 1, r);
    ck_assert_uint_eq(r[0], 3);
    ck_assert_uint_eq(r[1], 6);
    ck_assert_uint_eq(r[2], 0x201);
    model_cpuid(m, c, 0xb, 2, r);
    ck_assert_uint_eq(r[0] | r[1], 0);
    ck_assert_uint_eq(r[2], 2);
    cpu_free_all();
    model_free(m);
    env.topology = (Topology){1, 2, 4, 2};
    m = model_or_fail("Haswell", &env);
    ck_assert_uint_eq(m->level, 0x1f);
    model_cpuid(m, NULL, 0x1f, 1, r);
    ck_assert_uint_eq(r[0], 3);
    ck_assert_uint_eq(r[1], 8);
    model_cpuid(m, NULL, 0x1f, 2, r);
    ck_assert_uint_eq(r[0], 4);
    ck_assert_uint_eq(r[1], 16);
    ck_assert_uint_eq(r[2], 0x502);
    model_free(m);
}
END_TEST

START_TEST(test_topology_amd)
{
    ModelEnv env = {.topology = {1, 1, 4, 2}};
    CpuModel *m = model_or_fail("EPYC", &env);
    Cpu *c = cpu_new(m, 5, NULL);
    model_cpuid(m, c, 4, 0, r);
    ck_assert_uint_eq(r[0] | r[1] | r[2] | r[3], 0);
    model_cpuid(m, c, 0x80000001, 0, r);
    ck_assert_uint_eq(r[0], 0x800f12);
    ck_assert(r[2] & 2); /* CmpLegacy */
    ck_assert_uint_eq(r[3] & 0x0183f3ff, 0x0183f3ff);
    model_cpuid(m, c, 0x80000005, 0, r);
    ck_assert_uint_eq(r[2], 0x20080140);
    ck_assert_uint_eq(r[3], 0x40040140);
    model_cpuid(m, c, 0x80000006, 0, r);
    ck_assert_uint_eq(r[2], 0x02006140);
    ck_assert_uint_eq(r[3], 0x00408140);
    model_cpuid(m, c, 0x80000008, 0, r);
    ck_assert_uint_eq(r[2], 0x3007);
    model_cpuid(m, c, 0x8000001d, 3, r);
    ck_assert_uint_eq(r[0], 0x163 | 7 << 14);
    ck_assert_uint_eq(r[2], 8191);
    model_cpuid(m, c, 0x8000001e, 0, r);
    ck_assert_uint_eq(r[0], 5);
    ck_assert_uint_eq(r[1], 0x102);
    ck_assert_uint_eq(r[2], 0);
    cpu_free_all();
    model_free(m);
}
END_TEST

/* ---- Every CPU of a machine, as systems find out where it sits ---- */

typedef struct Seat {
    unsigned package, die, core, thread;
} Seat;

/* CPU n of the board, by counting (threads first). */
static Seat expected_seat(const Topology *t, unsigned n)
{
    return (Seat){.thread = n % t->threads,
                  .core = n / t->threads % t->cores,
                  .die = n / t->threads / t->cores % t->dies,
                  .package = n / t->threads / t->cores / t->dies};
}

static unsigned field(uint32_t id, unsigned from, unsigned to)
{
    return id >> from & ((1u << (to - from)) - 1);
}

/* By the shifts of leaf 1FH or BH (SDM vol 3 §9.9.3.1): each level's EAX[4:0] takes the ids of those below away. */
static Seat seat_by_shifts(const CpuModel *m, const Cpu *c, uint32_t leaf)
{
    enum { THREAD = 1, CORE = 2, DIE = 5 };
    unsigned shift[6] = {0};
    uint32_t id = 0;
    for (uint32_t sub = 0; sub < 4; sub++) {
        model_cpuid(m, c, leaf, sub, r);
        id = r[3];
        unsigned type = r[2] >> 8 & 0xff;
        if (!type) {
            ck_assert_uint_eq(r[0] | r[1], 0);
            break;
        }
        ck_assert(type == THREAD || type == CORE || type == DIE);
        shift[type] = r[0] & 31;
        ck_assert_uint_le(r[1], 1u << shift[type]);
    }
    ck_assert_uint_eq(id, c->apic_id);
    unsigned top = MAX(shift[CORE], shift[DIE]);
    return (Seat){.thread = field(id, 0, shift[THREAD]),
                  .core = field(id, shift[THREAD], shift[CORE]),
                  .die = field(id, shift[CORE], top),
                  .package = id >> top};
}

static unsigned width(unsigned n)
{
    unsigned bits = 0;
    while (1u << bits < n) {
        bits++;
    }
    return bits;
}

/* By leaves 1 and 4 (§9.9.3.2), for systems that know no others; ids of one byte. */
static void check_counts(const CpuModel *m, const Cpu *c, const Topology *t, const Seat *want)
{
    unsigned package = t->dies * t->cores * t->threads;
    model_cpuid(m, c, 1, 0, r);
    ck_assert_uint_eq(r[1] >> 24, c->apic_id & 0xff);
    ck_assert_uint_eq(r[3] >> 28 & 1, package > 1);
    ck_assert_uint_eq(r[1] >> 16 & 0xff, package > 1 ? MIN(package, 255) : 0);
    model_cpuid(m, c, 4, 0, r);
    unsigned cores = (r[0] >> 26) + 1, l1 = (r[0] >> 14 & 0xfff) + 1;
    ck_assert_uint_eq(cores, MIN(1u << width(t->dies) << width(t->cores), 64));
    ck_assert_uint_eq(l1, 1u << width(t->threads));
    model_cpuid(m, c, 4, 3, r);
    unsigned l3 = (r[0] >> 14 & 0xfff) + 1; /* those of a die share it */
    ck_assert_uint_eq(l3, 1u << width(t->threads) << width(t->cores));
    ck_assert_uint_eq(c->apic_id / l3, want->package << width(t->dies) | want->die);
}

/* APM vol 3 E.4.7 and E.4.15. */
static void check_amd(const CpuModel *m, const Cpu *c, const Topology *t, const Seat *want)
{
    unsigned package = t->dies * t->cores * t->threads;
    model_cpuid(m, c, 0x80000008, 0, r);
    unsigned size = r[2] >> 12 & 15;
    ck_assert_uint_eq(r[2] & 0xff, package > 1 ? MIN(package, 256) - 1 : 0);
    ck_assert_uint_eq(r[2] & 0xf00, 0);
    ck_assert_uint_eq(c->apic_id >> size, want->package);
    model_cpuid(m, c, 0x80000001, 0, r);
    ck_assert_uint_eq(r[2] >> 1 & 1, package > 1);
    model_cpuid(m, c, 0x8000001e, 0, r);
    ck_assert_uint_eq(r[0], c->apic_id);
    ck_assert_uint_eq((r[1] >> 8 & 0xff) + 1, t->threads);
    ck_assert_uint_eq((r[2] >> 8 & 7) + 1, t->dies);
    ck_assert_uint_eq(r[1] & 0xff, (c->apic_id >> width(t->threads)) & 0xff);
}

static const Topology seats[] = {
    {1, 1, 1, 1}, {4, 1, 1, 1}, {1, 1, 6, 1}, {2, 1, 2, 2}, {3, 1, 5, 2},  {1, 2, 3, 2},
    {2, 3, 3, 1}, {1, 4, 4, 2}, {1, 1, 1, 2}, {5, 2, 1, 1}, {2, 1, 64, 2}, {1, 1, 288, 1},
};

static void check_seats(const Topology *t)
{
    ModelEnv env = {.topology = *t};
    CpuModel *intel = model_or_fail("Skylake-Server", &env), *amd = model_or_fail("EPYC", &env);
    uint32_t last = 0;
    for (unsigned n = 0; n < topology_cpus(t); n++) {
        Seat want = expected_seat(t, n);
        Cpu *c = cpu_new(intel, topology_apic_id(t, n), NULL);
        ck_assert(!n || c->apic_id > last); /* no two alike, in the board's order */
        last = c->apic_id;
        Seat by_1f = seat_by_shifts(intel, c, t->dies > 1 ? 0x1f : 0xb);
        ck_assert_mem_eq(&by_1f, &want, sizeof(want));
        Seat by_b = seat_by_shifts(intel, c, 0xb); /* knows no dies: cores of all of them are in a row */
        ck_assert_uint_eq(by_b.package, want.package);
        ck_assert_uint_eq(by_b.thread, want.thread);
        ck_assert_uint_eq(by_b.core, want.die << width(t->cores) | want.core);
        check_counts(intel, c, t, &want);
        c->model = amd;
        check_amd(amd, c, t, &want);
        cpu_free_all();
    }
    model_free(intel);
    model_free(amd);
}

START_TEST(test_seats)
{
    for (size_t i = 0; i < G_N_ELEMENTS(seats); i++) {
        check_seats(&seats[i]);
    }
}
END_TEST

/* Messages with wide destinations are told of where IDs need them, and nowhere else. */
START_TEST(test_wide_messages)
{
    static const struct {
        const char *option;
        Topology t;
        bool wide;
    } cases[] = {
        {"max", {1, 1, 288, 1}, true},  {"max", {1, 1, 255, 1}, false}, {"max", {3, 1, 65, 1}, true},
        {"qemu64", {1, 1, 288, 1}, false}, {"max,kvm-msi-ext-dest-id=off", {1, 1, 288, 1}, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        ModelEnv env = {.topology = cases[i].t};
        CpuModel *m = model_or_fail(cases[i].option, &env);
        model_cpuid(m, NULL, 0x40000000, 0, r);
        ck_assert_int_eq(!memcmp(&r[1], "KVMKVMKVM\0\0", 12), cases[i].wide);
        model_cpuid(m, NULL, 0x40000001, 0, r);
        ck_assert_uint_eq(r[0], cases[i].wide ? 1u << 15 : 0);
        model_free(m);
    }
}
END_TEST

START_TEST(test_list)
{
    ModelEnv env = {.kvm = true, .topology = {1, 1, 2, 2}};
    CpuModel *m = model_or_fail("max", &env);
    g_autoptr(GArray) list = model_cpuid_list(m, NULL);
    bool seen[4] = {false};
    ck_assert_uint_lt(list->len, 150);
    for (guint i = 0; i < list->len; i++) {
        const CpuidEntry *e = &g_array_index(list, CpuidEntry, i);
        model_cpuid(m, NULL, e->leaf, e->subleaf, r);
        ck_assert_mem_eq(r, e->regs, sizeof(r));
        seen[0] |= e->leaf == 0x40000001 && e->regs[0];
        seen[1] |= e->leaf == 0xd && e->subleaf == 9;
        seen[2] |= e->leaf == 7 && e->subleaf == 1;
        seen[3] |= e->leaf == 0x80000008;
        if (i) {
            const CpuidEntry *p = e - 1;
            ck_assert(p->leaf < e->leaf ||
                      (p->leaf == e->leaf && p->subleaf < e->subleaf && e->has_subleaf));
        }
    }
    ck_assert(seen[0] && seen[1] && seen[2] && seen[3]);
    model_free(m);
}
END_TEST

/* Whatever a guest asks, there is an answer. */
START_TEST(test_any_leaf)
{
    static const char *const options[] = {"486", "max", "EPYC,hv-relaxed",
                                          "base,level=0xffffffff,xlevel=0xffffffff"};
    static const uint32_t starts[] = {0,          0x3fffffe0, 0x400000e0,
                                      0x7fffffe0, 0xbfffffe0, 0xffffff80};
    ModelEnv env = {.kvm = true, .topology = {1, 1, 1, 1}};
    for (size_t o = 0; o < G_N_ELEMENTS(options); o++) {
        CpuModel *m = model_or_fail(options[o], &env);
        for (size_t i = 0; i < G_N_ELEMENTS(starts); i++) {
            for (uint32_t leaf = 0; leaf < 0x80; leaf++) {
                for (uint32_t sub = 0; sub < 70; sub += 3) {
                    model_cpuid(m, NULL, starts[i] + leaf, sub, r);
                    model_cpuid(m, NULL, starts[i] + leaf, ~sub, r);
                }
            }
        }
        g_array_unref(model_cpuid_list(m, NULL));
        model_free(m);
    }
}
END_TEST

SUITE("cpuid", test_basic, test_out_of_range, test_dynamic, test_xsave, test_apic_ids,
      test_topology_intel, test_topology_amd, test_seats, test_wide_messages, test_list, test_any_leaf)
