/* A host's serial line: the guest's speed, format and modem lines go to the real ones (termios(3),
 * tty_ioctl(4)). */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "char/kinds.h"
#include "core/error.h"
#include "core/options.h"

typedef struct Serial {
    CharFd f;
    struct termios before;
    bool known; /* `before` is valid */
} Serial;

static speed_t speed_of(unsigned baud)
{
    static const struct {
        unsigned baud;
        speed_t code;
    } speeds[] = {
        {50, B50},           {75, B75},         {110, B110},       {134, B134},
        {150, B150},         {200, B200},       {300, B300},       {600, B600},
        {1200, B1200},       {1800, B1800},     {2400, B2400},     {4800, B4800},
        {9600, B9600},       {19200, B19200},   {38400, B38400},   {57600, B57600},
        {115200, B115200},   {230400, B230400}, {460800, B460800}, {921600, B921600},
        {1500000, B1500000},
    };
    /* The nearest: a divisor seldom gives the round number. */
    size_t best = 0;
    for (size_t i = 1; i < G_N_ELEMENTS(speeds); i++) {
        if (ABS((int)speeds[i].baud - (int)baud) < ABS((int)speeds[best].baud - (int)baud)) {
            best = i;
        }
    }
    return speeds[best].code;
}

static void serial_set_line(Char *c, const CharLine *line)
{
    Serial *s = (Serial *)c;
    static const tcflag_t bits[] = {CS5, CS6, CS7, CS8};
    struct termios t;
    if (tcgetattr(s->f.in, &t)) {
        return;
    }
    cfmakeraw(&t);
    t.c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS | CMSPAR);
    t.c_cflag |= CREAD | CLOCAL | bits[CLAMP(line->data_bits, 5, 8) - 5];
    if (line->stop_bits == 2) {
        t.c_cflag |= CSTOPB;
    }
    switch (line->parity) {
    case 'E': t.c_cflag |= PARENB; break;
    case 'O': t.c_cflag |= PARENB | PARODD; break;
    case 'M': t.c_cflag |= PARENB | PARODD | CMSPAR; break;
    case 'S': t.c_cflag |= PARENB | CMSPAR; break;
    default: break;
    }
    cfsetspeed(&t, speed_of(line->baud));
    tcsetattr(s->f.in, TCSANOW, &t);
}

static void serial_break(Char *c)
{
    tcsendbreak(((CharFd *)c)->out, 0);
}

static const struct {
    unsigned ours;
    int host;
} lines[] = {
    {CHAR_TIOCM_CTS, TIOCM_CTS}, {CHAR_TIOCM_DSR, TIOCM_DSR}, {CHAR_TIOCM_RI, TIOCM_RI},
    {CHAR_TIOCM_CAR, TIOCM_CAR}, {CHAR_TIOCM_DTR, TIOCM_DTR}, {CHAR_TIOCM_RTS, TIOCM_RTS},
};

static unsigned serial_modem_get(Char *c)
{
    int host = 0;
    unsigned ours = 0;
    if (ioctl(((CharFd *)c)->in, TIOCMGET, &host)) {
        return CHAR_TIOCM_CTS | CHAR_TIOCM_DSR |
               CHAR_TIOCM_CAR; /* a terminal without modem lines */
    }
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        ours |= host & lines[i].host ? lines[i].ours : 0;
    }
    return ours;
}

static void serial_modem_set(Char *c, unsigned ours)
{
    int fd = ((CharFd *)c)->in, host = 0;
    if (ioctl(fd, TIOCMGET, &host)) {
        return;
    }
    host &= ~(TIOCM_DTR | TIOCM_RTS);
    host |= (ours & CHAR_TIOCM_DTR ? TIOCM_DTR : 0) | (ours & CHAR_TIOCM_RTS ? TIOCM_RTS : 0);
    ioctl(fd, TIOCMSET, &host);
}

static bool serial_open(Char *c, GHashTable *options, GError **error)
{
    Serial *s = (Serial *)c;
    g_autofree char *path = options_take(options, "path");
    if (!path) {
        return error_fail(error, "chardev: serial: no device path given (path=)");
    }
    s->f.in = s->f.out = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (s->f.in < 0) {
        return error_fail_errno(error, errno, "Chardev '%s': cannot open '%s'", c->id, path);
    }
    if (!isatty(s->f.in)) {
        close(s->f.in);
        return error_fail(error, "Chardev '%s': '%s' is not a serial line", c->id, path);
    }
    s->known = !tcgetattr(s->f.in, &s->before);
    serial_set_line(c, &(CharLine){.baud = 115200, .data_bits = 8, .stop_bits = 1, .parity = 'N'});
    c->open = true;
    return true;
}

static void serial_close(Char *c)
{
    Serial *s = (Serial *)c;
    if (s->known) {
        tcsetattr(s->f.in, TCSANOW, &s->before);
    }
    char_fd_close(c);
}

#define SERIAL(name_)                                                                              \
    {                                                                                              \
        .name = name_, .size = sizeof(Serial), .open = serial_open, .close = serial_close,         \
        .write = char_fd_write, .accept = char_fd_accept, .send_break = serial_break,              \
        .set_line = serial_set_line, .modem_get = serial_modem_get, .modem_set = serial_modem_set  \
    }
const CharClass char_serial = SERIAL("serial");
const CharClass char_tty = SERIAL("tty"); /* its earlier name */
