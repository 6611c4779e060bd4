/* Consoles and those who look at them. */
#include "ui/console.h"

#include "core/clock.h"

struct Console {
    char *label;
    const ConsoleSource *source;
    void *dev;
    Surface surface;
    GPtrArray *listeners; /* of ConsoleListener, not owned */
    Timer refresh;        /* set only while somebody listens */
    bool watched;         /* what the source was told last */
};

static GPtrArray *consoles;

static void surface_set(Console *c, int width, int height)
{
    if (c->surface.image) {
        pixman_image_unref(c->surface.image);
    }
    c->surface.image = pixman_image_create_bits(PIXMAN_x8r8g8b8, width, height, NULL, 0);
    c->surface.width = width;
    c->surface.height = height;
}

static bool pixels_wanted(const Console *c)
{
    for (unsigned i = 0; i < c->listeners->len; i++) {
        if (!((ConsoleListener *)c->listeners->pdata[i])->text_only) {
            return true;
        }
    }
    return false;
}

static void watched_tell(Console *c)
{
    bool on = pixels_wanted(c);
    if (on != c->watched) {
        c->watched = on;
        if (c->source->watched) {
            c->source->watched(c->dev, on);
        }
        if (on && c->source->invalidate) {
            c->source->invalidate(c->dev);
        }
    }
}

static void refresh_arm(Console *c)
{
    unsigned interval = 3000;
    for (unsigned i = 0; i < c->listeners->len; i++) {
        interval = MIN(interval, ((ConsoleListener *)c->listeners->pdata[i])->interval_ms);
    }
    timer_at(&c->refresh,
             c->listeners->len ? clock_now(CLOCK_RT) + MAX(interval, 30) * NS_PER_MS : TIMER_OFF);
}

static void refresh_due(void *arg)
{
    Console *c = arg;
    if (c->watched) {
        c->source->update(c->dev);
    }
    /* A tick may end its own listening. */
    for (unsigned i = c->listeners->len; i-- > 0;) {
        ConsoleListener *l = i < c->listeners->len ? c->listeners->pdata[i] : NULL;
        if (l && l->tick) {
            l->tick(l);
        }
    }
    refresh_arm(c);
}

Console *console_new(const char *label, const ConsoleSource *source, void *dev)
{
    Console *c = g_new0(Console, 1);
    c->label = g_strdup(label);
    c->source = source;
    c->dev = dev;
    c->listeners = g_ptr_array_new();
    timer_init(&c->refresh, CLOCK_RT, refresh_due, c);
    if (!consoles) {
        consoles = g_ptr_array_new();
    }
    unsigned at = 0;                    /* the machine's own screens come before terminals */
    while (at < consoles->len && (source->type || !console_takes_text(consoles->pdata[at]))) {
        at++;
    }
    g_ptr_array_insert(consoles, (int)at, c);
    return c;
}

void console_free(Console *c)
{
    if (!c) {
        return;
    }
    timer_off(&c->refresh);
    for (unsigned i = 0; i < c->listeners->len; i++) {
        ((ConsoleListener *)c->listeners->pdata[i])->console = NULL;
    }
    g_ptr_array_remove(consoles, c);
    g_ptr_array_unref(c->listeners);
    if (c->surface.image) {
        pixman_image_unref(c->surface.image);
    }
    g_free(c->label);
    g_free(c);
}

Surface *console_surface(Console *c)
{
    if (!c->surface.image) {
        surface_set(c, 640, 480); /* late: a console that nobody looks at costs no pixels */
    }
    return &c->surface;
}

void console_resize(Console *c, int width, int height)
{
    width = CLAMP(width, 1, CONSOLE_MAX_SIZE);
    height = CLAMP(height, 1, CONSOLE_MAX_SIZE);
    if (c->surface.image && c->surface.width == width && c->surface.height == height) {
        return;
    }
    surface_set(c, width, height);
    for (unsigned i = 0; i < c->listeners->len; i++) {
        ConsoleListener *l = c->listeners->pdata[i];
        if (l->resized && !l->text_only) {
            l->resized(l, &c->surface);
        }
    }
}

void console_dirty(Console *c, int x, int y, int width, int height)
{
    const Surface *s = console_surface(c);
    int right = MIN(x + width, s->width), bottom = MIN(y + height, s->height);
    x = MAX(x, 0);
    y = MAX(y, 0);
    if (right <= x || bottom <= y) {
        return;
    }
    for (unsigned i = 0; i < c->listeners->len; i++) {
        ConsoleListener *l = c->listeners->pdata[i];
        if (l->dirty && !l->text_only) {
            l->dirty(l, x, y, right - x, bottom - y);
        }
    }
}

void console_listen(Console *c, ConsoleListener *l)
{
    l->console = c;
    g_ptr_array_add(c->listeners, l);
    watched_tell(c);
    if (!l->text_only) {
        if (l->resized) {
            l->resized(l, console_surface(c));
        }
        if (c->source->invalidate) {
            c->source->invalidate(c->dev); /* it has seen nothing yet */
        }
    }
    timer_at(&c->refresh, clock_now(CLOCK_RT));
}

void console_unlisten(ConsoleListener *l)
{
    Console *c = l->console;
    if (c) {
        l->console = NULL;
        g_ptr_array_remove(c->listeners, l);
        watched_tell(c);
        refresh_arm(c);
    }
}

Console *console_find(unsigned index)
{
    return consoles && index < consoles->len ? consoles->pdata[index] : NULL;
}

unsigned console_count(void)
{
    return consoles ? consoles->len : 0;
}

const char *console_label(const Console *c)
{
    return c->label;
}

void *console_device(const Console *c)
{
    return c->dev;
}

void console_refresh(Console *c)
{
    /* Without followers nobody tracked the changes: draw everything. */
    if (!c->watched && c->source->invalidate) {
        c->source->invalidate(c->dev);
    }
    c->source->update(c->dev);
}

bool console_text(Console *c, TextCell *cells, unsigned room, unsigned *columns, unsigned *rows,
                  int *cx, int *cy)
{
    return c->source->text && c->source->text(c->dev, cells, room, columns, rows, cx, cy);
}

bool console_takes_text(const Console *c)
{
    return c->source->type != NULL;
}

void console_type(Console *c, const char *text, size_t len)
{
    if (c->source->type) {
        c->source->type(c->dev, text, len);
    }
}
