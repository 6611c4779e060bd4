/* Local APIC: xAPIC and x2APIC.
 *
 * After the Intel SDM vol 3, chapter 11 ("Advanced Programmable Interrupt Controller"); section
 * numbers below are its. Registers lie in register space 0 as in the 4 KiB page; x2APIC's MSR 800h
 * + n is the register at 16 * n. */
#include "hw/intc/apic.h"

#include "core/log.h"
#include "core/loop.h"
#include "hw/intc/apic-bus.h"
#include "hw/intc/i8259.h"
#include "hw/platform.h"

enum { BASE_BSP = 1 << 8, BASE_X2 = 1 << 10, BASE_ENABLE = 1 << 11 };
enum { SVR_ENABLE = 1 << 8, SVR_NO_EOI_BROADCAST = 1 << 12 };
enum { /* local vector table (§11.5.1) */
       LVT_MODE_SHIFT = 8,
       LVT_PENDING = 1 << 12,
       LVT_REMOTE_IRR = 1 << 14,
       LVT_LEVEL = 1 << 15,
       LVT_MASKED = 1 << 16,
       LVT_PERIODIC = 1 << 17,
       LVT_DEADLINE = 2 << 17,
       LVT_TIMER_MODE = 3 << 17,
};
enum { ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15, ICR_SHORTHAND_SHIFT = 18 };
enum { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };
enum { ESR_SEND_VECTOR = 1 << 5, ESR_RECEIVE_VECTOR = 1 << 6, ESR_REGISTER = 1 << 7 };
enum { VERSION = 0x14 | (LVT_COUNT - 1) << 16 | 1 << 24 }; /* with suppression of EOI broadcasts */
enum {
    REG_ID = 0x20,
    REG_LDR = 0xd0,
    REG_DFR = 0xe0,
    REG_ICR = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_SELF_IPI = 0x3f0
};
enum { XAPIC_ALL = 0xff };   /* every CPU, as a destination of 8 bits */
enum { LOWEST_VECTOR = 16 }; /* 0..15 cannot be sent or received (§11.5.2) */
/* A periodic timer interrupts no faster than this: a guest cannot drown the machine in timers. */
#define FASTEST_NS   (20 * NS_PER_US)
#define MESSAGE_BASE UINT64_C(0xfee00000)

extern const DeviceClass apic_class;

/* ---- Vectors ---- */

static bool bit(const uint32_t *bits, unsigned n)
{
    return bits[n / 32] >> n % 32 & 1;
}
static void set_bit(uint32_t *bits, unsigned n)
{
    bits[n / 32] |= UINT32_C(1) << n % 32;
}
static void clear_bit(uint32_t *bits, unsigned n)
{
    bits[n / 32] &= ~(UINT32_C(1) << n % 32);
}

static int highest(const uint32_t *bits)
{
    for (int i = 7; i >= 0; i--) {
        if (bits[i]) {
            return i * 32 + 31 - __builtin_clz(bits[i]);
        }
    }
    return -1;
}

/* Processor priority (§11.8.3.1). */
static uint8_t ppr(const Apic *s)
{
    int in_service = highest(s->isr);
    uint8_t isrv = in_service < 0 ? 0 : in_service & 0xf0;
    return s->tpr >> 4 >= isrv >> 4 ? s->tpr : isrv;
}

static bool enabled(const Apic *s)
{
    return s->base & BASE_ENABLE && s->svr & SVR_ENABLE;
}
static bool x2apic(const Apic *s)
{
    return s->base & BASE_X2;
}

/* The vector that would be delivered now, or -1. */
static int deliverable(const Apic *s)
{
    int vector = enabled(s) ? highest(s->irr) : -1;
    return vector >> 4 > ppr(s) >> 4 ? vector : -1;
}

/* Whether the PIC speaks to this CPU: through LINT0 as ExtINT, or directly past a disabled APIC
 * (§11.4.3), or by message. */
static bool extint(const Apic *s)
{
    if (s->extint) {
        return true;
    }
    uint32_t lvt = s->lvt[LVT_LINT0];
    bool direct = !(s->base & BASE_ENABLE);
    return s->lint & 1 << APIC_LINT0 &&
           (direct || (!(lvt & LVT_MASKED) && (lvt >> LVT_MODE_SHIFT & 7) == APIC_EXTINT));
}

static void error(Apic *s, uint32_t what)
{
    uint32_t before = s->errors;
    s->errors |= what;
    uint32_t lvt = s->lvt[LVT_ERROR];
    if (!before && !(lvt & LVT_MASKED) && (lvt & 0xff) >= LOWEST_VECTOR) {
        set_bit(s->irr, lvt & 0xff);
        clear_bit(s->tmr, lvt & 0xff);
    }
}

static void accept_vector(Apic *s, uint8_t vector, bool level)
{
    TRACE(apic_accept, "apic %u: vector %u, %s", s->id, vector, level ? "level" : "edge");
    if (vector < LOWEST_VECTOR) {
        error(s, ESR_RECEIVE_VECTOR);
        return;
    }
    set_bit(s->irr, vector);
    if (level) {
        set_bit(s->tmr, vector);
    } else {
        clear_bit(s->tmr, vector);
    }
}

void apic_accept(Apic *s, ApicMode mode, uint8_t vector, bool level)
{
    Cpu *c = s->cpu;

    switch (mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (enabled(s)) {
            accept_vector(s, vector, level);
        }
        break;
    case APIC_EXTINT: s->extint = true; break;
    case APIC_SMI:
    case APIC_NMI:
    case APIC_INIT:
        if (c) {
            cpu_raise(c, mode == APIC_SMI   ? CPU_EVENT_SMI
                         : mode == APIC_NMI ? CPU_EVENT_NMI
                                            : CPU_EVENT_INIT);
        }
        break;
    case APIC_SIPI:
        if (c) {
            c->sipi_vector = vector;
            cpu_raise(c, CPU_EVENT_SIPI);
        }
        break;
    }
    device_settle(&s->dev);
}

/* ---- What the CPU asks ---- */

int apic_interrupt(Apic *s, Device *pic)
{
    if (extint(s) && pic && (s->extint || i8259_pending(pic))) {
        s->extint = false;
        int vector = i8259_ack(pic);
        device_settle(&s->dev);
        return vector;
    }
    int vector = deliverable(s);
    if (vector >= 0) {
        clear_bit(s->irr, vector);
        set_bit(s->isr, vector);
    }
    device_settle(&s->dev);
    return vector;
}

bool apic_interrupt_pending(const Apic *s)
{
    return extint(s) || deliverable(s) >= 0;
}

/* ---- Timer (§11.5.4) ---- */

static unsigned divider(const Apic *s)
{
    unsigned v = (s->dcr & 3) | (s->dcr >> 1 & 4);
    return v == 7 ? 1 : 2u << v;
}

static uint32_t timer_mode(const Apic *s)
{
    return s->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

/* The timer's clock runs at 1 GHz before the divider. */
static uint64_t ticks(const Apic *s)
{
    return MAX(now(&s->dev) - s->started, 0) / divider(s);
}

static uint64_t ccr_get(const void *dev, unsigned arg, unsigned i)
{
    const Apic *s = dev;
    uint64_t gone = ticks(s);

    if (!s->icr_count || timer_mode(s) == LVT_DEADLINE) {
        return 0;
    }
    if (timer_mode(s) == LVT_PERIODIC) {
        return s->icr_count - gone % s->icr_count;
    }
    return gone < s->icr_count ? s->icr_count - gone : 0;
}

static uint64_t tsc_of_ns(const Apic *s, int64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * s->tsc_hz / NS_PER_SECOND) + (uint64_t)s->tsc_offset;
}

/* When the timer fires next: ns, or TIMER_OFF. */
static int64_t timer_deadline(const Apic *s)
{
    int64_t t = now(&s->dev);

    if (timer_mode(s) == LVT_DEADLINE) {
        uint64_t tsc = tsc_of_ns(s, t);
        if (!s->deadline || !s->tsc_hz) {
            return TIMER_OFF;
        }
        if (s->deadline <= tsc) {
            return t;
        }
        unsigned __int128 wait =
            (unsigned __int128)(s->deadline - tsc) * NS_PER_SECOND / s->tsc_hz + 1;
        return wait > (uint64_t)(TIMER_OFF - 1 - t) ? TIMER_OFF : t + (int64_t)wait;
    }
    if (!s->icr_count || (timer_mode(s) == LVT_PERIODIC && s->lvt[LVT_TIMER] & LVT_MASKED)) {
        return TIMER_OFF; /* a masked periodic timer only counts */
    }
    uint64_t gone = ticks(s), period = s->icr_count;
    if (timer_mode(s) == LVT_PERIODIC) {
        return MAX(s->started + (int64_t)((gone / period + 1) * period * divider(s)),
                   s->last_fired + FASTEST_NS);
    }
    return s->fired ? TIMER_OFF : s->started + (int64_t)(period * divider(s));
}

static void timer_expired(void *dev, unsigned i)
{
    Apic *s = dev;

    if (timer_mode(s) == LVT_DEADLINE) {
        s->deadline = 0;
    }
    s->fired = true;
    s->last_fired = now(&s->dev);
    if (!(s->lvt[LVT_TIMER] & LVT_MASKED) && enabled(s)) {
        accept_vector(s, s->lvt[LVT_TIMER], false);
    }
}

static void timer_update(Apic *s)
{
    int64_t t = now(&s->dev);

    if (s->expiry.at <= t || timer_deadline(s) <= t) { /* due, but the guest was here first */
        timer_off(&s->expiry);
        timer_expired(s, 0);
    }
    timer_at(&s->expiry, timer_deadline(s));
}

/* ---- LINT pins (§11.5.1) ---- */

static void lint_edge(Apic *s, unsigned line)
{
    uint32_t lvt = s->lvt[LVT_LINT0 + line];
    ApicMode mode = lvt >> LVT_MODE_SHIFT & 7;

    if (!(s->base & BASE_ENABLE)) { /* LINT1 is the NMI pin then */
        if (line == APIC_LINT1 && s->cpu) {
            cpu_raise(s->cpu, CPU_EVENT_NMI);
        }
        return;
    }
    if (lvt & LVT_MASKED || mode == APIC_EXTINT ||
        (mode == APIC_FIXED && lvt & LVT_LEVEL && line == APIC_LINT0)) {
        return; /* levels are looked at in update */
    }
    apic_accept(s, mode, lvt, false);
}

static void apic_input(void *dev, unsigned line, bool level)
{
    Apic *s = dev;
    bool rose = level && !(s->lint & 1 << line);

    s->lint = level ? s->lint | 1 << line : s->lint & ~(1 << line);
    if (rose) {
        lint_edge(s, line);
    }
}

/* LINT0 as a level-triggered fixed interrupt: once for each EOI. */
static void lint_level(Apic *s)
{
    uint32_t *lvt = &s->lvt[LVT_LINT0];

    if (s->lint & 1 << APIC_LINT0 && enabled(s) && *lvt & LVT_LEVEL &&
        (*lvt >> LVT_MODE_SHIFT & 7) == APIC_FIXED && !(*lvt & (LVT_MASKED | LVT_REMOTE_IRR))) {
        *lvt |= LVT_REMOTE_IRR;
        accept_vector(s, *lvt, true);
    }
}

static void apic_update(void *dev)
{
    Apic *s = dev;

    if (platform.irqchip != IRQCHIP_OFF) { /* the kernel's is at work, this is a copy */
        return;
    }
    timer_update(s);
    lint_level(s);
    if (!s->cpu) {
        return;
    }
    bool wanted = apic_interrupt_pending(s), raised = atomic_load(&s->cpu->events) & CPU_EVENT_INTR;
    if (wanted && !raised) {
        cpu_raise(s->cpu, CPU_EVENT_INTR);
    } else if (!wanted && raised) {
        cpu_lower(s->cpu, CPU_EVENT_INTR);
    }
}

/* ---- Registers ---- */

static uint32_t id_of(const Apic *s)
{
    return s->cpu ? s->cpu->apic_id : s->id >> 24;
}

static uint64_t id_get(const void *dev, unsigned arg, unsigned i)
{
    const Apic *s = dev;
    return x2apic(s) ? id_of(s) : s->id;
}

/* In x2APIC mode the logical ID follows from the ID (§11.12.10.2). */
static uint64_t ldr_get(const void *dev, unsigned arg, unsigned i)
{
    const Apic *s = dev;
    return x2apic(s) ? id_of(s) >> 4 << 16 | 1u << (id_of(s) & 15) : s->ldr;
}

static uint64_t ppr_get(const void *dev, unsigned arg, unsigned i)
{
    return ppr(dev);
}

/* Arbitration priority (§11.6.2.4): of what is served or waits. */
static uint64_t apr_get(const void *dev, unsigned arg, unsigned i)
{
    const Apic *s = dev;
    int irrv = highest(s->irr), isrv = highest(s->isr);
    uint8_t v = MAX(MAX(irrv, isrv), 0) & 0xf0;
    return s->tpr >> 4 >= v >> 4 ? s->tpr : v;
}

static void eoi_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Apic *s = dev;
    int vector = highest(s->isr);

    if (vector < 0) {
        return;
    }
    clear_bit(s->isr, vector);
    if (!bit(s->tmr, vector)) {
        return;
    }
    if ((s->lvt[LVT_LINT0] & 0xff) == (unsigned)vector) {
        s->lvt[LVT_LINT0] &= ~LVT_REMOTE_IRR;
    }
    if (!(s->svr & SVR_NO_EOI_BROADCAST)) {
        apic_bus_eoi(vector);
    }
}

/* A disabled APIC masks its local interrupts and keeps what waits (§11.4.7.2). */
static void svr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Apic *s = dev;

    for (unsigned n = 0; n < LVT_COUNT && !(value & SVR_ENABLE); n++) {
        s->lvt[n] |= LVT_MASKED;
    }
}

static void lvt_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Apic *s = dev;

    if (!(s->svr & SVR_ENABLE)) {
        s->lvt[arg] |= LVT_MASKED;
    }
    if (arg == LVT_TIMER &&
        (old ^ value) & LVT_TIMER_MODE) { /* a change of mode disarms (§11.5.4.1) */
        s->deadline = 0;
        if ((old & LVT_TIMER_MODE) == LVT_DEADLINE || (value & LVT_TIMER_MODE) == LVT_DEADLINE) {
            s->icr_count = 0;
        }
        timer_off(&s->expiry);
    }
    if (arg == LVT_LINT0 && !(value & LVT_LEVEL)) {
        s->lvt[arg] &= ~LVT_REMOTE_IRR;
    }
}

/* Writing ESR shows the errors since the last write (§11.5.3). */
static void esr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Apic *s = dev;
    s->esr = s->errors;
    s->errors = 0;
}

static void send_ipi(Apic *s, uint32_t icr, uint32_t dest)
{
    ApicMode mode = icr >> 8 & 7;
    uint8_t vector = icr;
    unsigned shorthand = icr >> ICR_SHORTHAND_SHIFT & 3;

    TRACE(apic_ipi, "apic %u: icr %#x to %#x", s->id, icr, dest);
    if (mode == 3 || mode == APIC_EXTINT) {
        return; /* reserved */
    }
    if ((mode == APIC_FIXED || mode == APIC_LOWEST) && vector < LOWEST_VECTOR) {
        error(s, ESR_SEND_VECTOR);
        return;
    }
    if (mode == APIC_INIT && icr & ICR_LEVEL && !(icr & ICR_ASSERT)) {
        return; /* "INIT level de-assert" only set arbitration IDs, on the first Pentiums */
    }
    switch (shorthand) {
    case TO_DEST: apic_bus_send(dest, icr & ICR_LOGICAL, x2apic(s), mode, vector, false); break;
    case TO_SELF:
        if (mode == APIC_FIXED || mode == APIC_LOWEST) {
            apic_accept(s, APIC_FIXED, vector, false);
        }
        break;
    default: apic_bus_broadcast(shorthand == TO_OTHERS ? s : NULL, mode, vector); break;
    }
}

static void icr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Apic *s = dev;
    send_ipi(s, value, s->icr_high >> 24);
}

static void count_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Apic *s = dev;

    if (timer_mode(s) == LVT_DEADLINE) {
        s->icr_count = old; /* ignored in that mode */
        return;
    }
    s->started = now(&s->dev);
    s->fired = false;
    timer_off(&s->expiry);
}

/* The count goes on from where it is, at the new pace. */
static void dcr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Apic *s = dev;

    s->dcr = old;
    uint64_t gone = !s->icr_count                   ? 0
                    : timer_mode(s) == LVT_PERIODIC ? ticks(s) % s->icr_count
                                                    : MIN(ticks(s), s->icr_count);
    s->dcr = value;
    s->started = now(&s->dev) - (int64_t)(gone * divider(s));
    timer_off(&s->expiry);
}

#define LVT(name_, at_, n_, rw_, doc_)                                                             \
    {                                                                                              \
        .kind = ROW_REG, .name = name_, .stored = true, .field = offsetof(Apic, lvt[n_]),          \
        .size = 4, .count = 1, .at = at_, .rw = rw_, .reset = LVT_MASKED, .arg = n_,               \
        .on_write = lvt_write, .doc = doc_                                                         \
    }
// clang-format off
static const Row rows[] = {
    PROP_AS(Apic, id_prop, "apic-id", "0", "Initial APIC ID, without a CPU"),
    {.kind = ROW_REG, .name = "xapic_id", .stored = true, .field = offsetof(Apic, id), .size = 4, .count = 1, .at = REG_ID,
     .rw = 0xff000000, .get = id_get, .doc = "Local APIC ID"},
    CALC(version, 4, 0x30, .is = VERSION, .ro = true, .doc = "Version"),
    REG(Apic, tpr, 0x80, .rw = 0xff, .max = 0xff, .doc = "Task priority"),
    CALC(apr, 4, 0x90, .ro = true, .get = apr_get, .doc = "Arbitration priority"),
    CALC(ppr, 4, 0xa0, .ro = true, .get = ppr_get, .doc = "Processor priority"),
    CALC(eoi, 4, 0xb0, .wo = true, .on_write = eoi_write, .doc = "End of interrupt"),
    REG(Apic, ldr, REG_LDR, .rw = 0xff000000, .get = ldr_get, .doc = "Logical destination"),
    REG(Apic, dfr, REG_DFR, .rw = 0xf0000000, .reset = 0xffffffff, .doc = "Destination format"),
    REG(Apic, svr, 0xf0, .rw = 0x11ff, .reset = 0xff, .max = 0x11ff, .on_write = svr_write, .doc = "Spurious vector"),
    REGS(Apic, isr, 0x100, .step = 16, .ro = true, .doc = "In service"),
    REGS(Apic, tmr, 0x180, .step = 16, .ro = true, .doc = "Trigger mode"),
    REGS(Apic, irr, 0x200, .step = 16, .ro = true, .doc = "Interrupt request"),
    REG(Apic, esr, 0x280, .on_write = esr_write, .max = 0xff, .doc = "Error status"),
    LVT("lvt_cmci", 0x2f0, LVT_CMCI, 0x107ff, "LVT corrected machine check"),
    REG(Apic, icr, REG_ICR, .rw = 0xccfff, .on_write = icr_write, .doc = "Interrupt command, low"),
    REG(Apic, icr_high, REG_ICR_HIGH, .rw = 0xff000000, .doc = "Interrupt command, high"),
    LVT("lvt_timer", 0x320, LVT_TIMER, 0x700ff, "LVT timer"),
    LVT("lvt_thermal", 0x330, LVT_THERMAL, 0x107ff, "LVT thermal sensor"),
    LVT("lvt_perf", 0x340, LVT_PERF, 0x107ff, "LVT performance counters"),
    LVT("lvt_lint0", 0x350, LVT_LINT0, 0x1a7ff, "LVT LINT0"),
    LVT("lvt_lint1", 0x360, LVT_LINT1, 0x1a7ff, "LVT LINT1"),
    LVT("lvt_error", 0x370, LVT_ERROR, 0x100ff, "LVT error"),
    REG(Apic, icr_count, 0x380, .rw = UINT32_MAX, .on_write = count_write, .doc = "Timer initial count"),
    CALC(ccr, 4, 0x390, .ro = true, .get = ccr_get, .doc = "Timer current count"),
    REG(Apic, dcr, 0x3e0, .rw = 0x0b, .max = 0x0b, .on_write = dcr_write, .doc = "Timer divide configuration"),
    STATE(Apic, base, .reset = MESSAGE_BASE | BASE_ENABLE, .max = (UINT64_C(1) << 52) - 1, .doc = "IA32_APIC_BASE"),
    STATE(Apic, lint, .keep = true, .max = 3, .doc = "Levels of LINT0 and LINT1"),
    STATE(Apic, extint, .doc = "An ExtINT message waits"),
    STATE(Apic, icr_dest, .doc = "Destination of the last x2APIC command"),
    STATE(Apic, errors, .max = 0xff, .doc = "Errors since ESR was written"),
    STATE(Apic, started, .max = INT64_MAX / 4, .doc = "ns at which the timer began to count"),
    STATE(Apic, last_fired, .max = INT64_MAX / 4),
    STATE(Apic, fired, .doc = "The one-shot timer is over"),
    STATE(Apic, deadline, .doc = "IA32_TSC_DEADLINE"),
    TIMER(Apic, expiry, timer_expired, .doc = "The timer fires"),
    DERIVED(Apic, cpu),
    DERIVED(Apic, tsc_hz),
    DERIVED(Apic, tsc_offset),
    END
};
// clang-format on

static void apic_reset_state(void *dev, bool power_on)
{
    Apic *s = dev;
    bool boot = s->cpu ? s->cpu->is_bsp : s->id_prop == 0;

    s->id = s->cpu ? s->cpu->apic_id << 24 : (uint32_t)s->id_prop << 24;
    s->base |= boot ? BASE_BSP : 0;
    if (boot) { /* as firmware leaves it for the PIC: PCs boot in virtual wire mode */
        s->lvt[LVT_LINT0] = APIC_EXTINT << LVT_MODE_SHIFT;
    }
}

void apic_init(Apic *s)
{
    /* INIT keeps the ID and the base (§11.4.7.3). */
    uint32_t id = s->id, lint = s->lint;
    uint64_t base = s->base;
    device_reset(&s->dev, false);
    s->id = id;
    s->base = base;
    s->lint = lint;
    device_settle(&s->dev);
}

/* ---- x2APIC and MSRs ---- */

bool apic_base_write(Apic *s, uint64_t v)
{
    if ((v & ~UINT64_C(0xfff)) != (s->base & ~UINT64_C(0xfff))) {
        guest_error(&s->dev, "the registers stay at %08x", (unsigned)MESSAGE_BASE);
    }
    if (!(v & BASE_ENABLE) && s->base & BASE_ENABLE) { /* off and on again is a reset (§11.4.3) */
        device_reset(&s->dev, false);
    }
    s->base = (s->base & BASE_BSP) | (v & (BASE_ENABLE | BASE_X2)) |
              (v & ~UINT64_C(0xfff) & ((UINT64_C(1) << 52) - 1));
    device_settle(&s->dev);
    return true;
}

/* Registers that exist as MSRs (§11.12.1.2, table 11-6), as bits of their number. */
static bool x2apic_has(unsigned reg, bool write)
{
    switch (reg) {
    case 0x02:
    case 0x03:
    case 0x0a:
    case 0x0d:
    case 0x39: return !write;
    case 0x08:
    case 0x0f:
    case 0x28:
    case 0x2f:
    case 0x30:
    case 0x38:
    case 0x3e: return true;
    case 0x0b:
    case 0x3f: return write;
    default: return (reg >= 0x10 && reg <= 0x27 && !write) || (reg >= 0x32 && reg <= 0x37);
    }
}

/* Bits that must be 0 in a write: elsewhere they are ignored, here they are #GP (§11.12.1.3). */
static uint64_t x2apic_reserved(unsigned reg)
{
    switch (reg << 4) {
    case REG_ICR: return 0xfff32000;
    case 0x80:
    case REG_SELF_IPI: return ~UINT64_C(0xff);
    case 0xf0: return ~UINT64_C(0x13ff);
    default: return UINT64_MAX << 32;
    }
}

bool apic_x2_read(Apic *s, unsigned reg, uint64_t *v)
{
    if (!x2apic(s) || !x2apic_has(reg, false)) {
        return false;
    }
    *v = device_read(&s->dev, SPACE_MAIN, reg << 4, 4);
    if (reg << 4 == REG_ICR) {
        *v |= (uint64_t)s->icr_dest << 32;
    }
    return true;
}

bool apic_x2_write(Apic *s, unsigned reg, uint64_t v)
{
    if (!x2apic(s) || !x2apic_has(reg, true) || v & x2apic_reserved(reg)) {
        return false;
    }
    switch (reg << 4) {
    case REG_ICR: /* one write of 64 bits, with a destination of 32 (§11.12.9) */
        s->icr = v & 0xccfff;
        s->icr_dest = v >> 32;
        send_ipi(s, s->icr, s->icr_dest);
        break;
    case REG_SELF_IPI: send_ipi(s, (v & 0xff) | TO_SELF << ICR_SHORTHAND_SHIFT, 0); break;
    case 0xb0:
    case 0x280:
        if (v) {
            return false; /* only 0 may be written */
        }
        G_GNUC_FALLTHROUGH;
    default: device_write(&s->dev, SPACE_MAIN, reg << 4, 4, v); break;
    }
    device_settle(&s->dev);
    return true;
}

/* ---- The page ---- */

/* Addresses without a register are an error of their own (§11.5.3). */
static void check_address(Apic *s, unsigned at)
{
    if (at < 0x20 || (at >= 0x40 && at < 0x80) || at == 0xc0 || (at >= 0x290 && at < 0x2f0) ||
        at >= 0x3f0) {
        error(s, ESR_REGISTER);
    }
}

uint64_t apic_page_read(Apic *s, uint64_t at, unsigned size)
{
    if (!(s->base & BASE_ENABLE) || x2apic(s)) {
        return size_mask(size);
    }
    check_address(s, at);
    return device_read(&s->dev, SPACE_MAIN, at, size);
}

void apic_page_write(Apic *s, uint64_t at, unsigned size, uint64_t v)
{
    if (!(s->base & BASE_ENABLE) || x2apic(s)) {
        return;
    }
    check_address(s, at);
    device_write(&s->dev, SPACE_MAIN, at, size, v);
}

void apic_set_cpu(Device *apic, Cpu *cpu)
{
    ((Apic *)apic)->cpu = cpu;
    if (cpu) {
        cpu->apic = apic;
    }
}

void apic_set_tsc(Device *apic, uint64_t hz, int64_t offset)
{
    Apic *s = (Apic *)apic;
    s->tsc_hz = hz;
    s->tsc_offset = offset;
    device_settle(apic);
}

uint64_t apic_tsc_deadline(const Device *apic)
{
    return ((const Apic *)apic)->deadline;
}

/* Ignored unless the timer is in that mode (§11.5.4.1). */
void apic_set_tsc_deadline(Device *apic, uint64_t tsc)
{
    Apic *s = (Apic *)apic;
    if (timer_mode(s) == LVT_DEADLINE) {
        s->deadline = tsc;
        timer_off(&s->expiry);
        device_settle(apic);
    }
}

uint8_t apic_arbitration(const Apic *s)
{
    return ppr(s);
}
bool apic_enabled(const Apic *s)
{
    return enabled(s);
}
bool apic_in_x2apic_mode(const Apic *s)
{
    return x2apic(s);
}

bool apic_matches(const Apic *s, uint32_t dest, bool logical, bool wide)
{
    uint32_t all = wide ? UINT32_MAX : XAPIC_ALL, ldr = ldr_get(s, 0, 0);

    if (!(s->base & BASE_ENABLE)) {
        return false;
    }
    if (dest == all) {
        return true;
    }
    if (!logical) {
        /* Who has an ID that does not fit the register has it in either mode: nothing else would name it before its system
         * has changed its mode. */
        bool fits = id_of(s) < XAPIC_ALL;
        return dest == (x2apic(s) || !fits ? id_of(s) : s->id >> 24);
    }
    if (x2apic(s)) { /* §11.12.10.2; a narrow destination is the low cluster's */
        return dest >> 16 == ldr >> 16 && dest & ldr & 0xffff;
    }
    ldr >>= 24;
    if (s->dfr >> 28 == 0xf) { /* flat model (§11.6.2.2) */
        return dest & ldr;
    }
    return (dest >> 4 & 15) == ldr >> 4 && dest & ldr & 15;
}

void apic_print(const Device *apic, GString *out)
{
    const Apic *s = (const Apic *)apic;

    g_string_append_printf(out, "dumping local APIC state for CPU %u\n\n",
                           s->cpu ? s->cpu->index : 0);
    char *text = device_registers_text(apic);
    g_string_append(out, text);
    g_free(text);
}

Device *apic_new(Cpu *cpu, GError **error)
{
    Device *apic = device_new(&apic_class, NULL);

    apic_set_cpu(apic, cpu);
    if (!device_realize(apic, NULL, error)) {
        cpu->apic = NULL;
        device_free(apic);
        return NULL;
    }
    return apic;
}

const DeviceClass apic_class = {
    .name = "apic",
    .doc = "Local interrupt controller",
    .category = "misc",
    .internal = true,
    .size = sizeof(Apic),
    .rows = rows,
    .reset = apic_reset_state,
    .inputs = 2,
    .input = apic_input,
    .update = apic_update,
};
