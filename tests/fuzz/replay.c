/* A main for fuzz targets without libFuzzer: replays the files given, or mutates seeds for a while.
 *
 *     fuzz-NAME FILE...                    each file once (a crash that libFuzzer found)
 *     fuzz-NAME [-seconds N] [-seed N] -seeds FILE     one seed a line */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "tests/fuzz/fuzz.h"

static uint64_t state = 88172645463325252u;

static uint32_t random32(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void mutate(GByteArray *b)
{
    static const char *const tokens[] = {"{",        "}",    "[",    "]",
                                         "\"",       "'",    "\\",   ",",
                                         ":",        ".",    "=",    ",,",
                                         "1e9",      "-1",   "null", "\\u0000",
                                         "\xc3\xa9", "\xff", "\n",   "18446744073709551616",
                                         "execute",  "help"};
    unsigned changes = 1 + random32() % 4;
    while (changes--) {
        guint at = b->len ? random32() % b->len : 0;
        switch (random32() % 5) {
        case 0:
            if (b->len) {
                b->data[at] = (guint8)random32();
            }
            break;
        case 1:
            if (b->len) {
                guint n = 1 + random32() % 8;
                g_byte_array_remove_range(b, at, MIN(b->len - at, n));
            }
            break;
        case 2: { /* a piece of it again, at the end */
            g_autofree guint8 *piece = g_memdup2(b->data + at, b->len - at);
            g_byte_array_append(b, piece, MIN(b->len - at, 64));
            break;
        }
        default: {
            const char *t = tokens[random32() % G_N_ELEMENTS(tokens)];
            GByteArray *rest = g_byte_array_new();
            g_byte_array_append(rest, b->data + at, b->len - at);
            g_byte_array_set_size(b, at);
            g_byte_array_append(b, (const guint8 *)t, (guint)strlen(t));
            g_byte_array_append(b, rest->data, rest->len);
            g_byte_array_unref(rest);
        }
        }
    }
}

static int mutate_seeds(const char *path, unsigned seconds)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, NULL, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 1;
    }
    g_auto(GStrv) seeds = g_strsplit(text, "\n", -1);
    guint n = g_strv_length(seeds);
    uint64_t runs = 0;
    for (gint64 end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
         g_get_monotonic_time() < end; runs++) {
        const char *seed = seeds[random32() % n];
        GByteArray *b = g_byte_array_new();
        g_byte_array_append(b, (const guint8 *)seed, (guint)strlen(seed));
        if (runs >= n) {
            mutate(b);
        }
        LLVMFuzzerTestOneInput(b->data, b->len);
        g_byte_array_unref(b);
    }
    printf("%" G_GUINT64_FORMAT " inputs\n", runs);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned seconds = 3;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-seconds") && i + 1 < argc) {
            seconds = (unsigned)atoi(argv[++i]);
        } else if (!strcmp(argv[i], "-seed") && i + 1 < argc) {
            state = strtoull(argv[++i], NULL, 0) * 2 + 1;
        } else if (!strcmp(argv[i], "-seeds") && i + 1 < argc) {
            return mutate_seeds(argv[i + 1], seconds);
        } else {
            gchar *data;
            gsize len;
            if (!g_file_get_contents(argv[i], &data, &len, NULL)) {
                fprintf(stderr, "cannot read %s\n", argv[i]);
                return 1;
            }
            LLVMFuzzerTestOneInput((const uint8_t *)data, len);
            g_free(data);
        }
    }
    return 0;
}
