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

TopologyPlace topology_place(const Topology *t, unsigned index)
{
    return (TopologyPlace){.socket = index / (t->threads * t->cores * t->dies),
                           .die = index / (t->threads * t->cores) % t->dies,
                           .core = index / t->threads % t->cores,
                           .thread = index % t->threads};
}

unsigned topology_index(const Topology *t, TopologyPlace at)
{
    return ((at.socket * t->dies + at.die) * t->cores + at.core) * t->threads + at.thread;
}

uint32_t topology_apic_id(const Topology *t, unsigned index)
{
    TopologyPlace at = topology_place(t, index);
    return at.thread | at.core << topology_core_shift(t) | at.die << topology_die_shift(t) |
           at.socket << topology_package_shift(t);
}
