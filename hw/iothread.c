#include "hw/iothread.h"

#include <inttypes.h>

#include "block/worker.h"

enum { POOL_MAX = 1024 };

// clang-format off
static const Row rows[] = {
    PROP_AS(IoThread, poll_max_ns, "poll-max-ns", "32768", "Longest time to poll before it sleeps, in ns; 0: none"),
    PROP_AS(IoThread, poll_grow, "poll-grow", "0", "Factor by which the time grows while it pays; 0: 2"),
    PROP_AS(IoThread, poll_shrink, "poll-shrink", "0", "Divisor when it does not; 0: back to none"),
    PROP_AS(IoThread, thread_pool_min, "thread-pool-min", "0", "Threads for its disks' system calls that are always there"),
    PROP_AS(IoThread, thread_pool_max, "thread-pool-max", "64", "Most such threads"),
    END
};
// clang-format on

static bool check(const IoThread *t, GError **error)
{
    if (t->poll_max_ns < 0 || t->poll_grow < 0 || t->poll_shrink < 0) {
        return error_fail(error, "iothread: poll-max-ns, poll-grow and poll-shrink are at least 0");
    }
    if (t->thread_pool_max < 1 || t->thread_pool_max > POOL_MAX) {
        return error_fail(error, "iothread: thread-pool-max is %" PRId64 ", expected: 1 to %d", t->thread_pool_max, POOL_MAX);
    }
    return (t->thread_pool_min >= 0 && t->thread_pool_min <= t->thread_pool_max) ||
           error_fail(error, "iothread: thread-pool-min is %" PRId64 ", expected: 0 to thread-pool-max, %" PRId64, t->thread_pool_min,
                      t->thread_pool_max);
}

static bool changed(void *object, GError **error)
{
    IoThread *t = object;
    if (!check(t, error)) {
        return false;
    }
    loop_enter(t->loop);
    loop_set_polling(t->loop, &(LoopPolling){t->poll_max_ns, t->poll_grow, t->poll_shrink});
    worker_limits(t->loop, (unsigned)t->thread_pool_min, (unsigned)t->thread_pool_max);
    loop_leave(t->loop);
    return true;
}

static bool make(void *object, GError **error)
{
    IoThread *t = object;
    if (!check(t, error)) {
        return false;
    }
    g_autofree char *name = g_strdup_printf("IO %.12s", t->object.id); /* the kernel keeps 15 characters */
    t->loop = loop_new(name);
    return changed(t, error);
}

static void unmake(void *object)
{
    IoThread *t = object;
    loop_enter(t->loop);
    worker_forget(t->loop);
    loop_leave(t->loop);
    loop_free(t->loop);
}

const ObjectType iothread_type = {.name = "iothread",
                                  .doc = "A thread for virtio queues",
                                  .size = sizeof(IoThread),
                                  .rows = rows,
                                  .make = make,
                                  .changed = changed,
                                  .unmake = unmake};

IoThread *iothread_claim(const char *id, GError **error)
{
    IoThread *t = object_find_type(id, "iothread", error);
    if (t) {
        t->object.users++;
    }
    return t;
}

void iothread_release(IoThread *t)
{
    t->object.users--;
}
