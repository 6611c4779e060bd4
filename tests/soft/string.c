/* String operations where native runs cannot go: 16-bit addresses that wrap, segments with bases and limits,
 * both sides in one page under two names, counts of tens of thousands; against the plainest model of them. */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <sys/mman.h>

#include "accel/soft/decode.h"
#include "tests/cpu/cpu-test.h"
#include "tests/soft/flat.h"

enum { HALF = 65536, MEMORY = 2 * HALF + 4096, CASES = 4000 };

static uint8_t *memory, before[MEMORY], model[MEMORY];
static uint64_t rng;

static uint64_t rnd(void)
{
    rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return rng >> 24;
}

typedef struct Machine {
    uint64_t si, di, cx, ax;
    uint16_t cc_a, cc_b;                /* compared last, cut to 16 bits */
    bool compared, fault;
} Machine;

typedef struct Setup {
    uint8_t bytes[4];
    unsigned length, size;
    bool down, rep, repne;
    uint32_t base[2], limit[2];         /* DS, ES; bases are offsets into memory */
} Setup;

static bool reach(const Setup *u, unsigned seg, uint64_t offset, uint8_t **p)
{
    *p = model + u->base[seg] + offset;
    return offset + u->size - 1 <= u->limit[seg];
}

/* One element as the manual has it; false: a fault. */
static bool step(const Setup *u, Machine *m)
{
    uint8_t *src, *dst, byte = u->bytes[u->length - 1] & 0xfe;
    uint64_t a = 0, b = 0, move = u->down ? -(uint64_t)u->size : u->size;
    bool uses_src = byte == 0xa4 || byte == 0xa6 || byte == 0xac, uses_dst = byte != 0xac;
    if ((uses_src && !reach(u, 0, m->si, &src)) || (uses_dst && !reach(u, 1, m->di, &dst))) {
        return false;
    }
    memcpy(&a, uses_src ? (void *)src : (void *)&m->ax, u->size);
    switch (byte) {
    case 0xa4:
    case 0xaa:
        memcpy(dst, &a, u->size);
        break;
    case 0xac:
        memcpy(&m->ax, &a, u->size);
        break;
    default:
        memcpy(&b, dst, u->size);
        m->compared = true;
        m->cc_a = a == b;
    }
    m->si = uses_src ? (m->si + move) & 0xffff : m->si;
    m->di = uses_dst ? (m->di + move) & 0xffff : m->di;
    return true;
}

static void run_model(const Setup *u, Machine *m)
{
    bool compares = (u->bytes[u->length - 1] & 0xfe) == 0xa6 || (u->bytes[u->length - 1] & 0xfe) == 0xae;
    if (!u->rep && !u->repne) {
        m->fault = !step(u, m);
        return;
    }
    while (m->cx) {
        if (!step(u, m)) {
            m->fault = true;
            return;
        }
        m->cx--;
        if (compares && m->cc_a == u->repne) {
            return;
        }
    }
}

static void choose(Setup *u)
{
    static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
    *u = (Setup){.down = rnd() & 1};
    u->bytes[u->length++] = 0x67;
    unsigned repeat = rnd() % 4;
    u->rep = repeat & 1;
    u->repne = repeat == 2;
    if (u->rep || u->repne) {
        u->bytes[u->length++] = u->rep ? 0xf3 : 0xf2;
    }
    u->size = 1u << rnd() % 3;
    if (u->size == 2) {
        u->bytes[u->length++] = 0x66;
    }
    u->bytes[u->length++] = (uint8_t)(opcodes[rnd() % 5] | (u->size > 1));
    for (unsigned n = 0; n < 2; n++) {
        u->base[n] = rnd() % 2 ? (uint32_t)(rnd() % HALF) : 16;
        u->limit[n] = rnd() % 3 ? 0xffff : (uint32_t)(rnd() % 65536);
    }
}

/* Bytes are mostly alike, so that comparisons go on for a while. */
static void fill_memory(void)
{
    unsigned rare = rnd() % 2 ? 3 : 5000;
    for (unsigned n = 0; n < MEMORY; n++) {
        before[n] = rnd() % rare ? 0 : (uint8_t)rnd();
    }
    memcpy(memory, before, MEMORY);
    memcpy(model, before, MEMORY);
}

static void run_here(SoftCpu *s, const Setup *u, const Insn *i, Machine *m)
{
    uint64_t *gpr = s->cpu.state.gpr;
    gpr[CPU_RSI] = m->si;
    gpr[CPU_RDI] = m->di;
    gpr[CPU_RCX] = m->cx;
    gpr[CPU_RAX] = m->ax;
    s->cpu.state.rflags = FLAG_ONE | (u->down ? FLAG_DF : 0);
    for (unsigned n = 0; n < 2; n++) {
        Segment *g = &s->cpu.state.seg[n ? SEG_ES : SEG_DS];
        g->base = (uint32_t)(uintptr_t)memory + u->base[n];
        g->limit = u->limit[n];
    }
    uint8_t vector;
    do {
        vector = flat_run(s, i, flat_find(i->mnemonic));
    } while (vector == EXC_NONE && s->cpu.state.rip == s->insn_rip);
    *m = (Machine){gpr[CPU_RSI], gpr[CPU_RDI], gpr[CPU_RCX], gpr[CPU_RAX], .fault = vector == EXC_GP};
    ck_assert(vector == EXC_NONE || vector == EXC_GP);
}

static void compare_one(SoftCpu *s)
{
    Setup u;
    Insn i;
    choose(&u);
    ck_assert(insn_decode(&i, u.bytes, u.length, MODE_32 | MODE_PROTECTED, 0x1000));
    Machine start = {.si = rnd() & 0xffff, .di = rnd() & 0xffff, .cx = rnd() % 5 ? rnd() % 300 : rnd() & 0xffff};
    if (rnd() % 4 == 0) {
        start.di = (start.si + rnd() % 16 - 8) & 0xffff;
        u.base[1] = u.base[0];
    }
    Machine want = start, got = start;
    flat.no_host = rnd() % 4 == 0;
    run_model(&u, &want);
    run_here(s, &u, &i, &got);
    bool same = want.si == got.si && want.di == got.di && want.cx == got.cx && want.ax == got.ax;
    same &= want.fault == got.fault;
    same &= !want.compared || want.fault || want.cc_a == !!(soft_flags(s) & FLAG_ZF);
    ck_assert_msg(same && memcmp(memory, model, MEMORY) == 0,
                  "%02x %02x %02x %02x: si %lx di %lx cx %lx: want %lx %lx %lx %d, got %lx %lx %lx %d", u.bytes[0],
                  u.bytes[1], u.bytes[2], u.bytes[3], start.si, start.di, start.cx, want.si, want.di, want.cx,
                  want.fault, got.si, got.di, got.cx, got.fault);
    if (memcmp(model, before, MEMORY) != 0) {
        fill_memory();
    }
}

START_TEST(test_wrap)
{
    memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    ck_assert(memory != MAP_FAILED);
    SoftCpu *s = aligned_alloc(64, (sizeof(SoftCpu) + 63) & ~(size_t)63);
    rng = (uint64_t)g_get_real_time();
    printf("string seed %" PRIu64 "\n", rng);
    flat_setup(s, MODE_32);
    flat = (Flat){.base = (uintptr_t)memory, .size = MEMORY, .inner = (uintptr_t)memory, .inner_size = MEMORY};
    fill_memory();
    for (unsigned n = 0; n < CASES; n++) {
        compare_one(s);
    }
    free(s);
}
END_TEST

SUITE("string operations", test_wrap)
