/* Why the processor refused: from the machine's state to a sentence.
 *
 * Everything here only reads: CpuState, descriptor tables and page tables through the debugger's view of memory.  A fault
 * changes none of them before its handler is entered, so right after the last of a chain of faults each of them can be
 * asked again what it had to say.  Where the state has changed meanwhile the answers say so instead of guessing.
 *
 * State in sync; the CPU's own thread, or the CPU stopped; main lock held.  Texts are appended, without a newline. */
#ifndef CPU_BLACKBOX_EXPLAIN_H
#define CPU_BLACKBOX_EXPLAIN_H

#include "cpu/blackbox/ring.h"

typedef struct Refusal {                /* the fault that a check would raise */
    uint8_t vector;
    uint32_t error;
    uint64_t address;                   /* #PF */
} Refusal;

/* What refuses an access (WALK_* of cpu/paging.h) to a linear address: "PDPTE at 0x1018 (index 3) is not present (value
 * 0x0)".  False, and no text: nothing does. */
bool explain_walk(const Cpu *c, uint64_t va, unsigned access, GString *out);
/* Each entry of the walk on a line of its own, behind `indent`, and where it leads; with newlines. */
void explain_walk_entries(const Cpu *c, uint64_t va, const char *indent, GString *out);
/* WALK_* from the error code of a #PF; `fetch`: it is known to be one though the code does not say so. */
unsigned explain_access(uint32_t error, bool fetch);

/* The first thing that stands in the way of delivering an event now, in the order in which a processor looks (SDM vol 3
 * §6.12, 6.14): IDT, gate, code segment, TSS, stack.  `kind` is BOX_EXCEPTION, _INTERRUPT, _SOFTWARE or _NMI.  False:
 * nothing does. */
bool explain_delivery(const Cpu *c, BoxKind kind, unsigned vector, bool has_error, Refusal *r, GString *out);
/* What the IDT or IVT has for a vector, in one line. */
void explain_gate(const Cpu *c, unsigned vector, GString *out);
/* What a selector names, and what is odd about it: "selector 0x10: GDT entry 2 at 0x... (0x...): data, DPL 0 ...". */
void explain_selector(const Cpu *c, uint16_t selector, GString *out);

/* Why the instruction at CS:RIP raised a fault.  False, and no text: the state does not tell. */
bool explain_instruction(const Cpu *c, const BoxFault *f, GString *out);
/* Where nobody knows what came: "#GP: it leads to ...", if the instruction at CS:RIP is certain to raise one of #UD #DE #GP #SS.
 * False, and no text: it is not. */
bool explain_suspect(const Cpu *c, GString *out);
/* Any fault of a chain: of the instruction or of a delivery; always says something. */
void explain_fault(const Cpu *c, const BoxFault *f, GString *out);

#endif
