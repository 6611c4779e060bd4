/* Between the human monitor's files. */
#ifndef QAPI_HMP_INTERNAL_H
#define QAPI_HMP_INTERNAL_H

#include "cpu/cpu.h"
#include "qapi/hmp.h"

typedef struct Hmp {                    /* a command being executed */
    GString *out;                       /* what it prints; lines end in '\n' */
    int cpu;                            /* index of the CPU that it looks at; the command `cpu` changes it */
    const GPtrArray *history;           /* of lines, or NULL */
} Hmp;

/* Arguments as a command declares them: "name:type name:type? -x ...".
 *   s   word, or "quoted text"      S   rest of the line
 *   i   expression                  b   on or off
 *   /   /Nfs format                 -x  flag
 *   -x=name   flag that takes a word
 * '?' behind the type: may be absent. */
enum { HMP_ARGS_MAX = 12 };
typedef struct HmpArg {
    char name[20];
    char type, letter;
    bool given;
    char *text;
    int64_t number;
} HmpArg;
typedef struct HmpFormat { uint64_t count; char format; unsigned size; } HmpFormat;
typedef struct HmpArgs {
    HmpArg arg[HMP_ARGS_MAX];
    unsigned n;
    HmpFormat format;
    bool in_expression;                 /* it was there that reading failed */
} HmpArgs;
const char *hmp_text(const HmpArgs *a, const char *name);               /* NULL: absent */
int64_t hmp_number(const HmpArgs *a, const char *name, int64_t absent);
bool hmp_flag(const HmpArgs *a, const char *name);                      /* of -x or b */

typedef struct HmpCommand {
    const char *name;                   /* "quit|q" */
    const char *args;
    const char *params, *help;
    void (*run)(Hmp *h, const HmpArgs *args);
    const char *qmp;                    /* instead of run: a QMP command without arguments */
} HmpCommand;
extern const HmpCommand hmp_commands[], hmp_info_commands[];            /* name NULL ends */

void hmp_run(Hmp *h, const char *line);
void hmp_print(Hmp *h, const char *format, ...) G_GNUC_PRINTF(2, 3);
void hmp_error(Hmp *h, GError *error);  /* "Error: ..." and frees it; NULL: nothing */
Cpu *hmp_cpu(Hmp *h);                   /* with its state in sync; NULL, with a message, when there is none */
/* What Tab offers for the word that ends at the end of `line`; caller frees. */
GPtrArray *hmp_complete(const char *line, const char **word);

/* $register, numbers, 'c', *ADDRESS and *1(ADDRESS) .. *8(ADDRESS) for memory, + - * / % & | ^ ~ ( ), and below these
 * == != < <= > >=, then && and ||.  *text moves behind it.  False with a message. */
bool hmp_expression(Hmp *h, const char **text, int64_t *value, GError **error);
bool hmp_expression_on(Cpu *c, const char **text, int64_t *value, GError **error);      /* with c's state in sync */
bool hmp_expression_check(const char **text, GError **error);   /* only whether it is one */
bool hmp_register(const CpuState *s, const char *name, uint64_t *value);

/* Runs a QMP command with a typed struct and prints its error. */
bool hmp_qmp(Hmp *h, const char *command, const void *args);

/* hmp-memory.c */
void hmp_x(Hmp *h, const HmpArgs *a);
void hmp_xp(Hmp *h, const HmpArgs *a);
void hmp_print_value(Hmp *h, const HmpArgs *a);
void hmp_in(Hmp *h, const HmpArgs *a);
void hmp_out(Hmp *h, const HmpArgs *a);
void hmp_sum(Hmp *h, const HmpArgs *a);
void hmp_gva2gpa(Hmp *h, const HmpArgs *a);
void hmp_find(Hmp *h, const HmpArgs *a);                                /* hmp-find.c */

/* hmp-irqchip.c */
void hmp_info_pic(Hmp *h, const HmpArgs *a);
void hmp_info_irq(Hmp *h, const HmpArgs *a);
void hmp_info_lapic(Hmp *h, const HmpArgs *a);

/* commands-memory.c */
void hmp_info_iothreads(Hmp *h, const HmpArgs *a);
void hmp_info_memdev(Hmp *h, const HmpArgs *a);
void hmp_info_memory_devices(Hmp *h, const HmpArgs *a);
void hmp_info_numa(Hmp *h, const HmpArgs *a);

void hmp_pcie_aer_inject_error(Hmp *h, const HmpArgs *a);               /* hmp-pci.c */

/* commands-dump.c, commands-trace.c, hmp-trace-at.c */
void hmp_dump(Hmp *h, const HmpArgs *a);
void hmp_info_dump(Hmp *h, const HmpArgs *a);
void hmp_trace_event(Hmp *h, const HmpArgs *a);
void hmp_info_trace_events(Hmp *h, const HmpArgs *a);
void hmp_trace_at(Hmp *h, const HmpArgs *a);
void hmp_trace_remove(Hmp *h, const HmpArgs *a);

#endif
