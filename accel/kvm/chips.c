/* The kernel's interrupt controllers and timer <-> the rows of our devices.
 *
 * Where the kernel has a chip, our device of it sees no access; it is the form in which that chip's
 * state is reset, shown and saved.  Both sides are named by datasheet registers, so a table says
 * most of it; what the two keep differently is beside it.  Row values pass through device_save and
 * device_load as in a snapshot: what the kernel says is checked like one. */
#include <errno.h>
#include <string.h>

#include "accel/kvm/kvm.h"
#include "core/clock.h"

enum { PIC_ICW1_IC4 = 1, PIC_ICW4_AEOI = 2, PIC_ICW4_SFNM = 0x10 };
enum {
    PIT_RW_BOTH = 3,
    PIT_WORD_HIGH = 4
}; /* read and write states of the kernel: 1 low, 2 high, 3 and 4 both */
enum { PIT_COUNTERS = 3, PIT_HZ = 1193182 };
enum { APIC_TIMER_MODE = 3 << 17, APIC_TIMER_PERIODIC = 1 << 17, APIC_TIMER_DEADLINE = 2 << 17 };

static bool copying; /* device_save and device_loaded of a copy must not copy again; main lock */
static bool hpet_legacy; /* the HPET has the line of the timer */

/* ---- Rows ---- */

typedef struct Wanted {
    const char *name;
    unsigned i;
    uint64_t value;
} Wanted;

static void take_wanted(void *arg, const char *name, unsigned i, uint64_t value)
{
    Wanted *w = arg;
    if (i == w->i && !strcmp(name, w->name)) {
        w->value = value;
    }
}

static uint64_t get_at(const Device *d, const char *name, unsigned i)
{
    Wanted w = {name, i, 0};
    device_save(d, take_wanted, &w);
    return w.value;
}

static uint64_t get(const Device *d, const char *name)
{
    return get_at(d, name, 0);
}

static void set_at(Device *d, const char *name, unsigned i, uint64_t value)
{
    g_autoptr(GError) error = NULL;
    if (!device_load(d, name, i, value, &error)) {
        warn_report("KVM's chip: %s", error->message);
    }
}

static void set(Device *d, const char *name, uint64_t value)
{
    set_at(d, name, 0, value);
}

static bool done(Device *d, const char *what, int r)
{
    if (r < 0) {
        warn_report("KVM cannot %s the state of %s: %s", what, d->class->name, g_strerror(-r));
    }
    return r >= 0;
}

/* ---- 8259 ---- */

static const struct {
    const char *row;
    size_t at; /* a byte of struct kvm_pic_state */
} pic_bytes[] = {
    {"lines", offsetof(struct kvm_pic_state, last_irr)},
    {"imr", offsetof(struct kvm_pic_state, imr)},
    {"isr", offsetof(struct kvm_pic_state, isr)},
    {"vector", offsetof(struct kvm_pic_state, irq_base)},
    {"read_isr", offsetof(struct kvm_pic_state, read_reg_select)},
    {"poll", offsetof(struct kvm_pic_state, poll)},
    {"special_mask", offsetof(struct kvm_pic_state, special_mask)},
    {"rotate_aeoi", offsetof(struct kvm_pic_state, rotate_on_auto_eoi)},
    {"step", offsetof(struct kvm_pic_state, init_state)},
    {"elcr", offsetof(struct kvm_pic_state, elcr)},
};

static bool pic_is_master(const Device *d)
{
    return device_peek(d, "master", 0);
}

static struct kvm_irqchip pic_of(const Device *d)
{
    return (struct kvm_irqchip){.chip_id = pic_is_master(d) ? KVM_IRQCHIP_PIC_MASTER
                                                            : KVM_IRQCHIP_PIC_SLAVE};
}

static void fetch_pic(Device *d)
{
    struct kvm_irqchip chip = pic_of(d);
    if (!done(d, "fetch", kvm_vm_ioctl(KVM_GET_IRQCHIP, (uintptr_t)&chip))) {
        return;
    }
    const struct kvm_pic_state *s = &chip.chip.pic;
    for (unsigned i = 0; i < G_N_ELEMENTS(pic_bytes); i++) {
        set(d, pic_bytes[i].row, ((const uint8_t *)s)[pic_bytes[i].at]);
    }
    set(d, "latch",
        s->irr & ~s->elcr & 0xff); /* the kernel's IRR has levels and latched edges in one */
    set(d, "lowest", (s->priority_add - 1) & 7);
    set(d, "icw1", s->init4 ? PIC_ICW1_IC4 : 0);
    set(d, "icw4",
        (s->auto_eoi ? PIC_ICW4_AEOI : 0) | (s->special_fully_nested_mode ? PIC_ICW4_SFNM : 0));
    set(d, "wires", pic_is_master(d) ? 1 << 2 : 2); /* the kernel's are always wired as in a PC */
}

static void flush_pic(Device *d)
{
    struct kvm_irqchip chip = pic_of(d);
    struct kvm_pic_state *s = &chip.chip.pic;
    for (unsigned i = 0; i < G_N_ELEMENTS(pic_bytes); i++) {
        ((uint8_t *)s)[pic_bytes[i].at] = (uint8_t)get(d, pic_bytes[i].row);
    }
    uint8_t icw4 = (uint8_t)get(d, "icw4");
    s->elcr_mask = pic_is_master(d) ? 0xf8 : 0xde;
    s->irr = (uint8_t)((get(d, "latch") & ~s->elcr) | (s->last_irr & s->elcr));
    s->priority_add = (get(d, "lowest") + 1) & 7;
    s->init4 = get(d, "icw1") & PIC_ICW1_IC4;
    s->auto_eoi = (icw4 & PIC_ICW4_AEOI) != 0;
    s->special_fully_nested_mode = (icw4 & PIC_ICW4_SFNM) != 0;
    done(d, "set", kvm_vm_ioctl(KVM_SET_IRQCHIP, (uintptr_t)&chip));
}

/* ---- I/O APIC ---- */

static void fetch_ioapic(Device *d)
{
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
    if (!done(d, "fetch", kvm_vm_ioctl(KVM_GET_IRQCHIP, (uintptr_t)&chip))) {
        return;
    }
    const struct kvm_ioapic_state *s = &chip.chip.ioapic;
    set(d, "index", s->ioregsel & 0xff);
    set(d, "id", (s->id & 15) << 24);
    set(d, "lines", s->irr & 0xffffff);
    for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        set_at(d, "table", i, s->redirtbl[i].bits);
    }
}

static void flush_ioapic(Device *d)
{
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
    struct kvm_ioapic_state *s = &chip.chip.ioapic;
    s->base_address = 0xfec00000;
    s->ioregsel = (uint32_t)get(d, "index");
    s->id = (uint32_t)get(d, "id") >> 24;
    s->irr = (uint32_t)get(d, "lines");
    for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        s->redirtbl[i].bits = get_at(d, "table", i);
    }
    done(d, "set", kvm_vm_ioctl(KVM_SET_IRQCHIP, (uintptr_t)&chip));
}

/* ---- 8254: ours knows the CLK at which a count began, on the virtual clock; the kernel its own
 * time of it ---- */

/* The kernel's is CLOCK_MONOTONIC. */
static int64_t kernel_now(void)
{
    return g_get_monotonic_time() * NS_PER_US;
}

static int64_t pit_clk_now(const Device *d)
{
    return muldiv64(now(d), PIT_HZ, NS_PER_SECOND);
}

static void fetch_counter(Device *d, unsigned i, const struct kvm_pit_channel_state *s)
{
    unsigned rw = s->rw_mode & 3, mode = s->mode > 5 ? 3 : s->mode;
    bool triggered = mode == 1 || mode == 5, held = !s->gate && !triggered;
    uint32_t n = s->count && s->count <= 65536 ? s->count : 65536;
    int64_t elapsed = MAX(kernel_now() - s->count_load_time, 0);
    set_at(d, "ch.control", i, (rw ? rw : PIT_RW_BOTH) << 4 | mode << 1 | (s->bcd & 1));
    set_at(d, "ch.reload", i, s->write_state == PIT_WORD_HIGH ? s->write_latch : n & 0xffff);
    set_at(d, "ch.n", i, n);
    set_at(d, "ch.origin", i,
           held ? 0
                : (uint64_t)(pit_clk_now(d) - (int64_t)muldiv64(elapsed, PIT_HZ, NS_PER_SECOND)));
    set_at(d, "ch.latch", i, s->latched_count);
    set_at(d, "ch.status", i, s->status);
    set_at(d, "ch.loaded", i, true);
    set_at(d, "ch.null", i, false);
    set_at(d, "ch.held", i, held);
    set_at(d, "ch.gate", i, s->gate != 0);
    set_at(d, "ch.latched", i, s->count_latched != 0);
    set_at(d, "ch.status_latched", i, s->status_latched != 0);
    set_at(d, "ch.read_high", i,
           s->count_latched ? s->count_latched == PIT_WORD_HIGH : s->read_state == PIT_WORD_HIGH);
    set_at(d, "ch.write_high", i, s->write_state == PIT_WORD_HIGH);
}

static void flush_counter(const Device *d, unsigned i, struct kvm_pit_channel_state *s)
{
    uint8_t control = (uint8_t)get_at(d, "ch.control", i);
    uint8_t rw = control >> 4 & 3, mode = control >> 1 & 7;
    bool read_high = get_at(d, "ch.read_high", i), write_high = get_at(d, "ch.write_high", i);
    int64_t clks = MAX(pit_clk_now(d) - (int64_t)get_at(d, "ch.origin", i), 0);
    s->mode = mode > 5 ? mode - 4 : mode;
    s->bcd = control & 1;
    s->rw_mode = rw;
    s->read_state = rw == PIT_RW_BOTH && read_high ? PIT_WORD_HIGH : rw;
    s->write_state = rw == PIT_RW_BOTH && write_high ? PIT_WORD_HIGH : rw;
    s->write_latch = (uint8_t)get_at(d, "ch.reload", i);
    s->count = (uint32_t)get_at(d, "ch.n", i);
    s->count = s->count ? s->count : 65536;
    s->latched_count = (uint16_t)get_at(d, "ch.latch", i);
    s->count_latched = get_at(d, "ch.latched", i) ? s->read_state : 0;
    s->status = (uint8_t)get_at(d, "ch.status", i);
    s->status_latched = (uint8_t)get_at(d, "ch.status_latched", i);
    s->gate = (uint8_t)get_at(d, "ch.gate", i);
    s->count_load_time = kernel_now() - (int64_t)muldiv64(clks, NS_PER_SECOND, PIT_HZ);
}

static void fetch_pit(Device *d)
{
    struct kvm_pit_state2 s = {0};
    if (done(d, "fetch", kvm_vm_ioctl(KVM_GET_PIT2, (uintptr_t)&s))) {
        for (unsigned i = 0; i < PIT_COUNTERS; i++) {
            fetch_counter(d, i, &s.channels[i]);
        }
    }
}

/* The kernel starts counter 0 anew. */
static void flush_pit(Device *d)
{
    struct kvm_pit_state2 s = {.flags = hpet_legacy ? KVM_PIT_FLAGS_HPET_LEGACY : 0};
    for (unsigned i = 0; i < PIT_COUNTERS; i++) {
        flush_counter(d, i, &s.channels[i]);
    }
    done(d, "set", kvm_vm_ioctl(KVM_SET_PIT2, (uintptr_t)&s));
}

void kvm_pit_cut_off(bool replaced)
{
    struct kvm_pit_state2 s = {0};
    hpet_legacy = replaced;
    int r = kvm_vm_ioctl(KVM_GET_PIT2, (uintptr_t)&s);
    if (r >= 0) {
        s.flags = (s.flags & ~(uint32_t)KVM_PIT_FLAGS_HPET_LEGACY) |
                  (replaced ? KVM_PIT_FLAGS_HPET_LEGACY : 0);
        r = kvm_vm_ioctl(KVM_SET_PIT2, (uintptr_t)&s);
    }
    if (r < 0) {
        warn_report("KVM cannot connect its timer with the HPET: %s", g_strerror(-r));
    }
}

/* ---- Local APIC: registers lie in the kernel's page as in the APIC's own (SDM vol 3, table 11-1)
 * ---- */

static const struct {
    const char *row;
    uint16_t at, count;
} apic_regs[] = {
    {"xapic_id", 0x20, 1},     {"tpr", 0x80, 1},        {"ldr", 0xd0, 1},
    {"dfr", 0xe0, 1},          {"svr", 0xf0, 1},        {"isr", 0x100, 8},
    {"tmr", 0x180, 8},         {"irr", 0x200, 8},       {"esr", 0x280, 1},
    {"lvt_cmci", 0x2f0, 1},    {"icr", 0x300, 1},       {"lvt_timer", 0x320, 1},
    {"lvt_thermal", 0x330, 1}, {"lvt_perf", 0x340, 1},  {"lvt_lint0", 0x350, 1},
    {"lvt_lint1", 0x360, 1},   {"lvt_error", 0x370, 1}, {"icr_count", 0x380, 1},
    {"dcr", 0x3e0, 1},
};
enum { APIC_VERSION_AT = 0x30, APIC_ICR_HIGH_AT = 0x310, APIC_CURRENT_AT = 0x390 };
enum { APIC_BASE_X2 = 1 << 10 };

static Cpu *cpu_of(const Device *apic)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        if (cpu_at(i)->apic == apic) {
            return cpu_at(i)->accel ? cpu_at(i) : NULL;
        }
    }
    return NULL;
}

static unsigned timer_divider(uint32_t dcr)
{
    unsigned v = (dcr & 3) | (dcr >> 1 & 4);
    return v == 7 ? 1 : 2u << v;
}

static void fetch_apic_timer(Device *d, const struct kvm_lapic_state *s)
{
    uint64_t initial = load_le(s->regs + 0x380, 4), left = load_le(s->regs + APIC_CURRENT_AT, 4);
    uint64_t gone = initial > left ? initial - left : 0;
    uint32_t mode = (uint32_t)load_le(s->regs + 0x320, 4) & APIC_TIMER_MODE;
    int64_t started =
        now(d) - (int64_t)(gone * timer_divider((uint32_t)load_le(s->regs + 0x3e0, 4)));
    set(d, "started", (uint64_t)started);
    set(d, "fired", mode != APIC_TIMER_PERIODIC && initial && !left);
}

static void fetch_apic_now(Cpu *c, void *apic)
{
    Device *d = apic;
    struct kvm_lapic_state s;
    cpu_sync(c);
    if (!done(d, "fetch", kvm_cpu_ioctl(c, KVM_GET_LAPIC, (uintptr_t)&s))) {
        return;
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(apic_regs); n++) {
        for (unsigned i = 0; i < apic_regs[n].count; i++) {
            set_at(d, apic_regs[n].row, i, load_le(s.regs + apic_regs[n].at + 16 * i, 4));
        }
    }
    uint64_t base = c->state.msr.apic_base;
    uint32_t high = (uint32_t)load_le(s.regs + APIC_ICR_HIGH_AT, 4);
    set(d, base & APIC_BASE_X2 ? "icr_dest" : "icr_high", high);
    set(d, "base", base);
    set(d, "deadline", c->state.msr.tsc_deadline);
    fetch_apic_timer(d, &s);
}

static void flush_apic_now(Cpu *c, void *apic)
{
    Device *d = apic;
    struct kvm_lapic_state s = {0};
    if (c->state_dirty) { /* the base register decides what form the ID has */
        kvm_flush(c);
        c->state_dirty = false;
    }
    if (!done(d, "fetch", kvm_cpu_ioctl(c, KVM_GET_LAPIC, (uintptr_t)&s))) { /* for the version */
        return;
    }
    for (unsigned n = 0; n < G_N_ELEMENTS(apic_regs); n++) {
        for (unsigned i = 0; i < apic_regs[n].count; i++) {
            store_le((uint8_t *)s.regs + apic_regs[n].at + 16 * i, 4,
                     get_at(d, apic_regs[n].row, i));
        }
    }
    bool x2 = get(d, "base") & APIC_BASE_X2;
    store_le((uint8_t *)s.regs + APIC_ICR_HIGH_AT, 4, get(d, x2 ? "icr_dest" : "icr_high"));
    store_le((uint8_t *)s.regs + APIC_CURRENT_AT, 4, device_peek(d, "ccr", 0));
    done(d, "set", kvm_cpu_ioctl(c, KVM_SET_LAPIC, (uintptr_t)&s));
}

/* ---- Which chips are the kernel's ---- */

static bool is_pic(const Device *d)
{
    return kvm.irqchip == IRQCHIP_ON && !strcmp(d->class->name, "isa-i8259");
}
static bool is_ioapic(const Device *d)
{
    return kvm.irqchip == IRQCHIP_ON && !strcmp(d->class->name, "ioapic");
}
static bool is_pit(const Device *d)
{
    return kvm.pit && !strcmp(d->class->name, "isa-pit");
}
static bool is_apic(const Device *d)
{
    return kvm.irqchip != IRQCHIP_OFF && !strcmp(d->class->name, "apic");
}

void kvm_chip_fetch(Device *d)
{
    if (copying || !(is_pic(d) || is_ioapic(d) || is_pit(d) || is_apic(d))) {
        return;
    }
    copying = true;
    if (is_pic(d)) {
        fetch_pic(d);
    } else if (is_ioapic(d)) {
        fetch_ioapic(d);
    } else if (is_pit(d)) {
        fetch_pit(d);
    } else if (cpu_of(d)) {
        cpu_run_on(cpu_of(d), fetch_apic_now, d);
    }
    copying = false;
}

void kvm_chip_flush(Device *d)
{
    if (copying) {
        return;
    }
    copying = true;
    if (is_pic(d)) {
        flush_pic(d);
    } else if (is_ioapic(d)) {
        flush_ioapic(d);
    } else if (is_pit(d)) {
        flush_pit(d);
    } else if (is_apic(d) && cpu_of(d)) {
        cpu_run_on(cpu_of(d), flush_apic_now, d);
    }
    copying = false;
}

/* ---- Reset, stop ---- */

/* Levels outlive a reset of the chip: whoever drives a line goes on doing so. */
static void keep_lines(Device *d)
{
    struct kvm_irqchip chip =
        is_pic(d) ? pic_of(d) : (struct kvm_irqchip){.chip_id = KVM_IRQCHIP_IOAPIC};
    if (kvm_vm_ioctl(KVM_GET_IRQCHIP, (uintptr_t)&chip) >= 0) {
        set(d, "lines", is_pic(d) ? chip.chip.pic.last_irr : chip.chip.ioapic.irr & 0xffffff);
    }
}

static void reset_chip(void *unused, Device *d)
{
    if (is_pic(d) || is_ioapic(d)) {
        keep_lines(d);
    }
    kvm_chip_flush(d);
}

void kvm_chips_reset(void)
{
    if (kvm.irqchip != IRQCHIP_OFF) {
        device_foreach(reset_chip, NULL);
    }
}

static void stop_pit(void *stopped, Device *d)
{
    if (is_pit(d)) {
        *(bool *)stopped ? kvm_chip_fetch(d) : kvm_chip_flush(d);
    }
}

/* The kernel's timer goes on while the machine stands still: at the end it continues from where it
 * was. */
void kvm_chips_stopped(bool stopped)
{
    if (kvm.pit) {
        device_foreach(stop_pit, &stopped);
    }
}
