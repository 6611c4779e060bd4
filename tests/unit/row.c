/* Properties as text: what is accepted, what is said about the rest. */
#include <string.h>

#include "core/row.h"
#include "tests/unit/suite.h"

static const char *const colours[] = {"red", "green", "blue", NULL};

typedef struct Thing {
    uint8_t small;
    uint64_t large;
    int16_t sign;
    bool flag;
    char *text;
    uint64_t bytes;
    int colour;
    int32_t addr;
    uint8_t mac[6], uuid[16];
} Thing;

static const Row rows[] = {
    PROP(Thing, small, "1", "", .max = 200),
    PROP(Thing, large, "1", ""),
    PROP(Thing, sign, "1", ""),
    PROP(Thing, flag, "on", ""),
    PROP(Thing, text, "", ""),
    {.kind = ROW_PROP, ROW_FIELD(Thing, bytes), .type = TYPE_SIZE},
    {.kind = ROW_PROP, ROW_FIELD(Thing, colour), .type = TYPE_ENUM, .names = colours},
    {.kind = ROW_PROP, ROW_FIELD(Thing, addr), .type = TYPE_PCI_ADDR},
    {.kind = ROW_PROP, ROW_FIELD(Thing, mac), .type = TYPE_MAC},
    {.kind = ROW_PROP, ROW_FIELD(Thing, uuid), .type = TYPE_UUID},
};

static Thing thing;

/* The value as it is printed after it was set. */
static const char *set(const char *name, const char *text)
{
    static char *shown;
    g_autoptr(GError) error = NULL;
    const Row *r = rows;
    while (strcmp(r->name, name)) {
        r++;
    }
    g_free(shown);
    shown = row_parse(r, &thing, text, "thing", &error) ? row_format(r, &thing) : g_strdup(error->message);
    return shown;
}

START_TEST(integers)
{
    ck_assert_str_eq(set("small", "200"), "200");
    ck_assert_str_eq(set("small", "0x10"), "16");
    ck_assert_str_eq(set("small", "201"), "Property 'thing.small' doesn't take value 201 (minimum: 0, maximum: 200)");
    ck_assert_str_eq(set("small", "-1"), "Property 'thing.small' doesn't take value '-1', expected: a whole number");
    ck_assert_uint_eq(thing.small, 16); /* what failed changed nothing */
    ck_assert_str_eq(set("large", "18446744073709551615"), "18446744073709551615");
    static const char *const bad[] = {"18446744073709551616", "", " 1", "1 ", "1x", "ten", "0x", "1.0", "--1", "+-1"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_msg(strstr(set("large", bad[i]), "expected: a whole number"), "'%s'", bad[i]);
    }
    ck_assert_str_eq(set("sign", "-32768"), "-32768");
    ck_assert_str_eq(set("sign", "-32769"),
                     "Property 'thing.sign' doesn't take value -32769 (minimum: -32768, maximum: 32767)");
}
END_TEST

START_TEST(booleans)
{
    static const char *const yes[] = {"on", "yes", "true", "y"}, *const no[] = {"off", "no", "false", "n"};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_str_eq(set("flag", yes[i]), "true");
        ck_assert_str_eq(set("flag", no[i]), "false");
    }
    ck_assert_str_eq(set("flag", "1"), "Property 'thing.flag' doesn't take value '1', expected: on, off");
    ck_assert_ptr_nonnull(strstr(set("flag", ""), "expected: on, off"));
}
END_TEST

START_TEST(sizes)
{
    static const struct {
        const char *text;
        char suffix;
        uint64_t bytes;
    } good[] = {{"0", 'B', 0}, {"512", 'B', 512}, {"128", 'M', 128 << 20}, {"64K", 'B', 65536}, {"64k", 'M', 65536},
                {"1.5G", 'B', UINT64_C(3) << 29}, {"0x1000", 'B', 4096}, {"0x10M", 'B', 16 << 20},
                {"1T", 'B', UINT64_C(1) << 40}, {"15E", 'B', UINT64_C(15) << 60}, {"7b", 'M', 7},
                {"1.0", 'B', 1}, {"18446744073709551615", 'B', UINT64_MAX}};
    static const char *const bad[] = {"", "K", "-1", "+1", "1KB", "1Q", "16E", "18446744073709551616", "1.", "1.5", "0x",
                                      "1..5G", "1e3", " 1", "1 ", "15.99999999999999999999E", "nan", "inf"};
    uint64_t v;
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        ck_assert_msg(row_parse_size(good[i].text, good[i].suffix, &v), "'%s'", good[i].text);
        ck_assert_uint_eq(v, good[i].bytes);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_msg(!row_parse_size(bad[i], 'B', &v), "'%s'", bad[i]);
    }
    ck_assert_str_eq(set("bytes", "64K"), "65536");
    ck_assert_str_eq(set("bytes", "much"),
                     "Property 'thing.bytes' doesn't take value 'much', expected: a size such as 64K, 16M or 2G");
}
END_TEST

START_TEST(names_and_addresses)
{
    ck_assert_str_eq(set("colour", "blue"), "blue");
    ck_assert_int_eq(thing.colour, 2);
    ck_assert_str_eq(set("colour", "Blue"),
                     "Property 'thing.colour' doesn't take value 'Blue', expected: red, green, blue");
    ck_assert_str_eq(set("text", "a"), "a");
    ck_assert_str_eq(set("text", ""), "");
    ck_assert_str_eq(set("addr", "1f.7"), "1f.7");
    ck_assert_int_eq(thing.addr, 0xff);
    ck_assert_str_eq(set("addr", "6"), "06.0");
    ck_assert_str_eq(set("addr", "06.1"), "06.1");
    ck_assert_str_eq(set("addr", "0x3"), "03.0");
    ck_assert_str_eq(set("addr", "-1"), "-1");
    static const char *const bad[] = {"20", "1.8", "1.", ".1", "", "1.1.1", " 1", "1. 1", "-2", "g", "1.-1",
                                      "100000003", "1.100000001"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_msg(strstr(set("addr", bad[i]), "expected: SLOT or SLOT.FUNCTION"), "'%s'", bad[i]);
    }
    ck_assert_str_eq(set("mac", "52:54:00:12:34:5F"), "52:54:00:12:34:5f");
    ck_assert_ptr_nonnull(strstr(set("mac", "52:54:00:12:34"), "a MAC address"));
    ck_assert_ptr_nonnull(strstr(set("mac", "52:54:00:12:34:567"), "a MAC address"));
    ck_assert_str_eq(set("uuid", "550e8400-e29b-41d4-a716-446655440000"), "550e8400-e29b-41d4-a716-446655440000");
    ck_assert_ptr_nonnull(strstr(set("uuid", "550e8400"), "a UUID"));
    g_clear_pointer(&thing.text, g_free);
}
END_TEST

START_TEST(bits_and_bounds)
{
    const Row bits = {.bits = "ERBFI ETBEI - EDSSI"}, plain = {0};
    g_autofree char *some = row_bits_text(&bits, 0x0d), *none = row_bits_text(&plain, 0xff);
    ck_assert_str_eq(some, "ERBFI EDSSI");
    ck_assert_str_eq(none, "");
    const Row i8 = {.type = TYPE_INT, .size = 1}, bounded = {.type = TYPE_INT, .size = 4, .max = 10};
    ck_assert(row_accepts(&i8, (uint64_t)INT64_C(-128)) && !row_accepts(&i8, 128));
    ck_assert(row_accepts(&bounded, (uint64_t)INT64_C(-10)) && !row_accepts(&bounded, (uint64_t)INT64_C(-11)));
    const Row flag = {.type = TYPE_BOOL, .size = 1}, u16 = {.type = TYPE_UINT, .size = 2};
    ck_assert(row_accepts(&flag, 1) && !row_accepts(&flag, 2));
    ck_assert(row_accepts(&u16, 0xffff) && !row_accepts(&u16, 0x10000));
    int8_t minus = -5;
    ck_assert_int_eq((int64_t)row_get_raw(&i8, &minus, 0), -5);
}
END_TEST

SUITE_MAIN("row", NULL, NULL, integers, booleans, sizes, names_and_addresses, bits_and_bounds)
