/* Host pointers into guest memory.  For mem/, accel/ and ui's framebuffer readers only: hw/ never includes this file. */
#ifndef MEM_HOST_H
#define MEM_HOST_H

#include "mem/ram.h"

void *ram_host(const RamBlock *b);      /* start of the block in this process */
/* Host address of a RAM range's first byte; NULL for device windows. */
void *range_host(const FlatRange *fr);

#endif
