/* Writing x86-64 host code. */
#ifndef ACCEL_SOFT_EMIT_H
#define ACCEL_SOFT_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum HostReg {
    H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11, H_R12, H_R13, H_R14, H_R15,
    H_NONE,
} HostReg;

/* Code is written in one place and runs in another (twice.h). */
typedef struct Emit {
    uint8_t *p;                         /* the next byte */
    ptrdiff_t run;                      /* added to an address here: where that runs */
} Emit;

/* What a ModRM byte names: a register, memory by registers, or memory at a place within 2 GiB of the code. */
typedef struct Rm {
    bool memory;
    uint8_t base, index;                /* HostReg; a register: base */
    uint8_t scale;                      /* a shift: 0 to 3 */
    int32_t disp;
    const void *at;                     /* if set: there */
} Rm;
static inline Rm rm_reg(unsigned r) { return (Rm){.base = (uint8_t)r, .index = H_NONE}; }
static inline Rm rm_at(const void *at) { return (Rm){.memory = true, .at = at}; }
static inline Rm rm_mem(unsigned base, size_t disp)
{
    return (Rm){.memory = true, .base = (uint8_t)base, .index = H_NONE, .disp = (int32_t)disp};
}

enum {
    E_W = 1 << 0,                       /* 64-bit operands */
    E_66 = 1 << 1, E_F3 = 1 << 2, E_LOCK = 1 << 3,
    E_BYTE = 1 << 4,                    /* byte registers: 4 to 7 are SPL to DIL */
};

/* One instruction with a ModRM byte; opcode: map << 8 | byte, as Insn has it.  `tail`: bytes of the immediate that the caller
 * writes behind it. */
void emit_op(Emit *e, unsigned flags, unsigned opcode, unsigned reg, Rm rm, unsigned tail);
void emit_bytes(Emit *e, const void *bytes, size_t n);
void emit_8(Emit *e, unsigned v);
void emit_32(Emit *e, uint32_t v);
/* `reg` = v, in the shortest way; flags stay. */
void emit_number(Emit *e, unsigned reg, uint64_t v);
void emit_move(Emit *e, unsigned flags, unsigned to, Rm from);
void emit_store(Emit *e, unsigned flags, Rm to, unsigned from);
void emit_call(Emit *e, const void *function);          /* anywhere; through RAX */
/* To a place in the code, by where it is written; NULL: not known yet.  Each returns what emit_land wants. */
uint8_t *emit_jump(Emit *e, const uint8_t *to);
uint8_t *emit_jump_if(Emit *e, unsigned condition, const uint8_t *to);
uint8_t *emit_call_near(Emit *e, const uint8_t *to);
void emit_land(Emit *e, uint8_t *jump);                 /* it goes here */

enum { IF_AE = 3, IF_E = 4, IF_NE = 5, IF_BE = 6, IF_A = 7 };

#endif
