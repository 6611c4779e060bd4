/* Trace events: which there are, which are on, and the lines that they write. */
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"

typedef struct Pattern {
    char *text;
    GPatternSpec *glob;
    bool on;
} Pattern;

uint32_t trace_generation;
static GMutex mutex;     /* guards patterns */
static GArray *patterns; /* the last that matches decides */
static const TraceSource *sources[4];
static FILE *file; /* NULL: the log's */
static TraceFormat form;

/* The linker's bounds of the section; a program without a call site has none. */
extern TraceEvent *const __start_trace_sites[] __attribute__((weak));
extern TraceEvent *const __stop_trace_sites[] __attribute__((weak));

/* ---- Selection ---- */

bool trace_member_selected(const char *group, const char *name)
{
    bool on = false;
    g_mutex_lock(&mutex);
    for (unsigned i = 0; patterns && i < patterns->len; i++) {
        Pattern *p = &g_array_index(patterns, Pattern, i);
        if (g_pattern_spec_match_string(p->glob, name) || (group && g_pattern_spec_match_string(p->glob, group))) {
            on = p->on;
        }
    }
    g_mutex_unlock(&mutex);
    return on;
}

bool trace_name_selected(const char *name)
{
    return trace_member_selected(NULL, name);
}

bool trace_selected(TraceEvent *event)
{
    if (event->generation != trace_generation) {
        event->on = trace_name_selected(event->name);
        event->generation = trace_generation;
    }
    return event->on;
}

/* A pattern that comes again counts from its new place only, so that the list stays as short as what was typed. */
static void forget(const char *text)
{
    for (unsigned i = 0; i < patterns->len; i++) {
        Pattern *p = &g_array_index(patterns, Pattern, i);
        if (!strcmp(p->text, text)) {
            g_free(p->text);
            g_pattern_spec_free(p->glob);
            g_array_remove_index(patterns, i);
            return;
        }
    }
}

bool trace_enable(const char *pattern, bool on, GError **error)
{
    if (*pattern == '-') {
        on = false;
        pattern++;
    }
    if (!*pattern) {
        return error_fail(error, "-trace: an event name or pattern is missing, such as uart*");
    }
    g_mutex_lock(&mutex);
    if (!patterns) {
        patterns = g_array_new(FALSE, FALSE, sizeof(Pattern));
    }
    forget(pattern);
    Pattern p = {g_strdup(pattern), g_pattern_spec_new(pattern), on};
    g_array_append_val(patterns, p);
    trace_generation++;
    log_mask |= LOG_TRACE;
    g_mutex_unlock(&mutex);
    for (unsigned i = 0; i < G_N_ELEMENTS(sources) && sources[i]; i++) {
        sources[i]->changed();
    }
    return true;
}

bool trace_enable_file(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) local = NULL;
    if (!g_file_get_contents(path, &text, NULL, &local)) {
        return error_fail(error, "-trace: %s", local->message);
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **l = lines; *l; l++) {
        g_strstrip(*l);
        if (**l && **l != '#' && !trace_enable(*l, true, error)) {
            return false;
        }
    }
    return true;
}

void trace_add_source(const TraceSource *source)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(sources); i++) {
        if (!sources[i] || sources[i] == source) {
            sources[i] = source;
            return;
        }
    }
    g_assert_not_reached();
}

/* ---- Listing ---- */

typedef struct Known {
    char *name;
    bool on;
} Known;

static void add_known(void *arg, const char *group, const char *name)
{
    Known k = {g_strdup(name), trace_generation && trace_member_selected(group, name)};
    g_array_append_val((GArray *)arg, k);
}

static int compare_known(gconstpointer a, gconstpointer b)
{
    return strcmp(((const Known *)a)->name, ((const Known *)b)->name);
}

unsigned trace_foreach(const char *wanted, TraceFn *fn, void *arg)
{
    GArray *known = g_array_new(FALSE, FALSE, sizeof(Known));
    g_autoptr(GPatternSpec) glob = g_pattern_spec_new(wanted ? wanted : "*");
    const char *last = "";
    unsigned n = 0;
    for (TraceEvent *const *e = __start_trace_sites; e < __stop_trace_sites; e++) {
        add_known(known, NULL, (*e)->name);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(sources) && sources[i]; i++) {
        sources[i]->each(add_known, known);
    }
    g_array_sort(known, compare_known);
    for (unsigned i = 0; i < known->len; i++) {
        const Known *k = &g_array_index(known, Known, i);
        if (strcmp(k->name, last) != 0 && g_pattern_spec_match_string(glob, k->name)) { /* an event may have several sites */
            fn(arg, k->name, k->on);
            n++;
        }
        last = k->name;
    }
    for (unsigned i = 0; i < known->len; i++) {
        g_free(g_array_index(known, Known, i).name);
    }
    g_array_free(known, TRUE);
    return n;
}

/* ---- Lines ---- */

bool trace_set_file(const char *path, GError **error)
{
    FILE *f = log_open("-trace", path, error);
    if (f && file) {
        fclose(file);
    }
    file = f ? f : file;
    return f != NULL;
}

void trace_set_format(TraceFormat format)
{
    form = format;
}

/* "comm  tid [cpu] seconds.microseconds: group:event: text" */
static char *perf_line(const char *name, const char *text)
{
    char comm[17] = "?";
    struct timespec t;
    unsigned cpu = 0;
    pthread_getname_np(pthread_self(), comm, sizeof(comm));
    g_strdelimit(comm, " ", '-'); /* its readers split at spaces */
    syscall(SYS_getcpu, &cpu, NULL, NULL);
    clock_gettime(CLOCK_MONOTONIC, &t);
    return g_strdup_printf("%16s %7d [%03u] %5lld.%06ld: ostler:%s: %s", comm, (int)syscall(SYS_gettid), cpu,
                           (long long)t.tv_sec, t.tv_nsec / 1000, name, text);
}

void trace_printf(const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args), *line = NULL;
    va_end(args);
    if (form == TRACE_PERF) {
        line = perf_line(name, text);
    } else if (report_timestamped()) {
        int64_t us = g_get_real_time();
        line = g_strdup_printf("%d@%" G_GINT64_FORMAT ".%06d:%s %s", (int)syscall(SYS_gettid), us / G_USEC_PER_SEC,
                               (int)(us % G_USEC_PER_SEC), name, text);
    } else {
        int64_t t = clock_now(CLOCK_VIRTUAL);
        line = g_strdup_printf("%" G_GINT64_FORMAT ".%06d %s %s", t / NS_PER_SECOND,
                               (int)(t % NS_PER_SECOND / 1000), name, text);
    }
    log_write(file, line);
}
