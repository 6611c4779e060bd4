/* Queued commands of an AHCI port (FPDMA; Serial ATA 3.1 §13.6): as many at the drive as there are.
 */
#include <errno.h>
#include <string.h>

#include "hw/storage/ahci-internal.h"

void ahci_drop_queue(AhciLink *l)
{
    for (unsigned tag = 0; tag < AHCI_SLOTS; tag++) {
        AhciJob *j = g_steal_pointer(&l->queued[tag]);
        if (j) { /* its answer frees it */
            j->forgotten = true;
            drive_cancel(j->handle);
        }
    }
}

bool ahci_queue_empty(const AhciLink *l)
{
    for (unsigned tag = 0; tag < AHCI_SLOTS; tag++) {
        if (l->queued[tag]) {
            return false;
        }
    }
    return true;
}

void ahci_queue_failed(AhciLink *l, unsigned tag, uint8_t error, uint64_t lba, uint16_t count)
{
    AtaDevice *s = device_of(l);
    s->queue_error = (AtaQueueError){.tag = (uint8_t)tag,
                                     .status = ATA_DRDY | ATA_DSC | ATA_ERR,
                                     .error = error,
                                     .count = count,
                                     .lba = lba};
    ahci_drop_queue(l);
}

static void send_set_bits(AhciLink *l, uint8_t status, uint8_t error, uint32_t finished)
{
    uint8_t fis[8] = {FIS_SDB, FIS_IRQ, status & 0x77, error};
    memcpy(fis + 4, &finished, sizeof finished);
    l->port->sact &= ~finished;
    ahci_set_tfd(l, (uint8_t)((l->port->tfd & 0x88) | (status & 0x77)), error);
    ahci_post(l, AT_SDB, fis, sizeof fis);
    ahci_raise(l, AHCI_SDBS);
}

/* The device is ready to move the data of a command, whose tag names the buffer. */
static void send_dma_setup(AhciLink *l, const AhciJob *j)
{
    uint8_t fis[28] = {FIS_DMA_SETUP, j->write ? 0 : FIS_TO_HOST, 0, 0, (uint8_t)j->slot};
    memcpy(fis + 20, &j->left, sizeof j->left);
    ahci_post(l, AT_DMA_SETUP, fis, sizeof fis);
}

static void queue_error(AhciLink *l, AhciJob *j, uint8_t error)
{
    uint8_t status = ATA_DRDY | ATA_DSC | ATA_ERR;
    ahci_queue_failed(l, j->slot, error, j->at / ATA_SECTOR, (uint16_t)(j->left / ATA_SECTOR));
    send_set_bits(l, status, error, 0);
    ahci_halt(l, AHCI_TFES);
    g_free(j);
}

static void queued_done(void *arg, int result);

/* The next piece of a command that is in no list now; afterwards it is in the queue, or gone. */
static void queued_next(AhciLink *l, AhciJob *j)
{
    AtaDevice *s = device_of(l);
    Scatter *memory = scatter_new(dma_of(l), !j->write);
    uint32_t got = ahci_gather(j, MIN(j->left, CHUNK), memory) & ~(ATA_SECTOR - 1u);
    if (j->fault || (got && !scatter_begin(memory, got))) {
        scatter_end(memory, false);
        ahci_host_fault(l);
        g_free(j);
        return;
    }
    if (!got) {
        scatter_end(memory, false);
        ahci_raise(l, AHCI_OFS);
        queue_error(l, j, ATA_ABRT);
        return;
    }
    unsigned n;
    const struct iovec *iov = scatter_iov(memory, &n);
    j->memory = memory;
    j->chunk = got;
    l->queued[j->slot] = j;
    l->in_flight++;
    j->handle = j->write
                    ? drive_writev(s->drive, (int64_t)j->at, iov, n, j->through, queued_done, j)
                    : drive_readv(s->drive, (int64_t)j->at, iov, n, queued_done, j);
}

static void queued_result(AhciLink *l, AhciJob *j, int result, bool placed)
{
    l->queued[j->slot] = NULL;
    if (result < 0) {
        queue_error(l, j, j->write || result == -ENOMEDIUM ? ATA_ABRT : ATA_UNC);
        return;
    }
    if (!placed) {
        ahci_host_fault(l);
        g_free(j);
        return;
    }
    j->at += j->chunk;
    j->left -= j->chunk;
    if (j->left) {
        queued_next(l, j);
        return;
    }
    send_set_bits(l, ATA_DRDY | ATA_DSC, 0, UINT32_C(1) << j->slot);
    g_free(j);
}

static void queued_done(void *arg, int result)
{
    AhciJob *j = arg;
    AhciLink *l = j->link;
    Device *hba = &l->hba->pci.dev;
    bool wanted = !j->forgotten && device_of(l);
    l->in_flight--;
    hba->accessing++;
    bool placed = scatter_end(g_steal_pointer(&j->memory), result == 0 && wanted);
    if (wanted) {
        queued_result(l, j, result, placed);
    } else {
        g_free(j);
    }
    hba->accessing--;
    ahci_link_run(l);
    device_settle(hba);
}

/* The slot that a tag names holds the regions, whatever slot the command came in. */
void ahci_issue_queued(AhciLink *l, AtaDevice *s, unsigned slot, const uint8_t *fis)
{
    unsigned tag = fis[12] >> 3;
    uint32_t n = (uint32_t)fis[11] << 8 | fis[3];
    uint64_t lba = fis[4] | (uint64_t)fis[5] << 8 | (uint64_t)fis[6] << 16 |
                   (uint64_t)fis[8] << 24 | (uint64_t)fis[9] << 32 | (uint64_t)fis[10] << 40;
    bool through = fis[7] & 0x80; /* FUA */
    AhciFetched f;
    n = n ? n : 65536;
    if (l->queued[tag] || !s->drive || !ATA_INFO(s)->queued(s, lba, n, &through)) {
        uint8_t error = l->queued[tag] ? ATA_ABRT : ATA_IDNF;
        ahci_queue_failed(l, tag, error, lba, (uint16_t)n);
        ahci_send_queued(l, ATA_DRDY | ATA_DSC | ATA_ERR, error);
        ahci_halt(l, AHCI_TFES);
        return;
    }
    if (!ahci_fetch(l, tag, &f)) {
        ahci_host_fault(l);
        return;
    }
    AhciJob *j = ahci_job_new(l, tag, &f);
    j->write = fis[2] == WRITE_FPDMA;
    j->through = through;
    j->at = lba * ATA_SECTOR;
    j->left = n * ATA_SECTOR;
    l->port->ci &= ~(UINT32_C(1) << slot);
    ahci_send_queued(l, ATA_DRDY | ATA_DSC, 0);
    send_dma_setup(l, j);
    queued_next(l, j);
}
