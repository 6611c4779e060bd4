/* snapshot=on: what the guest writes goes to a temporary file and is gone at exit; the image stays
 * as it is.
 *
 * The file has the layout of the disk and is sparse.  A bit for each unit of UNIT bytes says that
 * the unit is in the file; the bits lie in leaves that come into being with the first bit.  A write
 * of part of a unit fetches the rest from the base first, with the unit locked against other
 * writers. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/node.h"
#include "core/error.h"
#include "core/options.h"

enum { UNIT = 4096, LEAF_UNITS = 32768 }; /* a leaf is 4 KiB and stands for 128 MiB */

typedef struct OverlayNode {
    BlockNode node; /* .backing: the base, .file: the temporary file */
    uint64_t **leaves;
    size_t leaf_count;
    RangeLock units;
} OverlayNode;

/* ---- The map ---- */

static bool unit_present(const OverlayNode *o, int64_t unit)
{
    const uint64_t *leaf = o->leaves[unit / LEAF_UNITS];
    return leaf && leaf[unit % LEAF_UNITS / 64] >> (unit % 64) & 1;
}

static void units_add(OverlayNode *o, int64_t start, int64_t end)
{
    int64_t last = (end + UNIT - 1) / UNIT;
    for (int64_t unit = start / UNIT, n; unit < last; unit += n) {
        uint64_t **leaf = &o->leaves[unit / LEAF_UNITS];
        if (!*leaf) {
            *leaf = g_new0(uint64_t, LEAF_UNITS / 64);
        }
        unsigned bit = unit % 64;
        n = MIN(64 - bit, last - unit);
        (*leaf)[unit % LEAF_UNITS / 64] |= (UINT64_MAX >> (64 - n)) << bit;
    }
}

/* Where the run of units that are all present, or all not, ends; at most at `end`. */
static int64_t run_end(const OverlayNode *o, int64_t offset, int64_t end, bool *present)
{
    int64_t unit = offset / UNIT;
    *present = unit_present(o, unit);
    while (unit * UNIT < end && unit_present(o, unit) == *present) {
        unit++;
    }
    return MIN(unit * UNIT, end);
}

/* ---- Requests ---- */

static int overlay_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    OverlayNode *o = (OverlayNode *)n;
    int64_t end = offset + (int64_t)iov->bytes;
    int result = 0;
    for (int64_t at = offset; at < end && result >= 0;) {
        bool present;
        int64_t stop = run_end(o, at, end, &present);
        BlockNode *from = present ? n->file : n->backing;
        if (at == offset && stop == end) {
            return node_co_preadv(from, at, iov);
        }
        IoVec part = iovec_slice(iov, (size_t)(at - offset), (size_t)(stop - at));
        result = node_co_preadv(from, at, &part);
        g_free(part.v);
        at = stop;
    }
    return result;
}

/* The unit around `at` goes from the base to the file, unless it is there.  It is locked. */
static int fetch(OverlayNode *o, int64_t at)
{
    int64_t unit = at / UNIT;
    if (unit_present(o, unit)) {
        return 0;
    }
    uint8_t buf[UNIT];
    int result = node_co_pread(o->node.backing, unit * UNIT, buf, UNIT);
    if (result >= 0) {
        result = node_co_pwrite(o->node.file, unit * UNIT, buf, UNIT, 0);
    }
    return result;
}

/* The units of [offset, end) that are only touched in part. */
static int fetch_edges(OverlayNode *o, int64_t offset, int64_t end)
{
    int result = offset % UNIT ? fetch(o, offset) : 0;
    if (result >= 0 && end % UNIT && (offset % UNIT == 0 || end / UNIT != offset / UNIT)) {
        result = fetch(o, end);
    }
    return result;
}

typedef int WriteFn(OverlayNode *o, int64_t offset, int64_t bytes, const IoVec *iov);

static int locked_write(OverlayNode *o, int64_t offset, int64_t bytes, const IoVec *iov,
                        WriteFn *fn)
{
    int64_t end = offset + bytes;
    bool ragged = (offset | end) % UNIT;
    RangeHold hold;
    co_range_lock(&o->units, &hold, offset / UNIT * UNIT, (end + UNIT - 1) / UNIT * UNIT, ragged);
    int result = ragged ? fetch_edges(o, offset, end) : 0;
    if (result >= 0) {
        result = fn(o, offset, bytes, iov);
    }
    if (result >= 0) {
        units_add(o, offset, end);
    }
    co_range_unlock(&o->units, &hold);
    return result;
}

static int write_data(OverlayNode *o, int64_t offset, int64_t bytes, const IoVec *iov)
{
    (void)bytes;
    return node_co_pwritev(o->node.file, offset, iov, 0);
}

static int write_zeroes(OverlayNode *o, int64_t offset, int64_t bytes, const IoVec *iov)
{
    (void)iov;
    return node_co_pwrite_zeroes(o->node.file, offset, bytes, BLOCK_MAY_UNMAP);
}

static bool behind_map(const OverlayNode *o, int64_t end)
{
    return end > (int64_t)o->leaf_count * LEAF_UNITS * UNIT;
}

static int overlay_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags)
{
    OverlayNode *o = (OverlayNode *)n;
    (void)flags;
    if (behind_map(o, offset + (int64_t)iov->bytes)) {
        return -EIO;
    }
    return locked_write(o, offset, (int64_t)iov->bytes, iov, write_data);
}

static int overlay_pwrite_zeroes(BlockNode *n, int64_t offset, int64_t bytes, unsigned flags)
{
    OverlayNode *o = (OverlayNode *)n;
    (void)flags;
    if (behind_map(o, offset + bytes)) {
        return -EIO;
    }
    return locked_write(o, offset, bytes, NULL, write_zeroes);
}

/* Whole units read as zeros afterwards; the edges keep what they have. */
static int overlay_pdiscard(BlockNode *n, int64_t offset, int64_t bytes)
{
    int64_t start = (offset + UNIT - 1) / UNIT * UNIT, end = (offset + bytes) / UNIT * UNIT;
    return end > start ? overlay_pwrite_zeroes(n, start, end - start, 0) : 0;
}

/* Nothing of a temporary file survives a crash, so nothing needs to be flushed for one. */
static int overlay_flush(BlockNode *n)
{
    (void)n;
    return 0;
}

static void overlay_close(BlockNode *n)
{
    OverlayNode *o = (OverlayNode *)n;
    for (size_t i = 0; i < o->leaf_count; i++) {
        g_free(o->leaves[i]);
    }
    free(o->leaves);
}

static const BlockDriver block_overlay = {
    .name = "overlay",
    .size = sizeof(OverlayNode),
    .hidden = true,
    .close = overlay_close,
    .co_preadv = overlay_preadv,
    .co_pwritev = overlay_pwritev,
    .co_pdiscard = overlay_pdiscard,
    .co_pwrite_zeroes = overlay_pwrite_zeroes,
    .co_flush = overlay_flush,
    .fua = true,
};

/* ---- Making one ---- */

/* The temporary file has no name from the moment that its node is open. */
static BlockNode *temporary_file(GError **error)
{
    const char *dir = g_getenv("TMPDIR");
    g_autofree char *path = g_strdup_printf("%s/ostler-XXXXXX", dir && *dir ? dir : "/var/tmp");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        error_fail_errno(
            error, errno,
            "snapshot=on: could not create the temporary file '%s' (TMPDIR says where)", path);
        return NULL;
    }
    close(fd);
    g_autoptr(GHashTable) options = options_new();
    options_set(options, "driver", "file");
    options_set(options, "filename", path);
    options_set(options, "locking", "off");
    BlockNode *file = node_open(options, &(NodeMode){.no_flush = true, .unmap = true}, error);
    unlink(path);
    return file;
}

BlockNode *overlay_new(BlockNode *base, GError **error)
{
    int64_t leaf = (int64_t)LEAF_UNITS * UNIT, length = node_length(base);
    NodeMode mode = base->mode;
    mode.readonly = false;
    OverlayNode *o = (OverlayNode *)node_new(&block_overlay, &mode);
    o->node.backing = base;
    o->node.length = length;
    o->node.filename = g_strdup(base->filename);
    o->leaf_count = (size_t)(length / leaf + 1);
    o->leaves = calloc(o->leaf_count, sizeof(*o->leaves));
    if (!o->leaves) {
        o->leaf_count = 0;
        error_fail(error, "snapshot=on: no memory for the map of %" G_GINT64_FORMAT " bytes",
                   length);
        node_unref(&o->node);
        return NULL;
    }
    o->node.file = temporary_file(error);
    if (!o->node.file) {
        node_unref(&o->node);
        return NULL;
    }
    return &o->node;
}
