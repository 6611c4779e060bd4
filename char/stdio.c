/* The program's own terminal, or whatever its standard input and output are.
 *
 * A terminal goes to raw mode and comes back to what it was at exit, on Ctrl-Z (where signals are
 * on) and on SIGCONT. Output is never allowed to block: a descriptor that we may reopen gets a
 * description of its own, so that the shell's flags stay as they are; another one is made
 * non-blocking until exit. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

static struct {
    bool used, terminal, nonblocking;
    struct termios before, raw;
    int out_flags;
} console;

static void console_restore(void)
{
    if (console.terminal) {
        tcsetattr(STDIN_FILENO, TCSANOW, &console.before);
    }
    if (console.nonblocking) {
        fcntl(STDOUT_FILENO, F_SETFL, console.out_flags);
    }
}

/* In the background, tcsetattr would stop the whole program; `fg` sends SIGCONT, and then it works.
 */
static bool may_set(void)
{
    pid_t foreground = tcgetpgrp(STDIN_FILENO);
    return foreground < 0 ||
           foreground == getpgrp(); /* negative: not our controlling terminal, nobody stops us */
}

/* Signal handlers: async-signal-safe calls only. */
static void console_continued(int signo)
{
    int saved = errno;
    (void)signo;
    if (may_set()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &console.raw);
    }
    errno = saved;
}

static void console_stopped(int signo)
{
    int saved = errno;
    (void)signo;
    tcsetattr(STDIN_FILENO, TCSANOW, &console.before);
    kill(getpid(), SIGSTOP);
    errno = saved;
}

static void console_raw(bool signals)
{
    struct termios *t = &console.raw;
    *t = console.before;
    t->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t->c_oflag |= OPOST;
    t->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    t->c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    t->c_cflag |= CS8;
    if (!signals) {
        t->c_lflag &= ~(tcflag_t)ISIG;
    }
    t->c_cc[VMIN] = 1;
    t->c_cc[VTIME] = 0;
    struct sigaction act = {.sa_flags = SA_RESTART, .sa_handler = console_continued};
    sigemptyset(&act.sa_mask);
    sigaction(SIGCONT, &act, NULL);
    act.sa_handler = console_stopped;
    sigaction(SIGTSTP, &act, NULL);
    if (may_set()) {
        tcsetattr(STDIN_FILENO, TCSANOW, t);
    }
}

/* A descriptor for output that does not block. */
static int console_output(void)
{
    struct stat st;
    if (!fstat(STDOUT_FILENO, &st) && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))) {
        int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0) {
            return fd;
        }
    }
    console.out_flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (console.out_flags >= 0 && !(console.out_flags & O_NONBLOCK)) {
        console.nonblocking = char_fd_nonblock(STDOUT_FILENO);
    }
    return STDOUT_FILENO;
}

static bool stdio_open(Char *c, GHashTable *options, GError **error)
{
    static bool at_exit;
    CharFd *f = (CharFd *)c;
    bool signals = true;
    if (!options_take_bool(options, "signal", &signals, error)) {
        return false;
    }
    if (console.used) {
        return error_fail(error, "Chardev '%s': stdio is in use by another character device",
                          c->id);
    }
    console.used = true;
    if (!at_exit) {
        atexit(console_restore);
        at_exit = true;
    }
    console.terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &console.before);
    if (console.terminal) {
        console_raw(signals);
    }
    f->in = STDIN_FILENO;
    f->out = console_output();
    c->open = true;
    return true;
}

static void stdio_close(Char *c)
{
    char_fd_close(c);
    console_restore();
    if (console.terminal) {
        signal(SIGCONT, SIG_DFL);
        signal(SIGTSTP, SIG_DFL);
    }
    console.used = console.terminal = console.nonblocking = false;
}

const CharClass char_stdio = {
    .name = "stdio",
    .size = sizeof(CharFd),
    .open = stdio_open,
    .close = stdio_close,
    .write = char_fd_write,
    .accept = char_fd_accept,
};
