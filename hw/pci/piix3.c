/* Intel 82371SB ("PIIX3"), function 0 (data sheet 290550-002, §2.2).
 *
 * Registers of the X-bus and of power management keep what the firmware writes; the chips that they
 * decode for are devices of their own on the ISA bus. */
#include "hw/pci/piix3.h"

#include "core/runstate.h"
#include "hw/pci/internal.h"

enum { PIRQS = 4, SPACE_RCR = 1, RCR_PORT = 0xcf9 };

typedef struct Piix3 {
    PciDevice pci;
    uint8_t iort, pirqrc[PIRQS], tom, mbirq, mbdma[2], apicbase, dlc, rcr;
    uint16_t xbcs, mstat, pcsc;
    uint8_t smicntl, ftmr, ctltmr, cthtmr;
    uint16_t smien, smireq;
    uint32_t see;
    Irq irq[ISA_IRQS];
    IsaBus *isa;
} Piix3;

/* §2.5.6: a rising RCPU resets, with SRST the whole system; either way the board starts anew. */
static void rcr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    if (value & ~old & 0x04) {
        machine_request_reset(CAUSE_GUEST_RESET);
    }
}

#define CFG .space = SPACE_PCI_CONFIG
// clang-format off
static const Row piix3_rows[] = {
    REG(Piix3, iort, 0x4c, CFG, .rw = 0x7f, .reset = 0x4d, .doc = "ISA I/O recovery timer"),
    REG(Piix3, xbcs, 0x4e, CFG, .rw = 0x07ff, .reset = 0x0003, .doc = "X-bus chip select"),
    REGS(Piix3, pirqrc, 0x60, CFG, .rw = 0x8f, .reset = 0x80, .doc = "Route of PIRQA# to PIRQD#"),
    REG(Piix3, tom, 0x69, CFG, .rw = 0xfe, .reset = 0x02, .doc = "Top of memory"),
    REG(Piix3, mstat, 0x6a, CFG, .rw = 0x8080, .doc = "Miscellaneous status"),
    REG(Piix3, mbirq, 0x70, CFG, .rw = 0xef, .reset = 0x80, .doc = "Motherboard device IRQ route"),
    REGS(Piix3, mbdma, 0x76, CFG, .rw = 0x8f, .reset = 0x0c, .doc = "Motherboard device DMA"),
    REG(Piix3, pcsc, 0x78, CFG, .rw = 0xfffe, .reset = 0x0002, .doc = "Programmable chip select"),
    REG(Piix3, apicbase, 0x80, CFG, .rw = 0x7f, .doc = "APIC base address relocation"),
    REG(Piix3, dlc, 0x82, CFG, .rw = 0x0f, .doc = "Deterministic latency control"),
    REG(Piix3, smicntl, 0xa0, CFG, .rw = 0x1f, .reset = 0x08, .doc = "SMI control"),
    REG(Piix3, smien, 0xa2, CFG, .rw = 0x01ff, .doc = "SMI enable"),
    REG(Piix3, see, 0xa4, CFG, .rw = 0xe000fffb, .doc = "System event enable"),
    REG(Piix3, ftmr, 0xa8, CFG, .rw = 0xff, .reset = 0x0f, .doc = "Fast off timer"),
    REG(Piix3, smireq, 0xaa, CFG, .rw = 0x01ff, .doc = "SMI request"),
    REG(Piix3, ctltmr, 0xac, CFG, .rw = 0xff, .doc = "Clock throttle low timer"),
    REG(Piix3, cthtmr, 0xae, CFG, .rw = 0xff, .doc = "Clock throttle high timer"),
    REG(Piix3, rcr, 0, .space = SPACE_RCR, .rw = 0x06, .on_write = rcr_write, .doc = "Reset control (port CF9h)",
        .bits = "- SRST RCPU"),
    PINS(Piix3, irq, "ISA interrupt lines that PCI interrupts are routed to"),
    END
};
// clang-format on

static uint64_t rcr_port_read(void *opaque, uint64_t at, unsigned size)
{
    return device_read(opaque, SPACE_RCR, 0, 1);
}

static void rcr_port_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    device_write(opaque, SPACE_RCR, 0, 1, value);
}

/* The board wires INTA# of slot n to PIRQ n - 1, the other pins to those that follow. */
static unsigned piix3_map_irq(void *opaque, uint8_t devfn, unsigned pin)
{
    return (PCI_SLOT(devfn) - 1 + pin) & 3;
}

static void piix3_set_irq(void *opaque, unsigned line, bool level)
{
    device_settle(opaque);
}

static bool piix3_realize(void *dev, GError **error)
{
    static const IoOps rcr_ops = {rcr_port_read, rcr_port_write, 1, 1};
    Piix3 *s = dev;
    PciBus *bus = s->pci.bus;
    if (!bus) {
        return true;
    }
    s->isa = isa_bus_new(&s->pci.dev, pci_bus_io(bus), pci_bus_mem(bus));
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        isa_irq_from(s->isa, &s->irq[i], i);
    }
    pci_bus_set_router(bus, piix3_map_irq, piix3_set_irq, s);
    pci_bus_claim_port(bus, RCR_PORT, &rcr_ops, s);
    return true;
}

static void piix3_unrealize(void *dev)
{
    Piix3 *s = dev;
    if (s->isa) {
        pci_bus_claim_port(s->pci.bus, RCR_PORT, NULL, NULL);
        pci_bus_set_router(s->pci.bus, NULL, NULL, NULL);
        for (unsigned i = 0; i < ISA_IRQS; i++) {
            s->irq[i].set = NULL;
        }
        isa_bus_free(g_steal_pointer(&s->isa));
    }
}

/* §2.2.10: bit 7 disconnects; IRQ 0, 1, 2, 8 and 13 belong to the board. */
static unsigned routed_to(const Piix3 *s, unsigned pirq)
{
    enum { ALLOWED = 0xdef8 };
    unsigned irq = s->pirqrc[pirq] & 0x0f;
    return !(s->pirqrc[pirq] & 0x80) && (ALLOWED >> irq & 1) ? irq : ISA_IRQS;
}

static void piix3_update(void *dev)
{
    Piix3 *s = dev;
    unsigned high = 0;
    for (unsigned i = 0; s->pci.bus && i < PIRQS; i++) {
        if (pci_bus_line_level(s->pci.bus, i)) {
            high |= 1u << routed_to(s, i);
        }
    }
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        irq_set(&s->irq[i], high >> i & 1);
    }
}

const DeviceClass piix3_class = {
    .name = "PIIX3",
    .doc = "PIIX3 PCI-to-ISA bridge",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "bridge",
    .internal = true,
    .size = sizeof(Piix3),
    .rows = piix3_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x7000,
            .class_code = 0x060100,
            .command_rw = 1 << 3,
            .command_fixed = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
            .command_reset = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
            .status_reset = 0x0280,
        },
    .realize = piix3_realize,
    .unrealize = piix3_unrealize,
    .update = piix3_update,
};

IsaBus *piix3_isa(Device *piix3)
{
    return ((Piix3 *)piix3)->isa;
}
