/* Human monitors on character back ends. */
#include <string.h>

#include "core/error.h"
#include "qapi/hmp-edit.h"
#include "qapi/hmp-internal.h"
#include "qapi/output.h"
#include "qapi/qmp.h"

typedef struct Monitor {
    Char *chr;
    Output out;
    LineEdit edit;
    bool editing;
    bool busy;   /* a command runs */
    bool hidden; /* a multiplexer shows another front end */
    int cpu;
} Monitor;

static GSList *monitors;

static void monitor_write(void *arg, const char *text, size_t len)
{
    output_write(&((Monitor *)arg)->out, text, len);
}

static void monitor_put(Monitor *m, const char *text)
{
    monitor_write(m, text, strlen(text));
}

static void monitor_prompt(Monitor *m)
{
    if (m->editing) {
        edit_show_prompt(&m->edit);
    } else {
        monitor_put(m, m->edit.prompt);
    }
}

static void monitor_execute(void *arg, const char *line)
{
    Monitor *m = arg;
    Hmp h = {g_string_new(NULL), m->cpu, m->edit.history};
    hmp_run(&h, line);
    m->cpu = h.cpu;
    g_auto(GStrv) lines = g_strsplit(h.out->str, "\n", -1);
    g_autofree char *text = g_strjoinv("\r\n", lines);
    g_string_free(h.out, TRUE);
    monitor_put(m, text);
    monitor_prompt(m);
}

static size_t monitor_can_receive(void *arg)
{
    Monitor *m = arg;
    return !monitors_started || m->busy || output_full(&m->out) ? 0 : 512;
}

/* Without editing there is no echo, and only line ends mean something. */
static void plain_byte(Monitor *m, unsigned char c)
{
    LineEdit *e = &m->edit;
    if (c == '\n' || c == '\r') {
        g_autofree char *line = g_strdup(e->line->str);
        bool ends_cr = c == '\n' && e->cr;
        edit_reset(e);
        e->cr = c == '\r';
        if (!ends_cr) {
            monitor_execute(m, line);
        }
    } else if (e->line->len < EDIT_LINE_MAX) {
        e->cr = false;
        g_string_append_c(e->line, (char)c);
    }
}

static void monitor_receive(void *arg, const uint8_t *buf, size_t len)
{
    Monitor *m = arg;
    m->busy = true;
    for (size_t i = 0; i < len; i++) {
        if (m->editing) {
            edit_byte(&m->edit, buf[i]);
        } else {
            plain_byte(m, buf[i]);
        }
    }
    m->busy = false;
    char_accept(m->chr);
}

static void monitor_greet(Monitor *m)
{
    g_autofree char *banner =
        g_strdup_printf("QEMU %d.%d.%d monitor - type 'help' for more information\r\n",
                        QMP_VERSION_MAJOR, QMP_VERSION_MINOR, QMP_VERSION_MICRO);
    monitor_put(m, banner);
    if (!m->hidden) {
        monitor_prompt(m);
    }
}

static void monitor_event(void *arg, CharEvent event)
{
    Monitor *m = arg;
    switch (event) {
    case CHAR_OPENED:
        output_clear(&m->out);
        edit_reset(&m->edit);
        monitor_greet(m);
        break;
    case CHAR_CLOSED:
        output_clear(&m->out);
        edit_reset(&m->edit);
        break;
    case CHAR_MUX_IN:
        m->hidden = false;
        monitor_prompt(m);
        break;
    case CHAR_MUX_OUT:
        m->hidden = true;
        monitor_put(m, "\r\n");
        break;
    default: break;
    }
}

static void monitor_writable(void *arg)
{
    Monitor *m = arg;
    output_flush(&m->out);
    if (!m->busy && !output_full(&m->out)) {
        char_accept(m->chr);
    }
}

static const CharUser monitor_user = {monitor_can_receive, monitor_receive, monitor_event,
                                      monitor_writable};

static void monitor_free(Monitor *m)
{
    edit_clear(&m->edit);
    output_free(&m->out);
    g_free(m);
}

bool hmp_monitor_new(Char *chr, bool editing, GError **error)
{
    Monitor *m = g_new0(Monitor, 1);
    m->chr = chr;
    m->editing = editing;
    m->hidden = chr->class->attach; /* a multiplexer says when we have it */
    output_init(&m->out, chr);
    edit_init(&m->edit, "(qemu) ");
    m->edit.write = monitor_write;
    m->edit.execute = monitor_execute;
    m->edit.arg = m;
    if (!char_attach(chr, &monitor_user, m, error)) {
        monitor_free(m);
        return false;
    }
    monitors = g_slist_append(monitors, m);
    return true;
}

void hmp_monitors_accept(void)
{
    for (GSList *l = monitors; l; l = l->next) {
        char_accept(((Monitor *)l->data)->chr);
    }
}

void hmp_monitors_flush(void)
{
    for (GSList *l = monitors; l; l = l->next) {
        output_finish(&((Monitor *)l->data)->out);
    }
}

void hmp_monitors_free(void)
{
    while (monitors) {
        Monitor *m = monitors->data;
        monitors = g_slist_delete_link(monitors, monitors);
        char_detach(m->chr, m);
        monitor_free(m);
    }
}
