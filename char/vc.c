/* Virtual consoles belong to graphical displays, of which this build has none: the guest's output is lost, as with null. */
#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

static bool vc_open(Char *c, GHashTable *options, GError **error)
{
    static const char *const sizes[] = {"width", "height", "cols", "rows"};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        uint64_t n;
        if (!options_take_uint(options, sizes[i], 65535, &n, error)) {
            return false;
        }
    }
    info_report("chardev %s: this build has no virtual consoles, its output is discarded", c->id);
    c->open = true;
    return true;
}

const CharClass char_vc = {.name = "vc", .size = sizeof(Char), .open = vc_open};
