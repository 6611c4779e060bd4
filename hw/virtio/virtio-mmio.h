/* virtio over memory-mapped registers (virtio 1.2 §4.2), for boards without PCI: 200h bytes and one interrupt.
 * A board makes the device "virtio-mmio", maps virtio_mmio_region and connects the pin "irq"; users plug virtio-*-device into its
 * bus ("virtio-mmio-bus.N").  An empty bus reads as device ID 0, which drivers pass by. */
#ifndef HW_VIRTIO_VIRTIO_MMIO_H
#define HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/device.h"

enum { VIRTIO_MMIO_SIZE = 0x200 };
Region *virtio_mmio_region(Device *virtio_mmio);        /* made by the call; owned by the device */

bool virtio_mmio_used(const Device *virtio_mmio);       /* something is plugged in */

#endif
