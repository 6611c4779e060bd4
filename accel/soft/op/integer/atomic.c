/* Read-modify-write of operands, and the instructions that are made to be atomic.
 *
 * A guest's locked operation on plain memory is the host's: a compare-exchange loop, whatever the operation.
 * Addresses that have no host pointer (devices, ROM, operands that cross a page) are done one at a time in
 * the whole machine. */
#include <string.h>

#include "accel/soft/op/integer/integer.h"

static uint64_t host_load(const void *p, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, p, size);
    return v;
}

#define CAS_CASE(bytes, type, suffix)                                                               \
    case bytes: {                                                                                   \
        type was = (type)*old;                                                                      \
        __asm__ volatile("lock cmpxchg" suffix " %[new], %[m]"                                      \
                         : [m] "+m"(*(type *)p), "+a"(was), "=@ccz"(done)                           \
                         : [new] "r"((type)new)                                                     \
                         : "memory");                                                               \
        *old = was;                                                                                 \
        break;                                                                                      \
    }
/* Guests may lock what is not aligned, and so may the host; C's atomics do not promise that. */
static bool host_cas(void *p, unsigned size, uint64_t *old, uint64_t new)
{
    bool done = false;
    switch (size) {
        CAS_CASE(1, uint8_t, "b")
        CAS_CASE(2, uint16_t, "w")
        CAS_CASE(4, uint32_t, "l")
        CAS_CASE(8, uint64_t, "q")
    }
    return done;
}

uint64_t memory_update(SoftCpu *s, uint64_t linear, unsigned size, AluFn *fn, uint64_t src, uint16_t *cc)
{
    void *host = soft_host(s, linear, size, true);
    if (host) {
        uint64_t old = host_load(host, size);
        for (;;) {
            uint16_t flags = *cc;
            if (host_cas(host, size, &old, fn(size, old, src, &flags))) {
                *cc = flags;
                return old;
            }
        }
    }
    soft_probe(s, linear, size, true);  /* no fault may leave with the lock */
    soft_bus_lock();
    uint64_t old = soft_load(s, linear, size);
    soft_store(s, linear, size, fn(size, old, src, cc));
    soft_bus_unlock();
    return old;
}

uint64_t operand_update(SoftCpu *s, const Insn *i, AluFn *fn, uint64_t src)
{
    unsigned size = i->op[0].size;
    uint16_t cc = s->cc;
    uint64_t old;
    if (i->lock && i->op[0].kind == OPERAND_MEM) {
        old = memory_update(s, soft_operand_linear(s, i, size, true), size, fn, src, &cc);
    } else {
        old = soft_get_rmw(s, i, 0);
        soft_put(s, i, 0, fn(size, old, src, &cc));
    }
    s->cc = cc;
    return old;
}

/* With memory it is locked, prefix or not. */
void op_xchg(SoftCpu *s, const Insn *i)
{
    unsigned m = i->op[1].kind == OPERAND_MEM;
    uint64_t reg = soft_get(s, i, !m), old;
    if (i->op[m].kind == OPERAND_MEM) {
        unsigned size = i->op[m].size;
        old = memory_update(s, soft_operand_linear(s, i, size, true), size, alu_xchg, reg, &s->cc);
    } else {
        old = soft_get(s, i, m);
        soft_put(s, i, m, reg);
    }
    soft_put(s, i, !m, old);
}

/* Where both operands are one register the sum remains, so it is written last. */
void op_xadd(SoftCpu *s, const Insn *i)
{
    uint64_t src = soft_get(s, i, 1);
    if (i->op[0].kind == OPERAND_MEM) {
        soft_put(s, i, 1, operand_update(s, i, alu_add, src));
        return;
    }
    uint64_t old = soft_get(s, i, 0), sum = alu_add(i->op[0].size, old, src, &s->cc);
    soft_put(s, i, 1, old);
    soft_put(s, i, 0, sum);
}

/* ---- Compare and exchange ---- */

/* The accumulator is written only when the comparison fails. A destination in memory always is (SDM vol 2
 * CMPXCHG), a register only when it succeeds: that is seen where 32 bits would clear the upper half. */
static void cmpxchg_finish(SoftCpu *s, unsigned size, uint64_t expected, uint64_t old)
{
    alu_sub(size, expected, old, &s->cc);
    if (!(s->cc & CC_ZF)) {
        soft_gpr_put(s, CPU_RAX, size, old);
    }
}

static uint64_t cmpxchg_memory(SoftCpu *s, uint64_t linear, unsigned size, uint64_t expected, uint64_t new)
{
    void *host = soft_host(s, linear, size, true);
    uint64_t old = expected;
    if (host) {
        host_cas(host, size, &old, new);
        return old;
    }
    soft_probe(s, linear, size, true);
    soft_bus_lock();
    old = soft_load(s, linear, size);
    soft_store(s, linear, size, old == expected ? new : old);
    soft_bus_unlock();
    return old;
}

void op_cmpxchg(SoftCpu *s, const Insn *i)
{
    unsigned size = i->op[0].size;
    uint64_t expected = soft_gpr(s, CPU_RAX, size), new = soft_get(s, i, 1), old;
    if (i->lock && i->op[0].kind == OPERAND_MEM) {
        old = cmpxchg_memory(s, soft_operand_linear(s, i, size, true), size, expected, new);
    } else {
        old = soft_get_rmw(s, i, 0);
        if (old == expected) {
            soft_put(s, i, 0, new);
        } else if (i->op[0].kind == OPERAND_MEM) {
            soft_put(s, i, 0, old);
        }
    }
    cmpxchg_finish(s, size, expected, old);
}

/* LOCK or not, one host operation is right. */
void op_cmpxchg8b(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_CX8);
    uint64_t *gpr = s->cpu.state.gpr;
    uint64_t expected = gpr[CPU_RDX] << 32 | (uint32_t)gpr[CPU_RAX];
    uint64_t new = gpr[CPU_RCX] << 32 | (uint32_t)gpr[CPU_RBX];
    uint64_t old = cmpxchg_memory(s, soft_operand_linear(s, i, 8, true), 8, expected, new);
    cc_set(&s->cc, CC_ZF, old == expected);
    if (old != expected) {
        gpr[CPU_RAX] = (uint32_t)old;
        gpr[CPU_RDX] = old >> 32;
    }
}

static bool host_cas16(void *p, uint64_t old[2], const uint64_t new[2])
{
    bool done;
    __asm__ volatile("lock cmpxchg16b %[m]"
                     : [m] "+m"(*(unsigned __int128 *)p), "+a"(old[0]), "+d"(old[1]), "=@ccz"(done)
                     : "b"(new[0]), "c"(new[1])
                     : "memory");
    return done;
}

void op_cmpxchg16b(SoftCpu *s, const Insn *i)
{
    require(s, FEATURE_CX16);
    uint64_t base = i->mem.seg >= SEG_FS ? s->cpu.state.seg[i->mem.seg].base : 0;
    if ((soft_ea(s, i) + base) & 15) {  /* before it is looked at whether the address is canonical, which may be #SS */
        soft_fault_error(s, EXC_GP, 0);
    }
    uint64_t linear = soft_operand_linear(s, i, 16, true);
    uint64_t *gpr = s->cpu.state.gpr;
    uint64_t old[2] = {gpr[CPU_RAX], gpr[CPU_RDX]}, new[2] = {gpr[CPU_RBX], gpr[CPU_RCX]};
    bool equal;
    void *host = soft_host(s, linear, 16, true);
    if (host) {
        equal = host_cas16(host, old, new);
    } else {
        soft_probe(s, linear, 16, true);
        soft_bus_lock();
        uint64_t was[2] = {soft_load(s, linear, 8), soft_load(s, linear + 8, 8)};
        equal = was[0] == old[0] && was[1] == old[1];
        soft_store(s, linear, 8, equal ? new[0] : was[0]);
        soft_store(s, linear + 8, 8, equal ? new[1] : was[1]);
        soft_bus_unlock();
        memcpy(old, was, sizeof(old));
    }
    cc_set(&s->cc, CC_ZF, equal);
    if (!equal) {
        gpr[CPU_RAX] = old[0];
        gpr[CPU_RDX] = old[1];
    }
}
