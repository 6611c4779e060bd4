#include "hw/pci/acpi-pci-index.h"

typedef struct AcpiPciIndex {
    Device dev;
    uint32_t select, slot;
} AcpiPciIndex;

typedef struct Search {
    uint32_t selector;
    PciBus *found;
} Search;

static void match(void *arg, PciBus *bus)
{
    Search *s = arg;
    if (pci_bus_selector(bus) >= 0 && (uint32_t)pci_bus_selector(bus) == s->selector) {
        s->found = bus;
    }
}

PciBus *acpi_bus_selected(PciBus *root, uint32_t selector)
{
    Search search = {selector, NULL};
    if (root) {
        pci_bus_foreach(root, match, &search);
    }
    return search.found;
}

/* Function 0 is what the tables describe a slot by. */
uint32_t acpi_index_at(PciBus *root, uint32_t selector, uint32_t slots)
{
    const PciBus *bus = slots ? acpi_bus_selected(root, selector) : NULL;
    const PciDevice *pd = bus ? pci_find(bus, PCI_DEVFN((unsigned)__builtin_ctz(slots), 0)) : NULL;
    return pd && !pd->dev.going ? pd->acpi_index : 0;
}

static uint64_t index_get(const void *dev, unsigned arg, unsigned i)
{
    const AcpiPciIndex *s = dev;
    return acpi_index_at(pci_root(), s->select, s->slot);
}

static const Row rows[] = {
    REG(AcpiPciIndex, select, ACPI_INDEX_SELECT, .rw = UINT32_MAX, .doc = "Bus"),
    REG(AcpiPciIndex, slot, ACPI_INDEX_SLOT, .rw = UINT32_MAX, .get = index_get,
        .doc = "Written: a slot; read: the acpi-index of what is there"),
    END,
};

const DeviceClass acpi_pci_index_class = {
    .name = "acpi-pci-index",
    .doc = "Numbers of PCI functions, for the tables",
    .category = "misc",
    .internal = true,
    .size = sizeof(AcpiPciIndex),
    .rows = rows,
};
