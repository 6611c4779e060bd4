/* Loops: a thread, a lock, and things to wait for.
 *
 * The main loop owns all device registers and all configuration; whoever touches them holds its lock.  The core takes
 * it (loop dispatch, space_rw, QMP); device code contains no lock call.  A queue loop owns its virtqueues and drives and
 * nothing else; queue code takes no lock.  Main may loop_call() a queue loop and wait; a queue loop never waits for main.
 * That is the whole rule. */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Loop Loop;

Loop *loop_main(void);                  /* made at first use, by the thread that will run it; never freed   */
Loop *loop_new(const char *name);       /* starts a thread; its lock is held by that thread while it runs   */
void loop_free(Loop *loop);             /* stops and joins a queue loop                                     */
Loop *loop_current(void);               /* the loop whose thread this is, or NULL (a vCPU, a worker)        */
GMainContext *loop_context(Loop *loop);

/* The main lock, recursive.  For the core, vCPU threads and tests; devices never call these. */
void loop_lock(void);
void loop_unlock(void);
bool loop_locked(void);                 /* by this thread                                                   */
/* Called before the lock is let go (mem/ publishes edited maps there); set once at start. */
extern void (*loop_before_unlock)(void);

/* Run fn(arg) on the loop's thread, soon, with its lock held.  Any thread.  loop_post never blocks. */
void loop_post(Loop *loop, void (*fn)(void *arg), void *arg);
/* The same, and wait until it has run.  From main only, for a queue loop only (asserted). */
void loop_call(Loop *loop, void (*fn)(void *arg), void *arg);

/* Call fn(arg, revents) on the loop's thread whenever fd shows one of `events` (POLLIN, POLLOUT ...; errors always).
 * The watch does not own fd.  Free it with loop_unwatch, also from within fn.  Main-lock holders only. */
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
