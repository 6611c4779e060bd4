/* Option text: commas, dots, lists, implied keys, JSON; sizes. */
#include <check.h>
#include <string.h>

#include "core/json.h"
#include "core/keyval.h"
#include "core/row.h"

/* The tree as JSON text, or the error message. */
static char *tree(const char *text, const char *implied)
{
    GError *error = NULL;
    g_autoptr(KeyVal) kv = keyval_parse(text, implied, &error);
    json_object *value = kv ? keyval_tree(kv, &error) : NULL;
    char *out = value ? json_text(value) : g_strdup(error->message);
    g_clear_error(&error);
    json_object_put(value);
    return out;
}

static void same(const char *text, const char *implied, const char *expected)
{
    g_autofree char *out = tree(text, implied);
    ck_assert_str_eq(out, expected);
}

START_TEST(trees)
{
    same("", NULL, "{}");
    same("a=1,b=x y", NULL, "{\"a\": \"1\", \"b\": \"x y\"}");
    same("file,a=b", "driver", "{\"driver\": \"file\", \"a\": \"b\"}");
    same("driver=file", "driver", "{\"driver\": \"file\"}");
    same("a=x,,y,b=,,", NULL, "{\"a\": \"x,y\", \"b\": \",\"}");
    same("a.b=1,a.c.d=2", NULL, "{\"a\": {\"b\": \"1\", \"c\": {\"d\": \"2\"}}}");
    same("l.1=y,l.0=x", NULL, "{\"l\": [\"x\", \"y\"]}");
    same("l.0.a=1,l.0.b=2,l.1.a=3", NULL,
         "{\"l\": [{\"a\": \"1\", \"b\": \"2\"}, {\"a\": \"3\"}]}");
    same("on,flag", "state", "{\"state\": \"on\", \"flag\": \"on\"}");
    same("a=1,a=2", NULL, "{\"a\": \"2\"}");
    same("{\"a\": {\"b\": [1, true]}}", "driver", "{\"a\": {\"b\": [1, true]}}");
    same("a==b=c", NULL, "{\"a\": \"=b=c\"}");
}
END_TEST

START_TEST(errors)
{
    same("a=1,a.b=2", NULL, "Parameters 'a.b' used inconsistently");
    same("a.b=1,a=2", NULL, "Parameters 'a.*' used inconsistently");
    same("l.0=1,l.2=2", NULL, "Parameter 'l.1' missing");
    same("l.0=1,l.x=2", NULL, "Parameters 'l.*' used inconsistently");
    same("=1", NULL, "Invalid parameter ''");
    same(".a=1", NULL, "Invalid parameter '.a'");
    same("a..b=1", NULL, "Invalid parameter 'a..b'");
    g_autofree char *json = tree("{\"a\": }", NULL);
    ck_assert(g_str_has_prefix(json, "JSON parse error, "));
}
END_TEST

START_TEST(lookup)
{
    g_autoptr(KeyVal) kv =
        keyval_parse("isa-serial,chardev=c1,x.y=1,chardev=c2,help", "driver", NULL);
    ck_assert(kv->help);
    ck_assert_str_eq(keyval_get(kv, "chardev"), "c2");
    g_autofree char *driver = keyval_take(kv, "driver");
    ck_assert_str_eq(driver, "isa-serial");
    ck_assert_ptr_null(keyval_get(kv, "driver"));
    GHashTable *table = keyval_table(kv);
    ck_assert_uint_eq(g_hash_table_size(table), 2);
    ck_assert_str_eq(g_hash_table_lookup(table, "x.y"), "1");
    g_hash_table_unref(table);
    g_autoptr(KeyVal) json = keyval_parse("{\"a\":{\"b\":[1,true]},\"c\":null}", NULL, NULL);
    table = keyval_table(json);
    ck_assert_str_eq(g_hash_table_lookup(table, "a.b.0"), "1");
    ck_assert_str_eq(g_hash_table_lookup(table, "a.b.1"), "on");
    g_hash_table_unref(table);
}
END_TEST

START_TEST(sizes)
{
    static const struct {
        const char *text;
        char unit;
        uint64_t bytes;
    } good[] = {{"0", 'B', 0},
                {"64", 'B', 64},
                {"64", 'M', 64 << 20},
                {"64k", 'M', 65536},
                {"1.5G", 'B', 3u << 29},
                {"0x1000", 'B', 4096},
                {"18446744073709551615", 'B', UINT64_MAX},
                {"15E", 'B', 15ull << 60},
                {"1b", 'K', 1}};
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        uint64_t bytes = 1;
        ck_assert_msg(row_parse_size(good[i].text, good[i].unit, &bytes), "%s", good[i].text);
        ck_assert_uint_eq(bytes, good[i].bytes);
    }
    static const char *const bad[] = {
        "", "-1", "x", "1Q", "1KB", "16E", "18446744073709551616", "1.", "1.5", "0x1.8K", "+1"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        uint64_t bytes;
        ck_assert_msg(!row_parse_size(bad[i], 'B', &bytes), "%s", bad[i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("keyval");
    TCase *tc = tcase_create("keyval");
    tcase_add_test(tc, trees);
    tcase_add_test(tc, errors);
    tcase_add_test(tc, lookup);
    tcase_add_test(tc, sizes);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
