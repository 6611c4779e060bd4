/* A dump from its request to its end. */
#include "dump/dump.h"

#include <stdatomic.h>
#include <unistd.h>

#include "core/loop.h"
#include "core/runstate.h"
#include "cpu/cpu.h"
#include "dump/internal.h"

DumpHooks dump_hooks;

/* The one dump, and what is known of the last one. */
static struct {
    Dump *dump; /* NULL: none is under way */
    GThread *thread;
    GError *error;
    DumpStatus status;
    uint64_t total;
    atomic_uint_fast64_t completed;
} now;

void dump_advance(uint64_t bytes)
{
    atomic_fetch_add(&now.completed, bytes);
}

DumpProgress dump_progress(void)
{
    return (DumpProgress){now.status, MIN(atomic_load(&now.completed), now.total), now.total};
}

static void dump_free(Dump *d)
{
    if (d->ranges) {
        g_array_free(d->ranges, TRUE);
    }
    if (d->maps) {
        g_array_free(d->maps, TRUE);
    }
    if (d->notes) {
        g_byte_array_unref(d->notes);
    }
    dump_close(d->out);
    g_free(d);
}

/* ELF32 has room for all addresses and all offsets. */
static bool fits_32_bits(const Dump *d)
{
    const DumpRange *last = &g_array_index(d->ranges, DumpRange, d->ranges->len - 1);
    return last->at + (last->size - 1) <= UINT32_MAX && d->total <= UINT32_MAX - (128u << 20); /* the rest: headers */
}

static bool prepare(Dump *d, GError **error)
{
    d->cpus = cpu_count();
    for (unsigned i = 0; i < cpu_count(); i++) {
        cpu_sync(cpu_at(i));
    }
    d->long_mode = d->cpus && cpu_long_active(&cpu_at(0)->state);
    if (!dump_find_ranges(d, error) || !dump_find_maps(d, error)) {
        return false;
    }
    d->wide = d->long_mode || !fits_32_bits(d);
    dump_make_notes(d);
    return true;
}

static bool write_dump(Dump *d, GError **error)
{
    bool ok = d->request.format == DUMP_ELF ? dump_write_elf(d, error) : dump_write_kdump(d, error);
    ok = ok && dump_finish(d->out, error);
    if (ok && close(d->out->fd) < 0) { /* some file systems tell only now that they are full */
        ok = error_fail_errno(error, errno, "dump: cannot write");
        d->out->fd = -1;
    }
    if (ok) {
        d->out->fd = -1;
    }
    return ok;
}

static void resume(bool ran)
{
    runstate_hold(NULL);
    if (ran && runstate() == RUN_SAVE_VM) {
        machine_continue(NULL);
    }
}

/* Main thread: the dump is written, or failed. */
static void finish(void *arg)
{
    bool ran = GPOINTER_TO_INT(arg);
    if (now.thread) {
        g_thread_join(g_steal_pointer(&now.thread));
    }
    if (!now.dump) {
        return; /* abandoned */
    }
    dump_free(g_steal_pointer(&now.dump));
    now.status = now.error ? DUMP_FAILED : DUMP_COMPLETED;
    DumpProgress p = dump_progress();
    if (dump_hooks.completed) {
        dump_hooks.completed(&p, now.error ? now.error->message : NULL);
    }
    resume(ran);
}

typedef struct Job {
    Dump *dump;
    bool ran;
} Job;

static gpointer dump_thread(gpointer data)
{
    Job *job = data;
    write_dump(job->dump, &now.error);
    loop_post(loop_main(), finish, GINT_TO_POINTER(job->ran));
    g_free(job);
    return NULL;
}

static bool start_thread(Dump *d, bool ran, GError **error)
{
    Job *job = g_new(Job, 1);
    *job = (Job){d, ran};
    now.thread = g_thread_try_new("dump", dump_thread, job, error);
    if (!now.thread) {
        g_free(job);
    }
    return now.thread != NULL;
}

static bool begin(Dump *d, bool ran, GError **error)
{
    now.dump = d;
    now.total = d->total;
    now.status = DUMP_ACTIVE;
    atomic_store(&now.completed, 0);
    g_clear_error(&now.error);
    if (d->request.detach) {
        if (!start_thread(d, ran, &now.error)) {
            finish(GINT_TO_POINTER(ran));
            return error_fail(error, "dump: %s", now.error->message);
        }
        return true;
    }
    write_dump(d, &now.error);
    finish(GINT_TO_POINTER(ran));
    return !now.error || error_fail(error, "%s", now.error->message);
}

bool dump_start(const DumpRequest *request, GError **error)
{
    if (now.dump) {
        close(request->fd);
        return error_fail(error, "There is a dump in process, please wait.");
    }
    Dump *d = g_new0(Dump, 1);
    bool ran = runstate_running();
    d->request = *request;
    d->out = dump_open(request->fd, request->detach);
    machine_stop(RUN_SAVE_VM);
    runstate_hold("There is a dump in process, please wait.");
    if (!prepare(d, error)) {
        dump_free(d);
        resume(ran);
        return false;
    }
    return begin(d, ran, error);
}

void dump_abandon(void)
{
    if (now.thread) {
        dump_cancel(now.dump->out);
        g_thread_join(g_steal_pointer(&now.thread));
        dump_free(g_steal_pointer(&now.dump));
    }
    g_clear_error(&now.error);
}
