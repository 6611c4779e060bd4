/* PCI-PCI bridges and root ports: bus numbers, windows, interrupts (PCI-to-PCI Bridge 1.2). */
#include <string.h>

#include "hw/pci/pci.h"
#include "tests/hw/bench.h"

enum { BRIDGE = PCI_DEVFN(4, 0), CARD = PCI_DEVFN(3, 0) };

static PciBus *bus;
static PciDevice *bridge, *card;
static unsigned line, levels;

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin)
{
    return (PCI_SLOT(devfn) + pin) & 3;
}
static void set_irq(void *opaque, unsigned n, bool level)
{
    line = n;
    levels += level;
}

static PciDevice *add(const char *type, const char *id, int devfn, Bus *where)
{
    GError *error = NULL;
    PciDevice *d = pci_new(device_class_find(type), id, devfn, false);
    ck_assert_msg(device_realize(&d->dev, where, &error), "%s", error ? error->message : "");
    device_reset(&d->dev, true);
    return d;
}

static void setup(const char *type, int devfn)
{
    PciHost host = {.mem = region_container("pci", 0),
                    .io = space_root(space_io()),
                    .dma_space = space_memory(),
                    .map_irq = map_irq,
                    .set_irq = set_irq};
    region_map(space_root(space_memory()), host.mem, 0, -1);
    bus = pci_bus_new(NULL, "pci.0", &host);
    bridge = add(type, "br", BRIDGE, pci_bus_as_bus(bus));
    card = add("edu", NULL, devfn, bus_find("br"));
    mem_commit();
}

static void cfg(unsigned at, unsigned size, uint32_t v)
{
    pci_config_write(bus, BRIDGE, at, size, v);
}

static uint32_t peek(uint64_t at)
{
    return (uint32_t)space_load(space_memory(), at, 4);
}

START_TEST(numbers_and_windows)
{
    setup("pci-bridge", CARD);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, 0x0e, 1), 1);
    ck_assert_msg(pci_bus_find(bus, 1) == NULL, "no number yet");
    cfg(0x18, 4, 0x00020100);
    PciBus *behind = pci_bus_find(bus, 1);
    ck_assert(behind && behind != bus);
    ck_assert_uint_eq(pci_config_read(behind, CARD, 0, 4), 0x11e81234);
    ck_assert_msg(pci_bus_find(bus, 3) == NULL, "beyond the subordinate number");
    pci_config_write(behind, CARD, 0x10, 4, 0xe0200000);
    pci_config_write(behind, CARD, 4, 2, 7);
    ck_assert_uint_eq(peek(0xe0200000), UINT32_MAX);
    cfg(0x20, 4, 0xe020e020);
    ck_assert_msg(peek(0xe0200000) == UINT32_MAX, "memory is off in the bridge");
    cfg(4, 2, 7);
    ck_assert_uint_eq(peek(0xe0200000), 0x010000ed);
    ck_assert_uint_eq(peek(0xe0300000), UINT32_MAX);
    cfg(0x20, 4, 0xe020e030); /* base above limit: closed */
    ck_assert_uint_eq(peek(0xe0200000), UINT32_MAX);
    cfg(0x28, 4, 0);
    cfg(0x24, 4, 0xe020e020); /* the prefetchable one does as well */
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, 0x24, 4), 0xe021e021);
    ck_assert_uint_eq(peek(0xe0200000), 0x010000ed);
    device_reset(&bridge->dev, false);
    ck_assert_uint_eq(peek(0xe0200000), UINT32_MAX);
}
END_TEST

/* Setting the bit in bridge control is RST# for what lies behind. */
START_TEST(secondary_reset)
{
    setup("pci-bridge", CARD);
    cfg(0x18, 4, 0x00010100);
    pci_config_write(pci_bus_find(bus, 1), CARD, 4, 2, 7);
    cfg(0x3e, 2, 1);
    ck_assert_uint_eq(card->command, 7);
    cfg(0x3e, 2, 1 << 6);
    ck_assert_uint_eq(card->command, 0);
    ck_assert_msg(pci_config_read(bus, BRIDGE, 0x19, 1) == 1, "the bridge itself stays");
}
END_TEST

START_TEST(chassis)
{
    setup("pci-bridge", CARD);
    ck_assert_msg(pci_config_read(bus, BRIDGE, 0x34, 1) == 0, "without a number");
    PciDevice *d = pci_new(device_class_find("pci-bridge"), "b2", PCI_DEVFN(8, 0), false);
    ck_assert(device_set(&d->dev, "chassis_nr", "9", NULL) && device_realize(&d->dev, pci_bus_as_bus(bus), NULL));
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(8, 0), 0x34, 1), 0x48);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(8, 0), 0x48, 4), 0x09200004);
    d = pci_new(device_class_find("pci-bridge"), "b3", PCI_DEVFN(9, 0), false);
    GError *error = NULL;
    ck_assert(device_set(&d->dev, "shpc", "on", NULL) && !device_realize(&d->dev, pci_bus_as_bus(bus), &error));
    ck_assert(strstr(error->message, "shpc"));
}
END_TEST

/* Pin A of slot 3 behind is pin D of the bridge. */
START_TEST(interrupt)
{
    setup("pci-bridge", CARD);
    pci_irq(card, true);
    ck_assert_uint_eq(levels, 1);
    ck_assert_uint_eq(line, (4 + 3) & 3);
    pci_irq(card, false);
}
END_TEST

START_TEST(root_port)
{
    GError *error = NULL;
    setup("pcie-root-port", 0);
    unsigned at = pci_config_read(bus, BRIDGE, 0x34, 1);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, at, 1), 0x10);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, at + 2, 2) >> 4 & 15, 4);
    ck_assert_msg(pci_config_read(bus, BRIDGE, 0x100, 4) == 0,
                  "4096 bytes, no extended capability");
    PciDevice *d = pci_new(device_class_find("edu"), NULL, CARD, false);
    ck_assert(!device_realize(&d->dev, bus_find("br"), &error));
    ck_assert(strstr(error->message, "slot 3") != NULL);
    device_free(&d->dev);
    cfg(0x18, 4, 0x00010100);
    cfg(0x20, 4, 0xe020e020);
    cfg(4, 2, 7);
    device_free(&bridge->dev);
    ck_assert(pci_bus_find(bus, 1) == NULL);
}
END_TEST

BENCH_MAIN("pci-bridge", CASE(numbers_and_windows), CASE(secondary_reset), CASE(chassis), CASE(interrupt), CASE(root_port))
