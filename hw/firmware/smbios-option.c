/* -smbios: fields of the structures that we make, and whole structures from files. */
#include "hw/firmware/smbios.h"

#include <stdio.h>
#include <string.h>

#include "core/keyval.h"
#include "core/row.h"
#include "hw/firmware/tables.h"

typedef enum FieldKind { TEXT, NUMBER, SWITCH, UUID, RELEASE, LIST } FieldKind;
typedef struct Field {
    uint8_t type;
    const char *name;
    FieldKind kind;
    uint64_t most; /* of a number */
} Field;

static const Field fields[] = {
    {0, "vendor"},
    {0, "version"},
    {0, "date"},
    {0, "release", RELEASE},
    {0, "uefi", SWITCH},
    {1, "manufacturer"},
    {1, "product"},
    {1, "version"},
    {1, "serial"},
    {1, "uuid", UUID},
    {1, "sku"},
    {1, "family"},
    {2, "manufacturer"},
    {2, "product"},
    {2, "version"},
    {2, "serial"},
    {2, "asset"},
    {2, "location"},
    {3, "manufacturer"},
    {3, "version"},
    {3, "serial"},
    {3, "asset"},
    {3, "sku"},
    {4, "sock_pfx"},
    {4, "manufacturer"},
    {4, "version"},
    {4, "serial"},
    {4, "asset"},
    {4, "part"},
    {4, "max-speed", NUMBER, UINT16_MAX},
    {4, "current-speed", NUMBER, UINT16_MAX},
    {4, "processor-family", NUMBER, UINT16_MAX},
    {4, "processor-id", NUMBER, UINT64_MAX},
    {11, "value", LIST},
    {11, "path", LIST},
    {17, "loc_pfx"},
    {17, "bank"},
    {17, "manufacturer"},
    {17, "serial"},
    {17, "asset"},
    {17, "part"},
    {17, "speed", NUMBER, UINT16_MAX},
};

static struct {
    GHashTable *texts;               /* "1.manufacturer" -> text */
    uint64_t asked[4], from_file[4]; /* a bit for each type */
    GByteArray *structures;
    unsigned count, largest;
    GPtrArray *oem_strings;
} given;

static bool has_bit(const uint64_t *set, unsigned n)
{
    return set[n / 64] >> (n % 64) & 1;
}

static void set_bit(uint64_t *set, unsigned n)
{
    set[n / 64] |= UINT64_C(1) << (n % 64);
}

const char *smbios_text(unsigned type, const char *field, const char *otherwise)
{
    g_autofree char *key = g_strdup_printf("%u.%s", type, field);
    const char *text = given.texts ? g_hash_table_lookup(given.texts, key) : NULL;
    return text ? text : otherwise;
}

uint64_t smbios_number(unsigned type, const char *field, uint64_t otherwise)
{
    const char *text = smbios_text(type, field, NULL);
    return text ? g_ascii_strtoull(text, NULL, 0) : otherwise;
}

bool smbios_switch(unsigned type, const char *field)
{
    bool on = false;
    const char *text = smbios_text(type, field, NULL);
    return text && row_parse_bool(text, &on) && on;
}

bool smbios_asked(unsigned type)
{
    return has_bit(given.asked, type);
}

bool smbios_from_file(unsigned type)
{
    return has_bit(given.from_file, type);
}

const GByteArray *smbios_user_structures(unsigned *count, unsigned *largest)
{
    *count = given.count;
    *largest = given.largest;
    if (!given.structures) {
        given.structures = g_byte_array_new();
    }
    return given.structures;
}

GPtrArray *smbios_oem_strings(void)
{
    if (!given.oem_strings) {
        given.oem_strings = g_ptr_array_new_with_free_func(g_free);
    }
    return given.oem_strings;
}

/* SMBIOS 2.8 §6.1: a header with its length, then strings, then one more zero (two when there are
 * none). */
size_t smbios_structure_length(const uint8_t *p, size_t len)
{
    enum { HEADER = 4 };
    if (len < HEADER + 2 || p[1] < HEADER || p[1] > len - 2) {
        return 0;
    }
    for (size_t at = p[1]; at + 1 < len; at++) {
        if (!p[at] && !p[at + 1]) {
            return at + 2;
        }
    }
    return 0;
}

static bool take_file(const char *path, GError **error)
{
    enum { END_OF_TABLE = 127 };
    g_autofree char *data = NULL;
    g_autoptr(GError) local = NULL;
    gsize len;
    if (!g_file_get_contents(path, &data, &len, &local)) {
        return error_fail(error, "-smbios: could not read '%s': %s", path, local->message);
    }
    unsigned count, largest;
    GByteArray *all = (GByteArray *)smbios_user_structures(&count, &largest);
    const uint8_t *p = (const uint8_t *)data;
    if (len > UINT16_MAX - all->len) {
        return error_fail(error,
                          "-smbios: '%s' has %zu bytes, all structures together may have 65535",
                          path, len);
    }
    for (size_t at = 0; at < len || !at;) {
        size_t n = smbios_structure_length(p + at, len - at);
        if (!n) {
            return error_fail(error, "-smbios: '%s' holds no whole structure at byte %zu", path,
                              at);
        }
        if (smbios_asked(p[at])) {
            return error_fail(error,
                              "-smbios: structures of type %u come from type= and from '%s', "
                              "expected: one of them",
                              p[at], path);
        }
        if (p[at] != END_OF_TABLE) { /* ours comes last */
            set_bit(given.from_file, p[at]);
            given.count++;
            given.largest = MAX(given.largest, (unsigned)n);
            g_byte_array_append(all, p + at, (guint)n);
        }
        at += n;
    }
    return true;
}

static bool check_number(const Field *f, const char *text, GError **error)
{
    char *end;
    uint64_t v = g_ascii_strtoull(text, &end, 0);
    if (!g_ascii_isdigit(*text) || *end || v > f->most) {
        return error_fail(error,
                          "-smbios type=%u: %s=%s, expected: a number up to %" G_GUINT64_FORMAT,
                          f->type, f->name, text, f->most);
    }
    return true;
}

static bool check(const Field *f, const char *text, GError **error)
{
    static const Row uuid = {
        .name = "uuid", .type = TYPE_UUID, .size = 16, .count = 1, .stored = true};
    uint8_t bytes[16];
    unsigned major, minor;
    bool on;
    char rest;
    switch (f->kind) {
    case NUMBER: return check_number(f, text, error);
    case SWITCH:
        return row_parse_bool(text, &on) ||
               error_fail(error, "-smbios type=%u: %s=%s, expected: on, off", f->type, f->name,
                          text);
    case UUID: return row_parse(&uuid, bytes, text, "-smbios type=1", error);
    case RELEASE:
        return (sscanf(text, "%3u.%3u%c", &major, &minor, &rest) == 2 && major <= UINT8_MAX &&
                minor <= UINT8_MAX) ||
               error_fail(error,
                          "-smbios type=0: release=%s, expected: MAJOR.MINOR, each up to 255",
                          text);
    default: return true;
    }
}

static bool take_oem_string(const char *name, const char *value, GError **error)
{
    g_autofree char *text = g_strdup(value);
    if (!strcmp(name, "path")) {
        g_autoptr(GError) local = NULL;
        gsize len;
        g_clear_pointer(&text, g_free);
        if (!g_file_get_contents(value, &text, &len, &local)) {
            return error_fail(error, "-smbios type=11: could not read '%s': %s", value,
                              local->message);
        }
        if (strlen(text) != len) {
            return error_fail(error, "-smbios type=11: '%s' contains a zero byte", value);
        }
    }
    if (!*text || smbios_oem_strings()->len >= UINT8_MAX) {
        return error_fail(error, "-smbios type=11: %s",
                          *text ? "at most 255 strings are accepted" : "a string is empty");
    }
    g_ptr_array_add(smbios_oem_strings(), g_steal_pointer(&text));
    return true;
}

static const Field *find(unsigned type, const char *name)
{
    for (const Field *f = fields; f < fields + G_N_ELEMENTS(fields); f++) {
        if (f->type == type && !strcmp(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

/* "manufacturer, product, ..." of a type; empty when there is no such type. */
static char *names_of(unsigned type)
{
    GString *out = g_string_new(NULL);
    for (const Field *f = fields; f < fields + G_N_ELEMENTS(fields); f++) {
        if (f->type == type) {
            g_string_append_printf(out, "%s%s", out->len ? ", " : "", f->name);
        }
    }
    return g_string_free(out, FALSE);
}

static bool take_field(unsigned type, const KeyValue *kv, GError **error)
{
    const Field *f = find(type, kv->key);
    if (!f) {
        g_autofree char *names = names_of(type);
        return error_fail(error, "-smbios type=%u: unknown field '%s', expected: %s", type, kv->key,
                          names);
    }
    if (!check(f, kv->value, error)) {
        return false;
    }
    if (f->kind == LIST) {
        return take_oem_string(f->name, kv->value, error);
    }
    if (!given.texts) {
        given.texts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    }
    g_hash_table_replace(given.texts, g_strdup_printf("%u.%s", type, f->name), g_strdup(kv->value));
    return true;
}

bool smbios_option(const char *text, GError **error)
{
    g_autoptr(KeyVal) kv = keyval_parse(text, NULL, error);
    if (!kv) {
        return false;
    }
    if (!kv->items) {
        return error_fail(error, "-smbios: expected type=N,field=value... or file=PATH, not JSON");
    }
    g_autofree char *file = keyval_take(kv, "file"), *type_text = keyval_take(kv, "type");
    if (!file == !type_text || (file && kv->items->len)) {
        return error_fail(error,
                          "-smbios: expected either type=N,field=value... or file=PATH alone");
    }
    if (file) {
        return take_file(file, error);
    }
    char *end;
    uint64_t type = g_ascii_strtoull(type_text, &end, 10);
    g_autofree char *names =
        *end || !*type_text || type > UINT8_MAX ? g_strdup("") : names_of((unsigned)type);
    if (!*names) {
        return error_fail(error, "-smbios: type=%s, expected: 0, 1, 2, 3, 4, 11 or 17", type_text);
    }
    if (smbios_from_file((unsigned)type)) {
        return error_fail(error, "-smbios: structures of type %s come from file= already",
                          type_text);
    }
    for (guint i = 0; i < kv->items->len; i++) {
        if (!take_field((unsigned)type, &g_array_index(kv->items, KeyValue, i), error)) {
            return false;
        }
    }
    set_bit(given.asked, (unsigned)type);
    return true;
}
