/* Flags one by one, instructions that do nothing, fences, random numbers. */
#include <string.h>

#include "accel/soft/op/integer/integer.h"
#include "core/random.h"

/* SF ZF AF PF CF: all of cc but OF. */
enum { CC_LAHF = 0xd500 };

void op_lahf(SoftCpu *s, const Insn *i)
{
    if (code_64(s)) {
        require(s, FEATURE_LAHF_LM);
    }
    uint64_t *rax = &s->cpu.state.gpr[CPU_RAX];
    *rax = (*rax & ~UINT64_C(0xff00)) | (s->cc & CC_LAHF) | FLAG_ONE << 8;
}

void op_sahf(SoftCpu *s, const Insn *i)
{
    if (code_64(s)) {
        require(s, FEATURE_LAHF_LM);
    }
    s->cc = (uint16_t)((s->cc & CC_OF) | (s->cpu.state.gpr[CPU_RAX] & CC_LAHF));
}

void op_clc(SoftCpu *s, const Insn *i) { s->cc &= (uint16_t)~CC_CF; }
void op_stc(SoftCpu *s, const Insn *i) { s->cc |= CC_CF; }
void op_cmc(SoftCpu *s, const Insn *i) { s->cc ^= CC_CF; }
void op_cld(SoftCpu *s, const Insn *i) { s->cpu.state.rflags &= ~(uint64_t)FLAG_DF; }
void op_std(SoftCpu *s, const Insn *i) { s->cpu.state.rflags |= FLAG_DF; }

/* D6H, named by its users: AL from CF, no flag changes. */
void op_salc(SoftCpu *s, const Insn *i) { soft_gpr_put(s, CPU_RAX, 1, s->cc & CC_CF ? 0xff : 0); }

/* NOP with its operand, prefetches (hints, which never fault), ENDBR and what else is NOP without CET. */
void op_nop(SoftCpu *s, const Insn *i) {}

/* The guest's loads and stores are the host's, and so is their order. */
void op_fence_sse(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_SSE);
    atomic_thread_fence(memory_order_seq_cst);
}

void op_fence_sse2(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_SSE2);
    atomic_thread_fence(memory_order_seq_cst);
}

void op_serialize(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_SERIALIZE);
    atomic_thread_fence(memory_order_seq_cst);
}

/* ---- Random numbers ---- */
static struct {
    GMutex lock;
    uint64_t words[64];
    size_t left;                        /* words not yet given away, at the start of the buffer */
} pool;

static void pool_fill(void)
{
    host_random(pool.words, sizeof(pool.words));
    pool.left = G_N_ELEMENTS(pool.words);
}

uint64_t soft_random(SoftCpu *s)
{
    g_mutex_lock(&pool.lock);
    if (pool.left == 0) {
        pool_fill();
    }
    uint64_t v = pool.words[--pool.left];
    pool.words[pool.left] = 0;
    g_mutex_unlock(&pool.lock);
    return v;
}

static void random_put(SoftCpu *s, const Insn *i)
{
    soft_put(s, i, 0, soft_random(s));
    s->cc = CC_CF;                      /* there always is one */
}

void op_rdrand(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_RDRAND);
    random_put(s, i);
}

void op_rdseed(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_RDSEED);
    random_put(s, i);
}
