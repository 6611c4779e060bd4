/* 440FX: PAM, SMRAM, the memory map around it (290549). */
#include "hw/pci/i440fx.h"
#include "tests/hw/pc-host-bench.h"

static void setup(uint64_t size)
{
    setup_host(&i440fx_host_class, &pc_split_i440fx, size);
}

static void cfg8(unsigned at, uint8_t v)
{
    pci_config_write(bus, 0, at, 1, v);
}

START_TEST(identity)
{
    setup(16 << 20);
    ck_assert_uint_eq(pci_config_read(bus, 0, 0, 4), 0x12378086);
    ck_assert_uint_eq(pci_config_read(bus, 0, 8, 4), 0x06000002);
    ck_assert_uint_eq(pci_config_read(bus, 0, 4, 2), 0x0006);
    pci_config_write(bus, 0, 4, 2, 0);
    ck_assert_uint_eq(pci_config_read(bus, 0, 4, 2), 0x0006);
    ck_assert_uint_eq(pci_config_read(bus, 0, 0x72, 1), 0x02);
    space_store(space_io(), 0xcf8, 4, 0x80000000);
    ck_assert_uint_eq(space_load(space_io(), 0xcfc, 4), 0x12378086);
}
END_TEST

START_TEST(memory_split)
{
    const uint64_t GIB = UINT64_C(1) << 30;
    ck_assert_uint_eq(pc_ram_below_4g(&pc_split_i440fx, GIB, 0), GIB);
    ck_assert_uint_eq(pc_ram_below_4g(&pc_split_i440fx, 7 * GIB / 2 - 4096, 0), 7 * GIB / 2 - 4096);
    ck_assert_uint_eq(pc_ram_below_4g(&pc_split_i440fx, 7 * GIB / 2, 0), 3 * GIB);
    ck_assert_uint_eq(pc_ram_below_4g(&pc_split_i440fx, 16 * GIB, 0), 3 * GIB);
    ck_assert_uint_eq(pc_ram_below_4g(&pc_split_i440fx, 16 * GIB, 2 * GIB), 2 * GIB);
    setup(4 * GIB);
    poke(4 * GIB, 0x1234);
    ck_assert_uint_eq(peek(4 * GIB), 0x1234);
    uint32_t there;
    ram_read(ram, 3 * GIB, &there, 4);
    ck_assert_uint_eq(there, 0x1234);
    ck_assert_uint_eq(peek(3 * GIB), UINT32_MAX);
}
END_TEST

START_TEST(bios_places)
{
    setup(16 << 20);
    ck_assert_uint_eq(peek(0xfffc0000), 0);
    ck_assert_uint_eq(peek(0xfffffff0), 0x3fff0);
    ck_assert_uint_eq(peek(0xffff0), 0x3fff0);
    ck_assert_uint_eq(peek(0xe0000), 0x20000);
    ck_assert_msg(peek(0xc0000) == UINT32_MAX, "no RAM shows before PAM is programmed");
    poke(0xffff0, 1);
    poke(0xfffffff0, 1);
    ck_assert_uint_eq(peek(0xffff0), 0x3fff0);
}
END_TEST

/* Each area in each of its four states. */
START_TEST(pam)
{
    setup(16 << 20);
    for (unsigned area = 0; area < PAM_AREAS; area++) {
        uint64_t at = area ? 0xc0000 + (area - 1) * 0x4000 : 0xf0000;
        unsigned reg = area ? 0x5a + (area - 1) / 2 : 0x59, shift = area ? 4 * ((area - 1) % 2) : 4;
        uint32_t pci = peek(at), v;
        uint32_t mark = 0xabc00000 + area;
        cfg8(reg, (uint8_t)(3 << shift));
        poke(at, mark);
        ck_assert_uint_eq(peek(at), mark);
        cfg8(reg, (uint8_t)(1 << shift));
        poke(at, 0);
        ck_assert_msg(peek(at) == mark, "read-only RAM");
        cfg8(reg, 0);
        poke(at, 0);
        ck_assert_uint_eq(peek(at), pci);
        cfg8(reg, (uint8_t)(2 << shift));
        ck_assert_msg(peek(at) == pci, "reads from PCI");
        poke(at, ~mark);
        ck_assert_uint_eq(peek(at), pci);
        ram_read(ram, at, &v, 4);
        ck_assert_msg(v == ~mark, "writes to RAM");
        cfg8(reg, (uint8_t)(3 << shift));
        ck_assert_uint_eq(peek(at), ~mark);
        /* the neighbours did not move */
        cfg8(reg, 0);
    }
    cfg8(0x5a, 0x03);
    poke(0xc0000, 5);
    ck_assert_uint_eq(peek(0xc0000), 5);
    ck_assert_uint_eq(peek(0xc4000), UINT32_MAX);
    device_reset(&pci_find(bus, 0)->dev, false);
    ck_assert_uint_eq(peek(0xc0000), UINT32_MAX);
}
END_TEST

START_TEST(smram)
{
    setup(16 << 20);
    Space *smm = pc_host_smm_space(host);
    uint32_t v = 0x55;
    ram_write(ram, 0xa0000, &v, 4);
    ck_assert_msg(peek(0xa0000) == UINT32_MAX, "the VGA window");
    ck_assert_uint_eq(space_load(smm, 0xa0000, 4), UINT32_MAX);
    cfg8(0x72, 0x08); /* enabled: for SMM only */
    ck_assert_uint_eq(peek(0xa0000), UINT32_MAX);
    ck_assert_uint_eq(space_load(smm, 0xa0000, 4), 0x55);
    ck_assert_uint_eq(space_load(smm, 0xfffffff0, 4), 0x3fff0);
    cfg8(0x72, 0x48); /* open: for all */
    ck_assert_uint_eq(peek(0xa0000), 0x55);
    cfg8(0x72, 0x58); /* locked: closed for good */
    ck_assert_uint_eq(pci_config_read(bus, 0, 0x72, 1), 0x1a);
    ck_assert_uint_eq(peek(0xa0000), UINT32_MAX);
    cfg8(0x72, 0x40);
    ck_assert_uint_eq(pci_config_read(bus, 0, 0x72, 1), 0x1a);
    ck_assert_uint_eq(space_load(smm, 0xa0000, 4), 0x55);
}
END_TEST

START_TEST(torn_down)
{
    setup(16 << 20);
    cfg8(0x59, 0x30);
    device_free(host);
    pc_memory_free(&memory);
    region_free(ram_region);
    mem_commit();
    ck_assert_uint_eq(peek(0xfffffff0), UINT32_MAX);
}
END_TEST

BENCH_MAIN("i440fx", CASE(identity), CASE(memory_split), CASE(bios_places), CASE(pam), CASE(smram),
           CASE(torn_down))
