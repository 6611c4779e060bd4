#include "mem/region.h"

#include <assert.h>
#include <string.h>

#include "mem/internal.h"
#include "mem/ram.h"

bool mem_edited;

void region_edited(void)
{
    mem_edited = true;
}

static Region *region_new(const char *name, RegionKind kind, uint64_t size)
{
    Region *r = g_new0(Region, 1);
    r->name = g_strdup(name);
    r->kind = kind;
    r->size = size;
    r->enabled = true;
    return r;
}

Region *region_container(const char *name, uint64_t size)
{
    Region *r = region_new(name, REGION_CONTAINER, size);
    r->children = g_ptr_array_new();
    return r;
}

Region *region_ram(const char *name, RamBlock *block, uint64_t offset, uint64_t size)
{
    assert(offset <= ram_size(block) && size <= ram_size(block) - offset);
    Region *r = region_new(name, REGION_RAM, size);
    r->block = block;
    r->offset = offset;
    return r;
}

Region *region_rom(const char *name, RamBlock *block, uint64_t offset, uint64_t size)
{
    Region *r = region_ram(name, block, offset, size);
    r->readonly = true;
    return r;
}

Region *region_romd_new(const char *name, RamBlock *block, const IoOps *ops, void *opaque,
                        uint64_t size)
{
    Region *r = region_ram(name, block, 0, size);
    r->kind = REGION_ROMD;
    r->romd = true;
    r->ops = ops;
    r->opaque = opaque;
    return r;
}

Region *region_io(const char *name, uint64_t size, const IoOps *ops, void *opaque)
{
    Region *r = region_new(name, REGION_IO, size);
    r->ops = ops;
    r->opaque = opaque;
    return r;
}

Region *region_alias(const char *name, Region *of, uint64_t offset, uint64_t size)
{
    Region *r = region_new(name, REGION_ALIAS, size);
    r->target = of;
    r->offset = offset;
    return r;
}

void region_free(Region *r)
{
    if (!r) {
        return;
    }
    region_unmap(r);
    if (r->children) {
        while (r->children->len) {
            region_unmap(g_ptr_array_index(r->children, 0));
        }
        g_ptr_array_free(r->children, TRUE);
    }
    if (r->eventfds) {
        g_array_free(r->eventfds, TRUE);
    }
    mem_commit(); /* no view shows it from here on */
    g_free(r->name);
    g_free(r);
}

void region_map(Region *parent, Region *r, uint64_t at, int priority)
{
    assert(!r->parent && parent->kind == REGION_CONTAINER);
    r->parent = parent;
    r->at = at;
    r->priority = priority;
    unsigned i;
    for (i = 0; i < parent->children->len; i++) {
        if (((Region *)g_ptr_array_index(parent->children, i))->priority <= priority) {
            break;
        }
    }
    g_ptr_array_insert(parent->children, (int)i, r);
    region_edited();
}

void region_unmap(Region *r)
{
    if (r->parent) {
        g_ptr_array_remove(r->parent->children, r);
        r->parent = NULL;
        region_edited();
    }
}

bool region_mapped(const Region *r)
{
    return r->parent != NULL;
}
const char *region_name(const Region *r)
{
    return r->name;
}
uint64_t region_size(const Region *r)
{
    return r->size;
}
RamBlock *region_ram_block(const Region *r)
{
    return r->block;
}
void *region_opaque(const Region *r)
{
    return r->opaque;
}

#define EDIT(field, value)                                                                         \
    do {                                                                                           \
        if ((field) != (value)) {                                                                  \
            (field) = (value);                                                                     \
            region_edited();                                                                       \
        }                                                                                          \
    } while (0)

void region_move(Region *r, uint64_t at)
{
    EDIT(r->at, at);
}
void region_set_enabled(Region *r, bool enabled)
{
    EDIT(r->enabled, enabled);
}
void region_set_readonly(Region *r, bool readonly)
{
    EDIT(r->readonly, readonly);
}
void region_set_size(Region *r, uint64_t size)
{
    EDIT(r->size, size);
}
void region_romd(Region *r, bool reads_from_memory)
{
    EDIT(r->romd, reads_from_memory);
}
void region_set_coalesced(Region *r, bool coalesced)
{
    EDIT(r->coalesced, coalesced);
}

void region_set_alias(Region *r, uint64_t offset)
{
    assert(r->kind == REGION_ALIAS);
    EDIT(r->offset, offset);
}

void region_set_logged(Region *r, unsigned client, bool on)
{
    uint8_t logged = (uint8_t)(on ? r->logged | 1u << client : r->logged & ~(1u << client));
    EDIT(r->logged, logged);
    if (r->block && on) {
        ram_dirty_track(r->block, client, true);
    }
}

void region_add_eventfd(Region *r, uint64_t at, unsigned size, bool match, uint64_t data, int fd)
{
    if (!r->eventfds) {
        r->eventfds = g_array_new(FALSE, TRUE, sizeof(EventFd));
    }
    EventFd e;
    memset(&e, 0, sizeof(e)); /* compared byte by byte */
    e.at = at;
    e.data = data;
    e.size = size;
    e.match = match;
    e.fd = fd;
    g_array_append_val(r->eventfds, e);
    region_edited();
}

void region_del_eventfd(Region *r, uint64_t at, unsigned size, bool match, uint64_t data, int fd)
{
    for (unsigned i = 0; r->eventfds && i < r->eventfds->len; i++) {
        EventFd *e = &g_array_index(r->eventfds, EventFd, i);
        if (e->at == at && e->size == size && e->match == match && e->data == data && e->fd == fd) {
            g_array_remove_index(r->eventfds, i);
            region_edited();
            return;
        }
    }
}

/* ---- Flattening: walk from the highest priority down and fill what is still free ---- */

typedef struct Flatten {
    GArray *ranges; /* of FlatRange, sorted, disjoint */
    GArray *eventfds;
} Flatten;

/* Adds the pieces of fr that no range covers yet. */
static void insert_free(Flatten *f, FlatRange fr)
{
    unsigned i = 0;
    uint64_t at = fr.at, end = fr.at + fr.size - 1; /* inclusive, so that 2^64 does not overflow */
    while (i < f->ranges->len) {
        FlatRange *r = &g_array_index(f->ranges, FlatRange, i);
        uint64_t r_end = r->at + r->size - 1;
        if (r_end < at) {
            i++;
            continue;
        }
        if (r->at > end) {
            break;
        }
        if (at < r->at) {
            FlatRange part = fr;
            part.at = at;
            part.size = r->at - at;
            part.offset = fr.offset + (at - fr.at);
            g_array_insert_val(f->ranges, i, part);
            i++;
        }
        if (r_end >= end) {
            return;
        }
        at = r_end + 1;
        i++;
    }
    FlatRange part = fr;
    part.at = at;
    part.size = end - at + 1;
    part.offset = fr.offset + (at - fr.at);
    g_array_insert_val(f->ranges, i, part);
}

/* Addresses while walking: an alias may place its target's first byte below zero, a container may
 * end at 2^64. */
typedef __int128 Wide;

/* Shows what of [lo, hi] region r covers, when its first byte lies at `base`. */
static void flatten(Flatten *f, Region *r, Wide base, Wide lo, Wide hi, bool readonly)
{
    if (!r->enabled) {
        return;
    }
    Wide size = r->size || r->kind != REGION_CONTAINER ? (Wide)r->size : (Wide)1 << 64;
    lo = MAX(lo, base);
    hi = MIN(hi, base + size - 1);
    if (lo > hi) {
        return;
    }
    readonly |= r->readonly;
    for (unsigned i = 0; f->eventfds && r->eventfds && i < r->eventfds->len; i++) {
        EventFd e = g_array_index(r->eventfds, EventFd, i);
        Wide at = base + e.at;
        if (at >= lo && at <= hi) {
            e.at = (uint64_t)at;
            g_array_append_val(f->eventfds, e);
        }
    }
    if (r->kind == REGION_ALIAS) {
        flatten(f, r->target, base - r->offset, lo, hi, readonly);
    } else if (r->kind == REGION_CONTAINER) {
        for (unsigned i = 0; i < r->children->len; i++) {
            Region *c = g_ptr_array_index(r->children, i);
            flatten(f, c, base + c->at, lo, hi, readonly);
        }
    } else {
        insert_free(f, (FlatRange){.at = (uint64_t)lo,
                                   .size = (uint64_t)(hi - lo + 1),
                                   .region = r,
                                   .offset = (uint64_t)(lo - base),
                                   .readonly = readonly,
                                   .romd = r->romd,
                                   .coalesced = r->coalesced,
                                   .logged = r->logged});
    }
}

static bool mergeable(const FlatRange *a, const FlatRange *b)
{
    return a->at + a->size == b->at && a->region == b->region && a->offset + a->size == b->offset &&
           a->readonly == b->readonly && a->romd == b->romd && a->coalesced == b->coalesced &&
           a->logged == b->logged;
}

GArray *region_flatten(Region *root, GArray *eventfds)
{
    Flatten f = {g_array_new(FALSE, TRUE, sizeof(FlatRange)), eventfds};
    flatten(&f, root, 0, 0, UINT64_MAX, false);
    for (unsigned i = 1; i < f.ranges->len;) {
        FlatRange *a = &g_array_index(f.ranges, FlatRange, i - 1);
        FlatRange *b = &g_array_index(f.ranges, FlatRange, i);
        if (mergeable(a, b)) {
            a->size += b->size;
            g_array_remove_index(f.ranges, i);
        } else {
            i++;
        }
    }
    return f.ranges;
}
