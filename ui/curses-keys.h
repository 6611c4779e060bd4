/* What the keys of a terminal mean to a machine. */
#ifndef UI_CURSES_KEYS_H
#define UI_CURSES_KEYS_H

#include <stdbool.h>
#include <stdint.h>

/* Without ui/input.h, which has names in common with curses.h. */
typedef struct CursesKey {
    uint16_t keys[4];                   /* KeyCode, modifiers first */
    unsigned n;
    char text[8];                       /* what a terminal would send to a program, for virtual consoles */
} CursesKey;

/* A wide character (`function` false) or one of curses' key codes with its name ("KEY_F(1)", "kLFT5"); `alt`: Escape came
 * right before it.  False: it means nothing. */
bool curses_key(bool function, unsigned code, const char *name, bool alt, CursesKey *key);
/* Press and release it on the machine's keyboard. */
void curses_key_send(const CursesKey *key);

#endif
