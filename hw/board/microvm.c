/* The board "microvm": processors, memory and places for virtio devices, and little else.  No PCI; ACPI with reduced
 * hardware.  A kernel given with -kernel is entered without firmware, unless -bios names one. */
#include "hw/board/microvm.h"

#include "hw/board/pc.h"
#include "hw/firmware/direct-boot.h"
#include "hw/misc/acpi-ged.h"
#include "hw/platform.h"
#include "hw/virtio/virtio-mmio.h"

static const PcSplit split = {UINT64_C(3) << 30, UINT64_C(3) << 30};

MicrovmBoard microvm;

static bool wanted(int32_t property)
{
    return property != OFA_OFF;
}

/* The kernel's KVM has one I/O APIC, and no room for a second one's routes. */
static bool choose(GError **error)
{
    bool acpi = wanted(machine.acpi), possible = acpi && platform.irqchip == IRQCHIP_OFF;
    if (machine.ioapic2 == OFA_ON && !possible) {
        return error_fail(error, "-machine ioapic2=on: needs %s",
                          acpi ? "interrupt chips in this program (kernel-irqchip=off)" : "acpi=on");
    }
    microvm.two_ioapics = possible && wanted(machine.ioapic2);
    microvm.transports = microvm.two_ioapics ? 24 : 8;
    microvm.first_gsi = microvm.two_ioapics ? 24 : acpi ? 16 : 5;
    machine.hpet = machine.i8042 = false;
    pc.no_pic = !wanted(machine.with_pic);
    return true;
}

static bool make_second_ioapic(GError **error)
{
    if (!microvm.two_ioapics) {
        return true;
    }
    pc.ioapic2 = board_device("ioapic", "ioapic2", NULL, NULL, error);
    if (pc.ioapic2) {
        region_map(space_root(space_memory()), device_region(pc.ioapic2, 0, "ioapic", 0x1000), MICROVM_IOAPIC2, 0);
    }
    return pc.ioapic2 != NULL;
}

static bool make_isa(GError **error)
{
    pc.isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    pc_wire_isa();
    return (!wanted(machine.with_pit) || pc_make_timer(error)) && (!wanted(machine.with_rtc) || pc_make_clock(error)) &&
           (!machine.isa_serial || pc_make_serial_ports(1, error));
}

static bool make_transports(GError **error)
{
    for (unsigned i = 0; i < microvm.transports; i++) {
        Device *d = microvm.transport[i] = board_device("virtio-mmio", NULL, NULL, NULL, error);
        if (!d) {
            return false;
        }
        region_map(space_root(space_memory()), virtio_mmio_region(d), microvm_transport_at(i), 0);
        irq_connect(device_pin(d, "irq", 0), pc_gsi, NULL, microvm.first_gsi + i);
    }
    return true;
}

static bool make_event_device(GError **error)
{
    if (!wanted(machine.acpi)) {
        return true;
    }
    Device *ged = board_device("acpi-ged-x86", NULL, NULL, NULL, error);
    if (!ged) {
        return false;
    }
    region_map(space_root(space_memory()), acpi_ged_events(ged), MICROVM_GED_EVENTS, 0);
    region_map(space_root(space_memory()), acpi_ged_registers(ged), MICROVM_GED_REGS, 0);
    region_map(space_root(space_io()), acpi_ged_timer(ged), MICROVM_PM_TIMER, 0);
    irq_connect(device_pin(ged, "irq", 0), pc_gsi, NULL, PC_SCI);
    return true;
}

static bool build(GError **error)
{
    bool direct = machine.kernel && !machine.firmware;
    return choose(error) && machine_make_model(error) && machine_make_cpus(error) && pc_make_ram(&split, error) &&
           (direct || pc_load_shadowed_bios("bios-microvm.bin", error)) && pc_make_interrupts(error) &&
           make_second_ioapic(error) && make_isa(error) && make_transports(error) && make_event_device(error) &&
           pc_make_fw_cfg(error) && pc_make_virtio_drives(error);
}

/* Without ACPI a kernel finds virtio devices only where its command line says that they are. */
static void tell_kernel(void)
{
    g_autoptr(GString) text = g_string_new(machine.append);
    for (unsigned i = 0; i < microvm.transports; i++) {
        if (virtio_mmio_used(microvm.transport[i])) {
            g_string_append_printf(text, "%svirtio_mmio.device=%u@0x%08" G_GINT64_MODIFIER "x:%u", text->len ? " " : "",
                                   VIRTIO_MMIO_SIZE, microvm_transport_at(i), microvm.first_gsi + i);
        }
    }
    g_free(machine.append);
    machine.append = g_strdup(text->str);
}

/* ISA lines that virtio devices drive, where they have such. */
static uint16_t virtio_lines(void)
{
    uint16_t lines = 0;
    for (unsigned i = 0; i < microvm.transports && microvm.first_gsi + i < ISA_IRQS; i++) {
        lines |= (uint16_t)(virtio_mmio_used(microvm.transport[i]) << (microvm.first_gsi + i));
    }
    return lines;
}

static bool describe(GError **error)
{
    if (machine.kernel && machine.auto_kernel_cmdline && !wanted(machine.acpi)) {
        tell_kernel();
    }
    return pc_describe(error) && (!machine.kernel || machine.firmware || direct_boot(pc.fw, virtio_lines(), error));
}

const MachineClass microvm_class = {
    .name = "microvm",
    .doc = "microvm (i386)",
    .default_cpu = "qemu64",
    .default_ram = UINT64_C(128) << 20,
    .max_cpus = 255,
    .family = BOARD_MICROVM,
    .no_floppy = true,
    .no_cdrom = true,
    .no_parallel = true,
    .build = build,
    .finish = describe,
};
