/* Moves and conversions. */
#include "accel/soft/op/integer/integer.h"

/* The other banks share the mnemonic; a test register is in none. */
static OpFn *mov_special(const Insn *i)
{
    for (unsigned n = 0; n < 2; n++) {
        switch (i->op[n].kind == OPERAND_REG ? i->op[n].bank : BANK_GPR) {
        case BANK_GPR:
            break;
        case BANK_SEG:
            return op_mov_sreg;
        case BANK_CR:
            return op_mov_cr;
        case BANK_DR:
            return op_mov_dr;
        default:
            return NULL;
        }
    }
    return op_mov;
}

void op_mov(SoftCpu *s, const Insn *i)
{
    OpFn *fn = mov_special(i);
    if (!fn) {
        soft_fault(s, EXC_UD);
    }
    if (fn != op_mov) {
        fn(s, i);
        return;
    }
    soft_put(s, i, 0, soft_get(s, i, 1));
}

void op_movzx(SoftCpu *s, const Insn *i) { soft_put(s, i, 0, soft_get(s, i, 1)); }

/* MOVSXD too: its source may have the destination's size. */
void op_movsx(SoftCpu *s, const Insn *i)
{
    soft_put(s, i, 0, (uint64_t)sign_extend(soft_get(s, i, 1), i->op[1].size));
}

void op_lea(SoftCpu *s, const Insn *i) { soft_put(s, i, 0, soft_ea(s, i)); }

void op_xlat(SoftCpu *s, const Insn *i)
{
    uint64_t *gpr = s->cpu.state.gpr;
    uint64_t offset = (gpr[CPU_RBX] + (uint8_t)gpr[CPU_RAX]) & size_mask(i->address_size);
    uint64_t linear = soft_linear(s, insn_prefixes(s, i).seg, offset, 1, false);
    soft_gpr_put(s, CPU_RAX, 1, soft_load(s, linear, 1));
}

/* The source is read, and a 32-bit destination written, whatever the condition. */
void op_cmov(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_CMOV);
    uint64_t v = soft_get(s, i, 1);
    soft_put(s, i, 0, cc_test(s->cc, i->opcode) ? v : soft_get(s, i, 0));
}

void op_setcc(SoftCpu *s, const Insn *i) { soft_put(s, i, 0, cc_test(s->cc, i->opcode)); }

/* CBW, CWDE, CDQE: the accumulator's lower half into all of it. */
void op_cbw(SoftCpu *s, const Insn *i)
{
    unsigned size = i->operand_size;
    soft_gpr_put(s, CPU_RAX, size, (uint64_t)sign_extend(s->cpu.state.gpr[CPU_RAX], size / 2));
}

/* CWD, CDQ, CQO: its sign into rDX. */
void op_cwd(SoftCpu *s, const Insn *i)
{
    unsigned size = i->operand_size;
    soft_gpr_put(s, CPU_RDX, size, sign_extend(s->cpu.state.gpr[CPU_RAX], size) < 0 ? UINT64_MAX : 0);
}

static uint64_t reverse(uint64_t v, unsigned size) { return __builtin_bswap64(v) >> (64 - 8 * size); }

/* Of 16 bits the result is undefined; processors give 0. */
void op_bswap(SoftCpu *s, const Insn *i)
{
    unsigned size = i->op[0].size;
    soft_put(s, i, 0, size == 2 ? 0 : reverse(soft_get(s, i, 0), size));
}

void op_movbe(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_MOVBE);
    soft_put(s, i, 0, reverse(soft_get(s, i, 1), i->op[0].size));
}

void op_movnti(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_SSE2);
    soft_put(s, i, 0, soft_get(s, i, 1));
}

void op_movdiri(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_MOVDIRI);
    soft_put(s, i, 0, soft_get(s, i, 1));
}
