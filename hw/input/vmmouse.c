/* VMware's mouse (the protocol is that of the free drivers for it: xf86-input-vmmouse, Linux
 * drivers/input/mouse/vmmouse.c).
 *
 * The driver enables it, finds its version in the queue, and asks for absolute positions; each
 * event is a packet of four words.  It learns of news by the interrupt of the PS/2 mouse. */
#include "hw/input/vmmouse.h"

#include <string.h>

#include "ui/input.h"

enum { DATA = 39, STATUS = 40, COMMAND = 41 };
enum { /* COMMAND, in EBX */
       ENABLE = 0x45414552,
       DISABLE = 0xf5,
       RELATIVE = 0x4c455252,
       ABSOLUTE = 0x53424152
};
enum { VERSION_ID = 0x3442554a, PACKET = 4, WORDS = 256, MOST_WORDS = 6 };
enum { LEFT = 0x20, RIGHT = 0x10, MIDDLE = 0x08, IS_RELATIVE = 0x10000 };
enum { ERROR = 0xffff, ABS_MAX = 0xffff };

typedef struct Vmmouse {
    Device dev;
    uint32_t queue[WORDS];
    uint16_t words, status;
    bool enabled, absolute;
    uint8_t buttons;
    int32_t x, y, dz; /* of the event that is being put together; relative: movements */
    bool changed;
    Irq news;
    const InputSink *sink; /* what it listens as; NULL: it does not */
} Vmmouse;

static void clear(Vmmouse *s)
{
    memset(s->queue, 0, sizeof s->queue);
    s->words = 0;
    s->dz = 0;
    s->changed = false;
}

static void push(Vmmouse *s, uint32_t word)
{
    s->queue[s->words++] = word;
}

/* ---- What a person does ---- */

static void button(void *arg, PointerButton which, bool down)
{
    static const uint8_t bits[BUTTONS] = {
        [BUTTON_LEFT] = LEFT, [BUTTON_RIGHT] = RIGHT, [BUTTON_MIDDLE] = MIDDLE};
    Vmmouse *s = arg;
    if (which == BUTTON_WHEEL_UP || which == BUTTON_WHEEL_DOWN) {
        s->dz += !down ? 0 : which == BUTTON_WHEEL_UP ? -1 : 1;
    } else {
        s->buttons = down ? s->buttons | bits[which] : s->buttons & (uint8_t)~bits[which];
    }
    s->changed = true;
}

static void absolute(void *arg, int axis, int value)
{
    Vmmouse *s = arg;
    int32_t place = value * ABS_MAX / INPUT_ABS_MAX;
    *(axis == AXIS_X ? &s->x : &s->y) = place;
    s->changed = true;
}

static void relative(void *arg, int axis, int delta)
{
    enum { MOST = 1 << 20 };
    Vmmouse *s = arg;
    int32_t *sum = axis == AXIS_X ? &s->x : &s->y;
    *sum = CLAMP(*sum + (axis == AXIS_X ? delta : -delta), -MOST, MOST);
    s->changed = true;
}

/* A full queue loses events, as a mouse that nobody reads does. */
static void group_ends(void *arg)
{
    Vmmouse *s = arg;
    if (!s->changed) {
        return;
    }
    s->changed = false;
    if (s->words + PACKET <= WORDS) {
        push(s, s->buttons | (s->absolute ? 0 : IS_RELATIVE));
        push(s, (uint32_t)s->x);
        push(s, (uint32_t)s->y);
        push(s, (uint32_t)s->dz);
        irq_set(&s->news, true);
        irq_set(&s->news, false);
    }
    s->dz = 0;
    if (!s->absolute) {
        s->x = s->y = 0;
    }
}

/* ---- The commands ---- */

static void get_status(void *arg, VmportRegs *r)
{
    Vmmouse *s = arg;
    r->eax = (uint32_t)s->status << 16 | s->words;
}

static void get_data(void *arg, VmportRegs *r)
{
    Vmmouse *s = arg;
    uint32_t *out[MOST_WORDS] = {&r->eax, &r->ebx, &r->ecx, &r->edx, &r->esi, &r->edi}, n = r->ebx;
    if (!n || n > MOST_WORDS || n > s->words) {
        guest_error(&s->dev, "%u words asked for, %u are there", n, s->words);
        s->status = ERROR;
        r->eax = UINT32_MAX;
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        *out[i] = s->queue[i];
    }
    s->words = (uint16_t)(s->words - n);
    memmove(s->queue, s->queue + n, s->words * sizeof s->queue[0]);
    memset(s->queue + s->words, 0, n * sizeof s->queue[0]);
}

static void command(void *arg, VmportRegs *r)
{
    Vmmouse *s = arg;
    switch (r->ebx) {
    case ENABLE:
        clear(s);
        s->status = 0;
        s->enabled = true;
        push(s, VERSION_ID);
        break;
    case DISABLE:
        clear(s);
        s->status = ERROR;
        s->enabled = s->absolute = false;
        break;
    case RELATIVE:
    case ABSOLUTE:
        clear(s);
        s->absolute = r->ebx == ABSOLUTE;
        s->x = s->y = 0;
        break;
    default: guest_error(&s->dev, "unknown command %08x", r->ebx);
    }
    device_settle(&s->dev);
}

void vmmouse_wire(Device *vmmouse, Device *vmport)
{
    vmport_offer(vmport, DATA, get_data, vmmouse);
    vmport_offer(vmport, STATUS, get_status, vmmouse);
    vmport_offer(vmport, COMMAND, command, vmmouse);
}

/* ---- The device ---- */

static void vmmouse_update(void *dev)
{
    static const InputSink places = {
        .name = "vmmouse", .absolute = true, .button = button, .abs = absolute, .sync = group_ends};
    static const InputSink movements = {
        .name = "vmmouse", .relative = true, .button = button, .rel = relative, .sync = group_ends};
    Vmmouse *s = dev;
    const InputSink *wanted = !s->enabled ? NULL : s->absolute ? &places : &movements;
    if (wanted != s->sink) {
        if (s->sink) {
            input_remove(s);
        }
        s->sink = wanted;
        if (wanted) {
            input_add(wanted, s);
        }
    }
}

static void vmmouse_unrealize(void *dev)
{
    Vmmouse *s = dev;
    if (s->sink) {
        input_remove(s);
        s->sink = NULL;
    }
}

// clang-format off
static const Row rows[] = {
    QUEUE(Vmmouse, queue, words, .doc = "What the driver may fetch"),
    STATE(Vmmouse, words, .max = WORDS),
    STATE(Vmmouse, status, .reset = ERROR),
    STATE(Vmmouse, enabled),
    STATE(Vmmouse, absolute),
    STATE(Vmmouse, buttons, .bits = "- - - MIDDLE RIGHT LEFT"),
    STATE(Vmmouse, x),
    STATE(Vmmouse, y),
    STATE(Vmmouse, dz),
    STATE(Vmmouse, changed),
    DERIVED(Vmmouse, sink),
    PIN(Vmmouse, news, "Pulses when there is something to fetch"),
    END
};
// clang-format on

const DeviceClass vmmouse_class = {
    .name = "vmmouse",
    .doc = "VMware's absolute mouse",
    .category = "input",
    .internal = true,
    .size = sizeof(Vmmouse),
    .rows = rows,
    .unrealize = vmmouse_unrealize,
    .update = vmmouse_update,
};
