/* Input: keys and pointers from people (or QMP) to devices.  Main lock held.
 * Keys are named by QKeyCode, the schema's enumeration ("a", "ret", "kp_enter", "ctrl" ...). */
#ifndef UI_INPUT_H
#define UI_INPUT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum KeyCode {
#define KEY(id, name, number) KEY_##id,
#include "ui/keycodes.def"
#undef KEY
    KEY_CODES
} KeyCode;
const char *key_name(KeyCode key);
int key_find(const char *name);         /* -1 */
/* XT set 1 number (0x1c; extended keys as 0xe0xx or with bit 7), as send-key's {"type":"number"} gives it. -1: none */
int key_from_number(unsigned number);
unsigned key_number(KeyCode key);       /* set 1, 0xe0 in the high byte when extended; 0: none */
/* The key (and whether Shift is needed) that types an ASCII character on a US keyboard. False: none. */
bool key_for_char(char ch, KeyCode *key, bool *shift);

typedef enum PointerButton { BUTTON_LEFT, BUTTON_MIDDLE, BUTTON_RIGHT, BUTTON_WHEEL_UP, BUTTON_WHEEL_DOWN, BUTTON_SIDE,
                             BUTTON_EXTRA, BUTTON_WHEEL_LEFT, BUTTON_WHEEL_RIGHT, BUTTONS } PointerButton;
enum { AXIS_X, AXIS_Y };
enum { INPUT_ABS_MAX = 0x7fff };

/* A device that takes input.  The last realized keyboard gets the keys; positions go to the last realized absolute
 * device, movements to the last relative one, buttons to the absolute one if there is any. */
typedef struct InputSink {
    const char *name;                   /* "PS/2 keyboard" */
    bool keyboard, relative, absolute;
    void (*key)(void *arg, KeyCode key, bool down);
    void (*button)(void *arg, PointerButton button, bool down);
    void (*rel)(void *arg, int axis, int delta);
    void (*abs)(void *arg, int axis, int value);        /* 0 .. INPUT_ABS_MAX */
    void (*sync)(void *arg);            /* end of a group of events */
} InputSink;
void input_add(const InputSink *sink, void *arg);
void input_remove(void *arg);
bool input_has_absolute(void);
/* Every sink in order of realization; current: it gets the keys or the movements. */
void input_foreach(void (*fn)(void *arg, const InputSink *sink, bool current), void *arg);

void input_key(KeyCode key, bool down);
void input_button(PointerButton button, bool down);
void input_rel(int axis, int delta);
void input_abs(int axis, int value);
void input_sync(void);
/* Press all keys in order, hold them `hold_ms` (0: 100) of guest time, release in reverse, pause as long; calls queue
 * behind one another.  False: the queue is full. */
bool input_send_keys(const KeyCode *keys, unsigned n, unsigned hold_ms);
bool input_typing(void);                /* such groups are not finished */
/* Lock lights, from the keyboard device to whoever shows them. */
enum { LED_SCROLL = 1, LED_NUM = 2, LED_CAPS = 4 };
void input_set_leds(unsigned leds);
unsigned input_leds(void);

#endif
