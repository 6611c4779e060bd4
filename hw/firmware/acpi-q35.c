/* ACPI: the board "q35". */
#include "hw/firmware/acpi-board.h"
#include "hw/isa/ich9-lpc.h"
#include "hw/pci/acpi-cpuhp.h"
#include "hw/pci/acpi-pci-index.h"
#include "hw/pci/q35.h"

enum { LINKS = ICH9_PIRQS };

static bool ecam(uint64_t *at, uint64_t *size)
{
    const PciDevice *mch = pci_root() ? pci_find(pci_root(), 0) : NULL;
    return mch && mch->dev.class == &mch_class && q35_ecam(mch, at, size);
}

/* Which interrupt controllers the operating system uses (§5.8.1): 0 the 8259s, 1 the I/O APIC. */
static void globals(Aml *a)
{
    aml_name_int(a, "PICF", 0);
    aml_method(a, "_PIC", 1, AML_NOT_SERIALIZED);
    aml_op(a, AML_STORE), aml_arg(a, 0), aml_path(a, "PICF");
    aml_end(a);
}

static void field_of(Aml *a, unsigned byte, const char *name)
{
    aml_op(a, AML_CREATE_DWORD), aml_arg(a, 3), aml_int(a, byte), aml_path(a, name);
}

static void or_into(Aml *a, const char *name, unsigned bits)
{
    aml_op(a, AML_OR), aml_path(a, name), aml_int(a, bits), aml_path(a, name);
}

/* PCI Firmware 3.3 §4.5.1: which features of PCI Express the system may control itself. */
static void osc(Aml *a)
{
    static const uint8_t host_bridge[] = {0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
                                          0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66};
    enum { HOTPLUG = 1, SHPC = 2, PME = 4, ERRORS = 8, CAPABILITIES = 16 }; /* slots are the bridges' own */
    enum { UNKNOWN_UUID = 4, UNKNOWN_REVISION = 8, MASKED = 16 };
    aml_method(a, "_OSC", 4, AML_NOT_SERIALIZED);
    field_of(a, 0, "CDW1");
    aml_if(a), aml_op(a, AML_LEQUAL), aml_arg(a, 0), aml_buffer(a, host_bridge, sizeof host_bridge);
    field_of(a, 8, "CDW3");
    aml_op(a, AML_AND), aml_path(a, "CDW3"), aml_int(a, HOTPLUG | SHPC | PME | ERRORS | CAPABILITIES),
        aml_local(a, 0);
    aml_if(a), aml_op(a, AML_LNOT), aml_op(a, AML_LEQUAL), aml_arg(a, 1), aml_int(a, 1);
    or_into(a, "CDW1", UNKNOWN_REVISION);
    aml_end(a);
    aml_if(a), aml_op(a, AML_LNOT), aml_op(a, AML_LEQUAL), aml_path(a, "CDW3"), aml_local(a, 0);
    or_into(a, "CDW1", MASKED);
    aml_end(a);
    aml_op(a, AML_STORE), aml_local(a, 0), aml_path(a, "CDW3");
    aml_end(a);
    aml_else(a);
    or_into(a, "CDW1", UNKNOWN_UUID);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_arg(a, 3);
    aml_end(a);
}

static void root(Aml *a)
{
    aml_name_eisa_id(a, "_HID", "PNP0A08");
    aml_name_eisa_id(a, "_CID", "PNP0A03");
    osc(a);
}

static void isa_bridge(Aml *a)
{
    enum { LPC_ADDRESS = 31 << 16, PIRQ_ROUT = 0x60, LEN = 12 };
    aml_name_int(a, "_ADR", LPC_ADDRESS);
    aml_region(a, "PIRQ", AML_PCI_CONFIG, PIRQ_ROUT, LEN);
}

/* As the ICH9 wires its own slots, from 25 on, out of reset, and the board the others. */
static unsigned line(unsigned slot, unsigned pin)
{
    enum { FIRST_INTERNAL = 25, PCI_BRIDGE = 30, PIRQE = 4 };
    if (slot < FIRST_INTERNAL) {
        return PIRQE + ((slot + pin) & 3);
    }
    return slot == PCI_BRIDGE ? PIRQE + pin : pin;
}

static void routing(Aml *a)
{
    aml_scope(a, "PCI0");
    acpi_routes(a, "PRTP", line, false);
    acpi_routes(a, "PRTA", line, true);
    aml_method(a, "_PRT", 0, AML_NOT_SERIALIZED);
    aml_if(a), aml_path(a, "PICF");
    aml_op(a, AML_RETURN), aml_path(a, "PRTA");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_path(a, "PRTP");
    aml_end(a);
    if (pci_root()) {
        acpi_pci_indices(a, pci_root(), ACPI_INDEX_ICH9);
    }
    aml_end(a);
}

/* The configuration window is nobody's BAR (PCI Firmware 3.3 §4.1.2). */
static void reserve_window(Aml *a)
{
    uint64_t at, size;
    if (!ecam(&at, &size) || at + size > UINT64_C(1) << 32) {
        return;
    }
    aml_device(a, "DRAC");
    aml_name_eisa_id(a, "_HID", "PNP0C01");
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_memory32(a, true, (uint32_t)at, (uint32_t)size);
    aml_resources_end(a);
    aml_end(a);
}

static void interrupts(Aml *a)
{
    enum { BETWEEN = 32 }; /* bits between the registers of PIRQD and PIRQE */
    aml_field(a, "PCI0.ISA.PIRQ", AML_BYTE_ACC, AML_NO_LOCK | AML_PRESERVE);
    for (unsigned i = 0; i < LINKS; i++) {
        char reg[] = {'P', 'R', 'Q', (char)('0' + i), 0};
        if (i == LINKS / 2) {
            aml_unit(a, NULL, BETWEEN);
        }
        aml_unit(a, reg, 8);
    }
    aml_end(a);
    for (unsigned i = 0; i < LINKS; i++) {
        acpi_interrupt_link(a, i);
    }
    routing(a);
    reserve_window(a);
}

const AcpiBoard acpi_q35 = {
    .pm = "ICH9-LPC",
    .pm_register = ICH9_PMBASE,
    .pm_usual = ICH9_PM_BASE,
    .pm_mask = 0xff80,
    .gpe = ICH9_GPE_AT,
    .gpe_len = ICH9_GPE_LEN,
    .gpe_relative = true,
    .cpu_hotplug = ACPI_CPUHP_ICH9,
    .smi_cmd = ICH9_SMI_CMD,
    .enable = ICH9_ACPI_ENABLE,
    .disable = ICH9_ACPI_DISABLE,
    .reset_register = true,
    .ecam = ecam,
    .globals = globals,
    .root = root,
    .isa_bridge = isa_bridge,
    .interrupts = interrupts,
};
