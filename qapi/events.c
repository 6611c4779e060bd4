#include "qapi/events.h"

#include "core/runstate.h"
#include "hw/timer/mc146818.h"
#include "qapi/schema/qapi-events.h"

/* core declares these in the schema's order, so that a value is a value in both. */
_Static_assert((int)RUN_DEBUG == (int)Q_RUN_STATE_DEBUG &&
                   (int)RUN_RUNNING == (int)Q_RUN_STATE_RUNNING &&
                   (int)RUN_STATES == (int)Q_RUN_STATE__MAX,
               "RunState follows the schema");
_Static_assert((int)CAUSE_HOST_UI == (int)Q_SHUTDOWN_CAUSE_HOST_UI &&
                   (int)CAUSES == (int)Q_SHUTDOWN_CAUSE__MAX,
               "ShutdownCause follows the schema");

static void run_reset(bool guest, ShutdownCause cause)
{
    event_reset(guest, (QShutdownCause)cause);
}

static void run_shutdown(bool guest, ShutdownCause cause)
{
    event_shutdown(guest, (QShutdownCause)cause);
}

static void run_panicked(const char *action)
{
    int value = qtype_enum_find(&qtype_GuestPanicAction, action);
    event_guest_panicked(value < 0 ? Q_GUEST_PANIC_ACTION_RUN : (QGuestPanicAction)value);
}

static void run_crashloaded(void)
{
    event_guest_crashloaded(Q_GUEST_PANIC_ACTION_RUN);
}

static void run_watchdog(int action)
{
    event_watchdog((QWatchdogAction)action);
}

void qapi_run_events_init(void)
{
    run_events = (RunEvents){
        .stop = event_stop,
        .resume = event_resume,
        .reset = run_reset,
        .shutdown = run_shutdown,
        .powerdown = event_powerdown,
        .suspend = event_suspend,
        .suspend_disk = event_suspend_disk,
        .wakeup = event_wakeup,
        .guest_panicked = run_panicked,
        .guest_crashloaded = run_crashloaded,
        .watchdog = run_watchdog,
    };
}

static void rtc_changed(void *arg, int64_t offset)
{
    const Device *rtc = arg;
    event_rtc_change(offset, rtc->path);
}

static void watch_rtc(void *arg, Device *d)
{
    if (device_class_is(d->class, "mc146818rtc")) {
        mc146818_on_change(d, rtc_changed, d);
    }
}

void qapi_machine_events_init(void)
{
    device_foreach(watch_rtc, NULL);
}
