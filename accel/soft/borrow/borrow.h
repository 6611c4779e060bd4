/* Vector instructions on the host's own unit (MMX, SSE to SSE4.2, AES, PCLMULQDQ, SHA, AVX, AVX2, FMA, F16C, and the general
 * ones that are worth it: CRC32, PDEP ...).
 *
 * A stub loads the registers that the instruction reads from CpuState, runs the same instruction re-encoded with its memory
 * operand at a pointer, and stores what it wrote; flags it sets (COMISD, PTEST) go to SoftCpu.cc.  Bit-exact by nature.
 * Stubs of one CPU are kept by content (the instruction without its address) and last as long as its blocks.
 *
 * MXCSR: while a CPU runs blocks, the host's MXCSR is the guest's with every exception masked (borrow_enter, borrow_leave), so
 * nothing raises SIGFPE and sticky flags gather in the host's register.  Where the guest unmasks an exception (MODE_MXCSR), stubs
 * are made in a strict form: they run with the guest's own masks, and SIGFPE becomes #XM (#UD without CR4.OSXMMEXCPT) before
 * anything is stored. */
#ifndef ACCEL_SOFT_BORROW_H
#define ACCEL_SOFT_BORROW_H

#include "accel/soft/soft.h"

/* The stub's code: `mem` is where the memory operand's bytes are (readable and writable as it needs), of any alignment.
 * False, in strict form only: an unmasked exception, nothing was stored. */
typedef bool StubFn(SoftCpu *s, void *mem);

typedef struct Stub {
    StubFn *code;
    uint16_t mem_size;                  /* bytes of the memory operand; 0: none */
    uint16_t align;                     /* that its linear address must have, else #GP(0); 1: any */
    bool reads, writes;                 /* what is done to memory */
    OpFn *op;                           /* instead of `code`: done in C (masked moves, gathers, MOVDIR ...) */
} Stub;

typedef enum BorrowCheck { BORROW_OK, BORROW_UD, BORROW_NM } BorrowCheck;
/* Whether mode and CPUID let a vector instruction run (SDM vol 2 tables 2-16 to 2-28): for x87 and MMX as well. */
BorrowCheck borrow_check(const SoftCpu *s, const Insn *i, uint32_t mode);
/* The stub of an instruction; NULL: not one of those, or it cannot be encoded. */
const Stub *borrow_stub(SoftCpu *s, const Insn *i, uint32_t mode);
void borrow_flush(SoftCpu *s);          /* every stub of this CPU goes; so must every block */
void borrow_free(SoftCpu *s);
void borrow_enter(SoftCpu *s);          /* guest's MXCSR into the host's register, and back with the flags gathered */
void borrow_leave(SoftCpu *s);
void borrow_mxcsr_read(SoftCpu *s);     /* make state.fpu.mxcsr current while running (STMXCSR, FXSAVE ...) */
void borrow_mxcsr_written(SoftCpu *s);  /* it was changed (LDMXCSR, FXRSTOR ...) */
/* Around C code in between that may use floating point: the host's default MXCSR, and back. */
uint32_t borrow_pause(void);
void borrow_resume(uint32_t mxcsr);
/* What of CPUID's features the host can lend: bits of a register that the software CPU offers beyond what it does in C. */
uint64_t borrow_supported(uint32_t leaf, uint32_t subleaf, int reg, uint64_t bits);

#endif
