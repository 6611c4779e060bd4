/* Coroutines: functions with a stack of their own that can wait, so that I/O code reads from top to bottom.
 *
 * A coroutine belongs to the loop on which it was made and is only entered by holders of that loop's lock (main: any
 * thread with the main lock, so it may start on a vCPU thread and go on in the main loop).  It runs until it yields or
 * returns.  Nothing here blocks or makes a system call, except that new stacks are mapped now and then. */
#ifndef CORE_COROUTINE_H
#define CORE_COROUTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/loop.h"

typedef struct Coroutine Coroutine;
typedef void CoFn(void *arg);

#define CO_STACK_SIZE (256 * 1024)      /* usable bytes; an overflow hits a guard page */

/* Made suspended; it frees itself when fn returns.  Its loop is the one that this thread works for, or the main one. */
Coroutine *co_new(CoFn *fn, void *arg);
Coroutine *co_new_on(Loop *loop, CoFn *fn, void *arg);  /* by who has that loop's lock, perhaps among others */
Loop *co_loop(void);                    /* of the running coroutine */
/* Run it until it yields or returns.  Its loop's lock held; also from within another coroutine, which then waits. */
void co_enter(Coroutine *co);
static inline void co_start(CoFn *fn, void *arg) { co_enter(co_new(fn, arg)); }
/* Go back to whoever entered.  Inside a coroutine only. */
void co_yield(void);
Coroutine *co_self(void);               /* NULL outside */

/* Enter it soon on its loop.  Any thread; a coroutine must not be woken twice for one yield. */
void co_wake(Coroutine *co);
/* Enter it as soon as the running coroutine yields or returns (outside of coroutines: now).  Lock holders. */
void co_wake_next(Coroutine *co);
/* Wait on a clock.  Inside a coroutine of the main loop only. */
void co_sleep(ClockType clock, int64_t ns);
/* For who waits for coroutines and for nothing else: enter those whose sleep on CLOCK_RT is over.  ns until the next one's is
 * (0 when some were entered); -1: none sleeps.  Main lock held. */
int64_t co_sleepers_run(void);

/* Coroutines of one loop waiting in a line.  All zero is an empty queue. */
typedef struct CoWaiter CoWaiter;
typedef struct CoQueue { CoWaiter *first, *last; } CoQueue;
/* A lock among the coroutines of one loop, handed over in order.  All zero is unlocked. */
typedef struct CoMutex {
    Coroutine *owner;
    CoQueue waiting;
} CoMutex;

void co_mutex_lock(CoMutex *m);         /* inside a coroutine */
void co_mutex_unlock(CoMutex *m);       /* by the owner */
/* Wait until woken; `m` (may be NULL) is released meanwhile. */
void co_queue_wait(CoQueue *q, CoMutex *m);
bool co_queue_wake(CoQueue *q);         /* the one that waited longest; false when nobody waits */
void co_queue_wake_all(CoQueue *q);
static inline bool co_queue_empty(const CoQueue *q) { return !q->first; }

#endif
