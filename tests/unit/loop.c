/* Queue loops: who may do what when, bells, polling. */
#include "core/loop.h"

#include <poll.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/unit/suite.h"

static Loop *loop;

static void setup(void)
{
    loop_lock();
    loop_main();
    loop = loop_new("queue");
}

static void teardown(void)
{
    loop_free(loop);
    loop_unlock();
}

static void wait_until(const atomic_uint *n, unsigned least)
{
    while (atomic_load(n) < least) {
        g_usleep(100);
    }
}

/* ---- Ownership ---- */

static struct {
    unsigned plain; /* whoever works for the loop changes it, without more ado */
    atomic_uint rounds;
    Bell *bell;
} shared;

static void bump(void *arg)
{
    ck_assert(loop_current() == loop && loop_is_queue_thread() && !loop_locked());
    for (unsigned i = 0; i < 1000; i++) {
        shared.plain = shared.plain + 1;
    }
    atomic_fetch_add(&shared.rounds, 1);
    bell_ring(shared.bell);
}

START_TEST(who_enters_has_it_alone)
{
    enum { TIMES = 2000 };
    loop_enter(loop);
    shared.plain = 0;
    atomic_store(&shared.rounds, 0);
    shared.bell = bell_new(loop, bump, NULL);
    bell_ring(shared.bell);
    loop_leave(loop);
    for (unsigned i = 0; i < TIMES; i++) {
        loop_enter(loop);
        unsigned before = shared.plain;
        for (unsigned j = 0; j < 1000; j++) {
            shared.plain = shared.plain + 1;
        }
        ck_assert_uint_eq(shared.plain, before + 1000);
        loop_leave(loop);
    }
    wait_until(&shared.rounds, 1);
    loop_enter(loop);
    bell_free(shared.bell);
    ck_assert_uint_eq(shared.plain, 1000 * (TIMES + atomic_load(&shared.rounds)));
    loop_leave(loop);
}
END_TEST

START_TEST(entering_nests)
{
    Loop *other = loop_new("other");
    loop_enter(loop);
    loop_enter(other);
    loop_enter(loop);
    ck_assert(loop_current() == other && !loop_is_queue_thread());
    Loop *before = loop_work_for(loop);
    ck_assert(loop_current() == loop);
    Loop *third = loop_new("third");
    loop_enter(third);
    ck_assert(loop_current() == third);
    loop_leave(third);
    loop_free(third);
    ck_assert(loop_current() == loop);
    loop_work_again(before);
    ck_assert(loop_current() == other);
    loop_work_for(loop_main());
    ck_assert(loop_current() == other);
    loop_leave(loop);
    loop_leave(other);
    ck_assert(loop_current() == loop);
    loop_enter(loop_main()); /* ours anyhow */
    loop_leave(loop_main());
    loop_leave(loop);
    ck_assert(loop_current() == loop_main());
    loop_free(other);
}
END_TEST

static atomic_uint begun, ended;

static void take_time(void *arg)
{
    atomic_fetch_add(&begun, 1);
    g_usleep(30000);
    atomic_fetch_add(&ended, 1);
}

START_TEST(settling_waits_for_what_runs)
{
    loop_post(loop, take_time, NULL);
    wait_until(&begun, 1);
    loop_settle_all();
    ck_assert_uint_eq(atomic_load(&ended), 1);
}
END_TEST

START_TEST(has_a_thread_of_its_own)
{
    ck_assert_int_gt(loop_thread_id(loop), 0);
    ck_assert_int_ne(loop_thread_id(loop), getpid());
}
END_TEST

/* ---- Bells and watches ---- */

static void count(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

START_TEST(rings_are_answered_together)
{
    atomic_uint n = 0;
    loop_enter(loop);
    Bell *bell = bell_new(loop, count, &n);
    for (unsigned i = 0; i < 100; i++) {
        bell_ring(bell);
    }
    loop_leave(loop);
    wait_until(&n, 1);
    g_usleep(20000);
    ck_assert_uint_eq(n, 1);
    bell_ring(bell);
    wait_until(&n, 2);
    loop_enter(loop);
    bell_ring(bell);
    bell_free(bell); /* nobody hears that one */
    loop_leave(loop);
    g_usleep(20000);
    ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(main_loop_has_bells_too)
{
    atomic_uint n = 0;
    Bell *bell = bell_new(loop_main(), count, &n);
    loop_post(loop, (void (*)(void *))bell_ring, bell);
    while (!n) {
        loop_iterate(true);
    }
    bell_free(bell);
    bell_free(NULL);
}
END_TEST

static void came(void *arg, short revents)
{
    char c;
    ck_assert_int_eq(read(((int *)arg)[0], &c, 1), 1);
    atomic_fetch_add(&begun, 1);
}

START_TEST(watches_descriptors)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    loop_enter(loop);
    Watch *w = loop_watch(loop, fds[0], POLLIN, came, fds);
    loop_leave(loop);
    for (unsigned i = 1; i <= 10; i++) {
        ck_assert_int_eq(write(fds[1], "x", 1), 1);
        wait_until(&begun, i);
    }
    loop_enter(loop);
    loop_unwatch(w);
    loop_leave(loop);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* ---- Polling ---- */

static clockid_t thread_clock;

static void tell_clock(void *arg)
{
    pthread_getcpuclockid(pthread_self(), &thread_clock);
    atomic_fetch_add(&begun, 1);
}

static int64_t thread_ns(void)
{
    struct timespec ts;
    clock_gettime(thread_clock, &ts);
    return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

/* Events that come fast are polled for, and a loop that nobody needs sleeps. */
START_TEST(polls_while_it_pays)
{
    atomic_uint n = 0;
    loop_post(loop, tell_clock, NULL);
    wait_until(&begun, 1);
    loop_enter(loop);
    Bell *bell = bell_new(loop, count, &n);
    loop_set_polling(loop, &(LoopPolling){.max_ns = 50 * NS_PER_MS});
    loop_leave(loop);
    for (unsigned i = 1; i <= 20; i++) {
        bell_ring(bell);
        wait_until(&n, i);
        g_usleep(5000); /* it polls through this once it has learned to */
    }
    int64_t busy = thread_ns();
    g_usleep(300000); /* longer than it may poll: it gives up */
    bell_ring(bell);
    wait_until(&n, 21);
    int64_t idle = thread_ns();
    ck_assert_int_gt(busy, 5 * NS_PER_MS);
    ck_assert_int_lt(idle - busy, 150 * NS_PER_MS);
    g_usleep(100000);
    ck_assert_int_lt(thread_ns() - idle, 30 * NS_PER_MS);
    loop_enter(loop);
    bell_free(bell);
    loop_leave(loop);
}
END_TEST

SUITE_MAIN("loop", setup, teardown, who_enters_has_it_alone, entering_nests, settling_waits_for_what_runs, has_a_thread_of_its_own,
           rings_are_answered_together, main_loop_has_bells_too, watches_descriptors, polls_while_it_pays)
