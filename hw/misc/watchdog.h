/* What follows when a watchdog chip runs out: the user's choice (-action watchdog=, -watchdog-action, watchdog-set-action). */
#ifndef HW_MISC_WATCHDOG_H
#define HW_MISC_WATCHDOG_H

#include "hw/device.h"

/* Tells QMP (event WATCHDOG) and carries out run_actions.watchdog.  Main lock held; never blocks. */
void watchdog_expired(const Device *dev);

#endif
