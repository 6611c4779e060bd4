#include "core/loop.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/clock.h"

struct Loop {
    char *name;
    GMainContext *context;
    /* Of queue loops: */
    GThread *thread; /* NULL: the main loop */
    GMainLoop *run;
    int thread_id;
    pthread_mutex_t lock;
    unsigned entered;   /* how often by the thread that holds the lock */
    Loop *before;       /* what that thread entered before it */
    Loop *worked_for;   /* what it worked for until then */
    atomic_uint wanted; /* threads that wait for the lock */
    LoopPolling polling;
    int64_t poll_ns; /* how long it polls now */
};

static Loop *main_loop;
static GPtrArray *queue_loops; /* main lock */
static _Thread_local Loop *this_loop; /* entered last; the chain of `before` leads to the others */
static _Thread_local Loop *works_for;
static _Thread_local bool queue_thread_here;

/* ---- The main lock ---- */

static pthread_mutex_t main_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local unsigned lock_depth;

void loop_lock(void)
{
    assert(!queue_thread_here);
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
        this_loop = works_for = main_loop;
    }
    return main_loop;
}

/* What the waiting came to decides how long the next one polls: an event that a longer poll would have met makes it longer. */
static void adapt_polling(Loop *loop, int64_t waited)
{
    const LoopPolling *p = &loop->polling;
    if (waited <= loop->poll_ns) {
        return; /* the polling met it */
    }
    if (waited > p->max_ns) {
        loop->poll_ns = p->shrink ? loop->poll_ns / p->shrink : 0;
    } else if (loop->poll_ns < p->max_ns) {
        enum { FIRST_NS = 4000 };
        int64_t grow = p->grow ? p->grow : 2;
        loop->poll_ns = !loop->poll_ns ? MIN(FIRST_NS, p->max_ns)
                        : loop->poll_ns > p->max_ns / grow ? p->max_ns
                                                           : loop->poll_ns * grow;
    }
}

static gint poll_then_sleep(GPollFD *fds, guint n, gint timeout, int64_t began, int64_t poll_ns)
{
    gint ready;
    do {
        ready = g_poll(fds, n, 0);
    } while (!ready && clock_now(CLOCK_RT) - began < poll_ns);
    return ready ? ready : g_poll(fds, n, timeout);
}

/* The one place where a queue loop's thread is without its lock.  A mutex is not fair: without the pause it would take it again
 * before those who wait for it have woken. */
static gint wait_unlocked(GPollFD *fds, guint n, gint timeout)
{
    Loop *loop = this_loop;
    bool polls = loop->polling.max_ns && timeout;
    int64_t began = polls ? clock_now(CLOCK_RT) : 0, poll_ns = loop->poll_ns;
    pthread_mutex_unlock(&loop->lock);
    gint ready = polls ? poll_then_sleep(fds, n, timeout, began, poll_ns) : g_poll(fds, n, timeout);
    int64_t waited = polls ? clock_now(CLOCK_RT) - began : 0;
    while (atomic_load(&loop->wanted)) {
        sched_yield();
    }
    pthread_mutex_lock(&loop->lock);
    loop->entered = 1;
    if (polls && ready > 0) {
        adapt_polling(loop, waited);
    }
    return ready;
}

static gpointer queue_thread(gpointer arg)
{
    Loop *loop = arg;
    this_loop = works_for = loop;
    queue_thread_here = true;
    pthread_mutex_lock(&loop->lock);
    loop->entered = 1;
    loop->thread_id = gettid();
    g_main_context_push_thread_default(loop->context);
    g_main_loop_run(loop->run);
    g_main_context_pop_thread_default(loop->context);
    pthread_mutex_unlock(&loop->lock);
    return NULL;
}

static void started(void *arg)
{
    sem_post(arg);
}

Loop *loop_new(const char *name)
{
    Loop *loop = g_new0(Loop, 1);
    sem_t running;
    loop->name = g_strdup(name);
    loop->context = g_main_context_new();
    g_main_context_set_poll_func(loop->context, wait_unlocked);
    loop->run = g_main_loop_new(loop->context, FALSE);
    pthread_mutex_init(&loop->lock, NULL);
    sem_init(&running, 0, 0);
    loop_post(loop, started, &running);
    loop->thread = g_thread_new(name, queue_thread, loop);
    while (sem_wait(&running)) {
    }
    sem_destroy(&running);
    if (!queue_loops) {
        queue_loops = g_ptr_array_new();
    }
    g_ptr_array_add(queue_loops, loop);
    return loop;
}

static void quit_loop(void *arg)
{
    g_main_loop_quit(((Loop *)arg)->run);
}

void loop_free(Loop *loop)
{
    assert(loop->thread);
    g_ptr_array_remove(queue_loops, loop);
    loop_post(loop, quit_loop, loop);
    g_thread_join(loop->thread);
    g_main_loop_unref(loop->run);
    g_main_context_unref(loop->context);
    pthread_mutex_destroy(&loop->lock);
    g_free(loop->name);
    g_free(loop);
}

int loop_thread_id(const Loop *loop)
{
    return loop->thread_id;
}

void loop_set_polling(Loop *loop, const LoopPolling *polling)
{
    loop->polling = *polling;
    loop->poll_ns = 0;
}

bool loop_is_queue_thread(void)
{
    return queue_thread_here;
}

/* Whether this thread has it: as its own, or entered before others. */
static bool has_loop(const Loop *loop)
{
    for (const Loop *l = this_loop; l && l->thread; l = l->before) {
        if (l == loop) {
            return true;
        }
    }
    return false;
}

void loop_enter(Loop *loop)
{
    if (!loop->thread) {
        return;
    }
    if (has_loop(loop)) {
        loop->entered++;
        return;
    }
    assert(loop_locked());
    atomic_fetch_add(&loop->wanted, 1);
    pthread_mutex_lock(&loop->lock);
    atomic_fetch_sub(&loop->wanted, 1);
    loop->before = this_loop;
    loop->worked_for = works_for;
    loop->entered = 1;
    this_loop = works_for = loop;
}

void loop_leave(Loop *loop)
{
    if (!loop->thread || --loop->entered) {
        return;
    }
    assert(this_loop == loop);
    this_loop = loop->before;
    works_for = loop->worked_for;
    loop->before = loop->worked_for = NULL;
    pthread_mutex_unlock(&loop->lock);
}

Loop *loop_work_for(Loop *loop)
{
    Loop *before = works_for;
    if (loop->thread) {
        assert(has_loop(loop));
        works_for = loop;
    }
    return before;
}

void loop_work_again(Loop *before)
{
    works_for = before;
}

void loop_settle_all(void)
{
    for (unsigned i = 0; queue_loops && i < queue_loops->len; i++) {
        Loop *loop = g_ptr_array_index(queue_loops, i);
        loop_enter(loop);
        loop_leave(loop);
    }
}

Loop *loop_current(void)
{
    return works_for;
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
} Post;

static gboolean run_post(gpointer data)
{
    const Post *p = data;
    p->fn(p->arg);
    return G_SOURCE_REMOVE;
}

void loop_post(Loop *loop, void (*fn)(void *arg), void *arg)
{
    Post *p = g_new0(Post, 1);
    p->fn = fn;
    p->arg = arg;
    GSource *source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, run_post, p, g_free);
    g_source_attach(source, loop->context);
    g_source_unref(source);
}

/* ---- Bells ---- */

struct Bell {
    GSource source;
    atomic_bool rung;
    GMainContext *context;
    void (*fn)(void *arg);
    void *arg;
};

static gboolean bell_prepare(GSource *source, gint *timeout)
{
    *timeout = -1;
    return atomic_load(&((Bell *)source)->rung);
}

static gboolean bell_check(GSource *source)
{
    return atomic_load(&((Bell *)source)->rung);
}

static gboolean bell_dispatch(GSource *source, GSourceFunc unused, gpointer unused_data)
{
    Bell *bell = (Bell *)source;
    atomic_store(&bell->rung, false);
    bell->fn(bell->arg);
    return G_SOURCE_CONTINUE;
}

Bell *bell_new(Loop *loop, void (*fn)(void *arg), void *arg)
{
    static GSourceFuncs funcs = {.prepare = bell_prepare, .check = bell_check, .dispatch = bell_dispatch};
    GSource *source = g_source_new(&funcs, sizeof(Bell));
    Bell *bell = (Bell *)source;
    bell->context = loop->context;
    bell->fn = fn;
    bell->arg = arg;
    g_source_attach(source, loop->context);
    return bell;
}

void bell_ring(Bell *bell)
{
    if (!atomic_exchange(&bell->rung, true)) {
        g_main_context_wakeup(bell->context);
    }
}

void bell_free(Bell *bell)
{
    if (bell) {
        g_source_destroy(&bell->source);
        g_source_unref(&bell->source);
    }
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
