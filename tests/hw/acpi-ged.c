/* The generic event device, the sleep and reset registers and the timer of hardware-reduced ACPI (ACPI 6.4 §4.8.3.3, §4.8.3.6,
 * §4.8.3.7, §5.6.9), as acpi-ged.h lays them out. */
#include "hw/misc/acpi-ged.h"

#include "core/runstate.h"
#include "hw/pci/acpi-pm.h"
#include "tests/hw/bench.h"

extern const DeviceClass acpi_ged_class;
enum { EVENTS = 0x30000000, SLEEP = 0x30000200, TIMER_PORT = 0x608 };

static Device *ged;
static Probe *irq;

static void setup(void)
{
    ged = bench_device(&acpi_ged_class, "");
    irq = bench_probe(ged, "irq", 0);
    region_map(space_root(space_memory()), acpi_ged_events(ged), EVENTS, 0);
    region_map(space_root(space_memory()), acpi_ged_registers(ged), SLEEP, 0);
    region_map(space_root(space_io()), acpi_ged_timer(ged), TIMER_PORT, 0);
    mem_commit();
}

static uint32_t peek(uint64_t at, unsigned size)
{
    return (uint32_t)space_load(space_memory(), at, size);
}

static void poke(unsigned reg, unsigned value)
{
    space_store(space_memory(), SLEEP + reg, 1, value);
}

/* Whether the program would go on, all requests carried out. */
static bool goes_on(void)
{
    int code = -1;
    return runstate_poll(&code);
}

/* The event method reads the register, and the line falls. */
START_TEST(power_button)
{
    setup();
    ck_assert_uint_eq(peek(EVENTS, 4), 0);
    machine_request_powerdown();
    ck_assert(goes_on());
    ck_assert(irq->level);
    machine_request_powerdown();
    ck_assert(goes_on());
    ck_assert_uint_eq(irq->rises, 1);
    space_store(space_memory(), EVENTS, 4, UINT32_MAX);
    ck_assert_msg(irq->level, "not by writing");
    ck_assert_uint_eq(peek(EVENTS, 4), GED_POWER_BUTTON);
    ck_assert(!irq->level);
    ck_assert_uint_eq(peek(EVENTS, 4), 0);
    machine_request_powerdown();
    ck_assert(goes_on());
    device_reset(ged, false);
    ck_assert_msg(!irq->level && peek(EVENTS, 4) == 0, "a reset forgets it");
}
END_TEST

/* §4.8.3.7: SLP_TYP from bit 2, SLP_EN bit 5; of the types there is \_S5. */
START_TEST(sleep_)
{
    setup();
    ck_assert_uint_eq(peek(SLEEP + GED_SLEEP_CONTROL, 1), 0);
    ck_assert_uint_eq(peek(SLEEP + GED_SLEEP_STATUS, 1), 0);
    poke(GED_SLEEP_CONTROL, GED_S5 << GED_SLP_TYP_SHIFT); /* without SLP_EN */
    ck_assert(goes_on());
    for (unsigned type = 0; type < 8; type++) {
        poke(GED_SLEEP_CONTROL, type << GED_SLP_TYP_SHIFT | GED_SLP_EN);
        ck_assert_msg(goes_on() == (type != GED_S5), "type %u", type);
    }
    poke(GED_SLEEP_STATUS, 0x80);
    ck_assert_uint_eq(peek(SLEEP + GED_SLEEP_STATUS, 1), 0);
}
END_TEST

/* §4.8.3.6: the value that the FADT tells of, and no other. */
START_TEST(reset)
{
    setup();
    run_actions.reboot = REBOOT_SHUTDOWN; /* so that a reset shows */
    for (unsigned value = 0; value < 256; value++) {
        poke(GED_RESET, value);
        ck_assert_msg(goes_on() == (value != GED_RESET_VALUE), "value %x", value);
    }
    ck_assert_uint_eq(peek(SLEEP + GED_RESET, 1), 0);
}
END_TEST

/* §4.8.3.3: 3.579545 MHz, 24 bits, read-only. */
START_TEST(timer)
{
    setup();
    uint32_t before = (uint32_t)space_load(space_io(), TIMER_PORT, 4);
    bench_advance(NS_PER_SECOND);
    space_store(space_io(), TIMER_PORT, 4, 0);
    ck_assert_uint_eq((uint32_t)space_load(space_io(), TIMER_PORT, 4) - before, ACPI_TIMER_HZ);
    bench_advance(4 * NS_PER_SECOND); /* 17897725: it has wrapped */
    ck_assert_uint_eq((uint32_t)space_load(space_io(), TIMER_PORT, 4), (before + 5 * ACPI_TIMER_HZ) & 0xffffff);
}
END_TEST

BENCH_MAIN("acpi-ged", CASE(power_button), CASE(sleep_), CASE(reset), CASE(timer))
