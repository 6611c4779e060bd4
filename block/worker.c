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
typedef struct Reaper { /* what calls came to, for the loop that waits for them */
    Loop *loop;
    Bell *bell;
    WorkList done;
    unsigned under_way;
} Reaper;
struct Work { /* on the coroutine's stack */
    int (*fn)(void *arg);
    void *arg;
    int result;
    Coroutine *co;
    Reaper *reaper;
    Work *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all of the following */
static pthread_cond_t work_came, work_ended = PTHREAD_COND_INITIALIZER;
static WorkList todo;
static GPtrArray *reapers;
static unsigned threads, idle;

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
    worker_reap(((Reaper *)arg)->loop, false);
}

/* With the lock held. */
static Reaper *reaper_find(Loop *loop)
{
    for (unsigned i = 0; reapers && i < reapers->len; i++) {
        Reaper *r = g_ptr_array_index(reapers, i);
        if (r->loop == loop) {
            return r;
        }
    }
    return NULL;
}

static Reaper *reaper_for(Loop *loop)
{
    Reaper *r = reaper_find(loop);
    if (!r) {
        r = g_new0(Reaper, 1);
        r->loop = loop;
        r->bell = bell_new(loop, bell_rang, r);
        if (!reapers) {
            reapers = g_ptr_array_new();
        }
        g_ptr_array_add(reapers, r);
    }
    return r;
}

void worker_forget(Loop *loop)
{
    pthread_mutex_lock(&lock);
    Reaper *r = reaper_find(loop);
    if (r) {
        g_assert(!r->under_way);
        g_ptr_array_remove_fast(reapers, r);
        bell_free(r->bell);
        g_free(r);
    }
    pthread_mutex_unlock(&lock);
}

/* With the lock held; false: nothing came for a while. */
static bool work_wait(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_EXIT;
    idle++;
    while (!todo.first) {
        if (pthread_cond_timedwait(&work_came, &lock, &until) && !todo.first) {
            idle--;
            return false;
        }
    }
    idle--;
    return true;
}

static void *worker(void *arg)
{
    pthread_mutex_lock(&lock);
    while (work_wait()) {
        Work *w = list_pop(&todo);
        pthread_mutex_unlock(&lock);
        w->result = w->fn(w->arg);
        pthread_mutex_lock(&lock);
        list_add(&w->reaper->done, w);
        pthread_cond_broadcast(&work_ended);
        bell_ring(w->reaper->bell);
    }
    threads--;
    pthread_mutex_unlock(&lock);
    return arg;
}

static void use_monotonic_clock(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&work_came, &attr);
    pthread_condattr_destroy(&attr);
}

static bool worker_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, use_monotonic_clock);
    /* Signals are for the main thread. */
    sigset_t all, before;
    pthread_t id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = !pthread_create(&id, NULL, worker, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok) {
        pthread_detach(id);
    }
    return ok;
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
    w.reaper = reaper_for(co_loop());
    if (idle <= todo.count && threads < WORKERS_MAX) {
        if (worker_start()) {
            threads++;
        } else if (!threads) { /* the host gives us no thread: block rather than fail */
            pthread_mutex_unlock(&lock);
            return fn(arg);
        }
    }
    list_add(&todo, &w);
    w.reaper->under_way++;
    pthread_cond_signal(&work_came);
    pthread_mutex_unlock(&lock);
    co_yield();
    return w.result;
}

bool worker_reap(Loop *loop, bool wait)
{
    pthread_mutex_lock(&lock);
    Reaper *r = reaper_find(loop);
    bool any = r && r->under_way;
    while (any && wait && !r->done.first) {
        pthread_cond_wait(&work_ended, &lock);
    }
    for (Work *w; any && (w = list_pop(&r->done));) {
        r->under_way--;
        pthread_mutex_unlock(&lock);
        co_enter(w->co);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return any;
}
