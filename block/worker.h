/* Threads for calls that block, for each loop its own: none while nothing is to do, up to WORKERS_MAX, gone again after a while of
 * idleness. */
#ifndef BLOCK_WORKER_H
#define BLOCK_WORKER_H

#include <stdbool.h>

#include "core/loop.h"

enum { WORKERS_MAX = 64 };

/* Run fn(arg) on a worker and return its result.  Inside a coroutine, which yields meanwhile. */
int co_worker_run(int (*fn)(void *arg), void *arg);

/* While on, this thread runs such calls itself instead: for those who would wait for the answer anyhow.  Nests. */
void worker_inline(bool on);

/* Go on with coroutines of that loop whose calls have ended; `wait`: until there is one.  False when no call is under way.  By
 * who works for the loop; what else the loop has to do is not done here. */
bool worker_reap(Loop *loop, bool wait);
/* Instead: at least min threads, which start now, and at most max, which is not 0.  Any thread. */
void worker_limits(Loop *loop, unsigned min, unsigned max);
/* The loop is about to go.  Main lock held, the loop entered. */
void worker_forget(Loop *loop);

#endif
