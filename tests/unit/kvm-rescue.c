/* What KVM does not execute, the software CPU does, on the same registers, memory and devices.
 *
 * Which instructions a KVM lacks depends on what is behind it: with hardware it executes all of these itself, and only their results
 * are checked. */
#include <string.h>

#include "tests/unit/kvm-bench.h"

GUEST(fwait) GUEST(changing) GUEST(vector) GUEST(iret) GUEST(wide) GUEST(silent)

static const KvmRescue *counts(void)
{
    const KvmRescue *r = kvm_rescue_counts(cpu_at(0));
    ck_assert_ptr_nonnull(r);
    return r;
}

/* Counts are complete when the CPU stops. */
static void check_rescued(void)
{
    machine_stop(RUN_PAUSED);
    if (kvm_emulates()) {
        ck_assert_uint_ge(counts()->rescues[RESCUE_EMULATION], 1);
        ck_assert_uint_ge(counts()->instructions, counts()->rescues[RESCUE_EMULATION]);
    }
    ck_assert_uint_eq(counts()->given_up, 0);
}

START_TEST(wait_for_the_fpu)
{
    start_machine(modes[_i], 1);
    ram_dirty_track(ram, DIRTY_MIGRATION, true);
    LOAD(fwait, 0x1000);
    ram_dirty_take(ram, DIRTY_MIGRATION, 0, RAM_SIZE);
    run_guest(1);
    CHECK_LOG(0, 0x10, 2, 1);
    ck_assert_uint_eq(peek(0x3000, 2), 1);
    if (kvm_emulates()) { /* nothing logs for KVM here: it was the software CPU that wrote, and told */
        ck_assert(ram_dirty_any(ram, DIRTY_MIGRATION, 0x3000, 2));
    }
    check_rescued();
    stop_machine();
}
END_TEST

START_TEST(code_that_changes)
{
    unsigned sum = 0;
    start_machine(modes[_i], 1);
    LOAD(changing, 0x1000);
    run_guest(2);
    for (unsigned i = 1; i <= 500; i++) {
        sum += 3 * i;
    }
    CHECK_LOG(0, 0x10, 2, sum & 0xffff);
    check_rescued();
    stop_machine();
}
END_TEST

START_TEST(vectors_into_devices)
{
    start_machine(modes[_i], 1);
    LOAD(vector, 0x1000);
    run_guest(3);
    CHECK_LOG(0, 0, 8, 0x1122334455667788);
    CHECK_LOG(1, 8, 8, 0x99aabbccddeeff00);
    ck_assert_uint_eq(logged, 2);
    ck_assert_uint_eq(peek(0x3000, 8), 0x1122334455667788);
    ck_assert_uint_eq(peek(0x3008, 8), 0x99aabbccddeeff00);
    ck_assert_uint_eq(peek(0x3010, 8), 0x4746454443424140);
    stop_machine();
}
END_TEST

START_TEST(return_from_interrupt)
{
    start_machine("kvm", 1);
    LOAD(iret, 0x1000);
    run_guest(4);
    CHECK_LOG(0, 0x10, 4, 0xcd5);
    CHECK_LOG(1, 0x10, 4, 0x600df00d);
    check_rescued();
    stop_machine();
}
END_TEST

START_TEST(sixteen_bytes)
{
    start_machine(modes[_i], 1);
    LOAD(wide, 0x1000);
    run_guest(5);
    ck_assert_uint_eq(peek(0x3000, 8), 300);
    ck_assert_uint_eq(peek(0x3008, 8), 600);
    check_rescued();
    stop_machine();
}
END_TEST

/* Milliseconds without an exit, where KVM is a slow emulator. */
START_TEST(long_silence)
{
    start_machine("kvm", 1);
    LOAD(silent, 0x1000);
    run_guest(6);
    if (kvm_emulates()) {
        ck_assert_uint_ge(counts()->rescues[RESCUE_SLOW], 1);
    }
    stop_machine();
}
END_TEST

/* It stops where it stopped before there was any rescue, and says so. */
START_TEST(turned_off)
{
    start_machine("kvm,rescue=off", 1);
    ck_assert_ptr_null(kvm_rescue_counts(cpu_at(0)));
    LOAD(fwait, 0x1000);
    if (kvm_emulates()) {
        ck_assert(machine_continue(NULL));
        ck_assert(stopped_in(RUN_INTERNAL_ERROR));
        ck_assert_uint_eq(done, 0);
    } else {
        run_guest(1);
    }
    stop_machine();
}
END_TEST

/* Stopped and looked at again and again while the software CPU is in charge. */
START_TEST(stopped_in_between)
{
    start_machine("kvm", 1);
    LOAD(wide, 0x1000);
    for (unsigned i = 0; i < 200 && !done; i++) {
        ck_assert(machine_continue(NULL));
        wait_ms(i % 2);
        machine_stop(RUN_PAUSED);
        cpu_sync(cpu_at(0));
        ck_assert_uint_lt(cpu_at(0)->state.rip, UINT64_C(0x100000000));
    }
    if (!done) {
        run_guest(5);
    }
    ck_assert_uint_eq(done, 5);
    ck_assert_uint_eq(peek(0x3000, 8), 300);
    stop_machine();
}
END_TEST

int main(void)
{
    const Case cases[] = {
        CASE(wait_for_the_fpu, MODES),   CASE(code_that_changes, MODES), CASE(vectors_into_devices, MODES),
        CASE(return_from_interrupt, 1),  CASE(sixteen_bytes, MODES),     CASE(long_silence, 1),
        CASE(turned_off, 1),             CASE(stopped_in_between, 1),
    };
    return run_cases("kvm-rescue", cases, G_N_ELEMENTS(cases));
}
