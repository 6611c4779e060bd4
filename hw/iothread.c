#include "hw/iothread.h"

#include "block/worker.h"

// clang-format off
static const Row rows[] = {
    PROP_AS(IoThread, poll_max_ns, "poll-max-ns", "32768", "Longest time to poll before it sleeps, in ns; 0: none"),
    PROP_AS(IoThread, poll_grow, "poll-grow", "0", "Factor by which the time grows while it pays; 0: 2"),
    PROP_AS(IoThread, poll_shrink, "poll-shrink", "0", "Divisor when it does not; 0: back to none"),
    END
};
// clang-format on

static bool make(void *object, GError **error)
{
    IoThread *t = object;
    if (t->poll_max_ns < 0 || t->poll_grow < 0 || t->poll_shrink < 0) {
        return error_fail(error, "iothread: poll-max-ns, poll-grow and poll-shrink are at least 0");
    }
    g_autofree char *name = g_strdup_printf("IO %.12s", t->object.id); /* the kernel keeps 15 characters */
    t->loop = loop_new(name);
    loop_enter(t->loop);
    loop_set_polling(t->loop, &(LoopPolling){t->poll_max_ns, t->poll_grow, t->poll_shrink});
    loop_leave(t->loop);
    return true;
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
