/* An image that stores nothing: writes are lost, reads give zeros (or, without read-zeroes=on,
 * whatever the buffer held). For measuring everything but the disk. */
#include "block/drivers.h"
#include "block/worker.h"
#include "core/clock.h"
#include "core/options.h"

typedef struct NullNode {
    BlockNode node;
    bool zeroes;
    uint64_t latency_ns;
} NullNode;

static bool null_open(BlockNode *n, GHashTable *options, GError **error)
{
    NullNode *z = (NullNode *)n;
    uint64_t size = UINT64_C(1) << 30;
    if (!options_take_size(options, "size", &size, error) ||
        !options_take_bool(options, "read-zeroes", &z->zeroes, error) ||
        !options_take_uint(options, "latency-ns", INT64_MAX / 2, &z->latency_ns, error)) {
        return false;
    }
    n->length = (int64_t)MIN(size, (uint64_t)INT64_MAX / 2);
    return true;
}

static int nap(void *arg)
{
    g_usleep((gulong)(((NullNode *)arg)->latency_ns / NS_PER_US));
    return 0;
}

/* Queue loops have no timers. */
static int null_wait(NullNode *z)
{
    if (z->latency_ns && co_loop() != loop_main()) {
        return co_worker_run(nap, z);
    }
    if (z->latency_ns) {
        co_sleep(CLOCK_RT, (int64_t)z->latency_ns);
    }
    return 0;
}

static int null_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    NullNode *z = (NullNode *)n;
    (void)offset;
    if (z->zeroes) {
        iovec_zero(iov, 0, iov->bytes);
    }
    return null_wait(z);
}

static int null_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags)
{
    (void)offset, (void)iov, (void)flags;
    return null_wait((NullNode *)n);
}

static int null_pwrite_zeroes(BlockNode *n, int64_t offset, int64_t bytes, unsigned flags)
{
    (void)offset, (void)bytes, (void)flags;
    return null_wait((NullNode *)n);
}

static int null_flush(BlockNode *n)
{
    return null_wait((NullNode *)n);
}

const BlockDriver block_null_co = {
    .name = "null-co",
    .doc = "image that stores nothing",
    .size = sizeof(NullNode),
    .protocol = true,
    .open = null_open,
    .co_preadv = null_preadv,
    .co_pwritev = null_pwritev,
    .co_pwrite_zeroes = null_pwrite_zeroes,
    .co_flush = null_flush,
    .fua = true,
};
