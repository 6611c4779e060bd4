/* Whether the machine runs, and who asked it to stop.
 *
 * The state machine of QMP's RunState.  Only the main thread changes it; the requests may come from any thread and are
 * carried out by the main loop in runstate_poll(), which the program's loop calls each round. */
#ifndef CORE_RUNSTATE_H
#define CORE_RUNSTATE_H

#include <glib.h>
#include <stdbool.h>

typedef enum RunState {                 /* in the order of the schema's enum RunState */
    RUN_DEBUG, RUN_INMIGRATE, RUN_INTERNAL_ERROR, RUN_IO_ERROR, RUN_PAUSED, RUN_POSTMIGRATE, RUN_PRELAUNCH,
    RUN_FINISH_MIGRATE, RUN_RESTORE_VM, RUN_RUNNING, RUN_SAVE_VM, RUN_SHUTDOWN, RUN_SUSPENDED, RUN_WATCHDOG,
    RUN_GUEST_PANICKED, RUN_COLO, RUN_STATES
} RunState;

typedef enum ShutdownCause {            /* in the order of the schema's enum ShutdownCause */
    CAUSE_NONE, CAUSE_HOST_ERROR, CAUSE_HOST_QMP_QUIT, CAUSE_HOST_QMP_SYSTEM_RESET, CAUSE_HOST_SIGNAL, CAUSE_HOST_UI,
    CAUSE_GUEST_SHUTDOWN, CAUSE_GUEST_RESET, CAUSE_GUEST_PANIC, CAUSE_SUBSYSTEM_RESET, CAUSE_SNAPSHOT_LOAD, CAUSES
} ShutdownCause;
static inline bool cause_is_guest(ShutdownCause c) { return c >= CAUSE_GUEST_SHUTDOWN && c <= CAUSE_GUEST_PANIC; }

RunState runstate(void);
bool runstate_running(void);
const char *runstate_name(RunState s);  /* "running", "prelaunch" ... */

void machine_stop(RunState why);        /* stops vCPUs and the virtual clock, flushes drives, emits STOP; idempotent */
bool machine_continue(GError **error);  /* emits RESUME; refused where a reset is due first (shutdown, internal error) */
/* Until it is called with NULL, machine_continue is refused with this text, and resets wait: somebody reads memory that must
 * stand still. */
void runstate_hold(const char *why);

/* The whole machine to its reset state, at once; CAUSE_NONE: without a RESET event (before the first start). */
void machine_reset_now(ShutdownCause cause);

/* Requests: any thread, never block. */
void machine_request_reset(ShutdownCause cause);
void machine_request_shutdown(ShutdownCause cause);
void machine_request_shutdown_code(ShutdownCause cause, int exit_code); /* isa-debug-exit */
void machine_request_powerdown(void);   /* the power button */
void machine_request_suspend(void);     /* CPUs sleep, the clock goes on; neither STOP nor RESUME is emitted */
void machine_request_wakeup(void);
void machine_request_stop(RunState why);/* from a vCPU: internal error, guest debug ... */

/* Called on the thread that requests a reset, shutdown, suspend or stop, before the request is carried out: the CPU that asked
 * executes nothing behind it.  One function; set before the CPUs run. */
void runstate_on_request(void (*fn)(void));

/* What to do on -no-reboot, -no-shutdown and -action; set by the command line and by QMP set-action. */
typedef struct RunActions {
    enum { REBOOT_RESET, REBOOT_SHUTDOWN } reboot;
    enum { SHUTDOWN_POWEROFF, SHUTDOWN_PAUSE } shutdown;
    enum { PANIC_PAUSE, PANIC_SHUTDOWN, PANIC_EXIT_FAILURE, PANIC_NONE } panic;
    enum { WATCHDOG_RESET, WATCHDOG_SHUTDOWN, WATCHDOG_POWEROFF, WATCHDOG_PAUSE, WATCHDOG_DEBUG, WATCHDOG_NONE,
           WATCHDOG_NMI } watchdog;
} RunActions;
extern RunActions run_actions;
void machine_guest_panicked(void);      /* pvpanic and friends: event, then the action */
void machine_guest_suspended_to_disk(void);     /* event, then as if it had switched off */
void machine_guest_crashloaded(void);   /* the guest panicked and its crash kernel takes over: event only */

/* Who takes part.  Called on the main thread in order of registration (stop: reverse). */
typedef struct RunListener {
    void (*changed)(void *arg, bool running, RunState state);
    void (*reset)(void *arg, ShutdownCause cause);      /* the whole machine goes to its reset state */
    void (*powerdown)(void *arg);
    void (*wakeup)(void *arg);
    void *arg;
} RunListener;
void runstate_listen(const RunListener *listener);      /* copied */

/* Carries out what was requested.  False: the program ends now with *exit_code.  Main thread, lock held. */
bool runstate_poll(int *exit_code);
/* Of that the part which leaves the program running: reset, wake-up, power button.  A monitor calls it between the commands
 * of one packet, so that none overtakes what the one before it asked for. */
void runstate_settle(void);

/* Emitting QMP events is the job of a higher layer, which fills this in; empty members are skipped. */
typedef struct RunEvents {
    void (*stop)(void);
    void (*resume)(void);
    void (*reset)(bool guest, ShutdownCause cause);
    void (*shutdown)(bool guest, ShutdownCause cause);
    void (*powerdown)(void);
    void (*suspend)(void);
    void (*suspend_disk)(void);
    void (*wakeup)(void);
    void (*guest_panicked)(const char *action);
    void (*guest_crashloaded)(void);    /* GUEST_CRASHLOADED; its action is always "run" */
    void (*watchdog)(int action);       /* WATCHDOG, with what follows: run_actions.watchdog */
} RunEvents;
extern RunEvents run_events;

#endif
