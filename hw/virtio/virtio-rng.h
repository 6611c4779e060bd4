#ifndef HW_VIRTIO_VIRTIO_RNG_H
#define HW_VIRTIO_VIRTIO_RNG_H

#include "hw/virtio/virtio.h"

typedef struct VirtioRng {
    VirtioDevice v;
    uint64_t max_bytes;
    uint32_t period;                    /* ms */
    uint64_t left;
    Timer refill;
} VirtioRng;

extern const DeviceClass virtio_rng_class;

#endif
