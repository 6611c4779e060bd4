/* Scatter lists of a request. */
#ifndef BLOCK_IOV_H
#define BLOCK_IOV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct IoVec {
    struct iovec *v;
    unsigned n;
    size_t bytes;                       /* of all pieces together */
} IoVec;

/* A list of one piece; `piece` must live as long. */
static inline IoVec iovec_one(struct iovec *piece, void *buf, size_t bytes)
{
    *piece = (struct iovec){buf, bytes};
    return (IoVec){piece, 1, bytes};
}

size_t iovec_bytes(const struct iovec *v, unsigned n);
/* The part [from, from + bytes) of a list, which must contain it; g_free .v afterwards. */
IoVec iovec_slice(const IoVec *iov, size_t from, size_t bytes);
/* Copy between a flat buffer and the bytes from `from` on. */
void iovec_read(const IoVec *iov, size_t from, void *buf, size_t bytes);
void iovec_write(const IoVec *iov, size_t from, const void *buf, size_t bytes);
void iovec_zero(const IoVec *iov, size_t from, size_t bytes);
bool iovec_is_zero(const IoVec *iov);
/* Every piece begins and ends at multiples of align. */
bool iovec_aligned(const IoVec *iov, size_t align);
bool buffer_is_zero(const void *buf, size_t bytes);

#endif
