/* DMA: a capability to reach guest memory, granted by a bus, so that bus-master enable lives in one place.
 * Copies only; a device that needs an iovec for a system call maps and unmaps.  Main lock or the owner's queue loop. */
#ifndef MEM_DMA_H
#define MEM_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "mem/region.h"

typedef struct Dma Dma;

/* bus_master NULL: always allowed.  Valid while the space lives; dma_free by whoever granted it. */
Dma *dma_grant(Space *space, const bool *bus_master);
void dma_free(Dma *dma);

/* Whether bus mastering is on. */
bool dma_allowed(const Dma *dma);
/* False when not allowed or when part of the range is not memory: such bytes read as ones and writes there are lost.
 * Transfers to device windows are carried out, except into a device that is itself in the middle of an access and on the
 * thread of a queue loop; there they count as no memory. */
bool dma_read(Dma *dma, uint64_t gpa, void *buf, size_t len);
bool dma_write(Dma *dma, uint64_t gpa, const void *buf, size_t len);

typedef struct DmaVec {                 /* a list of host pieces of guest memory, for system calls only */
    struct iovec *iov;
    RamBlock **block;                   /* that each piece lies in: it stays while it is mapped, whatever is unplugged */
    unsigned n, room;
    size_t bytes;
} DmaVec;
/* Append [gpa, gpa+len) to v.  False, with v unchanged, when not allowed or not all of it is RAM: the device then goes
 * through dma_read/dma_write.  `write`: the device will write there. */
bool dma_map(Dma *dma, uint64_t gpa, size_t len, bool write, DmaVec *v);
/* Give the pieces back; the first `written` bytes were written by the device (their pages become dirty). */
void dma_unmap(Dma *dma, DmaVec *v, size_t written);

/* The guest has no use for what is there (balloon): whole pages of RAM in [gpa, gpa+len) lose their contents and go back to
 * the host, as far as their backing can.  Anything else is left as it is. */
void dma_discard(Dma *dma, uint64_t gpa, uint64_t len);

#endif
