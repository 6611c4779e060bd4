#include "hw/virtio/virtqueue.h"

#include <stdatomic.h>
#include <string.h>

#include "core/loop.h"

/* Descriptor flags (§2.7.5, §2.8.1). */
enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_AVAIL = 1 << 7, DESC_USED = 1 << 15 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };            /* §2.7.6, §2.7.8 */
enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2 };   /* §2.8.14 */
enum { DESC_SIZE = 16, USED_SIZE = 8, MAX_PIECES = VIRTQUEUE_MAX };

typedef struct Desc { /* of a split ring and of indirect tables; a packed one has id and flags last */
    uint64_t at;
    uint32_t len;
    uint16_t flags, next;
} Desc;
typedef struct PackedDesc {
    uint64_t at;
    uint32_t len;
    uint16_t id, flags;
} PackedDesc;

typedef struct Gather { /* a chain while it is read */
    unsigned n_out, n_in;
    uint64_t out, in;
    VirtPiece piece[MAX_PIECES];
} Gather;

static bool is_packed(const VirtQueue *q)
{
    return virtio_has(q->dev, VIRTIO_F_RING_PACKED);
}

static bool by_index(const VirtQueue *q)
{
    return virtio_has(q->dev, VIRTIO_F_EVENT_IDX);
}

bool virtqueue_usable(const VirtQueue *q)
{
    unsigned size = q->size;
    if (!q->enabled || !size || size > q->max) {
        return false;
    }
    return is_packed(q) ? q->avail < size && q->used < size : !(size & (size - 1));
}

/* ---- Guest memory ----
 * What the device itself reaches this way must not come back into it: its registers count as busy. */

static bool move(const VirtQueue *q, uint64_t at, void *buf, size_t len, bool write)
{
    Device *whole = loop_is_queue_thread() ? NULL : device_whole(&q->dev->dev); /* such a thread reaches no device */
    if (!len) {
        return true;
    }
    if (at > UINT64_MAX - (len - 1)) {
        return false;
    }
    if (whole) {
        whole->accessing++;
    }
    bool ok = write ? dma_write(q->dev->dev.dma, at, buf, len)
                    : dma_read(q->dev->dev.dma, at, buf, len);
    if (whole) {
        whole->accessing--;
    }
    return ok;
}

static bool ring_move(VirtQueue *q, uint64_t base, uint64_t offset, void *buf, size_t len,
                      bool write)
{
    uint64_t at;
    if (!dma_allowed(q->dev->dev.dma)) {
        return false; /* the driver took bus mastering away: that is no fault of the ring */
    }
    if (__builtin_add_overflow(base, offset, &at) || !move(q, at, buf, len, write)) {
        virtio_break(q->dev, "queue %u: its ring at %" G_GINT64_MODIFIER "x is not in memory",
                     q->index, base);
        return false;
    }
    return true;
}

static bool ring_read(VirtQueue *q, uint64_t base, uint64_t offset, void *buf, size_t len)
{
    return ring_move(q, base, offset, buf, len, false);
}

static bool ring_write(VirtQueue *q, uint64_t base, uint64_t offset, const void *buf, size_t len)
{
    return ring_move(q, base, offset, (void *)buf, len, true);
}

/* ---- Chains ---- */

static bool gather_add(VirtQueue *q, Gather *g, uint64_t at, uint32_t len, bool write)
{
    if (g->n_out + g->n_in == MAX_PIECES) {
        virtio_break(q->dev, "queue %u: a chain of more than %u descriptors", q->index, MAX_PIECES);
        return false;
    }
    if (!write && g->n_in) {
        virtio_break(q->dev, "queue %u: a readable descriptor after a writable one", q->index);
        return false;
    }
    if (g->out + g->in + len > UINT64_C(1) << 32) {
        virtio_break(q->dev, "queue %u: a chain of more than 4 GiB", q->index);
        return false;
    }
    g->piece[g->n_out + g->n_in] = (VirtPiece){at, len};
    if (write) {
        g->n_in++;
        g->in += len;
    } else {
        g->n_out++;
        g->out += len;
    }
    return true;
}

/* An indirect table may follow; its size is in descriptors. */
static bool table_size(VirtQueue *q, uint32_t bytes, unsigned *size)
{
    if (!virtio_has(q->dev, VIRTIO_F_INDIRECT_DESC)) {
        virtio_break(q->dev, "queue %u: an indirect descriptor was not negotiated", q->index);
        return false;
    }
    if (!bytes || bytes % DESC_SIZE) {
        virtio_break(q->dev, "queue %u: an indirect table of %u bytes", q->index, bytes);
        return false;
    }
    *size = bytes / DESC_SIZE;
    return true;
}

/* §2.7.5: a list through `next`, whose last descriptor may refer to a table with another list. */
static bool gather_split(VirtQueue *q, uint16_t head, Gather *g)
{
    uint64_t table = q->desc;
    unsigned size = q->size, steps = 0;
    bool indirect = false;
    for (unsigned i = head;;) {
        Desc d;
        if (i >= size || steps++ >= size) {
            virtio_break(q->dev,
                         i >= size ? "queue %u: descriptor %u is beyond the table"
                                   : "queue %u: the chain through descriptor %u has no end",
                         q->index, i);
            return false;
        }
        if (!ring_read(q, table, (uint64_t)i * DESC_SIZE, &d, DESC_SIZE)) {
            return false;
        }
        if (d.flags & DESC_INDIRECT) {
            if (indirect || (d.flags & DESC_NEXT)) {
                virtio_break(q->dev, "queue %u: an indirect descriptor %s", q->index,
                             indirect ? "in an indirect table" : "with a next one");
                return false;
            }
            if (!table_size(q, d.len, &size)) {
                return false;
            }
            table = d.at;
            indirect = true;
            i = steps = 0;
            continue;
        }
        if (!gather_add(q, g, d.at, d.len, d.flags & DESC_WRITE)) {
            return false;
        }
        if (!(d.flags & DESC_NEXT)) {
            return true;
        }
        i = d.next;
    }
}

/* §2.8.7: all of the table, in order. */
static bool gather_packed_table(VirtQueue *q, const PackedDesc *head, Gather *g)
{
    unsigned size;
    if (head->flags & DESC_NEXT) {
        virtio_break(q->dev, "queue %u: an indirect descriptor with a next one", q->index);
        return false;
    }
    if (!table_size(q, head->len, &size)) {
        return false;
    }
    for (unsigned i = 0; i < size; i++) {
        PackedDesc d;
        if (!ring_read(q, head->at, (uint64_t)i * DESC_SIZE, &d, DESC_SIZE) ||
            !gather_add(q, g, d.at, d.len, d.flags & DESC_WRITE)) {
            return false;
        }
    }
    return true;
}

/* §2.8.6: neighbouring slots as long as NEXT is set; the last one has the id. */
static bool gather_packed(VirtQueue *q, PackedDesc d, Gather *g, uint16_t *id, uint16_t *slots)
{
    if (d.flags & DESC_INDIRECT) {
        *id = d.id;
        *slots = 1;
        return gather_packed_table(q, &d, g);
    }
    for (unsigned n = 1, i = q->avail;; n++) {
        if (!gather_add(q, g, d.at, d.len, d.flags & DESC_WRITE)) {
            return false;
        }
        if (!(d.flags & DESC_NEXT)) {
            *id = d.id;
            *slots = (uint16_t)n;
            return true;
        }
        if (n == q->size) {
            virtio_break(q->dev, "queue %u: a chain longer than the ring", q->index);
            return false;
        }
        i = i + 1 == q->size ? 0 : i + 1;
        if (!ring_read(q, q->desc, i * DESC_SIZE, &d, DESC_SIZE)) {
            return false;
        }
        if (d.flags & DESC_INDIRECT) {
            virtio_break(q->dev, "queue %u: an indirect descriptor within a chain", q->index);
            return false;
        }
    }
}

/* ---- Taking ---- */

/* Slots to go on by, in a packed ring. */
static void advance(const VirtQueue *q, uint16_t *at, uint8_t *wrap, unsigned slots)
{
    unsigned to = *at + slots;
    if (to >= q->size) {
        to -= q->size;
        *wrap ^= 1;
    }
    *at = (uint16_t)to;
}

static bool split_waits(VirtQueue *q)
{
    uint16_t index;
    if (!ring_read(q, q->driver, 2, &index, sizeof index)) {
        return false;
    }
    uint16_t n = (uint16_t)(index - q->avail);
    if (n > q->size) {
        virtio_break(q->dev, "queue %u: the available index went from %u to %u", q->index, q->avail,
                     index);
        return false;
    }
    atomic_thread_fence(memory_order_acquire); /* the entries were written before the index */
    return n;
}

/* The flags of the next slot, when the driver made it available (§2.8.1). */
static bool packed_waits(VirtQueue *q, uint16_t *flags)
{
    if (!ring_read(q, q->desc, q->avail * DESC_SIZE + offsetof(PackedDesc, flags), flags,
                   sizeof *flags)) {
        return false;
    }
    atomic_thread_fence(memory_order_acquire); /* the flags were written last */
    return !!(*flags & DESC_AVAIL) == q->avail_wrap && !!(*flags & DESC_USED) != q->avail_wrap;
}

static bool take_split(VirtQueue *q, Gather *g, uint16_t *id, uint16_t *slots)
{
    if (!split_waits(q) ||
        !ring_read(q, q->driver, 4 + 2 * (q->avail & (q->size - 1u)), id, sizeof *id) ||
        !gather_split(q, *id, g)) {
        return false;
    }
    *slots = 1;
    return true;
}

static bool take_packed(VirtQueue *q, Gather *g, uint16_t *id, uint16_t *slots)
{
    PackedDesc d;
    uint16_t flags;
    if (!packed_waits(q, &flags) ||
        !ring_read(q, q->desc, q->avail * DESC_SIZE, &d, offsetof(PackedDesc, flags))) {
        return false;
    }
    d.flags = flags;
    return gather_packed(q, d, g, id, slots);
}

/* Of the budget of a run: long chains take the place of several short ones. */
static unsigned cost(unsigned pieces)
{
    return 1 + pieces / 16;
}

VirtBuffer *virtqueue_pop(VirtQueue *q)
{
    VirtioDevice *v = q->dev;
    Gather g;
    uint16_t id, slots;
    g.n_out = g.n_in = 0;
    g.out = g.in = 0;
    unsigned *budget = virtqueue_budget(q);
    if (!virtio_is_ready(v) || !virtqueue_usable(q) || !*budget) {
        return NULL;
    }
    if (!(is_packed(q) ? take_packed : take_split)(q, &g, &id, &slots)) {
        return NULL;
    }
    if (q->inuse + slots > q->size) {
        virtio_break(v, "queue %u: more buffers than its %u slots", q->index, q->size);
        return NULL;
    }
    *budget -= MIN(*budget, cost(g.n_out + g.n_in));
    if (is_packed(q)) {
        advance(q, &q->avail, &q->avail_wrap, slots);
    } else {
        q->avail++;
    }
    q->inuse = (uint16_t)(q->inuse + slots);
    unsigned n = g.n_out + g.n_in;
    VirtBuffer *b = g_malloc(sizeof *b + n * sizeof b->piece[0]);
    *b = (VirtBuffer){q, id, slots, g.n_out, g.n_in, g.out, g.in};
    memcpy(b->piece, g.piece, n * sizeof b->piece[0]);
    return b;
}

void virtqueue_unpop(VirtBuffer *b)
{
    VirtQueue *q = b->q;
    *virtqueue_budget(q) += cost(b->n_out + b->n_in);
    if (is_packed(q)) {
        if (q->avail < b->slots) {
            q->avail = (uint16_t)(q->avail + q->size);
            q->avail_wrap ^= 1;
        }
        q->avail = (uint16_t)(q->avail - b->slots);
    } else {
        q->avail--;
    }
    q->inuse = (uint16_t)(q->inuse - b->slots);
    g_free(b);
}

/* ---- Giving back ---- */

static void push_split(VirtQueue *q, const VirtBuffer *b, uint32_t written)
{
    uint32_t entry[2] = {b->id, written};
    uint16_t next = (uint16_t)(q->used + 1);
    if (!ring_write(q, q->device, 4 + (uint64_t)USED_SIZE * (q->used & (q->size - 1u)), entry,
                    sizeof entry)) {
        return;
    }
    atomic_thread_fence(memory_order_release);
    if (ring_write(q, q->device, 2, &next, sizeof next)) {
        q->used = next;
        q->since++;
    }
}

static void push_packed(VirtQueue *q, const VirtBuffer *b, uint32_t written)
{
    PackedDesc d = {.len = written, .id = b->id, .flags = written ? DESC_WRITE : 0};
    uint64_t at = (uint64_t)q->used * DESC_SIZE;
    d.flags |= q->used_wrap ? DESC_AVAIL | DESC_USED : 0;
    if (!ring_write(q, q->desc, at + offsetof(PackedDesc, len), &d.len, 6)) {
        return;
    }
    atomic_thread_fence(memory_order_release);
    if (ring_write(q, q->desc, at + offsetof(PackedDesc, flags), &d.flags, sizeof d.flags)) {
        advance(q, &q->used, &q->used_wrap, b->slots);
        q->since = (uint16_t)(q->since + b->slots);
    }
}

void virtqueue_push(VirtBuffer *b, uint64_t written)
{
    VirtQueue *q = b->q;
    uint32_t len = (uint32_t)MIN(written, UINT32_MAX);
    q->inuse = (uint16_t)(q->inuse - b->slots);
    if (!(q->dev->status & VIRTIO_NEEDS_RESET) && virtqueue_usable(q)) {
        if (is_packed(q)) {
            push_packed(q, b, len);
        } else {
            push_split(q, b, len);
        }
        *virtqueue_pushed(q) |= VIRTIO_BIT(q->index);
    }
    g_free(b);
}

void virtqueue_drop(VirtBuffer *b)
{
    g_free(b);
}

/* ---- Kicks and interrupts ---- */

static void write_event(VirtQueue *q, uint16_t where, uint16_t flags)
{
    uint16_t event[2] = {where, flags};
    ring_write(q, q->device, 0, event, sizeof event);
}

static void write_used_flags(VirtQueue *q, uint16_t flags)
{
    ring_write(q, q->device, 0, &flags, sizeof flags);
}

bool virtqueue_arm(VirtQueue *q)
{
    uint16_t flags;
    if (is_packed(q)) {
        uint16_t where = (uint16_t)(q->avail | q->avail_wrap << 15);
        if (by_index(q) || q->quiet) {
            write_event(q, where, by_index(q) ? EVENT_DESC : EVENT_ENABLE);
        }
    } else if (by_index(q)) {
        ring_write(q, q->device, 4 + (uint64_t)USED_SIZE * q->size, &q->avail, sizeof q->avail);
    } else if (q->quiet) {
        write_used_flags(q, 0);
    }
    q->quiet = false;
    atomic_thread_fence(memory_order_seq_cst); /* the wish is out before the ring is looked at again */
    return is_packed(q) ? packed_waits(q, &flags) : split_waits(q);
}

void virtqueue_quiet(VirtQueue *q)
{
    if (q->quiet || (by_index(q) && !is_packed(q))) {
        return; /* an index that was passed long ago says it already */
    }
    q->quiet = true;
    if (is_packed(q)) {
        write_event(q, 0, EVENT_DISABLE);
    } else {
        write_used_flags(q, USED_NO_NOTIFY);
    }
}

/* §2.7.7, §2.8.14: was the place `event` passed by the last `since` steps to `to`? */
static bool passed(uint16_t event, uint16_t to, uint16_t since)
{
    return (uint16_t)(to - event - 1) < since;
}

static bool packed_wants_signal(VirtQueue *q, uint16_t since)
{
    uint16_t event[2];
    if (!ring_read(q, q->driver, 0, event, sizeof event)) {
        return false;
    }
    if ((event[1] & 3) != EVENT_DESC || !by_index(q)) {
        return (event[1] & 3) != EVENT_DISABLE;
    }
    uint16_t where = event[0] & 0x7fff;
    if (event[0] >> 15 != q->used_wrap) {
        where = (uint16_t)(where - q->size);
    }
    return passed(where, q->used, since);
}

bool virtqueue_wants_signal(VirtQueue *q)
{
    uint16_t since = q->since, word;
    q->since = 0;
    if (!since || !virtqueue_usable(q)) {
        return false;
    }
    atomic_thread_fence(memory_order_seq_cst); /* what was returned is out before the wish is read */
    if (is_packed(q)) {
        return packed_wants_signal(q, since);
    }
    if (by_index(q)) {
        return ring_read(q, q->driver, 4 + 2 * (uint64_t)q->size, &word, sizeof word) &&
               passed(word, q->used, since);
    }
    return ring_read(q, q->driver, 0, &word, sizeof word) && !(word & AVAIL_NO_INTERRUPT);
}

/* ---- What is in a buffer ---- */

/* Calls fn for each run of [offset, offset+len) of a part; bytes done. */
typedef bool PieceFn(void *arg, const VirtBuffer *b, uint64_t at, uint64_t len);

static uint64_t each_piece(const VirtBuffer *b, bool writable, uint64_t offset, uint64_t len,
                           PieceFn *fn, void *arg)
{
    const VirtPiece *p = writable ? b->piece + b->n_out : b->piece;
    unsigned n = writable ? b->n_in : b->n_out;
    uint64_t done = 0;
    for (unsigned i = 0; i < n && done < len; i++) {
        if (offset >= p[i].len) {
            offset -= p[i].len;
            continue;
        }
        uint64_t run = MIN(p[i].len - offset, len - done), at;
        if (__builtin_add_overflow(p[i].at, offset, &at) || !fn(arg, b, at, run)) {
            break;
        }
        done += run;
        offset = 0;
    }
    return done;
}

static bool piece_read(void *arg, const VirtBuffer *b, uint64_t at, uint64_t len)
{
    uint8_t **buf = arg;
    move(b->q, at, *buf, len, false);
    *buf += len;
    return true;
}

static bool piece_write(void *arg, const VirtBuffer *b, uint64_t at, uint64_t len)
{
    uint8_t **buf = arg;
    move(b->q, at, *buf, len, true);
    *buf += len;
    return true;
}

size_t virtbuffer_read(const VirtBuffer *b, uint64_t offset, void *buf, size_t len)
{
    return each_piece(b, false, offset, len, piece_read, &buf);
}

size_t virtbuffer_write(const VirtBuffer *b, uint64_t offset, const void *buf, size_t len)
{
    return each_piece(b, true, offset, len, piece_write, &buf);
}

typedef struct Mapping {
    DmaVec *v;
    bool writable;
} Mapping;

static bool piece_map(void *arg, const VirtBuffer *b, uint64_t at, uint64_t len)
{
    const Mapping *m = arg;
    return dma_map(b->q->dev->dev.dma, at, len, m->writable, m->v);
}

bool virtbuffer_map(const VirtBuffer *b, bool writable, uint64_t offset, uint64_t len, DmaVec *v)
{
    Mapping m = {v, writable};
    if (each_piece(b, writable, offset, len, piece_map, &m) == len) {
        return true;
    }
    dma_unmap(b->q->dev->dev.dma, v, 0);
    return false;
}
