/* A thread of its own works on the queues: kicks ring its bell; interrupts and broken rules ring ours. */
#include "hw/virtio/virtio-loop.h"

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

void virtloop_run(VirtLoop *l)
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
        if (virtio_is_ready(v) && virtqueue_wants_signal(&v->queue[i])) {
            signals |= VIRTIO_BIT(i);
        }
    }
    if (signals) {
        atomic_fetch_or(&l->signals, signals);
        bell_ring(l->report);
    }
}

static void kicked(void *arg)
{
    virtloop_run(arg);
}

/* ---- To main ---- */

void virtloop_broke(VirtioDevice *v)
{
    __atomic_store_n(&v->broken, true, __ATOMIC_RELAXED);
    bell_ring(v->loop->report);
}

static void reported(void *arg)
{
    VirtioDevice *v = ((VirtLoop *)arg)->dev;
    virtio_enter(v);
    if (v->broken && !(v->status & VIRTIO_NEEDS_RESET)) {
        v->status |= VIRTIO_NEEDS_RESET;
        v->config_signal |= v->status & VIRTIO_DRIVER_OK;
    }
    virtio_leave(v);
    device_settle(&v->dev);
}

void virtloop_collect(VirtioDevice *v)
{
    VirtLoop *l = v->loop;
    if (l) {
        v->signals |= atomic_exchange(&l->signals, 0);
        if (virtio_is_ready(v) && atomic_exchange(&l->waits, false)) {
            bell_ring(l->kick);
        }
    }
}

/* ---- From main ---- */

void virtio_enter(const VirtioDevice *v)
{
    if (v->loop) {
        loop_enter(v->loop->loop);
    }
}

void virtio_leave(const VirtioDevice *v)
{
    if (v->loop) {
        loop_leave(v->loop->loop);
    }
}

void virtloop_restart(VirtioDevice *v)
{
    VirtLoop *l = v->loop;
    v->broken = false;
    if (l) {
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

Loop *virtio_use_iothread(VirtioDevice *v, const char *id, GError **error)
{
    IoThread *thread = iothread_claim(id, error);
    if (!thread) {
        return NULL;
    }
    if (!all) {
        all = g_ptr_array_new();
        runstate_listen(&(RunListener){.changed = machine_changed});
    }
    VirtLoop *l = g_new0(VirtLoop, 1);
    l->dev = v;
    l->thread = thread;
    l->loop = thread->loop;
    l->halted = !runstate_running();
    l->budget = UINT_MAX;
    l->kick = bell_new(l->loop, kicked, l);
    l->report = bell_new(loop_main(), reported, l);
    g_ptr_array_add(all, l);
    v->loop = l;
    for (unsigned i = 0; i < v->queues; i++) {
        v->queue[i].loop = l;
    }
    return l->loop;
}

void virtio_leave_iothread(VirtioDevice *v)
{
    VirtLoop *l = v->loop;
    if (!l) {
        return;
    }
    for (unsigned i = 0; i < v->queues; i++) {
        v->queue[i].loop = NULL;
    }
    v->loop = NULL;
    bell_free(l->kick);
    loop_leave(l->loop);
    bell_free(l->report);
    g_ptr_array_remove_fast(all, l);
    iothread_release(l->thread);
    g_free(l);
}

/* ---- Doorbells in the kernel ---- */

Loop *virtio_doorbell_loop(const VirtioDevice *v)
{
    return v->loop ? v->loop->loop : loop_main();
}

void virtio_doorbell(VirtioDevice *v)
{
    if (loop_is_queue_thread() && !v->loop) {
        return; /* the device is on its way out */
    }
    virtio_kick_all(v);
    virtqueue_settle(&v->queue[0]);
}
