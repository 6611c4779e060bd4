/* PCI-PCI bridges: "pci-bridge", and root ports of PCI Express, which software sees as one
 * (PCI-to-PCI Bridge 1.2 §3; PCI Express Base 2.0 §7.8).
 *
 * What lies behind appears in front through three windows.  Bus masters behind are not held back
 * while the bridge's own master bit is clear: SeaBIOS sets that of a disk adapter alone, and waits
 * for the disk.  A root port's slot cannot be hot-plugged, so that the port has no events to tell
 * of. */
#include "hw/pci/internal.h"

enum { WINDOW_IO, WINDOW_MEM, WINDOW_PREFETCH, WINDOWS };
enum { PORT_CAP_AT = 0x54, CAP_ID_EXPRESS = 0x10 };

typedef struct PciBridge {
    PciDevice pci;
    PciCap express;
    uint8_t chassis_nr, port, chassis; /* properties */
    uint16_t slot;
    uint8_t primary, secondary, subordinate, secondary_latency;
    uint8_t io_base, io_limit;
    uint16_t secondary_status, mem_base, mem_limit, prefetch_base, prefetch_limit, control;
    uint32_t prefetch_base_high, prefetch_limit_high;
    uint16_t io_base_high, io_limit_high, device_control, link_control, root_control;
    PciBus *bus;
    Region *mem, *io; /* what the devices behind are mapped into */
    Region *window[WINDOWS];
    uint64_t window_at[WINDOWS], window_size[WINDOWS];
} PciBridge;

#define CFG  .space = SPACE_PCI_CONFIG
#define PORT CFG, WHEN(PciBridge, express.present, 1, 1)
// clang-format off
static const Row bridge_rows[] = {
    REG(PciBridge, primary, 0x18, CFG, .rw = 0xff, .doc = "Primary bus number"),
    REG(PciBridge, secondary, 0x19, CFG, .rw = 0xff, .doc = "Secondary bus number"),
    REG(PciBridge, subordinate, 0x1a, CFG, .rw = 0xff, .doc = "Subordinate bus number"),
    REG(PciBridge, secondary_latency, 0x1b, CFG, .rw = 0xf8, .doc = "Secondary latency timer"),
    REG(PciBridge, io_base, 0x1c, CFG, .rw = 0xf0, .doc = "I/O base"),
    REG(PciBridge, io_limit, 0x1d, CFG, .rw = 0xf0, .doc = "I/O limit"),
    REG(PciBridge, secondary_status, 0x1e, CFG, .w1c = 0xf900, .doc = "Secondary status"),
    REG(PciBridge, mem_base, 0x20, CFG, .rw = 0xfff0, .doc = "Memory base"),
    REG(PciBridge, mem_limit, 0x22, CFG, .rw = 0xfff0, .doc = "Memory limit"),
    REG(PciBridge, prefetch_base, 0x24, CFG, .rw = 0xfff0, .reset = 1, .doc = "Prefetchable base: 64 bits"),
    REG(PciBridge, prefetch_limit, 0x26, CFG, .rw = 0xfff0, .reset = 1, .doc = "Prefetchable limit"),
    REG(PciBridge, prefetch_base_high, 0x28, CFG, .rw = UINT32_MAX, .doc = "Prefetchable base, high"),
    REG(PciBridge, prefetch_limit_high, 0x2c, CFG, .rw = UINT32_MAX, .doc = "Prefetchable limit, high"),
    REG(PciBridge, control, 0x3e, CFG, .rw = 0x005f, .doc = "Bridge control"),
    CALC(express_id, 1, PORT_CAP_AT, PORT, .ro = true, FROM(PciBridge, express.id)),
    CALC(express_next, 1, PORT_CAP_AT + 1, PORT, .ro = true, FROM(PciBridge, express.next)),
    CALC(express_kind, 2, PORT_CAP_AT + 2, PORT, .ro = true, .is = 0x0042, .doc = "Root port, version 2"),
    CALC(device_cap, 4, PORT_CAP_AT + 4, PORT, .ro = true, .is = 0x00008000, .doc = "Payloads of 128 bytes"),
    REG(PciBridge, device_control, PORT_CAP_AT + 8, PORT, .rw = 0x000f, .doc = "Device control"),
    CALC(link_cap, 4, PORT_CAP_AT + 12, PORT, .ro = true, .is = 0x00000011, .doc = "One lane, 2.5 GT/s"),
    REG(PciBridge, link_control, PORT_CAP_AT + 16, PORT, .rw = 0x00c0, .doc = "Link control"),
    CALC(link_status, 2, PORT_CAP_AT + 18, PORT, .ro = true, .is = 0x2011, .doc = "Link status: up"),
    REG(PciBridge, root_control, PORT_CAP_AT + 28, PORT, .rw = 0x000f, .doc = "Root control"),
    DERIVED(PciBridge, window),
    DERIVED(PciBridge, window_at),
    DERIVED(PciBridge, window_size),
    END
};
// clang-format on

/* Base and limit of a window; base above limit: closed (§3.2.5.6 and on). */
static void window_range(const PciBridge *s, unsigned n, uint64_t *first, uint64_t *last)
{
    switch (n) {
    case WINDOW_IO:
        *first = (uint64_t)(s->io_base & 0xf0) << 8;
        *last = (uint64_t)(s->io_limit & 0xf0) << 8 | 0xfff;
        break;
    case WINDOW_MEM:
        *first = (uint64_t)(s->mem_base & 0xfff0) << 16;
        *last = (uint64_t)(s->mem_limit & 0xfff0) << 16 | 0xfffff;
        break;
    default:
        *first = (uint64_t)s->prefetch_base_high << 32 | (uint64_t)(s->prefetch_base & 0xfff0)
                                                             << 16;
        *last = (uint64_t)s->prefetch_limit_high << 32 |
                (uint64_t)(s->prefetch_limit & 0xfff0) << 16 | 0xfffff;
    }
}

static void update_window(PciBridge *s, unsigned n)
{
    uint64_t first, last;
    window_range(s, n, &first, &last);
    unsigned enable = n == WINDOW_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    bool open = (s->pci.command & enable) && first <= last && (first || n == WINDOW_IO);
    uint64_t size = open ? last - first + 1 : 0;
    if (first == s->window_at[n] && size == s->window_size[n]) {
        return;
    }
    region_free(g_steal_pointer(&s->window[n]));
    s->window_at[n] = first;
    s->window_size[n] = size;
    if (size) {
        s->window[n] =
            region_alias("pci-bridge-window", n == WINDOW_IO ? s->io : s->mem, first, size);
        region_map(n == WINDOW_IO ? pci_bus_io(s->pci.bus) : pci_bus_mem(s->pci.bus), s->window[n],
                   first, 1);
    }
}

static bool bridge_realize(void *dev, GError **error)
{
    PciBridge *s = dev;
    if (PCI_INFO(s->pci.dev.class)->express) {
        pci_cap_add(&s->pci, &s->express, PORT_CAP_AT, CAP_ID_EXPRESS);
    }
    s->mem = region_container("pci-bridge-mem", 0);
    s->io = region_container("pci-bridge-io", 0x10000);
    s->bus = pci_bus_new_secondary(&s->pci, s->pci.dev.id, s->mem, s->io, &s->secondary,
                                   &s->subordinate);
    return true;
}

static void bridge_unrealize(void *dev)
{
    PciBridge *s = dev;
    for (unsigned n = 0; n < WINDOWS; n++) {
        region_free(g_steal_pointer(&s->window[n]));
    }
    pci_bus_free(g_steal_pointer(&s->bus));
    region_free(g_steal_pointer(&s->mem));
    region_free(g_steal_pointer(&s->io));
}

static void bridge_update(void *dev)
{
    PciBridge *s = dev;
    s->prefetch_base = (s->prefetch_base & 0xfff0) | 1;
    s->prefetch_limit = (s->prefetch_limit & 0xfff0) | 1;
    for (unsigned n = 0; s->pci.bus && n < WINDOWS; n++) {
        update_window(s, n);
    }
}

static const Row pci_bridge_rows[] = {
    PROP(PciBridge, chassis_nr, "0", "Number of the chassis that the bridge's slots are in"),
    END,
};

const DeviceClass bridge_base_class = {
    .name = "pci-bridge-base",
    .doc = "Bridge between PCI buses",
    .base = &pci_device_class,
    .abstract = true,
    .bus = "PCI",
    .category = "bridge",
    .size = sizeof(PciBridge),
    .rows = bridge_rows,
    .info = &(const PciInfo){.is_bridge = true},
    .realize = bridge_realize,
    .unrealize = bridge_unrealize,
    .update = bridge_update,
};

const DeviceClass pci_bridge_class = {
    .name = "pci-bridge",
    .doc = "Standard PCI bridge",
    .base = &bridge_base_class,
    .bus = "PCI",
    .category = "bridge",
    .size = sizeof(PciBridge),
    .rows = pci_bridge_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x1b36,
            .device = 0x0001,
            .class_code = 0x060400,
            .is_bridge = true,
            .status_reset = 0x0020,
        },
};

static const Row port_rows[] = {
    PROP(PciBridge, port, "0", "Number of the port"),
    PROP(PciBridge, chassis, "0", "Number of the chassis that the slot is in"),
    PROP(PciBridge, slot, "0", "Number of the slot"),
    END,
};

const DeviceClass pcie_root_port_class = {
    .name = "pcie-root-port",
    .doc = "PCI Express Root Port",
    .base = &bridge_base_class,
    .bus = "PCI",
    .category = "bridge",
    .size = sizeof(PciBridge),
    .rows = port_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x1b36,
            .device = 0x000c,
            .class_code = 0x060400,
            .interrupt_pin = 1,
            .is_bridge = true,
            .express = true,
        },
};

const DeviceClass ioh3420_class = {
    .name = "ioh3420",
    .doc = "Intel IOH device id 3420 PCIE Root Port",
    .base = &bridge_base_class,
    .bus = "PCI",
    .category = "bridge",
    .size = sizeof(PciBridge),
    .rows = port_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x3420,
            .revision = 2,
            .class_code = 0x060400,
            .interrupt_pin = 1,
            .is_bridge = true,
            .express = true,
        },
};
