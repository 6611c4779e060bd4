/* Consoles: what a display device draws on and what screens, VNC and screendump look at.  Main lock held. */
#ifndef UI_CONSOLE_H
#define UI_CONSOLE_H

#include <glib.h>
#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Console Console;
typedef struct Surface {                /* x8r8g8b8, owned by the console */
    pixman_image_t *image;
    int width, height;                  /* pixels */
} Surface;
static inline uint32_t *surface_line(const Surface *s, int y)
{
    return (uint32_t *)((uint8_t *)pixman_image_get_data(s->image) + (size_t)y * pixman_image_get_stride(s->image));
}

typedef struct TextCell { uint8_t ch, attr; } TextCell; /* VGA character and attribute */

/* The device's side.  update() draws what changed into the surface and reports it by console_dirty; it is called before
 * anybody looks, at most at the fastest listener's rate, and not at all while nobody looks.  Only update is a must. */
typedef struct ConsoleSource {
    void (*update)(void *dev);
    void (*invalidate)(void *dev);      /* forget what was drawn: the next update draws everything */
    void (*watched)(void *dev, bool on);/* somebody follows the pixels from now on (track changes), or nobody any more */
    /* Text modes: fill `cells` (columns * rows), give the cursor (-1: hidden).  False while in a graphics mode. */
    bool (*text)(void *dev, TextCell *cells, unsigned room, unsigned *columns, unsigned *rows, int *cursor_x,
                 int *cursor_y);
    /* A terminal: takes what is typed as bytes.  NULL: keys go to the machine's keyboard. */
    void (*type)(void *dev, const char *text, size_t len);
} ConsoleSource;
Console *console_new(const char *label, const ConsoleSource *source, void *dev);
void console_free(Console *c);
Surface *console_surface(Console *c);   /* 640x480 black until the device resizes */
/* A new black surface; listeners learn of it.  Nothing happens when that is its size already.  Sizes are cut to
 * 1 .. CONSOLE_MAX_SIZE. */
enum { CONSOLE_MAX_SIZE = 16384 };
void console_resize(Console *c, int width, int height);
void console_dirty(Console *c, int x, int y, int width, int height);

/* The looker's side.  The listener is the caller's and stays in place until console_unlisten. */
typedef struct ConsoleListener ConsoleListener;
struct ConsoleListener {
    void (*dirty)(ConsoleListener *l, int x, int y, int width, int height);
    void (*resized)(ConsoleListener *l, Surface *s);    /* also first thing in console_listen */
    void (*tick)(ConsoleListener *l);   /* after each round of update() */
    unsigned interval_ms;               /* how often it wants update(): 30 .. 3000; may change at any time */
    bool text_only;                     /* looks at console_text from its tick; nothing is drawn for it */
    Console *console;                   /* set by console_listen */
};
/* The first update comes with the next round of the main loop.  Idle consoles have no timer. */
void console_listen(Console *c, ConsoleListener *l);
void console_unlisten(ConsoleListener *l);
Console *console_find(unsigned index);  /* screens of the machine, then terminals, as they were made; NULL */
const char *console_label(const Console *c);
void *console_device(const Console *c);
unsigned console_count(void);
void console_refresh(Console *c);       /* update() now */
bool console_text(Console *c, TextCell *cells, unsigned room, unsigned *columns, unsigned *rows, int *cx, int *cy);

bool console_takes_text(const Console *c);      /* a terminal rather than the machine's screen */
void console_type(Console *c, const char *text, size_t len);

/* screendump.c: write what the console shows now, as PPM (P6) or PNG.  format "ppm" (also NULL) or "png".  A file that
 * could not be written whole is removed. */
bool console_screendump(Console *c, const char *path, const char *format, GError **error);

#endif
