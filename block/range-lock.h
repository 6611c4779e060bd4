/* Locks on ranges of bytes, among the coroutines of one loop: for requests that read, modify and write more than they
 * were asked to.  Shared holders may overlap each other, an exclusive one overlaps nobody.  First come, first served. */
#ifndef BLOCK_RANGE_LOCK_H
#define BLOCK_RANGE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/coroutine.h"

typedef struct RangeHold RangeHold;
struct RangeHold {                      /* on the holder's stack */
    int64_t start, end;
    bool exclusive;
    CoQueue waiting;                    /* for this one to end */
    RangeHold *next, *prev;
};
typedef struct RangeLock { RangeHold *first, *last; } RangeLock;        /* all zero: nothing is held */

void co_range_lock(RangeLock *lock, RangeHold *hold, int64_t start, int64_t end, bool exclusive);
void co_range_unlock(RangeLock *lock, RangeHold *hold);

#endif
