/* Intel 6300ESB I/O controller hub: its watchdog timer (datasheet 300641, chapter 16), PCI function 25abh.
 *
 * Two stages of one 35-bit down-counter at 33 MHz.  The first ends in an interrupt, the second in a low WDT_TOUT#.  In
 * free-running mode there is only the second, again and again.  Preload values count milliseconds or microseconds (more
 * exactly 2^15 or 2^5 PCI clocks).  What drives the board's reset, WDT_TOUT#, here is the user's choice of an action. */
#include "hw/misc/watchdog.h"
#include "hw/pci/pci.h"

enum { PRELOAD = 0x000fffff, PCI_CLOCK_HZ = 33000000, SLOW_SHIFT = 15, FAST_SHIFT = 5 };
enum { CONFIG_INTERRUPT = 0x03, CONFIG_FAST = 0x04, CONFIG_NO_OUTPUT = 0x20 }; /* §16.5.11 */
enum { INTERRUPT_IRQ = 0, INTERRUPT_SMI = 2 };
enum { LOCKED = 0x01, ENABLED = 0x02, FREE_RUNNING = 0x04 };
enum { RELOAD = 0x100, TIMED_OUT = 0x200 };
enum { NOT_UNLOCKED, HALF_UNLOCKED, UNLOCKED, UNLOCK_1 = 0x80, UNLOCK_2 = 0x86 };

typedef struct I6300esb {
    PciDevice pci;
    uint16_t wdt_config;
    uint8_t lock;
    uint8_t unlock;                     /* how far the guest is in the sequence that permits one write       */
    uint8_t stage;                      /* that the counter is in: 1 or 2                                    */
    uint32_t preload1, preload2;
    uint32_t interrupt_status;          /* bit 0: the first stage ended                                      */
    uint16_t timeout;                   /* WDT_TIMEOUT; in the RTC's well, so a reset leaves it              */
    bool tout_low;                      /* WDT_TOUT# is low                                                  */
    Timer expiry;
    Irq irq, smi, tout;
} I6300esb;

static void start_stage(I6300esb *s, unsigned stage)
{
    uint64_t preload = stage == 1 ? s->preload1 : s->preload2;
    unsigned shift = s->wdt_config & CONFIG_FAST ? FAST_SHIFT : SLOW_SHIFT;
    uint64_t clocks = MAX(preload, 1) << shift; /* 0 would fire without pause */
    s->stage = (uint8_t)stage;
    timer_at(&s->expiry, now(&s->pci.dev) + (int64_t)muldiv64(clocks, NS_PER_SECOND, PCI_CLOCK_HZ));
}

static void start_over(I6300esb *s)
{
    start_stage(s, s->lock & FREE_RUNNING ? 2 : 1);
}

/* End of the second stage. */
static void time_out(I6300esb *s)
{
    bool free_running = s->lock & FREE_RUNNING;
    s->timeout = TIMED_OUT;
    s->tout_low = !free_running || !s->tout_low;
    if (s->tout_low && !(s->wdt_config & CONFIG_NO_OUTPUT)) {
        watchdog_expired(&s->pci.dev);
    }
    if (free_running) {
        start_over(s);
    }
}

static void expired(void *dev, unsigned i)
{
    I6300esb *s = dev;
    if (s->stage == 1) {
        s->interrupt_status |= 1;
        start_stage(s, 2);
    } else {
        time_out(s);
    }
}

/* ---- Configuration space ---- */

static void lock_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I6300esb *s = dev;
    if (!(value & ENABLED)) {
        timer_off(&s->expiry);
    } else if (!(old & ENABLED)) {
        start_over(s);
    }
}

/* ---- Memory: 80h and 86h to the reload register permit one write to a preload or the reload register (§16.6.4) ---- */

static bool take_permission(I6300esb *s)
{
    bool yes = s->unlock == UNLOCKED;
    s->unlock = NOT_UNLOCKED;
    return yes;
}

static void preload_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I6300esb *s = dev;
    if (take_permission(s)) {
        *(arg == 1 ? &s->preload1 : &s->preload2) = value & PRELOAD;
    }
}

static void reload_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I6300esb *s = dev;
    if ((value & 0xff) == UNLOCK_1) {
        s->unlock = HALF_UNLOCKED;
    } else if ((value & 0xff) == UNLOCK_2 && s->unlock == HALF_UNLOCKED) {
        s->unlock = UNLOCKED;
    } else if (take_permission(s)) {
        if (value & RELOAD && s->lock & ENABLED) {
            start_over(s);
        }
        if (value & TIMED_OUT) {
            s->timeout = 0;
        }
    }
}

static bool i6300esb_realize(void *dev, GError **error)
{
    I6300esb *s = dev;
    pci_bar(&s->pci, 0, PCI_BAR_MEM, device_region(&s->pci.dev, SPACE_MAIN, "i6300esb", 16));
    return true;
}

static void i6300esb_update(void *dev)
{
    I6300esb *s = dev;
    bool interrupt = s->interrupt_status & 1;
    unsigned kind = s->wdt_config & CONFIG_INTERRUPT;
    irq_set(&s->irq, interrupt && kind == INTERRUPT_IRQ);
    irq_set(&s->smi, interrupt && kind == INTERRUPT_SMI);
    irq_set(&s->tout, s->tout_low && !(s->wdt_config & CONFIG_NO_OUTPUT));
}

static const Row rows[] = {
    REG(I6300esb, wdt_config, 0x60, .space = SPACE_PCI_CONFIG, .rw = CONFIG_INTERRUPT | CONFIG_FAST | CONFIG_NO_OUTPUT,
        .bits = "INT0 INT1 PRE_SEL - - OUTPUT_OFF", .doc = "WDT configuration"),
    REG(I6300esb, lock, 0x68, .space = SPACE_PCI_CONFIG, .rw = LOCKED | ENABLED | FREE_RUNNING,
        LOCK(I6300esb, lock, LOCKED, 0), .on_write = lock_write, .bits = "LOCK ENABLE TOUT_CNF", .doc = "WDT lock"),
    CALC(preload1_reg, 4, 0x00, FROM(I6300esb, preload1), .on_write = preload_write, .arg = 1, .doc = "Preload value 1"),
    CALC(preload2_reg, 4, 0x04, FROM(I6300esb, preload2), .on_write = preload_write, .arg = 2, .doc = "Preload value 2"),
    REG(I6300esb, interrupt_status, 0x08, .w1c = 1, .bits = "INT_ACT", .doc = "General interrupt status"),
    CALC(reload, 2, 0x0c, FROM(I6300esb, timeout), .on_write = reload_write, .bits = "- - - - - - - - RELOAD TIMEOUT",
         .doc = "Reload"),
    STATE(I6300esb, preload1, .reset = PRELOAD, .max = PRELOAD),
    STATE(I6300esb, preload2, .reset = PRELOAD, .max = PRELOAD),
    STATE(I6300esb, unlock, .max = UNLOCKED),
    STATE(I6300esb, stage, .reset = 1, .max = 2),
    STATE(I6300esb, timeout, .keep = true, .max = TIMED_OUT),
    STATE(I6300esb, tout_low),
    TIMER(I6300esb, expiry, expired),
    PIN(I6300esb, irq, "Interrupt 10 of APIC 1, at the end of the first stage"),
    PIN(I6300esb, smi, "The same as SMI#"),
    PIN(I6300esb, tout, "WDT_TOUT#, true while it is low"),
    END,
};

const DeviceClass i6300esb_class = {
    .name = "i6300esb",
    .doc = "Watchdog timer of the Intel 6300ESB",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "watchdog",
    .hotpluggable = true,
    .size = sizeof(I6300esb),
    .rows = rows,
    .info = &(const PciInfo){0x8086, 0x25ab, .class_code = 0x088000},
    .realize = i6300esb_realize,
    .update = i6300esb_update,
};
