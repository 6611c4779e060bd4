/* Expressions of the human monitor: QEMU's, and memory, comparisons and logic. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accel/debug.h"
#include "core/error.h"
#include "core/row.h"
#include "qapi/hmp-internal.h"

typedef struct Parser {
    Cpu *cpu;         /* its registers and its memory; NULL: there is none */
    bool fetch;       /* its state is not yet known to be in sync          */
    bool check;       /* only whether it is well written                   */
    const char *p;
    GError **error;
    unsigned depth;
} Parser;

static bool parse_any(Parser *e, int64_t *v);
static bool parse_unary(Parser *e, int64_t *v);

static void skip(Parser *e)
{
    while (g_ascii_isspace(*e->p)) {
        e->p++;
    }
}

/* ---- Registers ---- */

static bool segment_register(const CpuState *s, const char *name, uint64_t *v)
{
    static const char *const names[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr"};
    size_t n = strcspn(name, ".");
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strlen(names[i]) != n || strncmp(names[i], name, n) != 0) {
            continue;
        }
        const Segment *seg = &s->seg[i];
        if (!name[n]) {
            *v = seg->selector;
        } else if (!strcmp(name + n, ".base")) {
            *v = seg->base;
        } else if (!strcmp(name + n, ".limit")) {
            *v = seg->limit;
        } else {
            return false;
        }
        return true;
    }
    return false;
}

bool hmp_register(const CpuState *s, const char *name, uint64_t *v)
{
    static const char *const gprs[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    static const struct {
        const char *name;
        size_t at;
    } others[] = {
        {"rip", offsetof(CpuState, rip)},
        {"eip", offsetof(CpuState, rip)},
        {"rflags", offsetof(CpuState, rflags)},
        {"eflags", offsetof(CpuState, rflags)},
        {"cr0", offsetof(CpuState, cr0)},
        {"cr2", offsetof(CpuState, cr2)},
        {"cr3", offsetof(CpuState, cr3)},
        {"cr4", offsetof(CpuState, cr4)},
        {"cr8", offsetof(CpuState, cr8)},
        {"dr0", offsetof(CpuState, dr[0])},
        {"dr1", offsetof(CpuState, dr[1])},
        {"dr2", offsetof(CpuState, dr[2])},
        {"dr3", offsetof(CpuState, dr[3])},
        {"dr6", offsetof(CpuState, dr[6])},
        {"dr7", offsetof(CpuState, dr[7])},
        {"efer", offsetof(CpuState, efer)},
        {"gdt", offsetof(CpuState, gdtr.base)},
        {"idt", offsetof(CpuState, idtr.base)},
        {"fs_base", offsetof(CpuState, seg[SEG_FS].base)},
        {"gs_base", offsetof(CpuState, seg[SEG_GS].base)},
        {"k_gs_base", offsetof(CpuState, msr.kernel_gs_base)},
    };
    if (!strcmp(name, "pc")) { /* where x/i looks, unlike $eip */
        *v = cpu_linear_ip(s);
        return true;
    }
    for (unsigned i = 0; i < 8; i++) {
        if ((name[0] == 'e' || name[0] == 'r') && !strcmp(name + 1, gprs[i])) {
            *v = name[0] == 'e' ? (uint32_t)s->gpr[i] : s->gpr[i];
            return true;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        if (!strcmp(name, others[i].name)) {
            *v = *(const uint64_t *)((const char *)s + others[i].at);
            return true;
        }
    }
    char *end;
    unsigned long n = name[0] == 'r' && g_ascii_isdigit(name[1]) ? strtoul(name + 1, &end, 10) : 0;
    if (n >= 8 && n < 16 && !*end) {
        *v = s->gpr[n];
        return true;
    }
    return segment_register(s, name, v);
}

static bool parse_register(Parser *e, int64_t *v)
{
    size_t n = strspn(e->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
    g_autofree char *name = g_strndup(e->p, n);
    e->p += n;
    static const CpuState none;
    uint64_t value;
    if (!hmp_register(&none, name, &value)) {
        return error_fail(e->error, "unknown register");
    }
    if (!e->check && !e->cpu) {
        return error_fail(e->error, "No CPU available on this machine");
    }
    if (!e->check) {
        if (e->fetch) {
            cpu_sync(e->cpu);
        }
        hmp_register(&e->cpu->state, name, &value);
    }
    *v = (int64_t)value;
    return true;
}

/* ---- Memory: *ADDRESS has 8 bytes, *1(...), *2(...), *4(...), *8(...) as many as they say ---- */

static bool parse_memory(Parser *e, int64_t *v)
{
    unsigned size = 8;
    uint8_t bytes[8] = {0};
    if (*e->p && strchr("1248", *e->p) && e->p[1] == '(') {
        size = (unsigned)(*e->p++ - '0');
    }
    if (!parse_unary(e, v)) {
        return false;
    }
    if (!e->check && !e->cpu) {
        return error_fail(e->error, "No CPU available on this machine");
    }
    if (!e->check && !debug_read(e->cpu, (uint64_t)*v, bytes, size)) {
        return error_fail(e->error, "cannot access 0x%" PRIx64, (uint64_t)*v);
    }
    *v = (int64_t)load_le(bytes, size);
    return true;
}

/* ---- Grammar: logic of comparisons of sums of bits of products ---- */

static bool parse_unary(Parser *e, int64_t *v)
{
    skip(e);
    char c = *e->p;
    if (!c) {
        return error_fail(e->error, "unexpected end of expression");
    }
    if (++e->depth > 64) {
        return error_fail(e->error, "expression too deep");
    }
    bool ok = true;
    if (c == '+' || c == '-' || c == '~' || c == '!') {
        e->p++;
        ok = parse_unary(e, v);
        *v = !ok ? 0 : c == '-' ? (int64_t)(0 - (uint64_t)*v) : c == '~' ? ~*v : c == '!' ? !*v : *v;
    } else if (c == '*') {
        e->p++;
        ok = parse_memory(e, v);
    } else if (c == '(') {
        e->p++;
        ok = parse_any(e, v);
        skip(e);
        if (ok && *e->p != ')') {
            ok = error_fail(e->error, "')' expected");
        }
        e->p += ok;
    } else if (c == '\'') {
        if (!e->p[1] || e->p[2] != '\'') {
            return error_fail(e->error, "character constant expected");
        }
        *v = (unsigned char)e->p[1];
        e->p += 3;
    } else if (c == '$') {
        e->p++;
        ok = parse_register(e, v);
    } else {
        char *end;
        errno = 0;
        *v = (int64_t)strtoull(e->p, &end, 0);
        if (end == e->p) {
            ok = error_fail(e->error, "invalid char '%c' in expression", c);
        } else if (errno) {
            ok = error_fail(e->error, "number too large");
        }
        e->p = end;
    }
    e->depth--;
    return ok;
}

static bool apply(Parser *e, char op, int64_t *a, int64_t b)
{
    uint64_t x = (uint64_t)*a, y = (uint64_t)b;
    switch (op) {
    case '+': *a = (int64_t)(x + y); break;
    case '-': *a = (int64_t)(x - y); break;
    case '*': *a = (int64_t)(x * y); break;
    case '&': *a &= b; break;
    case '|': *a |= b; break;
    case '^': *a ^= b; break;
    default:
        if (!b) {
            return e->check || error_fail(e->error, "division by zero");
        }
        if (b == -1) { /* the one quotient that does not fit is its own negative */
            *a = op == '/' ? (int64_t)(0 - x) : 0;
        } else {
            *a = op == '/' ? *a / b : *a % b;
        }
    }
    return true;
}

static bool parse_level(Parser *e, const char *ops, bool (*inner)(Parser *e, int64_t *v),
                        int64_t *v)
{
    if (!inner(e, v)) {
        return false;
    }
    for (;;) {
        int64_t b;
        skip(e);
        char op = *e->p;
        if (!op || !strchr(ops, op) || ((op == '&' || op == '|') && e->p[1] == op)) {
            return true;
        }
        e->p++;
        if (!inner(e, &b) || !apply(e, op, v, b)) {
            return false;
        }
    }
}

static bool parse_product(Parser *e, int64_t *v)
{
    return parse_level(e, "*/%", parse_unary, v);
}

static bool parse_logic(Parser *e, int64_t *v)
{
    return parse_level(e, "&|^", parse_product, v);
}

static bool parse_sum(Parser *e, int64_t *v)
{
    return parse_level(e, "+-", parse_logic, v);
}

/* Unsigned, as addresses are. */
static bool parse_comparison(Parser *e, int64_t *v)
{
    static const char *const ops[] = {"==", "!=", "<=", ">=", "<", ">"};
    if (!parse_sum(e, v)) {
        return false;
    }
    for (;;) {
        unsigned op = 0;
        int64_t other;
        skip(e);
        while (op < G_N_ELEMENTS(ops) && !g_str_has_prefix(e->p, ops[op])) {
            op++;
        }
        if (op == G_N_ELEMENTS(ops)) {
            return true;
        }
        e->p += strlen(ops[op]);
        if (!parse_sum(e, &other)) {
            return false;
        }
        uint64_t a = (uint64_t)*v, b = (uint64_t)other;
        const bool results[] = {a == b, a != b, a <= b, a >= b, a < b, a > b};
        *v = results[op];
    }
}

/* What the left side has decided needs no right one, which is read all the same. */
static bool parse_and(Parser *e, int64_t *v)
{
    if (!parse_comparison(e, v)) {
        return false;
    }
    for (skip(e); g_str_has_prefix(e->p, "&&"); skip(e)) {
        bool check = e->check;
        int64_t other;
        e->p += 2;
        e->check |= !*v;
        if (!parse_comparison(e, &other)) {
            return false;
        }
        e->check = check;
        *v = *v && other;
    }
    return true;
}

static bool parse_any(Parser *e, int64_t *v)
{
    if (!parse_and(e, v)) {
        return false;
    }
    for (skip(e); g_str_has_prefix(e->p, "||"); skip(e)) {
        bool check = e->check;
        int64_t other;
        e->p += 2;
        e->check |= *v != 0;
        if (!parse_and(e, &other)) {
            return false;
        }
        e->check = check;
        *v = *v || other;
    }
    return true;
}

static bool parse_whole(Parser *e, const char **text, int64_t *value)
{
    bool ok = parse_any(e, value);
    skip(e);
    *text = e->p;
    return ok;
}

bool hmp_expression(Hmp *h, const char **text, int64_t *value, GError **error)
{
    Parser e = {.cpu = cpu_by_index((unsigned)MAX(h->cpu, 0)), .fetch = true, .p = *text, .error = error};
    return parse_whole(&e, text, value);
}

bool hmp_expression_on(Cpu *c, const char **text, int64_t *value, GError **error)
{
    Parser e = {.cpu = c, .p = *text, .error = error};
    return parse_whole(&e, text, value);
}

bool hmp_expression_check(const char **text, GError **error)
{
    int64_t value;
    Parser e = {.check = true, .p = *text, .error = error};
    return parse_whole(&e, text, &value);
}
