/* The multiplexer: focus, the escape key, queues for those who do not read, output of all,
 * timestamps. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "char/char.h"
#include "core/loop.h"
#include "core/options.h"
#include "core/runstate.h"

typedef struct Front {
    GString *in;
    size_t room;
    unsigned ins, outs, breaks, opened, closed, writable;
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
    f->ins += event == CHAR_MUX_IN;
    f->outs += event == CHAR_MUX_OUT;
    f->breaks += event == CHAR_BREAK;
    f->opened += event == CHAR_OPENED;
    f->closed += event == CHAR_CLOSED;
}

static void front_writable(void *arg)
{
    ((Front *)arg)->writable++;
}

static const CharUser front = {front_room, front_receive, front_event, front_writable};

static Char *mux;
static int person; /* the other end */
static Front a, b;

static void setup(void)
{
    int pair[2];
    loop_lock();
    loop_main();
    char_started();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    person = pair[1];
    g_autofree char *fd = g_strdup_printf("%d", pair[0]);
    g_autoptr(GHashTable) options = options_new();
    options_set(options, "fd", fd);
    options_set(options, "mux", "on");
    mux = char_new("socket", "con", options, NULL);
    ck_assert_ptr_nonnull(mux);
    a = b = (Front){.room = 1 << 20};
    a.in = g_string_new(NULL);
    b.in = g_string_new(NULL);
    ck_assert(char_attach(mux, &front, &a, NULL));
    ck_assert(char_attach(mux, &front, &b, NULL));
}

static void teardown(void)
{
    char_detach(mux, &a);
    char_detach(mux, &b);
    char_cleanup();
    close(person);
    g_string_free(a.in, TRUE);
    g_string_free(b.in, TRUE);
    loop_unlock();
}

static void turn(void)
{
    for (int i = 0; i < 5; i++) {
        loop_iterate(false);
    }
}

static void type(const char *keys)
{
    ck_assert_int_eq(write(person, keys, strlen(keys)), (ssize_t)strlen(keys));
    turn();
}

/* All that came out since the last time. */
static const char *screen(void)
{
    static char text[65536];
    turn();
    ssize_t n = recv(person, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[MAX(n, 0)] = 0;
    return text;
}

START_TEST(focus)
{
    ck_assert_uint_eq(a.opened, 1);
    ck_assert_uint_eq(b.opened, 1);
    ck_assert_uint_eq(a.outs, 1); /* the last one to come has the keyboard */
    ck_assert_uint_eq(b.ins, 1);
    type("bb");
    ck_assert_str_eq(b.in->str, "bb");
    type("\001c");
    ck_assert_uint_eq(b.outs, 1);
    ck_assert_uint_eq(a.ins, 2);
    type("aa\001cb\001ca");
    ck_assert_str_eq(a.in->str, "aaa");
    ck_assert_str_eq(b.in->str, "bbb");
    char_mux_focus(mux, &b);
    type("x");
    ck_assert_str_eq(b.in->str, "bbbx");
    char_detach(mux, &b);
    type("y");
    ck_assert_str_eq(a.in->str, "aaay");
    type("\001cz"); /* alone: it keeps the focus */
    ck_assert_str_eq(a.in->str, "aaayz");
    ck_assert(char_attached(mux));
    char_detach(mux, &a);
    ck_assert(!char_attached(mux));
    type("nobody");
    GError *error = NULL;
    ck_assert(char_attach(mux, &front, &a, &error));
    ck_assert(!char_attach(mux, &front, &a, &error));
    g_error_free(error);
}
END_TEST

START_TEST(escapes)
{
    type("\001\001");
    ck_assert_str_eq(b.in->str, "\001");
    type("\001b\001b");
    ck_assert_uint_eq(b.breaks, 2);
    ck_assert_uint_eq(a.breaks, 0);
    type("\001Z1\001");
    type("\0012"); /* split between two packets */
    ck_assert_str_eq(b.in->str, "\0011\0012");
    screen();
    type("\001h");
    ck_assert_ptr_nonnull(strstr(screen(), "C-a x"));
    type("\001s");
    ck_assert_uint_gt(strlen(screen()), 0);
    /* -echr */
    char_mux_escape(0x14);
    type("\001c\024\024\024h");
    ck_assert_str_eq(b.in->str, "\0011\0012\001c\024");
    ck_assert_ptr_nonnull(strstr(screen(), "C-t x"));
    char_mux_escape(0); /* none at all */
    type("\001c\024c");
    ck_assert_str_eq(b.in->str, "\0011\0012\001c\024\001c\024c");
}
END_TEST

START_TEST(quit)
{
    int code = -1;
    ck_assert(runstate_poll(&code));
    type("\001x");
    ck_assert_ptr_nonnull(strstr(screen(), "Terminated"));
    ck_assert(!runstate_poll(&code));
    ck_assert_int_eq(code, 0);
}
END_TEST

static bool saved;
static void save(void)
{
    saved = true;
}

START_TEST(save_hook)
{
    char_hooks.save_disks = save;
    type("\001s");
    ck_assert(saved);
}
END_TEST

/* A guest that does not read: the escape key still works, and what it was sent arrives later. */
START_TEST(deaf_guest)
{
    b.room = 0;
    type("hello\001c");
    ck_assert_uint_eq(a.ins, 2);
    type("a");
    ck_assert_str_eq(a.in->str, "a");
    ck_assert_uint_eq(b.in->len, 0);
    b.room = 3; /* what was meant for it comes, wherever the keyboard is now */
    char_accept(mux);
    ck_assert_str_eq(b.in->str, "hel");
    type("\001c");
    b.room = 100;
    char_accept(mux);
    ck_assert_str_eq(b.in->str, "hello");
    /* A long paste is not lost: the person has to wait. */
    b.room = 0;
    for (int i = 0; i < 100; i++) {
        type("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
             "567890123456789");
    }
    while (b.in->len < 10005) {
        b.room = 7;
        char_accept(mux);
        turn();
    }
    for (gsize i = 5; i < b.in->len; i++) {
        ck_assert_int_eq(b.in->str[i], '0' + (int)(i - 5) % 10);
    }
}
END_TEST

START_TEST(output)
{
    ck_assert_uint_eq(char_write(mux, "from b\r\n", 8), 8);
    char_write_all(mux, "from a", 6);
    ck_assert_str_eq(screen(), "from b\r\nfrom a");
    type("\001t");
    char_write(mux, "one\ntwo", 7);
    char_write(mux, "...\nthree\n", 10);
    const char *text = screen();
    ck_assert_ptr_eq(strchr(text, '['), text);
    unsigned stamps = 0;
    for (const char *p = text; (p = strstr(p, "[00:00:0")); p++) {
        ck_assert_int_eq(p[13], ']');
        stamps++;
    }
    ck_assert_uint_eq(stamps, 3);
    ck_assert_ptr_nonnull(strstr(text, "] two...\n["));
    type("\001t");
    char_write(mux, "plain\n", 6);
    ck_assert_str_eq(screen(), "plain\n");
}
END_TEST

START_TEST(output_waits)
{
    static char buf[4096];
    memset(buf, 'x', sizeof(buf));
    size_t sent = 0, n, got = 0;
    while ((n = char_write(mux, buf, sizeof(buf))) == sizeof(buf)) {
        sent += n;
    }
    sent += n;
    while (got < sent) {
        got += strlen(screen());
    }
    turn();
    ck_assert_uint_eq(a.writable, 1); /* nobody keeps who was refused: both hear of it */
    ck_assert_uint_eq(b.writable, 1);
    ck_assert_uint_eq(char_write(mux, "x", 1), 1);
}
END_TEST

START_TEST(hang_up)
{
    close(person);
    turn();
    ck_assert_uint_eq(a.closed, 1);
    ck_assert_uint_eq(b.closed, 1);
    ck_assert(!char_is_open(mux));
    GError *error = NULL;
    ck_assert(!char_remove("con-base", &error)); /* the multiplexer has it */
    g_clear_error(&error);
    ck_assert(!char_remove("con", &error));
    g_clear_error(&error);
    char_detach(mux, &a);
    char_detach(mux, &b);
    ck_assert(char_remove("con", NULL));
    ck_assert_ptr_null(char_find("con-base"));
    mux = NULL;
    /* teardown detaches from what is there */
    g_autoptr(GHashTable) none = options_new();
    mux = char_new("null", "con", none, NULL);
    person = dup(0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {focus,      escapes, quit,         save_hook,
                            deaf_guest, output,  output_waits, hang_up};
    Suite *suite = suite_create("mux");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
