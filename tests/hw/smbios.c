/* SMBIOS structures, read back as DSP0134 2.8 says. */
#include "hw/firmware/smbios.h"

#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "hw/firmware/tables.h"
#include "hw/machine.h"
#include "tests/hw/bench.h"

static const uint64_t GIB = 1 << 30;
static const uint8_t *tables;
static size_t tables_len;

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t u32(const uint8_t *p)
{
    return u16(p) | (uint32_t)u16(p + 2) << 16;
}
static uint64_t u64(const uint8_t *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;
    while (n--) {
        s = (uint8_t)(s + *p++);
    }
    return s;
}

static void option(const char *text)
{
    GError *error = NULL;
    ck_assert_msg(smbios_option(text, &error), "%s: %s", text, error ? error->message : "");
}

/* Also checks what the anchor says of the structures. */
static void make(uint64_t ram, unsigned sockets)
{
    GError *error = NULL;
    gsize n;
    unsigned count = 0, largest = 0;
    bool ended = false;
    machine_init();
    machine.class = machine_class_find("pc");
    machine.topology = (Topology){sockets, 1, 2, 2};
    machine.cpus = machine.max_cpus = sockets * 4;
    machine.ram_size = ram;
    machine.ram_below_4g = MIN(ram, 3 * GIB);
    machine.ram_above_4g = ram - machine.ram_below_4g;
    machine.ram_above_at = 4 * GIB;
    for (unsigned i = 0; i < 16; i++) {
        machine.uuid[i] = (uint8_t)(i * 0x11);
    }
    FwCfg *fw = fw_cfg_new(space_root(space_io()), space_memory(), &error);
    ck_assert_msg(tables_add(fw, &error), "%s", error ? error->message : "");
    const uint8_t *a = g_bytes_get_data(fw_cfg_file(fw, "etc/smbios/smbios-anchor"), &n);
    ck_assert_uint_eq(n, 31);
    tables = g_bytes_get_data(fw_cfg_file(fw, "etc/smbios/smbios-tables"), &tables_len);
    ck_assert_mem_eq(a, "_SM_", 4);
    ck_assert_uint_eq(sum(a, 31), 0);
    ck_assert_uint_eq(a[5], 31);
    ck_assert_uint_eq(a[6] << 8 | a[7], 0x208);
    ck_assert_mem_eq(a + 16, "_DMI_", 5);
    ck_assert_uint_eq(sum(a + 16, 15), 0);
    ck_assert_uint_eq(u16(a + 22), tables_len);
    for (size_t at = 0; at < tables_len; count++) {
        size_t len = smbios_structure_length(tables + at, tables_len - at);
        ck_assert_uint_ne(len, 0);
        ck_assert(!ended);
        ended = tables[at] == 127;
        largest = MAX(largest, (unsigned)len);
        at += len;
    }
    ck_assert(ended);
    ck_assert_uint_eq(u16(a + 28), count);
    ck_assert_uint_eq(u16(a + 8), largest);
}

/* The nth structure of a type, or NULL. */
static const uint8_t *structure(unsigned type, unsigned n)
{
    for (size_t at = 0; at < tables_len;
         at += smbios_structure_length(tables + at, tables_len - at)) {
        if (tables[at] == type && n-- == 0) {
            return tables + at;
        }
    }
    return NULL;
}

static const char *string(const uint8_t *s, unsigned at)
{
    const char *text = (const char *)s + s[1];
    if (!s[at]) {
        return "";
    }
    for (unsigned i = 1; i < s[at]; i++) {
        ck_assert(*text);
        text += strlen(text) + 1;
    }
    return text;
}

START_TEST(defaults)
{
    static const uint8_t uuid[] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
                                   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    make(256 << 20, 2);
    const uint8_t *s = structure(1, 0);
    ck_assert_uint_eq(s[1], 0x1b);
    ck_assert_uint_eq(u16(s + 2), 0x100);
    ck_assert_str_eq(string(s, 4), "QEMU");
    ck_assert_str_eq(string(s, 5), "Standard PC (i440FX + PIIX, 1996)");
    ck_assert_str_eq(string(s, 6), machine.class->name);
    ck_assert_mem_eq(s + 8, uuid, 16);
    s = structure(3, 0);
    ck_assert_uint_eq(s[1], 0x16);
    ck_assert_str_eq(string(s, 4), "QEMU");
    ck_assert_ptr_nonnull(structure(4, 1));
    ck_assert_ptr_null(structure(4, 2));
    s = structure(4, 1);
    ck_assert_uint_eq(s[1], 0x2a);
    ck_assert_str_eq(string(s, 4), "CPU 1");
    ck_assert_uint_eq(s[5], 3);
    ck_assert_uint_eq(u16(s + 0x14), 2000);
    ck_assert_uint_eq(s[0x23], 2);
    ck_assert_uint_eq(s[0x25], 4);
    ck_assert_uint_eq(structure(32, 0)[1], 11);
    ck_assert_ptr_null(structure(0, 0));
    ck_assert_ptr_null(structure(2, 0));
    ck_assert_ptr_null(structure(11, 0));
}
END_TEST

START_TEST(memory_of_40_gib)
{
    make(40 * GIB, 1);
    const uint8_t *array = structure(16, 0);
    ck_assert_uint_eq(array[1], 0x17);
    ck_assert_uint_eq(u32(array + 7), 40 << 20);
    ck_assert_uint_eq(u16(array + 13), 3);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *s = structure(17, i);
        ck_assert_uint_eq(s[1], 0x28);
        ck_assert_uint_eq(u16(s + 4), u16(array + 2));
        ck_assert_uint_eq(u16(s + 12), i < 2 ? 16384 : 8192);
        ck_assert_uint_eq(u32(s + 0x1c), 0);
    }
    ck_assert_str_eq(string(structure(17, 2), 16), "DIMM 2");
    const uint8_t *low = structure(19, 0), *high = structure(19, 1);
    ck_assert_uint_eq(u32(low + 4), 0);
    ck_assert_uint_eq(u32(low + 8), (3 << 20) - 1);
    ck_assert_uint_eq(u32(high + 4), 4 << 20);
    ck_assert_uint_eq(u32(high + 8), (41 << 20) - 1);
    ck_assert_ptr_null(structure(19, 2));
}
END_TEST

START_TEST(memory_beyond_32_bits_of_kib)
{
    make(8192 * GIB, 1);
    const uint8_t *array = structure(16, 0), *high = structure(19, 1);
    ck_assert_uint_eq(u32(array + 7), 0x80000000);
    ck_assert_uint_eq(u64(array + 15), 8192 * GIB);
    ck_assert_uint_eq(u32(high + 4), UINT32_MAX);
    ck_assert_uint_eq(u64(high + 15), 4 * GIB);
    ck_assert_uint_eq(u64(high + 23), 8193 * GIB - 1);
}
END_TEST

START_TEST(user_fields)
{
    option("type=0,vendor=me,version=v,date=01/02/2003,release=4.5,uefi=on");
    option("type=1,manufacturer=A,,B,product=P,uuid=00010203-0405-0607-0809-0a0b0c0d0e0f,serial=S,"
           "sku=K,family=F");
    option("type=1,version=second");
    option("type=2,asset=board,location=slot");
    option("type=3,asset=chassis,sku=C");
    option("type=4,sock_pfx=SOC,max-speed=4000,current-speed=3000,processor-id=0x123456789,"
           "processor-family=0xc6");
    option("type=11,value=one,value=two");
    option("type=17,loc_pfx=BANK,bank=B0,speed=3200");
    make(512 << 20, 1);
    const uint8_t *s = structure(0, 0);
    ck_assert_str_eq(string(s, 4), "me");
    ck_assert_str_eq(string(s, 8), "01/02/2003");
    ck_assert_uint_eq(s[0x13] & 8, 8);
    ck_assert_uint_eq(s[0x14] << 8 | s[0x15], 0x405);
    s = structure(1, 0);
    ck_assert_str_eq(string(s, 4), "A,B");
    ck_assert_str_eq(string(s, 6), "second");
    ck_assert_str_eq(string(s, 7), "S");
    ck_assert_uint_eq(u32(s + 8), 0x00010203);
    ck_assert_str_eq(string(s, 25), "K");
    ck_assert_str_eq(string(s, 26), "F");
    s = structure(2, 0);
    ck_assert_uint_eq(s[1], 15);
    ck_assert_str_eq(string(s, 8), "board");
    ck_assert_str_eq(string(s, 10), "slot");
    ck_assert_str_eq(string(structure(3, 0), 0x15), "C");
    s = structure(4, 0);
    ck_assert_str_eq(string(s, 4), "SOC 0");
    ck_assert_uint_eq(s[6], 0xc6);
    ck_assert_uint_eq(u64(s + 8), 0x123456789);
    ck_assert_uint_eq(u16(s + 0x14), 4000);
    ck_assert_uint_eq(u16(s + 0x16), 3000);
    s = structure(11, 0);
    ck_assert_uint_eq(s[4], 2);
    ck_assert_str_eq((const char *)s + s[1] + 4, "two");
    s = structure(17, 0);
    ck_assert_str_eq(string(s, 16), "BANK 0");
    ck_assert_uint_eq(u16(s + 0x15), 3200);
}
END_TEST

START_TEST(user_files)
{
    static const uint8_t two[] = {1, 8, 0, 1, 1, 0, 0,   0, 'm', 'e', 0, 0, 0x80,
                                  5, 9, 9, 7, 0, 0, 127, 4, 0,   0,   0, 0};
    g_autofree char *name = NULL;
    int fd = g_file_open_tmp("smbios-XXXXXX", &name, NULL);
    ck_assert_int_eq(write(fd, two, sizeof(two)), sizeof(two));
    g_autofree char *text = g_strdup_printf("file=%s", name);
    option(text);
    GError *error = NULL;
    ck_assert(!smbios_option("type=1,serial=x", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "file="));
    make(128 << 20, 1);
    ck_assert_uint_eq(structure(1, 0)[1], 8);
    ck_assert_ptr_null(structure(1, 1));
    ck_assert_uint_eq(structure(0x80, 0)[4], 7);
    ck_assert_int_eq(ftruncate(fd, sizeof(two) - 1), 0);
    ck_assert(!smbios_option(text, NULL));
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert(!smbios_option(text, NULL));
    close(fd);
    unlink(name);
}
END_TEST

START_TEST(refused)
{
    static const char *const bad[] = {"type=5,x=1",
                                      "type=1,colour=red",
                                      "serial=1",
                                      "type=x",
                                      "type=",
                                      "type=0,release=1",
                                      "type=0,release=300.1",
                                      "type=0,uefi=maybe",
                                      "type=1,uuid=123",
                                      "type=4,max-speed=70000",
                                      "type=17,speed=-1",
                                      "file=/nonexistent",
                                      "{}",
                                      "type=11,value=",
                                      "file=/dev/null,type=1"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        GError *error = NULL;
        ck_assert_msg(!smbios_option(bad[i], &error), "%s", bad[i]);
        ck_assert_ptr_nonnull(error);
        ck_assert_ptr_null(strchr(error->message, '\n'));
    }
}
END_TEST

BENCH_MAIN("smbios", CASE(defaults), CASE(memory_of_40_gib), CASE(memory_beyond_32_bits_of_kib),
           CASE(user_fields), CASE(user_files), CASE(refused))
