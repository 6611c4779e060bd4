/* ATA disks: the commands of a general feature set device (ATA/ATAPI-6 §8). */
#include <errno.h>
#include <string.h>

#include "hw/storage/ide.h"
#include "core/clock.h"

enum { DSM = 0x06 };
enum { MAX_MULTIPLE = 16, LBA28_SECTORS = 0x0fffffff, TRIM_BLOCKS = 64 };

typedef struct IdeHd {
    AtaDevice ata;
    /* properties */
    uint32_t cyls, heads, secs;
    uint32_t logical_block_size, physical_block_size, discard_granularity, rotation_rate;
    int translation, write_cache;
    /* geometry and size, from realize on */
    IdeGeometry geometry;
    uint64_t sectors;
    /* state */
    uint16_t now_heads, now_secs; /* as INITIALIZE DEVICE PARAMETERS set them */
    uint8_t multiple; /* sectors for each DRQ of the MULTIPLE commands; 0: disabled        */
    bool cache_on, smart_on, standby;
    bool wide;        /* the command uses 48-bit addresses                                 */
    bool through;     /* data must be on the medium before the command ends                */
    uint16_t trim_at; /* next entry of a TRIM's list                                       */
} IdeHd;

/* ---- Addresses ---- */

enum { DEVICE_LBA = 0x40 };

static bool is_lba(const IdeHd *s)
{
    return s->ata.device & DEVICE_LBA;
}

static bool is_serial(const IdeHd *s)
{
    return s->ata.bus && s->ata.bus->serial;
}

static uint32_t wanted_sectors(const IdeHd *s)
{
    const AtaDevice *a = &s->ata;
    if (s->wide) {
        uint32_t n = (uint32_t)(a->hob_count << 8 | a->count);
        return n ? n : 65536;
    }
    return a->count ? a->count : 256;
}

/* UINT64_MAX: there is no such sector. */
static uint64_t wanted_lba(const IdeHd *s)
{
    const AtaDevice *a = &s->ata;
    uint32_t low = (uint32_t)(a->lba_high << 16 | a->lba_mid << 8 | a->lba_low);
    if (s->wide) {
        return low | (uint64_t)a->hob_low << 24 | (uint64_t)a->hob_mid << 32 |
               (uint64_t)a->hob_high << 40;
    }
    if (is_lba(s)) {
        return low | (uint32_t)(a->device & 0x0f) << 24;
    }
    unsigned head = a->device & 0x0f, sector = a->lba_low,
             cyl = (unsigned)(a->lba_high << 8 | a->lba_mid);
    if (!sector || sector > s->now_secs || head >= s->now_heads) {
        return UINT64_MAX;
    }
    return ((uint64_t)cyl * s->now_heads + head) * s->now_secs + sector - 1;
}

static void set_lba(IdeHd *s, uint64_t lba)
{
    AtaDevice *a = &s->ata;
    if (!s->wide && !is_lba(s)) {
        uint64_t track = lba / s->now_secs;
        a->lba_low = (uint8_t)(lba % s->now_secs + 1);
        a->device = (uint8_t)((a->device & 0xf0) | track % s->now_heads);
        a->lba_mid = (uint8_t)(track / s->now_heads);
        a->lba_high = (uint8_t)(track / s->now_heads >> 8);
        return;
    }
    a->lba_low = (uint8_t)lba;
    a->lba_mid = (uint8_t)(lba >> 8);
    a->lba_high = (uint8_t)(lba >> 16);
    if (s->wide) {
        a->hob_low = (uint8_t)(lba >> 24);
        a->hob_mid = (uint8_t)(lba >> 32);
        a->hob_high = (uint8_t)(lba >> 40);
    } else {
        a->device = (uint8_t)((a->device & 0xf0) | (lba >> 24 & 0x0f));
    }
}

/* The wanted range when it lies on the disk; else the command ends with IDNF at the first sector
 * that does not. */
static bool check_range(IdeHd *s, uint64_t *lba)
{
    *lba = wanted_lba(s);
    uint32_t n = wanted_sectors(s);
    if (*lba < s->sectors && n <= s->sectors - *lba) {
        return true;
    }
    ata_fail(&s->ata, ATA_IDNF);
    return false;
}

/* ---- Reading and writing ---- */

enum RwFlags { RW_WRITE = 1, RW_DMA = 2, RW_MULTIPLE = 4, RW_FUA = 8 };

static void read_write(IdeHd *s, unsigned flags)
{
    uint64_t lba;
    if ((flags & RW_MULTIPLE) && !s->multiple) {
        ata_abort(&s->ata);
        return;
    }
    s->through = (flags & RW_FUA) || !s->cache_on;
    s->standby = false; /* the disk spins up */
    if (check_range(s, &lba)) {
        uint32_t block = (flags & RW_MULTIPLE ? s->multiple : 1u) * ATA_SECTOR;
        ata_disk(&s->ata, lba * ATA_SECTOR, wanted_sectors(s) * ATA_SECTOR, block, flags & RW_WRITE,
                 flags & RW_DMA);
    }
}

static bool hd_queued(AtaDevice *a, uint64_t lba, uint32_t sectors, bool *through)
{
    IdeHd *s = (IdeHd *)a;
    *through |= !s->cache_on;
    s->standby = false;
    return lba < s->sectors && sectors <= s->sectors - lba;
}

static void verify(IdeHd *s)
{
    uint64_t lba;
    if (check_range(s, &lba)) {
        set_lba(s, lba + wanted_sectors(s) - 1);
        ata_finish(&s->ata);
    }
}

static void trim_next(AtaDevice *a);

static void hd_transferred(AtaDevice *a)
{
    IdeHd *s = (IdeHd *)a;
    if (a->command == DSM) {
        s->trim_at = 0;
        trim_next(a);
        return;
    }
    if (a->disk) {
        a->count = 0;
        set_lba(s, a->at / ATA_SECTOR - 1);
    }
    if (!a->writing && !a->dma) {
        /* §9.7: reading ends with the last byte; nobody waits for another interrupt. */
        ata_stop(a);
        a->status = ATA_DRDY | ATA_DSC;
    } else if (a->disk && a->writing && s->through) {
        ata_flush(a, ata_finish);
    } else {
        ata_finish(a);
    }
}

static void hd_failed(AtaDevice *a, int result)
{
    IdeHd *s = (IdeHd *)a;
    if (a->command == DSM && result == -ENOTSUP) { /* TRIM is advice */
        trim_next(a);
        return;
    }
    if (a->disk) {
        set_lba(s, a->at / ATA_SECTOR);
    }
    ata_fail(a, a->writing || result == -ENOMEDIUM || !a->disk ? ATA_ABRT : ATA_UNC);
}

/* ---- DATA SET MANAGEMENT (ACS-2 §7.10): a list of ranges to forget ---- */

static void trim_next(AtaDevice *a)
{
    IdeHd *s = (IdeHd *)a;
    while (s->trim_at < TRIM_BLOCKS * ATA_SECTOR / 8) {
        uint64_t entry;
        memcpy(&entry, a->buffer + 8 * s->trim_at++, sizeof entry);
        uint64_t lba = entry & 0xffffffffffff, n = entry >> 48;
        if (lba >= s->sectors || n > s->sectors - lba) {
            ata_abort(a);
            return;
        }
        if (n) {
            ata_discard(a, lba * ATA_SECTOR, n * ATA_SECTOR, trim_next);
            return;
        }
    }
    ata_finish(a);
}

static void trim(IdeHd *s)
{
    AtaDevice *a = &s->ata;
    uint32_t blocks =
        a->count; /* so few that the high byte may be left over from another command */
    if (a->feature != 1 || !blocks || blocks > TRIM_BLOCKS || !s->discard_granularity) {
        ata_abort(a);
        return;
    }
    memset(a->buffer, 0, sizeof a->buffer);
    ata_receive(a, blocks * ATA_SECTOR, 0, true, false);
}

/* ---- IDENTIFY DEVICE (§8.15) ---- */

/* Little-endian, aligned or not. */
static void put(uint8_t *at, unsigned size, uint64_t value)
{
    memcpy(at, &value, size);
}

static void identify_geometry(const IdeHd *s, uint8_t *id)
{
    const IdeGeometry *g = &s->geometry;
    ata_word(id, 1, g->cyls);
    ata_word(id, 3, g->heads);
    ata_word(id, 4, ATA_SECTOR * g->secs);
    ata_word(id, 5, ATA_SECTOR);
    ata_word(id, 6, g->secs);
    uint64_t track = (uint64_t)s->now_heads * s->now_secs;
    uint64_t cyls = MIN(s->sectors / track, 65535);
    ata_word(id, 54, (unsigned)cyls);
    ata_word(id, 55, s->now_heads);
    ata_word(id, 56, s->now_secs);
    put(id + 2 * 57, 4, cyls * track);
    put(id + 2 * 60, 4, MIN(s->sectors, LBA28_SECTORS));
    put(id + 2 * 100, 8, s->sectors);
    if (s->physical_block_size > ATA_SECTOR) {
        ata_word(id, 106, 0x6000u | (unsigned)__builtin_ctz(s->physical_block_size / ATA_SECTOR));
    }
}

static void identify_features(const IdeHd *s, uint8_t *id)
{
    const AtaDevice *a = &s->ata;
    unsigned wwn = a->wwn ? 1u << 8 : 0;
    ata_word(id, 82,
          1 << 14 | 1 << 13 | 1 << 12 | 1 << 5 | 1 << 3 |
              1);                                         /* NOP, buffers, cache, power, SMART */
    ata_word(id, 83, 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10); /* FLUSH CACHE (EXT), 48-bit */
    ata_word(id, 84, 1u << 14 | wwn | 1 << 6);               /* FUA */
    ata_word(id, 85,
          1u << 14 | 1 << 13 | 1 << 12 | (s->cache_on ? 1u << 5 : 0) | 1 << 3 |
              (s->smart_on ? 1u : 0));
    ata_word(id, 86, 1 << 13 | 1 << 12 | 1 << 10);
    ata_word(id, 87, 1u << 14 | wwn | 1 << 6);
    for (unsigned i = 0; wwn && i < 4; i++) {
        ata_word(id, 108 + i, a->wwn >> (48 - 16 * i) & 0xffff);
    }
    if (s->discard_granularity) {
        ata_word(id, 105, TRIM_BLOCKS);
        ata_word(id, 169, 1);
    }
    ata_word(id, 217, s->rotation_rate);
}

/* Serial ATA 3.1 §13.2.1: both speeds, NCQ with 32 commands, logs; there is no cable to speak of.
 */
static void identify_serial(uint8_t *id)
{
    enum { SPEEDS = 1 << 1 | 1 << 2, NCQ = 1 << 8, LOGS = 1 << 5, SERIAL_TRANSPORT = 0x101f };
    ata_word(id, 75, 31);
    ata_word(id, 76, NCQ | SPEEDS);
    id[2 * 84] |= LOGS;
    id[2 * 87] |= LOGS;
    ata_word(id, 93, 0);
    ata_word(id, 222, SERIAL_TRANSPORT);
}

static void sum_up(uint8_t *page)
{
    uint8_t sum = 0;
    for (unsigned i = 0; i < 511; i++) {
        sum = (uint8_t)(sum + page[i]);
    }
    page[511] = (uint8_t)-sum;
}

static void identify(IdeHd *s)
{
    AtaDevice *a = &s->ata;
    uint8_t *id = ata_reply(a, ATA_SECTOR);
    ata_word(id, 0, 0x0040);
    identify_geometry(s, id);
    ata_identify_names(a, id);
    ata_word(id, 47, 0x8000 | MAX_MULTIPLE);
    ata_word(id, 48, 1);
    ata_word(id, 49, 1 << 11 | 1 << 9 | 1 << 8); /* IORDY, LBA, DMA */
    ata_word(id, 50, 0x4000);
    ata_word(id, 51, 0x0200);
    ata_word(id, 52, 0x0200);
    ata_word(id, 53, 0x0007);
    ata_word(id, 59, s->multiple ? 0x0100u | s->multiple : 0);
    ata_word(id, 64, 0x0003);
    for (unsigned word = 65; word <= 68; word++) {
        ata_word(id, word, 120);
    }
    ata_word(id, 80, 0x00f0); /* ATA-4 to ATA/ATAPI-7 */
    ata_word(id, 81, 0x0016);
    identify_features(s, id);
    ata_identify_modes(a, id);
    ata_word(id, 93, 0x6001); /* 80-wire cable, device 0's reset result */
    if (is_serial(s)) {
        identify_serial(id);
    }
    id[510] = 0xa5; /* §8.15.61: the sum of all bytes is 0 */
    sum_up(id);
    ata_send(a, ATA_SECTOR, 0, false);
}

/* ---- READ LOG EXT (ACS-2 §7.24): the directory, and why the queue failed ---- */

static void queue_error_page(const IdeHd *s, uint8_t *page)
{
    const AtaQueueError *e = &s->ata.queue_error;
    page[0] = e->tag;
    page[2] = e->status;
    page[3] = e->error;
    put(page + 4, 3, e->lba);
    page[7] = DEVICE_LBA;
    put(page + 8, 3, e->lba >> 24);
    put(page + 12, 2, e->count);
    sum_up(page);
}

static void read_log(IdeHd *s, bool dma)
{
    enum { DIRECTORY = 0x00, QUEUE_ERROR = 0x10 };
    AtaDevice *a = &s->ata;
    unsigned log = a->lba_low, first = (unsigned)(a->hob_mid << 8 | a->lba_mid),
             n = wanted_sectors(s);
    if (!is_serial(s) || first || n != 1 || (log != DIRECTORY && log != QUEUE_ERROR)) {
        ata_abort(a);
        return;
    }
    uint8_t *page = ata_reply(a, ATA_SECTOR);
    if (log == DIRECTORY) {
        ata_word(page, 0, 1);
        ata_word(page, QUEUE_ERROR, 1);
    } else {
        queue_error_page(s, page);
        a->queue_error = (AtaQueueError){.tag = 0x80};
    }
    ata_send(a, ATA_SECTOR, 0, dma);
}

/* ---- SMART (§8.41) ---- */

typedef struct SmartAttribute {
    uint8_t id, threshold;
    uint16_t flags;
} SmartAttribute;
static const SmartAttribute smart_attributes[] = {
    {1, 6, 0x0003},   /* raw read error rate */
    {5, 36, 0x0003},  /* reallocated sectors */
    {9, 0, 0x0003},   /* power-on hours */
    {12, 20, 0x0003}, /* power cycles */
    {194, 0, 0x0002}, /* temperature */
};

static void smart_page(IdeHd *s, bool thresholds)
{
    enum { HOURS = 9, CYCLES = 12, TEMPERATURE = 194 };
    uint8_t *page = ata_reply(&s->ata, ATA_SECTOR);
    ata_word(page, 0, 0x0010);
    for (unsigned i = 0; i < G_N_ELEMENTS(smart_attributes); i++) {
        const SmartAttribute *attribute = &smart_attributes[i];
        uint8_t *entry = page + 2 + 12 * i;
        entry[0] = attribute->id;
        if (thresholds) {
            entry[1] = attribute->threshold;
            continue;
        }
        put(entry + 1, 2, attribute->flags);
        entry[3] = entry[4] = attribute->id == TEMPERATURE ? 31 : 100;
        uint64_t hours = (uint64_t)now(&s->ata.dev) / NS_PER_SECOND / 3600;
        uint64_t raw = attribute->id == HOURS         ? hours
                       : attribute->id == CYCLES      ? 1
                       : attribute->id == TEMPERATURE ? 31
                                                      : 0;
        put(entry + 5, 4, raw);
    }
    if (!thresholds) {
        page[368] = 0x03; /* saves attributes */
        page[370] = 0x00; /* no error log, no self-test */
    }
    sum_up(page);
    ata_send(&s->ata, ATA_SECTOR, 0, false);
}

static void smart(IdeHd *s)
{
    enum {
        READ_DATA = 0xd0,
        READ_THRESHOLDS = 0xd1,
        AUTOSAVE = 0xd2,
        ENABLE = 0xd8,
        DISABLE = 0xd9,
        STATUS = 0xda
    };
    AtaDevice *a = &s->ata;
    if (a->lba_mid != 0x4f || a->lba_high != 0xc2 || (!s->smart_on && a->feature != ENABLE)) {
        ata_abort(a);
        return;
    }
    switch (a->feature) {
    case READ_DATA: smart_page(s, false); return;
    case READ_THRESHOLDS: smart_page(s, true); return;
    case ENABLE: s->smart_on = true; break;
    case DISABLE: s->smart_on = false; break;
    case AUTOSAVE:
    case STATUS: break; /* 4Fh, C2h stay: no threshold was exceeded */
    default: ata_abort(a); return;
    }
    ata_finish(a);
}

/* ---- Settings ---- */

static void set_features(IdeHd *s)
{
    AtaDevice *a = &s->ata;
    switch (a->feature) {
    case 0x02: s->cache_on = true; break;
    case 0x03:
        if (!ata_set_transfer_mode(a)) {
            ata_abort(a);
            return;
        }
        break;
    case 0x82:
        s->cache_on = false;
        ata_flush(a, ata_finish);
        return;
    case 0x05:
    case 0x85: /* advanced power management */
    case 0x42:
    case 0xc2: /* acoustic management */
    case 0x55:
    case 0xaa: /* read look-ahead */
    case 0x66:
    case 0xcc: /* power-on defaults at reset */ break;
    default: ata_abort(a); return;
    }
    ata_finish(a);
}

static void set_multiple(IdeHd *s)
{
    unsigned n = s->ata.count;
    if (n > MAX_MULTIPLE || (n & (n - 1))) {
        ata_abort(&s->ata);
        return;
    }
    s->multiple = (uint8_t)n;
    ata_finish(&s->ata);
}

/* §8.16 (ATA-5): sectors per track and heads of the translation. */
static void set_geometry(IdeHd *s)
{
    if (!s->ata.count) {
        ata_abort(&s->ata);
        return;
    }
    s->now_secs = s->ata.count;
    s->now_heads = (uint16_t)((s->ata.device & 0x0f) + 1);
    ata_finish(&s->ata);
}

static void native_max(IdeHd *s)
{
    if (!s->wide) {
        s->ata.device |= DEVICE_LBA;
    }
    set_lba(s, s->wide ? s->sectors - 1 : MIN(s->sectors, LBA28_SECTORS) - 1);
    ata_finish(&s->ata);
}

/* ---- Commands ---- */

static void hd_other(IdeHd *s, uint8_t code)
{
    AtaDevice *a = &s->ata;
    switch (code) {
    case 0x91: set_geometry(s); return;
    case 0xb0: smart(s); return;
    case 0xc6: set_multiple(s); return;
    case 0xe4: /* READ BUFFER */
        memset(a->buffer, 0, ATA_SECTOR);
        ata_send(a, ATA_SECTOR, 0, false);
        return;
    case 0xe8: ata_receive(a, ATA_SECTOR, 0, false, false); return; /* WRITE BUFFER */
    case 0xe7:
    case 0xea: ata_flush(a, ata_finish); return;
    case 0xec: identify(s); return;
    case 0xef: set_features(s); return;
    case 0x94:
    case 0xe0:
    case 0x96:
    case 0xe2:
    case 0x99:
    case 0xe6: /* STANDBY (IMMEDIATE), SLEEP */
        s->standby = true;
        ata_flush(a, ata_finish);
        return;
    case 0x95:
    case 0xe1:
    case 0x97:
    case 0xe3: /* IDLE (IMMEDIATE) */
        s->standby = false;
        ata_finish(a);
        return;
    case 0x98:
    case 0xe5: /* CHECK POWER MODE */
        a->count = s->standby ? 0x00 : 0xff;
        ata_finish(a);
        return;
    default:
        if ((code & 0xf0) == 0x10 || (code & 0xf0) == 0x70) { /* RECALIBRATE, SEEK */
            ata_finish(a);
        } else {
            ata_abort(a);
        }
    }
}

static void hd_command(AtaDevice *a, uint8_t code)
{
    IdeHd *s = (IdeHd *)a;
    s->wide = code == 0x24 || code == 0x25 || code == 0x27 || code == 0x29 || code == 0x34 ||
              code == 0x2f || code == 0x35 || code == 0x47 || code == 0x39 || code == 0x3d ||
              code == 0x42 || code == 0xce;
    switch (code) {
    case DSM: trim(s); break;
    case 0x20:
    case 0x21:
    case 0x24: read_write(s, 0); break;
    case 0x25:
    case 0xc8:
    case 0xc9: read_write(s, RW_DMA); break;
    case 0x29:
    case 0xc4: read_write(s, RW_MULTIPLE); break;
    case 0x2f:
    case 0x47: read_log(s, code == 0x47); break;
    case 0x30:
    case 0x31:
    case 0x34: read_write(s, RW_WRITE); break;
    case 0x35:
    case 0xca:
    case 0xcb: read_write(s, RW_WRITE | RW_DMA); break;
    case 0x39:
    case 0xc5: read_write(s, RW_WRITE | RW_MULTIPLE); break;
    case 0x3d: read_write(s, RW_WRITE | RW_DMA | RW_FUA); break;
    case 0xce: read_write(s, RW_WRITE | RW_MULTIPLE | RW_FUA); break;
    case 0x40:
    case 0x41:
    case 0x42: verify(s); break;
    case 0x27:
    case 0xf8: native_max(s); break;
    default: hd_other(s, code);
    }
}

static void hd_reset(AtaDevice *a, bool hard)
{
    IdeHd *s = (IdeHd *)a;
    s->standby = false;
    if (hard) {
        s->now_heads = (uint16_t)s->geometry.heads;
        s->now_secs = (uint16_t)s->geometry.secs;
        s->multiple = MAX_MULTIPLE;
        s->cache_on = s->write_cache != 2;
    }
}

/* ---- The class ---- */

static const char *const translations[] = {"auto", "none", "lba", "large", "rechs", NULL};
static const char *const on_off_auto[] = {"auto", "on", "off", NULL};
// clang-format off
static const Row hd_rows[] = {
    PROP(IdeHd, cyls, "0", "Cylinders of the default geometry; 0: guessed"),
    PROP(IdeHd, heads, "0", "Heads, up to 16"),
    PROP(IdeHd, secs, "0", "Sectors per track, up to 255"),
    PROP_AS(IdeHd, translation, "bios-chs-trans", "auto", "How the BIOS translates the geometry", .type = TYPE_ENUM,
            .names = translations),
    PROP(IdeHd, logical_block_size, "512", "512", .type = TYPE_SIZE),
    PROP(IdeHd, physical_block_size, "512", "Reported sector size of the medium: 512 to 2M", .type = TYPE_SIZE),
    PROP(IdeHd, discard_granularity, "512", "0: the disk has no TRIM"),
    PROP(IdeHd, rotation_rate, "0", "Revolutions per minute, 1: solid state, 0: not reported"),
    PROP_AS(IdeHd, write_cache, "write-cache", "auto", "Whether writes may end in the host's cache", .type = TYPE_ENUM,
            .names = on_off_auto),
    STATE(IdeHd, now_heads, .max = 256),
    STATE(IdeHd, now_secs, .max = 256),
    STATE(IdeHd, multiple, .max = MAX_MULTIPLE),
    STATE(IdeHd, cache_on),
    STATE(IdeHd, smart_on),
    STATE(IdeHd, standby),
    STATE(IdeHd, wide),
    STATE(IdeHd, through),
    STATE(IdeHd, trim_at, .max = TRIM_BLOCKS * ATA_SECTOR / 8),
    END
};
// clang-format on

static bool choose_geometry(IdeHd *s, GError **error)
{
    uint8_t mbr[ATA_SECTOR];
    bool read = drive_read_sync(s->ata.drive, 0, mbr, sizeof mbr) == 0;
    s->geometry = ide_guess_geometry(s->sectors, read ? mbr : NULL);
    if (s->cyls || s->heads || s->secs) {
        if (!s->cyls || s->cyls > 65535 || !s->heads || s->heads > 16 || !s->secs ||
            s->secs > 255) {
            return error_fail(
                error,
                "ide-hd: the geometry needs cyls from 1 to 65535, heads from 1 to 16 and secs "
                "from 1 to 255");
        }
        bool plain = s->cyls <= 1024 && s->secs <= 63;
        s->geometry =
            (IdeGeometry){s->cyls, s->heads, s->secs, plain ? IDE_TRANS_NONE : IDE_TRANS_LBA};
    }
    if (s->translation != IDE_TRANS_AUTO) {
        s->geometry.translation = (IdeTranslation)s->translation;
    }
    return true;
}

static bool check_sizes(IdeHd *s, GError **error)
{
    uint32_t p = s->physical_block_size;
    if (s->logical_block_size != ATA_SECTOR) {
        return error_fail(error, "ide-hd: logical_block_size must be 512");
    }
    if (p < ATA_SECTOR || p > 2u << 20 || (p & (p - 1))) {
        return error_fail(error, "ide-hd: physical_block_size must be a power of 2 from 512 to 2M");
    }
    return true;
}

static void default_text(char **text, const char *value)
{
    if (!*text) {
        *text = g_strdup(value);
    }
}

static void default_texts(AtaDevice *a)
{
    static unsigned disks;
    g_autofree char *serial = g_strdup_printf("QM%05u", ++disks);
    default_text(&a->serial, serial);
    default_text(&a->ver, "2.5+");
    default_text(&a->model, "QEMU HARDDISK");
}

/* Without a drive the disk exists on a test's bench only: no bus. */
static bool hd_realize(void *dev, GError **error)
{
    IdeHd *s = dev;
    default_texts(&s->ata);
    s->sectors = 1;
    s->geometry = (IdeGeometry){1, 1, 1, IDE_TRANS_NONE};
    if (!check_sizes(s, error)) {
        return false;
    }
    if (!s->ata.drive) {
        return s->ata.bus ? error_fail(error, "No drive specified") : true;
    }
    int64_t length = drive_length(s->ata.drive);
    if (!drive_has_medium(s->ata.drive)) {
        return error_fail(error, "Device needs media, but drive is empty");
    }
    if (length < ATA_SECTOR) {
        return error_fail(error, "ide-hd: drive '%s' is smaller than one sector",
                          drive_id(s->ata.drive));
    }
    if (drive_readonly(s->ata.drive)) {
        return error_fail(error, "Can't use a read-only drive '%s' as a hard disk",
                          drive_id(s->ata.drive));
    }
    s->sectors = (uint64_t)length / ATA_SECTOR;
    return choose_geometry(s, error);
}

static void hd_update(void *dev)
{
    IdeHd *s = dev;
    s->now_heads = MAX(s->now_heads, 1);
    s->now_secs = MAX(s->now_secs, 1);
}

bool ide_geometry(const Device *dev, IdeGeometry *g)
{
    if (dev->class != &ide_hd_class) {
        return false;
    }
    *g = ((const IdeHd *)dev)->geometry;
    return true;
}

static void hd_resized(void *arg)
{
    IdeHd *s = arg;
    int64_t length = drive_length(s->ata.drive);
    s->sectors = length >= ATA_SECTOR ? (uint64_t)length / ATA_SECTOR : 1;
}

static const DriveUser hd_user = {.resized = hd_resized};

const DeviceClass ide_hd_class = {
    .name = "ide-hd",
    .doc = "virtual IDE disk",
    .base = &ata_device_class,
    .bus = "IDE",
    .category = "storage",
    .size = sizeof(IdeHd),
    .rows = hd_rows,
    .info =
        &(const AtaInfo){
            .user = &hd_user,
            .command = hd_command,
            .transferred = hd_transferred,
            .failed = hd_failed,
            .reset = hd_reset,
            .queued = hd_queued,
        },
    .realize = hd_realize,
    .update = hd_update,
};
