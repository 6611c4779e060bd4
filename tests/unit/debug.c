/* Guest debugging without a debugger: breakpoints, watchpoints and steps, in each accelerator and mode of the processor. */
#include "accel/debug.h"
#include "core/clock.h"
#include "tests/unit/debug-bench.h"

GUEST(accesses)

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
        CASE(accesses, ACCELS),
        CASE(steps, EACH),
        CASE(steps_without_interrupts, ACCELS),
        CASE(steps_with_interrupts, ACCELS),
        CASE(watch_push_of_interrupt, ACCELS),
        CASE(time_stands_still, ACCELS),
        CASE(steps_over_halt, ACCELS),
    };
    return run_all_cases("debug", cases, G_N_ELEMENTS(cases));
}
