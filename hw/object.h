/* Objects that users make beside devices: -object, object-add and object_add, removed by object-del while nobody uses them.
 *
 * A type is a struct that begins with a UserObject, rows for its properties, and two functions; its row in object-types.c
 * makes it known to the command line, the monitors and introspection.  Main lock held. */
#ifndef HW_OBJECT_H
#define HW_OBJECT_H

#include <json-c/json.h>

#include "core/error.h"
#include "core/row.h"

typedef struct ObjectType ObjectType;
struct ObjectType {
    const char *name, *doc;
    const ObjectType *base;             /* its struct and rows come first; NULL: "object"                    */
    bool abstract;                      /* only a base                                                       */
    size_t size;                        /* of the struct                                                     */
    const Row *rows;                    /* PROP; NULL: none beyond the base's                                */
    void (*init)(void *object);         /* defaults that no text in a row can say; of the most derived type  */
    /* The properties are set: check them and bring the object to life; on failure leave nothing behind. */
    bool (*make)(void *object, GError **error);
    /* A property of a living one was set: check and apply; on failure it gets its old value back.  NULL: none may be set then. */
    bool (*changed)(void *object, GError **error);
    void (*unmake)(void *object);       /* what make did; nobody uses the object                             */
};
extern const ObjectType *const object_types[];          /* NULL-terminated: object-types.c                    */
const ObjectType *object_type_find(const char *name);
bool object_type_is(const ObjectType *type, const char *name);          /* itself or a base                  */
/* Base first; each row is a property. */
void object_type_rows(const ObjectType *type, void (*fn)(void *arg, const Row *row), void *arg);
char *object_types_help(void);          /* -object help; caller frees                                        */
char *object_type_help(const ObjectType *type);         /* -object X,help; caller frees                      */

typedef struct UserObject {
    const ObjectType *type;
    char *id;                           /* owned                                                             */
    unsigned users;                     /* devices and others that hold it: it cannot be deleted             */
} UserObject;

/* Members of `props` (may be NULL) are texts or JSON values of the property's type; a list stands for its elements with
 * commas between.  NULL with *error: there is no such object then. */
UserObject *object_add(const char *type, const char *id, json_object *props, GError **error);
/* One property, while the object lives. */
bool object_set(UserObject *o, const char *property, json_object *value, GError **error);
bool object_del(const char *id, GError **error);
void *object_find(const char *id);      /* NULL */
/* One that is of `type` or derives from it; the error names both. */
void *object_find_type(const char *id, const char *type, GError **error);
void object_foreach(void (*fn)(void *arg, UserObject *o), void *arg);   /* in order of creation              */

#endif
