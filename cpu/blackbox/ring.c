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
        return error_fail(error, "-blackbox %s: expected \"off\", or the number of entries for each CPU, %d to %d (%d unless told)",
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
    b->version = g_new0(atomic_uint, box_entries);
    b->slot = g_new0(BoxEvent, box_entries);
    return b;
}

void box_free(BlackBox *b)
{
    if (b) {
        g_free((void *)b->version);
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

static void change_begins(BlackBox *b, unsigned n)
{
    atomic_uint *v = &b->version[n & b->mask];
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void change_ends(BlackBox *b, unsigned n)
{
    atomic_uint *v = &b->version[n & b->mask];
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + 1, memory_order_release);
}

/* False: it was being changed each time that we looked. */
static bool read_entry(const BlackBox *b, unsigned n, BoxEvent *e)
{
    enum { TRIES = 1000 };
    atomic_uint *v = &b->version[n & b->mask];
    for (unsigned i = 0; i < TRIES; i++) {
        unsigned before = atomic_load_explicit(v, memory_order_acquire);
        copy_words((uint64_t *)e, (const uint64_t *)&b->slot[n & b->mask]);
        atomic_thread_fence(memory_order_acquire);
        if (!(before & 1) && atomic_load_explicit(v, memory_order_relaxed) == before) {
            return true;
        }
    }
    return false;
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

static bool is_like(const BoxEvent *a, const BoxEvent *b)
{
    if (a->rip != b->rip || a->what != b->what || memcmp(a, b, 8)) {
        return false;
    }
    return a->kind != BOX_EXCEPTION || (a->error == b->error && a->value == b->value);
}

/* Where an event like this one is counted, or `made`. */
static unsigned find_like(const BlackBox *b, unsigned made, const BoxEvent *e)
{
    unsigned window = MIN(made, BOX_WINDOW);
    for (unsigned n = made - 1; window--; n--) {
        if (is_like(&b->slot[n & b->mask], e)) {
            return n;
        }
    }
    return made;
}

static void enter(BlackBox *b, BoxEvent *e)
{
    unsigned made = atomic_load_explicit(&b->made, memory_order_relaxed), at = find_like(b, made, e);
    BoxEvent *slot = &b->slot[at & b->mask];
    e->first = e->last = now(b);
    e->count = 1;
    e->serial = ++b->serial;
    change_begins(b, at);
    if (at == made) {
        copy_words((uint64_t *)slot, (const uint64_t *)e);
    } else {
        e->first = slot->first;
        e->count = slot->count + (slot->count != UINT32_MAX);
        copy_words((uint64_t *)slot, (const uint64_t *)e);
    }
    change_ends(b, at);
    if (at == made) {
        atomic_store_explicit(&b->made, made + 1, memory_order_release);
    }
}

static BoxEvent event(const Cpu *c, BoxKind kind, uint32_t what, uint64_t rip)
{
    if (rip == BOX_NO_RIP) {
        return (BoxEvent){.kind = (uint8_t)kind, .what = what, .mode = BOX_UNKNOWN};
    }
    const CpuState *s = &c->state;
    return (BoxEvent){.kind = (uint8_t)kind, .what = what, .mode = c->box->mode, .cpl = (uint8_t)cpu_cpl(s),
                      .cs = s->seg[SEG_CS].selector, .rip = rip};
}

void box_put(Cpu *c, BoxKind kind, unsigned size, uint32_t what, uint64_t value, uint64_t old, uint64_t rip)
{
    BoxEvent e = event(c, kind, what, rip);
    e.size = (uint8_t)size;
    e.value = value;
    e.old = old;
    enter(c->box, &e);
}

void box_deliver(Cpu *c, BoxKind kind, unsigned vector, bool has_error, uint32_t error, uint64_t address)
{
    BlackBox *b = c->box;
    if (!b) {
        return;
    }
    BoxEvent e = event(c, kind, vector, c->state.rip);
    e.size = has_error;
    e.error = error;
    e.value = address;
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
        box_put(c, BOX_SHUTDOWN, 0, why, 0, 0, c->state.rip);
    }
}

void box_restart(Cpu *c, BoxKind kind, unsigned vector)
{
    BlackBox *b = c->box;
    if (b) {
        box_put(c, kind, 0, vector, 0, 0, c->state_valid ? c->state.rip : BOX_NO_RIP);
        b->now_kind = BOX_NONE;
        b->open = false;
        b->mode = CPU_REAL;
    }
}
