/* The message bus of the local APICs, their common window, and what CPUs ask of them. */
#include "hw/intc/apic-bus.h"

#include "core/loop.h"
#include "hw/intc/i8259.h"
#include "hw/platform.h"

#define PAGE_SIZE 0x1000
#define WINDOW_AT UINT64_C(0xfee00000)

static struct {
    Device *pic;
    void (*eoi)(void *arg, uint8_t vector);
    void *eoi_arg;
    Region *window;
} bus;

static Apic *apic_of(Cpu *c)
{
    return c ? c->apic : NULL;
}

/* ---- Messages ---- */

void apic_bus_eoi(uint8_t vector)
{
    if (bus.eoi) {
        bus.eoi(bus.eoi_arg, vector);
    } else if (platform.eoi) {
        platform.eoi(vector);
    }
}

void apic_on_eoi(void (*fn)(void *arg, uint8_t vector), void *arg)
{
    bus.eoi = fn;
    bus.eoi_arg = arg;
}

void apic_bus_broadcast(const Apic *except, ApicMode mode, uint8_t vector)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        Apic *a = apic_of(cpu_at(i));
        if (a && a != except) {
            apic_accept(a, mode, vector, false);
        }
    }
}

/* Lowest priority (SDM vol 3 §11.6.2.4): the least busy of those named.  Among equals the vector
 * chooses, so that different interrupts go to different CPUs and the same one stays where its data
 * is. */
static void send_lowest(uint32_t dest, bool logical, bool wide, uint8_t vector, bool level)
{
    unsigned best = UINT_MAX, equals = 0;

    for (unsigned pass = 0; pass < 2; pass++) {
        unsigned turn = equals ? vector % equals : 0;
        equals = 0;
        for (unsigned i = 0; i < cpu_count(); i++) {
            Apic *a = apic_of(cpu_at(i));
            if (!a || !apic_enabled(a) || !apic_matches(a, dest, logical, wide)) {
                continue;
            }
            unsigned priority = apic_arbitration(a) >> 4;
            if (!pass) {
                equals = priority < best ? 1 : equals + (priority == best);
                best = MIN(best, priority);
            } else if (priority == best && equals++ == turn) {
                apic_accept(a, APIC_LOWEST, vector, level);
                return;
            }
        }
    }
}

void apic_bus_send(uint32_t dest, bool logical, bool wide, ApicMode mode, uint8_t vector,
                   bool level)
{
    if (mode == APIC_LOWEST) {
        send_lowest(dest, logical, wide, vector, level);
        return;
    }
    for (unsigned i = 0; i < cpu_count(); i++) {
        Apic *a = apic_of(cpu_at(i));
        if (a && apic_matches(a, dest, logical, wide)) {
            apic_accept(a, mode, vector, level);
        }
    }
}

void apic_bus_deliver(uint32_t dest, bool logical, ApicMode mode, uint8_t vector, bool level,
                      bool trigger_level)
{
    if (trigger_level && !level) {
        return; /* a de-assertion is no interrupt */
    }
    /* 8 bits cannot tell "all" from a CPU in x2APIC mode with that ID, where there is one; systems mean the CPU. */
    const Apic *last = dest == 0xff && !logical ? apic_of(cpu_by_apic_id(dest)) : NULL;
    bool wide = dest > 0xff || (last && apic_in_x2apic_mode(last));
    apic_bus_send(dest, logical, wide, mode, vector, trigger_level);
}

typedef struct Message {
    uint64_t address;
    uint32_t data;
} Message;

static void deliver_msi(uint64_t address, uint32_t data)
{
    /* SDM vol 3 §11.11.1: destination in 19:12, redirection hint 3, mode 2; data: vector, mode
     * 10:8, level, trigger.  Reserved bits 11:5 are destination bits 14:8, as under KVM with
     * KVM_FEATURE_MSI_EXT_DEST_ID (Linux, Documentation/virt/kvm/x86/cpuid.rst); others leave them 0. */
    ApicMode mode = data >> 8 & 7;
    bool hint = address & 8;

    if (mode == APIC_FIXED && hint && address & 4) {
        mode = APIC_LOWEST;
    }
    apic_bus_deliver((address >> 12 & 0xff) | (address >> 5 & 0x7f) << 8, address & 4, mode, data,
                     data & 1 << 14 || !(data & 1 << 15), data & 1 << 15);
}

static void deliver_later(void *arg)
{
    Message *m = arg;
    deliver_msi(m->address, m->data);
    g_free(m);
}

void apic_send_msi(uint64_t address, uint32_t data)
{
    if (loop_locked()) {
        deliver_msi(address, data);
        return;
    }
    Message *m = g_new(Message, 1);
    *m = (Message){address, data};
    loop_post(loop_main(), deliver_later, m);
}

/* ---- The window ---- */

static Apic *addressed(void)
{
    Cpu *c = cpu_current();
    return apic_of(c ? c : cpu_at(0));
}

static uint64_t page_read(void *opaque, uint64_t at, unsigned size)
{
    Apic *a = addressed();
    return a && at < PAGE_SIZE ? apic_page_read(a, at, size) : size_mask(size);
}

static void page_write(void *opaque, uint64_t at, unsigned size, uint64_t v)
{
    Apic *a = addressed();

    if (at >= PAGE_SIZE || !cpu_current()) { /* no CPU writes: a device sends a message */
        apic_send_msi(WINDOW_AT | at, v);
    } else if (a) {
        apic_page_write(a, at, size, v);
    }
}

Region *apic_region(void)
{
    static const IoOps ops = {page_read, page_write, 1, 4};
    return region_io("apic-msi", 0x100000, &ops, NULL);
}

/* ---- What CPUs ask ---- */

static int interrupt(Cpu *c)
{
    if (apic_of(c)) {
        return apic_interrupt(c->apic, bus.pic);
    }
    return bus.pic && c->is_bsp && i8259_pending(bus.pic) ? i8259_ack(bus.pic) : -1;
}

static bool interrupt_pending(Cpu *c)
{
    return apic_of(c) ? apic_interrupt_pending(c->apic)
                      : bus.pic && c->is_bsp && i8259_pending(bus.pic);
}

static uint64_t base_get(Cpu *c)
{
    return apic_of(c) ? apic_of(c)->base : 0;
}
static bool base_set(Cpu *c, uint64_t v)
{
    return apic_of(c) && apic_base_write(c->apic, v);
}
static uint8_t tpr_get(Cpu *c)
{
    return apic_of(c) ? apic_of(c)->tpr >> 4 : 0;
}

static void tpr_set(Cpu *c, uint8_t v)
{
    if (apic_of(c)) {
        apic_of(c)->tpr = (v & 15) << 4;
        device_settle(&apic_of(c)->dev);
    }
}

static bool x2_read(Cpu *c, unsigned reg, uint64_t *v)
{
    return apic_of(c) && apic_x2_read(c->apic, reg, v);
}
static bool x2_write(Cpu *c, unsigned reg, uint64_t v)
{
    return apic_of(c) && apic_x2_write(c->apic, reg, v);
}

static void reset(Cpu *c, bool init)
{
    if (apic_of(c) && init) {
        apic_init(c->apic);
    } else if (apic_of(c)) {
        device_reset(&apic_of(c)->dev, false);
    }
}

void apic_platform_install(Device *pic)
{
    bus.pic = pic;
    cpu_platform.interrupt = interrupt;
    cpu_platform.interrupt_pending = interrupt_pending;
    cpu_platform.apic_base_get = base_get;
    cpu_platform.apic_base_set = base_set;
    cpu_platform.tpr_get = tpr_get;
    cpu_platform.tpr_set = tpr_set;
    cpu_platform.x2apic_read = x2_read;
    cpu_platform.x2apic_write = x2_write;
    cpu_platform.apic_reset = reset;
}

void apic_wire_pic(Irq *intr, Device *pic)
{
    apic_platform_install(pic);
    platform.send_msi = apic_send_msi;
    bus.window = apic_region();
    region_map(space_root(space_memory()), bus.window, WINDOW_AT, 0);
    if (intr) {
        irq_connect(intr, apic_pic_int, NULL, 0);
    }
}

void apic_platform_remove(void)
{
    if (platform.send_msi == apic_send_msi) {
        platform.send_msi = NULL;
    }
    region_free(bus.window);
    bus.window = NULL;
    bool (*a20)(void) = cpu_platform.a20;
    cpu_platform = (CpuPlatform){.a20 = a20};
    bus.pic = NULL;
    bus.eoi = NULL;
}

void apic_pic_int(void *sink, unsigned line, bool level)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        Cpu *c = cpu_at(i);
        if (!c->is_bsp) {
            continue;
        }
        if (apic_of(c)) {
            device_input(c->apic, APIC_LINT0, level);
        } else if (level) {
            cpu_raise(c, CPU_EVENT_INTR);
        } else {
            cpu_lower(c, CPU_EVENT_INTR);
        }
    }
}
