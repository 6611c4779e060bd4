/* Intel 82371AB ("PIIX4"), function 3: ACPI registers, SMBus host controller, APM ports. */
#ifndef HW_PCI_PIIX4_PM_H
#define HW_PCI_PIIX4_PM_H

#include "hw/pci/pci.h"

enum {                                  /* where the pc board's firmware and tables expect what this chip may move */
    PIIX4_PM_BASE = 0x600, PIIX4_SMBUS_BASE = 0x700, PIIX4_GPE_BASE = 0xafe0, PIIX4_GPE_LEN = 4, PIIX4_PCIHP_BASE = 0xae00,
    PIIX4_SMI_CMD = 0xb2, PIIX4_ACPI_ENABLE = 0xf1, PIIX4_ACPI_DISABLE = 0xf0
};

extern const DeviceClass piix4_pm_class;

#endif
