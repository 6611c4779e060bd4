/* The capability of PCI Express (PCI Express Base 2.0 §7.8), with the registers of the slot behind a port (§6.7.1).
 *
 * A part of functions that are on PCI Express.  It never calls its whole: the whole's update tells it what is in the
 * slot, and looks at what the guest has decided. */
#ifndef HW_PCI_PCIE_CAP_H
#define HW_PCI_PCIE_CAP_H

#include "hw/pci/pci.h"

typedef enum PcieKind {                 /* device/port type */
    PCIE_ROOT_PORT = 4, PCIE_UPSTREAM = 5, PCIE_DOWNSTREAM = 6, PCIE_TO_PCI = 7
} PcieKind;

typedef struct PcieCap {
    PciCap cap;
    uint8_t kind, port;
    uint16_t slot_number;               /* in its chassis */
    bool hotplug, power_controller;     /* of the slot */
    uint16_t link_mask, slot_mask;
    uint16_t device_control, device_status, link_control, slot_control, slot_status, root_control;
    uint32_t root_status;
    bool present, link;                 /* as told to the guest: slot filled, link active */
    bool left, kept;                    /* what the guest has just decided about the slot: for the whole, which clears it */
} PcieCap;
extern const DeviceClass pcie_cap_class;
#define PCIE_CAP(T, f, at_) PART(T, f, pcie_cap_class, .space = SPACE_PCI_CONFIG, .at = at_)

/* From realize: root and downstream ports have a slot, whose properties are set in the part before. */
void pcie_cap_init(PciDevice *pd, PcieCap *cap, unsigned at, PcieKind kind);

/* ---- The slot, from the whole's reset and update ---- */
void pcie_slot_reset(PcieCap *cap, bool present);
void pcie_slot_see(PcieCap *cap, bool present); /* what is there now; changes become events */
void pcie_slot_press(PcieCap *cap);     /* the attention button */
bool pcie_slot_powered(const PcieCap *cap);
bool pcie_slot_blinks(const PcieCap *cap);      /* the power indicator: the guest is about to do something */
bool pcie_slot_asks(const PcieCap *cap);/* its interrupt condition (§6.7.3.4) */

#endif
