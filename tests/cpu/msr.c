#include "tests/cpu/cpu-test.h"

static Cpu *cpu;

static void start(const char *option, bool kvm)
{
    ModelEnv env = {.kvm = kvm};
    cpu = cpu_new(model_or_fail(option, &env), 0, NULL);
}

static uint64_t get(uint32_t index)
{
    uint64_t v = 0;
    ck_assert_msg(msr_read(cpu, index, &v), "RDMSR %x", index);
    return v;
}

START_TEST(test_table)
{
    start("max", true);
    for (const Msr *m = msr_table; m->name; m++) {
        ck_assert_uint_eq(m->reset & m->ignored & ~m->writable & (m->constant ? 0 : UINT64_MAX), 0);
        for (unsigned i = 0; i < (m->count ? m->count : 1); i++) {
            unsigned element;
            ck_assert_ptr_eq(msr_find(msr_index(m, i), &element), m);
            ck_assert_uint_eq(element, i);
            if (!m->constant) {
                char *slot = (char *)msr_slot(m, &cpu->state, i);
                ck_assert(slot >= (char *)&cpu->state && slot + 8 <= (char *)(&cpu->state + 1));
            }
        }
    }
    free_cpus();
}
END_TEST

/* Write what may be written, read it back; a reserved bit is #GP and changes nothing. */
START_TEST(test_masks)
{
    start("max", true);
    unsigned tried = 0;
    for (const Msr *m = msr_table; m->name; m++) {
        uint64_t v, old, pattern = m->writable & UINT64_C(0x0000555555555555);
        if (m->constant || m->write || m->read || !msr_exists(cpu, m)) {
            continue;
        }
        for (unsigned i = 0; i < (m->count ? m->count : 1); i++) {
            uint32_t index = msr_index(m, i);
            old = get(index);
            if (m->read_only) {
                ck_assert_msg(!msr_write(cpu, index, old), "%s", m->name);
                continue;
            }
            ck_assert_msg(msr_write(cpu, index, pattern), "%s", m->name);
            ck_assert_uint_eq(get(index), pattern);
            uint64_t bad = ~(m->writable | m->ignored);
            if (bad) {
                ck_assert_msg(!msr_write(cpu, index, bad & -bad), "%s", m->name);
                ck_assert_uint_eq(get(index), pattern);
            }
            if (m->canonical) {
                ck_assert_msg(!msr_write(cpu, index, UINT64_C(0x8000000000000000)), "%s", m->name);
            }
            ck_assert(msr_read(cpu, index, &v));
            tried++;
        }
    }
    ck_assert_uint_gt(tried, 60);
    free_cpus();
}
END_TEST

START_TEST(test_types)
{
    start("max", false);
    ck_assert(msr_write(cpu, MSR_PAT, UINT64_C(0x0007010600070406)));
    ck_assert(!msr_write(cpu, MSR_PAT, UINT64_C(0x0002040600070406)));
    ck_assert_uint_eq(get(MSR_PAT), UINT64_C(0x0007010600070406));
    ck_assert(msr_write(cpu, 0x250, UINT64_C(0x0606060606060606)));
    ck_assert(!msr_write(cpu, 0x250, UINT64_C(0x0706060606060606))); /* UC- exists in PAT only */
    ck_assert(msr_write(cpu, 0x200, UINT64_C(0x80000006)));
    ck_assert(!msr_write(cpu, 0x200, UINT64_C(0x80000106)));
    ck_assert(msr_write(cpu, 0x201, UINT64_C(0xff80000800)));
    ck_assert(!msr_write(cpu, 0x201, UINT64_C(0x1ff80000800))); /* beyond 40 bits */
    ck_assert_uint_eq(cpu->state.msr.mtrr[0].mask, UINT64_C(0xff80000800));
    ck_assert(msr_write(cpu, 0x203, UINT64_C(0x800)));
    ck_assert_uint_eq(cpu->state.msr.mtrr[1].mask, 0x800);
    ck_assert_uint_eq(get(MSR_MTRR_CAP), 0x508);
    ck_assert(!msr_write(cpu, MSR_MTRR_CAP, 0x508));
    ck_assert(msr_write(cpu, MSR_MTRR_DEF_TYPE, 0xc06));
    ck_assert(!msr_write(cpu, MSR_MTRR_DEF_TYPE, 0xc02));
    free_cpus();
}
END_TEST

START_TEST(test_efer)
{
    start("qemu64", false);
    ck_assert(msr_write(cpu, MSR_EFER, EFER_SCE | EFER_LME | EFER_NXE));
    ck_assert(!msr_write(cpu, MSR_EFER, EFER_FFXSR)); /* qemu64 has no fxsr-opt */
    cpu->state.cr0 |= CR0_PG | CR0_PE;
    cpu->state.efer |= EFER_LMA;
    ck_assert(!msr_write(cpu, MSR_EFER, EFER_SCE)); /* LME is fixed while paging */
    ck_assert(msr_write(cpu, MSR_EFER, EFER_LME));
    ck_assert_uint_eq(cpu->state.efer, EFER_LME | EFER_LMA);
    free_cpus();
    start("pentium3", false);
    ck_assert(!msr_write(cpu, MSR_EFER, EFER_SCE));
    uint64_t v;
    ck_assert(!msr_read(cpu, MSR_LSTAR, &v)); /* no long mode */
    ck_assert(!msr_read(cpu, 0x12345678, &v));
    ck_assert(!msr_write(cpu, 0x12345678, 0));
    free_cpus();
}
END_TEST

START_TEST(test_apic_base)
{
    start("qemu64,+x2apic", false);
    uint64_t base = 0xfee00900;
    ck_assert(!msr_write(cpu, MSR_APIC_BASE, (base & ~UINT64_C(0x800)) | 0x400));
    ck_assert(msr_write(cpu, MSR_APIC_BASE, base | 0x400));
    ck_assert(!msr_write(cpu, MSR_APIC_BASE, base)); /* x2APIC back to xAPIC */
    ck_assert(msr_write(cpu, MSR_APIC_BASE, base & ~UINT64_C(0x800)));
    ck_assert(!msr_write(cpu, MSR_APIC_BASE, base | 0x400)); /* disabled to x2APIC */
    ck_assert(msr_write(cpu, MSR_APIC_BASE, base));
    ck_assert(!msr_write(cpu, MSR_APIC_BASE, base | 1));
    ck_assert(!msr_write(cpu, MSR_APIC_BASE, base | UINT64_C(1) << 45));
    free_cpus();
}
END_TEST

START_TEST(test_tsc)
{
    start("max", false);
    ck_assert(msr_write(cpu, MSR_TSC, 1000));
    ck_assert_uint_eq(get(MSR_TSC_ADJUST), 1000);
    ck_assert(msr_write(cpu, MSR_TSC_ADJUST, 400));
    ck_assert_uint_eq(get(MSR_TSC), 400);
    free_cpus();
}
END_TEST

START_TEST(test_machine_check)
{
    start("qemu64", false);
    ck_assert_uint_eq(get(MSR_MCG_CAP) & 0xff, CPU_MC_BANKS);
    ck_assert(!msr_write(cpu, 0x401, 5));
    cpu->state.msr.mc[1].status = 7;
    ck_assert_uint_eq(get(0x405), 7);
    ck_assert(msr_write(cpu, 0x405, 0));
    ck_assert_uint_eq(cpu->state.msr.mc[1].status, 0);
    free_cpus();
}
END_TEST

START_TEST(test_canonical)
{
    ck_assert(address_canonical(UINT64_C(0x00007fffffffffff), false));
    ck_assert(!address_canonical(UINT64_C(0x0000800000000000), false));
    ck_assert(address_canonical(UINT64_C(0xffff800000000000), false));
    ck_assert(address_canonical(UINT64_C(0x0000800000000000), true));
    ck_assert(!address_canonical(UINT64_C(0x0100000000000000), true));
}
END_TEST

SUITE("cpu msr", test_table, test_masks, test_types, test_efer, test_apic_base, test_tsc,
      test_machine_check, test_canonical)
