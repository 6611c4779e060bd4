#include "hw/virtio/virtio-balloon.h"

#include <json-c/json.h>
#include <string.h>

#include "core/clock.h"
#include "hw/machine.h"
#include "hw/virtio/virtqueue.h"
#include "qapi/schema/qapi-events.h"

enum { F_STATS = 1, F_DEFLATE_ON_OOM = 2, F_REPORTING = 5 };    /* §5.5.3 */
enum { INFLATE, DEFLATE, STATS, REPORTING };                    /* §5.5.2; queues that are not offered have no number */
enum { PAGE = 4096, QUEUE_SIZE = 128, PFNS = 256, INFLATE_BYTES = 64 << 10 };

static VirtioBalloon *the_balloon;

VirtioBalloon *virtio_balloon(void)
{
    return the_balloon;
}

/* ---- Pages ---- */

/* §5.5.6: what is in the balloon may be thrown away; the guest gets zeros, or whatever, when it deflates. */
static void inflate(VirtioBalloon *s, const VirtBuffer *b)
{
    uint32_t pfn[PFNS];
    size_t n;
    /* Drivers name few pages at a time; of a buffer that names millions, the rest stays with the guest. */
    for (uint64_t at = 0; at < INFLATE_BYTES && (n = virtbuffer_read(b, at, pfn, sizeof pfn) / sizeof pfn[0]);
         at += sizeof pfn) {
        for (size_t i = 0; i < n;) { /* neighbours in one go */
            size_t run = 1;
            while (i + run < n && pfn[i + run] == pfn[i] + run) {
                run++;
            }
            dma_discard(s->v.dev.dma, (uint64_t)pfn[i] * PAGE, run * PAGE);
            i += run;
        }
        if (n < PFNS) {
            break;
        }
    }
}

static void report(VirtioBalloon *s, const VirtBuffer *b)
{
    for (unsigned i = 0; i < b->n_in; i++) {
        dma_discard(s->v.dev.dma, b->piece[b->n_out + i].at, b->piece[b->n_out + i].len);
    }
}

/* ---- Statistics ---- */

static void take_stats(VirtioBalloon *s, const VirtBuffer *b)
{
    struct { /* §5.5.6.3 */
        uint16_t tag;
        uint64_t value;
    } __attribute__((packed)) entry;
    memset(s->stats, 0xff, sizeof s->stats);
    for (unsigned i = 0; i < 2 * BALLOON_STATS; i++) {
        if (virtbuffer_read(b, i * sizeof entry, &entry, sizeof entry) < sizeof entry) {
            break;
        }
        if (entry.tag < BALLOON_STATS) {
            s->stats[entry.tag] = entry.value;
        }
    }
    s->stats_at = clock_now(CLOCK_HOST) / NS_PER_SECOND;
}

struct json_object *virtio_balloon_stats(const VirtioBalloon *s)
{
    static const char *const names[BALLOON_STATS] = {
        "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults", "stat-free-memory",
        "stat-total-memory", "stat-available-memory", "stat-disk-caches", "stat-htlb-pgalloc", "stat-htlb-pgfail"};
    json_object *stats = json_object_new_object(), *all = json_object_new_object();
    for (unsigned tag = 0; tag < BALLOON_STATS; tag++) {
        json_object_object_add(stats, names[tag], s->stats[tag] == UINT64_MAX
                                                      ? json_object_new_int64(-1)
                                                      : json_object_new_uint64(s->stats[tag]));
    }
    json_object_object_add(all, "stats", stats);
    json_object_object_add(all, "last-update", json_object_new_int64(s->stats_at));
    return all;
}

static bool has_stats(const VirtioBalloon *s)
{
    return virtio_has(&s->v, F_STATS);
}

/* The driver's one buffer stays in the ring until new numbers are wanted: giving it back asks for them (§5.5.6.3). */
static bool stats_queue(VirtioBalloon *s, VirtQueue *q)
{
    VirtBuffer *b = virtqueue_pop(q);
    if (!b) {
        return true;
    }
    if (s->stats_wanted) {
        s->stats_wanted = false;
        virtqueue_push(b, 0);
        return true;
    }
    take_stats(s, b);
    virtqueue_unpop(b);
    return false;
}

static void poll_again(VirtioBalloon *s)
{
    timer_at(&s->poll, s->poll_interval ? now(&s->v.dev) + s->poll_interval * NS_PER_SECOND : TIMER_OFF);
}

static void poll_fired(void *dev, unsigned i)
{
    VirtioBalloon *s = dev;
    if (has_stats(s)) {
        s->stats_wanted = true;
        virtio_kick(&s->v, STATS);
    }
    poll_again(s);
}

void virtio_balloon_poll(VirtioBalloon *s, uint32_t seconds)
{
    s->poll_interval = seconds;
    poll_again(s);
}

static bool balloon_queue(VirtioDevice *v, VirtQueue *q)
{
    VirtioBalloon *s = (VirtioBalloon *)v;
    if (q->index == STATS) {
        return stats_queue(s, q);
    }
    for (VirtBuffer *b; (b = virtqueue_pop(q));) {
        if (q->index == INFLATE) {
            inflate(s, b);
        } else if (q->index == REPORTING) {
            report(s, b);
        }
        virtqueue_push(b, 0);
    }
    return true;
}

/* ---- Size ---- */

int64_t virtio_balloon_actual(const VirtioBalloon *s)
{
    return (int64_t)machine.ram_size - (int64_t)s->actual * PAGE;
}

void virtio_balloon_set(VirtioBalloon *s, uint64_t bytes)
{
    bytes = MIN(bytes, machine.ram_size);
    s->num_pages = (uint32_t)MIN((machine.ram_size - bytes) / PAGE, UINT32_MAX);
    virtio_config_changed(&s->v);
    device_settle(&s->v.dev);
}

static void actual_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    VirtioBalloon *s = dev;
    if (old != value && s == the_balloon) {
        event_balloon_change(virtio_balloon_actual(s));
    }
}

/* ---- The device ---- */

static uint64_t balloon_features(const VirtioDevice *v)
{
    const VirtioBalloon *s = (const VirtioBalloon *)v;
    return (s->deflate_on_oom ? VIRTIO_BIT(F_DEFLATE_ON_OOM) : 0) |
           (s->free_page_reporting ? VIRTIO_BIT(F_REPORTING) : 0);
}

static void balloon_restart(VirtioDevice *v)
{
    VirtioBalloon *s = (VirtioBalloon *)v;
    s->stats_wanted = false;
    memset(s->stats, 0xff, sizeof s->stats);
    s->stats_at = 0;
}

static bool balloon_realize(void *dev, GError **error)
{
    VirtioBalloon *s = dev;
    if (the_balloon && machine.class) { /* without a machine (tests) there may be several */
        return error_fail(error, "Only one balloon device is supported");
    }
    the_balloon = s;
    for (unsigned i = INFLATE; i <= (s->free_page_reporting ? REPORTING : STATS); i++) {
        virtio_queue_new(&s->v, QUEUE_SIZE);
    }
    return true;
}

static void balloon_unrealize(void *dev)
{
    if (the_balloon == dev) {
        the_balloon = NULL;
    }
}

static void balloon_reset(void *dev, bool power_on)
{
    poll_again(dev);
}

#define C SPACE_VIRTIO_CONFIG
// clang-format off
static const Row rows[] = {
    PROP_AS(VirtioBalloon, deflate_on_oom, "deflate-on-oom", "off", "The guest may take memory back when it runs short"),
    PROP_AS(VirtioBalloon, free_page_reporting, "free-page-reporting", "off", "The guest tells which pages it has free"),
    PROP_AS(VirtioBalloon, poll_interval, "guest-stats-polling-interval", "0",
            "Seconds between two askings for statistics; 0: none"),
    REG(VirtioBalloon, num_pages, 0, .space = C, .keep = true, .doc = "Pages that the balloon shall have"),
    REG(VirtioBalloon, actual, 4, .space = C, .rw = UINT32_MAX, .on_write = actual_write, .doc = "Pages that it has"),
    STATES(VirtioBalloon, stats, .reset = UINT64_MAX),
    STATE(VirtioBalloon, stats_at),
    STATE(VirtioBalloon, stats_wanted),
    TIMER(VirtioBalloon, poll, poll_fired, .doc = "The next asking for statistics"),
    END
};
// clang-format on

const DeviceClass virtio_balloon_class = {
    .name = "virtio-balloon-device",
    .doc = "virtio memory balloon, for a virtio bus",
    .base = &virtio_device_class,
    .bus = "virtio-bus",
    .category = "misc",
    .size = sizeof(VirtioBalloon),
    .rows = rows,
    .info =
        &(const VirtioInfo){
            .type = 5,
            .config_size = 16,
            .features = VIRTIO_BIT(F_STATS),
            .more_features = balloon_features,
            .queue = balloon_queue,
            .reset = balloon_restart,
        },
    .realize = balloon_realize,
    .unrealize = balloon_unrealize,
    .reset = balloon_reset,
};
