/* Drives that belong to queue loops: requests from several threads, with a person at work in between. */
#include <errno.h>
#include <stdatomic.h>

#include "tests/unit/drive-bench.h"

#include "block/node.h"
#include "block/worker.h"
#include "core/coroutine.h"
#include "core/runstate.h"

enum { LOOPS = 3, SHARE = 256 << 10, SIZE = LOOPS * SHARE, PIECE = 8192 };

static Loop *loops[LOOPS];

static void loops_start(void)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        g_autofree char *name = g_strdup_printf("queue%u", i);
        loops[i] = loop_new(name);
    }
}

static void loops_end(void)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        loop_enter(loops[i]);
        worker_forget(loops[i]);
        loop_leave(loops[i]);
        loop_free(loops[i]);
    }
}

/* ---- A share of the disk for each loop, and a model of it ---- */

typedef struct Client {
    Drive *drive;
    Loop *loop;
    int64_t base;
    unsigned left;
    bool reads;
    int64_t at;
    size_t len;
    uint8_t buf[PIECE], model[SHARE];
    GRand *rand;
    atomic_bool over;
} Client;

static void client_next(void *arg);

static void client_done(void *arg, int result)
{
    Client *c = arg;
    ck_assert(loop_current() == c->loop || !loop_is_queue_thread()); /* its own, or who drains */
    ck_assert_int_eq(result, 0);
    if (c->reads) {
        ck_assert(!memcmp(c->buf, c->model + c->at, c->len));
    }
    client_next(c);
}

static void client_next(void *arg)
{
    Client *c = arg;
    if (!c->left--) {
        c->over = true;
        return;
    }
    c->len = (size_t)g_rand_int_range(c->rand, 1, PIECE / 512 + 1) * 512;
    c->at = g_rand_int_range(c->rand, 0, (SHARE - PIECE) / 512) * 512;
    c->reads = g_rand_int_range(c->rand, 0, 2);
    if (c->reads) {
        memset(c->buf, 0xee, c->len);
        drive_read(c->drive, c->base + c->at, c->buf, c->len, client_done, c);
    } else {
        memset(c->buf, g_rand_int_range(c->rand, 0, 256), c->len);
        memcpy(c->model + c->at, c->buf, c->len);
        drive_write(c->drive, c->base + c->at, c->buf, c->len, client_done, c);
    }
}

static Client *client_new(Drive *d, unsigned i, unsigned requests)
{
    Client *c = g_new0(Client, 1);
    c->drive = d;
    c->loop = loops[i];
    c->base = (int64_t)i * SHARE;
    c->left = requests;
    c->rand = g_rand_new_with_seed(i + 1);
    loop_post(c->loop, client_next, c);
    return c;
}

static void run_clients(Drive *d, unsigned n_loops, void (*meanwhile)(Drive *d))
{
    Client *clients[LOOPS];
    g_autofree uint8_t *all = g_malloc0(SIZE);
    ck_assert_int_eq(drive_write_sync(d, 0, all, SIZE), 0);
    drive_set_loops(d, loops, n_loops);
    for (unsigned i = 0; i < n_loops; i++) {
        clients[i] = client_new(d, i, 1000);
    }
    for (unsigned i = 0; i < n_loops; i++) {
        while (!clients[i]->over) {
            meanwhile(d);
            loop_iterate(false);
        }
    }
    ck_assert_int_eq(drive_read_sync(d, 0, all, SIZE), 0);
    for (unsigned i = 0; i < n_loops; i++) {
        ck_assert(!memcmp(all + i * SHARE, clients[i]->model, SHARE));
        g_rand_free(clients[i]->rand);
        g_free(clients[i]);
    }
    drive_set_loops(d, NULL, 0);
}

static void look_and_wait(Drive *d)
{
    DriveStats stats;
    drive_stats(d, &stats);
    ck_assert_uint_eq(stats.failed[DRIVE_READ] + stats.failed[DRIVE_WRITE], 0);
    drive_drain(d);
    ck_assert_int_eq(drive_flush_sync(d), 0);
}

static void stop_and_go(Drive *d)
{
    machine_stop(RUN_PAUSED);
    ck_assert(machine_continue(NULL));
}

START_TEST(each_loop_sees_its_own_writes)
{
    loops_start();
    Drive *ram = drive_new_memory("ram", SIZE);
    run_clients(ram, 1, look_and_wait);
    run_clients(ram, LOOPS, look_and_wait);
    g_autofree char *path = image("disk", SIZE);
    Drive *file = opened("file", "%s,format=raw", path);
    for (unsigned n = 1; n <= LOOPS; n++) {
        run_clients(file, n, n == 2 ? stop_and_go : look_and_wait);
    }
    drive_cleanup();
    loops_end();
}
END_TEST

/* ---- Errors ---- */

static atomic_int fail;

static int fail_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    ck_assert(co_loop() == loops[0]);
    return fail;
}

static const BlockDriver fail_driver = {.name = "fail", .size = sizeof(BlockNode), .protocol = true, .co_preadv = fail_preadv};

typedef struct Asked {
    Drive *drive;
    uint8_t buf[512];
    DriveRequest *request;
    atomic_int result;
} Asked;

static void asked_done(void *arg, int result)
{
    ((Asked *)arg)->result = result;
}

static void ask(void *arg)
{
    Asked *a = arg;
    a->result = 1;
    a->request = drive_read(a->drive, 0, a->buf, sizeof a->buf, asked_done, a);
}

static void ask_on(Asked *a, unsigned loop)
{
    loop_post(loops[loop], ask, a);
    while (!a->result) {
        g_usleep(100);
    }
}

static void wait_for_stop(void)
{
    int code;
    while (runstate() != RUN_IO_ERROR) {
        runstate_poll(&code);
        loop_iterate(false);
    }
}

/* A request that failed waits for the machine to go on, wherever it came from. */
START_TEST(held_requests_go_on)
{
    loops_start();
    BlockNode *n = node_new(&fail_driver, &(NodeMode){0});
    n->length = 4096;
    Drive *d = drive_new_node("fail", n);
    watch_events();
    drive_set_on_error(d, ON_ERROR_STOP, ON_ERROR_STOP);
    drive_set_loops(d, loops, 2);
    ck_assert(machine_continue(NULL));
    for (unsigned i = 0; i < 2; i++) {
        Asked a = {.drive = d};
        fail = -EIO;
        ask_on(&a, i);
        wait_for_stop();
        ck_assert_int_eq(a.result, 1);
        ck_assert_uint_eq(event.count, i + 1);
        ck_assert_str_eq(event.action, "stop");
        drive_drain(d); /* it is not in flight */
        fail = 0;
        ck_assert(machine_continue(NULL));
        while (a.result == 1) {
            g_usleep(100);
        }
        ck_assert_int_eq(a.result, 0);
    }
    /* And one that is given up ends. */
    Asked a = {.drive = d};
    fail = -EIO;
    ask_on(&a, 1);
    wait_for_stop();
    drive_enter(d);
    drive_cancel(a.request);
    drive_drain(d);
    ck_assert_int_eq(a.result, -ECANCELED);
    drive_leave(d);
    drive_cleanup();
    loops_end();
}
END_TEST

/* Time that passes is a worker's there. */
START_TEST(slow_disk)
{
    loops_start();
    Drive *d = opened("slow", "driver=null-co,latency-ns=20000000");
    drive_set_loops(d, loops, 2);
    Asked a[2] = {{.drive = d}, {.drive = d}};
    int64_t before = clock_now(CLOCK_RT);
    ask_on(&a[0], 0);
    ask_on(&a[1], 1);
    drive_drain(d);
    ck_assert_int_ge(clock_now(CLOCK_RT) - before, 20 * NS_PER_MS);
    ck_assert(!a[0].result && !a[1].result);
    drive_cleanup();
    loops_end();
}
END_TEST

/* ---- The workers of a loop ---- */

static atomic_uint at_work, most_at_work, worked;

static int nap(void *arg)
{
    unsigned n = atomic_fetch_add(&at_work, 1) + 1, most = atomic_load(&most_at_work);
    while (n > most && !atomic_compare_exchange_weak(&most_at_work, &most, n)) {
    }
    g_usleep(2000);
    atomic_fetch_sub(&at_work, 1);
    atomic_fetch_add(&worked, 1);
    return 0;
}

static void take_nap(void *arg)
{
    ck_assert_int_eq(co_worker_run(nap, NULL), 0);
}

static unsigned naps_at_a_time(Loop *loop, unsigned n)
{
    most_at_work = worked = 0;
    loop_enter(loop);
    for (unsigned i = 0; i < n; i++) {
        co_start(take_nap, NULL);
    }
    while (worker_reap(loop, true)) {
    }
    loop_leave(loop);
    ck_assert_uint_eq(worked, n);
    return most_at_work;
}

static unsigned threads_here(void)
{
    unsigned n = 0;
    GDir *dir = g_dir_open("/proc/self/task", 0, NULL);
    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

START_TEST(workers_of_a_loop)
{
    loops_start();
    unsigned first = threads_here() - LOOPS;
    worker_limits(loops[0], 0, 1);
    worker_limits(loops[1], 0, 3);
    ck_assert_uint_eq(naps_at_a_time(loops[0], 10), 1);
    ck_assert_uint_eq(naps_at_a_time(loops[1], 30), 3);
    ck_assert_uint_gt(naps_at_a_time(loops[2], 60), 3);
    worker_limits(loops[1], 0, 1); /* the others go */
    ck_assert_uint_eq(naps_at_a_time(loops[1], 10), 1);
    unsigned before = threads_here();
    worker_limits(loops[0], 5, 8);
    for (unsigned i = 0; i < 5000 && threads_here() != before + 4; i++) { /* one was there */
        g_usleep(1000);
    }
    ck_assert_uint_eq(threads_here(), before + 4);
    ck_assert_uint_ge(naps_at_a_time(loops[0], 40), 5);
    loops_end();
    for (unsigned i = 0; i < 5000 && threads_here() > first; i++) {
        g_usleep(1000);
    }
    ck_assert_uint_eq(threads_here(), first);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {each_loop_sees_its_own_writes, held_requests_go_on, slow_disk, workers_of_a_loop};
    return drive_bench_main("drive-loops", tests, G_N_ELEMENTS(tests));
}
