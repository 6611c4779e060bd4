#include "qapi/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/log.h"

QmpSession *qmp_session;
bool qmp_preconfig;

static int compare_name(const void *name, const void *command)
{
    return strcmp(name, ((const QCommand *)command)->name);
}

const QCommand *qmp_command_find(const char *name)
{
    return bsearch(name, qapi_commands, qapi_command_count, sizeof(QCommand), compare_name);
}

/* ---- Execution ---- */

static bool run(const QCommand *command, const void *args, json_object **ret, GError **error)
{
    g_autofree void *value = command->ret ? g_malloc0(command->ret->size) : NULL;
    GError *failure = NULL;
    bool ok = command->call(args, value, &failure);
    if (!ok) {
        if (!failure) {
            error_fail(&failure, "The command %s failed", command->name);
        }
        g_propagate_error(error, failure);
    } else if (ret) {
        *ret = command->ret ? qtype_to_json(command->ret, value) : NULL;
    }
    if (value) {
        qtype_free(command->ret, value);
    }
    return ok;
}

static bool check_state(const QCommand *command, GError **error)
{
    if (qmp_preconfig && !command->allow_preconfig) {
        return error_fail(
            error, "The command '%s' is permitted only after machine initialization has completed",
            command->name);
    }
    return true;
}

static bool no_arguments(json_object *args, GError **error)
{
    if (args) {
        json_object_object_foreach(args, key, child)
        {
            (void)child;
            return error_fail(error, "Parameter '%s' is unexpected", key);
        }
    }
    return true;
}

static bool execute(const QCommand *command, json_object *args, bool text, json_object **ret,
                    GError **error)
{
    if (!check_state(command, error)) {
        return false;
    }
    if (!command->args) {
        return no_arguments(args, error) && run(command, NULL, ret, error);
    }
    json_object *empty = args ? NULL : json_object_new_object();
    g_autofree void *value = g_malloc(command->args->size);
    bool ok = qtype_from_json(command->args, args ? args : empty, value, text, error);
    json_object_put(empty);
    if (ok) {
        ok = run(command, value, ret, error);
        qtype_free(command->args, value);
    }
    return ok;
}

static const QCommand *command_or_fail(const char *name, GError **error)
{
    const QCommand *command = qmp_command_find(name);
    if (!command) {
        error_fail_class(error, ERROR_COMMAND_NOT_FOUND, "The command %s has not been found", name);
    }
    return command;
}

bool qmp_call(const char *name, json_object *args, bool text, json_object **ret, GError **error)
{
    QmpSession *outer = qmp_session;
    const QCommand *command = command_or_fail(name, error);
    qmp_session = NULL;
    bool ok = command && execute(command, args, text, ret, error);
    qmp_session = outer;
    return ok;
}

bool qmp_call_keyval(const char *name, const KeyVal *kv, GError **error)
{
    json_object *tree = keyval_tree(kv, error);
    bool ok = tree && qmp_call(name, tree, !kv->json, NULL, error);
    json_object_put(tree);
    return ok;
}

bool qmp_call_value(const char *name, const void *args, GError **error)
{
    QmpSession *outer = qmp_session;
    const QCommand *command = command_or_fail(name, error);
    qmp_session = NULL;
    bool ok = command && check_state(command, error) && run(command, args, NULL, error);
    qmp_session = outer;
    return ok;
}

/* ---- Requests of clients ---- */

typedef struct Request {
    const char *name;
    json_object *args;
    bool oob;
} Request;

/* The shape of a request, before it is known what it asks for. */
static bool check_request(const QmpSession *session, json_object *request, Request *r,
                          GError **error)
{
    if (!json_object_is_type(request, json_type_object)) {
        return error_fail(error, "QMP input must be a JSON object");
    }
    json_object_object_foreach(request, key, child)
    {
        bool oob = session->oob && !strcmp(key, "exec-oob");
        if (oob || !strcmp(key, "execute")) {
            if (!json_object_is_type(child, json_type_string)) {
                return error_fail(error, "QMP input member '%s' must be a string", key);
            }
            if (r->name) {
                return error_fail(error, "QMP input member 'execute' clashes with 'exec-oob'");
            }
            r->name = json_object_get_string(child);
            r->oob = oob;
        } else if (!strcmp(key, "arguments")) {
            if (!json_object_is_type(child, json_type_object)) {
                return error_fail(error, "QMP input member 'arguments' must be an object");
            }
            r->args = child;
        } else if (strcmp(key, "id") != 0) {
            return error_fail(error, "QMP input member '%s' is unexpected", key);
        }
    }
    return r->name || error_fail(error, "QMP input lacks member 'execute'");
}

static bool dispatch(QmpSession *session, json_object *request, json_object **ret, GError **error)
{
    Request r = {0};
    if (!check_request(session, request, &r, error)) {
        return false;
    }
    bool negotiating = !strcmp(r.name, "qmp_capabilities");
    if (!session->negotiated && !negotiating) {
        return error_fail_class(error, ERROR_COMMAND_NOT_FOUND,
                                "Expecting capabilities negotiation with 'qmp_capabilities'");
    }
    if (session->negotiated && negotiating) {
        return error_fail_class(error, ERROR_COMMAND_NOT_FOUND,
                                "Capabilities negotiation is already complete, command ignored");
    }
    const QCommand *command = command_or_fail(r.name, error);
    if (!command) {
        return false;
    }
    if (r.oob && !command->allow_oob) {
        return error_fail(error, "The command %s does not support OOB", r.name);
    }
    TRACE(qmp_command, "%s", r.name);
    return execute(command, r.args, false, ret, error);
}

json_object *qmp_dispatch(QmpSession *session, json_object *request)
{
    QmpSession *outer = qmp_session;
    g_autoptr(GError) error = NULL;
    json_object *ret = NULL, *id = NULL, *answer = json_object_new_object();
    bool has_id = json_object_is_type(request, json_type_object) &&
                  json_object_object_get_ex(request, "id", &id);

    qmp_session = session;
    bool ok = dispatch(session, request, &ret, &error);
    qmp_session = outer;
    if (ok) {
        json_object_object_add(answer, "return", ret ? ret : json_object_new_object());
    }
    if (has_id) {
        json_object_object_add(answer, "id", json_object_get(id));
    }
    if (!ok) {
        json_object *e = json_object_new_object();
        json_object_object_add(e, "class", json_object_new_string(error_class_name(error)));
        json_object_object_add(e, "desc", json_object_new_string(error->message));
        json_object_object_add(answer, "error", e);
    }
    return answer;
}

/* ---- Options that are structs ---- */

bool qmp_parse_option(const QType *type, const char *text, const char *implied, void *value,
                      bool *help, GError **error)
{
    memset(value, 0, type->size);
    g_autoptr(KeyVal) kv = keyval_parse(text, implied, error);
    if (!kv) {
        return false;
    }
    if (help) {
        *help = kv->help;
        if (kv->help) {
            return true;
        }
    }
    json_object *tree = keyval_tree(kv, error);
    bool ok = tree && qtype_from_json(type, tree, value, !kv->json, error);
    json_object_put(tree);
    return ok;
}

static void help_members(const QType *type, GString *out)
{
    for (unsigned i = 0; i < type->n_members; i++) {
        const QMember *m = &type->members[i];
        g_autofree char *hint = qtype_hint(m->type);
        g_autofree char *left = g_strdup_printf("%s=<%s>", m->name, hint);
        g_string_append_printf(out, "  %-32s%s%s\n", left, m->doc ? " - " : "",
                               m->doc ? m->doc : "");
    }
}

char *qmp_type_help(const QType *type)
{
    GString *out = g_string_new(NULL);
    help_members(type, out);
    for (unsigned i = 0; type->variants && i < type->members[type->tag].type->n_values; i++) {
        if (type->variants[i] && type->variants[i]->n_members) {
            g_string_append_printf(out, "with %s=%s:\n", type->members[type->tag].name,
                                   type->members[type->tag].type->values[i]);
            help_members(type->variants[i], out);
        }
    }
    return g_string_free(out, FALSE);
}
