/* The generic event device and the sleep registers of hardware-reduced ACPI (ACPI 6.4 §4.1, §4.8.3.7, §5.6.9), where a board
 * without PCI has them: one register tells which events are due, three bytes put the machine to sleep and reset it.
 *
 * The PM timer (§4.8.3.3) is there too.  Such a platform need not have one, but Linux then has nothing to measure its
 * time-stamp counter with, since it does not trust the 8254 any more; and stops for good. */
#ifndef HW_MISC_ACPI_GED_H
#define HW_MISC_ACPI_GED_H

#include "hw/device.h"

enum { GED_EVENTS_SIZE = 4, GED_REGS_SIZE = 3 };        /* of the two register spaces                         */
enum { GED_POWER_BUTTON = 1 << 1 };                     /* bits of the event register                         */
enum { GED_SLEEP_CONTROL, GED_SLEEP_STATUS, GED_RESET, GED_RESET_VALUE = 0x42 };
enum { GED_SLP_TYP_SHIFT = 2, GED_SLP_EN = 1 << 5, GED_S5 = 5 };

enum { GED_TIMER_SIZE = 4 };

/* Regions of the device "acpi-ged-x86", owned by it; its pin "irq" is high while an event is due. */
Region *acpi_ged_events(Device *ged);
Region *acpi_ged_registers(Device *ged);
Region *acpi_ged_timer(Device *ged);

#endif
