/* virtio-blk: a disk (virtio 1.2 §5.2).  Shared by the device (virtio-blk.c) and what carries it. */
#ifndef HW_VIRTIO_VIRTIO_BLK_H
#define HW_VIRTIO_VIRTIO_BLK_H

#include "block/drive.h"
#include "hw/virtio/virtio.h"

typedef struct VirtioBlk {
    VirtioDevice v;
    /* properties */
    Drive *drive;
    char *serial;
    int32_t bootindex;
    uint16_t num_queues, queue_size;
    uint32_t logical_block_size, physical_block_size, min_io_size, opt_io_size, discard_granularity;
    uint32_t cyls, heads, secs;
    uint32_t max_discard_sectors, max_write_zeroes_sectors;
    bool discard, write_zeroes, config_wce;
    int write_cache;                    /* OnOffAuto */
    char *iothread;
    QIOThreadVirtQueueMappingList vq_mapping;
    /* state */
    uint8_t writeback;                  /* the cache holds writes back until a flush */
    /* not saved: nothing is in flight then */
    struct BlkShare *share;             /* by VirtQueue.home: what each loop has in flight */
    unsigned shares;
} VirtioBlk;

extern const DeviceClass virtio_blk_class;

#endif
