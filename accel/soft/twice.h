/* Memory for host code, mapped twice: once to write and once to run, so that no page is both and nothing is remapped for new
 * code. */
#ifndef ACCEL_SOFT_TWICE_H
#define ACCEL_SOFT_TWICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Twice {
    size_t size;
    bool placed;                        /* `run` lies in somebody's room, which stays his */
    uint8_t *write, *run;               /* NULL: the host refuses, which was said in a warning */
} Twice;

/* `run_at`: where to run, over whatever is mapped there; NULL: anywhere.  `what` for the warning. */
void twice_map(Twice *t, size_t size, void *run_at, const char *what);
void twice_unmap(Twice *t);
/* Code that was run is only replaced by taking its pages out of both mappings: the invalidation of the translations keeps
 * the host from running what it fetched before (SDM vol 3 §8.1.3, 8.3).  It reads as zero then. */
void twice_clear(Twice *t, size_t start, size_t size);

#endif
