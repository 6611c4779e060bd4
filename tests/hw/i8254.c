/* 8254 data sheet: the six modes, reading, latching, read-back, BCD, GATE; and port 61h. */
#include "hw/audio/pcspk.h"
#include "hw/timer/i8254.h"
#include "tests/hw/bench.h"

extern const DeviceClass isa_pit_class, isa_pcspk_class;

static Device *pit;
static Probe *out_pin;

/* To the first ns of CLK t. */
static void until(int64_t t)
{
    int64_t ns = (t * NS_PER_SECOND + PIT_HZ - 1) / PIT_HZ;
    bench_advance(ns - now(pit));
}

static void start(unsigned counter, unsigned mode, unsigned count)
{
    out8(pit, 3, counter << 6 | 0x30 | mode << 1);
    out8(pit, counter, count);
    out8(pit, counter, count >> 8);
}

static unsigned latched(unsigned counter)
{
    out8(pit, 3, counter << 6);
    unsigned low = in8(pit, counter);
    return low | in8(pit, counter) << 8;
}

static void setup(void)
{
    pit = bench_device(&isa_pit_class, "");
    out_pin = bench_probe(pit, "out", 0);
    until(10);
}

START_TEST(mode0)
{
    setup();
    start(0, 0, 5);
    ck_assert(!out_pin->level);
    until(11); /* loaded */
    ck_assert_uint_eq(latched(0), 5);
    until(15);
    ck_assert_uint_eq(latched(0), 1);
    ck_assert(!out_pin->level);
    until(16); /* N + 1 CLKs after the write */
    ck_assert(out_pin->level);
    until(18);
    ck_assert_uint_eq(latched(0), 0xfffe);
    ck_assert(out_pin->level);
    /* GATE holds the count, and a new first byte stops it */
    start(0, 0, 100);
    until(29);
    ck_assert_uint_eq(latched(0), 90);
    device_input(pit, 0, false);
    until(60);
    ck_assert_uint_eq(latched(0), 90);
    device_input(pit, 0, true);
    until(70);
    ck_assert_uint_eq(latched(0), 80);
    out8(pit, 0, 7);
    until(200);
    ck_assert(!out_pin->level);
    out8(pit, 0, 0);
    until(208);
    ck_assert(out_pin->level);
}
END_TEST

START_TEST(mode1)
{
    setup();
    device_input(pit, 0, false);
    start(0, 1, 4);
    until(20);
    ck_assert(out_pin->level);
    device_input(pit, 0, true);
    ck_assert(out_pin->level);
    until(21);
    ck_assert(!out_pin->level);
    until(24);
    ck_assert(!out_pin->level);
    device_input(pit, 0, false); /* no matter */
    device_input(pit, 0, true);  /* retriggered: 4 more from 25 */
    until(28);
    ck_assert(!out_pin->level);
    until(29);
    ck_assert(out_pin->level);
    ck_assert_uint_eq(out_pin->falls, 1);
}
END_TEST

START_TEST(mode2)
{
    setup();
    start(0, 2, 1000);
    ck_assert(out_pin->level);
    until(11);
    ck_assert_uint_eq(latched(0), 1000);
    until(1010);
    ck_assert_uint_eq(latched(0), 1);
    ck_assert(!i8254_out(pit, 0)); /* one CLK low */
    until(1011);
    ck_assert_uint_eq(latched(0), 1000);
    ck_assert(i8254_out(pit, 0) && out_pin->level);
    ck_assert_uint_eq(out_pin->falls, 1);
    until(11 + 50 * 1000);
    ck_assert_uint_eq(out_pin->falls, 50);
    /* a new count waits for the end of the period */
    until(11 + 50 * 1000 + 10);
    out8(pit, 0, 400 & 255);
    out8(pit, 0, 400 >> 8);
    ck_assert_uint_eq(latched(0), 990);
    until(11 + 51 * 1000);
    ck_assert_uint_eq(latched(0), 400);
    until(11 + 51 * 1000 + 800);
    ck_assert_uint_eq(out_pin->falls, 53);
    /* GATE low: OUT high, no counting; its rise starts a period */
    until(11 + 51 * 1000 + 900);
    device_input(pit, 0, false);
    until(60000);
    ck_assert_uint_eq(out_pin->falls, 53);
    device_input(pit, 0, true);
    until(60001);
    ck_assert_uint_eq(latched(0), 400);
}
END_TEST

START_TEST(mode3)
{
    setup();
    start(0, 3, 100);
    until(11);
    ck_assert_uint_eq(latched(0), 100);
    until(12);
    ck_assert_uint_eq(latched(0), 98);
    until(60);
    ck_assert(out_pin->level);
    until(61);
    ck_assert(!out_pin->level);
    ck_assert_uint_eq(latched(0), 100);
    until(111);
    ck_assert(out_pin->level);
    ck_assert_uint_eq(out_pin->falls, 1);
    /* odd: the high half is one CLK longer */
    start(0, 3, 101);
    until(112);
    ck_assert_uint_eq(latched(0), 100);
    until(112 + 50);
    ck_assert(out_pin->level);
    ck_assert_uint_eq(latched(0), 0);
    until(112 + 51);
    ck_assert(!out_pin->level);
    ck_assert_uint_eq(latched(0), 100);
    until(112 + 100);
    ck_assert(!out_pin->level);
    until(112 + 101);
    ck_assert(out_pin->level);
    /* a new count is taken at the half */
    out8(pit, 0, 60);
    out8(pit, 0, 0);
    until(112 + 101 + 51);
    ck_assert(!out_pin->level);
    ck_assert_uint_eq(latched(0), 60);
    until(112 + 101 + 51 + 30);
    ck_assert(out_pin->level);
}
END_TEST

START_TEST(mode4)
{
    setup();
    start(0, 4, 6);
    ck_assert(out_pin->level);
    until(17);
    ck_assert(!i8254_out(pit, 0));
    until(18);
    ck_assert(i8254_out(pit, 0));
    ck_assert_uint_eq(out_pin->falls, 1);
    until(100000);
    ck_assert_uint_eq(out_pin->falls, 1); /* once */
    out8(pit, 0, 50);
    out8(pit, 0, 0);
    until(100010);
    device_input(pit, 0, false);
    until(100500);
    ck_assert_uint_eq(out_pin->falls, 1); /* held */
    ck_assert_uint_eq(latched(0), 41);
    device_input(pit, 0, true);
    until(100600);
    ck_assert_uint_eq(out_pin->falls, 2);
}
END_TEST

START_TEST(mode5)
{
    setup();
    device_input(pit, 0, false);
    start(0, 5, 6);
    until(50);
    ck_assert_uint_eq(out_pin->falls, 0);
    device_input(pit, 0, true);
    until(51 + 6);
    ck_assert(!i8254_out(pit, 0));
    until(51 + 7);
    ck_assert_uint_eq(out_pin->falls, 1);
    until(200);
    device_input(pit, 0, false);
    device_input(pit, 0, true);
    until(203);
    device_input(pit, 0, false);
    device_input(pit, 0, true); /* retriggered */
    until(204 + 6);
    ck_assert_uint_eq(out_pin->falls, 1);
    until(204 + 7);
    ck_assert_uint_eq(out_pin->falls, 2);
}
END_TEST

START_TEST(bytes_and_latches)
{
    setup();
    out8(pit, 3, 0x10 | 2 << 1); /* counter 0, LSB only, mode 2 */
    out8(pit, 0, 200);
    until(11);
    ck_assert_uint_eq(in8(pit, 0), 200);
    ck_assert_uint_eq(in8(pit, 0), 200);
    out8(pit, 3, 0x20 | 2 << 1); /* MSB only */
    out8(pit, 0, 2);
    until(13);
    ck_assert_uint_eq(in8(pit, 0), 1); /* 511 */
    start(1, 2, 0x1234);
    until(14);
    out8(pit, 3, 0x40);
    until(50);
    out8(pit, 3, 0x40); /* ignored: the first latch was not read */
    ck_assert_uint_eq(in8(pit, 1), 0x34);
    ck_assert_uint_eq(in8(pit, 1), 0x12);
    ck_assert_uint_eq(in8(pit, 1), 0x34 - 36); /* live again */
    ck_assert_uint_eq(in8(pit, 1), 0x12);
    ck_assert_uint_eq(in8(pit, 3), 0xff);
}
END_TEST

START_TEST(read_back)
{
    setup();
    start(0, 3, 0x1000);
    start(2, 0, 0x20);
    out8(pit, 3, 0xe0 | 1 << 1 | 1 << 3);               /* status of 0 and 2 */
    ck_assert_uint_eq(in8(pit, 0), 0x80 | 0x40 | 0x36); /* OUT high, null count */
    ck_assert_uint_eq(in8(pit, 2), 0x40 | 0x30);
    until(11);
    out8(pit, 3, 0xc0 | 1 << 1); /* count and status of 0: the status comes first */
    ck_assert_uint_eq(in8(pit, 0), 0x80 | 0x36);
    ck_assert_uint_eq(in8(pit, 0), 0x00);
    ck_assert_uint_eq(in8(pit, 0), 0x10);
}
END_TEST

START_TEST(decimal)
{
    setup();
    out8(pit, 3, 0x31);
    out8(pit, 0, 0x00);
    out8(pit, 0, 0x10); /* 1000 */
    until(12);
    ck_assert_uint_eq(latched(0), 0x999);
    until(11 + 1001);
    ck_assert_uint_eq(latched(0), 0x9999);
    start(0, 0, 0); /* binary 0 is 65536 */
    until(2000 + 65536);
    ck_assert(out_pin->level);
}
END_TEST

/* A period below what a timer can follow does not stop the machine, and still interrupts. */
START_TEST(hostile_rate)
{
    setup();
    out8(pit, 3, 0x14);
    out8(pit, 0, 2);
    bench_advance(NS_PER_SECOND);
    ck_assert_uint_gt(out_pin->rises, 1000);
    ck_assert_uint_lt(out_pin->rises, 60000);
}
END_TEST

static void copy_value(void *arg, const char *name, unsigned i, uint64_t value)
{
    ck_assert(device_load(arg, name, i, value, NULL));
}

/* A snapshot in the middle of a period goes on with the edge where it was. */
START_TEST(save_in_the_middle)
{
    setup();
    start(0, 2, 1000);
    until(500);
    Device *copy = bench_device(&isa_pit_class, "");
    Probe *copied = bench_probe(copy, "out", 0);
    device_load_begin(copy);
    device_save(pit, copy_value, copy);
    device_loaded(copy);
    unsigned before = copied->falls;
    until(1010);
    ck_assert_uint_eq(copied->falls, before);
    until(1011);
    ck_assert_uint_eq(copied->falls, before + 1);
}
END_TEST

START_TEST(port61)
{
    setup();
    Device *spk = bench_device(&isa_pcspk_class, "");
    pcspk_wire(spk, pit);
    Probe *nmi = bench_probe(spk, "nmi", 0);
    start(2, 3, 1193);
    until(20);
    ck_assert(in8(spk, 0) & 0x20); /* GATE2 low: OUT2 high */
    ck_assert_uint_eq(pcspk_tone_mhz(spk), 0);
    out8(spk, 0, 0x03);
    ck_assert(i8254_gate(pit, 2));
    ck_assert_uint_eq(in8(spk, 0) & 0x0f, 0x03);
    until(21 + 600);
    ck_assert(!(in8(spk, 0) & 0x20));
    ck_assert_uint_eq(pcspk_tone_mhz(spk), UINT64_C(1193182000) / 1193);
    /* refresh toggles each 15 us */
    unsigned toggles = 0;
    uint8_t last = in8(spk, 0) & 0x10;
    for (unsigned i = 0; i < 1000; i++) {
        bench_advance(1000);
        toggles += (in8(spk, 0) & 0x10) != last;
        last = in8(spk, 0) & 0x10;
    }
    ck_assert_uint_ge(toggles, 65);
    ck_assert_uint_le(toggles, 67);
    /* IOCHK# and SERR# latch, and their disable bits clear */
    device_input(spk, 0, true);
    ck_assert(nmi->level);
    ck_assert(in8(spk, 0) & 0x40);
    device_input(spk, 0, false);
    ck_assert(nmi->level);
    out8(spk, 0, 0x08);
    ck_assert(!nmi->level);
    device_input(spk, 0, true);
    ck_assert(!nmi->level);
    device_input(spk, 1, true);
    ck_assert(nmi->level && in8(spk, 0) & 0x80);
    out8(spk, 0, 0x0c);
    ck_assert(!nmi->level);
}
END_TEST

BENCH_MAIN("i8254", CASE(mode0), CASE(mode1), CASE(mode2), CASE(mode3), CASE(mode4), CASE(mode5),
           CASE(bytes_and_latches), CASE(read_back), CASE(decimal), CASE(hostile_rate),
           CASE(save_in_the_middle), CASE(port61))
