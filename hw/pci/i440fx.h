/* Intel 82441FX PMC ("440FX"): the host bridge of the pc board.
 *
 * Two devices, as users know them: "i440FX-pcihost", which offers pci.0 and the configuration ports, and its function
 * "i440FX" at 00.0, whose registers switch the memory map. */
#ifndef HW_PCI_I440FX_H
#define HW_PCI_I440FX_H

#include "hw/pci/pc-host.h"

extern const DeviceClass i440fx_host_class, i440fx_class;        /* pc_host_new makes both */

#endif
