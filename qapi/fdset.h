/* Descriptors that clients or the command line handed over: by name (getfd, fd=NAME), or in numbered sets (add-fd,
 * -add-fd, /dev/fdset/N).  Main lock held. */
#ifndef QAPI_FDSET_H
#define QAPI_FDSET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

void fd_name(const char *name, int fd); /* takes fd; one of the same name is closed */
int fd_take(const char *name);          /* no longer ours; -1 */

/* Adds to a set (-1: a new one) and returns its number; takes fd. */
int64_t fdset_add(int64_t set, int fd, const char *opaque);
bool fdset_remove(int64_t set, int fd); /* closes it; -1: all of them.  False: there is none */
void fdset_foreach(void (*fn)(void *arg, int64_t set, int fd, const char *opaque), void *arg);
/* A duplicate of a descriptor of the set whose access mode fits `flags` (O_RDONLY ...), or -errno. */
int fdset_dup(int64_t set, int flags);

#endif
