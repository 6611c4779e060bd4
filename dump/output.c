/* Where a dump goes: files, and readers that are slow or go away. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump/internal.h"

enum { PATIENCE_MS = 30000 };

DumpOutput *dump_open(int fd, bool patient)
{
    struct stat st = {0};
    DumpOutput *o = g_new0(DumpOutput, 1);
    fstat(fd, &st);
    o->fd = fd;
    o->patient = patient;
    o->cancel = eventfd(0, EFD_CLOEXEC);
    o->socket = S_ISSOCK(st.st_mode);
    o->slow = !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
    return o;
}

void dump_cancel(DumpOutput *o)
{
    eventfd_write(o->cancel, 1);
}

static bool wait_writable(DumpOutput *o, GError **error)
{
    struct pollfd p[2] = {{.fd = o->fd, .events = POLLOUT}, {.fd = o->cancel, .events = POLLIN}};
    int n;
    do {
        n = poll(p, 2, o->patient ? -1 : PATIENCE_MS);
    } while (n < 0 && errno == EINTR);
    if (p[1].revents) {
        return error_fail(error, "dump: given up");
    }
    return n != 0 || error_fail(error, "dump: nobody reads (detached dumps wait for readers)");
}

/* A descriptor that may block takes what poll has promised: PIPE_BUF bytes. */
static ssize_t write_some(DumpOutput *o, const uint8_t *buf, size_t len)
{
    if (o->socket) {
        return send(o->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return write(o->fd, buf, o->slow ? MIN(len, PIPE_BUF) : len);
}

static bool write_all(DumpOutput *o, const uint8_t *buf, size_t len, GError **error)
{
    eventfd_t given_up;
    while (len) {
        struct pollfd p = {.fd = o->cancel, .events = POLLIN};
        if (o->slow ? !wait_writable(o, error) : poll(&p, 1, 0) > 0 && eventfd_read(o->cancel, &given_up) == 0) {
            return o->slow ? false : error_fail(error, "dump: given up");
        }
        ssize_t n = write_some(o, buf, len);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return error_fail_errno(error, errno, "dump: cannot write");
        }
        buf += MAX(n, 0);
        len -= (size_t)MAX(n, 0);
    }
    return true;
}

bool dump_finish(DumpOutput *o, GError **error)
{
    size_t n = o->used;
    o->used = 0;
    return write_all(o, o->buffer, n, error);
}

bool dump_put(DumpOutput *o, const void *buf, size_t len, GError **error)
{
    const uint8_t *p = buf;
    while (len) {
        size_t n = MIN(len, sizeof(o->buffer) - o->used);
        memcpy(o->buffer + o->used, p, n);
        o->used += n;
        p += n;
        len -= n;
        if (o->used == sizeof(o->buffer) && !dump_finish(o, error)) {
            return false;
        }
    }
    return true;
}

void dump_close(DumpOutput *o)
{
    if (o->fd >= 0) {
        close(o->fd);
    }
    close(o->cancel);
    g_free(o);
}
