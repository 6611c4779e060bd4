/* Ports of PCI Express: the capability, and the slot behind them (PCI Express Base 2.0 §6.7, §7.8). */
#include <string.h>

#include "hw/hotplug.h"
#include "hw/pci/pci.h"
#include "tests/hw/pci-root-bench.h"

enum { PORT = PCI_DEVFN(4, 0) };
enum { LINK_CONTROL = 0x10, LINK_STATUS = 0x12, SLOT_CAP = 0x14, SLOT_CONTROL = 0x18, SLOT_STATUS = 0x1a };
enum { BUTTON = 1, PRESENCE = 1 << 3, COMPLETED = 1 << 4, FILLED = 1 << 6, LINK_CHANGED = 1 << 8 };
enum { INDICATOR_ON = 1 << 8, BLINKS = 2 << 8, INDICATOR_OFF = 3 << 8, POWER_OFF = 1 << 10, ATTENTION_OFF = 3 << 6 };
enum { LISTEN = 1 | 1 << 3 | 1 << 5 | 1 << 12 };

static PciDevice *port, *card;
static unsigned cap;

static PciDevice *add(const char *type, const char *id, int devfn, Bus *where, bool hot)
{
    GError *error = NULL;
    PciDevice *d = pci_new(device_class_find(type), id, devfn, false);
    d->dev.hotplugged = hot;
    ck_assert_msg(device_realize(&d->dev, where, &error), "%s", error ? error->message : "");
    device_reset(&d->dev, true);
    if (hot) {
        device_plugged(&d->dev);
    }
    return d;
}

static uint32_t get(unsigned at, unsigned size)
{
    return pci_config_read(bus, PORT, cap + at, size);
}

static void put(unsigned at, unsigned size, uint32_t value)
{
    pci_config_write(bus, PORT, cap + at, size, value);
}

static void make_port(const char *type, const char *props)
{
    GError *error = NULL;
    port = pci_new(device_class_find(type), "port", PORT, false);
    g_auto(GStrv) pairs = g_strsplit(props, ",", -1);
    for (char **p = pairs; *p && **p; p++) {
        char *value = strchr(*p, '=');
        *value++ = 0;
        ck_assert(device_set(&port->dev, *p, value, &error));
    }
    ck_assert_msg(device_realize(&port->dev, pci_bus_as_bus(bus), &error), "%s", error ? error->message : "");
    for (cap = pci_config_read(bus, PORT, 0x34, 1); cap; cap = pci_config_read(bus, PORT, cap + 1, 1)) {
        if (pci_config_read(bus, PORT, cap, 1) == 0x10) {
            break;
        }
    }
    ck_assert_uint_ne(cap, 0);
    pci_config_write(bus, PORT, 0x18, 4, 0x00010100);
}

static void setup(const char *type, const char *props)
{
    make_root();
    make_port(type, props);
}

static uint32_t card_id(void)
{
    return pci_config_read(pci_bus_find(bus, 1), 0, 0, 4);
}

/* What the operating system's driver does when it takes over a slot. */
static void listen(void)
{
    put(SLOT_STATUS, 2, BUTTON | PRESENCE | COMPLETED | LINK_CHANGED);
    put(SLOT_CONTROL, 2, get(SLOT_CONTROL, 2) | LISTEN);
    put(SLOT_STATUS, 2, COMPLETED);
}

static void set_slot(unsigned indicator, unsigned power)
{
    put(SLOT_CONTROL, 2, LISTEN | ATTENTION_OFF | indicator | power);
    ck_assert(get(SLOT_STATUS, 2) & COMPLETED);
    put(SLOT_STATUS, 2, COMPLETED);
}

static unsigned gone;
static void count_card(void *arg, Device *d)
{
    gone -= d == &card->dev;
}

static bool card_leaves(void)
{
    gone = 1;
    device_foreach(count_card, NULL);
    return gone || card->dev.going;
}

START_TEST(kinds)
{
    static const struct { const char *type; unsigned kind, id, at; bool slot; } known[] = {
        {"pcie-root-port", 4, 0x000c1b36, 0x54, true},     {"ioh3420", 4, 0x34208086, 0x90, true},
        {"x3130-upstream", 5, 0x8232104c, 0x90, false},    {"xio3130-downstream", 6, 0x8233104c, 0x90, true},
        {"pcie-pci-bridge", 7, 0x000e1b36, 0x54, false},
    };
    make_root();
    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        make_port(known[i].type, "");
        ck_assert_uint_eq(pci_config_read(bus, PORT, 0, 4), known[i].id);
        ck_assert_uint_eq(cap, known[i].at);
        ck_assert_uint_eq(get(2, 2), 2 | known[i].kind << 4 | (known[i].slot ? 0x100 : 0));
        ck_assert_uint_eq(get(0x0c, 4) >> 20 & 1, known[i].slot);
        ck_assert_uint_eq(get(SLOT_CAP, 4) != 0, known[i].slot);
        pci_config_write(bus, PORT, 0x0c, 2, 0xf8f8);
        ck_assert_msg(pci_config_read(bus, PORT, 0x0c, 2) == 0x00f8, "no latency timer");
        pci_config_write(bus, PORT, 0x1b, 1, 0xff);
        ck_assert_uint_eq(pci_config_read(bus, PORT, 0x1b, 1), known[i].kind == 7 ? 0xf8 : 0);
        /* One slot behind a port; 32 on a switch's inner bus and on conventional PCI. */
        PciDevice *d = pci_new(device_class_find("edu"), NULL, PCI_DEVFN(3, 0), false);
        ck_assert(device_realize(&d->dev, bus_find("port"), NULL) == !known[i].slot);
        if (known[i].slot) {
            device_free(&d->dev);
        }
        device_free(&port->dev);
    }
}
END_TEST

START_TEST(slot_properties)
{
    setup("pcie-root-port", "slot=5,chassis=2,port=7");
    ck_assert_uint_eq(get(SLOT_CAP, 4), 5u << 19 | 0x7b);
    ck_assert_uint_eq(get(0x0c, 4) >> 24, 7);
    PciDevice *d = pci_new(device_class_find("ioh3420"), NULL, PCI_DEVFN(5, 0), false);
    GError *error = NULL;
    device_set(&d->dev, "slot", "5", NULL);
    device_set(&d->dev, "chassis", "2", NULL);
    ck_assert(!device_realize(&d->dev, pci_bus_as_bus(bus), &error));
    ck_assert(strstr(error->message, "chassis 2 has a slot 5 already"));
}
END_TEST

START_TEST(without_hotplug)
{
    setup("pcie-root-port", "hotplug=off,slot=1");
    ck_assert_uint_eq(get(SLOT_CAP, 4), 1u << 19);
    put(SLOT_CONTROL, 2, 0xffff);
    ck_assert_uint_eq(get(SLOT_CONTROL, 2), 0);
    card = add("edu", "card", 0, bus_find("port"), false);
    pci_config_write(bus, PORT, 0x18, 4, 0x00010100);
    ck_assert_uint_eq(get(SLOT_STATUS, 2), FILLED);
    ck_assert_uint_eq(card_id(), 0x11e81234);
    GError *error = NULL;
    ck_assert(!device_unplug_request(&card->dev, &error));
    ck_assert(strstr(error->message, "does not support hotplugging"));
}
END_TEST

START_TEST(filled_from_the_start)
{
    setup("pcie-root-port", "");
    ck_assert_uint_eq(get(SLOT_CONTROL, 2), ATTENTION_OFF | INDICATOR_OFF | POWER_OFF);
    card = add("ich9-ahci", "card", 0, bus_find("port"), false); /* it would mind a reset before it is made */
    pci_config_write(bus, PORT, 0x18, 4, 0x00010100);
    ck_assert_uint_eq(get(SLOT_CONTROL, 2), ATTENTION_OFF | INDICATOR_ON);
    ck_assert_msg(get(SLOT_STATUS, 2) == FILLED, "no event");
    ck_assert_uint_eq(get(LINK_STATUS, 2), 0x2011);
    ck_assert_uint_eq(card_id(), 0x29228086);
    put(LINK_CONTROL, 2, 1 << 4);
    ck_assert_uint_eq(get(LINK_STATUS, 2), 0x0011);
    ck_assert(get(SLOT_STATUS, 2) & LINK_CHANGED);
}
END_TEST

START_TEST(comes_and_goes)
{
    setup("pcie-root-port", "");
    listen();
    ck_assert(!line_high);
    card = add("edu", "card", 0, bus_find("port"), true);
    ck_assert_uint_eq(get(SLOT_STATUS, 2), BUTTON | PRESENCE | FILLED);
    ck_assert(line_high);
    ck_assert_msg(card_id() == UINT32_MAX, "it has no power yet");
    put(SLOT_STATUS, 2, BUTTON | PRESENCE);
    ck_assert(!line_high);
    set_slot(BLINKS, 0);
    ck_assert_uint_eq(get(SLOT_STATUS, 2), FILLED | LINK_CHANGED);
    put(SLOT_STATUS, 2, LINK_CHANGED);
    set_slot(INDICATOR_ON, 0);
    ck_assert_uint_eq(card_id(), 0x11e81234);
    pci_config_write(pci_bus_find(bus, 1), 0, 4, 2, 7);

    GError *error = NULL;
    ck_assert(device_unplug_request(&card->dev, NULL));
    ck_assert_uint_eq(get(SLOT_STATUS, 2), FILLED | BUTTON);
    ck_assert(line_high);
    ck_assert(!device_unplug_request(&card->dev, &error));
    ck_assert(strstr(error->message, "already in the process of unplug"));
    put(SLOT_STATUS, 2, BUTTON);
    set_slot(BLINKS, 0);
    ck_assert_uint_eq(card_id(), 0x11e81234);
    set_slot(BLINKS, POWER_OFF);
    ck_assert(!card_leaves());
    ck_assert_uint_eq(card_id(), UINT32_MAX);
    ck_assert_msg(card->command == 0, "without power it forgets");
    set_slot(INDICATOR_OFF, POWER_OFF);
    ck_assert(card_leaves());
    ck_assert_uint_eq(get(SLOT_STATUS, 2), PRESENCE | LINK_CHANGED);
}
END_TEST

/* The guest changes its mind; and one that was not listening has not heard. */
START_TEST(kept)
{
    setup("pcie-root-port", "");
    card = add("edu", "card", 0, bus_find("port"), false);
    ck_assert(device_unplug_request(&card->dev, NULL));
    listen();
    ck_assert(!card->dev.removing);
    ck_assert(device_unplug_request(&card->dev, NULL));
    put(SLOT_STATUS, 2, BUTTON);
    ck_assert_msg(card->dev.removing, "heard");
    set_slot(BLINKS, 0);
    set_slot(INDICATOR_ON, 0);
    ck_assert(!card->dev.removing && !card_leaves());
    set_slot(BLINKS, 0);
    GError *error = NULL;
    ck_assert(!device_unplug_request(&card->dev, &error));
    ck_assert(strstr(error->message, "blinks"));
}
END_TEST

START_TEST(without_power_controller)
{
    setup("ioh3420", "power_controller_present=off");
    ck_assert_uint_eq(get(SLOT_CAP, 4) & 2, 0);
    card = add("edu", "card", 0, bus_find("port"), true);
    ck_assert_msg(card_id() == 0x11e81234, "the power is always on");
    listen();
    put(SLOT_CONTROL, 2, POWER_OFF | INDICATOR_ON);
    ck_assert_uint_eq(get(SLOT_CONTROL, 2), INDICATOR_ON);
    ck_assert(device_unplug_request(&card->dev, NULL));
    set_slot(INDICATOR_OFF, 0);
    ck_assert(card_leaves());
}
END_TEST

/* One message when the first of the enabled events comes (§6.7.3.4). */
START_TEST(messages_)
{
    setup("pcie-root-port", "");
    pci_config_write(bus, PORT, 4, 2, 7);
    pci_config_write(bus, PORT, 0x44, 4, 0xfee01000);
    pci_config_write(bus, PORT, 0x42, 2, 1);
    listen();
    messages = 0;
    card = add("edu", "card", 0, bus_find("port"), true);
    ck_assert_uint_eq(messages, 1);
    ck_assert_uint_eq(message_at, 0xfee01000);
    ck_assert(!line_high);
    put(SLOT_STATUS, 2, BUTTON);
    ck_assert_msg(messages == 1, "the presence event still stands");
    put(SLOT_STATUS, 2, PRESENCE);
    device_unplug_request(&card->dev, NULL);
    ck_assert_msg(messages == 2, "the slot has no power: it went at once");
}
END_TEST

static void reset_of_the_machine(void)
{
    device_unplug_all();
    device_reset(&port->dev, false);
}

START_TEST(reset_ends_the_wait)
{
    setup("pcie-root-port", "");
    card = add("edu", "card", 0, bus_find("port"), false);
    reset_of_the_machine();
    ck_assert(!card_leaves());
    ck_assert(device_unplug_request(&card->dev, NULL));
    reset_of_the_machine();
    ck_assert(card_leaves());
    ck_assert_uint_eq(get(SLOT_STATUS, 2), 0);
    ck_assert_uint_eq(get(SLOT_CONTROL, 2), ATTENTION_OFF | INDICATOR_OFF | POWER_OFF);
}
END_TEST

BENCH_MAIN("pcie-port", CASE(kinds), CASE(slot_properties), CASE(without_hotplug), CASE(filled_from_the_start),
           CASE(comes_and_goes), CASE(kept), CASE(without_power_controller), CASE(messages_), CASE(reset_ends_the_wait))
