/* The human monitor's commands other than `info`; most are a QMP command in other clothes. */
#include <inttypes.h>
#include <string.h>

#include "core/error.h"
#include "core/keyval.h"
#include "core/json.h"
#include "core/log.h"
#include "core/options.h"
#include "gdbstub/gdbstub.h"
#include "hw/machine.h"
#include "hw/qom.h"
#include "qapi/dispatch.h"
#include "qapi/hmp-internal.h"
#include "qapi/schema/qapi-commands.h"
#include "ui/input.h"

/* ---- help ---- */

static void help_line(Hmp *h, const char *prefix, const HmpCommand *c)
{
    hmp_print(h, "%s%s %s -- %s\n", prefix, c->name, c->params, c->help);
}

static bool named(const HmpCommand *c, const char *name)
{
    g_auto(GStrv) names = g_strsplit(c->name, "|", -1);
    return g_strv_contains((const char *const *)names, name);
}

static void cmd_help(Hmp *h, const HmpArgs *a)
{
    const char *name = hmp_text(a, "name");
    g_auto(GStrv) words = g_strsplit_set(name ? name : "", " \t", 2);
    bool info = name && !strcmp(words[0], "info");
    if (info) {
        for (const HmpCommand *c = hmp_info_commands; c->name; c++) {
            if (!words[1] || !*words[1] || named(c, g_strstrip(words[1]))) {
                help_line(h, "info ", c);
            }
        }
        return;
    }
    bool known = !name;
    for (const HmpCommand *c = hmp_commands; c->name; c++) {
        if (!name || named(c, name)) {
            help_line(h, "", c);
            known = true;
        }
    }
    if (!known) {
        hmp_print(h, "unknown command: '%s'\n", name);
    }
    if (name && !strcmp(name, "log")) {
        g_autofree char *items = log_help();
        hmp_print(h, "%s", items);
    }
}

static void cmd_info(Hmp *h, const HmpArgs *a)
{
    for (const HmpCommand *c = hmp_info_commands; c->name; c++) {
        help_line(h, "info ", c);
    }
}

/* ---- Running ---- */

static void cmd_cpu(Hmp *h, const HmpArgs *a)
{
    int64_t index = hmp_number(a, "index", 0);
    if (hmp_cpu_valid(index)) {
        h->cpu = (int)index;
    } else {
        hmp_print(h, "invalid CPU index\n");
    }
}

/* The firmware reads the order at every start, so it counts from the next reset on. */
static void cmd_boot_set(Hmp *h, const HmpArgs *a)
{
    const char *order = hmp_text(a, "bootdevice");
    for (const char *p = order; *p; p++) {
        if (!strchr("abcdn", *p) || strchr(p + 1, *p)) {
            hmp_print(h, "Error: Invalid boot device for PC: '%c'\n", *p);
            return;
        }
    }
    g_free(machine.boot_order);
    machine.boot_order = g_strdup(order);
    hmp_print(h, "boot device list now set to %s\n", order);
}

static void cmd_watchdog(Hmp *h, const HmpArgs *a)
{
    int action = qtype_enum_find(&qtype_WatchdogAction, hmp_text(a, "action"));
    if (action < 0) {
        hmp_print(h, "Unknown watchdog action '%s'\n", hmp_text(a, "action"));
        return;
    }
    hmp_qmp(h, "watchdog-set-action", &(WatchdogSetActionArgs){.action = (QWatchdogAction)action});
}

/* ---- Screen, keys, mouse ---- */

static void cmd_screendump(Hmp *h, const HmpArgs *a)
{
    ScreendumpArgs s = {.filename = (char *)hmp_text(a, "filename"),
                        .device = (char *)hmp_text(a, "device")};
    const char *format = hmp_text(a, "format");
    int value = format ? qtype_enum_find(&qtype_ImageFormat, format) : 0;
    if (value < 0) {
        hmp_print(h, "Error: Parameter 'format' does not accept value '%s'\n", format);
        return;
    }
    s.has_format = format;
    s.format = (QImageFormat)value;
    s.has_head = hmp_text(a, "device") && hmp_number(a, "head", 0);
    s.head = hmp_number(a, "head", 0);
    hmp_qmp(h, "screendump", &s);
}

static void cmd_sendkey(Hmp *h, const HmpArgs *a)
{
    g_auto(GStrv) names = g_strsplit(hmp_text(a, "keys"), "-", -1);
    SendKeyArgs args = {.has_hold_time = hmp_number(a, "hold-time", -1) >= 0,
                        .hold_time = hmp_number(a, "hold-time", 0)};
    bool ok = true;
    for (char **n = names; ok && *n; n++) {
        QKeyValue *k = QLIST_ADD(&args.keys);
        int code = !strcmp(*n, "<") ? (int)KEY_LESS : key_find(*n);
        char *end;
        uint64_t number = g_ascii_strtoull(*n, &end, 0);
        if (code >= 0) {
            k->type = Q_KEY_VALUE_KIND_QCODE;
            k->u.qcode.data = (QQKeyCode)code;
        } else if (g_str_has_prefix(*n, "0x") && !*end) {
            k->type = Q_KEY_VALUE_KIND_NUMBER;
            k->u.number.data = (int64_t)number;
        } else {
            hmp_print(h, "invalid parameter: %s\n", *n);
            ok = false;
        }
    }
    if (ok) {
        hmp_qmp(h, "send-key", &args);
    }
    g_free(args.keys.at);
}

static void cmd_mouse_move(Hmp *h, const HmpArgs *a)
{
    input_rel(AXIS_X, (int)hmp_number(a, "dx", 0));
    input_rel(AXIS_Y, (int)hmp_number(a, "dy", 0));
    int64_t dz = hmp_number(a, "dz", 0);
    if (dz) {
        PointerButton wheel = dz > 0 ? BUTTON_WHEEL_UP : BUTTON_WHEEL_DOWN;
        input_button(wheel, true);
        input_sync();
        input_button(wheel, false);
    }
    input_sync();
}

static void cmd_mouse_button(Hmp *h, const HmpArgs *a)
{
    static int64_t last;
    static const PointerButton buttons[] = {BUTTON_LEFT, BUTTON_RIGHT, BUTTON_MIDDLE};
    int64_t state = hmp_number(a, "button_state", 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(buttons); i++) {
        if ((state ^ last) >> i & 1) {
            input_button(buttons[i], state >> i & 1);
        }
    }
    last = state;
    input_sync();
}

/* ---- Memory to files ---- */

static void cmd_memsave(Hmp *h, const HmpArgs *a)
{
    MemsaveArgs m = {hmp_number(a, "val", 0), hmp_number(a, "size", 0),
                     (char *)hmp_text(a, "filename"), true, MAX(h->cpu, 0)};
    hmp_qmp(h, "memsave", &m);
}

static void cmd_pmemsave(Hmp *h, const HmpArgs *a)
{
    PmemsaveArgs m = {hmp_number(a, "val", 0), hmp_number(a, "size", 0),
                      (char *)hmp_text(a, "filename")};
    hmp_qmp(h, "pmemsave", &m);
}

/* A size in MiB, or with a suffix. */
static bool size_argument(Hmp *h, const HmpArgs *a, const char *name, int64_t *size)
{
    uint64_t bytes;
    if (!row_parse_size(hmp_text(a, name), 'M', &bytes) || bytes > INT64_MAX) {
        hmp_print(h, "Error: '%s' is no size, expected: a number of MiB, or one with a suffix such as 64K or 2G\n",
                  hmp_text(a, name));
        return false;
    }
    *size = (int64_t)bytes;
    return true;
}

static void cmd_balloon(Hmp *h, const HmpArgs *a)
{
    BalloonArgs b = {0};
    if (size_argument(h, a, "value", &b.value)) {
        hmp_qmp(h, "balloon", &b);
    }
}

/* ---- Drives and character back ends ---- */

static void cmd_block_resize(Hmp *h, const HmpArgs *a)
{
    BlockResizeArgs r = {.device = (char *)hmp_text(a, "device")};
    if (size_argument(h, a, "size", &r.size)) {
        hmp_qmp(h, "block_resize", &r);
    }
}

static void cmd_eject(Hmp *h, const HmpArgs *a)
{
    EjectArgs e = {
        .device = (char *)hmp_text(a, "device"), .has_force = true, .force = hmp_flag(a, "f")};
    hmp_qmp(h, "eject", &e);
}

static void cmd_change(Hmp *h, const HmpArgs *a)
{
    const char *mode = hmp_text(a, "read-only-mode");
    int value = mode ? qtype_enum_find(&qtype_BlockdevChangeReadOnlyMode, mode) : 0;
    if (value < 0) {
        hmp_print(h, "Error: Parameter 'read-only-mode' does not accept value '%s'\n", mode);
        return;
    }
    BlockdevChangeMediumArgs c = {.device = (char *)hmp_text(a, "device"),
                                  .filename = (char *)hmp_text(a, "target"),
                                  .format = (char *)hmp_text(a, "format"),
                                  .has_force = true,
                                  .force = hmp_flag(a, "f"),
                                  .has_read_only_mode = mode,
                                  .read_only_mode = (QBlockdevChangeReadOnlyMode)value};
    hmp_qmp(h, "blockdev-change-medium", &c);
}

static void cmd_chardev_add(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    g_autoptr(GHashTable) options = options_parse(hmp_text(a, "args"), "backend", &error);
    g_autofree char *kind = options ? options_take(options, "backend") : NULL;
    g_autofree char *id = options ? options_take(options, "id") : NULL;
    if (!error && (!kind || !id)) {
        error_fail(&error, "Parameter '%s' is missing", kind ? "id" : "backend");
    }
    if (!error) {
        char_new(kind, id, options, &error);
    }
    hmp_error(h, error);
}

static void cmd_chardev_remove(Hmp *h, const HmpArgs *a)
{
    hmp_qmp(h, "chardev-remove", &(ChardevRemoveArgs){(char *)hmp_text(a, "id")});
}

static void cmd_chardev_break(Hmp *h, const HmpArgs *a)
{
    hmp_qmp(h, "chardev-send-break", &(ChardevSendBreakArgs){(char *)hmp_text(a, "id")});
}

static void cmd_ringbuf_write(Hmp *h, const HmpArgs *a)
{
    hmp_qmp(h, "ringbuf-write",
            &(RingbufWriteArgs){.device = (char *)hmp_text(a, "device"),
                                .data = (char *)hmp_text(a, "data")});
}

static void cmd_ringbuf_read(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    g_autofree char *text = NULL;
    RingbufReadArgs r = {.device = (char *)hmp_text(a, "device"), .size = hmp_number(a, "size", 0)};
    if (!qmp_ringbuf_read(&r, &text, &error)) {
        hmp_error(h, error);
        return;
    }
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\\') {
            hmp_print(h, "\\\\");
        } else if ((c < 0x20 && c != '\n') || c == 0x7f) {
            hmp_print(h, "\\u%04X", c);
        } else {
            hmp_print(h, "%c", c);
        }
    }
    hmp_print(h, "\n");
}

/* ---- Devices and objects ---- */

static void cmd_device_add(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    g_autoptr(KeyVal) kv = keyval_parse(hmp_text(a, "device"), "driver", &error);
    if (kv && kv->help) {
        const char *driver = keyval_get(kv, "driver");
        const DeviceClass *class = driver ? device_class_find(driver) : NULL;
        if (class) {
            g_autofree char *text = device_class_help(class);
            hmp_print(h, "%s", text);
        } else {
            hmp_run(h, "info qdm");
        }
        return;
    }
    if (kv) {
        qmp_call_keyval("device_add", kv, &error);
    }
    hmp_error(h, error);
}

static void cmd_object_add(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    g_autoptr(KeyVal) kv = keyval_parse(hmp_text(a, "object"), "qom-type", &error);
    if (kv && kv->help) {
        const char *name = keyval_get(kv, "qom-type");
        const ObjectType *t = name ? object_type_find(name) : NULL;
        g_autofree char *text = t ? object_type_help(t) : object_types_help();
        hmp_print(h, "%s", text);
        return;
    }
    if (kv) {
        qmp_call_keyval("object-add", kv, &error);
    }
    hmp_error(h, error);
}

static void cmd_object_del(Hmp *h, const HmpArgs *a)
{
    hmp_qmp(h, "object-del", &(ObjectDelArgs){(char *)hmp_text(a, "id")});
}

static void cmd_device_del(Hmp *h, const HmpArgs *a)
{
    hmp_qmp(h, "device_del", &(DeviceDelArgs){(char *)hmp_text(a, "id")});
}

static void print_property(void *arg, const QomProperty *p)
{
    hmp_print(arg, "%s (%s)\n", p->name, p->type);
}

static void cmd_qom_list(Hmp *h, const HmpArgs *a)
{
    QomNode node;
    GError *error = NULL;
    if (!hmp_text(a, "path")) {
        hmp_print(h, "/\n");
    } else if (qom_find(hmp_text(a, "path"), &node, &error)) {
        qom_properties(&node, print_property, h);
    }
    hmp_error(h, error);
}

static void cmd_qom_get(Hmp *h, const HmpArgs *a)
{
    QomNode node;
    GError *error = NULL;
    json_object *value = qom_find(hmp_text(a, "path"), &node, &error)
                             ? qom_get(&node, hmp_text(a, "property"), &error)
                             : NULL;
    if (value) {
        GString *text = g_string_new(NULL);
        json_write(value, true, text);
        hmp_print(h, "%s\n", text->str);
        g_string_free(text, TRUE);
        json_object_put(value);
    }
    hmp_error(h, error);
}

static void cmd_qom_set(Hmp *h, const HmpArgs *a)
{
    QomNode node;
    GError *error = NULL;
    json_object *value = NULL;
    bool ok = qom_find(hmp_text(a, "path"), &node, &error);
    if (ok && hmp_flag(a, "j")) {
        ok = json_parse(hmp_text(a, "value"), &value, &error);
    } else if (ok) {
        value = json_object_new_string(hmp_text(a, "value"));
    }
    if (ok) {
        qom_set(&node, hmp_text(a, "property"), value, &error);
    }
    json_object_put(value);
    hmp_error(h, error);
}

/* ---- Logs ---- */

static void cmd_log(Hmp *h, const HmpArgs *a)
{
    bool help = false;
    GError *error = NULL;
    if (strstr(hmp_text(a, "items"), "trace:help")) {
        hmp_run(h, "info trace-events");
        return;
    }
    if (!log_set_items(hmp_text(a, "items"), &help, &error) || help) {
        g_autofree char *items = log_help();
        hmp_print(h, "%s", items);
        g_clear_error(&error);
    }
}

static void cmd_logfile(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    log_set_file(hmp_text(a, "filename"), &error);
    hmp_error(h, error);
}

/* ---- Debuggers ---- */

static void cmd_gdbserver(Hmp *h, const HmpArgs *a)
{
    const char *device = hmp_text(a, "device") ? hmp_text(a, "device") : "tcp::1234";
    GError *error = NULL;
    if (!gdbstub_start(device, &error)) {
        hmp_print(h, "Could not open gdbserver on device '%s'\n", device);
        hmp_error(h, error);
    } else if (!strcmp(device, "none")) {
        hmp_print(h, "Disabled gdbserver\n");
    } else {
        hmp_print(h, "Waiting for gdb connection on device '%s'\n", device);
    }
}

const HmpCommand hmp_commands[] = {
    {"balloon", "value:s", "target", "ask the guest to make do with so much memory (MiB)", cmd_balloon},
    {"block_resize", "device:s size:s", "device size", "another size for an image and its drive (MiB)",
     cmd_block_resize},
    {"boot_set", "bootdevice:s", "bootdevice", "another boot order, from the next reset on",
     cmd_boot_set},
    {"change", "-f device:s target:s format:s? read-only-mode:s?",
     "[-f] device filename [format [read-only-mode]]",
     "put another medium into a drive (-f: even when the guest locked it)", cmd_change},
    {"chardev-add", "args:S", "args", "new character back end, written as behind -chardev",
     cmd_chardev_add},
    {"chardev-remove", "id:s", "id", "drop a character back end that nothing uses",
     cmd_chardev_remove},
    {"chardev-send-break", "id:s", "id", "make a serial line's back end see a break",
     cmd_chardev_break},
    {"cont|c", "", "", "let the guest run", .qmp = "cont"},
    {"cpu", "index:i", "index", "the CPU that registers, memory dumps and 'info' are about",
     cmd_cpu},
    {"device_add", "device:S", "driver[,prop=value][,...]",
     "plug a device, written as behind -device", cmd_device_add},
    {"device_del", "id:s", "device", "ask the guest to give a device back", cmd_device_del},
    {"dump-guest-memory", "-p -d -z -l -s -w filename:s begin:i? length:i?",
     "[-p] [-d] [-z|-l|-s|-w] filename [begin length]",
     "write the guest's memory and registers into a file, an ELF core for gdb and crash (-p: by virtual addresses; -d: "
     "return at once; -z: kdump-compressed by zlib; -l, -s, -w: by LZO, by snappy, for Windows, which are not built; "
     "begin, length: only this physical memory)",
     hmp_dump},
    {"eject", "-f device:s", "[-f] device",
     "take the medium out of a drive (-f: though the guest locked it)", cmd_eject},
    {"gdbserver", "device:s?", "[device]",
     "wait for a debugger there (tcp::1234 unless told); 'none' ends that", cmd_gdbserver},
    {"find", "-p what:S",
     "[-p] [/[N][b|h|w|g]] start, +length|last, pattern[, pattern...]",
     "find what lies behind one another in virtual memory, running or not; patterns are values of the size bhwg (else 4 "
     "bytes, or 8), \"text\" and x\"0f af\" (-p: physical memory; N: how many to find, else 100)",
     hmp_find},
    {"gva2gpa", "addr:i", "addr", "where the page tables lead a virtual address", hmp_gva2gpa},
    {"help|?", "name:S?", "[cmd]", "this list, or one command's line of it", cmd_help},
    {"i", "/fmt:/ addr:i index:i?", "/fmt addr", "read a port", hmp_in},
    {"info", "", "[subcommand]", "report on a part of the machine; alone: what there is to ask for",
     cmd_info},
    {"log", "items:s", "item1[,...]", "choose what is logged ('none' for nothing)", cmd_log},
    {"logfile", "filename:s", "filename", "where the log goes from now on", cmd_logfile},
    {"memsave", "val:i size:i filename:s", "addr size file",
     "write what is at a virtual address into a file", cmd_memsave},
    {"mouse_button", "button_state:i", "state",
     "which mouse buttons are down: 1 left, 2 right, 4 middle, or sums of these", cmd_mouse_button},
    {"mouse_move", "dx:i dy:i dz:i?", "dx dy [dz]", "move the mouse, and turn its wheel",
     cmd_mouse_move},
    {"nmi", "", "", "a non-maskable interrupt for every CPU", .qmp = "inject-nmi"},
    {"o", "/fmt:/ addr:i val:i", "/fmt addr value", "write a port", hmp_out},
    {"object_add", "object:S", "type,id=id[,prop=value][,...]", "make an object, written as behind -object", cmd_object_add},
    {"object_del", "id:s", "id", "remove an object that nobody uses", cmd_object_del},
    {"pcie_aer_inject_error",
     "-a -c id:s error_status:s header0:i? header1:i? header2:i? header3:i? prefix0:i? prefix1:i? prefix2:i? prefix3:i?",
     "[-a] [-c] id <error_status> [<tlp header> [<tlp header prefix>]]",
     "let a PCI Express function meet an error (error_status: a name such as BAD_TLP or POISON_TLP, or a bit of 32; -c: of the "
     "correctable ones; -a: advisory, where it is not fatal; tlp header, tlp header prefix: 4 numbers each)",
     hmp_pcie_aer_inject_error},
    {"pmemsave", "val:i size:i filename:s", "addr size file",
     "write what is at a physical address into a file", cmd_pmemsave},
    {"print|p", "/fmt:/ val:i", "/fmt expr", "calculate; $rax and other names stand for registers",
     hmp_print_value},
    {"qom-get", "path:s property:s", "path property", "value of an object's property", cmd_qom_get},
    {"qom-list", "path:s?", "path", "properties of an object, and the objects below it",
     cmd_qom_list},
    {"qom-set", "-j path:s property:s value:S", "[-j] path property value",
     "change an object's property (-j: the value is JSON)", cmd_qom_set},
    {"quit|q", "", "", "end the program at once", .qmp = "quit"},
    {"ringbuf_read", "device:s size:i", "device size", "take what a ringbuf back end has stored",
     cmd_ringbuf_read},
    {"ringbuf_write", "device:s data:s", "device data", "put text into a ringbuf back end",
     cmd_ringbuf_write},
    {"screendump", "filename:s -f=format device:s? head:i?", "filename [-f format] [device [head]]",
     "picture of the screen, as ppm or png", cmd_screendump},
    {"sendkey", "keys:s hold-time:i?", "keys [hold_ms]",
     "press keys together, such as ctrl-alt-delete (for 100 ms unless told)", cmd_sendkey},
    {"stop|s", "", "", "halt the guest until 'cont'", .qmp = "stop"},
    {"sum", "start:i size:i", "addr size", "16-bit sum of the bytes at a physical address",
     hmp_sum},
    {"system_powerdown", "", "", "press the power button", .qmp = "system_powerdown"},
    {"system_reset", "", "", "press the reset button", .qmp = "system_reset"},
    {"system_wakeup", "", "", "end the guest's sleep", .qmp = "system_wakeup"},
    {"trace-at", "-w -r -a -l=len -c=condition addr:i? format:s?",
     "[-w|-r|-a] [-l=len] [-c=condition] [addr [format]]",
     "log a line whenever the guest comes by an address, without stopping it (-w, -r, -a: whenever it writes, reads, "
     "accesses the len bytes there; condition: only when this expression is not 0; format: text with {expression} or "
     "{expression:f}, f one of x d u o c s, such as \"open({$rdi:s}, {*4($rsp+8)})\"); alone: the list",
     hmp_trace_at},
    {"trace-event", "name:s option:b vcpu:i?", "name on|off [vcpu]",
     "switch trace events, or the registers of a device, by name or pattern", hmp_trace_event},
    {"trace-remove", "what:s", "id|all", "take back what trace-at has set", hmp_trace_remove},
    {"watchdog_action", "action:s", "[reset|shutdown|poweroff|pause|debug|none]",
     "what follows when the guest lets a watchdog expire", cmd_watchdog},
    {"x", "/fmt:/ addr:i", "/fmt addr", "show memory at a virtual address", hmp_x},
    {"xp", "/fmt:/ addr:i", "/fmt addr", "show memory at a physical address", hmp_xp},
    {NULL},
};
