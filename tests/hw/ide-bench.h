/* A PIIX3 IDE function on a PCI bus with one disk or CD, driven through its ports. */
#ifndef TESTS_HW_IDE_BENCH_H
#define TESTS_HW_IDE_BENCH_H

#include <string.h>

#include "core/loop.h"
#include "hw/pci/pci.h"
#include "hw/storage/ide.h"
#include "tests/hw/bench.h"

enum { COMMAND_BLOCK = 0x1f0, CONTROL = 0x3f6, BM = 0xc000 };

static Drive *disk;
static Device *ide;
static Probe irq14;

static inline uint32_t in(uint16_t port, unsigned size) { return (uint32_t)space_load(space_io(), port, size); }
static inline void out(uint16_t port, unsigned size, uint32_t v) { space_store(space_io(), port, size, v); }
static inline uint8_t reg(unsigned n) { return (uint8_t)in((uint16_t)(COMMAND_BLOCK + n), 1); }
static inline void set_reg(unsigned n, uint8_t v) { out((uint16_t)(COMMAND_BLOCK + n), 1, v); }
static inline AtaDevice *unit(unsigned n) { return piix3_ide_bus(ide, 0)->unit[n]; }

static inline void probe(void *sink, unsigned line, bool level)
{
    Probe *p = sink;
    p->level = level;
    level ? p->rises++ : p->falls++;
}

/* Let the drive answer. */
static inline void settle(void)
{
    drive_drain(disk);
}

static inline void command(uint8_t code)
{
    set_reg(7, code);
    settle();
}

static inline void address(uint32_t lba, uint8_t count)
{
    set_reg(2, count);
    set_reg(3, (uint8_t)lba);
    set_reg(4, (uint8_t)(lba >> 8));
    set_reg(5, (uint8_t)(lba >> 16));
    set_reg(6, (uint8_t)(0x40 | (lba >> 24 & 0x0f)));
}

static inline void read_data(void *buf, unsigned len)
{
    for (unsigned i = 0; i < len; i += 2) {
        store_le((uint8_t *)buf + i, 2, in(COMMAND_BLOCK, 2));
    }
}

static inline void write_data(const void *buf, unsigned len)
{
    for (unsigned i = 0; i < len; i += 2) {
        out(COMMAND_BLOCK, 2, (uint32_t)load_le((const uint8_t *)buf + i, 2));
    }
}

/* A disk of `disk_size` bytes, or a CD of `cd_size` bytes, as master of channel 0; the bus master's ports at BM. */
static inline void ide_setup(size_t disk_size, size_t cd_size)
{
    PciHost host = {.mem = space_root(space_memory()), .io = space_root(space_io()), .dma_space = space_memory()};
    PciBus *bus = pci_bus_new(NULL, "pci.0", &host);
    GError *error = NULL;
    ide = &pci_new(&piix3_ide_class, NULL, PCI_DEVFN(1, 1), false)->dev;
    ck_assert_msg(device_realize(ide, pci_bus_as_bus(bus), &error), "%s", error ? error->message : "");
    irq_connect(device_pin(ide, "irq", 0), probe, &irq14, 0);
    disk = drive_new_memory("disk", disk_size ? disk_size : cd_size);
    Device *d = ide_drive_new(piix3_ide_bus(ide, 0), 0, disk, cd_size, NULL, &error);
    ck_assert_msg(d != NULL, "%s", error ? error->message : "");
    pci_config_write(bus, PCI_DEVFN(1, 1), 0x20, 4, BM);
    pci_config_write(bus, PCI_DEVFN(1, 1), 4, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    mem_commit();
}

/* Random use of the ports in spells: registers, commands, data, resets, the DMA engine, drive answers. */
static inline void fuzz(unsigned seed, unsigned rounds)
{
    static const uint8_t commands[] = {0x20, 0x24, 0x25, 0x30, 0x34, 0x35, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xec, 0xa0,
                                       0xa1, 0xef, 0x06, 0xb0, 0x91, 0xe8, 0xe7, 0x08, 0x90, 0xe4, 0x40};
    static const uint8_t packets[] = {0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a,
                                      0xa8, 0xad, 0xbb, 0xbd, 0xbe};
    g_autoptr(GRand) r = g_rand_new_with_seed(seed);
    for (unsigned n = 0; n < rounds; n++) {
        uint32_t v = g_rand_int(r);
        switch (v >> 8 & 15) {
        case 0: set_reg(7, (uint8_t)v); break;
        case 1:
        case 2: set_reg(7, commands[v % G_N_ELEMENTS(commands)]); break;
        case 3:
        case 4:
        case 5: set_reg(v >> 16 & 7 ? v >> 16 & 7 : 6, (uint8_t)(v >> 20 & 1 ? v & 3 : v)); break;
        case 6:
        case 7:
            for (unsigned i = 0; i < (v & 0x1ff); i++) {
                in(COMMAND_BLOCK, 1u << (v >> 16 & 1));
            }
            break;
        case 8: {
            /* a packet, should one be wanted: a known command with small parameters */
            uint8_t cdb[12] = {packets[v % G_N_ELEMENTS(packets)], v >> 16 & 3, v >> 18 & 3};
            for (unsigned i = 3; i < 12; i++) {
                cdb[i] = g_rand_int(r) & (g_rand_boolean(r) ? 3 : 0);
            }
            if (v >> 21 & 1) {
                set_reg(1, v >> 20 & 1);
                set_reg(7, 0xa0);
            }
            write_data(cdb, 12);
            break;
        }
        case 9:
            for (unsigned i = 0; i < (v & 0x1ff); i++) {
                out(COMMAND_BLOCK, 2, v >> 16 & 1 ? 0 : g_rand_int(r));
            }
            break;
        case 10: out(CONTROL, 1, v >> 16 & 7 ? 0 : v & 0x86); break;
        case 11: out((uint16_t)(BM + (v & 15)), 1u << (v >> 16) % 3, g_rand_int(r)); break;
        case 12: out(BM, 1, v & 9); break;
        case 13: out(BM + 4, 4, v >> 12); break;
        case 14: reg(v & 7); break;
        default: settle();
        }
    }
    settle();
}

#endif
