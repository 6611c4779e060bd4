/* System management mode (SDM vol 3 ch. 31, AMD APM vol 2 ch. 10).
 *
 * The state save area is at SMBASE + FE00H.  A CPU with long mode has the AMD64 map (APM vol 2 table 10-1),
 * revision 20064H, whatever its vendor: it is what the firmware of PCs without hardware expects, by that
 * number.  Others have the map of the P6 family, revision 20000H (SDM table 31-1), whose reserved bytes hold
 * our copy of the hidden parts of segment registers.  Neither revision offers I/O instruction restart: bit 16
 * is clear, the I/O trap word says "not valid", and RSM does not look at the restart slot.
 *
 * DR0-3, CR2, the FPU and MSRs are the handler's to save (§31.4.1.1). */
#include "accel/soft/op/far.h"
#include "cpu/blackbox/ring.h"
#include "hw/platform.h"

enum { SAVE_AREA = 0xfe00, SAVE_SIZE = 0x200, ENTRY = 0x8000 };

typedef struct SaveArea {
    uint8_t byte[SAVE_SIZE];
} SaveArea;

/* Fields by the offsets that the manuals print, less 7E00H resp. FE00H. */
static void put(SaveArea *a, unsigned at, unsigned size, uint64_t v)
{
    memcpy(&a->byte[at & (SAVE_SIZE - 1)], &v, size);
}

static uint64_t get(const SaveArea *a, unsigned at, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, &a->byte[at & (SAVE_SIZE - 1)], size);
    return v;
}

/* Registers that are no more than a field: one table for both directions. */
typedef struct Field {
    uint16_t at;
    uint8_t size;
    uint16_t offset;                    /* in CpuState; 64 bits there */
} Field;
#define FIELD(at, size, f) {at, size, offsetof(CpuState, f)}

static uint64_t *field_of(CpuState *st, const Field *f)
{
    return (uint64_t *)((char *)st + f->offset);
}

static void fields_save(SaveArea *a, CpuState *st, const Field *f)
{
    for (; f->size; f++) {
        put(a, f->at, f->size, *field_of(st, f));
    }
}

static void fields_restore(const SaveArea *a, CpuState *st, const Field *f)
{
    for (; f->size; f++) {
        *field_of(st, f) = get(a, f->at, f->size);
    }
}

/* What the area says beside registers. */
typedef struct SmmNotes {
    uint32_t smbase;
    bool halt;
    uint8_t shadow;
} SmmNotes;

/* ---- AMD64 map ---- */

static const Field fields_64[] = {
    FIELD(0xfed0, 8, efer),         FIELD(0xff48, 8, cr4),          FIELD(0xff50, 8, cr3),
    FIELD(0xff58, 8, cr0),          FIELD(0xff60, 8, dr[7]),        FIELD(0xff68, 8, dr[6]),
    FIELD(0xff70, 8, rflags),       FIELD(0xff78, 8, rip),          FIELD(0xff80, 8, gpr[CPU_R15]),
    FIELD(0xff88, 8, gpr[CPU_R14]), FIELD(0xff90, 8, gpr[CPU_R13]), FIELD(0xff98, 8, gpr[CPU_R12]),
    FIELD(0xffa0, 8, gpr[CPU_R11]), FIELD(0xffa8, 8, gpr[CPU_R10]), FIELD(0xffb0, 8, gpr[CPU_R9]),
    FIELD(0xffb8, 8, gpr[CPU_R8]),  FIELD(0xffc0, 8, gpr[CPU_RDI]), FIELD(0xffc8, 8, gpr[CPU_RSI]),
    FIELD(0xffd0, 8, gpr[CPU_RBP]), FIELD(0xffd8, 8, gpr[CPU_RSP]), FIELD(0xffe0, 8, gpr[CPU_RBX]),
    FIELD(0xffe8, 8, gpr[CPU_RDX]), FIELD(0xfff0, 8, gpr[CPU_RCX]), FIELD(0xfff8, 8, gpr[CPU_RAX]),
    FIELD(0xfe68, 8, gdtr.base),    FIELD(0xfe88, 8, idtr.base),    {0},
};
static const uint16_t segments_64[CPU_SEGS] = {[SEG_ES] = 0xfe00, [SEG_CS] = 0xfe10, [SEG_SS] = 0xfe20, [SEG_DS] = 0xfe30,
                                               [SEG_FS] = 0xfe40, [SEG_GS] = 0xfe50, [SEG_LDTR] = 0xfe70, [SEG_TR] = 0xfe90};

static void save_64(SaveArea *a, CpuState *st, const SmmNotes *n)
{
    fields_save(a, st, fields_64);
    for (unsigned i = 0; i < CPU_SEGS; i++) {
        const Segment *g = &st->seg[i];
        put(a, segments_64[i], 2, g->selector);
        put(a, segments_64[i] + 2, 2, (g->attr & 0xff) | (g->attr >> 4 & 0xf00));
        put(a, segments_64[i] + 4, 4, g->limit);
        put(a, segments_64[i] + 8, 8, g->base);
    }
    put(a, 0xfe64, 2, st->gdtr.limit);
    put(a, 0xfe84, 2, st->idtr.limit);
    put(a, 0xfec9, 1, n->halt);
    put(a, 0xfecb, 1, n->shadow); /* reserved */
    put(a, 0xfefc, 4, 0x20064);
    put(a, 0xff00, 4, n->smbase);
}

static SmmNotes restore_64(const SaveArea *a, CpuState *st)
{
    fields_restore(a, st, fields_64);
    for (unsigned i = 0; i < CPU_SEGS; i++) {
        unsigned attr = (unsigned)get(a, segments_64[i] + 2, 2);
        st->seg[i] = (Segment){.selector = (uint16_t)get(a, segments_64[i], 2),
                               .limit = (uint32_t)get(a, segments_64[i] + 4, 4),
                               .base = get(a, segments_64[i] + 8, 8),
                               .attr = (attr & 0xff) | (attr & 0xf00) << 4 | (attr & ATTR_P ? 0 : ATTR_UNUSABLE)};
    }
    st->gdtr.limit = (uint16_t)get(a, 0xfe64, 2);
    st->idtr.limit = (uint16_t)get(a, 0xfe84, 2);
    return (SmmNotes){.smbase = (uint32_t)get(a, 0xff00, 4),
                      .halt = get(a, 0xfec9, 1) & 1,
                      .shadow = get(a, 0xfecb, 1) & (SHADOW_MOV_SS | SHADOW_STI)};
}

/* ---- Map of 32-bit processors ---- */

static const Field fields_32[] = {
    FIELD(0x7ffc, 4, cr0),          FIELD(0x7ff8, 4, cr3),          FIELD(0x7ff4, 4, rflags),
    FIELD(0x7ff0, 4, rip),          FIELD(0x7fec, 4, gpr[CPU_RDI]), FIELD(0x7fe8, 4, gpr[CPU_RSI]),
    FIELD(0x7fe4, 4, gpr[CPU_RBP]), FIELD(0x7fe0, 4, gpr[CPU_RSP]), FIELD(0x7fdc, 4, gpr[CPU_RBX]),
    FIELD(0x7fd8, 4, gpr[CPU_RDX]), FIELD(0x7fd4, 4, gpr[CPU_RCX]), FIELD(0x7fd0, 4, gpr[CPU_RAX]),
    FIELD(0x7fcc, 4, dr[6]),        FIELD(0x7fc8, 4, dr[7]),        FIELD(0x7e04, 4, gdtr.base),
    FIELD(0x7e0c, 4, idtr.base),    FIELD(0x7e10, 4, cr4),          {0},
};
static const uint16_t selectors_32[CPU_SEGS] = {[SEG_ES] = 0x7fa8, [SEG_CS] = 0x7fac, [SEG_SS] = 0x7fb0, [SEG_DS] = 0x7fb4,
                                                [SEG_FS] = 0x7fb8, [SEG_GS] = 0x7fbc, [SEG_LDTR] = 0x7fc0, [SEG_TR] = 0x7fc4};
enum { HIDDEN_32 = 0x7e20, HIDDEN_SIZE = 12 };         /* base, limit, attr of each; reserved bytes */

static void save_32(SaveArea *a, CpuState *st, const SmmNotes *n)
{
    fields_save(a, st, fields_32);
    for (unsigned i = 0; i < CPU_SEGS; i++) {
        const Segment *g = &st->seg[i];
        unsigned hidden = HIDDEN_32 + HIDDEN_SIZE * i;
        put(a, selectors_32[i], 4, g->selector);
        put(a, hidden, 4, g->base);
        put(a, hidden + 4, 4, g->limit);
        put(a, hidden + 8, 4, g->attr);
    }
    put(a, 0x7e00, 2, st->gdtr.limit);
    put(a, 0x7e08, 2, st->idtr.limit);
    put(a, 0x7e14, 1, n->shadow);
    put(a, 0x7f02, 2, n->halt);
    put(a, 0x7efc, 4, 0x20000);
    put(a, 0x7ef8, 4, n->smbase);
}

static SmmNotes restore_32(const SaveArea *a, CpuState *st)
{
    fields_restore(a, st, fields_32);
    st->efer = 0;
    for (unsigned i = 0; i < CPU_SEGS; i++) {
        unsigned hidden = HIDDEN_32 + HIDDEN_SIZE * i;
        st->seg[i] = (Segment){.selector = (uint16_t)get(a, selectors_32[i], 2),
                               .base = get(a, hidden, 4),
                               .limit = (uint32_t)get(a, hidden + 4, 4),
                               .attr = (uint32_t)get(a, hidden + 8, 4) & ATTR_ALL};
    }
    st->gdtr.limit = (uint16_t)get(a, 0x7e00, 2);
    st->idtr.limit = (uint16_t)get(a, 0x7e08, 2);
    return (SmmNotes){.smbase = (uint32_t)get(a, 0x7ef8, 4),
                      .halt = get(a, 0x7f02, 2) & 1,
                      .shadow = get(a, 0x7e14, 1) & (SHADOW_MOV_SS | SHADOW_STI)};
}
_Static_assert(HIDDEN_32 + HIDDEN_SIZE * CPU_SEGS <= 0x7ef8, "below SMBASE");

/* ---- Entry ---- */

static bool has_long_mode(const SoftCpu *s)
{
    return s->cpu.model && model_has(s->cpu.model, FEATURE_LM);
}

/* c->memory becomes what event.smm asks for. */
static void update_memory(SoftCpu *s)
{
    if (platform.smm_space) {
        Space *want = s->cpu.state.event.smm ? platform.smm_space : space_memory();
        if (s->cpu.memory != want) {
            s->cpu.memory = want;
            soft_memory_changed(s);
        }
    }
}

static SmmNotes notes_now(const SoftCpu *s)
{
    const CpuState *st = &s->cpu.state;
    return (SmmNotes){.smbase = (uint32_t)st->msr.smbase,
                      .halt = s->cpu.halted && !s->cpu.wait_sipi,
                      .shadow = st->event.interrupt_shadow};
}

/* SDM vol 3 table 31-4. */
static void enter_state(SoftCpu *s)
{
    CpuState *st = &s->cpu.state;
    uint32_t flat = ATTR_P | ATTR_S | ATTR_G | SEGMENT_WRITABLE | SEGMENT_ACCESSED;
    for (unsigned n = SEG_ES; n <= SEG_GS; n++) {
        st->seg[n] = (Segment){.limit = UINT32_MAX, .attr = flat};
    }
    st->seg[SEG_CS].selector = (uint16_t)(st->msr.smbase >> 4);
    st->seg[SEG_CS].base = (uint32_t)st->msr.smbase;
    st->cr0 &= ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    st->cr4 = 0;
    st->efer = 0;
    st->dr[7] = 0x400;
    st->rip = ENTRY;
    soft_set_flags(s, FLAG_ONE);
}

static void everything_changed(SoftCpu *s)
{
    soft_changed(s);
    soft_tlb_flush(s, true);
    soft_leave(s);
}

void soft_enter_smm(SoftCpu *s)
{
    CpuState *st = &s->cpu.state;
    SaveArea area = {{0}};
    box_note(&s->cpu, BOX_SMI, 0, 0, 0, 0, st->rip);
    SmmNotes notes = notes_now(s);
    st->rflags = soft_flags(s);
    if (has_long_mode(s)) {
        save_64(&area, st, &notes);
    } else {
        save_32(&area, st, &notes);
    }
    st->event.smm = true;
    update_memory(s);
    space_write(s->cpu.memory, notes.smbase + SAVE_AREA, &area, sizeof(area));
    st->event.smi_pending = false;
    st->event.smm_inside_nmi = st->event.nmi_masked;
    st->event.nmi_masked = true; /* until IRET or RSM (§31.8) */
    st->event.interrupt_shadow = 0;
    st->msr.smi_count++;
    s->cpu.halted = false;
    enter_state(s);
    everything_changed(s);
}

/* ---- RSM ---- */

/* What makes RSM shut the processor down (SDM vol 2 RSM, vol 3 §31.7). */
static bool state_valid(const SoftCpu *s)
{
    const CpuState *st = &s->cpu.state;
    uint64_t cr4 = s->cpu.model ? model_cr4(s->cpu.model) : UINT64_MAX;
    if ((st->cr0 & CR0_PG && !(st->cr0 & CR0_PE)) || (st->cr0 & CR0_NW && !(st->cr0 & CR0_CD)) || st->cr4 & ~cr4) {
        return false;
    }
    uint64_t lma = st->cr0 & CR0_PG && st->efer & EFER_LME ? EFER_LMA : 0;
    return (st->efer & EFER_LMA) == lma && (!lma || st->cr4 & CR4_PAE) && !(lma && st->rflags & FLAG_VM);
}

/* Events that came meanwhile are taken now; NMIs stay blocked where they were before the SMI. */
static void release_events(SoftCpu *s)
{
    CpuEvents *e = &s->cpu.state.event;
    e->smm = false;
    e->nmi_masked = e->smm_inside_nmi;
    e->smm_inside_nmi = false;
    if (e->init_latched) {
        e->init_latched = false;
        cpu_raise(&s->cpu, CPU_EVENT_INIT);
    }
    if (e->smi_pending) {
        e->smi_pending = false;
        cpu_raise(&s->cpu, CPU_EVENT_SMI);
    }
}

void op_rsm(SoftCpu *s, const Insn *i)
{
    CpuState *st = &s->cpu.state;
    SaveArea area;
    if (!st->event.smm) {
        soft_fault(s, EXC_UD);
    }
    space_read(s->cpu.memory, (uint32_t)st->msr.smbase + SAVE_AREA, &area, sizeof(area));
    box_note(&s->cpu, BOX_RSM, 0, 0, 0, 0, s->insn_rip);
    SmmNotes notes = has_long_mode(s) ? restore_64(&area, st) : restore_32(&area, st);
    st->pdpte_valid = false;
    soft_set_flags(s, st->rflags | FLAG_ONE);
    if (!state_valid(s)) {
        box_shutdown(&s->cpu, BOX_BAD_RSM);
        s->triple = true;
        everything_changed(s);
        return;
    }
    st->msr.smbase = notes.smbase;
    st->event.interrupt_shadow = notes.shadow;
    s->cpu.halted = notes.halt;
    release_events(s);
    update_memory(s);
    everything_changed(s);
}
