/* Intel 82371AB ("PIIX4"), function 3 (data sheet 290562-001, §7; ACPI 1.0b §4.7).
 *
 * The general-purpose events lie at the board's own ports, where its tables say, and not in the
 * chip's GPSTS. */
#include "hw/pci/piix4-pm.h"

#include "core/runstate.h"
#include "hw/pci/internal.h"

enum { SPACE_PM, SPACE_SMBUS, SPACE_GPE, SPACE_APM };
enum { PM_SIZE = 64, SMBUS_SIZE = 16 };
enum { /* PM1 status and enable */
       TMR_STS = 1 << 0,
       GBL_STS = 1 << 5,
       PWRBTN_STS = 1 << 8,
       RTC_STS = 1 << 10,
       WAK_STS = 1 << 15,
       PM1_EVENTS = TMR_STS | GBL_STS | PWRBTN_STS | RTC_STS
};
enum { SCI_EN = 1 << 0, SLP_TYP_SHIFT = 10, SLP_EN = 1 << 13 };
enum { SLEEP_S5 = 0, SLEEP_S3 = 1 }; /* SLP_TYP as the board's tables have it; S4 is a property */
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
    /* properties */
    uint8_t disable_s3, disable_s4, s4_val;
    bool smm_enabled, pci_hotplug, root_pci_hotplug, memory_hotplug;
    /* configuration */
    uint32_t pmba, devres[15], smbba;
    uint8_t pmregmisc, smbhstcfg, smbslvc, smbshdw[2];
    /* ACPI */
    uint16_t sts, en, cnt;
    uint32_t tmr_half; /* how often the timer's top bit had turned when TMR_STS was cleared */
    uint16_t gpsts, gpen;
    uint32_t pcntrl, glben, glbctl, devctl, gporeg;
    uint16_t glbsts;
    uint32_t devsts;
    uint8_t gpe_sts[2], gpe_en[2];
    uint8_t apmc, apms;
    bool smi_due;   /* a write to APMC asks for one SMI                                  */
    bool suspended; /* in S3: the next reset is the way out of it                        */
    Timer overflow;
    /* SMBus */
    uint8_t hststs, slvsts, hstcnt, hstcmd, hstadd, hstdat[2], blkdat, slvcnt;
    uint16_t slvevt, slvdat;
    /* outputs */
    Irq sci, smi, s3;
    Region *pm_io, *smbus_io;
    uint32_t pm_at, smbus_at; /* where they are mapped; 0: nowhere */
} Piix4Pm;

/* ---- The timer: 3.579545 MHz, 24 bits (ACPI §4.7.3.3) ---- */

enum { PM_TIMER_HZ = 3579545, TMR_BITS = 24, HALF_SHIFT = TMR_BITS - 1 };

static uint64_t ticks(const Piix4Pm *s)
{
    return muldiv64((uint64_t)now(&s->pci.dev), PM_TIMER_HZ, NS_PER_SECOND);
}

static uint64_t tmr_get(const void *dev, unsigned arg, unsigned i)
{
    return ticks(dev) & ((1u << TMR_BITS) - 1);
}

/* TMR_STS is set whenever the top bit turns. */
static uint16_t sts_now(const Piix4Pm *s)
{
    bool turned = (uint32_t)(ticks(s) >> HALF_SHIFT) != s->tmr_half;
    return (uint16_t)(s->sts | (turned ? TMR_STS : 0));
}

static uint64_t sts_get(const void *dev, unsigned arg, unsigned i)
{
    return sts_now(dev);
}

static void sts_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Piix4Pm *s = dev;
    s->sts &= (uint16_t)~value;
    if (value & TMR_STS) {
        s->tmr_half = (uint32_t)(ticks(s) >> HALF_SHIFT);
    }
}

static void overflow_fired(void *dev, unsigned i) {}

static void update_timer(Piix4Pm *s)
{
    if (!(s->en & TMR_STS) || (sts_now(s) & TMR_STS)) {
        timer_off(&s->overflow);
        return;
    }
    uint64_t next = ((ticks(s) >> HALF_SHIFT) + 1) << HALF_SHIFT;
    timer_at(&s->overflow, (int64_t)muldiv64(next, NS_PER_SECOND, PM_TIMER_HZ) + 1);
}

/* ---- Sleeping and waking ---- */

static void sleep_now(Piix4Pm *s)
{
    unsigned type = s->cnt >> SLP_TYP_SHIFT & 7;
    if (type == SLEEP_S3 && !s->disable_s3) {
        s->suspended = true;
        machine_request_suspend();
    } else if (type == SLEEP_S5 || (type == s->s4_val && !s->disable_s4)) {
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    } else {
        guest_error(&s->pci.dev, "sleep type %u is not offered", type);
    }
}

static void cnt_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Piix4Pm *s = dev;
    if (value & SLP_EN) {
        s->cnt &= (uint16_t)~SLP_EN;
        sleep_now(s);
    }
}

/* The machine has one of these at most; listeners stay for good. */
static Piix4Pm *the_pm;

static void wake(Piix4Pm *s)
{
    if (s->suspended) {
        s->suspended = false;
        s->sts |= WAK_STS;
    }
}

static void machine_wakes(void *arg)
{
    if (the_pm) {
        wake(the_pm);
        device_settle(&the_pm->pci.dev);
    }
}

static void power_button(void *arg)
{
    if (the_pm) {
        the_pm->sts |= PWRBTN_STS;
        device_settle(&the_pm->pci.dev);
    }
}

void piix4_pm_gpe(Device *pm, unsigned bit)
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
    if (value == PIIX4_ACPI_ENABLE) {
        s->cnt |= SCI_EN;
    } else if (value == PIIX4_ACPI_DISABLE) {
        s->cnt &= (uint16_t)~SCI_EN;
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
    PROP(Piix4Pm, disable_s3, "0", "1: no suspend to RAM"),
    PROP(Piix4Pm, disable_s4, "0", "1: no suspend to disk"),
    PROP(Piix4Pm, s4_val, "2", "SLP_TYP of suspend to disk", .max = 7),
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
    CALC(pm1_sts, 2, 0x00, .get = sts_get, .on_write = sts_write, .doc = "PM1 status",
         .bits = "TMR - - - BM GBL - - PWRBTN - RTC - - - - WAK"),
    REG(Piix4Pm, en, 0x02, .rw = PM1_EVENTS, .doc = "PM1 enable", .bits = "TMR - - - - GBL - - PWRBTN - RTC"),
    REG(Piix4Pm, cnt, 0x04, .rw = 0x1c03, .w1s = SLP_EN, .on_write = cnt_write, .doc = "PM1 control",
        .bits = "SCI_EN BM_RLD GBL_RLS - - - - - - - TYP0 TYP1 TYP2 SLP_EN"),
    CALC(pm_tmr, 4, 0x08, .ro = true, .get = tmr_get, .doc = "PM timer"),
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
    STATE(Piix4Pm, sts),
    STATE(Piix4Pm, tmr_half),
    STATE(Piix4Pm, suspended, .keep = true),
    TIMER(Piix4Pm, overflow, overflow_fired),
    DERIVED(Piix4Pm, smi_due),
    DERIVED(Piix4Pm, pm_at),
    DERIVED(Piix4Pm, smbus_at),
    PIN(Piix4Pm, sci, "System control interrupt: the board's IRQ 9"),
    PIN(Piix4Pm, smi, "A pulse is one SMI#"),
    PIN(Piix4Pm, s3, "High while the machine sleeps in S3"),
    END
};
// clang-format on

static bool piix4_pm_realize(void *dev, GError **error)
{
    static const RunListener listener = {.powerdown = power_button, .wakeup = machine_wakes};
    static bool listening;
    Piix4Pm *s = dev;
    s->pm_io = device_region(dev, SPACE_PM, "piix4-pm", PM_SIZE);
    s->smbus_io = device_region(dev, SPACE_SMBUS, "pm-smbus", SMBUS_SIZE);
    if (s->pci.bus) {
        Region *io = pci_bus_io(s->pci.bus);
        region_map(io, device_region(dev, SPACE_GPE, "acpi-gpe0", PIIX4_GPE_LEN), PIIX4_GPE_BASE,
                   0);
        region_map(io, device_region(dev, SPACE_APM, "apm", 2), PIIX4_SMI_CMD, 0);
    }
    the_pm = s;
    if (!listening) {
        runstate_listen(&listener);
        listening = true;
    }
    return true;
}

static void piix4_pm_unrealize(void *dev)
{
    if (the_pm == dev) {
        the_pm = NULL;
    }
}

static void piix4_pm_reset(void *dev, bool power_on)
{
    Piix4Pm *s = dev;
    s->tmr_half = (uint32_t)(ticks(s) >> HALF_SHIFT);
    wake(s);
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
    update_timer(s);
    bool pm1 = sts_now(s) & s->en & PM1_EVENTS;
    bool gpe = (s->gpe_sts[0] & s->gpe_en[0]) | (s->gpe_sts[1] & s->gpe_en[1]);
    bool smbus =
        (s->smbhstcfg & 0x0e) == SMB_IRQ9 && (s->hstcnt & SMB_INTEREN) && (s->hststs & SMB_EVENTS);
    irq_set(&s->sci, ((s->cnt & SCI_EN) && (pm1 || gpe)) || smbus);
    irq_set(&s->s3, s->suspended);
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
