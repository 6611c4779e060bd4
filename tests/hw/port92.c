/* Port 92h: A20 and the fast reset. */
#include "tests/hw/bench.h"

extern const DeviceClass port92_class;

START_TEST(a20)
{
    void *dev = bench_device(&port92_class, "");
    Probe *p = bench_probe(dev, "a20", 0);
    ck_assert(!p->level);
    out8(dev, 0, 0x02);
    ck_assert(p->level);
    ck_assert_uint_eq(in8(dev, 0), 0x02);
    out8(dev, 0, 0x00);
    ck_assert(!p->level);
}
END_TEST

START_TEST(fast_reset)
{
    void *dev = bench_device(&port92_class, "");
    Probe *p = bench_probe(dev, "reset", 0);
    out8(dev, 0, 0x03);
    ck_assert_uint_eq(p->rises, 1);
    bench_advance(NS_PER_MS);
    ck_assert(!p->level); /* a pulse */
    out8(dev, 0, 0x03);   /* only a rising bit acts */
    ck_assert_uint_eq(p->rises, 1);
    out8(dev, 0, 0x02);
    out8(dev, 0, 0x03);
    ck_assert_uint_eq(p->rises, 2);
}
END_TEST

BENCH_MAIN("port92", CASE(a20), CASE(fast_reset))
