#include "block/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/drivers.h"
#include "block/worker.h"
#include "core/error.h"
#include "core/options.h"

static const BlockDriver *const drivers[] = {
    &block_raw, &block_file, &block_host_device, &block_null_co, &block_memory,
};

/* ---- Graph ---- */

const BlockDriver *block_driver_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++) {
        if (!strcmp(drivers[i]->name, name)) {
            return drivers[i];
        }
    }
    return NULL;
}

char *block_driver_list(void)
{
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++) {
        if (!drivers[i]->hidden) {
            g_string_append_printf(text, "%s%s", text->len ? ", " : "", drivers[i]->name);
        }
    }
    return g_string_free(text, FALSE);
}

BlockNode *node_new(const BlockDriver *driver, const NodeMode *mode)
{
    static unsigned serial;
    BlockNode *n = g_malloc0(driver->size);
    n->driver = driver;
    n->name = g_strdup_printf("#block%03u", serial++);
    n->refs = 1;
    n->mode = *mode;
    n->request_align = n->memory_align = 1;
    return n;
}

static void node_destroy(BlockNode *n)
{
    node_unref(n->file);
    node_unref(n->backing);
    g_free(n->name);
    g_free(n->filename);
    g_free(n);
}

BlockNode *node_ref(BlockNode *n)
{
    n->refs++;
    return n;
}

void node_unref(BlockNode *n)
{
    if (!n || --n->refs) {
        return;
    }
    if (n->driver->close) {
        n->driver->close(n);
    }
    node_destroy(n);
}

static bool open_file_child(BlockNode *n, GHashTable *options, GError **error)
{
    g_autoptr(GHashTable) child = options_take_group(options, "file.");
    if (!g_hash_table_size(child)) {
        return error_fail(error,
                          "block driver '%s' needs a child 'file' (file.driver=, file.filename=)",
                          n->driver->name);
    }
    n->file = node_open(child, &n->mode, error);
    return n->file;
}

BlockNode *node_open(GHashTable *options, const NodeMode *mode, GError **error)
{
    g_autofree char *name = options_take(options, "driver");
    g_autofree char *node_name = options_take(options, "node-name");
    const BlockDriver *driver = name ? block_driver_find(name) : NULL;
    if (!driver) {
        g_autofree char *list = block_driver_list();
        error_fail(error, "Unknown block driver '%s'; this build has %s", name ? name : "", list);
        return NULL;
    }
    BlockNode *n = node_new(driver, mode);
    if (node_name) {
        g_free(n->name);
        n->name = g_steal_pointer(&node_name);
    }
    if ((!driver->protocol && !open_file_child(n, options, error)) ||
        !driver->open(n, options, error)) {
        node_destroy(n);
        return NULL;
    }
    g_autofree char *what = g_strdup_printf("block driver '%s'", driver->name);
    if (!options_finish(options, what, error)) {
        node_unref(n);
        return NULL;
    }
    return n;
}

int64_t node_length(const BlockNode *n)
{
    return n->length;
}

/* ---- Requests ---- */

/* Not touched unless it grows: other loops than the graph's read it. */
static void reached(BlockNode *n, int64_t end)
{
    if (end > n->length) {
        n->length = end;
    }
}

static bool in_range(int64_t offset, int64_t bytes)
{
    return offset >= 0 && bytes >= 0 && offset <= INT64_MAX - bytes - (1 << 20);
}

static void *bounce_alloc(const BlockNode *n, size_t bytes)
{
    void *buf = NULL;
    size_t align = MAX(n->memory_align, sizeof(void *));
    return posix_memalign(&buf, align, bytes ? bytes : align) ? NULL : buf;
}

/* The request widened to whole units. */
typedef struct Padded {
    int64_t start, end;
    bool ragged; /* it is wider than what was asked for */
} Padded;

static Padded pad(const BlockNode *n, int64_t offset, int64_t bytes)
{
    int64_t mask = (int64_t)n->request_align - 1;
    Padded p = {offset & ~mask, (offset + bytes + mask) & ~mask, false};
    p.ragged = p.start != offset || p.end != offset + bytes;
    return p;
}

static int read_bounced(BlockNode *n, const Padded *p, int64_t offset, const IoVec *iov)
{
    size_t bytes = (size_t)(p->end - p->start);
    void *buf = bounce_alloc(n, bytes);
    if (!buf) {
        return -ENOMEM;
    }
    struct iovec piece;
    IoVec whole = iovec_one(&piece, buf, bytes);
    int result = n->driver->co_preadv(n, p->start, &whole);
    if (result >= 0) {
        iovec_write(iov, 0, (char *)buf + (offset - p->start), iov->bytes);
        result = 0;
    }
    free(buf);
    return result;
}

static int read_inside(BlockNode *n, int64_t offset, const IoVec *iov)
{
    Padded p = pad(n, offset, (int64_t)iov->bytes);
    if (p.ragged || !iovec_aligned(iov, n->memory_align)) {
        return read_bounced(n, &p, offset, iov);
    }
    return n->driver->co_preadv(n, offset, iov);
}

int node_co_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    if (!in_range(offset, (int64_t)iov->bytes)) {
        return -EINVAL;
    }
    if (!iov->bytes) {
        return 0;
    }
    int64_t inside = CLAMP(n->length - offset, 0, (int64_t)iov->bytes);
    if ((size_t)inside == iov->bytes) {
        return read_inside(n, offset, iov);
    }
    int result = 0;
    if (inside) {
        IoVec part = iovec_slice(iov, 0, (size_t)inside);
        result = read_inside(n, offset, &part);
        g_free(part.v);
    }
    iovec_zero(iov, (size_t)inside, iov->bytes - (size_t)inside);
    return result;
}

/* Fill what of the bounce buffer the request does not cover, then write it all. */
static int write_bounced(BlockNode *n, const Padded *p, int64_t offset, const IoVec *iov,
                         unsigned flags)
{
    size_t bytes = (size_t)(p->end - p->start), head = (size_t)(offset - p->start);
    uint8_t *buf = bounce_alloc(n, bytes);
    if (!buf) {
        return -ENOMEM;
    }
    struct iovec piece;
    size_t unit = n->request_align, tail = bytes - unit;
    int result = 0;
    if (p->ragged) {
        IoVec first = iovec_one(&piece, buf, unit);
        result = node_co_preadv(n, p->start, &first);
        if (result >= 0 && tail) {
            IoVec last = iovec_one(&piece, buf + tail, unit);
            result = node_co_preadv(n, p->start + (int64_t)tail, &last);
        }
    }
    if (result >= 0) {
        IoVec whole = iovec_one(&piece, buf, bytes);
        iovec_read(iov, 0, buf + head, iov->bytes);
        result = n->driver->co_pwritev(n, p->start, &whole, flags);
    }
    free(buf);
    /* The padding must not make the image longer. */
    int64_t length = MAX(n->length, offset + (int64_t)iov->bytes);
    if (result >= 0 && p->end > length && n->driver->co_truncate) {
        result = n->driver->co_truncate(n, length);
    }
    return result;
}

int node_co_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags)
{
    if (!in_range(offset, (int64_t)iov->bytes)) {
        return -EINVAL;
    }
    if (n->mode.readonly || !n->driver->co_pwritev) {
        return -EACCES;
    }
    if (!iov->bytes) {
        return 0;
    }
    Padded p = pad(n, offset, (int64_t)iov->bytes);
    unsigned pass = n->driver->fua ? flags : flags & ~(unsigned)BLOCK_FUA;
    RangeHold hold;
    co_range_lock(&n->writes, &hold, p.start, p.end, p.ragged);
    int result = p.ragged || !iovec_aligned(iov, n->memory_align)
                     ? write_bounced(n, &p, offset, iov, pass)
                     : n->driver->co_pwritev(n, offset, iov, pass);
    if (result >= 0) {
        reached(n, offset + (int64_t)iov->bytes);
    }
    co_range_unlock(&n->writes, &hold);
    if (result >= 0 && flags & ~pass & BLOCK_FUA) {
        result = node_co_flush(n);
    }
    return MIN(result, 0);
}

int node_co_pread(BlockNode *n, int64_t offset, void *buf, size_t bytes)
{
    struct iovec piece;
    IoVec iov = iovec_one(&piece, buf, bytes);
    return node_co_preadv(n, offset, &iov);
}

int node_co_pwrite(BlockNode *n, int64_t offset, const void *buf, size_t bytes, unsigned flags)
{
    struct iovec piece;
    IoVec iov = iovec_one(&piece, (void *)buf, bytes);
    return node_co_pwritev(n, offset, &iov, flags);
}

int node_co_flush(BlockNode *n)
{
    if (n->mode.no_flush || n->mode.readonly) {
        return 0;
    }
    if (n->driver->co_flush) {
        return n->driver->co_flush(n);
    }
    return n->file ? node_co_flush(n->file) : 0;
}

int node_co_pdiscard(BlockNode *n, int64_t offset, int64_t bytes)
{
    if (!in_range(offset, bytes)) {
        return -EINVAL;
    }
    if (n->mode.readonly) {
        return -EACCES;
    }
    int64_t mask = (int64_t)n->request_align - 1;
    int64_t start = (offset + mask) & ~mask, end = MIN(offset + bytes, n->length) & ~mask;
    if (start >= end || !n->mode.unmap || !n->driver->co_pdiscard) {
        return 0;
    }
    RangeHold hold;
    co_range_lock(&n->writes, &hold, start, end, false);
    int result = n->driver->co_pdiscard(n, start, end - start);
    co_range_unlock(&n->writes, &hold);
    return result == -ENOTSUP ? 0 : MIN(result, 0);
}

enum { ZERO_CHUNK = 256 * 1024 };

static int write_zero_bytes(BlockNode *n, int64_t offset, int64_t bytes)
{
    size_t chunk = (size_t)MIN(bytes, ZERO_CHUNK);
    void *zeros = bounce_alloc(n, chunk);
    int result = zeros ? 0 : -ENOMEM;
    if (zeros) {
        memset(zeros, 0, chunk);
    }
    while (bytes && result >= 0) {
        size_t len = (size_t)MIN(bytes, (int64_t)chunk);
        result = node_co_pwrite(n, offset, zeros, len, 0);
        offset += (int64_t)len;
        bytes -= (int64_t)len;
    }
    free(zeros);
    return result;
}

/* [start, end) is aligned. */
static int zero_aligned(BlockNode *n, int64_t start, int64_t end, unsigned flags)
{
    int result = -ENOTSUP;
    if (n->driver->co_pwrite_zeroes) {
        RangeHold hold;
        co_range_lock(&n->writes, &hold, start, end, false);
        result = n->driver->co_pwrite_zeroes(n, start, end - start, flags);
        if (result >= 0) {
            reached(n, end);
        }
        co_range_unlock(&n->writes, &hold);
    }
    return result == -ENOTSUP ? write_zero_bytes(n, start, end - start) : result;
}

int node_co_pwrite_zeroes(BlockNode *n, int64_t offset, int64_t bytes, unsigned flags)
{
    if (!in_range(offset, bytes)) {
        return -EINVAL;
    }
    if (n->mode.readonly || !n->driver->co_pwritev) {
        return -EACCES;
    }
    int64_t mask = (int64_t)n->request_align - 1, end = offset + bytes;
    int64_t first = MIN((offset + mask) & ~mask, end), last = MAX(end & ~mask, first);
    int result = write_zero_bytes(n, offset, first - offset);
    if (result >= 0 && last > first) {
        result = zero_aligned(n, first, last, flags & ~(unsigned)BLOCK_FUA);
    }
    if (result >= 0) {
        result = write_zero_bytes(n, last, end - last);
    }
    if (result >= 0 && flags & BLOCK_FUA) {
        result = node_co_flush(n);
    }
    return MIN(result, 0);
}

int node_co_truncate(BlockNode *n, int64_t length)
{
    if (length < 0) {
        return -EINVAL;
    }
    if (n->mode.readonly) {
        return -EACCES;
    }
    if (!n->driver->co_truncate) {
        return -ENOTSUP;
    }
    RangeHold hold;
    co_range_lock(&n->writes, &hold, 0, INT64_MAX, true);
    int result = n->driver->co_truncate(n, length);
    if (result >= 0) {
        n->length = length;
    }
    co_range_unlock(&n->writes, &hold);
    return MIN(result, 0);
}

int64_t node_co_getlength(BlockNode *n)
{
    if (n->driver->co_getlength) {
        int64_t length = n->driver->co_getlength(n);
        if (length < 0) {
            return length;
        }
        n->length = length;
    }
    return n->length;
}

/* ---- Waiting ---- */

typedef struct SyncRead {
    BlockNode *node;
    int64_t offset;
    void *buf;
    size_t bytes;
    int result;
    bool done;
} SyncRead;

static void sync_read(void *arg)
{
    SyncRead *r = arg;
    r->result = node_co_pread(r->node, r->offset, r->buf, r->bytes);
    r->done = true;
}

int node_pread_sync(BlockNode *n, int64_t offset, void *buf, size_t bytes)
{
    SyncRead r = {.node = n, .offset = offset, .buf = buf, .bytes = bytes};
    worker_inline(true);
    co_start(sync_read, &r);
    worker_inline(false);
    while (!r.done) {
        if (!worker_reap(loop_main(), true)) {
            loop_iterate(true);
        }
    }
    return r.result;
}
