/* Requests of a drive: each is a coroutine over the root node, then the policy for host errors,
 * then `done`. */
#include "block/drive.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/drive-private.h"
#include "block/worker.h"
#include "core/clock.h"
#include "core/coroutine.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/options.h"
#include "core/runstate.h"

DriveEvents drive_events;
static GPtrArray *drives; /* in order of creation */

static const char *const op_names[DRIVE_OPS] = {"read", "write", "flush", "discard", "write zeroes"};

/* ---- The end of a request ---- */

void drive_request_end(DriveRequest *r)
{
    DriveDone *done = r->done;
    void *arg = r->arg;
    int result = r->cancelled ? -ECANCELED : r->result;
    Loop *loop = r->port->loop;
    if (r->iov.v != r->pieces) {
        g_free(r->iov.v);
    }
    g_free(r);
    if (done) { /* who waits for all loops may be the one that gets here */
        Loop *before = loop_work_for(loop);
        done(arg, result);
        loop_work_again(before);
    }
}

/* Not from within a submitting call, whose caller may not be ready for it, nor on another loop. */
static void request_finish(DriveRequest *r)
{
    Drive *d = r->drive;
    TRACE(drive_end, "%s: %s at %" PRId64 ", %" PRId64 " bytes: %s", d->id, op_names[r->op], r->offset, r->bytes,
          r->result < 0 ? g_strerror(-r->result) : "done");
    d->in_flight--;
    if (r->port == d->port && !d->submitting) {
        drive_request_end(r);
        return;
    }
    drive_hop_back(r);
}

/* ---- The policy for host errors ---- */

static DriveOnError action_for(const Drive *d, bool write, int result)
{
    DriveOnError policy = write ? d->settings.werror : d->settings.rerror;
    if (policy == ON_ERROR_ENOSPC) {
        return result == -ENOSPC ? ON_ERROR_STOP : ON_ERROR_REPORT;
    }
    return policy;
}

/* What becomes of a failed request: true, it is over (r->result says how); false, it is to wait. */
static bool error_policy(DriveRequest *r)
{
    static const char *const names[] = {"report", "ignore", "report", "stop"};
    Drive *d = r->drive;
    bool write = r->op != DRIVE_READ, nospace = r->result == -ENOSPC;
    DriveOnError action = action_for(d, write, r->result);
    if (action == ON_ERROR_STOP && d->io_status == IO_STATUS_OK) {
        d->io_status = nospace ? IO_STATUS_NOSPACE : IO_STATUS_FAILED;
    }
    if (drive_events.io_error) {
        drive_events.io_error(d, write, names[action], nospace, g_strerror(-r->result));
    }
    if (action == ON_ERROR_STOP) {
        machine_request_stop(RUN_IO_ERROR);
        return false;
    }
    if (action == ON_ERROR_IGNORE) {
        r->result = 0;
    }
    return true;
}

static void request_hold(DriveRequest *r)
{
    Drive *d = r->drive;
    DriveRequest **at = &d->held;
    while (*at) {
        at = &(*at)->next;
    }
    *at = r;
    r->next = NULL;
    r->held = true;
    d->in_flight--;
    co_yield();
    r->held = false;
    d->in_flight++;
}

static void held_retry(Drive *d)
{
    DriveRequest *all = d->held;
    d->held = NULL;
    d->io_status = IO_STATUS_OK;
    for (DriveRequest *r = all, *next; r; r = next) {
        next = r->next;
        co_enter(r->co);
    }
}

/* A machine that stops leaves nothing in flight or unflushed: its images may be copied now. */
static void machine_changed(void *arg, bool running, RunState state)
{
    (void)arg, (void)state;
    for (guint i = 0; i < drives->len; i++) {
        Drive *d = g_ptr_array_index(drives, i);
        drive_enter(d);
        if (running) {
            held_retry(d);
        } else {
            drive_drain(d);
            if (d->dirty) {
                drive_flush_sync(d);
            }
        }
        drive_leave(d);
    }
}

/* ---- A request's life ---- */

static int write_io(DriveRequest *r, unsigned flags)
{
    const DriveSettings *s = &r->drive->settings;
    if (s->detect_zeroes && iovec_is_zero(&r->iov)) {
        return node_co_pwrite_zeroes(r->drive->root, r->offset, r->bytes,
                                     flags | (s->detect_zeroes == 2 ? BLOCK_MAY_UNMAP : 0));
    }
    return node_co_pwritev(r->drive->root, r->offset, &r->iov, flags);
}

static int request_io(DriveRequest *r)
{
    BlockNode *n = r->drive->root;
    unsigned flags = r->fua || r->drive->settings.writethrough ? BLOCK_FUA : 0;
    switch (r->op) {
    case DRIVE_READ: return node_co_preadv(n, r->offset, &r->iov);
    case DRIVE_WRITE: return write_io(r, flags);
    case DRIVE_FLUSH: return node_co_flush(n);
    case DRIVE_DISCARD: return node_co_pdiscard(n, r->offset, r->bytes);
    default:
        return node_co_pwrite_zeroes(n, r->offset, r->bytes,
                                     flags | (r->may_unmap ? BLOCK_MAY_UNMAP : 0));
    }
}

static void account(DriveRequest *r)
{
    DriveStats *s = &r->drive->stats;
    int64_t now = clock_now(CLOCK_RT);
    s->last_access_ns = now;
    s->time_ns[r->op] += (uint64_t)(now - r->began);
    if (r->result < 0) {
        s->failed[r->op]++;
        return;
    }
    s->operations[r->op]++;
    s->bytes[r->op] += (uint64_t)r->bytes;
    if (r->op == DRIVE_WRITE) {
        s->write_highest = MAX(s->write_highest, (uint64_t)(r->offset + r->bytes));
    }
    if (r->op != DRIVE_READ) {
        r->drive->dirty = r->op != DRIVE_FLUSH;
    }
}

static void request_run(void *arg)
{
    DriveRequest *r = arg;
    for (;;) {
        r->result = request_io(r);
        account(r);
        if (r->result >= 0 || r->cancelled || error_policy(r)) {
            break;
        }
        request_hold(r);
        if (r->cancelled) {
            break;
        }
        r->began = clock_now(CLOCK_RT);
    }
    request_finish(r);
}

/* What is wrong with it before anything is tried: 0 or -errno. */
static int request_check(const DriveRequest *r)
{
    const Drive *d = r->drive;
    if (!d->root) {
        return -ENOMEDIUM;
    }
    if (r->op == DRIVE_FLUSH) {
        return 0;
    }
    if (r->op != DRIVE_READ && drive_readonly(d)) {
        return -EACCES;
    }
    int64_t length = drive_length(d);
    if (r->offset < 0 || r->bytes < 0 || r->offset > length || r->bytes > length - r->offset) {
        return -EIO;
    }
    return 0;
}

void drive_request_begin(DriveRequest *r)
{
    Drive *d = r->drive;
    d->in_flight++;
    d->submitting++;
    r->began = clock_now(CLOCK_RT);
    r->result = request_check(r);
    TRACE(drive_begin, "%s: %s at %" PRId64 ", %" PRId64 " bytes", d->id, op_names[r->op], r->offset, r->bytes);
    if (r->result < 0) {
        d->stats.invalid[r->op] += r->result != -ENOMEDIUM;
        request_finish(r);
    } else if (!r->bytes && r->op != DRIVE_FLUSH) {
        request_finish(r);
    } else {
        r->co = co_new_on(d->port->loop, request_run, r);
        co_enter(r->co);
    }
    d->submitting--;
}

/* r->iov is set already for reads and writes. */
static DriveRequest *submit(DriveRequest *r)
{
    Drive *d = r->drive;
    r->port = drive_port(d);
    if (r->port == d->port) {
        drive_request_begin(r);
    } else {
        drive_hop(r);
    }
    return r;
}

static DriveRequest *request_new(Drive *d, DriveOp op, int64_t offset, DriveDone *done, void *arg)
{
    DriveRequest *r = g_new0(DriveRequest, 1);
    r->drive = d;
    r->op = op;
    r->offset = offset;
    r->done = done;
    r->arg = arg;
    r->iov.v = r->pieces;
    return r;
}

static void request_pieces(DriveRequest *r, const struct iovec *iov, unsigned n)
{
    if (n > INLINE_PIECES) {
        r->iov.v = g_new(struct iovec, n);
    }
    memcpy(r->iov.v, iov, n * sizeof(*iov));
    r->iov.n = n;
    r->iov.bytes = iovec_bytes(iov, n);
    r->bytes = r->iov.bytes > INT64_MAX ? -1 : (int64_t)r->iov.bytes;
}

DriveRequest *drive_readv(Drive *d, int64_t offset, const struct iovec *iov, unsigned n,
                          DriveDone *done, void *arg)
{
    DriveRequest *r = request_new(d, DRIVE_READ, offset, done, arg);
    request_pieces(r, iov, n);
    return submit(r);
}

DriveRequest *drive_writev(Drive *d, int64_t offset, const struct iovec *iov, unsigned n, bool fua,
                           DriveDone *done, void *arg)
{
    DriveRequest *r = request_new(d, DRIVE_WRITE, offset, done, arg);
    request_pieces(r, iov, n);
    r->fua = fua;
    return submit(r);
}

DriveRequest *drive_read(Drive *d, int64_t offset, void *buf, size_t len, DriveDone *done,
                         void *arg)
{
    return drive_readv(d, offset, &(struct iovec){buf, len}, 1, done, arg);
}

DriveRequest *drive_write(Drive *d, int64_t offset, const void *buf, size_t len, DriveDone *done,
                          void *arg)
{
    return drive_writev(d, offset, &(struct iovec){(void *)buf, len}, 1, false, done, arg);
}

DriveRequest *drive_flush(Drive *d, DriveDone *done, void *arg)
{
    return submit(request_new(d, DRIVE_FLUSH, 0, done, arg));
}

DriveRequest *drive_discard(Drive *d, int64_t offset, int64_t len, DriveDone *done, void *arg)
{
    DriveRequest *r = request_new(d, DRIVE_DISCARD, offset, done, arg);
    r->bytes = len;
    return submit(r);
}

DriveRequest *drive_write_zeroes(Drive *d, int64_t offset, int64_t len, bool may_unmap,
                                 DriveDone *done, void *arg)
{
    DriveRequest *r = request_new(d, DRIVE_ZERO, offset, done, arg);
    r->bytes = len;
    r->may_unmap = may_unmap;
    return submit(r);
}

/* Its done() comes soon, and a drain waits for it.  One that is not in the list is being retried, and sees for itself. */
static void cancel_held(DriveRequest *r)
{
    DriveRequest **at = &r->drive->held;
    while (*at && *at != r) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = r->next;
        r->drive->submitting++;
        co_enter(r->co);
        r->drive->submitting--;
    }
}

void drive_cancel(DriveRequest *r)
{
    if (!r || r->cancelled) {
        return;
    }
    r->cancelled = true;
    if (r->held) {
        cancel_held(r);
    }
}

/* ---- Waiting ---- */

void drive_drain_all(void)
{
    for (guint i = 0; drives && i < drives->len; i++) {
        drive_drain(g_ptr_array_index(drives, i));
    }
}

typedef struct Answer {
    bool come;
    int result;
} Answer;

static void answered(void *arg, int result)
{
    *(Answer *)arg = (Answer){true, result};
}

static int sync_request(Drive *d, DriveOp op, int64_t offset, void *buf, size_t len)
{
    Answer answer = {0};
    drive_enter(d);
    DriveRequest *r = request_new(d, op, offset, answered, &answer);
    request_pieces(r, &(struct iovec){buf, len}, op == DRIVE_FLUSH ? 0 : 1);
    worker_inline(true);
    submit(r);
    worker_inline(false);
    while (!answer.come) {
        if (r->held) { /* nobody lets the machine run while we wait for it */
            drive_cancel(r);
        }
        drive_wait_some(d);
    }
    drive_leave(d);
    return answer.result;
}

int drive_read_sync(Drive *d, int64_t offset, void *buf, size_t len)
{
    return sync_request(d, DRIVE_READ, offset, buf, len);
}

int drive_write_sync(Drive *d, int64_t offset, const void *buf, size_t len)
{
    return sync_request(d, DRIVE_WRITE, offset, (void *)buf, len);
}

int drive_flush_sync(Drive *d)
{
    return sync_request(d, DRIVE_FLUSH, 0, NULL, 0);
}

/* ---- Drives ---- */

bool drive_attach(Drive *d, const DriveUser *user, void *arg, const char *device_id, GError **error)
{
    if (d->user) {
        return error_fail(error, "Drive '%s' is already in use by another device%s%s%s", d->id,
                          d->device_id ? " ('" : "", d->device_id ? d->device_id : "",
                          d->device_id ? "')" : "");
    }
    static const DriveUser nobody;
    d->user = user ? user : &nobody;
    d->user_arg = arg;
    d->device_id = g_strdup(device_id);
    return true;
}

void drive_detach(Drive *d, void *arg)
{
    if (d->user && d->user_arg == arg) {
        drive_set_loops(d, NULL, 0);
        d->user = NULL;
        d->user_arg = NULL;
        d->locked = false;
        g_clear_pointer(&d->device_id, g_free);
    }
}

const char *drive_id(const Drive *d)
{
    return d->id;
}
bool drive_has_medium(const Drive *d)
{
    return d->root;
}
bool drive_readonly(const Drive *d)
{
    return d->settings.mode.readonly || (d->root && d->root->mode.readonly);
}

int64_t drive_length(const Drive *d)
{
    /* Whole sectors: the last one of an odd image ends with zeros. */
    return d->root ? (node_length(d->root) + 511) & ~INT64_C(511) : 0;
}

unsigned drive_sector_size(const Drive *d)
{
    unsigned size = 512;
    for (const BlockNode *n = d->root; n; n = n->file) {
        size = MAX(size, n->request_align);
    }
    return size;
}

Drive *drive_register(const char *id)
{
    Drive *d = g_new0(Drive, 1);
    d->id = g_strdup(id);
    drive_ports_init(d);
    if (!drives) {
        drives = g_ptr_array_new();
        runstate_listen(&(RunListener){.changed = machine_changed});
    }
    g_ptr_array_add(drives, d);
    return d;
}

Drive *drive_new(const char *id, GHashTable *options, GError **error)
{
    DriveSettings settings;
    BlockNode *node;
    if (drive_find(id)) {
        error_fail(error, "Drive with id '%s' already exists", id);
        return NULL;
    }
    if (!drive_settings_take(&settings, id, options, false, error)) {
        return NULL;
    }
    if (!drive_medium_open(&settings, id, options, &node, error)) {
        drive_settings_clear(&settings);
        return NULL;
    }
    Drive *d = drive_register(id);
    d->settings = settings;
    d->root = node;
    return d;
}

Drive *drive_new_node(const char *id, BlockNode *root)
{
    Drive *d = drive_register(id);
    d->root = root;
    d->settings.mode = root->mode;
    d->settings.werror = ON_ERROR_ENOSPC;
    return d;
}

Drive *drive_new_empty(void)
{
    g_autoptr(GHashTable) options = options_new();
    return drive_new("", options, NULL);
}

Drive *drive_new_memory(const char *id, size_t size)
{
    g_autoptr(GHashTable) options = options_new();
    g_autofree char *bytes = g_strdup_printf("%zu", size);
    options_set(options, "driver", "memory");
    options_set(options, "size", bytes);
    BlockNode *node = node_open(options, &(NodeMode){.unmap = true}, NULL);
    return node ? drive_new_node(id, node) : NULL;
}

void drive_set_on_error(Drive *d, DriveOnError rerror, DriveOnError werror)
{
    d->settings.rerror = rerror;
    d->settings.werror = werror;
}

Drive *drive_find(const char *id)
{
    for (guint i = 0; drives && i < drives->len; i++) {
        Drive *d = g_ptr_array_index(drives, i);
        if (*id && !strcmp(d->id, id)) {
            return d;
        }
    }
    return NULL;
}

bool drive_exists(const Drive *d)
{
    return drives && g_ptr_array_find(drives, d, NULL);
}

void drive_foreach(void (*fn)(void *arg, Drive *d), void *arg)
{
    for (guint i = 0; drives && i < drives->len; i++) {
        fn(arg, g_ptr_array_index(drives, i));
    }
}

void drive_free(Drive *d)
{
    if (!d) {
        return;
    }
    while (d->held) { /* nobody is going to retry them */
        DriveRequest *r = d->held;
        r->cancelled = true;
        cancel_held(r);
    }
    drive_drain(d);
    if (d->root && !drive_readonly(d)) {
        drive_flush_sync(d);
    }
    drive_info_forget(d);
    g_ptr_array_remove(drives, d);
    node_unref(d->root);
    drive_settings_clear(&d->settings);
    drive_ports_clear(d);
    g_free(d->device_id);
    g_free(d->id);
    g_free(d);
}

void drive_cleanup(void)
{
    drive_drain_all();
    while (drives && drives->len) {
        drive_free(g_ptr_array_index(drives, drives->len - 1));
    }
}
