/* Port 92h, "system control port A" of the PS/2, as in the 82371SB: a quick way to A20 and to a
 * reset.
 *
 * Whether A20 reaches memory is for the board to say: it combines this pin with the keyboard
 * controller's. */
#include "hw/device.h"

enum { FAST_RESET = 0x01, FAST_A20 = 0x02 };
enum { RESET_NS = 10000 }; /* the pulse; the machine resets long before it ends */

typedef struct Port92 {
    Device dev;
    uint8_t control;
    Timer pulse; /* pending: the reset pin is high */
    Irq a20, reset;
} Port92;

/* Bit 0 acts when it goes from 0 to 1. */
static void control_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Port92 *s = dev;
    if (value & ~old & FAST_RESET) {
        timer_at(&s->pulse, now(&s->dev) + RESET_NS);
    }
}

static void pulse_over(void *dev, unsigned i) {}

// clang-format off
static const Row rows[] = {
    REG(Port92, control, 0, .rw = 0xff, .on_write = control_write, .bits = "RESET A20", .doc = "System control port A"),
    TIMER(Port92, pulse, pulse_over, .doc = "End of the reset pulse"),
    PIN(Port92, a20, "A20 wanted"),
    PIN(Port92, reset, "Reset of the machine"),
    END
};
// clang-format on

static void port92_update(void *dev)
{
    Port92 *s = dev;
    irq_set(&s->a20, s->control & FAST_A20);
    irq_set(&s->reset, timer_pending(&s->pulse));
}

const DeviceClass port92_class = {
    .name = "port92",
    .doc = "Fast A20 and reset",
    .category = "misc",
    .internal = true,
    .size = sizeof(Port92),
    .rows = rows,
    .update = port92_update,
};
