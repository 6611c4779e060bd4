/* Stacks come from a pool of mappings with a guard page below.  Switching saves what the ABI calls
 * callee-saved, in a few instructions; hosts for which nobody wrote these use swapcontext, which
 * costs a system call each time.
 *
 * A coroutine may yield on one thread and be entered on another (both hold the loop's lock), so
 * thread-local variables are reached through functions that the compiler cannot merge across a
 * switch. */
#include "core/coroutine.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif
#if !defined(__x86_64__) && !defined(__aarch64__)
#define USE_UCONTEXT
#include <ucontext.h>
#endif

typedef struct Context {
#ifdef USE_UCONTEXT
    ucontext_t uc;
#else
    void *sp;
#endif
#if defined(__SANITIZE_ADDRESS__)
    void *fake_stack;
    const void *bottom; /* of the stack it runs on, for a switch back to a thread */
    size_t size;
#endif
#if defined(__SANITIZE_THREAD__)
    void *fiber;
#endif
} Context;

struct Coroutine { /* lies at the top of its own stack */
    CoFn *fn;
    void *arg;
    Loop *loop;
    Coroutine *caller; /* who entered it; NULL: plain code */
    Context *back;     /* where co_yield goes to; NULL while suspended */
    Coroutine *next;   /* in a thread's ready list, or in the pool */
    Context context;
    char *stack; /* lowest usable address */
    bool done;
};

/* ---- Stacks ---- */

enum { POOL_MAX = 64 };
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static Coroutine *pool;
static unsigned pool_count;

static Coroutine *stack_get(void)
{
    pthread_mutex_lock(&pool_lock);
    Coroutine *co = pool;
    if (co) {
        pool = co->next;
        pool_count--;
    }
    pthread_mutex_unlock(&pool_lock);
    if (!co) {
        size_t guard = (size_t)sysconf(_SC_PAGESIZE);
        char *map = mmap(NULL, guard + CO_STACK_SIZE, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (map == MAP_FAILED || mprotect(map + guard, CO_STACK_SIZE, PROT_READ | PROT_WRITE)) {
            g_error("no memory for a coroutine's stack");
        }
        char *stack = map + guard;
        co = (Coroutine *)(stack + CO_STACK_SIZE - ((sizeof(Coroutine) + 63) & ~(size_t)63));
        co->stack = stack;
    }
    return co;
}

static void stack_put(Coroutine *co)
{
    bool kept = false;
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(co->stack, (size_t)((char *)co - co->stack));
#endif
    pthread_mutex_lock(&pool_lock);
    if (pool_count < POOL_MAX) {
        co->next = pool;
        pool = co;
        pool_count++;
        kept = true;
    }
    pthread_mutex_unlock(&pool_lock);
    if (!kept) {
        size_t guard = (size_t)sysconf(_SC_PAGESIZE);
        munmap(co->stack - guard, guard + CO_STACK_SIZE);
    }
}

/* ---- Switching ---- */

#if defined(__x86_64__)
/* System V ABI: rbx, rbp, r12-r15, MXCSR and the x87 control word survive a call. */
void co_switch_stack(void **save, void *to);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl co_switch_stack\n"
        ".hidden co_switch_stack\n"
        ".type co_switch_stack, @function\n"
        "co_switch_stack:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size co_switch_stack, . - co_switch_stack\n");
static void *first_frame(char *top, void (*entry)(void))
{
    uint64_t *sp = (uint64_t *)((uintptr_t)top & ~(uintptr_t)15);
    *--sp = 0; /* entry's alignment as after a call, and an end for backtraces */
    *--sp = (uint64_t)(uintptr_t)entry;
    for (int i = 0; i < 6; i++) {
        *--sp = 0;
    }
    *--sp = 0x037f00001f80; /* control words: everything masked, round to nearest */
    return sp;
}
#elif defined(__aarch64__)
/* AAPCS64: x19-x30, d8-d15 and FPCR survive a call. */
void co_switch_stack(void **save, void *to);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl co_switch_stack\n"
        ".hidden co_switch_stack\n"
        ".type co_switch_stack, %function\n"
        "co_switch_stack:\n"
        "    sub sp, sp, #176\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mrs x9, fpcr\n"
        "    str x9, [sp, #160]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldr x9, [sp, #160]\n"
        "    msr fpcr, x9\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #176\n"
        "    ret\n"
        ".size co_switch_stack, . - co_switch_stack\n");
static void *first_frame(char *top, void (*entry)(void))
{
    uint64_t *sp = (uint64_t *)((uintptr_t)top & ~(uintptr_t)15) - 22;
    for (int i = 0; i < 22; i++) {
        sp[i] = 0;
    }
    sp[11] = (uint64_t)(uintptr_t)entry; /* x30 */
    return sp;
}
#endif

static __thread Coroutine *current_co;
static __thread Coroutine *ready_first, *ready_last;

static __attribute__((noinline)) Coroutine **current_slot(void)
{
    __asm__ volatile("");
    return &current_co;
}

/* `from` stops here, `to` goes on; `ends`: from will never run again. */
static void context_switch(Context *from, Context *to, bool ends)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->bottom, to->size);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
#ifdef USE_UCONTEXT
    (void)ends;
    swapcontext(&from->uc, &to->uc);
#else
    (void)ends;
    co_switch_stack(&from->sp, to->sp);
#endif
}

/* First thing on the coroutine's side of a switch: the stack that we come from, a thread's or a
 * coroutine's, is noted for the way back. */
static void came_back(Coroutine *co)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(co->context.fake_stack, &co->back->bottom, &co->back->size);
#else
    (void)co;
#endif
}

static __attribute__((noinline, noreturn)) void co_entry(void)
{
    Coroutine *co = *current_slot();
    came_back(co);
    co->fn(co->arg);
    co->done = true;
    context_switch(&co->context, co->back, true);
    __builtin_unreachable();
}

Coroutine *co_self(void)
{
    return *current_slot();
}

Loop *co_loop(void)
{
    return co_self()->loop;
}

Coroutine *co_new(CoFn *fn, void *arg)
{
    Loop *loop = loop_current();
    return co_new_on(loop ? loop : loop_main(), fn, arg);
}

Coroutine *co_new_on(Loop *loop, CoFn *fn, void *arg)
{
    Coroutine *co = stack_get();
    co->fn = fn;
    co->arg = arg;
    co->loop = loop;
    co->caller = NULL;
    co->back = NULL;
    co->next = NULL;
    co->done = false;
    size_t size = (size_t)((char *)co - co->stack);
#ifdef USE_UCONTEXT
    getcontext(&co->context.uc);
    co->context.uc.uc_link = NULL;
    co->context.uc.uc_stack.ss_sp = co->stack;
    co->context.uc.uc_stack.ss_size = size;
    makecontext(&co->context.uc, (void (*)(void))co_entry, 0);
#else
    co->context.sp = first_frame(co->stack + size, (void (*)(void))co_entry);
#endif
#if defined(__SANITIZE_ADDRESS__)
    co->context.fake_stack = NULL;
    co->context.bottom = co->stack;
    co->context.size = size;
#endif
#if defined(__SANITIZE_THREAD__)
    co->context.fiber = __tsan_create_fiber(0);
#endif
    return co;
}

static void enter_one(Coroutine *co)
{
    assert(!co->back); /* it is running already */
    Coroutine *caller = *current_slot();
    Context plain = {0};
#if defined(__SANITIZE_THREAD__)
    plain.fiber = __tsan_get_current_fiber();
#endif
    co->caller = caller;
    co->back = caller ? &caller->context : &plain;
    *current_slot() = co;
    context_switch(co->back, &co->context, false);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(co->back->fake_stack, NULL, NULL);
#endif
    *current_slot() = caller;
    co->back = NULL;
    if (co->done) {
#if defined(__SANITIZE_THREAD__)
        __tsan_destroy_fiber(co->context.fiber);
#endif
        stack_put(co);
    }
}

static __attribute__((noinline)) Coroutine *ready_pop(void)
{
    __asm__ volatile("");
    Coroutine *co = ready_first;
    if (co) {
        ready_first = co->next;
        co->next = NULL;
    }
    return co;
}

static __attribute__((noinline)) void ready_push(Coroutine *co)
{
    __asm__ volatile("");
    co->next = NULL;
    if (ready_first) {
        ready_last->next = co;
    } else {
        ready_first = co;
    }
    ready_last = co;
}

void co_enter(Coroutine *co)
{
    bool outermost = !*current_slot();
    enter_one(co);
    if (outermost) {
        while ((co = ready_pop())) {
            enter_one(co);
        }
    }
}

void co_yield (void)
{
    Coroutine *co = *current_slot();
    assert(co && co->back);
    context_switch(&co->context, co->back, false);
    came_back(co);
}

static void wake_posted(void *arg)
{
    co_enter(arg);
}

void co_wake(Coroutine *co)
{
    loop_post(co->loop, wake_posted, co);
}

void co_wake_next(Coroutine *co)
{
    if (*current_slot()) {
        ready_push(co);
    } else {
        co_enter(co);
    }
}

typedef struct Sleeper { /* on the sleeping coroutine's stack */
    Timer timer;
    Coroutine *co;
    struct Sleeper *next, **link;
} Sleeper;

static Sleeper *sleepers; /* main lock */

static void sleep_over(void *arg)
{
    Sleeper *s = arg;
    *s->link = s->next;
    if (s->next) {
        s->next->link = s->link;
    }
    co_enter(s->co);
}

void co_sleep(ClockType clock, int64_t ns)
{
    assert(co_self()->loop == loop_main());
    Sleeper s = {.co = co_self(), .next = sleepers, .link = &sleepers};
    if (s.next) {
        s.next->link = &s.next;
    }
    sleepers = &s;
    timer_init(&s.timer, clock, sleep_over, &s);
    timer_at(&s.timer, clock_now(clock) + ns);
    co_yield ();
}

int64_t co_sleepers_run(void)
{
    int64_t now = clock_now(CLOCK_RT), first = -1;
    for (Sleeper *s = sleepers; s; s = s->next) {
        if (s->timer.clock != CLOCK_RT) {
            continue;
        }
        if (s->timer.at <= now) {
            timer_off(&s->timer);
            sleep_over(s);
            return 0;
        }
        first = first < 0 ? s->timer.at - now : MIN(first, s->timer.at - now);
    }
    return first;
}

/* ---- Queues and locks ---- */

struct CoWaiter { /* on the waiting coroutine's stack */
    Coroutine *co;
    CoWaiter *next;
};

static void queue_wait(CoQueue *q)
{
    CoWaiter self = {.co = co_self()};
    if (q->first) {
        q->last->next = &self;
    } else {
        q->first = &self;
    }
    q->last = &self;
    co_yield ();
}

static Coroutine *queue_pop(CoQueue *q)
{
    CoWaiter *w = q->first;
    if (!w) {
        return NULL;
    }
    q->first = w->next;
    return w->co;
}

void co_mutex_lock(CoMutex *m)
{
    Coroutine *self = co_self();
    assert(self && m->owner != self);
    if (m->owner) {
        queue_wait(&m->waiting); /* whoever unlocked made us the owner */
        assert(m->owner == self);
    } else {
        m->owner = self;
    }
}

void co_mutex_unlock(CoMutex *m)
{
    assert(m->owner && m->owner == co_self());
    m->owner = queue_pop(&m->waiting);
    if (m->owner) {
        co_wake_next(m->owner);
    }
}

void co_queue_wait(CoQueue *q, CoMutex *m)
{
    if (m) {
        co_mutex_unlock(m);
    }
    queue_wait(q);
    if (m) {
        co_mutex_lock(m);
    }
}

bool co_queue_wake(CoQueue *q)
{
    Coroutine *co = queue_pop(q);
    if (co) {
        co_wake_next(co);
    }
    return co;
}

void co_queue_wake_all(CoQueue *q)
{
    CoQueue all = *q; /* those who come back to wait stay */
    *q = (CoQueue){0};
    while (co_queue_wake(&all)) {
    }
}
