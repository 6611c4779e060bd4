/* Page tables in words. */
#include <inttypes.h>

#include "cpu/blackbox/explain.h"
#include "cpu/model.h"
#include "cpu/paging.h"

static const char *entry_name(unsigned level)
{
    static const char *const names[] = {"entry", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};
    return names[level < G_N_ELEMENTS(names) ? level : 0];
}

static bool is_pae_root(const Cpu *c, unsigned level)
{
    return level == 3 && !cpu_long_active(&c->state);
}

static unsigned entry_index(const Cpu *c, const PageWalk *w, unsigned level, uint64_t va)
{
    if (w->entry_size == 4) {
        return (unsigned)(va >> (level == 2 ? 22 : 12)) & 0x3ff;
    }
    return (unsigned)(va >> (12 + 9 * (level - 1))) & (is_pae_root(c, level) ? 3 : 0x1ff);
}

/* "PDPTE at 0x1018 (index 3)" */
static void name_entry(const Cpu *c, const PageWalk *w, unsigned n, uint64_t va, GString *out)
{
    unsigned level = w->entry[n].level;
    g_string_append_printf(out, "%s at 0x%" PRIx64 " (index %u)", entry_name(level), w->entry[n].at,
                           entry_index(c, w, level, va));
}

/* The four root entries of PAE live in registers: memory may say something else by now (SDM vol 3 §4.4.1). */
static void compare_with_memory(const Cpu *c, const PageWalk *w, unsigned n, GString *out)
{
    uint64_t now = 0;
    if (!space_peek(c->memory, w->entry[n].at, &now, w->entry_size)) {
        g_string_append(out, ", and there is no memory at that address");
    } else if (w->entry_size == 4 ? (uint32_t)now != (uint32_t)w->entry[n].value : now != w->entry[n].value) {
        g_string_append_printf(out, "; memory has 0x%" PRIx64 " by now, but the CPU has what it loaded with CR3", now);
    }
}

/* ---- Reserved bits (SDM vol 3 tables 4-4 to 4-20) ---- */

static void name_reserved(const Cpu *c, const PageWalk *w, unsigned n, GString *out)
{
    uint64_t bits = w->reserved;
    unsigned phys = paging_limits(c).phys_bits;
    uint64_t beyond = phys < 52 ? (UINT64_C(1) << 52) - (UINT64_C(1) << phys) : 0;
    g_string_append_printf(out, " has reserved bits set: 0x%" PRIx64 " of its value 0x%" PRIx64, bits, w->entry[n].value);
    if (bits & PTE_NX && !(c->state.efer & EFER_NXE)) {
        g_string_append(out, " (bit 63, NX, needs EFER.NXE)");
    } else if (w->entry_size == 8 && bits & beyond) {
        g_string_append_printf(out, " (physical addresses have %u bits)", phys);
    } else if (is_pae_root(c, w->entry[n].level)) {
        g_string_append(out, " (a PDPTE of PAE has P, PWT, PCD and the address, no W, U, A)");
    } else if (bits == PTE_PS) {
        g_string_append(out, w->entry[n].level == 3 ? " (bit 7, PS: this CPU has no 1 GiB pages)"
                                                    : " (bit 7, PS: no page can be that large)");
    } else if (w->entry[n].value & PTE_PS) {
        g_string_append(out, " (the address of a large page is not aligned to its size)");
    }
}

/* ---- Rights (SDM vol 3 §4.6) ---- */

/* The uppermost entry that has not (or, with `set`, has) this bit; PAE's roots have no rights. */
static bool find_entry(const Cpu *c, const PageWalk *w, uint64_t bit, bool set, unsigned *n)
{
    for (*n = 0; *n < w->entries; ++*n) {
        if (!is_pae_root(c, w->entry[*n].level) && !(w->entry[*n].value & bit) == !set) {
            return true;
        }
    }
    return false;
}

static void name_right(const Cpu *c, const PageWalk *w, uint64_t va, unsigned access, GString *out)
{
    unsigned n = 0;
    const char *what;
    bool user = access & WALK_USER && !(access & WALK_IMPLICIT), user_page = w->leaf & PTE_U;
    if (user && find_entry(c, w, PTE_U, false, &n)) {
        what = "is for the supervisor only (U/S clear)";
    } else if (access & WALK_FETCH && find_entry(c, w, PTE_NX, true, &n)) {
        what = "forbids execution (NX set)";
    } else if (access & WALK_FETCH && !user && user_page) {
        n = w->entries - 1;
        what = "maps a user page, and CR4.SMEP keeps the supervisor from executing it";
    } else if (!(access & WALK_FETCH) && !user && user_page && c->state.cr4 & CR4_SMAP && !(c->state.rflags & FLAG_AC)) {
        n = w->entries - 1;
        what = "maps a user page, and CR4.SMAP keeps the supervisor from it while EFLAGS.AC is clear";
    } else if (access & WALK_WRITE && find_entry(c, w, PTE_W, false, &n)) {
        what =
            user ? "is read-only (R/W clear)" : "is read-only (R/W clear), which CR0.WP makes count for the supervisor too";
    } else {
        n = w->entries - 1;
        g_string_append_printf(out, "protection key %u of the ", w->pkey);
        what = "forbids it (PKRU, PKRS)";
    }
    name_entry(c, w, n, va, out);
    g_string_append_printf(out, " %s (value 0x%" PRIx64 ")", what, w->entry[n].value);
}

/* ---- The walk ---- */

unsigned explain_access(uint32_t error, bool fetch)
{
    return (error & PF_W ? WALK_WRITE : 0) | (error & PF_U ? WALK_USER : 0) | (error & PF_I || fetch ? WALK_FETCH : 0);
}

static bool walk(const Cpu *c, uint64_t va, unsigned access, PageWalk *w)
{
    PagingLimits limits = paging_limits(c);
    return paging_walk(&c->state, &limits, c->memory, va, access, w);
}

static void name_non_canonical(const Cpu *c, uint64_t va, GString *out)
{
    g_string_append_printf(out, "address 0x%016" PRIx64 " is not canonical (bits 63 to %u differ)", va,
                           c->state.cr4 & CR4_LA57 ? 56 : 47);
}

bool explain_walk(const Cpu *c, uint64_t va, unsigned access, GString *out)
{
    PageWalk w;
    if (walk(c, va, access, &w)) {
        return false;
    }
    if (w.fault == WALK_NON_CANONICAL) {
        name_non_canonical(c, va, out);
        return true;
    }
    unsigned last = w.entries - 1;
    uint64_t value = w.entry[last].value, there = 0;
    bool registers = c->state.pdpte_valid && is_pae_root(c, w.entry[last].level) && w.entry_size == 8;
    if (!registers && !space_peek(c->memory, w.entry[last].at, &there, w.entry_size)) {
        name_entry(c, &w, last, va, out);
        g_string_append_printf(out, " lies where there is no memory; %s leads there",
                               last ? entry_name(w.entry[last - 1].level) : "CR3");
    } else if (!(value & PTE_P)) {
        name_entry(c, &w, last, va, out);
        g_string_append_printf(out, " is not present (value 0x%" PRIx64 ")", value);
    } else if (w.error & PF_RSVD) {
        name_entry(c, &w, last, va, out);
        name_reserved(c, &w, last, out);
    } else {
        name_right(c, &w, va, access, out);
    }
    if (registers) {
        compare_with_memory(c, &w, last, out);
    }
    return true;
}

static void print_flags(const PageWalk *w, unsigned n, bool pae_root, GString *out)
{
    uint64_t v = w->entry[n].value;
    if (!(v & PTE_P)) {
        g_string_append(out, "not present");
        return;
    }
    g_string_append(out, "present");
    if (!pae_root) {
        g_string_append_printf(out, "%s%s%s%s%s%s", v & PTE_W ? ", writable" : ", read-only",
                               v & PTE_U ? ", user" : ", supervisor", v & PTE_A ? ", accessed" : "",
                               v & PTE_D ? ", dirty" : "", w->entry_size == 8 && v & PTE_NX ? ", no execute" : "",
                               w->entry[n].level > 1 && v & PTE_PS ? ", large page" : "");
    }
}

void explain_walk_entries(const Cpu *c, uint64_t va, const char *indent, GString *out)
{
    PageWalk w;
    bool ok = walk(c, va, WALK_READ | WALK_IMPLICIT, &w);
    if (w.fault == WALK_NON_CANONICAL) {
        g_string_append(out, indent);
        name_non_canonical(c, va, out);
        g_string_append_c(out, '\n');
        return;
    }
    if (!w.entry_size) {
        g_string_append_printf(out, "%spaging is off: physical 0x%" PRIx64 "\n", indent, w.phys);
        return;
    }
    for (unsigned n = 0; n < w.entries; n++) {
        g_string_append(out, indent);
        name_entry(c, &w, n, va, out);
        g_string_append_printf(out, " = 0x%0*" PRIx64 ": ", 2 * w.entry_size, w.entry[n].value);
        print_flags(&w, n, is_pae_root(c, w.entry[n].level), out);
        if (n == w.entries - 1 && w.error & PF_RSVD) {
            g_string_append_printf(out, ", reserved bits 0x%" PRIx64, w.reserved);
        }
        g_string_append_c(out, '\n');
    }
    if (ok || w.page_size) {
        g_string_append_printf(out, "%sphysical 0x%" PRIx64 ", in a page of %" PRIu64 " KiB\n", indent, w.phys,
                               w.page_size >> 10);
    }
}
