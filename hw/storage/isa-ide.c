/* An ATA channel of the ISA bus: the cable behind eight command ports and one control port (ATA-1, as the AT had it). */
#include "hw/isa/isa.h"
#include "hw/storage/ide.h"

enum { COMMAND_PORTS = 8 };

typedef struct IsaIde {
    Device dev;
    uint32_t iobase, iobase2, irq;      /* properties */
    Irq intrq;
    IdeBus *bus;
} IsaIde;

/* Nobody moves data but the processor: a device that waits for a DMA engine goes on waiting. */
static void no_engine(Device *dev, unsigned channel) {}

static bool isa_ide_realize(void *dev, GError **error)
{
    IsaIde *s = dev;
    if (s->iobase > 0x10000 - COMMAND_PORTS || s->iobase2 > 0xffff) {
        return error_fail(error, "Property isa-ide.iobase must lie below 0xfff9, iobase2 below 0x10000");
    }
    if (!isa_irq_checked(&s->dev, &s->intrq, s->irq, error)) {
        return false;
    }
    g_autofree char *name = g_strdup_printf("ide.%u", isa_siblings(&s->dev));
    s->bus = ide_bus_new(dev, name, 0, no_engine);
    isa_map(dev, device_region_io_opaque(dev, "ide-command", COMMAND_PORTS, &ide_command_ops, s->bus), (uint16_t)s->iobase);
    isa_map(dev, device_region_io_opaque(dev, "ide-control", 1, &ide_control_ops, s->bus), (uint16_t)s->iobase2);
    return true;
}

static void isa_ide_unrealize(void *dev)
{
    ide_bus_free(g_steal_pointer(&((IsaIde *)dev)->bus));
}

/* INTRQ of a drive changed; update() looks at it. */
static void isa_ide_input(void *dev, unsigned line, bool level) {}

static void isa_ide_update(void *dev)
{
    IsaIde *s = dev;
    irq_set(&s->intrq, s->bus && ide_bus_intrq(s->bus));
}

static const Row rows[] = {
    PROP(IsaIde, iobase, "0x1f0", "First of the eight command ports"),
    PROP(IsaIde, iobase2, "0x3f6", "The control port"),
    PROP(IsaIde, irq, "14", "Interrupt line"),
    PIN(IsaIde, intrq, "INTRQ"),
    END,
};

const DeviceClass isa_ide_class = {
    .name = "isa-ide",
    .doc = "IDE channel on the ISA bus",
    .bus = "ISA",
    .category = "storage",
    .size = sizeof(IsaIde),
    .rows = rows,
    .info = &(const IsaInfo){.fw_name = "ide"},
    .inputs = 1,
    .realize = isa_ide_realize,
    .unrealize = isa_ide_unrealize,
    .update = isa_ide_update,
    .input = isa_ide_input,
};
