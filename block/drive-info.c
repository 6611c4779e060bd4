/* -drive: which interface, bus and unit a drive is meant for.  Boards look here when they make
 * controllers. */
#include <string.h>

#include "block/drive-private.h"
#include "core/error.h"
#include "core/options.h"

static GPtrArray *infos;

/* max_units: how many a bus of this kind takes; 0: there is one bus, and index= is the unit. */
static struct {
    const char *name;
    unsigned max_units;
    bool hd_and_cd;
} interfaces[IF_COUNT] = {
    [IF_NONE] = {"none", 0, false},     [IF_IDE] = {"ide", 2, true},
    [IF_SCSI] = {"scsi", 7, true},      [IF_FLOPPY] = {"floppy", 0, false},
    [IF_PFLASH] = {"pflash", 0, false}, [IF_MTD] = {"mtd", 0, false},
    [IF_SD] = {"sd", 0, false},         [IF_VIRTIO] = {"virtio", 0, false},
    [IF_XEN] = {"xen", 0, false},
};

void drive_set_max_units(DriveInterface interface, unsigned units)
{
    interfaces[interface].max_units = units;
}

DriveInfo *drive_info_find(DriveInterface interface, int bus, int unit)
{
    for (guint i = 0; infos && i < infos->len; i++) {
        DriveInfo *info = g_ptr_array_index(infos, i);
        if (info->interface == interface && info->bus == bus && info->unit == unit) {
            return info;
        }
    }
    return NULL;
}

void drive_info_foreach(void (*fn)(void *arg, DriveInfo *info), void *arg)
{
    for (guint i = 0; infos && i < infos->len; i++) {
        fn(arg, g_ptr_array_index(infos, i));
    }
}

static void info_free(DriveInfo *info)
{
    g_free(info->serial);
    g_free(info);
}

void drive_info_forget(Drive *d)
{
    for (guint i = 0; infos && i < infos->len; i++) {
        DriveInfo *info = g_ptr_array_index(infos, i);
        if (info->drive == d) {
            g_ptr_array_remove_index(infos, i);
            info_free(info);
            return;
        }
    }
}

static bool interface_take(GHashTable *options, DriveInterface *interface, GError **error)
{
    const char *names[IF_COUNT + 1] = {0};
    int which = (int)*interface;
    for (int i = 0; i < IF_COUNT; i++) {
        names[i] = interfaces[i].name;
    }
    if (!options_take_enum(options, "if", names, &which, error)) {
        return false;
    }
    *interface = (DriveInterface)which;
    return true;
}

/* A number that may be absent (-1). */
static bool number_take(GHashTable *options, const char *key, int *value, GError **error)
{
    uint64_t n = 0;
    bool given = g_hash_table_contains(options, key);
    if (!options_take_uint(options, key, 255, &n, error)) {
        return false;
    }
    *value = given ? (int)n : -1;
    return true;
}

/* The first free unit from `unit` of `bus` on; buses follow one another where they have an end. */
static void place_free(DriveInfo *info, unsigned max)
{
    while (drive_info_find(info->interface, info->bus, info->unit)) {
        info->unit++;
        if (max && info->unit >= (int)max) {
            info->unit = 0;
            info->bus++;
        }
    }
}

static bool place_take(DriveInfo *info, GHashTable *options, GError **error)
{
    int index, bus, unit;
    unsigned max = interfaces[info->interface].max_units;
    if (!number_take(options, "index", &index, error) ||
        !number_take(options, "bus", &bus, error) || !number_take(options, "unit", &unit, error)) {
        return false;
    }
    if (index >= 0 && (bus >= 0 || unit >= 0)) {
        return error_fail(error, "index cannot be used with bus and unit");
    }
    if (index >= 0) {
        bus = max ? index / (int)max : 0;
        unit = max ? index % (int)max : index;
    }
    info->bus = MAX(bus, 0);
    info->unit = MAX(unit, 0);
    if (unit < 0) {
        place_free(info, max);
    }
    if (max && info->unit >= (int)max) {
        return error_fail(error, "unit %d too big (max is %u)", info->unit, max - 1);
    }
    if (drive_info_find(info->interface, info->bus, info->unit)) {
        return error_fail(error, "drive with bus=%d, unit=%d (index=%d) exists", info->bus,
                          info->unit, info->bus * (int)max + info->unit);
    }
    return true;
}

static char *default_id(const DriveInfo *info)
{
    const char *name = interfaces[info->interface].name;
    const char *kind = !interfaces[info->interface].hd_and_cd ? "" : info->cdrom ? "-cd" : "-hd";
    return interfaces[info->interface].max_units
               ? g_strdup_printf("%s%d%s%d", name, info->bus, kind, info->unit)
               : g_strdup_printf("%s%s%d", name, kind, info->unit);
}

/* The options that say what kind of drive it is, rather than what is in it. */
static bool info_take(DriveInfo *info, GHashTable *options, GError **error)
{
    static const char *const media[] = {"disk", "cdrom", NULL};
    int medium = 0;
    if (!interface_take(options, &info->interface, error) ||
        !options_take_enum(options, "media", media, &medium, error)) {
        return false;
    }
    info->cdrom = medium == 1;
    info->serial = options_take(options, "serial");
    return place_take(info, options, error);
}

DriveInfo *drive_add(GHashTable *options, DriveInterface default_interface, bool global_snapshot,
                     GError **error)
{
    DriveInfo *info = g_new0(DriveInfo, 1);
    DriveSettings settings;
    BlockNode *node = NULL;
    g_autofree char *id = options_take(options, "id");
    info->interface = default_interface;
    if (!info_take(info, options, error)) {
        info_free(info);
        return NULL;
    }
    if (!id) {
        id = default_id(info);
    }
    if (drive_find(id)) {
        error_fail(error, "Drive with id '%s' already exists", id);
        info_free(info);
        return NULL;
    }
    if (global_snapshot && !g_hash_table_contains(options, "snapshot") && !info->cdrom) {
        options_set(options, "snapshot", "on");
    }
    if (!drive_settings_take(&settings, id, options, info->cdrom, error)) {
        info_free(info);
        return NULL;
    }
    if (!drive_medium_open(&settings, id, options, &node, error)) {
        drive_settings_clear(&settings);
        info_free(info);
        return NULL;
    }
    info->drive = drive_register(id);
    info->drive->settings = settings;
    info->drive->root = node;
    info->drive->removable = info->cdrom || info->interface == IF_FLOPPY;
    if (!infos) {
        infos = g_ptr_array_new();
    }
    g_ptr_array_add(infos, info);
    return info;
}
