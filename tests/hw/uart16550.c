/* 16550A: the data sheet's registers, FIFOs, interrupts and modem lines, one claim after the other.
 */
#include "bench.h"
#include "hw/char/uart16550.h"

enum {
    RBR = 0,
    THR = 0,
    DLL = 0,
    IER = 1,
    DLM = 1,
    IIR = 2,
    FCR = 2,
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCR = 7
};
#define CHAR_115200 INT64_C(86805) /* ten bits at 115200 baud, ns, rounded down */

/* The other end of the line: takes `room` bytes, and counts what it is told. */
typedef struct Far {
    Char chr;
    uint8_t got[256];
    size_t got_n, room;
    unsigned breaks, accepts, settings, modem_in, modem_out;
    CharLine line;
} Far;

static size_t far_write(Char *c, const uint8_t *buf, size_t len)
{
    Far *f = (Far *)c;
    len = MIN(len, MIN(f->room, sizeof(f->got) - f->got_n));
    memcpy(f->got + f->got_n, buf, len);
    f->got_n += len;
    f->room -= len;
    return len;
}

static void far_accept(Char *c)
{
    ((Far *)c)->accepts++;
}
static void far_break(Char *c)
{
    ((Far *)c)->breaks++;
}
static unsigned far_modem(Char *c)
{
    return ((Far *)c)->modem_in;
}
static void far_modem_set(Char *c, unsigned lines)
{
    ((Far *)c)->modem_out = lines;
}

static void far_line(Char *c, const CharLine *line)
{
    Far *f = (Far *)c;
    f->settings++;
    f->line = *line;
}

static const CharClass far_class = {.name = "far",
                                    .write = far_write,
                                    .accept = far_accept,
                                    .send_break = far_break,
                                    .set_line = far_line};
static const CharClass far_modem_class = {.name = "modem",
                                          .write = far_write,
                                          .accept = far_accept,
                                          .modem_get = far_modem,
                                          .modem_set = far_modem_set};
static Far far_end;
static Uart *uart;
static Probe *irq;

static void start_with(const CharClass *class)
{
    far_end = (Far){.chr = {.class = class, .id = (char *)"far", .open = true, .logfd = -1},
                    .room = SIZE_MAX};
    far_end.chr.pending = g_byte_array_new();
    far_end.modem_in = CHAR_TIOCM_CTS | CHAR_TIOCM_DSR | CHAR_TIOCM_CAR;
    uart = device_new(&serial_class, NULL);
    device_set_pointer(&uart->dev, "chardev", &far_end);
    GError *error = NULL;
    ck_assert_msg(device_realize(&uart->dev, NULL, &error), "%s", error ? error->message : "");
    device_reset(&uart->dev, true);
    irq = bench_probe(uart, "irq", 0);
}

static void start(void)
{
    start_with(&far_class);
}

/* 115200 8N1, so that a character takes 86.8 us. */
static void fast(void)
{
    out8(uart, LCR, 0x83);
    out8(uart, DLL, 1);
    out8(uart, DLM, 0);
    out8(uart, LCR, 0x03);
}

static void arrive(const char *text, size_t n)
{
    device_receive(&uart->dev, (const uint8_t *)text, n);
}

START_TEST(reset_values)
{
    start();
    ck_assert_uint_eq(in8(uart, IER), 0);
    ck_assert_uint_eq(in8(uart, IIR), 0x01);
    ck_assert_uint_eq(in8(uart, LCR), 0);
    ck_assert_uint_eq(in8(uart, MCR), 0);
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
    ck_assert_uint_eq(in8(uart, MSR), 0xb0);
    ck_assert(!irq->level);
}
END_TEST

START_TEST(masks_and_scratch)
{
    start();
    out8(uart, IER, 0xff);
    ck_assert_uint_eq(in8(uart, IER), 0x0f);
    out8(uart, MCR, 0xef);
    ck_assert_uint_eq(in8(uart, MCR), 0x0f);
    out8(uart, SCR, 0xa5);
    ck_assert_uint_eq(in8(uart, SCR), 0xa5);
    out8(uart, LSR, 0xff);
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
}
END_TEST

START_TEST(divisor_latch)
{
    start();
    out8(uart, IER, 0x04);
    out8(uart, LCR, 0x80);
    out8(uart, DLL, 0x34);
    out8(uart, DLM, 0x12);
    ck_assert_uint_eq(in8(uart, DLL), 0x34);
    ck_assert_uint_eq(in8(uart, DLM), 0x12);
    out8(uart, LCR, 0x1f); /* 8 bits, even parity, 2 stops */
    ck_assert_uint_eq(in8(uart, IER), 0x04);
    ck_assert_uint_eq(far_end.got_n, 0);
    ck_assert_uint_eq(far_end.line.baud, 115200 / 0x1234);
    ck_assert_uint_eq(far_end.line.data_bits, 8);
    ck_assert_uint_eq(far_end.line.stop_bits, 2);
    ck_assert_int_eq(far_end.line.parity, 'E');
    unsigned told = far_end.settings;
    out8(uart, SCR, 1);
    ck_assert_uint_eq(far_end.settings, told);
}
END_TEST

START_TEST(character_time)
{
    start();
    fast();
    ck_assert_int_eq(uart_char_ns(uart), CHAR_115200);
    out8(uart, LCR, 0x04); /* 5 bits, one and a half stops */
    ck_assert_int_eq(uart_char_ns(uart), 7500 * NS_PER_MS / 115200);
    out8(uart, LCR, 0x0f); /* 8 bits, parity, 2 stops */
    ck_assert_int_eq(uart_char_ns(uart), 12 * NS_PER_SECOND / 115200);
}
END_TEST

START_TEST(transmit_at_once)
{
    start();
    out8(uart, THR, 'h');
    out8(uart, THR, 'i');
    ck_assert_uint_eq(far_end.got_n, 2);
    ck_assert_mem_eq(far_end.got, "hi", 2);
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
}
END_TEST

START_TEST(thre_interrupt)
{
    start();
    out8(uart, IER, 0x02); /* enabling it while THR is empty interrupts */
    ck_assert(irq->level);
    ck_assert_uint_eq(in8(uart, IIR), 0x02);
    ck_assert(!irq->level); /* reading IIR as the source clears it */
    ck_assert_uint_eq(in8(uart, IIR), 0x01);
    out8(uart, THR, 'x');
    ck_assert(irq->level);
    out8(uart, IER, 0x00);
    ck_assert(!irq->level);
    out8(uart, IER, 0x02);
    ck_assert(irq->level);
}
END_TEST

START_TEST(blocked_16450)
{
    start();
    fast();
    out8(uart, IER, 0x02);
    in8(uart, IIR);
    far_end.room = 0;
    out8(uart, THR, 'a'); /* moves on into the shift register */
    ck_assert_uint_eq(in8(uart, LSR), 0x20);
    ck_assert_uint_eq(in8(uart, IIR), 0x02);
    out8(uart, THR, 'b'); /* stays in THR */
    ck_assert_uint_eq(in8(uart, LSR), 0x00);
    ck_assert(!irq->level);
    out8(uart, THR, 'c'); /* overwrites it */
    far_end.room = SIZE_MAX;
    serial_class.writable(uart);
    device_settle(&uart->dev);
    ck_assert_uint_eq(far_end.got_n, 2);
    ck_assert_mem_eq(far_end.got, "ac", 2);
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
    ck_assert(irq->level);
}
END_TEST

START_TEST(blocked_fifo)
{
    start();
    fast();
    out8(uart, FCR, 0x01);
    out8(uart, IER, 0x02);
    in8(uart, IIR);
    far_end.room = 0;
    for (unsigned i = 0; i < 20; i++) {
        out8(uart, THR, (uint8_t)i); /* one shifting, 16 in the FIFO, three lost */
    }
    ck_assert_uint_eq(in8(uart, LSR), 0x00);
    ck_assert(!irq->level);
    far_end.room = 16;
    bench_advance(20 * CHAR_115200); /* the chip tries again by itself */
    ck_assert_uint_eq(far_end.got_n, 16);
    ck_assert_uint_eq(in8(uart, LSR), 0x20);
    ck_assert_uint_eq(in8(uart, IIR), 0xc2);
    far_end.room = SIZE_MAX;
    bench_advance(20 * CHAR_115200);
    ck_assert_uint_eq(far_end.got_n, 17);
    ck_assert_uint_eq(far_end.got[16], 16);
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
}
END_TEST

START_TEST(clear_transmit_fifo)
{
    start();
    out8(uart, FCR, 0x01);
    far_end.room = 0;
    out8(uart, THR, 1);
    out8(uart, THR, 2);
    out8(uart, THR, 3);
    out8(uart, FCR, 0x05);
    ck_assert_uint_eq(in8(uart, LSR), 0x20); /* the shift register keeps its character */
    far_end.room = SIZE_MAX;
    serial_class.writable(uart);
    ck_assert_uint_eq(far_end.got_n, 1);
    ck_assert_uint_eq(far_end.got[0], 1);
}
END_TEST

START_TEST(receive_16450)
{
    start();
    ck_assert_uint_eq(serial_class.can_receive(uart), 1);
    arrive("A", 1);
    ck_assert_uint_eq(serial_class.can_receive(uart), 0);
    ck_assert_uint_eq(in8(uart, LSR), 0x61);
    ck_assert(!irq->level);
    out8(uart, IER, 0x01);
    ck_assert(irq->level);
    ck_assert_uint_eq(in8(uart, IIR), 0x04);
    unsigned accepts = far_end.accepts;
    ck_assert_uint_eq(in8(uart, RBR), 'A');
    ck_assert_uint_gt(far_end.accepts, accepts);
    ck_assert(!irq->level);
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
}
END_TEST

START_TEST(overrun_16450)
{
    start();
    out8(uart, IER, 0x05);
    arrive("AB", 2);
    ck_assert_uint_eq(in8(uart, IIR), 0x06); /* line status comes first */
    ck_assert_uint_eq(in8(uart, LSR), 0x63);
    ck_assert_uint_eq(in8(uart, LSR), 0x61); /* read clears OE */
    ck_assert_uint_eq(in8(uart, IIR), 0x04);
    ck_assert_uint_eq(in8(uart, RBR), 'B'); /* the older one was overwritten */
}
END_TEST

START_TEST(overrun_fifo)
{
    start();
    out8(uart, FCR, 0x01);
    ck_assert_uint_eq(serial_class.can_receive(uart), 16);
    arrive("0123456789abcdefX", 17);
    ck_assert_uint_eq(in8(uart, LSR), 0x63);
    for (unsigned i = 0; i < 16; i++) {
        ck_assert_uint_eq(in8(uart, RBR), (uint8_t) "0123456789abcdef"[i]);
    }
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
}
END_TEST

START_TEST(trigger_levels)
{
    static const uint8_t level[] = {1, 4, 8, 14};
    start();
    for (unsigned t = 0; t < 4; t++) {
        out8(uart, FCR, (uint8_t)(0x03 | t << 6));
        out8(uart, IER, 0x01);
        for (unsigned i = 1; i <= 16; i++) {
            arrive("x", 1);
            ck_assert_uint_eq(in8(uart, IIR), i >= level[t] ? 0xc4 : 0xc1);
        }
        for (unsigned i = 16; i > 0; i--) {
            ck_assert_uint_eq(irq->level, i >= level[t]);
            in8(uart, RBR);
        }
        ck_assert(!irq->level);
    }
}
END_TEST

START_TEST(character_timeout)
{
    start();
    fast();
    out8(uart, FCR, 0xc1);
    out8(uart, IER, 0x01);
    arrive("ab", 2);
    bench_advance(4 * CHAR_115200 - 1);
    ck_assert_uint_eq(in8(uart, IIR), 0xc1);
    arrive("c", 1); /* a new character starts the time anew */
    bench_advance(4 * CHAR_115200 - 1);
    ck_assert_uint_eq(in8(uart, IIR), 0xc1);
    bench_advance(1);
    ck_assert(irq->level);
    ck_assert_uint_eq(in8(uart, IIR), 0xcc);
    ck_assert_uint_eq(in8(uart, IIR), 0xcc); /* only fetching a character clears it */
    ck_assert_uint_eq(in8(uart, RBR), 'a');
    ck_assert(!irq->level);
    bench_advance(4 * CHAR_115200);
    ck_assert_uint_eq(in8(uart, IIR), 0xcc); /* two are left */
    out8(uart, FCR, 0xc3);
    ck_assert_uint_eq(in8(uart, IIR), 0xc1); /* clearing the FIFO ends it */
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
    bench_advance(8 * CHAR_115200);
    ck_assert(!irq->level);
}
END_TEST

START_TEST(no_timeout_without_fifo)
{
    start();
    fast();
    arrive("a", 1);
    bench_advance(NS_PER_SECOND);
    out8(uart, IER, 0x01);
    ck_assert_uint_eq(in8(uart, IIR), 0x04);
}
END_TEST

START_TEST(fifo_switch)
{
    start();
    out8(uart, FCR, 0xc8); /* nothing counts without bit 0 */
    ck_assert_uint_eq(in8(uart, IIR), 0x01);
    out8(uart, FCR, 0xc1);
    ck_assert_uint_eq(in8(uart, IIR), 0xc1);
    arrive("abc", 3);
    out8(uart, FCR, 0x00); /* a change of bit 0 clears both */
    ck_assert_uint_eq(in8(uart, LSR), 0x60);
    ck_assert_uint_eq(in8(uart, IIR), 0x01);
}
END_TEST

START_TEST(break_received)
{
    start();
    out8(uart, FCR, 0x01);
    out8(uart, IER, 0x05);
    arrive("a", 1);
    serial_class.event(uart, CHAR_BREAK);
    device_settle(&uart->dev);
    ck_assert_uint_eq(in8(uart, LSR), 0xe1); /* an error in the FIFO, not yet at its top */
    ck_assert_uint_eq(in8(uart, IIR), 0xc4);
    ck_assert_uint_eq(in8(uart, RBR), 'a');
    ck_assert_uint_eq(in8(uart, IIR), 0xc6);
    ck_assert_uint_eq(in8(uart, LSR), 0xf1);
    ck_assert_uint_eq(in8(uart, LSR), 0x61); /* read clears BI and bit 7 */
    ck_assert_uint_eq(in8(uart, RBR), 0);
}
END_TEST

START_TEST(break_sent)
{
    start();
    out8(uart, LCR, 0x43);
    out8(uart, LCR, 0x43);
    ck_assert_uint_eq(far_end.breaks, 1);
    out8(uart, LCR, 0x03);
    out8(uart, LCR, 0x43);
    ck_assert_uint_eq(far_end.breaks, 2);
}
END_TEST

START_TEST(loopback_data)
{
    start();
    out8(uart, LCR, 0x03);
    out8(uart, FCR, 0x01);
    out8(uart, MCR, 0x10);
    ck_assert_uint_eq(serial_class.can_receive(uart), 0);
    for (unsigned i = 0; i < 17; i++) {
        out8(uart, THR, (uint8_t)(0xf0 + i));
    }
    ck_assert_uint_eq(far_end.got_n, 0);
    ck_assert_uint_eq(in8(uart, LSR), 0x63); /* the 17th overran */
    ck_assert_uint_eq(in8(uart, RBR), 0xf0);
    ck_assert_uint_eq(in8(uart, RBR), 0xf1);
    out8(uart, FCR, 0x03);
    out8(uart, LCR, 0x00); /* five bits survive */
    out8(uart, THR, 0xff);
    ck_assert_uint_eq(in8(uart, RBR), 0x1f);
    out8(uart, LCR, 0x43);
    ck_assert_uint_eq(in8(uart, LSR), 0xf1);
    ck_assert_uint_eq(far_end.breaks, 0);
    unsigned accepts = far_end.accepts;
    out8(uart, MCR, 0x00);
    ck_assert_uint_gt(far_end.accepts, accepts);
}
END_TEST

START_TEST(loopback_modem)
{
    start();
    out8(uart, MCR, 0x10); /* CTS, DSR and DCD drop */
    ck_assert_uint_eq(in8(uart, MSR), 0x0b);
    ck_assert_uint_eq(in8(uart, MSR), 0x00);
    out8(uart, MCR, 0x12);
    ck_assert_uint_eq(in8(uart, MSR), 0x11); /* RTS -> CTS */
    out8(uart, MCR, 0x11);
    ck_assert_uint_eq(in8(uart, MSR), 0x23); /* DTR -> DSR */
    out8(uart, MCR, 0x14);
    ck_assert_uint_eq(in8(uart, MSR), 0x42); /* OUT1 -> RI: its start is no event */
    out8(uart, MCR, 0x18);
    ck_assert_uint_eq(in8(uart, MSR), 0x8c); /* its end is; OUT2 -> DCD */
    out8(uart, MCR, 0x1a);
    ck_assert_uint_eq(in8(uart, MSR) & 0xf0, 0x90); /* what probes look for */
}
END_TEST

START_TEST(modem_interrupt)
{
    start();
    out8(uart, MCR, 0x10);
    in8(uart, MSR);
    out8(uart, IER, 0x08);
    ck_assert(!irq->level);
    out8(uart, MCR, 0x12);
    ck_assert(irq->level);
    ck_assert_uint_eq(in8(uart, IIR), 0x00);
    in8(uart, MSR);
    ck_assert(!irq->level);
}
END_TEST

START_TEST(modem_of_a_real_line)
{
    start_with(&far_modem_class);
    ck_assert_uint_eq(in8(uart, MSR), 0xb0);
    out8(uart, IER, 0x08);
    far_end.modem_in = CHAR_TIOCM_DSR | CHAR_TIOCM_RI;
    bench_advance(20 * NS_PER_MS);
    ck_assert(irq->level);
    ck_assert_uint_eq(in8(uart, MSR), 0x69);
    far_end.modem_in = CHAR_TIOCM_DSR;
    bench_advance(20 * NS_PER_MS);
    ck_assert_uint_eq(in8(uart, MSR), 0x24);
    out8(uart, MCR, 0x03);
    ck_assert_uint_eq(far_end.modem_out, CHAR_TIOCM_DTR | CHAR_TIOCM_RTS);
}
END_TEST

START_TEST(interrupt_priorities)
{
    start();
    out8(uart, FCR, 0x01);
    out8(uart, MCR, 0x10); /* modem deltas */
    out8(uart, IER, 0x0f); /* transmitter empty */
    arrive("x", 1);
    serial_class.event(uart, CHAR_BREAK);
    out8(uart, MCR, 0x10);
    out8(uart, THR, 'y');
    in8(uart, RBR);
    in8(uart, LSR);
    out8(uart, LCR, 0x40);
    out8(uart, LCR, 0x00);
    /* RBR now: y, and a break behind it */
    ck_assert_uint_eq(in8(uart, IIR), 0xc4);
    in8(uart, RBR);
    ck_assert_uint_eq(in8(uart, IIR), 0xc6);
    in8(uart, LSR);
    ck_assert_uint_eq(in8(uart, IIR), 0xc4);
    in8(uart, RBR);
    ck_assert_uint_eq(in8(uart, IIR), 0xc2);
    ck_assert_uint_eq(in8(uart, IIR), 0xc0);
    ck_assert(irq->level);
    in8(uart, MSR);
    ck_assert_uint_eq(in8(uart, IIR), 0xc1);
    ck_assert(!irq->level);
}
END_TEST

BENCH_MAIN("uart16550", CASE(reset_values), CASE(masks_and_scratch), CASE(divisor_latch),
           CASE(character_time), CASE(transmit_at_once), CASE(thre_interrupt), CASE(blocked_16450),
           CASE(blocked_fifo), CASE(clear_transmit_fifo), CASE(receive_16450), CASE(overrun_16450),
           CASE(overrun_fifo), CASE(trigger_levels), CASE(character_timeout),
           CASE(no_timeout_without_fifo), CASE(fifo_switch), CASE(break_received), CASE(break_sent),
           CASE(loopback_data), CASE(loopback_modem), CASE(modem_interrupt),
           CASE(modem_of_a_real_line), CASE(interrupt_priorities))
