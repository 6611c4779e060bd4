/* PM1 block and PM timer (ACPI 6.4 §4.8.3). */
#include "hw/pci/acpi-pm.h"

#include "core/runstate.h"

enum { /* PM1 status and enable */
       TMR_STS = 1 << 0,
       GBL_STS = 1 << 5,
       PWRBTN_STS = 1 << 8,
       RTC_STS = 1 << 10,
       WAK_STS = 1 << 15,
       PM1_EVENTS = TMR_STS | GBL_STS | PWRBTN_STS | RTC_STS
};
enum { SCI_EN = 1 << 0, SLP_TYP_SHIFT = 10, SLP_EN = 1 << 13 };
enum { SLEEP_S5 = 0, SLEEP_S3 = 1 }; /* SLP_TYP as the boards' tables have it; S4 is a property */

/* ---- The timer ---- */

enum { HALF_SHIFT = ACPI_TIMER_BITS - 1 };

static uint64_t ticks(const AcpiPm *s)
{
    return acpi_timer_ticks(&s->dev);
}

static uint64_t tmr_get(const void *dev, unsigned arg, unsigned i)
{
    return ticks(dev) & ((1u << ACPI_TIMER_BITS) - 1);
}

/* TMR_STS is set whenever the top bit turns. */
static uint16_t sts_now(const AcpiPm *s)
{
    bool turned = (uint32_t)(ticks(s) >> HALF_SHIFT) != s->tmr_half;
    return (uint16_t)(s->sts | (turned ? TMR_STS : 0));
}

static uint64_t sts_get(const void *dev, unsigned arg, unsigned i)
{
    return sts_now(dev);
}

static void sts_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AcpiPm *s = dev;
    s->sts &= (uint16_t)~value;
    if (value & TMR_STS) {
        s->tmr_half = (uint32_t)(ticks(s) >> HALF_SHIFT);
    }
}

static void overflow_fired(void *dev, unsigned i) {}

static void update_timer(AcpiPm *s)
{
    if (!(s->en & TMR_STS) || (sts_now(s) & TMR_STS)) {
        timer_off(&s->overflow);
        return;
    }
    uint64_t next = ((ticks(s) >> HALF_SHIFT) + 1) << HALF_SHIFT;
    timer_at(&s->overflow, (int64_t)muldiv64(next, NS_PER_SECOND, ACPI_TIMER_HZ) + 1);
}

/* ---- Sleeping and waking ---- */

static void sleep_now(AcpiPm *s)
{
    unsigned type = s->cnt >> SLP_TYP_SHIFT & 7;
    if (type == SLEEP_S3 && !s->disable_s3) {
        s->suspended = true;
        machine_request_suspend();
    } else if (type == s->s4_val && !s->disable_s4) {
        machine_guest_suspended_to_disk();
    } else if (type == SLEEP_S5) {
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    } else {
        guest_error(device_whole(&s->dev), "sleep type %u is not offered", type);
    }
}

static void cnt_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AcpiPm *s = dev;
    if (value & SLP_EN) {
        s->cnt &= (uint16_t)~SLP_EN;
        sleep_now(s);
    }
}

void acpi_pm_enable(AcpiPm *s, bool acpi)
{
    s->cnt = (uint16_t)((s->cnt & ~SCI_EN) | (acpi ? SCI_EN : 0));
}

/* The machine has one of these at most; listeners stay for good. */
static AcpiPm *the_pm;

static void wake(AcpiPm *s)
{
    if (s->suspended) {
        s->suspended = false;
        s->sts |= (uint16_t)(WAK_STS | s->woken_by);
        s->woken_by = 0;
    }
}

static void machine_wakes(void *arg)
{
    if (the_pm) {
        wake(the_pm);
        device_settle(device_whole(&the_pm->dev));
    }
}

/* A fixed event; asleep, it is told to whom it has woken (the button is always on, §4.8.3.1.1). */
static void event(uint16_t which)
{
    AcpiPm *s = the_pm;
    if (!s) {
        return;
    }
    if (!s->suspended) {
        s->sts |= which;
        device_settle(device_whole(&s->dev));
    } else if (which == PWRBTN_STS || (s->en & which)) {
        s->woken_by |= which;
        machine_request_wakeup();
    }
}

static void power_button(void *arg)
{
    event(PWRBTN_STS);
}

void acpi_pm_alarm(void)
{
    event(RTC_STS);
}

void acpi_gpe(unsigned bit)
{
    if (the_pm) {
        the_pm->gpe(device_whole(&the_pm->dev), bit);
    }
}

void acpi_pm_init(AcpiPm *s, void (*gpe)(Device *whole, unsigned bit))
{
    static const RunListener listener = {.powerdown = power_button, .wakeup = machine_wakes};
    static bool listening;
    the_pm = s;
    s->gpe = gpe;
    if (!listening) {
        runstate_listen(&listener);
        listening = true;
    }
}

void acpi_pm_exit(AcpiPm *s)
{
    if (the_pm == s) {
        the_pm = NULL;
    }
}

bool acpi_pm_sci(const AcpiPm *s, bool gpe)
{
    return (s->cnt & SCI_EN) && ((sts_now(s) & s->en & PM1_EVENTS) || gpe);
}

// clang-format off
static const Row acpi_pm_rows[] = {
    PROP(AcpiPm, disable_s3, "0", "1: no suspend to RAM"),
    PROP(AcpiPm, disable_s4, "0", "1: no suspend to disk"),
    PROP(AcpiPm, s4_val, "2", "SLP_TYP of suspend to disk", .max = 7),
    CALC(pm1_sts, 2, 0x00, .get = sts_get, .on_write = sts_write, .doc = "PM1 status",
         .bits = "TMR - - - BM GBL - - PWRBTN - RTC - - - - WAK"),
    REG(AcpiPm, en, 0x02, .rw = PM1_EVENTS, .doc = "PM1 enable", .bits = "TMR - - - - GBL - - PWRBTN - RTC"),
    REG(AcpiPm, cnt, 0x04, .rw = 0x1c03, .w1s = SLP_EN, .on_write = cnt_write, .doc = "PM1 control",
        .bits = "SCI_EN BM_RLD GBL_RLS - - - - - - - TYP0 TYP1 TYP2 SLP_EN"),
    CALC(pm_tmr, 4, 0x08, .ro = true, .get = tmr_get, .doc = "PM timer"),
    STATE(AcpiPm, sts),
    STATE(AcpiPm, tmr_half),
    STATE(AcpiPm, suspended, .keep = true),
    STATE(AcpiPm, woken_by, .keep = true),
    TIMER(AcpiPm, overflow, overflow_fired),
    PIN(AcpiPm, s3, "High while the machine sleeps in S3"),
    END
};
// clang-format on

static void acpi_pm_reset(void *dev, bool power_on)
{
    AcpiPm *s = dev;
    s->tmr_half = (uint32_t)(ticks(s) >> HALF_SHIFT);
    wake(s);
}

static void acpi_pm_update(void *dev)
{
    AcpiPm *s = dev;
    update_timer(s);
    irq_set(&s->s3, s->suspended);
}

const DeviceClass acpi_pm_class = {
    .name = "acpi-pm",
    .doc = "Fixed hardware of ACPI",
    .abstract = true,
    .size = sizeof(AcpiPm),
    .rows = acpi_pm_rows,
    .reset = acpi_pm_reset,
    .update = acpi_pm_update,
};
