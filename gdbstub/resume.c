/* Going on and stopping: c, C, s, S, vCont, the interrupt, and stop replies (GDB manual §E.2, §E.3).
 *
 * All-stop mode: the machine runs as a whole, CPUs that the client leaves out are held, and one stop reply says why it has
 * stopped.  Signals have no meaning for a machine; C and S go on like c and s.
 *
 * gdb takes the program counter for the address of the next instruction.  Where CS has a base (real mode), it is not: a
 * breakpoint at a linear address is met with another RIP, so gdb does not find its breakpoint and would neither report it nor
 * step off it.
 * Such a stop is reported as a plain SIGTRAP, and we do the step off the breakpoint when the CPU goes on. */
#include <string.h>

#include "core/error.h"
#include "core/runstate.h"
#include "gdbstub/stub.h"

/* gdb's numbers of signals (include/gdb/signals.def in its manual's words: §E.2 "T"). */
enum {
    SIGNAL_INT = 2, SIGNAL_QUIT = 3, SIGNAL_TRAP = 5, SIGNAL_ABRT = 6, SIGNAL_ALRM = 14, SIGNAL_IO = 23,
};

/* ---- Stop replies ---- */

static void append_why(const Stub *s, GString *out)
{
    static const char *const watches[] = {
        [DEBUG_WATCH_WRITE] = "watch", [DEBUG_WATCH_READ] = "rwatch", [DEBUG_WATCH_ACCESS] = "awatch"};
    const CpuState *c = &debug_stop.cpu->state; /* in sync: gdb_report */
    if (debug_stop.why == DEBUG_STOP_BREAK && cpu_linear_ip(c) != c->rip) {
        return;
    }
    if (debug_stop.why == DEBUG_STOP_WATCH) {
        g_string_append_printf(out, "%s:%" G_GINT64_MODIFIER "x;", watches[debug_stop.kind], debug_stop.at);
    } else if (debug_stop.why == DEBUG_STOP_BREAK && debug_stop.kind == DEBUG_HARDWARE && s->hwbreak) {
        g_string_append(out, "hwbreak:;");
    } else if (debug_stop.why == DEBUG_STOP_BREAK && debug_stop.kind == DEBUG_SOFTWARE && s->swbreak) {
        g_string_append(out, "swbreak:;");
    }
}

static void stop_reply(Stub *s, unsigned signal, bool why)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_string_append_printf(out, "T%02xthread:", signal);
    gdb_thread_append(s, out, s->stopped_cpu);
    g_string_append_printf(out, ";core:%x;", s->stopped_cpu);
    if (why) {
        append_why(s, out);
    }
    s->look = s->go = s->stopped_cpu;
    gdb_reply(s, out->str);
}

static unsigned signal_of(RunState state)
{
    switch (state) {
    case RUN_DEBUG: return SIGNAL_TRAP;
    case RUN_SHUTDOWN: return SIGNAL_QUIT;
    case RUN_IO_ERROR: return SIGNAL_IO;
    case RUN_WATCHDOG: return SIGNAL_ALRM;
    case RUN_INTERNAL_ERROR:
    case RUN_GUEST_PANICKED: return SIGNAL_ABRT;
    default: return SIGNAL_INT;
    }
}

/* `?`: a client that comes finds a machine that has just been stopped for it. */
void gdb_cmd_why(Stub *s, const char *args, size_t len)
{
    unsigned signal = signal_of(runstate());
    stop_reply(s, signal == SIGNAL_INT ? SIGNAL_TRAP : signal, false);
}

/* ---- Going on ---- */

void gdb_release_cpus(void)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        debug_step(cpu_at(i), false, NULL);
        debug_hold(cpu_at(i), false);
    }
}

/* One that is to go and stands on a breakpoint that gdb does not see. */
static Cpu *on_hidden_point(Stub *s)
{
    for (unsigned i = 0; i < cpu_count() && s->points->len; i++) {
        Cpu *c = cpu_at(i);
        cpu_sync(c);
        uint64_t at = cpu_linear_ip(&c->state);
        if (s->action[i].what != GDB_HOLD && at != c->state.rip && gdb_point_at(s, at)) {
            return c;
        }
    }
    return NULL;
}

/* A CPU in HLT is stepped when an interrupt wakes it, so interrupts and time must go on for it. */
static unsigned step_flags(const Stub *s)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        if (s->action[i].what == GDB_STEP || s->action[i].what == GDB_RANGE) {
            cpu_sync(cpu_at(i));
            if (cpu_at(i)->halted) {
                return 0;
            }
        }
    }
    return s->step_flags;
}

static bool prepare(Stub *s, GError **error)
{
    debug_set_step_flags(step_flags(s));
    Cpu *over = on_hidden_point(s);
    s->over_at = over ? cpu_linear_ip(&over->state) : 0;
    s->over = over ? cpu_position(over) + 1 : 0;
    if (over) {
        gdb_points_lift(s, s->over_at, true);
    }
    for (unsigned i = 0; i < cpu_count(); i++) {
        bool step = over ? cpu_at(i) == over : s->action[i].what == GDB_STEP || s->action[i].what == GDB_RANGE;
        if (!debug_step(cpu_at(i), step, step ? error : NULL) && step) {
            return false;
        }
        debug_hold(cpu_at(i), over ? cpu_at(i) != over : s->action[i].what == GDB_HOLD);
    }
    return true;
}

/* The step off a breakpoint has ended, one way or another.  True: the CPU was to go on. */
static bool is_over(Stub *s)
{
    unsigned cpu = s->over - 1;
    s->over = 0;
    gdb_points_lift(s, s->over_at, false);
    return runstate() == RUN_DEBUG && debug_stop.cpu == cpu_at(cpu) && debug_stop.why == DEBUG_STOP_STEP &&
           s->action[cpu].what == GDB_GO;
}

/* What cannot go on says why on the client's console, and is at a stop again. */
static void resume(Stub *s)
{
    g_autoptr(GError) error = NULL;
    s->resumed = true;
    debug_stop = (DebugStop){0};
    if (prepare(s, &error) && machine_continue(&error)) {
        return;
    }
    g_autofree char *text = g_strdup_printf("%s\n", error ? error->message : "the machine cannot go on");
    gdb_console(s, text, strlen(text));
    if (s->over) {
        is_over(s);
    }
    gdb_release_cpus();
    s->resumed = false;
    stop_reply(s, signal_of(runstate()), false);
}

static bool in_range(Stub *s)
{
    Cpu *c = debug_stop.cpu;
    if (!c || debug_stop.why != DEBUG_STOP_STEP || s->action[cpu_position(c)].what != GDB_RANGE) {
        return false;
    }
    cpu_sync(c);
    const GdbAction *a = &s->action[cpu_position(c)];
    return c->state.rip >= a->from && c->state.rip < a->to;
}

void gdb_report(Stub *s)
{
    RunState state = runstate();
    if (!s->resumed || state == RUN_RUNNING || state == RUN_SUSPENDED) { /* a wake-up event ends the latter */
        return;
    }
    if ((s->over && is_over(s)) || (state == RUN_DEBUG && in_range(s))) {
        resume(s);
        return;
    }
    s->resumed = false;
    gdb_release_cpus();
    bool met = state == RUN_DEBUG && debug_stop.cpu;
    if (met) {
        cpu_sync(debug_stop.cpu);
        s->stopped_cpu = cpu_position(debug_stop.cpu);
    }
    stop_reply(s, signal_of(state), met);
}

void gdb_interrupt(Stub *s)
{
    if (runstate_running()) {
        machine_stop(RUN_PAUSED); /* gdb_report follows */
    } else if (s->resumed) {      /* asleep, or just stopped for a reason that now no longer counts */
        if (s->over) {
            is_over(s);
        }
        s->resumed = false;
        gdb_release_cpus();
        stop_reply(s, SIGNAL_INT, false);
    }
}

/* ---- vCont ---- */

void gdb_cmd_vCont_query(Stub *s, const char *args, size_t len)
{
    gdb_reply(s, "vCont;c;C;s;S;t;r");
}

/* "c", "Cxx", "s", "Sxx", "t", "rFROM,TO"; *p moves behind it. */
static bool parse_action(const char **p, GdbAction *a)
{
    uint64_t signal;
    char c = *(*p)++;
    switch (c) {
    case 'c': a->what = GDB_GO; return true;
    case 's': a->what = GDB_STEP; return true;
    case 't': a->what = GDB_HOLD; return true;
    case 'C': a->what = GDB_GO; return gdb_hex_number(p, &signal);
    case 'S': a->what = GDB_STEP; return gdb_hex_number(p, &signal);
    case 'r':
        a->what = GDB_RANGE;
        return gdb_hex_number(p, &a->from) && *(*p)++ == ',' && gdb_hex_number(p, &a->to);
    default: return false;
    }
}

/* The first action that names a thread counts for it, and one without a name for those that are left. */
static bool parse_actions(Stub *s, const char *p, bool *goes)
{
    bool given[GDB_CPUS] = {0};
    memset(s->action, 0, sizeof(s->action));
    *goes = false;
    while (*p == ';') {
        GdbAction a = {0};
        unsigned cpu = 0;
        GdbThreads threads = GDB_THREAD_ALL;
        p++;
        if (!parse_action(&p, &a)) {
            return false;
        }
        if (*p == ':') {
            p++;
            threads = gdb_thread_parse(&p, &cpu);
        }
        if (threads == GDB_THREAD_BAD) {
            return false;
        }
        for (unsigned i = 0; i < cpu_count(); i++) {
            bool named = threads == GDB_THREAD_ALL || i == (threads == GDB_THREAD_ANY ? s->go : cpu);
            if (named && !given[i]) {
                given[i] = true;
                s->action[i] = a;
                *goes |= a.what != GDB_HOLD;
            }
        }
    }
    return !*p;
}

void gdb_cmd_vCont(Stub *s, const char *args, size_t len)
{
    bool goes;
    if (!parse_actions(s, args - 1, &goes) || !goes) { /* args - 1: the separator opens the first action */
        gdb_reply_error(s, GDB_EINVAL);
    } else {
        resume(s);
    }
}

/* ---- The older packets: everything goes on, and s steps the CPU of Hc ---- */

static void go(Stub *s, const char *args, bool step)
{
    uint64_t at;
    if (*args) {
        if (!gdb_hex_number(&args, &at) || *args) {
            gdb_reply_error(s, GDB_EINVAL);
            return;
        }
        Cpu *c = cpu_at(s->go);
        cpu_sync(c);
        c->state.rip = at;
        c->state_dirty = true;
    }
    for (unsigned i = 0; i < cpu_count(); i++) {
        s->action[i] = (GdbAction){.what = step && i == s->go ? GDB_STEP : GDB_GO};
    }
    resume(s);
}

void gdb_cmd_c(Stub *s, const char *args, size_t len)
{
    go(s, args, false);
}
void gdb_cmd_s(Stub *s, const char *args, size_t len)
{
    go(s, args, true);
}

/* "SIGNAL[;ADDR]" */
static void go_with_signal(Stub *s, const char *args, bool step)
{
    uint64_t signal;
    if (!gdb_hex_number(&args, &signal) || (*args && *args != ';')) {
        gdb_reply_error(s, GDB_EINVAL);
    } else {
        go(s, *args ? args + 1 : args, step);
    }
}

void gdb_cmd_C(Stub *s, const char *args, size_t len)
{
    go_with_signal(s, args, false);
}
void gdb_cmd_S(Stub *s, const char *args, size_t len)
{
    go_with_signal(s, args, true);
}
