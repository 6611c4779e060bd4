/* A decoded instruction: what every engine of the software CPU is made from.
 *
 * decode.c fills it in from Zydis; a block is a list of these.  The interpreter lowers the list to micro-ops (lower.c); the
 * translator makes host code of it (translate/).  Each instruction has up to three lowerings: micro-ops of its own, a
 * borrowed stub (borrow.h), a C function (op/). */
#ifndef ACCEL_SOFT_INSN_H
#define ACCEL_SOFT_INSN_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/state.h"

typedef enum OperandKind { OPERAND_NONE, OPERAND_REG, OPERAND_MEM, OPERAND_IMM, OPERAND_FAR } OperandKind;

typedef enum RegBank {
    BANK_NONE, BANK_GPR, BANK_SEG /* SEG_* */, BANK_CR, BANK_DR, BANK_ST, BANK_MM, BANK_XMM, BANK_YMM,
    BANK_OTHER,                         /* nothing that this CPU has */
} RegBank;

typedef struct Operand {
    uint8_t kind;                       /* OperandKind                                              */
    uint8_t bank, reg;                  /* REG: which; AH CH DH BH are RAX RCX RDX RBX with `high`  */
    bool high;
    uint16_t size;                      /* bytes; MEM: 0 when no data is accessed (LEA, INVLPG)      */
    bool read, write;                   /* MEM and REG: what the instruction does to it             */
    uint8_t imm;                        /* IMM: which of Insn.imm[]                                  */
} Operand;

enum { INSN_OPERANDS = 5, NO_REG = CPU_GPRS };

/* The memory operand; no instruction has two that are encoded (string operations are done by their registers). */
typedef struct MemOperand {
    uint8_t base, index;                /* CPU_R*, or NO_REG                                        */
    uint8_t scale;                      /* as a shift: 0 to 3                                       */
    uint8_t seg;                        /* SEG_*                                                    */
    bool rip_relative;                  /* disp then already has the address of the next instruction */
    int64_t disp;                       /* sign-extended                                            */
} MemOperand;

typedef struct Insn {
    uint64_t rip;                       /* of its first byte, relative to CS                        */
    uint8_t bytes[15], length;
    uint16_t mnemonic;                  /* ZydisMnemonic                                            */
    uint16_t isa_set;                   /* ZydisISASet                                              */
    uint8_t operand_size;               /* 1, 2, 4, 8: effective operand size                       */
    uint8_t address_size;               /* 2, 4, 8                                                  */
    uint8_t operands;                   /* visible ones, in Intel's order                           */
    bool lock, rep, repne;              /* prefixes that mean something here                        */
    bool vex;
    Operand op[INSN_OPERANDS];
    MemOperand mem;
    uint64_t imm[2];                    /* sign-extended as the instruction does; far: offset, selector; a relative
                                         * branch: its target, cut to the operand size              */
    uint16_t opcode;                    /* map << 8 | opcode byte                                   */
    uint8_t modrm;                      /* 0 when there is none                                     */
    uint16_t flags_read, flags_written; /* FLAG_CF .. FLAG_OF; written: certainly                   */
} Insn;

#endif
