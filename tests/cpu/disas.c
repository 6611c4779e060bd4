#include "cpu/disas.h"
#include "tests/cpu/guest.h"

static void expect(const char *bytes, size_t len, unsigned size, unsigned length, const char *text)
{
    g_autoptr(GString) out = g_string_new(NULL);
    ck_assert_uint_eq(disas_one((const uint8_t *)bytes, len, size, 0x1000, out), length);
    ck_assert_str_eq(out->str, text);
}

START_TEST(test_modes)
{
    expect("\xb8\x34\x12\x00\x00", 5, 16, 3, "mov $0x1234, %ax");
    expect("\xb8\x34\x12\x00\x00", 5, 32, 5, "mov $0x1234, %eax");
    expect("\x48\x89\xd8", 3, 64, 3, "mov %rbx, %rax");
    expect("\xeb\xfe", 2, 64, 2, "jmp 0x0000000000001000");
    expect("\x0f\x0b", 1, 64, 0, "(bad)");
    expect("\x0f\xff", 0, 32, 0, "(bad)");
}
END_TEST

START_TEST(test_print)
{
    Cpu *c = guest_new("qemu64");
    g_autoptr(GString) out = g_string_new(NULL);
    poke(c, 0x100, 8, UINT64_C(0x90fb0102eb)); /* jmp +2; add %di,%bx ... */
    uint64_t next = disas_print(c, 0x100, true, 2, out);
    ck_assert_uint_eq(next, 0x104);
    ck_assert_msg(g_str_has_prefix(out->str, "0x00000100:  eb 02 "), "%s", out->str);
    ck_assert(g_str_has_suffix(out->str, "\n"));
    g_string_truncate(out, 0);
    disas_print(c, UINT64_C(0x50000000), false, 3, out);
    ck_assert_str_eq(out->str, "0x50000000:  Cannot access memory\n");
}
END_TEST

SUITE("disassembly", test_modes, test_print)
