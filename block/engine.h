/* Engines: who carries out the reads and writes of files.  The thread pool is always there; engines of the kernel's
 * asynchronous interfaces are further tables of this kind. */
#ifndef BLOCK_ENGINE_H
#define BLOCK_ENGINE_H

#include "block/iov.h"

/* Coroutines.  0 or -errno; all bytes or an error, except that a read behind the end of the file gives zeros. */
typedef struct IoEngine {
    const char *name;                   /* as aio= names it */
    int (*co_preadv)(int fd, int64_t offset, const IoVec *iov);
    int (*co_pwritev)(int fd, int64_t offset, const IoVec *iov);
    int (*co_fdatasync)(int fd);
} IoEngine;

extern const IoEngine engine_threads;

#endif
