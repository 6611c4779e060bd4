/* x87 control instructions: control and status words, environment, the whole state, pending exceptions,
 * FERR (SDM vol 1 §8.1.9, 8.1.10, 8.3.11, 8.7). */
#include <Zydis/Zydis.h>

#include "accel/soft/op/x87/x87.h"
#include "core/loop.h"

/* ---- Pending exceptions ---- */
static atomic_bool ferr; /* one wire, from the boot processor */

static void set_ferr(bool level)
{
    if (cpu_platform.ferr && (level || atomic_load(&ferr))) {
        atomic_store(&ferr, level);
        loop_lock();
        cpu_platform.ferr(level);
        loop_unlock();
    }
}

void x87_ferr(SoftCpu *s)
{
    if (s->cpu.is_bsp) {
        set_ferr(true);
    }
}

void x87_pending(SoftCpu *s)
{
    if (s->cpu.state.cr0 & CR0_NE) {
        soft_fault(s, EXC_MF);
    }
    x87_ferr(s);
    if (atomic_load(&s->cpu.events) & CPU_EVENT_INTR && s->cpu.state.rflags & FLAG_IF) {
        soft_restart(s); /* it froze before this instruction, until the interrupt came */
    }
}

void x87_settle(SoftCpu *s)
{
    x87_summarise(x87_state(s));
    if (s->cpu.is_bsp && !(x87_state(s)->fsw & FSW_ES)) {
        set_ferr(false);
    }
}

static void fwait(SoftCpu *s, const Insn *i)
{
    x87_wait(s);
}

/* ---- State ---- */
/* TOP becomes another; contents stay in their physical registers. */
static void turn_to(Xsave *x, unsigned top)
{
    while (fpu_top(x) != (top & 7)) {
        x87_top_up(x);
    }
}

/* FNINIT: registers are empty but keep their bits. */
static void init(SoftCpu *s)
{
    Xsave *x = x87_state(s);
    turn_to(x, 0);
    x->fcw = FCW_INIT;
    x->fsw = x->fop = 0;
    x->ftw = 0;
    x->fip = x->fdp = 0;
    x->xstate_bv |= XSTATE_FP;
    x87_settle(s);
}

static void fninit(SoftCpu *s, const Insn *i)
{
    init(s);
}

static void fnclex(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x->fsw &= (uint16_t) ~(FSW_STICKY | FSW_ES | FSW_B);
    x->xstate_bv |= XSTATE_FP;
    x87_settle(s);
}

static void fnstcw(SoftCpu *s, const Insn *i)
{
    soft_store(s, soft_operand_linear(s, i, 2, true), 2, x87_state(s)->fcw);
}

static void fldcw(SoftCpu *s, const Insn *i)
{
    x87_wait(s);
    Xsave *x = x87_state(s);
    x87_set_control(x, (uint16_t)soft_load(s, soft_operand_linear(s, i, 2, false), 2));
    x->xstate_bv |= XSTATE_FP;
    x87_settle(s);
}

static void fnstsw(SoftCpu *s, const Insn *i)
{
    uint16_t fsw = x87_state(s)->fsw;
    if (i->modrm >= 0xc0) {
        soft_gpr_put(s, CPU_RAX, 2, fsw);
    } else {
        soft_store(s, soft_operand_linear(s, i, 2, true), 2, fsw);
    }
}

/* EMMS: every register is empty, TOP is 0 (SDM vol 3 table 12-1). */
static void emms(SoftCpu *s, const Insn *i)
{
    x87_wait(s);
    Xsave *x = x87_state(s);
    turn_to(x, 0);
    x->ftw = 0;
    x->xstate_bv |= XSTATE_FP;
}

/* 8087 and 80287 control instructions, which the 80387 ignores. */
static void ignore(SoftCpu *s, const Insn *i) {}

/* ---- The environment in memory (SDM vol 1 figures 8-9 to 8-12) ---- */
enum { ENV_16 = 14, ENV_32 = 28, ENV_REGISTERS = 80 };

static bool real_format(const SoftCpu *s)
{
    CpuMode m = cpu_mode(&s->cpu.state);
    return m == CPU_REAL || m == CPU_VM86;
}
static unsigned env_size(const Insn *i)
{
    return i->operand_size == 2 ? ENV_16 : ENV_32;
}

/* As words of 2 or 4 bytes; reserved halves are ones. */
static void env_put(uint8_t *env, unsigned size, unsigned n, uint32_t v)
{
    unsigned width = size == ENV_16 ? 2 : 4;
    memcpy(env + n * width, &v, width);
}
static uint32_t env_get(const uint8_t *env, unsigned size, unsigned n)
{
    uint32_t v = 0;
    unsigned width = size == ENV_16 ? 2 : 4;
    memcpy(&v, env + n * width, width);
    return v;
}

static void env_store(const SoftCpu *s, uint8_t *env, unsigned size)
{
    const Xsave *x = &s->cpu.state.fpu;
    const uint32_t ones = UINT32_C(0xffff0000);
    uint32_t ip = (uint32_t)x->fip, dp = (uint32_t)x->fdp, opcode = x->fop & 0x7ff;
    env_put(env, size, 0, ones | x->fcw);
    env_put(env, size, 1, ones | x->fsw);
    env_put(env, size, 2, ones | fpu_tag_word(x));
    if (!real_format(s)) {
        env_put(env, size, 3, ip);
        env_put(env, size, 4, size == ENV_32 ? opcode << 16 : 0); /* FCS: 0 */
        env_put(env, size, 5, dp);
        env_put(env, size, 6, ones); /* FDS: 0 */
    } else if (size == ENV_32) {
        env_put(env, size, 3, ones | (ip & 0xffff));
        env_put(env, size, 4, ip >> 16 << 12 | opcode);
        env_put(env, size, 5, ones | (dp & 0xffff));
        env_put(env, size, 6, dp >> 16 << 12);
    } else {
        env_put(env, size, 3, ip);
        env_put(env, size, 4, (ip >> 4 & 0xf000) | opcode);
        env_put(env, size, 5, dp);
        env_put(env, size, 6, dp >> 4 & 0xf000);
    }
}

static void env_load_pointers(SoftCpu *s, const uint8_t *env, unsigned size)
{
    Xsave *x = x87_state(s);
    uint32_t ip = env_get(env, size, 3), selector = env_get(env, size, 4);
    uint32_t dp = env_get(env, size, 5), data_selector = env_get(env, size, 6);
    if (!real_format(s)) {
        x->fip = ip;
        x->fdp = dp;
        x->fop = size == ENV_32 ? selector >> 16 & 0x7ff : 0;
    } else {
        unsigned high = size == ENV_32 ? 0x0ffff000 : 0xf000;
        x->fip = (ip & 0xffff) | (selector & high) << 4;
        x->fdp = (dp & 0xffff) | (data_selector & high) << 4;
        x->fop = selector & 0x7ff;
    }
}

/* All but the registers' contents, which stay where they are physically. */
static void env_load(SoftCpu *s, const uint8_t *env, unsigned size)
{
    Xsave *x = x87_state(s);
    uint16_t fsw = (uint16_t)env_get(env, size, 1);
    turn_to(x, fsw >> 11);
    x->fsw = fsw;
    x87_set_control(x, (uint16_t)env_get(env, size, 0));
    x->ftw = fpu_abridge_tags((uint16_t)env_get(env, size, 2));
    env_load_pointers(s, env, size);
    x->xstate_bv |= XSTATE_FP;
    x87_settle(s);
}

static void fnstenv(SoftCpu *s, const Insn *i)
{
    uint8_t env[ENV_32];
    unsigned size = env_size(i);
    env_store(s, env, size);
    soft_write(s, soft_operand_linear(s, i, size, true), env, size);
    x87_state(s)->fcw |= FCW_MASKS;
    x87_state(s)->xstate_bv |= XSTATE_FP;
    x87_settle(s);
}

static void fldenv(SoftCpu *s, const Insn *i)
{
    uint8_t env[ENV_32];
    unsigned size = env_size(i);
    x87_wait(s);
    soft_read(s, soft_operand_linear(s, i, size, false), env, size);
    env_load(s, env, size);
}

static void fnsave(SoftCpu *s, const Insn *i)
{
    uint8_t image[ENV_32 + ENV_REGISTERS];
    unsigned size = env_size(i);
    const Xsave *x = x87_state(s);
    env_store(s, image, size);
    for (unsigned n = 0; n < 8; n++) {
        memcpy(image + size + 10 * n, &x->st[n].mantissa, 8);
        memcpy(image + size + 10 * n + 8, &x->st[n].sign_exponent, 2);
    }
    soft_write(s, soft_operand_linear(s, i, size + ENV_REGISTERS, true), image, size + ENV_REGISTERS);
    init(s);
}

static void frstor(SoftCpu *s, const Insn *i)
{
    uint8_t image[ENV_32 + ENV_REGISTERS];
    unsigned size = env_size(i);
    Xsave *x = x87_state(s);
    x87_wait(s);
    soft_read(s, soft_operand_linear(s, i, size + ENV_REGISTERS, false), image, size + ENV_REGISTERS);
    env_load(s, image, size);
    for (unsigned n = 0; n < 8; n++) {
        memcpy(&x->st[n].mantissa, image + size + 10 * n, 8);
        memcpy(&x->st[n].sign_exponent, image + size + 10 * n + 8, 2);
    }
}

// clang-format off
#define M(name) ZYDIS_MNEMONIC_##name, 0
const Op ops_x87_control[] = {
    {M(FNINIT), fninit}, {M(FNCLEX), fnclex}, {M(FNSTCW), fnstcw}, {M(FLDCW), fldcw}, {M(FNSTSW), fnstsw},
    {M(FNSTENV), fnstenv}, {M(FLDENV), fldenv}, {M(FNSAVE), fnsave}, {M(FRSTOR), frstor}, {M(FWAIT), fwait},
    {M(EMMS), emms}, {M(FENI8087_NOP), ignore}, {M(FDISI8087_NOP), ignore}, {M(FSETPM287_NOP), ignore},
    {0},
};
// clang-format on
