#include "hw/virtio/virtio-pci.h"
#include "hw/virtio/virtio-serial.h"

typedef struct VirtioSerialPci {
    VirtioPci vpci;
    VirtioSerial serial;
} VirtioSerialPci;

static const Row rows[] = {PART(VirtioSerialPci, serial, virtio_serial_class), END};

const DeviceClass virtio_serial_pci_class = {
    .name = "virtio-serial-pci",
    .alias = "virtio-serial",
    .doc = "virtio console and serial ports",
    .category = "input",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioSerialPci, serial, 0x078000, VIRTIO_PCI_GENERIC, 2),
};

const DeviceClass virtio_serial_pci_transitional_class = {
    .name = "virtio-serial-pci-transitional",
    .doc = "virtio console and serial ports with legacy interface",
    .category = "input",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioSerialPci, serial, 0x078000, VIRTIO_PCI_TRANSITIONAL, 2),
};

const DeviceClass virtio_serial_pci_non_transitional_class = {
    .name = "virtio-serial-pci-non-transitional",
    .doc = "virtio console and serial ports without legacy interface",
    .category = "input",
    .rows = rows,
    VIRTIO_PCI_LEAF(VirtioSerialPci, serial, 0x078000, VIRTIO_PCI_NON_TRANSITIONAL, 2),
};
