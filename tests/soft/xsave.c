/* The software CPU's XSAVE family against the host's own, as far as user space and the host have it: x87,
 * SSE and AVX components in random combinations, complete images and states compared.  Then what the host
 * would answer with #GP. */
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <stdio.h>

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/op/x87/x87.h"
#include "tests/cpu/cpu-test.h"

static SoftCpu cpu;
static _Alignas(64) uint8_t memory[16384];
static uint64_t operand_at = 4096;
static unsigned flushes;

void soft_restart(SoftCpu *s) { abort(); }
void soft_fault(SoftCpu *s, unsigned vector)
{
    s->fault = (SoftFault){.vector = (uint8_t)vector};
    siglongjmp(s->jump, 1);
}
void soft_fault_error(SoftCpu *s, unsigned vector, uint32_t error)
{
    soft_fault(s, vector);
}
static uint8_t *at(SoftCpu *s, uint64_t linear, size_t len)
{
    if (linear > sizeof(memory) || len > sizeof(memory) - linear) {
        soft_fault(s, EXC_PF);
    }
    return memory + linear;
}
uint64_t soft_load(SoftCpu *s, uint64_t linear, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, at(s, linear, size), size);
    return v;
}
void soft_store(SoftCpu *s, uint64_t linear, unsigned size, uint64_t v)
{
    memcpy(at(s, linear, size), &v, size);
}
void soft_read(SoftCpu *s, uint64_t linear, void *buf, size_t len)
{
    memcpy(buf, at(s, linear, len), len);
}
void soft_write(SoftCpu *s, uint64_t linear, const void *buf, size_t len)
{
    memcpy(at(s, linear, len), buf, len);
}
void soft_probe(SoftCpu *s, uint64_t linear, size_t len, bool write)
{
    at(s, linear, len);
}
uint64_t soft_ea(SoftCpu *s, const Insn *i)
{
    return operand_at;
}
uint64_t soft_operand_linear(SoftCpu *s, const Insn *i, unsigned size, bool write)
{
    return operand_at;
}
void soft_tlb_flush(SoftCpu *s, bool global)
{
    flushes++;
}
void borrow_mxcsr_read(SoftCpu *s) {}
void borrow_mxcsr_written(SoftCpu *s) {}

static OpFn *find_op(unsigned mnemonic)
{
    const Op *op = ops_xsave;
    while (op->mnemonic && op->mnemonic != mnemonic) {
        op++;
    }
    ck_assert_uint_eq(op->mnemonic, mnemonic);
    return op->fn;
}

static uint8_t run(unsigned mnemonic) /* the vector that it raises, or EXC_NONE */
{
    Insn insn = {.mnemonic = (uint16_t)mnemonic};
    if (sigsetjmp(cpu.jump, 0)) {
        return cpu.fault.vector;
    }
    find_op(mnemonic)(&cpu, &insn);
    return EXC_NONE;
}

/* ---- The host ---- */
typedef union __attribute__((aligned(64))) Area {
    Xsave x;
    uint8_t bytes[sizeof(Xsave)];
} Area;

/* Loads `in` (x87, SSE, AVX), runs `code` with RDI at `area` and EDX:EAX = mask, stores what the registers
 * then hold. */
void host_xsave(void *area, const Area *in, Area *after, const void *code, unsigned mask);
extern const uint8_t code_xsave[], code_xsaveopt[], code_xsavec[], code_xrstor[], code_fxsave[],
    code_fxrstor[];
__asm__(".text\n.globl host_xsave\n"
        "host_xsave:\n"
        "pushq %rbx\nmovq %rdx, %rbx\nsubq $16, %rsp\nstmxcsr (%rsp)\n"
        "movl $7, %eax\nxorl %edx, %edx\nxrstor64 (%rsi)\n"
        "movl %r8d, %eax\ncall *%rcx\n"
        "movl $7, %eax\nxorl %edx, %edx\nxsave64 (%rbx)\n"
        "vzeroall\nfninit\nldmxcsr (%rsp)\naddq $16, %rsp\npopq %rbx\nret\n"
        "code_xsave: xsave64 (%rdi)\nret\n"
        "code_xsaveopt: xsaveopt64 (%rdi)\nret\n"
        "code_xsavec: xsavec64 (%rdi)\nret\n"
        "code_xrstor: xrstor64 (%rdi)\nret\n"
        "code_fxsave: fxsave64 (%rdi)\nret\n"
        "code_fxrstor: fxrstor64 (%rdi)\nret\n");

static uint64_t seed;
static uint64_t rnd(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(2685821657736338717);
}
static unsigned pick(unsigned n)
{
    return (unsigned)(rnd() >> 32) % n;
}

static void put(uint8_t *p, uint64_t v, unsigned size)
{
    memcpy(p, &v, size);
}

/* An image that XRSTOR takes, with no exception pending and last-instruction pointers of 0. */
static void random_area(Area *a, bool compact)
{
    for (unsigned n = 0; n < sizeof(a->bytes); n += 8) {
        put(a->bytes + n, rnd(), 8);
    }
    put(a->bytes, 0x37f | pick(4) << 8 | pick(4) << 10, 2);
    put(a->bytes + 2, rnd() & 0x7f7f, 2);
    put(a->bytes + 6, 0, 2);
    memset(a->bytes + 8, 0, 16);
    put(a->bytes + 24, pick(2) ? 0x1f80 : rnd() & 0xffff, 4);
    memset(a->bytes + 512, 0, 64);
    unsigned xcomp = compact ? (unsigned)rnd() & 7 : 7;
    put(a->bytes + 512, rnd() & xcomp, 8);
    put(a->bytes + 520, compact ? UINT64_C(1) << 63 | xcomp : 0, 8);
}

static void host_has(unsigned *sub1)
{
    unsigned a, b, c, d;
    *sub1 = 0;
    if (__get_cpuid_count(1, 0, &a, &b, &c, &d) && c & bit_OSXSAVE && c & bit_AVX) {
        __get_cpuid_count(0xd, 1, sub1, &b, &c, &d);
        *sub1 |= 1u << 31;
    }
}

static void set_state(const Area *in)
{
    CpuState *c = &cpu.cpu.state;
    memcpy(&c->fpu, in->bytes, 416);
    c->fpu.fcw = (c->fpu.fcw & 0x1f3f) | 0x40;
    c->fpu.reserved1 = 0;
    c->fpu.fsw &= 0x7f7f;
    c->fpu.mxcsr_mask = 0xffff;
    memcpy(c->fpu.ymmh, in->bytes + 576, 256);
    if (!(in->bytes[512] & 1)) {
        uint32_t mxcsr = c->fpu.mxcsr;
        uint64_t xmm[32];
        memcpy(xmm, c->fpu.xmm, 256);
        memset(&c->fpu, 0, 160);
        memcpy(c->fpu.xmm, xmm, 256);
        c->fpu.fcw = 0x37f;
        c->fpu.mxcsr = mxcsr;
        c->fpu.mxcsr_mask = 0xffff;
    }
    if (!(in->bytes[512] & 2)) {
        memset(c->fpu.xmm, 0, 256);
    }
    if (!(in->bytes[512] & 4)) {
        memset(c->fpu.ymmh, 0, 256);
    }
}

/* MXCSR_MASK is the host's there and the guest's here. */
static void forget_mask(uint8_t *image)
{
    memset(image + 28, 0, 4);
}

static bool same_registers(const Area *after)
{
    const Xsave *x = &cpu.cpu.state.fpu, *y = &after->x;
    bool same = x->fcw == y->fcw && x->fsw == y->fsw && x->ftw == y->ftw && x->mxcsr == y->mxcsr &&
                !memcmp(x->xmm, y->xmm, 256) && !memcmp(x->ymmh, y->ymmh, 256);
    for (unsigned n = 0; n < 8; n++) {
        same = same && x->st[n].mantissa == y->st[n].mantissa &&
               x->st[n].sign_exponent == y->st[n].sign_exponent;
    }
    return same;
}

static void setup(void)
{
    static CpuModel *model;
    if (!model) {
        ModelEnv env = {0};
        model = model_or_fail("Skylake-Client,+avx,+xsave,+xsavec,+xsaves,+xsaveopt,+pku", &env);
    }
    memset(&cpu, 0, sizeof(cpu));
    cpu.cpu.model = model;
    cpu.mode = MODE_64;
    CpuState *c = &cpu.cpu.state;
    fpu_reset(c);
    c->cr0 = CR0_PE | CR0_PG | CR0_NE;
    c->cr4 = CR4_OSFXSR | CR4_OSXSAVE | CR4_PAE;
    c->efer = EFER_LMA | EFER_LME;
    c->seg[SEG_CS].attr = ATTR_L;
    c->xcr0 = XSTATE_FP | XSTATE_SSE | XSTATE_AVX;
    operand_at = 4096;
}

static const struct {
    unsigned mnemonic, needs; /* bits of CPUID.DH.1:EAX */
    const uint8_t *code;
    bool restores, fx;
} kinds[] = {
    {ZYDIS_MNEMONIC_XSAVE64, 0, code_xsave, false, false},
    {ZYDIS_MNEMONIC_XSAVEOPT64, 1, code_xsaveopt, false, false},
    {ZYDIS_MNEMONIC_XSAVEC64, 2, code_xsavec, false, false},
    {ZYDIS_MNEMONIC_XRSTOR64, 0, code_xrstor, true, false},
    {ZYDIS_MNEMONIC_FXSAVE64, 0, code_fxsave, false, true},
    {ZYDIS_MNEMONIC_FXRSTOR64, 0, code_fxrstor, true, true},
};

/* NULL, or what differs; to be freed. */
static char *try_case(unsigned n, unsigned features)
{
    static Area in, area, after;
    seed = (n + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    unsigned k = n % G_N_ELEMENTS(kinds), mask = pick(8);
    const char *name = ZydisMnemonicGetString(kinds[k].mnemonic);
    if ((features & kinds[k].needs) != kinds[k].needs) {
        return NULL;
    }
    random_area(&in, false);
    random_area(&area, kinds[k].restores && !kinds[k].fx && features & 2 && pick(2));
    set_state(&in);
    memcpy(memory + operand_at, area.bytes, sizeof(area.bytes));
    cpu.cpu.state.gpr[CPU_RAX] = mask;
    memset(&after, 0, sizeof(after));
    host_xsave(&area, &in, &after, kinds[k].code, mask);
    uint8_t vector = run(kinds[k].mnemonic);
    if (vector != EXC_NONE) {
        return g_strdup_printf("case %u: %s mask %x: vector %u", n, name, mask, vector);
    }
    if (!same_registers(&after)) {
        return g_strdup_printf("case %u: %s mask %x: registers", n, name, mask);
    }
    forget_mask(area.bytes);
    forget_mask(memory + operand_at);
    for (unsigned b = 0; b < sizeof(area.bytes); b++) {
        if (area.bytes[b] != memory[operand_at + b]) {
            return g_strdup_printf("case %u: %s mask %x: byte %u: host %02x, here %02x", n, name, mask, b,
                                   area.bytes[b], memory[operand_at + b]);
        }
    }
    return NULL;
}

/* A host thread that is interrupted between XRSTOR and XSAVE may afterwards have components "in use" that
 * were not: such a case is tried again. */
START_TEST(test_against_host)
{
    unsigned features;
    host_has(&features);
    setup();
    for (unsigned n = 0; n < 120000 && features; n++) {
        char *text = try_case(n, features);
        for (unsigned again = 0; text && again < 5; again++) {
            g_free(text);
            text = try_case(n, features);
        }
        ck_assert_msg(!text, "%s", text);
    }
}
END_TEST

static uint8_t restore_with(uint64_t bv, uint64_t xcomp, uint64_t next, uint32_t mxcsr)
{
    memset(memory + operand_at, 0, 4096);
    put(memory + operand_at + 24, mxcsr, 4);
    put(memory + operand_at + 512, bv, 8);
    put(memory + operand_at + 520, xcomp, 8);
    put(memory + operand_at + 528, next, 8);
    cpu.cpu.state.gpr[CPU_RAX] = cpu.cpu.state.gpr[CPU_RDX] = UINT32_MAX;
    return run(ZYDIS_MNEMONIC_XRSTOR);
}

/* SDM vol 1 §13.8 */
START_TEST(test_illegal)
{
    const uint64_t compact = UINT64_C(1) << 63;
    setup();
    ck_assert_uint_eq(restore_with(7, 0, 0, 0x1f80), EXC_NONE);
    ck_assert_uint_eq(restore_with(8, 0, 0, 0x1f80), EXC_GP);
    ck_assert_uint_eq(restore_with(compact, 0, 0, 0x1f80), EXC_GP);
    ck_assert_uint_eq(restore_with(7, 7, 0, 0x1f80), EXC_GP);
    ck_assert_uint_eq(restore_with(7, 0, 1, 0x1f80), EXC_GP);
    ck_assert_uint_eq(restore_with(0, 0, 0, 0x10000), EXC_GP); /* standard: MXCSR counts in any case */
    ck_assert_uint_eq(restore_with(7, compact | 7, 0, 0x1f80), EXC_NONE);
    ck_assert_uint_eq(restore_with(7, compact | 3, 0, 0x1f80), EXC_GP);
    ck_assert_uint_eq(restore_with(7, compact | 15, 0, 0x1f80), EXC_GP);
    ck_assert_uint_eq(restore_with(7, compact | 7, 1, 0x1f80), EXC_GP);
    ck_assert_uint_eq(restore_with(7, compact | 7, 0, 0x10000), EXC_GP);
    ck_assert_uint_eq(restore_with(5, compact | 7, 0, 0x10000), EXC_NONE);
    ck_assert_uint_eq(cpu.cpu.state.fpu.mxcsr, 0x1f80);
    operand_at += 16;
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_XSAVE), EXC_GP);
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_FXSAVE), EXC_NONE);
    operand_at += 8;
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_FXSAVE), EXC_GP);
    operand_at = 4096;
    cpu.cpu.state.cr0 |= CR0_TS;
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_XSAVE), EXC_NM);
    cpu.cpu.state.cr4 &= ~CR4_OSXSAVE;
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_XSAVE), EXC_UD);
}
END_TEST

/* Outside 64-bit code: no XMM8-15, 32-bit pointers. */
START_TEST(test_legacy_mode)
{
    setup();
    Xsave *x = &cpu.cpu.state.fpu;
    cpu.mode = MODE_32;
    x->fip = UINT64_C(0x1122334455667788);
    x->fdp = 0x99;
    x->xmm[7][0] = 7;
    x->xmm[8][0] = 8;
    memset(memory + operand_at, 0xaa, 512);
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_FXSAVE), EXC_NONE);
    const Xsave *image = (const Xsave *)(memory + operand_at);
    ck_assert_uint_eq(image->fip, 0x55667788);
    ck_assert_uint_eq(image->xmm[7][0], 7);
    ck_assert_uint_eq(image->xmm[8][0], UINT64_C(0xaaaaaaaaaaaaaaaa));
    cpu.cpu.state.cr4 &= ~CR4_OSFXSR;
    x->xmm[7][0] = 6;
    x->mxcsr = 0x1fa0;
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_FXSAVE), EXC_NONE);
    ck_assert_uint_eq(image->xmm[7][0], 7);
    ck_assert_uint_eq(image->mxcsr, 0x1f80);
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_FXRSTOR), EXC_NONE);
    ck_assert_uint_eq(x->fip, 0x55667788);
    ck_assert_uint_eq(x->xmm[7][0], 6);
    ck_assert_uint_eq(x->mxcsr, 0x1fa0);
}
END_TEST

START_TEST(test_pkru)
{
    setup();
    CpuState *c = &cpu.cpu.state;
    c->xcr0 |= XSTATE_PKRU;
    c->pkru = 0x55;
    c->gpr[CPU_RAX] = UINT32_MAX;
    memset(memory + operand_at, 0, 4096);
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_XSAVE), EXC_NONE);
    ck_assert_uint_eq(memory[operand_at + 2688], 0x55);
    ck_assert_uint_eq(memory[operand_at + 513], XSTATE_PKRU >> 8);
    c->pkru = 0;
    flushes = 0;
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_XRSTOR), EXC_NONE);
    ck_assert_uint_eq(c->pkru, 0x55);
    ck_assert_uint_eq(flushes, 1);
    memset(memory + operand_at, 0, 4096);
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_XSAVES), EXC_NONE);
    ck_assert_uint_eq(memory[operand_at + 576 + 256], 0x55);
    c->pkru = 1;
    ck_assert_uint_eq(run(ZYDIS_MNEMONIC_XRSTORS), EXC_NONE);
    ck_assert_uint_eq(c->pkru, 0x55);
}
END_TEST

SUITE("soft xsave", test_against_host, test_illegal, test_legacy_mode, test_pkru)
