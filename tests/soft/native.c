#include "tests/soft/native.h"

#include <glib.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGE = 4096,
    AT_CONTEXT = 0, AT_CODE = 2 * PAGE /* 64-bit, then 32-bit */, AT_DATA = 5 * PAGE, ARENA = 8 * PAGE,
    SLOT = 0x400, TAKEN = SLOT - 0x40, EXIT_THROUGH = 0x600, EXIT_TAKEN = 0x700, EXIT_COMMON = 0x800, BACK = 0xc00,
    CS_64 = 0x33, CS_32 = 0x23, DS_32 = 0x2b,                   /* Linux' */
    CODE_64 = 0, CODE_32 = 1,
};

typedef struct Context {
    uint64_t gpr_in[16], gpr_out[16], flags_in, flags_out, host_rsp, taken;
    struct {
        uint32_t offset;
        uint16_t selector;
    } far[2];                           /* into 32-bit code */
} Context;

static uint8_t *arena;
static bool has_32;
static sigjmp_buf caught;

static Context *context(void) { return (Context *)(arena + AT_CONTEXT); }
static uint32_t low(const void *p) { return (uint32_t)(uintptr_t)p; }
uint64_t native_data(void) { return low(arena + AT_DATA); }
static uint8_t *code(bool code_32) { return arena + AT_CODE + (code_32 ? PAGE : 0); }
uint64_t native_slot(bool code_32) { return low(code(code_32) + SLOT); }
uint64_t native_taken(bool code_32) { return low(code(code_32) + TAKEN); }
bool native_has_32(void) { return has_32; }

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

static uint8_t *jump(uint8_t *p, const uint8_t *to)
{
    *p++ = 0xe9;
    return put32(p, low(to) - (low(p) + 4));
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

static uint8_t *mark(uint8_t *p, bool code_32, bool taken)
{
    p = code_32 ? put(p, 2, "\xc7\x05") : put(p, 3, "\xc7\x04\x25");
    p = put32(p, low(&context()->taken));
    p = put32(p, taken);
    return jump(p, code(code_32) + EXIT_COMMON);
}

static uint8_t *epilogue(uint8_t *p)
{
    Context *c = context();
    p = move(p, false, 4, true, &c->host_rsp);
    p = put(p, 1, "\x9c");                                      /* pushfq */
    p = put32(put(p, 3, "\x8f\x04\x25"), low(&c->flags_out));   /* pop */
    p = put(p, 1, "\xfc");                                      /* cld */
    p = put(p, 6, "\x31\xc0\x8e\xd8\x8e\xc0");                  /* DS, ES: null */
    return put(p, 11, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3");
}

static void generate(bool code_32)
{
    Context *c = context();
    uint8_t *base = code(code_32), *p = base;
    unsigned regs = code_32 ? 8 : 16;
    p = put(p, 10, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57");
    p = move(p, false, 4, false, &c->host_rsp);
    if (code_32) {
        p = put32(put(p, 1, "\xb8"), DS_32);
        p = put(p, 4, "\x8e\xd8\x8e\xc0");
    }
    p = put32(put(p, 3, "\xff\x34\x25"), low(&c->flags_in));    /* push */
    p = put(p, 1, "\x9d");                                      /* popfq */
    if (code_32) {
        c->far[0].offset = low(base + 0x100);
        c->far[0].selector = CS_32;
        put32(put(p, 3, "\xff\x2c\x25"), low(&c->far[0]));
        p = base + 0x100;
    }
    for (unsigned n = 0; n < regs; n++) {
        p = move(p, code_32, n, true, &c->gpr_in[n]);
    }
    jump(p, base + SLOT);
    jump(base + TAKEN, base + EXIT_TAKEN);
    mark(base + EXIT_THROUGH, code_32, false);
    mark(base + EXIT_TAKEN, code_32, true);
    p = base + EXIT_COMMON;
    for (unsigned n = 0; n < regs; n++) {
        p = move(p, code_32, n, false, &c->gpr_out[n]);
    }
    if (code_32) {
        p = put32(put(p, 1, "\xea"), low(base + BACK));
        put(p, 2, "\x33\x00");
        p = base + BACK;
    }
    epilogue(p);
}

void native_place(bool code_32, const uint8_t *bytes, size_t len)
{
    uint8_t *p = code(code_32) + SLOT;
    memcpy(p, bytes, len);
    jump(p + len, code(code_32) + EXIT_THROUGH);
}

/* ---- Running ---- */
static void on_signal(int signal) { siglongjmp(caught, signal); }

int native_run(bool code_32, const Regs *in, Regs *out)
{
    Context *c = context();
    memcpy(c->gpr_in, in->gpr, sizeof(in->gpr));
    c->flags_in = in->flags;
    int signal = sigsetjmp(caught, 0);
    if (signal) {
        __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(0));
        return signal;
    }
    ((void (*)(void))(uintptr_t)code(code_32))();
    memcpy(out->gpr, c->gpr_out, sizeof(out->gpr));
    out->flags = c->flags_out;
    out->taken = c->taken;
    return 0;
}

static void catch_signals(void)
{
    static uint8_t stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};
    static const int signals[] = {SIGFPE, SIGSEGV, SIGILL, SIGBUS, SIGTRAP};
    for (size_t n = 0; n < G_N_ELEMENTS(signals); n++) {
        sigaction(signals[n], &action, NULL);
    }
}

/* MOV EAX, EBX; where CS 23H is no 32-bit code, something else happens. */
static bool try_32(void)
{
    Regs in = {.flags = 0x202, .gpr = {1, 2, 3, 0x12345678}}, out = {0};
    native_place(true, (const uint8_t *)"\x40\x89\xd8", 3);     /* the first byte: INC EAX, to 64-bit code a prefix */
    in.gpr[4] = native_data() + 64;
    return native_run(true, &in, &out) == 0 && (uint32_t)out.gpr[0] == 0x12345678 && !out.taken;
}

void native_setup(void)
{
    arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (arena == MAP_FAILED) {
        g_error("no memory below 2 GiB");
    }
    mprotect(arena + PAGE, PAGE, PROT_NONE);
    mprotect(arena + 4 * PAGE, PAGE, PROT_NONE);
    mprotect(arena + AT_DATA + NATIVE_DATA, PAGE, PROT_NONE);
    generate(false);
    generate(true);
    catch_signals();
    has_32 = try_32();
}
