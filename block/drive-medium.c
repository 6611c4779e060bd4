/* Media that come and go, what people ask about a drive, and its size. */
#include <errno.h>
#include <sys/stat.h>

#include "block/drive-private.h"
#include "block/worker.h"
#include "core/error.h"
#include "core/loop.h"
#include "core/options.h"

static bool tray_is_open(const Drive *d)
{
    return d->user && d->user->tray_open && d->user->tray_open(d->user_arg);
}

static bool is_locked(const Drive *d)
{
    return d->user && d->user->locked ? d->user->locked(d->user_arg) : d->locked;
}

typedef struct TrayMoved {
    Drive *drive;
    bool open;
} TrayMoved;

static void tray_moved(void *arg)
{
    TrayMoved *t = arg;
    if (drive_exists(t->drive)) {
        drive_events.tray_moved(t->drive, t->open);
    }
    g_free(t);
}

static void tell_tray(Drive *d, bool open)
{
    if (drive_events.tray_moved && loop_is_queue_thread()) { /* who hears of it looks at devices */
        TrayMoved *t = g_new(TrayMoved, 1);
        *t = (TrayMoved){d, open};
        loop_post(loop_main(), tray_moved, t);
    } else if (drive_events.tray_moved) {
        drive_events.tray_moved(d, open);
    }
}

void drive_guest_tray(Drive *d, bool open)
{
    tell_tray(d, open);
}

void drive_guest_eject(Drive *d)
{
    tell_tray(d, true);
}

void drive_guest_lock(Drive *d, bool locked)
{
    d->locked = locked;
}

/* Tell the device; its tray may move for that. */
static void medium_changed(Drive *d, bool loaded)
{
    bool before = tray_is_open(d);
    if (d->user && d->user->media_changed) {
        d->user->media_changed(d->user_arg, loaded);
    }
    bool after = tray_is_open(d);
    if (before != after) {
        tell_tray(d, after);
    }
}

static bool may_open(Drive *d, bool force, GError **error)
{
    if (d->user && !d->removable && !d->user->media_changed) {
        return error_fail(error, "Device '%s' is not removable", d->id);
    }
    if (is_locked(d) && !tray_is_open(d)) {
        if (d->user && d->user->eject_request) {
            d->user->eject_request(d->user_arg, force);
        }
        if (!force) {
            return error_fail(error,
                              "Device '%s' is locked and force was not specified, wait for tray to "
                              "open and try again",
                              d->id);
        }
    }
    return true;
}

static void medium_remove(Drive *d)
{
    drive_drain(d);
    if (d->root) {
        if (!drive_readonly(d)) {
            drive_flush_sync(d);
        }
        BlockNode *old = d->root;
        d->root = NULL;
        node_unref(old);
    }
}

bool drive_eject(Drive *d, bool force, GError **error)
{
    drive_enter(d);
    bool may = may_open(d, force, error);
    if (may && d->root) {
        medium_remove(d);
        medium_changed(d, false);
    }
    drive_leave(d);
    return may;
}

static bool same_file(const Drive *d, const char *path)
{
    struct stat now, wanted;
    return d->root && d->root->filename && !stat(d->root->filename, &now) && !stat(path, &wanted) &&
           now.st_dev == wanted.st_dev && now.st_ino == wanted.st_ino;
}

static bool change_medium(Drive *d, const char *path, const char *format, DriveReadonly readonly,
                          bool force, GError **error)
{
    if (!may_open(d, force, error)) {
        return false;
    }
    DriveSettings settings = d->settings;
    BlockNode *node;
    g_autoptr(GHashTable) options = options_new();
    options_set(options, "file", path);
    if (format) {
        options_set(options, "format", format);
    }
    if (readonly != READONLY_RETAIN) {
        settings.mode.readonly = readonly == READONLY_ON;
    }
    if (same_file(d, path)) { /* our own lock on it would be in the way */
        medium_remove(d);
        medium_changed(d, false);
    }
    if (!drive_medium_open(&settings, d->id, options, &node, error)) {
        return false;
    }
    if (d->root) {
        medium_remove(d);
        medium_changed(d, false);
    }
    d->settings = settings;
    d->root = node;
    medium_changed(d, true);
    return true;
}

bool drive_change_medium(Drive *d, const char *path, const char *format, DriveReadonly readonly,
                         bool force, GError **error)
{
    drive_enter(d);
    bool ok = change_medium(d, path, format, readonly, force, error);
    drive_leave(d);
    return ok;
}

typedef struct Resize {
    BlockNode *node;
    int64_t length;
    int result;
    bool done;
} Resize;

static void resize_run(void *arg)
{
    Resize *r = arg;
    r->result = node_co_truncate(r->node, r->length);
    r->done = true;
}

static bool resize(Drive *d, int64_t length, GError **error)
{
    if (!d->root) {
        return error_fail(error, "Device '%s' has no medium", d->id);
    }
    if (length < 0) {
        return error_fail(error, "Parameter 'size' expects a size of at least 0 bytes");
    }
    if (drive_readonly(d)) {
        return error_fail(error, "Device '%s' is read-only", d->id);
    }
    drive_drain(d);
    Resize r = {.node = d->root, .length = length};
    worker_inline(true);
    co_enter(co_new_on(d->port->loop, resize_run, &r));
    worker_inline(false);
    while (!r.done) {
        drive_wait_some(d);
    }
    if (r.result < 0) {
        return error_fail_errno(
            error, r.result, "Could not resize '%s' to %" G_GINT64_FORMAT " bytes", d->id, length);
    }
    if (d->user && d->user->resized) {
        d->user->resized(d->user_arg);
    }
    return true;
}

bool drive_resize(Drive *d, int64_t length, GError **error)
{
    drive_enter(d);
    bool ok = resize(d, length, error);
    drive_leave(d);
    return ok;
}

void drive_stats(const Drive *d, DriveStats *stats)
{
    drive_enter((Drive *)d);
    *stats = d->stats;
    stats->in_flight = d->in_flight;
    drive_leave((Drive *)d);
}

void drive_state(const Drive *d, DriveState *state)
{
    static const char *const zeroes[] = {"off", "on", "unmap"};
    const DriveSettings *s = &d->settings;
    *state = (DriveState){
        .device = d->device_id,
        .removable = d->removable || (d->user && d->user->media_changed),
        .tray = d->user && d->user->tray_open,
        .tray_open = tray_is_open(d),
        .locked = is_locked(d),
        .readonly = drive_readonly(d),
        .snapshot = s->snapshot,
        .writeback = !s->writethrough,
        .direct = s->mode.direct,
        .no_flush = s->mode.no_flush,
        .detect_zeroes = zeroes[s->detect_zeroes],
        .io_status = d->io_status,
        .rerror = s->rerror,
        .werror = s->werror,
    };
    const BlockNode *n = d->root;
    if (n) {
        state->node_name = n->name;
        if (s->snapshot && n->backing) {
            n = n->backing;
        }
        state->filename = n->filename ? n->filename : n->driver->name;
        state->format = n->driver->name;
        state->protocol = n->file ? n->file->driver->name : n->driver->name;
    }
}
