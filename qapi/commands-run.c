/* Commands that start, stop and reset the machine. */
#include <string.h>

#include "core/error.h"
#include "core/runstate.h"
#include "cpu/cpu.h"
#include "dump/dump.h"
#include "qapi/schema/qapi-commands.h"

bool qmp_query_status(const void *args, QStatusInfo *ret, GError **error)
{
    ret->running = runstate_running();
    ret->status = (QRunState)runstate();
    return true;
}

bool qmp_stop(const void *args, void *ret, GError **error)
{
    if (dump_progress().status == DUMP_ACTIVE) { /* it would go on by itself at the end */
        return error_fail(error, "There is a dump in process, please wait.");
    }
    machine_stop(RUN_PAUSED);
    return true;
}

bool qmp_cont(const void *args, void *ret, GError **error)
{
    return machine_continue(error);
}

bool qmp_system_reset(const void *args, void *ret, GError **error)
{
    machine_request_reset(CAUSE_HOST_QMP_SYSTEM_RESET);
    return true;
}

bool qmp_system_powerdown(const void *args, void *ret, GError **error)
{
    machine_request_powerdown();
    return true;
}

bool qmp_system_wakeup(const void *args, void *ret, GError **error)
{
    if (runstate() != RUN_SUSPENDED) {
        return error_fail(error, "Unable to wake up: guest is not in suspended state");
    }
    machine_request_wakeup();
    return true;
}

/* RunActions' enumerations follow the schema's. */
_Static_assert((int)PANIC_NONE == (int)Q_PANIC_ACTION_NONE &&
                   (int)WATCHDOG_NMI == (int)Q_WATCHDOG_ACTION_INJECT_NMI &&
                   (int)SHUTDOWN_PAUSE == (int)Q_SHUTDOWN_ACTION_PAUSE &&
                   (int)REBOOT_SHUTDOWN == (int)Q_REBOOT_ACTION_SHUTDOWN,
               "RunActions follows the schema");

bool qmp_set_action(const SetActionArgs *args, void *ret, GError **error)
{
    if (args->has_reboot) {
        run_actions.reboot = (int)args->reboot;
    }
    if (args->has_shutdown) {
        run_actions.shutdown = (int)args->shutdown;
    }
    if (args->has_panic) {
        run_actions.panic = (int)args->panic;
    }
    if (args->has_watchdog) {
        run_actions.watchdog = (int)args->watchdog;
    }
    return true;
}

bool qmp_watchdog_set_action(const WatchdogSetActionArgs *args, void *ret, GError **error)
{
    run_actions.watchdog = (int)args->action;
    return true;
}

bool qmp_inject_nmi(const void *args, void *ret, GError **error)
{
    if (!cpu_count()) {
        return error_fail(error, "machine does not provide NMIs");
    }
    for (unsigned i = 0; i < cpu_count(); i++) {
        cpu_raise(cpu_at(i), CPU_EVENT_NMI);
    }
    return true;
}
