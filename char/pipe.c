/* A pair of named pipes, PATH.in and PATH.out, or one pipe PATH for both ways. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

/* Opened for both ways, so that neither the open nor a missing peer blocks or fails. */
static int pipe_side(const char *path, const char *suffix)
{
    g_autofree char *name = g_strconcat(path, suffix, NULL);
    return open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

static bool pipe_open(Char *c, GHashTable *options, GError **error)
{
    CharFd *f = (CharFd *)c;
    g_autofree char *path = options_take(options, "path");
    if (!path) {
        return error_fail(error, "chardev: pipe: no device path given (path=)");
    }
    f->in = pipe_side(path, ".in");
    f->out = pipe_side(path, ".out");
    if (f->in < 0 || f->out < 0) {
        char_fd_close(c);
        f->in = f->out = pipe_side(path, "");
        if (f->in < 0) {
            return error_fail_errno(
                error, errno, "Chardev '%s': neither '%s.in' and '%s.out' nor '%s' can be opened",
                c->id, path, path, path);
        }
    }
    c->open = true;
    return true;
}

const CharClass char_pipe = {
    .name = "pipe",
    .size = sizeof(CharFd),
    .open = pipe_open,
    .close = char_fd_close,
    .write = char_fd_write,
    .accept = char_fd_accept,
};
