/* q and Q packets: what the server can do, threads, the description of the machine, and QEMU's additions. */
#include <string.h>

#include "core/runstate.h"
#include "gdbstub/stub.h"

GdbHooks gdb_hooks;

/* What `monitor LINE` prints is cut here: a client may ask for more than anybody reads. */
enum { MONITOR_MAX = 4 << 20, CONSOLE_PIECE = 16384 };

/* ---- Features ---- */

/* "feature+;feature+;...": what the client knows of decides the form of stop replies and thread ids. */
static void query_supported(Stub *s, const char *args, size_t len)
{
    g_auto(GStrv) theirs = g_strsplit(args, ";", -1);
    const char *const *known = (const char *const *)theirs;
    s->multiprocess = g_strv_contains(known, "multiprocess+");
    s->swbreak = g_strv_contains(known, "swbreak+");
    s->hwbreak = g_strv_contains(known, "hwbreak+");
    g_autofree char *text = g_strdup_printf(
        "PacketSize=%x;qXfer:features:read+;vContSupported+;QStartNoAckMode+;binary-upload+%s%s%s", GDB_PACKET_MAX,
        s->multiprocess ? ";multiprocess+" : "", s->swbreak ? ";swbreak+" : "", s->hwbreak ? ";hwbreak+" : "");
    gdb_reply(s, text);
}

/* "ANNEX:OFFSET,LENGTH" */
static void query_features(Stub *s, const char *args, size_t len)
{
    static const char annex[] = "target.xml:";
    uint64_t offset, length;
    if (!g_str_has_prefix(args, annex)) {
        gdb_reply(s, "E00");
        return;
    }
    args += strlen(annex);
    const char *xml = gdb_target_xml();
    size_t total = strlen(xml);
    if (!gdb_hex_number(&args, &offset) || *args++ != ',' || !gdb_hex_number(&args, &length) || *args ||
        offset > total) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    length = MIN(length, MIN(total - offset, GDB_PACKET_MAX - 64));
    g_autoptr(GString) out = g_string_new(offset + length < total ? "m" : "l");
    g_string_append_len(out, xml + offset, (gssize)length);
    gdb_reply_bytes(s, out->str, out->len);
}

/* The reply still has an acknowledgement; what follows has none. */
static void set_no_ack(Stub *s, const char *args, size_t len)
{
    gdb_reply_ok(s);
    s->no_ack = s->wire.no_ack = true;
}

static void reply_one(Stub *s, const char *args, size_t len)
{
    gdb_reply(s, "1");
}
static void reply_ok(Stub *s, const char *args, size_t len)
{
    gdb_reply_ok(s);
}

/* ---- Threads ---- */

static void query_current(Stub *s, const char *args, size_t len)
{
    g_autoptr(GString) out = g_string_new("QC");
    gdb_thread_append(s, out, s->look);
    gdb_reply(s, out->str);
}

static void query_more_threads(Stub *s, const char *args, size_t len)
{
    g_autoptr(GString) out = g_string_new(NULL);
    for (; s->list_at < cpu_count(); s->list_at++) {
        g_string_append_c(out, out->len ? ',' : 'm');
        gdb_thread_append(s, out, s->list_at);
    }
    gdb_reply(s, out->len ? out->str : "l");
}

static void query_threads(Stub *s, const char *args, size_t len)
{
    s->list_at = 0;
    query_more_threads(s, args, len);
}

static void query_thread_info(Stub *s, const char *args, size_t len)
{
    unsigned cpu;
    if (gdb_thread_parse(&args, &cpu) != GDB_THREAD_ONE || *args) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    cpu_sync(cpu_at(cpu));
    g_autofree char *text = g_strdup_printf("CPU#%u [%s]", cpu_at(cpu)->index, cpu_at(cpu)->halted ? "halted" : "running");
    g_autoptr(GString) out = g_string_new(NULL);
    gdb_hex_append(out, text, strlen(text));
    gdb_reply(s, out->str);
}

/* ---- For lldb ---- */

#define TRIPLE_LONG  "7838365f36342d756e6b6e6f776e2d6e6f6e65" /* "x86_64-unknown-none" */
#define TRIPLE_SHORT "693338362d756e6b6e6f776e2d6e6f6e65"     /* "i386-unknown-none"   */

static void query_host(Stub *s, const char *args, size_t len)
{
    gdb_reply(s, gdb_long() ? "triple:" TRIPLE_LONG ";endian:little;ptrsize:8;"
                            : "triple:" TRIPLE_SHORT ";endian:little;ptrsize:4;");
}

static void query_process(Stub *s, const char *args, size_t len)
{
    gdb_reply(s, gdb_long() ? "pid:1;triple:" TRIPLE_LONG ";endian:little;ptrsize:8;"
                            : "pid:1;triple:" TRIPLE_SHORT ";endian:little;ptrsize:4;");
}

/* ---- QEMU's ---- */

static void query_step_bits(Stub *s, const char *args, size_t len)
{
    gdb_reply(s, "ENABLE=1,NOIRQ=2,NOTIMER=4");
}

static void query_step(Stub *s, const char *args, size_t len)
{
    g_autofree char *text = g_strdup_printf("0x%x", s->step_flags | 1);
    gdb_reply(s, text);
}

static void set_step(Stub *s, const char *args, size_t len)
{
    uint64_t flags;
    if (!gdb_hex_number(&args, &flags) || *args || flags > 7) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    s->step_flags = (unsigned)flags & (DEBUG_STEP_NOIRQ | DEBUG_STEP_NOTIMER);
    gdb_reply_ok(s);
}

static void query_physical(Stub *s, const char *args, size_t len)
{
    gdb_reply(s, s->physical ? "1" : "0");
}

static void set_physical(Stub *s, const char *args, size_t len)
{
    if (len != 1 || (*args != '0' && *args != '1')) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    s->physical = *args == '1';
    gdb_reply_ok(s);
}

/* `monitor LINE` */
static void query_monitor(Stub *s, const char *args, size_t len)
{
    g_autofree char *line = g_malloc0(len / 2 + 1);
    if (len & 1 || gdb_hex_bytes(&args, line, len / 2) != len / 2) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    if (!gdb_hooks.monitor) {
        gdb_reply(s, "");
        return;
    }
    g_autofree char *printed = gdb_hooks.monitor(line, (int)cpu_at(s->look)->index);
    g_auto(GStrv) lines = g_strsplit(printed, "\r\n", -1); /* the monitor ends lines for terminals */
    g_autofree char *text = g_strjoinv("\n", lines);
    gdb_console(s, text, MIN(strlen(text), MONITOR_MAX));
    runstate_settle(); /* a reset that was asked for comes before the next packet */
    gdb_reply_ok(s);
}

void gdb_console(Stub *s, const char *text, size_t len)
{
    for (size_t at = 0; at < len; at += CONSOLE_PIECE) {
        g_autoptr(GString) out = g_string_new("O");
        gdb_hex_append(out, text + at, MIN(CONSOLE_PIECE, len - at));
        gdb_reply(s, out->str);
    }
}

const GdbCommand gdb_queries[] = {
    {"qSupported", ':', query_supported},
    {"qXfer:features:read", ':', query_features},
    {"QStartNoAckMode", 0, set_no_ack},
    {"qAttached", ':', reply_one},
    {"qSymbol", ':', reply_ok},
    {"qC", 0, query_current},
    {"qfThreadInfo", 0, query_threads},
    {"qsThreadInfo", 0, query_more_threads},
    {"qThreadExtraInfo", ',', query_thread_info},
    {"qSearch:memory", ':', gdb_query_search},
    {"qRcmd", ',', query_monitor},
    {"qHostInfo", 0, query_host},
    {"qProcessInfo", 0, query_process},
    {"qqemu.sstepbits", 0, query_step_bits},
    {"qqemu.sstep", 0, query_step},
    {"Qqemu.sstep", '=', set_step},
    {"qqemu.PhyMemMode", 0, query_physical},
    {"Qqemu.PhyMemMode", ':', set_physical},
    {NULL},
};
