/* Vector instructions done in C: those that touch memory by element (masked moves, gathers), and those
 * that only change which registers are in use.
 *
 * An element that the mask leaves out is not accessed and cannot fault (SDM vol 2 VMASKMOV, VPMASKMOV,
 * MASKMOVDQU); a store that faults has stored nothing; a gather that faults has finished the elements
 * before (VPGATHERDD, "Operation"). */
#include <Zydis/Zydis.h>
#include <string.h>

#include "accel/soft/borrow/code.h"
#include "accel/soft/op/x87/x87.h"

enum { VEC_BYTES = 32, PAGE_MASK = 4095 };

static VecCode code_of(SoftCpu *s, const Insn *i)
{
    VecCode c;
    if (!vec_parse(&c, i, s->mode)) {
        soft_fault(s, EXC_UD);
    }
    return c;
}

static unsigned reg_field(const VecCode *c) { return (c->modrm >> 3 & 7) | c->r << 3; }
static unsigned rm_field(const VecCode *c) { return (c->modrm & 7) | c->b << 3; }

static void vec_get(const SoftCpu *s, unsigned reg, uint8_t out[VEC_BYTES])
{
    memcpy(out, s->cpu.state.fpu.xmm[reg], 16);
    memcpy(out + 16, s->cpu.state.fpu.ymmh[reg], 16);
}

static void vec_put(SoftCpu *s, unsigned reg, const uint8_t v[VEC_BYTES])
{
    Xsave *x = &s->cpu.state.fpu;
    memcpy(x->xmm[reg], v, 16);
    memcpy(x->ymmh[reg], v + 16, 16);
    x->xstate_bv |= XSTATE_SSE | (x->ymmh[reg][0] | x->ymmh[reg][1] ? XSTATE_AVX : 0);
}

static bool long_mode(const SoftCpu *s) { return (s->mode & MODE_SIZE) == MODE_64; }

/* ---- Elements under a mask ---- */
typedef struct Masked {
    unsigned size, count;               /* of an element; elements */
    unsigned seg;
    uint64_t offset;                    /* of element 0 */
    uint32_t mask;                      /* bit n: element n is accessed */
    uint8_t *data;                      /* all elements */
} Masked;

static uint32_t mask_bits(const uint8_t *v, unsigned size, unsigned count)
{
    uint32_t mask = 0;
    for (unsigned n = 0; n < count; n++) {
        mask |= (uint32_t)(v[n * size + size - 1] >> 7) << n;
    }
    return mask;
}

static uint64_t masked_linear(SoftCpu *s, const Masked *m, unsigned n, bool write)
{
    return soft_linear(s, m->seg, m->offset + n * m->size, m->size, write);
}

/* Elements from the first to the last in the mask as plain memory of one page, else NULL.  What would
 * fault faults at the first element, as one by one; alignment checks are left to the slow way. */
static uint8_t *masked_host(SoftCpu *s, const Masked *m, bool write, unsigned *first)
{
    unsigned last = 31 - (unsigned)__builtin_clz(m->mask);
    *first = (unsigned)__builtin_ctz(m->mask);
    uint64_t from = masked_linear(s, m, *first, write), to = masked_linear(s, m, last, write);
    unsigned span = (last - *first + 1) * m->size;
    if (to - from != (uint64_t)(last - *first) * m->size || (from & PAGE_MASK) + span > PAGE_MASK + 1 ||
        (s->cpu.state.rflags & FLAG_AC)) {
        return NULL;
    }
    return soft_host_span(s, from, span, write);
}

static void masked_load(SoftCpu *s, const Masked *m)
{
    unsigned first;
    const uint8_t *host = m->mask ? masked_host(s, m, false, &first) : NULL;
    for (uint32_t left = m->mask; left; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left);
        uint64_t v = 0;
        if (!host) {
            v = soft_load(s, masked_linear(s, m, n, false), m->size);
        }
        memcpy(m->data + n * m->size, host ? host + (n - first) * m->size : (uint8_t *)&v, m->size);
    }
}

static void masked_store(SoftCpu *s, const Masked *m)
{
    unsigned first;
    uint8_t *host = m->mask ? masked_host(s, m, true, &first) : NULL;
    for (uint32_t left = host ? 0 : m->mask; left; left &= left - 1) {
        soft_probe(s, masked_linear(s, m, (unsigned)__builtin_ctz(left), true), m->size, true);
    }
    for (uint32_t left = m->mask; left; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left);
        const uint8_t *from = m->data + n * m->size;
        if (host) {
            memcpy(host + (n - first) * m->size, from, m->size);
        } else {
            uint64_t v = 0;
            memcpy(&v, from, m->size);
            soft_store(s, masked_linear(s, m, n, true), m->size, v);
        }
    }
}

/* VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ */
static void mask_move(SoftCpu *s, const Insn *i, unsigned size)
{
    VecCode c = code_of(s, i);
    uint8_t mask[VEC_BYTES], data[VEC_BYTES] = {0};
    unsigned count = (c.l ? 32 : 16) / size;
    vec_get(s, c.vvvv, mask);
    Masked m = {size, count, i->mem.seg, soft_ea(s, i), mask_bits(mask, size, count), data};
    if (i->op[0].kind == OPERAND_MEM) {
        vec_get(s, reg_field(&c), data);
        masked_store(s, &m);
    } else {
        masked_load(s, &m);
        vec_put(s, reg_field(&c), data);
    }
}

static void mask_move_4(SoftCpu *s, const Insn *i) { mask_move(s, i, 4); }
static void mask_move_8(SoftCpu *s, const Insn *i) { mask_move(s, i, 8); }

static uint64_t address_cut(const Insn *i, uint64_t offset)
{
    return i->address_size == 8 ? offset : i->address_size == 4 ? (uint32_t)offset : (uint16_t)offset;
}

/* MASKMOVQ, MASKMOVDQU: bytes, at rDI. */
static void mask_move_bytes(SoftCpu *s, const Insn *i, const uint8_t *mask, uint8_t *data, unsigned count)
{
    uint64_t offset = address_cut(i, s->cpu.state.gpr[CPU_RDI]);
    Masked m = {1, count, i->mem.seg, offset, mask_bits(mask, 1, count), data};
    masked_store(s, &m);
}

static void maskmovdqu(SoftCpu *s, const Insn *i)
{
    VecCode c = code_of(s, i);
    uint8_t mask[VEC_BYTES], data[VEC_BYTES];
    vec_get(s, rm_field(&c), mask);
    vec_get(s, reg_field(&c), data);
    mask_move_bytes(s, i, mask, data, 16);
}

static void maskmovq(SoftCpu *s, const Insn *i)
{
    VecCode c = code_of(s, i);
    borrow_mmx_enter(s);
    uint64_t mask = s->cpu.state.fpu.st[c.modrm & 7].mantissa, data = s->cpu.state.fpu.st[c.modrm >> 3 & 7].mantissa;
    mask_move_bytes(s, i, (uint8_t *)&mask, (uint8_t *)&data, 8);
}

/* ---- Gathers ---- */
static uint64_t gather_index(const uint8_t *x, unsigned n, unsigned size)
{
    int32_t narrow;
    uint64_t wide;
    if (size == 4) {
        memcpy(&narrow, x + 4 * n, 4);
        return (uint64_t)(int64_t)narrow;
    }
    memcpy(&wide, x + 8 * n, 8);
    return wide;
}

/* In the registers themselves, element by element: a fault then finds them as they have to be. */
static void gather(SoftCpu *s, const Insn *i, unsigned index_size, unsigned size)
{
    VecCode c = code_of(s, i);
    unsigned dest = reg_field(&c), index = c.vsib_index, mask = c.vvvv;
    if (!c.memory || i->address_size == 2 || dest == index || dest == mask || index == mask) {
        soft_fault(s, EXC_UD);
    }
    unsigned count = (c.l ? 32 : 16) / MAX(index_size, size);
    uint8_t d[VEC_BYTES], x[VEC_BYTES], m[VEC_BYTES];
    vec_get(s, dest, d);
    vec_get(s, index, x);
    vec_get(s, mask, m);
    uint32_t bits = mask_bits(m, size, count);
    uint64_t base = i->mem.base == NO_REG ? 0 : soft_gpr(s, i->mem.base, 8);
    for (unsigned n = 0; n < count; n++) {
        if (bits >> n & 1) {
            uint64_t at = gather_index(x, n, index_size) << i->mem.scale;
            uint64_t offset = address_cut(i, base + at + (uint64_t)i->mem.disp);
            uint64_t v = soft_load(s, soft_linear(s, i->mem.seg, offset, size, false), size);
            memcpy(d + n * size, &v, size);
            vec_put(s, dest, d);
        }
        memset(m + n * size, 0, size);
        vec_put(s, mask, m);
    }
    memset(d + count * size, 0, sizeof(d) - count * size);
    memset(m, 0, sizeof(m));
    vec_put(s, dest, d);
    vec_put(s, mask, m);
}

static void gather_4_4(SoftCpu *s, const Insn *i) { gather(s, i, 4, 4); }
static void gather_4_8(SoftCpu *s, const Insn *i) { gather(s, i, 4, 8); }
static void gather_8_4(SoftCpu *s, const Insn *i) { gather(s, i, 8, 4); }
static void gather_8_8(SoftCpu *s, const Insn *i) { gather(s, i, 8, 8); }

/* ---- State ---- */
void borrow_mmx_enter(SoftCpu *s)
{
    Xsave *x = &s->cpu.state.fpu;
    x87_wait(s);
    unsigned top = fpu_top(x);
    if (top) { /* MMn is the physical register n, st[] is in stack order */
        FpReg old[8];
        memcpy(old, x->st, sizeof(old));
        for (unsigned n = 0; n < 8; n++) {
            x->st[n] = old[(n - top) & 7];
        }
        x->fsw &= (uint16_t)~(7u << 11);
    }
    x->ftw = 0xff;
    x->xstate_bv |= XSTATE_FP;
}

static void emms(SoftCpu *s, const Insn *i)
{
    borrow_mmx_enter(s);
    s->cpu.state.fpu.ftw = 0;
}

/* Outside 64-bit mode registers 8 to 15 stay. */
static void zero_upper(SoftCpu *s, const Insn *i)
{
    memset(s->cpu.state.fpu.ymmh, 0, long_mode(s) ? 256 : 128);
}

static void zero_all(SoftCpu *s, const Insn *i)
{
    memset(s->cpu.state.fpu.xmm, 0, long_mode(s) ? 256 : 128);
    zero_upper(s, i);
}

/* ---- Direct stores ---- */
static void movdiri(SoftCpu *s, const Insn *i)
{
    soft_put(s, i, 0, soft_get(s, i, 1));
}

/* 64 bytes to ES:reg, aligned (SDM vol 2 MOVDIR64B). */
static void movdir64b(SoftCpu *s, const Insn *i)
{
    enum { LINE = 64 };
    uint8_t line[LINE];
    uint64_t offset = address_cut(i, s->cpu.state.gpr[i->op[0].reg]);
    uint64_t to = soft_linear(s, SEG_ES, offset, LINE, true);
    if (to & (LINE - 1)) {
        soft_fault_error(s, EXC_GP, 0);
    }
    soft_read(s, soft_linear(s, i->mem.seg, soft_ea(s, i), LINE, false), line, LINE);
    soft_write(s, to, line, LINE);
}

typedef struct VectorOp {
    uint16_t mnemonic;
    Stub stub;
} VectorOp;

#define OP(name, fn) {ZYDIS_MNEMONIC_##name, {.align = 1, .op = fn}}
static const VectorOp vector_ops[] = {
    OP(VMASKMOVPS, mask_move_4), OP(VMASKMOVPD, mask_move_8), OP(VPMASKMOVD, mask_move_4),
    OP(VPMASKMOVQ, mask_move_8), OP(MASKMOVQ, maskmovq), OP(MASKMOVDQU, maskmovdqu), OP(VMASKMOVDQU, maskmovdqu),
    OP(VGATHERDPS, gather_4_4), OP(VGATHERDPD, gather_4_8), OP(VGATHERQPS, gather_8_4), OP(VGATHERQPD, gather_8_8),
    OP(VPGATHERDD, gather_4_4), OP(VPGATHERDQ, gather_4_8), OP(VPGATHERQD, gather_8_4), OP(VPGATHERQQ, gather_8_8),
    OP(EMMS, emms), OP(VZEROUPPER, zero_upper), OP(VZEROALL, zero_all),
    OP(MOVDIRI, movdiri), OP(MOVDIR64B, movdir64b),
};

const Stub *vector_op_find(unsigned mnemonic)
{
    for (size_t k = 0; k < G_N_ELEMENTS(vector_ops); k++) {
        if (vector_ops[k].mnemonic == mnemonic) {
            return &vector_ops[k].stub;
        }
    }
    return NULL;
}
