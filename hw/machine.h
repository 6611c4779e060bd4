/* The machine: what the command line said about it, and the board that is built from that.
 *
 * -machine, -m, -smp, -cpu, -boot, -kernel and their like fill in `machine` before machine_build; afterwards it is read
 * only.  Main lock held. */
#ifndef HW_MACHINE_H
#define HW_MACHINE_H

#include "block/drive.h"
#include "char/char.h"
#include "core/error.h"
#include "core/row.h"
#include "cpu/cpu.h"
#include "cpu/model.h"
#include "hw/device.h"

/* Rows of machine_rows belong to all boards (.arg 0), or to these. */
enum { BOARD_PC = 1, BOARD_MICROVM = 2, BOARD_ISAPC = 4 };

typedef struct MachineClass {
    const char *name;                   /* "pc-i440fx-7.2"                                                   */
    const char *alias;                  /* "pc"                                                              */
    const char *doc;                    /* a line of -machine help                                           */
    const char *default_cpu;            /* -cpu when there is none; NULL: the board has no CPU               */
    const char *default_nic, *default_display;
    uint64_t default_ram;               /* bytes                                                             */
    unsigned max_cpus;
    bool is_default;                    /* taken when there is no -machine                                   */
    unsigned ide_buses, ide_units;      /* buses "ide.0" ... for -drive if=ide, and devices on each          */
    bool no_cdrom, no_floppy, no_serial, no_parallel;   /* default devices that it does not get              */
    bool deprecated;
    bool sockets_first;                 /* -smp N without more is N sockets, not N cores                     */
    unsigned family;                    /* BOARD_*: whose properties it has beside those of all             */
    bool (*build)(GError **error);      /* from `machine` and `platform`                                     */
    bool (*finish)(GError **error);     /* when the user's devices are there too: tables for the firmware    */
} MachineClass;
const MachineClass *machine_class_at(unsigned n);       /* NULL: behind the last */
const MachineClass *machine_class_find(const char *name);       /* by name or alias */
char *machine_help(void);               /* -machine help; caller frees */

typedef enum OnOffAuto { OFA_AUTO, OFA_ON, OFA_OFF } OnOffAuto;
extern const char *const on_off_auto_names[];
enum { MACHINE_SERIALS = 4, MACHINE_PARALLELS = 3 };

typedef struct FwCfgFile {              /* -fw_cfg */
    char *name;
    uint8_t *data;
    size_t len;
} FwCfgFile;

typedef struct Machine {
    const MachineClass *class;
    /* -machine properties, by machine_rows */
    int32_t acpi, smm, vmport, unpack_kernel;           /* OnOffAuto                                         */
    bool graphics, usb, hpet, pit, i8042, sata, smbus, pcspk, fd_bootchk, mem_merge, dump_guest_core, nvdimm, suppress_vmdesc;
    uint64_t max_ram_below_4g;          /* bytes; 0: the board's choice                                      */
    char *firmware, *kernel, *initrd, *append, *dtb, *memory_backend, *pflash0, *pflash1, *dt_compatible,
        *pcspk_audiodev, *memory_encryption, *oem_id, *oem_table_id;
    int32_t with_pic, with_pit, with_rtc, ioapic2;      /* microvm's: OnOffAuto                              */
    bool isa_serial, auto_kernel_cmdline, option_rom_files;     /* the same */
    /* -m */
    uint64_t ram_size, max_ram;         /* bytes                                                             */
    unsigned ram_slots;
    char *mem_path;
    bool mem_prealloc;
    /* -smp */
    Topology topology;
    unsigned cpus, max_cpus;
    char *cpu_option;                   /* -cpu                                                              */
    CpuModel *cpu_model;                /* made by machine_make_cpus                                         */
    /* -name, -uuid */
    char *name;
    uint8_t uuid[16];
    bool uuid_set;
    /* -boot */
    char *boot_order, *boot_once;       /* letters, NULL: the board's default                                */
    int32_t boot_menu;                  /* OnOffAuto                                                         */
    bool boot_strict;
    char *boot_splash;
    int64_t boot_splash_time, boot_reboot_timeout;      /* ms, -1: not set                                   */
    /* -vga, -serial, -parallel, -display */
    char *vga;                          /* NULL: the board's default, unless -nodefaults or a -device display */
    Char *serial[MACHINE_SERIALS], *parallel[MACHINE_PARALLELS];
    char *watchdog_action;
    bool nographic;                     /* fw_cfg tells the firmware to use the serial port                  */
    bool no_defaults;
    /* -rtc: seconds since 1970 at the virtual clock's 0 are host time + offset, or `rtc_start` when it is fixed */
    enum { RTC_UTC, RTC_LOCALTIME, RTC_FIXED } rtc_base;
    int64_t rtc_start;                  /* seconds                                                           */
    ClockType rtc_clock;
    bool rtc_slew;
    GArray *fw_cfg_files;               /* of FwCfgFile, owned                                               */
    GPtrArray *option_roms;             /* -option-rom paths                                                 */
    /* what the board made, for others to find */
    Device *fw_cfg, *rtc, *pic;
    uint64_t ram_below_4g, ram_above_4g, ram_above_at;  /* bytes on either side of 4 GiB; address of the upper part */
    uint64_t plug_at, plug_size;        /* addresses for memory that is plugged in; 0: none                   */
    bool (*wire_cpu)(Cpu *c, GError **error);           /* what it does for each CPU: local APIC; NULL: nothing    */
    bool ready;
} Machine;
extern Machine machine;
extern const Row machine_rows[];        /* properties of -machine, of all boards */
bool machine_row_is_ours(const Row *r); /* the chosen board has it */

void machine_init(void);                /* defaults */
bool machine_set(const char *property, const char *value, GError **error);
char *machine_properties_help(void);    /* -machine X,help; caller frees */
/* Checks -m and -smp, makes CPUs and devices, and leaves the machine reset.  The accelerator has started. */
bool machine_build(GError **error);
/* When all devices exist: the board describes them to the firmware.  The machine is ready to be reset. */
bool machine_finish(GError **error);
/* For boards: a CPU for each of machine.cpus, with the model of -cpu. */
bool machine_make_cpus(GError **error);
bool machine_make_model(GError **error);
/* `-smp` text that was given, by parts (0: not given): fills in topology, cpus and max_cpus. */
typedef struct SmpOptions { unsigned cpus, maxcpus, sockets, dies, cores, threads; } SmpOptions;
bool machine_set_smp(const SmpOptions *smp, GError **error);

/* A device of the board: made, given "property=value,..." (may be NULL), realized.  NULL with *error. */
Device *board_device(const char *type, const char *id, Bus *bus, const char *props, GError **error);

/* The wake-up, power button and reset listeners of boards hang on core/runstate.h. */

#endif
