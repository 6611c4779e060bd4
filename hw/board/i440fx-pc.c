/* The board "pc": Intel 440FX host bridge and PIIX3, as a 1996 desktop was wired, with today's
 * firmware interface. */
#include "hw/board/pc.h"
#include "hw/pci/acpi-cpuhp.h"
#include "hw/pci/i440fx.h"
#include "hw/pci/piix3.h"
#include "hw/platform.h"

static bool make_power_management(GError **error)
{
    bool smm;
    if (!pc_choose_smm(&smm, error)) {
        return false;
    }
    if (smm) {
        platform.smm_space = pc_host_smm_space(pc.host);
    }
    if (machine.acpi == OFA_OFF) {
        return true;
    }
    pc_listen_for_wakeup(); /* before the chip's own: it must not have forgotten that it slept */
    Device *pm = pc_function("PIIX4_PM", 1, 3, false, "smm-enabled", smm ? "on" : "off", error);
    if (!pm) {
        return false;
    }
    pc_wire_power(pm);
    if (!pc_make_cpu_hotplug(ACPI_CPUHP_PIIX4, error)) {
        return false;
    }
    irq_connect(device_pin(pm, "sci", 0), pc_gsi, NULL, PC_SCI);
    return true;
}

static bool build(GError **error)
{
    if (!machine_make_model(error) || !machine_make_cpus(error) || !pc_make_ram(&pc_split_i440fx, error) ||
        !pc_load_bios("bios-256k.bin", error)) {
        return false;
    }
    pc.host = pc_host_new(&i440fx_host_class, &pc.memory, error);
    pc.pci = pc.host ? pc_host_bus(pc.host) : NULL;
    Device *piix3 = pc.pci ? pc_function("PIIX3", 1, 0, true, NULL, NULL, error) : NULL;
    if (!piix3) {
        return false;
    }
    pc.isa = piix3_isa(piix3);
    return pc_make_interrupts(error) && pc_make_isa_chips(error) && pc_make_fw_cfg(error) &&
           pc_make_hpet(error) && pc_make_display(2, error) &&
           pc_function("piix3-ide", 1, 1, false, NULL, NULL, error) && pc_make_ide_drives(error) &&
           make_power_management(error) && pc_make_memory_slots(error) && pc_make_virtio_drives(error);
}

#define MIB (UINT64_C(1) << 20)
const MachineClass pc_class = {
    .name = "pc-i440fx-7.2",
    .alias = "pc",
    .doc = "Standard PC (i440FX + PIIX, 1996)",
    .default_cpu = "qemu64",
    .default_display = "std",
    .default_ram = 128 * MIB,
    .max_cpus = 255,
    .family = BOARD_PC,
    .is_default = true,
    .ide_buses = 2,
    .ide_units = 2,
    .build = build,
    .finish = pc_describe,
};

/* ---- "none": a monitor and nothing else ---- */

static bool build_nothing(GError **error)
{
    return true;
}

const MachineClass none_class = {
    .name = "none",
    .doc = "empty machine",
    .max_cpus = 1,
    .no_floppy = true,
    .no_cdrom = true,
    .no_serial = true,
    .no_parallel = true,
    .build = build_nothing,
};
