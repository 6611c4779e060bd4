/* An ATA channel on the ISA bus: ports, interrupt and PIO alone (ATA-1: X3T10 791D, §7: registers; §9: protocols). */
#include <string.h>

#include "core/loop.h"
#include "hw/isa/isa.h"
#include "hw/storage/ide.h"
#include "tests/hw/bench.h"

extern const DeviceClass isa_ide_class;
enum { SECTORS = 64, READY = ATA_DRDY | ATA_DSC };

static IsaBus *isa;
static Device *ide;
static Drive *disk;
static unsigned port, control, rises[ISA_IRQS];
static bool high[ISA_IRQS];

static void line(void *sink, unsigned n, bool level)
{
    high[n] = level;
    rises[n] += level;
}

static Device *channel(const char *props, GError **error)
{
    Device *d = device_new(&isa_ide_class, NULL);
    g_auto(GStrv) pairs = g_strsplit(props, ",", -1);
    for (char **p = pairs; *p && **p; p++) {
        char *value = strchr(*p, '=');
        *value++ = 0;
        ck_assert(device_set(d, *p, value, NULL));
    }
    if (!device_realize(d, isa->bus, error)) {
        device_free(d);
        return NULL;
    }
    device_reset(d, true);
    return d;
}

static void make_bus(void)
{
    isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    for (unsigned n = 0; n < ISA_IRQS; n++) {
        irq_connect(&isa->irq[n], line, NULL, n);
    }
}

static void setup(const char *props, unsigned command, unsigned other)
{
    GError *error = NULL;
    make_bus();
    ide = channel(props, &error);
    ck_assert_msg(ide != NULL, "%s", error ? error->message : "");
    disk = drive_new_memory("disk", SECTORS * ATA_SECTOR);
    ck_assert_msg(ide_drive_new(bus_find("ide.0")->impl, 0, disk, false, NULL, &error), "%s", error ? error->message : "");
    port = command;
    control = other;
    mem_commit();
}

static uint32_t in(unsigned at, unsigned size)
{
    return (uint32_t)space_load(space_io(), at, size);
}
static void out(unsigned at, unsigned size, uint32_t v)
{
    space_store(space_io(), at, size, v);
}

static void command(unsigned code, unsigned sector, unsigned count)
{
    out(port + 2, 1, count);
    out(port + 3, 1, sector);
    out(port + 4, 1, 0);
    out(port + 5, 1, 0);
    out(port + 6, 1, 0xe0);
    out(port + 7, 1, code);
    drive_drain(disk);
}

/* IDENTIFY DEVICE by data in 16 bits; the interrupt goes when the status is read, not when the alternate is. */
static void identify(unsigned irq)
{
    uint16_t id[256];
    command(0xec, 0, 0);
    ck_assert(high[irq]);
    ck_assert_uint_eq(in(control, 1), READY | ATA_DRQ);
    ck_assert(high[irq]);
    ck_assert_uint_eq(in(port + 7, 1), READY | ATA_DRQ);
    ck_assert(!high[irq]);
    for (unsigned i = 0; i < 256; i++) {
        id[i] = (uint16_t)in(port, 2);
    }
    ck_assert_uint_eq(in(port + 7, 1), READY);
    ck_assert_uint_eq(id[60] | (uint32_t)id[61] << 16, SECTORS);
}

START_TEST(usual_place)
{
    setup("", 0x1f0, 0x3f6);
    identify(14);
    for (unsigned n = 0; n < ISA_IRQS; n++) {
        ck_assert_uint_eq(rises[n], n == 14);
    }
}
END_TEST

START_TEST(other_place)
{
    setup("iobase=0x168,iobase2=0x36e,irq=11", 0x168, 0x36e);
    identify(11);
    ck_assert_uint_eq(in(0x1f7, 1), 0xff);
    ck_assert_msg(in(0x36f, 1) == 0xff, "one control port");
}
END_TEST

/* WRITE and READ SECTORS: an interrupt for each sector; writing starts without one. */
START_TEST(sectors)
{
    setup("", 0x1f0, 0x3f6);
    command(0x30, 5, 2);
    ck_assert_msg(!high[14], "the host knows that it is its turn");
    for (unsigned n = 0; n < 2; n++) {
        ck_assert_uint_eq(in(port + 7, 1), READY | ATA_DRQ);
        for (unsigned i = 0; i < 256; i++) {
            out(port, 2, n << 12 | i);
        }
        drive_drain(disk);
        ck_assert_uint_eq(rises[14], n + 1);
        ck_assert_uint_eq(in(port + 7, 1) & ATA_ERR, 0);
    }
    rises[14] = 0;
    command(0x20, 5, 2);
    for (unsigned n = 0; n < 2; n++) {
        ck_assert_uint_eq(rises[14], n + 1);
        ck_assert_uint_eq(in(port + 7, 1), READY | ATA_DRQ);
        for (unsigned i = 0; i < 256; i++) {
            ck_assert_uint_eq(in(port, 2), n << 12 | i);
        }
        drive_drain(disk);
    }
    ck_assert_uint_eq(in(port + 7, 1), READY);
}
END_TEST

/* Device control: nIEN holds the interrupt back, SRST resets the drives. */
START_TEST(device_control)
{
    setup("", 0x1f0, 0x3f6);
    out(control, 1, ATA_NIEN);
    command(0xec, 0, 0);
    ck_assert(!high[14]);
    out(control, 1, 0);
    ck_assert_msg(high[14], "it was waiting");
    out(control, 1, ATA_SRST);
    out(control, 1, 0);
    ck_assert(!high[14]);
    ck_assert_uint_eq(in(port + 1, 1), 1);
    ck_assert_uint_eq(in(port + 2, 1) | in(port + 3, 1) << 8, 0x0101);
    ck_assert_uint_eq(in(port + 4, 1) | in(port + 5, 1) << 8, 0);
}
END_TEST

/* Without a bus master a drive with a DMA command goes on waiting; a reset ends that. */
START_TEST(no_dma)
{
    setup("", 0x1f0, 0x3f6);
    command(0xc8, 0, 1);
    bench_advance(10 * NS_PER_SECOND);
    drive_drain(disk);
    ck_assert(!high[14]);
    ck_assert_uint_eq(in(port + 7, 1) & (ATA_ERR | ATA_DF), 0);
    out(control, 1, ATA_SRST);
    out(control, 1, 0);
    identify(14);
}
END_TEST

/* No drive at all: nobody answers for the absent device 0. */
START_TEST(two_channels)
{
    GError *error = NULL;
    setup("", 0x1f0, 0x3f6);
    Device *second = channel("iobase=0x170,iobase2=0x376,irq=15", &error);
    ck_assert_msg(second && bus_find("ide.1"), "%s", error ? error->message : "");
    mem_commit();
    out(0x176, 1, 0xa0);
    ck_assert_uint_eq(in(0x177, 1) & (ATA_BSY | ATA_DRQ | ATA_DRDY), 0);
    identify(14);
    ck_assert_uint_eq(rises[15], 0);
    ck_assert(!channel("irq=16", &error));
    g_clear_error(&error);
    ck_assert(!channel("iobase=0xfff9", &error));
    ck_assert_str_eq(error->message, "Property isa-ide.iobase must lie below 0xfff9, iobase2 below 0x10000");
    g_clear_error(&error);
    ck_assert(!channel("iobase2=0x10000", &error));
}
END_TEST

BENCH_MAIN("isa-ide", CASE(usual_place), CASE(other_place), CASE(sectors), CASE(device_control), CASE(no_dma), CASE(two_channels))
