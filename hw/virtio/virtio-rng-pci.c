#include "hw/virtio/virtio-pci.h"
#include "hw/virtio/virtio-rng.h"

typedef struct VirtioRngPci {
    VirtioPci vpci;
    VirtioRng rng;
} VirtioRngPci;

static const Row rows[] = {PART(VirtioRngPci, rng, virtio_rng_class), END};

const DeviceClass virtio_rng_pci_class = {
    .name = "virtio-rng-pci",
    .alias = "virtio-rng",
    .doc = "virtio random number generator",
    .category = "misc",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioRngPci, rng, 0x00ff00, VIRTIO_PCI_GENERIC, 0),
};

const DeviceClass virtio_rng_pci_transitional_class = {
    .name = "virtio-rng-pci-transitional",
    .doc = "virtio random number generator with legacy interface",
    .category = "misc",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioRngPci, rng, 0x00ff00, VIRTIO_PCI_TRANSITIONAL, 0),
};

const DeviceClass virtio_rng_pci_non_transitional_class = {
    .name = "virtio-rng-pci-non-transitional",
    .doc = "virtio random number generator without legacy interface",
    .category = "misc",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioRngPci, rng, 0x00ff00, VIRTIO_PCI_NON_TRANSITIONAL, 0),
};
