/* Primary commands: who the unit is, and its mode pages (SPC-4; SBC-3 §6.4 and §6.5 for disks, MMC-6 §7 for CDs). */
#include <string.h>

#include "hw/scsi/scsi.h"

static void pad(uint8_t *to, unsigned len, const char *text)
{
    for (unsigned i = 0; i < len; i++) {
        to[i] = text && *text ? (uint8_t)*text++ : ' ';
    }
}

static unsigned text_len(const char *text, unsigned most)
{
    return text ? (unsigned)strnlen(text, most) : 0;
}

/* ---- INQUIRY (SPC-4 §6.6) ---- */

enum { SERIAL_MAX = 36, ID_MAX = 200 };

/* §7.8.15, §7.8.6: a text of the person's choice, and the world wide name. */
static uint32_t page_identification(const ScsiUnit *u, uint8_t *p)
{
    enum { BINARY = 1, ASCII = 2, VENDOR_SPECIFIC = 0, NAA = 3 };
    uint32_t n = 0;
    unsigned len = text_len(u->device_id, ID_MAX);
    if (len) {
        p[n] = ASCII;
        p[n + 1] = VENDOR_SPECIFIC;
        p[n + 3] = (uint8_t)len;
        memcpy(p + n + 4, u->device_id, len);
        n += 4 + len;
    }
    if (u->wwn) {
        p[n] = BINARY;
        p[n + 1] = NAA;
        p[n + 3] = 8;
        store_be64(p + n + 4, u->wwn);
        n += 12;
    }
    return n;
}

enum { UNMAP_DESCRIPTORS = 255, SAME_BYTES = 1 << 30 }; /* as sbc.c keeps them */

/* SBC-3 §6.6.3 */
static uint32_t page_block_limits(const ScsiUnit *u, uint8_t *p)
{
    enum { WSNZ = 1, UGAVALID = 0x80 };
    p[0] = WSNZ;
    store_be16(p + 2, u->min_io / u->block);
    store_be32(p + 4, u->max_io / u->block);
    store_be32(p + 8, u->opt_io / u->block);
    if (u->discard_granularity) {
        store_be32(p + 16, UINT32_MAX);
        store_be32(p + 20, UNMAP_DESCRIPTORS);
        store_be32(p + 24, MAX(u->discard_granularity / u->block, 1));
        p[28] = UGAVALID;
    }
    store_be64(p + 32, SAME_BYTES / u->block);
    return 0x3c;
}

/* §6.6.2, §6.6.4: what was unmapped may read as anything, so LBPRZ is not set. */
static uint32_t page_provisioning(const ScsiUnit *u, uint8_t *p)
{
    enum { LBPU = 0x80, LBPWS = 0x40, LBPWS10 = 0x20, FULL = 0, THIN = 2 };
    p[1] = u->discard_granularity ? LBPU | LBPWS | LBPWS10 : 0;
    p[2] = u->discard_granularity ? THIN : FULL;
    return 4;
}

static uint32_t vital_pages(const ScsiUnit *u, uint8_t *p)
{
    uint32_t n = 0;
    p[n++] = 0x00;
    if (u->serial) {
        p[n++] = 0x80;
    }
    p[n++] = 0x83;
    if (!u->cd) {
        p[n++] = 0xb0;
        p[n++] = 0xb1;
        p[n++] = 0xb2;
    }
    return n;
}

/* The page's bytes from 4 on; -1: there is none. */
static int32_t vital_page(const ScsiUnit *u, uint8_t code, uint8_t *p)
{
    switch (u->cd && code >= 0xb0 ? 0xff : code) {
    case 0x00: return (int32_t)vital_pages(u, p);
    case 0x80:
        if (!u->serial) {
            return -1;
        }
        memcpy(p, u->serial, text_len(u->serial, SERIAL_MAX));
        return (int32_t)text_len(u->serial, SERIAL_MAX);
    case 0x83: return (int32_t)page_identification(u, p);
    case 0xb0: return (int32_t)page_block_limits(u, p);
    case 0xb1: store_be16(p, u->rotation_rate); return 0x3c;
    case 0xb2: return (int32_t)page_provisioning(u, p);
    default: return -1;
    }
}

void spc_inquiry(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { VITAL = 1, CMDDT = 2, LENGTH = 36, CD_DEVICE = 0x05, RMB = 0x80, SPC4 = 6, HISUP = 0x10, FORMAT = 2, CMDQUE = 2 };
    bool vital = cdb[1] & VITAL;
    uint8_t *r = scsi_buffer(p, 512);
    r[0] = u->cd ? CD_DEVICE : 0;
    /* Bits 5 to 7 were the LUN once, and Linux puts it there until it knows better. */
    if (cdb[1] & CMDDT || (vital && u->atapi) || (!vital && cdb[2])) {
        scsi_invalid_field(p);
        return;
    }
    if (vital) {
        int32_t n = vital_page(u, cdb[2], r + 4);
        if (n < 0) {
            scsi_invalid_field(p);
            return;
        }
        r[1] = cdb[2];
        store_be16(r + 2, (uint32_t)n);
        scsi_reply(p, (uint32_t)n + 4, load_be16(cdb + 3));
        return;
    }
    r[1] = u->removable ? RMB : 0;
    r[2] = u->atapi ? 0 : SPC4;
    r[3] = u->atapi ? 0x21 : HISUP | FORMAT; /* ATAPI-2, before there was a version to claim */
    r[4] = LENGTH - 5;
    r[7] = u->atapi ? 0 : CMDQUE;
    pad(r + 8, 8, u->vendor);
    pad(r + 16, 16, u->product);
    pad(r + 32, 4, u->version);
    scsi_reply(p, LENGTH, load_be16(cdb + 3));
}

/* ---- Mode pages ---- */

enum { PAGE_ERROR = 0x01, PAGE_GEOMETRY = 0x04, PAGE_CACHING = 0x08, PAGE_CONTROL = 0x0a, PAGE_CD = 0x2a, PAGE_ALL = 0x3f };
enum { CURRENT, CHANGEABLE, DEFAULT, SAVED };   /* page control */
enum { WCE = 0x04 };

/* SBC-3 §6.5.8: reallocation is the medium's own affair.  MMC-6 §7.3: all zero. */
static uint32_t page_error(const ScsiUnit *u, uint8_t *p, unsigned control)
{
    enum { AWRE = 0x80 };
    p[2] = !u->cd && control != CHANGEABLE ? AWRE : 0;
    return u->cd ? 8 : 12;
}

/* SBC-2 §6.3.3, for systems that count cylinders: of 64 heads and 32 sectors, a mebibyte each. */
static uint32_t page_geometry(const ScsiUnit *u, uint8_t *p, unsigned control)
{
    enum { HEADS = 64, SECTORS = 32 };
    if (control != CHANGEABLE) {
        uint64_t cylinders = scsi_blocks(u) / (HEADS * SECTORS);
        store_be24(p + 2, (uint32_t)CLAMP(cylinders, 1, 0xffffff));
        p[5] = HEADS;
        store_be16(p + 20, u->rotation_rate > 1 ? u->rotation_rate : 5400);
    }
    return 24;
}

/* SBC-3 §6.5.5 */
static uint32_t page_caching(const ScsiUnit *u, uint8_t *p, unsigned control)
{
    bool on = control == CHANGEABLE || (control == DEFAULT ? u->cache_default : u->cache_on);
    p[2] = on ? WCE : 0;
    return 20;
}

/* SPC-4 §7.5.8: unrestricted reordering. */
static uint32_t page_control(const ScsiUnit *u, uint8_t *p, unsigned control)
{
    p[3] = control == CHANGEABLE ? 0 : 0x10;
    return 12;
}

/* MMC-3 §5.5.10 */
static uint32_t page_cd(const ScsiUnit *u, uint8_t *p, unsigned control)
{
    if (control != CHANGEABLE) {
        p[2] = 0x3b;                                  /* reads CD-R, CD-RW, DVD-ROM, DVD-R */
        p[4] = 0x70;                                  /* mode 2 forms, multisession */
        p[6] = (uint8_t)(0x29 | (u->locked ? 2 : 0)); /* tray, ejects, locks */
        store_be16(p + 8, 706);                       /* 4x */
        store_be16(p + 10, 2);
        store_be16(p + 12, 512);
        store_be16(p + 14, 706);
    }
    return 20;
}

static const struct Page {
    uint8_t code;
    bool disk, cd;
    uint32_t (*put)(const ScsiUnit *u, uint8_t *p, unsigned control);
} pages[] = {
    {PAGE_ERROR, true, true, page_error},
    {PAGE_GEOMETRY, true, false, page_geometry},
    {PAGE_CACHING, true, false, page_caching},
    {PAGE_CONTROL, true, false, page_control},
    {PAGE_CD, false, true, page_cd},
};

static const struct Page *find_page(const ScsiUnit *u, uint8_t code)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
        if (pages[i].code == code && (u->cd ? pages[i].cd : pages[i].disk)) {
            return &pages[i];
        }
    }
    return NULL;
}

/* Into zeroed room. */
static uint32_t put_page(const ScsiUnit *u, const struct Page *page, uint8_t *p, unsigned control)
{
    uint32_t n = page->put(u, p, control);
    p[0] = page->code;
    p[1] = (uint8_t)(n - 2);
    return n;
}

static bool is_long(const uint8_t *cdb)
{
    return cdb[0] == 0x55 || cdb[0] == 0x5a;
}

static uint8_t medium_type(const ScsiUnit *u)
{
    if (!u->cd) {
        return 0;
    }
    return !scsi_has_medium(u) ? (u->tray_open ? 0x71 : 0x70) : mmc_is_dvd(u) ? 0x41 : 0x01;
}

static uint8_t device_specific(const ScsiUnit *u)
{
    enum { WP = 0x80, DPOFUA = 0x10 };
    bool protected = !u->cd && scsi_has_medium(u) && drive_readonly(u->drive);
    return (protected ? WP : 0) | (u->dpofua ? DPOFUA : 0);
}

/* SPC-4 §7.5.6: the short descriptor, of disks. */
static void put_block_descriptor(const ScsiUnit *u, uint8_t *p)
{
    store_be32(p, (uint32_t)MIN(scsi_blocks(u), UINT32_MAX));
    store_be24(p + 5, u->block);
}

/* SPC-4 §6.12, §6.13 */
void spc_mode_sense(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { DBD = 8, DESCRIPTOR = 8, ALL_SUBPAGES = 0xff };
    bool wide = is_long(cdb), described = !u->cd && !(cdb[1] & DBD);
    unsigned code = cdb[2] & 0x3f, control = cdb[2] >> 6, header = wide ? 8 : 4;
    if (control == SAVED) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_SAVING_UNSUPPORTED);
        return;
    }
    if (cdb[3] && !(cdb[3] == ALL_SUBPAGES && code == PAGE_ALL)) {
        scsi_invalid_field(p);
        return;
    }
    uint8_t *r = scsi_buffer(p, 256);
    if (described) {
        put_block_descriptor(u, r + header);
    }
    uint32_t start = header + (described ? DESCRIPTOR : 0), n = start;
    for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
        if ((code == PAGE_ALL || code == pages[i].code) && find_page(u, pages[i].code)) {
            n += put_page(u, &pages[i], r + n, control);
        }
    }
    if (n == start) {
        scsi_invalid_field(p);
        return;
    }
    if (wide) {
        store_be16(r, n - 2);
        r[2] = medium_type(u);
        r[3] = device_specific(u);
        r[7] = (uint8_t)(start - header);
    } else {
        r[0] = (uint8_t)(n - 1);
        r[1] = medium_type(u);
        r[2] = device_specific(u);
        r[3] = (uint8_t)(start - header);
    }
    scsi_reply(p, n, wide ? load_be16(cdb + 7) : cdb[4]);
}

/* SPC-4 §6.10, §6.11 */
void spc_mode_select(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { PAGE_FORMAT = 0x10, SAVE = 1, MOST = 512 };
    uint32_t len = is_long(cdb) ? load_be16(cdb + 7) : cdb[4];
    if (!(cdb[1] & PAGE_FORMAT) || cdb[1] & SAVE) {
        scsi_invalid_field(p);
    } else if (len > MOST) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_PARAMETER_LENGTH);
    } else if (len) {
        p->action = SCSI_PARAMETERS;
        p->len = len;
    }
}

/* Only what can be changed may differ from what is. */
static bool page_acceptable(const ScsiUnit *u, const struct Page *page, const uint8_t *given, uint32_t len)
{
    uint8_t now[64] = {0}, may[64] = {0};
    if (put_page(u, page, now, CURRENT) != len) {
        return false;
    }
    put_page(u, page, may, CHANGEABLE);
    for (uint32_t i = 2; i < len; i++) {
        if ((now[i] ^ given[i]) & ~may[i]) {
            return false;
        }
    }
    return true;
}

/* A descriptor may say what is so already. */
static bool descriptor_acceptable(const ScsiUnit *u, const uint8_t *d)
{
    uint32_t blocks = load_be32(d), now = (uint32_t)MIN(scsi_blocks(u), UINT32_MAX);
    return (!blocks || blocks == UINT32_MAX || blocks == now) && load_be24(d + 5) == u->block;
}

void spc_mode_selected(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    const uint8_t *d = p->buffer;
    uint32_t header = is_long(cdb) ? 8 : 4, len = p->len;
    bool cache = u->cache_on;
    if (len < header) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_PARAMETER_LENGTH);
        return;
    }
    uint32_t described = is_long(cdb) ? load_be16(d + 6) : d[3], at = header + described;
    if (at > len) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_PARAMETER_LENGTH);
        return;
    }
    if (described && (described != 8 || u->cd || !descriptor_acceptable(u, d + header))) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_INVALID_PARAMETER);
        return;
    }
    while (at < len) {
        uint32_t page_len = at + 1 < len ? 2u + d[at + 1] : len;
        if (page_len > len - at) {
            scsi_fail(p, SENSE_ILLEGAL, ASC_PARAMETER_LENGTH);
            return;
        }
        const struct Page *page = d[at] & 0x40 ? NULL : find_page(u, d[at] & 0x3f);
        if (!page || !page_acceptable(u, page, d + at, page_len)) {
            scsi_fail(p, SENSE_ILLEGAL, ASC_INVALID_PARAMETER);
            return;
        }
        cache = page->code == PAGE_CACHING ? d[at + 2] & WCE : cache;
        at += page_len;
    }
    bool flush = u->cache_on && !cache;
    u->cache_on = cache;
    p->action = flush && scsi_has_medium(u) && !drive_readonly(u->drive) ? SCSI_FLUSH : SCSI_END;
}
