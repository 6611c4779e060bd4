/* Intel 8259A programmable interrupt controller.
 *
 * After the 8259A data sheet (1988) and, for ELCR, the 82371SB data sheet §2.5.5.  A request is
 * held only as long as its line is high: an edge latches, a falling line withdraws it, and an
 * acknowledge that finds nothing gives IR7. */
#include "hw/intc/i8259.h"

#include "core/log.h"

enum { READY, ICW2, ICW3, ICW4 }; /* what the next write to the odd port is */
enum { ICW1_IC4 = 0x01, ICW1_SNGL = 0x02, ICW1_LTIM = 0x08, ICW1 = 0x10 };
enum { ICW4_AEOI = 0x02, ICW4_MASTER = 0x04, ICW4_BUF = 0x08, ICW4_SFNM = 0x10 };
enum {
    OCW3 = 0x08,
    OCW3_RIS = 0x01,
    OCW3_RR = 0x02,
    OCW3_P = 0x04,
    OCW3_SMM = 0x20,
    OCW3_ESMM = 0x40
};
enum { LINES = 8, ELCR_SPACE = 1 };

typedef struct Pic {
    Device dev;
    bool master;
    uint8_t lines; /* levels of IR0..IR7 */
    uint8_t latch; /* lines that rose and were not yet acknowledged */
    uint8_t isr, imr;
    uint8_t step;
    uint8_t icw1, vector, wires, icw4;
    uint8_t lowest; /* line of the lowest priority */
    bool special_mask, read_isr, poll, rotate_aeoi;
    uint8_t elcr, elcr_mask;
    Device *slaves[LINES];
    Irq intr;
} Pic;

static uint8_t level_lines(const Pic *s)
{
    return s->icw1 & ICW1_LTIM ? 0xff : s->elcr;
}
static uint8_t irr(const Pic *s)
{
    return s->lines & (s->latch | level_lines(s));
}
static unsigned by_priority(const Pic *s, unsigned i)
{
    return (s->lowest + 1 + i) & 7;
}

static uint8_t slave_lines(const Pic *s)
{
    return s->master && !(s->icw1 & ICW1_SNGL) ? s->wires : 0;
}

/* The line that INT stands for, or -1. */
static int pending(const Pic *s)
{
    uint8_t wanted = irr(s) & ~s->imr, blocking = s->isr;

    if (s->special_mask) { /* a masked level in service holds nobody up */
        blocking &= ~s->imr;
    }
    for (unsigned i = 0; i < LINES; i++) {
        unsigned line = by_priority(s, i);
        uint8_t bit = 1 << line;
        /* Special fully nested: a slave in service may interrupt with its own higher levels. */
        bool nested = s->icw4 & ICW4_SFNM && slave_lines(s) & bit;
        if (wanted & bit && (!(blocking & bit) || nested)) {
            return line;
        }
        if (blocking & bit) {
            return -1;
        }
    }
    return -1;
}

static void accept(Pic *s, unsigned line)
{
    uint8_t bit = 1 << line;

    s->latch &= ~bit;
    if (!(s->icw4 & ICW4_AEOI)) {
        s->isr |= bit;
    } else if (s->rotate_aeoi) {
        s->lowest = line;
    }
}

int i8259_ack(Device *pic)
{
    Pic *s = (Pic *)pic;
    int line = pending(s);
    int vector = (s->vector & 0xf8) | (line < 0 ? 7 : line);

    if (line >= 0) {
        accept(s, line);
        /* INT drops with the acknowledge, so that a further request is a new edge for a master. */
        irq_set(&s->intr, false);
        if (slave_lines(s) & 1 << line && s->slaves[line]) {
            vector = i8259_ack(s->slaves[line]);
        }
    }
    device_settle(pic);
    return vector;
}

bool i8259_pending(const Device *pic)
{
    return pending((const Pic *)pic) >= 0;
}

void i8259_cascade(Device *master, unsigned line, Device *slave)
{
    ((Pic *)master)->slaves[line & 7] = slave;
    device_connect(&((Pic *)slave)->intr, master, line & 7);
}

void i8259_describe(const Device *pic, uint8_t *irr_, uint8_t *isr, uint8_t *imr)
{
    const Pic *s = (const Pic *)pic;
    *irr_ = irr(s);
    *isr = s->isr;
    *imr = s->imr;
}

/* ---- Registers ---- */

static void icw1_write(Pic *s, uint8_t v)
{
    s->icw1 = v & (ICW1_IC4 | ICW1_SNGL | ICW1_LTIM);
    s->latch = s->imr = s->isr = 0; /* an input must rise again to be seen */
    s->lowest = 7;
    s->special_mask = s->read_isr = s->poll = s->rotate_aeoi = false;
    s->icw4 = 0;
    s->step = ICW2;
}

/* The in-service line of the highest priority that a non-specific EOI ends, or -1. */
static int highest_in_service(const Pic *s)
{
    uint8_t isr = s->special_mask ? s->isr & ~s->imr : s->isr;

    for (unsigned i = 0; i < LINES; i++) {
        if (isr & 1 << by_priority(s, i)) {
            return by_priority(s, i);
        }
    }
    return -1;
}

static void ocw2_write(Pic *s, uint8_t v)
{
    bool rotate = v & 0x80, specific = v & 0x40, eoi = v & 0x20;
    int line = v & 7;

    if (eoi) {
        line = specific ? line : highest_in_service(s);
        if (line >= 0) {
            s->isr &= ~(1 << line);
            s->lowest = rotate ? line : s->lowest;
        }
    } else if (specific) {
        s->lowest = rotate ? line : s->lowest; /* 110: set priority; 010: no operation */
    } else {
        s->rotate_aeoi = rotate;
    }
}

static void ocw3_write(Pic *s, uint8_t v)
{
    s->poll = v & OCW3_P;
    if (!s->poll && v & OCW3_RR) { /* a poll command overrides a register read */
        s->read_isr = v & OCW3_RIS;
    }
    if (v & OCW3_ESMM) {
        s->special_mask = v & OCW3_SMM;
    }
}

static void command_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t v)
{
    Pic *s = dev;

    if (v & ICW1) {
        icw1_write(s, v);
    } else if (v & OCW3) {
        ocw3_write(s, v);
    } else {
        ocw2_write(s, v);
    }
}

/* The initialisation words that ICW1 did not announce are left out. */
static void next_word(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t v)
{
    Pic *s = dev;

    if (arg == ICW2 && !(s->icw1 & ICW1_SNGL)) {
        s->step = ICW3;
    } else if (arg != ICW4 && s->icw1 & ICW1_IC4) {
        s->step = ICW4;
    } else {
        s->step = READY;
    }
}

static uint64_t port_get(const void *dev, unsigned odd, unsigned i)
{
    const Pic *s = dev;

    if (s->poll) {
        int line = pending(s);
        return line < 0 ? 0x07 : 0x80 | line;
    }
    return odd ? s->imr : s->read_isr ? s->isr : irr(s);
}

/* After a poll command the next read is the acknowledge. */
static void port_read(void *dev, unsigned odd, unsigned i)
{
    Pic *s = dev;

    if (s->poll) {
        int line = pending(s);
        s->poll = false;
        if (line >= 0) {
            accept(s, line);
            irq_set(&s->intr, false);
        }
    }
}

#define AT(n) WHEN(Pic, step, 0xff, n)
// clang-format off
static const Row rows[] = {
    PROP(Pic, master, "off", "SP#/EN#: this is the first controller"),
    CALC(status, 1, 0, .ro = true, .get = port_get, .on_read = port_read, .doc = "IRR, ISR or poll word"),
    CALC(command, 1, 0, .wo = true, .on_write = command_write, .doc = "ICW1, OCW2, OCW3"),
    CALC(data, 1, 1, .ro = true, .arg = 1, .get = port_get, .on_read = port_read, .doc = "IMR or poll word"),
    REG(Pic, imr, 1, AT(READY), .wo = true, .rw = 0xff, .doc = "OCW1: interrupt mask"),
    REG(Pic, vector, 1, AT(ICW2), .wo = true, .rw = 0xf8, .on_write = next_word, .arg = ICW2,
        .doc = "ICW2: vector base"),
    REG(Pic, wires, 1, AT(ICW3), .wo = true, .rw = 0xff, .on_write = next_word, .arg = ICW3,
        .doc = "ICW3: lines with a slave, or the slave's number"),
    REG(Pic, icw4, 1, AT(ICW4), .wo = true, .rw = 0x1f, .on_write = next_word, .arg = ICW4,
        .bits = "UPM AEOI MS BUF SFNM", .doc = "ICW4: mode"),
    REG(Pic, elcr, 0, .space = ELCR_SPACE, MASK(Pic, elcr_mask), .rw = 0xff, .doc = "Level-triggered lines"),
    STATE(Pic, lines, .keep = true, .doc = "IR0..IR7: whoever is wired drives them"),
    STATE(Pic, latch, .doc = "Rising edges not yet acknowledged"),
    STATE(Pic, isr, .doc = "In service"),
    STATE(Pic, step, .max = ICW4, .doc = "Initialisation word awaited"),
    STATE(Pic, icw1, .max = 0x0b),
    STATE(Pic, lowest, .reset = 7, .max = 7, .doc = "Line of the lowest priority"),
    STATE(Pic, special_mask),
    STATE(Pic, read_isr),
    STATE(Pic, poll),
    STATE(Pic, rotate_aeoi),
    DERIVED(Pic, elcr_mask),
    DERIVED(Pic, slaves),
    {.kind = ROW_PIN, .name = "int", .stored = true, .field = offsetof(Pic, intr), .size = sizeof(Irq), .count = 1,
     .doc = "INT"},
    END
};
// clang-format on

static bool i8259_realize(void *dev, GError **error)
{
    Pic *s = dev;
    /* IRQ 0, 1, 2 and 8, 13 are edge-triggered for good. */
    s->elcr_mask = s->master ? 0xf8 : 0xde;
    return true;
}

static void i8259_input(void *dev, unsigned line, bool level)
{
    Pic *s = dev;
    uint8_t bit = 1 << (line & 7);

    TRACE(pic_line, "%s IR%u %s", s->master ? "master" : "slave", line & 7, level ? "high" : "low");
    if (!level) {
        s->lines &= ~bit;
        s->latch &= ~bit;
    } else if (!(s->lines & bit)) {
        s->lines |= bit;
        s->latch |= bit & ~level_lines(s);
    }
}

static void i8259_update(void *dev)
{
    Pic *s = dev;
    irq_set(&s->intr, pending(s) >= 0);
}

const DeviceClass isa_i8259_class = {
    .name = "isa-i8259",
    .doc = "Interrupt controller",
    .category = "misc",
    .internal = true,
    .size = sizeof(Pic),
    .rows = rows,
    .realize = i8259_realize,
    .inputs = LINES,
    .input = i8259_input,
    .update = i8259_update,
};
