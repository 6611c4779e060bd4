/* PCI-PCI bridges: the common part, and "pci-bridge" (PCI-to-PCI Bridge 1.2 §3).
 *
 * What lies behind appears in front through three windows, and where VGA is enabled at its
 * addresses.  Bus masters behind are not held back while the bridge's own master bit is clear:
 * SeaBIOS sets that of a disk adapter alone, and waits for the disk. */
#include "hw/pci/pci-bridge.h"

#include "hw/pci/internal.h"
#include "hw/pci/shpc.h"

enum { WINDOW_IO, WINDOW_MEM, WINDOW_PREFETCH, WINDOW_VGA };
enum { /* bridge control (§3.2.5.18) */
       ISA_ENABLE = 1 << 2,
       VGA_ENABLE = 1 << 3,
       VGA_16_BIT = 1 << 4,
       SECONDARY_RESET = 1 << 6
};
enum { VGA_MEM = 0xa0000, VGA_MEM_SIZE = 0x20000, IO_SPACE = 0x10000, ISA_BLOCK = 0x400, ISA_SLOT_PART = 0x100 };

/* §3.2.5.18: software resets what lies behind by setting the bit for a while. */
static void control_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    PciBridge *s = dev;
    if ((value & ~old & SECONDARY_RESET) && s->bus) {
        pci_bus_reset(s->bus);
    }
}

#define CFG .space = SPACE_PCI_CONFIG
// clang-format off
static const Row bridge_rows[] = {
    REG(PciBridge, primary, 0x18, CFG, .rw = 0xff, .doc = "Primary bus number"),
    REG(PciBridge, secondary, 0x19, CFG, .rw = 0xff, .doc = "Secondary bus number"),
    REG(PciBridge, subordinate, 0x1a, CFG, .rw = 0xff, .doc = "Subordinate bus number"),
    REG(PciBridge, secondary_latency, 0x1b, CFG, MASK(PciBridge, secondary_latency_mask), .doc = "Secondary latency timer"),
    REG(PciBridge, io_base, 0x1c, CFG, .rw = 0xf0, .doc = "I/O base"),
    REG(PciBridge, io_limit, 0x1d, CFG, .rw = 0xf0, .doc = "I/O limit"),
    REG(PciBridge, secondary_status, 0x1e, CFG, .w1c = 0xf900, .doc = "Secondary status"),
    REG(PciBridge, mem_base, 0x20, CFG, .rw = 0xfff0, .doc = "Memory base"),
    REG(PciBridge, mem_limit, 0x22, CFG, .rw = 0xfff0, .doc = "Memory limit"),
    REG(PciBridge, prefetch_base, 0x24, CFG, .rw = 0xfff0, .reset = 1, .doc = "Prefetchable base: 64 bits"),
    REG(PciBridge, prefetch_limit, 0x26, CFG, .rw = 0xfff0, .reset = 1, .doc = "Prefetchable limit"),
    REG(PciBridge, prefetch_base_high, 0x28, CFG, .rw = UINT32_MAX, .doc = "Prefetchable base, high"),
    REG(PciBridge, prefetch_limit_high, 0x2c, CFG, .rw = UINT32_MAX, .doc = "Prefetchable limit, high"),
    REG(PciBridge, control, 0x3e, CFG, .rw = 0x005f, .on_write = control_write, .doc = "Bridge control",
        .bits = "PERR SERR ISA VGA VGA16 - RESET"),
    DERIVED(PciBridge, window),
    DERIVED(PciBridge, io_part),
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
    case WINDOW_PREFETCH:
        *first = (uint64_t)s->prefetch_base_high << 32 | (uint64_t)(s->prefetch_base & 0xfff0)
                                                             << 16;
        *last = (uint64_t)s->prefetch_limit_high << 32 |
                (uint64_t)(s->prefetch_limit & 0xfff0) << 16 | 0xfffff;
        break;
    default:
        *first = VGA_MEM;
        *last = VGA_MEM + VGA_MEM_SIZE - 1;
    }
}

static bool window_open(const PciBridge *s, unsigned n, uint64_t first, uint64_t last)
{
    if (n == WINDOW_IO) {
        return (s->pci.command & PCI_COMMAND_IO) && first <= last;
    }
    bool asked = n == WINDOW_VGA ? s->control & VGA_ENABLE : first && first <= last;
    return asked && (s->pci.command & PCI_COMMAND_MEMORY);
}

static void update_mem_window(PciBridge *s, unsigned n)
{
    uint64_t first, last;
    window_range(s, n, &first, &last);
    uint64_t size = window_open(s, n, first, last) ? last - first + 1 : 0;
    if (first == s->window_at[n] && size == s->window_size[n]) {
        return;
    }
    region_free(g_steal_pointer(&s->window[n]));
    s->window_at[n] = first;
    s->window_size[n] = size;
    if (size) {
        s->window[n] = region_alias("pci-bridge-window", s->mem, first, size);
        region_map(pci_bus_mem(s->pci.bus), s->window[n], first, 1);
    }
}

/* ---- I/O: the window, of which ISA Enable leaves the first quarter of each KiB, and the ports of VGA, which it does
 * not touch (§3.2.5.18, §12.1) ---- */

static void close_io(PciBridge *s)
{
    region_free(g_steal_pointer(&s->window[WINDOW_IO]));
    g_slist_free_full(g_steal_pointer(&s->io_part), (GDestroyNotify)region_free);
}

static void forward_io(PciBridge *s, uint64_t first, uint64_t size)
{
    Region *r = region_alias("pci-bridge-io-part", s->io, first, size);
    region_map(s->window[WINDOW_IO], r, first, 0);
    s->io_part = g_slist_prepend(s->io_part, r);
}

static void forward_vga_ports(PciBridge *s)
{
    uint64_t step = s->control & VGA_16_BIT ? IO_SPACE : ISA_BLOCK; /* else address bits 15 to 10 are not looked at */
    for (uint64_t block = 0; block < IO_SPACE; block += step) {
        forward_io(s, block + 0x3b0, 0x0c);
        forward_io(s, block + 0x3c0, 0x20);
    }
}

static void update_io_window(PciBridge *s)
{
    uint64_t first, last;
    window_range(s, WINDOW_IO, &first, &last);
    uint64_t size = window_open(s, WINDOW_IO, first, last) ? last - first + 1 : 0;
    bool vga = (s->control & VGA_ENABLE) && (s->pci.command & PCI_COMMAND_IO);
    unsigned how = (size ? s->control & ISA_ENABLE : 0u) | (vga ? s->control & (VGA_ENABLE | VGA_16_BIT) : 0u);
    uint64_t key = first | (uint64_t)how << 32;
    if (key == s->window_at[WINDOW_IO] && size == s->window_size[WINDOW_IO]) {
        return;
    }
    close_io(s);
    s->window_at[WINDOW_IO] = key;
    s->window_size[WINDOW_IO] = size;
    if (!size && !vga) {
        return;
    }
    s->window[WINDOW_IO] = region_container("pci-bridge-io-window", IO_SPACE);
    if (size && !(how & ISA_ENABLE)) {
        forward_io(s, first, size);
    }
    for (uint64_t block = first; size && (how & ISA_ENABLE) && block <= last; block += ISA_BLOCK) {
        forward_io(s, block, ISA_SLOT_PART);
    }
    if (vga) {
        forward_vga_ports(s);
    }
    region_map(pci_bus_io(s->pci.bus), s->window[WINDOW_IO], 0, 1);
}

static bool bridge_realize(void *dev, GError **error)
{
    PciBridge *s = dev;
    s->secondary_latency_mask = 0xf8;
    s->mem = region_container("pci-bridge-mem", 0);
    s->io = region_container("pci-bridge-io", IO_SPACE);
    s->bus = pci_bus_new_secondary(&s->pci, s->pci.dev.id, s->mem, s->io, &s->secondary,
                                   &s->subordinate);
    return true;
}

static void bridge_unrealize(void *dev)
{
    PciBridge *s = dev;
    close_io(s);
    for (unsigned n = WINDOW_MEM; n < BRIDGE_WINDOWS; n++) {
        region_free(g_steal_pointer(&s->window[n]));
    }
    pci_bus_free(g_steal_pointer(&s->bus));
    region_free(g_steal_pointer(&s->mem));
    region_free(g_steal_pointer(&s->io));
}

static void bridge_update(void *dev)
{
    PciBridge *s = dev;
    s->secondary_latency &= s->secondary_latency_mask;
    s->prefetch_base = (s->prefetch_base & 0xfff0) | 1;
    s->prefetch_limit = (s->prefetch_limit & 0xfff0) | 1;
    if (!s->pci.bus) {
        return;
    }
    update_io_window(s);
    for (unsigned n = WINDOW_MEM; n < BRIDGE_WINDOWS; n++) {
        update_mem_window(s, n);
    }
}

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

/* ---- "pci-bridge" ---- */

typedef struct StandardBridge {
    PciBridge bridge;
    PciCap slots;
    Shpc hotplug;
    uint8_t chassis_nr; /* as the user said; 0: the chassis is not numbered */
    bool shpc; /* a property */
    uint8_t chassis; /* as the guest has it */
} StandardBridge;

enum { SLOTS_AT = 0x48, CAP_ID_SLOTS = 4, HERE = 1 };

#define SLOTS CFG, WHEN(StandardBridge, slots.present, HERE, HERE)
static const Row standard_rows[] = {
    PROP(StandardBridge, chassis_nr, "0", "Number of the chassis that the bridge's slots are in; 0: none"),
    PROP(StandardBridge, shpc, "off", "Standard hot-plug controller, for slots 1 to 31"),
    CALC(slots_id, 1, SLOTS_AT, SLOTS, .ro = true, FROM(StandardBridge, slots.id)),
    CALC(slots_next, 1, SLOTS_AT + 1, SLOTS, .ro = true, FROM(StandardBridge, slots.next)),
    CALC(expansion_slots, 1, SLOTS_AT + 2, SLOTS, .ro = true, .is = 1 << 5, .doc = "Slots: the first bridge of the chassis"),
    REG(StandardBridge, chassis, SLOTS_AT + 3, SLOTS, .rw = 0xff, .keep = true, .doc = "Chassis number"),
    SHPC(StandardBridge, hotplug),
    END,
};

static bool standard_realize(void *dev, GError **error)
{
    StandardBridge *s = dev;
    if (s->shpc) {
        s->bridge.pci.interrupt_pin = 1;
        shpc_init(&s->bridge.pci, &s->hotplug, s->bridge.bus);
    }
    if (s->chassis_nr) {
        pci_cap_add(&s->bridge.pci, &s->slots, SLOTS_AT, CAP_ID_SLOTS);
    }
    return true;
}

/* The guest's to change, and kept by a reset without loss of power (PCI-to-PCI Bridge 1.2 §13.4). */
static void standard_reset(void *dev, bool power_on)
{
    StandardBridge *s = dev;
    if (power_on) {
        s->chassis = s->chassis_nr;
    }
    shpc_reset(&s->hotplug);
}

static void standard_update(void *dev)
{
    StandardBridge *s = dev;
    shpc_update(&s->hotplug, s->bridge.bus);
    pci_irq(&s->bridge.pci, shpc_asks(&s->hotplug));
}

const DeviceClass pci_bridge_class = {
    .name = "pci-bridge",
    .doc = "Standard PCI bridge",
    .base = &bridge_base_class,
    .bus = "PCI",
    .category = "bridge",
    .hotpluggable = true,
    .size = sizeof(StandardBridge),
    .rows = standard_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x1b36,
            .device = 0x0001,
            .class_code = 0x060400,
            .is_bridge = true,
            .status_reset = 0x0020,
        },
    .realize = standard_realize,
    .reset = standard_reset,
    .update = standard_update,
};
