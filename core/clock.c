#include "core/clock.h"

#include <assert.h>
#include <glib.h>
#include <stdatomic.h>
#include <time.h>

#include "core/loop.h"

/* While running: virtual = monotonic + offset.  While stopped or manual: virtual = frozen. */
static atomic_int_fast64_t virtual_offset, virtual_frozen;
static atomic_bool virtual_running;
static bool manual;
static atomic_bool held;
static bool started; /* by clock_start, whether or not it is held */
bool (*clock_manual_now)(int64_t *ns);

/* A binary min-heap of timers for each clock; slot 0 is unused so that Timer.slot 0 means "not
 * queued". */
typedef struct Heap {
    Timer **slots;
    uint32_t n, room;
} Heap;
static Heap heaps[CLOCK_TYPES];

static int64_t host_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

int64_t clock_now(ClockType type)
{
    switch (type) {
    case CLOCK_VIRTUAL:
        if (atomic_load_explicit(&virtual_running, memory_order_acquire)) {
            return host_ns(CLOCK_MONOTONIC) +
                   atomic_load_explicit(&virtual_offset, memory_order_relaxed);
        }
        int64_t now;
        if (clock_manual_now && clock_manual_now(&now)) {
            return now;
        }
        return atomic_load_explicit(&virtual_frozen, memory_order_relaxed);
    case CLOCK_RT: return host_ns(CLOCK_MONOTONIC);
    default: return host_ns(CLOCK_REALTIME);
    }
}

static void clock_go(void)
{
    if (started && !held && !manual && !virtual_running) {
        virtual_offset = virtual_frozen - host_ns(CLOCK_MONOTONIC);
        atomic_store_explicit(&virtual_running, true, memory_order_release);
        loop_wake();
    }
}

static void clock_freeze(void)
{
    if (virtual_running) {
        virtual_frozen = clock_now(CLOCK_VIRTUAL);
        atomic_store_explicit(&virtual_running, false, memory_order_release);
    }
}

void clock_start(void)
{
    started = true;
    clock_go();
}

void clock_stop(void)
{
    started = false;
    clock_freeze();
}

void clock_hold(bool hold)
{
    atomic_store(&held, hold);
    if (hold) {
        clock_freeze();
    } else {
        clock_go();
    }
}

bool clock_held(void)
{
    return atomic_load(&held);
}

bool clock_running(void)
{
    return virtual_running;
}

void clock_set_virtual(int64_t ns)
{
    virtual_frozen = ns;
    virtual_offset = ns - host_ns(CLOCK_MONOTONIC);
}

void clock_manual(void)
{
    clock_stop();
    manual = true;
}

bool clock_is_manual(void)
{
    return manual;
}

/* ---- Timers ---- */

static void heap_put(Heap *h, uint32_t slot, Timer *t)
{
    h->slots[slot] = t;
    t->slot = slot;
}

static void heap_up(Heap *h, uint32_t slot)
{
    Timer *t = h->slots[slot];
    while (slot > 1 && h->slots[slot / 2]->at > t->at) {
        heap_put(h, slot, h->slots[slot / 2]);
        slot /= 2;
    }
    heap_put(h, slot, t);
}

static void heap_down(Heap *h, uint32_t slot)
{
    Timer *t = h->slots[slot];
    while (slot * 2 <= h->n) {
        uint32_t child = slot * 2;
        if (child < h->n && h->slots[child + 1]->at < h->slots[child]->at) {
            child++;
        }
        if (h->slots[child]->at >= t->at) {
            break;
        }
        heap_put(h, slot, h->slots[child]);
        slot = child;
    }
    heap_put(h, slot, t);
}

void timer_init(Timer *t, ClockType clock, void (*fire)(void *arg), void *arg)
{
    *t = (Timer){.at = TIMER_OFF, .fire = fire, .arg = arg, .clock = clock};
}

static void heap_remove(Timer *t)
{
    Heap *h = &heaps[t->clock];
    uint32_t slot = t->slot;
    assert(h->slots[slot] == t);
    Timer *last = h->slots[h->n--];
    t->slot = 0;
    if (last != t) {
        heap_put(h, slot, last);
        heap_up(h, slot);
        heap_down(h, last->slot);
    }
}

void timer_off(Timer *t)
{
    t->at = TIMER_OFF;
    if (t->slot) {
        heap_remove(t);
    }
}

void timer_at(Timer *t, int64_t ns)
{
    if (ns == TIMER_OFF) {
        timer_off(t);
        return;
    }
    Heap *h = &heaps[t->clock];
    if (t->slot) {
        if (t->at == ns) {
            return;
        }
        t->at = ns;
        heap_up(h, t->slot);
        heap_down(h, t->slot);
    } else {
        t->at = ns;
        if (h->n + 1 >= h->room) {
            h->room = h->room ? h->room * 2 : 32;
            h->slots = g_renew(Timer *, h->slots, h->room);
        }
        heap_put(h, ++h->n, t);
        heap_up(h, t->slot);
    }
    if (t->slot == 1 && loop_current() != loop_main()) {
        loop_wake(); /* the main loop sleeps towards a later deadline */
    }
}

int64_t clock_next_deadline(ClockType type)
{
    return heaps[type].n ? heaps[type].slots[1]->at : TIMER_OFF;
}

static void fire_first(Heap *h)
{
    Timer *t = h->slots[1];
    heap_remove(t);
    t->at = TIMER_OFF;
    t->fire(t->arg);
}

void clock_advance_to(int64_t ns)
{
    Heap *h = &heaps[CLOCK_VIRTUAL];
    while (h->n && h->slots[1]->at <= ns) {
        if (h->slots[1]->at > virtual_frozen) {
            virtual_frozen = h->slots[1]->at;
        }
        fire_first(h);
    }
    if (ns > virtual_frozen) {
        virtual_frozen = ns;
    }
}

static bool clock_moves(ClockType type)
{
    return type != CLOCK_VIRTUAL || virtual_running;
}

void clock_run_due(void)
{
    for (ClockType type = 0; type < CLOCK_TYPES; type++) {
        Heap *h = &heaps[type];
        if (!h->n || !clock_moves(type)) {
            continue;
        }
        /* A timer that sets itself into the past again waits for the next round: descriptors get
         * their turn. */
        int64_t limit = clock_now(type);
        for (unsigned rounds = 0; h->n && h->slots[1]->at <= limit && rounds < 1000; rounds++) {
            fire_first(h);
        }
    }
}

int64_t clock_wait_ns(void)
{
    int64_t best = -1;
    for (ClockType type = 0; type < CLOCK_TYPES; type++) {
        if (heaps[type].n && clock_moves(type)) {
            int64_t left = heaps[type].slots[1]->at - clock_now(type);
            left = left > 0 ? left : 0;
            if (best < 0 || left < best) {
                best = left;
            }
        }
    }
    return best;
}
