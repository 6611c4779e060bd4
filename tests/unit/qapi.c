/* The walkers over the schema's tables: values in, out, copied, freed; messages; events. */
#include <check.h>
#include <string.h>

#include "core/json.h"
#include "core/keyval.h"
#include "core/loop.h"
#include "qapi/schema/qapi-events.h"
#include "qapi/schema/qapi-types.h"

/* Reads JSON (or key=value text) into a value of the type and writes it out again, or returns the
 * message. */
static char *through(const QType *type, const char *text, bool keyval)
{
    GError *error = NULL;
    json_object *in = NULL, *out = NULL;
    bool ok;
    if (keyval) {
        g_autoptr(KeyVal) kv = keyval_parse(text, NULL, &error);
        in = kv ? keyval_tree(kv, &error) : NULL;
        ok = in;
    } else {
        ok = json_parse(text, &in, &error);
    }
    g_autofree void *value = g_malloc0(type->size), *copy = g_malloc0(type->size);
    char *result;
    if (ok && qtype_from_json(type, in, value, keyval, &error)) {
        qtype_copy(type, copy, value);
        qtype_free(type, value);
        out = qtype_to_json(type, copy);
        result = json_text(out);
        qtype_free(type, copy);
    } else {
        result = g_strdup(error->message);
        g_error_free(error);
    }
    json_object_put(in);
    json_object_put(out);
    return result;
}

static void same(const QType *type, const char *text, const char *expected)
{
    g_autofree char *out = through(type, text, false);
    ck_assert_str_eq(out, expected);
}

static void same_text(const QType *type, const char *text, const char *expected)
{
    g_autofree char *out = through(type, text, true);
    ck_assert_str_eq(out, expected);
}

START_TEST(structs)
{
    same(&qtype_StatusInfo, "{\"status\":\"prelaunch\",\"running\":false,\"singlestep\":true}",
         "{\"running\": false, \"singlestep\": true, \"status\": \"prelaunch\"}");
    same(&qtype_VersionInfo, "{\"package\":\"p\",\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0}}",
         "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 0}, \"package\": \"p\"}");
    same(&qtype_MachineInfo,
         "{\"name\":\"pc\",\"cpu-max\":255,\"hotpluggable-cpus\":true,\"numa-mem-supported\":false,"
         "\"deprecated\":false,"
         "\"is-default\":true}",
         "{\"name\": \"pc\", \"is-default\": true, \"cpu-max\": 255, \"hotpluggable-cpus\": true, "
         "\"numa-mem-supported\": false, \"deprecated\": false}");
    same(&qtype_MemoryInfo, "{\"base-memory\":18446744073709551615}",
         "{\"base-memory\": 18446744073709551615}");
    same(&qtype_ObjectPropertyInfo, "{\"name\":\"a\",\"type\":\"b\",\"default-value\":null}",
         "{\"name\": \"a\", \"type\": \"b\", \"default-value\": null}");
    same(&qtype_DeviceAddArgs, "{\"driver\":\"d\",\"iobase\":1016,\"x\":{\"y\":[1]}}",
         "{\"driver\": \"d\", \"iobase\": 1016, \"x\": {\"y\": [1]}}");
}
END_TEST

START_TEST(unions)
{
    same(&qtype_SendKeyArgs,
         "{\"keys\":[{\"type\":\"qcode\",\"data\":\"ret\"},{\"data\":28,\"type\":\"number\"}]}",
         "{\"keys\": [{\"type\": \"qcode\", \"data\": \"ret\"}, {\"type\": \"number\", \"data\": "
         "28}]}");
    same(&qtype_ChardevBackend,
         "{\"type\":\"socket\",\"data\":{\"addr\":{\"type\":\"unix\",\"data\":{\"path\":\"/"
         "x\"}},\"server\":false}}",
         "{\"type\": \"socket\", \"data\": {\"addr\": {\"type\": \"unix\", \"data\": {\"path\": "
         "\"/x\"}}, "
         "\"server\": false}}");
    same(&qtype_YankInstance, "{\"type\":\"migration\"}", "{\"type\": \"migration\"}");
    same(&qtype_YankInstance, "{\"type\":\"migration\",\"id\":\"x\"}",
         "Parameter 'id' is unexpected");
}
END_TEST

START_TEST(messages)
{
    same(&qtype_SendKeyArgs, "{}", "Parameter 'keys' is missing");
    same(&qtype_SendKeyArgs, "{\"keys\":\"a\"}",
         "Invalid parameter type for 'keys', expected: array");
    same(&qtype_SendKeyArgs, "{\"keys\":[{\"type\":\"foo\"}]}",
         "Parameter 'type' does not accept value 'foo'");
    same(&qtype_SendKeyArgs, "{\"keys\":[{\"type\":\"qcode\"}]}",
         "Parameter 'keys[0].data' is missing");
    same(&qtype_SendKeyArgs, "{\"keys\":[{\"type\":\"number\",\"data\":\"1\"}]}",
         "Invalid parameter type for 'keys[0].data', expected: integer");
    same(&qtype_SendKeyArgs, "{\"keys\":[],\"hold-time\":1.5}",
         "Invalid parameter type for 'hold-time', expected: integer");
    same(&qtype_SendKeyArgs, "{\"keys\":[],\"x\":1}", "Parameter 'x' is unexpected");
    same(&qtype_StatusInfo, "{\"running\":1}",
         "Invalid parameter type for 'running', expected: boolean");
    same(&qtype_NameInfo, "{\"name\":null}", "Invalid parameter type for 'name', expected: string");
    same(&qtype_NameInfo, "{\"name\":\"a\\u0000b\"}",
         "Parameter 'name' expects a string without NUL characters");
    same(&qtype_VersionInfo, "{\"qemu\":[],\"package\":\"\"}",
         "Invalid parameter type for 'qemu', expected: object");
    same(&qtype_InetSocketAddress, "{\"host\":\"h\",\"port\":\"1\",\"to\":65536}",
         "Parameter 'to' expects uint16_t");
    same(&qtype_IntWrapper, "{\"data\":9223372036854775808}", "Parameter 'data' expects int64_t");
    same(&qtype_QmpCapabilitiesArgs, "{\"enable\":[\"oob\",\"foo\"]}",
         "Parameter 'enable[1]' does not accept value 'foo'");
}
END_TEST

START_TEST(text)
{
    same_text(&qtype_InetSocketAddress, "host=h,port=80,to=0x51,ipv6=off",
              "{\"host\": \"h\", \"port\": \"80\", \"to\": 81, \"ipv6\": false}");
    same_text(&qtype_MemoryInfo, "base-memory=1.5G", "{\"base-memory\": 1610612736}");
    same_text(&qtype_InetSocketAddress, "host=h,port=80,ipv4=maybe",
              "Parameter 'ipv4' expects 'on' or 'off'");
    same_text(&qtype_InetSocketAddress, "host=h,port=80,to=x", "Parameter 'to' expects integer");
    same_text(&qtype_InetSocketAddress, "host=h,port=80,to=-1", "Parameter 'to' expects uint16_t");
    same_text(&qtype_SendKeyArgs, "keys.0.type=qcode,keys.0.data=a",
              "{\"keys\": [{\"type\": \"qcode\", \"data\": \"a\"}]}");
}
END_TEST

static GString *seen;
static void sink(const QEvent *event, json_object *data)
{
    g_autofree char *text = data ? json_text(data) : g_strdup("-");
    g_string_append_printf(seen, "%s %s;", event->name, text);
    json_object_put(data);
}

START_TEST(events)
{
    seen = g_string_new(NULL);
    event_stop(); /* no sink: nothing happens */
    qapi_event_sink = sink;
    loop_main();
    loop_lock();
    event_stop();
    event_shutdown(true, Q_SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    event_device_deleted(NULL, "/machine/x");
    event_device_deleted("id", "/machine/x");
    loop_unlock();
    ck_assert_str_eq(seen->str, "STOP -;SHUTDOWN {\"guest\": true, \"reason\": \"guest-shutdown\"};"
                                "DEVICE_DELETED {\"path\": \"/machine/x\"};"
                                "DEVICE_DELETED {\"device\": \"id\", \"path\": \"/machine/x\"};");
    g_string_free(seen, TRUE);
}
END_TEST

/* Every list of the schema names types that a reader can find, and member names are unique. */
START_TEST(tables)
{
    for (unsigned i = 0; qapi_types[i]; i++) {
        const QType *t = qapi_types[i];
        for (unsigned a = 0; a < t->n_members; a++) {
            ck_assert_ptr_nonnull(t->members[a].type);
            for (unsigned b = 0; b < a; b++) {
                ck_assert_str_ne(t->members[a].name, t->members[b].name);
            }
        }
        for (unsigned v = 0; v < t->n_values; v++) {
            ck_assert_int_eq(qtype_enum_find(t, t->values[v]), (int)v);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("qapi");
    TCase *tc = tcase_create("qapi");
    tcase_add_test(tc, structs);
    tcase_add_test(tc, unions);
    tcase_add_test(tc, messages);
    tcase_add_test(tc, text);
    tcase_add_test(tc, events);
    tcase_add_test(tc, tables);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
