/* The software CPU for sequences: RAM behind the same linear addresses as the host's process has, nothing else. */
#ifndef TESTS_SOFT_GUEST_H
#define TESTS_SOFT_GUEST_H

#include "tests/soft/silicon.h"

typedef enum GuestWay {
    WAY_STEPS,                          /* one instruction after the other */
    WAY_BLOCKS,
    WAY_TRANSLATED,                     /* blocks as host code, from their second run on */
    WAY_COUNTED,                        /* blocks that count instructions, stopped and continued at random ones */
    WAYS
} GuestWay;

void guest_setup(void);
uint8_t *guest_memory(unsigned at);   /* of the arena; to be read */
void guest_write(unsigned at, const void *data, size_t len);          /* as a device does it */
/* From `in` until it faults or reaches ARENA_EXIT.  `trace` (WAY_STEPS) is shown each RIP and the general registers there, and
 * may stop it by false. */
typedef bool GuestTrace(uint64_t rip, const uint64_t *gpr);
void guest_run(GuestWay way, const Sequence *q, const Standing *in, Standing *out, GuestTrace *trace);
uint64_t guest_translated(void);      /* instructions that WAY_TRANSLATED has made host code of, up to now */
uint64_t guest_count(void);           /* instructions of the last run of WAY_STEPS and WAY_COUNTED */
void guest_stop(void);                /* from a signal's handler: end a run that does not */

#endif
