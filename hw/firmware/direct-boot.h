/* A kernel entered without firmware: for boards that are built to start one in the least time.
 *
 * At each reset the pieces that loader_add_kernel has prepared, the memory map, ACPI or MP tables and what the kernel's boot
 * protocol wants to know are written into RAM, and the first processor starts at the kernel's entry instead of its reset
 * vector.  What firmware would leave is there as far as kernels ask for it: MTRRs say "write-back", the tables lie where they
 * are looked for. */
#ifndef HW_FIRMWARE_DIRECT_BOOT_H
#define HW_FIRMWARE_DIRECT_BOOT_H

#include "hw/firmware/fw-cfg.h"

/* For the machine as it stands, when loader_add_kernel and tables_add have filled in `fw`.  level_lines: ISA lines that are
 * level-triggered, for the MP table of a machine without ACPI.  False and *error: this kernel cannot be entered so. */
bool direct_boot(FwCfg *fw, uint16_t level_lines, GError **error);

#endif
