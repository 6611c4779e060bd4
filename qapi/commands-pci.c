/* query-pci. */
#include "hw/pci/pci.h"
#include "qapi/schema/qapi-commands.h"

static void add_regions(const PciDevice *pd, QPciMemoryRegionList *list)
{
    PciBarInfo bars[PCI_BARS + 1];
    unsigned n = pci_bars(pd, bars);
    for (unsigned i = 0; i < n; i++) {
        QPciMemoryRegion *r = QLIST_ADD(list);
        r->bar = bars[i].bar;
        r->type = g_strdup(bars[i].memory ? "memory" : "io");
        r->address = bars[i].address == PCI_UNMAPPED ? -1 : (int64_t)bars[i].address;
        r->size = (int64_t)bars[i].size;
        r->has_prefetch = r->has_mem_type_64 = bars[i].memory;
        r->prefetch = bars[i].prefetch;
        r->mem_type_64 = bars[i].mem64;
    }
}

static void add_function(void *arg, PciDevice *pd)
{
    QPciInfoList *list = arg;
    int64_t number = pci_bus_number(pci_bus_of(pd->dev.bus));
    QPciInfo *bus = NULL;
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].bus == number) {
            bus = &list->at[i];
        }
    }
    if (!bus) {
        bus = QLIST_ADD(list);
        bus->bus = number;
    }
    QPciDeviceInfo *info = QLIST_ADD(&bus->devices);
    info->bus = number;
    info->slot = PCI_SLOT(pd->devfn);
    info->function = PCI_FUNC(pd->devfn);
    info->class_info.class = pd->class_code >> 8;
    info->class_info.desc = g_strdup(pci_class_text(pd->class_code));
    info->id.vendor = pd->vendor_id;
    info->id.device = pd->device_id;
    info->id.has_subsystem = info->id.has_subsystem_vendor = !pd->is_bridge;
    info->id.subsystem = pd->subsystem_id;
    info->id.subsystem_vendor = pd->subsystem_vendor_id;
    info->irq_pin = pd->interrupt_pin;
    info->has_irq = pd->interrupt_pin;
    info->irq = pd->interrupt_line;
    info->qdev_id = g_strdup(pd->dev.id ? pd->dev.id : "");
    add_regions(pd, &info->regions);
}

bool qmp_query_pci(const void *args, QPciInfoList *ret, GError **error)
{
    if (pci_root()) {
        pci_foreach(pci_root(), add_function, ret);
    }
    return true;
}
