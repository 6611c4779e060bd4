/* ATAPI CD and DVD drives: commands of a SCSI logical unit (hw/scsi) over the ATA packet protocol
 * (ATA/ATAPI-6 §8.27, SFF-8020i). */
#include "hw/storage/atapi.h"

#include <errno.h>
#include <string.h>

#include "hw/storage/ide.h"

enum { PACKET = 0xa0, IDENTIFY_PACKET = 0xa1, PACKET_BYTES = 12 };
enum { REASON_CD = 1, REASON_IO = 2 }; /* interrupt reason, in the count register */

/* ---- Replies ---- */

static void packet_end(IdeCd *s, uint8_t key, uint16_t asc)
{
    s->unit.sense = key;
    s->unit.asc = asc;
    s->raw_left = 0;
    s->ata.count = REASON_IO | REASON_CD;
    if (key) {
        ata_fail(&s->ata, (uint8_t)(key << 4 | (key == SENSE_ILLEGAL ? ATA_ABRT : 0)));
        s->ata.count = REASON_IO | REASON_CD;
    } else {
        ata_finish(&s->ata);
    }
}

static void packet_ok(IdeCd *s)
{
    packet_end(s, SENSE_NONE, 0);
}

/* Bytes for each DRQ: the host's limit, even unless it takes everything at once (§9.8). */
static uint32_t block_size(const IdeCd *s, uint32_t len)
{
    uint32_t limit = s->limit;
    if (!limit || limit == 0xffff) {
        limit = 0xfffe;
    }
    return len <= limit ? limit : MAX(limit & ~1u, 2);
}

/* ---- Whole sectors, with their headers ---- */

enum { RAW_BATCH = ATA_BUFFER / CD_RAW };

static void raw_loaded(AtaDevice *a)
{
    IdeCd *s = (IdeCd *)a;
    uint32_t n = MIN(s->raw_left, RAW_BATCH);
    uint8_t data[CD_SECTOR];
    for (uint32_t i = n; i-- > 0;) { /* from the last, since each grows in place */
        memcpy(data, a->buffer + (size_t)i * CD_SECTOR, CD_SECTOR);
        mmc_frame_sector(a->buffer + (size_t)i * CD_RAW, data, s->raw_lba + i);
    }
    s->raw_lba += n;
    s->raw_left -= n;
    ata_send(a, n * CD_RAW, block_size(s, n * CD_RAW), s->use_dma);
}

static void raw_next(IdeCd *s)
{
    uint32_t n = MIN(s->raw_left, RAW_BATCH);
    ata_load(&s->ata, (uint64_t)s->raw_lba * CD_SECTOR, n * CD_SECTOR, raw_loaded);
}

/* ---- Commands ---- */

static uint32_t parameter_block(const IdeCd *s)
{
    return s->limit && s->limit != 0xffff ? MAX(s->limit & ~1u, 2) : 0;
}

/* What the unit wants to be moved, by the means of ATA. */
static void carry_out(IdeCd *s, const ScsiPlan *p)
{
    enum { MOST = INT32_MAX & ~(CD_SECTOR - 1) };
    AtaDevice *a = &s->ata;
    switch (p->action) {
    case SCSI_END: packet_end(s, p->key, p->asc); break;
    case SCSI_REPLY: ata_send(a, p->len, block_size(s, p->len), s->use_dma); break;
    case SCSI_PARAMETERS:
        s->awaiting = AWAIT_PARAMETERS;
        ata_receive(a, p->len, parameter_block(s), s->use_dma, true);
        break;
    case SCSI_READ:
        if (p->bytes > MOST) {
            packet_end(s, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        } else {
            uint32_t bytes = (uint32_t)p->bytes;
            ata_disk(a, p->at, bytes, block_size(s, bytes), false, s->use_dma);
        }
        break;
    case SCSI_READ_RAW:
        s->raw_lba = (uint32_t)(p->at / CD_SECTOR);
        s->raw_left = (uint32_t)(p->bytes / CD_SECTOR);
        raw_next(s);
        break;
    default: g_assert_not_reached(); /* a CD is not written to */
    }
}

/* Replies are composed where they are sent from. */
static void execute(IdeCd *s)
{
    ScsiPlan p = {.buffer = s->ata.buffer};
    scsi_execute(&s->unit, s->cdb, &p);
    carry_out(s, &p);
}

static void parameters_came(IdeCd *s)
{
    ScsiPlan p = {.buffer = s->ata.buffer, .len = s->ata.buf_len};
    scsi_parameters(&s->unit, s->cdb, &p);
    carry_out(s, &p);
}

/* ---- The ATA side ---- */

/* ATA/ATAPI-6 §8.16 */
static void identify(IdeCd *s)
{
    AtaDevice *a = &s->ata;
    uint8_t *id = ata_reply(a, ATA_SECTOR);
    ata_word(id, 0, 0x85c0); /* packet device, CD, removable, DRQ within 50 us, 12 byte packets */
    ata_identify_names(a, id);
    ata_word(id, 48, 1);
    ata_word(id, 49, 1 << 11 | 1 << 9 | 1 << 8);
    ata_word(id, 53, 0x0006);
    ata_word(id, 64, 0x0003);
    for (unsigned word = 65; word <= 68; word++) {
        ata_word(id, word, 180);
    }
    ata_word(id, 71, 30);
    ata_word(id, 72, 30);
    ata_word(id, 80, 0x001e);
    ata_word(id, 82, 1 << 14 | 1 << 9 | 1 << 4); /* NOP, DEVICE RESET, PACKET */
    ata_word(id, 83, 1 << 14);
    ata_word(id, 84, 1 << 14);
    ata_word(id, 85, 1 << 14 | 1 << 9 | 1 << 4);
    ata_word(id, 87, 1 << 14);
    ata_identify_modes(a, id);
    if (a->bus && a->bus->serial) {
        ata_word(id, 76, 1 << 1 | 1 << 2);
        ata_word(id, 80, 0x00f0); /* Serial ATA begins with ATA/ATAPI-7 */
        ata_word(id, 222, 0x101f);
    }
    ata_send(a, ATA_SECTOR, 0, false);
}

static void packet(IdeCd *s)
{
    enum { DMA = 1, OVERLAP = 2 };
    AtaDevice *a = &s->ata;
    if (a->feature & OVERLAP) {
        ata_abort(a);
        return;
    }
    s->use_dma = a->feature & DMA;
    s->limit = (uint16_t)(a->lba_high << 8 | a->lba_mid);
    s->awaiting = AWAIT_PACKET;
    s->raw_left = 0;
    ata_receive(a, PACKET_BYTES, 0, false, false);
    a->count = REASON_CD;
}

static void cd_transferred(AtaDevice *a)
{
    IdeCd *s = (IdeCd *)a;
    uint8_t awaited = s->awaiting;
    s->awaiting = AWAIT_NOTHING;
    if (a->command != PACKET) { /* IDENTIFY PACKET DEVICE was read */
        ata_stop(a);
        a->status = ATA_DRDY | ATA_DSC;
    } else if (awaited == AWAIT_PACKET) {
        memset(s->cdb, 0, sizeof s->cdb);
        memcpy(s->cdb, a->buffer, PACKET_BYTES);
        ata_stop(a);
        execute(s);
    } else if (awaited == AWAIT_PARAMETERS) {
        parameters_came(s);
    } else if (s->raw_left) {
        raw_next(s);
    } else {
        packet_ok(s);
    }
}

static void cd_failed(AtaDevice *a, int result)
{
    ScsiPlan p = {0};
    scsi_drive_failed(&p, false, result);
    packet_end((IdeCd *)a, p.key, p.asc);
}

static void cd_set_features(AtaDevice *a)
{
    if (a->feature == 0x03 && !ata_set_transfer_mode(a)) {
        ata_abort(a);
    } else if (a->feature == 0x03 || a->feature == 0x66 || a->feature == 0xcc) {
        ata_finish(a);
    } else {
        ata_abort(a);
    }
}

static void cd_command(AtaDevice *a, uint8_t code)
{
    switch (code) {
    case PACKET: packet((IdeCd *)a); break;
    case IDENTIFY_PACKET: identify((IdeCd *)a); break;
    case 0x20:
    case 0xec: /* §8.15.5.2: aborted, with the signature of a packet device */
        ata_signature(a);
        ata_abort(a);
        break;
    case 0xef: cd_set_features(a); break;
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe6:
    case 0xe7: ata_finish(a); break;
    case 0xe5:
        a->count = 0xff;
        ata_finish(a);
        break;
    default: ata_abort(a);
    }
}

/* A hard reset is announced by a unit attention; SRST and DEVICE RESET leave the drive's settings
 * alone. */
static void cd_reset(AtaDevice *a, bool hard)
{
    IdeCd *s = (IdeCd *)a;
    s->awaiting = AWAIT_NOTHING;
    s->raw_left = 0;
    if (hard) {
        scsi_unit_reset(&s->unit);
    }
}

/* ---- What people do ---- */

static void cd_media_changed(void *arg, bool loaded)
{
    IdeCd *s = arg;
    scsi_media_changed(&s->unit, loaded);
    device_settle(&s->ata.dev);
}

static bool cd_tray_open(void *arg)
{
    return ((IdeCd *)arg)->unit.tray_open;
}

static bool cd_locked(void *arg)
{
    return ((IdeCd *)arg)->unit.locked;
}

static void cd_eject_request(void *arg, bool force)
{
    scsi_eject_request(&((IdeCd *)arg)->unit, force);
}

static const DriveUser cd_user = {
    .media_changed = cd_media_changed,
    .tray_open = cd_tray_open,
    .locked = cd_locked,
    .eject_request = cd_eject_request,
};

// clang-format off
static const Row cd_rows[] = {
    STATES(IdeCd, cdb),
    PART(IdeCd, unit, scsi_unit_class),
    STATE(IdeCd, awaiting, .max = AWAIT_PARAMETERS),
    STATE(IdeCd, use_dma),
    STATE(IdeCd, limit),
    STATE(IdeCd, raw_lba),
    STATE(IdeCd, raw_left, .max = 0xffffff),
    END
};
// clang-format on

static bool cd_realize(void *dev, GError **error)
{
    IdeCd *s = dev;
    AtaDevice *a = &s->ata;
    static unsigned drives;
    if (!a->serial) {
        a->serial = g_strdup_printf("QM%05u", 3 + drives++);
    }
    if (!a->ver) {
        a->ver = g_strdup("2.5+");
    }
    if (!a->model) {
        a->model = g_strdup("QEMU DVD-ROM");
    }
    s->unit.drive = a->drive;
    s->unit.cd = s->unit.atapi = s->unit.removable = true;
    s->unit.vendor = "QEMU";
    s->unit.product = a->model;
    s->unit.version = a->ver;
    s->unit.block = s->unit.physical_block = CD_SECTOR;
    return true;
}

const DeviceClass ide_cd_class = {
    .name = "ide-cd",
    .doc = "virtual IDE CD-ROM",
    .base = &ata_device_class,
    .bus = "IDE",
    .category = "storage",
    .size = sizeof(IdeCd),
    .rows = cd_rows,
    .info =
        &(const AtaInfo){
            .packet = true,
            .user = &cd_user,
            .command = cd_command,
            .transferred = cd_transferred,
            .failed = cd_failed,
            .reset = cd_reset,
        },
    .realize = cd_realize,
};
