/* PCI functions in the DSDT: slots that can be filled and emptied (ACPI 6.4 §6.1.11 _SUN, §6.3.3 _EJ0, §5.6.6 Notify), and
 * the numbers by which a system names functions (PCI Firmware 3.3 §4.6.7: _DSM function 7).
 *
 * A slot is described whether it holds something or not, and what was plugged in later is not looked at: the table is
 * made anew at each reset, and must not have become larger then.  So the number of what is in a slot is read from a
 * register, and that of other functions stands in the table. */
#include "hw/firmware/acpi-board.h"
#include "hw/pci/acpi-pci-index.h"
#include "hw/pci/acpi-pcihp.h"

enum { SLOTS = 32, FUNCTIONS = 256, DEVICE_CHECK = 1, EJECT_REQUEST = 3, NAME_SIZE = 5 };

typedef struct Offer { /* where slots are ACPI's; and whether it is asked for numbers in those that are not */
    bool on_root, behind_bridges, asked;
} Offer;

static void function_name(char name[NAME_SIZE], unsigned devfn)
{
    g_snprintf(name, NAME_SIZE, "S%02X", devfn);
}

/* The bus behind a bridge that was there when the machine was made. */
static PciBus *behind(const PciBus *bus, unsigned devfn)
{
    const PciDevice *pd = pci_find(bus, devfn);
    return pd && pd->is_bridge && !pd->dev.hotplugged && pd->dev.buses ? pci_bus_of(pd->dev.buses->data)
                                                                       : NULL;
}

/* acpi-index= of a function that was there then; 0: it has none. */
static uint32_t index_of(const PciBus *bus, unsigned devfn)
{
    const PciDevice *pd = pci_find(bus, devfn);
    return pd && !pd->dev.hotplugged ? pd->acpi_index : 0;
}

/* Slots that bridges which were there then have come and go by themselves. */
static bool native(const PciBus *bus, const Offer *offer)
{
    const PciDevice *bridge = pci_bus_bridge(bus);
    return offer->asked && pci_bus_selector(bus) >= 0 && bridge && !bridge->dev.hotplugged && pci_bus_has_own_slots(bus);
}

typedef struct Look {
    const Offer *offer;
    bool found;
} Look;

static void look_at_function(void *arg, PciDevice *pd)
{
    ((Look *)arg)->found |= !pd->dev.hotplugged && pd->acpi_index;
}

static void look_at_bus(void *arg, PciBus *bus)
{
    Look *look = arg;
    look->found |= native(bus, look->offer);
}

/* Whether there is anything to tell of a bus and those behind it. */
static bool worth_telling(PciBus *bus, const Offer *offer)
{
    Look look = {offer, offer->on_root || offer->behind_bridges};
    pci_foreach(bus, look_at_function, &look);
    pci_bus_foreach(bus, look_at_bus, &look);
    return look.found;
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

/* Ports that no register of a PCI function tells of. */
static void reserve(Aml *a, uint16_t port, uint8_t size)
{
    aml_device(a, "PHPR");
    aml_name_eisa_id(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", "PCI Hotplug resources");
    acpi_method_returning(a, "_STA", ACPI_PRESENT);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, port, port, 1, size);
    aml_resources_end(a);
    aml_end(a);
}

static void registers(Aml *a, uint16_t port)
{
    reserve(a, port, PCIHP_SIZE);
    register_at(a, "PCRU", port + PCIHP_UP, "PCIU");
    register_at(a, "PCRD", port + PCIHP_DOWN, "PCID");
    register_at(a, "PCRE", port + PCIHP_EJECT, "B0EJ");
    register_at(a, "PCRS", port + PCIHP_SELECT, "BNUM");
    register_at(a, "PCRI", port + PCIHP_INDEX, "PIDX");
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

/* AIDX (bus, slot): the number of what is there now. */
static void index_method(Aml *a)
{
    aml_method(a, "AIDX", 2, AML_NOT_SERIALIZED);
    aml_acquire(a, "BLCK");
    aml_op(a, AML_STORE), aml_arg(a, 0), aml_path(a, "BNUM");
    aml_op(a, AML_SHIFT_LEFT), aml_int(a, 1), aml_arg(a, 1), aml_path(a, "PIDX");
    aml_op(a, AML_STORE), aml_path(a, "PIDX"), aml_local(a, 0);
    aml_op(a, AML_RELEASE), aml_path(a, "BLCK");
    aml_op(a, AML_RETURN), aml_local(a, 0);
    aml_end(a);
}

static void return_byte(Aml *a, uint8_t value)
{
    aml_op(a, AML_RETURN), aml_buffer(a, &value, 1);
}

/* IDSM (UUID, revision, function, number): function 7 came with revision 2; function 0 tells which there are. */
static void name_method(Aml *a)
{
    static const uint8_t pci[] = {0xd0, 0x37, 0xc9, 0xe5, 0x53, 0x35, 0x7a, 0x4d,
                                  0x91, 0x17, 0xea, 0x4d, 0x19, 0xc3, 0x43, 0x4d};
    enum { NAME = 7 };
    aml_method(a, "IDSM", 4, AML_NOT_SERIALIZED);
    aml_if(a), aml_op(a, AML_LAND), aml_op(a, AML_LEQUAL), aml_arg(a, 0), aml_buffer(a, pci, sizeof pci);
    aml_op(a, AML_LAND), aml_op(a, AML_LGREATER), aml_arg(a, 1), aml_int(a, 1);
    aml_op(a, AML_LGREATER), aml_arg(a, 3), aml_int(a, 0);
    aml_if(a), aml_op(a, AML_LEQUAL), aml_arg(a, 2), aml_int(a, 0);
    return_byte(a, 1 << NAME | 1);
    aml_end(a);
    aml_if(a), aml_op(a, AML_LEQUAL), aml_arg(a, 2), aml_int(a, NAME);
    aml_op(a, AML_STORE), aml_package(a, 2), aml_int(a, 0), aml_string(a, ""), aml_end(a), aml_local(a, 0);
    aml_op(a, AML_STORE), aml_arg(a, 3), aml_op(a, AML_INDEX), aml_local(a, 0), aml_int(a, 0), aml_no_target(a);
    aml_op(a, AML_RETURN), aml_local(a, 0);
    aml_end(a);
    aml_end(a);
    return_byte(a, 0);
    aml_end(a);
}

/* ---- A bus ---- */

static void address(Aml *a, unsigned devfn)
{
    aml_name_int(a, "_ADR", PCI_SLOT(devfn) << 16 | PCI_FUNC(devfn));
}

static void dsm(Aml *a)
{
    aml_method(a, "_DSM", 4, AML_SERIALIZED);
    aml_op(a, AML_RETURN), aml_path(a, "IDSM");
    aml_arg(a, 0), aml_arg(a, 1), aml_arg(a, 2);
}

static void fixed_index(Aml *a, uint32_t index)
{
    if (index) {
        dsm(a), aml_int(a, index);
        aml_end(a);
    }
}

/* Which is removable by ACPI only if it has _EJ0. */
static void one_slot(Aml *a, const char *name, unsigned slot, bool ejects)
{
    aml_device(a, name);
    address(a, PCI_DEVFN(slot, 0));
    if (ejects) {
        aml_name_int(a, "_SUN", slot);
        aml_method(a, "_EJ0", 1, AML_NOT_SERIALIZED);
        aml_path(a, "PCEJ"), aml_path(a, "BSEL"), aml_path(a, "_SUN");
        aml_end(a);
    }
    dsm(a), aml_path(a, "AIDX"), aml_path(a, "BSEL"), aml_int(a, slot);
    aml_end(a);
    aml_end(a);
}

/* DVNT (slots, event) tells the devices of these slots; PCNT looks at this bus and at those behind it. */
static void notifications(Aml *a, const PciBus *bus, const Offer *offer, uint32_t slots)
{
    char name[NAME_SIZE];
    if (offered(bus, offer)) {
        aml_method(a, "DVNT", 2, AML_NOT_SERIALIZED);
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            if (slots >> slot & 1) {
                function_name(name, PCI_DEVFN(slot, 0));
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
    for (unsigned devfn = 0; devfn < FUNCTIONS; devfn++) {
        if (behind(bus, devfn)) {
            g_autofree char *path = (function_name(name, devfn), g_strdup_printf("^%s.PCNT", name));
            aml_path(a, path);
        }
    }
    aml_end(a);
}

static bool has_slot(const PciBus *bus, unsigned slot)
{
    return slot >= pci_bus_first(bus) && (!slot || !pci_bus_is_single(bus));
}

static void describe_bus(Aml *a, const PciBus *bus, const Offer *offer)
{
    uint32_t slots = 0;
    bool ejects = offered(bus, offer), here = ejects || native(bus, offer);
    if (here) {
        aml_name_int(a, "BSEL", (unsigned)pci_bus_selector(bus));
    }
    for (unsigned devfn = 0; devfn < FUNCTIONS; devfn++) {
        char name[NAME_SIZE];
        PciBus *inner = behind(bus, devfn);
        uint32_t index = index_of(bus, devfn);
        unsigned slot = PCI_SLOT(devfn);
        function_name(name, devfn);
        if (here && !inner && !PCI_FUNC(devfn) && has_slot(bus, slot) && acpi_pcihp_slot(bus, slot)) {
            slots |= UINT32_C(1) << slot;
            one_slot(a, name, slot, ejects);
        } else if (index || (inner && worth_telling(inner, offer))) {
            aml_device(a, name);
            address(a, devfn);
            fixed_index(a, index);
            if (inner) {
                describe_bus(a, inner, offer);
            }
            aml_end(a);
        }
    }
    if (offer->on_root || offer->behind_bridges) {
        notifications(a, bus, offer, slots);
    }
}

void acpi_pci_indices(Aml *a, PciBus *root, uint16_t port)
{
    const Offer offer = {.asked = port};
    acpi_pcihp_number(root);
    if (!worth_telling(root, &offer)) {
        return;
    }
    if (port) {
        reserve(a, port, ACPI_INDEX_PORTS);
        register_at(a, "PCRS", port + ACPI_INDEX_SELECT, "BNUM");
        register_at(a, "PCRI", port + ACPI_INDEX_SLOT, "PIDX");
        aml_mutex(a, "BLCK");
        index_method(a);
    }
    name_method(a);
    describe_bus(a, root, &offer);
}

void acpi_pci_slots(Aml *a, PciBus *root, uint16_t port, bool on_root, bool behind_bridges)
{
    const Offer offer = {on_root, behind_bridges, true};
    acpi_pcihp_number(root);
    registers(a, port);
    eject_method(a);
    index_method(a);
    name_method(a);
    describe_bus(a, root, &offer);
    aml_method(a, "\\_GPE._E01", 0, AML_NOT_SERIALIZED);
    aml_acquire(a, "\\_SB.PCI0.BLCK");
    aml_path(a, "\\_SB.PCI0.PCNT");
    aml_op(a, AML_RELEASE), aml_path(a, "\\_SB.PCI0.BLCK");
    aml_end(a);
}
