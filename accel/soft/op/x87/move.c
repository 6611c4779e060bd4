/* x87 data movement (SDM vol 1 §8.3.3, §8.3.4): loads, stores, constants, exchanges, the stack pointer. */
#include <Zydis/Zydis.h>

#include "accel/soft/op/x87/x87.h"

enum { EXTENDED_BIAS = 16383 };

/* ---- Loads ---- */

/* A real format in memory: bits of fraction, and what its exponent is biased by. */
typedef struct Format {
    unsigned fraction, bias;
} Format;
static inline Format format_of(unsigned size)
{
    return size == 8 ? (Format){52, 1023} : (Format){23, 127};
}

bool x87_widen(const void *real, unsigned size, X87Value *r)
{
    Format f = format_of(size);
    uint64_t v = 0;
    memcpy(&v, real, size == 8 ? 8 : 4);
    unsigned all = 2 * f.bias + 1, exponent = (unsigned)(v >> f.fraction) & all;
    unsigned negative = (unsigned)(v >> (8 * size - 1)) << 15;
    uint64_t fraction = v << (64 - f.fraction) >> 1;
    if (exponent - 1 < all - 1) {
        *r = (X87Value){.mantissa = fraction | UINT64_C(1) << 63,
                        .sign_exponent = (uint16_t)(negative | (exponent - f.bias + EXTENDED_BIAS))};
        return true;
    }
    *r = (X87Value){.mantissa = exponent ? UINT64_C(1) << 63 : 0,
                    .sign_exponent = (uint16_t)(negative | (exponent ? 0x7fff : 0))};
    return !fraction;
}

/* The way back, rounded to nearest, for normal numbers well within the format's range, and zeros.  *sw: PE
 * and C1. */
static bool narrow(X87Value v, unsigned size, uint64_t *out, unsigned *sw)
{
    Format f = format_of(size);
    uint64_t negative = (uint64_t)(v.sign_exponent >> 15) << (8 * size - 1);
    unsigned exponent = (v.sign_exponent & 0x7fffu) - EXTENDED_BIAS + f.bias, drop = 63 - f.fraction;
    if (!(v.mantissa >> 63) || exponent - 1 >= 2 * f.bias - 1) {
        *out = negative;
        *sw = 0;
        return !(v.mantissa | (v.sign_exponent & 0x7fff));
    }
    uint64_t kept = v.mantissa >> drop, rest = v.mantissa << (64 - drop), half = UINT64_C(1) << 63;
    bool up = rest > half || (rest == half && kept & 1);
    /* The integer bit and a carry out of the fraction both add one to the exponent's field. */
    *out = negative | (((uint64_t)(exponent - 1) << f.fraction) + kept + up);
    *sw = rest ? FSW_PE | (up ? FSW_C1 : 0) : 0;
    return true;
}

static X87Value from_integer(int64_t v) /* always exact */
{
    if (!v) {
        return (X87Value){0};
    }
    uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;
    unsigned shift = (unsigned)__builtin_clzll(magnitude);
    return (X87Value){.mantissa = magnitude << shift,
                      .sign_exponent = (uint16_t)((v < 0 ? 0x8000 : 0) | (EXTENDED_BIAS + 63 - shift))};
}

typedef enum LoadKind { LOAD_NONE, LOAD_REAL, LOAD_EXTENDED, LOAD_INTEGER, LOAD_BCD } LoadKind;
typedef struct MemoryForm {
    uint8_t kind, size;
} MemoryForm;

static MemoryForm load_form(const Insn *i)
{
    switch ((i->opcode & 7) << 4 | (i->modrm >> 3 & 7)) {
    case 0x10: return (MemoryForm){LOAD_REAL, 4};
    case 0x30: return (MemoryForm){LOAD_INTEGER, 4};
    case 0x35: return (MemoryForm){LOAD_EXTENDED, 10};
    case 0x50: return (MemoryForm){LOAD_REAL, 8};
    case 0x70: return (MemoryForm){LOAD_INTEGER, 2};
    case 0x74: return (MemoryForm){LOAD_BCD, 10};
    case 0x75: return (MemoryForm){LOAD_INTEGER, 8};
    default: return (MemoryForm){LOAD_NONE, 0};
    }
}

/* The value in buf where that takes no arithmetic. */
static bool load_exact(MemoryForm form, const uint8_t buf[16], X87Value *r)
{
    union {
        uint64_t u;
        int64_t s64;
        int32_t s32;
        int16_t s16;
    } v;
    memcpy(&v, buf, sizeof(v));
    switch (form.kind) {
    case LOAD_REAL: return x87_widen(buf, form.size, r);
    case LOAD_INTEGER:
        *r = from_integer(form.size == 8 ? v.s64 : form.size == 4 ? v.s32 : v.s16);
        return true;
    case LOAD_EXTENDED:
        r->mantissa = v.u;
        memcpy(&r->sign_exponent, buf + 8, 2);
        return true;
    default: return false;
    }
}

static void load_memory(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    MemoryForm form = load_form(i);
    _Alignas(16) uint8_t buf[16];
    uint64_t linear = soft_operand_linear(s, i, form.size, false);
    if (form.size <= 8) {
        uint64_t v = soft_load(s, linear, form.size);
        memcpy(buf, &v, sizeof(v));
    } else {
        soft_read(s, linear, buf, form.size);
    }
    X87Value r;
    unsigned sw = 0;
    if (!x87_valid(x, 7) &&
        (load_exact(form, buf, &r) ||
         x87_quick(x, x87_host_0_1, buf, NULL, x87_stub(i->opcode, i->modrm), NULL, &r, &sw))) {
        x87_merge(x, sw, FSW_C1);
        x87_push(x, r);
    } else {
        x87_whole(s, i, buf);
    }
    x87_done_memory(s, i);
}

void x87_op_fld(SoftCpu *s, const Insn *i) /* FLD FILD FBLD */
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    if (i->modrm < 0xc0) {
        load_memory(s, i);
        return;
    }
    unsigned n = i->modrm & 7;
    if (x87_valid(x, n) && !x87_valid(x, 7)) {
        x->fsw &= (uint16_t)~FSW_C1;
        x87_push(x, x87_get(x, n));
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

/* FLD1 FLDL2T ...: rounded as RC says, without an exception. */
void x87_op_constant(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    X87Value r;
    unsigned sw;
    if (!x87_valid(x, 7) &&
        x87_quick(x, x87_host_0_1, NULL, NULL, x87_stub(i->opcode, i->modrm), NULL, &r, &sw)) {
        x87_merge(x, sw, FSW_C1);
        x87_push(x, r);
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

/* ---- Stores ---- */
typedef struct StoreForm {
    uint8_t size;
    uint8_t opcode, reg; /* the popping form: the host's stack is empty afterwards */
    bool pop;
} StoreForm;

static StoreForm store_form(const Insn *i)
{
    switch ((i->opcode & 7) << 4 | (i->modrm >> 3 & 7)) {
    case 0x12: return (StoreForm){4, 0xd9, 3, false};
    case 0x13: return (StoreForm){4, 0xd9, 3, true};
    case 0x31: return (StoreForm){4, 0xdb, 1, true}; /* FISTTP */
    case 0x32: return (StoreForm){4, 0xdb, 3, false};
    case 0x33: return (StoreForm){4, 0xdb, 3, true};
    case 0x37: return (StoreForm){10, 0xdb, 7, true};
    case 0x51: return (StoreForm){8, 0xdd, 1, true}; /* FISTTP */
    case 0x52: return (StoreForm){8, 0xdd, 3, false};
    case 0x53: return (StoreForm){8, 0xdd, 3, true};
    case 0x71: return (StoreForm){2, 0xdf, 1, true}; /* FISTTP */
    case 0x72: return (StoreForm){2, 0xdf, 3, false};
    case 0x73: return (StoreForm){2, 0xdf, 3, true};
    case 0x76: return (StoreForm){10, 0xdf, 6, true}; /* FBSTP */
    default: return (StoreForm){8, 0xdf, 7, true};    /* 0x77: FISTP m64 */
    }
}

static void store_bytes(SoftCpu *s, uint64_t linear, unsigned size, const uint8_t buf[16])
{
    if (size <= 8) {
        uint64_t v;
        memcpy(&v, buf, sizeof(v));
        soft_store(s, linear, size, v);
    } else {
        soft_write(s, linear, buf, size);
    }
}

/* Memory first, then registers; an access that faults has its fault even if there is nothing to store. */
static void store_whole(SoftCpu *s, const Insn *i, uint64_t linear, unsigned size)
{
    _Alignas(16) uint8_t buf[16] = {0};
    X87Whole after;
    soft_probe(s, linear, size, true);
    if (x87_whole_run(s, i, buf, &after)) {
        store_bytes(s, linear, size, buf);
    }
    x87_whole_commit(s, &after);
}

/* ST(0), which is not empty, as it goes to memory; false: an exception that the guest unmasks. */
static bool store_value(const Xsave *x, StoreForm form, uint8_t buf[16], unsigned *sw)
{
    X87Value v = x87_get(x, 0);
    uint64_t real;
    *sw = 0;
    if (form.size == 10 && form.opcode == 0xdb) { /* as it is */
        memcpy(buf, &v.mantissa, 8);
        memcpy(buf + 8, &v.sign_exponent, 2);
        return true;
    }
    if ((form.opcode & 0xfb) == 0xd9 && form.reg == 3 && (x->fcw & FCW_ROUNDING) == 0 && x->fcw & FSW_PE &&
        narrow(v, form.size, &real, sw)) {
        memcpy(buf, &real, sizeof(real));
        return true;
    }
    return x87_quick(x, x87_host_1_0_pop, buf, &x->st[0], x87_stub(form.opcode, (unsigned)form.reg << 3),
                     NULL, NULL, sw);
}

static void store_memory(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    StoreForm form = store_form(i);
    _Alignas(16) uint8_t buf[16] = {0};
    uint64_t linear = soft_operand_linear(s, i, form.size, true);
    unsigned sw;
    if (x87_valid(x, 0) && store_value(x, form, buf, &sw)) {
        store_bytes(s, linear, form.size, buf);
        x87_merge(x, sw, FSW_C1);
        if (form.pop) {
            x87_pop(x);
        }
    } else {
        store_whole(s, i, linear, form.size);
    }
    x87_done_memory(s, i);
}

void x87_op_fst(SoftCpu *s, const Insn *i) /* FST FSTP FSTPNCE FIST FISTP FISTTP FBSTP */
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    if (i->modrm < 0xc0) {
        store_memory(s, i);
        return;
    }
    unsigned n = i->modrm & 7;
    if (x87_valid(x, 0)) {
        x->fsw &= (uint16_t)~FSW_C1;
        x87_put(x, n, x87_get(x, 0));
        x->ftw |= (uint8_t)(1u << ((fpu_top(x) + n) & 7));
        if (i->mnemonic != ZYDIS_MNEMONIC_FST) {
            x87_pop(x);
        }
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

/* ---- Registers ---- */
void x87_op_fxch(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    unsigned n = i->modrm & 7;
    if (x87_valid(x, 0) && x87_valid(x, n)) {
        X87Value a = x87_get(x, 0), b = x87_get(x, n);
        x87_put(x, 0, b);
        x87_put(x, n, a);
        x->fsw &= (uint16_t)~FSW_C1;
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

/* DA: below, equal, below or equal, unordered; DB: not. */
void x87_op_fcmov(SoftCpu *s, const Insn *i)
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    static const uint16_t flags[4] = {FLAG_CF, FLAG_ZF, FLAG_CF | FLAG_ZF, FLAG_PF};
    unsigned n = i->modrm & 7;
    bool condition = soft_flags(s) & flags[i->modrm >> 3 & 3];
    if (x87_valid(x, 0) && x87_valid(x, n)) {
        if (condition == (i->opcode == 0xda)) {
            x87_put(x, 0, x87_get(x, n));
        }
    } else {
        x87_whole(s, i, NULL);
    }
    x87_done(s, i);
}

void x87_op_ffree(SoftCpu *s, const Insn *i) /* FFREE FFREEP */
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    x->ftw &= (uint8_t) ~(1u << ((fpu_top(x) + i->modrm) & 7));
    if (i->mnemonic == ZYDIS_MNEMONIC_FFREEP) {
        x87_pop(x);
    }
    x->fsw &= (uint16_t)~FSW_C1;
    x87_done(s, i);
}

void x87_op_move_top(SoftCpu *s, const Insn *i) /* FINCSTP FDECSTP: tags stay with their registers */
{
    Xsave *x = x87_state(s);
    x87_wait(s);
    if (i->mnemonic == ZYDIS_MNEMONIC_FINCSTP) {
        x87_top_up(x);
    } else {
        x87_top_down(x);
    }
    x->fsw &= (uint16_t)~FSW_C1;
    x87_done(s, i);
}
