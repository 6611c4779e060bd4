/* Parallel port: bytes on strobe, busy while the back end is full, one acknowledge interrupt a byte; and the places of
 * serial and parallel ports on the ISA bus. */
#include "hw/char/parallel.h"
#include "hw/isa/isa.h"
#include "tests/hw/bench.h"

extern const DeviceClass isa_parallel_class, isa_serial_class;
enum { DATA, STATUS, CONTROL };

static struct {
    Char chr;
    uint8_t got[16];
    size_t n, room;
} printer;
static Parallel *port;
static Probe *irq;

static size_t printer_write(Char *c, const uint8_t *buf, size_t len)
{
    len = MIN(len, printer.room);
    memcpy(printer.got + printer.n, buf, len);
    printer.n += len;
    printer.room -= len;
    return len;
}

static const CharClass printer_class = {.name = "printer", .write = printer_write};

static void start(void)
{
    GError *error = NULL;
    printer.chr = (Char){.class = &printer_class, .id = (char *)"printer", .logfd = -1, .pending = g_byte_array_new()};
    printer.room = 8;
    port = device_new(&parallel_class, NULL);
    device_set_pointer(&port->dev, "chardev", &printer);
    ck_assert(device_realize(&port->dev, NULL, &error));
    irq = bench_probe(port, "irq", 0);
}

static void send(uint8_t byte, uint8_t control)
{
    out8(port, DATA, byte);
    out8(port, CONTROL, control | 1);
    out8(port, CONTROL, control);
}

START_TEST(registers)
{
    start();
    ck_assert_uint_eq(in8(port, STATUS), 0xdf);
    ck_assert_uint_eq(in8(port, CONTROL), 0xcc);
    out8(port, DATA, 0x5a);
    ck_assert_uint_eq(in8(port, DATA), 0x5a);
    out8(port, CONTROL, 0xff);
    ck_assert_uint_eq(in8(port, CONTROL), 0xff);
    ck_assert_uint_eq(in8(port, DATA), 0xff); /* input: nobody drives the lines */
    out8(port, STATUS, 0);
    out8(port, CONTROL, 0x0c);
    ck_assert_uint_eq(in8(port, STATUS), 0xdf);
}
END_TEST

START_TEST(strobe)
{
    start();
    send('a', 0x0c);
    out8(port, CONTROL, 0x0d);
    out8(port, CONTROL, 0x0d); /* no new edge */
    ck_assert_uint_eq(printer.n, 2);
    ck_assert_mem_eq(printer.got, "aa", 2);
    ck_assert_uint_eq(irq->rises, 0);
    send('x', 0x08); /* nINIT low: the printer is in reset */
    ck_assert_uint_eq(printer.n, 2);
}
END_TEST

START_TEST(acknowledge)
{
    start();
    send('a', 0x1c);
    ck_assert(irq->level);
    send('b', 0x1c);
    send('c', 0x1c);
    ck_assert_uint_eq(irq->rises, 3);
    ck_assert_uint_eq(in8(port, STATUS), 0xdb);
    ck_assert(!irq->level);
    ck_assert_uint_eq(in8(port, STATUS), 0xdf);
}
END_TEST

START_TEST(busy)
{
    start();
    printer.room = 0;
    send('a', 0x1c);
    ck_assert_uint_eq(in8(port, STATUS), 0x5f);
    ck_assert(!irq->level);
    send('b', 0x1c); /* lost, as at a real printer */
    printer.room = 4;
    bench_advance(2 * NS_PER_MS);
    ck_assert_uint_eq(printer.n, 1);
    ck_assert_uint_eq(printer.got[0], 'a');
    ck_assert(irq->level);
    ck_assert_uint_eq(in8(port, STATUS), 0xdb);
    printer.room = 0;
    send('c', 0x1c);
    printer.room = 4;
    parallel_class.writable(port);
    device_settle(&port->dev);
    ck_assert_uint_eq(printer.n, 2);
    ck_assert(irq->level);
}
END_TEST

static Device *card(IsaBus *isa, const DeviceClass *class, const char *name, const char *value, const char **why)
{
    g_autoptr(GError) error = NULL;
    Device *d = device_new(class, NULL);
    if (name) {
        ck_assert(device_set(d, name, value, &error));
    }
    if (!device_realize(d, isa->bus, &error)) {
        *why = g_intern_string(error->message);
        device_free(d);
        return NULL;
    }
    return d;
}

/* A port is at `at` when the scratch register of a serial port, or the data of a parallel one, answers there. */
static void expect_at(unsigned at)
{
    mem_commit();
    space_store(space_io(), at, 1, 0xa5);
    ck_assert_uint_eq(space_load(space_io(), at, 1), 0xa5);
}

static unsigned rises[ISA_IRQS];
static void line_set(void *sink, unsigned line, bool level) { rises[line] += level; }

START_TEST(places)
{
    IsaBus *isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    const char *why = "";
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        irq_connect(&isa->irq[i], line_set, NULL, i);
    }
    static const unsigned com[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8}, lpt[] = {0x378, 0x278, 0x3bc};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_ptr_nonnull(card(isa, &isa_serial_class, NULL, NULL, &why));
        expect_at(com[i] + 7);
    }
    ck_assert_ptr_null(card(isa, &isa_serial_class, NULL, NULL, &why));
    ck_assert_str_eq(why, "The ISA bus takes 4 serial ports, with index=0 to 3");
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_ptr_nonnull(card(isa, &isa_parallel_class, NULL, NULL, &why));
        expect_at(lpt[i]);
    }
    ck_assert_ptr_null(card(isa, &isa_parallel_class, "index", "3", &why));
    ck_assert_ptr_null(card(isa, &isa_serial_class, "irq", "16", &why));
    /* COM1 and COM3 share line 4, which is high while either is */
    space_store(space_io(), 0x3f9, 1, 2);
    ck_assert_uint_eq(rises[4], 1);
    space_store(space_io(), 0x3e9, 1, 2);
    ck_assert_uint_eq(rises[4], 1);
    space_load(space_io(), 0x3fa, 1);
    ck_assert(isa->irq[4].level);
    space_load(space_io(), 0x3ea, 1);
    ck_assert(!isa->irq[4].level);
    space_store(space_io(), 0x2f9, 1, 2);
    ck_assert_uint_eq(rises[3], 1);
}
END_TEST

START_TEST(own_place)
{
    IsaBus *isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    const char *why = "";
    Device *d = card(isa, &isa_serial_class, "iobase", "0x1e0", &why);
    expect_at(0x1e7);
    g_autofree char *path = isa->bus->class->device_path(d);
    ck_assert_str_eq(path, "serial@01e0");
    ck_assert_ptr_null(card(isa, &isa_serial_class, "iobase", "0xfff9", &why));
    space_store(space_io(), 0x1e1, 1, 2);
    ck_assert(isa->irq[4].level);
    device_free(d); /* lets go of its line and ports */
    ck_assert(!isa->irq[4].level);
    mem_commit();
    ck_assert_uint_eq(space_load(space_io(), 0x1e7, 1), 0xff);
}
END_TEST

BENCH_MAIN("parallel", CASE(registers), CASE(strobe), CASE(acknowledge), CASE(busy), CASE(places), CASE(own_place))
