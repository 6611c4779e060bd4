/* What the PC boards share: the wires between interrupt sources and controllers, A20, CMOS, firmware and its files. */
#ifndef HW_BOARD_PC_H
#define HW_BOARD_PC_H

#include "hw/firmware/fw-cfg.h"
#include "hw/isa/isa.h"
#include "hw/machine.h"
#include "hw/pci/pc-memory.h"
#include "hw/pci/pci.h"

/* Global system interrupts: 0..15 reach the 8259s and the I/O APIC, 16..23 the I/O APIC alone; or the kernel's chips. */
enum { PC_GSIS = 24, PC_SCI = 9 };      /* a second I/O APIC has PC_GSIS and up */

typedef struct PcBoard {
    PcMemory memory;
    RamBlock *bios;
    Region *ram;
    Device *host, *pm, *fdc;            /* host bridge, power management, floppy controller */
    PciBus *pci;                        /* the root bus                                             */
    IsaBus *isa;
    Device *pic[2], *ioapic, *ioapic2, *pit, *rtc, *dma[2], *i8042, *port92, *spk, *hpet;
    FwCfg *fw;
    Region *a20_alias;                  /* the odd megabyte above 1 MiB, folded back while A20 is off */
    bool no_pic;                        /* the board goes without 8259s */
    bool legacy_replaced;               /* the HPET has the lines of timer and clock */
    uint8_t a20_sources;                /* who wants A20 on: bit 0 port 92h, bit 1 keyboard controller */
} PcBoard;
extern PcBoard pc;
extern const MachineClass pc_class, q35_class, isapc_class, microvm_class, none_class;    /* each in its file */

/* pc.c */
bool pc_make_ram(const PcSplit *board, GError **error);
bool pc_make_memory_slots(GError **error);
bool pc_load_bios(const char *usual, GError **error);   /* -bios or that file; or, in its place, the flash */
bool pc_load_shadowed_bios(const char *usual, GError **error);  /* for boards that cannot shadow it: RAM shows it at E0000h */
void pc_gsi(void *unused, unsigned gsi, bool level);    /* an Irq sink */
bool pc_make_interrupts(GError **error);/* 8259s, I/O APIC, local APICs, as far as the kernel does not have them */
bool pc_make_cpu_hotplug(unsigned port, GError **error);        /* where the tables look for it; for ACPI */
bool pc_make_isa_chips(GError **error); /* timer, clock, DMA, keyboard, ports 61h and 92h, serial, parallel, floppy */
bool pc_make_hpet(GError **error);
/* Those that a board may take one by one: lines of the ISA bus to pc_gsi, 8254 with port 61h, clock, COM1 ... */
void pc_wire_isa(void);
bool pc_make_timer(GError **error);
bool pc_make_clock(GError **error);
bool pc_make_serial_ports(unsigned most, GError **error);
/* pc-pci.c: a function of the board, with a property set (NULL: none) */
Device *pc_function(const char *type, unsigned slot, unsigned fn, bool multifunction, const char *property,
                    const char *value, GError **error);
bool pc_make_display(unsigned slot, GError **error);    /* as -vga says */
bool pc_make_ide_drives(GError **error);                /* for -drive if=ide on buses ide.0 ... */
bool pc_make_virtio_drives(GError **error);             /* for -drive if=virtio */
bool pc_choose_smm(bool *smm, GError **error);          /* whether CPUs have system management mode */
void pc_listen_for_wakeup(void);        /* before the power management is made */
void pc_wire_power(Device *pm);         /* its SMI pin; it becomes pc.pm */
/* pc-flash.c: chips for the pflash drives, if there are any (*made) */
bool pc_make_flash(bool *made, GError **error);
/* pc-firmware.c: CMOS and fw_cfg, when every device is there */
bool pc_make_fw_cfg(GError **error);
bool pc_describe(GError **error);

#endif
