/* A host's parallel port or printer device, as a plain stream of bytes. */
#include <errno.h>
#include <fcntl.h>

#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

static bool parallel_open(Char *c, GHashTable *options, GError **error)
{
    CharFd *f = (CharFd *)c;
    g_autofree char *path = options_take(options, "path");
    if (!path) {
        return error_fail(error, "chardev: parallel: no device path given (path=)");
    }
    f->in = f->out = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (f->in < 0) {
        f->out = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    }
    if (f->out < 0) {
        return error_fail_errno(error, errno, "Chardev '%s': cannot open '%s'", c->id, path);
    }
    c->open = true;
    return true;
}

#define PARALLEL(name_)                                                                            \
    {                                                                                              \
        .name = name_, .size = sizeof(CharFd), .open = parallel_open, .close = char_fd_close,      \
        .write = char_fd_write, .accept = char_fd_accept                                           \
    }
const CharClass char_parallel = PARALLEL("parallel");
const CharClass char_parport = PARALLEL("parport"); /* its earlier name */
