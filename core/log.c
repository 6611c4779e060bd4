#include "core/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"

uint32_t log_mask;
static FILE *log_stream; /* NULL: stderr */

static const struct {
    const char *name;
    LogItem item;
    const char *doc;
} items[] = {
    {"in_asm", LOG_IN_ASM, "guest instructions of each block that is decoded"},
    {"int", LOG_INT, "interrupts and exceptions as they are delivered"},
    {"exec", LOG_EXEC, "each block before it runs"},
    {"cpu", LOG_CPU, "CPU registers before each block"},
    {"cpu_reset", LOG_CPU_RESET, "CPU state before resets"},
    {"mmu", LOG_MMU, "page table walks that fail"},
    {"pcall", LOG_PCALL, "protected-mode far calls, returns and exceptions"},
    {"unimp", LOG_UNIMP, "guest uses of what is not built"},
    {"guest_errors", LOG_GUEST_ERRORS, "guest accesses that the hardware's documents forbid"},
    {"page", LOG_PAGE, "memory map at each change"},
    {"nochain", LOG_NOCHAIN, "do not chain blocks, so that exec shows each one"},
};

char *log_help(void)
{
    GString *out = g_string_new("Log items (comma separated):\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        g_string_append_printf(out, "%-15s %s\n", items[i].name, items[i].doc);
    }
    g_string_append(out,
                    "trace:PATTERN   trace events and device registers by name, as -trace does\n");
    return g_string_free(out, FALSE);
}

bool log_set_items(const char *list, bool *help, GError **error)
{
    g_auto(GStrv) words = g_strsplit(list, ",", -1);
    uint32_t mask = 0;
    for (char **w = words; *w; w++) {
        unsigned i;
        if (!strcmp(*w, "help") || !strcmp(*w, "?")) {
            *help = true;
            return true;
        }
        if (!strcmp(*w, "all")) {
            for (i = 0; i < G_N_ELEMENTS(items); i++) {
                mask |= items[i].item;
            }
            continue;
        }
        if (!strcmp(*w, "none")) {
            mask = 0;
            continue;
        }
        if (g_str_has_prefix(*w, "trace:")) {
            if (!trace_enable(*w + 6, true, error)) {
                return false;
            }
            continue;
        }
        for (i = 0; i < G_N_ELEMENTS(items) && strcmp(items[i].name, *w); i++) {
        }
        if (i == G_N_ELEMENTS(items)) {
            return error_fail(error, "-d: unknown log item '%s' (-d help lists them)", *w);
        }
        mask |= items[i].item;
    }
    log_mask = mask | (log_mask & LOG_TRACE);
    return true;
}

bool log_set_file(const char *path, GError **error)
{
    g_autofree char *name = NULL;
    const char *percent = strchr(path, '%');
    if (percent && (percent[1] != 'd' || strchr(percent + 1, '%'))) {
        return error_fail(error, "-D: bad file name '%s': one %%d may stand for the process id",
                          path);
    }
    if (percent) {
        name = g_strdup_printf("%.*s%d%s", (int)(percent - path), path, (int)getpid(), percent + 2);
    }
    FILE *f = fopen(name ? name : path, "we");
    if (!f) {
        return error_fail_errno(error, errno, "-D: cannot open log file '%s'", name ? name : path);
    }
    setvbuf(f, NULL, _IOLBF, 0);
    if (log_stream) {
        fclose(log_stream);
    }
    log_stream = f;
    return true;
}

static void write_line(const char *text)
{
    size_t len = strlen(text);
    FILE *f = log_stream ? log_stream : stderr;
    fprintf(f, "%s%s", text, len && text[len - 1] == '\n' ? "" : "\n");
}

void log_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    write_line(text);
}

/* ---- Guest errors: at most ERRORS_A_SECOND lines per name, then one that counts the rest ---- */

enum { ERRORS_A_SECOND = 5 };
typedef struct Limit {
    int64_t second;
    unsigned lines, dropped;
} Limit;

static GMutex mutex; /* guards limits and patterns */
static GHashTable *limits;

void guest_error_at(const char *name, const char *format, ...)
{
    if (!log_enabled(LOG_GUEST_ERRORS)) {
        return;
    }
    int64_t second = clock_now(CLOCK_RT) / NS_PER_SECOND;
    unsigned dropped = 0;
    g_mutex_lock(&mutex);
    if (!limits) {
        limits = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    }
    Limit *l = g_hash_table_lookup(limits, name);
    if (!l) {
        l = g_new0(Limit, 1);
        g_hash_table_insert(limits, g_strdup(name), l);
    }
    if (l->second != second) {
        dropped = l->dropped;
        *l = (Limit){.second = second};
    }
    bool quiet = l->lines >= ERRORS_A_SECOND;
    if (quiet) {
        l->dropped++;
    } else {
        l->lines++;
    }
    g_mutex_unlock(&mutex);
    if (dropped) {
        log_printf("%s: %u more guest errors", name, dropped);
    }
    if (!quiet) {
        va_list args;
        va_start(args, format);
        g_autofree char *text = g_strdup_vprintf(format, args);
        va_end(args);
        log_printf("%s: %s", name, text);
    }
}

/* ---- Trace events ---- */

typedef struct Pattern {
    GPatternSpec *glob;
    bool on;
} Pattern;

uint32_t trace_generation;
static GArray *patterns; /* the last that matches decides */

bool trace_name_selected(const char *name)
{
    bool on = false;
    g_mutex_lock(&mutex);
    for (unsigned i = 0; patterns && i < patterns->len; i++) {
        Pattern *p = &g_array_index(patterns, Pattern, i);
        if (g_pattern_spec_match_string(p->glob, name)) {
            on = p->on;
        }
    }
    g_mutex_unlock(&mutex);
    return on;
}

bool trace_selected(TraceEvent *event)
{
    if (event->generation != trace_generation) {
        event->on = trace_name_selected(event->name);
        event->generation = trace_generation;
    }
    return event->on;
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
    Pattern p = {g_pattern_spec_new(pattern), on};
    g_array_append_val(patterns, p);
    trace_generation++;
    log_mask |= LOG_TRACE;
    g_mutex_unlock(&mutex);
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

void trace_printf(const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    int64_t t = clock_now(CLOCK_VIRTUAL);
    log_printf("%" G_GINT64_FORMAT ".%06d %s %s", t / NS_PER_SECOND,
               (int)(t % NS_PER_SECOND / 1000), name, text);
}
