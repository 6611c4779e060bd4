#include "hw/pci/pc-host.h"

#include <string.h>

/* ---- Function 0 ---- */

/* 440FX §3.2.19, Q35 §5.1.33: locking closes the area for good; the rows freeze the bits. */
void pc_host_smram_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    PcHostFunction *s = dev;
    if (s->smram & SMRAM_LOCK) {
        s->smram &= (uint8_t)~SMRAM_OPEN;
    }
}

static void function_update(void *dev)
{
    PcHostFunction *s = dev;
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

static bool function_realize(void *dev, GError **error)
{
    PcHostFunction *s = dev;
    if (s->memory) {
        pam_init(&s->areas, s->memory);
        smram_init(&s->smram_areas, s->memory);
    }
    return true;
}

static void function_unrealize(void *dev)
{
    PcHostFunction *s = dev;
    pam_free(&s->areas);
    smram_free(&s->smram_areas);
}

const DeviceClass pc_host_function_class = {
    .name = "pc-host-function",
    .doc = "Host bridge of a PC",
    .base = &pci_device_class,
    .abstract = true,
    .bus = "PCI",
    .size = sizeof(PcHostFunction),
    .realize = function_realize,
    .unrealize = function_unrealize,
    .update = function_update,
};

/* ---- The host bridge ---- */

static const PcHostInfo *info_of(const PcHost *h)
{
    return h->dev.class->info;
}

static bool host_realize(void *dev, GError **error)
{
    PcHost *h = dev;
    PciHost host = {
        .mem = h->memory ? h->memory->pci : space_root(space_memory()),
        .io = space_root(space_io()),
        .dma_space = space_memory(),
    };
    h->ports.root = pci_bus_new(&h->dev, info_of(h)->bus, &host);
    region_map(host.io,
               device_region_io_opaque(&h->dev, "pci-conf", 8, &pci_config_ports_ops, &h->ports),
               0xcf8, 0);
    return true;
}

static void host_unrealize(void *dev)
{
    PcHost *h = dev;
    pci_bus_free(g_steal_pointer(&h->ports.root));
}

static const Row host_rows[] = {
    STATE(PcHost, ports.address, .doc = "CONFIG_ADDRESS"),
    END,
};

const DeviceClass pc_host_class = {
    .name = "pc-host",
    .doc = "Host bridge of a PC, with its bus",
    .abstract = true,
    .size = sizeof(PcHost),
    .rows = host_rows,
    .realize = host_realize,
    .unrealize = host_unrealize,
};

Device *pc_host_new(const DeviceClass *class, PcMemory *m, GError **error)
{
    PcHost *h = device_new(class, NULL);
    h->memory = m;
    if (!device_realize(&h->dev, NULL, error)) {
        device_free(&h->dev);
        return NULL;
    }
    PcHostFunction *s = (PcHostFunction *)pci_new(info_of(h)->function, NULL, PCI_DEVFN(0, 0), false);
    s->memory = m;
    if (!device_realize(&s->pci.dev, pci_bus_as_bus(h->ports.root), error)) {
        device_free(&s->pci.dev);
        device_free(&h->dev);
        return NULL;
    }
    h->function = s;
    return &h->dev;
}

PciBus *pc_host_bus(Device *host)
{
    return ((PcHost *)host)->ports.root;
}

Space *pc_host_smm_space(Device *host)
{
    return ((PcHost *)host)->function->smram_areas.space;
}

PcHostShadow pc_host_shadow(const Device *host)
{
    const PcHostFunction *s = ((const PcHost *)host)->function;
    PcHostShadow shadow = {.bios = s->pam_bios, .smram = s->smram};
    memcpy(shadow.area, s->pam, sizeof(s->pam));
    return shadow;
}

void pc_host_set_shadow(Device *host, const PcHostShadow *shadow)
{
    PcHostFunction *s = ((PcHost *)host)->function;
    s->pam_bios = shadow->bios;
    s->smram = shadow->smram;
    memcpy(s->pam, shadow->area, sizeof(s->pam));
    device_settle(&s->pci.dev);
}
