/* Guest debugging: the list of breakpoints, and INT3s in guest memory. */
#include "accel/debug.h"

#include <inttypes.h>

#include "accel/accel.h"
#include "mem/ram.h"

enum { MAX_HARDWARE = 4, INT3 = 0xcc };

DebugStop debug_stop;
static GArray *points; /* of DebugPoint */
static bool stepping[256];

bool debug_wanted(void)
{
    return points && points->len;
}
bool debug_stepping(const Cpu *c)
{
    return c->index < G_N_ELEMENTS(stepping) && stepping[c->index];
}

static DebugPoint *point_at(unsigned i)
{
    return &g_array_index(points, DebugPoint, i);
}

bool debug_software_at(uint64_t linear)
{
    for (unsigned i = 0; points && i < points->len; i++) {
        if (point_at(i)->kind == DEBUG_SOFTWARE && point_at(i)->at == linear) {
            return true;
        }
    }
    return false;
}

unsigned debug_hardware(DebugPoint out[MAX_HARDWARE])
{
    unsigned n = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; points && i < points->len && n < MAX_HARDWARE; i++) {
            if ((point_at(i)->kind == DEBUG_SOFTWARE) == pass) {
                out[n++] = *point_at(i);
            }
        }
    }
    return n;
}

static unsigned hardware_used(void)
{
    unsigned n = 0;
    for (unsigned i = 0; points && i < points->len; i++) {
        n += point_at(i)->kind != DEBUG_SOFTWARE;
    }
    return n;
}

/* Tell the CPUs. */
static void apply_one(Cpu *c, void *arg)
{
    GError **error = arg;
    if (accel && accel->guest_debug && !(error && *error)) {
        accel->guest_debug(c, error);
    }
}

static bool apply(GError **error)
{
    g_autoptr(GError) first = NULL;
    for (unsigned i = 0; i < cpu_count() && !first; i++) {
        cpu_run_on(cpu_at(i), apply_one, &first);
    }
    if (first) {
        g_propagate_error(error, g_steal_pointer(&first));
        return false;
    }
    return true;
}

/* ---- Memory at linear addresses ---- */

bool debug_translate(Cpu *c, uint64_t linear, uint64_t *physical)
{
    cpu_sync(c);
    if (!cpu_paging(&c->state)) {
        *physical = linear;
        return true;
    }
    return accel && accel->translate && accel->translate(c, linear, physical);
}

static bool debug_copy(Cpu *c, uint64_t linear, uint8_t *buf, size_t len, bool write)
{
    while (len) {
        size_t part = MIN(len, RAM_PAGE - (linear & (RAM_PAGE - 1)));
        uint64_t physical;
        if (!debug_translate(c, linear, &physical) ||
            !(write ? space_write_rom(c->memory, physical, buf, part)
                    : space_peek(c->memory, physical, buf, part))) {
            return false;
        }
        linear += part;
        buf += part;
        len -= part;
    }
    return true;
}

bool debug_read(Cpu *c, uint64_t linear, void *buf, size_t len)
{
    return debug_copy(c, linear, buf, len, false);
}
bool debug_write(Cpu *c, uint64_t linear, const void *buf, size_t len)
{
    return debug_copy(c, linear, (void *)buf, len, true);
}

/* ---- Breakpoints ---- */

static bool plant(Cpu *c, DebugPoint *p, GError **error)
{
    const uint8_t int3 = INT3;
    if (!debug_translate(c, p->at, &p->physical) ||
        !space_peek(c->memory, p->physical, &p->saved, 1) ||
        !space_write_rom(c->memory, p->physical, &int3, 1)) {
        return error_fail(error, "no memory at %#" PRIx64 " for a breakpoint", p->at);
    }
    return true;
}

/* The guest may have written there meanwhile: then its byte stays. */
static void unplant(Cpu *c, const DebugPoint *p)
{
    uint8_t now;
    if (p->kind == DEBUG_SOFTWARE && space_peek(c->memory, p->physical, &now, 1) && now == INT3) {
        space_write_rom(c->memory, p->physical, &p->saved, 1);
    }
}

bool debug_insert(Cpu *c, DebugKind kind, uint64_t at, unsigned len, GError **error)
{
    DebugPoint p = {.kind = kind, .len = len ? len : 1, .at = at};
    if (!accel || !accel->guest_debug) {
        return error_fail(error, "this accelerator has no guest debugging");
    }
    if (!points) {
        points = g_array_new(FALSE, FALSE, sizeof(DebugPoint));
    }
    if (kind == DEBUG_SOFTWARE && debug_software_at(at)) {
        return error_fail(error, "there is a breakpoint at %#" PRIx64 " already", at);
    }
    if (kind != DEBUG_SOFTWARE && hardware_used() == MAX_HARDWARE) {
        return error_fail(error, "all %d debug registers are in use", MAX_HARDWARE);
    }
    if (kind != DEBUG_SOFTWARE && (p.len > 8 || p.len & (p.len - 1) || at & (p.len - 1))) {
        return error_fail(error, "a watchpoint has 1, 2, 4 or 8 bytes and is aligned to its size");
    }
    if (kind == DEBUG_SOFTWARE && !plant(c, &p, error)) {
        return false;
    }
    g_array_append_val(points, p);
    if (!apply(error)) {
        unplant(c, &p);
        g_array_set_size(points, points->len - 1);
        return false;
    }
    return true;
}

bool debug_remove(Cpu *c, DebugKind kind, uint64_t at, unsigned len, GError **error)
{
    for (unsigned i = 0; points && i < points->len; i++) {
        const DebugPoint *p = point_at(i);
        if (p->kind == kind && p->at == at &&
            (kind == DEBUG_SOFTWARE || p->len == (len ? len : 1))) {
            unplant(c, p);
            g_array_remove_index(points, i);
            return apply(error);
        }
    }
    return error_fail(error, "there is no such breakpoint at %#" PRIx64, at);
}

void debug_remove_all(void)
{
    for (unsigned i = 0; points && i < points->len; i++) {
        unplant(cpu_at(0), point_at(i));
    }
    if (points) {
        g_array_set_size(points, 0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(stepping); i++) {
        stepping[i] = false;
    }
    apply(NULL);
}

bool debug_step(Cpu *c, bool on, GError **error)
{
    if (!accel || !accel->guest_debug || c->index >= G_N_ELEMENTS(stepping)) {
        return error_fail(error, "this accelerator has no guest debugging");
    }
    g_autoptr(GError) failure = NULL;
    stepping[c->index] = on;
    cpu_run_on(c, apply_one, &failure);
    if (failure) {
        stepping[c->index] = false;
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return true;
}
