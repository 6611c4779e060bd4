#include "hw/display/cirrus.h"
#include "hw/isa/isa.h"

enum { BAR0_SIZE = 32 << 20, BAR1_SIZE = 4096, MMIO_BLT = 0x100, MMIO_BYTES = 0x100, MMIO_PORTS = 0x20 };
enum { UNLOCK = 0x12, UNLOCK_BITS = 0x17, LOCKED_READS = 0x0f };
enum { SR17_MMIO = 0x04, SR17_MMIO_LINEAR = 0x40 };
enum { CURSOR_ON = 0x01, CURSOR_COLORS = 0x02, CURSOR_64 = 0x04 };
enum { SR_DRAM = 0x0f, SR_CONFIG = 0x17 };
enum { GD5430 = 0xa0, GD5446 = 0xb8, SR17_ISA = 0x38 };         /* CR27; the bus that the chip is strapped for */

/* ---- Sequencer ---- */

static uint64_t sr6_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const Cirrus *)dev)->sr6 == UNLOCK ? UNLOCK : LOCKED_READS;
}

static void sr6_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Cirrus *)dev)->sr6 = value & UNLOCK_BITS;
}

static void map_mask_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Cirrus *)dev)->vga.seq[SEQ_MAP_MASK] = value & 0xf;
}

/* SR10, SR11: eight bits are the data, the three below are bits 7-5 of the index, so there are eight of each. */
static uint64_t cursor_get(const void *dev, unsigned arg, unsigned i)
{
    const Cirrus *s = dev;
    return (arg ? s->cursor_y : s->cursor_x) >> 3;
}

static void cursor_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Cirrus *s = dev;
    *(arg ? &s->cursor_y : &s->cursor_x) = (uint16_t)(value << 3 | i);
}

/* ---- DAC: the cursor's colours are reached in place of the palette while SR12 says so ---- */

static uint64_t cursor_color_get(const void *dev, unsigned arg, unsigned i)
{
    const Cirrus *s = dev;
    return s->cursor_color[3 * (s->vga.dac_read & 0xf) + s->vga.dac_part] & 0x3f;
}

static void cursor_color_read(void *dev, unsigned arg, unsigned i)
{
    Vga *v = &((Cirrus *)dev)->vga;
    v->dac_read += v->dac_part == 2;
    v->dac_part = (v->dac_part + 1) % 3;
}

static void cursor_color_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Cirrus *s = dev;
    Vga *v = &s->vga;
    if (v->dac_part < 2) {
        s->cursor_hold[v->dac_part++] = value & 0x3f;
        return;
    }
    uint8_t *color = &s->cursor_color[3 * (v->dac_write++ & 0xf)];
    color[0] = s->cursor_hold[0];
    color[1] = s->cursor_hold[1];
    color[2] = value & 0x3f;
    v->dac_part = 0;
}

static void hdr_read(void *dev, unsigned arg, unsigned i)
{
    ((Cirrus *)dev)->vga.mask_reads = 0;
}

static void hdr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Cirrus *)dev)->vga.mask_reads = 0;
}

/* ---- Graphics controller ---- */

/* GR0, GR1, GR5: the VGA has the low bits. */
static void gr_low_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    static const uint8_t mask[] = {[GC_SET_RESET] = 0x0f, [GC_ENABLE_SET_RESET] = 0x0f, [GC_MODE] = 0x7b};
    ((Cirrus *)dev)->vga.gc[arg] = value & mask[arg];
}

static void blt_status_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Cirrus *s = dev;
    if (value & BLT_RESET) {
        cirrus_blt_stop(s);
    } else if (value & ~old & BLT_START) {
        cirrus_blt_start(s);
    } else if (old & BLT_START && !(value & BLT_START)) {
        cirrus_blt_stop(s); /* suspended: what the host has not sent yet is not wanted any more */
    }
}

/* With autostart, the last byte of the destination sets the engine off. */
static void blt_dst_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Cirrus *s = dev;
    if (s->gr[GR_BLT_STATUS] & BLT_AUTOSTART) {
        cirrus_blt_start(s);
    }
}

/* Registers of the engine in memory, so that they need no index (TRM: "Memory-mapped I/O"). */
static const uint8_t mmio_gr[] = {
    [0x00] = GC_SET_RESET, GR_BG1, GR_BG2, GR_BG3,
    [0x04] = GC_ENABLE_SET_RESET, GR_FG1, GR_FG2, GR_FG3,
    [0x08] = 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27,
    [0x10] = 0x28, 0x29, 0x2a, [0x14] = 0x2c, 0x2d, 0x2e, 0x2f, 0x30, [0x1a] = 0x32, 0x33, 0x34, 0x35,
    [0x20] = 0x38, 0x39, [0x40] = 0x31,
};

static bool mmio_register(uint64_t at, unsigned *gr)
{
    *gr = at < sizeof(mmio_gr) ? mmio_gr[at] : 0;
    return *gr || at == 0;
}

static uint64_t mmio_read(void *opaque, uint64_t at, unsigned size)
{
    Cirrus *s = opaque;
    uint64_t v = 0;
    for (unsigned i = 0, gr; i < size; i++) {
        v |= mmio_register((at + i) % MMIO_BYTES, &gr) ? device_read_raw(&s->pci.dev, VGA_GC, gr, 1) << 8 * i
                                                       : UINT64_C(0xff) << 8 * i;
    }
    return v;
}

static void mmio_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    Cirrus *s = opaque;
    for (unsigned i = 0, gr; i < size; i++) {
        if (mmio_register((at + i) % MMIO_BYTES, &gr)) {
            device_write_raw(&s->pci.dev, VGA_GC, gr, 1, value >> 8 * i & 0xff);
        }
    }
}

static const IoOps mmio_ops = {mmio_read, mmio_write, 1, 8};

/* BAR 1: the VGA's ports from 3c0 on, then the engine. */
static uint64_t bar1_read(void *opaque, uint64_t at, unsigned size)
{
    Cirrus *s = opaque;
    return at >= MMIO_BLT       ? mmio_read(s, at, size)
           : at + size > MMIO_PORTS ? size_mask(size)
                                : device_read_raw(&s->pci.dev, VGA_PORTS, (unsigned)at + 0x3c0 - VGA_PORT_BASE, size);
}

static void bar1_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    Cirrus *s = opaque;
    if (at >= MMIO_BLT) {
        mmio_write(s, at, size, value);
    } else if (at + size <= MMIO_PORTS) {
        device_write_raw(&s->pci.dev, VGA_PORTS, (unsigned)at + 0x3c0 - VGA_PORT_BASE, size, value);
    }
}

static const IoOps bar1_ops = {bar1_read, bar1_write, 1, 4};

/* ---- What is shown ---- */

/* SR7 bits 3-1, and of the two kinds of 16 bits the hidden DAC register's. */
static unsigned depth(const Cirrus *s)
{
    enum { HDR_565 = 1 };
    switch (s->sr7 >> 1 & 7) {
    case 1:
    case 3: return (s->hdr & 0xf) == HDR_565 ? 16 : 15;
    case 2: return 24;
    case 4: return 32;
    default: return 8;
    }
}

static uint32_t display_start(const Cirrus *s)
{
    const uint8_t *cr = s->vga.crtc;
    uint32_t words = (uint32_t)cr[CR_START_HIGH] << 8 | cr[CR_START_LOW] | (s->cr1b & 1) << 16 |
                     (s->cr1b & 0xc) << 15 | (s->cr1d & 0x80) << 12;
    return words * 4 & (s->vga.vram_size - 1);
}

/* Packed pixels; or planes that are larger than a VGA's. */
static VbeMode mode_of(const Cirrus *s)
{
    enum { PLANE = 0x10000, GC5_OTHER = 0x60, INTERLACED = 0x01 };
    VgaGeometry g = vga_geometry(&s->vga);
    uint32_t offset = s->vga.crtc[CR_OFFSET] | (s->cr1b & 0x10) << 4;
    VbeMode m = {.width = g.columns * 8, .bpp = depth(s), .pitch = offset * 8, .start = display_start(s)};
    unsigned scan = s->vga.crtc[CR_MAX_SCAN], repeat = ((scan & 0x1f) + 1) * (scan & 0x80 ? 2 : 1);
    m.height = s->cr1a & INTERLACED ? g.lines * 2 : g.lines;
    if (cirrus_packed(s)) {
        m.height = MAX(m.height / repeat, 1);
        return m;
    }
    m.bpp = 4;
    bool planar = g.graphics && !(s->gr5 & GC5_OTHER) && !(s->vga.seq[SEQ_MEMORY_MODE] & 8);
    return planar && (m.start + (uint64_t)m.pitch * m.height) / 4 > PLANE ? m : (VbeMode){0};
}

static VgaCursor cursor_of(const Cirrus *s)
{
    enum { PATTERNS = 16 << 10 };       /* at the end of the memory */
    bool large = s->cursor_attr & CURSOR_64;
    unsigned number = large ? s->cursor_pattern & 0x3c : s->cursor_pattern & 0x3f;
    VgaCursor c = {0};
    if (s->cursor_attr & CURSOR_ON) {
        c = (VgaCursor){large ? 64 : 32, s->cursor_x, s->cursor_y, s->vga.vram_size - PATTERNS + number * 256, {0}};
        for (unsigned i = 0; i < 2; i++) {
            const uint8_t *rgb = &s->cursor_color[i ? 3 * 15 : 0];
            for (unsigned b = 0; b < 3; b++) {
                c.color[i] = c.color[i] << 8 | rgb[b] << 2 | rgb[b] >> 4;
            }
        }
    }
    return c;
}

static void cirrus_update(void *dev)
{
    Cirrus *s = dev;
    uint32_t half[2];
    bool plain = cirrus_window_plain(s, half), mmio = s->sr_misc[SR_CONFIG] & SR17_MMIO,
         at_end = s->sr_misc[SR_CONFIG] & SR17_MMIO_LINEAR;
    s->vga.packed = mode_of(s);
    s->vga.cursor = cursor_of(s);
    s->vga.wide_planes = true;
    unsigned grain = s->gr[GR_MODE_EXT] & EXT_GRAIN_16K ? 14 : 12;
    bool dual = s->gr[GR_MODE_EXT] & EXT_DUAL;
    s->vga.plane_bank[0] = (uint32_t)s->gr[GR_OFFSET0] << grain;
    s->vga.plane_bank[1] = dual ? ((uint32_t)s->gr[GR_OFFSET1] << grain) - 0x8000 : s->vga.plane_bank[0];
    for (unsigned i = 0; i < 2; i++) {
        if (plain) {
            region_set_alias(s->half[i], half[i]);
        }
        region_set_enabled(s->half[i], plain);
    }
    region_set_enabled(s->linear, cirrus_linear_plain(s));
    region_set_enabled(s->window_mmio, mmio && !at_end);
    region_set_enabled(s->linear_mmio, mmio && at_end);
}

/* ---- Life ---- */

static bool make_chip(Cirrus *s, uint8_t id, GError **error)
{
    Vga *v = &s->vga;
    if (v->vgamem_mb > 16) {
        return error_fail(error, "Property '%s.vgamem_mb' takes 1, 2, 4, 8 or 16, not %u", s->pci.dev.class->name, v->vgamem_mb);
    }
    s->id = id;
    v->seq_index_mask = 0xff;
    v->gc_index_mask = 0x3f;
    s->frame = region_container("cirrus.bar0", BAR0_SIZE);
    s->linear_io = device_region_io(&s->pci.dev, "cirrus.linear", BAR0_SIZE, &cirrus_linear_ops);
    s->linear = region_alias("cirrus.vram", v->vram_region, 0, v->vram_size);
    s->linear_mmio = device_region_io(&s->pci.dev, "cirrus.linear-mmio", MMIO_BYTES, &mmio_ops);
    region_map(s->frame, s->linear_io, 0, 0);
    region_map(s->frame, s->linear, 0, 1);
    region_map(s->frame, s->linear_mmio, v->vram_size - MMIO_BYTES, 2);
    s->mmio_bar = device_region_io(&s->pci.dev, "cirrus.mmio", BAR1_SIZE, &bar1_ops);
    s->window = device_region_io(&s->pci.dev, "cirrus.window", 0x20000, &cirrus_window_ops);
    s->window_mmio = device_region_io(&s->pci.dev, "cirrus.window-mmio", MMIO_BYTES, &mmio_ops);
    for (unsigned i = 0; i < 2; i++) {
        s->half[i] = region_alias("cirrus.half", v->vram_region, 0, 0x8000);
        region_set_enabled(s->half[i], false);
    }
    return true;
}

/* What a VGA has at fixed addresses. */
static void map_chip(Cirrus *s, Region *memory, Region *io)
{
    region_map(memory, s->window, 0xa0000, 1);
    region_map(memory, s->window_mmio, 0xb8000, 3);
    region_map(memory, s->half[0], 0xa0000, 2);
    region_map(memory, s->half[1], 0xa8000, 2);
    vga_map_ports(&s->vga, io);
}

static bool cirrus_realize(void *dev, GError **error)
{
    Cirrus *s = dev;
    if (!make_chip(s, GD5446, error)) {
        return false;
    }
    pci_bar(&s->pci, 0, PCI_BAR_MEM | PCI_BAR_PREFETCH, s->frame);
    pci_bar(&s->pci, 1, PCI_BAR_MEM, s->mmio_bar);
    if (s->pci.bus) {
        map_chip(s, pci_bus_mem(s->pci.bus), pci_bus_io(s->pci.bus));
    }
    return true;
}

static void cirrus_unrealize(void *dev)
{
    Cirrus *s = dev;
    region_unmap(s->frame);
    region_unmap(s->linear_io);
    region_unmap(s->linear_mmio);
    region_free(s->linear);
    region_free(s->half[0]);
    region_free(s->half[1]);
    region_free(s->frame);
    mem_commit();
}

/* SRF tells the BIOS how much memory there is: bus width, and a second bank. */
static void cirrus_reset(void *dev, bool power_on)
{
    enum { WIDTH_32 = 0x10, WIDTH_64 = 0x18, TWO_BANKS = 0x80 };
    Cirrus *s = dev;
    s->sr_misc[SR_DRAM] = s->vga.vram_size >= 4 << 20   ? WIDTH_64 | TWO_BANKS
                          : s->vga.vram_size == 2 << 20 ? WIDTH_64
                                                        : WIDTH_32;
}

#define PORT(port) (port) - VGA_PORT_BASE
#define SR(at_, ...) REG(Cirrus, sr_misc[at_], at_, .space = VGA_SEQ, .rw = 0xff, __VA_ARGS__)
#define GR(at_, name_, mask, ...) REG(Cirrus, gr[at_], at_, .space = VGA_GC, .name = name_, .rw = mask, __VA_ARGS__)
#define CR(f, at_, mask, ...) REG(Cirrus, f, at_, .space = VGA_CRTC, .rw = mask, __VA_ARGS__)

/* Rows before the VGA's take the place of those at the same address. */
// clang-format off
static const Row rows[] = {
    REG(Cirrus, hdr, PORT(0x3c6), WHEN(Cirrus, vga.mask_reads, 0xff, 4), .rw = 0xff, .on_read = hdr_read,
        .on_write = hdr_write, .doc = "Hidden DAC register"),
    CALC(cursor_color_data, 1, PORT(0x3c9), WHEN(Cirrus, cursor_attr, CURSOR_COLORS, CURSOR_COLORS),
         .get = cursor_color_get, .on_read = cursor_color_read, .on_write = cursor_color_write),
    REG(Cirrus, map_mask, SEQ_MAP_MASK, .space = VGA_SEQ, .name = "sr2", .rw = 0xff, .on_write = map_mask_write),
    REG(Cirrus, gr0, GC_SET_RESET, .space = VGA_GC, .rw = 0xff, .on_write = gr_low_write, .arg = GC_SET_RESET),
    REG(Cirrus, gr1, GC_ENABLE_SET_RESET, .space = VGA_GC, .rw = 0xff, .on_write = gr_low_write, .arg = GC_ENABLE_SET_RESET),
    REG(Cirrus, gr5, GC_MODE, .space = VGA_GC, .rw = 0x7f, .on_write = gr_low_write, .arg = GC_MODE),
    PART(Cirrus, vga, vga_chip_class),
    PROP_AS(Cirrus, vga.vgamem_mb, "vgamem_mb", "4", "Display memory in MiB"),
    PROP(Cirrus, blitter, "on", "The BitBLT engine works"),
    PROP_AS(Cirrus, global_vmstate, "global-vmstate", "off", "Accepted; snapshots name the memory alike either way"),
    /* sequencer */
    CALC(sr6_reg, 1, 0x06, .space = VGA_SEQ, .get = sr6_get, .on_write = sr6_write, .doc = "Unlock extensions"),
    STATE(Cirrus, sr6, .max = UNLOCK_BITS),
    REG(Cirrus, sr7, 0x07, .space = VGA_SEQ, .rw = 0xff, .bits = "PACKED D0 D1 D2", .doc = "Extended sequencer mode"),
    SR(0x08, .name = "sr8"), SR(0x09, .name = "sr9"), SR(0x0a, .name = "sra"), SR(0x0b, .name = "srb", .reset = 0x66),
    SR(0x0c, .name = "src", .reset = 0x5b), SR(0x0d, .name = "srd", .reset = 0x45), SR(0x0e, .name = "sre", .reset = 0x7e),
    SR(SR_DRAM, .name = "srf", .doc = "DRAM control"),
    CALC(sr10, 1, 0x10, .count = 8, .step = 0x20, .space = VGA_SEQ, .get = cursor_get, .on_write = cursor_write, .arg = 0,
         .doc = "Cursor X"),
    CALC(sr11, 1, 0x11, .count = 8, .step = 0x20, .space = VGA_SEQ, .get = cursor_get, .on_write = cursor_write, .arg = 1,
         .doc = "Cursor Y"),
    STATE(Cirrus, cursor_x, .max = 0x7ff),
    STATE(Cirrus, cursor_y, .max = 0x7ff),
    REG(Cirrus, cursor_attr, 0x12, .space = VGA_SEQ, .rw = 0x87, .bits = "ON COLORS SIZE64 - - - - OSC", .name = "sr12"),
    REG(Cirrus, cursor_pattern, 0x13, .space = VGA_SEQ, .rw = 0x3f, .name = "sr13"),
    STATES(Cirrus, cursor_color),
    STATES(Cirrus, cursor_hold),
    SR(0x14, .name = "sr14"), SR(0x15, .name = "sr15"), SR(0x16, .name = "sr16"),
    SR(SR_CONFIG, .name = "sr17", .reset = 0x20, .bits = "- - MMIO - - PCI MMIO_LINEAR"),
    SR(0x18, .name = "sr18"), SR(0x1b, .name = "sr1b", .reset = 0x3b), SR(0x1c, .name = "sr1c", .reset = 0x2f),
    SR(0x1d, .name = "sr1d", .reset = 0x30), SR(0x1e, .name = "sr1e", .reset = 0x33),
    SR(0x1f, .name = "sr1f", .reset = 0x1c, .doc = "Memory clock"),
    /* graphics controller */
    GR(GR_OFFSET0, "gr9", 0xff, .doc = "Offset register 0"),
    GR(GR_OFFSET1, "gra", 0xff, .doc = "Offset register 1"),
    GR(GR_MODE_EXT, "grb", 0x3f, .bits = "DUAL BY8 WM45 LATCH8 W16 GRAIN16K", .doc = "Mode extensions"),
    GR(0x0c, "grc", 0xff), GR(0x0d, "grd", 0xff), GR(0x0e, "gre", 0xff),
    GR(GR_BG1, "gr10", 0xff), GR(GR_FG1, "gr11", 0xff), GR(GR_BG2, "gr12", 0xff), GR(GR_FG2, "gr13", 0xff),
    GR(GR_BG3, "gr14", 0xff), GR(GR_FG3, "gr15", 0xff),
    GR(0x20, "gr20", 0xff, .doc = "BLT width"), GR(0x21, "gr21", 0x1f),
    GR(0x22, "gr22", 0xff, .doc = "BLT height"), GR(0x23, "gr23", 0x07),
    GR(0x24, "gr24", 0xff, .doc = "BLT destination pitch"), GR(0x25, "gr25", 0x1f),
    GR(0x26, "gr26", 0xff, .doc = "BLT source pitch"), GR(0x27, "gr27", 0x1f),
    GR(0x28, "gr28", 0xff, .doc = "BLT destination"), GR(0x29, "gr29", 0xff), GR(0x2a, "gr2a", 0x3f, .on_write = blt_dst_write),
    GR(0x2c, "gr2c", 0xff, .doc = "BLT source"), GR(0x2d, "gr2d", 0xff), GR(0x2e, "gr2e", 0x3f),
    GR(GR_LEFT_CLIP, "gr2f", 0x7f, .doc = "BLT left clipping"),
    GR(GR_BLT_MODE, "gr30", 0xff, .bits = "DEC DSTSYS SRCSYS TRANS W0 W1 PATTERN EXPAND", .doc = "BLT mode"),
    GR(GR_BLT_STATUS, "gr31", 0xf6, .on_write = blt_status_write, .bits = "BUSY START RESET PROGRESS - - - AUTO"),
    GR(GR_BLT_ROP, "gr32", 0xff, .doc = "BLT raster operation"),
    GR(GR_BLT_EXT, "gr33", 0x1f, .bits = "DWORDS INVERT SOLID", .doc = "BLT mode extensions"),
    GR(0x34, "gr34", 0xff, .doc = "BLT colour key"), GR(0x35, "gr35", 0xff),
    GR(0x38, "gr38", 0xff, .doc = "BLT colour key mask"), GR(0x39, "gr39", 0xff),
    STATE(Cirrus, latch8),
    STATE(Cirrus, blt_left, .max = (BLT_LINE + 4) * 2048),
    STATE(Cirrus, blt_row, .max = 2048),
    STATE(Cirrus, blt_fill, .max = BLT_LINE),
    STATES(Cirrus, blt_line),
    /* CRT controller */
    CR(cr_sync[0], 0x19, 0xff, .name = "cr19", .doc = "Interlace end"),
    CR(cr1a, 0x1a, 0xff, .doc = "Miscellaneous control"),
    CR(cr1b, 0x1b, 0xff, .doc = "Extended display control"),
    CR(cr_sync[1], 0x1c, 0xff, .name = "cr1c", .doc = "Sync adjust"),
    CR(cr1d, 0x1d, 0xff, .doc = "Overlay extended control"),
    CALC(cr24, 1, 0x24, .space = VGA_CRTC, .ro = true, FROM(Cirrus, vga.atc_data_next), .doc = "Attribute controller toggle"),
    CALC(cr26, 1, 0x26, .space = VGA_CRTC, .ro = true, FROM(Cirrus, vga.atc_index), .doc = "Attribute controller index"),
    CALC(cr27, 1, 0x27, .space = VGA_CRTC, .ro = true, FROM(Cirrus, id), .doc = "Identification"),
    END,
};
// clang-format on

const DeviceClass cirrus_vga_class = {
    .name = "cirrus-vga",
    .doc = "Cirrus CLGD 54xx VGA",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "display",
    .open = 1 << VGA_PORTS,
    .size = sizeof(Cirrus),
    .rows = rows,
    .info = &(const PciInfo){.vendor = 0x1013,
                             .device = 0x00b8,
                             .class_code = 0x030000,
                             .romfile = "vgabios-cirrus.bin"},
    .realize = cirrus_realize,
    .unrealize = cirrus_unrealize,
    .reset = cirrus_reset,
    .update = cirrus_update,
};

/* ---- On the ISA bus: the chip before it, a CL-GD5430 by its number, without the linear framebuffer.  Of a PciDevice only the
 * Device is used. ---- */

static bool isa_cirrus_realize(void *dev, GError **error)
{
    Cirrus *s = dev;
    IsaBus *isa = isa_bus(&s->pci.dev);
    if (!make_chip(s, GD5430, error)) {
        return false;
    }
    if (isa) {
        if (!vga_bios_offer("isa-cirrus-vga", "vgabios-cirrus.bin", error)) {
            return false;
        }
        map_chip(s, isa->memory, isa->io);
    }
    return true;
}

static void isa_cirrus_reset(void *dev, bool power_on)
{
    Cirrus *s = dev;
    cirrus_reset(dev, power_on);
    s->sr_misc[SR_CONFIG] = SR17_ISA;
}

const DeviceClass isa_cirrus_vga_class = {
    .name = "isa-cirrus-vga",
    .doc = "Cirrus CLGD 54xx VGA on the ISA bus",
    .bus = "ISA",
    .category = "display",
    .open = 1 << VGA_PORTS,
    .size = sizeof(Cirrus),
    .rows = rows,
    .realize = isa_cirrus_realize,
    .unrealize = cirrus_unrealize,
    .reset = isa_cirrus_reset,
    .update = cirrus_update,
};
