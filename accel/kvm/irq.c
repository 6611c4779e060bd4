/* Interrupts into the kernel: its chips' inputs, routes, messages, descriptors that interrupt. */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <string.h>

#include "core/loop.h"

enum {
    PINS = 24,          /* of the I/O APIC: GSIs 0-23 */
    FIRST_IRQFD = PINS, /* GSIs above belong to descriptors */
    MAX_ROUTES = 4096,
};

typedef struct Irqfd {
    int fd; /* -1: free */
} Irqfd;

static GArray *routes; /* of struct kvm_irq_routing_entry */
static GArray *irqfds; /* of Irqfd, index: GSI - FIRST_IRQFD */

/* ---- The routing table ---- */

static bool routes_commit(void)
{
    size_t bytes = routes->len * sizeof(struct kvm_irq_routing_entry);
    struct kvm_irq_routing *table = g_malloc0(sizeof(*table) + bytes);
    table->nr = routes->len;
    if (bytes) {
        memcpy(table->entries, routes->data, bytes);
    }
    int r = kvm_vm_ioctl(KVM_SET_GSI_ROUTING, (uintptr_t)table);
    g_free(table);
    if (r < 0) {
        error_report("KVM refuses an interrupt routing table of %u entries: %s", routes->len,
                     g_strerror(-r));
    }
    return r >= 0;
}

static void route_chip(unsigned gsi, unsigned chip, unsigned pin)
{
    struct kvm_irq_routing_entry e = {
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_IRQCHIP,
        .u.irqchip = {.irqchip = chip, .pin = pin},
    };
    g_array_append_val(routes, e);
}

static void route_remove(unsigned gsi)
{
    for (unsigned i = routes->len; i-- > 0;) {
        if (g_array_index(routes, struct kvm_irq_routing_entry, i).gsi == gsi) {
            g_array_remove_index(routes, i);
        }
    }
}

static void route_message(unsigned gsi, uint64_t address, uint32_t data)
{
    struct kvm_irq_routing_entry e = {
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = (uint32_t)address,
                  .address_hi = (uint32_t)(address >> 32),
                  .data = data},
    };
    route_remove(gsi);
    g_array_append_val(routes, e);
}

/* ISA interrupts reach both the PIC and the I/O APIC; the timer's is pin 2 of the latter (MP
 * specification §3.6.2.3). */
static void route_pc(void)
{
    for (unsigned gsi = 0; gsi < PINS; gsi++) {
        if (gsi < 16 && gsi != 2) {
            route_chip(gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
        }
        if (gsi != 2) {
            route_chip(gsi, KVM_IRQCHIP_IOAPIC, gsi ? gsi : 2);
        }
    }
}

/* ---- What the board calls ---- */

static void set_gsi(unsigned gsi, bool level)
{
    struct kvm_irq_level l = {.irq = gsi, .level = level};
    kvm_vm_ioctl(KVM_IRQ_LINE, (uintptr_t)&l);
}

static void send_msi(uint64_t address, uint32_t data)
{
    struct kvm_msi m = {
        .address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data};
    kvm_vm_ioctl(KVM_SIGNAL_MSI, (uintptr_t)&m);
}

/* The kernel needs the I/O APIC's routes to know which vectors' EOIs to tell of.  A masked pin has
 * none. */
static void set_route(unsigned pin, uint64_t address, uint32_t data, bool masked)
{
    if (pin >= PINS) {
        return;
    }
    for (unsigned i = 0; i < routes->len; i++) { /* most writes change nothing that matters */
        const struct kvm_irq_routing_entry *e =
            &g_array_index(routes, struct kvm_irq_routing_entry, i);
        if (e->gsi == pin && !masked && e->u.msi.data == data &&
            e->u.msi.address_lo == (uint32_t)address && e->u.msi.address_hi == address >> 32) {
            return;
        }
    }
    unsigned before = routes->len;
    if (masked) {
        route_remove(pin);
        if (routes->len == before) {
            return;
        }
    } else {
        route_message(pin, address, data);
    }
    routes_commit();
}

static int irqfd_add(int fd, uint64_t address, uint32_t data)
{
    unsigned i = 0;
    while (i < irqfds->len && g_array_index(irqfds, Irqfd, i).fd >= 0) {
        i++;
    }
    if (FIRST_IRQFD + i >= MAX_ROUTES) {
        return -1;
    }
    route_message(FIRST_IRQFD + i, address, data);
    struct kvm_irqfd f = {.fd = (uint32_t)fd, .gsi = FIRST_IRQFD + i};
    if (!routes_commit() || kvm_vm_ioctl(KVM_IRQFD, (uintptr_t)&f) < 0) {
        route_remove(FIRST_IRQFD + i);
        routes_commit();
        return -1;
    }
    if (i == irqfds->len) {
        g_array_set_size(irqfds, i + 1);
    }
    g_array_index(irqfds, Irqfd, i).fd = fd;
    return (int)i;
}

static void irqfd_remove(int handle)
{
    if (handle < 0 || (unsigned)handle >= irqfds->len) {
        return;
    }
    Irqfd *x = &g_array_index(irqfds, Irqfd, handle);
    unsigned gsi = FIRST_IRQFD + (unsigned)handle;
    struct kvm_irqfd f = {.fd = (uint32_t)x->fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN};
    if (x->fd >= 0) {
        kvm_vm_ioctl(KVM_IRQFD, (uintptr_t)&f);
        route_remove(gsi);
        routes_commit();
        x->fd = -1;
    }
}

void kvm_eoi(uint8_t vector)
{
    if (platform.eoi) {
        loop_lock();
        platform.eoi(vector);
        loop_unlock();
    }
}

/* ---- Start ---- */

static bool start_full(GError **error)
{
    int r = kvm_vm_ioctl(KVM_CREATE_IRQCHIP, 0);
    if (r < 0) {
        return error_fail_errno(error, r,
                                "KVM cannot make its interrupt chips (kernel-irqchip=on)");
    }
    /* The board that wants its own timer says so before the accelerator starts. */
    if (!platform.no_kernel_pit && kvm_extension(KVM_CAP_PIT2)) {
        struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
        r = kvm_vm_ioctl(KVM_CREATE_PIT2, (uintptr_t)&pit);
        if (r < 0) {
            return error_fail_errno(error, r, "KVM cannot make its interval timer");
        }
        kvm.pit = true;
    }
    platform.set_gsi = set_gsi;
    route_pc();
    return true;
}

bool kvm_irqchip_start(GError **error)
{
    routes = g_array_new(FALSE, TRUE, sizeof(struct kvm_irq_routing_entry));
    irqfds = g_array_new(FALSE, TRUE, sizeof(Irqfd));
    kvm.pit = false;
    if (kvm.irqchip == IRQCHIP_ON && !start_full(error)) {
        return false;
    }
    if (kvm.irqchip == IRQCHIP_SPLIT) {
        int r = kvm_enable_cap(KVM_CAP_SPLIT_IRQCHIP, PINS, 0);
        if (r < 0) {
            return error_fail_errno(error, r,
                                    "KVM cannot make local APICs alone (kernel-irqchip=split)");
        }
        platform.set_route = set_route;
    }
    if (kvm.irqchip != IRQCHIP_OFF) {
        platform.chip_fetch = kvm_chip_fetch;
        platform.chip_flush = kvm_chip_flush;
        platform.pit_cut_off = kvm_pit_cut_off;
        if (!kvm_extension(KVM_CAP_IRQ_ROUTING) || !kvm_extension(KVM_CAP_SIGNAL_MSI)) {
            return error_fail(error,
                              "this kernel's KVM cannot route interrupts; use kernel-irqchip=off");
        }
        if (!routes_commit()) {
            return error_fail(error,
                              "KVM cannot set up its interrupt routes; use kernel-irqchip=off");
        }
        platform.send_msi = send_msi;
        if (kvm.irqfd) {
            platform.irqfd_add = irqfd_add;
            platform.irqfd_remove = irqfd_remove;
        }
    }
    platform.irqchip = kvm.irqchip;
    platform.kernel_pit = kvm.pit;
    return true;
}
