/* A block as host code: what is common to all instructions, and what lies around them. */
#include "accel/soft/translate/translate.h"

#include <Zydis/Zydis.h>

bool translate_off;
unsigned translate_heat = 16;

/* BLOCK_ROOM: more than any block takes, which is the ways out of it, each of some 600 bytes where all vector registers are stored
 * and loaded. */
enum { MOST_BLOCKS = 16 /* together */, BLOCK_ROOM = TRANSLATE_COLDS * 1024, CODE_ALIGN = 16 };

/* ---- Pieces of instructions ---- */

Cold *work_cold(Work *w, ColdKind kind, uint8_t *from)
{
    g_assert(w->colds < TRANSLATE_COLDS);
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

void work_flags_made(Work *w)
{
    w->host_flags = w->live;
    w->unsaved = w->live && w->goes_on == w->i + 1;
    if (w->live && !w->unsaved) {
        work_flags_out(w);
    }
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
    case COLD_GO_TO:
        emit_number(e, H_RAX, c->rip);
        emit_jump(e, written(w->t, w->t->go_to));
        return;
    case COLD_LEAVE: emit_jump(e, written(w->t, w->t->leave)); return;
    case COLD_SIDE:
        if (c->flags) {
            work_flags_out(w);
        }
        w->b = c->b;
        translate_side(w, c->rip);
        return;
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

/* The misses of an instruction come back behind it: its micro-ops have done all of it.  Not into a window for writing, whose page
 * may be code of another CPU by then: misses take long, and stores by the window would tell nobody. */
static void finish_colds(Work *w, unsigned first)
{
    for (unsigned k = first; k < w->colds; k++) {
        Cold *c = &w->cold[k];
        if (c->kind == COLD_ALONE && w->window.open && w->window.write) {
            c->kind = COLD_GO_ON;
        } else if (c->kind == COLD_ALONE) {
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

/* Blocks that follow one another, translated together: each but the last ends with a jump that is rather not taken. */
typedef struct Chain {
    Block *block[MOST_BLOCKS];
    unsigned blocks, insns;
    Insn insn[TRANSLATE_INSNS];
    uint16_t live[TRANSLATE_INSNS];
} Chain;

static bool add_block(SoftCpu *s, Chain *c, Block *b)
{
    if (c->blocks == MOST_BLOCKS || c->insns + b->insns > TRANSLATE_INSNS || !block_decode(s, b, &c->insn[c->insns])) {
        return false; /* decoding: another CPU writes there, we shall hear of it */
    }
    c->block[c->blocks++] = b;
    c->insns += b->insns;
    return true;
}

/* As good as hot. */
static bool is_warm(const Block *b)
{
    const Uop *u = &b->uops[0];
    return u->fn == exec_translated || (u->fn == exec_enter_cold && (unsigned)u->imm <= translate_heat / 2);
}

static bool make_chain(SoftCpu *s, const Work *w, Chain *c, Block *b)
{
    c->blocks = c->insns = 0;
    if (!add_block(s, c, b)) {
        return false;
    }
    while (translate_goes_on(w, &c->insn[c->insns - 1])) {
        Block *next = block_behind(s, c->block[c->blocks - 1]);
        if (!next || !is_warm(next) || !add_block(s, c, next)) {
            break;
        }
    }
    lower_live_flags(c->insn, c->insns, c->live);
    return true;
}

/* From the middle on, code belongs to the next block: where faults are, and what dies when its bytes change. */
static void begin_block(Work *w, const Chain *c, unsigned n, const Insn *first)
{
    w->b = c->block[n];
    w->goes_on = n + 1 < c->blocks ? first + w->b->insns - 1 : NULL;
    if (n) {
        emit_op(&w->e, E_W, 0x8d, H_RAX, rm_at(w->b), 0);
        emit_store(&w->e, E_W, FIELD(block), H_RAX);
    }
}

static void emit_chain(Work *w, const Chain *c)
{
    unsigned at = 0;
    for (unsigned n = 0; n < c->blocks && !w->ended; n++) {
        begin_block(w, c, n, &c->insn[at]);
        for (unsigned k = 0; k < w->b->insns && !w->ended; k++, at++) {
            w->i = &c->insn[at];
            w->left = c->insns - at;
            w->live = c->live[at];
            w->u = first_uop(w->b, k);
            if (w->u) { /* a NOP has none */
                translate_one(w);
            }
        }
    }
    if (!w->ended) {
        const Insn *last = &c->insn[c->insns - 1];
        translate_fall_through(w, last->rip + last->length);
    }
}

void translate_block(SoftCpu *s, Block *b)
{
    static __thread Chain chain;
    static __thread Cold cold[TRANSLATE_COLDS];
    Work w = {.s = s, .b = b, .cold = cold};
    Translator *t = s->code->translator;
    stay_interpreted(b);
    if (t->code.size - t->used < BLOCK_ROOM) {
        t->full = true;
        return;
    }
    w.e = (Emit){.p = t->code.write + t->used, .run = t->code.run - t->code.write};
    w.t = t;
    w.wide = (b->mode & MODE_SIZE) == MODE_64;
    if (!make_chain(s, &w, &chain, b)) {
        return;
    }
    const uint8_t *entry = w.e.p + w.e.run;
    emit_entry(&w);
    emit_chain(&w, &chain);
    w.vectors = (WorkVectors){0};
    for (unsigned k = 0; k < w.colds; k++) { /* they may become more */
        emit_cold(&w, &w.cold[k]);
    }
    g_assert(w.e.p <= t->code.write + t->used + BLOCK_ROOM);
    const Insn *last = &chain.insn[chain.insns - 1];
    b->reach = (uint32_t)(last->rip + last->length - b->rip);
    t->used = (size_t)(w.e.p - t->code.write + CODE_ALIGN - 1) & ~(size_t)(CODE_ALIGN - 1);
    t->made++;
    b->entry = entry;
    b->uops[0].fn = exec_translated;
    b->special = true;
}

void translate_stand_in(SoftCpu *s, Block *b, BlockStandIn what)
{
    SoftCode *c = s->code;
    if (!c->translator_asked) { /* KVM's CPUs and those that count never want one */
        c->translator_asked = true;
        c->translator = translate_off || s->counting || c->unheard ? NULL : translate_new(c->arena + c->size);
    }
    const Translator *t = c->translator;
    if (t) {
        b->entry = what == BLOCK_NEW ? t->interpret : what == BLOCK_STALE ? t->stale : t->moved;
    }
}
