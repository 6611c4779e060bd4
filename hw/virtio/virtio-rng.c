/* virtio-rng: random bytes from the host (virtio 1.2 §5.4), at most max-bytes in each period. */
#include "hw/virtio/virtio-rng.h"

#include "core/random.h"
#include "hw/virtio/virtqueue.h"

enum { PIECE = 4096, MOST = 64 << 10 }; /* a buffer need not be filled */

static bool is_limited(const VirtioRng *s)
{
    return s->max_bytes != INT64_MAX;
}

static uint64_t fill(const VirtBuffer *b, uint64_t len)
{
    uint8_t bytes[PIECE];
    uint64_t done = 0;
    while (done < len) {
        size_t n = MIN(sizeof bytes, len - done);
        host_random(bytes, n);
        virtbuffer_write(b, done, bytes, n);
        done += n;
    }
    return done;
}

static bool rng_queue(VirtioDevice *v, VirtQueue *q)
{
    VirtioRng *s = (VirtioRng *)v;
    while (s->left) {
        VirtBuffer *b = virtqueue_pop(q);
        if (!b) {
            return true;
        }
        uint64_t n = fill(b, MIN(MIN(b->in, MOST), s->left));
        virtqueue_push(b, n);
        if (is_limited(s)) {
            s->left -= n;
            if (!timer_pending(&s->refill)) {
                timer_at(&s->refill, now(&v->dev) + s->period * NS_PER_MS);
            }
        }
    }
    return false;
}

static void refill(void *dev, unsigned i)
{
    VirtioRng *s = dev;
    s->left = s->max_bytes;
    virtio_kick(&s->v, 0);
}

static bool rng_realize(void *dev, GError **error)
{
    VirtioRng *s = dev;
    if (!s->period || !s->max_bytes || s->max_bytes > INT64_MAX) {
        return error_fail(error, "virtio-rng: max-bytes and period are numbers from 1 on");
    }
    virtio_queue_new(&s->v, 8);
    return true;
}

/* Of the machine: a driver's reset brings no new allowance. */
static void rng_reset(void *dev, bool power_on)
{
    VirtioRng *s = dev;
    s->left = s->max_bytes;
}

static void rng_update(void *dev)
{
    VirtioRng *s = dev;
    s->left = MIN(s->left, s->max_bytes);
    if (is_limited(s) && !s->left && !timer_pending(&s->refill)) { /* a snapshot may say anything */
        timer_at(&s->refill, now(&s->v.dev) + s->period * NS_PER_MS);
    }
}

static const Row rows[] = {
    PROP_AS(VirtioRng, max_bytes, "max-bytes", "9223372036854775807", "Bytes that the guest gets in each period"),
    PROP(VirtioRng, period, "65536", "Milliseconds"),
    STATE(VirtioRng, left, .doc = "Bytes left in this period"),
    TIMER(VirtioRng, refill, refill, .doc = "End of the period"),
    END,
};

const DeviceClass virtio_rng_class = {
    .name = "virtio-rng-device",
    .doc = "virtio random number generator, for a virtio bus",
    .base = &virtio_device_class,
    .bus = "virtio-bus",
    .category = "misc",
    .size = sizeof(VirtioRng),
    .rows = rows,
    .info = &(const VirtioInfo){.type = 4, .queue = rng_queue},
    .realize = rng_realize,
    .reset = rng_reset,
    .update = rng_update,
};
