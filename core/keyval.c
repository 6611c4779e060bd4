#include "core/keyval.h"

#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/json.h"

static void item_clear(void *item)
{
    KeyValue *kv = item;
    g_free(kv->key);
    g_free(kv->value);
}

void keyval_free(KeyVal *kv)
{
    if (kv) {
        g_array_unref(kv->items);
        json_object_put(kv->json);
        g_free(kv);
    }
}

static void keyval_add(KeyVal *kv, char *key, char *value)
{
    KeyValue item = {key, value};
    g_array_append_val(kv->items, item);
}

/* Up to the next comma that is not doubled; *text moves behind it. */
static char *take_value(const char **text)
{
    GString *out = g_string_new(NULL);
    const char *p = *text;
    while (*p) {
        if (*p == ',') {
            if (p[1] != ',') {
                break;
            }
            p++;
        }
        g_string_append_c(out, *p++);
    }
    *text = *p ? p + 1 : p;
    return g_string_free(out, FALSE);
}

static bool key_valid(const char *key)
{
    if (!*key || strlen(key) > 127) {
        return false;
    }
    for (const char *p = key; *p; p++) {
        if (!g_ascii_isalnum(*p) && !strchr("-_.:+#$@*[]/", *p)) {
            return false;
        }
    }
    return key[0] != '.' && key[strlen(key) - 1] != '.' && !strstr(key, "..");
}

static bool parse_item(KeyVal *kv, const char **text, const char *implied, GError **error)
{
    size_t n = strcspn(*text, "=,");
    if ((*text)[n] == '=') {
        g_autofree char *key = g_strndup(*text, n);
        if (!key_valid(key)) {
            return error_fail(error, "Invalid parameter '%s'", key);
        }
        *text += n + 1;
        keyval_add(kv, g_steal_pointer(&key), take_value(text));
        return true;
    }
    g_autofree char *word = take_value(text);
    if (!strcmp(word, "help") || !strcmp(word, "?")) {
        kv->help = true;
    } else if (implied) {
        if (!*word) {
            return error_fail(error, "Expected parameter before ','");
        }
        keyval_add(kv, g_strdup(implied), g_steal_pointer(&word));
    } else if (!key_valid(word)) {
        return error_fail(error,
                          *word ? "Invalid parameter '%s'" : "Expected parameter before '%s'",
                          *word ? word : ",");
    } else {
        keyval_add(kv, g_steal_pointer(&word), g_strdup("on"));
    }
    return true;
}

KeyVal *keyval_parse(const char *text, const char *implied, GError **error)
{
    g_autoptr(KeyVal) kv = g_new0(KeyVal, 1);
    kv->items = g_array_new(FALSE, FALSE, sizeof(KeyValue));
    g_array_set_clear_func(kv->items, item_clear);
    if (*text == '{') {
        if (!json_parse(text, &kv->json, error)) {
            return NULL;
        }
        return g_steal_pointer(&kv);
    }
    for (bool first = true; *text; first = false) {
        if (!parse_item(kv, &text, first ? implied : NULL, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&kv);
}

const char *keyval_get(const KeyVal *kv, const char *key)
{
    for (guint i = kv->items->len; i-- > 0;) {
        const KeyValue *item = &g_array_index(kv->items, KeyValue, i);
        if (!strcmp(item->key, key)) {
            return item->value;
        }
    }
    return NULL;
}

char *keyval_take(KeyVal *kv, const char *key)
{
    char *value = g_strdup(keyval_get(kv, key));
    for (guint i = kv->items->len; i-- > 0;) {
        if (!strcmp(g_array_index(kv->items, KeyValue, i).key, key)) {
            g_array_remove_index(kv->items, i);
        }
    }
    return value;
}

/* ---- As a tree ---- */

static bool tree_add(json_object *tree, const char *key, const char *value, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(key, ".", JSON_DEPTH_MAX);
    json_object *at = tree;
    unsigned i = 0;
    for (; parts[i + 1]; i++) {
        json_object *child;
        if (!json_object_object_get_ex(at, parts[i], &child)) {
            child = json_object_new_object();
            json_object_object_add(at, parts[i], child);
        } else if (!json_object_is_type(child, json_type_object)) {
            return error_fail(error, "Parameters '%s' used inconsistently", key);
        }
        at = child;
    }
    json_object *old;
    if (json_object_object_get_ex(at, parts[i], &old) &&
        json_object_is_type(old, json_type_object)) {
        return error_fail(error, "Parameters '%s.*' used inconsistently", key);
    }
    json_object_object_add(at, parts[i], json_object_new_string(value));
    return true;
}

static bool is_index(const char *key)
{
    return *key && strspn(key, "0123456789") == strlen(key) && strlen(key) < 6;
}

/* Objects whose keys are all numbers become lists.  Returns the object or the list that took its
 * place. */
static json_object *tree_lists(json_object *tree, const char *path, GError **error)
{
    if (!json_object_is_type(tree, json_type_object)) {
        return json_object_get(tree);
    }
    unsigned indices = 0, names = 0;
    json_object *out = json_object_new_object();
    json_object_object_foreach(tree, key, child)
    {
        g_autofree char *inner = g_strdup_printf("%s%s%s", path, *path ? "." : "", key);
        json_object *converted = tree_lists(child, inner, error);
        if (!converted) {
            json_object_put(out);
            return NULL;
        }
        json_object_object_add(out, key, converted);
        *(is_index(key) ? &indices : &names) += 1;
    }
    if (!indices || !*path) {
        return out;
    }
    json_object *list = names ? NULL : json_object_new_array();
    for (unsigned i = 0; list && i < indices; i++) {
        char key[12];
        g_snprintf(key, sizeof(key), "%u", i);
        json_object *element;
        if (!json_object_object_get_ex(out, key, &element)) {
            error_fail(error, "Parameter '%s.%u' missing", path, i);
            g_clear_pointer(&list, json_object_put);
            break;
        }
        json_object_array_add(list, json_object_get(element));
    }
    if (names) {
        error_fail(error, "Parameters '%s.*' used inconsistently", path);
    }
    json_object_put(out);
    return list;
}

json_object *keyval_tree(const KeyVal *kv, GError **error)
{
    if (kv->json) {
        return json_object_get(kv->json);
    }
    json_object *tree = json_object_new_object(), *out = NULL;
    bool ok = true;
    for (guint i = 0; ok && i < kv->items->len; i++) {
        const KeyValue *item = &g_array_index(kv->items, KeyValue, i);
        ok = tree_add(tree, item->key, item->value, error);
    }
    if (ok) {
        out = tree_lists(tree, "", error);
    }
    json_object_put(tree);
    return out;
}

/* ---- As a table ---- */

static void flatten(json_object *value, const char *key, GHashTable *out)
{
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, child)
        {
            g_autofree char *inner = g_strdup_printf("%s%s%s", key, *key ? "." : "", name);
            flatten(child, inner, out);
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            g_autofree char *inner = g_strdup_printf("%s.%zu", key, i);
            flatten(json_object_array_get_idx(value, i), inner, out);
        }
    } else {
        const char *text = json_object_is_type(value, json_type_boolean)
                               ? (json_object_get_boolean(value) ? "on" : "off")
                           : value ? json_object_get_string(value)
                                   : "";
        g_hash_table_insert(out, g_strdup(key), g_strdup(text));
    }
}

GHashTable *keyval_table(const KeyVal *kv)
{
    GHashTable *out = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (kv->json) {
        flatten(kv->json, "", out);
    }
    for (guint i = 0; i < kv->items->len; i++) {
        const KeyValue *item = &g_array_index(kv->items, KeyValue, i);
        g_hash_table_insert(out, g_strdup(item->key), g_strdup(item->value));
    }
    return out;
}

char *keyval_escape(const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    return g_strjoinv(",,", parts);
}
