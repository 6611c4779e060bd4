#include "cpu/segment.h"

#include "cpu/paging.h"

Segment segment_from_descriptor(uint64_t low, uint64_t high)
{
    Segment s = {
        .base = (low >> 16 & 0xffffff) | (low >> 32 & 0xff000000) | high << 32,
        .limit = (low & 0xffff) | (low >> 32 & 0xf0000),
        .attr = low >> 40 & 0xf0ff,
    };
    if (s.attr & ATTR_G) {
        s.limit = s.limit << 12 | 0xfff;
    }
    return s;
}

bool descriptor_read(const Cpu *c, uint16_t selector, uint64_t *low, uint64_t *high, unsigned *size)
{
    const CpuState *st = &c->state;
    const Segment *ldt = &st->seg[SEG_LDTR];
    bool local = selector & 4;
    uint64_t base = local ? ldt->base : st->gdtr.base;
    uint32_t limit = local ? ldt->limit : st->gdtr.limit, at = selector & ~7u;
    *low = *high = 0;
    *size = 8;
    if ((selector & ~3) == 0 || (local && (segment_unusable(ldt) || !segment_p(ldt))) ||
        at + 7 > limit || !cpu_memory_debug(c, base + at, low, 8, false)) {
        return false;
    }
    if (cpu_long_active(st) && !(*low >> 44 & 1)) { /* system descriptors have 16 bytes */
        *size = 16;
        if (at + 15 > limit || !cpu_memory_debug(c, base + at + 8, high, 8, false)) {
            return false;
        }
        *high &= UINT32_MAX;
    }
    return true;
}

static SegmentFault fault(uint8_t vector, uint16_t selector)
{
    return (SegmentFault){vector, selector & ~3};
}

static const SegmentFault no_fault = {FAULT_NONE, 0};

SegmentFault segment_check_load(const CpuState *state, unsigned reg, uint16_t selector,
                                const Segment *s)
{
    unsigned cpl = cpu_cpl(state), rpl = selector & 3, type = segment_type(s);
    bool code = type & SEGMENT_CODE;
    if ((selector & ~3) == 0) {
        bool ok = reg != SEG_SS || (cpu_mode(state) == CPU_LONG && cpl != 3 && rpl == cpl);
        return ok ? no_fault : fault(13, 0);
    }
    if (reg == SEG_SS) {
        if (rpl != cpl || !segment_s(s) || code || !(type & SEGMENT_WRITABLE) ||
            segment_dpl(s) != cpl) {
            return fault(13, selector);
        }
        return segment_p(s) ? no_fault : fault(12, selector);
    }
    if (!segment_s(s) || (code && !(type & SEGMENT_READABLE))) {
        return fault(13, selector);
    }
    if (!(code && type & SEGMENT_CONFORMING) && (rpl > segment_dpl(s) || cpl > segment_dpl(s))) {
        return fault(13, selector);
    }
    return segment_p(s) ? no_fault : fault(11, selector);
}

/* Offsets of an expand-down segment lie above its limit, up to 64K or 4G by B (SDM vol 3 §5.3). */
static bool within_limit(const Segment *s, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;
    bool down =
        segment_s(s) && !(segment_type(s) & SEGMENT_CODE) && segment_type(s) & SEGMENT_EXPAND_DOWN;
    if (last < offset) {
        return false;
    }
    return down ? offset > s->limit && last <= (segment_db(s) ? UINT32_MAX : 0xffff)
                : last <= s->limit;
}

SegmentFault segment_check_access(const CpuState *state, unsigned reg, uint64_t offset,
                                  unsigned size, bool write, bool fetch)
{
    const Segment *s = &state->seg[reg];
    CpuMode mode = cpu_mode(state);
    uint8_t vector = reg == SEG_SS ? 12 : 13;
    unsigned type = segment_type(s);
    bool code = type & SEGMENT_CODE;
    if (mode == CPU_LONG) {
        return no_fault;
    }
    if (mode == CPU_PROTECTED || mode == CPU_COMPAT) {
        bool readable = !code || type & SEGMENT_READABLE,
             writable = !code && type & SEGMENT_WRITABLE;
        if (segment_unusable(s) || (write && !writable) || (!write && !fetch && !readable)) {
            return fault(segment_unusable(s) ? vector : 13, 0);
        }
    }
    return within_limit(s, offset, size) ? no_fault : fault(vector, 0);
}

uint64_t segment_linear(const CpuState *state, unsigned reg, uint64_t offset)
{
    if (cpu_mode(state) != CPU_LONG) {
        return (uint32_t)(state->seg[reg].base + offset);
    }
    return offset + (reg == SEG_FS || reg == SEG_GS ? state->seg[reg].base : 0);
}
