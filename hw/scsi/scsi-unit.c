/* A logical unit: which command is which, sense, unit attentions, and the tray. */
#include <errno.h>
#include <string.h>

#include "hw/scsi/scsi.h"

/* ---- Plans ---- */

uint8_t *scsi_buffer(ScsiPlan *p, uint32_t len)
{
    g_assert(len <= SCSI_BUFFER);
    if (!p->buffer) {
        p->buffer = g_malloc(SCSI_BUFFER);
    }
    return memset(p->buffer, 0, len);
}

void scsi_fail(ScsiPlan *p, uint8_t key, uint16_t asc)
{
    p->action = SCSI_END;
    p->key = key;
    p->asc = asc;
}

void scsi_invalid_field(ScsiPlan *p)
{
    scsi_fail(p, SENSE_ILLEGAL, ASC_INVALID_FIELD);
}

void scsi_reply(ScsiPlan *p, uint32_t len, uint32_t allocated)
{
    p->len = MIN(len, allocated);
    p->action = p->len ? SCSI_REPLY : SCSI_END;
}

void scsi_drive_failed(ScsiPlan *p, bool write, int result)
{
    switch (result) {
    case -ENOMEDIUM: scsi_fail(p, SENSE_NOT_READY, ASC_NO_MEDIUM_CLOSED); break;
    case -EACCES:
    case -EROFS: scsi_fail(p, SENSE_PROTECT, ASC_WRITE_PROTECTED); break;
    case -ENOSPC: scsi_fail(p, SENSE_PROTECT, ASC_NO_SPACE); break;
    case -ENOTSUP: scsi_fail(p, SENSE_ILLEGAL, ASC_INVALID_COMMAND); break;
    case -ENOMEM: scsi_fail(p, SENSE_HARDWARE, ASC_INTERNAL_FAILURE); break;
    default: scsi_fail(p, SENSE_MEDIUM, write ? ASC_WRITE_ERROR : ASC_READ_ERROR);
    }
}

void scsi_sense_data(uint8_t *to, uint8_t key, uint16_t asc)
{
    memset(to, 0, SCSI_SENSE);
    to[0] = 0x70;
    to[2] = key;
    to[7] = SCSI_SENSE - 8;
    store_be16(to + 12, asc);
}

/* ---- The medium ---- */

bool scsi_has_medium(const ScsiUnit *u)
{
    return u->drive && drive_has_medium(u->drive) && !u->tray_open;
}

uint64_t scsi_blocks(const ScsiUnit *u)
{
    int64_t length = u->drive && drive_has_medium(u->drive) ? drive_length(u->drive) : 0;
    return (uint64_t)MAX(length, 0) / u->block;
}

bool scsi_check_range(const ScsiUnit *u, ScsiPlan *p, uint64_t lba, uint64_t n)
{
    uint64_t blocks = scsi_blocks(u);
    if (lba <= blocks && n <= blocks - lba) {
        return true;
    }
    scsi_fail(p, SENSE_ILLEGAL, ASC_OUT_OF_RANGE);
    return false;
}

static void set_tray(ScsiUnit *u, bool open)
{
    if (u->tray_open != open) {
        u->tray_open = open;
        if (u->drive) {
            drive_guest_tray(u->drive, open);
        }
    }
}

static void lock_tray(ScsiUnit *u, bool locked)
{
    u->locked = locked;
    if (u->drive) {
        drive_guest_lock(u->drive, locked);
    }
}

void scsi_media_changed(ScsiUnit *u, bool loaded)
{
    u->tray_open = !loaded;
    u->event = loaded ? EVENT_NEW_MEDIUM : EVENT_REMOVED;
    u->sense = 0;
    u->asc = 0;
    if (loaded) {
        scsi_attention(u, ATTENTION_MEDIUM);
    }
}

/* The eject button: the guest decides while it locks the door. */
void scsi_eject_request(ScsiUnit *u, bool force)
{
    u->event = EVENT_EJECT_REQUEST;
    if (force) {
        u->locked = false;
        set_tray(u, true);
    }
}

/* ---- Unit attentions (SAM-5 §5.14) ---- */

void scsi_attention(ScsiUnit *u, unsigned attention)
{
    u->attentions |= (uint8_t)attention;
}

/* The next one, which then is told. */
static uint16_t take_attention(ScsiUnit *u)
{
    static const uint16_t codes[] = {ASC_RESET, ASC_MEDIUM_CHANGED, ASC_CAPACITY_CHANGED, ASC_UNITS_CHANGED};
    unsigned i = (unsigned)__builtin_ctz(u->attentions);
    u->attentions &= (uint8_t)(u->attentions - 1);
    return codes[i % G_N_ELEMENTS(codes)];
}

/* §6.3 of SAM-5: what was due before is obsolete.  A packet device announces nothing after a reset: its signature does. */
void scsi_unit_reset(ScsiUnit *u)
{
    u->attentions = u->atapi ? 0 : ATTENTION_RESET;
    u->sense = 0;
    u->asc = 0;
    u->event = EVENT_NONE;
    u->stopped = false;
    u->cache_on = u->cache_default;
    lock_tray(u, false);
}

/* ---- Commands about the unit ---- */

static void test_unit_ready(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p) {}

/* SPC-4 §6.39: fixed format only. */
static void request_sense(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    if (cdb[1] & 1 && !u->atapi) {
        scsi_invalid_field(p);
        return;
    }
    uint8_t *r = scsi_buffer(p, SCSI_SENSE);
    if (u->attentions && !u->sense) {
        scsi_sense_data(r, SENSE_ATTENTION, take_attention(u));
    } else {
        scsi_sense_data(r, u->sense, u->asc);
    }
    u->sense = 0;
    u->asc = 0;
    scsi_reply(p, SCSI_SENSE, cdb[4]);
}

/* SBC-3 §5.25, MMC-6 §6.39.  What is in the cache is written before the medium stops. */
static void start_stop(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    enum { START = 1, LOAD_EJECT = 2, NO_FLUSH = 4 };
    bool start = cdb[4] & START, load_eject = cdb[4] & LOAD_EJECT && u->removable;
    if (cdb[4] >> 4) { /* power conditions: active, idle and standby are one to us */
        return;
    }
    if (load_eject && !start && u->locked && !u->tray_open) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_REMOVAL_PREVENTED);
        return;
    }
    if (load_eject) {
        set_tray(u, !start);
        if (start && scsi_has_medium(u)) {
            scsi_attention(u, ATTENTION_MEDIUM);
            u->event = EVENT_NEW_MEDIUM;
        }
    }
    if (!u->cd) {
        u->stopped = !start;
        p->action = start || cdb[4] & NO_FLUSH || !scsi_has_medium(u) || drive_readonly(u->drive) ? SCSI_END : SCSI_FLUSH;
    }
}

/* SPC-4 §6.29 (obsolete there), MMC-6 §6.17. */
static void prevent_allow(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    lock_tray(u, cdb[4] & 1);
}

enum { DISK = 1, CD = 2, MEDIUM = 4, DESPITE_ATTENTION = 8, WRITES = 16, DISCARDS = 32 };

static const struct Op {
    uint8_t code, flags;
    ScsiCommand *run;
    ScsiCommand *parameters;
} ops[] = {
    {0x00, DISK | CD | MEDIUM, test_unit_ready},
    {0x03, DISK | CD | DESPITE_ATTENTION, request_sense},
    {0x08, DISK | CD | MEDIUM, sbc_read_write},
    {0x0a, DISK | MEDIUM | WRITES, sbc_read_write},
    {0x12, DISK | CD | DESPITE_ATTENTION, spc_inquiry},
    {0x15, DISK | CD, spc_mode_select, spc_mode_selected},
    {0x1a, DISK | CD, spc_mode_sense},
    {0x1b, DISK | CD, start_stop},
    {0x1e, DISK | CD, prevent_allow},
    {0x25, DISK | CD | MEDIUM, sbc_read_capacity},
    {0x28, DISK | CD | MEDIUM, sbc_read_write},
    {0x2a, DISK | MEDIUM | WRITES, sbc_read_write},
    {0x2b, CD | MEDIUM, mmc_seek},
    {0x2e, DISK | MEDIUM | WRITES, sbc_read_write},
    {0x2f, DISK | MEDIUM, sbc_verify},
    {0x35, DISK | MEDIUM, sbc_synchronize},
    {0x41, DISK | MEDIUM | WRITES, sbc_write_same, sbc_write_same_data},
    {0x42, DISK | MEDIUM | WRITES | DISCARDS, sbc_unmap, sbc_unmap_list},
    {0x43, CD | MEDIUM, mmc_read_toc},
    {0x46, CD | DESPITE_ATTENTION, mmc_get_configuration},
    {0x4a, CD | DESPITE_ATTENTION, mmc_get_event},
    {0x51, CD | MEDIUM, mmc_read_disc_information},
    {0x55, DISK | CD, spc_mode_select, spc_mode_selected},
    {0x5a, DISK | CD, spc_mode_sense},
    {0x88, DISK | MEDIUM, sbc_read_write},
    {0x8a, DISK | MEDIUM | WRITES, sbc_read_write},
    {0x8e, DISK | MEDIUM | WRITES, sbc_read_write},
    {0x8f, DISK | MEDIUM, sbc_verify},
    {0x91, DISK | MEDIUM, sbc_synchronize},
    {0x93, DISK | MEDIUM | WRITES, sbc_write_same, sbc_write_same_data},
    {0x9e, DISK | MEDIUM, sbc_service_in},
    {0xa8, DISK | CD | MEDIUM, sbc_read_write},
    {0xaa, DISK | MEDIUM | WRITES, sbc_read_write},
    {0xad, CD | MEDIUM, mmc_read_dvd_structure},
    {0xae, DISK | MEDIUM | WRITES, sbc_read_write},
    {0xaf, DISK | MEDIUM, sbc_verify},
    {0xbb, CD, test_unit_ready}, /* SET CD SPEED */
    {0xbd, CD, mmc_mechanism_status},
    {0xbe, CD | MEDIUM, mmc_read_cd},
};

static const struct Op *find_op(const ScsiUnit *u, uint8_t code)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        if (ops[i].code == code) {
            bool known = ops[i].flags & (u->cd ? CD : DISK) && (!(ops[i].flags & DISCARDS) || u->discard_granularity);
            return known ? &ops[i] : NULL;
        }
    }
    return NULL;
}

void scsi_execute(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    const struct Op *op = find_op(u, cdb[0]);
    p->action = SCSI_END;
    p->key = SENSE_NONE;
    if (!op || op->run != request_sense) {
        u->sense = 0;
        u->asc = 0;
    }
    if (!op) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_INVALID_COMMAND);
    } else if (u->attentions && !(op->flags & DESPITE_ATTENTION)) {
        scsi_fail(p, SENSE_ATTENTION, take_attention(u));
    } else if (op->flags & MEDIUM && !scsi_has_medium(u)) {
        scsi_fail(p, SENSE_NOT_READY, u->tray_open ? ASC_NO_MEDIUM_OPEN : ASC_NO_MEDIUM_CLOSED);
    } else if (op->flags & MEDIUM && u->stopped) {
        scsi_fail(p, SENSE_NOT_READY, ASC_NOT_STARTED);
    } else if (op->flags & WRITES && drive_readonly(u->drive)) {
        scsi_fail(p, SENSE_PROTECT, ASC_WRITE_PROTECTED);
    } else {
        op->run(u, cdb, p);
    }
}

/* The medium may have gone since. */
void scsi_parameters(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p)
{
    const struct Op *op = find_op(u, cdb[0]);
    p->action = SCSI_END;
    p->key = SENSE_NONE;
    if (!op || !op->parameters) {
        scsi_fail(p, SENSE_ILLEGAL, ASC_INVALID_COMMAND);
    } else if (op->flags & MEDIUM && !scsi_has_medium(u)) {
        scsi_fail(p, SENSE_NOT_READY, ASC_NO_MEDIUM_CLOSED);
    } else {
        op->parameters(u, cdb, p);
    }
}

// clang-format off
static const Row rows[] = {
    STATE(ScsiUnit, sense, .max = 15),
    STATE(ScsiUnit, asc),
    STATE(ScsiUnit, attentions, .max = ATTENTIONS),
    STATE(ScsiUnit, event, .max = EVENT_REMOVED),
    STATE(ScsiUnit, tray_open, .keep = true),
    STATE(ScsiUnit, locked),
    STATE(ScsiUnit, stopped),
    STATE(ScsiUnit, cache_on),
    END
};
// clang-format on

const DeviceClass scsi_unit_class = {
    .name = "scsi-unit",
    .doc = "State of a logical unit",
    .plain = true,
    .abstract = true,
    .size = sizeof(ScsiUnit),
    .rows = rows,
};
