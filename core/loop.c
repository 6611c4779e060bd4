#include "core/loop.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/clock.h"

struct Loop {
    char *name;
    GMainContext *context;
    GThread *thread; /* NULL: the main loop */
    GMainLoop *run;
};

static Loop *main_loop;
static _Thread_local Loop *this_loop;

/* ---- The main lock ---- */

static pthread_mutex_t main_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local unsigned lock_depth;

void loop_lock(void)
{
    if (!lock_depth++) {
        pthread_mutex_lock(&main_mutex);
    }
}

void loop_unlock(void)
{
    assert(lock_depth);
    if (!--lock_depth) {
        if (loop_before_unlock) {
            loop_before_unlock();
        }
        pthread_mutex_unlock(&main_mutex);
    }
}

void (*loop_before_unlock)(void);

bool loop_locked(void)
{
    return lock_depth > 0;
}

/* ---- Loops ---- */

Loop *loop_main(void)
{
    if (G_UNLIKELY(!main_loop)) {
        main_loop = g_new0(Loop, 1);
        main_loop->name = g_strdup("main");
        main_loop->context = g_main_context_ref(g_main_context_default());
        this_loop = main_loop;
    }
    return main_loop;
}

static gpointer queue_thread(gpointer arg)
{
    Loop *loop = arg;
    this_loop = loop;
    g_main_context_push_thread_default(loop->context);
    g_main_loop_run(loop->run);
    g_main_context_pop_thread_default(loop->context);
    return NULL;
}

Loop *loop_new(const char *name)
{
    Loop *loop = g_new0(Loop, 1);
    loop->name = g_strdup(name);
    loop->context = g_main_context_new();
    loop->run = g_main_loop_new(loop->context, FALSE);
    loop->thread = g_thread_new(name, queue_thread, loop);
    return loop;
}

static void quit_loop(void *arg)
{
    g_main_loop_quit(((Loop *)arg)->run);
}

void loop_free(Loop *loop)
{
    assert(loop->thread);
    loop_post(loop, quit_loop, loop);
    g_thread_join(loop->thread);
    g_main_loop_unref(loop->run);
    g_main_context_unref(loop->context);
    g_free(loop->name);
    g_free(loop);
}

Loop *loop_current(void)
{
    return this_loop;
}

GMainContext *loop_context(Loop *loop)
{
    return loop->context;
}

void loop_wake(void)
{
    if (main_loop) {
        g_main_context_wakeup(main_loop->context);
    }
}

typedef struct Post {
    void (*fn)(void *arg);
    void *arg;
    GMutex *mutex; /* loop_call waits; NULL: loop_post */
    GCond *cond;
    bool *done;
} Post;

static gboolean run_post(gpointer data)
{
    Post *p = data;
    p->fn(p->arg);
    if (p->mutex) {
        g_mutex_lock(p->mutex);
        *p->done = true;
        g_cond_signal(p->cond);
        g_mutex_unlock(p->mutex);
    }
    return G_SOURCE_REMOVE;
}

static void post(Loop *loop, Post *p)
{
    GSource *source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, run_post, p, g_free);
    g_source_attach(source, loop->context);
    g_source_unref(source);
}

void loop_post(Loop *loop, void (*fn)(void *arg), void *arg)
{
    Post *p = g_new0(Post, 1);
    p->fn = fn;
    p->arg = arg;
    post(loop, p);
}

void loop_call(Loop *loop, void (*fn)(void *arg), void *arg)
{
    assert(loop != main_loop && this_loop == main_loop);
    GMutex mutex;
    GCond cond;
    bool done = false;
    g_mutex_init(&mutex);
    g_cond_init(&cond);
    Post *p = g_new(Post, 1);
    *p = (Post){fn, arg, &mutex, &cond, &done};
    post(loop, p);
    g_mutex_lock(&mutex);
    while (!done) {
        g_cond_wait(&cond, &mutex);
    }
    g_mutex_unlock(&mutex);
    g_mutex_clear(&mutex);
    g_cond_clear(&cond);
}

/* ---- Watches ---- */

struct Watch {
    GSource source;
    gpointer tag;
    int fd;
    void (*fn)(void *arg, short revents);
    void *arg;
};

static gboolean watch_check(GSource *source)
{
    Watch *w = (Watch *)source;
    return g_source_query_unix_fd(source, w->tag) != 0;
}

static gboolean watch_dispatch(GSource *source, GSourceFunc unused, gpointer unused_data)
{
    Watch *w = (Watch *)source;
    w->fn(w->arg, (short)g_source_query_unix_fd(source, w->tag));
    return G_SOURCE_CONTINUE;
}

Watch *loop_watch(Loop *loop, int fd, short events, void (*fn)(void *arg, short revents), void *arg)
{
    static GSourceFuncs funcs = {.check = watch_check, .dispatch = watch_dispatch};
    GSource *source = g_source_new(&funcs, sizeof(Watch));
    Watch *w = (Watch *)source;
    w->fd = fd;
    w->fn = fn;
    w->arg = arg;
    w->tag = g_source_add_unix_fd(source, fd, (GIOCondition)events);
    g_source_attach(source, loop->context);
    return w;
}

void loop_watch_events(Watch *watch, short events)
{
    g_source_modify_unix_fd(&watch->source, watch->tag, (GIOCondition)events);
}

void loop_unwatch(Watch *watch)
{
    if (watch) {
        g_source_destroy(&watch->source);
        g_source_unref(&watch->source);
    }
}

/* ---- One round of the main loop ---- */

/* GMainContext's own iteration holds no lock of ours and waits in whole milliseconds; timers need
 * better, so we go through its phases ourselves and wait with ppoll. */
void loop_iterate(bool block)
{
    static GPollFD *fds;
    static int room;
    GMainContext *context = loop_main()->context;
    gint priority, timeout, n;

    bool acquired = g_main_context_acquire(context);
    assert(acquired);
    gboolean ready = g_main_context_prepare(context, &priority);
    while ((n = g_main_context_query(context, priority, &timeout, fds, room)) > room) {
        room = n;
        fds = g_renew(GPollFD, fds, room);
    }
    int64_t wait = timeout < 0 ? -1 : timeout * NS_PER_MS;
    int64_t timers = clock_wait_ns();
    if (timers >= 0 && (wait < 0 || timers < wait)) {
        wait = timers;
    }
    if (!block || ready) {
        wait = 0;
    }
    struct timespec ts = {wait / NS_PER_SECOND, wait % NS_PER_SECOND};
    unsigned depth = lock_depth;
    if (wait != 0 && depth) { /* release the lock whole, however often this thread took it */
        if (loop_before_unlock) {
            loop_before_unlock();
        }
        lock_depth = 0;
        pthread_mutex_unlock(&main_mutex);
    }
    ppoll((struct pollfd *)fds, (nfds_t)n, wait < 0 ? NULL : &ts, NULL);
    if (wait != 0 && depth) {
        pthread_mutex_lock(&main_mutex);
        lock_depth = depth;
    }
    clock_run_due();
    if (g_main_context_check(context, priority, fds, n)) {
        g_main_context_dispatch(context);
    }
    g_main_context_release(context);
}
