/* Hostile PCI configuration: a root bus with bridges, ports and cards, on which the input writes registers, windows, BARs
 * over RAM and over one another, bus numbers, capabilities and hot-plug registers, while cards come and go.  Whatever it
 * does, everything ends, and after a reset the functions are found where they were. */
#include <assert.h>
#include <limits.h>
#include <string.h>

#include "core/clock.h"
#include "core/loop.h"
#include "hw/hotplug.h"
#include "hw/pci/acpi-pcihp.h"
#include "hw/pci/pcie-aer.h"
#include "hw/pci/piix4-pm.h"
#include "mem/ram.h"
#include "tests/fuzz/fuzz.h"

enum { RAM = 1 << 20, HOT = 8, BUSES = 7, STEP = 7 };

/* The fixed part of the tree; where each bus is offered by the device before it. */
static const struct Fixed {
    const char *type, *id, *bus;
    int devfn;
} fixed[] = {
    {"pci-bridge", "br", "pci.0", PCI_DEVFN(4, 0)},          {"pci-bridge", "inner", "br", PCI_DEVFN(1, 0)},
    {"pcie-root-port", "rp", "pci.0", PCI_DEVFN(5, 0)},      {"x3130-upstream", "up", "rp", 0},
    {"xio3130-downstream", "down", "up", PCI_DEVFN(2, 0)},   {"ioh3420", "ioh", "pci.0", PCI_DEVFN(6, 0)},
    {"edu", "edu", "pci.0", PCI_DEVFN(7, 0)},                {"virtio-rng-pci", "rng", "inner", PCI_DEVFN(3, 0)},
    {"ich9-ahci", "sata", "br", PCI_DEVFN(9, 0)},            {"VGA", "vga", "pci.0", PCI_DEVFN(2, 0)},
    {"pcie-pci-bridge", "conv", "pci.0", PCI_DEVFN(8, 0)},   {"i82801b11-bridge", "dmi", "pci.0", PCI_DEVFN(9, 0)},
    {"edu", "old", "dmi", PCI_DEVFN(3, 0)},
};
static const char *const buses[BUSES] = {"pci.0", "br", "inner", "rp", "ioh", "down", "conv"};
static const char *const cards[] = {"edu", "virtio-rng-pci", "pci-testdev", "i6300esb", "pci-bridge", "virtio-serial-pci",
                                    "ich9-ahci", "virtio-balloon-pci"};
static PciBus *root;
static Device *pm;
static Region *window;

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin)
{
    return (PCI_SLOT(devfn) + pin) & 3;
}

static void set_irq(void *opaque, unsigned line, bool level) {}

static void start(void)
{
    loop_main();
    loop_lock();
    clock_manual();
    RamBlock *ram = ram_new("ram", RAM, NULL, NULL);
    region_map(space_root(space_memory()), region_ram("ram", ram, 0, RAM), 0, 0);
    window = region_container("pci", 0);
    region_map(space_root(space_memory()), window, 0, -1);
    PciHost host = {.mem = window, .io = space_root(space_io()), .dma_space = space_memory(), .map_irq = map_irq,
                    .set_irq = set_irq};
    root = pci_bus_new(NULL, "pci.0", &host);
}

static PciDevice *make(const char *type, const char *id, const char *bus, int devfn, bool multifunction, bool hot)
{
    PciDevice *d = pci_new(device_class_find(type), id, devfn, multifunction);
    d->dev.hotplugged = hot;
    if (!strcmp(id, "inner")) {
        device_set(&d->dev, "shpc", "on", NULL);
    }
    if (!bus_find(bus) || !device_realize(&d->dev, bus_find(bus), NULL)) {
        device_free(&d->dev);
        return NULL;
    }
    if (hot) {
        device_reset(&d->dev, true);
        device_plugged(&d->dev);
    }
    return d;
}

static void build(bool acpi)
{
    if (acpi) {
        pm = &make("PIIX4_PM", "pm", "pci.0", PCI_DEVFN(1, 3), false, false)->dev;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(fixed); i++) {
        PciDevice *d = make(fixed[i].type, fixed[i].id, fixed[i].bus, fixed[i].devfn, false, false);
        assert(d);
    }
    acpi_pcihp_number(root);
    mem_commit();
}

/* ---- A firmware: numbers, windows and addresses for everything ---- */

static void number_bus(void *arg, PciBus *bus)
{
    unsigned *next = arg;
    unsigned number = (*next)++;
    for (PciDevice *b = pci_bus_bridge(bus); b; b = pci_bus_bridge(b->bus)) {
        if (b == pci_bus_bridge(bus)) {
            pci_config_write(b->bus, (unsigned)b->devfn, 0x19, 1, number);
            pci_config_write(b->bus, (unsigned)b->devfn, 0x1c, 2, 0xf010);
            pci_config_write(b->bus, (unsigned)b->devfn, 0x20, 4, 0xeff0e000);
        }
        pci_config_write(b->bus, (unsigned)b->devfn, 0x1a, 1, number);
    }
}

static void place(void *arg, PciDevice *pd)
{
    uint32_t *memory = arg, *ports = memory + 1;
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (pd->bar_region[n]) {
            bool io = pd->bar_flags[n] & PCI_BAR_IO;
            uint32_t size = (uint32_t)region_size(pd->bar_region[n]), *at = io ? ports : memory;
            *at = (*at + size - 1) & ~(size - 1);
            pci_config_write(pd->bus, (unsigned)pd->devfn, 0x10 + 4 * n, 4, *at);
            *at += size;
        }
    }
    pci_config_write(pd->bus, (unsigned)pd->devfn, 4, 2, 7);
}

static void firmware(void)
{
    unsigned next = 0;
    uint32_t at[2] = {0xe0000000, 0x1000};
    pci_bus_foreach(root, number_bus, &next);
    pci_foreach(root, place, at);
}

/* ---- What the input does ---- */

typedef struct Pick {
    unsigned left;
    Device *found;
} Pick;

static void pick_one(void *arg, PciDevice *pd)
{
    Pick *p = arg;
    p->found = p->left-- ? p->found : &pd->dev;
}

/* A function by its place in the tree, whatever the bus numbers say. */
static PciDevice *function(unsigned n)
{
    Pick count = {UINT_MAX, NULL}, p = {n, NULL};
    pci_foreach(root, pick_one, &count);
    p.left %= MAX(UINT_MAX - count.left, 1);
    pci_foreach(root, pick_one, &p);
    return (PciDevice *)p.found;
}

static uint32_t value_of(unsigned how, uint32_t raw)
{
    static const uint32_t known[] = {0, UINT32_MAX, 0x7, 0x00010100, 0x00ff0000, 0x00020201, 0xe0000000, 0xe000e000, 0xfff00000,
                                     0x1000, 0xae00, 0x40000, 0x80000000, 0xe0000000, 0xe0010001, 0x1f1, 0x5e1};
    return how & 0x40 ? known[raw % G_N_ELEMENTS(known)] : raw;
}

static void add_card(unsigned slot, unsigned what, unsigned where)
{
    char id[] = "hot0";
    id[3] = (char)('0' + what % HOT);
    if (!device_find(id)) {
        make(cards[slot % G_N_ELEMENTS(cards)], id, buses[where % BUSES], where & 0x80 ? (int)slot : -1, where & 0x40, true);
    }
}

static void del_card(unsigned what)
{
    char id[] = "hot0";
    id[3] = (char)('0' + what % HOT);
    Device *d = device_find(id);
    if (d) {
        device_unplug_request(d, NULL);
    }
}

static void reset_one(void *arg, Device *d)
{
    device_reset(d, false);
}

static void reset_all(void)
{
    device_unplug_all();
    device_foreach(reset_one, NULL);
    mem_commit();
}

static void config(PciDevice *pd, unsigned at, unsigned size, uint32_t value)
{
    if (pd && pd->bus) {
        pci_config_write(pd->bus, (unsigned)pd->devfn, at, size, value);
    }
}

static void step(const uint8_t *d)
{
    unsigned size = 1u << (d[0] >> 4 & 3) % 3, at = (d[1] | d[2] << 8) & (PCIE_CONFIG_SIZE - size);
    uint32_t value = value_of(d[0], d[3] | (uint32_t)d[4] << 8 | (uint32_t)d[5] << 16 | (uint32_t)d[6] << 24);
    PciDevice *pd = function(d[2] >> 3);
    unsigned low = at & 0xff & ~(size - 1);
    switch (d[0] & 15) {
    case 0:
    case 1: /* the header and capabilities of a function that is there */
        config(pd, low, size, value);
        break;
    case 2: config(pd, 0x10 + 4 * (d[1] % 10), 4, value); break; /* BARs, or bus numbers and windows */
    case 3: config(pd, 4, 2, d[1] & 3 ? 7 : value); break;
    case 4: pci_config_write(pci_bus_find(root, value >> 24), d[1], (value >> 8 & (PCIE_CONFIG_SIZE - 4)) & ~3u, 4, value); break;
    case 5: pci_config_read(pci_bus_find(root, value & 0xff), d[1], at & ~(size - 1), size); break;
    case 6: space_store(space_io(), PIIX4_PCIHP_BASE + at % PCIHP_SIZE, 4, value); break;
    case 7: space_load(space_io(), PIIX4_PCIHP_BASE + at % PCIHP_SIZE, 4); break;
    case 8: space_store(space_memory(), value, size, at); break;
    case 9: space_load(space_memory(), value, size); break;
    case 10: /* registers behind a BAR */
        if (pd && pd->bar_region[d[1] % PCI_BARS] && pci_bar_address(pd, d[1] % PCI_BARS) != PCI_UNMAPPED &&
            !(pd->bar_flags[d[1] % PCI_BARS] & PCI_BAR_IO)) {
            space_store(space_memory(), pci_bar_address(pd, d[1] % PCI_BARS) + d[2] * size, size, value);
        }
        break;
    case 11:
    case 12: add_card(d[1], d[2], d[3]); break;
    case 13: del_card(d[1]); break;
    case 14:
        if (pd && d[1] & 1) {
            PcieError e = {.status = UINT32_C(1) << (d[3] & 31), .correctable = d[3] & 0x20, .advisory = d[3] & 0x40};
            pcie_error(pd, &e, NULL);
        }
        loop_iterate(false);
        break;
    default:
        if (d[1] & 1) {
            reset_all();
            firmware();
        } else {
            clock_advance_to(clock_now(CLOCK_VIRTUAL) + d[2] * NS_PER_MS);
        }
    }
}

static void check_and_tear_down(void)
{
    loop_iterate(false);
    reset_all();
    for (unsigned i = 0; i < G_N_ELEMENTS(fixed); i++) {
        PciDevice *pd = (PciDevice *)device_find(fixed[i].id);
        if (pd) { /* what supports it may have been ejected, with what is behind it */
            assert(pci_config_read(pd->bus, (unsigned)pd->devfn, 0, 4) == (pd->vendor_id | (uint32_t)pd->device_id << 16));
        }
    }
    for (PciDevice *pd; (pd = function(0));) {
        device_free(&pd->dev);
    }
    pm = NULL;
    mem_commit();
    loop_iterate(false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!root) {
        start();
    }
    if (!size) {
        return 0;
    }
    build(data[0] & 1);
    if (data[0] & 2) {
        firmware();
    }
    for (size_t i = 1; i + STEP <= size; i += STEP) {
        step(data + i);
    }
    check_and_tear_down();
    return 0;
}
