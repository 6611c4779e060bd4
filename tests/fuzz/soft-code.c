/* Bytes as code for the software CPU, in every mode: a small machine of RAM, ROM, a device and nothing in between, run for some
 * thousand instructions.  Whatever the code does, nothing of ours may crash, hang or trip a sanitizer.
 *
 *   byte 0  mode, see modes[]          byte 1  OPTION_*          byte 2  bits of CR4, and what interrupts
 *   then code, up to CODE_SIZE bytes; behind it follow bytes made from all of these, and registers as well
 *
 * An input that begins with 'x' is the same in hexadecimal, for people. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/offer.h"
#include "accel/soft/run.h"
#include "core/clock.h"
#include "core/loop.h"
#include "cpu/paging.h"
#include "cpu/segment.h"
#include "mem/host.h"
#include "mem/ram.h"
#include "tests/fuzz/fuzz.h"

enum {
    PAGE = 4096,
    RAM_SIZE = 0x80000,
    GDT = 0x1000,
    IDT = 0x2000,
    TSS = 0x4000,
    IDT_64 = 0x5000,
    STACK = 0x7000,
    CODE = 0x8000,
    CODE_SIZE = 0x2000,
    LDT = 0xb000,
    TABLE_32 = 0x10000,
    TABLE_PAE = 0x12000,
    TABLE_64 = 0x15000,
    TABLES_END = 0x1a000,
    HOLE = 0x50000,
    DEVICE = 0x58000,
    ROM = 0x5a000,
    UPPER = 0x60000,
    INSNS = 3000,
    SLICE = 250,
    PATIENCE_US = 60000,
};
enum {
    OPTION_CPL = 3,
    OPTION_TRAP = 4,
    OPTION_ALIGNED = 8,
    OPTION_COUNT = 16,
    OPTION_WATCH = 32,
    OPTION_STEP = 64,
    OPTION_FLAGS = 128
};
/* Selectors of our GDT. */
enum {
    CODE_32 = 0x08,
    DATA_32 = 0x10,
    CODE_16 = 0x18,
    DATA_16 = 0x20,
    CODE_64 = 0x28,
    USER_32 = 0x30,
    USER_DATA = 0x38,
    USER_64 = 0x40,
    TASK = 0x48 /* two entries */,
    LOCAL = 0x58 /* two */,
    GATE = 0x68 /* two */,
    TASK_GATE = 0x78,
    TASK_16 = 0x80,
    CONFORMING = 0x88,
    DOWN = 0x90,
    USER_16 = 0x98,
    RING_1 = 0xa0,
    RING_1_DATA = 0xa8,
    GDT_END = 0xb8,
};

typedef struct Mode {
    uint8_t code, user, data; /* selectors of CS at CPL 0 and 3, and of data at CPL 0 */
    bool protected, paging, pae, lm, vm86;
} Mode;
static const Mode modes[] = {
    {0},                                  /* real                       */
    {0, .vm86 = true, .protected = true}, /* virtual-8086               */
    {0, .vm86 = true, .protected = true, .paging = true},
    {CODE_16, USER_16, DATA_16, .protected = true},
    {CODE_32, USER_32, DATA_32, .protected = true},
    {CODE_16, USER_16, DATA_16, .protected = true, .paging = true},
    {CODE_32, USER_32, DATA_32, .protected = true, .paging = true},
    {CODE_32, USER_32, DATA_32, .protected = true, .paging = true, .pae = true},
    {CODE_64, USER_64, DATA_32, .protected = true, .paging = true, .pae = true, .lm = true},
    {CODE_32, USER_32, DATA_32, .protected = true, .paging = true, .pae = true,
     .lm = true}, /* compatibility */
    {CODE_16, USER_16, DATA_16, .protected = true, .paging = true, .pae = true, .lm = true},
    {CODE_64, USER_64, DATA_32, .protected = true, .paging = true, .pae = true,
     .lm = true}, /* once more     */
};

static RamBlock *ram, *rom;
static SoftCpu *cpu;
static uint8_t image[RAM_SIZE]; /* what RAM begins with */
static uint64_t state;
static atomic_bool running;
static atomic_uint_fast64_t started_at;

static uint64_t rnd(void)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static bool one_in(unsigned n) { return rnd() % n == 0; }

/* ---- The machine ---- */
static uint64_t device_read(void *opaque, uint64_t at, unsigned size)
{
    return at * UINT64_C(0x0101010101010101);
}
static void device_write(void *opaque, uint64_t at, unsigned size, uint64_t value) {}

static int next_interrupt(Cpu *c)
{
    cpu_lower(c, CPU_EVENT_INTR);
    return 0x20 + (int)(state & 15);
}

/* Blocks that do not count instructions are stopped by the clock. */
static void *watch(void *opaque)
{
    for (;;) {
        g_usleep(1000);
        if (atomic_load(&running) && g_get_monotonic_time() - (gint64)atomic_load(&started_at) > 2000) {
            atomic_store(&cpu->cpu.kicked, true);
            soft_poll(cpu, POLL_KICK);
        }
    }
    return NULL;
}

static void map(Region *r, uint64_t at) { region_map(space_root(space_memory()), r, at, 0); }

static void start(void)
{
    static const IoOps ops = {.read = device_read, .write = device_write};
    static const IoOps narrow = {.read = device_read, .write = device_write, .min = 2, .max = 4};
    static const ModelEnv env = {.supported = soft_supported_cpuid, .topology = {1, 1, 1, 1}};
    soft_prepare();
    loop_main();
    loop_lock();
    clock_manual();
    GError *error = NULL;
    ram = ram_new("fuzz-ram", RAM_SIZE, NULL, &error);
    rom = ram_new("fuzz-rom", PAGE, NULL, &error);
    map(region_ram("low", ram, 0, HOLE), 0);
    map(region_ram("upper", ram, UPPER, RAM_SIZE - UPPER), UPPER);
    map(region_io("device", PAGE, &ops, NULL), DEVICE);
    map(region_io("narrow", 0x700, &narrow, NULL), DEVICE + PAGE); /* not a page of its own */
    map(region_rom("rom", rom, 0, PAGE), ROM);
    map(region_ram("again", ram, 0, UPPER / 2), UINT64_C(0x100000));
    region_map(space_root(space_io()), region_io("ports", 0x100, &ops, NULL), 0x60, 0);
    mem_commit();
    cpu_platform.interrupt = next_interrupt;
    CpuModel *model = model_new("max", &env, &error);
    assert(model);
    cpu = soft_cpu(cpu_new(model, 0, space_memory()));
    g_assert(soft_cpu_setup(&cpu->cpu, NULL));
    loop_unlock();
    mem_reader_register();
    g_thread_unref(g_thread_new("watch", watch, NULL));
}

/* ---- Tables ---- */
static void put(unsigned at, uint64_t value, unsigned size) { memcpy(image + at, &value, size); }

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

static uint64_t gate(uint16_t selector, uint32_t offset, unsigned access)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)access << 40 |
           (uint64_t)(offset >> 16) << 48;
}

static void make_descriptors(const Mode *m)
{
    static const struct {
        uint8_t at, access, flags;
        uint32_t limit;
    } plain[] = {
        {CODE_32, 0x9b, 0xc, 0xfffff},    {DATA_32, 0x93, 0xc, 0xfffff}, {CODE_16, 0x9b, 0, 0xffff},
        {DATA_16, 0x93, 0, 0xffff},       {CODE_64, 0x9b, 0xa, 0xfffff}, {USER_32, 0xfb, 0xc, 0xfffff},
        {USER_DATA, 0xf3, 0xc, 0xfffff},  {USER_64, 0xfb, 0xa, 0xfffff}, {CONFORMING, 0x9f, 0xc, 0xfffff},
        {DOWN, 0x97, 0x4, 0x6fff},        {USER_16, 0xfb, 0, 0xffff},    {RING_1, 0xbb, 0xc, 0xfffff},
        {RING_1_DATA, 0xb3, 0xc, 0xfffff}};
    for (size_t n = 0; n < G_N_ELEMENTS(plain); n++) {
        put(GDT + plain[n].at, descriptor(0, plain[n].limit, plain[n].access, plain[n].flags), 8);
    }
    put(GDT + TASK, descriptor(TSS, 0x2067, 0x8b, 0), 8);
    put(GDT + TASK + 8, 0, 8);
    put(GDT + LOCAL, descriptor(LDT, 0xff, 0x82, 0), 8);
    put(GDT + LOCAL + 8, 0, 8);
    put(GDT + GATE, gate(m->lm ? CODE_64 : CODE_32, CODE + 0x80, 0xec), 8);
    put(GDT + GATE + 8, 0, 8);
    put(GDT + TASK_GATE, gate(TASK_16, 0, 0xe5), 8);
    put(GDT + TASK_16, descriptor(TSS + 0x400, 0x2b, 0x81, 0), 8);
    for (unsigned n = 0; n < 32; n++) {
        put(LDT + 8 * n, rnd(), 8);
    }
    for (unsigned vector = 0; vector < 256; vector++) {
        uint32_t to = CODE + (uint32_t)(rnd() % CODE_SIZE);
        unsigned kind = one_in(12) ? (unsigned)rnd() & 0xff : one_in(2) ? 0x8e : 0xef;
        put(vector * 4, to, 2);
        put(vector * 4 + 2, 0, 2);
        put(IDT + vector * 8, gate(one_in(16) ? CODE_16 : one_in(16) ? CONFORMING : CODE_32, to, kind), 8);
        put(IDT_64 + vector * 16, gate(CODE_64, to, kind) | (uint64_t)(one_in(8) ? rnd() & 7 : 0) << 32, 8);
        put(IDT_64 + vector * 16 + 8, 0, 8);
    }
}

static void make_tss(const Mode *m)
{
    for (unsigned n = 0; n < 0x68; n += 4) {
        put(TSS + n, m->lm ? 0 : rnd() & 0xffff, 4);
    }
    put(TSS + 4, STACK, 4);
    put(TSS + 8, m->lm ? 0 : DATA_32, 4);
    for (unsigned n = 0; n < 7; n++) {
        put(TSS + 0x24 + 8 * n, STACK - 0x100 * n, m->lm ? 8 : 0);
    }
    put(TSS + 0x66, one_in(2) ? 0x88 : 0xffff, 2);
    for (unsigned n = 0; n < 0x2000; n += 8) {
        put(TSS + 0x68 + (n & 0x7f8), rnd() & rnd(), 8);
    }
}

static uint64_t page_rights(unsigned page)
{
    uint64_t rights = PTE_P | PTE_W | PTE_U;
    if (page < TABLES_END / PAGE) {
        return one_in(40) ? PTE_P | PTE_W : rights;
    }
    switch (rnd() % 24) {
    case 0: return 0;
    case 1: return PTE_P | PTE_U;
    case 2: return PTE_P | PTE_W;
    case 3: return rights | PTE_NX;
    case 4: return rights | PTE_G;
    case 5: return rights | (rnd() & 0x7f0ff00000000000);
    default: return rights;
    }
}

/* Identity below 2 MiB, page by page; the same again as large pages above; a few entries of anything. */
static void make_paging(void)
{
    uint64_t table = PTE_P | PTE_W | PTE_U;
    put(TABLE_32, (TABLE_32 + PAGE) | table, 4);
    put(TABLE_32 + 4, 0x00000000 | table | PTE_PS, 4);
    put(TABLE_32 + 8, rnd(), 4);
    put(TABLE_PAE, (TABLE_PAE + PAGE) | PTE_P, 8);
    put(TABLE_PAE + 8, one_in(8) ? rnd() : 0, 8);
    put(TABLE_PAE + PAGE, (TABLE_PAE + 2 * PAGE) | table, 8);
    put(TABLE_PAE + PAGE + 8, table | PTE_PS, 8);
    put(TABLE_PAE + PAGE + 16, rnd(), 8);
    put(TABLE_64, (TABLE_64 + PAGE) | table, 8);
    put(TABLE_64 + 511 * 8, (TABLE_64 + PAGE) | table, 8);
    put(TABLE_64 + PAGE, (TABLE_64 + 2 * PAGE) | table, 8);
    put(TABLE_64 + PAGE + 8, table | PTE_PS, 8);
    put(TABLE_64 + PAGE + 511 * 8, (TABLE_64 + 2 * PAGE) | table, 8);
    put(TABLE_64 + 2 * PAGE, (TABLE_64 + 3 * PAGE) | table, 8);
    put(TABLE_64 + 2 * PAGE + 8, table | PTE_PS, 8);
    put(TABLE_64 + 2 * PAGE + 16, rnd(), 8);
    for (unsigned page = 0; page < 512; page++) {
        uint64_t entry = ((uint64_t)page * PAGE) | page_rights(page);
        put(TABLE_PAE + 2 * PAGE + page * 8, entry, 8);
        put(TABLE_64 + 3 * PAGE + page * 8, entry, 8);
        put(TABLE_32 + PAGE + page * 4, entry, 4);
    }
}

static void fill_memory(const Mode *m, const uint8_t *code, size_t size)
{
    memset(image, 0, CODE);
    for (unsigned n = CODE; n < CODE + CODE_SIZE; n += 8) {
        put(n, rnd(), 8);
    }
    memcpy(image + CODE, code, MIN(size, (size_t)CODE_SIZE));
    make_descriptors(m);
    make_tss(m);
    make_paging();
    const uint8_t *now = ram_host(ram);
    for (unsigned at = 0; at < RAM_SIZE; at += PAGE) {
        if (memcmp(now + at, image + at, PAGE) != 0) {
            ram_write(ram, at, image + at, PAGE);
        }
    }
}

/* ---- The CPU ---- */
static Segment segment_of(uint16_t selector)
{
    uint64_t low, high = 0;
    memcpy(&low, image + GDT + (selector & 0xfff8), 8);
    Segment g = segment_from_descriptor(low, high);
    g.selector = selector;
    return g;
}

static void set_segments(CpuState *c, const Mode *m, unsigned cpl)
{
    for (unsigned n = SEG_ES; n <= SEG_GS; n++) {
        Segment *g = &c->seg[n];
        if (!m->protected || m->vm86) {
            segment_set_real(g, n == SEG_CS ? CODE >> 4 : n == SEG_SS ? 0 : (uint16_t)(rnd() & 0x1fff));
            g->limit = 0xffff;
            g->attr = segment_attr(SEGMENT_WRITABLE | SEGMENT_ACCESSED |
                                       (n == SEG_CS && !m->vm86 ? SEGMENT_CODE : 0),
                                   true, m->vm86 ? 3 : 0, true, false, false, false, false, false);
        } else {
            uint16_t data = cpl == 3 ? USER_DATA : cpl ? RING_1_DATA : m->data;
            *g = segment_of(n == SEG_CS ? (cpl == 3 ? m->user : cpl ? RING_1 : m->code) | cpl : data | cpl);
        }
    }
    c->seg[SEG_TR] = segment_of(TASK);
    c->seg[SEG_LDTR] = segment_of(LOCAL);
    c->seg[SEG_GS].base = m->lm && one_in(2) ? rnd() & 0xffff : c->seg[SEG_GS].base;
    c->gdtr = (TableReg){GDT, GDT_END - 1};
    c->idtr = !m->protected ? (TableReg){0, 0x3ff}
              : m->lm       ? (TableReg){IDT_64, 0xfff}
                            : (TableReg){IDT, 0x7ff};
}

static void set_control(CpuState *c, const Mode *m, unsigned options, unsigned more)
{
    c->cr0 = CR0_ET | (one_in(8) ? CR0_TS : 0) | (one_in(8) ? CR0_EM : 0) | CR0_MP | (one_in(4) ? 0 : CR0_NE);
    c->cr0 |= (m->protected ? CR0_PE : 0) | (m->paging ? CR0_PG : 0) | (one_in(2) ? CR0_WP : 0) | CR0_AM;
    c->cr3 = m->lm ? TABLE_64 : m->pae ? TABLE_PAE : TABLE_32;
    c->cr4 = (m->pae ? CR4_PAE : 0) | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PSE | CR4_PGE |
             (one_in(4) ? 0 : CR4_OSXSAVE);
    c->cr4 |= (more & 1 ? CR4_SMEP : 0) | (more & 2 ? CR4_SMAP : 0) | (more & 4 ? CR4_VME | CR4_PVI : 0) |
              (more & 8 ? CR4_UMIP : 0);
    c->cr4 |= m->lm && one_in(4) ? CR4_PCIDE | CR4_FSGSBASE : 0;
    c->efer = (m->lm ? EFER_LME | EFER_LMA : 0) | (m->pae && !one_in(4) ? EFER_NXE : 0) |
              (one_in(2) ? EFER_SCE : 0);
    c->xcr0 = one_in(4) ? XSTATE_FP : XSTATE_FP | XSTATE_SSE | XSTATE_AVX;
    c->pdpte_valid = false;
    c->rflags = FLAG_ONE | (rnd() & 0xcd5) | (options & OPTION_TRAP ? FLAG_TF : 0) |
                (options & OPTION_ALIGNED ? FLAG_AC : 0) | (m->vm86 ? FLAG_VM : 0) |
                (one_in(2) ? FLAG_IF : 0) | (one_in(3) ? FLAG_IOPL : 0) |
                (options & OPTION_FLAGS ? rnd() & (FLAG_NT | FLAG_RF | FLAG_VIF | FLAG_VIP) : 0);
    c->dr[7] = 0x400;
    for (unsigned n = 0; n < 4 && options & OPTION_WATCH; n++) {
        c->dr[n] = n & 1 ? CODE + rnd() % 512 : STACK - rnd() % 128;
        c->dr[7] |= (rnd() & 3) << 2 * n | (rnd() & 15) << (16 + 4 * n);
    }
}

static void set_cpu(const Mode *m, unsigned options, unsigned more)
{
    CpuState *c = &cpu->cpu.state;
    loop_lock();
    cpu_reset(&cpu->cpu);
    loop_unlock();
    cpu->cpu.halted = cpu->cpu.wait_sipi = false;
    atomic_store(&cpu->cpu.events, 0);
    atomic_store(&cpu->cpu.kicked, false);
    unsigned cpl = m->vm86 ? 3 : m->protected ? options & OPTION_CPL : 0;
    set_control(c, m, options, more);
    set_segments(c, m, cpl);
    for (unsigned n = 0; n < 16; n++) {
        c->gpr[n] = one_in(3) ? rnd() : one_in(2) ? 0x20000 + rnd() % 0x40000 : rnd() & 0xff;
    }
    c->gpr[CPU_RSP] = STACK - 16 * (rnd() & 15);
    c->rip = !m->protected || m->vm86 ? 0 : CODE;
    for (unsigned n = 0; n < 32; n++) {
        c->fpu.xmm[n / 2][n & 1] = rnd();
    }
    c->fpu.mxcsr = one_in(4) ? (uint32_t)(rnd() & 0xffff) : 0x1f80;
    c->fpu.fcw = one_in(4) ? (uint16_t)rnd() : 0x37f;
    cpu->triple = false;
    cpu->delivering = EXC_NONE;
    cpu->delivering_external = false;
    cpu->counting = options & OPTION_COUNT;
    cpu->short_budget = 64;
    soft_sync_in(cpu);
}

static void interrupt(unsigned more)
{
    switch (more >> 4 & 7) {
    case 1: cpu_raise(&cpu->cpu, CPU_EVENT_INTR); break;
    case 2: cpu_raise(&cpu->cpu, CPU_EVENT_NMI); break;
    case 3: cpu_raise(&cpu->cpu, CPU_EVENT_SMI); break;
    case 4: cpu_raise(&cpu->cpu, CPU_EVENT_MCE); break;
    default: return;
    }
    soft_poll(cpu, POLL_KICK);
}

static void run(unsigned options, unsigned more)
{
    gint64 began = g_get_monotonic_time();
    atomic_store(&started_at, (uint64_t)began);
    atomic_store(&running, true);
    SoftExit e = SOFT_COUNTED;
    for (unsigned n = 0;
         n < INSNS / SLICE && e == SOFT_COUNTED && g_get_monotonic_time() - began < PATIENCE_US; n++) {
        if (options & OPTION_STEP) {
            SoftStep step = soft_step(cpu, SLICE, false);
            e = step == STEP_DONE ? SOFT_COUNTED : SOFT_HALTED;
        } else {
            borrow_enter(cpu);
            cpu->left = SLICE;
            e = soft_execute(cpu);
            borrow_leave(cpu);
            soft_sync_out(cpu);
        }
        interrupt(more);
    }
    atomic_store(&running, false);
    assert(!cpu->in_block);
    g_autoptr(GString) text = g_string_new(NULL);
    cpu_state_print(&cpu->cpu.state, text, CPU_DUMP_FPU, true, cpu->cpu.halted);
}

/* ---- Inputs ---- */
static size_t from_hex(const uint8_t *data, size_t size, uint8_t *out)
{
    size_t digits = 0;
    for (size_t n = 0; n < size; n++) {
        int digit = g_ascii_xdigit_value((char)data[n]);
        if (digit >= 0) {
            out[digits / 2] = (uint8_t)(digits & 1 ? out[digits / 2] | digit : digit << 4);
            digits++;
        }
    }
    return (digits + 1) / 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    static uint8_t bytes[CODE_SIZE + 3];
    if (!started) {
        started = true;
        start();
    }
    size = MIN(size, sizeof(bytes));
    if (size && data[0] == 'x') {
        size = from_hex(data + 1, size - 1, bytes);
    } else {
        memcpy(bytes, data, size);
    }
    if (size < 3) {
        return 0;
    }
    state = 0;
    for (size_t n = 0; n < size; n++) {
        state = (state ^ bytes[n]) * UINT64_C(0x100000001b3);
    }
    const Mode *m = &modes[bytes[0] % G_N_ELEMENTS(modes)];
    fill_memory(m, bytes + 3, size - 3);
    set_cpu(m, bytes[1], bytes[2]);
    run(bytes[1], bytes[2]);
    return 0;
}
