/* The AML builder: bytes of chapter 20 of the ACPI specification, and what the reference compiler
 * makes of them. */
#include "hw/firmware/aml.h"

#include <check.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define ck_aml(a, ...)                                                                             \
    do {                                                                                           \
        static const uint8_t want[] = {__VA_ARGS__};                                               \
        g_autoptr(GByteArray) got = aml_finish(a);                                                 \
        ck_assert_uint_eq(got->len, sizeof(want));                                                 \
        ck_assert_mem_eq(got->data, want, sizeof(want));                                           \
    } while (0)

START_TEST(integers)
{
    Aml *a = aml_new();
    aml_int(a, 0);
    aml_int(a, 1);
    aml_int(a, 2);
    aml_int(a, 0xff);
    aml_int(a, 0x100);
    aml_int(a, 0x10000);
    aml_int(a, UINT64_C(0x123456789));
    ck_aml(a, 0x00, 0x01, 0x0a, 2, 0x0a, 0xff, 0x0b, 0, 1, 0x0c, 0, 0, 1, 0, 0x0e, 0x89, 0x67, 0x45,
           0x23, 1, 0, 0, 0);
}
END_TEST

START_TEST(names)
{
    Aml *a = aml_new();
    aml_path(a, "\\");
    aml_path(a, "X");
    aml_path(a, "^LNKA");
    aml_path(a, "\\_SB.PCI0");
    aml_path(a, "A.B.C");
    ck_aml(a, '\\', 0, 'X', '_', '_', '_', '^', 'L', 'N', 'K', 'A', '\\', 0x2e, '_', 'S', 'B', '_',
           'P', 'C', 'I', '0', 0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_');
}
END_TEST

/* §19.3.4's example: EISAID("PNP0C09") is 0x090cd041. */
START_TEST(eisa_ids)
{
    Aml *a = aml_new();
    aml_eisa_id(a, "PNP0C09");
    ck_aml(a, 0x0c, 0x41, 0xd0, 0x0c, 0x09);
}
END_TEST

/* A buffer of n bytes: how long its length is, and what it says. */
static void check_length(size_t n, size_t prefix)
{
    Aml *a = aml_new();
    g_autofree uint8_t *bytes = g_malloc0(n);
    aml_scope(a, "A");
    aml_raw(a, bytes, n);
    aml_end(a);
    g_autoptr(GByteArray) got = aml_finish(a);
    ck_assert_uint_eq(got->len, 1 + prefix + 4 + n);
    size_t length = got->data[1] & 0x3f, more = got->data[1] >> 6;
    ck_assert_uint_eq(more + 1, prefix);
    if (more) {
        length &= 0xf;
        ck_assert_uint_eq(got->data[1] & 0x30, 0);
    }
    for (size_t i = 0; i < more; i++) {
        length |= (size_t)got->data[2 + i] << (4 + 8 * i);
    }
    ck_assert_uint_eq(length, got->len - 1);
}

START_TEST(package_lengths)
{
    check_length(0, 1);
    check_length(0x3f - 5, 1);
    check_length(0x40 - 5, 2);
    check_length(0xfff - 6, 2);
    check_length(0x1000 - 6, 3);
    check_length(0xfffff - 7, 3);
    check_length(0x100000 - 7, 4);
    check_length(0x1000000, 4);
}
END_TEST

START_TEST(nesting)
{
    Aml *a = aml_new();
    aml_device(a, "DEV");
    aml_name_int(a, "_UID", 1);
    aml_method(a, "_STA", 2, AML_SERIALIZED);
    aml_op(a, AML_RETURN), aml_int(a, 0xf);
    aml_end(a);
    aml_end(a);
    ck_aml(a, 0x5b, 0x82, 21, 'D', 'E', 'V', '_', 0x08, '_', 'U', 'I', 'D', 1, 0x14, 9, '_', 'S',
           'T', 'A', 0x0a, 0xa4, 0x0a, 0xf);
}
END_TEST

START_TEST(fields)
{
    Aml *a = aml_new();
    aml_region(a, "REG", AML_SYSTEM_IO, 0xb2, 2);
    aml_field(a, "REG", AML_BYTE_ACC, AML_LOCK | AML_WRITE_AS_ZEROS);
    aml_unit(a, "A", 3);
    aml_unit(a, NULL, 0x45);
    aml_unit(a, "B", 8);
    aml_end(a);
    ck_aml(a, 0x5b, 0x80, 'R', 'E', 'G', '_', 1, 0x0a, 0xb2, 0x0a, 2, 0x5b, 0x81, 19, 'R', 'E', 'G',
           '_', 0x51, 'A', '_', '_', '_', 3, 0, 0x45, 0x04, 'B', '_', '_', '_', 8);
}
END_TEST

START_TEST(resources)
{
    static const uint32_t lines[] = {5, 10};
    Aml *a = aml_new();
    aml_resources(a);
    aml_io(a, 0x3f8, 0x3f8, 1, 8);
    aml_irq(a, 4);
    aml_dma(a, 2);
    aml_memory32(a, true, 0xfed00000, 0x400);
    aml_interrupts(a, AML_LEVEL | AML_ACTIVE_HIGH | AML_SHARED, lines, 2);
    aml_resources_end(a);
    ck_aml(a, 0x11, 44, 0x0a, 41, 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x22, 0x10, 0, 0x2a, 4, 0, 0x86,
           9, 0, 1, 0, 0, 0xd0, 0xfe, 0, 4, 0, 0, 0x89, 10, 0, 9, 2, 5, 0, 0, 0, 10, 0, 0, 0, 0x79,
           0);
    a = aml_new();
    aml_resources(a);
    aml_word_bus(a, 0, 0xff);
    aml_resources_end(a);
    ck_aml(a, 0x11, 21, 0x0a, 18, 0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1, 0x79,
           0);
}
END_TEST

/* ---- With iasl: a table that uses everything is read, and compiles again to the same bytes ----
 */

static GByteArray *everything(void)
{
    static const uint32_t line = 9;
    Aml *a = aml_new();
    aml_scope(a, "\\_SB");
    aml_device(a, "DEV");
    aml_name_eisa_id(a, "_HID", "PNP0A03");
    aml_name_string(a, "NAM", "text");
    aml_name(a, "BUF"), aml_buffer(a, "\1\2\3", 3);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_word_bus(a, 0, 0xff);
    aml_word_io(a, 0xd00, 0xffff);
    aml_dword_memory(a, AML_NOT_CACHEABLE, 0x8000000, 0xfebfffff);
    aml_qword_memory(a, AML_PREFETCHABLE, UINT64_C(1) << 32, (UINT64_C(3) << 31) - 1);
    aml_io(a, 0x70, 0x70, 1, 8);
    aml_irq(a, 8);
    aml_dma(a, 2);
    aml_memory32(a, false, 0xfed00000, 0x400);
    aml_interrupts(a, AML_EDGE | AML_ACTIVE_LOW, &line, 1);
    aml_resources_end(a);
    aml_region(a, "REG", AML_SYSTEM_IO, 0x402, 4);
    aml_field(a, "REG", AML_DWORD_ACC, AML_NO_LOCK | AML_PRESERVE);
    aml_unit(a, "LOW", 8);
    aml_unit(a, NULL, 16);
    aml_unit(a, "HIGH", 8);
    aml_end(a);
    aml_method(a, "COMP", 2, AML_SERIALIZED);
    aml_op(a, AML_STORE), aml_int(a, 0), aml_local(a, 0);
    aml_while(a), aml_op(a, AML_LLESS), aml_local(a, 0), aml_arg(a, 0);
    aml_if(a), aml_op(a, AML_LEQUAL), aml_local(a, 0), aml_arg(a, 1);
    aml_op(a, AML_RETURN), aml_op(a, AML_SHIFT_LEFT), aml_local(a, 0), aml_int(a, 4),
        aml_no_target(a);
    aml_end(a);
    aml_else(a);
    aml_op(a, AML_ADD), aml_local(a, 0), aml_int(a, 1), aml_local(a, 0);
    aml_end(a);
    aml_end(a);
    aml_op(a, AML_CREATE_BYTE), aml_path(a, "BUF"), aml_int(a, 1), aml_path(a, "BYT1");
    aml_op(a, AML_STORE), aml_int(a, 0x1234), aml_path(a, "BYT1");
    aml_op(a, AML_NOTIFY), aml_path(a, "^DEV"), aml_int(a, 1);
    aml_op(a, AML_RETURN), aml_op(a, AML_OR), aml_path(a, "LOW"), aml_path(a, "HIGH"),
        aml_no_target(a);
    aml_end(a);
    aml_end(a);
    aml_end(a);
    aml_name(a, "PACK");
    aml_package(a, 2);
    aml_int(a, 1);
    aml_package(a, 1);
    aml_string(a, "inner");
    aml_end(a);
    aml_end(a);
    return aml_finish(a);
}

static void run(const char *folder, const char *command, char **output)
{
    g_autofree char *line = g_strdup_printf("sh -c 'cd %s && %s 2>&1'", folder, command);
    int status;
    ck_assert(g_spawn_command_line_sync(line, output, NULL, &status, NULL));
    ck_assert_msg(status == 0, "%s", *output);
}

START_TEST(reference_compiler)
{
    static const char *const lines[] = {
        "Local0 = Zero",
        "While ((Local0 < Arg0))",
        "If ((Local0 == Arg1))",
        "Return ((Local0 << 0x04))",
        "Local0 += One",
        "CreateByteField (BUF, One, BYT1)",
        "Notify (^DEV, One)",
        "Return ((LOW | HIGH))",
        "Offset (0x03),",
        "OperationRegion (REG, SystemIO, 0x0402, 0x04)",
        "Interrupt (ResourceConsumer, Edge, ActiveLow, Exclusive",
        "WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode",
        "WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange",
        "DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite",
        "QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Prefetchable, ReadWrite",
        "0x0000000100000000, // Range Minimum",
        "0x0000000080000000, // Length",
        "Memory32Fixed (ReadOnly,",
    };
    g_autofree char *iasl = g_find_program_in_path("iasl");
    if (!iasl) {
        puts("iasl is not installed: its opinion is not asked");
        return;
    }
    g_autofree char *folder = g_dir_make_tmp("aml-XXXXXX", NULL), *log = NULL, *log2 = NULL,
                    *text = NULL;
    g_autofree char *name = g_build_filename(folder, "x.aml", NULL),
                    *source = g_build_filename(folder, "x.dsl", NULL);
    g_autoptr(GByteArray) aml = everything(), table = g_byte_array_new();
    uint8_t header[36] = "DSDT____\2_OSTLERTESTTEST\1\0\0\0INTL";
    uint32_t length = (uint32_t)(sizeof(header) + aml->len);
    uint8_t sum = 0;
    memcpy(header + 4, &length, 4);
    header[9] = 0;
    g_byte_array_append(table, header, sizeof(header));
    g_byte_array_append(table, aml->data, aml->len);
    for (guint i = 0; i < table->len; i++) {
        sum = (uint8_t)(sum + table->data[i]);
    }
    table->data[9] = (uint8_t)-sum;
    ck_assert(g_file_set_contents(name, (const char *)table->data, table->len, NULL));
    run(folder, "iasl -d x.aml", &log);
    ck_assert_ptr_null(strstr(log, "rror"));
    ck_assert(g_file_get_contents(source, &text, NULL, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        ck_assert_msg(strstr(text, lines[i]) != NULL, "no '%s' in %s", lines[i], text);
    }
    run(folder, "iasl -we x.dsl", &log2);
    ck_assert_msg(strstr(log2, "0 Errors, 0 Warnings") != NULL, "%s", log2);
    g_autofree char *rm = g_strdup_printf("rm -r %s", folder);
    ck_assert(g_spawn_command_line_sync(rm, NULL, NULL, NULL, NULL));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("aml");
    TCase *tc = tcase_create("aml");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, integers);
    tcase_add_test(tc, names);
    tcase_add_test(tc, eisa_ids);
    tcase_add_test(tc, package_lengths);
    tcase_add_test(tc, nesting);
    tcase_add_test(tc, fields);
    tcase_add_test(tc, resources);
    tcase_add_test(tc, reference_compiler);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
