#include "mem/dma.h"

#include <assert.h>
#include <string.h>

#include "mem/host.h"
#include "mem/internal.h"

struct Dma {
    Space *space;
    const bool *bus_master;
};

Dma *dma_grant(Space *space, const bool *bus_master)
{
    Dma *dma = g_new0(Dma, 1);
    dma->space = space;
    dma->bus_master = bus_master;
    return dma;
}

void dma_free(Dma *dma)
{
    g_free(dma);
}

bool dma_allowed(const Dma *dma)
{
    return dma && (!dma->bus_master || __atomic_load_n(dma->bus_master, __ATOMIC_RELAXED));
}

bool dma_read(Dma *dma, uint64_t gpa, void *buf, size_t len)
{
    if (!dma_allowed(dma)) {
        memset(buf, 0xff, len);
        return false;
    }
    return space_read(dma->space, gpa, buf, len);
}

bool dma_write(Dma *dma, uint64_t gpa, const void *buf, size_t len)
{
    return dma_allowed(dma) && space_write(dma->space, gpa, buf, len);
}

/* Pieces from the n-th on. */
static void drop_pieces(DmaVec *v, unsigned n)
{
    while (v->n > n) {
        ram_unref(v->block[--v->n]);
    }
}

static void add_piece(DmaVec *v, RamBlock *b, void *host, size_t len)
{
    if (v->n == v->room) {
        v->room = v->room ? v->room * 2 : 8;
        v->iov = g_renew(struct iovec, v->iov, v->room);
        v->block = g_renew(RamBlock *, v->block, v->room);
    }
    v->iov[v->n] = (struct iovec){host, len};
    v->block[v->n++] = ram_ref(b);
}

bool dma_map(Dma *dma, uint64_t gpa, size_t len, bool write, DmaVec *v)
{
    unsigned n = v->n;
    size_t bytes = v->bytes;
    if (!dma_allowed(dma) || (len && gpa > UINT64_MAX - (len - 1))) {
        return false;
    }
    while (len) {
        const FlatRange *fr = space_find(dma->space, gpa);
        if (!fr || fr->region->kind != REGION_RAM || (write && fr->readonly)) {
            drop_pieces(v, n);
            v->bytes = bytes;
            return false;
        }
        size_t piece = MIN(len, fr->size - (gpa - fr->at));
        uint8_t *host = (uint8_t *)range_host(fr) + (gpa - fr->at);
        struct iovec *last = v->n > n ? &v->iov[v->n - 1] : NULL;
        if (last && v->block[v->n - 1] == fr->region->block && (uint8_t *)last->iov_base + last->iov_len == host) {
            last->iov_len += piece;
        } else {
            add_piece(v, fr->region->block, host, piece);
        }
        v->bytes += piece;
        gpa += piece;
        len -= piece;
    }
    return true;
}

void dma_unmap(Dma *dma, DmaVec *v, size_t written)
{
    for (unsigned i = 0; i < v->n && written; i++) {
        size_t len = MIN(written, v->iov[i].iov_len);
        ram_dirty_set(v->block[i], (uint64_t)((uint8_t *)v->iov[i].iov_base - (uint8_t *)ram_host(v->block[i])), len);
        written -= len;
    }
    drop_pieces(v, 0);
    g_free(v->iov);
    g_free(v->block);
    *v = (DmaVec){0};
}

typedef struct Discard {
    uint8_t *host;
    uint64_t len;
} Discard;

static void discard_from(void *arg, RamBlock *b)
{
    const Discard *d = arg;
    uint8_t *start = ram_host(b);
    if (d->host >= start && d->host < start + ram_size(b)) {
        ram_discard(b, (uint64_t)(d->host - start), d->len);
    }
}

void dma_discard(Dma *dma, uint64_t gpa, uint64_t len)
{
    if (!dma_allowed(dma) || (len && gpa > UINT64_MAX - (len - 1))) {
        return;
    }
    while (len) {
        const FlatRange *fr = space_find(dma->space, gpa);
        if (!fr) {
            return;
        }
        uint64_t piece = MIN(len, fr->size - (gpa - fr->at));
        if (fr->region->kind == REGION_RAM && !fr->readonly) {
            Discard d = {(uint8_t *)range_host(fr) + (gpa - fr->at), piece};
            ram_foreach(discard_from, &d);
        }
        gpa += piece;
        len -= piece;
    }
}
