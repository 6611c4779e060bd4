/* ATA disks, through the ports of the PIIX3's channels (ATA/ATAPI-6). */
#include "tests/hw/ide-bench.h"

static uint8_t sector[ATA_SECTOR];

START_TEST(signature)
{
    ide_setup(1 << 20, 0);
    ck_assert_uint_eq(reg(1), 0x01);
    ck_assert_uint_eq(reg(2), 1);
    ck_assert_uint_eq(reg(3), 1);
    ck_assert_uint_eq(reg(4), 0);
    ck_assert_uint_eq(reg(5), 0);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    out(CONTROL, 1, ATA_SRST);
    ck_assert_uint_eq(reg(7), ATA_BSY);
    set_reg(2, 0x77);
    out(CONTROL, 1, 0);
    ck_assert_uint_eq(reg(2), 1);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    /* an absent slave: status 0, the other registers are the master's (§9.16.1) */
    set_reg(6, 0x10);
    set_reg(2, 0x55);
    ck_assert_uint_eq(reg(7), 0);
    ck_assert_uint_eq(in(CONTROL, 1), 0);
    ck_assert_uint_eq(reg(2), 0x55);
    set_reg(7, 0xec);
    ck_assert_uint_eq(reg(7), 0);
    /* an empty cable */
    ck_assert_uint_eq(in(0x177, 1), 0);
    ck_assert_uint_eq(in(0x170, 2), 0xffff);
}
END_TEST

START_TEST(identify)
{
    ide_setup(40 << 20, 0);
    command(0xec);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC | ATA_DRQ);
    read_data(sector, ATA_SECTOR);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    const uint16_t *id = (const uint16_t *)(const void *)sector;
    ck_assert_uint_eq(id[0], 0x0040);
    ck_assert_uint_eq(id[1], 81);
    ck_assert_uint_eq(id[3], 16);
    ck_assert_uint_eq(id[6], 63);
    ck_assert_uint_eq(id[60] | id[61] << 16, 81920);
    ck_assert_uint_eq(id[100], 81920 & 0xffff);
    ck_assert_uint_eq(id[49] & 0x0300, 0x0300);
    ck_assert_uint_eq(id[83] & 0xc400, 0x4400);
    ck_assert_uint_eq(id[88], 0x203f);
    ck_assert_uint_eq(id[59], 0x0110);
    ck_assert(!memcmp(id + 27, "EQUMH RADDSI K", 14));
    uint8_t sum = 0;
    for (unsigned i = 0; i < ATA_SECTOR; i++) {
        sum = (uint8_t)(sum + sector[i]);
    }
    ck_assert_uint_eq(sum, 0);
    ck_assert_msg(!irq14.level, "the status was read");
}
END_TEST

START_TEST(pio_read_and_interrupts)
{
    ide_setup(1 << 20, 0);
    for (unsigned i = 0; i < 3; i++) {
        memset(sector, 0x10 + i, sizeof sector);
        drive_write_sync(disk, (5 + i) * ATA_SECTOR, sector, sizeof sector);
    }
    address(5, 3);
    set_reg(7, 0x20);
    ck_assert_uint_eq(in(CONTROL, 1), ATA_BSY | ATA_DRDY | ATA_DSC);
    settle();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_msg(irq14.level, "one interrupt for each sector");
        ck_assert_uint_eq(in(CONTROL, 1), ATA_DRDY | ATA_DSC | ATA_DRQ);
        ck_assert_msg(irq14.level, "the alternate status does not acknowledge");
        reg(7);
        ck_assert(!irq14.level);
        read_data(sector, ATA_SECTOR);
        ck_assert_uint_eq(sector[0], 0x10 + i);
        ck_assert_uint_eq(sector[511], 0x10 + i);
    }
    ck_assert(!irq14.level);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    ck_assert_uint_eq(reg(2), 0);
    ck_assert_uint_eq(reg(3), 7);
    ck_assert_uint_eq(in(0x1f0, 2), 0xffff);
}
END_TEST

START_TEST(pio_write)
{
    ide_setup(1 << 20, 0);
    address(2046, 2);
    set_reg(7, 0x30);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC | ATA_DRQ);
    ck_assert_msg(!irq14.rises, "no interrupt for the first block");
    memset(sector, 0xa1, sizeof sector);
    write_data(sector, ATA_SECTOR);
    ck_assert_uint_eq(irq14.rises, 1);
    reg(7);
    memset(sector, 0xa2, sizeof sector);
    write_data(sector, ATA_SECTOR);
    settle();
    ck_assert_uint_eq(irq14.rises, 2);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    drive_read_sync(disk, 2047 * ATA_SECTOR, sector, sizeof sector);
    ck_assert_uint_eq(sector[17], 0xa2);
    drive_read_sync(disk, 2046 * ATA_SECTOR, sector, sizeof sector);
    ck_assert_uint_eq(sector[511], 0xa1);
    address(2047, 2);
    command(0x30);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC | ATA_ERR);
    ck_assert_uint_eq(reg(1), ATA_IDNF);
}
END_TEST

/* Blocks of the MULTIPLE commands, and a transfer that is longer than the buffer. */
START_TEST(multiple_and_long)
{
    ide_setup(1 << 20, 0);
    for (unsigned i = 0; i < 200; i++) {
        memset(sector, (int)i, sizeof sector);
        drive_write_sync(disk, i * ATA_SECTOR, sector, sizeof sector);
    }
    set_reg(2, 5);
    command(0xc6);
    ck_assert_uint_eq(reg(1), ATA_ABRT);
    set_reg(2, 8);
    command(0xc6);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    irq14.rises = 0;
    address(0, 200);
    command(0xc4);
    unsigned sectors = 0;
    while (reg(7) & ATA_DRQ) {
        read_data(sector, ATA_SECTOR);
        settle();
        ck_assert_uint_eq(sector[5], sectors & 0xff);
        sectors++;
    }
    ck_assert_uint_eq(sectors, 200);
    ck_assert_uint_eq(irq14.rises, 25);
    /* 256 sectors when the count is 0 */
    address(0, 0);
    command(0x20);
    for (sectors = 0; reg(7) & ATA_DRQ; sectors++) {
        read_data(sector, ATA_SECTOR);
        settle();
    }
    ck_assert_uint_eq(sectors, 256);
}
END_TEST

START_TEST(chs_and_lba48)
{
    ide_setup(64 << 20, 0);
    memset(sector, 0x77, sizeof sector);
    drive_write_sync(disk, ((2 * 16 + 3) * 63 + 9) * (int64_t)ATA_SECTOR, sector, sizeof sector);
    set_reg(2, 1);
    set_reg(3, 10);
    set_reg(4, 2);
    set_reg(5, 0);
    set_reg(6, 0x03);
    command(0x20);
    read_data(sector, ATA_SECTOR);
    ck_assert_uint_eq(sector[0], 0x77);
    set_reg(3, 0);
    command(0x20);
    ck_assert_msg(reg(1) == ATA_IDNF, "sectors count from 1");
    /* other heads and sectors by INITIALIZE DEVICE PARAMETERS */
    set_reg(2, 10);
    set_reg(6, 0x01);
    command(0x91);
    memset(sector, 0x66, sizeof sector);
    drive_write_sync(disk, ((7 * 2 + 1) * 10 + 3) * (int64_t)ATA_SECTOR, sector, sizeof sector);
    set_reg(2, 1);
    set_reg(3, 4);
    set_reg(4, 7);
    set_reg(6, 0x01);
    command(0x20);
    read_data(sector, ATA_SECTOR);
    ck_assert_uint_eq(sector[0], 0x66);
    /* 48-bit: the registers are two deep */
    drive_write_sync(disk, 0x1ff00 * (int64_t)ATA_SECTOR, sector, sizeof sector);
    set_reg(6, 0x40);
    set_reg(2, 0);
    set_reg(2, 1);
    set_reg(3, 0);
    set_reg(3, 0x00);
    set_reg(4, 0);
    set_reg(4, 0xff);
    set_reg(5, 0);
    set_reg(5, 0x01);
    command(0x24);
    read_data(sector, ATA_SECTOR);
    ck_assert_uint_eq(sector[0], 0x66);
    set_reg(3, 0x12);
    set_reg(3, 0x34);
    out(CONTROL, 1, ATA_HOB);
    ck_assert_uint_eq(reg(3), 0x12);
    out(CONTROL, 1, 0);
    ck_assert_uint_eq(reg(3), 0x34);
    command(0x27);
    ck_assert_uint_eq(reg(5) << 16 | reg(4) << 8 | reg(3), 0x1ffff);
}
END_TEST

START_TEST(settings)
{
    ide_setup(1 << 20, 0);
    set_reg(1, 0x03);
    set_reg(2, 0x22);
    command(0xef);
    command(0xec);
    read_data(sector, ATA_SECTOR);
    ck_assert_uint_eq(((uint16_t *)(void *)sector)[63], 0x0407);
    ck_assert_uint_eq(((uint16_t *)(void *)sector)[88], 0x003f);
    set_reg(1, 0x82);
    command(0xef);
    command(0xec);
    read_data(sector, ATA_SECTOR);
    ck_assert(!(((uint16_t *)(void *)sector)[85] & 0x20));
    set_reg(1, 0x99);
    command(0xef);
    ck_assert_uint_eq(reg(1), ATA_ABRT);
    command(0xe0);
    command(0xe5);
    ck_assert_uint_eq(reg(2), 0);
    command(0xe1);
    command(0xe5);
    ck_assert_uint_eq(reg(2), 0xff);
    command(0xe7);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    command(0x00);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC | ATA_ERR);
    command(0xa0);
    ck_assert_uint_eq(reg(1), ATA_ABRT);
    command(0x90);
    ck_assert_uint_eq(reg(1), 1);
    /* SMART: enable, status, data with a checksum */
    set_reg(4, 0x4f);
    set_reg(5, 0xc2);
    set_reg(1, 0xda);
    command(0xb0);
    ck_assert_uint_eq(reg(1), ATA_ABRT);
    set_reg(1, 0xd8);
    command(0xb0);
    set_reg(1, 0xda);
    command(0xb0);
    ck_assert_uint_eq(reg(4) << 8 | reg(5), 0x4fc2);
    set_reg(1, 0xd0);
    command(0xb0);
    read_data(sector, ATA_SECTOR);
    uint8_t sum = 0;
    for (unsigned i = 0; i < ATA_SECTOR; i++) {
        sum = (uint8_t)(sum + sector[i]);
    }
    ck_assert_uint_eq(sum, 0);
}
END_TEST

START_TEST(nien_and_reset_in_flight)
{
    ide_setup(1 << 20, 0);
    out(CONTROL, 1, ATA_NIEN);
    address(0, 1);
    command(0x20);
    ck_assert(!irq14.level);
    ck_assert(reg(7) & ATA_DRQ);
    out(CONTROL, 1, 0);
    out(CONTROL, 1, ATA_SRST);
    out(CONTROL, 1, 0);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    /* the answer to a request before the reset must not show */
    address(0, 1);
    set_reg(7, 0x20);
    out(CONTROL, 1, ATA_SRST);
    out(CONTROL, 1, 0);
    settle();
    ck_assert_uint_eq(in(CONTROL, 1), ATA_DRDY | ATA_DSC);
    ck_assert(!irq14.level);
    address(0, 1);
    set_reg(7, 0x20);
    device_reset(&unit(0)->dev, false);
    settle();
    ck_assert_uint_eq(in(CONTROL, 1), ATA_DRDY | ATA_DSC);
}
END_TEST

START_TEST(geometry)
{
    IdeGeometry g = ide_guess_geometry(81920, NULL);
    ck_assert_uint_eq(g.cyls, 81);
    ck_assert_int_eq(g.translation, IDE_TRANS_NONE);
    g = ide_guess_geometry(UINT64_C(1) << 32, NULL);
    ck_assert_uint_eq(g.cyls, 16383);
    ck_assert_int_eq(g.translation, IDE_TRANS_LBA);
    uint8_t mbr[512] = {0};
    mbr[510] = 0x55;
    mbr[511] = 0xaa;
    mbr[446 + 5] = 7; /* ends at head 7, sector 32 */
    mbr[446 + 6] = 32;
    mbr[446 + 12] = 1;
    g = ide_guess_geometry(81920, mbr);
    ck_assert_uint_eq(g.cyls, 320);
    ck_assert_uint_eq(g.heads, 8);
    ck_assert_uint_eq(g.secs, 32);
    mbr[446 + 5] = 254;
    mbr[446 + 6] = 63;
    g = ide_guess_geometry(4 << 21, mbr);
    ck_assert_uint_eq(g.heads, 16);
    ck_assert_int_eq(g.translation, IDE_TRANS_LBA);
}
END_TEST

/* Any byte to any port, with data moved in both directions. */
START_TEST(random_accesses)
{
    ide_setup(1 << 20, 0);
    fuzz(1, 60000);
}
END_TEST

BENCH_MAIN("ata", CASE(signature), CASE(identify), CASE(pio_read_and_interrupts), CASE(pio_write),
           CASE(multiple_and_long), CASE(chs_and_lba48), CASE(settings),
           CASE(nien_and_reset_in_flight), CASE(geometry), CASE(random_accesses))
