/* Guest memory: m, M, X, x, and searching it.  Linear addresses through the page tables of the CPU that the client looks at, or
 * physical ones (Qqemu.PhyMemMode). */
#include <string.h>

#include "gdbstub/stub.h"
#include "mem/ram.h"

/* Searching reads this much at most, so that nobody else waits for long. */
#define SEARCH_MAX (UINT64_C(1) << 30)

/* A piece that lies in one page. */
static bool copy_piece(Stub *s, uint64_t at, void *buf, size_t len, bool write)
{
    Cpu *c = cpu_at(s->look);
    if (!s->physical) {
        return write ? debug_write(c, at, buf, len) : debug_read(c, at, buf, len);
    }
    if (!write) {
        return space_peek(c->memory, at, buf, len);
    }
    uint8_t there[RAM_PAGE]; /* a device would be written to: look whether it is memory first */
    return space_peek(c->memory, at, there, len) && space_write_rom(c->memory, at, buf, len);
}

/* Bytes copied before the first page that is not there. */
static size_t copy(Stub *s, uint64_t at, void *buf, size_t len, bool write)
{
    size_t done = 0;
    while (done < len) {
        uint64_t here = at + done;
        size_t part = MIN(len - done, RAM_PAGE - (here & (RAM_PAGE - 1)));
        if (!copy_piece(s, here, (uint8_t *)buf + done, part, write)) {
            break;
        }
        done += part;
    }
    return done;
}

/* "ADDR,LENGTH" */
static bool parse_range(const char **p, uint64_t *at, uint64_t *len)
{
    return gdb_hex_number(p, at) && *(*p)++ == ',' && gdb_hex_number(p, len);
}

static void read_memory(Stub *s, const char *args, bool binary)
{
    uint64_t at, len;
    if (!parse_range(&args, &at, &len) || *args) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    len = MIN(len, GDB_MEMORY_MAX - 1);
    g_autofree uint8_t *buf = g_malloc(len + 1);
    size_t n = copy(s, at, buf, len, false);
    if (!n && len) {
        gdb_reply_error(s, GDB_EFAULT);
        return;
    }
    g_autoptr(GString) out = g_string_sized_new(2 * n + 2);
    if (binary) {
        g_string_append_c(out, 'b');
        g_string_append_len(out, (char *)buf, (gssize)n);
    } else {
        gdb_hex_append(out, buf, n);
    }
    gdb_reply_bytes(s, out->str, out->len);
}

void gdb_cmd_m(Stub *s, const char *args, size_t len)
{
    read_memory(s, args, false);
}

void gdb_cmd_x(Stub *s, const char *args, size_t len)
{
    read_memory(s, args, true);
}

static void write_memory(Stub *s, uint64_t at, void *buf, uint64_t len)
{
    if (copy(s, at, buf, len, true) == len) {
        gdb_reply_ok(s);
    } else {
        gdb_reply_error(s, GDB_EFAULT);
    }
}

void gdb_cmd_M(Stub *s, const char *args, size_t len)
{
    uint64_t at, n;
    if (!parse_range(&args, &at, &n) || *args++ != ':' || n > GDB_MEMORY_MAX) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    g_autofree uint8_t *buf = g_malloc(n + 1);
    if (gdb_hex_bytes(&args, buf, n) != n || *args) {
        gdb_reply_error(s, GDB_EINVAL);
    } else {
        write_memory(s, at, buf, n);
    }
}

void gdb_cmd_X(Stub *s, const char *args, size_t len)
{
    const char *end = args + len;
    uint64_t at, n;
    if (!parse_range(&args, &at, &n) || *args++ != ':' || n != (uint64_t)(end - args)) {
        gdb_reply_error(s, GDB_EINVAL);
    } else {
        write_memory(s, at, (void *)args, n);
    }
}

/* "ADDR;LENGTH;PATTERN", the pattern in binary.  A window of two pages slides over the range; pages that are not there are
 * skipped. */
void gdb_query_search(Stub *s, const char *args, size_t len)
{
    const char *end = args + len;
    uint64_t at, range;
    if (!gdb_hex_number(&args, &at) || *args++ != ';' || !gdb_hex_number(&args, &range) || *args++ != ';' ||
        args == end || (size_t)(end - args) > RAM_PAGE || range > SEARCH_MAX) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    size_t pattern = (size_t)(end - args), held = 0;
    uint8_t window[2 * RAM_PAGE];
    for (uint64_t done = 0; done < range;) {
        size_t part = MIN(range - done, RAM_PAGE - ((at + done) & (RAM_PAGE - 1)));
        held = copy_piece(s, at + done, window + held, part, false) ? held + part : 0;
        done += part;
        uint8_t *found = memmem(window, held, args, pattern);
        if (found) {
            g_autofree char *text = g_strdup_printf("1,%" G_GINT64_MODIFIER "x", at + done - held + (uint64_t)(found - window));
            gdb_reply(s, text);
            return;
        }
        size_t tail = MIN(held, pattern - 1);
        memmove(window, window + held - tail, tail);
        held = tail;
    }
    gdb_reply(s, "0");
}
