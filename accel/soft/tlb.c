/* Translations: found, filled, forgotten; and what an access does that finds none. */
#include "accel/soft/tlb.h"

#include <string.h>

#include "accel/soft/debug.h"
#include "accel/soft/uop.h"
#include "cpu/msr.h"
#include "mem/host.h"

enum { IN_USE = 1, GLOBAL = 2, SHIFT_AT = 2 /* the page's size, as a shift */, STORE = 1, NO_PAGE = 1, NO_FETCH = 1 << 8 };

/* A tag that no address of this slot's comes near: page 0 belongs to slot 0.  A zeroed table is empty but for that. */
static uint64_t no_tag(unsigned slot)
{
    return slot ? 0 : 4096;
}

static unsigned slot_of(uint64_t linear)
{
    return linear >> 12 & (TLB_SIZE - 1);
}

static TlbEntry *table_of(SoftTlb *t, unsigned kind, unsigned table)
{
    return kind == STORE ? t->store[table] : t->load[table];
}

void tlb_setup(SoftCpu *s)
{
    SoftTlb *t = s->tlb = g_new0(SoftTlb, 1);
    g_mutex_init(&t->lock);
    for (unsigned table = 0; table < TLB_TABLES; table++) {
        t->load[table][0].tag = t->store[table][0].tag = no_tag(0);
    }
    t->limits = paging_limits(&s->cpu);
    tlb_forget_map(s);
    tlb_select(s);
}

void tlb_teardown(SoftCpu *s)
{
    g_mutex_clear(&s->tlb->lock);
    g_free(s->tlb);
    s->tlb = NULL;
}

/* ---- Choosing and forgetting ---- */

unsigned tlb_table_for(const SoftCpu *s, unsigned cpl)
{
    const CpuState *c = &s->cpu.state;
    bool aligned = cpl == 3 && c->cr0 & CR0_AM && c->rflags & FLAG_AC;
    bool watched = c->dr[7] & 0xff;
    return aligned || watched      ? TLB_STRICT
           : cpl == 3              ? TLB_USER
           : c->rflags & FLAG_AC ? TLB_SUPER_AC
                                   : TLB_SUPER;
}

void tlb_select(SoftCpu *s)
{
    SoftTlb *t = s->tlb;
    t->selected = tlb_table_for(s, soft_cpl(s));
    s->load = t->load[t->selected];
    s->store = t->store[t->selected];
}

static void forget_table(SoftTlb *t, unsigned kind, unsigned table, bool global)
{
    TlbEntry *entries = table_of(t, kind, table);
    uint16_t *used = t->used[kind][table];
    uint8_t *state = t->state[kind][table];
    unsigned kept = 0, n = t->used_count[kind][table];
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = used[i];
        if (!global && state[slot] & GLOBAL) {
            used[kept++] = (uint16_t)slot;
        } else {
            entries[slot].tag = no_tag(slot);
            state[slot] = 0;
        }
    }
    t->used_count[kind][table] = (uint16_t)kept;
}

void soft_tlb_flush(SoftCpu *s, bool global)
{
    SoftTlb *t = s->tlb;
    t->flushes++;
    t->large &= !global;
    for (unsigned table = 0; table < TLB_STRICT; table++) {
        forget_table(t, 0, table, global);
        forget_table(t, STORE, table, global);
    }
    for (unsigned i = 0; i < FETCH_SIZE; i++) {
        if (global || !t->fetch[i].global) {
            t->fetch[i].tag = NO_FETCH;
        }
    }
    block_forget_jumps(s);
}

static bool same_page(uint64_t a, uint64_t b, unsigned shift)
{
    return a >> shift == b >> shift;
}

/* The other parts of a large page are in other slots: they go with it (SDM vol 3 §4.10.4.1). */
static void forget_large(SoftTlb *t, unsigned kind, unsigned table, uint64_t linear)
{
    TlbEntry *entries = table_of(t, kind, table);
    for (unsigned i = 0; i < t->used_count[kind][table]; i++) {
        unsigned slot = t->used[kind][table][i], shift = t->state[kind][table][slot] >> SHIFT_AT;
        if (shift > 12 && same_page(entries[slot].tag, linear, shift)) {
            entries[slot].tag = no_tag(slot);
        }
    }
}

void soft_tlb_flush_page(SoftCpu *s, uint64_t linear)
{
    SoftTlb *t = s->tlb;
    unsigned slot = slot_of(linear);
    for (unsigned table = 0; table < TLB_STRICT; table++) {
        t->load[table][slot].tag = no_tag(slot);
        t->store[table][slot].tag = no_tag(slot);
        if (t->large) {
            forget_large(t, 0, table, linear);
            forget_large(t, STORE, table, linear);
        }
    }
    for (unsigned i = 0; i < FETCH_SIZE; i++) {
        if (!((t->fetch[i].tag ^ linear) & ~(t->fetch[i].page_size - 1))) {
            t->fetch[i].tag = NO_FETCH;
        }
    }
    block_forget_jumps(s);
}

void tlb_forget_map(SoftCpu *s)
{
    for (unsigned i = 0; i < PHYS_SIZE; i++) {
        s->tlb->phys[i].at = NO_PAGE;
    }
    soft_tlb_flush(s, true);
}

void soft_memory_changed(SoftCpu *s)
{
    tlb_forget_map(s);
}

void tlb_revoke_stores(const uint8_t *host, uint64_t len)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        SoftTlb *t = soft_cpu(cpu_at(i))->tlb;
        if (!t) {
            continue;
        }
        g_mutex_lock(&t->lock);
        for (unsigned table = 0; table < TLB_STRICT; table++) {
            for (unsigned slot = 0; slot < TLB_SIZE; slot++) {
                TlbEntry *e = &t->store[table][slot];
                if ((uintptr_t)e->host + 4096 > (uintptr_t)host && (uintptr_t)e->host < (uintptr_t)host + len) {
                    __atomic_store_n(&e->tag, no_tag(slot), __ATOMIC_SEQ_CST);
                }
            }
        }
        g_mutex_unlock(&t->lock);
    }
}

/* ---- Physical pages ---- */

static void phys_find(SoftCpu *s, uint64_t at, PhysPage *p)
{
    const FlatRange *fr = space_find(s->cpu.memory, at);
    *p = (PhysPage){.at = at};
    if (!fr || !range_host(fr) || fr->at > at || fr->size - (at - fr->at) < 4096) {
        return;
    }
    uint64_t in = at - fr->at;
    p->ram = region_ram_block(fr->region);
    p->host = (uint8_t *)range_host(fr) + in;
    p->offset = (uint64_t)(p->host - (uint8_t *)ram_host(p->ram));
    p->direct = flat_range_is_ram(fr) || fr->romd;
    p->writable = flat_range_is_ram(fr) && !fr->readonly;
    if (!p->direct || (uintptr_t)p->host & 4095) {
        p->host = NULL; /* a flash that is being programmed, or memory that does not begin at a page's border */
    }
}

static const PhysPage *phys_page(SoftCpu *s, uint64_t phys)
{
    uint64_t at = phys & ~UINT64_C(0xfff);
    PhysPage *p = &s->tlb->phys[at >> 12 & (PHYS_SIZE - 1)];
    if (p->at != at) {
        phys_find(s, at, p);
    }
    return p;
}

/* ---- Walking ---- */

/* Accessed and dirty, where the walk found them clear, by a locked operation on the entry that was read: false when it has
 * changed meanwhile (SDM vol 3 §4.8). */
static bool set_bits(SoftCpu *s, const PageWalk *w, unsigned i, uint64_t bits)
{
    uint64_t at = w->entry[i].at, old = w->entry[i].value;
    if ((old & bits) == bits) {
        return true;
    }
    const PhysPage *p = phys_page(s, at);
    if (!p->host || !p->writable) {
        return true; /* tables in ROM or in nothing cannot keep a bit */
    }
    void *entry = p->host + (at & 4095);
    bool ok;
    if (w->entry_size == 4) {
        uint32_t expected = (uint32_t)old;
        ok = __atomic_compare_exchange_n((uint32_t *)entry, &expected, (uint32_t)(old | bits), false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST);
    } else {
        uint64_t expected = old;
        ok = __atomic_compare_exchange_n((uint64_t *)entry, &expected, old | bits, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST);
    }
    ram_dirty_set(p->ram, p->offset + (at & 4095), w->entry_size);
    return ok;
}

static bool walk_mark(SoftCpu *s, const PageWalk *w, unsigned access)
{
    if (!w->entry_size) {
        return true;
    }
    bool pae_root = s->cpu.state.cr4 & CR4_PAE && !cpu_long_active(&s->cpu.state);
    for (unsigned i = 0; i < w->entries; i++) {
        if (pae_root && w->entry[i].level == 3) {
            continue; /* no such bits there */
        }
        bool leaf = i == w->entries - 1;
        if (!set_bits(s, w, i, PTE_A | (leaf && access & WALK_WRITE ? PTE_D : 0))) {
            return false;
        }
    }
    return true;
}

/* 4-level tables whose entries are all present, accessed and without reserved bits, read where they are: most walks.  False:
 * let paging_walk judge. */
static bool walk_quickly(SoftCpu *s, uint64_t va, unsigned access, PageWalk *w)
{
    const CpuState *c = &s->cpu.state;
    if (!cpu_paging(c) || !cpu_long_active(c) || c->cr4 & (CR4_LA57 | CR4_PKE | CR4_PKS) || !address_canonical(va, false)) {
        return false;
    }
    uint64_t frame = UINT64_C(0x000ffffffffff000), reserved = frame & ~((UINT64_C(1) << s->tlb->limits.phys_bits) - 1);
    uint64_t table = c->cr3 & frame, rights = PTE_W | PTE_U, nx = 0, e = 0;
    unsigned shift = 39;
    reserved |= c->efer & EFER_NXE ? 0 : PTE_NX;
    for (;; shift -= 9) {
        const PhysPage *p = phys_page(s, table);
        if (!p->host) {
            return false;
        }
        e = __atomic_load_n((uint64_t *)(p->host + (va >> shift & 511) * 8), __ATOMIC_RELAXED);
        if ((e & (PTE_P | PTE_A)) != (PTE_P | PTE_A) || e & reserved) {
            return false;
        }
        rights &= e;
        nx |= e & PTE_NX;
        table = e & frame;
        if (shift == 12) {
            break;
        }
        if (e & PTE_PS) {
            if (shift == 39 || (shift == 30 && !s->tlb->limits.gigabyte) || e & ((UINT64_C(1) << shift) - 1) & ~UINT64_C(0x1fff)) {
                return false;
            }
            table &= ~((UINT64_C(1) << shift) - 1);
            break;
        }
    }
    bool user = access & WALK_USER;
    if ((access & WALK_WRITE && (!(e & PTE_D) || !(rights & PTE_W))) || (access & WALK_FETCH && nx) ||
        (user && !(rights & PTE_U)) || (!user && rights & PTE_U && c->cr4 & (CR4_SMEP | CR4_SMAP))) {
        return false;
    }
    w->page_size = UINT64_C(1) << shift;
    w->phys = table | (va & (w->page_size - 1));
    w->leaf = (e & ~(PTE_W | PTE_U)) | rights | nx;
    return true;
}

static unsigned access_of(const SoftCpu *s, unsigned table, bool write)
{
    unsigned access = write ? WALK_WRITE : 0;
    if (table == TLB_STRICT) {
        return access | (soft_cpl(s) == 3 ? WALK_USER : 0);
    }
    return access | (table == TLB_USER ? WALK_USER : table == TLB_SUPER ? WALK_IMPLICIT : 0);
}

/* Raises what the walk refuses. */
static void walk(SoftCpu *s, uint64_t va, unsigned access, PageWalk *w)
{
    if (walk_quickly(s, va, access, w)) {
        return;
    }
    do {
        if (!paging_walk(&s->cpu.state, &s->tlb->limits, s->cpu.memory, va, access, w)) {
            if (w->fault == WALK_NON_CANONICAL) {
                bool stack = s->in_block && s->cur && s->cur->seg == offsetof(SoftCpu, zero_ss);
                soft_fault_error(s, stack ? EXC_SS : EXC_GP, 0);
            }
            soft_page_fault(s, va, w->error);
        }
    } while (!walk_mark(s, w, access));
}

/* ---- Filling ---- */

static bool walk_global(const SoftCpu *s, const PageWalk *w)
{
    return w->leaf & PTE_G && s->cpu.state.cr4 & CR4_PGE && cpu_paging(&s->cpu.state);
}

static void fill(SoftCpu *s, unsigned kind, unsigned table, uint64_t linear, uint8_t *host, const PageWalk *w)
{
    SoftTlb *t = s->tlb;
    if (G_UNLIKELY(s->debug) && soft_debug_page(s, linear, kind == STORE)) {
        return;
    }
    unsigned slot = slot_of(linear);
    TlbEntry *e = &table_of(t, kind, table)[slot];
    uint8_t *state = &t->state[kind][table][slot];
    if (!*state) {
        t->used[kind][table][t->used_count[kind][table]++] = (uint16_t)slot;
    }
    *state = (uint8_t)(IN_USE | (walk_global(s, w) ? GLOBAL : 0) | __builtin_ctzll(w->page_size) << SHIFT_AT);
    t->large |= w->page_size > 4096;
    e->host = host;
    __atomic_store_n(&e->tag, linear & ~UINT64_C(0xfff), __ATOMIC_RELEASE);
    t->fills++;
}

static void fill_store(SoftCpu *s, unsigned table, uint64_t linear, const PhysPage *p, const PageWalk *w)
{
    SoftTlb *t = s->tlb;
    if (table == TLB_STRICT || !p->writable) {
        return;
    }
    g_mutex_lock(&t->lock);
    if (ram_dirty_everywhere(p->ram, p->offset)) {
        fill(s, STORE, table, linear, p->host, w);
    }
    g_mutex_unlock(&t->lock);
}

static const PhysPage *translate(SoftCpu *s, unsigned table, uint64_t linear, bool write, PageWalk *w)
{
    walk(s, linear, access_of(s, table, write), w);
    return phys_page(s, w->phys);
}

/* ---- Accesses ---- */

static void check_strict(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, bool write)
{
    const CpuState *c = &s->cpu.state;
    if (table == TLB_STRICT && soft_cpl(s) == 3 && c->cr0 & CR0_AM && c->rflags & FLAG_AC && size <= 8 &&
        linear & (size - 1)) {
        soft_fault_error(s, EXC_AC, 0);
    }
}

/* Data breakpoints (SDM vol 3 §18.2): told once the access has been made; the loop turns them into a trap.  A debugger's are
 * seen to in debug.c, which may begin the instruction anew. */
static void check_watched(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, bool write)
{
    CpuState *c = &s->cpu.state;
    if (G_UNLIKELY(s->debug)) {
        soft_debug_touch(s, linear, size, write);
    }
    for (unsigned i = 0; table == TLB_STRICT && i < 4; i++) {
        unsigned control = c->dr[7] >> (16 + 4 * i) & 15, type = control & 3;
        static const uint8_t lengths[] = {1, 2, 8, 4};
        uint64_t len = lengths[control >> 2], at = c->dr[i] & ~(len - 1);
        if (type & 1 && (type == 3 || write) && linear < at + len && at < linear + size) {
            s->watch_hit |= 1u << i; /* DR6 tells of those that are not enabled as well */
        }
    }
}

/* An access that is made in pieces: once the first is done, the instruction can no longer begin anew. */
static void expect(SoftCpu *s, uint64_t linear, unsigned size, bool write)
{
    if (G_UNLIKELY(s->debug)) {
        soft_debug_expect(s, linear, size, write);
    }
}

static void before_device(SoftCpu *s)
{
    if (G_UNLIKELY(s->debug)) {
        soft_debug_alone(s);
    }
}

static bool crosses(uint64_t linear, unsigned size)
{
    return (linear & 4095) + size > 4096;
}

static uint64_t linear_mask(const SoftCpu *s)
{
    return cpu_long_active(&s->cpu.state) ? UINT64_MAX : UINT32_MAX;
}

/* Both pages of an access that spans two may be had; that an address is canonical is judged before any page is. */
static void translate_both(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, bool write)
{
    PageWalk w;
    uint64_t last = (linear + size - 1) & linear_mask(s);
    bool long_mode = cpu_long_active(&s->cpu.state);
    if (long_mode && !address_canonical(last, s->cpu.state.cr4 & CR4_LA57)) {
        translate(s, table, last, write, &w);
    }
    translate(s, table, linear, write, &w);
    translate(s, table, last & ~UINT64_C(0xfff), write, &w); /* a fault's address is the first that it could not have */
}

static uint64_t load_pieces(SoftCpu *s, unsigned table, uint64_t linear, unsigned size)
{
    uint64_t v = 0, mask = linear_mask(s);
    translate_both(s, table, linear, size, false);
    expect(s, linear, size, false);
    for (unsigned i = 0; i < size; i++) {
        v |= tlb_load_in(s, table, (linear + i) & mask, 1) << 8 * i;
    }
    return v;
}

static uint64_t load_host(const uint8_t *p, unsigned size)
{
    switch (size) {
    case 1: return *p;
    case 2: return PLACE(uint16_t, p);
    case 4: return PLACE(uint32_t, p);
    default: return PLACE(uint64_t, p);
    }
}

static void store_host(uint8_t *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: *p = (uint8_t)v; break;
    case 2: PLACE(uint16_t, p) = (uint16_t)v; break;
    case 4: PLACE(uint32_t, p) = (uint32_t)v; break;
    default: PLACE(uint64_t, p) = v; break;
    }
}

uint64_t tlb_load_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size)
{
    uint8_t *hit = tlb_hit(s->tlb->load[table], linear, size);
    if (hit) {
        return load_host(hit, size);
    }
    check_strict(s, table, linear, size, false);
    if (crosses(linear, size)) {
        return load_pieces(s, table, linear, size);
    }
    PageWalk w;
    const PhysPage *p = translate(s, table, linear, false, &w);
    if (G_UNLIKELY(table == TLB_STRICT || s->debug)) {
        check_watched(s, table, linear, size, false);
    }
    if (!p->host) {
        before_device(s);
        return soft_device_load(s, s->cpu.memory, w.phys, size);
    }
    if (table != TLB_STRICT) {
        fill(s, 0, table, linear, p->host, &w);
    }
    return load_host(p->host + (linear & 4095), size);
}

/* After a write to a page that someone wants to hear of.  The fence: whoever decodes there marks the page first and reads it
 * then, so either he sees the new bytes or we see the mark. */
static void written(SoftCpu *s, const PhysPage *p, uint64_t linear, unsigned size)
{
    uint64_t in = linear & 4095;
    atomic_thread_fence(memory_order_seq_cst);
    if (ram_code_marked(p->ram, p->offset)) {
        block_written(s, p->ram, p->host + in, size);
    }
    ram_dirty_set_client(p->ram, DIRTY_VGA, p->offset + in, size);
    ram_dirty_set_client(p->ram, DIRTY_MIGRATION, p->offset + in, size);
}

void tlb_store_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, uint64_t value)
{
    uint8_t *hit = tlb_hit(s->tlb->store[table], linear, size);
    if (hit) {
        store_host(hit, size, value);
        return;
    }
    check_strict(s, table, linear, size, true);
    PageWalk w;
    if (crosses(linear, size)) {
        uint64_t mask = linear_mask(s);
        translate_both(s, table, linear, size, true);
        expect(s, linear, size, true);
        for (unsigned i = 0; i < size; i++) {
            tlb_store_in(s, table, (linear + i) & mask, 1, value >> 8 * i & 0xff);
        }
        return;
    }
    const PhysPage *p = translate(s, table, linear, true, &w);
    if (G_UNLIKELY(table == TLB_STRICT || s->debug)) {
        check_watched(s, table, linear, size, true);
    }
    if (!p->host || !p->writable) {
        before_device(s);
        soft_device_store(s, s->cpu.memory, w.phys, size, value);
        return;
    }
    store_host(p->host + (linear & 4095), size, value);
    written(s, p, linear, size);
    fill_store(s, table, linear, p, &w);
}

void tlb_probe(SoftCpu *s, unsigned table, uint64_t linear, bool write)
{
    PageWalk w;
    if (!tlb_hit(write ? s->tlb->store[table] : s->tlb->load[table], linear, 1)) {
        translate(s, table, linear, write, &w);
    }
}

uint8_t *tlb_host_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, bool write)
{
    uint8_t *hit = tlb_hit(write ? s->tlb->store[table] : s->tlb->load[table], linear, size);
    if (hit) {
        return hit;
    }
    check_strict(s, table, linear, size, write);
    PageWalk w;
    if (crosses(linear, size)) {
        translate_both(s, table, linear, size, write);
        return NULL;
    }
    const PhysPage *p = translate(s, table, linear, write, &w);
    if (G_UNLIKELY(table == TLB_STRICT || s->debug)) {
        check_watched(s, table, linear, size, write);
    }
    if (!p->host || (write && !p->writable)) {
        return NULL;
    }
    if (write) {
        written(s, p, linear, size);
        fill_store(s, table, linear, p, &w);
    } else if (table != TLB_STRICT) {
        fill(s, 0, table, linear, p->host, &w);
    }
    return p->host + (linear & 4095);
}

static uint64_t fetch_tag(const SoftCpu *s, uint64_t linear)
{
    return (linear & ~UINT64_C(0xfff)) | (soft_cpl(s) == 3);
}

static FetchPage *fetch_page(const SoftCpu *s, uint64_t linear)
{
    return &s->tlb->fetch[(linear >> 12 ^ linear >> 20) & (FETCH_SIZE - 1)];
}

const FetchPage *tlb_fetched(const SoftCpu *s, uint64_t linear)
{
    FetchPage *f = fetch_page(s, linear);
    return f->tag == fetch_tag(s, linear) ? f : NULL;
}

const FetchPage *tlb_fetch(SoftCpu *s, uint64_t linear)
{
    bool user = soft_cpl(s) == 3;
    uint64_t tag = fetch_tag(s, linear);
    FetchPage *f = fetch_page(s, linear);
    if (G_UNLIKELY(f->tag != tag)) {
        PageWalk w;
        walk(s, linear, WALK_FETCH | (user ? WALK_USER : 0), &w);
        f->phys = w.phys & ~UINT64_C(0xfff);
        f->page = *phys_page(s, w.phys);
        f->tag = tag;
        f->page_size = w.page_size;
        f->global = walk_global(s, &w);
    }
    return f;
}

/* ---- For micro-ops ---- */

static void enter_slow(SoftCpu *s, const Uop *u)
{
    s->cur = u;
    s->insn_rip = s->rip_base + u->ip;
}

uint64_t tlb_load(SoftCpu *s, const Uop *u, uint64_t linear, unsigned size)
{
    enter_slow(s, u);
    return tlb_load_in(s, s->tlb->selected, linear, size);
}

void tlb_store(SoftCpu *s, const Uop *u, uint64_t linear, unsigned size, uint64_t value)
{
    enter_slow(s, u);
    tlb_store_in(s, s->tlb->selected, linear, size, value);
}

uint8_t *tlb_host(SoftCpu *s, const Uop *u, uint64_t linear, unsigned size, bool write)
{
    enter_slow(s, u);
    return tlb_host_in(s, s->tlb->selected, linear, size, write);
}

uint64_t tlb_load_rmw(SoftCpu *s, const Uop *u, uint64_t linear, unsigned size)
{
    uint8_t *p = tlb_host(s, u, linear, size, true);
    if (G_UNLIKELY(s->debug) && p) {
        soft_debug_touch(s, linear, size, false);
    }
    return p ? load_host(p, size) : tlb_load_in(s, s->tlb->selected, linear, size);
}
