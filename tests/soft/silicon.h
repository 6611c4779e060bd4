/* Sequences on the host's own processor, in 64-bit and in compatibility mode, with all registers as wanted. */
#ifndef TESTS_SOFT_SILICON_H
#define TESTS_SOFT_SILICON_H

#include "cpu/state.h"
#include "tests/soft/sequence.h"

/* Where a CPU stands, before a sequence or after it. */
typedef struct Standing {
    uint64_t gpr[16], rip, flags;
    Xsave fpu;                          /* without the pointers to the last x87 instruction */
    uint8_t vector;                     /* what it ended with; EXC_NONE: it went to ARENA_EXIT */
    uint32_t error;
    uint64_t cr2;
    bool endless;                       /* had to be stopped */
} Standing;

void silicon_setup(void);               /* makes the arena */
bool silicon_has_32(void);
static inline uint8_t *silicon_memory(unsigned at) { return (uint8_t *)(uintptr_t)(arena + at); }
void silicon_fill_const(const void *page);      /* what ARENA_CONST has */
/* This process has something there that a guest has not. */
bool silicon_maps(uint64_t linear);
void silicon_run(bool code_32, const Standing *in, Standing *out);
/* From a signal's handler, with what that was given: what runs in the arena now is given up where it stands. */
void silicon_stop(int signal, const void *context);

#endif
