#include "cpu/blackbox/ring.h"

#include <string.h>
#include <x86intrin.h>

#include "core/error.h"
#include "cpu/blackbox/print.h"

unsigned box_entries = BOX_SIZE_DEFAULT;

bool box_option(const char *text, GError **error)
{
    guint64 n;
    if (!strcmp(text, "off")) {
        box_entries = 0;
        return true;
    }
    if (!g_ascii_string_to_unsigned(text, 10, BOX_SIZE_MIN, BOX_SIZE_MAX, &n, NULL)) {
        return error_fail(error,
                          "-blackbox %s: expected \"off\", or the number of entries for each CPU, %d to %d (%d unless told)",
                          text, BOX_SIZE_MIN, BOX_SIZE_MAX, BOX_SIZE_DEFAULT);
    }
    box_entries = 1u << g_bit_storage((gulong)n - 1);
    return true;
}

BlackBox *box_new(void)
{
    if (!box_entries) {
        return NULL;
    }
    box_clock_start();
    BlackBox *b = g_new0(BlackBox, 1);
    b->mask = box_entries - 1;
    b->slot = g_new0(BoxEvent, box_entries);
    return b;
}

void box_free(BlackBox *b)
{
    if (b) {
        g_free(b->slot);
        g_free(b);
    }
}

/* ---- One writer, readers without a lock ---- */

enum { WORDS = sizeof(BoxEvent) / 8 };

static void copy_words(uint64_t *to, const uint64_t *from)
{
    for (unsigned i = 0; i < WORDS; i++) {
        __atomic_store_n(&to[i], __atomic_load_n(&from[i], __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    }
}

/* False: it was being changed each time that we looked. */
static bool read_entry(const BlackBox *b, unsigned n, BoxEvent *e)
{
    enum { TRIES = 1000 };
    for (unsigned i = 0; i < TRIES; i++) {
        unsigned before = atomic_load_explicit(&b->version, memory_order_acquire);
        copy_words((uint64_t *)e, (const uint64_t *)&b->slot[n & b->mask]);
        atomic_thread_fence(memory_order_acquire);
        if (!(before & 1) && atomic_load_explicit(&b->version, memory_order_relaxed) == before) {
            return true;
        }
    }
    return false;
}

/* Between these two a reader may find anything in the ring.  Returns what the version will be. */
static inline unsigned change_begins(BlackBox *b)
{
    unsigned v = atomic_load_explicit(&b->version, memory_order_relaxed);
    atomic_store_explicit(&b->version, v + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return v + 2;
}

static inline void change_ends(BlackBox *b, unsigned version)
{
    atomic_store_explicit(&b->version, version, memory_order_release);
}

static gint by_serial(gconstpointer a, gconstpointer b)
{
    return (gint)(((const BoxEvent *)a)->serial - ((const BoxEvent *)b)->serial);
}

GArray *box_read(const BlackBox *b)
{
    GArray *out = g_array_new(FALSE, FALSE, sizeof(BoxEvent));
    unsigned end = atomic_load_explicit(&b->made, memory_order_acquire), size = b->mask + 1;
    for (unsigned n = end > size ? end - size : 0; n != end; n++) {
        BoxEvent e;
        if (read_entry(b, n, &e) && e.kind != BOX_NONE) {
            g_array_append_val(out, e);
        }
    }
    g_array_sort(out, by_serial);
    return out;
}

/* ---- Notes ---- */

static uint64_t now(const BlackBox *b)
{
    return b->instructions ? *b->instructions : __rdtsc();
}

/* Entry n has its key in recent[n % BOX_WINDOW]: all of them are compared at once. */
static inline uint32_t key_of(unsigned kind, uint32_t what, uint64_t rip)
{
    return (uint32_t)rip * 0x9e3779b1u ^ what * 0x85ebca6bu ^ kind << 16;
}

_Static_assert(BOX_WINDOW == 16 && BOX_SIZE_MIN >= 2 * BOX_WINDOW, "four vectors; entries that were never made are empty");

static inline __m128i same(const BlackBox *b, unsigned n, __m128i key)
{
    return _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)b->recent + n), key);
}

/* A bit for each place in `recent` that has this key. */
static inline unsigned matches(const BlackBox *b, uint32_t key)
{
    __m128i k = _mm_set1_epi32((int)key);
    __m128i low = _mm_packs_epi32(same(b, 0, k), same(b, 1, k)), high = _mm_packs_epi32(same(b, 2, k), same(b, 3, k));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}

/* The entry that was made last among those with this place in `recent`. */
static inline BoxEvent *recent_slot(const BlackBox *b, unsigned made, unsigned place)
{
    return &b->slot[(made - 1 - ((made - 1 - place) % BOX_WINDOW)) & b->mask];
}

#define STORE(field, v) __atomic_store_n(&slot->field, v, __ATOMIC_RELAXED)

static inline void count_again(BlackBox *b, BoxEvent *slot, uint64_t value, uint64_t old)
{
    unsigned version = change_begins(b);
    STORE(value, value);
    STORE(old, old);
    STORE(last, now(b));
    STORE(serial, version);
    STORE(count, slot->count + (slot->count != UINT32_MAX));
    change_ends(b, version);
}

static void make(BlackBox *b, BoxEvent *e, uint32_t key)
{
    unsigned made = atomic_load_explicit(&b->made, memory_order_relaxed);
    unsigned version = change_begins(b);
    e->serial = version;
    e->first = e->last = now(b);
    e->count = 1;
    b->recent[made % BOX_WINDOW] = key;
    copy_words((uint64_t *)&b->slot[made & b->mask], (const uint64_t *)e);
    change_ends(b, version);
    atomic_store_explicit(&b->made, made + 1, memory_order_release);
}

static void set_place(BoxEvent *e, const Cpu *c, uint64_t rip)
{
    const CpuState *s = &c->state;
    e->mode = c->box->mode;
    e->cpl = e->mode == CPU_REAL ? 0 : e->mode == CPU_VM86 ? 3 : (uint8_t)segment_dpl(&s->seg[SEG_SS]);
    e->cs = s->seg[SEG_CS].selector;
    e->rip = rip;
}

/* Nearly all that is noted are repeats, which are kept short.  The same CS:RIP has the same mode and CPL. */
void box_put(Cpu *c, unsigned kind, uint32_t what, uint64_t value, uint64_t old, uint64_t rip)
{
    BlackBox *b = c->box;
    uint16_t cs = rip == BOX_NO_RIP ? 0 : c->state.seg[SEG_CS].selector;
    uint32_t key = key_of(kind, what, rip);
    for (unsigned found = matches(b, key); found; found &= found - 1) {
        BoxEvent *e = recent_slot(b, atomic_load_explicit(&b->made, memory_order_relaxed), (unsigned)__builtin_ctz(found));
        if (G_LIKELY(e->rip == rip && e->what == what && e->kind_size == kind && e->cs == cs)) {
            count_again(b, e, value, old);
            return;
        }
    }
    BoxEvent e = {.kind_size = (uint16_t)kind, .what = what, .value = value, .old = old, .mode = BOX_UNKNOWN, .rip = rip};
    if (rip != BOX_NO_RIP) {
        set_place(&e, c, rip);
    }
    make(b, &e, key);
}

/* An exception is a repeat only with the same error code and address, and out of the same delivery. */
static bool is_like(const BoxEvent *a, const BoxEvent *b)
{
    return a->rip == b->rip && a->what == b->what && !memcmp(a, b, 8) &&
           (a->kind != BOX_EXCEPTION || (a->error == b->error && a->value == b->value));
}

static void enter(BlackBox *b, BoxEvent *e)
{
    uint32_t key = key_of(e->kind_size, e->what, e->rip);
    for (unsigned found = matches(b, key); found; found &= found - 1) {
        BoxEvent *slot =
            recent_slot(b, atomic_load_explicit(&b->made, memory_order_relaxed), (unsigned)__builtin_ctz(found));
        if (is_like(slot, e)) {
            count_again(b, slot, e->value, e->old);
            return;
        }
    }
    make(b, e, key);
}

void box_deliver(Cpu *c, BoxKind kind, unsigned vector, bool has_error, uint32_t error, uint64_t address)
{
    BlackBox *b = c->box;
    if (!b) {
        return;
    }
    BoxEvent e = {.kind = (uint8_t)kind, .size = has_error, .what = vector, .error = error, .value = address};
    set_place(&e, c, c->state.rip);
    if (kind == BOX_INTERRUPT) {
        e.value = e.rip;
        e.rip = 0;
    }
    if (kind == BOX_EXCEPTION && b->open && b->faults) {
        const BoxFault *f = &b->chain[b->faults - 1];
        e.during_kind = f->during_kind;
        e.during = f->during;
    }
    enter(b, &e);
    b->now_kind = (uint8_t)kind;
    b->now = (uint8_t)vector;
    b->now_error = has_error;
}

void box_delivered(Cpu *c)
{
    if (c->box) {
        c->box->now_kind = BOX_NONE;
        c->box->open = false;
    }
}

void box_fault(Cpu *c, unsigned vector, bool has_error, uint32_t error, uint64_t address)
{
    BlackBox *b = c->box;
    if (!b) {
        return;
    }
    if (!b->open || b->now_kind != BOX_EXCEPTION) { /* a new chain */
        b->faults = 0;
        b->chain_rip = c->state.rip;
        b->chain_cs = c->state.seg[SEG_CS].selector;
    } else if (b->faults == BOX_CHAIN) {
        memmove(b->chain, b->chain + 1, sizeof(b->chain) - sizeof(b->chain[0]));
        b->faults--;
    }
    BoxFault f = {.vector = (uint8_t)vector, .has_error = has_error, .error = error, .address = address};
    if (b->now_kind != BOX_NONE) {
        f.during_kind = b->now_kind;
        f.during = b->now;
        f.during_error = b->now_error;
    }
    b->chain[b->faults++] = f;
    b->now_kind = BOX_NONE;
    b->open = true;
}

void box_shutdown(Cpu *c, BoxShutdown why)
{
    if (c->box) {
        c->box->shutdown = why;
        box_put(c, BOX_SHUTDOWN, why, 0, 0, c->state.rip);
    }
}

void box_restart(Cpu *c, BoxKind kind, unsigned vector)
{
    BlackBox *b = c->box;
    if (b) {
        box_put(c, kind, vector, 0, 0, c->state_valid ? c->state.rip : BOX_NO_RIP);
        b->now_kind = BOX_NONE;
        b->open = false;
        b->mode = CPU_REAL;
        b->shutdown = BOX_TRIPLE_FAULT;
    }
}
