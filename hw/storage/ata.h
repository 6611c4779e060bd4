/* ATA and ATAPI devices: what answers behind an IDE cable (ATA/ATAPI-6, T13 1410D).
 *
 * An AtaDevice is the task file, the data buffer and the protocols (PIO in, PIO out, DMA, non-data); the classes "ide-hd"
 * (ide-hd.c) and "ide-cd" (atapi.c) add the commands.  The channel (ide.h) routes register accesses, data and DMA to
 * it.  Register space 0 is the command block (port 1 to 7 of eight), space 1 the control block's single register. */
#ifndef HW_STORAGE_ATA_H
#define HW_STORAGE_ATA_H

#include <sys/uio.h>

#include "block/drive.h"
#include "hw/device.h"

enum { ATA_SECTOR = 512, ATA_BUFFER = 32768, ATA_CONTROL_SPACE = 1 };

enum {                                  /* status register */
    ATA_ERR = 0x01, ATA_DRQ = 0x08, ATA_DSC = 0x10, ATA_DF = 0x20, ATA_DRDY = 0x40, ATA_BSY = 0x80
};
enum {                                  /* error register */
    ATA_ABRT = 0x04, ATA_IDNF = 0x10, ATA_UNC = 0x40
};
enum { ATA_NIEN = 0x02, ATA_SRST = 0x04, ATA_HOB = 0x80 };      /* device control */

typedef enum AtaPhase {                 /* who moves next */
    ATA_IDLE, ATA_BUSY,                 /* nobody; the drive (a request is in flight)                        */
    ATA_PIO_IN, ATA_PIO_OUT,            /* the host, through the data port                                   */
    ATA_DMA_IN, ATA_DMA_OUT,            /* the host's DMA engine                                             */
    ATA_PHASES
} AtaPhase;

typedef struct AtaDevice AtaDevice;
typedef struct AtaRequest AtaRequest;
typedef struct IdeBus IdeBus;

typedef struct AtaInfo {                /* DeviceClass.info */
    bool packet;                        /* ATAPI signature                                                   */
    const DriveUser *user;              /* may be NULL                                                       */
    void (*command)(AtaDevice *s, uint8_t code);
    /* A transfer that ata_send, ata_receive or ata_disk began has ended well: all its data has moved. */
    void (*transferred)(AtaDevice *s);
    /* The drive failed with -errno. */
    void (*failed)(AtaDevice *s, int result);
    void (*reset)(AtaDevice *s, bool hard);
    /* READ or WRITE FPDMA QUEUED came over a serial link: whether the sectors lie on the medium.  *through: what is
     * written must be there when the command ends; it may set it.  NULL: the device has no queue. */
    bool (*queued)(AtaDevice *s, uint64_t lba, uint32_t sectors, bool *through);
} AtaInfo;

/* Why the queue failed last, for the log that tells of it (Serial ATA 3.1 §13.7.4). */
typedef struct AtaQueueError {
    uint8_t tag;                        /* 80h: no queued command did                                        */
    uint8_t status, error;
    uint16_t count;
    uint64_t lba;
} AtaQueueError;

struct AtaDevice {
    Device dev;
    /* properties */
    Drive *drive;
    Drive *own_drive;                   /* an empty one, when a CD drive was given none                         */
    char *serial, *ver, *model;
    int32_t unit, bootindex;
    uint64_t wwn;
    /* task file */
    uint8_t feature, count, lba_low, lba_mid, lba_high, device, status, error, control;
    uint8_t hob_feature, hob_count, hob_low, hob_mid, hob_high;
    uint8_t command;                    /* being carried out, or the last one                                */
    bool irq;                           /* INTRQ is due: the status was not read since                       */
    uint8_t dma_mode;                   /* as SET FEATURES set it: 20h + n multiword, 40h + n Ultra          */
    /* the transfer */
    uint8_t phase;                      /* AtaPhase                                                          */
    bool disk;                          /* data come from or go to the medium; else the buffer is all        */
    bool writing;                       /* towards the medium or device                                      */
    bool dma;                           /* through the host's engine                                         */
    uint64_t at;                        /* byte on the medium                                                */
    uint32_t left;                      /* bytes that the medium still has to give or take                   */
    uint32_t block;                     /* bytes for each DRQ, a multiple of 2                               */
    uint32_t buf_at, drq_end, buf_len;  /* buf_at <= drq_end <= buf_len <= ATA_BUFFER                        */
    AtaQueueError queue_error;
    Irq intrq;                          /* before nIEN and selection                                         */
    AtaRequest *request;                /* in flight, or NULL                                                */
    IdeBus *bus;                        /* NULL on the bench                                                 */
    uint8_t buffer[ATA_BUFFER];
};

extern const DeviceClass ata_device_class;      /* "ide-device", abstract */

/* ---- For the commands ---- */
#define ATA_INFO(s) ((const AtaInfo *)(s)->dev.class->info)
void ata_finish(AtaDevice *s);          /* command ended well: interrupt                                     */
void ata_fail(AtaDevice *s, uint8_t error);     /* ended with ERR and these error bits: interrupt            */
void ata_abort(AtaDevice *s);           /* the same with ABRT: unknown command or parameters                 */
/* The host takes `len` bytes of the buffer, `block` for each DRQ (0: all at once). */
void ata_send(AtaDevice *s, uint32_t len, uint32_t block, bool dma);
/* The host fills `len` bytes of the buffer; `irq`: it is interrupted for the first block. */
void ata_receive(AtaDevice *s, uint32_t len, uint32_t block, bool dma, bool irq);
/* `bytes` (a multiple of 512) between medium and host from byte `at` on. */
void ata_disk(AtaDevice *s, uint64_t at, uint32_t bytes, uint32_t block, bool write, bool dma);
/* `bytes` (at most ATA_BUFFER) from the medium into the buffer, for `then` to work on. */
void ata_load(AtaDevice *s, uint64_t at, uint32_t bytes, void (*then)(AtaDevice *s));
/* No data: flush, discard (offset, len); `then` runs on success, unless the device was reset meanwhile. */
void ata_flush(AtaDevice *s, void (*then)(AtaDevice *s));
void ata_discard(AtaDevice *s, uint64_t at, uint64_t len, void (*then)(AtaDevice *s));
/* Zeroed buffer of n bytes to compose a reply in. */
uint8_t *ata_reply(AtaDevice *s, uint32_t n);
/* Padded text with the bytes of each word swapped, as IDENTIFY has it. */
void ata_text(uint8_t *to, unsigned len, const char *text);
/* Words 10 to 46 of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE: who it is. */
void ata_identify_names(const AtaDevice *a, uint8_t *id);
static inline void ata_word(uint8_t *id, unsigned word, unsigned value) { store_le(id + 2 * word, 2, value); }
void ata_signature(AtaDevice *s);       /* task file after reset (§9.12) */
/* SET FEATURES 03h, transfer mode in the count register: false when there is no such mode. */
bool ata_set_transfer_mode(AtaDevice *s);
/* Words 63 and 88 of IDENTIFY. */
void ata_identify_modes(const AtaDevice *s, uint8_t *id);
void ata_stop(AtaDevice *s);            /* forget the transfer; a request in flight ends without effect       */

/* ---- For the channel ---- */
bool ata_is_packet(const AtaDevice *s);
/* The data port.  Outside of a PIO phase reads are ones and writes are lost. */
void ata_data_read(AtaDevice *s, void *buf, uint32_t len);
void ata_data_write(AtaDevice *s, const void *buf, uint32_t len);

typedef struct AtaDma {                 /* what the device wants to move now */
    bool in;                            /* device -> memory                                                  */
    bool disk;                          /* else `buffer`                                                     */
    uint64_t at;
    uint32_t bytes;
    uint8_t *buffer;
} AtaDma;
bool ata_dma_wants(AtaDevice *s, AtaDma *want);
/* The engine moved the first `bytes` of what was wanted (from or to the buffer). */
void ata_dma_moved(AtaDevice *s, uint32_t bytes);
/* The engine has no room for what is left: the command ends, without a word. */
void ata_dma_drop(AtaDevice *s);
/* Read or write the medium at want->at for the engine.  release(arg) runs when the drive has let go of the iovec's
 * buffers, also when the device was reset meanwhile; `ok`: the data moved. */
void ata_dma_disk(AtaDevice *s, const AtaDma *want, const struct iovec *iov, unsigned n,
                  void (*release)(void *arg, bool ok), void *arg);
void ata_soft_reset(AtaDevice *s);      /* both devices, when the host drops SRST                             */
void ata_hard_reset(AtaDevice *s);      /* COMRESET on a serial link                                         */

#endif
