/* "VGA": the standard display card.  BAR 0 is the linear framebuffer; BAR 2 holds the monitor's
 * EDID, the VGA ports and the registers of the Bochs display interface, so that a guest needs no
 * legacy ports. */
#include "hw/display/edid.h"
#include "hw/display/vga.h"
#include "hw/pci/pci.h"

/* Layout of BAR 2. */
enum {
    MMIO_SIZE = 0x1000,
    MMIO_EDID_END = 0x400,
    MMIO_PORTS = 0x400,
    MMIO_PORTS_END = 0x420,
    MMIO_DISPI = 0x500,
    MMIO_DISPI_END = MMIO_DISPI + 2 * DISPI_REGS,
    MMIO_QEXT = 0x600,
    MMIO_QEXT_SIZE = 8
};
enum { BIG_ENDIAN_CODE = 0xbebebebe, LITTLE_ENDIAN_CODE = 0x1e1e1e1e };

typedef struct VgaPci {
    PciDevice pci;
    Vga vga;
    bool mmio, edid; /* properties */
    bool extended_regs, global_vmstate;
    uint32_t xres, yres, xmax, ymax, refresh_rate;
    uint8_t edid_data[EDID_SIZE]; /* made by realize */
} VgaPci;

extern const DeviceClass vga_pci_class, bochs_display_class;

static bool only_dispi(const VgaPci *s)
{
    return s->pci.dev.class == &bochs_display_class;
}

static uint64_t mmio_read8(VgaPci *s, uint64_t at)
{
    if (at < MMIO_EDID_END) {
        return s->edid && at < EDID_SIZE ? s->edid_data[at] : 0;
    }
    if (at >= MMIO_PORTS && at < MMIO_PORTS_END && !only_dispi(s)) {
        return device_read(&s->pci.dev, VGA_PORTS,
                           (unsigned)at - MMIO_PORTS + 0x3c0 - VGA_PORT_BASE, 1);
    }
    return 0;
}

static uint64_t mmio_read(void *opaque, uint64_t at, unsigned size)
{
    VgaPci *s = opaque;
    if (at >= MMIO_DISPI && at < MMIO_DISPI_END) {
        return vbe_read(&s->vga, (unsigned)(at - MMIO_DISPI) / 2, 0) >> 8 * (at & 1);
    }
    if (at >= MMIO_QEXT && at < MMIO_QEXT + MMIO_QEXT_SIZE && s->extended_regs) {
        uint32_t v = at < MMIO_QEXT + 4  ? MMIO_QEXT_SIZE
                     : s->vga.big_endian ? BIG_ENDIAN_CODE
                                         : LITTLE_ENDIAN_CODE;
        return v >> 8 * (at & 3);
    }
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        v |= mmio_read8(s, at + i) << 8 * i;
    }
    return v;
}

static void mmio_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    VgaPci *s = opaque;
    if (at >= MMIO_DISPI && at < MMIO_DISPI_END) {
        vbe_write(&s->vga, (unsigned)(at - MMIO_DISPI) / 2, 0, 0, value);
    } else if (at == MMIO_QEXT + 4 && s->extended_regs) {
        if (value == BIG_ENDIAN_CODE || value == LITTLE_ENDIAN_CODE) {
            s->vga.big_endian = value == BIG_ENDIAN_CODE;
        }
    } else if (at >= MMIO_PORTS && at + size <= MMIO_PORTS_END && !only_dispi(s)) {
        device_write(&s->pci.dev, VGA_PORTS, (unsigned)at - MMIO_PORTS + 0x3c0 - VGA_PORT_BASE,
                     size, value);
    }
}

static const IoOps mmio_ops = {mmio_read, mmio_write, 1, 4};

static bool vga_pci_realize(void *dev, GError **error)
{
    VgaPci *s = dev;
    pci_bar(&s->pci, 0, PCI_BAR_MEM | PCI_BAR_PREFETCH, s->vga.vram_region);
    if (s->mmio) {
        edid_build(&(EdidInfo){.width = s->xres,
                               .height = s->yres,
                               .max_width = s->xmax,
                               .max_height = s->ymax,
                               .refresh_mhz = s->refresh_rate},
                   s->edid_data);
        pci_bar(&s->pci, 2, PCI_BAR_MEM,
                device_region_io(&s->pci.dev, "vga.mmio", MMIO_SIZE, &mmio_ops));
    }
    if (s->pci.bus && s->pci.dev.class == &vga_pci_class) {
        vga_map(&s->vga, pci_bus_mem(s->pci.bus), pci_bus_io(s->pci.bus));
    }
    return true;
}

#define MONITOR_ROWS                                                                               \
    PROP(VgaPci, edid, "on", "A monitor that describes itself in BAR 2"),                          \
        PROP(VgaPci, xres, "0", "Preferred width in pixels; 0: 1280"),                             \
        PROP(VgaPci, yres, "0", "Preferred height in pixels; 0: 800"),                             \
        PROP(VgaPci, xmax, "0", "Largest width to offer; 0: any"),                                 \
        PROP(VgaPci, ymax, "0", "Largest height to offer; 0: any"),                                \
        PROP(VgaPci, refresh_rate, "0", "Preferred refresh rate in thousandths of Hz; 0: 75000")

static const Row rows[] = {
    PART(VgaPci, vga, vga_core_class),
    PROP(VgaPci, mmio, "on", "BAR 2 with the registers"),
    PROP_AS(VgaPci, extended_regs, "qemu-extended-regs", "on", "Byte order register in BAR 2"),
    MONITOR_ROWS,
    PROP_AS(VgaPci, global_vmstate, "global-vmstate", "off",
            "Accepted; snapshots name the memory alike either way"),
    END,
};

const DeviceClass vga_pci_class = {
    .name = "VGA",
    .doc = "Standard VGA with the Bochs display interface",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "display",
    .open = 1 << VGA_PORTS,
    .size = sizeof(VgaPci),
    .rows = rows,
    .info = &(const PciInfo){.vendor = 0x1234,
                             .device = 0x1111,
                             .revision = 2,
                             .class_code = 0x030000,
                             .romfile = "vgabios-stdvga.bin"},
    .realize = vga_pci_realize,
};

/* ---- The same without what a VGA has at fixed addresses: a second screen ---- */

static bool secondary_realize(void *dev, GError **error)
{
    VgaPci *s = dev;
    s->mmio = true;
    return vga_pci_realize(dev, error);
}

static const Row secondary_rows[] = {
    PART(VgaPci, vga, vga_core_class),
    PROP_AS(VgaPci, extended_regs, "qemu-extended-regs", "on", "Byte order register in BAR 2"),
    MONITOR_ROWS,
    END,
};

const DeviceClass secondary_vga_class = {
    .name = "secondary-vga",
    .doc = "Standard VGA without legacy ports and memory",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "display",
    .open = 1 << VGA_PORTS,
    .size = sizeof(VgaPci),
    .rows = secondary_rows,
    .info = &(const PciInfo){.vendor = 0x1234, .device = 0x1111, .revision = 2, .class_code = 0x038000},
    .realize = secondary_realize,
};

/* ---- And without a VGA: the registers of the Bochs display interface alone ---- */

static bool bochs_realize(void *dev, GError **error)
{
    VgaPci *s = dev;
    s->mmio = s->extended_regs = true;
    return vga_pci_realize(dev, error);
}

/* There is no attribute controller that would switch the screen on. */
static void bochs_update(void *dev)
{
    Vga *v = &((VgaPci *)dev)->vga;
    v->atc_screen_on = vbe_enabled(v);
}

static const Row bochs_rows[] = {
    PART(VgaPci, vga, vga_chip_class),
    PROP_AS(VgaPci, vga.vgamem, "vgamem", "16M", "Display memory", .type = TYPE_SIZE),
    MONITOR_ROWS,
    END,
};

const DeviceClass bochs_display_class = {
    .name = "bochs-display",
    .doc = "Display with the registers of the Bochs display interface alone",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "display",
    .open = 1 << VGA_PORTS,
    .size = sizeof(VgaPci),
    .rows = bochs_rows,
    .info = &(const PciInfo){.vendor = 0x1234,
                             .device = 0x1111,
                             .revision = 2,
                             .class_code = 0x038000,
                             .romfile = "vgabios-bochs-display.bin"},
    .realize = bochs_realize,
    .update = bochs_update,
};
