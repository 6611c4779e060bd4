#include "hw/qom.h"

#include <stdio.h>
#include <string.h>

#include "core/keyval.h"
#include "core/options.h"
#include "core/schema.h"
#include "hw/cpu-device.h"
#include "hw/machine.h"
#include "hw/virtio/virtio-balloon.h"

static const char *const containers[] = {"/",
                                         "/backend",
                                         "/chardevs",
                                         "/objects",
                                         "/machine/peripheral",
                                         "/machine/peripheral-anon",
                                         "/machine/unattached"};

/* ---- Walking all objects ---- */

typedef bool VisitFn(void *arg, const char *path, const QomNode *node);

typedef struct Walk {
    VisitFn *fn;
    void *arg;
    bool stop;
} Walk;

static void visit(Walk *w, const char *path, const QomNode *node)
{
    if (!w->stop) {
        w->stop = w->fn(w->arg, path, node);
    }
}

static void visit_device(void *arg, Device *d)
{
    Walk *w = arg;
    if (d->class == &cpu_device_class) {
        visit(w, d->path, &(QomNode){.kind = QOM_CPU, .cpu = cpu_of_device(d)});
        return;
    }
    visit(w, d->path, &(QomNode){.kind = QOM_DEVICE, .dev = d});
    for (const Row *r = d->class->rows; r && r->kind != ROW_END; r++) {
        if (r->kind == ROW_PART && !r->part->plain) {
            g_autofree char *path = g_strdup_printf("%s/%s", d->path, r->name);
            visit(w, path, &(QomNode){.kind = QOM_PART, .dev = d, .part = r});
        }
    }
    for (GSList *l = d->buses; l; l = l->next) {
        Bus *bus = l->data;
        g_autofree char *path = g_strdup_printf("%s/%s", d->path, bus->name);
        visit(w, path, &(QomNode){.kind = QOM_BUS, .bus = bus});
    }
}

static void visit_char(void *arg, Char *c)
{
    g_autofree char *path = g_strdup_printf("/chardevs/%s", char_id(c));
    visit(arg, path, &(QomNode){.kind = QOM_CHAR, .chr = c});
}

static void visit_object(void *arg, UserObject *o)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", o->id);
    visit(arg, path, &(QomNode){.kind = QOM_OBJECT, .object = o});
}

/* Every object with its path, until fn returns true. */
static void walk(VisitFn *fn, void *arg)
{
    Walk w = {fn, arg};
    visit(&w, "/machine", &(QomNode){.kind = QOM_MACHINE});
    for (unsigned i = 0; i < G_N_ELEMENTS(containers); i++) {
        visit(&w, containers[i], &(QomNode){.kind = QOM_CONTAINER, .container = containers[i]});
    }
    device_foreach(visit_device, &w);
    char_foreach(visit_char, &w);
    object_foreach(visit_object, &w);
}

typedef struct Find {
    const char *path;
    QomNode *node;
    unsigned hits;
    bool partial;
} Find;

static bool find_one(void *arg, const char *path, const QomNode *node)
{
    Find *f = arg;
    if (!f->partial) {
        if (strcmp(path, f->path) != 0) {
            return false;
        }
        *f->node = *node;
        f->hits = 1;
        return true;
    }
    size_t have = strlen(path), want = strlen(f->path);
    if (have > want && path[have - want - 1] == '/' && !strcmp(path + have - want, f->path)) {
        *f->node = *node;
        f->hits++;
    }
    return false;
}

bool qom_find(const char *path, QomNode *node, GError **error)
{
    g_autofree char *trimmed = g_strdup(path);
    size_t len = strlen(trimmed);
    while (len > 1 && trimmed[len - 1] == '/') {
        trimmed[--len] = 0;
    }
    Find f = {trimmed, node, 0, *trimmed != '/'};
    if (*trimmed) {
        walk(find_one, &f);
    }
    if (f.hits > 1) {
        return error_fail(error, "Path '%s' is ambiguous", path);
    }
    return f.hits ? true
                  : error_fail_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", path);
}

const char *qom_type(const QomNode *node)
{
    switch (node->kind) {
    case QOM_CONTAINER: return "container";
    case QOM_MACHINE: {
        if (!machine.class) {
            return "machine";
        }
        g_autofree char *name = g_strdup_printf("%s-machine", machine.class->name);
        return g_intern_string(name);
    }
    case QOM_DEVICE: return node->dev->class->name;
    case QOM_PART: return node->part->part->name;
    case QOM_CPU: return node->cpu->model ? node->cpu->model->type_name : "x86_64-cpu";
    case QOM_BUS: return node->bus->class->type;
    case QOM_CHAR: {
        g_autofree char *name = g_strdup_printf("chardev-%s", node->chr->class->name);
        return g_intern_string(name);
    }
    case QOM_OBJECT: return node->object->type->name;
    }
    g_assert_not_reached();
}

char *qom_path(const QomNode *node)
{
    switch (node->kind) {
    case QOM_CONTAINER: return g_strdup(node->container);
    case QOM_MACHINE: return g_strdup("/machine");
    case QOM_DEVICE: return g_strdup(node->dev->path);
    case QOM_PART: return g_strdup_printf("%s/%s", node->dev->path, node->part->name);
    case QOM_CPU: return g_strdup(((Device *)node->cpu->device)->path);
    case QOM_BUS:
        return g_strdup_printf("%s/%s", node->bus->parent ? node->bus->parent->path : "/machine",
                               node->bus->name);
    case QOM_CHAR: return g_strdup_printf("/chardevs/%s", char_id(node->chr));
    case QOM_OBJECT: return g_strdup_printf("/objects/%s", node->object->id);
    }
    g_assert_not_reached();
}

/* ---- Properties ---- */

/* A default, written as text in the row, as the JSON value that clients expect. */
static json_object *text_value(const Row *r, const char *text)
{
    uint64_t n;
    bool b = false;
    char *end;
    if (!text) {
        return NULL;
    }
    switch (r->type) {
    case TYPE_BOOL: row_parse_bool(text, &b); return json_object_new_boolean(b);
    case TYPE_UINT:
        n = g_ascii_strtoull(text, &end, 0);
        return *end ? json_object_new_string(text) : json_object_new_uint64(n & size_mask(r->size));
    case TYPE_INT: return json_object_new_int64(g_ascii_strtoll(text, NULL, 0));
    case TYPE_SIZE:
        return row_parse_size(text, 'B', &n) ? json_object_new_uint64(n)
                                             : json_object_new_string(text);
    default: return json_object_new_string(text);
    }
}

static const char *property_type(const Row *r)
{
    switch (r->type) {
    case TYPE_CHAR:
    case TYPE_DRIVE:
    case TYPE_NET:
    case TYPE_AUDIO: return "str";
    case TYPE_LINK: {
        g_autofree char *type =
            g_strdup_printf("link<%s>", r->names && r->names[0] ? r->names[0] : "object");
        return g_intern_string(type);
    }
    default: return row_type_name(r);
    }
}

typedef struct Emit {
    QomPropertyFn *fn;
    void *arg;
} Emit;

static void emit(const Emit *e, const char *name, const char *type)
{
    e->fn(e->arg, &(QomProperty){.name = name, .type = type});
}

static void emit_child(const Emit *e, const char *name, const char *type)
{
    g_autofree char *child = g_strdup_printf("child<%s>", type);
    emit(e, name, child);
}

static void emit_row(void *arg, const Row *r, const char *name)
{
    Emit *e = arg;
    if (r->kind != ROW_PROP) {
        return;
    }
    json_object *init = text_value(r, r->init);
    e->fn(e->arg, &(QomProperty){name, property_type(r), r->doc, init});
    json_object_put(init);
}

static void emit_common(const Emit *e)
{
    emit(e, "type", "string");
    emit(e, "parent_bus", "link<bus>");
    emit(e, "realized", "bool");
    emit(e, "hotplugged", "bool");
    emit(e, "hotpluggable", "bool");
}

void qom_class_properties(const DeviceClass *class, bool all, QomPropertyFn *fn, void *arg)
{
    Emit e = {fn, arg};
    if (all) {
        emit_common(&e);
    }
    device_class_rows(class, emit_row, &e);
}

typedef struct Children {
    const char *parent;
    Emit *e;
    const char *want; /* only this one, into *found */
    QomNode *found;
} Children;

static bool list_child(void *arg, const char *path, const QomNode *node)
{
    Children *c = arg;
    size_t n = strlen(c->parent);
    n = n == 1 ? 0 : n; /* the root's path is a slash itself */
    if (strncmp(path, c->parent, n) != 0 || path[n] != '/' || !path[n + 1] ||
        strchr(path + n + 1, '/')) {
        return false;
    }
    if (!c->want) {
        emit_child(c->e, path + n + 1, qom_type(node));
    } else if (!strcmp(path + n + 1, c->want)) {
        *c->found = *node;
        return true;
    }
    return false;
}

static void emit_object_row(void *arg, const Row *r)
{
    emit_row(arg, r, r->name);
}

void qom_object_properties(const ObjectType *type, QomPropertyFn *fn, void *arg)
{
    Emit e = {fn, arg};
    emit(&e, "type", "string");
    object_type_rows(type, emit_object_row, &e);
}

bool qom_child(const QomNode *node, const char *name, QomNode *child)
{
    g_autofree char *path = qom_path(node);
    Children c = {path, NULL, name, child};
    child->kind = QOM_CONTAINER;
    child->container = NULL;
    walk(list_child, &c);
    return child->kind != QOM_CONTAINER || child->container;
}

void qom_properties(const QomNode *node, QomPropertyFn *fn, void *arg)
{
    Emit e = {fn, arg};
    switch (node->kind) {
    case QOM_DEVICE: qom_class_properties(node->dev->class, true, fn, arg); break;
    case QOM_PART:
        emit(&e, "type", "string");
        device_class_rows(node->part->part, emit_row, &e);
        break;
    case QOM_CPU:
        emit(&e, "type", "string");
        qom_cpu_properties(fn, arg);
        break;
    case QOM_MACHINE:
        emit(&e, "type", "string");
        for (const Row *r = machine_rows; r->kind != ROW_END; r++) {
            if (machine_row_is_ours(r)) {
                emit_row(&e, r, r->name);
            }
        }
        break;
    case QOM_BUS:
        emit(&e, "type", "string");
        emit(&e, "hotplug-handler", "link<hotplug-handler>");
        emit(&e, "realized", "bool");
        for (unsigned i = 0; i < node->bus->devices->len; i++) {
            Device *d = g_ptr_array_index(node->bus->devices, i);
            g_autofree char *name = g_strdup_printf("child[%u]", i);
            g_autofree char *type = g_strdup_printf("link<%s>", d->class->name);
            emit(&e, name, type);
        }
        break;
    case QOM_OBJECT: qom_object_properties(node->object->type, fn, arg); break;
    default: emit(&e, "type", "string");
    }
    g_autofree char *path = qom_path(node);
    walk(list_child, &(Children){path, &e, NULL, NULL});
}

/* ---- Reading and writing ---- */

typedef struct Lookup {
    const char *name;
    const Row *row;
    void *base;
    const QomNode *node;
} Lookup;

static void look_row(void *arg, const Row *r, const char *name, void *base, unsigned i)
{
    Lookup *l = arg;
    if (r->kind == ROW_PROP && !strcmp(name, l->name)) {
        l->row = r;
        l->base = base;
    }
}

static json_object *row_value(const Row *r, const void *base, const char *text)
{
    switch (r->type) {
    case TYPE_BOOL: return json_object_new_boolean(row_get_raw(r, base, 0));
    case TYPE_UINT:
    case TYPE_SIZE: return json_object_new_uint64(row_get_raw(r, base, 0));
    case TYPE_INT: return json_object_new_int64((int64_t)row_get_raw(r, base, 0));
    case TYPE_SCHEMA: return qtype_to_json(r->schema, row_field(r, base, 0));
    default: return json_object_new_string(text ? text : "");
    }
}

/* Of the balloon, the statistics are a property that no row has, and how often they come can be changed at any time. */
static VirtioBalloon *balloon_of(const Device *d)
{
    VirtioBalloon *b = virtio_balloon();
    return b && device_whole(&b->v.dev) == d ? b : NULL;
}

static json_object *device_value(const Device *d, const char *property)
{
    if (!strcmp(property, "realized") || !strcmp(property, "hotplugged") ||
        !strcmp(property, "hotpluggable")) {
        return json_object_new_boolean(property[0] == 'r'   ? d->realized
                                       : property[7] == 'g' ? d->hotplugged
                                                            : d->class->hotpluggable);
    }
    if (!strcmp(property, "parent_bus")) {
        g_autofree char *path =
            d->bus ? qom_path(&(QomNode){.kind = QOM_BUS, .bus = d->bus}) : g_strdup("");
        return json_object_new_string(path);
    }
    if (!strcmp(property, "guest-stats") && balloon_of(d)) {
        return virtio_balloon_stats(balloon_of(d));
    }
    Lookup l = {.name = property};
    device_rows(d, look_row, &l);
    if (!l.row) {
        return NULL;
    }
    g_autofree char *text = device_get(d, property);
    return row_value(l.row, l.base, text);
}

static bool set_balloon_polling(VirtioBalloon *b, json_object *value, GError **error)
{
    int64_t seconds = json_object_get_int64(value);
    if (seconds < 0 || seconds > INT32_MAX) {
        return error_fail(error, "timer value must be from 0 to %d seconds", INT32_MAX);
    }
    virtio_balloon_poll(b, (uint32_t)seconds);
    return true;
}

typedef struct ObjectLookup {
    const char *property;
    const Row *row;
} ObjectLookup;

static void look_object_row(void *arg, const Row *r)
{
    ObjectLookup *l = arg;
    l->row = strcmp(r->name, l->property) ? l->row : r;
}

static json_object *object_value(const UserObject *o, const char *property)
{
    ObjectLookup l = {property, NULL};
    object_type_rows(o->type, look_object_row, &l);
    if (!l.row) {
        return NULL;
    }
    g_autofree char *text = row_format(l.row, o);
    return row_value(l.row, o, text);
}

static json_object *machine_value(const char *property)
{
    for (const Row *r = machine_rows; r->kind != ROW_END; r++) {
        if (machine_row_is_ours(r) && !strcmp(r->name, property)) {
            g_autofree char *text = row_format(r, &machine);
            return row_value(r, &machine, text);
        }
    }
    return NULL;
}

static json_object *bus_value(const Bus *bus, const char *property)
{
    unsigned i;
    char end;
    if (!strcmp(property, "realized")) {
        return json_object_new_boolean(true);
    }
    if (!strcmp(property, "hotplug-handler")) {
        return json_object_new_string("");
    }
    if (sscanf(property, "child[%u]%c", &i, &end) == 1 && i < bus->devices->len) {
        return json_object_new_string(((Device *)g_ptr_array_index(bus->devices, i))->path);
    }
    return NULL;
}

json_object *qom_get(const QomNode *node, const char *property, GError **error)
{
    json_object *value = NULL;
    QomNode child;
    if (!strcmp(property, "type")) {
        return json_object_new_string(qom_type(node));
    }
    switch (node->kind) {
    case QOM_DEVICE: value = device_value(node->dev, property); break;
    case QOM_PART: value = device_value(node->dev, property); break;
    case QOM_MACHINE: value = machine_value(property); break;
    case QOM_CPU: value = qom_cpu_get(node->cpu, property); break;
    case QOM_OBJECT: value = object_value(node->object, property); break;
    case QOM_BUS: value = bus_value(node->bus, property); break;
    default: break;
    }
    if (!value && qom_child(node, property, &child)) {
        g_autofree char *path = qom_path(&child);
        return json_object_new_string(path);
    }
    if (!value) {
        error_fail(error, "Property '%s.%s' not found", qom_type(node), property);
    }
    return value;
}

/* A JSON value as the text that a person would give. */
static char *value_text(json_object *value)
{
    if (json_object_is_type(value, json_type_boolean)) {
        return g_strdup(json_object_get_boolean(value) ? "on" : "off");
    }
    return g_strdup(json_object_get_string(value));
}

static void same_name(void *arg, const QomProperty *p)
{
    Lookup *l = arg;
    if (!strcmp(p->name, l->name)) {
        l->base = l;
    }
}

bool qom_set(const QomNode *node, const char *property, json_object *value, GError **error)
{
    Lookup l = {.name = property};
    if (node->kind == QOM_DEVICE) {
        if (!strcmp(property, "guest-stats-polling-interval") && balloon_of(node->dev)) {
            return set_balloon_polling(balloon_of(node->dev), value, error);
        }
        device_rows(node->dev, look_row, &l);
        if (l.row) {
            g_autofree char *text = value_text(value);
            return device_set(node->dev, property, text ? text : "", error);
        }
    }
    qom_properties(node, same_name, &l);
    if (node->kind == QOM_OBJECT && l.base && strcmp(property, "type")) {
        return object_set(node->object, property, value, error);
    }
    return error_fail(error,
                      l.base
                          ? "Insufficient permission to perform this operation on property '%s.%s'"
                          : "Property '%s.%s' not found",
                      qom_type(node), property);
}
