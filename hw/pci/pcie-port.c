/* Ports of PCI Express, which software sees as bridges, each with one slot behind it: root ports, the two sides of a
 * switch (TI XIO3130), and the bridge to conventional PCI.
 *
 * Hot-plug is the port's own (PCI Express Base 2.0 §6.7): device_del presses the attention button; the guest switches
 * the slot's power and indicator off, and the card goes.  Where the board has ACPI hot-plug on its root bus (pc), that
 * speaks for the slots instead. */
#include "hw/hotplug.h"
#include "hw/pci/internal.h"
#include "hw/pci/pci-bridge.h"
#include "hw/pci/pcie-aer.h"
#include "hw/pci/pcie-cap.h"
#include "hw/pci/shpc.h"

typedef struct PciePort {
    PciBridge bridge;
    PcieCap express;
    PcieAer aer;
    PciMsiCap msi;
    PciPmCap pm;
    Shpc shpc; /* of the bridge to conventional PCI */
    /* properties */
    uint8_t port, chassis;
    uint16_t slot;
    bool hotplug, power_controller;
} PciePort;

typedef struct PciePortInfo {
    PciInfo pci;
    PcieKind kind;
    uint8_t express_at, msi_at, pm_at; /* 0: none */
    uint8_t vectors;
} PciePortInfo;

enum { SLOT_NUMBER_MAX = 0x1fff };

static const PciePortInfo *info_of(const PciePort *s)
{
    return s->bridge.pci.dev.class->info;
}

static bool has_slot(const PciePort *s)
{
    return info_of(s)->kind == PCIE_ROOT_PORT || info_of(s)->kind == PCIE_DOWNSTREAM;
}

/* The slot is function 0: without it nobody sees the others.  One that is hot-plugged counts when it works. */
static bool is_filled(const PciePort *s)
{
    const PciDevice *card = s->bridge.bus ? pci_find(s->bridge.bus, 0) : NULL;
    return card && !card->dev.going && (card->dev.realized || !card->dev.hotplugged);
}

/* ---- The controller of one slot ---- */

static bool accepts(void *opaque, const PciBus *bus)
{
    return ((PciePort *)opaque)->hotplug;
}

static void plugged(void *opaque, PciBus *bus, unsigned slot)
{
    PciePort *s = opaque;
    pcie_slot_press(&s->express); /* §6.7.1.3: who puts in a card presses the button */
    device_settle(&s->bridge.pci.dev);
}

static UnplugAnswer unplug_request(void *opaque, PciBus *bus, PciDevice *pd, GError **error)
{
    PciePort *s = opaque;
    if (!pcie_slot_powered(&s->express)) {
        return UNPLUG_NOW;
    }
    if (pcie_slot_blinks(&s->express)) {
        error_fail(error, "Hot-unplug of %s failed: guest is busy (power indicator of slot %u blinks)",
                   device_label(&pd->dev), s->slot);
        return UNPLUG_ERROR;
    }
    pcie_slot_press(&s->express);
    device_settle(&s->bridge.pci.dev);
    return UNPLUG_ASKED;
}

static void changed(void *opaque, PciSlotChange what)
{
    PciePort *s = opaque;
    if (what == SLOT_FILLED) {
        device_reset(&s->bridge.pci.dev, true); /* powered from the start */
    } else {
        device_settle(&s->bridge.pci.dev);
    }
}

/* ---- Life ---- */

static void same_slot(void *arg, Device *d)
{
    PciePort **s = arg;
    if (*s && d->class->base == (*s)->bridge.pci.dev.class->base && d != &(*s)->bridge.pci.dev) {
        PciePort *other = (PciePort *)d;
        if (has_slot(other) && other->chassis == (*s)->chassis && other->slot == (*s)->slot) {
            *s = NULL;
        }
    }
}

/* §7.8.9: the number is unique within the chassis.  Left alone (0 and 0), it is nobody's promise. */
static bool check_number(PciePort *s, GError **error)
{
    const char *class = s->bridge.pci.dev.class->name;
    if (s->slot > SLOT_NUMBER_MAX) {
        return error_fail(error, "Property '%s.slot' expects 0 to %u, not %u", class, SLOT_NUMBER_MAX, s->slot);
    }
    PciePort *search = s;
    if (has_slot(s) && (s->chassis || s->slot)) {
        device_foreach(same_slot, &search);
    }
    return search || error_fail(error, "%s: chassis %u has a slot %u already; expected another slot= or chassis=",
                                class, s->chassis, s->slot);
}

static bool port_realize(void *dev, GError **error)
{
    static const PciSlots slots = {accepts, plugged, unplug_request, changed};
    PciePort *s = dev;
    const PciePortInfo *info = info_of(s);
    if (!check_number(s, error)) {
        return false;
    }
    if (info->pm_at) {
        pci_pm_init(&s->bridge.pci, &s->pm, info->pm_at);
    }
    pci_msi_init(&s->bridge.pci, &s->msi, info->msi_at, info->vectors, true, false);
    s->express.port = s->port;
    s->express.slot_number = s->slot;
    s->express.hotplug = s->hotplug && has_slot(s);
    s->express.power_controller = s->power_controller;
    pcie_cap_init(&s->bridge.pci, &s->express, info->express_at, info->kind);
    pcie_aer_init(&s->bridge.pci, &s->aer, info->kind == PCIE_ROOT_PORT);
    if (info->kind != PCIE_TO_PCI) {
        s->bridge.secondary_latency_mask = 0; /* §7.5.3.2 */
    }
    if (info->kind == PCIE_TO_PCI) {
        shpc_init(&s->bridge.pci, &s->shpc, s->bridge.bus);
    }
    if (has_slot(s)) {
        pci_bus_set_single(s->bridge.bus);
        pci_bus_set_slots(s->bridge.bus, &slots, s);
    }
    return true;
}

static void port_reset(void *dev, bool power_on)
{
    PciePort *s = dev;
    pcie_slot_reset(&s->express, is_filled(s));
    shpc_reset(&s->shpc);
}

/* Hot-plug, of whichever kind, has vector 0, errors the one after it where the guest granted two (§6.2.4.1.2, §6.7.3.4). */
static void update_interrupts(PciePort *s)
{
    PciDevice *pd = &s->bridge.pci;
    bool errors = pcie_aer_asks(&s->aer), messages = pci_msi_enabled(pd);
    s->aer.vector = messages && s->msi.log2_vectors && (s->msi.control >> 4 & 7);
    pci_irq(pd, pcie_slot_asks(&s->express) || shpc_asks(&s->shpc) || (errors && !messages));
    if (errors && !s->aer.asked) {
        pci_msi_notify(pd, s->aer.vector);
    }
    s->aer.asked = errors;
}

static void port_update(void *dev)
{
    PciePort *s = dev;
    PciBus *behind = s->bridge.bus;
    shpc_update(&s->shpc, behind);
    if (!has_slot(s) || !behind) {
        update_interrupts(s);
        return;
    }
    bool left = s->express.left, kept = s->express.kept;
    s->express.left = s->express.kept = false;
    bool acpi = pci_bus_has_acpi_slots(behind);
    if (left && !acpi) {
        pci_slot_gone(behind, 0);
    } else if (kept) {
        pci_slot_kept(behind, 0);
    }
    pcie_slot_see(&s->express, is_filled(s));
    pci_bus_power(behind, acpi || pcie_slot_powered(&s->express));
    update_interrupts(s);
}

// clang-format off
#define SLOT_PROPS                                                                                                     \
    PROP(PciePort, chassis, "0", "Number of the chassis that the slot is in"),                                         \
    PROP(PciePort, slot, "0", "Number of the slot in its chassis"),                                                    \
    PROP(PciePort, hotplug, "on", "Cards may come and go while the machine runs"),                                     \
    PROP_AS(PciePort, power_controller, "power_controller_present", "on", "The guest switches the slot's power")
#define PORT_PROP PROP(PciePort, port, "0", "Number of the port")

static const Row root_rows[] = {
    PORT_PROP, SLOT_PROPS, PCI_MSI_CAP(PciePort, msi, 0x40), PCIE_CAP(PciePort, express, 0x54), PCIE_AER(PciePort, aer), END,
};
static const Row ioh_rows[] = {
    PORT_PROP, SLOT_PROPS, PCI_MSI_CAP(PciePort, msi, 0x60), PCIE_CAP(PciePort, express, 0x90), PCIE_AER(PciePort, aer), END,
};
static const Row upstream_rows[] = {
    PORT_PROP, PCI_PM_CAP(PciePort, pm, 0x50), PCI_MSI_CAP(PciePort, msi, 0x70), PCIE_CAP(PciePort, express, 0x90),
    PCIE_AER(PciePort, aer), END,
};
static const Row downstream_rows[] = {
    PORT_PROP, SLOT_PROPS, PCI_MSI_CAP(PciePort, msi, 0x70), PCIE_CAP(PciePort, express, 0x90), PCIE_AER(PciePort, aer), END,
};
static const Row to_pci_rows[] = {
    PCI_MSI_CAP(PciePort, msi, 0x40), PCIE_CAP(PciePort, express, 0x54), PCIE_AER(PciePort, aer), PCI_PM_CAP(PciePort, pm, 0x90),
    SHPC(PciePort, shpc), END,
};
// clang-format on

const DeviceClass pcie_port_class = {
    .name = "pcie-port-base",
    .doc = "Port of PCI Express",
    .base = &bridge_base_class,
    .abstract = true,
    .bus = "PCI",
    .category = "bridge",
    .size = sizeof(PciePort),
    .info = &(const PciePortInfo){.pci = {.is_bridge = true}},
    .realize = port_realize,
    .reset = port_reset,
    .update = port_update,
};

#define PORT(class_rows)                                                                           \
    .base = &pcie_port_class, .bus = "PCI", .category = "bridge", .size = sizeof(PciePort), .rows = class_rows
#define PORT_PCI(vendor_, device_, revision_)                                                      \
    {.vendor = vendor_, .device = device_, .revision = revision_, .class_code = 0x060400, .interrupt_pin = 1,          \
     .is_bridge = true, .express = true}

const DeviceClass pcie_root_port_class = {
    .name = "pcie-root-port",
    .doc = "PCI Express Root Port",
    PORT(root_rows),
    .info = &(const PciePortInfo){PORT_PCI(0x1b36, 0x000c, 0), PCIE_ROOT_PORT, 0x54, 0x40, 0, 1},
};

const DeviceClass ioh3420_class = {
    .name = "ioh3420",
    .doc = "Intel IOH device id 3420 PCIE Root Port",
    PORT(ioh_rows),
    .info = &(const PciePortInfo){PORT_PCI(0x8086, 0x3420, 2), PCIE_ROOT_PORT, 0x90, 0x60, 0, 2},
};

const DeviceClass x3130_upstream_class = {
    .name = "x3130-upstream",
    .doc = "TI X3130 Upstream Port of PCI Express Switch",
    PORT(upstream_rows),
    .info = &(const PciePortInfo){PORT_PCI(0x104c, 0x8232, 2), PCIE_UPSTREAM, 0x90, 0x70, 0x50, 1},
};

const DeviceClass xio3130_downstream_class = {
    .name = "xio3130-downstream",
    .doc = "TI X3130 Downstream Port of PCI Express Switch",
    PORT(downstream_rows),
    .info = &(const PciePortInfo){PORT_PCI(0x104c, 0x8233, 1), PCIE_DOWNSTREAM, 0x90, 0x70, 0, 1},
};

const DeviceClass pcie_pci_bridge_class = {
    .name = "pcie-pci-bridge",
    .doc = "PCIe-to-PCI bridge",
    PORT(to_pci_rows),
    .info = &(const PciePortInfo){PORT_PCI(0x1b36, 0x000e, 0), PCIE_TO_PCI, 0x54, 0x40, 0x90, 1},
};
