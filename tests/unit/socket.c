/* Socket back ends: clients that come and go, flow control both ways, descriptors, reconnecting,
 * telnet. */
#include <fcntl.h>
#include <netinet/in.h>

#include "tests/unit/char-bench.h"

#include "char/telnet.h"

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

int main(void)
{
    const TTest *tests[] = {unix_server,  waits_at_start, flow_in,           flow_out,
                            descriptors,  tcp_server,     client_reconnects, inherited_and_abstract,
                            telnet_server};
    return char_bench_main("socket", tests, G_N_ELEMENTS(tests));
}
