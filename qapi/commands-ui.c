/* Commands about screens, keys and pointers. */
#include <string.h>

#include "core/runstate.h"
#include "hw/device.h"
#include "qapi/schema/qapi-commands.h"
#include "ui/console.h"
#include "ui/input.h"

_Static_assert((int)KEY_CODES == (int)Q_Q_KEY_CODE__MAX && (int)KEY_RET == (int)Q_Q_KEY_CODE_RET,
               "keys follow the schema");
_Static_assert((int)BUTTON_WHEEL_RIGHT == (int)Q_INPUT_BUTTON_WHEEL_RIGHT,
               "buttons follow the schema");

/* The screen that `device` (id or path; NULL: the first) and `head` mean. */
static Console *find_console(const char *device, int64_t head, GError **error)
{
    Device *d = device ? device_find(device) : NULL;
    if (device && !d) {
        error_fail_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", device);
        return NULL;
    }
    Console *c;
    int64_t seen = 0;
    for (unsigned i = 0; (c = console_find(i)); i++) {
        if ((!d || console_device(c) == d) && seen++ == head) {
            return c;
        }
    }
    if (d) {
        error_fail(error, "Device '%s' has no screen %" G_GINT64_FORMAT, device, head);
    } else {
        error_fail(error, "There is no console to take a screendump from");
    }
    return NULL;
}

bool qmp_screendump(const ScreendumpArgs *args, void *ret, GError **error)
{
    if (args->has_head && !args->device) {
        return error_fail(error, "'head' must be specified together with 'device'");
    }
    Console *c = find_console(args->device, args->has_head ? args->head : 0, error);
    const char *format =
        args->has_format ? qtype_enum_name(&qtype_ImageFormat, args->format) : "ppm";
    return c && console_screendump(c, args->filename, format, error);
}

static bool key_of(const QKeyValue *v, KeyCode *key, GError **error)
{
    if (v->type == Q_KEY_VALUE_KIND_QCODE) {
        *key = (KeyCode)v->u.qcode.data;
        return true;
    }
    int k = v->u.number.data < 0 || v->u.number.data > 0xffff
                ? -1
                : key_from_number((unsigned)v->u.number.data);
    if (k < 0) {
        return error_fail(error,
                          "Parameter 'data' expects the number of a key, not %" G_GINT64_FORMAT,
                          v->u.number.data);
    }
    *key = (KeyCode)k;
    return true;
}

bool qmp_send_key(const SendKeyArgs *args, void *ret, GError **error)
{
    g_autofree KeyCode *keys = g_new(KeyCode, args->keys.n + 1);
    for (size_t i = 0; i < args->keys.n; i++) {
        if (!key_of(&args->keys.at[i], &keys[i], error)) {
            return false;
        }
    }
    if (args->has_hold_time && (args->hold_time < 0 || args->hold_time > 3600 * 1000)) {
        return error_fail(error, "Parameter 'hold-time' expects milliseconds from 0 to 3600000");
    }
    return input_send_keys(keys, (unsigned)args->keys.n,
                           args->has_hold_time ? (unsigned)args->hold_time : 0) ||
           error_fail(error, "Too many keys are waiting to be typed");
}

static void send_event(const QInputEvent *e)
{
    KeyCode key = KEY_UNMAPPED;
    switch (e->type) {
    case Q_INPUT_EVENT_KIND_KEY:
        if (key_of(&e->u.key.data.key, &key, NULL)) {
            input_key(key, e->u.key.data.down);
        }
        break;
    case Q_INPUT_EVENT_KIND_BTN:
        if (e->u.btn.data.button < (int)BUTTONS) {
            input_button((PointerButton)e->u.btn.data.button, e->u.btn.data.down);
        }
        break;
    case Q_INPUT_EVENT_KIND_REL:
        input_rel(e->u.rel.data.axis == Q_INPUT_AXIS_X ? AXIS_X : AXIS_Y,
                  (int)CLAMP(e->u.rel.data.value, -INPUT_ABS_MAX, INPUT_ABS_MAX));
        break;
    case Q_INPUT_EVENT_KIND_ABS:
        input_abs(e->u.abs.data.axis == Q_INPUT_AXIS_X ? AXIS_X : AXIS_Y,
                  (int)CLAMP(e->u.abs.data.value, 0, INPUT_ABS_MAX));
        break;
    default: break;
    }
}

bool qmp_input_send_event(const InputSendEventArgs *args, void *ret, GError **error)
{
    KeyCode key = KEY_UNMAPPED;
    if (args->device && !find_console(args->device, args->has_head ? args->head : 0, error)) {
        return false;
    }
    if (!runstate_running() && runstate() != RUN_SUSPENDED) {
        return error_fail(error, "VM not running");
    }
    for (size_t i = 0; i < args->events.n; i++) {
        const QInputEvent *e = &args->events.at[i];
        if (e->type == Q_INPUT_EVENT_KIND_KEY && !key_of(&e->u.key.data.key, &key, error)) {
            return false;
        }
        if (e->type == Q_INPUT_EVENT_KIND_ABS && !input_has_absolute()) {
            return error_fail(error, "Input handler not found for event type abs");
        }
    }
    for (size_t i = 0; i < args->events.n; i++) {
        send_event(&args->events.at[i]);
    }
    input_sync();
    return true;
}

static void add_mouse(void *arg, const InputSink *sink, bool current)
{
    QMouseInfoList *list = arg;
    if (sink->relative || sink->absolute) {
        int64_t index = (int64_t)list->n;
        QMouseInfo *info = QLIST_ADD(list);
        *info = (QMouseInfo){g_strdup(sink->name), index, current, sink->absolute};
    }
}

bool qmp_query_mice(const void *args, QMouseInfoList *ret, GError **error)
{
    input_foreach(add_mouse, ret);
    return true;
}
