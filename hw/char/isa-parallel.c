/* A parallel port of the PC at one of the three customary places of the ISA bus. */
#include "hw/char/parallel.h"
#include "hw/isa/isa.h"

enum { ANY = UINT32_MAX };

typedef struct IsaParallel {
    Device dev;
    Parallel port;
    uint32_t index, iobase, irq; /* properties; ANY: what is customary */
} IsaParallel;

static const struct {
    uint16_t port;
    uint8_t irq;
} customary[] = {{0x378, 7}, {0x278, 7}, {0x3bc, 7}};

static bool isa_parallel_realize(void *dev, GError **error)
{
    IsaParallel *s = dev;
    uint32_t index = s->index == ANY ? isa_siblings(&s->dev) : s->index;
    if (index >= G_N_ELEMENTS(customary)) {
        return error_fail(error, "The ISA bus takes %zu parallel ports, with index=0 to %zu",
                          G_N_ELEMENTS(customary), G_N_ELEMENTS(customary) - 1);
    }
    s->index = index;
    s->iobase = s->iobase == ANY ? customary[index].port : s->iobase;
    s->irq = s->irq == ANY ? customary[index].irq : s->irq;
    if (s->iobase > 0x10000 - PARALLEL_PORTS) {
        return error_fail(error, "Property isa-parallel.iobase must lie below 0xfffe, not at 0x%x",
                          s->iobase);
    }
    if (!isa_irq_checked(&s->dev, &s->port.irq, s->irq, error)) {
        return false;
    }
    isa_map(&s->dev, device_region(&s->dev, SPACE_MAIN, "parallel", PARALLEL_PORTS),
            (uint16_t)s->iobase);
    return true;
}

static const Row rows[] = {
    PROP(IsaParallel, index, "4294967295", "0 to 2: LPT1 to LPT3; default: the next one"),
    PROP(IsaParallel, iobase, "4294967295", "First I/O port; default: by index"),
    PROP(IsaParallel, irq, "4294967295", "Interrupt line; default: by index"),
    PART(IsaParallel, port, parallel_class),
    END,
};

const DeviceClass isa_parallel_class = {
    .name = "isa-parallel",
    .doc = "Parallel port of the PC",
    .bus = "ISA",
    .category = "misc",
    .size = sizeof(IsaParallel),
    .rows = rows,
    .info = &(const IsaInfo){.fw_name = "parallel"},
    .realize = isa_parallel_realize,
};
