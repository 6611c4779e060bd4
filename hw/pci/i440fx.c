/* Intel 82441FX PMC, the host bridge of the pc board.  Sections are those of the 440FX data sheet
 * (290549-001).
 *
 * Registers of the DRAM interface and of the arbiter keep what the firmware writes, since no timing
 * depends on them. */
#include "hw/pci/i440fx.h"

#include "core/runstate.h"

typedef struct I440fx {
    PcHostFunction host;
    uint16_t pmccfg;
    uint8_t deturbo, dbc, axc, dramc, dramt, drb[8], fdhc, mtt, clt, errcmd, errsts, trc;
    uint16_t drt;
} I440fx;

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
    REG(PcHostFunction, pam_bios, 0x59, CFG, .rw = 0x30, .doc = "PAM0: F0000h-FFFFFh", .bits = "- - - - RE WE"),
    REGS(PcHostFunction, pam, 0x5a, CFG, .rw = 0x33, .doc = "PAM1-6: two 16 KiB areas each", .bits = "LO_RE LO_WE - - HI_RE HI_WE"),
    REGS(I440fx, drb, 0x60, CFG, .rw = 0xff, .reset = 0x01, .doc = "DRAM row boundary"),
    REG(I440fx, fdhc, 0x68, CFG, .rw = 0xc0, .doc = "Fixed DRAM hole control"),
    REG(I440fx, mtt, 0x70, CFG, .rw = 0xf8, .doc = "Multi-transaction timer"),
    REG(I440fx, clt, 0x71, CFG, .rw = 0xf8, .reset = 0x10, .doc = "CPU latency timer"),
    REG(PcHostFunction, smram, 0x72, CFG, .rw = 0x78, .reset = 0x02, .on_write = pc_host_smram_write, .doc = "SMM RAM control",
        LOCK(PcHostFunction, smram, SMRAM_LOCK, 0), .bits = "- BASE - G_SMRAME D_LCK D_CLS D_OPEN"),
    REG(I440fx, errcmd, 0x90, CFG, .rw = 0xdf, .doc = "Error command"),
    REG(I440fx, errsts, 0x91, CFG, .w1c = 0x11, .doc = "Error status"),
    REG(I440fx, trc, 0x93, CFG, .rw = 0x07, .on_write = trc_write, .doc = "Turbo reset control"),
    END
};
// clang-format on

const DeviceClass i440fx_class = {
    .name = "i440FX",
    .doc = "Host bridge",
    .base = &pc_host_function_class,
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
};

/* ---- The host bridge ---- */

static const Row i440fx_host_rows[] = {
    PROP_AS(PcHost, pci_hole64_size, "pci-hole64-size", "2G",
            "Room for 64-bit BARs that firmware is told of, at least", .type = TYPE_SIZE),
    END,
};

const DeviceClass i440fx_host_class = {
    .name = "i440FX-pcihost",
    .fw_node = "pci@i0cf8",
    .doc = "440FX host bridge with its PCI bus",
    .base = &pc_host_class,
    .category = "bridge",
    .internal = true,
    .size = sizeof(PcHost),
    .rows = i440fx_host_rows,
    .info = &(const PcHostInfo){.bus = "pci.0", .function = &i440fx_class},
};
