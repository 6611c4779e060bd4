/* The server: its character device, its one client, and the machine's comings and goings.
 *
 * A client whose replies are not taken is not read from either, so what is kept for it stays bounded by the longest reply.  A
 * second client on the same socket waits until the first has gone: the character device sees to that. */
#include <signal.h>
#include <string.h>

#include "core/error.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "gdbstub/stub.h"

static Stub *server;

Stub *gdb_stub(void)
{
    return server;
}

/* ---- Replies ---- */

static void flush_out(Stub *s)
{
    size_t n = s->out->len ? char_write(s->chr, s->out->data, s->out->len) : 0;
    if (n) {
        g_byte_array_remove_range(s->out, 0, (guint)n);
    }
}

static void say(Stub *s, const void *bytes, size_t len)
{
    g_byte_array_append(s->out, bytes, (guint)len);
    flush_out(s);
}

void gdb_reply_bytes(Stub *s, const void *body, size_t len)
{
    g_byte_array_set_size(s->last, 0);
    gdb_frame(s->last, body, len);
    say(s, s->last->data, s->last->len);
}

void gdb_reply(Stub *s, const char *text)
{
    gdb_reply_bytes(s, text, strlen(text));
}

void gdb_reply_ok(Stub *s)
{
    gdb_reply(s, "OK");
}

void gdb_reply_error(Stub *s, unsigned code)
{
    char text[8];
    g_snprintf(text, sizeof(text), "E%02x", code);
    gdb_reply(s, text);
}

/* ---- The client ---- */

static void forget_client(Stub *s)
{
    gdb_wire_reset(&s->wire);
    g_byte_array_set_size(s->out, 0);
    g_byte_array_set_size(s->last, 0);
    s->open = s->resumed = s->no_ack = s->extended = s->physical = false;
    s->multiprocess = s->swbreak = s->hwbreak = false;
    s->look = s->go = s->stopped_cpu = s->list_at = s->over = 0;
}

void gdb_client_came(Stub *s)
{
    forget_client(s);
    s->open = true;
    machine_stop(RUN_PAUSED);
}

/* Wherever it was, in the middle of a packet too: what it has set goes, the machine stays as it is. */
void gdb_client_left(Stub *s)
{
    bool was_there = s->open;
    forget_client(s);
    if (was_there) {
        gdb_points_clear(s);
    }
}

/* A running machine that the client has set going listens to an interrupt only, and to being ended (§E.10 "Interrupts"). */
static void packet(Stub *s, GdbInput what)
{
    if (!s->no_ack) {
        say(s, "+", 1);
    }
    if (s->resumed && !(what == GDB_PACKET && (!strcmp(s->wire.data, "k") || g_str_has_prefix(s->wire.data, "vKill")))) {
        return;
    }
    machine_stop(RUN_PAUSED); /* somebody else had set it going */
    s->busy = true;
    if (what == GDB_PACKET) {
        gdb_command(s, s->wire.data, s->wire.len);
    } else {
        gdb_reply_error(s, GDB_EINVAL);
    }
    s->busy = false;
}

static void handle(Stub *s, GdbInput what)
{
    switch (what) {
    case GDB_PACKET:
    case GDB_TOO_LONG: packet(s, what); break;
    case GDB_DAMAGED: say(s, "-", 1); break;
    case GDB_NAK:
        if (!s->no_ack) {
            say(s, s->last->data, s->last->len);
        }
        break;
    case GDB_INTERRUPT: gdb_interrupt(s); break;
    case GDB_ACK:
    case GDB_NOTHING: break;
    }
}

void gdb_client_says(Stub *s, const uint8_t *buf, size_t len)
{
    while (len) {
        GdbInput what;
        size_t n = gdb_wire_feed(&s->wire, buf, len, &what);
        buf += n;
        len -= n;
        handle(s, what);
    }
}

/* ---- The character device ---- */

/* Little at a time: what is told after it may be received, even when replies pile up meanwhile. */
static size_t can_receive(void *arg)
{
    Stub *s = arg;
    return s->out->len ? 0 : 1024;
}

static void receive(void *arg, const uint8_t *buf, size_t len)
{
    gdb_client_says(arg, buf, len);
}

static void writable(void *arg)
{
    Stub *s = arg;
    flush_out(s);
    if (!s->out->len) {
        char_accept(s->chr);
    }
}

static void event(void *arg, CharEvent e)
{
    if (e == CHAR_OPENED) {
        gdb_client_came(arg);
    } else if (e == CHAR_CLOSED) {
        gdb_client_left(arg);
    }
}

/* ---- The machine ---- */

static void report(void *arg)
{
    if (server) {
        gdb_report(server);
    }
}

/* Later, when every CPU stands still.  Within a reset nobody else hears of the stop either. */
static void changed(void *arg, bool running, RunState state)
{
    if (!running && server && server->resumed && !runstate_running()) {
        loop_post(loop_main(), report, NULL);
    }
}

static void listen_once(void)
{
    static bool done;
    static const RunListener listener = {.changed = changed};
    if (!done) {
        done = true;
        runstate_listen(&listener);
    }
}

/* ---- Starting and ending ---- */

Stub *gdb_stub_new(Char *chr)
{
    Stub *s = g_new0(Stub, 1);
    s->chr = chr;
    s->out = g_byte_array_new();
    s->last = g_byte_array_new();
    s->points = g_array_new(FALSE, FALSE, sizeof(GdbPoint));
    listen_once();
    server = s;
    return s;
}

void gdb_stub_free(Stub *s)
{
    server = NULL;
    gdb_client_left(s);
    g_byte_array_unref(s->out);
    g_byte_array_unref(s->last);
    g_array_unref(s->points);
    g_free(s);
}

/* Ctrl-C in the terminal of `target remote | ostler -gdb stdio` is meant for the guest. */
static void interrupted(int signal_number)
{
    machine_request_stop(RUN_PAUSED);
}

static void take_terminal(void)
{
    struct sigaction sa = {.sa_handler = interrupted};
    sigaction(SIGINT, &sa, NULL);
}

/* The character device's text: a socket listens and does not wait, whatever is not said otherwise behind the address. */
static char *device_text(const char *device)
{
    if (g_str_has_prefix(device, "tcp:")) {
        return g_strdup_printf("%s,server=on,wait=off,nodelay=on", device);
    }
    if (g_str_has_prefix(device, "unix:")) {
        size_t path = strcspn(device, ",");
        return g_strdup_printf("%.*s,server=on,wait=off%s", (int)path, device, device + path);
    }
    return g_strdup(device);
}

static void end(void)
{
    Stub *s = server;
    if (s) {
        Char *own = s->own_chr ? s->chr : NULL;
        char_detach(s->chr, s);
        gdb_stub_free(s);
        char_free(own);
    }
}

void gdbstub_stop(void)
{
    if (server && server->open) {
        gdb_reply(server, server->multiprocess ? "W00;process:1" : "W00");
    }
    end();
}

bool gdbstub_start(const char *device, GError **error)
{
    static const CharUser user = {can_receive, receive, event, writable};
    if (server && server->busy) {
        return error_fail(error, "the gdb server cannot be changed over its own connection");
    }
    end();
    if (!strcmp(device, "none")) {
        return true;
    }
    g_autofree char *text = device_text(device);
    Char *chr = char_new_legacy("gdb", text, error);
    if (!chr) {
        return false;
    }
    Stub *s = gdb_stub_new(chr);
    s->own_chr = !g_str_has_prefix(device, "chardev:");
    if (!strcmp(device, "stdio")) {
        take_terminal();
    }
    if (!char_attach(chr, &user, s, error)) {
        gdb_stub_free(s);
        return false;
    }
    return true;
}

