#include "core/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/row.h"

GHashTable *options_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void options_set(GHashTable *options, const char *key, const char *value)
{
    g_hash_table_replace(options, g_strdup(key), g_strdup(value));
}

/* The text up to the next single comma; *text moves behind it. */
static char *next_word(const char **text)
{
    GString *word = g_string_new(NULL);
    const char *p = *text;
    for (; *p; p++) {
        if (*p == ',') {
            if (p[1] != ',') {
                break;
            }
            p++;
        }
        g_string_append_c(word, *p);
    }
    *text = *p ? p + 1 : p;
    return g_string_free(word, FALSE);
}

GHashTable *options_parse(const char *text, const char *first, GError **error)
{
    g_autoptr(GHashTable) options = options_new();
    for (bool at_start = true; *text; at_start = false) {
        g_autofree char *word = next_word(&text);
        char *equals = strchr(word, '=');
        char *slash = strchr(word, '/');
        if (at_start && first && (!equals || (slash && slash < equals))) {
            options_set(options, first, word);
            continue;
        }
        if (equals == word || !*word) {
            error_fail(error, "'%s' is not of the form key=value", word);
            return NULL;
        }
        if (equals) {
            *equals = 0;
            options_set(options, word, equals + 1);
        } else if (g_str_has_prefix(word, "no") && word[2] && strcmp(word, "nodelay")) {
            options_set(options, word + 2, "off");
        } else {
            options_set(options, word, "on");
        }
    }
    return g_steal_pointer(&options);
}

char *options_take(GHashTable *options, const char *key)
{
    char *value = g_strdup(g_hash_table_lookup(options, key));
    g_hash_table_remove(options, key);
    return value;
}

bool options_take_bool(GHashTable *options, const char *key, bool *value, GError **error)
{
    g_autofree char *text = options_take(options, key);
    if (text && !row_parse_bool(text, value)) {
        return error_fail(error, "Parameter '%s' expects 'on' or 'off', not '%s'", key, text);
    }
    return true;
}

bool options_take_uint(GHashTable *options, const char *key, uint64_t max, uint64_t *value,
                       GError **error)
{
    g_autofree char *text = options_take(options, key);
    if (!text) {
        return true;
    }
    char *end;
    errno = 0;
    uint64_t v = g_ascii_strtoull(text, &end, 0);
    if (!g_ascii_isdigit(*text) || *end || errno || v > max) {
        return error_fail(error, "Parameter '%s' expects a number from 0 to %" PRIu64 ", not '%s'",
                          key, max, text);
    }
    *value = v;
    return true;
}

bool options_take_size(GHashTable *options, const char *key, uint64_t *value, GError **error)
{
    g_autofree char *text = options_take(options, key);
    if (text && !row_parse_size(text, 'B', value)) {
        return error_fail(
            error,
            "Parameter '%s' expects a size in bytes, with K, M, G, T, P or E behind it, not '%s'",
            key, text);
    }
    return true;
}

bool options_take_enum(GHashTable *options, const char *key, const char *const *names, int *value,
                       GError **error)
{
    g_autofree char *text = options_take(options, key);
    if (!text) {
        return true;
    }
    for (int i = 0; names[i]; i++) {
        if (!strcmp(text, names[i])) {
            *value = i;
            return true;
        }
    }
    g_autofree char *list = g_strjoinv(", ", (char **)names);
    return error_fail(error, "Parameter '%s' does not accept value '%s' (it accepts %s)", key, text,
                      list);
}

GHashTable *options_take_group(GHashTable *options, const char *prefix)
{
    GHashTable *group = options_new();
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, options);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (g_str_has_prefix(key, prefix)) {
            options_set(group, (char *)key + strlen(prefix), value);
            g_hash_table_iter_remove(&iter);
        }
    }
    return group;
}

bool options_finish(GHashTable *options, const char *what, GError **error)
{
    const char *least = NULL;
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, options);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (!least || strcmp(key, least) < 0) { /* the same one each time */
            least = key;
        }
    }
    return !least || error_fail(error, "Invalid parameter '%s' for %s", least, what);
}
