/* Decimal arithmetic of the 8086 (SDM vol 2, each instruction's operation). Not in 64-bit code: the decoder
 * refuses it. Flags that are undefined follow the result as the defined ones do. */
#include "accel/soft/op/integer/integer.h"

static uint8_t al_get(const SoftCpu *s) { return (uint8_t)s->cpu.state.gpr[CPU_RAX]; }
static uint16_t ax_get(const SoftCpu *s) { return (uint16_t)s->cpu.state.gpr[CPU_RAX]; }

static uint16_t adjust_flags(uint8_t al, bool adjust, bool carry)
{
    return (uint16_t)(cc_of(1, al) | (adjust ? CC_AF : 0) | (carry ? CC_CF : 0));
}

static void ascii_adjust(SoftCpu *s, int step)
{
    unsigned ax = ax_get(s);
    bool adjust = (ax & 15) > 9 || s->cc & CC_AF;
    if (adjust) {
        ax += (unsigned)step;
    }
    ax &= 0xff0f;
    soft_gpr_put(s, CPU_RAX, 2, ax);
    s->cc = adjust_flags((uint8_t)ax, adjust, adjust);
}

void op_aaa(SoftCpu *s, const Insn *i) { ascii_adjust(s, 0x106); }
void op_aas(SoftCpu *s, const Insn *i) { ascii_adjust(s, -0x106); }

void op_daa(SoftCpu *s, const Insn *i)
{
    unsigned old = al_get(s), al = old;
    bool adjust = (old & 15) > 9 || s->cc & CC_AF, carry = old > 0x99 || s->cc & CC_CF;
    al += (adjust ? 6 : 0) + (carry ? 0x60 : 0);
    soft_gpr_put(s, CPU_RAX, 1, al);
    s->cc = adjust_flags((uint8_t)al, adjust, carry);
}

/* Unlike DAA's, the carry also comes from the borrow of the low digit's correction. */
void op_das(SoftCpu *s, const Insn *i)
{
    unsigned old = al_get(s), al = old;
    bool adjust = (old & 15) > 9 || s->cc & CC_AF, high = old > 0x99 || s->cc & CC_CF;
    al -= (adjust ? 6 : 0) + (high ? 0x60 : 0);
    soft_gpr_put(s, CPU_RAX, 1, al);
    s->cc = adjust_flags((uint8_t)al, adjust, high || (adjust && old < 6));
}

void op_aam(SoftCpu *s, const Insn *i)
{
    uint8_t base = (uint8_t)soft_get(s, i, 0), al = al_get(s);
    if (base == 0) {
        soft_fault(s, EXC_DE);
    }
    soft_gpr_put(s, CPU_RAX, 2, (unsigned)(al / base) << 8 | al % base);
    s->cc = cc_of(1, al % base);
}

void op_aad(SoftCpu *s, const Insn *i)
{
    unsigned ax = ax_get(s);
    uint64_t al = alu_add(1, ax & 0xff, (ax >> 8) * (soft_get(s, i, 0) & 0xff), &s->cc);
    soft_gpr_put(s, CPU_RAX, 2, al & 0xff);
}
