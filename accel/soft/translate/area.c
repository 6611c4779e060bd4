/* Where translated code lies, and the pieces of code that lead into it and out of it. */
#include "accel/soft/translate/translate.h"

enum { FRAME = 24, SELF = 8 /* in the frame: the SoftCpu */, PIECES = 4096 };

const uint8_t translate_host[CPU_GPRS] = {
    [CPU_RAX] = H_R10, [CPU_RCX] = H_RCX, [CPU_RDX] = H_RDX, [CPU_RBX] = H_RBX, [CPU_RSP] = H_R11, [CPU_RBP] = H_RBP,
    [CPU_RSI] = H_R14, [CPU_RDI] = H_R15, [CPU_R8] = H_R8,   [CPU_R9] = H_NONE, [CPU_R12] = H_R12, [CPU_R13] = H_R9,
    [CPU_R10] = H_NONE, [CPU_R11] = H_NONE, [CPU_R14] = H_NONE, [CPU_R15] = H_NONE,
};

/* ---- Pieces ---- */

static void emit_registers(Emit *e, bool store)
{
    for (unsigned reg = 0; reg < CPU_GPRS; reg++) {
        if (translate_host[reg] != H_NONE) {
            emit_op(e, E_W, store ? 0x89 : 0x8b, translate_host[reg], work_home(reg), 0);
        }
    }
}

static void emit_saved(Emit *e, bool pop)
{
    static const uint8_t saved[] = {H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15};
    for (unsigned n = 0; n < sizeof(saved); n++) {
        unsigned reg = saved[pop ? sizeof(saved) - 1 - n : n];
        if (reg & 8) {
            emit_8(e, 0x41);
        }
        emit_8(e, (pop ? 0x58 : 0x50) | (reg & 7));
    }
}

static void emit_rsp(Emit *e, int n)
{
    emit_op(e, E_W, 0x8d, H_RSP, rm_mem(H_RSP, (size_t)(ptrdiff_t)n), 0);
}

/* Back to whoever called `enter`, with RAX. */
static void emit_return(Emit *e)
{
    emit_rsp(e, FRAME);
    emit_saved(e, true);
    emit_8(e, 0xc3);
}

static void emit_return_null(Emit *e)
{
    emit_op(e, 0, 0x31, H_RAX, rm_reg(H_RAX), 0);
    emit_return(e);
}

/* All that micro-ops want to find: the guest's registers, and where the block begins that is in RAX.  RAX and RSI stay. */
static void emit_home(Emit *e)
{
    emit_registers(e, true);
    emit_move(e, E_W, H_RCX, rm_mem(H_RAX, offsetof(Block, rip)));
    emit_store(e, E_W, FIELD(rip_base), H_RCX);
}

/* An instruction by its micro-ops.  True: leave, RIP is behind it: it threw blocks away, the running one or one that follows it in
 * the same code; or something waits, perhaps by its own doing, as a change of the memory map. */
static bool do_alone(SoftCpu *s, const Uop *u)
{
    Block *b = s->block;
    uint64_t thrown = s->code->thrown;
    uint64_t next = s->rip_base + u->ip + u->length;
    if (G_LIKELY(u->fn == exec_op)) {
        exec_call_op(s, u);
    } else {
        Uop *copy = s->code->translator->instruction;
        unsigned n = 0;
        do {
            copy[n] = u[n];
            n++;
        } while (n < UOPS_PER_INSN && u[n].aux == u->aux);
        copy[n].fn = exec_back;
        for (u = copy; u;) {
            u = u->fn(s, u);
        }
    }
    if (G_UNLIKELY(s->code->thrown != thrown || atomic_load_explicit(&s->poll, memory_order_relaxed))) {
        s->cpu.state.rip = b->mode & MODE_64 ? next : (uint32_t)next;
        return true;
    }
    return false;
}

/* A jump that was never taken: the loop finds its target and links it. */
static void unlinked(SoftCpu *s, unsigned which)
{
    Block *b = s->block;
    Uop *from = &b->uops[b->uop_count - 1 - which];
    s->code->link_from = from;
    s->code->link_from_block = b;
    s->cpu.state.rip = b->rip + (uint64_t)(int64_t)from->target;
}

static const uint8_t *piece_begin(Translator *t, Emit *e)
{
    while ((uintptr_t)e->p & 15) {
        emit_8(e, 0xcc);
    }
    return t->code.run + (e->p - t->code.write);
}

static void make_enter(Translator *t, Emit *e)
{
    t->enter = (const Uop *(*)(SoftCpu *, Block *))(uintptr_t)piece_begin(t, e);
    emit_saved(e, false);
    emit_rsp(e, -FRAME);
    emit_store(e, E_W, rm_mem(H_RSP, SELF), H_RDI);
    emit_move(e, E_W, H_RAX, rm_reg(H_RSI));
    emit_registers(e, false);
    emit_op(e, 0, 0xff, 4, rm_mem(H_RAX, offsetof(Block, entry)), 0);
}

static void make_interpret(Translator *t, Emit *e)
{
    t->interpret = piece_begin(t, e);
    emit_store(e, E_W, FIELD(block), H_RAX);
    emit_home(e);
    emit_op(e, E_W, 0x8d, H_RAX, rm_mem(H_RAX, offsetof(Block, uops)), 0);
    emit_return(e);
}

static void make_leaves(Translator *t, Emit *e)
{
    t->leave = piece_begin(t, e);
    emit_move(e, E_W, H_RAX, FIELD(block));
    t->stale = t->code.run + (e->p - t->code.write);
    emit_store(e, E_W, FIELD(block), H_RAX);
    emit_move(e, E_W, H_RAX, rm_mem(H_RAX, offsetof(Block, rip)));
    emit_store(e, E_W, FIELD(cpu.state.rip), H_RAX);
    emit_registers(e, true);
    emit_return_null(e);
}

static void make_moved(Translator *t, Emit *e)
{
    t->moved = piece_begin(t, e);
    emit_move(e, E_W, H_RAX, rm_mem(H_RAX, offsetof(Block, to)));
    emit_op(e, 0, 0xff, 4, rm_mem(H_RAX, offsetof(Block, entry)), 0);
}

static Block *find_or_leave(SoftCpu *s, uint64_t rip)
{
    Block *b = block_known(s, rip);
    if (!b) {
        s->cpu.state.rip = rip;
    }
    return b;
}

static void make_go_to(Translator *t, Emit *e)
{
    t->go_to = piece_begin(t, e);
    emit_registers(e, true);
    emit_move(e, E_W, H_RSI, rm_reg(H_RAX));
    emit_call(e, (const void *)(uintptr_t)find_or_leave);
    emit_op(e, E_W, 0x85, H_RAX, rm_reg(H_RAX), 0); /* test rax, rax */
    uint8_t *none = emit_jump_if(e, IF_E, NULL);
    emit_move(e, E_W, H_RDI, rm_mem(H_RSP, SELF));
    emit_registers(e, false);
    emit_op(e, 0, 0xff, 4, rm_mem(H_RAX, offsetof(Block, entry)), 0);
    emit_land(e, none);
    emit_return(e);
}

static void make_go_on(Translator *t, Emit *e)
{
    t->go_on = piece_begin(t, e);
    emit_move(e, E_W, H_RAX, FIELD(block));
    emit_home(e);
    emit_move(e, E_W, H_RAX, rm_reg(H_RSI));
    emit_return(e);
}

static void make_alone(Translator *t, Emit *e)
{
    t->alone = piece_begin(t, e);
    emit_move(e, E_W, H_RAX, FIELD(block));
    emit_home(e);
    emit_rsp(e, -8);
    emit_call(e, (const void *)(uintptr_t)do_alone);
    emit_move(e, E_W, H_RDI, rm_mem(H_RSP, SELF + 16));
    emit_op(e, 0, 0x84, H_RAX, rm_reg(H_RAX), 0); /* test al, al */
    uint8_t *leaves = emit_jump_if(e, IF_NE, NULL);
    emit_registers(e, false);
    emit_rsp(e, 8);
    emit_8(e, 0xc3);
    emit_land(e, leaves);
    emit_rsp(e, 16);
    emit_return_null(e);
}

static void make_unlinked(Translator *t, Emit *e)
{
    for (unsigned which = 0; which < 2; which++) {
        t->unlinked[which] = g_new0(Block, 1);
        t->unlinked[which]->entry = piece_begin(t, e);
        emit_registers(e, true);
        emit_number(e, H_RSI, which);
        emit_call(e, (const void *)(uintptr_t)unlinked);
        emit_return_null(e);
    }
}

/* ---- The area ---- */

Translator *translate_new(void *room)
{
    Translator *t = g_new0(Translator, 1);
    twice_map(&t->code, TRANSLATE_ROOM, room, "translated code");
    if (!t->code.write) {
        translate_free(t);
        return NULL;
    }
    Emit e = {.p = t->code.write, .run = t->code.run - t->code.write};
    make_enter(t, &e);
    make_interpret(t, &e);
    make_leaves(t, &e);
    make_moved(t, &e);
    make_go_to(t, &e);
    make_go_on(t, &e);
    make_alone(t, &e);
    make_unlinked(t, &e);
    g_assert(e.p < t->code.write + PIECES);
    t->used = t->lasting = PIECES; /* whole pages: the rest can be cleared */
    return t;
}

void translate_free(Translator *t)
{
    if (t) {
        twice_unmap(&t->code);
        g_free(t->unlinked[0]);
        g_free(t->unlinked[1]);
        g_free(t);
    }
}

void translate_flush(Translator *t)
{
    if (t && t->used > t->lasting) {
        twice_clear(&t->code, t->lasting, t->code.size - t->lasting);
        t->used = t->lasting;
        t->full = false;
    }
}
