/* The acpi-index of what is in a slot, as the guest's tables ask for it while the machine runs (PCI Firmware 3.3 §4.6.7).  On
 * a board whose PCI hot-plug is not ACPI's this is a device with two registers of 4 bytes, laid out as the last two of
 * acpi-pcihp.h: a bus, and a slot's bit written, read the number. */
#ifndef HW_PCI_ACPI_PCI_INDEX_H
#define HW_PCI_ACPI_PCI_INDEX_H

#include "hw/pci/pci.h"

enum { ACPI_INDEX_ICH9 = 0x0cd0, ACPI_INDEX_PORTS = 8, ACPI_INDEX_SELECT = 0, ACPI_INDEX_SLOT = 4 };
extern const DeviceClass acpi_pci_index_class;

/* Of function 0 in the lowest of `slots` (bits) on the bus with this selector; 0: none. */
uint32_t acpi_index_at(PciBus *root, uint32_t selector, uint32_t slots);
/* The bus with a selector (pci_bus_selector); NULL: there is none. */
PciBus *acpi_bus_selected(PciBus *root, uint32_t selector);

#endif
