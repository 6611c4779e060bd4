/* Logs for people: `-d item,item`, `-D file`, `-trace pattern`.
 *
 * log items are the classes of `-d help`; trace events and register rows are selected by glob.  Lines go to stderr or
 * to -D's file, whole.  Any thread. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum LogItem {                  /* names as users type them */
    LOG_IN_ASM = 1u << 0,
    LOG_INT = 1u << 1,
    LOG_CPU_RESET = 1u << 2,
    LOG_EXEC = 1u << 3,
    LOG_GUEST_ERRORS = 1u << 4,
    LOG_UNIMP = 1u << 5,
    LOG_MMU = 1u << 6,
    LOG_CPU = 1u << 7,
    LOG_PAGE = 1u << 8,
    LOG_PCALL = 1u << 9,
    LOG_NOCHAIN = 1u << 10,
    LOG_STRACE = 1u << 11,
    LOG_OP = 1u << 12,
    LOG_TRACE = 1u << 13,               /* set while any trace pattern is enabled */
} LogItem;

extern uint32_t log_mask;
static inline bool log_enabled(LogItem item) { return G_UNLIKELY(log_mask & item); }
void log_printf(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* "int,cpu_reset,trace:uart*" or "help" (true with *help set: the caller prints log_help and ends). */
bool log_set_items(const char *list, bool *help, GError **error);
char *log_help(void);                   /* caller frees */
bool log_set_file(const char *path, GError **error);    /* %d is the process id */

/* The guest did something its datasheet forbids: "NAME: text", limited to a few lines a second for each device. */
void guest_error_at(const char *name, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* -dfilter: which addresses in_asm, exec, cpu and int tell of; "0x1000+0x200,0x8000..0x8fff,0x5000-0x100". */
bool log_set_filter(const char *text, GError **error);
bool log_filtered(uint64_t at, uint64_t len);           /* some byte of it is wanted; always without -dfilter */

/* ---- Trace events (trace.c) ----
 *
 * TRACE(event, format, ...) names the event as a C identifier ("pit_irq"); it costs one load and a predicted branch while
 * no pattern selects it.  Every call site is known to the program: the linker gathers them. */
typedef struct TraceEvent {
    const char *name;
    uint32_t generation;                /* pattern set it was last matched against */
    bool on;
} TraceEvent;
extern uint32_t trace_generation;       /* 0: nothing is traced at all */
bool trace_selected(TraceEvent *event); /* slow path: match the name against the patterns */
bool trace_name_selected(const char *name);
/* The same for an event of a group: a pattern may name the group ("rtc") for all that is in it. */
bool trace_member_selected(const char *group, const char *name);
void trace_printf(const char *name, const char *format, ...) G_GNUC_PRINTF(2, 3);
#define TRACE(event, ...)                                                                                              \
    do {                                                                                                               \
        static TraceEvent trace_event_ = {.name = #event};                                                             \
        static TraceEvent *const trace_site_ __attribute__((used, section("trace_sites"))) = &trace_event_;            \
        if (G_UNLIKELY(trace_generation) && trace_selected(&trace_event_)) {                                           \
            trace_printf(#event, __VA_ARGS__);                                                                         \
        }                                                                                                              \
    } while (0)
bool trace_enable(const char *pattern, bool on, GError **error);        /* "uart*", "-pic*"; '*' and '?' as in shells */
bool trace_enable_file(const char *path, GError **error);               /* one pattern a line */
bool trace_set_file(const char *path, GError **error);  /* lines go there instead of to the log; %d is the process id */
/* TRACE_PLAIN: "SECONDS.MICROSECONDS NAME TEXT" by the guest's clock, with -msg timestamp=on "THREAD@SECONDS.MICROSECONDS:"
 * by the host's in front instead.  TRACE_PERF: as `perf script` prints samples, by CLOCK_MONOTONIC. */
typedef enum TraceFormat { TRACE_PLAIN, TRACE_PERF } TraceFormat;
void trace_set_format(TraceFormat format);

/* All that can be switched, in order of name.  `wanted`: a name or a pattern; NULL: all.  Returns how many. */
typedef void TraceFn(void *arg, const char *name, bool on);
unsigned trace_foreach(const char *wanted, TraceFn *fn, void *arg);
/* What higher layers have: events that are no call sites, and what to do when the selection has changed.  Main lock held. */
typedef struct TraceSource {
    void (*each)(void (*found)(void *arg, const char *group, const char *name), void *arg);
    void (*changed)(void);
} TraceSource;
void trace_add_source(const TraceSource *source);       /* stays the caller's; the same one again does nothing */

/* ---- Between log.c and trace.c ---- */
void log_write(FILE *f, const char *text);              /* NULL: the log */
FILE *log_open(const char *option, const char *path, GError **error);

#endif
