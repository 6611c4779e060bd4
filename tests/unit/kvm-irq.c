/* Interrupts under KVM: waking, descriptors, the window of an emulating KVM, the state of the kernel's chips. */
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/kvm-bench.h"

// clang-format off
GUEST(interrupts) GUEST(halt)
// clang-format on

/* ---- Interrupts ---- */

/* A PIC of one line: the vector of our own interrupt, acknowledged when it is taken. */
static bool line;
static int take_interrupt(Cpu *c)
{
    if (!line) {
        return -1;
    }
    line = false;
    cpu_lower(c, CPU_EVENT_INTR);
    return 0x21;
}

static void raise_interrupt(void)
{
    if (platform.irqchip == IRQCHIP_ON) { /* by message to APIC 0, vector 0x21 */
        platform.send_msi(0xfee00000, 0x21);
    } else {
        line = true;
        cpu_raise(cpu_at(0), CPU_EVENT_INTR);
    }
}

/* The kernel's local APIC starts off: enable it in its spurious-interrupt register, and let ExtINT
 * pass. */
static void enable_apic(Cpu *c, void *unused)
{
    struct kvm_lapic_state s;
    ck_assert_int_ge(kvm_cpu_ioctl(c, KVM_GET_LAPIC, (uintptr_t)&s), 0);
    store_le(s.regs + 0xf0, 4, 0x1ff);
    store_le(s.regs + 0x350, 4, 0x700);
    ck_assert_int_ge(kvm_cpu_ioctl(c, KVM_SET_LAPIC, (uintptr_t)&s), 0);
}

/* End of interrupt, which the guest's handler of this test leaves to us. */
static void forget_in_service(Cpu *c, void *unused)
{
    struct kvm_lapic_state s;
    kvm_cpu_ioctl(c, KVM_GET_LAPIC, (uintptr_t)&s);
    memset(s.regs + 0x100, 0, 0x80);
    kvm_cpu_ioctl(c, KVM_SET_LAPIC, (uintptr_t)&s);
}

START_TEST(interrupts_wake_a_halted_cpu)
{
    start_machine(modes[_i], 1);
    cpu_platform.interrupt = take_interrupt;
    LOAD(interrupts, 0x1000);
    if (platform.irqchip != IRQCHIP_OFF) {
        cpu_run_on(cpu_at(0), enable_apic, NULL);
    }
    ck_assert(machine_continue(NULL));
    ck_assert(wait_for(&logged));
    CHECK_LOG(0, 0x10, 1, 1);
    for (unsigned i = 1; i <= 3; i++) {
        wait_ms(i == 2 ? 0 : 10); /* once while it is not asleep yet */
        unsigned before = logged;
        raise_interrupt();
        for (unsigned tries = 0; logged == before && tries < 1000; tries++) {
            wait_ms(1);
        }
        CHECK_LOG(i, 0x10, 1, 0x10);
        if (platform.irqchip == IRQCHIP_ON) {
            cpu_run_on(cpu_at(0), forget_in_service, NULL);
        }
    }
    while (logged < 5) {
        wait_ms(1);
    }
    CHECK_LOG(4, 0x10, 1, 2);
    wait_ms(10);
    ck_assert_uint_eq(done, 0);
    cpu_raise(cpu_at(0), CPU_EVENT_NMI);
    ck_assert(wait_for(&done));
    ck_assert_uint_eq(done, 4);
    ck_assert_uint_eq(peek(0x3001, 1), 1);
    stop_machine();
}
END_TEST

START_TEST(descriptors_interrupt)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    const uint64_t one = 1;
    start_machine("kvm,kernel-irqchip=on", 1);
    LOAD(interrupts, 0x1000);
    cpu_run_on(cpu_at(0), enable_apic, NULL);
    int handle = platform.irqfd_add(fd, 0xfee00000, 0x21);
    ck_assert_int_ge(handle, 0);
    ck_assert(machine_continue(NULL));
    ck_assert(wait_for(&logged));
    ck_assert_int_eq(write(fd, &one, 8), 8);
    for (unsigned tries = 0; logged < 2 && tries < 1000; tries++) {
        wait_ms(1);
    }
    CHECK_LOG(1, 0x10, 1, 0x10);
    platform.irqfd_remove(handle);
    cpu_run_on(cpu_at(0), forget_in_service, NULL);
    ck_assert_int_eq(write(fd, &one, 8), 8);
    wait_ms(50);
    ck_assert_uint_eq(logged, 2);
    ck_assert_int_eq(platform.irqfd_add(fd, 0xfee00000, 0x22), handle);
    platform.irqfd_remove(handle);
    stop_machine();
    close(fd);
}
END_TEST

/* A sleeping guest and a machine that waits cost nothing. */
START_TEST(idle_costs_nothing)
{
    start_machine(modes[_i], 1);
    LOAD(halt, 0x1000);
    wait_ms(20);
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    usleep(200000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    ck_assert_int_lt((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec, 2000000);
    ck_assert(machine_continue(NULL));
    wait_ms(200);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    usleep(200000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    ck_assert_int_lt((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec, 4000000);
    stop_machine();
}
END_TEST

int main(void)
{
    const Case cases[] = {
        CASE(interrupts_wake_a_halted_cpu, MODES),
        CASE(descriptors_interrupt, 1),
        CASE(idle_costs_nothing, MODES),
    };
    return run_cases("kvm-irq", cases, G_N_ELEMENTS(cases));
}
