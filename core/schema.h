/* What the management schema is in C: values described by tables, and the walkers that read the tables.
 *
 * qapi/schema/gen.py turns the schema into structs (qapi/schema/qapi-types.h) with a QType for each.  How it spells them:
 *   enum Foo            QFoo, constants Q_FOO_BAR in the schema's order
 *   struct Foo          QFoo; a mandatory struct member is embedded, an optional one is a pointer, NULL when absent
 *   str                 char *; NULL when absent
 *   any                 struct json_object *, NULL for JSON's null
 *   other optionals     bool has_x beside x
 *   [Foo]               QFooList {size_t n; QFoo *at}; QLIST_ADD(&list) appends a zeroed element and returns its address
 *   union               the common members, then u.VALUE
 *   arguments of a-b    ABArgs, unless the schema names a type
 * Strings and lists belong to the value; qtype_free releases all that a value holds.  Member names that are no C names
 * get '_' for '-', and "q_" in front of a C keyword. */
#ifndef CORE_SCHEMA_H
#define CORE_SCHEMA_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;
typedef struct QType QType;

typedef enum QKind {
    QKIND_STR, QKIND_INT, QKIND_BOOL, QKIND_NUMBER, QKIND_NULL, QKIND_ANY, QKIND_ENUM, QKIND_STRUCT, QKIND_ALTERNATE,
    QKIND_LIST,
} QKind;

typedef struct QMember {
    const char *name, *doc;
    const QType *type;
    uint16_t offset;
    int16_t has;                        /* offset of the has_ flag; -1: the pointer tells, or it is mandatory */
    bool optional;
} QMember;

struct QType {
    const char *name, *doc;             /* as the schema calls it; "[Foo]" for a list */
    QKind kind;
    bool is_unsigned, is_size;          /* QKIND_INT */
    uint32_t size;                      /* bytes of a value */
    const char *const *values;          /* enum, in order of its constants */
    unsigned n_values;
    const QMember *members;             /* struct: all of them, those of the base first; alternate: its branches */
    unsigned n_members;
    int rest;                           /* struct: offset of the object that takes unknown members, or -1 */
    const QType *element;               /* list */
    const QType *const *variants;       /* union: by value of the tag; NULL entries add no members */
    unsigned tag;                       /* union: index of the discriminating member */
    unsigned variant_at;
};

extern const QType qtype_str, qtype_bool, qtype_int, qtype_number, qtype_null, qtype_any, qtype_int8, qtype_int16,
    qtype_int32, qtype_int64, qtype_uint8, qtype_uint16, qtype_uint32, qtype_uint64, qtype_size;
extern const QType *const qapi_types[]; /* all that the schema names, NULL-terminated */

/* ---- Walkers.  `value` points at type->size bytes. ---- */

/* JSON -> *value (overwritten).  Strict: missing, unknown and ill-typed members are errors that give the path of the
 * member ("Parameter 'keys[0].data' is missing").  With `text` the leaves are strings, as keyval_tree makes them: numbers
 * may be written 0x10 or 64K (sizes), bools on/off/yes/no/true/false.  After an error *value is zeroed. */
bool qtype_from_json(const QType *type, struct json_object *in, void *value, bool text, GError **error);
/* A new object.  Members in the schema's order. */
struct json_object *qtype_to_json(const QType *type, const void *value);
void qtype_free(const QType *type, void *value);        /* releases the contents and zeroes them */
void qtype_copy(const QType *type, void *to, const void *from);         /* *to is overwritten */
/* Value of an enum by name; -1 when there is none. */
int qtype_enum_find(const QType *type, const char *name);
static inline const char *qtype_enum_name(const QType *type, unsigned value) { return type->values[value]; }
/* What a person may write for a value ("string", "on|off", "a|b|c", "size"); caller frees. */
char *qtype_hint(const QType *type);

void *qlist_add(void *list, size_t element_size);
#define QLIST_ADD(list) ((__typeof__((list)->at))qlist_add((list), sizeof(*(list)->at)))

/* ---- Events ---- */
typedef struct QEvent {
    const char *name, *doc;
    const QType *args;                  /* NULL: none */
    unsigned rate_ms;                   /* at most one in this time is sent, the latest one; 0: no limit */
    const char *rate_key;               /* for each value of this member */
} QEvent;
extern const QEvent *const qapi_events[];               /* NULL-terminated */
/* Called by the generated event_NAME functions; hands the event to the sink, on the main loop. */
void qapi_event_emit(const QEvent *event, const void *value);
/* Filled in by the QMP server; takes the reference to `data` (NULL: no data).  Main lock held. */
extern void (*qapi_event_sink)(const QEvent *event, struct json_object *data);

/* ---- Commands: the table is generated into qapi/ ---- */
typedef struct QCommand {
    const char *name, *doc;
    const QType *args, *ret;            /* NULL: none */
    bool (*call)(const void *args, void *ret, GError **error);
    bool allow_oob, allow_preconfig;
} QCommand;
extern const QCommand qapi_commands[];  /* sorted by name */
extern const size_t qapi_command_count;

#endif
