/* Clocks and timers.
 *
 * CLOCK_VIRTUAL is the guest's: it stops with the machine, and under qtest or icount it moves only by clock_advance.
 * CLOCK_REALTIME_NS never stops (monotonic since start); CLOCK_HOST is the wall clock (UTC since 1970).  All in ns.
 * This is one of the three doors through which nondeterminism enters a machine; devices use the virtual clock only. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

typedef enum ClockType { CLOCK_VIRTUAL, CLOCK_RT, CLOCK_HOST, CLOCK_TYPES } ClockType;

int64_t clock_now(ClockType type);      /* any thread, no lock */

/* The virtual clock starts stopped at 0.  Main lock held. */
void clock_start(void);
void clock_stop(void);
bool clock_running(void);
/* While it is held the virtual clock stands still, started or not, manual or not: a debugger steps. */
void clock_hold(bool hold);
bool clock_held(void);
void clock_set_virtual(int64_t ns);     /* loading a snapshot: the clock goes on from here */

/* Manual mode (qtest, icount, unit tests): from now on the virtual clock moves only by clock_advance_to, which runs the
 * due timers in order, each at its own time. */
void clock_manual(void);
bool clock_is_manual(void);
/* Manual mode: asked first by clock_now, for a CPU that moves on between two advances (icount).  False: as last advanced. */
extern bool (*clock_manual_now)(int64_t *ns);
void clock_advance_to(int64_t ns);      /* no effect when ns lies behind */
int64_t clock_next_deadline(ClockType type);    /* ns, absolute; TIMER_OFF when no timer is armed */

#define TIMER_OFF INT64_MAX
/* Deadline on a clock; lives inside its owner, who calls timer_init before use and timer_off before freeing.
 * Main lock held for everything.  fire runs on the main loop's thread, once for each time the timer was set. */
typedef struct Timer {
    int64_t at;                         /* ns; TIMER_OFF when idle.  To be read by anyone, set by timer_at */
    void (*fire)(void *arg);
    void *arg;
    uint32_t slot;                      /* place in the clock's heap, from 1; 0: not queued */
    uint8_t clock;                      /* ClockType */
} Timer;
void timer_init(Timer *t, ClockType clock, void (*fire)(void *arg), void *arg);
void timer_at(Timer *t, int64_t ns);    /* moves it when it was set; TIMER_OFF is timer_off */
void timer_off(Timer *t);
static inline bool timer_pending(const Timer *t) { return t->at != TIMER_OFF; }

/* For the main loop: run every timer that is due on any clock that moves by itself. */
void clock_run_due(void);
/* ns from now to the nearest such deadline: 0 when one is due, -1 when none is set. */
int64_t clock_wait_ns(void);

/* a * b / c without overflow in between, c > 0; rounds down. */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

#endif
