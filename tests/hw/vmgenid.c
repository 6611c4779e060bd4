/* vmgenid: the page for the firmware, and what happens when a snapshot of another run is loaded. */
#include <string.h>

#include "hw/firmware/fw-cfg.h"
#include "hw/misc/vmgenid.h"
#include "tests/hw/bench.h"

extern const DeviceClass vmgenid_class;
enum { PAGE_AT = 0x10000 };
static const char guid[] = "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87";
static const uint8_t in_memory[16] = {0xaf, 0x6e, 0x4e, 0x32, 0xd1, 0xd1, 0xf6, 0x4b,
                                      0xbf, 0x41, 0xb9, 0xbb, 0x6c, 0x91, 0xfb, 0x87};

static Device *device(const char *text, GError **error)
{
    Device *d = device_new(&vmgenid_class, NULL);
    ck_assert(device_set(d, "guid", text, error));
    if (!device_realize(d, NULL, error)) {
        device_free(d);
        return NULL;
    }
    return d;
}

START_TEST(page)
{
    GError *error = NULL;
    FwCfg *fw = fw_cfg_new(space_root(space_io()), space_memory(), &error);
    ck_assert_ptr_null(vmgenid_find());
    Device *d = device(guid, &error);
    ck_assert_ptr_eq(vmgenid_find(), d);
    g_autofree char *text = vmgenid_text(d);
    ck_assert_str_eq(text, guid);
    g_autoptr(GBytes) file = fw_cfg_file(fw, VMGENID_GUID_FILE);
    gsize n;
    const uint8_t *bytes = g_bytes_get_data(file, &n);
    ck_assert_uint_eq(n, 4096);
    ck_assert_mem_eq(bytes + 40, in_memory, 16);
    ck_assert_ptr_null(device("auto", &error)); /* one is enough */
    ck_assert_str_eq(error->message, "at most one vmgenid device is permitted");
}
END_TEST

START_TEST(identifiers)
{
    GError *error = NULL;
    g_autofree char *one = vmgenid_text(device("auto", &error)), *other = NULL;
    device_free(vmgenid_find());
    other = vmgenid_text(device("auto", &error));
    ck_assert_str_ne(one, other);
    ck_assert_ptr_null(device("324e6eaf", &error));
    ck_assert_str_eq(error->message, "Property 'vmgenid.guid' takes a UUID or 'auto', not '324e6eaf'");
}
END_TEST

START_TEST(loaded_by_another_run)
{
    GError *error = NULL;
    uint8_t got[16];
    Device *d = device(guid, &error);
    device_load_begin(d);
    for (unsigned i = 0; i < 8; i++) {
        ck_assert(device_load(d, "address", i, (uint64_t)PAGE_AT >> 8 * i & 0xff, &error));
    }
    for (unsigned i = 0; i < 16; i++) {
        ck_assert(device_load(d, "told", i, i, &error));
    }
    device_loaded(d);
    bench_peek(PAGE_AT + 40, got, 16);
    ck_assert_mem_eq(got, in_memory, 16);
    bench_poke(PAGE_AT + 40, "untouched", 9);
    device_settle(d); /* once */
    bench_peek(PAGE_AT + 40, got, 16);
    ck_assert_mem_eq(got, "untouched", 9);
}
END_TEST

BENCH_MAIN("vmgenid", CASE(page), CASE(identifiers), CASE(loaded_by_another_run))
