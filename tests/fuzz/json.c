/* Any bytes through the JSON reader and the QMP dispatcher's shape of a request: what is read can
 * be written and read again, and no input makes it crash, leak or loop. */
#include <assert.h>
#include <string.h>

#include "core/json.h"
#include "core/schema.h"
#include "qapi/schema/qapi-types.h"
#include "tests/fuzz/fuzz.h"

static void walk_types(json_object *value)
{
    for (unsigned i = 0; qapi_types[i]; i++) {
        const QType *t = qapi_types[i];
        g_autofree void *out = g_malloc(t->size);
        for (unsigned text = 0; text < 2; text++) {
            if (qtype_from_json(t, value, out, text, NULL)) {
                json_object *again = qtype_to_json(t, out);
                qtype_free(t, out);
                assert(qtype_from_json(t, again, out, false, NULL));
                qtype_free(t, out);
                json_object_put(again);
            }
        }
    }
}

static void check_value(json_object *value)
{
    g_autofree char *text = json_text(value);
    json_object *again;
    g_autoptr(GError) error = NULL;
    bool ok = json_parse(text, &again, &error);
    assert(ok);
    g_autofree char *second = json_text(again);
    assert(!strcmp(text, second));
    json_object_put(again);
    walk_types(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    JsonReader *r = json_reader_new();
    size_t step = size ? data[0] % 32 + 1 : 1; /* in pieces, as a socket would */
    for (size_t from = 0; from < size; from += step) {
        size_t at = 0, n = MIN(step, size - from);
        json_object *value;
        JsonResult result;
        g_autoptr(GError) error = NULL;
        while ((result = json_reader_next(r, (const char *)data + from, n, &at, &value, &error)) !=
               JSON_MORE) {
            assert((result == JSON_ERROR) == (error != NULL));
            if (result == JSON_VALUE) {
                check_value(value);
                json_object_put(value);
            }
            g_clear_error(&error);
        }
    }
    json_reader_free(r);
    return 0;
}
