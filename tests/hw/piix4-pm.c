/* PIIX4 function 3: ACPI registers, PM timer, sleep, APM, SMBus (290562 §7, ACPI 1.0b §4.7). */
#include "hw/pci/acpi-pm.h"
#include "hw/pci/piix4-pm.h"

#include "core/clock.h"
#include "core/runstate.h"
#include "tests/hw/bench.h"

static Device *pm;
static PciBus *bus;
static Probe *sci;

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
    pci_config_write(bus, PCI_DEVFN(1, 3), at, size, v);
}

/* As the firmware sets it up. */
static void setup(const char *props)
{
    PciHost host = {.mem = space_root(space_memory()),
                    .io = space_root(space_io()),
                    .dma_space = space_memory()};
    bus = pci_bus_new(NULL, "pci.0", &host);
    pm = &pci_new(&piix4_pm_class, NULL, PCI_DEVFN(1, 3), false)->dev;
    if (props) {
        ck_assert(device_set(pm, props, "on", NULL));
    }
    ck_assert(device_realize(pm, pci_bus_as_bus(bus), NULL));
    sci = bench_probe(pm, "sci", 0);
    cfg(0x40, 4, PIIX4_PM_BASE | 1);
    cfg(0x80, 1, 1);
    cfg(0x90, 4, PIIX4_SMBUS_BASE | 1);
    cfg(0xd2, 1, 9);
    mem_commit();
}

START_TEST(identity_and_ports)
{
    setup(NULL);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(1, 3), 0, 4), 0x71138086);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(1, 3), 8, 4), 0x06800003);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(1, 3), 0x40, 4), 0x601);
    ck_assert_uint_eq(pci_config_read(bus, PCI_DEVFN(1, 3), 0x5b, 1), 0x02);
    ck_assert_uint_eq(in(0x604, 2), 0);
    cfg(0x40, 4, 0xb000);
    ck_assert_uint_eq(in(0x604, 2), 0xffff);
    ck_assert_uint_eq(in(0xb004, 2), 0);
    cfg(0x80, 1, 0);
    ck_assert_uint_eq(in(0xb004, 2), 0xffff);
}
END_TEST

START_TEST(timer)
{
    setup(NULL);
    uint32_t before = in(0x608, 4);
    bench_advance(NS_PER_SECOND);
    ck_assert_uint_eq(in(0x608, 4) - before, 3579545);
    ck_assert_uint_eq(in(0x600, 2) & 1, 0);
    out(0x604, 2, 1);
    out(0x602, 2, 1);
    bench_advance(2 * NS_PER_SECOND); /* the top bit turns after 2.343 s */
    ck_assert(sci->level);
    ck_assert_uint_eq(in(0x600, 2) & 1, 1);
    ck_assert(in(0x608, 4) < 1 << 24);
    out(0x600, 2, 1);
    ck_assert(!sci->level);
    ck_assert_uint_eq(in(0x600, 2) & 1, 0);
    bench_advance(5 * NS_PER_SECOND);
    ck_assert(sci->level && sci->rises == 2);
    out(0x602, 2, 0);
    ck_assert(!sci->level);
}
END_TEST

START_TEST(acpi_mode_and_button)
{
    setup(NULL);
    out(0x602, 2, 0x100);
    machine_request_powerdown();
    int code;
    ck_assert(runstate_poll(&code));
    ck_assert_uint_eq(in(0x600, 2), 0x100);
    ck_assert_msg(!sci->level, "not in ACPI mode");
    out(PIIX4_SMI_CMD, 1, PIIX4_ACPI_ENABLE);
    ck_assert_uint_eq(in(0x604, 2), 1);
    ck_assert(sci->level);
    out(0x600, 2, 0xffff);
    ck_assert(!sci->level);
    out(PIIX4_SMI_CMD, 1, PIIX4_ACPI_DISABLE);
    ck_assert_uint_eq(in(0x604, 2), 0);
    out(0xb3, 1, 0x5a);
    ck_assert_uint_eq(in(0xb2, 2), 0x5af0);
}
END_TEST

START_TEST(general_purpose_events)
{
    setup(NULL);
    out(0x604, 2, 1);
    acpi_gpe(1);
    ck_assert_uint_eq(in(PIIX4_GPE_BASE, 4), 0x00000002);
    ck_assert(!sci->level);
    out(PIIX4_GPE_BASE + 2, 1, 2);
    ck_assert(sci->level);
    out(PIIX4_GPE_BASE, 1, 2);
    ck_assert(!sci->level);
    ck_assert_uint_eq(in(PIIX4_GPE_BASE, 4), 0x00020000);
}
END_TEST

START_TEST(sleep_s3)
{
    setup(NULL);
    Probe *s3 = bench_probe(pm, "pm.s3", 0);
    out(0x604, 2, 0x2000 | 1 << 10 | 1);
    ck_assert_msg(in(0x604, 2) == (1 << 10 | 1), "SLP_EN reads as 0");
    ck_assert(s3->level);
    device_reset(pm, false);
    ck_assert(!s3->level);
    cfg(0x40, 4, PIIX4_PM_BASE | 1);
    cfg(0x80, 1, 1);
    ck_assert_uint_eq(in(0x600, 2), 0x8000);
    device_reset(pm, true);
    cfg(0x40, 4, PIIX4_PM_BASE | 1);
    cfg(0x80, 1, 1);
    ck_assert_uint_eq(in(0x600, 2), 0);
}
END_TEST

static void powers_off(uint16_t cnt)
{
    int code = -1;
    ck_assert(runstate_poll(&code));
    out(0x604, 2, cnt);
    ck_assert_msg(!runstate_poll(&code), "the machine ends");
    ck_assert_int_eq(code, 0);
}

START_TEST(sleep_s5)
{
    setup(NULL);
    powers_off(0x2000);
}
END_TEST

START_TEST(sleep_s4)
{
    setup(NULL);
    powers_off(0x2000 | 2 << 10);
}
END_TEST

START_TEST(sleep_types_that_are_not_offered)
{
    int code;
    setup(NULL);
    for (unsigned type = 3; type < 8; type++) {
        out(0x604, 2, 0x2000 | type << 10);
        ck_assert(runstate_poll(&code));
    }
}
END_TEST

START_TEST(smi)
{
    setup("smm-enabled");
    Probe *smi = bench_probe(pm, "smi", 0);
    out(PIIX4_SMI_CMD, 1, 1);
    ck_assert_msg(smi->rises == 0, "APMC_EN is clear");
    cfg(0x5b, 1, 2);
    out(PIIX4_SMI_CMD, 1, 1);
    ck_assert_uint_eq(smi->rises, 1);
    ck_assert(!smi->level);
    in(PIIX4_SMI_CMD, 1);
    ck_assert_uint_eq(smi->rises, 1);
}
END_TEST

START_TEST(smbus_without_slaves)
{
    setup(NULL);
    out(PIIX4_SMBUS_BASE + 4, 1, 0xa1);
    out(PIIX4_SMBUS_BASE + 2, 1, 0x48);
    ck_assert_uint_eq(in(PIIX4_SMBUS_BASE, 1), 0x04);
    ck_assert_uint_eq(in(PIIX4_SMBUS_BASE + 2, 1), 0x08);
    ck_assert(!sci->level);
    out(PIIX4_SMBUS_BASE + 2, 1, 0x49);
    ck_assert(sci->level);
    out(PIIX4_SMBUS_BASE, 1, 0x04);
    ck_assert_uint_eq(in(PIIX4_SMBUS_BASE, 1), 0);
    ck_assert(!sci->level);
}
END_TEST

BENCH_MAIN("piix4-pm", CASE(identity_and_ports), CASE(timer), CASE(acpi_mode_and_button),
           CASE(general_purpose_events), CASE(sleep_s3), CASE(sleep_s5), CASE(sleep_s4),
           CASE(sleep_types_that_are_not_offered), CASE(smi), CASE(smbus_without_slaves))
