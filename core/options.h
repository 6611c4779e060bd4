/* Options of back ends: a table of strings, from which whoever knows a key takes it out; what is left over is an error.
 *
 * The table comes from `-chardev kind,key=value,...`, `-drive ...` or a QMP command, nested members with dotted keys
 * ("file.filename").  Values are texts as a person types them; the takers below check them and say what is accepted. */
#ifndef CORE_OPTIONS_H
#define CORE_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

GHashTable *options_new(void);          /* owns its keys and values; g_hash_table_unref by the caller */
void options_set(GHashTable *options, const char *key, const char *value);

/* "key=value,key=value"; ",," stands for a comma.  The first word without '=' is the value of `first` (may be NULL);
 * other bare words are old spellings of switches: "server" is server=on, "nowait" is wait=off.  NULL with *error set. */
GHashTable *options_parse(const char *text, const char *first, GError **error);

/* The value, which leaves the table; NULL when it is absent.  The caller frees it. */
char *options_take(GHashTable *options, const char *key);
/* The same for values of a kind: true, with *value untouched, when the key is absent; false with *error set when the
 * text is not acceptable. */
bool options_take_bool(GHashTable *options, const char *key, bool *value, GError **error);
bool options_take_uint(GHashTable *options, const char *key, uint64_t max, uint64_t *value, GError **error);
bool options_take_size(GHashTable *options, const char *key, uint64_t *value, GError **error);  /* 64K, 1.5G ... */
/* Index into the NULL-terminated names. */
bool options_take_enum(GHashTable *options, const char *key, const char *const *names, int *value, GError **error);
/* A new table of the keys that begin with `prefix`, which is cut off them; they leave the old table. */
GHashTable *options_take_group(GHashTable *options, const char *prefix);

/* True when nothing is left, else an error that names `what` and one of the keys. */
bool options_finish(GHashTable *options, const char *what, GError **error);

#endif
