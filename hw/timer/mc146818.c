/* Motorola MC146818A real-time clock plus RAM, as in the PC AT.
 *
 * After the MC146818A data sheet (1984).  While the clock runs, its time is an offset to one of the
 * host's clocks and the ten time registers are computed; the flags of register C are computed from
 * the moment at which they were last read.  So a guest that asks for no interrupt costs no timer.
 * While updates are inhibited (SET, or the divider held in reset) the registers are plain memory.
 */
#include "hw/timer/mc146818.h"

enum { /* registers */
       SECONDS,
       SECONDS_ALARM,
       MINUTES,
       MINUTES_ALARM,
       HOURS,
       HOURS_ALARM,
       WEEKDAY,
       DAY,
       MONTH,
       YEAR,
       REG_A,
       REG_B,
       REG_C,
       REG_D,
       CENTURY = 0x32,
};
enum { A_RATE = 0x0f, A_DIVIDER = 0x70, A_DIVIDER_RUN = 0x20, A_UIP = 0x80 };
enum {
    B_24H = 0x02,
    B_BINARY = 0x04,
    B_SQWE = 0x08,
    B_UIE = 0x10,
    B_AIE = 0x20,
    B_PIE = 0x40,
    B_SET = 0x80
};
enum { C_UF = 0x10, C_AF = 0x20, C_PF = 0x40, C_IRQF = 0x80, C_FLAGS = 0x70 };
enum { SPACE_CMOS = 1, SPACE_UPPER = 2 };
enum {
    LOW_AT = 0x0e,
    HIGH_AT = 0x33,
    LOW_SIZE = CENTURY - LOW_AT,
    HIGH_SIZE = 0x80 - HIGH_AT,
    UPPER_AT = 0x80
};
enum {
    TIME_SECONDS,
    TIME_MINUTES,
    TIME_HOURS,
    TIME_WEEKDAY,
    TIME_DAY,
    TIME_MONTH,
    TIME_YEAR,
    TIME_CENTURY,
    TIME_REGS
};
enum { ALARM_SECONDS, ALARM_MINUTES, ALARM_HOURS };
enum { RTC_HZ = 32768, DAY_SECONDS = 86400 };
/* "Update in progress" rises 8 ticks, 244 us, before an update (data sheet table 6, 32.768 kHz),
 * which takes no time here: the registers change all at once. */
#define UIP_NS      (8 * NS_PER_SECOND / RTC_HZ)
#define MAX_SECONDS (INT64_C(1) << 40) /* some 34,000 years either way */
#define MAX_NS      (INT64_MAX / 4)
#define MAX_BACKLOG NS_PER_SECOND /* ticks older than this are not made up for */

enum { LOST_DISCARD, LOST_SLEW };
static const char *const lost_tick_policies[] = {"discard", "slew", NULL};
static const char *const clocks[] = {"vm", "rt", "host", NULL}; /* in ClockType's order */

typedef struct Rtc {
    Device dev;
    /* properties */
    int32_t base_year;
    int64_t base;
    int clock, lost_tick_policy;
    uint8_t index, upper_index;
    uint8_t frozen[TIME_REGS]; /* the time registers while updates are inhibited */
    uint8_t alarm[3];
    uint8_t a, b;
    uint8_t flags; /* of C, that rose before `seen` */
    uint8_t low[LOW_SIZE], high[HIGH_SIZE], upper[128];
    int64_t offset_s;      /* clock's time - source clock, whole seconds (rounded down) ... */
    uint32_t offset_ns;    /* ... and the rest */
    uint8_t weekday_shift; /* the guest's weekday is its own affair: days ahead of the calendar */
    int64_t seen_s;        /* last second whose update is in `flags` */
    int64_t seen_tick;     /* last 32768 Hz tick whose periodic flag is in `flags` */
    int64_t origin_tick; /* from which periods are counted: the last one before the rate changed */
    int64_t start_s;     /* offset_s as the machine started */
    Timer next;
    Irq irq, alarm_pin;
    void (*changed)(void *arg, int64_t offset);
    void *changed_arg;
} Rtc;

/* ---- Time ---- */

static int64_t source_ns(const Rtc *s)
{
    return s->clock == CLOCK_VIRTUAL ? now(&s->dev) : clock_now(s->clock);
}

/* Second that the clock shows (the guest's time zone), and how far into it. */
static int64_t rtc_time(const Rtc *s, int64_t *fraction)
{
    int64_t ns = source_ns(s), part = ns % NS_PER_SECOND + s->offset_ns;
    *fraction = part % NS_PER_SECOND;
    return ns / NS_PER_SECOND + s->offset_s + part / NS_PER_SECOND;
}

static bool updates(const Rtc *s)
{
    return !(s->b & B_SET) && (s->a & A_DIVIDER) == A_DIVIDER_RUN;
}
static int64_t tick_now(const Rtc *s)
{
    return muldiv64(source_ns(s), RTC_HZ, NS_PER_SECOND);
}

/* Ticks between periodic interrupts; 0: none (data sheet table 5, 32.768 kHz). */
static int64_t period_ticks(const Rtc *s)
{
    unsigned rate = s->a & A_RATE;
    return !rate ? 0 : INT64_C(1) << ((rate < 3 ? rate + 7 : rate) - 1);
}

/* Periods that have ended by some tick.  The chip takes its rates from one chain of dividers; here
 * a new rate's first period starts where the old rate's last one ended, so that guests which change
 * the rate and add up periods (Windows) keep the time. */
static int64_t periods_until(const Rtc *s, int64_t tick)
{
    return (tick - s->origin_tick) / period_ticks(s);
}
static int64_t period_end(const Rtc *s, int64_t n)
{
    return s->origin_tick + n * period_ticks(s);
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back; years start in March, so that the
 * leap day is last. */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
    year -= month < 3;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era = year - era * 400;
    unsigned of_year = (153 * (month < 3 ? month + 9 : month - 3) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = days - era * 146097;
    unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * years + years / 4 - years / 100);
    unsigned m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = era * 400 + years + (*month < 3);
}

static uint8_t encode(const Rtc *s, unsigned v)
{
    return s->b & B_BINARY ? v : (v / 10 % 10) << 4 | v % 10;
}
static unsigned decode(const Rtc *s, uint8_t v)
{
    return s->b & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const Rtc *s, unsigned hour)
{
    if (s->b & B_24H) {
        return encode(s, hour);
    }
    return encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static unsigned decode_hour(const Rtc *s, uint8_t v)
{
    if (s->b & B_24H) {
        return decode(s, v);
    }
    return decode(s, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* The time registers of second t. */
static void time_registers(const Rtc *s, int64_t t, uint8_t regs[TIME_REGS])
{
    int64_t days = t / DAY_SECONDS - (t % DAY_SECONDS < 0), year;
    unsigned second = t - days * DAY_SECONDS, month, day;

    date_from_days(days, &year, &month, &day);
    int64_t shown = MAX(year - s->base_year, 0);
    regs[TIME_SECONDS] = encode(s, second % 60);
    regs[TIME_MINUTES] = encode(s, second / 60 % 60);
    regs[TIME_HOURS] = encode_hour(s, second / 3600);
    regs[TIME_WEEKDAY] = encode(s, ((days + 4 + s->weekday_shift) % 7 + 7) % 7 + 1);
    regs[TIME_DAY] = encode(s, day);
    regs[TIME_MONTH] = encode(s, month);
    regs[TIME_YEAR] = encode(s, shown % 100);
    regs[TIME_CENTURY] = encode(s, shown / 100 % 100);
}

/* The second that registers stand for; nonsense is brought into range. */
static int64_t time_from_registers(const Rtc *s, const uint8_t regs[TIME_REGS],
                                   uint8_t *weekday_shift)
{
    int64_t year =
        (int64_t)decode(s, regs[TIME_CENTURY]) * 100 + decode(s, regs[TIME_YEAR]) + s->base_year;
    unsigned month = CLAMP(decode(s, regs[TIME_MONTH]), 1, 12),
             day = CLAMP(decode(s, regs[TIME_DAY]), 1, 31);
    int64_t days = days_from_date(year, month, day);
    int weekday = (int)(decode(s, regs[TIME_WEEKDAY]) + 6) % 7; /* 0: Sunday */

    *weekday_shift = ((weekday - (days + 4)) % 7 + 7) % 7;
    return days * DAY_SECONDS + decode_hour(s, regs[TIME_HOURS]) % 24 * 3600 +
           decode(s, regs[TIME_MINUTES]) % 60 * 60 + decode(s, regs[TIME_SECONDS]) % 60;
}

/* Let the clock show second t, `fraction` ns into it. */
static void set_time(Rtc *s, int64_t t, int64_t fraction)
{
    int64_t ns = source_ns(s), rest = fraction - ns % NS_PER_SECOND;

    s->offset_s = t - ns / NS_PER_SECOND - (rest < 0);
    s->offset_ns = rest < 0 ? rest + NS_PER_SECOND : rest;
    s->seen_s = t;
}

/* ---- Alarm ---- */

static bool alarm_matches(uint8_t alarm, uint8_t value)
{
    return (alarm & 0xc0) == 0xc0 || alarm == value; /* "don't care" */
}

/* The first second after `from` at which the alarm matches; INT64_MAX: never. */
static int64_t next_alarm(const Rtc *s, int64_t from)
{
    int64_t t = from + 1, end = t + DAY_SECONDS;

    while (t < end) {
        unsigned second = (t % DAY_SECONDS + DAY_SECONDS) % DAY_SECONDS;
        if (!alarm_matches(s->alarm[ALARM_HOURS], encode_hour(s, second / 3600))) {
            t += 3600 - second % 3600;
        } else if (!alarm_matches(s->alarm[ALARM_MINUTES], encode(s, second / 60 % 60))) {
            t += 60 - second % 60;
        } else if (!alarm_matches(s->alarm[ALARM_SECONDS], encode(s, second % 60))) {
            t++;
        } else {
            return t;
        }
    }
    return INT64_MAX;
}

/* ---- Flags ---- */

/* The flags that are up now. */
static uint8_t flags_now(const Rtc *s)
{
    uint8_t flags = s->flags;
    int64_t fraction, t = rtc_time(s, &fraction);

    if (period_ticks(s) && periods_until(s, tick_now(s)) > periods_until(s, s->seen_tick)) {
        flags |= C_PF;
    }
    if (updates(s) && t > s->seen_s) {
        flags |= C_UF | (next_alarm(s, s->seen_s) <= t ? C_AF : 0);
    }
    return flags;
}

/* Bring the events up to now into `flags`, before something changes that they depend on. */
static void catch_up(Rtc *s)
{
    int64_t fraction;
    s->flags = flags_now(s);
    s->seen_s = rtc_time(s, &fraction);
    s->seen_tick = tick_now(s);
}

static uint64_t c_get(const void *dev, unsigned arg, unsigned i)
{
    const Rtc *s = dev;
    uint8_t flags = flags_now(s);
    return flags | (flags & s->b & C_FLAGS ? C_IRQF : 0);
}

static void c_read(void *dev, unsigned arg, unsigned i)
{
    Rtc *s = dev;
    int64_t seen = s->seen_tick, tick = tick_now(s);

    catch_up(s);
    s->flags = 0;
    irq_set(&s->irq, false); /* the next interrupt is a new edge, even when it is due already */
    /* With "slew" each lost periodic tick still comes, one after each acknowledge. */
    if (s->lost_tick_policy == LOST_SLEW && s->b & B_PIE && period_ticks(s) &&
        periods_until(s, tick) > periods_until(s, seen)) {
        int64_t backlog = muldiv64(MAX_BACKLOG, RTC_HZ, NS_PER_SECOND);
        s->seen_tick = MAX(period_end(s, periods_until(s, seen) + 1), tick - backlog);
    }
}

/* ns on the source clock to the next event that interrupts; INT64_MAX: none. */
static int64_t next_event(const Rtc *s)
{
    int64_t ns = source_ns(s), best = INT64_MAX, fraction, t = rtc_time(s, &fraction);

    if (s->b & B_PIE && period_ticks(s)) {
        int64_t tick = period_end(s, periods_until(s, tick_now(s)) + 1);
        best = (int64_t)(((__int128)tick * NS_PER_SECOND + RTC_HZ - 1) / RTC_HZ) - ns;
    }
    if (s->b & B_UIE && updates(s)) {
        best = MIN(best, NS_PER_SECOND - fraction);
    }
    if (s->b & B_AIE && updates(s)) {
        int64_t alarm = next_alarm(s, t);
        if (alarm != INT64_MAX) {
            best = MIN(best, (alarm - t) * NS_PER_SECOND - fraction);
        }
    }
    return best;
}

static void event_fire(void *dev, unsigned i) {}

static void rtc_update(void *dev)
{
    Rtc *s = dev;
    int64_t fraction;

    /* A host's clock that was set back, or hostile state: events count from here. */
    s->seen_s = MIN(s->seen_s, rtc_time(s, &fraction));
    s->seen_tick = MIN(s->seen_tick, tick_now(s));
    s->origin_tick = MIN(s->origin_tick, s->seen_tick);
    uint8_t raised = flags_now(s) & s->b & C_FLAGS;
    irq_set(&s->irq, raised);
    irq_set(&s->alarm_pin, raised & C_AF);
    int64_t wait = raised ? INT64_MAX : next_event(s);
    /* The deadline is on the virtual clock, whatever clock it is for: what counts is read again
     * then. */
    timer_at(&s->next, wait == INT64_MAX ? TIMER_OFF : now(&s->dev) + MAX(wait, 1));
}

/* ---- Registers ---- */

static uint64_t time_get(const void *dev, unsigned reg, unsigned i)
{
    const Rtc *s = dev;
    uint8_t regs[TIME_REGS];
    int64_t fraction;

    if (!updates(s)) {
        return s->frozen[reg];
    }
    time_registers(s, rtc_time(s, &fraction), regs);
    return regs[reg];
}

static void freeze(Rtc *s)
{
    int64_t fraction;
    time_registers(s, rtc_time(s, &fraction), s->frozen);
}

/* The guest has set the registers: go on from there. */
static void thaw(Rtc *s, int64_t fraction)
{
    int64_t t = time_from_registers(s, s->frozen, &s->weekday_shift), old_fraction;
    bool same = t == rtc_time(s, &old_fraction);

    set_time(s, t, fraction);
    if (!same && s->changed) {
        s->changed(s->changed_arg, mc146818_offset(&s->dev));
    }
}

static void time_write(void *dev, unsigned reg, unsigned i, uint64_t old, uint64_t value)
{
    Rtc *s = dev;
    int64_t fraction;

    if (!updates(s)) {
        s->frozen[reg] = value;
        return;
    }
    catch_up(s);
    freeze(s);
    s->frozen[reg] = value;
    rtc_time(s, &fraction);
    thaw(s, fraction);
}

static void alarm_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Rtc *s = dev;
    uint8_t new = value;
    s->alarm[arg] = old; /* what matched so far did so with the old time */
    catch_up(s);
    s->alarm[arg] = new;
}

/* A or B may start or stop the clock, or change how its registers are written. */
static void control_write(Rtc *s, uint8_t a, uint8_t b)
{
    bool ran = updates(s), in_reset = (s->a & 0x60) == 0x60;
    int64_t fraction;

    catch_up(s);
    if ((a ^ s->a) & A_RATE) {
        s->origin_tick =
            period_ticks(s) ? period_end(s, periods_until(s, s->seen_tick)) : s->seen_tick;
    }
    if (ran && (b & B_SET || (a & A_DIVIDER) != A_DIVIDER_RUN)) {
        freeze(s);
    }
    s->a = a;
    s->b = b;
    if (!ran && updates(s)) {
        rtc_time(s, &fraction); /* SET does not touch the divider ... */
        thaw(s, in_reset ? NS_PER_SECOND / 2
                         : fraction); /* ... whose reset ends half a second before an update */
    }
}

static void a_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Rtc *s = dev;
    s->a = old;
    control_write(s, value, s->b);
}

static void b_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Rtc *s = dev;
    s->b = old;
    control_write(s, s->a, value & B_SET ? value & ~B_UIE : value); /* SET clears UIE */
}

static uint64_t a_get(const void *dev, unsigned arg, unsigned i)
{
    const Rtc *s = dev;
    int64_t fraction;
    rtc_time(s, &fraction);
    return s->a | (updates(s) && fraction >= NS_PER_SECOND - UIP_NS ? A_UIP : 0);
}

#define TIME(name_, at_, which_)                                                                   \
    CALC(name_, 1, at_, .space = SPACE_CMOS, .arg = which_, .get = time_get, .on_write = time_write)
#define ALARM(name_, at_, which_)                                                                  \
    {                                                                                              \
        .kind = ROW_REG, .name = name_, .stored = true, .field = offsetof(Rtc, alarm[which_]),     \
        .size = 1, .count = 1, .at = at_, .space = SPACE_CMOS, .rw = 0xff, .keep = true,           \
        .arg = which_, .on_write = alarm_write                                                     \
    }
// clang-format off
static const Row rows[] = {
    PROP(Rtc, base_year, "0", "Year that the registers 00 00 stand for", .max = 9999),
    PROP(Rtc, base, "0", "Date that it shows at power-on: seconds since 1970, in the guest's time zone"),
    PROP(Rtc, clock, "vm", "Clock that drives it", .type = TYPE_ENUM, .names = clocks),
    PROP(Rtc, lost_tick_policy, "discard", "What becomes of periodic interrupts that came too fast",
         .type = TYPE_ENUM, .names = lost_tick_policies),
    REG(Rtc, index, 0, .wo = true, .rw = 0x7f, .max = 0x7f, .doc = "Index; bit 7, the NMI mask, is not kept"),
    WINDOW(Rtc, data, 1, 1, SPACE_CMOS, index, .doc = "Data"),
    REG(Rtc, upper_index, 2, .rw = 0x7f, .max = 0x7f, .doc = "Index of the upper bank"),
    WINDOW(Rtc, upper_data, 1, 3, SPACE_UPPER, upper_index, .doc = "Data of the upper bank"),
    TIME(seconds, SECONDS, TIME_SECONDS),
    ALARM("seconds_alarm", SECONDS_ALARM, ALARM_SECONDS),
    TIME(minutes, MINUTES, TIME_MINUTES),
    ALARM("minutes_alarm", MINUTES_ALARM, ALARM_MINUTES),
    TIME(hours, HOURS, TIME_HOURS),
    ALARM("hours_alarm", HOURS_ALARM, ALARM_HOURS),
    TIME(weekday, WEEKDAY, TIME_WEEKDAY),
    TIME(day, DAY, TIME_DAY),
    TIME(month, MONTH, TIME_MONTH),
    TIME(year, YEAR, TIME_YEAR),
    REG(Rtc, a, REG_A, .space = SPACE_CMOS, .rw = 0x7f, .max = 0x7f, .reset = 0x26, .keep = true, .get = a_get,
        .on_write = a_write, .bits = "RS0 RS1 RS2 RS3 DV0 DV1 DV2 UIP", .doc = "Register A"),
    REG(Rtc, b, REG_B, .space = SPACE_CMOS, .rw = 0xff, .reset = B_24H, .keep = true, .on_write = b_write,
        .bits = "DSE 24/12 DM SQWE UIE AIE PIE SET", .doc = "Register B"),
    CALC(c, 1, REG_C, .space = SPACE_CMOS, .ro = true, .get = c_get, .on_read = c_read,
         .bits = "- - - - UF AF PF IRQF", .doc = "Register C: flags, cleared by reading"),
    CALC(d, 1, REG_D, .space = SPACE_CMOS, .ro = true, .is = 0x80, .bits = "- - - - - - - VRT", .doc = "Register D"),
    REGS(Rtc, low, LOW_AT, .space = SPACE_CMOS, .rw = 0xff, .keep = true, .doc = "Memory below the century"),
    TIME(century, CENTURY, TIME_CENTURY),
    REGS(Rtc, high, HIGH_AT, .space = SPACE_CMOS, .rw = 0xff, .keep = true, .doc = "Memory above the century"),
    REGS(Rtc, upper, 0, .space = SPACE_UPPER, .rw = 0xff, .keep = true, .doc = "Memory of the upper bank"),
    STATES(Rtc, frozen, .keep = true, .doc = "Time registers while updates are inhibited"),
    STATE(Rtc, flags, .max = C_FLAGS),
    STATE(Rtc, offset_s, .keep = true, .max = MAX_SECONDS, .doc = "Time shown - source clock, s"),
    STATE(Rtc, offset_ns, .keep = true, .max = NS_PER_SECOND - 1, .doc = "The rest, ns"),
    STATE(Rtc, weekday_shift, .keep = true, .max = 6),
    STATE(Rtc, seen_s, .keep = true, .max = 2 * MAX_SECONDS, .doc = "Second up to which C is known"),
    STATE(Rtc, seen_tick, .keep = true, .max = MAX_NS, .doc = "32768 Hz tick up to which C is known"),
    STATE(Rtc, origin_tick, .keep = true, .max = MAX_NS, .doc = "32768 Hz tick from which periods are counted"),
    STATE(Rtc, start_s, .keep = true, .max = MAX_SECONDS, .doc = "offset_s at the start"),
    TIMER(Rtc, next, event_fire, .doc = "Next event that interrupts"),
    PIN(Rtc, irq, "IRQ#"),
    PIN(Rtc, alarm_pin, "High while it is the alarm that interrupts"),
    DERIVED(Rtc, changed),
    DERIVED(Rtc, changed_arg),
    END
};
// clang-format on

/* Power-on: the battery kept the time.  Any reset: interrupts are off, flags down (data sheet,
 * RESET#). */
static void rtc_reset(void *dev, bool power_on)
{
    Rtc *s = dev;
    int64_t fraction;

    if (power_on) {
        set_time(s, CLAMP(s->base, -MAX_SECONDS / 2, MAX_SECONDS / 2), 0);
        s->start_s = s->offset_s;
        freeze(s);
    }
    s->b &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->flags = 0;
    s->seen_s = rtc_time(s, &fraction);
    s->seen_tick = tick_now(s);
}

/* ---- For the board ---- */

static uint8_t *memory_byte(Rtc *s, unsigned index)
{
    if (index >= UPPER_AT && index < UPPER_AT + sizeof(s->upper)) {
        return &s->upper[index - UPPER_AT];
    }
    if (index >= HIGH_AT && index < UPPER_AT) {
        return &s->high[index - HIGH_AT];
    }
    return index >= LOW_AT && index < CENTURY ? &s->low[index - LOW_AT] : NULL;
}

void mc146818_set(Device *rtc, unsigned index, uint8_t value)
{
    uint8_t *byte = memory_byte((Rtc *)rtc, index);
    if (byte) {
        *byte = value;
    }
}

uint8_t mc146818_get(const Device *rtc, unsigned index)
{
    const uint8_t *byte = memory_byte((Rtc *)rtc, index);
    return byte ? *byte : 0;
}

int64_t mc146818_offset(const Device *rtc)
{
    const Rtc *s = (const Rtc *)rtc;
    return s->offset_s - s->start_s;
}

void mc146818_on_change(Device *rtc, void (*fn)(void *arg, int64_t offset), void *arg)
{
    Rtc *s = (Rtc *)rtc;
    s->changed = fn;
    s->changed_arg = arg;
}

int64_t mc146818_seconds(const Device *rtc)
{
    int64_t fraction;
    return rtc_time((const Rtc *)rtc, &fraction);
}

const DeviceClass mc146818rtc_class = {
    .name = "mc146818rtc",
    .doc = "Real-time clock and CMOS memory",
    .category = "misc",
    .internal = true,
    .open = 1,
    .size = sizeof(Rtc),
    .rows = rows,
    .reset = rtc_reset,
    .update = rtc_update,
};
