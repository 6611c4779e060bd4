/* Virtual consoles belong to displays; without one that shows them the guest's output is lost, as
 * with null. */
#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

typedef struct CharVc {
    Char base;
    const CharVcOps *ops;
    void *screen; /* NULL: none */
} CharVc;

const CharVcOps *char_vc_ops;

static bool vc_open(Char *c, GHashTable *options, GError **error)
{
    static const char *const sizes[] = {"width", "height", "cols", "rows"};
    uint64_t n[G_N_ELEMENTS(sizes)] = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        if (!options_take_uint(options, sizes[i], 65535, &n[i], error)) {
            return false;
        }
    }
    CharVc *vc = (CharVc *)c;
    c->open = true;
    vc->ops = char_vc_ops;
    if (vc->ops) {
        enum { FONT_WIDTH = 8, FONT_HEIGHT = 16 };
        vc->screen = vc->ops->open(c, (unsigned)(n[2] ? n[2] : n[0] / FONT_WIDTH),
                                   (unsigned)(n[3] ? n[3] : n[1] / FONT_HEIGHT));
    }
    return true;
}

static void vc_close(Char *c)
{
    CharVc *vc = (CharVc *)c;
    if (vc->screen) {
        vc->ops->close(vc->screen);
    }
}

static size_t vc_write(Char *c, const uint8_t *buf, size_t len)
{
    CharVc *vc = (CharVc *)c;
    if (vc->screen) {
        vc->ops->write(vc->screen, buf, len);
    }
    return len;
}

static void vc_accept(Char *c)
{
    CharVc *vc = (CharVc *)c;
    if (vc->screen) {
        vc->ops->accept(vc->screen);
    }
}

const CharClass char_vc = {.name = "vc",
                           .size = sizeof(CharVc),
                           .open = vc_open,
                           .close = vc_close,
                           .write = vc_write,
                           .accept = vc_accept};
