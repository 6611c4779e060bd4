/* CL-GD5446: the BitBLT engine (TRM chapter 5 "BitBLT engine", registers GR20-GR39).
 *
 * A block is moved line by line: the source line is made (read, repeated from a pattern, or expanded from bits), then
 * combined with the destination where the mask is open.  Blocks have at most 8192 bytes in 2048 lines, and addresses wrap
 * in the memory, so no register contents lead outside or take long. */
#include <string.h>

#include "hw/display/cirrus.h"

enum { WIDTH_MASK = 0x1fff, HEIGHT_MASK = 0x7ff, PITCH_MASK = 0x1fff, ADDRESS_MASK = 0x3fffff, MAX_WIDTH = WIDTH_MASK + 1 };

static uint32_t reg(const Cirrus *s, unsigned at, unsigned bytes)
{
    uint32_t v = 0;
    memcpy(&v, &s->gr[at], bytes);
    return v;
}

static unsigned width(const Cirrus *s) { return (reg(s, GR_WIDTH, 2) & WIDTH_MASK) + 1; }
static unsigned height(const Cirrus *s) { return (reg(s, GR_HEIGHT, 2) & HEIGHT_MASK) + 1; }
static unsigned pixel_bytes(const Cirrus *s) { return ((s->gr[GR_BLT_MODE] & BLT_PIXEL) >> 4) + 1; }
static unsigned pixels(const Cirrus *s) { return (width(s) + pixel_bytes(s) - 1) / pixel_bytes(s); }

static bool has(const Cirrus *s, unsigned mode) { return (s->gr[GR_BLT_MODE] & mode) == mode; }
static bool solid(const Cirrus *s)
{
    return has(s, BLT_EXPAND | BLT_PATTERN) && s->gr[GR_BLT_EXT] & BLT_SOLID;
}

/* ---- Display memory, where addresses wrap ---- */

static uint32_t wrapped(const Cirrus *s, uint32_t at)
{
    return at & ADDRESS_MASK & (s->vga.vram_size - 1);
}

static void fetch(const Cirrus *s, uint32_t at, uint8_t *to, uint32_t n)
{
    at = wrapped(s, at);
    uint32_t first = MIN(n, s->vga.vram_size - at);
    ram_read(s->vga.vram, at, to, first);
    ram_read(s->vga.vram, 0, to + first, n - first);
}

static void store(Cirrus *s, uint32_t at, const uint8_t *from, uint32_t n)
{
    at = wrapped(s, at);
    uint32_t first = MIN(n, s->vga.vram_size - at);
    ram_write(s->vga.vram, at, from, first);
    ram_write(s->vga.vram, 0, from + first, n - first);
}

/* ---- GR32: raster operations ---- */

#define OP(expression)                                                                           \
    for (unsigned i = 0; i < n; i++) {                                                             \
        uint8_t s = src[i], d = dst[i];                                                            \
        (void)s;                                                                                   \
        dst[i] = (uint8_t)(((expression) & mask[i]) | (d & ~mask[i]));                             \
    }                                                                                              \
    break

/* dst becomes the result where mask is ff.  Codes that the manual does not list copy. */
static void combine(uint8_t rop, uint8_t *dst, const uint8_t *src, const uint8_t *mask, unsigned n)
{
    switch (rop) {
    case 0x00: OP(0);
    case 0x05: OP(s & d);
    case 0x06: break;
    case 0x09: OP(s & ~d);
    case 0x0b: OP(~d);
    case 0x0e: OP(0xff);
    case 0x50: OP(~s & d);
    case 0x59: OP(s ^ d);
    case 0x6d: OP(s | d);
    case 0x90: OP(~(s | d));
    case 0x95: OP(~(s ^ d));
    case 0xad: OP(s | ~d);
    case 0xd0: OP(~s);
    case 0xd6: OP(~s | d);
    case 0xda: OP(~(s & d));
    default: OP(s);
    }
}
#undef OP

/* ---- Lines ---- */

typedef struct Line {                   /* lowest address first; room for a pixel that the width cuts */
    uint8_t src[MAX_WIDTH + 4], dst[MAX_WIDTH + 4], mask[MAX_WIDTH + 4];
} Line;

static void colors(const Cirrus *s, uint8_t bg[4], uint8_t fg[4])
{
    bg[0] = s->gr0;
    fg[0] = s->gr1;
    for (unsigned i = 1; i < 4; i++) {
        bg[i] = s->gr[GR_BG1 + 2 * (i - 1)];
        fg[i] = s->gr[GR_FG1 + 2 * (i - 1)];
    }
}

static void put_pixel(Line *l, unsigned at, const uint8_t *color, unsigned n, bool open)
{
    for (unsigned b = 0; b < n; b++) {
        l->src[at + b] = color[b];
        l->mask[at + b] = open ? 0xff : 0;
    }
}

/* Bits become pixels, highest first; with transparency zeroes leave the destination alone.  `repeat`: eight bits are all. */
static void expand(const Cirrus *s, Line *l, const uint8_t *bits, bool repeat)
{
    uint8_t bg[4], fg[4], turn = s->gr[GR_BLT_EXT] & BLT_INVERT ? 0xff : 0;
    unsigned n = pixel_bytes(s), end = width(s);
    colors(s, bg, fg);
    for (unsigned at = 0, x = 0; at < end; at += n, x++) {
        bool one = (bits[repeat ? 0 : x / 8] ^ turn) >> (7 - x % 8) & 1;
        put_pixel(l, at, one ? fg : bg, n, one || !has(s, BLT_TRANSPARENT));
    }
}

/* Eight lines of eight pixels; three bytes a pixel take the room of four, with the rest of the line unused. */
static void pattern_line(const Cirrus *s, Line *l, unsigned row)
{
    unsigned n = pixel_bytes(s), line = n == 3 ? 32 : 8 * n, end = width(s);
    uint32_t at = reg(s, GR_SRC, 3) & ~(8 * line - 1);
    uint8_t pixel[32];
    fetch(s, at + row * line, pixel, line);
    for (unsigned x = 0; x < end; x++) {
        l->src[x] = pixel[x % (8 * n)];
    }
}

/* The source of line y, wherever it comes from. */
static void source_line(const Cirrus *s, Line *l, unsigned y)
{
    bool down = has(s, BLT_DECREMENT);
    uint32_t src = reg(s, GR_SRC, 3), pitch = reg(s, GR_SRC_PITCH, 2) & PITCH_MASK;
    unsigned row = (src + (down ? 8 - y % 8 : y)) & 7; /* of a pattern: the address's low bits say where it begins */
    uint8_t bits[MAX_WIDTH / 8 + 1];
    memset(l->mask, 0xff, width(s));
    if (solid(s)) {
        uint8_t bg[4], fg[4];
        colors(s, bg, fg);
        for (unsigned at = 0; at < width(s); at += pixel_bytes(s)) {
            put_pixel(l, at, fg, pixel_bytes(s), true);
        }
    } else if (has(s, BLT_EXPAND | BLT_PATTERN)) {
        fetch(s, (src & ~7u) + row, bits, 1);
        expand(s, l, bits, true);
    } else if (has(s, BLT_PATTERN)) {
        pattern_line(s, l, row);
    } else if (has(s, BLT_EXPAND | BLT_FROM_SYSTEM)) {
        expand(s, l, s->blt_line, false);
    } else if (has(s, BLT_EXPAND)) { /* bits follow one another; a line begins with a byte */
        unsigned bytes = (pixels(s) + 7) / 8;
        fetch(s, src + y * bytes, bits, bytes);
        expand(s, l, bits, false);
    } else if (has(s, BLT_FROM_SYSTEM)) {
        memcpy(l->src, s->blt_line, width(s));
    } else {
        fetch(s, down ? src - y * pitch - (width(s) - 1) : src + y * pitch, l->src, width(s));
    }
}

/* GR34, GR35: a colour that is not drawn; bits that GR38, GR39 name do not count.  One or two bytes a pixel. */
static void apply_key(const Cirrus *s, Line *l)
{
    unsigned n = pixel_bytes(s);
    if (!has(s, BLT_TRANSPARENT) || has(s, BLT_EXPAND) || n > 2) {
        return;
    }
    for (unsigned at = 0; at + n <= width(s); at += n) {
        bool same = true;
        for (unsigned b = 0; b < n; b++) {
            same &= !((l->src[at + b] ^ s->gr[GR_KEY + b]) & ~s->gr[GR_KEY_MASK + b]);
        }
        memset(l->mask + at, same ? 0 : 0xff, n);
    }
}

/* GR2F: pixels (bytes, when a pixel has three) at the left that are not drawn. */
static void clip_left(const Cirrus *s, Line *l)
{
    unsigned n = pixel_bytes(s), clip = s->gr[GR_LEFT_CLIP];
    if (has(s, BLT_EXPAND) || has(s, BLT_PATTERN)) {
        memset(l->mask, 0, MIN(n == 3 ? clip & 0x1f : (clip & 7) * n, width(s)));
    }
}

static void draw_line(Cirrus *s, unsigned y)
{
    Line l;
    bool down = has(s, BLT_DECREMENT);
    uint32_t dst = reg(s, GR_DST, 3), pitch = reg(s, GR_DST_PITCH, 2) & PITCH_MASK;
    uint32_t at = down ? dst - y * pitch - (width(s) - 1) : dst + y * pitch;
    source_line(s, &l, y);
    apply_key(s, &l);
    clip_left(s, &l);
    fetch(s, at, l.dst, width(s));
    combine(s->gr[GR_BLT_ROP], l.dst, l.src, l.mask, width(s));
    store(s, at, l.dst, width(s));
}

/* ---- Source from the host ---- */

/* Bytes that a line takes: pixels come in doublewords; bits in bytes, or in doublewords when GR33 says so. */
static unsigned host_line(const Cirrus *s)
{
    if (!has(s, BLT_EXPAND)) {
        return (width(s) + 3) & ~3u;
    }
    unsigned bytes = (pixels(s) + 7) / 8;
    return s->gr[GR_BLT_EXT] & BLT_DWORDS ? (bytes + 3) & ~3u : bytes;
}

void cirrus_blt_stop(Cirrus *s)
{
    s->blt_left = 0;
    s->blt_row = s->blt_fill = 0;
    s->gr[GR_BLT_STATUS] &= (uint8_t)~(BLT_BUSY | BLT_START | BLT_IN_PROGRESS);
}

void cirrus_blt_start(Cirrus *s)
{
    cirrus_blt_stop(s);
    if (!s->blitter || has(s, BLT_TO_SYSTEM)) {
        guest_error(&s->pci.dev, "block transfer of mode %02x is not available", s->gr[GR_BLT_MODE]);
        return;
    }
    if (has(s, BLT_FROM_SYSTEM) && !has(s, BLT_PATTERN)) {
        s->blt_left = (host_line(s) * height(s) + 3) & ~3u;
        s->gr[GR_BLT_STATUS] |= BLT_BUSY | BLT_START | BLT_IN_PROGRESS;
        return;
    }
    for (unsigned y = 0; y < height(s); y++) {
        draw_line(s, y);
    }
}

void cirrus_blt_feed(Cirrus *s, uint64_t bytes, unsigned n)
{
    for (unsigned i = 0; i < n && s->blt_left; i++, s->blt_left--) {
        if (s->blt_fill < sizeof(s->blt_line)) {
            s->blt_line[s->blt_fill++] = (uint8_t)(bytes >> 8 * i);
        }
        if (s->blt_fill >= host_line(s) && s->blt_row < height(s)) {
            draw_line(s, s->blt_row++);
            s->blt_fill = 0;
        }
    }
    if (!s->blt_left) {
        cirrus_blt_stop(s);
    }
}
