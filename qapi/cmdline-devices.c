/* Options that make back ends, devices and monitors. */
#include <stdio.h>
#include <string.h>

#include "block/drive.h"
#include "char/char.h"
#include "core/error.h"
#include "core/keyval.h"
#include "core/row.h"
#include "hw/cpu-device.h"
#include "hw/firmware/tables.h"
#include "hw/machine.h"
#include "hw/object.h"
#include "qapi/cmdline.h"
#include "qapi/device-add.h"
#include "qapi/dispatch.h"
#include "qapi/hmp.h"
#include "qapi/qmp.h"

/* ---- Back ends ---- */

HANDLER(opt_object)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "qom-type", error);
    if (!kv) {
        return false;
    }
    const char *type = kv->json ? NULL : keyval_get(kv, "qom-type");
    if (kv->help || (type && !strcmp(type, "help"))) {
        const ObjectType *t = type ? object_type_find(type) : NULL;
        g_autofree char *text = t ? object_type_help(t) : object_types_help();
        fputs(text, stdout);
        return cmdline_done();
    }
    return qmp_call_keyval("object-add", kv, error);
}

HANDLER(opt_chardev)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "backend", error);
    if (!kv) {
        return false;
    }
    g_autofree char *kind = keyval_take(kv, "backend"), *id = keyval_take(kv, "id");
    if (kv->help || (kind && !strcmp(kind, "help"))) {
        g_autofree char *text = char_kinds();
        fputs(text, stdout);
        return cmdline_done();
    }
    if (!id || !kind) {
        return error_fail(error, "-chardev: %s is missing", kind ? "id=" : "a back end");
    }
    g_autoptr(GHashTable) table = keyval_table(kv);
    return char_new(kind, id, table, error) != NULL;
}

static bool add_drive(KeyVal *kv, GError **error)
{
    if (machine.class->ide_units) {
        drive_set_max_units(IF_IDE, machine.class->ide_units);
    }
    g_autoptr(GHashTable) table = keyval_table(kv);
    return drive_add(table, IF_IDE, startup.snapshot, error) != NULL;
}

HANDLER(opt_drive)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, NULL, error);
    return kv && add_drive(kv, error);
}

/* -hda FILE and its like: the file name is taken as it stands, commas and all. */
HANDLER(opt_drive_short)
{
    g_autofree char *escaped = keyval_escape(value);
    g_autofree char *text =
        g_strdup_printf("file=%s%s%s", escaped, option->text ? "," : ",if=ide,index=0,media=disk",
                        option->text ? option->text : "");
    g_autoptr(KeyVal) kv = keyval_parse(text, NULL, error);
    return kv && add_drive(kv, error);
}

HANDLER(opt_net)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "type", error);
    if (!kv) {
        return false;
    }
    const char *type = keyval_get(kv, "type");
    if (type && !strcmp(type, "none") && strcmp(option->name, "netdev")) {
        return true;
    }
    return error_fail(error,
                      "-%s: this build of Ostler does not have networks, expected: -nic none",
                      option->name);
}

/* ---- Devices ---- */

static void print_class_line(const DeviceClass *c)
{
    printf("name \"%s\"", c->name);
    if (c->bus) {
        printf(", bus %s", c->bus);
    }
    if (c->alias) {
        printf(", alias \"%s\"", c->alias);
    }
    if (c->doc) {
        printf(", desc \"%s\"", c->doc);
    }
    putchar('\n');
}

static void print_classes(void)
{
    static const char *const sections[][2] = {{"bridge", "Controller/Bridge/Hub devices"},
                                              {"usb", "USB devices"},
                                              {"storage", "Storage devices"},
                                              {"network", "Network devices"},
                                              {"input", "Input devices"},
                                              {"display", "Display devices"},
                                              {"sound", "Sound devices"},
                                              {"misc", "Misc devices"},
                                              {"cpu", "CPU devices"},
                                              {"watchdog", "Watchdog devices"},
                                              {NULL, "Uncategorized devices"}};
    for (unsigned s = 0; s < G_N_ELEMENTS(sections); s++) {
        bool first = true;
        for (const DeviceClass *const *c = device_classes; *c; c++) {
            if ((*c)->abstract || (*c)->internal || (*c)->plain ||
                g_strcmp0((*c)->category, sections[s][0])) {
                continue;
            }
            if (first) {
                printf("%s:\n", sections[s][1]);
                first = false;
            }
            print_class_line(*c);
        }
        if (!first) {
            putchar('\n');
        }
    }
}

HANDLER(opt_device)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        print_classes();
        return cmdline_done();
    }
    g_autoptr(KeyVal) kv = keyval_parse(value, "driver", error);
    if (!kv) {
        return false;
    }
    const char *driver = kv->json ? NULL : keyval_get(kv, "driver");
    if (kv->help && driver) {
        const DeviceClass *class =
            cpu_device_names(driver) ? &cpu_device_class : device_class_find(driver);
        if (!class || class->plain) {
            return error_fail(error, "-device %s: '%s' is not a valid device model name", value,
                              driver);
        }
        g_autofree char *text = device_class_help(class);
        fputs(text, stdout);
        return cmdline_done();
    }
    json_object *tree = keyval_tree(kv, error);
    bool ok = tree && device_add(tree, error);
    json_object_put(tree);
    return ok;
}

HANDLER(opt_global)
{
    g_autofree char *driver = NULL, *property = NULL, *text = NULL;
    const char *dot = strchr(value, '.'), *eq = strchr(value, '=');
    if (dot && eq && dot < eq) { /* driver.property=value; the value is taken as it stands */
        driver = g_strndup(value, (gsize)(dot - value));
        property = g_strndup(dot + 1, (gsize)(eq - dot - 1));
        text = g_strdup(eq + 1);
    } else {
        g_autoptr(KeyVal) kv = keyval_parse(value, NULL, error);
        if (!kv) {
            return false;
        }
        driver = keyval_take(kv, "driver");
        property = keyval_take(kv, "property");
        text = keyval_take(kv, "value");
    }
    if (!driver || !property || !text) {
        return error_fail(error, "-global %s, expected: driver.property=value", value);
    }
    device_global(driver, property, text);
    return true;
}

/* ---- Lines ---- */

static bool add_line(const char *kind, const char *value, Char **lines, unsigned room, unsigned *n,
                     GError **error)
{
    g_autofree char *label = g_strdup_printf("%s%u", kind, *n);
    if (*n == room) {
        return error_fail(error, "-%s: the machine has %u such ports", kind, room);
    }
    if (!strcmp(value, "none")) {
        (*n)++;
        return true;
    }
    lines[*n] = char_new_legacy(label, value, error);
    return lines[(*n)++] != NULL;
}

static unsigned serials, parallels, monitors;

HANDLER(opt_serial)
{
    startup.serial_given = true;
    return add_line("serial", value, machine.serial, MACHINE_SERIALS, &serials, error);
}

HANDLER(opt_parallel)
{
    startup.parallel_given = true;
    return add_line("parallel", value, machine.parallel, MACHINE_PARALLELS, &parallels, error);
}

static bool add_monitor(const char *value, bool qmp, bool pretty, GError **error)
{
    startup.monitor_given = true;
    if (!strcmp(value, "none")) {
        return true;
    }
    g_autofree char *label = g_strdup_printf("compat_monitor%u", monitors++);
    Char *c = char_new_legacy(label, value, error);
    return c && (qmp ? qmp_monitor_new(c, pretty, error) : hmp_monitor_new(c, true, error));
}

HANDLER(opt_monitor)
{
    return add_monitor(value, false, false, error);
}
HANDLER(opt_qmp)
{
    return add_monitor(value, true, option->text != NULL, error);
}

HANDLER(opt_mon)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "chardev", error);
    bool pretty = false, qmp;
    if (!kv) {
        return false;
    }
    startup.monitor_given = true;
    g_autofree char *chardev = keyval_take(kv, "chardev"), *mode = keyval_take(kv, "mode"),
                    *pretty_text = keyval_take(kv, "pretty"), *id = keyval_take(kv, "id");
    qmp = mode && !strcmp(mode, "control");
    if (mode && !qmp && strcmp(mode, "readline")) {
        return error_fail(error, "-mon: mode=%s, expected: readline, control", mode);
    }
    if (pretty_text && !row_parse_bool(pretty_text, &pretty)) {
        return error_fail(error, "-mon: pretty=%s, expected: on, off", pretty_text);
    }
    if (kv->items->len) {
        return error_fail(error, "-mon: unknown parameter '%s', expected: chardev, mode, pretty",
                          g_array_index(kv->items, KeyValue, 0).key);
    }
    Char *c = chardev ? char_find(chardev) : NULL;
    if (!c) {
        return error_fail(error, "-mon: chardev \"%s\" not found", chardev ? chardev : "");
    }
    return qmp ? qmp_monitor_new(c, pretty, error) : hmp_monitor_new(c, true, error);
}

HANDLER(opt_debugcon)
{
    Char *c = char_new_legacy("debugcon", value, error);
    if (!c) {
        return false;
    }
    startup.debugcon = c;
    return true;
}

bool cmdline_debugcon(GError **error)
{
    if (!startup.debugcon) {
        return true;
    }
    Bus *bus = bus_find_type("ISA");
    if (!bus) {
        return error_fail(error, "-debugcon: this machine has no ISA bus");
    }
    Device *d = device_new(device_class_find("isa-debugcon"), NULL);
    device_set_pointer(d, "chardev", startup.debugcon);
    if (!device_realize(d, bus, error)) {
        device_free(d);
        return false;
    }
    return true;
}

HANDLER(opt_smbios)
{
    return smbios_option(value, error);
}
HANDLER(opt_acpitable)
{
    return acpi_table_option(value, error);
}

bool cmdline_default_lines(GError **error)
{
    bool monitor_vc = !startup.monitor_given && !machine.no_defaults && !startup.nographic;
    /* First of the virtual consoles, as people expect it: Alt-2 is the monitor, the ports follow.
     */
    if (monitor_vc && !opt_monitor(NULL, "vc", error)) {
        return false;
    }
    if (startup.nographic) {
        /* One terminal for both, unless the user placed them. */
        if (!startup.serial_given && !startup.monitor_given && !machine.no_defaults) {
            if (!opt_serial(NULL, "mon:stdio", error)) {
                return false;
            }
        } else if (!startup.serial_given && !machine.no_defaults) {
            return opt_serial(NULL, "stdio", error);
        }
        return true;
    }
    if (machine.no_defaults) {
        return true;
    }
    if (!startup.serial_given && !opt_serial(NULL, "vc", error)) {
        return false;
    }
    return startup.parallel_given || opt_parallel(NULL, "vc", error);
}

/* An empty drive where the user put none, so that media can be inserted later. */
static bool default_drive(DriveInterface interface, int bus, const char *options, GError **error)
{
    if (drive_info_find(interface, bus, 0)) {
        return true;
    }
    g_autoptr(KeyVal) kv = keyval_parse(options, NULL, error);
    return kv && add_drive(kv, error);
}

bool cmdline_default_drives(GError **error)
{
    if (machine.no_defaults) {
        return true;
    }
    return (machine.class->no_cdrom || startup.cdrom_given ||
            default_drive(IF_IDE, machine.class->ide_units == 1 ? 2 : 1, "if=ide,index=2,media=cdrom", error)) &&
           (machine.class->no_floppy || startup.floppy_given ||
            default_drive(IF_FLOPPY, 0, "if=floppy,index=0", error));
}
