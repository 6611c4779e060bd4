/* The board "isapc": an AT of the time before PCI.  No ACPI, no APICs unless -cpu brings one, everything on the ISA bus. */
#include <string.h>

#include "hw/board/pc.h"

static const PcSplit split = {UINT64_C(7) << 29, UINT64_C(3) << 30};

static bool make_ide(GError **error)
{
    return board_device("isa-ide", NULL, pc.isa->bus, NULL, error) &&
           board_device("isa-ide", NULL, pc.isa->bus, "iobase=0x170,iobase2=0x376,irq=15", error) &&
           pc_make_ide_drives(error);
}

static bool make_display(GError **error)
{
    const char *vga = machine.vga ? machine.vga : machine.no_defaults ? "none" : machine.class->default_display;
    const char *type = !strcmp(vga, "cirrus") ? "isa-cirrus-vga" : "isa-vga";
    return !strcmp(vga, "none") || board_device(type, NULL, pc.isa->bus, NULL, error);
}

static bool build(GError **error)
{
    machine.acpi = OFA_OFF;
    machine.hpet = false;
    pc.isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    return machine_make_model(error) && machine_make_cpus(error) && pc_make_ram(&split, error) &&
           pc_load_shadowed_bios("bios.bin", error) && pc_make_interrupts(error) && pc_make_isa_chips(error) &&
           pc_make_fw_cfg(error) && make_display(error) && make_ide(error);
}

const MachineClass isapc_class = {
    .name = "isapc",
    .doc = "ISA-only PC",
    .default_cpu = "486",
    .default_display = "cirrus",
    .default_ram = UINT64_C(128) << 20,
    .max_cpus = 1,
    .family = BOARD_ISAPC,
    .ide_buses = 2,
    .ide_units = 2,
    .build = build,
    .finish = pc_describe,
};
