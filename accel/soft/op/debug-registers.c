/* MOV to and from debug registers (SDM vol 3 §18.2). */
#include "accel/soft/op/system.h"

enum {
    DR6_BD = 1 << 13,
    DR7_GD = 1 << 13,
    DR6_WRITABLE = 0xe00f, /* B0-3, BD, BS, BT; RTM and BLD, which are not here, read as 1 */
    DR7_WRITABLE = 0x23ff, /* L and G, LE, GE, GD; the high half is R/W and LEN of the four */
    DR7_ONE = 0x400,
};
#define DR6_ONES UINT64_C(0xffff0ff0)

static void dr_write(SoftCpu *s, unsigned dr, uint64_t v)
{
    uint64_t *to = &s->cpu.state.dr[dr];
    system_gp(s, dr >= 6 && v >> 32);
    if (dr == 6) {
        *to = (v & DR6_WRITABLE) | DR6_ONES;
    } else if (dr == 7) {
        *to = (v & (UINT64_C(0xffff0000) | DR7_WRITABLE)) | DR7_ONE;
    } else {
        *to = v;
    }
    soft_changed(s);
}

void op_mov_dr(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    bool to = i->op[0].bank == BANK_DR;
    const Operand *gpr = &i->op[to ? 1 : 0];
    unsigned size = system_64bit(s) ? 8 : 4, dr = i->op[to ? 0 : 1].reg;
    system_privileged(s);
    if (dr == 4 || dr == 5) {
        system_ud(s, st->cr4 & CR4_DE);
        dr += 2;
    }
    system_ud(s, dr > 7);
    if (st->dr[7] & DR7_GD) {
        st->dr[6] |= DR6_BD; /* a fault; its delivery clears GD, so that the handler can look */
        soft_fault(s, EXC_DB);
    }
    if (to) {
        dr_write(s, dr, soft_gpr(s, gpr->reg, size));
    } else {
        soft_gpr_put(s, gpr->reg, size, st->dr[dr]);
    }
}
