/* The tests that come free with the table, for every class in the registry (docs/architecture.md
 * §3): reset values, write masks, save and load, hostile snapshots, random accesses in spells,
 * idempotent update, and no state outside the rows.
 *
 * OSTLER_FREE=class[,class] runs only these; OSTLER_SEED=n repeats a run whose seed was printed when
 * it failed, 0 takes a new one each time (for long runs by hand: a run that everybody depends on is
 * the same each time); OSTLER_ACTS=n is the number of random accesses for each class.
 */
#include "tests/hw/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/drive.h"
#include "char/char.h"
#include "core/clock.h"
#include "hw/layout.h"
#include "tests/hw/free-host.h"

static uint64_t seed;
enum { BUILT_IN_SEED = 20261123 };

/* xorshift64*: quick, and the same everywhere */
static uint64_t rnd(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(2685821657736338717);
}
static unsigned below(unsigned n)
{
    return n ? (unsigned)(rnd() >> 33) % n : 0;
}

#define FAIL_IF(cond, d, ...)                                                                      \
    do {                                                                                           \
        if (cond) {                                                                                \
            fprintf(stderr, "%s (seed %" PRIu64 "): ", (d)->class->name, first_seed);              \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            ck_abort_msg("free test failed, see above");                                           \
        }                                                                                          \
    } while (0)
static uint64_t first_seed;

/* ---- Snapshots as a list of values ---- */

typedef struct Saved {
    const char *name;
    unsigned i;
    uint64_t value;
} Saved;

static void collect(void *arg, const char *name, unsigned i, uint64_t value)
{
    Saved s = {name, i, value};
    g_array_append_val((GArray *)arg, s);
}

static GArray *save(const Device *d)
{
    GArray *a = g_array_new(FALSE, FALSE, sizeof(Saved));
    device_save(d, collect, a);
    return a;
}

static bool same_saved(const GArray *a, const GArray *b, const char **which)
{
    for (unsigned i = 0; i < MAX(a->len, b->len); i++) {
        const Saved *x = i < a->len ? &g_array_index(a, Saved, i) : NULL;
        const Saved *y = i < b->len ? &g_array_index(b, Saved, i) : NULL;
        if (!x || !y || strcmp(x->name, y->name) || x->i != y->i || x->value != y->value) {
            *which = x ? x->name : y->name;
            return false;
        }
    }
    return true;
}

static uint64_t pin_levels(const Device *d)
{
    uint64_t levels = 0;
    for (unsigned n = 0; n < d->layout->n; n++) {
        const Cell *c = &d->layout->cells[n];
        for (unsigned i = 0; c->row->kind == ROW_PIN && i < c->row->count; i++) {
            levels = levels * 3 + ((Irq *)row_field(c->row, cell_base(d, c), i))->level;
        }
    }
    return levels;
}

/* ---- Bytes that no row owns ---- */

static uint8_t *unowned_bytes(const Device *d)
{
    uint8_t *map = g_malloc(d->class->size);
    memset(map, 1, d->class->size);
    memset(map, 0, sizeof(Device));
    for (unsigned i = 0; i < d->layout->n_members; i++) {
        const Member *m = &d->layout->members[i];
        if (m->is_part && !m->class->plain) {
            memset(map + m->base, 0, sizeof(Device));
        }
    }
    for (unsigned n = 0; n < d->layout->n; n++) {
        const Cell *c = &d->layout->cells[n];
        const Row *r = c->row;
        for (unsigned i = 0; r->stored && i < r->count; i++) {
            memset(map + c->base + r->field + (size_t)i * row_stride(r), 0, r->size);
        }
    }
    return map;
}

static void check_hidden(const Device *d, const uint8_t *unowned, const uint8_t *before)
{
    for (size_t i = 0; i < d->class->size; i++) {
        FAIL_IF(unowned[i] && ((const uint8_t *)d)[i] != before[i], d,
                "hidden state: byte %zu of the struct changed and belongs to no row", i);
    }
}

/* ---- Making one ---- */

static Device *make(const DeviceClass *class)
{
    g_autoptr(GError) error = NULL;
    Device *d = free_host_device(class, &error);
    if (!d) {
        fprintf(stderr, "%s: %s\n", class->name, error->message);
        ck_abort_msg("cannot be made for the free tests");
    }
    return d;
}

static void drop(Device *d)
{
    free_host_drop(d);
}

/* ---- The tests ---- */

static void test_reset_values(Device *d)
{
    g_autoptr(GArray) a = save(d);
    for (unsigned i = 0; i < 2000; i++) {
        unsigned space = below(REG_SPACES);
        if (d->layout->space[space].extent) {
            device_write(d, space, below(d->layout->space[space].extent), 1u << below(3), rnd());
        }
    }
    free_host_calm(d);
    device_reset(d, true);
    free_host_calm(d);
    g_autoptr(GArray) b = save(d);
    const char *which = "";
    for (unsigned i = 0; i < a->len && i < b->len; i++) { /* times may differ: the clock went on */
        Saved *x = &g_array_index(a, Saved, i), *y = &g_array_index(b, Saved, i);
        const Cell *c = layout_find(d->layout, x->name);
        bool time = c->row->kind == ROW_TIMER || c->row->type == TYPE_INT;
        FAIL_IF(strcmp(x->name, y->name) || (!time && x->value != y->value), d,
                "power-on reset leaves '%s' [%u] at %" PRIx64 ", it was %" PRIx64 " when new",
                y->name, y->i, y->value, x->value);
    }
    FAIL_IF(a->len != b->len, d, "power-on reset changes which state exists (%s)", which);
}

static void test_idempotent_update(Device *d)
{
    device_settle(d); /* time may have gone on since the last one */
    g_autoptr(GArray) a = save(d);
    uint64_t pins = pin_levels(d);
    device_settle(d);
    g_autoptr(GArray) b = save(d);
    const char *which = "";
    FAIL_IF(!same_saved(a, b, &which), d, "a second update changes '%s'", which);
    FAIL_IF(pins != pin_levels(d), d, "a second update changes a pin");
}

/* Bits that no mask allows must not change, whatever is written; rows with a hook are held to that
 * as well. */
static void test_write_masks(Device *d)
{
    for (unsigned n = 0; n < d->layout->n; n++) {
        const Cell *c = &d->layout->cells[n];
        const Row *r = c->row;
        if (r->kind != ROW_REG || !r->stored || r->ro || r->on_write || r->bank.mask ||
            r->lock.mask || r->mask.size || r->select.size || r->live.size || r->count != 1 ||
            r->size > 8) {
            continue;
        }
        void *field = row_field(r, cell_base(d, c), 0);
        for (unsigned k = 0; k < 4; k++) {
            uint64_t old = load_le(field, r->size), v = k == 0 ? 0 : k == 1 ? UINT64_MAX : rnd();
            uint64_t expect = ((old & ~r->rw) | (v & r->rw)) & ~(v & r->w1c);
            expect |= v & r->w1s;
            expect &= size_mask(r->size);
            device_write_raw(d, c->space, c->at, r->size, v & size_mask(r->size));
            uint64_t got = load_le(field, r->size);
            FAIL_IF(got != expect, d,
                    "register '%s': %" PRIx64 " written over %" PRIx64 " gives %" PRIx64
                    " and not %" PRIx64,
                    c->name, v & size_mask(r->size), old, got, expect);
            store_le(field, r->size, old);
        }
    }
    device_settle(d);
}

static void test_save_load(Device *d, const DeviceClass *class)
{
    free_host_calm(d);
    Device *e = make(class);
    free_host_calm(e);
    g_autoptr(GArray) a = save(d);
    free_host_watch_messages(true);
    device_load_begin(e);
    for (unsigned i = 0; i < a->len; i++) {
        Saved *s = &g_array_index(a, Saved, i);
        g_autoptr(GError) error = NULL;
        FAIL_IF(!device_load(e, s->name, s->i, s->value, &error), d,
                "cannot load what it saved: %s", error->message);
    }
    device_loaded(e);
    FAIL_IF(free_host_watch_messages(false), d, "loading sends a message");
    g_autoptr(GArray) b = save(e);
    const char *which = "";
    FAIL_IF(!same_saved(a, b, &which), d, "save, load, save: '%s' differs", which);
    FAIL_IF(pin_levels(d) != pin_levels(e), d, "pins differ after loading");
    drop(e);
}

static void random_access(Device *d, unsigned space, unsigned at, bool write)
{
    unsigned size = 1u << below(4);
    if (write) {
        static const uint64_t likely[] = {0, 1, 0xff, 0x80, 0x55, UINT64_MAX};
        uint64_t v = below(3) ? rnd() >> below(64) : likely[below(G_N_ELEMENTS(likely))];
        device_write(d, space, at, size, v & size_mask(size));
    } else {
        device_read(d, space, at, size);
    }
}

static void advance(void)
{
    static const int64_t steps[] = {1, 1000, 100000, NS_PER_MS, 10 * NS_PER_MS, 100 * NS_PER_MS};
    bench_advance(steps[below(G_N_ELEMENTS(steps))]);
}

/* One act of a hostile guest, or of time, or of the outside world. */
static void act(Device *d, unsigned mood, unsigned hammered_space, unsigned hammered)
{
    unsigned space, tries = 0;
    do {
        space = below(REG_SPACES);
    } while (!d->layout->space[space].extent && ++tries < 64);
    unsigned extent = d->layout->space[space].extent;
    switch (mood) {
    case 0:
        extent ? random_access(d, space, below(extent + 4), below(8) == 0) : device_settle(d);
        break;
    case 1:
        extent ? random_access(d, space, below(extent + 4), below(8) != 0) : device_settle(d);
        break;
    case 2: random_access(d, hammered_space, hammered, below(2)); break;
    case 3: free_host_stimulate(d, rnd()); break;
    default:
        if (below(64) == 0) {
            advance();
        } else if (below(4096) == 0) {
            free_host_calm(d);
            device_reset(d, below(2));
        } else if (extent) {
            random_access(d, space, below(extent + 4), below(2));
        }
    }
}

static void test_random(Device *d, unsigned acts)
{
    g_autofree uint8_t *unowned = unowned_bytes(d);
    g_autofree uint8_t *before = g_memdup2(d, d->class->size);
    unsigned mood = 0, space = 0, at = 0;
    for (unsigned i = 0; i < acts; i++) {
        if (i % 500 == 0) {
            mood = below(5);
            space = below(REG_SPACES);
            for (unsigned t = 0; t < 64 && !d->layout->space[space].extent; t++) {
                space = below(REG_SPACES);
            }
            at = below(d->layout->space[space].extent);
            free_host_block(below(3) == 0);
        }
        act(d, mood, space, at);
        if (i % 20 == 0) {
            check_hidden(d, unowned, before);
        }
    }
    free_host_block(false);
    check_hidden(d, unowned, before);
}

/* Whatever a snapshot says, the device must stand it: load noise, then use it. */
static void test_hostile_snapshot(Device *d)
{
    free_host_calm(d);
    g_autoptr(GArray) a = save(d);
    for (unsigned round = 0; round < 40; round++) {
        device_load_begin(d);
        for (unsigned i = 0; i < a->len; i++) {
            Saved *s = &g_array_index(a, Saved, i);
            const Cell *c = layout_find(d->layout, s->name);
            uint64_t v = rnd() >> below(64);
            if (below(4)) {
                v &= size_mask(c->row->size);
                v = c->row->max ? v % (c->row->max + 1) : c->row->type == TYPE_BOOL ? v & 1 : v;
            }
            device_load(d, s->name, s->i, v, NULL); /* a refusal is fine */
        }
        for (unsigned n = 0; n < d->layout->n; n++) { /* elements beyond the ones that live now */
            const Cell *c = &d->layout->cells[n];
            if (c->row->live.size && c->row->kind == ROW_STATE) {
                device_load(d, c->name, below(c->row->count), rnd() & size_mask(c->row->size),
                            NULL);
            }
        }
        device_loaded(d);
        test_random(d, 1000);
        free_host_calm(d);
    }
    device_reset(d, true);
}

static const DeviceClass *current_class;
static unsigned current_acts;

START_TEST(free_tests)
{
    const DeviceClass *class = current_class;
    Device *d = make(class);
    test_reset_values(d);
    drop(d);
    d = make(class);
    test_write_masks(d);
    test_idempotent_update(d);
    for (unsigned round = 0; round < 10; round++) {
        test_random(d, current_acts / 10);
        free_host_calm(d);
        test_idempotent_update(d);
        test_save_load(d, class);
    }
    test_hostile_snapshot(d);
    drop(d);
}
END_TEST

int main(void)
{
    const char *only = g_getenv("OSTLER_FREE"), *fixed = g_getenv("OSTLER_SEED"),
               *acts = g_getenv("OSTLER_ACTS");
    g_auto(GStrv) wanted = only ? g_strsplit(only, ",", -1) : NULL;
    first_seed = fixed ? g_ascii_strtoull(fixed, NULL, 0) : BUILT_IN_SEED;
    if (!first_seed) {
        first_seed = (uint64_t)g_get_real_time() | 1;
    }
    current_acts = acts ? (unsigned)atoi(acts) : 2000000;
    int failed = 0;
    for (const DeviceClass *const *c = device_classes; *c; c++) {
        if ((*c)->abstract || (*c)->plain ||
            (wanted && !g_strv_contains((const char *const *)wanted, (*c)->name)) ||
            free_host_skips(*c)) {
            continue;
        }
        seed = first_seed;
        current_class = *c;
        const BenchCase one = {(*c)->name, free_tests};
        failed |= bench_main((*c)->name, &one, 1);
    }
    return failed;
}
