/* What a monitor has still to say: a queue in front of a character back end, so that a slow reader stops its own commands
 * and never the machine. */
#ifndef QAPI_OUTPUT_H
#define QAPI_OUTPUT_H

#include "char/char.h"

enum { OUTPUT_HIGH = 1 << 20 };         /* bytes from which on a monitor takes no more commands */

/* Set by qmp_start: before, monitors greet and send events, and take no input. */
extern bool monitors_started;

typedef struct Output {
    Char *chr;
    GByteArray *queue;
    size_t done;                        /* bytes at the front of the queue that are written already */
} Output;

void output_init(Output *o, Char *chr);
void output_clear(Output *o);           /* forget what waits */
void output_free(Output *o);
void output_write(Output *o, const char *text, size_t len);
void output_flush(Output *o);           /* from CharUser.writable */
void output_finish(Output *o);          /* at exit: what waits goes to the back end's own queue */
static inline bool output_full(const Output *o) { return o->queue->len - o->done > OUTPUT_HIGH; }

#endif
