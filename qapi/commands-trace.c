/* Trace events, in both monitors. */
#include <string.h>

#include "core/log.h"
#include "cpu/cpu.h"
#include "hw/device.h"
#include "qapi/dispatch.h"
#include "qapi/hmp-internal.h"
#include "qapi/schema/qapi-commands.h"

static bool is_pattern(const char *name)
{
    return strpbrk(name, "*?");
}

static void ignore(void *arg, const char *name, bool on)
{
}

/* Nobody means nothing: a name must be one, or a device's; a pattern may fit nothing. */
static bool known(const char *name, GError **error)
{
    g_autofree char *group = g_strconcat(name, ".*", NULL);
    return is_pattern(name) || trace_foreach(name, ignore, NULL) || trace_foreach(group, ignore, NULL) ||
           error_fail(error, "unknown event \"%s\"", name);
}

static bool check_vcpu(const char *name, bool has_vcpu, int64_t vcpu, GError **error)
{
    if (has_vcpu && !hmp_cpu_valid(vcpu)) {
        return error_fail(error, "invalid vCPU index %" G_GINT64_FORMAT, vcpu);
    }
    return !has_vcpu || is_pattern(name) || error_fail(error, "event \"%s\" is not vCPU-specific", name);
}

static void add_info(void *arg, const char *name, bool on)
{
    QTraceEventInfo *info = QLIST_ADD((QTraceEventInfoList *)arg);
    info->name = g_strdup(name);
    info->state = on ? Q_TRACE_EVENT_STATE_ENABLED : Q_TRACE_EVENT_STATE_DISABLED;
}

bool qmp_trace_event_get_state(const TraceEventGetStateArgs *a, QTraceEventInfoList *ret, GError **error)
{
    if (!known(a->name, error) || !check_vcpu(a->name, a->has_vcpu, a->vcpu, error)) {
        return false;
    }
    if (!a->has_vcpu) {                 /* of a CPU there are none */
        trace_foreach(a->name, add_info, ret);
    }
    return true;
}

bool qmp_trace_event_set_state(const TraceEventSetStateArgs *a, void *ret, GError **error)
{
    return known(a->name, error) && check_vcpu(a->name, a->has_vcpu, a->vcpu, error) &&
           (a->has_vcpu || trace_enable(a->name, a->enable, error));
}

/* ---- Human monitor ---- */

static void print_error(Hmp *h, GError *error)
{
    if (error) {
        hmp_print(h, "%s\n", error->message);
        g_error_free(error);
    }
}

void hmp_trace_event(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    const int64_t absent = INT64_MIN, vcpu = hmp_number(a, "vcpu", absent);
    TraceEventSetStateArgs t = {.name = (char *)hmp_text(a, "name"), .enable = hmp_flag(a, "option"),
                                .has_vcpu = vcpu != absent, .vcpu = vcpu};
    qmp_trace_event_set_state(&t, NULL, &error);
    print_error(h, error);
}

static void print_event(void *arg, const char *name, bool on)
{
    hmp_print(arg, "%s : state %d\n", name, on);
}

void hmp_info_trace_events(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    const char *name = hmp_text(a, "name");
    if (!name || known(name, &error)) {
        g_autofree char *group = g_strconcat(name ? name : "", ".*", NULL);
        if (!trace_foreach(name, print_event, h) && !is_pattern(name)) {
            trace_foreach(group, print_event, h);
        }
    }
    print_error(h, error);
}
