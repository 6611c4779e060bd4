/* PCI functions as people read them: `info pci`, class names, OpenFirmware node names. */
#include "hw/pci/internal.h"

#include <string.h>

typedef struct ClassName {
    uint16_t code;    /* class and subclass */
    const char *text; /* for people */
    const char *node; /* IEEE 1275 PCI binding */
} ClassName;

/* PCI Code and ID Assignment. */
static const ClassName class_names[] = {
    {0x0001, "VGA controller", "display"},
    {0x0100, "SCSI controller", "scsi"},
    {0x0101, "IDE controller", "ide"},
    {0x0102, "Floppy controller", "fdc"},
    {0x0103, "IPI controller", "ipi"},
    {0x0104, "RAID controller", "raid"},
    {0x0106, "SATA controller", NULL},
    {0x0107, "SAS controller", NULL},
    {0x0108, "NVM controller", NULL},
    {0x0180, "Storage controller", NULL},
    {0x0200, "Ethernet controller", "ethernet"},
    {0x0201, "Token Ring controller", "token-ring"},
    {0x0202, "FDDI controller", "fddi"},
    {0x0203, "ATM controller", "atm"},
    {0x0280, "Network controller", NULL},
    {0x0300, "VGA controller", "display"},
    {0x0301, "XGA controller", NULL},
    {0x0302, "3D controller", NULL},
    {0x0380, "Display controller", NULL},
    {0x0400, "Video controller", "video"},
    {0x0401, "Audio controller", "sound"},
    {0x0402, "Phone", NULL},
    {0x0403, "Audio controller", "sound"},
    {0x0480, "Multimedia controller", NULL},
    {0x0500, "RAM controller", "memory"},
    {0x0501, "Flash controller", "flash"},
    {0x0580, "Memory controller", NULL},
    {0x0600, "Host bridge", "host"},
    {0x0601, "ISA bridge", "isa"},
    {0x0602, "EISA bridge", "eisa"},
    {0x0603, "MC bridge", "mca"},
    {0x0604, "PCI bridge", "pci-bridge"},
    {0x0605, "PCMCIA bridge", "pcmcia"},
    {0x0606, "NUBUS bridge", "nubus"},
    {0x0607, "CARDBUS bridge", "cardbus"},
    {0x0680, "Bridge", NULL},
    {0x0700, "Serial port", "serial"},
    {0x0701, "Parallel port", "parallel"},
    {0x0800, "Interrupt controller", "interrupt-controller"},
    {0x0801, "DMA controller", "dma-controller"},
    {0x0802, "Timer", "timer"},
    {0x0803, "RTC", "rtc"},
    {0x0900, "Keyboard", "keyboard"},
    {0x0901, "Pen", "pen"},
    {0x0902, "Mouse", "mouse"},
    {0x0a00, "Dock station", "dock"},
    {0x0b00, "i386 cpu", "cpu"},
    {0x0c00, "Firewire controller", "firewire"},
    {0x0c01, "Access bus controller", "access-bus"},
    {0x0c02, "SSA controller", "ssa"},
    {0x0c03, "USB controller", "usb"},
    {0x0c04, "Fibre channel controller", "fibre-channel"},
    {0x0c05, "SMBus", NULL},
};

static const ClassName *find_name(uint32_t class_code)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(class_names); i++) {
        if (class_names[i].code == class_code >> 8) {
            return &class_names[i];
        }
    }
    return NULL;
}

const char *pci_class_text(uint32_t class_code)
{
    const ClassName *name = find_name(class_code);
    if (name) {
        return name->text;
    }
    g_autofree char *text = g_strdup_printf("Class %04x", class_code >> 8);
    return g_intern_string(text);
}

char *pci_node_name(const PciDevice *pd)
{
    const ClassName *name = find_name(pd->class_code);
    return name && name->node ? g_strdup(name->node)
                              : g_strdup_printf("pci%04x,%04x", pd->vendor_id, pd->device_id);
}

static void print_bars(const PciDevice *pd, GString *out)
{
    PciBarInfo bars[PCI_BARS + 1];
    unsigned n = pci_bars(pd, bars);
    for (unsigned i = 0; i < n; i++) {
        const PciBarInfo *b = &bars[i];
        uint64_t last = b->address + b->size - 1;
        if (b->memory) {
            g_string_append_printf(out,
                                   "      BAR%u: %d bit%s memory at 0x%08" G_GINT64_MODIFIER
                                   "x [0x%08" G_GINT64_MODIFIER "x].\n",
                                   b->bar, b->mem64 ? 64 : 32, b->prefetch ? " prefetchable" : "",
                                   b->address, last);
        } else {
            g_string_append_printf(out,
                                   "      BAR%u: I/O at 0x%04" G_GINT64_MODIFIER
                                   "x [0x%04" G_GINT64_MODIFIER "x].\n",
                                   b->bar, b->address, last);
        }
    }
}

static uint64_t peek(const Device *d, const char *row)
{
    return device_peek(d, row, 0);
}

/* Bus numbers and windows (PCI-to-PCI Bridge 1.2 §3.2.5). */
static void print_bridge(const Device *d, GString *out)
{
    uint64_t high = peek(d, "prefetch_base_high") << 32, last = peek(d, "prefetch_limit_high") << 32;
    g_string_append_printf(out, "      BUS %u.\n      secondary bus %u.\n      subordinate bus %u.\n",
                           (unsigned)peek(d, "primary"), (unsigned)peek(d, "secondary"),
                           (unsigned)peek(d, "subordinate"));
    g_string_append_printf(out, "      IO range [0x%04x, 0x%04x]\n", (unsigned)(peek(d, "io_base") & 0xf0) << 8,
                           (unsigned)(peek(d, "io_limit") & 0xf0) << 8 | 0xfff);
    g_string_append_printf(out, "      memory range [0x%08x, 0x%08x]\n",
                           (unsigned)(peek(d, "mem_base") & 0xfff0) << 16,
                           (unsigned)(peek(d, "mem_limit") & 0xfff0) << 16 | 0xfffff);
    g_string_append_printf(out,
                           "      prefetchable memory range [0x%08" G_GINT64_MODIFIER "x, 0x%08" G_GINT64_MODIFIER
                           "x]\n",
                           high | (peek(d, "prefetch_base") & 0xfff0) << 16,
                           last | (peek(d, "prefetch_limit") & 0xfff0) << 16 | 0xfffff);
}

static void print_function(void *arg, PciDevice *pd)
{
    GString *out = arg;
    g_string_append_printf(out, "  Bus %2u, device %3d, function %d:\n", pci_bus_number(pd->bus),
                           PCI_SLOT(pd->devfn), PCI_FUNC(pd->devfn));
    g_string_append_printf(out, "    %s: PCI device %04x:%04x\n", pci_class_text(pd->class_code),
                           pd->vendor_id, pd->device_id);
    if (!pd->is_bridge) {
        g_string_append_printf(out, "      PCI subsystem %04x:%04x\n", pd->subsystem_vendor_id,
                               pd->subsystem_id);
    }
    if (pd->interrupt_pin) {
        g_string_append_printf(out, "      IRQ %u, pin %c\n", pd->interrupt_line,
                               'A' + pd->interrupt_pin - 1);
    }
    if (pd->is_bridge) {
        print_bridge(&pd->dev, out);
    }
    print_bars(pd, out);
    g_string_append_printf(out, "      id \"%s\"\n", pd->dev.id ? pd->dev.id : "");
}

void pci_print(PciBus *root, GString *out)
{
    pci_foreach(root, print_function, out);
}
