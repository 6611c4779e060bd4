/* query-qmp-schema: the descriptor tables as SchemaInfo.
 *
 * Types have no names on the wire, only numbers in order of first mention ("0" is the empty
 * object), so that clients look at their shape and we may rename them. */
#include <string.h>

#include "core/schema.h"
#include "qapi/schema/qapi-commands.h"

static const QType empty_object = {.name = "", .kind = QKIND_STRUCT, .rest = -1};

typedef struct Names {
    GHashTable *numbers; /* const QType * -> number + 1 */
    GPtrArray *order;    /* every type that was mentioned, to be described */
    guint last;          /* number given last */
} Names;

static const char *builtin(const QType *t, QJSONType *json)
{
    switch (t->kind) {
    case QKIND_STR: *json = Q_JSON_TYPE_STRING; return "str";
    case QKIND_INT: *json = Q_JSON_TYPE_INT; return "int";
    case QKIND_BOOL: *json = Q_JSON_TYPE_BOOLEAN; return "bool";
    case QKIND_NUMBER: *json = Q_JSON_TYPE_NUMBER; return "number";
    case QKIND_NULL: *json = Q_JSON_TYPE_NULL; return "null";
    case QKIND_ANY: *json = Q_JSON_TYPE_VALUE; return "any";
    default: return NULL;
    }
}

/* The wire name of a type; new ones are noted.  Caller frees. */
static char *name_of(Names *n, const QType *t)
{
    QJSONType json;
    t = t ? t : &empty_object;
    const char *basic = builtin(t, &json);
    if (t->kind == QKIND_INT) {
        t = &qtype_int; /* the wire knows one size */
    }
    guint number = GPOINTER_TO_UINT(g_hash_table_lookup(n->numbers, t));
    if (!number) {
        number = basic || t->kind == QKIND_LIST ? 1 : ++n->last;
        g_hash_table_insert(n->numbers, (void *)t, GUINT_TO_POINTER(number));
        g_ptr_array_add(n->order, (void *)t);
    }
    if (basic) {
        return g_strdup(basic);
    }
    if (t->kind == QKIND_LIST) {
        g_autofree char *element = name_of(n, t->element);
        return g_strdup_printf("[%s]", element);
    }
    return g_strdup_printf("%u", number - 1);
}

static QSchemaInfo *add(QSchemaInfoList *list, char *name, QSchemaMetaType meta)
{
    QSchemaInfo *info = QLIST_ADD(list);
    info->name = name;
    info->meta_type = meta;
    return info;
}

static void describe_struct(Names *n, const QType *t, QSchemaInfoObject *o)
{
    for (unsigned i = 0; i < t->n_members; i++) {
        QSchemaInfoObjectMember *m = QLIST_ADD(&o->members);
        m->name = g_strdup(t->members[i].name);
        m->type = name_of(n, t->members[i].type);
        m->has_q_default = t->members[i].optional;
    }
    if (!t->variants) {
        return;
    }
    const QType *tag = t->members[t->tag].type;
    o->tag = g_strdup(t->members[t->tag].name);
    o->has_variants = true;
    for (unsigned i = 0; i < tag->n_values; i++) {
        QSchemaInfoObjectVariant *v = QLIST_ADD(&o->variants);
        v->q_case = g_strdup(tag->values[i]);
        v->type = name_of(n, t->variants[i]);
    }
}

static void describe(Names *n, const QType *t, QSchemaInfoList *list)
{
    QJSONType json;
    char *name = name_of(n, t);
    if (builtin(t, &json)) {
        add(list, name, Q_SCHEMA_META_TYPE_BUILTIN)->u.builtin.json_type = json;
        return;
    }
    switch (t->kind) {
    case QKIND_ENUM: {
        QSchemaInfo *info = add(list, name, Q_SCHEMA_META_TYPE_ENUM);
        for (unsigned i = 0; i < t->n_values; i++) {
            *QLIST_ADD(&info->u.q_enum.values) = g_strdup(t->values[i]);
            QLIST_ADD(&info->u.q_enum.members)->name = g_strdup(t->values[i]);
        }
        break;
    }
    case QKIND_LIST:
        add(list, name, Q_SCHEMA_META_TYPE_ARRAY)->u.array.element_type = name_of(n, t->element);
        break;
    case QKIND_ALTERNATE: {
        QSchemaInfo *info = add(list, name, Q_SCHEMA_META_TYPE_ALTERNATE);
        for (unsigned i = 0; i < t->n_members; i++) {
            QLIST_ADD(&info->u.alternate.members)->type = name_of(n, t->members[i].type);
        }
        break;
    }
    default: describe_struct(n, t, &add(list, name, Q_SCHEMA_META_TYPE_OBJECT)->u.object);
    }
}

bool qmp_query_qmp_schema(const void *args, QSchemaInfoList *ret, GError **error)
{
    Names n = {g_hash_table_new(NULL, NULL), g_ptr_array_new(), 0};
    g_free(name_of(&n, NULL));
    for (size_t i = 0; i < qapi_command_count; i++) {
        const QCommand *c = &qapi_commands[i];
        QSchemaInfo *info = add(ret, g_strdup(c->name), Q_SCHEMA_META_TYPE_COMMAND);
        info->u.command.arg_type = name_of(&n, c->args);
        info->u.command.ret_type = name_of(&n, c->ret);
        info->u.command.has_allow_oob = info->u.command.allow_oob = c->allow_oob;
    }
    for (const QEvent *const *e = qapi_events; *e; e++) {
        add(ret, g_strdup((*e)->name), Q_SCHEMA_META_TYPE_EVENT)->u.event.arg_type =
            name_of(&n, (*e)->args);
    }
    for (guint i = 0; i < n.order->len; i++) { /* describing one may mention others */
        describe(&n, g_ptr_array_index(n.order, i), ret);
    }
    g_hash_table_unref(n.numbers);
    g_ptr_array_unref(n.order);
    return true;
}
