/* The standard hot-plug controller: registers, commands, and the slots behind (PCI Standard Hot-Plug Controller 1.0 chapter 4). */
#include <string.h>

#include "hw/hotplug.h"
#include "hw/pci/pci.h"
#include "tests/hw/pci-root-bench.h"

enum { BRIDGE = PCI_DEVFN(4, 0), CAP = 0x98, BAR = 0xe0000000 };
enum { SLOTS_33 = 4, CONFIG = 0xc, COMMAND = 0x14, STATUS = 0x16, LOCATOR = 0x18, SERR_INT = 0x20, SLOT = 0x24 };
enum { ENABLED = 2, DISABLED = 3, LED_ON = 1 << 2, LED_BLINKS = 2 << 2, LED_OFF = 3 << 2, ATTENTION_OFF = 3 << 4, EMPTY = 3 << 10,
       PRESENCE = 1 << 16, BUTTON = 1 << 18, MASKS = 0x7f << 24 };
enum { POWER = 1, ENABLE = 2, DISABLE = 3, INVALID = 1 << 2, WRONG_SPEED = 1 << 3, DONE = 1 << 16 };

static PciDevice *bridge, *card;

static PciDevice *add(const char *type, const char *id, int devfn, bool hot)
{
    GError *error = NULL;
    PciDevice *d = pci_new(device_class_find(type), id, devfn, true);
    d->dev.hotplugged = hot;
    ck_assert_msg(device_realize(&d->dev, bus_find("br"), &error), "%s", error ? error->message : "");
    device_reset(&d->dev, true);
    if (hot) {
        device_plugged(&d->dev);
    }
    return d;
}

static uint32_t get(unsigned at, unsigned size)
{
    return (uint32_t)space_load(space_memory(), BAR + at, size);
}

static void put(unsigned at, unsigned size, uint32_t value)
{
    space_store(space_memory(), BAR + at, size, value);
}

static uint32_t slot(unsigned n)
{
    return get(SLOT + 4 * (n - 1), 4);
}

static void put_slot(unsigned n, uint32_t value)
{
    put(SLOT + 4 * (n - 1), 4, value);
}

static void command(unsigned n, unsigned code, unsigned status)
{
    put(COMMAND, 2, n << 8 | code);
    ck_assert_uint_eq(get(STATUS, 2), status);
    ck_assert(get(SERR_INT, 4) & DONE);
    put(SERR_INT, 4, (get(SERR_INT, 4) & 0xf) | DONE);
    ck_assert(!(get(SERR_INT, 4) & DONE));
}

static void set_up(void)
{
    pci_config_write(bus, BRIDGE, 0x10, 4, BAR);
    pci_config_write(bus, BRIDGE, 0x14, 4, 0);
    pci_config_write(bus, BRIDGE, 0x18, 4, 0x00010100);
    pci_config_write(bus, BRIDGE, 4, 2, 6);
}

static void setup(const char *type)
{
    GError *error = NULL;
    make_root();
    bridge = pci_new(device_class_find(type), "br", BRIDGE, false);
    if (!strcmp(type, "pci-bridge")) {
        ck_assert(device_set(&bridge->dev, "shpc", "on", NULL) && device_set(&bridge->dev, "chassis_nr", "3", NULL));
    }
    ck_assert_msg(device_realize(&bridge->dev, pci_bus_as_bus(bus), &error), "%s", error ? error->message : "");
    device_reset(&bridge->dev, true);
    set_up();
}

/* The guest unmasks slot n's button and presence, and interrupts as a whole. */
static void listen(unsigned n)
{
    put(SERR_INT, 4, 0xe | DONE);
    put_slot(n, 0x7a << 24 | 0x1f << 16);
}

static uint32_t card_id(unsigned n)
{
    return pci_config_read(pci_bus_find(bus, 1), PCI_DEVFN(n, 0), 0, 4);
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

static void registers_of(const char *type)
{
    setup(type);
    unsigned at = pci_config_read(bus, BRIDGE, 0x34, 1);
    while (pci_config_read(bus, BRIDGE, at, 1) != 0x0c) {
        at = pci_config_read(bus, BRIDGE, at + 1, 1);
    }
    ck_assert_uint_eq(at, CAP);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, 0x3d, 1), 1);
    pci_config_write(bus, BRIDGE, 0x10, 4, UINT32_MAX);
    ck_assert_msg(pci_config_read(bus, BRIDGE, 0x10, 4) == 0xffffff04, "256 bytes, 64 bits");
    pci_config_write(bus, BRIDGE, 0x10, 4, BAR);
    ck_assert_uint_eq(get(0, 4), 0);
    ck_assert_uint_eq(get(SLOTS_33, 4), 31);
    ck_assert_uint_eq(get(8, 4), 0);
    ck_assert_uint_eq(get(CONFIG, 4), 31 | 1 << 8 | 1 << 16 | 1u << 29 | 1u << 31);
    ck_assert_uint_eq(get(0x10, 4), 0x01000000);
    ck_assert_uint_eq(get(SERR_INT, 4), 0xf);
    for (unsigned n = 1; n < 32; n++) {
        ck_assert_uint_eq(slot(n), DISABLED | LED_OFF | ATTENTION_OFF | EMPTY | MASKS);
    }
    put_slot(31, 0);
    ck_assert_uint_eq(slot(31), DISABLED | LED_OFF | ATTENTION_OFF | EMPTY);
    /* The same by way of configuration space: dword 9 + 30. */
    pci_config_write(bus, BRIDGE, CAP + 2, 1, 9 + 30);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, CAP + 4, 4), slot(31));
    pci_config_write(bus, BRIDGE, CAP + 4, 4, MASKS);
    ck_assert_uint_eq(slot(31), DISABLED | LED_OFF | ATTENTION_OFF | EMPTY | MASKS);
    pci_config_write(bus, BRIDGE, CAP + 2, 1, 0xff);
    pci_config_write(bus, BRIDGE, CAP + 4, 4, UINT32_MAX);
    GError *error = NULL;
    PciDevice *d = pci_new(device_class_find("edu"), NULL, 0, false);
    ck_assert(!device_realize(&d->dev, bus_find("br"), &error));
    ck_assert_str_eq(error->message, "Unsupported PCI slot 0 for standard hotplug controller. Valid slots are between 1 and 31.");
    device_free(&d->dev);
    d = pci_new(device_class_find("edu"), NULL, -1, false);
    ck_assert(device_realize(&d->dev, bus_find("br"), NULL) && d->devfn == PCI_DEVFN(1, 0));
}

START_TEST(registers)
{
    registers_of("pci-bridge");
}
END_TEST

START_TEST(registers_express)
{
    registers_of("pcie-pci-bridge");
}
END_TEST

START_TEST(commands)
{
    setup("pci-bridge");
    command(0, ENABLE, INVALID);
    command(3, 0x4a, INVALID);
    command(0, 0x40, 0); /* 33 MHz */
    command(0, 0x41, WRONG_SPEED);
    command(3, LED_BLINKS, 0);
    ck_assert_uint_eq(slot(3), DISABLED | LED_BLINKS | ATTENTION_OFF | EMPTY | MASKS);
    command(3, POWER | 1 << 4, 0);
    ck_assert_uint_eq(slot(3), POWER | LED_BLINKS | 1 << 4 | EMPTY | MASKS);
    command(3, ENABLE | LED_ON, 0);
    ck_assert_uint_eq(slot(3), ENABLED | LED_ON | 1 << 4 | EMPTY | MASKS);
    command(3, POWER | LED_OFF, INVALID);
    ck_assert_uint_eq(slot(3), ENABLED | LED_ON | 1 << 4 | EMPTY | MASKS);
    command(0, 0x49, INVALID); /* all, but one is enabled */
    command(3, DISABLE | LED_OFF, 0);
    card = add("edu", "card", PCI_DEVFN(5, 0), true);
    command(0, 0x48, 0);
    ck_assert_uint_eq(slot(5) & 0xfff, POWER | LED_ON | ATTENTION_OFF);
    ck_assert_uint_eq(card_id(5), UINT32_MAX);
    command(0, 0x49, 0);
    ck_assert_uint_eq(slot(5) & 0xfff, ENABLED | LED_ON | ATTENTION_OFF);
    ck_assert_uint_eq(card_id(5), 0x11e81234);
    ck_assert_uint_eq(slot(3) & 3, DISABLED);
}
END_TEST

/* A command's end, and each event of a slot, as far as they are not masked. */
START_TEST(interrupts)
{
    setup("pci-bridge");
    put(COMMAND, 2, 1 << 8 | LED_ON);
    ck_assert_uint_eq(get(LOCATOR, 4), 0);
    put(SERR_INT, 4, 1);
    ck_assert_uint_eq(get(LOCATOR, 4), 1);
    ck_assert(!line_high);
    ck_assert_uint_eq(pci_config_read(bus, BRIDGE, CAP + 3, 1), 1 << 3);
    put(SERR_INT, 4, 0);
    ck_assert(line_high);
    put(SERR_INT, 4, DONE);
    ck_assert(!line_high && !get(LOCATOR, 4));
    card = add("edu", "card", PCI_DEVFN(7, 0), true);
    ck_assert_uint_eq(slot(7), DISABLED | LED_OFF | ATTENTION_OFF | MASKS | BUTTON | PRESENCE);
    ck_assert(!line_high);
    put_slot(7, 0x7b << 24); /* the button's mask goes */
    ck_assert_uint_eq(get(LOCATOR, 4), 1 << 7);
    ck_assert(line_high);
    put_slot(7, 0x7a << 24 | BUTTON);
    ck_assert(line_high);
    put_slot(7, 0x7a << 24 | PRESENCE);
    ck_assert(!line_high);
}
END_TEST

START_TEST(comes_and_goes)
{
    GError *error = NULL;
    setup("pcie-pci-bridge");
    listen(9);
    card = add("edu", "card", PCI_DEVFN(9, 0), true);
    ck_assert_msg(line_high && card_id(9) == UINT32_MAX, "it has no power yet");
    put_slot(9, 0x7a << 24 | BUTTON | PRESENCE);
    command(9, LED_BLINKS, 0);
    ck_assert(!device_unplug_request(&card->dev, &error));
    ck_assert(strstr(error->message, "guest is busy (power indicator of slot 9 blinks)"));
    command(9, POWER, 0);
    ck_assert_uint_eq(card_id(9), UINT32_MAX);
    command(9, ENABLE | LED_ON, 0);
    ck_assert_uint_eq(card_id(9), 0x11e81234);
    pci_config_write(pci_bus_find(bus, 1), PCI_DEVFN(9, 0), 4, 2, 7);

    ck_assert(device_unplug_request(&card->dev, NULL));
    ck_assert(line_high && (slot(9) & BUTTON));
    put_slot(9, 0x7a << 24 | BUTTON);
    ck_assert(card->dev.removing);
    command(9, LED_BLINKS, 0);
    command(9, DISABLE, 0);
    ck_assert(!card_leaves() && card_id(9) == UINT32_MAX && card->command == 0);
    command(9, LED_OFF, 0);
    ck_assert(card_leaves());
    ck_assert_uint_eq(slot(9), DISABLED | LED_OFF | ATTENTION_OFF | EMPTY | PRESENCE | 0x7au << 24);
}
END_TEST

START_TEST(from_the_start)
{
    setup("pcie-pci-bridge");
    card = add("edu", "card", PCI_DEVFN(9, 0), false);
    PciDevice *deaf = add("edu", "deaf", PCI_DEVFN(10, 0), false);
    set_up();
    ck_assert_uint_eq(slot(9), ENABLED | LED_ON | ATTENTION_OFF | MASKS);
    ck_assert_uint_eq(card_id(9), 0x11e81234);
    ck_assert(device_unplug_request(&deaf->dev, NULL));
    put_slot(10, MASKS | BUTTON); /* software that did not hear it */
    ck_assert(!deaf->dev.removing && card_id(10) == 0x11e81234);
    listen(9);
    ck_assert(device_unplug_request(&card->dev, NULL));
    put_slot(9, 0x7a << 24 | BUTTON);
    command(9, LED_BLINKS, 0);
    command(9, LED_ON, 0);
    ck_assert_msg(!card->dev.removing && !card_leaves(), "the guest has changed its mind");
    device_reset(&bridge->dev, false);
    set_up();
    ck_assert_uint_eq(slot(9), ENABLED | LED_ON | ATTENTION_OFF | MASKS);
    ck_assert_uint_eq(get(SERR_INT, 4), 0xf);
}
END_TEST

START_TEST(at_once)
{
    setup("pcie-pci-bridge");
    pci_config_write(bus, BRIDGE, 0x44, 4, 0xfee01000);
    pci_config_write(bus, BRIDGE, 0x42, 2, 1);
    listen(1);
    card = add("edu", "card", PCI_DEVFN(1, 0), true);
    ck_assert_msg(messages == 1 && !line_high, "a message");
    ck_assert(device_unplug_request(&card->dev, NULL));
    ck_assert_msg(card_leaves(), "the slot has no power yet");
}
END_TEST

BENCH_MAIN("shpc", CASE(registers), CASE(registers_express), CASE(commands), CASE(interrupts), CASE(comes_and_goes),
           CASE(from_the_start), CASE(at_once))
