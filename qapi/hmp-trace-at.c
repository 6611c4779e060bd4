/* `trace-at`: lines in the log whenever the guest comes by, without stopping it.
 *
 * A format and a condition are checked when the point is set; what then fails (memory that is not mapped at that moment) is
 * told in the line. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accel/debug.h"
#include "core/error.h"
#include "core/log.h"
#include "qapi/hmp-internal.h"

enum { STRING_MAX = 256, LINE_MAX_BYTES = 4096, POINTS_MAX = 1000 };

typedef struct TracePoint {
    unsigned id;
    DebugKind kind;
    uint64_t at;
    unsigned len;
    char *format, *condition; /* NULL: none */
    uint64_t hits, told;      /* times that it was met; that it wrote a line */
    char *last;               /* its last line */
} TracePoint;

static GPtrArray *points;

static void point_free(gpointer data)
{
    TracePoint *p = data;
    g_free(p->format);
    g_free(p->condition);
    g_free(p->last);
    g_free(p);
}

static const char *kind_name(DebugKind k)
{
    return k == DEBUG_WATCH_WRITE ? "write" : k == DEBUG_WATCH_READ ? "read" : k == DEBUG_WATCH_ACCESS ? "access" : "execute";
}

/* ---- Formats ---- */

static void append_char(GString *out, uint8_t c)
{
    if (c >= 0x20 && c < 0x7f && c != '\\' && c != '"') {
        g_string_append_c(out, (char)c);
    } else if (c == '\n' || c == '\t' || c == '\\' || c == '"') {
        g_string_append_printf(out, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : c);
    } else {
        g_string_append_printf(out, "\\x%02x", c);
    }
}

static void append_string(GString *out, Cpu *c, uint64_t at)
{
    uint8_t b;
    if (!debug_read(c, at, &b, 1)) {
        g_string_append_printf(out, "<cannot access 0x%" PRIx64 ">", at);
        return;
    }
    g_string_append_c(out, '"');
    unsigned n = 0;
    for (; n < STRING_MAX && debug_read(c, at + n, &b, 1) && b; n++) {
        append_char(out, b);
    }
    g_string_append(out, n == STRING_MAX ? "\"..." : "\"");
}

static void append_value(GString *out, Cpu *c, char form, uint64_t v)
{
    switch (form) {
    case 'd': g_string_append_printf(out, "%" PRId64, (int64_t)v); break;
    case 'u': g_string_append_printf(out, "%" PRIu64, v); break;
    case 'o': g_string_append_printf(out, "%#" PRIo64, v); break;
    case 's': append_string(out, c, v); break;
    case 'c':
        g_string_append_c(out, '\'');
        append_char(out, (uint8_t)v);
        g_string_append_c(out, '\'');
        break;
    default: g_string_append_printf(out, "0x%" PRIx64, v);
    }
}

/* Behind the expression at *p: "}" or ":f}"; 0: neither. */
static char take_form(const char **p)
{
    char form = 'x';
    if (**p == ':' && (*p)[1] && strchr("xduocs", (*p)[1])) {
        form = (*p)[1];
        *p += 2;
    }
    if (**p != '}') {
        return 0;
    }
    ++*p;
    return form;
}

static void append_expression(GString *out, Cpu *c, const char **p)
{
    g_autoptr(GError) error = NULL;
    const char *start = *p;
    int64_t v = 0;
    bool ok = hmp_expression_on(c, p, &v, &error);
    if (!ok) { /* it stands where it failed: find its end by reading it once more */
        *p = start;
        hmp_expression_check(p, NULL);
    }
    char form = take_form(p);
    if (ok) {
        append_value(out, c, form, (uint64_t)v);
    } else {
        g_string_append_printf(out, "<%s>", error->message);
    }
}

static void append_text(GString *out, Cpu *c, const char *format)
{
    for (const char *p = format; *p && out->len < LINE_MAX_BYTES;) {
        if ((*p == '{' || *p == '}') && p[1] == *p) { /* a brace itself */
            g_string_append_c(out, *p);
            p += 2;
        } else if (*p == '{') {
            p++;
            append_expression(out, c, &p);
        } else if (*p == '\n') {
            g_string_append(out, "\\n"); /* one line an event */
            p++;
        } else {
            g_string_append_c(out, *p++);
        }
    }
}

static bool check_format(const char *format, GError **error)
{
    for (const char *p = format; *p;) {
        if ((*p == '{' || *p == '}') && p[1] == *p) {
            p += 2;
            continue;
        }
        if (*p == '}') {
            return error_fail(error, "format, at character %d: '}' without '{' ('}}' is a brace itself)", (int)(p - format) + 1);
        }
        if (*p++ != '{') {
            continue;
        }
        g_autoptr(GError) local = NULL;
        if (!hmp_expression_check(&p, &local)) {
            return error_fail(error, "format, at character %d: %s", (int)(p - format) + 1, local->message);
        }
        if (!take_form(&p)) {
            return error_fail(error, "format, at character %d: '}' or ':' and one of x d u o c s expected",
                              (int)(p - format) + 1);
        }
    }
    return true;
}

static bool check_condition(const char *condition, GError **error)
{
    g_autoptr(GError) local = NULL;
    const char *p = condition;
    if (!hmp_expression_check(&p, &local) || *p) {
        return error_fail(error, "condition, at character %d: %s", (int)(p - condition) + 1,
                          local ? local->message : "end expected");
    }
    return true;
}

/* ---- Points ---- */

/* A condition that cannot be calculated is not fulfilled. */
static bool fulfilled(const TracePoint *p, Cpu *c)
{
    const char *text = p->condition;
    int64_t v;
    return !text || (hmp_expression_on(c, &text, &v, NULL) && v);
}

/* On the CPU's thread, main lock held. */
static void hit(void *arg, Cpu *c, uint64_t at)
{
    TracePoint *p = arg;
    p->hits++;
    if (!fulfilled(p, c)) {
        return;
    }
    GString *line = g_string_new(NULL);
    p->told++;
    g_string_append_printf(line, "trace-at %u: cpu %u 0x%" PRIx64, p->id, c->index, at);
    if (p->kind != DEBUG_HARDWARE) {
        g_string_append_printf(line, " %s from 0x%" PRIx64, kind_name(p->kind), cpu_linear_ip(&c->state));
    }
    if (p->format) {
        g_string_append(line, ": ");
        append_text(line, c, p->format);
    }
    log_printf("%s", line->str);
    g_free(p->last);
    p->last = g_string_free(line, FALSE);
}

static void list(Hmp *h)
{
    if (!points || !points->len) {
        hmp_print(h, "No trace points\n");
        return;
    }
    for (unsigned i = 0; i < points->len; i++) {
        const TracePoint *p = g_ptr_array_index(points, i);
        hmp_print(h, "%u: %s 0x%" PRIx64, p->id, kind_name(p->kind), p->at);
        if (p->kind != DEBUG_HARDWARE) {
            hmp_print(h, " (%u bytes)", p->len);
        }
        if (p->condition) {
            hmp_print(h, " when %s", p->condition);
        }
        hmp_print(h, ": met %" PRIu64 " times, %" PRIu64 " lines%s%s\n", p->hits, p->told, p->format ? ": " : "",
                  p->format ? p->format : "");
        if (p->last) {
            hmp_print(h, "    last: %s\n", p->last);
        }
    }
}

static bool choose_kind(const HmpArgs *a, DebugKind *kind, GError **error)
{
    bool w = hmp_flag(a, "w"), r = hmp_flag(a, "r"), access = hmp_flag(a, "a");
    if (w + r + access > 1) {
        return error_fail(error, "only one of '-w|-r|-a' can be set");
    }
    *kind = w ? DEBUG_WATCH_WRITE : r ? DEBUG_WATCH_READ : access ? DEBUG_WATCH_ACCESS : DEBUG_HARDWARE;
    return true;
}

static bool choose_len(const HmpArgs *a, DebugKind kind, unsigned *len, GError **error)
{
    const char *text = hmp_text(a, "len");
    char *end = NULL;
    uint64_t n = text ? g_ascii_strtoull(text, &end, 0) : 1;
    if (text && kind == DEBUG_HARDWARE) {
        return error_fail(error, "-l goes with -w, -r or -a");
    }
    if (text && (*end || !n || n > 1u << 20)) {
        return error_fail(error, "-l=%s, expected a number of bytes from 1 to 1048576", text);
    }
    *len = (unsigned)n;
    return true;
}

static bool set_point(const HmpArgs *a, unsigned *id, GError **error)
{
    const char *format = hmp_text(a, "format"), *condition = hmp_text(a, "condition");
    DebugKind kind = DEBUG_HARDWARE;
    unsigned len = 1;
    if (!choose_kind(a, &kind, error) || !choose_len(a, kind, &len, error) ||
        (format && !check_format(format, error)) || (condition && !check_condition(condition, error))) {
        return false;
    }
    if (points && points->len >= POINTS_MAX) {
        return error_fail(error, "there are %d trace points already", POINTS_MAX);
    }
    TracePoint *p = g_new0(TracePoint, 1);
    p->kind = kind;
    p->at = (uint64_t)hmp_number(a, "addr", 0);
    p->len = len;
    p->format = g_strdup(format);
    p->condition = g_strdup(condition);
    DebugTrace t = {.kind = kind, .at = p->at, .len = kind == DEBUG_HARDWARE ? 0 : len, .hit = hit, .arg = p};
    if (!debug_trace_insert(&t, &p->id, error)) {
        point_free(p);
        return false;
    }
    if (!points) {
        points = g_ptr_array_new_with_free_func(point_free);
    }
    g_ptr_array_add(points, p);
    *id = p->id;
    return true;
}

void hmp_trace_at(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    unsigned id = 0;
    const int64_t no_address = hmp_number(a, "addr", 1) != hmp_number(a, "addr", 0);
    if (no_address && !hmp_text(a, "condition") && !hmp_text(a, "len") && !hmp_flag(a, "w") && !hmp_flag(a, "r") &&
        !hmp_flag(a, "a")) {
        list(h);
        return;
    }
    if (no_address) {
        error_fail(&error, "an address is missing");
    } else if (set_point(a, &id, &error)) {
        hmp_print(h, "Trace point %u\n", id);
    }
    if (error) {
        hmp_print(h, "trace-at: %s\nTry \"help trace-at\" for more information\n", error->message);
        g_error_free(error);
    }
}

static void remove_at(unsigned i)
{
    const TracePoint *p = g_ptr_array_index(points, i);
    debug_trace_remove(p->id);
    g_ptr_array_remove_index(points, i);
}

void hmp_trace_remove(Hmp *h, const HmpArgs *a)
{
    const char *what = hmp_text(a, "what");
    char *end;
    uint64_t id = g_ascii_strtoull(what, &end, 10);
    bool all = !strcmp(what, "all"), found = all;
    for (unsigned i = points ? points->len : 0; i-- > 0;) {
        const TracePoint *p = g_ptr_array_index(points, i);
        if (all || (!*end && p->id == id)) {
            remove_at(i);
            found = true;
        }
    }
    if (!found) {
        hmp_print(h, "There is no trace point %s\n", what);
    }
}
