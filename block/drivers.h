/* The drivers.  For block/ only. */
#ifndef BLOCK_DRIVERS_H
#define BLOCK_DRIVERS_H

#include "block/node.h"

extern const BlockDriver block_file, block_host_device, block_raw, block_null_co, block_memory;

#endif
