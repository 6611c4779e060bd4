#include "hw/virtio/virtio-pci.h"
#include "hw/virtio/virtio-balloon.h"

typedef struct VirtioBalloonPci {
    VirtioPci vpci;
    VirtioBalloon balloon;
} VirtioBalloonPci;

static const Row rows[] = {PART(VirtioBalloonPci, balloon, virtio_balloon_class), END};

const DeviceClass virtio_balloon_pci_class = {
    .name = "virtio-balloon-pci",
    .alias = "virtio-balloon",
    .doc = "virtio memory balloon",
    .category = "misc",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioBalloonPci, balloon, 0x00ff00, VIRTIO_PCI_GENERIC, VIRTIO_PCI_NO_MSIX),
};

const DeviceClass virtio_balloon_pci_transitional_class = {
    .name = "virtio-balloon-pci-transitional",
    .doc = "virtio memory balloon with legacy interface",
    .category = "misc",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioBalloonPci, balloon, 0x00ff00, VIRTIO_PCI_TRANSITIONAL, VIRTIO_PCI_NO_MSIX),
};

const DeviceClass virtio_balloon_pci_non_transitional_class = {
    .name = "virtio-balloon-pci-non-transitional",
    .doc = "virtio memory balloon without legacy interface",
    .category = "misc",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioBalloonPci, balloon, 0x00ff00, VIRTIO_PCI_NON_TRANSITIONAL, VIRTIO_PCI_NO_MSIX),
};
