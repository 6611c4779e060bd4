/* Descriptors that the kernel signals or that signal the kernel, so that neither a kick nor a queue's interrupt needs the main lock. */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/loop.h"
#include "hw/platform.h"
#include "hw/virtio/virtio-pci.h"

/* ---- Doorbells ----
 * A write to one signals a descriptor, and the CPU goes on.  The queues of a loop share one: looking at a queue that nobody kicked
 * is cheap. */

typedef struct VirtioDoorbell {
    VirtioPci *owner;
    unsigned home;                      /* of its queues */
    int fd;
    Loop *loop;                         /* that watches it */
    Watch *watch;
} VirtioDoorbell;

typedef void DoorbellFn(Region *r, uint64_t at, unsigned size, bool match, uint64_t data, int fd);

static void each_doorbell(VirtioPci *s, DoorbellFn *fn)
{
    bool several = s->doorbells > 1;
    for (unsigned q = 0; q < s->vdev->queues; q++) {
        int fd = s->doorbell[s->vdev->queue[q].home].fd;
        if (s->modern_bar) {
            fn(s->modern_bar, VIRTIO_PCI_NOTIFY + q * VIRTIO_PCI_NOTIFY_STEP, 2, false, 0, fd);
        }
        if (s->legacy_bar && (several || !q)) { /* the number written there is the queue's */
            fn(s->legacy_bar, VIRTIO_PCI_LEGACY_NOTIFY, 2, several, q, fd);
        }
    }
}

static void doorbell_rang(void *arg, short revents)
{
    VirtioDoorbell *b = arg;
    uint64_t count;
    if (read(b->fd, &count, sizeof count) == sizeof count) {
        virtio_doorbell(b->owner->vdev, b->home);
    }
}

static void free_doorbells(VirtioPci *s)
{
    for (unsigned i = 0; i < s->doorbells; i++) {
        VirtioDoorbell *b = &s->doorbell[i];
        loop_enter(b->loop);
        loop_unwatch(b->watch);
        loop_leave(b->loop);
        close(b->fd);
    }
    g_clear_pointer(&s->doorbell, g_free);
    s->doorbells = 0;
}

static bool make_doorbells(VirtioPci *s)
{
    VirtioDevice *v = s->vdev;
    unsigned n = MAX(v->loops, 1);
    s->doorbell = g_new0(VirtioDoorbell, n);
    for (; s->doorbells < n; s->doorbells++) {
        VirtioDoorbell *b = &s->doorbell[s->doorbells];
        *b = (VirtioDoorbell){.owner = s, .home = s->doorbells, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
        if (b->fd < 0) {
            return false;
        }
        b->loop = v->loops ? virtio_loop(v, b->home) : loop_main();
        loop_enter(b->loop);
        b->watch = loop_watch(b->loop, b->fd, POLLIN, doorbell_rang, b);
        loop_leave(b->loop);
    }
    return true;
}

static void add_doorbells(VirtioPci *s)
{
    if (!platform.kernel_accel || !s->ioeventfd) {
        return;
    }
    if (make_doorbells(s)) {
        each_doorbell(s, region_add_eventfd);
    } else { /* no more descriptors: every kick reaches the region */
        free_doorbells(s);
    }
}

static void remove_doorbells(VirtioPci *s)
{
    if (s->doorbells) {
        each_doorbell(s, region_del_eventfd);
        mem_commit(); /* the kernel lets go of the descriptors before they close */
        free_doorbells(s);
    }
}

/* ---- Interrupts ----
 * While a queue's vector can be sent as it stands in the table, the queue's loop signals a descriptor that the kernel turns into
 * that message.  While it is masked, the loop reports to main as it would without a descriptor, and the message becomes pending. */

typedef struct VirtioIrqfd {
    int fd, handle;                     /* -1: none; the accelerator's, -1: not bound */
    bool wanted;                        /* this message was asked for, which the accelerator may have refused */
    uint64_t address;
    uint32_t data;
} VirtioIrqfd;

static void signal_by(VirtQueue *q, int fd)
{
    virtio_enter(q->dev);
    q->signal_fd = fd;
    virtio_leave(q->dev);
}

static void unbind(VirtioPci *s, unsigned i)
{
    VirtioIrqfd *f = &s->irqfd[i];
    uint64_t count;
    if (f->handle < 0) {
        return;
    }
    signal_by(&s->vdev->queue[i], -1);
    platform.irqfd_remove(f->handle);
    f->handle = -1;
    if (read(f->fd, &count, sizeof count) == sizeof count) { /* the kernel did not see that one */
        pci_msix_notify(&s->pci, s->vdev->queue[i].vector);
    }
}

static void bind(VirtioPci *s, unsigned i)
{
    VirtioIrqfd *f = &s->irqfd[i];
    if (f->fd < 0) {
        f->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    f->handle = f->fd < 0 ? -1 : platform.irqfd_add(f->fd, f->address, f->data);
    if (f->handle >= 0) {
        signal_by(&s->vdev->queue[i], f->fd);
    }
}

void virtio_pci_fds_update(VirtioPci *s)
{
    for (unsigned i = 0; s->irqfd && i < s->vdev->queues; i++) {
        VirtioIrqfd *f = &s->irqfd[i];
        VirtioIrqfd now = {0};
        now.wanted = pci_msix_message(&s->pci, s->vdev->queue[i].vector, &now.address, &now.data);
        if (now.wanted != f->wanted || now.address != f->address || now.data != f->data) {
            unbind(s, i);
            f->wanted = now.wanted;
            f->address = now.address;
            f->data = now.data;
            if (now.wanted) {
                bind(s, i);
            }
        }
    }
}

static void remove_irqfds(VirtioPci *s)
{
    for (unsigned i = 0; s->irqfd && i < s->vdev->queues; i++) {
        unbind(s, i);
        if (s->irqfd[i].fd >= 0) {
            close(s->irqfd[i].fd);
        }
    }
    g_clear_pointer(&s->irqfd, g_free);
}

void virtio_pci_fds_add(VirtioPci *s)
{
    VirtioDevice *v = s->vdev;
    add_doorbells(s);
    if (v->loops && platform.irqfd_add) {
        s->irqfd = g_new(VirtioIrqfd, v->queues);
        for (unsigned i = 0; i < v->queues; i++) {
            s->irqfd[i] = (VirtioIrqfd){.fd = -1, .handle = -1};
        }
    }
}

void virtio_pci_fds_remove(VirtioPci *s)
{
    remove_doorbells(s);
    remove_irqfds(s);
}
