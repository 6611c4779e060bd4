/* PS/2 mouse: three buttons, with a wheel (IntelliMouse), or with five buttons (IntelliMouse
 * Explorer).
 *
 * After the IBM PS/2 Hardware Interface Technical Reference (1988), "Auxiliary Device", and
 * Microsoft's description of the sample rates by which a driver makes the mouse show what else it
 * can do. */
#include "hw/input/ps2.h"

enum { /* commands */
       SCALING_1 = 0xe6,
       SCALING_2 = 0xe7,
       SET_RESOLUTION = 0xe8,
       STATUS = 0xe9,
       STREAM = 0xea,
       READ_DATA = 0xeb,
       WRAP_OFF = 0xec,
       WRAP_ON = 0xee,
       REMOTE = 0xf0,
       READ_ID = 0xf2,
       SET_RATE = 0xf3,
       ENABLE = 0xf4,
       DISABLE = 0xf5,
       DEFAULTS = 0xf6,
       RESEND = 0xfe,
       RESET = 0xff,
};
enum { LEFT = 1, RIGHT = 2, MIDDLE = 4, SIDE = 8, EXTRA = 16 };
enum { ID_PLAIN = 0, ID_WHEEL = 3, ID_EXPLORER = 4 };
enum { MAX_MOVE = 1 << 20, MAX_STEP = 255 };

static uint8_t visible_buttons(const Ps2Mouse *s)
{
    return s->buttons & (s->id == ID_EXPLORER ? 0x1f : 0x07);
}

/* Scaling 2:1 of the reference's table; it is for stream mode only. */
static int scaled(const Ps2Mouse *s, int v)
{
    static const uint8_t table[] = {0, 1, 1, 3, 6, 9};
    int size = ABS(v);

    if (!s->scaling || s->remote) {
        return v;
    }
    size = size < (int)G_N_ELEMENTS(table) ? table[size] : MIN(2 * size, MAX_STEP);
    return v < 0 ? -size : size;
}

static int take_step(int32_t *sum, int min, int max)
{
    int step = CLAMP(*sum, min, max);
    *sum -= step;
    return step;
}

/* The packet for what happened since the last one. */
static unsigned make_packet(Ps2Mouse *s, uint8_t packet[4])
{
    int dx = scaled(s, take_step(&s->dx, -MAX_STEP, MAX_STEP)),
        dy = scaled(s, take_step(&s->dy, -MAX_STEP, MAX_STEP));

    packet[0] = 0x08 | (s->buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0);
    packet[1] = dx;
    packet[2] = dy;
    if (s->id == ID_WHEEL) {
        packet[3] = take_step(&s->dz, -127, 127);
    } else if (s->id == ID_EXPLORER) {
        packet[3] = (take_step(&s->dz, -8, 7) & 0x0f) | (s->buttons & SIDE ? 0x10 : 0) |
                    (s->buttons & EXTRA ? 0x20 : 0);
    } else {
        s->dz = 0;
    }
    s->told = visible_buttons(s);
    s->poked = false;
    return s->id >= ID_WHEEL ? 4 : 3;
}

static bool has_news(const Ps2Mouse *s)
{
    return s->poked || s->dx || s->dy || (s->id >= ID_WHEEL && s->dz) || visible_buttons(s) != s->told;
}

static bool streaming(const Ps2Mouse *s)
{
    return s->enabled && !s->remote && !s->wrap;
}

static void queue_packet(Ps2Mouse *s)
{
    uint8_t packet[4];

    if (s->out.events + sizeof(packet) <= PS2_EVENTS) {
        unsigned n = make_packet(s, packet);
        ps2_event(&s->out, packet, n);
        timer_at(&s->sample, now(&s->dev) + NS_PER_SECOND / MAX(s->rate, 10));
    }
}

bool ps2_mouse_take(Ps2Mouse *s, uint8_t *byte)
{
    if (!s->out.replies && !s->out.events && streaming(s) && has_news(s) &&
        !timer_pending(&s->sample)) {
        queue_packet(s);
    }
    return ps2_take(&s->out, byte);
}

static void sample_fire(void *dev, unsigned i) {}

/* ---- What a person does ---- */

static void mouse_button(void *arg, PointerButton button, bool down)
{
    static const uint8_t bits[BUTTONS] = {[BUTTON_LEFT] = LEFT,
                                          [BUTTON_MIDDLE] = MIDDLE,
                                          [BUTTON_RIGHT] = RIGHT,
                                          [BUTTON_SIDE] = SIDE,
                                          [BUTTON_EXTRA] = EXTRA};
    Ps2Mouse *s = arg;

    if (button == BUTTON_WHEEL_UP || button == BUTTON_WHEEL_DOWN) {
        if (down && (s->enabled || s->remote)) { /* positive is towards the person */
            s->dz = CLAMP(s->dz + (button == BUTTON_WHEEL_DOWN ? 1 : -1), -MAX_MOVE, MAX_MOVE);
        }
        return;
    }
    if (button >= BUTTONS) {
        return;
    }
    /* A click shorter than a sample still is a click. */
    if (streaming(s) && visible_buttons(s) != s->told) {
        queue_packet(s);
    }
    s->buttons = down ? s->buttons | bits[button] : s->buttons & ~bits[button];
}

static void mouse_rel(void *arg, int axis, int delta)
{
    Ps2Mouse *s = arg;
    delta = CLAMP(delta, -MAX_MOVE, MAX_MOVE);

    if (!s->enabled && !s->remote) {
        return;
    }
    if (axis == AXIS_X) {
        s->dx = CLAMP(s->dx + delta, -MAX_MOVE, MAX_MOVE);
    } else {
        s->dy = CLAMP(s->dy - delta, -MAX_MOVE, MAX_MOVE); /* up is positive */
    }
}

static void mouse_sync(void *arg)
{
    device_settle(&((Ps2Mouse *)arg)->dev);
}

/* ---- Commands ---- */

static void forget(Ps2Mouse *s)
{
    s->dx = s->dy = s->dz = 0;
    s->poked = false;
    s->told = visible_buttons(s);
    s->out.events = 0;
    timer_off(&s->sample);
}

static void defaults(Ps2Mouse *s)
{
    s->rate = 100;
    s->resolution = 2;
    s->scaling = 0;
    s->enabled = s->remote = s->wrap = false;
    forget(s);
}

static void set_rate(Ps2Mouse *s, uint8_t rate)
{
    if (rate == 80 && s->knock[0] == 200) {
        s->id = s->knock[1] == 100 ? ID_WHEEL : s->knock[1] == 200 ? ID_EXPLORER : s->id;
    }
    s->knock[0] = s->knock[1];
    s->knock[1] = rate;
    s->rate = MAX(rate, 10);
}

static void reply_status(Ps2Mouse *s)
{
    uint8_t b = s->buttons;
    ps2_reply(&s->out, s->remote << 6 | s->enabled << 5 | s->scaling << 4 | (b & LEFT ? 4 : 0) |
                           (b & MIDDLE ? 2 : 0) | (b & RIGHT ? 1 : 0));
    ps2_reply(&s->out, s->resolution);
    ps2_reply(&s->out, s->rate);
}

static void reply_data(Ps2Mouse *s)
{
    uint8_t packet[4];
    unsigned n = make_packet(s, packet);
    for (unsigned i = 0; i < n; i++) {
        ps2_reply(&s->out, packet[i]);
    }
}

static void reset_command(Ps2Mouse *s)
{
    s->id = ID_PLAIN;
    s->knock[0] = s->knock[1] = 0;
    defaults(s);
    ps2_reply(&s->out, PS2_BAT_OK);
    ps2_reply(&s->out, s->id);
}

static void command_write(Ps2Mouse *s, uint8_t v)
{
    bool known = (v >= SCALING_1 && v <= WRAP_OFF) || v == WRAP_ON || v == REMOTE ||
                 (v >= READ_ID && v <= DEFAULTS) || v == RESET;

    ps2_reply(&s->out, known ? PS2_ACK : PS2_RESEND);
    switch (v) {
    case SCALING_1:
    case SCALING_2: s->scaling = v == SCALING_2; break;
    case SET_RESOLUTION:
    case SET_RATE: s->command = v; break;
    case STATUS: reply_status(s); break;
    case READ_DATA: reply_data(s); break;
    case READ_ID: ps2_reply(&s->out, s->id); break;
    case STREAM:
    case REMOTE:
        s->remote = v == REMOTE;
        forget(s);
        break;
    case WRAP_ON:
    case WRAP_OFF: s->wrap = v == WRAP_ON; break;
    case ENABLE:
    case DISABLE:
        s->enabled = v == ENABLE;
        forget(s);
        break;
    case DEFAULTS: defaults(s); break;
    case RESET: reset_command(s); break;
    default: break;
    }
}

void ps2_mouse_write(Ps2Mouse *s, uint8_t v)
{
    uint8_t command = s->command;

    s->out.replies = s->out.events = 0; /* a command ends whatever was being sent */
    s->command = 0;
    if (s->wrap && v != WRAP_OFF && v != RESET) {
        ps2_reply(&s->out, v);
    } else if (command == SET_RATE && v < SCALING_1) {
        set_rate(s, v);
        ps2_reply(&s->out, PS2_ACK);
    } else if (command == SET_RESOLUTION && v < SCALING_1) {
        s->resolution = v & 3;
        ps2_reply(&s->out, v <= 3 ? PS2_ACK : PS2_RESEND);
    } else if (v == RESEND) {
        ps2_reply(&s->out, s->out.last);
    } else {
        command_write(s, v);
    }
}

// clang-format off
static const Row rows[] = {
    PS2_OUT_ROWS(Ps2Mouse),
    STATE(Ps2Mouse, id, .max = ID_EXPLORER, .doc = "Kind of mouse that the driver asked for"),
    STATE(Ps2Mouse, command, .doc = "Command that waits for its parameter"),
    STATE(Ps2Mouse, rate, .reset = 100, .doc = "Samples a second"),
    STATE(Ps2Mouse, resolution, .reset = 2, .max = 3),
    STATE(Ps2Mouse, scaling, .max = 1, .doc = "1: 2:1"),
    STATES(Ps2Mouse, knock, .doc = "Last sample rates"),
    STATE(Ps2Mouse, enabled),
    STATE(Ps2Mouse, remote),
    STATE(Ps2Mouse, wrap),
    STATE(Ps2Mouse, buttons, .max = 0x1f, .bits = "LEFT RIGHT MIDDLE SIDE EXTRA"),
    STATE(Ps2Mouse, told, .max = 0x1f),
    STATE(Ps2Mouse, dx, .max = MAX_MOVE),
    STATE(Ps2Mouse, dy, .max = MAX_MOVE),
    STATE(Ps2Mouse, dz, .max = MAX_MOVE),
    STATE(Ps2Mouse, poked),
    TIMER(Ps2Mouse, sample, sample_fire, .doc = "No packet before"),
    END
};
// clang-format on

static bool mouse_realize(void *dev, GError **error)
{
    static const InputSink sink = {.name = "PS/2 mouse",
                                   .relative = true,
                                   .button = mouse_button,
                                   .rel = mouse_rel,
                                   .sync = mouse_sync};
    input_add(&sink, dev);
    return true;
}

static void mouse_unrealize(void *dev)
{
    input_remove(dev);
}

const DeviceClass ps2_mouse_class = {
    .name = "ps2-mouse",
    .doc = "PS/2 mouse",
    .category = "input",
    .internal = true,
    .size = sizeof(Ps2Mouse),
    .rows = rows,
    .realize = mouse_realize,
    .unrealize = mouse_unrealize,
};
