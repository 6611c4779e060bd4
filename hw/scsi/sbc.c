/* Blocks: reading, writing, verifying, discarding (SBC-3); CDs are read the same way (MMC-6 §6.15). */
#include <string.h>

#include "hw/scsi/scsi.h"

enum { UNMAP_HEADER = 8, UNMAP_DESCRIPTOR = 16, UNMAP_DESCRIPTORS = 255, SAME_BYTES = 1 << 30 };

/* Where, and how many blocks: the four sizes of command differ in nothing else (SBC-3 §5.9 and following). */
static void decode(const uint8_t *cdb, uint64_t *lba, uint64_t *n)
{
    switch (cdb[0] >> 5) {
    case 0: /* 6 bytes: no blocks are 256 */
        *lba = load_be24(cdb + 1) & 0x1fffff;
        *n = cdb[4] ? cdb[4] : 256;
        break;
    case 4: /* 16 */
        *lba = load_be64(cdb + 2);
        *n = load_be32(cdb + 10);
        break;
    case 5: /* 12 */
        *lba = load_be32(cdb + 2);
        *n = load_be32(cdb + 6);
        break;
    default: /* 10 */
        *lba = load_be32(cdb + 2);
        *n = load_be16(cdb + 7);
    }
}

static bool is_short(const uint8_t *cdb)
{
    return cdb[0] >> 5 == 0;
}

/* Protection information was never written: it cannot be checked (§4.22). */
static bool wants_protection(const ScsiUnit *u, const uint8_t *cdb)
{
    return !u->cd && cdb[1] & 0xe0;
}

static bool plan_range(const ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    uint64_t lba, n;
    decode(cdb, &lba, &n);
    if (!scsi_check_range(u, p, lba, n)) {
        return false;
    }
    p->at = lba * u->block;
    p->bytes = n * u->block;
    return true;
}

void sbc_read_write(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { FUA = 8, VERIFIED = 0x04 };
    bool write = cdb[0] & 2;
    if (!is_short(cdb) && wants_protection(u, cdb)) {
        scsi_invalid_field(p);
        return;
    }
    if (!plan_range(u, cdb, p)) {
        return;
    }
    if (u->max_io && p->bytes > u->max_io / u->block * u->block) {
        scsi_invalid_field(p);
        return;
    }
    bool verified = write && cdb[0] & VERIFIED; /* WRITE AND VERIFY: what was flushed, the host has */
    p->fua = write && (!u->cache_on || verified || (!is_short(cdb) && cdb[1] & FUA));
    p->action = !p->bytes ? SCSI_END : write ? SCSI_WRITE : SCSI_READ;
}

/* §5.30: BYTCHK 0 reads, 1 compares. */
void sbc_verify(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    unsigned check = cdb[1] >> 1 & 3;
    if (wants_protection(u, cdb) || check > 1) {
        scsi_invalid_field(p);
    } else if (plan_range(u, cdb, p)) {
        p->action = !p->bytes ? SCSI_END : check ? SCSI_COMPARE : SCSI_VERIFY;
    }
}

/* §5.26: everything, whatever range was named. */
void sbc_synchronize(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    if (plan_range(u, cdb, p) && !drive_readonly(u->drive)) {
        p->action = SCSI_FLUSH;
    }
}

/* ---- Capacity ---- */

/* §5.16, MMC-6 §6.23 */
void sbc_read_capacity(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { PMI = 1 };
    uint64_t blocks = scsi_blocks(u);
    if (!u->cd && !(cdb[8] & PMI) && load_be32(cdb + 2)) {
        scsi_invalid_field(p);
        return;
    }
    uint8_t *r = scsi_buffer(p, 8);
    store_be32(r, (uint32_t)MIN(blocks ? blocks - 1 : 0, UINT32_MAX));
    store_be32(r + 4, u->block);
    scsi_reply(p, 8, 8);
}

/* §5.17: of SERVICE ACTION IN only READ CAPACITY (16). */
void sbc_service_in(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { READ_CAPACITY = 0x10, LBPME = 0x80 };
    uint64_t blocks = scsi_blocks(u);
    if ((cdb[1] & 0x1f) != READ_CAPACITY) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    uint8_t *r = scsi_buffer(p, 32);
    store_be64(r, blocks ? blocks - 1 : 0);
    store_be32(r + 8, u->block);
    r[13] = (uint8_t)__builtin_ctz(MAX(u->physical_block / u->block, 1));
    r[14] = u->discard_granularity ? LBPME : 0;
    scsi_reply(p, 32, load_be32(cdb + 10));
}

/* ---- Discarding (§5.27, §5.42) ---- */

void sbc_write_same(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { WRITE_SAME_16 = 0x93, NO_DATA = 1, RELATIVE = 6, UNMAP = 8, ANCHOR = 0x10 };
    bool no_data = cdb[0] == WRITE_SAME_16 && cdb[1] & NO_DATA;
    p->unmap = cdb[1] & UNMAP;
    if (wants_protection(u, cdb) || cdb[1] & (RELATIVE | ANCHOR) || (p->unmap && !u->discard_granularity)) {
        scsi_invalid_field(p);
        return;
    }
    if (!plan_range(u, cdb, p)) {
        return;
    }
    if (!p->bytes || p->bytes > SAME_BYTES) { /* WSNZ and the limit of VPD page B0 */
        scsi_invalid_field(p);
        return;
    }
    p->fua = !u->cache_on;
    p->action = no_data ? SCSI_ZERO : SCSI_PARAMETERS;
    p->len = u->block;
}

/* A block of zeroes may become a hole where that was asked for; another one is written. */
void sbc_write_same_data(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    const uint8_t *d = p->buffer;
    bool zeroes = !d[0] && !memcmp(d, d + 1, u->block - 1);
    p->action = zeroes ? SCSI_ZERO : SCSI_FILL;
}

void sbc_unmap(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { ANCHOR = 1 };
    uint32_t len = load_be16(cdb + 7);
    if (cdb[1] & ANCHOR) {
        scsi_invalid_field(p);
    } else if (len && len < UNMAP_HEADER) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_PARAMETER_LENGTH);
    } else if (len > UNMAP_HEADER + UNMAP_DESCRIPTORS * UNMAP_DESCRIPTOR) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_INVALID_PARAMETER); /* more than VPD page B0 allows */
    } else if (len) {
        p->action = SCSI_PARAMETERS;
        p->len = len;
    }
}

/* All is checked before anything is done. */
void sbc_unmap_list(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    uint32_t len = load_be16(p->buffer + 2);
    len = MIN(len, p->len - UNMAP_HEADER) / UNMAP_DESCRIPTOR * UNMAP_DESCRIPTOR;
    memmove(p->buffer, p->buffer + UNMAP_HEADER, len);
    for (uint32_t at = 0; at < len; at += UNMAP_DESCRIPTOR) {
        const uint8_t *d = p->buffer + at;
        if (!scsi_check_range(u, p, load_be64(d), load_be32(d + 8))) {
            return;
        }
    }
    p->len = len;
    p->action = len ? SCSI_UNMAP : SCSI_END;
}
