/* The engine that any host has: preadv and pwritev on worker threads. */
#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <unistd.h>

#include "block/engine.h"
#include "block/worker.h"

typedef struct Call {
    int fd;
    int64_t offset;
    const IoVec *iov;
} Call;

/* One system call for the bytes from `done` on; what it returned, or -errno. */
static ssize_t transfer(const Call *c, size_t done, bool write)
{
    IoVec rest = *c->iov;
    struct iovec *own = NULL;
    if (done || rest.n > IOV_MAX) {
        rest = iovec_slice(c->iov, done, c->iov->bytes - done);
        own = rest.v;
    }
    int n = (int)MIN(rest.n, IOV_MAX);
    off_t at = (off_t)(c->offset + (int64_t)done);
    ssize_t got;
    do {
        got = write ? pwritev(c->fd, rest.v, n, at) : preadv(c->fd, rest.v, n, at);
    } while (got < 0 && errno == EINTR);
    int code = errno;
    g_free(own);
    return got < 0 ? -code : got;
}

static int read_all(void *arg)
{
    Call *c = arg;
    for (size_t done = 0; done < c->iov->bytes;) {
        ssize_t n = transfer(c, done, false);
        if (n < 0) {
            return (int)n;
        }
        if (!n) {
            iovec_zero(c->iov, done, c->iov->bytes - done);
            break;
        }
        done += (size_t)n;
    }
    return 0;
}

static int write_all(void *arg)
{
    Call *c = arg;
    for (size_t done = 0; done < c->iov->bytes;) {
        ssize_t n = transfer(c, done, true);
        if (n <= 0) {
            return n ? (int)n : -ENOSPC;
        }
        done += (size_t)n;
    }
    return 0;
}

static int sync_data(void *arg)
{
    return fdatasync(((Call *)arg)->fd) ? -errno : 0;
}

static int threads_preadv(int fd, int64_t offset, const IoVec *iov)
{
    return co_worker_run(read_all, &(Call){fd, offset, iov});
}

static int threads_pwritev(int fd, int64_t offset, const IoVec *iov)
{
    return co_worker_run(write_all, &(Call){fd, offset, iov});
}

static int threads_fdatasync(int fd)
{
    return co_worker_run(sync_data, &(Call){.fd = fd});
}

const IoEngine engine_threads = {
    .name = "threads",
    .co_preadv = threads_preadv,
    .co_pwritev = threads_pwritev,
    .co_fdatasync = threads_fdatasync,
};
