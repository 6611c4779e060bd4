#include "hw/machine.h"

#include "hw/device.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/runstate.h"
#include "hw/cpu-device.h"
#include "hw/hotplug.h"
#include "hw/memory/main-ram.h"
#include "hw/memory/numa.h"
#include "hw/platform.h"

Machine machine;
const char *const on_off_auto_names[] = {"auto", "on", "off", NULL};

// clang-format off
#define MPROP(f, init_, doc_, ...) PROP(Machine, f, init_, doc_, __VA_ARGS__)
#define MPROP_AS(f, name_, init_, doc_, ...) PROP_AS(Machine, f, name_, init_, doc_, __VA_ARGS__)
#define PC .arg = BOARD_PC
#define ISA_PC .arg = BOARD_PC | BOARD_ISAPC
#define MICROVM .arg = BOARD_MICROVM
#define AUTO .type = TYPE_ENUM, .names = on_off_auto_names
const Row machine_rows[] = {
    MPROP(acpi, "auto", "ACPI tables and power management", AUTO),
    MPROP(smm, "auto", "System Management Mode", AUTO, PC),
    MPROP(vmport, "auto", "VMware's backdoor port", AUTO, PC),
    MPROP(graphics, "on", "The firmware uses the screen"),
    MPROP(usb, "off", "A USB controller on the board", PC),
    MPROP(hpet, "on", "High precision event timer", PC),
    MPROP(pit, "on", "8254 timer", ISA_PC),
    MPROP(i8042, "on", "Keyboard controller", ISA_PC),
    MPROP(sata, "on", "SATA controller", PC),
    MPROP(smbus, "on", "SMBus controller", PC),
    MPROP_AS(fd_bootchk, "fd-bootchk", "on", "The firmware checks a floppy's boot signature", ISA_PC),
    MPROP_AS(mem_merge, "mem-merge", "on", "Let the host merge equal pages"),
    MPROP_AS(dump_guest_core, "dump-guest-core", "on", "Guest memory is part of core dumps"),
    MPROP(nvdimm, "off", "NVDIMM support", PC),
    MPROP_AS(suppress_vmdesc, "suppress-vmdesc", "off", "Leave the description out of migration streams"),
    MPROP_AS(max_ram_below_4g, "max-ram-below-4g", "0", "Most RAM below the 32-bit boundary", .type = TYPE_SIZE, ISA_PC),
    MPROP(firmware, NULL, "Firmware image, as -bios"),
    MPROP(kernel, NULL, "Linux kernel image, as -kernel"),
    MPROP(initrd, NULL, "Initial RAM disk, as -initrd"),
    MPROP(append, NULL, "Kernel command line, as -append"),
    MPROP_AS(memory_backend, "memory-backend", NULL, "Memory back end that holds the main RAM"),
    MPROP(pflash0, NULL, "Drive of the first flash chip", PC),
    MPROP(pflash1, NULL, "Drive of the second flash chip", PC),
    MPROP_AS(pcspk_audiodev, "pcspk-audiodev", NULL, "Sound back end of the PC speaker", ISA_PC),
    MPROP_AS(oem_id, "x-oem-id", NULL, "OEM id of ACPI tables, 6 characters"),
    MPROP_AS(oem_table_id, "x-oem-table-id", NULL, "OEM table id of ACPI tables, 8 characters"),
    MPROP_AS(with_pic, "pic", "auto", "8259 interrupt controllers", AUTO, MICROVM),
    MPROP_AS(with_pit, "pit", "auto", "8254 timer", AUTO, MICROVM),
    MPROP_AS(with_rtc, "rtc", "auto", "Real-time clock", AUTO, MICROVM),
    MPROP(ioapic2, "auto", "A second I/O APIC, so that there are 24 virtio transports instead of 8", AUTO, MICROVM),
    MPROP_AS(isa_serial, "isa-serial", "on", "A serial port at the ISA bus", MICROVM),
    MPROP_AS(auto_kernel_cmdline, "auto-kernel-cmdline", "on", "Without ACPI, tell the kernel of virtio devices by its command line",
             MICROVM),
    MPROP_AS(unpack_kernel, "x-unpack-kernel", "auto", "Unpack a bzImage here and enter it by PVH; auto: where no firmware runs",
             AUTO, .arg = BOARD_PC | BOARD_MICROVM),
    MPROP_AS(option_rom_files, "x-option-roms", "on", "Offer option ROMs to the firmware", MICROVM),
    END
};
// clang-format on

bool machine_row_is_ours(const Row *r)
{
    return !r->arg || (machine.class && r->arg & machine.class->family);
}

void machine_init(void)
{
    device_trace_init();
    machine = (Machine){.boot_splash_time = -1,
                        .boot_reboot_timeout = -1,
                        .rtc_clock = CLOCK_HOST,
                        .topology = {1, 1, 1, 1},
                        .cpus = 1,
                        .max_cpus = 1};
    machine.fw_cfg_files = g_array_new(FALSE, FALSE, sizeof(FwCfgFile));
    machine.option_roms = g_ptr_array_new_with_free_func(g_free);
    for (const Row *r = machine_rows; r->kind != ROW_END; r++) {
        if (r->init) {
            bool ok = row_parse(r, &machine, r->init, "machine", NULL);
            assert(ok);
        }
    }
}

const MachineClass *machine_class_find(const char *name)
{
    const MachineClass *c;
    for (unsigned i = 0; (c = machine_class_at(i)); i++) {
        if (!strcmp(c->name, name) || (c->alias && !strcmp(c->alias, name))) {
            return c;
        }
    }
    return NULL;
}

char *machine_help(void)
{
    GString *out = g_string_new("Supported machines are:\n");
    const MachineClass *c;
    for (unsigned i = 0; (c = machine_class_at(i)); i++) {
        if (c->alias) {
            g_string_append_printf(out, "%-20s %s (alias of %s)\n", c->alias, c->doc, c->name);
        }
        g_string_append_printf(out, "%-20s %s%s%s\n", c->name, c->doc, c->is_default ? " (default)" : "",
                               c->deprecated ? " (deprecated)" : "");
    }
    return g_string_free(out, FALSE);
}

bool machine_set(const char *property, const char *value, GError **error)
{
    const char *object = machine.class ? machine.class->name : "machine";
    for (const Row *r = machine_rows; r->kind != ROW_END; r++) {
        if (machine_row_is_ours(r) && !strcmp(r->name, property)) {
            return row_parse(r, &machine, value, object, error);
        }
    }
    return error_fail(error, "Property '%s-machine.%s' not found", object, property);
}

char *machine_properties_help(void)
{
    GString *out = g_string_new(NULL);
    g_string_append_printf(out, "%s-machine options:\n", machine.class->name);
    for (const Row *r = machine_rows; r->kind != ROW_END; r++) {
        if (!machine_row_is_ours(r)) {
            continue;
        }
        g_autofree char *left = g_strdup_printf("  %s=<%s>", r->name, row_type_name(r));
        g_string_append_printf(out, "%-32s - %s%s%s%s\n", left, r->doc,
                               r->init ? " (default: " : "", r->init ? r->init : "",
                               r->init ? ")" : "");
    }
    return g_string_free(out, FALSE);
}

/* ---- -smp: what is not given follows from the rest; cores grow first, up to version 6.1 sockets ---- */

bool machine_set_smp(const SmpOptions *o, GError **error)
{
    unsigned dies = o->dies ? o->dies : 1, sockets = o->sockets, cores = o->cores,
             threads = o->threads;
    unsigned cpus = o->cpus, most = o->maxcpus;
    if (!cpus && !most) {
        sockets = sockets ? sockets : 1;
        cores = cores ? cores : 1;
        threads = threads ? threads : 1;
    } else {
        unsigned total = most ? most : cpus;
        if (!sockets && machine.class && machine.class->sockets_first) {
            cores = cores ? cores : 1;
            threads = threads ? threads : 1;
            sockets = total / (dies * cores * threads);
        } else if (!cores) {
            sockets = sockets ? sockets : 1;
            threads = threads ? threads : 1;
            cores = total / (sockets * dies * threads);
        } else if (!sockets) {
            threads = threads ? threads : 1;
            sockets = total / (dies * cores * threads);
        }
        if (!threads) {
            threads = total / (sockets * dies * cores);
        }
    }
    uint64_t product = (uint64_t)sockets * dies * cores * threads;
    most = most ? most : product > UINT32_MAX ? 0 : (unsigned)product;
    cpus = cpus ? cpus : most;
    if (product != most || !most) {
        return error_fail(
            error,
            "-smp: sockets (%u) * dies (%u) * cores (%u) * threads (%u) must equal maxcpus (%u)",
            sockets, dies, cores, threads, most ? most : cpus);
    }
    if (cpus > most) {
        return error_fail(error, "-smp: cpus (%u) must not exceed maxcpus (%u)", cpus, most);
    }
    machine.topology = (Topology){sockets, dies, cores, threads};
    machine.cpus = cpus;
    machine.max_cpus = most;
    return true;
}

static bool check_options(GError **error)
{
    const MachineClass *class = machine.class;
    if (machine.max_cpus > class->max_cpus) {
        return error_fail(error,
                          "Invalid SMP CPUs %u. The max CPUs supported by machine '%s' is %u",
                          machine.max_cpus, class->name, class->max_cpus);
    }
    if (!main_ram_choose(error) || !numa_finish(error)) {
        return false;
    }
    if (machine.nvdimm) {
        return error_fail(error, "-machine nvdimm=on: NVDIMMs are not built, expected: off");
    }
    if (machine.initrd && !machine.kernel) {
        return error_fail(error, "-initrd only allowed with -kernel option");
    }
    if (machine.append && !machine.kernel) {
        return error_fail(error, "-append only allowed with -kernel option");
    }
    return true;
}

/* More than the usual 40 address bits where RAM may end above them: with its upper part from 1 TiB on at worst, the slots'
 * alignment, and room for the BARs of PCI behind. */
static unsigned memory_bits(void)
{
    const uint64_t gib = UINT64_C(1) << 30, tib = gib << 10, bars = 64 * gib;
    uint64_t ram = MAX(machine.ram_size, machine.max_ram) + machine.ram_slots * gib + 5 * gib;
    uint64_t end = ram + bars > tib ? tib + ram + bars : ram + bars;
    return 64 - (unsigned)__builtin_clzll(end - 1);
}

bool machine_make_model(GError **error)
{
    const char *option = machine.cpu_option ? machine.cpu_option : machine.class->default_cpu;
    ModelEnv env = platform.model_env;
    env.topology = machine.topology;
    env.memory_bits = memory_bits();
    machine.cpu_model = model_new(option, &env, error);
    if (!machine.cpu_model) {
        g_prefix_error(error, "-cpu %s: ", option);
        return false;
    }
    enum { XAPIC_MOST = 254 };
    uint32_t last = topology_apic_id(&machine.topology, machine.max_cpus - 1);
    if (last > XAPIC_MOST && !model_has(machine.cpu_model, FEATURE_X2APIC)) {
        return error_fail(error,
                          "-smp: APIC IDs up to %u need CPUs with x2apic, which '%s' has not "
                          "(-cpu max, or %s,+x2apic)",
                          last, option, option);
    }
    return true;
}

bool machine_make_cpus(GError **error)
{
    for (unsigned i = 0; i < machine.cpus; i++) {
        if (!cpu_device_new(i, error)) {
            return false;
        }
    }
    return true;
}

Device *board_device(const char *type, const char *id, Bus *bus, const char *props, GError **error)
{
    const DeviceClass *class = device_class_find(type);
    if (!class) {
        error_fail(error, "machine '%s': this build has no device '%s'", machine.class->name, type);
        return NULL;
    }
    Device *d = device_new(class, id);
    g_auto(GStrv) pairs = g_strsplit(props ? props : "", ",", -1);
    for (char **p = pairs; *p && **p; p++) {
        char *eq = strchr(*p, '=');
        *eq = 0;
        if (!device_set(d, *p, eq + 1, error)) {
            device_free(d);
            return NULL;
        }
    }
    if (!device_realize(d, bus, error)) {
        device_free(d);
        return NULL;
    }
    return d;
}

/* ---- Reset: every device that is no part, buses' children after their parents ---- */

static void reset_device(void *arg, Device *d)
{
    device_reset(d, false);
}

static void reset_all(void *arg, ShutdownCause cause)
{
    device_unplug_all();
    device_foreach(reset_device, NULL);
    mem_commit();
}

bool machine_build(GError **error)
{
    if (!check_options(error) || !machine.class->build(error)) {
        return false;
    }
    static const RunListener listener = {.reset = reset_all};
    runstate_listen(&listener);
    mem_commit();
    return true;
}

bool machine_finish(GError **error)
{
    if (machine.class->finish && !machine.class->finish(error)) {
        return false;
    }
    mem_commit();
    machine.ready = true;
    return true;
}
