/* Micro-ops that hold blocks together: entering, leaving, C functions, addresses that must be checked. */
#include "accel/soft/debug.h"
#include "accel/soft/tlb.h"
#include "accel/soft/translate/translate.h"
#include "accel/soft/uop.h"
#include "core/log.h"

/* ---- Entering and leaving ---- */

static inline void enter(SoftCpu *s, const Uop *u)
{
    Block *b = (Block *)((char *)u - offsetof(Block, uops));
    s->block = b;
    s->rip_base = b->rip;
}

static const Uop *leave_at(SoftCpu *s, uint64_t rip)
{
    s->cpu.state.rip = rip;
    return NULL;
}

static inline const Uop *enter_timed(SoftCpu *s, const Uop *u)
{
    enter(s, u);
    if (G_UNLIKELY(atomic_load_explicit(&s->poll, memory_order_relaxed))) {
        return leave_at(s, s->rip_base);
    }
    return u + 1;
}

static inline const Uop *enter_counted(SoftCpu *s, const Uop *u)
{
    enter(s, u);
    unsigned n = s->block->insns;
    if (G_UNLIKELY(atomic_load_explicit(&s->poll, memory_order_relaxed) || s->left < (int64_t)n)) {
        return leave_at(s, s->rip_base);
    }
    s->left -= n;
    s->count += n;
    s->cur = u;
    s->counted = true;
    return u + 1;
}

#define ENTER(next)                                                                                                    \
    const Uop *next_ = (next);                                                                                         \
    if (G_UNLIKELY(!next_)) {                                                                                          \
        return NULL;                                                                                                   \
    }                                                                                                                  \
    GO(s, next_)

const Uop *exec_enter(SoftCpu *s, const Uop *u)
{
    ENTER(enter_timed(s, u));
}

const Uop *exec_enter_counting(SoftCpu *s, const Uop *u)
{
    ENTER(enter_counted(s, u));
}

/* One that may become hot: the count is in its own micro-op. */
const Uop *exec_enter_cold(SoftCpu *s, const Uop *u)
{
    const Uop *next = enter_timed(s, u);
    if (next && !--((Uop *)u)->imm) {
        translate_block(s, s->block);
        GO(s, u);
    }
    ENTER(next);
}

const Uop *exec_translated(SoftCpu *s, const Uop *u)
{
    enter(s, u);
    ENTER(s->code->translator->enter(s, s->block));
}

const Uop *exec_look(SoftCpu *s, uint64_t rip)
{
    Block *b = block_known(s, rip);
    if (b) {
        return exec_into(s, b);
    }
    return leave_at(s, rip);
}

/* A block that was thrown away, and has a successor. */
const Uop *exec_moved(SoftCpu *s, const Uop *u)
{
    enter(s, u);
    ENTER(exec_into(s, s->block->to[0]));
}

/* Behind an instruction that is done alone. */
const Uop *exec_back(SoftCpu *s, const Uop *u)
{
    return NULL;
}

static void log_registers(SoftCpu *s)
{
    g_autofree CpuState *now = g_memdup2(&s->cpu.state, sizeof(CpuState));
    g_autoptr(GString) text = g_string_new(NULL);
    now->rip = s->rip_base;
    now->rflags = soft_flags(s);
    g_string_append_printf(text, "cpu: cpu %u\n", s->cpu.index);
    cpu_state_print(now, text, 0, !cpu_platform.a20 || cpu_platform.a20(), false);
    log_printf("%s", text->str);
}

/* -d exec and -d cpu: blocks tell of themselves. */
const Uop *exec_enter_logging(SoftCpu *s, const Uop *u)
{
    const Uop *next = s->counting || s->mode & MODE_SINGLE ? enter_counted(s, u) : enter_timed(s, u);
    if (next) {
        if (log_filtered(log_linear(s, s->rip_base), s->block->size)) {
            if (log_enabled(LOG_EXEC)) {
                log_printf("exec: cpu %u %04x:%016" G_GINT64_MODIFIER "x, %u instructions\n", s->cpu.index,
                           s->cpu.state.seg[SEG_CS].selector, s->rip_base, s->block->insns);
            }
            if (log_enabled(LOG_CPU)) {
                log_registers(s);
            }
        }
        GO(s, next);
    }
    return NULL;
}

/* Perhaps a breakpoint; what lets the block run otherwise is looked at before. */
const Uop *exec_enter_debug(SoftCpu *s, const Uop *u)
{
    enter(s, u);
    bool counted = s->counting || s->mode & MODE_SINGLE;
    if (atomic_load_explicit(&s->poll, memory_order_relaxed) || (counted && s->left < (int64_t)s->block->insns) ||
        !soft_debug_enter(s, s->block)) {
        return leave_at(s, s->rip_base);
    }
    return log_enabled(LOG_EXEC) ? exec_enter_logging(s, u) : counted ? exec_enter_counting(s, u) : exec_enter(s, u);
}

/* A block that was thrown away, met by a jump that was linked to it. */
const Uop *exec_stale(SoftCpu *s, const Uop *u)
{
    enter(s, u);
    return leave_at(s, s->rip_base);
}

/* The instructions behind here were overwritten while the block ran. */
const Uop *exec_leave(SoftCpu *s, const Uop *u)
{
    if (s->counting || s->block->mode & MODE_SINGLE) {
        unsigned undone = s->block->insns - u->aux;
        s->left += undone;
        s->count -= undone;
    }
    return leave_at(s, s->rip_base + u->ip);
}

const Uop *exec_fault(SoftCpu *s, const Uop *u)
{
    s->cur = u;
    s->insn_rip = s->rip_base + u->ip;
    if (u->imm == EXC_GP) {
        soft_fault_error(s, EXC_GP, 0);
    }
    soft_fault(s, (unsigned)u->imm);
}

/* ---- C functions ---- */

const Uop *exec_op(SoftCpu *s, const Uop *u)
{
    exec_call_op(s, u);
    NEXT(s, u);
}

const Uop *exec_op_end(SoftCpu *s, const Uop *u)
{
    exec_call_op(s, u);
    if (s->mode_stale || atomic_load_explicit(&s->poll, memory_order_relaxed) ||
        atomic_load_explicit(&s->cpu.events, memory_order_relaxed)) {
        return NULL;
    }
    const Uop *to = exec_go(s, s->cpu.state.rip);
    if (!to) {
        return NULL;
    }
    GO(s, to);
}

/* ---- Addresses ---- */

/* seg number in d, bytes in s; imm: address size, and 256 for a write. */
const Uop *exec_linear(SoftCpu *s, const Uop *u)
{
    uint64_t ea = (uint64_t)(int64_t)u->disp + AT(s, uint64_t, u->base) + (AT(s, uint64_t, u->index) << u->scale);
    unsigned address_size = u->imm & 255, size = u->s;
    ea = address_size == 2 ? (uint16_t)ea : address_size == 4 ? (uint32_t)ea : ea;
    const Segment *g = &s->cpu.state.seg[u->d];
    if (G_LIKELY(!(s->mode & MODE_PROTECTED) && ea + size - 1 <= g->limit)) {
        s->tmp[3] = (uint32_t)(g->base + ea);
    } else {
        s->cur = u;
        s->insn_rip = s->rip_base + u->ip;
        s->tmp[3] = soft_linear(s, u->d, ea, size, u->imm >> 8);
    }
    NEXT(s, u);
}
