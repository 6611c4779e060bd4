/* The engine of an AHCI port: it fetches commands, moves their data, and receives what the device
 * says (Serial ATA AHCI 1.3.1 §4, §5, §6; Serial ATA 3.1 §10.5 for the FISes).
 *
 * Commands of the ATA and ATAPI core are carried out one at a time through the device's task file;
 * queued ones are in ahci-queue.c. */
#include <string.h>

#include "hw/storage/ahci-internal.h"

typedef struct Chunk { /* of a task file command's data, at the drive */
    AhciLink *link;
    AhciJob *job; /* NULL: forgotten */
    Scatter *memory;
    uint32_t bytes;
} Chunk;

void ahci_raise(AhciLink *l, unsigned bit)
{
    l->port->is |= AHCI_IS(bit);
}

/* ---- Ends that stop the port (§6.2.2): software clears ST and starts anew ---- */

void ahci_halt(AhciLink *l, unsigned why)
{
    ahci_raise(l, why);
    l->port->halted = true;
}

static void drop_job(AhciLink *l)
{
    AtaDevice *s = device_of(l);
    AhciJob *j = g_steal_pointer(&l->job);
    if (j && s) {
        bool at_work = s->phase != ATA_IDLE;
        ata_stop(s); /* tells the chunk under way, if any */
        s->status = at_work ? ATA_BSY : s->status;
    }
    g_free(j);
}

void ahci_host_fault(AhciLink *l)
{
    guest_error(&l->hba->pci.dev, "a command list, table, region or FIS area is no memory");
    ahci_drop_queue(l);
    drop_job(l);
    ahci_halt(l, AHCI_HBFS);
}

/* ---- FISes from the device ---- */

void ahci_post(AhciLink *l, unsigned at, const uint8_t *fis, unsigned len)
{
    AhciPort *p = l->port;
    uint64_t area = p->fb | (uint64_t)p->fbu << 32;
    if ((p->cmd & AHCI_CMD_FRE) && !dma_write(dma_of(l), area + at, fis, len)) {
        ahci_host_fault(l);
    }
}

static void fill_task_file(uint8_t *fis, const AtaDevice *s)
{
    fis[2] = s->status;
    fis[3] = s->error;
    fis[4] = s->lba_low;
    fis[5] = s->lba_mid;
    fis[6] = s->lba_high;
    fis[7] = s->device;
    fis[8] = s->hob_low;
    fis[9] = s->hob_mid;
    fis[10] = s->hob_high;
    fis[12] = s->count;
    fis[13] = s->hob_count;
}

void ahci_set_tfd(AhciLink *l, uint8_t status, uint8_t error)
{
    l->port->tfd = status | (uint32_t)error << 8;
}

static void send_d2h(AhciLink *l, bool irq)
{
    uint8_t fis[20] = {FIS_D2H, irq ? FIS_IRQ : 0};
    AtaDevice *s = device_of(l);
    fill_task_file(fis, s);
    ahci_set_tfd(l, s->status, s->error);
    ahci_post(l, AT_D2H, fis, sizeof fis);
    if (irq) {
        ahci_raise(l, AHCI_DHRS);
    }
}

/* The task file as a queued command leaves it. */
void ahci_send_queued(AhciLink *l, uint8_t status, uint8_t error)
{
    AtaDevice *s = device_of(l);
    s->status = status;
    s->error = error;
    send_d2h(l, status & ATA_ERR);
}

/* ---- The region table ---- */

static bool next_region(AhciJob *j)
{
    uint32_t prd[4];
    if (j->announce) {
        j->announce = false;
        ahci_raise(j->link, AHCI_DPS);
    }
    if (!j->prds) {
        return false;
    }
    if (!dma_read(dma_of(j->link), j->prd, prd, sizeof prd)) {
        j->fault = true;
        return false;
    }
    j->prd += PRD_SIZE;
    j->prds--;
    j->addr = (prd[0] & ~UINT32_C(1)) | (uint64_t)prd[1] << 32;
    j->room = (prd[3] & 0x3fffff) + 1;
    j->room += j->room & 1; /* a count is even */
    j->announce = prd[3] >> 31;
    return true;
}

/* Regions for up to `want` bytes; returns how many bytes they hold. */
uint32_t ahci_gather(AhciJob *j, uint32_t want, Scatter *memory)
{
    uint32_t got = 0;
    while (got < want && (scatter_count(memory) < PIECES || got % ATA_SECTOR)) {
        if (!j->room && !next_region(j)) {
            break;
        }
        uint32_t n = MIN(j->room, want - got);
        scatter_add(memory, j->addr, n);
        j->addr += n;
        j->room -= n;
        got += n;
    }
    if (!j->room && j->announce) {
        j->announce = false;
        ahci_raise(j->link, AHCI_DPS);
    }
    return got;
}

/* Between a buffer and the regions.  Returns how much found room; false in *ok: not all of it is
 * memory. */
static uint32_t move_buffer(AhciJob *j, uint8_t *buf, uint32_t len, bool in, bool *ok)
{
    Scatter *memory = scatter_new(dma_of(j->link), in);
    uint32_t done = 0, got;
    do {
        memory->bytes = 0;
        g_array_set_size(memory->pieces, 0);
        got = ahci_gather(j, len - done, memory);
        *ok = scatter_copy(memory, buf + done, got) && !j->fault;
        done += got;
    } while (*ok && got && done < len);
    scatter_end(memory, false);
    j->moved += done;
    return done;
}

/* ---- Task file commands ---- */

static void write_byte_count(AhciLink *l, const AhciJob *j)
{
    enum { PRDBC_AT = 4 };
    if (!dma_write(dma_of(l), j->header + PRDBC_AT, &j->moved, sizeof j->moved)) {
        ahci_host_fault(l);
    }
}

/* BSY and DRQ are gone (§5.3.8.2): the command has ended. */
static bool complete(AhciLink *l, AtaDevice *s)
{
    AhciJob *j = g_steal_pointer(&l->job);
    bool irq = s->irq;
    s->irq = false;
    if (irq || !j->quiet) {
        send_d2h(l, irq);
    } else {
        ahci_set_tfd(l, s->status, s->error);
    }
    write_byte_count(l, j);
    if (s->status & ATA_ERR) {
        ahci_halt(l, AHCI_TFES);
    } else if (!l->port->halted) {
        l->port->ci &= ~(UINT32_C(1) << j->slot);
    }
    g_free(j);
    device_settle(&s->dev);
    return true;
}

/* §6.1.9: the device has more to move than the table holds.  What it sends is lost; what it wants
 * to have is missing, and the command fails. */
static void overflow(AhciLink *l, AtaDevice *s, bool in)
{
    ahci_raise(l, AHCI_OFS);
    ata_stop(s);
    if (in) {
        s->status = ATA_DRDY | ATA_DSC;
        s->irq = true;
    } else {
        ata_abort(s);
    }
}

static void begin_pio_fis(uint8_t *fis, AtaDevice *s, bool in, uint32_t len)
{
    fis[0] = FIS_PIO_SETUP;
    fis[1] = (uint8_t)((in ? FIS_TO_HOST : 0) | (s->irq ? FIS_IRQ : 0));
    fill_task_file(fis, s);
    fis[16] = (uint8_t)len;
    fis[17] = (uint8_t)(len >> 8);
    s->irq = false;
}

static void end_pio_fis(AhciLink *l, uint8_t *fis, const AtaDevice *s)
{
    fis[15] = s->status;
    ahci_set_tfd(l, s->status, s->error);
    if (fis[1] & FIS_IRQ) {
        ahci_raise(l, AHCI_PSS);
    }
    ahci_post(l, AT_PIO_SETUP, fis, 20);
}

static bool pio_in(AhciLink *l, AtaDevice *s)
{
    AhciJob *j = l->job;
    uint32_t len = s->drq_end - s->buf_at;
    g_autofree uint8_t *buf = g_malloc(len);
    uint8_t fis[20] = {0};
    bool ok;
    begin_pio_fis(fis, s, true, len);
    ata_data_read(s, buf, len);
    if (move_buffer(j, buf, len, true, &ok) < len && ok) {
        ahci_raise(l, AHCI_OFS);
    }
    j->quiet = true;
    end_pio_fis(l, fis, s);
    if (!ok) {
        ahci_host_fault(l);
    }
    return true;
}

static bool pio_out(AhciLink *l, AtaDevice *s)
{
    AhciJob *j = l->job;
    uint32_t len = s->drq_end - s->buf_at;
    g_autofree uint8_t *buf = g_malloc0(len);
    uint8_t fis[20] = {0};
    begin_pio_fis(fis, s, false, len);
    j->quiet = false;
    if (j->has_packet) {
        j->has_packet = false;
        memcpy(buf, j->packet, MIN(len, sizeof j->packet));
    } else {
        bool ok;
        uint32_t got = move_buffer(j, buf, len, false, &ok);
        if (!ok) {
            ahci_host_fault(l);
            return true;
        }
        if (got < len) {
            overflow(l, s, false);
            return true;
        }
    }
    ata_data_write(s, buf, len);
    end_pio_fis(l, fis, s);
    return true;
}

static void chunk_done(void *arg, bool ok)
{
    Chunk *c = arg;
    AhciLink *l = c->link;
    bool current = c->job && c->job == l->job;
    l->in_flight--;
    l->hba->pci.dev.accessing++;
    if (!scatter_end(c->memory, ok) && current) {
        ahci_host_fault(l);
    } else if (current && ok) {
        c->job->moved += c->bytes;
    }
    l->hba->pci.dev.accessing--;
    g_free(c);
    ahci_link_run(l);
    device_settle(&l->hba->pci.dev);
}

static void dma_disk(AhciLink *l, AtaDevice *s, AtaDma *want)
{
    AhciJob *j = l->job;
    Scatter *memory = scatter_new(dma_of(l), want->in);
    want->bytes = ahci_gather(j, MIN(want->bytes, CHUNK), memory) & ~(ATA_SECTOR - 1u);
    if (j->fault || (want->bytes && !scatter_begin(memory, want->bytes))) {
        scatter_end(memory, false);
        ahci_host_fault(l);
        return;
    }
    if (!want->bytes) {
        scatter_end(memory, false);
        overflow(l, s, want->in);
        return;
    }
    Chunk *c = g_new0(Chunk, 1);
    *c = (Chunk){l, j, memory, want->bytes};
    l->in_flight++;
    unsigned n;
    const struct iovec *iov = scatter_iov(memory, &n);
    ata_dma_disk(s, want, iov, n, chunk_done, c);
}

static bool dma_step(AhciLink *l, AtaDevice *s)
{
    AtaDma want;
    bool ok;
    l->job->quiet = false;
    if (!ata_dma_wants(s, &want)) {
        ata_dma_drop(s);
    } else if (want.disk) {
        dma_disk(l, s, &want);
    } else {
        uint32_t got = move_buffer(l->job, want.buffer, want.bytes, want.in, &ok);
        if (!ok) {
            ahci_host_fault(l);
        } else if (got < want.bytes) {
            overflow(l, s, want.in);
        } else {
            ata_dma_moved(s, got);
        }
    }
    return true;
}

static bool job_step(AhciLink *l)
{
    AtaDevice *s = device_of(l);
    if (!s) {
        drop_job(l);
        return false;
    }
    switch (s->phase) {
    case ATA_PIO_IN: return pio_in(l, s);
    case ATA_PIO_OUT: return pio_out(l, s);
    case ATA_DMA_IN:
    case ATA_DMA_OUT: return !l->in_flight && dma_step(l, s);
    case ATA_IDLE: return !(s->status & ATA_BSY) && complete(l, s);
    default: return false;
    }
}

/* ---- Issuing (§5.3.2) ---- */

bool ahci_fetch(AhciLink *l, unsigned slot, AhciFetched *f)
{
    const AhciPort *p = l->port;
    f->at = (p->clb | (uint64_t)p->clbu << 32) + slot * HEADER_SIZE;
    if (!dma_read(dma_of(l), f->at, f->header, sizeof f->header)) {
        return false;
    }
    f->table = (f->header[2] & ~UINT32_C(0x7f)) | (uint64_t)f->header[3] << 32;
    return dma_read(dma_of(l), f->table, f->fis, sizeof f->fis) &&
           dma_read(dma_of(l), f->table + ACMD_AT, f->packet, sizeof f->packet);
}

AhciJob *ahci_job_new(AhciLink *l, unsigned slot, const AhciFetched *f)
{
    AhciJob *j = g_new0(AhciJob, 1);
    j->link = l;
    j->slot = slot;
    j->header = f->at;
    j->prd = f->table + PRDT_AT;
    j->prds = f->header[0] >> 16;
    return j;
}

/* A FIS with C clear changes the device control register (SRST); nothing but a signature answers.
 */
static void control_fis(AhciLink *l, AtaDevice *s, unsigned slot, const uint8_t *fis)
{
    bool was = s->control & ATA_SRST, is = fis[15] & ATA_SRST;
    l->port->ci &= ~(UINT32_C(1) << slot);
    if (was == is) {
        return;
    }
    ahci_drop_queue(l);
    device_write(&s->dev, ATA_CONTROL_SPACE, 0, 1, is ? ATA_SRST : 0);
    if (!is) {
        l->port->sig = (uint32_t)s->lba_high << 24 | (uint32_t)s->lba_mid << 16 |
                       (uint32_t)s->lba_low << 8 | s->count;
        send_d2h(l, false);
    }
}

static void load_task_file(AtaDevice *s, const uint8_t *fis)
{
    s->feature = fis[3];
    s->lba_low = fis[4];
    s->lba_mid = fis[5];
    s->lba_high = fis[6];
    s->device = fis[7] & 0xef; /* there is one device on the cable */
    s->hob_low = fis[8];
    s->hob_mid = fis[9];
    s->hob_high = fis[10];
    s->hob_feature = fis[11];
    s->count = fis[12];
    s->hob_count = fis[13];
}

static void issue_task_file(AhciLink *l, AtaDevice *s, unsigned slot, const AhciFetched *f)
{
    if (!ahci_queue_empty(l)) { /* Serial ATA 3.1 §13.6.4: all of them fail */
        ahci_queue_failed(l, 0x80, ATA_ABRT, 0, 0);
        ahci_send_queued(l, ATA_DRDY | ATA_DSC | ATA_ERR, ATA_ABRT);
        ahci_halt(l, AHCI_TFES);
        return;
    }
    AhciJob *j = ahci_job_new(l, slot, f);
    j->has_packet = (f->header[0] & HEADER_ATAPI) && f->fis[2] == PACKET;
    memcpy(j->packet, f->packet, sizeof j->packet);
    l->job = j;
    ahci_set_tfd(l, ATA_BSY, 0);
    load_task_file(s, f->fis);
    device_write(&s->dev, 0, 7, 1, f->fis[2]);
}

static void issue(AhciLink *l, AtaDevice *s, unsigned slot)
{
    AhciFetched f;
    l->port->ccs = (uint8_t)slot;
    if (!ahci_fetch(l, slot, &f)) {
        ahci_host_fault(l);
        return;
    }
    unsigned words = f.header[0] & HEADER_CFL;
    if (words < 2 || words > 16 || f.fis[0] != FIS_H2D) { /* the device does not take it */
        guest_error(&l->hba->pci.dev, "port %u, slot %u: no command FIS", l->bus->number, slot);
        ahci_halt(l, AHCI_IFS);
    } else if (!(f.fis[1] & FIS_COMMAND)) {
        control_fis(l, s, slot, f.fis);
    } else if ((f.fis[2] == READ_FPDMA || f.fis[2] == WRITE_FPDMA) && ATA_INFO(s)->queued) {
        ahci_issue_queued(l, s, slot, f.fis);
    } else {
        issue_task_file(l, s, slot, &f);
    }
}

static bool may_issue(const AhciLink *l)
{
    const AhciPort *p = l->port;
    if (!(p->cmd & AHCI_CMD_ST) || p->halted || !p->ci || (p->tfd & (ATA_BSY | ATA_DRQ)) ||
        (p->ssts & LINK_DET) != LINK_PRESENT || !device_of(l) || !dma_of(l)) {
        return false;
    }
    unsigned alive = 0; /* what a stopped port left at the drive must be gone first */
    for (unsigned tag = 0; tag < AHCI_SLOTS; tag++) {
        alive += l->queued[tag] != NULL;
    }
    return alive == l->in_flight;
}

static bool step(AhciLink *l)
{
    if (l->job) {
        return job_step(l);
    }
    if (!may_issue(l)) {
        return false;
    }
    unsigned slot = l->port->ccs;
    do {
        slot = (slot + 1) % AHCI_SLOTS;
    } while (!(l->port->ci >> slot & 1));
    issue(l, device_of(l), slot);
    return true;
}

void ahci_link_run(AhciLink *l)
{
    l->again = true;
    if (l->running) {
        return;
    }
    l->running = true;
    l->hba->pci.dev.accessing++;
    while (l->again) {
        l->again = false;
        while (step(l)) {
        }
    }
    l->hba->pci.dev.accessing--;
    l->running = false;
}

/* ---- The link ---- */

void ahci_link_stop(AhciLink *l)
{
    ahci_drop_queue(l);
    drop_job(l);
    l->port->ci = l->port->sact = 0;
    l->port->ccs = AHCI_SLOTS - 1;
    l->port->halted = false;
}

void ahci_link_receive_on(AhciLink *l)
{
    if (l->port->sig_due && device_of(l)) {
        l->port->sig_due = false;
        send_d2h(l, false);
    }
}

void ahci_link_up(AhciLink *l)
{
    AhciPort *p = l->port;
    const AtaDevice *s = device_of(l);
    if (!s) {
        ahci_link_down(l);
        return;
    }
    bool packet = ata_is_packet(s);
    p->ssts = LINK_UP;
    p->serr |= AHCI_SERR_N | AHCI_SERR_X;
    p->sig = packet ? 0xeb140101 : 0x00000101;
    p->tfd = packet ? 0x0100 : 0x0150;
    p->sig_due = true;
    if (p->cmd & AHCI_CMD_FRE) {
        ahci_link_receive_on(l);
    }
}

void ahci_link_down(AhciLink *l)
{
    AhciPort *p = l->port;
    ahci_link_stop(l);
    p->ssts = 0;
    p->sig = UINT32_MAX;
    p->tfd = 0x7f;
    p->sig_due = false;
}

void ahci_link_comreset(AhciLink *l)
{
    if (device_of(l)) {
        ata_hard_reset(device_of(l));
    }
    ahci_link_up(l);
}

/* ---- Life ---- */

static void kick(Device *controller, unsigned port)
{
    ahci_link_run(((Ahci *)controller)->link[port]);
    device_settle(controller);
}

AhciLink *ahci_link_new(Ahci *hba, unsigned n, const char *bus_name)
{
    AhciLink *l = g_new0(AhciLink, 1);
    l->hba = hba;
    l->port = &hba->port[n];
    l->bus = ide_bus_new(&hba->pci.dev, bus_name, n, kick);
    l->bus->serial = true;
    return l;
}

void ahci_link_free(AhciLink *l)
{
    if (l) {
        ide_bus_free(l->bus);
        g_free(l);
    }
}

IdeBus *ahci_link_bus(AhciLink *l)
{
    return l->bus;
}

void ahci_link_drain(AhciLink *l)
{
    if (l->in_flight && device_of(l)) {
        drive_drain(device_of(l)->drive);
    }
}

bool ahci_link_busy(const AhciLink *l)
{
    return l->in_flight || l->job;
}
