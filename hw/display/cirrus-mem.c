/* CL-GD5446: how the CPU reaches display memory: a window with two movable halves, or the linear framebuffer; plainly, or
 * through the extended write modes (TRM: GR9, GRA, GRB, GR5, "Extended write modes"). */
#include "hw/display/cirrus.h"

enum { HALF = 0x8000, MAP_64K = 1 };
enum { WRITE_LATCHES = 1, WRITE_FOREGROUND = 4, WRITE_BOTH = 5 };

static unsigned write_mode(const Cirrus *s)
{
    return s->gr5 & (s->gr[GR_MODE_EXT] & EXT_WRITE_MODES ? 7 : 3);
}

/* Whether a store means more than its byte. */
static bool expands(const Cirrus *s)
{
    unsigned mode = write_mode(s), ext = s->gr[GR_MODE_EXT];
    return mode == WRITE_FOREGROUND || mode == WRITE_BOTH || ext & EXT_BY8 ||
           (mode == WRITE_LATCHES && ext & EXT_LATCHES8);
}

/* Where the half's first byte lies.  With one offset register the second half follows the first. */
static uint32_t half_at(const Cirrus *s, unsigned half)
{
    unsigned ext = s->gr[GR_MODE_EXT], dual = ext & EXT_DUAL;
    uint32_t offset = s->gr[dual && half ? GR_OFFSET1 : GR_OFFSET0];
    return (offset << (ext & EXT_GRAIN_16K ? 14 : 12)) + (dual ? 0 : half * HALF);
}

static uint32_t in_memory(const Cirrus *s, uint64_t at)
{
    return (uint32_t)at & (s->vga.vram_size - 1);
}

/* Pixels that a byte of the CPU stands for lie this many times as far. */
static unsigned address_shift(const Cirrus *s)
{
    unsigned ext = s->gr[GR_MODE_EXT];
    return !(ext & EXT_BY8) ? 0 : ext & EXT_16BIT ? 4 : 3;
}

/* Write modes 4 and 5: each bit draws a pixel in the foreground (GR1) or background (GR0) colour; SR2 masks pixels. */
static void write_expanded(Cirrus *s, uint32_t at, uint8_t bits)
{
    bool wide = s->gr[GR_MODE_EXT] & EXT_16BIT, both = write_mode(s) == WRITE_BOTH;
    const uint8_t fg[2] = {s->gr1, s->gr[GR_FG1]}, bg[2] = {s->gr0, s->gr[GR_BG1]};
    unsigned size = wide ? 2 : 1;
    for (unsigned i = 0; i < 8; i++) {
        bool one = bits >> (7 - i) & 1;
        if (s->map_mask >> (7 - i) & 1 && (one || both)) {
            ram_write(s->vga.vram, in_memory(s, at + i * size) & ~(size - 1), one ? fg : bg, size);
        }
    }
}

static uint8_t packed_read(Cirrus *s, uint32_t at)
{
    uint8_t value;
    at = in_memory(s, (uint64_t)at << address_shift(s));
    if (s->gr[GR_MODE_EXT] & EXT_LATCHES8) {
        ram_read(s->vga.vram, at & ~7u, &s->latch8, sizeof(s->latch8));
    }
    ram_read(s->vga.vram, at, &value, 1);
    return value;
}

static void packed_write(Cirrus *s, uint32_t at, uint8_t value)
{
    unsigned mode = write_mode(s);
    at = in_memory(s, (uint64_t)at << address_shift(s));
    if (mode == WRITE_FOREGROUND || mode == WRITE_BOTH) {
        write_expanded(s, at, value);
    } else if (mode == WRITE_LATCHES && s->gr[GR_MODE_EXT] & EXT_LATCHES8) {
        ram_write(s->vga.vram, at & ~7u, &s->latch8, sizeof(s->latch8));
    } else {
        ram_write(s->vga.vram, at, &value, 1);
    }
}

/* ---- a0000-bffff ---- */

static bool window_open(const Cirrus *s)
{
    enum { MISC_RAM_ENABLE = 0x02 };
    return s->vga.misc & MISC_RAM_ENABLE;
}

static uint64_t window_read(void *opaque, uint64_t at, unsigned size)
{
    Cirrus *s = opaque;
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        uint32_t a = (uint32_t)at + i;
        uint8_t byte = !cirrus_packed(s)              ? vga_mem_read(&s->vga, a)
                       : a < 2 * HALF && window_open(s) ? packed_read(s, half_at(s, a / HALF) + a % HALF)
                                                      : 0xff;
        v |= (uint64_t)byte << 8 * i;
    }
    return v;
}

static void window_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    Cirrus *s = opaque;
    if (s->blt_left) {
        cirrus_blt_feed(s, value, size);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint32_t a = (uint32_t)at + i;
        if (!cirrus_packed(s)) {
            vga_mem_write(&s->vga, a, (uint8_t)(value >> 8 * i));
        } else if (a < 2 * HALF && window_open(s)) {
            packed_write(s, half_at(s, a / HALF) + a % HALF, (uint8_t)(value >> 8 * i));
        }
    }
}

const IoOps cirrus_window_ops = {window_read, window_write, 1, 8};

bool cirrus_window_plain(const Cirrus *s, uint32_t at[2])
{
    for (unsigned i = 0; i < 2; i++) {
        at[i] = in_memory(s, half_at(s, i));
        if (at[i] > s->vga.vram_size - HALF) {
            return false; /* it wraps */
        }
    }
    return cirrus_packed(s) && window_open(s) && !s->blt_left && !expands(s);
}

/* ---- The linear framebuffer; beyond the memory is only a port of the engine ---- */

static uint64_t linear_read(void *opaque, uint64_t at, unsigned size)
{
    Cirrus *s = opaque;
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = at + i < s->vga.vram_size ? packed_read(s, (uint32_t)at + i) : 0xff;
        v |= (uint64_t)byte << 8 * i;
    }
    return v;
}

static void linear_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    Cirrus *s = opaque;
    if (s->blt_left) {
        cirrus_blt_feed(s, value, size);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        if (at + i < s->vga.vram_size) {
            packed_write(s, (uint32_t)at + i, (uint8_t)(value >> 8 * i));
        }
    }
}

const IoOps cirrus_linear_ops = {linear_read, linear_write, 1, 8};

bool cirrus_linear_plain(const Cirrus *s)
{
    return !s->blt_left && !expands(s);
}
