/* The scheme that QEMU documents for image locking, so that both programs keep out of each other's
 * images.  Each permission is a bit; who uses permission i holds a shared lock on byte 100 + i, who
 * forbids it to others one on byte 200 + i.  A newcomer takes its locks first and looks for
 * conflicting ones afterwards, so of two that come at the same time at least one sees the other. */
#include "block/file-lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/error.h"

enum { PERM_READ, PERM_WRITE, PERM_WRITE_UNCHANGED, PERM_RESIZE, PERMS };
enum { USES = 100, FORBIDS = 200 };

static const char *const names[PERMS] = {"consistent read", "write", "write unchanged", "resize"};

static int lock_byte(int fd, off_t at, short type)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* Does anybody else hold a lock there? */
static bool byte_locked(int fd, off_t at)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

bool file_lock(int fd, bool write, const char *filename, bool *supported, GError **error)
{
    unsigned uses = 1u << PERM_READ | (write ? 1u << PERM_WRITE | 1u << PERM_RESIZE : 0);
    unsigned forbids = 1u << PERM_WRITE | 1u << PERM_RESIZE;
    *supported = true;
    for (unsigned i = 0; i < PERMS; i++) {
        int result = uses & 1u << i ? lock_byte(fd, USES + i, F_RDLCK) : 0;
        if (!result && forbids & 1u << i) {
            result = lock_byte(fd, FORBIDS + i, F_RDLCK);
        }
        if (result == -EAGAIN || result == -EACCES) {
            return error_fail(
                error, "Failed to get \"%s\" lock on '%s': is another process using the image?",
                names[i], filename);
        }
        if (result) { /* ENOLCK, EINVAL: not on this file system */
            *supported = false;
            return true;
        }
    }
    for (unsigned i = 0; i < PERMS; i++) {
        bool used = uses & 1u << i && byte_locked(fd, FORBIDS + i);
        bool shared = forbids & 1u << i && byte_locked(fd, USES + i);
        if (used || shared) {
            return error_fail(
                error, "Failed to get %s\"%s\" lock on '%s': is another process using the image?",
                used ? "" : "shared ", names[i], filename);
        }
    }
    return true;
}
