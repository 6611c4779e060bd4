/* PCI hot-plug in the DSDT: slots that can be filled and emptied (ACPI 6.4 §6.1.11 _SUN, §6.3.3 _EJ0, §5.6.6 Notify).
 *
 * A slot is described whether it holds something or not, and what was plugged in later is not looked at: the table is
 * made anew at each reset, and must not have become larger then. */
#include "hw/firmware/acpi-board.h"
#include "hw/pci/acpi-pcihp.h"

enum { SLOTS = 32, DEVICE_CHECK = 1, EJECT_REQUEST = 3, NAME_SIZE = 5 };

typedef struct Offer {
    bool on_root, behind_bridges;
} Offer;

static void slot_name(char name[NAME_SIZE], unsigned slot)
{
    g_snprintf(name, NAME_SIZE, "S%02X", PCI_DEVFN(slot, 0));
}

/* The bus behind a bridge that was there when the machine was made. */
static PciBus *behind(const PciBus *bus, unsigned slot)
{
    const PciDevice *pd = pci_find(bus, PCI_DEVFN(slot, 0));
    return pd && pd->is_bridge && !pd->dev.hotplugged && pd->dev.buses
               ? pci_bus_of(pd->dev.buses->data)
               : NULL;
}

static bool offered(const PciBus *bus, const Offer *offer)
{
    return pci_bus_selector(bus) >= 0 &&
           (pci_bus_bridge(bus) ? offer->behind_bridges : offer->on_root);
}

/* ---- Registers ---- */

static void register_at(Aml *a, const char *region, unsigned at, const char *name)
{
    aml_region(a, region, AML_SYSTEM_IO, at, 4);
    aml_field(a, region, AML_DWORD_ACC, AML_NO_LOCK | AML_WRITE_AS_ZEROS);
    aml_unit(a, name, 32);
    aml_end(a);
}

static void registers(Aml *a, uint16_t port)
{
    aml_device(a, "PHPR");
    aml_name_eisa_id(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", "PCI Hotplug resources");
    acpi_method_returning(a, "_STA", ACPI_PRESENT);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, port, port, 1, PCIHP_SIZE);
    aml_resources_end(a);
    aml_end(a);
    register_at(a, "PCRU", port + PCIHP_UP, "PCIU");
    register_at(a, "PCRD", port + PCIHP_DOWN, "PCID");
    register_at(a, "PCRE", port + PCIHP_EJECT, "B0EJ");
    register_at(a, "PCRS", port + PCIHP_SELECT, "BNUM");
    aml_mutex(a, "BLCK");
}

/* PCEJ (bus, slot): selecting and ejecting must not be torn apart. */
static void eject_method(Aml *a)
{
    aml_method(a, "PCEJ", 2, AML_NOT_SERIALIZED);
    aml_acquire(a, "BLCK");
    aml_op(a, AML_STORE), aml_arg(a, 0), aml_path(a, "BNUM");
    aml_op(a, AML_SHIFT_LEFT), aml_int(a, 1), aml_arg(a, 1), aml_path(a, "B0EJ");
    aml_op(a, AML_RELEASE), aml_path(a, "BLCK");
    aml_end(a);
}

/* ---- A bus ---- */

static void one_slot(Aml *a, const char *name, unsigned slot)
{
    aml_device(a, name);
    aml_name_int(a, "_ADR", slot << 16);
    aml_name_int(a, "_SUN", slot);
    aml_method(a, "_EJ0", 1, AML_NOT_SERIALIZED);
    aml_path(a, "PCEJ"), aml_path(a, "BSEL"), aml_path(a, "_SUN");
    aml_end(a);
    aml_end(a);
}

/* DVNT (slots, event) tells the devices of these slots; PCNT looks at this bus and at those behind it. */
static void notifications(Aml *a, const PciBus *bus, const Offer *offer, uint32_t slots,
                          uint32_t bridges)
{
    char name[NAME_SIZE];
    if (offered(bus, offer)) {
        aml_method(a, "DVNT", 2, AML_NOT_SERIALIZED);
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (slots >> slot & 1) {
                slot_name(name, slot);
                aml_if(a), aml_op(a, AML_AND), aml_arg(a, 0), aml_int(a, UINT32_C(1) << slot), aml_no_target(a);
                aml_op(a, AML_NOTIFY), aml_path(a, name), aml_arg(a, 1);
                aml_end(a);
            }
        }
        aml_end(a);
    }
    aml_method(a, "PCNT", 0, AML_NOT_SERIALIZED);
    if (offered(bus, offer)) {
        aml_op(a, AML_STORE), aml_path(a, "BSEL"), aml_path(a, "BNUM");
        aml_path(a, "DVNT"), aml_path(a, "PCIU"), aml_int(a, DEVICE_CHECK);
        aml_path(a, "DVNT"), aml_path(a, "PCID"), aml_int(a, EJECT_REQUEST);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (bridges >> slot & 1) {
            g_autofree char *path = (slot_name(name, slot), g_strdup_printf("^%s.PCNT", name));
            aml_path(a, path);
        }
    }
    aml_end(a);
}

static void describe_bus(Aml *a, const PciBus *bus, const Offer *offer)
{
    uint32_t slots = 0, bridges = 0;
    bool here = offered(bus, offer);
    if (here) {
        aml_name_int(a, "BSEL", (unsigned)pci_bus_selector(bus));
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        char name[NAME_SIZE];
        const PciBus *inner = behind(bus, slot);
        slot_name(name, slot);
        if (inner) {
            bridges |= UINT32_C(1) << slot;
            aml_device(a, name);
            aml_name_int(a, "_ADR", slot << 16);
            describe_bus(a, inner, offer);
            aml_end(a);
        } else if (here && acpi_pcihp_slot(bus, slot)) {
            slots |= UINT32_C(1) << slot;
            one_slot(a, name, slot);
        }
    }
    notifications(a, bus, offer, slots, bridges);
}

void acpi_pci_slots(Aml *a, PciBus *root, uint16_t port, bool on_root, bool behind_bridges)
{
    const Offer offer = {on_root, behind_bridges};
    acpi_pcihp_number(root);
    registers(a, port);
    eject_method(a);
    describe_bus(a, root, &offer);
    aml_method(a, "\\_GPE._E01", 0, AML_NOT_SERIALIZED);
    aml_acquire(a, "\\_SB.PCI0.BLCK");
    aml_path(a, "\\_SB.PCI0.PCNT");
    aml_op(a, AML_RELEASE), aml_path(a, "\\_SB.PCI0.BLCK");
    aml_end(a);
}
