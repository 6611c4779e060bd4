#include "block/worker.h"

#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "core/coroutine.h"

enum { IDLE_EXIT = 10 }; /* seconds */

typedef struct Work Work;
struct Work { /* on the coroutine's stack */
    int (*fn)(void *arg);
    void *arg;
    int result;
    Coroutine *co;
    Work *next;
};
typedef struct WorkList {
    Work *first, *last;
    unsigned count;
} WorkList;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all of the following */
static pthread_cond_t work_came, work_ended = PTHREAD_COND_INITIALIZER;
static WorkList todo, done;
static unsigned threads, idle, under_way;

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

static void reap_posted(void *arg)
{
    (void)arg;
    worker_reap(false);
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
        bool first = !done.first;
        list_add(&done, w);
        pthread_cond_broadcast(&work_ended);
        if (first) {
            loop_post(loop_main(), reap_posted, NULL);
        }
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
    if (idle <= todo.count && threads < WORKERS_MAX) {
        if (worker_start()) {
            threads++;
        } else if (!threads) { /* the host gives us no thread: block rather than fail */
            pthread_mutex_unlock(&lock);
            return fn(arg);
        }
    }
    list_add(&todo, &w);
    under_way++;
    pthread_cond_signal(&work_came);
    pthread_mutex_unlock(&lock);
    co_yield();
    return w.result;
}

bool worker_reap(bool wait)
{
    pthread_mutex_lock(&lock);
    bool any = under_way;
    while (wait && under_way && !done.first) {
        pthread_cond_wait(&work_ended, &lock);
    }
    for (Work *w; (w = list_pop(&done));) {
        under_way--;
        pthread_mutex_unlock(&lock);
        co_enter(w->co);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return any;
}
