/* The time-stamp counter of the software CPU (SDM vol 3 §18.17): the virtual clock, scaled, plus an offset.
 *
 * All CPUs count from the same clock, so their counters agree until a guest writes one. */
#ifndef ACCEL_SOFT_OP_TSC_H
#define ACCEL_SOFT_OP_TSC_H

#include "accel/soft/soft.h"

/* Its frequency in Hz: the model's tsc-frequency=, else 1 GHz. */
uint64_t soft_tsc_hz(const SoftCpu *s);

/* Somebody else keeps the counter: it is `value` now and goes on at `hz` (0: the model's).  The APIC is not told. */
void soft_tsc_follow(SoftCpu *s, uint64_t value, uint64_t hz);

/* state.msr.tsc becomes the counter's value now, for those who read the state. */
void soft_tsc_store(SoftCpu *s);
/* The state was perhaps changed by others.  When msr.tsc is not what soft_tsc_store left, the counter goes on
 * from there; 0, which is reset's value, means the machine's common counter, so that all CPUs agree after a
 * reset.  Call it once when the CPU is set up: it also tells the APIC, whose deadline timer counts in the same
 * unit.  Takes the main lock when that is needed. */
void soft_tsc_load(SoftCpu *s);

/* WRMSR: the counter; by as much TSC_ADJUST moves, and the other way round. */
void soft_tsc_write(SoftCpu *s, uint64_t value);
void soft_tsc_adjust_write(SoftCpu *s, uint64_t value);

#endif
