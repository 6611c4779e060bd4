/* Intel ICH9, function 31.0: the bridge to the ISA devices, router of the PCI interrupts, power management, TCO watchdog,
 * reset control. */
#ifndef HW_ISA_ICH9_LPC_H
#define HW_ISA_ICH9_LPC_H

#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

enum {                                  /* where the q35 board's firmware and tables expect what this chip may move */
    ICH9_PM_BASE = 0x600, ICH9_PMBASE = 0x40, ICH9_GPE_AT = 0x20, ICH9_GPE_LEN = 16, ICH9_SMI_CMD = 0xb2,
    ICH9_ACPI_ENABLE = 0x02, ICH9_ACPI_DISABLE = 0x03, ICH9_PIRQS = 8
};

extern const DeviceClass ich9_lpc_class;
/* The bus behind a realized bridge; NULL on the bench. */
IsaBus *ich9_lpc_isa(Device *lpc);

#endif
