/* Drives: requests against a model, overlays, alignment, parallel requests, cancelling, error
 * policies. */
#include <errno.h>
#include <sys/stat.h>

#include "tests/unit/drive-bench.h"

#include "block/node.h"
#include "block/range-lock.h"
#include "block/worker.h"
#include "core/coroutine.h"
#include "core/runstate.h"

/* ---- Correctness against a model ---- */

static void random_requests(Drive *d, uint8_t *model, size_t size, unsigned unit, unsigned rounds)
{
    enum { PARALLEL = 8, MOST = 96 * 1024 };
    static uint8_t buf[PARALLEL][MOST];
    for (unsigned round = 0; round < rounds; round++) {
        Reply replies[PARALLEL] = {0};
        size_t at[PARALLEL], len[PARALLEL];
        int op[PARALLEL];
        for (int i = 0; i < PARALLEL; i++) {
            /* Disjoint, but sharing clusters, sectors and pages at their edges. */
            size_t share = size / PARALLEL / unit * unit;
            size_t span =
                (size_t)(1 + g_random_int_range(0, (gint32)(MIN(share, MOST) / unit))) * unit;
            len[i] = MIN(span, share);
            at[i] = share * (size_t)i +
                    (size_t)g_random_int_range(0, (gint32)((share - len[i]) / unit + 1)) * unit;
            op[i] = g_random_int_range(0, 10);
            if (op[i] < 4) {
                memset(buf[i], 0xee, len[i]);
                drive_read(d, (int64_t)at[i], buf[i], len[i], reply, &replies[i]);
            } else if (op[i] < 8) {
                for (size_t j = 0; j < len[i]; j++) {
                    buf[i][j] = (uint8_t)g_random_int();
                }
                size_t cut = len[i] / 3;
                struct iovec iov[] = {
                    {buf[i], cut}, {buf[i] + cut, 0}, {buf[i] + cut, len[i] - cut}};
                drive_writev(d, (int64_t)at[i], iov, 3, op[i] == 7, reply, &replies[i]);
                memcpy(model + at[i], buf[i], len[i]);
            } else {
                drive_write_zeroes(d, (int64_t)at[i], (int64_t)len[i], op[i] == 8, reply,
                                   &replies[i]);
                memset(model + at[i], 0, len[i]);
            }
        }
        for (int i = 0; i < PARALLEL; i++) {
            ck_assert_int_eq(wait_for(&replies[i]), 0);
            if (op[i] < 4) {
                ck_assert_msg(!memcmp(buf[i], model + at[i], len[i]), "read differs at %zu+%zu",
                              at[i], len[i]);
            }
        }
    }
    g_autofree uint8_t *all = g_malloc(size);
    ck_assert_int_eq(drive_read_sync(d, 0, all, size), 0);
    ck_assert(!memcmp(all, model, size));
}

START_TEST(memory_model)
{
    enum { SIZE = 1 << 20 };
    g_autofree uint8_t *model = g_malloc0(SIZE);
    Drive *d = drive_new_memory("ram", SIZE);
    ck_assert_int_eq(drive_length(d), SIZE);
    random_requests(d, model, SIZE, 1, 200);
}
END_TEST

START_TEST(file_model)
{
    enum { SIZE = 3 << 20 };
    static const char *const caches[] = {"writeback", "none", "writethrough", "directsync",
                                         "unsafe"};
    g_autofree char *path = image("disk", SIZE), *data = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(caches); i++) {
        gsize size;
        ck_assert(g_file_get_contents(path, &data, &size, NULL));
        Drive *d = opened("disk", "file=%s,format=raw,cache=%s,discard=unmap", path, caches[i]);
        random_requests(d, (uint8_t *)data, SIZE, i % 2 ? 1 : 512, 60);
        drive_free(d);
        g_autofree char *now = NULL;
        ck_assert(g_file_get_contents(path, &now, &size, NULL));
        ck_assert_uint_eq(size, SIZE);
        ck_assert(!memcmp(now, data, SIZE));
        g_clear_pointer(&data, g_free);
    }
}
END_TEST

static unsigned files_in_dir(void)
{
    unsigned n = 0;
    GDir *g = g_dir_open(dir, 0, NULL);
    while (g_dir_read_name(g)) {
        n++;
    }
    g_dir_close(g);
    return n;
}

START_TEST(overlay_model)
{
    enum { SIZE = 3 << 20 | 512 };
    g_autofree char *path = image("disk", SIZE), *before = NULL, *after = NULL;
    gsize size;
    ck_assert(g_file_get_contents(path, &before, &size, NULL));
    g_autofree uint8_t *model = g_memdup2(before, SIZE);
    ck_assert_int_eq(chmod(path, 0444), 0);
    Drive *d = opened("disk", "file=%s,format=raw,snapshot=on,detect-zeroes=on", path);
    ck_assert(!drive_readonly(d));
    ck_assert_uint_eq(files_in_dir(), 1);
    random_requests(d, model, SIZE, 1, 300);
    ck_assert_int_eq(drive_flush_sync(d), 0);
    drive_free(d);
    ck_assert(g_file_get_contents(path, &after, &size, NULL));
    ck_assert(size == SIZE && !memcmp(before, after, SIZE));
    ck_assert_uint_eq(files_in_dir(), 1);
}
END_TEST

/* Small overlapping writes into one cluster at the same time: none may undo another. */
START_TEST(overlay_races)
{
    enum { N = 64, LEN = 64 };
    g_autofree char *path = image("disk", 65536);
    Drive *d = opened("disk", "file=%s,format=raw,snapshot=on", path);
    uint8_t buf[N][LEN], back[N * LEN];
    Reply replies[N] = {0};
    for (int i = 0; i < N; i++) {
        memset(buf[i], 0x80 + i, LEN);
        drive_write(d, 100 + i * LEN, buf[i], LEN, reply, &replies[i]);
    }
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(wait_for(&replies[i]), 0);
    }
    ck_assert_int_eq(drive_read_sync(d, 100, back, sizeof(back)), 0);
    ck_assert(!memcmp(back, buf, sizeof(back)));
    uint8_t edge[100];
    ck_assert_int_eq(drive_read_sync(d, 0, edge, 100), 0);
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(edge[i], (uint8_t)(i * 7 + 1));
    }
}
END_TEST

/* ---- A driver that fails, waits and checks on demand ---- */

static struct {
    BlockDriver driver;
    unsigned align;
    int fail;            /* result of everything, when not 0 */
    unsigned fail_count; /* that many times */
    bool park;           /* requests wait until released */
    CoQueue parked;
    unsigned inside, most_inside, flushes, discards, zeroes;
    uint8_t data[64 * 1024];
} fake;

static int fake_enter(int64_t offset, size_t bytes)
{
    ck_assert_int_eq((offset | (int64_t)bytes) & (fake.align - 1), 0);
    if (++fake.inside > fake.most_inside) {
        fake.most_inside = fake.inside;
    }
    if (fake.park) {
        co_queue_wait(&fake.parked, NULL);
    }
    fake.inside--;
    if (fake.fail && fake.fail_count) {
        fake.fail_count--;
        return fake.fail;
    }
    return 0;
}

static int fake_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    ck_assert(iovec_aligned(iov, fake.align));
    int result = fake_enter(offset, iov->bytes);
    iovec_write(iov, 0, fake.data + offset, iov->bytes);
    return result;
}

static int fake_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags)
{
    ck_assert(iovec_aligned(iov, fake.align));
    int result = fake_enter(offset, iov->bytes);
    if (!result) {
        iovec_read(iov, 0, fake.data + offset, iov->bytes);
    }
    return result;
}

static int fake_flush(BlockNode *n)
{
    fake.flushes++;
    return fake_enter(0, 0);
}

static int fake_pdiscard(BlockNode *n, int64_t offset, int64_t bytes)
{
    fake.discards++;
    return fake_enter(offset, (size_t)bytes);
}

static const BlockDriver fake_driver = {
    .name = "fake",
    .size = sizeof(BlockNode),
    .protocol = true,
    .co_preadv = fake_preadv,
    .co_pwritev = fake_pwritev,
    .co_flush = fake_flush,
    .co_pdiscard = fake_pdiscard,
};

static Drive *fake_drive(unsigned align)
{
    memset(&fake, 0, sizeof(fake));
    fake.align = align;
    BlockNode *n = node_new(&fake_driver, &(NodeMode){.unmap = true});
    n->length = sizeof(fake.data);
    n->request_align = n->memory_align = align;
    return drive_new_node("fake", n);
}

START_TEST(unaligned_requests)
{
    Drive *d = fake_drive(4096);
    static uint8_t model[sizeof(fake.data)];
    memset(model, 0, sizeof(model));
    ck_assert_uint_eq(drive_sector_size(d), 4096);
    random_requests(d, model, sizeof(model), 1, 300);
    uint8_t pair[2][100];
    Reply replies[2] = {0};
    /* Two writes into one unit, the first still reading it when the second comes. */
    fake.park = true;
    memset(pair[0], 1, 100);
    memset(pair[1], 2, 100);
    drive_write(d, 8192, pair[0], 100, reply, &replies[0]);
    drive_write(d, 8292, pair[1], 100, reply, &replies[1]);
    ck_assert_uint_eq(fake.inside, 1);
    while (!replies[0].come || !replies[1].come) {
        co_queue_wake(&fake.parked);
        loop_iterate(false);
    }
    fake.park = false;
    uint8_t back[200];
    ck_assert_int_eq(drive_read_sync(d, 8192, back, 200), 0);
    ck_assert(!memcmp(back, pair, 200));
}
END_TEST

START_TEST(parallel_requests)
{
    enum { N = 100 };
    Drive *d = fake_drive(1);
    uint8_t buf[512];
    Reply replies[N] = {0};
    fake.park = true;
    for (int i = 0; i < N; i++) {
        drive_read(d, i * 512, buf, 512, reply, &replies[i]);
    }
    ck_assert_uint_eq(fake.inside, N);
    DriveStats stats;
    drive_stats(d, &stats);
    ck_assert_uint_eq(stats.in_flight, N);
    fake.park = false;
    co_queue_wake_all(&fake.parked);
    drive_drain(d);
    for (int i = 0; i < N; i++) {
        ck_assert(replies[i].come && !replies[i].result);
    }
    drive_stats(d, &stats);
    ck_assert_uint_eq(stats.in_flight, 0);
    ck_assert_uint_eq(stats.operations[DRIVE_READ], N);
    ck_assert_uint_eq(stats.bytes[DRIVE_READ], N * 512);
}
END_TEST

static int slow(void *arg)
{
    g_usleep(20000);
    g_atomic_int_inc((gint *)arg);
    return -EDOM;
}

static void work_slowly(void *arg)
{
    ck_assert_int_eq(co_worker_run(slow, arg), -EDOM);
}

START_TEST(workers_in_parallel)
{
    gint count = 0;
    gint64 before = g_get_monotonic_time();
    for (int i = 0; i < 32; i++) {
        co_start(work_slowly, &count);
    }
    while (worker_reap(loop_main(), true)) {
    }
    ck_assert_int_eq(count, 32);
    ck_assert_int_lt(g_get_monotonic_time() - before, 32 * 20000 / 2);
    ck_assert(!worker_reap(loop_main(), false));
    worker_inline(true);
    co_start(work_slowly, &count);
    worker_inline(false);
    ck_assert_int_eq(count, 33);
}
END_TEST

/* done never runs within the call that submits, even when all is over at once. */
START_TEST(done_comes_later)
{
    Drive *d = drive_new_memory("ram", 4096);
    uint8_t buf[512];
    Reply r = {0}, flush = {0}, bad = {0}, none = {0};
    drive_read(d, 0, buf, 512, reply, &r);
    drive_flush(d, reply, &flush);
    drive_read(d, 4096, buf, 512, reply, &bad);
    drive_read(d, 4096, buf, 0, reply, &none);
    ck_assert(!r.come && !flush.come && !bad.come && !none.come);
    ck_assert_int_eq(wait_for(&r), 0);
    ck_assert_int_eq(wait_for(&flush), 0);
    ck_assert_int_eq(wait_for(&bad), -EIO);
    ck_assert_int_eq(wait_for(&none), 0);
}
END_TEST

START_TEST(bounds)
{
    Drive *d = drive_new_memory("ram", 65536);
    uint8_t buf[1024];
    static const int64_t bad[] = {-1,    -512,      65536,           65535,
                                  65025, INT64_MAX, INT64_MAX - 511, INT64_MIN};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_int_eq(drive_read_sync(d, bad[i], buf, 512), -EIO);
        ck_assert_int_eq(drive_write_sync(d, bad[i], buf, 512), -EIO);
        Reply r = {0};
        drive_discard(d, bad[i], 512, reply, &r);
        ck_assert_int_eq(wait_for(&r), -EIO);
        drive_write_zeroes(d, bad[i], 512, true, reply, &r);
        ck_assert_int_eq(wait_for(&r), -EIO);
    }
    Reply r = {0};
    drive_discard(d, 0, -1, reply, &r);
    ck_assert_int_eq(wait_for(&r), -EIO);
    drive_discard(d, 1, INT64_MAX, reply, &r);
    ck_assert_int_eq(wait_for(&r), -EIO);
    ck_assert_int_eq(drive_read_sync(d, 65024, buf, 512), 0);
    ck_assert_int_eq(drive_read_sync(d, 65536, buf, 0), 0);
    ck_assert_int_eq(drive_read_sync(d, 65537, buf, 0), -EIO);
}
END_TEST

START_TEST(odd_size)
{
    g_autofree char *path = image("odd", 1000), *empty = image("empty", 0);
    Drive *d = opened("odd", "file=%s,format=raw", path);
    uint8_t buf[1024];
    memset(buf, 0xee, sizeof(buf));
    ck_assert_int_eq(drive_length(d), 1024);
    ck_assert_int_eq(drive_read_sync(d, 512, buf, 512), 0);
    ck_assert_uint_eq(buf[487], (uint8_t)(999 * 7 + 999 / 251 + 1));
    for (int i = 488; i < 512; i++) {
        ck_assert_uint_eq(buf[i], 0);
    }
    ck_assert_int_eq(drive_read_sync(d, 1024, buf, 512), -EIO);
    d = opened("empty", "file=%s,format=raw", empty);
    ck_assert_int_eq(drive_length(d), 0);
    ck_assert(drive_has_medium(d));
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), -EIO);
}
END_TEST

START_TEST(readonly)
{
    g_autofree char *path = image("disk", 4096);
    uint8_t buf[512] = {0};
    Drive *d = opened("disk", "file=%s,format=raw,readonly=on", path);
    ck_assert(drive_readonly(d));
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), 0);
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), -EACCES);
    Reply r = {0};
    drive_discard(d, 0, 512, reply, &r);
    ck_assert_int_eq(wait_for(&r), -EACCES);
    ck_assert_int_eq(drive_flush_sync(d), 0);
    drive_free(d);
    d = opened("disk", "file=%s,format=raw,read-only=on,snapshot=on", path);
    ck_assert(drive_readonly(d));
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), -EACCES);
}
END_TEST

/* ---- Flushing ---- */

START_TEST(flush_modes)
{
    Drive *d = fake_drive(1);
    uint8_t buf[512] = {1};
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), 0);
    ck_assert_uint_eq(fake.flushes, 0);
    Reply r = {0};
    drive_writev(d, 0, &(struct iovec){buf, 512}, 1, true, reply, &r);
    ck_assert_int_eq(wait_for(&r), 0);
    ck_assert_uint_eq(fake.flushes, 1);
    ck_assert_int_eq(drive_flush_sync(d), 0);
    ck_assert_uint_eq(fake.flushes, 2);
    DriveStats stats;
    drive_stats(d, &stats);
    /* A machine that stops flushes what was written, once. */
    ck_assert(machine_continue(NULL));
    machine_stop(RUN_PAUSED);
    ck_assert_uint_eq(fake.flushes, 2);
    ck_assert(machine_continue(NULL));
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), 0);
    machine_stop(RUN_PAUSED);
    ck_assert_uint_eq(fake.flushes, 3);
    ck_assert_uint_eq(stats.operations[DRIVE_FLUSH], 1);
    ck_assert_uint_eq(stats.operations[DRIVE_WRITE], 2);
    ck_assert_uint_eq(stats.write_highest, 512);
}
END_TEST

/* ---- Error policies ---- */

START_TEST(policy_report_and_ignore)
{
    Drive *d = fake_drive(1);
    uint8_t buf[512] = {0};
    watch_events();
    fake.fail = -EIO;
    fake.fail_count = 100;
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), -EIO);
    ck_assert_uint_eq(event.count, 1);
    ck_assert_str_eq(event.action, "report");
    ck_assert_str_eq(event.reason, "Input/output error");
    ck_assert(!event.write && !event.nospace);
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), -EIO);
    ck_assert(event.write);
    drive_set_on_error(d, ON_ERROR_IGNORE, ON_ERROR_IGNORE);
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), 0);
    ck_assert_int_eq(drive_flush_sync(d), 0);
    ck_assert_str_eq(event.action, "ignore");
    DriveStats stats;
    drive_stats(d, &stats);
    ck_assert_uint_eq(stats.failed[DRIVE_READ], 2);
    ck_assert_uint_eq(stats.failed[DRIVE_WRITE], 1);
}
END_TEST

START_TEST(policy_stop_and_retry)
{
    Drive *d = fake_drive(1);
    uint8_t buf[512];
    memset(buf, 0x5a, sizeof(buf));
    watch_events();
    int code = 0;
    GError *error = NULL;
    machine_continue(&error);
    fake.fail = -ENOSPC;
    fake.fail_count = 2;
    Reply r = {0};
    drive_write(d, 512, buf, 512, reply, &r);
    ck_assert_str_eq(event.action, "stop");
    ck_assert(event.nospace && event.write);
    DriveState state;
    drive_state(d, &state);
    ck_assert_int_eq(state.io_status, IO_STATUS_NOSPACE);
    drive_drain(d); /* does not wait for the one that is held */
    ck_assert(!r.come);
    ck_assert(runstate_poll(&code));
    ck_assert_int_eq(runstate(), RUN_IO_ERROR);
    /* The second try fails too, the third one works. */
    ck_assert(machine_continue(&error));
    loop_iterate(false);
    ck_assert(!r.come);
    ck_assert_uint_eq(event.count, 2);
    ck_assert(runstate_poll(&code));
    ck_assert(machine_continue(&error));
    ck_assert_int_eq(wait_for(&r), 0);
    ck_assert(!memcmp(fake.data + 512, buf, 512));
    drive_state(d, &state);
    ck_assert_int_eq(state.io_status, IO_STATUS_OK);
    /* Other errors of writes are reported by default. */
    fake.fail = -EIO;
    fake.fail_count = 1;
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), -EIO);
}
END_TEST

START_TEST(cancelling)
{
    Drive *d = fake_drive(1);
    uint8_t buf[512];
    Reply r = {0};
    fake.park = true;
    DriveRequest *request = drive_read(d, 0, buf, 512, reply, &r);
    drive_cancel(request);
    loop_iterate(false);
    ck_assert(!r.come); /* the buffer is still in use */
    co_queue_wake_all(&fake.parked);
    ck_assert(r.come);
    ck_assert_int_eq(wait_for(&r), -ECANCELED);
    /* One that is held because of an error. */
    fake.park = false;
    fake.fail = -EIO;
    fake.fail_count = 1;
    drive_set_on_error(d, ON_ERROR_STOP, ON_ERROR_STOP);
    request = drive_read(d, 0, buf, 512, reply, &r);
    loop_iterate(false);
    ck_assert(!r.come);
    drive_cancel(request);
    ck_assert(!r.come);
    ck_assert_int_eq(wait_for(&r), -ECANCELED);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {memory_model,
                            file_model,
                            overlay_model,
                            overlay_races,
                            unaligned_requests,
                            parallel_requests,
                            workers_in_parallel,
                            done_comes_later,
                            bounds,
                            odd_size,
                            readonly,
                            flush_modes,
                            policy_report_and_ignore,
                            policy_stop_and_retry,
                            cancelling};
    return drive_bench_main("drive", tests, G_N_ELEMENTS(tests));
}
