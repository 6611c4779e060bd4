/* Private to op/segment.c, far.c, iret.c, task.c, interrupt.c: descriptors read, judged and marked, and
 * stacks that are not the current one.
 *
 * Everything here may raise a fault and changes no register.  Error codes get the EXT bit while an event
 * from outside the program is delivered (SDM vol 3 §6.13). */
#ifndef ACCEL_SOFT_OP_DESCRIPTOR_H
#define ACCEL_SOFT_OP_DESCRIPTOR_H

#include "accel/soft/soft.h"
#include "cpu/msr.h"
#include "cpu/segment.h"

/* System descriptor types (SDM vol 3 table 3-2). */
enum {
    SYSTEM_TSS16 = 1, SYSTEM_LDT = 2, SYSTEM_TSS16_BUSY = 3, SYSTEM_CALL16 = 4, SYSTEM_TASK_GATE = 5, SYSTEM_INT16 = 6,
    SYSTEM_TRAP16 = 7, SYSTEM_TSS = 9, SYSTEM_TSS_BUSY = 11, SYSTEM_CALL = 12, SYSTEM_INT = 14, SYSTEM_TRAP = 15,
    SYSTEM_BUSY = 2,                    /* the bit of a TSS's type */
};

typedef struct Descriptor {
    uint64_t low, high;                 /* high: the second half of a 16-byte one, once descriptor_extend has read it */
    uint64_t at;                        /* linear address */
    Segment seg;                        /* as it would be loaded, selector and all; nonsense for gates */
} Descriptor;

static inline unsigned descriptor_type(const Descriptor *d) { return d->low >> 40 & 15; }
static inline bool descriptor_s(const Descriptor *d) { return d->low >> 44 & 1; }
static inline unsigned descriptor_dpl(const Descriptor *d) { return d->low >> 45 & 3; }
static inline bool descriptor_p(const Descriptor *d) { return d->low >> 47 & 1; }
static inline bool descriptor_is_code(const Descriptor *d) { return descriptor_s(d) && descriptor_type(d) & SEGMENT_CODE; }
static inline bool descriptor_conforming(const Descriptor *d) { return descriptor_type(d) & SEGMENT_CONFORMING; }
static inline uint16_t gate_selector(const Descriptor *d) { return (uint16_t)(d->low >> 16); }
static inline uint64_t gate_offset(const Descriptor *d)         /* 16-bit gates: cut it */
{
    return (d->low & 0xffff) | (d->low >> 32 & 0xffff0000) | d->high << 32;
}
static inline bool selector_null(uint16_t selector) { return (selector & ~3) == 0; }
static inline bool selector_local(uint16_t selector) { return selector & 4; }
static inline bool canonical(const SoftCpu *s, uint64_t va) { return address_canonical(va, s->cpu.state.cr4 & CR4_LA57); }
static inline bool long_active(const SoftCpu *s) { return cpu_long_active(&s->cpu.state); }
/* Segment registers are loaded without descriptors. */
static inline bool mode_real_or_v86(const SoftCpu *s) { return cpu_mode(&s->cpu.state) <= CPU_VM86; }
_Static_assert(CPU_REAL < CPU_VM86 && CPU_VM86 < CPU_PROTECTED, "order of modes");

/* #TS #NP #SS #GP with a selector, and those whose code would be 0. */
_Noreturn void selector_fault(SoftCpu *s, unsigned vector, uint16_t selector);
_Noreturn void plain_fault(SoftCpu *s, unsigned vector);

/* What a selector names in GDT or LDT; false: null, or beyond the limit. */
bool descriptor_find(SoftCpu *s, uint16_t selector, Descriptor *d);
/* The same; false raises `vector` with the selector, a null selector `vector` with 0. */
void descriptor_get(SoftCpu *s, uint16_t selector, Descriptor *d, unsigned vector);
/* Long mode: the upper half of an LDT, TSS or call gate descriptor (SDM vol 3 §3.5.2, 5.8.3.1); elsewhere
 * nothing.  False: beyond the limit, or the bits where a type would be are not 0. */
bool descriptor_extend(SoftCpu *s, Descriptor *d);
/* Sets the accessed bit of a code or data segment, in memory where it is clear, and in d->seg. */
void descriptor_accessed(SoftCpu *s, Descriptor *d);
/* The busy bit of a TSS descriptor; false when it was so already (somebody else was faster). */
bool descriptor_set_busy(SoftCpu *s, Descriptor *d, bool busy);

/* A null selector; SS keeps the privilege level in its DPL. */
Segment segment_null(uint16_t selector, unsigned dpl);
/* As virtual-8086 mode has them all (SDM vol 3 §20.2). */
Segment segment_v86(uint16_t selector);
/* A load in real or virtual-8086 mode. */
Segment segment_by_paragraph(const SoftCpu *s, unsigned reg, uint16_t selector);
/* `size` bytes at `offset` are within the limit, whichever way it expands. */
bool segment_within(const Segment *g, uint64_t offset, unsigned size);
/* MOV, POP, LxS to ES SS DS FS GS in any mode: what the register becomes.  The accessed bit is set. */
Segment segment_for_load(SoftCpu *s, unsigned reg, uint16_t selector);
/* SS for a new privilege level: writable, RPL and DPL equal to it, else `vector`; not present: #SS.  The
 * null selector is the caller's. */
Segment segment_for_stack(SoftCpu *s, uint16_t selector, unsigned cpl, unsigned vector);
/* CS by a direct far transfer (JMP, CALL) to a code segment descriptor: the checks of CPL, DPL, P, L and D;
 * RPL becomes CPL. */
Segment segment_for_jump(SoftCpu *s, Descriptor *d);
/* CS for a return (RETF, IRET) to `selector`: every check but that of the offset. */
Segment segment_for_return(SoftCpu *s, uint16_t selector);
/* #GP(0) unless `rip` can be executed in `cs`: limit, or canonical when it is 64-bit code. */
void check_entry(SoftCpu *s, const Segment *cs, uint64_t rip);
/* RETF and IRET to an outer level: data segments that it may not use become null (SDM vol 3 §5.8.6). */
void invalidate_inner_segments(SoftCpu *s, unsigned cpl);

/* A stack to push to or pop from that is not, or not yet, in SS:RSP. */
typedef struct Stack {
    Segment ss;
    uint64_t sp, mask;
    unsigned cpl;                       /* accesses are made at this level */
    bool flat64;                        /* 64-bit: base and limit do not count */
    uint16_t error;                     /* of the #SS, without EXT */
} Stack;
Stack stack_current(const SoftCpu *s);
Stack stack_new(const SoftCpu *s, Segment ss, uint64_t sp, unsigned cpl, bool flat64);
void stack_push(SoftCpu *s, Stack *k, unsigned size, uint64_t value);
uint64_t stack_pop(SoftCpu *s, Stack *k, unsigned size);
/* RSP := k->sp, as wide as that stack is.  SS is the caller's. */
void stack_commit(SoftCpu *s, const Stack *k);
/* SSn:ESPn of the present 16- or 32-bit TSS, or RSPn (SS null) of the 64-bit one, checked (SDM vol 3 §5.8.5,
 * 6.14.4). */
Stack stack_from_tss(SoftCpu *s, unsigned cpl);
/* Interrupt stack `ist` (1 to 7) of the 64-bit TSS. */
uint64_t ist_from_tss(SoftCpu *s, unsigned ist);
/* RSPn of the 64-bit TSS. */
uint64_t rsp_from_tss(SoftCpu *s, unsigned cpl);

#endif
