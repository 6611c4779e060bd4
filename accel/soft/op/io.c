#include "accel/soft/op/io.h"

#include "accel/soft/op/system.h"
#include "cpu/blackbox/ring.h"
#include "mem/region.h"

enum { TSS_AVAILABLE = 9, TSS_BUSY = 11, TSS_LIMIT_LEAST = 103, TSS_IO_BASE = 102 };

static uint64_t tss_load(SoftCpu *s, uint32_t at)
{
    uint64_t linear = s->cpu.state.seg[SEG_TR].base + at;
    return soft_load_system(s, cpu_long_active(&s->cpu.state) ? linear : (uint32_t)linear, 2);
}

/* Two bytes of the bitmap are read for every access, so both must be within the limit. */
static void bitmap_check(SoftCpu *s, unsigned port, unsigned size)
{
    const Segment *tr = &s->cpu.state.seg[SEG_TR];
    unsigned type = segment_type(tr);
    bool tss = segment_p(tr) && !segment_unusable(tr) && (type == TSS_AVAILABLE || type == TSS_BUSY);
    system_gp(s, !tss || tr->limit < TSS_LIMIT_LEAST);
    uint32_t at = (uint32_t)tss_load(s, TSS_IO_BASE) + port / 8;
    system_gp(s, at + 1 > tr->limit);
    uint64_t denied = tss_load(s, at) >> (port & 7);
    system_gp(s, denied & ((1u << size) - 1));
}

void io_check(SoftCpu *s, unsigned port, unsigned size)
{
    const CpuState *st = &s->cpu.state;
    CpuMode mode = cpu_mode(st);
    if (mode == CPU_VM86 || (mode != CPU_REAL && soft_cpl(s) > (st->rflags >> 12 & 3))) {
        bitmap_check(s, port, size);
    }
}

unsigned io_breakpoints(const SoftCpu *s, unsigned port, unsigned size)
{
    enum { ENABLED = 0xff, RW_IO = 2 };
    const CpuState *st = &s->cpu.state;
    uint64_t dr7 = st->dr[7];
    unsigned met = 0;
    if (!(st->cr4 & CR4_DE) || !(dr7 & ENABLED)) {
        return 0;
    }
    for (unsigned n = 0; n < 4; n++) {
        unsigned control = dr7 >> (16 + 4 * n) & 15, len = (control >> 2) + 1;
        uint64_t from = st->dr[n] & ~(uint64_t)(len - 1);
        if (dr7 >> (2 * n) & 3 && (control & 3) == RW_IO && port < from + len && from < port + size) {
            met |= 1u << n;
        }
    }
    return met;
}

static unsigned port_of(const SoftCpu *s, const Insn *i, unsigned operand)
{
    const Operand *o = &i->op[operand];
    return o->kind == OPERAND_IMM ? i->imm[o->imm] & 0xff : soft_gpr(s, CPU_RDX, 2);
}

static void trap_if_met(SoftCpu *s, unsigned met)
{
    if (met) {
        soft_debug_trap(s, met);
    }
}

void op_in(SoftCpu *s, const Insn *i)
{
    unsigned port = port_of(s, i, 1), size = i->op[0].size, met = io_breakpoints(s, port, size);
    io_check(s, port, size);
    uint64_t value = soft_device_load(s, space_io(), port, size);
    soft_gpr_put(s, CPU_RAX, size, value);
    box_note(&s->cpu, BOX_IN, size, port, value, 0, s->insn_rip);
    trap_if_met(s, met);
}

void op_out(SoftCpu *s, const Insn *i)
{
    unsigned port = port_of(s, i, 0), size = i->op[1].size, met = io_breakpoints(s, port, size);
    io_check(s, port, size);
    uint64_t value = soft_gpr(s, CPU_RAX, size);
    box_note(&s->cpu, BOX_OUT, size, port, value, 0, s->insn_rip);
    soft_device_store(s, space_io(), port, size, value);
    trap_if_met(s, met);
}
