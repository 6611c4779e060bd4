/* pvpanic: one port by which a guest's kernel tells that it panicked, started its crash kernel, or
 * wants to go off. Firmware finds the port in fw_cfg's "etc/pvpanic-port"; pvpanic-pci has the same
 * register at the start of its first BAR. */
#include "core/runstate.h"
#include "hw/firmware/fw-cfg.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

enum { PANICKED = 1, CRASH_LOADED = 2, SHUTDOWN = 4 };

typedef struct Pvpanic {
    Device dev;
    uint16_t ioport; /* property */
    uint8_t events;  /* property: what is supported */
} Pvpanic;

static uint64_t events_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const Pvpanic *)dev)->events;
}

static void tell(const Device *dev, uint8_t events, uint64_t value)
{
    if (value & ~(uint64_t)events) {
        guest_error(dev, "unknown event %02x", (unsigned)value);
    }
    value &= events;
    if (value & PANICKED) {
        machine_guest_panicked();
    } else if (value & CRASH_LOADED) {
        machine_guest_crashloaded();
    } else if (value & SHUTDOWN) {
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    }
}

static void events_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Pvpanic *s = dev;
    tell(&s->dev, s->events, value);
}

static bool check_events(const char *name, uint8_t events, GError **error)
{
    return !(events & ~(PANICKED | CRASH_LOADED | SHUTDOWN)) ||
           error_fail(error, "Property %s.events is %u; 0 to 7 are accepted", name, events);
}

static bool pvpanic_realize(void *dev, GError **error)
{
    Pvpanic *s = dev;
    FwCfg *fw = fw_cfg_find();
    if (!check_events("pvpanic", s->events, error)) {
        return false;
    }
    if (fw && !fw_cfg_add_file(fw, "etc/pvpanic-port", &s->ioport, sizeof(s->ioport), error)) {
        return false;
    }
    isa_map(&s->dev, device_region(&s->dev, SPACE_MAIN, "pvpanic", 1), s->ioport);
    return true;
}

static const Row rows[] = {
    PROP(Pvpanic, ioport, "0x505", "I/O port"),
    PROP(Pvpanic, events, "3", "Events told to the guest as supported"),
    CALC(event, 1, 0, .get = events_get, .on_write = events_write,
         .bits = "PANICKED CRASH_LOADED SHUTDOWN", .doc = "Event"),
    END,
};

const DeviceClass pvpanic_class = {
    .name = "pvpanic",
    .doc = "Port that tells of a guest's panic",
    .bus = "ISA",
    .category = "misc",
    .size = sizeof(Pvpanic),
    .rows = rows,
    .realize = pvpanic_realize,
};

/* ---- The same on PCI ---- */

typedef struct PvpanicPci {
    PciDevice pci;
    uint8_t events; /* property */
} PvpanicPci;

static uint64_t pci_events_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const PvpanicPci *)dev)->events;
}

static void pci_events_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    PvpanicPci *s = dev;
    tell(&s->pci.dev, s->events, value);
}

static bool pvpanic_pci_realize(void *dev, GError **error)
{
    PvpanicPci *s = dev;
    if (!check_events("pvpanic-pci", s->events, error)) {
        return false;
    }
    pci_bar(&s->pci, 0, PCI_BAR_MEM, device_region(&s->pci.dev, SPACE_MAIN, "pvpanic-pci", 16));
    return true;
}

static const Row pci_rows[] = {
    PROP(PvpanicPci, events, "3", "Events told to the guest as supported"),
    CALC(event, 1, 0, .get = pci_events_get, .on_write = pci_events_write,
         .bits = "PANICKED CRASH_LOADED SHUTDOWN", .doc = "Event"),
    END,
};

const DeviceClass pvpanic_pci_class = {
    .name = "pvpanic-pci",
    .doc = "PCI device that tells of a guest's panic",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "misc",
    .size = sizeof(PvpanicPci),
    .rows = pci_rows,
    .info = &(const PciInfo){0x1b36, 0x0011, .revision = 1, .class_code = 0x088000},
    .realize = pvpanic_pci_realize,
};
