/* Encodings: SDM vol 2 chapter 2 and appendix B. */
#include "accel/soft/emit.h"

#include <glib.h>
#include <string.h>

enum { REX = 0x40, REX_W = 8, REX_R = 4, REX_X = 2, REX_B = 1, USE_SIB = 4, NO_INDEX = 4, NO_BASE = 5 };

void emit_8(Emit *e, unsigned v)
{
    *e->p++ = (uint8_t)v;
}

void emit_bytes(Emit *e, const void *bytes, size_t n)
{
    memcpy(e->p, bytes, n);
    e->p += n;
}

void emit_32(Emit *e, uint32_t v)
{
    emit_bytes(e, &v, 4);
}

static uint32_t distance(const Emit *e, const void *at, unsigned behind)
{
    int64_t d = (int64_t)((intptr_t)at - ((intptr_t)e->p + e->run + behind));
    g_assert(d == (int32_t)d);
    return (uint32_t)d;
}

static void emit_modrm(Emit *e, unsigned reg, const Rm *rm, unsigned tail)
{
    unsigned field = (reg & 7) << 3;
    if (!rm->memory) {
        emit_8(e, 0xc0 | field | (rm->base & 7));
        return;
    }
    if (rm->at) {
        emit_8(e, field | 5);
        emit_32(e, distance(e, rm->at, 4 + tail));
        return;
    }
    bool based = rm->base != H_NONE, indexed = rm->index != H_NONE;
    bool sib = indexed || !based || (rm->base & 7) == H_RSP;
    bool far = based && rm->disp != (int8_t)rm->disp;
    bool near = based && !far && (rm->disp || (rm->base & 7) == H_RBP);
    emit_8(e, (far ? 0x80 : near ? 0x40 : 0) | field | (sib ? USE_SIB : rm->base & 7));
    if (sib) {
        emit_8(e, (unsigned)rm->scale << 6 | (indexed ? rm->index & 7 : NO_INDEX) << 3 | (based ? rm->base & 7 : NO_BASE));
    }
    if (far || !based) {
        emit_32(e, (uint32_t)rm->disp);
    } else if (near) {
        emit_8(e, (uint8_t)rm->disp);
    }
}

static bool high(unsigned host)
{
    return host != H_NONE && host & 8;
}

void emit_op(Emit *e, unsigned flags, unsigned opcode, unsigned reg, Rm rm, unsigned tail)
{
    if (flags & E_LOCK) {
        emit_8(e, 0xf0);
    }
    if (flags & E_66) {
        emit_8(e, 0x66);
    }
    if (flags & E_F3) {
        emit_8(e, 0xf3);
    }
    unsigned rex = (flags & E_W ? REX_W : 0) | (high(reg) ? REX_R : 0);
    if (!rm.memory || !rm.at) {
        rex |= (high(rm.base) ? REX_B : 0) | (rm.memory && high(rm.index) ? REX_X : 0);
    }
    if (rex || flags & E_BYTE) {
        emit_8(e, REX | rex);
    }
    if (opcode >> 8) {
        emit_8(e, 0x0f);
    }
    emit_8(e, opcode & 0xff);
    emit_modrm(e, reg, &rm, tail);
}

void emit_move(Emit *e, unsigned flags, unsigned to, Rm from)
{
    emit_op(e, flags, 0x8b, to, from, 0);
}

void emit_store(Emit *e, unsigned flags, Rm to, unsigned from)
{
    emit_op(e, flags, flags & E_BYTE ? 0x88 : 0x89, from, to, 0);
}

void emit_number(Emit *e, unsigned reg, uint64_t v)
{
    if (v == (uint64_t)(int64_t)(int32_t)v && v >> 32) {
        emit_op(e, E_W, 0xc7, 0, rm_reg(reg), 4);
        emit_32(e, (uint32_t)v);
        return;
    }
    unsigned rex = (v >> 32 ? REX_W : 0) | (high(reg) ? REX_B : 0);
    if (rex) {
        emit_8(e, REX | rex);
    }
    emit_8(e, 0xb8 | (reg & 7));
    emit_bytes(e, &v, v >> 32 ? 8 : 4);
}

void emit_call(Emit *e, const void *function)
{
    emit_number(e, H_RAX, (uint64_t)(uintptr_t)function);
    emit_op(e, 0, 0xff, 2, rm_reg(H_RAX), 0);
}

static uint8_t *emit_rel(Emit *e, const uint8_t *to)
{
    uint8_t *at = e->p;
    emit_32(e, to ? (uint32_t)(to - (at + 4)) : 0);
    return at;
}

uint8_t *emit_jump(Emit *e, const uint8_t *to)
{
    emit_8(e, 0xe9);
    return emit_rel(e, to);
}

uint8_t *emit_jump_if(Emit *e, unsigned condition, const uint8_t *to)
{
    emit_8(e, 0x0f);
    emit_8(e, 0x80 | condition);
    return emit_rel(e, to);
}

uint8_t *emit_call_near(Emit *e, const uint8_t *to)
{
    emit_8(e, 0xe8);
    return emit_rel(e, to);
}

void emit_land(Emit *e, uint8_t *jump)
{
    uint32_t rel = (uint32_t)(e->p - (jump + 4));
    memcpy(jump, &rel, 4);
}
