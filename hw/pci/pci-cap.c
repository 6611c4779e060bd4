/* Capabilities in configuration space: power management, MSI, MSI-X (PCI 3.0 §6.7, §6.8; PCI PM 1.2
 * §3.2). */
#include "hw/pci/internal.h"

enum { CAP_ID_PM = 0x01, CAP_ID_MSI = 0x05, CAP_ID_MSIX = 0x11 };
enum { HERE = 1, WIDE = 2, MASKABLE = 4 }; /* PciCap.present */
enum {
    MSI_ENABLE = 1,
    MSI_MME = 7 << 4, /* log2 of the vectors that the guest granted */
    MSIX_ENABLE = 1 << 15,
    MSIX_MASK_ALL = 1 << 14,
    VECTOR_MASKED = 1,
};

void pci_cap_add(PciDevice *pd, PciCap *cap, unsigned at, uint8_t id)
{
    g_assert(at >= 0x40 && at < PCI_CONFIG_SIZE && !(at & 3));
    cap->id = id;
    cap->next = pd->cap_pointer;
    cap->present |= HERE;
    pd->cap_pointer = (uint8_t)at;
}

/* ---- Power management ---- */

#define PM_HERE WHEN(PciPmCap, cap.present, HERE, HERE)
static const Row pm_rows[] = {
    CALC(id, 1, 0, PM_HERE, .ro = true, FROM(PciPmCap, cap.id)),
    CALC(next, 1, 1, PM_HERE, .ro = true, FROM(PciPmCap, cap.next)),
    CALC(pmc, 2, 2, PM_HERE, .ro = true, .is = 0x0003, .doc = "Version 1.2, D0 and D3 only"),
    REG(PciPmCap, control, 4, PM_HERE, .rw = 0x0003, .reset = 0x0008,
        .doc = "PMCSR: power state; no soft reset between states"),
    END,
};
const DeviceClass pci_pm_cap_class = {
    .name = "pci-pm-cap",
    .plain = true,
    .abstract = true,
    .size = sizeof(PciPmCap),
    .rows = pm_rows,
};

void pci_pm_init(PciDevice *pd, PciPmCap *pm, unsigned at)
{
    pci_cap_add(pd, &pm->cap, at, CAP_ID_PM);
}

/* ---- MSI ---- */

static uint64_t msi_control_get(const void *cap, unsigned arg, unsigned i)
{
    const PciMsiCap *msi = cap;
    return msi->control | msi->log2_vectors << 1 | (msi->cap.present & WIDE ? 0x80 : 0) |
           (msi->cap.present & MASKABLE ? 0x100 : 0);
}

#define MSI_HERE   WHEN(PciMsiCap, cap.present, HERE, HERE)
#define MSI_NARROW WHEN(PciMsiCap, cap.present, HERE | WIDE, HERE)
#define MSI_WIDE   WHEN(PciMsiCap, cap.present, HERE | WIDE, HERE | WIDE)
#define MSI_MASKS  WHEN(PciMsiCap, cap.present, HERE | MASKABLE, HERE | MASKABLE)
// clang-format off
static const Row msi_rows[] = {
    CALC(id, 1, 0, MSI_HERE, .ro = true, FROM(PciMsiCap, cap.id)),
    CALC(next, 1, 1, MSI_HERE, .ro = true, FROM(PciMsiCap, cap.next)),
    REG(PciMsiCap, control, 2, MSI_HERE, .rw = MSI_ENABLE | MSI_MME, .get = msi_control_get, .doc = "Message control"),
    REG(PciMsiCap, address, 4, MSI_HERE, .rw = 0xfffffffc, .doc = "Message address"),
    REG(PciMsiCap, address_high, 8, MSI_WIDE, .rw = UINT32_MAX, .doc = "Message address, high"),
    REG(PciMsiCap, data, 8, MSI_NARROW, .rw = 0xffff, .doc = "Message data (32-bit variant)"),
    REG(PciMsiCap, data_wide, 12, MSI_WIDE, .rw = 0xffff, .doc = "Message data (64-bit variant)"),
    REG(PciMsiCap, mask, 16, MSI_MASKS, .rw = UINT32_MAX, .doc = "Mask bits"),
    REG(PciMsiCap, pending, 20, MSI_MASKS, .doc = "Pending bits"),
    END
};
// clang-format on
const DeviceClass pci_msi_cap_class = {
    .name = "pci-msi-cap",
    .plain = true,
    .abstract = true,
    .size = sizeof(PciMsiCap),
    .rows = msi_rows,
};

void pci_msi_init(PciDevice *pd, PciMsiCap *msi, unsigned at, unsigned vectors, bool wide,
                  bool maskable)
{
    g_assert(vectors && vectors <= 32 && !(vectors & (vectors - 1)));
    msi->log2_vectors = (uint8_t)__builtin_ctz(vectors);
    msi->cap.present = (uint8_t)((wide || maskable ? WIDE : 0) | (maskable ? MASKABLE : 0));
    pd->msi = msi;
    pci_cap_add(pd, &msi->cap, at, CAP_ID_MSI);
}

bool pci_msi_enabled(const PciDevice *pd)
{
    return pd->msi && (pd->msi->control & MSI_ENABLE);
}

/* The function varies the low bits of the data that belong to the granted vectors (§6.8.3.4). */
static void msi_send_vector(PciDevice *pd, unsigned vector)
{
    const PciMsiCap *msi = pd->msi;
    unsigned granted = MIN(msi->control >> 4 & 7, msi->log2_vectors);
    uint32_t bits = (1u << granted) - 1;
    bool wide = msi->cap.present & WIDE;
    uint64_t address = msi->address | (wide ? (uint64_t)msi->address_high << 32 : 0);
    uint32_t data = wide ? msi->data_wide : msi->data;
    pci_bus_message(pd, address, (data & ~bits) | (vector & bits));
}

void pci_msi_notify(PciDevice *pd, unsigned vector)
{
    if (!pci_msi_enabled(pd)) {
        return;
    }
    uint32_t bit = UINT32_C(1) << (vector & 31);
    if ((pd->msi->cap.present & MASKABLE) && (pd->msi->mask & bit)) {
        pd->msi->pending |= bit;
    } else {
        msi_send_vector(pd, vector & 31);
    }
}

/* ---- MSI-X ---- */

static uint64_t msix_control_get(const void *cap, unsigned arg, unsigned i)
{
    const PciMsixCap *msix = cap;
    return msix->control | (msix->vectors - 1u);
}

#define MSIX_HERE WHEN(PciMsixCap, cap.present, HERE, HERE)
#define MSIX_LIVE .live = {offsetof(PciMsixCap, vectors), 2}
// clang-format off
static const Row msix_rows[] = {
    CALC(id, 1, 0, MSIX_HERE, .ro = true, FROM(PciMsixCap, cap.id)),
    CALC(next, 1, 1, MSIX_HERE, .ro = true, FROM(PciMsixCap, cap.next)),
    REG(PciMsixCap, control, 2, MSIX_HERE, .rw = MSIX_ENABLE | MSIX_MASK_ALL, .get = msix_control_get,
        .doc = "Message control"),
    CALC(table, 4, 4, MSIX_HERE, .ro = true, FROM(PciMsixCap, table_at), .doc = "Table offset and BAR"),
    CALC(pba, 4, 8, MSIX_HERE, .ro = true, FROM(PciMsixCap, pba_at), .doc = "Pending bits' offset and BAR"),
    EACH(PciMsixCap, vector, address, MSIX_LIVE),
    EACH(PciMsixCap, vector, address_high, MSIX_LIVE),
    EACH(PciMsixCap, vector, data, MSIX_LIVE),
    EACH(PciMsixCap, vector, control, MSIX_LIVE, .reset = VECTOR_MASKED),
    STATES(PciMsixCap, pending),
    END
};
// clang-format on
const DeviceClass pci_msix_cap_class = {
    .name = "pci-msix-cap",
    .plain = true,
    .abstract = true,
    .size = sizeof(PciMsixCap),
    .rows = msix_rows,
};

void pci_msix_init(PciDevice *pd, PciMsixCap *msix, unsigned at, unsigned vectors,
                   unsigned table_bar, uint32_t table, unsigned pba_bar, uint32_t pba)
{
    g_assert(vectors && vectors <= PCI_MSIX_VECTORS && !((table | pba) & 7));
    msix->vectors = (uint16_t)vectors;
    msix->table_at = table | table_bar;
    msix->pba_at = pba | pba_bar;
    pd->msix = msix;
    pci_cap_add(pd, &msix->cap, at, CAP_ID_MSIX);
}

/* ---- The table and the pending bits in memory: dwords (§6.8.2 asks for aligned dword or qword
 * accesses) ---- */

static uint32_t *table_word(PciMsixCap *msix, uint64_t at)
{
    struct PciMsixVector *v = at / 16 < msix->vectors ? &msix->vector[at / 16] : NULL;
    if (!v || (at & 3)) {
        return NULL;
    }
    uint32_t *const words[] = {&v->address, &v->address_high, &v->data, &v->control};
    return words[at / 4 % 4];
}

static uint64_t table_read(void *opaque, uint64_t at, unsigned size)
{
    const uint32_t *word = table_word(opaque, at);
    return word ? *word : 0;
}

static void table_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    uint32_t *word = table_word(opaque, at);
    if (word) {
        *word = at % 16 == 12 ? (uint32_t)value & VECTOR_MASKED : (uint32_t)value;
    }
}

static uint64_t pba_read(void *opaque, uint64_t at, unsigned size)
{
    const PciMsixCap *msix = opaque;
    return at / 4 < G_N_ELEMENTS(msix->pending) && !(at & 3) ? msix->pending[at / 4] : 0;
}

static const IoOps table_ops = {table_read, table_write, 4, 4};
static const IoOps pba_ops = {pba_read, NULL, 4, 4};

Region *pci_msix_table(PciDevice *pd)
{
    return device_region_io_opaque(&pd->dev, "msix-table", pd->msix->vectors * 16, &table_ops,
                                   pd->msix);
}

Region *pci_msix_pba(PciDevice *pd)
{
    unsigned qwords = (pd->msix->vectors + 63u) / 64;
    return device_region_io_opaque(&pd->dev, "msix-pba", qwords * 8, &pba_ops, pd->msix);
}

enum { OWN_BAR = 4096, OWN_BAR_PBA = 2048 };

static uint64_t own_bar_read(void *opaque, uint64_t at, unsigned size)
{
    return at < OWN_BAR_PBA ? table_read(opaque, at, size)
                            : pba_read(opaque, at - OWN_BAR_PBA, size);
}

static void own_bar_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    if (at < OWN_BAR_PBA) {
        table_write(opaque, at, size, value);
    }
}

void pci_msix_init_bar(PciDevice *pd, PciMsixCap *msix, unsigned at, unsigned vectors, unsigned bar)
{
    static const IoOps ops = {own_bar_read, own_bar_write, 4, 4};
    pci_msix_init(pd, msix, at, vectors, bar, 0, bar, OWN_BAR_PBA);
    pci_bar(pd, bar, PCI_BAR_MEM, device_region_io_opaque(&pd->dev, "msix", OWN_BAR, &ops, msix));
}

bool pci_msix_enabled(const PciDevice *pd)
{
    return pd->msix && (pd->msix->control & MSIX_ENABLE);
}

static bool vector_masked(const PciMsixCap *msix, unsigned vector)
{
    return (msix->control & MSIX_MASK_ALL) || (msix->vector[vector].control & VECTOR_MASKED);
}

static uint64_t vector_address(const struct PciMsixVector *v)
{
    return (v->address & ~UINT32_C(3)) | (uint64_t)v->address_high << 32;
}

static void msix_send(PciDevice *pd, unsigned vector)
{
    const struct PciMsixVector *v = &pd->msix->vector[vector];
    pci_bus_message(pd, vector_address(v), v->data);
}

bool pci_msix_message(const PciDevice *pd, unsigned vector, uint64_t *address, uint32_t *data)
{
    const PciMsixCap *msix = pd->msix;
    if (!pci_msix_enabled(pd) || vector >= msix->vectors || vector_masked(msix, vector) || !pd->bus_master ||
        !pci_message_interrupts(vector_address(&msix->vector[vector]))) {
        return false;
    }
    *address = vector_address(&msix->vector[vector]);
    *data = msix->vector[vector].data;
    return true;
}

void pci_msix_notify(PciDevice *pd, unsigned vector)
{
    PciMsixCap *msix = pd->msix;
    if (!pci_msix_enabled(pd) || vector >= msix->vectors) {
        return;
    }
    if (vector_masked(msix, vector)) {
        msix->pending[vector / 32] |= UINT32_C(1) << vector % 32;
    } else {
        msix_send(pd, vector);
    }
}

/* ---- What the base class does for them ---- */

void pci_caps_update(PciDevice *pd)
{
    if (pci_msi_enabled(pd)) {
        uint32_t due = pd->msi->pending & ~pd->msi->mask;
        pd->msi->pending &= ~due;
        for (; due; due &= due - 1) {
            msi_send_vector(pd, (unsigned)__builtin_ctz(due));
        }
    }
    if (!pci_msix_enabled(pd)) {
        return;
    }
    for (unsigned word = 0; word < G_N_ELEMENTS(pd->msix->pending); word++) {
        for (uint32_t due = pd->msix->pending[word]; due; due &= due - 1) {
            unsigned vector = 32 * word + (unsigned)__builtin_ctz(due);
            if (vector < pd->msix->vectors && !vector_masked(pd->msix, vector)) {
                pd->msix->pending[word] &= ~(due & -due);
                msix_send(pd, vector);
            }
        }
    }
}
