/* Option text of the command line: key=value,key.sub=value,list.0=value,flag,...
 *
 * A comma within a value is doubled.  The first item may lack its key when the caller names an implied one.  An item that is
 * a bare word means word=on ("noword": word=off where the caller knows such flags), and "help" or "?" asks for help.
 * A text that begins with '{' is a JSON object instead. */
#ifndef CORE_KEYVAL_H
#define CORE_KEYVAL_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

#include "core/options.h"

typedef struct KeyValue { char *key, *value; } KeyValue;
typedef struct KeyVal {
    GArray *items;                      /* of KeyValue, in the order written, repetitions included */
    json_object *json;                  /* the text was JSON: this, and no items */
    bool help;                          /* "help" or "?" stood there */
} KeyVal;

/* `implied` may be NULL: then the first item needs its key too.  NULL with *error on malformed text. */
KeyVal *keyval_parse(const char *text, const char *implied, GError **error);
void keyval_free(KeyVal *kv);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeyVal, keyval_free)

const char *keyval_get(const KeyVal *kv, const char *key);      /* the last one, or NULL; not for JSON */
/* Removes every item with this key and returns the last value (caller frees), or NULL. */
char *keyval_take(KeyVal *kv, const char *key);

/* Nested objects and lists, leaves are strings: what qtype_from_json(..., text = true) reads.  For JSON the object itself:
 * then text = false.  NULL with *error when keys contradict ("a=1,a.b=2") or a list lacks an element. */
json_object *keyval_tree(const KeyVal *kv, GError **error);
/* Flat table of strings (owned by it), later items win: what char_new, drive_add and device properties take.  JSON
 * members are written out as text, nested ones with dotted keys. */
GHashTable *keyval_table(const KeyVal *kv);

/* A value with its commas doubled, for building texts; caller frees. */
char *keyval_escape(const char *value);

#endif
