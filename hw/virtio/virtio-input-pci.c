#include "hw/virtio/virtio-input.h"
#include "hw/virtio/virtio-pci.h"

typedef struct VirtioInputPci {
    VirtioPci vpci;
    VirtioInput input;
} VirtioInputPci;

static const Row keyboard_rows[] = {PART(VirtioInputPci, input, virtio_keyboard_class), END};
static const Row mouse_rows[] = {PART(VirtioInputPci, input, virtio_mouse_class), END};
static const Row tablet_rows[] = {PART(VirtioInputPci, input, virtio_tablet_class), END};

const DeviceClass virtio_keyboard_pci_class = {
    .name = "virtio-keyboard-pci",
    .alias = "virtio-keyboard",
    .doc = "virtio keyboard",
    .category = "input",
    .rows = keyboard_rows,
    VIRTIO_PCI_LEAF(VirtioInputPci, input, 0x090000, VIRTIO_PCI_GENERIC, 2),
};

const DeviceClass virtio_mouse_pci_class = {
    .name = "virtio-mouse-pci",
    .alias = "virtio-mouse",
    .doc = "virtio mouse",
    .category = "input",
    .rows = mouse_rows,
    VIRTIO_PCI_LEAF(VirtioInputPci, input, 0x090200, VIRTIO_PCI_GENERIC, 2),
};

const DeviceClass virtio_tablet_pci_class = {
    .name = "virtio-tablet-pci",
    .alias = "virtio-tablet",
    .doc = "virtio tablet",
    .category = "input",
    .rows = tablet_rows,
    VIRTIO_PCI_LEAF(VirtioInputPci, input, 0x098000, VIRTIO_PCI_GENERIC, 2),
};
