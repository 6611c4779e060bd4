/* Intel 82371AB ("PIIX4"), function 3 (data sheet 290562-001, §7; ACPI 1.0b §4.7).
 *
 * The general-purpose events lie at the board's own ports, where its tables say, and not in the
 * chip's GPSTS. */
#include "hw/pci/piix4-pm.h"

#include "hw/pci/acpi-pcihp.h"
#include "hw/pci/acpi-pm.h"
#include "hw/pci/internal.h"

enum { SPACE_PM, SPACE_SMBUS, SPACE_GPE, SPACE_APM, SPACE_PCIHP };
enum { PM_SIZE = 64, SMBUS_SIZE = 16 };
enum { DEVACTB = 5, APMC_EN = 1 << 25 };
enum {
    SMB_DEV_ERR = 1 << 2,
    SMB_EVENTS = 0x1e,
    SMB_START = 1 << 6,
    SMB_INTEREN = 1,
    SMB_ENABLE = 1,
    SMB_IRQ9 = 4 << 1
};

typedef struct Piix4Pm {
    PciDevice pci;
    AcpiPm pm;
    AcpiPcihp pcihp;
    /* properties */
    bool smm_enabled, pci_hotplug, root_pci_hotplug, memory_hotplug;
    /* configuration */
    uint32_t pmba, devres[15], smbba;
    uint8_t pmregmisc, smbhstcfg, smbslvc, smbshdw[2];
    /* ACPI */
    uint16_t gpsts, gpen;
    uint32_t pcntrl, glben, glbctl, devctl, gporeg;
    uint16_t glbsts;
    uint32_t devsts;
    uint8_t gpe_sts[2], gpe_en[2];
    uint8_t apmc, apms;
    bool smi_due; /* a write to APMC asks for one SMI */
    /* SMBus */
    uint8_t hststs, slvsts, hstcnt, hstcmd, hstadd, hstdat[2], blkdat, slvcnt;
    uint16_t slvevt, slvdat;
    /* outputs */
    Irq sci, smi;
    Region *pm_io, *smbus_io;
    uint32_t pm_at, smbus_at; /* where they are mapped; 0: nowhere */
} Piix4Pm;

static void set_gpe(Device *pm, unsigned bit)
{
    Piix4Pm *s = (Piix4Pm *)pm;
    g_assert(bit < 16);
    s->gpe_sts[bit / 8] |= (uint8_t)(1u << bit % 8);
    device_settle(pm);
}

/* ---- APM: the port through which software calls the firmware's SMI handler (§7.3) ---- */

static void apmc_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Piix4Pm *s = dev;
    if (value == PIIX4_ACPI_ENABLE || value == PIIX4_ACPI_DISABLE) {
        acpi_pm_enable(&s->pm, value == PIIX4_ACPI_ENABLE);
    }
    s->smi_due = s->devres[DEVACTB] & APMC_EN;
}

/* ---- SMBus host (§7.3.1): nobody is on the bus, so that no address is acknowledged ---- */

static void hstcnt_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Piix4Pm *s = dev;
    if (value & SMB_START) {
        s->hstcnt &= (uint8_t)~SMB_START;
        s->hststs |= SMB_DEV_ERR;
    }
}

#define CFG .space = SPACE_PCI_CONFIG
#define SMB .space = SPACE_SMBUS
// clang-format off
static const Row piix4_pm_rows[] = {
    ACPI_PM(Piix4Pm, pm, SPACE_PM),
    ACPI_PCIHP(Piix4Pm, pcihp, SPACE_PCIHP),
    PROP_AS(Piix4Pm, smm_enabled, "smm-enabled", "off", "Software may raise SMIs through port B2h"),
    PROP_AS(Piix4Pm, pci_hotplug, "acpi-pci-hotplug-with-bridge-support", "on", "Hot-plug behind bridges by ACPI"),
    PROP_AS(Piix4Pm, root_pci_hotplug, "acpi-root-pci-hotplug", "on", "Hot-plug on the root bus by ACPI"),
    PROP_AS(Piix4Pm, memory_hotplug, "memory-hotplug-support", "on", "Memory hot-plug by ACPI"),
    REG(Piix4Pm, pmba, 0x40, CFG, .rw = 0xffc0, .reset = 1, .doc = "Base of the ACPI registers"),
    REGS(Piix4Pm, devres, 0x44, CFG, .rw = UINT32_MAX, .doc = "CNTA to DEVRESJ: device monitors and resources"),
    REG(Piix4Pm, pmregmisc, 0x80, CFG, .rw = 0x01, .doc = "PMREGMISC", .bits = "PMIOSE"),
    REG(Piix4Pm, smbba, 0x90, CFG, .rw = 0xfff0, .reset = 1, .doc = "Base of the SMBus registers"),
    REG(Piix4Pm, smbhstcfg, 0xd2, CFG, .rw = 0x0f, .doc = "SMBus host configuration", .bits = "HST_EN"),
    REG(Piix4Pm, smbslvc, 0xd3, CFG, .rw = 0xff, .doc = "SMBus slave command"),
    REGS(Piix4Pm, smbshdw, 0xd4, CFG, .rw = 0xff, .doc = "SMBus slave shadow ports"),
    REG(Piix4Pm, gpsts, 0x0c, .w1c = 0x0f81, .doc = "General-purpose status of the chip's own pins"),
    REG(Piix4Pm, gpen, 0x0e, .rw = 0x0f01, .doc = "General-purpose enable"),
    REG(Piix4Pm, pcntrl, 0x10, .rw = 0x3e1e, .doc = "Processor control"),
    REG(Piix4Pm, glbsts, 0x18, .w1c = 0x0e6d, .doc = "Global status"),
    REG(Piix4Pm, devsts, 0x1c, .w1c = 0x3fff00ff, .doc = "Device status"),
    REG(Piix4Pm, glben, 0x20, .rw = 0x01ff, .doc = "Global enable"),
    REG(Piix4Pm, glbctl, 0x28, .rw = 0x07ffff07, .doc = "Global control"),
    REG(Piix4Pm, devctl, 0x2c, .rw = 0x1fffffff, .doc = "Device control"),
    REG(Piix4Pm, gporeg, 0x34, .rw = 0x7fffffff, .reset = 0x7fffbfff, .doc = "General-purpose outputs"),
    REG(Piix4Pm, hststs, 0x00, SMB, .w1c = SMB_EVENTS, .doc = "SMBus host status", .bits = "BUSY INTER DEV_ERR BUS_ERR FAILED"),
    REG(Piix4Pm, slvsts, 0x01, SMB, .w1c = 0x3e, .doc = "SMBus slave status"),
    REG(Piix4Pm, hstcnt, 0x02, SMB, .rw = 0x1d, .w1s = SMB_START, .on_write = hstcnt_write, .doc = "SMBus host control"),
    REG(Piix4Pm, hstcmd, 0x03, SMB, .rw = 0xff, .doc = "SMBus host command"),
    REG(Piix4Pm, hstadd, 0x04, SMB, .rw = 0xff, .doc = "SMBus host address"),
    REGS(Piix4Pm, hstdat, 0x05, SMB, .rw = 0xff, .doc = "SMBus host data"),
    REG(Piix4Pm, blkdat, 0x07, SMB, .rw = 0xff, .doc = "SMBus block data"),
    REG(Piix4Pm, slvcnt, 0x08, SMB, .rw = 0x0f, .doc = "SMBus slave control"),
    REG(Piix4Pm, slvevt, 0x0a, SMB, .rw = 0xffff, .doc = "SMBus slave event"),
    REG(Piix4Pm, slvdat, 0x0c, SMB, .ro = true, .doc = "SMBus slave data"),
    REGS(Piix4Pm, gpe_sts, 0, .space = SPACE_GPE, .w1c = 0xff, .doc = "GPE0 status"),
    REGS(Piix4Pm, gpe_en, 2, .space = SPACE_GPE, .rw = 0xff, .doc = "GPE0 enable"),
    REG(Piix4Pm, apmc, 0, .space = SPACE_APM, .rw = 0xff, .on_write = apmc_write, .doc = "APM control (port B2h)"),
    REG(Piix4Pm, apms, 1, .space = SPACE_APM, .rw = 0xff, .doc = "APM status (port B3h)"),
    DERIVED(Piix4Pm, smi_due),
    DERIVED(Piix4Pm, pm_at),
    DERIVED(Piix4Pm, smbus_at),
    PIN(Piix4Pm, sci, "System control interrupt: the board's IRQ 9"),
    PIN(Piix4Pm, smi, "A pulse is one SMI#"),
    END
};
// clang-format on

static bool piix4_pm_realize(void *dev, GError **error)
{
    Piix4Pm *s = dev;
    s->pm_io = device_region(dev, SPACE_PM, "piix4-pm", PM_SIZE);
    s->smbus_io = device_region(dev, SPACE_SMBUS, "pm-smbus", SMBUS_SIZE);
    if (s->pci.bus) {
        Region *io = pci_bus_io(s->pci.bus);
        region_map(io, device_region(dev, SPACE_GPE, "acpi-gpe0", PIIX4_GPE_LEN), PIIX4_GPE_BASE,
                   0);
        region_map(io, device_region(dev, SPACE_APM, "apm", 2), PIIX4_SMI_CMD, 0);
    }
    if (s->pci.bus && (s->pci_hotplug || s->root_pci_hotplug)) {
        region_map(pci_bus_io(s->pci.bus),
                   device_region(dev, SPACE_PCIHP, "acpi-pci-hotplug", PCIHP_SIZE),
                   PIIX4_PCIHP_BASE, 0);
        acpi_pcihp_init(&s->pcihp, s->pci.bus, s->root_pci_hotplug, s->pci_hotplug);
    }
    acpi_pm_init(&s->pm, set_gpe);
    return true;
}

static void piix4_pm_unrealize(void *dev)
{
    Piix4Pm *s = dev;
    acpi_pm_exit(&s->pm);
    acpi_pcihp_exit(&s->pcihp);
}

static void piix4_pm_reset(void *dev, bool power_on)
{
    Piix4Pm *s = dev;
    if (!s->smm_enabled) {
        /* Firmware takes this as "somebody has set up SMM already" and leaves it alone. */
        s->devres[DEVACTB] |= APMC_EN;
    }
}

static void map_ports(Piix4Pm *s, Region *r, uint32_t *at, uint32_t wanted)
{
    if (*at != wanted) {
        region_unmap(r);
        if (wanted) {
            region_map(pci_bus_io(s->pci.bus), r, wanted, 1);
        }
        *at = wanted;
    }
}

static void piix4_pm_update(void *dev)
{
    Piix4Pm *s = dev;
    if (s->pci.bus) {
        map_ports(s, s->pm_io, &s->pm_at, s->pmregmisc & 1 ? s->pmba & 0xffc0 : 0);
        map_ports(s, s->smbus_io, &s->smbus_at, s->smbhstcfg & SMB_ENABLE ? s->smbba & 0xfff0 : 0);
    }
    bool gpe = (s->gpe_sts[0] & s->gpe_en[0]) | (s->gpe_sts[1] & s->gpe_en[1]);
    bool smbus =
        (s->smbhstcfg & 0x0e) == SMB_IRQ9 && (s->hstcnt & SMB_INTEREN) && (s->hststs & SMB_EVENTS);
    irq_set(&s->sci, acpi_pm_sci(&s->pm, gpe) || smbus);
    if (s->smi_due && s->smm_enabled) {
        irq_set(&s->smi, true);
    }
    irq_set(&s->smi, false);
    s->smi_due = false;
}

const DeviceClass piix4_pm_class = {
    .name = "PIIX4_PM",
    .doc = "PIIX4 power management",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "bridge",
    .internal = true,
    .size = sizeof(Piix4Pm),
    .rows = piix4_pm_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x7113,
            .revision = 3,
            .class_code = 0x068000,
            .interrupt_pin = 1,
            .status_reset = 0x0280,
        },
    .realize = piix4_pm_realize,
    .unrealize = piix4_pm_unrealize,
    .reset = piix4_pm_reset,
    .update = piix4_pm_update,
};
