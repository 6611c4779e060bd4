#include "hw/virtio/virtio-pci.h"

enum { ID_VENDOR = 0x09 };
enum { HERE = 1 }; /* PciCap.present */
/* §4.1.4: types of structures, and where ours lie in BAR 4. */
enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_PCI };
enum { MODERN_BAR = 4, MSIX_BAR = 1, LEGACY_BAR = 0, PART_SIZE = 0x1000, MODERN_SIZE = 4 * PART_SIZE };
enum { AT_COMMON = 0, AT_ISR = 1, AT_DEVICE = 2, AT_NOTIFY = VIRTIO_PCI_NOTIFY / PART_SIZE };
enum { LEGACY_HEADER = 0x14, LEGACY_HEADER_MSIX = 0x18 };
enum { CAP_COMMON = 0x40, CAP_ISR = 0x50, CAP_DEVICE = 0x60, CAP_NOTIFY = 0x70, CAP_ACCESS = 0x84, CAP_MSIX = 0x98 };
enum { AUTO, ON, OFF };

/* ---- The modern BAR ---- */

static uint64_t modern_read(void *opaque, uint64_t at, unsigned size)
{
    static const uint8_t spaces[] = {SPACE_VIRTIO_COMMON, SPACE_VIRTIO_ISR, SPACE_VIRTIO_CONFIG};
    VirtioDevice *v = opaque;
    uint64_t part = at / PART_SIZE;
    return part < G_N_ELEMENTS(spaces)
               ? device_read_raw(device_whole(&v->dev), spaces[part], at % PART_SIZE, size)
               : 0;
}

static void modern_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    VirtioDevice *v = opaque;
    Device *whole = device_whole(&v->dev);
    unsigned in = at % PART_SIZE;
    switch (at / PART_SIZE) {
    case AT_COMMON: device_write_raw(whole, SPACE_VIRTIO_COMMON, in, size, value); break;
    case AT_DEVICE: device_write_raw(whole, SPACE_VIRTIO_CONFIG, in, size, value); break;
    case AT_NOTIFY: virtio_kick(v, in / VIRTIO_PCI_NOTIFY_STEP); break;
    default: break;
    }
}

static const IoOps modern_ops = {modern_read, modern_write, 1, 8};

/* ---- The legacy BAR (§4.1.4.10) ---- */

static unsigned legacy_header(VirtioDevice *v)
{
    return pci_msix_enabled((PciDevice *)device_whole(&v->dev)) ? LEGACY_HEADER_MSIX : LEGACY_HEADER;
}

static uint64_t legacy_read(void *opaque, uint64_t at, unsigned size)
{
    VirtioDevice *v = opaque;
    Device *whole = device_whole(&v->dev);
    unsigned header = legacy_header(v);
    return at < header ? device_read_raw(whole, SPACE_VIRTIO_LEGACY, (unsigned)at, size)
                       : device_read_raw(whole, SPACE_VIRTIO_CONFIG, (unsigned)at - header, size);
}

static void legacy_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    VirtioDevice *v = opaque;
    Device *whole = device_whole(&v->dev);
    unsigned header = legacy_header(v);
    if (at < header) {
        device_write_raw(whole, SPACE_VIRTIO_LEGACY, (unsigned)at, size, value);
    } else {
        device_write_raw(whole, SPACE_VIRTIO_CONFIG, (unsigned)at - header, size, value);
    }
}

static const IoOps legacy_ops = {legacy_read, legacy_write, 1, 4};

/* ---- Capabilities ---- */

#define CAP(T) WHEN(T, cap.present, HERE, HERE)
// clang-format off
static const Row cap_rows[] = {
    CALC(id, 1, 0, CAP(VirtioPciCap), .ro = true, FROM(VirtioPciCap, cap.id)),
    CALC(next, 1, 1, CAP(VirtioPciCap), .ro = true, FROM(VirtioPciCap, cap.next)),
    CALC(len, 1, 2, CAP(VirtioPciCap), .ro = true, FROM(VirtioPciCap, len)),
    CALC(cfg_type, 1, 3, CAP(VirtioPciCap), .ro = true, FROM(VirtioPciCap, type)),
    CALC(bar, 1, 4, CAP(VirtioPciCap), .ro = true, FROM(VirtioPciCap, bar)),
    CALC(offset, 4, 8, CAP(VirtioPciCap), .ro = true, FROM(VirtioPciCap, offset)),
    CALC(length, 4, 12, CAP(VirtioPciCap), .ro = true, FROM(VirtioPciCap, length)),
    CALC(multiplier, 4, 16, WHEN(VirtioPciCap, type, 7, CFG_NOTIFY), .ro = true, FROM(VirtioPciCap, multiplier),
         .doc = "Bytes between the doorbells of two queues"),
    END
};
// clang-format on
static const DeviceClass cap_class = {
    .name = "virtio-pci-cap",
    .plain = true,
    .abstract = true,
    .size = sizeof(VirtioPciCap),
    .rows = cap_rows,
};

/* The access that the driver set up: 1, 2 or 4 bytes of the BAR with the structures. */
static bool access_valid(const VirtioPciAccessCap *c)
{
    return c->vdev && c->bar == MODERN_BAR && (c->length == 1 || c->length == 2 || c->length == 4) &&
           c->offset <= MODERN_SIZE - 4 && !(c->offset % c->length);
}

/* Without effects; those of the interrupt status come in access_read. */
static uint64_t access_get(const void *cap, unsigned arg, unsigned i)
{
    const VirtioPciAccessCap *c = cap;
    if (!access_valid(c)) {
        return 0;
    }
    if (c->offset / PART_SIZE == (uint32_t)AT_ISR) {
        return c->offset % PART_SIZE ? 0 : c->vdev->isr;
    }
    return modern_read(c->vdev, c->offset, c->length);
}

static void access_read(void *cap, unsigned arg, unsigned i)
{
    const VirtioPciAccessCap *c = cap;
    if (access_valid(c)) {
        modern_read(c->vdev, c->offset, c->length);
    }
}

static void access_write(void *cap, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    const VirtioPciAccessCap *c = cap;
    if (access_valid(c)) {
        modern_write(c->vdev, c->offset, c->length, value & size_mask(c->length));
    }
}

// clang-format off
static const Row access_rows[] = {
    CALC(id, 1, 0, CAP(VirtioPciAccessCap), .ro = true, FROM(VirtioPciAccessCap, cap.id)),
    CALC(next, 1, 1, CAP(VirtioPciAccessCap), .ro = true, FROM(VirtioPciAccessCap, cap.next)),
    CALC(len, 1, 2, CAP(VirtioPciAccessCap), .ro = true, .is = 20),
    CALC(cfg_type, 1, 3, CAP(VirtioPciAccessCap), .ro = true, .is = CFG_PCI),
    REG(VirtioPciAccessCap, bar, 4, CAP(VirtioPciAccessCap), .rw = 0xff),
    REG(VirtioPciAccessCap, offset, 8, CAP(VirtioPciAccessCap), .rw = UINT32_MAX),
    REG(VirtioPciAccessCap, length, 12, CAP(VirtioPciAccessCap), .rw = UINT32_MAX),
    CALC(data, 4, 16, CAP(VirtioPciAccessCap), .get = access_get, .on_read = access_read, .on_write = access_write),
    END
};
// clang-format on
static const DeviceClass access_class = {
    .name = "virtio-pci-access-cap",
    .plain = true,
    .abstract = true,
    .size = sizeof(VirtioPciAccessCap),
    .rows = access_rows,
};

static void add_cap(VirtioPci *s, VirtioPciCap *c, unsigned at, uint8_t type, unsigned part)
{
    c->len = type == CFG_NOTIFY ? 20 : 16;
    c->type = type;
    c->bar = MODERN_BAR;
    c->offset = part * PART_SIZE;
    c->length = PART_SIZE;
    c->multiplier = type == CFG_NOTIFY ? VIRTIO_PCI_NOTIFY_STEP : 0;
    pci_cap_add(&s->pci, &c->cap, at, ID_VENDOR);
}

static void add_modern(VirtioPci *s)
{
    add_cap(s, &s->common, CAP_COMMON, CFG_COMMON, AT_COMMON);
    add_cap(s, &s->isr, CAP_ISR, CFG_ISR, AT_ISR);
    add_cap(s, &s->device, CAP_DEVICE, CFG_DEVICE, AT_DEVICE);
    add_cap(s, &s->notify, CAP_NOTIFY, CFG_NOTIFY, AT_NOTIFY);
    s->access.vdev = s->vdev;
    pci_cap_add(&s->pci, &s->access.cap, CAP_ACCESS, ID_VENDOR);
    s->modern_bar = device_region_io_opaque(&s->pci.dev, "virtio-modern", MODERN_SIZE, &modern_ops, s->vdev);
    pci_bar(&s->pci, MODERN_BAR, PCI_BAR_MEM | PCI_BAR_64 | PCI_BAR_PREFETCH, s->modern_bar);
}

static void add_legacy(VirtioPci *s)
{
    uint64_t size = 32;
    while (size < (uint64_t)LEGACY_HEADER_MSIX + VIRTIO_INFO(s->vdev)->config_size) {
        size *= 2;
    }
    s->legacy_bar = device_region_io_opaque(&s->pci.dev, "virtio-legacy", size, &legacy_ops, s->vdev);
    pci_bar(&s->pci, LEGACY_BAR, PCI_BAR_IO, s->legacy_bar);
}

static void virtio_pci_unrealize(void *dev)
{
    virtio_pci_fds_remove(dev);
}

/* ---- Identity (§4.1.2) ---- */

/* Transitional IDs exist for the devices that are older than virtio 1.0; 0: there is none. */
static uint16_t transitional_id(unsigned type)
{
    enum { NET = 1, BLOCK, CONSOLE, ENTROPY, BALLOON, SCSI = 8, NINEP };
    static const uint16_t ids[] = {[NET] = 0x1000,     [BLOCK] = 0x1001, [BALLOON] = 0x1002, [CONSOLE] = 0x1003,
                                   [SCSI] = 0x1004,    [ENTROPY] = 0x1005, [NINEP] = 0x1009};
    return type < G_N_ELEMENTS(ids) ? ids[type] : 0;
}

static bool choose_interfaces(VirtioPci *s, GError **error)
{
    const VirtioPciInfo *info = s->pci.dev.class->info;
    VirtioDevice *v = s->vdev;
    const char *name = s->pci.dev.class->name;
    bool old = transitional_id(VIRTIO_INFO(v)->type);
    v->modern = !s->disable_modern;
    /* "auto": a port of PCI Express has few windows for I/O ports to spare, so no legacy BAR behind one. */
    bool express = s->pci.bus && pci_bus_is_single(s->pci.bus);
    v->legacy = old && s->disable_legacy != ON && !(express && s->disable_legacy == AUTO);
    if (info->kind != VIRTIO_PCI_GENERIC) {
        if (s->disable_legacy != AUTO || s->disable_modern) {
            return error_fail(error, "%s has the interfaces that its name says: disable-legacy and disable-modern are for "
                              "the type without -transitional", name);
        }
        v->modern = true;
        v->legacy = info->kind == VIRTIO_PCI_TRANSITIONAL;
    }
    if (!old && s->disable_legacy == OFF) {
        return error_fail(error, "Property %s.disable-legacy is off, but this device has no legacy interface", name);
    }
    if (!v->modern && !v->legacy) {
        return error_fail(error, "%s: device cannot work as neither modern nor legacy mode is enabled; set disable-legacy "
                          "or disable-modern to off", name);
    }
    if (v->packed && !v->modern) {
        return error_fail(error, "Property %s.packed is on, but packed rings need the modern interface", name);
    }
    unsigned type = VIRTIO_INFO(v)->type;
    s->pci.device_id = v->legacy ? transitional_id(type) : (uint16_t)(0x1040 + type);
    s->pci.revision_id = v->legacy ? 0 : 1;
    s->pci.subsystem_vendor_id = VIRTIO_VENDOR;
    s->pci.subsystem_id = v->legacy ? (uint16_t)type : 0x1100;
    return true;
}

bool virtio_pci_realize(void *dev, GError **error)
{
    VirtioPci *s = dev;
    const VirtioPciInfo *info = s->pci.dev.class->info;
    VirtioDevice *v = s->vdev = (VirtioDevice *)((char *)dev + info->device);
    if (!choose_interfaces(s, error)) {
        return false;
    }
    unsigned usual = info->vectors == VIRTIO_PCI_NO_MSIX ? 0 : info->vectors ? info->vectors : v->queues + 1u;
    unsigned vectors = s->want_vectors == UINT32_MAX ? usual : s->want_vectors;
    if (vectors > PCI_MSIX_VECTORS) {
        return error_fail(error, "Property %s.vectors is %u, expected: 0 to %u", s->pci.dev.class->name, vectors,
                          PCI_MSIX_VECTORS);
    }
    v->vectors = (uint16_t)vectors;
    if (v->legacy) {
        add_legacy(s);
    }
    if (v->modern) {
        add_modern(s);
    }
    if (vectors) {
        pci_msix_init_bar(&s->pci, &s->msix, CAP_MSIX, vectors, MSIX_BAR);
    }
    virtio_pci_fds_add(s);
    return true;
}

/* ---- Interrupts (§4.1.5.1.3, §4.1.5.3) ---- */

static void notify_vector(VirtioPci *s, uint16_t vector)
{
    if (vector != VIRTIO_NO_VECTOR) {
        pci_msix_notify(&s->pci, vector);
    }
}

void virtio_pci_update(void *dev)
{
    VirtioPci *s = dev;
    VirtioDevice *v = s->vdev;
    bool msix = pci_msix_enabled(&s->pci);
    for (; v->signals; v->signals &= v->signals - 1) {
        unsigned q = (unsigned)__builtin_ctzll(v->signals);
        if (!msix) {
            v->isr |= VIRTIO_ISR_QUEUE;
        } else if (q < v->queues) {
            notify_vector(s, v->queue[q].vector);
        }
    }
    if (v->config_signal) {
        v->config_signal = false;
        v->isr |= VIRTIO_ISR_CONFIG;
        if (msix) {
            notify_vector(s, v->config_vector);
        }
    }
    virtio_pci_fds_update(s);
    pci_irq(&s->pci, v->isr && !msix);
}

bool virtio_pci_busy(const void *dev)
{
    return virtio_busy(((const VirtioPci *)dev)->vdev);
}

static const char *const on_off_auto[] = {"auto", "on", "off", NULL};
#define VCAP(f, at_) PART(VirtioPci, f, cap_class, .space = SPACE_PCI_CONFIG, .at = at_)
static const Row rows[] = {
    PROP_AS(VirtioPci, disable_legacy, "disable-legacy", "auto", "Leave out the legacy interface", .type = TYPE_ENUM,
            .names = on_off_auto),
    PROP_AS(VirtioPci, disable_modern, "disable-modern", "off", "Leave out the interface of virtio 1"),
    PROP(VirtioPci, ioeventfd, "on", "Under KVM, the kernel takes doorbells, and the guest does not wait"),
    PROP_AS(VirtioPci, want_vectors, "vectors", "4294967295",
            "MSI-X vectors; 0: no MSI-X; default: as many as the device wants"),
    VCAP(common, CAP_COMMON),
    VCAP(isr, CAP_ISR),
    VCAP(device, CAP_DEVICE),
    VCAP(notify, CAP_NOTIFY),
    PART(VirtioPci, access, access_class, .space = SPACE_PCI_CONFIG, .at = CAP_ACCESS),
    PCI_MSIX_CAP(VirtioPci, msix, CAP_MSIX),
    END,
};

const DeviceClass virtio_pci_class = {
    .name = "virtio-pci",
    .doc = "PCI function that carries a virtio device",
    .abstract = true,
    .base = &pci_device_class,
    .bus = "PCI",
    .size = sizeof(VirtioPci),
    .rows = rows,
    .unrealize = virtio_pci_unrealize,
    .info = &(const VirtioPciInfo){.kind = VIRTIO_PCI_GENERIC},
};
