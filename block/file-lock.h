/* Locks on image files against other programs, by open-file-description locks on single bytes.  For block/. */
#ifndef BLOCK_FILE_LOCK_H
#define BLOCK_FILE_LOCK_H

#include <glib.h>
#include <stdbool.h>

/* Claim the file behind fd for reading or for writing, and keep others from writing.  False with *error when somebody is
 * in the way.  *supported turns false when the file system has no such locks (then nothing is claimed). */
bool file_lock(int fd, bool write, const char *filename, bool *supported, GError **error);

#endif
