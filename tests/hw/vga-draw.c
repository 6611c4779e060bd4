/* What the VGA draws, pixel by pixel, in each kind of mode. */
#include "tests/hw/vga-modes.h"

#include "core/clock.h"
#include "hw/display/vga-draw.h"

static Vga *vga_in(const ModeTable *m)
{
    Vga *s = bench_device(&vga_core_class, NULL);
    mode_set(s, m);
    colors_set(s);
    return s;
}

static uint32_t pixel(const Vga *s, int x, int y)
{
    return surface_line(console_surface(s->console), y)[x];
}

static void size_is(const Vga *s, int width, int height)
{
    ck_assert_int_eq(console_surface(s->console)->width, width);
    ck_assert_int_eq(console_surface(s->console)->height, height);
}

/* The colour that an index of the attribute controller shows in a table's palette. */
static uint32_t atc_color(const ModeTable *m, unsigned i)
{
    return color_of(m->atc[i]);
}

static void cell_set(Vga *s, unsigned at, uint8_t ch, uint8_t attr)
{
    poke8(s, 0xb8000 + 2 * at, ch);
    poke8(s, 0xb8000 + 2 * at + 1, attr);
}

/* A cell of mode 3 as the datasheet describes it. */
static void cell_is(Vga *s, unsigned column, unsigned row, unsigned map, uint8_t ch, uint32_t fg,
                    uint32_t bg)
{
    for (unsigned y = 0; y < 16; y++) {
        unsigned bits = font_bits(map, ch, y);
        for (unsigned x = 0; x < 9; x++) {
            bool on = x < 8 ? bits >> (7 - x) & 1 : (ch >= 0xc0 && ch <= 0xdf) && (bits & 1);
            ck_assert_msg(pixel(s, (int)(column * 9 + x), (int)(row * 16 + y)) == (on ? fg : bg),
                          "char %02x at %u,%u: dot %u,%u is %06x", ch, column, row, x, y,
                          pixel(s, (int)(column * 9 + x), (int)(row * 16 + y)));
        }
    }
}

static Vga *text_screen(void)
{
    Vga *s = vga_in(&mode_03);
    font_load(s, 0);
    crtc_out(s, 0x0a, 0x20); /* no cursor */
    return s;
}

START_TEST(text_cells)
{
    Vga *s = text_screen();
    for (unsigned i = 0; i < 2000; i++) {
        cell_set(s, i, (uint8_t)(i * 7), (uint8_t)(i * 13) & 0x7f);
    }
    console_refresh(s->console);
    size_is(s, 720, 400);
    for (unsigned i = 0; i < 2000; i++) {
        unsigned attr = i * 13 & 0x7f;
        cell_is(s, i % 80, i / 80, 0, (uint8_t)(i * 7), atc_color(&mode_03, attr & 15),
                atc_color(&mode_03, attr >> 4));
    }
}
END_TEST

START_TEST(text_ninth_dot_off)
{
    Vga *s = text_screen();
    cell_set(s, 0, 0xc4, 0x07);
    atc_out(s, 0x10, 0x08); /* without line graphics */
    console_refresh(s->console);
    for (int y = 0; y < 16; y++) {
        ck_assert_uint_eq(pixel(s, 8, y), atc_color(&mode_03, 0));
    }
    index_out(s, 0x3c4, 1, 0x01); /* 8 dots */
    console_refresh(s->console);
    size_is(s, 640, 400);
    for (int x = 0; x < 8; x++) {
        ck_assert_uint_eq(pixel(s, x, 5),
                          atc_color(&mode_03, font_bits(0, 0xc4, 5) >> (7 - x) & 1 ? 7 : 0));
    }
}
END_TEST

START_TEST(text_blink_or_bright)
{
    Vga *s = text_screen();
    cell_set(s, 5, 'x', 0x9e);
    console_refresh(s->console);
    cell_is(s, 5, 0, 0, 'x', atc_color(&mode_03, 14), atc_color(&mode_03, 1));
    bench_advance(16 * vga_frame_ns(s));
    console_refresh(s->console); /* the dark half of the period */
    cell_is(s, 5, 0, 0, 'x', atc_color(&mode_03, 1), atc_color(&mode_03, 1));
    bench_advance(16 * vga_frame_ns(s));
    console_refresh(s->console);
    cell_is(s, 5, 0, 0, 'x', atc_color(&mode_03, 14), atc_color(&mode_03, 1));
    atc_out(s, 0x10, 0x04);
    bench_advance(16 * vga_frame_ns(s));
    console_refresh(s->console);
    cell_is(s, 5, 0, 0, 'x', atc_color(&mode_03, 14), atc_color(&mode_03, 9));
}
END_TEST

START_TEST(text_cursor)
{
    Vga *s = text_screen();
    crtc_out(s, 0x0a, 13);
    crtc_out(s, 0x0b, 14);
    crtc_out(s, 0x0e, (80 * 3 + 7) >> 8);
    crtc_out(s, 0x0f, (80 * 3 + 7) & 0xff);
    cell_set(s, 80 * 3 + 7, 0, 0x1e);
    console_refresh(s->console);
    for (int y = 13; y <= 14; y++) {
        for (int x = 0; x < 9; x++) {
            ck_assert_uint_eq(pixel(s, 7 * 9 + x, 48 + y), atc_color(&mode_03, 14));
        }
    }
    ck_assert_uint_eq(pixel(s, 7 * 9 + 8, 48 + 12), atc_color(&mode_03, 1));
    ck_assert_uint_eq(pixel(s, 7 * 9 + 8, 48 + 15), atc_color(&mode_03, 1));
    ck_assert_uint_eq(pixel(s, 8 * 9 + 8, 48 + 13), atc_color(&mode_03, 0));
    bench_advance(8 * vga_frame_ns(s));
    console_refresh(s->console);
    cell_is(s, 7, 3, 0, 0, atc_color(&mode_03, 14), atc_color(&mode_03, 1));
    bench_advance(8 * vga_frame_ns(s));
    crtc_out(s, 0x0a, 15); /* starts behind its end: none */
    console_refresh(s->console);
    cell_is(s, 7, 3, 0, 0, atc_color(&mode_03, 14), atc_color(&mode_03, 1));
}
END_TEST

START_TEST(text_512_characters)
{
    Vga *s = text_screen();
    for (unsigned map = 1; map < 8; map++) {
        font_load(s, map);
    }
    cell_set(s, 0, 'q', 0x07);
    cell_set(s, 1, 'q', 0x0f);
    for (unsigned a = 0; a < 8; a++) {
        for (unsigned b = 0; b < 8; b++) {
            index_out(s, 0x3c4, 3, (uint8_t)((b & 3) | (a & 3) << 2 | (b & 4) << 2 | (a & 4) << 3));
            console_refresh(s->console);
            cell_is(s, 0, 0, b, 'q', atc_color(&mode_03, 7), atc_color(&mode_03, 0));
            cell_is(s, 1, 0, a, 'q', atc_color(&mode_03, 15), atc_color(&mode_03, 0));
        }
    }
    atc_out(s, 0x12, 0x07); /* eight colours */
    console_refresh(s->console);
    cell_is(s, 1, 0, 7, 'q', atc_color(&mode_03, 7), atc_color(&mode_03, 0));
}
END_TEST

START_TEST(text_underline)
{
    Vga *s = vga_in(&mode_07);
    font_load(s, 0);
    crtc_out(s, 0x0a, 0x20);
    poke8(s, 0xb0000, 0);
    poke8(s, 0xb0001, 0x01);
    poke8(s, 0xb0002, 0);
    poke8(s, 0xb0003, 0x07);
    console_refresh(s->console);
    size_is(s, 720, 400);
    for (int x = 0; x < 9; x++) {
        ck_assert_uint_eq(pixel(s, x, 13), color_of(8));
    }
    ck_assert_uint_eq(pixel(s, 9 + 8, 13), color_of(0));
}
END_TEST

START_TEST(text_start_panning_split)
{
    Vga *s = text_screen();
    for (unsigned i = 0; i < 4000; i++) {
        cell_set(s, i, (uint8_t)(i * 3 + i / 80), 0x07);
    }
    uint32_t fg = atc_color(&mode_03, 7), bg = atc_color(&mode_03, 0);
    crtc_out(s, 0x0c, 160 >> 8);
    crtc_out(s, 0x0d, 160 & 0xff);
    console_refresh(s->console);
    cell_is(s, 10, 0, 0, (uint8_t)((160 + 10) * 3 + 2), fg, bg);
    /* From scan line 160 on, the top of memory. */
    crtc_out(s, 0x18, 159);
    crtc_out(s, 0x07, 0x0f);
    crtc_out(s, 0x09, 0x0f);
    console_refresh(s->console);
    cell_is(s, 10, 9, 0, (uint8_t)((160 + 720 + 10) * 3 + 11), fg, bg);
    cell_is(s, 10, 10, 0, 30, fg, bg);
    cell_is(s, 79, 11, 0, (uint8_t)(159 * 3 + 1), fg, bg);
    /* Three dots to the left above, nothing below. */
    atc_out(s, 0x13, 2);
    atc_out(s, 0x10, 0x2c);
    uint32_t want[16];
    for (int x = 0; x < 16; x++) {
        want[x] = pixel(s, 90 + x, 5);
    }
    console_refresh(s->console);
    for (int x = 0; x < 16; x++) {
        ck_assert_uint_eq(pixel(s, 87 + x, 5), want[x]);
    }
    cell_is(s, 10, 10, 0, 30, fg, bg);
    /* Rows begin at scan line 4. */
    atc_out(s, 0x13, 8);
    crtc_out(s, 0x08, 4);
    console_refresh(s->console);
    cell_is(s, 0, 10, 0, 0, fg, bg);
    for (int x = 0; x < 8; x++) {
        unsigned ch = (uint8_t)(160 * 3 + 2), bits = font_bits(0, ch, 4);
        ck_assert_uint_eq(pixel(s, x, 0), bits >> (7 - x) & 1 ? fg : bg);
    }
}
END_TEST

START_TEST(text_of_40_columns)
{
    Vga *s = vga_in(&mode_01);
    font_load(s, 0);
    crtc_out(s, 0x0a, 0x20);
    cell_set(s, 41, 'k', 0x0c);
    console_refresh(s->console);
    size_is(s, 640, 400);
    for (int y = 0; y < 16; y++) {
        for (int x = 0; x < 16; x++) {
            bool on = font_bits(0, 'k', (unsigned)y) >> (7 - x / 2) & 1;
            ck_assert_uint_eq(pixel(s, 16 + x, 16 + y), atc_color(&mode_01, on ? 12 : 0));
        }
    }
}
END_TEST

START_TEST(cga_four_colors)
{
    Vga *s = vga_in(&mode_04);
    uint8_t memory[0x4000];
    for (unsigned i = 0; i < sizeof memory; i++) {
        memory[i] = (uint8_t)(i * 29 + i / 80);
        poke8(s, 0xb8000 + i, memory[i]);
    }
    console_refresh(s->console);
    size_is(s, 640, 400);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 640; x++) {
            unsigned row = y / 2, column = x / 2;
            uint8_t byte = memory[(row & 1) * 0x2000 + row / 2 * 80 + column / 4];
            unsigned c = byte >> (6 - 2 * (column & 3)) & 3;
            ck_assert_uint_eq(pixel(s, (int)x, (int)y), atc_color(&mode_04, c));
        }
    }
}
END_TEST

START_TEST(cga_two_colors)
{
    Vga *s = vga_in(&mode_06);
    uint8_t memory[0x4000];
    for (unsigned i = 0; i < sizeof memory; i++) {
        memory[i] = (uint8_t)(i * 29 + i / 80);
        poke8(s, 0xb8000 + i, memory[i]);
    }
    console_refresh(s->console);
    size_is(s, 640, 400);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 640; x++) {
            unsigned row = y / 2;
            uint8_t byte = memory[(row & 1) * 0x2000 + row / 2 * 80 + x / 8];
            ck_assert_uint_eq(pixel(s, (int)x, (int)y),
                              atc_color(&mode_06, byte >> (7 - (x & 7)) & 1));
        }
    }
}
END_TEST

/* A colour for each dot, written through the map mask as programs do. */
static unsigned planar_color(unsigned x, unsigned y)
{
    return (x * 3 + y * 5 + x * y / 7) & 15;
}

static void planar_fill(Vga *s, unsigned width, unsigned height)
{
    for (unsigned plane = 0; plane < 4; plane++) {
        index_out(s, 0x3c4, 2, (uint8_t)(1 << plane));
        for (unsigned at = 0; at < width / 8 * height; at++) {
            uint8_t v = 0;
            for (unsigned b = 0; b < 8; b++) {
                unsigned c = planar_color(at % (width / 8) * 8 + b, at / (width / 8));
                v |= (uint8_t)((c >> plane & 1) << (7 - b));
            }
            poke8(s, 0xa0000 + at, v);
        }
    }
}

START_TEST(planar_640x480)
{
    Vga *s = vga_in(&mode_12);
    planar_fill(s, 640, 480);
    console_refresh(s->console);
    size_is(s, 640, 480);
    for (unsigned y = 0; y < 480; y++) {
        for (unsigned x = 0; x < 640; x++) {
            ck_assert_uint_eq(pixel(s, (int)x, (int)y), atc_color(&mode_12, planar_color(x, y)));
        }
    }
    /* Panning by five, and colours 4-5 from the colour select register. */
    atc_out(s, 0x13, 5);
    atc_out(s, 0x10, 0x81);
    atc_out(s, 0x14, 0x02);
    console_refresh(s->console);
    for (unsigned x = 0; x < 635; x++) {
        unsigned c = mode_12.atc[planar_color(x + 5, 100)] & 15;
        ck_assert_uint_eq(pixel(s, (int)x, 100), color_of(c | 0x20));
    }
}
END_TEST

START_TEST(planar_320x200)
{
    Vga *s = vga_in(&mode_0d);
    planar_fill(s, 320, 200);
    console_refresh(s->console);
    size_is(s, 640, 400);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 640; x++) {
            ck_assert_uint_eq(pixel(s, (int)x, (int)y),
                              atc_color(&mode_0d, planar_color(x / 2, y / 2)));
        }
    }
}
END_TEST

START_TEST(packed_320x200)
{
    Vga *s = vga_in(&mode_13);
    for (unsigned i = 0; i < 64000; i++) {
        poke8(s, 0xa0000 + i, (uint8_t)(i % 320 + i / 320 * 3));
    }
    console_refresh(s->console);
    size_is(s, 640, 400);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 640; x++) {
            ck_assert_uint_eq(pixel(s, (int)x, (int)y), color_of((x / 2 + y / 2 * 3) & 0xff));
        }
    }
    pout8(s, 0x3c6, 0x3f); /* pixel mask */
    console_refresh(s->console);
    ck_assert_uint_eq(pixel(s, 2 * 100, 2 * 50), color_of((100 + 150) & 0x3f));
}
END_TEST

START_TEST(mode_x)
{
    Vga *s = vga_in(&mode_13);
    index_out(s, 0x3c4, 4, 0x06);
    crtc_out(s, 0x14, 0x00);
    crtc_out(s, 0x17, 0xe3);
    crtc_out(s, 0x13, 0x2c); /* a line of 352 dots in memory */
    for (unsigned plane = 0; plane < 4; plane++) {
        index_out(s, 0x3c4, 2, (uint8_t)(1 << plane));
        for (unsigned at = 0; at < 88 * 300; at++) {
            poke8(s, 0xa0000 + at, (uint8_t)(at % 88 * 4 + plane + at / 88 * 7));
        }
    }
    /* Page two, 40 lines below, and one dot to the left (panning counts dots of the doubled clock).
     */
    crtc_out(s, 0x0c, 88 * 40 >> 8);
    crtc_out(s, 0x0d, 88 * 40 & 0xff);
    atc_out(s, 0x13, 2);
    console_refresh(s->console);
    for (unsigned y = 0; y < 400; y++) {
        for (unsigned x = 0; x < 640; x++) {
            ck_assert_uint_eq(pixel(s, (int)x, (int)y),
                              color_of((x / 2 + 1 + (y / 2 + 40) * 7) & 0xff));
        }
    }
}
END_TEST

static void vbe_set(Vga *s, unsigned width, unsigned height, unsigned bpp)
{
    vbe_write(s, DISPI_ENABLE, 0, 0, 0);
    vbe_write(s, DISPI_XRES, 0, 0, width);
    vbe_write(s, DISPI_YRES, 0, 0, height);
    vbe_write(s, DISPI_BPP, 0, 0, bpp);
    vbe_write(s, DISPI_ENABLE, 0, 0, DISPI_ENABLED | DISPI_LFB);
}

START_TEST(vbe_depths)
{
    static const struct {
        unsigned bpp, bytes;
        uint32_t value, color;
    } depths[] = {
        {15, 2, 0x7c00, 0xff0000},
        {15, 2, 0x0210, 0x008484},
        {16, 2, 0xf800, 0xff0000},
        {16, 2, 0x8410, 0x848284},
        {24, 3, 0x123456, 0x123456},
        {32, 4, 0xaa123456, 0x123456},
        {8, 1, 77, 0},
    };
    Vga *s = vga_in(&mode_13);
    for (unsigned i = 0; i < G_N_ELEMENTS(depths); i++) {
        vbe_set(s, 800, 600, depths[i].bpp);
        uint32_t line = 800 * depths[i].bytes;
        ram_write(s->vram, 10 * line + 33 * depths[i].bytes, &depths[i].value, depths[i].bytes);
        console_refresh(s->console);
        size_is(s, 800, 600);
        uint32_t black = depths[i].bpp == 8 ? color_of(0) : 0;
        ck_assert_uint_eq(pixel(s, 33, 10), depths[i].bpp == 8 ? color_of(77) : depths[i].color);
        ck_assert_uint_eq(pixel(s, 32, 10), black);
        ck_assert_uint_eq(pixel(s, 34, 10), black);
    }
}
END_TEST

START_TEST(vbe_planar_and_offsets)
{
    Vga *s = vga_in(&mode_12);
    vbe_set(s, 800, 600, 4);
    index_out(s, 0x3c4, 2, 0x0f);
    index_out(s, 0x3ce, 5, 2); /* write mode 2 */
    index_out(s, 0x3ce, 8, 0x80);
    poke8(s, 0xa0000 + 100 * 20 + 3, 0x0b);
    console_refresh(s->console);
    size_is(s, 800, 600);
    ck_assert_uint_eq(pixel(s, 24, 20), atc_color(&mode_12, 11));
    vbe_write(s, DISPI_VIRT_WIDTH, 0, 0, 1600);
    vbe_write(s, DISPI_X_OFFSET, 0, 0, 13);
    console_refresh(s->console);
    ck_assert_uint_eq(pixel(s, 24 - 13, 10), atc_color(&mode_12, 11));
    vbe_write(s, DISPI_Y_OFFSET, 0, 0, 4);
    console_refresh(s->console);
    ck_assert_uint_eq(pixel(s, 24 - 13, 6), atc_color(&mode_12, 11));
}
END_TEST

START_TEST(vbe_byte_order)
{
    Vga *s = vga_in(&mode_13);
    vbe_set(s, 640, 480, 32);
    uint32_t v = 0x56341200;
    ram_write(s->vram, 0, &v, 4);
    s->big_endian = true;
    console_refresh(s->console);
    ck_assert_uint_eq(pixel(s, 0, 0), 0x123456);
}
END_TEST

START_TEST(blanking)
{
    Vga *s = text_screen();
    cell_set(s, 0, 1, 0x17);
    console_refresh(s->console);
    ck_assert_uint_ne(pixel(s, 8, 0), 0);
    index_out(s, 0x3c4, 1, 0x20);
    console_refresh(s->console);
    size_is(s, 720, 400);
    ck_assert_uint_eq(pixel(s, 8, 0), 0);
    index_out(s, 0x3c4, 1, 0x00);
    console_refresh(s->console);
    ck_assert_uint_ne(pixel(s, 8, 0), 0);
    pin8(s, 0x3da);
    pout8(s, 0x3c0, 0x00);
    console_refresh(s->console);
    ck_assert_uint_eq(pixel(s, 8, 0), 0);
}
END_TEST

/* ---- Following changes ---- */

typedef struct Follower {
    ConsoleListener listener;
    unsigned resizes, reports;
    int left, top, right, bottom; /* around all reports */
} Follower;

static void follower_dirty(ConsoleListener *l, int x, int y, int width, int height)
{
    Follower *f = (Follower *)l;
    f->left = f->reports ? MIN(f->left, x) : x;
    f->top = f->reports ? MIN(f->top, y) : y;
    f->right = f->reports ? MAX(f->right, x + width) : x + width;
    f->bottom = f->reports ? MAX(f->bottom, y + height) : y + height;
    f->reports++;
}

static void follower_resized(ConsoleListener *l, Surface *surface)
{
    ((Follower *)l)->resizes++;
}

static void follow(Vga *s, Follower *f)
{
    *f = (Follower){
        .listener = {.dirty = follower_dirty, .resized = follower_resized, .interval_ms = 30}};
    console_listen(s->console, &f->listener);
    console_refresh(s->console);
    f->reports = 0;
    console_refresh(s->console);
    ck_assert_uint_eq(f->reports, 0); /* nothing changed, nothing drawn */
}

START_TEST(follows_text)
{
    Vga *s = text_screen();
    Follower f;
    follow(s, &f);
    cell_set(s, 80 * 4 + 10, 'A', 0x07);
    console_refresh(s->console);
    ck_assert_uint_eq(f.reports, 1);
    ck_assert_int_eq(f.left, 90);
    ck_assert_int_eq(f.right, 99);
    ck_assert_int_eq(f.top, 64);
    ck_assert_int_eq(f.bottom, 80);
    cell_is(s, 10, 4, 0, 'A', atc_color(&mode_03, 7), atc_color(&mode_03, 0));
    /* A new font redraws. */
    f.reports = 0;
    index_out(s, 0x3c4, 2, 4);
    index_out(s, 0x3c4, 4, 6);
    index_out(s, 0x3ce, 5, 0);
    index_out(s, 0x3ce, 6, 4);
    poke8(s, 0xa0000 + 'A' * 32 + 3, 0xff);
    index_out(s, 0x3c4, 2, 3);
    index_out(s, 0x3c4, 4, 2);
    index_out(s, 0x3ce, 5, 0x10);
    index_out(s, 0x3ce, 6, 0x0e);
    console_refresh(s->console);
    ck_assert_uint_gt(f.reports, 0);
    for (int x = 0; x < 8; x++) {
        ck_assert_uint_eq(pixel(s, 90 + x, 67), atc_color(&mode_03, 7));
    }
    console_unlisten(&f.listener);
}
END_TEST

START_TEST(follows_graphics)
{
    Vga *s = vga_in(&mode_12);
    Follower f;
    follow(s, &f);
    index_out(s, 0x3ce, 8, 0xff);
    poke8(s, 0xa0000 + 300 * 80 + 7, 0xff);
    console_refresh(s->console);
    /* 13 lines share a page of 1024 words. */
    ck_assert_uint_eq(f.reports, 1);
    ck_assert_int_le(f.top, 300);
    ck_assert_int_gt(f.bottom, 300);
    ck_assert_int_le(f.bottom - f.top, 15);
    f.reports = 0;
    atc_out(s, 0, 0x3f); /* a palette entry concerns every dot */
    console_refresh(s->console);
    ck_assert_int_eq(f.top, 0);
    ck_assert_int_eq(f.bottom, 480);
    console_unlisten(&f.listener);
}
END_TEST

START_TEST(follows_linear)
{
    Vga *s = vga_in(&mode_13);
    Region *at = s->vram_region;
    region_map(space_root(space_memory()), at, 0xe0000000, 0);
    mem_commit();
    vbe_set(s, 1024, 768, 32);
    Follower f;
    follow(s, &f);
    space_store(space_memory(), 0xe0000000 + 500 * 4096 + 40, 4, 0x00ff00ff);
    console_refresh(s->console);
    ck_assert_uint_eq(f.reports, 1);
    ck_assert_int_eq(f.top, 500);
    ck_assert_int_eq(f.bottom, 501);
    ck_assert_uint_eq(pixel(s, 10, 500), 0xff00ff);
    console_unlisten(&f.listener);
    region_unmap(at);
    mem_commit();
}
END_TEST

START_TEST(text_for_terminals)
{
    Vga *s = text_screen();
    TextCell cells[80 * 50];
    unsigned columns, rows;
    int x, y;
    cell_set(s, 81, 'Z', 0x1f);
    crtc_out(s, 0x0a, 13);
    crtc_out(s, 0x0e, 0);
    crtc_out(s, 0x0f, 82);
    ck_assert(console_text(s->console, cells, G_N_ELEMENTS(cells), &columns, &rows, &x, &y));
    ck_assert_uint_eq(columns, 80);
    ck_assert_uint_eq(rows, 25);
    ck_assert_uint_eq(cells[81].ch, 'Z');
    ck_assert_uint_eq(cells[81].attr, 0x1f);
    ck_assert_int_eq(x, 2);
    ck_assert_int_eq(y, 1);
    crtc_out(s, 0x0a, 0x20);
    ck_assert(console_text(s->console, cells, G_N_ELEMENTS(cells), &columns, &rows, &x, &y));
    ck_assert_int_eq(x, -1);
    mode_set(s, &mode_12);
    ck_assert(!console_text(s->console, cells, G_N_ELEMENTS(cells), &columns, &rows, &x, &y));
}
END_TEST

/* Any registers at all: drawing stays within its bounds (sanitizers look on). */
START_TEST(any_registers)
{
    Vga *s = vga_in(&mode_03);
    GRand *rand = g_rand_new_with_seed(7);
    for (unsigned n = 0; n < 400; n++) {
        mode_set(s, n & 1 ? &mode_12 : &mode_03);
        crtc_out(s, 0x11, 0);
        for (unsigned i = 0; i < 6; i++) {
            crtc_out(s, g_rand_int(rand) % 25, (uint8_t)g_rand_int(rand));
            index_out(s, 0x3c4, 1 + g_rand_int(rand) % 4, (uint8_t)g_rand_int(rand) & 0xdf);
            index_out(s, 0x3ce, g_rand_int(rand) % 9, (uint8_t)g_rand_int(rand));
            atc_out(s, g_rand_int(rand) % 21, (uint8_t)g_rand_int(rand));
        }
        if (g_rand_int(rand) % 4 == 0) {
            static const uint8_t depth[] = {4, 8, 15, 16, 24, 32};
            vbe_set(s, g_rand_int(rand) % 3000, g_rand_int(rand) % 2000,
                    depth[g_rand_int(rand) % 6]);
            vbe_write(s, DISPI_VIRT_WIDTH, 0, 0, g_rand_int(rand) & 0xffff);
            vbe_write(s, DISPI_X_OFFSET, 0, 0, g_rand_int(rand) & 0xffff);
            vbe_write(s, DISPI_Y_OFFSET, 0, 0, g_rand_int(rand) & 0xffff);
        } else {
            vbe_write(s, DISPI_ENABLE, 0, 0, 0);
        }
        console_refresh(s->console);
    }
    g_rand_free(rand);
}
END_TEST

BENCH_MAIN("vga-draw", CASE(text_cells), CASE(text_ninth_dot_off), CASE(text_blink_or_bright),
           CASE(text_cursor), CASE(text_512_characters), CASE(text_underline),
           CASE(text_start_panning_split), CASE(text_of_40_columns), CASE(cga_four_colors),
           CASE(cga_two_colors), CASE(planar_640x480), CASE(planar_320x200), CASE(packed_320x200),
           CASE(mode_x), CASE(vbe_depths), CASE(vbe_planar_and_offsets), CASE(vbe_byte_order),
           CASE(blanking), CASE(follows_text), CASE(follows_graphics), CASE(follows_linear),
           CASE(text_for_terminals), CASE(any_registers))
