/* Random numbers, balloon, serial ports and input devices, each as its section of virtio 1.2 §5 says. */
#include "tests/hw/virtio-bench.h"

#include <string.h>

#include "char/char.h"
#include "core/options.h"
#include "ui/input.h"

#define RING (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
enum { DATA = 0x80000, NS_MS = 1000000 };

static uint32_t take(VbQueue *q)
{
    uint16_t id;
    uint32_t len;
    return vb_used(q, &id, &len) ? len : UINT32_MAX;
}

static void give(VbQueue *q, uint64_t at, uint32_t len, bool write)
{
    vb_add(q, &(Seg){at, len, write}, 1);
    vb_kick(q);
}

/* ---- Entropy (§5.4) ---- */

START_TEST(rng_limit)
{
    vb_start(PCI_MODERN, "virtio-rng", "max-bytes=100,period=1000", NULL);
    ck_assert(vb_negotiate(RING));
    VbQueue *q = vb_queue(0, 8);
    vb_ready();
    give(q, DATA, 64, true);
    ck_assert_uint_eq(take(q), 64);
    give(q, DATA, 64, true);
    ck_assert_uint_eq(take(q), 36);
    give(q, DATA, 64, true);
    ck_assert_uint_eq(take(q), UINT32_MAX);
    bench_advance(1000 * (int64_t)NS_MS);
    ck_assert_uint_eq(take(q), 64);
    ck_assert(vb_negotiate(RING)); /* a reset brings nothing */
    q = vb_queue(0, 8);
    vb_ready();
    give(q, DATA, 64, true);
    ck_assert_uint_eq(take(q), 36);
}
END_TEST

/* ---- Balloon (§5.5) ---- */

START_TEST(balloon)
{
    enum { PAGE = 4096, VICTIM = 0xa0000 };
    uint32_t pfns[] = {VICTIM / PAGE, VICTIM / PAGE + 1, 0x7fffffff};
    vb_start(PCI_MODERN, "virtio-balloon", NULL, NULL);
    ck_assert(vb_negotiate(RING | 2));
    VbQueue *inflate = vb_queue(0, 8), *deflate = vb_queue(1, 8), *stats = vb_queue(2, 8);
    vb_ready();
    vb_put(VICTIM, 8, 42);
    vb_put(VICTIM + PAGE, 8, 42);
    vb_put(VICTIM + 2 * PAGE, 8, 42);
    bench_poke(DATA, pfns, sizeof pfns);
    give(inflate, DATA, sizeof pfns, false);
    ck_assert_uint_eq(take(inflate), 0);
    ck_assert_uint_eq(vb_get(VICTIM, 8), 0);
    ck_assert_uint_eq(vb_get(VICTIM + PAGE, 8), 0);
    ck_assert_uint_eq(vb_get(VICTIM + 2 * PAGE, 8), 42);
    give(deflate, DATA, sizeof pfns, false);
    ck_assert_uint_eq(take(deflate), 0);
    vb_config_put(4, 4, 2);
    ck_assert_uint_eq(vb_config(4, 4), 2);
    vb_config_put(0, 4, 99); /* read-only */
    ck_assert_uint_eq(vb_config(0, 4), 0);
    /* free memory: tag 4; an unknown one; half an entry */
    static const uint8_t entries[] = {4, 0, 0x39, 5, 0, 0, 0, 0, 0, 0, 77, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3};
    bench_poke(DATA, entries, sizeof entries);
    give(stats, DATA, sizeof entries, false);
    ck_assert_uint_eq(take(stats), UINT32_MAX); /* kept until new numbers are wanted */
    ck_assert_uint_eq(device_peek(vb.dev, "balloon.stats", 4), 1337);
    ck_assert_uint_eq(device_peek(vb.dev, "balloon.stats", 1), UINT64_MAX);
}
END_TEST

START_TEST(balloon_polls)
{
    vb_start(PCI_MODERN, "virtio-balloon", "guest-stats-polling-interval=2,free-page-reporting=on", NULL);
    ck_assert(vb_negotiate(RING | 2 | 1 << 5));
    VbQueue *stats = vb_queue(2, 8), *report = vb_queue(3, 8);
    vb_ready();
    vb_put(DATA, 8, 5);
    for (unsigned i = 0; i < 3; i++) {
        give(stats, DATA, 10, false);
        ck_assert_uint_eq(take(stats), UINT32_MAX);
        bench_advance(2000 * (int64_t)NS_MS);
        ck_assert_uint_eq(take(stats), 0);
    }
    vb_put(0xa0000, 8, 42);
    give(report, 0xa0000, 8192, true);
    ck_assert_uint_eq(take(report), 0);
    ck_assert_uint_eq(vb_get(0xa0000, 8), 0);
}
END_TEST

/* ---- Ports (§5.3) ---- */

static size_t room = SIZE_MAX;
static GByteArray *written;

static size_t line_write(Char *c, const uint8_t *buf, size_t len)
{
    size_t n = MIN(len, room);
    g_byte_array_append(written, buf, (guint)n);
    room -= room == SIZE_MAX ? 0 : n;
    return n;
}

static bool line_open(Char *c, GHashTable *options, GError **error)
{
    return true;
}

static Char *new_line(void)
{
    static const CharClass class = {.name = "test", .size = sizeof(Char), .open = line_open, .write = line_write};
    Char *c = g_malloc0(sizeof *c);
    c->class = &class;
    c->pending = g_byte_array_new();
    c->open = true;
    c->logfd = -1;
    room = SIZE_MAX;
    written = g_byte_array_new();
    return c;
}

static Char *add_port(const char *type, const char *name)
{
    GError *error = NULL;
    Char *c = new_line();
    Device *port = device_new(device_class_find(type), NULL);
    device_set_pointer(port, "chardev", c);
    ck_assert(!name || device_set(port, "name", name, NULL));
    ck_assert_msg(device_realize(port, bus_find_type("virtio-serial-bus"), &error), "%s", error ? error->message : "");
    return c;
}

static void control(VbQueue *out, unsigned id, unsigned event, unsigned value)
{
    vb_put(DATA, 4, id);
    vb_put(DATA + 4, 4, event | value << 16);
    give(out, DATA, 8, false);
    ck_assert_uint_eq(take(out), 0);
}

/* The next message from the device, in one of the buffers that wait at DATA + 1000h, 100h bytes each. */
static void expect(VbQueue *in, unsigned id, unsigned event, unsigned value, const char *more)
{
    static unsigned n;
    char text[64] = "";
    uint64_t at = DATA + 0x1000 + 0x100 * n++;
    uint32_t len = take(in);
    ck_assert_uint_eq(len, 8 + strlen(more));
    ck_assert_uint_eq(vb_get(at, 4), id);
    ck_assert_uint_eq(vb_get(at + 4, 2), event);
    ck_assert_uint_eq(vb_get(at + 6, 2), value);
    bench_peek(at + 8, text, strlen(more));
    ck_assert_str_eq(text, more);
}

enum { READY, ADD, REMOVE, PORT_READY, CONSOLE, RESIZE, OPEN, NAME };

START_TEST(ports)
{
    vb_start(PCI_MODERN, "virtio-serial", "max_ports=2", NULL);
    Char *c = add_port("virtserialport", "a.name");
    ck_assert_uint_eq(vb_config(4, 4), 2);
    ck_assert(vb_negotiate(RING | 2));
    VbQueue *in = vb_queue(2, 16), *out = vb_queue(3, 16), *rx = vb_queue(4, 16), *tx = vb_queue(5, 16);
    vb_ready();
    for (unsigned i = 0; i < 8; i++) {
        give(in, DATA + 0x1000 + 0x100 * i, 0x100, true);
    }
    control(out, 0, READY, 1);
    expect(in, 1, ADD, 1, "");
    control(out, 1, PORT_READY, 1);
    expect(in, 1, NAME, 1, "a.name");
    expect(in, 1, OPEN, 1, "");
    give(rx, DATA + 0x800, 4, true);
    ck_assert_uint_eq(char_can_receive(c), 0); /* not opened yet */
    control(out, 1, OPEN, 1);
    ck_assert_uint_eq(char_can_receive(c), 4);
    char_receive(c, (const uint8_t *)"abc", 3);
    ck_assert_uint_eq(take(rx), 3);
    ck_assert_uint_eq(vb_get(DATA + 0x800, 4), 0x636261);
    ck_assert_uint_eq(char_can_receive(c), 0);
    vb_put(DATA + 0x900, 8, 0x3736353433323130);
    room = 3; /* the other side is slow */
    give(tx, DATA + 0x900, 8, false);
    ck_assert_uint_eq(take(tx), UINT32_MAX);
    room = SIZE_MAX;
    char_writable(c);
    ck_assert_uint_eq(take(tx), 0);
    ck_assert_mem_eq(written->data, "01234567", 8);
    ck_assert_uint_eq(written->len, 8);
    control(out, 99, OPEN, 1); /* no such port */
    char_event(c, CHAR_CLOSED);
    expect(in, 1, OPEN, 0, "");
    device_free(g_ptr_array_index(bus_find_type("virtio-serial-bus")->devices, 0));
    expect(in, 1, REMOVE, 1, "");
    g_byte_array_unref(c->pending);
    g_free(c);
}
END_TEST

/* A driver without control queues, and bytes without any queue. */
START_TEST(single_console)
{
    vb_start(PCI_LEGACY, "virtio-serial", NULL, NULL);
    Char *c = add_port("virtconsole", NULL);
    vb_config_put(8, 4, 'E');
    ck_assert_uint_eq(written->len, 1);
    ck_assert_uint_eq(written->data[0], 'E');
    ck_assert(vb_negotiate(0));
    VbQueue *rx = vb_queue(0, 128), *tx = vb_queue(1, 128);
    vb_ready();
    vb_put(DATA, 8, 0x4948);
    give(tx, DATA, 2, false);
    ck_assert_uint_eq(take(tx), 0);
    ck_assert_mem_eq(written->data, "EHI", 3);
    give(rx, DATA, 8, true);
    ck_assert_uint_eq(char_can_receive(c), 8);
}
END_TEST

/* ---- Input (§5.8) ---- */

static unsigned ask(unsigned select, unsigned subsel)
{
    vb_config_put(0, 1, select);
    vb_config_put(1, 1, subsel);
    return (unsigned)vb_config(2, 1);
}

static void expect_event(VbQueue *q, unsigned type, unsigned code, uint32_t value)
{
    static unsigned n;
    ck_assert_uint_eq(take(q), 8);
    uint64_t at = DATA + 8 * n++;
    ck_assert_uint_eq(vb_get(at, 2), type);
    ck_assert_uint_eq(vb_get(at + 2, 2), code);
    ck_assert_uint_eq(vb_get(at + 4, 4), value);
}

static VbQueue *start_input(const char *type, unsigned buffers)
{
    vb_start(PCI_MODERN, type, NULL, NULL);
    ck_assert(vb_negotiate(RING));
    VbQueue *q = vb_queue(0, 64);
    vb_ready();
    for (unsigned i = 0; i < buffers; i++) {
        give(q, DATA + 8 * i, 8, true);
    }
    return q;
}

START_TEST(keyboard)
{
    VbQueue *q = start_input("virtio-keyboard", 3);
    char name[21] = "";
    ck_assert_uint_eq(ask(1, 0), 20);
    for (unsigned i = 0; i < 20; i++) {
        name[i] = (char)vb_config(8 + i, 1);
    }
    ck_assert_str_eq(name, "QEMU Virtio Keyboard");
    ck_assert_uint_gt(ask(0x11, 1), 16);
    ck_assert_uint_eq(vb_config(8 + 30 / 8, 1) >> 30 % 8 & 1, 1); /* A */
    ck_assert_uint_eq(ask(0x11, 0x11), 1);
    ck_assert_uint_eq(vb_config(8, 1), 7);
    ck_assert_uint_eq(ask(0x11, 2), 0); /* no wheel */
    ck_assert_uint_eq(ask(0x12, 0), 0);
    ck_assert_uint_eq(ask(99, 0), 0);
    input_key(KEY_A, true);
    ck_assert_uint_eq(take(q), UINT32_MAX); /* not before the group ends */
    input_sync();
    expect_event(q, 1, 30, 1);
    expect_event(q, 0, 0, 0);
    input_key(KEY_HOME, true);
    input_sync();
    expect_event(q, 1, 102, 1); /* the last buffer; the rest waits */
    ck_assert_uint_eq(take(q), UINT32_MAX);
    give(q, DATA + 8 * 3, 8, true);
    expect_event(q, 0, 0, 0);
    VbQueue *status = vb_queue(1, 64);
    vb_put(0x90000, 8, 0x11 | 1 << 16 | UINT64_C(1) << 32);
    give(status, 0x90000, 8, false);
    ck_assert_uint_eq(input_leds(), LED_CAPS);
}
END_TEST

START_TEST(tablet)
{
    VbQueue *q = start_input("virtio-tablet", 16);
    ck_assert_uint_eq(ask(0x12, 0), 20);
    ck_assert_uint_eq(vb_config(8, 4), 0);
    ck_assert_uint_eq(vb_config(12, 4), INPUT_ABS_MAX);
    ck_assert(input_has_absolute());
    input_abs(AXIS_X, 100);
    input_button(BUTTON_RIGHT, true);
    input_button(BUTTON_WHEEL_DOWN, true);
    input_button(BUTTON_WHEEL_DOWN, false);
    input_sync();
    expect_event(q, 3, 0, 100);
    expect_event(q, 1, 0x111, 1);
    expect_event(q, 2, 8, UINT32_MAX);
    expect_event(q, 0, 0, 0);
    vb_reset();
    ck_assert(!input_has_absolute()); /* no driver: people use the mouse that the firmware knows */
}
END_TEST

/* More than there is room for: whole groups are lost, never parts. */
START_TEST(overflow)
{
    VbQueue *q = start_input("virtio-mouse", 0);
    for (int i = 0; i < 1000; i++) {
        input_rel(AXIS_X, i);
        input_rel(AXIS_Y, i);
        input_sync();
    }
    for (unsigned i = 0; i < 80; i++) {
        for (unsigned k = 0; k < 3; k++) {
            give(q, DATA + 8 * (3 * i + k), 8, true);
        }
        expect_event(q, 2, 0, i);
        expect_event(q, 2, 1, i);
        expect_event(q, 0, 0, 0);
    }
}
END_TEST

BENCH_MAIN("virtio-devices", CASE(rng_limit), CASE(balloon), CASE(balloon_polls), CASE(ports), CASE(single_console),
           CASE(keyboard), CASE(tablet), CASE(overflow))
