/* A command on its way between an initiator and a drive. */
#include <string.h>

#include "core/log.h"
#include "hw/scsi/scsi-bus.h"

/* Pieces of what does not go straight between drive and memory, and the most that is copied because memory is no RAM. */
enum { PIECE = 64 << 10, RAW_SECTORS = 16, COPY_MAX = 4 << 20, UNMAP_DESCRIPTOR = 16 };

static void next_step(ScsiTask *t);

/* ---- The end ---- */

static void end(ScsiTask *t, ScsiOutcome outcome)
{
    t->outcome = outcome;
    if (t->dev) {
        *t->link = t->next;
        if (t->next) {
            t->next->link = t->link;
        }
    }
    g_clear_pointer(&t->plan.buffer, g_free);
    g_clear_pointer(&t->copy, g_free);
    TRACE(scsi_end, "%s: target %u, lun %u: %02x ends with %u, sense %x %02x%02x, %" G_GINT64_MODIFIER "u bytes", t->bus->bus->name,
          t->target, t->lun, t->cdb[0], outcome, t->sense[2], t->sense[12], t->sense[13], t->moved);
    t->bus->host->done(t);
}

static void end_with(ScsiTask *t, uint8_t key, uint16_t asc)
{
    t->status = key ? SCSI_CHECK_CONDITION : SCSI_GOOD;
    if (key) {
        scsi_sense_data(t->sense, key, asc);
        t->sense_len = SCSI_SENSE;
    }
    end(t, SCSI_DELIVERED);
}

static void end_planned(ScsiTask *t)
{
    end_with(t, t->plan.key, t->plan.asc);
}

/* ---- The drive answered ---- */

static bool is_write(ScsiAction action)
{
    return action == SCSI_WRITE || action == SCSI_FLUSH || action == SCSI_UNMAP || action == SCSI_FILL || action == SCSI_ZERO;
}

/* Sectors of a CD that were read into `copy`: with their frames to the initiator. */
static void deliver_raw(ScsiTask *t)
{
    uint8_t raw[CD_RAW];
    t->inward = true;
    for (uint64_t i = 0; i < t->step / CD_SECTOR; i++) {
        mmc_frame_sector(raw, t->copy + i * CD_SECTOR, t->plan.at / CD_SECTOR + i);
        t->moved += t->bus->host->deliver(t, t->moved, raw, sizeof raw);
    }
}

static bool same_as_given(ScsiTask *t)
{
    g_autofree uint8_t *given = g_malloc(t->step);
    bool same = t->bus->host->fetch(t, t->moved, given, t->step) == t->step && !memcmp(given, t->copy, t->step);
    t->moved += t->step;
    return same;
}

/* False: that was the end. */
static bool step_done(ScsiTask *t)
{
    ScsiPlan *p = &t->plan;
    switch (p->action) {
    case SCSI_READ:
        if (t->copy) {
            t->bus->host->deliver(t, 0, t->copy, t->step);
        }
        t->moved = t->step;
        t->inward = true;
        break;
    case SCSI_WRITE: t->moved = t->step; break;
    case SCSI_READ_RAW: deliver_raw(t); break;
    case SCSI_COMPARE:
        if (!same_as_given(t)) {
            scsi_fail(p, SENSE_MISCOMPARE, ASC_MISCOMPARE);
            end_planned(t);
            return false;
        }
        break;
    case SCSI_UNMAP:
        memmove(p->buffer, p->buffer + UNMAP_DESCRIPTOR, p->len - UNMAP_DESCRIPTOR);
        p->len -= UNMAP_DESCRIPTOR;
        break;
    case SCSI_FLUSH: p->action = SCSI_END; break;
    default: break;
    }
    p->at += t->step;
    p->bytes -= t->step;
    return true;
}

static void answered(void *arg, int result)
{
    ScsiTask *t = arg;
    ScsiBus *bus = t->bus;
    bool read = t->plan.action == SCSI_READ;
    t->request = NULL;
    /* A read that failed or was given up may have written in part. */
    dma_unmap(bus->adapter->dma, &t->vec, read ? t->vec.bytes : 0);
    if (t->aborted) {
        end(t, SCSI_ABANDONED);
    } else if (result < 0) {
        scsi_drive_failed(&t->plan, is_write(t->plan.action), result);
        end_planned(t);
    } else if (step_done(t)) {
        next_step(t);
    }
    if (bus->host->settle) {
        bus->host->settle(bus);
    } else {
        device_settle(bus->adapter);
    }
}

/* ---- Steps ---- */

/* All of a READ or WRITE in one request, straight to or from memory where that is RAM. */
static void move(ScsiTask *t)
{
    ScsiPlan *p = &t->plan;
    bool read = p->action == SCSI_READ;
    Drive *drive = t->dev->drive;
    uint64_t len = t->step = p->bytes;
    struct iovec copy = {NULL, len}, *iov = &copy;
    unsigned n = 1;
    if (len > (read ? t->in : t->out)) {
        end(t, SCSI_OVERRUN);
        return;
    }
    if (t->bus->host->map(t, read, len, &t->vec)) {
        iov = t->vec.iov;
        n = t->vec.n;
    } else if (len > COPY_MAX || loop_is_queue_thread()) { /* such a thread reaches RAM only */
        guest_error(&t->dev->dev, "%u bytes of data that lie outside of RAM", (unsigned)len);
        end(t, SCSI_BROKEN);
        return;
    } else {
        copy.iov_base = t->copy = g_malloc0(len);
        if (!read) {
            t->bus->host->fetch(t, 0, t->copy, len);
        }
    }
    t->request = read ? drive_readv(drive, (int64_t)p->at, iov, n, answered, t)
                      : drive_writev(drive, (int64_t)p->at, iov, n, p->fua, answered, t);
}

/* The next piece of the medium into `copy`. */
static void load_piece(ScsiTask *t, uint64_t most)
{
    t->step = MIN(t->plan.bytes, most);
    t->copy = t->copy ? t->copy : g_malloc(t->step);
    t->request = drive_read(t->dev->drive, (int64_t)t->plan.at, t->copy, t->step, answered, t);
}

/* Copies of the block in the buffer, as many as go into a piece. */
static void store_piece(ScsiTask *t)
{
    uint32_t block = t->dev->unit.block;
    uint64_t room = MAX(PIECE / block, 1) * block;
    if (!t->copy) {
        uint64_t len = MIN(t->plan.bytes, room);
        t->copy = g_malloc(len);
        for (uint64_t at = 0; at < len; at += block) {
            memcpy(t->copy + at, t->plan.buffer, block);
        }
    }
    t->step = MIN(t->plan.bytes, room);
    const struct iovec iov = {t->copy, t->step};
    t->request = drive_writev(t->dev->drive, (int64_t)t->plan.at, &iov, 1, t->plan.fua, answered, t);
}

static void zero(ScsiTask *t)
{
    ScsiPlan *p = &t->plan;
    t->step = p->bytes;
    t->request = drive_write_zeroes(t->dev->drive, (int64_t)p->at, (int64_t)p->bytes, p->unmap, answered, t);
}

static void unmap(ScsiTask *t)
{
    const uint8_t *d = t->plan.buffer;
    uint32_t block = t->dev->unit.block;
    t->step = 0;
    t->request = drive_discard(t->dev->drive, (int64_t)(load_be64(d) * block), (int64_t)load_be32(d + 8) * block, answered, t);
}

static void reply(ScsiTask *t)
{
    if (t->plan.len > t->in) {
        end(t, SCSI_OVERRUN);
        return;
    }
    t->inward = true;
    t->moved = t->bus->host->deliver(t, 0, t->plan.buffer, t->plan.len);
    end_planned(t);
}

/* Parameters lead to another plan; a plan with a range or a list of them is over when it is empty. */
static void next_step(ScsiTask *t)
{
    ScsiPlan *p = &t->plan;
    switch (p->action) {
    case SCSI_END: end_planned(t); return;
    case SCSI_REPLY: reply(t); return;
    case SCSI_PARAMETERS:
        if (p->len > t->out) {
            end(t, SCSI_OVERRUN);
            return;
        }
        p->buffer = g_realloc(p->buffer, MAX(p->len, SCSI_BUFFER));
        t->moved = t->bus->host->fetch(t, 0, p->buffer, p->len);
        scsi_parameters(&t->dev->unit, t->cdb, p);
        g_assert(p->action != SCSI_PARAMETERS);
        next_step(t);
        return;
    case SCSI_FLUSH:
        t->step = 0;
        t->request = drive_flush(t->dev->drive, answered, t);
        return;
    case SCSI_UNMAP: p->len ? unmap(t) : end_planned(t); return;
    default: break;
    }
    if (!p->bytes) {
        end_planned(t);
        return;
    }
    switch (p->action) {
    case SCSI_READ_RAW:
        if (p->bytes / CD_SECTOR * CD_RAW > t->in - t->moved) {
            end(t, SCSI_OVERRUN);
        } else {
            load_piece(t, RAW_SECTORS * CD_SECTOR);
        }
        break;
    case SCSI_COMPARE:
        if (p->bytes > t->out - t->moved) {
            end(t, SCSI_OVERRUN);
            break;
        } /* fall through */
    case SCSI_VERIFY: load_piece(t, PIECE); break;
    case SCSI_FILL: store_piece(t); break;
    case SCSI_ZERO: zero(t); break;
    default: move(t);
    }
}

/* ---- What a target answers without a unit (SPC-4 §6.33; SAM-5 §4.8.3) ---- */

static void put_lun(uint8_t *p, unsigned lun)
{
    store_be16(p, lun < 256 ? lun : 0x4000 | lun);
}

static void report_luns(ScsiTask *t)
{
    enum { HEADER = 8, SHORTEST = 16, ALL = 2, LISTED = SCSI_BUFFER / 8 - 2 };
    ScsiPlan *p = &t->plan;
    const GPtrArray *devices = t->bus->units;
    uint32_t allocated = load_be32(t->cdb + 6);
    if (t->cdb[2] > ALL || allocated < SHORTEST) {
        end_with(t, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    uint8_t *r = scsi_buffer(p, SCSI_BUFFER);
    uint32_t n = HEADER;
    if (t->cdb[2] != 1) {                   /* 1: well-known units only, of which there is none */
        n += 8;                             /* LUN 0, which answers even where it is not there */
        for (unsigned i = 0; i < devices->len && n < LISTED * 8; i++) {
            const ScsiDevice *d = g_ptr_array_index(devices, i);
            if (d->bus && d->channel == t->channel && (unsigned)d->scsi_id == t->target && d->lun) {
                put_lun(r + n, (unsigned)d->lun);
                n += 8;
            }
        }
    }
    store_be32(r, n - HEADER);
    scsi_reply(p, n, allocated);
    reply(t);
}

/* A target, but no unit there: INQUIRY says so in its own way. */
static void no_unit(ScsiTask *t)
{
    enum { INQUIRY = 0x12, REQUEST_SENSE = 0x03, NOT_CAPABLE = 0x7f };
    ScsiPlan *p = &t->plan;
    uint8_t *r = scsi_buffer(p, 36);
    if (t->cdb[0] == INQUIRY && !t->cdb[2] && !(t->cdb[1] & 1)) {
        r[0] = NOT_CAPABLE;
        r[2] = 6;
        r[3] = 2;
        r[4] = 36 - 5;
        scsi_reply(p, 36, load_be16(t->cdb + 3));
    } else if (t->cdb[0] == REQUEST_SENSE) {
        scsi_sense_data(r, SENSE_ILLEGAL, ASC_NO_SUCH_UNIT);
        scsi_reply(p, SCSI_SENSE, t->cdb[4]);
    } else {
        end_with(t, SENSE_ILLEGAL, ASC_NO_SUCH_UNIT);
        return;
    }
    reply(t);
}

void scsi_start(ScsiBus *bus, ScsiTask *t)
{
    enum { REPORT_LUNS = 0xa0 };
    ScsiDevice *d = scsi_find(bus, t->channel, t->target, t->lun);
    t->bus = bus;
    TRACE(scsi_command, "%s: target %u, lun %u: %02x %02x %02x %02x %02x %02x %02x %02x %02x %02x, %" G_GINT64_MODIFIER
          "u bytes out, %" G_GINT64_MODIFIER "u in", bus->bus->name, t->target, t->lun, t->cdb[0], t->cdb[1], t->cdb[2],
          t->cdb[3], t->cdb[4], t->cdb[5], t->cdb[6], t->cdb[7], t->cdb[8], t->cdb[9], t->out, t->in);
    if (!scsi_has_target(bus, t->channel, t->target)) {
        end(t, SCSI_NO_TARGET);
    } else if (t->cdb[0] == REPORT_LUNS && (d || !t->lun)) {
        report_luns(t);
    } else if (!d) {
        no_unit(t);
    } else {
        t->dev = d;
        t->next = d->tasks;
        t->link = &d->tasks;
        if (t->next) {
            t->next->link = &t->next;
        }
        d->tasks = t;
        scsi_execute(&d->unit, t->cdb, &t->plan);
        next_step(t);
    }
}

void scsi_abort(ScsiTask *t)
{
    if (!t->aborted) {
        t->aborted = true;
        drive_cancel(t->request);
    }
}
