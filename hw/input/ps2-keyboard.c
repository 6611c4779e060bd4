/* PS/2 keyboard: 101/102 keys and more, scan code sets 1, 2 and 3.
 *
 * After the IBM PS/2 Hardware Interface Technical Reference (1988), "Keyboard (101- and 102-Key)",
 * and, for keys that came later, Microsoft's "Keyboard Scan Code Specification".  A key is known by
 * its set 1 number; set 2 is that number run backwards through the translation of the keyboard
 * controller. */
#include "hw/input/ps2.h"

#include <string.h>

#include "hw/input/ps2-codes.h"

enum { /* commands */
       SET_LEDS = 0xed,
       ECHO = 0xee,
       SCAN_CODE_SET = 0xf0,
       READ_ID = 0xf2,
       SET_TYPEMATIC = 0xf3,
       ENABLE = 0xf4,
       DEFAULT_DISABLE = 0xf5,
       DEFAULTS = 0xf6,
       ALL_REPEAT = 0xf7,
       ALL_MAKE_BREAK = 0xf8,
       ALL_MAKE = 0xf9,
       ALL_BOTH = 0xfa,
       KEY_REPEAT = 0xfb,
       KEY_MAKE_BREAK = 0xfc,
       KEY_MAKE = 0xfd,
       RESEND = 0xfe,
       RESET = 0xff,
};
enum { DEFAULT_TYPEMATIC = 0x2b }; /* 500 ms, 10.9 a second */
enum { EXTENDED = 0xe0, BREAK = 0xf0, SET1_BREAK = 0x80 };
enum { LEFT_SHIFT = 0x2a, RIGHT_SHIFT = 0x36 };
enum { REPEAT_ROOM = 16 }; /* a held key does not fill the buffer beyond this */

typedef struct Bytes {
    uint8_t b[16];
    unsigned n;
} Bytes;

static void add(Bytes *to, uint8_t b)
{
    if (to->n < sizeof(to->b)) {
        to->b[to->n++] = b;
    }
}

/* One make or break code, in set 1 or 2. */
static void add_code(const Ps2Keyboard *s, Bytes *to, unsigned number, bool down)
{
    if (number >> 8) {
        add(to, number >> 8);
    }
    if (s->set == 1) {
        add(to, (number & 0x7f) | (down ? 0 : SET1_BREAK));
        return;
    }
    if (!down) {
        add(to, BREAK);
    }
    add(to, ps2_set2_code(number));
}

static bool is_pressed(const Ps2Keyboard *s, KeyCode key)
{
    return s->pressed[key / 8] & 1 << key % 8;
}
static bool shift(const Ps2Keyboard *s)
{
    return is_pressed(s, KEY_SHIFT) || is_pressed(s, KEY_SHIFT_R);
}
static bool ctrl(const Ps2Keyboard *s)
{
    return is_pressed(s, KEY_CTRL) || is_pressed(s, KEY_CTRL_R);
}
static bool alt(const Ps2Keyboard *s)
{
    return is_pressed(s, KEY_ALT) || is_pressed(s, KEY_ALT_R);
}

/* The grey keys share numbers with the keypad.  The keyboard hides a Shift, or pretends one while
 * Num Lock is lit, so that an old program sees what it would have got from the keypad. */
static void add_grey(const Ps2Keyboard *s, Bytes *to, unsigned number, bool down)
{
    bool pretend = s->leds & LED_NUM && !shift(s) && number != 0xe035;

    if (!down) {
        add_code(s, to, number, false);
    }
    if (pretend) {
        add_code(s, to, EXTENDED << 8 | LEFT_SHIFT, down);
    } else {
        if (is_pressed(s, KEY_SHIFT)) {
            add_code(s, to, EXTENDED << 8 | LEFT_SHIFT, !down);
        }
        if (is_pressed(s, KEY_SHIFT_R)) {
            add_code(s, to, EXTENDED << 8 | RIGHT_SHIFT, !down);
        }
    }
    if (down) {
        add_code(s, to, number, true);
    }
}

static bool is_grey(unsigned number)
{
    unsigned low = number & 0xff;
    return number >> 8 == EXTENDED && (low == 0x35 || (low >= 0x47 && low <= 0x53 && low != 0x4a &&
                                                       low != 0x4c && low != 0x4e));
}

static void add_print(const Ps2Keyboard *s, Bytes *to, bool down)
{
    bool fake = !ctrl(s) && !shift(s);

    if (alt(s)) { /* the key is SysRq then */
        add_code(s, to, 0x54, down);
        return;
    }
    if (fake && down) {
        add_code(s, to, EXTENDED << 8 | LEFT_SHIFT, true);
    }
    add_code(s, to, 0xe037, down);
    if (fake && !down) {
        add_code(s, to, EXTENDED << 8 | LEFT_SHIFT, false);
    }
}

/* Pause says all at once, and nothing when it is released. */
static void add_pause(const Ps2Keyboard *s, Bytes *to, bool down)
{
    if (!down) {
        return;
    }
    if (ctrl(s)) {
        add_code(s, to, 0xe046, true);
        add_code(s, to, 0xe046, false);
        return;
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        add(to, 0xe1);
        add_code(s, to, 0x1d, !pass);
        add_code(s, to, 0x45, !pass);
    }
}

static void add_set3(const Ps2Keyboard *s, Bytes *to, unsigned number, bool down)
{
    uint8_t code = ps2_set3_code(number);

    if (!code || (!down && !(s->kind[code] & KIND_BREAK))) {
        return;
    }
    if (!down) {
        add(to, BREAK);
    }
    add(to, code);
}

static Bytes key_bytes(const Ps2Keyboard *s, KeyCode key, bool down)
{
    Bytes to = {.n = 0};
    unsigned number = key_number(key);

    if (!number) {
        return to;
    }
    if (s->set == 3) {
        add_set3(s, &to, number, down);
    } else if (key == KEY_PAUSE) {
        add_pause(s, &to, down);
    } else if (key == KEY_PRINT) {
        add_print(s, &to, down);
    } else if (is_grey(number)) {
        add_grey(s, &to, number, down);
    } else {
        add_code(s, &to, number, down);
    }
    return to;
}

/* A key that finds the buffer full leaves a mark there, as far as the last byte. */
static void send(Ps2Keyboard *s, Bytes bytes)
{
    uint8_t overrun = s->set == 1 ? 0xff : 0x00;

    if (s->out.events + bytes.n < PS2_EVENTS) {
        ps2_event(&s->out, bytes.b, bytes.n);
    } else if (s->out.events && s->out.event[s->out.events - 1] != overrun) {
        ps2_event(&s->out, &overrun, 1);
    }
}

static bool repeats(const Ps2Keyboard *s, KeyCode key)
{
    return key != KEY_PAUSE &&
           (s->set != 3 || s->kind[ps2_set3_code(key_number(key))] & KIND_REPEAT);
}

static void keyboard_key(void *arg, KeyCode key, bool down)
{
    Ps2Keyboard *s = arg;

    /* The host's own repeats are none of ours. */
    if (key >= KEY_CODES || (down && is_pressed(s, key))) {
        return;
    }
    Bytes bytes = key_bytes(s, key, down); /* of the modifiers, as they were before this key */
    if (down) {
        s->pressed[key / 8] |= 1 << key % 8;
    } else {
        s->pressed[key / 8] &= ~(1 << key % 8);
    }
    if (!s->disabled && bytes.n) {
        send(s, bytes);
    }
    if (down && repeats(s, key)) {
        s->repeated = key;
        timer_at(&s->repeat, now(&s->dev) + ((s->typematic >> 5 & 3) + 1) * 250 * NS_PER_MS);
    } else if (key == s->repeated) {
        timer_off(&s->repeat);
    }
    device_settle(&s->dev);
}

static void repeat_fire(void *dev, unsigned i)
{
    Ps2Keyboard *s = dev;
    Bytes bytes = {.n = 0};
    unsigned number = key_number(s->repeated);
    /* (8 + A) * 2^B * 4.17 ms */
    int64_t period =
        (8 + (s->typematic & 7)) * (INT64_C(1) << (s->typematic >> 3 & 3)) * 4170 * NS_PER_US;

    if (!number) {
        return;
    }
    if (s->set == 3) {
        add_set3(s, &bytes, number, true);
    } else {
        add_code(s, &bytes, number, true); /* without the pretended Shift of the first make */
    }
    if (!s->disabled && s->out.events < REPEAT_ROOM) {
        send(s, bytes);
    }
    timer_at(&s->repeat, now(&s->dev) + period);
}

/* ---- Commands ---- */

static void set_leds(Ps2Keyboard *s, uint8_t leds)
{
    s->leds = leds;
    input_set_leds(leds);
}

static void set_all_kinds(Ps2Keyboard *s, uint8_t kind)
{
    memset(s->kind, kind, sizeof(s->kind));
}

static void defaults(Ps2Keyboard *s)
{
    s->typematic = DEFAULT_TYPEMATIC;
    for (unsigned code = 0; code < PS2_SET3_CODES; code++) {
        s->kind[code] = ps2_set3_kind(code);
    }
    timer_off(&s->repeat);
    ps2_clear(&s->out);
}

/* The byte that `command` waited for.  False: it is a command itself. */
static bool parameter(Ps2Keyboard *s, uint8_t command, uint8_t v)
{
    if (v >= SET_LEDS) {
        return false;
    }
    bool good = true;
    switch (command) {
    case SET_LEDS: set_leds(s, v & 7); break;
    case SCAN_CODE_SET: good = v <= 3; break;
    case SET_TYPEMATIC: s->typematic = v & 0x7f; break;
    case KEY_REPEAT:
    case KEY_MAKE_BREAK:
    case KEY_MAKE:
        good = v < PS2_SET3_CODES;
        if (good) {
            s->kind[v] = command == KEY_REPEAT       ? KIND_REPEAT
                         : command == KEY_MAKE_BREAK ? KIND_BREAK
                                                     : 0;
        }
        break;
    default: break;
    }
    ps2_reply(&s->out, good ? PS2_ACK : PS2_RESEND);
    if (command == SCAN_CODE_SET && !v) {
        ps2_reply(&s->out, s->set);
    } else if (command == SCAN_CODE_SET && good) {
        s->set = v;
        s->out.events = 0;
        timer_off(&s->repeat);
    }
    return true;
}

static void command_write(Ps2Keyboard *s, uint8_t v)
{
    switch (v) {
    case SET_LEDS:
    case SCAN_CODE_SET:
    case SET_TYPEMATIC:
    case KEY_REPEAT:
    case KEY_MAKE_BREAK:
    case KEY_MAKE: s->command = v; break;
    case ECHO: ps2_reply(&s->out, ECHO); return;
    case READ_ID:
        ps2_reply(&s->out, PS2_ACK);
        ps2_reply(&s->out, 0xab);
        ps2_reply(&s->out, 0x83);
        return;
    case ENABLE:
        s->disabled = false;
        s->out.events = 0;
        break;
    case DEFAULT_DISABLE:
    case DEFAULTS:
        defaults(s);
        s->disabled |= v == DEFAULT_DISABLE;
        break;
    case ALL_REPEAT: set_all_kinds(s, KIND_REPEAT); break;
    case ALL_MAKE_BREAK: set_all_kinds(s, KIND_BREAK); break;
    case ALL_MAKE: set_all_kinds(s, 0); break;
    case ALL_BOTH: set_all_kinds(s, KIND_REPEAT | KIND_BREAK); break;
    case RESET:
        defaults(s);
        s->set = 2;
        s->disabled = false;
        set_leds(s, 0);
        ps2_reply(&s->out, PS2_ACK);
        ps2_reply(&s->out, PS2_BAT_OK);
        return;
    default: ps2_reply(&s->out, PS2_RESEND); return;
    }
    ps2_reply(&s->out, PS2_ACK);
}

void ps2_keyboard_write(Ps2Keyboard *s, uint8_t v)
{
    uint8_t command = s->command;

    s->out.replies = 0; /* a new command ends the answer to the last */
    if (v == RESEND) {
        ps2_reply(&s->out, s->out.last);
        return;
    }
    s->command = 0;
    if (!command || !parameter(s, command, v)) {
        command_write(s, v);
    }
}

bool ps2_keyboard_take(Ps2Keyboard *s, uint8_t *byte)
{
    return ps2_take(&s->out, byte);
}

// clang-format off
static const Row rows[] = {
    PS2_OUT_ROWS(Ps2Keyboard),
    STATE(Ps2Keyboard, set, .reset = 2, .max = 3, .doc = "Scan code set"),
    STATE(Ps2Keyboard, command, .doc = "Command that waits for its parameter"),
    STATE(Ps2Keyboard, leds, .max = 7, .bits = "SCROLL NUM CAPS"),
    STATE(Ps2Keyboard, typematic, .reset = DEFAULT_TYPEMATIC, .max = 0x7f, .doc = "Repeat rate and delay"),
    STATE(Ps2Keyboard, disabled, .doc = "Scanning is off"),
    STATES(Ps2Keyboard, kind, .max = KIND_REPEAT | KIND_BREAK, .doc = "Set 3: what each key sends"),
    STATES(Ps2Keyboard, pressed, .doc = "Keys held, a bit for each key code"),
    STATE(Ps2Keyboard, repeated, .max = KEY_CODES - 1, .doc = "Key that repeats"),
    TIMER(Ps2Keyboard, repeat, repeat_fire, .doc = "Next repetition"),
    END
};
// clang-format on

static void keyboard_reset(void *dev, bool power_on)
{
    Ps2Keyboard *s = dev;
    defaults(s);
    set_leds(s, 0);
}

static bool keyboard_realize(void *dev, GError **error)
{
    static const InputSink sink = {.name = "PS/2 keyboard", .keyboard = true, .key = keyboard_key};
    input_add(&sink, dev);
    return true;
}

static void keyboard_unrealize(void *dev)
{
    input_remove(dev);
}

const DeviceClass ps2_keyboard_class = {
    .name = "ps2-kbd",
    .doc = "PS/2 keyboard",
    .category = "input",
    .internal = true,
    .size = sizeof(Ps2Keyboard),
    .rows = rows,
    .realize = keyboard_realize,
    .unrealize = keyboard_unrealize,
    .reset = keyboard_reset,
};
