#include "hw/virtio/virtio-pci.h"
#include "hw/virtio/virtio-scsi.h"

typedef struct VirtioScsiPci {
    VirtioPci vpci;
    VirtioScsi scsi;
} VirtioScsiPci;

static const Row rows[] = {PART(VirtioScsiPci, scsi, virtio_scsi_class), END};

const DeviceClass virtio_scsi_pci_class = {
    .name = "virtio-scsi-pci",
    .alias = "virtio-scsi",
    .doc = "virtio SCSI host adapter",
    .category = "storage",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioScsiPci, scsi, 0x010000, VIRTIO_PCI_GENERIC, 0),
};

const DeviceClass virtio_scsi_pci_transitional_class = {
    .name = "virtio-scsi-pci-transitional",
    .doc = "virtio SCSI host adapter with legacy interface",
    .category = "storage",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioScsiPci, scsi, 0x010000, VIRTIO_PCI_TRANSITIONAL, 0),
};

const DeviceClass virtio_scsi_pci_non_transitional_class = {
    .name = "virtio-scsi-pci-non-transitional",
    .doc = "virtio SCSI host adapter without legacy interface",
    .category = "storage",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioScsiPci, scsi, 0x010000, VIRTIO_PCI_NON_TRANSITIONAL, 0),
};
