/* The ISA bus: who is mapped where, and which devices pull which interrupt line. */
#include "hw/isa/isa.h"

/* One port range or one wire of a device. */
typedef struct IsaUse {
    Device *dev;
    Irq *pin;      /* NULL: a port range */
    uint16_t port; /* first port of it */
    uint8_t line;
} IsaUse;

static void isa_unplug(Bus *bus, Device *dev);
static char *isa_device_path(const Device *dev);
static void isa_print(const Device *dev, GString *out);

static const BusClass isa_bus_class = {
    .type = "ISA",
    .unplug = isa_unplug,
    .device_path = isa_device_path,
    .print = isa_print,
};

IsaBus *isa_bus_new(Device *parent, Region *io, Region *memory)
{
    IsaBus *isa = g_new0(IsaBus, 1);
    isa->io = io;
    isa->memory = memory;
    isa->bus = bus_new(&isa_bus_class, parent, bus_find("isa.0") ? NULL : "isa.0", isa);
    return isa;
}

void isa_bus_free(IsaBus *isa)
{
    if (isa) {
        g_slist_free_full(isa->uses, g_free);
        g_free(isa);
    }
}

IsaBus *isa_bus(const Device *dev)
{
    while (dev->whole) {
        dev = dev->whole;
    }
    return dev->bus && dev->bus->class == &isa_bus_class ? dev->bus->impl : NULL;
}

IsaBus *isa_bus_find(void)
{
    Bus *bus = bus_find_type("ISA");
    return bus ? bus->impl : NULL;
}

static IsaUse *isa_use(IsaBus *isa, Device *dev)
{
    IsaUse *use = g_new0(IsaUse, 1);
    use->dev = dev;
    isa->uses = g_slist_append(isa->uses, use);
    return use;
}

void isa_map(Device *dev, Region *r, uint16_t port)
{
    IsaBus *isa = isa_bus(dev);
    if (isa) {
        isa_use(isa, dev)->port = port;
        region_map(isa->io, r, port, 0);
    }
}

void isa_map_memory(Device *dev, Region *r, uint32_t address)
{
    IsaBus *isa = isa_bus(dev);
    if (isa) {
        region_map(isa->memory, r, address, 0);
    }
}

/* A pin tells only of changes, so the number of high ones is kept by counting. */
static void isa_line_set(void *sink, unsigned line, bool level)
{
    IsaBus *isa = sink;
    isa->high[line] = (uint16_t)(isa->high[line] + (level ? 1 : -1));
    irq_set(&isa->irq[line], isa->high[line] != 0);
}

void isa_irq(Device *dev, Irq *pin, unsigned line)
{
    g_assert(line < ISA_IRQS);
    IsaBus *isa = isa_bus(dev);
    if (isa) {
        IsaUse *use = isa_use(isa, dev);
        use->pin = pin;
        use->line = (uint8_t)line;
        irq_connect(pin, isa_line_set, isa, line);
    }
}

void isa_irq_from(IsaBus *isa, Irq *pin, unsigned line)
{
    g_assert(line < ISA_IRQS);
    irq_connect(pin, isa_line_set, isa, line);
}

bool isa_irq_checked(Device *dev, Irq *pin, unsigned line, GError **error)
{
    if (line >= ISA_IRQS) {
        return error_fail(error, "Property %s.irq is %u; the ISA bus has lines 0 to %u",
                          dev->class->name, line, ISA_IRQS - 1);
    }
    isa_irq(dev, pin, line);
    return true;
}

unsigned isa_siblings(const Device *dev)
{
    unsigned n = 0;
    for (guint i = 0; dev->bus && i < dev->bus->devices->len; i++) {
        const Device *other = dev->bus->devices->pdata[i];
        n += other != dev && other->class == dev->class;
    }
    return n;
}

static bool belongs(const Device *dev, const Device *part)
{
    while (part != dev && part->whole) {
        part = part->whole;
    }
    return part == dev;
}

static void isa_unplug(Bus *bus, Device *dev)
{
    IsaBus *isa = bus->impl;
    for (GSList *l = isa->uses, *next; l; l = next) {
        IsaUse *use = l->data;
        next = l->next;
        if (!belongs(dev, use->dev)) {
            continue;
        }
        if (use->pin) {
            irq_set(use->pin, false);
            use->pin->set = NULL;
        }
        isa->uses = g_slist_delete_link(isa->uses, l);
        g_free(use);
    }
}

/* "fdc@03f0": IEEE 1275 ISA binding, node name and first port. */
static char *isa_device_path(const Device *dev)
{
    const IsaBus *isa = dev->bus->impl;
    const IsaInfo *info = dev->class->info;
    const char *name = info && info->fw_name ? info->fw_name : dev->class->name;
    for (GSList *l = isa->uses; l; l = l->next) {
        const IsaUse *use = l->data;
        if (!use->pin && belongs(dev, use->dev)) {
            return g_strdup_printf("%s@%04x", name, use->port);
        }
    }
    return g_strdup(name);
}

static void isa_print(const Device *dev, GString *out)
{
    const IsaBus *isa = dev->bus->impl;
    for (GSList *l = isa->uses; l; l = l->next) {
        const IsaUse *use = l->data;
        if (use->pin && belongs(dev, use->dev)) {
            g_string_append_printf(out, "isa irq %u\n", use->line);
        }
    }
}
