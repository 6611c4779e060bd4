/* The human monitor: commands as people type them, with line editing on a terminal. */
#ifndef QAPI_HMP_H
#define QAPI_HMP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "char/char.h"

/* A monitor on `chr`, for as long as that lives.  `editing`: echo, history, cursor keys, completion; else plain lines. */
bool hmp_monitor_new(Char *chr, bool editing, GError **error);
void hmp_monitors_free(void);           /* at exit, before char_cleanup */
void hmp_monitors_accept(void);         /* for qmp_start and qmp_flush */
void hmp_monitors_flush(void);

/* Executes a line and returns what it prints, lines ended by CR LF.  `cpu`: index of the CPU that it looks at; -1: the
 * first.  Caller frees. */
char *hmp_execute(const char *line, int cpu);
bool hmp_cpu_valid(int64_t index);

#endif
