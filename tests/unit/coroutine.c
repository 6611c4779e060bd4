/* Coroutines: switching, nesting, waking, locks and queues. */
#include <check.h>
#include <fenv.h>
#include <string.h>

#include "core/coroutine.h"

static char trace[256];

static void note(const char *what)
{
    g_strlcat(trace, what, sizeof(trace));
}

static void three_steps(void *arg)
{
    for (int i = 0; i < 3; i++) {
        note(arg);
        co_yield();
    }
    note(".");
}

START_TEST(yields_and_goes_on)
{
    Coroutine *a = co_new(three_steps, (char *)"a"), *b = co_new(three_steps, (char *)"b");
    ck_assert_ptr_null(co_self());
    for (int i = 0; i < 4; i++) {
        co_enter(a);
        co_enter(b);
    }
    ck_assert_str_eq(trace, "ababab..");
}
END_TEST

static void inner(void *arg)
{
    note("(");
    co_yield();
    note(")");
    *(bool *)arg = true;
}

static void outer(void *arg)
{
    bool done = false;
    Coroutine *self = co_self(), *co = co_new(inner, &done);
    co_enter(co);
    note("-");
    ck_assert_ptr_eq(co_self(), self);
    co_yield();
    co_enter(co);
    ck_assert(done);
    note("|");
    (void)arg;
}

START_TEST(nests)
{
    Coroutine *co = co_new(outer, NULL);
    co_enter(co);
    note("^");
    co_enter(co);
    ck_assert_str_eq(trace, "(-^)|");
    ck_assert_ptr_null(co_self());
}
END_TEST

/* Locals in registers and on the stack, and the rounding mode, survive whatever others do. */
static void count_up(void *arg)
{
    double d = 1;
    uint64_t a = 1, b = 2, c = 3, e = 4, f = 5, g = 6;
    fesetround(FE_UPWARD);
    for (int i = 0; i < 1000; i++) {
        a += b, b += c, c += e, e += f, f += g, g += 1, d *= 1.001;
        co_yield();
        ck_assert_int_eq(fegetround(), FE_UPWARD);
    }
    *(uint64_t *)arg = a ^ b ^ c ^ e ^ f ^ g ^ (uint64_t)d;
}

START_TEST(keeps_registers)
{
    uint64_t results[10] = {0};
    Coroutine *co[10];
    for (int i = 0; i < 10; i++) {
        co[i] = co_new(count_up, &results[i]);
    }
    for (int round = 0; round < 1001; round++) {
        for (int i = 0; i < 10; i++) {
            co_enter(co[i]);
            ck_assert_int_eq(fegetround(), FE_TONEAREST);
        }
    }
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_ne(results[i], 0);
        ck_assert_uint_eq(results[i], results[0]);
    }
}
END_TEST

static unsigned deep(unsigned n)
{
    volatile char room[512];
    memset((char *)room, (int)n, sizeof(room));
    return n ? deep(n - 1) + (unsigned char)room[n % 512] / 256 : 1;
}

static void use_stack(void *arg)
{
    *(unsigned *)arg += deep(100);
    co_yield();
    *(unsigned *)arg += deep(100);
}

START_TEST(many_at_once)
{
    enum { N = 500 };
    static Coroutine *co[N];
    unsigned sum = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            co[i] = co_new(use_stack, &sum);
            co_enter(co[i]);
        }
        for (int i = 0; i < N; i++) {
            co_enter(co[i]);
        }
    }
    ck_assert_uint_eq(sum, 3 * 2 * N);
}
END_TEST

static void wait_twice(void *arg)
{
    co_yield();
    co_yield();
    *(bool *)arg = true;
}

static gpointer waker(gpointer co)
{
    co_wake(co);
    return NULL;
}

START_TEST(woken_on_the_loop)
{
    bool done = false;
    loop_lock();
    loop_main();
    Coroutine *co = co_new(wait_twice, &done);
    co_enter(co);
    g_thread_join(g_thread_new("waker", waker, co));
    ck_assert(!done); /* only the loop enters it */
    loop_iterate(true);
    co_wake(co);
    while (!done) {
        loop_iterate(true);
    }
    loop_unlock();
}
END_TEST

static void sleeper(void *arg)
{
    int64_t before = clock_now(CLOCK_RT);
    co_sleep(CLOCK_RT, 2 * NS_PER_MS);
    ck_assert_int_ge(clock_now(CLOCK_RT) - before, 2 * NS_PER_MS);
    *(bool *)arg = true;
}

START_TEST(sleeps)
{
    bool done = false;
    loop_lock();
    loop_main();
    co_start(sleeper, &done);
    ck_assert(!done);
    while (!done) {
        loop_iterate(true);
    }
    loop_unlock();
}
END_TEST

static CoMutex mutex;
static int inside;
static Coroutine *holder;

static void critical(void *arg)
{
    co_mutex_lock(&mutex);
    ck_assert_int_eq(inside++, 0);
    note(arg);
    holder = co_self();
    co_yield();
    inside--;
    co_mutex_unlock(&mutex);
    note("-");
}

START_TEST(mutex_in_order)
{
    co_start(critical, (char *)"a");
    co_start(critical, (char *)"b");
    co_start(critical, (char *)"c");
    ck_assert_str_eq(trace, "a");
    for (int i = 0; i < 3; i++) {
        co_enter(holder);
    }
    ck_assert_str_eq(trace, "a-b-c-");
    ck_assert_ptr_null(mutex.owner);
}
END_TEST

static CoQueue queue;

static void queued(void *arg)
{
    co_mutex_lock(&mutex);
    co_queue_wait(&queue, &mutex);
    ck_assert_ptr_eq(mutex.owner, co_self());
    note(arg);
    co_mutex_unlock(&mutex);
}

START_TEST(queue_wakes)
{
    ck_assert(!co_queue_wake(&queue));
    co_start(queued, (char *)"a");
    co_start(queued, (char *)"b");
    co_start(queued, (char *)"c");
    ck_assert_ptr_null(mutex.owner);
    ck_assert(co_queue_wake(&queue));
    ck_assert_str_eq(trace, "a");
    co_queue_wake_all(&queue);
    ck_assert_str_eq(trace, "abc");
    ck_assert(co_queue_empty(&queue));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {yields_and_goes_on, nests,  keeps_registers, many_at_once,
                            woken_on_the_loop,  sleeps, mutex_in_order,  queue_wakes};
    Suite *suite = suite_create("coroutine");
    TCase *tc = tcase_create("all");
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
