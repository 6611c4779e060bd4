/* The board "pc": Intel 440FX host bridge and PIIX3, as a 1996 desktop was wired, with today's
 * firmware interface. */
#include <string.h>

#include "block/drive.h"
#include "core/runstate.h"
#include "hw/board/pc.h"
#include "hw/pci/i440fx.h"
#include "hw/pci/pci.h"
#include "hw/pci/piix3.h"
#include "hw/platform.h"
#include "hw/timer/mc146818.h"

static Device *pci_function(const char *type, unsigned slot, unsigned fn, bool multifunction,
                            GError **error)
{
    const DeviceClass *class = device_class_find(type);
    if (!class) {
        error_fail(error, "machine '%s': this build has no device '%s'", machine.class->name, type);
        return NULL;
    }
    PciDevice *d = pci_new(class, NULL, PCI_DEVFN(slot, fn), multifunction);
    if (!device_realize(&d->dev, pci_bus_as_bus(i440fx_bus(pc.host)), error)) {
        device_free(&d->dev);
        return NULL;
    }
    return &d->dev;
}

static bool make_display(GError **error)
{
    const char *vga = machine.vga ? machine.vga : machine.no_defaults ? "none" : "std";
    return !strcmp(vga, "none") || pci_function("VGA", 2, 0, false, error);
}

/* ---- -drive if=virtio: a function of its own for each ---- */

typedef struct VirtioDrives {
    bool ok;
    GError **error;
} VirtioDrives;

static void make_virtio_drive(void *arg, DriveInfo *info)
{
    VirtioDrives *all = arg;
    if (info->interface != IF_VIRTIO || !all->ok) {
        return;
    }
    PciDevice *d = pci_new(device_class_find("virtio-blk-pci"), NULL, -1, false);
    device_set_pointer(&d->dev, "drive", info->drive);
    info->claimed = true;
    all->ok = (!info->serial || device_set(&d->dev, "serial", info->serial, all->error)) &&
              device_realize(&d->dev, pci_bus_as_bus(i440fx_bus(pc.host)), all->error);
    if (!all->ok) {
        device_free(&d->dev);
    }
}

static bool make_virtio_drives(GError **error)
{
    VirtioDrives all = {true, error};
    drive_info_foreach(make_virtio_drive, &all);
    return all.ok;
}

/* ---- Power management ---- */

static void smi_pin(void *unused, unsigned line, bool level)
{
    if (level) {
        cpu_raise(cpu_at(0), CPU_EVENT_SMI);
    }
}

/* The firmware tells a resume from a boot by the shutdown status byte. */
static void s3_pin(void *unused, unsigned line, bool level)
{
    enum { CMOS_SHUTDOWN_STATUS = 0x0f, RESUME = 0xfe };
    if (level) {
        mc146818_set(pc.rtc, CMOS_SHUTDOWN_STATUS, RESUME);
    }
}

/* Out of S3 everything but memory comes from its reset state; the power management still knows that
 * it slept, and says so in WAK_STS. */
static void machine_wakes(void *unused)
{
    if (device_pin(pc.pm, "s3", 0)->level) {
        machine_reset_now(CAUSE_NONE);
    }
}

static bool choose_smm(bool *smm, GError **error)
{
    *smm = machine.smm != OFA_OFF && platform.smm;
    return machine.smm != OFA_ON || platform.smm ||
           error_fail(error, "System Management Mode not supported by this hypervisor.");
}

static bool make_power_management(GError **error)
{
    static const RunListener listener = {.wakeup = machine_wakes};
    bool smm;
    if (!choose_smm(&smm, error)) {
        return false;
    }
    if (smm) {
        platform.smm_space = i440fx_smm_space(pc.host);
    }
    if (machine.acpi == OFA_OFF) {
        return true;
    }
    runstate_listen(
        &listener); /* before the chip's own: it must not have forgotten that it slept */
    PciDevice *pm = pci_new(device_class_find("PIIX4_PM"), NULL, PCI_DEVFN(1, 3), false);
    if (!device_set(&pm->dev, "smm-enabled", smm ? "on" : "off", error) ||
        !device_realize(&pm->dev, pci_bus_as_bus(i440fx_bus(pc.host)), error)) {
        device_free(&pm->dev);
        return false;
    }
    pc.pm = &pm->dev;
    irq_connect(device_pin(pc.pm, "sci", 0), pc_gsi, NULL, PC_SCI);
    irq_connect(device_pin(pc.pm, "smi", 0), smi_pin, NULL, 0);
    irq_connect(device_pin(pc.pm, "s3", 0), s3_pin, NULL, 0);
    return true;
}

static bool build(GError **error)
{
    if (!machine_make_model(error) || !machine_make_cpus() || !pc_make_ram(error) ||
        !pc_load_bios(error)) {
        return false;
    }
    pc.host = i440fx_new(&pc.memory, error);
    pc.piix3 = pc.host ? pci_function("PIIX3", 1, 0, true, error) : NULL;
    if (!pc.piix3) {
        return false;
    }
    pc.isa = piix3_isa(pc.piix3);
    return pc_make_interrupts(error) && pc_make_isa_chips(error) && pc_make_fw_cfg(error) &&
           pc_make_hpet(error) && make_display(error) &&
           pci_function("piix3-ide", 1, 1, false, error) && pc_make_ide_drives(error) &&
           make_power_management(error) && make_virtio_drives(error);
}

#define MIB (UINT64_C(1) << 20)
static const MachineClass pc_class = {
    .name = "pc-i440fx-7.2",
    .alias = "pc",
    .doc = "Standard PC (i440FX + PIIX, 1996)",
    .default_cpu = "qemu64",
    .default_display = "std",
    .default_ram = 128 * MIB,
    .max_cpus = 255,
    .is_default = true,
    .build = build,
    .finish = pc_describe,
};

/* ---- "none": a monitor and nothing else ---- */

static bool build_nothing(GError **error)
{
    return true;
}

static const MachineClass none_class = {
    .name = "none",
    .doc = "empty machine",
    .max_cpus = 1,
    .no_floppy = true,
    .no_cdrom = true,
    .no_serial = true,
    .no_parallel = true,
    .build = build_nothing,
};

const MachineClass *const machine_classes[] = {&pc_class, &none_class, NULL};
