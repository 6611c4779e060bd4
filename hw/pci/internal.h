/* Between the files of hw/pci. */
#ifndef HW_PCI_INTERNAL_H
#define HW_PCI_INTERNAL_H

#include "hw/pci/pci.h"

/* Leave the function by a message: as a bus master's write. */
void pci_bus_message(PciDevice *pd, uint64_t address, uint32_t data);
bool pci_message_interrupts(uint64_t address);          /* a write there is for local APICs, not for memory */
char *pci_node_name(const PciDevice *pd);       /* OpenFirmware's name for its class; caller frees */
/* Send messages that are pending and no longer masked. */
void pci_caps_update(PciDevice *pd);

#endif
