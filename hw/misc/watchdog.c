#include "hw/misc/watchdog.h"

#include "core/log.h"
#include "core/runstate.h"
#include "cpu/cpu.h"

static void nmi_everywhere(void)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        cpu_raise(cpu_at(i), CPU_EVENT_NMI);
    }
}

void watchdog_expired(const Device *dev)
{
    if (run_events.watchdog) {
        run_events.watchdog((int)run_actions.watchdog);
    }
    switch (run_actions.watchdog) {
    case WATCHDOG_RESET: machine_request_reset(CAUSE_GUEST_RESET); break;
    case WATCHDOG_SHUTDOWN: machine_request_powerdown(); break;
    case WATCHDOG_POWEROFF: machine_request_shutdown(CAUSE_GUEST_SHUTDOWN); break;
    case WATCHDOG_PAUSE: machine_request_stop(RUN_WATCHDOG); break;
    case WATCHDOG_DEBUG: warn_report("watchdog '%s' ran out", device_label(dev)); break;
    case WATCHDOG_NMI: nmi_everywhere(); break;
    case WATCHDOG_NONE: break;
    }
}
