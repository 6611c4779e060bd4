#include "block/worker.h"

#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "core/coroutine.h"

enum { IDLE_EXIT = 10 }; /* seconds */

typedef struct Work Work;
typedef struct WorkList {
    Work *first, *last;
    unsigned count;
} WorkList;
typedef struct Pool { /* a loop's threads, and what calls came to */
    Loop *loop;
    Bell *bell;
    WorkList todo, done;
    unsigned under_way;
    unsigned threads, idle, min, max;
    bool closing;
    pthread_cond_t work_came;
} Pool;
struct Work { /* on the coroutine's stack */
    int (*fn)(void *arg);
    void *arg;
    int result;
    Coroutine *co;
    Work *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all of the following */
static pthread_cond_t work_ended = PTHREAD_COND_INITIALIZER;
static GPtrArray *pools;

static _Thread_local unsigned inline_depth;

static void list_add(WorkList *list, Work *w)
{
    w->next = NULL;
    if (list->first) {
        list->last->next = w;
    } else {
        list->first = w;
    }
    list->last = w;
    list->count++;
}

static Work *list_pop(WorkList *list)
{
    Work *w = list->first;
    if (w) {
        list->first = w->next;
        list->count--;
    }
    return w;
}

static void bell_rang(void *arg)
{
    worker_reap(((Pool *)arg)->loop, false);
}

/* With the lock held. */
static Pool *pool_find(Loop *loop)
{
    for (unsigned i = 0; pools && i < pools->len; i++) {
        Pool *p = g_ptr_array_index(pools, i);
        if (p->loop == loop) {
            return p;
        }
    }
    return NULL;
}

static Pool *pool_for(Loop *loop)
{
    Pool *p = pool_find(loop);
    if (!p) {
        pthread_condattr_t attr;
        p = g_new0(Pool, 1);
        p->loop = loop;
        p->bell = bell_new(loop, bell_rang, p);
        p->max = WORKERS_MAX;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&p->work_came, &attr);
        pthread_condattr_destroy(&attr);
        if (!pools) {
            pools = g_ptr_array_new();
        }
        g_ptr_array_add(pools, p);
    }
    return p;
}

/* With the lock held; false: this thread is one too many, or nothing came for a while. */
static bool work_wait(Pool *p)
{
    struct timespec until;
    bool late = false;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_EXIT;
    p->idle++;
    while (!p->todo.first && !p->closing && p->threads <= p->max && !(late && p->threads > p->min)) {
        late = (late ? pthread_cond_wait(&p->work_came, &lock) : pthread_cond_timedwait(&p->work_came, &lock, &until)) || late;
    }
    p->idle--;
    return p->todo.first && p->threads <= p->max;
}

static void *worker(void *arg)
{
    Pool *p = arg;
    pthread_mutex_lock(&lock);
    while (work_wait(p)) {
        Work *w = list_pop(&p->todo);
        pthread_mutex_unlock(&lock);
        w->result = w->fn(w->arg);
        pthread_mutex_lock(&lock);
        list_add(&p->done, w);
        pthread_cond_broadcast(&work_ended);
        bell_ring(p->bell);
    }
    p->threads--;
    pthread_cond_broadcast(&work_ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* With the lock held. */
static bool worker_start(Pool *p)
{
    /* Signals are for the main thread. */
    sigset_t all, before;
    pthread_t id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = !pthread_create(&id, NULL, worker, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok) {
        pthread_detach(id);
        p->threads++;
    }
    return ok;
}

void worker_limits(Loop *loop, unsigned min, unsigned max)
{
    pthread_mutex_lock(&lock);
    Pool *p = pool_for(loop);
    p->min = min;
    p->max = max;
    while (p->threads < min && worker_start(p)) {
    }
    pthread_cond_broadcast(&p->work_came);
    pthread_mutex_unlock(&lock);
}

void worker_forget(Loop *loop)
{
    pthread_mutex_lock(&lock);
    Pool *p = pool_find(loop);
    if (p) {
        g_assert(!p->under_way);
        p->closing = true;
        pthread_cond_broadcast(&p->work_came);
        while (p->threads) {
            pthread_cond_wait(&work_ended, &lock);
        }
        g_ptr_array_remove_fast(pools, p);
        bell_free(p->bell);
        pthread_cond_destroy(&p->work_came);
        g_free(p);
    }
    pthread_mutex_unlock(&lock);
}

static __attribute__((noinline)) unsigned *inline_slot(void)
{
    __asm__ volatile("");
    return &inline_depth;
}

void worker_inline(bool on)
{
    *inline_slot() += on ? 1 : -1;
}

int co_worker_run(int (*fn)(void *arg), void *arg)
{
    if (*inline_slot()) {
        return fn(arg);
    }
    Work w = {.fn = fn, .arg = arg, .co = co_self()};
    pthread_mutex_lock(&lock);
    Pool *p = pool_for(co_loop());
    if (p->idle <= p->todo.count && p->threads < p->max && !worker_start(p) && !p->threads) {
        pthread_mutex_unlock(&lock); /* the host gives us no thread: block rather than fail */
        return fn(arg);
    }
    list_add(&p->todo, &w);
    p->under_way++;
    pthread_cond_signal(&p->work_came);
    pthread_mutex_unlock(&lock);
    co_yield();
    return w.result;
}

bool worker_reap(Loop *loop, bool wait)
{
    pthread_mutex_lock(&lock);
    Pool *p = pool_find(loop);
    bool any = p && p->under_way;
    while (any && wait && !p->done.first) {
        pthread_cond_wait(&work_ended, &lock);
    }
    for (Work *w; any && (w = list_pop(&p->done));) {
        p->under_way--;
        pthread_mutex_unlock(&lock);
        co_enter(w->co);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return any;
}
