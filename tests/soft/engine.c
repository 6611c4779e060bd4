/* The whole software CPU against the processor that runs this: random sequences of instructions, from the same random
 * registers, flags and memory, natively and three ways here (see guest.h).  All must end alike: registers, flags that are
 * defined, memory, vectors, MXCSR, x87, and the fault with its error code and address.  A sequence that fails is cut to the
 * smallest that still does.
 * SOFT_ENGINE_SECONDS for each of the two tests, SOFT_ENGINE_SEED; SOFT_ENGINE_FIRST: the number of the sequence to begin with. */
#include <check.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "accel/soft/soft.h"
#include "tests/cpu/cpu-test.h"
#include "tests/soft/guest.h"

#define ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)
#define KERNEL     UINT64_C(0x7ffffffff000)
#define VSYSCALL UINT64_C(0xffffffffff600000)
enum { PF_USER = 4 };
enum {
    STATES = 16 /* of registers, for each sequence */,
    STEPS = 500 /* at most, in a run */,
    MEMORY = ARENA_DATA_SIZE + ARENA_PAGE,
    MEMORY_LASTS = 64 /* sequences */, PATIENCE = 5 /* seconds */
};

typedef struct Ending {
    Standing at;
    uint8_t code[ARENA_CODE_SIZE], memory[MEMORY];
} Ending;

static const char *const ways[] = {"steps", "blocks", "translated", "counted blocks"};
static uint8_t code[ARENA_CODE_SIZE], memory[MEMORY];
static Standing start;
static Ending silicon, soft[WAYS];
static uint64_t cases, endless, strays, elsewhere, faults;
static unsigned failures;

/* ---- What runs begin with ---- */
static uint64_t random_float(unsigned size)
{
    static const uint64_t doubles[] = {0,
                                       UINT64_C(0x3ff0000000000000),
                                       UINT64_C(0x7ff0000000000000),
                                       UINT64_C(0x7ff8000000000000),
                                       UINT64_C(0x7ff0000000000001),
                                       1,
                                       UINT64_C(0x000fffffffffffff),
                                       UINT64_C(0x4340000000000000)};
    static const uint32_t floats[] = {0,          0x3f800000, 0x7f800000, 0x7fc00000,
                                      0x7f800001, 1,          0x007fffff, 0x4b800000};
    uint64_t sign = rnd() & 1;
    if (size == 8) {
        return doubles[below(8)] | sign << 63;
    }
    return floats[below(8)] | sign << 31 | (uint64_t)floats[below(8)] << 32;
}

static uint64_t random_lane(void)
{
    switch (below(8)) {
    case 0: return random_float(8);
    case 1: return random_float(4);
    case 2: return UINT64_C(0x3ff0000000000000) + (rnd() >> 11);
    case 3: return interesting();
    default: return rnd();
    }
}

static void random_memory(void)
{
    for (unsigned n = 0; n < MEMORY; n += 8) {
        uint64_t v = n & 64 ? random_lane() : n & 128 ? interesting() : rnd();
        memcpy(memory + n, &v, 8);
    }
    silicon_fill_const(memory + ARENA_DATA_SIZE);
    guest_write(ARENA_CONST, memory + ARENA_DATA_SIZE, ARENA_PAGE);
}

static void random_fpu(Xsave *x)
{
    memset(x, 0, sizeof(*x));
    x->xstate_bv = XSTATE_FP | XSTATE_SSE | XSTATE_AVX;
    x->mxcsr_mask = 0xffff;
    x->fcw = (uint16_t)((rnd() & 0xf00) | 0x40 | (one_in(16) ? rnd() & 0x3f : 0x3f));
    x->fsw = (uint16_t)(rnd() & 0x7f00);
    x->ftw = one_in(3) ? 0xff : (uint8_t)rnd();
    x->ftw = one_in(3) ? 0 : x->ftw;
    x->mxcsr =
        (uint32_t)(rnd() & 0x3f) | (one_in(2) ? rnd() & 0xe040 : 0) | (one_in(16) ? rnd() & 0x1f80 : 0x1f80);
    for (unsigned n = 0; n < 8; n++) {
        x->st[n].mantissa = random_lane() | (one_in(8) ? 0 : UINT64_C(1) << 63);
        x->st[n].sign_exponent = (uint16_t)(one_in(3) ? rnd() : (rnd() & 0x8000) | (0x3fe0 + below(64)));
    }
    for (unsigned n = 0; n < 32; n++) {
        x->xmm[n / 2][n & 1] = random_lane();
        x->ymmh[n / 2][n & 1] = one_in(4) ? 0 : random_lane();
    }
}

/* Mostly in the middle of the data, sometimes where it ends. */
static uint64_t random_pointer(void)
{
    uint64_t middle = arena + ARENA_DATA + ARENA_DATA_SIZE / 2;
    switch (below(24)) {
    case 0: return arena + ARENA_DATA + ARENA_DATA_SIZE - below(64);
    case 1: return arena + ARENA_DATA + below(32);
    case 2: return middle + below(64) - 32;
    case 3: return middle + below(2048) - 1024;
    default: return middle + (below(32) * 32) - 512;
    }
}

static void random_registers(const Sequence *q)
{
    uint16_t pointers = pointer_registers(q->code_32), indices = index_registers(q->code_32);
    for (unsigned n = 0; n < 16; n++) {
        uint64_t v = pointers >> n & 1  ? random_pointer()
                     : indices >> n & 1 ? (one_in(3) ? below(64) - 32u : below(8) * 4u)
                                        : interesting();
        v = indices >> n & 1 ? (uint64_t)(int32_t)v : v;
        start.gpr[n] = q->code_32 ? (uint32_t)v : v;
    }
    start.gpr[CPU_RSP] =
        one_in(20) ? random_pointer() : arena + ARENA_DATA + ARENA_DATA_SIZE / 2 + 8 * below(64) - 256;
    start.rip = q->start;
    start.flags = (rnd() & ARITHMETIC) | FLAG_ONE | FLAG_IF | (one_in(5) ? FLAG_DF : 0);
}

static void random_start(const Sequence *q)
{
    random_registers(q);
    random_fpu(&start.fpu);
    for (unsigned n = 0; n < 16; n++) {
        uint64_t v = one_in(2) ? random_lane() : interesting();
        memcpy(memory + ARENA_DATA_SIZE / 2 - 512 + below(128) * 8, &v, 8);
    }
}

/* ---- Runs ---- */
static const Sequence *traced;
static int last_item;
static unsigned steps;
static bool stray, halves; /* halves: Item.narrow_repeats met with something in those */

static bool trace(uint64_t rip, const uint64_t *gpr)
{
    int item = rip == arena + ARENA_EXIT ? (int)traced->count + 1 : sequence_item(traced, rip);
    bool inside = rip - arena - ARENA_CODE < ARENA_CODE_SIZE;
    if (steps && inside && item < (int)traced->count && !sequence_leads(traced, last_item, item)) {
        stray = true; /* its code is not what it was made of: nothing is known about its flags */
    }
    if (!inside && rip != arena + ARENA_EXIT && rip - arena < ARENA_PRIVATE && rip - arena >= ARENA_EXIT) {
        stray = true;
    }
    if (inside && item >= 0 && item < (int)traced->count && !traced->item[item].patched) {
        size_t at = rip - arena - ARENA_CODE;
        stray |= memcmp(guest_memory(ARENA_CODE) + at, code + at, traced->item[item].length) != 0;
    }
    if (item >= 0 && item < (int)traced->count && traced->item[item].narrow_repeats) {
        halves |= (gpr[CPU_RCX] | gpr[CPU_RSI] | gpr[CPU_RDI]) > UINT32_MAX;
    }
    last_item = item;
    return !stray && !halves && ++steps <= STEPS;
}

static void write_guest(void)
{
    if (memcmp(guest_memory(ARENA_CODE), code, ARENA_CODE_SIZE) != 0) {
        guest_write(ARENA_CODE, code, ARENA_CODE_SIZE);
    }
    guest_write(ARENA_DATA, memory, ARENA_DATA_SIZE);
}

static void run_soft(GuestWay way, const Sequence *q)
{
    Ending *e = &soft[way];
    write_guest();
    guest_run(way, q, &start, &e->at, trace);
    memcpy(e->code, guest_memory(ARENA_CODE), ARENA_CODE_SIZE);
    memcpy(e->memory, guest_memory(ARENA_DATA), MEMORY);
}

static void run_silicon(const Sequence *q)
{
    memcpy(silicon_memory(ARENA_CODE), code, ARENA_CODE_SIZE);
    memcpy(silicon_memory(ARENA_DATA), memory, ARENA_DATA_SIZE);
    silicon_run(q->code_32, &start, &silicon.at);
    memcpy(silicon.code, silicon_memory(ARENA_CODE), ARENA_CODE_SIZE);
    memcpy(silicon.memory, silicon_memory(ARENA_DATA), MEMORY);
}

/* ---- Comparison ---- */
static uint64_t compared_flags(const Sequence *q, const Standing *a)
{
    uint64_t mask = ARITHMETIC | FLAG_DF | FLAG_ID;
    int item = sequence_item(q, a->rip);
    uint16_t undefined = a->rip == arena + ARENA_EXIT || item == (int)q->count ? q->undefined_at_end
                         : item >= 0                                           ? q->item[item].undefined
                                                                               : ARITHMETIC;
    undefined |= q->fcomi && a->vector == EXC_MF ? ARITHMETIC : 0;
    undefined |=
        a->vector != EXC_NONE && item >= 0 && item < (int)q->count && q->item[item].scans ? ARITHMETIC : 0;
    return mask & ~(uint64_t)undefined;
}

static const Item *item_at(const Sequence *q, uint64_t rip)
{
    int item = sequence_item(q, rip);
    return item >= 0 && item < (int)q->count ? &q->item[item] : NULL;
}

static bool same_error(const Sequence *q, const Standing *a, const Standing *b)
{
    int item = sequence_item(q, a->rip);
    if (item >= 0 && item < (int)q->count && q->item[item].compares && a->vector != EXC_NONE &&
        a->rip == b->rip) {
        return b->vector != EXC_NONE;
    }
    if (a->vector != b->vector) {
        return false;
    }
    if (a->vector != EXC_PF) {
        return a->vector == EXC_NONE || a->error == b->error;
    }
    const Item *it = item_at(q, a->rip);
    uint64_t within = it && it->masked && a->rip == b->rip ? ARENA_PAGE - 1 : 0;
    if ((a->cr2 ^ b->cr2) & ~within || a->cr2 >= KERNEL) { /* Linux does not tell how it maps those */
        return !((a->cr2 ^ b->cr2) & ~within);
    }
    return (a->error | PF_USER) == (b->error | PF_USER) && (!q->user || b->error & PF_USER);
}

enum { FSW_TOP_SHIFT = 11, FSW_TOP_BITS = 7 << FSW_TOP_SHIFT, FSW_ERROR = 1 << 7 };

/* Register n itself, wherever the top of the stack is. */
static const void *x87_register(const Xsave *x, unsigned n)
{
    return &x->st[(n - (x->fsw >> FSW_TOP_SHIFT)) & 7];
}

static bool same_x87(const Sequence *q, const Standing *x, const Standing *y)
{
    const Xsave *a = &x->fpu, *b = &y->fpu;
    for (unsigned n = 0; n < 8; n++) {
        if (memcmp(x87_register(a, n), x87_register(b, n), 10) != 0) {
            return false;
        }
    }
    const Item *it = item_at(q, x->rip);
    uint16_t undefined = q->fcomi ? 1 << 9 /* C1 */ : 0;
    undefined |= x->vector != EXC_NONE && it && it->mmx_stores ? FSW_TOP_BITS : 0;
    return a->fcw == b->fcw && !((a->fsw ^ b->fsw) & ~undefined) && a->ftw == b->ftw;
}

/* The host took an exception of the arithmetic, or went on with one of the x87, to whatever end or to none; here the fault of
 * the address came first (Item.x87_stores, Item.converts).  One that waited before the store comes first on both. */
static bool exception_first(const Sequence *q, const Standing *host, const Standing *here)
{
    const Item *it = item_at(q, here->rip);
    if (here->vector == EXC_PF && it && it->converts) {
        return host->vector == EXC_XM && host->rip == here->rip;
    }
    bool faults = here->vector == EXC_PF || here->vector == EXC_GP || here->vector == EXC_SS;
    return faults && it && it->x87_stores && !(here->fpu.fsw & FSW_ERROR) && host->fpu.fsw & FSW_ERROR &&
           (host->vector != here->vector || host->rip != here->rip);
}

/* A store of ten bytes that meets a fault in its second page: Intel's have written to the first, AMD's have not. */
static bool same_memory(const Sequence *q, const Ending *a, const Ending *b)
{
    const Item *it = item_at(q, a->at.rip);
    uint64_t end = a->at.cr2 - (arena + ARENA_DATA);
    size_t from = MEMORY, to = MEMORY;
    if (a->at.vector == EXC_PF && it && it->stores_ten && !(a->at.cr2 & (ARENA_PAGE - 1)) && end - 9 < MEMORY) {
        from = end - 9;
        to = MIN(end, MEMORY);
    }
    return !memcmp(a->memory, b->memory, from) && !memcmp(a->memory + to, b->memory + to, MEMORY - to);
}

static const char *differs(const Sequence *q, const Ending *a, const Ending *b)
{
    const Standing *x = &a->at, *y = &b->at;
    uint64_t width = q->code_32 ? UINT32_MAX : UINT64_MAX;
    unsigned vectors = q->code_32 ? 8 : 16;
    if (x->endless || y->endless) {
        return x->endless == y->endless ? NULL : "one does not end";
    }
    if (!same_error(q, x, y)) {
        return "fault";
    }
    if (x->rip != y->rip) {
        return "RIP";
    }
    for (unsigned n = 0; n < (q->code_32 ? 8 : 16); n++) {
        if ((x->gpr[n] ^ y->gpr[n]) & width) {
            return "register";
        }
    }
    if ((x->flags ^ y->flags) & compared_flags(q, x)) {
        return "flags";
    }
    if (!same_memory(q, a, b)) {
        return "memory";
    }
    if (memcmp(a->code, b->code, ARENA_CODE_SIZE) != 0) {
        return "code";
    }
    if (memcmp(x->fpu.xmm, y->fpu.xmm, vectors * 16) != 0 ||
        memcmp(x->fpu.ymmh, y->fpu.ymmh, vectors * 16) != 0) {
        return "vectors";
    }
    const Item *it = item_at(q, x->rip);
    uint32_t sticky = x->vector == EXC_PF && it && it->converts ? 0x3f : 0;
    return (x->fpu.mxcsr ^ y->fpu.mxcsr) & ~sticky ? "MXCSR" : !same_x87(q, x, y) ? "x87" : NULL;
}

/* An access that reaches beyond offset FFFFFFFFH of a segment of 4 GiB may be a fault or not (SDM vol 3 §5.3). */
static bool beyond_4g(const Sequence *q, uint64_t missed) { return q->code_32 && missed > UINT32_MAX - 128; }

/* In this process there is something that the guest has not; or it is where Linux emulates calls (vsyscall). */
static bool cannot_compare(const Sequence *q, uint64_t missed)
{
    return missed >> 12 == VSYSCALL >> 12 || silicon_maps(missed) || silicon_maps(missed + 64) ||
           silicon_maps(missed - 64) || beyond_4g(q, missed);
}

/* The name of what differs, and in which way; NULL: nothing, or nothing that can be compared. */
static const char *compare(const Sequence *q, GuestWay *way, bool all)
{
    traced = q;
    steps = 0;
    stray = halves = false;
    last_item = NOWHERE;
    memset(code, 0xcc, sizeof(code));
    sequence_place(q, code);
    run_soft(WAY_STEPS, q);
    const Standing *s = &soft[WAY_STEPS].at;
    if (halves) {
        elsewhere++;
        return NULL;
    }
    if (stray || s->endless) {
        strays += stray;
        endless += !stray;
        return NULL;
    }
    if (s->vector == EXC_PF && cannot_compare(q, s->cr2)) {
        elsewhere++;
        return NULL;
    }
    uint64_t stepped = guest_count();
    run_silicon(q);
    if ((silicon.at.vector == EXC_PF && beyond_4g(q, silicon.at.cr2)) || exception_first(q, &silicon.at, s)) {
        elsewhere++;
        return NULL;
    }
    cases++;
    faults += s->vector != EXC_NONE;
    for (*way = WAY_STEPS; *way < WAYS; ++*way) {
        if (*way == WAY_COUNTED && !all) {
            continue;
        }
        if (*way != WAY_STEPS) {
            run_soft(*way, q);
        }
        const char *what = differs(q, &silicon, &soft[*way]);
        if (!what && *way == WAY_COUNTED && s->vector == EXC_NONE && guest_count() != stepped) {
            what = "count";
        }
        if (what) {
            return what;
        }
    }
    return NULL;
}

/* ---- Failures ---- */
static void shrink(Sequence *q)
{
    for (bool shrunk = true; shrunk;) {
        shrunk = false;
        for (unsigned k = q->count; k-- > 0;) {
            Sequence smaller = *q;
            GuestWay way;
            sequence_remove(&smaller, k);
            /* more than once: what is left in caches may count */
            bool fails = false;
            for (unsigned n = 0; n < 3 && !fails; n++) {
                fails = sequence_judge(&smaller) && compare(&smaller, &way, true);
            }
            if (fails) {
                *q = smaller;
                shrunk = true;
            }
        }
    }
}

static void print_registers(const Sequence *q, const Ending *a, const Ending *b)
{
    const Xsave *x = &a->at.fpu, *y = &b->at.fpu;
    for (unsigned n = 0; n < 16; n++) {
        fprintf(stderr, "  r%-2u in %016" PRIx64 " host %016" PRIx64 " here %016" PRIx64 "%s\n", n,
                start.gpr[n], a->at.gpr[n], b->at.gpr[n], a->at.gpr[n] != b->at.gpr[n] ? " <" : "");
    }
    for (unsigned n = 0; n < 16; n++) {
        if (memcmp(x->xmm[n], y->xmm[n], 16) != 0 || memcmp(x->ymmh[n], y->ymmh[n], 16) != 0) {
            fprintf(stderr,
                    "  ymm%u host %016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64
                    "\n       here %016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "\n",
                    n, x->ymmh[n][1], x->ymmh[n][0], x->xmm[n][1], x->xmm[n][0], y->ymmh[n][1], y->ymmh[n][0],
                    y->xmm[n][1], y->xmm[n][0]);
        }
    }
    fprintf(stderr,
            "  mxcsr in %x host %x here %x; fcw in %x host %x here %x; fsw in %x host %x here %x; ftw in %x "
            "host %x here %x\n",
            start.fpu.mxcsr, x->mxcsr, y->mxcsr, start.fpu.fcw, x->fcw, y->fcw, start.fpu.fsw, x->fsw, y->fsw,
            start.fpu.ftw, x->ftw, y->ftw);
    for (unsigned n = 0; n < 8; n++) {
        if (x->st[n].mantissa != y->st[n].mantissa || x->st[n].sign_exponent != y->st[n].sign_exponent) {
            fprintf(stderr,
                    "  st%u in %04x %016" PRIx64 " host %04x %016" PRIx64 " here %04x %016" PRIx64 "\n", n,
                    start.fpu.st[n].sign_exponent, start.fpu.st[n].mantissa, x->st[n].sign_exponent,
                    x->st[n].mantissa, y->st[n].sign_exponent, y->st[n].mantissa);
        }
    }
}

static void print_memory(const char *name, uint64_t at, const uint8_t *in, const uint8_t *host,
                         const uint8_t *here, unsigned size)
{
    unsigned shown = 0;
    for (unsigned n = 0; n < size && shown < 8; n += 8) {
        if (memcmp(host + n, here + n, 8) != 0) {
            shown++;
            fprintf(stderr, "  %s %08" PRIx64 ": in %016" PRIx64 " host %016" PRIx64 " here %016" PRIx64 "\n",
                    name, at + n, *(const uint64_t *)(in + n), *(const uint64_t *)(host + n),
                    *(const uint64_t *)(here + n));
        }
    }
}

static void report(Sequence *q, const char *what, GuestWay way, uint64_t seed, uint64_t number)
{
    fprintf(stderr,
            "SOFT_ENGINE_SEED=%" PRIu64 " SOFT_ENGINE_FIRST=%" PRIu64 ": %s by %s; %u instructions, cut to\n",
            seed, number - number % MEMORY_LASTS, what, ways[way], q->count);
    shrink(q);
    const char *again = NULL;
    for (unsigned n = 0; n < 3 && !again; n++) {
        again = sequence_judge(q) ? compare(q, &way, true) : NULL;
    }
    if (!again) {
        fprintf(stderr, "something that does not fail again\n");
        sequence_print(q, stderr);
        return;
    }
    sequence_print(q, stderr);
    const Ending *a = &silicon, *b = &soft[way];
    fprintf(stderr, "  %s by %s, %s code, CPL %u\n", again, ways[way], q->code_32 ? "32-bit" : "64-bit",
            q->user ? 3 : 0);
    fprintf(stderr, "  host: vector %u error %x cr2 %" PRIx64 " rip %" PRIx64 " flags %" PRIx64 "%s\n",
            a->at.vector, a->at.error, a->at.cr2, a->at.rip, a->at.flags, a->at.endless ? " endless" : "");
    fprintf(stderr,
            "  here: vector %u error %x cr2 %" PRIx64 " rip %" PRIx64 " flags %" PRIx64 "%s; in %" PRIx64
            " compared %" PRIx64 "\n",
            b->at.vector, b->at.error, b->at.cr2, b->at.rip, b->at.flags, b->at.endless ? " endless" : "",
            start.flags, compared_flags(q, &a->at));
    print_registers(q, a, b);
    print_memory("data", arena + ARENA_DATA, memory, a->memory, b->memory, MEMORY);
    print_memory("code", arena + ARENA_CODE, code, a->code, b->code, ARENA_CODE_SIZE);
}

/* ---- The tests ---- */
static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

/* The same each time, so that what CI says is about us; 0: another one each time. */
static uint64_t seed_setting(const char *name)
{
    uint64_t seed = setting(name, 1);
    return seed ? seed : (uint64_t)g_get_real_time();
}

/* A case that takes seconds is one that does not end. */
static void on_tick(int signal, siginfo_t *info, void *context)
{
    static uint64_t seen;
    static unsigned ticks;
    ticks = seen == cases ? ticks + 1 : 0;
    seen = cases;
    if (ticks >= PATIENCE) {
        guest_stop();
        silicon_stop(signal, context);
    }
}

static void start_clock(void)
{
    struct sigaction action = {.sa_sigaction = on_tick,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
    struct itimerval second = {{1, 0}, {1, 0}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &second, NULL);
}

static void try_sequence(bool code_32, uint64_t seed, uint64_t number)
{
    static Sequence q;
    random_state = seed * UINT64_C(0xd1342543de82ef95) + number * UINT64_C(0xaf251af3b0f025b5);
    if (!sequence_make(&q, code_32)) {
        return;
    }
    if (number % MEMORY_LASTS == 0) {
        random_memory();
    }
    for (unsigned n = 0; n < STATES; n++) {
        GuestWay way;
        random_start(&q);
        const char *what = compare(&q, &way, n == 3 || n == 6);
        if (what) {
            failures++;
            report(&q, what, way, seed, number);
            return;
        }
    }
}

static void run_mode(bool code_32)
{
    uint64_t seed = seed_setting("SOFT_ENGINE_SEED"),
             number = setting("SOFT_ENGINE_FIRST", 0);
    gint64 end = g_get_monotonic_time() + (gint64)setting("SOFT_ENGINE_SECONDS", 14) * G_USEC_PER_SEC;
    cases = endless = strays = elsewhere = faults = failures = 0;
    start_clock();
    random_state = seed;
    random_memory();
    for (; g_get_monotonic_time() < end && failures < 10; number++) {
        try_sequence(code_32, seed, number);
    }
    printf("%u-bit: seed %" PRIu64 ", %" PRIu64 " sequences, %" PRIu64 " cases, %" PRIu64
           " faults; passed over: %" PRIu64 " endless, %" PRIu64 " astray, %" PRIu64 " elsewhere\n",
           code_32 ? 32 : 64, seed, number, cases, faults, endless, strays, elsewhere);
    ck_assert_uint_eq(failures, 0);
    ck_assert_uint_gt(guest_translated(), number);
}

START_TEST(test_64)
{
    silicon_setup();
    guest_setup();
    run_mode(false);
}
END_TEST

START_TEST(test_32)
{
    silicon_setup();
    guest_setup();
    if (silicon_has_32()) {
        run_mode(true);
    }
}
END_TEST

SUITE("soft engine", test_64, test_32)
