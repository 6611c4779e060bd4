/* The human monitor's commands: finding them, reading their arguments, help and completion. */
#include "qapi/hmp.h"

#include <stdarg.h>
#include <string.h>

#include "core/error.h"
#include "core/log.h"
#include "hw/device.h"
#include "qapi/dispatch.h"
#include "qapi/hmp-internal.h"

void hmp_print(Hmp *h, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_string_append_vprintf(h->out, format, args);
    va_end(args);
}

void hmp_error(Hmp *h, GError *error)
{
    if (error) {
        hmp_print(h, "Error: %s\n", error->message);
        g_error_free(error);
    }
}

bool hmp_qmp(Hmp *h, const char *command, const void *args)
{
    GError *error = NULL;
    bool ok = qmp_call_value(command, args, &error);
    hmp_error(h, error);
    return ok;
}

bool hmp_cpu_valid(int64_t index)
{
    return index >= 0 && index < CPU_MOST && cpu_by_index((unsigned)index);
}

Cpu *hmp_cpu(Hmp *h)
{
    Cpu *c = cpu_by_index((unsigned)MAX(h->cpu, 0));
    if (!c) {
        hmp_print(h, "No CPU available\n");
        return NULL;
    }
    cpu_sync(c);
    return c;
}

/* ---- Arguments ---- */

static const HmpArg *find_arg(const HmpArgs *a, const char *name)
{
    for (unsigned i = 0; i < a->n; i++) {
        if (!strcmp(a->arg[i].name, name)) {
            return &a->arg[i];
        }
    }
    return NULL;
}

const char *hmp_text(const HmpArgs *a, const char *name)
{
    const HmpArg *arg = find_arg(a, name);
    return arg && arg->given ? arg->text : NULL;
}

int64_t hmp_number(const HmpArgs *a, const char *name, int64_t absent)
{
    const HmpArg *arg = find_arg(a, name);
    return arg && arg->given ? arg->number : absent;
}

bool hmp_flag(const HmpArgs *a, const char *name)
{
    return hmp_number(a, name, 0);
}

static void skip(const char **p)
{
    while (g_ascii_isspace(**p)) {
        ++*p;
    }
}

/* A word or "text with \"escapes\"".  NULL: nothing there, or a quote that is not closed. */
static char *take_word(const char **p)
{
    skip(p);
    if (!**p) {
        return NULL;
    }
    GString *out = g_string_new(NULL);
    bool quoted = **p == '"';
    *p += quoted;
    while (quoted ? **p && **p != '"' : **p && !g_ascii_isspace(**p)) {
        if (quoted && **p == '\\' && (*p)[1]) {
            ++*p;
            g_string_append_c(out, **p == 'n' ? '\n' : **p == 'r' ? '\r' : **p);
        } else {
            g_string_append_c(out, **p);
        }
        ++*p;
    }
    if (quoted) {
        if (**p != '"') {
            g_string_free(out, TRUE);
            return NULL;
        }
        ++*p;
    }
    return g_string_free(out, FALSE);
}

/* /20xw: count, format and size in any order; what is absent keeps its value from the last time. */
static bool take_format(const char **p, HmpFormat *f, GError **error)
{
    static HmpFormat last = {1, 'x', 4};
    *f = (HmpFormat){1, last.format, 0};
    skip(p);
    if (**p == '/') {
        ++*p;
        if (g_ascii_isdigit(**p)) {
            f->count = g_ascii_strtoull(*p, (char **)p, 10);
        }
        while (**p && !g_ascii_isspace(**p)) {
            char c = *(*p)++;
            if (strchr("xduoics", c)) {
                f->format = c;
            } else if (strchr("bhwg", c)) {
                f->size = c == 'b' ? 1 : c == 'h' ? 2 : c == 'w' ? 4 : 8;
            } else {
                return error_fail(error, "invalid char in format: '%c'", c);
            }
        }
    }
    if (!f->size) {
        f->size = f->format == 'c' ? 1 : last.size;
    }
    last = (HmpFormat){1, f->format == 'i' || f->format == 'c' ? last.format : f->format,
                       f->format == 'c' ? last.size : f->size};
    return true;
}

static bool take_arg(Hmp *h, HmpArgs *a, HmpArg *arg, bool optional, const char **p, GError **error)
{
    skip(p);
    if (arg->type == '-') {
        char letter = arg->name[0];
        if (**p == '-' && (*p)[1] == letter && (!(*p)[2] || g_ascii_isspace((*p)[2]))) {
            arg->given = true;
            arg->number = 1;
            *p += 2;
        }
        return true;
    }
    if (arg->type == '=') {
        bool joined = **p == '-' && (*p)[1] == arg->letter && (*p)[2] == '='; /* -f=word is -f word */
        if (**p != '-' || (*p)[1] != arg->letter || (!joined && !g_ascii_isspace((*p)[2]))) {
            return true;
        }
        *p += joined ? 3 : 2;
        arg->text = take_word(p);
        arg->given = arg->text;
        return arg->given || error_fail(error, "string expected");
    }
    if (arg->type == '/') {
        return take_format(p, &a->format, error);
    }
    if (!**p && optional) {
        return true;
    }
    if (arg->type == 'i') {
        arg->given = true;
        a->in_expression = true;
        bool ok = hmp_expression(h, p, &arg->number, error);
        a->in_expression = !ok;
        return ok;
    }
    arg->text = arg->type == 'S' && **p ? g_strchomp(g_strdup(*p)) : take_word(p);
    arg->given = arg->text;
    if (arg->type == 'S') {
        *p += strlen(*p);
    }
    if (!arg->text) {
        return error_fail(error, "%s expected",
                          **p == '"' || **p           ? "closing quote"
                          : strstr(arg->name, "file") ? "filename"
                                                      : "string");
    }
    if (arg->type == 'b') {
        arg->number = !strcmp(arg->text, "on");
        return arg->number || !strcmp(arg->text, "off") ||
               error_fail(error, "Expected 'on' or 'off'");
    }
    return true;
}

static HmpArg *add_arg(HmpArgs *a, const char *spec)
{
    HmpArg *arg = &a->arg[a->n++];
    const char *colon = strchr(spec, ':');
    if (*spec == '-' && spec[2] == '=') {
        arg->type = '=';
        arg->letter = spec[1];
        g_strlcpy(arg->name, spec + 3, sizeof(arg->name));
    } else if (*spec == '-') {
        arg->type = '-';
        g_strlcpy(arg->name, spec + 1, sizeof(arg->name));
    } else {
        arg->type = colon[1];
        g_strlcpy(arg->name, spec, MIN(sizeof(arg->name), (size_t)(colon - spec) + 1));
    }
    return arg;
}

/* Neighbouring flags may come in any order. */
static bool take_flags(Hmp *h, HmpArgs *a, unsigned first, const char **p, GError **error)
{
    for (unsigned i = first; i < a->n; i++) {
        if (a->arg[i].given) {
            continue;
        }
        if (!take_arg(h, a, &a->arg[i], true, p, error)) {
            return false;
        }
        if (a->arg[i].given) {
            i = first - 1; /* another one may stand behind it */
        }
    }
    return true;
}

static bool take_args(Hmp *h, const HmpCommand *command, const char *p, HmpArgs *a, GError **error)
{
    g_auto(GStrv) specs = g_strsplit(command->args ? command->args : "", " ", -1);
    for (char **s = specs; *s && **s; s++) {
        if (**s == '-') {
            unsigned first = a->n;
            for (; *s && **s == '-'; s++) {
                add_arg(a, *s);
            }
            s--;
            if (!take_flags(h, a, first, &p, error)) {
                return false;
            }
            continue;
        }
        const char *colon = strchr(*s, ':');
        if (!take_arg(h, a, add_arg(a, *s), colon && colon[2] == '?', &p, error)) {
            return false;
        }
    }
    skip(&p);
    return !*p || error_fail(error, "extraneous characters at the end of line");
}

/* ---- Finding and running ---- */

static bool name_is(const char *names, const char *word, size_t len)
{
    for (;;) {
        size_t n = strcspn(names, "|");
        if (n == len && !strncmp(names, word, n)) {
            return true;
        }
        if (!names[n]) {
            return false;
        }
        names += n + 1;
    }
}

/* The length of the command's name at p: a format may follow it directly ("x/10i"). */
static size_t name_length(const char *p)
{
    return strcspn(p, " \t\r\n/");
}

static const HmpCommand *find(const HmpCommand *table, const char *word, size_t len)
{
    for (const HmpCommand *c = table; c->name; c++) {
        if (name_is(c->name, word, len)) {
            return c;
        }
    }
    return NULL;
}

static void execute(Hmp *h, const HmpCommand *command, const char *prefix, const char *p)
{
    g_autoptr(GError) error = NULL;
    HmpArgs a = {0};
    if (take_args(h, command, p, &a, &error)) {
        if (command->qmp) {
            hmp_qmp(h, command->qmp, NULL);
        } else {
            command->run(h, &a);
        }
    } else {
        bool prefixed = !a.in_expression;
        hmp_print(h, "%s%s%s\nTry \"help %s%.*s\" for more information\n",
                  prefixed ? command->name : "", prefixed ? ": " : "", error->message, prefix,
                  (int)strcspn(command->name, "|"), command->name);
    }
    for (unsigned i = 0; i < a.n; i++) {
        g_free(a.arg[i].text);
    }
}

void hmp_run(Hmp *h, const char *line)
{
    const char *p = line;
    skip(&p);
    if (!*p || *p == '#') {
        return;
    }
    TRACE(hmp_command, "%s", p);
    size_t len = name_length(p);
    const HmpCommand *command = find(hmp_commands, p, len);
    if (!command) {
        hmp_print(h, "unknown command: '%.*s'\n", (int)len, p);
        return;
    }
    const char *prefix = "";
    p += len;
    if (!strcmp(command->name, "info")) {
        skip(&p);
        if (*p) {
            len = strcspn(p, " \t\r\n");
            command = find(hmp_info_commands, p, len);
            if (!command) {
                hmp_print(h, "unknown command: 'info %.*s'\n", (int)len, p);
                return;
            }
            prefix = "info ";
            p += len;
        }
    }
    execute(h, command, prefix, p);
}

char *hmp_execute(const char *line, int cpu)
{
    Hmp h = {g_string_new(NULL), cpu, NULL};
    hmp_run(&h, line);
    g_auto(GStrv) lines = g_strsplit(h.out->str, "\n", -1);
    g_string_free(h.out, TRUE);
    return g_strjoinv("\r\n", lines);
}

/* ---- Completion ---- */

static void offer_commands(GPtrArray *out, const HmpCommand *table, const char *word)
{
    for (const HmpCommand *c = table; c->name; c++) {
        g_auto(GStrv) names = g_strsplit(c->name, "|", -1);
        for (char **n = names; *n; n++) {
            if (g_str_has_prefix(*n, word)) {
                g_ptr_array_add(out, g_strdup(*n));
            }
        }
    }
}

typedef struct Offer {
    GPtrArray *out;
    const char *word;
} Offer;

static void offer(Offer *o, const char *text)
{
    if (text && g_str_has_prefix(text, o->word)) {
        g_ptr_array_add(o->out, g_strdup(text));
    }
}

static void offer_id(void *arg, Device *d)
{
    offer(arg, d->id);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *hmp_complete(const char *line, const char **word)
{
    GPtrArray *out = g_ptr_array_new_with_free_func(g_free);
    while (g_ascii_isspace(*line)) {
        line++;
    }
    const char *space = strrchr(line, ' ');
    *word = space ? space + 1 : line;
    Offer o = {out, *word};
    size_t first = strcspn(line, " ");
    bool second = space && space <= line + first + strspn(line + first, " ");
    if (!space) {
        offer_commands(out, hmp_commands, *word);
    } else if (second && name_is("info", line, first)) {
        offer_commands(out, hmp_info_commands, *word);
    } else if (second && name_is("help|?", line, first)) {
        offer_commands(out, hmp_commands, *word);
    } else if (second && name_is("device_del", line, first)) {
        device_foreach(offer_id, &o);
    } else if (second && name_is("device_add", line, first)) {
        for (const DeviceClass *const *c = device_classes; *c; c++) {
            if (!(*c)->abstract && !(*c)->internal && !(*c)->plain) {
                offer(&o, (*c)->name);
            }
        }
    }
    g_ptr_array_sort(out, compare_text);
    return out;
}
