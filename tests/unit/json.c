/* The JSON reader and writer: framing, limits, 64-bit integers, recovery after errors. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"

static char *round_trip(const char *text)
{
    json_object *value;
    GError *error = NULL;
    if (!json_parse(text, &value, &error)) {
        char *message = g_strdup(error->message);
        g_error_free(error);
        return message;
    }
    char *out = json_text(value);
    json_object_put(value);
    return out;
}

static void same(const char *text, const char *expected)
{
    g_autofree char *out = round_trip(text);
    ck_assert_str_eq(out, expected);
}

START_TEST(values)
{
    same("{\"a\":1,\"b\":[1,2,{}],\"c\":null,\"d\":true}",
         "{\"a\": 1, \"b\": [1, 2, {}], \"c\": null, \"d\": true}");
    same(" 12 ", "12");
    same("null", "null");
    same("\"x\"", "\"x\"");
    same("[]", "[]");
    same("{'execute': 'it\\'s \"so\"'}", "{\"execute\": \"it's \\\"so\\\"\"}");
    same("18446744073709551615", "18446744073709551615");
    same("-9223372036854775808", "-9223372036854775808");
    same("[18446744073709551616.0,-0,1e2]", "[18446744073709551616.0, 0, 1e2]");
    same("\"\\u00e9\\ud83d\\ude00\\n\\u0001\"", "\"\\u00E9\\uD83D\\uDE00\\n\\u0001\"");
    same("\"\xc3\xa9\"", "\"\\u00E9\"");
}
END_TEST

START_TEST(errors)
{
    static const char *const bad[] = {
        "",         "{",       "{foo}",      "{\"a\":1,}", "[1,2",    "{]",    "}",     "nul",
        "[1 2]",    "{\"a\"}", "\"abc",      "\"a\nb\"",   "[1] [2]", "01",    "tru e", "[\x01]",
        "\"\xff\"", "/*x*/1",  "\"\\ud800x", "\"\xc3(\"",  "[NaN]",   "{'a':1"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *out = round_trip(bad[i]);
        ck_assert_msg(g_str_has_prefix(out, "JSON parse error, "), "%s -> %s", bad[i], out);
    }
}
END_TEST

/* Feeds the text in pieces of `step` bytes; values as text, errors as "!". */
static char *read_all(const char *text, size_t len, size_t step)
{
    JsonReader *r = json_reader_new();
    GString *out = g_string_new(NULL);
    for (size_t from = 0; from < len; from += step) {
        size_t at = 0, n = MIN(step, len - from);
        json_object *value;
        JsonResult result;
        GError *error = NULL;
        while ((result = json_reader_next(r, text + from, n, &at, &value, &error)) != JSON_MORE) {
            if (result == JSON_ERROR) {
                g_string_append_c(out, '!');
                g_clear_error(&error);
            } else {
                g_autofree char *s = json_text(value);
                g_string_append_printf(out, "%s;", s);
                json_object_put(value);
            }
        }
    }
    json_reader_free(r);
    return g_string_free(out, FALSE);
}

START_TEST(streams)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"{\"a\":1}{\"b\":2}\n[3]", "{\"a\": 1};{\"b\": 2};[3];"},
        {"1 2\n3\n", "1;2;3;"},
        {"{\"a\":}\n{\"b\":2}\n", "!{\"b\": 2};"},
        {"{\"a\" x {\"b\":1}}{\"c\":1}", "!{\"c\": 1};"},
        {"{]{'a':1}", "!{\"a\": 1};"},
        {"{\"a\xff{'a':1}", "!{\"a\": 1};"},
        {"{'a':\n\xff", "!"},
        {"%p{'a':1}", "!{\"a\": 1};"},
        {"\xff\xff{}", "{};"},
        {"{'\xe2\x82\xac': '\xf0\x9f\x98\x80'}", "{\"\\u20AC\": \"\\uD83D\\uDE00\"};"},
        {"{'a': '}{][\\\\'}", "{\"a\": \"}{][\\\\\"};"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (size_t step = 1; step <= 64; step = step * 2 + 1) {
            g_autofree char *out = read_all(cases[i].text, strlen(cases[i].text), step);
            ck_assert_str_eq(out, cases[i].expected);
        }
    }
}
END_TEST

START_TEST(depth)
{
    GString *text = g_string_new(NULL);
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        g_string_append_c(text, '[');
    }
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        g_string_append_c(text, ']');
    }
    g_autofree char *ok = read_all(text->str, text->len, 100);
    ck_assert_uint_eq(strlen(ok), 2 * JSON_DEPTH_MAX + 1);
    g_string_prepend_c(text, '[');
    g_string_append(text, "]\n{}");
    g_autofree char *deep = read_all(text->str, text->len, 100);
    ck_assert_str_eq(deep, "!{};");
    g_string_free(text, TRUE);
}
END_TEST

/* 100 MB without a line end, in any shape, is one error, and what follows the next line end is
 * understood. */
START_TEST(flood)
{
    static const char *const heads[] = {"", "{\"execute\": \"", "[", "{\"a\": ["};
    static const char fill[] = "aa[1";
    size_t len = 100u << 20;
    char *text = malloc(len + 16);
    size_t head = strlen(heads[_i]);
    memset(text, fill[_i], len);
    memcpy(text, heads[_i], head);
    memcpy(text + len, "\n{'a':1}\n", 9);
    g_autofree char *out = read_all(text, len + 9, 65536);
    ck_assert_str_eq(out, "!{\"a\": 1};");
    free(text);
}
END_TEST

START_TEST(pretty)
{
    json_object *value;
    ck_assert(json_parse("{\"a\":[1,{}],\"b\":{\"c\":[]}}", &value, NULL));
    GString *out = g_string_new(NULL);
    json_write(value, true, out);
    ck_assert_str_eq(out->str, "{\n    \"a\": [\n        1,\n        {}\n    ],\n    \"b\": {\n    "
                               "    \"c\": []\n    }\n}");
    g_string_free(out, TRUE);
    json_object_put(value);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json");
    TCase *tc = tcase_create("json");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, values);
    tcase_add_test(tc, errors);
    tcase_add_test(tc, streams);
    tcase_add_test(tc, depth);
    tcase_add_loop_test(tc, flood, 0, 4);
    tcase_add_test(tc, pretty);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
