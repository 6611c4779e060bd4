/* 82078: every family of commands, by DMA through an 8237 and by PIO, on drives in memory. */
#include <unistd.h>

#include "core/loop.h"
#include "hw/isa/i8237.h"
#include "hw/isa/isa.h"
#include "hw/storage/i82078.h"
#include "hw/storage/isa-fdc.h"
#include "tests/hw/bench.h"

extern const DeviceClass i8237_class;
enum { DOR = 2, TDR = 3, MSR = 4, DSR = 4, FIFO = 5, DIGITAL_IN = 7, CCR = 7, BUF = 0x10000, KB = 1024 };

static Device *fdc, *dma;
static IsaBus *isa;
static Drive *disk[2];
static unsigned irq_rises;
static bool irq_level;
static uint8_t res[16];

static void irq_sink(void *sink, unsigned line, bool level)
{
    ck_assert_uint_eq(line, 6);
    irq_level = level;
    irq_rises += level;
}

static void command(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(in8(fdc, MSR) & 0xc0, 0x80);
        out8(fdc, FIFO, bytes[i]);
    }
}
#define COMMAND(...) command((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Wait for the back end until bits of MSR show. */
static void wait_msr(uint8_t mask, uint8_t value)
{
    for (unsigned i = 0; i < 10000 && (in8(fdc, MSR) & mask) != value; i++) {
        loop_iterate(false);
        g_usleep(i < 100 ? 0 : 100);
    }
    ck_assert_uint_eq(in8(fdc, MSR) & mask, value);
}

/* The result phase: exactly n bytes. */
static void result(unsigned n)
{
    wait_msr(0xc0, 0xc0);
    memset(res, 0xee, sizeof(res));
    for (unsigned i = 0; i < n; i++) {
        ck_assert_uint_eq(in8(fdc, MSR) & 0xd0, 0xd0);
        res[i] = in8(fdc, FIFO);
    }
    ck_assert_uint_eq(in8(fdc, MSR) & 0xd0, 0x80);
}

static void expect_result(uint8_t st0, uint8_t st1, uint8_t st2, uint8_t c, uint8_t h, uint8_t r, uint8_t n)
{
    uint8_t want[] = {st0, st1, st2, c, h, r, n};
    wait_msr(0xc0, 0xc0);
    ck_assert(irq_level);
    in8(fdc, MSR);
    result(7);
    ck_assert(!irq_level);
    for (unsigned i = 0; i < sizeof(want); i++) {
        ck_assert_msg(res[i] == want[i], "result byte %u is %02x, not %02x", i, res[i], want[i]);
    }
}

static void sense(uint8_t st0, uint8_t pcn)
{
    COMMAND(0x08);
    result(2);
    ck_assert_uint_eq(res[0], st0);
    ck_assert_uint_eq(res[1], pcn);
}

static void seek(uint8_t drive, uint8_t cylinder)
{
    COMMAND(0x0f, drive, cylinder);
    sense(0x20 | (drive & 3), cylinder);
}

/* Channel 2: 0x46 device to memory, 0x4a memory to device. */
static void program_dma(uint8_t mode, unsigned count)
{
    out8(dma, 10, 6);
    out8(dma, 12, 0);
    out8(dma, 11, mode);
    out8(dma, 4, 0);
    out8(dma, 4, 0);
    out8(dma, 5, (count - 1) & 0xff);
    out8(dma, 5, (count - 1) >> 8);
    device_write(dma, 1, 1, 1, BUF >> 16);
    out8(dma, 10, 2);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + at / 512 * 7);
}

static void release(void)
{
    out8(fdc, DOR, 0x00);
    ck_assert_uint_eq(in8(fdc, MSR), 0);
    out8(fdc, DOR, 0x1c);
    for (uint8_t i = 0; i < 4; i++) {
        ck_assert(irq_level);
        COMMAND(0x08);
        result(2);
        ck_assert_uint_eq(res[0], 0xc0 | i);
    }
    ck_assert(!irq_level);
    COMMAND(0x03, 0xdf, 0x02);
}

static void start(size_t size_a, size_t size_b, const char *type)
{
    isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    irq_connect(&isa->irq[6], irq_sink, NULL, 6);
    dma = bench_device(&i8237_class, "");
    isa->dma[0] = dma;
    size_t sizes[] = {size_a, size_b};
    for (unsigned i = 0; i < 2; i++) {
        if (sizes[i]) {
            disk[i] = drive_new_memory(i ? "b" : "a", sizes[i]);
            g_autofree uint8_t *bytes = g_malloc(sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++) {
                bytes[k] = pattern(k);
            }
            ck_assert_int_eq(drive_write_sync(disk[i], 0, bytes, sizes[i]), 0);
        }
    }
    GError *error = NULL;
    fdc = device_new(&isa_fdc_class, NULL);
    ck_assert(device_set(fdc, "fdtypeA", type, &error));
    device_set_pointer(fdc, "driveA", disk[0]);
    ck_assert_msg(device_realize(fdc, isa->bus, &error), "%s", error ? error->message : "");
    ck_assert(isa_fdc_add_drive(fdc, 1, disk[1], &error));
    release();
    out8(fdc, CCR, 0);
}

static void start_144(void)
{
    start(1440 * KB, 0, "auto");
}

static int64_t lba(unsigned spt, unsigned c, unsigned h, unsigned r)
{
    return ((int64_t)(c * 2 + h) * spt + r - 1) * 512;
}

/* The buffer holds what the image holds from `at` on. */
static void expect_data(int64_t at, size_t len)
{
    g_autofree uint8_t *got = g_malloc(len);
    bench_peek(BUF, got, len);
    for (size_t i = 0; i < len; i++) {
        ck_assert_msg(got[i] == pattern((size_t)at + i), "byte %zu is %02x", i, got[i]);
    }
}

START_TEST(reset_by_dor_and_dsr)
{
    start_144();
    COMMAND(0x08); /* nothing left to tell */
    result(1);
    ck_assert_uint_eq(res[0], 0x80);
    out8(fdc, DSR, 0x80);
    sense(0xc0, 0);
    sense(0xc1, 0);
    sense(0xc2, 0);
    sense(0xc3, 0);
    COMMAND(0x13, 0, 0x10, 0); /* polling off: no interrupt after a reset, but only until the next */
    out8(fdc, DOR, 0x18);
    ck_assert(!irq_level);
    out8(fdc, DOR, 0x1c);
    ck_assert(irq_level); /* a reset turned polling on again */
    out8(fdc, DOR, 0x14);
    ck_assert(irq_level); /* DMAGATE# keeps DRQ back alone */
    out8(fdc, TDR, 0xff);
    ck_assert_uint_eq(in8(fdc, TDR), 3);
    ck_assert_uint_eq(in8(fdc, DOR), 0x14);
    ck_assert_uint_eq(in8(fdc, 1), 0xc1); /* SRB: motor 0 */
}
END_TEST

START_TEST(settings)
{
    start_144();
    COMMAND(0x10);
    result(1);
    ck_assert_uint_eq(res[0], 0x90);
    COMMAND(0x18);
    result(1);
    ck_assert_uint_eq(res[0] >> 5, 0); /* a 64-pin 82078 */
    COMMAND(0x03, 0xaf, 0x02);
    COMMAND(0x13, 0x00, 0x57, 0x12);
    COMMAND(0x12, 0x8f);
    COMMAND(0x12, 0x41); /* without OW the drives stay */
    COMMAND(0x94);
    result(1);
    ck_assert_uint_eq(res[0], 0x10);
    seek(0, 7);
    COMMAND(0x0e);
    result(10);
    ck_assert_uint_eq(res[0], 7);
    ck_assert_uint_eq(res[4], 0xaf);
    ck_assert_uint_eq(res[5], 0x02);
    ck_assert_uint_eq(res[7], 0x8d);
    ck_assert_uint_eq(res[8], 0x57);
    ck_assert_uint_eq(res[9], 0x12);
    COMMAND(0x2e);
    result(16);
    uint8_t saved[17] = {0x4e};
    memcpy(saved + 1, res, 16);
    release();
    COMMAND(0x0e);
    result(10);
    ck_assert_uint_eq(res[7], 0x8c); /* GAP and WGATE are cleared */
    ck_assert_uint_eq(res[8], 0x07); /* locked: the threshold stays, EIS and POLL go */
    ck_assert_uint_eq(res[9], 0x12);
    COMMAND(0x14);
    result(1);
    ck_assert_uint_eq(res[0], 0x00);
    release();
    COMMAND(0x0e);
    result(10);
    ck_assert_uint_eq(res[8], 0x20);
    ck_assert_uint_eq(res[9], 0x00);
    command(saved, sizeof(saved));
    COMMAND(0x0e);
    result(10);
    ck_assert_uint_eq(res[4], 0xaf);
    ck_assert_uint_eq(res[7], 0x8d);
    ck_assert_uint_eq(res[8], 0x57);
    COMMAND(0x17, 0x03);
    result(1);
    ck_assert_uint_eq(res[0], 0x03);
    COMMAND(0x33, 0x01);
    COMMAND(0x8e, 0x00, 0x80); /* drive specification: DN, results follow */
    result(4);
    COMMAND(0x8e, 0x00, 0x20, 0xc0); /* DN and NRP: none */
    ck_assert_uint_eq(in8(fdc, MSR), 0x80);
}
END_TEST

START_TEST(invalid_commands)
{
    start_144();
    static const uint8_t codes[] = {0x00, 0x01, 0x1e, 0x1f, 0x87, 0xff, 0xa5, 0x4f, 0x88};
    for (size_t i = 0; i < sizeof(codes); i++) {
        COMMAND(codes[i]);
        result(1);
        ck_assert_uint_eq(res[0], 0x80);
        ck_assert(!irq_level);
    }
}
END_TEST

START_TEST(seeking)
{
    start_144();
    COMMAND(0x0f, 0x00, 40);
    ck_assert(irq_level);
    ck_assert_uint_eq(in8(fdc, MSR), 0x81);
    COMMAND(0x0f, 0x01, 9); /* the other drive meanwhile; it does not exist */
    ck_assert_uint_eq(in8(fdc, MSR), 0x83);
    sense(0x20, 40);
    ck_assert(irq_level);
    sense(0x21, 9);
    ck_assert(!irq_level);
    COMMAND(0x04, 0x04);
    result(1);
    ck_assert_uint_eq(res[0], 0x2c); /* head 1, not on track 0 */
    COMMAND(0xcf, 0x00, 5);
    sense(0x20, 45);
    COMMAND(0x8f, 0x00, 10);
    sense(0x20, 35);
    COMMAND(0x07, 0x00);
    sense(0x20, 0);
    COMMAND(0x04, 0x00);
    result(1);
    ck_assert_uint_eq(res[0], 0x38);
    COMMAND(0x07, 0x01); /* never finds track 0 */
    sense(0x71, 0);
}
END_TEST

START_TEST(read_with_terminal_count)
{
    start_144();
    seek(0, 3);
    program_dma(0x46, 512);
    COMMAND(0x46, 0x04, 3, 1, 5, 2, 18, 0x1b, 0xff);
    expect_result(0x04, 0, 0, 3, 1, 6, 2);
    expect_data(lba(18, 3, 1, 5), 512);
    program_dma(0x46, 700); /* TC in the middle of a sector */
    COMMAND(0x46, 0x04, 3, 1, 5, 2, 18, 0x1b, 0xff);
    expect_result(0x04, 0, 0, 3, 1, 7, 2);
    expect_data(lba(18, 3, 1, 5), 700);
    program_dma(0x46, 18 * 512); /* a whole track: the ID goes to the next cylinder */
    COMMAND(0xe6, 0x04, 3, 1, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x04, 0, 0, 4, 0, 1, 2);
    program_dma(0x46, 18 * 512);
    COMMAND(0x66, 0x00, 3, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 4, 0, 1, 2);
    expect_data(lba(18, 3, 0, 1), 18 * 512);
}
END_TEST

START_TEST(multi_track)
{
    start_144();
    seek(0, 2);
    program_dma(0x46, 36 * 512);
    COMMAND(0xe6, 0x00, 2, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x04, 0, 0, 3, 0, 1, 2);
    expect_data(lba(18, 2, 0, 1), 36 * 512);
    program_dma(0x46, 18 * 512); /* ends with side 0: the ID is on side 1 */
    COMMAND(0xe6, 0x00, 2, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 2, 1, 1, 2);
}
END_TEST

START_TEST(end_of_cylinder)
{
    start_144();
    program_dma(0x46, 8 * 512);
    COMMAND(0x46, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff);
    expect_result(0x40, 0x80, 0, 1, 0, 1, 2);
    expect_data(lba(18, 0, 0, 17), 1024);
}
END_TEST

START_TEST(dma_enabled_late)
{
    start_144();
    program_dma(0x46, 512);
    out8(dma, 10, 6);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    for (unsigned i = 0; i < 50; i++) {
        loop_iterate(false);
        g_usleep(100);
    }
    ck_assert_uint_eq(in8(fdc, MSR), 0x10);
    bench_advance(60 * NS_PER_SECOND); /* a slow guest loses nothing */
    ck_assert_uint_eq(in8(fdc, MSR), 0x10);
    out8(dma, 10, 2);
    expect_result(0x00, 0, 0, 0, 0, 2, 2);
    expect_data(0, 512);
}
END_TEST

START_TEST(write_and_read_back)
{
    static uint8_t out[1024], image[1536];
    start_144();
    seek(0, 79);
    memset(out, 0x5a, sizeof(out));
    bench_poke(BUF, out, sizeof(out));
    program_dma(0x4a, 600);
    COMMAND(0x45, 0x04, 79, 1, 17, 2, 18, 0x1b, 0xff);
    expect_result(0x04, 0, 0, 80, 1, 1, 2);
    ck_assert_int_eq(drive_read_sync(disk[0], lba(18, 79, 1, 16), image, sizeof(image)), 0);
    ck_assert_uint_eq(image[511], pattern((size_t)lba(18, 79, 1, 16) + 511));
    ck_assert_mem_eq(image + 512, out, 600);
    for (unsigned i = 600; i < 1024; i++) {
        ck_assert_uint_eq(image[512 + i], 0); /* the rest of a cut-off sector is zeroes */
    }
}
END_TEST

START_TEST(pio)
{
    static uint8_t image[512];
    start_144();
    COMMAND(0x03, 0xdf, 0x03);
    COMMAND(0x46, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff);
    for (unsigned i = 0; i < 1024; i++) {
        wait_msr(0xf0, 0xf0);
        ck_assert(irq_level);
        ck_assert_uint_eq(in8(fdc, FIFO), pattern((size_t)lba(18, 0, 0, 17) + i));
    }
    expect_result(0x40, 0x80, 0, 1, 0, 1, 2); /* no terminal count without DMA */
    COMMAND(0x45, 0x00, 0, 0, 3, 2, 3, 0x1b, 0xff);
    for (unsigned i = 0; i < 512; i++) {
        wait_msr(0xf0, 0xb0);
        out8(fdc, FIFO, (uint8_t)~i);
    }
    expect_result(0x40, 0x80, 0, 1, 0, 1, 2);
    ck_assert_int_eq(drive_read_sync(disk[0], lba(18, 0, 0, 3), image, 512), 0);
    for (unsigned i = 0; i < 512; i++) {
        ck_assert_uint_eq(image[i], (uint8_t)~i);
    }
}
END_TEST

START_TEST(format_track)
{
    static uint8_t ids[18][4], image[18 * 512];
    start_144();
    seek(0, 10);
    for (unsigned i = 0; i < 18; i++) {
        memcpy(ids[i], (const uint8_t[]){10, 1, (uint8_t)(i * 7 % 18 + 1), 2}, 4); /* interleaved */
    }
    bench_poke(BUF, ids, sizeof(ids));
    program_dma(0x4a, sizeof(ids));
    COMMAND(0x4d, 0x04, 2, 18, 0x6c, 0xf6);
    wait_msr(0xc0, 0xc0);
    ck_assert(irq_level);
    result(7);
    ck_assert_uint_eq(res[0], 0x04);
    ck_assert_uint_eq(res[1], 0);
    ck_assert_int_eq(drive_read_sync(disk[0], lba(18, 10, 1, 1), image, sizeof(image)), 0);
    for (unsigned i = 0; i < sizeof(image); i++) {
        ck_assert_uint_eq(image[i], 0xf6);
    }
    ck_assert_int_eq(drive_read_sync(disk[0], lba(18, 10, 0, 18), image, 512), 0);
    ck_assert_uint_eq(image[5], pattern((size_t)lba(18, 10, 0, 18) + 5)); /* the other side is untouched */
    ck_assert_int_eq(drive_read_sync(disk[0], lba(18, 11, 0, 1), image, 512), 0);
    ck_assert_uint_eq(image[5], pattern((size_t)lba(18, 11, 0, 1) + 5));
}
END_TEST

START_TEST(format_by_pio)
{
    static uint8_t image[512];
    start_144();
    COMMAND(0x03, 0xdf, 0x03);
    COMMAND(0x4d, 0x00, 2, 2, 0x6c, 0x11);
    for (uint8_t r = 1; r <= 2; r++) {
        const uint8_t id[] = {0, 0, r, 2};
        for (unsigned i = 0; i < 4; i++) {
            wait_msr(0xf0, 0xb0);
            out8(fdc, FIFO, id[i]);
        }
    }
    result(7);
    ck_assert_uint_eq(res[0], 0);
    ck_assert_int_eq(drive_read_sync(disk[0], 512, image, 512), 0);
    ck_assert_uint_eq(image[0], 0x11);
    ck_assert_uint_eq(image[511], 0x11);
}
END_TEST

static void scan(uint8_t code, const uint8_t *host, size_t n, uint8_t r, uint8_t eot, uint8_t stp)
{
    bench_poke(BUF, host, n);
    program_dma(0x4a, (unsigned)n);
    COMMAND(0x40 | code, 0x00, 0, 0, r, 2, eot, 0x1b, stp);
}

START_TEST(scanning)
{
    static uint8_t host[3 * 512];
    start_144();
    for (unsigned i = 0; i < sizeof(host); i++) {
        host[i] = pattern((size_t)lba(18, 0, 0, 4) + i);
    }
    scan(0x11, host, sizeof(host), 4, 6, 1);
    expect_result(0x00, 0, 0x08, 0, 0, 4, 2); /* equal: scan hit, at this sector */
    host[100] = 0xff;                         /* matches anything */
    scan(0x11, host, sizeof(host), 4, 6, 1);
    expect_result(0x00, 0, 0x08, 0, 0, 4, 2);
    host[100] = pattern((size_t)lba(18, 0, 0, 4) + 100) ^ 1;
    scan(0x11, host, sizeof(host), 4, 6, 1);
    expect_result(0x00, 0, 0x08, 0, 0, 5, 2); /* the next one matches */
    host[512] ^= 1;
    host[1024] ^= 1;
    scan(0x11, host, sizeof(host), 4, 6, 1);
    expect_result(0x00, 0, 0x04, 1, 0, 1, 2); /* not satisfied */
    memset(host, 0, sizeof(host));
    scan(0x1d, host, sizeof(host), 4, 6, 1); /* the medium is higher */
    expect_result(0x00, 0, 0x00, 0, 0, 4, 2);
    scan(0x19, host, sizeof(host), 4, 6, 2); /* never lower; two steps of two */
    expect_result(0x00, 0, 0x04, 1, 0, 1, 2);
    memset(host, 0xfe, sizeof(host));
    scan(0x19, host, sizeof(host), 4, 6, 1);
    expect_result(0x00, 0, 0x00, 0, 0, 4, 2);
}
END_TEST

START_TEST(verify)
{
    start_144();
    COMMAND(0x56, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff); /* to EOT, without a byte moving */
    expect_result(0x00, 0, 0, 1, 0, 1, 2);
    COMMAND(0x56, 0x80, 0, 0, 3, 2, 18, 0x1b, 5); /* EC: five sectors */
    expect_result(0x00, 0, 0, 0, 0, 8, 2);
    COMMAND(0xd6, 0x80, 0, 0, 1, 2, 18, 0x1b, 36); /* both sides */
    expect_result(0x04, 0, 0, 1, 0, 1, 2);
    COMMAND(0x56, 0x80, 0, 0, 17, 2, 18, 0x1b, 5); /* more than there are */
    expect_result(0x40, 0x80, 0, 1, 0, 1, 2);
    COMMAND(0x56, 0x00, 0, 0, 1, 2, 19, 0x1b, 0xff); /* EOT beyond the track */
    expect_result(0x40, 0x04, 0, 0, 0, 19, 2);
}
END_TEST

START_TEST(read_track)
{
    start_144();
    seek(0, 1);
    program_dma(0x46, 4 * 512);
    COMMAND(0x42, 0x00, 1, 0, 1, 2, 4, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 1, 0, 5, 2);
    expect_data(lba(18, 1, 0, 1), 4 * 512);
    program_dma(0x46, 4 * 512); /* from the index on, whatever R says; but ND tells */
    COMMAND(0x42, 0x00, 1, 0, 9, 2, 4, 0x1b, 0xff);
    expect_result(0x00, 0x04, 0, 1, 0, 13, 2);
    expect_data(lba(18, 1, 0, 1), 4 * 512);
}
END_TEST

START_TEST(deleted_marks)
{
    static uint8_t zero[512];
    start_144();
    bench_poke(BUF, zero, sizeof(zero));
    program_dma(0x4a, 512);
    COMMAND(0x49, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 0, 0, 3, 2);
    program_dma(0x46, 3 * 512); /* READ: sector 2 is read, marked, and ends the command */
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0x40, 0, 0, 2, 2);
    program_dma(0x46, 2 * 512); /* with SK it is left out */
    COMMAND(0x66, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0x40, 0, 0, 4, 2);
    program_dma(0x46, 512);
    COMMAND(0x4c, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff); /* READ DELETED finds its kind */
    expect_result(0x00, 0, 0, 0, 0, 3, 2);
    program_dma(0x46, 512);
    COMMAND(0x4c, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0x40, 0, 0, 1, 2);
    program_dma(0x46, 512);
    COMMAND(0x6c, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0x40, 0, 0, 3, 2);
    program_dma(0x4a, 512); /* a normal write makes it normal again */
    COMMAND(0x45, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 0, 0, 3, 2);
    program_dma(0x46, 512);
    COMMAND(0x46, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 0, 0, 3, 2);
}
END_TEST

START_TEST(read_id)
{
    start_144();
    seek(0, 20);
    COMMAND(0x4a, 0x04);
    expect_result(0x04, 0, 0, 20, 1, 1, 2);
    bench_advance(NS_PER_SECOND / 10); /* half a turn */
    COMMAND(0x4a, 0x00);
    expect_result(0x00, 0, 0, 20, 0, 10, 2);
    out8(fdc, CCR, 2); /* the wrong rate finds no address mark */
    COMMAND(0x4a, 0x00);
    result(7);
    ck_assert_uint_eq(res[0], 0x40);
    ck_assert_uint_eq(res[1], 0x01);
    out8(fdc, CCR, 0);
    COMMAND(0x0a, 0x00); /* how it is recorded is not looked at */
    expect_result(0x00, 0, 0, 20, 0, 10, 2);
}
END_TEST

START_TEST(not_found)
{
    start_144();
    seek(0, 5);
    COMMAND(0x46, 0x00, 5, 0, 19, 2, 19, 0x1b, 0xff);
    expect_result(0x40, 0x04, 0, 5, 0, 19, 2);
    COMMAND(0x46, 0x00, 6, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x40, 0x04, 0x10, 6, 0, 1, 2); /* wrong cylinder */
    COMMAND(0x46, 0x00, 0xff, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x40, 0x04, 0x12, 0xff, 0, 1, 2); /* bad cylinder */
    COMMAND(0x46, 0x04, 5, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x44, 0x04, 0, 5, 0, 1, 2); /* head bit and H differ */
    COMMAND(0x46, 0x00, 5, 0, 1, 3, 18, 0x1b, 0xff);
    expect_result(0x40, 0x04, 0, 5, 0, 1, 3); /* no sectors of 1024 bytes */
    COMMAND(0x46, 0x00, 5, 0, 0, 2, 18, 0x1b, 0xff);
    expect_result(0x40, 0x04, 0, 5, 0, 0, 2);
    COMMAND(0x46, 0x01, 0, 0, 1, 2, 18, 0x1b, 0xff); /* no such drive */
    expect_result(0x41, 0x01, 0, 0, 0, 1, 2);
    COMMAND(0x45, 0x02, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x42, 0x01, 0, 0, 0, 1, 2);
}
END_TEST

START_TEST(implied_seek)
{
    start_144();
    COMMAND(0x13, 0, 0x40, 0);
    program_dma(0x46, 512);
    COMMAND(0x46, 0x00, 33, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x20, 0, 0, 33, 0, 2, 2);
    expect_data(lba(18, 33, 0, 1), 512);
    COMMAND(0x08); /* the result phase told of it */
    result(1);
    ck_assert_uint_eq(res[0], 0x80);
}
END_TEST

START_TEST(disk_change)
{
    start_144();
    ck_assert_uint_eq(in8(fdc, DIGITAL_IN), 0x80);
    COMMAND(0x07, 0x00); /* no step, so no news */
    sense(0x20, 0);
    ck_assert_uint_eq(in8(fdc, DIGITAL_IN), 0x80);
    seek(0, 1);
    ck_assert_uint_eq(in8(fdc, DIGITAL_IN), 0x00);
    out8(fdc, DOR, 0x1d); /* drive B does not pull the line */
    ck_assert_uint_eq(in8(fdc, DIGITAL_IN), 0x00);
}
END_TEST

START_TEST(reset_in_a_transfer)
{
    start_144();
    program_dma(0x46, 512);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    release(); /* while the back end works */
    COMMAND(0x46, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 0, 0, 3, 2);
    expect_data(512, 512);
}
END_TEST

START_TEST(short_image)
{
    static uint8_t got[1024];
    start(1536, 0, "auto"); /* a boot sector and little more: the rest of a 1.44M disk reads as zeroes */
    program_dma(0x46, 1024);
    COMMAND(0x46, 0x00, 0, 0, 3, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 0, 0, 5, 2);
    bench_peek(BUF, got, sizeof(got));
    ck_assert_uint_eq(got[1], pattern(1025));
    for (unsigned i = 512; i < 1024; i++) {
        ck_assert_uint_eq(got[i], 0);
    }
}
END_TEST

START_TEST(write_protect)
{
    g_autofree char *path = NULL;
    GError *error = NULL;
    int fd = g_file_open_tmp("floppy-XXXXXX", &path, &error);
    ck_assert_int_eq(ftruncate(fd, 720 * KB), 0);
    close(fd);
    start(0, 0, "auto");
    g_autoptr(GHashTable) options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_hash_table_insert(options, g_strdup("file"), g_strdup(path));
    g_hash_table_insert(options, g_strdup("format"), g_strdup("raw"));
    g_hash_table_insert(options, g_strdup("readonly"), g_strdup("on"));
    disk[0] = drive_new("ro", options, &error);
    ck_assert_msg(disk[0] != NULL, "%s", error ? error->message : "");
    ck_assert(isa_fdc_add_drive(fdc, 0, disk[0], &error));
    unlink(path);
    out8(fdc, CCR, 2);
    COMMAND(0x04, 0x00);
    result(1);
    ck_assert_uint_eq(res[0], 0x78);
    program_dma(0x4a, 512);
    COMMAND(0x45, 0x00, 0, 0, 1, 2, 9, 0x1b, 0xff);
    expect_result(0x40, 0x02, 0, 0, 0, 1, 2);
    COMMAND(0x4d, 0x00, 2, 9, 0x6c, 0xf6);
    result(7);
    ck_assert_uint_eq(res[1], 0x02);
    program_dma(0x46, 512);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 9, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 0, 0, 2, 2);
    ck_assert_uint_eq(isa_fdc_cmos_types(fdc), 0x40);
}
END_TEST

static const struct {
    unsigned kb, sectors, tracks, heads;
    uint8_t rate, cmos;
} media[] = {
    {160, 8, 40, 1, 1, 0x20},    {180, 9, 40, 1, 1, 0x20},   {320, 8, 40, 2, 1, 0x20},
    {360, 9, 40, 2, 1, 0x20},    {410, 10, 41, 2, 1, 0x20},  {720, 9, 80, 2, 2, 0x40},
    {800, 10, 80, 2, 2, 0x40},   {1040, 13, 80, 2, 2, 0x40}, {1200, 15, 80, 2, 0, 0x20},
    {1440, 18, 80, 2, 0, 0x40},  {1476, 18, 82, 2, 0, 0x40}, {1680, 21, 80, 2, 0, 0x40},
    {1722, 21, 82, 2, 0, 0x40},  {1743, 21, 83, 2, 0, 0x40}, {1920, 24, 80, 2, 0, 0x40},
    {2880, 36, 80, 2, 3, 0x50},  {3840, 48, 80, 2, 3, 0x50},
};

static void one_medium(unsigned i, const char *type)
{
    start(media[i].kb * KB, 0, type);
    unsigned spt = media[i].sectors, last = media[i].tracks - 1, head = media[i].heads - 1;
    out8(fdc, CCR, media[i].rate);
    program_dma(0x46, 512);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, (uint8_t)spt, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 0, 0, 2, 2);
    expect_data(0, 512);
    seek(0, (uint8_t)last);
    program_dma(0x46, 512);
    COMMAND(0x46, (uint8_t)(head << 2), (uint8_t)last, (uint8_t)head, (uint8_t)spt, 2, (uint8_t)spt, 0x1b, 0xff);
    expect_result((uint8_t)(head << 2), 0, 0, (uint8_t)(last + 1), (uint8_t)head, 1, 2);
    expect_data((int64_t)media[i].kb * KB - 512, 512);
    COMMAND(0x46, (uint8_t)(head << 2), (uint8_t)last, (uint8_t)head, (uint8_t)(spt + 1), 2, 99, 0x1b, 0xff);
    expect_result((uint8_t)(0x40 | head << 2), 0x04, 0, (uint8_t)last, (uint8_t)head, (uint8_t)(spt + 1), 2);
    if (!head) {
        COMMAND(0x46, 0x04, (uint8_t)last, 1, 1, 2, (uint8_t)spt, 0x1b, 0xff);
        expect_result(0x44, 0x01, 0, (uint8_t)last, 1, 1, 2);
    }
    out8(fdc, CCR, media[i].rate ^ 2);
    COMMAND(0x4a, 0x00);
    result(7);
    ck_assert_uint_eq(res[1], 0x01);
}

START_TEST(geometries)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(media); i++) {
        one_medium(i, "auto");
        ck_assert_uint_eq(isa_fdc_cmos_types(fdc), media[i].cmos);
        device_free(fdc);
        drive_free(disk[0]);
    }
}
END_TEST

START_TEST(double_step)
{
    start(360 * KB, 0, "120");
    out8(fdc, CCR, 1);
    seek(0, 78);
    program_dma(0x46, 512);
    COMMAND(0x46, 0x00, 39, 0, 1, 2, 9, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 39, 0, 2, 2);
    expect_data(lba(9, 39, 0, 1), 512);
    COMMAND(0x4a, 0x00);
    result(7);
    ck_assert_uint_eq(res[3], 39);
    out8(fdc, CCR, 2); /* a drive with two speeds */
    COMMAND(0x4a, 0x00);
    result(7);
    ck_assert_uint_eq(res[0], 0);
}
END_TEST

START_TEST(two_drives)
{
    start(1440 * KB, 720 * KB, "288");
    ck_assert_uint_eq(isa_fdc_cmos_types(fdc), 0x54);
    seek(1, 4);
    out8(fdc, CCR, 2);
    program_dma(0x46, 1024);
    COMMAND(0x46, 0x05, 4, 1, 2, 2, 9, 0x1b, 0xff);
    expect_result(0x05, 0, 0, 4, 1, 4, 2);
    expect_data(lba(9, 4, 1, 2), 1024);
    out8(fdc, CCR, 0);
    program_dma(0x46, 512);
    COMMAND(0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect_result(0x00, 0, 0, 0, 0, 2, 2);
}
END_TEST

START_TEST(ports_and_properties)
{
    start_144();
    GError *error = NULL;
    mem_commit();
    ck_assert_uint_eq(space_load(space_io(), 0x3f4, 1), 0x80);
    ck_assert_uint_eq(space_load(space_io(), 0x3f6, 1), 0xff); /* the disk controller's */
    ck_assert_uint_eq(space_load(space_io(), 0x3f7, 1), 0x80);
    g_autofree char *path = isa->bus->class->device_path(fdc);
    ck_assert_str_eq(path, "fdc@03f0");
    Bus *cable = bus_find("floppy-bus.0");
    ck_assert_ptr_nonnull(cable);
    Device *third = device_new(&floppy_class, NULL);
    ck_assert(device_set(third, "unit", "0", &error));
    ck_assert(!device_realize(third, cable, &error));
    ck_assert_str_eq(error->message, "Floppy unit 0 is in use");
    g_clear_error(&error);
    ck_assert(device_set(third, "unit", "2", &error));
    ck_assert(!device_realize(third, cable, &error));
    g_clear_error(&error);
    ck_assert(!device_set(third, "drive-type", "1440", &error));
    device_free(third);
}
END_TEST

BENCH_MAIN("fdc", CASE(reset_by_dor_and_dsr), CASE(settings), CASE(invalid_commands), CASE(seeking),
           CASE(read_with_terminal_count), CASE(multi_track), CASE(end_of_cylinder), CASE(dma_enabled_late),
           CASE(write_and_read_back), CASE(pio), CASE(format_track), CASE(format_by_pio), CASE(scanning), CASE(verify),
           CASE(read_track), CASE(deleted_marks), CASE(read_id), CASE(not_found), CASE(implied_seek), CASE(disk_change),
           CASE(reset_in_a_transfer), CASE(short_image), CASE(write_protect), CASE(geometries), CASE(double_step),
           CASE(two_drives), CASE(ports_and_properties))
