/* TCO registers (Intel ICH9 data sheet 316972-004, §13.9).
 *
 * The real timer runs from reset on, and firmware that does not want it stops it; the firmware of
 * this board does not know it.  So it begins with the first write of software that uses it. */
#include "hw/isa/ich9-tco.h"

#include "hw/misc/watchdog.h"

enum { TICK_NS = 600 * 1000 * 1000 };
enum { STS_SW_SMI = 1 << 1, STS_OS_INT = 1 << 2, STS_TIMEOUT = 1 << 3 };
enum { STS2_SECOND = 1 << 1, STS2_BOOT = 1 << 2 };
enum { CNT_NMI_NOW = 1 << 8, CNT_NMI2SMI = 1 << 9, CNT_HALT = 1 << 11, CNT_LOCK = 1 << 12 };
enum { TIME_BITS = 0x3ff, LEAST_TICKS = 2 };

static void start(Tco *s)
{
    unsigned ticks = MAX(s->tmr & TIME_BITS, LEAST_TICKS);
    timer_at(&s->expiry, now(&s->dev) + (int64_t)ticks * TICK_NS);
}

static void expired(void *dev, unsigned i)
{
    Tco *s = dev;
    start(s);
    if (!s->second) {
        s->second = true;
        s->sts1 |= STS_TIMEOUT;
        s->smi_due = true;
        return;
    }
    s->second = false;
    s->sts2 |= STS2_SECOND;
    if (!s->no_reboot) {
        s->sts2 |= STS2_BOOT;
        timer_off(&s->expiry);
        watchdog_expired(device_whole(&s->dev));
    }
}

/* TCO_RLD: reads as what is left. */
static uint64_t reload_get(const void *dev, unsigned arg, unsigned i)
{
    const Tco *s = dev;
    if (s->expiry.at == TIMER_OFF) {
        return s->tmr & TIME_BITS;
    }
    int64_t left = s->expiry.at - now(&s->dev);
    return left > 0 ? (uint64_t)(left / TICK_NS) & TIME_BITS : 0;
}

static void reload_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Tco *s = dev;
    s->second = false;
    if (!(s->cnt1 & CNT_HALT)) {
        start(s);
    }
}

static void cnt1_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Tco *s = dev;
    if (value & ~old & CNT_NMI_NOW) {
        s->nmi_due = true;
    }
    if (value & ~old & CNT_HALT) {
        timer_off(&s->expiry);
    } else if (old & ~value & CNT_HALT) {
        start(s);
    }
}

/* Messages to the SMI handler and, back, to the operating system. */
static void dat_in_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Tco *s = dev;
    s->sts1 |= STS_SW_SMI;
    s->smi_due = true;
}

static void dat_out_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Tco *)dev)->sts1 |= STS_OS_INT;
}

// clang-format off
static const Row tco_rows[] = {
    CALC(rld, 2, 0x00, .get = reload_get, .on_write = reload_write, .doc = "Reload and current value, in 0.6 s"),
    REG(Tco, dat_in, 0x02, .rw = 0xff, .on_write = dat_in_write, .doc = "Data for the SMI handler"),
    REG(Tco, dat_out, 0x03, .rw = 0xff, .on_write = dat_out_write, .doc = "Data from the SMI handler"),
    REG(Tco, sts1, 0x04, .w1c = 0x3f8f, .doc = "TCO1 status", .bits = "NMI2SMI SW_SMI OS_INT TIMEOUT - - - NEWCENTURY"),
    REG(Tco, sts2, 0x06, .w1c = 0x0017, .doc = "TCO2 status", .bits = "INTRD SECOND_TO BOOT"),
    REG(Tco, cnt1, 0x08, .rw = CNT_NMI_NOW | CNT_NMI2SMI | CNT_HALT, .w1s = CNT_LOCK, .on_write = cnt1_write,
        .doc = "TCO1 control", .bits = "- - - - - - - - NMI_NOW NMI2SMI - TMR_HLT LOCK"),
    REG(Tco, cnt2, 0x0a, .rw = 0x003e, .reset = 0x0008, .doc = "TCO2 control"),
    REGS(Tco, message, 0x0c, .rw = 0xff, .doc = "Messages"),
    REG(Tco, wdcnt, 0x0e, .rw = 0xff, .doc = "Boot progress, for whoever looks"),
    REG(Tco, irq_gen, 0x10, .rw = 0x03, .reset = 0x03, .doc = "IRQ 1 and 12 of software"),
    REG(Tco, tmr, 0x12, .rw = TIME_BITS, .reset = 4, .doc = "Timer's initial value, in 0.6 s"),
    STATE(Tco, second),
    TIMER(Tco, expiry, expired),
    DERIVED(Tco, smi_due),
    DERIVED(Tco, nmi_due),
    DERIVED(Tco, no_reboot),
    PIN(Tco, nmi, "A pulse is one NMI"),
    END
};
// clang-format on

static void tco_update(void *dev)
{
    Tco *s = dev;
    if (s->nmi_due) {
        s->nmi_due = false;
        irq_set(&s->nmi, true);
    }
    irq_set(&s->nmi, false);
}

const DeviceClass tco_class = {
    .name = "ich9-tco",
    .doc = "TCO watchdog",
    .abstract = true,
    .size = sizeof(Tco),
    .rows = tco_rows,
    .update = tco_update,
};
