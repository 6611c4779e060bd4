#include "hw/object.h"

#include <string.h>

#include "hw/qom.h"

static GPtrArray *objects; /* of UserObject, in order of creation */

/* ---- Types ---- */

const ObjectType *object_type_find(const char *name)
{
    for (const ObjectType *const *t = object_types; *t; t++) {
        if (!strcmp((*t)->name, name)) {
            return *t;
        }
    }
    return NULL;
}

bool object_type_is(const ObjectType *type, const char *name)
{
    while (type && strcmp(type->name, name) != 0) {
        type = type->base;
    }
    return type;
}

void object_type_rows(const ObjectType *type, void (*fn)(void *arg, const Row *row), void *arg)
{
    if (type->base) {
        object_type_rows(type->base, fn, arg);
    }
    for (const Row *r = type->rows; r && r->kind != ROW_END; r++) {
        fn(arg, r);
    }
}

static const Row *find_row(const ObjectType *type, const char *property)
{
    for (const Row *r = type->rows; r && r->kind != ROW_END; r++) {
        if (!strcmp(r->name, property)) {
            return r;
        }
    }
    return type->base ? find_row(type->base, property) : NULL;
}

char *object_types_help(void)
{
    GString *out = g_string_new("List of user creatable objects:\n");
    for (const ObjectType *const *t = object_types; *t; t++) {
        if (!(*t)->abstract) {
            g_string_append_printf(out, "  %s\n", (*t)->name);
        }
    }
    return g_string_free(out, FALSE);
}

static void help_row(void *arg, const Row *r)
{
    g_autofree char *left = g_strdup_printf("  %s=<%s>", r->name, row_type_name(r));
    g_string_append_printf(arg, "%-32s - %s%s%s%s\n", left, r->doc, r->init ? " (default: " : "",
                           r->init ? r->init : "", r->init ? ")" : "");
}

char *object_type_help(const ObjectType *type)
{
    GString *out = g_string_new(NULL);
    g_string_append_printf(out, "%s options:\n", type->name);
    object_type_rows(type, help_row, out);
    return g_string_free(out, FALSE);
}

/* ---- Life ---- */

static void set_default(void *arg, const Row *r)
{
    if (r->init) {
        bool ok = row_parse(r, arg, r->init, r->name, NULL);
        g_assert(ok);
    }
}

static void release(void *arg, const Row *r)
{
    row_release(r, arg);
}

static void free_object(UserObject *o)
{
    object_type_rows(o->type, release, o);
    g_free(o->id);
    g_free(o);
}

/* NULL: it has no text. */
static char *property_text(json_object *value)
{
    if (json_object_is_type(value, json_type_boolean)) {
        return g_strdup(json_object_get_boolean(value) ? "on" : "off");
    }
    if (!json_object_is_type(value, json_type_array)) {
        return json_object_is_type(value, json_type_object)
                   ? NULL
                   : g_strdup(json_object_get_string(value));
    }
    GString *all = g_string_new(NULL);
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        g_string_append_printf(all, "%s%s", i ? "," : "",
                               json_object_get_string(json_object_array_get_idx(value, i)));
    }
    return g_string_free(all, FALSE);
}

static bool set_property(UserObject *o, const char *key, json_object *value, GError **error)
{
    const Row *r = find_row(o->type, key);
    g_autofree char *text = property_text(value);
    if (!r) {
        return error_fail(error, "Property '%s.%s' not found", o->type->name, key);
    }
    if (!text) {
        return error_fail(error, "Invalid parameter type for '%s', expected: a plain value", key);
    }
    return row_parse(r, o, text, o->type->name, error);
}

static bool set_properties(UserObject *o, json_object *props, GError **error)
{
    json_object_object_foreach(props, key, value)
    {
        if (!set_property(o, key, value, error)) {
            return false;
        }
    }
    return true;
}

bool object_set(UserObject *o, const char *property, json_object *value, GError **error)
{
    const Row *r = find_row(o->type, property);
    if (r && !o->type->changed) {
        return error_fail(error, "Insufficient permission to perform this operation on property '%s.%s'", o->type->name, property);
    }
    g_autofree char *old = r ? row_format(r, o) : NULL;
    if (!set_property(o, property, value, error)) {
        return false;
    }
    if (!o->type->changed(o, error)) {
        row_parse(r, o, old, o->type->name, NULL);
        return false;
    }
    return true;
}

static bool check_new(const char *type, const char *id, GError **error)
{
    const ObjectType *t = object_type_find(type);
    if (!t || t->abstract) {
        g_autofree char *known = object_types_help();
        g_auto(GStrv) lines = g_strsplit(g_strchomp(known), "\n  ", -1);
        g_autofree char *all = g_strjoinv(", ", lines + 1);
        return error_fail(error, "invalid object type: %s (expected: %s)", type, all);
    }
    if (!qom_id_valid(id)) {
        return error_fail(
            error,
            "Parameter 'id' expects an identifier: a letter, then letters, digits, '-', "
            "'.', '_'; not '%s'",
            id);
    }
    return !object_find(id) || error_fail(error, "Duplicate object ID '%s'", id);
}

UserObject *object_add(const char *type, const char *id, json_object *props, GError **error)
{
    if (!check_new(type, id, error)) {
        return NULL;
    }
    const ObjectType *t = object_type_find(type);
    UserObject *o = g_malloc0(t->size);
    o->type = t;
    o->id = g_strdup(id);
    object_type_rows(t, set_default, o);
    if (t->init) {
        t->init(o);
    }
    if ((props && !set_properties(o, props, error)) || (t->make && !t->make(o, error))) {
        free_object(o);
        return NULL;
    }
    if (!objects) {
        objects = g_ptr_array_new();
    }
    g_ptr_array_add(objects, o);
    return o;
}

bool object_del(const char *id, GError **error)
{
    UserObject *o = object_find(id);
    if (!o) {
        return error_fail(error, "object '%s' not found", id);
    }
    if (o->users) {
        return error_fail(error, "object '%s' is in use, can not be deleted", id);
    }
    g_ptr_array_remove(objects, o);
    if (o->type->unmake) {
        o->type->unmake(o);
    }
    free_object(o);
    return true;
}

/* ---- Looking ---- */

void object_foreach(void (*fn)(void *arg, UserObject *o), void *arg)
{
    for (unsigned i = 0; objects && i < objects->len; i++) {
        fn(arg, g_ptr_array_index(objects, i));
    }
}

void *object_find(const char *id)
{
    for (unsigned i = 0; objects && i < objects->len; i++) {
        UserObject *o = g_ptr_array_index(objects, i);
        if (!strcmp(o->id, id)) {
            return o;
        }
    }
    return NULL;
}

void *object_find_type(const char *id, const char *type, GError **error)
{
    UserObject *o = object_find(id);
    if (!o || !object_type_is(o->type, type)) {
        error_fail(error,
                   o ? "object '%s' is no %s" : "there is no object '%s', expected: the id of an object of type %s",
                   id, type);
        return NULL;
    }
    return o;
}
