/* Raw: the child's bytes as they are, or a window of them (offset=, size=).
 *
 * When nobody said that an image is raw, it was taken for raw because it begins like no other
 * format; a guest that then writes the beginning of another format into it would make the next
 * start open that instead, with whatever backing file it names.  So such writes are refused. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/drivers.h"
#include "core/error.h"
#include "core/options.h"

typedef struct RawNode {
    BlockNode node;
    int64_t offset;
    bool window; /* size= was given */
} RawNode;

static bool raw_open(BlockNode *n, GHashTable *options, GError **error)
{
    RawNode *r = (RawNode *)n;
    int64_t have = node_length(n->file);
    uint64_t offset = 0, size = 0;
    r->window = g_hash_table_contains(options, "size");
    if (!options_take_size(options, "offset", &offset, error) ||
        !options_take_size(options, "size", &size, error) ||
        !options_take_bool(options, "probed", &n->probed, error)) {
        return false;
    }
    if (offset > (uint64_t)have || (r->window && size > (uint64_t)have - offset)) {
        return error_fail(error,
                          "raw: offset=%" PRIu64 " and size=%" PRIu64
                          " reach behind the end of the image, which has %" PRId64 " bytes",
                          offset, size, have);
    }
    r->offset = (int64_t)offset;
    n->length = r->window ? (int64_t)size : have - r->offset;
    n->filename = g_strdup(n->file->filename);
    /* Shifted windows may start anywhere; the child then does the padding. */
    return true;
}

static int raw_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    return node_co_preadv(n->file, offset + ((RawNode *)n)->offset, iov);
}

enum { PROBE_BYTES = 512 };

static bool write_disguises(BlockNode *n, int64_t offset, const IoVec *iov, int *result)
{
    uint8_t head[PROBE_BYTES];
    *result = node_co_pread(n, 0, head, sizeof(head));
    if (*result >= 0) {
        iovec_read(iov, 0, head + offset, MIN(iov->bytes, sizeof(head) - (size_t)offset));
    }
    return *result >= 0 && strcmp(format_probe(head, sizeof(head)), "raw");
}

static int raw_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags)
{
    RawNode *r = (RawNode *)n;
    int result = 0;
    if (n->probed && offset < PROBE_BYTES) {
        if (write_disguises(n, offset, iov, &result)) {
            return -EPERM;
        }
        if (result < 0) {
            return result;
        }
    }
    if (r->window && offset + (int64_t)iov->bytes > n->length) {
        return -ENOSPC;
    }
    return node_co_pwritev(n->file, offset + r->offset, iov, flags);
}

static int raw_pdiscard(BlockNode *n, int64_t offset, int64_t bytes)
{
    return node_co_pdiscard(n->file, offset + ((RawNode *)n)->offset, bytes);
}

static int raw_pwrite_zeroes(BlockNode *n, int64_t offset, int64_t bytes, unsigned flags)
{
    return node_co_pwrite_zeroes(n->file, offset + ((RawNode *)n)->offset, bytes, flags);
}

static int raw_truncate(BlockNode *n, int64_t length)
{
    RawNode *r = (RawNode *)n;
    return r->window ? -ENOTSUP : node_co_truncate(n->file, length + r->offset);
}

static int64_t raw_getlength(BlockNode *n)
{
    RawNode *r = (RawNode *)n;
    int64_t have = r->window ? 0 : node_co_getlength(n->file);
    return r->window ? n->length : have < 0 ? have : MAX(have - r->offset, 0);
}

const BlockDriver block_raw = {
    .name = "raw",
    .doc = "the bytes as they are",
    .size = sizeof(RawNode),
    .open = raw_open,
    .co_preadv = raw_preadv,
    .co_pwritev = raw_pwritev,
    .co_pdiscard = raw_pdiscard,
    .co_pwrite_zeroes = raw_pwrite_zeroes,
    .co_truncate = raw_truncate,
    .co_getlength = raw_getlength,
    .fua = true,
};
