#include "core/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/error.h"

/* The reader frames, json-c parses.  Framing counts brackets outside strings, so that the end of a
 * value is known without its meaning, and a malformed value is left behind as a whole.  Bytes go to
 * json-c's incremental tokener as they come: nothing is kept twice. */

typedef enum ReaderState {
    READ_IDLE, /* between values                                  */
    READ_WORD, /* a number or keyword at the outermost level      */
    READ_BODY, /* inside brackets                                 */
    READ_STRING,
    READ_REST, /* of a word that began with a character of no use */
    READ_SKIP, /* too much came: everything up to the next line   */
} ReaderState;

struct JsonReader {
    json_tokener *tokener;
    ReaderState state;
    char quote;             /* that the string began with */
    bool escaped;           /* the last byte of the string was a backslash */
    bool integer, negative; /* the word is one, so far */
    uint64_t magnitude;     /* its value; too large: */
    bool overflow;
    unsigned word; /* length of the number or keyword so far */
    unsigned braces, brackets;
    size_t size, tokens;
    GString *feed;      /* bytes for the tokener, single quotes replaced */
    json_object *value; /* complete, as far as json-c is concerned */
    bool done;
    char *failure; /* json-c refused; told at the end of the value */
};

enum { TOKENER_KEEP = 1 << 20 };

static json_tokener *tokener_new(void)
{
    json_tokener *t = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    return t;
}

static void reader_reset(JsonReader *r, ReaderState state)
{
    if (r->size > TOKENER_KEEP) { /* json-c keeps the buffer of its longest string */
        json_tokener_free(r->tokener);
        r->tokener = tokener_new();
    } else {
        json_tokener_reset(r->tokener);
    }
    json_object_put(r->value);
    g_free(r->failure);
    r->value = NULL;
    r->failure = NULL;
    r->state = state;
    r->escaped = r->done = false;
    r->word = 0;
    r->braces = r->brackets = 0;
    r->size = r->tokens = 0;
    g_string_truncate(r->feed, 0);
}

JsonReader *json_reader_new(void)
{
    JsonReader *r = g_new0(JsonReader, 1);
    r->tokener = tokener_new();
    r->feed = g_string_new(NULL);
    return r;
}

void json_reader_free(JsonReader *r)
{
    if (r) {
        reader_reset(r, READ_IDLE);
        json_tokener_free(r->tokener);
        g_string_free(r->feed, TRUE);
        g_free(r);
    }
}

void json_reader_reset(JsonReader *r)
{
    reader_reset(r, READ_IDLE);
}

static void reader_parse(JsonReader *r)
{
    if (!r->feed->len || r->failure || r->done) {
        return;
    }
    json_object *value = json_tokener_parse_ex(r->tokener, r->feed->str, (int)r->feed->len);
    enum json_tokener_error code = json_tokener_get_error(r->tokener);
    if (code == json_tokener_success) {
        r->value = value;
        r->done = true;
        if (json_tokener_get_parse_end(r->tokener) != r->feed->len) {
            r->failure = g_strdup("expecting value");
        }
    } else if (code == json_tokener_error_parse_utf8_string) {
        r->failure = g_strdup("invalid UTF-8 sequence in string");
    } else if (code != json_tokener_continue) {
        size_t at = MIN(json_tokener_get_parse_end(r->tokener), r->feed->len - 1);
        size_t n = 0;
        while (n < 20 && at + n < r->feed->len && g_ascii_isalnum(r->feed->str[at + n])) {
            n++;
        }
        r->failure = n ? g_strdup_printf("%s at '%.*s'", json_tokener_error_desc(code), (int)n,
                                         r->feed->str + at)
                       : g_strdup(json_tokener_error_desc(code));
    }
}

/* Bytes at the end of the feed that begin a UTF-8 sequence whose rest has not come: json-c wants
 * sequences whole. */
static size_t unfinished_tail(const GString *feed)
{
    for (size_t n = 1; n <= 3 && n <= feed->len; n++) {
        unsigned char c = (unsigned char)feed->str[feed->len - n];
        if (c >= 0xc0) {
            return (c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2) > n ? n : 0;
        }
        if (c < 0x80) {
            break;
        }
    }
    return 0;
}

/* Hand what was gathered to json-c. */
static void reader_flush(JsonReader *r)
{
    char tail[4];
    size_t held = unfinished_tail(r->feed);
    size_t len = r->feed->len - held;
    memcpy(tail, r->feed->str + len, held);
    g_string_truncate(r->feed, len);
    reader_parse(r);
    g_string_truncate(r->feed, 0);
    g_string_append_len(r->feed, tail, (gssize)held);
}
static JsonResult reader_fail(JsonReader *r, ReaderState next, GError **error, const char *text)
{
    g_autofree char *copy = g_strdup(text); /* it may belong to the value that goes */
    reader_reset(r, next);
    error_fail(error, strstr(copy, "limit exceeded") ? "%s" : "JSON parse error, %s", copy);
    return JSON_ERROR;
}

static const char *word_end(const JsonReader *r)
{
    bool too_large = r->overflow || (r->negative && r->magnitude > UINT64_C(1) << 63);
    return r->word && r->integer && too_large ? "integer out of range" : NULL;
}

static JsonResult reader_finish(JsonReader *r, json_object **value, GError **error)
{
    bool word = r->state == READ_WORD;
    if (word && word_end(r)) {
        return reader_fail(r, READ_IDLE, error, word_end(r));
    }
    if (word) {
        g_string_append_c(r->feed, ' '); /* ends a number */
    }
    reader_flush(r);
    if (word && !r->failure && !r->done) {
        r->failure = g_strdup("incomplete value");
    }
    if (word && r->failure && r->done) {
        g_clear_pointer(&r->failure, g_free); /* that blank */
    }
    if (r->failure || !r->done) {
        return reader_fail(r, READ_IDLE, error, r->failure ? r->failure : "premature EOI");
    }
    *value = g_steal_pointer(&r->value);
    reader_reset(r, READ_IDLE);
    return JSON_VALUE;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_word(char c)
{
    return g_ascii_isalnum(c) || c == '-' || c == '+' || c == '.' || c == '_';
}

/* A byte within a string.  Single-quoted ones are fed to json-c in double quotes. */
static const char *string_byte(JsonReader *r, char c)
{
    if ((unsigned char)c < 0x20 || (unsigned char)c == 0xff) {
        return "control character in string";
    }
    if (r->escaped) {
        r->escaped = false;
        if (c == '\'') {
            g_string_append_c(r->feed, '\'');
        } else {
            g_string_append_c(g_string_append_c(r->feed, '\\'), c);
        }
    } else if (c == '\\') {
        r->escaped = true;
    } else if (c == r->quote) {
        g_string_append_c(r->feed, '"');
        r->state = r->braces + r->brackets ? READ_BODY : READ_WORD;
    } else if (c == '"') {
        g_string_append(r->feed, "\\\"");
    } else {
        g_string_append_c(r->feed, c);
    }
    return NULL;
}

/* json-c would quietly take the largest integer for one that is larger. */
static void word_byte(JsonReader *r, char c)
{
    if (!r->word) {
        r->integer = true;
        r->negative = c == '-';
        r->overflow = false;
        r->magnitude = 0;
    }
    if (g_ascii_isdigit(c)) {
        r->overflow |= __builtin_mul_overflow(r->magnitude, 10, &r->magnitude) ||
                       __builtin_add_overflow(r->magnitude, (uint64_t)(c - '0'), &r->magnitude);
    } else if (r->word || c != '-') {
        r->integer = false;
    }
}

/* A byte outside strings.  Returns what is wrong with it, or NULL. */
static const char *body_byte(JsonReader *r, char c)
{
    bool word = is_word(c);
    if (!word && !is_space(c) && !strchr("{}[]:,\"'", c)) {
        return "invalid character";
    }
    if (!c || (g_ascii_isupper(c) && c != 'E')) { /* json-c would take NaN and Infinity */
        return c ? "invalid keyword" : "invalid character";
    }
    if (!is_space(c) && !(word && r->word) && ++r->tokens > JSON_TOKENS_MAX) {
        return "JSON token count limit exceeded";
    }
    const char *wrong = word ? NULL : word_end(r);
    if (wrong) {
        return wrong;
    }
    if (word) {
        word_byte(r, c);
    }
    r->word = word ? r->word + 1 : 0;
    if (r->word > JSON_WORD_MAX) {
        return "JSON token size limit exceeded";
    }
    if (c == '"' || c == '\'') {
        r->quote = c;
        r->state = READ_STRING;
        c = '"';
    } else if (c == '{' || c == '[') {
        unsigned *count = c == '{' ? &r->braces : &r->brackets;
        ++*count;
        r->state = READ_BODY;
        if (r->braces + r->brackets > JSON_DEPTH_MAX) {
            return "JSON nesting depth limit exceeded";
        }
    } else if (c == '}' || c == ']') {
        unsigned *count = c == '}' ? &r->braces : &r->brackets;
        if (!*count) {
            return "expecting value";
        }
        --*count;
    }
    g_string_append_c(r->feed, c);
    return NULL;
}

JsonResult json_reader_next(JsonReader *r, const char *buf, size_t len, size_t *at,
                            json_object **value, GError **error)
{
    *value = NULL;
    while (*at < len) {
        char c = buf[*at];
        if (r->state == READ_SKIP) {
            ++*at;
            if (c == '\n' || (unsigned char)c == 0xff) {
                r->state = READ_IDLE;
            }
            continue;
        }
        if (r->state == READ_REST) {
            if (is_word(c)) {
                ++*at;
                continue;
            }
            r->state = READ_IDLE;
        }
        if (r->state == READ_IDLE && (is_space(c) || (unsigned char)c == 0xff)) {
            ++*at;
            continue;
        }
        if (r->state == READ_WORD && !is_word(c)) {
            return reader_finish(r, value, error); /* c belongs to what follows */
        }
        ++*at;
        if (++r->size > JSON_SIZE_MAX) {
            return reader_fail(r, READ_SKIP, error, "JSON token size limit exceeded");
        }
        if (r->state == READ_IDLE) {
            r->state = READ_WORD;
        }
        const char *wrong = r->state == READ_STRING ? string_byte(r, c) : body_byte(r, c);
        if (wrong) {
            /* Of what is too deep or too long the rest would only yield more of the same. */
            ReaderState next = strstr(wrong, "limit") ? READ_SKIP
                               : c == '%'             ? READ_REST
                                                      : READ_IDLE;
            return reader_fail(r, next, error, wrong);
        }
        if (r->state == READ_BODY && !(r->braces + r->brackets)) {
            return reader_finish(r, value, error);
        }
        if (r->feed->len >= 4096) {
            reader_flush(r);
        }
    }
    reader_flush(r);
    return JSON_MORE;
}

bool json_parse(const char *text, json_object **value, GError **error)
{
    JsonReader *r = json_reader_new();
    size_t at = 0, len = strlen(text);
    JsonResult result = json_reader_next(r, text, len, &at, value, error);
    if (result == JSON_MORE) { /* a word or number that the end of the text completes */
        result = json_reader_next(r, " ", 1, &(size_t){0}, value, error);
        if (result == JSON_MORE) {
            result = JSON_ERROR;
            error_fail(error, "JSON parse error, %s",
                       r->state == READ_IDLE ? "expecting value" : "premature EOI");
        }
    }
    while (result == JSON_VALUE && at < len) {
        if (!is_space(text[at++])) {
            json_object_put(*value);
            *value = NULL;
            result = JSON_ERROR;
            error_fail(error, "JSON parse error, more than one value");
        }
    }
    json_reader_free(r);
    return result == JSON_VALUE;
}

/* ---- Writing ---- */

static void write_string(const char *s, size_t len, GString *out)
{
    g_string_append_c(out, '"');
    const char *end = s + len;
    while (s < end) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            g_string_append_printf(out, "\\%c", c);
        } else if (c >= 0x20 && c < 0x7f) {
            g_string_append_c(out, (char)c);
        } else if (c < 0x80) {
            const char *names = "b\bf\fn\nr\rt\t", *hit = c ? strchr(names, c) : NULL;
            if (hit) {
                g_string_append_printf(out, "\\%c", hit[-1]);
            } else {
                g_string_append_printf(out, "\\u%04X", c);
            }
        } else {
            gunichar u = g_utf8_get_char_validated(s, end - s);
            if (u == (gunichar)-1 || u == (gunichar)-2) {
                g_string_append(out, "\\uFFFD");
                s++;
                continue;
            }
            if (u >= 0x10000) {
                u -= 0x10000;
                g_string_append_printf(out, "\\u%04X\\u%04X", 0xd800 + (u >> 10),
                                       0xdc00 + (u & 0x3ff));
            } else {
                g_string_append_printf(out, "\\u%04X", u);
            }
            s = g_utf8_next_char(s);
            continue;
        }
        s++;
    }
    g_string_append_c(out, '"');
}

static void write_break(bool pretty, unsigned depth, GString *out)
{
    if (pretty) {
        g_string_append_printf(out, "\n%*s", (int)depth * 4, "");
    }
}

static void write_value(json_object *value, bool pretty, unsigned depth, GString *out)
{
    bool first = true;
    switch (json_object_get_type(value)) {
    case json_type_object:
        g_string_append_c(out, '{');
        json_object_object_foreach(value, key, child)
        {
            g_string_append(out, first ? "" : pretty ? "," : ", ");
            first = false;
            write_break(pretty, depth + 1, out);
            write_string(key, strlen(key), out);
            g_string_append(out, ": ");
            write_value(child, pretty, depth + 1, out);
        }
        if (!first) {
            write_break(pretty, depth, out);
        }
        g_string_append_c(out, '}');
        break;
    case json_type_array:
        g_string_append_c(out, '[');
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            g_string_append(out, i == 0 ? "" : pretty ? "," : ", ");
            write_break(pretty, depth + 1, out);
            write_value(json_object_array_get_idx(value, i), pretty, depth + 1, out);
            first = false;
        }
        if (!first) {
            write_break(pretty, depth, out);
        }
        g_string_append_c(out, ']');
        break;
    case json_type_string:
        write_string(json_object_get_string(value), (size_t)json_object_get_string_len(value), out);
        break;
    case json_type_double:
        if (!isfinite(json_object_get_double(value))) {
            g_string_append(out, "null"); /* JSON has no infinity; 1e999 is one to json-c */
            break;
        }
        /* fall through */
    default: g_string_append(out, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
    }
}

void json_write(json_object *value, bool pretty, GString *out)
{
    write_value(value, pretty, 0, out);
}

char *json_text(json_object *value)
{
    GString *out = g_string_new(NULL);
    json_write(value, false, out);
    return g_string_free(out, FALSE);
}

JsonInt json_int(json_object *value)
{
    JsonInt v = {.i = json_object_get_int64(value)};
    v.negative = v.i < 0;
    v.u = v.negative ? (uint64_t)v.i : json_object_get_uint64(value);
    return v;
}

json_object *json_copy(json_object *value)
{
    json_object *copy = NULL;
    if (value && json_object_deep_copy(value, &copy, NULL)) {
        return NULL;
    }
    return copy;
}
