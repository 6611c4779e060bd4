/* Three kinds of queue: task management, events, and commands, which go to the units of a SCSI bus and end in any order. */
#include "hw/virtio/virtio-scsi.h"

#include <string.h>

#include "cpu/cpu.h"
#include "hw/virtio/virtqueue.h"

enum { CONTROL, EVENTS, FIRST_REQUEST, MAX_REQUESTS = 1024, CONTROL_SIZE = 64 };
enum { TARGETS = 256, LUNS = 16384, FIELD_MAX = 256, SENSE_DEFAULT = 96, CDB_DEFAULT = 32, CDB_MIN = 6 };
enum { F_INOUT = 0, F_HOTPLUG = 1, F_CHANGE = 2 };
enum { S_OK, S_OVERRUN, S_ABORTED, S_BAD_TARGET, S_RESET, S_BUSY, S_TRANSPORT_FAILURE, S_TARGET_FAILURE, S_NEXUS_FAILURE,
       S_FAILURE, S_FUNCTION_SUCCEEDED, S_FUNCTION_REJECTED, S_INCORRECT_LUN, S_FUNCTION_COMPLETE = 0 };
/* §5.6.6.2 */
enum { T_TMF = 0, T_AN_QUERY = 1, T_AN_SUBSCRIBE = 2 };
enum { TMF_ABORT_TASK, TMF_ABORT_TASK_SET, TMF_CLEAR_ACA, TMF_CLEAR_TASK_SET, TMF_I_T_NEXUS_RESET, TMF_LUN_RESET,
       TMF_QUERY_TASK, TMF_QUERY_TASK_SET };
/* §5.6.6.3 */
enum { EVENT_NO_EVENT = 0, EVENT_TRANSPORT_RESET = 1, EVENT_PARAM_CHANGE = 3 };
#define EVENT_MISSED UINT32_C(0x80000000)
enum { RESET_RESCAN = 1, RESET_REMOVED = 2 };

typedef struct Header { /* before the CDB; `cdb_size` bytes of that follow */
    uint8_t lun[8];
    uint64_t id;
    uint8_t task_attr, prio, crn;
} __attribute__((packed)) Header;
typedef struct Answer { /* `sense_size` bytes of sense follow, then data */
    uint32_t sense_len, residual;
    uint16_t status_qualifier;
    uint8_t status, response;
} Answer;
typedef struct Tmf {
    uint32_t type, subtype;
    uint8_t lun[8];
    uint64_t id;
} Tmf;
typedef struct Event {
    uint32_t type;
    uint8_t lun[8];
    uint32_t reason;
} Event;

/* A task management function that asked for commands to end, and waits for those of them that came before it. */
typedef struct Management {
    VirtBuffer *buffer;                 /* NULL: the driver gave up on it */
    Tmf function;
    unsigned target, lun;
    uint64_t before;                    /* ScsiRequest.number */
    struct Management *next;
} Management;

typedef struct ScsiRequest {
    ScsiTask task;
    VirtioScsi *hba;
    VirtBuffer *buffer;                 /* NULL: the driver gave up on it */
    uint64_t id, number;                /* the driver's, and in order of arrival */
    uint32_t sense_size, cdb_size;      /* as when it came */
    bool was_reset;                     /* by a function that resets, not one that aborts */
    struct ScsiRequest *next, **link;
} ScsiRequest;

static ScsiRequest *request_of(ScsiTask *t)
{
    return (ScsiRequest *)((char *)t - offsetof(ScsiRequest, task));
}

/* ---- Addresses (§5.6.6.1): 1, target, unit on one level, as REPORT LUNS writes it ---- */

static bool decode_lun(const uint8_t *lun, unsigned *target, unsigned *unit)
{
    *target = lun[1];
    *unit = (lun[2] << 8 | lun[3]) & (LUNS - 1);
    return lun[0] == 1 && (lun[2] & 0x80) == 0;
}

static void encode_lun(uint8_t *lun, unsigned target, unsigned unit)
{
    memset(lun, 0, 8);
    lun[0] = 1;
    lun[1] = (uint8_t)target;
    lun[2] = (uint8_t)(unit < 256 ? 0 : 0x40 | unit >> 8);
    lun[3] = (uint8_t)unit;
}

/* ---- The initiator's memory ---- */

static size_t task_fetch(ScsiTask *t, uint64_t offset, void *buf, size_t len)
{
    const ScsiRequest *r = request_of(t);
    return r->buffer ? virtbuffer_read(r->buffer, sizeof(Header) + r->cdb_size + offset, buf, len) : 0;
}

static size_t task_deliver(ScsiTask *t, uint64_t offset, const void *buf, size_t len)
{
    const ScsiRequest *r = request_of(t);
    return r->buffer ? virtbuffer_write(r->buffer, sizeof(Answer) + r->sense_size + offset, buf, len) : 0;
}

static bool task_map(ScsiTask *t, bool in, uint64_t len, DmaVec *v)
{
    const ScsiRequest *r = request_of(t);
    return virtbuffer_map(r->buffer, in, in ? sizeof(Answer) + r->sense_size : sizeof(Header) + r->cdb_size, len, v);
}

/* ---- The end of commands ---- */

static void answer(ScsiRequest *r, const Answer *a, uint64_t data)
{
    virtbuffer_write(r->buffer, 0, a, sizeof *a);
    virtbuffer_write(r->buffer, sizeof *a, r->task.sense, MIN(a->sense_len, SCSI_SENSE));
    virtqueue_push(g_steal_pointer(&r->buffer), sizeof *a + r->sense_size + data);
}

static void management_over(VirtBuffer *b, uint8_t response)
{
    virtbuffer_write(b, 0, &response, 1);
    virtqueue_push(b, 1);
}

/* What a function is about. */
static bool concerns(const ScsiRequest *r, const Tmf *f, unsigned target, unsigned lun)
{
    bool unit = r->task.target == target && r->task.lun == lun;
    switch (f->subtype) {
    case TMF_ABORT_TASK:
    case TMF_QUERY_TASK: return unit && r->id == f->id;
    case TMF_I_T_NEXUS_RESET: return r->task.target == target;
    default: return unit;
    }
}

static bool waits(const VirtioScsi *s, const Management *m)
{
    for (const ScsiRequest *r = s->requests; r; r = r->next) {
        if (r->number < m->before && concerns(r, &m->function, m->target, m->lun)) {
            return true;
        }
    }
    return false;
}

static void end_management(VirtioScsi *s)
{
    for (Management **at = &s->management; *at;) {
        Management *m = *at;
        if (waits(s, m)) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        if (m->buffer) {
            management_over(m->buffer, S_FUNCTION_COMPLETE);
        }
        g_free(m);
    }
}

static void task_done(ScsiTask *t)
{
    ScsiRequest *r = request_of(t);
    VirtioScsi *s = r->hba;
    static const uint8_t responses[] = {[SCSI_DELIVERED] = S_OK, [SCSI_OVERRUN] = S_OVERRUN, [SCSI_NO_TARGET] = S_BAD_TARGET,
                                        [SCSI_ABANDONED] = S_ABORTED, [SCSI_BROKEN] = S_FAILURE};
    bool full = s->in_flight == MAX_REQUESTS;
    if (r->buffer) {
        /* Of a command that no unit saw nothing is left over: OVMF would try again with no room at all. */
        uint64_t asked = t->outcome != SCSI_DELIVERED ? 0 : t->in ? t->in : t->out;
        Answer a = {.sense_len = MIN(t->sense_len, r->sense_size), .status = t->status,
                    .residual = (uint32_t)MIN(asked - MIN(t->moved, asked), UINT32_MAX),
                    .response = r->was_reset && t->outcome == SCSI_ABANDONED ? S_RESET : responses[t->outcome]};
        answer(r, &a, t->inward ? t->moved : 0);
    }
    *r->link = r->next;
    if (r->next) {
        r->next->link = r->link;
    }
    s->in_flight--;
    end_management(s);
    for (unsigned i = FIRST_REQUEST; full && i < s->v.queues; i++) {
        virtio_kick(&s->v, i);
    }
    g_free(r);
}

/* ---- Commands (§5.6.6.1) ---- */

static void command(VirtioScsi *s, VirtBuffer *b)
{
    Header h;
    uint64_t out = sizeof h + s->cdb_size, in = sizeof(Answer) + s->sense_size;
    if (b->out < out || b->in < in || virtbuffer_read(b, 0, &h, sizeof h) != sizeof h) {
        virtio_break(&s->v, "queue %u: a command without room for its header or its answer", b->q->index);
        virtqueue_drop(b);
        return;
    }
    ScsiRequest *r = g_new0(ScsiRequest, 1);
    ScsiTask *t = &r->task;
    r->hba = s;
    r->buffer = b;
    r->id = h.id;
    r->number = s->taken++;
    r->sense_size = s->sense_size;
    r->cdb_size = s->cdb_size;
    r->next = s->requests;
    r->link = &s->requests;
    if (r->next) {
        r->next->link = &r->next;
    }
    s->requests = r;
    s->in_flight++;
    virtbuffer_read(b, sizeof h, t->cdb, MIN(s->cdb_size, SCSI_CDB));
    t->out = b->out - out;
    t->in = b->in - in;
    bool addressed = decode_lun(h.lun, &t->target, &t->lun), both = t->out && t->in && !virtio_has(&s->v, F_INOUT);
    if (!addressed || both) {
        t->outcome = addressed ? SCSI_BROKEN : SCSI_NO_TARGET;
        task_done(t);
    } else {
        scsi_start(s->bus, t);
    }
}

static bool take_commands(VirtioScsi *s, VirtQueue *q)
{
    while (s->in_flight < MAX_REQUESTS) {
        VirtBuffer *b = virtqueue_pop(q);
        if (!b) {
            return true;
        }
        command(s, b);
    }
    return false;
}

/* ---- Task management (§5.6.6.2) ---- */

/* Commands end when their drive has let go of the driver's memory; the function is complete after the last of them. */
static void abort_tasks(VirtioScsi *s, VirtBuffer *b, const Tmf *f, unsigned target, unsigned lun)
{
    Management *m = g_new(Management, 1);
    bool reset = f->subtype == TMF_LUN_RESET || f->subtype == TMF_I_T_NEXUS_RESET;
    *m = (Management){b, *f, target, lun, s->taken, s->management};
    s->management = m;
    for (ScsiRequest *r = s->requests; r; r = r->next) {
        if (concerns(r, f, target, lun)) {
            r->was_reset |= reset;
            scsi_abort(&r->task);
        }
    }
    if (reset) {
        scsi_bus_reset(s->bus, (int)target, f->subtype == TMF_LUN_RESET ? (int)lun : -1);
    }
    end_management(s);
}

static void manage(VirtioScsi *s, VirtBuffer *b, const Tmf *f)
{
    unsigned target, lun;
    bool any = false, addressed = decode_lun(f->lun, &target, &lun);
    if (!addressed || !scsi_has_target(s->bus, 0, target)) {
        management_over(b, S_BAD_TARGET);
        return;
    }
    if (f->subtype != TMF_I_T_NEXUS_RESET && !scsi_find(s->bus, 0, target, lun)) {
        management_over(b, S_INCORRECT_LUN);
        return;
    }
    switch (f->subtype) {
    case TMF_ABORT_TASK:
    case TMF_ABORT_TASK_SET:
    case TMF_CLEAR_TASK_SET:
    case TMF_I_T_NEXUS_RESET:
    case TMF_LUN_RESET: abort_tasks(s, b, f, target, lun); break;
    case TMF_QUERY_TASK:
    case TMF_QUERY_TASK_SET:
        for (const ScsiRequest *r = s->requests; r; r = r->next) {
            any |= r->buffer && concerns(r, f, target, lun);
        }
        management_over(b, any ? S_FUNCTION_SUCCEEDED : S_FUNCTION_COMPLETE);
        break;
    default: management_over(b, S_FUNCTION_REJECTED); /* CLEAR ACA: there is no such state */
    }
}

static void control(VirtioScsi *s, VirtBuffer *b)
{
    enum { AN_OUT = 16, AN_IN = 5 };
    Tmf f = {0};
    size_t n = virtbuffer_read(b, 0, &f, sizeof f);
    if (n >= sizeof f && f.type == T_TMF && b->in >= 1) {
        manage(s, b, &f);
    } else if (n >= AN_OUT && (f.type == T_AN_QUERY || f.type == T_AN_SUBSCRIBE) && b->in >= AN_IN) {
        static const uint8_t none[AN_IN] = {[AN_IN - 1] = S_OK}; /* of the asynchronous events none is ever sent */
        virtqueue_push(b, virtbuffer_write(b, 0, none, sizeof none));
    } else {
        virtio_break(&s->v, "control queue: a request of type %u, %u bytes, with %u for an answer", f.type, (unsigned)b->out,
                     (unsigned)b->in);
        virtqueue_drop(b);
    }
}

/* ---- Events (§5.6.6.3) ---- */

static void add_event(VirtioScsi *s, const ScsiDevice *d, uint32_t type, uint32_t reason)
{
    if (!(s->v.status & VIRTIO_DRIVER_OK)) {
        return; /* who comes later looks for itself */
    }
    if (s->waiting == SCSI_EVENTS) {
        s->missed = true;
    } else {
        s->event_type[s->waiting] = type;
        s->event_reason[s->waiting] = reason;
        s->event_target[s->waiting] = (uint8_t)d->scsi_id;
        s->event_lun[s->waiting++] = (uint16_t)d->lun;
    }
    virtio_kick(&s->v, EVENTS);
    virtqueue_settle(&s->v.queue[EVENTS]);
}

static void drop_first_event(VirtioScsi *s)
{
    s->waiting--;
    for (unsigned i = 0; i < s->waiting; i++) {
        s->event_type[i] = s->event_type[i + 1];
        s->event_reason[i] = s->event_reason[i + 1];
        s->event_target[i] = s->event_target[i + 1];
        s->event_lun[i] = s->event_lun[i + 1];
    }
}

static bool send_events(VirtioScsi *s, VirtQueue *q)
{
    while (s->waiting || s->missed) {
        VirtBuffer *b = virtqueue_pop(q);
        if (!b) {
            return true;
        }
        Event e = {.type = EVENT_NO_EVENT};
        if (s->waiting) {
            e.type = s->event_type[0];
            e.reason = s->event_reason[0];
            encode_lun(e.lun, s->event_target[0], s->event_lun[0]);
            drop_first_event(s);
        }
        e.type |= s->missed ? EVENT_MISSED : 0;
        s->missed = b->in < sizeof e; /* it did not come through whole */
        virtqueue_push(b, virtbuffer_write(b, 0, &e, sizeof e));
        if (s->missed) {
            return true;
        }
    }
    return false; /* an event looks here again */
}

static void changed(ScsiBus *bus, const ScsiDevice *d, ScsiChange what)
{
    VirtioScsi *s = bus->owner;
    if (what <= SCSI_UNPLUGGED && virtio_has(&s->v, F_HOTPLUG)) {
        add_event(s, d, EVENT_TRANSPORT_RESET, what == SCSI_PLUGGED ? RESET_RESCAN : RESET_REMOVED);
    } else if (what > SCSI_UNPLUGGED && virtio_has(&s->v, F_CHANGE)) {
        uint16_t asc = what == SCSI_RESIZED ? ASC_CAPACITY_CHANGED : ASC_MEDIUM_CHANGED;
        add_event(s, d, EVENT_PARAM_CHANGE, (uint32_t)(asc >> 8 | (asc & 0xff) << 8));
    }
}

/* ---- The device ---- */

static void settle(ScsiBus *bus)
{
    VirtioScsi *s = bus->owner;
    virtqueue_settle(&s->v.queue[CONTROL]);
}

static bool scsi_queue(VirtioDevice *v, VirtQueue *q)
{
    VirtioScsi *s = (VirtioScsi *)v;
    if (q->index == EVENTS) {
        return send_events(s, q);
    }
    if (q->index != CONTROL) {
        return take_commands(s, q);
    }
    for (VirtBuffer *b; (b = virtqueue_pop(q));) {
        control(s, b);
    }
    return true;
}

/* Of one queue, or all; afterwards nothing touches the driver's memory. */
static void give_up(VirtioScsi *s, const VirtQueue *only)
{
    for (Management *m = s->management; m; m = m->next) {
        if (m->buffer && (!only || m->buffer->q == only)) {
            virtqueue_drop(g_steal_pointer(&m->buffer));
        }
    }
    for (ScsiRequest *r = s->requests; r; r = r->next) {
        if (r->buffer && (!only || r->buffer->q == only)) {
            virtqueue_drop(g_steal_pointer(&r->buffer));
            scsi_abort(&r->task);
        }
    }
    for (bool any = true; any;) {
        any = false;
        for (ScsiRequest *r = s->requests; r && !any; r = r->next) {
            if (!r->buffer) {
                drive_drain(r->task.dev->drive);
                any = true;
            }
        }
    }
}

static void scsi_restart(VirtioDevice *v)
{
    VirtioScsi *s = (VirtioScsi *)v;
    give_up(s, NULL);
    s->sense_size = SENSE_DEFAULT;
    s->cdb_size = CDB_DEFAULT;
    s->waiting = 0;
    s->missed = false;
    if (s->bus) {
        scsi_bus_reset(s->bus, -1, -1);
    }
}

static void scsi_queue_reset(VirtioDevice *v, VirtQueue *q)
{
    give_up((VirtioScsi *)v, q);
}

static bool scsi_device_busy(const VirtioDevice *v)
{
    return ((const VirtioScsi *)v)->in_flight;
}

static uint64_t scsi_features(const VirtioDevice *v)
{
    const VirtioScsi *s = (const VirtioScsi *)v;
    return (s->hotplug ? VIRTIO_BIT(F_HOTPLUG) : 0) | (s->param_change ? VIRTIO_BIT(F_CHANGE) : 0);
}

static uint64_t seg_max_get(const void *dev, unsigned arg, unsigned i)
{
    const VirtioScsi *s = dev;
    return s->seg_max ? s->seg_max : s->queue_size - 2u; /* header and answer take two of a chain */
}

/* §5.6.4: they must hold what a command consists of; what is too large or small stays as it was. */
static void size_write(void *dev, unsigned least, unsigned i, uint64_t old, uint64_t value)
{
    VirtioScsi *s = dev;
    if (value < least || value > FIELD_MAX) {
        guest_error(&s->v.dev, "a %s of %u bytes", least ? "CDB" : "sense field", (unsigned)value);
        *(least ? &s->cdb_size : &s->sense_size) = (uint32_t)old;
    }
}

static bool check_properties(VirtioScsi *s, GError **error)
{
    enum { MOST_QUEUES = VIRTIO_QUEUES - FIRST_REQUEST };
    if (s->num_queues == UINT32_MAX) {
        s->num_queues = (uint32_t)CLAMP(cpu_count(), 1, MOST_QUEUES);
    }
    if (!s->num_queues || s->num_queues > MOST_QUEUES) {
        return error_fail(error, "Property virtio-scsi.num_queues is %u, expected: 1 to %u", s->num_queues, MOST_QUEUES);
    }
    if (s->queue_size < 4 || s->queue_size > VIRTQUEUE_MAX || (s->queue_size & (s->queue_size - 1))) {
        return error_fail(error, "Property virtio-scsi.virtqueue_size is %u, expected: a power of two from 4 to %u",
                          s->queue_size, VIRTQUEUE_MAX);
    }
    return s->seg_max <= s->queue_size - 2 ||
           error_fail(error, "Property virtio-scsi.seg_max is %u, expected: up to virtqueue_size - 2, %u, or 0 for that",
                      s->seg_max, s->queue_size - 2);
}

static bool scsi_realize(void *dev, GError **error)
{
    static const ScsiHost host = {1, TARGETS, LUNS, task_fetch, task_deliver, task_map, task_done, changed,
                                  settle};
    VirtioScsi *s = dev;
    if (!check_properties(s, error)) {
        return false;
    }
    for (unsigned i = 0; i < FIRST_REQUEST + s->num_queues; i++) {
        virtio_queue_new(&s->v, i < FIRST_REQUEST ? CONTROL_SIZE : s->queue_size);
    }
    if (!virtio_use_iothreads(&s->v, s->iothread, NULL, error)) {
        return false;
    }
    s->bus = scsi_bus_new(device_whole(&s->v.dev), &host, s);
    s->bus->loop = s->v.loops ? virtio_loop(&s->v, 0) : NULL;
    return true;
}

/* The units on the bus went before. */
static void scsi_unrealize(void *dev)
{
    VirtioScsi *s = dev;
    virtio_enter(&s->v);
    give_up(s, NULL);
    virtio_leave_iothreads(&s->v);
    scsi_bus_free(g_steal_pointer(&s->bus));
}

static void scsi_update(void *dev)
{
    VirtioScsi *s = dev;
    if (s->cdb_size < CDB_MIN) { /* a snapshot may say anything */
        s->cdb_size = CDB_DEFAULT;
    }
}

#define C SPACE_VIRTIO_CONFIG
// clang-format off
static const Row rows[] = {
    PROP(VirtioScsi, num_queues, "4294967295", "Request queues; default: one for each CPU"),
    PROP(VirtioScsi, iothread, NULL, "ID of an -object iothread, whose thread works on queues and disks; default: the main thread"),
    PROP_AS(VirtioScsi, queue_size, "virtqueue_size", "256", "Descriptors of each request queue"),
    PROP(VirtioScsi, max_sectors, "65535", "Most sectors of a command that a driver should send"),
    PROP(VirtioScsi, cmd_per_lun, "128", "Most commands at a time for one unit that a driver should send"),
    PROP(VirtioScsi, seg_max, "0", "Most pieces of a command's data; 0: as a request queue has room for"),
    PROP(VirtioScsi, hotplug, "on", "Tell the driver of units that come and go"),
    PROP(VirtioScsi, param_change, "on", "Tell the driver of media and capacities that change"),
    CALC(config_num_queues, 4, 0, .space = C, .ro = true, FROM(VirtioScsi, num_queues)),
    CALC(config_seg_max, 4, 4, .space = C, .ro = true, .get = seg_max_get),
    CALC(config_max_sectors, 4, 8, .space = C, .ro = true, FROM(VirtioScsi, max_sectors)),
    CALC(config_cmd_per_lun, 4, 12, .space = C, .ro = true, FROM(VirtioScsi, cmd_per_lun)),
    CALC(event_info_size, 4, 16, .space = C, .ro = true, .is = sizeof(Event)),
    REG(VirtioScsi, sense_size, 20, .space = C, .rw = UINT32_MAX, .max = FIELD_MAX, .reset = SENSE_DEFAULT,
        .on_write = size_write, .arg = 0),
    REG(VirtioScsi, cdb_size, 24, .space = C, .rw = UINT32_MAX, .max = FIELD_MAX, .reset = CDB_DEFAULT,
        .on_write = size_write, .arg = CDB_MIN),
    CALC(max_channel, 2, 28, .space = C, .ro = true, .is = 0),
    CALC(max_target, 2, 30, .space = C, .ro = true, .is = TARGETS - 1),
    CALC(max_lun, 4, 32, .space = C, .ro = true, .is = LUNS - 1),
    STATE(VirtioScsi, waiting, .max = SCSI_EVENTS),
    STATE(VirtioScsi, missed),
    QUEUE(VirtioScsi, event_type, waiting),
    QUEUE(VirtioScsi, event_reason, waiting),
    QUEUE(VirtioScsi, event_target, waiting),
    QUEUE(VirtioScsi, event_lun, waiting),
    DERIVED(VirtioScsi, requests),
    DERIVED(VirtioScsi, management),
    DERIVED(VirtioScsi, in_flight),
    DERIVED(VirtioScsi, taken),
    END
};
// clang-format on

const DeviceClass virtio_scsi_class = {
    .name = "virtio-scsi-device",
    .doc = "virtio SCSI host adapter, for a virtio bus",
    .base = &virtio_device_class,
    .bus = "virtio-bus",
    .category = "storage",
    .size = sizeof(VirtioScsi),
    .rows = rows,
    .info =
        &(const VirtioInfo){
            .type = 8,
            .config_size = 36,
            .features = VIRTIO_BIT(F_INOUT),
            .more_features = scsi_features,
            .queue = scsi_queue,
            .reset = scsi_restart,
            .queue_reset = scsi_queue_reset,
            .busy = scsi_device_busy,
        },
    .realize = scsi_realize,
    .unrealize = scsi_unrealize,
    .update = scsi_update,
};
