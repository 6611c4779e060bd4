#include "tests/cpu/cpu-test.h"

static Cpu *new_cpu(const char *option)
{
    ModelEnv env = {0};
    return cpu_new(model_or_fail(option, &env), 0, NULL);
}

/* SDM vol 3 table 9-1 */
START_TEST(test_reset)
{
    Cpu *c = new_cpu("Nehalem");
    CpuState *s = &c->state;
    for (unsigned i = 0; i < CPU_GPRS; i++) {
        ck_assert_uint_eq(s->gpr[i], i == CPU_RDX ? 0x106a3 : 0);
    }
    ck_assert_uint_eq(s->rip, 0xfff0);
    ck_assert_uint_eq(s->rflags, 2);
    ck_assert_uint_eq(s->cr0, 0x60000010);
    ck_assert_uint_eq(s->cr2 | s->cr3 | s->cr4 | s->cr8 | s->efer, 0);
    ck_assert_uint_eq(s->seg[SEG_CS].selector, 0xf000);
    ck_assert_uint_eq(s->seg[SEG_CS].base, 0xffff0000);
    ck_assert_uint_eq(s->seg[SEG_CS].limit, 0xffff);
    ck_assert_uint_eq(s->seg[SEG_CS].attr, 0x9b);
    ck_assert_uint_eq(s->seg[SEG_SS].attr, 0x93);
    ck_assert_uint_eq(s->seg[SEG_LDTR].attr, 0x82);
    ck_assert_uint_eq(s->seg[SEG_TR].attr, 0x8b);
    ck_assert_uint_eq(s->gdtr.limit, 0xffff);
    ck_assert_uint_eq(s->idtr.base, 0);
    ck_assert_uint_eq(s->dr[6], 0xffff0ff0);
    ck_assert_uint_eq(s->dr[7], 0x400);
    ck_assert_uint_eq(s->fpu.fcw, 0x40);
    ck_assert_uint_eq(fpu_tag_word(&s->fpu), 0x5555);
    ck_assert_uint_eq(s->fpu.mxcsr, 0x1f80);
    ck_assert_uint_eq(s->xcr0, 1);
    ck_assert_uint_eq(s->msr.apic_base, 0xfee00900);
    ck_assert_uint_eq(s->msr.pat, 0x0007040600070406);
    ck_assert_uint_eq(s->msr.mtrr_def_type, 0);
    ck_assert_uint_eq(s->msr.smbase, 0x30000);
    ck_assert_uint_eq(cpu_mode(s), CPU_REAL);
    ck_assert_uint_eq(cpu_linear_ip(s), 0xfffffff0);
    ck_assert(!c->halted && c->is_bsp);
    Cpu *ap = cpu_new(c->model, 1, NULL);
    ck_assert(ap->halted && ap->wait_sipi && !ap->is_bsp);
    ck_assert_uint_eq(ap->state.msr.apic_base, 0xfee00800);
    ck_assert_ptr_eq(cpu_by_apic_id(1), ap);
    ck_assert_ptr_eq(cpu_at(2), NULL);
    free_cpus();
}
END_TEST

START_TEST(test_init)
{
    Cpu *c = new_cpu("Nehalem");
    CpuState *s = &c->state;
    s->cr0 = CR0_PG | CR0_PE | CR0_NW | CR0_ET | CR0_WP;
    s->cr4 = CR4_PAE;
    s->efer = EFER_LME | EFER_LMA;
    s->fpu.fcw = 0x27f;
    s->fpu.xmm[3][1] = 77;
    s->msr.lstar = 0x1234;
    s->msr.mtrr_def_type = 0xc06;
    s->msr.tsc = 99;
    s->xcr0 = 7;
    cpu_init_signal(c);
    ck_assert_uint_eq(s->cr0, CR0_NW | CR0_ET);
    ck_assert_uint_eq(s->cr4 | s->efer, 0);
    ck_assert_uint_eq(s->fpu.fcw, 0x27f);
    ck_assert_uint_eq(s->fpu.xmm[3][1], 77);
    ck_assert_uint_eq(s->msr.lstar, 0x1234);
    ck_assert_uint_eq(s->msr.mtrr_def_type, 0xc06);
    ck_assert_uint_eq(s->msr.tsc, 99);
    ck_assert_uint_eq(s->xcr0, 7);
    ck_assert_uint_eq(s->rip, 0xfff0);
    s->event.smm = true;
    s->rip = 5;
    cpu_init_signal(c);
    ck_assert_uint_eq(s->rip, 5);
    ck_assert(s->event.init_latched);
    free_cpus();
}
END_TEST

START_TEST(test_sipi)
{
    Cpu *c = new_cpu("qemu64");
    cpu_start_at(c, 0x9a); /* the boot CPU waits for none */
    ck_assert_uint_eq(c->state.rip, 0xfff0);
    Cpu *ap = cpu_new(c->model, 1, NULL);
    cpu_start_at(ap, 0x9a);
    ck_assert(!ap->halted && !ap->wait_sipi);
    ck_assert_uint_eq(ap->state.seg[SEG_CS].selector, 0x9a00);
    ck_assert_uint_eq(cpu_linear_ip(&ap->state), 0x9a000);
    ap->sipi_vector = 0x12;             /* the SIPI may be there before the CPU has looked at INIT */
    cpu_init_signal(ap);
    ck_assert(ap->wait_sipi);
    ck_assert_uint_eq(ap->sipi_vector, 0x12);
    free_cpus();
}
END_TEST

static bool kicked;
static void kick(Cpu *c)
{
    kicked = true;
}

START_TEST(test_events)
{
    Cpu *c = new_cpu("qemu64");
    cpu_ops.kick = kick;
    cpu_raise(c, CPU_EVENT_INTR);
    cpu_raise(c, CPU_EVENT_NMI);
    ck_assert(kicked);
    ck_assert_uint_eq(c->events, CPU_EVENT_INTR | CPU_EVENT_NMI);
    cpu_lower(c, CPU_EVENT_INTR);
    ck_assert_uint_eq(c->events, CPU_EVENT_NMI);
    free_cpus();
}
END_TEST

/* Every byte of the state belongs to a row or is reserved, and no two rows share one. */
START_TEST(test_rows_cover)
{
    static uint8_t owned[sizeof(CpuState)];
    unsigned named = 0;
    for (const Row *r = cpu_state_rows; r->kind != ROW_END; r++) {
        ck_assert_msg(r->arg && !(r->arg & (r->arg - 1)), "%s has one group", r->name);
        for (unsigned i = 0; i < r->count; i++) {
            for (unsigned b = 0; b < r->size; b++) {
                size_t at = r->field + (size_t)i * row_stride(r) + b;
                ck_assert_msg(at < sizeof(CpuState) && !owned[at], "%s overlaps", r->name);
                owned[at] = 1;
                named++;
            }
        }
        for (const Row *q = r + 1; q->kind != ROW_END; q++) {
            ck_assert_str_ne(r->name, q->name);
        }
    }
    unsigned msr_missing = 0, event_missing = 0, core_missing = 0;
    for (size_t i = 0; i < offsetof(CpuState, fpu); i++) {
        core_missing += !owned[i];
    }
    /* DR4 and DR5; padding of 8 segments, 2 table registers, pdpte_valid; alignment of the image */
    ck_assert_uint_le(core_missing, 16 + 8 * 6 + 2 * 6 + 3 + 63);
    for (size_t i = 0; i < sizeof(CpuMsrs); i++) {
        msr_missing += !owned[offsetof(CpuState, msr) + i];
    }
    for (size_t i = 0; i < sizeof(CpuEvents); i++) {
        event_missing += !owned[offsetof(CpuState, event) + i];
    }
    ck_assert_uint_eq(msr_missing, 0);
    ck_assert_uint_le(event_missing, 12); /* padding only */
    ck_assert_uint_gt(named, 2600);
}
END_TEST

START_TEST(test_modes)
{
    CpuState s = {0};
    s.cr0 = CR0_PE;
    s.seg[SEG_CS].attr = segment_attr(11, true, 3, true, false, false, true, true, false);
    s.seg[SEG_SS].attr = segment_attr(3, true, 3, true, false, false, true, true, false);
    ck_assert_uint_eq(cpu_mode(&s), CPU_PROTECTED);
    ck_assert_uint_eq(cpu_code_size(&s), 32);
    ck_assert_uint_eq(cpu_cpl(&s), 3);
    s.rflags = FLAG_VM;
    ck_assert_uint_eq(cpu_mode(&s), CPU_VM86);
    ck_assert_uint_eq(cpu_code_size(&s), 16);
    s.rflags = 0;
    s.efer = EFER_LMA;
    ck_assert_uint_eq(cpu_mode(&s), CPU_COMPAT);
    s.seg[SEG_CS].attr = segment_attr(11, true, 0, true, false, true, false, true, false);
    s.seg[SEG_SS].attr = 0x93;
    ck_assert_uint_eq(cpu_mode(&s), CPU_LONG);
    ck_assert_uint_eq(cpu_code_size(&s), 64);
    ck_assert_uint_eq(cpu_cpl(&s), 0);
}
END_TEST

START_TEST(test_xsave)
{
    static CpuState a, b;
    static uint8_t image[4096];
    XsaveLayout amd = xsave_layout_intel;
    amd.offset[5] = 832;
    amd.offset[6] = 896;
    amd.offset[7] = 1408;
    amd.offset[9] = 2432;
    fpu_reset(&a);
    a.fpu.fcw = 0x27f;
    a.fpu.st[2].mantissa = UINT64_C(0x8000000000000000);
    a.fpu.st[2].sign_exponent = 0x3fff;
    a.fpu.xmm[15][1] = 15;
    a.fpu.ymmh[4][0] = 44;
    a.fpu.zmm_hi[3][7] = 33;
    a.fpu.opmask[1] = 11;
    a.pkru = 0x55;
    xsave_export(&a, image, sizeof(image), &amd,
                 XSTATE_FP | XSTATE_SSE | XSTATE_AVX | XSTATE_AVX512 | XSTATE_PKRU);
    ck_assert_uint_eq(load_le(image + 2432, 4), 0x55);
    ck_assert_uint_eq(load_le(image + 840, 8), 11);
    ck_assert_uint_eq(load_le(image + 512, 8), 0x2e7);
    xsave_import(&b, image, sizeof(image), &amd);
    a.fpu.xstate_bv = b.fpu.xstate_bv;
    ck_assert_mem_eq(&a.fpu, &b.fpu, sizeof(a.fpu));
    ck_assert_uint_eq(b.pkru, 0x55);
    /* absent components are in their initial state whatever the image holds */
    store_le(image + 512, 8, XSTATE_SSE);
    xsave_import(&b, image, sizeof(image), &amd);
    ck_assert_uint_eq(b.fpu.fcw, 0x37f);
    ck_assert_uint_eq(b.fpu.ymmh[4][0], 0);
    ck_assert_uint_eq(b.fpu.xmm[15][1], 15);
    ck_assert_uint_eq(b.pkru, 0);
    /* a short buffer is filled as far as it goes */
    uint8_t small[512];
    xsave_export(&a, small, sizeof(small), &amd, 7);
    ck_assert_uint_eq(load_le(small, 2), 0x27f);
}
END_TEST

START_TEST(test_tags)
{
    Xsave x = {.fsw = 3 << 11, .ftw = 0x18}; /* TOP 3: physical 3 is ST0, 4 is ST1 */
    x.st[0] = (FpReg){.mantissa = UINT64_C(1) << 63, .sign_exponent = 0x3fff};
    x.st[1] = (FpReg){.sign_exponent = 0x7fff, .mantissa = UINT64_C(1) << 63};
    ck_assert_uint_eq(fpu_tag_word(&x), 0xfe3f); /* 3 valid, 4 special, others empty */
    ck_assert_uint_eq(fpu_abridge_tags(0xfe3f), 0x18);
}
END_TEST

START_TEST(test_print_real)
{
    Cpu *c = new_cpu("qemu64");
    g_autoptr(GString) out = g_string_new(NULL);
    cpu_state_print(&c->state, out, CPU_DUMP_FPU, true, false);
    const char *start = "EAX=00000000 EBX=00000000 ECX=00000000 EDX=00060fb1\n"
                        "ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000000\n"
                        "EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\n"
                        "ES =0000 00000000 0000ffff 00009300\n"
                        "CS =f000 ffff0000 0000ffff 00009b00\n";
    ck_assert_msg(g_str_has_prefix(out->str, start), "%s", out->str);
    ck_assert_ptr_nonnull(strstr(out->str, "GDT=     00000000 0000ffff\n"));
    ck_assert_ptr_nonnull(
        strstr(out->str, "CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000\n"));
    ck_assert_ptr_nonnull(
        strstr(out->str, "DR6=00000000ffff0ff0 DR7=0000000000000400\nEFER=0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(out->str, "FSW=0000 [ST=0] FTW=ff MXCSR=00001f80\n"));
    ck_assert(g_str_has_suffix(out->str, "XMM07=0000000000000000 0000000000000000\n"));
    free_cpus();
}
END_TEST

START_TEST(test_print_long)
{
    static CpuState s;
    g_autoptr(GString) out = g_string_new(NULL);
    s.cr0 = CR0_PE | CR0_PG;
    s.efer = EFER_LMA | EFER_LME;
    s.rflags = FLAG_ONE | FLAG_ZF | FLAG_PF | FLAG_CF;
    s.rip = UINT64_C(0xffffffff81000000);
    s.seg[SEG_CS] = (Segment){.selector = 0x10, .limit = UINT32_MAX, .attr = 0xa09b};
    s.seg[SEG_SS] = (Segment){.selector = 0x18, .limit = UINT32_MAX, .attr = 0xc093};
    s.seg[SEG_TR] = (Segment){.selector = 0x40, .limit = 0x4087, .attr = 0x8b};
    s.seg[SEG_LDTR] = (Segment){.attr = ATTR_UNUSABLE};
    s.event.interrupt_shadow = SHADOW_STI;
    cpu_state_print(&s, out, 0, true, true);
    ck_assert_ptr_nonnull(strstr(
        out->str, "RIP=ffffffff81000000 RFL=00000047 [---Z-PC] CPL=0 II=1 A20=1 SMM=0 HLT=1\n"));
    ck_assert_ptr_nonnull(
        strstr(out->str, "CS =0010 0000000000000000 ffffffff 00a09b00 DPL=0 CS64 [-RA]\n"));
    ck_assert_ptr_nonnull(
        strstr(out->str, "SS =0018 0000000000000000 ffffffff 00c09300 DPL=0 DS   [-WA]\n"));
    ck_assert_ptr_nonnull(strstr(out->str, "LDT=0000 0000000000000000 00000000 00000000\n"));
    ck_assert_ptr_nonnull(
        strstr(out->str, "TR =0040 0000000000000000 00004087 00008b00 DPL=0 TSS64-busy\n"));
    ck_assert_ptr_nonnull(strstr(out->str, "GDT=     0000000000000000 00000000\n"));
    ck_assert_ptr_null(strstr(out->str, "FCW="));
}
END_TEST

SUITE("cpu state", test_reset, test_init, test_sipi, test_events, test_rows_cover, test_modes,
      test_xsave, test_tags, test_print_real, test_print_long)
