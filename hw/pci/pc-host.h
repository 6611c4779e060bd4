/* What the host bridges of PCs share: two devices, as users know them, one of which offers the root bus and the
 * configuration ports, the other being function 00.0 on it, whose registers switch the memory map.  Main lock held. */
#ifndef HW_PCI_PC_HOST_H
#define HW_PCI_PC_HOST_H

#include "hw/pci/pc-memory.h"
#include "hw/pci/pci.h"

/* The function; the first member of a chip's own.  The chip has the rows, at its own addresses. */
typedef struct PcHostFunction {
    PciDevice pci;
    uint8_t pam_bios, pam[6], smram;
    PcMemory *memory;                   /* NULL on the bench                                                 */
    PamAreas areas;
    SmramAreas smram_areas;
} PcHostFunction;
extern const DeviceClass pc_host_function_class;        /* abstract */

enum { SMRAM_ENABLE = 1 << 3, SMRAM_LOCK = 1 << 4, SMRAM_OPEN = 1 << 6 };
/* For the row of SMRAM. */
void pc_host_smram_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value);

/* The bridge's device; `info` of a class is a PcHostInfo. */
typedef struct PcHost {
    Device dev;
    uint64_t pci_hole64_size;
    PciConfigPorts ports;
    PcMemory *memory;
    PcHostFunction *function;
} PcHost;
typedef struct PcHostInfo {
    const char *bus;                    /* name of the root bus                                              */
    const DeviceClass *function;        /* of 00.0                                                           */
} PcHostInfo;
extern const DeviceClass pc_host_class;                 /* abstract */

/* Both devices, realized.  `m` outlives them and was set up by pc_memory_init.  The host bridge's device is returned;
 * device_free takes the bus and all that is plugged into it along. */
Device *pc_host_new(const DeviceClass *class, PcMemory *m, GError **error);
PciBus *pc_host_bus(Device *host);
/* What a CPU in system-management mode sees: the memory space with SMRAM on top while the guest has it enabled. */
Space *pc_host_smm_space(Device *host);

/* The shadow map as it is, and SMRAM.  Firmware resumes from S3 by the copy of itself and the SMI handler that it had left in
 * RAM, so a board carries these over that reset; over any other they go to their reset state, as the data sheets have it. */
typedef struct PcHostShadow {
    uint8_t bios, area[6], smram;
} PcHostShadow;
PcHostShadow pc_host_shadow(const Device *host);
void pc_host_set_shadow(Device *host, const PcHostShadow *shadow);

#endif
