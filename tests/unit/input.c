/* Keys by name, number and character; routing; typed groups; what a terminal's keys mean. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/loop.h"
#include "ui/curses-keys.h"
#include "ui/input.h"

static GString *seen;

static void on_key(void *arg, KeyCode key, bool down)
{
    g_string_append_printf(seen, "%s%c%s ", (const char *)arg, down ? '+' : '-', key_name(key));
}

static void on_button(void *arg, PointerButton button, bool down)
{
    g_string_append_printf(seen, "%sb%d%c ", (const char *)arg, button, down ? '+' : '-');
}

static void on_rel(void *arg, int axis, int delta)
{
    g_string_append_printf(seen, "%sr%d:%d ", (const char *)arg, axis, delta);
}

static void on_abs(void *arg, int axis, int value)
{
    g_string_append_printf(seen, "%sa%d:%d ", (const char *)arg, axis, value);
}

static void on_sync(void *arg)
{
    g_string_append_printf(seen, "%s. ", (const char *)arg);
}

static char k1[] = "k1", k2[] = "k2", m[] = "m", t[] = "t", unnamed[] = "";

static const InputSink keyboard = {"keyboard", .keyboard = true, .key = on_key, .sync = on_sync};
static const InputSink mouse = {"mouse", .relative = true, .button = on_button, .rel = on_rel,
                                .sync = on_sync};
static const InputSink tablet = {"tablet", .absolute = true, .button = on_button, .abs = on_abs,
                                 .sync = on_sync};

static void expect(const char *text)
{
    ck_assert_str_eq(seen->str, text);
    g_string_truncate(seen, 0);
}

static void setup(void)
{
    loop_main();
    loop_lock();
    clock_manual();
    seen = g_string_new(NULL);
}

START_TEST(names)
{
    for (int i = 0; i < KEY_CODES; i++) {
        ck_assert_int_eq(key_find(key_name((KeyCode)i)), i);
        unsigned number = key_number((KeyCode)i);
        int back = number ? key_from_number(number) : -1;
        ck_assert(i == KEY_UNMAPPED || back == i || (i == KEY_KP_MULTIPLY && back == KEY_ASTERISK));
    }
    ck_assert_int_eq(key_find("kp_enter"), KEY_KP_ENTER);
    ck_assert_int_eq(key_find("Return"), -1);
    ck_assert_int_eq(key_from_number(0x1c), KEY_RET);
    ck_assert_int_eq(key_from_number(0xe048), KEY_UP);
    ck_assert_int_eq(key_from_number(0xc8), KEY_UP);
    ck_assert_int_eq(key_from_number(0), -1);
    ck_assert_int_eq(key_from_number(0x1234), -1);
}
END_TEST

START_TEST(characters)
{
    KeyCode key;
    bool shift;
    for (int c = 0x20; c < 0x7f; c++) {
        ck_assert_msg(key_for_char((char)c, &key, &shift), "no key for %c", c);
    }
    ck_assert(key_for_char('a', &key, &shift) && key == KEY_A && !shift);
    ck_assert(key_for_char('A', &key, &shift) && key == KEY_A && shift);
    ck_assert(key_for_char('|', &key, &shift) && key == KEY_BACKSLASH && shift);
    ck_assert(key_for_char('"', &key, &shift) && key == KEY_APOSTROPHE && shift);
    ck_assert(key_for_char('\n', &key, &shift) && key == KEY_RET && !shift);
    ck_assert(!key_for_char(0, &key, &shift));
    ck_assert(!key_for_char((char)0xe9, &key, &shift));
}
END_TEST

START_TEST(routing)
{
    input_key(KEY_A, true); /* nobody there */
    input_add(&keyboard, k1);
    input_add(&mouse, m);
    input_key(KEY_A, true);
    input_rel(AXIS_X, -3);
    input_button(BUTTON_LEFT, true);
    input_abs(AXIS_Y, 5);
    input_sync();
    input_sync();
    expect("k1+a mr0:-3 mb0+ k1. m. ");
    ck_assert(!input_has_absolute());
    input_add(&tablet, t);
    input_add(&keyboard, k2);
    ck_assert(input_has_absolute());
    input_key(KEY_B, false);
    input_abs(AXIS_X, 99999);
    input_button(BUTTON_RIGHT, false);
    input_rel(AXIS_Y, 1);
    input_sync();
    expect("k2-b ta0:32767 tb2- mr1:1 m. t. k2. ");
    input_remove(k2);
    input_remove(t);
    input_key(KEY_UNMAPPED, true);
    input_key(KEY_C, true);
    input_button(BUTTON_MIDDLE, true);
    expect("k1+c mb1+ ");
}
END_TEST

START_TEST(typing)
{
    input_add(&keyboard, unnamed);
    ck_assert(input_send_keys((KeyCode[]){KEY_CTRL, KEY_ALT, KEY_DELETE}, 3, 50));
    ck_assert(input_send_keys((KeyCode[]){KEY_A}, 1, 0));
    expect("+ctrl +alt +delete . ");
    clock_advance_to(49 * NS_PER_MS);
    expect("");
    clock_advance_to(50 * NS_PER_MS);
    expect("-delete -alt -ctrl . ");
    clock_advance_to(99 * NS_PER_MS);
    expect("");
    ck_assert(input_typing());
    clock_advance_to(100 * NS_PER_MS);
    expect("+a . ");
    clock_advance_to(199 * NS_PER_MS);
    expect("");
    clock_advance_to(200 * NS_PER_MS);
    expect("-a . ");
    clock_advance_to(NS_PER_SECOND);
    ck_assert(!input_typing());
    ck_assert(input_send_keys(NULL, 0, 10));
    unsigned n = 0;
    while (input_send_keys((KeyCode[]){KEY_B}, 1, 1)) {
        ck_assert_uint_lt(++n, 100000); /* the queue has an end */
    }
    clock_advance_to(100 * NS_PER_SECOND);
    ck_assert(!input_typing());
}
END_TEST

static void terminal_is(bool function, unsigned code, const char *name, bool alt, const char *keys,
                        const char *text)
{
    CursesKey k;
    ck_assert(curses_key(function, code, name, alt, &k));
    g_autoptr(GString) got = g_string_new(NULL);
    for (unsigned i = 0; i < k.n; i++) {
        g_string_append_printf(got, "%s%s", i ? "-" : "", key_name((KeyCode)k.keys[i]));
    }
    ck_assert_str_eq(got->str, keys);
    ck_assert_str_eq(k.text, text);
}

START_TEST(terminal_keys)
{
    CursesKey k;
    terminal_is(false, 'a', NULL, false, "a", "a");
    terminal_is(false, 'A', NULL, false, "shift-a", "A");
    terminal_is(false, 3, NULL, false, "ctrl-c", "\003");
    terminal_is(false, 0x1c, NULL, false, "ctrl-backslash", "\034");
    terminal_is(false, '\r', NULL, false, "ret", "\r");
    terminal_is(false, 0x7f, NULL, false, "backspace", "\177");
    terminal_is(false, 0x1b, NULL, false, "esc", "\033");
    terminal_is(false, 'x', NULL, true, "alt-x", "\033x");
    terminal_is(true, 0, "KEY_F(1)", false, "f1", "");
    terminal_is(true, 0, "KEY_F(12)", true, "alt-f12", "");
    terminal_is(true, 0, "KEY_F(14)", false, "shift-f2", "");
    terminal_is(true, 0, "KEY_F(25)", false, "ctrl-f1", "");
    terminal_is(true, 0, "KEY_UP", false, "up", "\033[A");
    terminal_is(true, 0, "KEY_SLEFT", false, "shift-left", "\033[D");
    terminal_is(true, 0, "kRIT5", false, "ctrl-right", "\033[C");
    terminal_is(true, 0, "kDC3", false, "alt-delete", "\033[3~");
    terminal_is(true, 0, "KEY_BTAB", false, "shift-tab", "\033[Z");
    ck_assert(!curses_key(true, 0, "KEY_MOUSE", false, &k));
    ck_assert(!curses_key(true, 0, "KEY_F(99)", false, &k));
    ck_assert(!curses_key(false, 0xe9, NULL, false, &k));
    input_add(&keyboard, unnamed);
    ck_assert(curses_key(false, 'X', NULL, true, &k));
    curses_key_send(&k);
    expect("+alt +shift +x . ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("input");
    TCase *tc = tcase_create("input");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, names);
    tcase_add_test(tc, characters);
    tcase_add_test(tc, routing);
    tcase_add_test(tc, typing);
    tcase_add_test(tc, terminal_keys);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
