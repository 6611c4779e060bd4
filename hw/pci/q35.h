/* Intel 82Q35 MCH: the host bridge of the q35 board.
 *
 * Two devices, as users know them: "q35-pcihost", which offers pcie.0, the configuration ports and the memory-mapped
 * configuration window, and its function "mch" at 00.0, whose registers switch the memory map. */
#ifndef HW_PCI_Q35_H
#define HW_PCI_Q35_H

#include "hw/pci/pc-host.h"

extern const DeviceClass q35_host_class, mch_class;        /* pc_host_new makes both */

/* PCIEXBAR: where the window lies.  False: nowhere. */
enum { MCH_PCIEXBAR = 0x60 };
bool q35_ecam(const PciDevice *mch, uint64_t *at, uint64_t *size);

#endif
