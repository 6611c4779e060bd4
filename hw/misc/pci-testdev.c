/* pci-testdev: how fast a guest's write reaches a device (docs/specs/pci-testdev of QEMU describes it; kvm-unit-tests use it).
 *
 * BAR 0 is memory, BAR 1 ports.  Each begins with a header: write a test's number to byte 0, read where to write what and
 * in which width, and look how often that happened.  A width of 0 says that there is no such test.  BAR 2 is a hole of a
 * size that the user names. */
#include <string.h>

#include "hw/pci/pci.h"

enum { BAR_MEM_SIZE = 4096, BAR_IO_SIZE = 256, BARS = 2 };
enum { TARGET = 0x80, DATA = 0x5a, NAME_AT = 16, NAME_MAX_LEN = 32 };

typedef struct PciTestdev {
    PciDevice pci;
    uint64_t membar;                    /* property: bytes, 0: no BAR 2                                      */
    struct {
        uint8_t test;                   /* chosen                                                            */
        uint32_t count;                 /* writes seen since                                                 */
    } unit[BARS];
} PciTestdev;

/* Any data count where `any`; otherwise only DATA in that width. */
static const struct {
    const char *name;
    uint8_t width;
    bool any;
} tests[] = {{"a byte", 1, false}, {"any byte", 1, true}, {"a word", 2, false}, {"a doubleword", 4, false}};

static uint8_t header_byte(const PciTestdev *s, unsigned bar, unsigned at)
{
    struct {
        uint8_t test, width, pad[2];
        uint32_t offset, data, count;
        char name[NAME_MAX_LEN];
    } header = {.test = s->unit[bar].test, .count = s->unit[bar].count};
    if (header.test < G_N_ELEMENTS(tests)) {
        header.width = tests[header.test].width;
        header.offset = TARGET;
        header.data = DATA;
        g_snprintf(header.name, sizeof(header.name), "%s: %s", bar ? "ports" : "memory", tests[header.test].name);
    }
    return at < sizeof(header) ? ((const uint8_t *)&header)[at] : 0;
}

static uint64_t bar_read(PciTestdev *s, unsigned bar, uint64_t at, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)header_byte(s, bar, (unsigned)at + i) << 8 * i;
    }
    return v;
}

static void bar_write(PciTestdev *s, unsigned bar, uint64_t at, unsigned size, uint64_t value)
{
    uint8_t test = s->unit[bar].test;
    if (at == 0) {
        s->unit[bar].test = (uint8_t)value;
        s->unit[bar].count = 0;
    } else if (at == TARGET && test < G_N_ELEMENTS(tests) && size == tests[test].width &&
               (tests[test].any || value == DATA)) {
        s->unit[bar].count++;
    }
}

static uint64_t mem_read(void *dev, uint64_t at, unsigned size) { return bar_read(dev, 0, at, size); }
static void mem_write(void *dev, uint64_t at, unsigned size, uint64_t v) { bar_write(dev, 0, at, size, v); }
static uint64_t io_read(void *dev, uint64_t at, unsigned size) { return bar_read(dev, 1, at, size); }
static void io_write(void *dev, uint64_t at, unsigned size, uint64_t v) { bar_write(dev, 1, at, size, v); }
static const IoOps mem_ops = {mem_read, mem_write, 1, 4}, io_ops = {io_read, io_write, 1, 4};
static const IoOps hole_ops = {.min = 1, .max = 8};

static bool testdev_realize(void *dev, GError **error)
{
    PciTestdev *s = dev;
    if (s->membar && (s->membar & (s->membar - 1) || s->membar < 16)) {
        return error_fail(error, "Property 'pci-testdev.membar' takes a power of two from 16 on, or 0");
    }
    pci_bar(&s->pci, 0, PCI_BAR_MEM, device_region_io(&s->pci.dev, "pci-testdev-mmio", BAR_MEM_SIZE, &mem_ops));
    pci_bar(&s->pci, 1, PCI_BAR_IO, device_region_io(&s->pci.dev, "pci-testdev-portio", BAR_IO_SIZE, &io_ops));
    if (s->membar) {
        pci_bar(&s->pci, 2, PCI_BAR_MEM | PCI_BAR_64 | PCI_BAR_PREFETCH,
                device_region_io(&s->pci.dev, "pci-testdev-membar", s->membar, &hole_ops));
    }
    return true;
}

static const Row rows[] = {
    PROP(PciTestdev, membar, "0", "Size of BAR 2, a power of two; 0: there is none", .type = TYPE_SIZE),
    EACH(PciTestdev, unit, test, .doc = "Test that the guest chose, by BAR"),
    EACH(PciTestdev, unit, count),
    END,
};

const DeviceClass pci_testdev_class = {
    .name = "pci-testdev",
    .doc = "PCI Test Device",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "misc",
    .hotpluggable = true,
    .size = sizeof(PciTestdev),
    .rows = rows,
    .info = &(const PciInfo){0x1b36, 0x0005, .class_code = 0x00ff00},
    .realize = testdev_realize,
};
