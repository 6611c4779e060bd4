#include "tests/soft/silicon.h"

#include <glib.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "accel/soft/soft.h"

enum {
    ENTRY = 0x200,
    ENTRY_32 = 0x400,
    OUT = 0x600,
    OUT_32 = 0x800, /* in ARENA_EXIT */
    CS_32 = 0x23,
    CS_64 = 0x33,
    DS_32 = 0x2b, /* Linux'        */
    SET_GS_BASE = 0x1001,
};

typedef struct Context { /* in ARENA_PRIVATE */
    _Alignas(64) uint8_t in[sizeof(Xsave)], out[sizeof(Xsave)];
    uint64_t gpr_in[16], gpr_out[16], flags_in, flags_out, host_rsp, start;
    uint32_t mxcsr;
    struct {
        uint32_t offset;
        uint16_t selector;
    } far;
} Context;

_Static_assert(sizeof(Context) <= 2 * ARENA_PAGE, "");

static sigjmp_buf caught;
static volatile sig_atomic_t running;
static Standing *result;
static bool has_32;

static Context *context(void) { return (Context *)silicon_memory(ARENA_PRIVATE); }
static uint8_t *stub(unsigned at) { return silicon_memory(ARENA_EXIT + at); }
static uint32_t low(const void *p) { return (uint32_t)(uintptr_t)p; }
bool silicon_has_32(void) { return has_32; }

/* ---- Code ---- */
static uint8_t *put(uint8_t *p, unsigned n, const char *bytes)
{
    memcpy(p, bytes, n);
    return p + n;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
    return p + 4;
}

/* MOV between a register and a fixed address. */
static uint8_t *move(uint8_t *p, bool code_32, unsigned reg, bool load, const void *at)
{
    if (!code_32) {
        *p++ = (uint8_t)(0x48 | (reg >= 8 ? 4 : 0));
    }
    *p++ = load ? 0x8b : 0x89;
    *p++ = (uint8_t)((reg & 7) << 3 | (code_32 ? 5 : 4));
    if (!code_32) {
        *p++ = 0x25;
    }
    return put32(p, low(at));
}

static uint8_t *all_registers(uint8_t *p, bool code_32, bool load)
{
    Context *c = context();
    for (unsigned n = 0; n < (code_32 ? 8 : 16); n++) {
        p = move(p, code_32, n, load, load ? &c->gpr_in[n] : &c->gpr_out[n]);
    }
    return p;
}

/* XRSTOR or XSAVE of x87, SSE and AVX. */
static uint8_t *vectors(uint8_t *p, unsigned digit, const void *at)
{
    p = put(p, 7, "\x31\xd2\xb8\x07\x00\x00\x00");
    p = put(p, 3, "\x48\x0f\xae");
    *p++ = (uint8_t)(digit << 3 | 4);
    *p++ = 0x25;
    return put32(p, low(at));
}

static void generate_entry(bool code_32)
{
    Context *c = context();
    uint8_t *p = put(stub(code_32 ? ENTRY_32 : ENTRY), 10, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57");
    p = move(p, false, CPU_RSP, false, &c->host_rsp);
    p = vectors(p, 5, c->in);
    if (code_32) {
        p = put32(put(p, 1, "\xb8"), DS_32);
        p = put(p, 4, "\x8e\xd8\x8e\xc0");
    }
    p = put32(put(p, 3, "\xff\x34\x25"), low(&c->flags_in)); /* push */
    p = put(p, 1, "\x9d");                                   /* popfq */
    if (code_32) {
        c->far.offset = low(p) + 7;
        c->far.selector = CS_32;
        p = put32(put(p, 3, "\xff\x2c\x25"), low(&c->far));
    }
    p = all_registers(p, code_32, true);
    p = code_32 ? put(p, 2, "\xff\x25") : put(p, 3, "\xff\x24\x25");
    put32(p, low(&c->start));
}

/* The registers are saved and 64-bit code is reached again; then vectors, and back to C. */
static void generate_exit(bool code_32)
{
    Context *c = context();
    uint8_t *p = all_registers(stub(code_32 ? OUT_32 : OUT), code_32, false);
    if (code_32) {
        put(put32(put(p, 1, "\xea"), low(p) + 7), 2, (char[]){CS_64, 0});
        p += 7;
    }
    p = move(p, false, CPU_RSP, true, &c->host_rsp);
    p = put(p, 1, "\x9c");                                    /* pushfq */
    p = put32(put(p, 3, "\x8f\x04\x25"), low(&c->flags_out)); /* pop */
    p = put(p, 1, "\xfc");                                    /* cld */
    p = put(p, 6, "\x31\xc0\x8e\xd8\x8e\xc0");                /* DS, ES: null */
    p = vectors(p, 4, c->out);
    p = put(p, 5, "\xdb\xe3\xc5\xf8\x77"); /* fninit; vzeroupper */
    static const uint32_t mxcsr = 0x1f80;
    memcpy(&c->mxcsr, &mxcsr, 4);
    p = put32(put(p, 4, "\x0f\xae\x14\x25"), low(&c->mxcsr)); /* ldmxcsr */
    put(p, 11, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3");
}

static void select_exit(bool code_32)
{
    static int now = -1;
    if (now != code_32) {
        now = code_32;
        mprotect(stub(0), ARENA_PAGE, PROT_READ | PROT_WRITE);
        put32(put(stub(0), 1, "\xe9"), low(stub(code_32 ? OUT_32 : OUT)) - (low(stub(0)) + 5));
        mprotect(stub(0), ARENA_PAGE, PROT_READ | PROT_EXEC);
    }
}

/* ---- Running ---- */
static void import(Standing *out, const void *image)
{
    CpuState s; /* for xsave_import */
    xsave_import(&s, image, offsetof(Xsave, bndregs), &xsave_layout_intel);
    out->fpu = s.fpu;
}

static uint8_t vector_of(int signal, const ucontext_t *u)
{
    return signal == SIGTRAP || signal == SIGALRM ? EXC_DB : (uint8_t)u->uc_mcontext.gregs[REG_TRAPNO];
}

static void stand_at(Standing *out, int signal, const ucontext_t *u)
{
    static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                      REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    const greg_t *g = u->uc_mcontext.gregs;
    for (unsigned n = 0; n < 16; n++) {
        out->gpr[n] = (uint64_t)g[order[n]];
    }
    out->rip = (uint64_t)g[REG_RIP];
    out->flags = (uint64_t)g[REG_EFL];
    out->vector = vector_of(signal, u);
    out->error = (uint32_t)g[REG_ERR];
    out->cr2 = (uint64_t)g[REG_CR2];
    import(out, u->uc_mcontext.fpregs);
}

static void on_signal(int signal, siginfo_t *info, void *opaque)
{
    if (!running) { /* our own mistake */
        struct sigaction otherwise = {.sa_handler = SIG_DFL};
        sigaction(signal, &otherwise, NULL);
        return;
    }
    stand_at(result, signal, opaque);
    running = 0;
    siglongjmp(caught, 1);
}

void silicon_stop(int signal, const void *context)
{
    if (running) {
        stand_at(result, signal, context);
        result->endless = true;
        running = 0;
        siglongjmp(caught, 1);
    }
}

void silicon_run(bool code_32, const Standing *in, Standing *out)
{
    Context *c = context();
    select_exit(code_32);
    memcpy(c->in, &in->fpu, offsetof(Xsave, bndregs));
    memcpy(c->gpr_in, in->gpr, sizeof(in->gpr));
    c->flags_in = in->flags;
    c->start = in->rip;
    result = out;
    out->endless = false;
    if (sigsetjmp(caught, 0)) {
        __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tcld" : : "r"(0));
        return;
    }
    running = 1;
    ((void (*)(void))(uintptr_t)stub(code_32 ? ENTRY_32 : ENTRY))();
    running = 0;
    memcpy(out->gpr, c->gpr_out, sizeof(out->gpr));
    out->flags = c->flags_out;
    out->rip = arena + ARENA_EXIT;
    out->vector = EXC_NONE;
    out->error = 0;
    out->cr2 = 0;
    import(out, c->out);
}

/* ---- Setting up ---- */
static void catch_signals(void)
{
    static uint8_t stack[1 << 16];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO};
    static const int signals[] = {SIGFPE, SIGSEGV, SIGILL, SIGBUS, SIGTRAP};
    for (size_t n = 0; n < G_N_ELEMENTS(signals); n++) {
        sigaction(signals[n], &action, NULL);
    }
}

static void *map_low(size_t size)
{
    enum { LARGE = 2 << 20 };
    void *wanted = (void *)(uintptr_t)0x40000000; /* where it is each time, so that seeds mean the same */
    void *p = mmap(wanted, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == wanted) {
        return p;
    }
    p = mmap(NULL, size + LARGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (p == MAP_FAILED) {
        g_error("no memory below 2 GiB");
    }
    return (void *)(((uintptr_t)p + LARGE - 1) & ~(uintptr_t)(LARGE - 1));
}

/* MOV EAX, EBX; where CS 23H is no 32-bit code, something else happens. */
static bool try_32(void)
{
    static Standing in, out;
    uint8_t *p = silicon_memory(ARENA_CODE);
    p = put(p, 3, "\x40\x89\xd8");
    put32(put(p, 1, "\xe9"), low(stub(0)) - (low(p) + 5));
    in.rip = arena + ARENA_CODE;
    in.gpr[CPU_RSP] = arena + ARENA_DATA + 64;
    in.gpr[CPU_RBX] = 0x12345678;
    in.flags = 0x202;
    in.fpu.fcw = 0x37f;
    in.fpu.mxcsr = 0x1f80;
    in.fpu.xstate_bv = XSTATE_FP | XSTATE_SSE;
    silicon_run(true, &in, &out);
    return out.vector == EXC_NONE && !out.endless && (uint32_t)out.gpr[CPU_RAX] == 0x12345678;
}

bool silicon_maps(uint64_t linear)
{
    if (linear - arena < ARENA_PRIVATE) {
        return false; /* its holes are holes to both */
    }
    return linear >> 47 == 0 && msync((void *)(uintptr_t)(linear & ~UINT64_C(4095)), 4096, MS_ASYNC) == 0;
}

void silicon_fill_const(const void *page)
{
    uint8_t *p = silicon_memory(ARENA_CONST);
    mprotect(p, ARENA_PAGE, PROT_READ | PROT_WRITE);
    memcpy(p, page, ARENA_PAGE);
    mprotect(p, ARENA_PAGE, PROT_READ);
}

void silicon_setup(void)
{
    uint8_t *p = map_low(ARENA_PAGES * ARENA_PAGE);
    arena = (uintptr_t)p;
    mprotect(p + ARENA_CODE, ARENA_CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
    mprotect(p + ARENA_DATA, ARENA_DATA_SIZE, PROT_READ | PROT_WRITE);
    mprotect(p + ARENA_EXIT, ARENA_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    mprotect(p + ARENA_PRIVATE, ARENA_PAGES * ARENA_PAGE - ARENA_PRIVATE, PROT_READ | PROT_WRITE);
    for (unsigned code_32 = 0; code_32 < 2; code_32++) {
        generate_entry(code_32);
        generate_exit(code_32);
    }
    syscall(SYS_arch_prctl, SET_GS_BASE, (uint64_t)ARENA_GS_BASE);
    catch_signals();
    has_32 = try_32();
}
