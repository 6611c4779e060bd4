/* Pieces of guest memory as a drive's iovec. */
#include "hw/storage/scatter.h"

typedef struct Piece {
    uint64_t addr;
    uint32_t len;
} Piece;

Scatter *scatter_new(Dma *dma, bool in)
{
    Scatter *s = g_new0(Scatter, 1);
    s->dma = dma;
    s->in = in;
    s->pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    return s;
}

void scatter_add(Scatter *s, uint64_t addr, uint32_t len)
{
    Piece p = {addr, len};
    g_array_append_val(s->pieces, p);
    s->bytes += len;
}

unsigned scatter_count(const Scatter *s)
{
    return s->pieces->len;
}

bool scatter_copy(const Scatter *s, uint8_t *buf, uint32_t bytes)
{
    bool ok = true;
    for (unsigned i = 0; i < s->pieces->len && bytes; i++) {
        const Piece *p = &g_array_index(s->pieces, Piece, i);
        uint32_t n = MIN(p->len, bytes);
        ok &= s->in ? dma_write(s->dma, p->addr, buf, n) : dma_read(s->dma, p->addr, buf, n);
        buf += n;
        bytes -= n;
    }
    return ok;
}

static bool map_pieces(Scatter *s)
{
    uint32_t left = s->bytes;
    for (unsigned i = 0; i < s->pieces->len && left; i++) {
        const Piece *p = &g_array_index(s->pieces, Piece, i);
        uint32_t n = MIN(p->len, left);
        if (!dma_map(s->dma, p->addr, n, s->in, &s->vec)) {
            dma_unmap(s->dma, &s->vec, 0);
            return false;
        }
        left -= n;
    }
    return true;
}

bool scatter_begin(Scatter *s, uint32_t bytes)
{
    s->bytes = MIN(s->bytes, bytes);
    if (map_pieces(s)) {
        return true;
    }
    s->copy = g_malloc0(s->bytes);
    s->whole = (struct iovec){s->copy, s->bytes};
    return s->in || scatter_copy(s, s->copy, s->bytes);
}

const struct iovec *scatter_iov(const Scatter *s, unsigned *n)
{
    *n = s->copy ? 1 : s->vec.n;
    return s->copy ? &s->whole : s->vec.iov;
}

bool scatter_end(Scatter *s, bool ok)
{
    bool placed = true;
    if (!s->copy) {
        dma_unmap(s->dma, &s->vec, s->in && ok ? s->bytes : 0);
    } else if (s->in && ok) {
        placed = scatter_copy(s, s->copy, s->bytes);
    }
    g_array_free(s->pieces, TRUE);
    g_free(s->copy);
    g_free(s);
    return placed;
}
