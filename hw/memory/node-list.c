#include "hw/memory/node-list.h"

static bool number(const char **text, unsigned limit, unsigned *n)
{
    char *end;
    if (!g_ascii_isdigit(**text)) {
        return false;
    }
    guint64 v = g_ascii_strtoull(*text, &end, 10);
    *text = end;
    *n = (unsigned)v;
    return v < limit;
}

bool node_list_parse(const char *text, uint64_t *set, unsigned limit)
{
    for (;; text++) {
        unsigned first, last;
        if (!number(&text, limit, &first)) {
            return false;
        }
        last = first;
        if (*text == '-' && (text++, !number(&text, limit, &last))) {
            return false;
        }
        if (last < first || (*text && *text != ',')) {
            return false;
        }
        for (unsigned n = first; n <= last; n++) {
            set[n / 64] |= UINT64_C(1) << n % 64;
        }
        if (!*text) {
            return true;
        }
    }
}
