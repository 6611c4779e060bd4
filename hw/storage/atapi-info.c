/* ATAPI commands that describe the drive and its medium (MMC-6; chapters are named at each). */
#include <string.h>

#include "hw/storage/atapi.h"
#include "hw/storage/ide.h"

static void put16(uint8_t *id, unsigned word, unsigned value)
{
    store_le(id + 2 * word, 2, value);
}

/* ATA/ATAPI-6 §8.16 */
void atapi_identify(IdeCd *s)
{
    AtaDevice *a = &s->ata;
    uint8_t *id = ata_reply(a, ATA_SECTOR);
    put16(id, 0, 0x85c0); /* packet device, CD, removable, DRQ within 50 us, 12 byte packets */
    ata_text(id + 2 * 10, 20, a->serial);
    put16(id, 20, 3);
    put16(id, 21, 512);
    put16(id, 22, 4);
    ata_text(id + 2 * 23, 8, a->ver);
    ata_text(id + 2 * 27, 40, a->model);
    put16(id, 48, 1);
    put16(id, 49, 1 << 11 | 1 << 9 | 1 << 8);
    put16(id, 53, 0x0006);
    put16(id, 64, 0x0003);
    for (unsigned word = 65; word <= 68; word++) {
        put16(id, word, 180);
    }
    put16(id, 71, 30);
    put16(id, 72, 30);
    put16(id, 80, 0x001e);
    put16(id, 82, 1 << 14 | 1 << 9 | 1 << 4); /* NOP, DEVICE RESET, PACKET */
    put16(id, 83, 1 << 14);
    put16(id, 84, 1 << 14);
    put16(id, 85, 1 << 14 | 1 << 9 | 1 << 4);
    put16(id, 87, 1 << 14);
    ata_identify_modes(a, id);
    if (a->bus && a->bus->serial) {
        put16(id, 76, 1 << 1 | 1 << 2);
        put16(id, 80, 0x00f0); /* Serial ATA begins with ATA/ATAPI-7 */
        put16(id, 222, 0x101f);
    }
    ata_send(a, ATA_SECTOR, 0, false);
}

static void pad(uint8_t *to, unsigned len, const char *text)
{
    for (unsigned i = 0; i < len; i++) {
        to[i] = *text ? (uint8_t)*text++ : ' ';
    }
}

/* §6.4 (SPC-4 §6.6) */
void atapi_inquiry(IdeCd *s)
{
    if (s->cdb[1] & 1 || s->cdb[2]) {
        atapi_invalid_field(s);
        return;
    }
    uint8_t *r = ata_reply(&s->ata, 36);
    r[0] = 0x05; /* CD/DVD */
    r[1] = 0x80; /* removable */
    r[3] = 0x21; /* ATAPI-2 */
    r[4] = 31;
    pad(r + 8, 8, "QEMU");
    pad(r + 16, 16, s->ata.model);
    pad(r + 32, 4, s->ata.ver);
    atapi_reply(s, 36, load_be16(s->cdb + 3));
}

/* §6.23 */
void atapi_read_capacity(IdeCd *s)
{
    uint32_t blocks = atapi_blocks(s);
    uint8_t *r = ata_reply(&s->ata, 8);
    store_be32(r, blocks ? blocks - 1 : 0);
    store_be32(r + 4, CD_SECTOR);
    atapi_reply(s, 8, 8);
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

static uint32_t toc_tracks(IdeCd *s, uint8_t *r, bool msf, unsigned first)
{
    uint32_t n = 4;
    r[2] = r[3] = 1;
    for (unsigned track = 1; track <= 2; track++) {
        unsigned number = track == 1 ? 1 : LEAD_OUT;
        if (number >= first) {
            r[n + 1] = DATA_TRACK;
            r[n + 2] = (uint8_t)number;
            put_address(r + n + 4, track == 1 ? 0 : atapi_blocks(s), msf);
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
static uint32_t toc_raw(IdeCd *s, uint8_t *r)
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
            put_address(r + n + 7, points[i] == 0xa2 ? atapi_blocks(s) : 0, true);
        }
    }
    return n;
}

void atapi_read_toc(IdeCd *s)
{
    bool msf = s->cdb[1] & 2;
    unsigned format = s->cdb[2] & 0x0f, first = s->cdb[6];
    format = format ? format : s->cdb[9] >> 6; /* SFF-8020i kept it in the last byte */
    uint8_t *r = ata_reply(&s->ata, 64);
    uint32_t n;
    switch (format) {
    case 0:
        if (first > 1 && first != LEAD_OUT) {
            atapi_invalid_field(s);
            return;
        }
        n = toc_tracks(s, r, msf, first);
        break;
    case 1: n = toc_session(r, msf); break;
    case 2: n = toc_raw(s, r); break;
    default: atapi_invalid_field(s); return;
    }
    store_be16(r, n - 2);
    atapi_reply(s, n, load_be16(s->cdb + 7));
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

void atapi_get_configuration(IdeCd *s)
{
    bool medium = atapi_has_medium(s), dvd = medium && atapi_is_dvd(s), cd = medium && !dvd;
    const uint8_t profiles[] = {0, PROFILE_DVD, dvd, 0, 0, PROFILE_CD, cd, 0};
    static const uint8_t core[] = {0, 0, 0, 2, 1, 0, 0, 0}; /* ATAPI */
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
    unsigned kind = s->cdb[1] & 3, from = load_be16(s->cdb + 2);
    if (kind == 3) {
        atapi_invalid_field(s);
        return;
    }
    uint8_t *r = ata_reply(&s->ata, 128);
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
    atapi_reply(s, n, load_be16(s->cdb + 7));
}

/* §6.7: only polling, only the media class. */
void atapi_get_event(IdeCd *s)
{
    enum { POLLED = 1, MEDIA_CLASS = 4, CLASS_NONE = 0x80 };
    if (!(s->cdb[1] & POLLED)) {
        atapi_invalid_field(s);
        return;
    }
    uint8_t *r = ata_reply(&s->ata, 8);
    bool media = s->cdb[4] & 1 << MEDIA_CLASS;
    uint32_t n = media ? 8 : 4;
    store_be16(r, n - 2);
    r[2] = media ? MEDIA_CLASS : CLASS_NONE;
    r[3] = 1 << MEDIA_CLASS;
    if (media) {
        r[4] = s->event;
        r[5] = (uint8_t)((s->tray_open ? 1 : 0) | (atapi_has_medium(s) ? 2 : 0));
        s->event = EVENT_NONE;
    }
    atapi_reply(s, n, load_be16(s->cdb + 7));
}

/* §6.21: one finished session with one track. */
void atapi_read_disc_information(IdeCd *s)
{
    if (s->cdb[1] & 7) {
        atapi_invalid_field(s);
        return;
    }
    uint8_t *r = ata_reply(&s->ata, 34);
    store_be16(r, 32);
    r[2] = 0x0e; /* complete, last session complete */
    r[3] = r[4] = r[5] = r[6] = 1;
    r[7] = 0x20;             /* unrestricted use */
    memset(r + 16, 0xff, 8); /* no further lead-in or lead-out */
    atapi_reply(s, 34, load_be16(s->cdb + 7));
}

/* ---- Mode pages (§7) ---- */

enum { PAGE_ERROR = 0x01, PAGE_CAPABILITIES = 0x2a, PAGE_ALL = 0x3f };

static uint32_t page_error(uint8_t *p)
{
    p[0] = PAGE_ERROR;
    p[1] = 6;
    return 8;
}

static uint32_t page_capabilities(const IdeCd *s, uint8_t *p, bool changeable)
{
    p[0] = PAGE_CAPABILITIES;
    p[1] = 18;
    if (!changeable) {
        p[2] = 0x3b;                                  /* reads CD-R, CD-RW, DVD-ROM, DVD-R */
        p[4] = 0x70;                                  /* mode 2 forms, multisession */
        p[6] = (uint8_t)(0x29 | (s->locked ? 2 : 0)); /* tray, ejects, locks */
        store_be16(p + 8, 706);                       /* 4x */
        store_be16(p + 10, 2);
        store_be16(p + 12, 512);
        store_be16(p + 14, 706);
    }
    return 20;
}

/* §6.11 */
void atapi_mode_sense(IdeCd *s)
{
    enum { CHANGEABLE = 1, SAVED = 3, HEADER = 8 };
    unsigned page = s->cdb[2] & 0x3f, control = s->cdb[2] >> 6;
    if (control == SAVED) {
        atapi_fail(s, SENSE_ILLEGAL, ASC_SAVING_UNSUPPORTED);
        return;
    }
    uint8_t *r = ata_reply(&s->ata, 64);
    uint32_t n = HEADER;
    if (page == PAGE_ERROR || page == PAGE_ALL) {
        n += page_error(r + n);
    }
    if (page == PAGE_CAPABILITIES || page == PAGE_ALL) {
        n += page_capabilities(s, r + n, control == CHANGEABLE);
    }
    if (n == HEADER) {
        atapi_invalid_field(s);
        return;
    }
    store_be16(r, n - 2);
    r[2] = !atapi_has_medium(s) ? (s->tray_open ? 0x71 : 0x70) : atapi_is_dvd(s) ? 0x41 : 0x01;
    atapi_reply(s, n, load_be16(s->cdb + 7));
}

/* §6.10: no value can be changed, but pages that say what is so already are fine. */
void atapi_mode_select(IdeCd *s)
{
    uint32_t len = load_be16(s->cdb + 7);
    if (!(s->cdb[1] & 0x10) || (s->cdb[1] & 1)) {
        atapi_invalid_field(s);
    } else if (!len) {
        atapi_ok(s);
    } else if (len < 8 || len > 256) {
        atapi_fail(s, SENSE_ILLEGAL, ASC_INVALID_PARAMETER);
    } else {
        s->awaiting = AWAIT_PARAMETERS;
        ata_receive(&s->ata, len, s->limit && s->limit != 0xffff ? MAX(s->limit & ~1u, 2) : 0,
                    s->use_dma, true);
    }
}

void atapi_mode_selected(IdeCd *s)
{
    uint32_t len = MIN(s->ata.buf_len, ATA_BUFFER - 2);
    const uint8_t *p = s->ata.buffer;
    for (uint32_t at = 8; at < len; at += 2u + p[at + 1]) {
        unsigned page = p[at] & 0x3f;
        if (page != PAGE_ERROR && page != PAGE_CAPABILITIES) {
            atapi_fail(s, SENSE_ILLEGAL, ASC_INVALID_PARAMETER);
            return;
        }
    }
    atapi_ok(s);
}

/* §6.22 */
void atapi_read_dvd_structure(IdeCd *s)
{
    enum { PHYSICAL = 0, COPYRIGHT = 1, BCA = 3, MANUFACTURER = 4, START = 0x30000 };
    if (!atapi_is_dvd(s)) {
        atapi_fail(s, SENSE_ILLEGAL, ASC_INCOMPATIBLE_FORMAT);
        return;
    }
    uint8_t *r = ata_reply(&s->ata, 2052);
    uint32_t n;
    switch (s->cdb[7]) {
    case PHYSICAL:
        if (s->cdb[6]) {
            atapi_invalid_field(s);
            return;
        }
        n = 2052;
        r[4] = 0x01; /* DVD-ROM, version 1 */
        r[5] = 0x0f; /* 120 mm, no maximum rate */
        r[6] = 0x01; /* one layer, embossed */
        store_be32(r + 8, START);
        store_be32(r + 12, START + atapi_blocks(s) - 1);
        break;
    case COPYRIGHT: n = 8; break; /* none */
    case MANUFACTURER: n = 2052; break;
    default: atapi_invalid_field(s); return;
    }
    store_be16(r, n - 2);
    atapi_reply(s, n, load_be16(s->cdb + 8));
}

/* §6.9: a drive without a changer. */
void atapi_mechanism_status(IdeCd *s)
{
    uint8_t *r = ata_reply(&s->ata, 8);
    r[1] = s->tray_open ? 0x10 : 0;
    r[5] = 1;
    atapi_reply(s, 8, load_be16(s->cdb + 8));
}
