/* Requests are mapped and handed to the drive; they end in any order.  Each loop that works on queues keeps its own list of
 * them, of up to MAX_REQUESTS. */
#include "hw/virtio/virtio-blk.h"

#include <errno.h>
#include <string.h>

#include "core/loop.h"
#include "core/schema.h"
#include "cpu/cpu.h"
#include "hw/virtio/virtqueue.h"

enum { SECTOR = 512, MAX_REQUESTS = 1024, BOUNCE_MAX = 4 << 20, SERIAL_SIZE = 20 };
/* §5.2.3 */
enum { F_SEG_MAX = 2, F_GEOMETRY = 4, F_RO = 5, F_BLK_SIZE = 6, F_FLUSH = 9, F_TOPOLOGY = 10, F_CONFIG_WCE = 11, F_MQ = 12,
       F_DISCARD = 13, F_WRITE_ZEROES = 14 };
/* §5.2.6 */
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
enum { ZEROES_UNMAP = 1 };
enum { AUTO, ON, OFF };

typedef struct Header {
    uint32_t type, reserved;
    uint64_t sector;
} Header;
typedef struct Range { /* of discard and write zeroes */
    uint64_t sector;
    uint32_t count, flags;
} Range;

typedef struct BlkShare { /* of one loop */
    struct BlkRequest *requests;
    unsigned in_flight;
    uint64_t apart[6];                  /* no cache line is two threads' */
} BlkShare;

typedef struct BlkRequest {
    VirtioBlk *blk;                     /* NULL: the driver gave up on it */
    VirtBuffer *buffer;
    uint32_t type;
    uint64_t len;                       /* of the data */
    DmaVec vec;
    void *bounce;                       /* in place of vec: some of the buffer is no RAM */
    DriveRequest *handle;
    struct BlkRequest *next, **link;
} BlkRequest;

/* ---- The end of requests ---- */

/* The last byte that the device may write is the status; `written` bytes of data lie before it. */
static void answer(VirtBuffer *b, uint8_t status, uint64_t written)
{
    virtbuffer_write(b, b->in - 1, &status, 1);
    virtqueue_push(b, written + 1);
}

static BlkShare *share_of(const VirtioBlk *s, const VirtQueue *q)
{
    return &s->share[q->home];
}

static void unlink_request(BlkRequest *r)
{
    *r->link = r->next;
    if (r->next) {
        r->next->link = r->link;
    }
    share_of(r->blk, r->buffer->q)->in_flight--;
}

static void request_done(void *arg, int result)
{
    BlkRequest *r = arg;
    VirtioBlk *s = r->blk;
    uint64_t read = r->type == T_IN ? r->len : 0;
    if (s && r->bounce && read && !result) {
        virtbuffer_write(r->buffer, 0, r->bounce, r->len);
    }
    if (s) {
        VirtQueue *q = r->buffer->q;
        bool was_full = share_of(s, q)->in_flight == MAX_REQUESTS;
        dma_unmap(s->v.dev.dma, &r->vec, read);
        unlink_request(r);
        answer(r->buffer, result ? S_IOERR : S_OK, result ? 0 : read);
        for (unsigned i = 0; was_full && i < s->v.queues; i++) {
            if (s->v.queue[i].home == q->home) {
                virtio_kick(&s->v, i);
            }
        }
        virtqueue_settle(q);
    }
    g_free(r->bounce);
    g_free(r);
}

/* Nobody waits for it any more; afterwards it does not touch guest memory. */
static void abandon(BlkRequest *r)
{
    drive_cancel(r->handle);
    unlink_request(r);
    r->blk = NULL;
    virtqueue_drop(g_steal_pointer(&r->buffer));
}

typedef struct Mapped {
    DmaVec vec;
    size_t written;                     /* at most */
} Mapped;

static void abandon_share(BlkShare *share, const VirtQueue *only, GArray *maps)
{
    for (BlkRequest *r = share->requests, *next; r; r = next) {
        next = r->next;
        if (!only || r->buffer->q == only) {
            Mapped m = {r->vec, r->type == T_IN ? r->vec.bytes : 0};
            r->vec = (DmaVec){0};
            g_array_append_val(maps, m);
            abandon(r);
        }
    }
}

/* One that runs must end before its memory is the driver's again, or nobody's.  All loops entered. */
static void abandon_all(VirtioBlk *s, const VirtQueue *only)
{
    g_autoptr(GArray) maps = g_array_new(FALSE, FALSE, sizeof(Mapped));
    for (unsigned i = 0; i < s->shares; i++) {
        abandon_share(&s->share[i], only, maps);
    }
    if (maps->len) {
        drive_drain(s->drive);
    }
    for (unsigned i = 0; i < maps->len; i++) {
        Mapped *m = &g_array_index(maps, Mapped, i);
        dma_unmap(s->v.dev.dma, &m->vec, m->written);
    }
}

/* ---- Requests ---- */

static BlkRequest *request_new(VirtioBlk *s, VirtBuffer *b, uint32_t type, uint64_t len)
{
    BlkRequest *r = g_new0(BlkRequest, 1);
    r->blk = s;
    r->buffer = b;
    r->type = type;
    r->len = len;
    BlkShare *share = share_of(s, b->q);
    r->next = share->requests;
    r->link = &share->requests;
    if (r->next) {
        r->next->link = &r->next;
    }
    share->requests = r;
    share->in_flight++;
    return r;
}

static bool in_range(const VirtioBlk *s, uint64_t sector, uint64_t bytes)
{
    int64_t length = drive_length(s->drive);
    uint64_t sectors = length > 0 ? (uint64_t)length / SECTOR : 0;
    return !(bytes % s->logical_block_size) && !(sector % (s->logical_block_size / SECTOR)) && sector <= sectors &&
           bytes / SECTOR <= sectors - sector;
}

static void read_write(VirtioBlk *s, VirtBuffer *b, const Header *h)
{
    bool read = h->type == T_IN;
    uint64_t len = read ? b->in - 1 : b->out - sizeof *h, skip = read ? 0 : sizeof *h;
    if (!in_range(s, h->sector, len) || (!read && drive_readonly(s->drive))) {
        answer(b, S_IOERR, 0);
        return;
    }
    if (!len) {
        answer(b, S_OK, 0);
        return;
    }
    BlkRequest *r = request_new(s, b, h->type, len);
    struct iovec bounce = {NULL, len}, *iov = &bounce;
    unsigned n = 1;
    if (virtbuffer_map(b, read, skip, len, &r->vec)) {
        iov = r->vec.iov;
        n = r->vec.n;
    } else if (len > BOUNCE_MAX || loop_is_queue_thread()) { /* such a thread reaches RAM only */
        guest_error(&s->v.dev, "%u bytes of data that lie outside of RAM", (unsigned)len);
        unlink_request(r);
        g_free(r);
        answer(b, S_IOERR, 0);
        return;
    } else {
        bounce.iov_base = r->bounce = g_malloc0(len);
        if (!read) {
            virtbuffer_read(b, skip, r->bounce, len);
        }
    }
    int64_t at = (int64_t)h->sector * SECTOR;
    r->handle = read ? drive_readv(s->drive, at, iov, n, request_done, r)
                     : drive_writev(s->drive, at, iov, n, !__atomic_load_n(&s->writeback, __ATOMIC_RELAXED), request_done, r);
}

/* §5.2.6: one segment, as max_discard_seg and max_write_zeroes_seg say. */
static void range(VirtioBlk *s, VirtBuffer *b, const Header *h)
{
    bool zeroes = h->type == T_WRITE_ZEROES;
    Range g;
    if (!virtio_has(&s->v, zeroes ? F_WRITE_ZEROES : F_DISCARD)) {
        answer(b, S_UNSUPP, 0);
        return;
    }
    bool whole = b->out == sizeof *h + sizeof g && virtbuffer_read(b, sizeof *h, &g, sizeof g) == sizeof g;
    uint64_t len = whole ? (uint64_t)g.count * SECTOR : 0;
    if (!whole || g.count > (zeroes ? s->max_write_zeroes_sectors : s->max_discard_sectors) ||
        !in_range(s, g.sector, len) || drive_readonly(s->drive)) {
        answer(b, S_IOERR, 0);
    } else if (g.flags & ~(zeroes ? (uint32_t)ZEROES_UNMAP : 0u)) { /* §5.2.6.2: unknown flags, or unmap in a discard */
        answer(b, S_UNSUPP, 0);
    } else {
        BlkRequest *r = request_new(s, b, h->type, len);
        int64_t at = (int64_t)g.sector * SECTOR;
        r->handle = zeroes ? drive_write_zeroes(s->drive, at, (int64_t)len, g.flags & ZEROES_UNMAP, request_done, r)
                           : drive_discard(s->drive, at, (int64_t)len, request_done, r);
    }
}

static void get_id(VirtioBlk *s, VirtBuffer *b)
{
    char id[SERIAL_SIZE] = "";
    size_t n = MIN(sizeof id, b->in - 1);
    memcpy(id, s->serial ? s->serial : "", MIN(sizeof id, s->serial ? strlen(s->serial) : 0));
    virtbuffer_write(b, 0, id, n);
    answer(b, S_OK, n);
}

static void request(VirtioBlk *s, VirtBuffer *b)
{
    Header h;
    if (virtbuffer_read(b, 0, &h, sizeof h) != sizeof h || !b->in) {
        virtio_break(&s->v, "queue %u: a request without header or status", b->q->index);
        virtqueue_drop(b);
        return;
    }
    switch (h.type) {
    case T_IN:
    case T_OUT: read_write(s, b, &h); break;
    case T_FLUSH: {
        BlkRequest *r = request_new(s, b, h.type, 0);
        r->handle = drive_flush(s->drive, request_done, r);
        break;
    }
    case T_GET_ID: get_id(s, b); break;
    case T_DISCARD:
    case T_WRITE_ZEROES: range(s, b, &h); break;
    default: answer(b, S_UNSUPP, 0);
    }
}

static bool blk_queue(VirtioDevice *v, VirtQueue *q)
{
    VirtioBlk *s = (VirtioBlk *)v;
    const BlkShare *share = share_of(s, q);
    while (share->in_flight < MAX_REQUESTS) {
        VirtBuffer *b = virtqueue_pop(q);
        if (!b) {
            return true;
        }
        request(s, b);
    }
    return false;
}

/* ---- Features and configuration (§5.2.3, §5.2.4) ---- */

static uint64_t blk_features(const VirtioDevice *v)
{
    const VirtioBlk *s = (const VirtioBlk *)v;
    uint64_t f = 0;
    f |= drive_readonly(s->drive) ? VIRTIO_BIT(F_RO) : 0;
    f |= s->config_wce ? VIRTIO_BIT(F_CONFIG_WCE) : 0;
    f |= s->num_queues > 1 ? VIRTIO_BIT(F_MQ) : 0;
    f |= s->discard ? VIRTIO_BIT(F_DISCARD) : 0;
    f |= s->write_zeroes ? VIRTIO_BIT(F_WRITE_ZEROES) : 0;
    return f;
}

/* §5.2.5: a driver that cannot flush gets a cache that needs no flush. */
static void blk_ready(VirtioDevice *v)
{
    VirtioBlk *s = (VirtioBlk *)v;
    if (!virtio_has(v, F_FLUSH)) {
        s->writeback = 0;
    }
}

static void blk_reset(VirtioDevice *v)
{
    VirtioBlk *s = (VirtioBlk *)v;
    if (s->drive) {
        DriveState state = {0};
        drive_state(s->drive, &state);
        abandon_all(s, NULL);
        s->writeback = s->write_cache == ON || (s->write_cache == AUTO && state.writeback);
    }
}

static void blk_queue_reset(VirtioDevice *v, VirtQueue *q)
{
    abandon_all((VirtioBlk *)v, q);
}

static bool blk_busy(const VirtioDevice *v)
{
    const VirtioBlk *s = (const VirtioBlk *)v;
    bool busy = false;
    virtio_enter(v);
    for (unsigned i = 0; i < s->shares; i++) {
        busy |= s->share[i].in_flight;
    }
    virtio_leave(v);
    return busy;
}

static uint64_t capacity_get(const void *dev, unsigned arg, unsigned i)
{
    int64_t length = drive_length(((const VirtioBlk *)dev)->drive);
    return length > 0 ? (uint64_t)length / SECTOR : 0;
}

static uint64_t seg_max_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const VirtioBlk *)dev)->queue_size - 2u; /* header and status take two of a chain */
}

static uint64_t exponent_get(const void *dev, unsigned arg, unsigned i)
{
    const VirtioBlk *s = dev;
    return (unsigned)__builtin_ctz(s->physical_block_size / s->logical_block_size);
}

/* In logical blocks. */
static uint64_t io_size_get(const void *dev, unsigned arg, unsigned i)
{
    const VirtioBlk *s = dev;
    return (arg ? s->opt_io_size : s->min_io_size) / s->logical_block_size;
}

static uint64_t alignment_get(const void *dev, unsigned arg, unsigned i)
{
    const VirtioBlk *s = dev;
    return MAX(s->discard_granularity, s->logical_block_size) / SECTOR;
}

static void writeback_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    VirtioBlk *s = dev;
    if (!virtio_has(&s->v, F_CONFIG_WCE)) {
        s->writeback = (uint8_t)old;
    } else {
        s->writeback = value & 1;
        if (!s->writeback && old) { /* what was held back goes out now */
            virtio_enter(&s->v);
            drive_flush(s->drive, NULL, NULL);
            virtio_leave(&s->v);
        }
    }
}

/* ---- The device ---- */

static void resized(void *arg)
{
    VirtioBlk *s = arg;
    virtio_config_changed(&s->v);
    device_settle(&s->v.dev);
}

static void media_changed(void *arg, bool loaded)
{
    resized(arg);
}

static bool check_block_size(const VirtioBlk *s, const char *name, uint32_t size, GError **error)
{
    return (size >= SECTOR && size <= 2 << 20 && !(size & (size - 1))) ||
           error_fail(error, "Property virtio-blk.%s is %u, expected: a power of two from 512 to 2097152", name, size);
}

static bool check_properties(VirtioBlk *s, GError **error)
{
    if (s->num_queues == UINT16_MAX) {
        s->num_queues = (uint16_t)CLAMP(cpu_count(), 1, VIRTIO_QUEUES);
    }
    if (!s->drive) {
        return error_fail(error, "virtio-blk: property drive is missing: drive=ID of a -drive with if=none");
    }
    if (!s->num_queues || s->num_queues > VIRTIO_QUEUES) {
        return error_fail(error, "Property virtio-blk.num-queues is %u, expected: 1 to %u", s->num_queues, VIRTIO_QUEUES);
    }
    if (s->queue_size < 4 || s->queue_size > VIRTQUEUE_MAX || (s->queue_size & (s->queue_size - 1))) {
        return error_fail(error, "Property virtio-blk.queue-size is %u, expected: a power of two from 4 to %u",
                          s->queue_size, VIRTQUEUE_MAX);
    }
    if (!check_block_size(s, "logical_block_size", s->logical_block_size, error) ||
        !check_block_size(s, "physical_block_size", s->physical_block_size, error)) {
        return false;
    }
    if (s->physical_block_size < s->logical_block_size) {
        return error_fail(error, "Property virtio-blk.physical_block_size is %u, expected: at least logical_block_size, %u",
                          s->physical_block_size, s->logical_block_size);
    }
    return true;
}

static void choose_geometry(VirtioBlk *s)
{
    int64_t length = drive_length(s->drive);
    if (!s->cyls && !s->heads && !s->secs) {
        uint64_t sectors = length > 0 ? (uint64_t)length / SECTOR : 0;
        s->heads = 16;
        s->secs = 63;
        s->cyls = (uint32_t)CLAMP(sectors / (16 * 63), 2, 16383);
    }
}

static bool blk_realize(void *dev, GError **error)
{
    static const DriveUser user = {.resized = resized, .media_changed = media_changed};
    VirtioBlk *s = dev;
    Device *whole = device_whole(&s->v.dev);
    if (!check_properties(s, error) ||
        !drive_attach(s->drive, &user, s, device_label(whole), error)) {
        s->drive = NULL;
        return false;
    }
    choose_geometry(s);
    for (unsigned i = 0; i < s->num_queues; i++) {
        virtio_queue_new(&s->v, s->queue_size);
    }
    if (!virtio_use_iothreads(&s->v, s->iothread, &s->vq_mapping, error)) {
        drive_detach(s->drive, s);
        s->drive = NULL;
        return false;
    }
    s->shares = MAX(s->v.loops, 1);
    s->share = g_new0(BlkShare, s->shares);
    g_autofree Loop **loops = g_new(Loop *, s->shares);
    for (unsigned i = 0; i < s->v.loops; i++) {
        loops[i] = virtio_loop(&s->v, i);
    }
    drive_set_loops(s->drive, loops, s->v.loops);
    return true;
}

static void blk_unrealize(void *dev)
{
    VirtioBlk *s = dev;
    if (s->drive) {
        virtio_enter(&s->v);
        abandon_all(s, NULL);
        virtio_leave_iothreads(&s->v);
        drive_detach(s->drive, s);
        s->drive = NULL;
        g_clear_pointer(&s->share, g_free);
        s->shares = 0;
    }
}

#define C SPACE_VIRTIO_CONFIG
static const char *const on_off_auto[] = {"auto", "on", "off", NULL};
// clang-format off
static const Row rows[] = {
    DRIVE(VirtioBlk, drive, "The disk"),
    PROP(VirtioBlk, serial, NULL, "Serial number, up to 20 bytes"),
    PROP(VirtioBlk, iothread, NULL, "ID of an -object iothread, whose thread works on the queues; default: the main thread"),
    PROP_AS(VirtioBlk, vq_mapping, "iothread-vq-mapping", NULL,
            "Several such threads: [{\"iothread\": ID, \"vqs\": [NUMBER, ...]}, ...]; without vqs, queues are dealt out in turn",
            .type = TYPE_SCHEMA, .schema = &qtype_list_IOThreadVirtQueueMapping),
    PROP(VirtioBlk, bootindex, "-1", "Place in the boot order; -1: none"),
    PROP_AS(VirtioBlk, num_queues, "num-queues", "65535", "Request queues; default: one for each CPU"),
    PROP_AS(VirtioBlk, queue_size, "queue-size", "256", "Descriptors of each queue"),
    PROP(VirtioBlk, logical_block_size, "512", "Smallest unit of a transfer, in bytes"),
    PROP(VirtioBlk, physical_block_size, "512", "Unit that the medium writes, in bytes"),
    PROP(VirtioBlk, min_io_size, "0", "Preferred smallest transfer, in bytes; 0: none", .type = TYPE_SIZE),
    PROP(VirtioBlk, opt_io_size, "0", "Preferred transfer, in bytes; 0: none", .type = TYPE_SIZE),
    PROP(VirtioBlk, discard_granularity, "512", "Unit of discards, in bytes", .type = TYPE_SIZE),
    PROP(VirtioBlk, cyls, "0", "Cylinders; 0: as the size of the disk says"),
    PROP(VirtioBlk, heads, "0", "Heads"),
    PROP(VirtioBlk, secs, "0", "Sectors of a track"),
    PROP_AS(VirtioBlk, write_cache, "write-cache", "auto", "Writes may wait for a flush", .type = TYPE_ENUM,
            .names = on_off_auto),
    PROP_AS(VirtioBlk, config_wce, "config-wce", "on", "The driver may turn the write cache on and off"),
    PROP(VirtioBlk, discard, "on", "Offer discard"),
    PROP_AS(VirtioBlk, write_zeroes, "write-zeroes", "on", "Offer write zeroes"),
    PROP_AS(VirtioBlk, max_discard_sectors, "max-discard-sectors", "4194303", "Most sectors of one discard"),
    PROP_AS(VirtioBlk, max_write_zeroes_sectors, "max-write-zeroes-sectors", "4194303",
            "Most sectors of one write zeroes"),
    CALC(capacity, 8, 0, .space = C, .ro = true, .get = capacity_get, .doc = "Sectors of 512 bytes"),
    CALC(size_max, 4, 8, .space = C, .ro = true),
    CALC(seg_max, 4, 12, .space = C, .ro = true, .get = seg_max_get),
    CALC(geometry_cylinders, 2, 16, .space = C, .ro = true, FROM(VirtioBlk, cyls)),
    CALC(geometry_heads, 1, 18, .space = C, .ro = true, FROM(VirtioBlk, heads)),
    CALC(geometry_sectors, 1, 19, .space = C, .ro = true, FROM(VirtioBlk, secs)),
    CALC(blk_size, 4, 20, .space = C, .ro = true, FROM(VirtioBlk, logical_block_size)),
    CALC(physical_block_exp, 1, 24, .space = C, .ro = true, .get = exponent_get),
    CALC(alignment_offset, 1, 25, .space = C, .ro = true),
    CALC(config_min_io_size, 2, 26, .space = C, .ro = true, .get = io_size_get, .arg = 0),
    CALC(config_opt_io_size, 4, 28, .space = C, .ro = true, .get = io_size_get, .arg = 1),
    REG(VirtioBlk, writeback, 32, .space = C, .rw = 0xff, .max = 1, .on_write = writeback_write, .doc = "Write cache is on"),
    CALC(config_num_queues, 2, 34, .space = C, .ro = true, FROM(VirtioBlk, num_queues)),
    CALC(config_max_discard_sectors, 4, 36, .space = C, .ro = true, FROM(VirtioBlk, max_discard_sectors)),
    CALC(max_discard_seg, 4, 40, .space = C, .ro = true, .is = 1),
    CALC(discard_sector_alignment, 4, 44, .space = C, .ro = true, .get = alignment_get),
    CALC(config_max_write_zeroes_sectors, 4, 48, .space = C, .ro = true, FROM(VirtioBlk, max_write_zeroes_sectors)),
    CALC(max_write_zeroes_seg, 4, 52, .space = C, .ro = true, .is = 1),
    CALC(write_zeroes_may_unmap, 1, 56, .space = C, .ro = true, .is = 1),
    DERIVED(VirtioBlk, share),
    DERIVED(VirtioBlk, shares),
    END
};
// clang-format on

const DeviceClass virtio_blk_class = {
    .name = "virtio-blk-device",
    .doc = "virtio disk, for a virtio bus",
    .base = &virtio_device_class,
    .bus = "virtio-bus",
    .category = "storage",
    .size = sizeof(VirtioBlk),
    .rows = rows,
    .info =
        &(const VirtioInfo){
            .type = 2,
            .config_size = 60,
            .features = VIRTIO_BIT(F_SEG_MAX) | VIRTIO_BIT(F_GEOMETRY) | VIRTIO_BIT(F_BLK_SIZE) | VIRTIO_BIT(F_FLUSH) |
                        VIRTIO_BIT(F_TOPOLOGY),
            .more_features = blk_features,
            .queue = blk_queue,
            .ready = blk_ready,
            .reset = blk_reset,
            .queue_reset = blk_queue_reset,
            .busy = blk_busy,
        },
    .realize = blk_realize,
    .unrealize = blk_unrealize,
};
