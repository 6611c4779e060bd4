/* -object iothread: a thread for devices that can be given one. */
#ifndef HW_IOTHREAD_H
#define HW_IOTHREAD_H

#include "core/loop.h"
#include "hw/object.h"

typedef struct IoThread {
    UserObject object;
    Loop *loop;
    int64_t poll_max_ns, poll_grow, poll_shrink;        /* LoopPolling */
    int64_t thread_pool_min, thread_pool_max;           /* worker_limits */
} IoThread;

extern const ObjectType iothread_type;
/* For a device, until iothread_release.  NULL: there is none of that name. */
IoThread *iothread_claim(const char *id, GError **error);
void iothread_release(IoThread *t);

#endif
