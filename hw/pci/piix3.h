/* Intel 82371SB ("PIIX3"), function 0: the bridge to the ISA bus, and the router of the PCI interrupts. */
#ifndef HW_PCI_PIIX3_H
#define HW_PCI_PIIX3_H

#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

extern const DeviceClass piix3_class;
/* The bus behind a realized bridge; NULL on the bench. */
IsaBus *piix3_isa(Device *piix3);

#endif
