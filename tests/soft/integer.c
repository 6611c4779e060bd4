/* Every general-purpose instruction, as C functions do it, against the processor that runs this.
 *
 * A form is an opcode and what follows it; prefixes, REX or VEX bits, ModRM, SIB, displacement and immediate
 * are random, so that aliases and odd encodings are met too. What the decoder refuses is passed over; the
 * rest runs on both sides with the same random registers, flags and memory, several times each. Compared:
 * registers, memory, where it goes, the fault, and the flags that are not undefined for it (Zydis knows).
 * INTEGER_SEED and INTEGER_CASES choose others. */
#include <Zydis/Zydis.h>
#include <check.h>
#include <cpuid.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/soft/decode.h"
#include "tests/cpu/cpu-test.h"
#include "tests/soft/flat.h"
#include "tests/soft/forms.h"
#include "tests/soft/native.h"

enum { STATES = 8 /* runs of one encoding */, WINDOW = 1024, MARGIN = 288 };
#define ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* ---- Random numbers ---- */
static uint64_t seed, rng;

static uint64_t rnd(void)
{
    rng += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = rng;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static unsigned below(unsigned n) { return (unsigned)(rnd() >> 32) % n; }
static bool one_in(unsigned n) { return below(n) == 0; }

/* Numbers near which things happen. */
static uint64_t interesting(void)
{
    uint64_t v = rnd();
    switch (v & 7) {
    case 0:
        return (v >> 8 & 7) - 3;
    case 1:
        return (UINT64_C(1) << (v >> 8 & 63)) + (v >> 16 & 3) - 2;
    case 2:
        return -((UINT64_C(1) << (v >> 8 & 63)) + (v >> 16 & 3) - 2);
    case 3:
        return v >> 8 & 0xff;
    case 4:
        return v >> (v >> 8 & 63);
    default:
        return rnd();
    }
}

/* ---- Encodings ---- */
typedef struct Case {
    const Form *form;
    bool code_32;
    uint8_t bytes[32];
    unsigned length, disp_at, disp_size;
    Insn insn;
    OpFn *fn;
    uint32_t undefined;                 /* flags */
    uint64_t target;                    /* where its memory operand shall lie */
} Case;

static void emit(Case *c, uint64_t v, unsigned size)
{
    memcpy(c->bytes + c->length, &v, size);
    c->length += size;
}

static void emit_modrm(Case *c, bool address_16, unsigned digit)
{
    unsigned mod = c->form->what & MEMORY_ONLY ? below(3) : one_in(3) ? 3 : below(3), rm = below(8);
    emit(c, mod << 6 | digit << 3 | rm, 1);
    if (mod == 3) {
        return;
    }
    unsigned base = rm;
    if (!address_16 && rm == 4) {
        unsigned sib = below(256);
        base = sib & 7;
        emit(c, sib, 1);
    }
    c->disp_at = c->length;
    if (address_16) {
        c->disp_size = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
    } else {
        c->disp_size = mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0;
    }
    emit(c, (uint64_t)(int64_t)(int8_t)rnd(), c->disp_size);
}

static void emit_relative(Case *c, unsigned size)
{
    uint64_t at = native_slot(c->code_32) + c->length + size;
    emit(c, native_taken(c->code_32) - at, size);
}

static void emit_vex(Case *c, unsigned byte, unsigned map)
{
    unsigned prefix = c->form->prefix, p = prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
    bool fixed = c->form->opcode == 0x3f0;
    emit(c, 0xc4, 1);
    emit(c, (c->code_32 ? 0xe0 : rnd() & 0xe0) | map, 1);
    emit(c, (rnd() & 0x80) | (fixed ? 0x78 : c->code_32 ? 0x40 | below(8) << 3 : below(16) << 3) | p, 1);
    emit(c, byte, 1);
}

/* Prefixes and opcode; true: operands have 16 bits. */
static bool emit_opcode(Case *c, bool *address_16, unsigned *rex)
{
    const Form *f = c->form;
    unsigned byte = f->opcode & 0xff, map = f->opcode >> 8;
    bool operand_16 = one_in(5) && !(f->what & VEX_FORM), address = one_in(8);
    byte += f->last ? below(f->last - f->opcode + 1u) : 0;
    if (operand_16) {
        emit(c, 0x66, 1);
    }
    if (address) {
        emit(c, 0x67, 1);
        *address_16 = c->code_32;
    }
    if (f->what & LOCKED && one_in(4)) {
        emit(c, 0xf0, 1);
    }
    if (f->what & REPEATS && !one_in(3)) {
        emit(c, one_in(2) ? 0xf2 : 0xf3, 1);
    }
    if (f->what & VEX_FORM) {
        emit_vex(c, byte, map);
        return false;
    }
    if (f->prefix) {
        emit(c, f->prefix, 1);
    }
    if (!c->code_32 && one_in(2)) {
        *rex = 0x40 | below(16);
        emit(c, *rex, 1);
    }
    if (map) {
        emit(c, 0x0f, 1);
        if (map > 1) {
            emit(c, map == 2 ? 0x38 : 0x3a, 1);
        }
    }
    emit(c, byte, 1);
    return operand_16;
}

static void encode(Case *c)
{
    const Form *f = c->form;
    bool address_16 = false;
    unsigned rex = 0, digit = below(8);
    bool operand_16 = emit_opcode(c, &address_16, &rex), wide = rex & 8;
    while (f->digits && !(f->digits >> digit & 1)) {
        digit = below(8);
    }
    if (f->what & MODRM) {
        emit_modrm(c, address_16, digit);
    }
    if (f->what & MOFFS) {
        bool address = memchr(c->bytes, 0x67, c->length > 2 ? 2 : c->length - 1u);
        emit(c, c->target, c->code_32 ? (address ? 2 : 4) : address ? 4 : 8);
    }
    if (f->what & IMM16) {
        emit(c, below(256), 2);
    }
    if (f->what & IMM8) {
        emit(c, interesting(), 1);
    }
    if (f->what & IMMZ) {
        emit(c, interesting(), operand_16 && !wide ? 2 : 4);
    }
    if (f->what & IMMV) {
        emit(c, interesting(), wide ? 8 : operand_16 ? 2 : 4);
    }
    if (f->what & JB) {
        emit_relative(c, 1);
    }
    if (f->what & JZ) {
        emit_relative(c, operand_16 && c->code_32 ? 2 : 4);
    }
}

/* A displacement of 4 bytes is what the address lacks; false: there is none. */
static bool patch(Case *c, uint64_t disp)
{
    if (c->disp_size != 4 || disp + UINT64_C(0x80000000) > UINT32_MAX) {
        return false;
    }
    memcpy(c->bytes + c->disp_at, &disp, 4);
    return true;
}

static bool host_is_amd(void)
{
    CpuModel m = {0};
    unsigned eax, regs[3] = {0};
    __get_cpuid(0, &eax, &regs[0], &regs[2], &regs[1]);
    memcpy(m.vendor, regs, 12);
    return model_is_amd(&m);
}

static bool undefined_flags(Case *c)
{
    ZydisDecoder d;
    ZydisDecodedInstruction z;
    ZydisDecoderInit(&d, c->code_32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LONG_64,
                     c->code_32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&d, NULL, c->bytes, c->length, &z))) {
        return false;
    }
    c->undefined = z.cpu_flags ? z.cpu_flags->undefined : 0;
    return true;
}

static bool decode(Case *c)
{
    uint32_t mode = MODE_PROTECTED | (c->code_32 ? MODE_32 : MODE_64);
    unsigned traits = DECODE_LZCNT | DECODE_TZCNT | (host_is_amd() ? DECODE_AMD : 0);
    return insn_decode_as(&c->insn, c->bytes, c->length, mode, native_slot(c->code_32), traits) == DECODE_OK &&
           c->insn.length == c->length;
}

/* What an address is made of has to suit, and some instructions cannot be run here. */
static bool acceptable(const Case *c)
{
    const Insn *i = &c->insn;
    for (unsigned n = 0; n < i->operands; n++) {
        if (i->op[n].kind == OPERAND_FAR || (i->op[n].kind == OPERAND_REG && i->op[n].bank != BANK_GPR)) {
            return false;
        }
    }
    /* a 16-bit target is nowhere, and makers differ about the prefix in 64-bit code */
    bool jumps = c->form->what & (JB | JZ | INDIRECT | STACK_TOP);
    return !jumps || (i->operand_size == (c->code_32 ? 4 : 8) && (c->code_32 || i->bytes[0] != 0x66));
}

static bool make(Case *c, const Form *f, bool code_32)
{
    *c = (Case){.form = f, .code_32 = code_32};
    c->target = native_data() + NATIVE_DATA / 2 - WINDOW / 2 + MARGIN + below(WINDOW - 2 * MARGIN);
    if (f->what & ALIGNED && !one_in(8)) {
        c->target &= ~UINT64_C(15);
    }
    encode(c);
    if (!decode(c)) {
        return false;
    }
    const MemOperand *m = &c->insn.mem;
    if (m->rip_relative || (c->disp_size == 4 && m->base == NO_REG && m->index == NO_REG)) {
        uint64_t next = m->rip_relative ? native_slot(code_32) + c->length : 0;
        if (!patch(c, c->target - next) || !decode(c)) {
            return false;
        }
    }
    c->fn = flat_find(c->insn.mnemonic);
    return acceptable(c) && c->fn && undefined_flags(c);
}

/* ---- States ---- */
static uint64_t window(void) { return native_data() + NATIVE_DATA / 2 - WINDOW / 2; }

/* Registers such that the memory operand lies at the target. False: this encoding reaches no memory of ours. */
static bool aim(Case *c, Regs *r)
{
    const MemOperand *m = &c->insn.mem;
    unsigned scale = m->scale;
    uint64_t *gpr = r->gpr, disp = (uint64_t)m->disp;
    if (c->insn.mem.rip_relative || (m->base == NO_REG && m->index == NO_REG)) {
        return c->insn.address_size > 2;
    }
    if (m->base == m->index) {
        gpr[m->base] = (c->target - disp) / (1 + (UINT64_C(1) << scale));
    } else if (m->base == NO_REG) {
        gpr[m->index] = (c->target - disp) >> scale;
    } else {
        if (m->index != NO_REG) {
            gpr[m->index] = (uint64_t)(int64_t)(int16_t)rnd();
        }
        gpr[m->base] = c->target - disp - (m->index != NO_REG ? gpr[m->index] << scale : 0);
    }
    if (c->insn.address_size == 4 && !c->code_32) {
        for (unsigned n = 0; n < 2; n++) {
            uint8_t reg = n ? m->index : m->base;
            if (reg != NO_REG && reg != CPU_RSP) {
                gpr[reg] |= rnd() << 32;
            }
        }
    }
    return true;
}

static uint64_t address(const Case *c, const Regs *r)
{
    const MemOperand *m = &c->insn.mem;
    uint64_t at = (uint64_t)m->disp + (m->base != NO_REG ? r->gpr[m->base] : 0);
    at += m->index != NO_REG ? r->gpr[m->index] << m->scale : 0;
    return at & size_mask(c->insn.address_size);
}

static bool has_memory(const Insn *i)
{
    for (unsigned n = 0; n < i->operands; n++) {
        if (i->op[n].kind == OPERAND_MEM) {
            return true;
        }
    }
    return false;
}

static void aim_strings(Case *c, Regs *r)
{
    uint64_t high = c->insn.address_size == 4 && !c->code_32 ? rnd() << 32 : 0;
    r->gpr[CPU_RSI] = (c->target + below(64)) | high;
    r->gpr[CPU_RDI] = (c->target + below(64)) | high;
    r->gpr[CPU_RCX] = below(28) | high;
}

static bool randomize(Case *c, Regs *r)
{
    const Insn *i = &c->insn;
    for (unsigned n = 0; n < 16; n++) {
        r->gpr[n] = c->code_32 ? (uint32_t)interesting() : interesting();
    }
    r->flags = (rnd() & ARITHMETIC) | FLAG_ONE | FLAG_IF | (one_in(3) ? FLAG_DF : 0);
    r->gpr[CPU_RSP] = window() + WINDOW / 2 + below(64);
    if (c->form->what & FRAME) {
        r->gpr[CPU_RBP] = window() + WINDOW / 2 + below(64);
    }
    if (c->form->what & REPEATS) {
        aim_strings(c, r);
    }
    if (c->form->opcode == 0xd7) {
        r->gpr[CPU_RBX] = c->target;
    }
    if (one_in(4)) {
        r->gpr[CPU_RCX] = below(4);                             /* loops and shifts */
    }
    if (c->form->what & BITS && i->op[1].kind == OPERAND_REG) {
        r->gpr[i->op[1].reg] = (uint64_t)(int64_t)((int)below(2048) - 1024);
    }
    if (has_memory(i) && !aim(c, r) && i->mnemonic != ZYDIS_MNEMONIC_NOP && i->mnemonic != ZYDIS_MNEMONIC_LEA) {
        return false;
    }
    if (c->form->what & INDIRECT && i->op[0].kind == OPERAND_REG) {
        r->gpr[i->op[0].reg] = native_taken(c->code_32);
    } else if (c->form->what & INDIRECT && address(c, r) != c->target) {
        return false;
    }
    if (c->code_32) {
        for (unsigned n = 0; n < 16; n++) {
            r->gpr[n] = (uint32_t)r->gpr[n];
        }
    }
    /* not into our own code */
    return r->gpr[CPU_RSP] - window() >= MARGIN && r->gpr[CPU_RSP] - window() < WINDOW - 64;
}

static uint8_t memory_in[NATIVE_DATA], memory_here[WINDOW];

static void write_target(uint64_t at, uint64_t value, unsigned size)
{
    if (at >= window() && at + size <= window() + WINDOW) {
        memcpy(memory_in + (at - native_data()), &value, size);
    }
}

/* The window is random, and sometimes full of equal bytes, as comparisons like it. */
static void fill_memory(const Case *c, const Regs *r)
{
    uint8_t *p = memory_in + (window() - native_data());
    bool plain = one_in(4);
    for (unsigned n = 0; n < WINDOW; n += 8) {
        uint64_t v = plain ? (one_in(40) ? 1 : 0) : n & 64 ? interesting() : rnd();
        memcpy(p + n, &v, 8);
    }
    uint64_t target = native_taken(c->code_32);
    unsigned size = c->code_32 ? 4 : 8;
    if (c->form->what & INDIRECT) {
        write_target(c->target, target, size);
    }
    if (c->form->what & STACK_TOP) {
        write_target(r->gpr[CPU_RSP], target, size);
    }
    if (c->insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B || c->insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B) {
        bool eight = c->insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B;
        if (one_in(2)) {
            write_target(c->target, r->gpr[CPU_RAX], eight ? 4 : 8);
            write_target(c->target + (eight ? 4 : 8), r->gpr[CPU_RDX], eight ? 4 : 8);
        }
    } else if (!(c->form->what & (INDIRECT | STACK_TOP)) && one_in(4)) {
        write_target(c->target, r->gpr[CPU_RAX], 8);
    }
}

/* ---- Comparison ---- */
static void *data(void) { return (void *)(uintptr_t)native_data(); }

static bool vector_matches(int signal, uint8_t vector)
{
    switch (signal) {
    case 0:
        return vector == EXC_NONE;
    case SIGFPE:
        return vector == EXC_DE;
    case SIGILL:
        return vector == EXC_UD;
    case SIGSEGV:                       /* Linux sends it for #BR too */
        return vector == EXC_GP || vector == EXC_PF || vector == EXC_SS || vector == EXC_BR;
    case SIGBUS:
        return vector == EXC_SS || vector == EXC_AC;
    default:
        return false;
    }
}

static void report(const Case *c, const Regs *in, const Regs *want, const Regs *got, bool fault,
                   const char *what)
{
    char text[256];
    ZydisDisassembledInstruction d;
    ZydisMachineMode mode = c->code_32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LONG_64;
    ZydisDisassembleIntel(mode, c->insn.rip, c->bytes, c->length, &d);
    snprintf(text, sizeof(text), "%s", d.text);
    fprintf(stderr, "%s: %s (%u-bit)", what, text, c->code_32 ? 32 : 64);
    for (unsigned n = 0; n < c->length; n++) {
        fprintf(stderr, " %02x", c->bytes[n]);
    }
    fprintf(stderr, "\n  flags in %" PRIx64 " host %" PRIx64 " here %" PRIx64 " undefined %x\n", in->flags,
            want->flags & 0xfff, got->flags & 0xfff, c->undefined);
    for (unsigned n = 0; n < 16; n++) {
        if (n < 2 || (fault ? in : want)->gpr[n] != got->gpr[n] || in->gpr[n] != got->gpr[n]) {
            fprintf(stderr, "  r%-2u in %016" PRIx64 " host %016" PRIx64 " here %016" PRIx64 "\n", n, in->gpr[n],
                    want->gpr[n], got->gpr[n]);
        }
    }
}

/* A repeated instruction that stopped half way goes on, as the loop would let it. */
static uint8_t run_here(SoftCpu *s, const Case *c, const Regs *in, Regs *out)
{
    memcpy(s->cpu.state.gpr, in->gpr, sizeof(in->gpr));
    soft_set_cc(s, in->flags);
    s->cpu.state.rflags = in->flags;
    flat.stray = false;
    uint8_t vector;
    do {
        vector = flat_run(s, &c->insn, c->fn);
    } while (vector == EXC_NONE && s->cpu.state.rip == s->insn_rip);
    memcpy(out->gpr, s->cpu.state.gpr, sizeof(out->gpr));
    out->flags = soft_flags(s);
    out->taken = s->cpu.state.rip == native_taken(c->code_32);
    return vector;
}

/* A repetition whose ECX is 0, with 32-bit addresses in 64-bit code: Intel's processors clear the upper halves of the
 * registers that it counts with, AMD's leave them.  Neither manual says so. */
static bool idle_repetition(const Case *c, const Regs *in)
{
    return c->form->what & REPEATS && !c->code_32 && c->insn.address_size == 4 && !(uint32_t)in->gpr[CPU_RCX];
}

static const char *differs(const Case *c, const SoftCpu *s, const Regs *in, const Regs *want, const Regs *got)
{
    uint64_t compared = (ARITHMETIC | FLAG_DF) & ~(uint64_t)c->undefined;
    unsigned regs = c->code_32 ? 8 : 16;
    bool idle = idle_repetition(c, in);
    for (unsigned n = 0; n < regs; n++) {
        bool counts = n == CPU_RCX || n == CPU_RSI || n == CPU_RDI;
        uint64_t mask = c->code_32 || (idle && counts) ? UINT32_MAX : UINT64_MAX;
        if ((want->gpr[n] ^ got->gpr[n]) & mask) {
            return "register";
        }
    }
    if ((want->flags ^ got->flags) & compared) {
        return "flags";
    }
    if (want->taken != got->taken || (!got->taken && s->cpu.state.rip != c->insn.rip + c->length)) {
        return "RIP";
    }
    return NULL;
}

static unsigned failures, faults, undefined_differ;
static uint64_t cases;

/* This process has memory there, which is not the guest's: sanitizers take much of it below 4 GiB. */
static bool ours(uint64_t linear)
{
    uintptr_t first = linear & ~UINT64_C(4095), last = (linear + 15) & ~UINT64_C(4095);
    if (linear - (native_data() - 4096) < NATIVE_DATA + 2 * 4096) {
        return false;                   /* the holes around the guest's are no memory to either */
    }
    return msync((void *)first, 4096, MS_ASYNC) == 0 || msync((void *)last, 4096, MS_ASYNC) == 0;
}

static void compare(SoftCpu *s, const Case *c)
{
    Regs in = {0}, want = {0}, got = {0};
    if (!randomize((Case *)c, &in)) {
        return;
    }
    fill_memory(c, &in);
    size_t at = window() - native_data();
    memcpy(data(), memory_in, NATIVE_DATA);
    flat.no_host = one_in(4);
    uint8_t vector = run_here(s, c, &in, &got);
    if (vector == EXC_PF && ours(flat.missed)) {
        return;
    }
    memcpy(memory_here, (uint8_t *)data() + at, WINDOW);
    memcpy(data(), memory_in, NATIVE_DATA);
    int signal = native_run(c->code_32, &in, &want);
    cases++;
    const char *what = NULL;
    if (!vector_matches(signal, vector)) {
        what = "fault";
        fprintf(stderr, "signal %d, vector %u\n", signal, vector);
    } else if (signal) {
        faults++;
        if (!(c->form->what & REPEATS) && memcmp(in.gpr, got.gpr, sizeof(in.gpr)) != 0) {
            what = "registers after a fault";
        }
    } else {
        what = differs(c, s, &in, &want, &got);
        undefined_differ += !what && (want.flags ^ got.flags) & ARITHMETIC;
        if (!what && !flat.stray && memcmp(memory_here, (uint8_t *)data() + at, WINDOW) != 0) {
            what = "memory";
        }
    }
    if (what && failures++ < 20) {
        report(c, &in, &want, &got, signal, what);
    }
}

/* ---- The tests ---- */
static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void run_mode(bool code_32)
{
    SoftCpu *s = aligned_alloc(64, (sizeof(SoftCpu) + 63) & ~(size_t)63);
    uint64_t encodings = environment("INTEGER_CASES", 250000);
    rng = seed = environment("INTEGER_SEED", (uint64_t)g_get_real_time());
    flat_setup(s, code_32 ? MODE_32 : MODE_64);
    flat = (Flat){.base = native_data(), .size = NATIVE_DATA, .inner = window(), .inner_size = WINDOW};
    failures = faults = undefined_differ = 0;
    cases = 0;
    for (uint64_t n = 0; n < encodings; n++) {
        Case c;
        if (!make(&c, &forms[below(G_N_ELEMENTS(forms))], code_32)) {
            continue;
        }
        native_place(code_32, c.bytes, c.length);
        unsigned before = failures;
        for (unsigned k = 0; k < STATES && failures == before; k++) {
            compare(s, &c);
        }
    }
    printf("%u-bit: seed %" PRIu64 ", %" PRIu64 " cases, %u faults, %u differ in undefined flags only\n",
           code_32 ? 32 : 64, seed, cases, faults, undefined_differ);
    free(s);
    ck_assert_msg(failures == 0, "%u of %" PRIu64 " cases differ; INTEGER_SEED=%" PRIu64, failures, cases, seed);
}

START_TEST(test_64)
{
    native_setup();
    run_mode(false);
}
END_TEST

START_TEST(test_32)
{
    native_setup();
    if (native_has_32()) {
        run_mode(true);
    }
}
END_TEST

SUITE("integer instructions", test_64, test_32)
