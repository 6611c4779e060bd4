#include "hw/virtio/virtio-input.h"

#include <string.h>

#include "hw/virtio/virtqueue.h"

enum { EVENTS, STATUS_EVENTS };         /* §5.8.2 */
/* §5.8.4 */
enum { CFG_ID_NAME = 1, CFG_ID_SERIAL = 2, CFG_ID_DEVIDS = 3, CFG_EV_BITS = 0x11, CFG_ABS_INFO = 0x12, CFG_SIZE = 128 };
/* Linux' input-event-codes.h */
enum { EV_SYN = 0, EV_KEY = 1, EV_REL = 2, EV_ABS = 3, EV_LED = 0x11, EV_REP = 0x14 };
enum { REL_X, REL_Y, REL_HWHEEL = 6, REL_WHEEL = 8, ABS_X = 0, ABS_Y = 1, LED_NUML = 0, LED_CAPSL = 1, LED_SCROLLL = 2 };
enum { BTN_LEFT = 0x110, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA };
enum { BUS_VIRTUAL = 6, VENDOR = 0x0627, VERSION = 1, KEYBOARD = 1, MOUSE = 2, TABLET = 3 };

static const uint16_t button_codes[BUTTONS] = {[BUTTON_LEFT] = BTN_LEFT,
                                               [BUTTON_MIDDLE] = BTN_MIDDLE,
                                               [BUTTON_RIGHT] = BTN_RIGHT,
                                               [BUTTON_SIDE] = BTN_SIDE,
                                               [BUTTON_EXTRA] = BTN_EXTRA};

static unsigned kind(const VirtioInput *s)
{
    return s->v.dev.class == &virtio_keyboard_class ? KEYBOARD : s->v.dev.class == &virtio_mouse_class ? MOUSE : TABLET;
}

/* ---- What the driver may ask (§5.8.5): the answer, and its length ---- */

static void set_bit(uint8_t *map, unsigned bit, unsigned *len)
{
    map[bit / 8] |= (uint8_t)(1u << bit % 8);
    *len = MAX(*len, bit / 8 + 1);
}

static unsigned event_bits(const VirtioInput *s, unsigned type, uint8_t *out)
{
    unsigned len = 0, what = kind(s);
    if (type == EV_KEY && what == KEYBOARD) {
        for (unsigned key = 0; key < KEY_CODES; key++) {
            unsigned code = virtio_input_code((KeyCode)key);
            if (code) {
                set_bit(out, code, &len);
            }
        }
    } else if (type == EV_KEY) {
        for (unsigned button = BTN_LEFT; button <= BTN_EXTRA; button++) {
            set_bit(out, button, &len);
        }
    } else if (type == EV_LED && what == KEYBOARD) {
        set_bit(out, LED_NUML, &len);
        set_bit(out, LED_CAPSL, &len);
        set_bit(out, LED_SCROLLL, &len);
    } else if (type == EV_REP && what == KEYBOARD) {
        len = 1;
    } else if (type == EV_REL && what != KEYBOARD) {
        if (what == MOUSE) {
            set_bit(out, REL_X, &len);
            set_bit(out, REL_Y, &len);
        }
        set_bit(out, REL_HWHEEL, &len);
        set_bit(out, REL_WHEEL, &len);
    } else if (type == EV_ABS && what == TABLET) {
        set_bit(out, ABS_X, &len);
        set_bit(out, ABS_Y, &len);
    }
    return len;
}

static unsigned text(const char *from, uint8_t *out)
{
    size_t n = from ? MIN(strlen(from), CFG_SIZE) : 0;
    memcpy(out, from ? from : "", n);
    return (unsigned)n;
}

static unsigned answer(const VirtioInput *s, uint8_t out[CFG_SIZE])
{
    static const char *const names[] = {
        [KEYBOARD] = "QEMU Virtio Keyboard", [MOUSE] = "QEMU Virtio Mouse", [TABLET] = "QEMU Virtio Tablet"};
    memset(out, 0, CFG_SIZE);
    switch (s->select) {
    case CFG_ID_NAME: return s->subsel ? 0 : text(names[kind(s)], out);
    case CFG_ID_SERIAL: return s->subsel ? 0 : text(s->serial, out);
    case CFG_ID_DEVIDS: {
        const uint16_t ids[] = {BUS_VIRTUAL, VENDOR, (uint16_t)kind(s), VERSION};
        memcpy(out, ids, s->subsel ? 0 : sizeof ids);
        return s->subsel ? 0 : sizeof ids;
    }
    case CFG_EV_BITS: return event_bits(s, s->subsel, out);
    case CFG_ABS_INFO: {
        const uint32_t info[] = {0, INPUT_ABS_MAX, 0, 0, 0};
        bool known = kind(s) == TABLET && s->subsel <= ABS_Y;
        memcpy(out, info, known ? sizeof info : 0);
        return known ? sizeof info : 0;
    }
    default: return 0;
    }
}

static uint64_t size_get(const void *dev, unsigned arg, unsigned i)
{
    uint8_t out[CFG_SIZE];
    return answer(dev, out);
}

static uint64_t union_get(const void *dev, unsigned arg, unsigned i)
{
    uint8_t out[CFG_SIZE];
    answer(dev, out);
    return out[i];
}

/* ---- Events ---- */

static void add(VirtioInput *s, unsigned type, unsigned code, int value)
{
    if (s->n >= INPUT_EVENTS - (type != EV_SYN)) { /* the last place is for a SYN */
        s->dropping = true;
        s->n = s->whole;
    }
    if (!s->dropping) {
        s->events[s->n++] = type | code << 16 | (uint64_t)(uint32_t)value << 32;
    }
}

static void input_key_event(void *arg, KeyCode key, bool down)
{
    unsigned code = virtio_input_code(key);
    if (code) {
        add(arg, EV_KEY, code, down);
    }
}

static void input_button_event(void *arg, PointerButton button, bool down)
{
    VirtioInput *s = arg;
    static const struct {
        uint16_t code;
        int step;
    } wheels[BUTTONS] = {[BUTTON_WHEEL_UP] = {REL_WHEEL, 1},
                         [BUTTON_WHEEL_DOWN] = {REL_WHEEL, -1},
                         [BUTTON_WHEEL_LEFT] = {REL_HWHEEL, -1},
                         [BUTTON_WHEEL_RIGHT] = {REL_HWHEEL, 1}};
    if (button_codes[button]) {
        add(s, EV_KEY, button_codes[button], down);
    } else if (down) {
        add(s, EV_REL, wheels[button].code, wheels[button].step);
    }
}

static void input_rel_event(void *arg, int axis, int delta)
{
    add(arg, EV_REL, axis == AXIS_X ? REL_X : REL_Y, delta);
}

static void input_abs_event(void *arg, int axis, int value)
{
    add(arg, EV_ABS, axis == AXIS_X ? ABS_X : ABS_Y, value);
}

static void input_sync_event(void *arg)
{
    VirtioInput *s = arg;
    if (s->n > s->whole) {
        add(s, EV_SYN, 0, 0);
        s->whole = s->n;
    }
    s->dropping = false;
    virtio_kick(&s->v, EVENTS);
    device_settle(&s->v.dev);
}

static bool send_events(VirtioInput *s, VirtQueue *q)
{
    uint16_t sent = 0;
    VirtBuffer *b = NULL;
    while (sent < s->whole && (b = virtqueue_pop(q))) {
        virtqueue_push(b, virtbuffer_write(b, 0, &s->events[sent++], sizeof s->events[0]));
    }
    bool starved = sent < s->whole;
    memmove(s->events, s->events + sent, (s->n - sent) * sizeof s->events[0]);
    memset(s->events + s->n - sent, 0, sent * sizeof s->events[0]);
    s->n = (uint16_t)(s->n - sent);
    s->whole = (uint16_t)(s->whole - sent);
    return starved;
}

static void set_leds(uint64_t event)
{
    static const uint8_t leds[] = {[LED_NUML] = LED_NUM, [LED_CAPSL] = LED_CAPS, [LED_SCROLLL] = LED_SCROLL};
    unsigned type = event & 0xffff, code = event >> 16 & 0xffff;
    if (type == EV_LED && code < G_N_ELEMENTS(leds)) {
        input_set_leds(event >> 32 ? input_leds() | leds[code] : input_leds() & ~(unsigned)leds[code]);
    }
}

static bool input_queue(VirtioDevice *v, VirtQueue *q)
{
    if (q->index == EVENTS) {
        return send_events((VirtioInput *)v, q);
    }
    for (VirtBuffer *b; (b = virtqueue_pop(q));) {
        uint64_t event;
        if (virtbuffer_read(b, 0, &event, sizeof event) == sizeof event) {
            set_leds(event);
        }
        virtqueue_push(b, 0);
    }
    return true;
}

/* ---- The devices ---- */

static void input_restart(VirtioDevice *v)
{
    VirtioInput *s = (VirtioInput *)v;
    memset(s->events, 0, sizeof s->events);
    s->n = s->whole = 0;
    s->dropping = false;
    s->select = s->subsel = 0;
}

/* While no driver runs, what people type goes to the keyboard that the firmware knows. */
static void input_update(void *dev)
{
    static const InputSink keyboard = {
        .name = "QEMU Virtio Keyboard", .keyboard = true, .key = input_key_event, .sync = input_sync_event};
    static const InputSink mouse = {.name = "QEMU Virtio Mouse", .relative = true, .button = input_button_event,
                                    .rel = input_rel_event, .sync = input_sync_event};
    static const InputSink tablet = {.name = "QEMU Virtio Tablet", .absolute = true, .button = input_button_event,
                                     .abs = input_abs_event, .sync = input_sync_event};
    static const InputSink *const sinks[] = {[KEYBOARD] = &keyboard, [MOUSE] = &mouse, [TABLET] = &tablet};
    VirtioInput *s = dev;
    bool wanted = s->v.status & VIRTIO_DRIVER_OK;
    s->n = MIN(s->n, INPUT_EVENTS); /* a snapshot may say anything */
    s->whole = MIN(s->whole, s->n);
    if (wanted && !s->listening) {
        input_add(sinks[kind(s)], s);
    } else if (!wanted && s->listening) {
        input_remove(s);
    }
    s->listening = wanted;
}

static bool input_realize(void *dev, GError **error)
{
    VirtioInput *s = dev;
    virtio_queue_new(&s->v, 64);
    virtio_queue_new(&s->v, 64);
    return true;
}

static void input_unrealize(void *dev)
{
    input_remove(dev);
}

#define C SPACE_VIRTIO_CONFIG
static const Row rows[] = {
    PROP(VirtioInput, serial, NULL, "Serial number"),
    REG(VirtioInput, select, 0, .space = C, .rw = 0xff, .doc = "What the driver asks for"),
    REG(VirtioInput, subsel, 1, .space = C, .rw = 0xff),
    CALC(size, 1, 2, .space = C, .ro = true, .get = size_get),
    CALC(u, 1, 8, .space = C, .ro = true, .count = CFG_SIZE, .get = union_get),
    QUEUE(VirtioInput, events, n, .doc = "Events that wait for a buffer"),
    STATE(VirtioInput, n, .max = INPUT_EVENTS),
    STATE(VirtioInput, whole, .max = INPUT_EVENTS),
    STATE(VirtioInput, dropping),
    DERIVED(VirtioInput, listening),
    END,
};

#define INPUT                                                                                                          \
    .base = &virtio_device_class, .bus = "virtio-bus", .category = "input", .size = sizeof(VirtioInput), .rows = rows, \
    .realize = input_realize, .unrealize = input_unrealize, .update = input_update,                                    \
    .info = &(const VirtioInfo){.type = 18, .config_size = 8 + CFG_SIZE, .queue = input_queue, .reset = input_restart}

const DeviceClass virtio_keyboard_class = {
    .name = "virtio-keyboard-device",
    .doc = "virtio keyboard, for a virtio bus",
    INPUT,
};

const DeviceClass virtio_mouse_class = {
    .name = "virtio-mouse-device",
    .doc = "virtio mouse, for a virtio bus",
    INPUT,
};

const DeviceClass virtio_tablet_class = {
    .name = "virtio-tablet-device",
    .doc = "virtio tablet, for a virtio bus",
    INPUT,
};
