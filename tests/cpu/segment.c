#include "cpu/segment.h"
#include "tests/cpu/guest.h"

START_TEST(test_descriptor)
{
    Segment s = segment_from_descriptor(UINT64_C(0x12cf9b3456789abc), 0);
    ck_assert_uint_eq(s.base, 0x12345678);
    ck_assert_uint_eq(s.limit, 0xf9abcfff);
    ck_assert_uint_eq(s.attr, 0xc09b);
    ck_assert(segment_db(&s) && segment_g(&s) && segment_p(&s) && segment_s(&s) && !segment_l(&s));
    ck_assert_uint_eq(segment_type(&s), 11);
    s = segment_from_descriptor(UINT64_C(0x0000890010004087), UINT64_C(0xffffffff));
    ck_assert_uint_eq(s.base, UINT64_C(0xffffffff00001000));
    ck_assert_uint_eq(s.limit, 0x4087);
    ck_assert(!segment_s(&s) && segment_type(&s) == 9);
}
END_TEST

START_TEST(test_read)
{
    Cpu *c = guest_new("qemu64");
    CpuState *s = &c->state;
    uint64_t low, high;
    unsigned size;
    s->cr0 = CR0_PE;
    s->gdtr = (TableReg){.base = 0x1000, .limit = 0x1f};
    s->seg[SEG_LDTR] = (Segment){.base = 0x2000, .limit = 7, .attr = 0x82};
    poke(c, 0x1008, 8, UINT64_C(0x00cf9b000000ffff));
    poke(c, 0x2000, 8, UINT64_C(0x00cff3000000ffff));
    ck_assert(descriptor_read(c, 0x08, &low, &high, &size));
    ck_assert_uint_eq(low, UINT64_C(0x00cf9b000000ffff));
    ck_assert_uint_eq(size, 8);
    ck_assert(!descriptor_read(c, 0, &low, &high, &size) &&
              !descriptor_read(c, 3, &low, &high, &size));
    ck_assert(descriptor_read(c, 0x18, &low, &high, &size));
    ck_assert(!descriptor_read(c, 0x20, &low, &high, &size));
    ck_assert(descriptor_read(c, 7, &low, &high, &size)); /* LDT, entry 0 is no null */
    ck_assert_uint_eq(low, UINT64_C(0x00cff3000000ffff));
    ck_assert(!descriptor_read(c, 0xf, &low, &high, &size));
    s->efer = EFER_LMA;
    poke(c, 0x1010, 8, UINT64_C(0x0000890010004087));
    poke(c, 0x1018, 8, 0xffff8000);
    ck_assert(descriptor_read(c, 0x10, &low, &high, &size));
    ck_assert_uint_eq(size, 16);
    ck_assert_uint_eq(high, 0xffff8000);
    ck_assert(!descriptor_read(c, 0x18, &low, &high, &size)); /* its second half lies beyond */
}
END_TEST

static CpuState at_cpl(unsigned cpl)
{
    CpuState s = {.cr0 = CR0_PE};
    s.seg[SEG_CS].attr = segment_attr(11, true, cpl, true, false, false, true, true, false);
    s.seg[SEG_SS].attr = segment_attr(3, true, cpl, true, false, false, true, true, false);
    return s;
}

static void judge(const CpuState *s, unsigned reg, uint16_t selector, uint32_t attr, uint8_t vector)
{
    Segment seg = {.selector = selector, .limit = UINT32_MAX, .attr = attr};
    SegmentFault f = segment_check_load(s, reg, selector, &seg);
    ck_assert_msg(f.vector == vector, "reg %u selector %x attr %x: vector %u", reg, selector, attr,
                  f.vector);
    ck_assert(vector == FAULT_NONE || f.error == (selector & ~3));
}

START_TEST(test_load)
{
    CpuState k = at_cpl(0), u = at_cpl(3);
    judge(&k, SEG_DS, 0x10, 0xc093, FAULT_NONE);
    judge(&k, SEG_SS, 0x10, 0xc093, FAULT_NONE);
    judge(&u, SEG_DS, 0x13, 0xc093, 13); /* DPL 0 */
    judge(&u, SEG_DS, 0x13, 0xc0f3, FAULT_NONE);
    judge(&k, SEG_DS, 0x13, 0xc093, 13); /* RPL 3 */
    judge(&k, SEG_DS, 0x10, 0xc013, 11); /* not present */
    judge(&k, SEG_SS, 0x10, 0xc013, 12);
    judge(&k, SEG_DS, 0x10, 0xc099, 13);         /* execute-only code */
    judge(&u, SEG_DS, 0x13, 0xc09f, FAULT_NONE); /* conforming, readable */
    judge(&k, SEG_SS, 0x10, 0xc091, 13);         /* read-only stack */
    judge(&k, SEG_SS, 0x13, 0xc0f3, 13);
    judge(&k, SEG_DS, 0x10, 0x0082, 13); /* an LDT */
    judge(&k, SEG_ES, 0, 0, FAULT_NONE);
    judge(&k, SEG_SS, 0, 0, 13);
    k.efer = EFER_LMA;
    k.seg[SEG_CS].attr |= ATTR_L;
    judge(&k, SEG_SS, 0, 0, FAULT_NONE); /* 64-bit mode below CPL 3 */
}
END_TEST

START_TEST(test_access)
{
    CpuState s = at_cpl(0);
    s.seg[SEG_DS] = (Segment){.limit = 0xfff, .attr = 0x4093};
    ck_assert_uint_eq(segment_check_access(&s, SEG_DS, 0xffc, 4, true, false).vector, FAULT_NONE);
    ck_assert_uint_eq(segment_check_access(&s, SEG_DS, 0xffd, 4, true, false).vector, 13);
    ck_assert_uint_eq(segment_check_access(&s, SEG_DS, UINT64_MAX, 4, true, false).vector, 13);
    s.seg[SEG_DS].attr = 0x4097; /* expand down */
    ck_assert_uint_eq(segment_check_access(&s, SEG_DS, 0xfff, 1, false, false).vector, 13);
    ck_assert_uint_eq(segment_check_access(&s, SEG_DS, 0x1000, 1, false, false).vector, FAULT_NONE);
    ck_assert_uint_eq(segment_check_access(&s, SEG_DS, 0xfffffffe, 4, false, false).vector, 13);
    s.seg[SEG_DS].attr = 0x4091;
    ck_assert_uint_eq(segment_check_access(&s, SEG_DS, 0, 1, true, false).vector, 13);
    s.seg[SEG_SS] = (Segment){.limit = 0xfff, .attr = 0x4093};
    ck_assert_uint_eq(segment_check_access(&s, SEG_SS, 0x1000, 1, true, false).vector, 12);
    s.seg[SEG_CS] = (Segment){.limit = 0xfff, .attr = 0x4099};
    ck_assert_uint_eq(segment_check_access(&s, SEG_CS, 0, 1, false, false).vector, 13);
    ck_assert_uint_eq(segment_check_access(&s, SEG_CS, 0, 1, false, true).vector, FAULT_NONE);
    s.seg[SEG_FS] = (Segment){.attr = ATTR_UNUSABLE};
    ck_assert_uint_eq(segment_check_access(&s, SEG_FS, 0, 1, false, false).vector, 13);
    s.seg[SEG_DS].base = 0xfffff000;
    ck_assert_uint_eq(segment_linear(&s, SEG_DS, 0x2000), 0x1000);
}
END_TEST

SUITE("segmentation", test_descriptor, test_read, test_load, test_access)
