/* Loops: a thread, a lock, and things to wait for.
 *
 * The main loop owns all device registers and all configuration; whoever touches them holds its lock.  The core takes
 * it (loop dispatch, space_rw, QMP); device code contains no lock call.  A queue loop owns the virtqueues and drives that it
 * was given and nothing else; its thread holds its lock except while it waits.
 *
 * Locks are taken in one direction: who holds the main lock may take over queue loops (loop_enter), and then works on their
 * things himself; a queue loop's thread never waits for the main lock (asserted), it rings or posts.  That is the whole rule. */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Loop Loop;

Loop *loop_main(void);                  /* made at first use, by the thread that will run it; never freed   */
Loop *loop_new(const char *name);       /* starts a thread                                                  */
void loop_free(Loop *loop);             /* stops and joins a queue loop; nothing belongs to it any more     */
/* The loop that this thread works for: its own, or the one it entered last; NULL: a vCPU or a worker, which works for the
 * main loop while it holds the main lock. */
Loop *loop_current(void);
bool loop_is_queue_thread(void);        /* this is a queue loop's own thread: it takes no main lock          */
GMainContext *loop_context(Loop *loop);
int loop_thread_id(const Loop *loop);   /* the kernel's number of a queue loop's thread                     */

/* The main lock, recursive.  For the core, vCPU threads and tests; devices never call these. */
void loop_lock(void);
void loop_unlock(void);
bool loop_locked(void);                 /* by this thread                                                   */
/* Called before the lock is let go (mem/ publishes edited maps there); set once at start. */
extern void (*loop_before_unlock)(void);

/* Take over what a queue loop owns: its thread stands still until loop_leave, and the caller may do all that it may do.
 * By holders of the main lock; for the main loop, and for a loop that this thread has already, nothing happens.
 * Nests; left in the reverse order. */
void loop_enter(Loop *loop);
void loop_leave(Loop *loop);
/* Of several queue loops that this thread has, the one to work for until loop_work_again, which gets what was returned.  For
 * the main loop nothing happens. */
Loop *loop_work_for(Loop *loop);
void loop_work_again(Loop *before);
/* Every queue loop has ended what it was doing when this was called.  Main lock held. */
void loop_settle_all(void);

/* Run fn(arg) on the loop's thread, soon, with its lock held.  Any thread; never blocks. */
void loop_post(Loop *loop, void (*fn)(void *arg), void *arg);

/* Call fn(arg) on the loop's thread after a ring: once for all rings before it.  Ringing is cheap, never blocks, and any
 * thread may.  Made and freed by who owns the loop's things; after bell_free fn is not called. */
typedef struct Bell Bell;
Bell *bell_new(Loop *loop, void (*fn)(void *arg), void *arg);
void bell_ring(Bell *bell);
void bell_free(Bell *bell);             /* NULL is fine */

/* How a queue loop waits: at first it polls, for a time that grows by the factor `grow` (0: 2) when polling longer would have been
 * worth it, up to max_ns, and shrinks by the factor `shrink` (0: to nothing) when it was not. */
typedef struct LoopPolling {
    int64_t max_ns;                     /* 0: never polls; the default */
    int64_t grow, shrink;
} LoopPolling;
void loop_set_polling(Loop *loop, const LoopPolling *polling);  /* loop entered */

/* Call fn(arg, revents) on the loop's thread whenever fd shows one of `events` (POLLIN, POLLOUT ...; errors always).
 * The watch does not own fd.  Free it with loop_unwatch, also from within fn.  By who owns the loop's things. */
typedef struct Watch Watch;
Watch *loop_watch(Loop *loop, int fd, short events, void (*fn)(void *arg, short revents), void *arg);
void loop_watch_events(Watch *watch, short events);
void loop_unwatch(Watch *watch);

/* One round of the main loop: wait (unless !block) for a descriptor, post or timer, with the lock released while
 * waiting, then run what is due.  The caller holds the main lock. */
void loop_iterate(bool block);
/* Wake the main loop from its wait.  Any thread, and signal handlers. */
void loop_wake(void);

#endif
