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
    {"in_asm", LOG_IN_ASM, "guest instructions when they are decoded (software CPU)"},
    {"int", LOG_INT, "interrupts and exceptions as they are delivered (software CPU)"},
    {"exec", LOG_EXEC, "each block before it runs (software CPU)"},
    {"cpu", LOG_CPU, "CPU registers before each block (software CPU)"},
    {"cpu_reset", LOG_CPU_RESET, "CPU state before resets"},
    {"mmu", LOG_MMU, "page table walks that fail"},
    {"pcall", LOG_PCALL, "far jumps, calls and returns (software CPU)"},
    {"unimp", LOG_UNIMP, "guest uses of what is not built"},
    {"guest_errors", LOG_GUEST_ERRORS, "guest accesses that the hardware's documents forbid"},
    {"page", LOG_PAGE, "taken for the sake of scripts (info mtree shows the memory map)"},
    {"nochain", LOG_NOCHAIN, "taken for the sake of scripts: exec shows each block as it is"},
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
            if (!strcmp(*w + 6, "help")) {
                *help = true;
                return true;
            }
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

FILE *log_open(const char *option, const char *path, GError **error)
{
    g_autofree char *name = NULL;
    const char *percent = strchr(path, '%');
    if (percent && (percent[1] != 'd' || strchr(percent + 1, '%'))) {
        error_fail(error, "%s: bad file name '%s': one %%d may stand for the process id", option, path);
        return NULL;
    }
    if (percent) {
        name = g_strdup_printf("%.*s%d%s", (int)(percent - path), path, (int)getpid(), percent + 2);
    }
    FILE *f = fopen(name ? name : path, "we");
    if (!f) {
        error_fail_errno(error, errno, "%s: cannot open log file '%s'", option, name ? name : path);
        return NULL;
    }
    setvbuf(f, NULL, _IOLBF, 0);
    return f;
}

bool log_set_file(const char *path, GError **error)
{
    FILE *f = log_open("-D", path, error);
    if (f && log_stream) {
        fclose(log_stream);
    }
    log_stream = f ? f : log_stream;
    return f != NULL;
}

/* ---- -dfilter ---- */

typedef struct LogRange {
    uint64_t first, last;
} LogRange;
static GArray *filter; /* NULL: everything; replaced before CPUs run, or while they do by one that is never freed */

/* START+LENGTH, START-LENGTH (the bytes up to START), FIRST..LAST */
static bool parse_range(const char *text, LogRange *r)
{
    char *end, *rest;
    uint64_t start = g_ascii_strtoull(text, &end, 0);
    char sign = *end;
    bool dots = g_str_has_prefix(end, "..");
    if (end == text || (!dots && sign != '+' && sign != '-')) {
        return false;
    }
    end += dots ? 2 : 1;
    uint64_t second = g_ascii_isdigit(*end) ? g_ascii_strtoull(end, &rest, 0) : 0;
    if (!g_ascii_isdigit(*end) || *rest || (!dots && !second)) {
        return false;
    }
    r->first = sign == '-' ? start - MIN(start, second - 1) : start;
    r->last = dots ? second : sign == '-' ? start : start + MIN(second - 1, UINT64_MAX - start);
    return r->first <= r->last;
}

bool log_set_filter(const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(LogRange));
    for (char **w = words; *w || !ranges->len; w++) {
        LogRange r;
        if (!*w || !parse_range(*w, &r)) {
            return error_fail(error, "-dfilter: '%s', expected START+LENGTH, START-LENGTH or FIRST..LAST", *w ? *w : "");
        }
        g_array_append_val(ranges, r);
    }
    filter = g_steal_pointer(&ranges);
    return true;
}

bool log_filtered(uint64_t at, uint64_t len)
{
    if (!filter) {
        return true;
    }
    for (unsigned i = 0; i < filter->len; i++) {
        const LogRange *r = &g_array_index(filter, LogRange, i);
        if (at <= r->last && (at >= r->first || r->first - at < len)) {
            return true;
        }
    }
    return false;
}

void log_write(FILE *f, const char *text)
{
    size_t len = strlen(text);
    f = f ? f : log_stream ? log_stream : stderr;
    fprintf(f, "%s%s", text, len && text[len - 1] == '\n' ? "" : "\n");
}

void log_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    log_write(NULL, text);
}

/* ---- Guest errors: at most ERRORS_A_SECOND lines per name, then one that counts the rest ---- */

enum { ERRORS_A_SECOND = 5 };
typedef struct Limit {
    int64_t second;
    unsigned lines, dropped;
} Limit;

static GMutex mutex; /* guards limits */
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
