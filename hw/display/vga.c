/* IBM VGA: its registers (IBM "Personal System/2 Hardware Interface Technical Reference", video
 * subsystem; FreeVGA), and how the memory window appears. */
#include "hw/display/vga.h"

#include <string.h>

enum { MISC_COLOR = 0x01, MASK_READS = 4 };

static void atc_address_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Vga *s = dev;
    s->atc_index = value & 0x1f;
    s->atc_screen_on = value & 0x20;
    s->atc_data_next = true;
}

static void atc_data_written(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Vga *)dev)->atc_data_next = false;
}

static uint64_t atc_address(const void *dev, unsigned arg, unsigned i)
{
    const Vga *s = dev;
    return s->atc_index | (s->atc_screen_on ? 0x20 : 0);
}

static uint64_t status1(const void *dev, unsigned arg, unsigned i)
{
    const Vga *s = dev;
    return vga_input_status(s, now(&s->dev));
}

static void status1_read(void *dev, unsigned arg, unsigned i)
{
    ((Vga *)dev)->atc_data_next = false;
}

/* ---- DAC: three bytes a colour, the address moves on after the third ---- */

static unsigned dac_bits(const Vga *s)
{
    return s->enable & DISPI_8BIT_DAC ? 0xff : 0x3f;
}

static void dac_read_address(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Vga *s = dev;
    s->dac_read = (uint8_t)value;
    s->dac_part = s->mask_reads = 0;
    s->dac_reading = true;
}

static void dac_write_address(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Vga *s = dev;
    s->dac_part = s->mask_reads = 0;
    s->dac_reading = false;
}

static void dac_mask_read(void *dev, unsigned arg, unsigned i)
{
    Vga *s = dev;
    s->mask_reads = (uint8_t)MIN(s->mask_reads + 1, MASK_READS);
}

static void dac_touched(void *dev, unsigned arg, unsigned i)
{
    ((Vga *)dev)->mask_reads = 0;
}

static void dac_mask_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Vga *)dev)->mask_reads = 0;
}

static uint64_t dac_state(const void *dev, unsigned arg, unsigned i)
{
    return ((const Vga *)dev)->dac_reading ? 3 : 0;
}

static uint64_t dac_data(const void *dev, unsigned arg, unsigned i)
{
    const Vga *s = dev;
    return s->palette[3 * s->dac_read + s->dac_part] & dac_bits(s);
}

static void dac_data_read(void *dev, unsigned arg, unsigned i)
{
    Vga *s = dev;
    s->mask_reads = 0;
    if (++s->dac_part == 3) {
        s->dac_part = 0;
        s->dac_read++;
    }
}

static void dac_data_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Vga *s = dev;
    s->mask_reads = 0;
    if (s->dac_part < 2) {
        s->dac_hold[s->dac_part++] = (uint8_t)(value & dac_bits(s));
        return;
    }
    uint8_t *p = &s->palette[3 * s->dac_write++];
    p[0] = s->dac_hold[0];
    p[1] = s->dac_hold[1];
    p[2] = (uint8_t)(value & dac_bits(s));
    s->dac_part = 0;
}

/* ---- CRTC: registers 0-7 are locked by bit 7 of 11h, except line compare's bit in the overflow
 * register ---- */

static void overflow_locked(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Vga *s = dev;
    s->crtc[CR_OVERFLOW] = (uint8_t)((s->crtc[CR_OVERFLOW] & ~0x10) | (value & 0x10));
}

static void crtc_index_mono(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Vga *)dev)->crtc_index = value & 0x3f;
}

static void feature_mono(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Vga *)dev)->feature = value & 0x0b;
}

/* ---- Memory window and ports ---- */

static void vga_update(void *dev)
{
    Vga *s = dev;
    uint64_t offset;
    bool direct = vga_mem_direct(s, &offset);
    if (direct) {
        region_set_alias(s->direct, offset);
    }
    region_set_enabled(s->direct, direct);
}

/* What the card decodes of its port block: not 3bc-3be, which belong to a printer port. */
static const struct {
    uint16_t first, count;
} decoded[VGA_PORT_RANGES] = {{0x3b4, 2}, {0x3ba, 1}, {0x3c0, 16}, {0x3d4, 2}, {0x3da, 1}};

void vga_map_ports(Vga *s, Region *io)
{
    for (unsigned i = 0; i < VGA_PORT_RANGES; i++) {
        region_map(io, s->ports[i], decoded[i].first, 0);
    }
}

void vga_map(Vga *s, Region *memory, Region *io)
{
    region_map(memory, s->window, 0xa0000, 1);
    region_map(memory, s->direct, 0xa0000, 2);
    vga_map_ports(s, io);
    region_map(io, s->ports_dispi, DISPI_PORT, 0);
}

static bool vga_realize(void *dev, GError **error)
{
    static unsigned number;
    Vga *s = dev;
    uint32_t mb = s->vgamem_mb;
    if (s->vgamem) {
        mb = s->vgamem > 256u << 20 ? UINT32_MAX : (uint32_t)(s->vgamem >> 20);
        if (s->vgamem & ((1 << 20) - 1) || mb > 256 || (mb & (mb - 1))) {
            return error_fail(error, "Property '%s.vgamem' takes a power of two from 1M to 256M",
                              device_whole(&s->dev)->class->name);
        }
    }
    if (mb < 1 || mb > 256 || (mb & (mb - 1))) {
        return error_fail(error,
                          "Property '%s.vgamem_mb' takes a power of two from 1 to 256, not %u",
                          device_whole(&s->dev)->class->name, mb);
    }
    g_autofree char *name = number ? g_strdup_printf("vga.vram.%u", number) : g_strdup("vga.vram");
    s->vram = ram_new(name, (uint64_t)mb << 20, NULL, error);
    if (!s->vram) {
        return false;
    }
    number++;
    s->vram_size = mb << 20;
    s->vram_region = region_ram("vga.vram", s->vram, 0, s->vram_size);
    s->direct = region_alias("vga.direct", s->vram_region, 0, 0x10000);
    region_set_enabled(s->direct, false);
    s->window = device_region_io(&s->dev, "vga-lowmem", 0x20000, &vga_mem_ops);
    region_set_coalesced(s->window, true);
    Region *all = device_region(&s->dev, VGA_PORTS, "vga-ports", VGA_PORT_COUNT);
    for (unsigned i = 0; i < VGA_PORT_RANGES; i++) {
        s->ports[i] =
            region_alias("vga-ports", all, decoded[i].first - VGA_PORT_BASE, decoded[i].count);
    }
    s->ports_dispi = device_region_io(&s->dev, "vbe", 3, &vbe_port_ops);
    s->seq_index_mask = 0x07;
    s->gc_index_mask = 0x0f;
    s->draw = vga_draw_new();
    s->console = console_new(device_whole(&s->dev)->class->name, &vga_console, s);
    return true;
}

static void vga_unrealize(void *dev)
{
    Vga *s = dev;
    console_free(s->console);
    vga_draw_free(s->draw);
    for (unsigned i = 0; i < VGA_PORT_RANGES; i++) {
        region_free(s->ports[i]);
    }
    region_unmap(s->window);
    region_unmap(s->ports_dispi);
    region_free(s->direct);
    region_free(s->vram_region);
    mem_commit();
    ram_free(s->vram);
}

/* A register of an indexed file; shorter than REG, since there are so many. */
#define SEQ(reg, name_, mask, ...)                                                                 \
    REG(Vga, seq[reg], reg, .space = VGA_SEQ, .name = name_, .rw = mask, __VA_ARGS__)
#define GC(reg, name_, mask, ...)                                                                  \
    REG(Vga, gc[reg], reg, .space = VGA_GC, .name = name_, .rw = mask, __VA_ARGS__)
#define CR(reg, name_, mask, ...)                                                                  \
    REG(Vga, crtc[reg], reg, .space = VGA_CRTC, .name = name_, .rw = mask, __VA_ARGS__)
#define ATC(reg, name_, mask, ...)                                                                 \
    REG(Vga, atc[reg], reg, .space = VGA_ATC, .name = name_, .rw = mask, __VA_ARGS__)
#define UNLOCKED   LOCK(Vga, crtc[CR_V_SYNC_END], 0x80, 0x00)
#define PORT(port) (port) - VGA_PORT_BASE
#define COLOR      WHEN(Vga, misc, MISC_COLOR, MISC_COLOR)
#define MONO       WHEN(Vga, misc, MISC_COLOR, 0)
#define VBE(reg, name_, ...)                                                                       \
    CALC(name_, 2, 2 * reg, .space = VGA_DISPI, .arg = reg, .get = vbe_read, __VA_ARGS__)
#define VBE_RW(reg, name_) VBE(reg, name_, .on_write = vbe_write)

// clang-format off
static const Row rows[] = {
    /* general */
    REG(Vga, misc, PORT(0x3c2), .wo = true, .rw = 0xef, .bits = "IOAS RAM CS0 CS1 - PAGE HSP VSP", .doc = "Miscellaneous output"),
    CALC(misc_read, 1, PORT(0x3cc), .ro = true, FROM(Vga, misc)),
    CALC(status0, 1, PORT(0x3c2), .ro = true, .is = 0x10, .doc = "Input status 0: the monitor is a colour one"),
    CALC(status1, 1, PORT(0x3da), .ro = true, COLOR, .get = status1, .on_read = status1_read, .bits = "DD - - VR", .doc = "Input status 1"),
    CALC(status1_mono, 1, PORT(0x3ba), .ro = true, MONO, .get = status1, .on_read = status1_read),
    REG(Vga, feature, PORT(0x3da), .wo = true, .rw = 0x0b, COLOR, .doc = "Feature control"),
    CALC(feature_mono, 1, PORT(0x3ba), .wo = true, MONO, .on_write = feature_mono),
    CALC(feature_read, 1, PORT(0x3ca), .ro = true, FROM(Vga, feature)),
    /* index and data */
    REG(Vga, seq_index, PORT(0x3c4), MASK(Vga, seq_index_mask)),
    WINDOW(Vga, seq_data, 1, PORT(0x3c5), VGA_SEQ, seq_index),
    REG(Vga, gc_index, PORT(0x3ce), MASK(Vga, gc_index_mask)),
    WINDOW(Vga, gc_data, 1, PORT(0x3cf), VGA_GC, gc_index),
    REG(Vga, crtc_index, PORT(0x3d4), COLOR, .rw = 0x3f),
    WINDOW(Vga, crtc_data, 1, PORT(0x3d5), VGA_CRTC, crtc_index, COLOR),
    CALC(crtc_index_mono, 1, PORT(0x3b4), MONO, FROM(Vga, crtc_index), .on_write = crtc_index_mono),
    WINDOW(Vga, crtc_data_mono, 1, PORT(0x3b5), VGA_CRTC, crtc_index, MONO),
    CALC(atc_address, 1, PORT(0x3c0), .get = atc_address, .on_write = atc_address_write, WHEN(Vga, atc_data_next, 1, 0)),
    WINDOW(Vga, atc_data_write, 1, PORT(0x3c0), VGA_ATC, atc_index, .wo = true, .on_write = atc_data_written),
    CALC(atc_address_read, 1, PORT(0x3c0), .ro = true, .get = atc_address),
    WINDOW(Vga, atc_data, 1, PORT(0x3c1), VGA_ATC, atc_index, .ro = true),
    STATE(Vga, atc_index, .max = 0x1f),
    STATE(Vga, atc_data_next),
    STATE(Vga, atc_screen_on),
    /* sequencer */
    SEQ(SEQ_RESET, "seq_reset", 0x03, .bits = "AR SR"),
    SEQ(SEQ_CLOCKING, "clocking", 0x3d, .bits = "D89 - SL DC S4 SO", .doc = "Clocking mode"),
    SEQ(SEQ_MAP_MASK, "map_mask", 0x0f),
    SEQ(SEQ_CHAR_MAP, "char_map", 0x3f, .doc = "Character map select"),
    SEQ(SEQ_MEMORY_MODE, "memory_mode", 0x0e, .bits = "- EM OE CH4"),
    /* graphics controller */
    GC(GC_SET_RESET, "set_reset", 0x0f),
    GC(GC_ENABLE_SET_RESET, "enable_set_reset", 0x0f),
    GC(GC_COLOR_COMPARE, "color_compare", 0x0f),
    GC(GC_ROTATE, "data_rotate", 0x1f, .doc = "Rotate count, logical function"),
    GC(GC_READ_MAP, "read_map", 0x03),
    GC(GC_MODE, "gc_mode", 0x7b, .bits = "WM0 WM1 - RM OE SR C256"),
    GC(GC_MISC, "gc_misc", 0x0f, .bits = "GM COE MM0 MM1"),
    GC(GC_DONT_CARE, "dont_care", 0x0f),
    GC(GC_BIT_MASK, "bit_mask", 0xff),
    /* CRT controller */
    CR(CR_H_TOTAL, "htotal", 0xff, UNLOCKED),
    CR(CR_H_DISPLAY_END, "hdisplay_end", 0xff, UNLOCKED),
    CR(CR_H_BLANK_START, "hblank_start", 0xff, UNLOCKED),
    CR(CR_H_BLANK_END, "hblank_end", 0xff, UNLOCKED),
    CR(CR_H_SYNC_START, "hsync_start", 0xff, UNLOCKED),
    CR(CR_H_SYNC_END, "hsync_end", 0xff, UNLOCKED),
    CR(CR_V_TOTAL, "vtotal", 0xff, UNLOCKED),
    CALC(overflow_locked, 1, CR_OVERFLOW, .space = VGA_CRTC, .wo = true, WHEN(Vga, crtc[CR_V_SYNC_END], 0x80, 0x80),
         .on_write = overflow_locked),
    CR(CR_OVERFLOW, "overflow", 0xff, .bits = "VT8 VDE8 VRS8 VBS8 LC8 VT9 VDE9 VRS9"),
    CR(CR_PRESET_ROW, "preset_row", 0x7f),
    CR(CR_MAX_SCAN, "max_scan", 0xff),
    CR(CR_CURSOR_START, "cursor_start", 0x3f),
    CR(CR_CURSOR_END, "cursor_end", 0x7f),
    CR(CR_START_HIGH, "start_high", 0xff),
    CR(CR_START_LOW, "start_low", 0xff),
    CR(CR_CURSOR_HIGH, "cursor_high", 0xff),
    CR(CR_CURSOR_LOW, "cursor_low", 0xff),
    CR(CR_V_SYNC_START, "vsync_start", 0xff),
    CR(CR_V_SYNC_END, "vsync_end", 0xff),
    CR(CR_V_DISPLAY_END, "vdisplay_end", 0xff),
    CR(CR_OFFSET, "offset", 0xff),
    CR(CR_UNDERLINE, "underline", 0x7f, .bits = "- - - - - CB4 DW"),
    CR(CR_V_BLANK_START, "vblank_start", 0xff),
    CR(CR_V_BLANK_END, "vblank_end", 0xff),
    CR(CR_MODE, "crtc_mode", 0xef, .bits = "CMS0 RS1 HRS CB2 - AW WB RE"),
    CR(CR_LINE_COMPARE, "line_compare", 0xff),
    /* attribute controller */
    REGS(Vga, atc, 0, .count = ATC_MODE, .space = VGA_ATC, .rw = 0x3f, .name = "atc_palette"),
    ATC(ATC_MODE, "atc_mode", 0xef, .bits = "G MDA ELG BI - PPM PCS IPS"),
    ATC(ATC_OVERSCAN, "overscan", 0xff),
    ATC(ATC_PLANE_ENABLE, "plane_enable", 0x3f),
    ATC(ATC_PANNING, "panning", 0x0f),
    ATC(ATC_COLOR_SELECT, "color_select", 0x0f),
    /* DAC */
    REG(Vga, dac_mask, PORT(0x3c6), .rw = 0xff, .reset = 0xff, .on_read = dac_mask_read, .on_write = dac_mask_write),
    CALC(dac_read_address, 1, PORT(0x3c7), .wo = true, .on_write = dac_read_address),
    CALC(dac_state, 1, PORT(0x3c7), .ro = true, .get = dac_state),
    REG(Vga, dac_write, PORT(0x3c8), .rw = 0xff, .on_read = dac_touched, .on_write = dac_write_address),
    CALC(dac_data, 1, PORT(0x3c9), .get = dac_data, .on_read = dac_data_read, .on_write = dac_data_write),
    STATE(Vga, dac_read),
    STATE(Vga, dac_part, .max = 2),
    STATE(Vga, dac_reading),
    STATE(Vga, mask_reads, .max = MASK_READS),
    STATES(Vga, palette),
    STATES(Vga, dac_hold),
    STATE(Vga, latch),
    /* Bochs display interface */
    VBE_RW(DISPI_ID, vbe_id),
    VBE_RW(DISPI_XRES, vbe_xres),
    VBE_RW(DISPI_YRES, vbe_yres),
    VBE_RW(DISPI_BPP, vbe_bpp),
    VBE_RW(DISPI_ENABLE, vbe_enable),
    VBE_RW(DISPI_BANK, vbe_bank),
    VBE_RW(DISPI_VIRT_WIDTH, vbe_virt_width),
    VBE(DISPI_VIRT_HEIGHT, vbe_virt_height, .ro = true),
    VBE_RW(DISPI_X_OFFSET, vbe_x_offset),
    VBE_RW(DISPI_Y_OFFSET, vbe_y_offset),
    VBE(DISPI_MEMORY_64K, vbe_memory, .ro = true),
    STATE(Vga, dispi_index),
    STATE(Vga, dispi_id, .reset = DISPI_ID_5),
    STATE(Vga, xres, .max = DISPI_MAX_X),
    STATE(Vga, yres, .max = DISPI_MAX_Y),
    STATE(Vga, bpp, .reset = 8, .max = 32),
    STATE(Vga, enable),
    STATE(Vga, bank),
    STATE(Vga, virt_width, .max = DISPI_MAX_X),
    STATE(Vga, x_offset, .max = DISPI_MAX_X),
    STATE(Vga, y_offset),
    STATE(Vga, big_endian),
    /* from the whole */
    DERIVED(Vga, packed),
    DERIVED(Vga, cursor),
    DERIVED(Vga, plane_bank),
    DERIVED(Vga, wide_planes),
    DERIVED(Vga, seq_index_mask),
    DERIVED(Vga, gc_index_mask),
    END,
};
// clang-format on

const DeviceClass vga_chip_class = {
    .name = "vga-chip",
    .doc = "VGA, without a bus and a size of memory",
    .category = "display",
    .abstract = true,
    .internal = true,
    .open = 1 << VGA_PORTS,
    .size = sizeof(Vga),
    .rows = rows,
    .realize = vga_realize,
    .unrealize = vga_unrealize,
    .update = vga_update,
};

static const Row core_rows[] = {
    PROP(Vga, vgamem_mb, "16", "Display memory in MiB"),
    END,
};

const DeviceClass vga_core_class = {
    .name = "vga-core",
    .doc = "VGA with the Bochs display interface, without a bus",
    .base = &vga_chip_class,
    .category = "display",
    .internal = true,
    .open = 1 << VGA_PORTS,
    .size = sizeof(Vga),
    .rows = core_rows,
};
