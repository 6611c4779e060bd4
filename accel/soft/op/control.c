/* Control registers (SDM vol 3 §2.5, vol 2 "MOV - Move to/from Control Registers") and what else rules over
 * translations. */
#include "accel/soft/op/system.h"
#include "core/loop.h"
#include "cpu/blackbox/ring.h"
#include "cpu/msr.h"
#include "cpu/segment.h"
#include "hw/platform.h"
#include "mem/region.h"

static const uint64_t cr0_known =
    CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;

/* The black box has the value as it was written, which for CR0 is not always what is kept, and what it made of the mode. */
static void note_cr(SoftCpu *s, unsigned cr, uint64_t v, uint64_t old)
{
    box_note(&s->cpu, BOX_CR, 0, cr, v, old, s->insn_rip);
    if (cr == 0) {
        box_mode(&s->cpu);
    }
}

/* ---- PAE's four root entries (SDM vol 3 §4.4.1) ---- */

enum { PDPTE_RESERVED = 0x1e6 }; /* bits 8:5 and 2:1 */

static uint64_t physical_load(SoftCpu *s, uint64_t at)
{
    bool a20 = !cpu_platform.a20 || cpu_platform.a20();
    return space_load(s->cpu.memory, a20 ? at : at & ~(UINT64_C(1) << 20), 8);
}

static void pdptes_read(SoftCpu *s, uint64_t cr3, uint64_t pdpte[4])
{
    uint64_t reserved = system_beyond_phys(s) | PDPTE_RESERVED, at = cr3 & 0xffffffe0;
    for (unsigned n = 0; n < 4; n++) {
        pdpte[n] = physical_load(s, at + 8 * n);
        system_gp(s, pdpte[n] & PTE_P && pdpte[n] & reserved);
    }
}

static void pdptes_put(SoftCpu *s, const uint64_t pdpte[4])
{
    for (unsigned n = 0; n < 4; n++) {
        s->cpu.state.pdpte[n] = pdpte[n];
    }
    s->cpu.state.pdpte_valid = true;
}

/* ---- CR0 ---- */

/* Setting PG with LME set (SDM vol 3 §10.8.5). */
static void long_mode_check_entry(SoftCpu *s)
{
    const CpuState *st = &s->cpu.state;
    const Segment *tr = &st->seg[SEG_TR];
    unsigned type = segment_type(tr);
    bool tss16 = !segment_unusable(tr) && (type == 1 || type == 3);
    system_gp(s, !(st->cr4 & CR4_PAE) || segment_l(&st->seg[SEG_CS]) || tss16);
}

static void cr0_write(SoftCpu *s, uint64_t v)
{
    CpuState *st = &s->cpu.state;
    uint64_t old = st->cr0, efer = st->efer, pdpte[4];
    system_gp(s, v >> 32);
    v = (v & cr0_known) | CR0_ET;
    system_gp(s, (v & CR0_PG && !(v & CR0_PE)) || (v & CR0_NW && !(v & CR0_CD)));
    if (v & ~old & CR0_PG && efer & EFER_LME) {
        long_mode_check_entry(s);
        efer |= EFER_LMA;
    } else if (old & ~v & CR0_PG) {
        system_gp(s, system_64bit(s) || st->cr4 & CR4_PCIDE);
        efer &= ~EFER_LMA;
    }
    bool pae = v & CR0_PG && st->cr4 & CR4_PAE && !(efer & EFER_LMA);
    bool load = pae && (v ^ old) & (CR0_CD | CR0_NW | CR0_PG);
    if (load) {
        pdptes_read(s, st->cr3, pdpte);
    }
    st->cr0 = v;
    st->efer = efer;
    if (load) {
        pdptes_put(s, pdpte);
    } else if (!pae) {
        st->pdpte_valid = false;
    }
    if ((v ^ old) & (CR0_PG | CR0_WP | CR0_PE)) {
        soft_tlb_flush(s, true);
    }
    soft_changed(s);
}

void op_clts(SoftCpu *s, const Insn *i)
{
    system_privileged(s);
    note_cr(s, 0, s->cpu.state.cr0 & ~CR0_TS, s->cpu.state.cr0);
    s->cpu.state.cr0 &= ~CR0_TS;
    soft_changed(s);
}

/* PE, MP, EM and TS only, and PE only to 1. */
void op_lmsw(SoftCpu *s, const Insn *i)
{
    system_privileged(s);
    uint64_t cr0 = s->cpu.state.cr0, mine = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
    uint64_t v = (cr0 & ~(mine & ~CR0_PE)) | (soft_get(s, i, 0) & mine);
    cr0_write(s, v);
    note_cr(s, 0, v, cr0);
}

/* Into a register wider than 16 bits goes more of CR0, as processors have it (undefined in the manual). */
void op_smsw(SoftCpu *s, const Insn *i)
{
    system_gp(s, s->cpu.state.cr4 & CR4_UMIP && soft_cpl(s));
    soft_put(s, i, 0, s->cpu.state.cr0);
}

/* ---- CR3 ---- */

/* Our translations carry no PCID, so that bit 63 ("keep those of this PCID") can be obeyed only when
 * nothing changes. */
static void cr3_write(SoftCpu *s, uint64_t v)
{
    CpuState *st = &s->cpu.state;
    bool keep = false;
    if (cpu_long_active(st)) {
        if (st->cr4 & CR4_PCIDE) {
            keep = v >> 63;
            v &= UINT64_MAX >> 1;
        }
        system_gp(s, v & system_beyond_phys(s));
    } else if (cpu_paging(st) && st->cr4 & CR4_PAE) {
        uint64_t pdpte[4];
        pdptes_read(s, v, pdpte);
        pdptes_put(s, pdpte);
    }
    if (!keep || v != st->cr3) {
        st->cr3 = v;
        soft_tlb_flush(s, !(st->cr4 & CR4_PGE));
        soft_changed(s);
    }
}

/* ---- CR4 ---- */

static void cr4_write(SoftCpu *s, uint64_t v)
{
    const uint64_t reload = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;
    const uint64_t flush = reload | CR4_SMAP | CR4_PKE | CR4_PKS | CR4_LA57 | CR4_PCIDE;
    CpuState *st = &s->cpu.state;
    uint64_t changed = v ^ st->cr4, pdpte[4];
    bool lma = cpu_long_active(st);
    system_gp(s, s->cpu.model && v & ~model_cr4(s->cpu.model));
    system_gp(s, lma && (!(v & CR4_PAE) || changed & CR4_LA57));
    system_gp(s, v & changed & CR4_PCIDE && (!lma || st->cr3 & 0xfff));
    bool pae = cpu_paging(st) && v & CR4_PAE && !lma, load = pae && changed & reload;
    if (load) {
        pdptes_read(s, st->cr3, pdpte);
    }
    st->cr4 = v;
    if (load) {
        pdptes_put(s, pdpte);
    } else if (!pae) {
        st->pdpte_valid = false;
    }
    if (changed & flush) {
        soft_tlb_flush(s, true);
    }
    soft_changed(s);
}

/* ---- CR8: the local APIC's task priority ---- */

static uint64_t cr8_read(SoftCpu *s)
{
    if (soft_is_guest(s) && platform.irqchip != IRQCHIP_OFF) {
        soft_decline(s);
    }
    if (!cpu_platform.tpr_get || !s->cpu.apic) {
        return s->cpu.state.cr8;
    }
    loop_lock();
    uint64_t v = cpu_platform.tpr_get(&s->cpu);
    loop_unlock();
    return v;
}

static void cr8_write(SoftCpu *s, uint64_t v)
{
    if (soft_is_guest(s) && platform.irqchip != IRQCHIP_OFF) {
        soft_decline(s);
    }
    system_gp(s, v > 15);
    s->cpu.state.cr8 = v;
    if (cpu_platform.tpr_set && s->cpu.apic) {
        loop_lock();
        cpu_platform.tpr_set(&s->cpu, (uint8_t)v);
        loop_unlock();
    }
    soft_leave(s); /* an interrupt may have become deliverable */
}

/* ---- MOV ---- */

static uint64_t cr_read(SoftCpu *s, unsigned cr)
{
    const CpuState *st = &s->cpu.state;
    switch (cr) {
    case 0: return st->cr0;
    case 2: return st->cr2;
    case 3: return st->cr3;
    case 4: return st->cr4;
    case 8: return cr8_read(s);
    default: soft_fault(s, EXC_UD);
    }
}

static void cr_write(SoftCpu *s, unsigned cr, uint64_t v)
{
    const CpuState *st = &s->cpu.state;
    uint64_t old = cr == 0 ? st->cr0 : cr == 3 ? st->cr3 : cr == 4 ? st->cr4 : st->cr8;
    switch (cr) {
    case 0: cr0_write(s, v); break;
    case 2: s->cpu.state.cr2 = v; break;
    case 3: cr3_write(s, v); break;
    case 4: cr4_write(s, v); break;
    case 8: cr8_write(s, v); break;
    default: soft_fault(s, EXC_UD);
    }
    if (cr != 2) {
        note_cr(s, cr, v, old);
    }
}

/* Operands have 64 bits in 64-bit mode and 32 elsewhere, whatever the prefixes. */
void op_mov_cr(SoftCpu *s, const Insn *i)
{
    bool to = i->op[0].bank == BANK_CR;
    const Operand *cr = &i->op[to ? 0 : 1], *gpr = &i->op[to ? 1 : 0];
    unsigned size = system_64bit(s) ? 8 : 4;
    system_privileged(s);
    if (to) {
        cr_write(s, cr->reg, soft_gpr(s, gpr->reg, size));
    } else {
        soft_gpr_put(s, gpr->reg, size, cr_read(s, cr->reg));
    }
}

/* ---- XCR0 (SDM vol 1 §13.3) ---- */

/* XINUSE: components that are not in their initial state (SDM vol 1 §13.6).  Judged by the values
 * themselves. */
static uint64_t xinuse(const CpuState *st)
{
    static const uint64_t zero[32];
    const Xsave *x = &st->fpu;
    bool fp = x->fcw != 0x37f || x->fsw || x->ftw || x->fop || x->fip || x->fdp;
    for (unsigned n = 0; n < 8; n++) {
        fp |= x->st[n].mantissa || x->st[n].sign_exponent;
    }
    _Static_assert(sizeof(x->xmm) == sizeof(zero) && sizeof(x->ymmh) == sizeof(zero),
                   "16 registers of 16 bytes");
    bool sse = x->mxcsr != 0x1f80 || __builtin_memcmp(x->xmm, zero, sizeof(zero));
    bool avx = __builtin_memcmp(x->ymmh, zero, sizeof(zero));
    return (fp ? XSTATE_FP : 0) | (sse ? XSTATE_SSE : 0) | (avx ? XSTATE_AVX : 0) |
           (st->pkru ? XSTATE_PKRU : 0);
}

void op_xgetbv(SoftCpu *s, const Insn *i)
{
    const CpuState *st = &s->cpu.state;
    system_ud(s, !(st->cr4 & CR4_OSXSAVE));
    uint64_t n = soft_gpr(s, CPU_RCX, 4);
    system_gp(s, n > 1 || (n == 1 && !system_has(s, FEATURE_XGETBV1)));
    system_put_edx_eax(s, n ? st->xcr0 & xinuse(st) : st->xcr0);
}

void op_xsetbv(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    uint64_t v = system_edx_eax(s);
    system_ud(s, !(st->cr4 & CR4_OSXSAVE));
    system_privileged(s);
    system_gp(s, soft_gpr(s, CPU_RCX, 4) || !(v & XSTATE_FP) || (v & XSTATE_AVX && !(v & XSTATE_SSE)));
    system_gp(s, s->cpu.model && v & ~model_xcr0(s->cpu.model));
    note_cr(s, BOX_XCR0, v, st->xcr0);
    st->xcr0 = v;
    soft_changed(s);
}

/* ---- Translations ---- */

/* The segment gives the base only: nothing is accessed, so nothing is checked; a non-canonical address is a
 * NOP. */
void op_invlpg(SoftCpu *s, const Insn *i)
{
    system_privileged(s);
    uint64_t linear = segment_linear(&s->cpu.state, i->mem.seg, soft_ea(s, i));
    if (!system_64bit(s) || address_canonical(linear, s->cpu.state.cr4 & CR4_LA57)) {
        soft_tlb_flush_page(s, linear);
    }
}

/* Only the current PCID has translations here; those of others are invalid already. */
void op_invpcid(SoftCpu *s, const Insn *i)
{
    enum { ONE_ADDRESS, ONE_PCID, ALL, ALL_NOT_GLOBAL };
    const CpuState *st = &s->cpu.state;
    uint64_t descriptor[2];
    system_ud(s, !system_has(s, FEATURE_INVPCID));
    system_privileged(s);
    uint64_t type = soft_gpr(s, i->op[0].reg, system_64bit(s) ? 8 : 4);
    system_gp(s, type > ALL_NOT_GLOBAL);
    soft_read(s, soft_operand_linear(s, i, sizeof(descriptor), false), descriptor, sizeof(descriptor));
    uint64_t pcid = descriptor[0] & 0xfff, own = st->cr4 & CR4_PCIDE ? st->cr3 & 0xfff : 0;
    if (type <= ONE_PCID) {
        system_gp(s, descriptor[0] >> 12 || (pcid && !(st->cr4 & CR4_PCIDE)));
    }
    if (type == ONE_ADDRESS) {
        system_gp(s, !base_canonical(&s->cpu, descriptor[1]));
        if (pcid == own) {
            soft_tlb_flush_page(s, descriptor[1]);
        }
    } else if (type != ONE_PCID || pcid == own) {
        soft_tlb_flush(s, type == ALL);
    }
}

void op_rdpkru(SoftCpu *s, const Insn *i)
{
    system_ud(s, !(s->cpu.state.cr4 & CR4_PKE));
    system_gp(s, soft_gpr(s, CPU_RCX, 4));
    system_put_edx_eax(s, s->cpu.state.pkru);
}

void op_wrpkru(SoftCpu *s, const Insn *i)
{
    system_ud(s, !(s->cpu.state.cr4 & CR4_PKE));
    system_gp(s, soft_gpr(s, CPU_RCX, 4) || soft_gpr(s, CPU_RDX, 4));
    uint32_t v = (uint32_t)soft_gpr(s, CPU_RAX, 4);
    if (v != s->cpu.state.pkru) {
        s->cpu.state.pkru = v;
        soft_tlb_flush(s, true); /* what a key permits is part of each translation */
    }
}
