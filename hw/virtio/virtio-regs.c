/* The registers of virtio devices: one state, seen through the common configuration of PCI (virtio 1.2 §4.1.4.3), the legacy
 * header (§4.1.4.10) and the memory-mapped registers (§4.2.2, §4.2.4). */
#include "hw/virtio/virtio-loop.h"
#include "hw/virtio/virtio.h"

typedef enum Reg { /* .arg of the rows below */
    FEATURES, FEATURES_LOW, DRIVER_FEATURES, DRIVER_FEATURES_LOW, DEVICE_SELECT, DRIVER_SELECT,
    CONFIG_VECTOR, NUM_QUEUES, STATUS, GENERATION, QUEUE_SELECT, QUEUE_SIZE, QUEUE_MAX, QUEUE_VECTOR,
    QUEUE_ENABLE, QUEUE_NOTIFY_OFF, QUEUE_RESET, DESC_LOW, DESC_HIGH, DRIVER_LOW, DRIVER_HIGH, DEVICE_LOW,
    DEVICE_HIGH, NOTIFY, ISR, ISR_ACK, PFN, PAGE_SIZE, ALIGN, TYPE,
} Reg;

static VirtQueue *selected(const VirtioDevice *v)
{
    return v->queue_select < v->queues ? (VirtQueue *)&v->queue[v->queue_select] : NULL;
}

/* ---- Reading ---- */

static uint64_t features_get(const VirtioDevice *v, uint32_t select)
{
    return select < 2 ? virtio_features(v) >> 32 * select & UINT32_MAX : 0;
}

static uint64_t queue_get(const VirtioDevice *v, unsigned reg)
{
    const VirtQueue *q = selected(v);
    if (!q) {
        return reg == QUEUE_VECTOR ? VIRTIO_NO_VECTOR : 0;
    }
    switch (reg) {
    case QUEUE_SIZE: return q->size;
    case QUEUE_MAX: return q->max;
    case QUEUE_VECTOR: return q->vector;
    case QUEUE_ENABLE: return q->enabled;
    case QUEUE_NOTIFY_OFF: return q->index;
    case DESC_LOW: return q->desc & UINT32_MAX;
    case DESC_HIGH: return q->desc >> 32;
    case DRIVER_LOW: return q->driver & UINT32_MAX;
    case DRIVER_HIGH: return q->driver >> 32;
    case DEVICE_LOW: return q->device & UINT32_MAX;
    case DEVICE_HIGH: return q->device >> 32;
    case PFN: return q->enabled && v->guest_page_size ? (q->desc / v->guest_page_size) & UINT32_MAX : 0;
    default: return 0; /* QUEUE_RESET: a reset is over before anyone looks */
    }
}

static uint64_t reg_get(const void *dev, unsigned reg, unsigned i)
{
    const VirtioDevice *v = dev;
    switch (reg) {
    case FEATURES: return features_get(v, v->device_feature_select);
    case FEATURES_LOW: return features_get(v, 0);
    case DRIVER_FEATURES: return v->driver_feature_select < 2 ? v->driver_features >> 32 * v->driver_feature_select : 0;
    case DRIVER_FEATURES_LOW: return v->driver_features & UINT32_MAX;
    case DEVICE_SELECT: return v->device_feature_select;
    case DRIVER_SELECT: return v->driver_feature_select;
    case CONFIG_VECTOR: return v->config_vector;
    case NUM_QUEUES: return v->queues;
    case STATUS: return v->status;
    case GENERATION: return v->generation;
    case QUEUE_SELECT: return v->queue_select;
    case ISR: return v->isr;
    case TYPE: return VIRTIO_INFO(v)->type;
    default: return queue_get(v, reg);
    }
}

/* §4.1.4.5: reading it acknowledges. */
static void isr_read(void *dev, unsigned arg, unsigned i)
{
    ((VirtioDevice *)dev)->isr = 0;
}

/* ---- Writing ---- */

static void features_write(VirtioDevice *v, uint32_t select, uint64_t value)
{
    if (v->status & VIRTIO_FEATURES_OK) {
        guest_error(&v->dev, "features written after FEATURES_OK");
    } else if (select < 2) {
        unsigned shift = 32 * select;
        v->driver_features = (v->driver_features & ~(UINT64_C(0xffffffff) << shift)) | value << shift;
    }
}

static uint16_t vector_checked(const VirtioDevice *v, uint64_t vector)
{
    return vector < v->vectors ? (uint16_t)vector : VIRTIO_NO_VECTOR;
}

/* The driver gets its buffers back, and the device forgets them. */
static void stop_queue(VirtQueue *q)
{
    const VirtioInfo *info = VIRTIO_INFO(q->dev);
    virtio_queue_enable(q, false);
    if (info->queue_reset) {
        info->queue_reset(q->dev, q);
    }
}

/* §2.7: where the three areas lie when only the page of the first is given. */
static void pfn_write(VirtioDevice *v, VirtQueue *q, uint64_t pfn)
{
    uint64_t align = v->queue_align ? v->queue_align : 4096;
    stop_queue(q);
    q->desc = pfn * v->guest_page_size;
    q->driver = q->desc + 16u * q->size;
    q->device = (q->driver + 6 + 2u * q->size + align - 1) / align * align;
    virtio_queue_enable(q, pfn);
}

static void size_write(VirtQueue *q, uint64_t size)
{
    bool packed = virtio_has(q->dev, VIRTIO_F_RING_PACKED);
    if (!size || size > q->max || (!packed && (size & (size - 1)))) {
        guest_error(&q->dev->dev, "queue %u: size %u, expected: %s up to %u", q->index, (unsigned)size,
                    packed ? "any" : "a power of two", q->max);
    } else {
        q->size = (uint16_t)size;
    }
}

static void put_half(uint64_t *address, unsigned high, uint64_t value)
{
    *address = high ? (*address & UINT32_MAX) | value << 32 : (*address & ~UINT64_C(0xffffffff)) | value;
}

static void reset_queue(VirtQueue *q)
{
    VirtioDevice *v = q->dev;
    if (!virtio_has(v, VIRTIO_F_RING_RESET)) {
        guest_error(&v->dev, "queue %u: queue reset was not negotiated", q->index);
        return;
    }
    stop_queue(q);
    virtloop_forget(q);
    v->kicked &= ~VIRTIO_BIT(q->index);
    v->pushed &= ~VIRTIO_BIT(q->index);
    v->signals &= ~VIRTIO_BIT(q->index);
    q->size = q->max;
    q->vector = VIRTIO_NO_VECTOR;
}

/* §2.6.1: after its own reset a queue may be enabled while the device runs. */
static void enable_write(VirtioDevice *v, VirtQueue *q, uint64_t value)
{
    if (value && !q->enabled) {
        virtio_queue_enable(q, true);
        virtio_kick(v, q->index);
    } else if (!value && v->mmio_version) { /* QueueReady may be cleared; queue_enable of PCI may not */
        stop_queue(q);
    }
}

static void queue_write(VirtioDevice *v, VirtQueue *q, unsigned reg, uint64_t value)
{
    bool fixed = q->enabled && reg != QUEUE_VECTOR && reg != QUEUE_ENABLE && reg != QUEUE_RESET && reg != PFN;
    if (fixed) {
        guest_error(&v->dev, "queue %u: changed while it is enabled", q->index);
        return;
    }
    switch (reg) {
    case QUEUE_SIZE: size_write(q, value); break;
    case QUEUE_VECTOR: q->vector = vector_checked(v, value); break;
    case QUEUE_ENABLE: enable_write(v, q, value); break;
    case QUEUE_RESET:
        if (value & 1) {
            reset_queue(q);
        }
        break;
    case DESC_LOW:
    case DESC_HIGH: put_half(&q->desc, reg - DESC_LOW, value); break;
    case DRIVER_LOW:
    case DRIVER_HIGH: put_half(&q->driver, reg - DRIVER_LOW, value); break;
    case DEVICE_LOW:
    case DEVICE_HIGH: put_half(&q->device, reg - DEVICE_LOW, value); break;
    case PFN: pfn_write(v, q, value); break;
    default: break;
    }
}

static void write_register(VirtioDevice *v, unsigned reg, uint64_t value)
{
    VirtQueue *q = selected(v);
    switch (reg) {
    case DRIVER_FEATURES: features_write(v, v->driver_feature_select, value); break;
    case DRIVER_FEATURES_LOW: features_write(v, 0, value); break;
    case DEVICE_SELECT: v->device_feature_select = (uint32_t)value; break;
    case DRIVER_SELECT: v->driver_feature_select = (uint32_t)value; break;
    case CONFIG_VECTOR: v->config_vector = vector_checked(v, value); break;
    case STATUS: virtio_status_write(v, (uint8_t)value); break;
    case QUEUE_SELECT: v->queue_select = (uint16_t)MIN(value, UINT16_MAX); break;
    case ISR_ACK: v->isr &= (uint8_t)~value; break;
    case PAGE_SIZE: v->guest_page_size = value && !(value & (value - 1)) ? (uint32_t)value : v->guest_page_size; break;
    case ALIGN: v->queue_align = value && !(value & (value - 1)) ? (uint32_t)value : v->queue_align; break;
    default:
        if (q) {
            queue_write(v, q, reg, value);
        }
    }
}

/* What the driver sets up, loops that work on its queues look at. */
static void reg_write(void *dev, unsigned reg, unsigned i, uint64_t old, uint64_t value)
{
    VirtioDevice *v = dev;
    if (reg == NOTIFY) {
        virtio_kick(v, (unsigned)MIN(value, UINT_MAX));
        return;
    }
    virtio_enter(v);
    write_register(v, reg, value);
    virtio_leave(v);
}

#define RO(name, size, at, reg) CALC(name, size, at, .space = S, .ro = true, .get = reg_get, .arg = reg)
#define WO(name, size, at, reg) CALC(name, size, at, .space = S, .wo = true, .on_write = reg_write, .arg = reg)
#define RW(name, size, at, reg) CALC(name, size, at, .space = S, .get = reg_get, .on_write = reg_write, .arg = reg)
#define V1 WHEN(VirtioDevice, mmio_version, 3, 1)
#define V2 WHEN(VirtioDevice, mmio_version, 3, 2)
#define MM(name, at, reg, bank_, ...) CALC(name, 4, at, .space = SPACE_VIRTIO_MMIO, bank_, .arg = reg, __VA_ARGS__)
#define GET .ro = true, .get = reg_get
#define PUT .wo = true, .on_write = reg_write
#define QUEUE_STATE(f, ...) EACH(VirtioDevice, queue, f, .live = {offsetof(VirtioDevice, queues), 2}, __VA_ARGS__)

// clang-format off
const Row virtio_rows[] = {
    PROP(VirtioDevice, indirect_desc, "on", "Offer indirect descriptors"),
    PROP(VirtioDevice, event_idx, "on", "Offer notification suppression by index"),
    PROP(VirtioDevice, packed, "off", "Offer packed rings"),
    PROP_AS(VirtioDevice, queue_reset_offered, "queue_reset", "on", "Offer the reset of single queues"),
    PROP(VirtioDevice, any_layout, "on", "Tell legacy drivers that any layout of descriptors will do"),
    STATE(VirtioDevice, status, .bits = "ACKNOWLEDGE DRIVER DRIVER_OK FEATURES_OK - - NEEDS_RESET FAILED"),
    STATE(VirtioDevice, isr, .max = 3, .bits = "QUEUE CONFIG"),
    STATE(VirtioDevice, generation),
    STATE(VirtioDevice, queue_select),
    STATE(VirtioDevice, config_vector, .reset = VIRTIO_NO_VECTOR),
    STATE(VirtioDevice, device_feature_select),
    STATE(VirtioDevice, driver_feature_select),
    STATE(VirtioDevice, driver_features),
    STATE(VirtioDevice, guest_page_size, .reset = 4096),
    STATE(VirtioDevice, queue_align, .reset = 4096),
    STATE(VirtioDevice, kicked, .doc = "Queues to look at"),
    STATE(VirtioDevice, pushed, .doc = "Queues that got buffers back"),
    STATE(VirtioDevice, signals, .doc = "Queues whose interrupt is due"),
    STATE(VirtioDevice, config_signal),
    TIMER(VirtioDevice, more, virtio_more, .doc = "The next run of queues that never end"),
    DERIVED(VirtioDevice, budget),
    DERIVED(VirtioDevice, loop),
    DERIVED(VirtioDevice, loops),
    DERIVED(VirtioDevice, broken),
    QUEUE_STATE(size, .max = VIRTQUEUE_MAX),
    QUEUE_STATE(vector, .reset = VIRTIO_NO_VECTOR),
    QUEUE_STATE(enabled),
    QUEUE_STATE(desc),
    QUEUE_STATE(driver),
    QUEUE_STATE(device),
    QUEUE_STATE(avail),
    QUEUE_STATE(used),
    QUEUE_STATE(avail_wrap, .reset = 1, .max = 1),
    QUEUE_STATE(used_wrap, .reset = 1, .max = 1),
    QUEUE_STATE(quiet),
    QUEUE_STATE(since),
    {.kind = ROW_DERIVED, ROW_EACH(VirtioDevice, queue, inuse)},
    {.kind = ROW_DERIVED, ROW_EACH(VirtioDevice, queue, signal_fd)},

#define S SPACE_VIRTIO_COMMON
    RW(common_device_feature_select, 4, 0x00, DEVICE_SELECT),
    RO(device_feature, 4, 0x04, FEATURES),
    RW(common_driver_feature_select, 4, 0x08, DRIVER_SELECT),
    RW(driver_feature, 4, 0x0c, DRIVER_FEATURES),
    RW(config_msix_vector, 2, 0x10, CONFIG_VECTOR),
    RO(common_num_queues, 2, 0x12, NUM_QUEUES),
    RW(device_status, 1, 0x14, STATUS),
    RO(config_generation, 1, 0x15, GENERATION),
    RW(common_queue_select, 2, 0x16, QUEUE_SELECT),
    RW(queue_size, 2, 0x18, QUEUE_SIZE),
    RW(queue_msix_vector, 2, 0x1a, QUEUE_VECTOR),
    RW(queue_enable, 2, 0x1c, QUEUE_ENABLE),
    RO(queue_notify_off, 2, 0x1e, QUEUE_NOTIFY_OFF),
    RW(queue_desc, 4, 0x20, DESC_LOW),
    RW(queue_desc_high, 4, 0x24, DESC_HIGH),
    RW(queue_driver, 4, 0x28, DRIVER_LOW),
    RW(queue_driver_high, 4, 0x2c, DRIVER_HIGH),
    RW(queue_device, 4, 0x30, DEVICE_LOW),
    RW(queue_device_high, 4, 0x34, DEVICE_HIGH),
    RO(queue_notify_data, 2, 0x38, QUEUE_NOTIFY_OFF),
    RW(common_queue_reset, 2, 0x3a, QUEUE_RESET),
#undef S
#define S SPACE_VIRTIO_ISR
    CALC(isr_status, 1, 0, .space = S, .ro = true, .get = reg_get, .arg = ISR, .on_read = isr_read),
#undef S
    /* 14h, 16h: the vectors, present while MSI-X is on; the configuration space follows (virtio-pci.c). */
#define S SPACE_VIRTIO_LEGACY
    RO(legacy_features, 4, 0x00, FEATURES_LOW),
    RW(legacy_driver_features, 4, 0x04, DRIVER_FEATURES_LOW),
    RW(legacy_queue_address, 4, 0x08, PFN),
    RO(legacy_queue_size, 2, 0x0c, QUEUE_SIZE),
    RW(legacy_queue_select, 2, 0x0e, QUEUE_SELECT),
    WO(legacy_queue_notify, 2, 0x10, NOTIFY),
    RW(legacy_status, 1, 0x12, STATUS),
    CALC(legacy_isr, 1, 0x13, .space = S, .ro = true, .get = reg_get, .arg = ISR, .on_read = isr_read),
    RW(legacy_config_vector, 2, 0x14, CONFIG_VECTOR),
    RW(legacy_queue_vector, 2, 0x16, QUEUE_VECTOR),
#undef S
#define S SPACE_VIRTIO_MMIO
    CALC(mmio_magic, 4, 0x00, .space = S, .ro = true, .is = 0x74726976, .doc = "\"virt\""),
    CALC(mmio_version_register, 4, 0x04, .space = S, .ro = true, FROM(VirtioDevice, mmio_version)),
    RO(mmio_device_id, 4, 0x08, TYPE),
    CALC(mmio_vendor_id, 4, 0x0c, .space = S, .ro = true, .is = 0x554d4551),
    RO(mmio_device_features, 4, 0x10, FEATURES),
    WO(mmio_device_features_sel, 4, 0x14, DEVICE_SELECT),
    WO(mmio_driver_features, 4, 0x20, DRIVER_FEATURES),
    WO(mmio_driver_features_sel, 4, 0x24, DRIVER_SELECT),
    MM(mmio_guest_page_size, 0x28, PAGE_SIZE, V1, PUT),
    WO(mmio_queue_sel, 4, 0x30, QUEUE_SELECT),
    RO(mmio_queue_num_max, 4, 0x34, QUEUE_MAX),
    WO(mmio_queue_num, 4, 0x38, QUEUE_SIZE),
    MM(mmio_queue_align, 0x3c, ALIGN, V1, PUT),
    MM(mmio_queue_pfn, 0x40, PFN, V1, .get = reg_get, .on_write = reg_write),
    MM(mmio_queue_ready, 0x44, QUEUE_ENABLE, V2, .get = reg_get, .on_write = reg_write),
    WO(mmio_queue_notify, 4, 0x50, NOTIFY),
    RO(mmio_interrupt_status, 4, 0x60, ISR),
    WO(mmio_interrupt_ack, 4, 0x64, ISR_ACK),
    RW(mmio_status, 4, 0x70, STATUS),
    MM(mmio_queue_desc_low, 0x80, DESC_LOW, V2, PUT),
    MM(mmio_queue_desc_high, 0x84, DESC_HIGH, V2, PUT),
    MM(mmio_queue_driver_low, 0x90, DRIVER_LOW, V2, PUT),
    MM(mmio_queue_driver_high, 0x94, DRIVER_HIGH, V2, PUT),
    MM(mmio_queue_device_low, 0xa0, DEVICE_LOW, V2, PUT),
    MM(mmio_queue_device_high, 0xa4, DEVICE_HIGH, V2, PUT),
    MM(mmio_shm_len_low, 0xb0, 0, V2, .ro = true, .is = UINT32_MAX, .doc = "No shared memory"),
    MM(mmio_shm_len_high, 0xb4, 0, V2, .ro = true, .is = UINT32_MAX),
    MM(mmio_shm_base_low, 0xb8, 0, V2, .ro = true, .is = UINT32_MAX),
    MM(mmio_shm_base_high, 0xbc, 0, V2, .ro = true, .is = UINT32_MAX),
    MM(mmio_queue_reset, 0xc0, QUEUE_RESET, V2, .get = reg_get, .on_write = reg_write),
    MM(mmio_config_generation, 0xfc, GENERATION, V2, GET),
#undef S
    END
};
// clang-format on
