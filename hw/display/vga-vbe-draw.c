/* Drawing the modes of the Bochs display interface. */
#include <string.h>

#include "hw/display/vga-draw.h"

static uint32_t from_555(uint32_t v)
{
    uint32_t r = v >> 10 & 0x1f, g = v >> 5 & 0x1f, b = v & 0x1f;
    return (r << 3 | r >> 2) << 16 | (g << 3 | g >> 2) << 8 | (b << 3 | b >> 2);
}

static uint32_t from_565(uint32_t v)
{
    uint32_t r = v >> 11 & 0x1f, g = v >> 5 & 0x3f, b = v & 0x1f;
    return (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
}

static uint32_t little(const uint8_t *p, unsigned bytes, bool big_endian)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        v |= (uint32_t)p[big_endian ? bytes - 1 - i : i] << 8 * i;
    }
    return v;
}

static void line_convert(const VgaLook *look, const uint8_t *in, uint32_t *out)
{
    const VbeMode *m = &look->vbe;
    bool be = look->big_endian;
    for (unsigned x = 0; x < m->width; x++) {
        switch (m->bpp) {
        case 4: {
            unsigned dot = x + m->pan, bit = 7 - dot % 8;
            const uint8_t *p = in + dot / 8 * 4;
            out[x] = look->color[(p[0] >> bit & 1) | (p[1] >> bit & 1) << 1 |
                                 (p[2] >> bit & 1) << 2 | (p[3] >> bit & 1) << 3];
            break;
        }
        case 15: out[x] = from_555(little(in + 2 * x, 2, be)); break;
        case 16: out[x] = from_565(little(in + 2 * x, 2, be)); break;
        case 24: out[x] = little(in + 3 * x, 3, be); break;
        case 32: out[x] = little(in + 4 * x, 4, be) & 0xffffff; break;
        default: out[x] = look->dac[in[x]]; break;
        }
    }
}

/* Bytes that a line's pixels occupy. */
static uint32_t line_bytes(const VbeMode *m)
{
    return m->bpp == 4 ? (m->width + m->pan + 7) / 8 * 4 : m->width * ((m->bpp + 7) / 8);
}

/* ---- The cursor in hardware: two bits a dot, in two planes ---- */

/* 32 dots a line: a plane behind the other; 64: the two planes' parts of each line behind one another. */
static unsigned cursor_dot(const VgaDraw *d, unsigned size, unsigned x, unsigned y)
{
    unsigned at = size == 64 ? y * 16 + x / 8 : y * 4 + x / 8, second = size == 64 ? 8 : 128, bit = 7 - x % 8;
    return (d->cursor[at] >> bit & 1) | (d->cursor[at + second] >> bit & 1) << 1;
}

static void cursor_draw(const VgaDraw *d, unsigned y, uint32_t *out)
{
    const VgaCursor *c = &d->look.cursor;
    for (unsigned x = 0; x < c->size && c->x + x < d->look.vbe.width; x++) {
        uint32_t *dot = &out[c->x + x];
        switch (cursor_dot(d, c->size, x, y - c->y)) {
        case 1: *dot ^= 0xffffff; break;
        case 2: *dot = c->color[0]; break;
        case 3: *dot = c->color[1]; break;
        }
    }
}

/* The image is looked at each time: it is small. */
static void cursor_take(const Vga *s, VgaDraw *d)
{
    uint8_t image[VGA_CURSOR_BYTES] = {0};
    unsigned bytes = d->look.cursor.size * d->look.cursor.size / 4u;
    if (d->look.cursor.at + bytes <= s->vram_size) {
        ram_read(s->vram, d->look.cursor.at, image, bytes);
    }
    if (memcmp(image, d->cursor, sizeof image)) {
        memcpy(d->cursor, image, sizeof image);
        d->whole = true;
    }
}

void vga_vbe_draw(Vga *s, VgaDraw *d, bool changed)
{
    const VbeMode *m = &d->look.vbe;
    int width = (int)m->width;
    console_resize(s->console, width, (int)m->height);
    cursor_take(s, d);
    if (!changed && !d->whole) {
        return;
    }
    Surface *surface = console_surface(s->console);
    uint32_t bytes = line_bytes(m);
    d->bytes = g_realloc(d->bytes, bytes + 4);
    unsigned from = 0;
    bool drawn = false;
    for (unsigned y = 0; y < m->height; y++) {
        uint64_t at = m->start + (uint64_t)m->pitch * y;
        uint32_t there = at >= s->vram_size ? 0 : (uint32_t)MIN(bytes, s->vram_size - at);
        bool draw = there && (d->whole || vga_pages_dirty(d, at, there));
        if (draw && !drawn) {
            from = y;
        } else if (!draw && drawn) {
            console_dirty(s->console, 0, (int)from, width, (int)(y - from));
        }
        drawn = draw;
        if (draw) {
            memset(d->bytes + there, 0, bytes - there);
            ram_read(s->vram, at, d->bytes, there);
            line_convert(&d->look, d->bytes, surface_line(surface, (int)y));
            if (y - d->look.cursor.y < d->look.cursor.size) {
                cursor_draw(d, y, surface_line(surface, (int)y));
            }
        }
    }
    if (drawn) {
        console_dirty(s->console, 0, (int)from, width, (int)(m->height - from));
    }
}
