/* `info pic`, `info irq`, `info lapic`: the interrupt chips' registers, decoded (82093AA; SDM vol 3 ch. 11). */
#include <inttypes.h>
#include <string.h>

#include "hw/device.h"
#include "hw/platform.h"
#include "qapi/hmp-internal.h"

/* Copies a chip's state out of the kernel when it is there, so that its rows can be read. */
static void fetch_chip(Device *d)
{
    if (platform.chip_fetch) {
        platform.chip_fetch(d);
    }
}

static unsigned row_value(const Device *d, const char *name)
{
    return (unsigned)device_peek(d, name, 0);
}

typedef struct Pics {
    Hmp *h;
    unsigned n;
    void (*print)(Hmp *h, const Device *d, unsigned index);
} Pics;

static void each_pic(void *arg, Device *d)
{
    Pics *p = arg;
    if (device_class_is(d->class, "isa-i8259")) {
        fetch_chip(d);
        p->print(p->h, d, p->n++);
    }
}

static void print_pic(Hmp *h, const Device *d, unsigned index)
{
    unsigned elcr = row_value(d, "elcr");
    hmp_print(
        h, "pic%u: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%u elcr=%02x fnm=%u\n",
        index, (row_value(d, "lines") & elcr) | row_value(d, "latch"), row_value(d, "imr"),
        row_value(d, "isr"), (row_value(d, "lowest") + 1) & 7, row_value(d, "vector"),
        row_value(d, "read_isr"), elcr, row_value(d, "icw4") >> 4 & 1);
}

/* ---- What redirection entries and local vectors have in common ---- */

static const char *delivery(unsigned mode)
{
    static const char *const names[] = {"fixed", "lowest", "SMI", "(3)", "NMI", "INIT", "SIPI", "ExtINT"};
    return names[mode & 7];
}

/* Polarity, trigger, mask, state. */
static void print_pin(Hmp *h, uint64_t v)
{
    hmp_print(h, "%s %-5s %-6s %-7s", v >> 13 & 1 ? "active-lo" : "active-hi", v >> 15 & 1 ? "level" : "edge",
              v >> 16 & 1 ? "masked" : "", v >> 12 & 1 ? "pending" : "");
}

/* ---- I/O APIC ---- */

static void print_pins_set(Hmp *h, const char *name, uint32_t pins)
{
    hmp_print(h, "  %-11s", name);
    for (unsigned i = 0; i < 32; i++) {
        if (pins >> i & 1) {
            hmp_print(h, " %u", i);
        }
    }
    hmp_print(h, "%s\n", pins ? "" : " (none)");
}

static void print_ioapic(void *arg, Device *d)
{
    Hmp *h = arg;
    if (strcmp(d->class->name, "ioapic") != 0) {
        return;
    }
    fetch_chip(d);
    unsigned version = row_value(d, "ver"), pins = (version >> 16 & 0xff) + 1;
    uint32_t remote = 0;
    hmp_print(h, "ioapic0: ver=0x%02x id=0x%02x sel=0x%02x\n", version & 0xff, row_value(d, "id") >> 24,
              row_value(d, "index"));
    for (unsigned i = 0; i < pins; i++) {
        uint64_t v = device_peek(d, "table", i);
        hmp_print(h, "  pin %-2u 0x%016" PRIx64 " dest=%-3u vec=%-3u ", i, v, (unsigned)(v >> 56), (unsigned)v & 0xff);
        print_pin(h, v);
        hmp_print(h, " %-6s %s\n", delivery(v >> 8 & 7), v >> 11 & 1 ? "logical" : "physical");
        remote |= (uint32_t)(v >> 14 & 1) << i;
    }
    print_pins_set(h, "Lines high", row_value(d, "lines"));
    print_pins_set(h, "Remote IRR", remote);
}

void hmp_info_pic(Hmp *h, const HmpArgs *a)
{
    device_foreach(each_pic, &(Pics){h, 0, print_pic});
    device_foreach(print_ioapic, h);
}

static void print_irq_lines(Hmp *h, const Device *d, unsigned index)
{
    unsigned lines = row_value(d, "lines"), isr = row_value(d, "isr"), imr = row_value(d, "imr");
    hmp_print(h, "IRQ lines of isa-i8259 %u:\n", index);
    for (unsigned i = 0; i < 8; i++) {
        hmp_print(h, "%2u: %s%s%s\n", index * 8 + i, lines >> i & 1 ? "high" : "low",
                  isr >> i & 1 ? ", in service" : "", imr >> i & 1 ? ", masked" : "");
    }
}

void hmp_info_irq(Hmp *h, const HmpArgs *a)
{
    device_foreach(each_pic, &(Pics){h, 0, print_irq_lines});
}

/* ---- Local APIC ---- */

static void print_lvt(Hmp *h, const Device *d, const char *title, const char *row)
{
    static const char *const timer_modes[] = {"one-shot", "periodic", "deadline", "(3)"};
    uint32_t v = row_value(d, row);
    bool timer = !strcmp(row, "lvt_timer");
    hmp_print(h, "%-7s 0x%08x ", title, v);
    print_pin(h, v);
    hmp_print(h, " %-8s %s (vec %u)\n", timer ? timer_modes[v >> 17 & 3] : "", timer ? "fixed" : delivery(v >> 8 & 7), v & 0xff);
}

/* Vectors of a 256-bit register; those of `level` with a mark. */
static void print_vectors(Hmp *h, const Device *d, const char *title, const char *row, const char *level)
{
    bool any = false;
    hmp_print(h, "%-7s", title);
    for (unsigned i = 0; i < 256; i++) {
        if (device_peek(d, row, i / 32) >> i % 32 & 1) {
            hmp_print(h, " %u%s", i, level && device_peek(d, level, i / 32) >> i % 32 & 1 ? "(level)" : "");
            any = true;
        }
    }
    hmp_print(h, any ? "\n" : " (none)\n");
}

static void print_icr(Hmp *h, const Device *d)
{
    static const char *const shorthands[] = {"", "self", "all", "all-but-self"};
    uint32_t v = row_value(d, "icr"), high = row_value(d, "icr_high");
    hmp_print(h, "ICR     0x%08x %s %s %s %s %s (vec %u)", v, v >> 11 & 1 ? "logical" : "physical",
              v >> 15 & 1 ? "level" : "edge", v >> 14 & 1 ? "assert" : "de-assert", delivery(v >> 8 & 7),
              shorthands[v >> 18 & 3], v & 0xff);
    hmp_print(h, "\nICR2    0x%08x", high);
    if (!(v >> 18 & 3)) {
        hmp_print(h, " to %s %u", v >> 11 & 1 ? "logical" : "cpu", high >> 24);
    }
    hmp_print(h, "\n");
}

void hmp_info_lapic(Hmp *h, const HmpArgs *a)
{
    const Cpu *chosen = cpu_by_index((unsigned)MAX(h->cpu, 0));
    Cpu *c = cpu_by_apic_id((uint32_t)hmp_number(a, "apic-id", chosen ? chosen->apic_id : 0));
    if (!c || !c->apic) {
        hmp_print(h, "No local APIC available\n");
        return;
    }
    cpu_sync(c);
    fetch_chip(c->apic);
    const Device *d = c->apic;
    uint32_t svr = row_value(d, "svr"), dcr = row_value(d, "dcr");
    unsigned divide = ((dcr >> 1 & 4) | (dcr & 3)) + 1;
    uint64_t base = device_peek(d, "base", 0);
    hmp_print(h, "dumping local APIC state for CPU %u\n\n", c->index);
    print_lvt(h, d, "LVT0", "lvt_lint0");
    print_lvt(h, d, "LVT1", "lvt_lint1");
    print_lvt(h, d, "LVTPC", "lvt_perf");
    print_lvt(h, d, "LVTERR", "lvt_error");
    print_lvt(h, d, "LVTTHMR", "lvt_thermal");
    print_lvt(h, d, "LVTT", "lvt_timer");
    hmp_print(h, "Timer   DCR=0x%x (divide by %u) initial_count = %u current_count = %u\n", dcr,
              divide == 8 ? 1 : 1u << divide, row_value(d, "icr_count"), row_value(d, "ccr"));
    hmp_print(h, "SPIV    0x%08x APIC %s, focus=%s, spurious vec %u\n", svr, svr >> 8 & 1 ? "enabled" : "disabled",
              svr >> 9 & 1 ? "off" : "on", svr & 0xff);
    hmp_print(h, "BASE    0x%016" PRIx64 " %s%s\n", base,
              !(base >> 11 & 1) ? "off" : base >> 10 & 1 ? "x2APIC" : "xAPIC", base >> 8 & 1 ? ", BSP" : "");
    print_icr(h, d);
    hmp_print(h, "ESR     0x%08x\n", row_value(d, "esr"));
    print_vectors(h, d, "ISR", "isr", NULL);
    print_vectors(h, d, "IRR", "irr", "tmr");
    hmp_print(h, "\nAPR 0x%02x TPR 0x%02x DFR 0x%02x LDR 0x%02x PPR 0x%02x\n", row_value(d, "apr"), row_value(d, "tpr"),
              row_value(d, "dfr") >> 28, row_value(d, "ldr") >> 24, row_value(d, "ppr"));
}
