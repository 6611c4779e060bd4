/* KVM on a small machine: memory, ports, running and stopping, registers, debugging, options. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "accel/debug.h"
#include "tests/unit/kvm-bench.h"

// clang-format off
GUEST(ports) GUEST(strings) GUEST(mmio) GUEST(coalesced) GUEST(dirty) GUEST(pam) GUEST(spin) GUEST(doorbell) GUEST(spin_out) GUEST(triple) GUEST(ap) GUEST(halt) GUEST(smp) GUEST(steps)
// clang-format on

/* ---- Ports and memory ---- */

START_TEST(ports_of_each_size)
{
    start_machine(modes[_i], 1);
    LOAD(ports, 0x1000);
    run_guest(1);
    CHECK_LOG(0, 0x10, 1, 0x11);
    CHECK_LOG(1, 0x10, 2, 0x2222);
    CHECK_LOG(2, 0x10, 4, 0x33333333);
    CHECK_LOG(3, 0x10, 1, 0xa0);
    CHECK_LOG(4, 0x10, 2, 0xa1a0);
    CHECK_LOG(5, 0x10, 4, 0xa3a2a1a0);
    stop_machine();
}
END_TEST

START_TEST(string_instructions)
{
    start_machine(modes[_i], 1);
    LOAD(strings, 0x1000);
    run_guest(2);
    ck_assert_uint_eq(logged, 10);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_LOG(i, 0x10, 1, (unsigned)"hello"[i]);
        CHECK_LOG(5 + i, 0x10, 1, (unsigned)"hello"[4 - i]);
    }
    for (unsigned i = 0; i < 300; i++) {
        ck_assert_uint_eq(peek(0x3000 + i, 1), i & 0xff);
    }
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(peek(0x3200 + 2 * i, 2), 300 + i);
    }
    ck_assert_uint_eq(counter, 304);
    stop_machine();
}
END_TEST

START_TEST(mmio_of_each_size)
{
    start_machine(modes[_i], 1);
    LOAD(mmio, 0x1000);
    run_guest(3);
    CHECK_LOG(0, 0, 1, 0x11);
    CHECK_LOG(1, 2, 2, 0x2222);
    CHECK_LOG(2, 4, 4, 0x33333333);
    CHECK_LOG(3, 7, 2, 0x4455);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_LOG(4 + i, 0x10 + i, 1, 0x77);
    }
    ck_assert_uint_eq(logged, 7);
    ck_assert_uint_eq(peek(0x3000, 1), 0x41);
    ck_assert_uint_eq(peek(0x3002, 2), 0x4342);
    ck_assert_uint_eq(peek(0x3004, 4), 0x47464544);
    ck_assert_uint_eq(peek(0x3010, 4), 0x63626160);
    stop_machine();
}
END_TEST

START_TEST(coalesced_writes_keep_their_order)
{
    start_machine("kvm", 1);
    LOAD(coalesced, 0x1000);
    run_guest(6);
    ck_assert_uint_eq(logged, 300);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_LOG(3 * i, 0, 1, 2 * i);
        CHECK_LOG(3 * i + 1, 1, 1, 2 * i + 1);
        CHECK_LOG(3 * i + 2, 0x10, 1, 2 * i + 2);
    }
    stop_machine();
}
END_TEST

/* A guest that wrote and sleeps in the kernel: the write arrives by itself. */
START_TEST(coalesced_writes_arrive)
{
    static const uint8_t code[] = {0xb8, 0x00, 0xd1, 0x8e, 0xc0, /* mov ax, d100; mov es, ax */
                                   0x26, 0xc6, 0x06, 0x00, 0x00, 0x5a, /* mov byte [es:0], 5a */
                                   0xfa, 0xf4};                        /* cli; hlt */
    start_machine("kvm,kernel-irqchip=on", 1);
    ram_write(ram, 0x1000, code, sizeof(code));
    ck_assert(machine_continue(NULL));
    ck_assert(wait_for(&logged));
    CHECK_LOG(0, 0, 1, 0x5a);
    stop_machine();
}
END_TEST

static void check_dirty(const char *options)
{
    start_machine(options, 1);
    LOAD(dirty, 0x1000);
    ram_dirty_track(ram, DIRTY_MIGRATION, true);
    region_set_logged(ram_region, DIRTY_MIGRATION, true);
    mem_commit();
    ram_dirty_take(ram, DIRTY_MIGRATION, 0, RAM_SIZE);
    run_guest(7);
    mem_sync_dirty(ram);
    ck_assert(ram_dirty_take(ram, DIRTY_MIGRATION, 0x4000, 4096));
    ck_assert(!ram_dirty_any(ram, DIRTY_MIGRATION, 0x5000, 4096));
    ck_assert(ram_dirty_take(ram, DIRTY_MIGRATION, 0x6000, 4096));
    ck_assert(!ram_dirty_any(ram, DIRTY_MIGRATION, 0x7000 + 4096, 0));
    ck_assert(ram_dirty_take(ram, DIRTY_MIGRATION, 0x8000, 4096));
    ck_assert(ram_dirty_take(ram, DIRTY_MIGRATION, 0x9000, 4096));
    ck_assert(!ram_dirty_any(ram, DIRTY_MIGRATION, 0x20000, RAM_SIZE - 0x20000));
    mem_sync_dirty(ram);
    ck_assert(!ram_dirty_any(ram, DIRTY_MIGRATION, 0x3000, RAM_SIZE - 0x3000));
    region_set_logged(ram_region, DIRTY_MIGRATION, false);
    mem_commit();
    stop_machine();
}

START_TEST(dirty_log)
{
    check_dirty("kvm");
}
END_TEST

START_TEST(dirty_ring)
{
    check_dirty("kvm,dirty-ring-size=4096");
}
END_TEST

START_TEST(segment_flips)
{
    start_machine(modes[_i], 1);
    LOAD(pam, 0x1000);
    run_guest(9);
    stop_machine();
}
END_TEST

/* The map changes again and again below a running processor: it must never meet a hole. */
START_TEST(slots_move_under_a_running_cpu)
{
    start_machine("kvm", 2);
    LOAD(spin, 0x1000);
    ck_assert(machine_continue(NULL));
    for (unsigned i = 0; i < 300; i++) {
        region_set_size(ram_region, RAM_SIZE - (i % 2 ? 0x10000 : 0));
        mem_commit();
        wait_ms(1);
    }
    ck_assert_int_eq(runstate(), RUN_RUNNING);
    ck_assert_uint_eq(resets, 0);
    uint32_t before = (uint32_t)peek(0x3000, 4);
    wait_ms(20);
    ck_assert_uint_ne(before, peek(0x3000, 4));
    stop_machine();
}
END_TEST

START_TEST(doorbells)
{
    int memory_fd = eventfd(0, EFD_NONBLOCK), port_fd = eventfd(0, EFD_NONBLOCK);
    uint64_t n = 0;
    start_machine("kvm", 1);
    LOAD(doorbell, 0x1000);
    region_add_eventfd(bell, 0, 4, true, 0x5678, memory_fd);
    region_add_eventfd(ports, 6, 2, false, 0, port_fd);
    mem_commit();
    run_guest(10);
    ck_assert_int_eq(read(memory_fd, &n, 8), 8);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(read(port_fd, &n, 8), 8);
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(logged, 1);
    CHECK_LOG(0, 0, 4, 0x1234);
    region_del_eventfd(bell, 0, 4, true, 0x5678, memory_fd);
    region_del_eventfd(ports, 6, 2, false, 0, port_fd);
    mem_commit();
    stop_machine();
    close(memory_fd);
    close(port_fd);
}
END_TEST

/* ---- Stop, continue, reset ---- */

START_TEST(stop_and_continue)
{
    start_machine(modes[_i], 1);
    LOAD(spin_out, 0x1000);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert(machine_continue(NULL));
        if (i % 10 == 0) {
            wait_ms(i % 3);
        }
        machine_stop(RUN_PAUSED);
        uint32_t before = (uint32_t)peek(0x3000, 4);
        unsigned counted = counter;
        if (i % 50 == 0) {
            wait_ms(1);
        }
        ck_assert_uint_eq(before, peek(0x3000, 4));
        ck_assert_uint_eq(counted, counter);
        const CpuState *s = &cpu_at(0)->state;
        cpu_sync(cpu_at(0));
        if (s->seg[SEG_CS].base == 0) {
            ck_assert_uint_le(s->rip, 0x1000 + (uint64_t)(guest_spin_out_end - guest_spin_out));
        }
    }
    ck_assert_uint_ne(peek(0x3000, 4), 0);
    stop_machine();
}
END_TEST

START_TEST(triple_fault_resets)
{
    start_machine(modes[_i], 1);
    LOAD(triple, 0x1000);
    ck_assert(machine_continue(NULL));
    ck_assert(wait_for(&resets));
    CHECK_LOG(0, 0x10, 1, 5);
    for (unsigned tries = 0; resets < 5 && tries < 5000;
         tries++) { /* and it runs from its reset vector again */
        wait_ms(1);
    }
    ck_assert_uint_ge(resets, 5);
    ck_assert_uint_ge(logged, resets);
    stop_machine();
}
END_TEST

START_TEST(triple_fault_ends_with_no_reboot)
{
    int code = -1;
    start_machine("kvm", 1);
    run_actions.reboot = REBOOT_SHUTDOWN;
    LOAD(triple, 0x1000);
    ck_assert(machine_continue(NULL));
    while (runstate_poll(&code)) {
        loop_iterate(true);
    }
    ck_assert_int_eq(code, 0);
    ck_assert_uint_eq(logged, 1);
    stop_machine();
}
END_TEST

/* Start-up of a second processor: by the kernel's local APICs, or by events of our own. */
START_TEST(second_cpu_starts)
{
    start_machine(modes[_i], 2);
    LOAD(ap, 0x2000);
    if (platform.irqchip == IRQCHIP_OFF) {
        LOAD(halt, 0x1000);
        ck_assert(machine_continue(NULL));
        wait_ms(20);
        ck_assert(cpu_at(1)->wait_sipi);
        cpu_raise(cpu_at(1), CPU_EVENT_INIT);
        wait_ms(1);
        cpu_at(1)->sipi_vector = 2;
        cpu_raise(cpu_at(1), CPU_EVENT_SIPI);
        for (unsigned tries = 0; !peek(0x5000, 1) && tries < 1000; tries++) {
            wait_ms(1);
        }
        ck_assert_uint_eq(peek(0x5000, 1), 1);
        cpu_sync(cpu_at(1));
        ck_assert_uint_eq(cpu_at(1)->state.seg[SEG_CS].selector, 0x200);
    } else {
        LOAD(smp, 0x1000);
        run_guest(8);
    }
    /* A reset puts it back to waiting. */
    unsigned before = resets;
    machine_request_reset(CAUSE_HOST_UI);
    for (unsigned tries = 0; resets == before && tries < 1000; tries++) {
        wait_ms(1);
    }
    machine_stop(RUN_PAUSED);
    cpu_sync(cpu_at(1));
    stop_machine();
}
END_TEST

/* ---- State ---- */

static void fill_state(CpuState *s)
{
    for (unsigned i = 0; i < CPU_GPRS; i++) {
        s->gpr[i] = UINT64_C(0x1111111111111111) * (i + 1);
    }
    s->rip = 0x1234;
    s->rflags = FLAG_ONE | FLAG_CF | FLAG_OF | FLAG_DF;
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        segment_set_real(&s->seg[i], (uint16_t)(0x100 * (i + 1)));
    }
    s->gdtr = (TableReg){0x12340, 0x47};
    s->idtr = (TableReg){0x56780, 0x3ff};
    s->cr2 = 0xdeadbeef;
    s->cr3 = 0x7000;
    s->dr[0] = 0x1000;
    s->dr[3] = 0x4000;
    s->dr[7] = 0x400;
    s->fpu.fcw = 0x27f;
    s->fpu.mxcsr = 0x1f80;
    s->fpu.xstate_bv |= XSTATE_FP | XSTATE_SSE;
    s->fpu.ftw = 0x81;
    s->fpu.st[0] = (FpReg){.mantissa = 0x8000000000000000, .sign_exponent = 0x3fff};
    for (unsigned i = 0; i < 16; i++) {
        s->fpu.xmm[i][0] = 0x0123456789abcdef + i;
        s->fpu.xmm[i][1] = ~(uint64_t)i;
    }
    s->msr.sysenter_cs = 8;
    s->msr.sysenter_eip = 0xc0001000;
    s->msr.star = 0x0013000800000000;
    s->msr.pat = 0x0007040600070406;
    s->event.nmi_masked = true;
    s->event.interrupt_shadow = SHADOW_STI;
}

START_TEST(state_round_trip)
{
    start_machine(modes[_i], 1);
    Cpu *c = cpu_at(0);
    cpu_sync(c);
    fill_state(&c->state);
    CpuState *want = g_memdup2(&c->state, sizeof(CpuState));
    cpu_run_on(c, (void (*)(Cpu *, void *))(void *)kvm_flush, NULL);
    memset(&c->state, 0x5a, sizeof(CpuState));
    c->state_valid = c->state_dirty = false;
    cpu_sync(c);
    const CpuState *got = &c->state;
    ck_assert_mem_eq(got->gpr, want->gpr, sizeof(got->gpr));
    ck_assert_uint_eq(got->rip, want->rip);
    ck_assert_uint_eq(got->rflags, want->rflags);
    for (unsigned i = 0; i < CPU_SEGS; i++) {
        ck_assert_uint_eq(got->seg[i].selector, want->seg[i].selector);
        ck_assert_uint_eq(got->seg[i].base, want->seg[i].base);
        ck_assert_uint_eq(got->seg[i].limit, want->seg[i].limit);
        ck_assert_uint_eq(got->seg[i].attr | ATTR_AVL, want->seg[i].attr | ATTR_AVL);
    }
    ck_assert_uint_eq(got->gdtr.base, want->gdtr.base);
    ck_assert_uint_eq(got->idtr.limit, want->idtr.limit);
    ck_assert_uint_eq(got->cr0, want->cr0);
    ck_assert_uint_eq(got->cr2, want->cr2);
    ck_assert_uint_eq(got->cr3, want->cr3);
    ck_assert_uint_eq(got->cr4, want->cr4);
    ck_assert_uint_eq(got->efer, want->efer);
    ck_assert_uint_eq(got->xcr0, want->xcr0);
    ck_assert_mem_eq(got->dr, want->dr, sizeof(got->dr));
    ck_assert_uint_eq(got->fpu.fcw, want->fpu.fcw);
    ck_assert_uint_eq(got->fpu.mxcsr, want->fpu.mxcsr);
    ck_assert_mem_eq(got->fpu.xmm, want->fpu.xmm, sizeof(got->fpu.xmm));
    ck_assert_uint_eq(got->fpu.st[0].mantissa, want->fpu.st[0].mantissa);
    ck_assert_uint_eq(got->fpu.st[0].sign_exponent, want->fpu.st[0].sign_exponent);
    ck_assert_uint_eq(got->fpu.ftw, want->fpu.ftw);
    ck_assert_uint_eq(got->msr.sysenter_cs, want->msr.sysenter_cs);
    ck_assert_uint_eq(got->msr.sysenter_eip, want->msr.sysenter_eip);
    ck_assert_uint_eq(got->msr.star, want->msr.star);
    ck_assert_uint_eq(got->msr.pat, want->msr.pat);
    ck_assert_uint_eq(got->msr.apic_base, want->msr.apic_base);
    ck_assert(got->event.nmi_masked);
    ck_assert_uint_eq(got->event.interrupt_shadow, SHADOW_STI);
    ck_assert(!got->event.smm && !got->event.exception_pending);
    g_free(want);
    stop_machine();
}
END_TEST

/* Registers set while it is stopped are those it goes on with. */
START_TEST(changed_registers_take_effect)
{
    start_machine("kvm", 1);
    LOAD(spin, 0x1000);
    LOAD(ports, 0x6000);
    ck_assert(machine_continue(NULL));
    wait_ms(5);
    machine_stop(RUN_PAUSED);
    Cpu *c = cpu_at(0);
    cpu_sync(c);
    ck_assert_uint_ge(c->state.rip, 0x1000);
    ck_assert_uint_lt(c->state.rip, 0x1010);
    uint64_t tsc = c->state.msr.tsc;
    c->state.rip = 0x6000;
    c->state_dirty = true;
    run_guest(1);
    machine_stop(RUN_PAUSED);
    cpu_sync(c);
    ck_assert_uint_gt(c->state.msr.tsc, tsc);
    stop_machine();
}
END_TEST

/* ---- Debugging ---- */

/* By the software CPU, where KVM emulates; and by KVM itself. */
static const char *const debugged[] = {"kvm", "kvm,rescue=off"};

START_TEST(single_steps)
{
    static const uint16_t at[] = {0x1001, 0x1002, 0x1005, 0x1008, 0x1009, 0x100b};
    start_machine(debugged[_i], 1);
    LOAD(steps, 0x1000);
    Cpu *c = cpu_at(0);
    cpu_sync(c);
    segment_set_real(&c->state.seg[SEG_CS], 0);
    c->state.rip = 0x1000;
    c->state_dirty = true;
    ck_assert(debug_step(c, true, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(at); i++) {
        ck_assert(machine_continue(NULL));
        ck_assert(stopped_in(RUN_DEBUG));
        ck_assert_ptr_eq(debug_stop.cpu, c);
        ck_assert_int_eq(debug_stop.why, DEBUG_STOP_STEP);
        cpu_sync(c);
        ck_assert_uint_eq(c->state.rip, at[i]);
    }
    ck_assert_uint_eq(peek(0x3000, 2), 0x1234);
    ck_assert_uint_eq(c->state.gpr[CPU_RBX] & 0xffff, 0x1235);
    ck_assert(debug_step(c, false, NULL));
    run_guest(11);
    stop_machine();
}
END_TEST

START_TEST(breakpoints)
{
    start_machine("kvm,rescue=off", 1); /* KVM's own: else the software CPU has them, and puts nothing into memory */
    LOAD(steps, 0x1000);
    Cpu *c = cpu_at(0);
    ck_assert(debug_insert(c, DEBUG_SOFTWARE, 0x1008, 1, NULL));
    ck_assert_uint_eq(peek(0x1008, 1), 0xcc);
    ck_assert(machine_continue(NULL));
    ck_assert(stopped_in(RUN_DEBUG));
    ck_assert_int_eq(debug_stop.why, DEBUG_STOP_BREAK);
    ck_assert_uint_eq(debug_stop.at, 0x1008);
    cpu_sync(c);
    ck_assert_uint_eq(c->state.rip, 0x1008);
    ck_assert(debug_remove(c, DEBUG_SOFTWARE, 0x1008, 1, NULL));
    ck_assert_uint_eq(peek(0x1008, 1), 0x40);
    ck_assert(!debug_remove(c, DEBUG_SOFTWARE, 0x1008, 1, NULL));
    run_guest(11);
    stop_machine();
}
END_TEST

START_TEST(hardware_breakpoints)
{
    start_machine(debugged[_i], 1);
    LOAD(steps, 0x1000);
    Cpu *c = cpu_at(0);
    ck_assert(debug_insert(c, DEBUG_HARDWARE, 0x1002, 1, NULL));
    ck_assert(machine_continue(NULL));
    ck_assert(stopped_in(RUN_DEBUG));
    ck_assert_int_eq(debug_stop.why, DEBUG_STOP_BREAK);
    cpu_sync(c);
    ck_assert_uint_eq(c->state.rip, 0x1002);
    ck_assert_uint_ne(c->state.gpr[CPU_RAX] & 0xffff, 0x1234);
    debug_remove_all();
    run_guest(11);
    stop_machine();
}
END_TEST

/* ---- Errors that people make ---- */

START_TEST(bad_options)
{
    static const char *const bad[][2] = {
        {"kvm,kernel-irqchip=maybe", "on, off, split"},
        {"kvm,dirty-ring-size=1000", "power of two"},
        {"kvm,dirty-ring-size=x", "number"},
        {"kvm,thread=single", "thread"},
        {"kvm,kvm-shadow-mem=much", "kvm-shadow-mem"},
        {"hax", "invalid accelerator"},
        {"kvm,device=/nowhere/kvm", "/nowhere/kvm"},
        {"kvm,device=/dev/null", "not KVM"},
        {"tcg,colour=red", "colour"},
        {"tcg,thread=many", "single or multi"},
    };
    loop_main();
    loop_lock();
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) choices = g_ptr_array_new();
    g_ptr_array_add(choices, (char *)bad[_i][0]);
    ck_assert(!accel_start(choices, &error));
    ck_assert_msg(strstr(error->message, bad[_i][1]), "%s", error->message);
    ck_assert_ptr_null(strchr(error->message, '\n'));
    ck_assert_ptr_null(accel);
    loop_unlock();
}
END_TEST

START_TEST(falls_back)
{
    loop_main();
    loop_lock();
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) choices = g_ptr_array_new();
    g_ptr_array_add(choices, (char *)"kvm,device=/nowhere/kvm");
    g_ptr_array_add(choices, (char *)"accel=tcg");
    ck_assert(accel_start(choices, &error));
    ck_assert_str_eq(accel->name, "soft");
    loop_unlock();
}
END_TEST

int main(void)
{
    const Case cases[] = {
        CASE(ports_of_each_size, MODES),
        CASE(string_instructions, MODES),
        CASE(mmio_of_each_size, MODES),
        CASE(coalesced_writes_keep_their_order, 1),
        CASE(coalesced_writes_arrive, 1),
        CASE(dirty_log, 1),
        CASE(dirty_ring, 1),
        CASE(segment_flips, MODES),
        CASE(slots_move_under_a_running_cpu, 1),
        CASE(doorbells, 1),
        CASE(stop_and_continue, MODES),
        CASE(triple_fault_resets, MODES),
        CASE(triple_fault_ends_with_no_reboot, 1),
        CASE(second_cpu_starts, MODES),
        CASE(state_round_trip, MODES),
        CASE(changed_registers_take_effect, 1),
        CASE(single_steps, 2),
        CASE(breakpoints, 1),
        CASE(hardware_breakpoints, 2),
        CASE(bad_options, 10),
        CASE(falls_back, 1),
    };
    return run_cases("kvm", cases, G_N_ELEMENTS(cases));
}
