/* Floppy disk controller 82078: the commands that move sectors, one sector after the other.
 *
 * A transfer is always in one stage (enum Stage); fdc_run goes from stage to stage until the host
 * has to move bytes or the back end works.  While a request is in flight the stage still says what
 * it is for, so that a snapshot taken then simply repeats it. */
#include "hw/storage/i82078-internal.h"

/* ---- Transfers: one sector after the other ---- */

static bool multi_track(const Fdc *s)
{
    return s->fifo[0] & CMD_MT;
}

static uint8_t last_sector(const Fdc *s)
{
    return s->fifo[6]; /* EOT */
}

/* Whether the medium can be read at all with this side and rate; ST1 otherwise.  The encoding is
 * not looked at: no image says how it was recorded, and not every driver sets MFM. */
static uint8_t medium_error(const Fdc *s, const FloppyFormat *format)
{
    bool readable = format && floppy_reads_at(format, s->rate) && s->side < format->heads;
    return readable ? 0 : ST1_MA;
}

/* Compare the ID that is looked for with what passes under the head (§6.1.1).  True: *offset is its
 * data. */
static bool search(Fdc *s, const Floppy *f, const FloppyFormat *format, int64_t *offset)
{
    bool cylinder = floppy_on_cylinder(f, format, s->c);
    if (cylinder && s->h == s->side && s->n == SIZE_CODE && s->r > 0 && s->r <= format->sectors) {
        *offset = floppy_offset(format, s->c, s->side, s->r);
        return true;
    }
    fdc_finish(s, ST0_FAIL, ST1_ND, cylinder ? 0 : s->c == 0xff ? ST2_BC | ST2_WC : ST2_WC);
    return false;
}

static void disk_done(void *arg, int result)
{
    Fdc *s = arg;
    s->inflight = NULL;
    if (s->stale) {
        s->stale = false;
    } else if (result < 0 && result != -EACCES) {
        fdc_finish(s, ST0_FAIL, ST1_DE, 0);
    } else if (result < 0) {
        fdc_finish(s, ST0_FAIL, ST1_NW, 0);
    } else {
        s->stage = s->stage == STORE || fdc_command_of(s->fifo[0])->move == VERIFY ? NEXT : HOST;
    }
    device_settle(&s->dev);
}

/* Images shorter than their format read as zeroes behind their end. */
static void load_sector(Fdc *s, Floppy *f, int64_t offset)
{
    s->pos = 0;
    s->order = 0;
    int64_t here = drive_length(f->drive) - offset;
    if (here >= FLOPPY_SECTOR) {
        s->inflight = drive_read(f->drive, offset, s->buffer, FLOPPY_SECTOR, disk_done, s);
        return;
    }
    memset(s->buffer, 0, sizeof(s->buffer));
    s->stage = fdc_command_of(s->fifo[0])->move == VERIFY ? NEXT : HOST;
}

/* SEARCH: find the next sector, or end the command. */
static void step_search(Fdc *s, const Command *cmd)
{
    Floppy *f = fdc_drive(s, fdc_unit(s));
    const FloppyFormat *format = f ? floppy_format(f) : NULL;
    uint8_t error = medium_error(s, format);
    int64_t offset;
    if (error) {
        fdc_finish(s, ST0_FAIL, error, 0);
        return;
    }
    if ((cmd->move == WRITE || cmd->move == FORMAT) && floppy_write_protected(f)) {
        fdc_finish(s, ST0_FAIL, ST1_NW, 0);
        return;
    }
    if (cmd->move == FORMAT) {
        s->pos = 0;
        s->stage = HOST;
        return;
    }
    if (cmd->move == TRACK) { /* takes what comes, and notes whether it was what was asked for */
        unsigned physical = last_sector(s) - s->left + 1u;
        if (physical > format->sectors) {
            fdc_finish(s, ST0_FAIL, ST1_MA, 0);
            return;
        }
        s->st1 |= s->r != physical || s->h != s->side || !floppy_on_cylinder(f, format, s->c)
                      ? ST1_ND
                      : 0;
        unsigned cylinder = floppy_on_cylinder(f, format, s->c) ? s->c : f->track;
        if (cylinder >= format->tracks) {
            fdc_finish(s, ST0_FAIL, ST1_MA, 0);
            return;
        }
        load_sector(s, f, floppy_offset(format, cylinder, s->side, physical));
        return;
    }
    if (!search(s, f, format, &offset)) {
        return;
    }
    if (cmd->move == WRITE) {
        s->pos = 0;
        s->stage = HOST;
        return;
    }
    if (floppy_deleted(f, offset) != cmd->deleted) { /* §6.1.1 table: the other kind of data mark */
        s->st2 |= ST2_CM;
        if (s->fifo[0] & CMD_SK) {
            s->stage = NEXT;
            return;
        }
    }
    load_sector(s, f, offset);
}

/* HOST, for SCAN (§6.1.7): the first difference decides, ff from the host matches anything. */
static void scan_end(Fdc *s)
{
    uint8_t code = s->fifo[0] & 0x1f;
    bool met = !s->order || (code == 0x19 && s->order < 0) || (code == 0x1d && s->order > 0);
    if (met) {
        fdc_finish(s, 0, 0, s->order ? 0 : ST2_SH);
    } else {
        s->stage = NEXT;
    }
}

/* STORE: the buffer goes to the medium; for FORMAT, its first four bytes say where the new sector
 * is. */
static void step_store(Fdc *s, const Command *cmd)
{
    Floppy *f = fdc_drive(s, fdc_unit(s));
    const FloppyFormat *format = f ? floppy_format(f) : NULL;
    int64_t offset;
    if (!format) {
        fdc_finish(s, ST0_FAIL, ST1_MA, 0);
        return;
    }
    if (!floppy_on_cylinder(f, format, s->c) || s->side >= format->heads || s->n != SIZE_CODE ||
        s->r == 0 || s->r > format->sectors || s->h != s->side) {
        s->stage = NEXT; /* FORMAT: an image has no place for such a sector; it will not be found */
        return;
    }
    offset = floppy_offset(format, s->c, s->side, s->r);
    floppy_set_deleted(f, offset, cmd->deleted);
    s->inflight = drive_write(f->drive, offset, s->buffer, FLOPPY_SECTOR, disk_done, s);
}

/* To the ID after this one (§6.1.1, "result phase table").  True: that was the last. */
static bool next_id(Fdc *s, const Command *cmd)
{
    unsigned step = cmd->move == SCAN && s->fifo[8] == 2 ? 2 : 1;
    if (s->r + step <= last_sector(s) || (s->r > last_sector(s) && s->r < UINT8_MAX)) {
        s->r = (uint8_t)(s->r + step);
        return false;
    }
    s->r = 1;
    if (multi_track(s)) {
        s->h ^= 1;
        s->side ^= 1;
        if (s->side) {
            return false;
        }
        s->c++;
        return true;
    }
    s->c++;
    return true;
}

/* NEXT: another sector, or the end. */
static void step_next(Fdc *s, const Command *cmd)
{
    uint8_t side = s->side;
    bool counted = cmd->move == FORMAT || cmd->move == TRACK ||
                   (cmd->move == VERIFY && (s->fifo[1] & VERIFY_EC));
    bool last_counted = counted && --s->left == 0;
    s->stage = SEARCH;
    if (cmd->move == FORMAT || cmd->move == TRACK) {
        s->r = (uint8_t)(s->r + (cmd->move == TRACK));
        if (last_counted || s->tc) {
            fdc_finish(s, 0, 0, 0);
        }
        return;
    }
    if ((s->st2 & ST2_CM) && !(s->fifo[0] & CMD_SK)) {
        fdc_finish(s, 0, 0, 0);
        return;
    }
    bool ended = next_id(s, cmd);
    if (!s->tc && !last_counted && !ended) {
        return;
    }
    s->side = side; /* ST0 names the head of the last sector */
    if (cmd->move == SCAN) {
        fdc_finish(s, 0, 0, ST2_SN);
    } else if (s->tc || last_counted || (cmd->move == VERIFY && !counted) ||
               !(s->dor & DOR_NDMAGATE)) {
        /* With the DMA gate closed TC cannot come either: the last sector is the end. */
        fdc_finish(s, 0, 0, 0);
    } else {
        fdc_finish(s, ST0_FAIL, ST1_EN, 0);
    }
}

/* Go on until the host or the back end has to do something. */
void fdc_run(Fdc *s)
{
    while (s->phase == EXECUTION && !s->inflight && s->stage != HOST) {
        const Command *cmd = fdc_command_of(s->fifo[0]);
        switch (s->stage) {
        case SEARCH: step_search(s, cmd); break;
        case STORE: step_store(s, cmd); break;
        default: step_next(s, cmd); break;
        }
    }
}

static void start_transfer(Fdc *s)
{
    s->phase = EXECUTION;
    s->stage = SEARCH;
    s->side = s->fifo[1] >> 2 & 1;
    s->st0 = s->st1 = s->st2 = 0;
    s->tc = false;
}

void fdc_do_transfer(Fdc *s)
{
    const Command *cmd = fdc_command_of(s->fifo[0]);
    start_transfer(s);
    s->c = s->fifo[2];
    s->h = s->fifo[3];
    s->r = s->fifo[4];
    s->n = s->fifo[5];
    s->left = cmd->move == VERIFY && (s->fifo[1] & VERIFY_EC) ? s->fifo[8] : last_sector(s);
    Floppy *f = fdc_drive(s, fdc_unit(s));
    if ((s->config[0] & CFG_EIS) && f && floppy_format(f) && s->c != s->pcn[fdc_unit(s)]) {
        uint8_t before = s->seek_end;
        fdc_seek(s, fdc_unit(s), s->c, false);
        s->seek_end = before; /* told by the result phase instead */
        s->st0 |= ST0_SEEK_END;
    }
    if (f && !floppy_format(f)) { /* no ID tells where the head is: it stands where it was wanted */
        uint8_t before = s->seek_end;
        fdc_seek(s, fdc_unit(s), s->c, false);
        s->seek_end = before;
    }
    if (cmd->move == TRACK && !s->left) {
        fdc_finish(s, 0, 0, 0);
    }
}

void fdc_do_format(Fdc *s)
{
    start_transfer(s);
    s->c = s->pcn[fdc_unit(s)];
    s->h = s->side;
    s->r = 1;
    s->n = s->fifo[2];
    s->left = s->fifo[3];
    if (!s->left) {
        fdc_finish(s, 0, 0, 0);
    }
}

/* Whatever ID passes next: the disk turns with the clock, five times a second.  An empty drive,
 * which would keep a driver waiting for an index pulse, tells where its head is. */
void fdc_do_read_id(Fdc *s)
{
    Floppy *f = fdc_drive(s, fdc_unit(s));
    const FloppyFormat *format = f ? floppy_format(f) : NULL;
    start_transfer(s);
    if (f && !format) {
        s->c = f->track;
        s->h = s->side;
        s->r = 1;
        s->n = SIZE_CODE;
        fdc_finish(s, 0, 0, 0);
        return;
    }
    uint8_t error = medium_error(s, format);
    unsigned cylinder = f && format && floppy_on_cylinder(f, format, f->track) ? f->track
                        : f                                                    ? f->track / 2u
                                                                               : 0;
    if (error || !floppy_on_cylinder(f, format, cylinder)) {
        fdc_finish(s, ST0_FAIL, ST1_MA, 0);
        return;
    }
    int64_t turn = NS_PER_SECOND / 5;
    s->c = (uint8_t)cylinder;
    s->h = s->side;
    s->r =
        (uint8_t)(1 + muldiv64((uint64_t)(now(&s->dev) % turn), format->sectors, (uint64_t)turn));
    s->n = SIZE_CODE;
    fdc_finish(s, 0, 0, 0);
}

/* ---- The host's side of a transfer ---- */

bool fdc_executing(const Fdc *s)
{
    return s->phase == EXECUTION && s->stage == HOST;
}

size_t fdc_window(Fdc *s, uint8_t **bytes, bool *to_host)
{
    if (!fdc_executing(s)) {
        return 0;
    }
    uint8_t move = fdc_command_of(s->fifo[0])->move;
    size_t size = move == FORMAT ? 4 : FLOPPY_SECTOR;
    *bytes = (move == SCAN ? s->host : s->buffer) + s->pos;
    *to_host = move == READ || move == TRACK;
    return s->pos < size ? size - s->pos : 0;
}

static void scan_compare(Fdc *s, size_t n)
{
    for (size_t i = s->pos; i < s->pos + n && !s->order; i++) {
        if (s->host[i] != 0xff && s->buffer[i] != s->host[i]) {
            s->order = s->buffer[i] < s->host[i] ? -1 : 1;
        }
    }
}

/* The host's share of this sector is done: terminal count in the middle of a write fills up with
 * zeroes (§5.2.3). */
static void host_done(Fdc *s, uint8_t move)
{
    switch (move) {
    case SCAN: scan_end(s); break;
    case WRITE:
        memset(s->buffer + s->pos, 0, sizeof(s->buffer) - s->pos);
        s->stage = STORE;
        break;
    case FORMAT:
        s->c = s->buffer[0];
        s->h = s->buffer[1];
        s->r = s->buffer[2];
        s->n = s->buffer[3];
        memset(s->buffer, s->fifo[5], sizeof(s->buffer));
        s->stage = s->pos == 4 ? STORE : NEXT;
        break;
    default: s->stage = NEXT; break;
    }
}

void fdc_moved(Fdc *s, size_t n, bool tc)
{
    uint8_t *bytes, move = fdc_command_of(s->fifo[0])->move;
    bool to_host;
    if (!n) {
        return;
    }
    if (move == SCAN) {
        scan_compare(s, n);
    }
    s->pos = (uint16_t)(s->pos + n);
    s->tc = tc;
    if (tc || !fdc_window(s, &bytes, &to_host)) {
        host_done(s, move);
        fdc_run(s);
    }
}
