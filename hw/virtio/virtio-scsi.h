/* virtio-scsi: a SCSI host adapter (virtio 1.2 §5.6).  Shared by the device (virtio-scsi.c) and what carries it. */
#ifndef HW_VIRTIO_VIRTIO_SCSI_H
#define HW_VIRTIO_VIRTIO_SCSI_H

#include "hw/scsi/scsi-bus.h"
#include "hw/virtio/virtio.h"

enum { SCSI_EVENTS = 32 };              /* that wait for buffers; what does not fit is counted as missed */

typedef struct VirtioScsi {
    VirtioDevice v;
    /* properties */
    uint32_t num_queues, queue_size, max_sectors, cmd_per_lun, seg_max;
    bool hotplug, param_change;
    char *iothread;
    ScsiBus *bus;
    /* state */
    uint32_t sense_size, cdb_size;      /* as the driver set them */
    uint8_t waiting;                    /* events */
    bool missed;                        /* some were lost */
    uint32_t event_type[SCSI_EVENTS], event_reason[SCSI_EVENTS];
    uint8_t event_target[SCSI_EVENTS];
    uint16_t event_lun[SCSI_EVENTS];
    /* not saved: nothing is in flight then */
    struct ScsiRequest *requests;
    struct Management *management;      /* that waits for commands to end */
    unsigned in_flight;
    uint64_t taken;                     /* commands, ever */
} VirtioScsi;

extern const DeviceClass virtio_scsi_class;

#endif
