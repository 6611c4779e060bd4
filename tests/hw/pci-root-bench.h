/* A root bus of its own, whose interrupt line and messages are looked at. */
#ifndef TESTS_HW_PCI_ROOT_BENCH_H
#define TESTS_HW_PCI_ROOT_BENCH_H

#include "hw/pci/pci.h"
#include "tests/hw/bench.h"

static PciBus *bus;
static bool line_high;
static unsigned messages;               /* since the start; the last one: */
static uint64_t message_at;
static uint32_t message_data;

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin)
{
    return 0;
}
static void set_irq(void *opaque, unsigned n, bool level)
{
    line_high = level;
}
static void message(void *opaque, uint64_t address, uint32_t data)
{
    message_at = address;
    message_data = data;
    messages++;
}

static void make_root(void)
{
    PciHost host = {.mem = region_container("pci", 0), .io = space_root(space_io()), .dma_space = space_memory(),
                    .map_irq = map_irq, .set_irq = set_irq, .msi = {message, NULL}};
    region_map(space_root(space_memory()), host.mem, 0, -1);
    bus = pci_bus_new(NULL, "pcie.0", &host);
}

#endif
