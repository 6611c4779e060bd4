/* The AHCI adapter against Serial ATA AHCI 1.3.1, with a disk at port 0 and a CD drive at port 1,
 * driven through lists and tables in memory as a driver does. */
#include <string.h>

#include "hw/storage/ahci.h"
#include "tests/hw/bench.h"

enum {
    ABAR = 0xf0000000,
    LIST = 0x1000,
    FIS = 0x2000,
    TABLE = 0x4000,
    TABLE_STEP = 0x400,
    DATA = 0x20000
};
enum { GHC = 0x04, IS = 0x08, PORT0 = 0x100, PORT1 = 0x180 };
enum {
    CLB = 0x00,
    FB = 0x08,
    PIS = 0x10,
    PIE = 0x14,
    CMD = 0x18,
    TFD = 0x20,
    SIG = 0x24,
    SSTS = 0x28,
    SCTL = 0x2c,
    SERR = 0x30,
    SACT = 0x34,
    CI = 0x38
};
enum { WRITE = 1 << 6, ATAPI = 1 << 5, DISK_SIZE = 8 << 20, CD_SIZE = 1 << 20 };

static Drive *disk, *cd;
static Device *ahci;
static PciBus *bus;
static struct {
    unsigned count;
    uint32_t data;
} message;

static uint32_t get(unsigned at)
{
    return (uint32_t)space_load(space_memory(), ABAR + at, 4);
}
static void put(unsigned at, uint32_t value)
{
    space_store(space_memory(), ABAR + at, 4, value);
}

static void sent(void *sink, uint64_t address, uint32_t data)
{
    message.count++;
    message.data = data;
}

static void settle(void)
{
    drive_drain(disk);
    drive_drain(cd);
}

static void plug(unsigned port, Drive *d, bool packet)
{
    GError *error = NULL;
    ck_assert_msg(ide_drive_new(ahci_bus(ahci, port), 0, d, packet, NULL, &error) != NULL, "%s",
                  error ? error->message : "");
}

static void begin_port(unsigned port)
{
    put(port + CLB, LIST);
    put(port + FB, FIS);
    put(port + SERR, UINT32_MAX);
    put(port + CMD, AHCI_CMD_FRE);
    put(port + PIS, UINT32_MAX);
    put(port + CMD, AHCI_CMD_FRE | AHCI_CMD_ST);
}

static void start(void)
{
    PciHost host = {.mem = space_root(space_memory()),
                    .io = space_root(space_io()),
                    .dma_space = space_memory(),
                    .msi = {.send = sent}};
    GError *error = NULL;
    bus = pci_bus_new(NULL, "pci.0", &host);
    ahci = &pci_new(&ich9_ahci_class, "ahci0", PCI_DEVFN(3, 0), false)->dev;
    ck_assert_msg(device_realize(ahci, pci_bus_as_bus(bus), &error), "%s",
                  error ? error->message : "");
    disk = drive_new_memory("disk", DISK_SIZE);
    cd = drive_new_memory("cd", CD_SIZE);
    plug(0, disk, false);
    plug(1, cd, true);
    device_reset(ahci, true);
    pci_config_write(bus, PCI_DEVFN(3, 0), 0x24, 4, ABAR);
    pci_config_write(bus, PCI_DEVFN(3, 0), 4, 2,
                     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_IO);
    mem_commit();
    begin_port(PORT0);
}

/* ---- Commands ---- */

static uint8_t fis[20];

static void command(uint8_t code, uint64_t lba, uint32_t count)
{
    const uint8_t f[20] = {0x27,
                           0x80,
                           code,
                           0,
                           (uint8_t)lba,
                           (uint8_t)(lba >> 8),
                           (uint8_t)(lba >> 16),
                           0x40,
                           (uint8_t)(lba >> 24),
                           (uint8_t)(lba >> 32),
                           (uint8_t)(lba >> 40),
                           0,
                           (uint8_t)count,
                           (uint8_t)(count >> 8)};
    memcpy(fis, f, sizeof fis);
}

static void queued(uint8_t code, uint64_t lba, uint32_t count, unsigned tag)
{
    command(code, lba, tag << 3);
    fis[3] = (uint8_t)count;
    fis[11] = (uint8_t)(count >> 8);
}

static void prd(unsigned slot, unsigned n, uint64_t at, uint32_t bytes)
{
    uint32_t entry[4] = {(uint32_t)at, (uint32_t)(at >> 32), 0, bytes - 1};
    bench_poke(TABLE + slot * TABLE_STEP + 128 + 16 * n, entry, sizeof entry);
}

static void place(unsigned slot, uint32_t flags, unsigned prds)
{
    uint32_t header[4] = {5 | flags | prds << 16, 0, TABLE + slot * TABLE_STEP, 0};
    bench_poke(LIST + 32 * slot, header, sizeof header);
    bench_poke(TABLE + slot * TABLE_STEP, fis, sizeof fis);
}

static void issue(unsigned port, unsigned slot)
{
    put(port + CI, 1u << slot);
    settle();
}

static uint32_t moved(unsigned slot)
{
    uint32_t n;
    bench_peek(LIST + 32 * slot + 4, &n, sizeof n);
    return n;
}

static uint8_t data[64 * ATA_SECTOR], got[sizeof data];

static void fill(void)
{
    for (unsigned i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7 + i / ATA_SECTOR);
    }
}

static void peek_fis(unsigned at, uint8_t *to, unsigned len)
{
    bench_peek(FIS + at, to, len);
}

/* ---- Tests ---- */

START_TEST(identity)
{
    start();
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(3, 0), 0, 4), 0x29228086);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(3, 0), 9, 1), 0x01);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(3, 0), 0x0a, 2), 0x0106);
    ck_assert_uint_eq(get(0) & 0x1f, 5);       /* six ports */
    ck_assert_uint_eq(get(0) >> 8 & 0x1f, 31); /* 32 slots */
    ck_assert_uint_eq(get(0) >> 30, 3);        /* NCQ, 64 bits */
    ck_assert_uint_eq(get(0x0c), 0x3f);
    ck_assert_uint_eq(get(0x10), 0x00010301);
    put(GHC, 0);
    ck_assert_msg(get(GHC) == 0x80000000, "GHC.AE is fixed in an adapter that is AHCI only");
    ck_assert_uint_eq(get(PORT0 + SSTS), 0x123);
    ck_assert_uint_eq(get(PORT0 + SIG), 0x00000101);
    ck_assert_uint_eq(get(PORT0 + TFD), 0x0150);
    ck_assert_uint_eq(get(PORT1 + SIG), 0xeb140101);
    ck_assert_uint_eq(get(PORT1 + 0x80 + SSTS), 0);
    ck_assert_uint_eq(get(PORT1 + 0x80 + TFD), 0x7f);
}
END_TEST

/* §10.3.1: the index and data ports of BAR 4. */
START_TEST(index_data_pair)
{
    start();
    pci_config_write(bus, PCI_DEVFN(3, 0), 0x20, 4, 0xc000);
    space_store(space_io(), 0xc010, 4, 0x10);
    ck_assert_uint_eq(space_load(space_io(), 0xc014, 4), 0x00010301);
    space_store(space_io(), 0xc010, 4, PORT0 + SCTL);
    space_store(space_io(), 0xc014, 4, 0x300);
    ck_assert_uint_eq(get(PORT0 + SCTL), 0x300);
}
END_TEST

START_TEST(first_fis_waits_for_receiver)
{
    uint8_t f[20];
    start();
    peek_fis(0x40, f, sizeof f);
    ck_assert_uint_eq(f[0], 0x34);
    ck_assert_uint_eq(f[2], 0x50);
    ck_assert_uint_eq(f[12], 1);
}
END_TEST

START_TEST(identify_by_pio)
{
    uint16_t id[256];
    uint8_t f[20];
    start();
    command(0xec, 0, 0);
    prd(0, 0, DATA, 512);
    place(0, 0, 1);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + CI), 0);
    ck_assert_uint_eq(get(PORT0 + PIS), AHCI_IS(AHCI_PSS));
    ck_assert_uint_eq(get(PORT0 + TFD), 0x50);
    ck_assert_uint_eq(moved(0), 512);
    bench_peek(DATA, id, sizeof id);
    ck_assert_uint_eq(id[100], DISK_SIZE / 512);
    ck_assert_uint_eq(id[75], 31);
    ck_assert_uint_eq(id[76] & 0x0106, 0x0106);
    peek_fis(0x20, f, sizeof f);
    ck_assert_uint_eq(f[0], 0x5f);
    ck_assert_uint_eq(f[1], 0x60); /* to the host, interrupt */
    ck_assert_uint_eq(f[2] & ATA_DRQ, ATA_DRQ);
    ck_assert_uint_eq(f[15], 0x50);
    ck_assert_uint_eq(f[16] | f[17] << 8, 512);
}
END_TEST

START_TEST(dma_both_ways)
{
    start();
    fill();
    bench_poke(DATA, data, sizeof data);
    command(0x35, 100, 64); /* WRITE DMA EXT, in uneven pieces */
    prd(3, 0, DATA, 1000);
    prd(3, 1, DATA + 1000, sizeof data - 1000);
    place(3, WRITE, 2);
    issue(PORT0, 3);
    ck_assert_uint_eq(get(PORT0 + CI), 0);
    ck_assert_uint_eq(get(PORT0 + PIS), AHCI_IS(AHCI_DHRS));
    ck_assert_uint_eq(moved(3), sizeof data);
    ck_assert_int_eq(drive_read_sync(disk, 100 * 512, got, sizeof got), 0);
    ck_assert(!memcmp(got, data, sizeof data));
    put(PORT0 + PIS, UINT32_MAX);
    command(0x25, 100, 64);
    prd(4, 0, DATA + 0x10000, 0x2000);
    prd(4, 1, DATA + 0x20000, sizeof data - 0x2000);
    place(4, 0, 2);
    issue(PORT0, 4);
    bench_peek(DATA + 0x10000, got, 0x2000);
    bench_peek(DATA + 0x20000, got + 0x2000, sizeof data - 0x2000);
    ck_assert(!memcmp(got, data, sizeof data));
    ck_assert_uint_eq(get(PORT0 + CMD) >> 8 & 31, 4); /* the slot it was at last */
}
END_TEST

START_TEST(pio_write_and_read)
{
    start();
    fill();
    bench_poke(DATA, data, 8 * 512);
    command(0x30, 7, 8);
    prd(0, 0, DATA, 8 * 512);
    place(0, WRITE, 1);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + CI), 0);
    ck_assert_uint_eq(get(PORT0 + PIS) & AHCI_IS(AHCI_DHRS), AHCI_IS(AHCI_DHRS));
    command(0x20, 7, 8);
    prd(1, 0, DATA + 0x8000, 8 * 512);
    place(1, 0, 1);
    issue(PORT0, 1);
    bench_peek(DATA + 0x8000, got, 8 * 512);
    ck_assert(!memcmp(got, data, 8 * 512));
    ck_assert_uint_eq(moved(1), 8 * 512);
}
END_TEST

START_TEST(queue)
{
    uint8_t f[8];
    start();
    fill();
    bench_poke(DATA, data, sizeof data);
    for (unsigned tag = 0; tag < 32; tag++) {
        queued(0x61, 10 + 2 * tag, 2, tag);
        prd(tag, 0, DATA + tag * 1024, 1024);
        place(tag, WRITE, 1);
    }
    put(PORT0 + SACT, UINT32_MAX);
    put(PORT0 + CI, UINT32_MAX);
    ck_assert_msg(get(PORT0 + CI) == 0, "a queued command is accepted at once");
    ck_assert_uint_eq(get(PORT0 + SACT), UINT32_MAX);
    settle();
    ck_assert_uint_eq(get(PORT0 + SACT), 0);
    ck_assert_uint_eq(get(PORT0 + PIS), AHCI_IS(AHCI_SDBS));
    peek_fis(0x58, f, sizeof f);
    ck_assert_uint_eq(f[0], 0xa1);
    ck_assert_int_eq(drive_read_sync(disk, 10 * 512, got, sizeof got), 0);
    ck_assert(!memcmp(got, data, sizeof data));
    queued(0x60, 10, 64, 5);
    prd(5, 0, DATA + 0x10000, sizeof data);
    place(5, 0, 1);
    put(PORT0 + SACT, 1 << 5);
    issue(PORT0, 5);
    bench_peek(DATA + 0x10000, got, sizeof got);
    ck_assert(!memcmp(got, data, sizeof data));
}
END_TEST

static void restart(unsigned port)
{
    put(port + CMD, AHCI_CMD_FRE);
    ck_assert_uint_eq(get(port + CI), 0);
    ck_assert_uint_eq(get(port + SACT), 0);
    put(port + PIS, UINT32_MAX);
    put(port + CMD, AHCI_CMD_FRE | AHCI_CMD_ST);
}

/* A queued command fails: the others go with it, and the log says which and why. */
START_TEST(queue_error)
{
    uint8_t page[512];
    start();
    queued(0x60, DISK_SIZE / 512 - 1, 2, 9);
    prd(9, 0, DATA, 1024);
    place(9, 0, 1);
    put(PORT0 + SACT, 1 << 9);
    issue(PORT0, 9);
    ck_assert_uint_eq(get(PORT0 + PIS) & AHCI_IS(AHCI_TFES), AHCI_IS(AHCI_TFES));
    ck_assert_uint_eq(get(PORT0 + TFD), 0x1051); /* IDNF */
    ck_assert_uint_eq(get(PORT0 + SACT), 1 << 9);
    restart(PORT0);
    command(0x2f, 0x10, 1); /* READ LOG EXT */
    prd(0, 0, DATA, 512);
    place(0, 0, 1);
    issue(PORT0, 0);
    bench_peek(DATA, page, sizeof page);
    ck_assert_uint_eq(page[0], 9);
    ck_assert_uint_eq(page[2], 0x51);
    ck_assert_uint_eq(page[3], ATA_IDNF);
    uint8_t sum = 0;
    for (unsigned i = 0; i < sizeof page; i++) {
        sum = (uint8_t)(sum + page[i]);
    }
    ck_assert_uint_eq(sum, 0);
}
END_TEST

/* §6.2.2: after an error nothing is issued until ST was cleared; the command stays in CI. */
START_TEST(error_stops_the_port)
{
    start();
    command(0x25, DISK_SIZE / 512, 1);
    prd(2, 0, DATA, 512);
    place(2, 0, 1);
    issue(PORT0, 2);
    ck_assert_uint_eq(get(PORT0 + PIS), AHCI_IS(AHCI_TFES) | AHCI_IS(AHCI_DHRS));
    ck_assert_uint_eq(get(PORT0 + CI), 1 << 2);
    ck_assert_uint_eq(get(PORT0 + CMD) >> 8 & 31, 2);
    command(0xec, 0, 0);
    prd(0, 0, DATA, 512);
    place(0, 0, 1);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + CI), 1 << 2 | 1);
    restart(PORT0);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + CI), 0);
}
END_TEST

START_TEST(packet)
{
    uint8_t cdb[16] = {0x28, 0, 0, 0, 0, 3, 0, 0, 4}; /* READ(10) */
    start();
    fill();
    drive_write_sync(cd, 3 * 2048, data, 4 * 2048);
    put(PORT0 + CMD, 0);
    begin_port(PORT1);
    put(PORT1 + PIS, UINT32_MAX);
    command(0xa0, 0, 0);
    fis[3] = 1; /* DMA */
    prd(0, 0, DATA, 4 * 2048);
    place(0, ATAPI, 1);
    bench_poke(TABLE + 64, cdb, sizeof cdb);
    issue(PORT1, 0);
    ck_assert_uint_eq(get(PORT1 + CI), 0);
    bench_peek(DATA, got, 4 * 2048);
    ck_assert(!memcmp(got, data, 4 * 2048));
    /* INQUIRY by PIO into a table with more room than there are data */
    uint8_t inquiry[16] = {0x12, 0, 0, 0, 36}, answer[36];
    command(0xa0, 0, 0);
    fis[5] = 0xfe;
    prd(1, 0, DATA, 4096);
    place(1, ATAPI, 1);
    bench_poke(TABLE + TABLE_STEP + 64, inquiry, sizeof inquiry);
    issue(PORT1, 1);
    bench_peek(DATA, answer, sizeof answer);
    ck_assert_uint_eq(answer[0], 5);
    ck_assert_uint_eq(moved(1), 36);
    ck_assert_uint_eq(get(PORT1 + CI), 0);
    /* an unknown packet command: error, sense key in the error register */
    uint8_t wrong[16] = {0xff};
    command(0xa0, 0, 0);
    place(2, ATAPI, 0);
    bench_poke(TABLE + 2 * TABLE_STEP + 64, wrong, sizeof wrong);
    issue(PORT1, 2);
    ck_assert_uint_eq(get(PORT1 + TFD), 0x5451);
    ck_assert_uint_eq(get(PORT1 + PIS) & AHCI_IS(AHCI_TFES), AHCI_IS(AHCI_TFES));
}
END_TEST

START_TEST(trim)
{
    uint64_t range[64] = {20 | UINT64_C(4) << 48};
    start();
    fill();
    drive_write_sync(disk, 20 * 512, data, 8 * 512);
    bench_poke(DATA, range, sizeof range);
    command(0x06, 0, 1);
    fis[3] = 1;
    prd(0, 0, DATA, 512);
    place(0, WRITE, 1);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + CI), 0);
    ck_assert_uint_eq(get(PORT0 + TFD), 0x50);
    drive_read_sync(disk, 24 * 512, got, 4 * 512);
    ck_assert(!memcmp(got, data + 4 * 512, 4 * 512));
}
END_TEST

START_TEST(resets)
{
    uint8_t control[20] = {0x27, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ATA_SRST};
    start();
    /* software reset: a FIS that sets SRST, one that clears it, then the signature */
    memcpy(fis, control, sizeof fis);
    place(0, 1 << 8 | 1 << 10, 0);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + CI), 0);
    fis[15] = 0;
    place(1, 0, 0);
    issue(PORT0, 1);
    ck_assert_uint_eq(get(PORT0 + CI), 0);
    ck_assert_uint_eq(get(PORT0 + TFD), 0x0150);
    /* COMRESET */
    put(PORT0 + CMD, AHCI_CMD_FRE);
    put(PORT0 + SERR, UINT32_MAX);
    put(PORT0 + PIS, UINT32_MAX);
    put(PORT0 + SCTL, 0x301);
    ck_assert_uint_eq(get(PORT0 + SSTS), 0);
    ck_assert_uint_eq(get(PORT0 + TFD) & 0x80, 0);
    ck_assert_uint_eq(get(PORT0 + SIG), UINT32_MAX);
    put(PORT0 + SCTL, 0x300);
    ck_assert_uint_eq(get(PORT0 + SSTS), 0x123);
    ck_assert_uint_eq(get(PORT0 + SIG), 0x101);
    ck_assert_uint_eq(get(PORT0 + PIS), AHCI_IS(AHCI_PCS) | AHCI_IS(AHCI_PRCS));
    put(PORT0 + SERR, UINT32_MAX);
    put(PORT0 + PIS, UINT32_MAX);
    ck_assert_uint_eq(get(PORT0 + PIS), 0);
    /* of the adapter */
    put(PORT0 + PIE, 1);
    put(GHC, 3);
    ck_assert_uint_eq(get(GHC), 0x80000000);
    ck_assert_uint_eq(get(PORT0 + PIE), 0);
    ck_assert_msg(get(PORT0 + CLB) == LIST, "addresses survive a reset of the adapter");
}
END_TEST

static void identify_again(unsigned slot)
{
    command(0xec, 0, 0);
    prd(slot, 0, DATA, 512);
    place(slot, 0, 1);
    issue(PORT0, slot);
}

START_TEST(interrupts)
{
    start();
    put(GHC, 2);
    put(PORT0 + PIE, AHCI_IS(AHCI_PSS));
    identify_again(0);
    ck_assert_uint_eq(get(IS), 1);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(3, 0), 6, 2) & PCI_STATUS_INTX,
                      PCI_STATUS_INTX);
    put(IS, 1);
    ck_assert_msg(get(IS) == 1, "IS comes back while the port asks");
    put(PORT0 + PIS, AHCI_IS(AHCI_PSS));
    put(IS, 1);
    ck_assert_uint_eq(get(IS), 0);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(3, 0), 6, 2) & PCI_STATUS_INTX, 0);
    /* messages */
    pci_config_write(bus, PCI_DEVFN(3, 0), 0x84, 4, 0xfee00000);
    pci_config_write(bus, PCI_DEVFN(3, 0), 0x8c, 2, 0x4041);
    pci_config_write(bus, PCI_DEVFN(3, 0), 0x82, 2, 1);
    identify_again(0);
    ck_assert_uint_eq(message.count, 1);
    ck_assert_uint_eq(message.data, 0x4041);
    identify_again(1);
    ck_assert_msg(message.count == 1, "its port has asked already");
    put(IS, 1);
    ck_assert_msg(message.count == 2, "acknowledged, but the port still asks");
    put(PORT0 + PIS, UINT32_MAX);
    put(IS, 1);
    ck_assert_uint_eq(message.count, 2);
}
END_TEST

/* ---- Software that errs ---- */

START_TEST(table_too_short)
{
    start();
    command(0x25, 0, 4);
    prd(0, 0, DATA, 1024);
    place(0, 0, 1);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + PIS) & AHCI_IS(AHCI_OFS), AHCI_IS(AHCI_OFS));
    ck_assert_uint_eq(get(PORT0 + CI), 0);
    ck_assert_uint_eq(moved(0), 1024);
    command(0x35, 0, 4);
    place(0, WRITE, 1);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + PIS) & AHCI_IS(AHCI_TFES), AHCI_IS(AHCI_TFES));
}
END_TEST

START_TEST(bad_memory)
{
    start();
    identify_again(0);
    command(0x25, 0, 4);
    prd(1, 0, 0x90000000, 2048); /* regions that are no memory */
    place(1, 0, 1);
    issue(PORT0, 1);
    ck_assert_uint_eq(get(PORT0 + PIS) & AHCI_IS(AHCI_HBFS), AHCI_IS(AHCI_HBFS));
    restart(PORT0);
    put(PORT0 + SCTL, 1);
    put(PORT0 + SCTL, 0);
    put(PORT0 + PIS, UINT32_MAX);
    queued(0x60, 0, 4, 2);
    place(2, 0, 1);
    prd(2, 0, UINT64_C(0xfffffffffffff000), 2048);
    put(PORT0 + SACT, 1 << 2);
    issue(PORT0, 2);
    ck_assert_uint_eq(get(PORT0 + PIS) & AHCI_IS(AHCI_HBFS), AHCI_IS(AHCI_HBFS));
    put(PORT0 + CMD, AHCI_CMD_FRE);
    put(PORT0 + PIS, UINT32_MAX);
    put(PORT0 + CLB, 0x80000000);
    put(PORT0 + CMD, AHCI_CMD_FRE | AHCI_CMD_ST);
    issue(PORT0, 0);
    ck_assert_uint_eq(get(PORT0 + PIS) & AHCI_IS(AHCI_HBFS), AHCI_IS(AHCI_HBFS));
}
END_TEST

/* Regions that are the adapter's own registers. */
START_TEST(own_registers)
{
    start();
    fill();
    drive_write_sync(disk, 0, data, 512);
    command(0x25, 0, 1);
    prd(0, 0, ABAR + PORT0, 512);
    place(0, 0, 1);
    issue(PORT0, 0);
    queued(0x60, 0, 1, 1);
    prd(1, 0, ABAR + PORT0, 512);
    place(1, 0, 1);
    issue(PORT0, 1);
    ck_assert_uint_eq(get(PORT0 + CLB), LIST);
}
END_TEST

static void hostile_command(GRand *r, unsigned slot)
{
    static const uint8_t codes[] = {0x20, 0x24, 0x25, 0x29, 0x2f, 0x30, 0x35, 0x39, 0x47,
                                    0x60, 0x60, 0x61, 0x61, 0xa0, 0xa1, 0xc8, 0xca, 0xec,
                                    0xef, 0x06, 0xb0, 0xe8, 0xe7, 0x08, 0x90, 0xe4, 0x40};
    static const uint8_t packets[] = {0x00, 0x03, 0x12, 0x1b, 0x25, 0x28, 0x43,
                                      0x46, 0x4a, 0x51, 0x55, 0x5a, 0xa8, 0xbe};
    static const uint64_t places[] = {
        DATA,         DATA + 1, 0xffe00, 0x90000000, ABAR,
        ABAR + PORT0, LIST,     FIS,     TABLE,      UINT64_C(0xfffffffffffffe00)};
    uint32_t v = g_rand_int(r);
    command(codes[v % G_N_ELEMENTS(codes)], g_rand_int(r) & (v & 0x100 ? 0x3fff : UINT32_MAX),
            g_rand_int(r) & 0x1ff);
    fis[1] = v & 0xe00 ? 0x80 : 0;
    fis[0] = v & 0x7f000 ? 0x27 : (uint8_t)v;
    fis[3] = (uint8_t)(g_rand_int(r) & 0x3f);
    fis[15] = v >> 20 & 4;
    unsigned prds = v >> 24 & 3;
    for (unsigned n = 0; n < prds; n++) {
        uint32_t w = g_rand_int(r);
        prd(slot, n, places[w % G_N_ELEMENTS(places)],
            w & 0x10000 ? 0x10000 : (w >> 17 & 0xfff) + 1);
    }
    place(slot, (v >> 26 & 1 ? ATAPI : 0) | (v >> 27 & 1 ? WRITE : 0), v >> 28 ? prds : 0xffff);
    uint8_t cdb[16] = {packets[v >> 8 & 7], 0, 0, 0, 0, (uint8_t)(v >> 3 & 15), 0, 0,
                       (uint8_t)(v & 63)};
    bench_poke(TABLE + slot * TABLE_STEP + 64, cdb, sizeof cdb);
}

START_TEST(hostile)
{
    static const uint8_t regs[] = {CLB, CLB + 4, FB, PIS, PIE, CMD, SCTL, SERR, SACT, CI};
    g_autoptr(GRand) r = g_rand_new_with_seed((guint32)_i + 1);
    start();
    for (unsigned n = 0; n < 60000; n++) {
        uint32_t v = g_rand_int(r), port = v & 1 ? PORT1 : PORT0;
        switch (v >> 1 & 15) {
        case 0: put(port + regs[(v >> 8) % sizeof regs], g_rand_int(r)); break;
        case 1: put(v >> 8 & 0x7fc, g_rand_int(r)); break;
        case 2: get(v >> 8 & 0x7fc); break;
        case 3: settle(); break;
        case 4:
            put(port + SCTL, v >> 8 & 1);
            put(port + SCTL, 0);
            break;
        case 5:
        case 6:
            put(port + CMD, AHCI_CMD_FRE | (v >> 8 & AHCI_CMD_CLO));
            begin_port(port);
            break;
        case 7: put(port + SACT, g_rand_int(r) & g_rand_int(r)); break;
        case 8: pci_config_write(bus, PCI_DEVFN(3, 0), 4, 2, v & 0x1f00 ? 7 : 3); break;
        default:
            hostile_command(r, v >> 8 & 31);
            put(port + SACT, v >> 20 & 1 ? 1u << (v >> 8 & 31) : 0);
            put(port + CI, 1u << (v >> 8 & 31));
        }
        if (v >> 28 == 0) {
            pci_config_write(bus, PCI_DEVFN(3, 0), 4, 2, 7);
            pci_config_write(bus, PCI_DEVFN(3, 0), 0x24, 4, ABAR);
        }
    }
    settle();
    device_free(ahci);
}
END_TEST

BENCH_MAIN("ahci", CASE(identity), CASE(index_data_pair), CASE(first_fis_waits_for_receiver),
           CASE(identify_by_pio), CASE(dma_both_ways), CASE(pio_write_and_read), CASE(queue),
           CASE(queue_error), CASE(error_stops_the_port), CASE(packet), CASE(trim), CASE(resets),
           CASE(interrupts), CASE(table_too_short), CASE(bad_memory), CASE(own_registers),
           CASE(hostile))
