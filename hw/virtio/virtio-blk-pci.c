#include "hw/virtio/virtio-blk.h"
#include "hw/virtio/virtio-pci.h"

typedef struct VirtioBlkPci {
    VirtioPci vpci;
    VirtioBlk blk;
} VirtioBlkPci;

static const Row rows[] = {PART(VirtioBlkPci, blk, virtio_blk_class), END};

const DeviceClass virtio_blk_pci_class = {
    .name = "virtio-blk-pci",
    .alias = "virtio-blk",
    .doc = "virtio disk",
    .category = "storage",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioBlkPci, blk, 0x010000, VIRTIO_PCI_GENERIC, 0),
};

const DeviceClass virtio_blk_pci_transitional_class = {
    .name = "virtio-blk-pci-transitional",
    .doc = "virtio disk with legacy interface",
    .category = "storage",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioBlkPci, blk, 0x010000, VIRTIO_PCI_TRANSITIONAL, 0),
};

const DeviceClass virtio_blk_pci_non_transitional_class = {
    .name = "virtio-blk-pci-non-transitional",
    .doc = "virtio disk without legacy interface",
    .category = "storage",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioBlkPci, blk, 0x010000, VIRTIO_PCI_NON_TRANSITIONAL, 0),
};
