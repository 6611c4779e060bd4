/* Intel 82Q35 MCH, the host bridge of the q35 board.  Sections are those of the Intel 3 Series
 * Express Chipset data sheet (316966-002).
 *
 * Of the bridge's windows the one for configuration (PCIEXBAR) decodes; the others hold registers of
 * memory timing and links that no software of a PC asks for, and keep what the firmware writes.  As
 * firmware for this board expects it, TSEG ends where RAM below 4 GiB ends, whatever TOLUD says. */
#include "hw/pci/q35.h"

typedef struct Mch {
    PcHostFunction host;
    uint32_t extended_tseg; /* MiB, a property */
    uint64_t epbar, mchbar, pciexbar, dmibar;
    uint16_t ext_tseg, ggc;
    uint32_t deven;
    uint8_t lac, esmramc;
    uint16_t remapbase, remaplimit, tom, touud, tolud, errsts, errcmd, smicmd, scicmd;
    uint32_t gbsm, bgsm, tsegmb, skpd;
    PciBus *root;
    Region *window; /* configuration, in the memory space */
    uint64_t window_at, window_size;
} Mch;

enum { TSEG_EN = 1, TSEG_SIZE = 3 << 1 };
enum { ECAM_ENABLE = 1, ECAM_MIB = 1 << 20 };

/* ---- Registers ---- */

/* Not Intel's: asked with all ones, it tells how large a TSEG of size 3 is, in MiB. */
static void ext_tseg_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Mch *s = dev;
    s->ext_tseg = value == 0xffff ? (uint16_t)s->extended_tseg : (uint16_t)old;
}

#define CFG    .space = SPACE_PCI_CONFIG
#define UNLESS LOCK(PcHostFunction, smram, SMRAM_LOCK, 0)
// clang-format off
static const Row mch_rows[] = {
    PROP_AS(Mch, extended_tseg, "extended-tseg-mbytes", "16", "Size of the largest TSEG, in MiB", .max = 0xfff),
    REG(Mch, epbar, 0x40, CFG, .rw = 0xffffff001, .doc = "Egress port registers"),
    REG(Mch, mchbar, 0x48, CFG, .rw = 0xfffffc001, .doc = "Memory controller registers"),
    REG(Mch, ext_tseg, 0x50, CFG, .rw = 0xffff, .on_write = ext_tseg_write, .doc = "Size of the extended TSEG, in MiB"),
    REG(Mch, ggc, 0x52, CFG, .rw = 0x03f2, .reset = 0x0030, .doc = "Graphics control"),
    REG(Mch, deven, 0x54, CFG, .rw = 0x000003db, .reset = 0x000003db, .doc = "Device enable"),
    REG(Mch, pciexbar, MCH_PCIEXBAR, CFG, .rw = 0xffc000007, .reset = 0xb0000000, .doc = "Configuration window"),
    REG(Mch, dmibar, 0x68, CFG, .rw = 0xffffff001, .doc = "Root complex registers of the link to the ICH"),
    REG(PcHostFunction, pam_bios, 0x90, CFG, .rw = 0x30, .doc = "PAM0: F0000h-FFFFFh", .bits = "- - - - RE WE"),
    REGS(PcHostFunction, pam, 0x91, CFG, .rw = 0x33, .doc = "PAM1-6: two 16 KiB areas each", .bits = "LO_RE LO_WE - - HI_RE HI_WE"),
    REG(Mch, lac, 0x97, CFG, .rw = 0x83, .doc = "Legacy access control"),
    REG(Mch, remapbase, 0x98, CFG, .rw = 0x03ff, .reset = 0x03ff, .doc = "Remap base, in units of 64 MiB"),
    REG(Mch, remaplimit, 0x9a, CFG, .rw = 0x03ff, .doc = "Remap limit, in units of 64 MiB"),
    REG(PcHostFunction, smram, 0x9d, CFG, .rw = 0x78, .reset = 0x02, .on_write = pc_host_smram_write, .doc = "SMM RAM control", UNLESS,
        .bits = "- BASE - G_SMRAME D_LCK D_CLS D_OPEN"),
    REG(Mch, esmramc, 0x9e, CFG, .rw = 0x87, .w1c = 0x40, .reset = 0x38, .doc = "Extended SMM RAM control", UNLESS,
        .bits = "T_EN - - SM_L2 SM_L1 SM_CACHE E_SMERR H_SMRAME"),
    REG(Mch, tom, 0xa0, CFG, .rw = 0x03ff, .reset = 1, .doc = "Top of memory, in units of 64 MiB"),
    REG(Mch, touud, 0xa2, CFG, .rw = 0xffff, .doc = "Top of upper usable memory, in MiB"),
    REG(Mch, gbsm, 0xa4, CFG, .rw = 0xfff00000, .doc = "Base of graphics stolen memory"),
    REG(Mch, bgsm, 0xa8, CFG, .rw = 0xfff00000, .doc = "Base of GTT stolen memory"),
    REG(Mch, tsegmb, 0xac, CFG, .rw = 0xfff00000, .doc = "Base of TSEG", UNLESS),
    REG(Mch, tolud, 0xb0, CFG, .rw = 0xfff0, .reset = 0x0010, .doc = "Top of low usable memory, in MiB from bit 4", UNLESS),
    REG(Mch, errsts, 0xc8, CFG, .w1c = 0x1b83, .doc = "Error status"),
    REG(Mch, errcmd, 0xca, CFG, .rw = 0x1b83, .doc = "Error command"),
    REG(Mch, smicmd, 0xcc, CFG, .rw = 0x0003, .doc = "SMI command"),
    REG(Mch, scicmd, 0xce, CFG, .rw = 0x0003, .doc = "SCI command"),
    REG(Mch, skpd, 0xdc, CFG, .rw = UINT32_MAX, .doc = "Scratchpad"),
    DERIVED(Mch, window_at),
    DERIVED(Mch, window_size),
    END
};
// clang-format on

/* ---- The configuration window (PCI Express Base 2.0 §7.2.2) ---- */

static uint64_t window_read(void *opaque, uint64_t at, unsigned size)
{
    PciBus *bus = pci_bus_find(opaque, at >> 20 & 0xff);
    return pci_config_read(bus, at >> 12 & 0xff, at & 0xfff, size);
}

static void window_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    PciBus *bus = pci_bus_find(opaque, at >> 20 & 0xff);
    pci_config_write(bus, at >> 12 & 0xff, at & 0xfff, size, (uint32_t)value);
}

/* §5.1.19: 256, 128 or 64 buses of 1 MiB. */
bool q35_ecam(const PciDevice *mch, uint64_t *at, uint64_t *size)
{
    const Mch *s = (const Mch *)mch;
    static const unsigned mib[] = {256, 128, 64, 0};
    *size = (uint64_t)mib[s->pciexbar >> 1 & 3] * ECAM_MIB;
    *at = *size ? s->pciexbar & ~UINT64_C(7) & ~(*size - 1) : 0;
    return (s->pciexbar & ECAM_ENABLE) && *size && *at;
}

static void update_window(Mch *s)
{
    static const IoOps ops = {window_read, window_write, 1, 4};
    enum { PRIORITY = 5 };
    uint64_t at, size;
    if (!q35_ecam(&s->host.pci, &at, &size)) {
        at = size = 0;
    }
    if (at == s->window_at && size == s->window_size) {
        return;
    }
    region_free(g_steal_pointer(&s->window));
    s->window_at = at;
    s->window_size = size;
    if (size) {
        s->window = region_io("pcie-mmcfg-mmio", size, &ops, s->root);
        region_map(space_root(space_memory()), s->window, at, PRIORITY);
    }
}

/* ---- Function 0 ---- */

static bool mch_realize(void *dev, GError **error)
{
    Mch *s = dev;
    s->root = s->host.pci.bus;
    return true;
}

static void mch_unrealize(void *dev)
{
    Mch *s = dev;
    region_free(g_steal_pointer(&s->window));
}

/* §5.1.34: 1, 2 or 8 MiB, or the board's own size. */
static uint64_t tseg_size(const Mch *s)
{
    static const uint8_t mib[] = {1, 2, 8};
    unsigned code = (s->esmramc & TSEG_SIZE) >> 1;
    uint64_t size = (uint64_t)(code < 3 ? mib[code] : s->extended_tseg) << 20;
    bool on = (s->host.smram & SMRAM_ENABLE) && (s->esmramc & TSEG_EN);
    return on && size < s->host.memory->below_4g ? size : 0;
}

static void mch_update(void *dev)
{
    Mch *s = dev;
    if (s->host.memory) {
        smram_set_top(&s->host.smram_areas, s->host.memory, tseg_size(s));
        update_window(s);
    }
}

const DeviceClass mch_class = {
    .name = "mch",
    .doc = "Host bridge",
    .base = &pc_host_function_class,
    .bus = "PCI",
    .category = "bridge",
    .internal = true,
    .size = sizeof(Mch),
    .rows = mch_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x29c0,
            .class_code = 0x060000,
            .command_fixed = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
            .command_reset = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
            .status_reset = 0x0080,
        },
    .realize = mch_realize,
    .unrealize = mch_unrealize,
    .update = mch_update,
};

/* ---- The host bridge ---- */

static const Row q35_host_rows[] = {
    PROP_AS(PcHost, pci_hole64_size, "pci-hole64-size", "32G",
            "Room for 64-bit BARs that firmware is told of, at least", .type = TYPE_SIZE),
    END,
};

const DeviceClass q35_host_class = {
    .name = "q35-pcihost",
    .fw_node = "pci@i0cf8",
    .doc = "Q35 host bridge with its PCI Express bus",
    .base = &pc_host_class,
    .category = "bridge",
    .internal = true,
    .size = sizeof(PcHost),
    .rows = q35_host_rows,
    .info = &(const PcHostInfo){.bus = "pcie.0", .function = &mch_class},
};
