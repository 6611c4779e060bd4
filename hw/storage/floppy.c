/* Floppy disk drives of the PC, 5.25" and 3.5", and what may lie in them. */
#include "hw/storage/floppy.h"

const char *const floppy_type_names[] = {"144", "288", "120", "none", "auto", NULL};

/* The first of each type is the standard one.  After them the formats that DOS, Linux's fdutils, 2M
 * and XDF-less distribution disks use. */
static const FloppyFormat formats[] = {
    {FLOPPY_144, 18, 80, 2, RATE_500K}, /* 1.44M */
    {FLOPPY_288, 36, 80, 2, RATE_1M},   /* 2.88M */
    {FLOPPY_120, 15, 80, 2, RATE_500K}, /* 1.2M */
    {FLOPPY_144, 9, 80, 2, RATE_250K},  /* 720K */
    {FLOPPY_120, 9, 40, 2, RATE_300K},  /* 360K, double density in a high density drive */
    {FLOPPY_120, 8, 40, 2, RATE_300K},  /* 320K */
    {FLOPPY_120, 9, 40, 1, RATE_300K},  /* 180K */
    {FLOPPY_120, 8, 40, 1, RATE_300K},  /* 160K */
    {FLOPPY_144, 20, 80, 2, RATE_500K}, /* 1600K */
    {FLOPPY_144, 21, 80, 2, RATE_500K}, /* 1680K, DMF */
    {FLOPPY_144, 21, 82, 2, RATE_500K}, /* 1722K */
    {FLOPPY_144, 21, 83, 2, RATE_500K}, /* 1743K */
    {FLOPPY_144, 22, 80, 2, RATE_500K}, /* 1760K */
    {FLOPPY_144, 23, 80, 2, RATE_500K}, /* 1840K */
    {FLOPPY_144, 24, 80, 2, RATE_500K}, /* 1920K */
    {FLOPPY_144, 18, 82, 2, RATE_500K}, /* 1476K */
    {FLOPPY_144, 18, 83, 2, RATE_500K}, /* 1494K */
    {FLOPPY_144, 10, 80, 2, RATE_250K}, /* 800K */
    {FLOPPY_144, 10, 82, 2, RATE_250K}, /* 820K */
    {FLOPPY_144, 10, 83, 2, RATE_250K}, /* 830K */
    {FLOPPY_144, 13, 80, 2, RATE_250K}, /* 1040K */
    {FLOPPY_144, 14, 80, 2, RATE_250K}, /* 1120K */
    {FLOPPY_120, 10, 41, 2, RATE_300K}, /* 410K */
    {FLOPPY_120, 10, 42, 2, RATE_300K}, /* 420K */
    {FLOPPY_120, 15, 82, 2, RATE_500K}, /* 1230K */
    {FLOPPY_120, 17, 80, 2, RATE_500K}, /* 1360K */
    {FLOPPY_288, 39, 80, 2, RATE_1M},   /* 3120K */
    {FLOPPY_288, 40, 80, 2, RATE_1M},   /* 3200K */
    {FLOPPY_288, 44, 80, 2, RATE_1M},   /* 3520K */
    {FLOPPY_288, 48, 80, 2, RATE_1M},   /* 3840K */
};

static int64_t format_bytes(const FloppyFormat *f)
{
    return (int64_t)f->sectors * f->tracks * f->heads * FLOPPY_SECTOR;
}

static bool has_medium(const Floppy *f)
{
    return f->drive && drive_has_medium(f->drive);
}

static bool type_takes(int drive, int medium)
{
    return drive == medium || (drive == FLOPPY_288 && medium == FLOPPY_144);
}

const FloppyFormat *floppy_format(const Floppy *f)
{
    const FloppyFormat *other = NULL, *standard = &formats[0];
    if (!has_medium(f) || f->type == FLOPPY_NONE) {
        return NULL;
    }
    int64_t length = drive_length(f->drive);
    if (length < FLOPPY_SECTOR) {
        return NULL; /* never formatted */
    }
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (format_bytes(&formats[i]) == length) {
            if (type_takes(f->type, formats[i].type)) {
                return &formats[i];
            }
            other = other ? other : &formats[i];
        }
    }
    for (size_t i = G_N_ELEMENTS(formats); i-- > 0;) {
        standard = formats[i].type == f->type ? &formats[i] : standard;
    }
    return other ? other : standard;
}

void floppy_step_to(Floppy *f, unsigned track)
{
    track = MIN(track, FLOPPY_TRACKS - 1u); /* the end stop */
    if (track != f->track && has_medium(f)) {
        f->changed = false;
    }
    f->track = (uint8_t)track;
}

bool floppy_write_protected(const Floppy *f)
{
    return has_medium(f) && drive_readonly(f->drive);
}

bool floppy_disk_changed(const Floppy *f)
{
    return f->changed || !has_medium(f);
}

bool floppy_on_cylinder(const Floppy *f, const FloppyFormat *format, unsigned cylinder)
{
    bool narrow = format->tracks <= FLOPPY_TRACKS / 2;
    return cylinder < format->tracks &&
           (cylinder == f->track || (narrow && cylinder == f->track / 2u));
}

bool floppy_reads_at(const FloppyFormat *format, unsigned rate)
{
    return format->rate == rate || (format->rate == RATE_300K && rate == RATE_250K);
}

int64_t floppy_offset(const FloppyFormat *format, unsigned cylinder, unsigned head, unsigned sector)
{
    return (int64_t)((cylinder * format->heads + head) * format->sectors + sector - 1) *
           FLOPPY_SECTOR;
}

bool floppy_deleted(const Floppy *f, int64_t offset)
{
    size_t n = (size_t)(offset / FLOPPY_SECTOR);
    return f->deleted[n / 8] >> n % 8 & 1;
}

void floppy_set_deleted(Floppy *f, int64_t offset, bool deleted)
{
    size_t n = (size_t)(offset / FLOPPY_SECTOR);
    uint8_t bit = (uint8_t)(1u << n % 8);
    f->deleted[n / 8] = deleted ? f->deleted[n / 8] | bit : f->deleted[n / 8] & (uint8_t)~bit;
}

uint8_t floppy_cmos_type(const Floppy *f)
{
    static const uint8_t code[] = {
        [FLOPPY_144] = 4, [FLOPPY_288] = 5, [FLOPPY_120] = 2, [FLOPPY_NONE] = 0};
    return f && f->type < FLOPPY_AUTO ? code[f->type] : 0;
}

/* ---- The device ---- */

static void media_changed(void *arg, bool loaded)
{
    Floppy *f = arg;
    f->changed = true;
    memset(f->deleted, 0, sizeof(f->deleted));
}

static const DriveUser drive_user = {.media_changed = media_changed};

static bool floppy_realize(void *dev, GError **error)
{
    Floppy *f = dev;
    FloppyBus *cable = f->dev.bus ? f->dev.bus->impl : NULL;
    if (f->unit == UINT32_MAX) {
        f->unit = cable && cable->unit[0] ? 1 : 0;
    }
    if (f->unit >= FLOPPY_UNITS) {
        return error_fail(
            error, "Property floppy.unit is %u; a floppy controller has units 0 and 1", f->unit);
    }
    if (cable && cable->unit[f->unit]) {
        return error_fail(error, "Floppy unit %u is in use", f->unit);
    }
    if (!f->drive) {
        f->drive = f->own_drive = drive_new_empty();
    }
    if (!drive_attach(f->drive, &drive_user, f, device_label(&f->dev),
                      error)) {
        f->drive = NULL;
        return false;
    }
    if (f->type == FLOPPY_AUTO) {
        const FloppyFormat *format = floppy_format(f);
        f->type = format ? format->type : cable ? cable->fallback : FLOPPY_144;
    }
    if (cable) {
        cable->unit[f->unit] = f;
    }
    return true;
}

static void floppy_unrealize(void *dev)
{
    Floppy *f = dev;
    FloppyBus *cable = f->dev.bus ? f->dev.bus->impl : NULL;
    if (f->drive) {
        drive_drain(f->drive);
        drive_detach(f->drive, f);
        drive_free(g_steal_pointer(&f->own_drive));
        f->drive = NULL;
    }
    if (cable && f->unit < FLOPPY_UNITS && cable->unit[f->unit] == f) {
        cable->unit[f->unit] = NULL;
    }
}

static const Row rows[] = {
    DRIVE(Floppy, drive, "Back end of the medium"),
    PROP(Floppy, unit, "4294967295", "0 or 1; default: the next free one"),
    PROP_AS(Floppy, type, "drive-type", "auto", "What kind of drive", .type = TYPE_ENUM,
            .names = floppy_type_names),
    DERIVED(Floppy, own_drive),
    STATE(Floppy, track, .max = FLOPPY_TRACKS - 1, .doc = "Where the head stands"),
    STATE(Floppy, changed, .reset = true, .keep = true, .doc = "Disk change line"),
    STATES(Floppy, deleted, .keep = true, .doc = "Sectors with a deleted data mark"),
    END,
};

const DeviceClass floppy_class = {
    .name = "floppy",
    .doc = "Floppy disk drive",
    .bus = "floppy-bus",
    .category = "storage",
    .size = sizeof(Floppy),
    .rows = rows,
    .realize = floppy_realize,
    .unrealize = floppy_unrealize,
};

static char *floppy_path(const Device *dev)
{
    return g_strdup_printf("floppy@%x", ((const Floppy *)dev)->unit);
}

static const BusClass floppy_bus_class = {.type = "floppy-bus", .device_path = floppy_path};

Bus *floppy_bus_new(Device *controller, FloppyBus *cable)
{
    return bus_new(&floppy_bus_class, controller, NULL, cable);
}
