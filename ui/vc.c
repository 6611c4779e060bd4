/* A terminal of the VT100 family on a console of cells, for the back ends of kind "vc" (ECMA-48;
 * the usual subset: cursor movement, erasing, colours, scrolling).  It has no pixels: displays that
 * show text look at the cells. */
#include "ui/vc.h"

#include <string.h>

#include "char/char.h"
#include "ui/console.h"

enum { COLUMNS = 80, ROWS = 24, SIDE_MAX = 255, PARAMS = 8, TYPED_MAX = 4096 };
enum { ATTR_PLAIN = 0x07 };

typedef enum State { GROUND, ESCAPE, CONTROL } State;

typedef struct Vc {
    Char *c;
    Console *console;
    unsigned columns, rows, x, y, saved_x, saved_y;
    uint8_t attr;
    bool reverse, bold;
    State state;
    unsigned param[PARAMS], params;
    GByteArray *typed; /* for the front end, until it has room */
    TextCell cell[];
} Vc;

/* ---- The screen ---- */

static TextCell blank(const Vc *v)
{
    return (TextCell){' ', v->attr};
}

static void erase(Vc *v, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        v->cell[i] = blank(v);
    }
}

static void line_feed(Vc *v)
{
    if (v->y + 1 < v->rows) {
        v->y++;
        return;
    }
    memmove(v->cell, v->cell + v->columns, (v->rows - 1) * v->columns * sizeof(TextCell));
    erase(v, (v->rows - 1) * v->columns, v->rows * v->columns);
}

static void put(Vc *v, uint8_t ch)
{
    if (v->x >= v->columns) { /* the wrap waits for the next character */
        v->x = 0;
        line_feed(v);
    }
    uint8_t attr = (uint8_t)(v->attr | (v->bold ? 0x08 : 0));
    if (v->reverse) {
        attr = (uint8_t)((attr & 0x88) | (attr & 7) << 4 | (attr >> 4 & 7));
    }
    v->cell[v->y * v->columns + v->x++] = (TextCell){ch, attr};
}

static void rendition(Vc *v, unsigned n)
{
    static const uint8_t order[8] = {0, 4, 2, 6,
                                     1, 5, 3, 7}; /* ECMA-48 counts red lowest, VGA blue */
    switch (n) {
    case 0:
        v->attr = ATTR_PLAIN;
        v->bold = v->reverse = false;
        break;
    case 1: v->bold = true; break;
    case 7: v->reverse = true; break;
    case 22: v->bold = false; break;
    case 27: v->reverse = false; break;
    case 30 ... 37: v->attr = (uint8_t)((v->attr & 0xf0) | order[n - 30]); break;
    case 39: v->attr = (uint8_t)((v->attr & 0xf0) | (ATTR_PLAIN & 0x0f)); break;
    case 40 ... 47: v->attr = (uint8_t)((v->attr & 0x0f) | order[n - 40] << 4); break;
    case 49: v->attr &= 0x0f; break;
    }
}

static void answer(Vc *v, const char *text)
{
    size_t room = char_can_receive(v->c), len = strlen(text);
    if (room >= len) {
        char_receive(v->c, (const uint8_t *)text, len);
    }
}

/* The final byte of a control sequence; a missing parameter is 0. */
static void control(Vc *v, uint8_t final)
{
    unsigned n = v->param[0], count = MAX(n, 1), at = v->y * v->columns + MIN(v->x, v->columns - 1);
    unsigned line = v->y * v->columns;
    switch (final) {
    case 'A': v->y -= MIN(count, v->y); break;
    case 'B': v->y = MIN(v->y + count, v->rows - 1); break;
    case 'C': v->x = MIN(v->x + count, v->columns - 1); break;
    case 'D': v->x -= MIN(count, v->x); break;
    case 'G': v->x = MIN(count, v->columns) - 1; break;
    case 'd': v->y = MIN(count, v->rows) - 1; break;
    case 'H':
    case 'f':
        v->y = MIN(count, v->rows) - 1;
        v->x = CLAMP(v->param[1], 1, v->columns) - 1;
        break;
    case 'J': erase(v, n == 0 ? at : 0, n == 1 ? at + 1 : v->rows * v->columns); break;
    case 'K': erase(v, n == 0 ? at : line, n == 1 ? at + 1 : line + v->columns); break;
    case 'P':
        count = MIN(count, line + v->columns - at);
        memmove(v->cell + at, v->cell + at + count,
                (line + v->columns - at - count) * sizeof(TextCell));
        erase(v, line + v->columns - count, line + v->columns);
        break;
    case '@':
        count = MIN(count, line + v->columns - at);
        memmove(v->cell + at + count, v->cell + at,
                (line + v->columns - at - count) * sizeof(TextCell));
        erase(v, at, at + count);
        break;
    case 'm':
        for (unsigned i = 0; i <= v->params && i < PARAMS; i++) {
            rendition(v, v->param[i]);
        }
        break;
    case 'n':
        if (n == 5) {
            answer(v, "\033[0n");
        } else if (n == 6) {
            g_autofree char *text =
                g_strdup_printf("\033[%u;%uR", v->y + 1, MIN(v->x, v->columns - 1) + 1);
            answer(v, text);
        }
        break;
    case 's':
        v->saved_x = v->x;
        v->saved_y = v->y;
        break;
    case 'u':
        v->x = v->saved_x;
        v->y = v->saved_y;
        break;
    }
}

static void ground(Vc *v, uint8_t b)
{
    switch (b) {
    case '\r': v->x = 0; break;
    case '\n':
    case '\v':
    case '\f': line_feed(v); break;
    case '\b': v->x -= v->x > 0; break;
    case '\t': v->x = MIN((v->x | 7) + 1, v->columns - 1); break;
    case 0x1b: v->state = ESCAPE; break;
    case 0x7f: break;
    default:
        if (b >= 0x20) {
            put(v, b);
        }
    }
}

static void vc_byte(Vc *v, uint8_t b)
{
    switch (v->state) {
    case ESCAPE:
        v->state = b == '[' ? CONTROL : GROUND;
        memset(v->param, 0, sizeof v->param);
        v->params = 0;
        if (b == 'c') {
            v->x = v->y = 0;
            rendition(v, 0);
            erase(v, 0, v->rows * v->columns);
        }
        break;
    case CONTROL:
        if (b >= '0' && b <= '9') {
            unsigned *p = &v->param[MIN(v->params, PARAMS - 1)];
            *p = MIN(*p * 10 + (b - '0'), 9999);
        } else if (b == ';') {
            v->params = MIN(v->params + 1, PARAMS - 1);
        } else if (b >= 0x40 && b <= 0x7e) {
            v->state = GROUND;
            control(v, b);
        } else if (b < 0x20) {
            ground(v, b); /* controls act within a sequence too */
        }
        break;
    default: ground(v, b);
    }
}

/* ---- The console ---- */

static void vc_update(void *dev) {}

static bool vc_text(void *dev, TextCell *cells, unsigned room, unsigned *columns, unsigned *rows,
                    int *cursor_x, int *cursor_y)
{
    const Vc *v = dev;
    *columns = MIN(v->columns, room);
    *rows = MIN(v->rows, room / *columns);
    *cursor_x = (int)MIN(v->x, v->columns - 1);
    *cursor_y = (int)v->y;
    memcpy(cells, v->cell, (size_t)*columns * *rows * sizeof *cells);
    return true;
}

/* What was typed goes out as the front end takes it. */
static void typed_flush(Vc *v)
{
    while (v->typed->len) {
        size_t n = MIN(char_can_receive(v->c), v->typed->len);
        if (!n) {
            return;
        }
        g_autofree uint8_t *bytes = g_memdup2(v->typed->data, n);
        g_byte_array_remove_range(v->typed, 0, (guint)n);
        char_receive(v->c, bytes, n);
    }
}

static void vc_type(void *dev, const char *text, size_t len)
{
    Vc *v = dev;
    if (v->typed->len + len <= TYPED_MAX) {
        g_byte_array_append(v->typed, (const uint8_t *)text, (guint)len);
    }
    typed_flush(v);
}

static const ConsoleSource source = {.update = vc_update, .text = vc_text, .type = vc_type};

static void *vc_open(Char *c, unsigned columns, unsigned rows)
{
    columns = columns ? MIN(columns, SIDE_MAX) : COLUMNS;
    rows = rows ? MIN(rows, SIDE_MAX / 2) : ROWS;
    Vc *v = g_malloc0(sizeof *v + (size_t)columns * rows * sizeof(TextCell));
    v->c = c;
    v->columns = columns;
    v->rows = rows;
    v->attr = ATTR_PLAIN;
    v->typed = g_byte_array_new();
    erase(v, 0, columns * rows);
    v->console = console_new(char_id(c), &source, v);
    return v;
}

static void vc_close(void *vc)
{
    Vc *v = vc;
    console_free(v->console);
    g_byte_array_unref(v->typed);
    g_free(v);
}

static void vc_write(void *vc, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        vc_byte(vc, buf[i]);
    }
}

static void vc_accept(void *vc)
{
    typed_flush(vc);
}

static const CharVcOps ops = {vc_open, vc_close, vc_write, vc_accept};

void vc_enable(bool on)
{
    char_vc_ops = on ? &ops : NULL;
}
