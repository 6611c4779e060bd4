/* The bus-master engine of an IDE channel: it walks a table of physical regions and moves a
 * device's data there (Programming Interface for Bus Master IDE Controller 1.0; PIIX3 data sheet
 * §2.6). */
#include "hw/storage/ide.h"

#include <string.h>

#include "hw/storage/scatter.h"

enum { BM_START = 0x01, BM_TO_MEMORY = 0x08 };
enum { BM_ACTIVE = 0x01, BM_ERROR = 0x02, BM_INTERRUPT = 0x04 };
enum {
    CHUNK = 1 << 20, /* moved in one request at most                                      */
    PIECES = 1024,   /* so many regions, and the chunk ends at the next sector            */
};

/* One chunk of the medium, under way. */
struct BmTransfer {
    BmDma *bm;
    Scatter *memory;
};

static Dma *engine_dma(const BmDma *bm)
{
    return bm->controller ? device_whole(bm->controller)->dma : NULL;
}

/* ---- The descriptor table (§1.2) ---- */

/* With bus mastering off nothing tells the engine that its cycles lead nowhere: it reads zeroes,
 * and data are lost. */
static bool deaf(const BmDma *bm)
{
    return engine_dma(bm) && !dma_allowed(engine_dma(bm));
}

static bool next_region(BmDma *bm)
{
    uint32_t prd[2] = {0};
    if (!deaf(bm) && (!engine_dma(bm) || !dma_read(engine_dma(bm), bm->next, prd, sizeof prd))) {
        bm->status |= BM_ERROR;
        return false;
    }
    /* The table may not cross a 64 KiB boundary, so the counter has 16 bits. */
    bm->next = (bm->next & 0xffff0000) | ((bm->next + sizeof prd) & 0xffff);
    bm->addr = prd[0] & ~UINT32_C(1);
    bm->room = prd[1] & 0xfffe ? prd[1] & 0xfffe : 0x10000;
    bm->last = prd[1] >> 31;
    return true;
}

/* Collect regions for up to `want` bytes; returns how many bytes they hold. */
static uint32_t gather(BmDma *bm, uint32_t want, bool sectors, Scatter *memory)
{
    uint32_t got = 0;
    while (got < want) {
        if (scatter_count(memory) >= PIECES && !(sectors && got % ATA_SECTOR)) {
            break;
        }
        if (!bm->room && (bm->last || !next_region(bm))) {
            break;
        }
        uint32_t n = MIN(bm->room, want - got);
        scatter_add(memory, bm->addr, n);
        bm->addr += n;
        bm->room -= n;
        got += n;
    }
    return got;
}

/* The table ended, or the guest stopped the engine: "active" goes, whether or not the device is
 * content (§3.1, table of states).  A device that is not would wait for good; its command ends
 * without an interrupt instead.  One that still works on what it got has not said yet: bm_dma_intrq
 * will see. */
static void check_end(BmDma *bm)
{
    AtaDevice *s = bm->bus ? ide_bus_selected(bm->bus) : NULL;
    bool failed = bm->status & BM_ERROR, ended = bm->last && !bm->room,
         stopped = !(bm->command & BM_START);
    AtaDma want;
    if (!failed && !stopped && (!ended || (s && s->status & ATA_BSY))) {
        return;
    }
    bm->status &= (uint8_t)~BM_ACTIVE;
    if (s && ata_dma_wants(s, &want)) {
        ata_dma_drop(s);
    }
}

/* ---- A chunk between the medium and memory ---- */

static void chunk_done(void *arg, bool ok)
{
    BmTransfer *t = arg;
    BmDma *bm = t->bm;
    if (!scatter_end(t->memory, ok) && !deaf(bm)) {
        bm->status |= BM_ERROR;
    }
    bm->transfer = NULL;
    g_free(t);
    check_end(bm);
    bm_dma_run(bm);
    device_settle(bm->controller);
}

static void move_disk(BmDma *bm, AtaDevice *s, AtaDma *want)
{
    Scatter *memory = scatter_new(engine_dma(bm), want->in);
    want->bytes = gather(bm, MIN(want->bytes, CHUNK), true, memory) & ~(ATA_SECTOR - 1u);
    if (!want->bytes) {
        scatter_end(memory, false);
        check_end(bm);
        return;
    }
    BmTransfer *t = g_new0(BmTransfer, 1);
    t->bm = bm;
    t->memory = memory;
    bm->transfer = t;
    if (!scatter_begin(memory, want->bytes) && !deaf(bm)) {
        bm->status |= BM_ERROR;
    }
    unsigned n;
    const struct iovec *iov = scatter_iov(memory, &n);
    ata_dma_disk(s, want, iov, n, chunk_done, t);
}

static void move_buffer(BmDma *bm, AtaDevice *s, const AtaDma *want)
{
    Scatter *memory = scatter_new(engine_dma(bm), want->in);
    uint32_t got = gather(bm, want->bytes, false, memory);
    if (got && !scatter_copy(memory, want->buffer, got) && !deaf(bm)) {
        bm->status |= BM_ERROR;
    }
    scatter_end(memory, false);
    if (got) {
        ata_dma_moved(s, got);
    }
    check_end(bm);
}

void bm_dma_run(BmDma *bm)
{
    AtaDevice *s = bm->bus ? ide_bus_selected(bm->bus) : NULL;
    AtaDma want;
    if (bm->transfer || !(bm->command & BM_START) || !(bm->status & BM_ACTIVE) || !s ||
        !ata_dma_wants(s, &want)) {
        return;
    }
    if (want.in != !!(bm->command & BM_TO_MEMORY)) {
        guest_error(bm->controller, "bus master runs in the wrong direction");
        bm->status = (uint8_t)((bm->status | BM_ERROR) & ~BM_ACTIVE);
        return;
    }
    if (want.disk) {
        move_disk(bm, s, &want);
    } else {
        move_buffer(bm, s, &want);
    }
    device_settle(&s->dev);
}

/* ---- Registers ---- */

static void command_write(void *part, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    BmDma *bm = part;
    if (value & ~old & BM_START) {
        bm->next = bm->table;
        bm->room = 0;
        bm->last = false;
        bm->status |= BM_ACTIVE;
        bm_dma_run(bm);
    } else if (old & ~value & BM_START && !bm->transfer) {
        bm->status &= (uint8_t)~BM_ACTIVE; /* else when what is under way at the drive has ended */
    }
}

void bm_dma_intrq(BmDma *bm, bool level)
{
    if (level && !bm->intrq) {
        bm->status |= BM_INTERRUPT;
        if (bm->last && !bm->room) {
            bm->status &= (uint8_t)~BM_ACTIVE;
        }
    }
    bm->intrq = level;
}

// clang-format off
static const Row bm_rows[] = {
    REG(BmDma, command, 0, .rw = BM_START | BM_TO_MEMORY, .on_write = command_write, .doc = "BMIC: command",
        .bits = "SSBM - - RWCON"),
    REG(BmDma, status, 2, .rw = 0x60, .w1c = BM_ERROR | BM_INTERRUPT, .doc = "BMIS: status",
        .bits = "ACTIVE ERROR INTERRUPT - - DMA0CAP DMA1CAP"),
    REG(BmDma, table, 4, .rw = 0xfffffffc, .doc = "BMIDTP: descriptor table"),
    STATE(BmDma, next),
    STATE(BmDma, addr),
    STATE(BmDma, room, .max = 0x10000),
    STATE(BmDma, last),
    STATE(BmDma, intrq),
    DERIVED(BmDma, transfer),
    END
};
// clang-format on

const DeviceClass bm_dma_class = {
    .name = "ide-bus-master",
    .plain = true,
    .abstract = true,
    .size = sizeof(BmDma),
    .rows = bm_rows,
};
