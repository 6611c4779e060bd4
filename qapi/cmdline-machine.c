/* Options that say what the machine is. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "accel/accel.h"
#include "accel/soft/icount.h"
#include "core/error.h"
#include "core/keyval.h"
#include "core/row.h"
#include "core/runstate.h"
#include "hw/machine.h"
#include "hw/memory/numa.h"
#include "qapi/cmdline.h"
#include "qapi/preset.h"

static bool print(char *text)
{
    fputs(text, stdout);
    g_free(text);
    return cmdline_done();
}

static bool is_help(const char *value)
{
    return !strcmp(value, "help") || !strcmp(value, "?");
}

/* What is left of a list of key=value after the known ones were taken is a mistake. */
static bool nothing_left(const KeyVal *kv, const char *accepted, GError **error)
{
    if (!kv->items->len) {
        return true;
    }
    return error_fail(error, "unknown parameter '%s', expected: %s",
                      g_array_index(kv->items, KeyValue, 0).key, accepted);
}

static bool set_text(char **field, const char *value)
{
    g_free(*field);
    *field = g_strdup(value);
    return true;
}

static bool use_preset(const char *name, const char *show, GError **error)
{
    const Preset *p = preset_find(name);
    const MachineClass *board = cmdline_machine_type();
    if (!p) {
        return error_fail(error, "-machine preset=%s: no such preset (preset=help lists them)", name);
    }
    if (board && board->family != BOARD_PC) {
        return error_fail(error, "-machine %s,preset=%s: presets are for the boards pc and q35", board->name, name);
    }
    if (show && strcmp(show, "on") && strcmp(show, "off")) {
        return error_fail(error, "-machine preset=%s,print=%s: expected on or off", name, show);
    }
    return !show || strcmp(show, "on") || print(preset_text(p, board ? board->name : "pc"));
}

HANDLER(opt_machine)
{
    if (is_help(value)) {
        return print(machine_help());
    }
    g_autoptr(KeyVal) kv = keyval_parse(value, "type", error);
    if (!kv) {
        return false;
    }
    if (kv->json) {
        return error_fail(error, "-machine %s: expected TYPE,property=value,..., not JSON", value);
    }
    g_autofree char *type = keyval_take(kv, "type"), *accels = keyval_take(kv, "accel");
    if (type && is_help(type)) {
        return print(machine_help());
    }
    if (type) {
        machine.class = machine_class_find(type);
        if (!machine.class) {
            return error_fail(error, "unsupported machine type '%s' (-machine help lists them)",
                              type);
        }
    }
    if (accels) { /* accel=kvm:tcg is a list of -accel */
        g_auto(GStrv) names = g_strsplit(accels, ":", -1);
        for (char **n = names; *n; n++) {
            g_ptr_array_add(startup.accels, g_strdup(*n));
        }
    }
    for (unsigned i = 0; i < kv->items->len; i++) {
        const KeyValue *item = &g_array_index(kv->items, KeyValue, i);
        if (!strcmp(item->key, "kernel-irqchip") || !strcmp(item->key, "kernel_irqchip")) {
            if (!kvm_accel.option("kernel-irqchip", item->value, error)) {
                return false;
            }
            continue;
        }
        if (!strcmp(item->key, "preset")) { /* its options were put before those of the user */
            if (!strcmp(item->value, "help")) {
                return print(preset_help());
            }
            if (!use_preset(item->value, keyval_get(kv, "print"), error)) {
                return false;
            }
            continue;
        }
        if (!strcmp(item->key, "print") && keyval_get(kv, "preset")) {
            continue;
        }
        g_autofree char *key = g_strdup(item->key);
        g_strdelimit(key, "_", '-');
        if (!machine_set(key, item->value, error)) {
            return false;
        }
    }
    return kv->help ? print(machine_properties_help()) : true;
}

HANDLER(opt_machine_property)
{
    return machine_set(option->text, value, error);
}

HANDLER(opt_machine_off)
{
    return machine_set(option->text, "off", error);
}

HANDLER(opt_accel)
{
    if (is_help(value)) {
        return print(accel_help());
    }
    g_ptr_array_add(startup.accels, g_strdup(value));
    return true;
}

HANDLER(opt_icount)
{
    return icount_option(value, error);
}

HANDLER(opt_enable_kvm)
{
    g_ptr_array_add(startup.accels, g_strdup("kvm"));
    return true;
}

HANDLER(opt_cpu)
{
    return is_help(value) ? print(model_help()) : set_text(&machine.cpu_option, value);
}

static bool take_count(KeyVal *kv, const char *key, unsigned *n, GError **error)
{
    g_autofree char *text = keyval_take(kv, key);
    guint64 v = 0;
    if (text && !g_ascii_string_to_unsigned(text, 10, 1, 4096, &v, NULL)) {
        return error_fail(error, "-smp: %s=%s, expected: a number from 1 to 4096", key, text);
    }
    *n = (unsigned)v;
    return true;
}

HANDLER(opt_smp)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "cpus", error);
    SmpOptions smp;
    return kv && take_count(kv, "cpus", &smp.cpus, error) &&
           take_count(kv, "maxcpus", &smp.maxcpus, error) &&
           take_count(kv, "sockets", &smp.sockets, error) &&
           take_count(kv, "dies", &smp.dies, error) && take_count(kv, "cores", &smp.cores, error) &&
           take_count(kv, "threads", &smp.threads, error) &&
           nothing_left(kv, "cpus, maxcpus, sockets, dies, cores, threads", error) &&
           machine_set_smp(&smp, error);
}

HANDLER(opt_memory)
{
    enum { ALIGN = 8192 };
    const uint64_t most = UINT64_C(4) << 40;
    g_autoptr(KeyVal) kv = keyval_parse(value, "size", error);
    if (!kv) {
        return false;
    }
    g_autofree char *size = keyval_take(kv, "size"), *slots = keyval_take(kv, "slots"),
                    *max = keyval_take(kv, "maxmem");
    guint64 n = 0;
    if (size && (!row_parse_size(size, 'M', &machine.ram_size) || !machine.ram_size ||
                 machine.ram_size > most)) {
        return error_fail(
            error, "-m: size=%s, expected: MiB or a size such as 512M or 4G, at most 4T", size);
    }
    machine.ram_size = (machine.ram_size + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
    if (max &&
        (!row_parse_size(max, 'M', &machine.max_ram) || machine.max_ram < machine.ram_size)) {
        return error_fail(error, "-m: maxmem=%s, expected: a size of at least the RAM's", max);
    }
    if (slots && !g_ascii_string_to_unsigned(slots, 10, 0, 256, &n, NULL)) {
        return error_fail(error, "-m: slots=%s, expected: 0 .. 256", slots);
    }
    machine.ram_slots = (unsigned)n;
    return nothing_left(kv, "size, slots, maxmem", error);
}

HANDLER(opt_mem_path)
{
    return set_text(&machine.mem_path, value);
}

HANDLER(opt_numa)
{
    return numa_option(value, error);
}

HANDLER(opt_mem_prealloc)
{
    machine.mem_prealloc = true;
    return true;
}

HANDLER(opt_name)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "guest", error);
    if (!kv) {
        return false;
    }
    g_autofree char *guest = keyval_take(kv, "guest"), *process = keyval_take(kv, "process"),
                    *threads = keyval_take(kv, "debug-threads");
    if (guest) {
        set_text(&machine.name, guest);
    }
    if (process) {
        prctl(PR_SET_NAME, process, 0, 0, 0);
    }
    return nothing_left(kv, "guest, process, debug-threads", error);
}

HANDLER(opt_uuid)
{
    static const Row row = {.name = "uuid",
                            .type = TYPE_UUID,
                            .size = 16,
                            .count = 1,
                            .field = offsetof(Machine, uuid),
                            .stored = true};
    machine.uuid_set = true;
    return row_parse(&row, &machine, value, "machine", error);
}

static bool take_ms(KeyVal *kv, const char *key, int64_t most, int64_t *ms, GError **error)
{
    g_autofree char *text = keyval_take(kv, key);
    gint64 v;
    if (!text) {
        return true;
    }
    if (!g_ascii_string_to_signed(text, 10, -1, most, &v, NULL)) {
        return error_fail(error, "-boot: %s=%s, expected: milliseconds, -1 .. %" PRId64, key, text,
                          most);
    }
    *ms = v;
    return true;
}

static bool check_order(const char *key, const char *order, GError **error)
{
    for (const char *c = order; c && *c; c++) {
        if (*c < 'a' || *c > 'p') {
            return error_fail(error,
                              "-boot: %s=%s: invalid boot device '%c', expected letters: a and b "
                              "(floppy), c (hard "
                              "disk), d (CD-ROM), n (network)",
                              key, order, *c);
        }
        if (strchr(c + 1, *c)) {
            return error_fail(error, "-boot: %s=%s: boot device '%c' was given twice", key, order,
                              *c);
        }
    }
    return true;
}

static bool take_onoff(KeyVal *kv, const char *option, const char *key, bool *given, bool *on,
                       GError **error)
{
    g_autofree char *text = keyval_take(kv, key);
    *given = text != NULL;
    return !text || row_parse_bool(text, on) ||
           error_fail(error, "-%s: %s=%s, expected: on, off", option, key, text);
}

HANDLER(opt_boot)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "order", error);
    bool given, menu = false;
    if (!kv) {
        return false;
    }
    g_autofree char *order = keyval_take(kv, "order"), *once = keyval_take(kv, "once"),
                    *splash = keyval_take(kv, "splash");
    if (!check_order("order", order, error) || !check_order("once", once, error) ||
        !take_onoff(kv, "boot", "menu", &given, &menu, error)) {
        return false;
    }
    if (given) {
        machine.boot_menu = menu ? OFA_ON : OFA_OFF;
    }
    if (order) {
        set_text(&machine.boot_order, order);
    }
    if (once) {
        set_text(&machine.boot_once, once);
    }
    if (splash) {
        set_text(&machine.boot_splash, splash);
    }
    return take_onoff(kv, "boot", "strict", &given, &machine.boot_strict, error) &&
           take_ms(kv, "splash-time", 0xffff, &machine.boot_splash_time, error) &&
           take_ms(kv, "reboot-timeout", 0xffff, &machine.boot_reboot_timeout, error) &&
           nothing_left(kv, "order, once, menu, splash, splash-time, reboot-timeout, strict",
                        error);
}

static bool set_rtc_base(const char *base, GError **error)
{
    if (!strcmp(base, "utc")) {
        machine.rtc_base = RTC_UTC;
        return true;
    }
    if (!strcmp(base, "localtime")) {
        machine.rtc_base = RTC_LOCALTIME;
        return true;
    }
    struct tm tm = {0};
    const char *end = strptime(base, "%Y-%m-%dT%H:%M:%S", &tm);
    end = end ? end : strptime(base, "%Y-%m-%d", &tm);
    if (!end || *end) {
        return error_fail(
            error, "-rtc: base=%s, expected: utc, localtime, 2006-06-17T16:01:21 or 2006-06-17",
            base);
    }
    machine.rtc_base = RTC_FIXED;
    machine.rtc_start = timegm(&tm);
    return true;
}

HANDLER(opt_rtc)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "base", error);
    if (!kv) {
        return false;
    }
    g_autofree char *base = keyval_take(kv, "base"), *clock = keyval_take(kv, "clock"),
                    *fix = keyval_take(kv, "driftfix");
    if (base && !set_rtc_base(base, error)) {
        return false;
    }
    if (clock) {
        static const char *const names[] = {"vm", "rt", "host"};
        unsigned i;
        for (i = 0; i < CLOCK_TYPES && strcmp(names[i], clock); i++) {
        }
        if (i == CLOCK_TYPES) {
            return error_fail(error, "-rtc: clock=%s, expected: host, rt, vm", clock);
        }
        machine.rtc_clock = (ClockType)i;
    }
    if (fix && strcmp(fix, "none") && strcmp(fix, "slew")) {
        return error_fail(error, "-rtc: driftfix=%s, expected: none, slew", fix);
    }
    machine.rtc_slew = fix && !strcmp(fix, "slew");
    return nothing_left(kv, "base, clock, driftfix", error);
}

HANDLER(opt_overcommit)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, NULL, error);
    bool given, lock = false, power = false;
    if (!kv || !take_onoff(kv, "overcommit", "mem-lock", &given, &lock, error) ||
        !take_onoff(kv, "overcommit", "cpu-pm", &given, &power, error) ||
        !nothing_left(kv, "mem-lock, cpu-pm", error)) {
        return false;
    }
    if (power) {
        return error_fail(error, "-overcommit: cpu-pm=on is not built, expected: off");
    }
    return !lock || mlockall(MCL_CURRENT | MCL_FUTURE) == 0 ||
           error_fail(error, "-overcommit: mem-lock=on: %s (ulimit -l says how much may be locked)", g_strerror(errno));
}

/* ---- Actions ---- */

static bool pick(const char *key, const char *text, const char *const *names, int *value,
                 GError **error)
{
    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], text)) {
            *value = i;
            return true;
        }
    }
    g_autofree char *all = g_strjoinv(", ", (char **)names);
    return error_fail(error, "%s=%s, expected: %s", key, text, all);
}

/* In the order of RunActions' enumerations. */
static const char *const reboot_names[] = {"reset", "shutdown", NULL};
static const char *const shutdown_names[] = {"poweroff", "pause", NULL};
static const char *const panic_names[] = {"pause", "shutdown", "exit-failure", "none", NULL};
static const char *const watchdog_names[] = {"reset", "shutdown", "poweroff",   "pause",
                                             "debug", "none",     "inject-nmi", NULL};

static bool set_action(const char *key, const char *text, GError **error)
{
    int v;
    if (!strcmp(key, "reboot") && pick(key, text, reboot_names, &v, error)) {
        run_actions.reboot = v;
    } else if (!strcmp(key, "shutdown") && pick(key, text, shutdown_names, &v, error)) {
        run_actions.shutdown = v;
    } else if (!strcmp(key, "panic") && pick(key, text, panic_names, &v, error)) {
        run_actions.panic = v;
    } else if (!strcmp(key, "watchdog") && pick(key, text, watchdog_names, &v, error)) {
        run_actions.watchdog = v;
    } else if (error && !*error) {
        return error_fail(error, "unknown event '%s', expected: reboot, shutdown, panic, watchdog",
                          key);
    }
    return !error || !*error;
}

HANDLER(opt_action)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, NULL, error);
    for (unsigned i = 0; kv && i < kv->items->len; i++) {
        const KeyValue *item = &g_array_index(kv->items, KeyValue, i);
        if (!set_action(item->key, item->value, error)) {
            return false;
        }
    }
    return kv != NULL;
}

HANDLER(opt_watchdog_action)
{
    return set_action("watchdog", value, error);
}

HANDLER(opt_no_reboot)
{
    run_actions.reboot = REBOOT_SHUTDOWN;
    return true;
}

HANDLER(opt_no_shutdown)
{
    run_actions.shutdown = SHUTDOWN_PAUSE;
    return true;
}

/* ---- Firmware's files, screen ---- */

HANDLER(opt_vga)
{
    static const char *const built[] = {"std", "cirrus", "none", NULL},
                             *const known[] = {"vmware", "qxl", "virtio", "tcx", "cg3", "xenfb", NULL};
    if (is_help(value)) {
        return print(g_strdup(
            "std                  standard VGA (default)\ncirrus               Cirrus VGA\n"
            "none                 no graphic card\n"));
    }
    if (!g_strv_contains(built, value)) {
        return error_fail(error, "-vga %s: %s, expected: std, cirrus, none", value,
                          g_strv_contains(known, value) ? "this build does not have that adapter"
                                                        : "unknown adapter");
    }
    return set_text(&machine.vga, value);
}

HANDLER(opt_option_rom)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "romfile", error);
    if (!kv) {
        return false;
    }
    g_autofree char *file = keyval_take(kv, "romfile"), *index = keyval_take(kv, "bootindex");
    if (!file) {
        return error_fail(error, "-option-rom: a file is missing");
    }
    g_ptr_array_add(machine.option_roms, g_steal_pointer(&file));
    return nothing_left(kv, "romfile, bootindex", error);
}

HANDLER(opt_fw_cfg)
{
    g_autoptr(KeyVal) kv = keyval_parse(value, "name", error);
    if (!kv) {
        return false;
    }
    g_autofree char *name = keyval_take(kv, "name"), *file = keyval_take(kv, "file"),
                    *text = keyval_take(kv, "string");
    if (!nothing_left(kv, "name, file, string", error)) {
        return false;
    }
    if (!name || !*name || strlen(name) > 55) {
        return error_fail(error, "-fw_cfg: name= is missing or longer than 55 characters");
    }
    if (!file == !text) {
        return error_fail(error, "-fw_cfg: one of file= and string= says what '%s' holds", name);
    }
    if (!g_str_has_prefix(name, "opt/")) {
        warn_report("externally provided fw_cfg item names should be prefixed with \"opt/\"");
    }
    FwCfgFile f = {g_strdup(name), NULL, 0};
    if (file) {
        g_autoptr(GError) local = NULL;
        if (!g_file_get_contents(file, (char **)&f.data, &f.len, &local)) {
            g_free(f.name);
            return error_fail(error, "-fw_cfg: can't load %s: %s", file, local->message);
        }
    } else { /* no terminating zero, as documented */
        f.data = (uint8_t *)g_strdup(text);
        f.len = strlen(text);
    }
    g_array_append_val(machine.fw_cfg_files, f);
    return true;
}
