/* Drawing what the VGA shows: text, planar and packed graphics; and following what changed.
 *
 * What is on the surface is a function of the registers, the memory and the blink phase.  A copy of
 * the registers tells whether everything must be drawn again; otherwise text is compared cell by
 * cell and graphics by dirty pages. */
#include <string.h>

#include "hw/display/vga-draw.h"

enum { ATC10_LINE_GRAPHICS = 0x04, ATC10_BLINK = 0x08, ATC10_PAN_TOP_ONLY = 0x20 };
enum { CURSOR_OFF = 0x20 };
enum { SEQ1_SCREEN_OFF = 0x20 };

VgaDraw *vga_draw_new(void)
{
    return g_new0(VgaDraw, 1);
}

void vga_draw_free(VgaDraw *d)
{
    if (d) {
        g_free(d->cells);
        g_free(d->pages);
        g_free(d->bytes);
        g_free(d);
    }
}

/* ---- What is shown, apart from memory and blinking ---- */

static void look_take(const Vga *s, VgaLook *look)
{
    memset(look, 0, sizeof *look); /* compared as bytes */
    memcpy(look->seq, s->seq, sizeof look->seq);
    memcpy(look->gc, s->gc, sizeof look->gc);
    memcpy(look->crtc, s->crtc, sizeof look->crtc);
    memcpy(look->atc, s->atc, sizeof look->atc);
    look->crtc[CR_CURSOR_HIGH] = look->crtc[CR_CURSOR_LOW] =
        0; /* cells know whether the cursor is there */
    vga_dac_colors(s, look->dac);
    vga_atc_colors(s, look->dac, look->color);
    if (vga_is_linear(s)) {
        look->vbe = s->packed.width ? s->packed : vbe_mode(s);
        look->big_endian = s->big_endian;
        look->cursor = s->cursor;
    }
    /* The Cirrus BIOS of SeaBIOS leaves the screen off in its packed modes, and means them to be seen. */
    look->blank =
        !s->atc_screen_on || (!vga_is_linear(s) && (s->seq[SEQ_CLOCKING] & SEQ1_SCREEN_OFF));
}

/* Dots by which the picture starts late. */
static unsigned panning(const Vga *s, const VgaGeometry *g, bool split)
{
    unsigned pan = s->atc[ATC_PANNING] & 0xf;
    if (split && (s->atc[ATC_MODE] & ATC10_PAN_TOP_ONLY)) {
        return 0;
    }
    if (g->dots == 9) {
        return pan >= 8 ? 0 : pan + 1; /* FreeVGA, "Pixel Panning": 8 is none */
    }
    return pan & 7;
}

/* ---- Text ---- */

enum { CELL_CURSOR = 1 << 16, CELL_HIDDEN = 1 << 17, CELL_NONE = 1 << 31 };

/* Start of character map 0-7 within plane 2. */
static unsigned font_at(unsigned map)
{
    return (map & 3) * 0x4000 + (map >> 2) * 0x2000;
}

static void fonts_take(const Vga *s, VgaDraw *d)
{
    unsigned select = s->seq[SEQ_CHAR_MAP];
    unsigned map[2] = {(select & 3) | (select >> 2 & 4), (select >> 2 & 3) | (select >> 3 & 4)};
    for (unsigned f = 0; f < 2; f++) {
        uint8_t bits[FONT_BYTES];
        if (f == 1 && map[1] == map[0]) {
            memcpy(bits, d->font[0], sizeof bits);
        } else {
            uint32_t words[FONT_BYTES];
            ram_read(s->vram, font_at(map[f]) * 4, words, sizeof words);
            for (unsigned i = 0; i < FONT_BYTES; i++) {
                bits[i] = (uint8_t)(words[i] >> 16);
            }
        }
        if (memcmp(bits, d->font[f], sizeof bits)) {
            memcpy(d->font[f], bits, sizeof bits);
            d->whole = true;
        }
    }
}

typedef struct Text { /* one update of a text screen */
    VgaGeometry g;
    Surface *surface;
    unsigned cell_width; /* pixels */
    bool blink_on, cursor_on;
    unsigned cursor; /* counter value of the cell that holds the cursor */
    uint32_t color[16];
} Text;

static uint32_t cell_key(const Vga *s, const Text *t, uint16_t counter)
{
    uint32_t word;
    ram_read(s->vram, vga_fetch_address(s, counter, 0) * 4, &word, sizeof word);
    uint32_t key = word & 0xffff;
    if (t->cursor_on && counter == t->cursor) {
        key |= CELL_CURSOR;
    }
    if (!t->blink_on && (s->atc[ATC_MODE] & ATC10_BLINK) && (key & 0x8000)) {
        key |= CELL_HIDDEN;
    }
    return key;
}

/* The dots of a character in one scan line, leftmost in bit 8. */
static unsigned cell_dots(const Vga *s, const VgaDraw *d, uint32_t key, unsigned scan)
{
    unsigned ch = key & 0xff, attr = key >> 8 & 0xff;
    if (key & CELL_HIDDEN) {
        return 0;
    }
    if ((attr & 0x77) == 0x01 && scan == (s->crtc[CR_UNDERLINE] & 0x1f)) {
        return 0x1ff;
    }
    unsigned bits = (unsigned)d->font[attr >> 3 & 1][ch * 32 + scan] << 1;
    if ((ch & 0xe0) == 0xc0 && (s->atc[ATC_MODE] & ATC10_LINE_GRAPHICS)) {
        bits |= bits >> 1 & 1; /* boxes join across the ninth dot */
    }
    return bits;
}

static bool cursor_line(const Vga *s, unsigned scan)
{
    return scan >= (s->crtc[CR_CURSOR_START] & 0x1fu) && scan <= (s->crtc[CR_CURSOR_END] & 0x1fu);
}

static void cell_draw(const Vga *s, const VgaDraw *d, const Text *t, uint32_t key, int x,
                      unsigned y, unsigned scan)
{
    unsigned attr = key >> 8 & 0xff, zoom = t->g.wide ? 2 : 1;
    unsigned back = s->atc[ATC_MODE] & ATC10_BLINK ? attr >> 4 & 7 : attr >> 4;
    uint32_t fg = t->color[attr & 0xf], bg = t->color[back];
    unsigned bits =
        (key & CELL_CURSOR) && cursor_line(s, scan) ? 0x1ff : cell_dots(s, d, key, scan);
    uint32_t *line = surface_line(t->surface, (int)y);
    for (unsigned dot = 0; dot < t->cell_width; dot++) {
        int at = x + (int)dot;
        if (at >= 0 && at < t->surface->width) {
            line[at] = bits << dot / zoom & 0x100 ? fg : bg;
        }
    }
}

/* A character row: scan lines y .. end-1 of the surface share the counter. */
static void text_row(const Vga *s, VgaDraw *d, const Text *t, uint32_t *cells, unsigned y,
                     unsigned end)
{
    const VgaLine *line = d->line;
    int pan = (int)(panning(s, &t->g, line[y].split) * (t->g.wide ? 2 : 1));
    int first = -1, last = -1;
    for (unsigned col = 0; col <= t->g.columns; col++) {
        int x = (int)(col * t->cell_width) - pan;
        if (x >= t->surface->width) {
            break;
        }
        uint32_t key = cell_key(s, t, (uint16_t)(line[y].counter + col));
        if (key == cells[col]) {
            continue;
        }
        cells[col] = key;
        for (unsigned row = y; row < end; row++) {
            cell_draw(s, d, t, key, x, row, line[row].scan);
        }
        first = first < 0 ? x : first;
        last = x + (int)t->cell_width;
    }
    if (first >= 0 || last > 0) {
        console_dirty(s->console, first, (int)y, last - first, (int)(end - y));
    }
}

static void text_draw(Vga *s, VgaDraw *d, bool changed)
{
    Text t = {.g = vga_geometry(s)};
    t.cell_width = t.g.dots * (t.g.wide ? 2 : 1);
    memcpy(t.color, d->look.color, sizeof t.color);
    int64_t frame = now(&s->dev) / vga_frame_ns(s);
    t.cursor_on = !(s->crtc[CR_CURSOR_START] & CURSOR_OFF) && !(frame & 8);
    t.blink_on = !(frame & 16);
    t.cursor = (uint16_t)((s->crtc[CR_CURSOR_HIGH] << 8 | s->crtc[CR_CURSOR_LOW]) +
                          (s->crtc[CR_CURSOR_END] >> 5 & 3));
    console_resize(s->console, (int)(t.g.columns * t.cell_width), (int)t.g.lines);
    t.surface = console_surface(s->console);
    if (changed || d->whole) {
        fonts_take(s, d);
    }
    unsigned stride = t.g.columns + 1;
    if (d->whole) {
        vga_lines(s, d->line, t.g.lines);
        d->cells = g_renew(uint32_t, d->cells, (size_t)stride * t.g.lines);
        for (size_t i = 0; i < (size_t)stride * t.g.lines; i++) {
            d->cells[i] = CELL_NONE;
        }
    }
    for (unsigned y = 0, row = 0, end; y < t.g.lines; y = end, row++) {
        for (end = y + 1; end < t.g.lines && d->line[end].counter == d->line[y].counter &&
                          d->line[end].split == d->line[y].split;
             end++) {
        }
        text_row(s, d, &t, d->cells + (size_t)row * stride, y, end);
    }
}

/* ---- Graphics through the CRT controller ---- */

/* One word of four planes becomes eight dots. */
static void planar_dots(uint32_t word, const uint32_t *color, uint32_t *out)
{
    for (unsigned bit = 0; bit < 8; bit++) {
        uint32_t w = word >> (7 - bit);
        out[bit] = color[(w & 1) | (w >> 7 & 2) | (w >> 14 & 4) | (w >> 21 & 8)];
    }
}

/* Two bits a dot, planes 0 and 1 one behind the other, 2 and 3 above them (CGA). */
static void interleaved_dots(uint32_t word, const uint32_t *color, uint32_t *out)
{
    for (unsigned i = 0; i < 8; i++) {
        uint32_t w = word >> (i & 4 ? 8 : 0) >> (6 - 2 * (i & 3));
        out[i] = color[(w & 3) | (w >> 14 & 0xc)];
    }
}

/* Four bytes, each two dots wide. */
static void packed_dots(uint32_t word, const uint32_t *color, uint32_t *out)
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = color[word >> 8 * (i / 2) & 0xff];
    }
}

typedef struct Graphics {
    VgaGeometry g;
    void (*dots)(uint32_t word, const uint32_t *color, uint32_t *out);
    const uint32_t *color;
    unsigned shift;
} Graphics;

static void graphics_line(const Vga *s, const VgaDraw *d, const Graphics *gr, const VgaLine *line,
                          uint32_t *out, unsigned width)
{
    unsigned pan = panning(s, &gr->g, line->split), zoom = gr->g.wide ? 2 : 1;
    uint32_t dots[257 * 8];
    for (unsigned col = 0; col <= gr->g.columns; col++) {
        uint32_t at =
            vga_fetch_address(s, (uint16_t)(line->counter + (col >> gr->shift)), line->scan);
        gr->dots(d->word[at], gr->color, dots + 8 * col);
    }
    for (unsigned x = 0; x < width; x++) {
        out[x] = dots[x / zoom + pan];
    }
}

/* Whether the words that a line shows lie in pages that changed. */
static bool line_changed(const Vga *s, const VgaDraw *d, const Graphics *gr, const VgaLine *line)
{
    uint32_t first = vga_fetch_address(s, line->counter, line->scan);
    uint32_t last =
        vga_fetch_address(s, (uint16_t)(line->counter + (gr->g.columns >> gr->shift)), line->scan);
    if (last < first) { /* it wraps */
        return true;
    }
    return vga_pages_dirty(d, (uint64_t)first * 4, (uint64_t)(last - first + 1) * 4);
}

static void graphics_draw(Vga *s, VgaDraw *d, bool changed)
{
    enum { GC5_INTERLEAVE = 0x20, GC5_PACKED = 0x40 };
    Graphics gr = {.g = vga_geometry(s),
                   .dots = planar_dots,
                   .color = d->look.color,
                   .shift = vga_counter_shift(s)};
    if (s->gc[GC_MODE] & GC5_PACKED) {
        gr.dots = packed_dots;
        gr.color = d->look.dac;
    } else if (s->gc[GC_MODE] & GC5_INTERLEAVE) {
        gr.dots = interleaved_dots;
    }
    unsigned width = gr.g.columns * 8 * (gr.g.wide ? 2 : 1);
    console_resize(s->console, (int)width, (int)gr.g.lines);
    if (!changed && !d->whole) {
        return;
    }
    Surface *surface = console_surface(s->console);
    if (d->whole) {
        vga_lines(s, d->line, gr.g.lines);
    }
    ram_read(s->vram, 0, d->word, sizeof d->word);
    unsigned from = 0; /* of a stretch of drawn lines */
    bool drawn = false;
    for (unsigned y = 0; y < gr.g.lines; y++) {
        const VgaLine *line = &d->line[y];
        bool again = y && !memcmp(line, line - 1, sizeof *line);
        bool draw = again ? drawn : d->whole || line_changed(s, d, &gr, line);
        if (draw && !drawn) {
            from = y;
        } else if (!draw && drawn) {
            console_dirty(s->console, 0, (int)from, (int)width, (int)(y - from));
        }
        drawn = draw;
        if (draw && again) {
            memcpy(surface_line(surface, (int)y), surface_line(surface, (int)y - 1), width * 4);
        } else if (draw) {
            graphics_line(s, d, &gr, line, surface_line(surface, (int)y), width);
        }
    }
    if (drawn) {
        console_dirty(s->console, 0, (int)from, (int)width, (int)(gr.g.lines - from));
    }
}

/* ---- The whole ---- */

bool vga_pages_dirty(const VgaDraw *d, uint64_t at, uint64_t len)
{
    for (uint64_t page = at / RAM_PAGE; page <= (at + len - 1) / RAM_PAGE; page++) {
        if (page < d->n_pages && d->pages[page]) {
            return true;
        }
    }
    return false;
}

/* Take over the dirty bits of [at, at+len) before reading the memory: what is written later counts
 * for the next time. */
static bool pages_take(Vga *s, VgaDraw *d, uint64_t at, uint64_t len)
{
    bool any = false;
    if (!d->tracking) {
        return true;
    }
    mem_sync_dirty(s->vram);
    if (!d->pages) {
        d->n_pages = s->vram_size / RAM_PAGE;
        d->pages = g_new0(bool, d->n_pages);
    }
    uint64_t end = MIN((at + len - 1) / RAM_PAGE + 1, d->n_pages);
    for (uint64_t page = at / RAM_PAGE; page < end; page++) {
        d->pages[page] = ram_dirty_take(s->vram, DIRTY_VGA, page * RAM_PAGE, RAM_PAGE);
        any |= d->pages[page];
    }
    return any;
}

static void blank_draw(Vga *s)
{
    Surface *surface = console_surface(s->console);
    for (int y = 0; y < surface->height; y++) {
        memset(surface_line(surface, y), 0, (size_t)surface->width * 4);
    }
    console_dirty(s->console, 0, 0, surface->width, surface->height);
}

static void draw_update(void *dev)
{
    enum { VGA_BYTES = 0x40000 };
    Vga *s = dev;
    VgaDraw *d = s->draw;
    VgaLook look;
    look_take(s, &look);
    if (memcmp(&look, &d->look, sizeof look)) {
        d->look = look;
        d->whole = true;
    }
    if (look.blank) {
        if (d->whole) {
            blank_draw(s);
        }
    } else if (vga_is_linear(s)) {
        const VbeMode *m = &look.vbe;
        bool changed = pages_take(s, d, m->start, (uint64_t)m->pitch * m->height);
        vga_vbe_draw(s, d, changed);
    } else {
        bool changed = pages_take(s, d, 0, VGA_BYTES);
        if (s->atc[ATC_MODE] & 1) {
            graphics_draw(s, d, changed);
        } else {
            text_draw(s, d, changed);
        }
    }
    d->whole = false;
}

static void draw_invalidate(void *dev)
{
    ((Vga *)dev)->draw->whole = true;
}

static void draw_watched(void *dev, bool on)
{
    Vga *s = dev;
    s->draw->tracking = on;
    ram_dirty_track(s->vram, DIRTY_VGA, on);
    region_set_logged(s->vram_region, DIRTY_VGA, on);
    mem_commit();
}

static bool draw_text(void *dev, TextCell *cells, unsigned room, unsigned *columns, unsigned *rows,
                      int *cursor_x, int *cursor_y)
{
    const Vga *s = dev;
    VgaGeometry g = vga_geometry(s);
    if (vga_is_linear(s) || g.graphics) {
        return false;
    }
    unsigned height = ((s->crtc[CR_MAX_SCAN] & 0x1f) + 1) * (s->crtc[CR_MAX_SCAN] & 0x80 ? 2 : 1);
    unsigned cursor = s->crtc[CR_CURSOR_HIGH] << 8 | s->crtc[CR_CURSOR_LOW], n = 0;
    uint16_t counter = (uint16_t)(s->crtc[CR_START_HIGH] << 8 | s->crtc[CR_START_LOW]);
    bool blank = !s->atc_screen_on || (s->seq[SEQ_CLOCKING] & SEQ1_SCREEN_OFF);
    *columns = MIN(g.columns, room);
    *rows = MIN(MAX(g.lines / height, 1), room / *columns);
    *cursor_x = *cursor_y = -1;
    for (unsigned y = 0; y < *rows; y++, counter = (uint16_t)(counter + s->crtc[CR_OFFSET] * 2)) {
        for (unsigned x = 0; x < *columns; x++) {
            uint16_t at = (uint16_t)(counter + x);
            uint8_t word[4];
            ram_read(s->vram, vga_fetch_address(s, at, 0) * 4, word, sizeof word);
            cells[n++] = blank ? (TextCell){' ', 0x07} : (TextCell){word[0], word[1]};
            if (at == cursor && !blank && !(s->crtc[CR_CURSOR_START] & CURSOR_OFF) &&
                (s->crtc[CR_CURSOR_START] & 0x1f) <= (s->crtc[CR_CURSOR_END] & 0x1f)) {
                *cursor_x = (int)x;
                *cursor_y = (int)y;
            }
        }
    }
    return true;
}

const ConsoleSource vga_console = {
    .update = draw_update,
    .invalidate = draw_invalidate,
    .watched = draw_watched,
    .text = draw_text,
};
