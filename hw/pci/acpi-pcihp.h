/* PCI hot-plug by ACPI: the ports through which the AML of this board's tables learns what has come and what is asked
 * to go, and ejects it (QEMU docs/specs/acpi_pci_hotplug).  A part of the chip with the general-purpose events. */
#ifndef HW_PCI_ACPI_PCIHP_H
#define HW_PCI_ACPI_PCIHP_H

#include "hw/pci/pci.h"

enum {                                  /* registers, of 4 bytes; a bit for each slot of the selected bus    */
    PCIHP_UP = 0x00, PCIHP_DOWN = 0x04, PCIHP_EJECT = 0x08, PCIHP_REMOVABLE = 0x0c, PCIHP_SELECT = 0x10,
    PCIHP_INDEX = 0x14,                 /* not in that document: a slot's bit written, read the acpi-index there */
    PCIHP_SIZE = 0x18, PCIHP_BUSES = 256
};

typedef struct AcpiPcihp {
    uint32_t select;                    /* the bus that the other registers are about                        */
    uint32_t index_slot;                /* the slot that PCIHP_INDEX is about, as a bit                      */
    uint32_t inserted[PCIHP_BUSES];     /* by selector: slots that the guest has not been told of            */
    PciBus *root;
    bool on_root, behind_bridges;       /* where it is offered                                               */
} AcpiPcihp;
extern const DeviceClass acpi_pcihp_class;
#define ACPI_PCIHP(T, f, space_) PART(T, f, acpi_pcihp_class, .space = space_)

/* From the whole's realize and unrealize: serves a root bus, and buses behind bridges that are there at the start. */
void acpi_pcihp_init(AcpiPcihp *hp, PciBus *root, bool on_root, bool behind_bridges);
void acpi_pcihp_exit(AcpiPcihp *hp);

/* Gives buses their selectors, as far as they have none; before the tables are made. */
void acpi_pcihp_number(PciBus *root);
/* Whether a slot can be emptied by this machine's guest: what is there from the start and cannot go blocks it. */
bool acpi_pcihp_slot(const PciBus *bus, unsigned slot);

#endif
