/* What a person can act on: which fault led to which, what refused and why, and what the machine looked like. */
#ifndef CPU_BLACKBOX_REPORT_H
#define CPU_BLACKBOX_REPORT_H

#include "cpu/blackbox/ring.h"

/* A CPU has shut down.  Its own thread, with its registers in CpuState as the last fault found them.  Takes the main lock.
 * The report is kept (box_last_report) and goes to the log, in full at most once a second; of a reset that a system wanted
 * (an INT or UD2 with an empty IDT is how kernels reboot) it is one line. */
void box_report_shutdown(Cpu *c);
/* The last one, also after the reset; NULL: there was none.  Any thread; caller frees. */
char *box_last_report(void);

/* ---- Parts of it, for the monitor: state in sync, main lock held; appended ---- */
/* Each fault of the last chain with its reason, a numbered paragraph each; nothing when there was none.  Of faults whose
 * handlers have been entered only what memory still tells. */
void box_print_chain(const Cpu *c, GString *out);
/* The instructions around CS:RIP, the current one marked. */
void box_print_code(const Cpu *c, GString *out);
/* -d mmu: one line for a #PF. */
void box_log_page_fault(const Cpu *c, uint64_t address, uint32_t error);

#endif
