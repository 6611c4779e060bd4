/* Flash with Intel's command set, against the 28F128J3 datasheet and the CFI specification. */
#include "hw/storage/pflash-cfi01.h"

#include <string.h>

#include "block/drive.h"
#include "core/error.h"
#include "core/loop.h"
#include "hw/storage/pflash-cfi01.h"
#include "tests/hw/bench.h"

enum { SIZE = 64 << 10, BLOCK = 4096, BASE = 0x10000000 };
enum {
    ARRAY = 0xff,
    ID = 0x90,
    QUERY = 0x98,
    STATUS = 0x70,
    CLEAR = 0x50,
    PROGRAM = 0x40,
    ERASE = 0x20,
    CONFIRM = 0xd0,
    BUFFER = 0xe8,
    READY = 0x80
};

static Device *flash;
static Drive *drive;

static uint32_t get(uint32_t at, unsigned size)
{
    return (uint32_t)space_load(space_memory(), BASE + at, size);
}

static void put(uint32_t at, unsigned size, uint32_t value)
{
    space_store(space_memory(), BASE + at, size, value);
}

static Device *make(Drive *d, const char *props)
{
    GError *error = NULL;
    Device *f = device_new(&pflash_cfi01_class, NULL);
    g_auto(GStrv) pairs = g_strsplit(props, ",", -1);
    for (char **p = pairs; *p && **p; p++) {
        char *eq = strchr(*p, '=');
        *eq = 0;
        ck_assert(device_set(f, *p, eq + 1, &error));
    }
    if (d) {
        device_set_pointer(f, "drive", d);
    }
    if (!device_realize(f, NULL, &error)) {
        device_free(f);
        return NULL;
    }
    device_reset(f, true);
    region_map(space_root(space_memory()), pflash_cfi01_region(f), BASE, 0);
    mem_commit();
    return f;
}

/* 64 KiB whose bytes are 0, 1, 2 ... */
static void start(const char *props)
{
    uint8_t data[SIZE];
    for (unsigned i = 0; i < SIZE; i++) {
        data[i] = (uint8_t)i;
    }
    drive = drive_new_memory("flash0", SIZE);
    ck_assert_int_eq(drive_write_sync(drive, 0, data, SIZE), 0);
    flash = make(drive, props);
    ck_assert_ptr_nonnull(flash);
}

static uint8_t on_disk(uint32_t at)
{
    uint8_t sector[512];
    drive_drain(drive);
    ck_assert_int_eq(drive_read_sync(drive, at & ~511u, sector, sizeof(sector)), 0);
    return sector[at & 511];
}

START_TEST(array_reads_as_memory)
{
    uint8_t buf[16];
    start("");
    ck_assert_uint_eq(get(0x1234, 1), 0x34);
    ck_assert_uint_eq(get(0x1234, 4), 0x37363534);
    ck_assert(space_peek(space_memory(), BASE + SIZE - 16, buf, 16));
    ck_assert_uint_eq(buf[15], 0xff);
    ck_assert_uint_eq(device_peek(flash, "status", 0), READY);
}
END_TEST

/* §4.1, §4.3 */
START_TEST(status_and_identifier)
{
    start("");
    put(0x100, 1, STATUS);
    ck_assert_uint_eq(get(0x55, 1), READY);
    ck_assert_uint_eq(get(0x54, 4), 0x80808080);
    put(0, 1, ID);
    ck_assert_uint_eq(get(0, 1), 0x89);
    ck_assert_uint_eq(get(1, 1), 0x18);
    ck_assert_uint_eq(get(2, 1), 0);
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(0x55, 1), 0x55);
}
END_TEST

/* What UEFI firmware takes for flash: a status of 0 where it was cleared; operations say that they are ready. */
START_TEST(cleared_status)
{
    start("");
    put(0x10, 1, CLEAR);
    put(0x10, 1, STATUS);
    ck_assert_uint_eq(get(0x10, 1), 0);
    put(0x13c, 1, PROGRAM);
    put(0x13c, 1, 0xf0);
    ck_assert_uint_eq(get(0, 1), READY);
    put(0, 1, CLEAR);
    put(BLOCK, 1, ERASE);
    put(BLOCK, 1, CONFIRM);
    ck_assert_uint_eq(get(0, 1), READY);
}
END_TEST

START_TEST(program_clears_bits_only)
{
    start("");
    put(0x13c, 1, PROGRAM);
    put(0x13c, 1, 0xf0);
    ck_assert_uint_eq(get(0, 1), READY); /* status, without asking */
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(0x13c, 1), 0x30);
    ck_assert_uint_eq(get(0x13d, 1), 0x3d);
    put(0, 1, 0x10); /* the other code */
    put(0x13d, 1, 0xc0);
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(0x13d, 1), 0);
    ck_assert_uint_eq(on_disk(0x13c), 0x30);
    ck_assert_uint_eq(on_disk(0x13d), 0);
    ck_assert_uint_eq(on_disk(0x13e), 0x3e);
}
END_TEST

START_TEST(erase_sets_a_block)
{
    start("");
    put(BLOCK + 0x123, 1, ERASE);
    put(BLOCK + 0x123, 1, CONFIRM);
    ck_assert_uint_eq(get(0, 1), READY);
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(BLOCK - 1, 1), 0xff);
    ck_assert_uint_eq(get(BLOCK - 2, 1), 0xfe);
    ck_assert_uint_eq(get(BLOCK, 4), UINT32_MAX);
    ck_assert_uint_eq(get(2 * BLOCK - 4, 4), UINT32_MAX);
    ck_assert_uint_eq(get(2 * BLOCK, 1), 0);
    ck_assert_uint_eq(on_disk(BLOCK + 7), 0xff);
    ck_assert_uint_eq(on_disk(2 * BLOCK + 7), 7);
}
END_TEST

START_TEST(broken_sequences)
{
    start("");
    put(0, 1, ERASE);
    put(0, 1, 0x33);
    ck_assert_uint_eq(get(0, 1), READY | 0x30);
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(1, 1), 1); /* nothing was erased */
    put(0, 1, STATUS);
    ck_assert_uint_eq(get(0, 1), READY | 0x30); /* until it is cleared */
    put(0, 1, CLEAR);
    put(0, 1, STATUS);
    ck_assert_uint_eq(get(0, 1), 0);
}
END_TEST

static void fill_buffer(uint32_t at, unsigned n)
{
    put(at, 1, BUFFER);
    ck_assert_uint_eq(get(at, 1), READY); /* a buffer is available */
    put(at, 1, n - 1);
    for (unsigned i = 0; i < n; i++) {
        put(at + i, 1, 0x11 * (i + 1));
    }
}

START_TEST(write_buffer)
{
    start("");
    put(0x2000, 1, ERASE);
    put(0x2000, 1, CONFIRM);
    fill_buffer(0x2010, 4);
    put(0x2010, 1, CONFIRM);
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(0x2010, 4), 0x44332211);
    ck_assert_uint_eq(get(0x2014, 4), UINT32_MAX);
    ck_assert_uint_eq(on_disk(0x2011), 0x22);
    fill_buffer(0x2020, 4);
    put(0x2020, 1, 0); /* no confirmation */
    ck_assert_uint_eq(get(0, 1), READY | 0x30);
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(0x2020, 4), UINT32_MAX);
    put(0, 1, CLEAR);
    put(0x2030, 1, BUFFER);
    put(0x2030, 1, 1);
    put(0x2030, 1, 0x12);
    put(0x5000, 1, 0x34); /* far outside of the buffer */
    ck_assert_uint_eq(get(0, 1), READY | 0x30);
}
END_TEST

/* JESD68.01: one chip of the bank tells of itself. */
START_TEST(query_x8)
{
    start("");
    put(0x55, 1, QUERY);
    ck_assert_uint_eq(get(0x10, 1), 'Q');
    ck_assert_uint_eq(get(0x11, 1), 'R');
    ck_assert_uint_eq(get(0x12, 1), 'Y');
    ck_assert_uint_eq(get(0x13, 2), 1);
    ck_assert_uint_eq(get(0x15, 1), 0x31);
    ck_assert_uint_eq(get(0x27, 1), 16);
    ck_assert_uint_eq(get(0x2c, 1), 1);
    ck_assert_uint_eq(get(0x2d, 2), SIZE / BLOCK - 1);
    ck_assert_uint_eq(get(0x2f, 2), BLOCK / 256);
    ck_assert_uint_eq(get(0x31, 1), 'P');
    ck_assert_uint_eq(get(0xff, 1), 0);
}
END_TEST

/* Two 16-bit chips side by side: each answers in its lanes, and commands reach both. */
START_TEST(two_chips)
{
    start("width=4,device-width=2,num-blocks=4,sector-length=16384");
    put(0, 4, 0x00980098);
    ck_assert_uint_eq(get(0x10 * 4, 4), 'Q' << 16 | 'Q');
    ck_assert_uint_eq(get(0x27 * 4, 4), 15 << 16 | 15);
    ck_assert_uint_eq(get(0x2f * 4, 2), 8192 / 256);
    put(0, 4, 0x00ff00ff);
    put(0x4000, 4, 0x00200020);
    put(0x4000, 4, 0x00d000d0);
    ck_assert_uint_eq(get(0, 4), 0x00800080);
    put(0x4000, 4, 0x00400040);
    put(0x4000, 4, 0x12345678);
    put(0, 4, 0x00ff00ff);
    ck_assert_uint_eq(get(0x4000, 4), 0x12345678);
    ck_assert_uint_eq(get(0x4004, 4), UINT32_MAX);
}
END_TEST

/* A 16-bit chip on 8 wires: query addresses are doubled. */
START_TEST(x16_chip_in_x8_mode)
{
    start("width=1,device-width=1,max-device-width=2");
    put(0x55, 1, QUERY);
    ck_assert_uint_eq(get(0x20, 1), 'Q');
    ck_assert_uint_eq(get(0x22, 1), 'R');
    ck_assert_uint_eq(get(0x24, 1), 'Y');
}
END_TEST

START_TEST(reset_shows_the_array)
{
    start("");
    put(0, 1, ERASE);
    device_reset(flash, false);
    ck_assert_uint_eq(get(3, 1), 3);
    put(0, 1, CONFIRM); /* a command of its own */
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(3, 1), 3);
}
END_TEST

START_TEST(many_writes_arrive)
{
    start("");
    for (uint32_t at = 0; at < SIZE; at += 1021) {
        put(at, 1, PROGRAM);
        put(at, 1, 0);
        if (at % 7 == 0) {
            loop_iterate(false);
        }
    }
    put(0, 1, ARRAY);
    for (uint32_t at = 0; at < SIZE; at += 1021) {
        ck_assert_uint_eq(on_disk(at), 0);
        ck_assert_uint_eq(on_disk(at + 1), (uint8_t)(at + 1));
    }
}
END_TEST

START_TEST(without_drive)
{
    flash = make(NULL, "num-blocks=2");
    ck_assert_uint_eq(get(0, 4), UINT32_MAX);
    put(0, 1, PROGRAM);
    put(5, 1, 0x12);
    put(0, 1, ARRAY);
    ck_assert_uint_eq(get(5, 1), 0x12);
}
END_TEST

START_TEST(refused_properties)
{
    static const char *const bad[] = {"",
                                      "num-blocks=100000",
                                      "num-blocks=2,sector-length=100",
                                      "num-blocks=2,width=3",
                                      "num-blocks=2,width=1,device-width=2",
                                      "num-blocks=2,sector-length=1000000000"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_msg(!make(NULL, bad[i]), "%s", bad[i]);
    }
    drive = drive_new_memory("flash0", SIZE);
    ck_assert_ptr_null(make(drive, "num-blocks=3"));
}
END_TEST

START_TEST(random_guest)
{
    static const uint8_t commands[] = {ARRAY,  ID,   QUERY, STATUS, CLEAR, PROGRAM, ERASE, CONFIRM,
                                       BUFFER, 0x10, 0x60,  0xb0,   0xb8,  0,       3};
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    start("width=2");
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t r = g_rand_int(rand), at = g_rand_int(rand) % SIZE;
        unsigned size = 1u << (r & 3);
        uint64_t value = r & 4 ? commands[(r >> 8) % sizeof(commands)] : g_rand_int(rand);
        at = r & 8 ? at & 0xff : at;
        if (r & 0x30) {
            space_store(space_memory(), BASE + (at & ~(size - 1)), size, value);
        } else {
            space_load(space_memory(), BASE + (at & ~(size - 1)), size);
        }
        if (r % 64 == 0) {
            loop_iterate(false);
        }
    }
    put(0, 2, 0); /* out of whatever was begun */
    put(0, 2, CONFIRM);
    device_reset(flash, false);
    for (uint32_t at = 0; at < SIZE; at += 97) {
        ck_assert_uint_eq(get(at, 1), on_disk(at));
    }
}
END_TEST

BENCH_MAIN("pflash-cfi01", CASE(array_reads_as_memory), CASE(status_and_identifier), CASE(cleared_status),
           CASE(program_clears_bits_only), CASE(erase_sets_a_block), CASE(broken_sequences),
           CASE(write_buffer), CASE(query_x8), CASE(two_chips), CASE(x16_chip_in_x8_mode),
           CASE(reset_shows_the_array), CASE(many_writes_arrive), CASE(without_drive),
           CASE(refused_properties), CASE(random_guest))
