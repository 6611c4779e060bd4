#include "tests/unit/debug-bench.h"

#include <unistd.h>

// clang-format off
#define BODY_MARKS(X, g) X(g, start) X(g, loop) X(g, load) X(g, stos) X(g, cross) X(g, behind) X(g, flags) X(g, int) \
    X(g, int_end) X(g, ud) X(g, ud_end) X(g, change) X(g, store) X(g, locked) X(g, handler) X(g, invalid) X(g, irq)
GUEST(real) GUEST(protected) GUEST(long)
BODY_MARKS(MARK, real) BODY_MARKS(MARK, protected) BODY_MARKS(MARK, long)
// clang-format on

/* ---- Where things are ---- */

#define PLACES(guest, base)                                                                                            \
    {                                                                                                                  \
        base + PLACE_OF(guest, start), base + PLACE_OF(guest, loop), base + PLACE_OF(guest, load),                     \
            base + PLACE_OF(guest, stos), base + PLACE_OF(guest, cross), base + PLACE_OF(guest, behind),               \
            base + PLACE_OF(guest, flags), base + PLACE_OF(guest, int), base + PLACE_OF(guest, int_end),               \
            base + PLACE_OF(guest, ud), base + PLACE_OF(guest, ud_end), base + PLACE_OF(guest, change),                \
            base + PLACE_OF(guest, store), base + PLACE_OF(guest, locked), PLACE_OF(guest, handler),                   \
            PLACE_OF(guest, invalid), PLACE_OF(guest, irq)                                                             \
    }

Body bodies[BODIES];

void set_bodies(void)
{
    bodies[0] = (Body){guest_real, guest_real_end, 0, 0x7ffa, PLACES(real, 0)};
    bodies[1] = (Body){guest_protected, guest_protected_end, 0, 0x7ff4, PLACES(protected, 0)};
    bodies[2] = (Body){guest_long, guest_long_end, ALIAS, 0x7fd8, PLACES(long, ALIAS)};
}

const char *const accels_tried[ACCELS] = {"tcg", "kvm"};

bool begin(const char *options, unsigned cpus)
{
    if (g_str_has_prefix(options, "kvm") && access("/dev/kvm", R_OK | W_OK) < 0) {
        return false;
    }
    set_bodies();
    start_machine(options, cpus);
    if (!accel->looks()) {
        stop_machine();
        return false;
    }
    return true;
}

const Body *begin_body(int i)
{
    return begin(accels_tried[i / BODIES], 1) ? &bodies[i % BODIES] : NULL;
}

void load_body(const Body *b)
{
    ram_write(ram, 0x1000, b->code, (size_t)(b->end - b->code));
}

void insert(DebugKind kind, uint64_t at, unsigned len)
{
    GError *error = NULL;
    ck_assert_msg(debug_insert(cpu_at(0), kind, at, len, &error), "%s", error ? error->message : "");
}

void go_on(void)
{
    debug_stop = (DebugStop){0};
    ck_assert(machine_continue(NULL));
    ck_assert_msg(stopped_in(RUN_DEBUG), "it does not stop: %s", runstate_name(runstate()));
    ck_assert_ptr_nonnull(debug_stop.cpu);
    cpu_sync(debug_stop.cpu);
}

uint64_t ip(void)
{
    return cpu_linear_ip(&cpu_at(0)->state);
}

void expect_break(uint64_t at)
{
    go_on();
    ck_assert_int_eq(debug_stop.why, DEBUG_STOP_BREAK);
    ck_assert_uint_eq(debug_stop.at, at);
    ck_assert_uint_eq(ip(), at);
}

void expect_watch(DebugKind kind, uint64_t touched, uint64_t behind)
{
    go_on();
    ck_assert_int_eq(debug_stop.why, DEBUG_STOP_WATCH);
    ck_assert_int_eq(debug_stop.kind, kind);
    ck_assert_uint_eq(debug_stop.at, touched);
    ck_assert_uint_eq(ip(), behind);
}

void step(void)
{
    ck_assert(debug_step(cpu_at(0), true, NULL));
    go_on();
    ck_assert_int_eq(debug_stop.why, DEBUG_STOP_STEP);
    ck_assert_uint_eq(debug_stop.at, ip());
    ck_assert(debug_step(cpu_at(0), false, NULL));
}

void finish(unsigned code)
{
    debug_remove_all();
    run_guest(code);
    stop_machine();
}

void step_over(DebugKind kind, uint64_t at)
{
    ck_assert(debug_remove(cpu_at(0), kind, at, 1, NULL));
    step();
    insert(kind, at, 1);
}

/* ---- Interrupts ---- */

bool irq_pending;

int give_irq(Cpu *c)
{
    if (!irq_pending) {
        return -1;
    }
    irq_pending = false;
    cpu_lower(c, CPU_EVENT_INTR);
    return 0x21;
}

void raise_irq(void)
{
    irq_pending = true;
    cpu_raise(cpu_at(0), CPU_EVENT_INTR);
}

bool begin_busy(int i)
{
    if (!begin(accels_tried[i], 1)) {
        return false;
    }
    cpu_platform.interrupt = give_irq;
    LOAD(busy, 0x1000);
    insert(DEBUG_SOFTWARE, PLACE_OF(busy, jump), 1);
    expect_break(PLACE_OF(busy, jump));
    debug_remove_all();
    return true;
}

/* ---- Trace points ---- */

unsigned hits[4];
uint64_t last_at;

static void count_hit(void *arg, Cpu *c, uint64_t at)
{
    ck_assert(loop_locked() && c == cpu_current());
    ck_assert(c->state_valid);
    ++*(unsigned *)arg;
    last_at = at;
}

unsigned trace(DebugKind kind, uint64_t at, unsigned len, unsigned *counted)
{
    unsigned id;
    GError *error = NULL;
    const DebugTrace t = {.kind = kind, .at = at, .len = len, .hit = count_hit, .arg = counted};
    ck_assert_msg(debug_trace_insert(&t, &id, &error), "%s", error ? error->message : "");
    return id;
}
