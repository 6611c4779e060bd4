/* Intel 82371SB ("PIIX3"), function 1: two IDE channels at the AT's ports, with bus-master DMA
 * (290550-002 §2.3, §2.6).
 *
 * The channels answer whether or not IDETIM enables them: programs that drive the ports without a
 * firmware's help exist, and no other device claims these ports. */
#include "hw/isa/isa.h"
#include "hw/pci/internal.h"
#include "hw/storage/ide.h"

enum { CHANNELS = 2 };

typedef struct Piix3Ide {
    PciDevice pci;
    uint16_t idetim[CHANNELS];
    uint8_t sidetim;
    BmDma bm0, bm1;
    Irq irq[CHANNELS];
    IdeBus *bus[CHANNELS];
} Piix3Ide;

#define CFG .space = SPACE_PCI_CONFIG
// clang-format off
static const Row piix3_ide_rows[] = {
    REGS(Piix3Ide, idetim, 0x40, CFG, .rw = 0xf3ff, .doc = "IDE timing of the channels"),
    REG(Piix3Ide, sidetim, 0x44, CFG, .rw = 0xff, .doc = "Slave IDE timing"),
    PART(Piix3Ide, bm0, bm_dma_class, .at = 0),
    PART(Piix3Ide, bm1, bm_dma_class, .at = 8),
    PINS(Piix3Ide, irq, "IRQ14 and IRQ15"),
    END
};
// clang-format on

static BmDma *engine(Piix3Ide *s, unsigned channel)
{
    return channel ? &s->bm1 : &s->bm0;
}

static void piix3_ide_kick(Device *dev, unsigned channel)
{
    bm_dma_run(engine((Piix3Ide *)dev, channel));
}

static bool piix3_ide_realize(void *dev, GError **error)
{
    static const uint16_t command_port[] = {0x1f0, 0x170}, control_port[] = {0x3f6, 0x376};
    Piix3Ide *s = dev;
    IsaBus *isa = isa_bus_find();
    pci_bar(&s->pci, 4, PCI_BAR_IO, device_region(dev, 0, "piix-bmdma", 16));
    for (unsigned i = 0; i < CHANNELS; i++) {
        g_autofree char *name = g_strdup_printf("ide.%u", i);
        s->bus[i] = ide_bus_new(dev, name, i, piix3_ide_kick);
        engine(s, i)->controller = dev;
        engine(s, i)->bus = s->bus[i];
        if (!s->pci.bus) {
            continue;
        }
        Region *io = pci_bus_io(s->pci.bus);
        region_map(io, device_region_io_opaque(dev, "ide-command", 8, &ide_command_ops, s->bus[i]),
                   command_port[i], 0);
        region_map(io, device_region_io_opaque(dev, "ide-control", 1, &ide_control_ops, s->bus[i]),
                   control_port[i], 0);
        if (isa) {
            isa_irq_from(isa, &s->irq[i], 14 + i);
        }
    }
    return true;
}

static void piix3_ide_unrealize(void *dev)
{
    Piix3Ide *s = dev;
    for (unsigned i = 0; i < CHANNELS; i++) {
        s->irq[i].set = NULL;
        ide_bus_free(g_steal_pointer(&s->bus[i]));
    }
}

/* INTRQ of a device changed; update() looks at all of them. */
static void piix3_ide_input(void *dev, unsigned channel, bool level) {}

static void piix3_ide_update(void *dev)
{
    Piix3Ide *s = dev;
    for (unsigned i = 0; i < CHANNELS; i++) {
        bool level = s->bus[i] && ide_bus_intrq(s->bus[i]);
        bm_dma_intrq(engine(s, i), level);
        irq_set(&s->irq[i], level);
    }
}

static bool piix3_ide_busy(const void *dev)
{
    const Piix3Ide *s = dev;
    return s->bm0.transfer || s->bm1.transfer;
}

const DeviceClass piix3_ide_class = {
    .name = "piix3-ide",
    .doc = "PIIX3 IDE controller",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "storage",
    .size = sizeof(Piix3Ide),
    .rows = piix3_ide_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x7010,
            .class_code = 0x010180,
            .status_reset = 0x0280,
        },
    .inputs = CHANNELS,
    .realize = piix3_ide_realize,
    .unrealize = piix3_ide_unrealize,
    .update = piix3_ide_update,
    .input = piix3_ide_input,
    .busy = piix3_ide_busy,
};

IdeBus *piix3_ide_bus(Device *piix3_ide, unsigned channel)
{
    return ((Piix3Ide *)piix3_ide)->bus[channel];
}
