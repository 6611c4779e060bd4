#include "block/range-lock.h"

#include <stddef.h>

static RangeHold *conflict(const RangeHold *hold)
{
    for (RangeHold *h = hold->prev; h; h = h->prev) {
        if (h->start < hold->end && hold->start < h->end && (h->exclusive || hold->exclusive)) {
            return h;
        }
    }
    return NULL;
}

void co_range_lock(RangeLock *lock, RangeHold *hold, int64_t start, int64_t end, bool exclusive)
{
    *hold = (RangeHold){.start = start, .end = end, .exclusive = exclusive, .prev = lock->last};
    if (lock->last) {
        lock->last->next = hold;
    } else {
        lock->first = hold;
    }
    lock->last = hold;
    /* Only those who came earlier are waited for, so nobody waits in a circle. */
    for (RangeHold *h; (h = conflict(hold));) {
        co_queue_wait(&h->waiting, NULL);
    }
}

void co_range_unlock(RangeLock *lock, RangeHold *hold)
{
    if (hold->prev) {
        hold->prev->next = hold->next;
    } else {
        lock->first = hold->next;
    }
    if (hold->next) {
        hold->next->prev = hold->prev;
    } else {
        lock->last = hold->prev;
    }
    co_queue_wake_all(&hold->waiting);
}
