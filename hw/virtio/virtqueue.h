/* Virtqueues, split (virtio 1.2 §2.7) and packed (§2.8): taking buffers from a driver and giving them back.
 *
 * Each field of a ring is read once and judged afterwards, so a driver that changes it meanwhile gains nothing; every walk has
 * an end.  What breaks the rules ends in virtio_break.  Guest memory is copied, or mapped for a system call. */
#ifndef HW_VIRTIO_VIRTQUEUE_H
#define HW_VIRTIO_VIRTQUEUE_H

#include "hw/virtio/virtio.h"

typedef struct VirtPiece {
    uint64_t at;
    uint32_t len;
} VirtPiece;

typedef struct VirtBuffer {             /* one chain of descriptors */
    VirtQueue *q;
    uint16_t id, slots;                 /* what the driver calls it; ring slots that it takes                */
    unsigned n_out, n_in;               /* pieces that the device reads, then pieces that it writes          */
    uint64_t out, in;                   /* their bytes                                                       */
    VirtPiece piece[];
} VirtBuffer;

/* The queue was set up by the driver and may be used. */
bool virtqueue_usable(const VirtQueue *q);
/* The next buffer, or NULL: none there, none allowed now, or the ring is broken.  The caller owns it and ends with
 * virtqueue_push, _unpop or _drop. */
VirtBuffer *virtqueue_pop(VirtQueue *q);
void virtqueue_unpop(VirtBuffer *b);    /* the last one popped: it is available again                        */
/* Give it back with `written` bytes written; the interrupt is considered at the next update().  Frees it. */
void virtqueue_push(VirtBuffer *b, uint64_t written);
void virtqueue_drop(VirtBuffer *b);     /* the queue was reset meanwhile: only free it                       */

/* Copy from the readable, or into the writable part, from `offset` on.  Bytes that the part had room for. */
size_t virtbuffer_read(const VirtBuffer *b, uint64_t offset, void *buf, size_t len);
size_t virtbuffer_write(const VirtBuffer *b, uint64_t offset, const void *buf, size_t len);
/* Map [offset, offset+len) of the readable or writable part.  False, with v empty: not all of it is RAM. */
bool virtbuffer_map(const VirtBuffer *b, bool writable, uint64_t offset, uint64_t len, DmaVec *v);

/* ---- For virtio.c ---- */
bool virtqueue_arm(VirtQueue *q);       /* ask for a kick; true: something came in between                   */
void virtqueue_quiet(VirtQueue *q);     /* no kicks for now                                                  */
bool virtqueue_wants_signal(VirtQueue *q);      /* the driver wants an interrupt for what was returned       */

#endif
