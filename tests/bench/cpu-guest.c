/* Workloads that run inside a guest, each known by name: cpu-guest NAME...  Every one does a fixed amount of work, prints
 * "BEGIN name" before, "END name seconds checksum" after; the checksum says whether two CPUs computed the same. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static uint64_t seed = 88172645463325252;

static uint64_t draw(void)              /* xorshift64 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void *memory(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

/* ---- integer ---- */

static uint64_t sieve(void)
{
    enum { N = 2 * MIB };
    uint8_t *composite = memory(N);
    uint64_t primes = 0;
    for (unsigned round = 0; round < 10; round++) {
        memset(composite, 0, N);
        for (unsigned i = 2; i < N; i++) {
            if (!composite[i]) {
                primes++;
                for (unsigned j = 2 * i; j < N; j += i) {
                    composite[j] = 1;
                }
            }
        }
    }
    munmap(composite, N);
    return primes;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint64_t sort(void)
{
    enum { N = 200000 };
    uint32_t *numbers = memory(N * sizeof *numbers);
    for (unsigned i = 0; i < N; i++) {
        numbers[i] = draw();
    }
    qsort(numbers, N, sizeof *numbers, by_value);
    uint64_t sum = 0;
    for (unsigned i = 0; i < N; i++) {
        sum = sum * 31 + numbers[i];
    }
    munmap(numbers, N * sizeof *numbers);
    return sum;
}

static uint64_t crc(void)
{
    static uint32_t table[256];
    for (unsigned i = 0; i < 256; i++) {
        uint32_t c = i;
        for (unsigned k = 0; k < 8; k++) {
            c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
        }
        table[i] = c;
    }
    uint8_t *data = memory(MIB);
    for (unsigned i = 0; i < MIB; i++) {
        data[i] = i * 7;
    }
    uint32_t c = ~0u;
    for (unsigned round = 0; round < 16; round++) {
        for (unsigned i = 0; i < MIB; i++) {
            c = c >> 8 ^ table[(c ^ data[i]) & 255];
        }
    }
    munmap(data, MIB);
    return c;
}

/* A little stack machine: the indirect jump of every interpreter. */
static uint64_t bytecode(void)
{
    enum { PUSH, ADD, XOR, SHIFT, DECREMENT, LOOP, END };
    static const uint8_t program[] = {PUSH, 3, ADD, PUSH, 5, XOR, SHIFT, PUSH, 9, ADD, DECREMENT, LOOP, 0, END};
    uint64_t stack[8] = {0}, count = 4000000;
    unsigned top = 0;
    const uint8_t *at = program;
    for (;;) {
        switch (*at++) {
        case PUSH:
            stack[++top] = *at++;
            break;
        case ADD:
            stack[top - 1] += stack[top];
            top--;
            break;
        case XOR:
            stack[top - 1] ^= stack[top];
            top--;
            break;
        case SHIFT:
            stack[top] = stack[top] << 1 ^ stack[top] >> 61;
            break;
        case DECREMENT:
            count--;
            break;
        case LOOP:
            at = count ? program + *at : at + 1;
            break;
        case END:
            return stack[top];
        }
    }
}

__attribute__((noinline)) static uint64_t fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t calls(void)
{
    unsigned volatile n = 35;
    return fibonacci(n);
}

static uint64_t divide(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 8000000; i++) {
        uint64_t a = draw(), b = (draw() >> 40) + 1;
        sum += a / b ^ (uint32_t)a % (uint32_t)b ^ (uint64_t)((unsigned __int128)a * b >> 64);
    }
    return sum;
}

/* ---- memory ---- */

static uint64_t copy(void)
{
    enum { SIZE = 8 * MIB, ROUNDS = 24 };
    uint64_t *a = memory(SIZE), *b = memory(SIZE), sum = 0;
    for (unsigned i = 0; i < SIZE / sizeof *a; i++) {
        a[i] = i * 0x9e3779b97f4a7c15;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        memcpy(round & 1 ? a : b, round & 1 ? b : a, SIZE);
        a[round]++;
        sum += b[round * 1000];
    }
    munmap(a, SIZE);
    munmap(b, SIZE);
    return sum;
}

/* Word by word, as compilers write it where no memcpy is called. */
static uint64_t words(void)
{
    enum { SIZE = 4 * MIB, ROUNDS = 40 };
    uint64_t volatile *a = memory(SIZE), *b = memory(SIZE), sum = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < SIZE / sizeof *a; i++) {
            b[i] = a[i] + i;
        }
        sum += b[round * 1000];
    }
    munmap((void *)a, SIZE);
    munmap((void *)b, SIZE);
    return sum;
}

static uint64_t repeat(void)            /* REP MOVS, REP STOS */
{
    enum { SIZE = 8 * MIB, ROUNDS = 40 };
    uint8_t *a = memory(SIZE), *b = memory(SIZE);
    uint64_t sum = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        void *to = b;
        const void *from = a;
        uint64_t count = SIZE;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        to = a;
        count = SIZE / 8;
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"((uint64_t)round) : "memory");
        sum = sum * 3 + b[round * 5000];
    }
    munmap(a, SIZE);
    munmap(b, SIZE);
    return sum;
}

static uint64_t chase(void)
{
    enum { N = MIB };                   /* 8 MiB of 8-byte steps, one cycle (Sattolo) */
    uint64_t *next = memory(N * sizeof *next), at = 0;
    for (unsigned i = 0; i < N; i++) {
        next[i] = i;
    }
    for (unsigned i = N - 1; i > 0; i--) {
        unsigned j = draw() % i;
        uint64_t t = next[i];
        next[i] = next[j];
        next[j] = t;
    }
    for (unsigned i = 0; i < 4 * N - 7; i++) {
        at = next[at];
    }
    munmap(next, N * sizeof *next);
    return at;
}

/* ---- the system ---- */

static uint64_t syscalls(void)
{
    uint64_t sum = 0;
    pid_t parent = getppid();
    for (unsigned i = 0; i < 300000; i++) {
        sum += syscall(SYS_getppid) == parent;
    }
    return sum;
}

static uint64_t faults(void)
{
    enum { SIZE = 16 * MIB, PAGE = 4096 };
    uint64_t sum = 0;
    for (unsigned round = 0; round < 6; round++) {
        uint8_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            perror("mmap");
            exit(1);
        }
        madvise(p, SIZE, MADV_NOHUGEPAGE);
        for (unsigned i = 0; i < SIZE; i += PAGE) {
            p[i] = i >> 12;
            sum += p[i];
        }
        munmap(p, SIZE);
    }
    return sum;
}

static uint64_t forks(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 300; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            _exit(i & 63);
        }
        int status;
        waitpid(child, &status, 0);
        sum += WEXITSTATUS(status);
    }
    return sum;
}

static uint64_t pipes(void)             /* two processes, one byte to and fro */
{
    int there[2], back[2];
    uint64_t sum = 0;
    uint8_t byte = 1;
    fflush(stdout);
    if (pipe(there) || pipe(back)) {
        perror("pipe");
        exit(1);
    }
    pid_t child = fork();
    if (!child) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1) {
            byte++;
            if (write(back[1], &byte, 1) != 1) {
                break;
            }
        }
        _exit(0);
    }
    for (unsigned i = 0; i < 15000; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
            exit(1);
        }
        sum += byte;
    }
    close(there[1]);
    waitpid(child, NULL, 0);
    close(there[0]);
    close(back[0]);
    close(back[1]);
    return sum;
}

/* ---- floating point ---- */

static uint64_t bits(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

static uint64_t scalar(void)            /* an orbit, scalar double */
{
    double x = 1, y = 0, vx = 0, vy = 1;
    for (unsigned i = 0; i < 2000000; i++) {
        double r2 = x * x + y * y, r = __builtin_sqrt(r2), a = -1e-3 / (r2 * r);
        vx += a * x;
        vy += a * y;
        x += 1e-3 * vx;
        y += 1e-3 * vy;
    }
    return bits(x) ^ bits(vy);
}

static uint64_t x87(void)               /* a Mandelbrot set in long double */
{
    uint64_t inside = 0;
    for (int row = -12; row < 12; row++) {
        for (int column = -40; column < 20; column++) {
            long double cx = column / 20.0L, cy = row / 12.0L, x = 0, y = 0;
            unsigned i = 0;
            for (; i < 3000 && x * x + y * y < 4; i++) {
                long double t = x * x - y * y + cx;
                y = 2 * x * y + cy;
                x = t;
            }
            inside += i;
        }
    }
    return inside;
}

static uint64_t matrix(void)            /* scalar double product, as compilers write it without -O3 */
{
    enum { N = 128 };
    static double a[N][N], b[N][N], c[N][N];
    for (unsigned i = 0; i < N; i++) {
        for (unsigned j = 0; j < N; j++) {
            a[i][j] = i + j * 0.5;
            b[i][j] = i * 0.25 - j;
        }
    }
    for (unsigned i = 0; i < 6 * N; i++) {
        for (unsigned j = 0; j < N; j++) {
            double sum = 0;
            for (unsigned k = 0; k < N; k++) {
                sum += a[i % N][k] * b[k][j];
            }
            c[i % N][j] = sum;
        }
    }
    return bits(c[5][7]) ^ bits(c[100][90]);
}

/* ---- vectors ---- */

static uint64_t sse2(void)              /* sums of absolute differences, saturated packing: what codecs do */
{
    enum { SIZE = 256 * 1024, ROUNDS = 200 };
    uint8_t *a = memory(SIZE), *b = memory(SIZE);
    for (unsigned i = 0; i < SIZE; i++) {
        a[i] = draw();
        b[i] = draw();
    }
    __m128i sum = _mm_setzero_si128();
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < SIZE; i += 16) {
            __m128i x = _mm_load_si128((__m128i *)(a + i)), y = _mm_load_si128((__m128i *)(b + i));
            sum = _mm_add_epi64(sum, _mm_sad_epu8(x, y));
            x = _mm_adds_epu8(_mm_avg_epu8(x, y), _mm_set1_epi8(1));
            _mm_store_si128((__m128i *)(a + i), x);
        }
    }
    uint64_t out[2];
    _mm_storeu_si128((__m128i *)out, sum);
    munmap(a, SIZE);
    munmap(b, SIZE);
    return out[0] + out[1];
}

static uint64_t packed(void)            /* a double product with SSE2, four columns at a time */
{
    enum { N = 160 };
    static double a[N][N], b[N][N], c[N][N];
    for (unsigned i = 0; i < N; i++) {
        for (unsigned j = 0; j < N; j++) {
            a[i][j] = i + j * 0.5;
            b[i][j] = i * 0.25 - j;
        }
    }
    for (unsigned row = 0; row < 6 * N; row++) {
        unsigned i = row % N;
        for (unsigned j = 0; j < N; j += 4) {
            __m128d s = _mm_setzero_pd(), t = s;
            for (unsigned k = 0; k < N; k++) {
                __m128d x = _mm_set1_pd(a[i][k]);
                s = _mm_add_pd(s, _mm_mul_pd(x, _mm_loadu_pd(&b[k][j])));
                t = _mm_add_pd(t, _mm_mul_pd(x, _mm_loadu_pd(&b[k][j + 2])));
            }
            _mm_storeu_pd(&c[i][j], s);
            _mm_storeu_pd(&c[i][j + 2], t);
        }
    }
    return bits(c[5][7]) ^ bits(c[150][90]);
}

__attribute__((target("avx2,fma"))) static uint64_t avx2(void)
{
    enum { N = 64 * 1024, ROUNDS = 400 };
    float *a = memory(N * sizeof *a), *b = memory(N * sizeof *b);
    for (unsigned i = 0; i < N; i++) {
        a[i] = i & 1023;
        b[i] = 1;
    }
    __m256i check = _mm256_setzero_si256();
    for (unsigned round = 0; round < ROUNDS; round++) {
        __m256 k = _mm256_set1_ps(0.5f);
        for (unsigned i = 0; i < N; i += 8) {
            __m256 x = _mm256_loadu_ps(a + i), y = _mm256_loadu_ps(b + i);
            y = _mm256_fmadd_ps(x, k, y);
            _mm256_storeu_ps(b + i, y);
            check = _mm256_add_epi32(_mm256_slli_epi32(check, 1), _mm256_castps_si256(y));
        }
    }
    uint32_t out[8];
    _mm256_storeu_si256((__m256i *)out, check);
    munmap(a, N * sizeof *a);
    munmap(b, N * sizeof *b);
    return out[0] + (uint64_t)out[7];
}

static const struct {
    const char *name;
    uint64_t (*run)(void);
} workloads[] = {
    {"sieve", sieve}, {"sort", sort}, {"crc", crc}, {"bytecode", bytecode}, {"calls", calls}, {"divide", divide},
    {"copy", copy}, {"words", words}, {"repeat", repeat}, {"chase", chase},
    {"syscalls", syscalls}, {"faults", faults}, {"forks", forks}, {"pipes", pipes},
    {"scalar", scalar}, {"matrix", matrix}, {"x87", x87},
    {"sse2", sse2}, {"packed", packed}, {"avx2", avx2},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        for (unsigned w = 0; w < sizeof workloads / sizeof *workloads; w++) {
            if (!strcmp(argv[i], workloads[w].name)) {
                if (!strcmp(argv[i], "avx2") && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) {
                    printf("LACKS avx2\n");
                    continue;
                }
                seed = 88172645463325252;
                printf("BEGIN %s\n", argv[i]);
                fflush(stdout);
                double begin = now();
                uint64_t checksum = workloads[w].run();
                printf("END %s %.4f %016llx\n", argv[i], now() - begin, (unsigned long long)checksum);
                fflush(stdout);
            }
        }
    }
    return 0;
}
