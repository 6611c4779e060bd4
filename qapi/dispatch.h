/* From a request to a handler: QMP's commands, however they come in.
 *
 * The table of commands is generated from the schema.  A command exists when the schema names it; its handler
 * (qmp_NAME, prototype in qapi/schema/qapi-commands.h) stands in the layer that it commands.  To add one: write it into the schema
 * and the handler into a file of that layer or of qapi/. */
#ifndef QAPI_DISPATCH_H
#define QAPI_DISPATCH_H

#include <json-c/json.h>

#include "char/char.h"
#include "core/error.h"
#include "core/keyval.h"
#include "core/schema.h"

/* What a connection has agreed on. */
typedef struct QmpSession {
    bool negotiated;                    /* qmp_capabilities was executed */
    bool oob;                           /* exec-oob is understood */
    Char *chr;                          /* where descriptors come from */
} QmpSession;

/* The session whose command runs now; NULL: the program itself asks (command line, human monitor). */
extern QmpSession *qmp_session;
/* Set while the machine is not yet complete (-preconfig, options before start): only some commands are allowed. */
extern bool qmp_preconfig;

const QCommand *qmp_command_find(const char *name);     /* NULL */

/* Executes what a client sent; the request stays the caller's.  A new object: {"return": ...} or {"error": ...}, with the
 * id that the request had.  Main thread, main lock held. */
json_object *qmp_dispatch(QmpSession *session, json_object *request);

/* A command by the program itself, for instance an option of the command line:
 *
 *     g_autoptr(KeyVal) kv = keyval_parse(text, "driver", &error);
 *     ok = kv && qmp_call_keyval("device_add", kv, &error);
 *
 * `args` may be NULL (no members); with `text` its leaves are strings as keyval_tree makes them.  *ret (may be NULL) gets
 * a new reference to the result, NULL for commands that return nothing. */
bool qmp_call(const char *command, json_object *args, bool text, json_object **ret, GError **error);
bool qmp_call_keyval(const char *command, const KeyVal *kv, GError **error);
/* The same with a struct from qapi/schema/qapi-types.h: qmp_call_value("device_add", &(DeviceAddArgs){...}, &error). */
bool qmp_call_value(const char *command, const void *args, GError **error);

/* Option text -> *value of any schema type (qtype_Foo), for options that are structs rather than commands.  `help` (may
 * be NULL) is set when the user asked for help: then *value is zeroed and the result true. */
bool qmp_parse_option(const QType *type, const char *text, const char *implied, void *value, bool *help, GError **error);
/* The members of a type, a line each: "  name=<string>  - text"; caller frees. */
char *qmp_type_help(const QType *type);

#endif
