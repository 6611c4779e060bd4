/* Segmentation (SDM vol 3 ch. 3 and 5): descriptors and the checks they imply.  Nothing here changes the CPU. */
#ifndef CPU_SEGMENT_H
#define CPU_SEGMENT_H

#include "cpu/cpu.h"

/* The hidden part from a descriptor's 8 bytes; `high` is the second half of a 16-byte one (long-mode LDT, TSS, gates),
 * else 0.  The selector is left 0. */
Segment segment_from_descriptor(uint64_t low, uint64_t high);
/* The descriptor that a selector names, from the GDT or LDT, through the debugger's view of memory.  *size is 8 or 16.
 * False: null, beyond the limit, or not mapped. */
bool descriptor_read(const Cpu *c, uint16_t selector, uint64_t *low, uint64_t *high, unsigned *size);

/* A fault to raise; vector 0xff: none. */
enum { FAULT_NONE = 0xff };
typedef struct SegmentFault {
    uint8_t vector;                     /* 10 #TS, 11 #NP, 12 #SS, 13 #GP */
    uint16_t error;
} SegmentFault;

/* Whether MOV/POP to data segment register `reg` (ES SS DS FS GS) may load this (protected and long mode; SDM vol 2
 * MOV).  A null selector for SS is judged too; `s` is what descriptor_read and segment_from_descriptor gave. */
SegmentFault segment_check_load(const CpuState *state, unsigned reg, uint16_t selector, const Segment *s);
/* Whether `size` bytes at `offset` may be accessed through `reg` (SDM vol 3 §5.3, 5.4); error code 0.  In long mode only
 * the address's form matters, and that is the page walk's. */
SegmentFault segment_check_access(const CpuState *state, unsigned reg, uint64_t offset, unsigned size, bool write,
                                  bool fetch);
/* base + offset, cut to the width of the mode. */
uint64_t segment_linear(const CpuState *state, unsigned reg, uint64_t offset);

#endif
