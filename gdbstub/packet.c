#include "gdbstub/packet.h"

#include <string.h>

enum { INTERRUPT = 0x03, ESCAPE = '}', ESCAPED = 0x20 };

void gdb_wire_reset(GdbWire *w)
{
    w->state = WIRE_OUTSIDE;
    w->len = 0;
    w->no_ack = false;
}

static void begin(GdbWire *w)
{
    w->state = WIRE_BODY;
    w->len = 0;
    w->sum = 0;
}

static void keep(GdbWire *w, char c)
{
    if (w->len < GDB_PACKET_MAX) {
        w->data[w->len] = c;
    }
    w->len += w->len <= GDB_PACKET_MAX; /* one beyond the limit says "too long" */
}

static GdbInput outside(GdbWire *w, uint8_t c)
{
    switch (c) {
    case '$': begin(w); return GDB_NOTHING;
    case '+': return GDB_ACK;
    case '-': return GDB_NAK;
    case INTERRUPT: return GDB_INTERRUPT;
    default: return GDB_NOTHING; /* noise on a serial line */
    }
}

static GdbInput body(GdbWire *w, uint8_t c)
{
    if (w->state == WIRE_ESCAPE) {
        w->sum += c;
        keep(w, (char)(c ^ ESCAPED));
        w->state = WIRE_BODY;
    } else if (c == '#') {
        w->state = WIRE_SUM1;
    } else if (c == '$') {
        begin(w); /* the end of the one before was lost: this one counts */
    } else {
        w->sum += c;
        if (c == ESCAPE) {
            w->state = WIRE_ESCAPE;
        } else {
            keep(w, (char)c);
        }
    }
    return GDB_NOTHING;
}

static GdbInput checksum(GdbWire *w, uint8_t c)
{
    int digit = gdb_hex_digit((char)c);
    if (w->state == WIRE_SUM1) {
        w->digit = (uint8_t)digit;
        w->bad_digit = digit < 0;
        w->state = WIRE_SUM2;
        return GDB_NOTHING;
    }
    w->state = WIRE_OUTSIDE;
    bool good = digit >= 0 && !w->bad_digit && (w->digit << 4 | digit) == w->sum;
    if (!good && !w->no_ack) {
        return GDB_DAMAGED;
    }
    if (w->len > GDB_PACKET_MAX) {
        return GDB_TOO_LONG;
    }
    w->data[w->len] = 0;
    return GDB_PACKET;
}

size_t gdb_wire_feed(GdbWire *w, const uint8_t *buf, size_t len, GdbInput *what)
{
    *what = GDB_NOTHING;
    for (size_t i = 0; i < len; i++) {
        switch (w->state) {
        case WIRE_OUTSIDE: *what = outside(w, buf[i]); break;
        case WIRE_BODY:
        case WIRE_ESCAPE: *what = body(w, buf[i]); break;
        case WIRE_SUM1:
        case WIRE_SUM2: *what = checksum(w, buf[i]); break;
        }
        if (*what != GDB_NOTHING) {
            return i + 1;
        }
    }
    return len;
}

/* ---- Going out ---- */

static void put(GByteArray *out, uint8_t *sum, uint8_t c)
{
    *sum += c;
    g_byte_array_append(out, &c, 1);
}

/* "X*n" stands for X and n - 29 more of it.  n must print, and must not be '#', '$', '+' or '-' (§E.1: "+" and "-" because
 * old stubs look for them anywhere).  Returns how many of `left` repetitions it took. */
static size_t put_run(GByteArray *out, uint8_t *sum, size_t left)
{
    size_t n = MIN(left, 126 - 29);
    if (n < 3) {
        return 0;
    }
    while (strchr("#$+-", (int)(n + 29))) {
        n--;
    }
    put(out, sum, '*');
    put(out, sum, (uint8_t)(n + 29));
    return n;
}

void gdb_frame(GByteArray *out, const void *bytes, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    uint8_t sum = 0, tail[3] = {'#'};
    g_byte_array_append(out, (const uint8_t *)"$", 1);
    for (size_t i = 0; i < len;) {
        uint8_t c = p[i++];
        if (c == '#' || c == '$' || c == '*' || c == ESCAPE) {
            put(out, &sum, ESCAPE);
            put(out, &sum, c ^ ESCAPED);
            continue;
        }
        put(out, &sum, c);
        size_t run = 0;
        while (i + run < len && p[i + run] == c && run < 126) {
            run++;
        }
        i += put_run(out, &sum, run);
    }
    tail[1] = (uint8_t)hex[sum >> 4];
    tail[2] = (uint8_t)hex[sum & 15];
    g_byte_array_append(out, tail, sizeof(tail));
}

/* ---- Hexadecimal ---- */

int gdb_hex_digit(char c)
{
    return g_ascii_xdigit_value(c);
}

bool gdb_hex_number(const char **p, uint64_t *value)
{
    const char *start = *p;
    uint64_t v = 0;
    for (int digit; (digit = gdb_hex_digit(**p)) >= 0; ++*p) {
        if (v >> 60) {
            return false;
        }
        v = v << 4 | (unsigned)digit;
    }
    *value = v;
    return *p != start;
}

size_t gdb_hex_bytes(const char **p, void *to, size_t max)
{
    uint8_t *byte = to;
    size_t n = 0;
    while (n < max && gdb_hex_digit((*p)[0]) >= 0 && gdb_hex_digit((*p)[1]) >= 0) {
        byte[n++] = (uint8_t)(gdb_hex_digit((*p)[0]) << 4 | gdb_hex_digit((*p)[1]));
        *p += 2;
    }
    return n;
}

void gdb_hex_append(GString *out, const void *bytes, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        g_string_append_c(out, hex[p[i] >> 4]);
        g_string_append_c(out, hex[p[i] & 15]);
    }
}
