/* IBM VGA with the Bochs display interface (dispi): a chip that knows no bus.
 *
 * The register files are rows: ports 3b0-3df are space VGA_PORTS at offset 0, the index/data pairs lead to the others.
 * Display memory is packed: byte 4 * n + p is offset n of plane p, as the sequencer sees it; in chain-4 and in the linear
 * modes of dispi the same bytes are simply consecutive pixels.  So one block serves both, and the window at a0000 can show
 * it directly in the modes where a store is just a store.
 *
 * A class that attaches the chip to a bus embeds a Vga as PART at space 0 and calls vga_map in its realize. */
#ifndef HW_DISPLAY_VGA_H
#define HW_DISPLAY_VGA_H

#include "hw/device.h"
#include "mem/ram.h"
#include "ui/console.h"

enum { VGA_PORTS, VGA_SEQ, VGA_GC, VGA_CRTC, VGA_ATC, VGA_DISPI, VGA_SPACES };
enum { VGA_PORT_BASE = 0x3b0, VGA_PORT_COUNT = 0x30, VGA_PORT_RANGES = 5, DISPI_PORT = 0x1ce };

enum { SEQ_RESET, SEQ_CLOCKING, SEQ_MAP_MASK, SEQ_CHAR_MAP, SEQ_MEMORY_MODE, SEQ_REGS };
enum { GC_SET_RESET, GC_ENABLE_SET_RESET, GC_COLOR_COMPARE, GC_ROTATE, GC_READ_MAP, GC_MODE, GC_MISC, GC_DONT_CARE,
       GC_BIT_MASK, GC_REGS };
enum { CR_H_TOTAL, CR_H_DISPLAY_END, CR_H_BLANK_START, CR_H_BLANK_END, CR_H_SYNC_START, CR_H_SYNC_END, CR_V_TOTAL,
       CR_OVERFLOW, CR_PRESET_ROW, CR_MAX_SCAN, CR_CURSOR_START, CR_CURSOR_END, CR_START_HIGH, CR_START_LOW,
       CR_CURSOR_HIGH, CR_CURSOR_LOW, CR_V_SYNC_START, CR_V_SYNC_END, CR_V_DISPLAY_END, CR_OFFSET, CR_UNDERLINE,
       CR_V_BLANK_START, CR_V_BLANK_END, CR_MODE, CR_LINE_COMPARE, CRTC_REGS };
enum { ATC_MODE = 0x10, ATC_OVERSCAN, ATC_PLANE_ENABLE, ATC_PANNING, ATC_COLOR_SELECT, ATC_REGS };
enum { DISPI_ID, DISPI_XRES, DISPI_YRES, DISPI_BPP, DISPI_ENABLE, DISPI_BANK, DISPI_VIRT_WIDTH, DISPI_VIRT_HEIGHT,
       DISPI_X_OFFSET, DISPI_Y_OFFSET, DISPI_MEMORY_64K, DISPI_REGS };
enum { DISPI_ENABLED = 0x01, DISPI_GETCAPS = 0x02, DISPI_8BIT_DAC = 0x20, DISPI_LFB = 0x40, DISPI_NOCLEAR = 0x80 };
enum { DISPI_ID_0 = 0xb0c0, DISPI_ID_5 = 0xb0c5, DISPI_MAX_X = 16000, DISPI_MAX_Y = 12000 };

typedef struct VgaDraw VgaDraw;         /* what was drawn last; vga-draw.c */

typedef struct VbeMode {
    unsigned width, height, bpp;        /* bpp: 4, 8, 15, 16, 24, 32                                         */
    uint32_t pitch;                     /* bytes from line to line (4 bpp: dots of one plane's byte, * 4)     */
    uint32_t start;                     /* byte of the first pixel's word                                    */
    unsigned pan;                       /* 4 bpp: dots to skip there                                         */
} VbeMode;

typedef struct VgaCursor {              /* of cards that have one in hardware */
    uint32_t size;                      /* 32 or 64 dots on each side; 0: off                                */
    uint32_t x, y;                      /* of its upper left dot                                             */
    uint32_t at;                        /* of the image, in display memory                                   */
    uint32_t color[2];                  /* x8r8g8b8                                                          */
} VgaCursor;

typedef struct Vga {
    Device dev;
    /* properties */
    uint32_t vgamem_mb;                 /* 1 .. 256, a power of two                                          */
    uint64_t vgamem;                    /* the same in bytes, for a whole that names it so; 0: vgamem_mb     */
    /* registers */
    uint8_t misc, feature;
    uint8_t seq_index, seq[SEQ_REGS];
    uint8_t gc_index, gc[GC_REGS];
    uint8_t crtc_index, crtc[CRTC_REGS];
    uint8_t atc_index, atc[ATC_REGS];
    bool atc_data_next;                 /* the flip-flop behind 3c0: the next write is data                  */
    bool atc_screen_on;                 /* "palette address source": off, the screen shows the border        */
    uint8_t dac_mask, dac_read, dac_write, dac_part;
    bool dac_reading;                   /* 3c7 was written last, not 3c8                                     */
    uint8_t palette[256 * 3];           /* as the guest wrote them: 6 bits each, or 8 with DISPI_8BIT_DAC    */
    uint8_t dac_hold[2];                /* red and green until blue completes the colour                     */
    uint32_t latch;                     /* a byte of each plane                                              */
    uint16_t dispi_index, dispi_id, xres, yres, bpp, enable, bank, virt_width, x_offset, y_offset;
    bool big_endian;                    /* byte order of dispi's pixels                                      */
    uint8_t mask_reads;                 /* of the DAC's mask without another access to the DAC between, up to 4 */
    /* set by the whole from its update(), for a card that does more than this chip */
    VbeMode packed;                     /* a mode of its own; width 0: none                                  */
    VgaCursor cursor;
    uint32_t plane_bank[2];             /* added to a plane's offset, by bit 15 of the address               */
    bool wide_planes;                   /* and planes are as large as the memory allows, not 64 KiB          */
    uint8_t seq_index_mask, gc_index_mask;      /* bits that the indices have; from the whole's realize      */
    /* made by realize */
    RamBlock *vram;
    uint32_t vram_size;
    Region *vram_region;                /* the linear framebuffer                                            */
    Region *window;                     /* a0000-bffff through the graphics controller                       */
    Region *direct;                     /* a0000-affff as plain memory, over the window when possible        */
    Region *ports[VGA_PORT_RANGES], *ports_dispi;
    Console *console;
    VgaDraw *draw;
} Vga;

extern const DeviceClass vga_core_class;
extern const DeviceClass vga_chip_class;        /* the same without the property: the whole gives vgamem_mb */

/* Show the legacy memory window and ports in these containers.  From the attachment's realize. */
void vga_map(Vga *s, Region *memory, Region *io);
void vga_map_ports(Vga *s, Region *io); /* 3b4-3df alone */

/* vga-isa.c: give the firmware this BIOS as a file, for a display without an expansion ROM; `device` is for the message. */
bool vga_bios_offer(const char *device, const char *name, GError **error);

/* ---- vga-mem.c: the graphics controller's path to memory; `at` counts from a0000 ---- */
uint8_t vga_mem_read(Vga *s, uint32_t at);
void vga_mem_write(Vga *s, uint32_t at, uint8_t value);
extern const IoOps vga_mem_ops;         /* opaque: Vga */
/* The window is plain memory in the present mode; where in the block its first byte lies. */
bool vga_mem_direct(const Vga *s, uint64_t *offset);

/* ---- vga-vbe.c: the Bochs display interface ---- */
static inline bool vbe_enabled(const Vga *s) { return s->enable & DISPI_ENABLED; }
/* What the registers mean: always within the limits of the memory. */
VbeMode vbe_mode(const Vga *s);
void vbe_write(void *dev, unsigned reg, unsigned i, uint64_t old, uint64_t value);
uint64_t vbe_read(const void *dev, unsigned reg, unsigned i);
extern const IoOps vbe_port_ops;        /* 1ce-1d0; opaque: Vga */
/* The display is a plain array of pixels, by dispi or by the whole's own registers. */
static inline bool vga_is_linear(const Vga *s) { return s->packed.width || vbe_enabled(s); }

/* ---- vga-draw.c ---- */
extern const ConsoleSource vga_console;
VgaDraw *vga_draw_new(void);
void vga_draw_free(VgaDraw *d);

/* ---- vga-crtc.c: geometry and timing ---- */
typedef struct VgaGeometry {
    unsigned columns;                   /* character clocks shown                                            */
    unsigned dots;                      /* of a character: 8 or 9; doubled when `wide`                       */
    bool wide;                          /* dot clock halved                                                  */
    unsigned lines;                     /* scan lines shown                                                  */
    bool graphics;
} VgaGeometry;
VgaGeometry vga_geometry(const Vga *s);
/* The address counter and row scan counter of each shown scan line. */
typedef struct VgaLine {
    uint16_t counter;                   /* memory address counter at the first column                        */
    uint8_t scan;                       /* row scan counter                                                  */
    bool split;                         /* below the line compare                                            */
} VgaLine;
void vga_lines(const Vga *s, VgaLine *line, unsigned n);
/* Offset in each plane that the counter's value shows, after the address modes of the CRT controller. */
uint32_t vga_fetch_address(const Vga *s, uint16_t counter, uint8_t scan);
/* The counter advances once for 1 << this many columns. */
unsigned vga_counter_shift(const Vga *s);
int64_t vga_frame_ns(const Vga *s);     /* duration of a frame */
/* Input status register 1 at this time. */
uint8_t vga_input_status(const Vga *s, int64_t ns);
/* The 256 colours as x8r8g8b8, and the 16 of the attribute controller. */
void vga_dac_colors(const Vga *s, uint32_t color[256]);
void vga_atc_colors(const Vga *s, const uint32_t dac[256], uint32_t color[16]);

#endif
