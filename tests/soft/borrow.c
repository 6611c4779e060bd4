/* Borrowed vector instructions against the host's own: every opcode that there is a stub or a C function
 * for, with random registers, on random and special values, exceptions masked and unmasked; all
 * registers, flags, MXCSR and memory compared. SOFT_BORROW_SEED and SOFT_BORROW_CASES (rounds for each
 * form) change the run. */
#include <Zydis/Zydis.h>
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/soft/decode.h"
#include "tests/soft/borrow-host.h"

/* ---- Forms ---- */
typedef struct Form {
    bool vex, memory, vsib;
    uint8_t prefix66, prefix_rep, map, opcode, pp, w, l, imms;
    int extension;                      /* opcode extension in ModRM.reg, or -1 */
} Form;
static Form forms[8192];
static unsigned form_count;
static CpuModel model;
enum { MODE = MODE_64 | MODE_PROTECTED | MODE_SSE | MODE_AVX | MODE_FLAT_DATA | MODE_FLAT_STACK | MODE_FLAT_CODE };

typedef struct Registers {
    uint8_t reg, rm, vvvv, imm[2];      /* rm: register, base, or index of a gather */
    bool far_base;                      /* r13 with disp32 and an index, else rbx with disp8 */
} Registers;
enum { DISP = 0x20, DISP_FAR = 0x1234 };

static unsigned form_bytes(const Form *f, const Registers *r, uint8_t out[15])
{
    uint8_t *p = out;
    unsigned reg = f->extension >= 0 ? (unsigned)f->extension : r->reg, x = 0, b = f->memory ? 0 : r->rm >> 3;
    if (f->memory && f->vsib) {
        x = r->rm >> 3;
    } else if (f->memory && r->far_base) {
        b = 1;
    }
    if (f->vex) {
        *p++ = 0xc4;
        *p++ = (uint8_t)((reg >> 3 ? 0 : 0x80) | (x ? 0 : 0x40) | (b ? 0 : 0x20) | f->map);
        *p++ = (uint8_t)(f->w << 7 | (~r->vvvv & 0xf) << 3 | f->l << 2 | f->pp);
    } else {
        if (f->prefix66) {
            *p++ = f->prefix66;
        }
        if (f->prefix_rep) {
            *p++ = f->prefix_rep;
        }
        uint8_t rex = (uint8_t)(0x40 | f->w << 3 | (reg >> 3) << 2 | x << 1 | b);
        if (rex != 0x40) {
            *p++ = rex;
        }
        *p++ = 0x0f;
        if (f->map > 1) {
            *p++ = f->map == 2 ? 0x38 : 0x3a;
        }
    }
    *p++ = f->opcode;
    if (f->map == 1 && f->opcode == 0x77) { /* EMMS, VZEROUPPER, VZEROALL: no ModRM */
        return (unsigned)(p - out);
    }
    uint8_t low = (uint8_t)((reg & 7) << 3);
    uint32_t far = DISP_FAR;
    if (!f->memory) {
        *p++ = (uint8_t)(0xc0 | low | (r->rm & 7));
    } else if (f->vsib) {
        *p++ = (uint8_t)(0x44 | low);
        *p++ = (uint8_t)((r->imm[0] & 3) << 6 | (r->rm & 7) << 3 | CPU_RBX);
        *p++ = DISP;
    } else if (r->far_base) {           /* [r13 + rcx * 2 + disp32] */
        *p++ = (uint8_t)(0x84 | low);
        *p++ = 0x40 | CPU_RCX << 3 | 5;
        memcpy(p, &far, 4);
        p += 4;
    } else {
        *p++ = (uint8_t)(0x40 | low | CPU_RBX);
        *p++ = DISP;
    }
    for (unsigned n = 0; n < f->imms && !f->vsib; n++) {
        *p++ = r->imm[n];
    }
    return (unsigned)(p - out);
}

/* Whether it exists, on this host, and is one of ours; finds the number of immediate bytes. */
static bool form_exists(Form *f)
{
    Registers r = {.reg = 1, .rm = 2, .vvvv = 3, .imm = {0, 0}};
    for (f->imms = 0; f->imms <= 2; f->imms++) {
        for (unsigned no_vvvv = 0; no_vvvv <= f->vex; no_vvvv++) {
            uint8_t b[15];
            Insn i;
            r.vvvv = no_vvvv ? 0 : 3;
            unsigned len = form_bytes(f, &r, b);
            if (insn_decode(&i, b, len, MODE, 0) && i.length == len && borrow_check(&cpu, &i, MODE) == BORROW_OK &&
                borrow_stub(&cpu, &i, MODE)) {
                return true;
            }
        }
    }
    return false;
}

static void form_try(Form f)
{
    for (unsigned m = 0; m < 3; m++) {
        f.memory = m > 0;
        f.vsib = m == 2;
        unsigned found = 0;
        bool gather = f.vex && f.map == 2 && f.opcode >= 0x90 && f.opcode <= 0x93;
        if ((f.vsib && !gather) || (f.memory && f.map == 1 && f.opcode == 0x77)) {
            continue;
        }
        for (f.extension = 0; f.extension < 8; f.extension++) {
            found += form_exists(&f);
        }
        for (f.extension = found == 8 || f.vsib ? -1 : 0; f.extension < (found == 8 || f.vsib ? 0 : 8); f.extension++) {
            if (form_exists(&f)) {
                ck_assert_uint_lt(form_count, G_N_ELEMENTS(forms));
                forms[form_count++] = f;
            }
        }
    }
}

static void find_forms(void)
{
    static const uint8_t reps[] = {0, 0xf3, 0xf2};
    for (unsigned map = 1; map <= 3; map++) {
        for (unsigned op = 0; op < 256; op++) {
            for (unsigned w = 0; w < 2; w++) {
                bool escape = map == 1 && (op == 0x38 || op == 0x3a);
                for (unsigned p = escape ? 6 : 0; p < 6; p++) {
                    form_try((Form){.map = (uint8_t)map, .opcode = (uint8_t)op, .w = (uint8_t)w,
                                    .prefix66 = p & 1 ? 0x66 : 0, .prefix_rep = reps[p / 2]});
                }
                for (unsigned p = 0; p < 8; p++) {
                    form_try((Form){.vex = true, .map = (uint8_t)map, .opcode = (uint8_t)op, .w = (uint8_t)w,
                                    .pp = p & 3, .l = (uint8_t)(p >> 2)});
                }
            }
        }
    }
}

/* ---- One case ---- */
static uint8_t *native;                 /* where the host runs the instruction */
static uint8_t image[MEMORY], native_memory[MEMORY];
static unsigned failures, cases, strict_faults, page_faults;

typedef struct Case {
    Insn insn;
    VecCode code;
    const Stub *stub;
    uint8_t bytes[15];
    unsigned length;
    bool strict;
} Case;

static void complain(const Case *c, const char *what)
{
    GString *hex = g_string_new(NULL);
    for (unsigned n = 0; n < c->length; n++) {
        g_string_append_printf(hex, "%02x ", c->bytes[n]);
    }
    printf("%s (%s) strict %d: %s\n", ZydisMnemonicGetString(c->insn.mnemonic), hex->str, c->strict, what);
    g_string_free(hex, TRUE);
    failures++;
    ck_assert_uint_lt(failures, 40);
}

static void random_state(const Case *c)
{
    CpuState *s = &cpu.cpu.state;
    Xsave *x = &s->fpu;
    memset(x, 0, sizeof(*x));
    for (unsigned n = 0; n < 16; n++) {
        s->gpr[n] = rnd() & 1 ? rnd() : rnd() & 1 ? (uint64_t)(int64_t)(int32_t)rnd() >> (rnd() & 31) : rnd() % 40;
        random_bytes(x->xmm[n], 16);
        random_bytes(x->ymmh[n], 16);
    }
    for (unsigned n = 0; n < 8; n++) {
        random_bytes(&x->st[n].mantissa, 8);
        x->st[n].sign_exponent = (uint16_t)rnd();
    }
    x->fcw = 0x37f;
    x->fsw = rnd() & 1 ? 0 : (uint16_t)(rnd() & 0x7f3f);
    x->ftw = rnd() & 1 ? 0xff : (uint8_t)rnd();
    uint32_t masks = c->strict ? (uint32_t)rnd() & (uint32_t)rnd() & 0x1f80 : 0x1f80;
    x->mxcsr = masks | ((uint32_t)rnd() & 0x6000) | (rnd() & 3 ? 0 : (uint32_t)rnd() & 0x803f) | (rnd() & 3 ? 0 : 0x40);
    x->mxcsr_mask = 0xffff;
    s->rflags = FLAG_ONE | FLAG_IF;
    soft_set_cc(&cpu, rnd() & FLAGS_ARITH);
}

/* Where the memory operand lies: aligned or not as is allowed, the end of a page now and then. */
static void place_operand(const Case *c, uint64_t operand)
{
    uint64_t *gpr = cpu.cpu.state.gpr;
    const MemOperand *m = &c->insn.mem;
    gpr[CPU_RDI] = operand;             /* MASKMOVQ, MASKMOVDQU */
    if (m->base != NO_REG) {
        uint64_t index = 0;
        if (m->index != NO_REG) {
            gpr[m->index] &= 0xff;
            index = gpr[m->index] << m->scale;
        }
        gpr[m->base] = operand - index - (uint64_t)m->disp;
    }
}

static uint64_t some_operand(const Case *c)
{
    unsigned size = c->stub->mem_size ? c->stub->mem_size : 16, align = c->stub->align;
    uint64_t end = (uint64_t)(uintptr_t)memory + MEMORY - (c->stub->op ? rnd() % 40 : size);
    return rnd() & 3 ? (end - rnd() % PAGE) & ~(uint64_t)(align - 1) : end;
}

static void gather_indices(const Case *c)
{
    CpuState *s = &cpu.cpu.state;
    unsigned reg = c->code.vsib_index;
    bool wide = c->code.opcode & 1;     /* 91, 93: quadwords */
    uint32_t v[8];
    for (unsigned n = 0; n < 8; n++) {
        int32_t small = (int32_t)(rnd() % 64) - 60;
        v[n] = wide && n & 1 ? (uint32_t)((int32_t)v[n - 1] >> 31) : (uint32_t)small;
    }
    memcpy(s->fpu.xmm[reg], v, 16);
    memcpy(s->fpu.ymmh[reg], v + 4, 16);
}

static void run_native(const Case *c)
{
    memcpy(host.gpr, cpu.cpu.state.gpr, sizeof(host.gpr));
    host.x = cpu.cpu.state.fpu;
    host.x.xstate_bv = 7;
    host.rflags = soft_flags(&cpu);
    host.code = native;
    host_signal = 0;
    memcpy(memory, image, MEMORY);
    host_run();
    memcpy(native_memory, memory, MEMORY);
}

/* The signal that the host would have got. */
static int run_stub(const Case *c)
{
    const Stub *stub = c->stub;
    volatile int sig = 0;
    cpu.cpu.state.fpu.xstate_bv = 0;
    memcpy(memory, image, MEMORY);
    borrow_enter(&cpu);
    if (sigsetjmp(cpu.jump, 0)) {
        sig = cpu.fault.vector == EXC_UD ? SIGILL : cpu.fault.vector == EXC_XM ? SIGFPE : SIGSEGV;
    } else if (stub->op) {
        stub->op(&cpu, &c->insn);
    } else {
        uint8_t *mem = scratch_end - stub->mem_size - (rnd() & 1 ? rnd() % 64 : 0);
        uint8_t *operand = stub->mem_size ? (uint8_t *)(uintptr_t)soft_ea(&cpu, &c->insn) : NULL;
        memset(scratch_end - 128, 0xcc, 128);
        if (stub->reads) {
            memcpy(mem, operand, stub->mem_size);
        }
        sig = stub->code(&cpu, mem) ? 0 : SIGFPE;
        if (stub->writes && !sig) {
            memcpy(operand, mem, stub->mem_size);
        }
    }
    borrow_leave(&cpu);
    return sig;
}

static bool same_x87(const Xsave *a, const Xsave *b)
{
    bool same = a->fcw == b->fcw && a->fsw == b->fsw && a->ftw == b->ftw;
    for (unsigned n = 0; n < 8; n++) {
        same &= a->st[n].mantissa == b->st[n].mantissa && a->st[n].sign_exponent == b->st[n].sign_exponent;
    }
    return same;
}

/* What else a mask keeps after a fault differs between processors: only the sign of each element counts. */
static void plain_mask(Xsave *x, const Case *c)
{
    unsigned size = c->code.w ? 8 : 4, reg = c->code.vvvv;
    for (unsigned n = 0; n < 32; n += size) {
        uint8_t *e = n < 16 ? (uint8_t *)x->xmm[reg] + n : (uint8_t *)x->ymmh[reg] + n - 16;
        memset(e, n < 16 || c->code.l ? (int8_t)e[size - 1] >> 7 : 0, size);
    }
}

/* A gather of 128 bits that faults has cleared the upper half of its destination on Intel's processors, not on AMD's. */
static void plain_destination(Xsave *x, const Case *c)
{
    if (!c->code.l) {
        memset(x->ymmh[c->insn.op[0].reg], 0, 16);
    }
}

/* VCVTPS2PH to memory that faults: Intel's processors take its exceptions before, AMD's the fault alone.  True: there is
 * nothing to compare. */
static bool converts_to_fault(const Case *c, int sig, const Xsave *before)
{
    if (sig != SIGSEGV || c->insn.mnemonic != ZYDIS_MNEMONIC_VCVTPS2PH) {
        return false;
    }
    host.x.mxcsr = (host.x.mxcsr & ~0x3fu) | (before->mxcsr & 0x3f);
    return host_signal == SIGFPE;
}

/* A store from an MMX register that faults: Intel's processors have set TOP to 0 before, AMD's have not. */
static void old_top(Xsave *x, const Xsave *before)
{
    enum { TOP_SHIFT = 11, TOP = 7 << TOP_SHIFT };
    Xsave was = *x;
    unsigned turn = (unsigned)((before->fsw - x->fsw) >> TOP_SHIFT) & 7;
    for (unsigned n = 0; n < 8; n++) {
        x->st[n] = was.st[(n + turn) & 7];
    }
    x->fsw = (uint16_t)((x->fsw & ~TOP) | (before->fsw & TOP));
}

/* A masked store may or may not fault on bytes that it leaves out (SDM vol 2 MASKMOVDQU). */
static bool may_fault(const Case *c, int sig)
{
    return c->stub->op && c->code.opcode == 0xf7 && host_signal == SIGSEGV && !sig;
}

static void compare(const Case *c, int sig, const Xsave *before)
{
    if (may_fault(c, sig) || converts_to_fault(c, sig, before)) {
        return;
    }
    if (sig == SIGSEGV && host_signal == sig && c->insn.op[0].kind == OPERAND_MEM &&
        c->insn.op[1].bank == BANK_MM) {
        old_top(&host.x, before);
    }
    if (sig == SIGSEGV && host_signal == sig && c->insn.isa_set == ZYDIS_ISA_SET_AVX2GATHER) {
        plain_mask(&cpu.cpu.state.fpu, c);
        plain_mask(&host.x, c);
        plain_destination(&cpu.cpu.state.fpu, c);
        plain_destination(&host.x, c);
    }
    const CpuState *s = &cpu.cpu.state;
    const Xsave *x = &s->fpu;
    host.gpr[CPU_RSP] = s->gpr[CPU_RSP];
    if (sig != host_signal) {
        char text[120];
        snprintf(text, sizeof(text), "signal %d, the host has %d; mxcsr %x before, %x, host's %x", sig, host_signal,
                 before->mxcsr, x->mxcsr, host.x.mxcsr);
        complain(c, text);
        return;
    }
    if (x->mxcsr != host.x.mxcsr) {
        char text[120];
        snprintf(text, sizeof(text), "MXCSR %x, the host's %x, before %x (signal %d)", x->mxcsr, host.x.mxcsr, before->mxcsr,
                 sig);
        complain(c, text);
    }
    if (memcmp(s->gpr, host.gpr, sizeof(host.gpr))) {
        complain(c, "general registers");
    }
    if ((soft_flags(&cpu) ^ host.rflags) & FLAGS_ARITH) {
        complain(c, "flags");
    }
    if (memcmp(x->xmm, host.x.xmm, sizeof(x->xmm))) {
        complain(c, "XMM registers");
    }
    if (memcmp(x->ymmh, host.x.ymmh, sizeof(x->ymmh))) {
        complain(c, "upper halves of YMM registers");
    }
    if (!same_x87(x, &host.x)) {
        complain(c, "x87 registers");
    }
    if (memcmp(memory, native_memory, MEMORY)) {
        complain(c, "memory");
    }
    unsigned changed = (same_x87(x, before) ? 0 : XSTATE_FP) | (memcmp(x->xmm, before->xmm, 256) ? XSTATE_SSE : 0);
    for (unsigned n = 0; n < 16; n++) {
        bool up = memcmp(x->ymmh[n], before->ymmh[n], 16) && (x->ymmh[n][0] | x->ymmh[n][1]);
        changed |= up ? XSTATE_AVX : 0;
    }
    if (changed & ~x->xstate_bv && c->stub->op == NULL) {
        complain(c, "XSTATE_BV");
    }
}

static void run_case(const Case *c)
{
    static Xsave before;
    before = cpu.cpu.state.fpu;
    run_native(c);
    int sig = run_stub(c);
    compare(c, sig, &before);
    cases++;
    strict_faults += sig == SIGFPE;
    page_faults += sig == SIGSEGV;
}

/* What the host says about size and alignment of the operand. */
static void check_operand(const Case *c)
{
    const Stub *stub = c->stub;
    uint64_t middle = (uint64_t)(uintptr_t)memory + PAGE, end = (uint64_t)(uintptr_t)memory + MEMORY;
    random_state(c);
    cpu.cpu.state.fpu.mxcsr = 0x1f80;
    place_operand(c, middle + 1);
    run_native(c);
    /* AMD's processors let SHA's operands be unaligned, Intel's do not. */
    if (!!host_signal != (stub->align > 1) && c->insn.isa_set != ZYDIS_ISA_SET_SHA) {
        complain(c, "alignment");
    }
    place_operand(c, middle + 32 + stub->align);
    run_native(c);
    if (host_signal) {
        complain(c, "alignment is less than the host's");
    }
    place_operand(c, end - stub->mem_size + 1);
    run_native(c);
    if (host_signal != SIGSEGV) {
        complain(c, "size is more than the host's");
    }
}

static bool case_make(Case *c, const Form *f, bool strict)
{
    Registers r = {.reg = rnd() & 15, .rm = rnd() & 15, .vvvv = rnd() & 15, .imm = {(uint8_t)rnd(), (uint8_t)rnd()}};
    uint32_t mode = MODE | (strict ? MODE_MXCSR : 0);
    r.far_base = rnd() & 1;
    c->strict = strict;
    c->length = form_bytes(f, &r, c->bytes);
    if (!insn_decode(&c->insn, c->bytes, c->length, mode, 0)) {
        r.vvvv = 0;
        c->length = form_bytes(f, &r, c->bytes);
        if (!insn_decode(&c->insn, c->bytes, c->length, mode, 0)) {
            return false;               /* registers that may not be the same */
        }
    }
    for (unsigned n = 0; n < c->insn.operands; n++) {
        const Operand *o = &c->insn.op[n];
        if (o->kind == OPERAND_REG && o->bank == BANK_GPR &&
            (o->reg == CPU_RSP || o->reg == c->insn.mem.base || o->reg == c->insn.mem.index)) {
            return false;
        }
    }
    cpu.mode = mode;
    c->stub = borrow_stub(&cpu, &c->insn, mode);
    if (!c->stub || !vec_parse(&c->code, &c->insn, mode)) {
        complain(c, "no stub");
        return false;
    }
    memcpy(native, c->bytes, c->length);
    native[c->length] = 0xc3;
    return true;
}

static unsigned rounds(void)
{
    const char *text = getenv("SOFT_BORROW_CASES");
    return text ? (unsigned)atoi(text) : 12;
}

static void run_form(const Form *f, bool strict)
{
    for (unsigned n = 0; n < rounds(); n++) {
        Case c;
        if (!case_make(&c, f, strict)) {
            continue;
        }
        if (c.stub->mem_size && !strict) {
            check_operand(&c);
        }
        for (unsigned k = 0; k < 8; k++) {
            random_state(&c);
            if (f->vsib) {
                gather_indices(&c);
            }
            place_operand(&c, some_operand(&c));
            run_case(&c);
        }
    }
}

/* Before the first strict stub is made, which catches SIGFPE for itself and passes others on. */
static void catch_signals(void)
{
    static bool done;
    struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    static const int signals[] = {SIGFPE, SIGSEGV, SIGILL};
    for (size_t n = 0; n < G_N_ELEMENTS(signals) && !done; n++) {
        sigaction(signals[n], &a, NULL);
    }
    done = true;
}

static void model_from_host(void)
{
    static const struct {
        FeatureWord word;
        uint32_t leaf, subleaf;
        int reg;
    } words[] = {{WORD_1_EDX, 1, 0, 3}, {WORD_1_ECX, 1, 0, 2}, {WORD_7_0_EBX, 7, 0, 1}, {WORD_7_0_ECX, 7, 0, 2},
                 {WORD_7_1_EAX, 7, 1, 0}, {WORD_8000_0001_EDX, 0x80000001, 0, 3}, {WORD_8000_0001_ECX, 0x80000001, 0, 2}};
    for (size_t n = 0; n < G_N_ELEMENTS(words); n++) {
        model.words[words[n].word] = (uint32_t)borrow_supported(words[n].leaf, words[n].subleaf, words[n].reg, UINT32_MAX);
    }
    cpu.cpu.model = &model;
    cpu.cpu.state.cr4 = CR4_OSXMMEXCPT;
    cpu.mode = MODE;
}

static void set_up(void)
{
    const char *text = getenv("SOFT_BORROW_SEED");
    int rw = PROT_READ | PROT_WRITE;
    seed = text ? strtoull(text, NULL, 0) : UINT64_C(0x9e3779b97f4a7c15);
    memory = mmap(NULL, 5 * PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    native = mmap(NULL, PAGE, rw | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(memory != MAP_FAILED && native != MAP_FAILED);
    mprotect(memory + MEMORY, PAGE, PROT_NONE);
    mprotect(memory + 4 * PAGE, PAGE, PROT_NONE);
    scratch_end = memory + 4 * PAGE;
    form_count = failures = cases = 0;
    random_bytes(image, MEMORY);
    catch_signals();
    model_from_host();
    find_forms();
}

START_TEST(test_against_host)
{
    set_up();
    for (unsigned n = 0; n < form_count; n++) {
        run_form(&forms[n], false);
        run_form(&forms[n], true);
        random_bytes(image + (rnd() % MEMORY & ~7u), 8);
    }
    printf("%u forms, %u cases, %u exceptions, %u page faults\n", form_count, cases, strict_faults, page_faults);
    ck_assert_uint_eq(failures, 0);
    borrow_free(&cpu);
}
END_TEST

/* ---- Other modes ---- */
static const Stub *stub_in(const uint8_t *bytes, unsigned length, uint32_t size, Insn *i)
{
    uint32_t mode = (MODE & ~MODE_SIZE) | size;
    return insn_decode(i, bytes, length, mode, 0) && i->length == length ? borrow_stub(&cpu, i, mode) : NULL;
}

static bool wide_in_long_mode(const Form *f, const Insn *i)
{
    bool wide = f->w && f->map == 3 && (f->opcode == 0x16 || f->opcode == 0x22 || f->opcode == 0x60 || f->opcode == 0x61);
    wide |= f->w && f->map == 1 && (f->opcode == 0x6e || f->opcode == 0x7e || f->opcode == 0x2a);
    for (unsigned n = 0; n < i->operands; n++) {
        wide |= i->op[n].kind == OPERAND_REG && i->op[n].bank == BANK_GPR && i->op[n].size == 8;
    }
    return wide;
}

/* 16 and 32-bit code gets the stub of the same instruction in 64-bit code. */
START_TEST(test_modes)
{
    unsigned compared = 0;
    set_up();
    for (unsigned n = 0; n < form_count; n++) {
        Form f = forms[n];
        Registers r = {.reg = 1, .rm = 2, .vvvv = f.vex ? 3 : 0, .imm = {0x41, 2}};
        uint8_t b[15];
        Insn i, i32, i16;
        unsigned length = form_bytes(&f, &r, b);
        if (!insn_decode(&i, b, length, MODE, 0)) {
            r.vvvv = 0;
            length = form_bytes(&f, &r, b);
        }
        const Stub *stub = stub_in(b, length, MODE_64, &i);
        if (!stub || (f.w && !f.vex)) {
            continue;
        }
        const Stub *stub32 = stub_in(b, length, MODE_32, &i32);
        if (wide_in_long_mode(&f, &i)) {
            uint8_t narrow[15];
            f.w = 0;
            stub = stub_in(narrow, form_bytes(&f, &r, narrow), MODE_64, &i);
        }
        ck_assert_msg(stub == stub32, "%s", ZydisMnemonicGetString(i.mnemonic));
        if (f.memory && !f.vsib) {
            b[length - f.imms - 2] |= 7; /* [bx + disp8] */
            ck_assert_msg(stub == stub_in(b, length, MODE_16, &i16), "%s", ZydisMnemonicGetString(i.mnemonic));
        }
        compared++;
    }
    ck_assert_uint_gt(compared, 500);
    borrow_free(&cpu);
}
END_TEST

/* ---- More instructions than there is room for ---- */
static Case shuffle(unsigned n, bool strict)
{
    Form f = {.vex = true, .map = 1, .opcode = 0xc6, .imms = 1, .l = n & 1};
    Registers r = {.reg = n >> 1 & 15, .rm = n >> 5 & 15, .vvvv = n >> 9 & 15, .imm = {(uint8_t)(n >> 13), 0}};
    uint32_t mode = MODE | (strict ? MODE_MXCSR : 0);
    Case c = {.strict = strict};
    cpu.mode = mode;
    c.length = form_bytes(&f, &r, c.bytes);
    c.stub = insn_decode(&c.insn, c.bytes, c.length, mode, 0) ? borrow_stub(&cpu, &c.insn, mode) : NULL;
    if (!c.stub || !vec_parse(&c.code, &c.insn, mode)) {
        ck_abort_msg("no stub");        /* an assertion that holds is slow, too */
    }
    memcpy(native, c.bytes, c.length);
    native[c.length] = 0xc3;
    return c;
}

START_TEST(test_room)
{
    unsigned n = 0;
    set_up();
    while (!shuffle(n, false).stub->op) {
        n++;
    }
    ck_assert_uint_gt(n, 10000);
    for (unsigned k = 0; k < 5000; k++) {
        Case c = shuffle(n + k, false);
        random_state(&c);
        run_case(&c);
    }
    for (unsigned k = 0; k < form_count; k += 1 + ((unsigned)rnd() & 15)) {
        bool sha = !forms[k].vex && (forms[k].opcode & 0xf8) == 0xc8;
        if (!sha) {
            run_form(&forms[k], k & 1);
        }
    }
    ck_assert_uint_eq(failures, 0);
    ck_assert_uint_gt(strict_faults, 100);
    borrow_flush(&cpu);
    for (unsigned k = 0; k < 1000; k++) {
        Case c = shuffle((unsigned)rnd() & 0xffff, false);
        ck_assert_ptr_null(c.stub->op);
        random_state(&c);
        run_case(&c);
    }
    ck_assert_uint_eq(failures, 0);
    borrow_free(&cpu);
}
END_TEST

/* ---- Rules ---- */
static BorrowCheck check_bytes(const char *bytes, size_t length, uint32_t mode)
{
    Insn i;
    ck_assert(insn_decode(&i, (const uint8_t *)bytes, length, mode, 0));
    return borrow_check(&cpu, &i, mode);
}
#define CHECK(bytes, mode) check_bytes(bytes, sizeof(bytes) - 1, mode)
#define ADDPS "\x0f\x58\xc1"
#define PADDB_MM "\x0f\xfc\xc1"
#define PAVGB_MM "\x0f\xe0\xc1"
#define MOVQ2DQ "\xf3\x0f\xd6\xc1"
#define MOVNTI "\x0f\xc3\x06"
#define CRC32 "\xf2\x0f\x38\xf1\xc1"
#define VADDPS "\xc5\xf0\x58\xc1"
#define ANDN "\xc4\xe2\x70\xf2\xc1"
#define FLD1 "\xd9\xe8"
#define FWAIT "\x9b"
#define FXSAVE "\x0f\xae\x06"

START_TEST(test_rules)
{
    enum { PLAIN = MODE_32 | MODE_PROTECTED, SSE = PLAIN | MODE_SSE, AVX = SSE | MODE_AVX };
    cpu.cpu.model = NULL;
    ck_assert_int_eq(CHECK(ADDPS, SSE), BORROW_OK);
    ck_assert_int_eq(CHECK(ADDPS, PLAIN), BORROW_UD);
    ck_assert_int_eq(CHECK(ADDPS, MODE_16 | MODE_SSE), BORROW_OK);
    ck_assert_int_eq(CHECK(ADDPS, SSE | MODE_FPU_EM | MODE_FPU_TS), BORROW_UD);
    ck_assert_int_eq(CHECK(ADDPS, SSE | MODE_FPU_TS), BORROW_NM);
    ck_assert_int_eq(CHECK(PADDB_MM, PLAIN), BORROW_OK);
    ck_assert_int_eq(CHECK(PADDB_MM, PLAIN | MODE_FPU_EM), BORROW_UD);
    ck_assert_int_eq(CHECK(PADDB_MM, PLAIN | MODE_FPU_TS), BORROW_NM);
    ck_assert_int_eq(CHECK(PAVGB_MM, PLAIN), BORROW_OK);
    ck_assert_int_eq(CHECK(MOVQ2DQ, PLAIN), BORROW_UD);
    ck_assert_int_eq(CHECK(MOVNTI, PLAIN | MODE_FPU_EM | MODE_FPU_TS), BORROW_OK);
    ck_assert_int_eq(CHECK(CRC32, PLAIN | MODE_FPU_TS), BORROW_OK);
    ck_assert_int_eq(CHECK(VADDPS, AVX), BORROW_OK);
    ck_assert_int_eq(CHECK(VADDPS, SSE), BORROW_UD);
    ck_assert_int_eq(CHECK(VADDPS, AVX | MODE_FPU_TS), BORROW_NM);
    ck_assert_int_eq(CHECK(VADDPS, AVX | MODE_FPU_EM), BORROW_OK);
    ck_assert_int_eq(CHECK(VADDPS, AVX & ~MODE_PROTECTED), BORROW_UD);
    ck_assert_int_eq(CHECK(ANDN, PLAIN), BORROW_OK);
    ck_assert_int_eq(CHECK(ANDN, PLAIN & ~MODE_PROTECTED), BORROW_UD);
    ck_assert_int_eq(CHECK(FLD1, PLAIN | MODE_FPU_MP), BORROW_OK);
    ck_assert_int_eq(CHECK(FLD1, PLAIN | MODE_FPU_EM), BORROW_NM);
    ck_assert_int_eq(CHECK(FLD1, PLAIN | MODE_FPU_TS), BORROW_NM);
    ck_assert_int_eq(CHECK(FWAIT, PLAIN | MODE_FPU_TS | MODE_FPU_EM), BORROW_OK);
    ck_assert_int_eq(CHECK(FWAIT, PLAIN | MODE_FPU_TS | MODE_FPU_MP), BORROW_NM);
    ck_assert_int_eq(CHECK(FXSAVE, PLAIN | MODE_FPU_EM), BORROW_NM);
    cpu.cpu.model = &model;             /* that has nothing */
    ck_assert_int_eq(CHECK(ADDPS, SSE), BORROW_UD);
    ck_assert_int_eq(CHECK(ANDN, PLAIN), BORROW_UD);
    ck_assert_int_eq(CHECK(PAVGB_MM, PLAIN), BORROW_UD);
    model.words[WORD_1_EDX] = 1u << 23;
    ck_assert_int_eq(CHECK(PADDB_MM, PLAIN), BORROW_OK);
    ck_assert_int_eq(CHECK(PAVGB_MM, PLAIN), BORROW_UD);
    model.words[WORD_8000_0001_EDX] = 1u << 22;
    ck_assert_int_eq(CHECK(PAVGB_MM, PLAIN), BORROW_OK);
    ck_assert_uint_eq(borrow_supported(1, 0, 3, UINT32_MAX), 0xdu << 23);
    ck_assert_uint_eq(borrow_supported(0x80000008, 0, 1, UINT32_MAX), 0);
}
END_TEST

/* An x87 exception waits: #MF, and nothing is left unmasked on the host. */
START_TEST(test_pending)
{
    static const uint8_t code[][3] = {{0x0f, 0xfc, 0xc1}, {0x0f, 0x2a, 0xc1}};
    set_up();
    for (unsigned n = 0; n < 4; n++) {
        Case c = {.length = 3, .strict = n & 1};
        uint32_t mode = MODE | (n & 1 ? MODE_MXCSR : 0), mxcsr, after;
        cpu.mode = mode;
        ck_assert(insn_decode(&c.insn, code[n / 2], 3, mode, 0));
        c.stub = borrow_stub(&cpu, &c.insn, mode);
        random_state(&c);
        cpu.cpu.state.fpu.fsw = 0x8081;
        cpu.fault.vector = EXC_NONE;
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        ck_assert_int_eq(run_stub(&c), SIGSEGV);
        __asm__ volatile("stmxcsr %0" : "=m"(after));
        ck_assert_int_eq(cpu.fault.vector, EXC_MF);
        ck_assert_uint_eq(mxcsr, after);
        ck_assert_uint_eq(cpu.cpu.state.fpu.fsw, 0x8081);
    }
    borrow_free(&cpu);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {test_rules, test_pending, test_modes, test_room, test_against_host};
    Suite *s = suite_create("soft-borrow");
    TCase *tc = tcase_create("borrow");
    tcase_set_timeout(tc, 100);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
