#include "qapi/cmdline.h"

#include <stdio.h>
#include <string.h>

#include "char/char.h"
#include "core/error.h"
#include "core/json.h"
#include "core/keyval.h"
#include "core/row.h"
#include "core/log.h"
#include "cpu/blackbox/ring.h"
#include "gdbstub/gdbstub.h"
#include "hw/firmware/path.h"
#include "hw/machine.h"
#include "qapi/preset.h"
#include "ui/display.h"

Startup startup;
static bool done;

bool cmdline_done(void)
{
    done = true;
    return false;
}

/* ---- Small options ---- */

static const Option options[];

/* Scripts look for the name and take the version of the dialect from this line, in both. */
static void print_version(void)
{
    printf("QEMU emulator version 7.2.0 (ostler %s)\n", OSTLER_VERSION);
}

static HANDLER(opt_version)
{
    print_version();
    return cmdline_done();
}

static HANDLER(opt_help)
{
    print_version();
    printf("usage: %s [options] [disk_image]\n\n'disk_image' is a raw hard disk image for IDE hard "
           "disk 0\n",
           g_get_prgname());
    for (const Option *o = options; o->name; o++) {
        if (!o->help) {
            continue;
        }
        g_autofree char *left =
            g_strdup_printf("-%s%s%s", o->name, o->syntax ? " " : "", o->syntax ? o->syntax : "");
        if (strlen(left) > 24) {
            printf("%s\n%-24s %s\n", left, "", o->help);
        } else {
            printf("%-24s %s\n", left, o->help);
        }
    }
    printf("\nDuring -nographic: Ctrl-a h lists the keys of the multiplexer, Ctrl-a x ends the "
           "program.\n");
    return cmdline_done();
}

static void print_event(void *arg, const char *name, bool on)
{
    puts(name);
}

static HANDLER(opt_log_items)
{
    bool help = false;
    if (!log_set_items(value, &help, error)) {
        return false;
    }
    if (help && strstr(value, "trace:help")) {
        trace_foreach(NULL, print_event, NULL);
        return cmdline_done();
    }
    if (help) {
        g_autofree char *text = log_help();
        fputs(text, stdout);
        return cmdline_done();
    }
    return true;
}

static HANDLER(opt_log_file)
{
    return log_set_file(value, error);
}

/* Parts are carried out in this order, whichever they were written in: what is on, where it goes, how it looks. */
static HANDLER(opt_trace)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "enable", error);
    if (!kv) {
        return false;
    }
    if (kv->help) {
        trace_foreach(NULL, print_event, NULL);
        return cmdline_done();
    }
    g_autofree char *enable = keyval_take(kv, "enable"), *events = keyval_take(kv, "events"),
                    *file = keyval_take(kv, "file"), *format = keyval_take(kv, "format");
    if (kv->items->len) {
        return error_fail(error, "-trace: unknown parameter '%s', expected: enable, events, file, format",
                          g_array_index(kv->items, KeyValue, 0).key);
    }
    if (format && strcmp(format, "plain") != 0 && strcmp(format, "perf") != 0) {
        return error_fail(error, "-trace: format='%s', expected: plain, perf", format);
    }
    if (format) {
        trace_set_format(strcmp(format, "perf") ? TRACE_PLAIN : TRACE_PERF);
    }
    return (!enable || trace_enable(enable, true, error)) &&
           (!events || trace_enable_file(events, error)) && (!file || trace_set_file(file, error));
}

static HANDLER(opt_dfilter)
{
    return log_set_filter(value, error);
}

static HANDLER(opt_msg)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, NULL, error);
    if (!kv) {
        return false;
    }
    const char *timestamp = keyval_get(kv, "timestamp");
    bool on = false;
    if (timestamp && !row_parse_bool(timestamp, &on)) {
        return error_fail(error, "-msg: timestamp='%s', expected: on, off", timestamp);
    }
    report_timestamps(on);
    return true;
}

static HANDLER(opt_dir)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        g_autofree char *text = fw_dirs_text();
        fputs(text, stdout);
        return cmdline_done();
    }
    fw_add_dir(value);
    return true;
}

static HANDLER(opt_stopped)
{
    startup.stopped = true;
    return true;
}
static HANDLER(opt_daemonize)
{
    startup.daemonize = true;
    return true;
}
static HANDLER(opt_snapshot)
{
    startup.snapshot = true;
    return true;
}
static HANDLER(opt_nodefaults)
{
    machine.no_defaults = true;
    return true;
}

static bool set_text(char **field, const char *value)
{
    g_free(*field);
    *field = g_strdup(value);
    return true;
}
/* Absolute: -daemonize leaves the folder. */
static HANDLER(opt_pidfile)
{
    g_autofree char *path = g_canonicalize_filename(value, NULL);
    return set_text(&startup.pidfile, path);
}
static HANDLER(opt_qtest)
{
    return set_text(&startup.qtest, value);
}
static HANDLER(opt_qtest_log)
{
    return set_text(&startup.qtest_log, value);
}

static HANDLER(opt_display)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        g_autofree char *help = display_help();
        fputs(help, stdout);
        return cmdline_done();
    }
    return set_text(&startup.display, value);
}

static HANDLER(opt_nographic)
{
    startup.nographic = machine.nographic = true;
    machine.graphics = false;
    return true;
}

static HANDLER(opt_curses)
{
    return set_text(&startup.display, "curses");
}

static HANDLER(opt_keyboard)
{
    return !strcmp(value, "en-us") ||
           error_fail(error, "-k: keyboard layout '%s' is not known, expected: en-us", value);
}

static HANDLER(opt_echr)
{
    guint64 v;
    if (!g_ascii_string_to_unsigned(value, g_str_has_prefix(value, "0x") ? 16 : 10, 0, 255, &v,
                                    NULL) &&
        !(g_str_has_prefix(value, "0x") && (v = g_ascii_strtoull(value, NULL, 16)) && v < 256)) {
        return error_fail(error, "-echr: '%s' is no character code, expected: 0 .. 255", value);
    }
    char_mux_escape((unsigned char)v);
    return true;
}

static HANDLER(opt_gdb)
{
    return gdbstub_start(value ? value : "tcp::1234", error);
}

static HANDLER(opt_blackbox)
{
    return box_option(value, error);
}

static HANDLER(opt_not_built)
{
    return error_fail(error, "-%s: this build of Ostler does not have %s", option->name,
                      option->text);
}

// clang-format off
static const Option options[] = {
    {"h", false, PHASE_EARLY, opt_help},
    {"help", false, PHASE_EARLY, opt_help, .help = "display this help and exit"},
    {"version", false, PHASE_EARLY, opt_version, .help = "display version information and exit"},
    {"machine", true, PHASE_MACHINE, opt_machine, .syntax = "[type=]name[,prop=value...]", .help = "select the board ('help' lists them) and its properties"},
    {"M", true, PHASE_MACHINE, opt_machine},
    {"accel", true, PHASE_MACHINE, opt_accel, .syntax = "name[,prop=value...]", .help = "select what runs the CPUs ('help' lists); repeat for fallbacks"},
    {"enable-kvm", false, PHASE_MACHINE, opt_enable_kvm, .help = "the same as -accel kvm"},
    {"no-kvm", false, PHASE_MACHINE, NULL},
    {"cpu", true, PHASE_MACHINE, opt_cpu, .syntax = "model[,+feat,-feat...]", .help = "select the CPU model ('help' lists)"},
    {"smp", true, PHASE_MACHINE, opt_smp, .syntax = "[cpus=]n[,maxcpus=,sockets=,dies=,cores=,threads=]", .help = "number and topology of CPUs"},
    {"m", true, PHASE_MACHINE, opt_memory, .syntax = "[size=]megs[,slots=n,maxmem=size]", .help = "RAM, in MiB or with a suffix"},
    {"mem-path", true, PHASE_MACHINE, opt_mem_path, .syntax = "FILE", .help = "RAM from this file or folder (hugetlbfs)"},
    {"mem-prealloc", false, PHASE_MACHINE, opt_mem_prealloc, .help = "touch all RAM at start"},
    {"name", true, PHASE_MACHINE, opt_name, .syntax = "string[,process=string,debug-threads=on|off]", .help = "name of the guest"},
    {"uuid", true, PHASE_MACHINE, opt_uuid, .syntax = "%08x-%04x-%04x-%04x-%012x", .help = "UUID of the machine"},
    {"boot", true, PHASE_MACHINE, opt_boot, .syntax = "[order=acdn][,once=,menu=on|off,splash=,splash-time=,reboot-timeout=,strict=on|off]", .help = "what the firmware boots"},
    {"kernel", true, PHASE_MACHINE, opt_machine_property, .text = "kernel", .syntax = "file", .help = "start this Linux, PVH or multiboot kernel"},
    {"initrd", true, PHASE_MACHINE, opt_machine_property, .text = "initrd", .syntax = "file", .help = "its initial RAM disk (multiboot: modules)"},
    {"append", true, PHASE_MACHINE, opt_machine_property, .text = "append", .syntax = "text", .help = "its command line"},
    {"bios", true, PHASE_MACHINE, opt_machine_property, .text = "firmware", .syntax = "file", .help = "firmware image"},
    {"L", true, PHASE_EARLY, opt_dir, .syntax = "path", .help = "look for firmware here first ('help' lists the folders)"},
    {"option-rom", true, PHASE_MACHINE, opt_option_rom, .syntax = "file", .help = "load an option ROM"},
    {"fw_cfg", true, PHASE_MACHINE, opt_fw_cfg, .syntax = "[name=]name,file=file|string=text", .help = "add a file to the firmware configuration"},
    {"smbios", true, PHASE_MACHINE, opt_smbios, .syntax = "file=|type=n,field=value...", .help = "SMBIOS tables"},
    {"acpitable", true, PHASE_MACHINE, opt_acpitable, .syntax = "[sig=,...]data=file", .help = "add an ACPI table"},
    {"drive", true, PHASE_BACKEND, opt_drive, .syntax = "[file=]f[,if=,media=,format=,index=,snapshot=,readonly=,id=...]", .help = "a drive image"},
    {"hda", true, PHASE_BACKEND, opt_drive_short, .text = "if=ide,index=0,media=disk", .syntax = "file", .help = "IDE hard disk 0 (-hdb, -hdc, -hdd: 1, 2, 3)"},
    {"hdb", true, PHASE_BACKEND, opt_drive_short, .text = "if=ide,index=1,media=disk"},
    {"hdc", true, PHASE_BACKEND, opt_drive_short, .text = "if=ide,index=2,media=disk"},
    {"hdd", true, PHASE_BACKEND, opt_drive_short, .text = "if=ide,index=3,media=disk"},
    {"cdrom", true, PHASE_BACKEND, opt_drive_short, .text = "if=ide,index=2,media=cdrom", .syntax = "file", .help = "CD-ROM (IDE, secondary master)"},
    {"fda", true, PHASE_BACKEND, opt_drive_short, .text = "if=floppy,index=0", .syntax = "file", .help = "floppy disk 0 (-fdb: 1)"},
    {"fdb", true, PHASE_BACKEND, opt_drive_short, .text = "if=floppy,index=1"},
    {"pflash", true, PHASE_BACKEND, opt_drive_short, .text = "if=pflash", .syntax = "file", .help = "flash memory image"},
    {"snapshot", false, PHASE_EARLY, opt_snapshot, .help = "write to temporary files instead of the images"},
    {"chardev", true, PHASE_BACKEND, opt_chardev, .syntax = "backend,id=id[,...]", .help = "a character back end ('help' lists)"},
    {"device", true, PHASE_DEVICE, opt_device, .syntax = "driver[,prop=value...]", .help = "add a device ('help' lists, 'driver,help' its properties)"},
    {"global", true, PHASE_MACHINE, opt_global, .syntax = "driver.prop=value", .help = "another default for a property"},
    {"serial", true, PHASE_LINES, opt_serial, .syntax = "dev", .help = "where the next serial port leads"},
    {"parallel", true, PHASE_LINES, opt_parallel, .syntax = "dev", .help = "where the next parallel port leads"},
    {"monitor", true, PHASE_LINES, opt_monitor, .syntax = "dev", .help = "the human monitor"},
    {"qmp", true, PHASE_LINES, opt_qmp, .syntax = "dev", .help = "a QMP monitor"},
    {"qmp-pretty", true, PHASE_LINES, opt_qmp, .text = "pretty", .syntax = "dev", .help = "a QMP monitor that indents"},
    {"mon", true, PHASE_LINES, opt_mon, .syntax = "[chardev=]name[,mode=readline|control][,pretty=on|off]", .help = "a monitor on a -chardev"},
    {"debugcon", true, PHASE_LINES, opt_debugcon, .syntax = "dev", .help = "where the debug port e9 leads"},
    {"display", true, PHASE_EARLY, opt_display, .syntax = "none|curses", .help = "where the screen is shown"},
    {"nographic", false, PHASE_EARLY, opt_nographic, .help = "no screen; serial port and monitor share the terminal"},
    {"curses", false, PHASE_EARLY, opt_curses},
    {"vga", true, PHASE_MACHINE, opt_vga, .syntax = "std|none", .help = "display adapter"},
    {"k", true, PHASE_EARLY, opt_keyboard, .syntax = "en-us", .help = "keyboard layout"},
    {"net", true, PHASE_DEVICE, opt_net, .syntax = "none", .help = "no network (none is built yet)"},
    {"nic", true, PHASE_DEVICE, opt_net},
    {"netdev", true, PHASE_DEVICE, opt_net},
    {"overcommit", true, PHASE_MACHINE, opt_overcommit, .syntax = "[mem-lock=on|off][,cpu-pm=off]", .help = "keep all memory of the program resident"},
    {"rtc", true, PHASE_MACHINE, opt_rtc, .syntax = "[base=utc|localtime|datetime][,clock=host|rt|vm][,driftfix=none|slew]", .help = "the clock of the board"},
    {"no-reboot", false, PHASE_MACHINE, opt_no_reboot, .help = "end instead of rebooting"},
    {"no-shutdown", false, PHASE_MACHINE, opt_no_shutdown, .help = "stop instead of ending at shutdown"},
    {"action", true, PHASE_MACHINE, opt_action, .syntax = "reboot=reset|shutdown,shutdown=poweroff|pause,panic=...,watchdog=...", .help = "what follows on these events"},
    {"watchdog-action", true, PHASE_MACHINE, opt_watchdog_action, .syntax = "reset|shutdown|poweroff|inject-nmi|pause|debug|none", .help = "the same for watchdogs alone"},
    {"no-acpi", false, PHASE_MACHINE, opt_machine_off, .text = "acpi", .help = "no ACPI"},
    {"no-hpet", false, PHASE_MACHINE, opt_machine_off, .text = "hpet", .help = "no HPET"},
    {"no-fd-bootchk", false, PHASE_MACHINE, opt_machine_off, .text = "fd-bootchk", .help = "boot floppies without a signature"},
    {"S", false, PHASE_EARLY, opt_stopped, .help = "do not start the CPUs ('c' in the monitor does)"},
    {"nodefaults", false, PHASE_EARLY, opt_nodefaults, .help = "no default devices"},
    {"no-user-config", false, PHASE_EARLY, NULL, .help = "no configuration files (there are none)"},
    {"nodefconfig", false, PHASE_EARLY, NULL},
    {"pidfile", true, PHASE_EARLY, opt_pidfile, .syntax = "file", .help = "write the process id there"},
    {"daemonize", false, PHASE_EARLY, opt_daemonize, .help = "go to the background once everything is set up"},
    {"d", true, PHASE_EARLY, opt_log_items, .syntax = "item1,...", .help = "log ('help' lists the items)"},
    {"D", true, PHASE_EARLY, opt_log_file, .syntax = "file", .help = "log into this file (%d: process id)"},
    {"dfilter", true, PHASE_EARLY, opt_dfilter, .syntax = "range,...", .help = "of in_asm, exec, cpu and int only these addresses: 0x1000+0x200, 0x8000..0x8fff"},
    {"trace", true, PHASE_EARLY, opt_trace, .syntax = "[enable=]pattern[,events=file][,file=file][,format=plain|perf]", .help = "trace events and device registers"},
    {"msg", true, PHASE_EARLY, opt_msg, .syntax = "timestamp=on|off", .help = "form of messages"},
    {"blackbox", true, PHASE_EARLY, opt_blackbox, .syntax = "off|entries", .help = "events that each CPU's black box keeps ('info blackbox')"},
    {"echr", true, PHASE_EARLY, opt_echr, .syntax = "chr", .help = "escape character of the multiplexer instead of Ctrl-a"},
    {"qtest", true, PHASE_EARLY, opt_qtest, .syntax = "dev", .help = "device test protocol"},
    {"qtest-log", true, PHASE_EARLY, opt_qtest_log, .syntax = "file", .help = "log of it"},
    {"s", false, PHASE_LINES, opt_gdb, .help = "the same as -gdb tcp::1234"},
    {"gdb", true, PHASE_LINES, opt_gdb, .syntax = "dev", .help = "wait for a debugger there (tcp::N, unix:PATH, stdio, pty, chardev:ID, none)"},
    {"object", true, PHASE_BACKEND, opt_object, .syntax = "type,id=id[,prop=value...]", .help = "make an object ('help' lists the types, 'type,help' its properties)"},
    {"blockdev", true, PHASE_BACKEND, opt_not_built, .text = "-blockdev (use -drive)"},
    {"incoming", true, PHASE_BACKEND, opt_not_built, .text = "migration"},
    {"loadvm", true, PHASE_BACKEND, opt_not_built, .text = "snapshots of machines"},
    {"icount", true, PHASE_MACHINE, opt_icount, .syntax = "[shift=]N|auto[,sleep=on|off]", .help = "the clock moves 2^N ns with each instruction (software CPU)"},
    {"sandbox", true, PHASE_BACKEND, opt_not_built, .text = "a sandbox"},
    {"vnc", true, PHASE_BACKEND, opt_not_built, .text = "a VNC server"},
    {"spice", true, PHASE_BACKEND, opt_not_built, .text = "SPICE"},
    {"usb", false, PHASE_BACKEND, opt_not_built, .text = "USB"},
    {"usbdevice", true, PHASE_BACKEND, opt_not_built, .text = "USB"},
    {"audiodev", true, PHASE_BACKEND, opt_not_built, .text = "sound"},
    {"numa", true, PHASE_LINES, opt_numa, .syntax = "node[,nodeid=,cpus=,mem=|memdev=] | dist,src=,dst=,val= | cpu,node-id=[,socket-id=...]", .help = "NUMA nodes, with their memory and CPUs"},
    {"preconfig", false, PHASE_BACKEND, opt_not_built, .text = "a preconfiguration state"},
    {"readconfig", true, PHASE_BACKEND, opt_not_built, .text = "configuration files"},
    {NULL},
};
// clang-format on

/* ---- Collecting and running ---- */

typedef struct Given {
    const Option *option;
    const char *value;
} Given;
static GArray *given;

static const Option *find_option(const char *name)
{
    for (const Option *o = options; o->name; o++) {
        if (!strcmp(o->name, name)) {
            return o;
        }
    }
    return NULL;
}

/* Whether an option of the user's leaves none of a preset's: -machine and -rtc add to one another; devices do unless they
 * are of the same kind, or nobody wants more than he names. */
static bool takes_place(const Given *users, const Given *preset)
{
    if (preset->option->set == opt_device) {
        size_t driver = strcspn(preset->value, ",");
        return !strcmp(users->option->name, "nodefaults") ||
               (users->option->set == opt_device && !strncmp(users->value, preset->value, driver) &&
                (users->value[driver] == ',' || !users->value[driver]));
    }
    return users->option == preset->option && preset->option->set != opt_machine && preset->option->set != opt_rtc;
}

/* A preset's options come first, so that the user's override them. */
static void add_preset(void)
{
    const Preset *p = NULL;
    guint n = given->len, at = 0;
    for (guint i = 0; i < n; i++) {
        const Given *g = &g_array_index(given, Given, i);
        g_autoptr(KeyVal) kv = g->option->set == opt_machine ? keyval_parse(g->value, "type", NULL) : NULL;
        const char *name = kv && !kv->json ? keyval_get(kv, "preset") : NULL;
        p = name ? preset_find(name) : p;
    }
    const MachineClass *board = cmdline_machine_type();
    if (board && board->family != BOARD_PC) {
        return; /* -machine says so */
    }
    for (const char *const *o = p ? p->options : NULL; o && *o; o += 2) {
        Given g = {find_option(o[0]), o[1]};
        bool taken = false;
        for (guint i = at; i < given->len; i++) {
            taken |= takes_place(&g_array_index(given, Given, i), &g);
        }
        if (!taken) {
            g_array_insert_val(given, at, g);
            at++;
        }
    }
}

const MachineClass *cmdline_machine_type(void)
{
    const MachineClass *class = NULL;
    for (guint i = 0; i < given->len; i++) {
        const Given *g = &g_array_index(given, Given, i);
        g_autoptr(KeyVal) kv = g->option->set == opt_machine ? keyval_parse(g->value, "type", NULL) : NULL;
        const char *type = kv && !kv->json ? keyval_get(kv, "type") : NULL;
        class = type ? machine_class_find(type) : class;
    }
    return class;
}

/* -device of such a kind comes in place of the default one. */
static void note_device(const char *value)
{
    const struct {
        const char *driver;
        bool *given;
    } kinds[] = {
        {"isa-serial", &startup.serial_given}, {"isa-parallel", &startup.parallel_given},
        {"floppy", &startup.floppy_given},     {"isa-fdc", &startup.floppy_given},
        {"ide-cd", &startup.cdrom_given},      {"ide-hd", &startup.cdrom_given},
        {"scsi-cd", &startup.cdrom_given},     {"scsi-hd", &startup.cdrom_given},
    };
    g_autoptr(KeyVal) kv = keyval_parse(value, "driver", NULL);
    json_object *tree = kv ? keyval_tree(kv, NULL) : NULL, *driver;
    if (json_object_object_get_ex(tree, "driver", &driver)) {
        for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
            *kinds[i].given |= !strcmp(json_object_get_string(driver), kinds[i].driver);
        }
    }
    json_object_put(tree);
}

static bool collect(int argc, char **argv, GError **error)
{
    given = g_array_new(FALSE, FALSE, sizeof(Given));
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (*arg != '-' || !arg[1]) {
            Given disk = {find_option("hda"), arg};
            g_array_append_val(given, disk);
            continue;
        }
        const char *name = arg + 1 + (arg[1] == '-');
        const Option *o = find_option(name);
        if (!o) {
            return error_fail(error, "%s: invalid option (-help lists them)", arg);
        }
        if (o->takes_value && i + 1 == argc) {
            return error_fail(error, "%s: requires an argument", arg);
        }
        Given g = {o, o->takes_value ? argv[++i] : NULL};
        g_array_append_val(given, g);
        if (o->set == opt_device) {
            note_device(g.value);
        }
    }
    return true;
}

static bool failed(GError *error, int *exit_code)
{
    *exit_code = 0;
    if (error) {
        error_report("%s", error->message);
        *exit_code = 1;
    }
    return false;
}

bool cmdline_parse(int argc, char **argv, int *exit_code)
{
    g_autoptr(GError) error = NULL;
    startup.accels = g_ptr_array_new_with_free_func(g_free);
    if (!collect(argc, argv, &error)) {
        return failed(error, exit_code);
    }
    add_preset();
    return true;
}

/* Help on devices needs no machine, and no accelerator that could be missing. */
static Phase phase_of(const Given *g)
{
    const char *v = g->value;
    bool help =
        g->option->set == opt_device && (!strcmp(v, "help") || !strcmp(v, "?") ||
                                         g_str_has_suffix(v, ",help") || g_str_has_suffix(v, ",?"));
    return help ? PHASE_EARLY : g->option->phase;
}

bool cmdline_run(Phase phase, int *exit_code)
{
    for (unsigned i = 0; i < given->len; i++) {
        const Given *g = &g_array_index(given, Given, i);
        g_autoptr(GError) error = NULL;
        if (phase_of(g) != phase || !g->option->set) {
            continue;
        }
        if (!g->option->set(g->option, g->value, &error)) {
            if (done) {
                *exit_code = 0;
                return false;
            }
            g_autofree char *named = g_strdup_printf("-%s", g->option->name);
            const char *rest = error->message + strlen(named);
            if (!g_str_has_prefix(error->message, named) || !strchr(": ", *rest)) {
                g_prefix_error(&error, "-%s%s%s: ", g->option->name, g->value ? " " : "",
                               g->value ? g->value : "");
            }
            return failed(error, exit_code);
        }
    }
    return true;
}
