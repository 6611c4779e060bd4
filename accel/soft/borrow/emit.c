/* Writing stubs: rdi is the SoftCpu, rsi the memory operand; vector registers have the guest's numbers.
 *
 * The general register that an instruction names becomes rax; rcx, rdx are free but for PCMPxSTRx.  Non-
 * temporal and aligned moves become plain unaligned ones: what a guest gets to see of the alignment is
 * Stub.align, and `mem` may be a buffer.  VEX instructions are loaded and stored by VEX moves, so that
 * the host never mixes both with upper halves in use. */
#include <string.h>

#include "accel/soft/borrow/code.h"

#define EMIT(e, ...)                                                                                                   \
    do {                                                                                                               \
        const uint8_t bytes_[] = {__VA_ARGS__};                                                                        \
        memcpy((e)->p, bytes_, sizeof(bytes_));                                                                        \
        (e)->p += sizeof(bytes_);                                                                                      \
    } while (0)

#define FPU(field) ((uint32_t)offsetof(SoftCpu, cpu.state.fpu.field))

/* ModRM of [rdi + offset]. */
static void emit_at(Emit *e, unsigned reg, uint32_t offset)
{
    *e->p++ = (uint8_t)(0x80 | (reg & 7) << 3 | CPU_RDI);
    emit_32(e, offset);
}

/* MOVUPS, either way. */
static void emit_move_xmm(Emit *e, bool vex, bool store, unsigned reg)
{
    if (vex) {
        EMIT(e, 0xc5, reg < 8 ? 0xf8 : 0x78);
    } else if (reg >= 8) {
        EMIT(e, 0x44, 0x0f);
    } else {
        EMIT(e, 0x0f);
    }
    *e->p++ = store ? 0x11 : 0x10;
    emit_at(e, reg, FPU(xmm) + 16 * reg);
}

/* VINSERTF128, VEXTRACTF128: bits 128-255. */
void emit_load_high(Emit *e, unsigned reg)
{
    EMIT(e, 0xc4, reg < 8 ? 0xe3 : 0x63, (uint8_t)((~reg & 0xf) << 3 | 5), 0x18);
    emit_at(e, reg, FPU(ymmh) + 16 * reg);
    *e->p++ = 1;
}

void emit_store_high(Emit *e, unsigned reg)
{
    EMIT(e, 0xc4, reg < 8 ? 0xe3 : 0x63, 0x7d, 0x19);
    emit_at(e, reg, FPU(ymmh) + 16 * reg);
    *e->p++ = 1;
}

/* The address of a function, as it stands in MOV. */
#define emit_address(e, function)                                                                                      \
    do {                                                                                                               \
        uint64_t address_ = (uint64_t)(uintptr_t)(function);                                                           \
        emit_bytes(e, &address_, 8);                                                                                   \
    } while (0)

static void emit_move_gpr(Emit *e, bool store, unsigned host, unsigned guest)
{
    EMIT(e, 0x48, store ? 0x89 : 0x8b);
    emit_at(e, host, (uint32_t)(offsetof(SoftCpu, cpu.state.gpr) + 8 * guest));
}

static void emit_move_mm(Emit *e, bool store, unsigned reg)
{
    EMIT(e, 0x0f, store ? 0x7f : 0x6f); /* MOVQ */
    emit_at(e, reg, (uint32_t)(FPU(st) + sizeof(FpReg) * reg + offsetof(FpReg, mantissa)));
}

/* if ((fsw & (TOP | ES)) || ftw != 0xff) borrow_mmx_enter(s); */
static void emit_transition(Emit *e)
{
    EMIT(e, 0x0f, 0xb7); /* movzx eax, word [fsw] */
    emit_at(e, 0, FPU(fsw));
    EMIT(e, 0xa9, 0x80, 0x38, 0, 0); /* test eax, 3880h */
    EMIT(e, 0x75, 9);
    EMIT(e, 0x80); /* cmp byte [ftw], ffh */
    emit_at(e, 7, FPU(ftw));
    *e->p++ = 0xff;
    uint8_t *skip = e->p + 1;
    EMIT(e, 0x74, 0);
    EMIT(e, 0x57, 0x56, 0x56, 0x48, 0xb8); /* push rdi, rsi, rsi (the stack aligned); mov rax, ... */
    emit_address(e, borrow_mmx_enter);
    EMIT(e, 0xff, 0xd0, 0x5e, 0x5e, 0x5f); /* call rax; pop */
    *skip = (uint8_t)(e->p - skip - 1);
}

static void emit_loads(Emit *e, bool vex, const VecInfo *n)
{
    for (unsigned reg = 0; reg < 16; reg++) {
        if ((n->xmm_read | n->ymm_read) >> reg & 1) {
            emit_move_xmm(e, vex, false, reg);
        }
        if (n->ymm_read >> reg & 1) {
            emit_load_high(e, reg);
        }
    }
    for (unsigned reg = 0; reg < 8; reg++) {
        if (n->mm_read >> reg & 1) {
            emit_move_mm(e, false, reg);
        }
    }
    if (n->gpr_read) {
        emit_move_gpr(e, false, CPU_RAX, n->gpr);
    }
    if (n->string_lengths) {
        emit_move_gpr(e, false, CPU_RAX, CPU_RAX);
        emit_move_gpr(e, false, CPU_RDX, CPU_RDX);
    }
}

/* Aligned and non-temporal moves with memory as the unaligned, temporal ones of the same bits. */
static void plain_move_legacy(VecCode *c)
{
    bool rep = c->prefix_rep;
    switch (c->map << 8 | c->opcode) {
    case 0x128: c->opcode = rep ? c->opcode : 0x10; return;     /* MOVAPS, MOVAPD */
    case 0x129: c->opcode = rep ? c->opcode : 0x11; return;
    case 0x12b: c->opcode = 0x11; return;                       /* MOVNTPS, MOVNTPD; MOVNTSS, MOVNTSD */
    case 0x1c3: c->opcode = 0x89; return;                       /* MOVNTI */
    case 0x16f:                                                 /* MOVDQA to MOVUPS */
    case 0x17f:
        if (c->prefix66 && !rep) {
            c->prefix66 = 0;
            c->opcode = c->opcode == 0x6f ? 0x10 : 0x11;
        }
        return;
    case 0x1e7:                                                 /* MOVNTQ to MOVQ, MOVNTDQ to MOVUPS */
        if (!rep) {
            c->opcode = c->prefix66 ? 0x11 : 0x7f;
            c->prefix66 = 0;
        }
        return;
    case 0x22a:                                                 /* MOVNTDQA */
        c->map = 1;
        c->opcode = 0x10;
        c->prefix66 = 0;
        return;
    default: return;
    }
}

static void plain_move_vex(VecCode *c)
{
    bool scalar = c->pp >= 2;
    switch (c->map << 8 | c->opcode) {
    case 0x128: c->opcode = scalar ? c->opcode : 0x10; return;  /* VMOVAPS, VMOVAPD */
    case 0x129: c->opcode = scalar ? c->opcode : 0x11; return;
    case 0x12b: c->opcode = 0x11; return;                       /* VMOVNTPS, VMOVNTPD */
    case 0x16f:
    case 0x17f: c->pp = 2; return;                              /* VMOVDQA to VMOVDQU */
    case 0x1e7:                                                 /* VMOVNTDQ; with F2, F3 it is VCVTxx2xx */
        if (!scalar) {
            c->opcode = 0x7f;
            c->pp = 2;
        }
        return;
    case 0x22a:                                                 /* VMOVNTDQA */
        c->map = 1;
        c->opcode = 0x6f;
        c->pp = 2;
        return;
    default: return;
    }
}

static void code_set_rm(VecCode *c, unsigned reg)
{
    c->memory = false;
    c->modrm = (uint8_t)(0xc0 | (c->modrm & 0x38) | (reg & 7));
    c->b = reg >> 3;
}

/* A vector register that the instruction has no part in. */
static unsigned free_register(const VecInfo *n)
{
    unsigned used = n->xmm_read | n->xmm_write | n->ymm_read | n->ymm_write, reg = 0;
    while (used >> reg & 1) {
        reg++;
    }
    return reg;
}

static void emit_code(Emit *e, VecCode c)
{
    uint8_t bytes[VEC_CODE_MAX];
    unsigned length = vec_encode(&c, bytes);
    if (c.opcode == 0x89 && c.map == 1 && !c.vex) { /* MOV, that was MOVNTI: no map */
        EMIT(e, c.w ? 0x48 : 0x40, 0x89, c.modrm);
        return;
    }
    memcpy(e->p, bytes, length);
    e->p += length;
}

void emit_vector(Emit *e, VecCode c, const VecInfo *n)
{
    if (n->gpr_field == GPR_FIELD_REG) {
        c.modrm &= 0xc7;
        c.r = false;
    } else if (n->gpr_field == GPR_FIELD_RM) {
        code_set_rm(&c, CPU_RAX);
    }
    if (c.memory) {
        uint16_t before = (uint16_t)(c.map << 8 | c.opcode);
        (c.vex ? plain_move_vex : plain_move_legacy)(&c);
        bool moves = before != (c.map << 8 | c.opcode);
        if (!c.vex && n->align > 1 && n->mem_read && !moves) { /* the host would want it aligned */
            unsigned reg = free_register(n);
            EMIT(e, reg < 8 ? 0x40 : 0x44, 0x0f, 0x10, (uint8_t)((reg & 7) << 3 | CPU_RSI));
            code_set_rm(&c, reg);
        }
    }
    emit_code(e, c);
}

static void emit_stores(Emit *e, bool vex, const VecInfo *n)
{
    uint16_t written = n->xmm_write | n->ymm_write;
    if (n->flags) {
        EMIT(e, 0x9f, 0x0f, 0x90, 0xc0, 0x66, 0x89); /* lahf; seto al; mov [cc], ax */
        emit_at(e, CPU_RAX, (uint32_t)offsetof(SoftCpu, cc));
    }
    if (n->gpr_write) {
        emit_move_gpr(e, true, CPU_RAX, n->gpr);
    }
    if (n->string_index) {
        emit_move_gpr(e, true, CPU_RCX, CPU_RCX);
    }
    for (unsigned reg = 0; reg < 16; reg++) {
        if (written >> reg & 1) {
            emit_move_xmm(e, vex, true, reg);
            if (vex) { /* 128-bit forms clear bits 128-255 */
                emit_store_high(e, reg);
            }
        }
    }
    for (unsigned reg = 0; reg < 8; reg++) {
        if (n->mm_write >> reg & 1) {
            emit_move_mm(e, true, reg);
            EMIT(e, 0x66, 0xc7);
            emit_at(e, 0, (uint32_t)(FPU(st) + sizeof(FpReg) * reg + offsetof(FpReg, sign_exponent)));
            EMIT(e, 0xff, 0xff);
        }
    }
    unsigned in_use = (written ? XSTATE_SSE : 0) | (n->ymm_write ? XSTATE_AVX : 0) | (n->mm_read | n->mm_write ? XSTATE_FP : 0);
    if (in_use) {
        EMIT(e, 0x80); /* or byte [xstate_bv], ... */
        emit_at(e, 1, FPU(xstate_bv));
        *e->p++ = (uint8_t)in_use;
    }
}

size_t stub_emit(uint8_t *out, VecCode c, const VecInfo *n)
{
    Emit e = {.p = out};
    if (n->transition) {
        emit_transition(&e);
    }
    emit_loads(&e, c.vex, n);
    emit_vector(&e, c, n);
    emit_stores(&e, c.vex, n);
    if (n->mm_read || n->mm_write) {
        EMIT(&e, 0x0f, 0x77); /* emms: the host's x87 is for others again */
    }
    if (n->ymm_read || n->ymm_write) {
        EMIT(&e, 0xc5, 0xf8, 0x77); /* vzeroupper */
    }
    EMIT(&e, 0xb8, 1, 0, 0, 0, 0xc3);
    return (size_t)(e.p - out);
}

size_t stub_emit_strict(uint8_t *out, StubFn *code, const VecInfo *n)
{
    Emit e = {.p = out};
    if (n->transition) { /* #MF leaves for good: before exceptions are unmasked */
        emit_transition(&e);
    }
    EMIT(&e, 0x48, 0xba); /* mov rdx, ...; mov rax, ...; jmp rax */
    emit_address(&e, code);
    EMIT(&e, 0x48, 0xb8);
    emit_address(&e, borrow_strict);
    EMIT(&e, 0xff, 0xe0);
    return (size_t)(e.p - out);
}
