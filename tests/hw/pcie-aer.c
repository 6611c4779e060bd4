/* Advanced Error Reporting: the registers, and the way of an error to the root port (PCI Express Base 3.0 §6.2, §7.10). */
#include "hw/pci/pcie-aer.h"

#include <string.h>

#include "tests/hw/pci-root-bench.h"

/* A root port at 4.0 (bus 1), the upstream port of a switch behind it, two downstream ports (buses 3 and 4). */
enum { ROOT = PCI_DEVFN(4, 0), AER = PCIE_AER_AT, SERR = 1 << 1 };
enum { UNC_STATUS = AER + 4, UNC_MASK = AER + 8, UNC_SEVERITY = AER + 12, COR_STATUS = AER + 16, COR_MASK = AER + 20,
       CONTROL = AER + 24, HEADER = AER + 28, ROOT_COMMAND = AER + 0x2c, ROOT_STATUS = AER + 0x30, SOURCE = AER + 0x34,
       PREFIX = AER + 0x38 };
enum { MALFORMED = 1 << 18, POISONED = 1 << 12, UNSUPPORTED = 1 << 20, BAD_TLP = 1 << 6, RECEIVER = 1, ADVISORY = 1 << 13 };

static PciDevice *root, *up, *down, *other;

static uint32_t get(const PciDevice *pd, unsigned at, unsigned size)
{
    return pci_config_read(pd->bus, (unsigned)pd->devfn, at, size);
}

static void put(const PciDevice *pd, unsigned at, unsigned size, uint32_t value)
{
    pci_config_write(pd->bus, (unsigned)pd->devfn, at, size, value);
}

static unsigned express_at(const PciDevice *pd)
{
    unsigned at = get(pd, 0x34, 1);
    while (get(pd, at, 1) != 0x10) {
        at = get(pd, at + 1, 1);
    }
    return at;
}

/* Device control: which kinds it tells of; status. */
static void reports(const PciDevice *pd, unsigned kinds)
{
    put(pd, express_at(pd) + 8, 2, kinds);
}
static unsigned device_status(const PciDevice *pd)
{
    return get(pd, express_at(pd) + 10, 2);
}

static void set_up(const PciDevice *pd, uint32_t numbers)
{
    put(pd, 0x18, 4, numbers);
    put(pd, 0x3e, 2, SERR);
    reports(pd, 0xf);
}

static PciDevice *add(const char *type, const char *id, int devfn, const char *slot, Bus *where)
{
    GError *error = NULL;
    PciDevice *d = pci_new(device_class_find(type), id, devfn, true);
    if (slot) {
        device_set(&d->dev, "slot", slot, NULL);
    }
    ck_assert_msg(device_realize(&d->dev, where, &error), "%s", error ? error->message : "");
    device_reset(&d->dev, true);
    return d;
}

static void setup(const char *type)
{
    make_root();
    root = add(type, "root", ROOT, "1", pci_bus_as_bus(bus));
    up = add("x3130-upstream", "up", 0, NULL, bus_find("root"));
    down = add("xio3130-downstream", "down", PCI_DEVFN(1, 0), "2", bus_find("up"));
    other = add("xio3130-downstream", "other", PCI_DEVFN(2, 0), "3", bus_find("up"));
    set_up(root, 0x00040100);
    set_up(up, 0x00040201);
    set_up(down, 0x00030302);
    set_up(other, 0x00040402);
    messages = 0;
}

static void fails(PciDevice *pd, uint32_t status)
{
    GError *error = NULL;
    PcieError e = {.status = status};
    ck_assert_msg(pcie_error(pd, &e, &error), "%s", error ? error->message : "");
}

static void corrects(PciDevice *pd, uint32_t status)
{
    PcieError e = {.status = status, .correctable = true};
    ck_assert(pcie_error(pd, &e, NULL));
}

/* §7.10: defaults and writable bits; root error registers at root ports alone. */
START_TEST(registers)
{
    setup("pcie-root-port");
    for (unsigned i = 0; i < 2; i++) {
        const PciDevice *pd = i ? up : root;
        ck_assert_uint_eq(get(pd, AER, 4), 0x00020001);
        ck_assert_uint_eq(get(pd, UNC_STATUS, 4), 0);
        ck_assert_uint_eq(get(pd, UNC_MASK, 4), 1 << 22);
        ck_assert_uint_eq(get(pd, UNC_SEVERITY, 4), 0x00462030);
        ck_assert_uint_eq(get(pd, COR_MASK, 4), 0xe000);
        for (unsigned at = UNC_MASK; at < AER + 0x48; at += 4) {
            put(pd, at, 4, UINT32_MAX);
        }
        ck_assert_uint_eq(get(pd, UNC_MASK, 4), 0x03fff030);
        ck_assert_uint_eq(get(pd, UNC_SEVERITY, 4), 0x03fff030);
        ck_assert_uint_eq(get(pd, COR_MASK, 4), 0xf1c1);
        ck_assert_uint_eq(get(pd, CONTROL, 4), 0);
        ck_assert_uint_eq(get(pd, HEADER, 4), 0);
        ck_assert_uint_eq(get(pd, ROOT_COMMAND, 4), i ? 0 : 7);
        ck_assert_uint_eq(get(pd, SOURCE, 4), 0);
        ck_assert_uint_eq(get(pd, PREFIX, 4), 0);
    }
    device_reset(&root->dev, false);
    ck_assert_msg(get(root, COR_MASK, 4) == 0xf1c1, "sticky");
    ck_assert_uint_eq(get(root, ROOT_COMMAND, 4), 0);
    device_reset(&root->dev, true);
    ck_assert_uint_eq(get(root, COR_MASK, 4), 0xe000);
}
END_TEST

/* The first error is logged, until software clears its status; masked ones are seen but neither logged nor told. */
START_TEST(log_)
{
    uint32_t header[] = {0x11111111, 0x22222222, 0x33333333, 0x44444444}, prefix[] = {5, 6, 7, 8};
    PcieError e = {.status = MALFORMED, .header = header};
    setup("pcie-root-port");
    put(down, UNC_MASK, 4, POISONED);
    fails(down, POISONED);
    ck_assert_uint_eq(get(down, UNC_STATUS, 4), POISONED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
    ck_assert_uint_eq(device_status(down), 1 << 1);
    ck_assert(pcie_error(down, &e, NULL));
    ck_assert_uint_eq(get(down, CONTROL, 4), 18);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(get(down, HEADER + 4 * i, 4), header[i]);
    }
    ck_assert_uint_eq(device_status(down), 3 << 1);
    fails(down, UNSUPPORTED);
    ck_assert_uint_eq(get(down, UNC_STATUS, 4), POISONED | MALFORMED | UNSUPPORTED);
    ck_assert_uint_eq(device_status(down), 7 << 1);
    ck_assert_msg(get(down, CONTROL, 4) == 18 && get(down, HEADER, 4) == header[0], "of the first");
    put(down, UNC_STATUS, 4, MALFORMED);
    ck_assert_uint_eq(get(down, UNC_STATUS, 4), POISONED | UNSUPPORTED);
    e.prefix = prefix;
    e.status = 1 << 19;
    ck_assert(pcie_error(down, &e, NULL));
    ck_assert_uint_eq(get(down, CONTROL, 4), 19 | 1 << 11);
    ck_assert_uint_eq(get(down, PREFIX + 12, 4), 8);
}
END_TEST

/* §6.2.4.1.2, §7.10.10: first and more, who it was, and the interrupt of each kind. */
START_TEST(root_port)
{
    setup("pcie-root-port");
    corrects(down, BAD_TLP);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 1);
    ck_assert_uint_eq(get(root, SOURCE, 4), 0x0208);
    ck_assert_uint_eq(get(down, COR_STATUS, 4), BAD_TLP);
    ck_assert_uint_eq(device_status(down), 1);
    corrects(other, RECEIVER);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 3);
    ck_assert_msg(get(root, SOURCE, 4) == 0x0208, "of the first");
    fails(up, POISONED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0x27);
    ck_assert_uint_eq(get(root, SOURCE, 4), 0x01000208);
    fails(root, MALFORMED); /* its own */
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0x6f);
    ck_assert(!line_high);
    for (unsigned kind = 0; kind < 3; kind++) {
        put(root, ROOT_COMMAND, 4, 1u << kind);
        ck_assert(line_high);
        put(root, ROOT_STATUS, 4, kind ? 0x20u << (kind - 1) : 1);
        ck_assert(!line_high);
    }
    put(root, ROOT_STATUS, 4, 0x7f);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
    fails(other, 1 << 4);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0x54);
    ck_assert_uint_eq(get(root, SOURCE, 4) >> 16, 0x0210);
    ck_assert(line_high);
}
END_TEST

/* Figure 6-3: each bridge passes messages on while Bridge Control has SERR# enabled. */
START_TEST(path)
{
    setup("pcie-root-port");
    put(up, 0x3e, 2, 0);
    fails(down, MALFORMED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
    ck_assert_uint_eq(get(up, 0x1e, 2), 1 << 14);
    ck_assert_uint_eq(get(root, 0x1e, 2), 0);
    put(up, 0x3e, 2, SERR);
    put(up, 4, 2, PCI_COMMAND_SERR);
    corrects(down, BAD_TLP);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 1);
    ck_assert_msg(!(get(up, 6, 2) & 1 << 14) && get(root, 0x1e, 2) == 0, "no system error");
    fails(down, MALFORMED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0x55);
    ck_assert(get(up, 6, 2) & 1 << 14);
    ck_assert_uint_eq(get(root, 0x1e, 2), 1 << 14);
    put(root, ROOT_STATUS, 4, 0x7f);
    put(root, 0x3e, 2, 0);
    fails(down, MALFORMED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
}
END_TEST

/* Figure 6-2: device control, SERR#, and unsupported requests, which have a bit of their own. */
START_TEST(told_or_not)
{
    setup("pcie-root-port");
    reports(down, 0);
    corrects(down, BAD_TLP);
    fails(down, MALFORMED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
    ck_assert_uint_eq(get(down, COR_STATUS, 4), BAD_TLP);
    put(down, 4, 2, PCI_COMMAND_SERR);
    corrects(down, BAD_TLP);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
    fails(down, MALFORMED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0x54);
    ck_assert(get(down, 6, 2) & 1 << 14);
    put(root, ROOT_STATUS, 4, 0x7f);
    put(down, 4, 2, 0);
    reports(down, 1 << 1);
    fails(down, UNSUPPORTED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
    reports(down, 1 << 1 | 1 << 3);
    fails(down, UNSUPPORTED);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0x24);
    put(root, ROOT_STATUS, 4, 0x7f);
    put(down, UNC_SEVERITY, 4, UNSUPPORTED);
    fails(down, UNSUPPORTED);
    ck_assert_msg(get(root, ROOT_STATUS, 4) == 0, "fatal now, which is not reported");
    put(down, COR_MASK, 4, BAD_TLP);
    reports(down, 1);
    corrects(down, BAD_TLP);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
}
END_TEST

/* §6.2.3.2.4: an advisory one is told as a correctable one, unless that is masked, as it is from reset on. */
START_TEST(advisory)
{
    PcieError e = {.status = POISONED, .advisory = true};
    setup("pcie-root-port");
    ck_assert(pcie_error(down, &e, NULL));
    ck_assert_uint_eq(get(down, UNC_STATUS, 4), POISONED);
    ck_assert_uint_eq(get(down, COR_STATUS, 4), ADVISORY);
    ck_assert_uint_eq(device_status(down), 1);
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 0);
    put(down, UNC_STATUS, 4, POISONED);
    put(down, COR_MASK, 4, 0);
    ck_assert(pcie_error(down, &e, NULL));
    ck_assert_uint_eq(get(root, ROOT_STATUS, 4), 1);
    ck_assert_uint_eq(get(down, CONTROL, 4), 12);
    e.status = MALFORMED;
    ck_assert(pcie_error(down, &e, NULL));
    ck_assert_msg(get(root, ROOT_STATUS, 4) == 0x55, "a fatal one never is");
}
END_TEST

/* A message when the condition comes about; ioh3420 has a second vector for errors, where the guest grants it. */
START_TEST(messages_)
{
    setup("ioh3420");
    put(root, 4, 2, 7);
    put(root, 0x64, 4, 0xfee00000);
    put(root, 0x6c, 2, 0x40);
    put(root, ROOT_COMMAND, 4, 7);
    for (unsigned granted = 0; granted < 2; granted++) {
        put(root, 0x62, 2, 1 | granted << 4);
        ck_assert_uint_eq(get(root, ROOT_STATUS, 4) >> 27, granted);
        messages = 0;
        corrects(down, BAD_TLP);
        ck_assert_uint_eq(messages, 1);
        ck_assert_uint_eq(message_data, 0x40 + granted);
        corrects(down, BAD_TLP);
        fails(down, MALFORMED);
        ck_assert_msg(messages == 1 && !line_high, "it stands");
        put(root, ROOT_STATUS, 4, 0x7f);
        fails(down, MALFORMED);
        ck_assert_uint_eq(messages, 2);
        put(root, ROOT_STATUS, 4, 0x7f);
    }
}
END_TEST

START_TEST(refused)
{
    GError *error = NULL;
    uint32_t status;
    bool correctable;
    setup("pcie-root-port");
    ck_assert(pcie_error_by_name("POISON_TLP", &status, &correctable) && status == POISONED && !correctable);
    ck_assert(pcie_error_by_name("BAD_TLP", &status, &correctable) && status == BAD_TLP && correctable);
    ck_assert(!pcie_error_by_name("bad", &status, &correctable));
    ck_assert(!pcie_error(down, &(PcieError){.status = 3 << 12}, &error));
    ck_assert(strstr(error->message, "expected: one bit of 0x3fff030"));
    g_clear_error(&error);
    ck_assert(!pcie_error(down, &(PcieError){.status = 2, .correctable = true}, &error));
    ck_assert(strstr(error->message, "0x2 is no correctable error"));
    g_clear_error(&error);
    PciDevice *card = pci_new(device_class_find("edu"), "card", PCI_DEVFN(9, 0), false);
    ck_assert(device_realize(&card->dev, pci_bus_as_bus(bus), NULL));
    ck_assert(!pcie_error(card, &(PcieError){.status = POISONED}, &error));
    ck_assert(strstr(error->message, "not on PCI Express"));
}
END_TEST

BENCH_MAIN("pcie-aer", CASE(registers), CASE(log_), CASE(root_port), CASE(path), CASE(told_or_not), CASE(advisory), CASE(messages_),
           CASE(refused))
