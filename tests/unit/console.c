/* Consoles and their listeners, screendumps, virtual consoles and the choice of a display. */
#include <check.h>
#include <glib/gstdio.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "char/char.h"
#include "core/clock.h"
#include "core/loop.h"
#include "ui/console.h"
#include "ui/display.h"
#include "ui/vc.h"

typedef struct Toy {
    Console *console;
    unsigned updates, invalidations;
    bool watched;
} Toy;

static void toy_update(void *dev)
{
    ((Toy *)dev)->updates++;
}

static void toy_invalidate(void *dev)
{
    ((Toy *)dev)->invalidations++;
}

static void toy_watched(void *dev, bool on)
{
    ((Toy *)dev)->watched = on;
}

static const ConsoleSource toy_source = {
    .update = toy_update, .invalidate = toy_invalidate, .watched = toy_watched};
static Toy toy;

static void setup(void)
{
    loop_main();
    loop_lock();
    toy.console = console_new("toy", &toy_source, &toy);
}

typedef struct Looker {
    ConsoleListener listener;
    int x, y, width, height;
    unsigned dirty, resized, ticks;
} Looker;

static void looker_dirty(ConsoleListener *l, int x, int y, int width, int height)
{
    Looker *k = (Looker *)l;
    k->x = x;
    k->y = y;
    k->width = width;
    k->height = height;
    k->dirty++;
}

static void looker_resized(ConsoleListener *l, Surface *s)
{
    ((Looker *)l)->resized++;
}

static void looker_tick(ConsoleListener *l)
{
    ((Looker *)l)->ticks++;
}

static Looker looker(bool text_only)
{
    return (Looker){.listener = {.dirty = looker_dirty,
                                 .resized = looker_resized,
                                 .tick = looker_tick,
                                 .interval_ms = 30,
                                 .text_only = text_only}};
}

START_TEST(finding)
{
    ck_assert_ptr_eq(console_find(0), toy.console);
    ck_assert_ptr_null(console_find(1));
    ck_assert_str_eq(console_label(toy.console), "toy");
    ck_assert_ptr_eq(console_device(toy.console), &toy);
    ck_assert_int_eq(console_surface(toy.console)->width, 640);
    ck_assert_int_eq(console_surface(toy.console)->height, 480);
}
END_TEST

START_TEST(listening)
{
    ck_assert_int_eq(clock_next_deadline(CLOCK_RT), TIMER_OFF); /* nobody looks: no timer */
    Looker a = looker(false);
    console_listen(toy.console, &a.listener);
    ck_assert(toy.watched);
    ck_assert_uint_eq(a.resized, 1);
    ck_assert_uint_gt(toy.invalidations, 0);
    ck_assert_int_ne(clock_next_deadline(CLOCK_RT), TIMER_OFF);
    clock_run_due();
    ck_assert_uint_eq(toy.updates, 1);
    ck_assert_uint_eq(a.ticks, 1);
    clock_run_due();
    ck_assert_uint_eq(toy.updates, 1); /* not before the interval is over */
    g_usleep(31000);
    clock_run_due();
    ck_assert_uint_eq(toy.updates, 2);
    console_dirty(toy.console, -5, 470, 20, 100);
    ck_assert_int_eq(a.x, 0);
    ck_assert_int_eq(a.y, 470);
    ck_assert_int_eq(a.width, 15);
    ck_assert_int_eq(a.height, 10);
    console_dirty(toy.console, 640, 0, 10, 10);
    ck_assert_uint_eq(a.dirty, 1);
    console_resize(toy.console, 320, 200);
    console_resize(toy.console, 320, 200);
    ck_assert_uint_eq(a.resized, 2);
    console_unlisten(&a.listener);
    ck_assert(!toy.watched);
    ck_assert_int_eq(clock_next_deadline(CLOCK_RT), TIMER_OFF);
}
END_TEST

START_TEST(listening_to_text)
{
    Looker a = looker(true);
    console_listen(toy.console, &a.listener);
    clock_run_due();
    ck_assert(!toy.watched);
    ck_assert_uint_eq(toy.updates, 0); /* no pixels for it */
    ck_assert_uint_eq(a.ticks, 1);
    console_unlisten(&a.listener);
    console_refresh(toy.console);
    ck_assert_uint_eq(toy.invalidations, 1);
    ck_assert_uint_eq(toy.updates, 1);
}
END_TEST

static void paint(void)
{
    console_resize(toy.console, 61, 37);
    Surface *s = console_surface(toy.console);
    for (int y = 0; y < 37; y++) {
        for (int x = 0; x < 61; x++) {
            surface_line(s, y)[x] = (uint32_t)((x * 4) << 16 | (y * 6) << 8 | (x * y & 0xff));
        }
    }
}

static void rgb_is(const uint8_t *rgb, int x, int y)
{
    ck_assert_uint_eq(rgb[0], x * 4);
    ck_assert_uint_eq(rgb[1], y * 6);
    ck_assert_uint_eq(rgb[2], x * y & 0xff);
}

static char *temporary(void)
{
    char *path = g_build_filename(g_get_tmp_dir(), "ostler-console-XXXXXX", NULL);
    int fd = g_mkstemp(path);
    ck_assert_int_ge(fd, 0);
    g_close(fd, NULL);
    return path;
}

START_TEST(dump_ppm)
{
    g_autofree char *path = temporary(), *data = NULL;
    gsize len;
    paint();
    ck_assert(console_screendump(toy.console, path, NULL, NULL));
    ck_assert_uint_eq(toy.updates, 1); /* what it shows now */
    ck_assert(g_file_get_contents(path, &data, &len, NULL));
    const char head[] = "P6\n61 37\n255\n";
    ck_assert_uint_eq(len, strlen(head) + 61 * 37 * 3);
    ck_assert(!memcmp(data, head, strlen(head)));
    for (int y = 0; y < 37; y++) {
        for (int x = 0; x < 61; x++) {
            rgb_is((uint8_t *)data + strlen(head) + 3 * (y * 61 + x), x, y);
        }
    }
    g_unlink(path);
}
END_TEST

START_TEST(dump_png)
{
    g_autofree char *path = temporary();
    paint();
    ck_assert(console_screendump(toy.console, path, "png", NULL));
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert(png_image_begin_read_from_file(&image, path));
    ck_assert_uint_eq(image.width, 61);
    ck_assert_uint_eq(image.height, 37);
    image.format = PNG_FORMAT_RGB;
    g_autofree uint8_t *rgb = g_malloc(PNG_IMAGE_SIZE(image));
    ck_assert(png_image_finish_read(&image, NULL, rgb, 0, NULL));
    for (int y = 0; y < 37; y++) {
        for (int x = 0; x < 61; x++) {
            rgb_is(rgb + 3 * (y * 61 + x), x, y);
        }
    }
    g_unlink(path);
}
END_TEST

START_TEST(dump_errors)
{
    GError *error = NULL;
    ck_assert(!console_screendump(toy.console, "/nonexistent/x.ppm", "ppm", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "'/nonexistent/x.ppm'"));
    g_clear_error(&error);
    ck_assert(!console_screendump(toy.console, "x.bmp", "bmp", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "ppm or png"));
    g_clear_error(&error);
    ck_assert(!g_file_test("x.bmp", G_FILE_TEST_EXISTS));
    paint();
    ck_assert(!console_screendump(toy.console, "/dev/full", "png", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "'/dev/full': No space"));
    g_clear_error(&error);
    ck_assert(!console_screendump(toy.console, "/dev/full", "ppm", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "'/dev/full': No space"));
    g_clear_error(&error);
}
END_TEST

/* ---- Virtual consoles ---- */

static GString *typed;
static size_t room = 100;

static size_t front_room(void *arg)
{
    return room;
}

static void front_receive(void *arg, const uint8_t *buf, size_t len)
{
    g_string_append_len(typed, (const char *)buf, (gssize)len);
}

static const CharUser front = {.can_receive = front_room, .receive = front_receive};

static void line_is(Console *c, unsigned y, const char *text)
{
    TextCell cells[80 * 24];
    unsigned columns, rows;
    int cx, cy;
    ck_assert(console_text(c, cells, G_N_ELEMENTS(cells), &columns, &rows, &cx, &cy));
    ck_assert_uint_eq(columns, 80);
    for (unsigned x = 0; x < strlen(text); x++) {
        ck_assert_msg(cells[y * 80 + x].ch == (uint8_t)text[x],
                      "line %u column %u is '%c', not '%c'", y, x, cells[y * 80 + x].ch, text[x]);
    }
}

static Char *vc_new(Console **console)
{
    typed = g_string_new(NULL);
    vc_enable(true);
    Char *c = char_new_legacy("serial0", "vc", NULL);
    ck_assert_ptr_nonnull(c);
    ck_assert(char_attach(c, &front, NULL, NULL));
    *console = console_find(1);
    ck_assert_ptr_nonnull(*console);
    ck_assert_str_eq(console_label(*console), "serial0");
    ck_assert(console_takes_text(*console));
    return c;
}

static void say(Char *c, const char *text)
{
    ck_assert_uint_eq(char_write(c, text, strlen(text)), strlen(text));
}

START_TEST(virtual_console_writes)
{
    Console *console;
    Char *c = vc_new(&console);
    TextCell cells[80 * 24];
    unsigned columns, rows;
    int x, y;
    say(c, "hello\r\nworld\033[1;31m!\033[0m\b");
    line_is(console, 0, "hello ");
    line_is(console, 1, "world!");
    ck_assert(console_text(console, cells, G_N_ELEMENTS(cells), &columns, &rows, &x, &y));
    ck_assert_uint_eq(cells[85].attr, 0x0c);
    ck_assert_int_eq(x, 5);
    ck_assert_int_eq(y, 1);
    say(c, "\033[24;1Hlast\r\n\033[");
    line_is(console, 22, "last");
    line_is(console, 0, "world!");
    say(c, "2J\033[3;5Hx\033[1K\033[6n");
    line_is(console, 2, "     ");
    ck_assert_str_eq(typed->str, "\033[3;6R");
    for (unsigned i = 0; i < 81; i++) {
        say(c, i == 0 ? "\033[5;1H." : "#");
    }
    line_is(console, 5, "# "); /* the line wraps */
    say(c, "\033[9999;9999H\033[99999999999999D\033[999A\033[31P\033[999@ok");
    line_is(console, 0, "ok");
    ck_assert(char_remove("serial0", NULL) || true);
}
END_TEST

START_TEST(virtual_console_types)
{
    Console *console;
    vc_new(&console);
    Console *screen = console_new("late", &toy_source, &toy);
    ck_assert_ptr_eq(console_find(1), screen);  /* the machine's screens come first */
    ck_assert_ptr_eq(console_find(2), console);
    console_type(console, "abc", 3);
    ck_assert_str_eq(typed->str, "abc");
    room = 0;
    console_type(console, "def", 3);
    ck_assert_str_eq(typed->str, "abc");
    room = 100;
    char_accept(char_find("serial0"));
    ck_assert_str_eq(typed->str, "abcdef");
}
END_TEST

START_TEST(virtual_console_noise)
{
    Console *console;
    Char *c = vc_new(&console);
    GRand *rand = g_rand_new_with_seed(3);
    for (unsigned i = 0; i < 300000; i++) {
        static const char often[] = "\033[;0123456789ABCDGHJKPdfmnsu@\r\n\t\b";
        char b = g_rand_boolean(rand) ? often[g_rand_int(rand) % (sizeof often - 1)]
                                      : (char)g_rand_int(rand);
        char_write(c, &b, 1);
    }
    g_rand_free(rand);
}
END_TEST

START_TEST(choosing_displays)
{
    GError *error = NULL;
    ck_assert(display_check("none", NULL));
    ck_assert_str_eq(display_name(), "none");
    ck_assert(display_start(display_default(), NULL));
    display_stop();
    ck_assert(!display_check("gtk", &error));
    ck_assert_ptr_nonnull(
        strstr(error->message, "'gtk' is not available in this build, choose one of: none"));
    g_clear_error(&error);
    ck_assert(!display_check("paper", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "'paper' is unknown"));
    g_clear_error(&error);
    ck_assert(!display_check("none,zoom=on", &error));
    ck_assert_str_eq(error->message, "Display 'none' has no option 'zoom'");
    g_clear_error(&error);
    ck_assert(!display_check("none,zoom", &error));
    g_clear_error(&error);
    g_autofree char *help = display_help();
    ck_assert_ptr_nonnull(strstr(help, "none\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("console");
    TCase *tc = tcase_create("console");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, finding);
    tcase_add_test(tc, listening);
    tcase_add_test(tc, listening_to_text);
    tcase_add_test(tc, dump_ppm);
    tcase_add_test(tc, dump_png);
    tcase_add_test(tc, dump_errors);
    tcase_add_test(tc, virtual_console_writes);
    tcase_add_test(tc, virtual_console_types);
    tcase_add_test(tc, virtual_console_noise);
    tcase_add_test(tc, choosing_displays);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
