/* PIIX3 function 0: interrupt routing, reset control, the ISA bus (290550). */
#include "hw/pci/piix3.h"

#include "core/runstate.h"
#include "tests/hw/bench.h"

/* A card whose one register is its interrupt condition. */
typedef struct Card {
    PciDevice pci;
    uint8_t reg;
} Card;
static const Row card_rows[] = {REG(Card, reg, 0, .rw = 1), END};
static void card_update(void *dev)
{
    pci_irq(dev, ((Card *)dev)->reg);
}
static const DeviceClass card_class = {
    .name = "test-card",
    .base = &pci_device_class,
    .bus = "PCI",
    .size = sizeof(Card),
    .rows = card_rows,
    .info = &(const PciInfo){.vendor = 0x1234, .device = 0x5678, .interrupt_pin = 1},
    .update = card_update,
};

static PciBus *bus;
static Device *piix3;
static bool irq[ISA_IRQS];
static PciConfigPorts ports;

static void isa_level(void *sink, unsigned line, bool level)
{
    irq[line] = level;
}

static void setup(void)
{
    PciHost host = {.mem = space_root(space_memory()),
                    .io = space_root(space_io()),
                    .dma_space = space_memory()};
    bus = pci_bus_new(NULL, "pci.0", &host);
    ports.root = bus;
    region_map(space_root(space_io()), region_io("conf", 8, &pci_config_ports_ops, &ports), 0xcf8,
               0);
    piix3 = &pci_new(&piix3_class, NULL, PCI_DEVFN(1, 0), true)->dev;
    ck_assert(device_realize(piix3, pci_bus_as_bus(bus), NULL));
    IsaBus *isa = piix3_isa(piix3);
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        irq_connect(&isa->irq[i], isa_level, NULL, i);
    }
    mem_commit();
}

static Card *card(unsigned slot)
{
    PciDevice *pd = pci_new(&card_class, NULL, (int)PCI_DEVFN(slot, 0), false);
    ck_assert(device_realize(&pd->dev, pci_bus_as_bus(bus), NULL));
    return (Card *)pd;
}

static void pull(Card *c, bool level)
{
    device_write(&c->pci.dev, 0, 0, 1, level);
}
static void route(unsigned pirq, uint8_t v)
{
    pci_config_write(bus, PCI_DEVFN(1, 0), 0x60 + pirq, 1, v);
}

static unsigned levels(void)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        bits |= irq[i] ? 1u << i : 0;
    }
    return bits;
}

START_TEST(identity)
{
    setup();
    ck_assert_uint_eq(pci_config_read(bus, 8, 0, 4), 0x70008086);
    ck_assert_uint_eq(pci_config_read(bus, 8, 8, 4), 0x06010000);
    ck_assert_uint_eq(pci_config_read(bus, 8, 4, 2), 0x0007);
    ck_assert_uint_eq(pci_config_read(bus, 8, 0x60, 4), 0x80808080);
    ck_assert_uint_eq(pci_config_read(bus, 8, 0x4c, 4), 0x0003004d);
    ck_assert_uint_eq(pci_config_read(bus, 8, 0x0e, 1), 0x80);
    ck_assert_ptr_nonnull(bus_find("isa.0"));
}
END_TEST

START_TEST(routing)
{
    setup();
    Card *a = card(2), *b = card(3), *c = card(6); /* PIRQB, PIRQC, PIRQB */
    pull(a, true);
    ck_assert_uint_eq(levels(), 0);
    route(1, 11);
    ck_assert_uint_eq(levels(), 1 << 11);
    route(2, 11);
    pull(b, true);
    pull(a, false);
    ck_assert_msg(levels() == 1 << 11, "two PIRQs share an IRQ");
    pull(c, true);
    route(2, 10);
    ck_assert_uint_eq(levels(), 1 << 11 | 1 << 10);
    route(1, 0x8b);
    ck_assert_uint_eq(levels(), 1 << 10);
    route(2, 8);
    ck_assert_msg(levels() == 0, "IRQ 8 is the clock's");
    route(2, 9);
    device_reset(piix3, false);
    ck_assert_uint_eq(levels(), 0);
}
END_TEST

START_TEST(reset_control)
{
    setup();
    space_store(space_io(), 0xcf8, 4, 0x80000800);
    space_store(space_io(), 0xcf9, 1, 0x02);
    ck_assert_uint_eq(space_load(space_io(), 0xcf9, 1), 0x02);
    ck_assert_msg(space_load(space_io(), 0xcf8, 4) == 0x80000800,
                  "a byte to cf9 is no CONFIG_ADDRESS");
    ck_assert_uint_eq(space_load(space_io(), 0xcfc, 4), 0x70008086);
    space_store(space_io(), 0xcf9, 1, 0x06);
    ck_assert_uint_eq(device_peek(piix3, "rcr", 0), 0x06);
}
END_TEST

BENCH_MAIN("piix3", CASE(identity), CASE(routing), CASE(reset_control))
