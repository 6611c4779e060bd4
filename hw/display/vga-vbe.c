/* The Bochs display interface ("VBE DISPI"): eleven 16-bit registers that set linear modes.
 *
 * Registers keep what fits their ranges; what is shown is derived from all of them together, so
 * that no order of writes and no snapshot can point outside the memory. */
#include "hw/display/vga.h"

#include <string.h>

/* Dots a line takes in memory; 4 bpp keeps eight dots in each plane's byte. */
static uint32_t line_bytes(const Vga *s, unsigned dots)
{
    switch (s->bpp) {
    case 4: return (dots + 7) / 8 * 4;
    case 15:
    case 16: return dots * 2;
    case 24: return dots * 3;
    case 32: return dots * 4;
    default: return dots;
    }
}

static unsigned shown_width(const Vga *s)
{
    return CLAMP(s->xres & ~7u, 8, DISPI_MAX_X);
}

static unsigned virtual_width(const Vga *s)
{
    return MAX(s->virt_width & ~7u, shown_width(s));
}

static unsigned virtual_height(const Vga *s)
{
    return MIN(s->vram_size / line_bytes(s, virtual_width(s)), UINT16_MAX);
}

VbeMode vbe_mode(const Vga *s)
{
    unsigned rows = MAX(virtual_height(s), 1);
    VbeMode m = {
        .width = shown_width(s),
        .bpp = s->bpp,
        .pitch = line_bytes(s, virtual_width(s)),
    };
    m.height = CLAMP(s->yres, 1, rows);
    unsigned x = MIN(s->x_offset, virtual_width(s) - m.width),
             y = MIN(s->y_offset, rows - m.height);
    if (m.bpp == 4) {
        m.pan = x & 7;
        m.start = m.pitch * y + x / 8 * 4;
    } else {
        m.start = m.pitch * y + line_bytes(s, x);
    }
    return m;
}

static void enable_write(Vga *s, unsigned value)
{
    bool was = vbe_enabled(s);
    s->enable =
        value & (DISPI_ENABLED | DISPI_GETCAPS | DISPI_8BIT_DAC | DISPI_LFB | DISPI_NOCLEAR);
    if (was || !vbe_enabled(s)) {
        return;
    }
    s->xres = (uint16_t)shown_width(s);
    s->yres = (uint16_t)CLAMP(s->yres, 1, DISPI_MAX_Y);
    s->virt_width = s->xres;
    s->x_offset = s->y_offset = s->bank = 0;
    s->yres = (uint16_t)MIN(s->yres, MAX(virtual_height(s), 1));
    if (!(value & DISPI_NOCLEAR)) {
        static const uint8_t zeros[4096];
        VbeMode m = vbe_mode(s);
        for (uint64_t at = 0, end = (uint64_t)m.pitch * m.height; at < end; at += sizeof zeros) {
            ram_write(s->vram, at, zeros, MIN(sizeof zeros, end - at));
        }
    }
}

void vbe_write(void *dev, unsigned reg, unsigned i, uint64_t old, uint64_t value)
{
    Vga *s = dev;
    uint16_t v = (uint16_t)value;
    switch (reg) {
    case DISPI_ID:
        if (v >= DISPI_ID_0 && v <= DISPI_ID_5) {
            s->dispi_id = v;
        }
        break;
    case DISPI_XRES: s->xres = MIN(v, DISPI_MAX_X); break;
    case DISPI_YRES: s->yres = MIN(v, DISPI_MAX_Y); break;
    case DISPI_BPP:
        if (v == 0) {
            v = 8; /* before version 2 the depth was always 8 */
        }
        if (v == 4 || v == 8 || v == 15 || v == 16 || v == 24 || v == 32) {
            s->bpp = v;
        } else {
            guest_error(&s->dev, "dispi: no mode with %u bits per pixel", v);
        }
        break;
    case DISPI_ENABLE: enable_write(s, v); break;
    case DISPI_BANK: s->bank = v & (uint16_t)((s->vram_size >> (s->bpp == 4 ? 18 : 16)) - 1); break;
    case DISPI_VIRT_WIDTH: s->virt_width = MIN(v, DISPI_MAX_X); break;
    case DISPI_X_OFFSET: s->x_offset = MIN(v, DISPI_MAX_X); break;
    case DISPI_Y_OFFSET: s->y_offset = v; break;
    }
}

uint64_t vbe_read(const void *dev, unsigned reg, unsigned i)
{
    const Vga *s = dev;
    bool caps = s->enable & DISPI_GETCAPS;
    switch (reg) {
    case DISPI_ID: return s->dispi_id;
    case DISPI_XRES: return caps ? DISPI_MAX_X : s->xres;
    case DISPI_YRES: return caps ? DISPI_MAX_Y : s->yres;
    case DISPI_BPP: return caps ? 32 : s->bpp;
    case DISPI_ENABLE: return s->enable;
    case DISPI_BANK: return s->bank;
    case DISPI_VIRT_WIDTH: return virtual_width(s);
    case DISPI_VIRT_HEIGHT: return virtual_height(s);
    case DISPI_X_OFFSET:
        return vbe_enabled(s) ? MIN(s->x_offset, virtual_width(s) - shown_width(s)) : s->x_offset;
    case DISPI_Y_OFFSET: return s->y_offset;
    case DISPI_MEMORY_64K: return s->vram_size >> 16;
    default: return 0;
    }
}

/* 1ce: the index; 1cf (and 1d0, for those who want it aligned): the data.  All are 16 bits wide. */
static uint64_t port_read(void *opaque, uint64_t at, unsigned size)
{
    Vga *s = opaque;
    return at ? s->dispi_index < DISPI_REGS ? vbe_read(s, s->dispi_index, 0) : 0 : s->dispi_index;
}

static void port_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    Vga *s = opaque;
    if (!at) {
        s->dispi_index = (uint16_t)value;
    } else {
        vbe_write(s, s->dispi_index, 0, 0, value);
    }
}

const IoOps vbe_port_ops = {port_read, port_write, 1, 2};
