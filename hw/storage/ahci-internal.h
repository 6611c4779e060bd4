/* Between the files of the AHCI port's engine. */
#ifndef HW_STORAGE_AHCI_INTERNAL_H
#define HW_STORAGE_AHCI_INTERNAL_H

#include "hw/storage/ahci.h"
#include "hw/storage/scatter.h"

enum { FIS_H2D = 0x27, FIS_D2H = 0x34, FIS_DMA_SETUP = 0x41, FIS_PIO_SETUP = 0x5f, FIS_SDB = 0xa1 };
enum { AT_DMA_SETUP = 0x00, AT_PIO_SETUP = 0x20, AT_D2H = 0x40, AT_SDB = 0x58 }; /* §4.2.1 */
enum { FIS_IRQ = 0x40, FIS_TO_HOST = 0x20, FIS_COMMAND = 0x80 };
enum { HEADER_SIZE = 32, ACMD_AT = 64, ACMD_SIZE = 16, PRDT_AT = 128, PRD_SIZE = 16 };
enum { HEADER_CFL = 0x1f, HEADER_ATAPI = 0x20 };
enum { PACKET = 0xa0, READ_FPDMA = 0x60, WRITE_FPDMA = 0x61 };
enum {
    CHUNK = 1 << 20, /* moved in one request at most                                      */
    PIECES = 1024,   /* so many regions, and the chunk ends at the next sector            */
};
enum { LINK_UP = 0x123, LINK_DET = 15, LINK_PRESENT = 3 }; /* 3 Gbps, active */

typedef struct AhciJob { /* a command that the device has taken */
    AhciLink *link;
    unsigned slot;
    uint64_t header;
    /* what is left of the region table (§4.2.3.3) */
    uint64_t prd;
    uint32_t prds, room;
    uint64_t addr;
    bool announce; /* the current region has its interrupt bit set */
    bool fault;    /* the table is no memory */
    uint32_t moved;
    /* task file commands */
    bool has_packet, quiet; /* quiet: the last data were the end, no other FIS follows */
    uint8_t packet[ACMD_SIZE];
    /* queued ones */
    bool write, through, forgotten; /* forgotten: the drive's answer frees it, no more */
    uint64_t at;
    uint32_t left, chunk;
    Scatter *memory;
    DriveRequest *handle;
} AhciJob;

struct AhciLink {
    Ahci *hba;
    AhciPort *port;
    IdeBus *bus;
    AhciJob *job;
    AhciJob *queued[AHCI_SLOTS];
    unsigned in_flight; /* requests at the drive that have pieces of guest memory */
    bool running, again;
};

typedef struct AhciFetched {
    uint32_t header[4];
    uint64_t at, table;
    uint8_t fis[64], packet[ACMD_SIZE];
} AhciFetched;

static inline AtaDevice *device_of(const AhciLink *l)
{
    return l->bus->unit[0];
}

static inline Dma *dma_of(const AhciLink *l)
{
    return l->hba->pci.dev.dma;
}

/* ahci-port.c */
void ahci_raise(AhciLink *l, unsigned bit);             /* a bit of PxIS */
void ahci_set_tfd(AhciLink *l, uint8_t status, uint8_t error);
void ahci_post(AhciLink *l, unsigned at, const uint8_t *fis, unsigned len);     /* into the area of received FISes */
/* The task file as a queued command leaves it: with an interrupt when it is an error. */
void ahci_send_queued(AhciLink *l, uint8_t status, uint8_t error);
/* Nothing is issued until software clears ST. */
void ahci_halt(AhciLink *l, unsigned why);
/* The same, because what software points to is no memory; all commands under way are forgotten. */
void ahci_host_fault(AhciLink *l);
bool ahci_fetch(AhciLink *l, unsigned slot, AhciFetched *f);    /* false: no memory */
AhciJob *ahci_job_new(AhciLink *l, unsigned slot, const AhciFetched *f);
/* Regions of the job's table for up to `want` bytes; returns how many bytes they hold.  job->fault: no memory. */
uint32_t ahci_gather(AhciJob *j, uint32_t want, Scatter *memory);

/* ahci-queue.c */
void ahci_issue_queued(AhciLink *l, AtaDevice *s, unsigned slot, const uint8_t *fis);
/* The device reports an error of command `tag` (80h: of none of them): no queued command survives it. */
void ahci_queue_failed(AhciLink *l, unsigned tag, uint8_t error, uint64_t lba, uint16_t count);
void ahci_drop_queue(AhciLink *l);
bool ahci_queue_empty(const AhciLink *l);

#endif
