/* Several front ends on one back end (mux=on): all of them write, one has the input.  The escape
 * key and a letter act on the multiplexer itself; the escape key twice is the key.
 *
 * Input for a front end that takes none now is kept, QUEUE_MAX bytes for each, so that the escape
 * key works while the guest does not read; beyond that the back end has to wait. */
#include <string.h>
#include <time.h>

#include "char/kinds.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/runstate.h"

enum { QUEUE_MAX = 256 };

typedef struct Front {
    const CharUser *user;
    void *arg;
    uint8_t queue[QUEUE_MAX];
    unsigned queued;
} Front;

typedef struct Mux {
    Char base; /* base.user is the front end with the focus */
    Char *back;
    GPtrArray *fronts;
    Front *focus;
    bool escaped;               /* the escape key was the last byte */
    bool timestamps, line_open; /* line_open: output stands within a line */
    int64_t since;              /* when timestamps went on */
} Mux;

static uint8_t escape = 1;

void char_mux_escape(unsigned char key)
{
    escape = key;
}

/* ---- Output ---- */

static void say(Mux *m, const char *text)
{
    char_write_all(m->back, text, strlen(text));
}

static void stamp(Mux *m)
{
    int64_t ms = (clock_now(CLOCK_RT) - m->since) / NS_PER_MS;
    g_autofree char *text =
        g_strdup_printf("[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000), (int)(ms / 60000 % 60),
                        (int)(ms / 1000 % 60), (int)(ms % 1000));
    say(m, text);
}

static size_t mux_write(Char *c, const uint8_t *buf, size_t len)
{
    Mux *m = (Mux *)c;
    if (!m->timestamps) {
        return char_write(m->back, buf, len);
    }
    for (size_t i = 0; i < len;) {
        const uint8_t *end = memchr(buf + i, '\n', len - i);
        size_t n = end ? (size_t)(end - (buf + i)) + 1 : len - i;
        if (!m->line_open) {
            stamp(m);
        }
        m->line_open = !end;
        char_write_all(m->back, buf + i, n);
        i += n;
    }
    return len;
}

static void back_writable(void *arg)
{
    Mux *m = arg;
    char_writable(&m->base);
    for (guint i = 0; i < m->fronts->len; i++) {
        Front *f = g_ptr_array_index(m->fronts, i);
        if (f != m->focus && f->user->writable) { /* nobody keeps who was refused */
            f->user->writable(f->arg);
        }
    }
}

/* ---- Focus ---- */

static void tell(Front *f, CharEvent event)
{
    if (f && f->user->event) {
        f->user->event(f->arg, event);
    }
}

static Front *front_find(Mux *m, void *arg, guint *at)
{
    for (guint i = 0; i < m->fronts->len; i++) {
        Front *f = g_ptr_array_index(m->fronts, i);
        if (f->arg == arg) {
            *at = i;
            return f;
        }
    }
    return NULL;
}

/* What was typed while f had the focus is its own, whoever has the focus now. */
static void queue_drain(Mux *m, Front *f)
{
    guint at;
    void *arg = f ? f->arg : NULL;
    /* receive() may detach it. */
    while (f && front_find(m, arg, &at) == f && f->queued && f->user->receive) {
        size_t room = f->user->can_receive ? f->user->can_receive(f->arg) : SIZE_MAX;
        uint8_t bytes[QUEUE_MAX];
        unsigned n = (unsigned)MIN(room, f->queued);
        if (!n) {
            return;
        }
        memcpy(bytes, f->queue, n);
        f->queued -= n;
        memmove(f->queue, f->queue + n, f->queued);
        f->user->receive(f->arg, bytes, n);
    }
}

static void focus_set(Mux *m, Front *f)
{
    if (m->focus == f) {
        return;
    }
    queue_drain(m, m->focus);
    tell(m->focus, CHAR_MUX_OUT);
    m->focus = f;
    m->base.user = f ? f->user : NULL;
    m->base.user_arg = f ? f->arg : NULL;
    tell(f, CHAR_MUX_IN);
    char_accept(m->back);
}

static void focus_next(Mux *m)
{
    guint at;
    if (m->focus && front_find(m, m->focus->arg, &at)) {
        focus_set(m, g_ptr_array_index(m->fronts, (at + 1) % m->fronts->len));
    }
}

static bool mux_attach(Char *c, const CharUser *user, void *arg, GError **error)
{
    Mux *m = (Mux *)c;
    guint at;
    if (front_find(m, arg, &at)) {
        return error_fail(error, "Device '%s' is in use", c->id);
    }
    Front *f = g_new0(Front, 1);
    f->user = user;
    f->arg = arg;
    g_ptr_array_add(m->fronts, f);
    if (c->open) {
        tell(f, CHAR_OPENED);
    }
    focus_set(m, f);
    return true;
}

static void mux_detach(Char *c, void *arg)
{
    Mux *m = (Mux *)c;
    guint at;
    Front *f = front_find(m, arg, &at);
    if (!f) {
        return;
    }
    g_ptr_array_remove_index(m->fronts, at);
    if (m->focus == f) {
        m->focus = NULL;
        m->base.user = NULL;
        m->base.user_arg = NULL;
        if (m->fronts->len) {
            focus_set(m, g_ptr_array_index(m->fronts, m->fronts->len - 1));
        }
    }
    g_free(f);
}

void char_mux_focus(Char *c, void *arg)
{
    guint at;
    if (c->class->attach == mux_attach) {
        Front *f = front_find((Mux *)c, arg, &at);
        if (f) {
            focus_set((Mux *)c, f);
        }
    }
}

/* ---- Input ---- */

static void help(Mux *m)
{
    char key[8] = "C-a";
    if (escape && escape < 32) {
        g_snprintf(key, sizeof(key), "C-%c", escape - 1 + 'a');
    } else {
        g_snprintf(key, sizeof(key), "0x%02x", escape);
    }
    static const struct {
        char key;
        const char *text;
    } lines[] = {
        {'h', "this help"},
        {'x', "quit the emulator"},
        {'s', "write -snapshot changes back to the images"},
        {'t', "switch timestamps on the console on or off"},
        {'b', "send a break to the guest's serial line"},
        {'c', "switch between the consoles and the monitor"},
    };
    say(m, "\r\n");
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *line =
            g_strdup_printf("%s %c    %s\r\n", key, lines[i].key, lines[i].text);
        say(m, line);
    }
    g_autofree char *line = g_strdup_printf("%s %s  send %s\r\n", key, key, key);
    say(m, line);
}

/* The byte behind the escape key.  True when it is data after all. */
static bool command(Mux *m, uint8_t c)
{
    if (c == escape) {
        return true;
    }
    switch (c) {
    case 'h':
    case '?': help(m); break;
    case 'x': {
        g_autofree char *text =
            g_strdup_printf("%s: Terminated\r\n", g_get_prgname() ? g_get_prgname() : "ostler");
        say(m, text);
        machine_request_shutdown(CAUSE_HOST_QMP_QUIT);
        break;
    }
    case 's':
        if (char_hooks.save_disks) {
            char_hooks.save_disks();
        } else {
            say(m, "\r\nThis build does not write -snapshot changes back; images stay as they are.\r\n");
        }
        break;
    case 't':
        m->timestamps = !m->timestamps;
        m->since = clock_now(CLOCK_RT);
        m->line_open = false;
        break;
    case 'b': tell(m->focus, CHAR_BREAK); break;
    case 'c': focus_next(m); break;
    default: break;
    }
    return false;
}

static void byte_in(Mux *m, uint8_t c)
{
    if (m->escaped) {
        m->escaped = false;
        if (!command(m, c)) {
            return;
        }
    } else if (escape && c == escape) {
        m->escaped = true;
        return;
    }
    if (m->focus && m->focus->queued < QUEUE_MAX) {
        m->focus->queue[m->focus->queued++] = c;
    }
}

static size_t back_can_receive(void *arg)
{
    Mux *m = arg;
    return m->focus ? QUEUE_MAX - m->focus->queued : QUEUE_MAX;
}

static void back_receive(void *arg, const uint8_t *buf, size_t len)
{
    Mux *m = arg;
    for (size_t i = 0; i < len; i++) {
        byte_in(m, buf[i]);
    }
    queue_drain(m, m->focus);
}

static void mux_accept(Char *c)
{
    Mux *m = (Mux *)c;
    for (guint i = 0; i < m->fronts->len; i++) {
        queue_drain(m, g_ptr_array_index(m->fronts, i));
    }
    char_accept(m->back);
}

static void back_event(void *arg, CharEvent event)
{
    Mux *m = arg;
    if (event == CHAR_OPENED || event == CHAR_CLOSED) {
        m->base.open = event == CHAR_OPENED;
        for (guint i = 0; i < m->fronts->len; i++) {
            tell(g_ptr_array_index(m->fronts, i), event);
        }
    } else {
        tell(m->focus, event);
    }
}

static const CharUser back_user = {
    .can_receive = back_can_receive,
    .receive = back_receive,
    .event = back_event,
    .writable = back_writable,
};

/* ---- The kind ---- */

static void mux_close(Char *c)
{
    Mux *m = (Mux *)c;
    char_detach(m->back, m);
    char_free(m->back);
    for (guint i = 0; i < m->fronts->len; i++) {
        g_free(g_ptr_array_index(m->fronts, i));
    }
    g_ptr_array_unref(m->fronts);
}

static void mux_set_line(Char *c, const CharLine *line)
{
    char_set_line(((Mux *)c)->back, line);
}
static void mux_break(Char *c)
{
    char_send_break(((Mux *)c)->back);
}
static unsigned mux_modem_get(Char *c)
{
    return char_modem_get(((Mux *)c)->back);
}
static void mux_modem_set(Char *c, unsigned lines)
{
    char_modem_set(((Mux *)c)->back, lines);
}
static int mux_take_fd(Char *c)
{
    return char_take_fd(((Mux *)c)->back);
}

static const CharClass char_mux = {
    .name = "mux",
    .size = sizeof(Mux),
    .close = mux_close,
    .write = mux_write,
    .accept = mux_accept,
    .send_break = mux_break,
    .set_line = mux_set_line,
    .modem_get = mux_modem_get,
    .modem_set = mux_modem_set,
    .take_fd = mux_take_fd,
    .attach = mux_attach,
    .detach = mux_detach,
};

Char *char_mux_new(const char *id, Char *back, GError **error)
{
    g_autoptr(GHashTable) none = g_hash_table_new(g_str_hash, g_str_equal);
    Mux *m = (Mux *)char_make(&char_mux, id, none, error);
    if (!m) {
        char_free(back);
        return NULL;
    }
    m->back = back;
    m->fronts = g_ptr_array_new();
    char_attach(back, &back_user, m, NULL);
    return &m->base;
}
