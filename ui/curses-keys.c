#include "ui/curses-keys.h"

#include <stdio.h>
#include <string.h>

#include "ui/input.h"

enum { HOLD_MS = 8 };
enum { MOD_SHIFT = 1, MOD_ALT = 2, MOD_CTRL = 4 };

static void build(CursesKey *k, unsigned mods, KeyCode key)
{
    k->n = 0;
    if (mods & MOD_CTRL) {
        k->keys[k->n++] = KEY_CTRL;
    }
    if (mods & MOD_ALT) {
        k->keys[k->n++] = KEY_ALT;
    }
    if (mods & MOD_SHIFT) {
        k->keys[k->n++] = KEY_SHIFT;
    }
    k->keys[k->n++] = key;
}

static bool character(unsigned code, bool alt, CursesKey *k)
{
    unsigned mods = alt ? MOD_ALT : 0;
    KeyCode key;
    bool shift;
    if (code > 0x7f) {
        return false; /* no key of a US keyboard types it */
    }
    char ch = (char)code;
    if (code < 0x20 && ch != '\r' && ch != '\n' && ch != '\t' && ch != 0x1b && ch != '\b') {
        /* Control characters are letters and a few others, 40h below them; NUL is Ctrl-2. */
        mods |= MOD_CTRL;
        ch = (char)(code ? code + (code <= 26 ? 0x60 : 0x40) : '2');
    }
    if (!key_for_char(ch, &key, &shift)) {
        return false;
    }
    build(k, mods | (shift ? MOD_SHIFT : 0), key);
    snprintf(k->text, sizeof k->text, "%s%c", alt ? "\033" : "", (char)code);
    return true;
}

/* Terminals number F1 to F12 with Shift, Ctrl, Ctrl-Shift and Alt on from 13. */
static bool function_key(unsigned n, unsigned mods, CursesKey *k)
{
    static const uint8_t banks[] = {0,       MOD_SHIFT,          MOD_CTRL, MOD_CTRL | MOD_SHIFT,
                                    MOD_ALT, MOD_ALT | MOD_SHIFT};
    static const KeyCode keys[12] = {KEY_F1, KEY_F2, KEY_F3, KEY_F4,  KEY_F5,  KEY_F6,
                                     KEY_F7, KEY_F8, KEY_F9, KEY_F10, KEY_F11, KEY_F12};
    if (n < 1 || (n - 1) / 12 >= sizeof banks) {
        return false;
    }
    build(k, mods | banks[(n - 1) / 12], keys[(n - 1) % 12]);
    return true;
}

bool curses_key(bool function, unsigned code, const char *name, bool alt, CursesKey *k)
{
    /* Names of terminfo: the plain key, with Shift, and the extended one that a modifier's digit
     * follows. */
    static const struct {
        const char *plain, *shifted, *extended;
        KeyCode key;
        const char *text;
    } named[] = {
        {"KEY_UP", "KEY_SR", "kUP", KEY_UP, "\033[A"},
        {"KEY_DOWN", "KEY_SF", "kDN", KEY_DOWN, "\033[B"},
        {"KEY_RIGHT", "KEY_SRIGHT", "kRIT", KEY_RIGHT, "\033[C"},
        {"KEY_LEFT", "KEY_SLEFT", "kLFT", KEY_LEFT, "\033[D"},
        {"KEY_HOME", "KEY_SHOME", "kHOM", KEY_HOME, "\033[H"},
        {"KEY_END", "KEY_SEND", "kEND", KEY_END, "\033[F"},
        {"KEY_PPAGE", "KEY_SPREVIOUS", "kPRV", KEY_PGUP, "\033[5~"},
        {"KEY_NPAGE", "KEY_SNEXT", "kNXT", KEY_PGDN, "\033[6~"},
        {"KEY_IC", "KEY_SIC", "kIC", KEY_INSERT, "\033[2~"},
        {"KEY_DC", "KEY_SDC", "kDC", KEY_DELETE, "\033[3~"},
        {"KEY_BACKSPACE", NULL, NULL, KEY_BACKSPACE, "\177"},
        {"KEY_ENTER", NULL, NULL, KEY_RET, "\r"},
        {"KEY_BTAB", NULL, NULL, KEY_TAB, "\033[Z"},
        {"KEY_B2", NULL, NULL, KEY_KP_5, ""},
        {"KEY_PRINT", NULL, NULL, KEY_PRINT, ""},
        {"KEY_SUSPEND", NULL, NULL, KEY_PAUSE, ""},
    };
    unsigned mods = alt ? MOD_ALT : 0, n;
    memset(k, 0, sizeof *k);
    if (!function) {
        return character(code, alt, k);
    }
    if (!name) {
        return false;
    }
    if (sscanf(name, "KEY_F(%u)", &n) == 1) {
        return function_key(n, mods, k);
    }
    for (unsigned i = 0; i < sizeof named / sizeof named[0]; i++) {
        size_t len = named[i].extended ? strlen(named[i].extended) : 0;
        if (!strcmp(name, named[i].plain)) {
            build(k, mods | (named[i].key == KEY_TAB ? MOD_SHIFT : 0), named[i].key);
        } else if (named[i].shifted && !strcmp(name, named[i].shifted)) {
            build(k, mods | MOD_SHIFT, named[i].key);
        } else if (len && !strncmp(name, named[i].extended, len) &&
                   (name[len] == 0 || (name[len] >= '2' && name[len] <= '8'))) {
            /* xterm: 2 is Shift; from there on a bit each for Shift, Alt, Ctrl, less one */
            build(k, mods | (name[len] ? (unsigned)(name[len] - '1') : MOD_SHIFT), named[i].key);
        } else {
            continue;
        }
        g_strlcpy(k->text, named[i].text, sizeof k->text);
        return true;
    }
    return false;
}

void curses_key_send(const CursesKey *key)
{
    KeyCode codes[G_N_ELEMENTS(key->keys)];
    for (unsigned i = 0; i < key->n; i++) {
        codes[i] = (KeyCode)key->keys[i];
    }
    input_send_keys(codes, key->n, HOLD_MS);
}
