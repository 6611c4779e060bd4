/* PCI functions and buses: header, BARs, capabilities, configuration cycles, interrupt swizzle
 * (PCI 3.0). */
#include "hw/pci/pci.h"
#include "tests/hw/bench.h"

#include <string.h>

/* A card with a memory BAR, an I/O BAR, a 64-bit BAR and all capabilities. */
typedef struct Card {
    PciDevice pci;
    uint32_t reg;
    PciMsiCap msi;
    PciMsixCap msix;
    PciPmCap pm;
} Card;

static const Row card_rows[] = {
    REG(Card, reg, 0, .rw = UINT32_MAX),
    PCI_PM_CAP(Card, pm, 0x40),
    PCI_MSI_CAP(Card, msi, 0x50),
    PCI_MSIX_CAP(Card, msix, 0x70),
    END,
};

static bool card_realize(void *dev, GError **error)
{
    Card *s = dev;
    pci_bar(&s->pci, 0, PCI_BAR_MEM, device_region(dev, 0, "card-mem", 0x1000));
    pci_bar(&s->pci, 1, PCI_BAR_IO, device_region(dev, 0, "card-io", 0x20));
    pci_bar(&s->pci, 2, PCI_BAR_MEM | PCI_BAR_64 | PCI_BAR_PREFETCH,
            device_region(dev, 0, "card-64", 0x10000));
    pci_pm_init(&s->pci, &s->pm, 0x40);
    pci_msi_init(&s->pci, &s->msi, 0x50, 4, true, true);
    pci_msix_init_bar(&s->pci, &s->msix, 0x70, 5, 4);
    return true;
}

static void card_update(void *dev)
{
    Card *s = dev;
    pci_irq(&s->pci, s->reg & 1);
}

static const DeviceClass card_class = {
    .name = "test-card",
    .base = &pci_device_class,
    .bus = "PCI",
    .size = sizeof(Card),
    .rows = card_rows,
    .info = &(const PciInfo){.vendor = 0x1234,
                             .device = 0x5678,
                             .revision = 3,
                             .class_code = 0x020000,
                             .interrupt_pin = 1},
    .realize = card_realize,
    .update = card_update,
};

/* A host: containers of our own, four lines, messages recorded. */
static PciBus *bus;
static PciConfigPorts ports;
static Region *pci_mem, *pci_io;
static bool line[4];
static unsigned messages;
static uint64_t message_address;
static uint32_t message_data;

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin)
{
    return (PCI_SLOT(devfn) + pin) & 3;
}
static void set_irq(void *opaque, unsigned n, bool level)
{
    line[n] = level;
}

static void record(void *sink, uint64_t address, uint32_t data)
{
    messages++;
    message_address = address;
    message_data = data;
}

static void host_setup(void)
{
    pci_mem = region_container("pci-mem", 0);
    region_map(space_root(space_memory()), pci_mem, 0, -1);
    pci_io = space_root(space_io());
    PciHost host = {pci_mem, pci_io, space_memory(), map_irq, set_irq, NULL, {record, NULL}};
    bus = pci_bus_new(NULL, "pci.0", &host);
    ports.root = bus;
    region_map(pci_io, region_io("conf", 8, &pci_config_ports_ops, &ports), 0xcf8, 0);
    mem_commit();
}

static Card *card_new(int devfn, bool multifunction)
{
    PciDevice *pd = pci_new(&card_class, NULL, devfn, multifunction);
    GError *error = NULL;
    ck_assert_msg(device_realize(&pd->dev, pci_bus_as_bus(bus), &error), "%s",
                  error ? error->message : "");
    return (Card *)pd;
}

static uint32_t cfg(Card *c, unsigned at, unsigned size)
{
    return pci_config_read(bus, (unsigned)c->pci.devfn, at, size);
}

static void cfg_set(Card *c, unsigned at, unsigned size, uint32_t v)
{
    pci_config_write(bus, (unsigned)c->pci.devfn, at, size, v);
}

static uint32_t inp(uint16_t port, unsigned size)
{
    return (uint32_t)space_load(space_io(), port, size);
}
static void outp(uint16_t port, unsigned size, uint32_t v)
{
    space_store(space_io(), port, size, v);
}

START_TEST(header)
{
    host_setup();
    Card *c = card_new(-1, false);
    ck_assert_int_eq(c->pci.devfn, 0);
    ck_assert_uint_eq(cfg(c, 0, 4), 0x56781234);
    ck_assert_uint_eq(cfg(c, 8, 4), 0x02000003);
    ck_assert_uint_eq(cfg(c, 0x2c, 4), 0x11001af4);
    ck_assert_uint_eq(cfg(c, 0x0e, 1), 0);
    ck_assert_uint_eq(cfg(c, 0x3d, 1), 1);
    cfg_set(c, 0, 4, 0);
    ck_assert_uint_eq(cfg(c, 0, 4), 0x56781234);
    cfg_set(c, 4, 2, 0xffff);
    ck_assert_uint_eq(cfg(c, 4, 2), 0x0547);
    cfg_set(c, 0x3c, 1, 0xab);
    ck_assert_uint_eq(cfg(c, 0x3c, 1), 0xab);
    /* absent slots, registers beyond the header */
    ck_assert_uint_eq(pci_config_read(bus, 0x48, 0, 4), UINT32_MAX);
    ck_assert_uint_eq(cfg(c, 0xc0, 4), 0);
}
END_TEST

START_TEST(bars_size_and_map)
{
    host_setup();
    Card *c = card_new(PCI_DEVFN(3, 0), false);
    for (unsigned n = 0; n < 6; n++) {
        cfg_set(c, 0x10 + 4 * n, 4, UINT32_MAX);
    }
    ck_assert_uint_eq(cfg(c, 0x10, 4), 0xfffff000);
    ck_assert_uint_eq(cfg(c, 0x14, 4), 0xffffffe1);
    ck_assert_uint_eq(cfg(c, 0x18, 4), 0xffff000c);
    ck_assert_uint_eq(cfg(c, 0x1c, 4), 0xffffffff);
    ck_assert_uint_eq(cfg(c, 0x20, 4), 0xfffff000);
    ck_assert_uint_eq(cfg(c, 0x24, 4), 0);
    ck_assert_uint_eq(cfg(c, 0x30, 4), 0);

    cfg_set(c, 0x10, 4, 0xfe000000);
    cfg_set(c, 0x14, 4, 0xc000);
    cfg_set(c, 0x18, 4, 0x80000000);
    cfg_set(c, 0x1c, 4, 0x12);
    ck_assert(pci_bar_address(&c->pci, 0) == PCI_UNMAPPED);
    space_store(space_memory(), 0xfe000000, 4, 1);
    ck_assert_uint_eq(c->reg, 0);
    cfg_set(c, 4, 2, PCI_COMMAND_MEMORY);
    ck_assert_uint_eq(pci_bar_address(&c->pci, 0), 0xfe000000);
    ck_assert(pci_bar_address(&c->pci, 1) == PCI_UNMAPPED);
    ck_assert_uint_eq(pci_bar_address(&c->pci, 2), UINT64_C(0x1280000000));
    space_store(space_memory(), 0xfe000000, 4, 0x1234568);
    ck_assert_uint_eq(space_load(space_memory(), UINT64_C(0x1280000000), 4), 0x1234568);
    cfg_set(c, 4, 2, PCI_COMMAND_IO);
    ck_assert_uint_eq(inp(0xc000, 4), 0x1234568);
    ck_assert_uint_eq(space_load(space_memory(), 0xfe000000, 4), UINT32_MAX);
    /* moved while it decodes; reset lets go */
    cfg_set(c, 0x15, 1, 0xd0);
    ck_assert_uint_eq(pci_bar_address(&c->pci, 1), 0xd000);
    ck_assert_uint_eq(inp(0xc000, 4), UINT32_MAX);
    device_reset(&c->pci.dev, false);
    ck_assert_uint_eq(inp(0xd000, 4), UINT32_MAX);
    ck_assert_uint_eq(cfg(c, 0x18, 4), 0x0000000c);
}
END_TEST

START_TEST(interrupt_pin)
{
    host_setup();
    Card *a = card_new(PCI_DEVFN(3, 0), false), *b = card_new(PCI_DEVFN(7, 0), false);
    device_write(&a->pci.dev, 0, 0, 4, 1);
    ck_assert(line[3]);
    ck_assert_uint_eq(cfg(a, 6, 2), PCI_STATUS_INTX | PCI_STATUS_CAPS);
    device_write(&b->pci.dev, 0, 0, 4, 1);
    device_write(&a->pci.dev, 0, 0, 4, 0);
    ck_assert_msg(line[3], "two functions share the line");
    cfg_set(b, 4, 2, PCI_COMMAND_INTX_OFF);
    ck_assert(!line[3]);
    ck_assert_msg(cfg(b, 6, 2) & PCI_STATUS_INTX, "the status does not depend on the disable bit");
    cfg_set(b, 4, 2, 0);
    ck_assert(line[3] && pci_bus_line_level(bus, 3));
    device_free(&b->pci.dev);
    ck_assert_msg(!line[3], "an unplugged card lets go");
}
END_TEST

START_TEST(capability_list)
{
    host_setup();
    Card *c = card_new(0, false);
    unsigned at = cfg(c, 0x34, 1), seen = 0;
    for (unsigned n = 0; at && n < 48; n++) {
        seen |= 1u << (cfg(c, at, 1) & 31);
        at = cfg(c, at + 1, 1);
    }
    ck_assert_uint_eq(seen, 1u << 1 | 1u << 5 | 1u << 17);
    cfg_set(c, 0x44, 2, 3);
    ck_assert_uint_eq(cfg(c, 0x44, 2), 0x000b);
    ck_assert_uint_eq(cfg(c, 0x52, 2), 0x0184);
    ck_assert_uint_eq(cfg(c, 0x72, 2), 4);
    ck_assert_uint_eq(cfg(c, 0x74, 4), 4);
    ck_assert_uint_eq(cfg(c, 0x78, 4), 0x804);
}
END_TEST

START_TEST(msi)
{
    host_setup();
    Card *c = card_new(PCI_DEVFN(1, 0), false);
    cfg_set(c, 4, 2, PCI_COMMAND_MASTER);
    cfg_set(c, 0x54, 4, 0xfee01003);
    cfg_set(c, 0x5c, 2, 0x4047);
    cfg_set(c, 0x52, 2, 0x0021); /* enabled, 4 vectors granted */
    device_write(&c->pci.dev, 0, 0, 4, 1);
    ck_assert_uint_eq(messages, 1);
    ck_assert_uint_eq(message_address, 0xfee01000);
    ck_assert_uint_eq(message_data, 0x4044);
    ck_assert_msg(!line[1], "no pin while messages are on");
    device_write(&c->pci.dev, 0, 0, 4, 1);
    ck_assert_msg(messages == 1, "only an edge sends");
    pci_msi_notify(&c->pci, 3);
    ck_assert_uint_eq(message_data, 0x4047);
    /* masked: pending, sent when the mask goes */
    cfg_set(c, 0x60, 4, 1u << 2);
    pci_msi_notify(&c->pci, 2);
    ck_assert_uint_eq(messages, 2);
    ck_assert_uint_eq(cfg(c, 0x64, 4), 1u << 2);
    cfg_set(c, 0x60, 4, 0);
    ck_assert_uint_eq(messages, 3);
    ck_assert_uint_eq(message_data, 0x4046);
    ck_assert_uint_eq(cfg(c, 0x64, 4), 0);
    cfg_set(c, 4, 2, 0);
    pci_msi_notify(&c->pci, 0);
    ck_assert_msg(messages == 3, "a message is a bus master's write");
}
END_TEST

START_TEST(msix)
{
    host_setup();
    Card *c = card_new(PCI_DEVFN(1, 0), false);
    cfg_set(c, 0x20, 4, 0xfd000000);
    cfg_set(c, 4, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
    ck_assert_uint_eq(space_load(space_memory(), 0xfd00004c, 4), 1);
    space_store(space_memory(), 0xfd000040, 8, 0xfee00000);
    space_store(space_memory(), 0xfd000048, 4, 0x33);
    space_store(space_memory(), 0xfd000050, 4, 0x99);
    ck_assert_msg(space_load(space_memory(), 0xfd000050, 4) == 0, "only five vectors");
    cfg_set(c, 0x72, 2, 0xffff);
    ck_assert_uint_eq(cfg(c, 0x72, 2), 0xc004);
    pci_msix_notify(&c->pci, 4);
    ck_assert_uint_eq(space_load(space_memory(), 0xfd000800, 4), 1 << 4);
    cfg_set(c, 0x72, 2, 0x8000);
    ck_assert_msg(messages == 0, "the vector's own mask still holds");
    space_store(space_memory(), 0xfd00004c, 4, 0);
    ck_assert_uint_eq(messages, 1);
    ck_assert_uint_eq(message_data, 0x33);
    ck_assert_uint_eq(space_load(space_memory(), 0xfd000800, 4), 0);
    pci_msix_notify(&c->pci, 4);
    ck_assert_uint_eq(messages, 2);
    pci_msix_notify(&c->pci, 5);
    pci_msix_notify(&c->pci, 4000);
    ck_assert_uint_eq(messages, 2);
}
END_TEST

START_TEST(ports_cf8)
{
    host_setup();
    card_new(PCI_DEVFN(2, 0), false);
    ck_assert_uint_eq(inp(0xcfc, 4), UINT32_MAX);
    outp(0xcf8, 4, 0xffffffff);
    ck_assert_uint_eq(inp(0xcf8, 4), 0x80ffffff);
    outp(0xcf8, 4, 0x80001000);
    ck_assert_uint_eq(inp(0xcfc, 4), 0x56781234);
    ck_assert_uint_eq(inp(0xcfe, 2), 0x5678);
    ck_assert_uint_eq(inp(0xcfd, 1), 0x12);
    ck_assert_uint_eq(inp(0xcfd, 2), 0x7812);
    outp(0xcf8, 4, 0x80001002); /* the whole register number in the address, as some do */
    ck_assert_uint_eq(inp(0xcfc, 2), 0x5678);
    ck_assert_uint_eq(inp(0xcfe, 2), 0x5678);
    outp(0xcf8, 4, 0x80001000);
    outp(0xcf8, 2, 0);
    outp(0xcfb, 1, 0);
    ck_assert_msg(inp(0xcf8, 4) == 0x80001000, "only dwords reach CONFIG_ADDRESS");
    outp(0xcf8, 4, 0x8000103c);
    outp(0xcfc, 1, 11);
    ck_assert_uint_eq(inp(0xcfc, 4), 0x010b);
    outp(0xcf8, 4, 0x80011000); /* bus 1: nobody's */
    ck_assert_uint_eq(inp(0xcfc, 4), UINT32_MAX);
    outp(0xcf8, 4, 0x00001000);
    ck_assert_uint_eq(inp(0xcfc, 4), UINT32_MAX);
}
END_TEST

START_TEST(slots)
{
    host_setup();
    card_new(PCI_DEVFN(4, 0), false);
    PciDevice *second = pci_new(&card_class, NULL, PCI_DEVFN(4, 0), false);
    g_autoptr(GError) error = NULL;
    ck_assert(!device_realize(&second->dev, pci_bus_as_bus(bus), &error));
    ck_assert_ptr_nonnull(strstr(error->message, "slot 4 function 0 not available for test-card"));
    g_clear_error(&error);
    second->devfn = PCI_DEVFN(4, 1);
    ck_assert(!device_realize(&second->dev, pci_bus_as_bus(bus), &error));
    ck_assert_ptr_nonnull(strstr(error->message, "multifunction=on"));
    device_free(&second->dev);
    Card *c = card_new(PCI_DEVFN(5, 0), true);
    card_new(PCI_DEVFN(5, 1), false);
    ck_assert_uint_eq(cfg(c, 0x0e, 1), 0x80);
    ck_assert_int_eq(card_new(-1, false)->pci.devfn, 0);
    ck_assert_int_eq(card_new(-1, false)->pci.devfn, PCI_DEVFN(1, 0));
}
END_TEST

START_TEST(printed)
{
    host_setup();
    Card *c = card_new(PCI_DEVFN(2, 0), false);
    cfg_set(c, 0x10, 4, 0xfe000000);
    cfg_set(c, 0x14, 4, 0xc040);
    cfg_set(c, 0x3c, 1, 11);
    cfg_set(c, 4, 2, 3);
    g_autoptr(GString) out = g_string_new(NULL);
    pci_print(bus, out);
    ck_assert_str_eq(out->str,
                     "  Bus  0, device   2, function 0:\n"
                     "    Ethernet controller: PCI device 1234:5678\n"
                     "      PCI subsystem 1af4:1100\n"
                     "      IRQ 11, pin A\n"
                     "      BAR0: 32 bit memory at 0xfe000000 [0xfe000fff].\n"
                     "      BAR1: I/O at 0xc040 [0xc05f].\n"
                     "      BAR2: 64 bit prefetchable memory at 0xffffffffffffffff [0x0000fffe].\n"
                     "      BAR4: 32 bit memory at 0xffffffffffffffff [0x00000ffe].\n"
                     "      id \"\"\n");
}
END_TEST

START_TEST(rom_file)
{
    host_setup();
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "ostler-test-XXXXXX", NULL);
    int fd = g_mkstemp(path);
    ck_assert_int_ge(fd, 0);
    char image[3000];
    memset(image, 0x5a, sizeof image);
    ck_assert(write(fd, image, sizeof image) == sizeof image);
    close(fd);
    PciDevice *pd = pci_new(&card_class, NULL, 0, false);
    ck_assert(device_set(&pd->dev, "romfile", path, NULL));
    GError *error = NULL;
    bool ok = device_realize(&pd->dev, pci_bus_as_bus(bus), &error);
    unlink(path);
    ck_assert_msg(ok, "%s", error ? error->message : "");
    Card *c = (Card *)pd;
    cfg_set(c, 0x30, 4, UINT32_MAX);
    ck_assert_uint_eq(cfg(c, 0x30, 4), 0xfffff001);
    cfg_set(c, 0x30, 4, 0xfc000001);
    cfg_set(c, 4, 2, PCI_COMMAND_MEMORY);
    ck_assert_uint_eq(space_load(space_memory(), 0xfc000000, 4), 0x5a5a5a5a);
    space_store(space_memory(), 0xfc000000, 4, 0);
    ck_assert_uint_eq(space_load(space_memory(), 0xfc000000 + 2996, 4), 0x5a5a5a5a);
    ck_assert_uint_eq(space_load(space_memory(), 0xfc000000, 4), 0x5a5a5a5a);
    device_free(&pd->dev);

    pd = pci_new(&card_class, NULL, 0, false);
    ck_assert(device_set(&pd->dev, "romfile", "no-such.rom", NULL));
    ck_assert(!device_realize(&pd->dev, pci_bus_as_bus(bus), &error));
    ck_assert_str_eq(error->message, "failed to find romfile \"no-such.rom\"");
}
END_TEST

/* Anything a guest may write to configuration space and to what it maps. */
START_TEST(random_accesses)
{
    host_setup();
    card_new(PCI_DEVFN(0, 0), true);
    card_new(PCI_DEVFN(0, 3), false);
    card_new(PCI_DEVFN(2, 0), false);
    g_autoptr(GRand) r = g_rand_new_with_seed(1);
    for (unsigned n = 0; n < 200000; n++) {
        unsigned size = 1u << g_rand_int_range(r, 0, 3), at = g_rand_int_range(r, 0, 256);
        unsigned devfn = g_rand_int_range(r, 0, 24);
        uint32_t v = g_rand_boolean(r)   ? g_rand_int(r)
                     : g_rand_boolean(r) ? UINT32_MAX
                                         : g_rand_int(r) & 0x1f7;
        switch (g_rand_int_range(r, 0, 6)) {
        case 0: pci_config_read(bus, devfn, at, size); break;
        case 1: pci_config_write(bus, devfn, at, size, v); break;
        case 2: pci_config_write(bus, devfn, 4, 2, v & 7); break;
        case 3: outp(0xcf8, 4, 0x80000000 | devfn << 8 | at); break;
        case 4: outp((uint16_t)(0xcf8 + at % 8), size, v); break;
        default: {
            PciDevice *pd = pci_find(bus, devfn);
            uint64_t where = pd ? pci_bar_address(pd, at % 6) : PCI_UNMAPPED;
            if (where != PCI_UNMAPPED && at % 6 != 1) {
                space_store(space_memory(), where + (v & 0xffc), 4, v);
            }
        }
        }
    }
    ck_assert_uint_eq(pci_config_read(bus, 0, 0, 4), 0x56781234);
}
END_TEST

BENCH_MAIN("pci", CASE(header), CASE(bars_size_and_map), CASE(interrupt_pin), CASE(capability_list),
           CASE(msi), CASE(msix), CASE(ports_cf8), CASE(slots), CASE(printed), CASE(rom_file),
           CASE(random_accesses))
