/* Datagrams: each write is one packet to host:port, each packet that comes in is input. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

enum { PACKET_MAX = 65536 };

typedef struct Udp {
    Char base;
    int fd;
    Watch *watch;
    uint8_t *packet; /* the last one; what of it was not taken yet follows */
    size_t at, len;
} Udp;

static void udp_deliver(Udp *u)
{
    while (u->at < u->len) {
        size_t n = MIN(char_can_receive(&u->base), u->len - u->at);
        if (!n) {
            break;
        }
        size_t at = u->at;
        u->at += n;
        char_receive(&u->base, u->packet + at, n);
    }
}

static void in_ready(void *arg, short revents)
{
    Udp *u = arg;
    (void)revents;
    udp_deliver(u);
    if (u->at < u->len || !char_can_receive(&u->base)) {
        loop_unwatch(u->watch); /* char_accept puts it back */
        u->watch = NULL;
        return;
    }
    ssize_t n = recv(u->fd, u->packet, PACKET_MAX, MSG_DONTWAIT);
    u->at = 0;
    u->len = n > 0 ? (size_t)n : 0; /* errors are answers to packets that nobody wanted */
    udp_deliver(u);
}

static void udp_accept(Char *c)
{
    Udp *u = (Udp *)c;
    udp_deliver(u);
    if (!u->watch && char_can_receive(c)) {
        u->watch = loop_watch(loop_main(), u->fd, POLLIN, in_ready, u);
    }
}

static size_t udp_write(Char *c, const uint8_t *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t n = MIN(len - done, 1472); /* no fragments on an Ethernet */
        send(((Udp *)c)->fd, buf + done, n,
             MSG_DONTWAIT | MSG_NOSIGNAL); /* may get lost, as datagrams do */
        done += n;
    }
    return len;
}

static struct addrinfo *resolve(const char *host, const char *port, int family, int flags,
                                const char *id, GError **error)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    int result = getaddrinfo(host, port, &hints, &list);
    if (result) {
        error_fail(error, "Chardev '%s': address resolution failed for %s:%s: %s", id,
                   host ? host : "", port, gai_strerror(result));
    }
    return result ? NULL : list;
}

static bool udp_connect(Udp *u, const char *host, const char *port, const char *local_host,
                        const char *local_port, int family, GError **error)
{
    const char *id = u->base.id;
    struct addrinfo *local = NULL,
                    *peer = resolve(host ? host : "localhost", port, family, 0, id, error);
    bool ok = false;
    if (!peer) {
        return false;
    }
    if (local_host || local_port) {
        local = resolve(local_host, local_port ? local_port : "0", peer->ai_family, AI_PASSIVE, id,
                        error);
        if (!local) {
            goto out;
        }
    }
    int on = 1;
    u->fd = socket(peer->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (u->fd >= 0) {
        setsockopt(u->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    ok = u->fd >= 0 && (!local || !bind(u->fd, local->ai_addr, local->ai_addrlen)) &&
         !connect(u->fd, peer->ai_addr, peer->ai_addrlen);
    if (!ok) {
        error_fail_errno(error, errno, "Chardev '%s': cannot set up udp:%s:%s", id,
                         host ? host : "", port);
    }
out:
    freeaddrinfo(peer);
    if (local) {
        freeaddrinfo(local);
    }
    return ok;
}

static void udp_close(Char *c)
{
    Udp *u = (Udp *)c;
    if (u->watch) {
        loop_unwatch(u->watch);
    }
    if (u->fd >= 0) {
        close(u->fd);
    }
    g_free(u->packet);
}

static bool udp_open(Char *c, GHashTable *options, GError **error)
{
    Udp *u = (Udp *)c;
    bool v4 = false, v6 = false;
    g_autofree char *host = options_take(options, "host"), *port = options_take(options, "port");
    g_autofree char *local_host = options_take(options, "localaddr");
    g_autofree char *local_port = options_take(options, "localport");
    u->fd = -1;
    if (!options_take_bool(options, "ipv4", &v4, error) ||
        !options_take_bool(options, "ipv6", &v6, error)) {
        return false;
    }
    if (!port || !*port || !strcmp(port, "0")) {
        return error_fail(error, "chardev: udp: remote port not specified (port=)");
    }
    if (!udp_connect(u, host, port, local_host, local_port,
                     v4 == v6 ? AF_UNSPEC
                     : v4     ? AF_INET
                              : AF_INET6,
                     error)) {
        udp_close(c);
        return false;
    }
    u->packet = g_malloc(PACKET_MAX);
    c->open = true;
    return true;
}

const CharClass char_udp = {
    .name = "udp",
    .size = sizeof(Udp),
    .open = udp_open,
    .close = udp_close,
    .write = udp_write,
    .accept = udp_accept,
};
