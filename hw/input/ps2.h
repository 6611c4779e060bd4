/* PS/2 keyboard and mouse: parts of whoever drives their two wires (the i8042).
 *
 * The host writes a byte with ..._write and takes answers and events, in order, with ..._take.  Neither device calls its
 * whole: after an event from a person they settle it, and it comes and takes. */
#ifndef HW_INPUT_PS2_H
#define HW_INPUT_PS2_H

#include "hw/device.h"
#include "ui/input.h"

enum { PS2_ACK = 0xfa, PS2_RESEND = 0xfe, PS2_BAT_OK = 0xaa };
enum { PS2_REPLIES = 8, PS2_EVENTS = 64, PS2_SET3_CODES = 0x90 };

/* What a device has to say: answers to commands go before events. */
typedef struct Ps2Out {
    uint8_t reply[PS2_REPLIES], event[PS2_EVENTS];
    uint8_t replies, events;
    uint8_t last;                       /* for "resend" */
} Ps2Out;
#define PS2_OUT_ROWS(T)                                                                                                \
    STATE(T, out.replies, .max = PS2_REPLIES), STATE(T, out.events, .max = PS2_EVENTS),                                \
        QUEUE(T, out.reply, out.replies), QUEUE(T, out.event, out.events), STATE(T, out.last)

void ps2_reply(Ps2Out *out, uint8_t byte);      /* lost when the host has not taken eight before */
bool ps2_event(Ps2Out *out, const uint8_t *bytes, unsigned n);  /* false: no room, nothing is queued */
bool ps2_take(Ps2Out *out, uint8_t *byte);      /* false: nothing to say */
void ps2_clear(Ps2Out *out);

typedef struct Ps2Keyboard {
    Device dev;
    Ps2Out out;
    uint8_t set;                        /* scan code set, 1..3 */
    uint8_t command;                    /* the command whose parameter comes next */
    uint8_t leds, typematic;
    bool disabled;
    uint8_t kind[PS2_SET3_CODES];       /* set 3: what each key does, KIND_* */
    uint8_t pressed[(KEY_CODES + 7) / 8];
    uint16_t repeated;                  /* KeyCode of the last key, while it is held */
    Timer repeat;
} Ps2Keyboard;
extern const DeviceClass ps2_keyboard_class;
void ps2_keyboard_write(Ps2Keyboard *s, uint8_t byte);
bool ps2_keyboard_take(Ps2Keyboard *s, uint8_t *byte);

typedef struct Ps2Mouse {
    Device dev;
    Ps2Out out;
    uint8_t id;                         /* 0: three buttons, 3: wheel, 4: five buttons */
    uint8_t command, rate, resolution, scaling;
    uint8_t knock[2];                   /* the two sample rates set before the last */
    bool enabled, remote, wrap;
    uint8_t buttons, told;              /* as they are; as the host knows them */
    int32_t dx, dy, dz;                 /* since the last packet */
    bool poked;                         /* a packet is due, whether or not anything happened */
    Timer sample;                       /* no packet before */
} Ps2Mouse;
extern const DeviceClass ps2_mouse_class;
void ps2_mouse_write(Ps2Mouse *s, uint8_t byte);
bool ps2_mouse_take(Ps2Mouse *s, uint8_t *byte);

extern const DeviceClass i8042_class;
/* The mouse behind the controller sends a packet as soon as it may, so that its driver looks (VMware's mouse has no
 * interrupt of its own). */
void i8042_poke_mouse(Device *i8042);

#endif
