#include "tests/soft/guest.h"

#include <cpuid.h>
#include <string.h>

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/offer.h"
#include "accel/soft/run.h"
#include "accel/soft/translate/translate.h"
#include "accel/soft/uop.h"
#include "core/loop.h"
#include "mem/host.h"
#include "mem/ram.h"
#include "tests/cpu/cpu-test.h"

enum {
    RAM_SIZE = 4 << 20,
    TABLES = 0x1000 /* four of them */,
    ARENA_AT = 0x100000 /* where the arena's pages are */,
    SELECTOR_CODE = 0x30,
    SELECTOR_DATA = 0x28,
};

static RamBlock *ram;
static SoftCpu *cpus[WAYS];
static uint64_t counted;
static volatile bool stopped;
static SoftCpu *volatile current;

/* ---- Memory ---- */
uint8_t *guest_memory(unsigned at) { return (uint8_t *)ram_host(ram) + ARENA_AT + at; }
void guest_write(unsigned at, const void *data, size_t len) { ram_write(ram, ARENA_AT + at, data, len); }

static void put_entry(unsigned table, uint64_t index, uint64_t value)
{
    ram_write(ram, table + (index & 511) * 8, &value, 8);
}

static void map_page(unsigned at, uint64_t rights)
{
    put_entry(TABLES + 3 * ARENA_PAGE, (arena + at) >> 12, (ARENA_AT + at) | PTE_P | PTE_U | rights);
}

static void map_arena(void)
{
    uint64_t table = PTE_P | PTE_W | PTE_U;
    for (unsigned level = 0; level < 3; level++) {
        put_entry(TABLES + level * ARENA_PAGE, arena >> (39 - 9 * level),
                  (TABLES + (level + 1) * ARENA_PAGE) | table);
    }
    for (unsigned at = ARENA_CODE; at < ARENA_CODE + ARENA_CODE_SIZE; at += ARENA_PAGE) {
        map_page(at, PTE_W);
    }
    for (unsigned at = ARENA_DATA; at < ARENA_DATA + ARENA_DATA_SIZE; at += ARENA_PAGE) {
        map_page(at, PTE_W | PTE_NX);
    }
    map_page(ARENA_CONST, PTE_NX);
    map_page(ARENA_EXIT, 0);
    guest_write(ARENA_EXIT, silicon_memory(ARENA_EXIT), ARENA_PAGE); /* to be read, now and then */
    guest_write(ARENA_EXIT, "\x0f\x0b", 2);                          /* UD2 */
}

/* ---- CPUs ---- */
static CpuModel *model_of_host(void)
{
    static const ModelEnv env = {.supported = soft_supported_cpuid, .topology = {1, 1, 1, 1}};
    unsigned eax, vendor[3];
    char option[64];
    __get_cpuid(0, &eax, &vendor[0], &vendor[2], &vendor[1]);
    g_snprintf(option, sizeof(option), "max,vendor=%.12s", (const char *)vendor);
    return model_or_fail(option, &env);
}

static void set_mode(CpuState *c, bool code_32, bool user)
{
    unsigned dpl = user ? 3 : 0;
    for (unsigned n = SEG_ES; n <= SEG_GS; n++) {
        unsigned type = SEGMENT_ACCESSED | (n == SEG_CS ? SEGMENT_CODE | SEGMENT_READABLE : SEGMENT_WRITABLE);
        bool null = n == SEG_FS || n == SEG_GS || (!code_32 && (n == SEG_DS || n == SEG_ES));
        c->seg[n] = (Segment){
            .selector = null ? 0 : (uint16_t)((n == SEG_CS ? SELECTOR_CODE : SELECTOR_DATA) | dpl),
            .limit = UINT32_MAX,
            .attr = segment_attr(type, true, dpl, true, false, n == SEG_CS && !code_32,
                                 !(n == SEG_CS && !code_32), true, null),
            .base = n == SEG_GS && !code_32 ? ARENA_GS_BASE : 0,
        };
    }
}

static void make_cpu(GuestWay way, CpuModel *model)
{
    Cpu *c = cpu_new(model, way, space_memory());
    CpuState *s = &c->state;
    c->halted = c->wait_sipi = false;
    s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    s->cr3 = TABLES;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_PGE;
    s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    s->xcr0 = XSTATE_FP | XSTATE_SSE | XSTATE_AVX;
    s->seg[SEG_TR].limit = 0; /* no I/O permission map */
    set_mode(s, false, true);
    cpus[way] = soft_cpu(c);
    g_assert(soft_cpu_setup(c, NULL));
    cpus[way]->counting = way == WAY_COUNTED;
    cpus[way]->short_budget = 64;
}

void guest_setup(void)
{
    GError *error = NULL;
    soft_prepare();
    loop_main();
    loop_lock();
    ram = ram_new("engine", RAM_SIZE, NULL, &error);
    g_assert(ram);
    region_map(space_root(space_memory()), region_ram("engine", ram, 0, RAM_SIZE), 0, 0);
    mem_commit();
    map_arena();
    CpuModel *model = model_of_host();
    for (unsigned way = 0; way < WAYS; way++) {
        make_cpu(way, model);
    }
    loop_unlock();
    mem_reader_register();
}

bool guest_knows(const Insn *i, bool code_32)
{
    SoftCpu *s = cpus[WAY_BLOCKS];
    uint32_t mode = MODE_PROTECTED | MODE_USER | MODE_FLAT_DATA | MODE_FLAT_STACK | MODE_FLAT_CODE |
                    MODE_SSE | MODE_AVX | (code_32 ? MODE_32 | MODE_STACK_32 : MODE_64 | MODE_STACK_64);
    return borrow_check(s, i, mode) == BORROW_OK;
}

/* ---- Running ---- */
static void enter(SoftCpu *s, const Sequence *q, const Standing *in)
{
    CpuState *c = &s->cpu.state;
    memcpy(c->gpr, in->gpr, sizeof(in->gpr));
    c->rip = in->rip;
    c->rflags = in->flags;
    c->fpu = in->fpu;
    bool other = (cpu_code_size(c) == 32) != q->code_32 || (cpu_cpl(c) == 3) != q->user;
    if (other || one_in(16)) {
        set_mode(c, q->code_32, q->user);
        soft_sync_in(s);
    } else { /* translations and blocks stay */
        soft_set_cc(s, in->flags);
        soft_changed(s);
    }
    s->count = 0;
}

static void leave(SoftCpu *s, SoftExit e, Standing *out)
{
    const CpuState *c = &s->cpu.state;
    soft_sync_out(s);
    memcpy(out->gpr, c->gpr, sizeof(out->gpr));
    out->rip = c->rip;
    out->flags = c->rflags;
    out->fpu = c->fpu;
    out->endless = e != SOFT_FAULT;
    out->vector = s->fault.vector;
    out->error = s->fault.has_error ? s->fault.error : 0;
    out->cr2 = s->fault.vector == EXC_PF ? s->fault.payload : 0;
    if (out->vector == EXC_UD && out->rip == arena + ARENA_EXIT) {
        out->vector = EXC_NONE;
    }
}

static SoftExit run_steps(SoftCpu *s, GuestTrace *trace)
{
    counted = 0;
    while (trace(s->cpu.state.rip, s->cpu.state.gpr)) {
        counted++;
        if (soft_step(s, 1, true) == STEP_FAULT) {
            return SOFT_FAULT;
        }
    }
    return SOFT_COUNTED;
}

static SoftExit run_blocks(SoftCpu *s, bool counting)
{
    SoftExit e;
    s->catch_faults = true;
    s->stepping = false;
    borrow_enter(s);
    do {
        s->left = !counting ? 0 : one_in(2) ? 1 + below(10) : 1000;
        e = soft_execute(s);
    } while (e == SOFT_COUNTED && !stopped);
    borrow_leave(s);
    s->catch_faults = false;
    counted = s->count;
    return e;
}

void guest_run(GuestWay way, const Sequence *q, const Standing *in, Standing *out, GuestTrace *trace)
{
    SoftCpu *s = cpus[way];
    stopped = false;
    translate_off = way != WAY_TRANSLATED; /* asked for with the first block */
    translate_heat = 1;
    enter(s, q, in);
    current = s;
    SoftExit e = way == WAY_STEPS ? run_steps(s, trace) : run_blocks(s, way == WAY_COUNTED);
    current = NULL;
    atomic_store(&s->cpu.kicked, false);
    leave(s, e, out);
}

uint64_t guest_translated(void)
{
    const Translator *t = cpus[WAY_TRANSLATED]->code->translator;
    return t ? t->instructions : 0;
}

uint64_t guest_count(void) { return counted; }

void guest_stop(void)
{
    stopped = true;
    if (current) {
        atomic_store(&current->cpu.kicked, true);
        soft_poll(current, POLL_KICK);
    }
}
