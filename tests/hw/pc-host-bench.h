/* A host bridge of a PC with its memory: what the tests of both chips begin with. */
#ifndef TESTS_HW_PC_HOST_BENCH_H
#define TESTS_HW_PC_HOST_BENCH_H

#include "hw/pci/pc-host.h"
#include "tests/hw/bench.h"

static RamBlock *ram, *bios;
static Region *ram_region;
static PcMemory memory;
static Device *host;
static PciBus *bus;

/* `size` bytes of RAM, and firmware of 256 KiB whose words are their own offsets. */
static void setup_host(const DeviceClass *class, const PcSplit *split, uint64_t size)
{
    GError *error = NULL;
    ram = ram_new("pc.ram", size, NULL, NULL);
    ram_region = region_ram("pc.ram", ram, 0, size);
    bios = ram_new("pc.bios", 256 << 10, NULL, NULL);
    for (unsigned at = 0; at < 256 << 10; at += 4) {
        ram_write(bios, at, &at, 4);
    }
    pc_memory_init(&memory, split, ram_region, &(PcRam){.size = size});
    pc_memory_map_bios(&memory, bios);
    host = pc_host_new(class, &memory, &error);
    ck_assert_msg(host != NULL, "%s", error ? error->message : "");
    bus = pc_host_bus(host);
    mem_commit();
}

static uint32_t peek(uint64_t at)
{
    return (uint32_t)space_load(space_memory(), at, 4);
}

static void poke(uint64_t at, uint32_t v)
{
    space_store(space_memory(), at, 4, v);
}

#endif
