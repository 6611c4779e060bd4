/* Drives: requests against a model, overlays, alignment, locks, parallel requests, cancelling,
 * error policies, media. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/drive.h"
#include "block/node.h"
#include "block/range-lock.h"
#include "block/worker.h"
#include "core/coroutine.h"
#include "core/error.h"
#include "core/loop.h"
#include "core/options.h"
#include "core/runstate.h"

static char *dir;

static void setup(void)
{
    loop_lock();
    loop_main();
    dir = g_dir_make_tmp("ostler-drive-XXXXXX", NULL);
    g_setenv("TMPDIR", dir, TRUE);
}

static void teardown(void)
{
    drive_cleanup();
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
    g_free(dir);
    loop_unlock();
}

static char *path_of(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* A file of `size` pseudo-random bytes; the caller frees the name. */
static char *image(const char *name, size_t size)
{
    char *path = path_of(name);
    g_autofree uint8_t *data = g_malloc(size ? size : 1);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251 + 1);
    }
    ck_assert(g_file_set_contents(path, (char *)data, (gssize)size, NULL));
    return path;
}

static Drive *try_open(const char *id, const char *options, GError **error)
{
    g_autoptr(GHashTable) table = options_parse(options, "file", error);
    return table ? drive_new(id, table, error) : NULL;
}

static Drive *opened(const char *id, const char *format, ...)
{
    GError *error = NULL;
    va_list args;
    va_start(args, format);
    g_autofree char *options = g_strdup_vprintf(format, args);
    va_end(args);
    Drive *d = try_open(id, options, &error);
    ck_assert_msg(d, "%s", error ? error->message : "no drive");
    return d;
}

/* Opening fails with a message that contains `part`. */
static void refused(const char *part, const char *format, ...)
{
    GError *error = NULL;
    va_list args;
    va_start(args, format);
    g_autofree char *options = g_strdup_vprintf(format, args);
    va_end(args);
    ck_assert_ptr_null(try_open("refused", options, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error->message, part), "'%s' lacks '%s'", error->message, part);
    ck_assert_ptr_null(strchr(error->message, '\n'));
    g_error_free(error);
    ck_assert_ptr_null(drive_find("refused"));
}

typedef struct Reply {
    bool come;
    int result;
} Reply;

static void reply(void *arg, int result)
{
    Reply *r = arg;
    ck_assert(!r->come);
    *r = (Reply){true, result};
}

static int wait_for(Reply *r)
{
    while (!r->come) {
        loop_iterate(true);
    }
    r->come = false;
    return r->result;
}

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
    while (worker_reap(true)) {
    }
    ck_assert_int_eq(count, 32);
    ck_assert_int_lt(g_get_monotonic_time() - before, 32 * 20000 / 2);
    ck_assert(!worker_reap(false));
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

static struct {
    unsigned count;
    bool write, nospace;
    char action[16], reason[64];
    unsigned tray_moves;
    bool tray;
} event;

static void on_io_error(Drive *d, bool write, const char *action, bool nospace, const char *reason)
{
    event.count++;
    event.write = write;
    event.nospace = nospace;
    g_strlcpy(event.action, action, sizeof(event.action));
    g_strlcpy(event.reason, reason, sizeof(event.reason));
}

static void on_tray(Drive *d, bool open)
{
    event.tray_moves++;
    event.tray = open;
}

static void watch_events(void)
{
    memset(&event, 0, sizeof(event));
    drive_events.io_error = on_io_error;
    drive_events.tray_moved = on_tray;
}

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

/* ---- Opening ---- */

START_TEST(open_errors)
{
    g_autofree char *path = image("disk", 4096), *none = path_of("none");
    refused("none", "file=%s", none);
    refused("drive 'refused'", "file=%s", none);
    refused("No such file or directory", "file=%s", none);
    refused("is a directory", "file=%s", dir);
    refused("'bogus'", "file=%s,format=raw,bogus=1", path);
    refused("'bogus' for block driver 'file'", "file=%s,format=raw,file.bogus=1", path);
    refused("cache", "file=%s,cache=sometimes", path);
    refused("werror", "file=%s,werror=never", path);
    refused("enospc", "file=%s,rerror=enospc", path);
    refused("on' or 'off", "file=%s,snapshot=maybe", path);
    refused("detect-zeroes", "file=%s,detect-zeroes=unmap", path);
    refused("Unknown protocol 'nbd'", "file=nbd:localhost:1");
    refused("format=qcow2", "file=%s,format=qcow2", path);
    refused("invalid format", "file=%s,format=none", path);
    refused("aio=native", "file=%s,aio=native", path);
    refused("copy-on-read", "file=%s,copy-on-read=on", path);
    refused("end of the image", "file=%s,format=raw,offset=8192", path);
    refused("end of the image", "file=%s,format=raw,offset=1024,size=4096", path);
    if (getuid()) {
        chmod(path, 0);
        refused("Permission denied", "file=%s", path);
    }
}
END_TEST

START_TEST(probing)
{
    static const struct {
        const char *name;
        size_t at;
        const char *sign;
        size_t len;
    } signs[] = {
        {"qcow2", 0, "QFI\xfb\0\0\0\3", 8},
        {"vmdk", 0, "KDMV", 4},
        {"vdi", 64, "\x7f\x10\xda\xbe", 4},
        {"vhdx", 0, "vhdxfile", 8},
        {"qed", 0, "QED\0", 4},
        {"luks", 0, "LUKS\xba\xbe", 6},
        {"vpc", 0, "conectix", 8},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(signs); i++) {
        char data[4096] = {0};
        g_autofree char *path = path_of(signs[i].name);
        memcpy(data + signs[i].at, signs[i].sign, signs[i].len);
        ck_assert(g_file_set_contents(path, data, sizeof(data), NULL));
        refused(signs[i].name, "file=%s", path);
        refused(path, "file=%s", path);
        drive_free(opened("as-raw", "file=%s,format=raw", path));
    }
    /* A guess is good for everything but the start of another format. */
    g_autofree char *path = image("guess", 4096);
    uint8_t buf[1024] = {0};
    Drive *d = opened("guess", "file=%s", path);
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 1024), 0);
    memcpy(buf, "QFI\xfb\0\0\0\3", 8);
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), -EPERM);
    ck_assert_int_eq(drive_write_sync(d, 512, buf, 512), 0);
    ck_assert_int_eq(drive_write_sync(d, 0, "QFI\xfb", 4), 0);
    ck_assert_int_eq(drive_write_sync(d, 4, "\0\0\0\2", 4), -EPERM);
    drive_free(d);
    d = opened("guess", "file=%s,format=raw", path);
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), 0);
}
END_TEST

START_TEST(raw_window)
{
    g_autofree char *path = image("disk", 10000);
    Drive *d =
        opened("w", "driver=raw,offset=1000,size=2048,file.driver=file,file.filename=%s", path);
    uint8_t buf[512];
    ck_assert_int_eq(drive_length(d), 2048);
    ck_assert_int_eq(drive_read_sync(d, 512, buf, 512), 0);
    ck_assert_uint_eq(buf[0], (uint8_t)(1512 * 7 + 1512 / 251 + 1));
    ck_assert_int_eq(drive_write_sync(d, 2048, buf, 512), -EIO);
    drive_free(d);
    d = opened("n", "driver=null-co,size=1M,read-zeroes=on");
    memset(buf, 1, sizeof(buf));
    ck_assert_int_eq(drive_length(d), 1 << 20);
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), 0);
    ck_assert_uint_eq(buf[0] | buf[511], 0);
    drive_free(d);
    d = opened("colon", "file=file:%s,format=raw", path);
    ck_assert_int_eq(drive_length(d), 10240);
    DriveState state;
    drive_state(d, &state);
    ck_assert_str_eq(state.filename, path);
    ck_assert_str_eq(state.format, "raw");
    ck_assert_str_eq(state.protocol, "file");
}
END_TEST

START_TEST(locks)
{
    g_autofree char *path = image("disk", 4096);
    Drive *d = opened("a", "file=%s,format=raw", path);
    refused("Failed to get \"write\" lock", "file=%s,format=raw", path);
    refused(path, "file=%s,format=raw", path);
    refused("Failed to get shared \"write\" lock", "file=%s,format=raw,readonly=on", path);
    drive_free(opened("b", "file=%s,format=raw,file.locking=off", path));
    drive_free(opened("b", "file=%s,format=raw,readonly=on,file.force-share=on", path));
    refused("force-share", "file=%s,format=raw,file.force-share=on", path);
    drive_free(d);
    /* Readers share, and keep a writer out. */
    d = opened("a", "file=%s,format=raw,readonly=on", path);
    Drive *e = opened("b", "file=%s,format=raw,snapshot=on", path);
    refused("lock", "file=%s,format=raw", path);
    drive_free(d);
    drive_free(e);
    drive_free(opened("a", "file=%s,format=raw", path));
}
END_TEST

/* ---- Interfaces ---- */

static DriveInfo *added(DriveInterface interface, bool snapshot, const char *text)
{
    GError *error = NULL;
    g_autoptr(GHashTable) options = options_parse(text, "file", &error);
    DriveInfo *info = drive_add(options, interface, snapshot, &error);
    ck_assert_msg(info, "%s", error ? error->message : "");
    return info;
}

static void not_added(const char *part, const char *text)
{
    GError *error = NULL;
    g_autoptr(GHashTable) options = options_parse(text, "file", &error);
    ck_assert_ptr_null(drive_add(options, IF_IDE, false, &error));
    ck_assert_msg(strstr(error->message, part), "'%s' lacks '%s'", error->message, part);
    g_error_free(error);
}

static void placed(const DriveInfo *info, DriveInterface interface, int bus, int unit,
                   const char *id)
{
    ck_assert_int_eq(info->interface, interface);
    ck_assert_int_eq(info->bus, bus);
    ck_assert_int_eq(info->unit, unit);
    ck_assert_str_eq(drive_id(info->drive), id);
    ck_assert_ptr_eq(drive_info_find(interface, bus, unit), info);
}

START_TEST(interfaces)
{
    placed(added(IF_IDE, false, "media=cdrom,index=2"), IF_IDE, 1, 0, "ide1-cd0");
    placed(added(IF_IDE, false, "driver=null-co"), IF_IDE, 0, 0, "ide0-hd0");
    placed(added(IF_IDE, false, "driver=null-co"), IF_IDE, 0, 1, "ide0-hd1");
    placed(added(IF_IDE, false, "driver=null-co,serial=XYZ"), IF_IDE, 1, 1, "ide1-hd1");
    placed(added(IF_IDE, false, "driver=null-co,if=none"), IF_NONE, 0, 0, "none0");
    placed(added(IF_IDE, false, "driver=null-co,if=none,id=mine"), IF_NONE, 0, 1, "mine");
    placed(added(IF_IDE, false, "if=floppy,index=1"), IF_FLOPPY, 0, 1, "floppy1");
    placed(added(IF_IDE, false, "if=floppy"), IF_FLOPPY, 0, 0, "floppy0");
    placed(added(IF_IDE, false, "if=scsi,bus=1,unit=3"), IF_SCSI, 1, 3, "scsi1-hd3");
    placed(added(IF_VIRTIO, false, "driver=null-co"), IF_VIRTIO, 0, 0, "virtio0");
    placed(added(IF_IDE, false, "driver=null-co,if=pflash,unit=1"), IF_PFLASH, 0, 1, "pflash1");
    ck_assert_str_eq(drive_info_find(IF_IDE, 1, 1)->serial, "XYZ");
    ck_assert(!drive_has_medium(drive_info_find(IF_IDE, 1, 0)->drive));
    ck_assert(drive_readonly(drive_info_find(IF_IDE, 1, 0)->drive));
    ck_assert_int_eq(drive_length(drive_info_find(IF_IDE, 1, 0)->drive), 0);
    not_added("exists", "index=0,driver=null-co");
    not_added("too big", "bus=0,unit=2,driver=null-co");
    not_added("index cannot be used", "index=0,bus=1,driver=null-co");
    not_added("already exists", "if=none,id=mine,driver=null-co");
    not_added("'if'", "if=usbstick");
    not_added("'bogus'", "if=none,bogus=1");
    ck_assert_ptr_null(drive_info_find(IF_IDE, 2, 0));
    /* -snapshot */
    g_autofree char *path = image("disk", 4096),
                    *text = g_strdup_printf("if=none,id=s,format=raw,file=%s", path);
    DriveState state;
    drive_state(added(IF_IDE, true, text)->drive, &state);
    ck_assert(state.snapshot && !state.readonly);
    ck_assert_str_eq(state.filename, path);
    drive_free(drive_find("s"));
    ck_assert_ptr_null(drive_info_find(IF_NONE, 0, 2));
}
END_TEST

START_TEST(attaching)
{
    static const DriveUser user;
    GError *error = NULL;
    int a, b;
    Drive *d = drive_new_memory("ram", 512);
    ck_assert(drive_attach(d, &user, &a, "disk-a", &error));
    ck_assert(!drive_attach(d, &user, &b, "disk-b", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "disk-a"));
    g_error_free(error);
    drive_detach(d, &b);
    drive_detach(d, &a);
    ck_assert(drive_attach(d, &user, &b, "disk-b", NULL));
}
END_TEST

/* ---- Media ---- */

static struct {
    bool open, locked, loaded;
    unsigned changes, requests;
} cd;

static void cd_changed(void *arg, bool loaded)
{
    cd.changes++;
    cd.loaded = loaded;
    cd.open = !loaded;
}

static bool cd_tray(void *arg)
{
    return cd.open;
}
static bool cd_locked(void *arg)
{
    return cd.locked;
}
static void cd_request(void *arg, bool force)
{
    cd.requests++;
}

static const DriveUser cd_user = {.media_changed = cd_changed,
                                  .tray_open = cd_tray,
                                  .locked = cd_locked,
                                  .eject_request = cd_request};

START_TEST(media)
{
    g_autofree char *one = image("one", 4096), *two = image("two", 8192), *none = path_of("none");
    g_autofree char *text = g_strdup_printf("media=cdrom,index=2,format=raw,file=%s", one);
    GError *error = NULL;
    uint8_t buf[512];
    watch_events();
    memset(&cd, 0, sizeof(cd));
    Drive *d = added(IF_IDE, false, text)->drive;
    ck_assert(drive_attach(d, &cd_user, &cd, "cd0", &error));
    /* A file that cannot be opened changes nothing. */
    ck_assert(!drive_change_medium(d, none, NULL, READONLY_RETAIN, false, &error));
    ck_assert_ptr_nonnull(strstr(error->message, none));
    g_clear_error(&error);
    ck_assert(drive_has_medium(d) && !cd.changes);
    /* Change: the tray opens and closes. */
    ck_assert(drive_change_medium(d, two, "raw", READONLY_RETAIN, false, &error));
    ck_assert_int_eq(drive_length(d), 8192);
    ck_assert_uint_eq(cd.changes, 2);
    ck_assert(cd.loaded && !cd.open);
    ck_assert_uint_eq(event.tray_moves, 2);
    ck_assert(drive_readonly(d));
    /* A lock is respected, unless forced. */
    cd.locked = true;
    ck_assert(!drive_eject(d, false, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "locked"));
    g_clear_error(&error);
    ck_assert_uint_eq(cd.requests, 1);
    ck_assert(drive_eject(d, true, &error));
    ck_assert(!drive_has_medium(d) && cd.open);
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), -ENOMEDIUM);
    ck_assert_int_eq(drive_length(d), 0);
    ck_assert(event.tray);
    /* Ejecting nothing is fine; loading closes the tray. */
    ck_assert(drive_eject(d, false, &error));
    ck_assert(drive_change_medium(d, one, NULL, READONLY_OFF, false, &error));
    ck_assert(!drive_readonly(d));
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), 0);
    DriveState state;
    drive_state(d, &state);
    ck_assert(state.removable && state.tray && !state.tray_open && state.locked);
    /* A disk that stays where it is. */
    static const DriveUser fixed;
    Drive *disk = drive_new_memory("ram", 512);
    ck_assert(drive_attach(disk, &fixed, disk, "hd0", &error));
    ck_assert(!drive_eject(disk, true, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "not removable"));
    g_clear_error(&error);
    ck_assert(drive_resize(disk, 2048, &error));
    ck_assert_int_eq(drive_length(disk), 2048);
    ck_assert_int_eq(drive_write_sync(disk, 1536, buf, 512), 0);
}
END_TEST

/* The very image that is in the drive, writable: our own lock on it is no obstacle. */
START_TEST(same_medium_again)
{
    g_autofree char *path = image("floppy", 4096);
    g_autofree char *text = g_strdup_printf("if=floppy,format=raw,file=%s", path);
    GError *error = NULL;
    Drive *d = added(IF_IDE, false, text)->drive;
    bool ok = drive_change_medium(d, path, "raw", READONLY_RETAIN, false, &error);
    ck_assert_msg(ok, "%s", error ? error->message : "");
    ck_assert(drive_has_medium(d));
}
END_TEST

START_TEST(discard_and_zeroes)
{
    g_autofree char *path = image("disk", 1 << 20);
    struct stat st;
    uint8_t buf[4096] = {0};
    Drive *d = opened("disk", "file=%s,format=raw,discard=unmap,detect-zeroes=unmap", path);
    Reply r = {0};
    drive_discard(d, 0, 512 * 1024, reply, &r);
    ck_assert_int_eq(wait_for(&r), 0);
    ck_assert_int_eq(drive_read_sync(d, 4096, buf, 4096), 0);
    ck_assert(buffer_is_zero(buf, 4096));
    for (int i = 128; i < 256; i++) { /* zeros that a guest writes become holes */
        ck_assert_int_eq(drive_write_sync(d, i * 4096, buf, 4096), 0);
    }
    stat(path, &st);
    ck_assert_int_eq(st.st_size, 1 << 20);
    ck_assert_int_lt(st.st_blocks, (1 << 20) / 512 / 4);
    drive_free(d);
    /* Without discard=unmap nothing happens to what is there. */
    g_autofree char *other = image("other", 65536);
    d = opened("disk", "file=%s,format=raw", other);
    drive_discard(d, 0, 65536, reply, &r);
    ck_assert_int_eq(wait_for(&r), 0);
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), 0);
    ck_assert(!buffer_is_zero(buf, 512));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        memory_model,
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
        cancelling,
        open_errors,
        probing,
        raw_window,
        locks,
        interfaces,
        attaching,
        media,
        same_medium_again,
        discard_and_zeroes,
    };
    Suite *suite = suite_create("drive");
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
