/* Routing of keys and pointers, and the queue of typed key groups. */
#include "ui/input.h"

#include <string.h>

#include "core/clock.h"

typedef struct KeyInfo {
    const char *name;
    unsigned number;
} KeyInfo;

static const KeyInfo keys[KEY_CODES] = {
#define KEY(id, name, number) [KEY_##id] = {name, number},
#include "ui/keycodes.def"
#undef KEY
};

const char *key_name(KeyCode key)
{
    return (unsigned)key < KEY_CODES ? keys[key].name : "unmapped";
}

int key_find(const char *name)
{
    for (int i = 0; i < KEY_CODES; i++) {
        if (!strcmp(keys[i].name, name)) {
            return i;
        }
    }
    return -1;
}

int key_from_number(unsigned number)
{
    /* Monitor clients also write the prefix as bit 7: 0xc8 is 0xe048. */
    if (number >= 0x80 && number <= 0xff) {
        number = 0xe000 | (number & 0x7f);
    }
    for (int i = 1; i < KEY_CODES; i++) {
        if (keys[i].number == number) {
            return i;
        }
    }
    return -1;
}

unsigned key_number(KeyCode key)
{
    return (unsigned)key < KEY_CODES ? keys[key].number : 0;
}

bool key_for_char(char ch, KeyCode *key, bool *shift)
{
    /* The US layout: what each key types alone and with Shift. */
    static const struct {
        char plain, shifted;
        uint8_t key;
    } layout[] = {
        {'1', '!', KEY_1},
        {'2', '@', KEY_2},
        {'3', '#', KEY_3},
        {'4', '$', KEY_4},
        {'5', '%', KEY_5},
        {'6', '^', KEY_6},
        {'7', '&', KEY_7},
        {'8', '*', KEY_8},
        {'9', '(', KEY_9},
        {'0', ')', KEY_0},
        {'-', '_', KEY_MINUS},
        {'=', '+', KEY_EQUAL},
        {'q', 'Q', KEY_Q},
        {'w', 'W', KEY_W},
        {'e', 'E', KEY_E},
        {'r', 'R', KEY_R},
        {'t', 'T', KEY_T},
        {'y', 'Y', KEY_Y},
        {'u', 'U', KEY_U},
        {'i', 'I', KEY_I},
        {'o', 'O', KEY_O},
        {'p', 'P', KEY_P},
        {'a', 'A', KEY_A},
        {'s', 'S', KEY_S},
        {'d', 'D', KEY_D},
        {'f', 'F', KEY_F},
        {'g', 'G', KEY_G},
        {'h', 'H', KEY_H},
        {'j', 'J', KEY_J},
        {'k', 'K', KEY_K},
        {'l', 'L', KEY_L},
        {'z', 'Z', KEY_Z},
        {'x', 'X', KEY_X},
        {'c', 'C', KEY_C},
        {'v', 'V', KEY_V},
        {'b', 'B', KEY_B},
        {'n', 'N', KEY_N},
        {'m', 'M', KEY_M},
        {'[', '{', KEY_BRACKET_LEFT},
        {']', '}', KEY_BRACKET_RIGHT},
        {';', ':', KEY_SEMICOLON},
        {'\'', '"', KEY_APOSTROPHE},
        {'`', '~', KEY_GRAVE_ACCENT},
        {'\\', '|', KEY_BACKSLASH},
        {',', '<', KEY_COMMA},
        {'.', '>', KEY_DOT},
        {'/', '?', KEY_SLASH},
        {' ', 0, KEY_SPC},
        {'\n', 0, KEY_RET},
        {'\r', 0, KEY_RET},
        {'\t', 0, KEY_TAB},
        {'\b', 0, KEY_BACKSPACE},
        {0x7f, 0, KEY_BACKSPACE},
        {0x1b, 0, KEY_ESC},
    };
    for (unsigned i = 0; ch && i < G_N_ELEMENTS(layout); i++) {
        if (layout[i].plain == ch || layout[i].shifted == ch) {
            *key = (KeyCode)layout[i].key;
            *shift = layout[i].shifted == ch;
            return true;
        }
    }
    return false;
}

/* ---- Routing ---- */

typedef struct Sink {
    const InputSink *ops;
    void *arg;
    bool touched; /* got events since the last sync */
} Sink;

static GArray *sinks; /* of Sink, in order of realization */

void input_add(const InputSink *sink, void *arg)
{
    if (!sinks) {
        sinks = g_array_new(FALSE, TRUE, sizeof(Sink));
    }
    Sink s = {.ops = sink, .arg = arg};
    g_array_append_val(sinks, s);
}

void input_remove(void *arg)
{
    for (unsigned i = sinks ? sinks->len : 0; i-- > 0;) {
        if (g_array_index(sinks, Sink, i).arg == arg) {
            g_array_remove_index(sinks, i);
        }
    }
}

typedef enum Want { WANT_KEYBOARD, WANT_RELATIVE, WANT_ABSOLUTE } Want;

static Sink *sink_find(Want want)
{
    for (unsigned i = sinks ? sinks->len : 0; i-- > 0;) {
        Sink *s = &g_array_index(sinks, Sink, i);
        if (want == WANT_KEYBOARD   ? s->ops->keyboard
            : want == WANT_RELATIVE ? s->ops->relative
                                    : s->ops->absolute) {
            return s;
        }
    }
    return NULL;
}

bool input_has_absolute(void)
{
    return sink_find(WANT_ABSOLUTE) != NULL;
}

void input_foreach(void (*fn)(void *arg, const InputSink *sink, bool current), void *arg)
{
    const Sink *pointer = sink_find(input_has_absolute() ? WANT_ABSOLUTE : WANT_RELATIVE);
    for (unsigned i = 0; sinks && i < sinks->len; i++) {
        const Sink *s = &g_array_index(sinks, Sink, i);
        fn(arg, s->ops, s == pointer || s == sink_find(WANT_KEYBOARD));
    }
}

void input_key(KeyCode key, bool down)
{
    Sink *s = sink_find(WANT_KEYBOARD);
    if (s && s->ops->key && key != KEY_UNMAPPED && (unsigned)key < KEY_CODES) {
        s->touched = true;
        s->ops->key(s->arg, key, down);
    }
}

void input_button(PointerButton button, bool down)
{
    Sink *s = sink_find(WANT_ABSOLUTE);
    if (!s) {
        s = sink_find(WANT_RELATIVE);
    }
    if (s && s->ops->button && (unsigned)button < BUTTONS) {
        s->touched = true;
        s->ops->button(s->arg, button, down);
    }
}

void input_rel(int axis, int delta)
{
    Sink *s = sink_find(WANT_RELATIVE);
    if (s && s->ops->rel) {
        s->touched = true;
        s->ops->rel(s->arg, axis, delta);
    }
}

void input_abs(int axis, int value)
{
    Sink *s = sink_find(WANT_ABSOLUTE);
    if (s && s->ops->abs) {
        s->touched = true;
        s->ops->abs(s->arg, axis, CLAMP(value, 0, INPUT_ABS_MAX));
    }
}

void input_sync(void)
{
    for (unsigned i = 0; sinks && i < sinks->len; i++) {
        Sink *s = &g_array_index(sinks, Sink, i);
        if (s->touched) {
            s->touched = false;
            if (s->ops->sync) {
                s->ops->sync(s->arg);
            }
        }
    }
}

static unsigned lock_leds;

void input_set_leds(unsigned leds)
{
    lock_leds = leds;
}

unsigned input_leds(void)
{
    return lock_leds;
}

/* ---- Typed groups ----
 * Times are the guest's: while the machine stands still no key goes up, so a key is held as long as
 * asked however slow the guest is, and a clock moved by hand types too. */

enum { QUEUE_MAX = 4096, HOLD_DEFAULT_MS = 100 };

typedef struct KeyGroup {
    unsigned n, hold_ms;
    KeyCode keys[];
} KeyGroup;

static GQueue typing = G_QUEUE_INIT; /* the head is being typed */
static Timer typing_timer;
static bool typing_down; /* the head's keys are down; else the pause behind them runs */

static void group_press(const KeyGroup *g)
{
    for (unsigned i = 0; i < g->n; i++) {
        input_key(g->keys[i], true);
    }
    input_sync();
    typing_down = true;
    timer_at(&typing_timer, clock_now(CLOCK_VIRTUAL) + g->hold_ms * NS_PER_MS);
}

static void typing_step(void *arg)
{
    KeyGroup *g = g_queue_peek_head(&typing);
    if (typing_down) {
        for (unsigned i = g->n; i-- > 0;) {
            input_key(g->keys[i], false);
        }
        input_sync();
        typing_down = false;
        /* A pause as long as the press, so that a guest that samples the keys sees a repeated one.
         */
        timer_at(&typing_timer, clock_now(CLOCK_VIRTUAL) + g->hold_ms * NS_PER_MS);
        return;
    }
    g_free(g_queue_pop_head(&typing));
    g = g_queue_peek_head(&typing);
    if (g) {
        group_press(g);
    }
}

bool input_send_keys(const KeyCode *codes, unsigned n, unsigned hold_ms)
{
    if (!n) {
        return true;
    }
    if (g_queue_get_length(&typing) >= QUEUE_MAX) {
        return false;
    }
    if (!typing_timer.fire) {
        timer_init(&typing_timer, CLOCK_VIRTUAL, typing_step, NULL);
    }
    KeyGroup *g = g_malloc(sizeof *g + n * sizeof g->keys[0]);
    g->n = n;
    g->hold_ms = hold_ms ? hold_ms : HOLD_DEFAULT_MS;
    memcpy(g->keys, codes, n * sizeof codes[0]);
    bool idle = g_queue_is_empty(&typing);
    g_queue_push_tail(&typing, g);
    if (idle) {
        group_press(g);
    }
    return true;
}

bool input_typing(void)
{
    return !g_queue_is_empty(&typing);
}
