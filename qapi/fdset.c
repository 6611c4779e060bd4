#include "qapi/fdset.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct SetFd {
    int64_t set;
    int fd;
    char *opaque;
} SetFd;

static GHashTable *names; /* name -> fd + 1 */
static GArray *sets;      /* of SetFd */

void fd_name(const char *name, int fd)
{
    int old = fd_take(name);
    if (old >= 0) {
        close(old);
    }
    if (!names) {
        names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    }
    g_hash_table_insert(names, g_strdup(name), GINT_TO_POINTER(fd + 1));
}

int fd_take(const char *name)
{
    int fd = names ? GPOINTER_TO_INT(g_hash_table_lookup(names, name)) - 1 : -1;
    if (fd >= 0) {
        g_hash_table_remove(names, name);
    }
    return fd;
}

int64_t fdset_add(int64_t set, int fd, const char *opaque)
{
    if (!sets) {
        sets = g_array_new(FALSE, FALSE, sizeof(SetFd));
    }
    if (set < 0) { /* the lowest that is free */
        set = 0;
        for (guint i = 0; i < sets->len; i++) {
            if (g_array_index(sets, SetFd, i).set == set) {
                set++;
                i = (guint)-1;
            }
        }
    }
    SetFd one = {set, fd, g_strdup(opaque)};
    g_array_append_val(sets, one);
    return set;
}

bool fdset_remove(int64_t set, int fd)
{
    bool found = false;
    for (guint i = sets ? sets->len : 0; i-- > 0;) {
        SetFd *s = &g_array_index(sets, SetFd, i);
        if (s->set == set && (fd < 0 || s->fd == fd)) {
            close(s->fd);
            g_free(s->opaque);
            g_array_remove_index(sets, i);
            found = true;
        }
    }
    return found;
}

void fdset_foreach(void (*fn)(void *arg, int64_t set, int fd, const char *opaque), void *arg)
{
    for (guint i = 0; sets && i < sets->len; i++) {
        const SetFd *s = &g_array_index(sets, SetFd, i);
        fn(arg, s->set, s->fd, s->opaque);
    }
}

int fdset_dup(int64_t set, int flags)
{
    bool found = false;
    for (guint i = 0; sets && i < sets->len; i++) {
        const SetFd *s = &g_array_index(sets, SetFd, i);
        if (s->set != set) {
            continue;
        }
        found = true;
        int have = fcntl(s->fd, F_GETFL);
        if (have >= 0 && (have & O_ACCMODE) == (flags & O_ACCMODE)) {
            int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
            return fd < 0 ? -errno : fd;
        }
    }
    return found ? -EACCES : -ENOENT;
}
