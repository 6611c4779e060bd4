/* Bit tests, bit scans, counts and CRC32. */
#include "accel/soft/op/integer/integer.h"

/* ---- BT, BTS, BTR, BTC ---- */
static uint64_t bit_test(unsigned size, uint64_t a, uint64_t n, uint16_t *cc)
{
    cc_set(cc, CC_CF, a >> n & 1);
    return a;
}
static uint64_t bit_set(unsigned size, uint64_t a, uint64_t n, uint16_t *cc)
{
    return bit_test(size, a, n, cc) | UINT64_C(1) << n;
}
static uint64_t bit_reset(unsigned size, uint64_t a, uint64_t n, uint16_t *cc)
{
    return bit_test(size, a, n, cc) & ~(UINT64_C(1) << n);
}
static uint64_t bit_complement(unsigned size, uint64_t a, uint64_t n, uint16_t *cc)
{
    return bit_test(size, a, n, cc) ^ UINT64_C(1) << n;
}

/* A register names a bit of a string in memory that reaches 2^(8 * size - 1) bits to both sides of the
 * operand; the operand that is accessed is the one with that bit (SDM vol 1 §3.1.1.9, vol 2 BT). */
static uint64_t bit_string_linear(SoftCpu *s, const Insn *i, unsigned size, uint64_t index, bool write)
{
    int64_t operands = sign_extend(index, size) >> (size == 2 ? 4 : size == 4 ? 5 : 6);
    uint64_t offset = soft_ea(s, i) + (uint64_t)operands * size;
    return soft_linear(s, i->mem.seg, offset & size_mask(i->address_size), size, write);
}

static void bit_operation(SoftCpu *s, const Insn *i, AluFn *fn)
{
    unsigned size = i->op[0].size;
    uint64_t index = soft_get(s, i, 1), n = index & (8 * size - 1);
    bool write = fn != bit_test;
    uint16_t cc = s->cc;
    if (i->op[0].kind == OPERAND_MEM && i->op[1].kind == OPERAND_REG) {
        uint64_t linear = bit_string_linear(s, i, size, index, write);
        if (!write) {
            fn(size, soft_load(s, linear, size), n, &cc);
        } else if (i->lock) {
            memory_update(s, linear, size, fn, n, &cc);
        } else {
            soft_probe(s, linear, size, true);
            soft_store(s, linear, size, fn(size, soft_load(s, linear, size), n, &cc));
        }
        s->cc = cc;
    } else if (write) {
        operand_update(s, i, fn, n);
    } else {
        fn(size, soft_get(s, i, 0), n, &s->cc);
    }
}

void op_bt(SoftCpu *s, const Insn *i) { bit_operation(s, i, bit_test); }
void op_bts(SoftCpu *s, const Insn *i) { bit_operation(s, i, bit_set); }
void op_btr(SoftCpu *s, const Insn *i) { bit_operation(s, i, bit_reset); }
void op_btc(SoftCpu *s, const Insn *i) { bit_operation(s, i, bit_complement); }

/* ---- Scans ---- */
/* Nothing found: ZF, and the destination stays, all 64 bits of it (AMD's definition, and what Intel's do). */
#define SCAN_CASE(bytes, insn, suffix, mod)                                                         \
    case bytes:                                                                                     \
        __asm__("addb $0x7f, %%al\n\tsahf\n\t" insn suffix " %" mod "[src], %" mod "[dst]\n\t"         \
                "lahf\n\tseto %%al"                                                                 \
                : [dst] "+&r"(dst), "+&a"(ax)                                                       \
                : [src] "r"(src)                                                                    \
                : "cc");                                                                            \
        break
#define SCAN(name, insn)                                                                            \
    void name(SoftCpu *s, const Insn *i)                                                            \
    {                                                                                               \
        uint64_t src = soft_get(s, i, 1), dst = s->cpu.state.gpr[i->op[0].reg];                     \
        uint16_t ax = s->cc;                                                                        \
        switch (i->op[0].size) {                                                                    \
            SCAN_CASE(2, insn, "w", "w");                                                           \
            SCAN_CASE(4, insn, "l", "k");                                                           \
            SCAN_CASE(8, insn, "q", "q");                                                           \
        }                                                                                           \
        if (src) {                                                                                  \
            soft_put(s, i, 0, dst);                                                                 \
        }                                                                                           \
        s->cc = ax;                                                                                 \
    }
SCAN(op_bsf, "bsf")
SCAN(op_bsr, "bsr")

/* ---- Counts ---- */
static void count_zeros(SoftCpu *s, const Insn *i, bool trailing)
{
    unsigned size = i->op[0].size;
    uint64_t v = soft_get(s, i, 1), n;
    if (v == 0) {
        n = 8 * size;
    } else {
        n = trailing ? (unsigned)__builtin_ctzll(v) : (unsigned)__builtin_clzll(v) - (64 - 8 * size);
    }
    soft_put(s, i, 0, n);
    cc_set(&s->cc, CC_CF, v == 0);
    cc_set(&s->cc, CC_ZF, n == 0);
}

/* To a processor that lacks them they are BSF and BSR with a prefix that means nothing. */
void op_tzcnt(SoftCpu *s, const Insn *i)
{
    if (cpu_has(s, FEATURE_BMI1)) {
        count_zeros(s, i, true);
    } else {
        op_bsf(s, i);
    }
}

void op_lzcnt(SoftCpu *s, const Insn *i)
{
    if (cpu_has(s, FEATURE_ABM)) {
        count_zeros(s, i, false);
    } else {
        op_bsr(s, i);
    }
}

void op_popcnt(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_POPCNT);
    uint64_t v = soft_get(s, i, 1);
    soft_put(s, i, 0, __builtin_popcountll(v));
    s->cc = v == 0 ? CC_ZF : 0;
}

/* ---- CRC32: Castagnoli's polynomial, reflected; no inversion before or behind ---- */
static uint32_t crc_byte(uint32_t crc, uint8_t b)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    crc ^= b;
    crc = crc >> 4 ^ nibble[crc & 15];
    return crc >> 4 ^ nibble[crc & 15];
}

void op_crc32(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_SSE42);
    uint32_t crc = (uint32_t)soft_get(s, i, 0);
    uint64_t v = soft_get(s, i, 1);
    for (unsigned n = 0; n < i->op[1].size; n++) {
        crc = crc_byte(crc, (uint8_t)(v >> 8 * n));
    }
    soft_put(s, i, 0, crc);
}
