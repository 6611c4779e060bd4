/* The table of packets, and the small ones. */
#include <string.h>

#include "core/error.h"
#include "core/runstate.h"
#include "gdbstub/stub.h"

/* ---- Thread ids ---- */

GdbThreads gdb_thread_parse(const char **p, unsigned *cpu)
{
    uint64_t n = 0;
    if (**p == 'p') {
        ++*p;
        if (!strncmp(*p, "-1", 2)) {
            *p += 2;
        } else if (!gdb_hex_number(p, &n) || n > 1) {
            return GDB_THREAD_BAD;
        }
        if (**p != '.') {
            return GDB_THREAD_ALL;
        }
        ++*p;
    }
    if (!strncmp(*p, "-1", 2)) {
        *p += 2;
        return GDB_THREAD_ALL;
    }
    if (!gdb_hex_number(p, &n) || n > cpu_count()) {
        return GDB_THREAD_BAD;
    }
    *cpu = n ? (unsigned)n - 1 : 0;
    return n ? GDB_THREAD_ONE : GDB_THREAD_ANY;
}

void gdb_thread_append(const Stub *s, GString *out, unsigned cpu)
{
    if (s->multiprocess) {
        g_string_append(out, "p01.");
    }
    g_string_append_printf(out, "%02x", cpu + 1);
}

/* ---- Small packets ---- */

static void cmd_extended(Stub *s, const char *args, size_t len)
{
    s->extended = true;
    gdb_reply_ok(s);
}

/* Hg and Hc: -1 and 0 leave the choice to us. */
static void cmd_H(Stub *s, const char *args, size_t len)
{
    char which = *args++;
    unsigned cpu = 0;
    GdbThreads threads = which == 'g' || which == 'c' ? gdb_thread_parse(&args, &cpu) : GDB_THREAD_BAD;
    if (threads == GDB_THREAD_BAD || *args) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    *(which == 'g' ? &s->look : &s->go) = threads == GDB_THREAD_ONE ? cpu : s->stopped_cpu;
    gdb_reply_ok(s);
}

static void cmd_T(Stub *s, const char *args, size_t len)
{
    unsigned cpu;
    if (gdb_thread_parse(&args, &cpu) == GDB_THREAD_ONE && !*args) {
        gdb_reply_ok(s);
    } else {
        gdb_reply_error(s, GDB_EINVAL);
    }
}

/* The client goes, and the machine goes on. */
static void cmd_D(Stub *s, const char *args, size_t len)
{
    g_autoptr(GError) error = NULL;
    gdb_points_clear(s);
    debug_stop = (DebugStop){0};
    s->resumed = false;
    if (!machine_continue(&error)) {
        warn_report("gdb has detached, and the machine cannot go on: %s", error->message);
    }
    gdb_reply_ok(s);
}

static void end_program(void)
{
    error_report("Terminated via GDBstub");
    machine_request_shutdown(CAUSE_HOST_QMP_QUIT); /* -no-shutdown does not stand in its way */
}

static void cmd_k(Stub *s, const char *args, size_t len)
{
    s->resumed = false;
    end_program(); /* no reply (§E.2, `k`) */
}

static void cmd_vKill(Stub *s, const char *args, size_t len)
{
    s->resumed = false;
    gdb_reply_ok(s);
    end_program();
}

/* Only in extended mode; no reply. */
static void cmd_R(Stub *s, const char *args, size_t len)
{
    if (s->extended) {
        machine_request_reset(CAUSE_HOST_QMP_SYSTEM_RESET);
        runstate_settle();
    } else {
        gdb_reply(s, "");
    }
}

static void cmd_vAttach(Stub *s, const char *args, size_t len)
{
    uint64_t process;
    if (gdb_hex_number(&args, &process) && !*args && process == 1) {
        gdb_cmd_why(s, "", 0);
    } else {
        gdb_reply_error(s, GDB_EINVAL);
    }
}

const GdbCommand gdb_commands[] = {
    {"?", 0, gdb_cmd_why},
    {"!", 0, cmd_extended},
    {"g", 0, gdb_cmd_g},
    {"G", ' ', gdb_cmd_G},
    {"p", ' ', gdb_cmd_p},
    {"P", ' ', gdb_cmd_P},
    {"m", ' ', gdb_cmd_m},
    {"M", ' ', gdb_cmd_M},
    {"x", ' ', gdb_cmd_x},
    {"X", ' ', gdb_cmd_X},
    {"Z", ' ', gdb_cmd_Z},
    {"z", ' ', gdb_cmd_z},
    {"c", ' ', gdb_cmd_c},
    {"C", ' ', gdb_cmd_C},
    {"s", ' ', gdb_cmd_s},
    {"S", ' ', gdb_cmd_S},
    {"H", ' ', cmd_H},
    {"T", ' ', cmd_T},
    {"D", ';', cmd_D},
    {"k", 0, cmd_k},
    {"R", ' ', cmd_R},
    {"vCont?", 0, gdb_cmd_vCont_query},
    {"vCont", ';', gdb_cmd_vCont},
    {"vKill", ';', cmd_vKill},
    {"vAttach", ';', cmd_vAttach},
    {NULL},
};

static const GdbCommand *find(const GdbCommand *table, const char *packet, size_t len, size_t *name_len)
{
    for (const GdbCommand *c = table; c->name; c++) {
        size_t n = strlen(c->name);
        if (n <= len && !memcmp(packet, c->name, n) &&
            (c->separator == ' ' || n == len || (c->separator && packet[n] == c->separator))) {
            *name_len = n;
            return c;
        }
    }
    return NULL;
}

void gdb_command(Stub *s, const char *packet, size_t len)
{
    size_t n;
    if (!cpu_count()) { /* a machine without any: there is nothing to look at */
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    if (s->look >= cpu_count() || s->go >= cpu_count()) { /* it was unplugged */
        s->look = s->go = 0;
    }
    const GdbCommand *c = find(gdb_commands, packet, len, &n);
    if (!c) {
        c = find(gdb_queries, packet, len, &n);
    }
    if (!c) {
        gdb_reply(s, ""); /* not known here (§E.1) */
        return;
    }
    n += c->separator && c->separator != ' ' && n < len;
    c->run(s, packet + n, len - n);
}
