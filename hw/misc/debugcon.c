/* A port that prints: what firmware and guests write there goes to a character back end.  Reading
 * tells that it is there. */
#include "char/char.h"
#include "hw/isa/isa.h"

typedef struct Debugcon {
    Device dev;
    uint32_t iobase, readback; /* properties */
    Char *chardev;             /* property */
} Debugcon;

static uint64_t port_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const Debugcon *)dev)->readback;
}

/* The guest cannot see whether there is room, so what a full back end does not take is lost. */
static void port_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    uint8_t byte = (uint8_t)value;
    char_write(((Debugcon *)dev)->chardev, &byte, 1);
}

static bool debugcon_realize(void *dev, GError **error)
{
    Debugcon *s = dev;
    if (s->iobase > 0xffff) {
        return error_fail(error,
                          "Property isa-debugcon.iobase must be a port below 0x10000, not 0x%x",
                          s->iobase);
    }
    isa_map(&s->dev, device_region(&s->dev, SPACE_MAIN, "isa-debugcon", 1), (uint16_t)s->iobase);
    return true;
}

static const Row rows[] = {
    PROP(Debugcon, iobase, "0xe9", "I/O port"),
    PROP(Debugcon, readback, "0xe9", "What reading the port yields"),
    CHARDEV(Debugcon, chardev, "Where the output goes"),
    CALC(port, 1, 0, .get = port_get, .on_write = port_write, .doc = "Output"),
    END,
};

const DeviceClass isa_debugcon_class = {
    .name = "isa-debugcon",
    .doc = "Port for debug output",
    .bus = "ISA",
    .category = "misc",
    .size = sizeof(Debugcon),
    .rows = rows,
    .realize = debugcon_realize,
};
