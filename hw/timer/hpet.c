/* High precision event timers.
 *
 * After the IA-PC HPET Specification 1.0a (2004), chapter 2.  The counter is arithmetic on the
 * virtual clock; a comparator keeps the deadline of its next match.  Edge-triggered outputs rest
 * high after their first edge, until they are told otherwise: who wants an edge gets one, and who
 * looks at a level a moment later still sees it. */
#include "hw/timer/hpet.h"

enum { MAX_TIMERS = 32, MIN_TIMERS = 3, ROUTES = 32, LEGACY_PINS = 2 };
enum { PERIOD_NS = 10 };
#define PERIOD_FS UINT64_C(10000000)
#define CAP_LOW                                                                                    \
    UINT64_C(0x8086a001) /* vendor, legacy replacement, 64-bit counter, revision 1; timers - 1 in  \
                            12:8 */
enum { CFG_ENABLE = 1, CFG_LEGACY = 2 };
enum { /* timer configuration (§2.3.8) */
       TN_LEVEL = 1 << 1,
       TN_ENABLE = 1 << 2,
       TN_PERIODIC = 1 << 3,
       TN_CAP_PERIODIC = 1 << 4,
       TN_CAP_64 = 1 << 5,
       TN_SET = 1 << 6,
       TN_32BIT = 1 << 8,
       TN_ROUTE_SHIFT = 9,
       TN_ROUTE = 31 << TN_ROUTE_SHIFT,
       TN_FSB = 1 << 14,
       TN_CAP_FSB = 1 << 15,
       TN_WRITABLE = TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_SET | TN_32BIT | TN_ROUTE,
};
/* Periods below this interrupt at this pace: a guest cannot drown the machine in timers. */
#define FASTEST_NS (20 * NS_PER_US)

typedef struct Comparator {
    uint32_t config; /* writable bits */
    uint64_t value, period;
    uint64_t fsb;  /* data 31:0, address 63:32 */
    bool set_high; /* VAL_SET took the low half: the high half follows */
    bool pulse;    /* an edge is due */
    bool high;     /* an edge-triggered output rests high */
    Timer match;
} Comparator;

typedef struct Hpet {
    Device dev;
    uint8_t timers;
    bool msi_cap;
    uint32_t intcap;
    uint8_t config;
    uint32_t isr;
    uint64_t counter; /* as it was at `since` */
    int64_t since;    /* ns */
    Comparator t[MAX_TIMERS];
    Msi fsb_out;
    Irq irq[ROUTES], legacy[LEGACY_PINS], leg_rt;
} Hpet;

static bool running(const Hpet *s)
{
    return s->config & CFG_ENABLE;
}

static uint64_t counter(const Hpet *s)
{
    return s->counter + (running(s) ? (uint64_t)MAX(now(&s->dev) - s->since, 0) / PERIOD_NS : 0);
}

static bool is_32bit(const Comparator *c)
{
    return c->config & TN_32BIT;
}
static uint64_t width(const Comparator *c)
{
    return is_32bit(c) ? UINT32_MAX : UINT64_MAX;
}
static bool legacy(const Hpet *s, unsigned i)
{
    return s->config & CFG_LEGACY && i < LEGACY_PINS;
}

/* ---- Matches ---- */

/* A match farther away than this does not come: fifty years. */
#define NEVER_NS (UINT64_C(50) * 366 * 24 * 3600 * NS_PER_SECOND)

/* Set the deadline of the next match: the first time from now on that the counter equals the
 * comparator. */
static void arm(Hpet *s, unsigned i, bool after_match)
{
    Comparator *c = &s->t[i];
    uint64_t at = counter(s), wait = (c->value - at) & width(c);

    if (!running(s)) {
        timer_off(&c->match);
        return;
    }
    if (after_match && !wait) { /* once around */
        wait = is_32bit(c) ? UINT64_C(1) << 32 : UINT64_MAX;
    }
    int64_t t = now(&s->dev), into = (t - s->since) % PERIOD_NS;
    if (wait > NEVER_NS / PERIOD_NS) {
        timer_off(&c->match);
        return;
    }
    int64_t deadline = t - (wait ? into : 0) + (int64_t)(wait * PERIOD_NS);
    timer_at(&c->match, after_match ? MAX(deadline, t + FASTEST_NS) : deadline);
}

static void arm_all(Hpet *s)
{
    for (unsigned i = 0; i < s->timers; i++) {
        arm(s, i, false);
    }
}

/* Advance a periodic comparator past the counter (§2.3.9.2.2). */
static void next_period(Hpet *s, Comparator *c)
{
    uint64_t period = c->period & width(c);

    if (!period) {
        return;
    }
    uint64_t behind = (counter(s) - c->value) & width(c);
    c->value = (c->value + (behind / period + 1) * period) & width(c);
}

static void match_fire(void *dev, unsigned i)
{
    Hpet *s = dev;
    Comparator *c = &s->t[i];

    if (c->config & TN_PERIODIC) {
        next_period(s, c);
    }
    if (c->config & TN_LEVEL) {
        s->isr |= UINT32_C(1) << i;
    } else if (c->config & TN_ENABLE) {
        c->pulse = true;
    }
    arm(s, i, true);
}

/* ---- Outputs ---- */

static bool drives(const Hpet *s, unsigned i)
{
    return s->t[i].config & TN_ENABLE && running(s);
}

/* The pin of a timer; NULL: it sends messages, or its route does not exist. */
static Irq *output(Hpet *s, unsigned i)
{
    const Comparator *c = &s->t[i];

    if (legacy(s, i)) {
        return &s->legacy[i];
    }
    unsigned route = (c->config & TN_ROUTE) >> TN_ROUTE_SHIFT;
    return c->config & TN_FSB || !(s->intcap >> route & 1) ? NULL : &s->irq[route];
}

static bool high(const Hpet *s, unsigned i)
{
    const Comparator *c = &s->t[i];
    return drives(s, i) && (c->config & TN_LEVEL ? s->isr >> i & 1 : c->high);
}

static bool pin_level(Hpet *s, const Irq *pin)
{
    for (unsigned i = 0; i < s->timers; i++) {
        if (output(s, i) == pin && high(s, i)) {
            return true;
        }
    }
    return false;
}

static void edges(Hpet *s)
{
    for (unsigned i = 0; i < s->timers; i++) {
        Comparator *c = &s->t[i];
        Irq *pin = output(s, i);
        bool due = c->pulse && drives(s, i);
        c->pulse = false;
        if (!due) {
            continue;
        }
        if (pin) {
            c->high = true;
            irq_set(pin, false);
        } else if (c->config & TN_FSB && s->msi_cap) {
            msi_send(&s->fsb_out, c->fsb >> 32, c->fsb);
        }
    }
}

static void hpet_update(void *dev)
{
    Hpet *s = dev;

    irq_set(&s->leg_rt, s->config & CFG_LEGACY);
    edges(s);
    for (unsigned i = 0; i < ROUTES; i++) {
        irq_set(&s->irq[i], pin_level(s, &s->irq[i]));
    }
    for (unsigned i = 0; i < LEGACY_PINS; i++) {
        irq_set(&s->legacy[i], pin_level(s, &s->legacy[i]));
    }
}

/* ---- Registers ---- */

static uint64_t cap_get(const void *dev, unsigned arg, unsigned i)
{
    return PERIOD_FS << 32 | CAP_LOW | (uint64_t)(((const Hpet *)dev)->timers - 1) << 8;
}

static void config_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Hpet *s = dev;

    if ((old ^ value) & CFG_ENABLE) {
        s->config = old;
        uint64_t at = counter(s);
        s->config = value;
        s->counter = at;
        s->since = now(&s->dev);
        arm_all(s);
    }
    for (unsigned n = 0; n < MAX_TIMERS && (old ^ value) & CFG_LEGACY; n++) {
        s->t[n].high = false;
    }
}

static uint64_t half(uint64_t v, unsigned high_half)
{
    return high_half ? v >> 32 : (uint32_t)v;
}

static void set_half(uint64_t *v, unsigned high_half, uint32_t value)
{
    *v = high_half ? (*v & UINT32_MAX) | (uint64_t)value << 32
                   : (*v & ~(uint64_t)UINT32_MAX) | value;
}

static uint64_t counter_get(const void *dev, unsigned high_half, unsigned i)
{
    return half(counter(dev), high_half);
}

/* Only while the counter is halted (§2.3.7). */
static void counter_write(void *dev, unsigned high_half, unsigned i, uint64_t old, uint64_t value)
{
    Hpet *s = dev;

    if (running(s)) {
        guest_error(&s->dev, "write to the running counter");
        return;
    }
    set_half(&s->counter, high_half, value);
}

static uint64_t tn_config_get(const void *dev, unsigned arg, unsigned i)
{
    const Hpet *s = dev;
    return (uint64_t)s->intcap << 32 | s->t[i].config | TN_CAP_PERIODIC | TN_CAP_64 |
           (s->msi_cap ? TN_CAP_FSB : 0);
}

static void tn_config_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Hpet *s = dev;
    Comparator *c = &s->t[i];
    uint32_t mask = TN_WRITABLE | (s->msi_cap ? TN_FSB : 0);

    old = c->config;
    c->config = value & mask;
    if ((old ^ c->config) & (TN_LEVEL | TN_ROUTE | TN_FSB | TN_ENABLE)) {
        c->high = false;
    }
    if (is_32bit(c)) {
        c->value = (uint32_t)c->value;
        c->period = (uint32_t)c->period;
    }
    if ((old ^ c->config) & (TN_32BIT | TN_PERIODIC)) {
        arm(s, i, false);
    }
    if (!(c->config & TN_LEVEL)) {
        s->isr &= ~(UINT32_C(1) << i);
    }
}

static uint64_t value_get(const void *dev, unsigned high_half, unsigned i)
{
    return half(((const Hpet *)dev)->t[i].value, high_half);
}

/* A periodic timer takes the comparator only with VAL_SET, which then falls; otherwise it takes the
 * period (§2.3.9.2.2).  Both halves of one value count as one write. */
static void value_write(void *dev, unsigned high_half, unsigned i, uint64_t old, uint64_t value)
{
    Hpet *s = dev;
    Comparator *c = &s->t[i];
    bool set = c->config & TN_SET || (high_half && c->set_high);

    c->config &= ~TN_SET;
    c->set_high = set && !high_half;
    if (high_half && is_32bit(c)) {
        return;
    }
    if (!(c->config & TN_PERIODIC) || set) {
        set_half(&c->value, high_half, value);
    }
    if (c->config & TN_PERIODIC) {
        set_half(&c->period, high_half, value);
    }
    arm(s, i, false);
}

#define TN(at_) .at = at_, .count = MAX_TIMERS, .step = 0x20, LIVE(Hpet, timers)
// clang-format off
static const Row rows[] = {
    PROP(Hpet, timers, "3", "Comparators, 3 to 32"),
    PROP_AS(Hpet, msi_cap, "msi", "off", "Timers can send messages (FSB)"),
    PROP_AS(Hpet, intcap, "hpet-intcap", "4", "I/O APIC inputs that a timer may use, a bit each"),
    CALC(cap, 8, 0x000, .ro = true, .get = cap_get, .doc = "Capabilities and ID"),
    REG(Hpet, config, 0x010, .rw = 3, .max = 3, .on_write = config_write, .bits = "ENABLE LEG_RT", .doc = "Configuration"),
    REG(Hpet, isr, 0x020, .w1c = UINT32_MAX, .doc = "Interrupt status"),
    CALC(counter_low, 4, 0x0f0, .arg = 0, .get = counter_get, .on_write = counter_write, .doc = "Main counter"),
    CALC(counter_high, 4, 0x0f4, .arg = 1, .get = counter_get, .on_write = counter_write),
    {.kind = ROW_REG, .name = "tn_config", .size = 4, TN(0x100), .get = tn_config_get, .on_write = tn_config_write,
     .doc = "Timer configuration"},
    {.kind = ROW_REG, .name = "tn_routes", .size = 4, TN(0x104), .ro = true, FROM(Hpet, intcap),
     .doc = "Routes that the timer may take"},
    {.kind = ROW_REG, .name = "tn_comparator_low", .size = 4, TN(0x108), .arg = 0, .get = value_get,
     .on_write = value_write, .doc = "Timer comparator"},
    {.kind = ROW_REG, .name = "tn_comparator_high", .size = 4, TN(0x10c), .arg = 1, .get = value_get,
     .on_write = value_write},
    EACH_REG(Hpet, t, fsb, 0x110, .step = 0x20, .rw = UINT64_MAX, LIVE(Hpet, timers), .doc = "FSB message: data, address"),
    EACH(Hpet, t, config, .max = TN_WRITABLE | TN_FSB),
    EACH(Hpet, t, value, .reset = UINT64_MAX),
    EACH(Hpet, t, period),
    EACH(Hpet, t, set_high),
    EACH(Hpet, t, pulse),
    EACH(Hpet, t, high),
    EACH_TIMER(Hpet, t, match, match_fire, .doc = "Next match"),
    STATE(Hpet, counter, .doc = "Counter at `since`"),
    STATE(Hpet, since, .max = INT64_MAX / 4, .doc = "ns at which it was set going"),
    {.kind = ROW_MSI, ROW_FIELD(Hpet, fsb_out), .doc = "FSB messages"},
    PINS(Hpet, irq, "Inputs of the I/O APIC"),
    PINS(Hpet, legacy, "IRQ 0 and IRQ 8 in legacy replacement"),
    PIN(Hpet, leg_rt, "Legacy replacement is on"),
    END
};
// clang-format on

static bool hpet_realize(void *dev, GError **error)
{
    Hpet *s = dev;
    if (s->timers < MIN_TIMERS || s->timers > MAX_TIMERS) {
        return error_fail(error, "hpet: timers=%u is not possible, use %u to %u", s->timers,
                          MIN_TIMERS, MAX_TIMERS);
    }
    if (!s->intcap) {
        return error_fail(
            error,
            "hpet: hpet-intcap=0 leaves the timers no interrupt; set a bit for each possible one");
    }
    return true;
}

void hpet_connect(Device *hpet, void (*send)(void *sink, uint64_t address, uint32_t data),
                  void *sink)
{
    ((Hpet *)hpet)->fsb_out = (Msi){send, sink};
}

void hpet_describe(const Device *hpet, uint64_t address, HpetFw *out)
{
    *out = (HpetFw){
        .event_timer_block_id = (uint32_t)cap_get(hpet, 0, 0), .address = address, .min_tick = 100};
}

const DeviceClass hpet_class = {
    .name = "hpet",
    .doc = "High precision event timers",
    .category = "misc",
    .internal = true,
    .size = sizeof(Hpet),
    .rows = rows,
    .realize = hpet_realize,
    .update = hpet_update,
};
