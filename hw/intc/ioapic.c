/* Intel 82093AA I/O advanced programmable interrupt controller, and the later version 20h with its
 * EOI register.
 *
 * After the 82093AA data sheet (1996) and the ICH9 data sheet §13.5 (EOIR).  Messages have the form
 * of an MSI: SDM vol 3 §11.11.  An edge on a masked pin is lost, as the data sheet says under
 * "Interrupt Mask". */
#include "hw/intc/ioapic.h"

#include "core/log.h"
#include "hw/platform.h"

enum { SPACE_INDEXED = 1, ID_AT = 0, VERSION_AT = 4, ARBITRATION_AT = 8, TABLE_AT = 0x40 };
enum { /* redirection entry, low half */
       RTE_LOGICAL = 1 << 11,
       RTE_REMOTE_IRR = 1 << 14,
       RTE_LEVEL = 1 << 15,
       RTE_MASKED = 1 << 16,
       RTE_VECTOR = 0xff,
       RTE_MODE_SHIFT = 8,
       RTE_MODE = 7 << RTE_MODE_SHIFT,
};
enum { MODE_LOWEST = 1, MODE_SMI = 2, MODE_NMI = 4, MODE_INIT = 5, MODE_EXTINT = 7 };
/* Bits 55:49 are destination bits 14:8 where messages have them, too (hw/intc/apic-bus.c). */
#define RTE_WRITABLE UINT64_C(0xfffe00000001afff)
enum { VERSION_EOI = 0x20 };
#define MESSAGE_BASE UINT64_C(0xfee00000)

typedef struct Ioapic {
    Device dev;
    uint8_t version;
    uint8_t index;
    uint32_t id;
    uint64_t table[IOAPIC_PINS];
    uint32_t lines;               /* levels of the pins */
    uint32_t due;                 /* edges between their arrival and the next update */
    uint64_t routed[IOAPIC_PINS]; /* what the accelerator knows of each entry */
    Msi msi;
} Ioapic;

static uint64_t message_address(uint64_t rte)
{
    bool lowest = (rte & RTE_MODE) >> RTE_MODE_SHIFT == MODE_LOWEST;
    return MESSAGE_BASE | (rte >> 56) << 12 | (rte >> 49 & 0x7f) << 5 | (lowest ? 8 : 0) | (rte & RTE_LOGICAL ? 4 : 0);
}

static uint32_t message_data(uint64_t rte)
{
    return (rte & RTE_VECTOR) | (rte & RTE_MODE) | 1 << 14 | (rte & RTE_LEVEL ? 1 << 15 : 0);
}

/* These modes are edges whatever the trigger bit says (data sheet, "Delivery Mode"). */
static bool is_level(uint64_t rte)
{
    unsigned mode = (rte & RTE_MODE) >> RTE_MODE_SHIFT;
    return rte & RTE_LEVEL && mode != MODE_SMI && mode != MODE_NMI && mode != MODE_INIT &&
           mode != MODE_EXTINT;
}

/* Tell an accelerator that needs to know before an interrupt comes (kernel-irqchip=split). */
static void publish_routes(Ioapic *s)
{
    for (unsigned i = 0; i < IOAPIC_PINS && platform.set_route; i++) {
        uint64_t rte = s->table[i] & ~(uint64_t)RTE_REMOTE_IRR;
        if (s->routed[i] != ~rte) { /* inverted, so that 0 is "nothing told yet" */
            s->routed[i] = ~rte;
            platform.set_route(i, message_address(rte), message_data(rte), rte & RTE_MASKED);
        }
    }
}

static void send(Ioapic *s, uint64_t address, uint32_t data)
{
    if (s->msi.send) {
        msi_send(&s->msi, address, data);
    } else if (platform.send_msi) {
        platform.send_msi(address, data);
    }
}

static void ioapic_update(void *dev)
{
    Ioapic *s = dev;

    if (platform.irqchip == IRQCHIP_ON) { /* the kernel's is at work, this is a copy */
        return;
    }
    publish_routes(s);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        uint64_t rte = s->table[i];
        bool level = is_level(rte);
        if (rte & RTE_MASKED ||
            !(level ? s->lines >> i & 1 && !(rte & RTE_REMOTE_IRR) : s->due >> i & 1)) {
            continue;
        }
        if (level) {
            s->table[i] |= RTE_REMOTE_IRR;
        }
        s->due &= ~(UINT32_C(1) << i);
        uint32_t data = message_data(rte);
        send(s, message_address(rte), level ? data : data & ~(UINT32_C(1) << 15));
    }
    s->due = 0;
}

static void ioapic_input(void *dev, unsigned line, bool level)
{
    Ioapic *s = dev;
    uint32_t bit = UINT32_C(1) << line;

    TRACE(ioapic_line, "pin %u %s", line, level ? "high" : "low");
    if (level && !(s->lines & bit) && !is_level(s->table[line])) {
        s->due |= bit;
    }
    s->lines = level ? s->lines | bit : s->lines & ~bit;
}

static void end(Ioapic *s, uint8_t vector)
{
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        if ((s->table[i] & RTE_VECTOR) == vector && is_level(s->table[i])) {
            s->table[i] &= ~(uint64_t)RTE_REMOTE_IRR;
        }
    }
}

void ioapic_eoi(Device *ioapic, uint8_t vector)
{
    end((Ioapic *)ioapic, vector);
    device_settle(ioapic);
}

void ioapic_connect(Device *ioapic, void (*send)(void *sink, uint64_t address, uint32_t data),
                    void *sink)
{
    ((Ioapic *)ioapic)->msi = (Msi){send, sink};
}

void ioapic_print(const Device *ioapic, GString *out)
{
    static const char *const modes[] = {"fixed", "lowest", "SMI", "...",
                                        "NMI",   "INIT",   "...", "ExtINT"};
    const Ioapic *s = (const Ioapic *)ioapic;

    g_string_append_printf(out, "ioapic0: ver=0x%x id=0x%02x sel=0x%02x\n", s->version,
                           s->id >> 24 & 15, s->index);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        uint64_t e = s->table[i];
        g_string_append_printf(
            out, "  pin %-2u 0x%016" G_GINT64_MODIFIER "x dest=%x vec=%u %s %s%s%s %s%s\n", i, e,
            (unsigned)(e >> 56), (unsigned)(e & RTE_VECTOR),
            modes[(e & RTE_MODE) >> RTE_MODE_SHIFT], e & RTE_LEVEL ? "level" : "edge",
            e & RTE_MASKED ? " masked" : "", e & RTE_REMOTE_IRR ? " remote-irr" : "",
            e & RTE_LOGICAL ? "logical" : "physical", s->lines >> i & 1 ? " asserted" : "");
    }
}

/* ---- Registers ---- */

static uint64_t version_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const Ioapic *)dev)->version | (IOAPIC_PINS - 1) << 16;
}

/* The arbitration ID takes the ID when that is written (data sheet §3.2.3). */
static uint64_t arbitration_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const Ioapic *)dev)->id;
}

/* Software clears a stuck remote IRR by making the pin edge-triggered for a moment. */
static void table_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ioapic *s = dev;
    if (!is_level(s->table[i])) {
        s->table[i] &= ~(uint64_t)RTE_REMOTE_IRR;
    }
}

static void eoi_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ioapic *s = dev;
    if (s->version >= VERSION_EOI) {
        end(s, value);
    }
}

// clang-format off
static const Row rows[] = {
    PROP(Ioapic, version, "0x20", "Version: 0x20, or 0x11 without the EOI register"),
    REG(Ioapic, index, 0, .rw = 0xff, .doc = "IOREGSEL"),
    WINDOW(Ioapic, iowin, 4, 0x10, SPACE_INDEXED, index, .unit = 4, .doc = "IOWIN"),
    CALC(eoir, 4, 0x40, .wo = true, .on_write = eoi_write, .doc = "EOI of a vector (version 0x20)"),
    REG(Ioapic, id, ID_AT, .space = SPACE_INDEXED, .rw = 0x0f000000, .doc = "IOAPICID"),
    CALC(ver, 4, VERSION_AT, .space = SPACE_INDEXED, .ro = true, .get = version_get, .doc = "IOAPICVER"),
    CALC(arb, 4, ARBITRATION_AT, .space = SPACE_INDEXED, .ro = true, .get = arbitration_get, .doc = "IOAPICARB"),
    REGS(Ioapic, table, TABLE_AT, .space = SPACE_INDEXED, .rw = RTE_WRITABLE, .reset = RTE_MASKED,
         .on_write = table_write, .doc = "IOREDTBL: redirection table"),
    STATE(Ioapic, lines, .keep = true, .max = 0xffffff, .doc = "INTIN0..23: whoever is wired drives them"),
    DERIVED(Ioapic, due),
    DERIVED(Ioapic, routed),
    {.kind = ROW_MSI, ROW_FIELD(Ioapic, msi), .doc = "Interrupt messages"},
    END
};
// clang-format on

static bool ioapic_realize(void *dev, GError **error)
{
    Ioapic *s = dev;
    if (s->version != 0x11 && s->version != VERSION_EOI) {
        return error_fail(error, "ioapic: version=0x%x is unknown, use 0x11 or 0x20", s->version);
    }
    return true;
}

const DeviceClass ioapic_class = {
    .name = "ioapic",
    .doc = "I/O interrupt controller",
    .category = "misc",
    .internal = true,
    .open = 1,
    .size = sizeof(Ioapic),
    .rows = rows,
    .realize = ioapic_realize,
    .inputs = IOAPIC_PINS,
    .input = ioapic_input,
    .update = ioapic_update,
};
