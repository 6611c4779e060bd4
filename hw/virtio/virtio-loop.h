/* Those virtqueues of a device that belong to one queue loop.  For virtio.c and virtio-regs.c. */
#ifndef HW_VIRTIO_VIRTIO_LOOP_H
#define HW_VIRTIO_VIRTIO_LOOP_H

#include <stdatomic.h>

#include "core/loop.h"
#include "hw/virtio/virtio.h"

struct VirtLoop {
    VirtioDevice *dev;
    Loop *loop;
    struct IoThread *thread;
    uint64_t queues;                    /* that are its                                                      */
    Bell *kick, *report;                /* for the loop: queues were kicked; for main: signals, a broken rule */
    _Atomic uint64_t rung;              /* queues that were kicked, and the loop has not seen it             */
    _Atomic uint64_t signals;           /* queues whose interrupt is due, and main has not seen it           */
    atomic_bool waits;                  /* there is work, but the device was not ready or the machine stood still */
    /* the loop's own, as those of VirtioDevice */
    uint64_t kicked, pushed;
    unsigned budget;
    bool halted;                        /* the machine stands still                                          */
};

void virtloop_kick(VirtLoop *l, unsigned queue);        /* any thread                                        */
void virtloop_run(VirtLoop *l);         /* what the bell calls.  Loop entered, or its thread                 */
void virtloop_again(VirtQueue *q);      /* its run ended early: go on in the loop's next round               */
void virtloop_broke(VirtioDevice *v);   /* on a loop's thread                                                */
void virtloop_restart(VirtioDevice *v); /* the device was reset: nothing is due.  Loops entered              */
void virtloop_forget(VirtQueue *q);     /* the queue was reset.  Loops entered                               */
void virtloop_collect(VirtioDevice *v); /* what the loops reported becomes the device's.  Main lock held     */

#endif
