/* Intel ICH9 LPC interface bridge, function 31.0 (data sheet 316972-004, chapters 10 and 13).
 *
 * Decode ranges, GPIO and the device disable register keep what the firmware writes; the chips they
 * are about are devices of their own, at the places where a PC has them. */
#include "hw/isa/ich9-lpc.h"

#include "core/runstate.h"
#include "hw/isa/ich9-tco.h"
#include "hw/pci/acpi-pm.h"
#include "hw/pci/internal.h"

enum { SPACE_PM, SPACE_RCBA, SPACE_APM, SPACE_RST };
enum { PM_SIZE = 0x80, TCO_AT = 0x60, RCBA_SIZE = 0x4000, RST_PORT = 0xcf9 };
enum { GSIS = 24, PCI_GSI = 16, FIRST_INTERNAL = 25, PCI_BRIDGE_SLOT = 30 };
enum { SMI_LOCK = 1 << 4, NO_REBOOT = 1 << 5, SCI_SELECT = 7 };
enum { GBL_SMI_EN = 1 << 0, APMC_EN = 1 << 5, TCO_EN = 1 << 13 };
enum { APM_STS = 1 << 5, TCO_STS = 1 << 13, SMI_EN_BITS = 0x7e07f };

typedef struct Ich9Lpc {
    PciDevice pci;
    AcpiPm pm;
    Tco tco;
    bool smm_enabled, noreboot, acpi_hotplug; /* properties */
    /* configuration */
    uint32_t pmbase, gpiobase, gen_dec[4], rcba, bde;
    uint8_t acpi_cntl, gc, pirq[4], sirq, pirq_high[4], bios_cntl;
    uint16_t ibdf, io_dec, lpc_en, pmcon1;
    uint8_t pmcon2, pmcon3;
    /* ports */
    uint8_t gpe_sts[8], gpe_en[8], apmc, apms, rst;
    uint32_t smi_en, smi_sts, smi_en_mask;
    uint16_t alt_smi_en, alt_smi_sts, devact;
    uint8_t uprwc;
    bool smi_due; /* a write to APMC asks for one SMI */
    /* root complex registers */
    uint16_t route[5], d26ir, d25ir; /* D31IR down to D25IR: a nibble for each pin */
    uint16_t oic;
    uint32_t gcs, hptc, fd;
    Irq irq[ISA_IRQS], gsi[ICH9_PIRQS], smi;
    IsaBus *isa;
    Region *pm_io, *rcba_mem;
    uint32_t pm_at, rcba_at;
} Ich9Lpc;

/* ---- Reset control (§13.7.5): a rising RST_CPU resets, with SYS_RST the whole system ---- */

static void rst_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    if (value & ~old & 0x04) {
        machine_request_reset(CAUSE_GUEST_RESET);
    }
}

/* ---- SMI (§13.8.3.13): APMC is the port through which software calls the firmware ---- */

static void apmc_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ich9Lpc *s = dev;
    if (value == ICH9_ACPI_ENABLE || value == ICH9_ACPI_DISABLE) {
        acpi_pm_enable(&s->pm, value == ICH9_ACPI_ENABLE);
    }
    if (s->smi_en & APMC_EN) {
        s->smi_sts |= APM_STS;
        s->smi_due = true;
    }
}

static void update_smi(Ich9Lpc *s)
{
    bool due = s->smi_due;
    if (s->tco.smi_due && (s->smi_en & TCO_EN)) {
        s->smi_sts |= TCO_STS;
        due = true;
    }
    s->tco.smi_due = s->smi_due = false;
    if (due && s->smm_enabled && (s->smi_en & GBL_SMI_EN)) {
        irq_set(&s->smi, true);
    }
    irq_set(&s->smi, false);
}

static void set_gpe(Device *lpc, unsigned bit)
{
    Ich9Lpc *s = (Ich9Lpc *)lpc;
    g_assert(bit < 64);
    s->gpe_sts[bit / 8] |= (uint8_t)(1u << bit % 8);
    device_settle(lpc);
}

static bool gpe_asks(const Ich9Lpc *s)
{
    unsigned asking = 0;
    for (unsigned i = 0; i < sizeof s->gpe_sts; i++) {
        asking |= s->gpe_sts[i] & s->gpe_en[i];
    }
    return asking;
}

/* ---- Interrupts (§5.8.2, §10.1.14 and on) ----
 *
 * Lines of the root bus: 0..3 for what lies in slots that the board wires, each slot by one further,
 * to PIRQE# to PIRQH#; behind them four for each of the chipset's own slots, 25 to 31. */

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin)
{
    unsigned slot = PCI_SLOT(devfn);
    return slot < FIRST_INTERNAL ? (slot + pin) & 3 : 4 + 4 * (slot - FIRST_INTERNAL) + (pin & 3);
}

static void line_changed(void *opaque, unsigned line, bool level)
{
    device_settle(opaque);
}

static unsigned pirq_of(const Ich9Lpc *s, unsigned line)
{
    unsigned slot = FIRST_INTERNAL + (line - 4) / 4, pin = (line - 4) % 4;
    if (line < 4) {
        return 4 + line;
    }
    if (slot == PCI_BRIDGE_SLOT) {
        return 4 + pin;
    }
    uint16_t route = slot == 25 ? s->d25ir : slot == 26 ? s->d26ir : s->route[31 - slot];
    return route >> 4 * pin & 7;
}

/* Each PIRQ has an input of the I/O APIC, and may have one of the 8259s. */
static uint32_t pirq_gsis(const Ich9Lpc *s, unsigned pirq)
{
    enum { DISCONNECTED = 0x80, ALLOWED = 0xdef8 }; /* IRQ 0, 1, 2, 8 and 13 belong to the board */
    uint8_t route = pirq < 4 ? s->pirq[pirq] : s->pirq_high[pirq - 4];
    unsigned irq = route & 0x0f;
    uint32_t gsis = UINT32_C(1) << (PCI_GSI + pirq);
    return !(route & DISCONNECTED) && (ALLOWED >> irq & 1) ? gsis | UINT32_C(1) << irq : gsis;
}

static unsigned sci_gsi(const Ich9Lpc *s)
{
    static const uint8_t gsi[] = {9, 10, 11, 9, 20, 21, 22, 23};
    return gsi[s->acpi_cntl & SCI_SELECT];
}

static void update_lines(Ich9Lpc *s)
{
    uint32_t high = 0;
    for (unsigned line = 0; s->pci.bus && line < PCI_LINES; line++) {
        if (pci_bus_line_level(s->pci.bus, line)) {
            high |= pirq_gsis(s, pirq_of(s, line));
        }
    }
    if (acpi_pm_sci(&s->pm, gpe_asks(s))) {
        high |= UINT32_C(1) << sci_gsi(s);
    }
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        irq_set(&s->irq[i], high >> i & 1);
    }
    for (unsigned i = 0; i < ICH9_PIRQS; i++) {
        irq_set(&s->gsi[i], high >> (PCI_GSI + i) & 1);
    }
}

/* ---- Registers ---- */

/* The strap that keeps the watchdog from resetting wins over what software wants (§10.1.75). */
static void gcs_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ich9Lpc *s = dev;
    s->gcs |= s->noreboot ? NO_REBOOT : 0;
}

#define CFG  .space = SPACE_PCI_CONFIG
#define ROOT .space = SPACE_RCBA
// clang-format off
static const Row lpc_rows[] = {
    PROP_AS(Ich9Lpc, smm_enabled, "smm-enabled", "off", "Software may raise SMIs through port B2h"),
    PROP(Ich9Lpc, noreboot, "on", "The TCO watchdog's second expiry does not reset"),
    PROP_AS(Ich9Lpc, acpi_hotplug, "acpi-pci-hotplug-with-bridge-support", "off", "Only off: slots are hot-plugged by their ports"),
    ACPI_PM(Ich9Lpc, pm, SPACE_PM),
    PART(Ich9Lpc, tco, tco_class, .space = SPACE_PM, .at = TCO_AT),
    /* In the chip these two lose their values in S3.  SeaBIOS sets them again when it resumes, but through the host bridge's
     * configuration window, which is closed by then. */
    REG(Ich9Lpc, pmbase, ICH9_PMBASE, CFG, .rw = 0xff80, .reset = 1, .keep = true, .doc = "Base of the ACPI registers"),
    REG(Ich9Lpc, acpi_cntl, 0x44, CFG, .rw = 0x87, .keep = true, .doc = "ACPI control", .bits = "SEL0 SEL1 SEL2 - - - - EN"),
    REG(Ich9Lpc, gpiobase, 0x48, CFG, .rw = 0xff80, .reset = 1, .doc = "Base of the GPIO registers"),
    REG(Ich9Lpc, gc, 0x4c, CFG, .rw = 0x11, .doc = "GPIO control"),
    REGS(Ich9Lpc, pirq, 0x60, CFG, .rw = 0x8f, .reset = 0x80, .doc = "Route of PIRQA# to PIRQD#"),
    REG(Ich9Lpc, sirq, 0x64, CFG, .rw = 0xc3, .reset = 0x10, .doc = "Serial IRQ control"),
    REGS(Ich9Lpc, pirq_high, 0x68, CFG, .rw = 0x8f, .reset = 0x80, .doc = "Route of PIRQE# to PIRQH#"),
    REG(Ich9Lpc, ibdf, 0x6c, CFG, .rw = 0xffff, .reset = 0x00f8, .doc = "I/O APIC's bus, device, function"),
    REG(Ich9Lpc, io_dec, 0x80, CFG, .rw = 0x1377, .doc = "LPC I/O decode ranges"),
    REG(Ich9Lpc, lpc_en, 0x82, CFG, .rw = 0x3f0f, .doc = "LPC enables"),
    REGS(Ich9Lpc, gen_dec, 0x84, CFG, .rw = 0x00fcfffd, .doc = "Generic decode ranges"),
    REG(Ich9Lpc, pmcon1, 0xa0, CFG, .rw = 0x06cf, .w1s = SMI_LOCK, .doc = "General power management 1",
        .bits = "PER0 PER1 - - SMI_LOCK"),
    REG(Ich9Lpc, pmcon2, 0xa2, CFG, .rw = 0x07, .doc = "General power management 2"),
    REG(Ich9Lpc, pmcon3, 0xa4, CFG, .rw = 0xff, .doc = "General power management 3"),
    REG(Ich9Lpc, bde, 0xd8, CFG, .rw = 0xffff, .reset = 0xffcf, .doc = "Firmware hub decode enable"),
    REG(Ich9Lpc, bios_cntl, 0xdc, CFG, .rw = 0x0f, .doc = "BIOS control"),
    REG(Ich9Lpc, rcba, 0xf0, CFG, .rw = 0xffffc001, .doc = "Base of the root complex registers"),
    REGS(Ich9Lpc, gpe_sts, ICH9_GPE_AT, .w1c = 0xff, .doc = "GPE0 status"),
    REGS(Ich9Lpc, gpe_en, ICH9_GPE_AT + 8, .rw = 0xff, .doc = "GPE0 enable"),
    REG(Ich9Lpc, smi_en, 0x30, MASK(Ich9Lpc, smi_en_mask), .doc = "SMI enable",
        .bits = "GBL_SMI EOS BIOS LEGACY_USB SLP APMC SWSMI_TMR BIOS_RLS - - - MCSMI - TCO PERIODIC"),
    REG(Ich9Lpc, smi_sts, 0x34, .w1c = 0x0fffe3fc, .doc = "SMI status"),
    REG(Ich9Lpc, alt_smi_en, 0x38, .rw = 0xffff, .doc = "Alternate GPI SMI enable"),
    REG(Ich9Lpc, alt_smi_sts, 0x3a, .w1c = 0xffff, .doc = "Alternate GPI SMI status"),
    REG(Ich9Lpc, uprwc, 0x3c, .rw = 0x03, .doc = "USB per-port registers write control"),
    REG(Ich9Lpc, devact, 0x44, .w1c = 0xffff, .doc = "Device activity status"),
    REG(Ich9Lpc, apmc, 0, .space = SPACE_APM, .rw = 0xff, .on_write = apmc_write, .doc = "APM control (port B2h)"),
    REG(Ich9Lpc, apms, 1, .space = SPACE_APM, .rw = 0xff, .doc = "APM status (port B3h)"),
    REG(Ich9Lpc, rst, 0, .space = SPACE_RST, .rw = 0x0e, .on_write = rst_write, .doc = "Reset control (port CF9h)",
        .bits = "- SYS_RST RST_CPU FULL_RST"),
    REGS(Ich9Lpc, route, 0x3140, ROOT, .rw = 0x7777, .reset = 0x3210, .doc = "D31IR to D27IR: PIRQs of these slots' pins"),
    REG(Ich9Lpc, d26ir, 0x314c, ROOT, .rw = 0x7777, .reset = 0x3210, .doc = "PIRQs of slot 26's pins"),
    REG(Ich9Lpc, d25ir, 0x3150, ROOT, .rw = 0x7777, .reset = 0x3210, .doc = "PIRQs of slot 25's pins"),
    REG(Ich9Lpc, oic, 0x31fe, ROOT, .rw = 0x0300, .reset = 0x0100, .doc = "Other interrupt control: I/O APIC enable"),
    REG(Ich9Lpc, hptc, 0x3404, ROOT, .rw = 0x83, .doc = "HPET configuration"),
    REG(Ich9Lpc, gcs, 0x3410, ROOT, .rw = 0x0e65, .reset = 0x0020, .on_write = gcs_write,
        .doc = "General control and status", .bits = "BILD - RPR - - NO_REBOOT"),
    REG(Ich9Lpc, fd, 0x3418, ROOT, .rw = 0x03ffffff, .doc = "Function disable"),
    DERIVED(Ich9Lpc, smi_due),
    DERIVED(Ich9Lpc, smi_en_mask),
    DERIVED(Ich9Lpc, pm_at),
    DERIVED(Ich9Lpc, rcba_at),
    PINS(Ich9Lpc, irq, "ISA interrupt lines that PCI interrupts and the SCI are routed to"),
    PINS(Ich9Lpc, gsi, "PIRQA# to PIRQH#: inputs 16 to 23 of the I/O APIC"),
    PIN(Ich9Lpc, smi, "A pulse is one SMI#"),
    END
};
// clang-format on

/* ---- Life ---- */

static uint64_t rst_port_read(void *opaque, uint64_t at, unsigned size)
{
    return device_read(opaque, SPACE_RST, 0, 1);
}

static void rst_port_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    device_write(opaque, SPACE_RST, 0, 1, value);
}

static bool lpc_realize(void *dev, GError **error)
{
    static const IoOps rst_ops = {rst_port_read, rst_port_write, 1, 1};
    Ich9Lpc *s = dev;
    PciBus *bus = s->pci.bus;
    if (s->acpi_hotplug) {
        return error_fail(error, "Property 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support' expects 'off': "
                                 "hot-plug on this board is that of PCI Express ports");
    }
    s->pm_io = device_region(dev, SPACE_PM, "ich9-pm", PM_SIZE);
    s->rcba_mem = device_region(dev, SPACE_RCBA, "lpc-rcrb-mmio", RCBA_SIZE);
    acpi_pm_init(&s->pm, set_gpe);
    if (!bus) {
        return true;
    }
    s->isa = isa_bus_new(dev, pci_bus_io(bus), pci_bus_mem(bus));
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        isa_irq_from(s->isa, &s->irq[i], i);
    }
    pci_bus_set_router(bus, map_irq, line_changed, s);
    pci_bus_claim_port(bus, RST_PORT, &rst_ops, s);
    region_map(pci_bus_io(bus), device_region(dev, SPACE_APM, "apm", 2), ICH9_SMI_CMD, 0);
    return true;
}

static void lpc_unrealize(void *dev)
{
    Ich9Lpc *s = dev;
    acpi_pm_exit(&s->pm);
    if (s->isa) {
        pci_bus_claim_port(s->pci.bus, RST_PORT, NULL, NULL);
        pci_bus_set_router(s->pci.bus, NULL, NULL, NULL);
        for (unsigned i = 0; i < ISA_IRQS; i++) {
            s->irq[i].set = NULL;
        }
        isa_bus_free(g_steal_pointer(&s->isa));
    }
}

static void lpc_reset(void *dev, bool power_on)
{
    Ich9Lpc *s = dev;
    if (!s->smm_enabled) {
        /* Firmware takes this as "somebody has set up SMM already" and leaves it alone. */
        s->smi_en |= APMC_EN;
    }
}

static void map_at(Region *parent, Region *r, uint32_t *at, uint32_t wanted)
{
    if (*at != wanted) {
        region_unmap(r);
        if (wanted) {
            region_map(parent, r, wanted, 1);
        }
        *at = wanted;
    }
}

static void lpc_update(void *dev)
{
    enum { ACPI_EN = 0x80, BASE_BITS = 0xff80 };
    Ich9Lpc *s = dev;
    if (s->pci.bus) {
        map_at(pci_bus_io(s->pci.bus), s->pm_io, &s->pm_at,
               s->acpi_cntl & ACPI_EN ? s->pmbase & BASE_BITS : 0);
        map_at(pci_bus_mem(s->pci.bus), s->rcba_mem, &s->rcba_at,
               s->rcba & 1 ? s->rcba & ~(RCBA_SIZE - 1u) : 0);
    }
    s->smi_en_mask = SMI_EN_BITS & ~(s->pmcon1 & SMI_LOCK ? (uint32_t)GBL_SMI_EN : 0);
    s->gcs |= s->noreboot ? NO_REBOOT : 0;
    s->tco.no_reboot = s->gcs & NO_REBOOT;
    update_smi(s);
    update_lines(s);
}

const DeviceClass ich9_lpc_class = {
    .name = "ICH9-LPC",
    .doc = "ICH9 LPC bridge",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "bridge",
    .internal = true,
    .size = sizeof(Ich9Lpc),
    .rows = lpc_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x2918,
            .revision = 2,
            .class_code = 0x060100,
            .command_rw = 1 << 3,
            .command_fixed = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
            .command_reset = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
            .status_reset = 0x0200,
        },
    .realize = lpc_realize,
    .unrealize = lpc_unrealize,
    .reset = lpc_reset,
    .update = lpc_update,
};

IsaBus *ich9_lpc_isa(Device *lpc)
{
    return ((Ich9Lpc *)lpc)->isa;
}
