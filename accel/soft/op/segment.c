/* Segment and descriptor-table registers (SDM vol 2; vol 3 ch. 3 and 5). */
#include <Zydis/Zydis.h>

#include "accel/soft/op/descriptor.h"

/* MOV, PUSH and POP of everything else are elsewhere (integer-*.c), which calls these; declared there as
 * well. */
OpFn op_mov_sreg, op_push_sreg, op_pop_sreg;

/* ---- Loads and stores ---- */

/* No interrupt and no debug trap until the next instruction is done, so that SS and SP change together (SDM
 * vol 3 §6.8.3). */
static void shadow_after(SoftCpu *s, unsigned reg)
{
    if (reg == SEG_SS) {
        s->cpu.state.event.interrupt_shadow = SHADOW_MOV_SS;
        soft_leave(s);
    }
}

static void segment_commit(SoftCpu *s, unsigned reg, const Segment *g)
{
    s->cpu.state.seg[reg] = *g;
    soft_changed(s);
}

/* A selector operand: 16 bits of a register, or 2 bytes of memory whatever the operand size. */
static uint16_t selector_operand(SoftCpu *s, const Insn *i, unsigned n)
{
    if (i->op[n].kind == OPERAND_MEM) {
        return (uint16_t)soft_load(s, soft_operand_linear(s, i, 2, false), 2);
    }
    return (uint16_t)soft_get(s, i, n);
}

/* The reverse: memory gets 2 bytes, a wider register zeros above. */
static void selector_result(SoftCpu *s, const Insn *i, uint16_t selector)
{
    if (i->op[0].kind == OPERAND_MEM) {
        soft_store(s, soft_operand_linear(s, i, 2, true), 2, selector);
    } else {
        soft_put(s, i, 0, selector);
    }
}

void op_mov_sreg(SoftCpu *s, const Insn *i)
{
    const Operand *to = &i->op[0], *from = &i->op[1];
    if (from->kind == OPERAND_REG && from->bank == BANK_SEG) {
        selector_result(s, i, s->cpu.state.seg[from->reg].selector);
        return;
    }
    if (to->reg == SEG_CS || to->reg > SEG_GS) {
        soft_fault(s, EXC_UD);
    }
    Segment g = segment_for_load(s, to->reg, selector_operand(s, i, 1));
    segment_commit(s, to->reg, &g);
    shadow_after(s, to->reg);
}

/* With a 32-bit operand the stack pointer moves by 4, but only the selector is written, as recent processors
 * do (SDM vol 2 PUSH). */
void op_push_sreg(SoftCpu *s, const Insn *i)
{
    unsigned size = i->operand_size;
    uint16_t selector = s->cpu.state.seg[i->op[0].reg].selector;
    if (size != 4) {
        soft_push(s, size, selector);
        return;
    }
    uint64_t sp = s->cpu.state.gpr[CPU_RSP] - 4;
    soft_store(s, soft_linear(s, SEG_SS, sp & soft_sp_mask(s), 2, true), 2, selector);
    soft_sp_put(s, sp);
}

void op_pop_sreg(SoftCpu *s, const Insn *i)
{
    unsigned reg = i->op[0].reg;
    uint64_t sp = s->cpu.state.gpr[CPU_RSP];
    uint16_t selector = (uint16_t)soft_pop_at(s, &sp, i->operand_size);
    Segment g = segment_for_load(s, reg, selector);
    soft_sp_put(s, sp); /* as wide as the old stack */
    segment_commit(s, reg, &g);
    shadow_after(s, reg);
}

static void load_far_pointer(SoftCpu *s, const Insn *i, unsigned reg)
{
    unsigned size = i->operand_size;
    if (i->op[1].kind != OPERAND_MEM) {
        soft_fault(s, EXC_UD);
    }
    uint64_t at = soft_operand_linear(s, i, size + 2, false);
    uint64_t offset = soft_load(s, at, size);
    uint64_t selector_at = cpu_mode(&s->cpu.state) == CPU_LONG ? at + size : (uint32_t)(at + size);
    Segment g = segment_for_load(s, reg, (uint16_t)soft_load(s, selector_at, 2));
    soft_put(s, i, 0, offset);
    segment_commit(s, reg, &g);
}

static void op_lds(SoftCpu *s, const Insn *i)
{
    load_far_pointer(s, i, SEG_DS);
}

static void op_les(SoftCpu *s, const Insn *i)
{
    load_far_pointer(s, i, SEG_ES);
}

static void op_lfs(SoftCpu *s, const Insn *i)
{
    load_far_pointer(s, i, SEG_FS);
}

static void op_lgs(SoftCpu *s, const Insn *i)
{
    load_far_pointer(s, i, SEG_GS);
}

static void op_lss(SoftCpu *s, const Insn *i)
{
    load_far_pointer(s, i, SEG_SS);
}

/* ---- Questions about selectors: the answer is ZF ---- */

static void zf_put(SoftCpu *s, bool zf)
{
    uint64_t flags = soft_flags(s) & ~(uint64_t)FLAG_ZF;
    soft_set_cc(s, zf ? flags | FLAG_ZF : flags);
}

static void need_protected(SoftCpu *s)
{
    if (mode_real_or_v86(s)) {
        soft_fault(s, EXC_UD);
    }
}

/* CPL and RPL may see it: always so with conforming code. */
static bool selector_visible(SoftCpu *s, const Descriptor *d)
{
    unsigned dpl = descriptor_dpl(d);
    return (descriptor_is_code(d) && descriptor_conforming(d)) || (soft_cpl(s) <= dpl && (d->seg.selector & 3u) <= dpl);
}

/* Tables 3-53 (LAR) and 3-62 (LSL) of SDM vol 2: bit per system type. */
enum {
    LAR_LEGACY = 1 << SYSTEM_TSS16 | 1 << SYSTEM_LDT | 1 << SYSTEM_TSS16_BUSY | 1 << SYSTEM_CALL16 | 1 << SYSTEM_TASK_GATE |
                 1 << SYSTEM_TSS | 1 << SYSTEM_TSS_BUSY | 1 << SYSTEM_CALL,
    LAR_LONG = 1 << SYSTEM_LDT | 1 << SYSTEM_TSS | 1 << SYSTEM_TSS_BUSY | 1 << SYSTEM_CALL,
    LSL_LEGACY = 1 << SYSTEM_TSS16 | 1 << SYSTEM_LDT | 1 << SYSTEM_TSS16_BUSY | 1 << SYSTEM_TSS | 1 << SYSTEM_TSS_BUSY,
    LSL_LONG = 1 << SYSTEM_LDT | 1 << SYSTEM_TSS | 1 << SYSTEM_TSS_BUSY,
};

static bool selector_query(SoftCpu *s, const Insn *i, unsigned legacy, unsigned in_long, Descriptor *d)
{
    need_protected(s);
    uint16_t selector = selector_operand(s, i, 1);
    if (!descriptor_find(s, selector, d) || !selector_visible(s, d)) {
        return false;
    }
    return descriptor_s(d) || (long_active(s) ? in_long : legacy) >> descriptor_type(d) & 1;
}

static void op_lar(SoftCpu *s, const Insn *i)
{
    Descriptor d;
    bool ok = selector_query(s, i, LAR_LEGACY, LAR_LONG, &d);
    if (ok) {
        soft_put(s, i, 0, d.low >> 32 & (i->op[0].size == 2 ? 0xff00 : 0xf0ff00));
    }
    zf_put(s, ok);
}

static void op_lsl(SoftCpu *s, const Insn *i)
{
    Descriptor d;
    bool ok = selector_query(s, i, LSL_LEGACY, LSL_LONG, &d);
    if (ok) {
        soft_put(s, i, 0, d.seg.limit);
    }
    zf_put(s, ok);
}

static void op_verr(SoftCpu *s, const Insn *i)
{
    Descriptor d;
    need_protected(s);
    bool ok = descriptor_find(s, selector_operand(s, i, 0), &d) && descriptor_s(&d) && selector_visible(s, &d);
    zf_put(s, ok && (!(descriptor_type(&d) & SEGMENT_CODE) || descriptor_type(&d) & SEGMENT_READABLE));
}

static void op_verw(SoftCpu *s, const Insn *i)
{
    Descriptor d;
    need_protected(s);
    bool ok = descriptor_find(s, selector_operand(s, i, 0), &d) && descriptor_s(&d) && selector_visible(s, &d);
    zf_put(s, ok && !(descriptor_type(&d) & SEGMENT_CODE) && descriptor_type(&d) & SEGMENT_WRITABLE);
}

static void op_arpl(SoftCpu *s, const Insn *i)
{
    need_protected(s);
    unsigned rpl = soft_get(s, i, 1) & 3;
    uint64_t old = soft_get(s, i, 0);   /* writes, and needs to be allowed to, only where something changes */
    bool raise = (old & 3) < rpl;
    if (raise) {
        soft_put(s, i, 0, (old & ~UINT64_C(3)) | rpl);
    }
    zf_put(s, raise);
}

/* ---- LDTR and TR ---- */

static void need_ring0(SoftCpu *s)
{
    if (soft_cpl(s)) {
        plain_fault(s, EXC_GP);
    }
}

/* What UMIP hides from programs (SDM vol 3 §2.5, CR4.UMIP). */
static void need_umip(SoftCpu *s)
{
    if (s->cpu.state.cr4 & CR4_UMIP && soft_cpl(s)) {
        plain_fault(s, EXC_GP);
    }
}

static void op_sldt(SoftCpu *s, const Insn *i)
{
    need_protected(s);
    need_umip(s);
    selector_result(s, i, s->cpu.state.seg[SEG_LDTR].selector);
}

static void op_str(SoftCpu *s, const Insn *i)
{
    need_protected(s);
    need_umip(s);
    selector_result(s, i, s->cpu.state.seg[SEG_TR].selector);
}

/* The system descriptor that LLDT or LTR loads: in the GDT, of one of `types`, present, its base an address. */
static void system_descriptor(SoftCpu *s, uint16_t selector, unsigned types, Descriptor *d)
{
    if (selector_local(selector)) {
        selector_fault(s, EXC_GP, selector);
    }
    descriptor_get(s, selector, d, EXC_GP);
    if (descriptor_s(d) || !(types >> descriptor_type(d) & 1) || !descriptor_extend(s, d)) {
        selector_fault(s, EXC_GP, selector);
    }
    if (!descriptor_p(d)) {
        selector_fault(s, EXC_NP, selector);
    }
    if (long_active(s) && !base_canonical(&s->cpu, d->seg.base)) {
        selector_fault(s, EXC_GP, selector);
    }
}

static void op_lldt(SoftCpu *s, const Insn *i)
{
    need_protected(s);
    need_ring0(s);
    uint16_t selector = selector_operand(s, i, 0);
    Descriptor d;
    if (selector_null(selector)) {
        d.seg = segment_null(selector, 0);
    } else {
        system_descriptor(s, selector, 1 << SYSTEM_LDT, &d);
    }
    s->cpu.state.seg[SEG_LDTR] = d.seg;
}

static void op_ltr(SoftCpu *s, const Insn *i)
{
    need_protected(s);
    need_ring0(s);
    uint16_t selector = selector_operand(s, i, 0);
    unsigned types = long_active(s) ? 1 << SYSTEM_TSS : 1 << SYSTEM_TSS | 1 << SYSTEM_TSS16;
    Descriptor d;
    if (selector_null(selector)) {
        plain_fault(s, EXC_GP);
    }
    system_descriptor(s, selector, types, &d);
    if (!descriptor_set_busy(s, &d, true)) { /* another CPU took it between the check and now */
        selector_fault(s, EXC_GP, selector);
    }
    s->cpu.state.seg[SEG_TR] = d.seg;
}

/* ---- GDTR and IDTR ---- */

static bool code_64(const SoftCpu *s)
{
    return cpu_mode(&s->cpu.state) == CPU_LONG;
}

static void store_table(SoftCpu *s, const Insn *i, const TableReg *t)
{
    need_umip(s);
    /* All of the base whatever the operand size: 8 bytes in 64-bit code, else 4 (SDM vol 2 SGDT). */
    uint8_t image[10];
    size_t len = code_64(s) ? 10 : 6;
    memcpy(image, &t->limit, 2);
    memcpy(image + 2, &t->base, 8);
    soft_write(s, soft_operand_linear(s, i, (unsigned)len, true), image, len);
}

static void load_table(SoftCpu *s, const Insn *i, TableReg *t)
{
    need_ring0(s);
    uint8_t image[10] = {0};
    size_t len = code_64(s) ? 10 : 6;
    TableReg new = {0};
    soft_read(s, soft_operand_linear(s, i, (unsigned)len, false), image, len);
    memcpy(&new.limit, image, 2);
    memcpy(&new.base, image + 2, 8);
    if (code_64(s)) {
        if (!base_canonical(&s->cpu, new.base)) {
            plain_fault(s, EXC_GP);
        }
    } else if (i->operand_size == 2) {
        new.base &= 0xffffff;
    }
    *t = new;
}

static void op_sgdt(SoftCpu *s, const Insn *i)
{
    store_table(s, i, &s->cpu.state.gdtr);
}

static void op_sidt(SoftCpu *s, const Insn *i)
{
    store_table(s, i, &s->cpu.state.idtr);
}

static void op_lgdt(SoftCpu *s, const Insn *i)
{
    load_table(s, i, &s->cpu.state.gdtr);
}

static void op_lidt(SoftCpu *s, const Insn *i)
{
    load_table(s, i, &s->cpu.state.idtr);
}

const Op ops_segment[] = {
    {ZYDIS_MNEMONIC_LDS, OP_END, op_lds},   {ZYDIS_MNEMONIC_LES, OP_END, op_les},
    {ZYDIS_MNEMONIC_LFS, OP_END, op_lfs},   {ZYDIS_MNEMONIC_LGS, OP_END, op_lgs},
    {ZYDIS_MNEMONIC_LSS, OP_END, op_lss},   {ZYDIS_MNEMONIC_LAR, 0, op_lar},
    {ZYDIS_MNEMONIC_LSL, 0, op_lsl},        {ZYDIS_MNEMONIC_VERR, 0, op_verr},
    {ZYDIS_MNEMONIC_VERW, 0, op_verw},      {ZYDIS_MNEMONIC_ARPL, 0, op_arpl},
    {ZYDIS_MNEMONIC_LLDT, OP_END, op_lldt}, {ZYDIS_MNEMONIC_LTR, OP_END, op_ltr},
    {ZYDIS_MNEMONIC_SLDT, 0, op_sldt},      {ZYDIS_MNEMONIC_STR, 0, op_str},
    {ZYDIS_MNEMONIC_LGDT, OP_END, op_lgdt}, {ZYDIS_MNEMONIC_LIDT, OP_END, op_lidt},
    {ZYDIS_MNEMONIC_SGDT, 0, op_sgdt},      {ZYDIS_MNEMONIC_SIDT, 0, op_sidt},
    {0},
};
