/* AHCI host bus adapter: registers (Serial ATA AHCI 1.3.1 §3), as function 2 of an ICH9 has them
 * (Intel 316972, chapter 15). */
#include "hw/storage/ahci.h"

enum { SPACE_ABAR, SPACE_IDP };
enum { ABAR_SIZE = 4096, IDP_SIZE = 32, PORTS_AT = 0x100, PORT_STEP = 0x80 };
enum { GHC_HR = 1, GHC_IE = 2 };
#define GHC_AE UINT32_C(0x80000000)
/* 6 ports, 32 slots, several DRQ blocks for each PIO command, AHCI only, 3 Gbps, CLO, NCQ, 64-bit
 * addresses */
#define CAP     (5 | 31 << 8 | 1 << 15 | 1 << 18 | 2 << 20 | 1 << 24 | 1 << 30 | UINT32_C(1) << 31)
#define IS_W1C  UINT32_C(0xfd8000af)
#define IE_BITS UINT32_C(0xfdc000ff)

/* ---- Ports ---- */

static uint64_t cmd_get(const void *dev, unsigned arg, unsigned i)
{
    const Ahci *s = dev;
    const AhciPort *p = &s->port[i];
    return p->cmd | AHCI_CMD_SUD | AHCI_CMD_POD | (uint32_t)p->ccs << 8 |
           (p->cmd & AHCI_CMD_FRE ? AHCI_CMD_FR : 0) |
           (p->cmd & AHCI_CMD_ST || ahci_link_busy(s->link[i]) ? AHCI_CMD_CR : 0);
}

/* The interface state that ICC asks for is entered at once, and it reads as 0 then. */
static void cmd_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    enum { TFD_BSY_DRQ = 0x88 };
    Ahci *s = dev;
    AhciPort *p = &s->port[i];
    if (p->cmd & AHCI_CMD_CLO) {
        p->cmd &= ~(uint32_t)AHCI_CMD_CLO;
        if (!(old & AHCI_CMD_ST)) {
            p->tfd &= ~(uint32_t)TFD_BSY_DRQ;
        }
    }
    if (value & ~old & AHCI_CMD_FRE) {
        ahci_link_receive_on(s->link[i]);
    }
    if (old & ~value & AHCI_CMD_ST) {
        ahci_link_stop(s->link[i]);
    } else if (value & ~old & AHCI_CMD_ST) {
        ahci_link_run(s->link[i]);
    }
}

/* §3.3.11: DET 1 resets the device for as long as it stays, 4 takes the port off. */
static void sctl_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    enum { DET = 15, DET_RESET = 1, DET_OFF = 4 };
    Ahci *s = dev;
    unsigned was = old & DET, is = value & DET;
    if (was == is) {
        return;
    }
    if (is == DET_RESET || is == DET_OFF) {
        ahci_link_down(s->link[i]);
    } else if (was == DET_RESET || was == DET_OFF) {
        ahci_link_comreset(s->link[i]);
    }
}

static void sact_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AhciPort *p = &((Ahci *)dev)->port[i];
    if (!(p->cmd & AHCI_CMD_ST)) {
        p->sact = (uint32_t)old;
    }
}

static void ci_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ahci *s = dev;
    AhciPort *p = &s->port[i];
    if (p->cmd & AHCI_CMD_ST) {
        ahci_link_run(s->link[i]);
    } else {
        p->ci = (uint32_t)old;
    }
}

/* All but the addresses of lists and received FISes (§10.4.3). */
static void port_reset(Ahci *s, unsigned n)
{
    AhciPort *p = &s->port[n];
    ahci_link_stop(s->link[n]);
    *p = (AhciPort){.clb = p->clb, .clbu = p->clbu, .fb = p->fb, .fbu = p->fbu};
}

/* ---- The adapter ---- */

static void ghc_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ahci *s = dev;
    if (!(value & GHC_HR)) {
        return;
    }
    s->ghc = GHC_AE;
    s->is = 0;
    for (unsigned n = 0; n < AHCI_PORTS; n++) {
        port_reset(s, n);
        ahci_link_comreset(s->link[n]);
    }
}

static void is_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Ahci *)dev)->acknowledged = true;
}

#define CFG               .space = SPACE_PCI_CONFIG
#define PORT(f, at_, ...) EACH_REG(Ahci, port, f, PORTS_AT + at_, .step = PORT_STEP, __VA_ARGS__)
// clang-format off
static const Row ahci_rows[] = {
    PCI_MSI_CAP(Ahci, msi, 0x80),
    PCI_PM_CAP(Ahci, pm, 0x70),
    CALC(sata_id, 1, 0xa8, CFG, .ro = true, FROM(Ahci, sata.id)),
    CALC(sata_next, 1, 0xa9, CFG, .ro = true, FROM(Ahci, sata.next)),
    CALC(sata_revision, 2, 0xaa, CFG, .ro = true, .is = 0x0010, .doc = "SATA capability 1.0"),
    CALC(sata_bar, 4, 0xac, CFG, .ro = true, .is = 0x0048, .doc = "Index and data port: BAR 4, offset 10h"),
    REG(Ahci, map, 0x90, CFG, .rw = 0x00c0, .reset = 0x0040, .doc = "Address map: AHCI mode"),
    REG(Ahci, pcs, 0x92, CFG, .rw = 0x803f, .reset = 0x003f, .doc = "Port control and status"),
    CALC(cap, 4, 0x00, .ro = true, .is = CAP, .doc = "HBA capabilities"),
    REG(Ahci, ghc, 0x04, .rw = GHC_IE, .w1s = GHC_HR, .reset = GHC_AE, .on_write = ghc_write, .doc = "Global HBA control",
        .bits = "HR IE"),
    REG(Ahci, is, 0x08, .w1c = UINT32_MAX, .on_write = is_write, .doc = "Interrupt status, a bit for each port"),
    CALC(pi, 4, 0x0c, .ro = true, .is = (1 << AHCI_PORTS) - 1, .doc = "Ports implemented"),
    CALC(vs, 4, 0x10, .ro = true, .is = 0x00010301, .doc = "AHCI 1.3.1"),
    PORT(clb, 0x00, .rw = 0xfffffc00, .doc = "Command list"),
    PORT(clbu, 0x04, .rw = UINT32_MAX, .doc = "Command list, high"),
    PORT(fb, 0x08, .rw = 0xffffff00, .doc = "Received FISes"),
    PORT(fbu, 0x0c, .rw = UINT32_MAX, .doc = "Received FISes, high"),
    PORT(is, 0x10, .w1c = IS_W1C, .doc = "Interrupt status",
         .bits = "DHRS PSS DSS SDBS UFS DPS PCS DMPS - - - - - - - - - - - - - - PRCS IPMS OFS - INFS IFS HBDS HBFS TFES CPDS"),
    PORT(ie, 0x14, .rw = IE_BITS, .doc = "Interrupt enable"),
    PORT(cmd, 0x18, .rw = AHCI_CMD_ST | AHCI_CMD_FRE, .w1s = AHCI_CMD_CLO, .get = cmd_get, .on_write = cmd_write,
         .doc = "Command and status", .bits = "ST SUD POD CLO FRE - - - - - - - - MPSS FR CR"),
    PORT(tfd, 0x20, .ro = true, .doc = "Task file: status and error as last received"),
    PORT(sig, 0x24, .ro = true, .doc = "Signature"),
    PORT(ssts, 0x28, .ro = true, .doc = "SATA status"),
    PORT(sctl, 0x2c, .rw = 0x0fff, .on_write = sctl_write, .doc = "SATA control"),
    PORT(serr, 0x30, .w1c = UINT32_MAX, .doc = "SATA error"),
    PORT(sact, 0x34, .w1s = UINT32_MAX, .on_write = sact_write, .doc = "Queued commands outstanding"),
    PORT(ci, 0x38, .w1s = UINT32_MAX, .on_write = ci_write, .doc = "Commands issued"),
    EACH(Ahci, port, ccs, .max = AHCI_SLOTS - 1),
    EACH(Ahci, port, halted),
    EACH(Ahci, port, sig_due),
    REG(Ahci, index, 0x10, .space = SPACE_IDP, .rw = 0x7fc, .doc = "Register that the data port shows"),
    WINDOW(Ahci, data, 4, 0x14, SPACE_ABAR, index, .space = SPACE_IDP, .doc = "Data port"),
    STATE(Ahci, told),
    DERIVED(Ahci, acknowledged),
    END
};
// clang-format on

static bool ahci_realize(void *dev, GError **error)
{
    Ahci *s = dev;
    pci_pm_init(&s->pci, &s->pm, 0x70);
    pci_cap_add(&s->pci, &s->sata, 0xa8, 0x12);
    pci_msi_init(&s->pci, &s->msi, 0x80, 1, true, false);
    pci_bar(&s->pci, 4, PCI_BAR_IO, device_region(dev, SPACE_IDP, "ahci-idp", IDP_SIZE));
    pci_bar(&s->pci, 5, PCI_BAR_MEM, device_region(dev, SPACE_ABAR, "ahci", ABAR_SIZE));
    for (unsigned n = 0; n < AHCI_PORTS; n++) {
        s->link[n] = ahci_link_new(s, n, NULL);
    }
    return true;
}

static void ahci_unrealize(void *dev)
{
    Ahci *s = dev;
    for (unsigned n = 0; n < AHCI_PORTS; n++) {
        ahci_link_free(g_steal_pointer(&s->link[n]));
    }
}

static void ahci_reset(void *dev, bool power_on)
{
    Ahci *s = dev;
    for (unsigned n = 0; n < AHCI_PORTS; n++) {
        port_reset(s, n);
        ahci_link_drain(s->link[n]); /* nothing may reach guest memory after a machine's reset */
        s->port[n].clb = s->port[n].clbu = s->port[n].fb = s->port[n].fbu = 0;
        ahci_link_up(s->link[n]);
    }
}

/* INTRQ of a device: its port is told by other means. */
static void ahci_input(void *dev, unsigned port, bool level) {}

/* §10.6.2: a message for every port that newly asks, and one when software acknowledged some ports
 * but not all that ask. */
static void send_messages(Ahci *s, bool level)
{
    bool rising = level && !s->pci.intx;
    pci_irq(&s->pci, level);
    if (!rising && level && (s->acknowledged || (s->is & ~s->told))) {
        pci_msi_notify(&s->pci, 0);
    }
    s->told = s->is;
    s->acknowledged = false;
}

static void ahci_update(void *dev)
{
    Ahci *s = dev;
    s->ghc = (s->ghc & GHC_IE) | GHC_AE;
    for (unsigned n = 0; n < AHCI_PORTS; n++) {
        AhciPort *p = &s->port[n];
        p->is &= IS_W1C;
        p->is |= p->serr & AHCI_SERR_X ? AHCI_IS(AHCI_PCS) : 0;
        p->is |= p->serr & AHCI_SERR_N ? AHCI_IS(AHCI_PRCS) : 0;
        if (p->is & p->ie) {
            s->is |= 1u << n;
        }
    }
    send_messages(s, s->is && (s->ghc & GHC_IE));
}

static bool ahci_busy(const void *dev)
{
    const Ahci *s = dev;
    for (unsigned n = 0; n < AHCI_PORTS; n++) {
        if (ahci_link_busy(s->link[n])) {
            return true;
        }
    }
    return false;
}

const DeviceClass ich9_ahci_class = {
    .name = "ich9-ahci",
    .alias = "ahci",
    .doc = "ICH9 AHCI controller with 6 SATA ports",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "storage",
    .hotpluggable = true,
    .size = sizeof(Ahci),
    .rows = ahci_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x2922,
            .revision = 2,
            .class_code = 0x010601,
            .interrupt_pin = 1,
            .status_reset = 0x0280,
        },
    .inputs = AHCI_PORTS,
    .realize = ahci_realize,
    .unrealize = ahci_unrealize,
    .reset = ahci_reset,
    .update = ahci_update,
    .input = ahci_input,
    .busy = ahci_busy,
};

IdeBus *ahci_bus(Device *ahci, unsigned n)
{
    return ahci_link_bus(((Ahci *)ahci)->link[n]);
}
