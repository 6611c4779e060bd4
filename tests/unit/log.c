/* Log items, patterns, files, and the limit on guest errors. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "tests/unit/suite.h"

static char *folder, *path;

static void setup(void)
{
    g_autoptr(GError) error = NULL;
    folder = g_dir_make_tmp("ostler-log-XXXXXX", NULL);
    path = g_build_filename(folder, "log", NULL);
    ck_assert(log_set_file(path, &error));
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
    g_free(path);
    g_free(folder);
}

static char *logged(void)
{
    char *text;
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

START_TEST(items)
{
    g_autoptr(GError) error = NULL;
    bool help = false;
    ck_assert(log_set_items("int,guest_errors", &help, &error));
    ck_assert_uint_eq(log_mask, LOG_INT | LOG_GUEST_ERRORS);
    ck_assert(!log_enabled(LOG_MMU));
    ck_assert(log_set_items("cpu_reset,trace:uart*", &help, &error));
    ck_assert_uint_eq(log_mask, LOG_CPU_RESET | LOG_TRACE);
    ck_assert(log_set_items("all,none", &help, &error) && !help);
    ck_assert_uint_eq(log_mask, LOG_TRACE);
    ck_assert(!log_set_items("int,nonsense", &help, &error));
    ck_assert_str_eq(error->message, "-d: unknown log item 'nonsense' (-d help lists them)");
    ck_assert(log_set_items("help", &help, NULL) && help);
    g_autofree char *text = log_help();
    ck_assert(strstr(text, "guest_errors") && strstr(text, "cpu_reset"));
}
END_TEST

START_TEST(patterns)
{
    g_autoptr(GError) error = NULL;
    ck_assert(!trace_name_selected("uart_write"));
    ck_assert(trace_enable("uart*", true, NULL));
    ck_assert(trace_enable("-uart_q?iet", true, NULL));
    ck_assert(trace_name_selected("uart_write") && trace_name_selected("uart"));
    ck_assert(!trace_name_selected("uart_quiet") && !trace_name_selected("pit"));
    TraceEvent event = {.name = "pit_irq"};
    ck_assert(!trace_selected(&event));
    ck_assert(trace_enable("pit_*", true, NULL));
    ck_assert(trace_selected(&event));  /* a new pattern reaches events that were asked before */
    ck_assert(trace_enable("*", false, NULL));
    ck_assert(!trace_selected(&event));
    ck_assert(!trace_enable("", true, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "-trace"));
}
END_TEST

START_TEST(patterns_from_a_file)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *list = g_build_filename(folder, "events", NULL);
    ck_assert(g_file_set_contents(list, "# comment\n  a_*  \n\n-a_b\n", -1, NULL));
    ck_assert(trace_enable_file(list, &error));
    ck_assert(trace_name_selected("a_c") && !trace_name_selected("a_b"));
    unlink(list);
    ck_assert(!trace_enable_file(list, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "events"));
}
END_TEST

static void note_event(void *arg, const char *name, bool on)
{
    g_string_append_printf(arg, "%s=%d ", name, on);
}

/* Reached or not, a call site is known. */
static void trace_site(bool reach)
{
    if (reach) {
        TRACE(unit_site, "reached");
        TRACE(unit_site, "a second site of the same event");
    }
}

static void each_member(void (*found)(void *arg, const char *group, const char *name), void *arg)
{
    found(arg, "chip", "chip.a");
    found(arg, "chip", "chip.b");
}

static unsigned changes;
static void count_change(void)
{
    changes++;
}

START_TEST(events)
{
    static const TraceSource source = {each_member, count_change};
    g_autoptr(GString) all = g_string_new(NULL);
    trace_site(false);
    trace_add_source(&source);
    trace_add_source(&source);
    ck_assert(trace_enable("chip", true, NULL) && trace_enable("chip.b", false, NULL));
    ck_assert_uint_eq(changes, 2);
    ck_assert_uint_eq(trace_foreach(NULL, note_event, all), 3);
    ck_assert_str_eq(all->str, "chip.a=1 chip.b=0 unit_site=0 ");
    g_string_truncate(all, 0);
    ck_assert(trace_enable("unit_*", true, NULL));
    ck_assert_uint_eq(trace_foreach("unit_site", note_event, all), 1);
    ck_assert_str_eq(all->str, "unit_site=1 ");
    ck_assert_uint_eq(trace_foreach("chip", note_event, all), 0);
}
END_TEST

START_TEST(filter)
{
    g_autoptr(GError) error = NULL;
    ck_assert(log_filtered(0, 1));
    ck_assert(log_set_filter("0x100+0x10,0x2ff-0x10,0x400..0x4ff,0xfffffffffffffff0+0x100", &error));
    ck_assert(!log_filtered(0xff, 1) && log_filtered(0xff, 2) && log_filtered(0x10f, 1) && !log_filtered(0x110, 8));
    ck_assert(!log_filtered(0x2ef, 1) && log_filtered(0x2f0, 1) && log_filtered(0x2ff, 1) && !log_filtered(0x300, 1));
    ck_assert(log_filtered(0x4ff, 1) && !log_filtered(0x500, 1) && log_filtered(UINT64_MAX, 1));
    static const char *const wrong[] = {"", "1", "1+", "1+0", "2..1", "1..", "+1", "1+2,", "1+2 "};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) e = NULL;
        ck_assert_msg(!log_set_filter(wrong[i], &e), "%s", wrong[i]);
        ck_assert_ptr_nonnull(strstr(e->message, "-dfilter: '"));
    }
}
END_TEST

START_TEST(files)
{
    g_autoptr(GError) error = NULL;
    log_printf("one");
    log_printf("two\n");
    g_autofree char *text = logged();
    ck_assert_str_eq(text, "one\ntwo\n");
    ck_assert(!log_set_file("/nonexistent/log", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "/nonexistent/log"));
    g_clear_error(&error);
    ck_assert(!log_set_file("/tmp/%s", &error) && strstr(error->message, "%d"));
    g_clear_error(&error);
    ck_assert(!log_set_file("/tmp/%d%d", &error));
    g_autofree char *pattern = g_build_filename(folder, "log-%d.txt", NULL);
    g_autofree char *name = g_strdup_printf("%s/log-%d.txt", folder, (int)getpid());
    ck_assert(log_set_file(pattern, NULL));
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

START_TEST(guest_errors_are_few)
{
    bool help;
    guest_error_at("uart", "not wanted");
    ck_assert(log_set_items("guest_errors", &help, NULL));
    for (unsigned i = 0; i < 1000; i++) {
        guest_error_at("uart", "nonsense %u", i);
    }
    guest_error_at("pit", "its own");
    g_autofree char *text = logged();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    unsigned n = g_strv_length(lines) - 1;
    ck_assert_uint_ge(n, 2);
    ck_assert_uint_le(n, 5 * 30);       /* five a second, on a host that may be slow */
    ck_assert_str_eq(lines[0], "uart: nonsense 0");
    ck_assert_str_eq(lines[n - 1], "pit: its own");
}
END_TEST

SUITE_MAIN("log", setup, teardown, items, patterns, patterns_from_a_file, events, filter, files, guest_errors_are_few)
