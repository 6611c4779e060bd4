/* Breakpoints, watchpoints and steps of a debugger in the software CPU. */
#include "accel/soft/debug.h"

#include "accel/accel.h"
#include "accel/debug.h"
#include "accel/soft/tlb.h"
#include "accel/soft/uop.h"
#include "core/loop.h"

enum { HITS = 16 };                     /* points that one instruction touches, at most */

typedef struct Break {
    uint64_t at;
    bool stops;                         /* not only trace points */
} Break;

typedef struct Hit {
    DebugPoint point;
    uint64_t touched;
} Hit;

struct SoftDebug {
    GArray *breaks;                     /* of Break, by address */
    GArray *watches;                    /* of DebugPoint        */
    bool armed;                         /* a step has begun ... */
    uint64_t armed_at;                  /* ... here             */
    bool stepped;                       /* and is done          */
    bool met;                           /* a breakpoint at RIP  */
    bool passing;                       /* the trace points there ... */
    uint64_t pass;                      /* ... have been called */
    unsigned hits;
    Hit hit[HITS];
};

/* ---- Copies ---- */

static int compare(gconstpointer a, gconstpointer b)
{
    uint64_t x = ((const Break *)a)->at, y = ((const Break *)b)->at;
    return x < y ? -1 : x > y;
}

/* In order, and each address once. */
static void sort_breaks(GArray *breaks)
{
    unsigned n = 0;
    g_array_sort(breaks, compare);
    for (unsigned i = 0; i < breaks->len; i++) {
        Break b = g_array_index(breaks, Break, i), *last = n ? &g_array_index(breaks, Break, n - 1) : NULL;
        if (last && last->at == b.at) {
            last->stops |= b.stops;
        } else {
            g_array_index(breaks, Break, n++) = b;
        }
    }
    g_array_set_size(breaks, n);
}

static bool same_breaks(const GArray *a, const GArray *b)
{
    bool same = a->len == b->len;
    for (unsigned i = 0; same && i < a->len; i++) {
        const Break *x = &g_array_index(a, Break, i), *y = &g_array_index(b, Break, i);
        same = x->at == y->at && x->stops == y->stops;
    }
    return same;
}

static bool same_point(const DebugPoint *p, const DebugPoint *q)
{
    return p->kind == q->kind && p->at == q->at && p->len == q->len && p->trace == q->trace;
}

static bool same_watches(const GArray *a, const GArray *b)
{
    bool same = a->len == b->len;
    for (unsigned i = 0; same && i < a->len; i++) {
        same = same_point(&g_array_index(a, DebugPoint, i), &g_array_index(b, DebugPoint, i));
    }
    return same;
}

/* False: they are what they were. */
static bool copy_points(SoftDebug *d)
{
    g_autoptr(GArray) before = g_steal_pointer(&d->breaks), watched = g_steal_pointer(&d->watches);
    d->breaks = g_array_new(FALSE, FALSE, sizeof(Break));
    d->watches = g_array_new(FALSE, FALSE, sizeof(DebugPoint));
    for (unsigned i = 0; i < debug_count(); i++) {
        const DebugPoint *p = debug_point(i);
        if (debug_is_code(p->kind)) {
            Break b = {p->at, !p->trace};
            g_array_append_val(d->breaks, b);
        } else {
            g_array_append_val(d->watches, *p);
        }
    }
    sort_breaks(d->breaks);
    return !before || !same_breaks(before, d->breaks) || !same_watches(watched, d->watches);
}

void soft_debug_free(SoftCpu *s)
{
    SoftDebug *d = s->debug;
    s->debug = NULL;
    if (d) {
        g_array_unref(d->breaks);
        g_array_unref(d->watches);
        g_free(d);
    }
}

void soft_debug_apply(SoftCpu *s)
{
    bool step = debug_stepping(&s->cpu);
    if (!s->debug && !debug_wanted() && !step) {
        return;
    }
    if (!s->debug) {
        s->debug = g_new0(SoftDebug, 1);
    }
    s->singly &= SINGLY_STEP;
    s->singly |= step ? SINGLY_DEBUG | (debug_step_flags() & DEBUG_STEP_NOIRQ ? SINGLY_NO_IRQ : 0) : 0;
    s->debug->armed &= step;
    s->debug->stepped &= step;
    s->debug->passing &= cpu_linear_ip(&s->cpu.state) == s->debug->pass;
    if (copy_points(s->debug)) {
        block_flush(s);
        soft_tlb_flush(s, true);
    }
    if (!debug_wanted() && !step) {
        soft_debug_free(s);
    }
    soft_poll(s, POLL_DEBUG);
}

void soft_debug_moved(SoftCpu *s)
{
    SoftDebug *d = s->debug;
    if (d) {
        d->armed = d->stepped = d->met = false;
        d->passing &= cpu_linear_ip(&s->cpu.state) == d->pass;
        soft_poll(s, POLL_DEBUG);
    }
}

/* ---- Breakpoints ---- */

static uint64_t linear_of(const SoftCpu *s, uint64_t rip)
{
    return (s->mode & MODE_SIZE) == MODE_64 ? rip : (uint32_t)(s->cpu.state.seg[SEG_CS].base + rip);
}

static const Break *break_at(const SoftDebug *d, uint64_t linear)
{
    unsigned low = 0, high = d->breaks->len;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const Break *b = &g_array_index(d->breaks, Break, middle);
        if (b->at == linear) {
            return b;
        }
        if (b->at < linear) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

unsigned soft_debug_cut(const SoftCpu *s, const Insn *insns, unsigned n)
{
    for (unsigned k = 1; k < n; k++) {
        if (break_at(s->debug, linear_of(s, insns[k].rip))) {
            return k;
        }
    }
    return n;
}

/* Blocks of a code segment with a base are found by where they are in memory and by RIP, which may be another linear address
 * another time. */
bool soft_debug_block(const SoftCpu *s, uint64_t rip)
{
    const SoftDebug *d = s->debug;
    return d->breaks->len && (!(s->mode & MODE_FLAT_CODE) || break_at(d, rip));
}

bool soft_debug_enter(SoftCpu *s, const Block *b)
{
    SoftDebug *d = s->debug;
    uint64_t linear = linear_of(s, b->rip);
    if (!d) {
        return true;
    }
    if ((uint32_t)linear != b->linear && !(b->mode & MODE_SINGLE)) { /* its inner instructions were looked at elsewhere */
        s->singly |= SINGLY_ONCE;
        soft_poll(s, POLL_LEAVE);
        return false;
    }
    const Break *here = break_at(d, linear);
    bool passed = d->passing && d->pass == linear, first = d->armed && d->armed_at == linear;
    if (here && (!passed || (here->stops && !first))) {
        d->met = true;
        soft_poll(s, POLL_DEBUG);
        return false;
    }
    d->passing &= !passed;
    return true;
}

static void pass(SoftCpu *s, uint64_t linear)
{
    SoftDebug *d = s->debug;
    if (break_at(d, linear)) {
        d->passing = true;
        d->pass = linear;
    }
}

void soft_debug_told(SoftCpu *s)
{
    if (s->debug) {
        pass(s, cpu_linear_ip(&s->cpu.state));
    }
}

bool soft_debug_covered(const SoftCpu *s, uint64_t linear, uint8_t *own)
{
    if (!break_at(s->debug, linear)) {
        return false;
    }
    loop_lock();
    bool covered = debug_planted(linear, own);
    loop_unlock();
    return covered;
}

void soft_debug_unfinished(SoftCpu *s)
{
    pass(s, linear_of(s, s->insn_rip));
}

/* ---- Data ---- */

static bool meets(const DebugPoint *p, uint64_t first, uint64_t last)
{
    return p->at <= last && first <= p->at + p->len - 1;
}

static bool concerns(const DebugPoint *p, bool write)
{
    return p->kind == DEBUG_WATCH_ACCESS || (p->kind == DEBUG_WATCH_WRITE) == write;
}

bool soft_debug_page(const SoftCpu *s, uint64_t linear, bool store)
{
    const GArray *w = s->debug->watches;
    for (unsigned i = 0; i < w->len; i++) {
        const DebugPoint *p = &g_array_index(w, DebugPoint, i);
        /* The store table serves what reads and writes, too. */
        if ((store || concerns(p, false)) && meets(p, linear & ~UINT64_C(0xfff), linear | 0xfff)) {
            return true;
        }
    }
    return false;
}

bool soft_debug_watched(const SoftCpu *s, uint64_t linear, size_t len, bool write)
{
    const GArray *w = s->debug->watches;
    for (unsigned i = 0; i < w->len; i++) {
        const DebugPoint *p = &g_array_index(w, DebugPoint, i);
        if (concerns(p, write) && meets(p, linear, linear + len - 1)) {
            return true;
        }
    }
    return false;
}

void soft_debug_alone(SoftCpu *s)
{
    if (s->in_block && !(s->block->mode & MODE_SINGLE) && s->debug->watches->len) {
        pass(s, linear_of(s, s->insn_rip)); /* it was asked when the block began */
        s->singly |= SINGLY_ONCE;
        soft_restart(s);
    }
}

void soft_debug_expect(SoftCpu *s, uint64_t linear, size_t len, bool write)
{
    if (len && soft_debug_watched(s, linear, len, write)) {
        soft_debug_alone(s);
    }
}

static void note(SoftCpu *s, const DebugPoint *p, uint64_t touched)
{
    SoftDebug *d = s->debug;
    for (unsigned i = 0; i < d->hits; i++) {
        if (same_point(&d->hit[i].point, p)) {
            return;
        }
    }
    if (d->hits < HITS) {
        d->hit[d->hits++] = (Hit){*p, touched};
    }
    soft_poll(s, POLL_DEBUG | POLL_LEAVE);
}

void soft_debug_touch(SoftCpu *s, uint64_t linear, unsigned size, bool write)
{
    const GArray *w = s->debug->watches;
    for (unsigned i = 0; i < w->len; i++) {
        const DebugPoint *p = &g_array_index(w, DebugPoint, i);
        if (concerns(p, write) && meets(p, linear, linear + size - 1)) {
            soft_debug_alone(s);
            note(s, p, MAX(linear, p->at));
        }
    }
}

/* ---- The loop ---- */

static void done(SoftCpu *s)
{
    s->debug->stepped = true;
    soft_poll(s, POLL_DEBUG);
}

bool soft_debug_begin(SoftCpu *s)
{
    SoftDebug *d = s->debug;
    if (s->singly & SINGLY_DEBUG && d->armed && d->armed_at != cpu_linear_ip(&s->cpu.state)) {
        done(s);
        return false;
    }
    return true;
}

void soft_debug_end(SoftCpu *s)
{
    s->singly &= ~SINGLY_ONCE;
    if (s->singly & SINGLY_DEBUG) {
        done(s);
    }
}

void soft_debug_faulted(SoftCpu *s)
{
    s->debug->hits = 0;
}

bool soft_debug_halted(SoftCpu *s)
{
    if (!(s->singly & SINGLY_NO_IRQ)) {
        return false;
    }
    done(s);
    return soft_debug_serve(s);
}

/* With the main lock, and the state as everybody knows it.  Watched data first: it was the instruction before. */
static DebugMeeting tell(SoftCpu *s, SoftDebug *d)
{
    Cpu *c = &s->cpu;
    DebugMeeting all = DEBUG_GO_ON;
    unsigned kept = 0;
    for (unsigned i = 0; i < d->hits; i++) {
        const Hit h = d->hit[i];
        if (all != DEBUG_HALT || h.point.trace) { /* of those that stop, the first is told */
            DebugMeeting m = debug_meet_data(c, &h.point, h.touched);
            all = m == DEBUG_GO_ON ? all : m;
            if (m == DEBUG_LATER) {
                d->hit[kept++] = h;
            }
        }
    }
    d->hits = kept;
    if (d->stepped && all == DEBUG_GO_ON) {
        all = debug_meet_step(c);
    }
    if (d->met && all == DEBUG_GO_ON) {
        uint64_t at = cpu_linear_ip(&c->state);
        bool told = d->passing && d->pass == at;
        all = debug_meet_code(c, at, told, d->armed && d->armed_at == at);
        if (cpu_linear_ip(&c->state) == at) { /* a trace point may have moved it */
            pass(s, at);
        }
    }
    return all;
}

static void take_back(SoftCpu *s)
{
    Cpu *c = &s->cpu;
    if (c->state_dirty && s->is_guest) { /* KVM has nothing of it */
        soft_sync_in(s);
    } else if (c->state_dirty) {
        accel->flush(c);
    }
    c->state_dirty = c->state_valid = false;
}

bool soft_debug_serve(SoftCpu *s)
{
    Cpu *c = &s->cpu;
    SoftDebug *d = s->debug;
    bool stop = false;
    if (d && (d->hits || d->stepped || d->met)) {
        loop_lock();
        cpu_sync(c);
        borrow_leave(s);
        stop = tell(s, d) != DEBUG_GO_ON;
        d->stepped = d->met = false;
        d->armed &= !stop;
        take_back(s);
        loop_unlock();
        borrow_enter(s);
        soft_poll(s, stop ? POLL_DEBUG : 0); /* what is kept, and the next step */
    }
    if (d && !stop && s->singly & SINGLY_DEBUG && !d->armed) {
        d->armed = true;
        d->armed_at = cpu_linear_ip(&c->state);
    }
    return stop;
}
