/* 82Q35 MCH: memory map, configuration window, PAM, SMRAM and TSEG (316966). */
#include "hw/pci/q35.h"
#include "tests/hw/pc-host-bench.h"

static const uint64_t GIB = UINT64_C(1) << 30;
enum { ECAM = 0xb0000000, MIB = 1 << 20 };

static void setup(uint64_t size)
{
    setup_host(&q35_host_class, &pc_split_q35, size);
}

static void cfg(unsigned at, unsigned size, uint32_t v)
{
    pci_config_write(bus, 0, at, size, v);
}
static uint32_t get(unsigned at, unsigned size)
{
    return pci_config_read(bus, 0, at, size);
}

START_TEST(identity)
{
    setup(16 << 20);
    ck_assert_uint_eq(get(0, 4), 0x29c08086);
    ck_assert_uint_eq(get(8, 4), 0x06000000);
    ck_assert_uint_eq(get(0x9d, 1), 0x02);
    ck_assert_uint_eq(get(0x9e, 1), 0x38);
}
END_TEST

START_TEST(memory_split)
{
    ck_assert_uint_eq(pc_ram_below_4g(&pc_split_q35, 11 * GIB / 4 - 4096, 0), 11 * GIB / 4 - 4096);
    ck_assert_uint_eq(pc_ram_below_4g(&pc_split_q35, 11 * GIB / 4, 0), 2 * GIB);
    ck_assert_uint_eq(pc_ram_below_4g(&pc_split_q35, 16 * GIB, GIB), GIB);
    setup(4 * GIB);
    poke(5 * GIB, 0x1234);
    uint32_t there;
    ram_read(ram, 3 * GIB, &there, 4);
    ck_assert_uint_eq(there, 0x1234);
    ck_assert_uint_eq(peek(2 * GIB), UINT32_MAX);
}
END_TEST

START_TEST(configuration_window)
{
    setup(16 << 20);
    ck_assert_msg(peek(ECAM) == UINT32_MAX, "off out of reset");
    cfg(0x64, 4, 0);
    cfg(0x60, 4, ECAM | 1);
    ck_assert_uint_eq(peek(ECAM), 0x29c08086);
    ck_assert_uint_eq(space_load(space_memory(), ECAM + 2, 2), 0x29c0);
    ck_assert_msg(peek(ECAM + (1 << 12)) == UINT32_MAX, "nobody at 00.1");
    ck_assert_msg(peek(ECAM + 255 * MIB) == UINT32_MAX, "no bus 255");
    ck_assert_msg(peek(ECAM + 0x100) == UINT32_MAX, "a conventional function has 256 bytes");
    poke(ECAM + 0xdc, 0xfeedface);
    ck_assert_uint_eq(get(0xdc, 4), 0xfeedface);
    /* 64 MiB elsewhere, above 4 GiB */
    cfg(0x60, 4, 0);
    cfg(0x64, 4, 2);
    cfg(0x60, 4, 0x04000000 | 2 << 1 | 1);
    ck_assert_uint_eq(peek(ECAM), UINT32_MAX);
    ck_assert_uint_eq(peek(UINT64_C(0x204000000)), 0x29c08086);
    ck_assert_uint_eq(peek(UINT64_C(0x208000000)), UINT32_MAX);
    /* a length that is reserved */
    cfg(0x60, 4, 0x04000000 | 3 << 1 | 1);
    ck_assert_uint_eq(peek(UINT64_C(0x204000000)), UINT32_MAX);
}
END_TEST

/* The window may be put on top of anything, itself in the middle of being used. */
START_TEST(window_moves_itself)
{
    setup(16 << 20);
    cfg(0x60, 4, ECAM | 1);
    poke(ECAM + 0x60, 0xc0000001);
    ck_assert_uint_eq(peek(ECAM), UINT32_MAX);
    ck_assert_uint_eq(peek(0xc0000000), 0x29c08086);
    poke(0xc0000060, 0);
    ck_assert_uint_eq(peek(0xc0000000), UINT32_MAX);
}
END_TEST

START_TEST(pam)
{
    setup(16 << 20);
    cfg(0x91, 1, 0x03);
    poke(0xc0000, 5);
    ck_assert_uint_eq(peek(0xc0000), 5);
    ck_assert_uint_eq(peek(0xc4000), UINT32_MAX);
    cfg(0x91, 1, 0x01);
    poke(0xc0000, 6);
    ck_assert_uint_eq(peek(0xc0000), 5);
    cfg(0x96, 1, 0x30);
    poke(0xec000, 7);
    ck_assert_uint_eq(peek(0xec000), 7);
    cfg(0x90, 1, 0x30);
    poke(0xf0000, 8);
    ck_assert_uint_eq(peek(0xf0000), 8);
}
END_TEST

START_TEST(smram)
{
    setup(16 << 20);
    Space *smm = pc_host_smm_space(host);
    uint32_t v = 0x55;
    ram_write(ram, 0xa0000, &v, 4);
    cfg(0x9d, 1, 0x08);
    ck_assert_uint_eq(peek(0xa0000), UINT32_MAX);
    ck_assert_uint_eq(space_load(smm, 0xa0000, 4), 0x55);
    cfg(0x9d, 1, 0x48);
    ck_assert_uint_eq(peek(0xa0000), 0x55);
    cfg(0x9d, 1, 0x18);
    cfg(0x9d, 1, 0x48);
    ck_assert_uint_eq(get(0x9d, 1), 0x1a);
    ck_assert_uint_eq(peek(0xa0000), UINT32_MAX);
}
END_TEST

/* The last megabytes of low memory: for system management alone, once enabled. */
START_TEST(tseg)
{
    setup(64 << 20);
    Space *smm = pc_host_smm_space(host);
    uint64_t at = 63 << 20;
    poke(at, 0x1111);
    poke(at - 4, 0x2222);
    cfg(0x9e, 1, 0x01); /* 1 MiB; nothing before G_SMRAME */
    ck_assert_uint_eq(peek(at), 0x1111);
    cfg(0x9d, 1, 0x08);
    ck_assert_uint_eq(peek(at), UINT32_MAX);
    poke(at, 0);
    ck_assert_uint_eq(peek(at - 4), 0x2222);
    ck_assert_uint_eq(space_load(smm, at, 4), 0x1111);
    cfg(0x9e, 1, 0x05); /* 8 MiB */
    ck_assert_uint_eq(peek(56 << 20), UINT32_MAX);
    ck_assert_uint_eq(peek((56 << 20) - 4), 0);
    cfg(0x50, 2, 0xffff);
    ck_assert_uint_eq(get(0x50, 2), 16);
    cfg(0x9e, 1, 0x07); /* the extended size */
    ck_assert_uint_eq(peek(48 << 20), UINT32_MAX);
    ck_assert_uint_eq(peek((48 << 20) - 4), 0);
    cfg(0x9d, 1, 0x18); /* locked */
    cfg(0x9e, 1, 0x00);
    ck_assert_uint_eq(get(0x9e, 1), 0x3f);
    ck_assert_uint_eq(peek(48 << 20), UINT32_MAX);
    device_reset(&pci_find(bus, 0)->dev, false);
    ck_assert_uint_eq(peek(at), 0x1111);
}
END_TEST

START_TEST(goes_away)
{
    setup(16 << 20);
    cfg(0x60, 4, ECAM | 1);
    cfg(0x9d, 1, 0x08);
    cfg(0x9e, 1, 0x01);
    device_free(host);
    pc_memory_free(&memory);
    mem_commit();
    ck_assert_uint_eq(peek(ECAM), UINT32_MAX);
}
END_TEST

BENCH_MAIN("q35", CASE(identity), CASE(memory_split), CASE(configuration_window),
           CASE(window_moves_itself), CASE(pam), CASE(smram), CASE(tseg), CASE(goes_away))
