/* Files and block devices of the host.  Names and numbers: open(2), fallocate(2), ioctl_list,
 * statx(2). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "block/drivers.h"
#include "block/engine.h"
#include "block/file-lock.h"
#include "block/worker.h"
#include "core/error.h"
#include "core/options.h"

typedef struct FileNode {
    BlockNode node;
    int fd;
    bool device;                  /* a block (or character) device */
    bool no_punch, no_zero_range; /* the file system said so */
    int lost;                     /* a flush failed: data may be gone, so no later flush succeeds */
    const IoEngine *engine;
} FileNode;

/* ---- Opening ---- */

static bool engine_take(FileNode *f, GHashTable *options, GError **error)
{
    static const char *const names[] = {"threads", "native", "io_uring", NULL};
    int which = 0;
    if (!options_take_enum(options, "aio", names, &which, error)) {
        return false;
    }
    if (which == 1 && !f->node.mode.direct) {
        return error_fail(
            error,
            "aio=native was specified, but it requires cache.direct=on, which was not specified");
    }
    if (which) {
        warn_report("aio=%s is not in this build; using aio=threads", names[which]);
    }
    f->engine = &engine_threads;
    return true;
}

/* The unit that O_DIRECT asks for in memory and on the disk. */
static void direct_alignment(FileNode *f)
{
    unsigned unit = 0, memory = 0;
    int sector = 0;
    if (f->device && !ioctl(f->fd, BLKSSZGET, &sector) && sector >= 512) {
        unit = memory = (unsigned)sector;
    }
#ifdef STATX_DIOALIGN
    struct statx sx;
    if (!unit && !statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) &&
        sx.stx_mask & STATX_DIOALIGN) {
        unit = sx.stx_dio_offset_align;
        memory = sx.stx_dio_mem_align;
    }
#endif
    void *buf = NULL;
    if (!unit && !posix_memalign(&buf, 4096, 4096)) { /* find out by trying */
        for (unit = 512; unit < 4096 && pread(f->fd, buf, unit, unit) < 0; unit *= 2) {
        }
        memory = unit;
    }
    free(buf);
    f->node.request_align = MAX(unit, 512);
    f->node.memory_align = MAX(memory, 512);
}

static bool file_size(FileNode *f, const struct stat *st, GError **error)
{
    int64_t length = f->device ? lseek(f->fd, 0, SEEK_END) : st->st_size;
    if (length < 0) {
        return error_fail_errno(error, errno, "Could not find out the size of '%s'",
                                f->node.filename);
    }
    f->node.length = length;
    return true;
}

static bool check_kind(FileNode *f, const struct stat *st, GError **error)
{
    const char *name = f->node.filename, *kind = NULL;
    f->device = S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode);
    if (S_ISDIR(st->st_mode)) {
        kind = "is a directory";
    } else if (S_ISFIFO(st->st_mode)) {
        kind = "is a pipe";
    } else if (S_ISSOCK(st->st_mode)) {
        kind = "is a socket";
    }
    if (kind) {
        return error_fail(error,
                          "Could not open '%s': it %s; a regular file or a block device is needed",
                          name, kind);
    }
    if (f->node.driver == &block_host_device && !f->device) {
        return error_fail(
            error, "'host_device' driver requires '%s' to be either a character or block device",
            name);
    }
    return true;
}

static bool lock_take(FileNode *f, const char *locking, bool force_share, GError **error)
{
    bool on = strcmp(locking, "off"), supported = true;
    if (!on || force_share) {
        return true;
    }
    if (!file_lock(f->fd, !f->node.mode.readonly, f->node.filename, &supported, error)) {
        return false;
    }
    if (!supported && !strcmp(locking, "on")) {
        return error_fail(error,
                          "locking=on: the file system of '%s' has no open file description locks",
                          f->node.filename);
    }
    return true;
}

static bool file_setup(FileNode *f, const char *locking, bool force_share, GError **error)
{
    struct stat st;
    const BlockNode *n = &f->node;
    /* A pipe or a device that is not ready must not make us wait. */
    int flags = (n->mode.readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
    if (!stat(n->filename, &st) && !check_kind(f, &st, error)) {
        return false;
    }
    f->fd = open(n->filename, flags | (n->mode.direct ? O_DIRECT : 0));
    if (f->fd < 0 && errno == EINVAL && n->mode.direct) {
        return error_fail(error,
                          "Could not open '%s': its file system has no O_DIRECT, which cache=none, "
                          "cache=directsync and cache.direct=on need",
                          n->filename);
    }
    if (f->fd < 0) {
        return error_fail_errno(error, errno, "Could not open '%s'", n->filename);
    }
    if (fstat(f->fd, &st)) {
        return error_fail_errno(error, errno, "Could not open '%s'", n->filename);
    }
    fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_NONBLOCK);
    if (!check_kind(f, &st, error) || !file_size(f, &st, error) ||
        !lock_take(f, locking, force_share, error)) {
        return false;
    }
    if (n->mode.direct) {
        direct_alignment(f);
    }
    return true;
}

static bool file_open(BlockNode *n, GHashTable *options, GError **error)
{
    FileNode *f = (FileNode *)n;
    static const char *const lockings[] = {"auto", "on", "off", NULL};
    int locking = 0;
    bool force_share = false;
    f->fd = -1;
    n->filename = options_take(options, "filename");
    if (!n->filename || !*n->filename) {
        return error_fail(error, "block driver '%s' needs a filename", n->driver->name);
    }
    if (!options_take_enum(options, "locking", lockings, &locking, error) ||
        !options_take_bool(options, "force-share", &force_share, error) ||
        !engine_take(f, options, error)) {
        return false;
    }
    if (force_share && !n->mode.readonly) {
        return error_fail(error, "force-share=on can only be used with read-only images");
    }
    if (!file_setup(f, lockings[locking], force_share, error)) {
        if (f->fd >= 0) {
            close(f->fd);
        }
        return false;
    }
    return true;
}

static void file_close(BlockNode *n)
{
    close(((FileNode *)n)->fd);
}

/* ---- Requests ---- */

/* What the host's page cache holds is copied at once, quicker than a thread wakes for it.  The kernel says when it would have to
 * wait (RWF_NOWAIT of preadv2(2)); with O_DIRECT it would wait all the same. */
static bool read_cached(const FileNode *f, int64_t offset, const IoVec *iov)
{
    enum { MOST = 16 << 10 };
    return !f->node.mode.direct && iov->bytes <= MOST && iov->n <= IOV_MAX &&
           preadv2(f->fd, iov->v, (int)iov->n, offset, RWF_NOWAIT) == (ssize_t)iov->bytes;
}

static int file_preadv(BlockNode *n, int64_t offset, const IoVec *iov)
{
    FileNode *f = (FileNode *)n;
    if (read_cached(f, offset, iov)) {
        return 0;
    }
    return f->engine->co_preadv(f->fd, offset, iov);
}

static int file_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags)
{
    FileNode *f = (FileNode *)n;
    (void)flags;
    if (f->device && offset + (int64_t)iov->bytes > n->length) {
        return -ENOSPC;
    }
    return f->engine->co_pwritev(f->fd, offset, iov);
}

static int file_flush(BlockNode *n)
{
    FileNode *f = (FileNode *)n;
    if (!f->lost) {
        /* The kernel reports a lost page once; the next fdatasync would say all is well. */
        f->lost = f->engine->co_fdatasync(f->fd);
    }
    return f->lost;
}

typedef struct Span {
    FileNode *f;
    int64_t offset, bytes;
} Span;

static bool no_such_call(int code)
{
    return code == ENOTSUP || code == ENOSYS || code == ENOTTY || code == EINVAL;
}

static int allocate(const Span *s, int mode)
{
    int result;
    do {
        result = fallocate(s->f->fd, mode, s->offset, s->bytes);
    } while (result && errno == EINTR);
    return result ? (no_such_call(errno) ? -ENOTSUP : -errno) : 0;
}

static int control(const Span *s, unsigned long request)
{
    uint64_t range[2] = {(uint64_t)s->offset, (uint64_t)s->bytes};
    return ioctl(s->f->fd, request, range) ? (no_such_call(errno) ? -ENOTSUP : -errno) : 0;
}

static int discard_span(void *arg)
{
    Span *s = arg;
    return s->f->device ? control(s, BLKDISCARD)
                        : allocate(s, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static int zero_span(void *arg)
{
    Span *s = arg;
    return s->f->device ? control(s, BLKZEROOUT) : allocate(s, FALLOC_FL_ZERO_RANGE);
}

/* One call on a worker, and never again once it turned out not to exist here. */
static int span_run(Span *s, int (*fn)(void *arg), bool *missing)
{
    if (*missing) {
        return -ENOTSUP;
    }
    int result = co_worker_run(fn, s);
    *missing = result == -ENOTSUP;
    return result;
}

static int file_pdiscard(BlockNode *n, int64_t offset, int64_t bytes)
{
    FileNode *f = (FileNode *)n;
    return span_run(&(Span){f, offset, bytes}, discard_span, &f->no_punch);
}

static int file_pwrite_zeroes(BlockNode *n, int64_t offset, int64_t bytes, unsigned flags)
{
    FileNode *f = (FileNode *)n;
    Span s = {f, offset, bytes};
    int result = -ENOTSUP;
    /* A hole reads as zeros, a discarded range of a device need not; and a hole makes no file
     * longer. */
    if (flags & BLOCK_MAY_UNMAP && n->mode.unmap && !f->device && offset + bytes <= n->length) {
        result = span_run(&s, discard_span, &f->no_punch);
    }
    return result == -ENOTSUP ? span_run(&s, zero_span, &f->no_zero_range) : result;
}

static int64_t file_getlength(BlockNode *n)
{
    FileNode *f = (FileNode *)n;
    struct stat st;
    int64_t length = f->device ? lseek(f->fd, 0, SEEK_END) : fstat(f->fd, &st) ? -1 : st.st_size;
    return length < 0 ? -errno : length;
}

static int truncate_span(void *arg)
{
    Span *s = arg;
    return ftruncate(s->f->fd, s->bytes) ? -errno : 0;
}

static int file_truncate(BlockNode *n, int64_t length)
{
    FileNode *f = (FileNode *)n;
    return f->device ? -ENOTSUP : co_worker_run(truncate_span, &(Span){f, 0, length});
}

#define FILE_DRIVER(name_, doc_)                                                                   \
    {                                                                                              \
        .name = name_, .doc = doc_, .size = sizeof(FileNode), .protocol = true, .open = file_open, \
        .close = file_close, .co_preadv = file_preadv, .co_pwritev = file_pwritev,                 \
        .co_flush = file_flush, .co_pdiscard = file_pdiscard,                                      \
        .co_pwrite_zeroes = file_pwrite_zeroes, .co_getlength = file_getlength,                    \
        .co_truncate = file_truncate                                                               \
    }
const BlockDriver block_file = FILE_DRIVER("file", "a file of the host");
const BlockDriver block_host_device = FILE_DRIVER("host_device", "a block device of the host");
