/* The vCPU threads: one body for every accelerator.
 *
 * A thread runs its CPU until someone kicks it.  A kick sets c->kicked first; whoever sleeps or is
 * about to enter the guest looks at that flag last, so no kick is lost.  The thread then serves, in
 * this order: the end of the program, work from cpu_run_on, the wish to stop, reset and start-up
 * events.  NMI, SMI and interrupts are the accelerator's.
 *
 * Whoever waits for a vCPU thread gives up the main lock meanwhile, because the vCPU may be waiting
 * for it in turn. */
#include <assert.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "accel/accel.h"
#include "accel/debug.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "cpu/blackbox/report.h"
#include "hw/platform.h"

typedef struct Work {
    void (*fn)(Cpu *c, void *arg);
    void *arg;
    bool done;
} Work;

/* Guards ready, quit, stopped, work and both conditions; held for moments only, and never while
 * taking the main lock. */
static GMutex run_mutex;
static GCond run_changed;  /* a CPU is ready, has stopped, or has done a work */
static GError *init_error; /* why the CPU that was started last could not be made */

unsigned run_unlock_main(void)
{
    unsigned depth = 0;
    for (; loop_locked(); depth++) {
        loop_unlock();
    }
    return depth;
}

void run_lock_main(unsigned depth)
{
    while (depth--) {
        loop_lock();
    }
}

/* ---- Kicks ---- */

static void run_kick(Cpu *c)
{
    if (atomic_exchange(&c->kicked, true) || c == cpu_current()) {
        return; /* it has not looked yet; or it will, before it enters the guest */
    }
    if (atomic_load(&c->asleep)) {
        g_mutex_lock(&run_mutex);
        g_cond_signal(&c->wake);
        g_mutex_unlock(&run_mutex);
    } else if (c->thread && accel->interrupt) {
        accel->interrupt(c);
    }
}

/* A sleeping thread must hold no pointer into an old memory map, and costs nothing. */
static void run_sleep(Cpu *c)
{
    mem_reader_unregister();
    g_mutex_lock(&run_mutex);
    atomic_store(&c->asleep, true);
    while (!atomic_load(&c->kicked)) {
        g_cond_wait(&c->wake, &run_mutex);
    }
    atomic_store(&c->asleep, false);
    g_mutex_unlock(&run_mutex);
    mem_reader_register();
}

/* ---- What others ask of a CPU ---- */

static void run_work(Cpu *c)
{
    g_mutex_lock(&run_mutex);
    Work *w;
    while ((w = g_queue_pop_head(c->work))) {
        g_mutex_unlock(&run_mutex);
        loop_lock();
        w->fn(c, w->arg);
        loop_unlock();
        g_mutex_lock(&run_mutex);
        w->done = true;
        g_cond_broadcast(&run_changed);
    }
    g_mutex_unlock(&run_mutex);
}

static void run_on(Cpu *c, void (*fn)(Cpu *c, void *arg), void *arg)
{
    if (!c->thread || c == cpu_current()) {
        fn(c, arg);
        return;
    }
    Work w = {fn, arg, false};
    g_mutex_lock(&run_mutex);
    g_queue_push_tail(c->work, &w);
    g_mutex_unlock(&run_mutex);
    run_kick(c);
    unsigned depth = run_unlock_main();
    g_mutex_lock(&run_mutex);
    while (!w.done) {
        g_cond_wait(&run_changed, &run_mutex);
    }
    g_mutex_unlock(&run_mutex);
    run_lock_main(depth);
}

static void fetch_now(Cpu *c, void *arg)
{
    if (!c->state_valid && accel->fetch) {
        accel->fetch(c);
        c->state_valid = true;
    }
}

static void run_sync(Cpu *c)
{
    if (c->state_valid) {
        return;
    }
    g_mutex_lock(&run_mutex);
    bool stopped = c->stopped;
    g_mutex_unlock(&run_mutex);
    if (stopped) {
        fetch_now(c, NULL); /* nobody can continue it while we hold the main lock */
    } else {
        run_on(c, fetch_now, NULL);
    }
}

/* Breakpoints have come or gone. */
static void run_points(Cpu *c)
{
    if (atomic_exchange(&c->points_stale, false) && accel->guest_debug) {
        loop_lock();
        accel->guest_debug(c, NULL);
        loop_unlock();
    }
}

/* Stop as asked, until continued; false when there was nothing to stop for. */
static bool run_stop(Cpu *c)
{
    if (!atomic_load(&c->stop_request)) {
        return false;
    }
    g_mutex_lock(&run_mutex);
    bool stop = atomic_load(&c->stop_request); /* continue_all clears both under the lock */
    if (stop && !c->stopped) {
        c->stopped = true;
        g_cond_broadcast(&run_changed);
    }
    g_mutex_unlock(&run_mutex);
    if (stop) {
        run_sleep(c);
    }
    return stop;
}

/* INIT and SIPI (SDM vol 3 §9.4.4): the first processor goes on from its reset vector, others wait
 * for SIPI. */
static void run_start_up(Cpu *c)
{
    unsigned events = atomic_load(&c->events) & (CPU_EVENT_RESET | CPU_EVENT_INIT | CPU_EVENT_SIPI);
    if (!events) {
        return;
    }
    loop_lock();
    if (events & (CPU_EVENT_RESET | CPU_EVENT_INIT)) {
        cpu_sync(c);
        if (events & CPU_EVENT_RESET) {
            cpu_reset(c);
        } else {
            cpu_init_signal(c);
        }
        cpu_lower(c, events & (CPU_EVENT_RESET | CPU_EVENT_INIT));
    }
    if (events & CPU_EVENT_SIPI) {
        cpu_lower(c, CPU_EVENT_SIPI);
        cpu_sync(c);
        cpu_start_at(c, c->sipi_vector);
    }
    loop_unlock();
}

/* ---- The thread ---- */

static bool run_may_run(Cpu *c)
{
    /* A kernel that has the local APIC also has the wait for SIPI. */
    return accel->run && (!c->wait_sipi || platform.irqchip != IRQCHIP_OFF);
}

/* Until the machine is continued, whoever else has stopped it meanwhile. */
static void run_stay(Cpu *c)
{
    atomic_store(&c->stays, true);
    atomic_store(&c->stop_request, true);
}

/* For an event that lets it run.  A debugger that steps such a CPU is not kept waiting. */
static void run_wait(Cpu *c)
{
    loop_lock();
    bool stepped = debug_stepping(c) && debug_idle(c);
    loop_unlock();
    if (stepped) {
        run_stay(c);
    } else {
        run_sleep(c);
    }
}

static gpointer run_thread(gpointer data)
{
    Cpu *c = data;
    GError *error = NULL;
    cpu_set_current(c);
    mem_reader_register();
    c->thread_id = (int)syscall(SYS_gettid);
    loop_lock();
    bool ok = !accel->cpu_init || accel->cpu_init(c, &error);
    loop_unlock();
    g_mutex_lock(&run_mutex);
    c->ready = true;
    init_error = error;
    g_cond_broadcast(&run_changed);
    g_mutex_unlock(&run_mutex);

    while (ok) {
        atomic_store(&c->kicked, false);
        g_mutex_lock(&run_mutex);
        bool quit = c->quit;
        g_mutex_unlock(&run_mutex);
        if (quit) {
            break;
        }
        run_work(c);
        run_points(c);
        if (run_stop(c)) {
            continue;
        }
        run_start_up(c);
        if (!run_may_run(c)) {
            run_wait(c);
            continue;
        }
        switch (accel->run(c)) {
        case RUN_AGAIN: break;
        case RUN_HALTED: run_sleep(c); break;
        case RUN_STOPPED: run_stay(c); break;
        }
        mem_quiescent();
    }
    if (ok && accel->cpu_free) {
        accel->cpu_free(c);
    }
    mem_reader_unregister();
    return NULL;
}

bool accel_start_cpu(Cpu *c, GError **error)
{
    assert(accel && !c->thread);
    g_autofree char *name = g_strdup_printf("CPU %u/%s", c->index, accel->thread_suffix);
    g_cond_init(&c->wake);
    if (!c->work) {
        c->work = g_queue_new();
    }
    cpu_reset(c);
    c->state_valid = c->state_dirty = true;
    atomic_store(&c->stop_request, true);
    atomic_store(&c->points_stale, debug_wanted());
    c->thread = g_thread_try_new(name, run_thread, c, error);
    if (!c->thread) {
        g_prefix_error(error, "cannot start a thread for CPU %u: ", c->index);
        return false;
    }
    unsigned depth = run_unlock_main();
    g_mutex_lock(&run_mutex);
    while (!c->ready) {
        g_cond_wait(&run_changed, &run_mutex);
    }
    GError *failure = g_steal_pointer(&init_error);
    g_mutex_unlock(&run_mutex);
    if (failure) {
        g_thread_join(g_steal_pointer(&c->thread));
        g_propagate_error(error, failure);
    }
    run_lock_main(depth);
    return !failure;
}

RunResult run_triple_fault(Cpu *c)
{
    loop_lock();
    cpu_sync(c);
    loop_unlock();
    box_report_shutdown(c);
    machine_request_reset(CAUSE_GUEST_RESET);
    return RUN_STOPPED;
}

/* ---- All of them ---- */

static void stop_all(void)
{
    assert(!cpu_current());
    for (unsigned i = 0; i < cpu_count(); i++) {
        atomic_store(&cpu_at(i)->stop_request, true);
        run_kick(cpu_at(i));
    }
    unsigned depth = run_unlock_main();
    g_mutex_lock(&run_mutex);
    for (unsigned i = 0; i < cpu_count(); i++) {
        while (cpu_at(i)->thread && !cpu_at(i)->stopped) {
            g_cond_wait(&run_changed, &run_mutex);
        }
    }
    g_mutex_unlock(&run_mutex);
    run_lock_main(depth);
}

void accel_continue_cpu(Cpu *c)
{
    g_mutex_lock(&run_mutex);
    c->stopped = false;
    atomic_store(&c->stays, false);
    atomic_store(&c->stop_request, false);
    g_mutex_unlock(&run_mutex);
    run_kick(c);
}

/* Those that are held stay as stop_all has left them. */
static void continue_all(void)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        if (!atomic_load(&cpu_at(i)->held)) {
            accel_continue_cpu(cpu_at(i));
        }
    }
}

static void on_changed(void *arg, bool running, RunState state)
{
    debug_machine(running, state == RUN_DEBUG);
    if (running) {
        if (accel->stopped) {
            accel->stopped(false);
        }
        continue_all();
    } else {
        stop_all();
        if (accel->stopped) {
            accel->stopped(true);
        }
    }
}

/* Whoever asks for the end of what the CPU does now waits for it, as behind RUN_STOPPED. */
static void on_request(void)
{
    Cpu *c = cpu_current();
    if (c) {
        run_stay(c);
        run_kick(c);
    }
}

/* The run state has stopped us before, and continues us after the reset. */
static void on_reset(void *arg, ShutdownCause cause)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        cpu_reset(cpu_at(i));
    }
    if (accel->reset) {
        accel->reset();
    }
}

static void run_forget_memory(Cpu *c)
{
    if (accel->forget_memory) {
        accel->forget_memory(c);
    }
}

/* A CPU comes or goes: nobody may look at the list meanwhile. */
static void hold_cpus(bool hold)
{
    if (hold) {
        stop_all();
        return;
    }
    for (unsigned i = 0; runstate_running() && i < cpu_count(); i++) {
        Cpu *c = cpu_at(i);
        if (!atomic_load(&c->held) && !atomic_load(&c->stays)) {
            accel_continue_cpu(c);
        }
    }
}

static void stop_cpu(Cpu *c)
{
    debug_forget(c);
    g_mutex_lock(&run_mutex);
    c->quit = true;
    g_mutex_unlock(&run_mutex);
    run_kick(c);
    unsigned depth = run_unlock_main();
    g_thread_join(g_steal_pointer(&c->thread));
    run_lock_main(depth);
}

void run_init(void)
{
    cpu_ops = (CpuOps){.kick = run_kick, .sync = run_sync, .run_on = run_on, .forget_memory = run_forget_memory, .memory = debug_memory};
}

bool accel_start_cpus(GError **error)
{
    static const RunListener listener = {.changed = on_changed, .reset = on_reset};
    for (unsigned i = 0; i < cpu_count(); i++) {
        if (!accel_start_cpu(cpu_at(i), error)) {
            accel_stop_cpus();
            return false;
        }
    }
    if (accel->reset) {
        accel->reset();
    }
    runstate_listen(&listener);
    runstate_on_request(on_request);
    platform.hold_cpus = hold_cpus;
    platform.start_cpu = accel_start_cpu;
    platform.stop_cpu = stop_cpu;
    return true;
}

void accel_stop_cpus(void)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        Cpu *c = cpu_at(i);
        if (c->thread) {
            g_mutex_lock(&run_mutex);
            c->quit = true;
            g_mutex_unlock(&run_mutex);
            run_kick(c);
        }
    }
    unsigned depth = run_unlock_main();
    for (unsigned i = 0; i < cpu_count(); i++) {
        Cpu *c = cpu_at(i);
        if (c->thread) {
            g_thread_join(g_steal_pointer(&c->thread));
        }
    }
    run_lock_main(depth);
}
