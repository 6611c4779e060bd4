/* Floppy disk controller, Intel 82078 (64-pin, data sheet 290474), in PC-AT mode; section numbers
 * are that data sheet's.
 *
 * A transfer runs as fast as its host and its back end can: nothing is lost because a guest is slow
 * (no overrun), and nothing waits for a disk to turn.  Commands that would wait for an index pulse
 * that never comes (no medium) end with "missing address mark" at once.  The motor bits are kept
 * and reported, but a drive reads without them too: there is nothing to spin up. */
#include "hw/storage/i82078-internal.h"

enum { DOR_SELECT = 3, DOR_NRESET = 4 };
enum { MSR_BUSY = 0x10, MSR_NONDMA = 0x20, MSR_DIO = 0x40, MSR_RQM = 0x80 };
enum { DSR_RATE = 3, DSR_RESET = 0x80, DIR_CHANGED = 0x80 };

Floppy *fdc_drive(const Fdc *s, unsigned select)
{
    return select < FLOPPY_UNITS ? s->cable.unit[select] : NULL;
}

/* The drive that the running or last command names. */
unsigned fdc_unit(const Fdc *s)
{
    return s->fifo[1] & 3;
}

/* Bytes go through the FIFO when SPECIFY says so, and while the DMA gate is closed: nobody would
 * hear DRQ.  The gate does not hold INT off (§2.1.3 has it so in AT mode only): drivers without DMA
 * leave it closed and want their interrupt. */
static bool programmed_io(const Fdc *s)
{
    return (s->specify[1] & SPECIFY_ND) || !(s->dor & DOR_NDMAGATE);
}

/* ---- Results ---- */

void fdc_to_command(Fdc *s)
{
    s->phase = COMMAND;
    s->fifo_n = s->fifo_pos = 0;
}

void fdc_to_result(Fdc *s, unsigned n)
{
    s->phase = RESULT;
    s->fifo_n = (uint8_t)n;
    s->fifo_pos = 0;
}

static void result_byte(Fdc *s, uint8_t v)
{
    s->fifo[0] = v;
    fdc_to_result(s, 1);
}

/* §6: ST0-2 and the ID, with an interrupt. */
void fdc_finish(Fdc *s, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t result[] = {s->st0 | st0 | (uint8_t)(s->side << 2) | (uint8_t)fdc_unit(s),
                        s->st1 | st1,
                        s->st2 | st2,
                        s->c,
                        s->h,
                        s->r,
                        s->n};
    memcpy(s->fifo, result, sizeof(result));
    fdc_to_result(s, sizeof(result));
    s->result_irq = true;
}

/* ---- Positioning (§6.2.1 ff) ---- */

/* Steps, and what SENSE INTERRUPT will say.  A drive that is not there never shows track 0. */
void fdc_seek(Fdc *s, unsigned select, int to, bool recalibrate)
{
    Floppy *f = fdc_drive(s, select);
    uint8_t bit = (uint8_t)(1u << select);
    if (f) {
        floppy_step_to(f, (unsigned)MAX(recalibrate ? 0 : f->track + to - s->pcn[select], 0));
    }
    s->pcn[select] = (uint8_t)to;
    s->seek_end |= bit;
    s->seek_failed = (uint8_t)(recalibrate && !f ? s->seek_failed | bit : s->seek_failed & ~bit);
}

static void do_recalibrate(Fdc *s)
{
    fdc_seek(s, fdc_unit(s), 0, true);
    fdc_to_command(s);
}

static void do_seek(Fdc *s)
{
    fdc_seek(s, fdc_unit(s), s->fifo[2], false);
    fdc_to_command(s);
}

static void do_relative_seek(Fdc *s)
{
    int steps = s->fifo[0] & 0x40 ? s->fifo[2] : -s->fifo[2]; /* DIR: towards the hub */
    fdc_seek(s, fdc_unit(s), CLAMP(s->pcn[fdc_unit(s)] + steps, 0, UINT8_MAX), false);
    fdc_to_command(s);
}

/* After a reset by polling, each drive once; then seeks; nothing to tell makes it an invalid
 * command. */
static void do_sense_interrupt(Fdc *s)
{
    uint8_t all = s->polled ? s->polled : s->seek_end;
    if (!all) {
        result_byte(s, ST0_INVALID);
        return;
    }
    unsigned d = (unsigned)__builtin_ctz(all);
    uint8_t bit = (uint8_t)(1u << d);
    if (s->polled) {
        s->fifo[0] = ST0_POLLED | (uint8_t)d;
        s->polled &= (uint8_t)~bit;
    } else {
        s->fifo[0] = ST0_SEEK_END | (uint8_t)d | (s->seek_failed & bit ? ST0_FAIL | ST0_EC : 0);
        s->seek_end &= (uint8_t)~bit;
    }
    s->fifo[1] = s->pcn[d];
    fdc_to_result(s, 2);
}

static void do_sense_drive(Fdc *s)
{
    const Floppy *f = fdc_drive(s, fdc_unit(s));
    uint8_t st3 = 0x28 | (s->fifo[1] & 7); /* bits 5 and 3 are always one */
    if (f) {
        st3 |= (f->track == 0 ? 0x10 : 0) | (floppy_write_protected(f) ? 0x40 : 0);
    }
    result_byte(s, st3);
}

/* ---- Settings ---- */

static void do_specify(Fdc *s)
{
    memcpy(s->specify, &s->fifo[1], sizeof(s->specify));
    fdc_to_command(s);
}

static void do_configure(Fdc *s)
{
    s->config[0] = s->fifo[2] & 0x7f;
    s->config[1] = s->fifo[3];
    fdc_to_command(s);
}

static void do_perpendicular(Fdc *s)
{
    uint8_t v = s->fifo[1], drives = v & PERP_OW ? v & 0x3c : s->perpendicular & 0x3c;
    s->perpendicular = drives | (v & 3);
    fdc_to_command(s);
}

static void do_lock(Fdc *s)
{
    s->lock = s->fifo[0] & 0x80;
    result_byte(s, (uint8_t)(s->lock << 4));
}

static void do_version(Fdc *s)
{
    result_byte(s, VERSION_ENHANCED);
}

static void do_part_id(Fdc *s)
{
    result_byte(s, PART_64PIN_STEP1);
}

static void do_powerdown(Fdc *s)
{
    s->powerdown = s->fifo[1] & 0x37;
    result_byte(s, s->powerdown);
}

static void do_option(Fdc *s)
{
    s->option = s->fifo[1];
    fdc_to_command(s);
}

static uint8_t lock_perpendicular(const Fdc *s)
{
    return (uint8_t)(s->lock << 7) | s->perpendicular;
}

static void do_dumpreg(Fdc *s)
{
    uint8_t dump[10] = {s->pcn[0],     s->pcn[1],     s->pcn[2], s->pcn[3],
                        s->specify[0], s->specify[1], s->left,   lock_perpendicular(s),
                        s->config[0],  s->config[1]};
    memcpy(s->fifo, dump, sizeof(dump));
    fdc_to_result(s, sizeof(dump));
}

static void do_save(Fdc *s)
{
    uint8_t dump[16] = {0,
                        s->dsr & 0x1f,
                        s->pcn[0],
                        s->pcn[1],
                        s->pcn[2],
                        s->pcn[3],
                        s->specify[0],
                        s->specify[1],
                        s->left,
                        lock_perpendicular(s),
                        s->config[0],
                        s->config[1],
                        s->powerdown};
    memcpy(s->fifo, dump, sizeof(dump));
    fdc_to_result(s, sizeof(dump));
}

static void do_restore(Fdc *s)
{
    const uint8_t *v = &s->fifo[1];
    s->dsr = v[1] & 0x1f;
    memcpy(s->pcn, &v[2], sizeof(s->pcn));
    memcpy(s->specify, &v[6], sizeof(s->specify));
    s->left = v[8];
    s->lock = v[9] & 0x80;
    s->perpendicular = v[9] & 0x3f;
    s->config[0] = v[10] & 0x7f;
    s->config[1] = v[11];
    s->powerdown = v[12] & 0x37;
    fdc_to_command(s);
}

/* Up to five bytes, the last with DN; without NRP, four come back.  The drives' types are fixed
 * here. */
static void do_drive_specification(Fdc *s)
{
    if (s->fifo[s->fifo_n - 1] & 0x40) {
        fdc_to_command(s);
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        s->fifo[i] = (uint8_t)(i << 5);
    }
    fdc_to_result(s, 4);
}

/* ---- Commands (§5.1, table 5-1) ---- */

static const Command commands[] = {
    {0x1f, 0x06, 8, READ, false, fdc_do_transfer},
    {0x1f, 0x0c, 8, READ, true, fdc_do_transfer},
    {0x3f, 0x05, 8, WRITE, false, fdc_do_transfer},
    {0x3f, 0x09, 8, WRITE, true, fdc_do_transfer},
    {0xbf, 0x02, 8, TRACK, false, fdc_do_transfer},
    {0x1f, 0x16, 8, VERIFY, false, fdc_do_transfer},
    {0xbf, 0x0d, 5, FORMAT, false, fdc_do_format},
    {0x1f, 0x11, 8, SCAN, false, fdc_do_transfer},
    {0x1f, 0x19, 8, SCAN, false, fdc_do_transfer},
    {0x1f, 0x1d, 8, SCAN, false, fdc_do_transfer},
    {0xbf, 0x0a, 1, MOVE_NONE, false, fdc_do_read_id},
    {0xff, 0x07, 1, MOVE_NONE, false, do_recalibrate},
    {0xff, 0x08, 0, MOVE_NONE, false, do_sense_interrupt},
    {0xff, 0x03, 2, MOVE_NONE, false, do_specify},
    {0xff, 0x04, 1, MOVE_NONE, false, do_sense_drive},
    {0xff, 0x0f, 2, MOVE_NONE, false, do_seek},
    {0xbf, 0x8f, 2, MOVE_NONE, false, do_relative_seek},
    {0xff, 0x13, 3, MOVE_NONE, false, do_configure},
    {0xff, 0x10, 0, MOVE_NONE, false, do_version},
    {0xff, 0x0e, 0, MOVE_NONE, false, do_dumpreg},
    {0xff, 0x12, 1, MOVE_NONE, false, do_perpendicular},
    {0x7f, 0x14, 0, MOVE_NONE, false, do_lock},
    {0xff, 0x18, 0, MOVE_NONE, false, do_part_id},
    {0xff, 0x17, 1, MOVE_NONE, false, do_powerdown},
    {0xff, 0x33, 1, MOVE_NONE, false, do_option},
    {0xff, 0x2e, 0, MOVE_NONE, false, do_save},
    {0xff, 0x4e, 16, MOVE_NONE, false, do_restore},
    {0xff, 0x8e, 5, MOVE_NONE, false, do_drive_specification},
};

static void do_invalid(Fdc *s)
{
    guest_error(&s->dev, "invalid command %02x", s->fifo[0]);
    result_byte(s, ST0_INVALID);
}

const Command *fdc_command_of(uint8_t code)
{
    static const Command invalid = {0, 0, 0, MOVE_NONE, false, do_invalid};
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if ((code & commands[i].mask) == commands[i].code) {
            return &commands[i];
        }
    }
    return &invalid;
}

static void fifo_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Fdc *s = dev;
    uint8_t *bytes;
    bool to_host;
    if (!(s->dor & DOR_NRESET)) {
        return;
    }
    if (s->phase == EXECUTION && programmed_io(s) && fdc_window(s, &bytes, &to_host) && !to_host) {
        *bytes = (uint8_t)value;
        fdc_moved(s, 1, false);
        return;
    }
    if (s->phase != COMMAND) {
        guest_error(&s->dev, "byte %02x written outside of the command phase", (unsigned)value);
        return;
    }
    if (s->fifo_n < sizeof(s->fifo)) {
        s->fifo[s->fifo_n++] = (uint8_t)value;
    }
    const Command *cmd = fdc_command_of(s->fifo[0]);
    bool early = cmd->execute == do_drive_specification && s->fifo_n > 1 && (value & 0x80);
    if (s->fifo_n > cmd->params || early) {
        cmd->execute(s);
    }
}

static bool pio_to_host(const Fdc *s)
{
    uint8_t *bytes;
    bool to_host;
    return programmed_io(s) && fdc_window((Fdc *)s, &bytes, &to_host) && to_host;
}

static uint64_t fifo_get(const void *dev, unsigned arg, unsigned i)
{
    const Fdc *s = dev;
    if (s->phase == RESULT) {
        return s->fifo[MIN(s->fifo_pos, FDC_COMMAND_MAX - 1u)];
    }
    return pio_to_host(s) ? s->buffer[s->pos] : 0;
}

static void fifo_read(void *dev, unsigned arg, unsigned i)
{
    Fdc *s = dev;
    if (s->phase == RESULT) {
        if (++s->fifo_pos >= s->fifo_n) {
            s->result_irq = false; /* a driver may look at the line between two bytes */
            fdc_to_command(s);
        }
    } else if (pio_to_host(s)) {
        fdc_moved(s, 1, false);
    } else {
        guest_error(&s->dev, "data read while there is none");
    }
}

/* ---- Registers (§2.1) ---- */

/* §4: pending work is forgotten; the FIFO's settings too, unless locked. */
static void chip_reset(Fdc *s)
{
    if (s->inflight) {
        drive_cancel(s->inflight);
        s->stale = true;
    }
    fdc_to_command(s);
    s->result_irq = s->tc = false;
    s->seek_end = s->seek_failed = 0;
    s->perpendicular &= 0x3c;
    if (s->lock) {
        s->config[0] &= 0x2f;
    } else {
        s->config[0] = CFG_RESET;
        s->config[1] = 0;
    }
    s->polled = 0;
}

static void reset_ends(Fdc *s)
{
    s->polled = s->config[0] & CFG_POLL ? 0 : 0x0f;
}

static void dor_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Fdc *s = dev;
    if (old & ~value & DOR_NRESET) {
        chip_reset(s);
    } else if (value & ~old & DOR_NRESET) {
        reset_ends(s);
    }
}

static void dsr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Fdc *s = dev;
    s->dsr = value & 0x5f;
    s->rate = value & DSR_RATE;
    if ((value & DSR_RESET) && (s->dor & DOR_NRESET)) {
        chip_reset(s);
        reset_ends(s);
    }
}

static uint64_t msr(const void *dev, unsigned arg, unsigned i)
{
    const Fdc *s = dev;
    uint8_t *bytes, v = s->seek_end;
    bool to_host = false, pio = programmed_io(s);
    if (!(s->dor & DOR_NRESET)) {
        return 0;
    }
    switch (s->phase) {
    case COMMAND: return v | MSR_RQM | (s->fifo_n ? MSR_BUSY : 0);
    case RESULT: return v | MSR_RQM | MSR_DIO | MSR_BUSY;
    default:
        v |= MSR_BUSY | (pio ? MSR_NONDMA : 0);
        if (pio && fdc_window((Fdc *)s, &bytes, &to_host)) {
            v |= MSR_RQM | (to_host ? MSR_DIO : 0);
        }
        return v;
    }
}

static bool interrupting(const Fdc *s)
{
    return s->result_irq || s->polled || s->seek_end || (fdc_executing(s) && programmed_io(s));
}

static uint64_t sra(const void *dev, unsigned arg, unsigned i)
{
    const Fdc *s = dev;
    const Floppy *f = fdc_drive(s, s->dor & DOR_SELECT);
    return (interrupting(s) ? 0x80 : 0) | (s->cable.unit[1] ? 0 : 0x40) |
           (f && f->track == 0 ? 0 : 0x10) | s->side << 3 | 0x04 |
           (f && floppy_write_protected(f) ? 0 : 0x02);
}

static uint64_t srb(const void *dev, unsigned arg, unsigned i)
{
    const Fdc *s = dev;
    return 0xc0 | (s->dor & 1) << 5 | (s->dor >> 4 & 3);
}

static uint64_t dir(const void *dev, unsigned arg, unsigned i)
{
    const Fdc *s = dev;
    const Floppy *f = fdc_drive(s, s->dor & DOR_SELECT);
    return f && f->type != FLOPPY_NONE && floppy_disk_changed(f) ? DIR_CHANGED : 0;
}

static void ccr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Fdc *s = dev;
    s->rate = value & DSR_RATE;
}

/* ---- The whole ---- */

static void fdc_reset(void *dev, bool power_on)
{
    Fdc *s = dev;
    if (s->inflight) {
        drive_cancel(s->inflight);
        s->stale = true;
    }
    s->config[0] = CFG_RESET;
}

/* A snapshot is a stranger: a transfer goes on only if its command is one and its position fits. */
static bool plausible(const Fdc *s)
{
    uint8_t move = fdc_command_of(s->fifo[0])->move;
    return move != MOVE_NONE && s->pos <= (move == FORMAT && s->stage == HOST ? 4u : FLOPPY_SECTOR);
}

static void fdc_update(void *dev)
{
    Fdc *s = dev;
    if (s->phase == EXECUTION && !plausible(s)) {
        fdc_to_command(s);
    }
    fdc_run(s);
    irq_set(&s->irq, interrupting(s));
    irq_set(&s->drq, fdc_executing(s) && !programmed_io(s));
}

// clang-format off
static const Row rows[] = {
    CALC(sra, 1, 0, .ro = true, .get = sra, .bits = "DIR nWP nINDX HDSEL nTRK0 STEP nDRV2 INT", .doc = "Status A"),
    CALC(srb, 1, 1, .ro = true, .get = srb, .bits = "MOT0 MOT1 WE RDDATA WRDATA SEL0", .doc = "Status B"),
    /* The pin's reset would leave 00; a machine without firmware starts with what firmware leaves. */
    REG(Fdc, dor, 2, .rw = 0xff, .reset = DOR_NRESET | DOR_NDMAGATE, .on_write = dor_write, .bits = "DSEL0 DSEL1 nRESET nDMAGATE MOT0 MOT1 MOT2 MOT3",
        .doc = "Digital output"),
    REG(Fdc, tdr, 3, .rw = 0x03, .max = 3, .doc = "Tape drive"),
    CALC(msr, 1, 4, .ro = true, .get = msr, .bits = "BUSY0 BUSY1 BUSY2 BUSY3 CB NDMA DIO RQM", .doc = "Main status"),
    CALC(dsr_port, 1, 4, .wo = true, .on_write = dsr_write, .doc = "Data rate select"),
    CALC(data, 1, 5, .get = fifo_get, .on_read = fifo_read, .on_write = fifo_write, .doc = "FIFO"),
    CALC(dir, 1, 7, .ro = true, .get = dir, .bits = "- - - - - - - DSKCHG", .doc = "Digital input"),
    CALC(ccr, 1, 7, .wo = true, .on_write = ccr_write, .doc = "Configuration control"),

    STATE(Fdc, dsr, .reset = RATE_250K, .max = 0x5f),
    /* 250 kbit/s by the book; what firmware leaves is what a 1.44 MB drive wants. */
    STATE(Fdc, rate, .reset = RATE_500K, .max = 3, .doc = "Data rate: 500, 300, 250, 1000 kbit/s"),
    STATES(Fdc, specify, .doc = "SRT and HUT, HLT and ND"),
    STATES(Fdc, config, .doc = "EIS EFIFO POLL FIFOTHR, PRETRK"),
    STATE(Fdc, perpendicular, .max = 0x3f),
    STATE(Fdc, powerdown, .max = 0x37),
    STATE(Fdc, option),
    STATE(Fdc, lock),
    STATE(Fdc, phase, .max = PHASES - 1, .doc = "Command, execution, result"),
    STATES(Fdc, fifo, .doc = "Command or result"),
    STATE(Fdc, fifo_n, .max = FDC_COMMAND_MAX),
    STATE(Fdc, fifo_pos, .max = FDC_COMMAND_MAX),
    STATES(Fdc, pcn, .doc = "Present cylinder numbers"),
    STATE(Fdc, polled, .max = 0x0f, .doc = "Drives whose reset interrupt was not sensed"),
    STATE(Fdc, seek_end, .max = 0x0f, .doc = "Drives whose seek was not sensed"),
    STATE(Fdc, seek_failed, .max = 0x0f),
    STATE(Fdc, result_irq),
    STATE(Fdc, stage, .max = STAGES - 1, .doc = "Search, host, store, next"),
    STATE(Fdc, c),
    STATE(Fdc, h),
    STATE(Fdc, r),
    STATE(Fdc, n),
    STATE(Fdc, side, .max = 1),
    STATE(Fdc, left),
    STATE(Fdc, st0),
    STATE(Fdc, st1),
    STATE(Fdc, st2),
    STATE(Fdc, order, .max = 1),
    STATE(Fdc, tc),
    STATE(Fdc, pos, .max = FLOPPY_SECTOR),
    STATES(Fdc, buffer),
    DERIVED(Fdc, host),
    DERIVED(Fdc, inflight),
    DERIVED(Fdc, stale),
    PIN(Fdc, irq, "INT"),
    PIN(Fdc, drq, "DRQ"),
    END
};
// clang-format on

const DeviceClass i82078_class = {
    .name = "i82078",
    .doc = "Floppy disk controller 82078",
    .category = "storage",
    .internal = true,
    .size = sizeof(Fdc),
    .rows = rows,
    .reset = fdc_reset,
    .update = fdc_update,
};
