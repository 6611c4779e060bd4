/* Intel 82441FX PMC, the host bridge of the pc board.  Sections are those of the 440FX data sheet
 * (290549-001).
 *
 * Registers of the DRAM interface and of the arbiter keep what the firmware writes, since no timing
 * depends on them. */
#include "hw/pci/i440fx.h"

#include <string.h>

#include "core/runstate.h"

typedef struct I440fx {
    PciDevice pci;
    uint8_t pam_bios, pam[6];
    uint8_t smram;
    uint16_t pmccfg;
    uint8_t deturbo, dbc, axc, dramc, dramt, drb[8], fdhc, mtt, clt, errcmd, errsts, trc;
    uint16_t drt;
    PcMemory *memory; /* NULL on the bench */
    PamAreas areas;
    SmramAreas smram_areas;
} I440fx;

typedef struct I440fxHost {
    Device dev;
    uint64_t pci_hole64_size;
    PciConfigPorts ports;
    PcMemory *memory;
    I440fx *function;
} I440fxHost;

/* ---- Function 0 ---- */

enum { SMRAM_ENABLE = 1 << 3, SMRAM_LOCK = 1 << 4, SMRAM_OPEN = 1 << 6 };

/* §3.2.19: locking closes the area for good and freezes the bits. */
static void smram_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I440fx *s = dev;
    if (s->smram & SMRAM_LOCK) {
        s->smram &= (uint8_t)~SMRAM_OPEN;
    }
}

/* §3.2.29: a rising RCPU resets the CPU, hard together with SHRE. */
static void trc_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    if (value & ~old & 0x04) {
        machine_request_reset(CAUSE_GUEST_RESET);
    }
}

#define CFG .space = SPACE_PCI_CONFIG
// clang-format off
static const Row i440fx_rows[] = {
    REG(I440fx, pmccfg, 0x50, CFG, .rw = 0xc300, .doc = "PMC configuration"),
    REG(I440fx, deturbo, 0x52, CFG, .rw = 0xff, .doc = "Deturbo counter"),
    REG(I440fx, dbc, 0x53, CFG, .rw = 0xfb, .reset = 0x80, .doc = "DBX buffer control"),
    REG(I440fx, axc, 0x54, CFG, .rw = 0x82, .doc = "Auxiliary control"),
    REG(I440fx, drt, 0x55, CFG, .rw = 0xffff, .doc = "DRAM row type"),
    REG(I440fx, dramc, 0x57, CFG, .rw = 0x7f, .reset = 0x01, .doc = "DRAM control"),
    REG(I440fx, dramt, 0x58, CFG, .rw = 0x7f, .reset = 0x10, .doc = "DRAM timing"),
    REG(I440fx, pam_bios, 0x59, CFG, .rw = 0x30, .doc = "PAM0: F0000h-FFFFFh", .bits = "- - - - RE WE"),
    REGS(I440fx, pam, 0x5a, CFG, .rw = 0x33, .doc = "PAM1-6: two 16 KiB areas each", .bits = "LO_RE LO_WE - - HI_RE HI_WE"),
    REGS(I440fx, drb, 0x60, CFG, .rw = 0xff, .reset = 0x01, .doc = "DRAM row boundary"),
    REG(I440fx, fdhc, 0x68, CFG, .rw = 0xc0, .doc = "Fixed DRAM hole control"),
    REG(I440fx, mtt, 0x70, CFG, .rw = 0xf8, .doc = "Multi-transaction timer"),
    REG(I440fx, clt, 0x71, CFG, .rw = 0xf8, .reset = 0x10, .doc = "CPU latency timer"),
    REG(I440fx, smram, 0x72, CFG, .rw = 0x78, .reset = 0x02, .on_write = smram_write, .doc = "SMM RAM control",
        LOCK(I440fx, smram, SMRAM_LOCK, 0), .bits = "- BASE - G_SMRAME D_LCK D_CLS D_OPEN"),
    REG(I440fx, errcmd, 0x90, CFG, .rw = 0xdf, .doc = "Error command"),
    REG(I440fx, errsts, 0x91, CFG, .w1c = 0x11, .doc = "Error status"),
    REG(I440fx, trc, 0x93, CFG, .rw = 0x07, .on_write = trc_write, .doc = "Turbo reset control"),
    END
};
// clang-format on

static bool i440fx_realize(void *dev, GError **error)
{
    I440fx *s = dev;
    if (s->memory) {
        pam_init(&s->areas, s->memory);
        smram_init(&s->smram_areas, s->memory);
    }
    return true;
}

static void i440fx_unrealize(void *dev)
{
    I440fx *s = dev;
    pam_free(&s->areas);
    smram_free(&s->smram_areas);
}

static void i440fx_update(void *dev)
{
    I440fx *s = dev;
    if (!s->memory) {
        return;
    }
    pam_set(&s->areas, 0, s->pam_bios >> 4 & 3);
    for (unsigned i = 0; i < G_N_ELEMENTS(s->pam); i++) {
        pam_set(&s->areas, 1 + 2 * i, s->pam[i] & 3);
        pam_set(&s->areas, 2 + 2 * i, s->pam[i] >> 4 & 3);
    }
    /* D_CLS hides the area from an SMM handler's data, not from its code; one view serves both, so
     * it stays. */
    smram_set(&s->smram_areas, s->smram & SMRAM_ENABLE, s->smram & SMRAM_OPEN);
}

const DeviceClass i440fx_class = {
    .name = "i440FX",
    .doc = "Host bridge",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "bridge",
    .internal = true,
    .size = sizeof(I440fx),
    .rows = i440fx_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x1237,
            .revision = 2,
            .class_code = 0x060000,
            .command_fixed = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
            .command_reset = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
            .status_reset = 0x0280,
        },
    .realize = i440fx_realize,
    .unrealize = i440fx_unrealize,
    .update = i440fx_update,
};

/* ---- The host bridge ---- */

static const Row i440fx_host_rows[] = {
    PROP_AS(I440fxHost, pci_hole64_size, "pci-hole64-size", "2G",
            "Room for 64-bit BARs that firmware is told of, at least", .type = TYPE_SIZE),
    STATE(I440fxHost, ports.address, .doc = "CONFIG_ADDRESS"),
    END,
};

static bool i440fx_host_realize(void *dev, GError **error)
{
    I440fxHost *h = dev;
    PciHost host = {
        .mem = h->memory ? h->memory->pci : space_root(space_memory()),
        .io = space_root(space_io()),
        .dma_space = space_memory(),
    };
    h->ports.root = pci_bus_new(&h->dev, "pci.0", &host);
    region_map(host.io,
               device_region_io_opaque(&h->dev, "pci-conf", 8, &pci_config_ports_ops, &h->ports),
               0xcf8, 0);
    return true;
}

static void i440fx_host_unrealize(void *dev)
{
    I440fxHost *h = dev;
    pci_bus_free(g_steal_pointer(&h->ports.root));
}

const DeviceClass i440fx_host_class = {
    .name = "i440FX-pcihost",
    .fw_node = "pci@i0cf8",
    .doc = "440FX host bridge with its PCI bus",
    .category = "bridge",
    .internal = true,
    .size = sizeof(I440fxHost),
    .rows = i440fx_host_rows,
    .realize = i440fx_host_realize,
    .unrealize = i440fx_host_unrealize,
};

Device *i440fx_new(PcMemory *m, GError **error)
{
    I440fxHost *h = device_new(&i440fx_host_class, NULL);
    h->memory = m;
    if (!device_realize(&h->dev, NULL, error)) {
        device_free(&h->dev);
        return NULL;
    }
    I440fx *s = (I440fx *)pci_new(&i440fx_class, NULL, PCI_DEVFN(0, 0), false);
    s->memory = m;
    if (!device_realize(&s->pci.dev, pci_bus_as_bus(h->ports.root), error)) {
        device_free(&s->pci.dev);
        device_free(&h->dev);
        return NULL;
    }
    h->function = s;
    return &h->dev;
}

PciBus *i440fx_bus(Device *host)
{
    return ((I440fxHost *)host)->ports.root;
}

Space *i440fx_smm_space(Device *host)
{
    return ((I440fxHost *)host)->function->smram_areas.space;
}
