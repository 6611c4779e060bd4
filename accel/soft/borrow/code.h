/* Between the files of borrow*.c and op/vector.c: a vector instruction taken apart, what it does, and
 * stubs being written. */
#ifndef ACCEL_SOFT_BORROW_CODE_H
#define ACCEL_SOFT_BORROW_CODE_H

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/emit.h"

/* ---- borrow-parse.c ---- */
/* The fields of an instruction with a 0F or VEX opcode.  Its memory operand's address is dropped: put
 * together again, it is a 64-bit instruction whose memory operand is [rsi], with the guest's register
 * numbers until they are changed here. */
typedef struct VecCode {
    bool vex, memory, has_modrm;
    bool w, r, b, l;                    /* not inverted; b: of a register operand only              */
    uint8_t prefix66, prefix_rep;       /* legacy: 0x66 or 0; the last of 0xf2, 0xf3, or 0          */
    uint8_t map, opcode;                /* map 1: 0F, 2: 0F 38, 3: 0F 3A                            */
    uint8_t pp, vvvv;                   /* VEX; vvvv not inverted: 0 when unused                    */
    uint8_t modrm;
    uint8_t imms, imm[2];
    uint8_t vsib_index;                 /* with a SIB byte: its index as a vector register's number */
} VecCode;
/* False: not of that form. */
bool vec_parse(VecCode *c, const Insn *i, uint32_t mode);
enum { VEC_CODE_MAX = 15 };
unsigned vec_encode(const VecCode *c, uint8_t out[VEC_CODE_MAX]);

typedef enum GprField { GPR_FIELD_NONE, GPR_FIELD_REG, GPR_FIELD_RM } GprField;
/* What it reads and writes; bit n: register n. */
typedef struct VecInfo {
    uint16_t xmm_read, xmm_write, ymm_read, ymm_write;
    uint8_t mm_read, mm_write;
    bool transition;                    /* from x87 to MMX                                          */
    uint8_t gpr_field, gpr;             /* the general register that ModRM names                    */
    bool gpr_read, gpr_write;
    bool string_lengths, string_index;  /* PCMPESTRx: RAX and RDX; PCMPxSTRI: ECX                   */
    bool flags;                         /* writes the arithmetic flags                              */
    bool fp;                            /* may raise SIMD floating-point exceptions                 */
    uint16_t mem_size, align;
    bool mem_read, mem_write;
} VecInfo;
/* False: nothing that a stub can do. */
bool vec_info(VecInfo *n, const VecCode *c);

/* ---- borrow-emit.c ---- */
enum { STUB_MAX = 512 };                /* bytes, more than any of them takes */
/* Both return the length. */
size_t stub_emit(uint8_t *out, VecCode c, const VecInfo *n);
size_t stub_emit_strict(uint8_t *out, StubFn *code, const VecInfo *n);   /* borrow_strict with `code` */

/* The instruction itself: its registers have the guest's numbers, the general one is RAX, memory at RSI. */
void emit_vector(Emit *e, VecCode c, const VecInfo *n);
/* Bits 128-255 of a register, from and to CpuState; RDI is the SoftCpu. */
void emit_load_high(Emit *e, unsigned reg);
void emit_store_high(Emit *e, unsigned reg);

/* ---- borrow-mxcsr.c ---- */
bool borrow_strict(SoftCpu *s, void *mem, StubFn *code);

/* ---- op/vector.c ---- */
/* What every MMX instruction does first: #MF when an x87 exception waits, TOP 0, all registers valid (SDM
 * vol 3 §12.2). */
void borrow_mmx_enter(SoftCpu *s);
const Stub *vector_op_find(unsigned mnemonic);  /* NULL: not one of those done in C */

#endif
