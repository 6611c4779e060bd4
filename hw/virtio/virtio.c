/* Device status, feature negotiation, and when queues are worked on (virtio 1.2 §2, §3). */
#include "hw/virtio/virtio.h"

#include "core/loop.h"
#include "hw/virtio/virtio-loop.h"
#include "hw/virtio/virtqueue.h"

enum { RUN_BUFFERS = 256, PAUSE_NS = 50000 };

/* ---- Features (§2.2, §6) ---- */

uint64_t virtio_features(const VirtioDevice *v)
{
    const VirtioInfo *info = VIRTIO_INFO(v);
    uint64_t f = info->features | (info->more_features ? info->more_features(v) : 0);
    f |= v->indirect_desc ? VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) : 0;
    f |= v->event_idx ? VIRTIO_BIT(VIRTIO_F_EVENT_IDX) : 0;
    if (v->modern) {
        f |= VIRTIO_BIT(VIRTIO_F_VERSION_1);
        f |= v->packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0;
        f |= v->queue_reset_offered ? VIRTIO_BIT(VIRTIO_F_RING_RESET) : 0;
    }
    if (v->legacy) {
        f |= v->any_layout ? VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT) : 0;
    }
    return f;
}

bool virtio_has(const VirtioDevice *v, unsigned feature)
{
    return (v->driver_features & virtio_features(v)) >> feature & 1;
}

/* §6.1: a modern driver takes VERSION_1; a legacy one does not know this step. */
static bool features_acceptable(VirtioDevice *v)
{
    uint64_t excess = v->driver_features & ~virtio_features(v);
    if (excess) {
        guest_error(&v->dev, "features %" G_GINT64_MODIFIER "x were not offered", excess);
    }
    return !excess && (v->driver_features & VIRTIO_BIT(VIRTIO_F_VERSION_1));
}

/* ---- Status (§2.1) ---- */

/* The queues go first: while the device waits for its back end, nothing new is taken. */
static void restart(VirtioDevice *v)
{
    const VirtioInfo *info = VIRTIO_INFO(v);
    v->status = v->isr = 0;
    v->queue_select = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    v->device_feature_select = v->driver_feature_select = 0;
    v->driver_features = 0;
    v->guest_page_size = v->queue_align = 4096;
    for (unsigned i = 0; i < v->queues; i++) {
        VirtQueue *q = &v->queue[i];
        q->size = q->max;
        q->vector = VIRTIO_NO_VECTOR;
        q->desc = q->driver = q->device = 0;
        virtio_queue_enable(q, false);
    }
    if (info->reset) {
        info->reset(v);
    }
    v->kicked = v->pushed = v->signals = 0;
    v->config_signal = false;
    timer_off(&v->more);
    virtloop_restart(v);
}

void virtio_kick_all(VirtioDevice *v)
{
    for (unsigned i = 0; i < v->queues; i++) {
        virtio_kick(v, i);
    }
}

void virtio_status_write(VirtioDevice *v, uint8_t value)
{
    const VirtioInfo *info = VIRTIO_INFO(v);
    uint8_t old = v->status;
    if (!value) {
        restart(v);
        return;
    }
    if ((value & VIRTIO_FEATURES_OK) && !(old & VIRTIO_FEATURES_OK) && !features_acceptable(v)) {
        value &= (uint8_t)~VIRTIO_FEATURES_OK;
    }
    v->status = (uint8_t)((value & ~VIRTIO_NEEDS_RESET) | (old & VIRTIO_NEEDS_RESET));
    if ((value & VIRTIO_DRIVER_OK) && !(old & VIRTIO_DRIVER_OK)) {
        virtio_kick_all(v);
        if (info->ready) {
            info->ready(v);
        }
    }
}

bool virtio_is_ready(const VirtioDevice *v)
{
    /* Legacy drivers were known to use their queues before they set DRIVER_OK (§3.1.2). */
    return !(v->status & VIRTIO_NEEDS_RESET) && !__atomic_load_n(&v->broken, __ATOMIC_RELAXED) && dma_allowed(v->dev.dma) &&
           ((v->status & VIRTIO_DRIVER_OK) || virtio_is_legacy(v));
}

void virtio_break(VirtioDevice *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    guest_error(&v->dev, "%s", text);
    if (loop_is_queue_thread()) {
        virtloop_broke(v);
    } else if (!(v->status & VIRTIO_NEEDS_RESET)) {
        v->status |= VIRTIO_NEEDS_RESET;
        v->kicked = 0;
        v->config_signal |= v->status & VIRTIO_DRIVER_OK;
    }
}

void virtio_config_changed(VirtioDevice *v)
{
    v->generation++;
    v->config_signal |= v->status & VIRTIO_DRIVER_OK;
}

bool virtio_busy(const VirtioDevice *v)
{
    const VirtioInfo *info = VIRTIO_INFO(v);
    return info->busy && info->busy(v);
}

/* ---- Queues ---- */

VirtQueue *virtio_queue_new(VirtioDevice *v, unsigned size)
{
    g_assert(v->queues < VIRTIO_QUEUES && size >= 2 && size <= VIRTQUEUE_MAX && !(size & (size - 1)));
    VirtQueue *q = &v->queue[v->queues];
    q->dev = v;
    q->index = v->queues++;
    q->max = (uint16_t)size;
    q->signal_fd = -1;
    return q;
}

void virtio_queue_restart(VirtQueue *q)
{
    q->avail = q->used = q->since = q->inuse = 0;
    q->avail_wrap = q->used_wrap = 1;
    q->quiet = false;
}

void virtio_queue_enable(VirtQueue *q, bool on)
{
    virtio_queue_restart(q);
    q->enabled = on;
}

void virtio_kick(VirtioDevice *v, unsigned queue)
{
    if (queue < v->queues && v->queue[queue].loop) {
        virtloop_kick(v->queue[queue].loop, queue);
    } else if (queue < v->queues) {
        v->kicked |= VIRTIO_BIT(queue);
    }
}

unsigned *virtqueue_budget(VirtQueue *q)
{
    return q->loop ? &q->loop->budget : &q->dev->budget;
}

uint64_t *virtqueue_pushed(VirtQueue *q)
{
    return q->loop ? &q->loop->pushed : &q->dev->pushed;
}

void virtqueue_settle(VirtQueue *q)
{
    if (q->loop) {
        g_assert(loop_current() == q->loop->loop); /* else the request went to another one's thread */
        virtloop_run(q->loop);
    } else {
        device_settle(&q->dev->dev);
    }
}

static void again(VirtQueue *q)
{
    VirtioDevice *v = q->dev;
    if (q->loop) {
        virtloop_again(q);
    } else {
        v->kicked |= VIRTIO_BIT(q->index);
        timer_at(&v->more, now(&v->dev) + PAUSE_NS);
    }
}

/* Until the ring is empty, the device has had enough, or it is time for others: a driver that adds buffers all the time
 * must not keep the machine. */
void virtio_run_queue(VirtQueue *q)
{
    VirtioDevice *v = q->dev;
    const VirtioInfo *info = VIRTIO_INFO(v);
    unsigned *budget = virtqueue_budget(q);
    *budget = RUN_BUFFERS;
    while (virtio_is_ready(v) && virtqueue_usable(q)) {
        if (!info->queue(v, q)) {
            if (virtio_is_ready(v)) {
                virtqueue_quiet(q);
            }
            break;
        }
        if (!*budget) {
            again(q);
            break;
        }
        if (!virtio_is_ready(v) || !virtqueue_arm(q)) {
            break;
        }
        --*budget; /* a round that took nothing has an end, too */
    }
    *budget = UINT_MAX;
}

void virtio_more(void *dev, unsigned i) {} /* settling does the work */

static void virtio_update(void *dev)
{
    VirtioDevice *v = dev;
    if (v->kicked && virtio_is_ready(v) && !timer_pending(&v->more)) {
        uint64_t todo = v->kicked;
        v->kicked = 0;
        for (; todo; todo &= todo - 1) {
            unsigned i = (unsigned)__builtin_ctzll(todo);
            if (i < v->queues && v->queue[i].loop) { /* a snapshot may say so */
                virtloop_kick(v->queue[i].loop, i);
            } else if (i < v->queues) {
                virtio_run_queue(&v->queue[i]);
            }
        }
        if (v->kicked && !timer_pending(&v->more)) { /* one queue's messages gave another one work */
            device_settle(&v->dev);
        }
    }
    for (; v->pushed; v->pushed &= v->pushed - 1) {
        unsigned i = (unsigned)__builtin_ctzll(v->pushed);
        if (i < v->queues && !(v->status & VIRTIO_NEEDS_RESET) &&
            virtqueue_wants_signal(&v->queue[i])) {
            v->signals |= VIRTIO_BIT(i);
        }
    }
    virtloop_collect(v);
    if (v->settled) {
        v->settled(v->transport);
    }
}

static bool virtio_realize(void *dev, GError **error)
{
    VirtioDevice *v = dev;
    v->budget = UINT_MAX;
    return true;
}

static void virtio_reset(void *dev, bool power_on)
{
    virtio_enter(dev);
    restart(dev);
    virtio_leave(dev);
}

const DeviceClass virtio_device_class = {
    .name = "virtio-device",
    .doc = "Device behind a virtio transport",
    .abstract = true,
    .bus = "virtio-bus",
    .size = sizeof(VirtioDevice),
    .rows = virtio_rows,
    .info = &(const VirtioInfo){0},
    .realize = virtio_realize,
    .reset = virtio_reset,
    .update = virtio_update,
};
