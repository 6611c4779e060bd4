/* 8237A data sheet: byte pointer, transfers in both directions, TC, auto-initialise, decrement,
 * masks, words, pages. */
#include "hw/isa/i8237.h"

#include <string.h>

#include "tests/hw/bench.h"

extern const DeviceClass i8237_class;

typedef struct Card {
    uint8_t data[0x20000];
    size_t pos, limit; /* moves up to `limit` bytes a call */
    unsigned calls;
    bool write;
    size_t last_len;
} Card;
static Card card;

static size_t move(void *opaque, Device *dma, unsigned chan, size_t len)
{
    Card *c = opaque;
    size_t n = MIN(len, c->limit);
    c->calls++;
    c->last_len = len;
    if (c->write) {
        i8237_write_memory(dma, chan, c->data + c->pos, 0, n);
    } else {
        i8237_read_memory(dma, chan, c->data + c->pos, 0, n);
    }
    c->pos += n;
    return n;
}

/* The eight-bit controller's page port of a channel. */
static void page(Device *dma, unsigned chan, uint8_t v)
{
    static const uint8_t at[] = {7, 3, 1, 2};
    device_write(dma, 1, at[chan], 1, v);
}

static void program(Device *dma, unsigned chan, uint8_t mode, uint16_t addr, uint16_t count)
{
    out8(dma, 12, 0);
    out8(dma, 11, mode | chan);
    out8(dma, 2 * chan, addr);
    out8(dma, 2 * chan, addr >> 8);
    out8(dma, 2 * chan + 1, count);
    out8(dma, 2 * chan + 1, count >> 8);
}

static uint16_t current(Device *dma, unsigned at)
{
    out8(dma, 12, 0);
    uint16_t low = in8(dma, at);
    return low | in8(dma, at) << 8;
}

static Device *setup(const char *props, bool write)
{
    Device *dma = bench_device(&i8237_class, props);
    memset(&card, 0, sizeof(card));
    card.limit = SIZE_MAX;
    card.write = write;
    for (unsigned i = 0; i < sizeof(card.data); i++) {
        card.data[i] = i * 7 + (i >> 8);
    }
    ck_assert(i8237_attach(dma, 2, move, &card));
    ck_assert(!i8237_attach(dma, 2, move, &card));
    return dma;
}

START_TEST(registers)
{
    Device *dma = setup("", true);
    program(dma, 1, 0x44, 0x1234, 0x5678);
    ck_assert_uint_eq(current(dma, 2), 0x1234);
    ck_assert_uint_eq(current(dma, 3), 0x5678);
    in8(dma, 2); /* the flip-flop is the controller's, not the channel's */
    ck_assert_uint_eq(in8(dma, 3), 0x56);
    out8(dma, 15, 0x05);
    ck_assert_uint_eq(in8(dma, 15) & 0x0f, 0x05);
    out8(dma, 10, 0x06); /* set channel 2 */
    out8(dma, 10, 0x00); /* clear channel 0 */
    ck_assert_uint_eq(in8(dma, 15) & 0x0f, 0x04);
    out8(dma, 14, 0);
    ck_assert_uint_eq(in8(dma, 15) & 0x0f, 0);
    in8(dma, 2);
    out8(dma, 13, 0); /* master clear: masks set, flip-flop low */
    ck_assert_uint_eq(in8(dma, 15) & 0x0f, 0x0f);
    ck_assert_uint_eq(in8(dma, 2), 0x34);
    page(dma, 3, 0xa5);
    ck_assert_uint_eq(device_read(dma, 1, 2, 1), 0xa5);
}
END_TEST

START_TEST(device_to_memory)
{
    Device *dma = setup("", true);
    uint8_t got[512];
    program(dma, 2, 0x44, 0x2000, 511);
    page(dma, 2, 0x01);
    i8237_hold(dma, 2, true);
    ck_assert_uint_eq(card.calls, 0); /* masked after reset */
    ck_assert_uint_eq(in8(dma, 8), 0x40);
    ck_assert(!i8237_enabled(dma, 2));
    out8(dma, 10, 2);
    ck_assert_uint_eq(card.calls, 1);
    ck_assert_uint_eq(card.last_len, 512);
    bench_peek(0x12000, got, 512);
    ck_assert_mem_eq(got, card.data, 512);
    i8237_hold(dma, 2, false);
    ck_assert_uint_eq(in8(dma, 8), 0x04); /* TC, once */
    ck_assert_uint_eq(in8(dma, 8), 0x00);
    ck_assert_uint_eq(current(dma, 4), 0x2200);
    ck_assert_uint_eq(current(dma, 5), 0xffff);
    ck_assert(!i8237_enabled(dma, 2)); /* masked itself */
}
END_TEST

START_TEST(memory_to_device_in_pieces)
{
    Device *dma = setup("", false);
    uint8_t want[64];
    for (unsigned i = 0; i < 64; i++) {
        want[i] = 255 - i;
    }
    bench_poke(0x5000, want, 64);
    program(dma, 2, 0x48, 0x5000, 63);
    card.limit = 20;
    out8(dma, 10, 2);
    for (unsigned n = 0; n < 4; n++) {
        i8237_hold(dma, 2, true);
    }
    ck_assert_uint_eq(card.calls, 4);
    ck_assert_uint_eq(card.last_len, 4);
    ck_assert_mem_eq(card.data, want, 64);
    i8237_hold(dma, 2, true);
    ck_assert_uint_eq(card.calls, 4);
    ck_assert_uint_eq(i8237_direction(dma, 2), I8237_READ);
}
END_TEST

START_TEST(auto_initialise)
{
    Device *dma = setup("", false);
    program(dma, 2, 0x58, 0x3000, 15);
    ck_assert(i8237_auto(dma, 2));
    out8(dma, 10, 2);
    i8237_hold(dma, 2, true);
    ck_assert_uint_eq(card.calls, 1);
    ck_assert_uint_eq(current(dma, 4), 0x3000);
    ck_assert_uint_eq(current(dma, 5), 15);
    ck_assert(i8237_enabled(dma, 2));
    ck_assert_uint_eq(in8(dma, 8) & 0x04, 0x04);
    i8237_hold(dma, 2, true);
    ck_assert_uint_eq(card.calls, 2);
}
END_TEST

START_TEST(decrement_and_wrap)
{
    Device *dma = setup("", true);
    uint8_t got[4];
    program(dma, 2, 0x64, 0x1003, 3);
    out8(dma, 10, 2);
    i8237_hold(dma, 2, true);
    bench_peek(0x1000, got, 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(got[3 - i], card.data[i]);
    }
    ck_assert_uint_eq(current(dma, 4), 0x0fff);
    i8237_hold(dma, 2, false);
    card.pos = 0;
    program(dma, 2, 0x44, 0xfffe, 3); /* the page does not count */
    page(dma, 2, 3);
    out8(dma, 10, 2);
    i8237_hold(dma, 2, true);
    bench_peek(0x3fffe, got, 2);
    ck_assert_mem_eq(got, card.data, 2);
    bench_peek(0x30000, got, 2);
    ck_assert_mem_eq(got, card.data + 2, 2);
}
END_TEST

START_TEST(verify_moves_nothing)
{
    Device *dma = setup("", true);
    uint8_t got[16], zero[16] = {0};
    program(dma, 2, 0x40, 0x4000, 15);
    out8(dma, 10, 2);
    i8237_hold(dma, 2, true);
    bench_peek(0x4000, got, 16);
    ck_assert_mem_eq(got, zero, 16);
    ck_assert_uint_eq(in8(dma, 8) & 0x04, 0x04);
}
END_TEST

START_TEST(disable_and_software_request)
{
    Device *dma = setup("", true);
    program(dma, 2, 0x84, 0x4000, 15);
    out8(dma, 8, 0x04); /* controller disable */
    out8(dma, 10, 2);
    i8237_hold(dma, 2, true);
    ck_assert_uint_eq(card.calls, 0);
    out8(dma, 8, 0x00);
    ck_assert_uint_eq(card.calls, 1);
    i8237_hold(dma, 2, false);
    program(dma, 2, 0x84, 0x4000, 15);
    out8(dma, 9, 0x06); /* a software request passes the mask; TC clears it */
    ck_assert_uint_eq(card.calls, 2);
    ck_assert_uint_eq(in8(dma, 8), 0x04);
}
END_TEST

START_TEST(words)
{
    Device *dma = setup("dshift=1", true);
    uint8_t got[32];
    program(dma, 2, 0x44, 0x0800, 15); /* 16 words at 0x1000 + page */
    page(dma, 2, 0x05);                /* lowest bit is not connected */
    out8(dma, 10, 2);
    i8237_hold(dma, 2, true);
    ck_assert_uint_eq(card.last_len, 32);
    bench_peek(0x41000, got, 32);
    ck_assert_mem_eq(got, card.data, 32);
    ck_assert_uint_eq(current(dma, 4), 0x0810);
    i8237_hold(dma, 2, false);
    /* its ports lie two apart */
    Region *r = i8237_region(dma);
    ck_assert_uint_eq(region_size(r), 32);
    region_map(space_root(space_io()), r, 0xc0, 0);
    mem_commit();
    space_store(space_io(), 0xde, 1, 0x0a);
    ck_assert_uint_eq(space_load(space_io(), 0xde, 1) & 0x0f, 0x0a);
}
END_TEST

BENCH_MAIN("i8237", CASE(registers), CASE(device_to_memory), CASE(memory_to_device_in_pieces),
           CASE(auto_initialise), CASE(decrement_and_wrap), CASE(verify_moves_nothing),
           CASE(disable_and_software_request), CASE(words))
