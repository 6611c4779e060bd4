/* UART NS16550AF / PC16550D (National Semiconductor, June 1995).  Section numbers are that data
 * sheet's.
 *
 * The receiver side is timed by the baud rate as far as a driver can tell: the character timeout.
 * The transmitter is not: a byte goes to the back end at once and THRE returns with it, unless the
 * back end is full; then bytes wait in the FIFO as they would for a slow line.  A guest printing to
 * a terminal thus runs at the terminal's speed.
 *
 * OUT2 does not gate the interrupt here: on the PC's adapter it does, but drivers written on other
 * machines, and multi-port cards, leave it low. */
#include "core/runstate.h"
#include "hw/char/uart16550.h"

enum { ERBFI = 1, ETBEI = 2, ELSI = 4, EDSSI = 8 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_STORED = 0xc9 };
enum {
    LCR_STOP = 4,
    LCR_PARITY = 8,
    LCR_EVEN = 0x10,
    LCR_STICK = 0x20,
    LCR_BREAK = 0x40,
    LCR_DLAB = 0x80
};
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10 };
enum {
    LSR_DR = 1,
    LSR_OE = 2,
    LSR_PE = 4,
    LSR_FE = 8,
    LSR_BI = 0x10,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    LSR_FIFO = 0x80
};
enum { LINE_CTS = 1, LINE_DSR = 2, LINE_RI = 4, LINE_DCD = 8 }; /* MSR bits 7-4, shifted down */
enum {
    IIR_MODEM = 0,
    IIR_NONE = 1,
    IIR_THRE = 2,
    IIR_DATA = 4,
    IIR_LINE = 6,
    IIR_TIMEOUT = 12,
    IIR_FIFOS = 0xc0
};
enum { POLL_NS = 10 * NS_PER_MS, RETRY_NS = 100 * NS_PER_US };

static bool fifos(const Uart *s)
{
    return s->fcr & FCR_ENABLE;
}

static bool thre(const Uart *s)
{
    return s->tx_n <= 1;
}

static unsigned rx_room(const Uart *s)
{
    return (fifos(s) ? UART_FIFO : 1u) - MIN(s->rx_n, fifos(s) ? UART_FIFO : 1u);
}

/* §8.1: twice the bits, because five data bits may have one and a half stop bits. */
static unsigned frame_half_bits(const Uart *s)
{
    unsigned data = 5 + (s->lcr & 3);
    unsigned stop = !(s->lcr & LCR_STOP) ? 2 : data == 5 ? 3 : 4;
    return 2 + 2 * data + (s->lcr & LCR_PARITY ? 2 : 0) + stop;
}

static unsigned divisor(const Uart *s)
{
    unsigned d = s->dll | s->dlm << 8;
    return d ? d : 1;
}

int64_t uart_char_ns(const Uart *s)
{
    return (int64_t)muldiv64((uint64_t)frame_half_bits(s) * divisor(s), NS_PER_SECOND / 2,
                             s->baudbase);
}

/* ---- Receiver (§8.4, §8.10) ---- */

static unsigned trigger_level(const Uart *s)
{
    static const uint8_t level[] = {1, 4, 8, 14};
    return fifos(s) ? level[s->fcr >> 6] : 1;
}

static void rx_restart_timeout(Uart *s)
{
    timer_at(&s->idle, fifos(s) && s->rx_n ? now(&s->dev) + 4 * uart_char_ns(s) : TIMER_OFF);
}

/* One character arrives from the line.  In FIFO mode a character that finds no room is lost, in
 * 16450 mode the one that was not fetched is (§8.4, OE). */
static void rx_push(Uart *s, uint8_t byte, uint8_t error)
{
    if (!rx_room(s)) {
        s->overrun = true;
        if (fifos(s)) {
            return;
        }
        s->rx_n = 0;
    }
    s->rx[s->rx_n] = byte;
    s->rx_error[s->rx_n++] = error;
    rx_restart_timeout(s);
}

static void rx_clear(Uart *s)
{
    s->rx_n = 0;
    s->late = false;
    rx_restart_timeout(s);
}

static uint64_t rbr(const void *dev, unsigned arg, unsigned i)
{
    const Uart *s = dev;
    return s->rx_n ? s->rx[0] : 0;
}

static void rbr_read(void *dev, unsigned arg, unsigned i)
{
    Uart *s = dev;
    if (!s->rx_n) {
        return;
    }
    bool was_full = !rx_room(s);
    if (--s->rx_n) {
        memmove(s->rx, s->rx + 1, s->rx_n);
        memmove(s->rx_error, s->rx_error + 1, s->rx_n);
    }
    s->late = false;
    rx_restart_timeout(s);
    if (was_full) {
        char_accept(s->chardev);
    }
}

static void idle_expired(void *dev, unsigned i)
{
    Uart *s = dev;
    s->late = s->rx_n != 0;
}

static size_t uart_can_receive(void *dev)
{
    Uart *s = dev;
    return s->mcr & MCR_LOOP
               ? 0
               : rx_room(s); /* the pin is cut off from the receiver: let the sender wait */
}

static void uart_receive(void *dev, const uint8_t *buf, size_t len)
{
    Uart *s = dev;
    if (s->wakeup) {
        machine_request_wakeup();
    }
    for (size_t i = 0; i < len; i++) {
        rx_push(s, buf[i], 0);
    }
}

static void uart_event(void *dev, int event)
{
    Uart *s = dev;
    if (event == CHAR_BREAK && !(s->mcr & MCR_LOOP)) {
        rx_push(s, 0, LSR_BI);
    }
}

/* ---- Transmitter ---- */

/* Shift out what the other side takes; the holding register running empty is an event (§8.5). */
static void tx_drain(Uart *s)
{
    bool was_empty = thre(s);
    size_t sent = s->tx_n;
    if (s->mcr & MCR_LOOP) {
        static const uint8_t mask[] = {0x1f, 0x3f, 0x7f, 0xff};
        for (size_t i = 0; i < sent; i++) {
            rx_push(s, s->tx[i] & mask[s->lcr & 3], 0);
        }
    } else if (sent) {
        sent = char_write(s->chardev, s->tx, sent);
    }
    s->tx_n = (uint8_t)(s->tx_n - sent);
    memmove(s->tx, s->tx + sent, s->tx_n);
    if (!was_empty && thre(s)) {
        s->emptied = true;
    }
    int64_t wait = MAX(s->tx_n * uart_char_ns(s), RETRY_NS);
    timer_at(&s->shift, s->tx_n ? now(&s->dev) + wait : TIMER_OFF);
}

static void thr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Uart *s = dev;
    bool behind =
        s->tx_n; /* something is in the shift register, so the byte stays in the holding register */
    if (!behind || fifos(s)) {
        if (s->tx_n < sizeof(s->tx)) {
            s->tx[s->tx_n++] = (uint8_t)value;
        }
    } else {
        s->tx[1] = (uint8_t)value;
        s->tx_n = 2;
    }
    s->emptied = !behind; /* it passes the holding register at once */
    tx_drain(s);
}

static void shift_due(void *dev, unsigned i)
{
    tx_drain(dev);
}

static void uart_writable(void *dev)
{
    tx_drain(dev);
}

/* ---- Interrupts (§8.6, table IV: the highest first) ---- */

static uint64_t lsr(const void *dev, unsigned arg, unsigned i);

static uint64_t iir(const void *dev, unsigned arg, unsigned i)
{
    const Uart *s = dev;
    unsigned set = fifos(s) ? IIR_FIFOS : 0;
    if ((s->ier & ELSI) && (lsr(s, 0, 0) & (LSR_OE | LSR_PE | LSR_FE | LSR_BI))) {
        return set | IIR_LINE;
    }
    if ((s->ier & ERBFI) && s->rx_n >= trigger_level(s)) {
        return set | IIR_DATA;
    }
    if ((s->ier & ERBFI) && s->late) {
        return set | IIR_TIMEOUT;
    }
    if ((s->ier & ETBEI) && s->emptied) {
        return set | IIR_THRE;
    }
    if ((s->ier & EDSSI) && s->delta) {
        return set | IIR_MODEM;
    }
    return set | IIR_NONE;
}

static void iir_read(void *dev, unsigned arg, unsigned i)
{
    Uart *s = dev;
    if ((iir(s, 0, 0) & 15) == IIR_THRE) {
        s->emptied = false;
    }
}

static void ier_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Uart *s = dev;
    if ((value & ~old & ETBEI) && thre(s)) {
        s->emptied = true; /* drivers count on it to start sending */
    }
}

/* §8.5: switching the FIFOs on or off empties both; the other bits count only with bit 0. */
static void fcr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Uart *s = dev;
    unsigned fcr = value & FCR_ENABLE ? (unsigned)value : 0;
    if ((fcr ^ s->fcr) & FCR_ENABLE) {
        fcr |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    }
    s->fcr = fcr & FCR_STORED;
    if (fcr & FCR_CLEAR_RX) {
        rx_clear(s);
        char_accept(s->chardev);
    }
    if ((fcr & FCR_CLEAR_TX) && s->tx_n > 1) {
        s->tx_n = 1; /* the shift register is not cleared */
        s->emptied = true;
    }
}

/* ---- Line (§8.1, §8.4) ---- */

static uint64_t lsr(const void *dev, unsigned arg, unsigned i)
{
    const Uart *s = dev;
    unsigned v = s->overrun ? LSR_OE : 0;
    if (s->rx_n) {
        v |= LSR_DR | s->rx_error[0];
    }
    for (unsigned k = 0; fifos(s) && k < s->rx_n; k++) {
        v |= s->rx_error[k] ? LSR_FIFO : 0;
    }
    return v | (thre(s) ? LSR_THRE : 0) | (s->tx_n ? 0 : LSR_TEMT);
}

static void lsr_read(void *dev, unsigned arg, unsigned i)
{
    Uart *s = dev;
    s->overrun = false;
    if (s->rx_n) {
        s->rx_error[0] = 0;
    }
}

static void lcr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Uart *s = dev;
    if (value & ~old & LCR_BREAK) {
        if (s->mcr & MCR_LOOP) {
            rx_push(s, 0, LSR_BI);
        } else {
            char_send_break(s->chardev);
        }
    }
}

static CharLine line_setting(const Uart *s)
{
    static const char parity[] = {'O', 'E', 'M', 'S'};
    return (CharLine){
        .baud = s->baudbase / divisor(s),
        .data_bits = 5 + (s->lcr & 3),
        .stop_bits = s->lcr & LCR_STOP ? 2 : 1,
        .parity = s->lcr & LCR_PARITY ? parity[s->lcr >> 4 & 3] : 'N',
    };
}

/* ---- Modem (§8.7, §8.8) ---- */

static bool has_modem(const Uart *s)
{
    return s->chardev && s->chardev->class->modem_get;
}

static unsigned lines_now(const Uart *s)
{
    if (s->mcr & MCR_LOOP) {
        return (s->mcr & MCR_RTS ? LINE_CTS : 0) | (s->mcr & MCR_DTR ? LINE_DSR : 0) |
               (s->mcr & MCR_OUT1 ? LINE_RI : 0) | (s->mcr & MCR_OUT2 ? LINE_DCD : 0);
    }
    unsigned v = char_modem_get(s->chardev);
    return (v & CHAR_TIOCM_CTS ? LINE_CTS : 0) | (v & CHAR_TIOCM_DSR ? LINE_DSR : 0) |
           (v & CHAR_TIOCM_RI ? LINE_RI : 0) | (v & CHAR_TIOCM_CAR ? LINE_DCD : 0);
}

/* TERI tells only of the end of a ring; the other three of any change. */
static void modem_sample(Uart *s)
{
    unsigned v = lines_now(s);
    s->delta |= ((v ^ s->lines) & (LINE_CTS | LINE_DSR | LINE_DCD)) | (s->lines & ~v & LINE_RI);
    s->lines = (uint8_t)v;
}

static void poll_due(void *dev, unsigned i)
{
    modem_sample(dev); /* update() sets the timer again */
}

static void mcr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Uart *s = dev;
    if (has_modem(s) && !(value & MCR_LOOP)) {
        char_modem_set(s->chardev, (value & MCR_DTR ? CHAR_TIOCM_DTR : 0) |
                                       (value & MCR_RTS ? CHAR_TIOCM_RTS : 0));
    }
    modem_sample(s);
    if (old & ~value & MCR_LOOP) {
        char_accept(s->chardev);
    }
}

static uint64_t msr(const void *dev, unsigned arg, unsigned i)
{
    const Uart *s = dev;
    return s->lines << 4 | s->delta;
}

static void msr_read(void *dev, unsigned arg, unsigned i)
{
    Uart *s = dev;
    s->delta = 0;
}

/* ---- The whole ---- */

static bool uart_realize(void *dev, GError **error)
{
    Uart *s = dev;
    if (!s->baudbase) {
        return error_fail(error, "Property %s.baudbase must not be 0", s->dev.class->name);
    }
    return true;
}

static void uart_reset(void *dev, bool power_on)
{
    Uart *s = dev;
    s->lines = (uint8_t)lines_now(s);
}

static void uart_update(void *dev)
{
    Uart *s = dev;
    irq_set(&s->irq, (iir(s, 0, 0) & 15) != IIR_NONE);
    if (has_modem(s) && !timer_pending(&s->poll)) {
        timer_at(&s->poll, now(&s->dev) + POLL_NS);
    }
    if (s->chardev && !(s->lcr & LCR_DLAB)) {
        CharLine line = line_setting(s);
        if (line.baud != s->line.baud || line.data_bits != s->line.data_bits ||
            line.stop_bits != s->line.stop_bits || line.parity != s->line.parity) {
            s->line = line;
            char_set_line(s->chardev, &line);
        }
    }
}

// clang-format off
#define DATA WHEN(Uart, lcr, LCR_DLAB, 0)
#define DLAB WHEN(Uart, lcr, LCR_DLAB, LCR_DLAB)

static const Row rows[] = {
    CHARDEV(Uart, chardev, "Where the line leads"),
    PROP(Uart, baudbase, "115200", "Baud rate of divisor 1"),
    PROP(Uart, wakeup, "off", "A received byte wakes the machine from suspend"),

    CALC(rbr, 1, 0, DATA, .ro = true, .get = rbr, .on_read = rbr_read, .doc = "Receiver buffer"),
    CALC(thr, 1, 0, DATA, .wo = true, .on_write = thr_write, .doc = "Transmitter holding"),
    REG(Uart, dll, 0, DLAB, .rw = 0xff, .reset = 12, .doc = "Divisor latch, low"),
    REG(Uart, ier, 1, DATA, .rw = 0x0f, .on_write = ier_write, .bits = "ERBFI ETBEI ELSI EDSSI",
        .doc = "Interrupt enable", .max = 0x0f),
    REG(Uart, dlm, 1, DLAB, .rw = 0xff, .doc = "Divisor latch, high"),
    CALC(iir, 1, 2, .ro = true, .get = iir, .on_read = iir_read, .doc = "Interrupt identity"),
    CALC(fifo_control, 1, 2, .wo = true, .on_write = fcr_write, .bits = "ENABLE CLEAR_RX CLEAR_TX DMA",
         .doc = "FIFO control"),
    REG(Uart, lcr, 3, .rw = 0xff, .on_write = lcr_write, .bits = "WLS0 WLS1 STB PEN EPS STICK BREAK DLAB",
        .doc = "Line control"),
    REG(Uart, mcr, 4, .rw = 0x1f, .on_write = mcr_write, .bits = "DTR RTS OUT1 OUT2 LOOP", .doc = "Modem control",
        .max = 0x1f),
    CALC(lsr, 1, 5, .ro = true, .get = lsr, .on_read = lsr_read, .bits = "DR OE PE FE BI THRE TEMT FIFO",
         .doc = "Line status"),
    CALC(msr, 1, 6, .ro = true, .get = msr, .on_read = msr_read, .bits = "DCTS DDSR TERI DDCD CTS DSR RI DCD",
         .doc = "Modem status"),
    REG(Uart, scr, 7, .rw = 0xff, .doc = "Scratch"),

    STATE(Uart, fcr, .max = FCR_STORED, .doc = "FIFO control, as written"),
    STATE(Uart, rx_n, .max = UART_FIFO),
    QUEUE(Uart, rx, rx_n),
    QUEUE(Uart, rx_error, rx_n, .max = LSR_PE | LSR_FE | LSR_BI),
    STATE(Uart, tx_n, .max = 1 + UART_FIFO),
    QUEUE(Uart, tx, tx_n),
    STATE(Uart, overrun),
    STATE(Uart, late, .doc = "Character timeout"),
    STATE(Uart, emptied, .doc = "Transmitter-empty interrupt is due"),
    STATE(Uart, lines, .max = 15, .doc = "DCD RI DSR CTS as last seen"),
    STATE(Uart, delta, .max = 15),
    TIMER(Uart, idle, idle_expired),
    TIMER(Uart, shift, shift_due),
    TIMER(Uart, poll, poll_due),
    DERIVED(Uart, line),
    PIN(Uart, irq, "INTR"),
    END
};
// clang-format on

const DeviceClass serial_class = {
    .name = "serial",
    .doc = "UART 16550A",
    .category = "input",
    .internal = true,
    .size = sizeof(Uart),
    .rows = rows,
    .realize = uart_realize,
    .reset = uart_reset,
    .update = uart_update,
    .can_receive = uart_can_receive,
    .receive = uart_receive,
    .writable = uart_writable,
    .event = uart_event,
};
