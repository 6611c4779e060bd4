/* What the tests of drives share: a directory, images, opening, waiting, events.  Included once by each program. */
#ifndef TESTS_UNIT_DRIVE_BENCH_H
#define TESTS_UNIT_DRIVE_BENCH_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "block/drive.h"
#include "core/loop.h"
#include "core/options.h"

static char *dir;

static void setup(void)
{
    loop_lock();
    loop_main();
    dir = g_dir_make_tmp("ostler-drive-XXXXXX", NULL);
    g_setenv("TMPDIR", dir, TRUE);
}

static void teardown(void)
{
    drive_cleanup();
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
    g_free(dir);
    loop_unlock();
}

G_GNUC_UNUSED static char *path_of(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* A file of `size` pseudo-random bytes; the caller frees the name. */
G_GNUC_UNUSED static char *image(const char *name, size_t size)
{
    char *path = path_of(name);
    g_autofree uint8_t *data = g_malloc(size ? size : 1);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251 + 1);
    }
    ck_assert(g_file_set_contents(path, (char *)data, (gssize)size, NULL));
    return path;
}

G_GNUC_UNUSED static Drive *try_open(const char *id, const char *options, GError **error)
{
    g_autoptr(GHashTable) table = options_parse(options, "file", error);
    return table ? drive_new(id, table, error) : NULL;
}

G_GNUC_UNUSED static Drive *opened(const char *id, const char *format, ...)
{
    GError *error = NULL;
    va_list args;
    va_start(args, format);
    g_autofree char *options = g_strdup_vprintf(format, args);
    va_end(args);
    Drive *d = try_open(id, options, &error);
    ck_assert_msg(d, "%s", error ? error->message : "no drive");
    return d;
}

/* Opening fails with a message that contains `part`. */
G_GNUC_UNUSED static void refused(const char *part, const char *format, ...)
{
    GError *error = NULL;
    va_list args;
    va_start(args, format);
    g_autofree char *options = g_strdup_vprintf(format, args);
    va_end(args);
    ck_assert_ptr_null(try_open("refused", options, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error->message, part), "'%s' lacks '%s'", error->message, part);
    ck_assert_ptr_null(strchr(error->message, '\n'));
    g_error_free(error);
    ck_assert_ptr_null(drive_find("refused"));
}

typedef struct Reply {
    bool come;
    int result;
} Reply;

G_GNUC_UNUSED static void reply(void *arg, int result)
{
    Reply *r = arg;
    ck_assert(!r->come);
    *r = (Reply){true, result};
}

G_GNUC_UNUSED static int wait_for(Reply *r)
{
    while (!r->come) {
        loop_iterate(true);
    }
    r->come = false;
    return r->result;
}

/* ---- Events ---- */

static struct {
    unsigned count;
    bool write, nospace;
    char action[16], reason[64];
    unsigned tray_moves;
    bool tray;
} event;

static void on_io_error(Drive *d, bool write, const char *action, bool nospace, const char *reason)
{
    event.count++;
    event.write = write;
    event.nospace = nospace;
    g_strlcpy(event.action, action, sizeof(event.action));
    g_strlcpy(event.reason, reason, sizeof(event.reason));
}

static void on_tray(Drive *d, bool open)
{
    event.tray_moves++;
    event.tray = open;
}

G_GNUC_UNUSED static void watch_events(void)
{
    memset(&event, 0, sizeof(event));
    drive_events.io_error = on_io_error;
    drive_events.tray_moved = on_tray;
}

static int drive_bench_main(const char *name, const TTest **tests, size_t n)
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
