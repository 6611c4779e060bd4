/* Interrupts under KVM: waking, descriptors, the window of an emulating KVM, the state of the
 * kernel's chips. */
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "hw/intc/apic.h"
#include "tests/unit/kvm-bench.h"

// clang-format off
GUEST(interrupts) GUEST(halt) GUEST(window) GUEST(halt_pending) GUEST(chips)
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

/* ---- The window of a KVM that emulates, and of one that does not ---- */

/* Modes in which the interrupt comes from here: all but the last. */
static void run_window_guest(unsigned code)
{
    on_request = raise_interrupt;
    cpu_platform.interrupt = take_interrupt;
    if (platform.irqchip != IRQCHIP_OFF) {
        cpu_run_on(cpu_at(0), enable_apic, NULL);
    }
    run_guest(code);
    ck_assert_uint_eq(peek(0x3000, 1), 20);
}

START_TEST(narrow_windows)
{
    start_machine(modes[_i], 1);
    LOAD(window, 0x1000);
    run_window_guest(12);
    stop_machine();
}
END_TEST

START_TEST(pending_before_halt)
{
    start_machine(modes[_i], 1);
    LOAD(halt_pending, 0x1000);
    run_window_guest(13);
    stop_machine();
}
END_TEST

/* ---- The state of the kernel's chips ---- */

static struct {
    Device *pic[2], *ioapic, *pit, *apic;
} chips;

static Device *make_chip(const char *type, bool master)
{
    Device *d = device_new(device_class_find(type), NULL);
    GError *error = NULL;
    ck_assert(!master || device_set(d, "master", "on", NULL));
    ck_assert_msg(device_realize(d, NULL, &error), "%s", error ? error->message : "");
    device_reset(d, true);
    return d;
}

static void start_with_chips(void)
{
    start_machine("kvm,kernel-irqchip=on", 1);
    chips.pic[0] = make_chip("isa-i8259", true);
    chips.pic[1] = make_chip("isa-i8259", false);
    chips.ioapic = make_chip("ioapic", false);
    chips.pit = make_chip("isa-pit", false);
    chips.apic = apic_new(cpu_at(0), NULL);
    device_reset(chips.apic, true);
}

static void load(Device *d, const char *row, unsigned i, uint64_t value)
{
    ck_assert(device_load(d, row, i, value, NULL));
}

START_TEST(chips_show_what_the_guest_did)
{
    start_with_chips();
    LOAD(chips, 0x1000);
    run_guest(14);
    Device *const all[] = {chips.pic[0], chips.pic[1], chips.pit};
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        platform.chip_fetch(all[i]);
    }
    ck_assert_uint_eq(device_peek(chips.pic[0], "vector", 0), 0x08);
    ck_assert_uint_eq(device_peek(chips.pic[0], "imr", 0), 0xb9);
    ck_assert_uint_eq(device_peek(chips.pic[1], "vector", 0), 0x70);
    ck_assert_uint_eq(device_peek(chips.pic[1], "imr", 0), 0x8f);
    ck_assert_uint_eq(device_peek(chips.pic[1], "elcr", 0), 0x0c);
    ck_assert_uint_eq(device_peek(chips.pic[0], "icw1", 0), 1);
    ck_assert_uint_eq(device_peek(chips.pit, "ch.control", 0), 0x34);
    ck_assert_uint_eq(device_peek(chips.pit, "ch.n", 0), 0x2345);
    ck_assert_uint_eq(device_peek(chips.pit, "ch.loaded", 0), 1);

    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) { /* a reset reaches the kernel */
        device_reset(all[i], false);
    }
    accel->reset();
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        load(all[i], i < 2 ? "vector" : "ch.n", 0, 0x50);
        platform.chip_fetch(all[i]);
    }
    ck_assert_uint_eq(device_peek(chips.pic[0], "vector", 0), 0);
    ck_assert_uint_eq(device_peek(chips.pic[0], "imr", 0), 0);
    ck_assert_uint_eq(device_peek(chips.pic[1], "elcr", 0), 0);
    ck_assert_uint_eq(device_peek(chips.pit, "ch.control", 0), 0x36);
    ck_assert_uint_eq(device_peek(chips.pit, "ch.n", 0), 65536);
    stop_machine();
}
END_TEST

static void collect(void *arg, const char *name, unsigned i, uint64_t value)
{
    if (!strcmp(name, "started") || !strcmp(name, "ch.origin")) {
        return; /* times are compared by what they mean */
    }
    g_string_append_printf(arg, "%s.%u=%" G_GINT64_MODIFIER "x\n", name, i, value);
}

/* What is loaded is in the kernel: after our copy has been wiped, it comes back from there. */
static void round_trip(Device *d)
{
    g_autoptr(GString) before = g_string_new(NULL), after = g_string_new(NULL);
    void (*fetch)(Device *) = platform.chip_fetch;
    platform.chip_fetch = NULL;
    device_save(d, collect, before);
    platform.chip_fetch = fetch;
    device_loaded(d);
    device_load_begin(d);
    device_save(d, collect, after);
    ck_assert_str_eq(after->str, before->str);
}

START_TEST(chips_round_trip)
{
    start_with_chips();
    Device *d = chips.pic[1];
    load(d, "vector", 0, 0x70);
    load(d, "imr", 0, 0x8e);
    load(d, "isr", 0, 0x10);
    load(d, "elcr", 0, 0x0c);
    load(d, "lowest", 0, 3);
    load(d, "icw1", 0, 1);
    load(d, "icw4", 0, 0x12);
    load(d, "wires", 0, 2);
    load(d, "lines", 0, 0x05);
    load(d, "latch", 0, 0x01);
    load(d, "special_mask", 0, 1);
    round_trip(d);
    ck_assert_uint_eq(device_peek(d, "lowest", 0), 3);
    ck_assert_uint_eq(device_peek(d, "lines", 0), 5);

    d = chips.ioapic;
    load(d, "index", 0, 0x12);
    load(d, "id", 0, 0x05000000);
    load(d, "table", 4, UINT64_C(0x0100000000010831));
    load(d, "table", 23, UINT64_C(0x010000000001a8b1));
    load(d, "lines", 0, 0x800010);
    round_trip(d);
    ck_assert_uint_eq(device_peek(d, "table", 23), UINT64_C(0x010000000001a8b1));

    d = chips.pit;
    for (unsigned i = 0; i < 3; i++) { /* a fetch takes what the kernel counts as loaded */
        load(d, "ch.loaded", i, 1);
        load(d, "ch.null", i, 0);
        load(d, "ch.reload", i, 0x1111 * (i + 1));
        load(d, "ch.n", i, 0x1111 * (i + 1));
        load(d, "ch.load_at", i, INT64_MAX / 4);
        load(d, "ch.origin", i, 0);
    }
    load(d, "ch.control", 0, 0x34);
    load(d, "ch.control", 1, 0x18);
    load(d, "ch.control", 2, 0x36);
    load(d, "ch.latch", 2, 0x1234);
    load(d, "ch.latched", 2, 1);
    load(d, "ch.read_high", 2, 1);
    load(d, "ch.gate", 2, 1);
    round_trip(d);
    ck_assert_uint_eq(device_peek(d, "ch.n", 1), 0x2222);

    d = chips.apic;
    load(d, "tpr", 0, 0x20);
    load(d, "svr", 0, 0x1ff);
    load(d, "ldr", 0, 0x01000000);
    load(d, "irr", 2, 0x80);
    load(d, "lvt_timer", 0, 0x10040);
    load(d, "lvt_lint0", 0, 0x10700);
    load(d, "dcr", 0, 0x0b);
    load(d, "icr_count", 0, 4000000000);
    load(d, "started", 0, 0);
    round_trip(d);
    ck_assert_uint_eq(device_peek(d, "svr", 0), 0x1ff);
    ck_assert_uint_gt(device_peek(d, "ccr", 0), 3000000000);
    stop_machine();
}
END_TEST

/* While the HPET has the timer's line the kernel's timer keeps off it, also when its state is set.
 */
START_TEST(hpet_replaces_the_timer)
{
    start_with_chips();
    struct kvm_pit_state2 s = {0};
    platform.pit_cut_off(true);
    kvm_vm_ioctl(KVM_GET_PIT2, (uintptr_t)&s);
    ck_assert(s.flags & KVM_PIT_FLAGS_HPET_LEGACY);
    device_loaded(chips.pit);
    kvm_vm_ioctl(KVM_GET_PIT2, (uintptr_t)&s);
    ck_assert(s.flags & KVM_PIT_FLAGS_HPET_LEGACY);
    platform.pit_cut_off(false);
    kvm_vm_ioctl(KVM_GET_PIT2, (uintptr_t)&s);
    ck_assert(!(s.flags & KVM_PIT_FLAGS_HPET_LEGACY));
    stop_machine();
}
END_TEST

int main(void)
{
    const Case cases[] = {
        CASE(interrupts_wake_a_halted_cpu, MODES),
        CASE(descriptors_interrupt, 1),
        CASE(idle_costs_nothing, MODES),
        CASE(narrow_windows, 2),
        CASE(pending_before_halt, 2),
        CASE(chips_show_what_the_guest_did, 1),
        CASE(chips_round_trip, 1),
        CASE(hpet_replaces_the_timer, 1),
    };
    return run_cases("kvm-irq", cases, G_N_ELEMENTS(cases));
}
