/* pvpanic: one port by which a guest's kernel tells that it panicked, started its crash kernel, or
 * wants to go off. Firmware finds the port in fw_cfg's "etc/pvpanic-port". */
#include "core/runstate.h"
#include "hw/firmware/fw-cfg.h"
#include "hw/isa/isa.h"

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

static void events_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Pvpanic *s = dev;
    if (value & ~(uint64_t)s->events) {
        guest_error(&s->dev, "unknown event %02x", (unsigned)value);
    }
    value &= s->events;
    if (value & PANICKED) {
        machine_guest_panicked();
    } else if (value & CRASH_LOADED) {
        machine_guest_crashloaded();
    } else if (value & SHUTDOWN) {
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    }
}

static bool pvpanic_realize(void *dev, GError **error)
{
    Pvpanic *s = dev;
    FwCfg *fw = fw_cfg_find();
    if (s->events & ~(PANICKED | CRASH_LOADED | SHUTDOWN)) {
        return error_fail(error, "Property pvpanic.events is %u; 0 to 7 are accepted", s->events);
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
