/* The requests of the qtest wire, one function each. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "accel/accel.h"
#include "accel/qtest/wire.h"
#include "core/clock.h"

enum { MAX_WORDS = 5 };

typedef struct Word {
    char *text; /* ends with NUL */
    size_t len;
} Word;

typedef struct Request {
    const char *name;
    bool (*run)(Wire *w, const struct Request *r, Word *words,
                unsigned n); /* false: data follows */
    uint8_t min;             /* words that it needs, its name included */
    uint8_t size;            /* of an access */
    bool flag;               /* base64; inputs */
} Request;

/* ---- Replies and arguments ---- */

static bool ok(Wire *w)
{
    wire_put(w, "OK", 2);
    wire_end(w);
    return true;
}

static bool fail(Wire *w, const char *why)
{
    wire_put(w, "FAIL ", 5);
    wire_text(w, why);
    wire_end(w);
    return true;
}

/* "OK 0x" and `digits` hexadecimal digits. */
static bool ok_hex(Wire *w, uint64_t value, unsigned digits)
{
    char buf[24] = "OK 0x";
    unsigned need = digits;
    while (need < 16 && value >> (4 * need)) {
        need++;
    }
    for (unsigned i = 0; i < need; i++) {
        buf[5 + i] = "0123456789abcdef"[value >> (4 * (need - 1 - i)) & 15];
    }
    wire_put(w, buf, 5 + need);
    wire_end(w);
    return true;
}

static bool ok_number(Wire *w, int64_t value)
{
    char buf[32];
    wire_put(w, buf, (size_t)snprintf(buf, sizeof(buf), "OK %" PRId64, value));
    wire_end(w);
    return true;
}

/* C notation: 10, 0x10, 010, and a sign. */
static bool number(const Word *word, uint64_t *out)
{
    const char *p = word->text;
    bool negative = *p == '-';
    unsigned base = 10;
    uint64_t v = 0;
    p += *p == '-' || *p == '+';
    if (p[0] == '0' && (p[1] | 0x20) == 'x') {
        base = 16;
        p += 2;
    } else if (p[0] == '0' && p[1]) {
        base = 8;
        p++;
    }
    if (!*p) {
        return false;
    }
    for (; *p; p++) {
        unsigned char c = (unsigned char)*p;
        unsigned d = (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        if (c < '0' || (c > '9' && (c | 0x20) < 'a') || d >= base) {
            return false;
        }
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)d, &v)) {
            return false;
        }
    }
    *out = negative ? -v : v;
    return true;
}

static Space *memory(void)
{
    return cpu_count() ? cpu_at(0)->memory : space_memory();
}

/* ---- Ports and memory ---- */

static bool do_out(Wire *w, const Request *r, Word *words, unsigned n)
{
    uint64_t at, value;
    if (!number(&words[1], &at) || !number(&words[2], &value)) {
        return fail(w, "Invalid number");
    }
    space_store(space_io(), at & 0xffff, r->size, value & size_mask(r->size));
    return ok(w);
}

static bool do_in(Wire *w, const Request *r, Word *words, unsigned n)
{
    uint64_t at;
    if (!number(&words[1], &at)) {
        return fail(w, "Invalid number");
    }
    return ok_hex(w, space_load(space_io(), at & 0xffff, r->size) & size_mask(r->size), 4);
}

static bool do_store(Wire *w, const Request *r, Word *words, unsigned n)
{
    uint64_t at, value;
    if (!number(&words[1], &at) || !number(&words[2], &value)) {
        return fail(w, "Invalid number");
    }
    space_rw(memory(), at, &value, r->size, true);
    return ok(w);
}

static bool do_load(Wire *w, const Request *r, Word *words, unsigned n)
{
    uint64_t at, value = 0;
    if (!number(&words[1], &at)) {
        return fail(w, "Invalid number");
    }
    space_rw(memory(), at, &value, r->size, false);
    return ok_hex(w, value & size_mask(r->size), 16);
}

static bool range(Wire *w, Word *words, uint64_t *at, uint64_t *size)
{
    if (!number(&words[1], at) || !number(&words[2], size)) {
        fail(w, "Invalid number");
        return false;
    }
    if (*size > w->max_size) {
        fail(w, "Size out of range");
        return false;
    }
    return true;
}

static void put_hex(Wire *w, const uint8_t *buf, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * WIRE_CHUNK];
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[buf[i] >> 4];
        text[2 * i + 1] = digits[buf[i] & 15];
    }
    wire_put(w, text, 2 * n);
}

/* The last piece may not be a multiple of 3: it is padded. */
static void put_base64(Wire *w, const uint8_t *buf, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[4 * WIRE_CHUNK / 3 + 4];
    size_t o = 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t have = MIN(n - i, 3);
        uint32_t v =
            (uint32_t)buf[i] << 16 | (have > 1 ? buf[i + 1] << 8 : 0) | (have > 2 ? buf[i + 2] : 0);
        text[o++] = digits[v >> 18];
        text[o++] = digits[v >> 12 & 63];
        text[o++] = have > 1 ? digits[v >> 6 & 63] : '=';
        text[o++] = have > 2 ? digits[v & 63] : '=';
    }
    wire_put(w, text, o);
}

static bool do_read(Wire *w, const Request *r, Word *words, unsigned n)
{
    uint64_t at, size;
    uint8_t chunk[WIRE_CHUNK];
    if (!range(w, words, &at, &size)) {
        return true;
    }
    if (!size) {
        return fail(w, "Size out of range");
    }
    wire_text(w, r->flag ? "OK " : "OK 0x");
    while (size) {
        size_t part = MIN(size, sizeof(chunk));
        space_rw(memory(), at, chunk, part, false);
        (r->flag ? put_base64 : put_hex)(w, chunk, part);
        at += part;
        size -= part;
    }
    wire_end(w);
    return true;
}

static bool do_write(Wire *w, const Request *r, Word *words, unsigned n)
{
    uint64_t at, size;
    if (!range(w, words, &at, &size)) {
        return true;
    }
    memset(&w->data, 0, offsetof(Wire, out) - offsetof(Wire, data));
    w->data.base64 = r->flag;
    w->data.at = at;
    w->data.left = size;
    return false;
}

static bool do_memset(Wire *w, const Request *r, Word *words, unsigned n)
{
    uint64_t at, size, value;
    uint8_t chunk[WIRE_CHUNK];
    if (!range(w, words, &at, &size)) {
        return true;
    }
    if (!number(&words[3], &value)) {
        return fail(w, "Invalid number");
    }
    memset(chunk, (int)(value & 0xff), sizeof(chunk));
    while (size) {
        size_t part = MIN(size, sizeof(chunk));
        space_rw(memory(), at, chunk, part, true);
        at += part;
        size -= part;
    }
    return ok(w);
}

/* ---- Time ---- */

static bool advance(Wire *w, int64_t to)
{
    if (!clock_is_manual()) {
        return fail(w, "The clock moves by itself");
    }
    clock_advance_to(to);
    return ok_number(w, clock_now(CLOCK_VIRTUAL));
}

static bool do_clock_step(Wire *w, const Request *r, Word *words, unsigned n)
{
    int64_t from = clock_now(CLOCK_VIRTUAL), to = clock_next_deadline(CLOCK_VIRTUAL);
    uint64_t ns;
    if (n > 1) {
        if (!number(&words[1], &ns) || __builtin_add_overflow(from, (int64_t)ns, &to) ||
            to == TIMER_OFF) {
            return fail(w, "Invalid number");
        }
    } else if (to == TIMER_OFF) {
        to = from;
    }
    return advance(w, to);
}

static bool do_clock_set(Wire *w, const Request *r, Word *words, unsigned n)
{
    uint64_t ns;
    if (!number(&words[1], &ns) || (int64_t)ns < 0 || (int64_t)ns == TIMER_OFF) {
        return fail(w, "Invalid number");
    }
    return advance(w, (int64_t)ns);
}

/* ---- Pins ---- */

typedef struct Search {
    const char *name;
    Device *by_path, *by_class;
} Search;

static void search(void *arg, Device *dev)
{
    Search *s = arg;
    size_t n = strlen(s->name), len = dev->path ? strlen(dev->path) : 0;
    if (!s->by_path && len > n && dev->path[len - n - 1] == '/' &&
        !strcmp(dev->path + len - n, s->name)) {
        s->by_path = dev;
    }
    if (!s->by_class && !strcmp(dev->class->name, s->name)) {
        s->by_class = dev;
    }
}

/* An id, a path, the end of a path, or what the board has one of ("ioapic"). */
static Device *device_at(const char *name)
{
    Device *dev = device_find(name);
    Search s = {.name = name};
    if (!dev) {
        device_foreach(search, &s);
        dev = s.by_path ? s.by_path : s.by_class;
    }
    return dev;
}

static void tell(Wire *w, unsigned line, bool level)
{
    char buf[40];
    wire_put(w, buf,
             (size_t)snprintf(buf, sizeof(buf), "IRQ %s %u", level ? "raise" : "lower", line));
    wire_end(w);
}

static void input_changed(void *arg, unsigned line, bool level)
{
    Wire *w = arg;
    Device *dev = w->intercepted;
    if (line < WIRE_PINS && w->level[line] != level) {
        w->level[line] = level;
        tell(w, line, level);
    }
    dev->intercept = NULL; /* and on to the device itself */
    device_input(dev, line, level);
    if (w->intercepted == dev) {
        dev->intercept = input_changed;
    }
}

static void output_changed(void *sink, unsigned line, bool level)
{
    WireTap *tap = sink;
    tell(tap->wire, line, level);
    if (tap->was.set) {
        tap->was.set(tap->was.sink, tap->was.line, level);
    }
}

static void tap_output(void *arg, const Row *row, const char *name, void *base, unsigned i)
{
    Wire *w = arg;
    for (unsigned n = 0; row->kind == ROW_PIN && n < WIRE_PINS; n++) {
        WireTap *tap = &w->taps[n];
        if (!tap->pin) {
            Irq *pin = row_field(row, base, i);
            *tap = (WireTap){pin, *pin, w};
            pin->set = output_changed;
            pin->sink = tap;
            pin->line = n;
            return;
        }
    }
}

static void give_back(void *arg, Device *dev)
{
    Wire *w = arg;
    if (dev != w->intercepted) { /* it may have been unplugged meanwhile: look for it among those
                                    that are */
        return;
    }
    dev->intercept = NULL;
    for (unsigned n = 0; n < WIRE_PINS && w->taps[n].pin; n++) {
        bool level = w->taps[n].pin->level;
        *w->taps[n].pin = w->taps[n].was;
        w->taps[n].pin->level = level;
    }
}

void wire_reset(Wire *w)
{
    device_foreach(give_back, w);
    memset(w->taps, 0, sizeof(w->taps));
    memset(w->level, 0, sizeof(w->level));
    wire_init(w);
}

static bool do_intercept(Wire *w, const Request *r, Word *words, unsigned n)
{
    Device *dev = device_at(words[1].text);
    if (!dev) {
        return fail(w, "Unknown device");
    }
    if (w->intercepted) {
        bool same = w->intercepted == dev && w->intercept_outputs != r->flag;
        return same ? ok(w) : fail(w, "IRQ intercept already enabled");
    }
    w->intercepted = dev;
    w->intercept_outputs = !r->flag;
    if (r->flag) {
        dev->intercept = input_changed;
        dev->intercept_arg = w;
    } else {
        device_rows(dev, tap_output, w);
    }
    return ok(w);
}

static bool do_set_irq(Wire *w, const Request *r, Word *words, unsigned n)
{
    Device *dev = device_at(words[1].text);
    uint64_t line, level;
    if (!dev) {
        return fail(w, "Unknown device");
    }
    if (!number(&words[3], &line) || !number(&words[4], &level) || line >= WIRE_PINS) {
        return fail(w, "Invalid number");
    }
    device_input(dev, (unsigned)line, level != 0);
    return ok(w);
}

/* ---- The rest ---- */

static bool do_endianness(Wire *w, const Request *r, Word *words, unsigned n)
{
    wire_text(w, "OK little");
    wire_end(w);
    return true;
}

static bool do_module_load(Wire *w, const Request *r, Word *words, unsigned n)
{
    return fail(w, "Everything is built in");
}

/* The frequent ones first. */
static const Request requests[] = {
    {"read", do_read, 3, 0, false},
    {"readl", do_load, 2, 4, false},
    {"readb", do_load, 2, 1, false},
    {"readw", do_load, 2, 2, false},
    {"readq", do_load, 2, 8, false},
    {"write", do_write, 4, 0, false},
    {"writel", do_store, 3, 4, false},
    {"writeb", do_store, 3, 1, false},
    {"writew", do_store, 3, 2, false},
    {"writeq", do_store, 3, 8, false},
    {"inl", do_in, 2, 4, false},
    {"inw", do_in, 2, 2, false},
    {"inb", do_in, 2, 1, false},
    {"outl", do_out, 3, 4, false},
    {"outw", do_out, 3, 2, false},
    {"outb", do_out, 3, 1, false},
    {"clock_step", do_clock_step, 1, 0, false},
    {"memset", do_memset, 4, 0, false},
    {"b64read", do_read, 3, 0, true},
    {"b64write", do_write, 4, 0, true},
    {"clock_set", do_clock_set, 2, 0, false},
    {"irq_intercept_in", do_intercept, 2, 0, true},
    {"irq_intercept_out", do_intercept, 2, 0, false},
    {"set_irq_in", do_set_irq, 5, 0, false},
    {"endianness", do_endianness, 1, 0, false},
    {"module_load", do_module_load, 3, 0, false},
};

/* Whether the request's last word is data, which may not all be here. */
static bool has_data(const char *name)
{
    return !strcmp(name, "write") || !strcmp(name, "b64write");
}

static bool unknown(Wire *w, const char *name)
{
    wire_text(w, "FAIL Unknown command '");
    wire_text(w, name);
    wire_put(w, "'", 1);
    wire_end(w);
    return true;
}

bool wire_request(Wire *w, char *line, size_t len)
{
    Word words[MAX_WORDS];
    unsigned n = 0;
    size_t i = 0;
    line[len] = 0;
    while (n < MAX_WORDS) {
        while (i < len && line[i] == ' ') {
            i++;
        }
        if (i == len || (n == 3 && has_data(words[0].text))) {
            break;
        }
        size_t start = i;
        while (i < len && line[i] != ' ') {
            i++;
        }
        words[n++] = (Word){line + start, i - start};
        if (i < len) {
            line[i++] = 0;
        }
    }
    if (!n) {
        return true;
    }
    for (unsigned k = 0; k < G_N_ELEMENTS(requests); k++) {
        const Request *r = &requests[k];
        if (!strcmp(r->name, words[0].text)) {
            unsigned have = n + (n == 3 && i < len && has_data(r->name));
            if (have < r->min) {
                return fail(w, "Missing argument");
            }
            if (r->run(w, r, words, n)) {
                return true;
            }
            wire_data(w, line + i, len - i);
            return false;
        }
    }
    return unknown(w, words[0].text);
}
