/* Cirrus Logic CL-GD5446, as a driver sees it on the PCI bus (Technical Reference Manual, November 1996). */
#include <string.h>

#include "hw/display/cirrus.h"
#include "hw/display/vga-draw.h"
#include "hw/isa/isa.h"
#include "tests/hw/bench.h"

extern const DeviceClass cirrus_vga_class, isa_cirrus_vga_class;
enum { LINEAR = 0xf0000000, MMIO = 0xfe000000, DEVFN = PCI_DEVFN(2, 0), MB = 1 << 20 };
enum { COPY = 0x0d, XOR = 0x59 };

static PciBus *pci;
static Cirrus *chip;

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin) { return pin; }
static void set_irq(void *opaque, unsigned line, bool level) {}

static void start(void)
{
    static PciHost host = {.map_irq = map_irq, .set_irq = set_irq};
    GError *error = NULL;
    host.mem = region_container("pci.mem", 0);
    host.io = region_container("pci.io", 0x10000);
    host.dma_space = space_memory();
    region_map(space_root(space_memory()), host.mem, 0, 1); /* over the bench's RAM, for the window */
    region_map(space_root(space_io()), host.io, 0, -1);
    pci = pci_bus_new(NULL, "pci.0", &host);
    PciDevice *card = pci_new(&cirrus_vga_class, NULL, DEVFN, false);
    ck_assert(device_set(&card->dev, "romfile", "", &error));
    ck_assert_msg(device_realize(&card->dev, pci_bus_as_bus(pci), &error), "%s", error ? error->message : "");
    device_reset(&card->dev, true);
    pci_config_write(pci, DEVFN, 0x10, 4, LINEAR);
    pci_config_write(pci, DEVFN, 0x14, 4, MMIO);
    pci_config_write(pci, DEVFN, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    mem_commit();
    chip = (Cirrus *)card;
}

static uint8_t in(unsigned port) { return (uint8_t)space_load(space_io(), port, 1); }
static void out(unsigned port, uint8_t v) { space_store(space_io(), port, 1, v); }
static void indexed(unsigned port, unsigned index, uint8_t v)
{
    out(port, (uint8_t)index);
    out(port + 1, v);
}
static void sr(unsigned i, uint8_t v) { indexed(0x3c4, i, v); }
static void gr(unsigned i, uint8_t v) { indexed(0x3ce, i, v); }
static void cr(unsigned i, uint8_t v) { indexed(0x3d4, i, v); }
static uint8_t read_indexed(unsigned port, unsigned index)
{
    out(port, (uint8_t)index);
    return in(port + 1);
}
static void gr_n(unsigned i, uint32_t v, unsigned n)
{
    for (; n--; v >>= 8) {
        gr(i++, (uint8_t)v);
    }
}
static uint8_t vram(uint32_t at) { return (uint8_t)space_load(space_memory(), LINEAR + at, 1); }
static void poke(uint32_t at, const void *p, size_t n) { ram_write(chip->vga.vram, at, p, n); }
static void is(uint32_t at, const void *p, size_t n)
{
    uint8_t got[256];
    ram_read(chip->vga.vram, at, got, n);
    ck_assert_mem_eq(got, p, n);
}

static void blt(uint32_t width, uint32_t height, uint32_t dst, uint32_t src, uint32_t pitch, uint8_t mode, uint8_t rop)
{
    gr_n(0x20, width - 1, 2);
    gr_n(0x22, height - 1, 2);
    gr_n(0x24, pitch, 2);
    gr_n(0x26, pitch, 2);
    gr_n(0x28, dst, 3);
    gr_n(0x2c, src, 3);
    gr(0x30, mode);
    gr(0x32, rop);
    gr(0x31, 2);
}

START_TEST(identity)
{
    start();
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0, 4), 0x00b81013);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 8, 4) >> 8, 0x030000);
    pci_config_write(pci, DEVFN, 0x10, 4, 0xffffffff);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0x10, 4), 0xfe000008); /* 32 MiB, prefetchable */
    pci_config_write(pci, DEVFN, 0x10, 4, LINEAR);
    mem_commit();
    out(0x3c2, 1);
    ck_assert_uint_eq(read_indexed(0x3d4, 0x27), 0xb8);
    sr(6, 0);
    ck_assert_uint_eq(read_indexed(0x3c4, 6), 0x0f);
    sr(6, 0x92); /* three bits do not count */
    ck_assert_uint_eq(read_indexed(0x3c4, 6), 0x12);
    ck_assert_uint_eq(read_indexed(0x3c4, 0x0f) & 0x98, 0x98); /* 64 bits wide, two banks: 4 MiB */
    ck_assert_uint_eq(read_indexed(0x3c4, 0x17) & 0x38, 0x20); /* PCI */
}
END_TEST

START_TEST(hidden_dac_register)
{
    start();
    out(0x3c6, 0xff);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(in(0x3c6), 0xff);
    }
    out(0x3c6, 0xe1);
    ck_assert_uint_eq(in(0x3c6), 0xff);
    for (unsigned i = 0; i < 3; i++) {
        in(0x3c6);
    }
    ck_assert_uint_eq(in(0x3c6), 0xe1);
    for (unsigned i = 0; i < 4; i++) {
        in(0x3c6);
    }
    in(0x3c8); /* any other access begins anew */
    ck_assert_uint_eq(in(0x3c6), 0xff);
}
END_TEST

START_TEST(banks)
{
    start();
    out(0x3c2, 3);
    sr(7, 1);
    poke(0x40000 + 5, "a", 1);
    poke(0x81000 + 6, "b", 1);
    gr(0x0b, 0x20); /* 16 KiB */
    gr(9, 0x10);
    ck_assert_uint_eq(space_load(space_memory(), 0xa0005, 1), 'a');
    gr(0x0b, 0x01); /* 4 KiB, two halves */
    gr(9, 0x40);
    gr(0x0a, 0x81);
    ck_assert_uint_eq(space_load(space_memory(), 0xa0005, 1), 'a');
    ck_assert_uint_eq(space_load(space_memory(), 0xa8006, 1), 'b');
    space_store(space_memory(), 0xa8007, 1, 'c');
    is(0x81007, "c", 1);
    gr(0x0b, 0);
    gr(9, 0xff); /* one half follows the other */
    space_store(space_memory(), 0xa8001, 1, 'd');
    is(0xff000 + 0x8001, "d", 1);
}
END_TEST

START_TEST(extended_write_modes)
{
    start();
    out(0x3c2, 3);
    sr(7, 1);
    sr(2, 0xff);
    gr(0x0b, 0x06); /* modes 4 and 5, eight bytes for one */
    gr(0, 0xb0);
    gr(1, 0xf1);
    gr(5, 5);
    space_store(space_memory(), 0xa0002, 1, 0x81);
    is(16, "\xf1\xb0\xb0\xb0\xb0\xb0\xb0\xf1", 8);
    gr(5, 4);
    space_store(space_memory(), LINEAR + 2, 1, 0x42); /* the linear framebuffer knows them too */
    is(16, "\xf1\xf1\xb0\xb0\xb0\xb0\xf1\xf1", 8);
    sr(2, 0x0f);
    space_store(space_memory(), 0xa0002, 1, 0xff);
    is(16, "\xf1\xf1\xb0\xb0\xf1\xf1\xf1\xf1", 8);
    sr(2, 0xff);
    gr(0x0b, 0x16); /* pixels of 16 bits */
    gr(0x11, 0x77);
    space_store(space_memory(), 0xa0004, 1, 0x80);
    is(64, "\xf1\x77\0\0", 4);
    gr(5, 1);
    gr(0x0b, 0x0e); /* latches of eight bytes */
    space_load(space_memory(), 0xa0002, 1);
    space_store(space_memory(), 0xa0020, 1, 0);
    is(256, "\xf1\xf1\xb0\xb0\xf1\xf1\xf1\xf1", 8);
}
END_TEST

START_TEST(raster_operations)
{
    static const struct { uint8_t rop, result; } table[] = { /* of source 0011, destination 0101 */
        {0x00, 0x0}, {0x05, 0x1}, {0x06, 0x5}, {0x09, 0x2}, {0x0b, 0xa}, {0x0d, 0x3}, {0x0e, 0xf}, {0x50, 0x4},
        {0x59, 0x6}, {0x6d, 0x7}, {0x90, 0x8}, {0x95, 0x9}, {0xad, 0xb}, {0xd0, 0xc}, {0xd6, 0xd}, {0xda, 0xe}};
    start();
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        poke(0x100, "\x33\x33", 2);
        poke(0x200, "\x55\x55", 2);
        blt(1, 1, 0x200, 0x100, 0, 0, table[i].rop);
        ck_assert_uint_eq(vram(0x200), table[i].result * 0x11);
        ck_assert_uint_eq(vram(0x201), 0x55);
    }
}
END_TEST

START_TEST(copies)
{
    start();
    poke(0, "abcdefgh", 8);
    poke(100, "ijklmnop", 8);
    blt(4, 2, 2, 0, 100, 0, COPY);
    is(2, "abcdgh", 6);
    is(102, "ijklop", 6);
    poke(0, "abcdefgh", 8);
    blt(6, 2, 107, 105, 100, 1, COPY); /* downwards: addresses are those of the last bytes */
    is(0, "ababcdef", 8);
    is(100, "ijijijkl", 8);
    poke(0x3ffffe, "XY", 2); /* addresses wrap at the end */
    poke(0, "Z", 1);
    blt(3, 1, 0x500, 0x3ffffe, 0, 0, COPY);
    is(0x500, "XYZ", 3);
    poke(0x600, "\1\2\1\3", 4);
    poke(0x700, "....", 4);
    gr(0x34, 1);
    blt(4, 1, 0x700, 0x600, 0, 8, COPY); /* colour 1 is transparent */
    is(0x700, ".\2.\3", 4);
    gr(0x34, 0x34);
    gr(0x35, 0x12);
    poke(0x600, "\x34\x12\x34\x13", 4);
    poke(0x700, "....", 4);
    blt(4, 1, 0x700, 0x600, 0, 0x18, COPY);
    is(0x700, "..\x34\x13", 4);
}
END_TEST

START_TEST(patterns)
{
    uint8_t pattern[64];
    start();
    for (unsigned i = 0; i < 64; i++) {
        pattern[i] = (uint8_t)(i / 8 << 4 | i % 8);
    }
    poke(0x1000, pattern, 64);
    blt(12, 3, 0x2000, 0x1002, 16, 0x40, COPY); /* from its line 2 on */
    is(0x2000, "\x20\x21\x22\x23\x24\x25\x26\x27\x20\x21\x22\x23", 12);
    is(0x2020, "\x40\x41", 2);
    poke(0x1100, "\xf0\x0f", 2); /* a line of bits */
    gr(0, 0xb0);
    gr(1, 0xf1);
    gr(0x10, 0xb2);
    gr(0x11, 0xf3);
    blt(16, 2, 0x3000, 0x1100, 16, 0xd0, COPY); /* 16 bits a pixel */
    is(0x3000, "\xf1\xf3\xf1\xf3\xf1\xf3\xf1\xf3\xb0\xb2\xb0\xb2\xb0\xb2\xb0\xb2", 16);
    is(0x3010, "\xb0\xb2\xb0\xb2\xb0\xb2\xb0\xb2\xf1\xf3", 10);
    gr(0x33, 4); /* solid */
    gr(0x12, 1), gr(0x13, 2), gr(0x14, 3), gr(0x15, 4);
    blt(6, 1, 0x4000, 0, 16, 0xe0, COPY); /* 24 bits */
    is(0x4000, "\xf1\xf3\x02\xf1\xf3\x02\0", 7);
}
END_TEST

START_TEST(color_expansion)
{
    start();
    gr(0, 'b');
    gr(1, 'F');
    poke(0x100, "\xa5\x81\xc0", 3);
    blt(10, 1, 0x200, 0x100, 0, 0x80, COPY);
    is(0x200, "FbFbbFbFFb\0", 11);
    gr(0x33, 2); /* the other sense */
    blt(8, 1, 0x200, 0x100, 0, 0x80, COPY);
    is(0x200, "bFbFFbFb", 8);
    gr(0x33, 0);
    poke(0x200, "........", 8);
    gr(0x2f, 2); /* two pixels are clipped */
    blt(8, 1, 0x200, 0x100, 0, 0x88, COPY); /* transparent */
    is(0x200, "..F..F.F", 8);
    gr(0x2f, 0);
    blt(9, 2, 0x300, 0x100, 16, 0x80, COPY); /* each line begins with a byte */
    is(0x300, "FbFbbFbFF", 9);
    is(0x310, "FFbbbbbb", 8);
}
END_TEST

START_TEST(from_the_host)
{
    start();
    blt(5, 2, 0x100, 0, 0x10, 4, COPY);
    ck_assert_uint_eq(read_indexed(0x3ce, 0x31) & 9, 9);
    space_store(space_memory(), LINEAR + 0x5000, 4, 0x64636261); /* any address does */
    space_store(space_memory(), LINEAR + 0x5000, 4, 0x78787865); /* a line is filled up with bytes that do not count */
    space_store(space_memory(), LINEAR + 0x1000000, 8, 0x7878786a69686766);
    is(0x100, "abcde\0", 6);
    is(0x110, "fghij\0", 6);
    ck_assert_uint_eq(read_indexed(0x3ce, 0x31) & 9, 0);
    is(0x5000, "\0\0\0\0", 4);
    space_store(space_memory(), LINEAR + 0x5000, 4, 0x31313131); /* memory again */
    is(0x5000, "1111", 4);
    gr(0, '-');
    gr(1, '#');
    blt(4, 3, 0x200, 0, 0x10, 0x84, COPY); /* three bytes, and one to fill the doubleword */
    space_store(space_memory(), LINEAR, 4, 0xff102080);
    is(0x200, "#---\0", 5);
    is(0x210, "--#-\0", 5);
    is(0x220, "---#\0", 5);
    ck_assert_uint_eq(read_indexed(0x3ce, 0x31) & 9, 0);
    gr(0x33, 1); /* doublewords */
    blt(4, 2, 0x300, 0, 0x10, 0x84, COPY);
    space_store(space_memory(), LINEAR, 4, 0xffffff80);
    space_store(space_memory(), LINEAR, 4, 0xffffff40);
    is(0x300, "#---\0", 5);
    is(0x310, "-#--\0", 5);
    blt(4, 2, 0x400, 0, 0x10, 4, COPY);
    gr(0x31, 4); /* given up */
    ck_assert_uint_eq(read_indexed(0x3ce, 0x31) & 9, 0);
    space_store(space_memory(), LINEAR + 0x5000, 1, '2');
    is(0x5000, "2", 1);
}
END_TEST

START_TEST(mapped_registers)
{
    start();
    uint64_t at[] = {MMIO + 0x100, 0xb8000, LINEAR + 4 * MB - 256};
    poke(0x100, "abc", 3);
    for (unsigned i = 0; i < 3; i++) {
        sr(0x17, i == 0 ? 0 : i == 1 ? 4 : 0x44);
        mem_commit();
        uint32_t to = 0x200 + 16 * i;
        space_store(space_memory(), at[i] + 0x08, 4, 2);
        space_store(space_memory(), at[i] + 0x10, 4, to);
        space_store(space_memory(), at[i] + 0x14, 4, 0x100);
        space_store(space_memory(), at[i] + 0x18, 1, 0);
        space_store(space_memory(), at[i] + 0x1a, 1, COPY);
        space_store(space_memory(), at[i] + 0x40, 1, 2);
        is(to, "abc\0", 4);
        ck_assert_uint_eq(space_load(space_memory(), at[i] + 0x10, 2), to);
    }
    sr(0x17, 0);
    space_store(space_memory(), MMIO + 4, 2, 0x1507); /* port 3c4, then 3c5 */
    ck_assert_uint_eq(read_indexed(0x3c4, 7), 0x15);
    gr(0x31, 0x80); /* autostart */
    gr_n(0x28, 0x300, 3);
    is(0x300, "abc\0", 4);
}
END_TEST

static uint32_t pixel(unsigned x, unsigned y)
{
    return surface_line(console_surface(chip->vga.console), (int)y)[x];
}

/* 640 x 480. */
static void mode(uint8_t sr7, uint8_t hdr, unsigned pitch)
{
    static const uint8_t crtc[] = {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0, 0x40};
    out(0x3c2, 0xe3);
    sr(7, sr7);
    for (unsigned i = 0; i < sizeof(crtc); i++) {
        cr(i, crtc[i]);
    }
    cr(0x12, 0xdf);
    cr(0x13, (uint8_t)(pitch / 8));
    cr(0x1b, pitch / 8 >> 4 & 0x10);
    for (unsigned i = 0; i < 4; i++) {
        in(0x3c6);
    }
    out(0x3c6, hdr);
    in(0x3da);
    out(0x3c0, 0x20);
}

START_TEST(depths)
{
    static const struct { uint8_t sr7, hdr, bytes; uint32_t value, shown; } table[] = {
        {0x11, 0, 1, 5, 0xff8200}, {0x17, 0xc0, 2, 0x7c00, 0xff0000}, {0x17, 0xc1, 2, 0x07e0, 0x00ff00},
        {0x13, 0xc1, 2, 0xf800, 0xff0000}, {0x15, 0xc5, 3, 0x123456, 0x123456}, {0x19, 0xc5, 4, 0x123456, 0x123456}};
    start();
    out(0x3c8, 5);
    out(0x3c9, 0x3f), out(0x3c9, 0x20), out(0x3c9, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        unsigned pitch = 640u * table[i].bytes + 16;
        mode(table[i].sr7, table[i].hdr, pitch);
        uint32_t at = 0x90000 + 7 * pitch + 9u * table[i].bytes;
        cr(0x0c, 0x40), cr(0x0d, 0); /* start: doublewords, with bits 16-18 in CR1B */
        cr(0x1b, read_indexed(0x3d4, 0x1b) | 2);
        poke(at - 0x80000, &table[i].value, table[i].bytes);
        console_refresh(chip->vga.console);
        ck_assert_int_eq(console_surface(chip->vga.console)->width, 640);
        ck_assert_int_eq(console_surface(chip->vga.console)->height, 480);
        ck_assert_msg(pixel(9, 7) == table[i].shown, "mode %u shows %06x", i, pixel(9, 7));
    }
    cr(0x1b, read_indexed(0x3d4, 0x1b) | 1); /* bit 16 of the start: 256 KiB further */
    poke(0x10000 + 0x40000, "\xff\xff\xff", 3);
    console_refresh(chip->vga.console);
    ck_assert_uint_eq(pixel(0, 0), 0xffffff);
}
END_TEST

START_TEST(cursor)
{
    uint8_t image[1024] = {0};
    start();
    mode(0x19, 0xc5, 2560);
    image[3 * 16] = 0x30;     /* plane 0, line 3: dots 2, 3 */
    image[3 * 16 + 8] = 0x50; /* plane 1: dots 1, 3 */
    poke(4 * MB - 16384 + 2 * 1024, image, sizeof(image));
    uint32_t grey = 0x404040;
    for (unsigned i = 0; i < 640; i++) {
        poke(13 * 2560 + i * 4, &grey, 4);
    }
    sr(0x13, 2 << 2);
    sr(0x10 | 5 << 5, 100 >> 3); /* 101 */
    ck_assert_uint_eq(read_indexed(0x3c4, 0x10), 100 >> 3);
    sr(0x11 | 2 << 5, 10 >> 3);
    sr(0x12, 0x07);
    out(0x3c8, 0);
    out(0x3c9, 0x3f), out(0x3c9, 0), out(0x3c9, 0);
    out(0x3c8, 15);
    out(0x3c9, 0), out(0x3c9, 0x3f), out(0x3c9, 0);
    out(0x3c7, 15);
    ck_assert_uint_eq(in(0x3c9), 0);
    ck_assert_uint_eq(in(0x3c9), 0x3f);
    console_refresh(chip->vga.console);
    ck_assert_uint_eq(pixel(101, 13), grey);
    ck_assert_uint_eq(pixel(102, 13), 0xff0000);
    ck_assert_uint_eq(pixel(103, 13), grey ^ 0xffffff);
    ck_assert_uint_eq(pixel(104, 13), 0x00ff00);
    ck_assert_uint_eq(pixel(105, 13), grey);
    sr(0x12, 0x06);
    console_refresh(chip->vga.console);
    ck_assert_uint_eq(pixel(102, 13), grey);
}
END_TEST

/* 1024 x 768 in 16 colours takes more than 64 KiB of each plane. */
START_TEST(large_planes)
{
    start();
    mode(0, 0, 128 * 4);
    cr(0x11, 0);
    cr(1, 127);
    cr(0x12, 0xff), cr(7, 0x40); /* 768 lines */
    cr(0x13, 64);
    gr(5, 0);
    gr(6, 5);
    sr(4, 6);
    sr(2, 0x0f);
    gr(8, 0xff);
    gr(3, 0);
    in(0x3da);
    out(0x3c0, 0x10), out(0x3c0, 1);
    for (unsigned i = 0; i < 16; i++) {
        out(0x3c0, (uint8_t)i), out(0x3c0, (uint8_t)i);
    }
    out(0x3c0, 0x12), out(0x3c0, 0x0f);
    out(0x3c0, 0x20);
    out(0x3c8, 9);
    out(0x3c9, 0x3f), out(0x3c9, 0x3f), out(0x3c9, 0);
    gr(9, 0x10); /* 64 KiB */
    sr(2, 9);
    space_store(space_memory(), 0xa0000 + 88 * 128 + 3, 1, 0x40);
    console_refresh(chip->vga.console);
    ck_assert_int_eq(console_surface(chip->vga.console)->height, 768);
    ck_assert_uint_eq(pixel(25, 512 + 88), 0xffff00);
    ck_assert_uint_eq(pixel(26, 512 + 88), 0);
}
END_TEST

/* Any registers, any block: nothing leaves the memory (the sanitizers look), and nothing takes long. */
START_TEST(hostile_blocks)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(5446);
    int64_t longest = 0;
    start();
    out(0x3c2, 3);
    for (unsigned n = 0; n < 400; n++) {
        for (unsigned i = 0; i < 0x40; i++) {
            if (i != 0x31) {
                gr(i, (uint8_t)g_rand_int(rand));
            }
        }
        gr(0x30, (uint8_t)(g_rand_int(rand) & ~2u));
        if (n % 8) { /* mostly flat ones: a full block is 16 MB */
            gr(0x23, 0);
        }
        sr(7, (uint8_t)(n & 1));
        int64_t before = g_get_monotonic_time();
        gr(0x31, 2);
        longest = MAX(longest, g_get_monotonic_time() - before);
        for (unsigned i = 0; i < 200; i++) {
            uint64_t at = i & 1 ? LINEAR + g_rand_int(rand) % (32 * MB) : 0xa0000 + g_rand_int(rand) % 0x20000;
            space_store(space_memory(), at, 1u << g_rand_int_range(rand, 0, 4), g_rand_int(rand));
            space_load(space_memory(), at, 4);
            if (i % 64 == 63) { /* the block changes while the host sends it */
                gr(0x20 + (unsigned)g_rand_int_range(rand, 0, 0x11), (uint8_t)g_rand_int(rand));
            }
        }
        gr(0x31, 4);
        ck_assert_uint_eq(read_indexed(0x3ce, 0x31) & 9, 0);
    }
    ck_assert_int_lt(longest, 5 * G_USEC_PER_SEC);
}
END_TEST

/* The same on the ISA bus: registers at their ports and the window, and what tells that it is not a PCI chip. */
START_TEST(isa_bus_)
{
    GError *error = NULL;
    Region *memory = region_container("isa.mem", 16 << 20);
    region_map(space_root(space_memory()), memory, 0, 1);
    IsaBus *isa = isa_bus_new(NULL, space_root(space_io()), memory);
    Device *card = device_new(&isa_cirrus_vga_class, NULL);
    ck_assert(device_set(card, "vgamem_mb", "2", &error));
    ck_assert_msg(device_realize(card, isa->bus, &error), "%s", error ? error->message : "");
    device_reset(card, true);
    mem_commit();
    chip = (Cirrus *)card;
    out(0x3c2, 3);
    ck_assert_uint_eq(read_indexed(0x3d4, 0x27), 0xa0);
    ck_assert_uint_eq(read_indexed(0x3c4, 0x17) & 0x38, 0x38);
    ck_assert_uint_eq(read_indexed(0x3c4, 0x0f) & 0x98, 0x18); /* 64 bits wide, one bank: 2 MiB */
    sr(6, 0x12);
    sr(7, 1);
    gr(0x0b, 0x20);
    gr(9, 2); /* of 16 KiB */
    space_store(space_memory(), 0xa0005, 1, 'a');
    is(0x8005, "a", 1);
    gr(9, 0);
    ck_assert_uint_eq(space_load(space_memory(), 0xa8005, 1), 'a');
    Device *wrong = device_new(&isa_cirrus_vga_class, NULL);
    ck_assert(device_set(wrong, "vgamem_mb", "32", &error) && !device_realize(wrong, isa->bus, &error));
    ck_assert_str_eq(error->message, "Property 'isa-cirrus-vga.vgamem_mb' takes 1, 2, 4, 8 or 16, not 32");
}
END_TEST

BENCH_MAIN("cirrus", CASE(identity), CASE(isa_bus_), CASE(hidden_dac_register), CASE(banks), CASE(extended_write_modes),
           CASE(raster_operations), CASE(copies), CASE(patterns), CASE(color_expansion), CASE(from_the_host),
           CASE(mapped_registers), CASE(depths), CASE(cursor), CASE(large_planes), CASE(hostile_blocks))
