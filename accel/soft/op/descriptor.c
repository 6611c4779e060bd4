/* Descriptors and stacks for everything that crosses a segment or a privilege level. */
#include "accel/soft/op/descriptor.h"

#include "accel/soft/tlb.h"

_Noreturn void selector_fault(SoftCpu *s, unsigned vector, uint16_t selector)
{
    soft_fault_error(s, vector, (selector & 0xfffcu) | s->delivering_external);
}

_Noreturn void plain_fault(SoftCpu *s, unsigned vector)
{
    soft_fault_error(s, vector, s->delivering_external);
}

/* ---- In the tables ---- */

static bool table_address(const SoftCpu *s, uint16_t selector, unsigned size, uint64_t *at)
{
    const CpuState *st = &s->cpu.state;
    const Segment *ldt = &st->seg[SEG_LDTR];
    bool local = selector_local(selector);
    if (local && segment_unusable(ldt)) {
        return false;
    }
    uint64_t limit = local ? ldt->limit : st->gdtr.limit, index = selector & ~7u;
    *at = (local ? ldt->base : st->gdtr.base) + index;
    if (!long_active(s)) {
        *at = (uint32_t)*at;
    }
    return index + size - 1 <= limit;
}

bool descriptor_find(SoftCpu *s, uint16_t selector, Descriptor *d)
{
    uint64_t at;
    if (selector_null(selector) || !table_address(s, selector, 8, &at)) {
        return false;
    }
    d->at = at;
    d->low = soft_load_system(s, at, 8);
    d->high = 0;
    d->seg = segment_from_descriptor(d->low, 0);
    d->seg.selector = selector;
    return true;
}

void descriptor_get(SoftCpu *s, uint16_t selector, Descriptor *d, unsigned vector)
{
    if (selector_null(selector)) {
        plain_fault(s, vector);
    }
    if (!descriptor_find(s, selector, d)) {
        selector_fault(s, vector, selector);
    }
}

bool descriptor_extend(SoftCpu *s, Descriptor *d)
{
    uint64_t at;
    if (!long_active(s)) {
        return true;
    }
    if (!table_address(s, d->seg.selector, 16, &at)) {
        return false;
    }
    d->high = soft_load_system(s, at + 8, 8);
    d->seg.base = (uint32_t)d->seg.base | d->high << 32;
    return !(d->high >> 40 & 0x1f);
}

/* The byte of a descriptor that holds P, DPL, S and type goes from `old` to `new` in one piece; false: it is
 * not `old`.  Where it is no plain memory (a GDT in flash) nobody else's locked access could reach it
 * either. */
static bool access_byte_exchange(SoftCpu *s, uint64_t at, uint8_t old, uint8_t new)
{
    uint8_t *host = tlb_host_in(s, TLB_SUPER, at, 1, true);
    if (host) {
        return __atomic_compare_exchange_n(host, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    if ((uint8_t)soft_load_system(s, at, 1) != old) {
        return false;
    }
    soft_store_system(s, at, 1, new);
    return true;
}

static uint64_t access_address(const SoftCpu *s, const Descriptor *d)
{
    return long_active(s) ? d->at + 5 : (uint32_t)(d->at + 5);
}

void descriptor_accessed(SoftCpu *s, Descriptor *d)
{
    uint8_t access = (uint8_t)(d->low >> 40);
    if (!(access & SEGMENT_ACCESSED)) {
        /* Lost to another CPU: it has most likely set the same bit; what was checked is what is loaded. */
        access_byte_exchange(s, access_address(s, d), access, access | SEGMENT_ACCESSED);
    }
    d->seg.attr |= SEGMENT_ACCESSED;
}

bool descriptor_set_busy(SoftCpu *s, Descriptor *d, bool busy)
{
    uint8_t access = (uint8_t)(d->low >> 40), new = busy ? access | SYSTEM_BUSY : access & ~SYSTEM_BUSY;
    if (!access_byte_exchange(s, access_address(s, d), access, new)) {
        return false;
    }
    d->low = (d->low & ~(UINT64_C(0xff) << 40)) | (uint64_t)new << 40;
    d->seg.attr = (d->seg.attr & ~0xffu) | new;
    return true;
}

/* ---- Segments ---- */

Segment segment_null(uint16_t selector, unsigned dpl)
{
    return (Segment){.selector = selector, .attr = ATTR_UNUSABLE | dpl << ATTR_DPL_SHIFT};
}

Segment segment_v86(uint16_t selector)
{
    return (Segment){.selector = selector,
                     .base = (uint32_t)selector << 4,
                     .limit = 0xffff,
                     .attr = ATTR_P | ATTR_S | ATTR_DPL | SEGMENT_WRITABLE | SEGMENT_ACCESSED};
}

Segment segment_by_paragraph(const SoftCpu *s, unsigned reg, uint16_t selector)
{
    if (cpu_mode(&s->cpu.state) == CPU_VM86) {
        return segment_v86(selector);
    }
    Segment g = s->cpu.state.seg[reg];
    /* A register that was made null in protected mode works again; its limit is what real mode has after
     * reset. */
    if (segment_unusable(&g)) {
        g.attr = ATTR_P | ATTR_S | SEGMENT_WRITABLE | SEGMENT_ACCESSED | (g.attr & ATTR_DPL);
        g.limit = 0xffff;
    }
    segment_set_real(&g, selector);
    return g;
}

bool segment_within(const Segment *g, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;
    bool down = segment_s(g) && !(segment_type(g) & SEGMENT_CODE) && segment_type(g) & SEGMENT_EXPAND_DOWN;
    if (last < offset) {
        return false;
    }
    return down ? offset > g->limit && last <= (segment_db(g) ? UINT32_MAX : 0xffff) : last <= g->limit;
}

Segment segment_for_load(SoftCpu *s, unsigned reg, uint16_t selector)
{
    if (mode_real_or_v86(s)) {
        return segment_by_paragraph(s, reg, selector);
    }
    Descriptor d = {0};
    bool null = selector_null(selector);
    if (!null && !descriptor_find(s, selector, &d)) {
        selector_fault(s, EXC_GP, selector);
    }
    SegmentFault f = segment_check_load(&s->cpu.state, reg, selector, &d.seg);
    if (f.vector != FAULT_NONE) {
        selector_fault(s, f.vector, f.error);
    }
    if (null) {
        return segment_null(selector, reg == SEG_SS ? soft_cpl(s) : 0);
    }
    descriptor_accessed(s, &d);
    return d.seg;
}

Segment segment_for_stack(SoftCpu *s, uint16_t selector, unsigned cpl, unsigned vector)
{
    Descriptor d;
    if (!descriptor_find(s, selector, &d) || (selector & 3u) != cpl || !descriptor_s(&d) || descriptor_dpl(&d) != cpl ||
        descriptor_type(&d) & SEGMENT_CODE || !(descriptor_type(&d) & SEGMENT_WRITABLE)) {
        selector_fault(s, vector, selector);
    }
    if (!descriptor_p(&d)) {
        selector_fault(s, EXC_SS, selector);
    }
    descriptor_accessed(s, &d);
    return d.seg;
}

/* L and D together are reserved where L means something (SDM vol 3 §3.4.5). */
static void check_code_size(SoftCpu *s, const Segment *cs)
{
    if (long_active(s) && segment_l(cs) && segment_db(cs)) {
        selector_fault(s, EXC_GP, cs->selector);
    }
}

Segment segment_for_jump(SoftCpu *s, Descriptor *d)
{
    unsigned cpl = soft_cpl(s), dpl = descriptor_dpl(d), rpl = d->seg.selector & 3;
    if (descriptor_conforming(d) ? dpl > cpl : rpl > cpl || dpl != cpl) {
        selector_fault(s, EXC_GP, d->seg.selector);
    }
    check_code_size(s, &d->seg);
    if (!descriptor_p(d)) {
        selector_fault(s, EXC_NP, d->seg.selector);
    }
    descriptor_accessed(s, d);
    d->seg.selector = (uint16_t)((d->seg.selector & ~3u) | cpl);
    return d->seg;
}

Segment segment_for_return(SoftCpu *s, uint16_t selector)
{
    Descriptor d;
    unsigned rpl = selector & 3;
    descriptor_get(s, selector, &d, EXC_GP);
    unsigned dpl = descriptor_dpl(&d);
    if (!descriptor_is_code(&d) || rpl < soft_cpl(s) || (descriptor_conforming(&d) ? dpl > rpl : dpl != rpl)) {
        selector_fault(s, EXC_GP, selector);
    }
    check_code_size(s, &d.seg);
    if (!descriptor_p(&d)) {
        selector_fault(s, EXC_NP, selector);
    }
    descriptor_accessed(s, &d);
    return d.seg;
}

void check_entry(SoftCpu *s, const Segment *cs, uint64_t rip)
{
    bool ok = long_active(s) && segment_l(cs) ? canonical(s, rip) : rip <= cs->limit;
    if (!ok) {
        plain_fault(s, EXC_GP);
    }
}

void invalidate_inner_segments(SoftCpu *s, unsigned cpl)
{
    static const uint8_t regs[] = {SEG_ES, SEG_FS, SEG_GS, SEG_DS};
    for (unsigned n = 0; n < sizeof(regs); n++) {
        Segment *g = &s->cpu.state.seg[regs[n]];
        bool conforming = segment_type(g) & SEGMENT_CODE && segment_type(g) & SEGMENT_CONFORMING;
        /* The base stays, as in processors: FS and GS may have got theirs by WRMSR, and 64-bit code uses it. */
        if (!segment_unusable(g) && segment_dpl(g) < cpl && !conforming) {
            uint64_t base = g->base;
            *g = segment_null(0, 0);
            g->base = base;
        }
    }
}

/* ---- Stacks ---- */

Stack stack_new(const SoftCpu *s, Segment ss, uint64_t sp, unsigned cpl, bool flat64)
{
    return (Stack){.ss = ss,
                   .sp = sp,
                   .mask = flat64 ? UINT64_MAX : segment_db(&ss) ? UINT32_MAX : 0xffff,
                   .cpl = cpl,
                   .flat64 = flat64};
}

Stack stack_current(const SoftCpu *s)
{
    const CpuState *st = &s->cpu.state;
    Stack k = stack_new(s, st->seg[SEG_SS], st->gpr[CPU_RSP], soft_cpl(s), cpu_mode(st) == CPU_LONG);
    k.mask = soft_sp_mask(s);
    return k;
}

static uint64_t stack_linear(SoftCpu *s, const Stack *k, unsigned size)
{
    uint64_t offset = k->sp & k->mask;
    if (k->flat64) {
        if (!canonical(s, offset) || !canonical(s, offset + size - 1)) {
            selector_fault(s, EXC_SS, k->error);
        }
        return offset;
    }
    if (segment_unusable(&k->ss) || !segment_within(&k->ss, offset, size)) {
        selector_fault(s, EXC_SS, k->error);
    }
    return (uint32_t)(k->ss.base + offset);
}

/* The stack of the code that runs: its accesses are like any other, alignment checks and data breakpoints included. */
static bool is_own(const SoftCpu *s, const Stack *k)
{
    return !s->mode_stale && k->cpl == soft_cpl(s);
}

void stack_push(SoftCpu *s, Stack *k, unsigned size, uint64_t value)
{
    Stack next = *k;
    next.sp -= size;
    uint64_t linear = stack_linear(s, &next, size);
    if (is_own(s, k)) {
        soft_store(s, linear, size, value);
    } else {
        soft_store_at(s, linear, size, value, k->cpl);
    }
    *k = next;
}

uint64_t stack_pop(SoftCpu *s, Stack *k, unsigned size)
{
    uint64_t linear = stack_linear(s, k, size);
    uint64_t value = is_own(s, k) ? soft_load(s, linear, size) : soft_load_at(s, linear, size, k->cpl);
    k->sp += size;
    return value;
}

void stack_commit(SoftCpu *s, const Stack *k)
{
    uint64_t *rsp = &s->cpu.state.gpr[CPU_RSP];
    *rsp = k->mask == 0xffff ? (*rsp & ~k->mask) | (k->sp & k->mask) : k->sp & k->mask;
}

/* A field of the present TSS, #TS(TR) beyond its limit. */
static uint64_t tss_load(SoftCpu *s, unsigned offset, unsigned size)
{
    const Segment *tr = &s->cpu.state.seg[SEG_TR];
    if (segment_unusable(tr) || offset + size - 1 > tr->limit) {
        selector_fault(s, EXC_TS, tr->selector);
    }
    uint64_t at = tr->base + offset;
    return soft_load_system(s, long_active(s) ? at : (uint32_t)at, size);
}

static uint64_t tss_load_rsp(SoftCpu *s, unsigned offset)
{
    uint64_t rsp = tss_load(s, offset, 8);
    if (!canonical(s, rsp)) {
        plain_fault(s, EXC_SS);
    }
    return rsp;
}

uint64_t rsp_from_tss(SoftCpu *s, unsigned cpl)
{
    return tss_load_rsp(s, 4 + 8 * cpl);
}

uint64_t ist_from_tss(SoftCpu *s, unsigned ist)
{
    return tss_load_rsp(s, 0x24 + 8 * (ist - 1));
}

Stack stack_from_tss(SoftCpu *s, unsigned cpl)
{
    if (long_active(s)) {
        return stack_new(s, segment_null((uint16_t)cpl, cpl), rsp_from_tss(s, cpl), cpl, true);
    }
    bool wide = segment_type(&s->cpu.state.seg[SEG_TR]) & 8;
    unsigned at = wide ? 4 + 8 * cpl : 2 + 4 * cpl, size = wide ? 4 : 2;
    /* Both fields lie within the limit, or nothing is read. */
    uint16_t selector = (uint16_t)tss_load(s, at + size, 2);
    uint64_t sp = tss_load(s, at, size);
    if (selector_null(selector)) {
        plain_fault(s, EXC_TS);
    }
    Stack k = stack_new(s, segment_for_stack(s, selector, cpl, EXC_TS), sp, cpl, false);
    k.error = selector;
    return k;
}
