/* `-qtest CHARDEV` and `-qtest-log FILE`: the wire on a character back end. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "accel/accel.h"
#include "accel/qtest/wire.h"
#include "char/char.h"
#include "core/clock.h"

enum { RECEIVE = 65536 };

static struct {
    Wire wire;
    Char *back;
    FILE *log;
    int64_t opened; /* CLOCK_RT ns, for the log */
} qtest;

static void log_line(void *arg, bool reply, const char *line, size_t len)
{
    int64_t us = (clock_now(CLOCK_RT) - qtest.opened) / NS_PER_US;
    fprintf(qtest.log, "[%c +%" PRId64 ".%06" PRId64 "] %.*s\n", reply ? 'S' : 'R', us / 1000000,
            us % 1000000, (int)len, line);
    fflush(qtest.log);
}

static void send_replies(void *arg, const char *buf, size_t len)
{
    char_write_all(qtest.back, buf, len);
}
static size_t can_receive(void *arg)
{
    return RECEIVE;
}
static void receive(void *arg, const uint8_t *buf, size_t len)
{
    wire_feed(&qtest.wire, (const char *)buf, len);
}

static void event(void *arg, CharEvent event)
{
    if (event == CHAR_OPENED || event == CHAR_CLOSED) {
        wire_reset(&qtest.wire);
        qtest.opened = clock_now(CLOCK_RT);
        if (qtest.log) {
            fprintf(qtest.log, "[I +0.000000] %s\n", event == CHAR_OPENED ? "OPENED" : "CLOSED");
            fflush(qtest.log);
        }
    }
}

static bool open_log(const char *path, GError **error)
{
    if (!path || !strcmp(path, "none") || !strcmp(path, "/dev/null")) {
        return true;
    }
    qtest.log = fopen(path, "we");
    return qtest.log || error_fail_errno(error, errno, "-qtest-log %s", path);
}

bool qtest_listen(const char *chardev_text, const char *log_path, GError **error)
{
    static const CharUser user = {.can_receive = can_receive, .receive = receive, .event = event};
    if (qtest.back) {
        return error_fail(error, "-qtest may be given only once");
    }
    if (!open_log(log_path, error)) {
        return false;
    }
    qtest.wire.send = send_replies;
    qtest.wire.log = qtest.log ? log_line : NULL;
    wire_init(&qtest.wire);
    qtest.back = char_new_legacy("qtest", chardev_text, error);
    if (!qtest.back) {
        if (error && !*error) {
            error_fail(error, "-qtest %s: this is no character device", chardev_text);
        }
        return false;
    }
    return char_attach(qtest.back, &user, NULL, error);
}
