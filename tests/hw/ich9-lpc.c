/* ICH9 functions 31.0 and 31.3: interrupt routing, ACPI, SMI, TCO, reset control, SMBus (316972).
 */
#include "hw/isa/ich9-lpc.h"
#include "hw/pci/acpi-pm.h"

#include "core/clock.h"
#include "core/runstate.h"
#include "tests/hw/bench.h"

enum {
    LPC = PCI_DEVFN(31, 0),
    SMB = PCI_DEVFN(31, 3),
    PM = ICH9_PM_BASE,
    TCO = PM + 0x60,
    RCBA = 0xfed1c000
};

static Device *lpc;
static PciBus *bus;

static uint32_t in(uint16_t port, unsigned size)
{
    return (uint32_t)space_load(space_io(), port, size);
}
static void out(uint16_t port, unsigned size, uint32_t v)
{
    space_store(space_io(), port, size, v);
}
static void cfg(unsigned at, unsigned size, uint32_t v)
{
    pci_config_write(bus, LPC, at, size, v);
}
static uint32_t root_get(unsigned at, unsigned size)
{
    return (uint32_t)space_load(space_memory(), RCBA + at, size);
}
static void root_put(unsigned at, unsigned size, uint32_t v)
{
    space_store(space_memory(), RCBA + at, size, v);
}

/* As the firmware sets it up. */
static void setup(const char *property, const char *value)
{
    PciHost host = {.mem = space_root(space_memory()),
                    .io = space_root(space_io()),
                    .dma_space = space_memory()};
    bus = pci_bus_new(NULL, "pcie.0", &host);
    lpc = &pci_new(&ich9_lpc_class, NULL, LPC, true)->dev;
    if (property) {
        ck_assert(device_set(lpc, property, value, NULL));
    }
    ck_assert(device_realize(lpc, pci_bus_as_bus(bus), NULL));
    device_reset(lpc, true);
    cfg(0x40, 4, PM | 1);
    cfg(0x44, 1, 0x80);
    cfg(0xf0, 4, RCBA | 1);
    mem_commit();
}

START_TEST(identity_and_places)
{
    setup(NULL, NULL);
    ck_assert_uint_eq(pci_config_read(bus, LPC, 0, 4), 0x29188086);
    ck_assert_uint_eq(pci_config_read(bus, LPC, 8, 4), 0x06010002);
    ck_assert_uint_eq(pci_config_read(bus, LPC, 0x60, 4), 0x80808080);
    ck_assert_uint_eq(pci_config_read(bus, LPC, 0x68, 4), 0x80808080);
    ck_assert_uint_eq(in(PM + 4, 2), 0);
    cfg(0x44, 1, 0);
    ck_assert_uint_eq(in(PM + 4, 2), 0xffff);
    ck_assert_uint_eq(root_get(0x3140, 2), 0x3210);
    ck_assert_uint_eq(root_get(0x314c, 2), 0x3210);
    cfg(0xf0, 4, 0);
    ck_assert_uint_eq(root_get(0x3140, 2), 0xffff);
}
END_TEST

/* A function on the bus whose INTx# the test drives. */
static Device *card(unsigned slot, unsigned fn, unsigned pin)
{
    PciDevice *pd = pci_new(device_class_find("edu"), NULL, (int)PCI_DEVFN(slot, fn), false);
    ck_assert(device_realize(&pd->dev, pci_bus_as_bus(bus), NULL));
    pd->interrupt_pin = (uint8_t)pin;
    return &pd->dev;
}

static void intx(Device *d, bool level)
{
    pci_irq((PciDevice *)d, level);
}

static uint32_t gsis(void)
{
    uint32_t high = 0;
    for (unsigned i = 0; i < 8; i++) {
        high |= (uint32_t)device_pin(lpc, "gsi", i)->level << i;
    }
    return high;
}

static uint32_t irqs(void)
{
    uint32_t high = 0;
    for (unsigned i = 0; i < 16; i++) {
        high |= (uint32_t)device_pin(lpc, "irq", i)->level << i;
    }
    return high;
}

START_TEST(routing)
{
    setup(NULL, NULL);
    Device *a = card(1, 0, 1), *b = card(2, 0, 4), *c = card(29, 0, 2);
    intx(a, true); /* slot 1, INTA: one further than slot 0, PIRQF */
    ck_assert_uint_eq(gsis(), 1 << 5);
    ck_assert_msg(irqs() == 0, "no 8259 input while not routed");
    cfg(0x69, 1, 0x0b);
    ck_assert_uint_eq(irqs(), 1 << 11);
    intx(b, true); /* slot 2, INTD: 2 + 3, the same */
    intx(a, false);
    ck_assert_uint_eq(gsis(), 1 << 5);
    intx(b, false);
    ck_assert_uint_eq(gsis() | irqs(), 0);
    intx(c, true); /* a slot of the chipset: D29IR */
    ck_assert_uint_eq(gsis(), 1 << 1);
    root_put(0x3144, 2, 0x3270);
    ck_assert_uint_eq(gsis(), 1 << 7);
    cfg(0x6b, 1, 0x08);
    ck_assert_msg(irqs() == 0, "IRQ 8 is the clock's");
    intx(c, false);
    ck_assert_uint_eq(gsis(), 0);
}
END_TEST

START_TEST(sci)
{
    setup(NULL, NULL);
    out(PM + 2, 2, 0x100);
    machine_request_powerdown();
    int code;
    ck_assert(runstate_poll(&code));
    ck_assert_uint_eq(irqs(), 0);
    out(ICH9_SMI_CMD, 1, ICH9_ACPI_ENABLE);
    ck_assert_uint_eq(in(PM + 4, 2), 1);
    ck_assert_uint_eq(irqs(), 1 << 9);
    cfg(0x44, 1, 0x81);
    ck_assert_uint_eq(irqs(), 1 << 10);
    cfg(0x44, 1, 0x84);
    ck_assert_uint_eq(irqs(), 0);
    ck_assert_uint_eq(gsis(), 1 << 4);
    out(PM, 2, 0x100);
    ck_assert_uint_eq(gsis(), 0);
    acpi_gpe(13);
    ck_assert_uint_eq(in(PM + 0x20, 4), 1 << 13);
    ck_assert_uint_eq(gsis(), 0);
    out(PM + 0x28, 4, 1 << 13);
    ck_assert_uint_eq(gsis(), 1 << 4);
    out(PM + 0x20, 4, 1 << 13);
    ck_assert_uint_eq(gsis(), 0);
}
END_TEST

START_TEST(smi)
{
    setup("smm-enabled", "on");
    Probe *smi = bench_probe(lpc, "smi", 0);
    out(ICH9_SMI_CMD, 1, 0x55);
    ck_assert_uint_eq(smi->rises, 0);
    out(PM + 0x30, 4, 0x20); /* APMC alone */
    out(ICH9_SMI_CMD, 1, 0x55);
    ck_assert_uint_eq(smi->rises, 0);
    ck_assert_uint_eq(in(PM + 0x34, 4), 0x20);
    out(PM + 0x34, 4, 0x20);
    ck_assert_uint_eq(in(PM + 0x34, 4), 0);
    out(PM + 0x30, 4, 0x21);
    out(ICH9_SMI_CMD, 1, 0x55);
    ck_assert_uint_eq(smi->rises, 1);
    ck_assert_uint_eq(in(ICH9_SMI_CMD, 1), 0x55);
    cfg(0xa0, 1, 0x10); /* SMI_LOCK */
    cfg(0xa0, 1, 0x00);
    ck_assert_uint_eq(pci_config_read(bus, LPC, 0xa0, 1), 0x10);
    out(PM + 0x30, 4, 0);
    ck_assert_uint_eq(in(PM + 0x30, 4), 1);
}
END_TEST

START_TEST(sleep_s3)
{
    setup(NULL, NULL);
    Probe *s3 = bench_probe(lpc, "pm.s3", 0);
    out(PM + 4, 2, 0x2000 | 1 << 10 | 1);
    ck_assert(s3->level);
    device_reset(lpc, false);
    ck_assert(!s3->level);
    cfg(0x40, 4, PM | 1);
    cfg(0x44, 1, 0x80);
    ck_assert_uint_eq(in(PM, 2), 0x8000);
}
END_TEST

START_TEST(sleep_s5)
{
    setup(NULL, NULL);
    int code = -1;
    out(PM + 4, 2, 0x2000);
    ck_assert(!runstate_poll(&code));
    ck_assert_int_eq(code, 0);
}
END_TEST

static unsigned resets;
static void count_reset(void *arg, ShutdownCause cause)
{
    resets++;
}

static unsigned resets_now(void)
{
    static bool listening;
    static const RunListener listener = {.reset = count_reset};
    int code;
    if (!listening) {
        listening = true;
        runstate_listen(&listener);
    }
    resets = 0;
    ck_assert(runstate_poll(&code));
    return resets;
}

START_TEST(reset_control)
{
    setup(NULL, NULL);
    resets_now();
    enum { SPACE_RST = 3 }; /* port CF9h is the host bridge's to give */
    device_write(lpc, SPACE_RST, 0, 1, 0x02);
    ck_assert_uint_eq(resets_now(), 0);
    device_write(lpc, SPACE_RST, 0, 1, 0x06);
    ck_assert_uint_eq(resets_now(), 1);
}
END_TEST

/* Ticks of 0.6 s; at the first expiry an SMI, at the second a reset, when nothing forbids it. */
START_TEST(watchdog)
{
    setup("noreboot", "off");
    resets_now();
    ck_assert_uint_eq(root_get(0x3410, 4) & 0x20, 0x20);
    root_put(0x3410, 4, 0);
    ck_assert_uint_eq(root_get(0x3410, 4) & 0x20, 0);
    out(TCO + 0x12, 2, 10);
    out(TCO, 2, 1);
    bench_advance(3 * NS_PER_SECOND);
    ck_assert_uint_eq(in(TCO, 2), 5);
    out(TCO, 2, 1);
    ck_assert_uint_eq(in(TCO, 2), 10);
    bench_advance(7 * NS_PER_SECOND);
    ck_assert_uint_eq(in(TCO + 4, 2), 8);
    ck_assert_uint_eq(in(TCO + 6, 2), 0);
    ck_assert_uint_eq(resets_now(), 0);
    bench_advance(6 * NS_PER_SECOND);
    ck_assert_uint_eq(in(TCO + 6, 2), 6);
    ck_assert_uint_eq(resets_now(), 1);
}
END_TEST

START_TEST(watchdog_held)
{
    setup(NULL, NULL); /* the strap says: no reboot */
    resets_now();
    root_put(0x3410, 4, 0);
    ck_assert_uint_eq(root_get(0x3410, 4) & 0x20, 0x20);
    out(TCO, 2, 1);
    bench_advance(10 * NS_PER_SECOND);
    ck_assert_uint_eq(in(TCO + 6, 2), 2);
    ck_assert_uint_eq(resets_now(), 0);
    out(TCO + 6, 2, 2);
    out(TCO + 4, 2, 8);
    out(TCO + 8, 2, 0x0800); /* halted */
    bench_advance(100 * NS_PER_SECOND);
    ck_assert_uint_eq(in(TCO + 4, 4), 0);
    Probe *nmi = bench_probe(lpc, "tco.nmi", 0);
    out(TCO + 8, 2, 0x0900);
    ck_assert_uint_eq(nmi->rises, 1);
}
END_TEST

START_TEST(smbus_without_slaves)
{
    setup(NULL, NULL);
    PciDevice *smb = pci_new(device_class_find("ICH9-SMB"), NULL, SMB, false);
    ck_assert(device_realize(&smb->dev, pci_bus_as_bus(bus), NULL));
    ck_assert_uint_eq(pci_config_read(bus, SMB, 0, 4), 0x29308086);
    pci_config_write(bus, SMB, 0x20, 4, 0x700);
    pci_config_write(bus, SMB, 4, 2, 1);
    pci_config_write(bus, SMB, 0x40, 1, 1);
    ck_assert_msg((in(0x700, 1) & 0x40) == 0 && (in(0x700, 1) & 0x40),
                  "the first read takes the lock");
    out(0x700, 1, 0x40);
    ck_assert_uint_eq(in(0x700, 1), 0);
    out(0x704, 1, 0xa1);
    out(0x702, 1, 0x48); /* start */
    ck_assert_uint_eq(in(0x700, 1) & 0x1f, 0x04);
    ck_assert_uint_eq(in(0x702, 1), 0x08);
    ck_assert_uint_eq(gsis(), 0);
    out(0x702, 1, 0x49);
    ck_assert_uint_eq(gsis(), 1);
    out(0x700, 1, 0x04);
    ck_assert_uint_eq(gsis(), 0);
}
END_TEST

BENCH_MAIN("ich9-lpc", CASE(identity_and_places), CASE(routing), CASE(sci), CASE(smi),
           CASE(sleep_s3), CASE(sleep_s5), CASE(reset_control), CASE(watchdog), CASE(watchdog_held),
           CASE(smbus_without_slaves))
