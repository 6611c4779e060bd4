#include "core/runstate.h"

#include <assert.h>
#include <stdatomic.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"

static RunState state = RUN_PRELAUNCH;
static GArray *listeners;
RunActions run_actions;
RunEvents run_events;

/* What was asked and not yet carried out.  -1: nothing. */
static atomic_int reset_wanted = -1, shutdown_wanted = -1, stop_wanted = -1, exit_code_wanted = -1;
static atomic_bool powerdown_wanted, suspend_wanted, wakeup_wanted;
static const char *held; /* why the machine must stand still, NULL: it may run */
static bool needs_reset; /* shut down or failed: only a reset makes it runnable again */

static const char *const names[RUN_STATES] = {[RUN_DEBUG] = "debug",
                                              [RUN_INMIGRATE] = "inmigrate",
                                              [RUN_INTERNAL_ERROR] = "internal-error",
                                              [RUN_IO_ERROR] = "io-error",
                                              [RUN_PAUSED] = "paused",
                                              [RUN_POSTMIGRATE] = "postmigrate",
                                              [RUN_PRELAUNCH] = "prelaunch",
                                              [RUN_FINISH_MIGRATE] = "finish-migrate",
                                              [RUN_RESTORE_VM] = "restore-vm",
                                              [RUN_RUNNING] = "running",
                                              [RUN_SAVE_VM] = "save-vm",
                                              [RUN_SHUTDOWN] = "shutdown",
                                              [RUN_SUSPENDED] = "suspended",
                                              [RUN_WATCHDOG] = "watchdog",
                                              [RUN_GUEST_PANICKED] = "guest-panicked",
                                              [RUN_COLO] = "colo"};

#define EMIT(event, ...)                                                                           \
    do {                                                                                           \
        if (run_events.event) {                                                                    \
            run_events.event(__VA_ARGS__);                                                         \
        }                                                                                          \
    } while (0)

RunState runstate(void)
{
    return state;
}

bool runstate_running(void)
{
    return state == RUN_RUNNING;
}

const char *runstate_name(RunState s)
{
    return names[s];
}

void runstate_listen(const RunListener *listener)
{
    if (!listeners) {
        listeners = g_array_new(FALSE, FALSE, sizeof(RunListener));
    }
    g_array_append_val(listeners, *listener);
}

static unsigned listener_count(void)
{
    return listeners ? listeners->len : 0;
}

static RunListener *listener_at(unsigned i)
{
    return &g_array_index(listeners, RunListener, i);
}

/* In order of registration; when they are to stop, the other way round. */
static void tell_changed(bool running, RunState now)
{
    for (unsigned n = 0, count = listener_count(); n < count; n++) {
        RunListener *l = listener_at(running ? n : count - 1 - n);
        if (l->changed) {
            l->changed(l->arg, running, now);
        }
    }
}

static void set_state(RunState now)
{
    TRACE(runstate_set, "%s", names[now]);
    state = now;
}

void machine_stop(RunState why)
{
    assert(why != RUN_RUNNING);
    if (state != RUN_RUNNING) { /* it stays what it is: "prelaunch", "suspended" ... */
        return;
    }
    set_state(why);
    tell_changed(false, why);
    clock_stop();
    EMIT(stop);
}

void runstate_hold(const char *why)
{
    held = why;
    loop_wake(); /* resets that waited */
}

bool machine_continue(GError **error)
{
    if (state == RUN_RUNNING) {
        return true;
    }
    if (held) {
        return error_fail(error, "%s", held);
    }
    if (needs_reset) {
        return error_fail(error, "Resetting the Virtual Machine is required");
    }
    if (state == RUN_SUSPENDED) { /* it has not been stopped; what wakes it is another matter */
        return true;
    }
    set_state(RUN_RUNNING);
    EMIT(resume);
    clock_start();
    tell_changed(true, RUN_RUNNING);
    return true;
}

/* ---- Requests ---- */

static void (*on_request)(void);

void runstate_on_request(void (*fn)(void))
{
    on_request = fn;
}

/* After it nothing is to happen any more on the CPU that asked. */
static void requested(void)
{
    if (on_request) {
        on_request();
    }
    loop_wake();
}

void machine_request_reset(ShutdownCause cause)
{
    if (run_actions.reboot == REBOOT_SHUTDOWN && cause != CAUSE_SUBSYSTEM_RESET &&
        cause != CAUSE_SNAPSHOT_LOAD) {
        shutdown_wanted = (int)cause;
    } else {
        reset_wanted = (int)cause;
    }
    requested();
}

void machine_request_shutdown(ShutdownCause cause)
{
    shutdown_wanted = (int)cause;
    requested();
}

void machine_request_shutdown_code(ShutdownCause cause, int exit_code)
{
    exit_code_wanted = exit_code;
    machine_request_shutdown(cause);
}

void machine_request_powerdown(void)
{
    powerdown_wanted = true;
    loop_wake();
}

void machine_request_suspend(void)
{
    suspend_wanted = true;
    requested();
}

void machine_request_wakeup(void)
{
    wakeup_wanted = true;
    loop_wake();
}

void machine_request_stop(RunState why)
{
    stop_wanted = (int)why;
    requested();
}

/* ---- Carrying them out ---- */

static void reset_machine(ShutdownCause cause)
{
    bool was_running = state == RUN_RUNNING;
    TRACE(machine_reset, "cause %d", (int)cause);
    if (was_running) { /* CPUs stand still while the machine is reset; nobody hears of it */
        tell_changed(false, RUN_PAUSED);
    }
    for (unsigned i = 0; i < listener_count(); i++) {
        RunListener *l = listener_at(i);
        if (l->reset) {
            l->reset(l->arg, cause);
        }
    }
    needs_reset = false;
    if (cause != CAUSE_NONE) {
        EMIT(reset, cause_is_guest(cause), cause);
    }
    if (state == RUN_INTERNAL_ERROR || state == RUN_SHUTDOWN || state == RUN_GUEST_PANICKED) {
        state = RUN_PAUSED;
    }
    if (state == RUN_SUSPENDED && cause != CAUSE_NONE) { /* a reset ends its sleep */
        set_state(RUN_RUNNING);
        was_running = true;
    }
    if (was_running) {
        tell_changed(true, RUN_RUNNING);
    }
}

void machine_reset_now(ShutdownCause cause)
{
    reset_machine(cause);
}

void machine_guest_panicked(void)
{
    static const char *const actions[] = {[PANIC_PAUSE] = "pause",
                                          [PANIC_SHUTDOWN] = "poweroff",
                                          [PANIC_EXIT_FAILURE] = "poweroff",
                                          [PANIC_NONE] = "run"};
    EMIT(guest_panicked, actions[run_actions.panic]);
    switch (run_actions.panic) {
    case PANIC_PAUSE: machine_request_stop(RUN_GUEST_PANICKED); break;
    case PANIC_SHUTDOWN: machine_request_shutdown(CAUSE_GUEST_PANIC); break;
    case PANIC_EXIT_FAILURE: machine_request_shutdown_code(CAUSE_GUEST_PANIC, 1); break;
    case PANIC_NONE: break;
    }
}

void machine_guest_suspended_to_disk(void)
{
    EMIT(suspend_disk);
    machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
}

void machine_guest_crashloaded(void)
{
    EMIT(guest_crashloaded);
}

/* The CPUs sleep; the clock goes on, and with it whatever may wake them. */
static void suspend(void)
{
    if (state == RUN_RUNNING) {
        set_state(RUN_SUSPENDED);
        tell_changed(false, RUN_SUSPENDED);
        EMIT(suspend);
    }
}

static void wakeup(void)
{
    if (state != RUN_SUSPENDED) {
        return;
    }
    for (unsigned i = 0; i < listener_count(); i++) {
        RunListener *l = listener_at(i);
        if (l->wakeup) {
            l->wakeup(l->arg);
        }
    }
    set_state(RUN_RUNNING);
    tell_changed(true, RUN_RUNNING);
    EMIT(wakeup);
}

void runstate_settle(void)
{
    if (held) {
        return;
    }
    int cause = atomic_exchange(&reset_wanted, -1);
    if (cause >= 0) {
        reset_machine((ShutdownCause)cause);
    }
    if (atomic_exchange(&wakeup_wanted, false)) {
        wakeup();
    }
    if (atomic_exchange(&powerdown_wanted, false)) {
        for (unsigned i = 0; i < listener_count(); i++) {
            RunListener *l = listener_at(i);
            if (l->powerdown) {
                l->powerdown(l->arg);
            }
        }
        EMIT(powerdown);
    }
}

bool runstate_poll(int *exit_code)
{
    int stop = atomic_exchange(&stop_wanted, -1);
    if (stop >= 0) {
        machine_stop((RunState)stop);
        needs_reset |= stop == RUN_INTERNAL_ERROR;
    }
    if (atomic_exchange(&suspend_wanted, false)) {
        suspend();
    }
    int cause = atomic_exchange(&shutdown_wanted, -1);
    if (cause >= 0) {
        EMIT(shutdown, cause_is_guest((ShutdownCause)cause), (ShutdownCause)cause);
        int code = atomic_exchange(&exit_code_wanted, -1);
        if (run_actions.shutdown == SHUTDOWN_PAUSE && cause != CAUSE_HOST_QMP_QUIT &&
            cause != CAUSE_HOST_SIGNAL && code < 0) {
            machine_stop(RUN_SHUTDOWN);
            needs_reset = true;
        } else {
            *exit_code = code > 0 ? code : 0;
            return false;
        }
    }
    runstate_settle();
    return true;
}
