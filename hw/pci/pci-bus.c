/* PCI buses: who sits in which slot, configuration cycles, and the way of an interrupt pin to the
 * host bridge. */
#include <string.h>

#include "hw/hotplug.h"
#include "hw/pci/internal.h"
#include "hw/platform.h"

enum { SLOTS = 32, FUNCTIONS = 256 };

struct PciBus {
    Bus *bus;
    PciBus *root;      /* itself for a root bus */
    PciDevice *bridge; /* whose secondary side it is; NULL for a root bus */
    PciHost host;      /* root: all; secondary: the containers only */
    const uint8_t *secondary, *subordinate;
    PciDevice *function[FUNCTIONS];
    GSList *children;         /* buses behind bridges on this one */
    const PciSlots *slots;    /* who has functions come and go while the machine runs; NULL: nobody */
    void *slots_of;
    bool single;  /* behind a PCI Express port: one slot */
    uint32_t off; /* slots without power: nobody there answers */
    uint8_t first; /* slot that can be used */
    int selector; /* by which ACPI hot-plug selects it; -1: never */
    unsigned high[PCI_LINES]; /* root: pins that hold the line */
    struct {
        const IoOps *ops;
        void *opaque;
    } claimed[4]; /* byte registers at cf8..cfb */
};

static PciBus *first_root;

Bus *pci_bus_as_bus(PciBus *bus)
{
    return bus->bus;
}
PciBus *pci_bus_of(const Bus *bus)
{
    return bus->impl;
}
PciBus *pci_root(void)
{
    return first_root;
}
Region *pci_bus_mem(PciBus *bus)
{
    return bus->host.mem;
}
Region *pci_bus_io(PciBus *bus)
{
    return bus->host.io;
}
unsigned pci_bus_number(const PciBus *bus)
{
    return bus->secondary ? *bus->secondary : 0;
}
bool pci_bus_line_level(const PciBus *bus, unsigned line)
{
    return bus->high[line] != 0;
}
PciDevice *pci_find(const PciBus *bus, unsigned devfn)
{
    return bus->function[devfn & 0xff];
}

/* ---- Interrupts ---- */

/* A bridge turns the pins of slot n by n places (PCI-PCI Bridge 1.2 §9.1). */
static void inta_changed(void *sink, unsigned line, bool level)
{
    const PciDevice *pd = sink;
    const PciBus *bus = pd->bus;
    unsigned devfn = (unsigned)pd->devfn;
    unsigned pin = (pd->interrupt_pin - 1u) & 3;
    for (; bus->bridge; bus = bus->bridge->bus) {
        pin = (pin + PCI_SLOT(devfn)) & 3;
        devfn = (unsigned)bus->bridge->devfn;
    }
    PciBus *root = bus->root;
    if (!root->host.map_irq) {
        return;
    }
    unsigned to = root->host.map_irq(root->host.opaque, (uint8_t)devfn, pin);
    g_assert(to < PCI_LINES);
    unsigned before = root->high[to];
    root->high[to] += level ? 1 : -1;
    if (!before != !root->high[to]) {
        root->host.set_irq(root->host.opaque, to, level);
    }
}

void pci_bus_set_router(PciBus *bus, unsigned (*map_irq)(void *opaque, uint8_t devfn, unsigned pin),
                        void (*set_irq)(void *opaque, unsigned line, bool level), void *opaque)
{
    for (unsigned i = 0; i < PCI_LINES; i++) {
        bus->high[i] = 0;
    }
    bus->host.map_irq = map_irq;
    bus->host.set_irq = set_irq;
    bus->host.opaque = opaque;
}

bool pci_message_interrupts(uint64_t address)
{
    return (address & ~UINT64_C(0xfffff)) == 0xfee00000;
}

/* Messages to the interrupt range of the CPUs go to whoever has the local APICs, all others are
 * memory writes. */
void pci_bus_message(PciDevice *pd, uint64_t address, uint32_t data)
{
    if (!pd->bus || !pd->bus_master) {
        return;
    }
    const PciHost *host = &pd->bus->root->host;
    if (host->msi.send) {
        msi_send(&host->msi, address, data);
    } else if (pci_message_interrupts(address) && platform.send_msi) {
        platform.send_msi(address, data);
    } else if (pd->dev.dma) {
        dma_write(pd->dev.dma, address, &data, sizeof data);
    }
}

/* ---- Slots ---- */

static int free_slot(const PciBus *bus)
{
    for (unsigned devfn = PCI_DEVFN(bus->first, 0); devfn < (bus->single ? 8 : FUNCTIONS); devfn += 8) {
        bool used = false;
        for (unsigned fn = 0; fn < 8; fn++) {
            used |= bus->function[devfn + fn] != NULL;
        }
        if (!used) {
            return (int)devfn;
        }
    }
    return -1;
}

static bool check_slot(const PciBus *bus, const PciDevice *pd, GError **error)
{
    unsigned devfn = (unsigned)pd->devfn;
    const char *name = pd->dev.class->name;
    const PciDevice *other = bus->function[devfn];
    if (other) {
        return error_fail(error,
                          "PCI: slot %u function %u not available for %s, in use by %s,id=%s",
                          PCI_SLOT(devfn), PCI_FUNC(devfn), name, other->dev.class->name,
                          other->dev.id ? other->dev.id : "");
    }
    const PciDevice *first = bus->function[devfn & ~7u];
    if (PCI_FUNC(devfn) && first && !first->multifunction) {
        return error_fail(
            error,
            "PCI: slot %u holds a single-function %s: it needs multifunction=on before %s can be "
            "function %u there",
            PCI_SLOT(devfn), first->dev.class->name, name, PCI_FUNC(devfn));
    }
    for (unsigned fn = 1; !PCI_FUNC(devfn) && !pd->multifunction && fn < 8; fn++) {
        if (bus->function[devfn + fn]) {
            return error_fail(
                error,
                "PCI: %s as function 0 of slot %u needs multifunction=on, because function %u is "
                "in use",
                name, PCI_SLOT(devfn), fn);
        }
    }
    return true;
}

/* The controller that all of a root bus share, for buses that it serves, or the bridge's own. */
static const PciBus *controlled_bus(const PciBus *bus)
{
    return pci_bus_has_acpi_slots(bus) || !bus->slots ? bus->root : bus;
}

/* device_add: whether there is somebody to tell the guest, and it can find the function. */
static bool may_come(const PciBus *bus, const PciDevice *pd, GError **error)
{
    const PciBus *by = controlled_bus(bus);
    const PciDevice *first = bus->function[(unsigned)pd->devfn & ~7u];
    if (!by->slots || !by->slots->accepts(by->slots_of, bus)) {
        return error_fail(error, "Bus '%s' does not support hotplugging", bus->bus->name);
    }
    if (PCI_FUNC(pd->devfn) && first) {
        return error_fail(error,
                          "PCI: slot %u function 0 already occupied by %s, new func %s cannot be "
                          "exposed to guest.",
                          PCI_SLOT(pd->devfn), first->dev.class->name, pd->dev.class->name);
    }
    return true;
}

static bool pci_plug(Bus *parent, Device *dev, GError **error)
{
    PciBus *bus = parent->impl;
    PciDevice *pd = (PciDevice *)dev;
    if (pd->devfn < 0) {
        pd->devfn = free_slot(bus);
        if (pd->devfn < 0) {
            return error_fail(error, "PCI: no slot available for %s, all %u of bus %s are in use",
                              dev->class->name, bus->single ? 1 : SLOTS, parent->name);
        }
    }
    if (dev->hotplugged && !may_come(bus, pd, error)) {
        return false;
    }
    if (bus->single && PCI_SLOT(pd->devfn)) {
        return error_fail(
            error,
            "PCI: slot %u is not valid for %s, behind a PCI Express port there is slot 0 alone",
            PCI_SLOT(pd->devfn), dev->class->name);
    }
    if (PCI_SLOT(pd->devfn) < bus->first) {
        return error_fail(error,
                          "Unsupported PCI slot %u for standard hotplug controller. Valid slots are between %u and %u.",
                          PCI_SLOT(pd->devfn), bus->first, SLOTS - 1);
    }
    if (!check_slot(bus, pd, error)) {
        return false;
    }
    bus->function[pd->devfn] = pd;
    pd->bus = bus;
    pd->dev.dma = dma_grant(bus->root->host.dma_space, &pd->bus_master);
    irq_connect(&pd->inta, inta_changed, pd, 0);
    parent->full = free_slot(bus) < 0;
    if (!dev->hotplugged && bus->slots && bus->slots->changed) {
        bus->slots->changed(bus->slots_of, SLOT_FILLED);
    }
    return true;
}

static void pci_unplug(Bus *parent, Device *dev)
{
    PciBus *bus = parent->impl;
    PciDevice *pd = (PciDevice *)dev;
    irq_set(&pd->inta, false);
    pd->inta.set = NULL;
    bus->function[pd->devfn] = NULL;
    pd->bus = NULL;
    dma_free(g_steal_pointer(&pd->dev.dma));
    parent->full = false;
    if (dev->path && !PCI_FUNC(pd->devfn) && bus->slots && bus->slots->changed) { /* it was alive */
        bus->slots->changed(bus->slots_of, SLOT_EMPTIED);
    }
}

/* ---- Functions that come and go ---- */

static void pci_plugged(Bus *parent, Device *dev)
{
    PciBus *bus = parent->impl;
    const PciDevice *pd = (const PciDevice *)dev;
    const PciBus *by = controlled_bus(bus);
    if (bus->bridge) {
        device_settle(&bus->bridge->dev); /* it sees what is in its slots */
    }
    if (by->slots && !PCI_FUNC(pd->devfn)) { /* nobody sees the others without function 0 */
        by->slots->plugged(by->slots_of, bus, PCI_SLOT(pd->devfn));
    }
}

static UnplugAnswer pci_unplug_request(Bus *parent, Device *dev, GError **error)
{
    PciBus *bus = parent->impl;
    PciDevice *pd = (PciDevice *)dev;
    const PciBus *by = controlled_bus(bus);
    unsigned first = (unsigned)pd->devfn & ~7u;
    if (!by->slots || !by->slots->accepts(by->slots_of, bus)) {
        error_fail(error, "Bus '%s' does not support hotplugging", parent->name);
        return UNPLUG_ERROR;
    }
    if (!bus->function[first]) {
        return UNPLUG_NOW;
    }
    for (unsigned fn = 0; fn < 8; fn++) {
        const PciDevice *other = bus->function[first + fn];
        if (other && (other->dev.removing || other->dev.going)) {
            error_fail(error, "Device %s is already in the process of unplug: its slot holds %s",
                       device_label(dev), device_label(&other->dev));
            return UNPLUG_ERROR;
        }
    }
    return by->slots->unplug_request(by->slots_of, bus, pd, error);
}

void pci_bus_set_slots(PciBus *bus, const PciSlots *slots, void *opaque)
{
    bus->slots = slots;
    bus->slots_of = opaque;
}

void pci_bus_set_single(PciBus *bus)
{
    bus->single = true;
}

bool pci_bus_is_single(const PciBus *bus)
{
    return bus->single;
}

void pci_bus_set_first(PciBus *bus, unsigned slot)
{
    bus->first = (uint8_t)slot;
}

bool pci_bus_has_own_slots(const PciBus *bus)
{
    return bus->root != bus && bus->slots && !pci_bus_has_acpi_slots(bus) && bus->slots->accepts(bus->slots_of, bus);
}

unsigned pci_bus_first(const PciBus *bus)
{
    return bus->first;
}

bool pci_bus_has_acpi_slots(const PciBus *bus)
{
    const PciBus *root = bus->root;
    return root != bus && root->slots && root->slots->accepts(root->slots_of, bus);
}

void pci_slot_gone(PciBus *bus, unsigned slot)
{
    for (unsigned fn = 0; fn < 8; fn++) {
        PciDevice *pd = bus->function[PCI_DEVFN(slot, fn)];
        if (pd && pd->dev.class->hotpluggable) {
            device_unplugged(&pd->dev);
        }
    }
}

void pci_slot_kept(PciBus *bus, unsigned slot)
{
    for (unsigned fn = 0; fn < 8; fn++) {
        PciDevice *pd = bus->function[PCI_DEVFN(slot, fn)];
        if (pd) {
            device_unplug_refused(&pd->dev);
        }
    }
}

static void reset_function(void *arg, PciDevice *pd)
{
    if (pd->dev.realized) { /* else it is just being put in */
        device_reset(&pd->dev, false);
    }
}

void pci_bus_reset(PciBus *bus)
{
    pci_foreach(bus, reset_function, NULL);
}

void pci_bus_power(PciBus *bus, bool on)
{
    if (!bus->off == on) {
        return;
    }
    bus->off = on ? 0 : UINT32_MAX;
    pci_bus_reset(bus);
}

static void reset_behind(PciDevice *bridge, PciBus *bus)
{
    for (GSList *l = bus->children; l; l = l->next) {
        PciBus *child = l->data;
        if (child->bridge == bridge) {
            pci_bus_reset(child);
        }
    }
}

void pci_slot_power(PciBus *bus, unsigned slot, bool on)
{
    uint32_t bit = UINT32_C(1) << slot;
    if (!(bus->off & bit) == on) {
        return;
    }
    bus->off ^= bit;
    for (unsigned fn = 0; fn < 8; fn++) {
        PciDevice *pd = bus->function[PCI_DEVFN(slot, fn)];
        if (pd) {
            reset_function(NULL, pd);
            reset_behind(pd, bus);
        }
    }
}

int pci_bus_selector(const PciBus *bus)
{
    return bus->selector;
}

void pci_bus_set_selector(PciBus *bus, int selector)
{
    bus->selector = selector;
}

PciDevice *pci_bus_bridge(const PciBus *bus)
{
    return bus->bridge;
}

void pci_bus_foreach(PciBus *root, void (*fn)(void *arg, PciBus *bus), void *arg)
{
    fn(arg, root);
    for (GSList *l = root->children; l; l = l->next) {
        pci_bus_foreach(l->data, fn, arg);
    }
}

/* IEEE 1275 PCI binding: "ide@1,1", the node named after the class code. */
static char *pci_device_path(const Device *dev)
{
    const PciDevice *pd = (const PciDevice *)dev;
    unsigned devfn = (unsigned)pd->devfn;
    g_autofree char *name = pci_node_name(pd);
    return PCI_FUNC(devfn) ? g_strdup_printf("%s@%x,%x", name, PCI_SLOT(devfn), PCI_FUNC(devfn))
                           : g_strdup_printf("%s@%x", name, PCI_SLOT(devfn));
}

static void pci_print_device(const Device *dev, GString *out)
{
    const PciDevice *pd = (const PciDevice *)dev;
    g_string_append_printf(out, "class %s, addr %02x:%02x.%x, pci id %04x:%04x (sub %04x:%04x)\n",
                           pci_class_text(pd->class_code), pci_bus_number(pd->bus),
                           PCI_SLOT(pd->devfn), PCI_FUNC(pd->devfn), pd->vendor_id, pd->device_id,
                           pd->subsystem_vendor_id, pd->subsystem_id);
    PciBarInfo bars[PCI_BARS + 1];
    unsigned n = pci_bars(pd, bars);
    for (unsigned i = 0; i < n; i++) {
        const PciBarInfo *b = &bars[i];
        g_string_append_printf(
            out, "bar %u: %s at 0x%" G_GINT64_MODIFIER "x [0x%" G_GINT64_MODIFIER "x]\n", b->bar,
            b->memory ? "mem" : "i/o", b->address, b->address + b->size - 1);
    }
}

static const BusClass pci_bus_class = {
    .type = "PCI",
    .hotplug = true,
    .plug = pci_plug,
    .unplug = pci_unplug,
    .plugged = pci_plugged,
    .unplug_request = pci_unplug_request,
    .reset_removes = true,
    .device_path = pci_device_path,
    .print = pci_print_device,
};

/* ---- Buses ---- */

PciBus *pci_bus_new(Device *host_bridge, const char *name, const PciHost *host)
{
    PciBus *bus = g_new0(PciBus, 1);
    bus->host = *host;
    bus->root = bus;
    bus->selector = -1;
    bus->bus = bus_new(&pci_bus_class, host_bridge, name, bus);
    if (!first_root) {
        first_root = bus;
    }
    return bus;
}

PciBus *pci_bus_new_secondary(PciDevice *bridge, const char *name, Region *mem, Region *io,
                              const uint8_t *secondary, const uint8_t *subordinate)
{
    PciBus *bus = g_new0(PciBus, 1);
    bus->root = bridge->bus ? bridge->bus->root : bus;
    bus->selector = -1;
    bus->bridge = bridge;
    bus->host.mem = mem;
    bus->host.io = io;
    bus->secondary = secondary;
    bus->subordinate = subordinate;
    bus->bus = bus_new(&pci_bus_class, &bridge->dev, name, bus);
    if (bridge->bus) {
        bridge->bus->children = g_slist_append(bridge->bus->children, bus);
    }
    return bus;
}

void pci_bus_free(PciBus *bus)
{
    if (!bus) {
        return;
    }
    if (bus->bridge && bus->bridge->bus) {
        bus->bridge->bus->children = g_slist_remove(bus->bridge->bus->children, bus);
    }
    if (first_root == bus) {
        first_root = NULL;
    }
    g_slist_free(bus->children);
    g_free(bus);
}

PciBus *pci_bus_find(PciBus *root, unsigned number)
{
    if (number == pci_bus_number(root)) {
        return root;
    }
    for (GSList *l = root->children; l; l = l->next) {
        PciBus *child = l->data;
        if (*child->secondary && number >= *child->secondary && number <= *child->subordinate) {
            return pci_bus_find(child, number);
        }
    }
    return NULL;
}

void pci_foreach(PciBus *root, void (*fn)(void *arg, PciDevice *pd), void *arg)
{
    for (unsigned devfn = 0; devfn < FUNCTIONS; devfn++) {
        if (root->function[devfn]) {
            fn(arg, root->function[devfn]);
        }
    }
    for (GSList *l = root->children; l; l = l->next) {
        pci_foreach(l->data, fn, arg);
    }
}

/* ---- Configuration cycles ---- */

static bool reachable(const PciDevice *pd, unsigned at)
{
    return pd && !(pd->bus->off >> PCI_SLOT(pd->devfn) & 1) && pd->dev.realized && !pd->dev.going &&
           !pd->dev.accessing && /* its own DMA does not come back in */
           at < (PCI_INFO(pd->dev.class)->express ? PCIE_CONFIG_SIZE : PCI_CONFIG_SIZE);
}

uint32_t pci_config_read(PciBus *bus, unsigned devfn, unsigned at, unsigned size)
{
    PciDevice *pd = bus ? pci_find(bus, devfn) : NULL;
    return (uint32_t)(reachable(pd, at) ? device_read(&pd->dev, SPACE_PCI_CONFIG, at, size)
                                        : size_mask(size));
}

void pci_config_write(PciBus *bus, unsigned devfn, unsigned at, unsigned size, uint32_t value)
{
    PciDevice *pd = bus ? pci_find(bus, devfn) : NULL;
    if (reachable(pd, at)) {
        device_write(&pd->dev, SPACE_PCI_CONFIG, at, size, value);
    }
}

/* ---- Mechanism #1: CONFIG_ADDRESS at cf8, CONFIG_DATA at cfc ---- */

enum { CONFIG_DATA = 4, ADDRESS_ENABLE = 1u << 31, ADDRESS_BITS = 0x80ffffff };

void pci_bus_claim_port(PciBus *root, uint16_t port, const IoOps *ops, void *opaque)
{
    g_assert(port >= 0xcf8 && port <= 0xcfb);
    root->claimed[port - 0xcf8].ops = ops;
    root->claimed[port - 0xcf8].opaque = opaque;
}

static PciBus *addressed_bus(const PciConfigPorts *ports)
{
    return pci_bus_find(ports->root, ports->address >> 16 & 0xff);
}

/* The low two bits of CONFIG_ADDRESS are zero by the book (PCI 3.0 §3.2.2.3.2).  Drivers that leave
 * the whole register number in them and use port cfc alone are understood too: the byte lanes of
 * the address and of the port are the same wires. */
static unsigned addressed_register(const PciConfigPorts *ports, uint64_t at)
{
    return (ports->address & 0xff) | (unsigned)(at - CONFIG_DATA);
}

static uint64_t ports_read(void *opaque, uint64_t at, unsigned size)
{
    const PciConfigPorts *ports = opaque;
    if (at < CONFIG_DATA) {
        const IoOps *ops = size == 1 && ports->root ? ports->root->claimed[at].ops : NULL;
        if (size == 4 && at == 0) {
            return ports->address;
        }
        return ops ? ops->read(ports->root->claimed[at].opaque, 0, 1) : size_mask(size);
    }
    if (!(ports->address & ADDRESS_ENABLE) || !ports->root) {
        return size_mask(size);
    }
    return pci_config_read(addressed_bus(ports), ports->address >> 8 & 0xff,
                           addressed_register(ports, at), size);
}

static void ports_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    PciConfigPorts *ports = opaque;
    if (at < CONFIG_DATA) {
        const IoOps *ops = size == 1 && ports->root ? ports->root->claimed[at].ops : NULL;
        if (size == 4 && at == 0) {
            ports->address = (uint32_t)value & ADDRESS_BITS;
        } else if (ops) {
            ops->write(ports->root->claimed[at].opaque, 0, 1, value);
        }
    } else if ((ports->address & ADDRESS_ENABLE) && ports->root) {
        pci_config_write(addressed_bus(ports), ports->address >> 8 & 0xff,
                         addressed_register(ports, at), size, (uint32_t)value);
    }
}

const IoOps pci_config_ports_ops = {ports_read, ports_write, 1, 4};
