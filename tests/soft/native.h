/* One instruction at a time on the host's own processor, in 64-bit and in compatibility mode, with every
 * general register and the flags as wanted. All of it lies below 2 GiB, where 32-bit code reaches it and
 * 64-bit code can name it. */
#ifndef TESTS_SOFT_NATIVE_H
#define TESTS_SOFT_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Regs {
    uint64_t gpr[16], flags;
    bool taken;                         /* out: it jumped to native_taken() */
} Regs;

enum { NATIVE_DATA = 8192 };            /* bytes of memory, with nothing around */
void native_setup(void);
bool native_has_32(void);               /* compatibility mode works here */
uint64_t native_data(void);
uint64_t native_slot(bool code_32);     /* where the instruction lies */
uint64_t native_taken(bool code_32);    /* 64 bytes before: a place for it to jump to */
void native_place(bool code_32, const uint8_t *bytes, size_t len);
/* 0, or the signal that it raised; `out` is then not changed. */
int native_run(bool code_32, const Regs *in, Regs *out);

#endif
