/* Disassembly, by Zydis: bytes to text, in AT&T's syntax, as gdb shows it. */
#ifndef CPU_DISAS_H
#define CPU_DISAS_H

#include "cpu/cpu.h"

enum { DISAS_MAX_LENGTH = 15 };         /* bytes of the longest instruction */

/* One instruction of `code` (at most `len` bytes) for a default size of 16, 32 or 64 bits, as if it stood at `ip`.
 * Appends its text; returns its length in bytes, 0 when the bytes are no instruction ("(bad)" is appended). */
unsigned disas_one(const uint8_t *code, size_t len, unsigned code_size, uint64_t ip, GString *out);
/* `x/i` and `xp/i`: `count` instructions at a linear or physical address, one line each: address, bytes, text.
 * The mode is the CPU's.  Returns the address behind the last. */
uint64_t disas_print(const Cpu *c, uint64_t at, bool physical, unsigned count, GString *out);

#endif
