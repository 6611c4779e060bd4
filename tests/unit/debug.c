/* Guest debugging without a debugger: breakpoints, watchpoints, steps, trace points and holds, in each accelerator and mode. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "accel/debug.h"
#include "accel/soft/icount.h"
#include "core/clock.h"
#include "tests/unit/kvm-bench.h"

#define MARK(guest, name) extern const uint8_t mark_##guest##_##name[] __asm__("guest_" #guest "." #name);
// clang-format off
#define BODY_MARKS(X, g) X(g, start) X(g, loop) X(g, load) X(g, stos) X(g, cross) X(g, behind) X(g, flags) X(g, int) X(g, int_end) \
    X(g, ud) X(g, ud_end) X(g, change) X(g, store) X(g, locked) X(g, handler) X(g, invalid) X(g, irq)
GUEST(real) GUEST(protected) GUEST(long) GUEST(accesses) GUEST(busy) GUEST(sleepy) GUEST(other)
BODY_MARKS(MARK, real) BODY_MARKS(MARK, protected) BODY_MARKS(MARK, long)
MARK(busy, again) MARK(busy, jump) MARK(busy, irq) MARK(sleepy, halt) MARK(sleepy, awake) MARK(sleepy, irq)
// clang-format on

/* ---- Where things are ---- */

typedef struct Body {
    const uint8_t *code, *end;
    uint64_t base;
    uint64_t pushed_ip; /* where INT n puts it */
    struct {
        uint64_t start, loop, load, stos, cross, behind, flags, int_n, int_end, ud, ud_end, change, store, locked, handler, invalid,
            irq;
    } at;
} Body;

#define PLACE_OF(guest, name) ((uint64_t)(mark_##guest##_##name - guest_##guest) + 0x1000)
#define PLACES(guest, base)                                                                                            \
    {                                                                                                                  \
        base + PLACE_OF(guest, start), base + PLACE_OF(guest, loop), base + PLACE_OF(guest, load),                     \
            base + PLACE_OF(guest, stos), base + PLACE_OF(guest, cross), base + PLACE_OF(guest, behind),               \
            base + PLACE_OF(guest, flags), base + PLACE_OF(guest, int), base + PLACE_OF(guest, int_end),               \
            base + PLACE_OF(guest, ud), base + PLACE_OF(guest, ud_end), base + PLACE_OF(guest, change),                \
            base + PLACE_OF(guest, store), base + PLACE_OF(guest, locked), PLACE_OF(guest, handler),                   \
            PLACE_OF(guest, invalid), PLACE_OF(guest, irq)                                                             \
    }

enum { ALIAS = 0x40000000, BODIES = 3, LOOPS = 10 };
static Body bodies[BODIES];

static void set_bodies(void)
{
    bodies[0] = (Body){guest_real, guest_real_end, 0, 0x7ffa, PLACES(real, 0)};
    bodies[1] = (Body){guest_protected, guest_protected_end, 0, 0x7ff4, PLACES(protected, 0)};
    bodies[2] = (Body){guest_long, guest_long_end, ALIAS, 0x7fd8, PLACES(long, ALIAS)};
}

/* Those that look for points themselves, in any mode of the processor; and KVM's own way. */
static const char *const accels_tried[] = {"tcg", "kvm"};
enum { ACCELS = 2, EACH = ACCELS * BODIES };

/* A machine with a body that has not been loaded yet; false: this accelerator is not to be had, or has not what is tried. */
static bool begin(const char *options, unsigned cpus)
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

static const Body *begin_body(int i)
{
    return begin(accels_tried[i / BODIES], 1) ? &bodies[i % BODIES] : NULL;
}

static void load_body(const Body *b)
{
    ram_write(ram, 0x1000, b->code, (size_t)(b->end - b->code));
}

static void insert(DebugKind kind, uint64_t at, unsigned len)
{
    GError *error = NULL;
    ck_assert_msg(debug_insert(cpu_at(0), kind, at, len, &error), "%s", error ? error->message : "");
}

static void go_on(void)
{
    debug_stop = (DebugStop){0};
    ck_assert(machine_continue(NULL));
    ck_assert_msg(stopped_in(RUN_DEBUG), "it does not stop: %s", runstate_name(runstate()));
    ck_assert_ptr_nonnull(debug_stop.cpu);
    cpu_sync(debug_stop.cpu);
}

static uint64_t ip(void)
{
    return cpu_linear_ip(&cpu_at(0)->state);
}

static void expect_break(uint64_t at)
{
    go_on();
    ck_assert_int_eq(debug_stop.why, DEBUG_STOP_BREAK);
    ck_assert_uint_eq(debug_stop.at, at);
    ck_assert_uint_eq(ip(), at);
}

static void expect_watch(DebugKind kind, uint64_t touched, uint64_t behind)
{
    go_on();
    ck_assert_int_eq(debug_stop.why, DEBUG_STOP_WATCH);
    ck_assert_int_eq(debug_stop.kind, kind);
    ck_assert_uint_eq(debug_stop.at, touched);
    ck_assert_uint_eq(ip(), behind);
}

static void step(void)
{
    ck_assert(debug_step(cpu_at(0), true, NULL));
    go_on();
    ck_assert_int_eq(debug_stop.why, DEBUG_STOP_STEP);
    ck_assert_uint_eq(debug_stop.at, ip());
    ck_assert(debug_step(cpu_at(0), false, NULL));
}

static void finish(unsigned code)
{
    debug_remove_all();
    run_guest(code);
    stop_machine();
}

/* Over a breakpoint, as a debugger does it: without it. */
static void step_over(DebugKind kind, uint64_t at)
{
    ck_assert(debug_remove(cpu_at(0), kind, at, 1, NULL));
    step();
    insert(kind, at, 1);
}

/* ---- Breakpoints ---- */

/* Set before there is code, a page table or a mode for it; met each time; nothing is seen of them in memory. */
START_TEST(breakpoints)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    insert(DEBUG_SOFTWARE, b->at.loop, 1);
    insert(DEBUG_HARDWARE, b->at.ud, 1);
    insert(DEBUG_SOFTWARE, b->at.handler, 1);
    load_body(b);
    for (unsigned i = 0; i < LOOPS; i++) {
        expect_break(b->at.loop);
        ck_assert_uint_eq(peek(0x3000, 4), i);
        ck_assert_uint_eq(cpu_at(0)->state.gpr[CPU_RCX], LOOPS - i);
        ck_assert_uint_eq(peek(b->at.loop - b->base, 1), b->code[b->at.loop - b->base - 0x1000]);
        step_over(DEBUG_SOFTWARE, b->at.loop);
        ck_assert_uint_eq(ip(), b->at.load);
    }
    expect_break(b->at.handler);
    step_over(DEBUG_SOFTWARE, b->at.handler);
    expect_break(b->at.ud);
    ck_assert_int_eq(debug_stop.kind, DEBUG_HARDWARE);
    finish(1);
}
END_TEST

START_TEST(many_breakpoints)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    for (unsigned i = 0; i < 500; i++) {
        insert(i % 2 ? DEBUG_HARDWARE : DEBUG_SOFTWARE, b->base + 0x80000 + 3 * i, 1);
    }
    ck_assert(!debug_insert(cpu_at(0), DEBUG_SOFTWARE, b->base + 0x80000, 1, NULL));
    insert(DEBUG_HARDWARE, b->at.locked, 1);
    expect_break(b->at.locked);
    finish(1);
}
END_TEST

/* One that is still there is met again; a step gets past it. */
START_TEST(continue_at_a_breakpoint)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_SOFTWARE, b->at.cross, 1);
    expect_break(b->at.cross);
    expect_break(b->at.cross);
    step();
    ck_assert_uint_eq(ip(), b->at.behind);
    finish(1);
}
END_TEST

/* The instruction under a breakpoint is rewritten by the guest, through another address in long mode. */
START_TEST(code_that_changes)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_SOFTWARE, b->at.store, 1);
    expect_break(b->at.store);
    ck_assert_uint_eq(peek(b->at.store - b->base, 1), 0xb0);
    step_over(DEBUG_SOFTWARE, b->at.store);
    ck_assert_uint_eq(cpu_at(0)->state.gpr[CPU_RAX] & 0xff, 7);
    expect_break(b->at.store);
    ck_assert_uint_eq(peek(b->at.store - b->base, 1), 0xb3);
    finish(1);
}
END_TEST

START_TEST(memory)
{
    const Body *b = begin_body(_i);
    uint8_t bytes[4096];
    uint64_t physical;
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_SOFTWARE, b->at.behind, 1);
    expect_break(b->at.behind);
    ck_assert(debug_read(cpu_at(0), b->base + 0x1000, bytes, (size_t)(b->end - b->code)));
    ck_assert_mem_eq(bytes, b->code, (size_t)(b->end - b->code));
    bytes[0] = 0x90;
    ck_assert(debug_write(cpu_at(0), b->at.behind, bytes, 1));
    ck_assert(debug_read(cpu_at(0), 0x3ffe, bytes, 4));
    ck_assert_mem_eq(bytes, "\x44\x33\x22\x11", 4);
    ck_assert(debug_translate(cpu_at(0), b->at.behind, &physical));
    ck_assert_uint_eq(physical, b->at.behind - b->base);
    ck_assert_int_eq(debug_translate(cpu_at(0), 0x80000000, &physical), b->base == 0);
    finish(1);
}
END_TEST

/* ---- Watchpoints ---- */

/* Each kind by itself, next to each other in the same page. */
START_TEST(watch_kinds)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_WATCH_WRITE, 0x3004, 4); /* is only read */
    expect_break((insert(DEBUG_SOFTWARE, b->at.stos, 1), b->at.stos));
    debug_remove_all();
    insert(DEBUG_WATCH_WRITE, 0x3140, 1);
    insert(DEBUG_WATCH_READ, 0x3141, 100); /* is only written */
    expect_watch(DEBUG_WATCH_WRITE, 0x3140, b->at.stos);
    ck_assert_uint_eq(cpu_at(0)->state.gpr[CPU_RDI], 0x3141);
    ck_assert_uint_eq(cpu_at(0)->state.gpr[CPU_RCX], 100 - 0x41);
    ck_assert_uint_eq(peek(0x3140, 2), 0x005a);
    finish(1);
}
END_TEST

START_TEST(watch_reads)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_WATCH_READ, 0x3005, 1);
    for (unsigned i = 1; i <= LOOPS; i++) {
        go_on();
        ck_assert_int_eq(debug_stop.why, DEBUG_STOP_WATCH);
        ck_assert_uint_eq(debug_stop.at, 0x3005);
        ck_assert_uint_eq(peek(0x3000, 4), i);
        ck_assert_uint_gt(ip(), b->at.load);
    }
    finish(1);
}
END_TEST

/* INC reads and writes; LOCK ADD too, by another way. */
START_TEST(watch_read_modify_write)
{
    static const DebugKind kinds[] = {DEBUG_WATCH_READ, DEBUG_WATCH_WRITE, DEBUG_WATCH_ACCESS};
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_SOFTWARE, b->at.loop, 1);
    expect_break(b->at.loop);
    debug_remove_all();
    for (unsigned n = 0; n < 3; n++) {
        insert(kinds[n], 0x3003, 1);
        expect_watch(kinds[n], 0x3003, b->at.load);
        ck_assert_uint_eq(peek(0x3000, 4), n + 1);
        debug_remove_all();
    }
    insert(DEBUG_WATCH_READ, 0x3008, 8);
    expect_watch(DEBUG_WATCH_READ, 0x3008, b->at.locked);
    ck_assert_uint_eq(peek(0x3008, 4), 1);
    finish(1);
}
END_TEST

START_TEST(watch_across_pages)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_WATCH_WRITE, 0x4000, 1);
    expect_watch(DEBUG_WATCH_WRITE, 0x4000, b->at.behind);
    ck_assert_uint_eq(peek(0x3ffe, 4), 0x11223344);
    finish(1);
}
END_TEST

/* Big ones, too. */
START_TEST(watch_across_pages_from_below)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_WATCH_WRITE, 0x3800, 4096);
    expect_watch(DEBUG_WATCH_WRITE, 0x3ffe, b->at.behind);
    finish(1);
}
END_TEST

START_TEST(watch_push_of_int_n)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_WATCH_WRITE, b->pushed_ip, 2);
    expect_watch(DEBUG_WATCH_WRITE, b->pushed_ip, b->at.handler);
    ck_assert_uint_eq(peek(b->pushed_ip, 2), b->at.int_end & 0xffff);
    expect_watch(DEBUG_WATCH_WRITE, b->pushed_ip, b->at.invalid); /* the exception's */
    finish(1);
}
END_TEST

/* ---- Steps ---- */

START_TEST(steps)
{
    const Body *b = begin_body(_i);
    if (!b) {
        return;
    }
    load_body(b);
    insert(DEBUG_SOFTWARE, b->at.stos, 1);
    expect_break(b->at.stos);
    debug_remove_all();
    for (unsigned i = 1; i <= 100; i++) { /* as TF does: an iteration each */
        step();
        ck_assert_uint_eq(ip(), i < 100 ? b->at.stos : b->at.cross);
        ck_assert_uint_eq(cpu_at(0)->state.gpr[CPU_RCX], 100 - i);
    }
    step();
    ck_assert_uint_eq(ip(), b->at.behind);
    step();
    step();
    step();
    ck_assert_uint_eq(ip(), b->at.int_n);
    ck_assert_uint_eq(cpu_at(0)->state.gpr[CPU_RAX] & FLAG_TF, 0);
    ck_assert_uint_eq(cpu_at(0)->state.rflags & FLAG_TF, 0);
    step();
    ck_assert_uint_eq(ip(), b->at.handler);
    step();
    step();
    ck_assert_uint_eq(ip(), b->at.int_end);
    step();
    step();
    ck_assert_uint_eq(ip(), b->at.invalid);
    insert(DEBUG_SOFTWARE, b->at.ud_end, 1);
    expect_break(b->at.ud_end);
    finish(1);
}
END_TEST

static bool irq_pending;

static int give_irq(Cpu *c)
{
    if (!irq_pending) {
        return -1;
    }
    irq_pending = false;
    cpu_lower(c, CPU_EVENT_INTR);
    return 0x21;
}

static void raise_irq(void)
{
    irq_pending = true;
    cpu_raise(cpu_at(0), CPU_EVENT_INTR);
}

/* A CPU of one accelerator that stands in the middle of "busy". */
static bool begin_busy(int i)
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

START_TEST(steps_without_interrupts)
{
    if (!begin_busy(_i)) {
        return;
    }
    ck_assert_uint_eq(debug_step_flags(), DEBUG_STEP_NOIRQ | DEBUG_STEP_NOTIMER);
    raise_irq();
    for (unsigned i = 0; i < 10; i++) {
        step();
        ck_assert_uint_eq(ip(), i % 2 ? PLACE_OF(busy, jump) : PLACE_OF(busy, again));
    }
    ck_assert(irq_pending);
    insert(DEBUG_SOFTWARE, PLACE_OF(busy, irq), 1);
    expect_break(PLACE_OF(busy, irq));
    stop_machine();
}
END_TEST

START_TEST(steps_with_interrupts)
{
    if (!begin_busy(_i)) {
        return;
    }
    debug_set_step_flags(0);
    raise_irq();
    step();
    ck_assert_uint_eq(ip(), PLACE_OF(busy, irq));
    ck_assert_uint_eq(peek(0x3010, 4), 0);
    step();
    ck_assert_uint_eq(peek(0x3010, 4), 1);
    stop_machine();
}
END_TEST

START_TEST(watch_push_of_interrupt)
{
    if (!begin_busy(_i)) {
        return;
    }
    insert(DEBUG_WATCH_WRITE, 0x7ffb, 1);
    raise_irq();
    expect_watch(DEBUG_WATCH_WRITE, 0x7ffb, PLACE_OF(busy, irq));
    stop_machine();
}
END_TEST

START_TEST(time_stands_still)
{
    if (!begin_busy(_i)) {
        return;
    }
    int64_t before = clock_now(CLOCK_VIRTUAL);
    for (unsigned i = 0; i < 20; i++) {
        step();
    }
    ck_assert_int_eq(clock_now(CLOCK_VIRTUAL), before);
    debug_set_step_flags(DEBUG_STEP_NOIRQ);
    step();
    ck_assert_int_gt(clock_now(CLOCK_VIRTUAL), before);
    ck_assert(machine_continue(NULL));
    wait_ms(2);
    ck_assert_int_gt(clock_now(CLOCK_VIRTUAL), before + NS_PER_MS);
    stop_machine();
}
END_TEST

START_TEST(steps_over_halt)
{
    if (!begin(accels_tried[_i], 1)) {
        return;
    }
    cpu_platform.interrupt = give_irq;
    LOAD(sleepy, 0x1000);
    insert(DEBUG_SOFTWARE, PLACE_OF(sleepy, halt), 1);
    expect_break(PLACE_OF(sleepy, halt));
    debug_remove_all();
    step();
    ck_assert_uint_eq(ip(), PLACE_OF(sleepy, awake));
    ck_assert(cpu_at(0)->halted);
    step(); /* nothing may wake it: it does not hang */
    ck_assert_uint_eq(ip(), PLACE_OF(sleepy, awake));
    ck_assert(cpu_at(0)->halted);
    debug_set_step_flags(0);
    ck_assert(debug_step(cpu_at(0), true, NULL));
    debug_stop = (DebugStop){0};
    ck_assert(machine_continue(NULL));
    wait_ms(10);
    ck_assert_int_eq(runstate(), RUN_RUNNING);
    raise_irq();
    ck_assert(stopped_in(RUN_DEBUG));
    cpu_sync(cpu_at(0));
    ck_assert_uint_eq(ip(), PLACE_OF(sleepy, irq));
    finish(3);
}
END_TEST

/* ---- Trace points ---- */

static unsigned hits[4];
static uint64_t last_at;

static void count_hit(void *arg, Cpu *c, uint64_t at)
{
    ck_assert(loop_locked() && c == cpu_current());
    ck_assert(c->state_valid);
    ++*(unsigned *)arg;
    last_at = at;
}

static unsigned trace(DebugKind kind, uint64_t at, unsigned len, unsigned *counted)
{
    unsigned id;
    GError *error = NULL;
    const DebugTrace t = {.kind = kind, .at = at, .len = len, .hit = count_hit, .arg = counted};
    ck_assert_msg(debug_trace_insert(&t, &id, &error), "%s", error ? error->message : "");
    return id;
}

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

/* What each instruction of "accesses" reads and writes in its cell. */
START_TEST(accesses)
{
    enum { AT = 0x6000, SIZE = 64 };
    static const struct {
        const char *name;
        unsigned reads, writes;
    } expected[] = {
        {"mov from", 1, 0},   {"mov to", 0, 1},         {"add to", 1, 1},         {"add from", 1, 0},   {"cmp", 1, 0},
        {"not", 1, 1},        {"push m", 1, 0},         {"pop m", 0, 1},          {"xchg", 1, 1},       {"lock inc", 1, 1},
        {"lock xadd", 1, 1},  {"cmpxchg", 1, 1},        {"lock cmpxchg", 1, 1},   {"cmpxchg8b", 1, 1},  {"cmpxchg16b", 1, 1},
        {"bts", 1, 1},        {"bt", 1, 0},             {"setz", 0, 1},           {"shl", 1, 1},        {"movdqa from", 1, 0},
        {"movdqa to", 0, 1},  {"movups to", 0, 1},      {"paddb", 1, 0},          {"movss from", 1, 0}, {"movsd to", 0, 1},
        {"cvtsi2sd", 1, 0},   {"fld", 1, 0},            {"fstp", 0, 1},           {"fnstcw", 0, 1},     {"sgdt", 0, 1},
        {"movsb to", 0, 1},   {"movsq from", 1, 0},     {"rep stosb", 0, 16},     {"rep movsb", 16, 0}, {"repne scasb", 16, 0},
        {"lodsb", 1, 0},      {"push", 0, 1},           {"pop", 1, 0},            {"call", 0, 1},       {"ret", 1, 1},
        {"int, iret", 1, 1},  {"lea", 0, 0},            {"nop m", 0, 0},          {"maskmovdqu", 0, 1},
    };
    unsigned reads[G_N_ELEMENTS(expected)] = {0}, writes[G_N_ELEMENTS(expected)] = {0}, masked = 0;
    if (!begin(accels_tried[_i], 1)) {
        return;
    }
    LOAD(accesses, 0x1000);
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        trace(DEBUG_WATCH_READ, AT + SIZE * i, SIZE, &reads[i]);
        trace(DEBUG_WATCH_WRITE, AT + SIZE * i, SIZE, &writes[i]);
    }
    trace(DEBUG_WATCH_ACCESS, AT + SIZE * (G_N_ELEMENTS(expected) - 1) + 1, 15, &masked); /* what the mask leaves out */
    run_guest(5);
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        ck_assert_msg(reads[i] == expected[i].reads && writes[i] == expected[i].writes, "%s: %u reads, %u writes",
                      expected[i].name, reads[i], writes[i]);
    }
    ck_assert_uint_eq(masked, 0);
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
    for (unsigned i = 0; i < 100; i++) {
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

int main(void)
{
    const Case cases[] = {
        CASE(breakpoints, EACH),
        CASE(many_breakpoints, EACH),
        CASE(continue_at_a_breakpoint, EACH),
        CASE(code_that_changes, EACH),
        CASE(memory, EACH),
        CASE(watch_kinds, EACH),
        CASE(watch_reads, EACH),
        CASE(watch_read_modify_write, EACH),
        CASE(watch_across_pages, EACH),
        CASE(watch_across_pages_from_below, EACH),
        CASE(watch_push_of_int_n, EACH),
        CASE(steps, EACH),
        CASE(steps_without_interrupts, ACCELS),
        CASE(steps_with_interrupts, ACCELS),
        CASE(watch_push_of_interrupt, ACCELS),
        CASE(time_stands_still, ACCELS),
        CASE(steps_over_halt, ACCELS),
        CASE(trace_points, EACH),
        CASE(accesses, ACCELS),
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
    };
    return run_all_cases("debug", cases, G_N_ELEMENTS(cases));
}
