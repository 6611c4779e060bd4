/* Guest debugging: the lists of points and who is stepped or held, and INT3s in guest memory where the accelerator needs them.
 *
 * The lists are looked at with the main lock.  Accelerators that look for points themselves keep copies, so what they have met is
 * judged here once more: a point that is gone meanwhile was not met. */
#include "accel/debug.h"

#include <inttypes.h>

#include "accel/accel.h"
#include "core/clock.h"
#include "core/runstate.h"
#include "cpu/paging.h"

enum { MAX_HARDWARE = 4, INT3 = 0xcc };

DebugStop debug_stop;
static GArray *points; /* of DebugPoint */
static unsigned last_trace;
static bool stepping[CPU_MOST];
static unsigned step_flags = DEBUG_STEP_NOIRQ | DEBUG_STEP_NOTIMER;
static bool stop_told; /* the machine has stopped for debug_stop */

bool debug_wanted(void)
{
    return debug_count() != 0;
}

bool debug_stepping(const Cpu *c)
{
    return c->index < G_N_ELEMENTS(stepping) && stepping[c->index];
}

unsigned debug_count(void)
{
    return points ? points->len : 0;
}

static DebugPoint *point_at(unsigned i)
{
    return &g_array_index(points, DebugPoint, i);
}

const DebugPoint *debug_point(unsigned i)
{
    return point_at(i);
}

bool debug_software_at(uint64_t linear)
{
    for (unsigned i = 0; i < debug_count(); i++) {
        if (point_at(i)->kind == DEBUG_SOFTWARE && point_at(i)->at == linear) {
            return true;
        }
    }
    return false;
}

unsigned debug_hardware(DebugPoint out[MAX_HARDWARE])
{
    unsigned n = 0;
    for (unsigned pass = 0; pass < 3; pass++) {
        for (unsigned i = 0; i < debug_count() && n < MAX_HARDWARE; i++) {
            const DebugPoint *p = point_at(i);
            unsigned turn = p->kind != DEBUG_SOFTWARE ? 0 : p->planted ? 2 : 1;
            if (turn == pass) {
                out[n++] = *p;
            }
        }
    }
    return n;
}

static unsigned hardware_used(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < debug_count(); i++) {
        n += point_at(i)->kind != DEBUG_SOFTWARE;
    }
    return n;
}

/* No INT3s and no registers: the accelerator finds any number of points by itself. */
static bool accel_looks(void)
{
    return accel->looks && accel->looks();
}

/* ---- Telling the CPUs ---- */

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

/* The same without waiting: CPUs may be on their way here. */
static void apply_soon(void)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        atomic_store(&cpu_at(i)->points_stale, true);
        if (cpu_ops.kick) {
            cpu_ops.kick(cpu_at(i));
        }
    }
}

/* ---- Memory at linear addresses ---- */

bool debug_translate(Cpu *c, uint64_t linear, uint64_t *physical)
{
    cpu_sync(c);
    return cpu_translate_debug(c, linear, physical);
}

bool debug_read(Cpu *c, uint64_t linear, void *buf, size_t len)
{
    cpu_sync(c);
    return cpu_memory_debug(c, linear, buf, len, false);
}

bool debug_write(Cpu *c, uint64_t linear, const void *buf, size_t len)
{
    cpu_sync(c);
    return cpu_memory_debug(c, linear, (void *)buf, len, true);
}

static bool is_planted(const DebugPoint *p, Space *space)
{
    uint8_t now;
    return p->planted && space_peek(space, p->physical, &now, 1) && now == INT3;
}

bool debug_memory(Space *space, uint64_t physical, void *buf, size_t len, bool write)
{
    uint8_t *bytes = buf;
    g_autofree uint8_t *copy = write && debug_wanted() ? g_memdup2(buf, len) : NULL;
    if (!write && !space_peek(space, physical, buf, len)) {
        return false;
    }
    for (unsigned i = 0; i < debug_count(); i++) {
        DebugPoint *p = point_at(i);
        if (p->physical - physical >= len || !is_planted(p, space)) {
            continue;
        }
        if (write) {
            p->saved = bytes[p->physical - physical];
            copy[p->physical - physical] = INT3;
        } else {
            bytes[p->physical - physical] = p->saved;
        }
    }
    return !write || space_write_rom(space, physical, copy ? copy : buf, len);
}

/* ---- INT3s ---- */

/* Where there is memory, and it is not there already; a loader may have overwritten it. */
static void plant(Cpu *c, DebugPoint *p)
{
    const uint8_t int3 = INT3;
    uint64_t at = p->physical;
    uint8_t now;
    if (is_planted(p, c->memory) || (!p->planted && !debug_translate(c, p->at, &at)) ||
        !debug_memory(c->memory, at, &now, 1, false)) { /* two points may share an address: both have the guest's byte */
        return;
    }
    p->saved = now;
    p->physical = at;
    p->planted = space_write_rom(c->memory, at, &int3, 1);
}

/* The guest may have written there meanwhile: then its byte stays. */
static void unplant(Cpu *c, DebugPoint *p)
{
    if (is_planted(p, c->memory)) {
        space_write_rom(c->memory, p->physical, &p->saved, 1);
    }
    p->planted = false;
}

/* By the page tables of `first`, else of whoever has the address.  A CPU's own thread does not ask others. */
static void plant_all(Cpu *first)
{
    for (unsigned i = 0; accel && accel->guest_debug && !accel_looks() && i < debug_count(); i++) {
        DebugPoint *p = point_at(i);
        for (unsigned k = 0; p->kind == DEBUG_SOFTWARE && k <= cpu_count(); k++) {
            Cpu *c = k ? cpu_at(k - 1) : first;
            if (c && (!cpu_current() || c == cpu_current())) {
                plant(c, p);
            }
            if (p->planted) {
                break;
            }
        }
    }
}

void debug_plant(Cpu *c)
{
    plant_all(c);
}

bool debug_planted(uint64_t linear, uint8_t *own)
{
    for (unsigned i = 0; i < debug_count(); i++) {
        if (point_at(i)->at == linear && point_at(i)->planted) {
            *own = point_at(i)->saved;
            return true;
        }
    }
    return false;
}

void debug_lift(uint64_t linear)
{
    for (unsigned i = 0; i < debug_count(); i++) {
        if (point_at(i)->at == linear && point_at(i)->planted) {
            unplant(cpu_at(0), point_at(i));
        }
    }
}

/* ---- Points ---- */

static bool may_insert(DebugKind kind, uint64_t at, unsigned len, GError **error)
{
    if (!accel || !accel->guest_debug) {
        return error_fail(error, "this accelerator has no guest debugging");
    }
    if (!debug_is_code(kind) && at + len - 1 < at) {
        return error_fail(error, "a watchpoint of %u bytes at %#" PRIx64 " goes beyond the end of the address space", len, at);
    }
    if (accel_looks() || kind == DEBUG_SOFTWARE) {
        return true;
    }
    if (hardware_used() == MAX_HARDWARE) {
        return error_fail(error, "all %d debug registers are in use", MAX_HARDWARE);
    }
    if (len > 8 || len & (len - 1) || at & (len - 1)) {
        return error_fail(error, "a watchpoint has 1, 2, 4 or 8 bytes and is aligned to its size");
    }
    return true;
}

static bool same_point(const DebugPoint *p, DebugKind kind, uint64_t at, unsigned len)
{
    return p->kind == kind && p->at == at && (debug_is_code(kind) || p->len == len);
}

static void add_point(DebugPoint p)
{
    if (!points) {
        points = g_array_new(FALSE, FALSE, sizeof(DebugPoint));
    }
    g_array_append_val(points, p);
}

static void drop_point(unsigned i)
{
    unplant(cpu_at(0), point_at(i));
    g_array_remove_index(points, i);
    plant_all(cpu_at(0)); /* another of the same address */
}

bool debug_insert(Cpu *c, DebugKind kind, uint64_t at, unsigned len, GError **error)
{
    len = len ? len : 1;
    if (!may_insert(kind, at, len, error)) {
        return false;
    }
    for (unsigned i = 0; i < debug_count(); i++) {
        if (!point_at(i)->trace && same_point(point_at(i), kind, at, len)) {
            return error_fail(error, "there is a %s at %#" PRIx64 " already", debug_is_code(kind) ? "breakpoint" : "watchpoint",
                              at);
        }
    }
    add_point((DebugPoint){.kind = kind, .len = len, .at = at});
    plant_all(c);
    if (!apply(error)) {
        drop_point(points->len - 1);
        return false;
    }
    return true;
}

bool debug_remove(Cpu *c, DebugKind kind, uint64_t at, unsigned len, GError **error)
{
    for (unsigned i = 0; i < debug_count(); i++) {
        if (!point_at(i)->trace && same_point(point_at(i), kind, at, len ? len : 1)) {
            drop_point(i);
            return apply(error);
        }
    }
    return error_fail(error, "there is no such %s at %#" PRIx64, debug_is_code(kind) ? "breakpoint" : "watchpoint", at);
}

bool debug_trace_insert(const DebugTrace *t, unsigned *id, GError **error)
{
    unsigned len = t->len ? t->len : 1;
    if (!may_insert(t->kind, t->at, len, error)) {
        return false;
    }
    *id = ++last_trace;
    add_point((DebugPoint){.kind = t->kind, .len = len, .at = t->at, .trace = *id, .hit = t->hit, .arg = t->arg});
    if (cpu_count()) {
        plant_all(cpu_at(0));
    }
    apply_soon();
    return true;
}

bool debug_trace_remove(unsigned id)
{
    for (unsigned i = 0; id && i < debug_count(); i++) {
        if (point_at(i)->trace == id) {
            drop_point(i);
            apply_soon();
            return true;
        }
    }
    return false;
}

void debug_remove_all(void)
{
    for (unsigned i = debug_count(); i-- > 0;) {
        if (!point_at(i)->trace) {
            drop_point(i);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(stepping); i++) {
        stepping[i] = false;
    }
    clock_hold(false);
    apply(NULL);
    for (unsigned i = 0; i < cpu_count(); i++) {
        debug_hold(cpu_at(i), false);
    }
}

/* ---- Steps and holds ---- */

static void hold_clock(void)
{
    bool any = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(stepping); i++) {
        any |= stepping[i];
    }
    clock_hold(any && step_flags & DEBUG_STEP_NOTIMER);
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
    }
    hold_clock();
    return !failure;
}

void debug_forget(const Cpu *c)
{
    if (debug_stop.cpu == c) {
        debug_stop.cpu = NULL;
    }
    stepping[c->index] = false;
    hold_clock();
}

void debug_set_step_flags(unsigned flags)
{
    step_flags = flags & (DEBUG_STEP_NOIRQ | DEBUG_STEP_NOTIMER);
    hold_clock();
    if (accel && accel->guest_debug) {
        apply(NULL);
    }
}

unsigned debug_step_flags(void)
{
    return step_flags;
}

void debug_hold(Cpu *c, bool hold)
{
    bool held = atomic_exchange(&c->held, hold);
    if (held && !hold && runstate_running()) {
        accel_continue_cpu(c);
    }
}

/* ---- What CPUs have met ---- */

static DebugMeeting halt_for(DebugStop stop)
{
    if (debug_stop.cpu && debug_stop.cpu != stop.cpu) {
        return DEBUG_LATER;
    }
    debug_stop = stop;
    stop_told = false;
    machine_request_stop(RUN_DEBUG);
    return DEBUG_HALT;
}

/* A trace point's function may insert and remove others: the ids that were there first are called. */
static void call_traces(Cpu *c, uint64_t at)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(unsigned));
    for (unsigned i = 0; i < debug_count(); i++) {
        const DebugPoint *p = point_at(i);
        if (p->trace && debug_is_code(p->kind) && p->at == at) {
            g_array_append_val(ids, p->trace);
        }
    }
    for (unsigned k = 0; k < ids->len; k++) {
        for (unsigned i = 0; i < debug_count(); i++) {
            const DebugPoint *p = point_at(i);
            if (p->trace == g_array_index(ids, unsigned, k)) {
                p->hit(p->arg, c, at);
                break;
            }
        }
    }
}

DebugMeeting debug_meet_code(Cpu *c, uint64_t at, bool told, bool is_stepping)
{
    if (!told) {
        call_traces(c, at);
    }
    for (unsigned i = 0; !is_stepping && i < debug_count(); i++) {
        const DebugPoint *p = point_at(i);
        if (!p->trace && debug_is_code(p->kind) && p->at == at) {
            return halt_for((DebugStop){.cpu = c, .why = DEBUG_STOP_BREAK, .kind = p->kind, .at = at});
        }
    }
    return DEBUG_GO_ON;
}

DebugMeeting debug_meet_data(Cpu *c, const DebugPoint *met, uint64_t touched)
{
    for (unsigned i = 0; i < debug_count(); i++) {
        const DebugPoint *p = point_at(i);
        if (p->trace != met->trace || !same_point(p, met->kind, met->at, met->len)) {
            continue;
        }
        if (p->trace) {
            p->hit(p->arg, c, touched);
            return DEBUG_GO_ON;
        }
        return halt_for((DebugStop){.cpu = c, .why = DEBUG_STOP_WATCH, .kind = p->kind, .at = touched});
    }
    return DEBUG_GO_ON;
}

DebugMeeting debug_meet_step(Cpu *c)
{
    if (!debug_stepping(c)) {
        return DEBUG_GO_ON;
    }
    return halt_for((DebugStop){.cpu = c, .why = DEBUG_STOP_STEP, .at = cpu_linear_ip(&c->state)});
}

bool debug_idle(Cpu *c)
{
    return step_flags & DEBUG_STEP_NOIRQ && debug_meet_step(c) != DEBUG_GO_ON;
}

void debug_machine(bool running, bool by_debugger)
{
    if (!running) {
        stop_told |= by_debugger;
        return;
    }
    if (stop_told) {
        debug_stop = (DebugStop){0};
        stop_told = false;
    }
    if (debug_wanted()) {
        plant_all(cpu_at(0));
    }
}
