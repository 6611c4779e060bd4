/* Threads of their own work on the queues: kicks ring their bells.  Interrupts go by the kernel or ring ours, as broken
 * rules do. */
#include "hw/virtio/virtio-loop.h"

#include <errno.h>
#include <unistd.h>

#include "core/runstate.h"
#include "hw/iothread.h"
#include "hw/virtio/virtqueue.h"

/* While the machine stands still, nothing new is taken. */
static GPtrArray *all; /* of VirtLoop; main lock */

static void machine_changed(void *arg, bool running, RunState state)
{
    for (unsigned i = 0; i < all->len; i++) {
        VirtLoop *l = g_ptr_array_index(all, i);
        loop_enter(l->loop);
        l->halted = !running;
        loop_leave(l->loop);
        if (running) {
            bell_ring(l->kick);
        }
    }
}

void virtloop_kick(VirtLoop *l, unsigned queue)
{
    atomic_fetch_or(&l->rung, VIRTIO_BIT(queue));
    bell_ring(l->kick);
}

void virtloop_again(VirtQueue *q)
{
    q->loop->kicked |= VIRTIO_BIT(q->index);
    bell_ring(q->loop->kick);
}

static void run(VirtLoop *l)
{
    VirtioDevice *v = l->dev;
    l->kicked |= atomic_exchange(&l->rung, 0);
    if (l->kicked && (l->halted || !virtio_is_ready(v))) {
        atomic_store(&l->waits, true);
    } else {
        uint64_t todo = l->kicked;
        l->kicked = 0;
        for (; todo; todo &= todo - 1) {
            virtio_run_queue(&v->queue[__builtin_ctzll(todo)]);
        }
    }
    uint64_t signals = 0;
    for (; l->pushed; l->pushed &= l->pushed - 1) {
        unsigned i = (unsigned)__builtin_ctzll(l->pushed);
        VirtQueue *q = &v->queue[i];
        if (!virtio_is_ready(v) || !virtqueue_wants_signal(q)) {
            continue;
        }
        if (q->signal_fd < 0) {
            signals |= VIRTIO_BIT(i);
        } else { /* a count that is full has been signalled anyhow */
            const uint64_t one = 1;
            ssize_t n = write(q->signal_fd, &one, sizeof one);
            g_assert(n == sizeof one || errno == EAGAIN);
        }
    }
    if (signals) {
        atomic_fetch_or(&l->signals, signals);
        bell_ring(l->report);
    }
}

void virtloop_run(VirtLoop *l)
{
    Loop *before = loop_work_for(l->loop);
    run(l);
    loop_work_again(before);
}

static void kicked(void *arg)
{
    virtloop_run(arg);
}

/* ---- To main ---- */

void virtloop_broke(VirtioDevice *v)
{
    __atomic_store_n(&v->broken, true, __ATOMIC_RELAXED);
    bell_ring(v->loop[0]->report); /* any of them will do */
}

static void reported(void *arg)
{
    VirtioDevice *v = ((VirtLoop *)arg)->dev;
    if (__atomic_load_n(&v->broken, __ATOMIC_RELAXED) && !(v->status & VIRTIO_NEEDS_RESET)) {
        virtio_enter(v); /* only then: for an interrupt nobody needs to stand still */
        v->status |= VIRTIO_NEEDS_RESET;
        v->config_signal |= v->status & VIRTIO_DRIVER_OK;
        virtio_leave(v);
    }
    device_settle(&v->dev);
}

void virtloop_collect(VirtioDevice *v)
{
    for (unsigned i = 0; i < v->loops; i++) {
        VirtLoop *l = v->loop[i];
        v->signals |= atomic_exchange(&l->signals, 0);
        if (virtio_is_ready(v) && atomic_exchange(&l->waits, false)) {
            bell_ring(l->kick);
        }
    }
}

/* ---- From main ---- */

void virtio_enter(const VirtioDevice *v)
{
    for (unsigned i = 0; i < v->loops; i++) {
        loop_enter(v->loop[i]->loop);
    }
}

void virtio_leave(const VirtioDevice *v)
{
    for (unsigned i = v->loops; i-- > 0;) {
        loop_leave(v->loop[i]->loop);
    }
}

void virtloop_restart(VirtioDevice *v)
{
    v->broken = false;
    for (unsigned i = 0; i < v->loops; i++) {
        VirtLoop *l = v->loop[i];
        l->rung = l->signals = l->kicked = l->pushed = 0;
        l->waits = false;
    }
}

void virtloop_forget(VirtQueue *q)
{
    VirtLoop *l = q->loop;
    if (l) {
        uint64_t others = ~VIRTIO_BIT(q->index);
        l->rung &= others;
        l->signals &= others;
        l->kicked &= others;
        l->pushed &= others;
    }
}

/* ---- Whose queues they are ---- */

/* What a mapping says: queues[i] are those of its element i. */
static bool read_mapping(const VirtioDevice *v, const QIOThreadVirtQueueMappingList *mapping, uint64_t *queues, GError **error)
{
    uint64_t given = 0, all_queues = v->queues < 64 ? VIRTIO_BIT(v->queues) - 1 : UINT64_MAX;
    for (size_t i = 0; i < mapping->n; i++) {
        const QIOThreadVirtQueueMapping *m = &mapping->at[i];
        if (m->has_vqs != mapping->at[0].has_vqs) {
            return error_fail(error, "iothread-vq-mapping: some elements have vqs and others not, expected: all or none");
        }
        for (size_t j = 0; j < m->vqs.n; j++) {
            unsigned vq = m->vqs.at[j];
            if (vq >= v->queues) {
                return error_fail(error, "iothread-vq-mapping: queue %u of iothread '%s', expected: 0 to %u", vq, m->iothread,
                                  v->queues - 1);
            }
            if (given & VIRTIO_BIT(vq)) {
                return error_fail(error, "iothread-vq-mapping: queue %u is given twice", vq);
            }
            given |= VIRTIO_BIT(vq);
            queues[i] |= VIRTIO_BIT(vq);
        }
        for (size_t vq = i; !m->has_vqs && vq < v->queues; vq += mapping->n) {
            given |= VIRTIO_BIT(vq);
            queues[i] |= VIRTIO_BIT(vq);
        }
    }
    return given == all_queues || error_fail(error, "iothread-vq-mapping: queue %d is given to no iothread, expected: all of 0 to %u",
                                             __builtin_ctzll(~given), v->queues - 1);
}

static bool uses_thread(const VirtioDevice *v, const IoThread *thread)
{
    for (unsigned i = 0; i < v->loops; i++) {
        if (v->loop[i]->thread == thread) {
            return true;
        }
    }
    return false;
}

static bool add_loop(VirtioDevice *v, const char *id, uint64_t queues, GError **error)
{
    IoThread *thread = iothread_claim(id, error);
    if (!thread) {
        return false;
    }
    if (uses_thread(v, thread)) {
        iothread_release(thread);
        return error_fail(error, "iothread-vq-mapping: iothread '%s' is named twice", id);
    }
    VirtLoop *l = g_new0(VirtLoop, 1);
    l->dev = v;
    l->thread = thread;
    l->loop = thread->loop;
    l->queues = queues;
    l->halted = !runstate_running();
    l->budget = UINT_MAX;
    l->kick = bell_new(l->loop, kicked, l);
    l->report = bell_new(loop_main(), reported, l);
    g_ptr_array_add(all, l);
    for (; queues; queues &= queues - 1) {
        VirtQueue *q = &v->queue[__builtin_ctzll(queues)];
        q->loop = l;
        q->home = v->loops;
    }
    v->loop = g_renew(VirtLoop *, v->loop, v->loops + 1);
    v->loop[v->loops++] = l;
    return true;
}

bool virtio_use_iothreads(VirtioDevice *v, const char *iothread, const QIOThreadVirtQueueMappingList *mapping, GError **error)
{
    QIOThreadVirtQueueMapping only = {.iothread = (char *)iothread};
    const QIOThreadVirtQueueMappingList one = {1, &only};
    if (iothread && mapping && mapping->at) {
        return error_fail(error, "iothread and iothread-vq-mapping are both given, expected: one of them");
    }
    mapping = iothread ? &one : mapping;
    if (!mapping || !mapping->n) {
        return true;
    }
    if (!all) {
        all = g_ptr_array_new();
        runstate_listen(&(RunListener){.changed = machine_changed});
    }
    g_autofree uint64_t *queues = g_new0(uint64_t, mapping->n);
    bool ok = read_mapping(v, mapping, queues, error);
    for (size_t i = 0; ok && i < mapping->n; i++) {
        ok = add_loop(v, mapping->at[i].iothread, queues[i], error);
    }
    if (!ok) {
        virtio_enter(v);
        virtio_leave_iothreads(v);
    }
    return ok;
}

void virtio_leave_iothreads(VirtioDevice *v)
{
    for (unsigned i = 0; i < v->queues; i++) {
        v->queue[i].loop = NULL;
    }
    while (v->loops) {
        VirtLoop *l = v->loop[--v->loops];
        bell_free(l->kick);
        loop_leave(l->loop);
        bell_free(l->report);
        g_ptr_array_remove_fast(all, l);
        iothread_release(l->thread);
        g_free(l);
    }
    g_clear_pointer(&v->loop, g_free);
}

Loop *virtio_loop(const VirtioDevice *v, unsigned home)
{
    return v->loop[home]->loop;
}

/* ---- Doorbells in the kernel ---- */

void virtio_doorbell(VirtioDevice *v, unsigned home)
{
    if (home < v->loops) {
        v->loop[home]->kicked |= v->loop[home]->queues;
        virtloop_run(v->loop[home]);
    } else if (!loop_is_queue_thread()) { /* else the device is on its way out */
        virtio_kick_all(v);
        device_settle(&v->dev);
    }
}
