/* Jumps, calls and the stack, where code and stack are flat. */
#include <Zydis/Zydis.h>

#include "accel/soft/translate/translate.h"

/* ---- To another block ---- */

static void enter_block(Work *w)
{
    emit_op(&w->e, 0, 0xff, 4, rm_mem(H_RAX, offsetof(Block, entry)), 0);
}

/* To the block that the entry of the jump table in RSI has. */
static void enter_known(Work *w)
{
    emit_move(&w->e, E_W, H_RAX, rm_mem(H_RSI, offsetof(SoftCode, jumps) + offsetof(JumpEntry, block)));
    enter_block(w);
}

static void compare_key(Work *w, ColdKind kind, uint64_t rip)
{
    emit_move(&w->e, E_W, H_RAX, rm_mem(H_RSI, offsetof(SoftCode, jumps) + offsetof(JumpEntry, key)));
    emit_op(&w->e, E_W, 0x3b, H_RAX, FIELD(jump_key), 0);
    work_cold(w, kind, emit_jump_if(&w->e, IF_NE, NULL))->rip = rip;
}

/* RSI: the entry for the target in RAX, which is lost; otherwise the instruction's micro-ops see to it. */
static void find_target(Work *w)
{
    _Static_assert(sizeof(JumpEntry) == 32, "how a target finds its entry");
    Emit *e = &w->e;
    emit_move(e, E_W, H_RSI, rm_reg(H_RAX));
    emit_op(e, E_W, 0xc1, 5, rm_reg(H_RSI), 1); /* shr rsi, ... */
    emit_8(e, JUMP_BITS);
    emit_op(e, 0, 0x33, H_RSI, rm_reg(H_RAX), 0); /* xor esi, eax */
    emit_op(e, 0, 0x81, 4, rm_reg(H_RSI), 4);
    emit_32(e, JUMP_SIZE - 1);
    emit_op(e, 0, 0xc1, 4, rm_reg(H_RSI), 1); /* shl esi, 5 */
    emit_8(e, 5);
    emit_op(e, E_W, 0x03, H_RSI, FIELD(code), 0);
    emit_op(e, E_W, 0x3b, H_RAX, rm_mem(H_RSI, offsetof(SoftCode, jumps) + offsetof(JumpEntry, rip)), 0);
    work_cold(w, COLD_GO_ON, emit_jump_if(e, IF_NE, NULL));
    compare_key(w, COLD_GO_ON, 0);
    w->host_flags = false;
}

/* In another page: looked up each time, because its translation may change. */
static void jump_away(Work *w, uint64_t rip)
{
    Emit *e = &w->e;
    size_t entry = offsetof(SoftCode, jumps) + sizeof(JumpEntry) * ((rip ^ rip >> JUMP_BITS) & (JUMP_SIZE - 1));
    emit_move(e, E_W, H_RSI, FIELD(code));
    emit_op(e, E_W, 0x81, 0, rm_reg(H_RSI), 4); /* add rsi, ... */
    emit_32(e, (uint32_t)(entry - offsetof(SoftCode, jumps)));
    compare_key(w, COLD_GO_TO, rip);
    emit_number(e, H_RAX, rip);
    emit_op(e, E_W, 0x3b, H_RAX, rm_mem(H_RSI, offsetof(SoftCode, jumps) + offsetof(JumpEntry, rip)), 0);
    work_cold(w, COLD_GO_TO, emit_jump_if(e, IF_NE, NULL))->rip = rip;
    enter_known(w);
}

/* `which`: how many micro-ops are behind the jump's. */
static void jump_to(Work *w, uint64_t rip, unsigned which)
{
    Block *b = w->b;
    if ((rip ^ b->rip) >> 12) {
        jump_away(w, rip);
        return;
    }
    int32_t linked = b->uops[b->uop_count - 1 - which].disp;
    b->to[which] = linked ? (Block *)(w->s->code->arena + (uint32_t)linked) : w->t->unlinked[which];
    emit_move(&w->e, E_W, H_RAX, rm_at(&b->to[which]));
    enter_block(w);
}

void translate_fall_through(Work *w, uint64_t rip)
{
    work_store_vectors(w);
    jump_to(w, rip, 0);
    w->ended = true;
}

/* ---- The stack ---- */

static unsigned width(const Work *w)
{
    return w->wide ? E_W : 0;
}

static unsigned word(const Work *w)
{
    return w->wide ? 8 : 4;
}

static bool flat_stack(const Work *w)
{
    unsigned size = w->wide ? MODE_STACK_64 : MODE_STACK_32;
    return w->b->mode & MODE_FLAT_STACK && (w->b->mode & MODE_STACK) == size;
}

static void move_stack(Work *w, int n)
{
    unsigned rsp = translate_host[CPU_RSP];
    emit_op(&w->e, width(w), 0x8d, rsp, rm_mem(rsp, (size_t)(ptrdiff_t)n), 0);
}

/* Where the next word goes. */
static Rm push_place(Work *w, ColdKind kind)
{
    return work_stack(w, CPU_RSP, -(int)word(w), true, kind);
}

static void push_number(Work *w, uint64_t v, ColdKind kind)
{
    Rm rm = push_place(w, kind);
    if (!w->wide || v == (uint64_t)(int64_t)(int32_t)v) {
        emit_op(&w->e, width(w), 0xc7, 0, rm, 4);
        emit_32(&w->e, (uint32_t)v);
    } else {
        emit_number(&w->e, H_RSI, v);
        emit_store(&w->e, E_W, rm, H_RSI);
    }
    move_stack(w, -(int)word(w));
}

static bool push(Work *w)
{
    const Insn *i = w->i;
    const Operand *o = &i->op[0];
    if (!flat_stack(w) || i->operand_size != word(w) || !(o->kind == OPERAND_IMM || operand_gpr(o))) {
        return false;
    }
    if (o->kind == OPERAND_IMM) {
        push_number(w, i->imm[0], COLD_ALONE);
        return true;
    }
    Rm rm = push_place(w, COLD_ALONE);
    unsigned from = translate_host[o->reg];
    if (from == H_NONE) {
        emit_move(&w->e, E_W, from = H_RSI, work_home(o->reg));
    }
    emit_store(&w->e, width(w), rm, from);
    move_stack(w, -(int)word(w));
    return true;
}

/* From [RSP], which moves; what is popped last stays. */
static void pop_to(Work *w, unsigned reg)
{
    unsigned to = translate_host[reg] == H_NONE || reg == CPU_RSP ? H_RSI : translate_host[reg];
    emit_move(&w->e, width(w), to, work_stack(w, CPU_RSP, 0, false, COLD_ALONE));
    move_stack(w, (int)word(w));
    if (to == H_RSI) {
        emit_store(&w->e, E_W, work_place(reg), H_RSI);
    }
}

static bool pop(Work *w)
{
    if (!flat_stack(w) || w->i->operand_size != word(w) || !operand_gpr(&w->i->op[0])) {
        return false;
    }
    pop_to(w, w->i->op[0].reg);
    return true;
}

static bool leave(Work *w)
{
    unsigned rbp = translate_host[CPU_RBP], rsp = translate_host[CPU_RSP];
    if (!flat_stack(w) || w->i->operand_size != word(w)) {
        return false;
    }
    Rm rm = work_stack(w, CPU_RBP, 0, false, COLD_ALONE);
    emit_op(&w->e, width(w), 0x8d, rsp, rm_mem(rbp, word(w)), 0);
    emit_move(&w->e, width(w), rbp, rm);
    return true;
}

/* ---- Transfers ---- */

/* By a micro-op of its own, which is what can be linked. */
static bool reachable(const Work *w, const Insn *i)
{
    int64_t distance = (int64_t)(i->imm[0] - w->b->rip);
    return distance == (int32_t)distance;
}

bool translate_goes_on(const Work *w, const Insn *i)
{
    return insn_is_jcc(i) && i->operand_size == word(w) && reachable(w, i);
}

void translate_side(Work *w, uint64_t rip)
{
    jump_to(w, rip, 1);
}

/* Taken, it leaves; else the next block follows. */
static void jump_aside(Work *w)
{
    work_flags_in(w);
    Cold *c = work_cold(w, COLD_SIDE, emit_jump_if(&w->e, insn_condition(w->i), NULL));
    c->b = w->b;
    c->rip = w->i->imm[0];
    c->flags = w->unsaved;
    if (w->unsaved && w->live) {
        work_flags_out(w);
    }
    w->unsaved = false;
}

static bool jump_if(Work *w)
{
    const Insn *i = w->i;
    if (!translate_goes_on(w, i)) {
        return false;
    }
    if (w->goes_on == i) {
        jump_aside(w);
        return true;
    }
    work_store_vectors(w);
    work_flags_in(w);
    uint8_t *taken = emit_jump_if(&w->e, insn_condition(i), NULL);
    jump_to(w, i->rip + i->length, 0);
    emit_land(&w->e, taken);
    jump_to(w, i->imm[0], 1);
    w->ended = true;
    return true;
}

static bool go(Work *w)
{
    const Insn *i = w->i;
    bool call = i->mnemonic == ZYDIS_MNEMONIC_CALL;
    if (call && !flat_stack(w)) {
        return false;
    }
    if (i->opcode == 0xe9 || i->opcode == 0xeb || i->opcode == 0xe8) {
        if (!reachable(w, i)) {
            return false;
        }
        work_store_vectors(w);
        if (call) {
            push_number(w, i->rip + i->length, COLD_GO_ON);
        }
        jump_to(w, i->imm[0], 0);
        w->ended = true;
        return true;
    }
    unsigned reg = i->modrm >> 3 & 7;
    if (i->opcode != 0xff || (reg != 2 && reg != 4)) {
        return false;
    }
    if (i->op[0].kind == OPERAND_MEM && !work_can_address(w)) {
        return false;
    }
    work_store_vectors(w);
    if (i->op[0].kind == OPERAND_MEM) {
        emit_move(&w->e, width(w), H_RAX, work_memory(w, word(w), false, COLD_GO_ON));
    } else {
        emit_move(&w->e, width(w), H_RAX, work_place(i->op[0].reg));
    }
    find_target(w);
    if (call) { /* the target is known to be one before anything is pushed */
        emit_store(&w->e, E_W, work_field(offsetof(SoftCpu, tmp)), H_RSI);
        push_number(w, i->rip + i->length, COLD_GO_ON);
        emit_move(&w->e, E_W, H_RSI, work_field(offsetof(SoftCpu, tmp)));
    }
    enter_known(w);
    w->ended = true;
    return true;
}

static bool come_back(Work *w)
{
    const Insn *i = w->i;
    if (!flat_stack(w)) {
        return false;
    }
    work_store_vectors(w);
    emit_move(&w->e, width(w), H_RAX, work_stack(w, CPU_RSP, 0, false, COLD_GO_ON));
    find_target(w);
    move_stack(w, (int)(word(w) + (i->opcode == 0xc2 ? i->imm[0] & 0xffff : 0)));
    enter_known(w);
    w->ended = true;
    return true;
}

bool translate_flow(Work *w)
{
    const Insn *i = w->i;
    bool plain = i->operand_size == word(w);
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_PUSH: return push(w);
    case ZYDIS_MNEMONIC_POP: return pop(w);
    case ZYDIS_MNEMONIC_LEAVE: return leave(w);
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL: return plain && go(w);
    case ZYDIS_MNEMONIC_RET: return plain && (i->opcode == 0xc2 || i->opcode == 0xc3) && come_back(w);
    default: return jump_if(w);
    }
}
