/* Intel 82441FX PMC ("440FX"): the host bridge of the pc board.
 *
 * Two devices, as users know them: "i440FX-pcihost", which offers pci.0 and the configuration ports, and its function
 * "i440FX" at 00.0, whose registers switch the memory map. */
#ifndef HW_PCI_I440FX_H
#define HW_PCI_I440FX_H

#include "hw/pci/pc-memory.h"
#include "hw/pci/pci.h"

/* Both devices, realized.  `m` outlives them and was set up by pc_memory_init.  The host bridge's device is returned;
 * device_free takes the bus and all that is plugged into it along. */
Device *i440fx_new(PcMemory *m, GError **error);
PciBus *i440fx_bus(Device *host);
/* What a CPU in system-management mode sees: the memory space with SMRAM on top while the guest has it enabled. */
Space *i440fx_smm_space(Device *host);

extern const DeviceClass i440fx_host_class, i440fx_class;

#endif
