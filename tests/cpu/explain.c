/* Each way in which a processor refuses, in words and as the fault that it raises. */
#include "cpu/blackbox/explain.h"
#include "cpu/blackbox/report.h"
#include "cpu/paging.h"
#include "tests/cpu/guest.h"

enum { UD = 6, DF = 8, TS = 10, NP, SS, GP, PF };
enum { GDT = 0x2000, IDT = 0x3000, TSS = 0x4000, ROOT = 0x8000, STACK = 0x10000 };
#define CODE32 UINT64_C(0x00cf9b000000ffff)
#define CODE64 UINT64_C(0x00af9b000000ffff)
#define DATA   UINT64_C(0x00cf93000000ffff)

static Cpu *c;
static CpuState *s;

static void describe(uint16_t selector, uint64_t value)
{
    poke(c, GDT + selector, 8, value);
}

static void gate(unsigned vector, uint16_t selector, uint64_t offset, unsigned access, unsigned ist)
{
    uint64_t low = (offset & 0xffff) | (uint64_t)selector << 16 | (offset & 0xffff0000) << 32 | (uint64_t)access << 40 |
                   (uint64_t)ist << 32;
    bool wide = s->efer & EFER_LMA;
    poke(c, IDT + (wide ? 16 : 8) * vector, 8, low);
    if (wide) {
        poke(c, IDT + 16 * vector + 8, 8, offset >> 32);
    }
}

static void seg(unsigned reg, uint16_t selector, uint64_t value)
{
    s->seg[reg] = (Segment){.selector = selector, .limit = UINT32_MAX, .attr = (uint32_t)(value >> 40) & 0xf0ff};
}

/* 32-bit protected mode, flat, without paging; all gates good. */
static void protected_mode(void)
{
    c = guest_new("max");
    s = &c->state;
    s->cr0 = CR0_PE | CR0_ET;
    s->gdtr = (TableReg){GDT, 0x3f};
    s->idtr = (TableReg){IDT, 0xff};
    describe(8, CODE32);
    describe(0x10, DATA);
    seg(SEG_CS, 8, CODE32);
    for (unsigned n = 0; n < CPU_SEGS; n++) {
        if (n != SEG_CS && n < SEG_LDTR) {
            seg(n, 0x10, DATA);
        }
    }
    s->seg[SEG_LDTR].attr = ATTR_UNUSABLE;
    s->seg[SEG_TR] = (Segment){.selector = 0x28, .base = TSS, .limit = 0x67, .attr = 0x8b};
    s->gpr[CPU_RSP] = STACK;
    s->rip = 0x1000;
    for (unsigned n = 0; n < 32; n++) {
        gate(n, 8, 0x5000, 0x8e, 0);
    }
}

/* 64-bit mode: the first 2 MiB and nothing else. */
static void long_mode(void)
{
    protected_mode();
    s->cr0 |= CR0_PG | CR0_WP;
    s->cr4 = CR4_PAE;
    s->efer = EFER_LMA | EFER_LME | EFER_NXE;
    s->cr3 = ROOT;
    s->idtr.limit = 0x1ff;
    poke(c, ROOT, 8, ROOT + 0x1003);
    poke(c, ROOT + 0x1000, 8, ROOT + 0x2003);
    poke(c, ROOT + 0x2000, 8, 0x83);
    describe(8, CODE64);
    seg(SEG_CS, 8, CODE64);
    for (unsigned n = 0; n < 32; n++) {
        gate(n, 8, 0x5000, 0x8e, 0);
    }
}

/* ---- Delivery ---- */

static void refused(BoxKind kind, unsigned vector, bool has_error, unsigned fault, uint32_t error, const char *why)
{
    g_autoptr(GString) text = g_string_new(NULL);
    Refusal r = {0};
    ck_assert_msg(explain_delivery(c, kind, vector, has_error, &r, text), "vector %u is delivered", vector);
    ck_assert_msg(strstr(text->str, why), "it says: %s\nnot: %s", text->str, why);
    ck_assert_msg(r.vector == fault && r.error == error, "fault %u error %x: %s", r.vector, r.error, text->str);
}

static void passes(BoxKind kind, unsigned vector, bool has_error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    Refusal r;
    ck_assert_msg(!explain_delivery(c, kind, vector, has_error, &r, text), "%s", text->str);
    ck_assert_str_eq(text->str, "");
}

START_TEST(test_real)
{
    c = guest_new("max");
    s = &c->state;
    s->idtr = (TableReg){0, 0x3ff};
    s->gpr[CPU_RSP] = 0x100;
    passes(BOX_EXCEPTION, GP, false);
    s->idtr.limit = 0x1f;
    refused(BOX_EXCEPTION, DF, false, GP, 1, "interrupt vector 8 lies beyond the IDT limit 0x1f (real mode: 4 bytes each");
    refused(BOX_SOFTWARE, DF, false, GP, 0, "interrupt vector 8");
    s->idtr.limit = 0x3ff;
    s->gpr[CPU_RSP] = 1;
    refused(BOX_EXCEPTION, GP, false, SS, 1, "pushing to SS:SP 0xffff failed: outside of SS 0x0");
    s->gpr[CPU_RSP] = 0x100;
    s->seg[SEG_CS].limit = 0xff;
    poke(c, 6 * 4, 2, 0x100);
    refused(BOX_EXCEPTION, UD, false, GP, 1, "the handler's address 0x100 lies beyond the limit 0xff of its code segment");
    free_cpus();
}
END_TEST

START_TEST(test_gates)
{
    protected_mode();
    passes(BOX_EXCEPTION, UD, false);
    passes(BOX_EXCEPTION, PF, true);
    refused(BOX_EXCEPTION, 32, false, GP, 0x103, "IDT gate 32 at 0x3100 lies beyond the IDT limit 0xff");
    gate(UD, 8, 0, 0, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 0x33, "type 0x0 is no gate");
    gate(UD, 8, 0x5000, 0x8c, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 0x33, "IDT gate 6 at 0x3030: type 0xc is no gate");
    gate(UD, 8, 0x5000, 0x9e, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 0x33, "type 0x1e is no gate");
    gate(UD, 8, 0x5000, 0x0e, 0);
    refused(BOX_EXCEPTION, UD, false, NP, 0x33, "IDT gate 6 at 0x3030 is not present (value 0x00000e0000085000)");
    s->seg[SEG_SS].attr |= ATTR_DPL;
    refused(BOX_SOFTWARE, 3, false, GP, 3 << 3 | 2, "has DPL 0, and may not be used by INT at CPL 3");
    free_cpus();
}
END_TEST

START_TEST(test_code_segments)
{
    protected_mode();
    gate(UD, 0, 0x5000, 0x8e, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 1, "selector 0x0 is null");
    gate(UD, 0x48, 0x5000, 0x8e, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 0x49, "selector 0x48 lies beyond the GDT limit 0x3f (GDT at 0x2000, entry 9)");
    gate(UD, 0xc, 0x5000, 0x8e, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 0xd, "selector 0xc is one of the LDT, but no LDT is loaded");
    gate(UD, 0x10, 0x5000, 0x8e, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 0x11,
            "selector 0x10 (GDT entry 2 at 0x2010) is no code segment: 0x00cf93000000ffff is writable data");
    describe(0x18, CODE32 & ~(UINT64_C(1) << 47));
    gate(UD, 0x18, 0x5000, 0x8e, 0);
    refused(BOX_EXCEPTION, UD, false, NP, 0x19, "is not present");
    describe(0x18, CODE32 | UINT64_C(3) << 45);
    refused(BOX_EXCEPTION, UD, false, GP, 0x19, "is code of an outer level");
    describe(0x18, UINT64_C(0x00409b0000000fff));
    refused(BOX_EXCEPTION, UD, false, GP, 1, "the handler's address 0x5000 lies beyond the limit 0xfff");
    s->gdtr.base = 0x40000000; /* a bus without memory reads as ones: conforming code, DPL 3 */
    refused(BOX_EXCEPTION, UD, false, GP, 0x19, "is code of an outer level");
    free_cpus();
}
END_TEST

START_TEST(test_long_code)
{
    long_mode();
    passes(BOX_EXCEPTION, UD, false);
    gate(UD, 0x18, 0x5000, 0x8e, 0);
    describe(0x18, CODE32);
    refused(BOX_EXCEPTION, UD, false, GP, 0x19, "is no 64-bit code segment (L clear)");
    describe(0x18, CODE64 | UINT64_C(1) << 54);
    refused(BOX_EXCEPTION, UD, false, GP, 0x19, "has L and D both set, which is reserved");
    gate(UD, 8, UINT64_C(0x1234000000005000), 0x8e, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 1, "the handler's address 0x1234000000005000 is not canonical");
    gate(UD, 8, 0x5000, 0x85, 0);
    refused(BOX_EXCEPTION, UD, false, GP, 0x33, "type 0x5 is no gate of long mode");
    s->idtr.base = 0x40000000;
    refused(BOX_EXCEPTION, UD, false, PF, 0,
            "IDT gate 6 at 0x40000060 cannot be read: PDPTE at 0x9008 (index 1) is not present (value 0x0)");
    free_cpus();
}
END_TEST

START_TEST(test_stacks)
{
    protected_mode();
    s->gpr[CPU_RSP] = 8;
    seg(SEG_SS, 0x10, DATA);
    s->seg[SEG_SS].limit = 0xffff;
    refused(BOX_EXCEPTION, UD, false, SS, 1,
            "pushing to SS:ESP 0xfffffffc failed: outside of SS 0x10, whose limit is 0xffff");
    s->gpr[CPU_RSP] = 0x100;
    s->seg[SEG_SS].attr |= ATTR_DPL; /* CPL 3: the stack is the TSS's */
    refused(BOX_EXCEPTION, UD, false, TS, 1, "SS0 in the TSS is null");
    poke(c, TSS + 8, 2, 0x10);
    poke(c, TSS + 4, 4, STACK);
    passes(BOX_EXCEPTION, UD, false);
    poke(c, TSS + 8, 2, 0x68);
    refused(BOX_EXCEPTION, UD, false, TS, 0x69, "selector 0x68 lies beyond the GDT limit");
    poke(c, TSS + 8, 2, 8);
    refused(BOX_EXCEPTION, UD, false, TS, 9, "is no data segment, and cannot be the inner stack");
    describe(0x18, DATA & ~(UINT64_C(2) << 40));
    poke(c, TSS + 8, 2, 0x18);
    refused(BOX_EXCEPTION, UD, false, TS, 0x19, "is not writable");
    describe(0x18, DATA & ~(UINT64_C(1) << 47));
    refused(BOX_EXCEPTION, UD, false, SS, 0x19, "is not present, and cannot be the inner stack");
    describe(0x18, DATA | UINT64_C(3) << 45);
    refused(BOX_EXCEPTION, UD, false, TS, 0x19, "has not the level of the inner stack");
    s->seg[SEG_TR].limit = 8;
    refused(BOX_EXCEPTION, UD, false, TS, 0x29, "TSS limit 0x8 is too small for SS0 (at offset 0x8");
    s->seg[SEG_TR].attr = ATTR_UNUSABLE;
    refused(BOX_EXCEPTION, UD, false, TS, 0x29, "SS0 is needed from the TSS, but none is loaded (LTR)");
    free_cpus();
}
END_TEST

START_TEST(test_long_stacks)
{
    long_mode();
    gate(UD, 8, 0x5000, 0x8e, 3);
    poke(c, TSS + 0x34, 8, STACK);
    passes(BOX_EXCEPTION, UD, false);
    poke(c, TSS + 0x34, 8, UINT64_C(0x9000) << 32);
    refused(BOX_EXCEPTION, UD, false, SS, 1, "IST3 in the TSS is not canonical: 0x0000900000000000");
    poke(c, TSS + 0x34, 8, 0x40000000);
    refused(BOX_EXCEPTION, UD, false, PF, PF_W,
            "pushing to IST3, 0x000000003ffffff8 failed: PDE at 0xaff8 (index 511) is not present (value 0x0)");
    s->seg[SEG_TR].limit = 0x3a;
    refused(BOX_EXCEPTION, UD, false, TS, 0x29, "TSS limit 0x3a is too small for IST3 (at offset 0x34");
    s->gpr[CPU_RSP] = UINT64_C(0x800000000000);
    refused(BOX_EXCEPTION, GP, true, PF, PF_W, "pushing to SS:RSP 0x00007ffffffffff8 failed: PML4E at 0x87f8 (index 255)");
    s->gpr[CPU_RSP] = UINT64_C(0x800000000010);
    refused(BOX_EXCEPTION, GP, true, SS, 1, "pushing to SS:RSP 0x0000800000000008 failed: the address is not canonical");
    free_cpus();
}
END_TEST

START_TEST(test_task_gates)
{
    protected_mode();
    gate(DF, 0x30, 0, 0x85, 0);
    describe(0x30, UINT64_C(0x00008b0040000067));
    refused(BOX_EXCEPTION, DF, true, GP, 0x31, "is no available TSS, to which the task gate leads");
    describe(0x30, UINT64_C(0x0000890040000066));
    refused(BOX_EXCEPTION, DF, true, TS, 0x31, "is too small for a TSS");
    describe(0x30, UINT64_C(0x0000090040000067));
    refused(BOX_EXCEPTION, DF, true, NP, 0x31, "is not present");
    describe(0x30, UINT64_C(0x0000890040000067));
    passes(BOX_EXCEPTION, DF, true);
    free_cpus();
}
END_TEST

/* ---- Page walks ---- */

static void walk(uint64_t va, unsigned access, const char *why)
{
    g_autoptr(GString) text = g_string_new(NULL);
    ck_assert_msg(explain_walk(c, va, access, text), "%" PRIx64 " is allowed", va);
    ck_assert_msg(strstr(text->str, why), "it says: %s\nnot: %s", text->str, why);
}

START_TEST(test_walks)
{
    enum { PD = ROOT + 0x2000, PT = ROOT + 0x3000 };
    g_autoptr(GString) none = g_string_new(NULL);
    long_mode();
    ck_assert(!explain_walk(c, 0x1000, WALK_WRITE, none) && !none->len);
    walk(UINT64_C(0x800000000000), 0, "address 0x0000800000000000 is not canonical (bits 63 to 47 differ)");
    walk(UINT64_C(0xffff800000000000), WALK_WRITE, "PML4E at 0x8800 (index 256) is not present (value 0x0)");
    poke(c, PD + 8, 8, PT | 7);
    poke(c, PT, 8, 0x5003);
    poke(c, ROOT, 8, ROOT + 0x1007);
    poke(c, ROOT + 0x1000, 8, ROOT + 0x2007);
    walk(0x200000, WALK_USER, "PTE at 0xb000 (index 0) is for the supervisor only (U/S clear) (value 0x5003)");
    poke(c, PT, 8, 0x5001);
    walk(0x200000, WALK_WRITE, "is read-only (R/W clear), which CR0.WP makes count");
    poke(c, PT, 8, 0x5005);
    walk(0x200000, WALK_WRITE | WALK_USER, "PTE at 0xb000 (index 0) is read-only (R/W clear) (value 0x5005)");
    poke(c, PT, 8, UINT64_C(0x5007) | PTE_NX);
    walk(0x200000, WALK_FETCH, "PTE at 0xb000 (index 0) forbids execution (NX set)");
    s->efer &= ~EFER_NXE;
    walk(0x200000, 0,
         "has reserved bits set: 0x8000000000000000 of its value 0x8000000000005007 (bit 63, NX, needs EFER.NXE)");
    s->efer |= EFER_NXE;
    poke(c, PT, 8, 0x5007);
    s->cr4 |= CR4_SMEP | CR4_SMAP;
    walk(0x200000, WALK_FETCH, "CR4.SMEP keeps the supervisor from executing it");
    walk(0x200000, 0, "CR4.SMAP keeps the supervisor from it while EFLAGS.AC is clear");
    s->cr4 = CR4_PAE | CR4_PKE;
    s->pkru = 1 << 4;
    poke(c, PT, 8, UINT64_C(0x5007) | UINT64_C(2) << 59);
    walk(0x200000, WALK_USER, "protection key 2 of the PTE at 0xb000 (index 0) forbids it");
    poke(c, PT, 8, UINT64_C(0x5007) | UINT64_C(1) << 51);
    walk(0x200000, 0, "has reserved bits set: 0x8000000000000 of its value");
    poke(c, PD + 16, 8, 0x402083);
    walk(0x400000, 0, "(the address of a large page is not aligned to its size)");
    poke(c, ROOT + 0x18, 8, ROOT | 0x83);
    walk(UINT64_C(3) << 39, 0, "(bit 7, PS: no page can be that large)");
    poke(c, PD + 24, 8, 0x40000003);
    walk(0x600000, 0, "PTE at 0x40000000 (index 0) lies where there is no memory; PDE leads there");
    g_autoptr(GString) entries = g_string_new(NULL);
    explain_walk_entries(c, 0x1234, "  ", entries);
    ck_assert_str_eq(entries->str,
                     "  PML4E at 0x8000 (index 0) = 0x0000000000009007: present, writable, user\n"
                     "  PDPTE at 0x9000 (index 0) = 0x000000000000a007: present, writable, user\n"
                     "  PDE at 0xa000 (index 0) = 0x0000000000000083: present, writable, supervisor, large page\n"
                     "  physical 0x1234, in a page of 2048 KiB\n");
    free_cpus();
}
END_TEST

START_TEST(test_pae)
{
    protected_mode();
    s->cr0 |= CR0_PG;
    s->cr4 = CR4_PAE;
    s->cr3 = ROOT;
    s->pdpte_valid = true;
    s->pdpte[0] = 0xa001;
    poke(c, 0xa000, 8, 0x83);
    walk(0xc0000000, 0, "PDPTE at 0x8018 (index 3) is not present (value 0x0)");
    poke(c, ROOT + 24, 8, 0x9001);
    walk(0xc0000000, 0, "(value 0x0); memory has 0x9001 by now, but the CPU has what it loaded with CR3");
    s->cr4 = 0;
    poke(c, ROOT + 4 * 0x300, 4, 0x9000);
    walk(0xc0000000, 0, "PDE at 0x8c00 (index 768) is not present (value 0x9000)");
    free_cpus();
}
END_TEST

/* ---- Instructions ---- */

static void code(const char *bytes, size_t n)
{
    ck_assert(space_write(c->memory, s->rip, bytes, n));
}

static void insn(unsigned vector, uint32_t error, uint64_t address, const char *why)
{
    BoxFault f = {.vector = (uint8_t)vector, .has_error = true, .error = error, .address = address};
    g_autoptr(GString) text = g_string_new(NULL);
    bool ok = explain_instruction(c, &f, text);
    ck_assert_msg(ok == (why != NULL), "%s", text->str);
    ck_assert_msg(strstr(text->str, why ? why : ""), "it says: %s\nnot: %s", text->str, why);
}
#define INSN(bytes, vector, error, address, why) (code(bytes, sizeof(bytes) - 1), insn(vector, error, address, why))

/* What is said of an instruction when nobody knows whether it faulted: only what is certain. */
static void suspects(const char *why)
{
    g_autoptr(GString) text = g_string_new(NULL);
    bool ok = explain_suspect(c, text);
    ck_assert_msg(ok == (why != NULL), "%s", text->str);
    ck_assert_msg(strstr(text->str, why ? why : ""), "it says: %s\nnot: %s", text->str, why);
}

START_TEST(test_protected_instructions)
{
    protected_mode();
    s->gpr[CPU_RBX] = 0x5000;
    s->seg[SEG_DS].limit = 0xfff;
    INSN("\x8b\x03", GP, 0, 0, "offset 0x5000 of 4 bytes lies outside of DS (selector 0x10, base 0x0, limit 0xfff)");
    s->seg[SEG_DS].attr = ATTR_UNUSABLE;
    INSN("\x8b\x03", GP, 0, 0, "it goes through DS, which is null");
    INSN("\x2e\x89\x03", GP, 0, 0, "it writes through CS (selector 0x8), which is a code segment");
    s->seg[SEG_SS].limit = 0xff;
    INSN("\x50", SS, 0, 0, "offset 0xfffc of 4 bytes lies outside of SS");
    s->seg[SEG_CS].limit = 0x1fff;
    INSN("\xe9\x00\x10\x00\x00", GP, 0, 0, "it leads to 0x2005, beyond the limit 0x1fff of CS");
    INSN("\x0f\x0b", UD, 0, 0, "it is there to raise #UD");
    INSN("\x0f\xff\xff\xff", UD, 0, 0, "it is there to raise #UD");
    INSN("\x0f\x28\xc1", UD, 0, 0, "SSE needs CR4.OSFXSR");
    INSN("\xc5\xf8\x28\xc1", UD, 0, 0, "AVX needs CR4.OSXSAVE");
    INSN("\xf7\xf1", 0, 0, 0, "the divisor is 0");
    s->gpr[CPU_RCX] = 1;
    INSN("\xf7\xf1", 0, 0, 0, "the quotient does not fit");
    s->cr0 |= CR0_TS;
    INSN("\xd9\xe8", 7, 0, 0, "CR0 has TS set");
    INSN("\x8e\xd8", GP, 0x28, 0, "selector 0x0 is null"); /* MOV DS, EAX: what EAX names */
    s->gpr[CPU_RAX] = 0x28;
    INSN("\x8e\xd8", NP, 0x28, 0, "cannot be loaded into the segment register at CPL 0");
    INSN("\xea\x00\x00\x00\x00\x48\x00", GP, 0x48, 0, "selector 0x48 lies beyond the GDT limit 0x3f");
    INSN("\xf4", GP, 0, 0, NULL); /* nothing in the state refuses HLT */
    s->seg[SEG_SS].attr |= ATTR_DPL;
    INSN("\xf4", GP, 0, 0, "the instruction is privileged, and CPL is 3");
    INSN("\xfa", GP, 0, 0, "CPL 3 may not change IF with IOPL 0");
    INSN("\xe4\x60", GP, 0, 0, "port access at CPL 3 with IOPL 0");
    free_cpus();
}
END_TEST

START_TEST(test_control_instructions)
{
    protected_mode();
    s->gpr[CPU_RAX] = CR0_PG;
    INSN("\x0f\x22\xc0", GP, 0, 0, "CR0 = 0x80000000 is refused: PG without PE");
    s->gpr[CPU_RAX] = CR0_PE | CR0_NW;
    INSN("\x0f\x22\xc0", GP, 0, 0, "NW without CD");
    s->gpr[CPU_RAX] = CR0_PE | CR0_PG;
    s->efer = EFER_LME;
    INSN("\x0f\x22\xc0", GP, 0, 0, "PG with EFER.LME needs CR4.PAE first");
    s->efer = 0;
    s->cr4 = CR4_PAE;
    s->cr3 = ROOT;
    poke(c, ROOT + 24, 8, 0x9007);
    INSN("\x0f\x22\xc0", GP, 0, 0, "PDPTE at 0x8018 (index 3) has reserved bits set: 0x6 of its value 0x9007");
    s->gpr[CPU_RAX] = UINT32_C(1) << 31;
    INSN("\x0f\x22\xe0", GP, 0, 0, "CR4 = 0x80000000 is refused: this CPU model does not have bits 0x80000000:");
    s->gpr[CPU_RCX] = 0x12345;
    INSN("\x0f\x32", GP, 0, 0, "MSR 0x12345 does not exist here");
    s->gpr[CPU_RCX] = 0xc0000082;
    s->gpr[CPU_RDX] = 0x12345678;
    INSN("\x0f\x30", GP, 0, 0, "MSR 0xc0000082 (lstar) takes canonical addresses only (value 0x1234567880000000)");
    s->gpr[CPU_RCX] = 0xfe;
    INSN("\x0f\x30", GP, 0, 0, "MSR 0xfe (mtrrcap) can only be read");
    free_cpus();
}
END_TEST

START_TEST(test_long_instructions)
{
    long_mode();
    s->gpr[CPU_RAX] = UINT64_C(0x1234567812345678);
    INSN("\x48\x8b\x00", GP, 0, 0, "it accesses 0x1234567812345678, which is not canonical (bits 63 to 47 differ)");
    INSN("\xff\xe0", GP, 0, 0, "it leads to 0x1234567812345678, which is not canonical");
    poke(c, STACK, 8, UINT64_C(0x8000000000000000));
    INSN("\xc3", GP, 0, 0, "it leads to 0x8000000000000000, which is not canonical");
    s->gpr[CPU_RBX] = 0x5008;
    INSN("\x0f\x28\x03", GP, 0, 0, "its operand at 0x5008 is not aligned to 16 bytes");
    INSN("\x0f\x10\x03", GP, 0, 0, NULL); /* MOVUPS takes any */
    suspects(NULL);
    INSN("\x0f\x28\x03", GP, 0, 0, "not aligned");
    suspects("#GP or #SS: its operand at 0x5008 is not aligned to 16 bytes");
    s->gpr[CPU_RCX] = 0x277;
    s->gpr[CPU_RAX] = s->gpr[CPU_RDX] = 0;
    INSN("\x0f\x30", GP, 0, 0, "MSR 0x277 (pat) does not take the value");
    suspects(NULL);
    INSN("\x0f\x0b", UD, 0, 0, "it is there to raise #UD");
    suspects("#UD: it is there to raise #UD");
    INSN("\xf7\xf1", 0, 0, 0, "the quotient does not fit");
    suspects(NULL);
    s->gpr[CPU_RCX] = 0;
    suspects("#DE: the divisor is 0");
    s->gpr[CPU_RAX] = UINT64_C(0x1234567812345678);
    INSN("\x8b\x03", PF, PF_W, UINT64_C(0xffff800000000000), "PML4E at 0x8800 (index 256) is not present (value 0x0)");
    INSN("\x8b\x03", PF, 0, 0x5000, NULL); /* it is there by now */
    poke(c, ROOT + 0x2000, 8, 0);
    insn(PF, 0, 0x1000, "PDE at 0xa000 (index 0) is not present");
    free_cpus();
}
END_TEST

/* Nothing is too strange to be reported: tables and addresses of all kinds, at random. */
START_TEST(test_noise)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(4);
    for (unsigned n = 0; n < 300; n++) {
        n % 2 ? long_mode() : protected_mode();
        for (unsigned i = 0; i < 64; i++) {
            uint64_t v = (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);
            poke(c, g_rand_int_range(rand, 0, GUEST_RAM / 8) * 8u, 8, v);
            poke(c, (unsigned)g_rand_int_range(rand, 0x1000, ROOT + 0x4000), 8, v >> g_rand_int_range(rand, 0, 63));
        }
        s->cr4 ^= g_rand_int(rand) & g_rand_int(rand) & g_rand_int(rand) & 0x7fffff;
        s->cr0 ^= g_rand_int(rand) & g_rand_int(rand) & g_rand_int(rand);
        s->gpr[CPU_RSP] = (uint64_t)g_rand_int(rand) << (n % 32);
        s->rip = n % 5 ? s->rip : (uint64_t)g_rand_int(rand) << (n % 33);
        s->idtr.base = n % 7 ? s->idtr.base : UINT64_MAX - n;
        s->gdtr.limit = n % 3 ? s->gdtr.limit : (uint16_t)g_rand_int(rand);
        s->seg[SEG_TR].base = n % 11 ? s->seg[SEG_TR].base : UINT64_MAX - n;
        static const uint8_t vectors[] = {0, 6, 7, 10, 11, 12, 13, 14, 3, 200};
        for (unsigned i = 0; i < sizeof(vectors); i++) {
            g_autoptr(GString) text = g_string_new(NULL);
            BoxFault f = {
                .vector = vectors[i], .has_error = true, .error = g_rand_int(rand) & 0xffff, .address = g_rand_int(rand)};
            Refusal r;
            explain_instruction(c, &f, text);
            explain_delivery(c, i % 2 ? BOX_SOFTWARE : BOX_EXCEPTION, vectors[i], i % 2, &r, text);
            explain_gate(c, vectors[i], text);
            explain_suspect(c, text);
            explain_walk_entries(c, s->gpr[CPU_RSP], "", text);
        }
        g_autoptr(GString) text = g_string_new(NULL);
        box_print_code(c, text);
        ck_assert(text->len);
        free_cpus();
    }
}
END_TEST

SUITE("explain", test_real, test_gates, test_code_segments, test_long_code, test_stacks, test_long_stacks, test_task_gates,
      test_walks, test_pae, test_protected_instructions, test_control_instructions, test_long_instructions, test_noise)
