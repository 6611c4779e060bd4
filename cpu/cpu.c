#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "cpu/blackbox/ring.h"
#include "cpu/model.h"
#include "cpu/msr.h"

CpuOps cpu_ops;
CpuPlatform cpu_platform;

static Cpu *cpus[CPU_MOST];
static unsigned count;
size_t cpu_room;
static __thread Cpu *current;

// clang-format off
const Row cpu_run_rows[] = {
    STATE(Cpu, halted), STATE(Cpu, wait_sipi), STATE(Cpu, sipi_vector),
    {.kind = ROW_STATE, ROW_FIELD(Cpu, events), .type = TYPE_UINT, .max = CPU_EVENTS_ALL},
    END
};
// clang-format on

Cpu *cpu_new(const CpuModel *model, uint32_t apic_id, Space *memory)
{
    g_assert(count < CPU_MOST);
    size_t size = (MAX(cpu_room, sizeof(Cpu)) + _Alignof(Cpu) - 1) & ~(_Alignof(Cpu) - 1);
    Cpu *c = aligned_alloc(_Alignof(Cpu), size);
    g_assert(c);
    memset(c, 0, size);
    c->index = count;
    c->apic_id = apic_id;
    c->model = model;
    c->memory = memory;
    c->is_bsp = count == 0;
    c->work = g_queue_new();
    cpus[count++] = c;
    cpu_reset(c);
    c->box = box_new(); /* the first reset is when its thread starts */
    return c;
}

void cpu_free(Cpu *c)
{
    for (unsigned n = cpu_position(c) + 1; n < count; n++) {
        cpus[n - 1] = cpus[n];
    }
    cpus[--count] = NULL;
    g_queue_free(c->work);
    box_free(c->box);
    free(c);
}

void cpu_free_all(void)
{
    while (count) {
        cpu_free(cpus[count - 1]);
    }
    current = NULL;
}

unsigned cpu_count(void)
{
    return count;
}

Cpu *cpu_at(unsigned n)
{
    return n < count ? cpus[n] : NULL;
}

Cpu *cpu_by_index(unsigned index)
{
    for (unsigned n = 0; n < count; n++) {
        if (cpus[n]->index == index) {
            return cpus[n];
        }
    }
    return NULL;
}

unsigned cpu_position(const Cpu *c)
{
    unsigned n = 0;
    while (n < count && cpus[n] != c) {
        n++;
    }
    return n;
}

Cpu *cpu_by_apic_id(uint32_t apic_id)
{
    for (unsigned i = 0; i < count; i++) {
        if (cpus[i]->apic_id == apic_id) {
            return cpus[i];
        }
    }
    return NULL;
}

Cpu *cpu_current(void)
{
    return current;
}

void cpu_set_current(Cpu *c)
{
    current = c;
}

/* Present, accessed, and a limit of 64K: what reset leaves in every segment register (SDM vol 3
 * table 9-1). */
static Segment reset_segment(uint16_t selector, uint64_t base, unsigned type, bool s)
{
    return (Segment){.selector = selector,
                     .base = base,
                     .limit = 0xffff,
                     .attr = segment_attr(type, s, 0, true, false, false, false, false, false)};
}

/* What power-up, RESET and INIT have in common. */
static void reset_common(Cpu *c)
{
    CpuState *s = &c->state;
    unsigned data = SEGMENT_WRITABLE | SEGMENT_ACCESSED;
    memset(s->gpr, 0, sizeof(s->gpr));
    s->gpr[CPU_RDX] = c->model ? model_signature(c->model) : 0x600;
    s->rip = 0xfff0;
    s->rflags = FLAG_ONE;
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        s->seg[i] = reset_segment(0, 0, data, true);
    }
    s->seg[SEG_CS] = reset_segment(0xf000, 0xffff0000, SEGMENT_CODE | data, true);
    s->seg[SEG_LDTR] = reset_segment(0, 0, 2, false);
    s->seg[SEG_TR] = reset_segment(0, 0, 11, false);
    s->gdtr = s->idtr = (TableReg){.limit = 0xffff};
    s->cr2 = s->cr3 = s->cr4 = s->cr8 = 0;
    s->efer = 0;
    memset(s->pdpte, 0, sizeof(s->pdpte));
    s->pdpte_valid = false;
    memset(s->dr, 0, sizeof(s->dr));
    s->dr[6] = 0xffff0ff0;
    s->dr[7] = 0x400;
    memset(&s->event, 0, sizeof(s->event));
    c->halted = c->wait_sipi = !c->is_bsp;
    c->state_valid = c->state_dirty = true;
}

/* -d cpu_reset: what the CPU was before. */
static void log_reset(const Cpu *c)
{
    if (log_enabled(LOG_CPU_RESET)) {
        g_autoptr(GString) text = g_string_new(NULL);
        bool a20 = !cpu_platform.a20 || cpu_platform.a20();
        cpu_state_print(&c->state, text, CPU_DUMP_FPU, a20, c->halted);
        log_printf("CPU Reset (CPU %u)\n%s", c->index, text->str);
    }
}

void cpu_reset(Cpu *c)
{
    CpuState *s = &c->state;
    log_reset(c);
    box_restart(c, BOX_RESET, 0);
    reset_common(c);
    s->cr0 = CR0_CD | CR0_NW | CR0_ET;
    s->xcr0 = XSTATE_FP;
    fpu_reset(s);
    /* After power-up x87 is not as FNINIT leaves it: FCW 0040H, tag word 5555H (zeros, in use). */
    s->fpu.fcw = 0x40;
    s->fpu.ftw = 0xff;
    s->fpu.xstate_bv = XSTATE_FP;
    c->sipi_vector = 0;
    atomic_store(&c->events, 0);
    msr_reset(c, false);
    if (cpu_platform.apic_reset && c->apic) {
        cpu_platform.apic_reset(c, false);
    }
    if (cpu_platform.power_on) {
        cpu_platform.power_on(c);
    }
}

void cpu_init_signal(Cpu *c)
{
    CpuState *s = &c->state;
    bool in_smm = s->event.smm;
    if (in_smm) {
        s->event.init_latched = true; /* taken by RSM (SDM vol 3 §31.3) */
        return;
    }
    box_restart(c, BOX_INIT, 0);
    reset_common(c);
    s->cr0 = (s->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
    msr_reset(c, true);
    if (cpu_platform.apic_reset && c->apic) {
        cpu_platform.apic_reset(c, true);
    }
}

void cpu_start_at(Cpu *c, uint8_t vector)
{
    if (!c->wait_sipi) {
        return; /* only the first SIPI after INIT counts */
    }
    Segment *cs = &c->state.seg[SEG_CS];
    box_restart(c, BOX_SIPI, vector);
    c->sipi_vector = vector;
    cs->selector = (uint16_t)(vector << 8);
    cs->base = (uint64_t)vector << 12;
    c->state.rip = 0;
    c->halted = c->wait_sipi = false;
    c->state_dirty = true;
}

void cpu_raise(Cpu *c, unsigned event)
{
    atomic_fetch_or(&c->events, event);
    if (cpu_ops.kick && c != current) {
        cpu_ops.kick(c);
    }
}

void cpu_lower(Cpu *c, unsigned event)
{
    atomic_fetch_and(&c->events, ~event);
}

void cpu_sync(Cpu *c)
{
    if (!c->state_valid && cpu_ops.sync) {
        cpu_ops.sync(c);
    }
}

void cpu_run_on(Cpu *c, void (*fn)(Cpu *c, void *arg), void *arg)
{
    if (c == current || !cpu_ops.run_on) {
        fn(c, arg);
    } else {
        cpu_ops.run_on(c, fn, arg);
    }
}
