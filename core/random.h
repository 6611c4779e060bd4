/* Random bytes from the host: one of the doors through which nondeterminism enters a machine. */
#ifndef CORE_RANDOM_H
#define CORE_RANDOM_H

#include <stddef.h>

/* Fills buf from the kernel's generator.  Any thread, no lock; waits only in the first moments of the host's life. */
void host_random(void *buf, size_t len);

#endif
