/* ACPI: the board "pc". */
#include "hw/firmware/acpi-board.h"
#include "hw/pci/acpi-cpuhp.h"
#include "hw/pci/piix4-pm.h"

enum { LINKS = 4 };

/* Ports that no register of a PCI function tells of. */
static void event_ports(Aml *a)
{
    aml_device(a, "GPE0");
    aml_name_eisa_id(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", "GPE0 resources");
    acpi_method_returning(a, "_STA", ACPI_PRESENT);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, PIIX4_GPE_BASE, PIIX4_GPE_BASE, 1, PIIX4_GPE_LEN);
    aml_resources_end(a);
    aml_end(a);
}

static void root(Aml *a)
{
    aml_name_eisa_id(a, "_HID", "PNP0A03");
    event_ports(a);
}

static void isa_bridge(Aml *a)
{
    enum { PIIX3_ADDRESS = 1 << 16, PIRQRC = 0x60 };
    aml_name_int(a, "_ADR", PIIX3_ADDRESS);
    aml_region(a, "P40C", AML_PCI_CONFIG, PIRQRC, LINKS);
}

/* Pin p of slot s is wired to PIRQ s - 1 + p; the power management function of slot 1 has the SCI.
 */
static unsigned line(unsigned slot, unsigned pin)
{
    return slot == 1 && pin == 0 ? ACPI_LINE_SCI : (slot + LINKS - 1 + pin) % LINKS;
}

static bool has(const Device *pm, const char *property)
{
    g_autofree char *text = pm ? device_get(pm, property) : NULL;
    bool on = false;
    return text && row_parse_bool(text, &on) && on;
}

static void slots(Aml *a)
{
    const Device *pm = acpi_pm_device(&acpi_i440fx);
    bool on_root = has(pm, "acpi-root-pci-hotplug");
    bool behind = has(pm, "acpi-pci-hotplug-with-bridge-support");
    if (!behind) { /* PCI Firmware 3.3 §4.8: called, it leaves the bridges' controllers to the system */
        aml_method(a, "OSHP", 0, AML_NOT_SERIALIZED);
        aml_end(a);
    }
    if (pci_root() && (on_root || behind)) {
        acpi_pci_slots(a, pci_root(), PIIX4_PCIHP_BASE, on_root, behind);
    } else if (pci_root()) {
        acpi_pci_indices(a, pci_root(), 0);
    }
}

static void interrupts(Aml *a)
{
    aml_field(a, "PCI0.ISA.P40C", AML_BYTE_ACC, AML_NO_LOCK | AML_PRESERVE);
    for (unsigned i = 0; i < LINKS; i++) {
        char reg[] = {'P', 'R', 'Q', (char)('0' + i), 0};
        aml_unit(a, reg, 8);
    }
    aml_end(a);
    for (unsigned i = 0; i < LINKS; i++) {
        acpi_interrupt_link(a, i);
    }
    acpi_sci_link(a, LINKS);
    aml_scope(a, "PCI0");
    acpi_routes(a, "_PRT", line, false);
    slots(a);
    aml_end(a);
}

const AcpiBoard acpi_i440fx = {
    .pm = "PIIX4_PM",
    .pm_register = 0x40,
    .pm_usual = PIIX4_PM_BASE,
    .pm_mask = 0xffc0,
    .gpe = PIIX4_GPE_BASE,
    .gpe_len = PIIX4_GPE_LEN,
    .cpu_hotplug = ACPI_CPUHP_PIIX4,
    .smi_cmd = PIIX4_SMI_CMD,
    .enable = PIIX4_ACPI_ENABLE,
    .disable = PIIX4_ACPI_DISABLE,
    .root = root,
    .isa_bridge = isa_bridge,
    .interrupts = interrupts,
};
