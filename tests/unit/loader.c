/* Kernels as files: what is recognised, what the firmware configuration then holds, and what
 * damaged files do. */
#include "hw/firmware/loader.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/loop.h"
#include "tests/unit/kernel-images.h"

enum { MIB = 1 << 20, RAM = 64 * MIB };

static FwCfg *fw;
static char *message; /* of the last refusal */

static void setup(void)
{
    loop_main();
    loop_lock();
    clock_manual();
}

static void teardown(void)
{
    loop_unlock();
}

/* ---- What the guest finds ---- */

static uint32_t item32(unsigned key)
{
    uint32_t v = 0;
    space_store(space_io(), FW_CFG_PORT, 2, key);
    for (unsigned i = 0; i < 4; i++) {
        v |= (uint32_t)space_load(space_io(), FW_CFG_PORT + 1, 1) << (8 * i);
    }
    return v;
}

static void item(unsigned key, uint8_t *buf, size_t len)
{
    space_store(space_io(), FW_CFG_PORT, 2, key);
    while (len--) {
        *buf++ = (uint8_t)space_load(space_io(), FW_CFG_PORT + 1, 1);
    }
}

/* ---- Loading bytes ---- */

static char *memory_file(const void *data, size_t len, int *fd)
{
    *fd = memfd_create("kernel", 0);
    ck_assert_int_eq(write(*fd, data, len), (ssize_t)len);
    return g_strdup_printf("/proc/self/fd/%d", *fd);
}

static bool unpack; /* here, what can be */

static bool load_in(uint64_t ram, const void *data, size_t len, const char *initrd,
                    const char *append)
{
    GError *error = NULL;
    int fd;
    g_autofree char *path = memory_file(data, len, &fd);
    if (fw) {
        device_free((Device *)fw);
    }
    fw = fw_cfg_new(space_root(space_io()), space_memory(), NULL);
    mem_commit();
    bool ok = loader_add_kernel(fw, path, initrd, append, ram, unpack, &error) && loader_offer_rom(fw, &error);
    g_clear_pointer(&message, g_free);
    if (!ok) {
        ck_assert_ptr_nonnull(error);
        message = g_strdup(error->message);
        ck_assert_ptr_null(strchr(message, '\n'));
        g_clear_error(&error);
    }
    close(fd);
    return ok;
}

static bool load(const void *data, size_t len)
{
    return load_in(RAM, data, len, NULL, NULL);
}

#define ck_refused(what, text)                                                                     \
    do {                                                                                           \
        ck_assert(!(what));                                                                        \
        ck_assert_msg(strstr(message, text) != NULL, "%s", message);                               \
    } while (0)

/* ---- Linux ---- */

START_TEST(linux_new)
{
    Image k;
    uint8_t setup[SETUP], body[BODY], line[16];
    make_linux(&k, 0x20f, true);
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "vga=0x317 quiet"), "%s", message);
    ck_assert_uint_eq(item32(FW_CFG_SETUP_ADDR), 0x10000);
    ck_assert_uint_eq(item32(FW_CFG_SETUP_SIZE), SETUP);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ADDR), MIB);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_SIZE), BODY);
    ck_assert_uint_eq(item32(FW_CFG_CMDLINE_ADDR), 0x20000);
    ck_assert_uint_eq(item32(FW_CFG_CMDLINE_SIZE), 16);
    ck_assert_uint_eq(item32(FW_CFG_INITRD_SIZE), 0);
    item(FW_CFG_CMDLINE_DATA, line, 16);
    ck_assert_str_eq((char *)line, "vga=0x317 quiet");
    item(FW_CFG_SETUP_DATA, setup, SETUP);
    ck_assert_uint_eq(setup[0x210], 0xb0);
    ck_assert_uint_eq(setup[0x211], 0x81);
    ck_assert_mem_eq(setup + 0x1fa, "\x17\x03", 2);
    ck_assert_mem_eq(setup + 0x228, "\0\0\2\0", 4);
    ck_assert_mem_eq(setup + 0x224, "\0\xfe", 2);
    item(FW_CFG_KERNEL_DATA, body, BODY);
    ck_assert_uint_eq(body[0], 0xcc);
    ck_assert_uint_eq(body[BODY - 1], 0xcc);
    g_autoptr(GBytes) rom = fw_cfg_file(fw, "genroms/linuxboot_dma.bin");
    ck_assert_ptr_nonnull(rom);
    ck_assert_str_eq(loader_boot_path(), "/rom@genroms/linuxboot_dma.bin");
}
END_TEST

START_TEST(linux_old)
{
    Image k;
    uint8_t setup[SETUP];
    make_linux(&k, 0x200, false);
    k.data[0x1f1] = 0; /* means 4 */
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "root=/dev/fd0"), "%s", message);
    ck_assert_uint_eq(item32(FW_CFG_SETUP_ADDR), 0x90000);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ADDR), 0x10000);
    ck_assert_uint_eq(item32(FW_CFG_CMDLINE_ADDR), 0x9a000);
    item(FW_CFG_SETUP_DATA, setup, SETUP);
    ck_assert_mem_eq(setup + 0x20, "\x3f\xa3\0\xa0", 4);
    ck_assert_mem_eq(setup + 0x228, "\0\0\0\0", 4);
    ck_assert_uint_eq(setup[0x211], 0);
}
END_TEST

START_TEST(linux_initrd)
{
    Image k;
    static uint8_t initrd[5000] = {1, 2, 3};
    uint8_t setup[SETUP];
    int fd;
    g_autofree char *path = memory_file(initrd, sizeof(initrd), &fd);
    make_linux(&k, 0x20f, true);
    ck_assert_msg(load_in(RAM, k.data, k.len, path, NULL), "%s", message);
    uint32_t at = item32(FW_CFG_INITRD_ADDR);
    ck_assert_uint_eq(at % 4096, 0);
    ck_assert_uint_le(at + sizeof(initrd), RAM - 0x40000);
    ck_assert_uint_ge(at + sizeof(initrd) + 4096, RAM - 0x40000);
    ck_assert_uint_eq(item32(FW_CFG_INITRD_SIZE), sizeof(initrd));
    item(FW_CFG_SETUP_DATA, setup, SETUP);
    ck_assert_mem_eq(setup + 0x218, &at, 4);
    put32(k.data + 0x22c, 0x1ffffff); /* must end below 32 MiB */
    ck_assert(load_in(RAM, k.data, k.len, path, NULL));
    ck_assert_uint_eq(item32(FW_CFG_INITRD_ADDR), 0x2000000 - 8192);
    put32(k.data + 0x260, 0x4000000); /* needs all of the RAM to unpack itself */
    ck_refused(load_in(RAM, k.data, k.len, path, NULL), "-initrd");
    make_linux(&k, 0x20f, true);
    ck_refused(load_in(MIB + 8192, k.data, k.len, path, NULL), "-initrd");
    ck_refused(load_in(RAM, k.data, k.len, "/nonexistent", NULL), "/nonexistent");
    close(fd);
}
END_TEST

START_TEST(linux_faults)
{
    Image k;
    g_autofree char *long_line = g_strnfill(3000, 'x');
    make_linux(&k, 0x20f, true);
    ck_refused(load_in(RAM, k.data, k.len, NULL, long_line), "3000 characters, at most 2047");
    put32(k.data + 0x238, UINT32_MAX);
    ck_assert(load_in(RAM, k.data, k.len, NULL, long_line));
    ck_refused(load(k.data, SETUP - 1), "damaged");
    ck_refused(load_in(MIB + 100, k.data, k.len, NULL, NULL), "does not fit");
    k.data[0x1f1] = 200;
    ck_refused(load(k.data, sizeof(k.data)), "damaged");
    ck_refused(load(k.data, 20), "only 20 bytes");
    ck_refused(load("", 0), "only 0 bytes");
    memset(k.data, 'a', 4096);
    ck_refused(load(k.data, 4096), "neither");
    GError *error = NULL;
    ck_assert(!loader_add_kernel(fw, "/nonexistent", NULL, NULL, RAM, false, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "/nonexistent"));
}
END_TEST

/* ---- PVH ---- */

START_TEST(pvh_64)
{
    Image k;
    static uint8_t flat[0x3080];
    make_elf64(&k, true);
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "x"), "%s", message);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ADDR), 0x1000000);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_SIZE), sizeof(flat));
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ENTRY), 0x1000040);
    item(FW_CFG_KERNEL_DATA, flat, sizeof(flat));
    ck_assert_uint_eq(flat[0xff], 0xaa);
    ck_assert_uint_eq(flat[0x100], 0);
    ck_assert_uint_eq(flat[0x3000], 0xbb);
    ck_assert_str_eq(loader_boot_path(), "/rom@genroms/pvh_dma.bin");
    make_elf64(&k, false);
    ck_refused(load(k.data, k.len), "PVH");
}
END_TEST

/* A bzImage with gzip's output in it. */
static void pack(Image *k, const Image *inner)
{
    enum { AT = 0x10, GZIP = 16 + MAX_WBITS };
    z_stream z = {.next_in = (uint8_t *)inner->data, .avail_in = (uInt)inner->len};
    make_linux(k, 0x20f, true);
    z.next_out = k->data + SETUP + AT;
    z.avail_out = (uInt)(sizeof(k->data) - SETUP - AT);
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    put32(k->data + 0x248, AT);
    put32(k->data + 0x24c, (uint32_t)z.total_out);
    k->len = MAX(SETUP + AT + z.total_out, SETUP + BODY);
    deflateEnd(&z);
}

START_TEST(unpacked_here)
{
    Image k, inner;
    unpack = true;
    make_elf64(&inner, true);
    pack(&k, &inner);
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "x"), "%s", message);
    ck_assert_uint_eq(loader_protocol(), BOOT_ROM_PVH);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ENTRY), 0x1000040);
    unpack = false;                     /* nobody asked for it */
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "x"), "%s", message);
    ck_assert_uint_eq(loader_protocol(), BOOT_ROM_LINUX);
    unpack = true;
    k.data[SETUP + 0x40] ^= 0xff;       /* damaged: the guest will say so */
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "x"), "%s", message);
    ck_assert_uint_eq(loader_protocol(), BOOT_ROM_LINUX);
    pack(&k, &inner);
    put32(k.data + 0x24c, UINT32_MAX);
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "x"), "%s", message);
    ck_assert_uint_eq(loader_protocol(), BOOT_ROM_LINUX);
    make_elf64(&inner, false);          /* no way in by PVH */
    pack(&k, &inner);
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "x"), "%s", message);
    ck_assert_uint_eq(loader_protocol(), BOOT_ROM_LINUX);
}
END_TEST

START_TEST(pvh_32)
{
    Image k;
    int fd;
    g_autofree char *initrd = memory_file("abcd", 4, &fd);
    make_elf32(&k, true);
    ck_assert_msg(load_in(RAM, k.data, k.len, initrd, NULL), "%s", message);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ADDR), MIB);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_SIZE), 0x180);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ENTRY), 0x100020);
    ck_assert_uint_eq(item32(FW_CFG_INITRD_SIZE), 4);
    ck_assert_uint_eq(item32(FW_CFG_INITRD_ADDR) % 4096, 0);
    close(fd);
}
END_TEST

START_TEST(elf_faults)
{
    Image k;
    Elf64_Phdr *p = (Elf64_Phdr *)(k.data + 64);
    Elf64_Ehdr *e = (Elf64_Ehdr *)k.data;
    make_elf64(&k, true);
    ck_refused(load(k.data, 0x1100), "outside the file");
    ck_refused(load(k.data, 100), "program headers");
    p[0].p_paddr = 0xfffffffff000;
    ck_refused(load(k.data, k.len), "4 GiB");
    p[0].p_paddr = RAM - 0x1000;
    ck_refused(load(k.data, k.len), "64 MiB");
    make_elf64(&k, true);
    p[0].p_memsz = 1;
    ck_refused(load(k.data, k.len), "damaged");
    make_elf64(&k, true);
    p[0].p_type = p[1].p_type = PT_NULL;
    ck_refused(load(k.data, k.len), "no segment");
    make_elf64(&k, true);
    e->e_machine = EM_AARCH64;
    ck_refused(load(k.data, k.len), "another kind of machine");
    make_elf64(&k, true);
    put32(k.data + 0x800, UINT32_MAX); /* the note's name */
    ck_refused(load(k.data, k.len), "PVH");
}
END_TEST

/* ---- Multiboot ---- */

START_TEST(multiboot_with_addresses)
{
    Image k;
    static uint8_t flat[0x1800];
    make_multiboot(&k);
    ck_assert_msg(load_in(RAM, k.data, k.len, NULL, "a b"), "%s", message);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ADDR), 0x200000);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_SIZE), sizeof(flat));
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ENTRY), 0x200100);
    item(FW_CFG_KERNEL_DATA, flat, sizeof(flat));
    ck_assert_uint_eq(flat[0], 0x90);
    ck_assert_uint_eq(flat[0x7ff], 0x90);
    ck_assert_uint_eq(flat[0x800], 0);
    ck_assert_str_eq(loader_boot_path(), "/rom@genroms/multiboot_dma.bin");
}
END_TEST

static uint32_t blob32(const uint8_t *blob, uint32_t at)
{
    uint32_t v;
    memcpy(&v, blob + (at - item32(FW_CFG_INITRD_ADDR)), sizeof(v));
    return v;
}

START_TEST(multiboot_modules)
{
    Image k;
    int fd[2];
    g_autofree char *one = memory_file("one", 3, &fd[0]), *two = memory_file("second", 6, &fd[1]);
    g_autofree char *list = g_strdup_printf("%s first arg,%s with,,comma", one, two);
    make_multiboot(&k);
    ck_assert_msg(load_in(RAM, k.data, k.len, list, "opts"), "%s", message);
    uint32_t base = item32(FW_CFG_INITRD_ADDR), len = item32(FW_CFG_INITRD_SIZE),
             mbi = item32(FW_CFG_SETUP_ADDR);
    g_autofree uint8_t *blob = g_malloc(len);
    item(FW_CFG_INITRD_DATA, blob, len);
    ck_assert_uint_ge(base, 0x201800);
    ck_assert_uint_eq(blob32(blob, mbi) & 0x4d, 0x4d);
    const char *cmdline = (char *)blob + blob32(blob, mbi + 16) - base;
    ck_assert(g_str_has_suffix(cmdline, " opts"));
    ck_assert_uint_eq(blob32(blob, mbi + 20), 2);
    uint32_t mods = blob32(blob, mbi + 24);
    ck_assert_uint_eq(blob32(blob, mods) % 4096, 0);
    ck_assert_uint_eq(blob32(blob, mods + 4) - blob32(blob, mods), 3);
    ck_assert_mem_eq(blob + blob32(blob, mods) - base, "one", 3);
    ck_assert_uint_eq(blob32(blob, mods + 16) % 4096, 0);
    ck_assert_mem_eq(blob + blob32(blob, mods + 16) - base, "second", 6);
    ck_assert(g_str_has_suffix((char *)blob + blob32(blob, mods + 8) - base, " first arg"));
    ck_assert(g_str_has_suffix((char *)blob + blob32(blob, mods + 24) - base, " with,comma"));
    ck_assert_uint_le(blob32(blob, mbi + 48) + 128 * 24, base + len);
    ck_refused(load_in(RAM, k.data, k.len, "/nonexistent", NULL), "/nonexistent");
    ck_refused(load_in(0x202000, k.data, k.len, list, NULL), "modules");
    close(fd[0]);
    close(fd[1]);
}
END_TEST

START_TEST(multiboot_elf)
{
    Image k;
    make_elf32(&k, false);
    put_multiboot(&k, 0x400, 3, NULL);
    ck_assert_msg(load(k.data, k.len), "%s", message);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ADDR), MIB);
    ck_assert_uint_eq(item32(FW_CFG_KERNEL_ENTRY), 0x100008);
    make_elf64(&k, false);
    put_multiboot(&k, 0x400, 3, NULL);
    ck_refused(load(k.data, k.len), "64 bits");
}
END_TEST

START_TEST(multiboot_faults)
{
    static const uint32_t before[5] = {0x1fffff, 0x200000, 0, 0, 0},
                          too_long[5] = {0x200010, 0x200000, 0x300000, 0, 0},
                          backwards[5] = {0x200010, 0x200000, 0x100000, 0, 0},
                          huge[5] = {0x200010, 0x200000, 0, UINT32_MAX, 0},
                          empty[5] = {0x200010, 0x200000, 0x200000, 0, 0};
    Image k;
    make_multiboot(&k);
    put_multiboot(&k, 0x110, 0x10003, before);
    ck_refused(load(k.data, k.len), "contradict");
    put_multiboot(&k, 0x110, 0x10003, too_long);
    ck_refused(load(k.data, k.len), "file holds");
    put_multiboot(&k, 0x110, 0x10003, backwards);
    ck_refused(load(k.data, k.len), "file holds");
    put_multiboot(&k, 0x110, 0x10003, huge);
    ck_refused(load(k.data, k.len), "RAM");
    put_multiboot(&k, 0x110, 0x10003, empty);
    ck_refused(load(k.data, k.len), "nothing");
    put_multiboot(&k, 0x110, 0x10008, empty);
    ck_refused(load(k.data, k.len), "0008");
    put_multiboot(&k, 0x110, 3, NULL);
    ck_refused(load(k.data, k.len), "no ELF file");
    make_multiboot(&k);
    ck_refused(load(k.data, 0x120), "outside the file");
}
END_TEST

/* ---- Damage ---- */

START_TEST(random_damage)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(2606);
    Image good[6], k;
    int fd;
    g_autofree char *initrd = memory_file("initrd", 6, &fd);
    unsigned loaded = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        make_kernel(&good[i], i);
    }
    for (unsigned i = 0; i < 12000; i++) {
        static const uint32_t edges[] = {0,          1,          0x7fffffff, 0x80000000,
                                         UINT32_MAX, 0xfffff000, 0x1000};
        uint32_t r = g_rand_int(rand);
        k = good[r % 6];
        for (unsigned n = 1 + (r >> 3) % 4; n--;) {
            static const unsigned places[] = {64, 0x180, 0x420, 0x840};
            unsigned at = g_rand_int(rand) % places[g_rand_int(rand) & 3];
            if ((r >> 6) % 6 == 0) {
                at = 0x1f0 + g_rand_int(rand) % 0x80;
            }
            if (g_rand_int(rand) & 1) {
                put32(k.data + (at & ~3u), edges[g_rand_int(rand) % G_N_ELEMENTS(edges)]);
            } else {
                k.data[at] = (uint8_t)g_rand_int(rand);
            }
        }
        size_t len = r >> 16 & 3 ? k.len : g_rand_int(rand) % k.len;
        loaded +=
            load_in(RAM, k.data, len, r >> 18 & 1 ? initrd : NULL, r >> 19 & 1 ? "append" : NULL);
    }
    ck_assert_uint_gt(loaded, 1000);
    ck_assert_uint_lt(loaded, 11000);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loader");
    TCase *tc = tcase_create("loader");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, linux_new);
    tcase_add_test(tc, linux_old);
    tcase_add_test(tc, linux_initrd);
    tcase_add_test(tc, linux_faults);
    tcase_add_test(tc, pvh_64);
    tcase_add_test(tc, unpacked_here);
    tcase_add_test(tc, pvh_32);
    tcase_add_test(tc, elf_faults);
    tcase_add_test(tc, multiboot_with_addresses);
    tcase_add_test(tc, multiboot_modules);
    tcase_add_test(tc, multiboot_elf);
    tcase_add_test(tc, multiboot_faults);
    tcase_add_test(tc, random_damage);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
