/* Debugging the guest of the software CPU: accel/debug.h's points as one CPU looks for them.
 *
 * Breakpoints are no bytes in memory: a block ends before one, and the block behind it begins with a micro-op that asks here.
 * Pages with watched bytes get no entries in the tables (tlb.c), so that each access to them asks here; the instruction that
 * touches such a byte begins once more in a block of its own, so that the loop can stop behind it.  Whatever was met is noted,
 * and told by soft_debug_serve when the loop is back.  While there are no points and no steps, SoftCpu.debug is NULL. */
#ifndef ACCEL_SOFT_DEBUG_H
#define ACCEL_SOFT_DEBUG_H

#include "accel/soft/soft.h"

/* SoftCpu.singly: why instructions run one at a time. */
enum {
    SINGLY_STEP = 1 << 0,               /* soft_step                                               */
    SINGLY_DEBUG = 1 << 1,              /* a debugger steps                                        */
    SINGLY_NO_IRQ = 1 << 2,             /* with SINGLY_DEBUG: interrupts, NMI and SMI wait         */
    SINGLY_ONCE = 1 << 3,               /* the next one only                                       */
};

/* Take over accel/debug.h's settings; own thread between two runs, main lock held. */
void soft_debug_apply(SoftCpu *s);
void soft_debug_free(SoftCpu *s);
/* The state was changed by others. */
void soft_debug_moved(SoftCpu *s);

/* Of the block's `n` instructions, those before the first breakpoint behind its beginning. */
unsigned soft_debug_cut(const SoftCpu *s, const Insn *insns, unsigned n);
bool soft_debug_block(const SoftCpu *s, uint64_t rip);      /* a block that begins there has to ask */
bool soft_debug_enter(SoftCpu *s, const struct Block *b);   /* the block asks: false: leave to the loop */
/* An INT3 that somebody has put into memory for a breakpoint there: the guest's own byte. */
bool soft_debug_covered(const SoftCpu *s, uint64_t linear, uint8_t *own);
void soft_debug_told(SoftCpu *s);       /* the trace points at RIP have been called */

/* ---- Data ---- */
bool soft_debug_page(const SoftCpu *s, uint64_t linear, bool store);  /* this page must have no entry */
bool soft_debug_watched(const SoftCpu *s, uint64_t linear, size_t len, bool write);   /* some byte of it */
/* These bytes are accessed now, all checks have been passed.  May begin the instruction anew. */
void soft_debug_touch(SoftCpu *s, uint64_t linear, unsigned size, bool write);
/* They will be: likewise, but noted is nothing. */
void soft_debug_expect(SoftCpu *s, uint64_t linear, size_t len, bool write);
/* Something that cannot be done twice is about to be done: from here on the instruction must not begin anew. */
void soft_debug_alone(SoftCpu *s);
/* A repeated instruction stops half-way: its breakpoints have been met. */
void soft_debug_unfinished(SoftCpu *s);

/* ---- The loop ---- */
bool soft_debug_begin(SoftCpu *s);      /* before an instruction on its own; false: an event came first, which is the step */
void soft_debug_end(SoftCpu *s);        /* behind it, also when it has ended in a handler */
void soft_debug_faulted(SoftCpu *s);    /* what the instruction has met does not count: it begins anew some time */
bool soft_debug_halted(SoftCpu *s);     /* no event wakes it.  True: it stops all the same */
bool soft_debug_serve(SoftCpu *s);      /* POLL_DEBUG.  True: stop, which was requested */

#endif
