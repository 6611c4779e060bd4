/* The standard hot-plug controller (PCI Standard Hot-Plug Controller 1.0, chapter 4: registers).
 *
 * Slots are of conventional PCI at 33 MHz, without latches: a card comes when somebody puts it in and presses the button,
 * and may be taken when the guest has switched the slot and its power indicator off.  Commands end at once. */
#include "hw/pci/shpc.h"

#include "hw/hotplug.h"

enum { CAP_ID_SHPC = 0x0c, HERE = 1 };
enum { /* slot register */
       STATE_MASK = 3 << 0,
       POWER_ONLY = 1 << 0,
       ENABLED = 2 << 0,
       DISABLED = 3 << 0,
       INDICATOR = 3 << 2,
       INDICATOR_ON = 1 << 2,
       INDICATOR_BLINKS = 2 << 2,
       INDICATOR_OFF = 3 << 2,
       ATTENTION = 3 << 4,
       ATTENTION_OFF = 3 << 4,
       EMPTY = 3 << 10, /* PRSNT1#, PRSNT2# */
       EVENT_SHIFT = 16,
       EVENTS = 0x1f << EVENT_SHIFT,
       PRESENCE = 1 << EVENT_SHIFT,
       BUTTON = 4 << EVENT_SHIFT,
       MASK_SHIFT = 24,
       MASKS = 0x7f << MASK_SHIFT,
       BUTTON_MASKED = 4 << MASK_SHIFT
};
enum { /* SERR-INT */
       ALL_MASKED = 1 << 0,
       COMMAND_MASKED = 1 << 2,
       MASKABLE = 0xf,
       COMMAND_ENDED = 1 << 16,
       ARBITER = 1 << 17
};
enum { /* command status */
       INVALID_COMMAND = 1 << 2,
       INVALID_SPEED = 1 << 3
};

/* ---- Commands ---- */

static bool released(uint32_t slot)
{
    return (slot & STATE_MASK) == DISABLED && (slot & INDICATOR) == INDICATOR_OFF;
}

/* The two-bit fields of a command are those of the slot; 0 leaves one as it is. */
static uint32_t changed_field(uint32_t slot, unsigned command, uint32_t field)
{
    return command & field ? (slot & ~field) | (command & field) : slot;
}

static unsigned operate(Shpc *s, unsigned n, unsigned command)
{
    if (n >= SHPC_SLOTS) {
        return INVALID_COMMAND;
    }
    uint32_t old = s->slot[n];
    if ((command & STATE_MASK) == POWER_ONLY && (old & STATE_MASK) == ENABLED) {
        return INVALID_COMMAND;
    }
    uint32_t new = changed_field(old, command, STATE_MASK);
    new = changed_field(new, command, INDICATOR);
    new = changed_field(new, command, ATTENTION);
    uint32_t bit = UINT32_C(1) << n;
    s->left |= (s->present & bit) && released(new) && !released(old) ? bit : 0;
    s->kept |= (old & INDICATOR) == INDICATOR_BLINKS && (new & INDICATOR) == INDICATOR_ON ? bit : 0;
    s->slot[n] = new;
    return 0;
}

/* All slots at once, which is for when none is in use. */
static unsigned operate_all(Shpc *s, unsigned command)
{
    for (unsigned n = 0; n < SHPC_SLOTS; n++) {
        if ((s->slot[n] & STATE_MASK) == ENABLED) {
            return INVALID_COMMAND;
        }
    }
    for (unsigned n = 0; n < SHPC_SLOTS; n++) {
        if (s->present >> n & 1) {
            operate(s, n, command);
        }
    }
    return 0;
}

static void command_write(void *part, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    enum { OPERATIONS = 0x40, SPEED = 0x40, SPEED_LAST = 0x47, POWER_ALL = 0x48, ENABLE_ALL = 0x49 };
    Shpc *s = part;
    unsigned code = value & 0xff, target = value >> 8 & 0x1f;
    if (code < OPERATIONS) {
        s->status = (uint16_t)operate(s, target - SHPC_FIRST, code);
    } else if (code <= SPEED_LAST) {
        s->status = code == SPEED ? 0 : INVALID_SPEED; /* 33 MHz it is */
    } else if (code == POWER_ALL || code == ENABLE_ALL) {
        unsigned state = code == POWER_ALL ? POWER_ONLY : ENABLED;
        s->status = (uint16_t)operate_all(s, state | INDICATOR_ON);
    } else {
        s->status = INVALID_COMMAND;
    }
    s->serr_int |= COMMAND_ENDED;
}

/* ---- Registers ---- */

static uint64_t locator_get(const void *part, unsigned arg, unsigned i)
{
    const Shpc *s = part;
    uint32_t bits = (s->serr_int & COMMAND_ENDED) && !(s->serr_int & COMMAND_MASKED);
    for (unsigned n = 0; n < SHPC_SLOTS; n++) {
        uint32_t events = (s->slot[n] & EVENTS) >> EVENT_SHIFT;
        bits |= events & ~(s->slot[n] >> MASK_SHIFT) ? UINT32_C(2) << n : 0;
    }
    return bits;
}

static uint64_t pending_get(const void *part, unsigned arg, unsigned i)
{
    enum { INTERRUPT = 1 << 3 };
    return locator_get(part, 0, 0) ? INTERRUPT : 0;
}

static uint64_t slot_get(const void *part, unsigned arg, unsigned i)
{
    const Shpc *s = part;
    return s->slot[i] | (s->present >> i & 1 ? 0 : EMPTY);
}

/* Software that sets up the controller throws away what it was not there to hear: the button is pressed in vain.  The mask
 * of all interrupts says nothing, since a handler may use it. */
static void slot_write(void *part, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Shpc *s = part;
    bool heard = !(old & BUTTON_MASKED);
    s->kept |= (old & ~value & BUTTON) && !heard ? UINT32_C(1) << i : 0;
}

#define CONFIG(part_at) SHPC_AT + part_at, .space = SPACE_PCI_CONFIG, ANY
#define ANY             WHEN(Shpc, cap.present, HERE, HERE)
// clang-format off
static const Row rows[] = {
    CALC(id, 1, CONFIG(0), .ro = true, FROM(Shpc, cap.id)),
    CALC(next, 1, CONFIG(1), .ro = true, FROM(Shpc, cap.next)),
    REG(Shpc, select, CONFIG(2), .rw = 0xff, .doc = "Dword select"),
    CALC(pending, 1, CONFIG(3), .ro = true, .get = pending_get, .doc = "What is pending", .bits = "- - SERR INTERRUPT"),
    WINDOW(Shpc, data, 4, CONFIG(4), SPACE_MAIN, select, .unit = 4),
    CALC(base_offset, 4, 0x00, ANY, .ro = true, .doc = "Where in BAR 0 the registers are"),
    CALC(slots_33, 4, 0x04, ANY, .ro = true, .is = SHPC_SLOTS, .doc = "Slots available: of 33 MHz"),
    CALC(slots_66, 4, 0x08, ANY, .ro = true, .doc = "Slots available: of 66 MHz"),
    CALC(configuration, 4, 0x0c, ANY, .ro = true, .is = SHPC_SLOTS | SHPC_FIRST << 8 | 1u << 16 | 1u << 29 | 1u << 31,
         .doc = "Slots, first device, first number, counting up, attention buttons"),
    CALC(bus, 2, 0x10, ANY, .ro = true, .doc = "Secondary bus: 33 MHz"),
    CALC(message, 1, 0x12, ANY, .ro = true, .doc = "MSI vector"),
    CALC(interface, 1, 0x13, ANY, .ro = true, .is = 1, .doc = "Programming interface"),
    REG(Shpc, command, 0x14, ANY, .rw = 0x1fff, .on_write = command_write, .doc = "Command; slot from bit 8"),
    REG(Shpc, status, 0x16, ANY, .doc = "Command status", .bits = "BUSY MRL_OPEN INVALID SPEED"),
    CALC(locator, 4, 0x18, ANY, .ro = true, .get = locator_get, .doc = "Interrupt locator"),
    CALC(serr_locator, 4, 0x1c, ANY, .ro = true, .doc = "SERR locator"),
    REG(Shpc, serr_int, 0x20, ANY, .rw = MASKABLE, .w1c = COMMAND_ENDED | ARBITER, .reset = MASKABLE,
        .doc = "SERR and interrupts",
        .bits = "INT_MASKED SERR_MASKED COMMAND_MASKED ARBITER_MASKED - - - - - - - - - - - - COMMAND ARBITER"),
    REGS(Shpc, slot, 0x24, ANY, .rw = MASKS, .w1c = EVENTS, .reset = MASKS, .get = slot_get, .on_write = slot_write,
         .doc = "A slot: state, indicators, events and their masks"),
    STATE(Shpc, present, .max = INT32_MAX),
    DERIVED(Shpc, left),
    DERIVED(Shpc, kept),
    END
};
// clang-format on

const DeviceClass shpc_class = {
    .name = "shpc",
    .plain = true,
    .abstract = true,
    .size = sizeof(Shpc),
    .rows = rows,
};

/* ---- The slots ---- */

/* A slot is function 0: without it nobody sees the others.  One that is hot-plugged counts when it works. */
static uint32_t filled(const Shpc *s)
{
    uint32_t bits = 0;
    for (unsigned n = 0; n < SHPC_SLOTS; n++) {
        const PciDevice *card = pci_find(s->bus, PCI_DEVFN(n + SHPC_FIRST, 0));
        bool is = card && !card->dev.going && (card->dev.realized || !card->dev.hotplugged);
        bits |= is ? UINT32_C(1) << n : 0;
    }
    return bits;
}

void shpc_reset(Shpc *s)
{
    if (!s->bus) {
        return;
    }
    s->present = filled(s);
    for (unsigned n = 0; n < SHPC_SLOTS; n++) {
        bool on = s->present >> n & 1;
        s->slot[n] = (on ? ENABLED | INDICATOR_ON : DISABLED | INDICATOR_OFF) | (uint32_t)ATTENTION_OFF | MASKS;
    }
}

void shpc_update(Shpc *s, PciBus *behind)
{
    s->bus = s->bus ? behind : NULL;
    if (!s->bus) {
        return;
    }
    uint32_t left = s->left, kept = s->kept;
    s->left = s->kept = 0;
    bool acpi = pci_bus_has_acpi_slots(s->bus);
    for (unsigned n = 0; n < SHPC_SLOTS; n++) {
        if (left >> n & 1 && !acpi) {
            pci_slot_gone(s->bus, n + SHPC_FIRST);
        } else if (kept >> n & 1) {
            pci_slot_kept(s->bus, n + SHPC_FIRST);
        }
    }
    uint32_t present = filled(s);
    for (unsigned n = 0; n < SHPC_SLOTS; n++) {
        s->slot[n] |= (s->present ^ present) >> n & 1 ? PRESENCE : 0;
        pci_slot_power(s->bus, n + SHPC_FIRST, acpi || (s->slot[n] & STATE_MASK) == ENABLED);
    }
    s->present = present;
}

bool shpc_asks(const Shpc *s)
{
    return s->bus && !(s->serr_int & ALL_MASKED) && locator_get(s, 0, 0);
}

/* ---- The controller ---- */

static bool accepts(void *opaque, const PciBus *bus)
{
    return true;
}

static void press(Shpc *s, unsigned slot)
{
    s->slot[slot - SHPC_FIRST] |= BUTTON;
    device_settle(&s->pd->dev);
}

static void plugged(void *opaque, PciBus *bus, unsigned slot)
{
    press(opaque, slot); /* who puts in a card presses the button */
}

static UnplugAnswer unplug_request(void *opaque, PciBus *bus, PciDevice *pd, GError **error)
{
    Shpc *s = opaque;
    unsigned slot = PCI_SLOT(pd->devfn);
    uint32_t is = s->slot[slot - SHPC_FIRST];
    if ((is & STATE_MASK) == DISABLED && (is & INDICATOR) == INDICATOR_OFF) {
        return UNPLUG_NOW;
    }
    if ((is & INDICATOR) == INDICATOR_BLINKS) {
        error_fail(error, "Hot-unplug of %s failed: guest is busy (power indicator of slot %u blinks)",
                   device_label(&pd->dev), slot);
        return UNPLUG_ERROR;
    }
    press(s, slot);
    return UNPLUG_ASKED;
}

static void changed(void *opaque, PciSlotChange what)
{
    Shpc *s = opaque;
    if (what == SLOT_FILLED) {
        device_reset(&s->pd->dev, true); /* powered from the start */
    } else {
        device_settle(&s->pd->dev);
    }
}

void shpc_init(PciDevice *pd, Shpc *s, PciBus *behind)
{
    static const PciSlots slots = {accepts, plugged, unplug_request, changed};
    s->pd = pd;
    s->bus = behind;
    pci_cap_add(pd, &s->cap, SHPC_AT, CAP_ID_SHPC);
    pci_bar(pd, 0, PCI_BAR_MEM | PCI_BAR_64, device_region(&pd->dev, SPACE_MAIN, "shpc-mmio", SHPC_BAR_SIZE));
    pci_bus_set_first(behind, SHPC_FIRST);
    pci_bus_set_slots(behind, &slots, s);
}
