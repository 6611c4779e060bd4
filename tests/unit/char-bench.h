/* What the tests of character back ends share: a front end, making back ends, waiting for things to happen. */
#ifndef TESTS_UNIT_CHAR_BENCH_H
#define TESTS_UNIT_CHAR_BENCH_H

#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "char/char.h"
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

G_GNUC_UNUSED static Front *attached(Char *c)
{
    Front *f = g_new0(Front, 1);
    f->in = g_string_new(NULL);
    f->room = 1 << 20;
    ck_assert(char_attach(c, &front, f, NULL));
    return f;
}

G_GNUC_UNUSED static void front_free(Char *c, Front *f)
{
    char_detach(c, f);
    g_string_free(f->in, TRUE);
    g_free(f);
}

G_GNUC_UNUSED static Char *made(const char *kind, const char *format, ...)
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

G_GNUC_UNUSED static void refused(const char *part, const char *kind, const char *text)
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

G_GNUC_UNUSED static void turn(unsigned rounds)
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

G_GNUC_UNUSED static int unix_client(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    ck_assert_int_eq(connect(fd, (void *)&un, sizeof(un)), 0);
    return fd;
}

G_GNUC_UNUSED static void fd_expect(int fd, const char *bytes, size_t len)
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

G_GNUC_UNUSED static void named(const Char *c, const char *expected)
{
    g_autofree char *name = char_filename(c);
    ck_assert_str_eq(name, expected);
}

static int char_bench_main(const char *name, const TTest **tests, size_t n)
{
    Suite *suite = suite_create(name);
    for (size_t i = 0; i < n; i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 120);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
