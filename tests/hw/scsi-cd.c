/* CD drives on a SCSI bus: what differs from the same drive behind ATA (tests/hw/atapi.c), and its medium. */
#include "tests/hw/scsi-bench.h"

enum { BLOCKS = 256 };
static ScsiDevice *cd;

static void start(bool medium)
{
    sb_start();
    cd = sb_plug("scsi-cd", medium ? fake_drive("cd", BLOCKS * CD_SECTOR) : NULL, NULL);
    IN(0, 0);
    ck_sense(0x062900);
}

START_TEST(identity)
{
    start(true);
    ck_assert_uint_eq(IN(255, 0x12, 0, 0, 0, 255), 36);
    ck_assert_uint_eq(sb.in[0], 5);
    ck_assert_uint_eq(sb.in[1], 0x80);
    ck_assert_uint_eq(sb.in[2], 6);
    ck_assert(!memcmp(sb.in + 8, "QEMU    QEMU CD-ROM     2.5+", 28));
    ck_assert_uint_eq(IN(255, 0x12, 1, 0, 0, 255), 6);
    IN(255, 0x12, 1, 0xb0, 0, 255);
    ck_sense(0x052400);
    ck_assert_uint_eq(IN(255, 0x46, 2, 0, 1, 0, 0, 0, 0, 255), 20);
    ck_assert_uint_eq(load_be32(sb.in + 12), 1); /* the core feature: SCSI */
    ck_assert_uint_eq(IN(255, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255), 28);
    ck_assert_uint_eq(IN(255, 0x1a, 0, 0x2a, 0, 255), 24);
    ck_assert_uint_eq(IN(8, 0x25), 8);
    ck_assert_uint_eq(load_be32(sb.in), BLOCKS - 1);
    ck_assert_uint_eq(load_be32(sb.in + 4), CD_SECTOR);
    IN(255, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255);
    ck_sense(0x052000);
    OUT(2048, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
    ck_sense(0x052000);
}
END_TEST

START_TEST(reading)
{
    start(true);
    ck_assert_uint_eq(IN(8192, 0x28, 0, 0, 0, 0, 3, 0, 0, 2), 2 * CD_SECTOR);
    ck_assert_uint_eq(sb.in[0], 12);
    ck_assert_uint_eq(sb.in[4095], 19);
    ck_assert_uint_eq(IN(2048, 0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 1), CD_SECTOR);
    IN(2048, 0x28, 0, 0, 0, 1, 0, 0, 0, 1);
    ck_sense(0x052100);
    ck_assert_uint_eq(IN(1 << 20, 0xbe, 0, 0, 0, 0, 10, 0, 0, 40, 0xf8), 40 * CD_RAW); /* more than a piece */
    ck_sense(0);
    ck_assert_uint_eq(sb.in[0], 0);
    ck_assert_uint_eq(sb.in[1], 0xff);
    ck_assert_uint_eq(sb.in[39 * CD_RAW + 14], 0x49);           /* 00:02:49 */
    ck_assert_uint_eq(sb.in[39 * CD_RAW + 16], 49 * 4 % 256);
    ck_assert_uint_eq(IN(2048, 0xbe, 0, 0, 0, 0, 10, 0, 0, 1, 0x10), CD_SECTOR);
    IN(CD_RAW * 2 - 1, 0xbe, 0, 0, 0, 0, 10, 0, 0, 2, 0xf8);
    ck_assert_uint_eq(sb.answer.outcome, SCSI_OVERRUN);
    ck_assert_uint_eq(IN(255, 0x43, 0, 0, 0, 0, 0, 0, 0, 255), 20);
    ck_assert_uint_eq(load_be32(sb.in + 16), BLOCKS);
}
END_TEST

START_TEST(tray_and_medium)
{
    start(true);
    Drive *d = cd->drive;
    IN(0, 0x1e, 0, 0, 0, 1);
    IN(0, 0x1b, 0, 0, 0, 2);
    ck_sense(0x055302);
    ck_assert(!drive_eject(d, false, NULL));
    ck_assert_uint_eq(sb.media, 1); /* the guest hears that somebody wants it */
    IN(255, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    ck_assert_uint_eq(sb.in[4], EVENT_EJECT_REQUEST);
    IN(0, 0x1e, 0, 0, 0, 0);
    IN(0, 0x1b, 0, 0, 0, 2);
    ck_sense(0);
    IN(0, 0);
    ck_sense(0x023a02);
    IN(0, 0x1b, 0, 0, 0, 3);
    IN(0, 0);
    ck_sense(0x062800);
    IN(0, 0);
    ck_sense(0);
    ck_assert(drive_eject(d, false, NULL));
    IN(2048, 0x28, 0, 0, 0, 0, 3, 0, 0, 1);
    ck_sense(0x023a02);
    ck_assert(cd->unit.tray_open);
}
END_TEST

START_TEST(no_medium)
{
    start(false);
    IN(0, 0);
    ck_sense(0x023a01);
    IN(8, 0x25);
    ck_sense(0x023a01);
    ck_assert_uint_eq(IN(255, 0x12, 0, 0, 0, 255), 36);
    ck_assert_uint_eq(IN(255, 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255), 36);
    ck_assert_uint_eq(sb.in[2], 0x70);
}
END_TEST

START_TEST(random_commands)
{
    start(true);
    g_autoptr(GRand) r = g_rand_new_with_seed(8);
    for (unsigned i = 0; i < 60000; i++) {
        uint8_t cdb[SCSI_CDB];
        for (unsigned n = 0; n < sizeof cdb; n++) {
            cdb[n] = n && g_rand_boolean(r) ? 0 : (uint8_t)g_rand_int(r);
            sb.out[n] = g_rand_boolean(r) ? 0 : (uint8_t)g_rand_int(r);
        }
        bool out = g_rand_int(r) % 4 == 0;
        uint64_t len = g_rand_int(r) % 8192;
        sb_run(0, 0, cdb, sizeof cdb, out ? len : 0, out ? 0 : len);
        ck_assert_uint_le(sb.answer.moved, len);
    }
}
END_TEST

BENCH_MAIN("scsi-cd", CASE(identity), CASE(reading), CASE(tray_and_medium), CASE(no_medium), CASE(random_commands))
