/* ATAPI drives, through the ports of the PIIX3's channels (MMC-6, ATA/ATAPI-6 §8.27). */
#include "hw/storage/atapi.h"
#include "tests/hw/ide-bench.h"

enum { CD_BLOCKS = 300 };
static uint8_t reply[65536];

static void cd_setup(void)
{
    ide_setup(0, CD_BLOCKS * CD_SECTOR);
    uint8_t block[CD_SECTOR];
    for (unsigned n = 0; n < CD_BLOCKS; n++) {
        memset(block, (int)n, sizeof block);
        drive_write_sync(disk, n * CD_SECTOR, block, sizeof block);
    }
}

/* A packet command by PIO with a byte count limit; returns the bytes read, checks the phases. */
static unsigned packet(const uint8_t cdb[12], unsigned limit)
{
    unsigned got = 0;
    set_reg(1, 0);
    set_reg(4, (uint8_t)limit);
    set_reg(5, (uint8_t)(limit >> 8));
    set_reg(7, 0xa0);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC | ATA_DRQ);
    ck_assert_uint_eq(reg(2), 1); /* C/D, to the device */
    write_data(cdb, 12);
    settle();
    while (in(CONTROL, 1) & ATA_DRQ) {
        ck_assert(irq14.level);
        reg(7);
        ck_assert_uint_eq(reg(2), 2); /* data, to the host */
        unsigned n = reg(4) | (unsigned)reg(5) << 8;
        ck_assert(n && n <= MAX(limit, 2) && got + n <= sizeof reply);
        read_data(reply + got, n);
        got += n;
        settle();
    }
    ck_assert(irq14.level);
    ck_assert_uint_eq(reg(2), 3);
    reg(7);
    return got;
}

#define PACKET(...) packet((const uint8_t[12]){__VA_ARGS__}, 0xfffe)

static unsigned sense(void)
{
    ck_assert_uint_eq(PACKET(0x03, 0, 0, 0, 18), 18);
    return (unsigned)reply[2] << 16 | load_be16(reply + 12);
}

START_TEST(signature_and_identify)
{
    cd_setup();
    ck_assert_uint_eq(reg(4), 0x14);
    ck_assert_uint_eq(reg(5), 0xeb);
    ck_assert_uint_eq(reg(7), 0);
    command(0xec);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC | ATA_ERR);
    ck_assert_uint_eq(reg(1), ATA_ABRT);
    ck_assert_uint_eq(reg(4), 0x14);
    command(0xa1);
    read_data(reply, 512);
    ck_assert_uint_eq(load_le(reply, 2), 0x85c0);
    ck_assert(!memcmp(reply + 54, "EQUMD DVR-MO", 12));
    command(0x08);
    ck_assert_uint_eq(reg(7), 0);
    ck_assert_uint_eq(reg(5), 0xeb);
}
END_TEST

START_TEST(inquiry_and_sense)
{
    cd_setup();
    ck_assert_uint_eq(PACKET(0x12, 0, 0, 0, 36), 36);
    ck_assert_uint_eq(reply[0], 5);
    ck_assert_uint_eq(reply[1], 0x80);
    ck_assert(!memcmp(reply + 8, "QEMU    QEMU DVD-ROM    2.5+", 28));
    ck_assert_uint_eq(PACKET(0x12, 0, 0, 0, 5), 5);
    PACKET(0xff);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC | ATA_ERR);
    ck_assert_uint_eq(reg(1) >> 4, SENSE_ILLEGAL);
    ck_assert_uint_eq(sense(), 0x052000);
    ck_assert_uint_eq(sense(), 0);
    PACKET(0x00);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
}
END_TEST

START_TEST(reading)
{
    cd_setup();
    ck_assert_uint_eq(PACKET(0x25), 8);
    ck_assert_uint_eq(load_be32(reply), CD_BLOCKS - 1);
    ck_assert_uint_eq(load_be32(reply + 4), CD_SECTOR);
    /* 20 blocks are more than the buffer, and go by pieces of the host's limit */
    irq14.rises = 0;
    ck_assert_uint_eq(packet((const uint8_t[12]){0x28, 0, 0, 0, 0, 50, 0, 0, 20}, 2048),
                      20 * CD_SECTOR);
    ck_assert_uint_eq(irq14.rises, 21);
    for (unsigned n = 0; n < 20; n++) {
        ck_assert_uint_eq(reply[n * CD_SECTOR + 99], 50 + n);
    }
    ck_assert_uint_eq(packet((const uint8_t[12]){0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 1}, 513), CD_SECTOR);
    ck_assert_uint_eq(reply[0], 7);
    PACKET(0x28, 0, 0, 0, 1, 0x2b, 0, 0, 2);
    ck_assert_uint_eq(sense(), 0x052100);
    ck_assert_uint_eq(PACKET(0x28, 0, 0, 0, 0, 0, 0, 0, 0), 0);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    /* READ CD, user data and whole sectors */
    ck_assert_uint_eq(PACKET(0xbe, 0, 0, 0, 0, 3, 0, 0, 1, 0x10), CD_SECTOR);
    ck_assert_uint_eq(reply[0], 3);
    ck_assert_uint_eq(PACKET(0xbe, 0, 0, 0, 0, 0, 0, 0, 20, 0xf8), 20 * CD_RAW);
    ck_assert_uint_eq(reply[1], 0xff);
    ck_assert_uint_eq(reply[13], 0x02); /* 00:02:00, BCD */
    const uint8_t *last = reply + 19 * CD_RAW;
    ck_assert_uint_eq(last[14], 0x19);
    ck_assert_uint_eq(last[15], 1);
    ck_assert_uint_eq(last[16], 19);
}
END_TEST

START_TEST(dma)
{
    cd_setup();
    uint32_t prd[2] = {0x20000, 0x80000000 | 4 * CD_SECTOR};
    bench_poke(0x1000, prd, sizeof prd);
    out(BM + 4, 4, 0x1000);
    set_reg(1, 1);
    set_reg(7, 0xa0);
    write_data((const uint8_t[12]){0x28, 0, 0, 0, 0, 200, 0, 0, 4}, 12);
    out(BM, 1, 9);
    settle();
    ck_assert_uint_eq(in(BM + 2, 1), 4);
    ck_assert_uint_eq(reg(2), 3);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    bench_peek(0x20000, reply, 4 * CD_SECTOR);
    ck_assert_uint_eq(reply[0], 200);
    ck_assert_uint_eq(reply[3 * CD_SECTOR], 203);
    /* a reply that does not come from the medium */
    out(BM, 1, 0);
    out(BM + 2, 1, 4);
    prd[1] = 0x80000000 | 36;
    bench_poke(0x1000, prd, sizeof prd);
    set_reg(7, 0xa0);
    write_data((const uint8_t[12]){0x12, 0, 0, 0, 36}, 12);
    out(BM, 1, 9);
    settle();
    ck_assert_uint_eq(in(BM + 2, 1), 4);
    bench_peek(0x20000, reply, 36);
    ck_assert(!memcmp(reply + 8, "QEMU", 4));
}
END_TEST

START_TEST(toc_and_descriptions)
{
    cd_setup();
    ck_assert_uint_eq(PACKET(0x43, 0, 0, 0, 0, 0, 0, 0, 20), 20);
    ck_assert_uint_eq(load_be16(reply), 18);
    ck_assert_uint_eq(reply[6], 1);
    ck_assert_uint_eq(reply[14], 0xaa);
    ck_assert_uint_eq(load_be32(reply + 16), CD_BLOCKS);
    ck_assert_uint_eq(PACKET(0x43, 2, 0, 0, 0, 0, 0xaa, 0, 99), 12);
    ck_assert_uint_eq(reply[9], 0);
    ck_assert_uint_eq(reply[10], 6); /* 300 + 150 frames: 0:06:00 */
    ck_assert_uint_eq(PACKET(0x43, 0, 1, 0, 0, 0, 0, 0, 12), 12);
    ck_assert_uint_eq(PACKET(0x43, 0, 2, 0, 0, 0, 0, 0, 99), 48);
    ck_assert_uint_eq(reply[4 + 22 + 3], 0xa2);
    PACKET(0x43, 0, 7, 0, 0, 0, 0, 0, 99);
    ck_assert_uint_eq(sense(), 0x052400);

    ck_assert_uint_eq(PACKET(0x46, 0, 0, 0, 0, 0, 0, 0, 8), 8);
    ck_assert_uint_eq(load_be16(reply + 6), 0x0008);
    unsigned n = PACKET(0x46, 2, 0, 3, 0, 0, 0, 0, 64);
    ck_assert_uint_eq(n, 16);
    ck_assert_uint_eq(load_be16(reply + 8), 3);
    ck_assert_uint_eq(PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64), 28);
    ck_assert_uint_eq(reply[8], 0x2a);
    ck_assert_uint_eq(reply[2], 0x01);
    PACKET(0x5a, 0, 0xea, 0, 0, 0, 0, 0, 64);
    ck_assert_uint_eq(sense(), 0x053900);
    ck_assert_uint_eq(PACKET(0x51, 0, 0, 0, 0, 0, 0, 0, 34), 34);
    ck_assert_uint_eq(reply[2], 0x0e);
    ck_assert_uint_eq(PACKET(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), 8);
    PACKET(0xad, 0, 0, 0, 0, 0, 0, 0, 8, 4);
    ck_assert_uint_eq(sense(), 0x053002);
    PACKET(0x2b, 0, 0, 0, 1, 0x2c);
    ck_assert_uint_eq(sense(), 0x052100);
}
END_TEST

START_TEST(tray)
{
    cd_setup();
    PACKET(0x1e, 0, 0, 0, 1);
    PACKET(0x1b, 0, 0, 0, 2);
    ck_assert_uint_eq(sense(), 0x055302);
    PACKET(0x1e, 0, 0, 0, 0);
    PACKET(0x1b, 0, 0, 0, 2);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    PACKET(0x00);
    ck_assert_uint_eq(sense(), 0x023a02);
    ck_assert_uint_eq(PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 8);
    ck_assert_uint_eq(reply[2], 4);
    ck_assert_uint_eq(reply[5], 1);
    PACKET(0x1b, 0, 0, 0, 3);
    PACKET(0x00);
    ck_assert_uint_eq(reg(1) >> 4, SENSE_ATTENTION);
    ck_assert_uint_eq(sense(), 0x062800);
    PACKET(0x00);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    ck_assert_uint_eq(PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 8);
    ck_assert_uint_eq(reply[4], 2);
    ck_assert_uint_eq(reply[5], 2);
}
END_TEST

START_TEST(mode_select)
{
    cd_setup();
    static const uint8_t page[16] = {[8] = 1, [9] = 6}, other[16] = {[8] = 0x0e, [9] = 6};
    for (unsigned n = 0; n < 2; n++) {
        set_reg(1, 0);
        set_reg(4, 0xfe);
        set_reg(5, 0xff);
        set_reg(7, 0xa0);
        write_data((const uint8_t[12]){0x55, 0x10, 0, 0, 0, 0, 0, 0, 16}, 12);
        ck_assert(in(CONTROL, 1) & ATA_DRQ);
        ck_assert_uint_eq(reg(2), 0);
        write_data(n ? other : page, 16);
        ck_assert_uint_eq(reg(7), n ? ATA_DRDY | ATA_DSC | ATA_ERR : ATA_DRDY | ATA_DSC);
    }
    ck_assert_uint_eq(sense(), 0x052600);
}
END_TEST

START_TEST(random_accesses)
{
    cd_setup();
    fuzz(2, 60000);
}
END_TEST

BENCH_MAIN("atapi", CASE(signature_and_identify), CASE(inquiry_and_sense), CASE(reading), CASE(dma),
           CASE(toc_and_descriptions), CASE(tray), CASE(mode_select), CASE(random_accesses))
