/* The guest's MXCSR on the host, and the strict form of floating-point stubs.
 *
 * A strict stub is the plain one, run with the exceptions unmasked that the guest has unmasked.  The host
 * then raises what the guest's processor would, with the flags that go with it: which of them count
 * beside an unmasked exception (SDM vol 1 §11.5) cannot be had from masked hardware, that shows neither
 * an exact underflow nor whether an overflow was inexact beyond the range.  The signal arrives at the
 * instruction itself, before the stub has stored anything, and is turned into the return of false; rsp is
 * as at the stub's entry there. */
#include <cpuid.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include "accel/soft/borrow/code.h"

enum {
    MXCSR_FLAGS = 0x3f, MXCSR_MASKS = MXCSR_FLAGS << 7,
    MXCSR_USABLE = 0xffff,              /* what every 64-bit host takes; more would be #GP */
};

static uint32_t host_mxcsr(void)
{
    uint32_t v;
    __asm__ volatile("stmxcsr %0" : "=m"(v) : : "memory");
    return v;
}

static void host_mxcsr_set(uint32_t v)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(v) : "memory");
}

void borrow_enter(SoftCpu *s)
{
    s->mxcsr_host = host_mxcsr();
    borrow_mxcsr_written(s);
}

void borrow_leave(SoftCpu *s)
{
    borrow_mxcsr_read(s);
    host_mxcsr_set(s->mxcsr_host);
}

void borrow_mxcsr_read(SoftCpu *s)
{
    s->cpu.state.fpu.mxcsr |= host_mxcsr() & MXCSR_FLAGS;
}

void borrow_mxcsr_written(SoftCpu *s)
{
    host_mxcsr_set((s->cpu.state.fpu.mxcsr & MXCSR_USABLE) | MXCSR_MASKS);
}

uint32_t borrow_pause(void)
{
    enum { MXCSR_DEFAULT = 0x1f80 };
    uint32_t v = host_mxcsr();
    host_mxcsr_set(MXCSR_DEFAULT);
    return v;
}

void borrow_resume(uint32_t mxcsr)
{
    host_mxcsr_set(mxcsr);
}

/* ---- Strict ---- */
/* Where a stub goes on whose instruction has raised an exception; the first on hosts without AVX. */
extern const char borrow_bail_sse[], borrow_bail_avx[];
__asm__(".text\n"
        "borrow_bail_avx: vzeroupper\n"
        "borrow_bail_sse: emms\n"
        "xorl %eax, %eax\nret\n");

static const char *bail = borrow_bail_sse;
static struct sigaction before;
static __thread volatile bool in_strict;

static void on_sigfpe(int sig, siginfo_t *info, void *context)
{
    if (in_strict) {
        ucontext_t *u = context;
        u->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)bail;
        return;
    }
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(sig, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(sig);
    } else { /* as if nobody had caught it: again, and the end */
        sigaction(SIGFPE, &before, NULL);
    }
}

static void strict_install(void)
{
    uint32_t a, b, c, d;
    struct sigaction action = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    bail = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AVX) && (c & bit_OSXSAVE) ? borrow_bail_avx : borrow_bail_sse;
    sigaction(SIGFPE, &action, &before);
}

/* Once for the process, and for each thread: a blocked SIGFPE would end the process. */
static void strict_prepare(void)
{
    static __thread bool prepared;
    static gsize installed;
    if (g_once_init_enter(&installed)) {
        strict_install();
        g_once_init_leave(&installed, 1);
    }
    if (!prepared) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGFPE);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        prepared = true;
    }
}

bool borrow_strict(SoftCpu *s, void *mem, StubFn *code)
{
    strict_prepare();
    uint32_t masks = s->cpu.state.fpu.mxcsr & MXCSR_MASKS;
    host_mxcsr_set((host_mxcsr() & ~(uint32_t)MXCSR_MASKS) | masks);
    in_strict = true;
    bool done = code(s, mem);
    in_strict = false;
    host_mxcsr_set(host_mxcsr() | MXCSR_MASKS);
    return done;
}
