#include "char/char.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

CharHooks char_hooks;

static GPtrArray *chars; /* in order of creation */
static bool started;

static const CharClass *const classes[] = {
    &char_null,    &char_stdio,  &char_file, &char_pipe,   &char_pty, &char_socket,   &char_udp,
    &char_ringbuf, &char_memory, &char_vc,   &char_serial, &char_tty, &char_parallel, &char_parport,
};

/* Kinds that people know from elsewhere and this program has not. */
static const char *const absent[] = {"msmouse",  "wctablet",  "braille", "testdev",
                                     "spicevmc", "spiceport", "dbus",    "qemu-vdagent",
                                     "console",  "hub",       NULL};

/* ---- Front end's side ---- */

bool char_attach(Char *c, const CharUser *user, void *arg, GError **error)
{
    if (c->class->attach) {
        return c->class->attach(c, user, arg, error);
    }
    if (c->user) {
        return error_fail(error, "Device '%s' is in use", c->id);
    }
    c->user = user;
    c->user_arg = arg;
    if (c->open) {
        char_event(c, CHAR_OPENED);
    }
    char_accept(c);
    return true;
}

void char_detach(Char *c, void *arg)
{
    if (c->class->detach) {
        c->class->detach(c, arg);
    } else if (c->user && c->user_arg == arg) {
        c->user = NULL;
        c->user_arg = NULL;
        c->waiting = false;
    }
}

bool char_attached(const Char *c)
{
    return c && c->user;
}

static void log_bytes(Char *c, const uint8_t *buf, size_t len)
{
    while (c->logfd >= 0 && len) {
        ssize_t n = write(c->logfd, buf, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            warn_report("chardev %s: cannot write the log file: %s", c->id, g_strerror(errno));
            close(c->logfd);
            c->logfd = -1;
            return;
        }
        buf += n;
        len -= (size_t)n;
    }
}

/* What the other side took, with a copy in the log. */
static size_t write_through(Char *c, const uint8_t *buf, size_t len)
{
    size_t n = c->class->write ? c->class->write(c, buf, len) : len;
    log_bytes(c, buf, n);
    return n;
}

size_t char_write(Char *c, const void *buf, size_t len)
{
    if (!c || !len) {
        return len;
    }
    size_t n = c->pending->len ? 0 : write_through(c, buf, len);
    if (n < len) {
        c->waiting = true;
    }
    return n;
}

void char_write_all(Char *c, const void *buf, size_t len)
{
    if (!c || !len) {
        return;
    }
    size_t n = c->pending->len ? 0 : write_through(c, buf, len);
    if (n < len) {
        g_byte_array_append(c->pending, (const uint8_t *)buf + n, (guint)(len - n));
    }
}

void char_accept(Char *c)
{
    if (c && c->class->accept) {
        c->class->accept(c);
    }
}

void char_set_line(Char *c, const CharLine *line)
{
    if (c && c->class->set_line) {
        c->class->set_line(c, line);
    }
}

void char_send_break(Char *c)
{
    if (c && c->class->send_break) {
        c->class->send_break(c);
    }
}

unsigned char_modem_get(Char *c)
{
    return c && c->class->modem_get ? c->class->modem_get(c)
                                    : CHAR_TIOCM_CTS | CHAR_TIOCM_DSR | CHAR_TIOCM_CAR;
}

void char_modem_set(Char *c, unsigned lines)
{
    if (c && c->class->modem_set) {
        c->class->modem_set(c, lines);
    }
}

const char *char_id(const Char *c)
{
    return c->id;
}
bool char_is_open(const Char *c)
{
    return c && c->open;
}

char *char_filename(const Char *c)
{
    return c->class->filename ? c->class->filename(c) : g_strdup(c->class->name);
}

int char_take_fd(Char *c)
{
    return c && c->class->take_fd ? c->class->take_fd(c) : -1;
}

/* ---- Back end's side ---- */

size_t char_can_receive(Char *c)
{
    if (!c->user || !c->user->receive) {
        return 0;
    }
    return c->user->can_receive ? c->user->can_receive(c->user_arg) : SIZE_MAX;
}

void char_receive(Char *c, const uint8_t *buf, size_t len)
{
    if (c->user && c->user->receive && len) {
        c->user->receive(c->user_arg, buf, len);
    }
}

void char_event(Char *c, CharEvent event)
{
    if (event == CHAR_OPENED || event == CHAR_CLOSED) {
        c->open = event == CHAR_OPENED;
    }
    if (c->user && c->user->event) {
        c->user->event(c->user_arg, event);
    }
}

void char_writable(Char *c)
{
    if (c->pending->len) {
        size_t n = write_through(c, c->pending->data, c->pending->len);
        g_byte_array_remove_range(c->pending, 0, (guint)n);
        if (c->pending->len) {
            return;
        }
    }
    if (c->waiting) {
        c->waiting = false;
        if (c->user && c->user->writable) {
            c->user->writable(c->user_arg);
        }
    }
}

/* ---- Making and finding them ---- */

static const CharClass *class_find(const char *kind)
{
    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
        if (!strcmp(classes[i]->name, kind)) {
            return classes[i];
        }
    }
    return NULL;
}

char *char_kinds(void)
{
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
        g_string_append_printf(text, "%s\n", classes[i]->name);
    }
    return g_string_free(text, FALSE);
}

static bool kind_missing(const char *kind, GError **error)
{
    if (g_strv_contains(absent, kind)) {
        return error_fail(error, "chardev: this build has no back end '%s'", kind);
    }
    g_autofree char *kinds = char_kinds();
    g_strdelimit(g_strchomp(kinds), "\n", ' ');
    return error_fail(error, "chardev: '%s' is not a back end; known are: %s", kind, kinds);
}

static bool log_open(Char *c, GHashTable *options, GError **error)
{
    bool append = false;
    g_autofree char *path = options_take(options, "logfile");
    if (!options_take_bool(options, "logappend", &append, error)) {
        return false;
    }
    if (path) {
        c->logfd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
        if (c->logfd < 0) {
            return error_fail_errno(error, errno, "Chardev '%s': cannot open log file '%s'", c->id,
                                    path);
        }
    }
    return true;
}

static void destroy(Char *c)
{
    if (c->logfd >= 0) {
        close(c->logfd);
    }
    g_byte_array_unref(c->pending);
    g_free(c->id);
    g_free(c);
}

Char *char_make(const CharClass *class, const char *id, GHashTable *options, GError **error)
{
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is EPIPE, never our end */
    Char *c = g_malloc0(class->size);
    c->class = class;
    c->id = g_strdup(id);
    c->logfd = -1;
    c->pending = g_byte_array_new();
    if (!log_open(c, options, error)) {
        destroy(c);
        return NULL;
    }
    if (class->open && !class->open(c, options, error)) {
        destroy(c);
        return NULL;
    }
    g_autofree char *what = g_strdup_printf("chardev '%s' of kind %s", id, class->name);
    if (!options_finish(options, what, error)) {
        if (class->close) {
            class->close(c);
        }
        destroy(c);
        return NULL;
    }
    if (!chars) {
        chars = g_ptr_array_new();
    }
    g_ptr_array_add(chars, c);
    return c;
}

Char *char_new(const char *kind, const char *id, GHashTable *options, GError **error)
{
    const CharClass *class = class_find(kind);
    bool mux = false;
    if (!class) {
        kind_missing(kind, error);
        return NULL;
    }
    if (char_find(id)) {
        error_fail(error, "Chardev with id '%s' already exists", id);
        return NULL;
    }
    g_autoptr(GHashTable) rest = options_new();
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, options);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        options_set(rest, key, value);
    }
    if (!options_take_bool(rest, "mux", &mux, error)) {
        return NULL;
    }
    if (!mux) {
        return char_make(class, id, rest, error);
    }
    g_autofree char *base_id = g_strdup_printf("%s-base", id);
    if (char_find(base_id)) {
        error_fail(error, "Chardev with id '%s' already exists", base_id);
        return NULL;
    }
    Char *base = char_make(class, base_id, rest, error);
    return base ? char_mux_new(id, base, error) : NULL;
}

Char *char_find(const char *id)
{
    for (guint i = 0; chars && i < chars->len; i++) {
        Char *c = g_ptr_array_index(chars, i);
        if (!strcmp(c->id, id)) {
            return c;
        }
    }
    return NULL;
}

bool char_remove(const char *id, GError **error)
{
    Char *c = char_find(id);
    if (!c) {
        return error_fail(error, "Chardev '%s' not found", id);
    }
    if (char_attached(c)) {
        return error_fail(error, "Chardev '%s' is busy", id);
    }
    char_free(c);
    return true;
}

void char_free(Char *c)
{
    if (!c) {
        return;
    }
    if (c->pending->len) { /* a last try; nobody waits for a slow reader here */
        write_through(c, c->pending->data, c->pending->len);
    }
    if (c->class->close) {
        c->class->close(c);
    }
    g_ptr_array_remove(chars, c);
    destroy(c);
}

void char_foreach(void (*fn)(void *arg, Char *c), void *arg)
{
    for (guint i = 0; chars && i < chars->len; i++) {
        fn(arg, g_ptr_array_index(chars, i));
    }
}

/* What monitors and guests said last should still be read, by a reader that is only a little slow.
 */
static void flush_pending(void)
{
    gint64 end = g_get_monotonic_time() + G_TIME_SPAN_SECOND / 2;
    for (bool left = true; left && g_get_monotonic_time() < end;) {
        left = false;
        for (guint i = 0; chars && i < chars->len; i++) {
            Char *c = g_ptr_array_index(chars, i);
            if (c->pending->len) {
                char_writable(c);
                left |= c->pending->len > 0;
            }
        }
        if (left) {
            g_usleep(1000);
        }
    }
}

void char_cleanup(void)
{
    flush_pending();
    while (chars && chars->len) { /* a multiplexer comes after its base and takes it along */
        char_free(g_ptr_array_index(chars, chars->len - 1));
    }
}

void char_started(void)
{
    started = true;
}
bool char_may_wait(void)
{
    return !started;
}
