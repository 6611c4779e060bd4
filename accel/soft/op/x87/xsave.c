/* FXSAVE, FXRSTOR, the XSAVE family, MXCSR (SDM vol 1 §10.5 and chapter 13, vol 2).
 *
 * struct Xsave is the image in Intel's standard layout, so component i of an image is copied from and to
 * where struct Xsave has it; where the image has it comes from CPUID, or from XCOMP_BV in the compacted
 * form.  The modified optimisation, which processors need not have, is not used; what is in its initial
 * configuration is seen from the contents. */
#include <Zydis/Zydis.h>

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/op/x87/x87.h"

enum {
    IMAGE_MXCSR = 24,
    IMAGE_MXCSR_MASK = 28,
    IMAGE_ST = 32,
    IMAGE_XMM = 160,
    IMAGE_LEGACY = 512,
    IMAGE_XCOMP = 520,
    IMAGE_EXTENDED = 576,
    IMAGE_MAX = 4096,
    COMPONENTS = 63,
    MXCSR_INIT = 0x1f80,
};
#define XCOMP_COMPACT (UINT64_C(1) << 63)

static bool long_mode(const SoftCpu *s)
{
    return (s->mode & MODE_SIZE) == MODE_64;
}

/* ---- MXCSR ---- */
static bool mxcsr_valid(const SoftCpu *s, uint32_t v)
{
    uint32_t mask = s->cpu.state.fpu.mxcsr_mask;
    return !(v & ~(mask ? mask : 0xffbf)); /* SDM vol 1 §11.6.6: 0 stands for the first processors' */
}

static void mxcsr_set(SoftCpu *s, uint32_t v)
{
    s->cpu.state.fpu.mxcsr = v;
    borrow_mxcsr_written(s);
    soft_changed(s);
}

/* LDMXCSR and STMXCSR, and their VEX forms. */
static void mxcsr_check(SoftCpu *s, const Insn *i)
{
    const CpuState *c = &s->cpu.state;
    bool avx = c->cr4 & CR4_OSXSAVE && (c->xcr0 & (XSTATE_SSE | XSTATE_AVX)) == (XSTATE_SSE | XSTATE_AVX);
    if (i->vex ? !avx : c->cr0 & CR0_EM || !(c->cr4 & CR4_OSFXSR)) {
        soft_fault(s, EXC_UD);
    }
    if (c->cr0 & CR0_TS) {
        soft_fault(s, EXC_NM);
    }
}

static void ldmxcsr(SoftCpu *s, const Insn *i)
{
    mxcsr_check(s, i);
    uint32_t v = (uint32_t)soft_load(s, soft_operand_linear(s, i, 4, false), 4);
    if (!mxcsr_valid(s, v)) {
        soft_fault_error(s, EXC_GP, 0);
    }
    mxcsr_set(s, v);
}

static void stmxcsr(SoftCpu *s, const Insn *i)
{
    mxcsr_check(s, i);
    borrow_mxcsr_read(s);
    soft_store(s, soft_operand_linear(s, i, 4, true), 4, s->cpu.state.fpu.mxcsr);
}

/* ---- The legacy region ---- */
/* The first 24 bytes.  Without the 64-bit form, pointers have 32 bits and selectors read as 0. */
static void legacy_store(const Xsave *x, uint8_t *to, bool form64)
{
    uint64_t fip = form64 ? x->fip : (uint32_t)x->fip, fdp = form64 ? x->fdp : (uint32_t)x->fdp;
    memset(to, 0, IMAGE_MXCSR);
    memcpy(to, &x->fcw, 2);
    memcpy(to + 2, &x->fsw, 2);
    to[4] = x->ftw;
    memcpy(to + 6, &x->fop, 2);
    memcpy(to + 8, &fip, 8);
    memcpy(to + 16, &fdp, 8);
}

static void registers_store(const Xsave *x, uint8_t *to)
{
    memset(to, 0, sizeof(x->st));
    for (unsigned n = 0; n < 8; n++) {
        memcpy(to + 16 * n, &x->st[n].mantissa, 8);
        memcpy(to + 16 * n + 8, &x->st[n].sign_exponent, 2);
    }
}

static void x87_load(SoftCpu *s, const uint8_t *from, bool form64)
{
    Xsave *x = x87_state(s);
    uint16_t fcw;
    memcpy(&fcw, from, 2);
    memcpy(&x->fsw, from + 2, 2);
    x87_set_control(x, fcw);
    x->ftw = from[4];
    memcpy(&x->fop, from + 6, 2);
    x->fop &= 0x7ff;
    memcpy(&x->fip, from + 8, 8);
    memcpy(&x->fdp, from + 16, 8);
    if (!form64) {
        x->fip = (uint32_t)x->fip;
        x->fdp = (uint32_t)x->fdp;
    }
    for (unsigned n = 0; n < 8; n++) {
        memcpy(&x->st[n].mantissa, from + IMAGE_ST + 16 * n, 8);
        memcpy(&x->st[n].sign_exponent, from + IMAGE_ST + 16 * n + 8, 2);
    }
    x87_settle(s);
}

static void x87_load_init(SoftCpu *s)
{
    Xsave *x = x87_state(s);
    x->fcw = FCW_INIT;
    x->fsw = x->fop = 0;
    x->ftw = 0;
    x->fip = x->fdp = 0;
    memset(x->st, 0, sizeof(x->st));
    x87_settle(s);
}

/* XMM8-15 and their upper halves exist in 64-bit code only. */
static unsigned vector_bytes(const SoftCpu *s)
{
    return long_mode(s) ? 256 : 128;
}

/* ---- FXSAVE, FXRSTOR ---- */
static uint64_t fxsave_linear(SoftCpu *s, const Insn *i, bool write)
{
    if (!model_has(s->cpu.model, FEATURE_FXSR)) {
        soft_fault(s, EXC_UD);
    }
    if (s->cpu.state.cr0 & (CR0_EM | CR0_TS)) {
        soft_fault(s, EXC_NM);
    }
    uint64_t linear = soft_operand_linear(s, i, IMAGE_LEGACY, write);
    if (linear & 15) {
        soft_fault_error(s, EXC_GP, 0);
    }
    return linear;
}

/* Fast FXSAVE (APM vol 2 §11.4.4): the kernel's 64-bit code leaves the XMM registers out. */
static bool fxsave_has_xmm(const SoftCpu *s)
{
    const CpuState *c = &s->cpu.state;
    return c->cr4 & CR4_OSFXSR && !(c->efer & EFER_FFXSR && long_mode(s) && soft_cpl(s) == 0);
}

static void fxsave(SoftCpu *s, const Insn *i)
{
    uint64_t linear = fxsave_linear(s, i, true);
    Xsave *x = x87_state(s);
    uint8_t image[IMAGE_XMM];
    soft_probe(s, linear, IMAGE_LEGACY, true);
    borrow_mxcsr_read(s);
    legacy_store(x, image, i->mnemonic == ZYDIS_MNEMONIC_FXSAVE64);
    registers_store(x, image + IMAGE_ST);
    if (s->cpu.state.cr4 & CR4_OSFXSR) {
        memcpy(image + IMAGE_MXCSR, &x->mxcsr, 4);
        memcpy(image + IMAGE_MXCSR_MASK, &x->mxcsr_mask, 4);
        soft_write(s, linear, image, sizeof(image));
    } else {
        soft_write(s, linear, image, IMAGE_MXCSR);
        soft_write(s, linear + IMAGE_ST, image + IMAGE_ST, sizeof(x->st));
    }
    if (fxsave_has_xmm(s)) {
        soft_write(s, linear + IMAGE_XMM, x->xmm, vector_bytes(s));
    }
}

static void fxrstor(SoftCpu *s, const Insn *i)
{
    uint64_t linear = fxsave_linear(s, i, false);
    Xsave *x = x87_state(s);
    uint8_t image[IMAGE_LEGACY];
    uint32_t mxcsr;
    soft_read(s, linear, image, sizeof(image));
    memcpy(&mxcsr, image + IMAGE_MXCSR, 4);
    bool sse = s->cpu.state.cr4 & CR4_OSFXSR;
    if (sse && !mxcsr_valid(s, mxcsr)) {
        soft_fault_error(s, EXC_GP, 0);
    }
    x87_load(s, image, i->mnemonic == ZYDIS_MNEMONIC_FXRSTOR64);
    x->xstate_bv |= XSTATE_FP;
    if (fxsave_has_xmm(s)) {
        memcpy(x->xmm, image + IMAGE_XMM, vector_bytes(s));
        x->xstate_bv |= XSTATE_SSE;
    }
    if (sse) {
        mxcsr_set(s, mxcsr);
    }
}

/* ---- XSAVE: components ---- */
typedef struct Layout {
    const CpuModel *model; /* whose CPUID leaf DH this is */
    struct {
        uint32_t offset, size; /* in the standard form */
        bool align;            /* compacted: at a multiple of 64 */
    } component[COMPONENTS];
} Layout;

/* Asking CPUID may be slow (a host under a hypervisor), so each thread keeps the last answer. */
static const Layout *layout_of(const SoftCpu *s)
{
    static __thread Layout layout;
    const CpuModel *m = s->cpu.model;
    if (layout.model != m) {
        layout = (Layout){.model = m};
        for (unsigned n = 2; n < COMPONENTS; n++) {
            uint32_t regs[4] = {0};
            if ((model_xcr0(m) | model_xss(m)) >> n & 1) {
                model_cpuid(m, NULL, 0xd, n, regs);
                layout.component[n].size = regs[0];
                layout.component[n].offset = regs[1];
                layout.component[n].align = regs[2] & 2;
            }
        }
    }
    return &layout;
}

/* Offset of component n in the compacted form of XCOMP_BV (SDM vol 1 §13.4.3), or the end of all with
 * COMPONENTS. */
static uint32_t compact_offset(const Layout *l, uint64_t xcomp, unsigned n)
{
    uint32_t at = IMAGE_EXTENDED;
    for (unsigned k = 2; k < COMPONENTS && k <= n; k++) {
        if (xcomp >> k & 1) {
            at = l->component[k].align ? (at + 63) & ~63u : at;
            if (k == n) {
                break;
            }
            at += l->component[k].size;
        }
    }
    return at;
}

/* Where this CPU has component n >= 2, and how many bytes of it this mode transfers. */
static void *component_data(SoftCpu *s, const Layout *l, unsigned n, uint32_t *size)
{
    *size = n == 2 ? vector_bytes(s) : l->component[n].size;
    if (n == 9) {
        *size = MIN(*size, sizeof(s->cpu.state.pkru));
        return &s->cpu.state.pkru;
    }
    if (n >= 2 && n <= 7) {
        *size = MIN(*size, xsave_layout_intel.size[n]);
        return (char *)x87_state(s) + xsave_layout_intel.offset[n];
    }
    *size = 0;
    return NULL;
}

static bool all_zero(const void *p, size_t len)
{
    const char *c = p;
    return !len || (!c[0] && !memcmp(c, c + 1, len - 1));
}

/* XINUSE (SDM vol 1 §13.6) of the components in `which`. */
static uint64_t in_use(SoftCpu *s, const Layout *l, uint64_t which)
{
    const Xsave *x = x87_state(s);
    uint64_t used = 0;
    if (which & XSTATE_FP) {
        bool init = x->fcw == FCW_INIT && !x->fsw && !x->ftw && !x->fop && !x->fip && !x->fdp;
        for (unsigned n = 0; n < 8; n++) {
            init = init && !x->st[n].mantissa && !x->st[n].sign_exponent;
        }
        used |= init ? 0 : XSTATE_FP;
    }
    used |= which & XSTATE_SSE && !all_zero(x->xmm, vector_bytes(s)) ? XSTATE_SSE : 0;
    for (unsigned n = 2; n < COMPONENTS; n++) {
        uint32_t size;
        if (which >> n & 1) {
            const void *data = component_data(s, l, n, &size);
            used |= data && !all_zero(data, size) ? UINT64_C(1) << n : 0;
        }
    }
    return used;
}

/* ---- XSAVE and XRSTOR ---- */
enum { XSAVE_FEATURE_OPT = 1 << 0, XSAVE_FEATURE_C = 1 << 1, XSAVE_FEATURE_S = 1 << 3 };

/* Requested features: EDX:EAX cut to those that are enabled. */
static uint64_t xsave_check(SoftCpu *s, unsigned feature, bool supervisor)
{
    const CpuState *c = &s->cpu.state;
    if (!(c->cr4 & CR4_OSXSAVE) || (s->cpu.model->words[WORD_XSAVE] & feature) != feature) {
        soft_fault(s, EXC_UD);
    }
    if (supervisor && soft_cpl(s)) {
        soft_fault_error(s, EXC_GP, 0);
    }
    if (c->cr0 & CR0_TS) {
        soft_fault(s, EXC_NM);
    }
    uint64_t mask = (uint64_t)(uint32_t)c->gpr[CPU_RDX] << 32 | (uint32_t)c->gpr[CPU_RAX];
    return mask & (c->xcr0 | (supervisor ? c->msr.xss : 0));
}

/* Linear address of an area of `size` bytes, which must be aligned to 64. */
static uint64_t xsave_linear(SoftCpu *s, const Insn *i, unsigned size, bool write)
{
    uint64_t linear = soft_operand_linear(s, i, MIN(size, IMAGE_MAX), write);
    if (linear & 63) {
        soft_fault_error(s, EXC_GP, 0);
    }
    return linear;
}

static void write_component(SoftCpu *s, const Layout *l, unsigned n, uint64_t linear)
{
    uint32_t size;
    const void *data = component_data(s, l, n, &size);
    if (data && size) {
        soft_write(s, linear, data, size);
    }
    if (n == 9 && l->component[n].size > size) { /* its reserved upper half */
        static const uint8_t zero[4];
        soft_write(s, linear + size, zero, sizeof(zero));
    }
}

static void write_x87(SoftCpu *s, uint64_t linear, bool form64)
{
    uint8_t image[IMAGE_MXCSR], st[128];
    legacy_store(x87_state(s), image, form64);
    registers_store(x87_state(s), st);
    soft_write(s, linear, image, sizeof(image));
    soft_write(s, linear + IMAGE_ST, st, sizeof(st));
}

static void write_mxcsr(SoftCpu *s, uint64_t linear)
{
    const Xsave *x = x87_state(s);
    soft_write(s, linear + IMAGE_MXCSR, (uint32_t[]){x->mxcsr, x->mxcsr_mask}, 8);
}

/* The highest byte that the standard form of `rfbm` reaches. */
static uint32_t standard_size(const Layout *l, uint64_t rfbm)
{
    uint32_t size = IMAGE_EXTENDED;
    for (unsigned n = 2; n < COMPONENTS; n++) {
        if (rfbm >> n & 1) {
            size = MAX(size, l->component[n].offset + l->component[n].size);
        }
    }
    return size;
}

/* XSAVE, XSAVEOPT (SDM vol 1 §13.7, 13.9). */
static void save_standard(SoftCpu *s, const Insn *i, bool optimise, bool form64)
{
    uint64_t rfbm = xsave_check(s, optimise ? XSAVE_FEATURE_OPT : 0, false), bv;
    const Layout *l = layout_of(s);
    uint32_t size = standard_size(l, rfbm);
    uint64_t linear = xsave_linear(s, i, size, true);
    soft_probe(s, linear, MIN(size, IMAGE_MAX), true);
    soft_read(s, linear + IMAGE_LEGACY, &bv, sizeof(bv));
    borrow_mxcsr_read(s);
    uint64_t used = in_use(s, l, rfbm), save = optimise ? rfbm & used : rfbm;
    if (save & XSTATE_FP) {
        write_x87(s, linear, form64);
    }
    if (rfbm & (XSTATE_SSE | XSTATE_AVX)) {
        write_mxcsr(s, linear);
    }
    if (save & XSTATE_SSE) {
        soft_write(s, linear + IMAGE_XMM, x87_state(s)->xmm, vector_bytes(s));
    }
    for (unsigned n = 2; n < COMPONENTS; n++) {
        if (save >> n & 1) {
            write_component(s, l, n, linear + l->component[n].offset);
        }
    }
    bv = (bv & ~rfbm) | (rfbm & used);
    soft_write(s, linear + IMAGE_LEGACY, &bv, sizeof(bv));
}

/* XSAVEC, XSAVES (SDM vol 1 §13.10, 13.11). */
static void save_compact(SoftCpu *s, const Insn *i, bool supervisor, bool form64)
{
    uint64_t rfbm = xsave_check(s, supervisor ? XSAVE_FEATURE_S : XSAVE_FEATURE_C, supervisor);
    const Layout *l = layout_of(s);
    uint64_t xcomp = rfbm | XCOMP_COMPACT;
    uint32_t size = compact_offset(l, xcomp, COMPONENTS);
    uint64_t linear = xsave_linear(s, i, size, true);
    soft_probe(s, linear, MIN(size, IMAGE_MAX), true);
    borrow_mxcsr_read(s);
    uint64_t save = in_use(s, l, rfbm);
    if (rfbm & XSTATE_SSE && x87_state(s)->mxcsr != MXCSR_INIT) {
        save |= XSTATE_SSE;
    }
    if (save & XSTATE_FP) {
        write_x87(s, linear, form64);
    }
    if (save & XSTATE_SSE) {
        write_mxcsr(s, linear);
        soft_write(s, linear + IMAGE_XMM, x87_state(s)->xmm, vector_bytes(s));
    }
    for (unsigned n = 2; n < COMPONENTS; n++) {
        if (save >> n & 1) {
            write_component(s, l, n, linear + compact_offset(l, xcomp, n));
        }
    }
    soft_write(s, linear + IMAGE_LEGACY, (uint64_t[]){save, xcomp}, 16);
}

static void xsave(SoftCpu *s, const Insn *i)
{
    unsigned m = i->mnemonic;
    if (m == ZYDIS_MNEMONIC_XSAVEC || m == ZYDIS_MNEMONIC_XSAVEC64) {
        save_compact(s, i, false, m == ZYDIS_MNEMONIC_XSAVEC64);
    } else if (m == ZYDIS_MNEMONIC_XSAVES || m == ZYDIS_MNEMONIC_XSAVES64) {
        save_compact(s, i, true, m == ZYDIS_MNEMONIC_XSAVES64);
    } else {
        save_standard(s, i, m == ZYDIS_MNEMONIC_XSAVEOPT || m == ZYDIS_MNEMONIC_XSAVEOPT64,
                      m == ZYDIS_MNEMONIC_XSAVE64 || m == ZYDIS_MNEMONIC_XSAVEOPT64);
    }
}

/* What XRSTOR has read: the whole image, checked. */
typedef struct Restore {
    uint64_t rfbm, bv, xcomp;
    bool compact;
    uint32_t size;
    _Alignas(64) uint8_t image[IMAGE_MAX];
} Restore;

/* §13.8, 13.12: what makes a header illegal. */
static bool header_valid(const SoftCpu *s, const Restore *r, bool supervisor)
{
    uint64_t enabled = s->cpu.state.xcr0 | (supervisor ? s->cpu.state.msr.xss : 0);
    if (!r->compact) {
        return !supervisor && !(r->bv & ~enabled) && all_zero(r->image + IMAGE_XCOMP, 16);
    }
    return (supervisor || s->cpu.model->words[WORD_XSAVE] & XSAVE_FEATURE_C) &&
           !(r->xcomp & ~XCOMP_COMPACT & ~enabled) && !(r->bv & ~r->xcomp) && !(r->bv & XCOMP_COMPACT) &&
           all_zero(r->image + IMAGE_XCOMP + 8, IMAGE_EXTENDED - IMAGE_XCOMP - 8);
}

/* Whether MXCSR comes from the image: in the standard form with AVX as well, and whatever XSTATE_BV says.
 */
static bool loads_mxcsr(const Restore *r)
{
    return r->compact ? r->rfbm & r->bv & XSTATE_SSE : r->rfbm & (XSTATE_SSE | XSTATE_AVX);
}

static void restore_vectors(SoftCpu *s, const Restore *r)
{
    Xsave *x = x87_state(s);
    uint32_t mxcsr;
    memcpy(&mxcsr, r->image + IMAGE_MXCSR, 4);
    if (loads_mxcsr(r)) {
        mxcsr_set(s, mxcsr);
    } else if (r->compact && r->rfbm & XSTATE_SSE) {
        mxcsr_set(s, MXCSR_INIT);
    }
    if (r->rfbm & r->bv & XSTATE_SSE) {
        memcpy(x->xmm, r->image + IMAGE_XMM, vector_bytes(s));
    } else if (r->rfbm & XSTATE_SSE) {
        memset(x->xmm, 0, vector_bytes(s));
    }
}

static void restore_extended(SoftCpu *s, const Layout *l, const Restore *r)
{
    uint32_t pkru = s->cpu.state.pkru;
    for (unsigned n = 2; n < COMPONENTS; n++) {
        uint32_t size;
        void *data = r->rfbm >> n & 1 ? component_data(s, l, n, &size) : NULL;
        if (!data) {
            continue;
        }
        uint32_t at = r->compact ? compact_offset(l, r->xcomp, n) : l->component[n].offset;
        if (r->bv >> n & 1 && at + size <= r->size) {
            memcpy(data, r->image + at, size);
        } else {
            memset(data, 0, size);
        }
    }
    if (pkru != s->cpu.state.pkru) {
        soft_tlb_flush(s, true);
        soft_changed(s);
    }
}

/* Header first, then what it says is there. */
static void restore_read(SoftCpu *s, const Insn *i, const Layout *l, Restore *r, bool supervisor)
{
    uint64_t linear = xsave_linear(s, i, IMAGE_EXTENDED, false);
    soft_read(s, linear, r->image, IMAGE_EXTENDED);
    memcpy(&r->bv, r->image + IMAGE_LEGACY, 8);
    memcpy(&r->xcomp, r->image + IMAGE_XCOMP, 8);
    r->compact = r->xcomp & XCOMP_COMPACT;
    if (!header_valid(s, r, supervisor)) {
        soft_fault_error(s, EXC_GP, 0);
    }
    uint64_t wanted = r->rfbm & r->bv;
    r->size = IMAGE_EXTENDED;
    for (unsigned n = 2; n < COMPONENTS; n++) {
        if (wanted >> n & 1) {
            uint32_t at = r->compact ? compact_offset(l, r->xcomp, n) : l->component[n].offset;
            r->size = MAX(r->size, at + l->component[n].size);
        }
    }
    r->size = MIN(r->size, IMAGE_MAX);
    if (r->size > IMAGE_EXTENDED) {
        soft_operand_linear(s, i, r->size, false);
        soft_read(s, linear + IMAGE_EXTENDED, r->image + IMAGE_EXTENDED, r->size - IMAGE_EXTENDED);
    }
    uint32_t mxcsr;
    memcpy(&mxcsr, r->image + IMAGE_MXCSR, 4);
    if (loads_mxcsr(r) && !mxcsr_valid(s, mxcsr)) {
        soft_fault_error(s, EXC_GP, 0);
    }
}

static void xrstor(SoftCpu *s, const Insn *i)
{
    unsigned m = i->mnemonic;
    bool supervisor = m == ZYDIS_MNEMONIC_XRSTORS || m == ZYDIS_MNEMONIC_XRSTORS64;
    bool form64 = m == ZYDIS_MNEMONIC_XRSTOR64 || m == ZYDIS_MNEMONIC_XRSTORS64;
    Restore r;
    r.rfbm = xsave_check(s, supervisor ? XSAVE_FEATURE_S : 0, supervisor);
    const Layout *l = layout_of(s);
    restore_read(s, i, l, &r, supervisor);
    if (r.rfbm & r.bv & XSTATE_FP) {
        x87_load(s, r.image, form64);
    } else if (r.rfbm & XSTATE_FP) {
        x87_load_init(s);
    }
    restore_vectors(s, &r);
    restore_extended(s, l, &r);
    Xsave *x = x87_state(s);
    x->xstate_bv = (x->xstate_bv & ~r.rfbm) | (r.rfbm & r.bv & ~(uint64_t)XSTATE_PKRU);
}

// clang-format off
#define M(name) ZYDIS_MNEMONIC_##name
const Op ops_xsave[] = {
    {M(FXSAVE), 0, fxsave}, {M(FXSAVE64), 0, fxsave}, {M(FXRSTOR), OP_END, fxrstor},
    {M(FXRSTOR64), OP_END, fxrstor}, {M(XSAVE), 0, xsave}, {M(XSAVE64), 0, xsave}, {M(XSAVEOPT), 0, xsave},
    {M(XSAVEOPT64), 0, xsave}, {M(XSAVEC), 0, xsave}, {M(XSAVEC64), 0, xsave}, {M(XSAVES), 0, xsave},
    {M(XSAVES64), 0, xsave}, {M(XRSTOR), OP_END, xrstor}, {M(XRSTOR64), OP_END, xrstor},
    {M(XRSTORS), OP_END, xrstor}, {M(XRSTORS64), OP_END, xrstor}, {M(LDMXCSR), OP_END, ldmxcsr},
    {M(VLDMXCSR), OP_END, ldmxcsr}, {M(STMXCSR), 0, stmxcsr}, {M(VSTMXCSR), 0, stmxcsr},
    {0},
};
// clang-format on
