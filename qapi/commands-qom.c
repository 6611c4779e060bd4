/* Commands about objects, their types and properties, and devices. */
#include <string.h>

#include "hw/qom.h"
#include "qapi/device-add.h"
#include "qapi/schema/qapi-commands.h"

static void add_property(void *arg, const QomProperty *p)
{
    QObjectPropertyInfo *info = QLIST_ADD((QObjectPropertyInfoList *)arg);
    info->name = g_strdup(p->name);
    info->type = g_strdup(p->type);
    info->description = g_strdup(p->doc);
    info->has_default_value = p->init;
    info->default_value = json_object_get(p->init);
}

/* What exists has a value, so its default says nothing. */
static void add_instance_property(void *arg, const QomProperty *p)
{
    QomProperty q = *p;
    q.init = NULL;
    add_property(arg, &q);
}

bool qmp_qom_list(const QomListArgs *args, QObjectPropertyInfoList *ret, GError **error)
{
    QomNode node;
    if (!qom_find(args->path, &node, error)) {
        return false;
    }
    qom_properties(&node, add_instance_property, ret);
    return true;
}

bool qmp_qom_get(const QomGetArgs *args, json_object **ret, GError **error)
{
    QomNode node;
    *ret = qom_find(args->path, &node, error) ? qom_get(&node, args->property, error) : NULL;
    return *ret;
}

bool qmp_qom_set(const QomSetArgs *args, void *ret, GError **error)
{
    QomNode node;
    return qom_find(args->path, &node, error) && qom_set(&node, args->property, args->value, error);
}

typedef struct TypeList {
    const QomListTypesArgs *args;
    QObjectTypeInfoList *list;
} TypeList;

static void add_type(void *arg, const char *name, const char *parent, bool abstract)
{
    TypeList *t = arg;
    if (abstract && !(t->args->has_abstract && t->args->abstract)) {
        return;
    }
    if (t->args->implements && !qom_type_is(name, t->args->implements)) {
        return;
    }
    QObjectTypeInfo *info = QLIST_ADD(t->list);
    info->name = g_strdup(name);
    info->parent = g_strdup(parent);
    info->has_abstract = info->abstract = abstract;
}

bool qmp_qom_list_types(const QomListTypesArgs *args, QObjectTypeInfoList *ret, GError **error)
{
    qom_types(add_type, &(TypeList){args, ret});
    return true;
}

bool qmp_object_add(const ObjectAddArgs *args, void *ret, GError **error)
{
    return object_add(args->qom_type, args->id, args->rest, error);
}

bool qmp_object_del(const ObjectDelArgs *args, void *ret, GError **error)
{
    return object_del(args->id, error);
}

static bool not_found(const char *type, GError **error)
{
    return error_fail_class(error, ERROR_DEVICE_NOT_FOUND, "Class '%s' not found", type);
}

bool qmp_qom_list_properties(const QomListPropertiesArgs *args, QObjectPropertyInfoList *ret,
                             GError **error)
{
    const DeviceClass *class = device_class_find(args->typename);
    if (!class && !qom_type_exists(args->typename)) {
        return not_found(args->typename, error);
    }
    const ObjectType *object = object_type_find(args->typename);
    if (class) {
        qom_class_properties(class, true, add_property, ret);
    } else if (object) {
        qom_object_properties(object, add_property, ret);
    } else {
        add_property(ret, &(QomProperty){.name = "type", .type = "string"});
    }
    return true;
}

bool qmp_device_list_properties(const DeviceListPropertiesArgs *args, QObjectPropertyInfoList *ret,
                                GError **error)
{
    const DeviceClass *class = device_class_find(args->typename);
    if (!class) {
        if (!qom_type_exists(args->typename)) {
            return error_fail_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found",
                                    args->typename);
        }
        return error_fail(error, "Parameter 'typename' expects a %sdevice type",
                          qom_type_is(args->typename, "device") ? "non-abstract " : "");
    }
    if (class->abstract) {
        return error_fail(error, "Parameter 'typename' expects a non-abstract device type");
    }
    qom_class_properties(class, false, add_property, ret);
    return true;
}

bool qmp_device_add(const DeviceAddArgs *args, void *ret, GError **error)
{
    return qom_device_add(args->driver, args->bus, args->id, args->rest, error);
}

bool qmp_device_del(const DeviceDelArgs *args, void *ret, GError **error)
{
    return qom_device_del(args->id, error);
}

static const char *text_member(json_object *options, const char *name)
{
    json_object *value;
    return json_object_object_get_ex(options, name, &value) ? json_object_get_string(value) : NULL;
}

bool device_add(json_object *options, GError **error)
{
    const char *driver = text_member(options, "driver");
    if (!driver) {
        return error_fail(error, "Parameter 'driver' is missing");
    }
    json_object *props = json_object_new_object();
    json_object_object_foreach(options, key, value)
    {
        if (strcmp(key, "driver") && strcmp(key, "bus") && strcmp(key, "id")) {
            json_object_object_add(props, key, json_object_get(value));
        }
    }
    Device *d = qom_device_add(driver, text_member(options, "bus"), text_member(options, "id"), props, error);
    json_object_put(props);
    return d;
}
