/* The way from an event to its handler, asked again step by step (SDM vol 3 §6.12 to 6.14, 20.1.4; what the software CPU
 * does is accel/soft/op/interrupt.c). */
#include <inttypes.h>

#include "cpu/blackbox/explain-look.h"
#include "cpu/blackbox/print.h"
#include "cpu/msr.h"
#include "cpu/paging.h"
#include "cpu/segment.h"

/* ---- Looking ---- */

bool look_refuse(Look *l, unsigned vector, uint32_t error)
{
    *l->r = (Refusal){.vector = (uint8_t)vector, .error = error};
    return false;
}

bool look_access(Look *l, uint64_t at, unsigned size, unsigned access)
{
    const Cpu *c = l->c;
    PagingLimits limits = paging_limits(c);
    uint64_t last = at + size - 1, where[2] = {at, last & ~UINT64_C(0xfff)};
    for (unsigned n = 0; n < ((at ^ last) >> 12 ? 2 : 1); n++) {
        PageWalk w;
        if (!paging_walk(&c->state, &limits, c->memory, where[n], access, &w)) {
            look_refuse(l, w.fault == WALK_NON_CANONICAL ? LOOK_GP : LOOK_PF, w.error);
            l->r->address = where[n];
            explain_walk(c, where[n], access, l->out);
            return false;
        }
    }
    return true;
}

bool look_read(Look *l, const char *what, uint64_t at, unsigned size, uint64_t *value)
{
    if (!cpu_long_active(&l->c->state)) {
        at = (uint32_t)at;
    }
    gsize begin = l->out->len;
    g_string_append_printf(l->out, "%s at 0x%" PRIx64 " cannot be read: ", what, at);
    if (!look_access(l, at, size, WALK_READ | WALK_IMPLICIT)) {
        return false;
    }
    g_string_truncate(l->out, begin);
    *value = UINT64_MAX >> (64 - 8 * size); /* a bus without memory reads as ones */
    cpu_memory_debug(l->c, at, value, size, false);
    return true;
}

/* ---- Descriptors ---- */

static const char *system_type(const Cpu *c, unsigned type)
{
    static const char *const names[] = {
        "reserved",         "16-bit TSS", "LDT", "busy 16-bit TSS", "16-bit call gate", "task gate", "16-bit interrupt gate",
        "16-bit trap gate", "reserved",   "TSS", "reserved",        "busy TSS",         "call gate", "reserved",
        "interrupt gate",   "trap gate"};
    enum { IN_LONG_MODE = 1 << 2 | 1 << 9 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15 };
    return cpu_long_active(&c->state) && !(IN_LONG_MODE >> type & 1) ? "reserved" : names[type & 15];
}

/* "32-bit code, DPL 0" */
static void name_descriptor(const Cpu *c, uint64_t low, GString *out)
{
    Segment g = segment_from_descriptor(low, 0);
    unsigned type = segment_type(&g);
    if (!segment_s(&g)) {
        g_string_append_printf(out, "%s (type %u)", system_type(c, type), type);
    } else if (type & SEGMENT_CODE) {
        g_string_append_printf(out, "%s%s-bit code", type & SEGMENT_CONFORMING ? "conforming " : "",
                               cpu_long_active(&c->state) && segment_l(&g) ? "64"
                               : segment_db(&g)                            ? "32"
                                                                           : "16");
    } else {
        g_string_append_printf(out, "%s%s data", type & SEGMENT_WRITABLE ? "writable" : "read-only",
                               type & SEGMENT_EXPAND_DOWN ? " expand-down" : "");
    }
    g_string_append_printf(out, ", DPL %u, %spresent", segment_dpl(&g), segment_p(&g) ? "" : "not ");
    if (segment_s(&g)) {
        g_string_append_printf(out, ", base 0x%" PRIx64 ", limit 0x%x", g.base, g.limit);
    }
}

static bool name_selector(const Cpu *c, uint16_t selector, uint64_t *at, uint64_t *limit, GString *out)
{
    bool local = selector & 4;
    const Segment *ldt = &c->state.seg[SEG_LDTR];
    *at = (local ? ldt->base : c->state.gdtr.base) + (selector & ~7u);
    *limit = local ? ldt->limit : c->state.gdtr.limit;
    if (!cpu_long_active(&c->state)) {
        *at = (uint32_t)*at;
    }
    if (!(selector & ~3)) {
        g_string_append_printf(out, "selector 0x%x is null", selector);
        return false;
    }
    if (local && segment_unusable(ldt)) {
        g_string_append_printf(out, "selector 0x%x is one of the LDT, but no LDT is loaded", selector);
        return false;
    }
    g_string_append_printf(out, "selector 0x%x", selector);
    if ((selector & ~7u) + 7 > *limit) {
        g_string_append_printf(out, " lies beyond the %s limit 0x%" PRIx64 " (%s at 0x%" PRIx64 ", entry %u)",
                               local ? "LDT" : "GDT", *limit, local ? "LDT" : "GDT", *at - (selector & ~7u), selector >> 3);
        return false;
    }
    g_string_append_printf(out, " (%s entry %u at 0x%" PRIx64 ")", local ? "LDT" : "GDT", selector >> 3, *at);
    return true;
}

bool look_descriptor(Look *l, uint16_t selector, unsigned vector, uint64_t *low)
{
    uint64_t at, limit;
    gsize begin = l->out->len;
    if (!name_selector(l->c, selector, &at, &limit, l->out)) {
        return look_refuse(l, vector, (selector & 0xfffcu) | l->ext);
    }
    g_autofree char *name = g_strdup(l->out->str + begin);
    g_string_truncate(l->out, begin);
    return look_read(l, name, at, 8, low);
}

bool look_bad_descriptor(Look *l, uint16_t selector, uint64_t low, unsigned vector, const char *what)
{
    uint64_t at, limit;
    name_selector(l->c, selector, &at, &limit, l->out);
    g_string_append_printf(l->out, " %s: 0x%016" PRIx64 " is ", what, low);
    name_descriptor(l->c, low, l->out);
    return look_refuse(l, vector, (selector & 0xfffcu) | l->ext);
}

void explain_selector(const Cpu *c, uint16_t selector, GString *out)
{
    uint64_t at, limit, low, high;
    unsigned size;
    if (name_selector(c, selector, &at, &limit, out)) {
        g_string_append(out, ": ");
        if (!cpu_memory_debug(c, at, &low, 8, false)) {
            explain_walk(c, at, WALK_READ | WALK_IMPLICIT, out);
            return;
        }
        g_string_append_printf(out, "0x%016" PRIx64 ", ", low);
        name_descriptor(c, low, out);
        if (!descriptor_read(c, selector, &low, &high, &size)) {
            g_string_append(out, "; its upper half is not there");
        }
    }
}

/* ---- Code segments ---- */

static bool look_code(Look *l, uint16_t selector, Segment *code, bool *inner)
{
    const CpuState *s = &l->c->state;
    uint64_t low;
    unsigned cpl = cpu_cpl(s);
    if (!look_descriptor(l, selector, LOOK_GP, &low)) {
        return false;
    }
    *code = segment_from_descriptor(low, 0);
    unsigned dpl = segment_dpl(code);
    bool is_code = segment_s(code) && segment_type(code) & SEGMENT_CODE;
    const char *bad = !is_code              ? "is no code segment"
                      : dpl > cpl           ? "is code of an outer level than the interrupted program's"
                      : !cpu_long_active(s) ? NULL
                      : !segment_l(code)    ? "is no 64-bit code segment (L clear), which long mode's handlers must have"
                      : segment_db(code)    ? "has L and D both set, which is reserved"
                                            : NULL;
    if (bad) {
        return look_bad_descriptor(l, selector, low, LOOK_GP, bad);
    }
    if (!segment_p(code)) {
        return look_bad_descriptor(l, selector, low, LOOK_NP, "is not present");
    }
    *inner = !(segment_type(code) & SEGMENT_CONFORMING) && dpl < cpl;
    if (cpu_mode(s) == CPU_VM86 && (!*inner || dpl)) {
        return look_bad_descriptor(l, selector, low, LOOK_GP,
                                   "is not of level 0, where virtual-8086 mode's handlers must be");
    }
    return true;
}

static bool look_entry(Look *l, const Segment *code, uint64_t rip)
{
    const CpuState *s = &l->c->state;
    if (cpu_long_active(s) && segment_l(code)) {
        if (!address_canonical(rip, s->cr4 & CR4_LA57)) {
            g_string_append_printf(l->out, "the handler's address 0x%016" PRIx64 " is not canonical", rip);
            return look_refuse(l, LOOK_GP, l->ext);
        }
    } else if (rip > code->limit) {
        g_string_append_printf(l->out, "the handler's address 0x%" PRIx64 " lies beyond the limit 0x%x of its code segment",
                               rip, code->limit);
        return look_refuse(l, LOOK_GP, l->ext);
    }
    return true;
}

/* ---- Stacks ---- */

typedef struct LookStack {
    Segment ss;
    uint64_t sp, mask;
    unsigned cpl;
    bool flat64;
    uint16_t error; /* of the #SS */
    const char *name;
} LookStack;

static bool look_push(Look *l, LookStack *k, unsigned size)
{
    const CpuState *s = &l->c->state;
    uint64_t offset = (k->sp - size) & k->mask, last = offset + size - 1, linear = offset;
    gsize begin = l->out->len;
    g_string_append_printf(l->out, "pushing to %s 0x%0*" PRIx64 " failed: ", k->name, k->flat64 ? 16 : 1, offset);
    if (k->flat64) {
        if (!address_canonical(offset, s->cr4 & CR4_LA57) || !address_canonical(last, s->cr4 & CR4_LA57)) {
            g_string_append(l->out, "the address is not canonical");
            return look_refuse(l, LOOK_SS, k->error | l->ext);
        }
    } else {
        const Segment *g = &k->ss;
        bool down = segment_s(g) && (segment_type(g) & (SEGMENT_CODE | SEGMENT_EXPAND_DOWN)) == SEGMENT_EXPAND_DOWN;
        bool within = down ? offset > g->limit && last <= (segment_db(g) ? UINT32_MAX : 0xffff) : last <= g->limit;
        if (segment_unusable(g) || !within) {
            g_string_append_printf(l->out,
                                   segment_unusable(g) ? "SS 0x%x is null" : "outside of SS 0x%x, whose limit is 0x%x",
                                   g->selector, g->limit);
            return look_refuse(l, LOOK_SS, (k->error & 0xfffcu) | l->ext);
        }
        linear = (uint32_t)(g->base + offset);
    }
    if (!look_access(l, linear, size, WALK_WRITE | (k->cpl == 3 ? WALK_USER : 0))) {
        return false;
    }
    g_string_truncate(l->out, begin);
    k->sp -= size;
    return true;
}

static bool look_tss(Look *l, const char *what, unsigned offset, unsigned size, uint64_t *value)
{
    const Segment *tr = &l->c->state.seg[SEG_TR];
    uint16_t error = (uint16_t)((tr->selector & 0xfffcu) | l->ext);
    if (segment_unusable(tr)) {
        g_string_append_printf(l->out, "%s is needed from the TSS, but none is loaded (LTR)", what);
        return look_refuse(l, LOOK_TS, error);
    }
    if (offset + size - 1 > tr->limit) {
        g_string_append_printf(l->out, "TSS limit 0x%x is too small for %s (at offset 0x%x; TR 0x%x, base 0x%" PRIx64 ")",
                               tr->limit, what, offset, tr->selector, tr->base);
        return look_refuse(l, LOOK_TS, error);
    }
    g_autofree char *name = g_strdup_printf("%s in the TSS", what);
    return look_read(l, name, tr->base + offset, size, value);
}

/* SSn:ESPn of a 16- or 32-bit TSS. */
static bool look_inner_stack(Look *l, unsigned cpl, LookStack *k)
{
    bool wide = segment_type(&l->c->state.seg[SEG_TR]) & 8;
    unsigned at = wide ? 4 + 8 * cpl : 2 + 4 * cpl, size = wide ? 4 : 2;
    uint64_t selector = 0, sp = 0, low;
    g_autofree char *name = g_strdup_printf("SS%u", cpl);
    if (!look_tss(l, name, at + size, 2, &selector)) {
        return false;
    }
    if (!look_tss(l, "the inner stack pointer", at, size, &sp)) {
        return false;
    }
    if (!(selector & ~UINT64_C(3))) {
        g_string_append_printf(l->out, "SS%u in the TSS is null", cpl);
        return look_refuse(l, LOOK_TS, l->ext);
    }
    if (!look_descriptor(l, (uint16_t)selector, LOOK_TS, &low)) {
        return false;
    }
    Segment g = segment_from_descriptor(low, 0);
    g.selector = (uint16_t)selector;
    const char *bad = !segment_s(&g) || segment_type(&g) & SEGMENT_CODE ? "is no data segment, and cannot be the inner stack"
                      : !(segment_type(&g) & SEGMENT_WRITABLE)          ? "is not writable, and cannot be the inner stack"
                      : segment_dpl(&g) != cpl || (selector & 3) != cpl
                          ? "has not the level of the inner stack in RPL and DPL"
                          : NULL;
    if (bad) {
        return look_bad_descriptor(l, (uint16_t)selector, low, LOOK_TS, bad);
    }
    if (!segment_p(&g)) {
        return look_bad_descriptor(l, (uint16_t)selector, low, LOOK_SS, "is not present, and cannot be the inner stack");
    }
    *k = (LookStack){.ss = g,
                     .sp = sp,
                     .mask = segment_db(&g) ? UINT32_MAX : 0xffff,
                     .cpl = cpl,
                     .error = (uint16_t)selector,
                     .name = "the inner stack, ESP"};
    return true;
}

static bool look_long_stack(Look *l, unsigned ist, bool inner, unsigned cpl, LookStack *k)
{
    static const char *const ists[] = {NULL, "IST1", "IST2", "IST3", "IST4", "IST5", "IST6", "IST7"};
    static const char *const rsps[] = {"RSP0", "RSP1", "RSP2", "RSP3"};
    static const char *const names[] = {NULL, "IST1,", "IST2,", "IST3,", "IST4,", "IST5,", "IST6,", "IST7,"};
    const CpuState *s = &l->c->state;
    uint64_t rsp = s->gpr[CPU_RSP];
    *k = (LookStack){.mask = UINT64_MAX,
                     .cpl = cpl,
                     .flat64 = true,
                     .name = ist     ? names[ist]
                             : inner ? "the inner stack"
                                     : "SS:RSP"};
    if (ist || inner) {
        const char *what = ist ? ists[ist] : rsps[cpl & 3];
        if (!look_tss(l, what, ist ? 0x24 + 8 * (ist - 1) : 4 + 8 * cpl, 8, &rsp)) {
            return false;
        }
        if (!address_canonical(rsp, s->cr4 & CR4_LA57)) {
            g_string_append_printf(l->out, "%s in the TSS is not canonical: 0x%016" PRIx64, what, rsp);
            return look_refuse(l, LOOK_SS, l->ext);
        }
    }
    k->sp = rsp & ~UINT64_C(15);
    return true;
}

static LookStack current_stack(const Cpu *c)
{
    const CpuState *s = &c->state;
    unsigned size = cpu_stack_size(s);
    return (LookStack){.ss = s->seg[SEG_SS],
                       .sp = s->gpr[CPU_RSP],
                       .mask = size == 64   ? UINT64_MAX
                               : size == 32 ? UINT32_MAX
                                            : 0xffff,
                       .cpl = cpu_cpl(s),
                       .flat64 = cpu_mode(s) == CPU_LONG,
                       .name = size == 64   ? "SS:RSP"
                               : size == 32 ? "SS:ESP"
                                            : "SS:SP"};
}

static bool look_pushes(Look *l, LookStack *k, unsigned count, unsigned size)
{
    while (count--) {
        if (!look_push(l, k, size)) {
            return false;
        }
    }
    return true;
}

/* ---- Tables ---- */

static bool look_real(Look *l, unsigned vector)
{
    const CpuState *s = &l->c->state;
    uint64_t far = 0;
    if (4 * vector + 3 > s->idtr.limit) {
        g_string_append_printf(
            l->out, "interrupt vector %u lies beyond the IDT limit 0x%x (real mode: 4 bytes each, base 0x%" PRIx64 ")",
            vector, s->idtr.limit, s->idtr.base);
        return look_refuse(l, LOOK_GP, l->ext);
    }
    if (!look_read(l, "the interrupt vector", s->idtr.base + 4 * vector, 4, &far)) {
        return false;
    }
    Segment code = s->seg[SEG_CS];
    LookStack k = current_stack(l->c);
    return look_entry(l, &code, far & 0xffff) && look_pushes(l, &k, 3, 2);
}

static uint64_t gate_offset(uint64_t low, uint64_t high)
{
    return (low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32;
}

enum { GATE_TASK = 5, GATE_INT16 = 6, GATE_TRAP16 = 7, GATE_INT = 14, GATE_TRAP = 15 };

static bool gate_type_valid(bool in_long, unsigned type)
{
    return type == GATE_INT || type == GATE_TRAP ||
           (!in_long && (type == GATE_TASK || type == GATE_INT16 || type == GATE_TRAP16));
}

static bool look_gate(Look *l, unsigned vector, BoxKind kind, uint64_t *low, uint64_t *high)
{
    const CpuState *s = &l->c->state;
    bool in_long = cpu_long_active(s);
    unsigned size = in_long ? 16 : 8;
    uint64_t at = s->idtr.base + size * vector;
    uint32_t error = vector << 3 | 2 | l->ext;
    if (size * vector + size - 1 > s->idtr.limit) {
        g_string_append_printf(l->out, "IDT gate %u at 0x%" PRIx64 " lies beyond the IDT limit 0x%x", vector, at,
                               s->idtr.limit);
        return look_refuse(l, LOOK_GP, error);
    }
    g_autofree char *name = g_strdup_printf("IDT gate %u", vector);
    *high = 0;
    if (!look_read(l, name, at, 8, low) || (in_long && !look_read(l, name, at + 8, 8, high))) {
        return false;
    }
    *high &= UINT32_MAX;
    unsigned type = *low >> 40 & 15, dpl = *low >> 45 & 3;
    g_autofree char *here = g_strdup_printf("IDT gate %u at 0x%" PRIx64, vector, at);
    if (*low >> 44 & 1 || !gate_type_valid(in_long, type)) {
        g_string_append_printf(l->out, "%s: type 0x%x is no gate%s (value 0x%016" PRIx64 "%s)", here,
                               (unsigned)(*low >> 40 & 31), in_long ? " of long mode" : "", *low,
                               *low | *high ? "" : ": it is empty");
        return look_refuse(l, LOOK_GP, error);
    }
    if (kind == BOX_SOFTWARE && dpl < cpu_cpl(s)) {
        g_string_append_printf(l->out, "%s has DPL %u, and may not be used by INT at CPL %u", here, dpl, cpu_cpl(s));
        return look_refuse(l, LOOK_GP, error);
    }
    if (!(*low >> 47 & 1)) {
        g_string_append_printf(l->out, "%s is not present (value 0x%016" PRIx64 ")", here, *low);
        return look_refuse(l, LOOK_NP, error);
    }
    return true;
}

static bool look_task(Look *l, uint16_t selector)
{
    enum { TSS16 = 1, TSS32 = 9, LIMIT16 = 0x2b, LIMIT32 = 0x67 };
    uint64_t low;
    if (!look_descriptor(l, selector, LOOK_GP, &low)) {
        return false;
    }
    Segment g = segment_from_descriptor(low, 0);
    unsigned type = segment_type(&g);
    if (selector & 4 || segment_s(&g) || (type != TSS16 && type != TSS32)) {
        return look_bad_descriptor(l, selector, low, LOOK_GP, "is no available TSS, to which the task gate leads");
    }
    if (!segment_p(&g)) {
        return look_bad_descriptor(l, selector, low, LOOK_NP, "is not present");
    }
    if (g.limit < (type == TSS32 ? LIMIT32 : LIMIT16)) {
        return look_bad_descriptor(l, selector, low, LOOK_TS, "is too small for a TSS");
    }
    return true; /* what the new task then finds is its own state's */
}

static bool look_protected(Look *l, BoxKind kind, unsigned vector, bool has_error)
{
    const CpuState *s = &l->c->state;
    bool in_long = cpu_long_active(s), v86 = s->rflags & FLAG_VM && !in_long, inner = false;
    uint64_t low, high;
    Segment code;
    LookStack k = current_stack(l->c);
    if (!look_gate(l, vector, kind, &low, &high)) {
        return false;
    }
    unsigned type = low >> 40 & 15, size = in_long ? 8 : type & 8 ? 4 : 2;
    uint16_t selector = (uint16_t)(low >> 16);
    uint64_t rip = size == 2 ? low & 0xffff : gate_offset(low, high);
    gsize begin = l->out->len;
    g_string_append_printf(l->out, "IDT gate %u at 0x%" PRIx64 ": ", vector, s->idtr.base + (in_long ? 16 : 8) * vector);
    if (type == GATE_TASK) {
        return look_task(l, selector);
    }
    if (!look_code(l, selector, &code, &inner)) {
        return false;
    }
    unsigned cpl = inner ? segment_dpl(&code) : cpu_cpl(s);
    if (in_long ? !look_long_stack(l, low >> 32 & 7, inner, cpl, &k) : inner && !look_inner_stack(l, cpl, &k)) {
        return false;
    }
    if (!look_entry(l, &code, rip)) {
        return false;
    }
    g_string_truncate(l->out, begin);
    return look_pushes(l, &k, (in_long ? 5 : 3 + (v86 ? 4 : 0) + (inner ? 2 : 0)) + has_error, size);
}

bool explain_delivery(const Cpu *c, BoxKind kind, unsigned vector, bool has_error, Refusal *r, GString *out)
{
    Look l = {.c = c, .r = r, .out = out, .ext = kind != BOX_SOFTWARE};
    gsize begin = out->len;
    bool passes = cpu_mode(&c->state) == CPU_REAL ? look_real(&l, vector) : look_protected(&l, kind, vector, has_error);
    if (passes) {
        g_string_truncate(out, begin);
    }
    return !passes;
}

void explain_gate(const Cpu *c, unsigned vector, GString *out)
{
    const CpuState *s = &c->state;
    bool real = cpu_mode(s) == CPU_REAL, in_long = cpu_long_active(s);
    unsigned size = real ? 4 : in_long ? 16 : 8;
    uint64_t at = s->idtr.base + size * vector, gate[2] = {0, 0};
    const char *name = box_exception_name(vector);
    g_string_append_printf(out, "%3u %-3s at 0x%" PRIx64 ": ", vector, name ? name : "", at);
    if (size * vector + size - 1 > s->idtr.limit) {
        g_string_append_printf(out, "beyond the limit 0x%x", s->idtr.limit);
    } else if (!cpu_memory_debug(c, at, gate, size, false)) {
        g_string_append(out, "cannot be read");
    } else if (real) {
        g_string_append_printf(out, "%04x:%04x", (unsigned)(gate[0] >> 16 & 0xffff), (unsigned)(gate[0] & 0xffff));
    } else {
        g_string_append_printf(out, "%s, %spresent, DPL %u, to %04x:%0*" PRIx64, system_type(c, gate[0] >> 40 & 15),
                               gate[0] >> 47 & 1 ? "" : "not ", (unsigned)(gate[0] >> 45 & 3),
                               (unsigned)(gate[0] >> 16 & 0xffff), in_long ? 16 : 8, gate_offset(gate[0], gate[1]));
        if (in_long && gate[0] >> 32 & 7) {
            g_string_append_printf(out, ", IST%u", (unsigned)(gate[0] >> 32 & 7));
        }
    }
}
