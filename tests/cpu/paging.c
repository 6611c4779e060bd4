#include "cpu/paging.h"
#include "tests/cpu/guest.h"

static Cpu *c;
static CpuState *s;
static PageWalk w;
enum { P = 1, RW = 2, US = 4, PS = 0x80, G = 0x100 };
#define NX PTE_NX

static bool walk(uint64_t va, unsigned access)
{
    PagingLimits l = paging_limits(c);
    return paging_walk(s, &l, c->memory, va, access, &w);
}

static void expect(uint64_t va, unsigned access, uint64_t phys)
{
    ck_assert_msg(walk(va, access), "%" PRIx64 " access %x: fault %d error %x", va, access, w.fault,
                  w.error);
    ck_assert_uint_eq(w.phys, phys);
}

static void refused(uint64_t va, unsigned access, uint32_t error, unsigned level)
{
    ck_assert_msg(!walk(va, access), "%" PRIx64 " was allowed", va);
    ck_assert_int_eq(w.fault, WALK_PAGE_FAULT);
    ck_assert_uint_eq(w.error, error);
    ck_assert_uint_eq(w.entry[w.entries - 1].level, level);
}

static void start(const char *option, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    c = guest_new(option);
    s = &c->state;
    s->cr0 = CR0_PE | CR0_PG | CR0_WP | cr0;
    s->cr4 = cr4;
    s->efer = efer;
    s->cr3 = 0x1000;
}

START_TEST(test_off)
{
    c = guest_new("qemu64");
    s = &c->state;
    expect(0x12345678, WALK_WRITE | WALK_USER, 0x12345678);
    expect(UINT64_C(0x112345678), 0, 0x12345678);
}
END_TEST

START_TEST(test_32_bit)
{
    start("qemu32", 0, CR4_PSE, 0);
    poke(c, 0x1000, 4, 0x2000 | P | RW | US);     /* 0: table */
    poke(c, 0x1004, 4, 0x00c00000 | P | RW | PS); /* 400000: 4M page, supervisor */
    poke(c, 0x2000 + 4 * 5, 4, 0x7000 | P | US);  /* 5000: read-only, user */
    poke(c, 0x2000 + 4 * 6, 4, 0x8000 | P | RW);  /* 6000: supervisor */
    expect(0x5123, WALK_USER, 0x7123);
    ck_assert_uint_eq(w.page_size, 4096);
    ck_assert_uint_eq(w.entries, 2);
    ck_assert_uint_eq(w.entry[0].at, 0x1000);
    ck_assert_uint_eq(w.entry[1].at, 0x2014);
    ck_assert_uint_eq(w.entry_size, 4);
    refused(0x5123, WALK_USER | WALK_WRITE, PF_P | PF_W | PF_U, 1);
    refused(0x5123, WALK_WRITE, PF_P | PF_W, 1);
    s->cr0 &= ~CR0_WP;
    expect(0x5123, WALK_WRITE, 0x7123);
    refused(0x6000, WALK_USER, PF_P | PF_U, 1);
    expect(0x6fff, WALK_WRITE, 0x8fff);
    refused(0x7000, WALK_USER, PF_U, 1);
    refused(0x00800000, WALK_WRITE, PF_W, 2);
    expect(0x00412345, WALK_WRITE, 0x00c12345);
    ck_assert_uint_eq(w.page_size, 4 << 20);
    expect(UINT64_C(0x100005123), 0, 0x7123); /* addresses have 32 bits */
    refused(0x7000, WALK_FETCH, 0, 1);        /* no I bit without NX and SMEP */
    s->cr4 = 0;                               /* without PSE it is a table, here one of all ones */
    expect(0x00412345, 0, 0xfffff345);
    ck_assert_uint_eq(w.entries, 2);
}
END_TEST

START_TEST(test_pse36)
{
    start("pentium3", 0, CR4_PSE, 0);
    poke(c, 0x1000, 4, 0x00400000 | 1 << 13 | P | RW | PS); /* PA 32 set */
    poke(c, 0x1004, 4, 0x00400000 | 1 << 17 | P | RW | PS); /* bit 36: beyond 36 bits */
    expect(0x1234, 0, UINT64_C(0x100401234));
    refused(0x00401234, 0, PF_P | PF_RSVD, 2);
    s->cr0 &= ~CR0_PG;
    expect(0x1234, 0, 0x1234);
}
END_TEST

START_TEST(test_pae)
{
    start("qemu64", 0, CR4_PAE, EFER_NXE);
    s->cr3 = 0x1020;
    poke(c, 0x1020, 8, 0x2000 | P);
    poke(c, 0x1028, 8, 0x3000 | P);
    poke(c, 0x2000, 8, 0x4000 | P | RW | US);
    poke(c, 0x2008, 8, 0x00e00000 | P | RW | US | PS | NX);
    poke(c, 0x4000, 8, UINT64_C(0x100000000) | P | RW | US);
    poke(c, 0x4008, 8, 0x5000 | P | RW | US | UINT64_C(1) << 45);
    poke(c, 0x3000, 8, 0x00e00000 | 1 << 13 | P | PS);
    expect(0x10, WALK_USER | WALK_WRITE, UINT64_C(0x100000010));
    ck_assert_uint_eq(w.entries, 3);
    ck_assert_uint_eq(w.entry_size, 8);
    refused(0x1000, 0, PF_P | PF_RSVD, 1); /* beyond 40 bits */
    expect(0x00212345, WALK_USER, 0x00e12345);
    ck_assert_uint_eq(w.page_size, 2 << 20);
    refused(0x00212345, WALK_USER | WALK_FETCH, PF_P | PF_U | PF_I, 2);
    refused(0x40000000, 0, PF_P | PF_RSVD, 2); /* bit 13 of a large page */
    refused(0x80000000, WALK_FETCH, PF_I, 3);
    s->efer = 0;
    refused(0x00212345, 0, PF_P | PF_RSVD, 2); /* NX is reserved without NXE */
    s->pdpte_valid = true;                     /* the CPU's copy counts, not memory */
    s->pdpte[0] = 0;
    s->pdpte[3] = 0x2000 | P;
    refused(0x10, 0, 0, 3);
    expect(0xc0000010, 0, UINT64_C(0x100000010));
}
END_TEST

static void long_tables(void)
{
    poke(c, 0x1000, 8, 0x2000 | P | RW | US);          /* PML4 0 */
    poke(c, 0x1ff8, 8, 0x2000 | P | RW);               /* PML4 511: same, supervisor */
    poke(c, 0x2000, 8, 0x3000 | P | RW | US);          /* PDPT 0 */
    poke(c, 0x2008, 8, 0x40000000 | P | RW | US | PS); /* PDPT 1: 1G page */
    poke(c, 0x3000, 8, 0x4000 | P | RW | US);          /* PD 0 */
    poke(c, 0x3008, 8, 0x00600000 | P | US | PS | NX); /* PD 1: 2M page, read-only, no fetch */
    poke(c, 0x4000, 8, 0x9000 | P | RW | US | UINT64_C(5) << 59); /* key 5 */
    poke(c, 0x4008, 8, 0xa000 | P | RW);                          /* supervisor */
}

START_TEST(test_long)
{
    start("Skylake-Server", 0, CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE);
    long_tables();
    expect(0x123, WALK_USER | WALK_WRITE, 0x9123);
    ck_assert_uint_eq(w.entries, 4);
    ck_assert_uint_eq(w.entry[3].at, 0x4000);
    ck_assert_uint_eq(w.pkey, 5);
    refused(0x1000, WALK_USER, PF_P | PF_U, 1);
    expect(0x40000123, WALK_USER, 0x40000123);
    ck_assert_uint_eq(w.page_size, 1 << 30);
    expect(UINT64_C(0xffffff8000000123), WALK_WRITE, 0x9123);
    refused(UINT64_C(0xffffff8000000123), WALK_USER, PF_P | PF_U,
            1); /* one supervisor level is enough */
    ck_assert(!walk(UINT64_C(0x0000800000000000), 0));
    ck_assert_int_eq(w.fault, WALK_NON_CANONICAL);
    refused(0x00200000, WALK_WRITE, PF_P | PF_W, 2);
    refused(0x00200000, WALK_FETCH, PF_P | PF_I, 2);
    expect(0x00200000, WALK_USER, 0x00600000);
    expect(0x00200000, WALK_DEBUG | WALK_WRITE | WALK_FETCH, 0x00600000);
    poke(c, 0x1000, 8, 0x2000 | P | RW | US | PS);
    refused(0x123, 0, PF_P | PF_RSVD, 4);
    s->cr3 = UINT64_C(0x7000000000); /* nothing there: ones, which are reserved */
    refused(0x123, 0, PF_P | PF_RSVD, 4);
    ck_assert(!walk(0x123, WALK_DEBUG));
}
END_TEST

START_TEST(test_no_gigabyte)
{
    start("Nehalem", 0, CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE);
    long_tables();
    refused(0x40000123, 0, PF_P | PF_RSVD, 3);
}
END_TEST

START_TEST(test_smep_smap_keys)
{
    start("Skylake-Server", 0, CR4_PAE | CR4_SMEP | CR4_SMAP, EFER_LME | EFER_LMA);
    long_tables();
    poke(c, 0x3008, 8, 0);
    refused(0x123, WALK_FETCH, PF_P | PF_I, 1);
    expect(0x123, WALK_FETCH | WALK_USER, 0x9123);
    expect(0x1123, WALK_FETCH, 0xa123);
    refused(0x123, WALK_READ, PF_P, 1);
    s->rflags |= FLAG_AC;
    expect(0x123, WALK_READ, 0x9123);
    refused(0x123, WALK_IMPLICIT, PF_P, 1);
    s->cr4 = CR4_PAE | CR4_PKE;
    s->pkru = 2 << 10; /* key 5: no writing */
    expect(0x123, WALK_USER, 0x9123);
    refused(0x123, WALK_USER | WALK_WRITE, PF_P | PF_W | PF_U | PF_PK, 1);
    refused(0x123, WALK_WRITE, PF_P | PF_W | PF_PK, 1);
    s->cr0 &= ~CR0_WP;
    expect(0x123, WALK_WRITE, 0x9123);
    s->pkru = 1 << 10; /* key 5: no access */
    refused(0x123, WALK_READ, PF_P | PF_PK, 1);
    expect(0x123, WALK_FETCH | WALK_USER, 0x9123);
}
END_TEST

START_TEST(test_five_levels)
{
    start("Icelake-Server", 0, CR4_PAE | CR4_LA57, EFER_LME | EFER_LMA | EFER_NXE);
    s->cr3 = 0x8000;
    poke(c, 0x8008, 8, 0x1000 | P | RW | US); /* PML5 1 */
    long_tables();
    expect(UINT64_C(0x0001000000000123), WALK_USER, 0x9123);
    ck_assert_uint_eq(w.entries, 5);
    ck_assert_uint_eq(w.entry[0].level, 5);
    ck_assert(!walk(UINT64_C(0x0100000000000000), 0));
    ck_assert_int_eq(w.fault, WALK_NON_CANONICAL);
    refused(0x123, WALK_WRITE, PF_W, 5);
}
END_TEST

START_TEST(test_memory)
{
    char text[9000], back[9000];
    start("Skylake-Server", 0, CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE);
    long_tables();
    memset(text, 'x', sizeof(text));
    ck_assert(cpu_memory_debug(c, 0xff0, text, 0x1010, true)); /* over the page border */
    ck_assert(cpu_memory_debug(c, 0xff0, back, 0x1010, false));
    ck_assert_mem_eq(text, back, 0x1010);
    ck_assert(space_peek(c->memory, 0xa000, back, 1) && back[0] == 'x');
    ck_assert(!cpu_memory_debug(c, 0xff0, back, sizeof(back), false));
    uint64_t phys;
    ck_assert(cpu_translate_debug(c, 0x1fff, &phys) && phys == 0xafff);
}
END_TEST

START_TEST(test_print)
{
    g_autoptr(GString) tlb = g_string_new(NULL), mem = g_string_new(NULL);
    start("Skylake-Server", 0, CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE);
    long_tables();
    paging_print_tlb(c, tlb);
    ck_assert_msg(g_str_has_prefix(tlb->str, "0000000000000000: 0000000000009000 -------UW\n"
                                             "0000000000001000: 000000000000a000 --------W\n"
                                             "0000000000200000: 0000000000600000 X-P----U-\n"
                                             "0000000040000000: 0000000040000000 --P----UW\n"
                                             "ffffff8000000000: 0000000000009000 --------W\n"),
                  "%s", tlb->str);
    paging_print_mem(c, mem);
    ck_assert_msg(g_str_has_prefix(mem->str,
                                   "0000000000000000-0000000000001000 0000000000001000 urw\n"
                                   "0000000000001000-0000000000002000 0000000000001000 -rw\n"
                                   "0000000000200000-0000000000400000 0000000000200000 ur-\n"),
                  "%s", mem->str);
    s->cr0 &= ~CR0_PG;
    g_string_truncate(tlb, 0);
    paging_print_tlb(c, tlb);
    ck_assert_str_eq(tlb->str, "PG disabled\n");
}
END_TEST

static bool count(void *arg, uint64_t va, uint64_t phys, uint64_t size, uint64_t leaf)
{
    ++*(uint64_t *)arg;
    return true;
}

/* A table whose every entry is itself would map 2^36 pages: the listing ends. */
START_TEST(test_recursive)
{
    uint64_t pages = 0;
    start("Skylake-Server", 0, CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE);
    for (unsigned i = 0; i < 512; i++) {
        poke(c, 0x1000 + 8 * i, 8, 0x1000 | P | RW);
    }
    PagingLimits l = paging_limits(c);
    paging_foreach(s, &l, c->memory, count, &pages);
    ck_assert_uint_gt(pages, 1000000);
    ck_assert_uint_lt(pages, 5000000);
}
END_TEST

SUITE("paging", test_off, test_32_bit, test_pse36, test_pae, test_long, test_no_gigabyte,
      test_smep_smap_keys, test_five_levels, test_memory, test_print, test_recursive)
