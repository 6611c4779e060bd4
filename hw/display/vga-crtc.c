/* The CRT controller: which address each scan line shows, and when (IBM VGA, "CRT Controller";
 * FreeVGA "CRT Controller Registers", "VGA Sequencer Operation"). */
#include "hw/display/vga.h"

enum { SEQ1_EIGHT_DOTS = 0x01, SEQ1_HALF_CLOCK = 0x08 };
enum { CR9_SCAN = 0x1f, CR9_LINE_COMPARE = 0x40, CR9_DOUBLE = 0x80 };
enum { CR14_COUNT_BY_4 = 0x20, CR14_DWORD = 0x40 };
enum {
    CR17_KEEP_13 = 0x01,
    CR17_KEEP_14 = 0x02,
    CR17_HALF_LINES = 0x04,
    CR17_COUNT_BY_2 = 0x08,
    CR17_WRAP_15 = 0x20,
    CR17_BYTE = 0x40
};
enum { ATC10_GRAPHICS = 0x01, ATC10_PAN_TOP_ONLY = 0x20, ATC10_COLOR_5_4 = 0x80 };

/* A vertical register of ten bits: bits 8 and 9 are in the overflow register. */
static unsigned vertical(const Vga *s, unsigned reg, unsigned bit8, unsigned bit9)
{
    unsigned over = s->crtc[CR_OVERFLOW];
    return s->crtc[reg] | (over >> bit8 & 1) << 8 | (over >> bit9 & 1) << 9;
}

static unsigned line_factor(const Vga *s)
{
    return s->crtc[CR_MODE] & CR17_HALF_LINES ? 2 : 1;
}

VgaGeometry vga_geometry(const Vga *s)
{
    VgaGeometry g = {
        .columns = s->crtc[CR_H_DISPLAY_END] + 1u,
        .lines = (vertical(s, CR_V_DISPLAY_END, 1, 6) + 1) * line_factor(s),
        .wide = s->seq[SEQ_CLOCKING] & SEQ1_HALF_CLOCK,
        .graphics = s->atc[ATC_MODE] & ATC10_GRAPHICS,
    };
    /* Forty columns have eight dots, as screens of emulators do: 640 wide rather than 720. */
    g.dots = g.graphics || g.wide || (s->seq[SEQ_CLOCKING] & SEQ1_EIGHT_DOTS) ? 8 : 9;
    return g;
}

void vga_lines(const Vga *s, VgaLine *line, unsigned n)
{
    unsigned compare = s->crtc[CR_LINE_COMPARE] | (s->crtc[CR_OVERFLOW] & 0x10) << 4 |
                       (s->crtc[CR_MAX_SCAN] & CR9_LINE_COMPARE) << 3;
    unsigned last = s->crtc[CR_MAX_SCAN] & CR9_SCAN, factor = line_factor(s);
    unsigned repeat = factor * (s->crtc[CR_MAX_SCAN] & CR9_DOUBLE ? 2 : 1), again = 0;
    uint16_t counter = (uint16_t)(s->crtc[CR_START_HIGH] << 8 | s->crtc[CR_START_LOW]);
    unsigned scan = s->crtc[CR_PRESET_ROW] & 0x1f;
    bool split = false;
    counter = (uint16_t)(counter + (s->crtc[CR_PRESET_ROW] >> 5 & 3));
    for (unsigned y = 0; y < n; y++) {
        line[y] = (VgaLine){counter, (uint8_t)scan, split};
        if (!split && (y + 1) % factor == 0 && y / factor == compare) {
            split = true;
            counter = 0;
            scan = again = 0;
            continue;
        }
        if (++again < repeat) {
            continue;
        }
        again = 0;
        if (scan == last) {
            scan = 0;
            counter = (uint16_t)(counter + s->crtc[CR_OFFSET] * 2);
        } else {
            scan = (scan + 1) & CR9_SCAN;
        }
    }
}

uint32_t vga_fetch_address(const Vga *s, uint16_t counter, uint8_t scan)
{
    unsigned mode = s->crtc[CR_MODE];
    uint32_t a = counter;
    if (s->crtc[CR_UNDERLINE] & CR14_DWORD) {
        /* In chain-4 the host's bytes are packed, so the counter counts their words. */
        if (!(s->seq[SEQ_MEMORY_MODE] & 0x08)) {
            a = a << 2 | (counter >> 12 & 3);
        }
    } else if (!(mode & CR17_BYTE)) {
        a = a << 1 | (mode & CR17_WRAP_15 ? counter >> 15 & 1 : counter >> 13 & 1);
    }
    if (!(mode & CR17_KEEP_13)) {
        a = (a & ~0x2000u) | (scan & 1u) << 13;
    }
    if (!(mode & CR17_KEEP_14)) {
        a = (a & ~0x4000u) | (scan & 2u) << 13;
    }
    return a & 0xffff;
}

unsigned vga_counter_shift(const Vga *s)
{
    return s->crtc[CR_UNDERLINE] & CR14_COUNT_BY_4 ? 2 : s->crtc[CR_MODE] & CR17_COUNT_BY_2 ? 1 : 0;
}

/* ---- Time ---- */

typedef struct Timing {
    int64_t line_ns, frame_ns;
    unsigned columns, total_columns, lines, sync_start, sync_lines;
} Timing;

static Timing timing(const Vga *s)
{
    static const uint32_t clock_khz[4] = {25175, 28322, 25175, 25175};
    unsigned dots = (s->seq[SEQ_CLOCKING] & SEQ1_EIGHT_DOTS ? 8 : 9) *
                    (s->seq[SEQ_CLOCKING] & SEQ1_HALF_CLOCK ? 2 : 1);
    Timing t = {
        .columns = s->crtc[CR_H_DISPLAY_END] + 1u,
        .total_columns = s->crtc[CR_H_TOTAL] + 5u,
        .lines = (vertical(s, CR_V_DISPLAY_END, 1, 6) + 1) * line_factor(s),
        .sync_start = vertical(s, CR_V_SYNC_START, 2, 7) * line_factor(s),
    };
    unsigned total = (vertical(s, CR_V_TOTAL, 0, 5) + 2) * line_factor(s);
    t.sync_lines = ((s->crtc[CR_V_SYNC_END] - t.sync_start) & 0xf) * line_factor(s);
    if (!t.sync_lines) {
        t.sync_lines = 16;
    }
    if (t.sync_start < t.lines || t.sync_start >= total) {
        t.sync_start = MIN(t.lines, total - 1);
    }
    t.line_ns = (int64_t)t.total_columns * dots * 1000000 / clock_khz[s->misc >> 2 & 3];
    /* A controller that nobody programmed still runs: guests wait for retrace before they set a
     * mode. */
    t.frame_ns = MAX(t.line_ns * total, NS_PER_MS);
    return t;
}

int64_t vga_frame_ns(const Vga *s)
{
    return timing(s).frame_ns;
}

uint8_t vga_input_status(const Vga *s, int64_t ns)
{
    enum { NOT_DISPLAYING = 0x01, IN_RETRACE = 0x08 };
    Timing t = timing(s);
    int64_t within = ns % t.frame_ns, line = within / t.line_ns;
    int64_t column = within % t.line_ns * t.total_columns / t.line_ns;
    uint8_t status = line >= t.lines || column >= t.columns ? NOT_DISPLAYING : 0;
    if (line >= t.sync_start && line < (int64_t)t.sync_start + t.sync_lines) {
        status |= IN_RETRACE | NOT_DISPLAYING;
    }
    return status;
}

/* ---- Colours ---- */

void vga_dac_colors(const Vga *s, uint32_t color[256])
{
    bool wide = s->enable & DISPI_8BIT_DAC;
    for (unsigned i = 0; i < 256; i++) {
        uint32_t rgb = 0;
        const uint8_t *p = &s->palette[3 * (i & s->dac_mask)];
        for (unsigned c = 0; c < 3; c++) {
            /* Six bits spread over eight, so that full is full. */
            unsigned v = p[c] & 0x3f;
            rgb = rgb << 8 | (wide ? p[c] : v << 2 | v >> 4);
        }
        color[i] = rgb;
    }
}

void vga_atc_colors(const Vga *s, const uint32_t dac[256], uint32_t color[16])
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned v = s->atc[i & s->atc[ATC_PLANE_ENABLE]] & 0x3f, select = s->atc[ATC_COLOR_SELECT];
        v = s->atc[ATC_MODE] & ATC10_COLOR_5_4 ? (v & 0x0f) | (select & 3) << 4 : v;
        color[i] = dac[v | (select & 0x0c) << 4];
    }
}
