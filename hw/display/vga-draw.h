/* What the drawing code of the VGA keeps between updates.  Nothing here is the machine's state. */
#ifndef HW_DISPLAY_VGA_DRAW_H
#define HW_DISPLAY_VGA_DRAW_H

#include "hw/display/vga.h"

enum { FONT_BYTES = 256 * 32, VGA_MAX_LINES = 2048, VGA_CURSOR_BYTES = 64 * 64 / 4 };

typedef struct VgaLook {                /* all that decides on the picture besides memory; bytes are compared */
    uint8_t seq[SEQ_REGS], gc[GC_REGS], crtc[CRTC_REGS], atc[ATC_REGS];
    uint32_t dac[256], color[16];
    VbeMode vbe;                        /* zero: off */
    VgaCursor cursor;
    bool big_endian, blank;
} VgaLook;

struct VgaDraw {
    bool whole;                         /* draw everything */
    bool tracking;                      /* dirty pages are followed */
    VgaLook look;                       /* of the last update */
    VgaLine line[VGA_MAX_LINES];
    uint8_t font[2][FONT_BYTES];        /* for attribute bit 3 clear and set */
    uint32_t *cells;                    /* text: what is drawn in each cell */
    bool *pages;                        /* dirty ones of this update */
    uint64_t n_pages;
    uint8_t *bytes;                     /* a line of a linear mode */
    uint8_t cursor[VGA_CURSOR_BYTES];   /* its image as of this update */
    uint32_t word[0x10000];             /* graphics: the planes as of this update */
};

bool vga_pages_dirty(const VgaDraw *d, uint64_t at, uint64_t len);
/* vga-vbe-draw.c */
void vga_vbe_draw(Vga *s, VgaDraw *d, bool changed);

#endif
