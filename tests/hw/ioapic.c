/* 82093AA data sheet: registers, edge and level, remote IRR, masks, EOI, message form. */
#include "hw/intc/ioapic.h"

#include "hw/platform.h"
#include "tests/hw/bench.h"

extern const DeviceClass ioapic_class;

static Device *ioapic;
static unsigned sent;
static uint64_t last_address;
static uint32_t last_data;

static void receive(void *sink, uint64_t address, uint32_t data)
{
    sent++;
    last_address = address;
    last_data = data;
}

static uint32_t get(unsigned reg)
{
    return out32(ioapic, 0, reg), in32(ioapic, 0x10);
}
static void set(unsigned reg, uint32_t v)
{
    out32(ioapic, 0, reg);
    out32(ioapic, 0x10, v);
}

static void entry(unsigned pin, uint64_t v)
{
    set(0x11 + 2 * pin, v >> 32);
    set(0x10 + 2 * pin, v);
}

static void setup(const char *props)
{
    ioapic = bench_device(&ioapic_class, props);
    ioapic_connect(ioapic, receive, NULL);
    sent = 0;
}

static void pulse(unsigned pin)
{
    device_input(ioapic, pin, true);
    device_input(ioapic, pin, false);
}

START_TEST(registers)
{
    setup("version=0x11");
    ck_assert_uint_eq(get(1), 0x00170011);
    set(0, 0xffffffff);
    ck_assert_uint_eq(get(0), 0x0f000000);
    ck_assert_uint_eq(get(2), 0x0f000000);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        ck_assert_uint_eq(get(0x10 + 2 * pin), 0x10000);
    }
    entry(23, UINT64_MAX);
    ck_assert_uint_eq(get(0x10 + 46), 0x1afff);
    ck_assert_uint_eq(get(0x11 + 46), 0xfffe0000);
    ck_assert_uint_eq(get(0x40), 0); /* beyond the table */
    setup("");
    ck_assert_uint_eq(get(1), 0x00170020);
    ck_assert_uint_eq(in8(ioapic, 0), 1);
}
END_TEST

START_TEST(edge)
{
    setup("");
    entry(4, UINT64_C(3) << 56 | 0x35);
    pulse(4);
    ck_assert_uint_eq(sent, 1);
    ck_assert_uint_eq(last_address, 0xfee03000);
    ck_assert_uint_eq(last_data, 0x4035);
    device_input(ioapic, 4, true);
    ck_assert_uint_eq(sent, 2);
    device_input(ioapic, 4, true);
    in32(ioapic, 0x10);
    ck_assert_uint_eq(sent, 2); /* no edge, no message */
    ck_assert_uint_eq(get(0x18) & 0x4000, 0);
    device_input(ioapic, 4, false);
    entry(4, 0x10035);
    pulse(4);
    entry(4, 0x35);
    ck_assert_uint_eq(sent, 2); /* an edge on a masked pin is lost */
}
END_TEST

START_TEST(level)
{
    setup("");
    entry(10, UINT64_C(1) << 56 | 0x8000 | 0x0900 | 0x41); /* level, lowest priority, logical */
    device_input(ioapic, 10, true);
    ck_assert_uint_eq(sent, 1);
    ck_assert_uint_eq(last_address, 0xfee0100c);
    ck_assert_uint_eq(last_data, 0xc141);
    ck_assert_uint_eq(get(0x24) & 0x4000, 0x4000); /* remote IRR */
    device_input(ioapic, 10, false);
    device_input(ioapic, 10, true);
    ck_assert_uint_eq(sent, 1); /* until the EOI */
    ioapic_eoi(ioapic, 0x40);   /* another vector */
    ck_assert_uint_eq(sent, 1);
    ioapic_eoi(ioapic, 0x41); /* still asserted: at once again */
    ck_assert_uint_eq(sent, 2);
    device_input(ioapic, 10, false);
    ioapic_eoi(ioapic, 0x41);
    ck_assert_uint_eq(sent, 2);
    ck_assert_uint_eq(get(0x24) & 0x4000, 0);
    entry(10, 0x18041);
    device_input(ioapic, 10, true);
    ck_assert_uint_eq(sent, 2);
    entry(10, 0x8041); /* a level survives the mask */
    ck_assert_uint_eq(sent, 3);
}
END_TEST

START_TEST(eoi_register)
{
    setup("");
    entry(5, 0x8050);
    device_input(ioapic, 5, true);
    device_input(ioapic, 5, false);
    out32(ioapic, 0x40, 0x50);
    ck_assert_uint_eq(get(0x1a) & 0x4000, 0);
    setup("version=0x11");
    entry(5, 0x8050);
    device_input(ioapic, 5, true);
    device_input(ioapic, 5, false);
    out32(ioapic, 0x40, 0x50); /* version 11h has none ... */
    ck_assert_uint_eq(get(0x1a) & 0x4000, 0x4000);
    entry(5, 0x10050); /* ... so that software makes the pin an edge for a moment */
    entry(5, 0x8050);
    ck_assert_uint_eq(get(0x1a) & 0x4000, 0);
}
END_TEST

START_TEST(other_modes)
{
    setup("");
    entry(0, 0x0700); /* ExtINT */
    pulse(0);
    ck_assert_uint_eq(last_data & 0x700, 0x700);
    entry(1, 0x8400); /* NMI is an edge, whatever the trigger bit says */
    device_input(ioapic, 1, true);
    ck_assert_uint_eq(sent, 2);
    ck_assert_uint_eq(last_data & 0x8700, 0x0400);
    ck_assert_uint_eq(get(0x12) & 0x4000, 0);
}
END_TEST

static unsigned routes;
static bool route_masked;
static void note_route(unsigned pin, uint64_t address, uint32_t data, bool masked)
{
    if (pin == 7) {
        routes++;
        route_masked = masked;
    }
}

START_TEST(split_routes)
{
    platform.set_route = note_route;
    setup("");
    entry(7, 0x8060);
    ck_assert(!route_masked);
    unsigned before = routes;
    device_input(ioapic, 7, true);
    ioapic_eoi(ioapic, 0x60);
    ck_assert_uint_eq(routes, before); /* remote IRR is no change of the route */
    entry(7, 0x18060);
    ck_assert(route_masked);
    platform.set_route = NULL;
}
END_TEST

BENCH_MAIN("ioapic", CASE(registers), CASE(edge), CASE(level), CASE(eoi_register),
           CASE(other_modes), CASE(split_routes))
