#include "hw/board/pc.h"

#include <inttypes.h>
#include <string.h>

#include "core/log.h"
#include "core/runstate.h"
#include "hw/audio/pcspk.h"
#include "hw/firmware/path.h"
#include "hw/input/ps2.h"
#include "hw/input/vmmouse.h"
#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/isa/i8237.h"
#include "hw/memory/main-ram.h"
#include "hw/memory/memory-slots.h"
#include "hw/pci/acpi-cpuhp.h"
#include "hw/pci/acpi-pm.h"
#include "hw/platform.h"
#include "hw/storage/isa-fdc.h"
#include "hw/timer/mc146818.h"

PcBoard pc;

/* ---- Memory ---- */

bool pc_make_ram(const PcSplit *board, GError **error)
{
    PcRam want = {machine.ram_size, machine.max_ram, machine.ram_slots, machine.max_ram_below_4g,
                  machine.cpu_model && model_is_amd(machine.cpu_model)};
    pc.ram = main_ram_region(error);
    if (!pc.ram) {
        return false;
    }
    pc_memory_init(&pc.memory, board, pc.ram, &want);
    machine.ram_below_4g = pc.memory.below_4g;
    machine.ram_above_4g = pc.memory.above_4g;
    machine.ram_above_at = pc.memory.above_at;
    machine.plug_at = pc.memory.plug_size ? pc.memory.plug_at : 0;
    machine.plug_size = pc.memory.plug_size;
    uint64_t end = pc_memory_end(&pc.memory);
    unsigned need = 64 - (unsigned)__builtin_clzll(end - 1), has = model_phys_bits(machine.cpu_model);
    return need <= has ||
           error_fail(error, "-m: memory up to %#" PRIx64 " needs %u address bits, the CPU has %u (-cpu ...,phys-bits=%u)",
                      end, need, has, need);
}

/* Without ACPI nobody would hear of what is plugged. */
bool pc_make_memory_slots(GError **error)
{
    bool some = pc.memory.plug_size && machine.acpi != OFA_OFF;
    Device *slots = memory_slots_new(some ? machine.ram_slots : 0, some ? pc.memory.plug : NULL, pc.memory.plug_at,
                                     some ? machine.max_ram - machine.ram_size : 0, error);
    if (slots && some) {
        region_map(space_root(space_io()), device_region(slots, SPACE_MAIN, "acpi-mem-hotplug", MEMORY_SLOTS_SIZE),
                   MEMORY_SLOTS_PORT, 0);
    }
    return slots;
}

bool pc_load_bios(const char *usual, GError **error)
{
    enum { UNIT = 64 << 10, MOST = 16 << 20 };
    const char *name = machine.firmware ? machine.firmware : usual;
    g_autofree char *path = fw_find_file(name), *data = NULL;
    g_autoptr(GError) local = NULL;
    gsize len;
    bool in_flash;
    if (!pc_make_flash(&in_flash, error)) {
        return false;
    }
    if (in_flash) {
        if (machine.firmware) {
            warn_report("-bios %s is not used: the firmware is in pflash0", machine.firmware);
        }
        return true;
    }
    if (!path) {
        g_autofree char *folders = fw_dirs_text();
        g_strdelimit(g_strchomp(folders), "\n", ' ');
        return error_fail(
            error,
            "could not find the firmware '%s' in %s (Debian: package seabios; -L names a folder)",
            name, folders);
    }
    if (!g_file_get_contents(path, &data, &len, &local)) {
        return error_fail(error, "-bios: %s", local->message);
    }
    if (!len || len % UNIT || len > MOST) {
        return error_fail(
            error, "-bios: '%s' has %zu bytes, expected: a multiple of 64 KiB, at most 16 MiB",
            path, len);
    }
    pc.bios = ram_new("pc.bios", len, NULL, error);
    if (!pc.bios) {
        return false;
    }
    ram_write(pc.bios, 0, data, len);
    pc_memory_map_bios(&pc.memory, pc.bios);
    return true;
}

/* Without a host bridge that shadows, firmware finds its last 128 KiB in RAM below 1 MiB from the start, and may write there. */
static void shadow_bios(void *unused, ShutdownCause cause)
{
    enum { MIB = 1 << 20, SHADOW = 128 << 10 };
    size_t len = MIN(ram_size(pc.bios), SHADOW);
    g_autofree uint8_t *copy = g_malloc(len);
    ram_read(pc.bios, ram_size(pc.bios) - len, copy, len);
    space_write(space_memory(), MIB - len, copy, len);
}

bool pc_load_shadowed_bios(const char *usual, GError **error)
{
    static const RunListener listener = {.reset = shadow_bios};
    if (!pc_load_bios(usual, error)) {
        return false;
    }
    if (pc.bios) { /* not flash */
        runstate_listen(&listener);
    }
    return true;
}

/* ---- A20: masks address bit 20; for the only megabyte where software can tell, by an alias ----
 */

enum { MEGABYTE = 1 << 20, A20_PRIORITY = 100 };

static void a20_changed(void *unused, unsigned source, bool on)
{
    pc.a20_sources = (uint8_t)((pc.a20_sources & ~(1u << source)) | (unsigned)on << source);
    region_set_enabled(pc.a20_alias, !pc.a20_sources);
}

static bool a20_is_on(void)
{
    return pc.a20_sources != 0;
}

/* The x87's error pin: IRQ 13, as in the AT. */
static void ferr_pin(bool level)
{
    pc_gsi(NULL, 13, level);
}

static void wire_a20(void)
{
    Region *root = space_root(space_memory());
    pc.a20_alias = region_alias("a20-wrap", root, 0, MEGABYTE);
    region_set_enabled(pc.a20_alias, false);
    region_map(root, pc.a20_alias, MEGABYTE, A20_PRIORITY);
    cpu_platform.a20 = a20_is_on;
    cpu_platform.ferr = ferr_pin;
}

/* ---- Interrupts ---- */

void pc_gsi(void *unused, unsigned gsi, bool level)
{
    if (platform.irqchip == IRQCHIP_ON) {
        platform.set_gsi(gsi, level);
        return;
    }
    if (gsi < 16 && pc.pic[0]) {
        device_input(pc.pic[gsi / 8], gsi % 8, level);
    }
    if (gsi >= PC_GSIS) {
        device_input(pc.ioapic2, gsi - PC_GSIS, level);
    } else if (pc.ioapic) { /* the timer's line is pin 2: an override in the MADT says so */
        device_input(pc.ioapic, gsi == 0 ? 2 : gsi, level);
    }
}

/* A local APIC, ours or the kernel's, ended a level-triggered interrupt. */
static void pc_eoi(uint8_t vector)
{
    ioapic_eoi(pc.ioapic, vector);
    if (pc.ioapic2) {
        ioapic_eoi(pc.ioapic2, vector);
    }
}

static int pic_vector(Cpu *c)
{
    return i8259_ack(pc.pic[0]);
}

static bool pic_pending(Cpu *c)
{
    return i8259_pending(pc.pic[0]);
}

/* A CPU without local APIC of ours: INT goes straight to INTR. */
static void pic_to_cpu(void *unused, unsigned line, bool level)
{
    Cpu *bsp = cpu_at(0);
    if (level) {
        cpu_raise(bsp, CPU_EVENT_INTR);
    } else {
        cpu_lower(bsp, CPU_EVENT_INTR);
    }
}

static bool make_pics(GError **error)
{
    static const unsigned ports[] = {0x20, 0xa0}, elcr[] = {0x4d0, 0x4d1};
    for (unsigned i = 0; i < 2; i++) {
        pc.pic[i] =
            board_device("isa-i8259", i ? "pic1" : "pic0", NULL, i ? NULL : "master=on", error);
        if (!pc.pic[i]) {
            return false;
        }
        if (platform.irqchip != IRQCHIP_ON) {
            Region *io = space_root(space_io());
            region_map(io, device_region(pc.pic[i], 0, "pic", 2), ports[i], 0);
            region_map(io, device_region(pc.pic[i], 1, "elcr", 1), elcr[i], 0);
        }
    }
    i8259_cascade(pc.pic[0], 2, pc.pic[1]);
    machine.pic = pc.pic[0];
    return true;
}

static bool wire_cpu(Cpu *c, GError **error)
{
    return apic_new(c, error) != NULL;
}

bool pc_make_interrupts(GError **error)
{
    bool has_apic = machine.cpu_model && model_has(machine.cpu_model, FEATURE_APIC);
    if (!pc.no_pic && !make_pics(error)) {
        return false;
    }
    if (has_apic) {
        pc.ioapic = board_device("ioapic", "ioapic", NULL, NULL, error);
        if (!pc.ioapic) {
            return false;
        }
        for (unsigned i = 0; i < cpu_count(); i++) {
            if (!wire_cpu(cpu_at(i), error)) {
                return false;
            }
        }
        machine.wire_cpu = wire_cpu;
    }
    if (platform.irqchip == IRQCHIP_ON) {
        return true;
    }
    if (has_apic) {
        region_map(space_root(space_memory()), device_region(pc.ioapic, 0, "ioapic", 0x1000),
                   0xfec00000, 0);
        platform.eoi = pc_eoi;
    }
    Irq *intr = pc.no_pic ? NULL : device_pin(pc.pic[0], "int", 0);
    if (has_apic && platform.irqchip == IRQCHIP_OFF) {
        apic_wire_pic(intr, pc.pic[0]);
    } else if (intr) {
        cpu_platform.interrupt = pic_vector;
        cpu_platform.interrupt_pending = pic_pending;
        irq_connect(intr, pic_to_cpu, NULL, 0);
    }
    return true;
}

/* ---- The chips behind the ISA bridge ---- */

static void reset_pin(void *unused, unsigned line, bool level)
{
    if (level) {
        machine_request_reset(CAUSE_GUEST_RESET);
    }
}

static void nmi_pin(void *unused, unsigned line, bool level)
{
    if (level) {
        cpu_raise(cpu_at(0), CPU_EVENT_NMI);
    }
}

static void map_io(Device *d, unsigned space, const char *name, unsigned port, unsigned size)
{
    region_map(space_root(space_io()), device_region(d, space, name, size), port, 0);
}

/* The HPET may take over the lines of timer and clock ("legacy replacement"): then the 8254 and the
 * RTC are cut off. Otherwise whoever moved last has the line: these are edges. */
static void timer_pin(void *unused, unsigned gsi, bool level)
{
    if (!pc.legacy_replaced) {
        pc_gsi(NULL, gsi, level);
    }
}

static void legacy_replaced(void *unused, unsigned line, bool level)
{
    pc.legacy_replaced = level;
    if (platform.kernel_pit) {
        platform.pit_cut_off(level);
    }
}

bool pc_make_cpu_hotplug(unsigned port, GError **error)
{
    if (machine.acpi == OFA_OFF) {
        return true;
    }
    Device *d = board_device("acpi-cpuhp", NULL, NULL, NULL, error);
    if (d) {
        map_io(d, SPACE_MAIN, "acpi-cpu-hotplug", port, ACPI_CPUHP_ALL_PORTS);
    }
    return d;
}

bool pc_make_timer(GError **error)
{
    pc.pit = board_device("isa-pit", "pit", NULL, NULL, error);
    pc.spk = pc.pit ? board_device("isa-pcspk", "pcspk", NULL, NULL, error) : NULL;
    if (!pc.spk) {
        return false;
    }
    pcspk_wire(pc.spk, pc.pit);
    if (!platform.kernel_pit) { /* the kernel's timer takes ports 40h-43h and 61h */
        map_io(pc.pit, 0, "pit", 0x40, 4);
        map_io(pc.spk, 0, "pcspk", 0x61, 1);
        irq_connect(device_pin(pc.pit, "out", 0), timer_pin, NULL, 0);
    }
    irq_connect(device_pin(pc.spk, "nmi", 0), nmi_pin, NULL, 0);
    return true;
}

static bool make_dma(GError **error)
{
    static const unsigned ports[] = {0x00, 0xc0}, pages[] = {0x80, 0x88};
    for (unsigned i = 0; i < 2; i++) {
        pc.dma[i] = board_device("i8237", i ? "dma1" : "dma0", NULL, i ? "dshift=1" : NULL, error);
        if (!pc.dma[i]) {
            return false;
        }
        pc.dma[i]->dma = dma_grant(space_memory(), NULL);
        region_map(space_root(space_io()), i8237_region(pc.dma[i]), ports[i], 0);
        map_io(pc.dma[i], 1, "dma-page", pages[i], 8);
        pc.isa->dma[i] = pc.dma[i];
    }
    return true;
}

static void alarm_pin(void *unused, unsigned line, bool level)
{
    if (level) {
        acpi_pm_alarm();
    }
}

/* The base is in seconds since 1970, by the guest's calendar. */
static char *rtc_properties(void)
{
    int64_t start = machine.rtc_start;
    if (machine.rtc_base != RTC_FIXED) {
        g_autoptr(GDateTime) here = g_date_time_new_now_local();
        start =
            g_date_time_to_unix(here) + (machine.rtc_base == RTC_LOCALTIME
                                             ? g_date_time_get_utc_offset(here) / G_TIME_SPAN_SECOND
                                             : 0);
    }
    static const char *const clocks[] = {
        [CLOCK_VIRTUAL] = "vm", [CLOCK_RT] = "rt", [CLOCK_HOST] = "host"};
    return g_strdup_printf("base=%" G_GINT64_FORMAT ",clock=%s,lost_tick_policy=%s", start,
                           clocks[machine.rtc_clock], machine.rtc_slew ? "slew" : "discard");
}

bool pc_make_clock(GError **error)
{
    g_autofree char *start = rtc_properties();
    pc.rtc = board_device("mc146818rtc", "rtc", NULL, start, error);
    if (!pc.rtc) {
        return false;
    }
    machine.rtc = pc.rtc;
    map_io(pc.rtc, 0, "rtc", 0x70, 4);
    irq_connect(device_pin(pc.rtc, "irq", 0), timer_pin, NULL, 8);
    irq_connect(device_pin(pc.rtc, "alarm_pin", 0), alarm_pin, NULL, 0);
    return true;
}

static bool make_keyboard(GError **error)
{
    pc.i8042 = board_device("i8042", "i8042", NULL, NULL, error);
    pc.port92 = pc.i8042 ? board_device("port92", "port92", NULL, NULL, error) : NULL;
    if (!pc.port92) {
        return false;
    }
    map_io(pc.i8042, 0, "i8042-data", 0x60, 1);
    map_io(pc.i8042, 1, "i8042-command", 0x64, 1);
    map_io(pc.port92, 0, "port92", 0x92, 1);
    irq_connect(device_pin(pc.i8042, "irq1", 0), pc_gsi, NULL, 1);
    irq_connect(device_pin(pc.i8042, "irq12", 0), pc_gsi, NULL, 12);
    irq_connect(device_pin(pc.i8042, "a20", 0), a20_changed, NULL, 1);
    irq_connect(device_pin(pc.i8042, "reset", 0), reset_pin, NULL, 0);
    irq_connect(device_pin(pc.port92, "a20", 0), a20_changed, NULL, 0);
    irq_connect(device_pin(pc.port92, "reset", 0), reset_pin, NULL, 0);
    return true;
}

static void mouse_news(void *unused, unsigned line, bool level)
{
    if (level) {
        i8042_poke_mouse(pc.i8042);
    }
}

static bool make_vmport(GError **error)
{
    if (machine.vmport == OFA_OFF) {
        return true;
    }
    Device *port = board_device("vmport", "vmport", NULL, NULL, error);
    Device *mouse = port ? board_device("vmmouse", "vmmouse", NULL, NULL, error) : NULL;
    if (!mouse) {
        return false;
    }
    region_map(space_root(space_io()), vmport_region(port), VMPORT, 0);
    vmmouse_wire(mouse, port);
    irq_connect(device_pin(mouse, "news", 0), mouse_news, NULL, 0);
    return true;
}

static bool make_line(const char *type, Char *line, GError **error)
{
    Device *d = device_new(device_class_find(type), NULL);
    device_set_pointer(d, "chardev", line);
    if (!device_realize(d, pc.isa->bus, error)) {
        device_free(d);
        return false;
    }
    return true;
}

bool pc_make_serial_ports(unsigned most, GError **error)
{
    for (unsigned i = 0; i < most; i++) {
        if (machine.serial[i] && !make_line("isa-serial", machine.serial[i], error)) {
            return false;
        }
    }
    return true;
}

static bool make_lines(GError **error)
{
    if (!pc_make_serial_ports(MACHINE_SERIALS, error)) {
        return false;
    }
    for (unsigned i = 0; i < MACHINE_PARALLELS; i++) {
        if (machine.parallel[i] && !make_line("isa-parallel", machine.parallel[i], error)) {
            return false;
        }
    }
    return true;
}

/* A board of which nobody expects floppy drives has the controller for those that there are. */
static bool make_floppies(GError **error)
{
    if (machine.class->no_floppy && !drive_info_find(IF_FLOPPY, 0, 0) &&
        !drive_info_find(IF_FLOPPY, 0, 1)) {
        return true;
    }
    pc.fdc = board_device("isa-fdc", NULL, pc.isa->bus, NULL, error);
    if (!pc.fdc) {
        return false;
    }
    for (int unit = 0; unit < 2; unit++) {
        DriveInfo *info = drive_info_find(IF_FLOPPY, 0, unit);
        if (info) {
            info->claimed = true;
            if (!isa_fdc_add_drive(pc.fdc, (unsigned)unit, info->drive, error)) {
                return false;
            }
        }
    }
    return true;
}

void pc_wire_isa(void)
{
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        irq_connect(&pc.isa->irq[i], pc_gsi, NULL, i);
    }
}

bool pc_make_isa_chips(GError **error)
{
    pc_wire_isa();
    wire_a20();
    return pc_make_timer(error) && pc_make_clock(error) && make_dma(error) && make_keyboard(error) && make_vmport(error) &&
           make_lines(error) && make_floppies(error);
}

bool pc_make_hpet(GError **error)
{
    if (!machine.hpet) {
        return true;
    }
    pc.hpet = board_device("hpet", "hpet", NULL, NULL, error);
    if (!pc.hpet) {
        return false;
    }
    region_map(space_root(space_memory()), device_region(pc.hpet, 0, "hpet", 0x400), 0xfed00000, 0);
    for (unsigned i = 0; i < PC_GSIS; i++) { /* pin 2 of the I/O APIC is the timer's line */
        irq_connect(device_pin(pc.hpet, "irq", i), pc_gsi, NULL, i == 2 ? 0 : i);
    }
    irq_connect(device_pin(pc.hpet, "legacy", 0), pc_gsi, NULL, 0);
    irq_connect(device_pin(pc.hpet, "legacy", 1), pc_gsi, NULL, 8);
    irq_connect(device_pin(pc.hpet, "leg_rt", 0), legacy_replaced, NULL, 0);
    return true;
}
