/* Clocks and timers. */
#include <stdlib.h>

#include "core/clock.h"
#include "core/loop.h"
#include "tests/unit/suite.h"

static void setup(void)
{
    loop_main();
    loop_lock();
    clock_manual();
}

static void teardown(void)
{
    loop_unlock();
}

enum { MANY = 500 };
static struct Entry {
    Timer timer;
    int64_t due;
    unsigned fired;
} entries[MANY];
static int64_t last_fired;

static void fired(void *arg)
{
    struct Entry *e = arg;
    ck_assert_int_eq(clock_now(CLOCK_VIRTUAL), e->due); /* each at its own time */
    ck_assert_int_ge(e->due, last_fired);
    ck_assert(!timer_pending(&e->timer));
    last_fired = e->due;
    e->fired++;
}

START_TEST(many_timers_in_order)
{
    g_autoptr(GRand) rnd = g_rand_new_with_seed(1);
    for (unsigned i = 0; i < MANY; i++) {
        timer_init(&entries[i].timer, CLOCK_VIRTUAL, fired, &entries[i]);
    }
    for (unsigned i = 0; i < 20 * MANY; i++) { /* set, moved, turned off */
        struct Entry *e = &entries[g_rand_int_range(rnd, 0, MANY)];
        e->due = g_rand_int_range(rnd, 0, 4) ? g_rand_int_range(rnd, 1, 100000) : TIMER_OFF;
        timer_at(&e->timer, e->due);
        if (i % 100 == 0) {
            int64_t first = TIMER_OFF;
            for (unsigned j = 0; j < MANY; j++) {
                first = MIN(first, entries[j].timer.at);
            }
            ck_assert_int_eq(clock_next_deadline(CLOCK_VIRTUAL), first);
        }
    }
    unsigned expected = 0, got = 0;
    for (unsigned i = 0; i < MANY; i++) {
        expected += timer_pending(&entries[i].timer) && entries[i].due <= 50000;
    }
    clock_advance_to(50000);
    for (unsigned i = 0; i < MANY; i++) {
        got += entries[i].fired;
        ck_assert(!timer_pending(&entries[i].timer) || entries[i].due > 50000);
    }
    ck_assert_uint_eq(got, expected);
    clock_advance_to(100000);
    ck_assert_int_eq(clock_next_deadline(CLOCK_VIRTUAL), TIMER_OFF);
    ck_assert_int_eq(clock_now(CLOCK_VIRTUAL), 100000);
    clock_advance_to(5); /* never back */
    ck_assert_int_eq(clock_now(CLOCK_VIRTUAL), 100000);
}
END_TEST

static unsigned ticks;

static void tick(void *arg)
{
    Timer *t = arg;
    ticks++;
    if (ticks < 10) {
        timer_at(t, clock_now(CLOCK_VIRTUAL) + 10);
    }
}

START_TEST(sets_itself_again)
{
    Timer t;
    ticks = 0;
    timer_init(&t, CLOCK_VIRTUAL, tick, &t);
    timer_at(&t, 10);
    clock_advance_to(55);
    ck_assert_uint_eq(ticks, 5);
    ck_assert_int_eq(t.at, 60);
    clock_advance_to(1000);
    ck_assert_uint_eq(ticks, 10);
    ck_assert_int_eq(t.at, TIMER_OFF);
}
END_TEST

static Timer victim;

static void turn_off_victim(void *arg)
{
    timer_off(&victim);
    ticks++;
}

static void never(void *arg)
{
    ck_abort_msg("it was turned off");
}

START_TEST(turned_off_by_another)
{
    Timer t;
    ticks = 0;
    timer_init(&victim, CLOCK_VIRTUAL, never, NULL);
    timer_init(&t, CLOCK_VIRTUAL, turn_off_victim, NULL);
    timer_at(&t, 10);
    timer_at(&victim, 20);
    clock_advance_to(100);
    ck_assert_uint_eq(ticks, 1);
    timer_off(&victim); /* twice is fine */
}
END_TEST

START_TEST(manual_stands_still)
{
    int64_t at = clock_now(CLOCK_VIRTUAL);
    clock_start();
    ck_assert(clock_is_manual() && !clock_running());
    g_usleep(2000);
    ck_assert_int_eq(clock_now(CLOCK_VIRTUAL), at);
    ck_assert_int_eq(clock_wait_ns(), -1);
    Timer t;
    timer_init(&t, CLOCK_VIRTUAL, never, NULL);
    timer_at(&t, at + 1);
    ck_assert_int_eq(clock_wait_ns(), -1);      /* the host's time does not bring it nearer */
    clock_run_due();
    timer_off(&t);
}
END_TEST

static void count(void *arg)
{
    ++*(unsigned *)arg;
}

static void again_at_once(void *arg)
{
    ticks++;
    timer_at(arg, 0);
}

START_TEST(runs_and_stops)
{
    unsigned n = 0;
    Timer t, greedy;
    clock_set_virtual(1000);
    clock_start();
    ck_assert(clock_running());
    g_usleep(2000);
    int64_t at = clock_now(CLOCK_VIRTUAL);
    ck_assert_int_ge(at, 1000 + 2 * NS_PER_MS);
    timer_init(&t, CLOCK_VIRTUAL, count, &n);
    timer_at(&t, at + 3600 * NS_PER_SECOND);
    ck_assert_int_gt(clock_wait_ns(), 3000 * NS_PER_SECOND);
    timer_at(&t, at);
    ck_assert_int_eq(clock_wait_ns(), 0);
    clock_run_due();
    ck_assert_uint_eq(n, 1);
    ticks = 0;
    timer_init(&greedy, CLOCK_VIRTUAL, again_at_once, &greedy);
    timer_at(&greedy, 0);
    clock_run_due();                    /* returns all the same */
    ck_assert_uint_ge(ticks, 1);
    timer_off(&greedy);
    clock_stop();
    at = clock_now(CLOCK_VIRTUAL);
    g_usleep(2000);
    ck_assert_int_eq(clock_now(CLOCK_VIRTUAL), at);
}
END_TEST

static void lock_only(void)
{
    loop_main();
    loop_lock();
}

int main(void)
{
    const TTest *const manual[] = {many_timers_in_order, sets_itself_again, turned_off_by_another,
                                   manual_stands_still};
    const TTest *const running[] = {runs_and_stops};
    int failed = run_suite("clock, moved by hand", manual, G_N_ELEMENTS(manual), setup, teardown);
    return run_suite("clock", running, 1, lock_only, teardown) || failed;
}
