#include "char/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"
#include "core/options.h"

static bool family_take(Address *a, GHashTable *options, GError **error)
{
    int v4 = -1, v6 = -1; /* not said */
    for (int i = 0; i < 2; i++) {
        const char *key = i ? "ipv6" : "ipv4";
        bool on = false, given = g_hash_table_contains(options, key);
        if (!options_take_bool(options, key, &on, error)) {
            return false;
        }
        *(i ? &v6 : &v4) = given ? on : -1;
    }
    if (v4 == 0 && v6 == 0) {
        return error_fail(error, "ipv4=off and ipv6=off leave no address family");
    }
    if (v6 == 0 || (v4 == 1 && v6 == -1)) {
        a->family = AF_INET;
    } else if (v4 == 0 || (v6 == 1 && v4 == -1)) {
        a->family = AF_INET6;
    } else {
        a->family = AF_UNSPEC;
    }
    return true;
}

static bool unix_take(Address *a, GHashTable *options, const char *what, GError **error)
{
    a->tight = true;
    if (!options_take_bool(options, "abstract", &a->abstract, error) ||
        !options_take_bool(options, "tight", &a->tight, error)) {
        return false;
    }
    if (strlen(a->path) + a->abstract >
        sizeof(((struct sockaddr_un *)0)->sun_path) - !a->abstract) {
        return error_fail(error, "%s: socket path '%s' is too long (at most %zu bytes)", what,
                          a->path, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    }
    return true;
}

bool address_take(Address *a, GHashTable *options, const char *what, GError **error)
{
    g_autofree char *fd = options_take(options, "fd");
    a->fd = -1;
    a->path = options_take(options, "path");
    a->host = options_take(options, "host");
    a->port = options_take(options, "port");
    if (!!a->path + !!fd + (a->host || a->port) > 1) {
        return error_fail(error, "%s: only one of path=, host= with port=, and fd= may be given",
                          what);
    }
    if (a->path) {
        a->kind = ADDRESS_UNIX;
        return unix_take(a, options, what, error);
    }
    if (fd) {
        char *end;
        a->kind = ADDRESS_FD;
        a->fd = (int)strtol(fd, &end, 10);
        if (!g_ascii_isdigit(*fd) || *end || fcntl(a->fd, F_GETFD) < 0) {
            return error_fail(error, "%s: fd=%s is not an open descriptor", what, fd);
        }
        return true;
    }
    a->kind = ADDRESS_INET;
    if (!a->port) {
        return error_fail(error, "%s: give path=, or host= and port=, or fd=", what);
    }
    return options_take_uint(options, "to", 65535, &a->to, error) && family_take(a, options, error);
}

void address_clear(Address *a)
{
    g_clear_pointer(&a->path, g_free);
    g_clear_pointer(&a->host, g_free);
    g_clear_pointer(&a->port, g_free);
}

/* ---- unix ---- */

static socklen_t unix_name(const Address *a, struct sockaddr_un *un)
{
    size_t len = strlen(a->path);
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + a->abstract, a->path, len);
    if (a->abstract && a->tight) {
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    }
    return sizeof(*un);
}

static int unix_socket(const Address *a, bool server, GError **error)
{
    struct sockaddr_un un;
    socklen_t len = unix_name(a, &un);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_fail_errno(error, errno, "cannot create a unix socket");
        return -1;
    }
    if (server && !a->abstract) {
        unlink(a->path); /* left over from an earlier run */
    }
    if (server ? bind(fd, (void *)&un, len) || listen(fd, 1) : connect(fd, (void *)&un, len)) {
        error_fail_errno(error, errno,
                         server ? "Failed to bind socket to %s" : "Failed to connect to '%s'",
                         a->path);
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- inet ---- */

static struct addrinfo *resolve(const Address *a, bool server, GError **error)
{
    struct addrinfo hints = {
        .ai_family = a->family, .ai_socktype = SOCK_STREAM, .ai_flags = server ? AI_PASSIVE : 0};
    struct addrinfo *list = NULL;
    const char *host = a->host && *a->host ? a->host : NULL;
    int result = getaddrinfo(host, a->port, &hints, &list);
    if (result) {
        error_fail(error, "address resolution failed for %s:%s: %s", host ? host : "", a->port,
                   gai_strerror(result));
        return NULL;
    }
    return list;
}

static int listen_one(const Address *a, const struct addrinfo *ai, unsigned port)
{
    int on = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (ai->ai_family == AF_INET6) { /* IPv4 too when the family was left open */
        int only = a->family == AF_INET6;
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    struct sockaddr_storage name;
    memcpy(&name, ai->ai_addr, ai->ai_addrlen);
    /* sin_port and sin6_port lie at the same place */
    ((struct sockaddr_in *)&name)->sin_port = htons((uint16_t)port);
    if (bind(fd, (void *)&name, ai->ai_addrlen) || listen(fd, 1)) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

static unsigned addrinfo_port(const struct addrinfo *ai)
{
    return ntohs(((const struct sockaddr_in *)ai->ai_addr)->sin_port);
}

static int inet_listen(Address *a, GError **error)
{
    struct addrinfo *list = resolve(a, true, error);
    int fd = -1, code = 0;
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        unsigned first = addrinfo_port(ai), last = a->to > first ? (unsigned)a->to : first;
        for (unsigned port = first; port <= last && fd < 0; port++) {
            fd = listen_one(a, ai, port);
            code = errno;
        }
    }
    if (fd < 0 && list) {
        g_autofree char *text = address_text(a);
        error_fail_errno(error, code, "Failed to find an available port for %s", text);
    }
    if (list) {
        freeaddrinfo(list);
    }
    return fd;
}

static int inet_connect(const Address *a, GError **error)
{
    struct addrinfo *list = resolve(a, false, error);
    int fd = -1, code = 0;
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen)) {
            code = errno;
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0 && list) {
        g_autofree char *text = address_text(a);
        error_fail_errno(error, code, "Failed to connect to '%s'", text);
    }
    if (list) {
        freeaddrinfo(list);
    }
    return fd;
}

/* ---- both ---- */

static char *name_text(const struct sockaddr_storage *name, socklen_t len)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (name->ss_family == AF_UNIX || getnameinfo((const void *)name, len, host, sizeof(host), port,
                                                  sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV)) {
        return g_strdup("");
    }
    return g_strdup_printf(name->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

char *address_local(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    return getsockname(fd, (void *)&name, &len) ? g_strdup("") : name_text(&name, len);
}

char *address_peer(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    return getpeername(fd, (void *)&name, &len) ? g_strdup("") : name_text(&name, len);
}

char *address_text(const Address *a)
{
    switch (a->kind) {
    case ADDRESS_UNIX: return g_strdup(a->path);
    case ADDRESS_FD: return g_strdup_printf("fd:%d", a->fd);
    default:
        return g_strdup_printf(a->host && strchr(a->host, ':') ? "[%s]:%s" : "%s:%s",
                               a->host ? a->host : "", a->port);
    }
}

/* The port that a listener really has (port=0, to=). */
static void port_found(Address *a, int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (!getsockname(fd, (void *)&name, &len) &&
        !getnameinfo((void *)&name, len, host, sizeof(host), port, sizeof(port),
                     NI_NUMERICHOST | NI_NUMERICSERV)) {
        g_free(a->host);
        g_free(a->port);
        a->host = g_strdup(host);
        a->port = g_strdup(port);
    }
}

int address_listen(Address *a, GError **error)
{
    int fd = -1;
    switch (a->kind) {
    case ADDRESS_UNIX: fd = unix_socket(a, true, error); break;
    case ADDRESS_INET: fd = inet_listen(a, error); break;
    case ADDRESS_FD: {
        int listening = 0;
        socklen_t len = sizeof(listening);
        if (getsockopt(a->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) || !listening) {
            error_fail(error, "fd=%d is not a listening socket, as server=on needs", a->fd);
            return -1;
        }
        fd = a->fd;
        break;
    }
    }
    if (fd >= 0) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        if (a->kind == ADDRESS_INET) {
            port_found(a, fd);
        }
    }
    return fd;
}

int address_connect(const Address *a, GError **error)
{
    switch (a->kind) {
    case ADDRESS_UNIX: return unix_socket(a, false, error);
    case ADDRESS_INET: return inet_connect(a, error);
    default: return a->fd;
    }
}
