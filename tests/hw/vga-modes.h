/* The BIOS's modes as register values (IBM PS/2 Hardware Interface Technical Reference, BIOS mode tables), for the tests
 * of the VGA. */
#ifndef TESTS_HW_VGA_MODES_H
#define TESTS_HW_VGA_MODES_H

#include <string.h>

#include "hw/display/vga.h"
#include "tests/hw/bench.h"

typedef struct ModeTable {
    uint8_t misc, seq[5], crtc[25], gc[9], atc[21];
} ModeTable;

#define EGA_PALETTE 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f
#define CGA_PALETTE 0x00, 0x13, 0x15, 0x17, 0x02, 0x04, 0x06, 0x07, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17
#define PLAIN_PALETTE 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define TEXT_GC {0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff}
#define PLANAR_GC {0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff}

static const ModeTable mode_03 = {              /* 80 x 25 text, 9 x 16 */
    0x67, {3, 0x00, 3, 0, 2},
    {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f,
     0x96, 0xb9, 0xa3, 0xff},
    TEXT_GC, {EGA_PALETTE, 0x0c, 0x00, 0x0f, 0x08, 0x00}};
static const ModeTable mode_01 = {              /* 40 x 25 text */
    0x67, {3, 0x08, 3, 0, 2},
    {0x2d, 0x27, 0x28, 0x90, 0x2b, 0xa0, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x14, 0x1f,
     0x96, 0xb9, 0xa3, 0xff},
    TEXT_GC, {EGA_PALETTE, 0x0c, 0x00, 0x0f, 0x08, 0x00}};
static const ModeTable mode_07 = {              /* 80 x 25 monochrome text */
    0x66, {3, 0x00, 3, 0, 2},
    {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x0d,
     0x96, 0xb9, 0xa3, 0xff},
    {0, 0, 0, 0, 0, 0x10, 0x0a, 0, 0xff},
    {0x00, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x0e, 0x00, 0x0f,
     0x08, 0x00}};
static const ModeTable mode_04 = {              /* 320 x 200, 4 colours */
    0x63, {3, 0x09, 3, 0, 2},
    {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96,
     0xb9, 0xa2, 0xff},
    {0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff}, {CGA_PALETTE, 0x01, 0x00, 0x03, 0x00, 0x00}};
static const ModeTable mode_06 = {              /* 640 x 200, 2 colours */
    0x63, {3, 0x01, 1, 0, 6},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x00, 0x96,
     0xb9, 0xc2, 0xff},
    {0, 0, 0, 0, 0, 0x00, 0x0d, 0x0f, 0xff},
    {0x00, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x01, 0x00, 0x01,
     0x00, 0x00}};
static const ModeTable mode_0d = {              /* 320 x 200, 16 colours */
    0x63, {3, 0x09, 0x0f, 0, 6},
    {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc0, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96,
     0xb9, 0xe3, 0xff},
    PLANAR_GC, {EGA_PALETTE, 0x01, 0x00, 0x0f, 0x00, 0x00}};
static const ModeTable mode_12 = {              /* 640 x 480, 16 colours */
    0xe3, {3, 0x01, 0x0f, 0, 6},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7,
     0x04, 0xe3, 0xff},
    PLANAR_GC, {EGA_PALETTE, 0x01, 0x00, 0x0f, 0x00, 0x00}};
static const ModeTable mode_13 = {              /* 320 x 200, 256 colours */
    0x63, {3, 0x01, 0x0f, 0, 0x0e},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96,
     0xb9, 0xa3, 0xff},
    {0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff}, {PLAIN_PALETTE, 0x41, 0x00, 0x0f, 0x00, 0x00}};

/* Ports as the guest numbers them. */
static inline uint8_t pin8(Vga *s, unsigned port) { return in8(s, port - VGA_PORT_BASE); }
static inline void pout8(Vga *s, unsigned port, uint8_t v) { out8(s, port - VGA_PORT_BASE, v); }
static inline void pout16(Vga *s, unsigned port, uint16_t v) { out16(s, port - VGA_PORT_BASE, v); }
static inline void index_out(Vga *s, unsigned port, uint8_t index, uint8_t v)
{
    pout16(s, port, (uint16_t)(v << 8 | index));
}
static inline uint8_t index_in(Vga *s, unsigned port, uint8_t index)
{
    pout8(s, port, index);
    return pin8(s, port + 1);
}
static inline unsigned crtc_port(const Vga *s) { return s->misc & 1 ? 0x3d4 : 0x3b4; }
static inline void crtc_out(Vga *s, uint8_t index, uint8_t v) { index_out(s, crtc_port(s), index, v); }
static inline void atc_out(Vga *s, uint8_t index, uint8_t v)
{
    pin8(s, s->misc & 1 ? 0x3da : 0x3ba);
    pout8(s, 0x3c0, index | 0x20);
    pout8(s, 0x3c0, v);
}

static inline void mode_set(Vga *s, const ModeTable *m)
{
    pout8(s, 0x3c2, m->misc);
    for (uint8_t i = 0; i < 5; i++) {
        index_out(s, 0x3c4, i, m->seq[i]);
    }
    crtc_out(s, 0x11, m->crtc[0x11] & 0x7f);
    for (uint8_t i = 0; i < 25; i++) {
        crtc_out(s, i, m->crtc[i]);
    }
    for (uint8_t i = 0; i < 9; i++) {
        index_out(s, 0x3ce, i, m->gc[i]);
    }
    for (uint8_t i = 0; i < 21; i++) {
        atc_out(s, i, m->atc[i]);
    }
}

/* DAC colour i becomes a mix of its own, so that no two of the 64 lowest are alike; returns what a screen shows. */
static inline uint32_t color_of(unsigned i)
{
    unsigned r = i * 5 % 64, g = i * 11 % 64, b = (63 - i) % 64;
    return (r << 2 | r >> 4) << 16 | (g << 2 | g >> 4) << 8 | (b << 2 | b >> 4);
}

static inline void colors_set(Vga *s)
{
    pout8(s, 0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) {
        pout8(s, 0x3c9, i * 5 % 64);
        pout8(s, 0x3c9, i * 11 % 64);
        pout8(s, 0x3c9, (63 - i) % 64);
    }
}

/* A byte of the window, `at` as the guest's address. */
static inline void poke8(Vga *s, uint32_t at, uint8_t v) { vga_mem_write(s, at - 0xa0000, v); }
static inline uint8_t peek8(Vga *s, uint32_t at) { return vga_mem_read(s, at - 0xa0000); }

/* A font whose rows differ from character to character, written as the BIOS does, to character map `map`. */
static inline uint8_t font_bits(unsigned map, unsigned ch, unsigned row)
{
    return (uint8_t)(ch * 37 + row * 73 + map * 11 + (ch * row >> 2));
}

static inline void font_load(Vga *s, unsigned map)
{
    uint8_t seq2 = s->seq[2], seq4 = s->seq[4], gc5 = s->gc[5], gc6 = s->gc[6];
    index_out(s, 0x3c4, 2, 4);
    index_out(s, 0x3c4, 4, 6);
    index_out(s, 0x3ce, 5, 0);
    index_out(s, 0x3ce, 6, 4);
    uint32_t at = 0xa0000 + (map & 3) * 0x4000 + (map >> 2) * 0x2000;
    for (unsigned ch = 0; ch < 256; ch++) {
        for (unsigned row = 0; row < 32; row++) {
            poke8(s, at + ch * 32 + row, font_bits(map, ch, row));
        }
    }
    index_out(s, 0x3c4, 2, seq2);
    index_out(s, 0x3c4, 4, seq4);
    index_out(s, 0x3ce, 5, gc5);
    index_out(s, 0x3ce, 6, gc6);
}

#endif
