/* The tree of objects as management tools know it: paths, types and properties of the machine and all that is in it.
 *
 *   /machine                        its properties are those of -machine; below it:
 *   /machine/peripheral/ID          devices of -device and device_add; -anon/device[n] without id
 *   /machine/unattached/device[n]   the board's CPUs and devices
 *   .../PART, .../BUS               parts of a device and the buses that it offers
 *   /chardevs/ID, /objects/ID
 *
 * Nothing of it is stored: devices know their path, properties are their rows.  Main lock held. */
#ifndef HW_QOM_H
#define HW_QOM_H

#include <json-c/json.h>

#include "char/char.h"
#include "core/error.h"
#include "cpu/cpu.h"
#include "hw/device.h"
#include "hw/object.h"

typedef struct QomNode {
    enum { QOM_CONTAINER, QOM_MACHINE, QOM_DEVICE, QOM_PART, QOM_CPU, QOM_BUS, QOM_CHAR, QOM_OBJECT } kind;
    const char *container;              /* path, for QOM_CONTAINER */
    Device *dev;                        /* for QOM_PART: the whole */
    const Row *part;
    Cpu *cpu;
    Bus *bus;
    Char *chr;
    UserObject *object;
} QomNode;

/* An absolute path, a device id, or the end of a path that only one object has.  DeviceNotFound. */
bool qom_find(const char *path, QomNode *node, GError **error);
const char *qom_type(const QomNode *node);
char *qom_path(const QomNode *node);    /* caller frees */

/* One property; type "child<T>" leads to another object.  What is absent is NULL; value is only borrowed. */
typedef struct QomProperty {
    const char *name, *type, *doc;
    json_object *init;                  /* default, of class properties */
} QomProperty;
typedef void QomPropertyFn(void *arg, const QomProperty *p);
void qom_properties(const QomNode *node, QomPropertyFn *fn, void *arg);
/* The object that a child property leads to. */
bool qom_child(const QomNode *node, const char *name, QomNode *child);
/* New value; NULL with *error: no such property. */
json_object *qom_get(const QomNode *node, const char *property, GError **error);
bool qom_set(const QomNode *node, const char *property, json_object *value, GError **error);

/* ---- Types ---- */
typedef void QomTypeFn(void *arg, const char *name, const char *parent, bool abstract);
void qom_types(QomTypeFn *fn, void *arg);
bool qom_type_is(const char *name, const char *ancestor);       /* itself, a base or an interface */
bool qom_type_exists(const char *name);
/* Properties of a device class: `all` with those that every object has (type, realized ...). */
void qom_class_properties(const DeviceClass *class, bool all, QomPropertyFn *fn, void *arg);

/* Of a type of object that users make. */
void qom_object_properties(const ObjectType *type, QomPropertyFn *fn, void *arg);

/* Of CPUs: qom-cpu.c.  NULL: no such property. */
void qom_cpu_properties(QomPropertyFn *fn, void *arg);
json_object *qom_cpu_get(const Cpu *c, const char *property);

/* ---- Creation by users ---- */
/* -device and device_add: checks type, bus and id, sets the properties (members of `props`, may be NULL; texts or JSON values
 * of the property's type) and realizes.  After the machine is ready it is a hot-plug. */
Device *qom_device_add(const char *driver, const char *bus, const char *id, json_object *props, GError **error);
/* device_del: by id or path. */
bool qom_device_del(const char *id, GError **error);
bool qom_id_valid(const char *id);      /* letters, digits, '-', '.', '_', a letter first */

#endif
