/* The command line, in QEMU's dialect.
 *
 * Options are collected first, then carried out phase by phase (what the machine is; back ends; the board; devices;
 * monitors), so that their order on the line matters only within a phase.  One table (cmdline.c) has a row for each option:
 * help text, phase and handler. */
#ifndef QAPI_CMDLINE_H
#define QAPI_CMDLINE_H

#include <glib.h>
#include <stdbool.h>

typedef enum Phase {
    PHASE_EARLY,                        /* logs, messages, names, paths                                      */
    PHASE_MACHINE,                      /* -machine and whatever fills in `machine`                          */
    PHASE_BACKEND,                      /* objects, character and block back ends                            */
    PHASE_LINES,                        /* -serial, -parallel, -monitor, -qmp: they use back ends            */
    PHASE_DEVICE,                       /* on the finished board                                             */
    PHASES
} Phase;

typedef struct Option {
    const char *name;
    bool takes_value;
    Phase phase;
    /* NULL: nothing to do beyond being known */
    bool (*set)(const struct Option *option, const char *value, GError **error);
    const char *text;                   /* for handlers that serve several options                           */
    const char *syntax, *help;
} Option;

/* What the command line said beyond `machine`, for main. */
typedef struct Startup {
    bool stopped;                       /* -S */
    bool daemonize;
    char *pidfile;
    char *display;                      /* -display, or NULL */
    bool nographic, curses;
    GPtrArray *accels;                  /* texts of -accel, in order */
    char *qtest, *qtest_log;
    struct Char *debugcon;              /* -debugcon */
    bool snapshot;                      /* -snapshot */
    bool monitor_given, serial_given, parallel_given, floppy_given, cdrom_given;
} Startup;
extern Startup startup;

/* Collects argv.  False: the program ends now with *exit_code (help was printed, or an error was reported). */
bool cmdline_parse(int argc, char **argv, int *exit_code);
/* The board that -machine names, NULL: none, or none that exists.  Before PHASE_MACHINE, whose options depend on it. */
const struct MachineClass *cmdline_machine_type(void);
/* Carries out one phase; false like above. */
bool cmdline_run(Phase phase, int *exit_code);
/* Default devices, once the lines of the user are known. */
bool cmdline_debugcon(GError **error);          /* the device of -debugcon, on the finished board */
bool cmdline_default_lines(GError **error);
bool cmdline_default_drives(GError **error);    /* a CD-ROM and a floppy drive, empty */

/* A handler that printed help ends the program by this: sets *error to nothing and returns false. */
bool cmdline_done(void);

/* ---- Handlers, by file ---- */
#define HANDLER(name) bool name(const Option *option, const char *value, GError **error)
/* cmdline-machine.c */
HANDLER(opt_icount); HANDLER(opt_machine); HANDLER(opt_accel); HANDLER(opt_enable_kvm); HANDLER(opt_cpu); HANDLER(opt_smp); HANDLER(opt_memory);
HANDLER(opt_mem_path); HANDLER(opt_numa); HANDLER(opt_mem_prealloc); HANDLER(opt_name); HANDLER(opt_uuid); HANDLER(opt_boot); HANDLER(opt_rtc);
HANDLER(opt_overcommit);
HANDLER(opt_action); HANDLER(opt_no_reboot); HANDLER(opt_no_shutdown); HANDLER(opt_vga); HANDLER(opt_machine_property);
HANDLER(opt_fw_cfg); HANDLER(opt_option_rom); HANDLER(opt_watchdog_action); HANDLER(opt_machine_off);
/* cmdline-devices.c */
HANDLER(opt_object); HANDLER(opt_chardev); HANDLER(opt_drive); HANDLER(opt_drive_short); HANDLER(opt_device); HANDLER(opt_global);
HANDLER(opt_serial); HANDLER(opt_parallel); HANDLER(opt_monitor); HANDLER(opt_qmp); HANDLER(opt_mon);
HANDLER(opt_debugcon); HANDLER(opt_net); HANDLER(opt_smbios); HANDLER(opt_acpitable);

#endif
