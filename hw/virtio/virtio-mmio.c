#include "hw/virtio/virtio-mmio.h"

#include <stdio.h>

#include "hw/virtio/virtio.h"

enum { CONFIG = 0x100 };

typedef struct VirtioMmio {
    Device dev;
    bool force_legacy;
    Bus *bus;
    VirtioDevice *vdev;                 /* what is plugged in, or NULL */
    Irq irq;
} VirtioMmio;

/* ---- Registers: those of the device behind ---- */

/* NULL: none, or it is in the middle of an access of its own (its DMA came back to it). */
static Device *behind(VirtioMmio *s)
{
    return s->vdev && !s->vdev->dev.accessing ? &s->vdev->dev : NULL;
}

static uint64_t mmio_read(void *opaque, uint64_t at, unsigned size)
{
    VirtioMmio *s = opaque;
    Device *d = behind(s);
    if (!d) {                           /* §4.2.2.2: an empty place has the magic value, the version and device ID 0 */
        uint64_t head[] = {0x74726976 | (s->force_legacy ? UINT64_C(1) : 2) << 32, UINT64_C(0x554d4551) << 32};
        return at < 16 ? head[at / 8] >> at % 8 * 8 & size_mask(size) : 0;
    }
    return at < CONFIG ? device_read_raw(d, SPACE_VIRTIO_MMIO, (unsigned)at, size)
                       : device_read_raw(d, SPACE_VIRTIO_CONFIG, (unsigned)at - CONFIG, size);
}

static void mmio_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    VirtioMmio *s = opaque;
    Device *d = behind(s);
    if (d && at < CONFIG) {
        device_write_raw(d, SPACE_VIRTIO_MMIO, (unsigned)at, size, value);
    } else if (d) {
        device_write_raw(d, SPACE_VIRTIO_CONFIG, (unsigned)at - CONFIG, size, value);
    }
    if (d) {
        device_settle(d);
    }
}

Region *virtio_mmio_region(Device *dev)
{
    static const IoOps ops = {mmio_read, mmio_write, 1, 4};
    return device_region_io(dev, "virtio-mmio", VIRTIO_MMIO_SIZE, &ops);
}

bool virtio_mmio_used(const Device *dev)
{
    return ((const VirtioMmio *)dev)->vdev != NULL;
}

/* ---- Interrupt (§4.2.3.4) ---- */

static void device_settled(void *transport)
{
    VirtioMmio *s = transport;
    VirtioDevice *v = s->vdev;
    v->isr |= v->signals ? VIRTIO_ISR_QUEUE : 0;
    v->isr |= v->config_signal ? VIRTIO_ISR_CONFIG : 0;
    v->signals = 0;
    v->config_signal = false;
    device_settle(&s->dev);
}

static void mmio_update(void *dev)
{
    VirtioMmio *s = dev;
    irq_set(&s->irq, s->vdev && s->vdev->isr);
}

/* ---- The bus ---- */

static bool bus_plug(Bus *bus, Device *dev, GError **error)
{
    VirtioMmio *s = bus->impl;
    VirtioDevice *v = (VirtioDevice *)dev;
    if (s->vdev) {
        return error_fail(error, "Bus '%s' is full: virtio-mmio has one device", bus->name);
    }
    if (v->packed && s->force_legacy) {
        return error_fail(error, "Property %s.packed is on, but bus '%s' has the legacy registers (force-legacy=on)",
                          dev->class->name, bus->name);
    }
    v->legacy = s->force_legacy;
    v->modern = !s->force_legacy;
    v->mmio_version = s->force_legacy ? 1 : 2;
    v->settled = device_settled;
    v->transport = s;
    dev->dma = dma_grant(space_memory(), NULL);
    s->vdev = v;
    bus->full = true;
    return true;
}

static void bus_unplug(Bus *bus, Device *dev)
{
    VirtioMmio *s = bus->impl;
    s->vdev = NULL;
    bus->full = false;
    dma_free(g_steal_pointer(&dev->dma));
    device_settle(&s->dev);
}

static const BusClass bus_class = {.type = "virtio-bus", .plug = bus_plug, .unplug = bus_unplug};

static bool mmio_realize(void *dev, GError **error)
{
    VirtioMmio *s = dev;
    char name[40];
    unsigned n = 0;
    do {
        snprintf(name, sizeof name, "virtio-mmio-bus.%u", n++);
    } while (bus_find(name));
    s->bus = bus_new(&bus_class, &s->dev, name, s);
    return true;
}

static const Row rows[] = {
    PROP_AS(VirtioMmio, force_legacy, "force-legacy", "on", "Version 1 of the registers, for drivers before virtio 1"),
    PIN(VirtioMmio, irq, "Interrupt"),
    END,
};

const DeviceClass virtio_mmio_class = {
    .name = "virtio-mmio",
    .doc = "virtio behind memory-mapped registers",
    .internal = true,
    .size = sizeof(VirtioMmio),
    .rows = rows,
    .realize = mmio_realize,
    .update = mmio_update,
};
