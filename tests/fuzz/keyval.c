/* Any text as options: tree and table agree on what was written. */
#include <assert.h>
#include <string.h>

#include "core/json.h"
#include "core/keyval.h"
#include "core/row.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = size ? g_strndup((const char *)data, size) : g_strdup("");
    static const char *const implied[] = {NULL, "driver"};
    for (unsigned i = 0; i < G_N_ELEMENTS(implied); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(KeyVal) kv = keyval_parse(text, implied[i], &error);
        assert(!kv == (error != NULL));
        if (!kv) {
            continue;
        }
        json_object *tree = keyval_tree(kv, &error);
        assert(!tree == (error != NULL) || kv->json == tree);
        GHashTable *table = keyval_table(kv);
        for (guint n = 0; n < kv->items->len; n++) {
            const KeyValue *item = &g_array_index(kv->items, KeyValue, n);
            assert(!strcmp(g_hash_table_lookup(table, item->key), keyval_get(kv, item->key)));
        }
        g_hash_table_unref(table);
        json_object_put(tree);
    }
    uint64_t bytes;
    row_parse_size(text, 'B', &bytes);
    return 0;
}
