/* Main memory: the RAM of -m, from the host's anonymous memory, a file, a memory back end, or those of the NUMA nodes. */
#ifndef HW_MEMORY_MAIN_RAM_H
#define HW_MEMORY_MAIN_RAM_H

#include "core/error.h"
#include "mem/region.h"

/* -machine memory-backend=ID is looked up and held; machine.ram_size is final afterwards. */
bool main_ram_choose(GError **error);
/* All of it as one region, "pc.ram"; the caller's.  For boards that have RAM, once. */
Region *main_ram_region(GError **error);

#endif
