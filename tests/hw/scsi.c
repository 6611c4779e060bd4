/* SCSI disks: each command against what SPC-4 and SBC-3 say of it. */
#include "tests/hw/scsi-bench.h"

#include <errno.h>

enum { SIZE = 512 << 10, BLOCKS = SIZE / 512, ATTENTION = 0x062900 };
static ScsiDevice *disk;
static Drive *drive;

static void start(const char *props)
{
    sb_start();
    drive = fake_drive("disk", SIZE);
    disk = sb_plug("scsi-hd", drive, props);
    IN(0, 0);
    ck_sense(ATTENTION);
    IN(0, 0);
    ck_sense(0);
}

/* ---- Who it is (SPC-4 §6.6, §7.8) ---- */

START_TEST(inquiry)
{
    start("vendor=VNDR,product=a disk,ver=1.2");
    ck_assert_uint_eq(IN(255, 0x12, 0, 0, 0, 255), 36);
    ck_sense(0);
    ck_assert_uint_eq(sb.in[0], 0);
    ck_assert_uint_eq(sb.in[1], 0);
    ck_assert_uint_eq(sb.in[2], 6);
    ck_assert_uint_eq(sb.in[3] & 0x0f, 2);
    ck_assert_uint_eq(sb.in[4], 31);
    ck_assert_uint_eq(sb.in[7] & 2, 2);
    ck_assert(!memcmp(sb.in + 8, "VNDR    a disk          1.2 ", 28));
    ck_assert_uint_eq(IN(255, 0x12, 0, 0, 0, 5), 5);
    ck_assert_uint_eq(IN(255, 0x12, 0, 0, 0, 0), 0);
    ck_sense(0);
    ck_assert_uint_eq(IN(255, 0x12, 0x60, 0, 0, 36), 36); /* the LUN, as SCSI-2 has it */
    IN(255, 0x12, 0, 0x80, 0, 255);                       /* a page without EVPD */
    ck_sense(0x052400);
    IN(255, 0x12, 2, 0, 0, 255);
    ck_sense(0x052400);
    IN(10, 0x12, 0, 0, 0, 36); /* the initiator has less room than it said */
    ck_assert_uint_eq(sb.answer.outcome, SCSI_OVERRUN);
}
END_TEST

START_TEST(vital_data)
{
    start("serial=S/N 7,wwn=0x5000c50015ea71ac,device_id=ident,rotation_rate=7200,physical_block_size=4096,"
          "opt_io_size=65536,min_io_size=4096,max_io_size=1M,discard_granularity=8192");
    ck_assert_uint_eq(IN(255, 0x12, 1, 0, 0, 255), 10);
    ck_assert(!memcmp(sb.in, "\0\0\0\6\x00\x80\x83\xb0\xb1\xb2", 10));
    ck_assert_uint_eq(IN(255, 0x12, 1, 0x80, 0, 255), 9);
    ck_assert(!memcmp(sb.in, "\0\x80\0\5S/N 7", 9));
    ck_assert_uint_eq(IN(255, 0x12, 1, 0x83, 0, 255), 4 + 9 + 12);
    ck_assert(!memcmp(sb.in + 4, "\2\0\0\5ident\1\3\0\x8\x50\0\xc5\0\x15\xea\x71\xac", 21));
    ck_assert_uint_eq(IN(255, 0x12, 1, 0xb0, 0, 255), 64);
    ck_assert_uint_eq(sb.in[4], 1);
    ck_assert_uint_eq(load_be16(sb.in + 6), 8);
    ck_assert_uint_eq(load_be32(sb.in + 8), 2048);
    ck_assert_uint_eq(load_be32(sb.in + 12), 128);
    ck_assert_uint_eq(load_be32(sb.in + 20), UINT32_MAX);
    ck_assert_uint_eq(load_be32(sb.in + 24), 255);
    ck_assert_uint_eq(load_be32(sb.in + 28), 16);
    ck_assert_uint_eq(load_be64(sb.in + 36), (1 << 30) / 512);
    ck_assert_uint_eq(IN(255, 0x12, 1, 0xb1, 0, 255), 64);
    ck_assert_uint_eq(load_be16(sb.in + 4), 7200);
    ck_assert_uint_eq(IN(255, 0x12, 1, 0xb2, 0, 255), 8);
    ck_assert_uint_eq(sb.in[5], 0xe0);
    ck_assert_uint_eq(sb.in[6], 2);
    IN(255, 0x12, 1, 0x84, 0, 255);
    ck_sense(0x052400);
    ck_assert_uint_eq(IN(255, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255), 32);
    ck_assert_uint_eq(sb.in[13], 3); /* 8 logical blocks in a physical one */
    ck_assert_uint_eq(sb.in[14], 0x80);
}
END_TEST

START_TEST(plain_disk_without_discard)
{
    start("discard_granularity=0");
    ck_assert_uint_eq(IN(255, 0x12, 1, 0, 0, 255), 9); /* no serial number, no page for it */
    IN(255, 0x12, 1, 0x80, 0, 255);
    ck_sense(0x052400);
    IN(255, 0x12, 1, 0x83, 0, 255);
    ck_assert(!memcmp(sb.in + 4, "\2\0\0\4disk", 8)); /* named after its drive */
    IN(255, 0x12, 1, 0xb2, 0, 255);
    ck_assert_uint_eq(sb.in[5], 0);
    OUT(24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24);
    ck_sense(0x052000);
    OUT(512, 0x41, 8, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0x052400);
    IN(255, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255);
    ck_assert_uint_eq(sb.in[14], 0);
}
END_TEST

/* ---- Unit attentions and sense (SAM-5 §5.14, SPC-4 §6.39) ---- */

START_TEST(attentions)
{
    start(NULL);
    device_reset(&disk->dev, false);
    ck_assert_uint_eq(IN(255, 0x12, 0, 0, 0, 36), 36); /* these are answered all the same */
    ck_sense(0);
    IN(255, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 255);
    ck_sense(0);
    IN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(ATTENTION);
    IN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0);
    ck_assert(drive_resize(drive, SIZE / 2, NULL));
    ck_assert_uint_eq(sb.resized, 1);
    device_reset(&disk->dev, false); /* makes what was due before obsolete */
    ck_assert_uint_eq(IN(255, 0x03, 0, 0, 0, 255), 18);
    ck_assert_uint_eq(sb.in[0], 0x70);
    ck_assert_uint_eq(sb.in[2], SENSE_ATTENTION);
    ck_assert_uint_eq(load_be16(sb.in + 12), 0x2900);
    IN(255, 0x03, 0, 0, 0, 255);
    ck_assert_uint_eq(sb.in[2], 0);
    ck_assert(drive_resize(drive, SIZE, NULL));
    IN(0, 0);
    ck_sense(0x062a09);
    IN(255, 0x03, 1, 0, 0, 255); /* descriptor format */
    ck_sense(0x052400);
}
END_TEST

START_TEST(unknown_commands)
{
    static const uint8_t codes[] = {0x01, 0x04, 0x07, 0x16, 0x17, 0x1c, 0x1d, 0x34, 0x36, 0x37, 0x3b, 0x3c, 0x43, 0x4d, 0x53,
                                    0x56, 0x57, 0x5e, 0x5f, 0x7f, 0x83, 0x84, 0x85, 0x89, 0xa1, 0xa3, 0xa4, 0xbe, 0xc0, 0xff};
    start(NULL);
    for (unsigned i = 0; i < sizeof codes; i++) {
        IN(255, codes[i], 0, 0, 0, 255, 0, 0, 255, 255);
        ck_sense(0x052000);
    }
    IN(255, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255);
    ck_sense(0x052400);
}
END_TEST

/* ---- Blocks (SBC-3) ---- */

START_TEST(capacity)
{
    start(NULL);
    ck_assert_uint_eq(IN(8, 0x25), 8);
    ck_assert_uint_eq(load_be32(sb.in), BLOCKS - 1);
    ck_assert_uint_eq(load_be32(sb.in + 4), 512);
    IN(8, 0x25, 0, 0, 0, 0, 1);
    ck_sense(0x052400);
    ck_assert_uint_eq(IN(255, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12), 12);
    ck_assert_uint_eq(load_be64(sb.in), BLOCKS - 1);
    ck_assert_uint_eq(load_be32(sb.in + 8), 512);
}
END_TEST

START_TEST(large)
{
    sb_start();
    BlockNode *n = node_new(block_driver_find("null-co"), &(NodeMode){0});
    n->length = INT64_C(3) << 40;
    sb_plug("scsi-hd", drive_new_node("large", n), "logical_block_size=512");
    IN(0, 0);
    IN(8, 0x25);
    ck_assert_uint_eq(load_be32(sb.in), UINT32_MAX);
    IN(32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32);
    ck_assert_uint_eq(load_be64(sb.in), (UINT64_C(3) << 31) - 1);
    IN(512, 0x88, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1);
    ck_sense(0);
    IN(512, 0x88, 0, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0x052100);
    IN(512, 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1);
    ck_sense(0x052100);
}
END_TEST

/* Block 5, one way of saying it after the other; then a write of block 6 by its sibling. */
START_TEST(read_and_write)
{
    static const struct {
        unsigned len;
        uint8_t read[16], write[16];
    } sizes[] = {
        {6, {0x08, 0, 0, 5, 1}, {0x0a, 0, 0, 6, 1}},
        {10, {0x28, 0, 0, 0, 0, 5, 0, 0, 1}, {0x2a, 0, 0, 0, 0, 6, 0, 0, 1}},
        {12, {0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 1}, {0xaa, 0, 0, 0, 0, 6, 0, 0, 0, 1}},
        {16, {0x88, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1}, {0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1}},
        {10, {0x28, 0x18, 0, 0, 0, 5, 0, 0, 1}, {0x2e, 0, 0, 0, 0, 6, 0, 0, 1}},
        {12, {0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 1}, {0xae, 0, 0, 0, 0, 6, 0, 0, 0, 1}},
        {16, {0x88, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1}, {0x8e, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1}},
    };
    start(NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        memset(sb.in, 0xee, 1024);
        ck_assert_uint_eq(sb_run(0, 0, sizes[i].read, sizes[i].len, 0, 1024), 512);
        ck_sense(0);
        ck_assert_uint_eq(sb.in[0], 5);
        ck_assert_uint_eq(sb.in[511], 5);
        ck_assert_uint_eq(sb.in[512], 0xee);
        ck_assert(sb.answer.inward);
        memset(sb.out, (int)(0x40 + i), 512);
        ck_assert_uint_eq(sb_run(0, 0, sizes[i].write, sizes[i].len, 512, 0), 512);
        ck_sense(0);
        ck_assert(!sb.answer.inward);
        ck_assert_uint_eq(fake.data[6 * 512], 0x40 + i);
        ck_assert_uint_eq(fake.data[6 * 512 - 1], 5);
        ck_assert_uint_eq(fake.data[7 * 512], 7);
    }
    ck_assert_uint_eq(fake.fua, 3);                            /* of those that verify */
    OUT(512, 0x2a, 8, 0, 0, 0, 6, 0, 0, 1);
    ck_assert_uint_eq(fake.fua, 4);
    ck_assert_uint_eq(IN(1 << 17, 0x08, 0, 0, 5, 0), 256 * 512); /* 0 is 256, with 6 bytes only */
    ck_assert_uint_eq(IN(512, 0x28, 0, 0, 0, 0, 5, 0, 0, 0), 0);
    ck_sense(0);
}
END_TEST

START_TEST(bad_reads_and_writes)
{
    start("max_io_size=4096");
    IN(1024, 0x28, 0, 0, 0, BLOCKS >> 8, 0, 0, 0, 1);
    ck_sense(0x052100);
    IN(1024, 0x28, 0, 0, 0, (BLOCKS - 1) >> 8, 0xff, 0, 0, 2);
    ck_sense(0x052100);
    IN(0, 0x28, 0, 0, 0, BLOCKS >> 8, 0, 0, 0, 0); /* nothing, right behind the end */
    ck_sense(0);
    IN(0, 0x28, 0, 0, 0, BLOCKS >> 8, 1, 0, 0, 0);
    ck_sense(0x052100);
    IN(4096, 0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    ck_sense(0);
    IN(8192, 0x28, 0, 0, 0, 0, 0, 0, 0, 9); /* more than VPD page B0 allows */
    ck_sense(0x052400);
    IN(512, 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1); /* protection information */
    ck_sense(0x052400);
    IN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 2);
    ck_assert_uint_eq(sb.answer.outcome, SCSI_OVERRUN);
    OUT(1023, 0x2a, 0, 0, 0, 0, 0, 0, 0, 2);
    ck_assert_uint_eq(sb.answer.outcome, SCSI_OVERRUN);
    ck_assert_uint_eq(fake.data[0], 0);
    IN(512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1); /* the wrong way */
    ck_assert_uint_eq(sb.answer.outcome, SCSI_OVERRUN);
}
END_TEST

START_TEST(verify)
{
    start(NULL);
    IN(0, 0x2f, 0, 0, 0, 0, 0, 0, 1, 0);
    ck_sense(0);
    fake.fail = -EIO;
    IN(0, 0x2f, 0, 0, 0, 0, 0, 0, 1, 0);
    ck_sense(0x031100);
    fake.fail = 0;
    for (unsigned i = 0; i < 300 * 512; i++) {
        sb.out[i] = (uint8_t)(i / 512);
    }
    OUT(300 * 512, 0x2f, 2, 0, 0, 0, 0, 0, 300 >> 8, 300 & 0xff);
    ck_sense(0);
    sb.out[299 * 512 + 7] ^= 1;
    OUT(300 * 512, 0x8f, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 300 >> 8, 300 & 0xff);
    ck_sense(0x0e1d00);
    OUT(300 * 512, 0xaf, 2, 0, 0, 0, 0, 0, 0, 300 >> 8, (300 & 0xff) - 1);
    ck_sense(0);
    OUT(512, 0x2f, 2, 0, 0, 0, 0, 0, 0, 2);
    ck_assert_uint_eq(sb.answer.outcome, SCSI_OVERRUN);
    OUT(512, 0x2f, 6, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0x052400);
}
END_TEST

/* ---- Discarding ---- */

static void unmap(unsigned len, unsigned list, uint64_t lba, uint32_t n)
{
    memset(sb.out, 0, 64);
    store_be16(sb.out, list + 6);
    store_be16(sb.out + 2, list);
    store_be64(sb.out + 8, lba);
    store_be32(sb.out + 16, n);
    store_be64(sb.out + 24, 100);
    store_be32(sb.out + 32, 1);
    OUT(len, 0x42, 0, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len);
}

START_TEST(discards)
{
    start(NULL);
    unmap(40, 32, 8, 8);
    ck_sense(0);
    ck_assert_uint_eq(fake.discards, 2);
    ck_assert_uint_eq(fake.data[8 * 512], 0xdd);
    ck_assert_uint_eq(fake.data[16 * 512 - 1], 0xdd);
    ck_assert_uint_eq(fake.data[16 * 512], 16);
    ck_assert_uint_eq(fake.data[100 * 512], 0xdd);
    unmap(40, 16, 8, 8); /* only one belongs to the list */
    ck_assert_uint_eq(fake.discards, 3);
    unmap(39, 32, 8, 8); /* the second was cut: it is left out (SBC-3 §5.27.2) */
    ck_assert_uint_eq(fake.discards, 4);
    unmap(40, 32, BLOCKS, 0);
    ck_sense(0);
    ck_assert_uint_eq(fake.discards, 5); /* of nothing, and one */
    unmap(40, 0xffff, 8, 1);
    ck_sense(0);
    unmap(0, 0, 0, 0);
    ck_sense(0);
    fake.discards = 0;
    unmap(7, 0, 0, 0);
    ck_sense(0x051a00);
    unmap(40, 32, BLOCKS - 1, 2);
    ck_sense(0x052100);
    unmap(40, 32, UINT64_MAX, 2);
    ck_sense(0x052100);
    OUT(1 << 16, 0x42, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
    ck_sense(0x052600);
    OUT(24, 0x42, 1, 0, 0, 0, 0, 0, 0, 24);
    ck_sense(0x052400);
    ck_assert_uint_eq(fake.discards, 0); /* nothing is done unless all is right */
}
END_TEST

START_TEST(write_same)
{
    start(NULL);
    memset(sb.out, 0x77, 512);
    OUT(512, 0x41, 0, 0, 0, 0, 10, 0, 1, 0x2c); /* 300 blocks, more than a piece */
    ck_sense(0);
    ck_assert_uint_eq(fake.data[9 * 512], 9);
    ck_assert_uint_eq(fake.data[10 * 512], 0x77);
    ck_assert_uint_eq(fake.data[310 * 512 - 1], 0x77);
    ck_assert_uint_eq(fake.data[310 * 512], (uint8_t)310);
    memset(sb.out, 0, 512);
    OUT(512, 0x93, 8, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 5);
    ck_sense(0);
    ck_assert_uint_eq(fake.data[20 * 512 - 1], 0x77);
    ck_assert_uint_eq(fake.data[20 * 512], 0);
    ck_assert_uint_eq(fake.data[25 * 512 - 1], 0);
    ck_assert_uint_eq(fake.data[25 * 512], 0x77);
    OUT(0, 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 1); /* NDOB: without the data */
    ck_sense(0);
    ck_assert_uint_eq(fake.data[30 * 512], 0);
    OUT(512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0); /* WSNZ */
    ck_sense(0x052400);
    OUT(512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0xff, 0xff, 0xff, 0xff);
    ck_sense(0x052100);
    OUT(511, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1);
    ck_assert_uint_eq(sb.answer.outcome, SCSI_OVERRUN);
    OUT(512, 0x41, 0x10, 0, 0, 0, 10, 0, 0, 1); /* ANCHOR */
    ck_sense(0x052400);
}
END_TEST

/* ---- Mode pages (SPC-4 §6.10 to §6.13, §7.5; SBC-3 §6.5) ---- */

START_TEST(mode_sense)
{
    start("dpofua=on");
    ck_assert_uint_eq(IN(255, 0x1a, 0, 0x08, 0, 255), 4 + 8 + 20);
    ck_assert(!memcmp(sb.in, "\x1f\0\x10\x08\0\0\x04\0\0\0\x02\0\x08\x12\x04", 15));
    ck_assert_uint_eq(IN(255, 0x5a, 0, 0x08, 0, 0, 0, 0, 0, 255), 8 + 8 + 20);
    ck_assert(!memcmp(sb.in, "\0\x22\0\x10\0\0\0\x08", 8));
    ck_assert_uint_eq(IN(255, 0x1a, 8, 0x08, 0, 255), 4 + 20);
    ck_assert_uint_eq(sb.in[3], 0);
    ck_assert_uint_eq(IN(255, 0x1a, 8, 0x3f, 0xff, 255), 4 + 12 + 24 + 20 + 12);
    ck_assert_uint_eq(sb.in[4], 0x01);
    ck_assert_uint_eq(IN(255, 0x1a, 8, 0x04, 0, 255), 4 + 24);
    ck_assert_uint_eq(load_be24(sb.in + 6), 1); /* 512 KiB are less than a cylinder */
    IN(255, 0x1a, 8, 0x48, 0, 255);
    ck_assert_uint_eq(sb.in[6], 4); /* WCE can be changed */
    IN(255, 0x1a, 8, 0xc8, 0, 255);
    ck_sense(0x053900);
    IN(255, 0x1a, 8, 0x02, 0, 255);
    ck_sense(0x052400);
    IN(255, 0x1a, 8, 0x08, 1, 255); /* no such subpage */
    ck_sense(0x052400);
    ck_assert_uint_eq(IN(255, 0x1a, 0, 0x3f, 0, 3), 3);
}
END_TEST

START_TEST(mode_select)
{
    static const uint8_t off[] = {0, 0, 0, 0, 0x08, 0x12, [23] = 0}, on[] = {0, 0, 0, 0, 0x08, 0x12, 4, [23] = 0};
    start(NULL);
    memcpy(sb.out, off, 24);
    OUT(24, 0x15, 0x10, 0, 0, 24);
    ck_sense(0);
    ck_assert_uint_eq(fake.flushes, 1); /* what was held back goes out */
    IN(255, 0x1a, 8, 0x08, 0, 255);
    ck_assert_uint_eq(sb.in[6], 0);
    IN(255, 0x1a, 8, 0x88, 0, 255);
    ck_assert_uint_eq(sb.in[6], 4); /* the default stays */
    OUT(512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_assert_uint_eq(fake.fua, 1); /* every write is on the medium now */
    memcpy(sb.out, on, 24);
    OUT(24, 0x15, 0x10, 0, 0, 24);
    IN(255, 0x1a, 8, 0x08, 0, 255);
    ck_assert_uint_eq(sb.in[6], 4);
    /* ten bytes, with a block descriptor that says what is so */
    static const uint8_t wide[] = {0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x08, 0x12, [35] = 0};
    memcpy(sb.out, wide, 36);
    OUT(36, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 36);
    ck_sense(0);
    IN(255, 0x1a, 8, 0x08, 0, 255);
    ck_assert_uint_eq(sb.in[6], 0);
    device_reset(&disk->dev, false);
    IN(0, 0);
    IN(255, 0x1a, 8, 0x08, 0, 255);
    ck_assert_uint_eq(sb.in[6], 4);
}
END_TEST

static void select_bytes(unsigned len, const uint8_t *bytes, unsigned expected)
{
    memcpy(sb.out, bytes, len);
    OUT(len, 0x15, 0x10, 0, 0, (uint8_t)len);
    ck_sense(expected);
}

START_TEST(bad_mode_select)
{
    start(NULL);
    select_bytes(3, (uint8_t[3]){0}, 0x051a00);
    select_bytes(4, (uint8_t[4]){0}, 0);
    select_bytes(5, (uint8_t[5]){[4] = 8}, 0x051a00);
    select_bytes(23, (uint8_t[23]){[4] = 8, 0x12}, 0x051a00);
    select_bytes(24, (uint8_t[24]){[4] = 8, 0x11}, 0x052600);
    select_bytes(24, (uint8_t[24]){[4] = 8, 0x12, 5}, 0x052600);      /* RCD cannot be set */
    select_bytes(24, (uint8_t[24]){[4] = 0x48, 0x12}, 0x052600);      /* a subpage */
    select_bytes(24, (uint8_t[24]){[4] = 0x09, 0x12}, 0x052600);      /* no such page */
    select_bytes(12, (uint8_t[12]){[3] = 8, [10] = 4}, 0x052600);     /* blocks of 1024 bytes */
    select_bytes(12, (uint8_t[12]){[3] = 8, [6] = 1, [10] = 2}, 0x052600);
    select_bytes(12, (uint8_t[12]){[3] = 8, [10] = 2}, 0);
    select_bytes(11, (uint8_t[11]){[3] = 8, [10] = 2}, 0x051a00);
    OUT(24, 0x15, 0x00, 0, 0, 24);
    ck_sense(0x052400);
    OUT(24, 0x15, 0x11, 0, 0, 24); /* SP */
    ck_sense(0x052400);
    OUT(23, 0x15, 0x10, 0, 0, 24);
    ck_assert_uint_eq(sb.answer.outcome, SCSI_OVERRUN);
    OUT(0, 0x55, 0x10, 0, 0, 0, 0, 0, 0xff, 0xff);
    ck_sense(0x051a00);
    IN(255, 0x1a, 8, 0x08, 0, 255);
    ck_assert_uint_eq(sb.in[6], 4);
}
END_TEST

/* ---- Errors ---- */

START_TEST(drive_errors)
{
    static const struct {
        int result;
        unsigned read, write;
    } errors[] = {{-EIO, 0x031100, 0x030c00}, {-ENOSPC, 0x072707, 0x072707}, {-ENOMEM, 0x044400, 0x044400},
                  {-EROFS, 0x072700, 0x072700}};
    start(NULL);
    drive_set_on_error(drive, ON_ERROR_REPORT, ON_ERROR_REPORT);
    for (unsigned i = 0; i < G_N_ELEMENTS(errors); i++) {
        fake.fail = errors[i].result;
        IN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
        ck_sense(errors[i].read);
        ck_assert_uint_eq(sb.answer.moved, 0);
        OUT(512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
        ck_sense(errors[i].write);
        IN(0, 0x35);
        ck_sense(errors[i].write);
    }
    fake.fail = 0;
    IN(0, 0x35);
    ck_sense(0);
    IN(0, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, BLOCKS >> 8, 0);
    ck_sense(0);
    IN(0, 0x35, 0, 0, 1);
    ck_sense(0x052100);
}
END_TEST

START_TEST(error_policy)
{
    sb_start();
    drive = fake_drive("disk", SIZE);
    disk = sb_plug("scsi-hd", drive, "werror=ignore,rerror=report");
    IN(0, 0);
    fake.fail = -EIO;
    OUT(512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0);
    IN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0x031100);
}
END_TEST

START_TEST(read_only)
{
    sb_start();
    BlockNode *n = node_new(block_driver_find("null-co"), &(NodeMode){.readonly = true});
    n->length = SIZE;
    sb_plug("scsi-hd", drive_new_node("ro", n), NULL);
    IN(0, 0);
    IN(255, 0x1a, 0, 0x3f, 0, 255);
    ck_assert_uint_eq(sb.in[2], 0x80);
    OUT(512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0x072700);
    unmap(24, 16, 0, 1);
    ck_sense(0x072700);
    IN(0, 0x35);
    ck_sense(0);
    IN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0);
}
END_TEST

START_TEST(stopping)
{
    start(NULL);
    IN(0, 0x1b, 0, 0, 0, 0);
    ck_sense(0);
    ck_assert_uint_eq(fake.flushes, 1);
    IN(0, 0);
    ck_sense(0x020402);
    IN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0x020402);
    IN(0, 0x1b, 0, 0, 0, 2); /* the medium is not removable: LOEJ says nothing */
    IN(255, 0x12, 0, 0, 0, 36);
    ck_sense(0);
    IN(0, 0x1b, 0, 0, 0, 1);
    IN(512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0);
    IN(0, 0x1b, 0, 0, 0, 0x30); /* a power condition */
    IN(0, 0);
    ck_sense(0);
}
END_TEST

/* ---- Targets, units, and tasks ---- */

START_TEST(addresses)
{
    GError *error = NULL;
    start("scsi-id=0,lun=0");
    ck_assert_int_eq(sb_plug("scsi-hd", fake_drive("a", SIZE), NULL)->scsi_id, 1);
    ck_assert_int_eq(sb_plug("scsi-hd", fake_drive("b", SIZE), "scsi-id=0")->lun, 1);
    ck_assert_int_eq(sb_plug("scsi-hd", fake_drive("c", SIZE), "scsi-id=0,lun=300")->lun, 300);
    ck_assert_uint_eq(sb.plugged, 4);
    IN(0, 0); /* target 0 has other units now */
    ck_sense(0x063f0e);
    ck_assert_uint_eq(IN(255, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 255), 8 + 24);
    ck_assert_uint_eq(load_be32(sb.in), 24);
    ck_assert_uint_eq(load_be64(sb.in + 8), 0);
    ck_assert_uint_eq(load_be16(sb.in + 16), 1);
    ck_assert_uint_eq(load_be16(sb.in + 24), 0x412c);
    ck_assert_uint_eq(IN(255, 0xa0, 0, 1, 0, 0, 0, 0, 0, 0, 255), 8);
    IN(255, 0xa0, 0, 3, 0, 0, 0, 0, 0, 0, 255);
    ck_sense(0x052400);
    IN(255, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 15);
    ck_sense(0x052400);
    ck_assert_uint_eq(sb_run(0, 7, CDB(0x12, 0, 0, 0, 36), 0, 36), 36);
    ck_assert_uint_eq(sb.in[0], 0x7f);
    sb_run(0, 7, CDB(0x12, 1, 0, 0, 36), 0, 36);
    ck_sense(0x052500);
    sb_run(0, 7, CDB(0), 0, 0);
    ck_sense(0x052500);
    sb_run(0, 7, CDB(0x03, 0, 0, 0, 18), 0, 18);
    ck_assert_uint_eq(load_be16(sb.in + 12), 0x2500);
    sb_run(5, 0, CDB(0), 0, 0);
    ck_assert_uint_eq(sb.answer.outcome, SCSI_NO_TARGET);
    for (const char *const *bad = (const char *const[]){"scsi-id=8", "scsi-id=-2", "lun=512", "channel=1", "lun=0,scsi-id=0",
                                                        "logical_block_size=1000", "share-rw=on", "rerror=enospc", NULL};
         *bad; bad++) {
        Device *d = device_new(device_class_find("scsi-hd"), NULL);
        g_autofree char *text = g_strdup(*bad);
        g_auto(GStrv) pairs = g_strsplit(text, ",", -1);
        for (char **p = pairs; *p; p++) {
            char *eq = strchr(*p, '=');
            *eq = 0;
            ck_assert(device_set(d, *p, eq + 1, NULL));
        }
        device_set_pointer(d, "drive", fake_drive(*bad, SIZE));
        ck_assert_msg(!device_realize(d, sb.bus->bus, &error), "%s", *bad);
        ck_assert_ptr_null(strchr(error->message, '\n'));
        g_clear_error(&error);
        device_free(d);
    }
    ck_assert_uint_eq(sb.unplugged, 0);
}
END_TEST

START_TEST(abort_and_unplug)
{
    start(NULL);
    fake.park = true;
    ScsiTask a = {0}, b = {0};
    unsigned before = sb.done;
    sb_begin(&a, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, 512);
    sb_begin(&b, CDB(0x41, 0, 0, 0, 0, 0, 0, 1, 0), 512, 0);
    ck_assert_uint_eq(sb.done, before);
    scsi_abort(&a);
    ck_assert_uint_eq(sb.done, before); /* the drive has it still */
    ck_assert(disk->dev.class->base->busy(disk));
    fake.park = false;
    co_queue_wake_all(&fake.parked);
    loop_iterate(false);
    drive_drain(drive);
    ck_assert_uint_eq(sb.done, before + 2);
    ck_assert_uint_eq(a.outcome, SCSI_ABANDONED);
    ck_assert_uint_eq(b.status, SCSI_GOOD);
    ck_assert(!disk->dev.class->base->busy(disk));
    /* held because of an error when it is unplugged */
    drive_set_on_error(drive, ON_ERROR_STOP, ON_ERROR_STOP);
    fake.fail = -EIO;
    ScsiTask c = {0};
    sb_begin(&c, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, 512);
    loop_iterate(false);
    ck_assert_uint_eq(sb.done, before + 2);
    device_free(&disk->dev);
    ck_assert_uint_eq(sb.done, before + 3);
    ck_assert_uint_eq(c.outcome, SCSI_ABANDONED);
    ck_assert_uint_eq(sb.unplugged, 1);
    IN(0, 0);
    ck_assert_uint_eq(sb.answer.outcome, SCSI_NO_TARGET);
}
END_TEST

/* Whatever the bytes are: an answer comes, and the disk is what it was. */
START_TEST(random_commands)
{
    static const uint8_t codes[] = {0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x42,
                                    0x55, 0x5a, 0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xaf, 0xff};
    start(NULL);
    g_autoptr(GRand) r = g_rand_new_with_seed(7);
    for (unsigned i = 0; i < 60000; i++) {
        uint8_t cdb[SCSI_CDB];
        for (unsigned n = 0; n < sizeof cdb; n++) {
            uint8_t byte = (uint8_t)g_rand_int(r);
            cdb[n] = n && g_rand_boolean(r) ? 0 : n && g_rand_boolean(r) ? byte & 0x0f : byte;
        }
        cdb[0] = codes[g_rand_int(r) % sizeof codes];
        for (unsigned n = 0; n < 64; n++) {
            sb.out[n] = g_rand_boolean(r) ? 0 : (uint8_t)g_rand_int(r);
        }
        bool out = g_rand_boolean(r);
        uint64_t len = g_rand_int(r) % (g_rand_boolean(r) ? 1024 : sizeof sb.in);
        sb_run(0, g_rand_int(r) % 2, cdb, sizeof cdb, out ? len : 0, out ? 0 : len);
        ck_assert_uint_le(sb.answer.moved, len);
        ck_assert_uint_ne(sb.answer.outcome, SCSI_NO_TARGET);
    }
    device_reset(&disk->dev, false);
    IN(0, 0);
    ck_sense(ATTENTION);
    ck_assert_uint_eq(IN(512, 0x28, 0, 0, 0, 0, 5, 0, 0, 1), 512);
    ck_sense(0);
}
END_TEST

BENCH_MAIN("scsi", CASE(inquiry), CASE(vital_data), CASE(plain_disk_without_discard), CASE(attentions), CASE(unknown_commands),
           CASE(capacity), CASE(large), CASE(read_and_write), CASE(bad_reads_and_writes), CASE(verify), CASE(discards),
           CASE(write_same), CASE(mode_sense), CASE(mode_select), CASE(bad_mode_select), CASE(drive_errors), CASE(error_policy),
           CASE(read_only), CASE(stopping), CASE(addresses), CASE(abort_and_unplug), CASE(random_commands))
