#include "qapi/qmp.h"

#include <string.h>

#include "core/json.h"
#include "core/clock.h"
#include "core/runstate.h"
#include "qapi/dispatch.h"
#include "qapi/events.h"
#include "qapi/hmp.h"
#include "qapi/output.h"

typedef struct Monitor {
    QmpSession session;
    JsonReader *reader;
    Output out;
    bool pretty;
    bool busy;       /* a command runs (it may run rounds of the main loop) */
    unsigned opened; /* counts connections: an answer must not reach the next one */
} Monitor;

static GSList *monitors;

static void send_json(Monitor *m, json_object *value)
{
    GString *text = g_string_new(NULL);
    json_write(value, m->pretty, text);
    g_string_append(text, "\r\n");
    output_write(&m->out, text->str, text->len);
    g_string_free(text, TRUE);
}

static void greet(Monitor *m)
{
    json_object *greeting = json_object_new_object(), *qmp = json_object_new_object();
    json_object *capabilities = json_object_new_array(), *version = NULL;
    qmp_call("query-version", NULL, false, &version, NULL);
    json_object_array_add(capabilities, json_object_new_string("oob"));
    json_object_object_add(qmp, "version", version);
    json_object_object_add(qmp, "capabilities", capabilities);
    json_object_object_add(greeting, "QMP", qmp);
    send_json(m, greeting);
    json_object_put(greeting);
}

static void refuse(Monitor *m, const GError *error)
{
    json_object *answer = json_object_new_object(), *e = json_object_new_object();
    json_object_object_add(e, "class", json_object_new_string(error_class_name(error)));
    json_object_object_add(e, "desc", json_object_new_string(error->message));
    json_object_object_add(answer, "error", e);
    send_json(m, answer);
    json_object_put(answer);
}

static size_t monitor_can_receive(void *arg)
{
    Monitor *m = arg;
    return !monitors_started || m->busy || output_full(&m->out) ? 0 : 4096;
}

static void monitor_receive(void *arg, const uint8_t *buf, size_t len)
{
    Monitor *m = arg;
    unsigned opened = m->opened;
    size_t at = 0;
    m->busy = true;
    while (opened == m->opened) {
        json_object *request;
        g_autoptr(GError) error = NULL;
        JsonResult result =
            json_reader_next(m->reader, (const char *)buf, len, &at, &request, &error);
        if (result == JSON_MORE) {
            break;
        }
        if (result == JSON_ERROR) {
            refuse(m, error);
            continue;
        }
        json_object *answer = qmp_dispatch(&m->session, request);
        if (opened == m->opened) {
            send_json(m, answer);
        }
        json_object_put(answer);
        json_object_put(request);
        runstate_settle();
    }
    m->busy = false;
    char_accept(m->session.chr);
}

static void monitor_event(void *arg, CharEvent event)
{
    Monitor *m = arg;
    if (event != CHAR_OPENED && event != CHAR_CLOSED) {
        return;
    }
    m->opened++;
    m->session.negotiated = m->session.oob = false;
    json_reader_reset(m->reader);
    output_clear(&m->out);
    if (event == CHAR_OPENED) {
        greet(m);
    }
}

static void monitor_writable(void *arg)
{
    Monitor *m = arg;
    output_flush(&m->out);
    if (!m->busy && !output_full(&m->out)) {
        char_accept(m->session.chr);
    }
}

static const CharUser monitor_user = {monitor_can_receive, monitor_receive, monitor_event,
                                      monitor_writable};

static void monitor_free(Monitor *m)
{
    json_reader_free(m->reader);
    output_free(&m->out);
    g_free(m);
}

bool qmp_monitor_new(Char *chr, bool pretty, GError **error)
{
    Monitor *m = g_new0(Monitor, 1);
    m->session.chr = chr;
    m->pretty = pretty;
    m->reader = json_reader_new();
    output_init(&m->out, chr);
    if (!char_attach(chr, &monitor_user, m, error)) {
        monitor_free(m);
        return false;
    }
    monitors = g_slist_append(monitors, m);
    return true;
}

void qmp_monitors_free(void)
{
    while (monitors) {
        Monitor *m = monitors->data;
        monitors = g_slist_delete_link(monitors, monitors);
        char_detach(m->session.chr, m);
        monitor_free(m);
    }
}

void qmp_start(void)
{
    monitors_started = true;
    qapi_machine_events_init();
    for (GSList *l = monitors; l; l = l->next) {
        char_accept(((Monitor *)l->data)->session.chr);
    }
    hmp_monitors_accept();
}

void qmp_flush(void)
{
    for (GSList *l = monitors; l; l = l->next) {
        output_finish(&((Monitor *)l->data)->out);
    }
    hmp_monitors_flush();
}

/* ---- Events ---- */

static void broadcast(json_object *message)
{
    for (GSList *l = monitors; l; l = l->next) {
        Monitor *m = l->data;
        if (m->session.negotiated && char_is_open(m->session.chr)) {
            send_json(m, message);
        }
    }
}

/* An event of a kind that may come too often: after one was sent, the latest that followed goes out
 * when the time is over. */
typedef struct Limited {
    const QEvent *event;
    char *key;
    json_object *waiting; /* the whole message, or NULL */
    Timer timer;
} Limited;

static GSList *limited;

static void limited_free(Limited *l)
{
    limited = g_slist_remove(limited, l);
    timer_off(&l->timer);
    json_object_put(l->waiting);
    g_free(l->key);
    g_free(l);
}

static void limited_due(void *arg)
{
    Limited *l = arg;
    if (!l->waiting) {
        limited_free(l);
        return;
    }
    broadcast(l->waiting);
    json_object_put(g_steal_pointer(&l->waiting));
    timer_at(&l->timer, clock_now(CLOCK_RT) + l->event->rate_ms * NS_PER_MS);
}

static Limited *limited_find(const QEvent *event, const char *key)
{
    for (GSList *s = limited; s; s = s->next) {
        Limited *l = s->data;
        if (l->event == event && !g_strcmp0(l->key, key)) {
            return l;
        }
    }
    return NULL;
}

/* Takes the message; true: it goes out now (and stays the caller's). */
static bool limit(const QEvent *event, json_object *data, json_object *message)
{
    json_object *value;
    const char *key = event->rate_key && json_object_object_get_ex(data, event->rate_key, &value)
                          ? json_object_get_string(value)
                          : NULL;
    Limited *l = limited_find(event, key);
    if (l) {
        json_object_put(l->waiting);
        l->waiting = json_object_get(message);
        return false;
    }
    l = g_new0(Limited, 1);
    l->event = event;
    l->key = g_strdup(key);
    timer_init(&l->timer, CLOCK_RT, limited_due, l);
    timer_at(&l->timer, clock_now(CLOCK_RT) + event->rate_ms * NS_PER_MS);
    limited = g_slist_prepend(limited, l);
    return true;
}

static void event_sink(const QEvent *event, json_object *data)
{
    int64_t us = g_get_real_time();
    json_object *message = json_object_new_object(), *timestamp = json_object_new_object();
    json_object_object_add(timestamp, "seconds", json_object_new_int64(us / G_USEC_PER_SEC));
    json_object_object_add(timestamp, "microseconds", json_object_new_int64(us % G_USEC_PER_SEC));
    json_object_object_add(message, "timestamp", timestamp);
    json_object_object_add(message, "event", json_object_new_string(event->name));
    if (data) {
        json_object_object_add(message, "data", data);
    }
    if (!event->rate_ms || limit(event, data, message)) {
        broadcast(message);
    }
    json_object_put(message);
}

void qmp_init(void)
{
    qapi_event_sink = event_sink;
    qapi_run_events_init();
    qapi_block_events_init();
    qapi_dump_events_init();
}
