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

static uint8_t port(uint64_t at)
{
    return (uint8_t)space_load(space_io(), at, 1);
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

static uint64_t where(void *opaque, uint64_t at, unsigned size)
{
    return (at >> 8 ^ at) & 0xff;
}

static Region *ports_behind, *memory_behind; /* of the test, not of a device: not to be lost sight of */

/* Something behind that answers at every port, and in some memory. */
static void answer(uint64_t memory)
{
    static const IoOps ops = {where, NULL, 1, 1};
    PciBus *behind = pci_bus_of(bus_find("br"));
    ports_behind = region_io("ports", 0x10000, &ops, NULL);
    memory_behind = region_io("memory", 1 << 20, &ops, NULL);
    region_map(pci_bus_io(behind), ports_behind, 0, -5);
    region_map(pci_bus_mem(behind), memory_behind, memory, -5);
}

/* That of VGA. */
static void everywhere(void)
{
    answer(0);
    Region *hole = region_alias("hole", pci_bus_mem(bus), 0x90000, 0x40000); /* in the bench's RAM, which reads as 0 */
    region_map(space_root(space_memory()), hole, 0x90000, 1);
    mem_commit();
}

/* §3.2.5.18: VGA Enable forwards A0000h-BFFFFh and the ports 3B0h-3BBh, 3C0h-3DFh, these with bits 15 to 10 ignored unless
 * 16-bit decode is asked for; each kind as far as the command register has it. */
START_TEST(vga)
{
    static const struct { uint16_t at; bool is; } ports[] = {
        {0x3af, false}, {0x3b0, true}, {0x3bb, true}, {0x3bc, false}, {0x3bf, false}, {0x3c0, true},
        {0x3df, true}, {0x3e0, false},
    };
    setup("pci-bridge", CARD);
    everywhere();
    cfg(0x1c, 2, 0x00f0); /* the window is closed */
    cfg(0x3e, 2, 1 << 3);
    ck_assert(port(0x3c5) == 0xff && !peek(0xb8000));
    cfg(4, 2, PCI_COMMAND_MEMORY);
    ck_assert(port(0x3c5) == 0xff && peek(0xb8000) == 0x83828180);
    cfg(4, 2, PCI_COMMAND_IO);
    ck_assert(port(0x3c5) == (3 ^ 0xc5) && !peek(0xb8000));
    cfg(4, 2, 7);
    ck_assert(peek(0xa0000) == 0x03020100 && peek(0xbfffc) == 0x00010203 && !peek(0x9fffc) && !peek(0xc0000));
    for (unsigned wide = 0; wide < 2; wide++) {
        cfg(0x3e, 2, 1 << 3 | wide << 4);
        ck_assert_uint_eq(pci_config_read(bus, BRIDGE, 0x3e, 2), 1 << 3 | wide << 4);
        for (unsigned i = 0; i < G_N_ELEMENTS(ports); i++) {
            for (unsigned block = 0; block < 0x10000; block += 0x400) {
                unsigned at = block + ports[i].at;
                bool is = ports[i].is && (!wide || !block);
                ck_assert_msg(port(at) == (is ? (uint8_t)where(NULL, at, 1) : 0xff), "port %x, wide %u", at, wide);
            }
        }
    }
    cfg(0x3e, 2, 1 << 4);
    ck_assert_msg(port(0x3c5) == 0xff && !peek(0xb8000), "16 bits alone enable nothing");
    cfg(0x3e, 2, 1 << 3);
    device_reset(&bridge->dev, false);
    ck_assert(port(0x3c5) == 0xff && !peek(0xb8000));
}
END_TEST

/* §3.2.5.18: ISA Enable blocks the last 768 bytes of each KiB of the window, but not VGA's. */
START_TEST(isa)
{
    setup("pcie-root-port", 0);
    everywhere();
    cfg(0x1c, 2, 0x4030);
    cfg(4, 2, 7);
    ck_assert(port(0x3100) == (0x31 ^ 0) && port(0x4fff) == (0x4f ^ 0xff) && port(0x2fff) == 0xff && port(0x5000) == 0xff);
    cfg(0x3e, 2, 1 << 2);
    for (unsigned at = 0x2f00; at < 0x5100; at++) {
        bool is = at >= 0x3000 && at < 0x5000 && (at & 0x3ff) < 0x100;
        ck_assert_msg(port(at) == (is ? (uint8_t)where(NULL, at, 1) : 0xff), "port %x", at);
    }
    cfg(0x3e, 2, 3 << 2);
    ck_assert(port(0x33c5) == (0x33 ^ 0xc5) && port(0x33e0) == 0xff && port(0x3c5) == (3 ^ 0xc5));
    cfg(0x3e, 2, 7 << 2);
    ck_assert(port(0x33c5) == 0xff && port(0x3c5) == (3 ^ 0xc5));
    cfg(0x3e, 2, 0);
    ck_assert(port(0x33c5) == (0x33 ^ 0xc5) && port(0x3c5) == 0xff);
}
END_TEST

/* ICH9 data sheet §5.1.3, §11.1.24: what nobody claims goes behind; policy bit 7 makes the enable bits count for that. */
START_TEST(subtractive)
{
    setup("i82801b11-bridge", CARD);
    answer(0xd0000000);
    mem_commit();
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, 8, 4), 0x06040192);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, 0x4c, 4), 0x00001200);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, 0x34, 1), 0x50);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, 0x50, 2), 0x000d);
    ck_assert(port(0x3c5) == (3 ^ 0xc5) && peek(0xd0000100) == 0x02030001);
    cfg(0x4c, 4, 0x80);
    ck_assert(port(0x3c5) == 0xff && peek(0xd0000100) == UINT32_MAX);
    cfg(4, 2, PCI_COMMAND_IO);
    ck_assert(port(0x3c5) == (3 ^ 0xc5) && peek(0xd0000100) == UINT32_MAX);
    cfg(4, 2, PCI_COMMAND_MEMORY);
    ck_assert(port(0x3c5) == 0xff && peek(0xd0000100) == 0x02030001);
    cfg(4, 2, 7);
    cfg(0x4c, 4, 0);
    /* What is claimed on the root bus stays there. */
    PciDevice *other = add("edu", NULL, PCI_DEVFN(9, 0), pci_bus_as_bus(bus));
    pci_config_write(bus, PCI_DEVFN(9, 0), 0x10, 4, 0xd0000000);
    pci_config_write(bus, PCI_DEVFN(9, 0), 4, 2, 2);
    ck_assert_uint_eq(peek(0xd0000000), 0x010000ed);
    device_free(&other->dev);
    mem_commit();
    ck_assert_uint_eq(peek(0xd0000000), 0x03020100);
    device_free(&bridge->dev);
    mem_commit();
    ck_assert_uint_eq(peek(0xd0000000), UINT32_MAX);
}
END_TEST

START_TEST(root_port)
{
    GError *error = NULL;
    setup("pcie-root-port", 0);
    unsigned at = pci_config_read(bus, BRIDGE, 0x34, 1);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, at, 1), 0x10);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, at + 2, 2) >> 4 & 15, 4);
    ck_assert_msg(pci_config_read(bus, BRIDGE, 0x100, 4) == 0x00020001 && pci_config_read(bus, BRIDGE, 0xffc, 4) == 0,
                  "4096 bytes");
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

BENCH_MAIN("pci-bridge", CASE(numbers_and_windows), CASE(secondary_reset), CASE(chassis), CASE(interrupt), CASE(vga), CASE(isa),
           CASE(subtractive), CASE(root_port))
