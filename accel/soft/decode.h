/* Bytes to instructions. */
#ifndef ACCEL_SOFT_DECODE_H
#define ACCEL_SOFT_DECODE_H

#include "accel/soft/insn.h"

/* What CPUID has to say about bytes that mean something else on older processors. */
enum { DECODE_LZCNT = 1, DECODE_TZCNT = 2, DECODE_AMD = 4 /* near branches take an operand-size prefix in 64-bit code */ };

typedef enum DecodeResult {
    DECODE_OK,
    DECODE_SHORT,                       /* `len` bytes do not hold it: more of them would       */
    DECODE_BAD,                         /* no instruction: #UD                                  */
    DECODE_LONG,                        /* more than 15 bytes: #GP(0)                           */
} DecodeResult;
/* One instruction at `rip`, for MODE_* of soft.h and DECODE_*.  Any thread.  */
DecodeResult insn_decode_as(Insn *out, const uint8_t *bytes, size_t len, uint32_t mode, uint64_t rip, unsigned traits);
/* The same with every trait that current Intel processors have; false: it is no instruction. */
bool insn_decode(Insn *out, const uint8_t *bytes, size_t len, uint32_t mode, uint64_t rip);

#endif
