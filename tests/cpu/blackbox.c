/* The black box's ring: order, loops, wrapping, readers beside the writer, and the chain of faults. */
#include "cpu/blackbox/print.h"
#include "cpu/blackbox/report.h"
#include "tests/cpu/guest.h"

static Cpu *c;

static void start(unsigned entries)
{
    box_entries = entries;
    c = guest_new("qemu64");
    c->state_valid = true;
}

static BoxEvent at(GArray *events, unsigned n)
{
    return g_array_index(events, BoxEvent, n);
}

static void out_at(uint64_t rip, unsigned port, uint64_t value)
{
    box_note(c, BOX_OUT, 1, port, value, 0, rip);
}

START_TEST(test_option)
{
    GError *error = NULL;
    ck_assert(box_option("off", &error) && box_entries == 0);
    ck_assert_ptr_null(box_new());
    ck_assert(box_option("32", &error) && box_entries == 32);
    ck_assert(box_option("33", &error) && box_entries == 64);
    ck_assert(box_option("1048576", &error) && box_entries == 1 << 20);
    static const char *const bad[] = {"31", "1048577", "on", "", "-1", "16k"};
    for (unsigned n = 0; n < G_N_ELEMENTS(bad); n++) {
        ck_assert(!box_option(bad[n], &error));
        ck_assert_ptr_nonnull(strstr(error->message, "expected \"off\", or the number of entries"));
        g_clear_error(&error);
    }
}
END_TEST

START_TEST(test_off)
{
    start(0);
    ck_assert_ptr_null(c->box);
    out_at(1, 0x80, 1);
    box_fault(c, 13, true, 0, 0);
    box_deliver(c, BOX_EXCEPTION, 13, true, 0, 0);
    box_delivered(c);
    box_shutdown(c, BOX_TRIPLE_FAULT);
    box_restart(c, BOX_RESET, 0);
    free_cpus();
}
END_TEST

START_TEST(test_wrap)
{
    start(32);
    for (unsigned n = 0; n < 100; n++) {
        out_at(0x1000 + n, n, n);
    }
    g_autoptr(GArray) e = box_read(c->box);
    ck_assert_uint_eq(e->len, 32);
    for (unsigned n = 0; n < 32; n++) {
        ck_assert_uint_eq(at(e, n).what, 68 + n);
        ck_assert_uint_eq(at(e, n).rip, 0x1000 + 68 + n);
        ck_assert_uint_eq(at(e, n).count, 1);
    }
    free_cpus();
}
END_TEST

START_TEST(test_loops)
{
    start(32);
    out_at(1, 0x80, 7);
    for (unsigned n = 0; n < 1000; n++) { /* a loop over three ports does not push the first out */
        box_note(c, BOX_IN, 1, 0x64, n, 0, 0x10);
        box_note(c, BOX_IN, 1, 0x60, n + 1, 0, 0x12);
        out_at(0x14, 0x20, n);
    }
    out_at(0x10, 0x64, 5); /* another direction: no repeat */
    out_at(0x14, 0x20, 1234);
    g_autoptr(GArray) e = box_read(c->box);
    ck_assert_uint_eq(e->len, 5);
    ck_assert_uint_eq(at(e, 0).what, 0x80);
    ck_assert_uint_eq(at(e, 1).count, 1000);
    ck_assert_uint_eq(at(e, 1).value, 999);
    ck_assert_uint_eq(at(e, 2).count, 1000);
    ck_assert_uint_eq(at(e, 2).value, 1000);
    ck_assert(at(e, 1).first <= at(e, 1).last);
    ck_assert_uint_eq(at(e, 3).kind, BOX_OUT);
    ck_assert_uint_eq(at(e, 3).what, 0x64);
    ck_assert_uint_eq(at(e, 4).what, 0x20); /* the last one is last, though its entry is older */
    ck_assert_uint_eq(at(e, 4).count, 1001);
    ck_assert_uint_eq(at(e, 4).value, 1234);
    free_cpus();
}
END_TEST

/* Interrupts come anywhere; page faults at one place with two addresses are two. */
START_TEST(test_likeness)
{
    start(32);
    for (unsigned n = 0; n < 5; n++) {
        c->state.rip = 0x100 + n;
        box_deliver(c, BOX_INTERRUPT, 0x20, false, 0, 0);
        box_delivered(c);
    }
    for (unsigned n = 0; n < 6; n++) {
        box_fault(c, 14, true, 2, 0x1000 * (n & 1));
        box_deliver(c, BOX_EXCEPTION, 14, true, 2, 0x1000 * (n & 1));
        box_delivered(c);
    }
    g_autoptr(GArray) e = box_read(c->box);
    ck_assert_uint_eq(e->len, 3);
    ck_assert_uint_eq(at(e, 0).count, 5);
    ck_assert_uint_eq(at(e, 0).value, 0x104);
    ck_assert_uint_eq(at(e, 1).count, 3);
    ck_assert_uint_eq(at(e, 2).count, 3);
    free_cpus();
}
END_TEST

START_TEST(test_window)
{
    start(64);
    for (unsigned pass = 0; pass < 10; pass++) { /* one more than the window holds: each pass is new */
        for (unsigned n = 0; n <= BOX_WINDOW; n++) {
            out_at(n, n, 0);
        }
    }
    g_autoptr(GArray) e = box_read(c->box);
    ck_assert_uint_eq(e->len, 64);
    ck_assert_uint_eq(at(e, 63).count, 1);
    free_cpus();
}
END_TEST

START_TEST(test_modes)
{
    start(32);
    c->state.rip = 0x7c00;
    box_mode(c);
    c->state.cr0 |= CR0_PE;
    box_note(c, BOX_CR, 0, 0, c->state.cr0, 0, 0x7bfd);
    box_mode(c);
    box_mode(c);
    box_note(c, BOX_MSR, 0, 0xc0000080, 0x100, 0, BOX_NO_RIP);
    g_autoptr(GArray) e = box_read(c->box);
    ck_assert_uint_eq(e->len, 3);
    ck_assert_uint_eq(at(e, 0).mode, CPU_REAL); /* where the instruction was, not what it made */
    ck_assert_uint_eq(at(e, 1).kind, BOX_MODE);
    ck_assert_uint_eq(at(e, 1).what, CPU_PROTECTED);
    ck_assert_uint_eq(at(e, 2).mode, BOX_UNKNOWN);
    free_cpus();
}
END_TEST

START_TEST(test_chain)
{
    start(64);
    BlackBox *b = c->box;
    box_fault(c, 14, true, 2, 0x1234);
    ck_assert(b->open && b->faults == 1 && b->chain[0].during_kind == BOX_NONE);
    box_deliver(c, BOX_EXCEPTION, 14, true, 2, 0x1234);
    box_fault(c, 13, true, 0x73, 0);
    ck_assert_uint_eq(b->faults, 2);
    ck_assert(b->chain[1].during_kind == BOX_EXCEPTION && b->chain[1].during == 14 && b->chain[1].during_error);
    box_deliver(c, BOX_EXCEPTION, 8, true, 0, 0);
    box_delivered(c); /* its handler runs: whatever follows is another story */
    ck_assert(!b->open);
    box_fault(c, 6, false, 0, 0);
    ck_assert_uint_eq(b->faults, 1);
    box_deliver(c, BOX_EXCEPTION, 6, false, 0, 0);
    box_delivered(c);
    box_deliver(c, BOX_SOFTWARE, 0x80, false, 0, 0); /* INT 80h refused */
    box_fault(c, 13, true, 0x402, 0);
    ck_assert_uint_eq(b->faults, 1);
    ck_assert(b->chain[0].during_kind == BOX_SOFTWARE && b->chain[0].during == 0x80);
    for (unsigned n = 0; n < 10; n++) { /* longer than is kept: the last ones */
        box_deliver(c, BOX_EXCEPTION, 13, true, n, 0);
        box_fault(c, 13, true, n, 0);
    }
    ck_assert_uint_eq(b->faults, BOX_CHAIN);
    ck_assert_uint_eq(b->chain[BOX_CHAIN - 1].error, 9);
    box_restart(c, BOX_RESET, 0);
    ck_assert(!b->open);
    free_cpus();
}
END_TEST

/* ---- A reader beside the writer ---- */

enum { NOTES = 2000000 };
static atomic_bool written;

/* Every field follows from `what`, and repeats change the value: a torn entry would not fit together. */
static gpointer writer(gpointer unused)
{
    for (unsigned n = 0; n < NOTES; n++) {
        uint32_t port = n / 3 & 0xffff;
        box_put(c, BOX_OUT | 1 << 8, port, (uint64_t)port << 32 | n, port * UINT64_C(0x100000001), port + 0x1000);
    }
    atomic_store(&written, true);
    return NULL;
}

START_TEST(test_concurrent)
{
    start(32);
    GThread *thread = g_thread_new("writer", writer, NULL);
    unsigned reads = 0, entries = 0;
    while (!atomic_load(&written)) {
        g_autoptr(GArray) events = box_read(c->box);
        for (guint n = 0; n < events->len; n++) {
            BoxEvent e = at(events, n);
            ck_assert_uint_eq(e.rip, e.what + 0x1000);
            ck_assert_uint_eq(e.old, e.what * UINT64_C(0x100000001));
            ck_assert_uint_eq(e.value >> 32, e.what);
            ck_assert_uint_eq((uint32_t)e.value / 3 & 0xffff, e.what);
            ck_assert(e.count >= 1 && e.count <= 3 && e.count == (uint32_t)e.value % 3 + 1);
            ck_assert_uint_eq(e.serial, 2 * ((uint32_t)e.value + 1));
            ck_assert(!n || e.serial > at(events, n - 1).serial);
            entries++;
        }
        reads++;
    }
    g_thread_join(thread);
    ck_assert(reads && entries);
    free_cpus();
}
END_TEST

/* ---- In words ---- */

static void says(BoxEvent e, const char *want)
{
    g_autoptr(GString) text = g_string_new(NULL);
    box_event_text(&e, text);
    ck_assert_str_eq(text->str, want);
}

START_TEST(test_words)
{
    says((BoxEvent){.kind = BOX_CR, .what = 0, .old = CR0_NW | CR0_ET, .value = CR0_ET | CR0_PG | CR0_WP},
         "CR0 = 0x80010010 +WP -NW +PG");
    says((BoxEvent){.kind = BOX_CR, .what = 3, .value = 0x1000}, "CR3 = 0x1000");
    says((BoxEvent){.kind = BOX_CR, .what = BOX_XCR0, .old = 1, .value = 7}, "XCR0 = 0x7 +SSE +AVX");
    says((BoxEvent){.kind = BOX_MSR, .what = 0xc0000082, .value = 0x1234}, "WRMSR 0xc0000082 (lstar) = 0x1234");
    says((BoxEvent){.kind = BOX_MSR, .what = 0xc0000080, .value = 0x900, .old = 0x100},
         "WRMSR 0xc0000080 (efer) = 0x900 +NXE");
    says((BoxEvent){.kind = BOX_MSR, .what = 0x206}, "WRMSR 0x206 (mtrr_physbase3) = 0x0");
    says((BoxEvent){.kind = BOX_MSR, .what = 0x80b}, "WRMSR 0x80b (x2apic register 0x0b) = 0x0");
    says((BoxEvent){.kind = BOX_MSR, .what = 0xdeadbeef, .value = 1}, "WRMSR 0xdeadbeef = 0x1");
    says((BoxEvent){.kind = BOX_OUT, .size = 2, .what = 0x1234, .value = 0x5}, "OUT 0x1234 = 0x0005");
    says((BoxEvent){.kind = BOX_EXCEPTION, .what = 14, .size = 1, .error = 7, .value = 0x1000},
         "#PF error 0x7 at 0x1000 (write, user, page protection)");
    says((BoxEvent){.kind = BOX_EXCEPTION, .what = 8, .size = 1, .during_kind = BOX_EXCEPTION, .during = 14},
         "#DF error 0x0, raised while #PF was delivered");
    says((BoxEvent){.kind = BOX_EXCEPTION, .what = 13, .size = 1, .error = 0x43},
         "#GP error 0x43 (IDT entry 8 #DF, while an event was delivered)");
    says((BoxEvent){.kind = BOX_EXCEPTION, .what = 11, .size = 1, .error = 0x1c},
         "#NP error 0x1c (selector 0x1c, LDT entry 3)");
    says((BoxEvent){.kind = BOX_EXCEPTION, .what = 6}, "#UD");
    says((BoxEvent){.kind = BOX_MODE, .what = CPU_LONG}, "now in 64-bit mode");
    says((BoxEvent){.kind = BOX_SHUTDOWN, .what = BOX_TRIPLE_FAULT}, "triple fault");
    for (unsigned kind = BOX_NONE + 1; kind < BOX_KINDS; kind++) { /* all have words */
        g_autoptr(GString) text = g_string_new(NULL);
        box_event_text(&(BoxEvent){.kind = (uint8_t)kind}, text);
        ck_assert(text->len);
    }
}
END_TEST

SUITE("blackbox", test_option, test_off, test_wrap, test_loops, test_likeness, test_window, test_modes, test_chain,
      test_concurrent, test_words)
