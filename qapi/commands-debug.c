/* Commands for those who look for a guest's fault. */
#include "core/error.h"
#include "cpu/blackbox/print.h"
#include "cpu/blackbox/report.h"
#include "qapi/hmp.h"
#include "qapi/schema/qapi-commands.h"

_Static_assert((int)Q_BLACKBOX_EVENT_KIND_EXCEPTION == BOX_EXCEPTION - 1 && (int)Q_BLACKBOX_EVENT_KIND_MODE == BOX_MODE - 1 &&
                   (int)Q_BLACKBOX_EVENT_KIND_SHUTDOWN == BOX_SHUTDOWN - 1 && (int)Q_BLACKBOX_EVENT_KIND__MAX == BOX_KINDS - 1 &&
                   (int)Q_BLACKBOX_MODE_REAL == CPU_REAL && (int)Q_BLACKBOX_MODE_LONG == CPU_LONG,
               "the schema follows BoxKind and CpuMode");

static void event_info(const BlackBox *b, const BoxEvent *e, QBlackboxEvent *q)
{
    GString *text = g_string_new(NULL);
    box_event_text(e, text);
    q->text = g_string_free(text, FALSE);
    q->kind = (QBlackboxEventKind)(e->kind - 1);
    q->number = e->what;
    q->value = e->kind == BOX_INTERRUPT ? 0 : e->value;
    q->old = e->old;
    q->has_size = e->kind == BOX_IN || e->kind == BOX_OUT;
    q->size = e->size;
    q->has_error = e->kind == BOX_EXCEPTION && e->size;
    q->error = e->error;
    q->has_cs = q->has_rip = q->has_cpl = q->has_mode = e->mode != BOX_UNKNOWN;
    q->cs = e->cs;
    q->rip = e->kind == BOX_INTERRUPT ? e->value : e->rip;
    q->cpl = e->cpl;
    q->mode = (QBlackboxMode)(q->has_mode ? e->mode : 0);
    q->count = e->count;
    q->first = box_time_ns(b, e->first);
    q->last = box_time_ns(b, e->last);
}

typedef struct Query {
    QBlackboxCpu *info;
    size_t limit;
} Query;

/* On the CPU's thread, so that the explanation is of one state. */
static void cpu_info(Cpu *c, void *arg)
{
    const Query *q = arg;
    g_autoptr(GArray) events = box_read(c->box);
    cpu_sync(c);
    for (guint n = events->len > q->limit ? events->len - (guint)q->limit : 0; n < events->len; n++) {
        event_info(c->box, &g_array_index(events, BoxEvent, n), QLIST_ADD(&q->info->events));
    }
    if (c->box->faults) {
        GString *why = g_string_new(NULL);
        box_print_chain(c, why);
        q->info->last_exception = g_string_free(why, FALSE);
    }
}

bool qmp_x_query_blackbox(const XQueryBlackboxArgs *args, QBlackboxInfo *ret, GError **error)
{
    if (args->has_cpu_index && !hmp_cpu_valid(args->cpu_index)) {
        return error_fail(error, "Parameter 'cpu-index' expects a CPU number");
    }
    if (args->has_limit && args->limit < 0) {
        return error_fail(error, "Parameter 'limit' expects a number of events");
    }
    for (unsigned i = 0; i < cpu_count(); i++) {
        Cpu *c = cpu_at(i);
        if (c->box && (!args->has_cpu_index || args->cpu_index == (int64_t)c->index)) {
            Query q = {.info = QLIST_ADD(&ret->cpus), .limit = args->has_limit ? (size_t)args->limit : SIZE_MAX};
            q.info->cpu_index = c->index;
            cpu_run_on(c, cpu_info, &q);
            ret->instructions |= c->box->instructions != NULL;
        }
        ret->enabled |= c->box != NULL;
    }
    ret->report = box_last_report();
    return true;
}
