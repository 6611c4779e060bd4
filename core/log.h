/* Logs for people: `-d item,item`, `-D file`, `-trace pattern`.
 *
 * log items are the classes of `-d help`; trace events and register rows are selected by glob.  Lines go to stderr or
 * to -D's file, whole.  Any thread. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

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

/* Trace events.  TRACE(event, format, ...) names the event as a C identifier ("pit_irq"); it costs one load and a
 * predicted branch while no pattern selects it. */
typedef struct TraceEvent {
    const char *name;
    uint32_t generation;                /* pattern set it was last matched against */
    bool on;
} TraceEvent;
extern uint32_t trace_generation;       /* 0: nothing is traced at all */
bool trace_selected(TraceEvent *event); /* slow path: match the name against the patterns */
bool trace_name_selected(const char *name);
void trace_printf(const char *name, const char *format, ...) G_GNUC_PRINTF(2, 3);
#define TRACE(event, ...)                                                                                              \
    do {                                                                                                               \
        static TraceEvent trace_event_ = {.name = #event};                                                             \
        if (G_UNLIKELY(trace_generation) && trace_selected(&trace_event_)) {                                           \
            trace_printf(#event, __VA_ARGS__);                                                                         \
        }                                                                                                              \
    } while (0)
bool trace_enable(const char *pattern, bool on, GError **error);        /* "uart*", "-pic*"; '*' and '?' as in shells */
bool trace_enable_file(const char *path, GError **error);               /* one pattern a line */

#endif
