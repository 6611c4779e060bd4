/* Displays without a VGA (bochs-display, secondary-vga, ramfb), and pci-testdev. */
#include <string.h>

#include "hw/display/edid.h"
#include "hw/display/vga.h"
#include "hw/firmware/fw-cfg.h"
#include "hw/pci/pci.h"
#include "tests/hw/bench.h"

extern const DeviceClass bochs_display_class, secondary_vga_class, ramfb_class, pci_testdev_class;
enum { FRAME = 0xf0000000, MMIO = 0xfe000000, PORTS = 0xc000, DEVFN = PCI_DEVFN(2, 0), RAM_AT = 0x10000 };

static PciBus *pci;

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin) { return pin; }
static void set_irq(void *opaque, unsigned line, bool level) {}

static PciDevice *card(const DeviceClass *class, const char *property, const char *value)
{
    static PciHost host = {.map_irq = map_irq, .set_irq = set_irq};
    GError *error = NULL;
    host.mem = region_container("pci.mem", 0);
    host.io = region_container("pci.io", 0x10000);
    host.dma_space = space_memory();
    region_map(space_root(space_memory()), host.mem, 0, -1);
    region_map(space_root(space_io()), host.io, 0, -1);
    pci = pci_bus_new(NULL, "pci.0", &host);
    PciDevice *d = pci_new(class, NULL, DEVFN, false);
    ck_assert(device_set(&d->dev, "romfile", "", &error));
    ck_assert(!property || device_set(&d->dev, property, value, &error));
    if (!device_realize(&d->dev, pci_bus_as_bus(pci), &error)) {
        device_free(&d->dev);
        return NULL;
    }
    pci_config_write(pci, DEVFN, 0x10, 4, FRAME);
    pci_config_write(pci, DEVFN, class == &pci_testdev_class ? 0x14 : 0x18, 4, class == &pci_testdev_class ? PORTS : MMIO);
    pci_config_write(pci, DEVFN, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    mem_commit();
    return d;
}

static void dispi(unsigned reg, uint16_t v) { space_store(space_memory(), MMIO + 0x500 + 2 * reg, 2, v); }
static uint32_t pixel(Console *c, int x, int y) { return surface_line(console_surface(c), y)[x]; }

static void mode_800(void)
{
    dispi(DISPI_XRES, 800);
    dispi(DISPI_YRES, 600);
    dispi(DISPI_BPP, 32);
    dispi(DISPI_ENABLE, DISPI_ENABLED | DISPI_LFB);
}

START_TEST(bochs)
{
    card(&bochs_display_class, NULL, NULL);
    Console *c = console_find(0);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0, 4), 0x11111234);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 8, 4) >> 8, 0x038000);
    ck_assert_uint_eq(space_load(space_memory(), MMIO + 0x500, 2), 0xb0c5);
    ck_assert_uint_eq(space_load(space_memory(), MMIO, 4), 0xffffff00); /* EDID */
    ck_assert_uint_eq(space_load(space_memory(), MMIO + 0x600, 4), 8);
    ck_assert_uint_eq(space_load(space_memory(), MMIO + 0x500 + 2 * DISPI_MEMORY_64K, 2), 256);
    space_store(space_memory(), MMIO + 0x400, 1, 0x55); /* no VGA behind it */
    ck_assert_uint_eq(space_load(space_memory(), MMIO + 0x400, 1), 0);
    ck_assert_uint_eq(space_load(space_io(), 0x3cc, 1), 0xff);
    mode_800();
    space_store(space_memory(), FRAME + (3 * 800 + 2) * 4, 4, 0x123456);
    console_refresh(c);
    ck_assert_int_eq(console_surface(c)->width, 800);
    ck_assert_uint_eq(pixel(c, 2, 3), 0x123456);
    space_store(space_memory(), MMIO + 0x604, 4, 0xbebebebe); /* big-endian pixels */
    console_refresh(c);
    ck_assert_uint_eq(pixel(c, 2, 3), 0x341200);
    dispi(DISPI_ENABLE, 0);
    console_refresh(c);
    ck_assert_uint_eq(pixel(c, 2, 3), 0);
}
END_TEST

START_TEST(bochs_memory)
{
    ck_assert_ptr_null(card(&bochs_display_class, "vgamem", "3M"));
    ck_assert_ptr_null(card(&bochs_display_class, "vgamem", "1K"));
    ck_assert_ptr_nonnull(card(&bochs_display_class, "vgamem", "64M"));
    ck_assert_uint_eq(space_load(space_memory(), MMIO + 0x500 + 2 * DISPI_MEMORY_64K, 2), 1024);
}
END_TEST

START_TEST(secondary)
{
    card(&secondary_vga_class, NULL, NULL);
    Console *c = console_find(0);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 8, 4) >> 8, 0x038000);
    ck_assert_uint_eq(space_load(space_io(), 0x3cc, 1), 0xff); /* not at the legacy ports */
    space_store(space_memory(), MMIO + 0x400, 1, 0x20); /* 3c0: screen on */
    mode_800();
    space_store(space_memory(), FRAME, 4, 0xabcdef);
    console_refresh(c);
    ck_assert_uint_eq(pixel(c, 0, 0), 0xabcdef);
}
END_TEST

/* Writes the file as firmware does: by the DMA interface of the configuration device. */
static void fw_write(FwCfg *fw, const uint8_t *data, uint32_t len)
{
    uint8_t dir[64 * 64];
    unsigned key = 0;
    space_store(space_io(), FW_CFG_PORT, 2, FW_CFG_FILE_DIR);
    for (unsigned i = 0; i < sizeof(dir); i++) {
        dir[i] = (uint8_t)space_load(space_io(), FW_CFG_PORT + 1, 1);
    }
    for (unsigned at = 4; at + 64 <= sizeof(dir); at += 64) {
        if (!strcmp((char *)dir + at + 8, "etc/ramfb")) {
            key = dir[at + 4] << 8 | dir[at + 5];
        }
    }
    ck_assert_uint_ne(key, 0);
    uint8_t request[16] = {(uint8_t)(key >> 8), (uint8_t)key, 0, 0x18, 0, 0, 0, (uint8_t)len, 0, 0, 0, 0, 0, 0, 0x20, 0};
    bench_poke(0x2000, data, len);
    bench_poke(0x1000, request, sizeof(request));
    space_store(space_io(), FW_CFG_PORT + 4, 4, 0);
    space_store(space_io(), FW_CFG_PORT + 8, 4, GUINT32_SWAP_LE_BE(0x1000));
}

START_TEST(ramfb)
{
    uint8_t config[28] = {0, 0, 0, 0, 0, 1, 0, 0, 0x34, 0x32, 0x52, 0x58, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 32, 0, 0, 1, 16};
    GError *error = NULL;
    fw_cfg_new(space_root(space_io()), space_memory(), &error);
    mem_commit();
    FwCfg *fw = fw_cfg_find();
    Device *d = device_new(&ramfb_class, NULL);
    if (!device_realize(d, NULL, &error)) { /* its BIOS is not installed here */
        ck_assert_ptr_nonnull(strstr(error->message, "vgabios-ramfb.bin"));
        return;
    }
    Console *c = console_find(0);
    console_refresh(c);
    ck_assert_int_eq(console_surface(c)->width, 640);
    fw_write(fw, config, sizeof(config));
    uint32_t color = 0x00c0ffee;
    bench_poke(RAM_AT + 5 * 272 + 4 * 7, &color, 4);
    console_refresh(c);
    ck_assert_int_eq(console_surface(c)->width, 64);
    ck_assert_int_eq(console_surface(c)->height, 32);
    ck_assert_uint_eq(pixel(c, 7, 5), 0xc0ffee);
    color = 0x1234;
    bench_poke(RAM_AT + 5 * 272 + 4 * 7, &color, 4); /* no dirty bits: it is seen all the same */
    console_refresh(c);
    ck_assert_uint_eq(pixel(c, 7, 5), 0x1234);
    config[8] = '6', config[9] = '1', config[10] = 'G', config[11] = 'R';
    fw_write(fw, config, sizeof(config));
    color = 0xf800;
    bench_poke(RAM_AT, &color, 2);
    console_refresh(c);
    ck_assert_uint_eq(pixel(c, 0, 0), 0xff0000);
    config[16] = 0xff; /* what cannot be shown changes nothing; an address without memory reads as ones */
    fw_write(fw, config, sizeof(config));
    console_refresh(c);
    ck_assert_int_eq(console_surface(c)->width, 64);
    config[16] = 0, config[0] = 0x80;
    fw_write(fw, config, sizeof(config));
    console_refresh(c);
    ck_assert_uint_eq(pixel(c, 3, 3), 0xffffff);
    device_free(d);
    fw_write(fw, config, 0);
}
END_TEST

static uint64_t t_load(bool ports, unsigned at, unsigned n)
{
    return space_load(ports ? space_io() : space_memory(), (ports ? PORTS : FRAME) + at, n);
}
static void t_store(bool ports, uint64_t at, unsigned n, uint64_t v)
{
    space_store(ports ? space_io() : space_memory(), (ports ? PORTS : FRAME) + at, n, v);
}

START_TEST(testdev)
{
    card(&pci_testdev_class, "membar", "4G");
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0, 4), 0x00051b36);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0x18, 4) & 0xf, 0xc);
    for (unsigned ports = 0; ports < 2; ports++) {
        unsigned n = 0;
        for (;; n++) { /* tests 0 to N, then none */
            t_store(ports, 0, 1, n);
            unsigned width = (unsigned)t_load(ports, 1, 1);
            if (width != 1 && width != 2 && width != 4) {
                break;
            }
            uint32_t at = (uint32_t)t_load(ports, 4, 4), data = (uint32_t)t_load(ports, 8, 4);
            ck_assert_uint_ne(t_load(ports, 16, 1), 0);
            ck_assert_uint_eq(t_load(ports, 12, 4), 0);
            for (unsigned i = 0; i < 3; i++) {
                t_store(ports, at, width, data);
            }
            t_store(ports, at + 8, width, data);
            ck_assert_uint_eq(t_load(ports, 12, 4), 3);
        }
        ck_assert_uint_ge(n, 3);
    }
    ck_assert_ptr_null(card(&pci_testdev_class, "membar", "3G"));
}
END_TEST

BENCH_MAIN("displays", CASE(bochs), CASE(bochs_memory), CASE(secondary), CASE(ramfb), CASE(testdev))
