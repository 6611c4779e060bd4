#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/row.h"
#include "mem/dma.h"
#include "mem/host.h"
#include "mem/internal.h"
#include "mem/ram.h"

static GPtrArray *spaces;

Space *space_new(const char *name, uint64_t size)
{
    Space *s = g_new0(Space, 1);
    s->name = g_strdup(name);
    s->root = region_container(name, size);
    s->view = g_new0(View, 1);
    s->listeners = g_ptr_array_new();
    s->eventfds = g_array_new(FALSE, TRUE, sizeof(EventFd));
    if (!spaces) {
        spaces = g_ptr_array_new();
        loop_before_unlock = mem_commit;
    }
    g_ptr_array_add(spaces, s);
    return s;
}

void space_free(Space *s)
{
    g_ptr_array_remove(spaces, s);
    region_free(s->root);
    g_free(s->view);
    g_ptr_array_free(s->listeners, TRUE);
    g_array_free(s->eventfds, TRUE);
    g_free(s->name);
    g_free(s);
}

Region *space_root(Space *s)
{
    return s->root;
}
const char *space_name(const Space *s)
{
    return s->name;
}
View *space_view(Space *s)
{
    return atomic_load_explicit(&s->view, memory_order_acquire);
}

Space *space_memory(void)
{
    static Space *s;
    if (G_UNLIKELY(!s)) {
        s = space_new("memory", 0);
    }
    return s;
}

Space *space_io(void)
{
    static Space *s;
    if (G_UNLIKELY(!s)) {
        s = space_new("I/O", 0x10000);
    }
    return s;
}

/* ---- Readers without the lock: a view is freed when every reader has been quiescent since it was
 * replaced ---- */

typedef struct Reader {
    _Atomic uint64_t seen; /* the epoch at its last quiescence */
} Reader;

static _Atomic uint64_t epoch = 1;
static GMutex readers_mutex;
static GPtrArray *readers;
static _Thread_local Reader *this_reader;
typedef struct Retired {
    View *view;
    uint64_t epoch;
} Retired;
static GArray *retired; /* main lock */

void mem_reader_register(void)
{
    this_reader = g_new0(Reader, 1);
    this_reader->seen = atomic_load(&epoch);
    g_mutex_lock(&readers_mutex);
    if (!readers) {
        readers = g_ptr_array_new();
    }
    g_ptr_array_add(readers, this_reader);
    g_mutex_unlock(&readers_mutex);
}

void mem_reader_unregister(void)
{
    g_mutex_lock(&readers_mutex);
    g_ptr_array_remove(readers, this_reader);
    g_mutex_unlock(&readers_mutex);
    g_clear_pointer(&this_reader, g_free);
}

void mem_quiescent(void)
{
    if (this_reader) {
        atomic_store_explicit(&this_reader->seen,
                              atomic_load_explicit(&epoch, memory_order_acquire),
                              memory_order_release);
    }
}

static void retire(View *old)
{
    if (!retired) {
        retired = g_array_new(FALSE, FALSE, sizeof(Retired));
    }
    Retired r = {old, atomic_fetch_add(&epoch, 1) + 1};
    g_array_append_val(retired, r);
    uint64_t oldest = UINT64_MAX;
    g_mutex_lock(&readers_mutex);
    for (unsigned i = 0; readers && i < readers->len; i++) {
        uint64_t seen = ((Reader *)g_ptr_array_index(readers, i))->seen;
        oldest = MIN(oldest, seen);
    }
    g_mutex_unlock(&readers_mutex);
    /* The main thread's own pointers do not outlive a device access, and commits happen between
     * those. */
    for (unsigned i = retired->len; i-- > 0;) {
        Retired *x = &g_array_index(retired, Retired, i);
        if (x->epoch <= oldest) {
            g_free(x->view);
            g_array_remove_index_fast(retired, i);
        }
    }
}

/* ---- Publishing ---- */

static bool same_range(const FlatRange *a, const FlatRange *b)
{
    return a->at == b->at && a->size == b->size && a->region == b->region &&
           a->offset == b->offset && a->readonly == b->readonly && a->romd == b->romd &&
           a->coalesced == b->coalesced;
}

static bool same_view(const View *a, const View *b)
{
    for (unsigned i = 0; a->n == b->n && i < a->n; i++) {
        if (!same_range(&a->ranges[i], &b->ranges[i]) ||
            a->ranges[i].logged != b->ranges[i].logged) {
            return false;
        }
    }
    return a->n == b->n;
}

static const FlatRange *counterpart(const View *v, const FlatRange *fr)
{
    unsigned lo = 0, hi = v->n;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (v->ranges[mid].at < fr->at) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < v->n && same_range(&v->ranges[lo], fr) ? &v->ranges[lo] : NULL;
}

static void tell(MemListener *l, const View *old, const View *new)
{
    if (l->begin) {
        l->begin(l);
    }
    for (unsigned i = 0; l->del && i < old->n; i++) {
        if (!counterpart(new, &old->ranges[i])) {
            l->del(l, &old->ranges[i]);
        }
    }
    for (unsigned i = 0; i < new->n; i++) {
        const FlatRange *was = counterpart(old, &new->ranges[i]);
        if (!was && l->add) {
            l->add(l, &new->ranges[i]);
        } else if (was && was->logged != new->ranges[i].logged && l->log) {
            l->log(l, &new->ranges[i]);
        }
    }
}

static bool has_eventfd(const GArray *list, const EventFd *e)
{
    for (unsigned i = 0; i < list->len; i++) {
        if (!memcmp(&g_array_index(list, EventFd, i), e, sizeof(*e))) {
            return true;
        }
    }
    return false;
}

static void tell_eventfds(MemListener *l, const GArray *old, const GArray *new)
{
    for (unsigned pass = 0; l->eventfd && pass < 2; pass++) {
        const GArray *these = pass ? new : old, *others = pass ? old : new;
        for (unsigned i = 0; i < these->len; i++) {
            const EventFd *e = &g_array_index(these, EventFd, i);
            if (!has_eventfd(others, e)) {
                l->eventfd(l, e->at, e->size, e->match, e->data, e->fd, pass);
            }
        }
    }
}

static void commit_space(Space *s)
{
    GArray *eventfds = g_array_new(FALSE, TRUE, sizeof(EventFd));
    g_autoptr(GArray) flat = region_flatten(s->root, eventfds);
    View *old = s->view;
    View *new = g_malloc(sizeof(View) + flat->len * sizeof(FlatRange));
    new->n = flat->len;
    if (flat->len) {
        memcpy(new->ranges, flat->data, flat->len * sizeof(FlatRange));
    }
    bool same = same_view(old, new);
    if (same) {
        g_free(new);
        new = old;
    } else {
        atomic_store_explicit(&s->view, new, memory_order_release);
    }
    for (unsigned i = 0; i < s->listeners->len; i++) {
        MemListener *l = g_ptr_array_index(s->listeners, i);
        if (!same) {
            tell(l, old, new);
        }
        tell_eventfds(l, s->eventfds, eventfds);
        if (!same && l->commit) {
            l->commit(l);
        }
    }
    g_array_free(s->eventfds, TRUE);
    s->eventfds = eventfds;
    if (!same) {
        loop_settle_all(); /* queue loops are no readers that report: none is within an access to the old view now */
        retire(old);
    }
}

void mem_commit(void)
{
    static bool committing;
    while (mem_edited && !committing) {
        mem_edited = false;
        committing = true;
        for (unsigned i = 0; spaces && i < spaces->len; i++) {
            commit_space(g_ptr_array_index(spaces, i));
        }
        committing = false;
    }
}

void mem_listen(MemListener *l, Space *s)
{
    static const View empty;
    g_autoptr(GArray) none = g_array_new(FALSE, TRUE, sizeof(EventFd));
    mem_commit();
    l->space = s;
    g_ptr_array_add(s->listeners, l);
    tell(l, &empty, s->view);
    tell_eventfds(l, none, s->eventfds);
    if (l->commit) {
        l->commit(l);
    }
}

void mem_unlisten(MemListener *l)
{
    g_ptr_array_remove(l->space->listeners, l);
}

void mem_sync_dirty(RamBlock *block)
{
    for (unsigned i = 0; spaces && i < spaces->len; i++) {
        Space *s = g_ptr_array_index(spaces, i);
        View *v = space_view(s);
        for (unsigned j = 0; j < s->listeners->len; j++) {
            MemListener *l = g_ptr_array_index(s->listeners, j);
            for (unsigned k = 0; l->log_sync && k < v->n; k++) {
                if (v->ranges[k].region->block == block && v->ranges[k].logged) {
                    l->log_sync(l, &v->ranges[k]);
                }
            }
        }
    }
}

/* ---- Looking up ---- */

const FlatRange *space_find(Space *s, uint64_t at)
{
    View *v = space_view(s);
    unsigned lo = 0, hi = v->n;
    while (lo < hi) { /* the last range that starts at or below `at` */
        unsigned mid = (lo + hi) / 2;
        if (v->ranges[mid].at <= at) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo && at - v->ranges[lo - 1].at < v->ranges[lo - 1].size ? &v->ranges[lo - 1] : NULL;
}

bool flat_range_is_ram(const FlatRange *fr)
{
    return fr->region->kind == REGION_RAM;
}

void *range_host(const FlatRange *fr)
{
    Region *r = fr->region;
    return r->block ? (uint8_t *)ram_host(r->block) + r->offset + fr->offset : NULL;
}

void space_foreach_range(Space *s, void (*fn)(void *arg, const FlatRange *fr), void *arg)
{
    View *v = space_view(s);
    for (unsigned i = 0; i < v->n; i++) {
        fn(arg, &v->ranges[i]);
    }
}

/* ---- Access ---- */

uint64_t range_load(const FlatRange *fr, uint64_t at, unsigned size)
{
    Region *r = fr->region;
    uint64_t offset = fr->offset + (at - fr->at);
    const IoOps *ops = r->ops;
    if (!ops->read) {
        return UINT64_MAX >> (64 - 8 * size);
    }
    unsigned max = ops->max ? ops->max : 8, min = ops->min ? ops->min : 1;
    if (size >= min && size <= max && !(size & (size - 1))) {
        return ops->read(r->opaque, offset, size);
    }
    uint64_t v = 0;
    if (size < min) { /* read the unit around it */
        uint64_t base = offset & ~(uint64_t)(min - 1);
        unsigned first =
            (unsigned)MIN(size, base + min - offset); /* the rest is in the next unit */
        v = ops->read(r->opaque, base, min) >> 8 * (offset - base);
        if (first < size) {
            v = (v & size_mask(first)) | ops->read(r->opaque, base + min, min) << 8 * first;
        }
        return v & size_mask(size);
    }
    for (unsigned i = 0; i < size;) {
        unsigned step = max;
        while (step > size - i) {
            step /= 2;
        }
        v |= ops->read(r->opaque, offset + i, step) << 8 * i;
        i += step;
    }
    return v;
}

void range_store(const FlatRange *fr, uint64_t at, unsigned size, uint64_t value)
{
    Region *r = fr->region;
    uint64_t offset = fr->offset + (at - fr->at);
    const IoOps *ops = r->ops;
    if (!ops->write) {
        return;
    }
    unsigned max = ops->max ? ops->max : 8, min = ops->min ? ops->min : 1;
    if (size >= min && size <= max && !(size & (size - 1))) {
        ops->write(r->opaque, offset, size, value);
        return;
    }
    if (size < min) {
        uint64_t base = offset & ~(uint64_t)(min - 1);
        unsigned first = (unsigned)MIN(size, base + min - offset);
        ops->write(r->opaque, base, min, value << 8 * (offset - base) & size_mask(min));
        if (first < size) {
            ops->write(r->opaque, base + min, min, value >> 8 * first);
        }
        return;
    }
    for (unsigned i = 0; i < size;) {
        unsigned step = max;
        while (step > size - i) {
            step /= 2;
        }
        ops->write(r->opaque, offset + i, step, value >> 8 * i & (UINT64_MAX >> (64 - 8 * step)));
        i += step;
    }
}

static bool reads_memory(const FlatRange *fr)
{
    return fr->region->kind == REGION_RAM || fr->romd;
}

/* Device windows in naturally aligned pieces of at most eight bytes, as a bus would carry them. */
static void rw_device(const FlatRange *fr, uint64_t at, uint8_t *buf, size_t len, bool write)
{
    loop_lock();
    while (len) {
        unsigned step = 8;
        while (step > len || at % step) {
            step /= 2;
        }
        uint64_t v = 0;
        if (write) {
            memcpy(&v, buf, step);
            range_store(fr, at, step, v);
        } else {
            v = range_load(fr, at, step);
            memcpy(buf, &v, step);
        }
        at += step;
        buf += step;
        len -= step;
    }
    loop_unlock();
}

enum { FORCE_ROM = 1, NO_DEVICES = 2 };

static void write_ram(const FlatRange *fr, uint64_t at, const void *buf, size_t len)
{
    uint64_t in = at - fr->at;
    memcpy((uint8_t *)range_host(fr) + in, buf, len);
    ram_dirty_set(fr->region->block, fr->region->offset + fr->offset + in, len);
}

static bool access_space(Space *s, uint64_t at, uint8_t *buf, size_t len, bool write,
                         unsigned flags)
{
    bool all = true;
    while (len) {
        const FlatRange *fr = space_find(s, at);
        uint64_t left;
        if (!fr) {
            View *v = space_view(s);
            unsigned i = 0;
            while (i < v->n && v->ranges[i].at <= at) {
                i++;
            }
            left = i < v->n ? v->ranges[i].at - at : len;
            left = MIN(left, len);
            if (!write) {
                memset(buf, 0xff, left);
            }
            all = false;
        } else {
            FlatRange range = *fr; /* a device may change the map under our feet */
            left = MIN(range.size - (at - range.at), len);
            bool memory = write ? range.region->kind == REGION_RAM : reads_memory(&range);
            if ((flags & FORCE_ROM) && write && range.region->block) {
                write_ram(&range, at, buf, left);
            } else if (memory && !write) {
                memcpy(buf, (uint8_t *)range_host(&range) + (at - range.at), left);
            } else if (memory && range.readonly) {
                /* ROM: the write is lost */
            } else if (memory) {
                write_ram(&range, at, buf, left);
            } else if (flags & NO_DEVICES || loop_is_queue_thread()) { /* a queue loop does not wait for devices */
                memset(buf, 0xff, left);
                all = false;
            } else {
                rw_device(&range, at, buf, left, write);
            }
        }
        at += left;
        buf += left;
        len -= left;
    }
    return all;
}

bool space_rw(Space *s, uint64_t at, void *buf, size_t len, bool write)
{
    return access_space(s, at, buf, len, write, 0);
}

bool space_read(Space *s, uint64_t at, void *buf, size_t len)
{
    return access_space(s, at, buf, len, false, 0);
}

bool space_write(Space *s, uint64_t at, const void *buf, size_t len)
{
    return access_space(s, at, (uint8_t *)buf, len, true, 0);
}

bool space_write_rom(Space *s, uint64_t at, const void *buf, size_t len)
{
    return access_space(s, at, (uint8_t *)buf, len, true, FORCE_ROM);
}

bool space_peek(Space *s, uint64_t at, void *buf, size_t len)
{
    return access_space(s, at, buf, len, false, NO_DEVICES);
}

uint64_t space_load(Space *s, uint64_t at, unsigned size)
{
    const FlatRange *fr = space_find(s, at);
    uint64_t v = 0;
    if (fr && size <= fr->size - (at - fr->at) && !reads_memory(fr)) {
        FlatRange range = *fr;
        loop_lock();
        v = range_load(&range, at, size);
        loop_unlock();
        return v;
    }
    access_space(s, at, (uint8_t *)&v, size, false, 0);
    return v;
}

void space_store(Space *s, uint64_t at, unsigned size, uint64_t value)
{
    const FlatRange *fr = space_find(s, at);
    if (fr && size <= fr->size - (at - fr->at) && fr->region->kind != REGION_RAM) {
        FlatRange range = *fr;
        loop_lock();
        range_store(&range, at, size, value);
        loop_unlock();
        return;
    }
    access_space(s, at, (uint8_t *)&value, size, true, 0);
}

/* ---- Printing ---- */

static const char *kind_name(const Region *r, bool readonly)
{
    switch (r->kind) {
    case REGION_RAM: return readonly ? "rom" : "ram";
    case REGION_ROMD: return "romd";
    default: return "i/o";
    }
}

static void print_tree(const Region *r, uint64_t base, unsigned depth, GString *out)
{
    uint64_t last = base + r->size - 1;
    g_string_append_printf(
        out, "%*s%016" G_GINT64_MODIFIER "x-%016" G_GINT64_MODIFIER "x (prio %d, %s): ",
        (int)(2 + 2 * depth), "", base, last, r->priority,
        r->kind == REGION_ALIAS ? kind_name(r->target, r->readonly) : kind_name(r, r->readonly));
    if (r->kind == REGION_ALIAS) {
        g_string_append_printf(out,
                               "alias %s @%s %016" G_GINT64_MODIFIER "x-%016" G_GINT64_MODIFIER "x",
                               r->name, r->target->name, r->offset, r->offset + r->size - 1);
    } else {
        g_string_append(out, r->name);
    }
    g_string_append(out, r->enabled ? "\n" : " [disabled]\n");
    for (unsigned i = 0; r->children && i < r->children->len; i++) {
        Region *c = g_ptr_array_index(r->children, r->children->len - 1 - i);
        print_tree(c, base + c->at, depth + 1, out);
    }
}

void space_print(Space *s, GString *out, bool flat)
{
    if (!flat) {
        g_string_append_printf(out, "address-space: %s\n", s->name);
        print_tree(s->root, 0, 0, out);
        g_string_append_c(out, '\n');
        return;
    }
    View *v = space_view(s);
    g_string_append_printf(out, "FlatView of %s\n", s->name);
    for (unsigned i = 0; i < v->n; i++) {
        const FlatRange *fr = &v->ranges[i];
        g_string_append_printf(
            out, "  %016" G_GINT64_MODIFIER "x-%016" G_GINT64_MODIFIER "x (prio %d, %s): %s",
            fr->at, fr->at + fr->size - 1, fr->region->priority,
            kind_name(fr->region, fr->readonly), fr->region->name);
        if (fr->offset) {
            g_string_append_printf(out, " @%016" G_GINT64_MODIFIER "x", fr->offset);
        }
        g_string_append_c(out, '\n');
    }
    g_string_append_c(out, '\n');
}
