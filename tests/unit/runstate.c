/* The run state: who is told what, in which order, and what each request leads to. */
#include <string.h>

#include "core/clock.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "tests/unit/suite.h"

static GString *told;

static void changed(void *arg, bool running, RunState state)
{
    g_string_append_printf(told, "%s%c ", (char *)arg, running ? '+' : '-');
}

static void reset(void *arg, ShutdownCause cause)
{
    g_string_append_printf(told, "%sR ", (char *)arg);
}

static void powerdown(void *arg) { g_string_append_printf(told, "%sP ", (char *)arg); }
static void wakeup(void *arg) { g_string_append_printf(told, "%sW ", (char *)arg); }
static void on_stop(void) { g_string_append(told, "STOP "); }
static void on_resume(void) { g_string_append(told, "RESUME "); }
static void on_powerdown(void) { g_string_append(told, "POWERDOWN "); }
static void on_suspend(void) { g_string_append(told, "SUSPEND "); }
static void on_suspend_disk(void) { g_string_append(told, "SUSPEND_DISK "); }
static void on_wakeup(void) { g_string_append(told, "WAKEUP "); }
static void on_panic(const char *action) { g_string_append_printf(told, "PANICKED:%s ", action); }

static void on_reset(bool guest, ShutdownCause cause)
{
    g_string_append_printf(told, "RESET:%s ", guest ? "guest" : "host");
}

static void on_shutdown(bool guest, ShutdownCause cause)
{
    g_string_append_printf(told, "SHUTDOWN:%s ", guest ? "guest" : "host");
}

static void setup(void)
{
    loop_main();
    loop_lock();
    told = g_string_new(NULL);
    run_events = (RunEvents){.stop = on_stop, .resume = on_resume, .reset = on_reset, .shutdown = on_shutdown,
                             .powerdown = on_powerdown, .suspend = on_suspend, .suspend_disk = on_suspend_disk, .wakeup = on_wakeup,
                             .guest_panicked = on_panic};
    runstate_listen(&(RunListener){changed, reset, powerdown, wakeup, (char *)"a"});
    runstate_listen(&(RunListener){.changed = changed, .arg = (char *)"b"});
}

static void teardown(void)
{
    g_string_free(told, TRUE);
    loop_unlock();
}

static void expect(const char *what)
{
    ck_assert_str_eq(told->str, what);
    g_string_truncate(told, 0);
}

/* Carries out requests; the exit code, or -1 when the program goes on. */
static int poll(void)
{
    int code = 99;
    return runstate_poll(&code) ? -1 : code;
}

static void start(void)
{
    ck_assert(machine_continue(NULL));
    g_string_truncate(told, 0);
}

START_TEST(stop_and_continue)
{
    ck_assert_str_eq(runstate_name(runstate()), "prelaunch");
    machine_stop(RUN_PAUSED);           /* nothing ran: it still waits to be launched */
    ck_assert_str_eq(runstate_name(runstate()), "prelaunch");
    expect("");
    ck_assert(machine_continue(NULL));
    ck_assert(runstate_running() && clock_running());
    expect("RESUME a+ b+ ");
    ck_assert(machine_continue(NULL));
    expect("");
    machine_stop(RUN_PAUSED);
    ck_assert(!clock_running());
    expect("b- a- STOP ");
    machine_stop(RUN_PAUSED);
    expect("");
    ck_assert_str_eq(runstate_name(runstate()), "paused");
}
END_TEST

START_TEST(resets)
{
    machine_reset_now(CAUSE_NONE);
    expect("aR ");
    start();
    machine_request_reset(CAUSE_GUEST_RESET);
    expect("");                         /* not before the loop comes round */
    ck_assert_int_eq(poll(), -1);
    expect("b- a- aR RESET:guest a+ b+ ");
    ck_assert(runstate_running());
    ck_assert_int_eq(poll(), -1);
    expect("");
    machine_stop(RUN_PAUSED);
    g_string_truncate(told, 0);
    machine_request_reset(CAUSE_HOST_QMP_SYSTEM_RESET);
    ck_assert_int_eq(poll(), -1);
    expect("aR RESET:host ");
    ck_assert_int_eq(runstate(), RUN_PAUSED);
}
END_TEST

START_TEST(no_reboot)
{
    run_actions.reboot = REBOOT_SHUTDOWN;
    start();
    machine_request_reset(CAUSE_SUBSYSTEM_RESET);
    ck_assert_int_eq(poll(), -1);
    ck_assert_ptr_nonnull(strstr(told->str, "RESET:host"));
    g_string_truncate(told, 0);
    machine_request_reset(CAUSE_HOST_QMP_SYSTEM_RESET);
    ck_assert_int_eq(poll(), 0);
    expect("SHUTDOWN:host ");
    machine_request_reset(CAUSE_GUEST_RESET);
    ck_assert_int_eq(poll(), 0);
    expect("SHUTDOWN:guest ");
}
END_TEST

START_TEST(shutdowns)
{
    GError *error = NULL;
    start();
    machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    ck_assert_int_eq(poll(), 0);
    expect("SHUTDOWN:guest ");
    machine_request_shutdown_code(CAUSE_GUEST_SHUTDOWN, 33);
    ck_assert_int_eq(poll(), 33);
    expect("SHUTDOWN:guest ");
    run_actions.shutdown = SHUTDOWN_PAUSE;
    machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    ck_assert_int_eq(poll(), -1);
    expect("SHUTDOWN:guest b- a- STOP ");
    ck_assert_int_eq(runstate(), RUN_SHUTDOWN);
    ck_assert(!machine_continue(&error));
    ck_assert_str_eq(error->message, "Resetting the Virtual Machine is required");
    g_clear_error(&error);
    machine_request_reset(CAUSE_HOST_QMP_SYSTEM_RESET);
    ck_assert_int_eq(poll(), -1);
    ck_assert_int_eq(runstate(), RUN_PAUSED);
    ck_assert(machine_continue(NULL));
    g_string_truncate(told, 0);
    machine_request_shutdown(CAUSE_HOST_QMP_QUIT);      /* a person's quit ends it all the same */
    ck_assert_int_eq(poll(), 0);
    expect("SHUTDOWN:host ");
}
END_TEST

START_TEST(sleep_on_disk)
{
    start();
    machine_guest_suspended_to_disk();
    ck_assert_int_eq(poll(), 0);
    expect("SUSPEND_DISK SHUTDOWN:guest ");
}
END_TEST

START_TEST(buttons_and_sleep)
{
    start();
    machine_request_powerdown();
    ck_assert_int_eq(poll(), -1);
    ck_assert_ptr_nonnull(strstr(told->str, "aP "));
    ck_assert_ptr_nonnull(strstr(told->str, "POWERDOWN "));
    g_string_truncate(told, 0);
    machine_request_wakeup();           /* it is awake */
    ck_assert_int_eq(poll(), -1);
    expect("");
    machine_request_suspend();
    ck_assert_int_eq(poll(), -1);
    expect("b- a- SUSPEND ");
    ck_assert_int_eq(runstate(), RUN_SUSPENDED);
    ck_assert(clock_running());
    ck_assert(machine_continue(NULL));  /* nothing was stopped */
    machine_stop(RUN_PAUSED);
    ck_assert_int_eq(runstate(), RUN_SUSPENDED);
    machine_request_wakeup();
    ck_assert_int_eq(poll(), -1);
    expect("aW a+ b+ WAKEUP ");
    machine_request_suspend();
    ck_assert_int_eq(poll(), -1);
    g_string_truncate(told, 0);
    machine_request_reset(CAUSE_HOST_QMP_SYSTEM_RESET);
    ck_assert_int_eq(poll(), -1);
    ck_assert_ptr_nonnull(strstr(told->str, "a+ b+ "));
    ck_assert_int_eq(runstate(), RUN_RUNNING);
}
END_TEST

START_TEST(panics_and_failures)
{
    start();
    machine_guest_panicked();
    ck_assert_int_eq(poll(), -1);
    ck_assert_int_eq(runstate(), RUN_GUEST_PANICKED);
    expect("PANICKED:pause b- a- STOP ");
    run_actions.panic = PANIC_EXIT_FAILURE;
    machine_guest_panicked();
    ck_assert_int_eq(poll(), 1);
    run_actions.panic = PANIC_NONE;
    g_string_truncate(told, 0);
    machine_guest_panicked();
    ck_assert_int_eq(poll(), -1);
    expect("PANICKED:run ");
    machine_reset_now(CAUSE_HOST_QMP_SYSTEM_RESET);
    start();
    machine_request_stop(RUN_INTERNAL_ERROR);
    ck_assert_int_eq(poll(), -1);
    ck_assert_int_eq(runstate(), RUN_INTERNAL_ERROR);
    ck_assert(!machine_continue(NULL));
}
END_TEST

SUITE_MAIN("runstate", setup, teardown, stop_and_continue, resets, no_reboot, shutdowns, sleep_on_disk, buttons_and_sleep,
           panics_and_failures)
