/* A PCI function: the standard header of its configuration space, BARs, expansion ROM and interrupt
 * pin (PCI Local Bus 3.0 chapter 6). */
#include "hw/pci/pci.h"

#include <string.h>

#include "hw/firmware/fw-cfg.h"
#include "hw/firmware/path.h"
#include "hw/pci/internal.h"

/* ---- Where the BARs answer (§6.2.5) ---- */

/* The decoder's size follows from the writable address bits. */
static uint64_t bar_size(const PciDevice *pd, unsigned n)
{
    return region_size(pd->bar_region[n]);
}

static uint64_t bar_wanted(const PciDevice *pd, unsigned n)
{
    unsigned flags = pd->bar_flags[n];
    uint64_t base = pd->bar[n] & pd->bar_mask[n];
    uint64_t last = base + bar_size(pd, n) - 1;
    if (flags & PCI_BAR_IO) {
        bool fits = base && last <= UINT16_MAX;
        return (pd->command & PCI_COMMAND_IO) && fits ? base : PCI_UNMAPPED;
    }
    if (!(pd->command & PCI_COMMAND_MEMORY)) {
        return PCI_UNMAPPED;
    }
    if (!(flags & PCI_BAR_64)) {
        /* At the very top lies what sizing leaves behind; no firmware puts a BAR over the reset
         * vector. */
        return base && last < UINT32_MAX ? base : PCI_UNMAPPED;
    }
    base |= (uint64_t)(pd->bar[n + 1] & pd->bar_mask[n + 1]) << 32;
    last = base + bar_size(pd, n) - 1;
    return base && last > base && last != UINT64_MAX && last != UINT32_MAX ? base : PCI_UNMAPPED;
}

static uint64_t rom_wanted(const PciDevice *pd)
{
    uint64_t base = pd->rom_bar & pd->rom_mask & ~UINT32_C(1);
    uint64_t last = base + region_size(pd->rom_region) - 1;
    bool on = (pd->command & PCI_COMMAND_MEMORY) && (pd->rom_bar & 1);
    return on && base && last < UINT32_MAX ? base : PCI_UNMAPPED;
}

static void map_window(Region *parent, Region *r, uint64_t *at, uint64_t wanted)
{
    if (*at != wanted) {
        region_unmap(r);
        if (wanted != PCI_UNMAPPED) {
            region_map(parent, r, wanted, 1);
        }
        *at = wanted;
    }
}

static void update_windows(PciDevice *pd)
{
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (pd->bar_region[n]) {
            Region *parent =
                pd->bar_flags[n] & PCI_BAR_IO ? pci_bus_io(pd->bus) : pci_bus_mem(pd->bus);
            map_window(parent, pd->bar_region[n], &pd->bar_at[n], bar_wanted(pd, n));
        }
    }
    if (pd->rom_region) {
        map_window(pci_bus_mem(pd->bus), pd->rom_region, &pd->rom_at, rom_wanted(pd));
    }
}

uint64_t pci_bar_address(const PciDevice *pd, unsigned n)
{
    return pd->bar_at[n];
}

void pci_bar(PciDevice *pd, unsigned n, unsigned flags, Region *region)
{
    uint64_t size = region_size(region);
    g_assert(n < PCI_BARS && !pd->bar_region[n] && !(size & (size - 1)));
    g_assert(size >= (flags & PCI_BAR_IO ? 4 : 16));
    uint64_t mask = ~(size - 1);
    pd->bar_region[n] = region;
    pd->bar_flags[n] = (uint8_t)flags;
    pd->bar_at[n] = PCI_UNMAPPED;
    pd->bar_mask[n] = (uint32_t)mask;
    if (flags & PCI_BAR_64) {
        g_assert(n + 1 < PCI_BARS && !(flags & PCI_BAR_IO));
        pd->bar_mask[n + 1] = (uint32_t)(mask >> 32);
    } else {
        g_assert(size <= UINT32_C(1) << 31);
    }
}

unsigned pci_bars(const PciDevice *pd, PciBarInfo info[PCI_BARS + 1])
{
    unsigned found = 0;
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (pd->bar_region[n]) {
            unsigned flags = pd->bar_flags[n];
            info[found++] = (PciBarInfo){n,
                                         !(flags & PCI_BAR_IO),
                                         flags & PCI_BAR_PREFETCH,
                                         flags & PCI_BAR_64,
                                         pd->bar_at[n],
                                         bar_size(pd, n)};
        }
    }
    if (pd->rom_region) {
        info[found++] =
            (PciBarInfo){6, true, false, false, pd->rom_at, region_size(pd->rom_region)};
    }
    return found;
}

/* ---- The expansion ROM (§6.3) ---- */

/* Round up to a power of two; a ROM BAR decodes at least 2 KiB. */
static uint32_t rom_size(size_t len)
{
    uint32_t size = 2048;
    while (size < len) {
        size *= 2;
    }
    return size;
}

/* rombar=0: firmware runs it as it comes out of fw_cfg, a VGA BIOS first; no register tells of it.
 * Firmware looks once, before who is plugged in later. */
static bool rom_offer(const PciDevice *pd, const char *path, const char *data, gsize len,
                      GError **error)
{
    FwCfg *fw = fw_cfg_find();
    if (pd->dev.hotplugged) {
        return error_fail(error, "Hot-plugged device without ROM bar can't have an option ROM: "
                                 "expected rombar=1 or romfile=");
    }
    if (!fw) {
        return error_fail(
            error,
            "rombar=0 hands \"%s\" to firmware through fw_cfg, which this machine does not have",
            path);
    }
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *file =
        g_strdup_printf("%s/%s", pd->class_code >> 8 == 0x0300 ? "vgaroms" : "genroms", base);
    g_autoptr(GBytes) rom = g_bytes_new(data, len);
    g_autoptr(GBytes) there = fw_cfg_file(fw, file);
    if (there && !g_bytes_equal(there, rom)) { /* two cards of a kind share theirs */
        return error_fail(error, "rombar=0: firmware gets another ROM as \"%s\" already", file);
    }
    return there || fw_cfg_add_file_gbytes(fw, file, rom, error);
}

static bool rom_load(PciDevice *pd, GError **error)
{
    enum { ROM_MAX = 16 << 20 };
    const char *name = pd->romfile ? pd->romfile : PCI_INFO(pd->dev.class)->romfile;
    if (!name || !*name) {
        return true;
    }
    g_autofree char *path = fw_find_file(name);
    if (!path) {
        return error_fail(error, "failed to find romfile \"%s\"", name);
    }
    g_autofree char *data = NULL;
    gsize len;
    if (!g_file_get_contents(path, &data, &len, error)) {
        return false;
    }
    if (!len || len > ROM_MAX) {
        return error_fail(error, "romfile \"%s\" has %zu bytes; an expansion ROM has 1 to %u", path,
                          len, ROM_MAX);
    }
    if (!pd->rombar) {
        return rom_offer(pd, path, data, len, error);
    }
    uint32_t size = rom_size(len);
    g_autofree char *where =
        pd->bus ? g_strdup(pci_bus_as_bus(pd->bus)->name) : g_strdup_printf("%p", (void *)pd);
    g_autofree char *label = g_strdup_printf("%s/%02x.%x/%s.rom", where, PCI_SLOT(pd->devfn),
                                             PCI_FUNC(pd->devfn), pd->dev.class->name);
    pd->rom = ram_new(label, size, NULL, error);
    if (!pd->rom) {
        return false;
    }
    ram_write(pd->rom, 0, data, len);
    pd->rom_region = region_rom(label, pd->rom, 0, size);
    pd->rom_mask = ~(size - 1) | 1;
    pd->rom_at = PCI_UNMAPPED;
    return true;
}

/* ---- The interrupt pin (§6.2.2 bit 10, §6.2.3 bit 3, §6.8) ---- */

static void drive_inta(PciDevice *pd)
{
    irq_set(&pd->inta, pd->intx && !(pd->command & PCI_COMMAND_INTX_OFF) && !pci_msi_enabled(pd) &&
                           !pci_msix_enabled(pd));
}

void pci_irq(PciDevice *pd, bool level)
{
    if (level && !pd->intx) {
        pci_msi_notify(pd, 0);
        pci_msix_notify(pd, 0);
    }
    pd->intx = level;
    drive_inta(pd);
}

/* ---- The header ---- */

static uint64_t status_get(const void *dev, unsigned arg, unsigned i)
{
    const PciDevice *pd = dev;
    return pd->status | (pd->intx ? PCI_STATUS_INTX : 0) | (pd->cap_pointer ? PCI_STATUS_CAPS : 0);
}

static uint64_t class_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const PciDevice *)dev)->class_code >> arg & 0xff;
}

static uint64_t header_get(const void *dev, unsigned arg, unsigned i)
{
    const PciDevice *pd = dev;
    return pd->header_type | (pd->multifunction ? 0x80 : 0);
}

#define CFG   .space = SPACE_PCI_CONFIG
#define TYPE0 WHEN(PciDevice, is_bridge, 1, 0)
#define TYPE1 WHEN(PciDevice, is_bridge, 1, 1)
// clang-format off
static const Row pci_device_rows[] = {
    PROP_AS(PciDevice, devfn, "addr", "-1", "Slot and optional function number, as in 06.0 or 06", .type = TYPE_PCI_ADDR),
    PROP(PciDevice, romfile, NULL, "File of the expansion ROM; empty: none"),
    PROP(PciDevice, rombar, "1", "0: no base address for the ROM; firmware gets it through fw_cfg"),
    PROP_AS(PciDevice, acpi_index, "acpi-index", "0", "Number by which the guest names the function (eno1 ...); 0: none"),
    PROP(PciDevice, multifunction, "off", "Function 0 says that the slot has more functions"),
    CALC(vendor, 2, 0x00, CFG, .ro = true, FROM(PciDevice, vendor_id), .doc = "Vendor ID"),
    CALC(device, 2, 0x02, CFG, .ro = true, FROM(PciDevice, device_id), .doc = "Device ID"),
    REG(PciDevice, command, 0x04, CFG, MASK(PciDevice, command_mask), .doc = "Command",
        .bits = "IO MEM MASTER SPECIAL MWI SNOOP PERR STEP SERR FBB INTX_OFF"),
    REG(PciDevice, status, 0x06, CFG, .w1c = 0xf900, .get = status_get, .doc = "Status",
        .bits = "- - - INTX CAPS 66MHZ - FBB MPERR - - STABORT RTABORT RMABORT SSERR PERR"),
    CALC(revision, 1, 0x08, CFG, .ro = true, FROM(PciDevice, revision_id), .doc = "Revision ID"),
    CALC(prog_if, 1, 0x09, CFG, .ro = true, .get = class_get, .arg = 0, .doc = "Programming interface"),
    CALC(subclass, 1, 0x0a, CFG, .ro = true, .get = class_get, .arg = 8, .doc = "Subclass"),
    CALC(class, 1, 0x0b, CFG, .ro = true, .get = class_get, .arg = 16, .doc = "Base class"),
    REG(PciDevice, cache_line_size, 0x0c, CFG, .rw = 0xff, .doc = "Cache line size"),
    REG(PciDevice, latency_timer, 0x0d, CFG, MASK(PciDevice, latency_mask), .doc = "Latency timer"),
    CALC(header, 1, 0x0e, CFG, .ro = true, .get = header_get, .doc = "Header type"),
    REGS(PciDevice, bar, 0x10, CFG, TYPE0, .mask = {offsetof(PciDevice, bar_mask), 4}, .doc = "Base addresses"),
    {.kind = ROW_REG, .stored = true, .field = offsetof(PciDevice, bar), .size = 4, .count = 2, .name = "bridge_bar", .at = 0x10,
     CFG, TYPE1, .mask = {offsetof(PciDevice, bar_mask), 4}, .doc = "Base addresses, of a bridge"},
    CALC(subsystem_vendor, 2, 0x2c, CFG, TYPE0, .ro = true, FROM(PciDevice, subsystem_vendor_id),
         .doc = "Subsystem vendor ID"),
    CALC(subsystem, 2, 0x2e, CFG, TYPE0, .ro = true, FROM(PciDevice, subsystem_id), .doc = "Subsystem ID"),
    REG(PciDevice, rom_bar, 0x30, CFG, TYPE0, MASK(PciDevice, rom_mask), .doc = "Expansion ROM base address"),
    {.kind = ROW_REG, .stored = true, .field = offsetof(PciDevice, rom_bar), .size = 4, .count = 1, .name = "bridge_rom_bar",
     .at = 0x38, CFG, TYPE1, MASK(PciDevice, rom_mask), .doc = "Expansion ROM base address, of a bridge"},
    CALC(capabilities, 1, 0x34, CFG, .ro = true, FROM(PciDevice, cap_pointer), .doc = "First capability"),
    REG(PciDevice, interrupt_line, 0x3c, CFG, .rw = 0xff, .doc = "Interrupt line, for the driver"),
    CALC(pin, 1, 0x3d, CFG, .ro = true, FROM(PciDevice, interrupt_pin), .doc = "Interrupt pin"),
    STATE(PciDevice, intx, .doc = "The function asks for service"),
    DERIVED(PciDevice, bus_master),
    DERIVED(PciDevice, bar_at),
    DERIVED(PciDevice, rom_at),
    PIN(PciDevice, inta, "INTx#"),
    END
};
// clang-format on

static void same_index(void *arg, PciDevice *pd)
{
    PciDevice **search = arg;
    if (*search && pd != *search && pd->acpi_index == (*search)->acpi_index && !pd->dev.going) {
        *search = NULL;
    }
}

/* Systems take no larger ones as numbers of what is on the board. */
static bool check_index(PciDevice *pd, GError **error)
{
    enum { INDEX_MAX = 16 * 1024 - 1 };
    PciDevice *search = pd;
    if (pd->acpi_index > INDEX_MAX) {
        return error_fail(error, "acpi-index should be less or equal to %u", INDEX_MAX);
    }
    if (pd->acpi_index && pci_root()) {
        pci_foreach(pci_root(), same_index, &search);
    }
    return search || error_fail(error, "a PCI device with acpi-index = %u already exist", pd->acpi_index);
}

static bool pci_device_realize(void *dev, GError **error)
{
    PciDevice *pd = dev;
    const PciInfo *info = PCI_INFO(pd->dev.class);
    if (!check_index(pd, error)) {
        return false;
    }
    g_assert(info != NULL);
    pd->vendor_id = info->vendor;
    pd->device_id = info->device;
    bool none = !info->subsystem_vendor && !info->subsystem;
    pd->subsystem_vendor_id = none ? 0x1af4 : info->subsystem_vendor;
    pd->subsystem_id = none ? 0x1100 : info->subsystem;
    pd->class_code = info->class_code;
    pd->revision_id = info->revision;
    pd->interrupt_pin = info->interrupt_pin;
    pd->is_bridge = info->is_bridge;
    pd->latency_mask = info->express ? 0 : 0xf8; /* §6.2.4; PCI Express Base 2.0 §7.5.1.5 */
    pd->header_type = info->is_bridge ? 1 : 0;
    pd->command_mask = (uint16_t)((PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                   PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_OFF | info->command_rw) &
                                  ~info->command_fixed);
    for (unsigned n = 0; n < PCI_BARS; n++) {
        pd->bar_at[n] = PCI_UNMAPPED;
    }
    pd->rom_at = PCI_UNMAPPED;
    return rom_load(pd, error);
}

static void pci_device_unrealize(void *dev)
{
    PciDevice *pd = dev;
    region_free(g_steal_pointer(&pd->rom_region));
    mem_commit();
    ram_free(g_steal_pointer(&pd->rom));
}

static void pci_device_reset(void *dev, bool power_on)
{
    PciDevice *pd = dev;
    const PciInfo *info = PCI_INFO(pd->dev.class);
    pd->command = info->command_reset;
    pd->status = info->status_reset;
}

static void pci_device_update(void *dev)
{
    PciDevice *pd = dev;
    const PciInfo *info = PCI_INFO(pd->dev.class);
    /* The bits that say what a register is are no state: a snapshot cannot change them. */
    pd->command =
        (uint16_t)((pd->command & pd->command_mask) | (info->command_reset & ~pd->command_mask));
    pd->status = (uint16_t)((pd->status & 0xf900) | info->status_reset);
    for (unsigned n = 0; n < PCI_BARS; n++) {
        pd->bar[n] = (pd->bar[n] & pd->bar_mask[n]) | pd->bar_flags[n];
    }
    pd->rom_bar &= pd->rom_mask;
    pd->latency_timer &= pd->latency_mask;
    __atomic_store_n(&pd->bus_master, pd->command & PCI_COMMAND_MASTER, __ATOMIC_RELAXED); /* queue loops look at it */
    if (pd->bus) {
        update_windows(pd);
    }
    pci_caps_update(pd);
    drive_inta(pd);
}

const DeviceClass pci_device_class = {
    .name = "pci-device",
    .doc = "Function on a PCI bus",
    .abstract = true,
    .bus = "PCI",
    .size = sizeof(PciDevice),
    .rows = pci_device_rows,
    .info = &(const PciInfo){0},
    .realize = pci_device_realize,
    .unrealize = pci_device_unrealize,
    .reset = pci_device_reset,
    .update = pci_device_update,
};

PciDevice *pci_new(const DeviceClass *class, const char *id, int devfn, bool multifunction)
{
    PciDevice *pd = device_new(class, id);
    pd->devfn = devfn;
    pd->multifunction = multifunction;
    return pd;
}
