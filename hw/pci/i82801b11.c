/* Intel ICH9, function 30.0: the bridge from the root bus of q35 to conventional PCI.  Sections are those of the ICH9 data
 * sheet (316972-004).
 *
 * It decodes subtractively (§5.1.3): what nobody on the root bus claims goes to the bus behind, so a card there need not lie in
 * a window.  That is how a display or an old card with fixed addresses works on such a board.  Registers of timing and of
 * hiding devices keep what firmware writes; the arbiter of a real one is not there to be tuned. */
#include "hw/pci/internal.h"
#include "hw/pci/pci-bridge.h"

typedef struct I82801b11 {
    PciBridge bridge;
    PciCap subsystem;
    uint16_t hiding;
    uint32_t delayed, policy;
    Region *rest_mem, *rest_io; /* all that is behind, below everything on the root bus */
} I82801b11;

enum { SUBSYSTEM_AT = 0x50, CAP_ID_SUBSYSTEM = 0x0d, HERE = 1 };
enum { ONLY_ENABLED = 1 << 7, LAST = -1000 }; /* policy: subtractive decode needs the enable bits; priority */

#define CFG       .space = SPACE_PCI_CONFIG
#define SUBSYSTEM CFG, WHEN(I82801b11, subsystem.present, HERE, HERE)
// clang-format off
static const Row rows[] = {
    REG(I82801b11, hiding, 0x40, CFG, .rw = 0x000f, .doc = "Secondary PCI device hiding"),
    REG(I82801b11, delayed, 0x44, CFG, .rw = 0xc000000f, .doc = "Delayed transaction control"),
    REG(I82801b11, policy, 0x4c, CFG, .rw = 0x00003ffe, .reset = 0x00001200, .doc = "Bridge policy",
        .bits = "- - - - - - - SDP"),
    CALC(subsystem_id, 1, SUBSYSTEM_AT, SUBSYSTEM, .ro = true, FROM(I82801b11, subsystem.id)),
    CALC(subsystem_next, 1, SUBSYSTEM_AT + 1, SUBSYSTEM, .ro = true, FROM(I82801b11, subsystem.next)),
    CALC(subsystem_ids, 4, SUBSYSTEM_AT + 4, SUBSYSTEM, .ro = true, .doc = "Subsystem: for the BIOS to write; none"),
    END,
};
// clang-format on

static bool b11_realize(void *dev, GError **error)
{
    I82801b11 *s = dev;
    PciDevice *pd = &s->bridge.pci;
    pci_cap_add(pd, &s->subsystem, SUBSYSTEM_AT, CAP_ID_SUBSYSTEM);
    s->rest_mem = region_alias("i82801b11-rest-mem", s->bridge.mem, 0, UINT64_C(1) << 32);
    s->rest_io = region_alias("i82801b11-rest-io", s->bridge.io, 0, 0x10000);
    region_set_enabled(s->rest_mem, false);
    region_set_enabled(s->rest_io, false);
    if (pd->bus) {
        region_map(pci_bus_mem(pd->bus), s->rest_mem, 0, LAST);
        region_map(pci_bus_io(pd->bus), s->rest_io, 0, LAST);
    }
    return true;
}

/* Before the base class frees what they show. */
static void b11_unrealize(void *dev)
{
    I82801b11 *s = dev;
    region_free(g_steal_pointer(&s->rest_mem));
    region_free(g_steal_pointer(&s->rest_io));
}

/* §11.1.24: without SDP whatever the command register says. */
static void b11_update(void *dev)
{
    I82801b11 *s = dev;
    unsigned on = s->policy & ONLY_ENABLED ? s->bridge.pci.command : PCI_COMMAND_MEMORY | PCI_COMMAND_IO;
    region_set_enabled(s->rest_mem, on & PCI_COMMAND_MEMORY);
    region_set_enabled(s->rest_io, on & PCI_COMMAND_IO);
}

const DeviceClass i82801b11_bridge_class = {
    .name = "i82801b11-bridge",
    .doc = "Intel 82801 DMI-to-PCI bridge",
    .base = &bridge_base_class,
    .bus = "PCI",
    .category = "bridge",
    .size = sizeof(I82801b11),
    .rows = rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x244e,
            .revision = 0x92,
            .class_code = 0x060401,
            .is_bridge = true,
        },
    .realize = b11_realize,
    .unrealize = b11_unrealize,
    .update = b11_update,
};
