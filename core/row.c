#include "core/row.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "core/json.h"
#include "core/schema.h"

uint64_t row_get_raw(const Row *r, const void *base, unsigned i)
{
    uint64_t v = load_le(row_field(r, base, i), r->size);
    if (r->type == TYPE_INT && r->size < 8) {
        unsigned shift = 64 - 8 * r->size;
        v = (uint64_t)((int64_t)(v << shift) >> shift);
    }
    return v;
}

bool row_accepts(const Row *r, uint64_t value)
{
    switch (r->type) {
    case TYPE_BOOL: return value <= 1;
    case TYPE_INT: {
        int64_t v = (int64_t)value;
        unsigned shift = 64 - 8 * r->size;
        if (r->size < 8 && (int64_t)(value << shift) >> shift != v) {
            return false;
        }
        return !r->max || (v >= -(int64_t)r->max && v <= (int64_t)r->max);
    }
    default: return !(value & ~size_mask(r->size)) && (!r->max || value <= r->max);
    }
}

char *row_bits_text(const Row *r, uint64_t value)
{
    GString *out = g_string_new(NULL);
    if (r->bits) {
        g_auto(GStrv) names = g_strsplit(r->bits, " ", -1);
        for (unsigned i = 0; names[i] && i < 64; i++) {
            if (value >> i & 1 && strcmp(names[i], "-")) {
                g_string_append_printf(out, "%s%s", out->len ? " " : "", names[i]);
            }
        }
    }
    return g_string_free(out, FALSE);
}

/* ---- Properties as text ---- */

static bool parse_failed(const Row *r, const char *text, const char *object, const char *expected,
                         GError **error)
{
    return error_fail(error, "Property '%s.%s' doesn't take value '%s', expected: %s", object,
                      r->name, text, expected);
}

bool row_parse_bool(const char *text, bool *v)
{
    static const char *const yes[] = {"on", "yes", "true", "y", NULL}, *const no[] = {"off", "no",
                                                                                      "false", "n",
                                                                                      NULL};
    *v = g_strv_contains(yes, text);
    return *v || g_strv_contains(no, text);
}

/* A whole number in C notation, the whole text; negative only where `sign`. */
static bool parse_number(const char *text, bool sign, uint64_t *v)
{
    char *end;
    const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
    if (!g_ascii_isdigit(*digits) || (*text == '-' && !sign)) {
        return false;
    }
    errno = 0;
    *v = sign ? (uint64_t)g_ascii_strtoll(text, &end, 0) : g_ascii_strtoull(text, &end, 0);
    return !errno && !*end;
}

bool row_parse_size(const char *text, char default_suffix, uint64_t *bytes)
{
    static const char suffixes[] = "BKMGTPE";
    char *end;
    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    bool hex = text[0] == '0' && g_ascii_tolower(text[1]) == 'x';
    errno = 0;
    uint64_t whole = g_ascii_strtoull(text, &end, hex ? 16 : 10);
    double fraction = 0;
    if (*end == '.' && !hex) {
        size_t digits = strspn(end + 1, "0123456789");
        if (!digits) {
            return false;
        }
        g_autofree char *part =
            g_strndup(end, digits + 1); /* no exponent: in 1.5E3 the E is a suffix */
        fraction = g_ascii_strtod(part, NULL);
        end += digits + 1;
    }
    char suffix = *end ? g_ascii_toupper(*end) : default_suffix;
    const char *at = strchr(suffixes, suffix);
    if (errno || !at || (*end && end[1])) {
        return false;
    }
    unsigned shift = (unsigned)(at - suffixes) * 10;
    if (whole > UINT64_MAX >> shift || (fraction != 0 && !shift)) {
        return false;
    }
    return !__builtin_add_overflow(whole << shift,
                                   (uint64_t)(fraction * (double)(UINT64_C(1) << shift)), bytes);
}

/* A hex number of at most `max`, with or without 0x; *text moves behind it. */
static bool parse_hex(const char **text, unsigned max, unsigned *v)
{
    char *end;
    if (!g_ascii_isxdigit(**text)) {
        return false;
    }
    uint64_t number = g_ascii_strtoull(*text, &end, 16);
    *v = (unsigned)number;
    *text = end;
    return number <= max;
}

static bool parse_pci_addr(const char *text, int32_t *devfn)
{
    unsigned slot, fn = 0;
    if (!strcmp(text, "-1")) { /* any free slot, as row_format prints it */
        *devfn = -1;
        return true;
    }
    if (!parse_hex(&text, 31, &slot) || (*text == '.' && (text++, !parse_hex(&text, 7, &fn)))) {
        return false;
    }
    *devfn = (int32_t)(slot << 3 | fn);
    return !*text;
}

static bool parse_hex_bytes(const char *text, uint8_t *out, unsigned n, char separator,
                            bool dashes_free)
{
    for (unsigned i = 0; i < n; i++) {
        if (dashes_free && *text == '-') {
            text++;
        } else if (!dashes_free && i && *text++ != separator) {
            return false;
        }
        if (!g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(text[1])) {
            return false;
        }
        out[i] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
        text += 2;
    }
    return !*text;
}

static bool parse_enum(const Row *r, void *field, const char *text, const char *object,
                       GError **error)
{
    for (unsigned i = 0; r->names[i]; i++) {
        if (!strcmp(r->names[i], text)) {
            store_le(field, r->size, i);
            return true;
        }
    }
    g_autofree char *all = g_strjoinv(", ", (char **)r->names);
    return parse_failed(r, text, object, all, error);
}

static bool parse_integer(const Row *r, void *field, const char *text, const char *object,
                          GError **error)
{
    uint64_t v;
    bool sign = r->type == TYPE_INT;
    bool ok = r->type == TYPE_SIZE ? row_parse_size(text, 'B', &v) : parse_number(text, sign, &v);
    if (!ok) {
        return parse_failed(
            r, text, object,
            r->type == TYPE_SIZE ? "a size such as 64K, 16M or 2G" : "a whole number", error);
    }
    if (!row_accepts(r, v)) {
        uint64_t top = r->max ? r->max : size_mask(r->size) >> sign;
        int64_t bottom = !sign ? 0 : r->max ? -(int64_t)r->max : -(int64_t)top - 1;
        return error_fail(error,
                          "Property '%s.%s' doesn't take value %s (minimum: %" PRId64
                          ", maximum: %" PRIu64 ")",
                          object, r->name, text, bottom, top);
    }
    store_le(field, r->size, v);
    return true;
}

/* Leaves may be texts, as "property.0.member=text" on the command line makes them. */
static bool parse_schema(const Row *r, void *field, const char *text, const char *object, GError **error)
{
    json_object *in;
    g_autofree void *value = g_malloc0(r->size);
    if (!json_parse(text, &in, NULL)) {
        return parse_failed(r, text, object, r->schema->kind == QKIND_LIST ? "a JSON list" : "JSON", error);
    }
    bool ok = qtype_from_json(r->schema, in, value, true, error);
    json_object_put(in);
    if (!ok) {
        g_prefix_error(error, "Property '%s.%s': ", object, r->name);
        return false;
    }
    if (r->schema->kind == QKIND_LIST && !*(size_t *)value) { /* its count comes first; without elements it would be as if unset */
        return parse_failed(r, text, object, "at least one element", error);
    }
    qtype_free(r->schema, field);
    memcpy(field, value, r->size);
    return true;
}

static char *format_schema(const Row *r, const void *field)
{
    json_object *value = qtype_to_json(r->schema, field);
    char *text = json_text(value);
    json_object_put(value);
    return text;
}

bool row_parse(const Row *r, void *base, const char *text, const char *object, GError **error)
{
    void *field = row_field(r, base, 0);
    bool flag;
    int32_t devfn;
    switch (r->type) {
    case TYPE_BOOL:
        if (!row_parse_bool(text, &flag)) {
            return parse_failed(r, text, object, "on, off", error);
        }
        *(bool *)field = flag;
        return true;
    case TYPE_STR:
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        return true;
    case TYPE_ENUM: return parse_enum(r, field, text, object, error);
    case TYPE_PCI_ADDR:
        if (!parse_pci_addr(text, &devfn)) {
            return parse_failed(r, text, object, "SLOT or SLOT.FUNCTION in hex, such as 1f.7",
                                error);
        }
        *(int32_t *)field = devfn;
        return true;
    case TYPE_MAC:
        if (!parse_hex_bytes(text, field, 6, ':', false)) {
            return parse_failed(r, text, object, "a MAC address such as 52:54:00:12:34:56", error);
        }
        return true;
    case TYPE_UUID:
        if (!parse_hex_bytes(text, field, 16, 0, true)) {
            return parse_failed(r, text, object, "a UUID of 32 hex digits", error);
        }
        return true;
    case TYPE_SCHEMA: return parse_schema(r, field, text, object, error);
    default: return parse_integer(r, field, text, object, error);
    }
}

char *row_format(const Row *r, const void *base)
{
    const uint8_t *f = row_field(r, base, 0);
    switch (r->type) {
    case TYPE_BOOL: return g_strdup(*f ? "true" : "false");
    case TYPE_STR: return g_strdup(*(char *const *)f);
    case TYPE_INT: return g_strdup_printf("%" PRId64, (int64_t)row_get_raw(r, base, 0));
    case TYPE_ENUM: return g_strdup(r->names[load_le(f, r->size)]);
    case TYPE_PCI_ADDR: {
        int32_t devfn = *(const int32_t *)f;
        return devfn < 0 ? g_strdup("-1") : g_strdup_printf("%02x.%x", devfn >> 3, devfn & 7);
    }
    case TYPE_MAC:
        return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", f[0], f[1], f[2], f[3], f[4], f[5]);
    case TYPE_UUID:
        return g_strdup_printf(
            "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", f[0], f[1],
            f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11], f[12], f[13], f[14],
            f[15]);
    case TYPE_UINT:
    case TYPE_SIZE: return g_strdup_printf("%" PRIu64, row_get_raw(r, base, 0));
    case TYPE_SCHEMA: return format_schema(r, f);
    default: return NULL;
    }
}

void row_release(const Row *r, void *base)
{
    if (r->type == TYPE_STR) {
        g_clear_pointer((char **)row_field(r, base, 0), g_free);
    } else if (r->type == TYPE_SCHEMA) {
        qtype_free(r->schema, row_field(r, base, 0));
    }
}

const char *row_type_name(const Row *r)
{
    static const char *const uints[] = {
        [1] = "uint8", [2] = "uint16", [4] = "uint32", [8] = "uint64"};
    static const char *const ints[] = {[1] = "int8", [2] = "int16", [4] = "int32", [8] = "int64"};
    switch (r->type) {
    case TYPE_BOOL: return "bool";
    case TYPE_SIZE: return "size";
    case TYPE_INT: return r->size <= 8 && ints[r->size] ? ints[r->size] : "int";
    case TYPE_UINT: return r->size <= 8 && uints[r->size] ? uints[r->size] : "uint";
    case TYPE_ENUM: return "enum";
    case TYPE_LINK: return r->names ? r->names[0] : "link";
    case TYPE_PCI_ADDR: return "int32";
    case TYPE_OPAQUE: return "opaque";
    case TYPE_SCHEMA: {
        g_autofree char *list = r->schema->kind == QKIND_LIST ? g_strconcat(r->schema->element->name, "List", NULL) : NULL;
        return list ? g_intern_string(list) : r->schema->name;
    }
    default: return "str";
    }
}
