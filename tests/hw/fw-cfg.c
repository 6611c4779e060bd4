/* fw_cfg: selector and data ports, the directory, DMA in both directions and its errors, and random
 * guests. */
#include "hw/firmware/fw-cfg.h"

#include <unistd.h>

#include "tests/hw/bench.h"

enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16, BLOCK = 0x1000, DATA = 0x2000 };
static FwCfg *fw;

static void start(void)
{
    GError *error = NULL;
    fw = fw_cfg_new(space_root(space_io()), space_memory(), &error);
    ck_assert_msg(fw != NULL, "%s", error ? error->message : "");
    mem_commit();
}

static void choose(uint16_t key)
{
    space_store(space_io(), 0x510, 2, key);
}
static uint8_t next(void)
{
    return (uint8_t)space_load(space_io(), 0x511, 1);
}

static uint64_t number(unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        v |= (uint64_t)next() << 8 * i;
    }
    return v;
}

static uint32_t be32(void)
{
    uint32_t v = (uint32_t)number(4);
    return GUINT32_FROM_BE(v);
}

/* The control word after the request. */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
    struct {
        uint32_t control, length;
        uint64_t address;
    } block = {GUINT32_TO_BE(control), GUINT32_TO_BE(length), GUINT64_TO_BE(address)};
    bench_poke(BLOCK, &block, sizeof(block));
    space_store(space_io(), 0x514, 4, 0);
    space_store(space_io(), 0x518, 4, GUINT32_TO_BE(BLOCK));
    bench_peek(BLOCK, &block, sizeof(block));
    return GUINT32_FROM_BE(block.control);
}

START_TEST(signature_and_id)
{
    start();
    ck_assert_uint_eq(number(4), 0x554d4551); /* "QEMU", selected by reset */
    ck_assert_uint_eq(next(), 0);             /* zeroes behind the end */
    choose(FW_CFG_ID);
    ck_assert_uint_eq(number(4), 3);
    static const char text[] = "QEMU CFG";
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_uint_eq(space_load(space_io(), 0x514 + i, 1), (uint8_t)text[i]);
    }
    ck_assert_uint_eq(space_load(space_io(), 0x514, 4), 0x554d4551);
}
END_TEST

START_TEST(numbered_items)
{
    start();
    fw_cfg_add_i16(fw, FW_CFG_NB_CPUS, 0x1234);
    fw_cfg_add_i32(fw, FW_CFG_BOOT_MENU, 0x89abcdef);
    fw_cfg_add_i64(fw, FW_CFG_RAM_SIZE, UINT64_C(0x123456789abcdef0));
    fw_cfg_add_string(fw, FW_CFG_CMDLINE_DATA, "ro");
    fw_cfg_add_bytes(fw, FW_CFG_IRQ0_OVERRIDE, "\1", 1);
    choose(FW_CFG_NB_CPUS);
    ck_assert_uint_eq(number(2), 0x1234);
    choose(FW_CFG_BOOT_MENU);
    ck_assert_uint_eq(number(4), 0x89abcdef);
    choose(FW_CFG_RAM_SIZE);
    ck_assert_uint_eq(number(8), UINT64_C(0x123456789abcdef0));
    choose(FW_CFG_CMDLINE_DATA);
    ck_assert_uint_eq(number(4), 0x6f72);
    choose(FW_CFG_IRQ0_OVERRIDE);
    ck_assert_uint_eq(number(2), 1);
    choose(0x0002); /* the same number without the architecture bit is another item, here absent */
    ck_assert_uint_eq(number(4), 0);
    fw_cfg_add_i16(fw, FW_CFG_NB_CPUS, 7);
    choose(FW_CFG_NB_CPUS);
    ck_assert_uint_eq(number(2), 7);
}
END_TEST

START_TEST(directory)
{
    GError *error = NULL;
    start();
    ck_assert(fw_cfg_add_file(fw, "opt/b", "bb", 2, &error));
    ck_assert(fw_cfg_add_file(fw, "bootorder", "/x", 3, &error));
    ck_assert(fw_cfg_add_file(fw, "opt/a", "a", 1, &error));
    static const char *const names[] = {"bootorder", "opt/a", "opt/b"};
    static const unsigned sizes[] = {3, 1, 2};
    static const char *const contents[] = {"/x", "a", "bb"};
    choose(FW_CFG_FILE_DIR);
    ck_assert_uint_eq(be32(), 3);
    for (unsigned i = 0; i < 3; i++) {
        char name[56];
        ck_assert_uint_eq(be32(), sizes[i]);
        ck_assert_uint_eq(be32(), (0x20 + i) << 16);
        for (unsigned k = 0; k < sizeof(name); k++) {
            name[k] = (char)next();
        }
        ck_assert_str_eq(name, names[i]);
    }
    ck_assert_uint_eq(next(), 0);
    for (unsigned i = 0; i < 3; i++) {
        choose((uint16_t)(0x20 + i));
        for (unsigned k = 0; k < sizes[i]; k++) {
            ck_assert_uint_eq(next(), (uint8_t)contents[i][k]);
        }
        ck_assert_uint_eq(next(), 0);
    }
    choose(0x4021); /* the historical write bit is ignored */
    ck_assert_uint_eq(next(), 'a');
    choose(0x23);
    ck_assert_uint_eq(next(), 0);
    ck_assert(fw_cfg_add_file(fw, "opt/a", "new", 3, &error));
    g_autoptr(GBytes) now = fw_cfg_file(fw, "opt/a");
    ck_assert_mem_eq(g_bytes_get_data(now, NULL), "new", 3);
    ck_assert_ptr_null(fw_cfg_file(fw, "absent"));
}
END_TEST

START_TEST(limits)
{
    GError *error = NULL;
    char name[64];
    start();
    memset(name, 'n', sizeof(name));
    name[56] = 0;
    ck_assert(!fw_cfg_add_file(fw, name, "", 0, &error));
    g_clear_error(&error);
    ck_assert(!fw_cfg_add_file(fw, "", "", 0, &error));
    g_clear_error(&error);
    name[55] = 0;
    ck_assert(fw_cfg_add_file(fw, name, "", 0, &error));
    for (unsigned i = 1; i < 32; i++) {
        g_autofree char *file = g_strdup_printf("etc/%u", i);
        ck_assert(fw_cfg_add_file(fw, file, "", 0, &error));
    }
    ck_assert(!fw_cfg_add_file(fw, "etc/more", "", 0, &error));
    ck_assert_str_eq(error->message,
                     "No room for fw_cfg file \"etc/more\": fw_cfg_io.x-file-slots is 32");
    g_clear_error(&error);
}
END_TEST

START_TEST(user_files)
{
    GError *error = NULL;
    start();
    ck_assert(fw_cfg_add_user_file(fw, "opt/t", NULL, "text", &error));
    g_autoptr(GBytes) text = fw_cfg_file(fw, "opt/t");
    ck_assert_uint_eq(g_bytes_get_size(text), 4); /* no NUL */
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("fwcfg-XXXXXX", &path, &error);
    ck_assert_int_eq(write(fd, "f\0le", 4), 4);
    close(fd);
    ck_assert(fw_cfg_add_user_file(fw, "opt/f", path, NULL, &error));
    g_autoptr(GBytes) file = fw_cfg_file(fw, "opt/f");
    ck_assert_mem_eq(g_bytes_get_data(file, NULL), "f\0le", 4);
    unlink(path);
    ck_assert(!fw_cfg_add_user_file(fw, "opt/x", path, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    ck_assert(!fw_cfg_add_user_file(fw, "opt/x", NULL, NULL, &error));
    g_clear_error(&error);
    ck_assert(!fw_cfg_add_user_file(fw, NULL, NULL, "x", &error));
    g_clear_error(&error);
}
END_TEST

START_TEST(dma_read_item)
{
    GError *error = NULL;
    uint8_t got[16];
    start();
    ck_assert(fw_cfg_add_file(fw, "opt/a", "0123456789", 10, &error));
    ck_assert_uint_eq(dma(0x20 << 16 | SELECT | READ, 4, DATA), 0);
    bench_peek(DATA, got, 4);
    ck_assert_mem_eq(got, "0123", 4);
    ck_assert_uint_eq(dma(SKIP, 3, 0), 0);
    ck_assert_uint_eq(dma(READ, 8, DATA), 0); /* goes on there; zeroes behind the end */
    bench_peek(DATA, got, 8);
    ck_assert_mem_eq(got, "789\0\0\0\0\0", 8);
    ck_assert_uint_eq(dma(0x20 << 16 | SELECT, 99, 0), 0);
    ck_assert_uint_eq(next(), '0'); /* ports and DMA share the position */
    ck_assert_uint_eq(dma(READ, 2, DATA), 0);
    bench_peek(DATA, got, 2);
    ck_assert_mem_eq(got, "12", 2);
    ck_assert_uint_eq(dma(0xffffu << 16 | SELECT | READ, 2, DATA), 0); /* absent: zeroes */
    bench_peek(DATA, got, 2);
    ck_assert_mem_eq(got, "\0\0", 2);
}
END_TEST

START_TEST(dma_errors)
{
    start();
    ck_assert_uint_eq(dma(READ, 4, UINT64_C(0x123456789000)), ERROR);
    ck_assert_uint_eq(dma(READ, UINT32_MAX, UINT64_C(0xfffffffffffffff0)), ERROR);
    ck_assert_uint_eq(dma(FW_CFG_ID << 16 | SELECT | WRITE, 4, DATA), ERROR); /* read-only */
    ck_assert_uint_eq(dma(0, 4, DATA), 0);
    space_store(space_io(), 0x514, 4, 0xffffffff); /* a request outside of memory is survived */
    space_store(space_io(), 0x518, 4, 0xffffffff);
    ck_assert_uint_eq(dma(FW_CFG_SIGNATURE << 16 | SELECT | READ, 4, DATA), 0);
    space_store(space_io(), 0x514, 1, 0);
    space_store(space_io(), 0x51a, 2, 0);
    space_store(space_io(), 0x511, 1,
                'x'); /* writing through the data port is no longer possible */
    choose(FW_CFG_SIGNATURE);
    ck_assert_uint_eq(number(4), 0x554d4551);
}
END_TEST

static unsigned selects, writes;
static size_t write_at, write_len;

static void selected(void *arg)
{
    selects++;
    GError *error = NULL;
    ck_assert(fw_cfg_add_file(arg, "etc/late", "made when asked", 15, &error));
}

static void written(void *arg, size_t offset, size_t len)
{
    writes++;
    write_at = offset;
    write_len = len;
}

START_TEST(hooks)
{
    GError *error = NULL;
    static uint8_t buffer[8];
    start();
    ck_assert(fw_cfg_add_file_hooks(fw, "etc/late", "", 0,
                                    &(FwCfgHooks){.select = selected, .arg = fw}, &error));
    ck_assert(fw_cfg_add_file_hooks(fw, "etc/rw", NULL, 8,
                                    &(FwCfgHooks){.buffer = buffer, .written = written}, &error));
    choose(0x20);
    choose(0x20); /* the hook survives the new contents */
    ck_assert_uint_eq(selects, 2);
    ck_assert_uint_eq(next(), 'm');
    bench_poke(DATA, "abcdefgh", 8);
    ck_assert_uint_eq(dma(0x21 << 16 | SELECT | WRITE, 8, DATA), 0);
    ck_assert_mem_eq(buffer, "abcdefgh", 8);
    ck_assert_uint_eq(dma(0x21 << 16 | SELECT | SKIP, 6, 0), 0);
    ck_assert_uint_eq(dma(WRITE, 3, DATA), ERROR); /* one byte too many: nothing is written */
    ck_assert_uint_eq(writes, 1);
    ck_assert_uint_eq(dma(0x21 << 16 | SELECT | SKIP, 6, 0), 0);
    ck_assert_uint_eq(dma(WRITE, 2, DATA), 0);
    ck_assert_mem_eq(buffer, "abcdefab", 8);
    ck_assert_uint_eq(writes, 2);
    ck_assert_uint_eq(write_at, 6);
    ck_assert_uint_eq(write_len, 2);
    choose(0x21);
    ck_assert_uint_eq(next(), 'a');
}
END_TEST

START_TEST(without_dma)
{
    device_global("fw_cfg_io", "dma_enabled", "off");
    start();
    choose(FW_CFG_ID);
    ck_assert_uint_eq(number(4), 1);
    ck_assert_uint_eq(space_load(space_io(), 0x514, 4), 0xffffffff);
}
END_TEST

START_TEST(random_guest)
{
    GError *error = NULL;
    static uint8_t buffer[64];
    g_autoptr(GRand) rand = g_rand_new_with_seed(20);
    start();
    ck_assert(fw_cfg_add_file(fw, "opt/a", "0123456789", 10, &error));
    ck_assert(
        fw_cfg_add_file_hooks(fw, "etc/rw", NULL, 64, &(FwCfgHooks){.buffer = buffer}, &error));
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t r = g_rand_int(rand), key = g_rand_int_range(rand, 0, 0x28) | (r & 1 ? 0x8000 : 0);
        unsigned size = 1u << (r >> 4 & 3);
        switch (r >> 8 & 7) {
        case 0: choose((uint16_t)(r & 2 ? r >> 16 : key)); break;
        case 1: space_store(space_io(), 0x510 + (r >> 12 & 15), size, g_rand_int(rand)); break;
        case 2: space_load(space_io(), 0x510 + (r >> 12 & 15), size); break;
        case 3:
            dma(key << 16 | (r >> 16 & 31),
                r & 0x20 ? r >> 20 & 0xff : (uint32_t)g_rand_int_range(rand, 0, 1 << 16), DATA);
            break;
        case 4:
            dma(key << 16 | (r >> 16 & 29), g_rand_int(rand), (uint64_t)g_rand_int(rand) << 8);
            break;
        case 5:
            dma(key << 16 | SELECT | READ, r >> 20, BLOCK - 64 + (r >> 12 & 0x7f));
            break; /* over its own request */
        default: next(); break;
        }
    }
    choose(FW_CFG_SIGNATURE);
    ck_assert_uint_eq(number(4), 0x554d4551);
    choose(0x21);
    ck_assert_uint_eq(number(4), 0x33323130);
}
END_TEST

BENCH_MAIN("fw-cfg", CASE(signature_and_id), CASE(numbered_items), CASE(directory), CASE(limits),
           CASE(user_files), CASE(dma_read_item), CASE(dma_errors), CASE(hooks), CASE(without_dma),
           CASE(random_guest))
