/* IA-PC HPET specification 1.0a: counter, one-shot and periodic timers, edge and level, 32 bits,
 * legacy routing, FSB. */
#include "hw/timer/hpet.h"

#include "tests/hw/bench.h"

extern const DeviceClass hpet_class;
enum {
    CAP = 0,
    CONFIG = 0x10,
    STATUS = 0x20,
    COUNTER = 0xf0,
    TN = 0x100,
    TN_CONFIG = 0,
    TN_ROUTES = 4,
    TN_VALUE = 8,
    TN_FSB = 0x10
};
enum { LEVEL = 2, ENABLE = 4, PERIODIC = 8, SET = 0x40, NARROW = 0x100, FSB = 0x4000 };

static Device *hpet;

static uint64_t get64(unsigned at)
{
    return device_read(hpet, 0, at, 8);
}
static void set64(unsigned at, uint64_t v)
{
    device_write(hpet, 0, at, 8, v);
}
static unsigned tn(unsigned i, unsigned reg)
{
    return TN + 0x20 * i + reg;
}
static unsigned route(unsigned n)
{
    return n << 9;
}

START_TEST(capabilities)
{
    HpetFw fw;
    hpet = bench_device(&hpet_class, "hpet-intcap=0xff0104");
    ck_assert_uint_eq(get64(CAP), UINT64_C(0x009896808086a201));
    ck_assert_uint_eq(get64(tn(0, TN_CONFIG)), UINT64_C(0x00ff010400000030));
    ck_assert_uint_eq(in32(hpet, tn(2, TN_ROUTES)), 0xff0104);
    ck_assert_uint_eq(get64(tn(2, TN_VALUE)), UINT64_MAX);
    ck_assert_uint_eq(get64(tn(3, TN_VALUE)), 0); /* does not exist */
    out32(hpet, tn(0, TN_CONFIG), 0xffffffff);
    ck_assert_uint_eq(in32(hpet, tn(0, TN_CONFIG)) & FSB, 0);
    hpet_describe(hpet, 0xfed00000, &fw);
    ck_assert_uint_eq(fw.event_timer_block_id, 0x8086a201);
    ck_assert_uint_eq(sizeof(fw), 15);
    hpet = bench_device(&hpet_class, "timers=32,msi=on");
    ck_assert_uint_eq(get64(CAP) >> 8 & 31, 31);
    out32(hpet, tn(31, TN_CONFIG), FSB);
    ck_assert_uint_eq(in32(hpet, tn(31, TN_CONFIG)) & 0xc000, 0xc000);
    GError *error = NULL;
    Device *bad = device_new(&hpet_class, NULL);
    ck_assert(device_set(bad, "timers", "2", NULL));
    ck_assert(!device_realize(bad, NULL, &error));
    ck_assert_ptr_nonnull(error);
    g_error_free(error);
    device_free(bad);
}
END_TEST

START_TEST(counting)
{
    hpet = bench_device(&hpet_class, "");
    bench_advance(1000);
    ck_assert_uint_eq(get64(COUNTER), 0);
    set64(COUNTER, UINT64_C(0x1fffffff0));
    out32(hpet, CONFIG, 1);
    bench_advance(1005);
    ck_assert_uint_eq(get64(COUNTER), UINT64_C(0x1fffffff0) + 100);
    ck_assert_uint_eq(in32(hpet, COUNTER + 4), 2);
    set64(COUNTER, 5); /* not while it runs */
    ck_assert_uint_eq(in32(hpet, COUNTER + 4), 2);
    out32(hpet, CONFIG, 0);
    bench_advance(1000);
    ck_assert_uint_eq(get64(COUNTER), UINT64_C(0x1fffffff0) + 100);
    out32(hpet, COUNTER, 7);
    ck_assert_uint_eq(get64(COUNTER), UINT64_C(0x200000007));
}
END_TEST

START_TEST(one_shot_edge)
{
    hpet = bench_device(&hpet_class, "hpet-intcap=0x00f00000");
    Probe *p = bench_probe(hpet, "irq", 20);
    out32(hpet, CONFIG, 1);
    out32(hpet, tn(1, TN_CONFIG), ENABLE | route(20));
    set64(tn(1, TN_VALUE), 1000);
    bench_advance(9990);
    ck_assert_uint_eq(p->rises, 0);
    bench_advance(10);
    ck_assert_uint_eq(p->rises, 1);
    ck_assert_uint_eq(in32(hpet, STATUS), 0);
    set64(tn(1, TN_VALUE), 2000);
    bench_advance(20000);
    ck_assert_uint_eq(p->rises, 2); /* a new edge */
    bench_advance(60 * NS_PER_SECOND);
    ck_assert_uint_eq(p->rises, 2);
    set64(tn(1, TN_VALUE), get64(COUNTER) + 100);
    out32(hpet, tn(1, TN_CONFIG), route(20)); /* disabled */
    bench_advance(NS_PER_SECOND);
    ck_assert_uint_eq(p->rises, 2);
}
END_TEST

START_TEST(level)
{
    hpet = bench_device(&hpet_class, "hpet-intcap=0x00f00000");
    Probe *p = bench_probe(hpet, "irq", 21);
    out32(hpet, CONFIG, 1);
    out32(hpet, tn(2, TN_CONFIG), ENABLE | LEVEL | route(21));
    set64(tn(2, TN_VALUE), 1000);
    bench_advance(10000);
    ck_assert(p->level);
    ck_assert_uint_eq(in32(hpet, STATUS), 4);
    out32(hpet, STATUS, 3);
    ck_assert(p->level);
    out32(hpet, STATUS, 4);
    ck_assert(!p->level);
    ck_assert_uint_eq(in32(hpet, STATUS), 0);
}
END_TEST

START_TEST(periodic)
{
    hpet = bench_device(&hpet_class, "");
    Probe *p = bench_probe(hpet, "irq", 2);
    out32(hpet, tn(0, TN_CONFIG), ENABLE | PERIODIC | SET | NARROW | route(2));
    out32(hpet, tn(0, TN_VALUE), 50000); /* first match */
    ck_assert_uint_eq(in32(hpet, tn(0, TN_CONFIG)) & SET, 0);
    out32(hpet, tn(0, TN_VALUE), 100000); /* then each ms */
    ck_assert_uint_eq(in32(hpet, tn(0, TN_VALUE)), 50000);
    out32(hpet, CONFIG, 1);
    bench_advance(500 * NS_PER_US);
    ck_assert_uint_eq(p->rises, 1);
    ck_assert_uint_eq(in32(hpet, tn(0, TN_VALUE)), 150000);
    bench_advance(100 * NS_PER_MS);
    ck_assert_uint_eq(p->rises, 101);
    bench_advance(50 * NS_PER_SECOND); /* across the wrap of 32 bits */
    ck_assert_uint_eq(p->rises, 50101);
    out32(hpet, CONFIG, 0);
    bench_advance(NS_PER_SECOND);
    ck_assert_uint_eq(p->rises, 50101);
}
END_TEST

START_TEST(periodic_64)
{
    hpet = bench_device(&hpet_class, "");
    Probe *p = bench_probe(hpet, "irq", 2);
    set64(COUNTER, UINT64_C(0x500000000));
    out32(hpet, CONFIG, 1);
    out32(hpet, tn(0, TN_CONFIG), ENABLE | PERIODIC | SET | route(2));
    set64(tn(0, TN_VALUE), UINT64_C(0x500000000) + 1000); /* both halves with one VAL_SET */
    set64(tn(0, TN_VALUE), 2000);
    bench_advance(10000);
    ck_assert_uint_eq(p->rises, 1);
    bench_advance(200000);
    ck_assert_uint_eq(p->rises, 11);
    ck_assert_uint_eq(get64(tn(0, TN_VALUE)), UINT64_C(0x500000000) + 1000 + 11 * 2000);
}
END_TEST

START_TEST(narrow_wraps)
{
    hpet = bench_device(&hpet_class, "");
    Probe *p = bench_probe(hpet, "irq", 2);
    set64(COUNTER, UINT64_C(0x1ffffff00));
    out32(hpet, CONFIG, 1);
    out32(hpet, tn(0, TN_CONFIG), ENABLE | NARROW | route(2));
    out32(hpet, tn(0, TN_VALUE), 0x100);
    bench_advance(0x200 * 10);
    ck_assert_uint_eq(p->rises, 1);
    bench_advance((INT64_C(1) << 32) * 10);
    ck_assert_uint_eq(p->rises, 2);
}
END_TEST

START_TEST(legacy_replacement)
{
    hpet = bench_device(&hpet_class, "");
    Probe *irq0 = bench_probe(hpet, "legacy", 0), *irq8 = bench_probe(hpet, "legacy", 1);
    Probe *on = bench_probe(hpet, "leg_rt", 0);
    out32(hpet, tn(0, TN_CONFIG), ENABLE | PERIODIC | SET);
    set64(tn(0, TN_VALUE), 100000);
    set64(tn(0, TN_VALUE), 100000);
    out32(hpet, tn(1, TN_CONFIG), ENABLE);
    set64(tn(1, TN_VALUE), 30000);
    ck_assert(!on->level);
    out32(hpet, CONFIG, 3);
    ck_assert(on->level);
    bench_advance(10 * NS_PER_MS);
    ck_assert_uint_eq(irq0->rises, 10);
    ck_assert_uint_eq(irq8->rises, 1);
    out32(hpet, CONFIG, 1);
    ck_assert(!on->level && !irq0->level);
}
END_TEST

static uint64_t address;
static uint32_t message;
static unsigned messages;
static void receive(void *sink, uint64_t at, uint32_t data)
{
    address = at;
    message = data;
    messages++;
}

START_TEST(fsb)
{
    hpet = bench_device(&hpet_class, "msi=on");
    hpet_connect(hpet, receive, NULL);
    out32(hpet, CONFIG, 1);
    set64(tn(1, TN_FSB), UINT64_C(0xfee0100000004042));
    out32(hpet, tn(1, TN_CONFIG), ENABLE | FSB);
    set64(tn(1, TN_VALUE), 1000);
    bench_advance(10000);
    ck_assert_uint_eq(messages, 1);
    ck_assert_uint_eq(address, 0xfee01000);
    ck_assert_uint_eq(message, 0x4042);
    in32(hpet, STATUS);
    ck_assert_uint_eq(messages, 1);
}
END_TEST

START_TEST(hostile_rate)
{
    hpet = bench_device(&hpet_class, "");
    Probe *p = bench_probe(hpet, "irq", 2);
    out32(hpet, CONFIG, 1);
    out32(hpet, tn(0, TN_CONFIG), ENABLE | PERIODIC | SET | route(2));
    set64(tn(0, TN_VALUE), 1);
    set64(tn(0, TN_VALUE), 1);
    bench_advance(NS_PER_SECOND);
    ck_assert_uint_le(p->rises, 60000);
}
END_TEST

BENCH_MAIN("hpet", CASE(capabilities), CASE(counting), CASE(one_shot_edge), CASE(level),
           CASE(periodic), CASE(periodic_64), CASE(narrow_wraps), CASE(legacy_replacement),
           CASE(fsb), CASE(hostile_rate))
