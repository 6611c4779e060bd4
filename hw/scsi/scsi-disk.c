/* Disks and CD drives on a SCSI bus: properties, and the drive behind them.  Their commands are in spc.c, sbc.c and mmc.c. */
#include <string.h>

#include "hw/scsi/scsi-bus.h"

enum { AUTO, ON, OFF };
enum { ERROR_AUTO, ERROR_REPORT, ERROR_IGNORE, ERROR_ENOSPC, ERROR_STOP };
enum { SECTOR = 512, BLOCK_MAX = 32768, DISCARD_UNIT = 4096 };

/* ---- What people do with the drive ---- */

static void media_changed(void *arg, bool loaded)
{
    ScsiDevice *d = arg;
    scsi_media_changed(&d->unit, loaded);
    scsi_changed(d, SCSI_NEW_MEDIUM);
}

static void resized(void *arg)
{
    ScsiDevice *d = arg;
    scsi_attention(&d->unit, ATTENTION_CAPACITY);
    scsi_changed(d, SCSI_RESIZED);
}

static bool tray_open(void *arg)
{
    return ((ScsiDevice *)arg)->unit.tray_open;
}

static bool locked(void *arg)
{
    return ((ScsiDevice *)arg)->unit.locked;
}

static void eject_request(void *arg, bool force)
{
    ScsiDevice *d = arg;
    scsi_eject_request(&d->unit, force);
    scsi_changed(d, SCSI_NEW_MEDIUM);
}

static const DriveUser fixed_user = {.resized = resized};
static const DriveUser removable_user = {
    .media_changed = media_changed,
    .resized = resized,
    .tray_open = tray_open,
    .locked = locked,
    .eject_request = eject_request,
};

/* ---- Coming and going ---- */

static bool is_power_of_two(uint32_t n, uint32_t least, uint32_t most)
{
    return n >= least && n <= most && !(n & (n - 1));
}

static bool check_properties(const ScsiDevice *d, GError **error)
{
    const char *name = d->dev.class->name;
    if (!is_power_of_two(d->logical_block_size, SECTOR, BLOCK_MAX)) {
        return error_fail(error, "Property %s.logical_block_size is %u, expected: a power of two from 512 to %u", name,
                          d->logical_block_size, BLOCK_MAX);
    }
    if (!is_power_of_two(d->physical_block_size, d->logical_block_size, 2 << 20)) {
        return error_fail(error, "Property %s.physical_block_size is %u, expected: a power of two from logical_block_size, %u, "
                          "to 2097152", name, d->physical_block_size, d->logical_block_size);
    }
    if (d->discard_granularity != UINT32_MAX && d->discard_granularity % d->logical_block_size) {
        return error_fail(error, "Property %s.discard_granularity is %u, expected: a multiple of logical_block_size, %u, or 0",
                          name, d->discard_granularity, d->logical_block_size);
    }
    if (d->max_io_size > UINT32_MAX || (d->max_io_size && d->max_io_size < d->logical_block_size)) {
        return error_fail(error, "Property %s.max_io_size is %" G_GINT64_MODIFIER "u, expected: %u to %u, or 0", name,
                          d->max_io_size, d->logical_block_size, UINT32_MAX);
    }
    return !d->share_rw || error_fail(error, "Property %s.share-rw is on, but images are locked when drives open: "
                                      "file.locking=off of -drive shares them", name);
}

/* rerror= and werror= of the device count before those of the drive. */
static bool set_on_error(ScsiDevice *d, GError **error)
{
    static const DriveOnError policies[] = {[ERROR_REPORT] = ON_ERROR_REPORT, [ERROR_IGNORE] = ON_ERROR_IGNORE,
                                            [ERROR_ENOSPC] = ON_ERROR_ENOSPC, [ERROR_STOP] = ON_ERROR_STOP};
    DriveState now;
    if (d->rerror == ERROR_ENOSPC) {
        return error_fail(error, "Property %s.rerror is enospc, expected: auto, report, ignore or stop", d->dev.class->name);
    }
    if (d->rerror || d->werror) {
        drive_state(d->drive, &now);
        drive_set_on_error(d->drive, d->rerror ? policies[d->rerror] : now.rerror, d->werror ? policies[d->werror] : now.werror);
    }
    return true;
}

static void default_text(char **text, const char *value)
{
    if (!*text && value && *value) {
        *text = g_strdup(value);
    }
}

static void fill_unit(ScsiDevice *d, bool cd)
{
    ScsiUnit *u = &d->unit;
    DriveState state;
    drive_state(d->drive, &state);
    default_text(&d->vendor, "QEMU");
    default_text(&d->product, cd ? "QEMU CD-ROM" : "QEMU HARDDISK");
    default_text(&d->ver, "2.5+");
    default_text(&d->device_id, d->serial && *d->serial ? d->serial : drive_id(d->drive));
    u->drive = d->drive;
    u->cd = cd;
    u->removable = d->removable;
    u->dpofua = d->dpofua;
    u->vendor = d->vendor;
    u->product = d->product;
    u->version = d->ver;
    u->serial = d->serial;
    u->device_id = d->device_id;
    u->wwn = d->wwn;
    u->block = d->logical_block_size;
    u->physical_block = d->physical_block_size;
    u->discard_granularity = cd ? 0 : d->discard_granularity;
    if (u->discard_granularity == UINT32_MAX) {
        u->discard_granularity = MAX(DISCARD_UNIT, d->logical_block_size);
    }
    u->min_io = d->min_io_size;
    u->opt_io = d->opt_io_size;
    u->max_io = (uint32_t)d->max_io_size;
    u->rotation_rate = d->rotation_rate;
    u->cache_default = d->write_cache == ON || (d->write_cache == AUTO && state.writeback);
}

static bool attach(ScsiDevice *d, bool cd, GError **error)
{
    if (!check_properties(d, error)) {
        return false;
    }
    if (!d->drive && cd) {
        d->drive = d->own_drive = drive_new_empty();
    }
    if (!drive_attach(d->drive, d->removable ? &removable_user : &fixed_user, d, device_label(&d->dev),
                      error)) {
        d->drive = NULL;
        return false;
    }
    fill_unit(d, cd);
    if (!set_on_error(d, error)) {
        drive_detach(d->drive, d);
        d->drive = NULL;
        return false;
    }
    d->attached = true;
    scsi_join(d->bus, d);
    return true;
}

static bool hd_realize(void *dev, GError **error)
{
    ScsiDevice *d = dev;
    if (!d->drive) {
        return error_fail(error, "scsi-hd: property drive is missing: drive=ID of a -drive with if=none");
    }
    if (!d->removable && !drive_has_medium(d->drive)) {
        return error_fail(error, "Device needs media, but drive '%s' is empty", drive_id(d->drive));
    }
    return attach(d, false, error);
}

static bool cd_realize(void *dev, GError **error)
{
    ScsiDevice *d = dev;
    d->removable = true;
    d->logical_block_size = d->physical_block_size = CD_SECTOR;
    return attach(d, true, error);
}

/* Commands end as soon as the drive has let go of the initiator's memory; the device is there until then. */
static void scsi_unrealize(void *dev)
{
    ScsiDevice *d = dev;
    ScsiBus *bus = g_steal_pointer(&d->bus); /* it takes no more */
    scsi_enter(bus);
    g_ptr_array_remove(bus->units, d);
    for (ScsiTask *t = d->tasks; t; t = t->next) {
        scsi_abort(t);
    }
    if (d->drive) {
        drive_drain(d->drive);
        g_assert(!d->tasks);
    }
    scsi_leave(bus);
    if (d->drive) {
        drive_detach(d->drive, d);
        drive_free(g_steal_pointer(&d->own_drive));
        d->drive = d->unit.drive = NULL;
    }
}

static void scsi_reset(void *dev, bool power_on)
{
    ScsiDevice *d = dev;
    scsi_enter(d->bus);
    scsi_unit_reset(&d->unit);
    scsi_leave(d->bus);
}

static bool scsi_busy(const void *dev)
{
    return ((const ScsiDevice *)dev)->tasks;
}

// clang-format off
static const char *const on_off_auto[] = {"auto", "on", "off", NULL};
static const char *const on_error[] = {"auto", "report", "ignore", "enospc", "stop", NULL};
static const Row common_rows[] = {
    PROP(ScsiDevice, channel, "0", "Channel of the adapter"),
    PROP_AS(ScsiDevice, scsi_id, "scsi-id", "-1", "Target; -1: the next free one"),
    PROP(ScsiDevice, lun, "-1", "Logical unit of the target; -1: the next free one"),
    PROP(ScsiDevice, bootindex, "-1", "Place in the boot order; -1: none"),
    PROP(ScsiDevice, vendor, NULL, "Vendor, up to 8 characters"),
    PROP(ScsiDevice, product, NULL, "Product, up to 16 characters"),
    PROP(ScsiDevice, ver, NULL, "Revision, up to 4 characters"),
    PROP(ScsiDevice, serial, NULL, "Serial number, up to 36 characters"),
    PROP(ScsiDevice, device_id, NULL, "Identification; default: the serial number, or the id of the drive"),
    PROP(ScsiDevice, wwn, "0", "World wide name; 0: none"),
    PROP_AS(ScsiDevice, rerror, "rerror", "auto", "What failed reads do: report, ignore, stop; auto: as the drive says",
            .type = TYPE_ENUM, .names = on_error),
    PROP_AS(ScsiDevice, werror, "werror", "auto", "What failed writes do: report, ignore, enospc, stop; auto: as the drive says",
            .type = TYPE_ENUM, .names = on_error),
    PROP_AS(ScsiDevice, write_cache, "write-cache", "auto", "Writes may wait for a flush", .type = TYPE_ENUM,
            .names = on_off_auto),
    PROP_AS(ScsiDevice, share_rw, "share-rw", "off", "Others may write to the image"),
    PROP(ScsiDevice, max_io_size, "2147483647", "Most bytes of one read or write; 0: no limit", .type = TYPE_SIZE),
    PROP(ScsiDevice, min_io_size, "0", "Preferred smallest transfer, in bytes; 0: none", .type = TYPE_SIZE),
    PROP(ScsiDevice, opt_io_size, "0", "Preferred transfer, in bytes; 0: none", .type = TYPE_SIZE),
    PART(ScsiDevice, unit, scsi_unit_class),
    DERIVED(ScsiDevice, tasks),
    DERIVED(ScsiDevice, own_drive),
    END
};
static const Row hd_rows[] = {
    DRIVE(ScsiDevice, drive, "The disk"),
    PROP(ScsiDevice, removable, "off", "The medium can be taken out"),
    PROP(ScsiDevice, dpofua, "off", "Say that writes can be forced to the medium"),
    PROP(ScsiDevice, logical_block_size, "512", "Smallest unit of a transfer, in bytes", .type = TYPE_SIZE),
    PROP(ScsiDevice, physical_block_size, "512", "Unit that the medium writes, in bytes", .type = TYPE_SIZE),
    PROP(ScsiDevice, discard_granularity, "4294967295", "Unit of discards, in bytes; 0: no discards; default: 4096",
         .type = TYPE_SIZE),
    PROP(ScsiDevice, rotation_rate, "0", "Revolutions per minute, 1: solid state, 0: not reported"),
    END
};
static const Row cd_rows[] = {
    DRIVE(ScsiDevice, drive, "Drive that holds the medium; default: an empty one"),
    END
};
// clang-format on

const DeviceClass scsi_device_class = {
    .name = "scsi-device",
    .doc = "Logical unit on a SCSI bus",
    .abstract = true,
    .bus = "SCSI",
    .category = "storage",
    .size = sizeof(ScsiDevice),
    .rows = common_rows,
    .unrealize = scsi_unrealize,
    .reset = scsi_reset,
    .busy = scsi_busy,
};

const DeviceClass scsi_hd_class = {
    .name = "scsi-hd",
    .doc = "virtual SCSI disk",
    .base = &scsi_device_class,
    .bus = "SCSI",
    .category = "storage",
    .hotpluggable = true,
    .size = sizeof(ScsiDevice),
    .rows = hd_rows,
    .realize = hd_realize,
};

const DeviceClass scsi_cd_class = {
    .name = "scsi-cd",
    .doc = "virtual SCSI CD-ROM",
    .base = &scsi_device_class,
    .bus = "SCSI",
    .category = "storage",
    .hotpluggable = true,
    .size = sizeof(ScsiDevice),
    .rows = cd_rows,
    .realize = cd_realize,
};
