/* A pseudo terminal: we have the master side, a person opens the slave side and may close it and
 * come back.
 *
 * While nobody has the slave open the master reports a hang-up for ever, so nothing may wait on it
 * then; inotify tells when somebody opens the slave. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include "char/kinds.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/options.h"

typedef struct Pty {
    CharFd f;
    char *name, *link;
    int notify; /* inotify; -1: poll now and then instead */
    Watch *notify_watch;
    Timer poll;
} Pty;

static void pty_check(Pty *p);

static bool slave_open(const Pty *p)
{
    struct pollfd fd = {.fd = p->f.in, .events = POLLIN};
    return poll(&fd, 1, 0) == 0 || !(fd.revents & POLLHUP);
}

static void poll_later(Pty *p)
{
    if (p->notify < 0) {
        timer_at(&p->poll, clock_now(CLOCK_RT) + NS_PER_SECOND / 2);
    }
}

static void pty_hangup(CharFd *f)
{
    Pty *p = (Pty *)f;
    char_fd_pause(f);
    f->eof = f->drop = true;
    char_event(&f->base, CHAR_CLOSED);
    char_writable(&f->base); /* what is written now is lost, so nobody needs to wait */
    poll_later(p);
}

static void pty_check(Pty *p)
{
    if (!p->f.drop || !slave_open(p)) {
        if (p->f.drop) {
            poll_later(p);
        }
        return;
    }
    p->f.eof = p->f.drop = false;
    char_event(&p->f.base, CHAR_OPENED);
    char_fd_accept(&p->f.base);
}

static void poll_due(void *arg)
{
    pty_check(arg);
}

static void notified(void *arg, short revents)
{
    Pty *p = arg;
    char events[4096];
    (void)revents;
    while (read(p->notify, events, sizeof(events)) > 0) {
    }
    pty_check(p);
}

static bool master_open(Pty *p, GError **error)
{
    const char *id = p->f.base.id;
    int slave;
    p->f.in = p->f.out = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    char name[64];
    if (p->f.in < 0 || grantpt(p->f.in) || unlockpt(p->f.in) ||
        ptsname_r(p->f.in, name, sizeof(name)) ||
        (slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        return error_fail_errno(error, errno, "Chardev '%s': cannot create a pseudo terminal", id);
    }
    struct termios t;
    tcgetattr(slave, &t);
    cfmakeraw(&t);
    tcsetattr(slave, TCSAFLUSH, &t);
    close(slave); /* from now on the master sees the hang-up */
    p->name = g_strdup(name);
    return true;
}

static void pty_close(Char *c);

static bool pty_open(Char *c, GHashTable *options, GError **error)
{
    Pty *p = (Pty *)c;
    g_autofree char *link = options_take(options, "path");
    p->notify = -1;
    timer_init(&p->poll, CLOCK_RT, poll_due, p);
    if (!master_open(p, error)) {
        pty_close(c);
        return false;
    }
    if (link) {
        if (symlink(p->name, link)) {
            error_fail_errno(error, errno, "Chardev '%s': cannot make the link '%s'", c->id, link);
            pty_close(c);
            return false;
        }
        p->link = g_steal_pointer(&link);
    }
    p->f.hangup = pty_hangup;
    p->f.eof = p->f.drop = true;
    p->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (p->notify >= 0 && inotify_add_watch(p->notify, p->name, IN_OPEN) < 0) {
        close(p->notify);
        p->notify = -1;
    }
    if (p->notify >= 0) {
        p->notify_watch = loop_watch(loop_main(), p->notify, POLLIN, notified, p);
    }
    poll_later(p);
    fprintf(stderr, "char device redirected to %s (label %s)\n", p->name, c->id);
    return true;
}

static void pty_close(Char *c)
{
    Pty *p = (Pty *)c;
    timer_off(&p->poll);
    if (p->notify_watch) {
        loop_unwatch(p->notify_watch);
    }
    if (p->notify >= 0) {
        close(p->notify);
    }
    if (p->link) {
        unlink(p->link);
    }
    char_fd_close(c);
    g_free(p->link);
    g_free(p->name);
}

static char *pty_filename(const Char *c)
{
    return g_strdup_printf("pty:%s", ((const Pty *)c)->name);
}

const CharClass char_pty = {
    .name = "pty",
    .size = sizeof(Pty),
    .open = pty_open,
    .close = pty_close,
    .write = char_fd_write,
    .accept = char_fd_accept,
    .filename = pty_filename,
};
