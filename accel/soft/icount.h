/* Counting instructions instead of time (-icount): the virtual clock moves by what CPUs execute, CPUs take turns, and the same
 * inputs give the same run, instruction for instruction. */
#ifndef ACCEL_SOFT_ICOUNT_H
#define ACCEL_SOFT_ICOUNT_H

#include "accel/soft/run.h"
#include "core/error.h"

extern bool icount_on;                  /* from before the accelerator starts, for good */

/* "shift=N|auto,sleep=on|off": the clock moves 2^N ns an instruction (0 to 10; auto: as the host keeps up with real time); an
 * idle machine waits for its next timer (sleep=on) or goes there at once (off, not with auto).  Main lock held. */
bool icount_option(const char *text, GError **error);
void icount_start(void);
/* Instead of soft_execute: this CPU's turns, until its thread or the machine wants something. */
SoftExit icount_run(SoftCpu *s);
void icount_wake(void);                 /* somebody was kicked; any thread */
void icount_forget(const Cpu *c);       /* it is about to go */
/* Instructions that this CPU has executed before the present one. */
uint64_t icount_executed(const SoftCpu *s);
/* For people: instructions of the whole machine and the clock; appends. */
void icount_print(GString *out);

#endif
