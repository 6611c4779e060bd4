/* The world around op/integer*.c and op/string.c: one flat piece of memory at the addresses where this
 * process has it. memory.c is the real one; what it asks of tlb.c is answered here. */
#ifndef TESTS_SOFT_FLAT_H
#define TESTS_SOFT_FLAT_H

#include "accel/soft/soft.h"

typedef struct Flat {
    uint64_t base, size;                /* all that exists: the rest is #PF                     */
    uint64_t inner, inner_size;         /* accesses beyond this part are noted in `stray`       */
    bool stray;
    uint64_t missed;                    /* where the last #PF was                               */
    bool no_host;                       /* nothing has a host pointer, as devices do not        */
} Flat;
extern Flat flat;

/* Runs one instruction; the vector of its fault, or EXC_NONE. */
uint8_t flat_run(SoftCpu *s, const Insn *i, OpFn *fn);
void flat_setup(SoftCpu *s, uint32_t mode);     /* MODE_64 or MODE_32: a flat user process */
OpFn *flat_find(unsigned mnemonic);             /* in ops_integer and ops_string; NULL     */

#endif
