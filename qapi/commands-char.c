/* Commands about character back ends. */
#include <string.h>

#include "char/char.h"
#include "core/options.h"
#include "qapi/dispatch.h"
#include "qapi/schema/qapi-commands.h"

static void add_char(void *arg, Char *c)
{
    QChardevInfo *info = QLIST_ADD((QChardevInfoList *)arg);
    info->label = g_strdup(char_id(c));
    info->filename = char_filename(c);
    info->frontend_open = char_attached(c);
}

bool qmp_query_chardev(const void *args, QChardevInfoList *ret, GError **error)
{
    char_foreach(add_char, ret);
    return true;
}

bool qmp_query_chardev_backends(const void *args, QChardevBackendInfoList *ret, GError **error)
{
    g_autofree char *kinds = char_kinds();
    g_auto(GStrv) names = g_strsplit(g_strchomp(kinds), "\n", -1);
    for (char **n = names; *n; n++) {
        QLIST_ADD(ret)->name = g_strdup(*n);
    }
    return true;
}

/* The members of a ChardevBackend as the options of -chardev: addresses lose their wrapping, some
 * names differ. */
static void add_options(json_object *object, const char *prefix, GHashTable *options)
{
    json_object_object_foreach(object, key, value)
    {
        json_object *inner;
        if (json_object_is_type(value, json_type_object)) {
            bool local = !strcmp(key, "local");
            if (!strcmp(key, "addr") || !strcmp(key, "remote") || local) {
                json_object_object_get_ex(value, "data", &inner);
                add_options(inner, local ? "local" : "", options);
            }
            continue;
        }
        const char *name = !strcmp(key, "in")                              ? "input-path"
                           : !strcmp(key, "out") || !strcmp(key, "device") ? "path"
                           : !strcmp(key, "str")                           ? "fd"
                                                                           : key;
        if (!strcmp(prefix, "local")) {
            name = !strcmp(key, "host") ? "localaddr" : !strcmp(key, "port") ? "localport" : key;
        }
        const char *text = json_object_is_type(value, json_type_boolean)
                               ? (json_object_get_boolean(value) ? "on" : "off")
                               : json_object_get_string(value);
        options_set(options, name, text);
    }
}

bool qmp_chardev_add(const ChardevAddArgs *args, QChardevReturn *ret, GError **error)
{
    g_autoptr(GHashTable) options = options_new();
    g_autoptr(GError) why = NULL;
    const char *kind = qtype_enum_name(&qtype_ChardevBackendKind, args->backend.type);
    json_object *backend = qtype_to_json(&qtype_ChardevBackend, &args->backend), *data;
    if (args->backend.type == Q_CHARDEV_BACKEND_KIND_SOCKET) {
        options_set(options, "server", "on"); /* QMP's defaults differ from those of -chardev */
        options_set(options, "wait", "off");
        const QChardevSocket *s = &args->backend.u.socket.data;
        if (s->has_server && !s->server) {
            g_hash_table_remove(options, "wait");
        }
    }
    if (json_object_object_get_ex(backend, "data", &data)) {
        add_options(data, "", options);
    }
    json_object_put(backend);
    Char *c = char_new(kind, args->id, options, &why);
    if (!c) {
        bool named = g_str_has_prefix(why->message, "Chardev "); /* it says already whom it means */
        return error_fail(error, "%s%s%s%s", named ? "" : "Failed to add chardev '",
                          named ? "" : args->id, named ? "" : "': ", why->message);
    }
    g_autofree char *name = char_filename(c);
    if (g_str_has_prefix(name, "pty:")) {
        ret->pty = g_strdup(name + 4);
    }
    return true;
}

static Char *find(const char *id, GError **error)
{
    Char *c = char_find(id);
    if (!c) {
        error_fail(error, "Chardev '%s' not found", id);
    }
    return c;
}

bool qmp_chardev_remove(const ChardevRemoveArgs *args, void *ret, GError **error)
{
    return char_remove(args->id, error);
}

bool qmp_chardev_send_break(const ChardevSendBreakArgs *args, void *ret, GError **error)
{
    Char *c = find(args->id, error);
    if (c) {
        char_send_break(c);
    }
    return c;
}

static Char *find_ringbuf(const char *id, GError **error)
{
    Char *c = char_find(id);
    if (!c) {
        error_fail(error, "Device '%s' not found", id);
    } else if (!char_is_ringbuf(c)) {
        error_fail(error, "%s is not a ringbuf device", id);
        c = NULL;
    }
    return c;
}

bool qmp_ringbuf_write(const RingbufWriteArgs *args, void *ret, GError **error)
{
    Char *c = find_ringbuf(args->device, error);
    if (!c) {
        return false;
    }
    if (args->has_format && args->format == Q_DATA_FORMAT_BASE64) {
        gsize len;
        g_autofree guchar *bytes = g_base64_decode(args->data, &len);
        char_write(c, bytes, len);
    } else {
        char_write(c, args->data, strlen(args->data));
    }
    return true;
}

bool qmp_ringbuf_read(const RingbufReadArgs *args, char **ret, GError **error)
{
    Char *c = find_ringbuf(args->device, error);
    if (!c) {
        return false;
    }
    if (args->size <= 0) {
        return error_fail(error, "size must be greater than zero");
    }
    size_t n = MIN((uint64_t)args->size, char_ringbuf_count(c));
    g_autofree uint8_t *bytes = g_malloc(n + 1);
    n = char_ringbuf_read(c, bytes, n);
    *ret = args->has_format && args->format == Q_DATA_FORMAT_BASE64
               ? g_base64_encode(bytes, n)
               : g_utf8_make_valid((char *)bytes, (gssize)n);
    return true;
}
