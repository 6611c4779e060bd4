/* Cirrus Logic CL-GD5446 (Technical Reference Manual, November 1996): a VGA with packed-pixel modes, a cursor in hardware
 * and an engine that moves blocks of pixels ("BitBLT").  cirrus.c has the registers, cirrus-mem.c the paths to memory,
 * cirrus-blt.c the engine. */
#ifndef HW_DISPLAY_CIRRUS_H
#define HW_DISPLAY_CIRRUS_H

#include "hw/display/vga.h"
#include "hw/pci/pci.h"

/* Graphics controller registers of the extension, 9h to 3fh; GR0, GR1 and GR5 get more bits. */
enum { GR_FIRST = 0x09, GR_COUNT = 0x40 };
enum { GR_OFFSET0 = 0x09, GR_OFFSET1, GR_MODE_EXT, GR_BG1 = 0x10, GR_FG1, GR_BG2, GR_FG2, GR_BG3, GR_FG3,
       GR_WIDTH = 0x20, GR_HEIGHT = 0x22, GR_DST_PITCH = 0x24, GR_SRC_PITCH = 0x26, GR_DST = 0x28, GR_SRC = 0x2c,
       GR_LEFT_CLIP = 0x2f, GR_BLT_MODE, GR_BLT_STATUS, GR_BLT_ROP, GR_BLT_EXT, GR_KEY = 0x34, GR_KEY_MASK = 0x38 };
/* GRB */
enum { EXT_DUAL = 0x01, EXT_BY8 = 0x02, EXT_WRITE_MODES = 0x04, EXT_LATCHES8 = 0x08, EXT_16BIT = 0x10, EXT_GRAIN_16K = 0x20 };
/* GR30 */
enum { BLT_DECREMENT = 0x01, BLT_TO_SYSTEM = 0x02, BLT_FROM_SYSTEM = 0x04, BLT_TRANSPARENT = 0x08, BLT_PIXEL = 0x30,
       BLT_PATTERN = 0x40, BLT_EXPAND = 0x80 };
/* GR31 */
enum { BLT_BUSY = 0x01, BLT_START = 0x02, BLT_RESET = 0x04, BLT_IN_PROGRESS = 0x08, BLT_AUTOSTART = 0x80 };
/* GR33 */
enum { BLT_DWORDS = 0x01, BLT_INVERT = 0x02, BLT_SOLID = 0x04 };
enum { BLT_LINE = 0x2000 + 8 };         /* bytes: the widest line, and what fills its last doubleword up */

typedef struct Cirrus {
    PciDevice pci;
    Vga vga;
    bool blitter, global_vmstate;       /* properties */
    uint8_t id;                         /* CR27, by realize                                                  */
    /* sequencer */
    uint8_t sr6, sr7, sr_misc[0x20], cursor_attr, cursor_pattern;
    uint16_t cursor_x, cursor_y;
    uint8_t cursor_color[16 * 3];       /* the DAC's entries beyond the palette                              */
    uint8_t cursor_hold[2];
    /* graphics controller */
    uint8_t gr0, gr1, gr5, map_mask, gr[GR_COUNT];
    uint64_t latch8;
    /* CRT controller, DAC */
    uint8_t cr_sync[2], cr1a, cr1b, cr1d, hdr;
    /* the engine takes its source from the host: */
    uint32_t blt_left;                  /* bytes that it still wants; 0: it is idle                          */
    uint16_t blt_row, blt_fill;         /* line of the block, and how much of its source is there            */
    uint8_t blt_line[BLT_LINE];
    /* made by realize */
    Region *frame, *linear_io, *linear, *linear_mmio, *mmio_bar;    /* BAR 0, its parts; BAR 1                */
    Region *window, *window_mmio, *half[2];                         /* a0000-bffff, and what lies over it     */
} Cirrus;

/* ---- cirrus-mem.c ---- */
extern const IoOps cirrus_window_ops, cirrus_linear_ops;        /* opaque: Cirrus */
/* The halves of a0000-affff are plain memory now: where in the block each begins. */
bool cirrus_window_plain(const Cirrus *s, uint32_t at[2]);
/* So is the linear framebuffer. */
bool cirrus_linear_plain(const Cirrus *s);
static inline bool cirrus_packed(const Cirrus *s) { return s->sr7 & 1; }

/* ---- cirrus-blt.c ---- */
void cirrus_blt_start(Cirrus *s);       /* carries it out, or waits for the host's bytes */
void cirrus_blt_feed(Cirrus *s, uint64_t bytes, unsigned n);    /* when blt_left != 0 */
void cirrus_blt_stop(Cirrus *s);

#endif
