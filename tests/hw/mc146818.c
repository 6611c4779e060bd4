/* MC146818A data sheet: time and date in all formats, leap years, alarm, update, periodic
 * interrupts, SET, divider. */
#include "hw/timer/mc146818.h"

#include "tests/hw/bench.h"

extern const DeviceClass mc146818rtc_class;
enum {
    SEC,
    SEC_ALARM,
    MIN_,
    MIN_ALARM,
    HOUR,
    HOUR_ALARM,
    WDAY,
    MDAY,
    MONTH,
    YEAR,
    A,
    B,
    C,
    D,
    CENTURY = 0x32
};

static Device *rtc;

static uint8_t get(unsigned reg)
{
    return out8(rtc, 0, reg), in8(rtc, 1);
}
static void set(unsigned reg, uint8_t v)
{
    out8(rtc, 0, reg);
    out8(rtc, 1, v);
}

/* 2024-02-28 23:59:58 UTC, a Wednesday. */
#define EVE "base=1709164798"
static void setup(const char *props)
{
    rtc = bench_device(&mc146818rtc_class, props);
}
static void seconds(unsigned n)
{
    bench_advance(n * NS_PER_SECOND);
}

static void check_time(unsigned h, unsigned m, unsigned s)
{
    ck_assert_uint_eq(get(HOUR), h);
    ck_assert_uint_eq(get(MIN_), m);
    ck_assert_uint_eq(get(SEC), s);
}

static void check_date(unsigned century, unsigned year, unsigned month, unsigned day,
                       unsigned weekday)
{
    ck_assert_uint_eq(get(CENTURY), century);
    ck_assert_uint_eq(get(YEAR), year);
    ck_assert_uint_eq(get(MONTH), month);
    ck_assert_uint_eq(get(MDAY), day);
    ck_assert_uint_eq(get(WDAY), weekday);
}

START_TEST(bcd_and_leap_day)
{
    setup(EVE);
    check_time(0x23, 0x59, 0x58);
    check_date(0x20, 0x24, 0x02, 0x28, 4);
    seconds(2);
    check_time(0, 0, 0);
    check_date(0x20, 0x24, 0x02, 0x29, 5);
    seconds(86400);
    check_date(0x20, 0x24, 0x03, 0x01, 6);
    /* 2100 is no leap year, 2000 was one */
    set(B, 0x82);
    set(CENTURY, 0x21), set(YEAR, 0x00), set(MONTH, 0x02), set(MDAY, 0x28), set(WDAY, 1),
        set(HOUR, 0x23);
    set(MIN_, 0x59), set(SEC, 0x59);
    set(B, 0x02);
    seconds(1);
    check_date(0x21, 0x00, 0x03, 0x01, 2);
    set(B, 0x82);
    set(CENTURY, 0x20), set(MONTH, 0x02), set(MDAY, 0x28);
    set(B, 0x02);
    seconds(86400);
    check_date(0x20, 0x00, 0x02, 0x29, 3);
    set(MONTH, 0x12), set(MDAY, 0x31), set(YEAR, 0x99);
    seconds(86400);
    ck_assert_uint_eq(get(CENTURY), 0x21);
    ck_assert_uint_eq(get(YEAR), 0x00);
}
END_TEST

START_TEST(binary_and_12_hours)
{
    setup(EVE);
    set(B, 0x06);
    check_time(23, 59, 58);
    check_date(20, 24, 2, 28, 4);
    set(B, 0x04); /* 12 hours, binary */
    ck_assert_uint_eq(get(HOUR), 0x80 | 11);
    set(B, 0x00);
    ck_assert_uint_eq(get(HOUR), 0x91);
    seconds(2);
    ck_assert_uint_eq(get(HOUR), 0x12); /* midnight is 12 am */
    seconds(12 * 3600);
    ck_assert_uint_eq(get(HOUR), 0x92);
    set(HOUR, 0x84); /* 4 pm, while it runs */
    set(B, 0x02);
    ck_assert_uint_eq(get(HOUR), 0x16);
}
END_TEST

START_TEST(set_freezes)
{
    setup(EVE);
    bench_advance(300 * NS_PER_MS);
    set(B, 0x82);
    seconds(100);
    check_time(0x23, 0x59, 0x58);
    ck_assert_uint_eq(get(C) & 0x10, 0); /* no updates meanwhile */
    ck_assert_uint_eq(get(A) & 0x80, 0);
    set(SEC, 0x10);
    ck_assert_uint_eq(get(SEC), 0x10);
    set(B, 0x02);
    check_time(0x23, 0x59, 0x10);
    bench_advance(699 * NS_PER_MS); /* the divider went on: 300 ms were gone */
    ck_assert_uint_eq(get(SEC), 0x10);
    bench_advance(2 * NS_PER_MS);
    ck_assert_uint_eq(get(SEC), 0x11);
}
END_TEST

START_TEST(divider_reset)
{
    setup(EVE);
    bench_advance(900 * NS_PER_MS);
    set(A, 0x66); /* held */
    seconds(5);
    ck_assert_uint_eq(get(SEC), 0x58);
    set(A, 0x26);
    bench_advance(499 * NS_PER_MS); /* first update half a second later */
    ck_assert_uint_eq(get(SEC), 0x58);
    bench_advance(2 * NS_PER_MS);
    ck_assert_uint_eq(get(SEC), 0x59);
}
END_TEST

START_TEST(update_in_progress)
{
    setup(EVE);
    bench_advance(NS_PER_SECOND - 250 * NS_PER_US);
    ck_assert_uint_eq(get(A), 0x26);
    bench_advance(10 * NS_PER_US); /* 240 us before the update */
    ck_assert_uint_eq(get(A), 0xa6);
    ck_assert_uint_eq(get(SEC), 0x58);
    bench_advance(240 * NS_PER_US);
    ck_assert_uint_eq(get(A), 0x26);
    ck_assert_uint_eq(get(SEC), 0x59);
}
END_TEST

START_TEST(update_interrupt)
{
    setup(EVE);
    Probe *p = bench_probe(rtc, "irq", 0);
    get(C);
    seconds(1);
    ck_assert(!p->level);
    ck_assert_uint_eq(get(C) & 0x90, 0x10); /* the flag rises without the enable, IRQF does not */
    ck_assert_uint_eq(get(C) & 0x10, 0);
    set(B, 0x12);
    bench_advance(999 * NS_PER_MS);
    ck_assert(!p->level);
    bench_advance(1 * NS_PER_MS);
    ck_assert(p->level);
    seconds(3);
    ck_assert_uint_eq(p->rises, 1); /* until C is read */
    ck_assert_uint_eq(get(C) & 0x90, 0x90);
    ck_assert(!p->level);
    seconds(1);
    ck_assert_uint_eq(p->rises, 2);
}
END_TEST

START_TEST(alarm_clock)
{
    setup(EVE);
    Probe *p = bench_probe(rtc, "irq", 0);
    set(SEC_ALARM, 0x05), set(MIN_ALARM, 0x01), set(HOUR_ALARM, 0x00);
    get(C);
    set(B, 0x22);
    seconds(66);
    ck_assert(!p->level);
    seconds(1); /* 00:01:05 */
    ck_assert(p->level);
    ck_assert_uint_eq(get(C) & 0xa0, 0xa0);
    seconds(86399);
    ck_assert(!p->level);
    seconds(1); /* the next day */
    ck_assert(p->level);
    get(C);
    set(HOUR_ALARM, 0xc0), set(MIN_ALARM, 0xff); /* each minute at :05 */
    seconds(60);
    ck_assert(p->level);
    get(C);
    set(SEC_ALARM, 0xff); /* each second */
    seconds(1);
    ck_assert(p->level);
    get(C);
    set(HOUR_ALARM, 0x77); /* never */
    seconds(86400);
    ck_assert(!p->level);
    ck_assert_uint_eq(get(C) & 0x20, 0);
}
END_TEST

START_TEST(periodic)
{
    static const struct {
        uint8_t rate;
        unsigned hz;
    } rates[] = {{6, 1024}, {3, 8192}, {1, 256}, {2, 128}, {15, 2}};
    setup(EVE);
    Probe *p = bench_probe(rtc, "irq", 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(rates); i++) {
        unsigned seen = 0;
        set(A, 0x20 | rates[i].rate);
        set(B, 0x42);
        get(C);
        for (unsigned n = 0; n < 100000; n++) {
            bench_advance(10 * NS_PER_US);
            if (p->level) {
                ck_assert_uint_eq(get(C) & 0xc0, 0xc0);
                seen++;
            }
        }
        ck_assert_uint_le(seen, rates[i].hz + 1);
        ck_assert_uint_ge(seen + 1, rates[i].hz);
    }
    unsigned ms = 0; /* a new rate's first period starts where the old one's last one ended */
    set(A, 0x2d);
    get(C);
    while (!p->level) {
        bench_advance(NS_PER_MS);
    }
    for (unsigned n = 0; n < 10; n++) {
        set(A, n & 1 ? 0x2d : 0x2f); /* 2 Hz, 8 Hz */
        get(C);
        for (; !p->level; ms++) {
            bench_advance(NS_PER_MS);
        }
    }
    ck_assert_uint_ge(ms, 3120);
    ck_assert_uint_le(ms, 3130);
    set(A, 0x20); /* rate 0: none */
    get(C);
    seconds(2);
    ck_assert(!p->level);
    ck_assert_uint_eq(get(C) & 0x40, 0);
}
END_TEST

START_TEST(lost_ticks)
{
    setup(EVE);
    set(B, 0x42);
    get(C);
    bench_advance(100 * NS_PER_MS);
    get(C);
    ck_assert_uint_eq(get(C), 0); /* discarded: one for all */
    setup(EVE ",lost_tick_policy=slew");
    Probe *p = bench_probe(rtc, "irq", 0);
    set(B, 0x42);
    get(C);
    bench_advance(100 * NS_PER_MS);
    unsigned n = 0;
    while (p->level && n < 1000) {
        get(C);
        n++;
    }
    ck_assert_uint_ge(n, 101);
    ck_assert_uint_le(n, 103);
    ck_assert_uint_ge(p->rises, 101); /* an edge for each */
}
END_TEST

START_TEST(registers_and_memory)
{
    setup(EVE);
    ck_assert_uint_eq(get(A), 0x26);
    ck_assert_uint_eq(get(B), 0x02);
    ck_assert_uint_eq(get(D), 0x80);
    set(D, 0);
    ck_assert_uint_eq(get(D), 0x80);
    ck_assert_uint_eq(in8(rtc, 0), 0xff);
    for (unsigned i = 0x0e; i < 0x100; i++) {
        mc146818_set(rtc, i, i ^ 0x55);
    }
    for (unsigned i = 0x0e; i < 0x80; i++) {
        ck_assert_uint_eq(get(i), i == CENTURY ? 0x20 : i ^ 0x55);
    }
    out8(rtc, 0, 0x80 | 0x10); /* the NMI mask is no part of the index */
    ck_assert_uint_eq(in8(rtc, 1), 0x10 ^ 0x55);
    out8(rtc, 2, 0x05);
    ck_assert_uint_eq(in8(rtc, 3), 0x85 ^ 0x55);
    out8(rtc, 3, 0x99);
    ck_assert_uint_eq(mc146818_get(rtc, 0x85), 0x99);
    /* a reset takes the interrupts, not the memory or the time */
    set(B, 0x76);
    seconds(3);
    device_reset(rtc, false);
    ck_assert_uint_eq(get(B), 0x06);
    ck_assert_uint_eq(get(0x20), 0x20 ^ 0x55);
    ck_assert_uint_eq(get(SEC), 1);
}
END_TEST

static int64_t told;
static void tell(void *arg, int64_t offset)
{
    told = offset;
}

START_TEST(change_is_told)
{
    setup(EVE);
    mc146818_on_change(rtc, tell, NULL);
    seconds(10);
    ck_assert_int_eq(mc146818_offset(rtc), 0);
    set(HOUR, 0x02); /* 00:00:08 -> 02:00:08 */
    ck_assert_int_eq(told, 7200);
    ck_assert_int_eq(mc146818_offset(rtc), 7200);
    ck_assert_int_eq(mc146818_seconds(rtc), 1709164798 + 10 + 7200);
    setup("base=0,base_year=1980");
    ck_assert_uint_eq(get(YEAR), 0);
    setup("base=315532800,base_year=1980");
    set(YEAR, 0x05);
    ck_assert_int_eq(mc146818_seconds(rtc), 473385600);
}
END_TEST

START_TEST(nonsense)
{
    setup(EVE);
    for (unsigned reg = SEC; reg <= YEAR; reg++) {
        set(reg, 0xff);
        set(reg, 0x9f);
    }
    set(CENTURY, 0xff);
    seconds(1);
    uint8_t month = get(MONTH);
    ck_assert(month >= 1 && month <= 0x12);
}
END_TEST

BENCH_MAIN("mc146818", CASE(bcd_and_leap_day), CASE(binary_and_12_hours), CASE(set_freezes),
           CASE(divider_reset), CASE(update_in_progress), CASE(update_interrupt), CASE(alarm_clock),
           CASE(periodic), CASE(lost_ticks), CASE(registers_and_memory), CASE(change_is_told),
           CASE(nonsense))
