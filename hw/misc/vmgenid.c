#include "hw/misc/vmgenid.h"

#include <string.h>

#include "hw/firmware/fw-cfg.h"
#include "hw/pci/acpi-pm.h"

typedef struct Vmgenid {
    Device dev;
    char *guid_text;                    /* property */
    uint8_t guid[16];                   /* made by realize, as it lies in memory: the first fields little-endian */
    uint8_t told[16];                   /* what the guest's memory holds                                     */
    uint8_t address[8];                 /* of the page, little-endian; zero: the firmware has not said       */
} Vmgenid;

static void find(void *arg, Device *d)
{
    if (!strcmp(d->class->name, "vmgenid")) {
        *(Device **)arg = d;
    }
}

Device *vmgenid_find(void)
{
    Device *d = NULL;
    device_foreach(find, &d);
    return d;
}

/* Between text order and memory order; its own inverse. */
static void swap(uint8_t *to, const uint8_t *from)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned i = 0; i < 16; i++) {
        to[i] = from[order[i]];
    }
}

char *vmgenid_text(const Device *dev)
{
    GString *out = g_string_new(NULL);
    uint8_t bytes[16];
    swap(bytes, ((const Vmgenid *)dev)->guid);
    for (unsigned i = 0; i < 16; i++) {
        g_string_append_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    }
    return g_string_free(out, FALSE);
}

static bool choose(Vmgenid *s, GError **error)
{
    g_autofree char *random = g_uuid_string_random();
    bool automatic = !s->guid_text || !strcmp(s->guid_text, "auto");
    const char *text = automatic ? random : s->guid_text;
    uint8_t bytes[16];
    if (!g_uuid_string_is_valid(text)) {
        return error_fail(error, "Property 'vmgenid.guid' takes a UUID or 'auto', not '%s'", text);
    }
    for (unsigned i = 0; i < 16; i++) {
        text += *text == '-';
        bytes[i] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
        text += 2;
    }
    swap(s->guid, bytes);
    return true;
}

/* The page was just put there with the identifier in it. */
static void address_written(void *arg, size_t offset, size_t len)
{
    Vmgenid *s = arg;
    memcpy(s->told, s->guid, sizeof(s->told));
    device_settle(&s->dev);
}

static bool vmgenid_realize(void *dev, GError **error)
{
    Vmgenid *s = dev;
    FwCfg *fw = fw_cfg_find();
    uint8_t page[VMGENID_PAGE] = {0};
    if (fw && vmgenid_find()) {
        return error_fail(error, "at most one vmgenid device is permitted");
    }
    if (!choose(s, error)) {
        return false;
    }
    memcpy(page + VMGENID_OFFSET, s->guid, sizeof(s->guid));
    FwCfgHooks hooks = {.written = address_written, .arg = s, .buffer = s->address};
    if (fw && !(fw_cfg_add_file(fw, VMGENID_GUID_FILE, page, sizeof(page), error) &&
                fw_cfg_add_file_hooks(fw, VMGENID_ADDR_FILE, NULL, sizeof(s->address), &hooks, error))) {
        return false;
    }
    s->dev.dma = dma_grant(space_memory(), NULL);
    return true;
}

static void vmgenid_unrealize(void *dev)
{
    Vmgenid *s = dev;
    FwCfg *fw = fw_cfg_find();
    if (fw) {
        fw_cfg_add_file_hooks(fw, VMGENID_ADDR_FILE, "", 0, &(FwCfgHooks){0}, NULL);
    }
    dma_free(s->dev.dma);
    s->dev.dma = NULL;
}

/* A snapshot that another run took: the guest learns that it is a copy. */
static void vmgenid_update(void *dev)
{
    Vmgenid *s = dev;
    uint64_t at = load_le(s->address, sizeof(s->address));
    if (!at || !memcmp(s->told, s->guid, sizeof(s->told))) {
        return;
    }
    memcpy(s->told, s->guid, sizeof(s->told));
    dma_write(s->dev.dma, at + VMGENID_OFFSET, s->guid, sizeof(s->guid));
    acpi_gpe(GPE_VMGENID);
}

static const Row rows[] = {
    PROP_AS(Vmgenid, guid_text, "guid", NULL, "The identifier: a UUID, or auto: a random one"),
    STATES(Vmgenid, told),
    STATES(Vmgenid, address),
    END,
};

const DeviceClass vmgenid_class = {
    .name = "vmgenid",
    .doc = "VM generation identifier",
    .category = "misc",
    .size = sizeof(Vmgenid),
    .rows = rows,
    .realize = vmgenid_realize,
    .unrealize = vmgenid_unrealize,
    .update = vmgenid_update,
};
