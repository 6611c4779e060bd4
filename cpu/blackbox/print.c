#include "cpu/blackbox/print.h"

#include <inttypes.h>
#include <x86intrin.h>

#include "core/clock.h"
#include "cpu/msr.h"
#include "cpu/paging.h"

/* ---- Names ---- */

const char *box_exception_name(unsigned vector)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL,
                                        "#TS", "#NP", "#SS", "#GP", "#PF", NULL,  "#MF", "#AC", "#MC", "#XM"};
    return vector < G_N_ELEMENTS(names) ? names[vector] : NULL;
}

const char *box_mode_name(unsigned mode)
{
    static const char *const names[] = {"real", "virtual-8086", "protected", "compatibility", "64-bit"};
    return mode < G_N_ELEMENTS(names) ? names[mode] : "?";
}

bool box_msr_name(uint32_t index, GString *out)
{
    unsigned element = 0;
    if (index >= MSR_X2APIC && index <= MSR_X2APIC_LAST) {
        g_string_append_printf(out, "x2apic register 0x%02x", index - MSR_X2APIC);
        return true;
    }
    const Msr *m = msr_find(index, &element);
    if (m) {
        g_string_append(out, m->name);
        if (m->count > 1) {
            g_string_append_printf(out, "%u", element);
        }
    }
    return m;
}

typedef struct Bit {
    uint64_t bit;
    const char *name;
} Bit;

// clang-format off
static const Bit cr0_bits[] = {
    {CR0_PE, "PE"}, {CR0_MP, "MP"}, {CR0_EM, "EM"}, {CR0_TS, "TS"}, {CR0_ET, "ET"}, {CR0_NE, "NE"}, {CR0_WP, "WP"},
    {CR0_AM, "AM"}, {CR0_NW, "NW"}, {CR0_CD, "CD"}, {CR0_PG, "PG"}, {0},
};
static const Bit cr4_bits[] = {
    {CR4_VME, "VME"}, {CR4_PVI, "PVI"}, {CR4_TSD, "TSD"}, {CR4_DE, "DE"}, {CR4_PSE, "PSE"}, {CR4_PAE, "PAE"}, {CR4_MCE, "MCE"},
    {CR4_PGE, "PGE"}, {CR4_PCE, "PCE"}, {CR4_OSFXSR, "OSFXSR"}, {CR4_OSXMMEXCPT, "OSXMMEXCPT"}, {CR4_UMIP, "UMIP"},
    {CR4_LA57, "LA57"}, {CR4_VMXE, "VMXE"}, {CR4_SMXE, "SMXE"}, {CR4_FSGSBASE, "FSGSBASE"}, {CR4_PCIDE, "PCIDE"},
    {CR4_OSXSAVE, "OSXSAVE"}, {CR4_SMEP, "SMEP"}, {CR4_SMAP, "SMAP"}, {CR4_PKE, "PKE"}, {CR4_CET, "CET"}, {CR4_PKS, "PKS"}, {0},
};
static const Bit xcr0_bits[] = {
    {XSTATE_FP, "FP"}, {XSTATE_SSE, "SSE"}, {XSTATE_AVX, "AVX"}, {XSTATE_PKRU, "PKRU"}, {0},
};
static const Bit efer_bits[] = {
    {EFER_SCE, "SCE"}, {EFER_LME, "LME"}, {EFER_LMA, "LMA"}, {EFER_NXE, "NXE"}, {EFER_SVME, "SVME"}, {EFER_LMSLE, "LMSLE"},
    {EFER_FFXSR, "FFXSR"}, {EFER_TCE, "TCE"}, {0},
};
// clang-format on

void box_bits_changed(unsigned cr, uint64_t old, uint64_t new, GString *out)
{
    const Bit *bits = cr == 0          ? cr0_bits
                      : cr == 4        ? cr4_bits
                      : cr == BOX_XCR0 ? xcr0_bits
                      : cr == BOX_EFER ? efer_bits
                                       : NULL;
    uint64_t changed = old ^ new;
    for (; bits && bits->bit; bits++) {
        if (changed & bits->bit) {
            g_string_append_printf(out, " %c%s", new & bits->bit ? '+' : '-', bits->name);
        }
        changed &= ~bits->bit;
    }
    if (bits && changed) {
        g_string_append_printf(out, " (other bits: 0x%" PRIx64 ")", changed);
    }
}

/* SDM vol 3 §6.13. */
void box_selector_error(uint32_t error, GString *out)
{
    enum { EXT = 1, IDT = 2, TI = 4 };
    unsigned index = error >> 3 & 0x1fff;
    if (!error) {
        return;
    }
    if (error & IDT) {
        const char *name = box_exception_name(index);
        g_string_append_printf(out, "(IDT entry %u%s%s", index, name ? " " : "", name ? name : "");
    } else if (error & ~EXT) {
        g_string_append_printf(out, "(selector 0x%x, %s entry %u", error & 0xfffc, error & TI ? "LDT" : "GDT", index);
    } else {
        g_string_append(out, "(no selector");
    }
    g_string_append(out, error & EXT ? ", while an event was delivered)" : ")");
}

void box_page_fault_error(uint32_t error, GString *out)
{
    g_string_append_printf(out, "%s, %s, %s",
                           error & PF_I   ? "instruction fetch"
                           : error & PF_W ? "write"
                                          : "read",
                           error & PF_U ? "user" : "supervisor",
                           error & PF_RSVD ? "reserved bits"
                           : error & PF_PK ? "protection key"
                           : error & PF_P  ? "page protection"
                                           : "page not present");
}

void box_place(unsigned mode, uint16_t cs, uint64_t rip, GString *out)
{
    if (mode == BOX_UNKNOWN) {
        g_string_append(out, "?");
    } else {
        g_string_append_printf(out, "%04x:%0*" PRIx64, cs, mode == CPU_LONG ? 16 : mode <= CPU_VM86 ? 4 : 8, rip);
    }
}

/* ---- Time ---- */

/* The counter is compared with the clock when somebody asks, which costs the writer nothing. */
static uint64_t first_tsc;
static int64_t first_ns;

void box_clock_start(void)
{
    if (!first_tsc) {
        first_tsc = __rdtsc();
        first_ns = clock_now(CLOCK_RT);
    }
}

int64_t box_time_ns(const BlackBox *b, uint64_t time)
{
    if (b->instructions) {
        return (int64_t)time;
    }
    double ticks = (double)(__rdtsc() - first_tsc), ns = (double)(clock_now(CLOCK_RT) - first_ns);
    return ticks > 0 ? (int64_t)((double)(int64_t)(time - first_tsc) * ns / ticks) : 0;
}

static void print_time(const BlackBox *b, uint64_t time, GString *out)
{
    int64_t t = box_time_ns(b, time);
    if (b->instructions) {
        g_string_append_printf(out, "%12" PRId64, t);
    } else {
        g_string_append_printf(out, "%5" PRId64 ".%06d", t / NS_PER_SECOND, (int)(t % NS_PER_SECOND / 1000));
    }
}

/* ---- Events ---- */

static void print_vector(const char *what, unsigned vector, GString *out)
{
    g_string_append_printf(out, "%s 0x%02x", what, vector);
}

static void print_during(unsigned kind, unsigned vector, GString *out)
{
    const char *name = box_exception_name(vector);
    switch (kind) {
    case BOX_NONE: break;
    case BOX_EXCEPTION: g_string_append_printf(out, ", raised while %s was delivered", name ? name : "an exception"); break;
    default: g_string_append_printf(out, ", raised while interrupt 0x%02x was delivered", vector);
    }
}

static void print_exception(const BoxEvent *e, GString *out)
{
    const char *name = box_exception_name(e->what);
    if (name) {
        g_string_append(out, name);
    } else {
        print_vector("exception", e->what, out);
    }
    if (e->size) {
        g_string_append_printf(out, " error 0x%x", e->error);
    }
    if (e->what == 14) {
        g_string_append_printf(out, " at 0x%" PRIx64 " (", e->value);
        box_page_fault_error(e->error, out);
        g_string_append_c(out, ')');
    } else if (e->size && e->error) {
        g_string_append_c(out, ' ');
        box_selector_error(e->error, out);
    }
    print_during(e->during_kind, e->during, out);
}

static void print_port(const BoxEvent *e, GString *out)
{
    const FlatRange *r = space_find(space_io(), e->what);
    g_string_append_printf(out, "%s 0x%x", e->kind == BOX_IN ? "IN" : "OUT", e->what);
    if (r) {
        g_string_append_printf(out, " (%s)", region_name(r->region));
    }
    g_string_append_printf(out, "%s 0x%0*" PRIx64, e->kind == BOX_IN ? " gave" : " =", 2 * e->size, e->value);
}

static void print_cr(const BoxEvent *e, GString *out)
{
    if (e->what == BOX_XCR0) {
        g_string_append_printf(out, "XCR0 = 0x%" PRIx64, e->value);
    } else {
        g_string_append_printf(out, "CR%u = 0x%" PRIx64, e->what, e->value);
    }
    box_bits_changed(e->what, e->old, e->value, out);
}

static void print_msr(const BoxEvent *e, GString *out)
{
    g_autoptr(GString) name = g_string_new(NULL);
    bool known = box_msr_name(e->what, name);
    g_string_append_printf(out, "WRMSR 0x%x%s%s%s = 0x%" PRIx64, e->what, known ? " (" : "", name->str, known ? ")" : "",
                           e->value);
    if (e->what == MSR_EFER) {
        box_bits_changed(BOX_EFER, e->old, e->value, out);
    }
}

static void print_shutdown(const BoxEvent *e, GString *out)
{
    static const char *const why[] = {"triple fault", "shutdown: machine check while CR4.MCE is clear",
                                      "shutdown: RSM found an invalid state"};
    g_string_append(out, e->what < G_N_ELEMENTS(why) ? why[e->what] : "shutdown");
}

void box_event_text(const BoxEvent *e, GString *out)
{
    switch ((BoxKind)e->kind) {
    case BOX_EXCEPTION: print_exception(e, out); break;
    case BOX_INTERRUPT: print_vector("interrupt", e->what, out); break;
    case BOX_SOFTWARE: print_vector("INT", e->what, out); break;
    case BOX_NMI: g_string_append(out, "NMI"); break;
    case BOX_SMI: g_string_append(out, "SMI: into system-management mode"); break;
    case BOX_RSM: g_string_append(out, "RSM: out of system-management mode"); break;
    case BOX_RESET: g_string_append(out, "reset"); break;
    case BOX_INIT: g_string_append(out, "INIT"); break;
    case BOX_SIPI: print_vector("SIPI, vector", e->what, out); break;
    case BOX_CR: print_cr(e, out); break;
    case BOX_MSR: print_msr(e, out); break;
    case BOX_MODE: g_string_append_printf(out, "now in %s mode", box_mode_name(e->what)); break;
    case BOX_IN:
    case BOX_OUT: print_port(e, out); break;
    case BOX_HALT: g_string_append(out, "HLT"); break;
    case BOX_TASK: g_string_append_printf(out, "task switch to TSS 0x%04x from 0x%04" PRIx64, e->what, e->old); break;
    case BOX_CALL: g_string_append_printf(out, "call gate to %04x:%08" PRIx64, e->what, e->value); break;
    case BOX_SHUTDOWN: print_shutdown(e, out); break;
    case BOX_NONE:
    case BOX_KINDS: break;
    }
}

void box_event_print(const BlackBox *b, const BoxEvent *e, GString *out)
{
    print_time(b, e->last, out);
    g_string_append(out, "  ");
    box_place(e->mode, e->cs, e->kind == BOX_INTERRUPT ? e->value : e->rip, out);
    if (e->mode != BOX_UNKNOWN) {
        g_string_append_printf(out, " %s %u", box_mode_name(e->mode), e->cpl);
    }
    g_string_append(out, "  ");
    box_event_text(e, out);
    if (e->count > 1) {
        g_string_append_printf(out, "  (%u times since", e->count);
        print_time(b, e->first, out);
        g_string_append_c(out, ')');
    }
    g_string_append_c(out, '\n');
}
