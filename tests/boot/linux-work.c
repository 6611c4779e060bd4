/* What a test guest runs: the corners of a processor that a shell script does not reach.  Prints one line for each, "ok NAME"
 * or what is wrong.  Static, for an initramfs of Linux. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 20000, PAGE = 4096 };

static void tell(const char *name, int good)
{
    printf("%s %s\n", good ? "ok" : "WRONG", name);
    fflush(stdout);
}

/* ---- Floating point: known digits, and every rounding of the x87 and of SSE ---- */

static int floats(void)
{
    double volatile two = 2, tiny = 1e-300, one = 1, three = 3;
    long double volatile x = 2.0L;
    char text[64];
    snprintf(text, sizeof text, "%.17g %.20Lg", sqrt(two), sqrtl(x));
    if (strcmp(text, "1.4142135623730951 1.4142135623730950488") || tiny * tiny != 0 || !isinf(1 / (tiny * tiny))) {
        return 0;
    }
    snprintf(text, sizeof text, "%.6f %.6f %.6Lf", sin(two), exp(two), logl(x));
    return !strcmp(text, "0.909297 7.389056 0.693147") && one / three * three == 1;
}

static sigjmp_buf back;
static int caught;

static void on_signal(int number)
{
    caught = number;
    siglongjmp(back, 1);
}

static int raised(int number, void (*run)(void))
{
    caught = 0;
    signal(number, on_signal);
    if (!sigsetjmp(back, 1)) {
        run();
    }
    signal(number, SIG_DFL);
    return caught == number;
}

static void divide(void)
{
    int volatile zero = 0, one = 1;
    one /= zero;
}

static void undefined(void)
{
    __asm__ volatile("ud2");
}

static void breakpoint(void)
{
    __asm__ volatile("int3");
}

static char *volatile read_only;

static void write_it(void)
{
    *read_only = 1;
}

static void sse_error(void)             /* an unmasked division by zero */
{
    unsigned control = 0x1d80;
    float volatile zero = 0, one = 1;
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
    one = one / zero;
}

static void x87_error(void)
{
    unsigned short control = 0x37b;
    __asm__ volatile("fldcw %0; fldz; fld1; fdivp; fwait" : : "m"(control));
}

/* ---- Pages: copy on write, protection, sharing ---- */

static int pages(void)
{
    char *own = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(own, 1, 64 * PAGE);
    pid_t child = fork();
    if (!child) {
        for (int i = 0; i < 64; i++) {
            own[i * PAGE] = 2;
            shared[0] += own[i * PAGE];
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
    int good = own[0] == 1 && own[63 * PAGE] == 1 && shared[0] == (char)128;
    mprotect(own, PAGE, PROT_READ);
    read_only = own;
    return good && raised(SIGSEGV, write_it);
}

/* Code that is written while it runs. */
static int made_code(void)
{
    uint8_t *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int sum = 0;
    for (int i = 0; i < 200; i++) {
        uint8_t const text[] = {0xb8, (uint8_t)i, 0, 0, 0, 0xc3};       /* mov eax, i; ret */
        memcpy(code, text, sizeof text);
        sum += ((int (*)(void))code)();
    }
    return sum == 199 * 200 / 2;
}

/* ---- Threads: a lock, an atomic counter, a condition ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long plain;
static atomic_long counted;

static void *count(void *none)
{
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&counted, 3);
        if (i % 8 == 0) {
            pthread_mutex_lock(&lock);
            plain++;
            pthread_mutex_unlock(&lock);
        }
    }
    return NULL;
}

static int threads(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&t[i], NULL, count, NULL)) {
            return 0;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
    }
    return counted == 3L * THREADS * ROUNDS && plain == THREADS * ROUNDS / 8;
}

/* ---- A socket pair between two processes ---- */

static int sockets(void)
{
    int s[2];
    char buf[6] = "";
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s)) {
        return 0;
    }
    if (!fork()) {
        _exit(write(s[1], "hello", 6) != 6 || read(s[1], buf, 1) != 1);
    }
    int good = read(s[0], buf, sizeof buf) == 6 && !strcmp(buf, "hello") && write(s[0], "!", 1) == 1, status = 1;
    wait(&status);
    return good && !status;
}

int main(void)
{
    tell("floats", floats());
    tell("SIGFPE divide", raised(SIGFPE, divide));
    tell("SIGFPE sse", raised(SIGFPE, sse_error));
    tell("SIGFPE x87", raised(SIGFPE, x87_error));
    tell("SIGILL", raised(SIGILL, undefined));
    tell("SIGTRAP", raised(SIGTRAP, breakpoint));
    tell("pages", pages());
    tell("made code", made_code());
    tell("threads", threads());
    tell("sockets", sockets());
    return 0;
}
