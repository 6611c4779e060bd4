/* The QMP server and the human monitor over a back end made of buffers: greeting, negotiation,
 * errors, ids, out-of-band, floods, events, slow clients, line editing. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "char/char.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "hw/machine.h"
#include "qapi/dispatch.h"
#include "qapi/hmp.h"
#include "qapi/hmp-internal.h"
#include "qapi/qmp.h"
#include "qapi/schema/qapi-commands.h"
#include "qapi/schema/qapi-events.h"

/* ---- A back end whose other side is the test ---- */

typedef struct Wire {
    Char base;
    GString *got;
    size_t room; /* bytes that it still takes */
} Wire;

static size_t wire_write(Char *c, const uint8_t *buf, size_t len)
{
    Wire *w = (Wire *)c;
    size_t n = MIN(len, w->room);
    g_string_append_len(w->got, (const char *)buf, (gssize)n);
    w->room -= n;
    return n;
}

static const CharClass wire_class = {.name = "wire", .size = sizeof(Wire), .write = wire_write};

static Wire *wire_new(const char *id)
{
    Wire *w = g_new0(Wire, 1);
    w->base.class = &wire_class;
    w->base.id = g_strdup(id);
    w->base.pending = g_byte_array_new();
    w->base.logfd = -1;
    w->base.open = true;
    w->got = g_string_new(NULL);
    w->room = SIZE_MAX;
    return w;
}

static void wire_free(Wire *w)
{
    g_byte_array_unref(w->base.pending);
    g_string_free(w->got, TRUE);
    g_free(w->base.id);
    g_free(w);
}

static void wire_send(Wire *w, const char *text, size_t len)
{
    while (len) {
        size_t n = MIN(len, char_can_receive(&w->base));
        ck_assert_uint_gt(n, 0);
        char_receive(&w->base, (const uint8_t *)text, n);
        text += n;
        len -= n;
    }
}

/* What came since the last call. */
static char *wire_take(Wire *w)
{
    char *text = g_strdup(w->got->str);
    g_string_truncate(w->got, 0);
    return text;
}

static void expect(Wire *w, const char *send, const char *answer)
{
    wire_send(w, send, strlen(send));
    g_autofree char *got = wire_take(w);
    ck_assert_str_eq(got, answer);
}

#define ERR(class, text) "{\"error\": {\"class\": \"" class "\", \"desc\": \"" text "\"}}\r\n"
#define OK               "{\"return\": {}}\r\n"
#define GREETING                                                                                   \
    "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 0}, \"package\": " \
    "\"ostler " OSTLER_VERSION "\"}, \"capabilities\": [\"oob\"]}}\r\n"

static Wire *wire;

static void setup(void)
{
    loop_main();
    loop_lock();
    machine_init();
    qmp_init();
    qmp_start();
    wire = wire_new("m0");
    ck_assert(qmp_monitor_new(&wire->base, false, NULL));
}

static Wire *ready(void)
{
    g_free(wire_take(wire));
    expect(wire, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}", OK);
    return wire;
}

START_TEST(negotiation)
{
    expect(wire, "", GREETING);
    expect(wire, "{\"execute\":\"query-status\"}",
           ERR("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'"));
    expect(wire, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"foo\"]}}",
           ERR("GenericError", "Parameter 'enable[0]' does not accept value 'foo'"));
    expect(wire, "{\"execute\":\"qmp_capabilities\"}", OK);
    expect(wire, "{\"execute\":\"qmp_capabilities\"}",
           ERR("CommandNotFound", "Capabilities negotiation is already complete, command ignored"));
    expect(wire, "{\"exec-oob\":\"query-yank\"}",
           ERR("GenericError", "QMP input member 'exec-oob' is unexpected"));
    char_event(&wire->base, CHAR_CLOSED);
    char_event(&wire->base, CHAR_OPENED);
    expect(wire, "", GREETING);
    expect(wire, "{\"execute\":\"query-status\"}",
           ERR("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'"));
}
END_TEST

START_TEST(requests)
{
    Wire *w = ready();
    expect(w, "{\"execute\":\"query-name\",\"id\":5}\n", "{\"return\": {}, \"id\": 5}\r\n");
    expect(w, "{\"execute\":\"nope\",\"id\":{\"x\":[1]}}",
           "{\"id\": {\"x\": [1]}, \"error\": {\"class\": \"CommandNotFound\", \"desc\": "
           "\"The command nope has not been found\"}}\r\n");
    expect(w, "[1]", ERR("GenericError", "QMP input must be a JSON object"));
    expect(w, "1\n", ERR("GenericError", "QMP input must be a JSON object"));
    expect(w, "{\"arguments\":{}}", ERR("GenericError", "QMP input lacks member 'execute'"));
    expect(w, "{\"execute\":1}",
           ERR("GenericError", "QMP input member 'execute' must be a string"));
    expect(w, "{\"execute\":\"stop\",\"foo\":1}",
           ERR("GenericError", "QMP input member 'foo' is unexpected"));
    expect(w, "{\"execute\":\"stop\",\"arguments\":[]}",
           ERR("GenericError", "QMP input member 'arguments' must be an object"));
    expect(w, "{\"execute\":\"stop\",\"arguments\":{\"a\":1}}",
           ERR("GenericError", "Parameter 'a' is unexpected"));
    expect(w, "{\"execute\":\"human-monitor-command\"}",
           ERR("GenericError", "Parameter 'command-line' is missing"));
    expect(w, "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":1}}",
           ERR("GenericError", "Invalid parameter type for 'command-line', expected: string"));
    expect(w, "{\"exec-oob\":\"query-yank\",\"id\":1}", "{\"return\": [], \"id\": 1}\r\n");
    expect(w, "{\"exec-oob\":\"stop\"}",
           ERR("GenericError", "The command stop does not support OOB"));
    expect(w, "{\"exec-oob\":\"stop\",\"execute\":\"stop\"}",
           ERR("GenericError", "QMP input member 'execute' clashes with 'exec-oob'"));
    expect(w, "{\"execute\":\"query-target\"}{\"execute\":\"query-name\"}\r\n",
           "{\"return\": {\"arch\": \"x86_64\"}}\r\n" OK);
    expect(w, "{\"execute\":", "");
    expect(w, "\"query-name\"}", OK);
    qmp_preconfig = true;
    expect(w, "{\"execute\":\"stop\"}",
           ERR("GenericError",
               "The command 'stop' is permitted only after machine initialization has completed"));
    expect(w, "{\"execute\":\"query-name\"}", OK);
    qmp_preconfig = false;
}
END_TEST

static void count_errors(Wire *w, const char *prefix)
{
    g_autofree char *got = wire_take(w);
    ck_assert_msg(
        g_str_has_prefix(
            got, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON "),
        "%s: %.100s", prefix, got);
    ck_assert_ptr_eq(strstr(got, "\r\n") + 2, got + strlen(got));
    expect(w, "{\"execute\":\"query-name\"}\n", OK);
}

START_TEST(nonsense)
{
    static const char *const bad[] = {
        "{foo}\n", "{\"a\":1,}\n", "{]\n", "\"abc\n", "{\"execute\"\n\x01", "\xfe\n", "{'a' 'b'}"};
    Wire *w = ready();
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        wire_send(w, bad[i], strlen(bad[i]));
        count_errors(w, bad[i]);
    }
    GString *deep = g_string_new(NULL);
    for (int i = 0; i < 100000; i++) {
        g_string_append(deep, "[{\"a\":");
    }
    g_string_append_c(deep, '\n');
    wire_send(w, deep->str, deep->len);
    count_errors(w, "deep");
    g_string_free(deep, TRUE);
}
END_TEST

/* 100 MB without a line end are one error, and the session goes on. */
START_TEST(flood)
{
    Wire *w = ready();
    static char block[1 << 20];
    memset(block, 'a', sizeof(block));
    wire_send(w, "{\"execute\":\"", 12);
    for (int i = 0; i < 100; i++) {
        wire_send(w, block, sizeof(block));
    }
    wire_send(w, "\n", 1);
    count_errors(w, "flood");
}
END_TEST

START_TEST(introspection)
{
    Wire *w = ready();
    json_object *schema, *value;
    ck_assert(qmp_call("query-qmp-schema", NULL, false, &schema, NULL));
    size_t n = json_object_array_length(schema);
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < n; i++) {
        json_object *e = json_object_array_get_idx(schema, i);
        ck_assert(json_object_object_get_ex(e, "name", &value));
        ck_assert(g_hash_table_add(names, (char *)json_object_get_string(value)));
    }
    static const char *const refs[] = {"arg-type", "ret-type", "element-type"};
    for (size_t i = 0; i < n; i++) { /* every type that is mentioned is described */
        json_object *e = json_object_array_get_idx(schema, i);
        for (unsigned r = 0; r < G_N_ELEMENTS(refs); r++) {
            if (json_object_object_get_ex(e, refs[r], &value)) {
                ck_assert(g_hash_table_contains(names, json_object_get_string(value)));
            }
        }
        if (json_object_object_get_ex(e, "members", &value)) {
            for (size_t m = 0; m < json_object_array_length(value); m++) {
                json_object *type;
                if (json_object_object_get_ex(json_object_array_get_idx(value, m), "type", &type)) {
                    ck_assert(g_hash_table_contains(names, json_object_get_string(type)));
                }
            }
        }
    }
    ck_assert(g_hash_table_contains(names, "device_add") &&
              g_hash_table_contains(names, "SHUTDOWN"));
    ck_assert(!g_hash_table_contains(names, "StatusInfo"));
    json_object_put(schema);
    for (size_t i = 0; i + 1 < qapi_command_count; i++) {
        ck_assert_int_lt(strcmp(qapi_commands[i].name, qapi_commands[i + 1].name), 0);
    }
    expect(w, "{\"execute\":\"query-name\"}", OK);
}
END_TEST

/* An event's text behind its timestamp. */
static void expect_event(Wire *w, const char *tail)
{
    g_autofree char *got = wire_take(w);
    ck_assert_msg(g_str_has_prefix(got, "{\"timestamp\": {\"seconds\": "), "%s", got);
    const char *rest = strstr(got, ", \"event\"");
    ck_assert_ptr_nonnull(rest);
    ck_assert_str_eq(rest, tail);
}

START_TEST(events)
{
    Wire *other = wire_new("m1");
    ck_assert(qmp_monitor_new(&other->base, false, NULL));
    g_free(wire_take(other));
    Wire *w = ready();
    event_stop();
    expect_event(w, ", \"event\": \"STOP\"}\r\n");
    ck_assert_str_eq(other->got->str, ""); /* not negotiated */
    expect(other, "{\"execute\":\"qmp_capabilities\"}", OK);
    run_events.shutdown(true, CAUSE_GUEST_SHUTDOWN);
    expect_event(w, ", \"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": "
                    "\"guest-shutdown\"}}\r\n");
    expect_event(other, ", \"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": "
                        "\"guest-shutdown\"}}\r\n");
}
END_TEST

START_TEST(rates)
{
    Wire *w = ready();
    event_rtc_change(1, "/rtc");
    expect_event(
        w, ", \"event\": \"RTC_CHANGE\", \"data\": {\"offset\": 1, \"qom-path\": \"/rtc\"}}\r\n");
    event_rtc_change(2, "/rtc");
    event_rtc_change(3, "/rtc");
    event_vserport_change("a", true); /* limited for each id */
    event_vserport_change("b", true);
    g_autofree char *got = wire_take(w);
    ck_assert_ptr_nonnull(strstr(got, "\"id\": \"a\""));
    ck_assert_ptr_nonnull(strstr(got, "\"id\": \"b\""));
    ck_assert_ptr_null(strstr(got, "RTC_CHANGE"));
    for (int64_t end = clock_now(CLOCK_RT) + 3 * NS_PER_SECOND;
         !w->got->len && clock_now(CLOCK_RT) < end;) {
        g_usleep(20000);
        clock_run_due();
    }
    expect_event(
        w, ", \"event\": \"RTC_CHANGE\", \"data\": {\"offset\": 3, \"qom-path\": \"/rtc\"}}\r\n");
}
END_TEST

/* A client that does not read keeps no more than a little more than OUTPUT_HIGH waiting, and is
 * served when it reads. */
START_TEST(slow)
{
    Wire *w = ready();
    w->room = 10;
    unsigned sent = 0;
    while (char_can_receive(&w->base)) {
        const char *text = "{\"execute\":\"query-qmp-schema\"}\n";
        char_receive(&w->base, (const uint8_t *)text, strlen(text));
        ck_assert_uint_lt(++sent, 1000);
    }
    ck_assert_uint_eq(w->got->len, 10);
    event_stop();
    w->room = SIZE_MAX;
    char_writable(&w->base);
    ck_assert_uint_gt(char_can_receive(&w->base), 0);
    unsigned lines = 0;
    for (const char *p = w->got->str; (p = strstr(p, "\r\n")); p++) {
        lines++;
    }
    ck_assert_uint_eq(lines, sent + 1);
}
END_TEST

START_TEST(types)
{
    Wire *w = ready();
    expect(w, "{\"execute\":\"device_add\",\"arguments\":{}}",
           ERR("GenericError", "Parameter 'driver' is missing"));
    expect(w, "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"zz\"}}",
           ERR("GenericError", "'zz' is not a valid device model name"));
    expect(w, "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"zz\"}}",
           ERR("DeviceNotFound", "Device 'zz' not found"));
    expect(w, "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/foo\",\"property\":\"a\"}}",
           ERR("DeviceNotFound", "Device '/foo' not found"));
    expect(w,
           "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine\",\"property\":\"graphics\"}}",
           "{\"return\": true}\r\n");
    expect(w, "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine\",\"property\":\"zz\"}}",
           ERR("GenericError", "Property 'machine.zz' not found"));
    expect(w,
           "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/"
           "peripheral\",\"property\":\"type\"}}",
           "{\"return\": \"container\"}\r\n");
    expect(w, "{\"execute\":\"device-list-properties\",\"arguments\":{\"typename\":\"zz\"}}",
           ERR("DeviceNotFound", "Device 'zz' not found"));
    expect(w, "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/\"}}",
           "{\"return\": [{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"machine\", "
           "\"type\": \"child<machine>\"}, "
           "{\"name\": \"backend\", \"type\": \"child<container>\"}, "
           "{\"name\": \"chardevs\", \"type\": \"child<container>\"}, "
           "{\"name\": \"objects\", \"type\": \"child<container>\"}]}\r\n");
    json_object *args, *list, *value;
    ck_assert(json_parse("{\"implements\":\"device\",\"abstract\":true}", &args, NULL));
    ck_assert(qmp_call("qom-list-types", args, false, &list, NULL));
    bool serial = false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object_object_get_ex(json_object_array_get_idx(list, i), "name", &value);
        serial |= !strcmp(json_object_get_string(value), "isa-serial");
        ck_assert_str_ne(json_object_get_string(value), "container");
    }
    ck_assert(serial);
    json_object_put(args);
    json_object_put(list);
    ck_assert(json_parse("{\"typename\":\"isa-serial\"}", &args, NULL));
    ck_assert(qmp_call("device-list-properties", args, false, &list, NULL));
    g_autofree char *text = json_text(list);
    ck_assert_ptr_nonnull(strstr(text, "{\"name\": \"chardev\", \"type\": \"str\""));
    ck_assert_ptr_null(strstr(text, "realized"));
    json_object_put(args);
    json_object_put(list);
}
END_TEST

/* A device of a board and one of a user, as management tools find them. */
START_TEST(tree)
{
    Wire *w = ready();
    Device *board = device_new(device_class_find("serial"), NULL);
    ck_assert(device_realize(board, NULL, NULL));
    device_creation_by_user = true;
    Device *user = device_new(device_class_find("serial"), "com");
    ck_assert(device_realize(user, NULL, NULL));
    device_creation_by_user = false;
    g_autofree char *get = g_strdup_printf(
        "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"%s\",\"property\":\"type\"}}",
        board->path);
    ck_assert(g_str_has_prefix(board->path, "/machine/unattached/device["));
    expect(w, get, "{\"return\": \"serial\"}\r\n");
    expect(w, "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral\"}}",
           "{\"return\": [{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"com\", "
           "\"type\": \"child<serial>\"}]}\r\n");
    expect(w,
           "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"com\",\"property\":\"realized\"}}",
           "{\"return\": true}\r\n");
    expect(w,
           "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"com\",\"property\":\"realized\","
           "\"value\":false}}",
           ERR("GenericError",
               "Insufficient permission to perform this operation on property 'serial.realized'"));
    expect(w,
           "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/"
           "peripheral\",\"property\":\"com\"}}",
           "{\"return\": \"/machine/peripheral/com\"}\r\n");
    expect(w, "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"com\"}}",
           ERR("GenericError", "Device 'serial' does not support hotplugging"));
    device_free(user);
    expect(w, "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"com\"}}",
           ERR("DeviceNotFound", "Device 'com' not found"));
    device_free(board);
}
END_TEST

START_TEST(chardevs)
{
    Wire *w = ready();
    expect(w,
           "{\"execute\":\"chardev-add\",\"arguments\":{\"id\":\"r\",\"backend\":{\"type\":"
           "\"ringbuf\",\"data\":{\"size\":16}}}}",
           OK);
    expect(w,
           "{\"execute\":\"chardev-add\",\"arguments\":{\"id\":\"r\",\"backend\":{\"type\":"
           "\"null\",\"data\":{}}}}",
           ERR("GenericError", "Chardev with id 'r' already exists"));
    expect(w, "{\"execute\":\"ringbuf-write\",\"arguments\":{\"device\":\"r\",\"data\":\"hello\"}}",
           OK);
    expect(w, "{\"execute\":\"ringbuf-read\",\"arguments\":{\"device\":\"r\",\"size\":3}}",
           "{\"return\": \"hel\"}\r\n");
    expect(w,
           "{\"execute\":\"ringbuf-read\",\"arguments\":{\"device\":\"r\",\"size\":30,\"format\":"
           "\"base64\"}}",
           "{\"return\": \"bG8=\"}\r\n");
    expect(w, "{\"execute\":\"ringbuf-read\",\"arguments\":{\"device\":\"r\",\"size\":0}}",
           ERR("GenericError", "size must be greater than zero"));
    expect(w, "{\"execute\":\"chardev-remove\",\"arguments\":{\"id\":\"r\"}}", OK);
    expect(w, "{\"execute\":\"chardev-remove\",\"arguments\":{\"id\":\"r\"}}",
           ERR("GenericError", "Chardev 'r' not found"));
    expect(w, "{\"execute\":\"closefd\",\"arguments\":{\"fdname\":\"a\"}}",
           ERR("GenericError", "File descriptor named 'a' not found"));
    expect(w, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"a\"}}",
           ERR("GenericError", "No file descriptor supplied via SCM_RIGHTS"));
}
END_TEST

/* Options of the command line go through the same tables. */
START_TEST(options)
{
    QInetSocketAddress a;
    bool help;
    g_autoptr(GError) error = NULL;
    ck_assert(
        qmp_parse_option(&qtype_InetSocketAddress, "h,port=1,to=5", "host", &a, &help, &error));
    ck_assert(!help && a.has_to && a.to == 5 && !a.has_ipv4);
    ck_assert_str_eq(a.host, "h");
    qtype_free(&qtype_InetSocketAddress, &a);
    ck_assert(qmp_parse_option(&qtype_InetSocketAddress, "help", "host", &a, &help, &error) &&
              help);
    ck_assert(!qmp_parse_option(&qtype_InetSocketAddress, "h,to=5", "host", &a, &help, &error));
    ck_assert_str_eq(error->message, "Parameter 'port' is missing");
    g_clear_error(&error);
    g_autofree char *text = qmp_type_help(&qtype_InetSocketAddress);
    ck_assert_ptr_nonnull(strstr(text, "  host=<string> "));
    ck_assert_ptr_nonnull(strstr(text, "name or address"));

    g_autoptr(KeyVal) kv = keyval_parse("zz,id=a,iobase=1", "driver", NULL);
    ck_assert(!qmp_call_keyval("device_add", kv, &error));
    ck_assert_str_eq(error->message, "'zz' is not a valid device model name");
    g_clear_error(&error);
    g_autoptr(KeyVal) action = keyval_parse("reboot=shutdown,panic=none", NULL, NULL);
    ck_assert(qmp_call_keyval("set-action", action, &error));
    ck_assert(run_actions.reboot == REBOOT_SHUTDOWN && run_actions.panic == PANIC_NONE);
}
END_TEST

/* ---- The human monitor ---- */

static void hmp(const char *line, const char *output)
{
    g_autofree char *got = hmp_execute(line, -1);
    ck_assert_str_eq(got, output);
}

START_TEST(human_commands)
{
    hmp("", "");
    hmp("foo 1", "unknown command: 'foo'\r\n");
    hmp("info foo", "unknown command: 'info foo'\r\n");
    hmp("info status", "VM status: paused (prelaunch)\r\n");
    hmp("info uuid", "00000000-0000-0000-0000-000000000000\r\n");
    hmp("p 1+2*3", "0x7\r\n");
    hmp("p/d (0x10-1)&0xc|1", "13\r\n");
    hmp("p /x 0x1234", "0x1234\r\n");
    hmp("p /c 'A'", "'A'\r\n");
    hmp("print/d -5/2", "-2\r\n");
    hmp("p 1/0", "division by zero\r\nTry \"help print\" for more information\r\n");
    hmp("p (1", "')' expected\r\nTry \"help print\" for more information\r\n");
    hmp("stop 1", "stop|s: extraneous characters at the end of line\r\nTry \"help stop\" for more "
                  "information\r\n");
    hmp("screendump",
        "screendump: filename expected\r\nTry \"help screendump\" for more information\r\n");
    hmp("sendkey foo", "invalid parameter: foo\r\n");
    hmp("boot_set nc", "boot device list now set to nc\r\n");
    ck_assert_str_eq(machine.boot_order, "nc");
    hmp("boot_set cc", "Error: Invalid boot device for PC: 'c'\r\n");
    hmp("device_del zz", "Error: Device 'zz' not found\r\n");
    hmp("device_add zz", "Error: 'zz' is not a valid device model name\r\n");
    hmp("qom-get /machine graphics", "true\r\n");
    hmp("help x", "x /fmt addr -- show memory at a virtual address\r\n");
    hmp("xp/2xw 0x0", "0000000000000000: Cannot access memory\r\n");
}
END_TEST

START_TEST(registers)
{
    CpuState s = {0};
    uint64_t v;
    s.gpr[CPU_RAX] = 0x123456789abcdef0;
    s.gpr[CPU_R15] = 15;
    s.rip = 0xfff0;
    s.seg[SEG_CS] = (Segment){.base = 0xf0000, .selector = 0xf000, .limit = 0xffff};
    ck_assert(hmp_register(&s, "rax", &v) && v == 0x123456789abcdef0);
    ck_assert(hmp_register(&s, "eax", &v) && v == 0x9abcdef0);
    ck_assert(hmp_register(&s, "r15", &v) && v == 15);
    ck_assert(hmp_register(&s, "eip", &v) && v == 0xfff0);
    ck_assert(hmp_register(&s, "pc", &v) && v == 0xffff0); /* linear, for x/i $pc */
    ck_assert(hmp_register(&s, "cs", &v) && v == 0xf000);
    ck_assert(hmp_register(&s, "cs.base", &v) && v == 0xf0000);
    ck_assert(!hmp_register(&s, "r16", &v) && !hmp_register(&s, "cs.x", &v) &&
              !hmp_register(&s, "", &v));
}
END_TEST

START_TEST(human_editing)
{
    Wire *w = wire_new("h");
    ck_assert(hmp_monitor_new(&w->base, true, NULL));
    g_autofree char *banner = wire_take(w);
    ck_assert_str_eq(banner,
                     "QEMU 7.2.0 monitor - type 'help' for more information\r\n\r(qemu) \033[K");
    expect(w, "info uuid\n",
           "info uuid\r\n00000000-0000-0000-0000-000000000000\r\n\r(qemu) \033[K");
    wire_send(w,
              "p 8\x01\x0b"
              "p 7\x02",
              9); /* ^A ^K, then one to the left */
    g_free(wire_take(w));
    wire_send(w, "1\r\n", 3);
    g_autofree char *sum = wire_take(w);
    ck_assert_msg(strstr(sum, "\r\n0x11\r\n"), "%s", sum); /* p 17 */
    wire_send(w, "\033[A\033[A\033[B\n", 10);              /* up, up, down: the last line again */
    g_autofree char *again = wire_take(w);
    ck_assert_msg(strstr(again, "\r\n0x11\r\n"), "%s", again);
    wire_send(w, "system_po\t\x15", 11);
    g_autofree char *completed = wire_take(w);
    ck_assert_ptr_nonnull(strstr(completed, "system_powerdown "));
    hmp_monitors_free();
    wire_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("qmp");
    TCase *tc = tcase_create("qmp");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, negotiation);
    tcase_add_test(tc, requests);
    tcase_add_test(tc, nonsense);
    tcase_add_test(tc, flood);
    tcase_add_test(tc, introspection);
    tcase_add_test(tc, events);
    tcase_add_test(tc, rates);
    tcase_add_test(tc, slow);
    tcase_add_test(tc, types);
    tcase_add_test(tc, tree);
    tcase_add_test(tc, chardevs);
    tcase_add_test(tc, options);
    tcase_add_test(tc, human_commands);
    tcase_add_test(tc, registers);
    tcase_add_test(tc, human_editing);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
