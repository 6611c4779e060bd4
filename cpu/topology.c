#include "cpu/model.h"

/* Bits that count 0 .. n - 1. */
static unsigned bits_for(unsigned n)
{
    unsigned bits = 0;
    while (n > 1u << bits) {
        bits++;
    }
    return bits;
}

unsigned topology_cpus(const Topology *t)
{
    return t->sockets * t->dies * t->cores * t->threads;
}

unsigned topology_core_shift(const Topology *t)
{
    return bits_for(t->threads);
}

unsigned topology_die_shift(const Topology *t)
{
    return topology_core_shift(t) + bits_for(t->cores);
}

unsigned topology_package_shift(const Topology *t)
{
    return topology_die_shift(t) + bits_for(t->dies);
}

uint32_t topology_apic_id(const Topology *t, unsigned index)
{
    unsigned thread = index % t->threads;
    unsigned core = index / t->threads % t->cores;
    unsigned die = index / (t->threads * t->cores) % t->dies;
    unsigned socket = index / (t->threads * t->cores * t->dies);
    return thread | core << topology_core_shift(t) | die << topology_die_shift(t) |
           socket << topology_package_shift(t);
}
