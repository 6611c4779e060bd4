/* Character back ends: flow control both ways, sockets and their clients, telnet, rings, files,
 * pseudo terminals. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "char/char.h"
#include "char/telnet.h"
#include "core/clock.h"
#include "core/loop.h"
#include "core/options.h"

static char *dir;

static void setup(void)
{
    loop_lock();
    loop_main();
    dir = g_dir_make_tmp("ostler-char-XXXXXX", NULL);
}

static void teardown(void)
{
    char_cleanup();
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
    g_free(dir);
    loop_unlock();
}

/* ---- A front end ---- */

typedef struct Front {
    GString *in;
    size_t room;
    unsigned opened, closed, breaks, writable;
} Front;

static size_t front_room(void *arg)
{
    return ((Front *)arg)->room;
}

static void front_receive(void *arg, const uint8_t *buf, size_t len)
{
    Front *f = arg;
    ck_assert_uint_le(len, f->room);
    f->room -= len;
    g_string_append_len(f->in, (const char *)buf, (gssize)len);
}

static void front_event(void *arg, CharEvent event)
{
    Front *f = arg;
    f->opened += event == CHAR_OPENED;
    f->closed += event == CHAR_CLOSED;
    f->breaks += event == CHAR_BREAK;
}

static void front_writable(void *arg)
{
    ((Front *)arg)->writable++;
}

static const CharUser front = {front_room, front_receive, front_event, front_writable};

static Front *attached(Char *c)
{
    Front *f = g_new0(Front, 1);
    f->in = g_string_new(NULL);
    f->room = 1 << 20;
    ck_assert(char_attach(c, &front, f, NULL));
    return f;
}

static void front_free(Char *c, Front *f)
{
    char_detach(c, f);
    g_string_free(f->in, TRUE);
    g_free(f);
}

static Char *made(const char *kind, const char *format, ...)
{
    GError *error = NULL;
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autoptr(GHashTable) options = options_parse(text, NULL, &error);
    Char *c = options ? char_new(kind, kind, options, &error) : NULL;
    ck_assert_msg(c, "%s", error ? error->message : "nothing");
    return c;
}

static void refused(const char *part, const char *kind, const char *text)
{
    GError *error = NULL;
    g_autoptr(GHashTable) options = options_parse(text, NULL, &error);
    ck_assert_ptr_null(char_new(kind, "refused", options, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error->message, part), "'%s' lacks '%s'", error->message, part);
    ck_assert_ptr_null(strchr(error->message, '\n'));
    g_error_free(error);
    ck_assert_ptr_null(char_find("refused"));
}

static void turn(unsigned rounds)
{
    while (rounds--) {
        loop_iterate(false);
    }
}

#define UNTIL(what)                                                                                \
    do {                                                                                           \
        int64_t end_ = clock_now(CLOCK_RT) + 10 * NS_PER_SECOND;                                   \
        while (!(what)) {                                                                          \
            ck_assert_msg(clock_now(CLOCK_RT) < end_, "never: " #what);                            \
            loop_iterate(false);                                                                   \
            g_usleep(200);                                                                         \
        }                                                                                          \
    } while (0)

/* ---- Clients of our servers ---- */

static int unix_client(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    ck_assert_int_eq(connect(fd, (void *)&un, sizeof(un)), 0);
    return fd;
}

static int tcp_client(const Char *c)
{
    g_autofree char *name = char_filename(c);
    int port = atoi(strrchr(name, ':') + 1);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (void *)&in, sizeof(in)), 0);
    return fd;
}

static void fd_expect(int fd, const char *bytes, size_t len)
{
    char buf[256];
    for (size_t got = 0; got < len;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        UNTIL(poll(&p, 1, 0) > 0);
        ssize_t n = read(fd, buf, MIN(sizeof(buf), len - got));
        ck_assert_int_gt(n, 0);
        ck_assert(!memcmp(buf, bytes + got, (size_t)n));
        got += (size_t)n;
    }
}

static void named(const Char *c, const char *expected)
{
    g_autofree char *name = char_filename(c);
    ck_assert_str_eq(name, expected);
}

START_TEST(unix_server)
{
    g_autofree char *path = g_build_filename(dir, "s", NULL);
    g_autofree char *away = g_strdup_printf("disconnected:unix:%s,server=on", path);
    g_autofree char *here = g_strdup_printf("unix:%s,server=on", path);
    Char *c = made("socket", "path=%s,server=on,wait=off", path);
    Front *f = attached(c);
    named(c, away);
    ck_assert(!char_is_open(c));
    ck_assert_uint_eq(char_write(c, "lost", 4), 4);
    /* Several clients, one after the other. */
    for (unsigned i = 1; i <= 3; i++) {
        int fd = unix_client(path);
        UNTIL(f->opened == i);
        named(c, here);
        ck_assert(char_is_open(c));
        ck_assert_uint_eq(char_write(c, "hello", 5), 5);
        fd_expect(fd, "hello", 5);
        ck_assert_int_eq(write(fd, "world", 5), 5);
        UNTIL(f->in->len == 5 * i);
        close(fd);
        UNTIL(f->closed == i);
        named(c, away);
    }
    ck_assert_str_eq(f->in->str, "worldworldworld");
    /* The second one waits while the first is there. */
    int one = unix_client(path), two = unix_client(path);
    UNTIL(f->opened == 4);
    ck_assert_int_eq(write(two, "2", 1), 1);
    turn(5);
    ck_assert_uint_eq(f->in->len, 15);
    close(one);
    UNTIL(f->in->len == 16);
    ck_assert_uint_eq(f->opened, 5);
    close(two);
    front_free(c, f);
    ck_assert(char_remove("socket", NULL));
    ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
}
END_TEST

START_TEST(flow_in)
{
    g_autofree char *path = g_build_filename(dir, "s", NULL);
    Char *c = made("socket", "path=%s,server=on,wait=off", path);
    Front *f = attached(c);
    f->room = 3;
    int fd = unix_client(path);
    ck_assert_int_eq(write(fd, "abcdefgh", 8), 8);
    UNTIL(f->in->len == 3);
    turn(5);
    ck_assert_str_eq(f->in->str, "abc");
    f->room = 2;
    char_accept(c);
    UNTIL(f->in->len == 5);
    turn(5);
    ck_assert_str_eq(f->in->str, "abcde");
    /* What was sent before hanging up still arrives, when there is room. */
    close(fd);
    turn(5);
    ck_assert_uint_eq(f->closed, 0);
    f->room = 100;
    char_accept(c);
    UNTIL(f->closed == 1);
    ck_assert_str_eq(f->in->str, "abcdefgh");
    /* A hang-up is noticed though nothing may be read. */
    fd = unix_client(path);
    UNTIL(f->opened == 2);
    f->room = 0;
    close(fd);
    UNTIL(f->closed == 2);
    front_free(c, f);
}
END_TEST

START_TEST(flow_out)
{
    g_autofree char *path = g_build_filename(dir, "s", NULL);
    Char *c = made("socket", "path=%s,server=on,wait=off", path);
    Front *f = attached(c);
    int fd = unix_client(path);
    UNTIL(f->opened == 1);
    size_t sent = 0, got = 0, n;
    uint8_t buf[10007];
    do {
        for (size_t i = 0; i < sizeof(buf); i++) {
            buf[i] = (uint8_t)((sent + i) % 251);
        }
        n = char_write(c, buf, sizeof(buf));
        sent += n;
    } while (n == sizeof(buf));
    ck_assert_uint_gt(sent, 10000);
    turn(5);
    ck_assert_uint_eq(f->writable, 0);
    /* A monitor's output is queued behind it, and others have to wait until it is out. */
    for (size_t i = 0; i < sizeof(buf); i++) {
        buf[i] = (uint8_t)((sent + i) % 251);
    }
    char_write_all(c, buf, sizeof(buf));
    sent += sizeof(buf);
    ck_assert_uint_eq(char_write(c, "x", 1), 0);
    while (got < sent) {
        ssize_t r = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (r < 0) {
            loop_iterate(false);
            continue;
        }
        for (ssize_t i = 0; i < r; i++, got++) {
            ck_assert_uint_eq(buf[i], got % 251);
        }
    }
    UNTIL(f->writable == 1);
    turn(3);
    ck_assert_uint_eq(f->writable, 1);
    ck_assert_uint_eq(char_write(c, "x", 1), 1);
    /* Who waits for room hears of it when the reader goes away. */
    while (char_write(c, buf, sizeof(buf)) == sizeof(buf)) {
    }
    close(fd);
    UNTIL(f->writable == 2);
    UNTIL(f->closed == 1);
    ck_assert_uint_eq(char_write(c, "lost", 4), 4);
    front_free(c, f);
}
END_TEST

START_TEST(descriptors)
{
    g_autofree char *path = g_build_filename(dir, "s", NULL);
    Char *c = made("socket", "path=%s,server=on,wait=off", path);
    Front *f = attached(c);
    int fd = unix_client(path), ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(char_take_fd(c), -1);
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec iov = {(char *)"!", 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    *CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(2 * sizeof(int))};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), ends, sizeof(ends));
    ck_assert_int_eq(sendmsg(fd, &msg, 0), 1);
    UNTIL(f->in->len == 1);
    int in = char_take_fd(c), out = char_take_fd(c);
    ck_assert_int_eq(char_take_fd(c), -1);
    ck_assert(fcntl(in, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(write(out, "p", 1), 1);
    char byte;
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    close(in), close(out), close(ends[0]), close(ends[1]), close(fd);
    front_free(c, f);
}
END_TEST

START_TEST(tcp_server)
{
    Char *c = made("socket", "host=127.0.0.1,port=0,server=on,wait=off,nodelay=on");
    Front *f = attached(c);
    g_autofree char *name = char_filename(c);
    ck_assert(g_str_has_prefix(name, "disconnected:tcp:127.0.0.1:"));
    ck_assert(g_str_has_suffix(name, ",server=on"));
    int fd = tcp_client(c);
    UNTIL(f->opened == 1);
    g_autofree char *connected = char_filename(c);
    ck_assert(g_str_has_prefix(connected, "tcp:127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(connected, ",server=on <-> 127.0.0.1:"));
    ck_assert_int_eq(write(fd, "x", 1), 1);
    UNTIL(f->in->len == 1);
    /* to=: the next free port */
    int port = atoi(strrchr(name, ':') + 1);
    g_autofree char *text =
        g_strdup_printf("tcp:127.0.0.1:%d,server,nowait,to=%d", port, port + 20);
    GError *error = NULL;
    Char *next = char_new_legacy("next", text, &error);
    ck_assert_msg(next, "%s", error ? error->message : "");
    g_autofree char *next_name = char_filename(next);
    ck_assert_int_gt(atoi(strrchr(next_name, ':') + 1), port);
    close(fd);
    front_free(c, f);
}
END_TEST

START_TEST(client_reconnects)
{
    g_autofree char *path = g_build_filename(dir, "s", NULL);
    Char *c = made("socket", "path=%s,reconnect-ms=10", path);
    Front *f = attached(c);
    ck_assert(!char_is_open(c));
    turn(10);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (void *)&un, sizeof(un)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    for (unsigned i = 1; i <= 2; i++) {
        UNTIL(f->opened == i);
        int fd = accept(listener, NULL, NULL);
        ck_assert_uint_eq(char_write(c, "hi", 2), 2);
        fd_expect(fd, "hi", 2);
        close(fd);
        UNTIL(f->closed == i);
    }
    front_free(c, f);
    ck_assert(char_remove("socket", NULL)); /* maybe in the middle of dialling */
    turn(10);
    g_usleep(20000);
    turn(10);
    close(listener);
}
END_TEST

START_TEST(inherited_and_abstract)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    Char *c = made("socket", "fd=%d", pair[0]);
    Front *f = attached(c);
    ck_assert_uint_eq(f->opened, 1);
    ck_assert_int_eq(write(pair[1], "fd", 2), 2);
    UNTIL(f->in->len == 2);
    front_free(c, f);
    ck_assert(char_remove("socket", NULL));
    g_autofree char *name = g_path_get_basename(dir);
    c = made("socket", "path=%s,abstract=on,server=on,wait=off", name);
    f = attached(c);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path + 1, name, strlen(name));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (void *)&un, (socklen_t)(sizeof(sa_family_t) + 1 + strlen(name))),
                     0);
    g_autofree char *filename = g_strdup_printf("unix:%s,abstract=on,tight=on,server=on", name);
    UNTIL(f->opened == 1);
    named(c, filename);
    close(fd);
    close(pair[1]);
    front_free(c, f);
}
END_TEST

static gpointer late_client(gpointer path)
{
    g_usleep(50000);
    int fd = unix_client(path);
    ck_assert_int_eq(write(fd, "late", 4), 4);
    return GINT_TO_POINTER(fd);
}

/* wait=on blocks before the machine starts, and only then. */
START_TEST(waits_at_start)
{
    g_autofree char *path = g_build_filename(dir, "s", NULL);
    g_autoptr(GHashTable) options = options_new();
    options_set(options, "path", path);
    options_set(options, "server", "on");
    /* The client may only call when the socket is there. */
    GThread *thread = g_thread_new("client", late_client, path);
    Char *c = char_new("socket", "first", options, NULL);
    ck_assert(char_is_open(c));
    Front *f = attached(c);
    ck_assert_uint_eq(f->opened, 1);
    UNTIL(f->in->len == 4);
    close(GPOINTER_TO_INT(g_thread_join(thread)));
    UNTIL(f->closed == 1);
    front_free(c, f);
    ck_assert(char_remove("first", NULL));
    char_started();
    c = char_new("socket", "second", options, NULL);
    ck_assert(c && !char_is_open(c));
}
END_TEST

START_TEST(bad_options)
{
    refused("server=on", "socket", "path=/x,wait=off");
    refused("clients only", "socket", "path=/x,server=on,wait=off,reconnect=1");
    refused("path=", "socket", "server=on");
    refused("only one of", "socket", "path=/x,host=a,port=1");
    refused("fd=77", "socket", "fd=77");
    refused("websocket", "socket", "path=/x,websocket=on");
    refused("too long", "socket",
            "path=/"
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
            "7890123456"
            "7890123456789012345678901234567890");
    refused("Connection refused", "socket", "host=127.0.0.1,port=1");
    refused("'bogus'", "socket", "path=/x,server=on,wait=off,bogus=1");
    refused("'bogus'", "null", "bogus=1");
    refused("no back end 'msmouse'", "msmouse", "");
    refused("not a back end", "tin-can", "");
    refused("path=", "file", "");
    refused("/nonexistent/x", "file", "path=/nonexistent/x");
    refused("/nonexistent/x", "pipe", "path=/nonexistent/x");
    refused("/nonexistent/x", "serial", "path=/nonexistent/x");
    refused("not a serial line", "serial", "path=/dev/null");
    refused("power of two", "ringbuf", "size=100");
    refused("power of two", "ringbuf", "size=0");
    refused("port", "udp", "host=localhost");
    refused("log file", "null", "logfile=/nonexistent/x");
}
END_TEST

/* ---- Telnet ---- */

START_TEST(telnet_server)
{
    Char *c = made("socket", "host=127.0.0.1,port=0,server=on,wait=off,telnet=on");
    Front *f = attached(c);
    int fd = tcp_client(c);
    UNTIL(f->opened == 1);
    fd_expect(fd, (const char *)telnet_hello, sizeof(telnet_hello));
    static const char talk[] =
        "\377\375\001\377\375\003"                  /* DO ECHO, DO SGA */
        "ab\r\000c"                                 /* CR NUL is CR */
        "\377\377"                                  /* one byte 255 */
        "\377\372\030\000xterm\377\377\377\360"     /* a subnegotiation with 255 inside */
        "\377\363"                                  /* BREAK */
        "\377\373\000\r\000d";                      /* WILL BINARY: now NUL is data */
    for (size_t i = 0; i < sizeof(talk) - 1; i++) { /* in the smallest pieces */
        ck_assert_int_eq(write(fd, talk + i, 1), 1);
        turn(3);
    }
    UNTIL(f->in->len == 8);
    ck_assert(!memcmp(f->in->str, "ab\rc\377\r\000d", 8));
    ck_assert_uint_eq(f->breaks, 1);
    ck_assert_uint_eq(char_write(c, "x\377y", 3), 3);
    fd_expect(fd, "x\377\377y", 4);
    g_autofree char *name = char_filename(c);
    ck_assert(g_str_has_prefix(name, "telnet:127.0.0.1:"));
    /* Much of it, against a slow reader: nothing is lost or doubled. */
    uint8_t buf[8192];
    size_t sent = 0, got = 0;
    memset(buf, 255, sizeof(buf));
    for (size_t n; (n = char_write(c, buf, sizeof(buf))) == sizeof(buf); sent += n) {
    }
    sent += sizeof(buf);
    char_write_all(c, buf, sizeof(buf));
    char_write_all(c, "end", 3);
    while (got < 3 || memcmp(buf, "end", 3)) {
        ssize_t r = recv(fd, buf, 255, MSG_DONTWAIT);
        if (r > 0) {
            got += (size_t)r;
            if (r >= 3) {
                memmove(buf, buf + r - 3, 3);
            }
        }
        loop_iterate(false);
    }
    ck_assert_uint_eq((got - 3) % 2, 0);
    ck_assert_uint_ge(got - 3, 2 * sent);
    close(fd);
    front_free(c, f);
}
END_TEST

/* ---- Rings, files, pipes ---- */

START_TEST(ring)
{
    Char *c = made("ringbuf", "size=8");
    uint8_t buf[64] = {0};
    ck_assert(char_is_ringbuf(c) && char_is_open(c));
    named(c, "ringbuf");
    ck_assert_uint_eq(char_ringbuf_read(c, buf, sizeof(buf)), 0);
    ck_assert_uint_eq(char_write(c, "abc", 3), 3);
    ck_assert_uint_eq(char_ringbuf_count(c), 3);
    ck_assert_uint_eq(char_ringbuf_read(c, buf, 2), 2);
    ck_assert(!memcmp(buf, "ab", 2));
    ck_assert_uint_eq(char_write(c, "0123456789ABCDEF", 16), 16); /* the oldest go */
    ck_assert_uint_eq(char_ringbuf_count(c), 8);
    ck_assert_uint_eq(char_ringbuf_read(c, buf, sizeof(buf)), 8);
    ck_assert(!memcmp(buf, "89ABCDEF", 8));
    ck_assert_uint_eq(char_ringbuf_count(c), 0);
    Char *null = made("null", "logfile=%s/log", dir);
    ck_assert(!char_is_ringbuf(null));
    ck_assert_uint_eq(char_ringbuf_read(null, buf, 8), 0);
}
END_TEST

static void file_holds(const char *name, const char *expected)
{
    g_autofree char *path = g_build_filename(dir, name, NULL), *text = NULL;
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    ck_assert_str_eq(text, expected);
}

START_TEST(files_and_logs)
{
    Char *c = made("file", "path=%s/out,logfile=%s/log", dir, dir);
    ck_assert_uint_eq(char_write(c, "one", 3), 3);
    char_write_all(c, "two", 3);
    named(c, "file");
    ck_assert(char_remove("file", NULL));
    file_holds("out", "onetwo");
    file_holds("log", "onetwo");
    c = made("file", "path=%s/out,append=on,logfile=%s/log,logappend=on", dir, dir);
    char_write(c, "three", 5);
    ck_assert(char_remove("file", NULL));
    file_holds("out", "onetwothree");
    file_holds("log", "onetwothree");
    c = made("file", "path=%s/out,input-path=%s/log", dir, dir);
    Front *f = attached(c);
    UNTIL(f->closed == 1);
    ck_assert_str_eq(f->in->str, "onetwothree");
    ck_assert_uint_eq(char_write(c, "out still works", 15), 15);
    front_free(c, f);
    ck_assert(char_remove("file", NULL));
    file_holds("out", "out still works");
}
END_TEST

START_TEST(pipes)
{
    g_autofree char *in = g_build_filename(dir, "p.in", NULL),
                    *out = g_build_filename(dir, "p.out", NULL);
    ck_assert_int_eq(mkfifo(in, 0600), 0);
    ck_assert_int_eq(mkfifo(out, 0600), 0);
    Char *c = made("pipe", "path=%s/p", dir);
    Front *f = attached(c);
    int w = open(in, O_WRONLY), r = open(out, O_RDONLY);
    ck_assert_int_eq(write(w, "in", 2), 2);
    UNTIL(f->in->len == 2);
    ck_assert_uint_eq(char_write(c, "out", 3), 3);
    fd_expect(r, "out", 3);
    close(w);
    w = open(in, O_WRONLY); /* the next writer */
    ck_assert_int_eq(write(w, "!", 1), 1);
    UNTIL(f->in->len == 3);
    ck_assert_uint_eq(f->closed, 0);
    close(w), close(r);
    front_free(c, f);
}
END_TEST

START_TEST(pseudo_terminal)
{
    Char *c = made("pty", "path=%s/tty", dir);
    Front *f = attached(c);
    g_autofree char *name = char_filename(c), *link = g_build_filename(dir, "tty", NULL);
    ck_assert(g_str_has_prefix(name, "pty:/dev/pts/"));
    ck_assert(!char_is_open(c));
    ck_assert_uint_eq(char_write(c, "nobody hears this", 17), 17);
    turn(5);
    for (unsigned i = 1; i <= 3; i++) {
        int fd = open(i == 2 ? link : name + 4, O_RDWR | O_NOCTTY);
        ck_assert_int_ge(fd, 0);
        UNTIL(f->opened == i);
        ck_assert_uint_eq(char_write(c, "hello\n", 6), 6);
        fd_expect(fd, "hello\n", 6); /* raw: no CR is added, nothing is echoed */
        ck_assert_int_eq(write(fd, "\003\n\000x", 4), 4);
        UNTIL(f->in->len == 4 * i);
        close(fd);
        UNTIL(f->closed == i);
        ck_assert(!char_is_open(c));
    }
    ck_assert(!memcmp(f->in->str, "\003\n\000x\003\n", 6));
    front_free(c, f);
    ck_assert(char_remove("pty", NULL));
    ck_assert(!g_file_test(link, G_FILE_TEST_IS_SYMLINK));
}
END_TEST

START_TEST(host_serial_line)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert(!grantpt(master) && !unlockpt(master));
    Char *c = made("serial", "path=%s", ptsname(master));
    Front *f = attached(c);
    ck_assert_uint_eq(char_write(c, "AT\n", 3), 3);
    fd_expect(master, "AT\n", 3);
    ck_assert_int_eq(write(master, "OK\r", 3), 3);
    UNTIL(f->in->len == 3);
    ck_assert_str_eq(f->in->str, "OK\r");
    struct termios t;
    char_set_line(c, &(CharLine){.baud = 9600, .data_bits = 7, .stop_bits = 2, .parity = 'E'});
    ck_assert_int_eq(tcgetattr(master, &t), 0);
    ck_assert_uint_eq(cfgetospeed(&t), B9600);
    ck_assert_uint_eq(t.c_cflag & (CSTOPB | PARODD), CSTOPB);
    /* A pseudo terminal has no modem lines: always ready. */
    ck_assert_uint_eq(char_modem_get(c), CHAR_TIOCM_CTS | CHAR_TIOCM_DSR | CHAR_TIOCM_CAR);
    char_modem_set(c, CHAR_TIOCM_DTR);
    front_free(c, f);
    ck_assert(char_remove("serial", NULL));
    close(master);
}
END_TEST

START_TEST(datagrams)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int peer = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(peer, (void *)&in, sizeof(in)), 0);
    ck_assert_int_eq(getsockname(peer, (void *)&in, &len), 0);
    Char *c =
        made("udp", "host=127.0.0.1,port=%d,localaddr=127.0.0.1,localport=0", ntohs(in.sin_port));
    Front *f = attached(c);
    f->room = 4;
    ck_assert_uint_eq(char_write(c, "ping", 4), 4);
    char buf[16];
    struct sockaddr_in from;
    len = sizeof(from);
    ck_assert_int_eq(recvfrom(peer, buf, sizeof(buf), 0, (void *)&from, &len), 4);
    ck_assert_int_eq(sendto(peer, "pong-pong", 9, 0, (void *)&from, len), 9);
    UNTIL(f->in->len == 4);
    turn(3);
    f->room = 100;
    char_accept(c); /* the rest of the packet was kept */
    ck_assert_str_eq(f->in->str, "pong-pong");
    close(peer);
    front_free(c, f);
}
END_TEST

/* ---- Names and texts ---- */

START_TEST(in_use)
{
    Char *c = made("null", "");
    Front *f = attached(c);
    GError *error = NULL;
    int other;
    ck_assert_uint_eq(f->opened, 1);
    ck_assert(!char_attach(c, &front, &other, &error));
    ck_assert_ptr_nonnull(error);
    g_clear_error(&error);
    ck_assert(!char_remove("null", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "busy"));
    g_clear_error(&error);
    char_detach(c, &other);
    ck_assert(char_attached(c));
    g_autoptr(GHashTable) none = options_new();
    ck_assert_ptr_null(char_new("null", "null", none, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "exists"));
    g_clear_error(&error);
    front_free(c, f);
    ck_assert(char_remove("null", NULL));
    ck_assert(!char_remove("null", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "not found"));
    g_error_free(error);
    ck_assert_uint_eq(char_write(NULL, "x", 1), 1);
    char_accept(NULL);
    ck_assert_uint_eq(char_modem_get(NULL), CHAR_TIOCM_CTS | CHAR_TIOCM_DSR | CHAR_TIOCM_CAR);
}
END_TEST

static Char *monitored;
static void want_monitor(Char *c)
{
    monitored = c;
}

static void spelled(const char *text, const char *filename)
{
    GError *error = NULL;
    Char *c = char_new_legacy("serial0", text, &error);
    ck_assert_msg(c, "%s: %s", text, error ? error->message : "");
    g_autofree char *name = char_filename(c);
    ck_assert_msg(!strncmp(name, filename, strlen(filename)), "%s: %s", text, name);
    char_free(c);
}

START_TEST(old_spellings)
{
    GError *error = NULL;
    char text[256];
    ck_assert_ptr_null(char_new_legacy("serial0", "none", &error));
    ck_assert_ptr_null(error);
    spelled("null", "null");
    spelled("vc", "vc");
    spelled("vc:80Cx24C", "vc");
    spelled("pty", "pty:/dev/pts/");
    g_snprintf(text, sizeof(text), "file:%s/a,b=c", dir); /* commas belong to the name here */
    spelled(text, "file");
    file_holds("a,b=c", "");
    g_snprintf(text, sizeof(text), "unix:%s/s,server,nowait", dir);
    spelled(text, "disconnected:unix:/");
    g_snprintf(text, sizeof(text), "unix:%s/s=1,server=on,wait=off", dir);
    spelled(text, "disconnected:unix:/");
    spelled("tcp:127.0.0.1:0,server,nowait,nodelay", "disconnected:tcp:127.0.0.1:");
    spelled("tcp::0,server=on,wait=off,ipv4=on", "disconnected:tcp:0.0.0.0:");
    spelled("telnet:127.0.0.1:0,server,nowait", "disconnected:telnet:127.0.0.1:");
    spelled("telnet:[::1]:0,server,nowait", "disconnected:telnet:[::1]:");
    spelled("udp:127.0.0.1:4000@127.0.0.1:0", "udp");
    spelled("udp::4000", "udp");
}
END_TEST

START_TEST(old_spellings_refused)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"tin-can", "'tin-can' is not a character device"},
        {"tcp:localhost", "HOST:PORT"},
        {"tcp:[::1", "ADDRESS"},
        {"tcp:localhost:", "names no port"},
        {"tcp:127.0.0.1:0,=x,server", "key=value"},
        {"telnet:127.0.0.1:0,server,nowait,bogus=1", "'bogus'"},
        {"chardev:nix", "\"nix\" not found"},
        {"vc:80", "vc:WIDTHxHEIGHT"},
        {"msmouse", "msmouse"},
        {"file:/nonexistent/x", "/nonexistent/x"},
        {"", "not a character device"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        ck_assert_ptr_null(char_new_legacy("serial0", cases[i].text, &error));
        ck_assert_msg(error && strstr(error->message, cases[i].part), "%s: %s", cases[i].text,
                      error ? error->message : "no error");
        g_error_free(error);
    }
}
END_TEST

START_TEST(named_and_monitored)
{
    GError *error = NULL;
    Char *null = made("null", "");
    ck_assert_ptr_eq(char_new_legacy("serial0", "chardev:null", &error), null);
    char_hooks.monitor = want_monitor;
    Char *c = char_new_legacy("serial0", "mon:null", &error);
    ck_assert_ptr_eq(monitored, c);
    named(c, "mux");
    ck_assert_ptr_nonnull(char_find("serial0-base"));
    char_free(c);
    ck_assert_ptr_null(char_find("serial0-base"));
}
END_TEST

/* ---- Standard input and output ---- */

START_TEST(standard_streams)
{
    int in[2], out[2], saved_in = dup(0), saved_out = dup(1);
    ck_assert(!pipe(in) && !pipe(out));
    dup2(in[0], 0);
    dup2(out[1], 1);
    int flags = fcntl(1, F_GETFL);
    Char *c = made("stdio", "signal=off");
    Front *f = attached(c);
    GError *error = NULL;
    ck_assert_int_eq(fcntl(1, F_GETFL), flags); /* others who have it keep a blocking pipe */
    ck_assert_ptr_null(char_new_legacy("second", "stdio", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "in use"));
    g_clear_error(&error);
    ck_assert_int_eq(write(in[1], "typed", 5), 5);
    UNTIL(f->in->len == 5);
    char buf[4096];
    size_t sent = 0, n;
    memset(buf, 'x', sizeof(buf));
    while ((n = char_write(c, buf, sizeof(buf))) ==
           sizeof(buf)) { /* a full pipe does not block us */
        sent += n;
    }
    sent += n;
    for (size_t got = 0; got < sent;) {
        got += (size_t)read(out[0], buf, sizeof(buf));
    }
    UNTIL(f->writable == 1);
    close(in[1]);
    dup2(saved_in, 0);
    close(in[0]);
    front_free(c, f);
    ck_assert(char_remove("stdio", NULL));
    c = made("stdio", ""); /* free again */
    dup2(saved_out, 1);
    close(out[0]), close(out[1]);
}
END_TEST

START_TEST(standard_terminal)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert(!grantpt(master) && !unlockpt(master));
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY), saved_in = dup(0), saved_out = dup(1);
    struct termios before, now;
    ck_assert_int_eq(tcgetattr(slave, &before), 0);
    dup2(slave, 0);
    dup2(slave, 1);
    made("stdio", "signal=off");
    ck_assert_int_eq(tcgetattr(slave, &now), 0);
    ck_assert_uint_eq(now.c_lflag & (ECHO | ICANON | ISIG), 0);
    ck_assert_uint_eq(now.c_iflag & (ICRNL | IXON), 0);
    /* Stopped from the keyboard of a shell that gave it other settings, and continued. */
    ck_assert_int_eq(tcsetattr(slave, TCSANOW, &before), 0);
    raise(SIGCONT);
    ck_assert_int_eq(tcgetattr(slave, &now), 0);
    ck_assert_uint_eq(now.c_lflag & (ECHO | ICANON | ISIG), 0);
    char_cleanup();
    ck_assert_int_eq(tcgetattr(slave, &now), 0);
    ck_assert_uint_eq(now.c_lflag, before.c_lflag);
    ck_assert_uint_eq(now.c_iflag, before.c_iflag);
    dup2(saved_in, 0);
    dup2(saved_out, 1);
    close(slave), close(master);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        unix_server,
        waits_at_start,
        flow_in,
        flow_out,
        descriptors,
        tcp_server,
        client_reconnects,
        inherited_and_abstract,
        bad_options,
        telnet_server,
        ring,
        files_and_logs,
        pipes,
        pseudo_terminal,
        host_serial_line,
        datagrams,
        in_use,
        old_spellings,
        old_spellings_refused,
        named_and_monitored,
        standard_streams,
        standard_terminal,
    };
    Suite *suite = suite_create("char");
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
