/* The types of objects and how users make devices of them. */
#include <string.h>

#include "hw/cpu-device.h"
#include "hw/hotplug.h"
#include "hw/machine.h"
#include "hw/qom.h"

/* Types that exist only as bases.  A device class without .base derives from the one of its bus. */
static const struct {
    const char *name, *parent, *bus;
    bool concrete;
} bases[] = {
    {"object", NULL, NULL, false},
    {"container", "object", NULL, true},
    {"device", "object", NULL, false},
    {"bus", "object", NULL, false},
    {"machine", "object", NULL, false},
    {"x86-machine", "machine", NULL, false},
    {"generic-pc-machine", "x86-machine", NULL, false},
    {"chardev", "object", NULL, false},
    {"cpu", "device", NULL, false},
    {"x86_64-cpu", "cpu", NULL, false},
    {"sys-bus-device", "device", "System", false},
    {"pci-device", "device", "PCI", false},
    {"isa-device", "device", "ISA", false},
    {"ide-device", "device", "IDE", false},
};

static const char *class_parent(const DeviceClass *class)
{
    if (class->base) {
        return class->base->name;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bases); i++) {
        if (class->bus && bases[i].bus && !strcmp(bases[i].bus, class->bus) &&
            strcmp(bases[i].name, class->name) != 0) {
            return bases[i].name;
        }
    }
    return "device";
}

static void char_types(QomTypeFn *fn, void *arg)
{
    g_autofree char *kinds = char_kinds();
    g_auto(GStrv) names = g_strsplit(g_strchomp(kinds), "\n", -1);
    for (char **n = names; *n; n++) {
        g_autofree char *type = g_strdup_printf("chardev-%s", *n);
        fn(arg, type, "chardev", false);
    }
}

void qom_types(QomTypeFn *fn, void *arg)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(bases); i++) {
        if (!device_class_find(bases[i].name)) {
            fn(arg, bases[i].name, bases[i].parent, !bases[i].concrete);
        }
    }
    for (const DeviceClass *const *c = device_classes; *c; c++) {
        if (!(*c)->plain) {
            fn(arg, (*c)->name, class_parent(*c), (*c)->abstract);
        }
    }
    const MachineClass *m;
    for (unsigned i = 0; (m = machine_class_at(i)); i++) {
        g_autofree char *name = g_strdup_printf("%s-machine", m->name);
        fn(arg, name, g_str_has_prefix(m->name, "pc-") ? "generic-pc-machine" : "machine",
           false);
    }
    g_autoptr(GPtrArray) models = model_list(NULL);
    for (unsigned i = 0; i < models->len; i++) {
        fn(arg, ((ModelInfo *)g_ptr_array_index(models, i))->type_name, "x86_64-cpu", false);
    }
    char_types(fn, arg);
    for (const ObjectType *const *t = object_types; *t; t++) {
        fn(arg, (*t)->name, (*t)->base ? (*t)->base->name : "object", (*t)->abstract);
    }
}

typedef struct Parent {
    const char *name;
    const char *parent; /* interned */
    bool found;
} Parent;

static void find_type(void *arg, const char *name, const char *parent, bool abstract)
{
    Parent *p = arg;
    if (!p->found && !strcmp(name, p->name)) {
        p->found = true;
        p->parent = g_intern_string(parent);
    }
}

bool qom_type_exists(const char *name)
{
    Parent p = {name};
    qom_types(find_type, &p);
    return p.found;
}

bool qom_type_is(const char *name, const char *ancestor)
{
    const DeviceClass *class = device_class_find(name);
    if (class && device_class_is(class, ancestor)) {
        return true;
    }
    if (object_type_find(name) && !strcmp(ancestor, "user-creatable")) { /* an interface, as management knows it */
        return true;
    }
    for (Parent p = {name}; p.name; p = (Parent){p.parent}) {
        if (!strcmp(p.name, ancestor)) {
            return true;
        }
        qom_types(find_type, &p);
    }
    return false;
}

/* ---- device_add, device_del ---- */

bool qom_id_valid(const char *id)
{
    return g_ascii_isalpha(*id) &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
               strlen(id);
}

static const DeviceClass *class_for_user(const char *driver, GError **error)
{
    GError *failure = NULL;
    const DeviceClass *class = cpu_device_type(driver, &failure);
    if (class || failure) {
        if (failure) {
            g_propagate_error(error, failure);
        }
        return class;
    }
    class = device_class_find(driver);
    if (!class || class->plain) {
        error_fail(error, "'%s' is not a valid device model name", driver);
        return NULL;
    }
    if (class->abstract || class->internal) {
        error_fail(error, "Parameter 'driver' expects a %s device type, not '%s'",
                   class->abstract ? "non-abstract" : "pluggable", driver);
        return NULL;
    }
    return class;
}

/* True with *bus NULL: the class needs none. */
static bool bus_for_user(const DeviceClass *class, const char *name, Bus **bus, GError **error)
{
    *bus = name ? bus_find(name) : class->bus ? bus_find_type(class->bus) : NULL;
    if (name && !*bus) {
        return error_fail(error, "Bus '%s' not found", name);
    }
    if (name && (!class->bus || strcmp((*bus)->class->type, class->bus) != 0)) {
        return error_fail(error, "Device '%s' can't go on %s bus", class->name,
                          (*bus)->class->type);
    }
    if (class->bus && !*bus) {
        return error_fail(error, "No '%s' bus found for device '%s'", class->bus, class->name);
    }
    if (*bus && (*bus)->full) {
        return error_fail(error, "Bus '%s' is full", (*bus)->name);
    }
    if (machine.ready && *bus && !(*bus)->class->hotplug) {
        return error_fail(error, "Bus '%s' does not support hotplugging", (*bus)->name);
    }
    if (machine.ready && !class->hotpluggable) {
        return error_fail(error, "Device '%s' does not support hotplugging", class->name);
    }
    return true;
}

static bool set_properties(Device *d, json_object *props, GError **error)
{
    if (props) {
        json_object_object_foreach(props, key, value)
        {
            bool structured = json_object_is_type(value, json_type_object) || json_object_is_type(value, json_type_array);
            if (structured && device_property_is_plain(d, key)) {
                return error_fail(error, "Invalid parameter type for '%s', expected: a plain value",
                                  key);
            }
            const char *text = json_object_is_type(value, json_type_boolean)
                                   ? (json_object_get_boolean(value) ? "on" : "off")
                                   : json_object_get_string(value);
            if (!device_set(d, key, text ? text : "", error)) {
                return false;
            }
        }
    }
    return true;
}

Device *qom_device_add(const char *driver, const char *bus_name, const char *id, json_object *props,
                       GError **error)
{
    Bus *bus;
    const DeviceClass *class = class_for_user(driver, error);
    if (!class || !bus_for_user(class, bus_name, &bus, error)) {
        return NULL;
    }
    if (id && !qom_id_valid(id)) {
        error_fail(error,
                   "Parameter 'id' expects an identifier: a letter, then letters, digits, '-', "
                   "'.', '_'; not '%s'",
                   id);
        return NULL;
    }
    if (id && device_find(id)) {
        error_fail(error, "Duplicate device ID '%s'", id);
        return NULL;
    }
    Device *d = device_new(class, id);
    bool outer = device_creation_by_user;
    device_creation_by_user = true;
    d->hotplugged = machine.ready;
    bool ok = set_properties(d, props, error) && device_realize(d, bus, error);
    device_creation_by_user = outer;
    if (!ok) {
        device_free(d);
        return NULL;
    }
    if (machine.ready) {
        device_reset(d, true);
        device_plugged(d);
    }
    return d;
}

bool qom_device_del(const char *id, GError **error)
{
    Device *d = device_find(id);
    if (!d) {
        return error_fail_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
    }
    if (d->bus && !d->bus->class->hotplug) {
        return error_fail(error, "Bus '%s' does not support hotplugging", d->bus->name);
    }
    bool of_user = g_str_has_prefix(d->path, "/machine/peripheral") || d->class == &cpu_device_class;
    if (!d->class->hotpluggable || !of_user) {
        return error_fail(error, "Device '%s' does not support hotplugging", d->class->name);
    }
    return device_unplug_request(d, error);
}
