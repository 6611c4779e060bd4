/* A drive that fails, or waits, on demand. */
#ifndef TESTS_HW_FAKE_DRIVE_H
#define TESTS_HW_FAKE_DRIVE_H

#include <string.h>

#include "block/drive.h"
#include "block/node.h"
#include "core/coroutine.h"

static struct {
    int fail;                           /* result of everything, when not 0 */
    bool park;                          /* requests wait until released */
    CoQueue parked;
    unsigned flushes, discards, fua;
    uint8_t data[1 << 20];
} fake;

static int fake_enter(void)
{
    if (fake.park) {
        co_queue_wait(&fake.parked, NULL);
    }
    return fake.fail;
}

static int fake_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    int result = fake_enter();
    iovec_write(iov, 0, fake.data + offset, iov->bytes);
    return result;
}

static int fake_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags)
{
    int result = fake_enter();
    fake.fua += flags & BLOCK_FUA;
    if (!result) {
        iovec_read(iov, 0, fake.data + offset, iov->bytes);
    }
    return result;
}

static int fake_flush(BlockNode *n)
{
    fake.flushes++;
    return fake_enter();
}

static int fake_pdiscard(BlockNode *n, int64_t offset, int64_t bytes)
{
    fake.discards++;
    memset(fake.data + offset, 0xdd, (size_t)bytes); /* what was discarded may read as anything */
    return fake_enter();
}

static int fake_truncate(BlockNode *n, int64_t length)
{
    n->length = length;
    return 0;
}

/* `size` bytes, up to 1 MiB, each block of 512 filled with its number. */
static inline Drive *fake_drive(const char *id, size_t size)
{
    static const BlockDriver driver = {
        .name = "fake",
        .size = sizeof(BlockNode),
        .protocol = true,
        .fua = true,
        .co_preadv = fake_preadv,
        .co_pwritev = fake_pwritev,
        .co_flush = fake_flush,
        .co_pdiscard = fake_pdiscard,
        .co_truncate = fake_truncate,
    };
    BlockNode *n = node_new(&driver, &(NodeMode){.unmap = true});
    n->length = (int64_t)size;
    n->request_align = n->memory_align = 1;
    for (size_t i = 0; i < sizeof fake.data; i++) {
        fake.data[i] = (uint8_t)(i / 512);
    }
    return drive_new_node(id, n);
}

#endif
