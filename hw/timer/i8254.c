/* Intel 8254 programmable interval timer.
 *
 * After the 8254 data sheet (1993), "Mode definitions" and "Read-back command".  Nothing counts: a
 * counter keeps the CLK at which its counting element was loaded and everything else is arithmetic
 * on the virtual clock.
 *
 * Pulses of one CLK (modes 2, 4, 5) are delivered as a pulse at their end, and edges that come
 * faster than FASTEST as pulses at that rate: no receiver could tell, and no guest can drown the
 * machine in timers. */
#include "hw/timer/i8254.h"

enum { COUNTERS = 3 };
enum { RW_LSB = 1, RW_MSB = 2, RW_BOTH = 3 };
enum { FASTEST = 24 };           /* CLKs, 20 us */
#define MAX_TICK (INT64_MAX / 4) /* some 60,000 years: bounds stored times */
#define NEVER    MAX_TICK

typedef struct Counter {
    uint8_t control; /* bits 5..0 of the control word: RW, mode, BCD */
    uint16_t reload; /* count register CR */
    uint32_t n;      /* what the element was loaded with, 1 .. 65536; or, when !loaded, its value */
    int64_t origin;  /* CLK of that load; while counting is held by GATE: CLKs counted so far */
    int64_t load_at; /* CLK at which CR goes into the element; NEVER: nothing is due */
    uint16_t latch;  /* output latch */
    uint8_t status;  /* latched status byte */
    bool loaded;     /* counting since the control word */
    bool null;       /* CR holds a count that the element has not got */
    bool held;       /* GATE stopped the element */
    bool gate;
    bool latched, status_latched;
    bool read_high, write_high; /* flip-flops of RW_BOTH */
    bool pulse;                 /* an edge is due on OUT that the level alone does not show */
    Timer edge;
    Irq out;
} Counter;

typedef struct Pit {
    Device dev;
    Counter ch[COUNTERS];
} Pit;

static int64_t tick_now(const Pit *s)
{
    return muldiv64(now(&s->dev), PIT_HZ, NS_PER_SECOND);
}
/* The first ns that belongs to the CLK. */
static int64_t tick_ns(int64_t tick)
{
    return MIN(((__int128)tick * NS_PER_SECOND + PIT_HZ - 1) / PIT_HZ, TIMER_OFF);
}

static unsigned mode(const Counter *c)
{
    unsigned m = c->control >> 1 & 7;
    return m > 5 ? m - 4 : m; /* x10 and x11 */
}

static int64_t length(const Counter *c)
{
    return c->n ? c->n : 65536;
}
static bool bcd(const Counter *c)
{
    return c->control & 1;
}
static uint32_t modulus(const Counter *c)
{
    return bcd(c) ? 10000 : 65536;
}
static bool triggered_by_gate(const Counter *c)
{
    return mode(c) == 1 || mode(c) == 5;
}
static bool periodic(const Counter *c)
{
    return mode(c) == 2 || mode(c) == 3;
}

static uint32_t count_from(const Counter *c, uint16_t reg)
{
    uint32_t n = reg;
    if (bcd(c)) {
        n = (reg >> 12) * 1000 + (reg >> 8 & 15) * 100 + (reg >> 4 & 15) * 10 + (reg & 15);
    }
    return n ? n : modulus(c);
}

static uint16_t to_bcd(unsigned n)
{
    return n / 1000 % 10 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10;
}

/* CLKs of a period during which mode 3 is high. */
static int64_t high_half(uint32_t n)
{
    return (n + 1) / 2;
}

/* The counter as it is at CLK t: a load that has become due is carried out. */
static Counter at_tick(const Counter *from, int64_t t)
{
    Counter c = *from;
    if (t >= c.load_at) {
        /* Mode 3 takes a new count at either half; the second half then goes on with the new
         * length. */
        bool low = mode(&c) == 3 && c.loaded && !c.held && c.gate &&
                   (c.load_at - c.origin) % length(&c) == high_half(length(&c));
        c.n = count_from(&c, c.reload);
        c.origin = low ? c.load_at - high_half(c.n) : c.load_at;
        c.held = !triggered_by_gate(&c) && !c.gate;
        if (c.held) {
            c.origin = 0;
        }
        c.loaded = true;
        c.null = false;
        c.load_at = NEVER;
    }
    return c;
}

static int64_t elapsed(const Counter *c, int64_t t)
{
    return MAX(c->held ? c->origin : t - c->origin, 0);
}

/* What the counting element holds; `c` is up to date. */
static uint32_t element(const Counter *c, int64_t t)
{
    if (!c->loaded) {
        return c->n % modulus(c);
    }
    int64_t e = elapsed(c, t), n = length(c), m = modulus(c), phase;
    switch (mode(c)) {
    case 2: return (n - e % n) % m;
    case 3: /* by twos; an odd count starts one lower, and its high half is longer */
        phase = e % n;
        phase = phase < high_half(n) ? phase : phase - high_half(n);
        return ((n & ~INT64_C(1)) - 2 * phase) % m;
    default: return (uint32_t)(((n - e) % m + m) % m);
    }
}

static bool out_level(const Counter *c, int64_t t)
{
    if (!c->loaded) {
        return mode(c) != 0;
    }
    int64_t e = elapsed(c, t), n = length(c);
    switch (mode(c)) {
    case 0: return e >= n;
    case 1: return e >= n;
    case 2: return !c->gate || e % n != n - 1;
    case 3: return !c->gate || e % n < high_half(n);
    default: return e != n;
    }
}

bool i8254_out(const Device *pit, unsigned counter)
{
    const Pit *s = (const Pit *)pit;
    int64_t t = tick_now(s);
    Counter c = at_tick(&s->ch[counter], t);
    return out_level(&c, t);
}

bool i8254_gate(const Device *pit, unsigned counter)
{
    return ((const Pit *)pit)->ch[counter].gate;
}

uint64_t i8254_tone_mhz(const Device *pit, unsigned counter)
{
    const Pit *s = (const Pit *)pit;
    Counter c = at_tick(&s->ch[counter], tick_now(s));
    return c.loaded && c.gate && periodic(&c) ? UINT64_C(1000) * PIT_HZ / length(&c) : 0;
}

static void catch_up(Pit *s, Counter *c)
{
    Counter now_ = at_tick(c, tick_now(s));
    /* Not the pins and timers: they belong to the core. */
    c->n = now_.n;
    c->origin = now_.origin;
    c->load_at = now_.load_at;
    c->held = now_.held;
    c->loaded = now_.loaded;
    c->null = now_.null;
}

/* ---- Edges ---- */

static bool fast(const Counter *c)
{
    return periodic(c) && length(c) < 2 * FASTEST;
}

/* The level that the pin rests at; one-CLK pulses and fast waves are left to `pulse`. */
static bool pin_level(const Counter *c, int64_t t)
{
    switch (mode(c)) {
    case 2:
    case 4:
    case 5: return true;
    case 3: return fast(c) || out_level(c, t);
    default: return out_level(c, t);
    }
}

/* The next CLK after t at which the pin has to move, or NEVER. */
static int64_t next_edge(const Counter *c, int64_t t)
{
    if (c->load_at != NEVER && (!periodic(c) || !c->loaded || !c->gate)) {
        return c->load_at;
    }
    if (!c->loaded || c->held || (periodic(c) && !c->gate)) {
        return NEVER;
    }
    int64_t e = elapsed(c, t), n = length(c), start = t - e, phase = e % n;
    switch (mode(c)) {
    case 0:
    case 1: return e < n ? start + n : NEVER;
    case 2: return MAX(t - phase + n, fast(c) ? t + FASTEST : 0);
    case 3:
        if (fast(c)) {
            return t + FASTEST;
        }
        return t - phase + (phase < high_half(n) ? high_half(n) : n);
    default: return e <= n ? start + n + 1 : NEVER;
    }
}

/* The pin's edge is reached.  A load by itself moves OUT only through its level. */
static void edge_fire(void *dev, unsigned i)
{
    Pit *s = dev;
    Counter *c = &s->ch[i];

    c->pulse = c->loaded && (periodic(c) || c->load_at == NEVER);
    catch_up(s, c);
}

static void counter_update(Pit *s, Counter *c)
{
    int64_t t = tick_now(s);

    if (c->edge.at <= now(&s->dev)) { /* due, but the guest was here first */
        timer_off(&c->edge);
        edge_fire(s, c - s->ch);
    }
    catch_up(s, c);
    if (!c->out.set) {
        c->pulse = false;
        timer_off(&c->edge);
        return;
    }
    bool level = pin_level(c, t);
    if (c->pulse) {
        c->pulse = false;
        if (c->out.level == level) {
            irq_set(&c->out, !level);
        }
    }
    irq_set(&c->out, level);
    int64_t next = next_edge(c, t);
    /* A fast wave keeps its pace, whoever else looks at the chip meanwhile. */
    if (next != NEVER && !(fast(c) && timer_pending(&c->edge) && c->edge.at <= tick_ns(next))) {
        timer_at(&c->edge, tick_ns(next));
    } else if (next == NEVER) {
        timer_off(&c->edge);
    }
}

static void pit_update(void *dev)
{
    Pit *s = dev;
    for (unsigned i = 0; i < COUNTERS; i++) {
        counter_update(s, &s->ch[i]);
    }
}

/* ---- GATE ---- */

static void pit_input(void *dev, unsigned line, bool level)
{
    Pit *s = dev;
    if (line >= COUNTERS || s->ch[line].gate == level) {
        return;
    }
    Counter *c = &s->ch[line];
    int64_t t = tick_now(s);
    catch_up(s, c);
    c->gate = level;
    if (triggered_by_gate(c)) {
        c->load_at = level ? t + 1 : c->load_at; /* a trigger, perhaps again */
        return;
    }
    if (!c->loaded) {
        return;
    }
    if (periodic(c) && level) {
        c->load_at = t + 1; /* GATE synchronises */
    } else if (c->held == level) {
        c->origin = t - c->origin; /* CLKs so far <-> CLK of the start */
        c->held = !level;
    }
}

/* ---- Registers ---- */

static void stop(Counter *c, int64_t t)
{
    c->n = element(c, t);
    c->loaded = c->held = c->pulse = false;
    c->load_at = NEVER;
    c->origin = 0;
    timer_off(&c->edge);
}

/* The count register is complete. */
static void count_written(Counter *c, int64_t t)
{
    c->null = true;
    if (triggered_by_gate(c)) {
        return; /* waits for the trigger */
    }
    if (!periodic(c) || !c->loaded || c->held || !c->gate) {
        c->load_at = t + 1;
    } else if (c->load_at == NEVER) { /* at the end of this period or half period */
        int64_t phase = elapsed(c, t) % length(c), half = high_half(length(c));
        c->load_at = t - phase + (mode(c) == 3 && phase < half ? half : length(c));
    }
}

static void counter_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Pit *s = dev;
    Counter *c = &s->ch[i];
    int64_t t = tick_now(s);
    unsigned rw = c->control >> 4 & 3;

    catch_up(s, c);
    if (rw == RW_BOTH) {
        c->write_high = !c->write_high;
        if (c->write_high) { /* that was the low byte */
            c->reload = (c->reload & 0xff00) | value;
            if (mode(c) == 0) { /* mode 0: the first byte stops counting and lowers OUT */
                stop(c, t);
            }
            return;
        }
        c->reload = (c->reload & 0x00ff) | value << 8;
    } else {
        c->reload = rw == RW_MSB ? value << 8 : value;
    }
    if (mode(c) == 0) {
        stop(c, t);
    }
    count_written(c, t);
}

static uint64_t counter_get(const void *dev, unsigned arg, unsigned i)
{
    const Pit *s = dev;
    int64_t t = tick_now(s);
    Counter c = at_tick(&s->ch[i], t);
    unsigned rw = c.control >> 4 & 3;

    if (c.status_latched) {
        return c.status;
    }
    uint32_t v = c.latched ? c.latch : bcd(&c) ? to_bcd(element(&c, t)) : element(&c, t);
    return (rw == RW_MSB || (rw == RW_BOTH && c.read_high) ? v >> 8 : v) & 0xff;
}

static void counter_read(void *dev, unsigned arg, unsigned i)
{
    Pit *s = dev;
    Counter *c = &s->ch[i];

    if (c->status_latched) { /* a latched status comes before a latched count */
        c->status_latched = false;
        return;
    }
    if ((c->control >> 4 & 3) == RW_BOTH) {
        c->read_high = !c->read_high;
        if (c->read_high) {
            return;
        }
    }
    c->latched = false;
}

static void latch_count(Pit *s, Counter *c)
{
    int64_t t = tick_now(s);

    if (!c->latched) { /* a second latch command is ignored */
        c->latch = bcd(c) ? to_bcd(element(c, t)) : element(c, t);
        c->latched = true;
    }
}

static void read_back(Pit *s, uint8_t v)
{
    for (unsigned i = 0; i < COUNTERS; i++) {
        Counter *c = &s->ch[i];
        if (!(v & 2 << i)) {
            continue;
        }
        if (!(v & 0x20)) {
            latch_count(s, c);
        }
        if (!(v & 0x10) && !c->status_latched) {
            c->status = c->control | c->null << 6 | out_level(c, tick_now(s)) << 7;
            c->status_latched = true;
        }
    }
}

static void control_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t v)
{
    Pit *s = dev;

    for (unsigned n = 0; n < COUNTERS; n++) {
        catch_up(s, &s->ch[n]);
    }
    if (v >> 6 == 3) {
        read_back(s, v);
        return;
    }
    Counter *c = &s->ch[v >> 6];
    if (!(v & 0x30)) {
        latch_count(s, c);
        return;
    }
    stop(c, tick_now(s));
    c->control = v & 0x3f;
    c->reload = 0;
    c->null = true;
    c->latched = c->status_latched = c->read_high = c->write_high = false;
}

// clang-format off
static const Row rows[] = {
    CALC(counter, 1, 0, .count = COUNTERS, .get = counter_get, .on_read = counter_read, .on_write = counter_write,
         .doc = "Counter, as the control word's RW bits say"),
    CALC(control, 1, 3, .wo = true, .on_write = control_write, .doc = "Control word, latch and read-back command"),
    EACH(Pit, ch, control, .reset = 0x36, .max = 0x3f, .bits = "BCD M0 M1 M2 RW0 RW1"),
    EACH(Pit, ch, reload, .doc = "Count register"),
    EACH(Pit, ch, n, .reset = 65536, .max = 65536, .doc = "Count that the element was loaded with"),
    EACH(Pit, ch, origin, .max = MAX_TICK, .doc = "CLK of the load, or CLKs counted while GATE holds"),
    EACH(Pit, ch, load_at, .reset = NEVER, .max = MAX_TICK, .doc = "CLK at which the count register is loaded"),
    EACH(Pit, ch, latch),
    EACH(Pit, ch, status),
    EACH(Pit, ch, loaded),
    EACH(Pit, ch, null, .reset = 1),
    EACH(Pit, ch, held),
    EACH(Pit, ch, gate, .keep = true, .doc = "GATE input"),
    EACH(Pit, ch, latched),
    EACH(Pit, ch, status_latched),
    EACH(Pit, ch, read_high),
    EACH(Pit, ch, write_high),
    EACH(Pit, ch, pulse),
    EACH_TIMER(Pit, ch, edge, edge_fire),
    {.kind = ROW_PIN, .name = "out", .stored = true, .field = offsetof(Pit, ch[0].out), .size = sizeof(Irq),
     .count = COUNTERS, .stride = sizeof(Counter), .doc = "OUT0..2"},
    END
};
// clang-format on

static void pit_reset(void *dev, bool power_on)
{
    Pit *s = dev;
    if (power_on) { /* GATE2 is port 61h's */
        s->ch[0].gate = s->ch[1].gate = true;
    }
}

const DeviceClass isa_pit_class = {
    .name = "isa-pit",
    .doc = "Interval timer",
    .category = "misc",
    .internal = true,
    .open = 1,
    .size = sizeof(Pit),
    .rows = rows,
    .reset = pit_reset,
    .update = pit_update,
    .inputs = COUNTERS,
    .input = pit_input,
};
