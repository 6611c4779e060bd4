/* What is in a dump: RAM and ROM by physical address, and which virtual addresses show it. */
#include <string.h>

#include "cpu/paging.h"
#include "dump/internal.h"
#include "mem/region.h"

enum { MAX_MAPS = 1 << 20 }; /* 56 MiB of program headers; a guest's tables may describe more */

/* ---- Physical memory ---- */

static void add_range(void *arg, const FlatRange *fr)
{
    Dump *d = arg;
    uint64_t start = fr->at, end = fr->at + fr->size;
    if (!flat_range_is_ram(fr) && !fr->romd) {
        return;
    }
    if (d->request.filter) {
        uint64_t last = d->request.begin + d->request.length;
        start = MAX(start, d->request.begin);
        end = last < d->request.begin ? end : MIN(end, last);
    }
    if (start >= end) {
        return;
    }
    if (d->ranges->len) {
        DumpRange *previous = &g_array_index(d->ranges, DumpRange, d->ranges->len - 1);
        if (previous->at + previous->size == start) {
            previous->size += end - start;
            d->total += end - start;
            return;
        }
    }
    DumpRange r = {start, end - start, d->total};
    g_array_append_val(d->ranges, r);
    d->total += r.size;
}

bool dump_find_ranges(Dump *d, GError **error)
{
    d->ranges = g_array_new(FALSE, FALSE, sizeof(DumpRange));
    space_foreach_range(space_memory(), add_range, d);
    return d->ranges->len || error_fail(error, "dump: no guest memory to dump");
}

/* Index of the first range that ends behind `physical`; their number when there is none. */
static unsigned first_behind(const Dump *d, uint64_t physical)
{
    unsigned low = 0, high = d->ranges->len;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const DumpRange *r = &g_array_index(d->ranges, DumpRange, middle);
        if (r->at + (r->size - 1) < physical) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const DumpRange *dump_range_at(const Dump *d, uint64_t physical)
{
    unsigned i = first_behind(d, physical);
    const DumpRange *r = i < d->ranges->len ? &g_array_index(d->ranges, DumpRange, i) : NULL;
    return r && r->at <= physical ? r : NULL;
}

void dump_read(uint64_t physical, void *buf, size_t len)
{
    mem_reader_register(); /* for this read only: a thread that waits for its reader holds no old map */
    if (!space_peek(space_memory(), physical, buf, len)) {
        memset(buf, 0, len);
    }
    mem_reader_unregister();
}

/* ---- Virtual memory ---- */

typedef struct Collect {
    Dump *d;
    unsigned merge_at; /* with so many, look whether some are the same */
    bool too_many;
} Collect;

/* Maps that lead to the same distance stand side by side, in order of address. */
static int by_distance(gconstpointer a, gconstpointer b)
{
    const DumpMap *x = a, *y = b;
    uint64_t dx = x->virtual - x->physical, dy = y->virtual - y->physical;
    return dx != dy ? (dx < dy ? -1 : 1) : x->virtual < y->virtual ? -1 : x->virtual > y->virtual;
}

static int by_address(gconstpointer a, gconstpointer b)
{
    const DumpMap *x = a, *y = b;
    return x->virtual != y->virtual ? (x->virtual < y->virtual ? -1 : 1)
                                    : (x->physical < y->physical ? -1 : x->physical > y->physical);
}

/* `next` begins within or right behind `m`, in the same range and at the same distance: one map. */
static bool join(const Dump *d, DumpMap *m, const DumpMap *next)
{
    uint64_t into = next->virtual - m->virtual;
    if (next->virtual < m->virtual || into > m->size || next->physical - m->physical != into ||
        dump_range_at(d, m->physical) != dump_range_at(d, next->physical)) {
        return false;
    }
    m->size = MAX(m->size, into + next->size);
    return true;
}

static void merge(Dump *d)
{
    unsigned kept = 0;
    g_array_sort(d->maps, by_distance);
    for (unsigned i = 0; i < d->maps->len; i++) {
        const DumpMap m = g_array_index(d->maps, DumpMap, i);
        if (!kept || !join(d, &g_array_index(d->maps, DumpMap, kept - 1), &m)) {
            g_array_index(d->maps, DumpMap, kept++) = m;
        }
    }
    g_array_set_size(d->maps, kept);
}

static bool add_map(Collect *c, const DumpMap *m)
{
    GArray *maps = c->d->maps;
    if (maps->len && join(c->d, &g_array_index(maps, DumpMap, maps->len - 1), m)) {
        return true;
    }
    if (maps->len >= c->merge_at) {
        merge(c->d);
        c->merge_at = MIN(MAX_MAPS, MAX(c->merge_at, 2 * maps->len));
        c->too_many = maps->len >= MAX_MAPS;
    }
    g_array_append_val(maps, *m);
    return !c->too_many;
}

/* The parts of a page that are memory of the dump. */
static bool add_page(void *arg, uint64_t va, uint64_t phys, uint64_t size, uint64_t leaf)
{
    Collect *c = arg;
    const GArray *ranges = c->d->ranges;
    for (unsigned i = first_behind(c->d, phys); i < ranges->len; i++) {
        const DumpRange *r = &g_array_index(ranges, DumpRange, i);
        uint64_t start = MAX(phys, r->at), end = MIN(phys + size, r->at + r->size);
        if (start >= end) {
            break;
        }
        if (!add_map(c, &(DumpMap){va + (start - phys), start, end - start})) {
            return false;
        }
    }
    return true;
}

static bool same_tables(const CpuState *a, const CpuState *b)
{
    const uint64_t form = CR4_PAE | CR4_PSE | CR4_LA57;
    return cpu_paging(a) && a->cr3 == b->cr3 && (a->cr4 & form) == (b->cr4 & form) && a->efer == b->efer &&
           a->pdpte_valid == b->pdpte_valid && !memcmp(a->pdpte, b->pdpte, sizeof(a->pdpte));
}

static bool collect(Collect *c, unsigned cpu)
{
    const Cpu *cpu_now = cpu_at(cpu);
    for (unsigned i = 0; i < cpu; i++) {
        if (same_tables(&cpu_at(i)->state, &cpu_now->state)) {
            return true;
        }
    }
    PagingLimits limits = paging_limits(cpu_now);
    paging_foreach(&cpu_now->state, &limits, space_memory(), add_page, c);
    return !c->too_many;
}

static void map_physical(Dump *d)
{
    for (unsigned i = 0; i < d->ranges->len; i++) {
        const DumpRange *r = &g_array_index(d->ranges, DumpRange, i);
        DumpMap m = {r->at, r->at, r->size};
        g_array_append_val(d->maps, m);
    }
}

bool dump_find_maps(Dump *d, GError **error)
{
    Collect c = {.d = d, .merge_at = 1 << 16};
    bool paging = false;
    d->maps = g_array_new(FALSE, FALSE, sizeof(DumpMap));
    for (unsigned i = 0; d->request.paging && i < cpu_count(); i++) {
        paging |= cpu_paging(&cpu_at(i)->state);
        if (!collect(&c, i)) {
            return error_fail(error, "dump: the guest's page tables describe more than %d ranges; dump without paging",
                              MAX_MAPS);
        }
    }
    if (!paging) {
        map_physical(d);
    }
    merge(d);
    g_array_sort(d->maps, by_address);
    return true;
}
