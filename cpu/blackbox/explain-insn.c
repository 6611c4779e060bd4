/* Faults of instructions: what the bytes at CS:RIP wanted, and which of the manual's conditions did not hold.  Only
 * conditions that the state decides are named; what is left is said to be so. */
#include <Zydis/Zydis.h>
#include <inttypes.h>

#include "cpu/blackbox/explain-look.h"
#include "cpu/blackbox/print.h"
#include "cpu/disas.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/paging.h"
#include "cpu/segment.h"

typedef struct Code {
    const Cpu *c;
    const CpuState *s;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
    ZydisMachineMode machine;
    bool raised; /* the fault is known to have come of this instruction */
} Code;

static ZydisMachineMode machine_mode(const CpuState *s)
{
    unsigned size = cpu_code_size(s);
    return size == 64                ? ZYDIS_MACHINE_MODE_LONG_64
           : size == 32              ? ZYDIS_MACHINE_MODE_LEGACY_32
           : cpu_mode(s) == CPU_REAL ? ZYDIS_MACHINE_MODE_REAL_16
                                     : ZYDIS_MACHINE_MODE_LEGACY_16;
}

static bool decode(const Cpu *c, Code *code)
{
    uint8_t bytes[DISAS_MAX_LENGTH];
    size_t n = 0;
    uint64_t at = cpu_linear_ip(&c->state);
    ZydisDecoder d;
    *code = (Code){.c = c, .s = &c->state, .machine = machine_mode(&c->state)};
    while (n < sizeof(bytes) && cpu_memory_debug(c, at + n, bytes + n, 1, false)) {
        n++;
    }
    ZydisStackWidth width = code->machine == ZYDIS_MACHINE_MODE_LONG_64     ? ZYDIS_STACK_WIDTH_64
                            : code->machine == ZYDIS_MACHINE_MODE_LEGACY_32 ? ZYDIS_STACK_WIDTH_32
                                                                            : ZYDIS_STACK_WIDTH_16;
    return ZYAN_SUCCESS(ZydisDecoderInit(&d, code->machine, width)) &&
           ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, bytes, n, &code->insn, code->op));
}

/* ---- Operands ---- */

static uint64_t cut(uint64_t v, unsigned bits)
{
    return bits >= 64 ? v : v & ((UINT64_C(1) << bits) - 1);
}

/* A general register, IP or none (0). */
static uint64_t reg_value(const Code *k, ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE) {
        return 0;
    }
    ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    unsigned width = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg);
    if (full == ZYDIS_REGISTER_RIP) {
        return cut(k->s->rip + k->insn.length, width);
    }
    if (full < ZYDIS_REGISTER_RAX || full > ZYDIS_REGISTER_R15) {
        return 0;
    }
    bool high = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
    return cut(k->s->gpr[full - ZYDIS_REGISTER_RAX] >> (high ? 8 : 0), width);
}

static unsigned segment_of(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_ES: return SEG_ES;
    case ZYDIS_REGISTER_CS: return SEG_CS;
    case ZYDIS_REGISTER_SS: return SEG_SS;
    case ZYDIS_REGISTER_FS: return SEG_FS;
    case ZYDIS_REGISTER_GS: return SEG_GS;
    default: return SEG_DS;
    }
}

/* Offset of a memory operand; pushes write below the stack pointer. */
static uint64_t offset_of(const Code *k, const ZydisDecodedOperand *o)
{
    uint64_t v = reg_value(k, o->mem.base) + reg_value(k, o->mem.index) * o->mem.scale + (uint64_t)o->mem.disp.value;
    bool stack = o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && o->mem.segment == ZYDIS_REGISTER_SS;
    if (stack) {
        unsigned width = cpu_stack_size(k->s);
        return cut(v - (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? o->size / 8 : 0), width);
    }
    return cut(v, k->insn.address_width);
}

/* Value of a visible operand; false: not one that can be read here. */
static bool value_of(const Code *k, const ZydisDecodedOperand *o, uint64_t *v)
{
    switch (o->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: *v = reg_value(k, o->reg.value); return true;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        *v = o->imm.is_relative ? cut(k->s->rip + k->insn.length + o->imm.value.u, cpu_code_size(k->s)) : o->imm.value.u;
        return true;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        *v = 0;
        return o->size <= 64 && cpu_memory_debug(k->c, segment_linear(k->s, segment_of(o->mem.segment), offset_of(k, o)), v,
                                                 o->size / 8, false);
    default: return false;
    }
}

/* ---- #GP and #SS by an address ---- */

static bool bad_address(const Code *k, const ZydisDecodedOperand *o, GString *out)
{
    static const char *const names[] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    const CpuState *s = k->s;
    unsigned reg = segment_of(o->mem.segment), size = MAX(o->size / 8, 1);
    uint64_t offset = offset_of(k, o), linear = segment_linear(s, reg, offset);
    bool write = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    const Segment *g = &s->seg[reg];
    if (cpu_mode(s) == CPU_LONG) {
        bool la57 = s->cr4 & CR4_LA57;
        if (address_canonical(linear, la57) && address_canonical(linear + size - 1, la57)) {
            return false;
        }
        g_string_append_printf(out, "it accesses 0x%016" PRIx64 ", which is not canonical (bits 63 to %u differ)", linear,
                               la57 ? 56 : 47);
        return true;
    }
    if (segment_check_access(s, reg, offset, size, write, false).vector == FAULT_NONE) {
        return false;
    }
    unsigned type = segment_type(g);
    if (segment_unusable(g)) {
        g_string_append_printf(out, "it goes through %s, which is null (selector 0x%x)", names[reg], g->selector);
    } else if (cpu_mode(s) >= CPU_PROTECTED && write && (type & SEGMENT_CODE || !(type & SEGMENT_WRITABLE))) {
        g_string_append_printf(out, "it writes through %s (selector 0x%x), which is %s", names[reg], g->selector,
                               type & SEGMENT_CODE ? "a code segment" : "read-only");
    } else if (cpu_mode(s) >= CPU_PROTECTED && type & SEGMENT_CODE && !(type & SEGMENT_READABLE) && !write) {
        g_string_append_printf(out, "it reads through %s (selector 0x%x), which may only be executed", names[reg],
                               g->selector);
    } else {
        g_string_append_printf(
            out, "offset 0x%" PRIx64 " of %u bytes lies outside of %s (selector 0x%x, base 0x%" PRIx64 ", limit 0x%x)",
            offset, size, names[reg], g->selector, g->base, g->limit);
    }
    return true;
}

static bool is_sse(const Code *k)
{
    switch (k->insn.meta.isa_ext) {
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_SSE4A:
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_PCLMULQDQ:
    case ZYDIS_ISA_EXT_SHA: return true;
    default: return false;
    }
}

/* Legacy SSE with 16 bytes of memory, but for the moves that are made for what is not aligned (SDM vol 1 §4.11.1). */
static bool needs_alignment(const Code *k, const ZydisDecodedOperand *o)
{
    switch (k->insn.mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU: return false;
    default: return o->size == 128 && is_sse(k);
    }
}

static bool bad_operand(const Code *k, GString *out)
{
    for (unsigned n = 0; n < k->insn.operand_count; n++) {
        const ZydisDecodedOperand *o = &k->op[n];
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type == ZYDIS_MEMOP_TYPE_AGEN) {
            continue;
        }
        if (bad_address(k, o, out)) {
            return true;
        }
        uint64_t linear = segment_linear(k->s, segment_of(o->mem.segment), offset_of(k, o));
        if (needs_alignment(k, o) && linear & 15) {
            g_string_append_printf(out, "its operand at 0x%" PRIx64 " is not aligned to %u bytes", linear, o->size / 8);
            return true;
        }
    }
    return false;
}

/* Where a near jump, call or return leads. */
static bool bad_target(const Code *k, GString *out)
{
    const CpuState *s = k->s;
    uint64_t target = 0;
    switch (k->insn.mnemonic) {
    case ZYDIS_MNEMONIC_RET:
        if (k->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
            !cpu_memory_debug(k->c, segment_linear(s, SEG_SS, cut(s->gpr[CPU_RSP], cpu_stack_size(s))), &target,
                              k->insn.operand_width / 8, false)) {
            return false;
        }
        break;
    default:
        if (k->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE || k->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
            !value_of(k, &k->op[0], &target)) {
            return false;
        }
    }
    if (cpu_mode(s) == CPU_LONG) {
        if (address_canonical(target, s->cr4 & CR4_LA57)) {
            return false;
        }
        g_string_append_printf(out, "it leads to 0x%016" PRIx64 ", which is not canonical", target);
    } else {
        if (target <= s->seg[SEG_CS].limit) {
            return false;
        }
        g_string_append_printf(out, "it leads to 0x%" PRIx64 ", beyond the limit 0x%x of CS", target, s->seg[SEG_CS].limit);
    }
    return true;
}

static bool bad_place(const Code *k, GString *out)
{
    const CpuState *s = k->s;
    if (cpu_mode(s) == CPU_LONG) {
        if (address_canonical(s->rip, s->cr4 & CR4_LA57)) {
            return false;
        }
        g_string_append_printf(out, "RIP 0x%016" PRIx64 " is not canonical", s->rip);
        return true;
    }
    if (s->rip <= s->seg[SEG_CS].limit) {
        return false;
    }
    g_string_append_printf(out, "EIP 0x%" PRIx64 " lies beyond the limit 0x%x of CS", s->rip, s->seg[SEG_CS].limit);
    return true;
}

/* ---- #GP by what a system instruction was told ---- */

static bool bad_pdptes(const Cpu *c, uint64_t cr3, GString *out)
{
    unsigned phys = paging_limits(c).phys_bits;
    uint64_t reserved = UINT64_MAX << phys | 0x1e6, at = cr3 & 0xffffffe0, e = 0;
    for (unsigned n = 0; n < 4; n++) {
        if (space_peek(c->memory, at + 8 * n, &e, 8) && e & PTE_P && e & reserved) {
            g_string_append_printf(out,
                                   "PDPTE at 0x%" PRIx64 " (index %u) has reserved bits set: 0x%" PRIx64
                                   " of its value 0x%" PRIx64
                                   " (a PDPTE of PAE has P, PWT, PCD and the address, no W, U, A)",
                                   at + 8 * n, n, e & reserved, e);
            return true;
        }
    }
    return false;
}

static bool bad_cr0(const Code *k, uint64_t v, GString *out)
{
    const CpuState *s = k->s;
    bool starts = v & ~s->cr0 & CR0_PG;
    const char *bad = v >> 32                                                      ? "bits above 31 are set"
                      : v & CR0_PG && !(v & CR0_PE)                                ? "PG without PE"
                      : v & CR0_NW && !(v & CR0_CD)                                ? "NW without CD"
                      : starts && s->efer & EFER_LME && !(s->cr4 & CR4_PAE)        ? "PG with EFER.LME needs CR4.PAE first"
                      : starts && s->efer & EFER_LME && segment_l(&s->seg[SEG_CS]) ? "PG with EFER.LME from a CS with L set"
                      : s->cr0 & ~v & CR0_PG && cpu_mode(s) == CPU_LONG ? "64-bit mode cannot be left by clearing PG"
                      : s->cr0 & ~v & CR0_PG && s->cr4 & CR4_PCIDE      ? "PG cannot be cleared while CR4.PCIDE is set"
                                                                        : NULL;
    if (bad) {
        g_string_append_printf(out, "CR0 = 0x%" PRIx64 " is refused: %s", v, bad);
        return true;
    }
    return v & CR0_PG && s->cr4 & CR4_PAE && !(s->efer & EFER_LME) && bad_pdptes(k->c, s->cr3, out);
}

static bool bad_cr4(const Code *k, uint64_t v, GString *out)
{
    const CpuState *s = k->s;
    uint64_t unknown = k->c->model ? v & ~model_cr4(k->c->model) : 0;
    bool lma = cpu_long_active(s);
    if (unknown) {
        g_string_append_printf(out, "CR4 = 0x%" PRIx64 " is refused: this CPU model does not have bits 0x%" PRIx64 ":", v,
                               unknown);
        box_bits_changed(4, 0, unknown, out);
        return true;
    }
    const char *bad = lma && !(v & CR4_PAE)                                 ? "long mode needs PAE"
                      : lma && (v ^ s->cr4) & CR4_LA57                      ? "LA57 cannot change in long mode"
                      : v & ~s->cr4 & CR4_PCIDE && (!lma || s->cr3 & 0xfff) ? "PCIDE needs long mode and CR3 bits 11:0 clear"
                                                                            : NULL;
    if (bad) {
        g_string_append_printf(out, "CR4 = 0x%" PRIx64 " is refused: %s", v, bad);
        return true;
    }
    return cpu_paging(s) && v & CR4_PAE && !lma && bad_pdptes(k->c, s->cr3, out);
}

static bool bad_mov_cr(const Code *k, GString *out)
{
    const CpuState *s = k->s;
    uint64_t v;
    if (k->op[0].type != ZYDIS_OPERAND_TYPE_REGISTER || !value_of(k, &k->op[1], &v)) {
        return false;
    }
    switch (k->op[0].reg.value) {
    case ZYDIS_REGISTER_CR0: return bad_cr0(k, v, out);
    case ZYDIS_REGISTER_CR3:
        if (cpu_long_active(s)) {
            uint64_t keep = s->cr4 & CR4_PCIDE ? UINT64_MAX >> 1 : UINT64_MAX;
            if (!(v & keep & UINT64_MAX << paging_limits(k->c).phys_bits)) {
                return false;
            }
            g_string_append_printf(out, "CR3 = 0x%" PRIx64 " is refused: physical addresses have %u bits", v,
                                   paging_limits(k->c).phys_bits);
            return true;
        }
        return cpu_paging(s) && s->cr4 & CR4_PAE && bad_pdptes(k->c, v, out);
    case ZYDIS_REGISTER_CR4: return bad_cr4(k, v, out);
    case ZYDIS_REGISTER_CR8:
        g_string_append_printf(out, "CR8 = 0x%" PRIx64 " is refused: it has bits 3:0 only", v);
        return v > 15;
    default: return false;
    }
}

static bool bad_msr(const Code *k, bool write, GString *out)
{
    uint32_t index = (uint32_t)k->s->gpr[CPU_RCX];
    uint64_t v = (uint32_t)k->s->gpr[CPU_RAX] | k->s->gpr[CPU_RDX] << 32;
    unsigned element;
    const Msr *m = msr_find(index, &element);
    g_autoptr(GString) name = g_string_new(NULL);
    box_msr_name(index, name);
    bool x2apic = index >= MSR_X2APIC && index <= MSR_X2APIC_LAST;
    const char *why = x2apic                  ? k->raised ? "is the x2APIC's, which is not enabled or refuses" : NULL
                      : !m                    ? "does not exist here"
                      : !msr_exists(k->c, m)  ? "does not exist in this CPU model"
                      : write && m->read_only ? "can only be read"
                      : !write                ? m->write_only ? "can only be written" : NULL
                      : m->canonical && !base_canonical(k->c, v) ? "takes canonical addresses only"
                      : v & ~(m->writable | m->ignored)          ? "has reserved bits that the value sets"
                      : k->raised                                ? "does not take the value"
                                                                 : NULL;
    if (!why) {
        return false;
    }
    g_string_append_printf(out, "MSR 0x%x%s%s%s %s", index, name->len ? " (" : "", name->str, name->len ? ")" : "", why);
    if (write) {
        g_string_append_printf(out, " (value 0x%" PRIx64, v);
        if (m && v & ~(m->writable | m->ignored)) {
            g_string_append_printf(out, ", reserved 0x%" PRIx64, v & ~(m->writable | m->ignored));
        }
        g_string_append_c(out, ')');
    }
    return true;
}

static bool bad_system(const Code *k, GString *out)
{
    unsigned cpl = cpu_cpl(k->s), iopl = k->s->rflags >> 12 & 3;
    switch (k->insn.mnemonic) {
    case ZYDIS_MNEMONIC_IN:
    case ZYDIS_MNEMONIC_OUT:
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
        g_string_append_printf(out, "port access at CPL %u with IOPL %u, and the TSS's I/O bitmap does not permit it", cpl,
                               iopl);
        return cpl > iopl;
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
        g_string_append_printf(out, "CPL %u may not change IF with IOPL %u", cpl, iopl);
        return cpl > iopl;
    default: break;
    }
    if (cpl && k->insn.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) {
        g_string_append_printf(out, "the instruction is privileged, and CPL is %u", cpl);
        return true;
    }
    switch (k->insn.mnemonic) {
    case ZYDIS_MNEMONIC_MOV: return bad_mov_cr(k, out);
    case ZYDIS_MNEMONIC_WRMSR: return bad_msr(k, true, out);
    case ZYDIS_MNEMONIC_RDMSR: return bad_msr(k, false, out);
    default: return false;
    }
}

/* ---- By exception ---- */

/* What refuses on the way, cut away again unless the check says that it does. */
typedef bool Check(const Code *k, GString *out);
static bool try(Check *check, const Code *k, GString *out)
{
    gsize begin = out->len;
    if (check(k, out)) {
        return true;
    }
    g_string_truncate(out, begin);
    return false;
}

static bool explain_general(const Code *k, bool decoded, GString *out)
{
    if (try(bad_place, k, out)) {
        return true;
    }
    return decoded && (try(bad_system, k, out) || try(bad_target, k, out) || try(bad_operand, k, out));
}

static bool explain_page_fault(const Cpu *c, const BoxFault *f, GString *out)
{
    uint64_t at = cpu_linear_ip(&c->state);
    bool fetch = f->address - at < DISAS_MAX_LENGTH && !(f->error & PF_W);
    unsigned access = explain_access(f->error, fetch);
    if (!(f->error & PF_U) && cpu_cpl(&c->state) == 3) {
        access |= WALK_IMPLICIT;
    }
    return explain_walk(c, f->address, access, out);
}

static bool explain_undefined(const Code *k, bool decoded, GString *out)
{
    const CpuState *s = k->s;
    if (!decoded) {
        g_string_append(out, "the bytes there are no instruction");
        return true;
    }
    ZydisISASet set = k->insn.meta.isa_set;
    bool fpu = k->insn.meta.isa_ext == ZYDIS_ISA_EXT_X87, xmm = is_sse(k);
    bool vex = k->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && k->insn.meta.isa_ext != ZYDIS_ISA_EXT_BMI1 &&
               k->insn.meta.isa_ext != ZYDIS_ISA_EXT_BMI2;
    const char *why = k->insn.mnemonic == ZYDIS_MNEMONIC_UD2 || k->insn.mnemonic == ZYDIS_MNEMONIC_UD0 ||
                              k->insn.mnemonic == ZYDIS_MNEMONIC_UD1
                          ? "it is there to raise #UD: the program reports a bug of its own"
                      : vex && !(s->cr4 & CR4_OSXSAVE)        ? "AVX needs CR4.OSXSAVE"
                      : vex && (s->xcr0 & 6) != 6             ? "AVX needs XCR0.SSE and XCR0.AVX"
                      : xmm && !vex && !(s->cr4 & CR4_OSFXSR) ? "SSE needs CR4.OSFXSR"
                      : (xmm || fpu) && s->cr0 & CR0_EM       ? "CR0.EM is set"
                      : k->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK
                          ? "LOCK is not permitted there, or the instruction is not this CPU's"
                          : NULL;
    if (why) {
        g_string_append(out, why);
    } else {
        g_string_append_printf(out, "it is one of \"%s\", which the CPU model or the mode does not have",
                               ZydisISASetGetString(set));
    }
    return true;
}

static bool explain_divide(const Code *k, bool decoded, GString *out)
{
    uint64_t v;
    if (!decoded || (k->insn.mnemonic != ZYDIS_MNEMONIC_DIV && k->insn.mnemonic != ZYDIS_MNEMONIC_IDIV) ||
        !value_of(k, &k->op[0], &v)) {
        return false;
    }
    g_string_append(out, v ? "the quotient does not fit" : "the divisor is 0");
    return true;
}

static bool explain_device(const Code *k, GString *out)
{
    const CpuState *s = k->s;
    g_string_append_printf(out, "CR0 has%s%s set", s->cr0 & CR0_TS ? " TS" : "", s->cr0 & CR0_EM ? " EM" : "");
    return s->cr0 & (CR0_TS | CR0_EM);
}

static bool is_far(const Code *k)
{
    return k->insn.mnemonic == ZYDIS_MNEMONIC_IRET || k->insn.mnemonic == ZYDIS_MNEMONIC_IRETD ||
           k->insn.mnemonic == ZYDIS_MNEMONIC_IRETQ || k->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

/* An error code with a selector: what that names, and what the instruction wanted it for. */
static bool explain_selector_fault(const Code *k, bool decoded, const BoxFault *f, GString *out)
{
    if (f->error & 2) {
        return false;
    }
    uint64_t v;
    uint16_t selector = (uint16_t)(f->error & 0xfffc);
    if (decoded && k->insn.mnemonic == ZYDIS_MNEMONIC_MOV && value_of(k, &k->op[1], &v)) {
        selector = (uint16_t)v; /* with its RPL */
    }
    explain_selector(k->c, selector, out);
    if (decoded) {
        bool load = k->insn.mnemonic == ZYDIS_MNEMONIC_MOV || k->insn.mnemonic == ZYDIS_MNEMONIC_POP;
        g_string_append_printf(out, "; that cannot be %s at CPL %u",
                               is_far(k) ? "the code segment (or gate, TSS, stack) to go to"
                               : load    ? "loaded into the segment register"
                                         : "used so",
                               cpu_cpl(k->s));
    }
    return true;
}

bool explain_instruction(const Cpu *c, const BoxFault *f, GString *out)
{
    Code k;
    gsize begin = out->len;
    bool decoded = decode(c, &k), known;
    k.raised = true;
    switch (f->vector) {
    case LOOK_PF: known = explain_page_fault(c, f, out); break;
    case LOOK_UD: known = explain_undefined(&k, decoded, out); break;
    case LOOK_DE: known = explain_divide(&k, decoded, out); break;
    case LOOK_NM: known = explain_device(&k, out); break;
    case LOOK_TS:
    case LOOK_NP:
    case LOOK_SS:
    case LOOK_GP:
        known = f->error & ~1u ? explain_selector_fault(&k, decoded, f, out) : explain_general(&k, decoded, out);
        break;
    default: known = false;
    }
    if (!known) {
        g_string_truncate(out, begin);
    }
    return known;
}

bool explain_suspect(const Cpu *c, GString *out)
{
    Code k;
    gsize begin = out->len;
    uint64_t divisor;
    bool decoded = decode(c, &k);
    bool ud = decoded && (k.insn.mnemonic == ZYDIS_MNEMONIC_UD0 || k.insn.mnemonic == ZYDIS_MNEMONIC_UD1 ||
                          k.insn.mnemonic == ZYDIS_MNEMONIC_UD2);
    bool divide = decoded && (k.insn.mnemonic == ZYDIS_MNEMONIC_DIV || k.insn.mnemonic == ZYDIS_MNEMONIC_IDIV);
    if (ud) {
        g_string_append(out, "#UD: ");
        return explain_undefined(&k, true, out);
    }
    if (divide && value_of(&k, &k.op[0], &divisor) && !divisor) {
        g_string_append(out, "#DE: the divisor is 0");
        return true;
    }
    g_string_append(out, "#GP or #SS: ");
    if (!explain_general(&k, decoded, out)) {
        g_string_truncate(out, begin);
    }
    return out->len > begin;
}

/* ---- Any of a chain ---- */

static bool is_same(const Refusal *r, const BoxFault *f)
{
    return r->vector == f->vector && (!f->has_error || r->error == f->error) &&
           (f->vector != LOOK_PF || r->address == f->address);
}

void explain_fault(const Cpu *c, const BoxFault *f, GString *out)
{
    Refusal r;
    if (f->during_kind == BOX_NONE) {
        if (!explain_instruction(c, f, out)) {
            g_string_append(out, "the state of the machine does not tell what refused");
        }
        return;
    }
    g_autoptr(GString) why = g_string_new(NULL);
    if (!explain_delivery(c, f->during_kind, f->during, f->during_error, &r, why)) {
        g_string_append(out, "nothing refuses it any more: the state has changed since");
    } else if (is_same(&r, f)) {
        g_string_append(out, why->str);
    } else {
        const char *name = box_exception_name(r.vector);
        g_string_append_printf(out, "the state has changed since; now it would be %s: %s", name ? name : "another fault",
                               why->str);
    }
}
