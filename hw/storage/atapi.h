/* The ATAPI drive: a logical unit (hw/scsi) behind the ATA packet protocol. */
#ifndef HW_STORAGE_ATAPI_H
#define HW_STORAGE_ATAPI_H

#include "hw/scsi/scsi.h"
#include "hw/storage/ata.h"

enum { AWAIT_NOTHING, AWAIT_PACKET, AWAIT_PARAMETERS };

typedef struct IdeCd {
    AtaDevice ata;
    ScsiUnit unit;
    uint8_t cdb[SCSI_CDB];              /* 12 bytes came, the rest is zero                                   */
    uint8_t awaiting;                   /* what the host's data are                                          */
    bool use_dma;
    uint16_t limit;                     /* byte count of PACKET                                              */
    uint32_t raw_lba, raw_left;         /* READ CD with sector headers: what is still to be read             */
} IdeCd;

#endif
