/* Data between a drive and pieces of guest memory, in one request: mapped where the pieces are RAM, through a copy where
 * they are not.  Main lock held. */
#ifndef HW_STORAGE_SCATTER_H
#define HW_STORAGE_SCATTER_H

#include <glib.h>

#include "mem/dma.h"

typedef struct Scatter {
    Dma *dma;
    bool in;                            /* towards memory                                                    */
    uint32_t bytes;                     /* that the pieces hold; scatter_begin may cut it                    */
    GArray *pieces;
    DmaVec vec;
    uint8_t *copy;                      /* when not all of it is RAM                                         */
    struct iovec whole;                 /* of the copy                                                       */
} Scatter;

Scatter *scatter_new(Dma *dma, bool in);
void scatter_add(Scatter *s, uint64_t addr, uint32_t len);
unsigned scatter_count(const Scatter *s);       /* pieces so far */
/* Make the first `bytes` ready for the drive.  False: part of what is to be written is no memory, and reads as ones. */
bool scatter_begin(Scatter *s, uint32_t bytes);
const struct iovec *scatter_iov(const Scatter *s, unsigned *n);
/* The drive has let go; `ok`: it moved the data.  Frees `s`.  False: part of what it read has no place in memory. */
bool scatter_end(Scatter *s, bool ok);
/* Between the pieces and a buffer, without a drive; then s may be freed by scatter_end(s, false). */
bool scatter_copy(const Scatter *s, uint8_t *buf, uint32_t bytes);

#endif
