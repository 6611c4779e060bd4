/* A ring of bytes in memory, read by QMP ringbuf-read; when it is full the oldest bytes go. */
#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

typedef struct Ring {
    Char base;
    uint8_t *data;
    size_t size;       /* a power of two */
    size_t head, tail; /* run freely: bytes ever written, bytes ever read or lost */
} Ring;

static bool ring_open(Char *c, GHashTable *options, GError **error)
{
    Ring *r = (Ring *)c;
    uint64_t size = 65536;
    if (!options_take_size(options, "size", &size, error)) {
        return false;
    }
    if (!size || size & (size - 1) || size > UINT64_C(1) << 30) {
        return error_fail(
            error, "Chardev '%s': size of a ring buffer must be a power of two up to 1G", c->id);
    }
    r->data = g_malloc(size);
    r->size = size;
    c->open = true;
    return true;
}

static void ring_close(Char *c)
{
    g_free(((Ring *)c)->data);
}

static size_t ring_write(Char *c, const uint8_t *buf, size_t len)
{
    Ring *r = (Ring *)c;
    for (size_t i = 0; i < len; i++) {
        r->data[r->head++ & (r->size - 1)] = buf[i];
    }
    if (r->head - r->tail > r->size) {
        r->tail = r->head - r->size;
    }
    return len;
}

bool char_is_ringbuf(const Char *c)
{
    return c->class->open == ring_open;
}

size_t char_ringbuf_count(const Char *c)
{
    const Ring *r = (const Ring *)c;
    return char_is_ringbuf(c) ? r->head - r->tail : 0;
}

size_t char_ringbuf_read(Char *c, uint8_t *buf, size_t len)
{
    Ring *r = (Ring *)c;
    size_t n = MIN(len, char_ringbuf_count(c));
    for (size_t i = 0; i < n; i++) {
        buf[i] = r->data[r->tail++ & (r->size - 1)];
    }
    return n;
}

#define RING(name_)                                                                                \
    {                                                                                              \
        .name = name_, .size = sizeof(Ring), .open = ring_open, .close = ring_close,               \
        .write = ring_write                                                                        \
    }
const CharClass char_ringbuf = RING("ringbuf");
const CharClass char_memory = RING("memory"); /* its earlier name */
