#include "tests/hw/virtio-bench.h"

#include <string.h>

#include "block/drive.h"
#include "core/loop.h"
#include "hw/virtio/virtio-mmio.h"

Vb vb;
static VbQueue queues[VIRTIO_QUEUES];

void vb_put(uint64_t at, unsigned size, uint64_t value)
{
    bench_poke(at, &value, size);
}

uint64_t vb_get(uint64_t at, unsigned size)
{
    uint64_t value = 0;
    bench_peek(at, &value, size);
    return value;
}

bool vb_is_pci(void)
{
    return vb.carrier <= PCI_LEGACY;
}

bool vb_is_legacy(void)
{
    return vb.carrier == PCI_LEGACY || vb.carrier == MMIO_LEGACY;
}

/* ---- The machine around it ---- */

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin)
{
    return pin;
}

static void set_irq(void *opaque, unsigned line, bool level)
{
    vb.intx = level;
}

static void send_msi(void *sink, uint64_t address, uint32_t data)
{
    ck_assert_uint_eq(address, 0xfee00000);
    ck_assert_uint_lt(data, G_N_ELEMENTS(vb.messages));
    vb.messages[data]++;
}

static void set_properties(Device *d, const char *props)
{
    GError *error = NULL;
    g_auto(GStrv) pairs = g_strsplit(props ? props : "", ",", -1);
    for (char **p = pairs; *p && **p; p++) {
        char *eq = strchr(*p, '=');
        *eq = 0;
        ck_assert_msg(device_set(d, *p, eq + 1, &error), "%s", error ? error->message : "");
    }
}

static void start_pci(const char *type, const char *props, void (*set)(Device *dev))
{
    static PciHost host = {.map_irq = map_irq, .set_irq = set_irq, .msi.send = send_msi};
    GError *error = NULL;
    host.mem = region_container("pci.mem", 0);
    host.io = region_container("pci.io", 0x10000);
    host.dma_space = space_memory();
    region_map(space_root(space_memory()), host.mem, 0, -1);
    region_map(space_root(space_io()), host.io, 0, -1);
    vb.pci = pci_bus_new(NULL, "pci.0", &host);
    g_autofree char *name = g_strdup_printf("%s-pci", type);
    PciDevice *card = pci_new(device_class_find(name), NULL, VB_DEVFN, false);
    vb.dev = &card->dev;
    set_properties(vb.dev, props);
    if (vb.carrier == PCI_LEGACY) {
        set_properties(vb.dev, "disable-modern=on");
    }
    if (set) {
        set(vb.dev);
    }
    ck_assert_msg(device_realize(vb.dev, pci_bus_as_bus(vb.pci), &error), "%s", error ? error->message : "");
    pci_config_write(vb.pci, VB_DEVFN, 0x10, 4, VB_IO);
    pci_config_write(vb.pci, VB_DEVFN, 0x14, 4, VB_MSIX);
    pci_config_write(vb.pci, VB_DEVFN, 0x20, 4, VB_MODERN);
    pci_config_write(vb.pci, VB_DEVFN, 0x24, 4, 0);
    pci_config_write(vb.pci, VB_DEVFN, 4, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void start_mmio(const char *type, const char *props, void (*set)(Device *dev))
{
    GError *error = NULL;
    vb.mmio = bench_device(device_class_find("virtio-mmio"), vb.carrier == MMIO_LEGACY ? NULL : "force-legacy=off");
    region_map(space_root(space_memory()), virtio_mmio_region(vb.mmio), VB_MMIO, 0);
    g_autofree char *name = g_strdup_printf("%s-device", type);
    vb.dev = device_new(device_class_find(name), NULL);
    set_properties(vb.dev, props);
    if (set) {
        set(vb.dev);
    }
    vb.irq = bench_probe(vb.mmio, "irq", 0);
    ck_assert_msg(device_realize(vb.dev, bus_find_type("virtio-bus"), &error), "%s", error ? error->message : "");
}

void vb_start(Carrier carrier, const char *type, const char *props, void (*set)(Device *dev))
{
    vb = (Vb){.carrier = carrier};
    memset(queues, 0, sizeof queues);
    if (vb_is_pci()) {
        start_pci(type, props, set);
    } else {
        start_mmio(type, props, set);
    }
    mem_commit();
}

/* ---- Registers, by the carrier's addresses ---- */

static uint64_t load(unsigned at, unsigned size)
{
    return vb.carrier == PCI_MODERN   ? space_load(space_memory(), VB_MODERN + at, size)
           : vb.carrier == PCI_LEGACY ? space_load(space_io(), VB_IO + at, size)
                                      : space_load(space_memory(), VB_MMIO + at, size);
}

static void store(unsigned at, unsigned size, uint64_t value)
{
    if (vb.carrier == PCI_LEGACY) {
        space_store(space_io(), VB_IO + at, size, value);
    } else {
        space_store(space_memory(), (vb.carrier == PCI_MODERN ? VB_MODERN : VB_MMIO) + at, size, value);
    }
}

/* Pick by carrier; the sizes of MMIO are always 4. */
#define AT(modern, legacy, mmio) (vb.carrier == PCI_MODERN ? (modern) : vb.carrier == PCI_LEGACY ? (legacy) : (mmio))

static unsigned config_base(void)
{
    bool msix = vb_is_pci() && (pci_config_read(vb.pci, VB_DEVFN, 0x9a, 2) & 0x8000);
    return AT(0x2000u, msix ? 0x18u : 0x14u, 0x100u);
}

uint64_t vb_config(unsigned at, unsigned size)
{
    return load(config_base() + at, size);
}

void vb_config_put(unsigned at, unsigned size, uint64_t value)
{
    store(config_base() + at, size, value);
}

uint8_t vb_status(void)
{
    return (uint8_t)load(AT(0x14, 0x12, 0x70), AT(1, 1, 4));
}

void vb_set_status(uint8_t status)
{
    store(AT(0x14, 0x12, 0x70), AT(1, 1, 4), status);
}

uint64_t vb_features(void)
{
    if (vb.carrier == PCI_LEGACY) {
        return load(0, 4);
    }
    store(AT(0x00, 0, 0x14), 4, 1);
    uint64_t high = load(AT(0x04, 0, 0x10), 4);
    store(AT(0x00, 0, 0x14), 4, 0);
    return high << 32 | load(AT(0x04, 0, 0x10), 4);
}

void vb_accept(uint64_t features)
{
    if (vb.carrier == PCI_LEGACY) {
        store(4, 4, features & UINT32_MAX);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        store(AT(0x08, 0, 0x24), 4, i);
        store(AT(0x0c, 0, 0x20), 4, features >> 32 * i & UINT32_MAX);
    }
    vb.packed = features >> VIRTIO_F_RING_PACKED & 1;
}

void vb_reset(void)
{
    vb_set_status(0);
    ck_assert_uint_eq(vb_status(), 0);
    memset(queues, 0, sizeof queues);
    memset(vb.messages, 0, sizeof vb.messages);
}

bool vb_negotiate(uint64_t wanted)
{
    vb_reset();
    vb_set_status(VIRTIO_ACKNOWLEDGE);
    vb_set_status(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    uint64_t features = vb_features() & wanted;
    vb_accept(features);
    vb.by_index = features >> VIRTIO_F_EVENT_IDX & 1;
    vb.indirect = features >> VIRTIO_F_INDIRECT_DESC & 1;
    if (vb_is_legacy()) {
        if (vb.carrier == MMIO_LEGACY) {
            store(0x28, 4, 4096);
        }
        return true;
    }
    vb_set_status(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    return vb_status() & VIRTIO_FEATURES_OK;
}

void vb_ready(void)
{
    vb_set_status((uint8_t)(vb_status() | VIRTIO_DRIVER_OK));
}

unsigned vb_queue_size(unsigned index)
{
    store(AT(0x16, 0x0e, 0x30), AT(2, 2, 4), index);
    return (unsigned)load(AT(0x18, 0x0c, 0x34), AT(2, 2, 4));
}

static void put_address(unsigned at, uint64_t address)
{
    store(at, 4, address & UINT32_MAX);
    store(at + 4, 4, address >> 32);
}

/* All three areas, in the order and with the alignment that legacy drivers must use (§2.7.2). */
VbQueue *vb_queue(unsigned index, unsigned size)
{
    VbQueue *q = &queues[index];
    unsigned most = vb_queue_size(index);
    ck_assert_uint_ge(most, 2);
    size = vb.carrier == PCI_LEGACY ? most : MIN(size, most);
    *q = (VbQueue){.index = index, .size = size, .avail_wrap = true, .seen_wrap = true};
    q->base = VB_RINGS + index * VB_RING_SPACE;
    g_autofree uint8_t *zeros = g_malloc0(VB_RING_SPACE);
    bench_poke(q->base, zeros, VB_RING_SPACE);
    if (vb.carrier == PCI_LEGACY) {
        store(0x08, 4, q->base / 4096);
        return q;
    }
    store(AT(0x18, 0, 0x38), AT(2, 0, 4), size);
    if (vb.carrier == MMIO_LEGACY) {
        store(0x3c, 4, 4096);
        store(0x40, 4, q->base / 4096);
        return q;
    }
    put_address(AT(0x20, 0, 0x80), q->base + AT_DESC);
    put_address(AT(0x28, 0, 0x90), q->base + AT_DRIVER);
    put_address(AT(0x30, 0, 0xa0), q->base + AT_DEVICE);
    store(AT(0x1c, 0, 0x44), AT(2, 0, 4), 1);
    return q;
}

void vb_kick(const VbQueue *q)
{
    unsigned doorbell = 0x3000 + 4 * q->index;
    store(AT(doorbell, 0x10u, 0x50u), AT(2, 2, 4), q->index);
}

uint8_t vb_isr(void)
{
    uint8_t isr = (uint8_t)load(AT(0x1000, 0x13, 0x60), AT(1, 1, 4));
    if (!vb_is_pci()) {
        store(0x64, 4, isr);
    }
    return isr;
}

void vb_msix(bool on)
{
    for (unsigned v = 0; v < G_N_ELEMENTS(vb.messages); v++) {
        space_store(space_memory(), VB_MSIX + 16 * v, 4, 0xfee00000);
        space_store(space_memory(), VB_MSIX + 16 * v + 4, 4, 0);
        space_store(space_memory(), VB_MSIX + 16 * v + 8, 4, v);
        space_store(space_memory(), VB_MSIX + 16 * v + 12, 4, 0);
    }
    pci_config_write(vb.pci, VB_DEVFN, 0x9a, 2, on ? 0x8000 : 0);
}

void vb_queue_vector(unsigned index, uint16_t vector)
{
    store(AT(0x16, 0x0e, 0), 2, index);
    store(AT(0x1a, 0x16, 0), 2, vector);
    ck_assert_uint_eq(load(AT(0x1a, 0x16, 0), 2), vector);
}

void vb_config_vector(uint16_t vector)
{
    store(AT(0x10, 0x14, 0), 2, vector);
    ck_assert_uint_eq(load(AT(0x10, 0x14, 0), 2), vector);
}

/* ---- Rings ---- */

static uint64_t avail_area(const VbQueue *q)
{
    return vb_is_legacy() ? q->base + 16 * q->size : q->base + AT_DRIVER;
}

static uint64_t used_area(const VbQueue *q)
{
    return vb_is_legacy() ? (q->base + 16 * q->size + 6 + 2 * q->size + 4095) & ~UINT64_C(4095) : q->base + AT_DEVICE;
}

static void put_desc(uint64_t at, const Seg *s, unsigned word6, unsigned word7)
{
    vb_put(at, 8, s->at);
    vb_put(at + 8, 4, s->len);
    vb_put(at + 12, 2, word6);
    vb_put(at + 14, 2, word7);
}

/* Chains start at descriptor `avail` modulo size; buffers in flight at a time are few. */
static uint16_t add_split(VbQueue *q, const Seg *segs, unsigned n)
{
    enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
    static unsigned next;
    unsigned head = next % q->size;
    uint64_t table = VB_TABLES + (next % 8) * 0x400;
    for (unsigned i = 0; i < n; i++) {
        unsigned flags = (i + 1 < n ? NEXT : 0) | (segs[i].write ? WRITE : 0);
        if (vb.indirect) {
            put_desc(table + 16 * i, &segs[i], flags, i + 1);
        } else {
            put_desc(q->base + 16 * ((head + i) % q->size), &segs[i], flags, (head + i + 1) % q->size);
        }
    }
    if (vb.indirect) {
        put_desc(q->base + 16 * head, &(Seg){table, 16 * n, false}, INDIRECT, 0);
    }
    next += vb.indirect ? 1 : n;
    vb_put(avail_area(q) + 4 + 2 * (q->avail % q->size), 2, head);
    vb_put(avail_area(q) + 2, 2, ++q->avail);
    return (uint16_t)head;
}

static uint16_t add_packed(VbQueue *q, const Seg *segs, unsigned n)
{
    enum { NEXT = 1, WRITE = 2, INDIRECT = 4, AVAIL = 1 << 7, USED = 1 << 15 };
    static uint16_t next;
    uint16_t id = (uint16_t)(next++ % q->size), head = q->avail;
    unsigned head_flags = 0;
    uint64_t table = VB_TABLES + (id % 8) * 0x400;
    Seg indirect = {table, 16 * n, false};
    for (unsigned i = 0; vb.indirect && i < n; i++) {
        put_desc(table + 16 * i, &segs[i], 0, segs[i].write ? WRITE : 0);
    }
    q->slots[id] = (uint16_t)(vb.indirect ? 1 : n);
    for (unsigned i = 0; i < q->slots[id]; i++) {
        unsigned flags = (q->avail_wrap ? AVAIL : USED) | (vb.indirect ? INDIRECT : 0) |
                         (!vb.indirect && i + 1 < n ? NEXT : 0) | (!vb.indirect && segs[i].write ? WRITE : 0);
        put_desc(q->base + 16 * q->avail, vb.indirect ? &indirect : &segs[i], id, i ? flags : 0);
        head_flags = i ? head_flags : flags;
        if (++q->avail == q->size) {
            q->avail = 0;
            q->avail_wrap = !q->avail_wrap;
        }
    }
    vb_put(q->base + 16 * head + 14, 2, head_flags); /* the first one's flags last */
    return id;
}

uint16_t vb_add(VbQueue *q, const Seg *segs, unsigned n)
{
    return vb.packed ? add_packed(q, segs, n) : add_split(q, segs, n);
}

static bool used_packed(VbQueue *q, uint16_t *id, uint32_t *len)
{
    uint64_t at = q->base + 16 * q->seen;
    unsigned flags = (unsigned)vb_get(at + 14, 2);
    bool avail = flags >> 7 & 1, used = flags >> 15;
    if (avail != used || used != q->seen_wrap) {
        return false;
    }
    *id = (uint16_t)vb_get(at + 12, 2);
    *len = (uint32_t)vb_get(at + 8, 4);
    ck_assert_uint_lt(*id, q->size);
    q->seen = (uint16_t)(q->seen + q->slots[*id]);
    if (q->seen >= q->size) {
        q->seen = (uint16_t)(q->seen - q->size);
        q->seen_wrap = !q->seen_wrap;
    }
    return true;
}

bool vb_used(VbQueue *q, uint16_t *id, uint32_t *len)
{
    if (vb.packed) {
        return used_packed(q, id, len);
    }
    if ((uint16_t)vb_get(used_area(q) + 2, 2) == q->seen) {
        return false;
    }
    uint64_t at = used_area(q) + 4 + 8 * (q->seen++ % q->size);
    *id = (uint16_t)vb_get(at, 4);
    *len = (uint32_t)vb_get(at + 4, 4);
    return true;
}

void vb_wait(void)
{
    drive_drain_all();
    loop_iterate(false);
}
