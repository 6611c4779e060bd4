/* The DSDT of the PC: PCI root with its windows and interrupt links, the devices behind the ISA
 * bridge that this machine has, sleep states, processors. */
#include <string.h>

#include "hw/firmware/acpi-board.h"
#include "hw/machine.h"

enum { PRESENT_SHOWN = 0xf }; /* _STA, §6.3.7 */

static unsigned property(const Device *d, const char *name)
{
    g_autofree char *text = device_get(d, name);
    return text ? (unsigned)g_ascii_strtoull(text, NULL, 0) : 0;
}

void acpi_method_returning(Aml *a, const char *name, uint64_t value)
{
    aml_method(a, name, 0, AML_NOT_SERIALIZED);
    aml_op(a, AML_RETURN);
    aml_int(a, value);
    aml_end(a);
}

/* ---- PCI root: what it decodes (§6.4.3.5) ---- */

static void highest_bar(void *arg, PciDevice *pd)
{
    uint64_t *end = arg;
    PciBarInfo info[PCI_BARS + 1];
    unsigned n = pci_bars(pd, info);
    for (unsigned i = 0; i < n; i++) {
        if (info[i].memory && info[i].address != PCI_UNMAPPED) {
            *end = MAX(*end, info[i].address + info[i].size);
        }
    }
}

/* Above 4 GiB and all RAM, when the firmware put something there. */
static void high_window(Aml *a)
{
    const uint64_t gib = UINT64_C(1) << 30;
    uint64_t ram_end = machine.plug_size ? machine.plug_at + machine.plug_size : machine.ram_above_at + machine.ram_above_4g;
    uint64_t first = (ram_end + gib - 1) & ~(gib - 1), end = 0;
    if (pci_root()) {
        pci_foreach(pci_root(), highest_bar, &end);
    }
    if (end > first) {
        end = MAX((end + gib - 1) & ~(gib - 1), first + 2 * gib);
        aml_qword_memory(a, AML_CACHEABLE, first, end - 1);
    }
}

/* Memory below 4 GiB, but for the configuration window, which lies somewhere in it. */
static void low_windows(Aml *a, const AcpiBoard *board)
{
    enum { LAST = 0xfebfffff };
    uint64_t first = MAX(machine.ram_below_4g, 1 << 20), at, size;
    if (board->ecam && board->ecam(&at, &size) && at < LAST && at + size > first) {
        if (at > first) {
            aml_dword_memory(a, AML_NOT_CACHEABLE, (uint32_t)first, (uint32_t)at - 1);
        }
        first = at + size;
    }
    if (first < LAST) {
        aml_dword_memory(a, AML_NOT_CACHEABLE, (uint32_t)first, LAST);
    }
}

static void root_windows(Aml *a, const AcpiBoard *board)
{
    enum { CONFIG = 0xcf8, CONFIG_PORTS = 8, VGA = 0xa0000, VGA_LAST = 0xbffff };
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_word_bus(a, 0, 0xff);
    aml_io(a, CONFIG, CONFIG, 1, CONFIG_PORTS);
    aml_word_io(a, 0, CONFIG - 1);
    aml_word_io(a, CONFIG + CONFIG_PORTS, 0xffff);
    aml_dword_memory(a, AML_CACHEABLE, VGA, VGA_LAST);
    low_windows(a, board);
    high_window(a);
    aml_resources_end(a);
}

/* ---- Devices behind the ISA bridge, by class ---- */

static void begin_isa(Aml *a, const char *name, const char *hid)
{
    aml_device(a, name);
    aml_name_eisa_id(a, "_HID", hid);
}

static void clock_chip(Aml *a, const Device *d)
{
    begin_isa(a, "RTC", "PNP0B00");
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, 0x70, 0x70, 1, 8);
    aml_irq(a, 8);
    aml_resources_end(a);
    aml_end(a);
}

static void keyboard_and_mouse(Aml *a, const Device *d)
{
    begin_isa(a, "KBD", "PNP0303");
    acpi_method_returning(a, "_STA", PRESENT_SHOWN);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, 0x60, 0x60, 1, 1);
    aml_io(a, 0x64, 0x64, 1, 1);
    aml_irq(a, 1);
    aml_resources_end(a);
    aml_end(a);
    begin_isa(a, "MOU", "PNP0F13");
    acpi_method_returning(a, "_STA", PRESENT_SHOWN);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_irq(a, 12);
    aml_resources_end(a);
    aml_end(a);
}

static void floppy_controller(Aml *a, const Device *d)
{
    uint16_t port = (uint16_t)property(d, "iobase");
    begin_isa(a, "FDC0", "PNP0700");
    acpi_method_returning(a, "_STA", PRESENT_SHOWN);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, port + 2, port + 2, 0, 4); /* port + 6 is the ATA channel's */
    aml_io(a, port + 7, port + 7, 0, 1);
    aml_irq(a, property(d, "irq") & 15);
    aml_dma(a, property(d, "dma") & 7);
    aml_resources_end(a);
    aml_end(a);
}

static void port_device(Aml *a, const Device *d, const char *prefix, const char *hid)
{
    unsigned n = property(d, "index") + 1;
    uint16_t port = (uint16_t)property(d, "iobase");
    g_autofree char *name = g_strdup_printf("%s%u", prefix, n & 7);
    begin_isa(a, name, hid);
    aml_name_int(a, "_UID", n);
    acpi_method_returning(a, "_STA", PRESENT_SHOWN);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, port, port, 0, 8);
    aml_irq(a, property(d, "irq") & 15);
    aml_resources_end(a);
    aml_end(a);
}

static void serial_port(Aml *a, const Device *d)
{
    port_device(a, d, "COM", "PNP0501");
}

static void parallel_port(Aml *a, const Device *d)
{
    port_device(a, d, "LPT", "PNP0400");
}

/* Reads what is supported, writes what happened. */
static void panic_port(Aml *a, const Device *d)
{
    uint16_t port = (uint16_t)property(d, "ioport");
    aml_device(a, "PEVT");
    aml_name_string(a, "_HID", "QEMU0001");
    acpi_method_returning(a, "_STA", PRESENT_SHOWN);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, port, port, 1, 1);
    aml_resources_end(a);
    aml_region(a, "PEOR", AML_SYSTEM_IO, port, 1);
    aml_field(a, "PEOR", AML_BYTE_ACC, AML_NO_LOCK | AML_PRESERVE);
    aml_unit(a, "PEPT", 8);
    aml_end(a);
    aml_method(a, "RDPT", 0, AML_NOT_SERIALIZED);
    aml_op(a, AML_RETURN), aml_path(a, "PEPT");
    aml_end(a);
    aml_method(a, "WRPT", 1, AML_NOT_SERIALIZED);
    aml_op(a, AML_STORE), aml_arg(a, 0), aml_path(a, "PEPT");
    aml_end(a);
    aml_end(a);
}

static void isa_device(void *arg, Device *d)
{
    static const struct {
        const char *class;
        void (*describe)(Aml *a, const Device *d);
    } known[] = {
        {"mc146818rtc", clock_chip},     {"i8042", keyboard_and_mouse},
        {"isa-fdc", floppy_controller},  {"isa-serial", serial_port},
        {"isa-parallel", parallel_port}, {"pvpanic", panic_port},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        if (!strcmp(d->class->name, known[i].class)) {
            known[i].describe(arg, d);
        }
    }
}

/* ---- The rest of the board ---- */

static void fw_cfg_ports(Aml *a)
{
    enum { PORTS = 12 };
    aml_device(a, "FWCF");
    aml_name_string(a, "_HID", "QEMU0002");
    acpi_method_returning(a, "_STA", ACPI_PRESENT);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, FW_CFG_PORT, FW_CFG_PORT, 1, PORTS);
    aml_resources_end(a);
    aml_end(a);
}

static void event_timer(Aml *a)
{
    aml_device(a, "HPET");
    aml_name_eisa_id(a, "_HID", "PNP0103");
    aml_name_int(a, "_UID", 0);
    acpi_method_returning(a, "_STA", PRESENT_SHOWN);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_memory32(a, false, 0xfed00000, 0x400);
    aml_resources_end(a);
    aml_end(a);
}

/* §7.4.2: what goes into SLP_TYP, as the boards' chips take it. */
static void sleep_state(Aml *a, const char *name, unsigned type)
{
    aml_name(a, name);
    aml_package(a, 4);
    aml_int(a, type);
    aml_int(a, type);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a);
}

static void sleep_states(Aml *arg, const Device *d)
{
    if (!d) {
        return;
    }
    if (!property(d, "disable_s3")) {
        sleep_state(arg, "\\_S3", 1);
    }
    if (!property(d, "disable_s4")) {
        sleep_state(arg, "\\_S4", property(d, "s4_val"));
    }
}

static void pci_root_device(Aml *a, const AcpiBoard *board)
{
    aml_device(a, "PCI0");
    board->root(a);
    aml_name_int(a, "_UID", 0);
    root_windows(a, board);
    aml_device(a, "ISA");
    board->isa_bridge(a);
    device_foreach(isa_device, a);
    aml_end(a);
    fw_cfg_ports(a);
    aml_end(a);
}

static GByteArray *reduced_dsdt(const AcpiReduced *r)
{
    Aml *a = aml_new();
    aml_scope(a, "\\_SB");
    r->devices(a);
    device_foreach(isa_device, a);
    fw_cfg_ports(a);
    acpi_fixed_processors(a);
    aml_end(a);
    sleep_state(a, "\\_S5", r->s5);
    return aml_finish(a);
}

GByteArray *acpi_dsdt(void)
{
    const AcpiBoard *board = acpi_board();
    if (board->reduced) {
        return reduced_dsdt(board->reduced);
    }
    Aml *a = aml_new();
    if (board->globals) {
        board->globals(a);
    }
    aml_scope(a, "\\_SB");
    pci_root_device(a, board);
    board->interrupts(a);
    if (machine.hpet) {
        event_timer(a);
    }
    acpi_processors(a, board->cpu_hotplug);
    aml_end(a);
    acpi_memory_slots(a);
    sleep_states(a, acpi_pm_device(board));
    sleep_state(a, "\\_S5", 0);
    return aml_finish(a);
}
