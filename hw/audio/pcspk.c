/* Port 61h, "NMI status and control" of the 82371SB (§2.6.2), which on the AT was an 8255: gate of
 * timer 2, speaker, enables and status of the two sources of NMI, and two signals for software that
 * measures time.
 *
 * Input line 0 is IOCHK# (true: asserted), line 1 SERR#; pin "nmi" is level, pin "gate2" leads to
 * the timer. */
#include "hw/audio/pcspk.h"

#include "hw/timer/i8254.h"

enum {
    GATE2 = 0x01,
    SPEAKER = 0x02,
    SERR_OFF = 0x04, /* disables and clears */
    IOCHK_OFF = 0x08,
    REFRESH = 0x10, /* toggles with each refresh request */
    OUT2 = 0x20,
    IOCHK_STATUS = 0x40,
    SERR_STATUS = 0x80,
};
enum { IOCHK_LINE, SERR_LINE, TIMER_2 = 2 };
/* The AT refreshes a row each 18 CLKs of the timer. */
enum { REFRESH_CLKS = 18 };

typedef struct Pcspk {
    Device dev;
    uint8_t control;
    bool iochk, serr; /* latched */
    Device *pit;
    Irq gate2, nmi;
} Pcspk;

void pcspk_wire(Device *spk, Device *pit)
{
    Pcspk *s = (Pcspk *)spk;
    s->pit = pit;
    device_connect(&s->gate2, pit, TIMER_2);
}

uint64_t pcspk_tone_mhz(const Device *spk)
{
    const Pcspk *s = (const Pcspk *)spk;
    return s->pit && s->control & SPEAKER ? i8254_tone_mhz(s->pit, TIMER_2) : 0;
}

static uint64_t port_get(const void *dev, unsigned arg, unsigned i)
{
    const Pcspk *s = dev;
    bool refresh = muldiv64(now(&s->dev), PIT_HZ, NS_PER_SECOND) / REFRESH_CLKS & 1;
    return s->control | (refresh ? REFRESH : 0) |
           (s->pit && i8254_out(s->pit, TIMER_2) ? OUT2 : 0) | (s->iochk ? IOCHK_STATUS : 0) |
           (s->serr ? SERR_STATUS : 0);
}

static void control_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Pcspk *s = dev;
    s->iochk &= !(value & IOCHK_OFF);
    s->serr &= !(value & SERR_OFF);
}

// clang-format off
static const Row rows[] = {
    CALC(port61, 1, 0, .ro = true, .get = port_get, .bits = "GATE2 SPKR SERR# IOCHK# REFRESH OUT2 IOCHK SERR",
         .doc = "NMI status and control"),
    REG(Pcspk, control, 0, .wo = true, .rw = 0x0f, .max = 0x0f, .on_write = control_write,
        .bits = "GATE2 SPKR SERR# IOCHK#", .doc = "Enables"),
    STATE(Pcspk, iochk, .doc = "IOCHK# was seen"),
    STATE(Pcspk, serr, .doc = "SERR# was seen"),
    DERIVED(Pcspk, pit),
    PIN(Pcspk, gate2, "GATE of timer 2"),
    PIN(Pcspk, nmi, "NMI"),
    END
};
// clang-format on

static void pcspk_input(void *dev, unsigned line, bool level)
{
    Pcspk *s = dev;
    if (level && line == IOCHK_LINE) {
        s->iochk = !(s->control & IOCHK_OFF);
    } else if (level && line == SERR_LINE) {
        s->serr = !(s->control & SERR_OFF);
    }
}

static void pcspk_update(void *dev)
{
    Pcspk *s = dev;
    irq_set(&s->gate2, s->control & GATE2);
    irq_set(&s->nmi, s->iochk || s->serr);
}

const DeviceClass isa_pcspk_class = {
    .name = "isa-pcspk",
    .doc = "Speaker and port 61h",
    .category = "sound",
    .internal = true,
    .size = sizeof(Pcspk),
    .rows = rows,
    .inputs = 2,
    .input = pcspk_input,
    .update = pcspk_update,
};
