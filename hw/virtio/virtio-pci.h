/* virtio over PCI (virtio 1.2 §4.1): a function that carries a virtio device as a part.
 *
 *     typedef struct VirtioRngPci { VirtioPci vpci; VirtioRng rng; } VirtioRngPci;
 *
 * Its class has .base = &virtio_pci_class, .info = &(const VirtioPciInfo){...}, .update = virtio_pci_update and .busy =
 * virtio_pci_busy (update() must come after that of the part).  Main lock held. */
#ifndef HW_VIRTIO_VIRTIO_PCI_H
#define HW_VIRTIO_VIRTIO_PCI_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"

/* Which interfaces a type has: as its properties and its device's age say, or as its name says. */
typedef enum VirtioPciKind { VIRTIO_PCI_GENERIC, VIRTIO_PCI_TRANSITIONAL, VIRTIO_PCI_NON_TRANSITIONAL } VirtioPciKind;

typedef struct VirtioPciInfo {
    PciInfo pci;                        /* .class_code; the rest follows from the device                     */
    size_t device;                      /* offset of the VirtioDevice in the struct                          */
    VirtioPciKind kind;
    uint16_t vectors;                   /* MSI-X vectors when the user says none; 0: for each queue and one more */
} VirtioPciInfo;
enum { VIRTIO_PCI_NO_MSIX = 0xffff };   /* in .vectors */

typedef struct VirtioPciCap {           /* §4.1.4: where a structure lies */
    PciCap cap;
    uint8_t len, type, bar;
    uint32_t offset, length, multiplier;
} VirtioPciCap;

typedef struct VirtioPciAccessCap {     /* §4.1.4.9: a window into the BAR for firmware that has it not mapped */
    PciCap cap;
    uint8_t bar;
    uint32_t offset, length;
    VirtioDevice *vdev;
} VirtioPciAccessCap;

typedef struct VirtioPci {
    PciDevice pci;
    int disable_legacy;                 /* OnOffAuto */
    bool disable_modern;
    uint32_t want_vectors;              /* UINT32_MAX: as VirtioPciInfo says                                 */
    VirtioPciCap common, isr, device, notify;
    VirtioPciAccessCap access;
    PciMsixCap msix;
    VirtioDevice *vdev;
    bool ioeventfd;                     /* property: doorbells ring in the kernel where it can                */
    struct VirtioDoorbell *doorbell;    /* one for each of the device's loops, or one for the main loop      */
    unsigned doorbells;                 /* 0: every kick reaches the region                                  */
    struct VirtioIrqfd *irqfd;          /* by queue; NULL: interrupts go by the main loop                    */
    Region *modern_bar, *legacy_bar;
} VirtioPci;

extern const DeviceClass virtio_pci_class;      /* "virtio-pci" */
bool virtio_pci_realize(void *dev, GError **error);     /* the leaf class's */
void virtio_pci_update(void *dev);
bool virtio_pci_busy(const void *dev);

/* ---- virtio-pci-fds.c's: what the kernel does for kicks and interrupts ---- */
/* Doorbells: of the queues in the modern BAR, and of the legacy header. */
enum { VIRTIO_PCI_NOTIFY = 0x3000, VIRTIO_PCI_NOTIFY_STEP = 4, VIRTIO_PCI_LEGACY_NOTIFY = 0x10 };
void virtio_pci_fds_add(VirtioPci *s);  /* the device is set up                                              */
void virtio_pci_fds_update(VirtioPci *s);       /* vectors may have changed                                  */
void virtio_pci_fds_remove(VirtioPci *s);

/* What all leaf classes say alike, between the braces. */
#define VIRTIO_PCI_LEAF(T, part, class_code_, kind_, vectors_)                                                         \
    .base = &virtio_pci_class, .bus = "PCI", .size = sizeof(T), .hotpluggable = true, .realize = virtio_pci_realize,   \
    .update = virtio_pci_update, .busy = virtio_pci_busy,                                                              \
    .info = &(const VirtioPciInfo){.pci = {.vendor = VIRTIO_VENDOR, .class_code = class_code_, .interrupt_pin = 1},    \
                                   .device = offsetof(T, part), .kind = kind_, .vectors = vectors_}

#endif
