/* ATAPI CD and DVD drives: packet commands of MMC-6 over the ATA packet protocol (ATA/ATAPI-6
 * §8.27, SFF-8020i). */
#include <errno.h>
#include <string.h>

#include "hw/storage/atapi.h"
#include "hw/storage/ide.h"

enum { PACKET = 0xa0, IDENTIFY_PACKET = 0xa1 };
enum { REASON_CD = 1, REASON_IO = 2 }; /* interrupt reason, in the count register */

/* ---- Replies ---- */

static void packet_end(IdeCd *s, uint8_t key, uint16_t asc)
{
    s->sense = key;
    s->asc = asc;
    s->raw_left = 0;
    s->ata.count = REASON_IO | REASON_CD;
    if (key) {
        ata_fail(&s->ata, (uint8_t)(key << 4 | (key == SENSE_ILLEGAL ? ATA_ABRT : 0)));
        s->ata.count = REASON_IO | REASON_CD;
    } else {
        ata_finish(&s->ata);
    }
}

void atapi_ok(IdeCd *s)
{
    packet_end(s, SENSE_NONE, 0);
}

void atapi_fail(IdeCd *s, uint8_t key, uint16_t asc)
{
    packet_end(s, key, asc);
}

void atapi_invalid_field(IdeCd *s)
{
    packet_end(s, SENSE_ILLEGAL, ASC_INVALID_FIELD);
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

void atapi_reply(IdeCd *s, uint32_t len, uint32_t allocated)
{
    uint32_t n = MIN(len, allocated);
    if (n) {
        ata_send(&s->ata, n, block_size(s, n), s->use_dma);
    } else {
        atapi_ok(s);
    }
}

/* ---- The medium ---- */

uint32_t atapi_blocks(const IdeCd *s)
{
    Drive *d = s->ata.drive;
    int64_t length = d && drive_has_medium(d) ? drive_length(d) : 0;
    int64_t blocks = MAX(length, 0) / CD_SECTOR;
    return (uint32_t)MIN(blocks, UINT32_MAX);
}

bool atapi_has_medium(const IdeCd *s)
{
    return s->ata.drive && drive_has_medium(s->ata.drive) && !s->tray_open;
}

bool atapi_is_dvd(const IdeCd *s)
{
    enum { CD_BLOCKS = 80 * 60 * 75 }; /* more than 80 minutes is no CD */
    return atapi_blocks(s) > CD_BLOCKS;
}

void atapi_set_tray(IdeCd *s, bool open)
{
    if (s->tray_open != open) {
        s->tray_open = open;
        if (s->ata.drive) {
            drive_guest_tray(s->ata.drive, open);
        }
    }
}

/* ---- Reading ---- */

static bool check_range(IdeCd *s, uint32_t lba, uint32_t n)
{
    uint32_t blocks = atapi_blocks(s);
    if (lba <= blocks && n <= blocks - lba) {
        return true;
    }
    atapi_fail(s, SENSE_ILLEGAL, ASC_OUT_OF_RANGE);
    return false;
}

static void read_blocks(IdeCd *s, uint32_t lba, uint32_t n)
{
    enum { MOST = (1u << 31) / CD_SECTOR - 1 };
    if (!check_range(s, lba, n)) {
        return;
    }
    if (!n) {
        atapi_ok(s);
    } else if (n > MOST) {
        atapi_invalid_field(s);
    } else {
        uint32_t bytes = n * CD_SECTOR;
        ata_disk(&s->ata, (uint64_t)lba * CD_SECTOR, bytes, block_size(s, bytes), false,
                 s->use_dma);
    }
}

static void op_read10(IdeCd *s)
{
    read_blocks(s, load_be32(s->cdb + 2), load_be16(s->cdb + 7));
}

static void op_read12(IdeCd *s)
{
    read_blocks(s, load_be32(s->cdb + 2), load_be32(s->cdb + 6));
}

static uint8_t bcd(unsigned n)
{
    return (uint8_t)(n / 10 << 4 | n % 10);
}

/* Sync, header and user data of a mode 1 sector (ECMA-130 §14); its error correction is left empty,
 * since nothing reads data that way that has it already. */
static void frame_sector(uint8_t *raw, const uint8_t *data, uint32_t lba)
{
    uint32_t frame = lba + 150;
    memset(raw, 0, CD_RAW);
    memset(raw + 1, 0xff, 10);
    raw[12] = bcd(frame / 75 / 60 % 100);
    raw[13] = bcd(frame / 75 % 60);
    raw[14] = bcd(frame % 75);
    raw[15] = 1;
    memcpy(raw + 16, data, CD_SECTOR);
}

enum { RAW_BATCH = ATA_BUFFER / CD_RAW };

static void raw_loaded(AtaDevice *a)
{
    IdeCd *s = (IdeCd *)a;
    uint32_t n = MIN(s->raw_left, RAW_BATCH);
    uint8_t data[CD_SECTOR];
    for (uint32_t i = n; i-- > 0;) { /* from the last, since each grows in place */
        memcpy(data, a->buffer + (size_t)i * CD_SECTOR, CD_SECTOR);
        frame_sector(a->buffer + (size_t)i * CD_RAW, data, s->raw_lba + i);
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

static void op_read_cd(IdeCd *s)
{
    enum { NOTHING = 0x00, USER_DATA = 0x10, EVERYTHING = 0xf8 };
    uint32_t lba = load_be32(s->cdb + 2);
    uint32_t n = (uint32_t)s->cdb[6] << 16 | load_be16(s->cdb + 7);
    switch (s->cdb[9] & 0xf8) {
    case NOTHING: atapi_ok(s); break;
    case USER_DATA: read_blocks(s, lba, n); break;
    case EVERYTHING:
        if (check_range(s, lba, n) && n) {
            s->raw_lba = lba;
            s->raw_left = n;
            raw_next(s);
        } else if (!n) {
            atapi_ok(s);
        }
        break;
    default: atapi_invalid_field(s);
    }
}

static void op_seek(IdeCd *s)
{
    if (check_range(s, load_be32(s->cdb + 2), 1)) {
        atapi_ok(s);
    }
}

/* ---- State of the drive ---- */

static void op_ok(IdeCd *s)
{
    atapi_ok(s);
}

static void op_request_sense(IdeCd *s)
{
    uint8_t *r = ata_reply(&s->ata, 18);
    bool attention = s->attention && !s->sense;
    r[0] = 0x70;
    r[2] = attention ? SENSE_ATTENTION : s->sense;
    r[7] = 10;
    store_be16(r + 12, attention ? s->attention : s->asc);
    if (attention) {
        s->attention = 0;
    }
    s->sense = 0;
    s->asc = 0;
    atapi_reply(s, 18, s->cdb[4]);
}

static void op_start_stop(IdeCd *s)
{
    bool load_eject = s->cdb[4] & 2, start = s->cdb[4] & 1;
    if (load_eject && !start && s->locked && !s->tray_open) {
        atapi_fail(s, SENSE_ILLEGAL, ASC_REMOVAL_PREVENTED);
        return;
    }
    if (load_eject) {
        atapi_set_tray(s, !start);
        if (start && atapi_has_medium(s)) {
            s->attention = ASC_MEDIUM_CHANGED;
            s->event = EVENT_NEW_MEDIUM;
        }
    }
    atapi_ok(s);
}

static void op_prevent_allow(IdeCd *s)
{
    s->locked = s->cdb[4] & 1;
    if (s->ata.drive) {
        drive_guest_lock(s->ata.drive, s->locked);
    }
    atapi_ok(s);
}

static const struct Op {
    uint8_t code;
    bool needs_medium;
    bool despite_attention; /* runs although a unit attention is due (MMC-6 §4.1.6.1) */
    void (*run)(IdeCd *s);
} ops[] = {
    {0x00, true, false, op_ok}, /* TEST UNIT READY */
    {0x03, false, true, op_request_sense},
    {0x12, false, true, atapi_inquiry},
    {0x1b, false, false, op_start_stop},
    {0x1e, false, false, op_prevent_allow},
    {0x25, true, false, atapi_read_capacity},
    {0x28, true, false, op_read10},
    {0x2b, true, false, op_seek},
    {0x43, true, false, atapi_read_toc},
    {0x46, false, true, atapi_get_configuration},
    {0x4a, false, true, atapi_get_event},
    {0x51, true, false, atapi_read_disc_information},
    {0x55, false, false, atapi_mode_select},
    {0x5a, false, false, atapi_mode_sense},
    {0xa8, true, false, op_read12},
    {0xad, true, false, atapi_read_dvd_structure},
    {0xbb, false, false, op_ok}, /* SET CD SPEED */
    {0xbd, false, false, atapi_mechanism_status},
    {0xbe, true, false, op_read_cd},
};

static const struct Op *find_op(uint8_t code)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        if (ops[i].code == code) {
            return &ops[i];
        }
    }
    return NULL;
}

static void execute(IdeCd *s)
{
    const struct Op *op = find_op(s->cdb[0]);
    if (s->cdb[0] != 0x03) {
        s->sense = 0;
        s->asc = 0;
    }
    if (!op) {
        atapi_fail(s, SENSE_ILLEGAL, ASC_INVALID_COMMAND);
    } else if (s->attention && !op->despite_attention) {
        uint16_t asc = s->attention;
        s->attention = 0;
        atapi_fail(s, SENSE_ATTENTION, asc);
    } else if (op->needs_medium && !atapi_has_medium(s)) {
        atapi_fail(s, SENSE_NOT_READY, s->tray_open ? ASC_NO_MEDIUM_OPEN : ASC_NO_MEDIUM_CLOSED);
    } else {
        op->run(s);
    }
}

/* ---- The ATA side ---- */

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
    ata_receive(a, sizeof s->cdb, 0, false, false);
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
        memcpy(s->cdb, a->buffer, sizeof s->cdb);
        ata_stop(a);
        execute(s);
    } else if (awaited == AWAIT_PARAMETERS) {
        atapi_mode_selected(s);
    } else if (s->raw_left) {
        raw_next(s);
    } else {
        atapi_ok(s);
    }
}

static void cd_failed(AtaDevice *a, int result)
{
    IdeCd *s = (IdeCd *)a;
    if (result == -ENOMEDIUM) {
        atapi_fail(s, SENSE_NOT_READY, ASC_NO_MEDIUM_CLOSED);
    } else {
        atapi_fail(s, SENSE_MEDIUM, ASC_READ_ERROR);
    }
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
    case IDENTIFY_PACKET: atapi_identify((IdeCd *)a); break;
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
        s->attention = 0;
        s->sense = 0;
        s->asc = 0;
        s->locked = false;
        s->event = EVENT_NONE;
        if (s->ata.drive) {
            drive_guest_lock(s->ata.drive, false);
        }
    }
}

/* ---- What people do ---- */

static void cd_media_changed(void *arg, bool loaded)
{
    IdeCd *s = arg;
    s->tray_open = !loaded;
    s->event = loaded ? EVENT_NEW_MEDIUM : EVENT_REMOVED;
    s->attention = loaded ? ASC_MEDIUM_CHANGED : s->attention;
    s->sense = 0;
    s->asc = 0;
    device_settle(&s->ata.dev);
}

static bool cd_tray_open(void *arg)
{
    return ((IdeCd *)arg)->tray_open;
}
static bool cd_locked(void *arg)
{
    return ((IdeCd *)arg)->locked;
}

/* The eject button: the guest decides while it locks the door. */
static void cd_eject_request(void *arg, bool force)
{
    IdeCd *s = arg;
    s->event = EVENT_EJECT_REQUEST;
    if (force) {
        s->locked = false;
        atapi_set_tray(s, true);
    }
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
    STATE(IdeCd, awaiting, .max = AWAIT_PARAMETERS),
    STATE(IdeCd, use_dma),
    STATE(IdeCd, limit),
    STATE(IdeCd, sense, .max = 15),
    STATE(IdeCd, asc),
    STATE(IdeCd, attention),
    STATE(IdeCd, event, .max = EVENT_REMOVED),
    STATE(IdeCd, tray_open, .keep = true),
    STATE(IdeCd, locked),
    STATE(IdeCd, raw_lba),
    STATE(IdeCd, raw_left, .max = 0xffffff),
    END
};
// clang-format on

static bool cd_realize(void *dev, GError **error)
{
    AtaDevice *a = dev;
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
