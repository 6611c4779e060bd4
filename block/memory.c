/* An image in memory (size=), for tests and for parts that want a small disk of their own. */
#include <errno.h>
#include <sys/mman.h>

#include "block/drivers.h"
#include "core/error.h"
#include "core/options.h"

typedef struct MemoryNode {
    BlockNode node;
    char *data;
    size_t room;
} MemoryNode;

static char *data_map(size_t bytes)
{
    char *data = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return data == MAP_FAILED ? NULL : data;
}

static bool memory_open(BlockNode *n, GHashTable *options, GError **error)
{
    MemoryNode *m = (MemoryNode *)n;
    uint64_t size = 0;
    if (!options_take_size(options, "size", &size, error)) {
        return false;
    }
    if (size > INT64_MAX || !(m->data = data_map(size))) {
        return error_fail(error, "block driver 'memory': no room for size=%" G_GUINT64_FORMAT,
                          size);
    }
    m->room = size;
    n->length = (int64_t)size;
    return true;
}

static void memory_close(BlockNode *n)
{
    MemoryNode *m = (MemoryNode *)n;
    munmap(m->data, m->room ? m->room : 1);
}

static int memory_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    iovec_write(iov, 0, ((MemoryNode *)n)->data + offset, iov->bytes);
    return 0;
}

static int memory_truncate(BlockNode *n, int64_t length)
{
    MemoryNode *m = (MemoryNode *)n;
    void *data =
        mremap(m->data, m->room ? m->room : 1, length ? (size_t)length : 1, MREMAP_MAYMOVE);
    if (data == MAP_FAILED) {
        return -ENOMEM;
    }
    m->data = data;
    m->room = (size_t)length;
    return 0;
}

static int memory_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags)
{
    MemoryNode *m = (MemoryNode *)n;
    (void)flags;
    if (offset + (int64_t)iov->bytes > (int64_t)m->room) {
        return -ENOSPC;
    }
    iovec_read(iov, 0, m->data + offset, iov->bytes);
    return 0;
}

const BlockDriver block_memory = {
    .name = "memory",
    .doc = "image in memory, zero at first",
    .size = sizeof(MemoryNode),
    .protocol = true,
    .open = memory_open,
    .close = memory_close,
    .co_preadv = memory_preadv,
    .co_pwritev = memory_pwritev,
    .co_truncate = memory_truncate,
    .fua = true,
};
