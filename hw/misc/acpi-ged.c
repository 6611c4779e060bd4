#include "hw/misc/acpi-ged.h"

#include "core/runstate.h"
#include "hw/pci/acpi-pm.h"

enum { SPACE_EVENTS, SPACE_SLEEP, SPACE_TIMER };

typedef struct AcpiGed {
    Device dev;
    uint32_t events;                    /* due, and not yet read                                             */
    Irq irq;
} AcpiGed;

/* The machine has one of these at most; the listener stays for good. */
static AcpiGed *the_ged;

static void power_button(void *arg)
{
    if (the_ged) {
        the_ged->events |= GED_POWER_BUTTON;
        device_settle(&the_ged->dev);
    }
}

/* The event method reads what is due, and that is its acknowledgement. */
static void events_read(void *dev, unsigned arg, unsigned i)
{
    ((AcpiGed *)dev)->events = 0;
}

/* §4.8.3.7: SLP_TYP counts when SLP_EN is written with it.  The DSDT has only \_S5. */
static void sleep_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AcpiGed *s = dev;
    unsigned type = value >> GED_SLP_TYP_SHIFT & 7;
    if (!(value & GED_SLP_EN)) {
        return;
    }
    if (type == GED_S5) {
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    } else {
        guest_error(&s->dev, "sleep type %u, expected: %u", type, GED_S5);
    }
}

static void reset_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    if (value == GED_RESET_VALUE) {
        machine_request_reset(CAUSE_GUEST_RESET);
    }
}

static uint64_t timer_get(const void *dev, unsigned arg, unsigned i)
{
    return acpi_timer_ticks(dev) & ((1u << ACPI_TIMER_BITS) - 1);
}

static void ged_update(void *dev)
{
    AcpiGed *s = dev;
    irq_set(&s->irq, s->events != 0);
}

Region *acpi_ged_events(Device *ged)
{
    return device_region(ged, SPACE_EVENTS, "acpi-ged", GED_EVENTS_SIZE);
}

Region *acpi_ged_registers(Device *ged)
{
    return device_region(ged, SPACE_SLEEP, "acpi-ged-regs", GED_REGS_SIZE);
}

Region *acpi_ged_timer(Device *ged)
{
    return device_region(ged, SPACE_TIMER, "acpi-tmr", GED_TIMER_SIZE);
}

static bool ged_realize(void *dev, GError **error)
{
    static const RunListener listener = {.powerdown = power_button};
    static bool listening;
    the_ged = dev;
    if (!listening) {
        runstate_listen(&listener);
        listening = true;
    }
    return true;
}

static void ged_unrealize(void *dev)
{
    if (the_ged == dev) {
        the_ged = NULL;
    }
}

static const Row rows[] = {
    REG(AcpiGed, events, 0, .on_read = events_read, .max = GED_POWER_BUTTON, .doc = "Events that are due"),
    CALC(sleep_control, 1, GED_SLEEP_CONTROL, .space = SPACE_SLEEP, .wo = true, .on_write = sleep_write,
         .doc = "SLP_TYP and SLP_EN"),
    CALC(sleep_status, 1, GED_SLEEP_STATUS, .space = SPACE_SLEEP, .ro = true, .is = 0, .doc = "WAK_STS: never slept"),
    CALC(reset, 1, GED_RESET, .space = SPACE_SLEEP, .wo = true, .on_write = reset_write, .doc = "42h resets the machine"),
    CALC(pm_tmr, 4, 0, .space = SPACE_TIMER, .ro = true, .get = timer_get, .doc = "PM timer, 24 bits at 3.58 MHz"),
    PIN(AcpiGed, irq, "Interrupt"),
    END,
};

const DeviceClass acpi_ged_class = {
    .name = "acpi-ged-x86",
    .doc = "Generic event device of hardware-reduced ACPI",
    .internal = true,
    .size = sizeof(AcpiGed),
    .rows = rows,
    .realize = ged_realize,
    .unrealize = ged_unrealize,
    .update = ged_update,
};
