/* Commands of CD and DVD drives (MMC-6; sections are named at each). */
#include <string.h>

#include "hw/scsi/scsi.h"

bool mmc_is_dvd(const ScsiUnit *u)
{
    enum { CD_BLOCKS = 80 * 60 * 75 }; /* more than 80 minutes is no CD */
    return scsi_blocks(u) > CD_BLOCKS;
}

/* ---- Whole sectors ---- */

static uint8_t bcd(unsigned n)
{
    return (uint8_t)(n / 10 << 4 | n % 10);
}

/* Of mode 1; the error correction is left empty, since nothing reads data that way that has it already. */
void mmc_frame_sector(uint8_t *raw, const uint8_t *data, uint64_t lba)
{
    unsigned frame = (unsigned)lba + 150;
    memset(raw, 0, CD_RAW);
    memset(raw + 1, 0xff, 10);
    raw[12] = bcd(frame / 75 / 60 % 100);
    raw[13] = bcd(frame / 75 % 60);
    raw[14] = bcd(frame % 75);
    raw[15] = 1;
    memcpy(raw + 16, data, CD_SECTOR);
}

/* §6.19 */
void mmc_read_cd(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { NOTHING = 0x00, USER_DATA = 0x10, EVERYTHING = 0xf8 };
    uint32_t lba = load_be32(cdb + 2), n = load_be24(cdb + 6);
    unsigned what = cdb[9] & 0xf8;
    if (what == NOTHING) {
        return;
    }
    if (what != USER_DATA && what != EVERYTHING) {
        scsi_invalid_field(p);
    } else if (scsi_check_range(u, p, lba, n) && n) {
        p->action = what == USER_DATA ? SCSI_READ : SCSI_READ_RAW;
        p->at = (uint64_t)lba * CD_SECTOR;
        p->bytes = (uint64_t)n * CD_SECTOR;
    }
}

/* §6.36 */
void mmc_seek(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    scsi_check_range(u, p, load_be32(cdb + 2), 1);
}

/* ---- READ TOC/PMA/ATIP (§6.25): one data track and the lead-out ---- */

enum { LEAD_OUT = 0xaa, DATA_TRACK = 0x14 };

static void put_address(uint8_t *p, uint32_t lba, bool msf)
{
    if (!msf) {
        store_be32(p, lba);
        return;
    }
    uint32_t frame = lba + 150;
    p[0] = 0;
    p[1] = (uint8_t)(frame / 75 / 60);
    p[2] = (uint8_t)(frame / 75 % 60);
    p[3] = (uint8_t)(frame % 75);
}

static uint32_t toc_tracks(const ScsiUnit *u, uint8_t *r, bool msf, unsigned first)
{
    uint32_t n = 4;
    r[2] = r[3] = 1;
    for (unsigned track = 1; track <= 2; track++) {
        unsigned number = track == 1 ? 1 : LEAD_OUT;
        if (number >= first) {
            r[n + 1] = DATA_TRACK;
            r[n + 2] = (uint8_t)number;
            put_address(r + n + 4, track == 1 ? 0 : (uint32_t)scsi_blocks(u), msf);
            n += 8;
        }
    }
    return n;
}

static uint32_t toc_session(uint8_t *r, bool msf)
{
    r[2] = r[3] = 1;
    r[5] = DATA_TRACK;
    r[6] = 1;
    put_address(r + 8, 0, msf);
    return 12;
}

/* Full TOC: first track, last track, lead-out, then the track itself; always in minutes. */
static uint32_t toc_raw(const ScsiUnit *u, uint8_t *r)
{
    static const uint8_t points[] = {0xa0, 0xa1, 0xa2, 1};
    uint32_t n = 4;
    r[2] = r[3] = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(points); i++, n += 11) {
        r[n] = 1;
        r[n + 1] = DATA_TRACK;
        r[n + 3] = points[i];
        if (points[i] == 0xa0 || points[i] == 0xa1) {
            r[n + 8] = 1;
        } else {
            put_address(r + n + 7, points[i] == 0xa2 ? (uint32_t)scsi_blocks(u) : 0, true);
        }
    }
    return n;
}

void mmc_read_toc(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    bool msf = cdb[1] & 2;
    unsigned format = cdb[2] & 0x0f, first = cdb[6];
    format = format ? format : cdb[9] >> 6; /* SFF-8020i kept it in the last byte */
    uint8_t *r = scsi_buffer(p, 64);
    uint32_t n;
    switch (format) {
    case 0:
        if (first > 1 && first != LEAD_OUT) {
            scsi_invalid_field(p);
            return;
        }
        n = toc_tracks(u, r, msf, first);
        break;
    case 1: n = toc_session(r, msf); break;
    case 2: n = toc_raw(u, r); break;
    default: scsi_invalid_field(p); return;
    }
    store_be16(r, n - 2);
    scsi_reply(p, n, load_be16(cdb + 7));
}

/* ---- GET CONFIGURATION (§6.6, features of §5.3) ---- */

enum { PROFILE_CD = 0x0008, PROFILE_DVD = 0x0010 };

static uint32_t put_feature(uint8_t *r, unsigned code, unsigned version, bool persistent,
                            bool current, const uint8_t *data, unsigned len)
{
    store_be16(r, code);
    r[2] = (uint8_t)(version << 2 | (persistent ? 2 : 0) | (current ? 1 : 0));
    r[3] = (uint8_t)len;
    memcpy(r + 4, data, len);
    return 4 + len;
}

void mmc_get_configuration(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    bool medium = scsi_has_medium(u), dvd = medium && mmc_is_dvd(u), cd = medium && !dvd;
    const uint8_t profiles[] = {0, PROFILE_DVD, dvd, 0, 0, PROFILE_CD, cd, 0};
    const uint8_t core[] = {0, 0, 0, u->atapi ? 2 : 1, 1, 0, 0, 0}; /* the physical interface */
    static const uint8_t removable[] = {0x29, 0, 0, 0};     /* tray, ejects, locks */
    static const uint8_t random_read[] = {0, 0, 0x08, 0, 0, 1, 0, 0};
    static const uint8_t cd_read[] = {0, 0, 0, 0};
    const struct {
        uint16_t code;
        uint8_t version, len;
        bool persistent, current;
        const uint8_t *data;
    } features[] = {
        {0x0000, 0, sizeof profiles, true, true, profiles},
        {0x0001, 2, sizeof core, true, true, core},
        {0x0003, 0, sizeof removable, true, true, removable},
        {0x0010, 0, sizeof random_read, false, medium, random_read},
        {0x001e, 2, sizeof cd_read, false, cd, cd_read},
        {0x001f, 0, 0, false, dvd, cd_read},
    };
    unsigned kind = cdb[1] & 3, from = load_be16(cdb + 2);
    if (kind == 3) {
        scsi_invalid_field(p);
        return;
    }
    uint8_t *r = scsi_buffer(p, 128);
    uint32_t n = 8;
    store_be16(r + 6, dvd ? PROFILE_DVD : cd ? PROFILE_CD : 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        bool wanted = kind == 2 ? features[i].code == from
                                : features[i].code >= from && (kind == 0 || features[i].current);
        if (wanted) {
            n += put_feature(r + n, features[i].code, features[i].version, features[i].persistent,
                             features[i].current, features[i].data, features[i].len);
        }
    }
    store_be32(r, n - 4);
    scsi_reply(p, n, load_be16(cdb + 7));
}

/* §6.7: only polling, only the media class. */
void mmc_get_event(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { POLLED = 1, MEDIA_CLASS = 4, CLASS_NONE = 0x80 };
    if (!(cdb[1] & POLLED)) {
        scsi_invalid_field(p);
        return;
    }
    uint8_t *r = scsi_buffer(p, 8);
    bool media = cdb[4] & 1 << MEDIA_CLASS;
    uint32_t n = media ? 8 : 4;
    store_be16(r, n - 2);
    r[2] = media ? MEDIA_CLASS : CLASS_NONE;
    r[3] = 1 << MEDIA_CLASS;
    if (media) {
        r[4] = u->event;
        r[5] = (uint8_t)((u->tray_open ? 1 : 0) | (scsi_has_medium(u) ? 2 : 0));
        u->event = EVENT_NONE;
    }
    scsi_reply(p, n, load_be16(cdb + 7));
}

/* §6.21: one finished session with one track. */
void mmc_read_disc_information(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    if (cdb[1] & 7) {
        scsi_invalid_field(p);
        return;
    }
    uint8_t *r = scsi_buffer(p, 34);
    store_be16(r, 32);
    r[2] = 0x0e; /* complete, last session complete */
    r[3] = r[4] = r[5] = r[6] = 1;
    r[7] = 0x20;             /* unrestricted use */
    memset(r + 16, 0xff, 8); /* no further lead-in or lead-out */
    scsi_reply(p, 34, load_be16(cdb + 7));
}

/* §6.22 */
void mmc_read_dvd_structure(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { PHYSICAL = 0, COPYRIGHT = 1, BCA = 3, MANUFACTURER = 4, START = 0x30000 };
    if (!mmc_is_dvd(u)) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_INCOMPATIBLE_FORMAT);
        return;
    }
    uint8_t *r = scsi_buffer(p, 2052);
    uint32_t n;
    switch (cdb[7]) {
    case PHYSICAL:
        if (cdb[6]) {
            scsi_invalid_field(p);
            return;
        }
        n = 2052;
        r[4] = 0x01; /* DVD-ROM, version 1 */
        r[5] = 0x0f; /* 120 mm, no maximum rate */
        r[6] = 0x01; /* one layer, embossed */
        store_be32(r + 8, START);
        store_be32(r + 12, START + (uint32_t)scsi_blocks(u) - 1);
        break;
    case COPYRIGHT: n = 8; break; /* none */
    case MANUFACTURER: n = 2052; break;
    default: scsi_invalid_field(p); return;
    }
    store_be16(r, n - 2);
    scsi_reply(p, n, load_be16(cdb + 8));
}

/* §6.9: a drive without a changer. */
void mmc_mechanism_status(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    uint8_t *r = scsi_buffer(p, 8);
    r[1] = u->tray_open ? 0x10 : 0;
    r[5] = 1;
    scsi_reply(p, 8, load_be16(cdb + 8));
}
