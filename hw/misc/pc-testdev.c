/* pc-testdev: what CPU test suites (kvm-unit-tests and kin) want of a machine. A scratch register in port
 * space, scratch memory that is no RAM, and a port for each interrupt line that sets its level. */
#include "hw/isa/isa.h"

enum {
    SCRATCH_PORT = 0xe0,
    FLUSH_PORT = 0xe4, /* accepted: that a page of the hypervisor goes away is nothing a guest can see here */
    LINE_PORT = 0x2000,
    WINDOW_ADDRESS = 0xff000000,
    WINDOW_SIZE = 0x10000,
};

typedef struct PcTestdev {
    Device dev;
    uint32_t scratch;
    uint16_t lines; /* bit n: line n is high */
    Irq irq[ISA_IRQS];
    uint64_t window[WINDOW_SIZE / 8];
} PcTestdev;

static uint64_t nothing_read(void *dev, uint64_t at, unsigned size)
{
    return 0;
}

static void nothing_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
}

static void line_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    PcTestdev *s = dev;
    s->lines = (uint16_t)((s->lines & ~(1u << at)) | (unsigned)!!value << at);
}

static uint64_t window_read(void *dev, uint64_t at, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, (uint8_t *)((PcTestdev *)dev)->window + at, size);
    return value;
}

static void window_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    memcpy((uint8_t *)((PcTestdev *)dev)->window + at, &value, size);
}

static const IoOps flush_ops = {.read = nothing_read, .write = nothing_write, .min = 1, .max = 4};
static const IoOps line_ops = {.read = nothing_read, .write = line_write, .min = 1, .max = 1};
static const IoOps window_ops = {.read = window_read, .write = window_write, .min = 1, .max = 8};

static void testdev_update(void *dev)
{
    PcTestdev *s = dev;
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        irq_set(&s->irq[i], s->lines >> i & 1);
    }
}

static bool testdev_realize(void *dev, GError **error)
{
    PcTestdev *s = dev;
    isa_map(&s->dev, device_region(&s->dev, SPACE_MAIN, "pc-testdev-scratch", 4), SCRATCH_PORT);
    isa_map(&s->dev, device_region_io(&s->dev, "pc-testdev-flush", 4, &flush_ops), FLUSH_PORT);
    isa_map(&s->dev, device_region_io(&s->dev, "pc-testdev-lines", ISA_IRQS, &line_ops), LINE_PORT);
    isa_map_memory(&s->dev, device_region_io(&s->dev, "pc-testdev-window", WINDOW_SIZE, &window_ops),
                   WINDOW_ADDRESS);
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        isa_irq(&s->dev, &s->irq[i], i);
    }
    return true;
}

static const Row rows[] = {
    REG(PcTestdev, scratch, 0, .rw = UINT32_MAX, .doc = "Reads back what was written"),
    STATE(PcTestdev, lines, .doc = "Levels of the interrupt lines"),
    STATES(PcTestdev, window),
    PINS(PcTestdev, irq, "Interrupt lines of the board"),
    END,
};

const DeviceClass pc_testdev_class = {
    .name = "pc-testdev",
    .doc = "Ports and memory for CPU test suites",
    .bus = "ISA",
    .category = "misc",
    .size = sizeof(PcTestdev),
    .rows = rows,
    .realize = testdev_realize,
    .update = testdev_update,
};
