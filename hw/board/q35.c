/* The board "q35": Intel Q35 MCH and ICH9, as a 2009 desktop was wired, with today's firmware
 * interface. */
#include "hw/board/pc.h"
#include "hw/isa/ich9-lpc.h"
#include "hw/pci/acpi-cpuhp.h"
#include "hw/pci/acpi-pci-index.h"
#include "hw/pci/q35.h"
#include "hw/platform.h"

enum { ICH_SLOT = 31, LPC = 0, SATA = 2, SMBUS = 3, VGA_SLOT = 1 };

static bool make_lpc(GError **error)
{
    bool smm;
    if (!pc_choose_smm(&smm, error)) {
        return false;
    }
    if (smm) {
        platform.smm_space = pc_host_smm_space(pc.host);
    }
    pc_listen_for_wakeup(); /* before the chip's own: it must not have forgotten that it slept */
    Device *lpc =
        pc_function("ICH9-LPC", ICH_SLOT, LPC, true, "smm-enabled", smm ? "on" : "off", error);
    if (!lpc) {
        return false;
    }
    pc.isa = ich9_lpc_isa(lpc);
    pc_wire_power(lpc);
    return true;
}

static void nmi_pin(void *unused, unsigned line, bool level)
{
    if (level) {
        cpu_raise(cpu_at(0), CPU_EVENT_NMI);
    }
}

static void wire_lpc(void)
{
    for (unsigned i = 0; i < ICH9_PIRQS; i++) {
        irq_connect(device_pin(pc.pm, "gsi", i), pc_gsi, NULL, 16 + i);
    }
    irq_connect(device_pin(pc.pm, "tco.nmi", 0), nmi_pin, NULL, 0);
}

static bool make_sata(GError **error)
{
    return !machine.sata || (pc_function("ich9-ahci", ICH_SLOT, SATA, true, NULL, NULL, error) &&
                             pc_make_ide_drives(error));
}

static bool make_index(GError **error)
{
    if (machine.acpi == OFA_OFF) {
        return true;
    }
    Device *d = board_device("acpi-pci-index", NULL, NULL, NULL, error);
    if (d) {
        Region *r = device_region(d, SPACE_MAIN, "acpi-pci-index", ACPI_INDEX_PORTS);
        region_map(space_root(space_io()), r, ACPI_INDEX_ICH9, 0);
    }
    return d;
}

static bool build(GError **error)
{
    if (!machine_make_model(error) || !machine_make_cpus(error) || !pc_make_ram(&pc_split_q35, error) ||
        !pc_load_bios("bios-256k.bin", error)) {
        return false;
    }
    pc.host = pc_host_new(&q35_host_class, &pc.memory, error);
    pc.pci = pc.host ? pc_host_bus(pc.host) : NULL;
    if (!pc.pci || !make_lpc(error) || !pc_make_interrupts(error) || !pc_make_isa_chips(error)) {
        return false;
    }
    wire_lpc();
    return pc_make_cpu_hotplug(ACPI_CPUHP_ICH9, error) && make_index(error) && pc_make_fw_cfg(error) && pc_make_hpet(error) &&
           pc_make_display(VGA_SLOT, error) && make_sata(error) && pc_make_memory_slots(error) &&
           (!machine.smbus || pc_function("ICH9-SMB", ICH_SLOT, SMBUS, true, NULL, NULL, error)) &&
           pc_make_virtio_drives(error);
}

#define MIB (UINT64_C(1) << 20)
const MachineClass q35_class = {
    .name = "pc-q35-7.2",
    .alias = "q35",
    .doc = "Standard PC (Q35 + ICH9, 2009)",
    .default_cpu = "qemu64",
    .default_display = "std",
    .default_ram = 128 * MIB,
    .max_cpus = CPU_MOST,
    .family = BOARD_PC,
    .no_floppy = true,
    .ide_buses = 6,
    .ide_units = 1,
    .build = build,
    .finish = pc_describe,
};
