/* PCI hot-plug by ACPI: the registers at AE00h, the event, and which slots take part (QEMU docs/specs/acpi_pci_hotplug). */
#include "hw/pci/acpi-pcihp.h"

#include <string.h>

#include "hw/hotplug.h"
#include "hw/pci/acpi-pm.h"
#include "hw/pci/piix4-pm.h"
#include "tests/hw/bench.h"

enum { BASE = PIIX4_PCIHP_BASE, GPE_STS = PIIX4_GPE_BASE };

static PciBus *bus;
static Device *pm, *bridge;

static PciDevice *add(const char *type, const char *id, int devfn, const char *where, bool hot, GError **error)
{
    PciDevice *d = pci_new(device_class_find(type), id, devfn, true);
    d->dev.hotplugged = hot;
    if (!device_realize(&d->dev, bus_find(where), error)) {
        device_free(&d->dev);
        return NULL;
    }
    if (hot) {
        device_plugged(&d->dev);
    }
    return d;
}

static void setup(const char *root_on, const char *bridges_on)
{
    PciHost host = {.mem = region_container("pci", 0), .io = space_root(space_io()), .dma_space = space_memory()};
    bus = pci_bus_new(NULL, "pci.0", &host);
    pm = &pci_new(&piix4_pm_class, NULL, PCI_DEVFN(1, 3), false)->dev;
    ck_assert(device_set(pm, "acpi-root-pci-hotplug", root_on, NULL));
    ck_assert(device_set(pm, "acpi-pci-hotplug-with-bridge-support", bridges_on, NULL));
    ck_assert(device_realize(pm, pci_bus_as_bus(bus), NULL));
    bridge = &add("pci-bridge", "br", PCI_DEVFN(4, 0), "pci.0", false, NULL)->dev;
    acpi_pcihp_number(bus);
    mem_commit();
}

static uint32_t get(unsigned at)
{
    return (uint32_t)space_load(space_io(), BASE + at, 4);
}

static void put(unsigned at, uint32_t value)
{
    space_store(space_io(), BASE + at, 4, value);
}

static bool told(void)
{
    bool sts = space_load(space_io(), GPE_STS, 1) & 1 << GPE_PCI_HOTPLUG;
    space_store(space_io(), GPE_STS, 1, 1 << GPE_PCI_HOTPLUG);
    return sts;
}

START_TEST(comes_and_goes)
{
    setup("on", "on");
    ck_assert_uint_eq(get(PCIHP_UP) | get(PCIHP_DOWN), 0);
    ck_assert_uint_eq(get(PCIHP_REMOVABLE), ~(1u << 1 | 1u << 4)); /* the chip itself; a bridge from the start */
    PciDevice *d = add("edu", "card", PCI_DEVFN(6, 0), "pci.0", true, NULL);
    ck_assert(d && told() && !told());
    ck_assert_uint_eq(get(PCIHP_UP), 1 << 6);
    ck_assert_msg(get(PCIHP_UP) == 0, "reading clears");
    ck_assert(device_unplug_request(&d->dev, NULL) && told());
    ck_assert_uint_eq(get(PCIHP_DOWN), 1 << 6);
    ck_assert_msg(get(PCIHP_DOWN) == 1 << 6, "until it is ejected");
    put(PCIHP_SELECT, 1);
    put(PCIHP_EJECT, 1 << 6);
    put(PCIHP_SELECT, 77);
    put(PCIHP_EJECT, 1 << 6);
    ck_assert_uint_eq(get(PCIHP_DOWN), 0);
    ck_assert(!d->dev.going);
    put(PCIHP_SELECT, 0);
    put(PCIHP_EJECT, 1 << 6 | 1 << 1 | 1 << 4 | 1 << 20);
    ck_assert(d->dev.going && !pm->going && !bridge->going);
    ck_assert_uint_eq(get(PCIHP_DOWN), 0);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(6, 0), 0, 4), UINT32_MAX);
}
END_TEST

START_TEST(behind_a_bridge)
{
    GError *error = NULL;
    setup("off", "on");
    ck_assert(!add("edu", "card", PCI_DEVFN(6, 0), "pci.0", true, &error));
    ck_assert(strstr(error->message, "Bus 'pci.0' does not support hotplugging"));
    PciDevice *d = add("edu", "card", PCI_DEVFN(31, 0), "br", true, NULL);
    ck_assert(d && told());
    put(PCIHP_SELECT, 0);
    ck_assert_uint_eq(get(PCIHP_UP), 0);
    put(PCIHP_SELECT, 1);
    ck_assert_uint_eq(get(PCIHP_UP), 1u << 31);
    put(PCIHP_EJECT, 1u << 31); /* the guest may do so unasked */
    ck_assert(d->dev.going);
    g_clear_error(&error);
    ck_assert(!device_unplug_request(bridge, &error) && !bridge->removing);
}
END_TEST

START_TEST(root_alone)
{
    GError *error = NULL;
    setup("on", "off");
    ck_assert(!add("edu", "card", 0, "br", true, &error));
    ck_assert(strstr(error->message, "does not support hotplugging"));
    g_clear_error(&error);
    ck_assert(!device_unplug_request(bridge, &error));
    ck_assert(strstr(error->message, "from the start"));
    /* A bridge that came later: no table tells of the slots behind it. */
    PciDevice *late = add("pci-bridge", "late", PCI_DEVFN(8, 0), "pci.0", true, NULL);
    ck_assert(late && pci_bus_selector(pci_bus_of(bus_find("late"))) == -1);
    acpi_pcihp_number(bus);
    ck_assert_int_eq(pci_bus_selector(pci_bus_of(bus_find("late"))), -1);
    ck_assert_int_eq(pci_bus_selector(pci_bus_of(bus_find("br"))), 1);
    ck_assert(device_unplug_request(&late->dev, NULL));
}
END_TEST

/* The guest hears of function 0, which comes last; all of a slot go together. */
START_TEST(functions)
{
    GError *error = NULL;
    setup("on", "on");
    PciDevice *one = add("edu", "one", PCI_DEVFN(6, 1), "pci.0", true, NULL);
    ck_assert(one && !told() && !get(PCIHP_UP));
    PciDevice *zero = add("edu", "zero", PCI_DEVFN(6, 0), "pci.0", true, NULL);
    ck_assert(zero && told());
    ck_assert_uint_eq(get(PCIHP_UP), 1 << 6);
    ck_assert(!add("edu", "two", PCI_DEVFN(6, 2), "pci.0", true, &error));
    ck_assert(strstr(error->message, "cannot be exposed to guest"));
    g_clear_error(&error);
    ck_assert(device_unplug_request(&one->dev, NULL));
    ck_assert(!device_unplug_request(&zero->dev, &error));
    ck_assert(strstr(error->message, "already in the process of unplug"));
    put(PCIHP_EJECT, get(PCIHP_DOWN));
    ck_assert(zero->dev.going && one->dev.going);
}
END_TEST

/* Ours, beyond that document: a slot's bit written to 14h, the acpi-index of its function 0 read. */
START_TEST(index_of_a_slot)
{
    GError *error = NULL;
    setup("on", "on");
    ck_assert_uint_eq(get(PCIHP_INDEX), 0);
    PciDevice *d = pci_new(device_class_find("edu"), "card", PCI_DEVFN(6, 0), true);
    ck_assert(device_set(&d->dev, "acpi-index", "7", NULL) && device_realize(&d->dev, bus_find("br"), NULL));
    put(PCIHP_INDEX, 1 << 6);
    ck_assert_msg(get(PCIHP_INDEX) == 0, "another bus");
    put(PCIHP_SELECT, 1);
    ck_assert_uint_eq(get(PCIHP_INDEX), 7);
    put(PCIHP_INDEX, 1 << 5);
    ck_assert_uint_eq(get(PCIHP_INDEX), 0);
    put(PCIHP_INDEX, 3u << 6);
    ck_assert_msg(get(PCIHP_INDEX) == 7, "the lowest");
    put(PCIHP_SELECT, 77);
    ck_assert_uint_eq(get(PCIHP_INDEX), 0);
    put(PCIHP_SELECT, 1);
    PciDevice *e = pci_new(device_class_find("edu"), "e", PCI_DEVFN(7, 0), true);
    ck_assert(device_set(&e->dev, "acpi-index", "7", NULL) && !device_realize(&e->dev, bus_find("pci.0"), &error));
    ck_assert_str_eq(error->message, "a PCI device with acpi-index = 7 already exist");
    put(PCIHP_EJECT, 1 << 6);
    ck_assert_msg(get(PCIHP_INDEX) == 0 && device_realize(&e->dev, bus_find("pci.0"), NULL), "it is free again");
}
END_TEST

START_TEST(reset_ends_the_wait)
{
    setup("on", "on");
    PciDevice *d = add("edu", "card", PCI_DEVFN(6, 0), "pci.0", true, NULL);
    ck_assert(device_unplug_request(&d->dev, NULL));
    device_unplug_all();
    device_reset(pm, false);
    ck_assert(pci_find(bus, PCI_DEVFN(6, 0)) == NULL);
    ck_assert_uint_eq(get(PCIHP_UP) | get(PCIHP_DOWN), 0);
}
END_TEST

BENCH_MAIN("acpi-pcihp", CASE(comes_and_goes), CASE(behind_a_bridge), CASE(root_alone), CASE(functions), CASE(index_of_a_slot),
           CASE(reset_ends_the_wait))
