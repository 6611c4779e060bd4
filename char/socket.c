/* Stream sockets, unix and TCP, as server or client.
 *
 * A server has one client at a time; the next one waits in the listen queue until the first has
 * gone.  Nothing is kept for an absent peer: what is written then is lost.  A client with
 * reconnect= dials on a thread of its own, because looking up names and connecting may take
 * minutes. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "char/address.h"
#include "char/kinds.h"
#include "char/telnet.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/options.h"

typedef struct Dial Dial;

typedef struct Socket {
    Char base;
    Address address;
    bool server, wait, telnet, nodelay;
    uint64_t reconnect_ms;
    int listener, fd; /* -1: none */
    Watch *listen_watch, *in_watch, *out_watch;
    Telnet state;
    GByteArray *out; /* encoded but not sent yet */
    GArray *fds;     /* received, not taken */
    Timer redial;
    Dial *dial;
    bool complained;    /* about a server that does not answer */
    char *local, *peer; /* names of this connection */
} Socket;

struct Dial { /* one attempt on a thread; `owner` goes NULL when nobody wants it any more */
    Socket *owner;
    Address address;
    int fd;
    GError *error;
};

static void socket_watch_input(Socket *s);
static void socket_listen(Socket *s, bool on);

/* ---- Connections come and go ---- */

static void fds_drop(Socket *s)
{
    for (guint i = 0; i < s->fds->len; i++) {
        close(g_array_index(s->fds, int, i));
    }
    g_array_set_size(s->fds, 0);
}

static void unwatch(Watch **watch)
{
    if (*watch) {
        loop_unwatch(*watch);
        *watch = NULL;
    }
}

static void socket_connected(Socket *s, int fd)
{
    s->fd = fd;
    s->complained = false;
    char_fd_nonblock(fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (s->nodelay) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    s->local = address_local(fd);
    s->peer = address_peer(fd);
    s->state = (Telnet){0};
    g_byte_array_set_size(s->out, 0);
    if (s->telnet && s->server) {
        g_byte_array_append(s->out, telnet_hello, sizeof(telnet_hello));
    }
    socket_listen(s, false);
    char_event(&s->base, CHAR_OPENED);
    socket_watch_input(s);
    if (s->out->len) {
        s->base.class->write(&s->base, NULL, 0);
    }
}

static void redial_in(Socket *s)
{
    timer_at(&s->redial, clock_now(CLOCK_RT) + (int64_t)s->reconnect_ms * NS_PER_MS);
}

static void socket_lost(Socket *s)
{
    if (s->fd < 0) {
        return;
    }
    unwatch(&s->in_watch);
    unwatch(&s->out_watch);
    close(s->fd);
    s->fd = -1;
    fds_drop(s);
    g_clear_pointer(&s->local, g_free);
    g_clear_pointer(&s->peer, g_free);
    g_byte_array_set_size(s->out, 0);
    if (s->server) {
        socket_listen(s, true);
    } else if (s->reconnect_ms) {
        redial_in(s);
    }
    char_event(&s->base, CHAR_CLOSED);
    char_writable(&s->base); /* whoever waited for room: there is plenty now */
}

/* ---- Input ---- */

static ssize_t receive(Socket *s, uint8_t *buf, size_t len)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(16 * sizeof(int))];
    } control;
    struct iovec iov = {buf, len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(s->fd, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0) {
        return n;
    }
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h; h = CMSG_NXTHDR(&msg, h)) {
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
            fds_drop(s); /* only those of the last message count */
            guint count = (guint)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            g_array_append_vals(s->fds, CMSG_DATA(h), count);
        }
    }
    return n;
}

static void in_ready(void *arg, short revents)
{
    Socket *s = arg;
    uint8_t buf[4096];
    size_t room = char_can_receive(&s->base);
    int pending = 0;
    (void)revents;
    if (!room) {
        unwatch(&s->in_watch);
        if (ioctl(s->fd, FIONREAD, &pending) || pending) {
            return; /* char_accept comes back for it */
        }
        room = 1; /* nothing to read: it hung up, or this was a false alarm */
    }
    ssize_t n = receive(s, buf, MIN(room, sizeof(buf)));
    if (n > 0) {
        unsigned breaks = 0;
        size_t len = s->telnet ? telnet_decode(&s->state, buf, (size_t)n, &breaks) : (size_t)n;
        while (breaks--) {
            char_event(&s->base, CHAR_BREAK);
        }
        char_receive(&s->base, buf, len);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        socket_lost(s);
    }
}

/* While nobody takes input we listen for a hang-up only. */
static void socket_watch_input(Socket *s)
{
    if (s->fd < 0) {
        return;
    }
    short events = char_can_receive(&s->base) ? POLLIN : 0;
    if (!s->in_watch) {
        s->in_watch = loop_watch(loop_main(), s->fd, events, in_ready, s);
    } else {
        loop_watch_events(s->in_watch, events);
    }
}

static void socket_accept(Char *c)
{
    socket_watch_input((Socket *)c);
}

static int socket_take_fd(Char *c)
{
    Socket *s = (Socket *)c;
    if (!s->fds->len) {
        return -1;
    }
    int fd = g_array_index(s->fds, int, 0);
    g_array_remove_index(s->fds, 0);
    return fd;
}

/* ---- Output ---- */

static void out_ready(void *arg, short revents)
{
    Socket *s = arg;
    (void)revents;
    unwatch(&s->out_watch);
    s->base.class->write(&s->base, NULL, 0);
    if (s->fd >= 0 && !s->out_watch) {
        char_writable(&s->base);
    }
}

/* Bytes that the kernel took; a watch is set when that was not all.  The connection may be lost on
 * the way. */
static size_t send_some(Socket *s, const uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = send(s->fd, buf + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            if (!s->out_watch) {
                s->out_watch = loop_watch(loop_main(), s->fd, POLLOUT, out_ready, s);
            }
            return done;
        } else {
            /* Reading finds out that the peer has gone, after what it may have said last. */
            return len;
        }
    }
    return done;
}

static size_t socket_write(Char *c, const uint8_t *buf, size_t len)
{
    Socket *s = (Socket *)c;
    if (s->fd < 0) {
        return len;
    }
    if (s->out->len) {
        size_t n = send_some(s, s->out->data, s->out->len);
        g_byte_array_remove_range(s->out, 0, (guint)n);
        if (s->out->len) {
            return 0;
        }
    }
    if (!s->telnet) {
        return send_some(s, buf, len);
    }
    size_t taken = MIN(len, 4096);
    telnet_encode(s->out, buf, taken);
    size_t n = send_some(s, s->out->data, s->out->len);
    g_byte_array_remove_range(s->out, 0, (guint)n);
    if (s->out->len || taken == len) {
        if (taken < len && !s->out_watch) {
            s->out_watch = loop_watch(loop_main(), s->fd, POLLOUT, out_ready, s);
        }
        return taken;
    }
    return taken + socket_write(c, buf + taken, len - taken);
}

/* ---- Server ---- */

static void listen_ready(void *arg, short revents)
{
    Socket *s = arg;
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    (void)revents;
    if (fd >= 0) {
        socket_connected(s, fd);
    }
}

static void socket_listen(Socket *s, bool on)
{
    if (on && s->listener >= 0 && !s->listen_watch) {
        s->listen_watch = loop_watch(loop_main(), s->listener, POLLIN, listen_ready, s);
    } else if (!on) {
        unwatch(&s->listen_watch);
    }
}

static bool server_start(Socket *s, GError **error)
{
    s->listener = address_listen(&s->address, error);
    if (s->listener < 0) {
        return false;
    }
    if (!s->wait || !char_may_wait()) {
        socket_listen(s, true);
        return true;
    }
    g_autofree char *name = char_filename(&s->base);
    info_report("QEMU waiting for connection on: %s", name);
    for (;;) {
        struct pollfd p = {.fd = s->listener, .events = POLLIN};
        poll(&p, 1, -1);
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            socket_connected(s, fd);
            return true;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            return error_fail_errno(error, errno, "Chardev '%s': cannot accept a connection",
                                    s->base.id);
        }
    }
}

/* ---- Client ---- */

static void dial_done(void *arg)
{
    Dial *d = arg;
    Socket *s = d->owner;
    if (s) {
        s->dial = NULL;
        if (d->fd >= 0) {
            socket_connected(s, d->fd);
            d->fd = -1;
        } else {
            if (!s->complained) { /* once for each time that the server goes away */
                warn_report("Unable to connect character device %s: %s", s->base.id,
                            d->error->message);
                s->complained = true;
            }
            redial_in(s);
        }
    }
    if (d->fd >= 0) {
        close(d->fd);
    }
    g_clear_error(&d->error);
    address_clear(&d->address);
    g_free(d);
}

static gpointer dial_thread(gpointer arg)
{
    Dial *d = arg;
    d->fd = address_connect(&d->address, &d->error);
    loop_post(loop_main(), dial_done, d);
    return NULL;
}

static void dial_start(void *arg)
{
    Socket *s = arg;
    Dial *d = g_new0(Dial, 1);
    d->owner = s;
    d->address = s->address;
    d->address.path = g_strdup(s->address.path);
    d->address.host = g_strdup(s->address.host);
    d->address.port = g_strdup(s->address.port);
    s->dial = d;
    g_thread_unref(g_thread_new("chardev-dial", dial_thread, d));
}

static bool client_start(Socket *s, GError **error)
{
    if (s->reconnect_ms) {
        dial_start(s);
        return true;
    }
    int fd = address_connect(&s->address, error);
    if (fd < 0) {
        return false;
    }
    socket_connected(s, fd);
    return true;
}

/* ---- The kind ---- */

static bool take_reconnect(Socket *s, GHashTable *options, GError **error)
{
    uint64_t seconds = 0;
    if (!options_take_uint(options, "reconnect", 3600 * 24, &seconds, error)) {
        return false;
    }
    s->reconnect_ms = seconds * 1000;
    return options_take_uint(options, "reconnect-ms", UINT64_C(1000) * 3600 * 24, &s->reconnect_ms,
                             error);
}

static bool socket_options(Socket *s, GHashTable *options, GError **error)
{
    g_autofree char *what = g_strdup_printf("Chardev '%s'", s->base.id);
    bool delay = true, websocket = false;
    s->wait = true;
    bool wait_given = g_hash_table_contains(options, "wait");
    if (!options_take_bool(options, "server", &s->server, error) ||
        !options_take_bool(options, "wait", &s->wait, error) ||
        !options_take_bool(options, "telnet", &s->telnet, error) ||
        !options_take_bool(options, "websocket", &websocket, error) ||
        !options_take_bool(options, "nodelay", &s->nodelay, error) ||
        !options_take_bool(options, "delay", &delay, error) || !take_reconnect(s, options, error) ||
        !address_take(&s->address, options, what, error)) {
        return false;
    }
    s->nodelay = (s->nodelay || !delay) && s->address.kind == ADDRESS_INET;
    if (websocket) {
        return error_fail(
            error, "%s: this build has no websocket back end; use telnet=on or neither", what);
    }
    if (wait_given && !s->server) {
        return error_fail(error, "%s: 'wait' is for servers only (server=on)", what);
    }
    if (s->reconnect_ms && s->server) {
        return error_fail(error, "%s: 'reconnect' is for clients only (server=off)", what);
    }
    if (s->reconnect_ms && s->address.kind == ADDRESS_FD) {
        return error_fail(error, "%s: 'reconnect' does not work with 'fd'", what);
    }
    return true;
}

static void socket_close(Char *c);

static bool socket_open(Char *c, GHashTable *options, GError **error)
{
    Socket *s = (Socket *)c;
    s->listener = s->fd = -1;
    s->out = g_byte_array_new();
    s->fds = g_array_new(FALSE, FALSE, sizeof(int));
    timer_init(&s->redial, CLOCK_RT, dial_start, s);
    /* Left-over keys would be found after we may have waited for a client: look at them first. */
    if (!socket_options(s, options, error) || !options_finish(options, "chardev socket", error) ||
        !(s->server ? server_start(s, error) : client_start(s, error))) {
        socket_close(c);
        return false;
    }
    return true;
}

static void socket_close(Char *c)
{
    Socket *s = (Socket *)c;
    timer_off(&s->redial);
    if (s->dial) {
        s->dial->owner = NULL;
    }
    unwatch(&s->in_watch);
    unwatch(&s->out_watch);
    unwatch(&s->listen_watch);
    fds_drop(s);
    if (s->fd >= 0) {
        close(s->fd);
    }
    if (s->listener >= 0) {
        close(s->listener);
        if (s->address.kind == ADDRESS_UNIX && !s->address.abstract) {
            unlink(s->address.path);
        }
    }
    g_array_unref(s->fds);
    g_byte_array_unref(s->out);
    g_free(s->local);
    g_free(s->peer);
    address_clear(&s->address);
}

static char *socket_filename(const Char *c)
{
    const Socket *s = (const Socket *)c;
    const char *kind = s->telnet ? "telnet" : "tcp", *server = s->server ? ",server=on" : "";
    g_autofree char *text = address_text(&s->address);
    if (s->address.kind == ADDRESS_UNIX) {
        const char *space = !s->address.abstract ? ""
                            : s->address.tight   ? ",abstract=on,tight=on"
                                                 : ",abstract=on";
        return g_strdup_printf("%sunix:%s%s%s", s->fd < 0 ? "disconnected:" : "", text, space,
                               server);
    }
    if (s->fd >= 0 && *s->peer) {
        return g_strdup_printf("%s:%s%s <-> %s", kind, s->local, server, s->peer);
    }
    if (s->address.kind == ADDRESS_FD) {
        return g_strdup_printf("%s%s%s", s->fd < 0 ? "disconnected:" : "", text, server);
    }
    return g_strdup_printf("%s%s:%s%s", s->fd < 0 ? "disconnected:" : "", kind, text, server);
}

const CharClass char_socket = {
    .name = "socket",
    .size = sizeof(Socket),
    .open = socket_open,
    .close = socket_close,
    .write = socket_write,
    .accept = socket_accept,
    .take_fd = socket_take_fd,
    .filename = socket_filename,
};
