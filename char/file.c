/* Output into a file, input from another one (input-path=). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

static bool file_open(Char *c, GHashTable *options, GError **error)
{
    CharFd *f = (CharFd *)c;
    bool append = false;
    g_autofree char *path = options_take(options, "path");
    g_autofree char *input = options_take(options, "input-path");
    f->in = f->out = -1;
    if (!options_take_bool(options, "append", &append, error)) {
        return false;
    }
    if (!path) {
        return error_fail(error, "chardev: file: no filename given (path=)");
    }
    f->out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    if (f->out < 0) {
        return error_fail_errno(error, errno, "Chardev '%s': cannot open '%s'", c->id, path);
    }
    if (input) {
        f->in = open(input, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (f->in < 0) {
            error_fail_errno(error, errno, "Chardev '%s': cannot open '%s'", c->id, input);
            close(f->out);
            return false;
        }
    }
    c->open = true;
    return true;
}

const CharClass char_file = {
    .name = "file",
    .size = sizeof(CharFd),
    .open = file_open,
    .close = char_fd_close,
    .write = char_fd_write,
    .accept = char_fd_accept,
};
