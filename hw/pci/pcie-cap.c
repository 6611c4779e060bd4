/* The capability of PCI Express, and native hot-plug (PCI Express Base 2.0 §6.7, §7.8). */
#include "hw/pci/pcie-cap.h"

enum { CAP_ID_EXPRESS = 0x10 };
enum { HERE = 1, SLOT = 2, ROOT = 4 }; /* PciCap.present */
enum { LINK_DISABLE = 1 << 4, LINK_DOWNSTREAM = 0x00d3, LINK_UPSTREAM = 0x00c3, LINK_ACTIVE = 1 << 13 };
enum { /* slot capabilities (§7.8.9) */
       CAP_BUTTON = 1 << 0,
       CAP_POWER = 1 << 1,
       CAP_ATTENTION = 1 << 3,
       CAP_INDICATOR = 1 << 4,
       CAP_SURPRISE = 1 << 5,
       CAP_HOTPLUG = 1 << 6,
       CAP_NUMBER_SHIFT = 19
};
enum { /* slot status (§7.8.11); bits 0 to 4 of slot control (§7.8.10) enable the interrupt for them */
       BUTTON = 1 << 0,
       PRESENCE = 1 << 3,
       COMPLETED = 1 << 4,
       FILLED = 1 << 6,
       LINK_CHANGED = 1 << 8,
       EVENTS = 0x011f
};
enum { /* slot control */
       INTERRUPT = 1 << 5,
       ATTENTION_OFF = 3 << 6,
       INDICATOR = 3 << 8,
       INDICATOR_ON = 1 << 8,
       INDICATOR_BLINKS = 2 << 8,
       INDICATOR_OFF = 3 << 8,
       POWER_OFF = 1 << 10,
       LINK_EVENTS = 1 << 12,
       SLOT_CONTROL = 0x17ff
};

/* ---- The slot ---- */

bool pcie_slot_powered(const PcieCap *s)
{
    return !(s->hotplug && s->power_controller && (s->slot_control & POWER_OFF));
}

bool pcie_slot_blinks(const PcieCap *s)
{
    return s->hotplug && (s->slot_control & INDICATOR) == INDICATOR_BLINKS;
}

/* A card may be taken out when the indicator is off (§6.7.1.1), which it is when the power is. */
static bool released(const PcieCap *s, uint64_t control)
{
    return (control & INDICATOR) == INDICATOR_OFF &&
           (!s->power_controller || (control & POWER_OFF));
}

static void slot_control_write(void *cap, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    PcieCap *s = cap;
    if (!s->hotplug) {
        return;
    }
    s->slot_status |= COMPLETED;
    s->left |= s->present && released(s, value) && !released(s, old);
    s->kept |= (old & INDICATOR) == INDICATOR_BLINKS && (value & INDICATOR) == INDICATOR_ON;
}

/* Software that sets up the slot throws away what it was not there to hear: the button is pressed in vain. */
static void slot_status_write(void *cap, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    PcieCap *s = cap;
    bool heard = (s->slot_control & INTERRUPT) && (s->slot_control & BUTTON);
    s->kept |= (old & ~(uint64_t)s->slot_status & BUTTON) && !heard;
}

void pcie_slot_reset(PcieCap *s, bool present)
{
    s->present = present;
    s->slot_control = 0;
    if (s->hotplug) {
        unsigned idle = INDICATOR_OFF | (s->power_controller ? POWER_OFF : 0);
        s->slot_control = (uint16_t)(ATTENTION_OFF | (present ? (unsigned)INDICATOR_ON : idle));
    }
    s->link = present;
}

void pcie_slot_see(PcieCap *s, bool present)
{
    bool link = present && pcie_slot_powered(s) && !(s->link_control & LINK_DISABLE);
    if (s->hotplug) {
        s->slot_status |= s->present != present ? PRESENCE : 0;
        s->slot_status |= s->link != link ? LINK_CHANGED : 0;
    }
    s->present = present;
    s->link = link;
}

void pcie_slot_press(PcieCap *s)
{
    s->slot_status |= BUTTON;
}

bool pcie_slot_asks(const PcieCap *s)
{
    unsigned on = s->slot_control & (EVENTS & ~LINK_CHANGED);
    on |= s->slot_control & LINK_EVENTS ? LINK_CHANGED : 0;
    return (s->slot_control & INTERRUPT) && (s->slot_status & on);
}

/* ---- Registers ---- */

static uint64_t kind_get(const void *cap, unsigned arg, unsigned i)
{
    enum { VERSION = 2, SLOT_IMPLEMENTED = 1 << 8 };
    const PcieCap *s = cap;
    return VERSION | (unsigned)s->kind << 4 | (s->cap.present & SLOT ? SLOT_IMPLEMENTED : 0);
}

static uint64_t link_cap_get(const void *cap, unsigned arg, unsigned i)
{
    enum { ONE_LANE = 0x11, REPORTS_ACTIVE = 1 << 20 }; /* of 2.5 GT/s */
    const PcieCap *s = cap;
    return ONE_LANE | (s->cap.present & SLOT ? REPORTS_ACTIVE : 0) | (uint64_t)s->port << 24;
}

static uint64_t link_status_get(const void *cap, unsigned arg, unsigned i)
{
    enum { ONE_LANE = 0x0011 };
    const PcieCap *s = cap;
    return ONE_LANE | (s->cap.present & SLOT && s->link ? LINK_ACTIVE : 0);
}

static uint64_t slot_cap_get(const void *cap, unsigned arg, unsigned i)
{
    enum { HOTPLUG = CAP_BUTTON | CAP_ATTENTION | CAP_INDICATOR | CAP_SURPRISE | CAP_HOTPLUG };
    const PcieCap *s = cap;
    unsigned power = s->power_controller ? CAP_POWER : 0;
    return (s->hotplug ? HOTPLUG | power : 0) | (uint32_t)s->slot_number << CAP_NUMBER_SHIFT;
}

static uint64_t slot_status_get(const void *cap, unsigned arg, unsigned i)
{
    const PcieCap *s = cap;
    return s->slot_status | (s->present ? FILLED : 0);
}

#define ANY     WHEN(PcieCap, cap.present, HERE, HERE)
#define IF_SLOT WHEN(PcieCap, cap.present, SLOT, SLOT)
#define IF_ROOT WHEN(PcieCap, cap.present, ROOT, ROOT)
// clang-format off
static const Row rows[] = {
    CALC(id, 1, 0, ANY, .ro = true, FROM(PcieCap, cap.id)),
    CALC(next, 1, 1, ANY, .ro = true, FROM(PcieCap, cap.next)),
    CALC(kind_of, 2, 2, ANY, .ro = true, .get = kind_get, .doc = "PCI Express capabilities: version 2, type of port"),
    CALC(device_cap, 4, 4, ANY, .ro = true, .is = 0x00008000, .doc = "Payloads of 128 bytes; errors told by their role"),
    REG(PcieCap, device_control, 8, ANY, .rw = 0x000f, .doc = "Device control: which errors are reported"),
    REG(PcieCap, device_status, 10, ANY, .w1c = 0x000f, .doc = "Device status"),
    CALC(link_cap, 4, 12, ANY, .ro = true, .get = link_cap_get, .doc = "Link capabilities: one lane, 2.5 GT/s"),
    REG(PcieCap, link_control, 16, ANY, MASK(PcieCap, link_mask), .doc = "Link control",
        .bits = "L0S L1 - RCB DISABLE RETRAIN COMMON_CLOCK EXTENDED_SYNCH"),
    CALC(link_status, 2, 18, ANY, .ro = true, .get = link_status_get, .doc = "Link status"),
    CALC(slot_cap, 4, 20, IF_SLOT, .ro = true, .get = slot_cap_get, .doc = "Slot capabilities"),
    REG(PcieCap, slot_control, 24, IF_SLOT, MASK(PcieCap, slot_mask), .on_write = slot_control_write, .doc = "Slot control",
        .bits = "ABPE PFDE MRLSCE PDCE CCIE HPIE AIC0 AIC1 PIC0 PIC1 PCC EIC DLLSCE"),
    REG(PcieCap, slot_status, 26, IF_SLOT, .w1c = EVENTS, .get = slot_status_get, .on_write = slot_status_write,
        .doc = "Slot status", .bits = "ABP PFD MRLSC PDC CC MRLSS PDS EIS DLLSC"),
    REG(PcieCap, root_control, 28, IF_ROOT, .rw = 0x000f, .doc = "Root control"),
    REG(PcieCap, root_status, 32, IF_ROOT, .w1c = 1 << 16, .doc = "Root status"),
    CALC(device_cap2, 4, 36, ANY, .ro = true, .is = 0x00300000, .doc = "Device capabilities 2: packets may have prefixes"),
    STATE(PcieCap, present),
    STATE(PcieCap, link),
    DERIVED(PcieCap, left),
    DERIVED(PcieCap, kept),
    END
};
// clang-format on

const DeviceClass pcie_cap_class = {
    .name = "pcie-cap",
    .plain = true,
    .abstract = true,
    .size = sizeof(PcieCap),
    .rows = rows,
};

void pcie_cap_init(PciDevice *pd, PcieCap *s, unsigned at, PcieKind kind)
{
    bool has_slot = kind == PCIE_ROOT_PORT || kind == PCIE_DOWNSTREAM;
    s->kind = kind;
    pd->express = s;
    s->cap.present = (uint8_t)((has_slot ? SLOT : 0) | (kind == PCIE_ROOT_PORT ? ROOT : 0));
    s->link_mask = has_slot ? LINK_DOWNSTREAM : LINK_UPSTREAM;
    s->slot_mask = s->hotplug ? SLOT_CONTROL & ~(s->power_controller ? 0 : POWER_OFF) : 0;
    pci_cap_add(pd, &s->cap, at, CAP_ID_EXPRESS);
}
