/* The small ISA ports: debug output, exit code, guest panic. */
#include "char/char.h"
#include "core/runstate.h"
#include "hw/firmware/fw-cfg.h"
#include "hw/isa/isa.h"
#include "tests/hw/bench.h"

extern const DeviceClass isa_debugcon_class, isa_debug_exit_class, pc_testdev_class, pvpanic_class;
static IsaBus *isa;

static Device *card(const DeviceClass *class, Char *chardev, const char *name, const char *value)
{
    GError *error = NULL;
    if (!isa) {
        isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    }
    Device *d = device_new(class, NULL);
    if (chardev) {
        device_set_pointer(d, "chardev", chardev);
    }
    ck_assert(!name || device_set(d, name, value, &error));
    if (!device_realize(d, isa->bus, &error)) {
        device_free(d);
        return NULL;
    }
    mem_commit();
    return d;
}

START_TEST(debugcon)
{
    GError *error = NULL;
    uint8_t got[8];
    g_autoptr(GHashTable) options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Char *ring = char_new("ringbuf", "log", options, &error);
    ck_assert_msg(ring != NULL, "%s", error ? error->message : "");
    card(&isa_debugcon_class, ring, NULL, NULL);
    ck_assert_uint_eq(space_load(space_io(), 0xe9, 1), 0xe9);
    space_store(space_io(), 0xe9, 1, 'o');
    space_store(space_io(), 0xe9, 1, 'k');
    ck_assert_uint_eq(char_ringbuf_read(ring, got, sizeof(got)), 2);
    ck_assert_mem_eq(got, "ok", 2);
    card(&isa_debugcon_class, NULL, "iobase", "0x402");
    space_store(space_io(), 0x402, 1, 'x');
    ck_assert_uint_eq(space_load(space_io(), 0x402, 1), 0xe9);
    ck_assert_ptr_null(card(&isa_debugcon_class, NULL, "iobase", "0x10000"));
}
END_TEST

START_TEST(exit_code)
{
    int code = -1;
    card(&isa_debug_exit_class, NULL, NULL, NULL);
    ck_assert_uint_eq(space_load(space_io(), 0x501, 1), 0);
    ck_assert(runstate_poll(&code));
    space_store(space_io(), 0x501, 1, 0x10);
    ck_assert(!runstate_poll(&code));
    ck_assert_int_eq(code, 0x21);
}
END_TEST

START_TEST(exit_ports)
{
    int code = -1;
    card(&isa_debug_exit_class, NULL, "iosize", "4");
    ck_assert_ptr_null(card(&isa_debug_exit_class, NULL, "iosize", "0"));
    ck_assert_ptr_null(card(&isa_debug_exit_class, NULL, "iobase", "0xffff"));
    space_store(space_io(), 0x501, 4, 0x123);
    ck_assert(!runstate_poll(&code));
    ck_assert_int_eq(code, 0x247);
}
END_TEST

START_TEST(testdev)
{
    Device *d = card(&pc_testdev_class, NULL, NULL, NULL);
    space_store(space_io(), 0xe0, 4, 0x12345678);
    space_store(space_io(), 0xe0, 1, 0x9a);
    ck_assert_uint_eq(space_load(space_io(), 0xe0, 4), 0x1234569a);
    space_store(space_io(), 0xe4, 4, 0);
    space_store(space_memory(), 0xff00fff8, 8, 0x1122334455667788);
    ck_assert_uint_eq(space_load(space_memory(), 0xff00fffa, 2), 0x5566);
    space_store(space_io(), 0x200e, 1, 1);
    ck_assert(device_pin(d, "irq", 14)->level);
    ck_assert(!device_pin(d, "irq", 13)->level);
    space_store(space_io(), 0x200e, 1, 0);
    ck_assert(!device_pin(d, "irq", 14)->level);
}
END_TEST

static unsigned panics, crashes;
static void panicked(const char *action) { panics++; }
static void crashloaded(void) { crashes++; }

START_TEST(panic)
{
    GError *error = NULL;
    int code = -1;
    FwCfg *fw = fw_cfg_new(space_root(space_io()), space_memory(), &error);
    run_events.guest_panicked = panicked;
    run_events.guest_crashloaded = crashloaded;
    run_actions.panic = PANIC_NONE;
    card(&pvpanic_class, NULL, "events", "7");
    g_autoptr(GBytes) port = fw_cfg_file(fw, "etc/pvpanic-port");
    ck_assert_mem_eq(g_bytes_get_data(port, NULL), "\x05\x05", 2);
    ck_assert_uint_eq(space_load(space_io(), 0x505, 1), 7);
    space_store(space_io(), 0x505, 1, 1);
    ck_assert_uint_eq(panics, 1);
    space_store(space_io(), 0x505, 1, 2);
    ck_assert_uint_eq(crashes, 1);
    space_store(space_io(), 0x505, 1, 0xf8); /* nothing that it knows */
    ck_assert(runstate_poll(&code));
    space_store(space_io(), 0x505, 1, 4);
    ck_assert(!runstate_poll(&code));
    ck_assert_int_eq(code, 0);
}
END_TEST

START_TEST(panic_events_masked)
{
    run_events.guest_panicked = panicked;
    run_actions.panic = PANIC_NONE;
    card(&pvpanic_class, NULL, "ioport", "0x515");
    ck_assert_uint_eq(space_load(space_io(), 0x515, 1), 3);
    card(&pvpanic_class, NULL, "events", "2");
    ck_assert_uint_eq(space_load(space_io(), 0x505, 1), 2);
    space_store(space_io(), 0x505, 1, 1);
    ck_assert_uint_eq(panics, 0);
    ck_assert_ptr_null(card(&pvpanic_class, NULL, "events", "8"));
}
END_TEST

BENCH_MAIN("debug-ports", CASE(debugcon), CASE(exit_code), CASE(exit_ports), CASE(testdev),
           CASE(panic), CASE(panic_events_masked))
