/* 8042 with keyboard and mouse: controller commands, scan code sets, translation, typematic, mouse
 * protocols. */
#include <stdio.h>
#include <string.h>

#include "hw/input/ps2.h"
#include "tests/hw/bench.h"
#include "ui/input.h"


static Device *kbc;
static Probe *irq1, *irq12;

static uint8_t status(void)
{
    return device_read(kbc, 1, 0, 1);
}
static void control(uint8_t v)
{
    device_write(kbc, 1, 0, 1, v);
}
static uint8_t data(void)
{
    return in8(kbc, 0);
}

static void setup(uint8_t command_byte)
{
    kbc = bench_device(&i8042_class, "");
    irq1 = bench_probe(kbc, "irq1", 0);
    irq12 = bench_probe(kbc, "irq12", 0);
    control(0x60);
    out8(kbc, 0, command_byte);
}

/* What comes next from a device, as "1c f0 1c"; the wire needs its time. */
static const char *said(void)
{
    static char text[1024];
    text[0] = 0;
    for (unsigned quiet = 0; quiet < 20;) {
        if (status() & 1) {
            sprintf(text + strlen(text), "%s%02x", *text ? " " : "", data());
            quiet = 0;
        }
        bench_advance(NS_PER_MS);
        quiet++;
    }
    return text;
}

static const char *tell_keyboard(uint8_t v)
{
    return out8(kbc, 0, v), said();
}
static const char *tell_mouse(uint8_t v)
{
    return control(0xd4), out8(kbc, 0, v), said();
}
static const char *press(KeyCode key)
{
    return input_key(key, true), said();
}
static const char *release(KeyCode key)
{
    return input_key(key, false), said();
}
#define SAYS(what, text) ck_assert_str_eq(what, text)

START_TEST(controller)
{
    setup(0x03);
    control(0xaa);
    ck_assert_uint_eq(status() & 0x25, 0x05); /* OBF, system flag */
    ck_assert_uint_eq(status() & 0x08, 0x08); /* the last write was a command */
    ck_assert_uint_eq(data(), 0x55);
    ck_assert_uint_eq(status() & 0x01, 0);
    control(0xab);
    ck_assert_uint_eq(data(), 0);
    control(0xa9);
    ck_assert_uint_eq(data(), 0);
    control(0xa4);
    ck_assert_uint_eq(data(), 0xf1);
    control(0x20);
    ck_assert_uint_eq(data(), 0x07);
    control(0xad), control(0xa7), control(0x20);
    ck_assert_uint_eq(data(), 0x37);
    control(0xae), control(0xa8), control(0x20);
    ck_assert_uint_eq(data(), 0x07);
    control(0x65), out8(kbc, 0, 0x5a), control(0x25);
    ck_assert_uint_eq(data(), 0x5a);
    control(0xd2), out8(kbc, 0, 0x99);
    ck_assert(irq1->level && !irq12->level);
    ck_assert_uint_eq(status() & 0x21, 0x01);
    ck_assert_uint_eq(data(), 0x99);
    control(0xd3), out8(kbc, 0, 0x77);
    ck_assert(irq12->level && !irq1->level);
    ck_assert_uint_eq(status() & 0x21, 0x21);
    ck_assert_uint_eq(data(), 0x77);
    ck_assert(!irq12->level);
    control(0xc0);
    ck_assert_uint_eq(data() & 0x80, 0x80);
}
END_TEST

START_TEST(output_port)
{
    setup(0x03);
    Probe *a20 = bench_probe(kbc, "a20", 0), *reset = bench_probe(kbc, "reset", 0);
    ck_assert(a20->level);
    control(0xd1), out8(kbc, 0, 0xdd);
    ck_assert(!a20->level);
    control(0xd0);
    ck_assert_uint_eq(data() & 0x03, 0x01);
    control(0xd1), out8(kbc, 0, 0xdf);
    ck_assert(a20->level);
    control(0xdd);
    ck_assert(!a20->level);
    control(0xdf);
    ck_assert(a20->level);
    control(0xff); /* pulses nothing */
    ck_assert_uint_eq(reset->rises, 0);
    control(0xfe);
    ck_assert_uint_eq(reset->rises, 1);
    bench_advance(NS_PER_MS);
    ck_assert(!reset->level);
    control(0xd1), out8(kbc, 0, 0xde);
    ck_assert_uint_eq(reset->rises, 2);
    device_reset(kbc, false);
    ck_assert(!reset->level && a20->level);
}
END_TEST

START_TEST(keyboard_commands)
{
    setup(0x03);
    SAYS(tell_keyboard(0xff), "fa aa");
    SAYS(tell_keyboard(0xf2), "fa ab 83");
    SAYS(tell_keyboard(0xee), "ee");
    SAYS(tell_keyboard(0xfe), "ee");
    SAYS(tell_keyboard(0xed), "fa");
    SAYS(tell_keyboard(0x07), "fa");
    ck_assert_uint_eq(input_leds(), LED_SCROLL | LED_NUM | LED_CAPS);
    SAYS(tell_keyboard(0xed), "fa");
    SAYS(tell_keyboard(0xf4), "fa"); /* a command instead of the parameter */
    ck_assert_uint_eq(input_leds(), 7);
    SAYS(tell_keyboard(0xf0), "fa");
    SAYS(tell_keyboard(0x00), "fa 02");
    SAYS(tell_keyboard(0xf0), "fa");
    SAYS(tell_keyboard(0x05), "fe");
    SAYS(tell_keyboard(0xef), "fe");
    SAYS(tell_keyboard(0xf5), "fa"); /* scanning off */
    SAYS(press(KEY_A), "");
    SAYS(release(KEY_A), "");
    SAYS(tell_keyboard(0xf4), "fa");
    SAYS(press(KEY_A), "1c");
    SAYS(release(KEY_A), "f0 1c");
    /* with the translation on, answers pass through it */
    control(0x60), out8(kbc, 0, 0x43);
    SAYS(tell_keyboard(0xf2), "fa ab 41");
}
END_TEST

START_TEST(set2_and_translation)
{
    static const struct {
        KeyCode key;
        const char *make, *brk, *xmake, *xbrk;
    } keys[] = {
        {KEY_A, "1c", "f0 1c", "1e", "9e"},
        {KEY_1, "16", "f0 16", "02", "82"},
        {KEY_RET, "5a", "f0 5a", "1c", "9c"},
        {KEY_ESC, "76", "f0 76", "01", "81"},
        {KEY_F7, "83", "f0 83", "41", "c1"},
        {KEY_F12, "07", "f0 07", "58", "d8"},
        {KEY_SHIFT_R, "59", "f0 59", "36", "b6"},
        {KEY_CTRL_R, "e0 14", "e0 f0 14", "e0 1d", "e0 9d"},
        {KEY_UP, "e0 75", "e0 f0 75", "e0 48", "e0 c8"},
        {KEY_KP_8, "75", "f0 75", "48", "c8"},
        {KEY_KP_ENTER, "e0 5a", "e0 f0 5a", "e0 1c", "e0 9c"},
        {KEY_LESS, "61", "f0 61", "56", "d6"},
        {KEY_META_L, "e0 1f", "e0 f0 1f", "e0 5b", "e0 db"},
        {KEY_VOLUMEUP, "e0 32", "e0 f0 32", "e0 30", "e0 b0"},
        {KEY_AUDIOPLAY, "e0 34", "e0 f0 34", "e0 22", "e0 a2"},
        {KEY_PRINT, "e0 12 e0 7c", "e0 f0 7c e0 f0 12", "e0 2a e0 37", "e0 b7 e0 aa"},
        {KEY_PAUSE, "e1 14 77 e1 f0 14 f0 77", "", "e1 1d 45 e1 9d c5", ""},
        {KEY_NUM_LOCK, "77", "f0 77", "45", "c5"},
    };
    for (unsigned pass = 0; pass < 2; pass++) {
        setup(pass ? 0x43 : 0x03);
        for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
            SAYS(press(keys[i].key), pass ? keys[i].xmake : keys[i].make);
            SAYS(release(keys[i].key), pass ? keys[i].xbrk : keys[i].brk);
        }
    }
}
END_TEST

START_TEST(set1)
{
    setup(0x03);
    tell_keyboard(0xf0), tell_keyboard(0x01);
    SAYS(press(KEY_A), "1e");
    SAYS(release(KEY_A), "9e");
    SAYS(press(KEY_UP), "e0 48");
    SAYS(release(KEY_UP), "e0 c8");
    SAYS(press(KEY_PAUSE), "e1 1d 45 e1 9d c5");
    SAYS(press(KEY_PRINT), "e0 2a e0 37");
    SAYS(release(KEY_PRINT), "e0 b7 e0 aa");
}
END_TEST

START_TEST(set3)
{
    setup(0x03);
    tell_keyboard(0xf0), tell_keyboard(0x03);
    SAYS(press(KEY_A), "1c");
    SAYS(release(KEY_A), ""); /* typematic: no break */
    SAYS(press(KEY_SHIFT), "12");
    SAYS(release(KEY_SHIFT), "f0 12");
    SAYS(press(KEY_UP), "63");
    SAYS(release(KEY_UP), "");
    SAYS(press(KEY_PAUSE), "62");
    SAYS(release(KEY_PAUSE), "");
    SAYS(press(KEY_F1), "07");
    bench_advance(2 * NS_PER_SECOND); /* make only: no repeats */
    SAYS(release(KEY_F1), "");
    tell_keyboard(0xfc), tell_keyboard(0x1c);
    SAYS(press(KEY_A), "1c");
    SAYS(release(KEY_A), "f0 1c");
    SAYS(tell_keyboard(0xf8), "fa"); /* all make/break */
    SAYS(press(KEY_F1), "07");
    SAYS(release(KEY_F1), "f0 07");
    SAYS(tell_keyboard(0xf6), "fa"); /* defaults */
    SAYS(press(KEY_F1), "07");
    SAYS(release(KEY_F1), "");
}
END_TEST

START_TEST(modified_keys)
{
    setup(0x03);
    press(KEY_ALT);
    SAYS(press(KEY_PRINT), "84");
    SAYS(release(KEY_PRINT), "f0 84");
    release(KEY_ALT);
    press(KEY_CTRL);
    SAYS(press(KEY_PAUSE), "e0 7e e0 f0 7e");
    SAYS(press(KEY_PRINT), "e0 7c");
    SAYS(release(KEY_PRINT), "e0 f0 7c");
    release(KEY_CTRL), release(KEY_PAUSE);
    press(KEY_SHIFT);
    SAYS(press(KEY_HOME), "e0 f0 12 e0 6c");
    SAYS(release(KEY_HOME), "e0 f0 6c e0 12");
    release(KEY_SHIFT);
    tell_keyboard(0xed), tell_keyboard(0x02); /* Num Lock lit */
    SAYS(press(KEY_HOME), "e0 12 e0 6c");
    SAYS(release(KEY_HOME), "e0 f0 6c e0 f0 12");
}
END_TEST

START_TEST(typematic)
{
    setup(0x03);
    tell_keyboard(0xf3), tell_keyboard(0x00); /* 250 ms, 30 a second */
    input_key(KEY_A, true);
    ck_assert_uint_eq(data(), 0x1c);
    input_key(KEY_A, true); /* the host's own repeat */
    bench_advance(240 * NS_PER_MS);
    ck_assert_uint_eq(status() & 1, 0);
    unsigned n = 0;
    for (unsigned ms = 0; ms < 1010; ms++) {
        bench_advance(NS_PER_MS);
        if (status() & 1) {
            ck_assert_uint_eq(data(), 0x1c);
            n++;
        }
    }
    ck_assert_uint_ge(n, 29);
    ck_assert_uint_le(n, 32);
    input_key(KEY_A, false);
    SAYS(said(), "f0 1c");
    bench_advance(NS_PER_SECOND);
    ck_assert_uint_eq(status() & 1, 0);
}
END_TEST

START_TEST(interrupts_and_frames)
{
    setup(0x43);
    input_key(KEY_A, true);
    input_key(KEY_A, false);
    ck_assert_uint_eq(irq1->rises, 1);
    ck_assert_uint_eq(data(), 0x1e);
    ck_assert(!irq1->level);
    ck_assert_uint_eq(data(), 0x1e); /* the next byte is on its way */
    bench_advance(NS_PER_MS);
    ck_assert_uint_eq(irq1->rises, 2);
    ck_assert_uint_eq(data(), 0x9e);
    /* without an interface, the keyboard waits */
    control(0xad);
    input_key(KEY_B, true);
    bench_advance(NS_PER_MS);
    ck_assert_uint_eq(status() & 1, 0);
    control(0xae);
    ck_assert_uint_eq(data(), 0x30);
}
END_TEST

START_TEST(overrun)
{
    setup(0x03);
    for (unsigned i = 0; i < 100; i++) {
        input_key(KEY_A, true);
        input_key(KEY_A, false);
    }
    unsigned n = 0, last = 1;
    while (status() & 1) {
        last = data();
        n++;
        bench_advance(NS_PER_MS);
    }
    ck_assert_uint_ge(n, 40);
    ck_assert_uint_le(n, 66);
    ck_assert_uint_eq(last, 0); /* overrun mark */
    SAYS(press(KEY_B), "32");
}
END_TEST

static void move(int dx, int dy)
{
    input_rel(AXIS_X, dx);
    input_rel(AXIS_Y, dy);
    input_sync();
}

START_TEST(mouse_commands)
{
    setup(0x03);
    SAYS(tell_mouse(0xff), "fa aa 00");
    ck_assert_uint_gt(irq12->rises, 2);
    SAYS(tell_mouse(0xf2), "fa 00");
    SAYS(tell_mouse(0xe9), "fa 00 02 64");
    tell_mouse(0xe8), tell_mouse(0x03), tell_mouse(0xf3), tell_mouse(0x28), tell_mouse(0xe7),
        tell_mouse(0xf4);
    SAYS(tell_mouse(0xe9), "fa 30 03 28");
    SAYS(tell_mouse(0xf0), "fa");
    SAYS(tell_mouse(0xe9), "fa 70 03 28");
    SAYS(tell_mouse(0xf6), "fa");
    SAYS(tell_mouse(0xe9), "fa 00 02 64");
    SAYS(tell_mouse(0xee), "fa"); /* wrap */
    SAYS(tell_mouse(0xf2), "f2");
    SAYS(tell_mouse(0xec), "fa");
    SAYS(tell_mouse(0xf2), "fa 00");
    SAYS(tell_mouse(0x99), "fe");
}
END_TEST

START_TEST(mouse_packets)
{
    setup(0x03);
    move(5, 3);
    SAYS(said(), ""); /* not enabled */
    tell_mouse(0xf4);
    move(5, 3);
    SAYS(said(), "28 05 fd"); /* up is positive */
    move(-6, -7);
    SAYS(said(), "18 fa 07");
    move(300, 0);
    SAYS(said(), "08 ff 00 08 2d 00");
    input_button(BUTTON_LEFT, true);
    input_sync();
    input_button(BUTTON_LEFT, false);
    input_sync();
    SAYS(said(), "09 00 00 08 00 00");
    input_button(BUTTON_RIGHT, true), input_button(BUTTON_MIDDLE, true), input_sync();
    ck_assert_ptr_nonnull(strstr(said(), "0e 00 00"));
    input_button(BUTTON_RIGHT, false), input_button(BUTTON_MIDDLE, false), input_sync();
    said();
    tell_mouse(0xe7);
    move(4, 0);
    SAYS(said(), "08 06 00");
    tell_mouse(0xe6), tell_mouse(0xf0); /* remote: when asked */
    move(4, 0);
    SAYS(said(), "");
    SAYS(tell_mouse(0xeb), "fa 08 04 00");
    SAYS(tell_mouse(0xeb), "fa 08 00 00");
}
END_TEST

static void rates(unsigned a, unsigned b, unsigned c)
{
    tell_mouse(0xf3), tell_mouse(a), tell_mouse(0xf3), tell_mouse(b), tell_mouse(0xf3),
        tell_mouse(c);
}

START_TEST(mouse_wheel)
{
    setup(0x03);
    rates(200, 100, 80);
    SAYS(tell_mouse(0xf2), "fa 03");
    tell_mouse(0xf4);
    input_button(BUTTON_WHEEL_UP, true), input_button(BUTTON_WHEEL_UP, false), input_sync();
    SAYS(said(), "08 00 00 ff");
    rates(200, 200, 80);
    SAYS(tell_mouse(0xf2), "fa 04");
    input_button(BUTTON_WHEEL_DOWN, true), input_sync();
    SAYS(said(), "08 00 00 01");
    input_button(BUTTON_SIDE, true), input_sync();
    SAYS(said(), "08 00 00 10");
    input_button(BUTTON_EXTRA, true), input_sync();
    SAYS(said(), "08 00 00 30");
    SAYS(tell_mouse(0xff), "fa aa 00");
    SAYS(tell_mouse(0xf2), "fa 00");
}
END_TEST

/* Another mouse has news: the driver of this one is to look. */
START_TEST(poked)
{
    setup(0x03);
    i8042_poke_mouse(kbc);
    SAYS(said(), "");                   /* nobody has enabled it */
    SAYS(tell_mouse(0xf4), "fa");
    irq12->rises = 0;
    i8042_poke_mouse(kbc);
    SAYS(said(), "08 00 00");
    ck_assert_uint_eq(irq12->rises, 3);
    SAYS(said(), "");
}
END_TEST

BENCH_MAIN("i8042", CASE(poked), CASE(controller), CASE(output_port), CASE(keyboard_commands),
           CASE(set2_and_translation), CASE(set1), CASE(set3), CASE(modified_keys), CASE(typematic),
           CASE(interrupts_and_frames), CASE(overrun), CASE(mouse_commands), CASE(mouse_packets),
           CASE(mouse_wheel))
