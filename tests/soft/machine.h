/* The software CPU for sequences: RAM behind the same linear addresses as the host's process has, nothing else. */
#ifndef TESTS_SOFT_MACHINE_H
#define TESTS_SOFT_MACHINE_H

#include "tests/soft/silicon.h"

typedef enum MachineWay {
    WAY_STEPS,                          /* one instruction after the other */
    WAY_BLOCKS,
    WAY_COUNTED,                        /* blocks that count instructions, stopped and continued at random ones */
    WAYS
} MachineWay;

void machine_setup(void);
uint8_t *machine_memory(unsigned at);   /* of the arena; to be read */
void machine_write(unsigned at, const void *data, size_t len);          /* as a device does it */
/* From `in` until it faults or reaches ARENA_EXIT.  `trace` (WAY_STEPS) is shown each RIP, and may stop it by false. */
void machine_run(MachineWay way, const Sequence *q, const Standing *in, Standing *out, bool (*trace)(uint64_t rip));
uint64_t machine_count(void);           /* instructions of the last run of WAY_STEPS and WAY_COUNTED */
void machine_stop(void);                /* from a signal's handler: end a run that does not */

#endif
