/* What the PC boards do with PCI functions: display, power management, disks. */
#include <string.h>

#include "block/drive.h"
#include "core/runstate.h"
#include "hw/board/pc.h"
#include "hw/pci/pc-host.h"
#include "hw/platform.h"
#include "hw/timer/mc146818.h"

Device *pc_function(const char *type, unsigned slot, unsigned fn, bool multifunction,
                    const char *property, const char *value, GError **error)
{
    const DeviceClass *class = device_class_find(type);
    if (!class) {
        error_fail(error, "machine '%s': this build has no device '%s'", machine.class->name, type);
        return NULL;
    }
    PciDevice *d = pci_new(class, NULL, PCI_DEVFN(slot, fn), multifunction);
    if ((property && !device_set(&d->dev, property, value, error)) ||
        !device_realize(&d->dev, pci_bus_as_bus(pc.pci), error)) {
        device_free(&d->dev);
        return NULL;
    }
    return &d->dev;
}

bool pc_make_display(unsigned slot, GError **error)
{
    const char *vga = machine.vga ? machine.vga : machine.no_defaults ? "none" : machine.class->default_display;
    const char *type = !strcmp(vga, "cirrus") ? "cirrus-vga" : "VGA";
    return !strcmp(vga, "none") || pc_function(type, slot, 0, false, NULL, NULL, error);
}

/* ---- Power management ---- */

static void smi_pin(void *unused, unsigned line, bool level)
{
    if (level) {
        cpu_raise(cpu_at(0), CPU_EVENT_SMI);
    }
}

/* Out of S3 everything but memory and its shadow map comes from its reset state; the power
 * management still knows that it slept, and says so in WAK_STS.  The firmware tells a resume from a
 * boot by the shutdown status byte. */
static void machine_wakes(void *unused)
{
    enum { CMOS_SHUTDOWN_STATUS = 0x0f, RESUME = 0xfe };
    if (device_pin(pc.pm, "pm.s3", 0)->level) {
        PcHostShadow shadow = pc_host_shadow(pc.host);
        machine_reset_now(CAUSE_NONE);
        pc_host_set_shadow(pc.host, &shadow);
        mc146818_set(pc.rtc, CMOS_SHUTDOWN_STATUS, RESUME);
    }
}

bool pc_choose_smm(bool *smm, GError **error)
{
    *smm = machine.smm != OFA_OFF && platform.smm;
    return machine.smm != OFA_ON || platform.smm ||
           error_fail(error, "System Management Mode not supported by this hypervisor.");
}

void pc_listen_for_wakeup(void)
{
    static const RunListener listener = {.wakeup = machine_wakes};
    runstate_listen(&listener);
}

void pc_wire_power(Device *pm)
{
    pc.pm = pm;
    irq_connect(device_pin(pm, "smi", 0), smi_pin, NULL, 0);
}

/* ---- Disks: -drive if=ide, by bus and unit ---- */

static bool make_ide_drive(DriveInfo *info, GError **error)
{
    g_autofree char *bus_name = g_strdup_printf("ide.%d", info->bus),
                    *unit = g_strdup_printf("%d", info->unit);
    Bus *bus = bus_find(bus_name);
    if (!bus || info->unit >= (int)machine.class->ide_units) {
        return error_fail(error,
                          "machine type '%s' has no IDE bus %d, unit %d (expected: bus 0 to %u, "
                          "unit 0%s)",
                          machine.class->name, info->bus, info->unit, machine.class->ide_buses - 1,
                          machine.class->ide_units > 1 ? " or 1" : "");
    }
    Device *d = device_new(device_class_find(info->cdrom ? "ide-cd" : "ide-hd"), NULL);
    device_set_pointer(d, "drive", info->drive);
    info->claimed = true;
    if (!device_set(d, "unit", unit, error) ||
        (info->serial && !device_set(d, "serial", info->serial, error)) ||
        !device_realize(d, bus, error)) {
        device_free(d);
        return false;
    }
    return true;
}

bool pc_make_ide_drives(GError **error)
{
    for (unsigned bus = 0; bus < machine.class->ide_buses; bus++) {
        for (unsigned unit = 0; unit < machine.class->ide_units; unit++) {
            DriveInfo *info = drive_info_find(IF_IDE, (int)bus, (int)unit);
            if (info && !make_ide_drive(info, error)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- Disks: -drive if=virtio, a function or a virtio-mmio transport of its own for each ---- */

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
    Bus *bus = pc.pci ? pci_bus_as_bus(pc.pci) : bus_find_type("virtio-bus");
    Device *d = pc.pci ? &pci_new(device_class_find("virtio-blk-pci"), NULL, -1, false)->dev
                       : device_new(device_class_find("virtio-blk-device"), NULL);
    device_set_pointer(d, "drive", info->drive);
    info->claimed = true;
    all->ok = (!info->serial || device_set(d, "serial", info->serial, all->error)) &&
              device_realize(d, bus, all->error);
    if (!all->ok) {
        device_free(d);
    }
}

bool pc_make_virtio_drives(GError **error)
{
    VirtioDrives all = {true, error};
    drive_info_foreach(make_virtio_drive, &all);
    return all.ok;
}
