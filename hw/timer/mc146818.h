/* Real-time clock MC146818A with 256 bytes of battery-backed memory.
 *
 * Register space 0: index and data (70h, 71h), and index and data of the upper 128 bytes (72h, 73h).  Pin "irq" is IRQ#
 * (true: an interrupt waits).  Main lock held. */
#ifndef HW_TIMER_MC146818_H
#define HW_TIMER_MC146818_H

#include "hw/device.h"

/* CMOS contents that the board leaves for the firmware: index 0x0e..0xff (the clock's own registers are not for it). */
void mc146818_set(Device *rtc, unsigned index, uint8_t value);
uint8_t mc146818_get(const Device *rtc, unsigned index);

/* Seconds by which the guest has set the clock ahead of where the machine started it: RTC_CHANGE's offset. */
int64_t mc146818_offset(const Device *rtc);
/* Call fn(arg, offset) whenever the guest sets the time. */
void mc146818_on_change(Device *rtc, void (*fn)(void *arg, int64_t offset), void *arg);

/* The date that the clock shows, as `date` property of the machine: seconds since 1970 in the guest's own time zone. */
int64_t mc146818_seconds(const Device *rtc);

#endif
