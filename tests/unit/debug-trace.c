/* Guest debugging: trace points, several processors, counted instructions, and how KVM does it by itself. */
#include <string.h>
#include <unistd.h>

#include "accel/soft/icount.h"
#include "core/clock.h"
#include "tests/unit/debug-bench.h"

GUEST(other)
GUEST(fwait)

/* ---- Trace points ---- */

START_TEST(trace_points)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    memset(hits, 0, sizeof(hits));
    trace(DEBUG_SOFTWARE, b->at.loop, 1, &hits[0]);
    trace(DEBUG_SOFTWARE, b->at.store, 1, &hits[1]);
    unsigned id = trace(DEBUG_HARDWARE, b->at.stos, 1, &hits[2]);
    trace(DEBUG_WATCH_WRITE, 0x3000, 4, &hits[3]);
    load_body(b);
    insert(DEBUG_SOFTWARE, b->at.loop, 1); /* both */
    expect_break(b->at.loop);
    ck_assert_uint_eq(hits[0], 1);
    debug_remove_all(); /* they stay */
    run_guest(1);
    ck_assert_uint_eq(hits[0], LOOPS);
    ck_assert_uint_eq(hits[1], 2);
    ck_assert_uint_eq(hits[2], 1);
    ck_assert_uint_eq(hits[3], LOOPS + 1);
    ck_assert(debug_trace_remove(id));
    ck_assert(!debug_trace_remove(id));
    stop_machine();
}
END_TEST

/* REP is one instruction, as often as it is left in between. */
START_TEST(trace_of_a_watched_repetition)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    memset(hits, 0, sizeof(hits));
    load_body(b);
    trace(DEBUG_SOFTWARE, b->at.stos, 1, &hits[0]);
    trace(DEBUG_WATCH_WRITE, 0x3110, 16, &hits[1]);
    run_guest(1);
    ck_assert_uint_eq(hits[0], 1);
    ck_assert_uint_eq(hits[1], 16);
    ck_assert_uint_eq(last_at, 0x311f);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_eq(peek(0x3100 + i, 1), 0x5a);
    }
    stop_machine();
}
END_TEST

static void move_on(void *arg, Cpu *c, uint64_t at)
{
    c->state.gpr[CPU_RCX] = 1;
    c->state.rflags |= FLAG_CF;
    c->state_dirty = true;
    ++*(unsigned *)arg;
}

START_TEST(trace_point_that_changes_registers)
{
    const Body *b = begin_body(_i);
    unsigned id;
    if (!b) {
        return;
    }
    memset(hits, 0, sizeof(hits));
    load_body(b);
    const DebugTrace t = {.kind = DEBUG_SOFTWARE, .at = b->at.load, .hit = move_on, .arg = &hits[0]};
    ck_assert(debug_trace_insert(&t, &id, NULL));
    run_guest(1);
    ck_assert_uint_eq(hits[0], 1);
    ck_assert_uint_eq(peek(0x3000, 4), 1);
    stop_machine();
}
END_TEST

START_TEST(trace_points_while_it_runs)
{
    if (!begin_busy(_i)) {
        return;
    }
    memset(hits, 0, sizeof(hits));
    ck_assert(machine_continue(NULL));
    for (unsigned i = 0; i < 20; i++) {
        unsigned id = trace(i % 2 ? DEBUG_WATCH_WRITE : DEBUG_SOFTWARE, i % 2 ? 0x3000 : PLACE_OF(busy, again), 4, &hits[0]);
        unsigned before = hits[0];
        for (unsigned tries = 0; hits[0] == before && tries < 1000; tries++) {
            wait_ms(1);
        }
        ck_assert_uint_gt(hits[0], before);
        ck_assert(debug_trace_remove(id));
        before = hits[0];
        wait_ms(1);
        ck_assert_uint_eq(hits[0], before);
    }
    stop_machine();
}
END_TEST

/* ---- Several processors ---- */

static bool begin_two(const char *options)
{
    if (!begin(options, 2)) {
        return false;
    }
    LOAD(busy, 0x1000);
    LOAD(other, 0x2000);
    Cpu *c = cpu_at(1);
    cpu_sync(c);
    c->sipi_vector = 2;
    cpu_start_at(c, 2);
    return true;
}

static bool moves(uint64_t at)
{
    uint64_t before = peek(at, 4);
    for (unsigned tries = 0; peek(at, 4) == before && tries < 20; tries++) {
        wait_ms(1);
    }
    return peek(at, 4) != before;
}

START_TEST(holds)
{
    if (!begin_two(accels_tried[_i])) {
        return;
    }
    ck_assert(machine_continue(NULL));
    ck_assert(moves(0x3000) && moves(0x3004));
    machine_stop(RUN_PAUSED);
    debug_hold(cpu_at(1), true);
    ck_assert(machine_continue(NULL));
    ck_assert(moves(0x3000));
    ck_assert(!moves(0x3004));
    cpu_sync(cpu_at(1)); /* of one that stands, while the others run */
    ck_assert_uint_lt(cpu_at(1)->state.rip, 8);
    machine_stop(RUN_PAUSED);
    debug_hold(cpu_at(1), false);
    debug_hold(cpu_at(0), true);
    ck_assert(machine_continue(NULL));
    ck_assert(!moves(0x3000));
    ck_assert(moves(0x3004));
    debug_remove_all(); /* while it runs: a debugger went away */
    ck_assert(moves(0x3000) && moves(0x3004));
    stop_machine();
}
END_TEST

START_TEST(reset_of_a_held_cpu)
{
    if (!begin_two(accels_tried[_i])) {
        return;
    }
    ck_assert(machine_continue(NULL));
    ck_assert(moves(0x3004));
    machine_stop(RUN_PAUSED);
    debug_hold(cpu_at(0), true);
    ck_assert(machine_continue(NULL));
    unsigned before = resets;
    machine_request_reset(CAUSE_HOST_UI);
    for (unsigned tries = 0; resets == before && tries < 1000; tries++) {
        wait_ms(1);
    }
    ck_assert_uint_ne(resets, before);
    ck_assert(!moves(0x3000));
    cpu_sync(cpu_at(0));
    ck_assert_uint_eq(cpu_at(0)->state.rip, 0xfff0);
    machine_stop(RUN_PAUSED);
    debug_hold(cpu_at(0), false);
    ck_assert(machine_continue(NULL));
    ck_assert(moves(0x3000));
    stop_machine();
}
END_TEST

/* Both meet one at the same time: one is told first, the other when the machine goes on; none is lost. */
START_TEST(two_at_once)
{
    unsigned met[2] = {0};
    if (!begin_two(accels_tried[_i])) {
        return;
    }
    insert(DEBUG_SOFTWARE, PLACE_OF(busy, jump), 1);
    insert(DEBUG_WATCH_WRITE, 0x3004, 4);
    /* A busy host may let one of them run for long before the other gets its turn. */
    for (unsigned i = 0; i < 100 || (i < 20000 && !(met[0] && met[1])); i++) {
        go_on();
        unsigned n = debug_stop.cpu->index;
        met[n]++;
        if (n == 0) {
            ck_assert_int_eq(debug_stop.why, DEBUG_STOP_BREAK);
            ck_assert(debug_remove(cpu_at(0), DEBUG_SOFTWARE, PLACE_OF(busy, jump), 1, NULL));
            debug_hold(cpu_at(1), true);
            step();
            debug_hold(cpu_at(1), false);
            insert(DEBUG_SOFTWARE, PLACE_OF(busy, jump), 1);
        }
    }
    ck_assert_uint_gt(met[0], 0);
    ck_assert_uint_gt(met[1], 0);
    ck_assert_uint_le(peek(0x3000, 4), met[0] + 1);
    ck_assert_uint_le(peek(0x3004, 4), met[1] + 1);
    stop_machine();
}
END_TEST

/* ---- Counted instructions ---- */

START_TEST(counted)
{
    GError *error = NULL;
    ck_assert(icount_option("shift=0,sleep=off", &error));
    if (!begin_two("tcg")) {
        return;
    }
    insert(DEBUG_SOFTWARE, PLACE_OF(busy, jump), 1);
    for (unsigned i = 0; i < 3; i++) {
        expect_break(PLACE_OF(busy, jump));
        int64_t before = clock_now(CLOCK_VIRTUAL);
        step_over(DEBUG_SOFTWARE, PLACE_OF(busy, jump));
        ck_assert_int_eq(clock_now(CLOCK_VIRTUAL), before);
    }
    debug_remove_all();
    debug_hold(cpu_at(1), true);
    ck_assert(machine_continue(NULL));
    uint64_t other = peek(0x3004, 4);
    ck_assert(moves(0x3000));
    ck_assert_uint_eq(peek(0x3004, 4), other);
    machine_stop(RUN_PAUSED);
    debug_hold(cpu_at(1), false);
    debug_hold(cpu_at(0), true);
    ck_assert(machine_continue(NULL));
    ck_assert(moves(0x3004));
    ck_assert(!moves(0x3000));
    stop_machine();
}
END_TEST

/* ---- KVM's own way ---- */

static bool begin_native(void)
{
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        return false;
    }
    set_bodies();
    start_machine(kvm_emulates() ? "kvm,rescue=off" : "kvm", 1);
    ck_assert(!accel->looks());
    return true;
}

/* INT3s are planted when there is memory, again when a loader has been by, and nobody but the guest sees them. */
START_TEST(planted)
{
    uint8_t byte;
    if (!begin_native()) {
        return;
    }
    load_body(&bodies[0]);
    uint64_t at = bodies[0].at.cross, hole = 0xd3000;
    insert(DEBUG_SOFTWARE, at, 1);
    insert(DEBUG_SOFTWARE, hole, 1); /* nothing there */
    ck_assert_uint_eq(peek(at, 1), 0xcc);
    ck_assert(debug_read(cpu_at(0), at, &byte, 1));
    ck_assert_uint_eq(byte, bodies[0].code[at - 0x1000]);
    byte = 0x90;
    ck_assert(debug_write(cpu_at(0), at, &byte, 1));
    ck_assert_uint_eq(peek(at, 1), 0xcc);
    load_body(&bodies[0]);
    ck_assert_uint_ne(peek(at, 1), 0xcc);
    expect_break(at);
    ck_assert_uint_eq(peek(at, 1), 0xcc);
    ck_assert(debug_remove(cpu_at(0), DEBUG_SOFTWARE, hole, 1, NULL));
    finish(1);
}
END_TEST

START_TEST(four_registers)
{
    g_autoptr(GError) error = NULL;
    if (!begin_native()) {
        return;
    }
    insert(DEBUG_HARDWARE, 0x1000, 1);
    insert(DEBUG_WATCH_WRITE, 0x3000, 8);
    insert(DEBUG_WATCH_READ, 0x3008, 4);
    ck_assert(!debug_insert(cpu_at(0), DEBUG_WATCH_ACCESS, 0x3001, 2, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "aligned"));
    g_clear_error(&error);
    insert(DEBUG_WATCH_ACCESS, 0x3010, 1);
    ck_assert(!debug_insert(cpu_at(0), DEBUG_HARDWARE, 0x1001, 1, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "registers"));
    stop_machine();
}
END_TEST

START_TEST(native_trace_points)
{
    if (!begin_native()) {
        return;
    }
    memset(hits, 0, sizeof(hits));
    load_body(&bodies[0]);
    trace(_i ? DEBUG_HARDWARE : DEBUG_SOFTWARE, bodies[0].at.loop, 1, &hits[0]);
    trace(DEBUG_SOFTWARE, bodies[0].at.locked, 1, &hits[1]);
    run_guest(1);
    ck_assert_uint_eq(hits[0], LOOPS);
    ck_assert_uint_eq(hits[1], 1);
    ck_assert_uint_eq(peek(0x3000, 4), LOOPS);
    stop_machine();
}
END_TEST

/* Two processors come by all the time: none gets past unseen, and none waits for the other for ever. */
START_TEST(native_trace_points_of_two)
{
    const char *options = kvm_emulates() ? "kvm,rescue=off" : "kvm,kernel-irqchip=off";
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        return;
    }
    memset(hits, 0, sizeof(hits));
    start_machine(options, 2);
    LOAD(busy, 0x1000);
    LOAD(other, 0x2000);
    cpu_sync(cpu_at(1));
    cpu_start_at(cpu_at(1), 2);
    trace(DEBUG_SOFTWARE, PLACE_OF(busy, again), 1, &hits[0]);
    trace(DEBUG_SOFTWARE, 0x2000, 1, &hits[1]);
    ck_assert(machine_continue(NULL));
    for (unsigned tries = 0; (hits[0] < 50 || hits[1] < 50) && tries < 5000; tries++) {
        wait_ms(1);
    }
    machine_stop(RUN_PAUSED);
    ck_assert_uint_ge(hits[0], 50);
    ck_assert_uint_ge(hits[1], 50);
    ck_assert_uint_le(peek(0x3000, 4), hits[0]);
    ck_assert_uint_ge(peek(0x3000, 4) + 1, hits[0]);
    ck_assert_uint_le(peek(0x3004, 4), hits[1]);
    ck_assert_uint_ge(peek(0x3004, 4) + 1, hits[1]);
    ck_assert_uint_eq(peek(PLACE_OF(busy, again), 1), 0xcc);
    stop_machine();
}
END_TEST

/* Instructions that KVM fails at are the software CPU's: steps and trace points do not miss them, and INT3s over them are not
 * executed. */
START_TEST(rescued_instructions)
{
    enum { MOST = 200, OUT_AX = 0xe7 };
    static const char *const tried[] = {"tcg", "kvm", "kvm,kernel-irqchip=on"};
    uint64_t places[MOST];
    unsigned counts[MOST] = {0}, n = 0;
    if (_i && access("/dev/kvm", R_OK | W_OK) < 0) {
        return;
    }
    start_machine(tried[_i], 1);
    LOAD(fwait, 0x1000);
    insert(DEBUG_HARDWARE, 0x1000, 1);
    expect_break(0x1000);
    debug_remove_all();
    const CpuState before = cpu_at(0)->state;
    while (n < MOST && peek(ip(), 1) != OUT_AX) {
        places[n++] = ip();
        step();
        ck_assert_uint_ne(ip(), places[n - 1]);
    }
    ck_assert_uint_gt(n, 5);
    cpu_at(0)->state = before;
    cpu_at(0)->state_dirty = true;
    if (!accel->looks()) {
        n = 4; /* such a KVM does not exit at INT3, only for its registers, which double them */
    }
    for (unsigned i = 0; i < n; i++) {
        trace(DEBUG_SOFTWARE, places[i], 1, &counts[i]);
    }
    run_guest(1);
    for (unsigned i = 0; i < n; i++) {
        ck_assert_msg(counts[i] == 1, "%#lx: %u times", (unsigned long)places[i], counts[i]);
    }
    stop_machine();
}
END_TEST

int main(void)
{
    const Case cases[] = {
        CASE(trace_points, EACH),
        CASE(trace_of_a_watched_repetition, EACH),
        CASE(trace_point_that_changes_registers, EACH),
        CASE(trace_points_while_it_runs, ACCELS),
        CASE(holds, ACCELS),
        CASE(reset_of_a_held_cpu, ACCELS),
        CASE(two_at_once, ACCELS),
        CASE(counted, 1),
        CASE(planted, 1),
        CASE(four_registers, 1),
        CASE(native_trace_points, 2),
        CASE(native_trace_points_of_two, 1),
        CASE(rescued_instructions, 3),
    };
    return run_all_cases("debug-trace", cases, G_N_ELEMENTS(cases));
}
