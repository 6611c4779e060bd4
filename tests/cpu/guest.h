/* A CPU with a little RAM at 0, and one page above 4G. */
#ifndef TESTS_CPU_GUEST_H
#define TESTS_CPU_GUEST_H

#include "mem/ram.h"
#include "tests/cpu/cpu-test.h"

enum { GUEST_RAM = 1 << 20 };

static inline Cpu *guest_new(const char *option)
{
    ModelEnv env = {0};
    Space *space = space_new("test", 0);
    RamBlock *ram = ram_new("test", GUEST_RAM, NULL, NULL);
    region_map(space_root(space), region_ram("test", ram, 0, GUEST_RAM), 0, 0);
    RamBlock *high = ram_new("high", 4096, NULL, NULL);
    region_map(space_root(space), region_ram("high", high, 0, 4096), UINT64_C(0x100000000), 0);
    mem_commit();
    return cpu_new(model_or_fail(option, &env), 0, space);
}

static inline void poke(Cpu *c, uint64_t at, unsigned size, uint64_t v)
{
    ck_assert(space_write(c->memory, at, &v, size));
}

#endif
