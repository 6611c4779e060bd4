/* SDM vol 3 chapter 11: priorities, EOI, local vectors, the timer's modes, IPIs, logical
 * destinations, MSI, x2APIC. */
#include "hw/intc/apic.h"

#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/platform.h"
#include "tests/hw/bench.h"

extern const DeviceClass apic_class, isa_i8259_class, ioapic_class;
enum {
    ID = 0x20,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    COUNT = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0
};
enum { CPUS = 3 };

static Cpu *cpu[CPUS];
static Device *apic[CPUS], *pic;

/* Enabled, as an operating system has them. */
static void setup(void)
{
    pic = bench_device(&isa_i8259_class, "master=on");
    apic_platform_install(pic);
    for (unsigned i = 0; i < CPUS; i++) {
        cpu[i] = cpu_new(NULL, i, space_memory());
        apic[i] = device_new(&apic_class, NULL);
        apic_set_cpu(apic[i], cpu[i]);
        ck_assert(device_realize(apic[i], NULL, NULL));
        out32(apic[i], SVR, 0x1ff);
    }
}

static unsigned events(unsigned i)
{
    return atomic_load(&cpu[i]->events);
}
static bool intr(unsigned i)
{
    return events(i) & CPU_EVENT_INTR;
}
static int take(unsigned i)
{
    return cpu_platform.interrupt(cpu[i]);
}
static bool requested(unsigned i, unsigned vector)
{
    return in32(apic[i], IRR + vector / 32 * 16) >> vector % 32 & 1;
}
static void ipi(unsigned from, uint32_t dest, uint32_t low)
{
    out32(apic[from], ICR_HIGH, dest << 24);
    out32(apic[from], ICR, low);
}

START_TEST(reset_state)
{
    setup();
    device_reset(apic[0], false);
    device_reset(apic[1], false);
    ck_assert_uint_eq(in32(apic[1], ID), 0x01000000);
    ck_assert_uint_eq(in32(apic[1], SVR), 0xff);
    ck_assert_uint_eq(in32(apic[1], DFR), 0xffffffff);
    ck_assert_uint_eq(in32(apic[1], LVT_LINT0), 0x10000);
    ck_assert_uint_eq(in32(apic[0], LVT_LINT0), 0x700);
    ck_assert_uint_eq(in32(apic[0], 0x30) & 0xff, 0x14);
    ck_assert_uint_eq(cpu_platform.apic_base_get(cpu[0]), 0xfee00900);
    ck_assert_uint_eq(cpu_platform.apic_base_get(cpu[1]), 0xfee00800);
    out32(apic[1], LVT_ERROR, 0x40); /* stays masked while the APIC is disabled */
    ck_assert_uint_eq(in32(apic[1], LVT_ERROR), 0x10040);
}
END_TEST

START_TEST(priorities)
{
    setup();
    apic_bus_deliver(0, false, APIC_FIXED, 0x41, true, false);
    apic_bus_deliver(0, false, APIC_FIXED, 0x63, true, false);
    apic_bus_deliver(0, false, APIC_FIXED, 0x68, true, false);
    ck_assert(intr(0) && !intr(1));
    ck_assert_int_eq(take(0), 0x68);
    ck_assert_uint_eq(in32(apic[0], PPR), 0x60);
    ck_assert_uint_eq(in32(apic[0], ISR + 0x30), 1u << 8);
    ck_assert(!intr(0)); /* 63 is of the same class */
    ck_assert_int_eq(take(0), -1);
    apic_bus_deliver(0, false, APIC_FIXED, 0x70, true, false);
    ck_assert_int_eq(take(0), 0x70); /* nests */
    out32(apic[0], EOI, 0);
    ck_assert_uint_eq(in32(apic[0], PPR), 0x60);
    out32(apic[0], EOI, 0);
    ck_assert_int_eq(take(0), 0x63);
    out32(apic[0], EOI, 0);
    out32(apic[0], TPR, 0x40); /* holds back 41 */
    ck_assert(!intr(0));
    ck_assert_uint_eq(in32(apic[0], PPR), 0x40);
    cpu_platform.tpr_set(cpu[0], 3);
    ck_assert_uint_eq(in32(apic[0], TPR), 0x30);
    ck_assert_int_eq(take(0), 0x41);
    ck_assert_uint_eq(cpu_platform.tpr_get(cpu[0]), 3);
}
END_TEST

static unsigned ended;
static void note_eoi(void *arg, uint8_t vector)
{
    ended = vector;
}

START_TEST(trigger_mode_and_eoi)
{
    setup();
    apic_on_eoi(note_eoi, NULL);
    apic_bus_deliver(0, false, APIC_FIXED, 0x51, true, true);
    ck_assert_uint_eq(in32(apic[0], TMR + 0x20), 1u << 0x11);
    take(0);
    out32(apic[0], EOI, 0);
    ck_assert_uint_eq(ended, 0x51);
    ended = 0;
    apic_bus_deliver(0, false, APIC_FIXED, 0x51, true, false);
    take(0);
    out32(apic[0], EOI, 0);
    ck_assert_uint_eq(ended, 0); /* edges tell nobody */
    out32(apic[0], SVR, 0x11ff); /* directed EOI */
    apic_bus_deliver(0, false, APIC_FIXED, 0x51, true, true);
    take(0);
    out32(apic[0], EOI, 0);
    ck_assert_uint_eq(ended, 0);
}
END_TEST

START_TEST(timer_one_shot)
{
    setup();
    out32(apic[0], DIVIDE, 0x03); /* 16 */
    out32(apic[0], LVT_TIMER, 0x30);
    out32(apic[0], COUNT, 1000);
    bench_advance(8000);
    ck_assert_uint_eq(in32(apic[0], CURRENT), 500);
    ck_assert(!intr(0));
    bench_advance(7999);
    ck_assert(!intr(0));
    bench_advance(1);
    ck_assert(intr(0));
    ck_assert_uint_eq(in32(apic[0], CURRENT), 0);
    ck_assert_int_eq(take(0), 0x30);
    out32(apic[0], EOI, 0);
    bench_advance(NS_PER_SECOND);
    ck_assert(!intr(0));
    out32(apic[0], COUNT, 1000);
    out32(apic[0], COUNT, 0); /* stops it */
    bench_advance(NS_PER_SECOND);
    ck_assert(!intr(0));
    out32(apic[0], LVT_TIMER, 0x10030);
    out32(apic[0], COUNT, 1000);
    bench_advance(NS_PER_SECOND);
    ck_assert(!intr(0)); /* masked */
}
END_TEST

START_TEST(timer_periodic)
{
    setup();
    unsigned n = 0;
    out32(apic[0], DIVIDE, 0x0b); /* 1 */
    out32(apic[0], LVT_TIMER, 0x20030);
    out32(apic[0], COUNT, 1000000);
    for (unsigned i = 0; i < 1000; i++) {
        bench_advance(100 * NS_PER_US);
        if (intr(0)) {
            ck_assert_int_eq(take(0), 0x30);
            out32(apic[0], EOI, 0);
            n++;
        }
    }
    ck_assert_uint_eq(n, 100);
    out32(apic[0], COUNT, 1); /* a billion a second: bounded */
    bench_advance(NS_PER_SECOND);
    ck_assert(intr(0));
}
END_TEST

START_TEST(timer_deadline)
{
    setup();
    apic_set_tsc(apic[0], UINT64_C(2000000000), 500);
    apic_set_tsc_deadline(apic[0], 1000);
    ck_assert_uint_eq(apic_tsc_deadline(apic[0]), 0); /* not in that mode */
    out32(apic[0], LVT_TIMER, 0x40044);
    apic_set_tsc_deadline(apic[0], 2000500); /* at 1 ms */
    ck_assert_uint_eq(apic_tsc_deadline(apic[0]), 2000500);
    bench_advance(999 * NS_PER_US);
    ck_assert(!intr(0));
    bench_advance(2 * NS_PER_US);
    ck_assert_int_eq(take(0), 0x44);
    ck_assert_uint_eq(apic_tsc_deadline(apic[0]), 0);
    out32(apic[0], EOI, 0);
    apic_set_tsc_deadline(apic[0], 1); /* in the past: at once */
    ck_assert(intr(0));
}
END_TEST

START_TEST(ipis)
{
    setup();
    ipi(0, 2, 0x4055);
    ck_assert(requested(2, 0x55) && !requested(1, 0x55));
    ipi(0, 0xff, 0x4056); /* physical broadcast */
    ck_assert(requested(0, 0x56) && requested(1, 0x56) && requested(2, 0x56));
    ipi(1, 0, 0x44057); /* self */
    ck_assert(requested(1, 0x57) && !requested(0, 0x57));
    ipi(1, 0, 0xc4058); /* all but self */
    ck_assert(requested(0, 0x58) && !requested(1, 0x58) && requested(2, 0x58));
    ipi(1, 0, 0x84059); /* all */
    ck_assert(requested(0, 0x59) && requested(1, 0x59) && requested(2, 0x59));
    ipi(0, 1, 0x4500); /* INIT, SIPI */
    ck_assert_uint_eq(events(1) & CPU_EVENT_INIT, CPU_EVENT_INIT);
    ipi(0, 1, 0x4609);
    ck_assert_uint_eq(events(1) & CPU_EVENT_SIPI, CPU_EVENT_SIPI);
    ck_assert_uint_eq(cpu[1]->sipi_vector, 9);
    ipi(0, 2, 0x4400);
    ck_assert_uint_eq(events(2) & CPU_EVENT_NMI, CPU_EVENT_NMI);
    ipi(0, 2, 0x4200);
    ck_assert_uint_eq(events(2) & CPU_EVENT_SMI, CPU_EVENT_SMI);
    ipi(0, 0, 0x8500); /* INIT level de-assert */
    ck_assert_uint_eq(events(0) & CPU_EVENT_INIT, 0);
}
END_TEST

START_TEST(logical)
{
    setup();
    for (unsigned i = 0; i < CPUS; i++) {
        out32(apic[i], LDR, 1u << (24 + i));
    }
    ipi(0, 0x06, 0x4860); /* flat: 1 and 2 */
    ck_assert(!requested(0, 0x60) && requested(1, 0x60) && requested(2, 0x60));
    for (unsigned i = 0; i < CPUS; i++) {
        out32(apic[i], DFR, 0x0fffffff);
        out32(apic[i], LDR, (i == 2 ? 0x21u : 0x11u << i % 2) << 24); /* 11, 22, 21 */
    }
    ipi(0, 0x23, 0x4861); /* cluster 2, members 1 and 2 */
    ck_assert(!requested(0, 0x61) && requested(1, 0x61) && requested(2, 0x61));
    ipi(0, 0x22, 0x4862);
    ck_assert(requested(1, 0x62) && !requested(2, 0x62));
}
END_TEST

START_TEST(lowest_priority)
{
    setup();
    for (unsigned i = 0; i < CPUS; i++) {
        out32(apic[i], LDR, 1u << (24 + i));
    }
    out32(apic[0], TPR, 0x50);
    out32(apic[2], TPR, 0x20);
    out32(apic[1], TPR, 0x30);
    ipi(0, 0x07, 0x4970);
    ck_assert(!requested(0, 0x70) && !requested(1, 0x70) && requested(2, 0x70));
    out32(apic[2], SVR, 0xff); /* a disabled one takes nothing */
    ipi(0, 0x07, 0x4971);
    ck_assert(requested(1, 0x71));
}
END_TEST

START_TEST(errors)
{
    setup();
    out32(apic[0], LVT_ERROR, 0xfe);
    ipi(0, 1, 0x4005); /* vectors below 16 cannot be sent */
    ck_assert(requested(0, 0xfe));
    ck_assert_uint_eq(in32(apic[0], ESR), 0);
    out32(apic[0], ESR, 0);
    ck_assert_uint_eq(in32(apic[0], ESR), 0x20);
    out32(apic[0], ESR, 0);
    ck_assert_uint_eq(in32(apic[0], ESR), 0);
    apic_bus_deliver(0, false, APIC_FIXED, 3, true, false);
    out32(apic[0], ESR, 0);
    ck_assert_uint_eq(in32(apic[0], ESR), 0x40);
}
END_TEST

START_TEST(pic_through_lint0)
{
    setup();
    out8(pic, 0, 0x11), out8(pic, 1, 0x08), out8(pic, 1, 4), out8(pic, 1, 1), out8(pic, 1, 0);
    irq_connect(device_pin(pic, "int", 0), apic_pic_int, NULL, 0);
    out32(apic[0], LVT_LINT0, 0x700);
    device_input(pic, 1, true);
    ck_assert(intr(0) && !intr(1));
    ck_assert_int_eq(take(0), 0x09);
    ck_assert(!intr(0));
    out8(pic, 0, 0x20);
    out32(apic[0], LVT_LINT0, 0x10700);
    device_input(pic, 1, false);
    device_input(pic, 1, true);
    ck_assert(!intr(0));
    out32(apic[0], LVT_LINT0, 0x700);
    ck_assert(intr(0));
    out32(apic[0], LVT_LINT0, 0x10700);
    cpu_platform.apic_base_set(cpu[0], 0xfee00000); /* globally disabled: straight to INTR */
    ck_assert(intr(0));
    out32(apic[1], LVT_LINT1, 0x400);
    device_input(apic[1], APIC_LINT1, true);
    ck_assert_uint_eq(events(1) & CPU_EVENT_NMI, CPU_EVENT_NMI);
}
END_TEST

START_TEST(messages)
{
    setup();
    apic_send_msi(0xfee01000, 0x4081);
    ck_assert(requested(1, 0x81));
    out32(apic[2], LDR, 0x04000000);
    apic_send_msi(0xfee0400c, 0xc182); /* logical, lowest, level */
    ck_assert(requested(2, 0x82));
    ck_assert_uint_eq(in32(apic[2], TMR + 0x40) >> 2 & 1, 1);
    /* through the window: a device's write is a message, a CPU's reaches its own page */
    Region *r = apic_region();
    region_map(space_root(space_memory()), r, 0xfee00000, 0);
    mem_commit();
    space_store(space_memory(), 0xfee02000, 4, 0x4083);
    ck_assert(requested(2, 0x83));
    cpu_set_current(cpu[1]);
    ck_assert_uint_eq(space_load(space_memory(), 0xfee00020, 4), 0x01000000);
    space_store(space_memory(), 0xfee00080, 4, 0x20);
    ck_assert_uint_eq(in32(apic[1], TPR), 0x20);
    ck_assert_uint_eq(in32(apic[0], TPR), 0);
    cpu_set_current(NULL);
}
END_TEST

static Device *ioapic;
static void forward_eoi(uint8_t vector)
{
    ioapic_eoi(ioapic, vector);
}

/* As a board wires it: pin -> I/O APIC -> message -> local APIC -> EOI -> I/O APIC. */
START_TEST(whole_chain)
{
    GError *error = NULL;
    Cpu *c = cpu_new(NULL, 0, space_memory());
    ck_assert_ptr_nonnull(apic_new(c, &error));
    ioapic = bench_device(&ioapic_class, "");
    pic = bench_device(&isa_i8259_class, "master=on");
    apic_wire_pic(device_pin(pic, "int", 0), pic);
    platform.eoi = forward_eoi;
    mem_commit();
    cpu_set_current(c);
    space_store(space_memory(), 0xfee000f0, 4, 0x1ff);
    out32(ioapic, 0, 0x10 + 2 * 9);
    out32(ioapic, 0x10, 0x8071); /* pin 9: level, vector 71, CPU 0 */
    device_input(ioapic, 9, true);
    ck_assert_int_eq(cpu_platform.interrupt(c), 0x71);
    ck_assert_int_eq(cpu_platform.interrupt(c), -1);
    space_store(space_memory(), 0xfee000b0, 4, 0);
    ck_assert_int_eq(cpu_platform.interrupt(c), 0x71); /* still asserted */
    device_input(ioapic, 9, false);
    space_store(space_memory(), 0xfee000b0, 4, 0);
    ck_assert_int_eq(cpu_platform.interrupt(c), -1);
    ck_assert_uint_eq(atomic_load(&c->events) & CPU_EVENT_INTR, 0);
    cpu_set_current(NULL);
    platform.eoi = NULL;
    apic_platform_remove();
}
END_TEST

START_TEST(x2apic)
{
    uint64_t v;
    setup();
    ck_assert(!cpu_platform.x2apic_read(cpu[1], 0x02, &v)); /* not in that mode */
    for (unsigned i = 0; i < CPUS; i++) {
        ck_assert(cpu_platform.apic_base_set(cpu[i], cpu_platform.apic_base_get(cpu[i]) | 0x400));
    }
    ck_assert(cpu_platform.x2apic_read(cpu[2], 0x02, &v));
    ck_assert_uint_eq(v, 2);
    ck_assert(cpu_platform.x2apic_read(cpu[2], 0x0d, &v));
    ck_assert_uint_eq(v, 4);
    ck_assert(!cpu_platform.x2apic_write(cpu[2], 0x0d, 1));
    ck_assert(!cpu_platform.x2apic_read(cpu[2], 0x0e, &v)); /* no DFR */
    ck_assert(!cpu_platform.x2apic_write(cpu[2], 0x0b, 1)); /* EOI takes 0 only */
    ck_assert(cpu_platform.x2apic_write(cpu[0], 0x30, UINT64_C(2) << 32 | 0x4090));
    ck_assert(requested(2, 0x90));
    ck_assert(cpu_platform.x2apic_read(cpu[0], 0x30, &v));
    ck_assert_uint_eq(v, UINT64_C(2) << 32 | 0x4090);
    ck_assert(
        cpu_platform.x2apic_write(cpu[0], 0x30, UINT64_C(6) << 32 | 0x4891)); /* logical: 1 and 2 */
    ck_assert(requested(1, 0x91) && requested(2, 0x91) && !requested(0, 0x91));
    ck_assert(cpu_platform.x2apic_write(cpu[0], 0x30, UINT64_C(0xffffffff) << 32 | 0x4092));
    ck_assert(requested(0, 0x92) && requested(1, 0x92));
    ck_assert(cpu_platform.x2apic_write(cpu[1], 0x3f, 0x93)); /* self IPI */
    ck_assert(requested(1, 0x93) && !requested(0, 0x93));
}
END_TEST

START_TEST(init_keeps_identity)
{
    setup();
    out32(apic[1], TPR, 0x30);
    apic_bus_deliver(1, false, APIC_FIXED, 0x71, true, false);
    cpu_platform.apic_reset(cpu[1], true);
    ck_assert_uint_eq(in32(apic[1], ID), 0x01000000);
    ck_assert_uint_eq(in32(apic[1], TPR), 0);
    ck_assert(!requested(1, 0x71) && !intr(1));
    ck_assert_uint_eq(in32(apic[1], SVR), 0xff);
}
END_TEST

/* APIC IDs that do not fit in 8 bits: a message has 15 bits for them, and what is not yet in x2APIC mode is named by all
 * the same. */
START_TEST(wide_ids)
{
    enum { X2 = 0xc00, EXTENDED = 1 << 5 };
    static const uint32_t ids[CPUS] = {0, 255, 256};
    setup();
    for (unsigned i = 0; i < CPUS; i++) {
        cpu[i]->apic_id = ids[i];
        device_reset(apic[i], true);
        out32(apic[i], SVR, 0x1ff);
    }
    apic_send_msi(0xfee00000, 0x50); /* not 256, whose register holds a 0 */
    ck_assert_int_eq(take(0), 0x50);
    ck_assert(!intr(2));
    apic_send_msi(0xfee00000 | EXTENDED, 0x51);
    ck_assert(!intr(0) && intr(2));
    ck_assert_int_eq(take(2), 0x51);
    apic_send_msi(0xfeeff000, 0x52); /* all, while no CPU in x2APIC mode has that ID */
    for (unsigned i = 0; i < CPUS; i++) {
        ck_assert(requested(i, 0x52));
    }
    cpu_platform.apic_base_set(cpu[0], 0xfee00000 | X2);
    ck_assert(cpu_platform.x2apic_write(cpu[0], 0x30, UINT64_C(256) << 32 | 0x4500)); /* INIT */
    ck_assert(events(2) & CPU_EVENT_INIT);
    ck_assert(!(events(1) & CPU_EVENT_INIT));
    cpu_platform.apic_base_set(cpu[1], 0xfee00000 | X2);
    apic_send_msi(0xfeeff000, 0x53);
    ck_assert_int_eq(take(1), 0x53);
    ck_assert(!intr(0) && !intr(2));
}
END_TEST

BENCH_MAIN("apic", CASE(reset_state), CASE(priorities), CASE(trigger_mode_and_eoi),
           CASE(timer_one_shot), CASE(timer_periodic), CASE(timer_deadline), CASE(ipis),
           CASE(logical), CASE(lowest_priority), CASE(errors), CASE(pic_through_lint0),
           CASE(messages), CASE(whole_chain), CASE(x2apic), CASE(wide_ids), CASE(init_keeps_identity))
