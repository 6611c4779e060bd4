/* The PC's floppy controller: an 82078 on the ISA bus, its DMA channel, and the cable to two
 * drives. */
#include "hw/isa/i8237.h"
#include "hw/isa/isa.h"
#include "hw/storage/i82078.h"
#include "hw/storage/isa-fdc.h"

typedef struct IsaFdc {
    Device dev;
    Fdc fdc;
    uint32_t iobase, irq, dma;    /* properties */
    Drive *drive_a, *drive_b;     /* properties: drives that come with the controller */
    int type_a, type_b, fallback; /* properties, FloppyType */
    Device *controller;           /* the 8237; NULL: none */
    Region *ports, *low,
        *high; /* the eight ports, and their two parts around the disk controller's 3f6h */
    Bus *cable;
} IsaFdc;

/* DACK.  The chip holds one sector at a time; the next is often there at once. */
static size_t dma_transfer(void *opaque, Device *dma, unsigned chan, size_t len)
{
    IsaFdc *s = opaque;
    uint8_t *bytes;
    bool to_host;
    size_t done = 0;
    for (size_t n; done < len && (n = fdc_window(&s->fdc, &bytes, &to_host)); done += n) {
        n = MIN(n, len - done);
        if (to_host) {
            i8237_write_memory(dma, chan, bytes, done, n);
        } else {
            i8237_read_memory(dma, chan, bytes, done, n);
        }
        fdc_moved(&s->fdc, n, done + n == len);
    }
    device_settle(&s->dev);
    return done;
}

static void drq_set(void *sink, unsigned line, bool level)
{
    IsaFdc *s = sink;
    if (s->controller) {
        i8237_hold(s->controller, line, level);
    }
}

static bool attach_dma(IsaFdc *s, GError **error)
{
    IsaBus *isa = isa_bus(&s->dev);
    if (s->dma > 3) {
        return error_fail(error, "Property isa-fdc.dma is %u; the 8-bit channels are 0 to 3",
                          s->dma);
    }
    s->controller = isa ? isa->dma[0] : NULL;
    if (s->controller && !i8237_attach(s->controller, s->dma, dma_transfer, s)) {
        s->controller = NULL;
        return error_fail(error, "DMA channel %u, which isa-fdc.dma asks for, is in use", s->dma);
    }
    irq_connect(&s->fdc.drq, drq_set, s, s->dma);
    return true;
}

static bool add_drive(IsaFdc *s, unsigned unit, int type, Drive *backend, GError **error)
{
    Floppy *f = device_new(&floppy_class, NULL);
    f->unit = unit;
    f->type = type;
    f->drive = backend;
    if (!device_realize(&f->dev, s->cable, error)) {
        device_free(&f->dev);
        return false;
    }
    return true;
}

bool isa_fdc_add_drive(Device *isa_fdc, unsigned unit, Drive *backend, GError **error)
{
    IsaFdc *s = (IsaFdc *)isa_fdc;
    return !backend || add_drive(s, unit, unit ? s->type_b : s->type_a, backend, error);
}

uint8_t isa_fdc_cmos_types(const Device *isa_fdc)
{
    const FloppyBus *cable = &((const IsaFdc *)isa_fdc)->fdc.cable;
    return (uint8_t)(floppy_cmos_type(cable->unit[0]) << 4 | floppy_cmos_type(cable->unit[1]));
}

static void isa_fdc_unrealize(void *dev)
{
    IsaFdc *s = dev;
    if (s->controller) {
        i8237_attach(s->controller, s->dma, NULL, NULL);
    }
    g_clear_pointer(&s->low, region_free);
    g_clear_pointer(&s->high, region_free);
}

static bool isa_fdc_realize(void *dev, GError **error)
{
    IsaFdc *s = dev;
    if (s->iobase > 0x10000 - FDC_PORTS) {
        return error_fail(error, "Property isa-fdc.iobase must lie below 0xfff9, not at 0x%x",
                          s->iobase);
    }
    if (s->fallback >= FLOPPY_NONE) {
        return error_fail(error, "Property isa-fdc.fallback takes 144, 288 or 120");
    }
    if (!isa_irq_checked(&s->dev, &s->fdc.irq, s->irq, error) || !attach_dma(s, error)) {
        return false;
    }
    s->fdc.cable.fallback = s->fallback;
    s->cable = floppy_bus_new(&s->dev, &s->fdc.cable);
    s->ports = device_region(&s->dev, SPACE_MAIN, "fdc", FDC_PORTS);
    s->low = region_alias("fdc-low", s->ports, 0, 6);
    s->high = region_alias("fdc-high", s->ports, 7, 1);
    isa_map(&s->dev, s->low, (uint16_t)s->iobase);
    isa_map(&s->dev, s->high, (uint16_t)(s->iobase + 7));
    if ((s->drive_a && !add_drive(s, 0, s->type_a, s->drive_a, error)) ||
        (s->drive_b && !add_drive(s, 1, s->type_b, s->drive_b, error))) {
        isa_fdc_unrealize(s);
        return false;
    }
    return true;
}

static const Row rows[] = {
    PROP(IsaFdc, iobase, "0x3f0", "First I/O port"),
    PROP(IsaFdc, irq, "6", "Interrupt line"),
    PROP(IsaFdc, dma, "2", "DMA channel"),
    PROP_AS(IsaFdc, drive_a, "driveA", NULL, "Back end of a drive A that comes with it"),
    PROP_AS(IsaFdc, drive_b, "driveB", NULL, "Back end of a drive B that comes with it"),
    PROP_AS(IsaFdc, type_a, "fdtypeA", "auto", "What kind of drive A is", .type = TYPE_ENUM,
            .names = floppy_type_names),
    PROP_AS(IsaFdc, type_b, "fdtypeB", "auto", "What kind of drive B is", .type = TYPE_ENUM,
            .names = floppy_type_names),
    PROP(IsaFdc, fallback, "288", "Kind of an auto drive that starts empty", .type = TYPE_ENUM,
         .names = floppy_type_names),
    PART(IsaFdc, fdc, i82078_class),
    END,
};

const DeviceClass isa_fdc_class = {
    .name = "isa-fdc",
    .doc = "Floppy disk controller of the PC (82078)",
    .bus = "ISA",
    .category = "storage",
    .size = sizeof(IsaFdc),
    .rows = rows,
    .info = &(const IsaInfo){.fw_name = "fdc"},
    .realize = isa_fdc_realize,
    .unrealize = isa_fdc_unrealize,
};
