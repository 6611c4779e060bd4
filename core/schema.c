#include "core/schema.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/json.h"
#include "core/keyval.h"
#include "core/row.h"
#include "core/loop.h"
#include "core/options.h"

// clang-format off
const QType qtype_str = {.name = "str", .kind = QKIND_STR, .size = sizeof(char *), .rest = -1};
const QType qtype_bool = {.name = "bool", .kind = QKIND_BOOL, .size = sizeof(bool), .rest = -1};
const QType qtype_number = {.name = "number", .kind = QKIND_NUMBER, .size = sizeof(double), .rest = -1};
const QType qtype_null = {.name = "null", .kind = QKIND_NULL, .size = sizeof(bool), .rest = -1};
const QType qtype_any = {.name = "any", .kind = QKIND_ANY, .size = sizeof(json_object *), .rest = -1};
#define INTEGER(name_, bytes, ...)                                                                                     \
    const QType qtype_##name_ = {.name = #name_, .kind = QKIND_INT, .size = bytes, .rest = -1, __VA_ARGS__};
INTEGER(int, 8)
INTEGER(int8, 1)
INTEGER(int16, 2)
INTEGER(int32, 4)
INTEGER(int64, 8)
INTEGER(uint8, 1, .is_unsigned = true)
INTEGER(uint16, 2, .is_unsigned = true)
INTEGER(uint32, 4, .is_unsigned = true)
INTEGER(uint64, 8, .is_unsigned = true)
INTEGER(size, 8, .is_unsigned = true, .is_size = true)
#undef INTEGER
// clang-format on

/* ---- Where in the input we are, for messages ---- */

typedef struct Place {
    const struct Place *outer;
    const char *name; /* of a member; NULL: element `index` of a list */
    size_t index;
} Place;

static void place_append(const Place *p, GString *out)
{
    if (!p) {
        return;
    }
    place_append(p->outer, out);
    if (p->name) {
        g_string_append_printf(out, "%s%s", out->len ? "." : "", p->name);
    } else {
        g_string_append_printf(out, "[%zu]", p->index);
    }
}

static char *place_text(const Place *p)
{
    GString *out = g_string_new(NULL);
    place_append(p, out);
    if (!out->len) {
        g_string_append(out, "value");
    }
    return g_string_free(out, FALSE);
}

static bool fail_type(const Place *p, const char *expected, GError **error)
{
    g_autofree char *path = place_text(p);
    return error_fail(error, "Invalid parameter type for '%s', expected: %s", path, expected);
}

static bool fail_value(const Place *p, const char *expected, GError **error)
{
    g_autofree char *path = place_text(p);
    return error_fail(error, "Parameter '%s' expects %s", path, expected);
}

/* ---- JSON in ---- */

static bool read_value(const QType *type, json_object *in, void *value, bool text, const Place *p,
                       GError **error);

/* A string that C code can hold; the bytes are UTF-8 already. */
static const char *read_string(json_object *in, const Place *p, GError **error)
{
    if (!json_object_is_type(in, json_type_string)) {
        fail_type(p, "string", error);
        return NULL;
    }
    const char *s = json_object_get_string(in);
    if (strlen(s) != (size_t)json_object_get_string_len(in)) {
        fail_value(p, "a string without NUL characters", error);
        return NULL;
    }
    return s;
}

static bool parse_int(const char *s, JsonInt *v)
{
    char *end;
    while (g_ascii_isspace(*s)) {
        s++;
    }
    v->negative = *s == '-';
    errno = 0;
    if (v->negative) {
        v->i = g_ascii_strtoll(s, &end, 0);
        v->u = (uint64_t)v->i;
        v->negative = v->i < 0;
    } else {
        v->u = g_ascii_strtoull(s, &end, 0);
        v->i = (int64_t)v->u;
    }
    return end != s && !*end && !errno;
}

static const char *range_name(const QType *type)
{
    static const char *const names[2][4] = {{"int8_t", "int16_t", "int32_t", "int64_t"},
                                            {"uint8_t", "uint16_t", "uint32_t", "uint64_t"}};
    return names[type->is_unsigned][type->size == 1   ? 0
                                    : type->size == 2 ? 1
                                    : type->size == 4 ? 2
                                                      : 3];
}

static bool read_int(const QType *type, json_object *in, void *value, bool text, const Place *p,
                     GError **error)
{
    JsonInt v;
    if (text && json_object_is_type(in, json_type_string)) {
        const char *s = json_object_get_string(in);
        if (type->is_size) {
            v.negative = false;
            if (!row_parse_size(s, 'B', &v.u)) {
                return fail_value(p, "a size value representible as a non-negative 64-bit integer",
                                  error);
            }
        } else if (!parse_int(s, &v)) {
            return fail_value(p, "integer", error);
        }
    } else if (!json_object_is_type(in, json_type_int)) {
        return fail_type(p, "integer", error);
    } else {
        v = json_int(in);
    }
    unsigned bits = type->size * 8;
    uint64_t top = type->is_unsigned ? UINT64_MAX >> (64 - bits) : (UINT64_C(1) << (bits - 1)) - 1;
    /* As clients know it, an unsigned 64-bit value may also be written as its negative twin. */
    bool ok = v.negative ? (type->is_unsigned ? bits == 64 : v.i >= -(int64_t)top - 1) : v.u <= top;
    if (!ok) {
        return fail_value(p, range_name(type), error);
    }
    uint64_t bytes = v.negative ? (uint64_t)v.i : v.u;
    memcpy(value, &bytes, type->size);
    return true;
}

static bool read_bool(json_object *in, bool *value, bool text, const Place *p, GError **error)
{
    if (text && json_object_is_type(in, json_type_string)) {
        return row_parse_bool(json_object_get_string(in), value) ||
               fail_value(p, "'on' or 'off'", error);
    }
    if (!json_object_is_type(in, json_type_boolean)) {
        return fail_type(p, "boolean", error);
    }
    *value = json_object_get_boolean(in);
    return true;
}

static bool read_number(json_object *in, double *value, bool text, const Place *p, GError **error)
{
    if (text && json_object_is_type(in, json_type_string)) {
        const char *s = json_object_get_string(in);
        char *end;
        *value = g_ascii_strtod(s, &end);
        return (end != s && !*end && isfinite(*value)) || fail_value(p, "a number", error);
    }
    if (!json_object_is_type(in, json_type_double) && !json_object_is_type(in, json_type_int)) {
        return fail_type(p, "number", error);
    }
    JsonInt i = json_object_is_type(in, json_type_int) ? json_int(in) : (JsonInt){0};
    *value = json_object_is_type(in, json_type_double) ? json_object_get_double(in)
             : i.negative                              ? (double)i.i
                                                       : (double)i.u;
    return true;
}

static bool read_enum(const QType *type, json_object *in, int *value, const Place *p,
                      GError **error)
{
    const char *s = read_string(in, p, error);
    if (!s) {
        return false;
    }
    *value = qtype_enum_find(type, s);
    if (*value >= 0) {
        return true;
    }
    *value = 0;
    g_autofree char *path = place_text(p && p->name ? &(Place){.name = p->name} : p);
    return error_fail(error, "Parameter '%s' does not accept value '%s'", path, s);
}

static bool read_list(const QType *type, json_object *in, void *value, bool text, const Place *p,
                      GError **error)
{
    if (!json_object_is_type(in, json_type_array)) {
        return fail_type(p, "array", error);
    }
    size_t n = json_object_array_length(in);
    for (size_t i = 0; i < n; i++) {
        void *element = qlist_add(value, type->element->size);
        Place here = {.outer = p, .index = i};
        if (!read_value(type->element, json_object_array_get_idx(in, i), element, text, &here,
                        error)) {
            return false;
        }
    }
    return true;
}

static bool read_member(const QMember *m, json_object *in, char *base, bool text, const Place *p,
                        GError **error)
{
    Place here = {.outer = p, .name = m->name};
    json_object *child;
    if (!json_object_object_get_ex(in, m->name, &child)) {
        if (m->optional) {
            return true;
        }
        g_autofree char *path = place_text(&here);
        return error_fail(error, "Parameter '%s' is missing", path);
    }
    void *field = base + m->offset;
    if (m->has >= 0) {
        *(bool *)(base + m->has) = true;
    } else if (m->optional && m->type->kind != QKIND_STR) {
        field = *(void **)field = g_malloc0(m->type->size);
    }
    return read_value(m->type, child, field, text, &here, error);
}

static const QType *struct_variant(const QType *type, const void *value)
{
    if (!type->variants) {
        return NULL;
    }
    return type->variants[*(const int *)((const char *)value + type->members[type->tag].offset)];
}

static bool has_member(const QType *type, const char *name)
{
    for (unsigned i = 0; type && i < type->n_members; i++) {
        if (!strcmp(type->members[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool read_struct(const QType *type, json_object *in, char *value, bool text, const Place *p,
                        GError **error)
{
    if (!json_object_is_type(in, json_type_object)) {
        return fail_type(p, "object", error);
    }
    for (unsigned i = 0; i < type->n_members; i++) {
        if (!read_member(&type->members[i], in, value, text, p, error)) {
            return false;
        }
    }
    const QType *variant = struct_variant(type, value);
    for (unsigned i = 0; variant && i < variant->n_members; i++) {
        if (!read_member(&variant->members[i], in, value + type->variant_at, text, p, error)) {
            return false;
        }
    }
    json_object_object_foreach(in, key, child)
    {
        if (has_member(type, key) || has_member(variant, key)) {
            continue;
        }
        if (type->rest < 0) {
            g_autofree char *path = place_text(&(Place){.outer = p, .name = key});
            return error_fail(error, "Parameter '%s' is unexpected", path);
        }
        json_object **rest = (json_object **)(value + type->rest);
        if (!*rest) {
            *rest = json_object_new_object();
        }
        json_object_object_add(*rest, key, json_object_get(child));
    }
    return true;
}

/* The branch whose JSON type fits; text fits every scalar, the first wins. */
static bool branch_fits(const QType *type, json_object *in)
{
    switch (type->kind) {
    case QKIND_STR:
    case QKIND_ENUM: return json_object_is_type(in, json_type_string);
    case QKIND_INT: return json_object_is_type(in, json_type_int);
    case QKIND_NUMBER:
        return json_object_is_type(in, json_type_int) || json_object_is_type(in, json_type_double);
    case QKIND_BOOL: return json_object_is_type(in, json_type_boolean);
    case QKIND_NULL: return !in;
    case QKIND_STRUCT: return json_object_is_type(in, json_type_object);
    case QKIND_LIST: return json_object_is_type(in, json_type_array);
    default: return true;
    }
}

static bool read_alternate(const QType *type, json_object *in, char *value, bool text,
                           const Place *p, GError **error)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QMember *m = &type->members[i];
        bool scalar = m->type->kind != QKIND_STRUCT && m->type->kind != QKIND_LIST &&
                      m->type->kind != QKIND_NULL;
        if (branch_fits(m->type, in) ||
            (text && scalar && json_object_is_type(in, json_type_string))) {
            *(int *)value = (int)i;
            return read_value(m->type, in, value + m->offset, text, p, error);
        }
    }
    g_autofree char *path = place_text(p);
    return error_fail(error, "Invalid parameter type for '%s', expected: %s", path, type->name);
}

static bool read_value(const QType *type, json_object *in, void *value, bool text, const Place *p,
                       GError **error)
{
    switch (type->kind) {
    case QKIND_STR: {
        const char *s = read_string(in, p, error);
        *(char **)value = g_strdup(s);
        return s;
    }
    case QKIND_INT: return read_int(type, in, value, text, p, error);
    case QKIND_BOOL: return read_bool(in, value, text, p, error);
    case QKIND_NUMBER: return read_number(in, value, text, p, error);
    case QKIND_NULL: return !in || fail_type(p, "null", error);
    case QKIND_ANY: *(json_object **)value = json_object_get(in); return true;
    case QKIND_ENUM: return read_enum(type, in, value, p, error);
    case QKIND_STRUCT: return read_struct(type, in, value, text, p, error);
    case QKIND_ALTERNATE: return read_alternate(type, in, value, text, p, error);
    case QKIND_LIST: return read_list(type, in, value, text, p, error);
    }
    g_assert_not_reached();
}

bool qtype_from_json(const QType *type, json_object *in, void *value, bool text, GError **error)
{
    memset(value, 0, type->size);
    if (read_value(type, in, value, text, NULL, error)) {
        return true;
    }
    qtype_free(type, value);
    return false;
}

/* ---- JSON out ---- */

static json_object *int_to_json(const QType *type, const void *value)
{
    uint64_t u = 0;
    memcpy(&u, value, type->size);
    if (type->is_unsigned) {
        return json_object_new_uint64(u);
    }
    unsigned shift = 64 - type->size * 8;
    return json_object_new_int64((int64_t)(u << shift) >> shift);
}

/* The value of a member, or NULL when it is absent. */
static void *member_value(const QMember *m, const void *base)
{
    char *field = (char *)base + m->offset;
    if (m->has >= 0) {
        return *((const bool *)base + m->has) ? field : NULL;
    }
    if (!m->optional) {
        return field;
    }
    return m->type->kind == QKIND_STR ? (*(char **)field ? field : NULL) : *(void **)field;
}

static void members_to_json(const QType *type, const void *value, json_object *out)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const void *field = member_value(&type->members[i], value);
        if (field) {
            json_object_object_add(out, type->members[i].name,
                                   qtype_to_json(type->members[i].type, field));
        }
    }
}

static json_object *struct_to_json(const QType *type, const char *value)
{
    json_object *out = json_object_new_object();
    members_to_json(type, value, out);
    const QType *variant = struct_variant(type, value);
    if (variant) {
        members_to_json(variant, value + type->variant_at, out);
    }
    json_object *rest = type->rest < 0 ? NULL : *(json_object *const *)(value + type->rest);
    if (rest) {
        json_object_object_foreach(rest, key, child)
        {
            json_object_object_add(out, key, json_object_get(child));
        }
    }
    return out;
}

typedef struct List { /* what every generated list looks like */
    size_t n;
    char *at;
} List;

json_object *qtype_to_json(const QType *type, const void *value)
{
    switch (type->kind) {
    case QKIND_STR:
        return json_object_new_string(*(char *const *)value ? *(char *const *)value : "");
    case QKIND_INT: return int_to_json(type, value);
    case QKIND_BOOL: return json_object_new_boolean(*(const bool *)value);
    case QKIND_NUMBER: return json_object_new_double(*(const double *)value);
    case QKIND_NULL: return NULL;
    case QKIND_ANY: return json_object_get(*(json_object *const *)value);
    case QKIND_ENUM: return json_object_new_string(type->values[*(const int *)value]);
    case QKIND_STRUCT: return struct_to_json(type, value);
    case QKIND_ALTERNATE: {
        const QMember *m = &type->members[*(const int *)value];
        return qtype_to_json(m->type, (const char *)value + m->offset);
    }
    case QKIND_LIST: {
        const List *list = value;
        json_object *out = json_object_new_array();
        for (size_t i = 0; i < list->n; i++) {
            json_object_array_add(out,
                                  qtype_to_json(type->element, list->at + i * type->element->size));
        }
        return out;
    }
    }
    g_assert_not_reached();
}

/* ---- Free, copy, look up ---- */

static void members_free(const QType *type, char *value)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QMember *m = &type->members[i];
        bool pointer = m->optional && m->has < 0 && m->type->kind != QKIND_STR;
        void *field = pointer ? *(void **)(value + m->offset) : value + m->offset;
        if (field) {
            qtype_free(m->type, field);
        }
        if (pointer) {
            g_free(field);
        }
    }
}

void qtype_free(const QType *type, void *value)
{
    switch (type->kind) {
    case QKIND_STR: g_free(*(char **)value); break;
    case QKIND_ANY: json_object_put(*(json_object **)value); break;
    case QKIND_STRUCT: {
        const QType *variant = struct_variant(type, value);
        if (variant) {
            members_free(variant, (char *)value + type->variant_at);
        }
        if (type->rest >= 0) {
            json_object_put(*(json_object **)((char *)value + type->rest));
        }
        members_free(type, value);
        break;
    }
    case QKIND_ALTERNATE: {
        const QMember *m = &type->members[*(int *)value];
        qtype_free(m->type, (char *)value + m->offset);
        break;
    }
    case QKIND_LIST: {
        List *list = value;
        for (size_t i = 0; i < list->n; i++) {
            qtype_free(type->element, list->at + i * type->element->size);
        }
        g_free(list->at);
        break;
    }
    default: break;
    }
    memset(value, 0, type->size);
}

void qtype_copy(const QType *type, void *to, const void *from)
{
    json_object *json = qtype_to_json(type, from);
    bool ok = qtype_from_json(type, json, to, false, NULL);
    assert(ok);
    json_object_put(json);
}

int qtype_enum_find(const QType *type, const char *name)
{
    for (unsigned i = 0; i < type->n_values; i++) {
        if (!strcmp(type->values[i], name)) {
            return (int)i;
        }
    }
    return -1;
}

char *qtype_hint(const QType *type)
{
    switch (type->kind) {
    case QKIND_STR: return g_strdup("string");
    case QKIND_BOOL: return g_strdup("on|off");
    case QKIND_ENUM: return g_strjoinv("|", (char **)type->values);
    case QKIND_ANY: return g_strdup("value");
    default: return g_strdup(type->name);
    }
}

void *qlist_add(void *list_, size_t element_size)
{
    List *list = list_;
    if (!(list->n & (list->n - 1))) { /* room doubles at each power of two */
        list->at = g_realloc_n(list->at, list->n ? list->n * 2 : 1, element_size);
    }
    void *element = list->at + list->n++ * element_size;
    memset(element, 0, element_size);
    return element;
}

/* ---- Events ---- */

void (*qapi_event_sink)(const QEvent *event, json_object *data);

typedef struct Posted {
    const QEvent *event;
    json_object *data;
} Posted;

static void event_posted(void *arg)
{
    Posted *p = arg;
    if (qapi_event_sink) {
        qapi_event_sink(p->event, p->data);
    } else {
        json_object_put(p->data);
    }
    g_free(p);
}

void qapi_event_emit(const QEvent *event, const void *value)
{
    if (!qapi_event_sink) {
        return;
    }
    json_object *data = event->args ? qtype_to_json(event->args, value) : NULL;
    if (loop_locked()) {
        qapi_event_sink(event, data);
        return;
    }
    Posted *p = g_new(Posted, 1);
    *p = (Posted){event, data};
    loop_post(loop_main(), event_posted, p);
}
