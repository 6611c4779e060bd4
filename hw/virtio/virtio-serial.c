#include "hw/virtio/virtio-serial.h"

#include <string.h>

#include "hw/virtio/virtqueue.h"
#include "qapi/schema/qapi-events.h"

enum { F_MULTIPORT = 1, F_EMERG_WRITE = 2 };
enum { QUEUE_SIZE = 128, CONTROL_IN = 2, CONTROL_OUT = 3, PIECE = 4096, RUN_BYTES = 1 << 20, NAME_MAX_LEN = 128 };
/* §5.3.6.2 */
enum { DEVICE_READY, DEVICE_ADD, DEVICE_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

typedef struct Control {
    uint32_t id;
    uint16_t event, value;
} Control;

/* ---- Which queue belongs to which port (§5.3.2) ---- */

static unsigned rx_queue(unsigned port)
{
    return port ? 2 * port + 2 : 0;
}

static bool is_multiport(const VirtioSerial *s)
{
    return virtio_has(&s->v, F_MULTIPORT);
}

static bool is_open(const VirtioSerial *s, unsigned nr)
{
    return is_multiport(s) ? s->guest_open[nr] : nr == 0;
}

/* ---- Control messages ---- */

void virtio_port_tell(VirtioPort *p, unsigned what)
{
    VirtioSerial *s = p->serial;
    if (s->driver_ready && (s->added[p->nr] || (what & PORT_TELL_ADD))) {
        s->untold[p->nr] |= (uint8_t)what;
        virtio_kick(&s->v, CONTROL_IN);
        device_settle(&s->v.dev);
    }
}

/* The message for one bit of untold; its length, 0: it is no longer true. */
static size_t make_message(VirtioSerial *s, unsigned nr, unsigned what, uint8_t *out)
{
    const VirtioPort *p = s->port[nr];
    Control c = {.id = nr, .value = 1};
    size_t more = 0;
    switch (what) {
    case PORT_TELL_REMOVE:
        c.event = DEVICE_REMOVE;
        s->added[nr] = false;
        break;
    case PORT_TELL_ADD:
        c.event = DEVICE_ADD;
        s->added[nr] = p;
        break;
    case PORT_TELL_CONSOLE: c.event = CONSOLE_PORT; break;
    case PORT_TELL_NAME:
        c.event = PORT_NAME;
        more = p && p->name ? MIN(strlen(p->name), NAME_MAX_LEN) : 0;
        break;
    default:
        c.event = PORT_OPEN;
        c.value = p && p->chardev && char_is_open(p->chardev);
    }
    if (!p && what != PORT_TELL_REMOVE) {
        return 0;
    }
    memcpy(out, &c, sizeof c);
    memcpy(out + sizeof c, more ? p->name : "", more);
    return sizeof c + more;
}

static bool send_control(VirtioSerial *s, VirtQueue *q)
{
    uint8_t message[sizeof(Control) + NAME_MAX_LEN];
    for (unsigned nr = 0; nr < SERIAL_PORTS; nr++) {
        while (s->untold[nr]) {
            VirtBuffer *b = virtqueue_pop(q);
            if (!b) {
                return true;
            }
            unsigned what = s->untold[nr] & (unsigned)-s->untold[nr];
            s->untold[nr] &= (uint8_t)~what;
            size_t len = make_message(s, nr, what, message);
            if (len) {
                virtqueue_push(b, virtbuffer_write(b, 0, message, len));
            } else {
                virtqueue_unpop(b);
            }
        }
    }
    return false;
}

static void guest_opens(VirtioSerial *s, unsigned nr, bool open)
{
    VirtioPort *p = s->port[nr];
    if (s->guest_open[nr] == open) {
        return;
    }
    s->guest_open[nr] = open;
    if (p && p->dev.id) {
        event_vserport_change(p->dev.id, open);
    }
    if (p && p->chardev && open) {
        virtio_kick(&s->v, rx_queue(nr));
    }
}

static void device_ready(VirtioSerial *s, bool ok)
{
    s->driver_ready = ok;
    for (unsigned nr = 0; ok && nr < SERIAL_PORTS; nr++) {
        if (s->port[nr] && !s->added[nr]) {
            s->untold[nr] = PORT_TELL_ADD;
        }
    }
}

static void control(VirtioSerial *s, const Control *c)
{
    VirtioPort *p = c->id < SERIAL_PORTS ? s->port[c->id] : NULL;
    if (c->event == DEVICE_READY) {
        device_ready(s, c->value == 1);
    } else if (!p) {
        guest_error(&s->v.dev, "control message %u for port %u, which does not exist", c->event, c->id);
    } else if (c->event == PORT_OPEN) {
        guest_opens(s, c->id, c->value);
    } else if (c->event == PORT_READY && c->value == 1) {
        s->untold[c->id] |= (virtio_port_is_console(p) ? PORT_TELL_CONSOLE : 0) | (p->name ? PORT_TELL_NAME : 0) |
                          (p->chardev && char_is_open(p->chardev) ? PORT_TELL_OPEN : 0);
    } else {
        guest_error(&s->v.dev, "control message %u, value %u", c->event, c->value);
    }
    virtio_kick(&s->v, CONTROL_IN);
}

static bool take_control(VirtioSerial *s, VirtQueue *q)
{
    for (VirtBuffer *b; (b = virtqueue_pop(q));) {
        Control c;
        if (virtbuffer_read(b, 0, &c, sizeof c) == sizeof c) {
            control(s, &c);
        }
        virtqueue_push(b, 0);
    }
    return true;
}

/* ---- Data ---- */

/* Of the first buffer in the receive queue; buffers without room are of no use to anyone and go back. */
size_t virtio_port_room(VirtioPort *p)
{
    VirtioSerial *s = p->serial;
    if (!s || !is_open(s, p->nr)) {
        return 0;
    }
    for (VirtBuffer *b; (b = virtqueue_pop(&s->v.queue[rx_queue(p->nr)]));) {
        size_t room = MIN(b->in, PIECE);
        if (room) {
            virtqueue_unpop(b);
            return room;
        }
        virtqueue_push(b, 0);
    }
    return 0;
}

void virtio_port_receive(VirtioPort *p, const uint8_t *buf, size_t len)
{
    VirtioSerial *s = p->serial;
    VirtBuffer *b = virtqueue_pop(&s->v.queue[rx_queue(p->nr)]);
    if (b) {
        virtqueue_push(b, virtbuffer_write(b, 0, buf, len));
    }
    virtio_kick(&s->v, rx_queue(p->nr)); /* when that was the last buffer, ask for a kick */
    device_settle(&s->v.dev);
}

void virtio_port_writable(VirtioPort *p)
{
    if (p->serial) {
        virtio_kick(&p->serial->v, rx_queue(p->nr) + 1);
        device_settle(&p->serial->v.dev);
    }
}

static bool receive_queue(VirtioSerial *s, unsigned nr)
{
    VirtioPort *p = s->port[nr];
    if (!p || !is_open(s, nr)) {
        return false; /* opening it looks here again */
    }
    if (virtio_port_room(p) && p->chardev) {
        char_accept(p->chardev);
    }
    return !virtio_port_room(p);
}

/* What the back end takes of a buffer, from tx_done on; true: all of it. */
static bool transmit(VirtioSerial *s, unsigned nr, const VirtBuffer *b)
{
    uint8_t bytes[PIECE];
    VirtioPort *p = s->port[nr];
    size_t n;
    for (unsigned done = 0; p && (n = virtbuffer_read(b, s->tx_done[nr], bytes, sizeof bytes)); done += PIECE) {
        if (done >= RUN_BYTES) {
            s->v.budget = 0; /* enough for this run */
            return false;
        }
        size_t taken = char_write(p->chardev, bytes, n);
        s->tx_done[nr] += taken;
        if (taken < n) {
            return false;
        }
    }
    return true;
}

static bool transmit_queue(VirtioSerial *s, VirtQueue *q, unsigned nr)
{
    for (VirtBuffer *b; (b = virtqueue_pop(q));) {
        if (!transmit(s, nr, b)) {
            virtqueue_unpop(b);
            return !s->v.budget;
        }
        s->tx_done[nr] = 0;
        virtqueue_push(b, 0);
    }
    return true;
}

static bool serial_queue(VirtioDevice *v, VirtQueue *q)
{
    VirtioSerial *s = (VirtioSerial *)v;
    if (q->index == CONTROL_IN) {
        return send_control(s, q);
    }
    if (q->index == CONTROL_OUT) {
        return take_control(s, q);
    }
    unsigned nr = q->index < CONTROL_IN ? 0 : q->index / 2 - 1;
    return q->index & 1 ? transmit_queue(s, q, nr) : receive_queue(s, nr);
}

/* ---- Configuration ---- */

/* §5.3.4: works without queues, for the last words of a guest. */
static void emergency_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    VirtioSerial *s = dev;
    uint8_t byte = (uint8_t)value;
    if (s->emergency_write && s->port[0]) {
        char_write(s->port[0]->chardev, &byte, 1);
    }
}

static uint64_t serial_features(const VirtioDevice *v)
{
    const VirtioSerial *s = (const VirtioSerial *)v;
    return (s->max_ports > 1 ? VIRTIO_BIT(F_MULTIPORT) : 0) | (s->emergency_write ? VIRTIO_BIT(F_EMERG_WRITE) : 0);
}

static void serial_restart(VirtioDevice *v)
{
    VirtioSerial *s = (VirtioSerial *)v;
    s->driver_ready = false;
    for (unsigned nr = 0; nr < SERIAL_PORTS; nr++) {
        guest_opens(s, nr, false);
        s->untold[nr] = 0;
        s->added[nr] = false;
        s->tx_done[nr] = 0;
    }
}

static void serial_queue_reset(VirtioDevice *v, VirtQueue *q)
{
    if (q->index & 1 && q->index != CONTROL_OUT) {
        ((VirtioSerial *)v)->tx_done[q->index < CONTROL_IN ? 0 : q->index / 2 - 1] = 0;
    }
}

/* ---- The bus ---- */

static bool choose_number(VirtioSerial *s, VirtioPort *p, GError **error)
{
    bool console = virtio_port_is_console(p);
    if (p->nr == UINT32_MAX) {
        for (p->nr = console ? 0 : 1; p->nr < s->max_ports && s->port[p->nr]; p->nr++) {
        }
        if (p->nr >= s->max_ports) {
            return error_fail(error, "virtio-serial: no free port for %s, max_ports is %u", p->dev.class->name,
                              s->max_ports);
        }
    }
    if (p->nr >= s->max_ports) {
        return error_fail(error, "Property %s.nr is %u, expected: less than max_ports, %u", p->dev.class->name, p->nr,
                          s->max_ports);
    }
    if (!p->nr && !console) {
        return error_fail(error, "Property %s.nr is 0: that port is for a virtconsole", p->dev.class->name);
    }
    return !s->port[p->nr] || error_fail(error, "virtio-serial: port %u is in use", p->nr);
}

static bool bus_plug(Bus *bus, Device *dev, GError **error)
{
    VirtioSerial *s = bus->impl;
    VirtioPort *p = (VirtioPort *)dev;
    if (!choose_number(s, p, error)) {
        return false;
    }
    p->serial = s;
    s->port[p->nr] = p;
    virtio_port_tell(p, PORT_TELL_ADD);
    return true;
}

static void bus_unplug(Bus *bus, Device *dev)
{
    VirtioSerial *s = bus->impl;
    VirtioPort *p = (VirtioPort *)dev;
    guest_opens(s, p->nr, false);
    s->untold[p->nr] = 0;
    s->port[p->nr] = NULL;
    virtio_port_tell(p, PORT_TELL_REMOVE);
    p->serial = NULL;
}

static const BusClass bus_class = {
    .type = "virtio-serial-bus", .hotplug = true, .plug = bus_plug, .unplug = bus_unplug};

static bool serial_realize(void *dev, GError **error)
{
    VirtioSerial *s = dev;
    if (!s->max_ports || s->max_ports >= SERIAL_PORTS) {
        return error_fail(error, "Property virtio-serial.max_ports is %u, expected: 1 to %u", s->max_ports,
                          SERIAL_PORTS - 1);
    }
    unsigned queues = s->max_ports > 1 ? 2 * (s->max_ports + 1) : 2;
    for (unsigned i = 0; i < queues; i++) {
        virtio_queue_new(&s->v, QUEUE_SIZE);
    }
    bus_new(&bus_class, device_whole(&s->v.dev), NULL, s);
    return true;
}

#define C SPACE_VIRTIO_CONFIG
// clang-format off
static const Row rows[] = {
    PROP(VirtioSerial, max_ports, "31", "Ports that may be plugged in"),
    PROP_AS(VirtioSerial, emergency_write, "emergency-write", "on", "Offer output of single bytes without queues"),
    CALC(cols, 2, 0, .space = C, .ro = true),
    CALC(rows, 2, 2, .space = C, .ro = true),
    CALC(max_nr_ports, 4, 4, .space = C, .ro = true, FROM(VirtioSerial, max_ports)),
    CALC(emerg_wr, 4, 8, .space = C, .wo = true, .on_write = emergency_write),
    STATES(VirtioSerial, untold, .max = 31, .doc = "Control messages that wait for a buffer"),
    STATES(VirtioSerial, added),
    STATES(VirtioSerial, guest_open),
    STATES(VirtioSerial, tx_done),
    STATE(VirtioSerial, driver_ready),
    END
};
// clang-format on

const DeviceClass virtio_serial_class = {
    .name = "virtio-serial-device",
    .doc = "virtio console and serial ports, for a virtio bus",
    .base = &virtio_device_class,
    .bus = "virtio-bus",
    .category = "input",
    .size = sizeof(VirtioSerial),
    .rows = rows,
    .info =
        &(const VirtioInfo){
            .type = 3,
            .config_size = 12,
            .more_features = serial_features,
            .queue = serial_queue,
            .reset = serial_restart,
            .queue_reset = serial_queue_reset,
        },
    .realize = serial_realize,
};
