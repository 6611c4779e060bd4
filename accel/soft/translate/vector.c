/* Vector instructions: as borrow/ writes them, with the registers that a block uses in the host's from the first use to the
 * block's end. */
#include "accel/soft/borrow/code.h"
#include "accel/soft/translate/translate.h"

static Rm place(unsigned reg)
{
    return work_field(offsetof(SoftCpu, cpu.state.fpu.xmm) + 16 * reg);
}

static void load_low(Emit *e, unsigned reg)
{
    emit_op(e, 0, 0x110, reg, place(reg), 0); /* movups */
}

void vectors_store(Emit *e, const WorkVectors *v)
{
    for (unsigned reg = 0; reg < 16; reg++) {
        if (v->changed >> reg & 1) {
            emit_op(e, 0, 0x111, reg, place(reg), 0);
        }
        if (v->high_changed >> reg & 1) {
            emit_store_high(e, reg);
        }
    }
    if (v->wide) {
        emit_bytes(e, "\xc5\xf8\x77", 3); /* vzeroupper */
    }
}

void vectors_load(Emit *e, const WorkVectors *v)
{
    for (unsigned reg = 0; reg < 16; reg++) {
        if (v->here >> reg & 1) {
            load_low(e, reg);
        }
        if (v->high >> reg & 1) {
            emit_load_high(e, reg);
        }
    }
}

void work_store_vectors(Work *w)
{
    vectors_store(&w->e, &w->vectors);
    w->vectors = (WorkVectors){.in_use = w->vectors.in_use};
}

/* What a stub cannot do without all registers in CpuState is left to it. */
static bool known(Work *w, VecCode *c, VecInfo *n)
{
    const Insn *i = w->i;
    if (insn_op(i) || vector_op_find(i->mnemonic) || !vec_parse(c, i, w->b->mode) || !vec_info(n, c)) {
        return false;
    }
    return !n->mm_read && !n->mm_write && !n->transition && !n->string_lengths && !n->string_index &&
           !(n->fp && w->b->mode & MODE_MXCSR) && (!c->memory || (n->mem_size && work_can_address(w)));
}

static void tell_in_use(Work *w, const VecInfo *n)
{
    unsigned in_use = (n->xmm_write | n->ymm_write ? XSTATE_SSE : 0) | (n->ymm_write ? XSTATE_AVX : 0);
    if (in_use & ~w->vectors.in_use) {
        emit_op(&w->e, 0, 0x80, 1, FIELD(cpu.state.fpu.xstate_bv), 1); /* or byte */
        emit_8(&w->e, in_use);
        w->vectors.in_use |= (uint8_t)in_use;
        w->host_flags = false;
    }
}

/* Into RSI; what is not aligned as it must be is no business of ours. */
static void memory_operand(Work *w, const VecInfo *n)
{
    Rm rm = work_memory(w, n->mem_size, n->mem_write, COLD_ALONE);
    emit_op(&w->e, E_W, 0x8d, H_RSI, rm, 0);
    if (n->align > 1) {
        emit_op(&w->e, E_BYTE, 0xf6, 0, rm_reg(H_RSI), 1); /* test sil, ... */
        emit_8(&w->e, n->align - 1u);
        work_cold(w, COLD_ALONE, emit_jump_if(&w->e, IF_NE, NULL));
        w->host_flags = false;
    }
}

static void load_registers(Work *w, const VecInfo *n)
{
    WorkVectors *v = &w->vectors;
    uint16_t low = (uint16_t)((n->xmm_read | n->ymm_read) & ~v->here), high = (uint16_t)(n->ymm_read & ~v->high);
    vectors_load(&w->e, &(WorkVectors){.here = low, .high = high});
    v->here |= low;
    v->high |= high;
    v->wide |= n->ymm_read || n->ymm_write;
}

bool translate_vector(Work *w)
{
    VecCode c;
    VecInfo n;
    if (!known(w, &c, &n)) {
        return false;
    }
    WorkVectors *v = &w->vectors;
    uint16_t used = n.xmm_read | n.xmm_write | n.ymm_read | n.ymm_write, written = n.xmm_write | n.ymm_write;
    if (__builtin_popcount(used | v->here) > 15) { /* emit_vector may want one */
        work_store_vectors(w);
    }
    tell_in_use(w, &n);
    if (c.memory) {
        memory_operand(w, &n);
    }
    load_registers(w, &n);
    if (n.gpr_read) {
        emit_move(&w->e, E_W, H_RAX, work_place(n.gpr));
    }
    VecInfo taken = n;
    taken.xmm_read |= v->here;
    emit_vector(&w->e, c, &taken);
    if (n.gpr_write) {
        emit_store(&w->e, E_W, work_place(n.gpr), H_RAX);
    }
    v->here |= written;
    v->changed |= written;
    if (c.vex) { /* forms of 128 bits clear the rest */
        v->high |= written;
        v->high_changed |= written;
    }
    if (n.flags) {
        work_flags_made(w);
    }
    return true;
}
