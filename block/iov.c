#include "block/iov.h"

#include <assert.h>
#include <glib.h>
#include <string.h>

size_t iovec_bytes(const struct iovec *v, unsigned n)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        bytes += v[i].iov_len;
    }
    return bytes;
}

typedef void PieceFn(void *arg, uint8_t *piece, size_t at, size_t bytes);

/* fn for each piece of [from, from + bytes); `at` counts from `from`. */
static void each_piece(const IoVec *iov, size_t from, size_t bytes, PieceFn *fn, void *arg)
{
    size_t at = 0;
    for (unsigned i = 0; i < iov->n && at < bytes; i++) {
        size_t len = iov->v[i].iov_len;
        if (from >= len) {
            from -= len;
            continue;
        }
        size_t n = MIN(len - from, bytes - at);
        fn(arg, (uint8_t *)iov->v[i].iov_base + from, at, n);
        at += n;
        from = 0;
    }
    assert(at == bytes);
}

static void add_piece(void *arg, uint8_t *piece, size_t at, size_t bytes)
{
    IoVec *out = arg;
    (void)at;
    out->v[out->n++] = (struct iovec){piece, bytes};
}

IoVec iovec_slice(const IoVec *iov, size_t from, size_t bytes)
{
    IoVec out = {.v = g_new(struct iovec, iov->n ? iov->n : 1), .bytes = bytes};
    each_piece(iov, from, bytes, add_piece, &out);
    return out;
}

static void copy_out(void *arg, uint8_t *piece, size_t at, size_t bytes)
{
    memcpy((uint8_t *)arg + at, piece, bytes);
}

static void copy_in(void *arg, uint8_t *piece, size_t at, size_t bytes)
{
    memcpy(piece, (const uint8_t *)arg + at, bytes);
}

static void clear(void *arg, uint8_t *piece, size_t at, size_t bytes)
{
    (void)arg, (void)at;
    memset(piece, 0, bytes);
}

void iovec_read(const IoVec *iov, size_t from, void *buf, size_t bytes)
{
    each_piece(iov, from, bytes, copy_out, buf);
}

void iovec_write(const IoVec *iov, size_t from, const void *buf, size_t bytes)
{
    each_piece(iov, from, bytes, copy_in, (void *)buf);
}

void iovec_zero(const IoVec *iov, size_t from, size_t bytes)
{
    each_piece(iov, from, bytes, clear, NULL);
}

bool buffer_is_zero(const void *buf, size_t bytes)
{
    /* The first bytes decide most cases; then each byte equals its neighbour. */
    const uint8_t *p = buf;
    size_t head = MIN(bytes, 16);
    for (size_t i = 0; i < head; i++) {
        if (p[i]) {
            return false;
        }
    }
    return bytes <= 16 || !memcmp(p, p + 16, bytes - 16);
}

bool iovec_is_zero(const IoVec *iov)
{
    for (unsigned i = 0; i < iov->n; i++) {
        if (!buffer_is_zero(iov->v[i].iov_base, iov->v[i].iov_len)) {
            return false;
        }
    }
    return true;
}

bool iovec_aligned(const IoVec *iov, size_t align)
{
    for (unsigned i = 0; i < iov->n; i++) {
        if (((uintptr_t)iov->v[i].iov_base | iov->v[i].iov_len) & (align - 1)) {
            return false;
        }
    }
    return true;
}
