/* What tests/soft/borrow.c runs instructions on: the host itself, all registers loaded and saved, and a
 * software CPU that has nothing but these instructions, over a flat guest memory. */
#ifndef TESTS_SOFT_BORROW_HOST_H
#define TESTS_SOFT_BORROW_HOST_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "accel/soft/borrow/code.h"
#include "accel/soft/op/x87/x87.h"

/* ---- Guest memory: linear addresses are the host's; two pages, and a hole behind each ---- */
enum { PAGE = 4096, MEMORY = 2 * PAGE };
static SoftCpu cpu;
static uint8_t *memory;                 /* page, page, hole, page, hole */
static uint8_t *scratch_end;            /* end of the last page: where operands of stubs lie */

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
    uint64_t offset = linear - (uint64_t)(uintptr_t)memory;
    if (offset > MEMORY || len > MEMORY - offset) {
        soft_fault(s, EXC_PF);
    }
    return memory + offset;
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

void soft_read(SoftCpu *s, uint64_t linear, void *buf, size_t len) { memcpy(buf, at(s, linear, len), len); }
void soft_write(SoftCpu *s, uint64_t linear, const void *buf, size_t len) { memcpy(at(s, linear, len), buf, len); }
void soft_probe(SoftCpu *s, uint64_t linear, size_t len, bool write) { at(s, linear, len); }
uint64_t soft_linear(SoftCpu *s, unsigned seg, uint64_t offset, unsigned size, bool write) { return offset; }

/* Plain memory now and then, as if the rest were a device. */
void *soft_host_span(SoftCpu *s, uint64_t linear, unsigned size, bool write)
{
    uint8_t *p = at(s, linear, size);
    return linear & 8 ? p : NULL;
}

uint64_t soft_ea(SoftCpu *s, const Insn *i)
{
    uint64_t base = i->mem.base == NO_REG ? 0 : s->cpu.state.gpr[i->mem.base];
    uint64_t index = i->mem.index == NO_REG ? 0 : s->cpu.state.gpr[i->mem.index];
    return base + (index << i->mem.scale) + (uint64_t)i->mem.disp;
}

uint64_t soft_operand_linear(SoftCpu *s, const Insn *i, unsigned size, bool write) { return soft_ea(s, i); }

uint64_t soft_get(SoftCpu *s, const Insn *i, unsigned n)
{
    const Operand *o = &i->op[n];
    return o->kind == OPERAND_MEM ? soft_load(s, soft_ea(s, i), o->size) : soft_gpr(s, o->reg, o->size);
}

void soft_put(SoftCpu *s, const Insn *i, unsigned n, uint64_t value)
{
    soft_store(s, soft_ea(s, i), i->op[n].size, value);
}

void x87_pending(SoftCpu *s) { soft_fault(s, EXC_MF); }

/* ---- The host ---- */
typedef struct Host {
    uint64_t gpr[16], rflags;
    const void *code;
    uint64_t rsp;
    _Alignas(64) Xsave x;
} Host;
Host host;
static volatile sig_atomic_t host_signal;

void host_run(void);
extern const char host_resume[];
__asm__(".text\n.globl host_run, host_resume\n.type host_run, @function\n"
        "host_run:\n"
        "pushq %rbx\npushq %rbp\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "subq $8, %rsp\nstmxcsr (%rsp)\nmovq %rsp, host+144(%rip)\n"
        "movl $7, %eax\nxorl %edx, %edx\nxrstor64 host+192(%rip)\n"
        "pushq host+128(%rip)\npopfq\n"
        "movq host(%rip), %rax\nmovq host+8(%rip), %rcx\nmovq host+16(%rip), %rdx\nmovq host+24(%rip), %rbx\n"
        "movq host+40(%rip), %rbp\nmovq host+48(%rip), %rsi\nmovq host+56(%rip), %rdi\n"
        "movq host+64(%rip), %r8\nmovq host+72(%rip), %r9\nmovq host+80(%rip), %r10\nmovq host+88(%rip), %r11\n"
        "movq host+96(%rip), %r12\nmovq host+104(%rip), %r13\nmovq host+112(%rip), %r14\nmovq host+120(%rip), %r15\n"
        "call *host+136(%rip)\n"
        "host_resume:\n"
        "movq %rax, host(%rip)\nmovq %rcx, host+8(%rip)\nmovq %rdx, host+16(%rip)\nmovq %rbx, host+24(%rip)\n"
        "movq %rbp, host+40(%rip)\nmovq %rsi, host+48(%rip)\nmovq %rdi, host+56(%rip)\n"
        "movq %r8, host+64(%rip)\nmovq %r9, host+72(%rip)\nmovq %r10, host+80(%rip)\nmovq %r11, host+88(%rip)\n"
        "movq %r12, host+96(%rip)\nmovq %r13, host+104(%rip)\nmovq %r14, host+112(%rip)\nmovq %r15, host+120(%rip)\n"
        "movq host+144(%rip), %rsp\n"
        "pushfq\npopq host+128(%rip)\n"
        "movl $7, %eax\nxorl %edx, %edx\nxsave64 host+192(%rip)\n"
        "fninit\nvzeroupper\ncld\nldmxcsr (%rsp)\naddq $8, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbp\npopq %rbx\nret\n"
        ".size host_run, . - host_run\n");
_Static_assert(offsetof(Host, rflags) == 128 && offsetof(Host, code) == 136 && offsetof(Host, rsp) == 144 &&
               offsetof(Host, x) == 192, "as in host_run");

static void on_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    host_signal = sig;
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)host_resume;
}

/* ---- Random ---- */
static uint64_t seed;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint32_t random_single(void)
{
    static const uint32_t special[] = {0, 0x3f800000, 0x7f800000, 0x7fc00000, 0x7f800001, 1, 0x7fffff, 0x800000, 0x7f7fffff,
                                       0x4f000000, 0x5f000000, 0x33800000, 0x38800000, 0x387fc000, 0x34000000, 0x40490fdb};
    uint64_t r = rnd();
    uint32_t v = r & 7 ? special[r >> 8 & 15] : (uint32_t)(r >> 32);
    return v ^ (uint32_t)(r >> 3 & 1) << 31 ^ (r & 0x30 ? 0 : (uint32_t)(r >> 40 & 3));
}

static uint64_t random_double(void)
{
    static const uint64_t special[] = {
        0, UINT64_C(0x3ff0000000000000), UINT64_C(0x7ff0000000000000), UINT64_C(0x7ff8000000000000),
        UINT64_C(0x7ff0000000000001), 1, UINT64_C(0x000fffffffffffff), UINT64_C(0x0010000000000000),
        UINT64_C(0x7fefffffffffffff), UINT64_C(0x41e0000000000000), UINT64_C(0x43e0000000000000),
        UINT64_C(0x3690000000000000), UINT64_C(0x36a0000000000000), UINT64_C(0x3810000000000000),
        UINT64_C(0x47f0000000000000), UINT64_C(0x400921fb54442d18)};
    uint64_t r = rnd();
    uint64_t v = r & 7 ? special[r >> 8 & 15] : rnd();
    return v ^ (r >> 3 & 1) << 63 ^ (r & 0x30 ? 0 : r >> 40 & 3);
}

/* Half-precision, bytes, words: whatever comes; small numbers for shift counts, lengths and indices. */
static void random_bytes(void *to, size_t len)
{
    unsigned kind = rnd() & 7;
    for (size_t n = 0; n < len; n += 8) {
        uint64_t v = kind < 3 ? (uint64_t)random_single() << 32 | random_single() : kind < 6 ? random_double() : rnd();
        v = kind == 7 && (rnd() & 1) ? v & 0x3f : v;
        memcpy((uint8_t *)to + n, &v, 8);
    }
}

#endif
