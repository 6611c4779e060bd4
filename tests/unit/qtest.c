/* The qtest wire: replies letter by letter, data of any length and in any pieces, pins, time, and
 * the socket itself. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "accel/accel.h"
#include "accel/qtest/wire.h"
#include "char/char.h"
#include "core/clock.h"
#include "core/loop.h"
#include "mem/ram.h"

enum { RAM_SIZE = 1 << 20 };

/* ---- A toy device: 24 inputs, of which the output is the parity ---- */

typedef struct Toy {
    Device dev;
    uint32_t lines;
    Irq out;
} Toy;

static void toy_input(void *dev, unsigned line, bool level)
{
    Toy *t = dev;
    t->lines = (t->lines & ~(1u << line)) | (uint32_t)level << line;
}

static void toy_update(void *dev)
{
    Toy *t = dev;
    irq_set(&t->out, __builtin_popcount(t->lines) & 1);
}

static const Row toy_rows[] = {
    STATE(Toy, lines, .max = 0xffffff),
    PIN(Toy, out, "Parity"),
    END,
};
static const DeviceClass toy_class = {
    .name = "toy",
    .doc = "for this test",
    .size = sizeof(Toy),
    .rows = toy_rows,
    .inputs = 24,
    .input = toy_input,
    .update = toy_update,
};

static uint32_t port_value;
static uint64_t port_read(void *opaque, uint64_t at, unsigned size)
{
    return port_value & size_mask(size);
}
static void port_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    port_value = (uint32_t)value | size << 28;
}
static const IoOps port_ops = {port_read, port_write, 1, 4};

/* ---- The bench ---- */

static GString *got;
static Wire *wire;
static Toy *toy;

static void send_got(void *arg, const char *buf, size_t len)
{
    g_string_append_len(got, buf, (gssize)len);
}

static void setup(void)
{
    loop_main();
    loop_lock();
    g_autoptr(GPtrArray) choices = g_ptr_array_new();
    g_ptr_array_add(choices, (char *)"qtest");
    ck_assert(accel_start(choices, NULL));
    RamBlock *ram = ram_new("ram", RAM_SIZE, NULL, NULL);
    region_map(space_root(space_memory()), region_ram("ram", ram, 0, RAM_SIZE), 0, 0);
    region_map(space_root(space_io()), region_io("port", 4, &port_ops, NULL), 0x80, 0);
    mem_commit();
    toy = device_new(&toy_class, "ioapic");
    ck_assert(device_realize(&toy->dev, NULL, NULL));
    got = g_string_new(NULL);
    wire = g_new0(Wire, 1);
    wire->send = send_got;
    wire_init(wire);
}

static void teardown(void)
{
    wire_reset(wire);
    g_free(wire);
    g_string_free(got, TRUE);
    device_free(&toy->dev);
    loop_unlock();
}

static void ask(const char *text)
{
    g_string_truncate(got, 0);
    wire_feed(wire, text, strlen(text));
}

#define ASK(request, reply)                                                                        \
    do {                                                                                           \
        ask(request "\n");                                                                         \
        ck_assert_str_eq(got->str, reply "\n");                                                    \
    } while (0)

START_TEST(ports)
{
    ASK("outb 0x80 0x12", "OK");
    ck_assert_uint_eq(port_value, 0x10000012);
    ASK("outw 128 0x1234", "OK");
    ck_assert_uint_eq(port_value, 0x20001234);
    ASK("outl 0x80 305419896", "OK");
    ck_assert_uint_eq(port_value, 0x12345678 | 0x40000000);
    port_value = 0x89abcdef;
    ASK("inb 0x80", "OK 0x00ef");
    ASK("inw 0x80", "OK 0xcdef");
    ASK("inl 0x80", "OK 0x89abcdef");
    ASK("inb 0x7000", "OK 0x00ff");
    ASK("endianness", "OK little");
}
END_TEST

START_TEST(memory)
{
    ASK("writeb 0x1000 0x11", "OK");
    ASK("writew 0x1002 0x2233", "OK");
    ASK("writel 0x1004 0x44556677", "OK");
    ASK("writeq 0x1008 0x8899aabbccddeeff", "OK");
    ASK("readb 0x1000", "OK 0x0000000000000011");
    ASK("readw 0x1002", "OK 0x0000000000002233");
    ASK("readl 0x1004", "OK 0x0000000044556677");
    ASK("readq 0x1008", "OK 0x8899aabbccddeeff");
    ASK("read 0x1000 16", "OK 0x1100332277665544ffeeddccbbaa9988");
    ASK("read 010000 1", "OK 0x11");
    ASK("write 0x2000 4 0xDEADbeef", "OK");
    ASK("read 0x2000 4", "OK 0xdeadbeef");
    ASK("write 0x2000 4 0x01", "OK"); /* short: the rest is zeroes */
    ASK("read 0x2000 4", "OK 0x01000000");
    ASK("write 0x2000 1 0x0203", "OK"); /* long: the rest is ignored */
    ASK("read 0x2000 4", "OK 0x02000000");
    ASK("memset 0x3000 5 0xaa", "OK");
    ASK("read 0x3000 6", "OK 0xaaaaaaaaaa00");
    ASK("memset 0x3000 0 0xbb", "OK");
    ASK("b64write 0x4000 5 aGVsbG8=", "OK");
    ASK("b64read 0x4000 5", "OK aGVsbG8=");
    ASK("b64read 0x4000 6", "OK aGVsbG8A");
    ASK("read 0x4000 5", "OK 0x68656c6c6f");
}
END_TEST

START_TEST(nonsense)
{
    ASK("frobnicate 1", "FAIL Unknown command 'frobnicate'");
    ASK("readb", "FAIL Missing argument");
    ASK("write 0 4", "FAIL Missing argument");
    ASK("readb zero", "FAIL Invalid number");
    ASK("readb 0x", "FAIL Invalid number");
    ASK("readb 09", "FAIL Invalid number");
    ASK("readb 0x10000000000000000", "FAIL Invalid number");
    ASK("read 0 0", "FAIL Size out of range");
    ASK("read 0 0xffffffffffff", "FAIL Size out of range");
    ASK("write 0 2 0xzz", "FAIL Invalid data");
    ask("\n");
    ck_assert_str_eq(got->str, "");
    g_autofree char *longer = g_strnfill(100000, 'x');
    ask(longer);
    ASK("", "FAIL Request too long");
    ASK("endianness", "OK little");
    /* a write with nothing but spaces in its buffer is answered once */
    g_autofree char *spaces = g_strdup_printf("write%*s 1 2 0x33\nendianness\n", 3000, "");
    ask(spaces);
    ck_assert_str_eq(got->str, "FAIL Missing argument\nOK little\n");
}
END_TEST

/* Every length around the pieces that memory is moved in, each line cut in two at another place. */
START_TEST(data_of_any_length)
{
    static const unsigned lengths[] = {1, 2, 3, 500, 3071, 3072, 3073, 6144, 50000};
    for (unsigned k = 0; k < G_N_ELEMENTS(lengths); k++) {
        unsigned n = lengths[k];
        g_autoptr(GString) line = g_string_new(NULL), want = g_string_new("OK 0x");
        g_autofree uint8_t *bytes = g_malloc(n), *back = g_malloc(n);
        for (unsigned i = 0; i < n; i++) {
            bytes[i] = (uint8_t)(i * 7 + k);
            g_string_append_printf(want, "%02x", bytes[i]);
        }
        g_string_append_c(want, '\n');
        g_string_printf(line, "write 0x10000 %u %s", n, want->str + 3);
        size_t cut = line->len * k / G_N_ELEMENTS(lengths);
        g_string_truncate(got, 0);
        wire_feed(wire, line->str, cut);
        wire_feed(wire, line->str + cut, line->len - cut);
        ck_assert_str_eq(got->str, "OK\n");
        space_read(space_memory(), 0x10000, back, n);
        ck_assert_mem_eq(back, bytes, n);
        g_string_printf(line, "read 0x10000 %u\n", n);
        ask(line->str);
        ck_assert_str_eq(got->str, want->str);
        g_autofree char *base64 = g_base64_encode(bytes, n);
        space_write(space_memory(), 0x10000, back + n / 2, n / 2);
        g_string_printf(line, "b64write 0x10000 %u %s\n", n, base64);
        ask(line->str);
        ck_assert_str_eq(got->str, "OK\n");
        g_string_printf(line, "b64read 0x10000 %u\n", n);
        g_string_printf(want, "OK %s\n", base64);
        ask(line->str);
        ck_assert_str_eq(got->str, want->str);
    }
}
END_TEST

START_TEST(several_requests_at_once)
{
    ask("writeb 0 1\nwriteb 1 2\r\nread 0 2\nrea");
    ck_assert_str_eq(got->str, "OK\nOK\nOK 0x0102\n");
    ask("db 1\n");
    ck_assert_str_eq(got->str, "OK 0x0000000000000002\n");
}
END_TEST

static unsigned fired;
static void fire(void *arg)
{
    fired++;
}

START_TEST(time_moves_on_request)
{
    Timer a, b;
    timer_init(&a, CLOCK_VIRTUAL, fire, NULL);
    timer_init(&b, CLOCK_VIRTUAL, fire, NULL);
    timer_at(&a, 1000);
    timer_at(&b, 5000);
    ASK("clock_step", "OK 1000");
    ck_assert_uint_eq(fired, 1);
    ASK("clock_step 3999", "OK 4999");
    ck_assert_uint_eq(fired, 1);
    ASK("clock_set 6000", "OK 6000");
    ck_assert_uint_eq(fired, 2);
    ASK("clock_step", "OK 6000");
    ASK("clock_set 10", "OK 6000");
    ASK("clock_step 0x7fffffffffffffff", "FAIL Invalid number");
}
END_TEST

START_TEST(input_pins)
{
    ASK("irq_intercept_in nothing", "FAIL Unknown device");
    ASK("irq_intercept_in ioapic", "OK");
    ASK("irq_intercept_in ioapic", "OK");
    ASK("irq_intercept_out ioapic", "FAIL IRQ intercept already enabled");
    ask("set_irq_in ioapic unnamed-gpio-in 4 1\n");
    ck_assert_str_eq(got->str, "IRQ raise 4\nOK\n");
    ck_assert_uint_eq(toy->lines, 0x10); /* and the device has it too */
    ASK("set_irq_in ioapic unnamed-gpio-in 4 1", "OK");
    ask("set_irq_in ioapic unnamed-gpio-in 4 0\n");
    ck_assert_str_eq(got->str, "IRQ lower 4\nOK\n");
    g_string_truncate(got, 0);
    device_input(&toy->dev, 7, true); /* outside of any request */
    ck_assert_str_eq(got->str, "IRQ raise 7\n");
    ASK("set_irq_in ioapic x 9999 0", "FAIL Invalid number");
    wire_reset(wire);
    ask("set_irq_in ioapic unnamed-gpio-in 4 1\n");
    ck_assert_str_eq(got->str, "OK\n");
}
END_TEST

START_TEST(output_pins)
{
    ASK("irq_intercept_out toy", "OK");
    ask("set_irq_in toy unnamed-gpio-in 0 1\n");
    ck_assert_str_eq(got->str, "IRQ raise 0\nOK\n");
    ask("set_irq_in toy unnamed-gpio-in 1 1\n");
    ck_assert_str_eq(got->str, "IRQ lower 0\nOK\n");
    wire_reset(wire);
    ck_assert_ptr_null(toy->out.set);
    ASK("set_irq_in toy unnamed-gpio-in 1 0", "OK");
}
END_TEST

START_TEST(modules)
{
    ask("module_load accel- qtest\n");
    ck_assert(g_str_has_prefix(got->str, "FAIL"));
}
END_TEST

/* Any bytes at all. */
START_TEST(noise)
{
    static const char *const pieces[] = {
        "read", "write ",  "b64write 0 9 ",     "\n",     " ",           "0x",
        "\0",   "=",       "irq_intercept_in ", "ioapic", "set_irq_in ", "9",
        "-",    "memset ", "clock_step",        "zz",     "\xff\xfe",    "\r\n"};
    GRand *r = g_rand_new_with_seed(1);
    wire->max_size = 10000;
    for (unsigned i = 0; i < 200000; i++) {
        const char *p = pieces[g_rand_int_range(r, 0, G_N_ELEMENTS(pieces))];
        wire_feed(wire, p, *p ? strlen(p) : 1);
        if (got->len > 100000) {
            g_string_truncate(got, 0);
        }
    }
    g_rand_free(r);
    wire_feed(wire, "\n", 1);
    ASK("endianness", "OK little");
}
END_TEST

/* ---- The socket, with the test program as its server ---- */

static size_t read_line(int fd, char *buf, size_t room)
{
    size_t n = 0;
    while (!n || buf[n - 1] != '\n') {
        loop_iterate(false);
        ssize_t r = recv(fd, buf + n, room - n - 1, MSG_DONTWAIT);
        n += r > 0 ? (size_t)r : 0;
    }
    buf[n] = 0;
    return n;
}

START_TEST(socket_and_log)
{
    char dir[] = "/tmp/ostler-qtest-XXXXXX", buf[256];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    g_autofree char *path = g_strdup_printf("%s/sock", dir), *log = g_strdup_printf("%s/log", dir);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    g_strlcpy(a.sun_path, path, sizeof(a.sun_path));
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(server, 1), 0);
    g_autofree char *text = g_strdup_printf("unix:%s", path);
    GError *error = NULL;
    ck_assert_msg(qtest_listen(text, log, &error), "%s", error ? error->message : "");
    int fd = accept(server, NULL, NULL);
    ck_assert_int_eq(write(fd, "writeb 5 0x77\nread 5 1\n", 23), 23);
    size_t n = read_line(fd, buf, sizeof(buf));
    while (!strstr(buf, "0x77")) {
        n += read_line(fd, buf + n, sizeof(buf) - n);
    }
    ck_assert_str_eq(buf, "OK\nOK 0x77\n");
    g_autofree char *logged = NULL;
    ck_assert(g_file_get_contents(log, &logged, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(logged, "] writeb 5 0x77\n"));
    ck_assert_ptr_nonnull(strstr(logged, "] OK 0x77\n"));
    ck_assert(!qtest_listen(text, NULL, &error));
    g_clear_error(&error);
    close(fd);
    close(server);
    char_cleanup();
    unlink(path);
    unlink(log);
    rmdir(dir);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {ports,
                                  memory,
                                  nonsense,
                                  data_of_any_length,
                                  several_requests_at_once,
                                  time_moves_on_request,
                                  input_pins,
                                  output_pins,
                                  modules,
                                  noise,
                                  socket_and_log};
    Suite *s = suite_create("qtest");
    TCase *t = tcase_create("wire");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        tcase_add_test(t, tests[i]);
    }
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
