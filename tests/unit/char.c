/* Character back ends without a network: options, rings, files, pipes, terminals, the old
 * spellings. */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/stat.h>
#include <termios.h>

#include "tests/unit/char-bench.h"

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
    const TTest *tests[] = {bad_options,         ring,
                            files_and_logs,      pipes,
                            pseudo_terminal,     host_serial_line,
                            datagrams,           in_use,
                            old_spellings,       old_spellings_refused,
                            named_and_monitored, standard_streams,
                            standard_terminal};
    return char_bench_main("char", tests, G_N_ELEMENTS(tests));
}
