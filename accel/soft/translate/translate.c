/* A block as host code: what is common to all instructions, and what lies around them. */
#include "accel/soft/translate/translate.h"

#include <Zydis/Zydis.h>

bool translate_off;
unsigned translate_heat = 16;

enum { MOST_INSNS = 64, BLOCK_ROOM = 64 << 10 /* more than any block takes */, CODE_ALIGN = 16 };

/* ---- Pieces of instructions ---- */

Cold *work_cold(Work *w, ColdKind kind, uint8_t *from)
{
    g_assert(w->colds < G_N_ELEMENTS(w->cold));
    Cold *c = &w->cold[w->colds++];
    *c = (Cold){.kind = kind, .from = from, .u = w->u, .before = w->vectors};
    return c;
}

static void flags_in(Emit *e)
{
    emit_op(e, 0, 0x1b7, H_RAX, FIELD(cc), 0); /* movzx eax, word */
    emit_8(e, 0x04);                           /* add al, 7fh: OF from bit 0 */
    emit_8(e, 0x7f);
    emit_8(e, 0x9e); /* sahf */
}

void work_flags_in(Work *w)
{
    if (!w->host_flags) {
        flags_in(&w->e);
        w->host_flags = true;
    }
}

void work_flags_out(Work *w)
{
    emit_8(&w->e, 0x9f); /* lahf */
    emit_op(&w->e, E_BYTE, 0x190, 0, rm_reg(H_RAX), 0); /* seto al */
    emit_store(&w->e, E_66, FIELD(cc), H_RAX);
    w->host_flags = true;
}

/* ---- Blocks ---- */

static void micro_op_in_rsi(Emit *e, const Uop *u)
{
    emit_op(e, E_W, 0x8d, H_RSI, rm_at(u), 0);
}

static const uint8_t *written(const Translator *t, const uint8_t *runs)
{
    return t->code.write + (runs - t->code.run);
}

static void emit_cold(Work *w, const Cold *c)
{
    Emit *e = &w->e;
    emit_land(e, c->from);
    vectors_store(e, &c->before);
    switch (c->kind) {
    case COLD_ALONE:
        micro_op_in_rsi(e, c->u);
        emit_call_near(e, written(w->t, w->t->alone));
        vectors_load(e, &c->behind);
        if (c->flags) {
            flags_in(e);
        }
        emit_jump(e, c->back);
        return;
    case COLD_GO_ON:
        micro_op_in_rsi(e, c->u);
        emit_jump(e, written(w->t, w->t->go_on));
        return;
    case COLD_LEAVE_TO:
        emit_number(e, H_RAX, c->rip);
        emit_jump(e, written(w->t, w->t->leave_to));
        return;
    case COLD_LEAVE: emit_jump(e, written(w->t, w->t->leave)); return;
    }
}

static void emit_entry(Work *w)
{
    emit_store(&w->e, E_W, FIELD(block), H_RAX);
    emit_op(&w->e, 0, 0x83, 7, FIELD(poll), 1); /* cmp dword, 0 */
    emit_8(&w->e, 0);
    work_cold(w, COLD_LEAVE, emit_jump_if(&w->e, IF_NE, NULL));
}

/* Perhaps one micro-op with the jump behind it. */
static bool may_be_fused(const Work *w)
{
    const Uop *last = &w->b->uops[w->b->uop_count - 1];
    return w->u == last - 1 && w->u->aux + 2 == w->b->insns && insn_is_jcc(w->i + 1);
}

/* The instruction by its micro-ops; behind an end, what they lead to. */
static void emit_by_micro_ops(Work *w)
{
    work_store_vectors(w);
    w->window.open = false;
    micro_op_in_rsi(&w->e, w->u);
    w->host_flags = false;
    if (w->u->fn == exec_fault || insn_ends(w->i) || may_be_fused(w)) {
        emit_jump(&w->e, written(w->t, w->t->go_on));
        w->ended = true;
    } else {
        emit_call_near(&w->e, written(w->t, w->t->alone));
    }
    w->t->left_alone++;
}

/* The misses of an instruction come back behind it: its micro-ops have done all of it. */
static void finish_colds(Work *w, unsigned first)
{
    for (unsigned k = first; k < w->colds; k++) {
        Cold *c = &w->cold[k];
        if (c->kind == COLD_ALONE) {
            c->back = w->e.p;
            c->flags = w->host_flags;
            c->behind = w->vectors;
        }
    }
}

static void translate_one(Work *w)
{
    unsigned first = w->colds;
    if (w->u->fn == exec_fault || !(translate_flow(w) || translate_insn(w) || translate_vector(w))) {
        emit_by_micro_ops(w);
    } else {
        w->t->instructions++;
    }
    finish_colds(w, first);
    work_window_behind(w);
}

static const Uop *first_uop(const Block *b, unsigned number)
{
    for (unsigned k = 1; k < b->uop_count; k++) {
        if (b->uops[k].aux == number) {
            return &b->uops[k];
        }
    }
    return NULL;
}

bool translate_possible(const SoftCpu *s, const Block *b)
{
    unsigned size = b->mode & MODE_SIZE;
    return s->code->translator && !s->counting && !s->debug && !s->code->unheard && b->host && !b->host2 &&
           b->uops[0].fn == exec_enter && size != MODE_16 && b->mode & MODE_FLAT_CODE && !(b->mode & MODE_SINGLE);
}

static void stay_interpreted(Block *b)
{
    b->uops[0].fn = exec_enter;
    b->special = false;
}

void translate_block(SoftCpu *s, Block *b)
{
    static __thread Insn insns[MOST_INSNS];
    static __thread Work w;
    uint16_t live[MOST_INSNS];
    Translator *t = s->code->translator;
    stay_interpreted(b);
    if (t->code.size - t->used < BLOCK_ROOM) {
        t->full = true;
        return;
    }
    if (!block_decode(s, b, insns)) {
        return; /* another CPU writes there: we shall hear of it */
    }
    lower_live_flags(insns, b->insns, live);
    w = (Work){.e = {.p = t->code.write + t->used, .run = t->code.run - t->code.write}, .s = s, .t = t, .b = b};
    w.wide = (b->mode & MODE_SIZE) == MODE_64;
    const uint8_t *entry = w.e.p + w.e.run;
    emit_entry(&w);
    for (unsigned k = 0; k < b->insns && !w.ended; k++) {
        w.i = &insns[k];
        w.left = b->insns - k;
        w.live = live[k];
        w.u = first_uop(b, k);
        if (w.u) { /* a NOP has none */
            translate_one(&w);
        }
    }
    if (!w.ended) {
        const Insn *last = &insns[b->insns - 1];
        translate_fall_through(&w, last->rip + last->length);
    }
    for (unsigned k = 0; k < w.colds; k++) {
        emit_cold(&w, &w.cold[k]);
    }
    t->used = (size_t)(w.e.p - t->code.write + CODE_ALIGN - 1) & ~(size_t)(CODE_ALIGN - 1);
    t->made++;
    b->entry = entry;
    b->uops[0].fn = exec_translated;
    b->special = true;
}

void translate_made(const SoftCpu *s, Block *b)
{
    if (s->code->translator) {
        b->entry = s->code->translator->interpret;
    }
}

void translate_killed(const SoftCpu *s, Block *b)
{
    if (s->code->translator) {
        b->entry = s->code->translator->stale;
    }
}
