#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "char/kinds.h"

bool char_fd_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static void in_watch_off(CharFd *f)
{
    if (f->in_watch) {
        loop_unwatch(f->in_watch);
        f->in_watch = NULL;
    }
}

static void in_ready(void *arg, short revents)
{
    CharFd *f = arg;
    uint8_t buf[4096];
    size_t room = char_can_receive(&f->base);
    if (!room) {
        in_watch_off(f); /* char_accept puts it back; an idle watch would spin on POLLHUP */
        return;
    }
    ssize_t n = read(f->in, buf, MIN(room, sizeof(buf)));
    if (n > 0) {
        char_receive(&f->base, buf, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        f->eof = true;
        in_watch_off(f);
        if (f->hangup) {
            f->hangup(f);
        } else {
            char_event(&f->base, CHAR_CLOSED);
        }
    }
    (void)revents;
}

void char_fd_accept(Char *c)
{
    CharFd *f = (CharFd *)c;
    if (f->in >= 0 && !f->eof && !f->in_watch && char_can_receive(c)) {
        f->in_watch = loop_watch(loop_main(), f->in, POLLIN, in_ready, f);
    }
}

static void out_ready(void *arg, short revents)
{
    CharFd *f = arg;
    loop_unwatch(f->out_watch);
    f->out_watch = NULL;
    char_writable(&f->base);
    (void)revents;
}

size_t char_fd_write(Char *c, const uint8_t *buf, size_t len)
{
    CharFd *f = (CharFd *)c;
    size_t done = 0;
    while (done < len && f->out >= 0 && !f->drop) {
        ssize_t n = write(f->out, buf + done, len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            if (!f->out_watch) {
                f->out_watch = loop_watch(loop_main(), f->out, POLLOUT, out_ready, f);
            }
            return done;
        } else {
            return len; /* the reader is gone: what is written is lost */
        }
    }
    return len;
}

void char_fd_start(CharFd *f)
{
    char_fd_accept(&f->base);
}

void char_fd_pause(CharFd *f)
{
    in_watch_off(f);
    if (f->out_watch) {
        loop_unwatch(f->out_watch);
        f->out_watch = NULL;
    }
}

void char_fd_close(Char *c)
{
    CharFd *f = (CharFd *)c;
    char_fd_pause(f);
    if (f->out > STDERR_FILENO && f->out != f->in) {
        close(f->out);
    }
    if (f->in > STDERR_FILENO) {
        close(f->in);
    }
    f->in = f->out = -1;
}
