/* The bus-master engine (Bus Master IDE 1.0), with a disk behind it. */
#include "tests/hw/ide-bench.h"

enum { TABLE = 0x1000, START = 1, READ = 8 };
enum { ACTIVE = 1, ERROR = 2, INTERRUPT = 4 };

static uint8_t data[8 * ATA_SECTOR];

static void prd(unsigned n, uint32_t at, uint32_t len, bool last)
{
    uint32_t entry[2] = {at, (len & 0xffff) | (last ? 0x80000000 : 0)};
    bench_poke(TABLE + 8 * n, entry, sizeof entry);
}

static uint8_t bm_status(void)
{
    return (uint8_t)in(BM + 2, 1);
}

/* Command and engine together, as drivers do it. */
static void dma(uint8_t code, uint8_t direction)
{
    out(BM + 4, 4, TABLE);
    out(BM, 1, direction);
    out(BM + 2, 1, ERROR | INTERRUPT);
    set_reg(7, code);
    out(BM, 1, direction | START);
    settle();
}

static void fill(void)
{
    for (unsigned i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7 + i / ATA_SECTOR);
    }
}

START_TEST(reads)
{
    ide_setup(1 << 20, 0);
    fill();
    drive_write_sync(disk, 0, data, sizeof data);
    prd(0, 0x20001, 100, false); /* bit 0 of an address is ignored */
    prd(1, 0x30000, 8 * ATA_SECTOR - 100, true);
    address(0, 8);
    dma(0xc8, READ);
    ck_assert_uint_eq(bm_status(), INTERRUPT);
    ck_assert(irq14.level);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    ck_assert(!irq14.level);
    ck_assert_msg(bm_status() == INTERRUPT, "the bit stays until it is written");
    out(BM + 2, 1, INTERRUPT);
    ck_assert_uint_eq(bm_status(), 0);
    uint8_t got[sizeof data];
    bench_peek(0x20000, got, 100);
    bench_peek(0x30000, got + 100, sizeof got - 100);
    ck_assert(!memcmp(got, data, sizeof data));
}
END_TEST

START_TEST(writes_started_before_the_command)
{
    ide_setup(1 << 20, 0);
    fill();
    bench_poke(0x40000, data, sizeof data);
    prd(0, 0x40000, sizeof data, true);
    out(BM + 4, 4, TABLE);
    out(BM, 1, START);
    ck_assert_uint_eq(bm_status(), ACTIVE);
    address(100, 8);
    command(0xca);
    ck_assert_uint_eq(bm_status(), INTERRUPT);
    uint8_t got[sizeof data];
    drive_read_sync(disk, 100 * ATA_SECTOR, got, sizeof got);
    ck_assert(!memcmp(got, data, sizeof data));
}
END_TEST

/* The three ends that the specification tells apart. */
START_TEST(sizes_differ)
{
    ide_setup(1 << 20, 0);
    prd(0, 0x20000, 4 * ATA_SECTOR, true);
    address(0, 8);
    dma(0xc8, READ); /* the table is too short: it ends there, no interrupt */
    ck_assert_uint_eq(bm_status(), 0);
    ck_assert_uint_eq(irq14.rises, 0);
    ck_assert_uint_eq(in(CONTROL, 1), ATA_DRDY | ATA_DSC);
    out(BM, 1, 0);
    prd(0, 0x20000, 8 * ATA_SECTOR, true);
    address(0, 4);
    dma(0xc8, READ); /* it is too long: interrupt, still active */
    ck_assert_uint_eq(bm_status(), INTERRUPT | ACTIVE);
    out(BM, 1, 0);
    ck_assert_uint_eq(bm_status(), INTERRUPT);
}
END_TEST

START_TEST(bad_memory)
{
    ide_setup(1 << 20, 0);
    fill();
    drive_write_sync(disk, 0, data, sizeof data);
    /* half in RAM, half beyond it: what has a place arrives, the error bit says that not all did */
    prd(0, (1 << 20) - ATA_SECTOR, ATA_SECTOR, false);
    prd(1, 0x80000000, ATA_SECTOR, true);
    address(0, 2);
    dma(0xc8, READ);
    ck_assert_uint_eq(bm_status() & ERROR, ERROR);
    uint8_t got[ATA_SECTOR];
    bench_peek((1 << 20) - ATA_SECTOR, got, sizeof got);
    ck_assert(!memcmp(got, data, sizeof got));
    reg(7);
    /* a table that is no memory */
    out(BM, 1, 0);
    out(BM + 2, 1, ERROR | INTERRUPT);
    address(0, 1);
    set_reg(7, 0xc8);
    out(BM + 4, 4, 0x90000000);
    out(BM, 1, READ | START);
    ck_assert_uint_eq(bm_status() & (ERROR | ACTIVE), ERROR);
    out(CONTROL, 1, ATA_SRST);
    out(CONTROL, 1, 0);
}
END_TEST

START_TEST(needs_bus_master_and_direction)
{
    ide_setup(1 << 20, 0);
    prd(0, 0x20000, ATA_SECTOR, true);
    address(0, 1);
    dma(0xc8, 0); /* the wrong way round */
    ck_assert_uint_eq(bm_status() & (ERROR | ACTIVE), ERROR);
    ck_assert_uint_eq(irq14.rises, 0);
    out(CONTROL, 1, ATA_SRST);
    out(CONTROL, 1, 0);
    out(BM, 1, 0);
    out(BM + 2, 1, ERROR);
    PciDevice *pd = (PciDevice *)ide;
    pci_config_write(pd->bus, (unsigned)pd->devfn, 4, 2, PCI_COMMAND_IO);
    address(0, 1);
    dma(0xc8, READ); /* moved to nowhere: the table seems to be full of 64 KiB regions */
    ck_assert_uint_eq(bm_status(), INTERRUPT | ACTIVE);
    ck_assert_uint_eq(in(CONTROL, 1), ATA_DRDY | ATA_DSC);
}
END_TEST

/* More than one chunk, 48-bit, and regions of two bytes. */
START_TEST(long_transfer)
{
    ide_setup(4 << 20, 0);
    memset(data, 0x5e, sizeof data);
    drive_write_sync(disk, (int64_t)(3 << 20) - ATA_SECTOR, data, ATA_SECTOR);
    for (unsigned n = 0; n < 48; n++) {
        prd(n, 0x10000, 0, n == 47); /* 64 KiB each, all at one place */
    }
    set_reg(2, 6144 >> 8);
    set_reg(2, 0);
    for (unsigned r = 3; r <= 5; r++) {
        set_reg(r, 0);
        set_reg(r, 0);
    }
    set_reg(6, 0x40);
    dma(0x25, READ);
    ck_assert_uint_eq(bm_status(), INTERRUPT);
    uint8_t got[ATA_SECTOR];
    bench_peek(0x1fe00, got, sizeof got);
    ck_assert_uint_eq(got[0], 0x5e);
    ck_assert_uint_eq(got[511], 0x5e);
    reg(7);
    out(BM, 1, 0);
    for (unsigned n = 0; n < 2048; n++) {
        prd(n, 0x60000 + 2 * n, 2, n == 2047);
    }
    address((3 << 11) - 1, 8);
    dma(0xc8, READ);
    ck_assert_uint_eq(bm_status(), INTERRUPT);
    bench_peek(0x60000, got, sizeof got);
    ck_assert_uint_eq(got[511], 0x5e);
}
END_TEST

START_TEST(stop_and_reset_in_flight)
{
    ide_setup(1 << 20, 0);
    prd(0, 0x20000, 8 * ATA_SECTOR, true);
    for (unsigned n = 0; n < 3; n++) {
        address(0, 8);
        out(BM + 4, 4, TABLE);
        out(BM, 1, READ);
        set_reg(7, 0xc8);
        out(BM, 1, READ | START);
        if (n == 0) {
            out(BM, 1, 0);
        } else if (n == 1) {
            out(CONTROL, 1, ATA_SRST);
            out(CONTROL, 1, 0);
        } else {
            device_reset(&unit(0)->dev, false);
            device_reset(ide, false);
            pci_config_write(((PciDevice *)ide)->bus, PCI_DEVFN(1, 1), 0x20, 4, BM);
            pci_config_write(((PciDevice *)ide)->bus, PCI_DEVFN(1, 1), 4, 2,
                             PCI_COMMAND_IO | PCI_COMMAND_MASTER);
        }
        settle();
        out(CONTROL, 1, ATA_SRST);
        out(CONTROL, 1, 0);
        out(BM, 1, 0);
        ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
        ck_assert(!ide->class->busy(ide));
    }
    address(0, 8);
    out(BM + 2, 1, ERROR | INTERRUPT);
    dma(0xc8, READ);
    ck_assert_uint_eq(bm_status(), INTERRUPT);
}
END_TEST

START_TEST(trim)
{
    ide_setup(1 << 20, 0);
    memset(data, 0xff, sizeof data);
    drive_write_sync(disk, 0, data, sizeof data);
    uint64_t list[64] = {2 | UINT64_C(3) << 48};
    bench_poke(0x50000, list, sizeof list);
    prd(0, 0x50000, ATA_SECTOR, true);
    set_reg(1, 1);
    set_reg(2, 0);
    set_reg(2, 1);
    dma(0x06, 0);
    ck_assert_uint_eq(reg(7), ATA_DRDY | ATA_DSC);
    list[0] = 3000 | UINT64_C(1) << 48; /* beyond the end */
    bench_poke(0x50000, list, sizeof list);
    out(BM, 1, 0);
    dma(0x06, 0);
    ck_assert_uint_eq(reg(1), ATA_ABRT);
}
END_TEST

BENCH_MAIN("ide-bmdma", CASE(reads), CASE(writes_started_before_the_command), CASE(sizes_differ),
           CASE(bad_memory), CASE(needs_bus_master_and_direction), CASE(long_transfer),
           CASE(stop_and_reset_in_flight), CASE(trim))
