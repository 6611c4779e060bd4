/* Commands about drives and their media, and the events of the block layer. */
#include <string.h>
#include <sys/stat.h>

#include "block/drive.h"
#include "hw/device.h"
#include "qapi/events.h"
#include "qapi/schema/qapi-commands.h"
#include "qapi/schema/qapi-events.h"

static void describe_medium(Drive *d, const DriveState *s, QBlockDeviceInfo *info)
{
    struct stat st;
    int64_t length = drive_length(d);
    info->file = g_strdup(s->filename ? s->filename : "");
    info->node_name = g_strdup(s->node_name);
    info->ro = s->readonly;
    info->drv = g_strdup(s->format ? s->format : "raw");
    info->detect_zeroes = g_strdup(s->detect_zeroes ? s->detect_zeroes : "off");
    info->cache = (QBlockdevCacheInfo){s->writeback, s->direct, s->no_flush};
    info->image.filename = g_strdup(info->file);
    info->image.format = g_strdup(info->drv);
    info->image.virtual_size = length > 0 ? length : 0;
    if (s->filename && !stat(s->filename, &st)) {
        info->image.has_actual_size = true;
        info->image.actual_size = (int64_t)st.st_blocks * 512;
    }
}

static void add_drive(void *arg, Drive *d)
{
    DriveState s = {0};
    drive_state(d, &s);
    QBlockInfo *info = QLIST_ADD((QBlockInfoList *)arg);
    Device *dev = s.device ? device_find(s.device) : NULL;
    info->device = g_strdup(drive_id(d));
    info->qdev = s.device ? g_strdup(dev ? dev->path : s.device) : NULL;
    info->type = g_strdup("unknown");
    info->removable = s.removable;
    info->locked = s.locked;
    info->has_tray_open = s.tray;
    info->tray_open = s.tray_open;
    info->has_io_status = s.device;
    info->io_status = (QBlockDeviceIoStatus)s.io_status;
    if (drive_has_medium(d)) {
        info->inserted = g_new0(QBlockDeviceInfo, 1);
        describe_medium(d, &s, info->inserted);
    }
}

bool qmp_query_block(const void *args, QBlockInfoList *ret, GError **error)
{
    drive_foreach(add_drive, ret);
    return true;
}

typedef struct Wanted {
    const char *qdev;
    const Device *dev;
    Drive *found;
} Wanted;

static void match_qdev(void *arg, Drive *d)
{
    Wanted *w = arg;
    DriveState s = {0};
    drive_state(d, &s);
    if (s.device && (!strcmp(s.device, w->qdev) || (w->dev && device_find(s.device) == w->dev))) {
        w->found = d;
    }
}

static Drive *find_drive(const char *device, const char *id, GError **error)
{
    if (!device == !id) {
        error_fail(error, "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    Drive *d = device ? drive_find(device) : NULL;
    if (id) {
        Wanted w = {id, device_find(id), NULL};
        drive_foreach(match_qdev, &w);
        d = w.found;
    }
    if (!d) {
        error_fail_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found",
                         device ? device : id);
    }
    return d;
}

static bool check_removable(Drive *d, GError **error)
{
    DriveState s = {0};
    drive_state(d, &s);
    return s.removable || error_fail(error, "Device '%s' is not removable", drive_id(d));
}

bool qmp_eject(const EjectArgs *args, void *ret, GError **error)
{
    Drive *d = find_drive(args->device, args->id, error);
    return d && check_removable(d, error) && drive_eject(d, args->has_force && args->force, error);
}

bool qmp_blockdev_change_medium(const BlockdevChangeMediumArgs *args, void *ret, GError **error)
{
    static const DriveReadonly modes[] = {READONLY_RETAIN, READONLY_ON, READONLY_OFF};
    Drive *d = find_drive(args->device, args->id, error);
    return d && check_removable(d, error) &&
           drive_change_medium(d, args->filename, args->format,
                               args->has_read_only_mode ? modes[args->read_only_mode]
                                                        : READONLY_RETAIN,
                               args->has_force && args->force, error);
}

bool qmp_block_resize(const BlockResizeArgs *args, void *ret, GError **error)
{
    Drive *d = find_drive(args->device, NULL, error);
    return d && drive_resize(d, args->size, error);
}

/* ---- Events ---- */

static void tray_moved(Drive *d, bool open)
{
    DriveState s = {0};
    drive_state(d, &s);
    Device *dev = s.device ? device_find(s.device) : NULL;
    event_device_tray_moved(drive_id(d), dev ? dev->path : s.device ? s.device : "", open);
}

static void io_error(Drive *d, bool write, const char *action, bool nospace, const char *reason)
{
    DriveState s = {0};
    drive_state(d, &s);
    int a = qtype_enum_find(&qtype_BlockErrorAction, action);
    event_block_io_error(
        drive_id(d), s.node_name, write ? Q_IO_OPERATION_TYPE_WRITE : Q_IO_OPERATION_TYPE_READ,
        a < 0 ? Q_BLOCK_ERROR_ACTION_REPORT : (QBlockErrorAction)a, true, nospace, reason);
}

void qapi_block_events_init(void)
{
    drive_events = (DriveEvents){tray_moved, io_error};
}
