/* Z and z: breakpoints and watchpoints, and their list, by which they go when the client does.
 *
 * Setting one that is there and removing one that is not are no errors: the client may repeat itself (§E.2, `Z`). */
#include "gdbstub/stub.h"

/* "TYPE,ADDR,KIND[;...]"; KIND is the length of watched data, and of no interest for code. */
static bool parse_point(const char *args, GdbPoint *p)
{
    uint64_t len;
    int type = *args++ - '0';
    if (type < DEBUG_SOFTWARE || type > DEBUG_WATCH_ACCESS || *args++ != ',' || !gdb_hex_number(&args, &p->at) ||
        *args++ != ',' || !gdb_hex_number(&args, &len) || (*args && *args != ';') || len > UINT32_MAX) {
        return false;
    }
    p->kind = (DebugKind)type; /* the protocol's numbers are in the same order */
    p->len = p->kind == DEBUG_SOFTWARE || p->kind == DEBUG_HARDWARE ? 1 : (unsigned)len;
    return true;
}

static GdbPoint *find(Stub *s, const GdbPoint *p, unsigned *index)
{
    for (unsigned i = 0; i < s->points->len; i++) {
        GdbPoint *q = &g_array_index(s->points, GdbPoint, i);
        if (q->kind == p->kind && q->at == p->at && q->len == p->len) {
            *index = i;
            return q;
        }
    }
    return NULL;
}

void gdb_cmd_Z(Stub *s, const char *args, size_t len)
{
    enum { POINTS_MAX = 65536 };
    GdbPoint p;
    unsigned i;
    g_autoptr(GError) error = NULL;
    if (!parse_point(args, &p) || s->points->len >= POINTS_MAX) {
        gdb_reply_error(s, GDB_EINVAL);
    } else if (find(s, &p, &i)) {
        gdb_reply_ok(s);
    } else if (debug_insert(cpu_at(s->look), p.kind, p.at, p.len, &error)) {
        g_array_append_val(s->points, p);
        gdb_reply_ok(s);
    } else {
        gdb_reply_error(s, GDB_EINVAL);
    }
}

void gdb_cmd_z(Stub *s, const char *args, size_t len)
{
    GdbPoint p;
    unsigned i;
    if (!parse_point(args, &p)) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    if (find(s, &p, &i)) {
        g_array_remove_index(s->points, i);
        debug_remove(cpu_at(s->look), p.kind, p.at, p.len, NULL);
    }
    gdb_reply_ok(s);
}

static bool is_code(const GdbPoint *p)
{
    return p->kind == DEBUG_SOFTWARE || p->kind == DEBUG_HARDWARE;
}

bool gdb_point_at(const Stub *s, uint64_t at)
{
    for (unsigned i = 0; i < s->points->len; i++) {
        const GdbPoint *p = &g_array_index(s->points, GdbPoint, i);
        if (is_code(p) && p->at == at) {
            return true;
        }
    }
    return false;
}

void gdb_points_lift(Stub *s, uint64_t at, bool out)
{
    for (unsigned i = 0; i < s->points->len; i++) {
        const GdbPoint *p = &g_array_index(s->points, GdbPoint, i);
        if (is_code(p) && p->at == at && out) {
            debug_remove(cpu_at(0), p->kind, p->at, p->len, NULL);
        } else if (is_code(p) && p->at == at) {
            debug_insert(cpu_at(0), p->kind, p->at, p->len, NULL);
        }
    }
}

void gdb_points_clear(Stub *s)
{
    g_array_set_size(s->points, 0);
    debug_remove_all(); /* steps and holds as well */
}
