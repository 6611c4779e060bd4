#include "cpu/blackbox/report.h"

#include <inttypes.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/loop.h"
#include "cpu/blackbox/explain.h"
#include "cpu/blackbox/print.h"
#include "cpu/disas.h"
#include "cpu/paging.h"

enum { VECTOR_UD = 6, VECTOR_DF = 8, VECTOR_TS = 10, VECTOR_GP = 13, VECTOR_PF = 14 };

/* ---- The chain ---- */

static void name_delivery(unsigned kind, unsigned vector, GString *out)
{
    const char *name = box_exception_name(vector);
    switch (kind) {
    case BOX_EXCEPTION: g_string_append_printf(out, "delivering %s", name ? name : "an exception"); break;
    case BOX_SOFTWARE: g_string_append_printf(out, "INT 0x%02x", vector); break;
    case BOX_NMI: g_string_append(out, "delivering an NMI"); break;
    default: g_string_append_printf(out, "delivering interrupt 0x%02x", vector);
    }
}

/* Without NX and SMEP the error code does not tell a fetch from a read. */
static bool is_fetch(const Cpu *c, const BoxFault *f)
{
    return c->box->open && f->during_kind == BOX_NONE && !(f->error & PF_W) &&
           f->address - cpu_linear_ip(&c->state) < DISAS_MAX_LENGTH;
}

static void name_fault(const Cpu *c, const BoxFault *f, GString *out)
{
    const char *name = box_exception_name(f->vector);
    if (f->vector == VECTOR_PF) {
        g_string_append_printf(out, "#PF at 0x%016" PRIx64 " (", f->address);
        box_page_fault_error(f->error | (is_fetch(c, f) ? PF_I : 0), out);
        g_string_append_printf(out, "; error code 0x%x)", f->error);
        return;
    }
    g_string_append(out, name ? name : "an exception");
    if (f->has_error) {
        g_string_append_printf(out, ", error code 0x%x", f->error);
        if (f->error) {
            g_string_append_c(out, ' ');
            box_selector_error(f->error, out);
        }
    }
}

static void name_consequence(const BlackBox *b, unsigned n, GString *out)
{
    if (n + 1 < b->faults) {
        const char *became = box_exception_name(b->chain[n + 1].during);
        if (b->chain[n + 1].during != b->chain[n].vector && became) {
            g_string_append_printf(out, " - both together are %s", became);
        }
    }
}

/* A fault whose handler has been entered: the registers are others now, but page tables and descriptors may still tell. */
static void explain_past(const Cpu *c, const BoxFault *f, GString *out)
{
    const BlackBox *b = c->box;
    bool selector = f->vector >= VECTOR_TS && f->vector <= VECTOR_GP && f->error & ~3u && !(f->error & 2);
    Cpu then = *c; /* for its state, to be read only */
    then.state.rip = b->chain_rip;
    if (f->vector == VECTOR_PF) {
        if (!explain_walk(c, f->address, explain_access(f->error, false), out)) {
            g_string_append(out, "the page tables allow it by now");
        }
    } else if (selector) {
        explain_selector(c, (uint16_t)(f->error & 0xfffc), out);
    } else if (f->vector != VECTOR_UD || c->state.seg[SEG_CS].selector != b->chain_cs ||
               !explain_instruction(&then, f, out)) {
        g_string_append(out, "its handler has been entered, and the registers that would tell why are others now");
    }
}

void box_print_chain(const Cpu *c, GString *out)
{
    const BlackBox *b = c->box;
    for (unsigned n = 0; b && n < b->faults; n++) {
        const BoxFault *f = &b->chain[n];
        g_string_append_printf(out, "  %u. ", n + 1);
        if (f->during_kind == BOX_NONE) {
            name_fault(c, f, out);
            g_string_append(out, " by the instruction at ");
            box_place(cpu_mode(&c->state), b->chain_cs, b->chain_rip, out);
        } else {
            name_delivery(f->during_kind, f->during, out);
            g_string_append(out, " raised ");
            name_fault(c, f, out);
        }
        name_consequence(b, n, out);
        g_string_append(out, ":\n       ");
        if (b->open || f->during_kind != BOX_NONE) {
            explain_fault(c, f, out);
        } else {
            explain_past(c, f, out);
        }
        g_string_append(out, ".\n");
    }
}

/* Without a chain (KVM tells of the end only; -blackbox off): what stands in the way of the exceptions that may have come.
 */
static void print_findings(const Cpu *c, GString *out)
{
    static const uint8_t vectors[] = {VECTOR_UD, VECTOR_GP, VECTOR_PF, VECTOR_DF};
    const CpuState *s = &c->state;
    g_autoptr(GString) why = g_string_new(NULL);
    g_string_append(out, "Which faults they were is not known here. What the state shows:\n");
    if (explain_walk(c, cpu_linear_ip(s), WALK_FETCH | (cpu_cpl(s) == 3 ? WALK_USER : 0), why)) {
        g_string_append_printf(out, "  - the instruction cannot be fetched: %s.\n", why->str);
        g_string_truncate(why, 0);
    }
    if (explain_suspect(c, why)) {
        g_string_append_printf(out, "  - the instruction may have raised %s.\n", why->str);
        g_string_truncate(why, 0);
    }
    if (cpu_paging(s) && s->cr2 &&
        (explain_walk(c, s->cr2, WALK_IMPLICIT, why) || explain_walk(c, s->cr2, WALK_IMPLICIT | WALK_WRITE, why))) {
        g_string_append_printf(out, "  - CR2, the address of the last #PF, is 0x%" PRIx64 ": %s.\n", s->cr2, why->str);
    }
    for (unsigned n = 0; n < sizeof(vectors); n++) {
        Refusal r;
        g_string_truncate(why, 0);
        bool refused = explain_delivery(c, BOX_EXCEPTION, vectors[n], vectors[n] != VECTOR_UD, &r, why);
        const char *raises = refused ? box_exception_name(r.vector) : NULL;
        g_string_append_printf(out, "  - %s %s%s%s%s.\n", box_exception_name(vectors[n]),
                               refused ? "could not be delivered (" : "could be delivered", raises ? raises : "",
                               refused ? "): " : "", why->str);
    }
}

/* ---- The surroundings ---- */

enum { BYTES_BEFORE = 40, INSNS_BEFORE = 4, INSNS_AFTER = 4, BYTES_SHOWN = 24 };

/* Instructions have no common alignment: of the places before RIP, the farthest from which decoding meets it exactly.
 * Returns how many of the last instructions there are, their addresses in `at`. */
static unsigned find_before(const Cpu *c, uint64_t rip, uint64_t at[INSNS_BEFORE])
{
    uint8_t code[BYTES_BEFORE];
    unsigned size = cpu_code_size(&c->state), have = 0;
    while (have < BYTES_BEFORE && have < rip &&
           cpu_memory_debug(c, rip - have - 1, &code[BYTES_BEFORE - have - 1], 1, false)) {
        have++;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned start = have; start; start--) {
        unsigned n = 0, left = start, len = 1;
        while (left && len) {
            len = disas_one(&code[BYTES_BEFORE - left], left, size, rip - left, text);
            memmove(at, at + 1, (INSNS_BEFORE - 1) * sizeof(*at));
            at[INSNS_BEFORE - 1] = rip - left;
            left -= len;
            n++;
        }
        if (!left && len) {
            n = MIN(n, INSNS_BEFORE);
            memmove(at, at + INSNS_BEFORE - n, n * sizeof(*at));
            return n;
        }
        g_string_truncate(text, 0);
    }
    return 0;
}

void box_print_code(const Cpu *c, GString *out)
{
    uint64_t rip = cpu_linear_ip(&c->state), at[INSNS_BEFORE] = {0};
    uint8_t byte;
    if (!cpu_memory_debug(c, rip, &byte, 1, false)) {
        g_string_append_printf(out, "  0x%" PRIx64 " cannot be read", rip);
        g_autoptr(GString) why = g_string_new(NULL);
        if (explain_walk(c, rip, WALK_FETCH, why)) {
            g_string_append_printf(out, ": %s", why->str);
        }
        g_string_append(out, ".\n");
        return;
    }
    unsigned n = find_before(c, rip, at);
    for (unsigned i = 0; i < n; i++) {
        g_string_append(out, "    ");
        disas_print(c, at[i], false, 1, out);
    }
    for (unsigned i = 0; i < INSNS_AFTER; i++) {
        g_string_append(out, i ? "    " : "  > ");
        rip = disas_print(c, rip, false, 1, out);
    }
}

static void print_bytes(const Cpu *c, const char *title, uint64_t at, unsigned count, unsigned unit, GString *out)
{
    g_string_append_printf(out, "%s 0x%" PRIx64 ":", title, at);
    for (unsigned n = 0; n < count; n++) {
        uint64_t v = 0;
        if (!cpu_memory_debug(c, at + n * unit, &v, unit, false)) {
            g_string_append(out, n ? " (no more can be read)" : " cannot be read");
            break;
        }
        g_string_append_printf(out, " %0*" PRIx64, 2 * unit, v);
    }
    g_string_append_c(out, '\n');
}

static void print_stack(const Cpu *c, GString *out)
{
    const CpuState *s = &c->state;
    unsigned size = cpu_stack_size(s), unit = cpu_code_size(s) / 8;
    uint64_t sp = size == 64 ? s->gpr[CPU_RSP] : s->gpr[CPU_RSP] & (size == 32 ? UINT32_MAX : 0xffff);
    print_bytes(c, "Stack at", size == 64 ? sp : (uint32_t)(s->seg[SEG_SS].base + sp), unit == 8 ? 6 : 12, unit, out);
}

static void print_gates(const Cpu *c, GString *out)
{
    const BlackBox *b = c->box;
    uint32_t shown = 0;
    bool untouched = cpu_mode(&c->state) != CPU_REAL && c->state.idtr.base == 0 && c->state.idtr.limit == 0x3ff;
    g_string_append_printf(out, "Gates (IDT at 0x%" PRIx64 ", limit 0x%x%s):\n", c->state.idtr.base, c->state.idtr.limit,
                           untouched ? ": still the vectors of real mode, no LIDT since" : "");
    for (unsigned n = 0; b && n < b->faults; n++) {
        unsigned vector = b->chain[n].during;
        if (b->chain[n].during_kind != BOX_NONE && (vector > 31 || !(shown >> vector & 1))) {
            shown |= vector < 32 ? 1u << vector : 0;
            g_string_append(out, "  ");
            explain_gate(c, vector, out);
            g_string_append_c(out, '\n');
        }
    }
    if (!shown) {
        static const uint8_t vectors[] = {VECTOR_DF, VECTOR_GP, VECTOR_PF};
        for (unsigned n = 0; n < sizeof(vectors); n++) {
            g_string_append(out, "  ");
            explain_gate(c, vectors[n], out);
            g_string_append_c(out, '\n');
        }
    }
}

static bool any_page_fault(const BlackBox *b, uint64_t *address)
{
    for (unsigned n = 0; b && n < b->faults; n++) {
        if (b->chain[n].vector == VECTOR_PF) {
            *address = b->chain[n].address;
            return true;
        }
    }
    return false;
}

static void print_walks(const Cpu *c, GString *out)
{
    uint64_t address = c->state.cr2, rip = cpu_linear_ip(&c->state);
    if (!cpu_paging(&c->state)) {
        return;
    }
    g_string_append_printf(out, "Page walk of RIP 0x%" PRIx64 " (CR3 0x%" PRIx64 "):\n", rip, c->state.cr3);
    explain_walk_entries(c, rip, "  ", out);
    if ((any_page_fault(c->box, &address) || (!c->box && address)) && address != rip) {
        g_string_append_printf(out, "Page walk of 0x%" PRIx64 ":\n", address);
        explain_walk_entries(c, address, "  ", out);
    }
}

static void print_last_events(const Cpu *c, unsigned most, GString *out)
{
    if (!c->box) {
        return;
    }
    g_autoptr(GArray) events = box_read(c->box);
    g_string_append(out, "Last events, newest last (info blackbox has more):\n");
    for (guint n = events->len > most ? events->len - most : 0; n < events->len; n++) {
        g_string_append(out, "  ");
        box_event_print(c->box, &g_array_index(events, BoxEvent, n), out);
    }
}

/* ---- The report ---- */

static void print_title(const Cpu *c, const char *what, GString *out)
{
    const CpuState *s = &c->state;
    g_string_append_printf(out, "CPU %u: %s at ", c->index, what);
    box_place(cpu_mode(s), s->seg[SEG_CS].selector, s->rip, out);
    g_string_append_printf(out, " (%s mode, CPL %u)", box_mode_name(cpu_mode(s)), cpu_cpl(s));
}

static bool has_chain(const Cpu *c)
{
    return c->box && c->box->open && c->box->faults;
}

/* Kernels reboot by an INT, or UD2, after they have loaded an empty IDT. */
static bool is_deliberate(const Cpu *c)
{
    uint8_t code[2] = {0};
    unsigned gate = cpu_mode(&c->state) == CPU_REAL ? 4 : 8;
    cpu_memory_debug(c, cpu_linear_ip(&c->state), code, 2, false);
    bool ud2 = code[0] == 0x0f && code[1] == 0x0b, interrupt = code[0] == 0xcc || code[0] == 0xcd;
    if (c->state.idtr.limit >= gate - 1) {
        return false;
    }
    if (has_chain(c)) {
        const BoxFault *f = &c->box->chain[0];
        return f->during_kind == BOX_SOFTWARE || (f->during_kind == BOX_NONE && f->vector == VECTOR_UD && ud2);
    }
    return ud2 || interrupt;
}

static void print_report(const Cpu *c, GString *out)
{
    static const char *const what[] = {"triple fault", "machine check while CR4.MCE is clear", "RSM found an invalid state"};
    bool a20 = !cpu_platform.a20 || cpu_platform.a20(), chain = has_chain(c);
    BoxShutdown why = chain || !c->box ? BOX_TRIPLE_FAULT : c->box->shutdown;
    if (is_deliberate(c)) {
        print_title(c, "reset by a deliberate triple fault", out);
        g_string_append(out, ": an interrupt instruction with an empty IDT\n");
        return;
    }
    print_title(c, what[why], out);
    g_string_append(out, "; the CPU shuts down and the machine resets\n");
    if (chain) {
        box_print_chain(c, out);
    } else if (why == BOX_TRIPLE_FAULT) {
        print_findings(c, out);
    }
    g_string_append(out, "Registers:\n");
    cpu_state_print(&c->state, out, 0, a20, c->halted);
    g_string_append(out, "Code:\n");
    box_print_code(c, out);
    print_bytes(c, "Bytes at RIP", cpu_linear_ip(&c->state), BYTES_SHOWN, 1, out);
    print_stack(c, out);
    print_gates(c, out);
    print_walks(c, out);
    print_last_events(c, 16, out);
}

static GMutex mutex; /* guards the following */
static char *last_report;
static int64_t logged_at;
static unsigned unlogged;

char *box_last_report(void)
{
    g_mutex_lock(&mutex);
    char *text = g_strdup(last_report);
    g_mutex_unlock(&mutex);
    return text;
}

void box_report_shutdown(Cpu *c)
{
    GString *text = g_string_new(NULL);
    loop_lock();
    print_report(c, text);
    loop_unlock();
    int64_t now = clock_now(CLOCK_RT);
    g_mutex_lock(&mutex);
    bool log = !logged_at || now - logged_at >= NS_PER_SECOND;
    unsigned skipped = log ? unlogged : 0;
    logged_at = log ? now : logged_at;
    unlogged = log ? 0 : unlogged + 1;
    g_free(last_report);
    last_report = g_strdup(text->str);
    g_mutex_unlock(&mutex);
    if (skipped) {
        log_printf("%u more triple faults since the last report", skipped);
    }
    if (log) {
        log_printf("%s", text->str);
    }
    g_string_free(text, TRUE);
}

void box_log_page_fault(const Cpu *c, uint64_t address, uint32_t error)
{
    g_autoptr(GString) line = g_string_new(NULL);
    BoxFault f = {.vector = VECTOR_PF, .has_error = true, .error = error, .address = address};
    g_string_append_printf(line, "mmu: cpu %u #PF at 0x%016" PRIx64 " (", c->index, address);
    box_page_fault_error(error, line);
    g_string_append(line, ") ip=");
    box_place(cpu_mode(&c->state), c->state.seg[SEG_CS].selector, c->state.rip, line);
    g_string_append(line, ": ");
    if (!explain_instruction(c, &f, line)) {
        g_string_append(line, "the tables would allow it by now");
    }
    log_printf("%s\n", line->str);
}
