/* One CPU at a time has the turn, for a slice of instructions or until it halts; then the next in order that can run has it.
 * Which one that is follows from the state of the machine, never from which host thread wakes first.  The one with the turn also
 * moves the clock: timers fire between two of its instructions, at the count they were set for. */
#include "accel/soft/icount.h"

#include <string.h>

#include "accel/soft/debug.h"
#include "accel/soft/uop.h"
#include "core/clock.h"
#include "core/keyval.h"
#include "core/loop.h"

enum { SLICE = 20000, LONGEST = 1 << 24, MAX_SHIFT = 10, AUTO_SHIFT = 3, SINGLY = 64 };

bool icount_on;
static bool automatic, sleeps = true;
static unsigned shift = AUTO_SHIFT;

static GMutex turn_mutex;               /* guards `turn`; held for moments, never while taking the main lock */
static GCond turn_changed;
static Cpu *turn;                       /* the CPU that may run; NULL: the first */

/* Owned by whoever has the turn: the clock was base_ns when `total` instructions had been executed. */
static int64_t base_ns;
static uint64_t total;
static __thread bool advancing;         /* timers are being run: each at its own time */

/* ---- The option ---- */

static bool parse_shift(const char *text, GError **error)
{
    guint64 n = 0;
    automatic = !g_strcmp0(text, "auto");
    if (!text || (!automatic && !g_ascii_string_to_unsigned(text, 10, 0, MAX_SHIFT, &n, NULL))) {
        return error_fail(error, "-icount: shift=%s, expected: a number from 0 to %d, or auto", text ? text : "", MAX_SHIFT);
    }
    shift = automatic ? AUTO_SHIFT : (unsigned)n;
    return true;
}

static bool parse_switch(const char *key, const char *text, bool *value, GError **error)
{
    if (text && strcmp(text, "on") && strcmp(text, "off")) {
        return error_fail(error, "-icount: %s=%s, expected: on or off", key, text);
    }
    *value = text ? !strcmp(text, "on") : *value;
    return true;
}

bool icount_option(const char *text, GError **error)
{
    g_autoptr(KeyVal) kv = keyval_parse(text, "shift", error);
    if (!kv) {
        return false;
    }
    g_autofree char *shift_text = keyval_take(kv, "shift"), *sleep_text = keyval_take(kv, "sleep");
    g_autofree char *align_text = keyval_take(kv, "align"), *rr = keyval_take(kv, "rr");
    bool align = false;
    if (rr) {
        return error_fail(error, "-icount: rr=%s: record and replay is not part of this version", rr);
    }
    if (!parse_shift(shift_text, error) || !parse_switch("sleep", sleep_text, &sleeps, error) ||
        !parse_switch("align", align_text, &align, error)) {
        return false;
    }
    if (align) {
        return error_fail(error, "-icount: align=on is not part of this version; sleep=on keeps an idle guest in step");
    }
    if (automatic && !sleeps) {
        return error_fail(error, "-icount: shift=auto follows real time, which sleep=off leaves; give a number");
    }
    if (kv->items->len) {
        return error_fail(error, "-icount: unknown parameter '%s', expected: shift, sleep, align",
                          g_array_index(kv->items, KeyValue, 0).key);
    }
    icount_on = true;
    return true;
}

/* ---- Time ---- */

uint64_t icount_executed(const SoftCpu *s)
{
    unsigned ahead = s->in_block && s->counted && s->cur ? s->block->insns - s->cur->aux : 0;
    return s->count - ahead;
}

static int64_t time_of(uint64_t executed)
{
    return base_ns + (int64_t)((executed) << shift);
}

/* What the clock shows to the CPU that runs; everybody else sees when it last stood still. */
static bool running_now(int64_t *ns)
{
    Cpu *c = cpu_current();
    if (advancing || !c || !c->accel || !soft_cpu(c)->in_turn) {
        return false;
    }
    *ns = time_of(icount_executed(soft_cpu(c)) - soft_cpu(c)->turn_start);
    return true;
}

/* With the main lock. */
static void advance_to(int64_t ns)
{
    advancing = true;
    clock_advance_to(ns);
    advancing = false;
}

/* What was executed since turn_start becomes time that has passed. */
static void account(SoftCpu *s)
{
    uint64_t n = s->count - s->turn_start;
    total += n;
    base_ns = clock_held() ? base_ns : time_of(n);
    s->turn_start = s->count;
    loop_lock();
    advance_to(base_ns);
    loop_unlock();
}

/* shift=auto: real time passes as fast as the guest's, give or take: looked at ten times a second of the host's. */
static void adapt(void)
{
    static int64_t last_real, last_virtual;
    int64_t real = clock_now(CLOCK_RT), gone = real - last_real;
    if (gone < NS_PER_SECOND / 10) {
        return;
    }
    int64_t virtual_gone = base_ns - last_virtual;
    if (last_real && virtual_gone > gone + gone / 2 && shift > 0) {
        shift--;
    } else if (last_real && virtual_gone < gone / 2 && shift < MAX_SHIFT) {
        shift++;
    }
    last_real = real;
    last_virtual = base_ns;
}

void icount_start(void)
{
    clock_manual();
    clock_manual_now = running_now;
    base_ns = clock_now(CLOCK_VIRTUAL);
}

/* ---- Turns ---- */

static bool can_run(const Cpu *c)
{
    unsigned events = atomic_load(&c->events);
    if (atomic_load(&c->held)) {
        return false;
    }
    if (events & (CPU_EVENT_RESET | CPU_EVENT_INIT | CPU_EVENT_SIPI)) {
        return true;
    }
    if (c->wait_sipi) {
        return false;
    }
    bool told = soft_cpu((Cpu *)c)->singly & SINGLY_NO_IRQ; /* it is stepped: that it is halted is said at once */
    return !c->halted || told || events & (CPU_EVENT_NMI | CPU_EVENT_SMI | CPU_EVENT_MCE) ||
           (events & CPU_EVENT_INTR && c->state.rflags & FLAG_IF);
}

/* From `turn` on, or the one behind it.  With turn_mutex.  False: everybody sleeps. */
static bool pass_turn(bool from_next)
{
    unsigned at = cpu_position(turn);
    for (unsigned i = from_next; i < cpu_count() + from_next; i++) {
        Cpu *candidate = cpu_at((at + i) % cpu_count());
        if (can_run(candidate)) {
            if (candidate != turn) {
                turn = candidate;
                g_cond_broadcast(&turn_changed);
            }
            return true;
        }
    }
    return false;
}

void icount_wake(void)
{
    g_mutex_lock(&turn_mutex);
    g_cond_broadcast(&turn_changed);
    g_mutex_unlock(&turn_mutex);
}

void icount_forget(const Cpu *c)
{
    g_mutex_lock(&turn_mutex);
    if (turn == c) {
        turn = NULL;
    }
    g_mutex_unlock(&turn_mutex);
}

typedef enum Turn { TURN_MINE, TURN_KICKED, TURN_ASLEEP /* nobody can run */, TURN_SLEEP /* others can, this one not */ } Turn;

static Turn wait_turn(SoftCpu *s)
{
    Turn result;
    g_mutex_lock(&turn_mutex);
    for (;;) {
        if (atomic_load(&s->cpu.kicked)) {
            result = TURN_KICKED;
            break;
        }
        if (!pass_turn(false)) {
            if (!turn || atomic_load(&turn->held)) { /* it cannot even wait for a timer */
                turn = &s->cpu;
            }
            result = turn == &s->cpu ? TURN_ASLEEP : TURN_SLEEP;
            break;
        }
        if (turn == &s->cpu) {
            result = TURN_MINE;
            break;
        }
        if (!can_run(&s->cpu)) {
            result = TURN_SLEEP;
            break;
        }
        g_cond_wait(&turn_changed, &turn_mutex);
    }
    g_mutex_unlock(&turn_mutex);
    return result;
}

/* Nobody can run: the next timer decides.  False: there is none. */
static bool idle(SoftCpu *s)
{
    loop_lock();
    int64_t deadline = clock_next_deadline(CLOCK_VIRTUAL), now = base_ns;
    loop_unlock();
    if (deadline == TIMER_OFF || clock_held()) {
        return false;
    }
    if (sleeps && deadline > now) {
        gint64 until = g_get_monotonic_time() + (deadline - now + 999) / 1000;
        g_mutex_lock(&turn_mutex);
        bool woken = false;
        while (!woken && !atomic_load(&s->cpu.kicked) && !can_run(&s->cpu)) {
            woken = !g_cond_wait_until(&turn_changed, &turn_mutex, until);
        }
        g_mutex_unlock(&turn_mutex);
        if (!woken) {
            return true; /* somebody else ended it: the clock stands where it stood */
        }
    }
    base_ns = MAX(base_ns, deadline);
    loop_lock();
    advance_to(base_ns);
    loop_unlock();
    return true;
}

/* Up to the next timer, but no longer than the slice where others wait. */
static int64_t budget(SoftCpu *s)
{
    loop_lock();
    int64_t deadline = clock_next_deadline(CLOCK_VIRTUAL);
    loop_unlock();
    int64_t n = LONGEST;
    if (deadline != TIMER_OFF) {
        int64_t ns = MAX(deadline - base_ns, 0);
        n = MIN(n, (ns >> shift) + ((ns & ((1 << shift) - 1)) != 0));
    }
    if (cpu_count() > 1) {
        n = MIN(n, (int64_t)s->slice_left);
    }
    return MAX(n, 1);
}

SoftExit icount_run(SoftCpu *s)
{
    for (;;) {
        switch (wait_turn(s)) {
        case TURN_KICKED: return SOFT_WANTED;
        case TURN_SLEEP: return SOFT_HALTED;
        case TURN_ASLEEP:
            if (!idle(s)) {
                return SOFT_HALTED;
            }
            continue;
        case TURN_MINE: break;
        }
        if (!s->slice_left) {
            s->slice_left = SLICE;
        }
        s->left = budget(s);
        s->short_budget = SINGLY;
        s->turn_start = s->count;
        s->in_turn = true;
        SoftExit e = soft_execute(s);
        s->in_turn = false;
        uint64_t n = s->count - s->turn_start;
        account(s);
        s->slice_left = n < s->slice_left ? s->slice_left - (unsigned)n : 0;
        if (automatic) {
            adapt();
        }
        if (e == SOFT_HALTED || (e == SOFT_COUNTED && !s->slice_left)) {
            s->slice_left = 0;
            g_mutex_lock(&turn_mutex);
            pass_turn(true);
            g_mutex_unlock(&turn_mutex);
        }
        if (e != SOFT_COUNTED && e != SOFT_HALTED) {
            return e;
        }
    }
}

void icount_print(GString *out)
{
    g_string_append_printf(out, "instructions: %" G_GUINT64_FORMAT ", clock: %" G_GINT64_FORMAT " ns, shift: %u%s\n", total,
                           base_ns, shift, automatic ? " (auto)" : "");
}
