#include "cpu/paging.h"

#include <inttypes.h>
#include <string.h>

#include "cpu/model.h"
#include "cpu/msr.h"

/* How a paging mode cuts addresses. */
typedef struct Format {
    unsigned levels;     /* 2 to 5                            */
    unsigned index_bits; /* 10, or 9                          */
    unsigned entry_size;
    bool pae, lma; /* PAE proper has 4 root entries     */
} Format;

static Format format_of(const CpuState *s)
{
    if (!(s->cr4 & CR4_PAE)) {
        return (Format){.levels = 2, .index_bits = 10, .entry_size = 4};
    }
    if (!cpu_long_active(s)) {
        return (Format){.levels = 3, .index_bits = 9, .entry_size = 8, .pae = true};
    }
    return (Format){
        .levels = s->cr4 & CR4_LA57 ? 5 : 4, .index_bits = 9, .entry_size = 8, .lma = true};
}

static uint64_t bits(unsigned high,
                     unsigned low) /* high:low, both included; empty when high < low */
{
    return high < low ? 0 : (UINT64_MAX >> (63 - high)) & (UINT64_MAX << low);
}

static unsigned level_shift(const Format *f, unsigned level)
{
    return 12 + (level - 1) * f->index_bits;
}

static uint64_t root_table(const CpuState *s, const Format *f)
{
    return s->cr3 & (f->pae ? bits(31, 5) : f->lma ? bits(51, 12) : bits(31, 12));
}

static bool is_large(const CpuState *s, const Format *f, unsigned level, uint64_t e)
{
    if (!(e & PTE_PS)) {
        return false;
    }
    return f->entry_size == 4 ? level == 2 && s->cr4 & CR4_PSE
                              : level == 2 || (level == 3 && f->lma);
}

/* Bits that must be 0 in a present entry (SDM vol 3 tables 4-4 to 4-20, figure 4-4). */
static uint64_t reserved_bits(const CpuState *s, const Format *f, const PagingLimits *l,
                              unsigned level, uint64_t e)
{
    bool large = is_large(s, f, level, e);
    if (f->entry_size == 4) {
        if (!large) {
            return 0;
        }
        unsigned m = MIN(l->phys_bits, 40);
        return l->pse36 ? bits(21, m > 32 ? m - 19 : 13) : bits(21, 13);
    }
    if (f->pae && level == 3) {
        return bits(63, l->phys_bits) | bits(8, 5) | bits(2, 1);
    }
    uint64_t r = bits(f->lma ? 51 : 62, l->phys_bits);
    r |= s->efer & EFER_NXE ? 0 : PTE_NX;
    if (large) {
        r |= bits(level_shift(f, level) - 1, 13);
    }
    if (e & PTE_PS && (level >= 4 || (level == 3 && f->lma && !l->gigabyte))) {
        r |= PTE_PS;
    }
    return r;
}

static uint64_t frame(const Format *f, const PagingLimits *l, unsigned level, bool large,
                      uint64_t e)
{
    if (f->entry_size == 4) {
        uint64_t high = large && l->pse36 ? (e & bits(20, 13)) << 19 : 0;
        return (e & (large ? bits(31, 22) : bits(31, 12))) | high;
    }
    return e & bits(51, large ? level_shift(f, level) : 12);
}

static bool read_entry(Space *memory, uint64_t at, unsigned size, uint64_t *e)
{
    *e = 0;
    return space_peek(memory, at, e, size);
}

static bool refuse(PageWalk *w, const CpuState *s, unsigned access, uint32_t why)
{
    bool fetch_told = (s->cr4 & CR4_PAE && s->efer & EFER_NXE) || s->cr4 & CR4_SMEP;
    w->fault = WALK_PAGE_FAULT;
    w->error = why | (access & WALK_WRITE ? PF_W : 0) | (access & WALK_USER ? PF_U : 0) |
               (access & WALK_FETCH && fetch_told ? PF_I : 0);
    return false;
}

/* SDM vol 3 §4.6.2: the key's two bits, access disable and write disable. */
static bool key_refuses(const CpuState *s, const Format *f, const PageWalk *w, unsigned access)
{
    bool user_page = w->leaf & PTE_U;
    if (!f->lma || access & WALK_FETCH || !(s->cr4 & (user_page ? CR4_PKE : CR4_PKS))) {
        return false;
    }
    uint32_t rights = user_page ? s->pkru : (uint32_t)s->msr.pkrs;
    unsigned key = rights >> (2 * w->pkey) & 3;
    bool write = access & WALK_WRITE && (access & WALK_USER || s->cr0 & CR0_WP);
    return key & 1 || (key & 2 && write);
}

/* SDM vol 3 §4.6.1.  Error bits without W, U, I; 0: allowed.  PK is told whatever else refuses (§4.7). */
static uint32_t rights_refuse(const CpuState *s, const Format *f, const PageWalk *w,
                              unsigned access)
{
    bool user_page = w->leaf & PTE_U, user = access & WALK_USER && !(access & WALK_IMPLICIT);
    if (access & WALK_FETCH) {
        bool smep = !user && user_page && s->cr4 & CR4_SMEP;
        return (user && !user_page) || smep || w->leaf & PTE_NX ? PF_P : 0;
    }
    uint32_t key = key_refuses(s, f, w, access) ? PF_PK : 0;
    if (user && !user_page) {
        return PF_P | key;
    }
    if (!user && user_page && s->cr4 & CR4_SMAP &&
        (access & WALK_IMPLICIT || !(s->rflags & FLAG_AC))) {
        return PF_P | key;
    }
    if (access & WALK_WRITE && !(w->leaf & PTE_W) && (user || s->cr0 & CR0_WP)) {
        return PF_P | key;
    }
    return key ? PF_P | key : 0;
}

static void note_entry(PageWalk *w, unsigned level, uint64_t at, uint64_t value)
{
    w->entry[w->entries].level = level;
    w->entry[w->entries].at = at;
    w->entry[w->entries].value = value;
    w->entries++;
}

/* W, U and NX of an entry that leads further, gathered in `rights`.  PAE's root entries have none.
 */
static uint64_t combine(const Format *f, unsigned level, uint64_t rights, uint64_t e)
{
    if (f->pae && level == 3) {
        return rights;
    }
    return ((rights & e) & (PTE_W | PTE_U)) | ((rights | e) & (f->entry_size == 8 ? PTE_NX : 0));
}

bool paging_walk(const CpuState *s, const PagingLimits *l, Space *memory, uint64_t va,
                 unsigned access, PageWalk *w)
{
    memset(w, 0, sizeof(*w));
    if (!cpu_paging(s)) {
        w->phys = cpu_long_active(s) ? va : (uint32_t)va;
        w->page_size = 4096;
        w->leaf = PTE_P | PTE_W | PTE_U;
        return true;
    }
    Format f = format_of(s);
    if (f.lma && !address_canonical(va, s->cr4 & CR4_LA57)) {
        w->fault = WALK_NON_CANONICAL;
        return false;
    }
    va = f.lma ? va : (uint32_t)va;
    w->entry_size = f.entry_size;
    uint64_t table = root_table(s, &f), rights = PTE_W | PTE_U;
    for (unsigned level = f.levels;; level--) {
        unsigned shift = level_shift(&f, level);
        uint64_t index = va >> shift & ((1u << f.index_bits) - 1),
                 at = table + index * f.entry_size, e;
        if (f.pae && level == 3 && s->pdpte_valid) {
            e = s->pdpte[index & 3];
        } else if (!read_entry(memory, at, f.entry_size, &e)) {
            e = access & WALK_DEBUG
                    ? 0
                    : bits(8 * f.entry_size - 1, 0); /* a bus without memory reads as ones */
        }
        note_entry(w, level, at, e);
        if (!(e & PTE_P)) {
            return refuse(w, s, access, 0);
        }
        if (!(access & WALK_DEBUG) && (w->reserved = e & reserved_bits(s, &f, l, level, e))) {
            return refuse(w, s, access, PF_P | PF_RSVD);
        }
        bool large = is_large(s, &f, level, e);
        rights = combine(&f, level, rights, e);
        table = frame(&f, l, level, large, e);
        if (large || level == 1) {
            w->page_size = UINT64_C(1) << shift;
            w->phys = table | (va & (w->page_size - 1));
            w->leaf = (e & ~(PTE_W | PTE_U | PTE_NX)) | rights;
            w->pkey = f.lma ? e >> 59 & 15 : 0;
            break;
        }
    }
    uint32_t why = access & WALK_DEBUG ? 0 : rights_refuse(s, &f, w, access);
    return why ? refuse(w, s, access, why) : true;
}

PagingLimits paging_limits(const Cpu *c)
{
    if (!c->model) {
        return (PagingLimits){.phys_bits = 52, .pse36 = true, .gigabyte = true};
    }
    return (PagingLimits){.phys_bits = model_phys_bits(c->model),
                          .pse36 = model_has(c->model, FEATURE_PSE36),
                          .gigabyte = model_has(c->model, FEATURE_PDPE1GB)};
}

bool cpu_translate_debug(const Cpu *c, uint64_t va, uint64_t *phys)
{
    PageWalk w;
    PagingLimits l = paging_limits(c);
    bool ok = paging_walk(&c->state, &l, c->memory, va, WALK_DEBUG, &w);
    *phys = w.phys;
    return ok;
}

static bool access_physical(Space *space, uint64_t at, void *buf, size_t len, bool write)
{
    if (cpu_ops.memory) {
        return cpu_ops.memory(space, at, buf, len, write);
    }
    return write ? space_write_rom(space, at, buf, len) : space_peek(space, at, buf, len);
}

bool cpu_memory_debug(const Cpu *c, uint64_t va, void *buf, size_t len, bool write)
{
    char *p = buf;
    while (len) {
        uint64_t phys;
        size_t n = MIN(len, 4096 - (va & 4095));
        if (!cpu_translate_debug(c, va, &phys) || !access_physical(c->memory, phys, p, n, write)) {
            return false;
        }
        va += n;
        p += n;
        len -= n;
    }
    return true;
}

/* ---- All pages ---- */

enum { MAX_ENTRIES = 1 << 22 }; /* tables that a guest makes recursive would never end */

typedef struct Visit {
    const CpuState *s;
    const PagingLimits *l;
    Space *memory;
    Format f;
    PageFn *fn;
    void *arg;
    unsigned left;
} Visit;

static bool visit_table(Visit *v, unsigned level, uint64_t table, uint64_t va, uint64_t rights)
{
    const Format *f = &v->f;
    unsigned shift = level_shift(f, level), n = f->pae && level == 3 ? 4 : 1u << f->index_bits;
    uint8_t page[4096] = {0};
    if (!space_peek(v->memory, table, page, n * f->entry_size)) {
        return true;
    }
    for (unsigned i = 0; i < n; i++) {
        uint64_t e = f->entry_size == 4 ? load_le(page + 4 * i, 4) : load_le(page + 8 * i, 8);
        uint64_t at = va | (uint64_t)i << shift;
        if (f->pae && level == 3 && v->s->pdpte_valid) {
            e = v->s->pdpte[i];
        }
        if (!(e & PTE_P)) {
            continue;
        }
        if (v->left-- == 0) {
            return false;
        }
        bool large = is_large(v->s, f, level, e);
        uint64_t phys = frame(f, v->l, level, large, e), both = combine(f, level, rights, e);
        if (large || level == 1) {
            unsigned width = level_shift(f, f->levels + 1);
            if (f->lma && at >> (width - 1) & 1) {
                at |= UINT64_MAX << width; /* the upper half is sign-extended */
            }
            if (!v->fn(v->arg, at, phys, UINT64_C(1) << shift,
                       (e & ~(PTE_W | PTE_U | PTE_NX)) | both)) {
                return false;
            }
        } else if (!visit_table(v, level - 1, phys, at, both)) {
            return false;
        }
    }
    return true;
}

void paging_foreach(const CpuState *s, const PagingLimits *l, Space *memory, PageFn *fn, void *arg)
{
    if (cpu_paging(s)) {
        Visit v = {.s = s,
                   .l = l,
                   .memory = memory,
                   .f = format_of(s),
                   .fn = fn,
                   .arg = arg,
                   .left = MAX_ENTRIES};
        visit_table(&v, v.f.levels, root_table(s, &v.f), 0, PTE_W | PTE_U);
    }
}

static bool print_page(void *arg, uint64_t va, uint64_t phys, uint64_t size, uint64_t leaf)
{
    static const struct {
        uint64_t bit;
        char letter;
    } flags[] = {{PTE_NX, 'X'},  {PTE_G, 'G'},   {PTE_PS, 'P'}, {PTE_D, 'D'}, {PTE_A, 'A'},
                 {PTE_PCD, 'C'}, {PTE_PWT, 'T'}, {PTE_U, 'U'},  {PTE_W, 'W'}};
    GString *out = arg;
    if (size == 4096) {
        leaf &= ~PTE_PS; /* bit 7 of a last-level entry is PAT */
    }
    g_string_append_printf(out, "%016" PRIx64 ": %016" PRIx64 " ", va, phys);
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        g_string_append_c(out, leaf & flags[i].bit ? flags[i].letter : '-');
    }
    g_string_append_c(out, '\n');
    return true;
}

void paging_print_tlb(const Cpu *c, GString *out)
{
    PagingLimits l = paging_limits(c);
    if (!cpu_paging(&c->state)) {
        g_string_append(out, "PG disabled\n");
        return;
    }
    paging_foreach(&c->state, &l, c->memory, print_page, out);
}

typedef struct Span { /* neighbours with equal rights */
    GString *out;
    uint64_t start, size, rights;
} Span;

static void print_span(Span *m)
{
    if (m->size) {
        g_string_append_printf(m->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c\n",
                               m->start, m->start + m->size, m->size, m->rights & PTE_U ? 'u' : '-',
                               m->rights & PTE_W ? 'w' : '-');
    }
}

static bool add_page(void *arg, uint64_t va, uint64_t phys, uint64_t size, uint64_t leaf)
{
    Span *m = arg;
    uint64_t rights = leaf & (PTE_U | PTE_W);
    if (m->size && va == m->start + m->size && rights == m->rights) {
        m->size += size;
        return true;
    }
    print_span(m);
    *m = (Span){.out = m->out, .start = va, .size = size, .rights = rights};
    return true;
}

void paging_print_mem(const Cpu *c, GString *out)
{
    PagingLimits l = paging_limits(c);
    Span m = {.out = out};
    if (!cpu_paging(&c->state)) {
        g_string_append(out, "PG disabled\n");
        return;
    }
    paging_foreach(&c->state, &l, c->memory, add_page, &m);
    print_span(&m);
}
