/* Between explain-gate.c and explain-insn.c: checks that tell what they refuse. */
#ifndef CPU_BLACKBOX_EXPLAIN_LOOK_H
#define CPU_BLACKBOX_EXPLAIN_LOOK_H

#include "cpu/blackbox/explain.h"

enum { LOOK_DE = 0, LOOK_UD = 6, LOOK_NM = 7, LOOK_TS = 10, LOOK_NP, LOOK_SS, LOOK_GP, LOOK_PF };

typedef struct Look {
    const Cpu *c;
    Refusal *r;                         /* what the check that failed raises ... */
    GString *out;                       /* ... and why */
    uint32_t ext;                       /* error codes get the EXT bit */
} Look;

/* Each is true when the check is passed, and then has added no text. */
bool look_refuse(Look *l, unsigned vector, uint32_t error);     /* false */
/* The page tables let `access` (WALK_*) through; text: what does not. */
bool look_access(Look *l, uint64_t at, unsigned size, unsigned access);
/* The CPU's own read of a table; *value is the contents. */
bool look_read(Look *l, const char *what, uint64_t at, unsigned size, uint64_t *value);
/* Not null, and within GDT or LDT. */
bool look_descriptor(Look *l, uint16_t selector, unsigned vector, uint64_t *low);
/* False, with text: "selector 0x10 (GDT entry 2 at 0x...) WHAT: 0x... is 32-bit code ...". */
bool look_bad_descriptor(Look *l, uint16_t selector, uint64_t low, unsigned vector, const char *what);

#endif
