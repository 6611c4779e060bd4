/* Parallel port: the PC's printer adapter with the PS/2's bidirectional data register (IEEE 1284
 * compatibility mode).
 *
 * A byte goes to the printer when STROBE rises; nACK follows as soon as the back end took it.  The
 * acknowledge is an edge on the cable; here it is latched until the program reads status or sends
 * on, so that every byte makes one. */
#include "hw/char/parallel.h"

enum { CONTROL_STROBE = 1, CONTROL_NINIT = 4, CONTROL_IRQ = 0x10, CONTROL_INPUT = 0x20 };
enum {
    STATUS_ONES = 0x03,
    STATUS_NIRQ = 0x04,
    STATUS_NERROR = 0x08,
    STATUS_SELECT = 0x10,
    STATUS_NACK = 0x40,
    STATUS_NBUSY = 0x80
};
enum { RETRY_NS = NS_PER_MS };

static void print(Parallel *s)
{
    if (s->busy && char_write(s->chardev, &s->strobed, 1)) {
        s->busy = false;
        s->acked = true;
    }
    timer_at(&s->retry, s->busy ? now(&s->dev) + RETRY_NS : TIMER_OFF);
}

static void retry_due(void *dev, unsigned i)
{
    print(dev);
}

static void parallel_writable(void *dev)
{
    print(dev);
}

/* With the output drivers off and no peripheral that drives them, the lines float high. */
static uint64_t data_get(const void *dev, unsigned arg, unsigned i)
{
    const Parallel *s = dev;
    return s->control & CONTROL_INPUT ? 0xff : s->data;
}

static void data_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Parallel *s = dev;
    s->acked = false;
}

static uint64_t status(const void *dev, unsigned arg, unsigned i)
{
    const Parallel *s = dev;
    return STATUS_ONES | STATUS_NERROR | STATUS_SELECT | STATUS_NACK |
           (s->busy ? 0 : STATUS_NBUSY) |
           (s->acked && (s->control & CONTROL_IRQ) ? 0 : STATUS_NIRQ);
}

static void status_read(void *dev, unsigned arg, unsigned i)
{
    Parallel *s = dev;
    s->acked = false;
}

/* A strobe while the printer is busy or held in reset is not seen. */
static void control_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Parallel *s = dev;
    if (!(value & CONTROL_NINIT)) {
        s->busy = s->acked = false;
    } else if ((value & ~old & CONTROL_STROBE) && !s->busy) {
        s->strobed = s->data;
        s->busy = true;
        s->acked = false;
    }
    print(s);
}

static uint64_t control_get(const void *dev, unsigned arg, unsigned i)
{
    const Parallel *s = dev;
    return 0xc0 | s->control;
}

static void parallel_update(void *dev)
{
    Parallel *s = dev;
    irq_set(&s->irq, s->acked && (s->control & CONTROL_IRQ));
}

// clang-format off
static const Row rows[] = {
    CHARDEV(Parallel, chardev, "The printer"),
    REG(Parallel, data, 0, .rw = 0xff, .get = data_get, .on_write = data_write, .doc = "Data"),
    CALC(status, 1, 1, .ro = true, .get = status, .on_read = status_read,
         .bits = "- - nIRQ nERROR SELECT PE nACK nBUSY", .doc = "Status"),
    REG(Parallel, control, 2, .rw = 0x3f, .max = 0x3f, .reset = 0x0c, .get = control_get, .on_write = control_write,
        .bits = "STROBE AUTOFD nINIT SELIN IRQ INPUT", .doc = "Control"),
    STATE(Parallel, strobed),
    STATE(Parallel, busy),
    STATE(Parallel, acked),
    TIMER(Parallel, retry, retry_due),
    PIN(Parallel, irq, "INTR"),
    END
};
// clang-format on

const DeviceClass parallel_class = {
    .name = "parallel",
    .doc = "Parallel port",
    .category = "misc",
    .internal = true,
    .size = sizeof(Parallel),
    .rows = rows,
    .update = parallel_update,
    .writable = parallel_writable,
};
