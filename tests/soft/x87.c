/* The software CPU's x87 against the host's own: random instructions on special and random states, complete
 * FXSAVE images compared (but for the last-instruction pointers, which AMD's FXSAVE leaves out).
 * SOFT_X87_SEED and SOFT_X87_CASES change the run. */
#include <Zydis/Zydis.h>
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/op/x87/x87.h"
#include "core/loop.h"

/* ---- A software CPU of nothing but these instructions: the rest of it, over a flat buffer ---- */
static SoftCpu cpu;
static uint8_t memory[8192];      /* guest memory from linear address 0 */
static uint64_t operand_at = 256; /* where the memory operand is */

void soft_restart(SoftCpu *s) { abort(); }
void soft_fault(SoftCpu *s, unsigned vector)
{
    s->fault = (SoftFault){.vector = (uint8_t)vector};
    siglongjmp(s->jump, 1);
}
void soft_fault_error(SoftCpu *s, unsigned vector, uint32_t error)
{
    s->fault = (SoftFault){.vector = (uint8_t)vector, .has_error = true, .error = error};
    siglongjmp(s->jump, 1);
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
void soft_store(SoftCpu *s, uint64_t linear, unsigned size, uint64_t value)
{
    memcpy(at(s, linear, size), &value, size);
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

static uint8_t run_op(OpFn *fn, const Insn *i) /* the vector that it raises, or EXC_NONE */
{
    if (sigsetjmp(cpu.jump, 0)) {
        return cpu.fault.vector;
    }
    fn(&cpu, i);
    return EXC_NONE;
}

/* ---- The host ---- */
typedef struct __attribute__((aligned(64))) Image { /* FXSAVE uses the first 512 bytes */
    Xsave x;
} Image;

/* Loads the image and the flags (as LAHF has them in AH), calls `code` with RDI at `mem`, stores the image;
 * returns flags. */
unsigned host_run(void *mem, const Image *in, Image *out, const void *code, unsigned ax);
__asm__(".text\n.globl host_run\n.type host_run, @function\n"
        "host_run:\n"
        "pushq %rbx\nmovq %rdx, %rbx\n"
        "movl %r8d, %eax\n"
        "fxrstor64 (%rsi)\n"
        "sahf\n"
        "call *%rcx\n"
        "movl %eax, %ecx\nlahf\nmovzbl %ah, %edx\nshll $16, %edx\nmovzwl %cx, %eax\norl %edx, %eax\n"
        "fxsave64 (%rbx)\n"
        "fninit\n"
        "popq %rbx\nret\n"
        ".size host_run, . - host_run\n");

enum { CODE_SIZE = 8 };
static uint8_t *host_code; /* CODE_SIZE bytes for each of OPCODES */

typedef struct Form {
    Insn insn;
    const Op *op;
    unsigned size; /* bytes of the memory operand that it may write */
    const char *name;
} Form;
static Form forms[1024];
static unsigned form_count;

static const Op *find_op(const Op *table, unsigned mnemonic)
{
    for (; table->mnemonic; table++) {
        if (table->mnemonic == mnemonic) {
            return table;
        }
    }
    return NULL;
}

static void add_form(ZydisDecoder *d, const uint8_t *bytes)
{
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(d, bytes, 15, &in, ops))) {
        return;
    }
    Form *f = &forms[form_count];
    f->op = find_op(ops_x87, in.mnemonic);
    f->op = f->op ? f->op : find_op(ops_x87_control, in.mnemonic);
    f->name = ZydisMnemonicGetString(in.mnemonic);
    ck_assert_msg(f->op, "%s is in no table", f->name);
    f->insn = (Insn){.mnemonic = (uint16_t)in.mnemonic,
                     .opcode = in.opcode,
                     .modrm = in.raw.modrm.offset ? bytes[in.raw.modrm.offset] : 0,
                     .length = in.length,
                     .operand_size = in.operand_width == 16 ? 2 : 4};
    memcpy(f->insn.bytes, bytes, in.length);
    for (unsigned n = 0; n < in.operand_count_visible; n++) {
        if (ops[n].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            f->size = ops[n].size / 8;
        }
    }
    memcpy(host_code + form_count * CODE_SIZE, bytes, in.length);
    host_code[form_count * CODE_SIZE + in.length] = 0xc3;
    form_count++;
}

static void make_forms(void)
{
    ZydisDecoder d;
    ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    host_code = mmap(NULL, sizeof(forms) / sizeof(forms[0]) * CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(host_code, MAP_FAILED);
    for (unsigned op = 0xd8; op <= 0xdf; op++) {
        for (unsigned reg = 0; reg < 8; reg++) {
            add_form(&d, (uint8_t[15]){(uint8_t)op, (uint8_t)(reg << 3 | CPU_RDI)});
        }
        for (unsigned modrm = 0xc0; modrm < 0x100; modrm++) {
            add_form(&d, (uint8_t[15]){(uint8_t)op, (uint8_t)modrm});
        }
    }
    add_form(&d, (uint8_t[15]){0x66, 0xd9, 0x27}); /* the environment in its 16-bit format */
    add_form(&d, (uint8_t[15]){0x66, 0xd9, 0x37});
    add_form(&d, (uint8_t[15]){0x66, 0xdd, 0x27});
    add_form(&d, (uint8_t[15]){0x66, 0xdd, 0x37});
    add_form(&d, (uint8_t[15]){0x9b});
    add_form(&d, (uint8_t[15]){0x0f, 0x77});
}

/* ---- Values ---- */
static uint64_t seed;
static uint64_t rnd(void) /* xorshift64* */
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

static uint64_t random_mantissa(void)
{
    static const uint64_t special[] = {
        UINT64_C(1) << 63,
        UINT64_MAX,
        UINT64_C(3) << 62,
        (UINT64_C(1) << 63) + 1,
        UINT64_C(1) << 62,
        1,
        0,
        UINT64_C(0xc90fdaa22168c235),
        UINT64_C(0xfffffffffffff800),
        UINT64_C(0x8000000000000400),
        UINT64_MAX >> 1,
        UINT64_C(0xffffff0000000000),
        UINT64_C(0x8000008000000000),
        UINT64_C(0xb504f333f9de6484),
    };
    switch (pick(4)) {
    case 0: return special[pick(G_N_ELEMENTS(special))];
    case 1: return (rnd() & rnd() & rnd()) | UINT64_C(1) << 63;
    default: return rnd() | (pick(16) ? UINT64_C(1) << 63 : 0);
    }
}

static FpReg random_real(void)
{
    FpReg r = {.mantissa = random_mantissa()};
    unsigned exponent;
    switch (pick(10)) {
    case 0: exponent = 0; break;
    case 1: exponent = 0x7fff; break;
    case 2: exponent = 1 + pick(80); break;
    case 3: exponent = 0x7ffe - pick(80); break;
    case 4: exponent = pick(0x8000); break;
    case 5: exponent = 0x3fff - 1023 + 20 - pick(80); break;
    case 6: exponent = 0x3fff + (pick(2) ? 1023 : 127) + 20 - pick(60); break;
    default: exponent = 0x3fff + 66 - pick(132); break;
    }
    if (pick(12) == 0) {
        exponent = pick(2) ? 0x7fff : 0;
        r.mantissa = pick(2) ? UINT64_C(1) << 63 : 0;
    }
    r.sign_exponent = (uint16_t)(exponent | pick(2) << 15);
    return r;
}

static void random_bcd(uint8_t *p)
{
    for (unsigned n = 0; n < 9; n++) {
        p[n] = (uint8_t)(pick(10) | pick(10) << 4);
    }
    p[9] = pick(2) ? 0x80 : 0;
    if (pick(4) == 0) {
        memset(p + 2, 0, 7);
    }
}

static uint64_t random_float(unsigned fraction_bits, unsigned exponent_bits)
{
    uint64_t ones = (UINT64_C(1) << exponent_bits) - 1, bias = ones >> 1, exponent;
    switch (pick(6)) {
    case 0: exponent = 0; break;
    case 1: exponent = ones; break;
    case 2: exponent = rnd() & ones; break;
    default: exponent = bias + 40 - pick(80); break;
    }
    uint64_t fraction = pick(3) ? rnd() & rnd() : pick(2) ? 0 : rnd();
    return (uint64_t)pick(2) << (fraction_bits + exponent_bits) | exponent << fraction_bits |
           (fraction & ((UINT64_C(1) << fraction_bits) - 1));
}

static void random_operand(uint8_t *p)
{
    for (unsigned n = 0; n < 128; n += 8) {
        uint64_t v = rnd();
        memcpy(p + n, &v, 8);
    }
    uint64_t v = 0;
    FpReg r;
    switch (pick(6)) {
    case 0: v = random_float(23, 8); break;
    case 1: v = random_float(52, 11); break;
    case 2: v = pick(2) ? 0 : pick(2) ? UINT64_MAX : UINT64_C(1) << pick(64); break;
    case 3: v = (uint64_t)((int64_t)rnd() >> pick(64)); break;
    case 4: random_bcd(p); return;
    default:
        r = random_real();
        memcpy(p, &r.mantissa, 8);
        memcpy(p + 8, &r.sign_exponent, 2);
        return;
    }
    memcpy(p, &v, 8);
}

static void random_state(Image *image)
{
    Xsave *x = &image->x;
    memset(x, 0, 512);
    uint16_t masks = pick(3) ? 0x3f : (uint16_t)(rnd() & 0x3f);
    x->fcw = (uint16_t)(masks | FCW_ONE | (pick(2) ? FCW_PRECISION : pick(4) << 8) | pick(4) << 10 |
                        pick(2) << 12);
    x->fsw = (uint16_t)((rnd() & (FSW_CONDITION | FSW_TOP)) | (pick(2) ? 0 : rnd() & (masks | FSW_SF)));
    x->ftw = pick(4) ? (uint8_t)rnd() | (uint8_t)rnd() : 0xff;
    if (pick(2)) { /* as programs have it: registers in use from the top */
        x->ftw = (uint8_t)(0xff << fpu_top(x));
    }
    for (unsigned n = 0; n < 8; n++) {
        x->st[n] = random_real();
    }
    if (pick(8) == 0) { /* near each other */
        x->st[1] = x->st[0];
        x->st[1].mantissa ^= pick(4);
        x->st[1].sign_exponent ^= (uint16_t)(pick(2) << 15);
    }
    x->mxcsr = 0x1f80;
}

/* ---- Comparison ---- */
static void print_state(const char *what, const Xsave *x)
{
    printf("%s: fcw %04x fsw %04x ftw %02x\n", what, x->fcw, x->fsw, x->ftw);
    for (unsigned n = 0; n < 8; n++) {
        printf("   st%u %04x %016" PRIx64 "\n", n, x->st[n].sign_exponent, x->st[n].mantissa);
    }
}

/* `undefined`: bits of the status word that no manual defines. */
static bool same_state(const Xsave *a, const Xsave *b, unsigned undefined)
{
    bool same = a->fcw == b->fcw && !((a->fsw ^ b->fsw) & ~undefined) && a->ftw == b->ftw;
    for (unsigned n = 0; n < 8; n++) {
        same = same && a->st[n].mantissa == b->st[n].mantissa &&
               a->st[n].sign_exponent == b->st[n].sign_exponent;
    }
    return same;
}

/* Environments hold pointers to the instruction: those bytes are not compared. */
static bool same_memory(const Form *f, const uint8_t *a, const uint8_t *b)
{
    bool env = f->insn.mnemonic == ZYDIS_MNEMONIC_FNSTENV || f->insn.mnemonic == ZYDIS_MNEMONIC_FNSAVE;
    unsigned from = f->insn.operand_size == 2 ? 6 : 12, to = f->insn.operand_size == 2 ? 14 : 28;
    return env ? !memcmp(a, b, from) && !memcmp(a + to, b + to, 128 - to) : !memcmp(a, b, 128);
}

/* FCOMI and its kin clear C1 and leave the flags when they trap (SDM vol 2); AMD processors leave C1 and
 * set the flags. */
static bool is_fcomi(const Form *f)
{
    unsigned m = f->insn.mnemonic;
    return m == ZYDIS_MNEMONIC_FCOMI || m == ZYDIS_MNEMONIC_FCOMIP || m == ZYDIS_MNEMONIC_FUCOMI ||
           m == ZYDIS_MNEMONIC_FUCOMIP;
}

static bool try_case(const Form *f, bool verbose)
{
    static Image before, after;
    uint8_t host_memory[128], old[128];
    random_state(&before);
    random_operand(old);
    unsigned flags = (unsigned)rnd() & 0xd5, of = pick(2);
    memcpy(host_memory, old, sizeof(old));
    unsigned ax = (unsigned)rnd() & 0xff;
    const void *code = host_code + (f - forms) * CODE_SIZE;
    unsigned result = host_run(host_memory, &before, &after, code, flags << 8 | 2 << 8 | ax);

    memcpy(memory + operand_at, old, sizeof(old));
    memcpy(&cpu.cpu.state.fpu, &before, 512);
    cpu.cc = (uint16_t)(flags << 8 | of);
    cpu.cpu.state.gpr[CPU_RAX] = flags << 8 | 2 << 8 | ax;
    uint8_t vector = run_op(f->op->fn, &f->insn);
    const Xsave *x = &cpu.cpu.state.fpu, *y = &after.x;
    if (is_fcomi(f) && x87_valid(&before.x, 0) && x87_valid(&before.x, f->insn.modrm & 7)) {
        after.x.fsw &= (uint16_t)~FSW_C1;
    }
    unsigned undefined =
        f->insn.mnemonic == ZYDIS_MNEMONIC_FFREE || f->insn.mnemonic == ZYDIS_MNEMONIC_FFREEP
            ? FSW_CONDITION
            : 0;
    bool trapped = after.x.fsw & FSW_ES;
    bool flags_same = (is_fcomi(f) && trapped) || cpu.cc >> 8 == (result >> 16 & 0xd5);
    bool ax_same = (cpu.cpu.state.gpr[CPU_RAX] & 0xffff) == (result & 0xffff);
    bool same = vector == EXC_NONE && same_state(x, y, undefined) && flags_same && ax_same &&
                same_memory(f, memory + operand_at, host_memory);
    if (!same && verbose) {
        printf("%s %02x %02x: vector %u flags %02x, host %02x; ax %04x, host %04x\n", f->name,
               f->insn.bytes[0], f->insn.bytes[1], vector, cpu.cc >> 8, result >> 16,
               (unsigned)cpu.cpu.state.gpr[CPU_RAX] & 0xffff, result & 0xffff);
        print_state("before", &before.x);
        print_state("host", y);
        print_state("here", x);
        for (unsigned n = 0; n < 16; n++) {
            printf("   [%2u] %02x  host %02x  here %02x\n", n, old[n], host_memory[n],
                   memory[operand_at + n]);
        }
    }
    return same;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? g_ascii_strtoull(text, NULL, 0) : otherwise;
}

START_TEST(test_against_host)
{
    make_forms();
    cpu.cpu.state.cr0 = CR0_PE | CR0_NE;
    cpu.cpu.state.efer = EFER_LMA;
    cpu.cpu.state.seg[SEG_CS].attr = ATTR_L;
    uint64_t cases = setting("SOFT_X87_CASES", 3000000), first = setting("SOFT_X87_SEED", 1), failures = 0;
    for (uint64_t n = 0; n < cases; n++) {
        const Form *f = &forms[n % form_count];
        seed = (first + n) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        if (!try_case(f, failures < 5)) {
            printf("seed %" PRIu64 "\n", first + n);
            failures++;
        }
    }
    ck_assert_uint_eq(failures, 0);
}
END_TEST

/* ---- What cannot be seen from a comparison ---- */
static OpFn *op_of(unsigned mnemonic)
{
    const Op *op = find_op(ops_x87, mnemonic);
    op = op ? op : find_op(ops_x87_control, mnemonic);
    ck_assert_ptr_nonnull(op);
    return op->fn;
}

static uint8_t run_insn(unsigned mnemonic, unsigned opcode, unsigned modrm, unsigned operand_size)
{
    Insn insn = {.mnemonic = (uint16_t)mnemonic,
                 .opcode = (uint16_t)opcode,
                 .modrm = (uint8_t)modrm,
                 .operand_size = (uint8_t)operand_size};
    return run_op(op_of(mnemonic), &insn);
}

static unsigned ferr_raised, ferr_lowered;
static void count_ferr(bool level)
{
    ck_assert(loop_locked());
    if (level) {
        ferr_raised++;
    } else {
        ferr_lowered++;
    }
}

/* SDM vol 1 §8.7: waiting instructions raise #MF, the others do not. */
START_TEST(test_pending)
{
    Xsave *x = &cpu.cpu.state.fpu;
    memset(&cpu, 0, sizeof(cpu));
    fpu_reset(&cpu.cpu.state);
    cpu.cpu.is_bsp = true;
    cpu.cpu.state.cr0 = CR0_NE;
    x->fcw = 0x37b; /* divide by zero unmasked */
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FLD1, 0xd9, 0xe8, 4), EXC_NONE);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FLDZ, 0xd9, 0xee, 4), EXC_NONE);
    cpu.insn_rip = 0x1234;
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FDIVP, 0xde, 0xf9, 4), EXC_NONE);
    cpu.insn_rip = 0x5678;
    ck_assert_uint_eq(x->fsw & (FSW_ES | FSW_B | FSW_ZE), FSW_ES | FSW_B | FSW_ZE);
    ck_assert_uint_eq(fpu_top(x), 6);
    ck_assert_uint_eq(x->fip, 0x1234);
    ck_assert_uint_eq(x->fop, 0x6f9);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FWAIT, 0x9b, 0, 4), EXC_MF);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FLD1, 0xd9, 0xe8, 4), EXC_MF);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FLDCW, 0xd9, 0x2f, 4), EXC_MF);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_EMMS, 0x177, 0, 4), EXC_MF);
    ck_assert_uint_eq(x->fip, 0x1234);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FNSTSW, 0xdf, 0xe0, 4), EXC_NONE);
    ck_assert_uint_eq(cpu.cpu.state.gpr[CPU_RAX], x->fsw);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FNSTCW, 0xd9, 0x3f, 4), EXC_NONE);
    /* Without CR0.NE: FERR, and on. */
    cpu_platform.ferr = count_ferr;
    cpu.cpu.state.cr0 = 0;
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FLD1, 0xd9, 0xe8, 4), EXC_NONE);
    ck_assert_uint_eq(ferr_raised, 1);
    ck_assert_uint_eq(fpu_top(x), 5);
    ck_assert_uint_eq(x->fsw & FSW_ES, FSW_ES);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FADD, 0xd8, 0xc1, 4), EXC_NONE);
    ck_assert_uint_eq(x->fsw & FSW_ES, FSW_ES);
    ck_assert_uint_eq(ferr_lowered, 0);
    ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FNCLEX, 0xdb, 0xe2, 4), EXC_NONE);
    ck_assert_uint_eq(ferr_lowered, 1);
    ck_assert_uint_eq(x->fsw & (FSW_ES | FSW_B | FSW_STICKY), 0);
}
END_TEST

/* A store that faults has not happened, with masked and unmasked exceptions. */
START_TEST(test_fault)
{
    Xsave *x = &cpu.cpu.state.fpu;
    memset(&cpu, 0, sizeof(cpu));
    for (unsigned fcw = 0x340; fcw <= 0x37f; fcw += 0x3f) {
        fpu_reset(&cpu.cpu.state);
        x->fcw = (uint16_t)fcw;
        x->fsw = 7 << 11;
        x->ftw = 0x80;
        x->st[0] = (FpReg){.mantissa = UINT64_MAX, .sign_exponent = 0x7ffe};
        Xsave before = *x;
        operand_at = sizeof(memory) - 1;
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FSTP, 0xdd, 0x1f, 4), EXC_PF);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FISTP, 0xdf, 0x3f, 4), EXC_PF);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FBSTP, 0xdf, 0x37, 4), EXC_PF);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FLD, 0xdd, 0x07, 4), EXC_PF);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FADD, 0xdc, 0x07, 4), EXC_PF);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FNSAVE, 0xdd, 0x37, 4), EXC_PF);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FNSTENV, 0xd9, 0x37, 4), EXC_PF);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FRSTOR, 0xdd, 0x27, 4), EXC_PF);
        ck_assert_mem_eq(&before, x, sizeof(before));
    }
    operand_at = 256;
}
END_TEST

/* SDM vol 1 figures 8-9 to 8-12 */
START_TEST(test_formats)
{
    // clang-format off
    static const struct {
        bool protected;
        uint8_t size;
        uint8_t env[28];
    } formats[] = {
        {true, 4, {0x7f, 3, 0xff, 0xff, 0, 0x38, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x78, 0x56, 0x34, 0x12,
                   0, 0, 0x23, 1, 0xef, 0xcd, 0xab, 0, 0, 0, 0xff, 0xff}},
        {false, 4, {0x7f, 3, 0xff, 0xff, 0, 0x38, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x78, 0x56, 0xff, 0xff,
                    0x23, 0x41, 0x23, 1, 0xef, 0xcd, 0xff, 0xff, 0, 0xb0, 0x0a, 0}},
        {true, 2, {0x7f, 3, 0, 0x38, 0xff, 0x3f, 0x78, 0x56, 0, 0, 0xef, 0xcd, 0, 0}},
        {false, 2, {0x7f, 3, 0, 0x38, 0xff, 0x3f, 0x78, 0x56, 0x23, 0x41, 0xef, 0xcd, 0, 0xb0}},
    };
    // clang-format on
    Xsave *x = &cpu.cpu.state.fpu;
    for (unsigned n = 0; n < G_N_ELEMENTS(formats); n++) {
        unsigned size = formats[n].size == 2 ? 14 : 28;
        memset(&cpu, 0, sizeof(cpu));
        fpu_reset(&cpu.cpu.state);
        cpu.cpu.state.cr0 = formats[n].protected ? CR0_PE | CR0_NE : CR0_NE;
        x->fsw = 7 << 11;
        x->ftw = 0x80;
        x->st[0] = (FpReg){.mantissa = UINT64_C(1) << 63, .sign_exponent = 0x3fff};
        x->fip = 0x12345678;
        x->fdp = 0x00abcdef;
        x->fop = 0x123;
        memset(memory + operand_at, 0xaa, 128);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FNSTENV, 0xd9, 0x37, formats[n].size), EXC_NONE);
        ck_assert_mem_eq(memory + operand_at, formats[n].env, size);
        ck_assert_uint_eq(memory[operand_at + size], 0xaa);
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FNSAVE, 0xdd, 0x37, formats[n].size), EXC_NONE);
        ck_assert_mem_eq(memory + operand_at, formats[n].env, size);
        ck_assert_uint_eq(memory[operand_at + size + 9], 0x3f);
        ck_assert_uint_eq(memory[operand_at + size + 80], 0xaa);
        ck_assert_uint_eq(x->ftw, 0);
        ck_assert_uint_eq(x->st[7].sign_exponent, 0x3fff); /* FNINIT: TOP is 0, contents stay */
        ck_assert_uint_eq(run_insn(ZYDIS_MNEMONIC_FRSTOR, 0xdd, 0x27, formats[n].size), EXC_NONE);
        ck_assert_uint_eq(x->st[0].sign_exponent, 0x3fff);
        ck_assert_uint_eq(x->ftw, 0x80);
        bool words = formats[n].size == 2;
        ck_assert_uint_eq(x->fip, !words ? 0x12345678 : formats[n].protected ? 0x5678 : 0x45678);
        ck_assert_uint_eq(x->fdp, !words ? 0xabcdef : formats[n].protected ? 0xcdef : 0xbcdef);
        ck_assert_uint_eq(x->fop, words && formats[n].protected ? 0 : 0x123);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("soft x87");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_against_host);
    tcase_add_test(tc, test_pending);
    tcase_add_test(tc, test_fault);
    tcase_add_test(tc, test_formats);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
