/* VMware's backdoor and the mouse behind it, as their drivers use them. */
#include "hw/input/vmmouse.h"
#include "tests/hw/bench.h"
#include "ui/input.h"

#define MAGIC 0x564d5868u
enum { VERSION = 10, UUID = 19, DATA = 39, STATUS = 40, COMMAND = 41 };
enum { ENABLE = 0x45414552, DISABLE = 0xf5, RELATIVE = 0x4c455252, ABSOLUTE = 0x53424152 };

static void *port, *mouse;
static Probe *news;
static VmportRegs r;

static void start(void)
{
    port = bench_device(&vmport_class, "");
    mouse = bench_device(&vmmouse_class, "");
    news = bench_probe(mouse, "news", 0);
    vmmouse_wire(mouse, port);
}

static uint32_t call(unsigned command, uint32_t ebx)
{
    r = (VmportRegs){.eax = MAGIC, .ebx = ebx, .ecx = command, .edx = 0x5658, .esi = 7, .edi = 8};
    return vmport_call(port, &r);
}

static void enable(uint32_t kind)
{
    call(COMMAND, ENABLE);
    ck_assert_uint_eq(call(STATUS, 0), 1);
    ck_assert_uint_eq(call(DATA, 1), 0x3442554a);
    ck_assert_uint_eq(r.ebx, 1);        /* only what was asked for is answered */
    call(COMMAND, kind);
}

START_TEST(somebody_is_there)
{
    start();
    ck_assert_uint_eq(call(VERSION, 0), 6);
    ck_assert_uint_eq(r.ebx, MAGIC);
    ck_assert_uint_eq(call(VERSION | 0x50000, 0), 6); /* the command is 16 bits */
    ck_assert_uint_eq(call(63, MAGIC), UINT32_MAX);
    ck_assert_uint_eq(r.ebx, 0);
    ck_assert_uint_eq(call(0xffff, MAGIC), UINT32_MAX);
    r = (VmportRegs){.eax = 1, .ecx = VERSION, .ebx = 5};
    ck_assert_uint_eq(vmport_call(port, &r), UINT32_MAX);
    ck_assert_uint_eq(r.ebx, 5);
}
END_TEST

START_TEST(places)
{
    start();
    ck_assert(!input_has_absolute());
    ck_assert_uint_eq(call(STATUS, 0), 0xffff0000);
    enable(ABSOLUTE);
    ck_assert(input_has_absolute());
    input_abs(AXIS_X, INPUT_ABS_MAX);
    input_abs(AXIS_Y, INPUT_ABS_MAX / 2);
    input_button(BUTTON_LEFT, true);
    input_sync();
    ck_assert_uint_eq(news->rises, 1);
    input_button(BUTTON_LEFT, false);
    input_button(BUTTON_RIGHT, true);
    input_button(BUTTON_WHEEL_DOWN, true);
    input_button(BUTTON_WHEEL_DOWN, false);
    input_sync();
    ck_assert_uint_eq(call(STATUS, 0), 8);
    ck_assert_uint_eq(call(DATA, 4), 0x20);
    ck_assert_uint_eq(r.ebx, 0xffff);
    ck_assert_uint_eq(r.ecx, 0x7ffe); /* half of an odd number */
    ck_assert_uint_eq(r.edx, 0);
    ck_assert_uint_eq(r.esi, 7);
    ck_assert_uint_eq(call(DATA, 4), 0x10);
    ck_assert_uint_eq(r.edx, 1);
    ck_assert_uint_eq(call(STATUS, 0), 0);
    call(COMMAND, DISABLE);
    ck_assert(!input_has_absolute());
    ck_assert_uint_eq(call(STATUS, 0), 0xffff0000);
}
END_TEST

START_TEST(movements)
{
    start();
    enable(RELATIVE);
    input_rel(AXIS_X, 3);
    input_rel(AXIS_Y, 4);
    input_sync();
    input_sync();                       /* nothing happened */
    ck_assert_uint_eq(call(STATUS, 0), 4);
    ck_assert_uint_eq(call(DATA, 4), 0x10000);
    ck_assert_uint_eq(r.ebx, 3);
    ck_assert_uint_eq(r.ecx, (uint32_t)-4);
}
END_TEST

START_TEST(nonsense)
{
    start();
    enable(ABSOLUTE);
    for (unsigned i = 0; i < 1000; i++) {
        input_abs(AXIS_X, (int)i);
        input_sync();
    }
    ck_assert_uint_eq(call(STATUS, 0), 256);
    for (uint32_t n = 0; n < 300; n += 7) {
        call(DATA, n > 6 ? n : 0);
        ck_assert_uint_eq(r.eax, UINT32_MAX);
    }
    ck_assert_uint_eq(call(STATUS, 0), 0xffff0000 | 256);
    call(COMMAND, 0x12345678);
    call(COMMAND, ENABLE);
    ck_assert_uint_eq(call(STATUS, 0), 1);
}
END_TEST

BENCH_MAIN("vmmouse", CASE(somebody_is_there), CASE(places), CASE(movements), CASE(nonsense))
