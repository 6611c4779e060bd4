/* Advanced Error Reporting (PCI Express Base 3.0 §6.2, §7.10).
 *
 * Nothing goes wrong on these links by itself; errors are injected from the monitor.  From there on they take the way that
 * the specification has for them: status, masks and severity of the function, then a message, which each bridge on the
 * path lets through or not, to the registers and the interrupt of the root port.  One header is recorded, of the first
 * error. */
#include "hw/pci/pcie-aer.h"

#include <string.h>

#include "hw/pci/pci-bridge.h"
#include "hw/pci/pcie-cap.h"

enum { HERE = 1, ROOT = 2 }; /* PcieAer.present */
enum { /* uncorrectable errors (§7.10.2) */
       UNC_DLP = 1 << 4,
       UNC_SURPRISE_DOWN = 1 << 5,
       UNC_POISONED = 1 << 12,
       UNC_FLOW_CONTROL = 1 << 13,
       UNC_TIMEOUT = 1 << 14,
       UNC_ABORT = 1 << 15,
       UNC_UNEXPECTED = 1 << 16,
       UNC_OVERFLOW = 1 << 17,
       UNC_MALFORMED = 1 << 18,
       UNC_ECRC = 1 << 19,
       UNC_UNSUPPORTED = 1 << 20,
       UNC_ACS = 1 << 21,
       UNC_INTERNAL = 1 << 22,
       UNC_MC_BLOCKED = 1 << 23,
       UNC_ATOMIC_BLOCKED = 1 << 24,
       UNC_PREFIX_BLOCKED = 1 << 25,
       UNC_ALL = 0x03fff030,
       UNC_FATAL = UNC_DLP | UNC_SURPRISE_DOWN | UNC_FLOW_CONTROL | UNC_OVERFLOW | UNC_MALFORMED | UNC_INTERNAL,
};
enum { /* correctable errors (§7.10.5) */
       COR_RECEIVER = 1 << 0,
       COR_BAD_TLP = 1 << 6,
       COR_BAD_DLLP = 1 << 7,
       COR_ROLLOVER = 1 << 8,
       COR_TIMEOUT = 1 << 12,
       COR_ADVISORY = 1 << 13,
       COR_INTERNAL = 1 << 14,
       COR_LOG_OVERFLOW = 1 << 15,
       COR_ALL = 0xf1c1,
       COR_MASKED = COR_ADVISORY | COR_INTERNAL | COR_LOG_OVERFLOW,
};
enum { FIRST = 0x1f, PREFIX_PRESENT = 1 << 11 }; /* control */
enum { /* root error status (§7.10.10); command bits 0 to 2: an interrupt for each kind */
       ROOT_COR = 1 << 0,
       ROOT_COR_MORE = 1 << 1,
       ROOT_UNCOR = 1 << 2,
       ROOT_UNCOR_MORE = 1 << 3,
       ROOT_FIRST_FATAL = 1 << 4,
       ROOT_NONFATAL = 1 << 5,
       ROOT_FATAL = 1 << 6,
       ROOT_ALL = 0x7f
};
typedef enum Message { ERR_COR, ERR_NONFATAL, ERR_FATAL } Message; /* also: bits of device control and status */
enum { DEVICE_UNSUPPORTED = 1 << 3, STATUS_SIGNALED = 1 << 14, BRIDGE_SERR = 1 << 1 };

/* ---- Registers ---- */

static uint64_t capability_get(const void *part, unsigned arg, unsigned i)
{
    enum { ID = 1, VERSION = 2 };
    return ID | VERSION << 16;
}

static uint64_t root_status_get(const void *part, unsigned arg, unsigned i)
{
    const PcieAer *s = part;
    return s->root_status | (uint64_t)s->vector << 27;
}

#define ANY     WHEN(PcieAer, present, HERE, HERE)
#define IF_ROOT WHEN(PcieAer, present, ROOT, ROOT)
// clang-format off
static const Row rows[] = {
    CALC(capability, 4, 0x00, ANY, .ro = true, .get = capability_get, .doc = "Advanced Error Reporting, version 2; the last one"),
    REG(PcieAer, uncor_status, 0x04, ANY, .w1c = UNC_ALL, .keep = true, .doc = "Uncorrectable errors",
        .bits = "- - - - DLP SDN - - - - - - POISON_TLP FCP COMP_TIME COMP_ABORT UNX_COMP RX_OVER MALF_TLP ECRC UNSUP ACSV INTN "
                "MCBTLP ATOP_EBLOCKED TLP_PRF_BLOCKED"),
    REG(PcieAer, uncor_mask, 0x08, ANY, .rw = UNC_ALL, .reset = UNC_INTERNAL, .keep = true, .doc = "Those not told of"),
    REG(PcieAer, uncor_severity, 0x0c, ANY, .rw = UNC_ALL, .reset = UNC_FATAL, .keep = true, .doc = "Those that are fatal"),
    REG(PcieAer, cor_status, 0x10, ANY, .w1c = COR_ALL, .keep = true, .doc = "Correctable errors",
        .bits = "RCVR - - - - - BAD_TLP BAD_DLLP REP_ROLL - - - REP_TIMER ADV_NONFATAL INTERNAL HL_OVERFLOW"),
    REG(PcieAer, cor_mask, 0x14, ANY, .rw = COR_ALL, .reset = COR_MASKED, .keep = true, .doc = "Those not told of"),
    REG(PcieAer, control, 0x18, ANY, .keep = true, .doc = "First error pointer; prefix log present"),
    REGS(PcieAer, header, 0x1c, ANY, .keep = true, .doc = "Header of the packet"),
    REG(PcieAer, root_command, 0x2c, IF_ROOT, .rw = 7, .doc = "Root error command: what interrupts",
        .bits = "COR NONFATAL FATAL"),
    REG(PcieAer, root_status, 0x30, IF_ROOT, .w1c = ROOT_ALL, .get = root_status_get, .keep = true,
        .doc = "Root error status", .bits = "COR COR_MORE UNCOR UNCOR_MORE FIRST_FATAL NONFATAL FATAL"),
    REG(PcieAer, source, 0x34, IF_ROOT, .keep = true, .doc = "Who sent the first: correctable, uncorrectable"),
    REGS(PcieAer, prefix, 0x38, ANY, .keep = true, .doc = "Prefixes of the packet"),
    STATE(PcieAer, asked),
    DERIVED(PcieAer, vector),
    END
};
// clang-format on

const DeviceClass pcie_aer_class = {
    .name = "pcie-aer",
    .plain = true,
    .abstract = true,
    .size = sizeof(PcieAer),
    .rows = rows,
};

void pcie_aer_init(PciDevice *pd, PcieAer *aer, bool root_port)
{
    aer->present = (uint8_t)(HERE | (root_port ? ROOT : 0));
    pd->aer = aer;
}

bool pcie_aer_asks(const PcieAer *s)
{
    return ((s->root_command & 1) && (s->root_status & ROOT_COR)) ||
           ((s->root_command & 2) && (s->root_status & ROOT_NONFATAL)) ||
           ((s->root_command & 4) && (s->root_status & ROOT_FATAL));
}

/* ---- Messages (§6.2.4, §6.2.5, figure 6-3) ---- */

/* §6.2.4.1.2: the first of each kind keeps its sender; there being more is only told. */
static void root_receives(PcieAer *s, Message m, uint16_t source)
{
    if (m == ERR_COR) {
        s->source = s->root_status & ROOT_COR ? s->source : (s->source & 0xffff0000) | source;
        s->root_status |= s->root_status & ROOT_COR ? ROOT_COR_MORE : ROOT_COR;
        return;
    }
    if (s->root_status & ROOT_UNCOR) {
        s->root_status |= ROOT_UNCOR_MORE;
    } else {
        s->source = (s->source & 0xffff) | (uint32_t)source << 16;
        s->root_status |= ROOT_UNCOR | (m == ERR_FATAL ? ROOT_FIRST_FATAL : 0u);
    }
    s->root_status |= m == ERR_FATAL ? ROOT_FATAL : ROOT_NONFATAL;
}

static void signaled(PciDevice *pd, Message m)
{
    if (m != ERR_COR && (pd->command & PCI_COMMAND_SERR)) {
        pd->status |= STATUS_SIGNALED;
    }
}

/* A bridge gets a message from behind, and passes it on when Bridge Control has SERR# enabled. */
static bool passes(PciDevice *pd, Message m)
{
    PciBridge *bridge = (PciBridge *)pd;
    if (m != ERR_COR) {
        bridge->secondary_status |= STATUS_SIGNALED; /* "received system error" on this side */
    }
    if (bridge->control & BRIDGE_SERR) {
        signaled(pd, m);
        return true;
    }
    return false;
}

static void send(PciDevice *pd, Message m)
{
    uint16_t source = (uint16_t)(pci_bus_number(pd->bus) << 8 | (unsigned)pd->devfn);
    PciDevice *at = pd;
    signaled(pd, m);
    while (!(at->express && at->express->kind == PCIE_ROOT_PORT)) {
        at = pci_bus_bridge(at->bus);
        if (!at) {
            return; /* nobody hears */
        }
        bool on = passes(at, m);
        device_settle(&at->dev);
        if (!on) {
            return;
        }
    }
    if (at->aer) {
        root_receives(at->aer, m, source);
        device_settle(&at->dev);
    }
}

/* ---- Errors of a function (§6.2.5, figure 6-2) ---- */

static void record(PcieAer *s, const PcieError *e)
{
    if (s->uncor_status & UINT32_C(1) << (s->control & FIRST)) {
        return; /* the logs are about an earlier one that software has not seen to */
    }
    s->control = (uint32_t)__builtin_ctz(e->status) | (e->prefix ? PREFIX_PRESENT : 0u);
    for (unsigned i = 0; i < PCIE_TLP_WORDS; i++) {
        s->header[i] = e->header ? e->header[i] : 0;
        s->prefix[i] = e->prefix ? e->prefix[i] : 0;
    }
}

/* Whether it is to be told of; without these registers all are. */
static bool note_correctable(PcieAer *s, uint32_t status)
{
    if (s) {
        s->cor_status |= status;
    }
    return !s || !(s->cor_mask & status);
}

static bool note_uncorrectable(PcieAer *s, const PcieError *e)
{
    bool told = !s || !(s->uncor_mask & e->status);
    if (s && told) {
        record(s, e);
    }
    if (s) {
        s->uncor_status |= e->status;
    }
    return told;
}

static Message severity(const PcieAer *s, const PcieError *e)
{
    return (s ? s->uncor_severity : UNC_FATAL) & e->status ? ERR_FATAL : ERR_NONFATAL;
}

static void tell(PciDevice *pd, Message m, bool unsupported)
{
    const PcieCap *cap = pd->express;
    bool serr = m != ERR_COR && (pd->command & PCI_COMMAND_SERR);
    bool reports = cap->device_control & 1u << m;
    if (unsupported && m != ERR_COR) {
        reports = reports && (cap->device_control & DEVICE_UNSUPPORTED);
    }
    if (serr || reports) {
        send(pd, m);
    }
}

bool pcie_error(PciDevice *pd, const PcieError *e, GError **error)
{
    uint32_t known = e->correctable ? COR_ALL : UNC_ALL;
    if (!pd->express || !pd->bus) {
        return error_fail(error, "%s is not on PCI Express", device_label(&pd->dev));
    }
    if (!(e->status & known) || (e->status & (e->status - 1))) {
        return error_fail(error, "error status 0x%x is no %s error, expected: one bit of 0x%x", e->status,
                          e->correctable ? "correctable" : "uncorrectable", known);
    }
    Message m = e->correctable ? ERR_COR : severity(pd->aer, e);
    bool advisory = e->advisory && m == ERR_NONFATAL; /* §6.2.3.2.4: fatal ones never are */
    bool unsupported = !e->correctable && e->status == UNC_UNSUPPORTED, told;
    m = advisory ? ERR_COR : m;
    pd->express->device_status |= (uint16_t)(1u << m | (unsupported ? DEVICE_UNSUPPORTED : 0u));
    if (advisory) {
        told = note_correctable(pd->aer, COR_ADVISORY);
        if (told) {
            told = note_uncorrectable(pd->aer, e);
        } else if (pd->aer) {
            pd->aer->uncor_status |= e->status;
        }
    } else {
        told = e->correctable ? note_correctable(pd->aer, e->status) : note_uncorrectable(pd->aer, e);
    }
    if (told) {
        tell(pd, m, unsupported);
    }
    device_settle(&pd->dev);
    return true;
}

/* ---- Names ---- */

typedef struct ErrorName {
    const char *name;
    uint32_t status;
    bool correctable;
} ErrorName;

static const ErrorName names[] = {
    {"DLP", UNC_DLP, false},
    {"SDN", UNC_SURPRISE_DOWN, false},
    {"POISON_TLP", UNC_POISONED, false},
    {"FCP", UNC_FLOW_CONTROL, false},
    {"COMP_TIME", UNC_TIMEOUT, false},
    {"COMP_ABORT", UNC_ABORT, false},
    {"UNX_COMP", UNC_UNEXPECTED, false},
    {"RX_OVER", UNC_OVERFLOW, false},
    {"MALF_TLP", UNC_MALFORMED, false},
    {"ECRC", UNC_ECRC, false},
    {"UNSUP", UNC_UNSUPPORTED, false},
    {"ACSV", UNC_ACS, false},
    {"INTN", UNC_INTERNAL, false},
    {"MCBTLP", UNC_MC_BLOCKED, false},
    {"ATOP_EBLOCKED", UNC_ATOMIC_BLOCKED, false},
    {"TLP_PRF_BLOCKED", UNC_PREFIX_BLOCKED, false},
    {"RCVR", COR_RECEIVER, true},
    {"BAD_TLP", COR_BAD_TLP, true},
    {"BAD_DLLP", COR_BAD_DLLP, true},
    {"REP_ROLL", COR_ROLLOVER, true},
    {"REP_TIMER", COR_TIMEOUT, true},
    {"ADV_NONFATAL", COR_ADVISORY, true},
    {"INTERNAL", COR_INTERNAL, true},
    {"HL_OVERFLOW", COR_LOG_OVERFLOW, true},
};

bool pcie_error_by_name(const char *name, uint32_t *status, bool *correctable)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(names[i].name, name)) {
            *status = names[i].status;
            *correctable = names[i].correctable;
            return true;
        }
    }
    return false;
}
