/* Interval timer 8254: three counters at 1193182 Hz.
 *
 * Input lines 0..2 are GATE0..2 (GATE0 and 1 start high, as wired in a PC), pins "out" 0..2 are OUT0..2.  An OUT pin that
 * nobody is wired to costs no timer; i8254_out tells its level at any time.  Main lock held. */
#ifndef HW_TIMER_I8254_H
#define HW_TIMER_I8254_H

#include "hw/device.h"

#define PIT_HZ 1193182

bool i8254_out(const Device *pit, unsigned counter);
bool i8254_gate(const Device *pit, unsigned counter);

/* What counter 2 does for the speaker: the frequency in mHz of a square wave on OUT, or 0 when it does not oscillate. */
uint64_t i8254_tone_mhz(const Device *pit, unsigned counter);

#endif
