/* "isa-vga": the same card without PCI.  Firmware finds its BIOS among the files of fw_cfg. */
#include "hw/display/vga.h"
#include "hw/firmware/fw-cfg.h"
#include "hw/firmware/path.h"
#include "hw/isa/isa.h"

/* Where the Bochs display interface puts the framebuffer on buses that assign no addresses. */
#define LINEAR_AT UINT64_C(0xe0000000)

typedef struct VgaIsa {
    Device dev;
    Vga vga;
} VgaIsa;

bool vga_bios_offer(const char *device, const char *name, GError **error)
{
    FwCfg *fw = fw_cfg_find();
    if (!fw) {
        return true;
    }
    g_autofree char *path = fw_find_file(name), *data = NULL, *file = g_strdup_printf("vgaroms/%s", name);
    gsize len;
    if (!path) {
        return error_fail(error, "%s: there is no '%s' in the firmware folders (-L help)", device, name);
    }
    return g_file_get_contents(path, &data, &len, error) && fw_cfg_add_file(fw, file, data, len, error);
}

static bool vga_isa_realize(void *dev, GError **error)
{
    VgaIsa *s = dev;
    IsaBus *isa = isa_bus(&s->dev);
    if (!isa) {
        return true;
    }
    if (!vga_bios_offer("isa-vga", "vgabios-isavga.bin", error)) {
        return false;
    }
    vga_map(&s->vga, isa->memory, isa->io);
    region_map(isa->memory, s->vga.vram_region, LINEAR_AT, 0);
    return true;
}

static const Row rows[] = {
    PART(VgaIsa, vga, vga_core_class),
    END,
};

const DeviceClass vga_isa_class = {
    .name = "isa-vga",
    .doc = "Standard VGA on the ISA bus",
    .bus = "ISA",
    .category = "display",
    .open = 1 << VGA_PORTS,
    .size = sizeof(VgaIsa),
    .rows = rows,
    .realize = vga_isa_realize,
};
