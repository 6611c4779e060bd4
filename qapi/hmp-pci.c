/* `pcie_aer_inject_error`: a function of PCI Express meets an error. */
#include <inttypes.h>
#include <string.h>

#include "hw/pci/pcie-aer.h"
#include "qapi/hmp-internal.h"

enum { DOMAIN = 0 }; /* boards have one root bus */

static PciDevice *find_function(const char *id, GError **error)
{
    Device *d = device_find(id);
    if (!d) {
        error_fail(error, "Device '%s' not found", id);
        return NULL;
    }
    if (!device_class_is(d->class, "pci-device")) {
        error_fail(error, "Device '%s' is no PCI function", id);
        return NULL;
    }
    return (PciDevice *)d;
}

/* A name, which says of which kind it is, or the number of a bit, of which -c says so. */
static bool error_status(const HmpArgs *a, PcieError *e, GError **error)
{
    const char *text = hmp_text(a, "error_status");
    e->correctable = hmp_flag(a, "c");
    if (pcie_error_by_name(text, &e->status, &e->correctable)) {
        return true;
    }
    guint64 value;
    bool hex = g_str_has_prefix(text, "0x");
    if (!g_ascii_string_to_unsigned(hex ? text + 2 : text, hex ? 16 : 10, 0, UINT32_MAX, &value, NULL)) {
        return error_fail(error, "invalid error status value '%s', expected: a name as BAD_TLP, or a number", text);
    }
    e->status = (uint32_t)value;
    return true;
}

/* header0 ..., prefix0 ...; *out is NULL where the first is not given. */
static bool packet(const HmpArgs *a, const char *what, uint32_t words[PCIE_TLP_WORDS], const uint32_t **out, GError **error)
{
    const int64_t absent = INT64_MIN;
    *out = NULL;
    for (unsigned i = 0; i < PCIE_TLP_WORDS; i++) {
        g_autofree char *name = g_strdup_printf("%s%u", what, i);
        int64_t v = hmp_number(a, name, absent);
        if (v != absent && (v < INT32_MIN || v > UINT32_MAX)) {
            return error_fail(error, "%s: 0x%" PRIx64 " has more than 32 bits", name, (uint64_t)v);
        }
        *out = v != absent ? words : *out;
        words[i] = v == absent ? 0 : (uint32_t)v;
    }
    return true;
}

void hmp_pcie_aer_inject_error(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    uint32_t header[PCIE_TLP_WORDS], prefix[PCIE_TLP_WORDS];
    PcieError e = {.advisory = hmp_flag(a, "a")};
    PciDevice *pd = find_function(hmp_text(a, "id"), &error);
    if (!pd || !error_status(a, &e, &error) || !packet(a, "header", header, &e.header, &error) ||
        !packet(a, "prefix", prefix, &e.prefix, &error) || !pcie_error(pd, &e, &error)) {
        hmp_error(h, error);
        return;
    }
    hmp_print(h, "OK id: %s root bus: %04x:%02x, bus: %x devfn: %x.%x\n", hmp_text(a, "id"), DOMAIN, pci_bus_number(pci_root()),
              pci_bus_number(pd->bus), PCI_SLOT(pd->devfn), PCI_FUNC(pd->devfn));
}
