/* JSON text: a reader for streams and a writer.  Values are json-c's.
 *
 * The reader cuts a stream of bytes into values, however they arrive (several in a packet, one in many, with or without
 * line ends between them) and keeps going after an error: a malformed value costs one error.  As QMP clients expect, strings
 * may also stand in single quotes, and a byte FF outside a string resets the reader. */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH_MAX = 1024, JSON_SIZE_MAX = 64 << 20, JSON_TOKENS_MAX = 2 << 20, JSON_WORD_MAX = 1024 };

typedef struct JsonReader JsonReader;
JsonReader *json_reader_new(void);
void json_reader_free(JsonReader *r);
void json_reader_reset(JsonReader *r);  /* forget a value that has begun */

typedef enum JsonResult { JSON_MORE, JSON_VALUE, JSON_ERROR } JsonResult;
/* Reads from buf[*at ..  len) and moves *at behind what was used.
 * JSON_VALUE: *value is a new value (NULL for null).  JSON_ERROR: *error says "JSON parse error, ...".
 * JSON_MORE: everything was used and no value is complete.  Call again while it returns one of the others. */
JsonResult json_reader_next(JsonReader *r, const char *buf, size_t len, size_t *at, json_object **value, GError **error);

/* A whole text as one value; *value is new (NULL for null). */
bool json_parse(const char *text, json_object **value, GError **error);

/* Text as QMP clients see it: `{"a": 1, "b": [1, 2]}` on one line, or indented by 4. Non-ASCII becomes \u escapes. */
void json_write(json_object *value, bool pretty, GString *out);
char *json_text(json_object *value);    /* caller frees */

/* The integer of a json_type_int in full: *negative tells which of the two it is. */
typedef struct JsonInt { bool negative; int64_t i; uint64_t u; } JsonInt;
JsonInt json_int(json_object *value);
json_object *json_copy(json_object *value);             /* deep; NULL for NULL */

#endif
