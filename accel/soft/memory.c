/* Guest memory, operands and the stack, as C functions of instructions see them. */
#include "accel/soft/soft.h"

#include <string.h>

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/debug.h"
#include "accel/soft/tlb.h"
#include "cpu/msr.h"
#include "cpu/segment.h"

/* ---- By linear address ---- */

uint64_t soft_load(SoftCpu *s, uint64_t linear, unsigned size)
{
    return tlb_load_in(s, s->tlb->selected, linear, size);
}

void soft_store(SoftCpu *s, uint64_t linear, unsigned size, uint64_t value)
{
    tlb_store_in(s, s->tlb->selected, linear, size, value);
}

uint64_t soft_load_system(SoftCpu *s, uint64_t linear, unsigned size)
{
    return tlb_load_in(s, TLB_SUPER, linear, size);
}

void soft_store_system(SoftCpu *s, uint64_t linear, unsigned size, uint64_t value)
{
    tlb_store_in(s, TLB_SUPER, linear, size, value);
}

uint64_t soft_load_at(SoftCpu *s, uint64_t linear, unsigned size, unsigned cpl)
{
    return tlb_load_in(s, cpl == 3 ? TLB_USER : TLB_SUPER, linear, size);
}

void soft_store_at(SoftCpu *s, uint64_t linear, unsigned size, uint64_t value, unsigned cpl)
{
    tlb_store_in(s, cpl == 3 ? TLB_USER : TLB_SUPER, linear, size, value);
}

static uint64_t next_linear(const SoftCpu *s, uint64_t linear)
{
    return cpu_long_active(&s->cpu.state) ? linear : (uint32_t)linear;
}

void soft_probe(SoftCpu *s, uint64_t linear, size_t len, bool write)
{
    const CpuState *c = &s->cpu.state;
    if (cpu_long_active(c) && len && !address_canonical(linear + len - 1, c->cr4 & CR4_LA57)) {
        tlb_probe(s, s->tlb->selected, linear + len - 1, write); /* judged before any page is: #GP, #SS */
    }
    for (size_t done = 0; done < len;) {
        uint64_t at = next_linear(s, linear + done);
        size_t n = MIN(len - done, 4096 - (at & 4095));
        tlb_probe(s, s->tlb->selected, at, write);
        done += n;
    }
    if (G_UNLIKELY(s->debug)) {
        soft_debug_expect(s, linear, len, write);
    }
}

/* In the largest pieces that are aligned, so that devices see natural accesses. */
static unsigned piece(uint64_t at, size_t left)
{
    unsigned n = 8;
    while (n > left || at & (n - 1)) {
        n /= 2;
    }
    return n;
}

static void transfer(SoftCpu *s, uint64_t linear, uint8_t *buf, size_t len, bool write)
{
    unsigned table = s->tlb->selected;
    soft_probe(s, linear, len, write);
    for (size_t done = 0; done < len;) {
        uint64_t at = next_linear(s, linear + done);
        size_t n = MIN(len - done, 4096 - (at & 4095));
        uint8_t *host = n ? tlb_host_in(s, table, at, (unsigned)n, write) : NULL;
        if (host) {
            if (write) {
                memcpy(host, buf + done, n);
            } else {
                memcpy(buf + done, host, n);
            }
        } else {
            n = piece(at, n);
            uint64_t v = 0;
            if (write) {
                memcpy(&v, buf + done, n);
                tlb_store_in(s, table, at, (unsigned)n, v);
            } else {
                v = tlb_load_in(s, table, at, (unsigned)n);
                memcpy(buf + done, &v, n);
            }
        }
        done += n;
    }
}

void soft_read(SoftCpu *s, uint64_t linear, void *buf, size_t len)
{
    transfer(s, linear, buf, len, false);
}

void soft_write(SoftCpu *s, uint64_t linear, const void *buf, size_t len)
{
    transfer(s, linear, (uint8_t *)buf, len, true);
}

void *soft_host(SoftCpu *s, uint64_t linear, unsigned size, bool write)
{
    uint8_t *p = tlb_host_in(s, s->tlb->selected, linear, size, write);
    if (G_UNLIKELY(s->debug) && p && write) { /* of an exchange, which reads too */
        soft_debug_touch(s, linear, size, false);
    }
    return p;
}

void *soft_host_span(SoftCpu *s, uint64_t linear, unsigned size, bool write)
{
    if (G_UNLIKELY(s->debug) && (soft_debug_watched(s, linear, size, true) || soft_debug_watched(s, linear, size, false))) {
        return NULL;
    }
    return tlb_host_in(s, s->tlb->selected, linear, size, write);
}

static void after_device(SoftCpu *s)
{
    if (G_UNLIKELY(atomic_load_explicit(&s->poll, memory_order_relaxed) & POLL_FLUSH)) {
        tlb_forget_map(s); /* the rest of the block sees the map that this access has made */
    }
    borrow_enter(s);
    if (s->counting) {
        s->recheck = true;
        soft_poll(s, POLL_LEAVE);
    }
    if (atomic_load_explicit(&s->cpu.events, memory_order_relaxed)) {
        soft_poll(s, POLL_KICK);
    }
}

/* While KVM's guest is here the local APIC may be KVM's. */
static void before_device(SoftCpu *s, const Space *space, uint64_t at, bool write)
{
    enum { APIC_ENABLED = 1 << 11, PAGE_BITS = 12 };
    uint64_t base = s->cpu.state.msr.apic_base;
    if (G_UNLIKELY(s->apic_access != NULL) && space == s->cpu.memory && base & APIC_ENABLED &&
        at >> PAGE_BITS == base >> PAGE_BITS) {
        s->apic_access(s, at & 0xfff, write);
    }
}

uint64_t soft_device_load(SoftCpu *s, Space *space, uint64_t at, unsigned size)
{
    before_device(s, space, at, false);
    borrow_leave(s);
    uint64_t v = space_load(space, at, size);
    after_device(s);
    return v;
}

void soft_device_store(SoftCpu *s, Space *space, uint64_t at, unsigned size, uint64_t value)
{
    before_device(s, space, at, true);
    borrow_leave(s);
    space_store(space, at, size, value);
    after_device(s);
}

static GMutex bus_mutex;
static __thread bool owns_bus;

void soft_bus_lock(void)
{
    g_mutex_lock(&bus_mutex);
    owns_bus = true;
}

void soft_bus_unlock(void)
{
    if (owns_bus) {
        owns_bus = false;
        g_mutex_unlock(&bus_mutex);
    }
}

/* ---- Segments ---- */

static _Noreturn void segment_refuse(SoftCpu *s, unsigned seg)
{
    soft_fault_error(s, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
}

/* Whether an access of a protected-mode segment is of a kind that its type permits. */
static bool type_permits(const Segment *g, bool write)
{
    if (segment_unusable(g) || !segment_p(g)) {
        return false;
    }
    unsigned type = segment_type(g);
    return type & SEGMENT_CODE ? !write && type & SEGMENT_READABLE : !write || type & SEGMENT_WRITABLE;
}

uint64_t soft_linear(SoftCpu *s, unsigned seg, uint64_t offset, unsigned size, bool write)
{
    const Segment *g = &s->cpu.state.seg[seg];
    if ((s->mode & MODE_SIZE) == MODE_64) {
        uint64_t linear = offset + (seg >= SEG_FS ? g->base : 0);
        bool la57 = s->cpu.state.cr4 & CR4_LA57;
        if (!address_canonical(linear, la57) || (size > 1 && !address_canonical(linear + size - 1, la57))) {
            segment_refuse(s, seg);
        }
        return linear;
    }
    uint64_t last = (uint64_t)(uint32_t)offset + (size ? size - 1 : 0);
    bool down = segment_s(g) && (segment_type(g) & (SEGMENT_CODE | SEGMENT_EXPAND_DOWN)) == SEGMENT_EXPAND_DOWN &&
                s->mode & MODE_PROTECTED;
    uint64_t top = segment_db(g) ? UINT32_MAX : 0xffff;
    bool inside = down ? (uint32_t)offset > g->limit && last <= top : last <= g->limit;
    if (!inside || (s->mode & MODE_PROTECTED && !type_permits(g, write))) {
        segment_refuse(s, seg);
    }
    return (uint32_t)(g->base + offset);
}

/* ---- Operands ---- */

uint64_t soft_ea(SoftCpu *s, const Insn *i)
{
    const MemOperand *m = &i->mem;
    uint64_t ea = (uint64_t)m->disp;
    if (m->base != NO_REG) {
        ea += s->cpu.state.gpr[m->base];
    }
    if (m->index != NO_REG) {
        ea += s->cpu.state.gpr[m->index] << m->scale;
    }
    return i->address_size == 8 ? ea : i->address_size == 4 ? (uint32_t)ea : (uint16_t)ea;
}

uint64_t soft_operand_linear(SoftCpu *s, const Insn *i, unsigned size, bool write)
{
    return soft_linear(s, i->mem.seg, soft_ea(s, i), size, write);
}

uint64_t soft_get(SoftCpu *s, const Insn *i, unsigned n)
{
    const Operand *o = &i->op[n];
    switch (o->kind) {
    case OPERAND_REG:
        switch (o->bank) {
        case BANK_GPR: return o->high ? s->cpu.state.gpr[o->reg] >> 8 & 0xff : soft_gpr(s, o->reg, o->size);
        case BANK_SEG: return s->cpu.state.seg[o->reg].selector;
        default: return 0;
        }
    case OPERAND_MEM: return soft_load(s, soft_operand_linear(s, i, o->size, false), o->size);
    case OPERAND_IMM: return i->imm[o->imm];
    default: return 0;
    }
}

uint64_t soft_get_rmw(SoftCpu *s, const Insn *i, unsigned n)
{
    const Operand *o = &i->op[n];
    if (o->kind != OPERAND_MEM) {
        return soft_get(s, i, n);
    }
    uint64_t linear = soft_operand_linear(s, i, o->size, true);
    soft_probe(s, linear, o->size, true);
    return soft_load(s, linear, o->size);
}

void soft_put(SoftCpu *s, const Insn *i, unsigned n, uint64_t value)
{
    const Operand *o = &i->op[n];
    if (o->kind == OPERAND_MEM) {
        soft_store(s, soft_operand_linear(s, i, o->size, true), o->size, value);
    } else if (o->high) {
        uint64_t *r = &s->cpu.state.gpr[o->reg];
        *r = (*r & ~UINT64_C(0xff00)) | (value & 0xff) << 8;
    } else {
        soft_gpr_put(s, o->reg, o->size, value);
    }
}

/* ---- The stack ---- */

void soft_push_at(SoftCpu *s, uint64_t *sp, unsigned size, uint64_t value)
{
    uint64_t to = (*sp - size) & soft_sp_mask(s);
    soft_store(s, soft_linear(s, SEG_SS, to, size, true), size, value);
    *sp = to;
}

uint64_t soft_pop_at(SoftCpu *s, uint64_t *sp, unsigned size)
{
    uint64_t mask = soft_sp_mask(s), from = *sp & mask;
    uint64_t v = soft_load(s, soft_linear(s, SEG_SS, from, size, false), size);
    *sp = (from + size) & mask;
    return v;
}

void soft_push(SoftCpu *s, unsigned size, uint64_t value)
{
    uint64_t sp = s->cpu.state.gpr[CPU_RSP];
    soft_push_at(s, &sp, size, value);
    soft_sp_put(s, sp);
}

uint64_t soft_pop(SoftCpu *s, unsigned size)
{
    uint64_t sp = s->cpu.state.gpr[CPU_RSP];
    uint64_t v = soft_pop_at(s, &sp, size);
    soft_sp_put(s, sp);
    return v;
}
